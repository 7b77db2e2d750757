# SPDX-License-Identifier: GPL-2.0
"""umthp gdb: the kernel that was built, in gdb, stopped where a test begins."""
from __future__ import annotations

import argparse
import os
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Dict, List, Sequence

from . import expected, host_memory, rootfs
from .boot import NEED_BYTES, Launcher
from .build import Builder, Kernel
from .cache import make_dir
from .context import Context
from .errors import EXIT_PASS, ToolchainError, UsageError
from .private_dir import private_dir
from .process import kill_session, quoted, run_logged
from .run_boots import filters, list_tests

DESCRIPTION = (
    "Run a test in gdb: signals set up for UML, a breakpoint on each test that matches GLOB (on "
    "the first suite without one), the lx- commands of the kernel. --batch does not ask and ends "
    "by itself: with --ex CMD, given as often as you like, it can be used in scripts.")
VARIANT = "gdb"
MAX_BREAKPOINTS = 40
# What UML uses itself: its interrupts, its page faults, the steps of its processes.
SIGNALS = ("SIGSEGV", "SIGBUS", "SIGUSR1", "SIGUSR2", "SIGIO", "SIGALRM", "SIGVTALRM", "SIGPROF",
           "SIGCHLD", "SIGWINCH", "SIGTERM")
SCRIPTS = "vmlinux-gdb.py"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("glob", nargs="?", metavar="GLOB", help="SUITE or SUITE.TEST, with * and ?")
    parser.add_argument("--batch", action="store_true", help="gdb --batch: ask nothing, then end")
    parser.add_argument("--ex", metavar="CMD", action="append", default=[],
                        help="command of gdb, after the stop at the test")
    parser.add_argument("--seccomp", choices=("on", "off", "auto"),
                        help="UML's userspace mode (default: the kernel's, ptrace)")
    parser.add_argument("--kernel-args", metavar="ARGS", action="append", default=[],
                        help="added to the kernel command line")
    parser.set_defaults(variant=VARIANT)


def main(args: argparse.Namespace, context: Context) -> int:
    if args.glob:
        expected.check_glob(args.glob)
    if not args.dry_run and not shutil.which("gdb"):
        raise ToolchainError("gdb is not installed", "Debian: apt install gdb")
    parent = context.cache / "gdb"
    if args.dry_run:
        with context.kernel() as kernel:
            context.console.say("$ " + quoted(_command(args, kernel.binary, Path("COMMANDS"))))
        return EXIT_PASS
    with private_dir(make_dir(parent)) as home:
        with context.kernel() as kernel:
            builder = context.builder()
            launcher = context.launcher()
            functions = _functions(args, kernel, launcher, context)
            scripts = _scripts(builder, kernel, context)
            binary = home / "linux"
            rootfs.install(kernel.binary, binary)
        # The lock of the tree is held until here only: gdb may last for hours.
        words = launcher.arguments(
            filters(args.glob, True)
            + [word for text in args.kernel_args for word in text.split()])
        commands = home / "commands"
        place, _passed = host_memory.choose(NEED_BYTES)
        with private_dir(place.directory) as memory:
            words.append("uml_dir=%s/" % memory)
            commands.write_text("".join(line + "\n" for line in _script(
                args, words, functions, scripts, kernel.prepared.src, memory)),
                encoding="utf-8", errors="surrogateescape")
            argv = _command(args, binary, commands)
            context.console.command(quoted(argv))
            context.console.clear_status()
            try:
                return _run(argv, kernel.build, args.batch)
            finally:
                _kill_all(binary)


def _command(args: argparse.Namespace, binary: Path, commands: Path) -> List[str]:
    return ["gdb", "-q", *(["-batch"] if args.batch else []), "-x", str(commands), str(binary)]


def _functions(args: argparse.Namespace, kernel: Kernel, launcher: Launcher,
               context: Context) -> List[str]:
    """Where to stop. A test's name is that of its function."""
    if not args.glob:
        return ["kunit_run_tests"]
    log = context.log_dir(kernel.prepared) / "gdb-list.log"
    names = list_tests(kernel, launcher, log, filters(args.glob, True))
    found = sorted({name.partition(".")[2] for name in names})
    if not found:
        raise UsageError("no test matches %s" % args.glob, "umthp list shows the names")
    if len(found) > MAX_BREAKPOINTS:
        raise UsageError("%d tests match %s: too many to stop at" % (len(found), args.glob),
                         "name one suite, or SUITE.TEST")
    return found


def _scripts(builder: Builder, kernel: Kernel, context: Context) -> List[Path]:
    """The kernel's own commands for gdb, if it is configured to have them."""
    config = (kernel.build / ".config").read_text(encoding="utf-8", errors="replace")
    if "\nCONFIG_GDB_SCRIPTS=y\n" not in config:
        context.console.note("no lx- commands: variant %s is without CONFIG_GDB_SCRIPTS"
                             % kernel.variant)
        return []
    log = context.log_dir(kernel.prepared) / "gdb-scripts.log"
    log.unlink(missing_ok=True)
    argv = builder.command(kernel.prepared, kernel.build, "scripts_gdb")
    context.console.command(quoted(argv))
    context.console.status("gdb", "make scripts_gdb")
    if run_logged(argv, log, env=builder.environment(kernel.prepared)) \
            or not (kernel.build / SCRIPTS).exists():
        context.console.warning("no lx- commands: make scripts_gdb failed (log: %s)" % log)
        return []
    return [kernel.build / SCRIPTS]


def _script(args: argparse.Namespace, words: Sequence[str], functions: Sequence[str],
            scripts: Sequence[Path], src: Path, memory: Path) -> List[str]:
    """The commands for gdb: a file, one a line. No word of it can come from a log: test names
    are checked, and the rest is quoted for the shell that gdb starts the kernel with."""
    lines = ["set confirm off", "set breakpoint pending on", "set print inferior-events off",
             'directory "%s"' % src]
    lines += ["set pagination off"] if args.batch else []
    lines += ["handle %s nostop noprint pass" % name for name in SIGNALS]
    lines += ["source %s" % path for path in scripts]
    lines += ["set environment %s=%s" % (name, memory) for name in ("TMPDIR", "TMP", "TEMP")]
    for word in words:
        if "\n" in word:
            raise UsageError("--kernel-args: a line end in %r" % word, "leave it out")
    # What the kernel reads is not what gdb reads.
    lines.append("set args %s </dev/null" % " ".join(shlex.quote(word) for word in words))
    lines += ["break %s" % name for name in functions if name.isidentifier()]
    lines.append("run")
    for command in args.ex:
        if "\n" in command:
            raise UsageError("--ex: a line end in %r" % command, "use --ex once for each command")
        lines.append(command)
    return lines


def _run(argv: Sequence[str], cwd: Path, batch: bool) -> int:
    """gdb has the terminal, and Ctrl-C is its own, for as long as it lasts."""
    env: Dict[str, str] = {**os.environ, "SHELL": "/bin/sh"}
    old = {number: signal.signal(number, signal.SIG_IGN)
           for number in ((signal.SIGINT, signal.SIGQUIT) if not batch else ())}
    try:
        process = subprocess.Popen(
            argv, env=env, cwd=cwd, start_new_session=batch,
            stdin=subprocess.DEVNULL if batch else None,
            preexec_fn=None if batch else _default_signals)
        try:
            return _status(process.wait())
        except BaseException:
            process.kill()
            process.wait()
            raise
        finally:
            if batch:
                kill_session(process.pid)
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _default_signals() -> None:
    for number in (signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)


def _status(returncode: int) -> int:
    return 128 - returncode if returncode < 0 else returncode


def _kill_all(binary: Path) -> None:
    """Whatever still runs our own copy of the kernel."""
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit() and os.readlink("/proc/%s/exe" % entry).startswith(str(binary)):
                os.kill(int(entry), signal.SIGKILL)
        except OSError:
            continue
