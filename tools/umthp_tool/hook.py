# SPDX-License-Identifier: GPL-2.0
"""umthp hook install, uninstall, status, run: the command line of the pre-commit hook."""
from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any, Callable, Dict, List

from . import config, expected, hook_file, hook_run
from .console import printable
from .context import Context
from .errors import EXIT_FAIL, EXIT_PASS
from .hook_file import HookPlace

DESCRIPTION = (
    "A git pre-commit hook that tests what is staged. It is back at once when nothing is staged "
    "that tools/hooks/paths names, silent when all is well, and stops the commit when a test fails "
    "or the kernel does not build. What keeps it from testing (no compiler, a host that cannot run "
    "UML, a kernel that is not supported) is a warning. A hook that is there already is kept, and "
    "runs first. `git commit --no-verify` goes without.")


def arguments(parser: argparse.ArgumentParser, common: Callable[[argparse.ArgumentParser], None],
              positive: Callable[[str], int], run_defaults: Dict[str, Any]) -> None:
    """run_defaults: what `umthp run` has without options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True,
                                    help="what to do with it")

    def action(name: str, main: Callable[[argparse.Namespace, Context], int],
               text: str) -> argparse.ArgumentParser:
        sub = actions.add_parser(name, description=text, help=text)
        common(sub)
        sub.set_defaults(main=main)
        return sub

    for name, main, text in (
            ("install", install, "put the hook into the repository of the current directory"),
            ("run", hook_run.main, "test the index that git hands over; 0: commit")):
        sub = action(name, main, text)
        sub.add_argument("glob", nargs="?", metavar="GLOB", help="these suites or tests only")
        sub.add_argument("--strict", action="store_true",
                         help="a commit that cannot be tested is not made")
        sub.add_argument("--variant", default=config.DEFAULT, metavar="NAME",
                         help="kernel configuration (`umthp list --variants`)")
        sub.add_argument("--jobs", "-j", type=positive, metavar="N", help="parallel make jobs")
        sub.add_argument("--timeout", type=positive, metavar="S",
                         help="of one boot (default 300)")
        sub.add_argument("--seccomp", choices=("on", "off", "auto"),
                         help="UML's userspace mode (default: the kernel's, ptrace)")
        sub.set_defaults(**run_defaults)
    action("uninstall", uninstall, "take it away; what was there before is put back")
    action("status", status, "is it there, and what does it do? 0: it is, 1: it is not")


def install(args: argparse.Namespace, context: Context) -> int:
    config.variant(context.layout, args.variant)
    if args.glob:
        expected.check_glob(args.glob)
    place = HookPlace.find(Path.cwd())
    chained = hook_file.install(place, _words(args))
    console = context.console
    if console.quiet:
        return EXIT_PASS
    console.say(printable("installed %s%s" % (
        place.hook, "; the hook that was there runs first" if chained else "")))
    if place.shared:
        console.note("%s is not of this repository alone (core.hooksPath): the hook tests every "
                     "kernel tree whose hooks are there" % place.hooks)
    return EXIT_PASS


def _words(args: argparse.Namespace) -> List[str]:
    """The same options for `umthp hook run`."""
    words: List[str] = ["--strict"] if args.strict else []
    defaults: Dict[str, object] = {"variant": config.DEFAULT}
    for name in ("variant", "jobs", "timeout", "seccomp"):
        value = getattr(args, name)
        if value != defaults.get(name):
            words += ["--" + name, str(value)]
    return words + (["--verbose"] if args.verbose else []) + ([args.glob] if args.glob else [])


def uninstall(args: argparse.Namespace, context: Context) -> int:
    place = HookPlace.find(Path.cwd())
    removed = hook_file.uninstall(place)
    if not context.console.quiet:
        back = " is as it was before" if os.path.lexists(place.hook) else " is gone"
        context.console.say(printable(
            "%s%s" % (place.hook, back) if removed else "there is no hook of umthp in %s"
            % place.hooks))
    return EXIT_PASS


def status(args: argparse.Namespace, context: Context) -> int:
    place = HookPlace.find(Path.cwd())
    say = context.console.say
    calls = place.hook
    if not hook_file.is_ours(place.hook):
        moved = hook_file.renamed(place)
        if not moved:
            say(printable("not installed: %s is %s" % (
                place.hook, "another tool's" if os.path.lexists(place.hook) else "not there")))
            return EXIT_FAIL
        calls = moved[0]
    say(printable("installed: %s" % calls))
    if os.path.lexists(place.saved):
        say(printable("runs first: %s" % place.saved))
    tools = hook_file.tools_of(calls)
    say(printable("runs then: %s/umthp hook run %s" % (
        tools, hook_file.options_of(calls))).rstrip())
    if not os.access(calls, os.X_OK):
        context.console.warning("%s is not executable, git passes over it: umthp hook install"
                                % calls)
        return EXIT_FAIL
    if tools is None or not (tools / "hooks" / hook_file.NAME).is_file():
        context.console.warning("umthp is not there any more: umthp hook install, from where it "
                                "is now")
        return EXIT_FAIL
    return EXIT_PASS
