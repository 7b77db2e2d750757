# SPDX-License-Identifier: GPL-2.0
"""Which suites reach what changed in a source file, by function, then by line.

Three texts of one file: before and after the change, and the one that the map of suites was taken
from. Functions are found by their names, so that one that only moved has not changed; lines of a
changed function by comparing its three texts. Comments and blank lines are no change.

A line that was there and is executed by a suite is reached by it, and so is what stands in its
place now. Of a line that is new, or that the compiler gave no count, the block decides that it
stands in: whoever executes anything of the block may come to it. In doubt it is the function.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Dict, FrozenSet, List, Optional, Sequence, Tuple

from .c_functions import functions, without_comments

if TYPE_CHECKING:
    from difflib import SequenceMatcher

Suites = FrozenSet[str]
# Line -> who executes it, for every line that has a count.
Reached = Dict[int, Suites]

CHANGED, NEW, DELETED = "changed", "new", "deleted"
TAB = 8


@dataclass(frozen=True)
class Line:
    """A line with code on it."""

    number: int
    indent: int
    text: str


@dataclass
class Change:
    """Lines of one function that have the same fate."""

    file: str
    function: str
    kind: str
    suites: Suites                  # that reach it
    lines: List[int] = field(default_factory=list)      # as they are now; none if they are gone
    old: List[int] = field(default_factory=list)        # as they were
    compiled: bool = True           # False: no line of the function has a count
    text: Dict[int, str] = field(default_factory=dict)  # of lines, or of old if there are none


@dataclass
class FileChanges:
    changes: List[Change] = field(default_factory=list)
    # Why every suite may be concerned; empty: only those of the changes are.
    everywhere: List[str] = field(default_factory=list)


def read(text: str) -> "Tuple[Dict[str, List[Line]], List[Line]]":
    """The functions of a file by name, and the lines that are in none.

    A name that comes twice (the two sides of an #ifdef) has the lines of both.
    """
    cleaned = without_comments(text)
    rows = cleaned.splitlines()
    found: Dict[str, List[Line]] = {}
    inside = set()
    for extent in functions(cleaned):
        numbers = range(extent.first, extent.last + 1)
        inside.update(numbers)
        found.setdefault(extent.name, []).extend(_lines(rows, numbers))
    return found, _lines(rows, [number for number in range(1, len(rows) + 1)
                                if number not in inside])


def _lines(rows: Sequence[str], numbers: Sequence[int]) -> List[Line]:
    made = []
    for number in numbers:
        row = rows[number - 1].expandtabs(TAB)
        if row.strip():
            made.append(Line(number, len(row) - len(row.lstrip()), row.strip()))
    return made


def compare(file: str, before: str, after: str, mapped: str, reached: Reached) -> FileChanges:
    """What became of one file between `before` and `after`."""
    made = FileChanges()
    old, old_rest = read(before)
    new, new_rest = read(after)
    known = old if mapped == before else read(mapped)[0]
    number = _first_difference(old_rest, new_rest)
    if number is not None:
        made.everywhere.append("%s:%d is outside of functions" % (file, number))
    for name in sorted({*old, *new}, key=lambda name: (new.get(name) or old[name])[0].number):
        if _texts(old.get(name, [])) == _texts(new.get(name, [])):
            continue
        if name not in old:
            made.changes.append(_change(file, name, NEW, frozenset(), new[name], []))
        elif name not in known:
            made.everywhere.append("%s:%s() is not in the map" % (file, name))
        else:
            made.changes += _Function(file, name, known[name], reached).changes(
                old[name], new.get(name))
    return made


def _matcher(old: List[Line], new: List[Line]) -> "SequenceMatcher[str]":
    from difflib import SequenceMatcher     # not needed by a run without a change
    return SequenceMatcher(None, _texts(old), _texts(new), False)


def _texts(lines: Sequence[Line]) -> List[str]:
    return [line.text for line in lines]


def _first_difference(old: Sequence[Line], new: Sequence[Line]) -> Optional[int]:
    """The first line outside of functions that differs, by its number now."""
    if _texts(old) == _texts(new):
        return None
    for before, after in zip(old, new):
        if before.text != after.text:
            return after.number
    return (new[len(old)] if len(new) > len(old) else (new or old)[-1]).number


def _change(file: str, name: str, kind: str, suites: Suites, new: Sequence[Line],
            old: Sequence[Line], compiled: bool = True) -> Change:
    return Change(file, name, kind, suites, [line.number for line in new],
                  [line.number for line in old], compiled,
                  {line.number: line.text for line in new or old})


class _Function:
    """A function as the map knows it."""

    def __init__(self, file: str, name: str, lines: List[Line], reached: Reached) -> None:
        self.file = file
        self.name = name
        self.lines = lines
        self.counts = [reached.get(line.number) for line in lines]
        self.whole = self._any(range(len(lines)))
        self.compiled = any(count is not None for count in self.counts)

    def _any(self, places: Sequence[int]) -> Suites:
        """Who executes any of these lines."""
        return frozenset().union(*(self.counts[at] or () for at in places))

    def changes(self, old: List[Line], new: Optional[List[Line]]) -> List[Change]:
        if new is None:
            return [_change(self.file, self.name, DELETED, self.whole, [], old, self.compiled)]
        places = self._places(old)
        made: List[Change] = []
        for tag, i1, i2, j1, j2 in _matcher(old, new).get_opcodes():
            if tag == "equal":
                continue
            # As many lines as before: each is in the place of its own.
            paired = i2 - i1 == j2 - j1
            for at in range(i2 - i1 if paired else 1):
                was = range(i1 + at, i1 + at + 1) if paired else range(i1, i2)
                now = new[j1 + at:j1 + at + 1] if paired else new[j1:j2]
                self._add(made, _change(
                    self.file, self.name, CHANGED, self._reach(old, was, now, places), now,
                    [old[place] for place in was], self.compiled))
        return made

    @staticmethod
    def _add(made: List[Change], change: Change) -> None:
        """Neighbours with the same fate become one."""
        last = made[-1] if made else None
        if last and last.suites == change.suites and last.lines and change.lines \
                and last.lines[-1] + 1 == change.lines[0]:
            last.lines += change.lines
            last.old += change.old
            last.text.update(change.text)
        else:
            made.append(change)

    def _places(self, old: List[Line]) -> Dict[int, int]:
        """Where in the map's text each line is; none for one that the map does not have."""
        if _texts(old) == _texts(self.lines):
            return {at: at for at in range(len(old))}
        found = {}
        for block in _matcher(old, self.lines).get_matching_blocks():
            found.update({block.a + at: block.b + at for at in range(block.size)})
        return found

    def _reach(self, old: List[Line], was: range, now: Sequence[Line],
               places: Dict[int, int]) -> Suites:
        """Who comes to these lines, which are in the place of those."""
        if was:
            if any(at not in places for at in was):
                return self.whole
            position = places[was[0]]
        else:
            # Between two lines that must still be neighbours in the map.
            before, after = places.get(was.start - 1), places.get(was.start, len(self.lines))
            if before is None or before + 1 != after:
                return self.whole
            position = after
        counted = [places[at] for at in was if self.counts[places[at]] is not None]
        suites = self._any(counted)
        # What is not deeper than a line that was executed has that line's fate at most.
        covered = min((self.lines[at].indent for at in counted), default=None)
        for line in [*now, *(old[at] for at in was if places[at] not in counted)]:
            if covered is None or line.indent < covered or line.text[0] in "#}":
                suites |= self._around(position, line)
        return suites

    def _around(self, position: int, line: Line) -> Suites:
        """Who executes anything of the block that a line before `position` would be in."""
        if line.indent <= TAB and line.text[0] != "}" or line.text[0] in "#{" or _is_label(line):
            return self.whole
        # A closing brace counts for what it closes.
        limit = line.indent + (line.text[0] == "}")
        head = self._head(position, limit)
        if head is None:
            return self.whole
        last = head + 1
        while last < len(self.lines) and (self.lines[last].indent >= limit
                                          or self.lines[last].text[0] == "#"):
            last += 1
        inside = [at for at in range(head + 1, last) if self.counts[at] is not None]
        if line.text[0] == "}":
            inside.append(head)
        if any(self.counts[at] is not None for at in inside):
            return self._any(inside)
        if self.counts[head] is not None:
            return self._any([head])
        return self._around(head, self.lines[head])

    def _head(self, position: int, limit: int) -> Optional[int]:
        """The line that opens the block of indent `limit`; None for that of the function."""
        for at in range(position - 1, -1, -1):
            line = self.lines[at]
            if line.text[0] == "#":
                continue
            if line.indent < limit:
                return None if line.indent == 0 or _is_label(line) else at
        return None


def _is_label(line: Line) -> bool:
    return re.match(r"\w+:(?!:)", line.text) is not None and not line.text.startswith("default:")
