# SPDX-License-Identifier: GPL-2.0
"""What the boot of one known bug shows: its observables, a clean pass, or something else.

A crash, a splat or a hang is excused by the observables of the row and by nothing else. They must
be the kernel's own words: what a test says or the command line has does not count.
"""
from __future__ import annotations

from typing import TYPE_CHECKING, Dict, List, Sequence, Tuple

from . import ktap, splats
from .boot import Boot
from .known_bugs import HANG, Bug, is_case, pattern
from .known_judge import CHANGED, FIXED, SKIPPED, STILL, OwnBoot, left_to

if TYPE_CHECKING:
    from .verdict import Verdict


def outcome(bug: Bug, case: str, boot: Boot, alone: "Verdict") -> OwnBoot:
    """alone: the verdict on this boot as if it were any other."""
    state, text = _judge(bug, case, boot, alone)
    return OwnBoot(bug, case, state, splats.source_paths(text), boot.log, boot.seconds)


def _judge(bug: Bug, case: str, boot: Boot, alone: "Verdict") -> Tuple[str, str]:
    lines = boot.lines()
    found = ktap.scan(lines)
    seen = _seen(bug, lines, found)
    absent = [text for text, numbers in seen.items() if not numbers]
    if HANG in bug.observables and not _hung(boot, found):
        absent.append(HANG)
    if bug.observables and not absent:
        worse = _worse(bug, boot, alone, lines, seen)
        if worse:
            return CHANGED, "the bug is there, but also: " + worse
        first = min((numbers[0] for numbers in seen.values()), default=None)
        return STILL, alone.reasons[0] if first is None else lines[first].strip()
    without = ", without `%s`" % "`, `".join(absent) if absent else ""
    wrong = alone.reasons + [splat.text for splat in alone.splats] + alone.errors \
        + [_failure(failed) for failed in alone.failed]
    if wrong:
        return CHANGED, wrong[0] + without
    ran = [found_case for found_case in alone.cases if is_case(case, found_case.full)]
    if all(found_case.status == ktap.SKIPPED for found_case in ran):
        return _nothing_ran(case, ran)
    said = next((said for said in alone.said if said.id == bug.id), None)
    if said is None:
        return FIXED, "%s passes" % case
    if said.state == STILL and bug.observables:
        return CHANGED, "the case says that it is still there" + without
    return said.state or CHANGED, said.text


def _seen(bug: Bug, lines: Sequence[str], found: ktap.Scan) -> Dict[str, List[int]]:
    """Where in the log each observable is."""
    seen: Dict[str, List[int]] = {text: [] for text in bug.observables if text != HANG}
    if found.started is None:
        return seen
    for text, numbers in seen.items():
        regex = pattern(text)
        numbers += [number for number, line in enumerate(lines) if number > found.started
                    and not splats.is_diagnostic(ktap.without_time(line))
                    and regex.search(splats.source_paths(line))]
    return seen


def _hung(boot: Boot, found: ktap.Scan) -> bool:
    """Did the time run out in the case? Not while booting, and not after its result.

    That has two names, SUITE and TEST; those of parameters have three.
    """
    return boot.timed_out and bool(found.last_open) \
        and not any(len(line.path) == 2 for line in found.results)


def _worse(bug: Bug, boot: Boot, alone: "Verdict", lines: Sequence[str],
           seen: Dict[str, List[int]]) -> str:
    """What the observables do not excuse; empty if there is nothing."""
    if boot.log_overflow or boot.timed_out and HANG not in bug.observables:
        return alone.reasons[0]
    if not alone.reasons:
        return next(iter(alone.errors + [_failure(failed) for failed in alone.failed]), "")
    reports = splats.find(lines)
    if len(reports) > 1 and seen:
        # A crash of its own, which none of the observables is part of, is another bug.
        before = reports[-2].last
        if not any(number > before for numbers in seen.values() for number in numbers):
            return reports[-1].text
    return ""


def _failure(case: ktap.Case) -> str:
    words = [line.strip() for line in case.log if line.strip()]
    checks = [line for line in words if " FAILED at " in line]
    return "%s failed: %s" % (case.full, (checks or words or ["no result"])[0])


def _nothing_ran(case: str, skipped: Sequence[ktap.Case]) -> Tuple[str, str]:
    if not skipped:
        return CHANGED, "the kernel has no test %s" % case
    if left_to(skipped[0]):
        return CHANGED, "%s was skipped in the boot that was made for it" % case
    return SKIPPED, skipped[0].reason
