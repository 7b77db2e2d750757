# SPDX-License-Identifier: GPL-2.0
"""TAP 13 as kselftest programs print it, read strictly.

Nothing is guessed: a plan that is not kept, a number out of order, a name twice, or an exit
status that says something else than the results is an error, and an error is never a pass.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Callable, List, Optional, Sequence

from .ktap import FAILED, PASSED, SKIPPED, Case

_VERSION = "TAP version 13"
_PLAN = re.compile(r"^1\.\.(\d+)(?: # (?:SKIP|Skip)\b.*)?$")
_RESULT = re.compile(r"^(ok|not ok) (\d+)(?: -)? (\S+)(?: # (.*))?$")
_DIRECTIVE = re.compile(r"^(SKIP|XFAIL|XPASS|TODO)\b ?(.*)$")
_LIKE_RESULT = re.compile(r"^(?:ok|not ok)\b")


@dataclass
class Report:
    """One program's results."""

    cases: List[Case] = field(default_factory=list)
    errors: List[str] = field(default_factory=list)
    plan: Optional[int] = None
    started: bool = False


def read(lines: Sequence[str], split_name: Callable[[str], "tuple[str, str]"]) -> Report:
    """Read a program's output; split_name makes suite and test of a result's name."""
    report = Report()
    pending: List[str] = []
    for line in lines:
        if line == _VERSION:
            if report.started:
                report.errors.append("more than one `%s`" % _VERSION)
            report.started = True
            continue
        if match := _PLAN.match(line):
            if report.plan is not None:
                report.errors.append("more than one plan line")
            report.plan = int(match.group(1))
            continue
        match = _RESULT.match(line)
        if match is None:
            if _LIKE_RESULT.match(line):
                report.errors.append("not a result line: %s" % line)
            pending.append(line)
            continue
        case = _case(match, pending, split_name)
        if int(match.group(2)) != len(report.cases) + 1:
            report.errors.append("result %s comes where %d is due: %s"
                                 % (match.group(2), len(report.cases) + 1, line))
        if any(case.full == other.full for other in report.cases):
            report.errors.append("%s has more than one result" % case.full)
        report.cases.append(case)
        pending = []
    if not report.started:
        report.errors.append("no `%s` line" % _VERSION)
    elif report.plan is None:
        report.errors.append("no plan line")
    elif report.plan != len(report.cases):
        report.errors.append("%d tests were planned, %d gave a result"
                             % (report.plan, len(report.cases)))
    return report


def _case(match: "re.Match[str]", log: List[str],
          split_name: Callable[[str], "tuple[str, str]"]) -> Case:
    suite, name = split_name(match.group(3))
    status = PASSED if match.group(1) == "ok" else FAILED
    reason = ""
    directive = _DIRECTIVE.match(match.group(4) or "")
    if directive:
        kind, reason = directive.groups()
        if kind != "SKIP":
            # An expected failure is no pass, and an unexpected pass is no failure: ask a human.
            status, log = FAILED, [*log, "# result says %s %s" % (kind, reason)]
        elif status == PASSED:
            status = SKIPPED
    return Case(suite, name, status, list(log), reason)


def check_status(report: Report, program: str, status: Optional[int],
                 signal: Optional[int]) -> List[str]:
    """What the way a program ended says against its results."""
    if signal is not None:
        return ["%s was killed by signal %d" % (program, signal)]
    if status is None:
        return ["%s did not end" % program]
    failed = any(case.status == FAILED for case in report.cases)
    if status and not failed:
        return ["%s ended with status %d, but no result says why" % (program, status)]
    if failed and not status:
        return ["%s ended with status 0 although a test failed" % program]
    return []
