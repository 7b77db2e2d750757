# SPDX-License-Identifier: GPL-2.0
"""tests/coverage_unreached: the lines that no test can reach, and why.

    mm/huge_memory.c:__folio_split  kernel>=7.3
        ret = -EBUSY;
        #2 goto out;
        /^VM_WARN_ON_ONCE.*order/
        branch: if (folio_test_ksm(folio) && order)
        because: the callers have refused it already, see
            folio_check_splittable()

A head: file, function, conditions as in expected_tests. Then, indented, one line of that function
each: its text (blanks do not count), `#N text` for the N-th line of that text, /RE/ for what a
regular expression finds, `*` for all of it. With `branch:` the line is reached, but cannot be left
in all ways. Last `because:` and the reason, which may go on.

Both ways are checked: a line that is not reached must be in the table, what is in the table must
be there and must not be reached.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, List, Sequence, Set, Tuple

from . import expected
from .coverage_table import Function
from .errors import UsageError

_HEAD = re.compile(r"^([\w./-]+\.[ch]):(\w+)((?:\s+\S+)*)$")
_NTH = re.compile(r"^#(\d+)\s+(.*)$")
_BRANCH = "branch:"
_BECAUSE = "because:"


@dataclass(frozen=True)
class Pattern:
    """One line of a function, by its text."""

    text: str
    branch: bool
    place: int          # in the table, for messages

    def find(self, function: Function) -> Set[int]:
        """The numbers of the lines that it means."""
        if self.text == "*":
            return set(function.lines)
        if len(self.text) > 2 and self.text[0] == self.text[-1] == "/":
            regex = re.compile(self.text[1:-1])
            return {number for number, text in function.text.items() if regex.search(text)}
        nth = _NTH.match(self.text)
        wanted = _squeeze(nth.group(2) if nth else self.text)
        same = [number for number in sorted(function.text)
                if _squeeze(function.text[number]) == wanted]
        if nth:
            return set(same[int(nth.group(1)) - 1:int(nth.group(1))])
        return set(same)


@dataclass
class Row:
    """Lines of one function that have one reason."""

    key: str            # file:function
    conditions: Tuple[str, ...]
    patterns: List[Pattern] = field(default_factory=list)
    reason: str = ""

    def applies(self, run: expected.Run) -> bool:
        return expected.Entry(self.key, self.conditions).applies(run)


@dataclass
class Check:
    """The table against one run."""

    lines: Dict[str, Set[int]] = field(default_factory=dict)        # cannot be reached, by key
    branches: Dict[str, Set[int]] = field(default_factory=dict)     # cannot be left in all ways
    stale: List[str] = field(default_factory=list)                  # rows that are wrong
    unlisted: List[Tuple[str, int]] = field(default_factory=list)   # (key, line) not in the table

    @property
    def right(self) -> bool:
        return not self.stale and not self.unlisted

    def without(self, key: str) -> Set[int]:
        return self.lines.get(key, set()) | self.branches.get(key, set())


def load(path: Path) -> List[Row]:
    """The rows of the table. UsageError names a line that is not of its form."""
    rows: List[Row] = []
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return rows

    def wrong(number: int, why: str) -> UsageError:
        return UsageError("%s line %d: %s" % (path, number, why),
                          "the form is told at the top of tools/umthp_tool/unreached.py")
    for number, line in enumerate(text.splitlines(), 1):
        words = line.strip()
        # A `#` starts a comment in column 0 only: `#2 goto out;` is a pattern.
        if not words or line.startswith("#"):
            continue
        if not line[0].isspace():
            match = _HEAD.match(line.rstrip())
            conditions = tuple(match.group(3).split()) if match else ()
            if match is None or not all(map(expected.is_condition, conditions)):
                raise wrong(number, "neither FILE:FUNCTION with conditions nor an indented line")
            if rows and not rows[-1].reason:
                raise wrong(number, "the row before it has no `because:`")
            rows.append(Row("%s:%s" % match.group(1, 2), conditions))
        elif not rows:
            raise wrong(number, "an indented line without a FILE:FUNCTION above it")
        elif rows[-1].reason:
            rows[-1].reason += " " + words
        elif words.startswith(_BECAUSE):
            rows[-1].reason = words[len(_BECAUSE):].strip()
            if not rows[-1].reason or not rows[-1].patterns:
                raise wrong(number, "a reason needs words, and lines that it is for")
        else:
            branch = words.startswith(_BRANCH)
            pattern = Pattern(words[len(_BRANCH):].strip() if branch else words, branch, number)
            _compiles(pattern, wrong)
            rows[-1].patterns.append(pattern)
    if rows and not rows[-1].reason:
        raise wrong(number, "the last row has no `because:`")
    return rows


def check(rows: Sequence[Row], found: Dict[str, Function], targets: Sequence[str],
          run: expected.Run) -> Check:
    """Compare the table with what was reached. targets: the functions that must be whole."""
    made = Check()
    for row in rows:
        if not row.applies(run):
            continue
        function = found.get(row.key)
        if function is None:
            made.stale.append("line %d: there is no function %s" % (row.patterns[0].place - 1,
                                                                    row.key))
            continue
        for pattern in row.patterns:
            _check_pattern(pattern, function, made)
    for key in targets:
        listed = made.lines.get(key, set())
        made.unlisted += [(key, number) for number in found[key].missed()
                          if number not in listed]
    return made


def _check_pattern(pattern: Pattern, function: Function, made: Check) -> None:
    numbers = pattern.find(function)
    where = "line %d: %s: " % (pattern.place, function.key)
    if not numbers:
        made.stale.append(where + "has no instrumented line `%s`" % pattern.text)
        return
    if pattern.branch:
        done = {number for number in numbers if function.lines[number].count
                and 0 not in function.lines[number].branches}
        made.branches.setdefault(function.key, set()).update(numbers - done)
        what = "is left in all ways now"
    else:
        done = {number for number in numbers if function.lines[number].count}
        made.lines.setdefault(function.key, set()).update(numbers - done)
        what = "is reached now"
    made.stale += [where + "line %d %s: %s" % (number, what, function.text[number])
                   for number in sorted(done)]


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def _compiles(pattern: Pattern, wrong) -> None:     # type: ignore[no-untyped-def]
    if pattern.text[:1] == pattern.text[-1:] == "/":
        try:
            re.compile(pattern.text[1:-1])
        except re.error as error:
            raise wrong(pattern.place, "not a regular expression: %s" % error) from error
