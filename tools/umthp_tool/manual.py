# SPDX-License-Identifier: GPL-2.0
"""umthp man: the manual page, from the parser and the few words here that --help has no room for.

    umthp man | man -l -
"""
from __future__ import annotations

import argparse
from typing import List, Sequence, Tuple

from . import __version__, command_tree
from .command_tree import Command, Option
from .context import Context
from .errors import EXIT_PASS

DESCRIPTION = "Print the manual page, as roff: umthp man | man -l -"
_ABOUT = (
    "User-mode Linux is a kernel that runs as an ordinary process. umthp gives it huge pages and a "
    "fake device with device-private memory, builds the kernel of the tree that it is called in, "
    "and runs KUnit suites on that kernel's own code: splits of large folios, the phases of "
    "migrate_vma, faults, fork, unmapping. The tree is only read; what is built is a copy in the "
    "cache. A verdict is a pass only if every expected test gave a result, all results are good, "
    "the log has no splat, and the kernel halted as it should.")
_EXIT = (
    ("0", "pass"), ("1", "a test failed, or the log holds a splat"), ("2", "usage"),
    ("3", "nothing ran: no test matches, or all were skipped"),
    ("4", "configuration: an option that the suites need was dropped, or a table is missing"),
    ("5", "build"), ("6", "the series does not apply, or the kernel is not supported"),
    ("7", "this host cannot run UML; umthp doctor says why"), ("8", "time-out or crash"))
_BISECT = ("With --bisect, 3, 4, 5 and 6 become 125, and 2, 7 and mistakes of umthp itself 128 and "
           "more, as git bisect run wants it.")
_ENVIRONMENT = (
    ("UMTHP_CACHE", "the directory of everything that umthp writes"),
    ("XDG_CACHE_HOME", "without UMTHP_CACHE, the cache is its subdirectory umthp (default: "
     "~/.cache/umthp)"),
    ("TMPDIR", "where the memory of UML may be, if it can be executed there; else /dev/shm, /tmp"),
    ("XDG_RUNTIME_DIR", "the next place for it"),
    ("NO_COLOR", "no colours"),
    ("UMTHP_DEBUG", "show where in umthp an error comes from"))
_EXAMPLES = (
    ("cd ~/linux && umthp run", "Test the tree as it is, uncommitted edits included."),
    ("umthp run 'device_private_thp_split*' --isolate test", "Some suites, a boot for each test."),
    ("git bisect run umthp run --bisect", "Find the commit that broke it."),
    ("umthp run --kernel-args thp_ledger.show=12; umthp report --html page",
     "See, for each case, what its steps change."))


def main(args: argparse.Namespace, context: Context) -> int:
    from .cli import DESCRIPTION as short
    from .cli import make_parser
    for line in page(command_tree.read(make_parser()), short):
        context.console.say(line)
    return EXIT_PASS


def page(commands: Sequence[Command], short: str) -> List[str]:
    """The lines of umthp.1"""
    out = ['.\\" Made by: umthp man', '.TH UMTHP 1 "" "umthp %s" "User Commands"' % __version__,
           ".SH NAME", "umthp \\- " + escaped(short[0].lower() + short[1:].rstrip(".")),
           ".SH SYNOPSIS", ".B umthp", ".I COMMAND", "[options]",
           ".SH DESCRIPTION", escaped(_ABOUT), ".SH COMMANDS"]
    for_all, for_kernels = shared(commands)
    for command in commands:
        out += [".SS " + escaped(command.usage), escaped(command.text)]
        for option in (*command.arguments, *command.options):
            if option not in for_all + for_kernels:
                out += _option(option)
        if set(for_kernels) <= set(command.options):
            out += [".PP", "And the options for the kernel."]
    out += [".SH OPTIONS FOR THE KERNEL"]
    out += [line for option in for_kernels for line in _option(option)]
    out += [".SH OPTIONS OF ALL COMMANDS"]
    out += [line for option in for_all for line in _option(option)]
    out += [".SH EXIT STATUS"] + _list(_EXIT) + [".PP", escaped(_BISECT)]
    out += [".SH ENVIRONMENT"] + _list(_ENVIRONMENT)
    out += [".SH EXAMPLES"]
    for command_line, text in _EXAMPLES:
        out += [".TP", ".B " + escaped(command_line), escaped(text)]
    return out + [".SH SEE ALSO", ".BR git\\-bisect (1),",
                  "Documentation/dev\\-tools/kunit in the kernel's source"]


def shared(commands: Sequence[Command]) -> Tuple[List[Option], List[Option]]:
    """Options that all commands have, and those of all commands that build a kernel."""
    for_all = [option for option in commands[0].options
               if all(option in command.options for command in commands)]
    building = [command for command in commands
                if any("--rev" in option.flags for option in command.options)]
    return for_all, [option for option in building[0].options if option not in for_all
                     and all(option in command.options for command in building)]


def _option(option: Option) -> List[str]:
    if not option.flags:
        return [".TP", "\\fI%s\\fR" % escaped(option.value), escaped(option.text)]
    names = ["\\fB%s\\fR" % escaped(flag) for flag in option.flags]
    value = " \\fI%s\\fR" % escaped(option.value) if option.takes_value else ""
    return [".TP", ", ".join(names) + value, escaped(option.text)]


def _list(rows: Sequence[Sequence[str]]) -> List[str]:
    return [line for name, text in rows for line in (".TP", ".B " + escaped(name), escaped(text))]


def escaped(text: str) -> str:
    """Text in which roff finds nothing to obey."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("`", "\\(ga")
    text = " ".join(text.split())
    return "\\&" + text if text.startswith((".", "'", "\\(aq")) else text
