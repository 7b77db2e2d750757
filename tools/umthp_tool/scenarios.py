# SPDX-License-Identifier: GPL-2.0
"""What a case is about, from its name: where it stands in which table of the report.

The parameters of the suites say it: `order9_to_0_ptes_write` is order 9 to order 0, `order_4_as_2`
memory of an order-4 folio that an order-2 one gets, `order3_pinned` just order 3, and
`setup_fork_to_ram_pmd` a fork after the phase setup. What is none of these stands in a row.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Dict, Iterable, List, Tuple

ORDERS = tuple(str(order) for order in range(10))
PHASES = ("in_collect", "in_unmap", "in_split", "setup", "copy", "pages")
PAIR, ORDER, PHASE, PLAIN = "pair", "order", "phase", "plain"

_PAIR = re.compile(r"order_?(\d+)_(to|as)_(\d+)(?!\d)")
_ORDER = re.compile(r"order_?(\d+)(?!\d)")
_PHASE = re.compile(r"^(%s)_(.+)_(to_device|to_ram|to_peer)_"
                    r"((?:pmd_small|pmd|ptes|order\d+)(?:_shared|_child_only)?)$"
                    % "|".join(PHASES))


@dataclass(frozen=True)
class Place:
    """form: which kind of table; scenario: which table; row and column in it."""

    suite: str
    form: str
    scenario: str
    row: str
    column: str
    as_order: bool = False


@dataclass
class Table:
    """One table of a suite; a cell has the cases that stand at its place."""

    form: str
    title: str
    rows: List[str] = field(default_factory=list)
    columns: List[str] = field(default_factory=list)
    cells: Dict[Tuple[str, str], List[int]] = field(default_factory=dict)
    as_order: bool = False      # of a pair: the columns are the order of the next folio


def place(name: str) -> Place:
    """Where the case SUITE.TEST or SUITE.TEST[PARAMETER] stands."""
    base, _, rest = name.partition("[")
    suite, _, test = base.partition(".")
    parameter = rest[:-1] if rest.endswith("]") else rest
    if match := _PHASE.match(parameter):
        phase, operation, route, _shape = match.groups()
        # The slow rest of a matrix stands where it belongs.
        whole = test.replace("_phases_rest_end_", "_phases_with_operation_end_")
        return Place(suite, PHASE, "%s: %s" % (whole, route), operation, phase)
    match = _PAIR.search(parameter)
    if match and match.group(1) in ORDERS and match.group(3) in ORDERS:
        kind = parameter[:match.start()].rstrip("_")
        return Place(suite, PAIR, test + (": " + kind if kind else ""), match.group(1),
                     match.group(3), match.group(2) == "as")
    match = _ORDER.search(parameter)
    if match and match.group(1) in ORDERS:
        return Place(suite, ORDER, "", test, match.group(1))
    return Place(suite, PLAIN, "", test, parameter)


def tables(names: Iterable[str]) -> Dict[str, List[Table]]:
    """The tables of each suite; a cell holds the numbers of its cases in `names`."""
    made: Dict[str, Dict[Tuple[str, str], Table]] = {}
    for number, name in enumerate(names):
        at = place(name)
        of_suite = made.setdefault(at.suite, {})
        table = of_suite.setdefault(
            (at.form, at.scenario), Table(at.form, at.scenario, as_order=at.as_order))
        table.cells.setdefault((at.row, at.column), []).append(number)
        for value, known in ((at.row, table.rows), (at.column, table.columns)):
            if value not in known:
                known.append(value)
    for of_suite in made.values():
        for table in of_suite.values():
            _arrange(table)
    forms = (PAIR, PHASE, ORDER, PLAIN)
    return {suite: sorted(of_suite.values(), key=lambda table: forms.index(table.form))
            for suite, of_suite in made.items()}


def _arrange(table: Table) -> None:
    if table.form == PAIR:
        # All of the same shape, so that they can be compared at a glance.
        table.rows, table.columns = list(ORDERS), list(ORDERS)
    elif table.form == ORDER:
        table.columns = list(ORDERS)
    elif table.form == PHASE:
        table.columns = [phase for phase in PHASES if phase in table.columns]
        table.rows.sort(key=lambda name: (name.startswith("child_"), name))
