# SPDX-License-Identifier: GPL-2.0
"""The command line: arguments, signals, and the one place where errors become exit codes."""
from __future__ import annotations

import argparse
import errno
import importlib
import os
import signal
import sys
from types import FrameType
from typing import Any, Callable, Dict, List, Optional

from . import __version__
from .config import DEFAULT
from .console import Console
from .context import Context
from .errors import (BISECT_ABORT, EXIT_FAIL, EXIT_PASS, EXIT_USAGE, HostError, Interrupted,
                     UmthpError, bisect_code)
from .process import disk_full

DESCRIPTION = "Test device-private transparent huge pages of a kernel tree in user-mode Linux."
EPILOG = """\
commands:
  run [GLOB]      build if needed, boot, run the suites, one verdict
  build, exec     prepare and build only; run what was built last
  list [GLOB]     tests, --suites, --variants, --kernels, --known-bugs, --trace
  selftest NAME   upstream's own selftest, unmodified, in that UML
  shell, gdb      a shell or a command in that UML; gdb on it, or on one test
  hook ACTION     pre-commit hook: install, uninstall, status, run
  coverage        what of the code under test the suites execute (gcov)
  mutants [DIR]   which faults in the kernel the suites notice
  report          the last verdicts; --html DIR: a page to look at
  ci-matrix       kernels x variants, for GitHub, GitLab or GNU parallel
  export          the series and the suites as patches for the mailing lists
  doctor, bench   what this host lacks; the budgets, against bare make and boot
  clean           remove trees and builds from the cache; --all for everything
  man, version, completion SHELL

exit codes: 0 pass, 1 fail or splat, 2 usage, 3 nothing ran, 4 configuration,
5 build, 6 series or unsupported kernel, 7 host, 8 time-out or crash
In a kernel tree, `umthp run` tests it, edits included, and never writes to it.
"""


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-v", "--verbose", action="store_true",
                        help="show every command and every test")
    parser.add_argument("-q", "--quiet", action="store_true",
                        help="nothing but failures and errors")


def kernel_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of every command that needs a kernel."""
    _common(parser)
    parser.add_argument("--kernel", metavar="WHAT",
                        help="git tree, plain tree, tarball or package (default: the kernel tree "
                        "around the current directory, else the newest supported package)")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--rev", metavar="REV", help="test this commit of the git tree")
    what.add_argument("--staged", action="store_true", help="test the index of the git tree")
    parser.add_argument("--update", action="store_true",
                        help="look for a newer point release of the package")
    parser.add_argument("--variant", default=DEFAULT, metavar="NAME",
                        help="kernel configuration (`umthp list --variants`)")
    parser.add_argument("--jobs", "-j", type=_positive, metavar="N",
                        help="parallel make jobs and boots (default: one a CPU)")
    parser.add_argument("--dry-run", action="store_true", help="show the commands only")
    parser.add_argument("--um-config", metavar="DIR",
                        help="another um_config/: for work on the series itself")


def run_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("glob", nargs="?", metavar="GLOB", help="SUITE or SUITE.TEST, with * and ?")
    parser.add_argument("--isolate", choices=("suite", "test"), help="one boot for each")
    parser.add_argument("--slow", action="store_true", help="slow tests too")
    parser.add_argument("--own-boots", action="store_true", help="known bugs that bring a kernel "
                        "down too, each in a boot of its own (also with --slow or a GLOB)")
    parser.add_argument("--timeout", type=_positive, metavar="S", help="of one boot (default 300)")
    parser.add_argument("--seccomp", choices=("on", "off", "auto"),
                        help="UML's userspace mode (default: the kernel's, ptrace)")
    parser.add_argument("--kernel-args", metavar="ARGS", action="append", default=[],
                        help="added to the kernel command line, after umthp's own words")
    parser.add_argument("--json", metavar="F", help="verdict as JSON, - for stdout")
    parser.add_argument("--junit", metavar="F", help="results as JUnit XML, - for stdout")
    parser.add_argument("--bisect", action="store_true",
                        help="exit codes for git bisect run: 125 skips, 128+ stops")
    parser.add_argument("--write-expected", action="store_true", help=argparse.SUPPRESS)


class _Commands:
    """Makes the parsers of the commands."""

    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parsers = parser.add_subparsers(dest="command", metavar="", prog="umthp",
                                             help=argparse.SUPPRESS)

    def add(self, name: str, main: Callable[[argparse.Namespace, Context], int], text: str,
            kernel: bool = True) -> argparse.ArgumentParser:
        parser = self.parsers.add_parser(name, description=text)
        (kernel_arguments if kernel else _common)(parser)
        parser.set_defaults(main=main)
        return parser


def _run(commands: _Commands) -> None:
    from . import affected, commit_range, run_command
    parser = commands.add("run", run_command.run, "Build if needed, run the suites, judge.")
    run_arguments(parser)
    commit_range.arguments(parser)
    affected.arguments(parser)


def _exec(commands: _Commands) -> None:
    from . import run_command
    run_arguments(commands.add("exec", run_command.execute,
                               "Run the kernel that was built last."))


def _build(commands: _Commands) -> None:
    from . import run_command
    commands.add("build", run_command.build, "Prepare the tree and build the kernel.")


def _list(commands: _Commands) -> None:
    from . import list_command
    parser = commands.add("list", list_command.main, "List tests, or a table of this project.")
    parser.add_argument("glob", nargs="?", metavar="GLOB")
    parser.add_argument("--slow", action="store_true", help="slow tests too")
    what = parser.add_mutually_exclusive_group()
    for name, text in (("suites", "the suites"), ("variants", "for --variant"),
                       ("kernels", "packages that are supported"),
                       ("known-bugs", "bugs of the kernel that a case shows"),
                       ("trace", "what must be shown, and by which case")):
        what.add_argument("--" + name, dest="what", action="store_const", const=name, help=text)


def _doctor(commands: _Commands) -> None:
    from . import doctor
    commands.add("doctor", doctor.main, "Check what the host must give.", kernel=False)


def _clean(commands: _Commands) -> None:
    from . import clean
    parser = commands.add("clean", clean.main, "Give disk space back.", kernel=False)
    parser.add_argument("--all", action="store_true", help="sources and compiler cache too")
    parser.add_argument("--dry-run", action="store_true", help="show what would go")


def _hook(commands: _Commands) -> None:
    from . import hook
    hook.arguments(commands.parsers.add_parser("hook", description=hook.DESCRIPTION), _common,
                   _positive, _run_defaults())


def _man(commands: _Commands) -> None:
    from . import manual
    commands.add("man", manual.main, manual.DESCRIPTION, kernel=False)


def _version_command(commands: _Commands) -> None:
    commands.add("version", _version, "Version of umthp.", kernel=False)


def _module(name: str, module: str, kernel: bool = True) -> Callable[[_Commands], None]:
    """A command that is a module with DESCRIPTION, arguments() and main()."""
    def add(commands: _Commands) -> None:
        found = importlib.import_module("." + module, __package__)
        found.arguments(commands.add(name, found.main, found.DESCRIPTION, kernel))
    return add


def _selftest(commands: _Commands) -> None:
    importlib.import_module(".selftest", __package__).register(commands.parsers)


# What adds each command to the parser: a module is imported only if its command is wanted.
_COMMANDS: Dict[str, Callable[[_Commands], None]] = {
    "run": _run, "exec": _exec, "build": _build, "list": _list, "doctor": _doctor,
    "clean": _clean, "hook": _hook, "version": _version_command, "selftest": _selftest,
    **{name: _module(name, name) for name in ("coverage", "mutants", "shell", "gdb", "export",
                                              "bench")},
    "report": _module("report", "report_command", kernel=False),
    "ci-matrix": _module("ci-matrix", "ci_matrix", kernel=False),
    "completion": _module("completion", "completion", kernel=False), "man": _man}


def make_parser(only: Optional[str] = None) -> argparse.ArgumentParser:
    """only: the one command that it needs to know; all, if there is no such command."""
    parser = argparse.ArgumentParser(
        prog="umthp", description=DESCRIPTION, epilog=EPILOG,
        usage="umthp COMMAND [options]     (umthp COMMAND --help for its options)",
        add_help=False,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    # The text has no room for what everybody knows.
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    parser.add_argument("--version", action="version", version="umthp " + __version__,
                        help=argparse.SUPPRESS)
    commands = _Commands(parser)
    for name, add in _COMMANDS.items():
        if only in (name, None) or only not in _COMMANDS:
            add(commands)
    return parser


def _run_defaults() -> Dict[str, Any]:
    parser = argparse.ArgumentParser()
    kernel_arguments(parser)
    run_arguments(parser)
    return vars(parser.parse_args([]))


def _version(args: argparse.Namespace, context: Context) -> int:
    context.console.say("umthp " + __version__)
    return EXIT_PASS


def _interrupt(signum: int, frame: Optional[FrameType]) -> None:
    # A second signal while children are being killed must not stop that.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    raise Interrupted(signum)


def main(argv: Optional[List[str]] = None) -> int:
    """Run one command; returns the exit code."""
    words = sys.argv[1:] if argv is None else argv
    guest_command = None
    if words[:1] == ["shell"]:
        from . import shell
        words, guest_command = shell.split_command(words)
    parser = make_parser(words[0] if words else None)
    try:
        args = parser.parse_args(words)
    except SystemExit as error:
        if error.code == EXIT_USAGE and any(
                len(word) > 2 and "--bisect".startswith(word) for word in words):
            # argparse's 2 would make every commit a bad one. It takes shortened options as well.
            return BISECT_ABORT + EXIT_USAGE
        raise
    if not args.command:
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    args.guest_command = guest_command
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) != signal.SIG_IGN or number == signal.SIGINT:
            signal.signal(number, _interrupt)
    console = Console(args.verbose, args.quiet)
    debug = bool(os.environ.get("UMTHP_DEBUG"))
    try:
        return int(args.main(args, Context(args, console)))
    except UmthpError as error:
        return _fail(console, error, args, debug)
    except Interrupted as error:
        console.clear_status()
        console.error("interrupted by %s" % signal.Signals(error.signum).name,
                      "the cache is intact, run the command again to go on")
        return 128 + error.signum
    except BrokenPipeError:
        # Whoever read our output has gone; nothing more can be told.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 128 + signal.SIGPIPE
    except OSError as error:
        if debug:
            _show_where()
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return _fail(console, disk_full(error.filename or "the cache"), args, debug)
        cause = HostError("%s: %s" % (error.filename or "system", error.strerror or error),
                          "run `umthp doctor`; UMTHP_DEBUG=1 shows where it happened")
        return _fail(console, cause, args, False)
    except Exception:
        # A mistake of umthp itself says nothing about the commit: Python's exit code would.
        if not getattr(args, "bisect", False):
            raise
        console.clear_status()
        _show_where()
        return BISECT_ABORT + EXIT_FAIL


def _show_where() -> None:
    import traceback
    traceback.print_exc()


def _fail(console: Console, error: UmthpError, args: argparse.Namespace, debug: bool) -> int:
    console.clear_status()
    if debug:
        _show_where()
    console.error(error.cause, error.fix, error.log)
    if getattr(args, "bisect", False):
        return bisect_code(error.exit_code, error)
    return error.exit_code
