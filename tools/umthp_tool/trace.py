# SPDX-License-Identifier: GPL-2.0
"""Which case shows what: the rows of tests/trace.

A row is what the suites must show: `seed N`, `op N`, or any other kind and number. It has one line
with its title and one for each case:

    op 8 = __split_huge_pmd() without and with freeze, device-private
    op 8  device_private_thp_construct.split_pmd_maps_by_ptes   without freeze

The case is SUITE.TEST or SUITE.TEST[PARAMETER], * and ? may be in it; the rest is a note.
"""
from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

from .errors import IncompleteError, UsageError
from .expected import Entry

# What must have a case: the demands of the seed, and the operations of the state model.
REQUIRED = tuple([("seed", str(number)) for number in range(1, 27)]
                 + [("op", str(number)) for number in range(0, 21)])
_ROW = re.compile(r"^([a-z]+) ([0-9]+(?:\.[0-9]+)?)(?: *= *(.*)|  *(\S+)(?: +(.*))?)$")
_CASE = re.compile(r"^([A-Za-z0-9_*?]+\.[A-Za-z0-9_*?]+)(?:\[([A-Za-z0-9_*?]+)\])?$")

Key = Tuple[str, str]


@dataclass
class Row:
    title: str = ""
    cases: List[Tuple[str, str]] = field(default_factory=list)     # case, note


def load(path: Path) -> Dict[Key, Row]:
    """The rows in the order of the file; those that are required come first."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise IncompleteError("%s is missing" % path,
                              "restore it: git checkout -- tests/%s" % path.name) from error
    rows: Dict[Key, Row] = {key: Row() for key in REQUIRED}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        reason = _add(rows, line.rstrip())
        if reason:
            raise UsageError("%s line %d: %s: %s" % (path, number, reason, line.strip()),
                             "see the top of that file for the form of a line")
    return rows


def _add(rows: Dict[Key, Row], line: str) -> str:
    """Put a line into its row; returns what is wrong with it."""
    match = _ROW.match(line)
    if match is None:
        return "neither `KIND N = TITLE` nor `KIND N  SUITE.TEST`"
    kind, number, title, case, note = match.groups()
    if kind in ("seed", "op") and (kind, number) not in REQUIRED:
        return "there is no %s %s" % (kind, number)
    row = rows.setdefault((kind, number), Row())
    if title is not None:
        if row.title or not title:
            return "a second title" if title else "no title"
        row.title = title
        return ""
    if not _CASE.match(case):
        return "%r is neither SUITE.TEST nor SUITE.TEST[PARAMETER]" % case
    if case in (known for known, _note in row.cases):
        return "%s twice in one row" % case
    row.cases.append((case, note or ""))
    return ""


def is_of(case: str, name: str) -> bool:
    """Is the test `name` meant by the case of a row? Brackets are no set of characters here."""
    match = _CASE.match(case)
    assert match is not None
    test, parameter = match.groups()
    base, bracket, rest = name.partition("[")
    return fnmatchcase(base, test) and (
        parameter is None or bracket != "" and fnmatchcase(rest.rstrip("]"), parameter))


def unknown(case: str, entries: Sequence[Entry]) -> bool:
    """No expected test is meant by it."""
    return not any(is_of(case, entry.name) for entry in entries)


def problems(rows: Dict[Key, Row], entries: Sequence[Entry]) -> List[str]:
    """Rows without a case or a title, and cases that no test is meant by."""
    found = []
    for (kind, number), row in rows.items():
        name = "%s %s" % (kind, number)
        if not row.title:
            found.append("%s has no title" % name)
        if not row.cases:
            found.append("%s has no case" % name)
        found += ["%s: %s is not in the list of expected tests" % (name, case)
                  for case, _note in row.cases if unknown(case, entries)]
    return found


def table(rows: Dict[Key, Row], entries: Sequence[Entry], width: int = 100) -> List[str]:
    """For people: rows by kind, each with its cases; what is missing is marked."""
    out: List[str] = []
    column = max(len("%s %s" % key) for key in rows) + 2
    indent = " " * column
    for kind in dict.fromkeys(kind for kind, _number in rows):
        for (_kind, number), row in rows.items():
            if _kind != kind:
                continue
            out += textwrap.wrap(row.title or "(no title)", width,
                                 initial_indent=("%s %s" % (kind, number)).ljust(column),
                                 subsequent_indent=indent)
            if not row.cases:
                out.append(indent + "! no case")
            for case, note in row.cases:
                out += _case_lines(case, note, unknown(case, entries), indent, width)
    bad = sum(not row.cases for row in rows.values())
    lost = sum(unknown(case, entries) for row in rows.values() for case, _note in row.cases)
    out.append("%d rows, %d without a case; %d case%s not in tests/expected_tests" % (
        len(rows), bad, lost, " that is" if lost == 1 else "s that are"))
    return out


def _case_lines(case: str, note: str, lost: bool, indent: str, width: int) -> List[str]:
    line = "%s%s %s" % (indent, "!" if lost else "-", case)
    words = "; ".join(filter(None, (note, "not in tests/expected_tests" if lost else "")))
    if not words:
        return [line]
    if len(line) + 3 + len(words) <= width:
        return [line + "   " + words]
    return [line] + textwrap.wrap(words, width, initial_indent=indent + "    ",
                                  subsequent_indent=indent + "    ")
