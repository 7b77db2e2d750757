# SPDX-License-Identifier: GPL-2.0
"""Coverage for people: a table by function, then the lines that were not reached."""
from __future__ import annotations

from typing import Dict, List, Sequence, Set, Tuple

from .console import Console, printable
from .coverage_table import Function, Sum, total
from .unreached import Check

_HEAD = "%-56s %14s %14s %14s" % ("function", "lines", "branches", "conditions")


def targets(found: Dict[str, Function], functions: Sequence[str],
            files: Sequence[str]) -> List[str]:
    """The functions that the table is about, those of the split path first."""
    keys = [key for key in functions if key in found]
    return keys + [key for key, function in found.items()
                   if function.file in files and key not in keys]


def show(found: Dict[str, Function], functions: Sequence[str], files: Sequence[str],
         check: Check, console: Console, whole: bool) -> None:
    """The tables; and, of a whole run, what does not agree with the list of unreached lines."""
    say = console.say
    groups = [("the split path", [key for key in functions if key in found])]
    groups += [(file, [key for key, function in found.items() if function.file == file])
               for file in files]
    if not console.quiet:
        for title, keys in groups:
            _group(title, keys, found, check if whole else Check(), console)
    if not whole:
        return
    for key, numbers in _by_function(check.unlisted).items():
        say("%s %s: not reached, and not in tests/coverage_unreached:" % (
            console.colour("red", "UNREACHED"), key))
        _lines(found[key], numbers, console)
    for text in check.stale:
        say("%s tests/coverage_unreached %s" % (console.colour("red", "WRONG"), printable(text)))
    if console.verbose:
        for key in targets(found, functions, files):
            _branches(found[key], check.without(key), console)


def suites(found: Dict[str, List[str]], functions: Sequence[str], files: Sequence[str],
           console: Console) -> None:
    """How much of what the table is about each suite reaches."""
    if console.quiet:
        return
    console.say("%-44s %12s %12s" % ("suite", "split path", "functions"))
    for suite, keys in found.items():
        reached = set(keys)
        console.say("%-44s %12s %12d" % (
            suite, "%d/%d" % (len(reached.intersection(functions)), len(functions)), len(keys)))


def _group(title: str, keys: Sequence[str], found: Dict[str, Function], check: Check,
           console: Console) -> None:
    say = console.say
    say(_HEAD)
    whole, possible = Sum(), Sum()
    for key in keys:
        sums = total(found[key])
        whole += sums
        possible += total(found[key], check.without(key))
        say(_row("  " + key.replace(title + ":", ""), sums))
    say(_row(title, whole, percent=True))
    if possible != whole:
        say(_row("  without what tests/coverage_unreached lists", possible, percent=True))
    say("")


def _row(name: str, sums: Sum, percent: bool = False) -> str:
    def cell(pair: Tuple[int, int]) -> str:
        text = "%d/%d" % pair
        return text + (" %3d%%" % (100 * pair[0] // pair[1]) if percent and pair[1] else "")
    return "%-56s %14s %14s %14s" % (name, cell(sums.lines), cell(sums.branches), cell(sums.own))


def _by_function(pairs: Sequence[Tuple[str, int]]) -> Dict[str, List[int]]:
    made: Dict[str, List[int]] = {}
    for key, number in pairs:
        made.setdefault(key, []).append(number)
    return made


def _lines(function: Function, numbers: Sequence[int], console: Console) -> None:
    for number in numbers:
        console.say("    %5d  %s" % (number, printable(function.text[number])))


def _branches(function: Function, without: Set[int], console: Console) -> None:
    """With -v: lines that were executed, but were not left in all ways."""
    numbers = [number for number in function.half_taken() if number not in without]
    if not numbers:
        return
    console.say("%s: branches not taken:" % function.key)
    for number in numbers:
        arcs = function.lines[number].branches
        console.say("    %5d  %d of %d  %s" % (number, arcs.count(0), len(arcs),
                                               printable(function.text[number])))
