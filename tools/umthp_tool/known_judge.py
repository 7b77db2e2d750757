# SPDX-License-Identifier: GPL-2.0
"""What a run says of the known bugs: still there, fixed, or something that nobody expected.

A case says it in a line of the log (kunit/mm/tests/thp_known_bug.c), and passes. Of a bug that the
kernel does not survive, the log of a boot of its own tells. Silence is a failure as well: a table
that says more than the cases show is worth nothing.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Dict, List, Optional, Sequence, Tuple

from . import expected, ktap
from .known_bugs import Bug, is_case

if TYPE_CHECKING:
    from .verdict import Verdict

STILL, FIXED, CHANGED, SKIPPED = "still there", "fixed in this tree", "changed", "skipped"
# What counts if the cases of one bug differ.
_ORDER = (STILL, CHANGED, FIXED, SKIPPED)
_SAID = re.compile(r"^ *# [^:]+: known bug (\S+): (.*)$")
_STATE = re.compile(r"^(%s|%s): ?(.*)$" % (STILL, FIXED))
_LEFT_OUT = re.compile(r"^known bug (\S+): runs in a boot of its own$")


@dataclass(frozen=True)
class Said:
    """One line of a case; or what a boot of its own showed."""

    id: str
    state: str      # empty: not understood
    test: str
    text: str


@dataclass
class Known:
    """What is reported of one bug."""

    bug: Bug
    said: List[Said] = field(default_factory=list)

    @property
    def first(self) -> Said:
        """Of the state that counts."""
        return min(self.said, key=lambda said: _ORDER.index(said.state))

    @property
    def state(self) -> str:
        return self.first.state


@dataclass(frozen=True)
class OwnBoot:
    """What a boot of its own showed of the bug."""

    bug: Bug
    case: str
    state: str
    text: str
    log: Path
    seconds: float

    def explanation(self) -> List[str]:
        lines = ["known bug %s: %s: %s" % (self.bug.id, self.state, self.text)]
        return lines + (["log: %s" % self.log] if self.state == CHANGED else [])


def read(lines: Sequence[str], found: ktap.Scan) -> List[Said]:
    """What the cases of one boot say."""
    said: List[Said] = []
    for number, line in enumerate(lines):
        match = _SAID.match(ktap.without_time(line)) if "known bug" in line else None
        if match:
            state = _STATE.match(match.group(2))
            said.append(Said(match.group(1), state.group(1) if state else "",
                             ktap.owner(found, number),
                             state.group(2) if state else match.group(2)))
    return said


def settle(result: "Verdict", bugs: Sequence[Bug], own: Optional[Sequence[OwnBoot]],
           run: expected.Run) -> None:
    """Put what was said, and what was not, into the verdict.

    own: None if no boot for one bug was made on purpose: then no case is told that it waits
    for one.
    """
    rows = {bug.id: bug for bug in bugs}
    errors = _place_own_boots(result, own or ())
    if own is None:
        result.not_asked = sorted({match.group(1) for case in result.cases
                                   for match in [_LEFT_OUT.match(case.reason or "")] if match})
    else:
        errors += _left_out(result.cases, rows, own, run)
    errors += [error for said in result.said for error in _check(said, rows, run)]
    known: Dict[str, Known] = {bug.id: Known(bug) for bug in bugs}
    for said in result.said:
        if said.state and said.id in rows:
            known[said.id].said.append(said)
    for outcome in own or ():
        known[outcome.bug.id].said.append(
            Said(outcome.bug.id, outcome.state, outcome.case, outcome.text))
    for bug in bugs:
        if bug.own_boot is None and bug.applies(run):
            for case in bug.cases:
                errors += _silent(known[bug.id], case, result.cases)
    result.errors += list(dict.fromkeys(errors))
    result.known = [entry for entry in known.values() if entry.said]


def _check(said: Said, rows: Dict[str, Bug], run: expected.Run) -> List[str]:
    """Does the line of a case fit its row?"""
    bug = rows.get(said.id)
    case = said.test.split("[")[0]
    if not said.state:
        return ["%s says of known bug %s what is neither `%s` nor `%s`: %s" % (
            case, said.id, STILL, FIXED, said.text)]
    if bug is None:
        return ["%s reports known bug %s, which has no row in tests/known_bugs" % (case, said.id)]
    if not bug.names(said.test):
        return ["%s reports known bug %s, whose row does not name this case" % (case, said.id)]
    if bug.own_boot is not None:
        return ["%s reports known bug %s in the boot of all tests, but its row wants a boot of "
                "its own" % (case, said.id)]
    if said.state == STILL and not bug.applies(run):
        return ["known bug %s is still there in %s (%s), where its row says that it is not" % (
            said.id, run.version, run.variant)]
    return []


def _silent(known: Known, case: str, cases: Sequence[ktap.Case]) -> List[str]:
    """A case that ran must have said something, and only a failure is an excuse."""
    if any(is_case(case, said.test) for said in known.said if said.state in (STILL, FIXED)):
        return []
    ran = [found for found in cases if is_case(case, found.full)]
    failed = [found for found in ran if found.status not in (ktap.PASSED, ktap.SKIPPED)]
    if failed:
        known.said.append(Said(known.bug.id, CHANGED, failed[0].full, "failed"))
    elif any(found.status == ktap.PASSED for found in ran):
        return ["known bug %s was neither shown nor refuted by %s" % (known.bug.id, case)]
    elif ran:
        known.said.append(Said(known.bug.id, SKIPPED, ran[0].full, ran[0].reason))
    return []


def _place_own_boots(result: "Verdict", own: Sequence[OwnBoot]) -> List[str]:
    """The boot of all tests has skipped these cases: what became of them is known now."""
    errors = []
    for outcome in own:
        placed = False
        for case in result.cases:
            if not is_case(outcome.case, case.full):
                continue
            if left_to(case) != outcome.bug.id:
                errors.append("known bug %s wants a boot of its own, but the boot of all tests "
                              "ran %s" % (outcome.bug.id, outcome.case))
                continue
            placed = True
            case.seconds = outcome.seconds
            case.log = outcome.explanation()
            case.reason = outcome.text if outcome.state == SKIPPED else ""
            case.status = {STILL: ktap.PASSED, FIXED: ktap.PASSED, SKIPPED: ktap.SKIPPED,
                           CHANGED: ktap.FAILED}[outcome.state]
        if outcome.state == CHANGED and not placed:
            errors.append("; ".join(outcome.explanation()))
    return errors


def _left_out(cases: Sequence[ktap.Case], rows: Dict[str, Bug], own: Sequence[OwnBoot],
              run: expected.Run) -> List[str]:
    """A case that waits for a boot of its own which nobody makes."""
    errors = []
    booted = [(outcome.bug.id, outcome.case) for outcome in own]
    for case in cases:
        name = left_to(case)
        if name is None or any(name == bug and is_case(glob, case.full) for bug, glob in booted):
            continue
        row = rows.get(name)
        if row is None or row.applies(run):
            errors.append("%s leaves known bug %s to a boot of its own, which no row of "
                          "tests/known_bugs asks for" % (case.full.split("[")[0], name))
    return errors


def left_to(case: ktap.Case) -> Optional[str]:
    """The bug whose boot the case waits for."""
    match = _LEFT_OUT.match(case.reason) if case.status == ktap.SKIPPED else None
    return match.group(1) if match else None


def counts(known: Sequence[Known]) -> List[Tuple[str, List[str]]]:
    """The names of the bugs in each state, in the order of what matters."""
    by_state = [(state, [entry.bug.id for entry in known if entry.state == state])
                for state in _ORDER]
    return [(state, ids) for state, ids in by_state if ids]
