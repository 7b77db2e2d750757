# SPDX-License-Identifier: GPL-2.0
"""make ARCH=um linux, in one build directory per variant; nothing is made that is up to date."""
from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Deque, Dict, List, Mapping, Optional, Sequence

from . import config
from .cache import make_dir, read_json, write_json
from .console import Console
from .errors import BuildError, ConfigError, HostError, ToolchainError
from .git import clean_env
from .process import disk_full, no_space, quoted, run, run_logged
from .shadow import Layout, Prepared, repair

# program -> Debian package; all that a first build calls
TOOLS = {"make": "make", "gcc": "gcc", "ld": "binutils", "flex": "flex", "bison": "bison",
         "bc": "bc", "perl": "perl"}
_OBJECT = re.compile(r"^  (?:CC|AS|LD|AR|HOSTCC|HOSTLD|LINK|GEN|UPD|KSYMS|NM)(?: \[M\])?\s+(\S+)")
_ERROR = re.compile(r": (?:fatal )?error:|ld: |undefined reference|multiple definition"
                    r"|^collect2: error|: \*\*\* .*\.$")
_FAILED = re.compile(r"^make(?:\[\d+\])?: \*\*\* \[\S+: (\S+\.\w+)\] Error")
SHOWN_ERRORS = 12


@dataclass(frozen=True)
class Kernel:
    """A built kernel."""

    prepared: Prepared
    variant: str
    build: Path
    binary: Path
    seconds: float      # configuring and making
    made: int           # objects made; 0: everything was up to date


class Builder:
    """Builds one prepared tree."""

    def __init__(self, layout: Layout, cache: Path, console: Console, jobs: Optional[int] = None,
                 dry_run: bool = False,
                 variables: Optional[Mapping[str, Sequence[str]]] = None) -> None:
        """variables: of the make command line, by variant."""
        self.variables = dict(variables or {})
        self.layout = layout
        self.cache = cache
        self.console = console
        self.jobs = jobs or len(os.sched_getaffinity(0))
        self.dry_run = dry_run

    def build(self, prepared: Prepared, variant_name: str) -> Kernel:
        """The caller holds the lock of the tree."""
        start = time.monotonic()
        chosen = config.variant(self.layout, variant_name)
        build = prepared.home / "build" / chosen.name
        binary = build / "linux"
        if self.dry_run:
            self._show(prepared, build)
            return Kernel(prepared, chosen.name, build, binary, 0.0, 0)
        make_dir(build)
        options = config.wanted(prepared, chosen)
        configure = config.needs_configuring(prepared, build, options)
        stamp = self._stamp(prepared, build, options)
        if not configure and self._up_to_date(build, binary, stamp):
            return Kernel(prepared, chosen.name, build, binary, time.monotonic() - start, 0)
        check_toolchain()
        (build / "umthp-build.json").unlink(missing_ok=True)
        log = make_dir(prepared.home / "logs") / ("build-%s.log" % chosen.name)
        log.unlink(missing_ok=True)
        if not binary.exists():
            self.console.note("first build of %s %s: a few minutes; later runs take seconds"
                              % (prepared.version, chosen.name))
        if configure:
            self._configure(prepared, build, options, log)
        if not prepared.moved:
            # Nobody has looked at the files yet: what is built must be the tree.
            repair(prepared, self.console)
        made = self._make(prepared, build, log)
        config.check(prepared, build, options, self.console)
        if not binary.exists():
            raise BuildError("make succeeded but there is no %s" % binary,
                             "run `umthp clean` and build again", log)
        write_json(build / "umthp-build.json",
                   {"stamp": self._stamp(prepared, build, options), "binary": _identity(binary),
                    "tree": prepared.tree, "version": prepared.version,
                    "described": prepared.described})
        return Kernel(prepared, chosen.name, build, binary, time.monotonic() - start, made)

    def last(self, prepared: Prepared, variant_name: str) -> Kernel:
        """The kernel of the last successful build, whatever the source is now."""
        name = config.variant(self.layout, variant_name).name
        build = prepared.home / "build" / name
        binary = build / "linux"
        state = read_json(build / "umthp-build.json")
        if not binary.exists() or state.get("binary") != _identity(binary):
            raise BuildError("there is no finished build of variant %s" % name,
                             "umthp build --variant %s" % name)
        made_from = replace(prepared, tree=state["tree"], version=state["version"],
                            described=state["described"])
        return Kernel(made_from, name, build, binary, 0.0, 0)

    def command(self, prepared: Prepared, build: Path, *targets: str) -> List[str]:
        """The make command line, as it is run and as it is shown."""
        argv = ["make", "-C", str(prepared.src), "ARCH=um", "O=" + str(build),
                "-j%d" % self.jobs]
        if shutil.which("ccache"):
            argv.append("CC=ccache gcc")
        return argv + ["LOCALVERSION=", *self.variables.get(build.name, ()), *targets]

    def environment(self, prepared: Prepared) -> Dict[str, str]:
        """For make: nothing of a git hook, no time or user in the binary, our own ccache.

        CCACHE_DEPEND: kbuild has gcc list the headers anyway, so ccache need not preprocess what
        it does not have yet, which a first build would pay for with a quarter of its time.
        """
        env = clean_env()
        for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "ARCH", "CROSS_COMPILE", "O",
                     "KBUILD_OUTPUT", "KCONFIG_CONFIG", "SUBARCH", "LLVM", "SRCARCH",
                     "KCONFIG_ALLCONFIG", "KBUILD_EXTMOD", "M", "V", "W", "C"):
            env.pop(name, None)
        env.update(KBUILD_BUILD_TIMESTAMP="", KBUILD_BUILD_USER="umthp",
                   KBUILD_BUILD_HOST="umthp", CCACHE_DIR=str(self.cache / "ccache"),
                   CCACHE_BASEDIR=str(prepared.home), CCACHE_NOHASHDIR="1",
                   CCACHE_DEPEND="1",
                   GIT_CEILING_DIRECTORIES=str(prepared.home))
        return env

    def _show(self, prepared: Prepared, build: Path) -> None:
        for target in ("olddefconfig", "linux"):
            self.console.say("$ " + quoted(self.command(prepared, build, target)))

    def _configure(self, prepared: Prepared, build: Path, options: object, log: Path) -> None:
        self.console.status("config", "make olddefconfig")
        config.write_wanted(build, options)
        argv = self.command(prepared, build, "olddefconfig")
        self.console.command(quoted(argv))
        tail: Deque[str] = deque(maxlen=15)
        status = run_logged(argv, log, env=self.environment(prepared), on_line=tail.append)
        if status:
            _raise_known("\n".join(tail), build, log)
            raise ConfigError("make olddefconfig failed:\n%s" % "\n".join(tail),
                              "correct the Kconfig file that it names", log)
        config.check(prepared, build, options, self.console)
        config.mark_configured(prepared, build, options)

    def _make(self, prepared: Prepared, build: Path, log: Path) -> int:
        """Make the kernel; returns how many objects were made."""
        argv = self.command(prepared, build, "linux")
        self.console.command(quoted(argv))
        errors: List[str] = []
        failed: List[str] = []
        tail: Deque[str] = deque(maxlen=20)
        made = 0
        start = time.monotonic()

        def on_line(line: str) -> None:
            nonlocal made
            tail.append(line)
            match = _OBJECT.match(line)
            if match:
                made += 1
                self.console.status("build", "%s (%d, %ds)" % (
                    match.group(1), made, time.monotonic() - start))
            elif match := _FAILED.match(line):
                failed.append(match.group(1))
            elif _ERROR.search(line) and len(errors) < SHOWN_ERRORS:
                errors.append(line)

        status = run_logged(argv, log, env=self.environment(prepared), on_line=on_line)
        if status == 0:
            return made
        _raise_known("\n".join([*errors, *tail]), build, log)
        lines = [_shorten(line, prepared.src) for line in errors or tail]
        what = ", ".join(failed[:3]) or "the kernel"
        raise BuildError("%s does not build:\n%s" % (what, "\n".join(lines)),
                         "correct the lines named above", log)

    def _stamp(self, prepared: Prepared, build: Path, options: object) -> str:
        """What the binary is made from: tree, options, .config, make variables, compiler."""
        digest = hashlib.sha256()
        for part in (prepared.tree, config.digest(options), *self.variables.get(build.name, ()),
                     *compiler()):
            digest.update(part.encode() + b"\0")
        try:
            digest.update((build / ".config").read_bytes())
        except OSError:
            pass
        return digest.hexdigest()

    @staticmethod
    def _up_to_date(build: Path, binary: Path, stamp: str) -> bool:
        state = read_json(build / "umthp-build.json")
        return binary.exists() and state.get("stamp") == stamp \
            and state.get("binary") == _identity(binary)


def check_toolchain() -> None:
    """All missing programs at once, with one line to install them."""
    missing = [name for name in TOOLS if not shutil.which(name)]
    if missing:
        raise ToolchainError(
            "not installed, and needed to build the kernel: %s" % ", ".join(missing),
            "Debian: apt install %s" % " ".join(TOOLS[name] for name in missing))


def compiler() -> List[str]:
    """What identifies the compiler without running it: the file that `gcc` and `ld` are."""
    found = []
    for name in ("gcc", "ld"):
        path = os.path.realpath(shutil.which(name) or name)
        try:
            info = os.stat(path)
            found.append("%s %d %d" % (path, info.st_size, info.st_mtime_ns))
        except OSError:
            found.append(path)
    return found


def _identity(binary: Path) -> List[int]:
    info = binary.stat()
    return [info.st_size, info.st_mtime_ns, info.st_ino]


def _shorten(line: str, src: Path) -> str:
    """Paths as the user knows them, below the top of the kernel tree."""
    return re.sub(r"(?:\.\./)+src/", "", line.replace(str(src) + "/", "")).strip()


def _raise_known(text: str, build: Path, log: Path) -> None:
    """Failures that are the host's: a full disk, a killed compiler, a missing program."""
    if no_space(text):
        error = disk_full(build)
        error.log = log
        raise error
    if re.search(r"Killed signal terminated program|out of memory", text):
        raise HostError("the compiler was killed: not enough memory",
                        "use fewer jobs: --jobs 1", log)
    match = re.search(r"(?:^|\n)/bin/sh: (?:line )?\d+: ([\w.+-]+): (?:command )?not found", text)
    if match:
        raise ToolchainError("%s is not installed (needed to build the kernel)" % match.group(1),
                             "Debian: apt install %s" % match.group(1), log)


def compiler_version() -> str:
    done = run(["gcc", "--version"])
    return done.stdout.decode("utf-8", "replace").splitlines()[0] if done.stdout else "none"
