# SPDX-License-Identifier: GPL-2.0
"""Stack traces of a log with file and line, by the kernel's own scripts/decode_stacktrace.sh.

That script wants a vmlinux with debug information, which makes every link of every edit longer.
So a kernel without gets it afterwards, and only for the objects that a trace goes through: each is
compiled once more by the command that Kbuild has noted, with -g, and all are linked to a file of
symbols. -g does not change the code; a function whose size differs is left alone all the same.

The script builds commands for awk and for the shell out of what it reads. It is given lines made
here of names and numbers, never a line of the log.
"""
from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple

from .boot import Boot
from .build import Builder, Kernel
from .cache import make_dir
from .errors import UmthpError
from .private_dir import private_dir
from .process import run
from .splats import source_paths
from .verdict import Verdict

# ` [<6008873c>] ? kthread+0xec/0x150`: arch/um marks all as unreliable.
_FRAME = re.compile(r"^(?:\[[ \d.]+\](?:\[ *[CT]\d+\])?)? *(?:\[<[0-9a-f]+>\] (?:\? )?)"
                    r"([A-Za-z_][\w.]*)\+(0x[0-9a-f]+)/(0x[0-9a-f]+)$")
_CALL_TRACE = "Call Trace:"
# The kernel counts what lies between two functions to the first.
_ALIGNMENT = 16
MAX_FRAMES = 12
MAX_OBJECTS = 8
MAX_SPLATS = 3
# What every trace of a test ends with, and what prints the trace.
_NOISE = re.compile(r"^(?:show_stack|dump_stack\w*|_printk|kunit_(?:try_run_case|"
                    r"generic_run_threadfn_adapter|try_catch_\w+)|kthread|new_thread_handler|"
                    r"um_set_signals\w*|v?panic|add_taint|__warn|warn_slowpath_fmt)(?:\.|$)")


@dataclass(frozen=True)
class Frame:
    """A return address: function, offset and the function's size, as the log has them."""

    name: str
    offset: str
    size: str

    def __str__(self) -> str:
        return "%s+%s/%s" % (self.name, self.offset, self.size)


def frames(lines: Sequence[str], first: int) -> List[Frame]:
    """The frames of the first call trace from line `first` on, that of one report."""
    found: List[Frame] = []
    inside = False
    for line in lines[first:first + 120]:
        if line.rstrip().endswith(_CALL_TRACE):
            if inside:
                break
            inside = True
            continue
        match = _FRAME.match(line)
        if match:
            frame = Frame(*match.groups())
            # Offset 0 is the address of a function that lies on the stack: nobody returns there.
            if inside and int(frame.offset, 16) and not _NOISE.match(frame.name) \
                    and frame not in found:
                found.append(frame)
        elif inside or "---[ end trace" in line:
            break
    return found[:MAX_FRAMES]


def attach(result: Verdict, kernel: Kernel, builder: Builder) -> None:
    """Give the first splats of a run their traces, decoded."""
    chosen = result.splats[:MAX_SPLATS]
    traces = []
    for splat in chosen:
        lines = Boot([], splat.log).lines()
        traces.append(frames(lines, splat.line - 1))
    for splat, decoded in zip(chosen, Decoder(kernel, builder).decode(traces)):
        splat.trace = decoded


class Decoder:
    """Decodes traces of one kernel. The caller holds the lock of the tree."""

    def __init__(self, kernel: Kernel, builder: Builder) -> None:
        self.kernel = kernel
        self.builder = builder
        self.console = builder.console

    def decode(self, traces: Sequence[Sequence[Frame]]) -> List[List[str]]:
        """Each trace as lines `function (file:line ...)`; as in the log what cannot be decoded."""
        wanted = list(dict.fromkeys(frame for trace in traces for frame in trace))
        if not wanted:
            return [[] for _ in traces]
        self.console.status("trace", "decoding %d frames" % len(wanted))
        try:
            with private_dir(make_dir(self.kernel.prepared.home / "traces")) as work:
                texts = self._decode(wanted, work)
        except (UmthpError, OSError) as error:
            self.console.note("the stack trace is not decoded: %s" % error)
            texts = {}
        return [[texts.get(frame, str(frame)) for frame in trace] for trace in traces]

    def _decode(self, wanted: Sequence[Frame], work: Path) -> Dict[Frame, str]:
        symbols = self.kernel.build / "vmlinux"
        if not _has_lines(symbols):
            made = self._symbols({frame.name for frame in wanted}, work)
            if made is None:
                return {}
            symbols = made
        sizes = _sizes(symbols)
        known = [frame for frame in wanted if frame.name in sizes
                 and 0 <= int(frame.size, 16) - sizes[frame.name] < _ALIGNMENT]
        src = self.kernel.prepared.src
        tops = (src, self.kernel.build)
        done = run(["bash", src / "scripts/decode_stacktrace.sh", symbols, src],
                   data="".join(" %s\n" % frame for frame in known).encode("ascii"),
                   env=self.builder.environment(self.kernel.prepared))
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        if done.returncode or len(lines) != len(known):
            raise OSError("scripts/decode_stacktrace.sh failed: %s"
                          % done.stderr.decode("utf-8", "replace").strip()[-300:])
        return {frame: _shortened(line.strip(), tops) for frame, line in zip(known, lines)
                if "+0x" not in line}

    def _symbols(self, names: Set[str], work: Path) -> Optional[Path]:
        """A linked file with debug information of the objects that define these functions."""
        from concurrent.futures import ThreadPoolExecutor
        objects = _defining(self.kernel.build, names)[:MAX_OBJECTS]
        jobs = [(name, work / ("%d.o" % number)) for number, name in enumerate(objects)]
        with ThreadPoolExecutor(self.builder.jobs) as pool:
            made = [target for target, good in zip(
                [target for _, target in jobs], pool.map(self._compile, jobs)) if good]
        if not made:
            return None
        symbols = work / "symbols"
        run(["ld", "--noinhibit-exec", "--unresolved-symbols=ignore-all", "-e", "0", "-o", symbols,
             *made])
        return symbols if symbols.exists() else None

    def _compile(self, job: Tuple[str, Path]) -> bool:
        name, target = job
        argv = noted_command(self.kernel.build / name)
        if argv is None:
            return False
        self.console.detail("with -g: %s" % name)
        done = run([*argv, "-g", "-o", target], cwd=self.kernel.build,
                   env=self.builder.environment(self.kernel.prepared))
        return done.returncode == 0


def noted_command(path: Path) -> Optional[List[str]]:
    """The compiler call that made an object, from Kbuild's .x.o.cmd; without its outputs."""
    try:
        text = (path.parent / (".%s.cmd" % path.name)).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None
    match = re.match(r"savedcmd_\S+ := (.*)", text)
    if match is None:
        return None
    words = shlex.split(match.group(1).replace("$(pound)", "#").replace("$$", "$"))
    kept: List[str] = []
    skip = False
    for word in words:
        if word in (";", "&&") or word.endswith(";"):
            kept += [word[:-1]] if len(word) > 1 and word != "&&" else []
            break
        if skip or word.startswith("-Wp,-MMD") or word == "-o":
            skip = word == "-o"
            continue
        kept.append(word)
    return kept if "-c" in kept else None


def _defining(build: Path, names: Set[str]) -> List[str]:
    """The objects of vmlinux that define functions of these names; not those that are ambiguous."""
    done = run(["nm", "-A", "--defined-only", "vmlinux.a"], cwd=build)
    found: Dict[str, Set[str]] = {}
    for line in done.stdout.decode("utf-8", "replace").splitlines():
        fields = line.rpartition(":")[2].split()
        if len(fields) < 2 or fields[-1] not in names or fields[-2] not in "tTwW":
            continue
        match = re.match(r"vmlinux\.a:(\S+\.o):", line)
        if match:
            found.setdefault(fields[-1], set()).add(match.group(1))
    return list(dict.fromkeys(next(iter(objects)) for name, objects in found.items()
                              if len(objects) == 1))


def _has_lines(vmlinux: Path) -> bool:
    return b" .debug_line " in run(["readelf", "-SW", vmlinux]).stdout


def _sizes(symbols: Path) -> Dict[str, int]:
    """Of each function that there is only one of."""
    found: Dict[str, int] = {}
    twice: Set[str] = set()
    for line in run(["nm", "-S", "--defined-only", symbols]).stdout.decode(
            "utf-8", "replace").splitlines():
        fields = line.split()
        if len(fields) == 4 and fields[2] in "tTwW":
            twice |= {fields[3]} & set(found)
            found[fields[3]] = int(fields[1], 16)
    return {name: size for name, size in found.items() if name not in twice}


def _shortened(line: str, tops: Sequence[Path]) -> str:
    """Paths as in the kernel tree; the compiler had them relative to the build directory."""
    for top in tops:
        line = line.replace("%s/" % top, "")
    return source_paths(line)
