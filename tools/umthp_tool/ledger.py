# SPDX-License-Identifier: GPL-2.0
"""The tables of the ledger in a log: what each field was before a step, had to be, and was after.

kunit/mm/tests/thp_ledger_report.c prints the whole table of a step that went wrong. With
thp_ledger.show=N on the kernel command line, the first N steps of each case print those fields
that they change.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, List, Sequence

from . import ktap

# The kernel argument that makes the cases print tables, and what a page takes of each.
SHOW = "thp_ledger.show=12"
MAX_TABLES = 40
_HEAD = ": ledger: "
_STEP = re.compile(r"^ *# [^:]+: ledger: (.*)$")
_ROW = re.compile(r"^ *# [^:]+: ([a-z]\w*(?:\[\d+\])?) +(\S+) +(\S+) +(\S+)( <-- wrong)?$")
_COLUMNS = ("field", "before", "expected", "after")


@dataclass(frozen=True)
class Row:
    field: str
    before: str
    expected: str
    after: str
    wrong: bool = False


@dataclass
class Table:
    step: str
    rows: List[Row] = field(default_factory=list)

    def as_json(self) -> Dict[str, Any]:
        return {"step": self.step, "rows": [
            [row.field, row.before, row.expected, row.after] + (["wrong"] if row.wrong else [])
            for row in self.rows]}


def read(lines: Sequence[str], found: ktap.Scan) -> Dict[str, List[Table]]:
    """The tables of each case, by its full name."""
    made: Dict[str, List[Table]] = {}
    table = None
    for number, raw in enumerate(lines):
        if table is None and _HEAD not in raw:
            continue
        line = ktap.without_time(raw)
        if match := _STEP.match(line):
            of_case = made.setdefault(ktap.owner(found, number), [])
            table = Table(match.group(1))
            if len(of_case) < MAX_TABLES:
                of_case.append(table)
        elif match := _ROW.match(line):
            assert table is not None
            if match.groups()[:4] != _COLUMNS:
                table.rows.append(Row(*match.groups()[:4], wrong=bool(match.group(5))))
        else:
            table = None
    return made
