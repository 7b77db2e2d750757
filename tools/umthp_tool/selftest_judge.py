# SPDX-License-Identifier: GPL-2.0
"""From guests to one verdict: results, skips, splats, and how everything ended."""
from __future__ import annotations

from fnmatch import fnmatchcase
from typing import List, Sequence

from . import expected, ktap, splats, tap
from .guest import Guest
from .selftest_plans import Allowed, Plan, left_out
from .verdict import OwnedSplat, Verdict, decide, how_it_ended


def judge(plan: Plan, guests: Sequence[Guest], entries: Sequence[expected.Entry],
          known: Sequence[expected.Entry], skips: Sequence[Allowed]) -> Verdict:
    """entries: what must have run; known: every name of the list, whatever its conditions."""
    result = Verdict(seconds=sum(guest.boot.seconds for guest in guests))
    timed_out = False
    for guest in guests:
        timed_out = timed_out or guest.boot.timed_out
        _judge_guest(plan, guest, result)
    for case in result.cases:
        if case.status == ktap.SKIPPED and not _may_skip(case, skips):
            result.errors.append("%s was skipped (%s), which no line of %s allows"
                                 % (case.full, case.reason or "no reason", plan.skips or
                                    "a skip table"))
    names = [case.full for case in result.cases]
    for name in sorted({name for name in names if names.count(name) > 1}):
        result.errors.append("%s ran in more than one boot" % name)
    have = set(names)
    for entry in entries:
        if entry.name in have:
            continue
        line = left_out(entry.name, skips)
        if line is None:
            result.missing.append(entry.name)
        else:
            suite, _, test = entry.name.partition(".")
            result.cases.append(ktap.Case(suite, test, ktap.SKIPPED, [], "not run: " + line.why))
    result.unexpected = expected.unexpected(known, names)
    result.verdict = decide(result, timed_out)
    return result


def _judge_guest(plan: Plan, guest: Guest, result: Verdict) -> None:
    lines = guest.boot.lines()
    result.logs += [guest.boot.log, guest.path]
    where = ", ".join(program.path for program in guest.output.programs) or "boot"
    for splat in splats.find(lines):
        result.splats.append(OwnedSplat(where, splat.kind, splat.text, guest.boot.log,
                                        splat.line + 1))
    reasons = how_it_ended(guest.boot, lines, ktap.Scan())
    if not reasons and not guest.output.done:
        reasons = ["the guest halted before its init was done"]
    if not guest.output.programs and not reasons:
        reasons = ["no program ran in the guest"]
    result.reasons += reasons
    result.errors += guest.output.errors
    if reasons:
        result.tail = [line for line in lines if line.strip()][-8:]
    for program in guest.output.programs:
        report = tap.read(program.lines, plan.split_name)
        result.cases += report.cases
        if reasons and program.status is None and program.signal is None:
            # The results that the crash swallowed are no finding of their own.
            result.running = _running(program.lines)
            continue
        result.errors += report.errors
        result.errors += tap.check_status(report, program.path, program.status, program.signal)


def _running(lines: Sequence[str]) -> str:
    """The test that kselftest_harness.h announced last."""
    for line in reversed(lines):
        words: List[str] = line.split()
        if words[:2] == ["#", "RUN"] and len(words) > 2:
            return words[2]
    return ""


def _may_skip(case: ktap.Case, skips: Sequence[Allowed]) -> bool:
    return any(skip.kind == "skip" and fnmatchcase(case.full, skip.glob)
               and case.reason == skip.printed for skip in skips)
