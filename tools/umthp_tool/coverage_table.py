# SPDX-License-Identifier: GPL-2.0
"""gcov's counts by function: what is hit, of how much, and which lines are not.

Branches are gcov's raw arcs, as `gcov -b` counts them: every condition of an `if` has two, every
macro and inline function that tests something has its own, a VM_WARN_ON_ONCE() five or six of
which a kernel without a bug takes two. So there is a second count, of what the function itself
decides: without the arcs of lines that are an assertion and nothing else, which are not taken as
long as the kernel is right, and without those of statements that have no condition.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Optional, Sequence, Set, Tuple

from .c_functions import functions, without_comments
from .gcov import Counts, Line

_ASSERTION = re.compile(r"(?:VM_)?(?:WARN|BUG)(?:_ON)?(?:_ONCE)?(?:_\w+)?\(|lockdep_\w+\("
                        r"|\w*_assert_\w+\(|assert_\w+\(|might_\w+\(|CHECK_DATA_CORRUPTION\(")
_CONDITION = re.compile(r"\b(?:if|while|for|switch|case|default|\w*for_each\w*)\b|&&|\|\||\?"
                        r"|[=!<>]=|(?<!<)<(?!<)|(?<![->])>(?!>)")


@dataclass
class Function:
    """One function's instrumented lines."""

    file: str
    name: str
    lines: Dict[int, Line] = field(default_factory=dict)
    text: Dict[int, str] = field(default_factory=dict)
    decides: Set[int] = field(default_factory=set)      # lines with a condition of its own

    @property
    def key(self) -> str:
        return "%s:%s" % (self.file, self.name)

    @property
    def reached(self) -> bool:
        return any(line.count for line in self.lines.values())

    def missed(self) -> List[int]:
        """Lines that were never executed."""
        return [number for number in sorted(self.lines) if not self.lines[number].count]

    def half_taken(self) -> List[int]:
        """Executed lines with a condition that leave in fewer ways than they could."""
        return [number for number in sorted(self.lines) if number in self.decides
                and self.lines[number].count and 0 in self.lines[number].branches]


@dataclass
class Sum:
    """hit and total of lines, raw branches, and branches of the function's own conditions."""

    lines: Tuple[int, int] = (0, 0)
    branches: Tuple[int, int] = (0, 0)
    own: Tuple[int, int] = (0, 0)

    def __add__(self, other: "Sum") -> "Sum":
        def add(a: Tuple[int, int], b: Tuple[int, int]) -> Tuple[int, int]:
            return (a[0] + b[0], a[1] + b[1])
        return Sum(add(self.lines, other.lines), add(self.branches, other.branches),
                   add(self.own, other.own))


def table(counts: Counts, src: Path) -> Dict[str, Function]:
    """Every function that has instrumented lines, of all files in counts, as file:name."""
    found: Dict[str, Function] = {}
    for file in sorted(counts):
        try:
            text = (src / file).read_text(encoding="utf-8", errors="replace")
        except OSError:
            continue
        lines = text.splitlines()
        decides = condition_lines(text) - assertion_lines(lines)
        for extent in functions(text):
            inside = {number: counts[file][number]
                      for number in range(extent.first, extent.last + 1)
                      if number in counts[file]}
            if not inside:
                continue
            entry = found.setdefault("%s:%s" % (file, extent.name), Function(file, extent.name))
            entry.lines.update(inside)
            entry.text.update({number: lines[number - 1].strip() for number in inside})
            entry.decides |= decides & set(inside)
    return found


def assertion_lines(lines: Sequence[str]) -> Set[int]:
    """Lines, from 1, of statements that are one assertion."""
    found: Set[int] = set()
    open_ = 0
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not open_ and not _ASSERTION.match(text):
            continue
        found.add(number)
        open_ = max(0, open_ + text.count("(") - text.count(")"))
    return found


def condition_lines(text: str) -> Set[int]:
    """Lines, from 1, of statements that have a condition."""
    found: Set[int] = set()
    statement, first, depth = "", 1, 0
    line = 1
    for char in re.sub(r'"(?:\\.|[^"\\\n])*"', '""', without_comments(text)):
        depth += (char == "(") - (char == ")")
        if char in "{}" or char == ";" and depth <= 0:
            if _CONDITION.search(statement):
                found.update(range(first, line + 1))
            statement, depth = "", 0
        elif statement or not char.isspace():
            first = first if statement else line
            statement += char
        line += char == "\n"
    return found


def total(function: Function, without: Optional[Set[int]] = None) -> Sum:
    """Of one function; `without` are lines that do not count at all."""
    made = Sum()
    for number, line in function.lines.items():
        if without and number in without:
            continue
        branches = (sum(1 for count in line.branches if count), len(line.branches))
        made += Sum((int(line.count > 0), 1), branches,
                    branches if number in function.decides else (0, 0))
    return made


def document(found: Dict[str, Function]) -> Dict[str, Dict[str, Dict[str, List[int]]]]:
    """What --json writes."""
    made = {}
    for key in sorted(found):
        sums = total(found[key])
        made[key] = {"lines": list(sums.lines), "branches": list(sums.branches)}
    return {"functions": made}
