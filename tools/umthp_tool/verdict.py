# SPDX-License-Identifier: GPL-2.0
"""From boots to one verdict: results, splats, plan, expected tests, and how the boot ended.

What cannot be detected: code that runs in the tested kernel can print anything. Result lines that
a test makes up show, because KUnit prints its own as well (numbers and names then occur twice), or
because the log does not end in one `System halted` with exit status 0. A test that prints the
whole rest of a perfect log and then powers the machine off itself would be believed.
"""
from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import expected, known_boot, known_judge, ktap, ledger, splats
from .boot import MAX_LOG_BYTES, Boot
from .errors import EXIT_CRASH, EXIT_FAIL, EXIT_NOTHING, EXIT_PASS
from .known_bugs import Bug

PASS, FAIL, NOTHING, CRASH, TIMEOUT = "pass", "fail", "nothing-ran", "crash", "timeout"
_EXIT = {PASS: EXIT_PASS, FAIL: EXIT_FAIL, NOTHING: EXIT_NOTHING, CRASH: EXIT_CRASH,
         TIMEOUT: EXIT_CRASH}


@dataclass
class OwnedSplat:
    test: str
    kind: str
    text: str
    log: Path
    line: int           # from 1
    trace: List[str] = field(default_factory=list)      # decoded, see stack_trace.py


@dataclass
class Verdict:
    verdict: str = PASS
    cases: List[ktap.Case] = field(default_factory=list)
    splats: List[OwnedSplat] = field(default_factory=list)
    errors: List[str] = field(default_factory=list)
    missing: List[str] = field(default_factory=list)
    unexpected: List[str] = field(default_factory=list)
    reasons: List[str] = field(default_factory=list)    # of a crash or a time-out
    running: str = ""                                   # the test that ran when it crashed
    logs: List[Path] = field(default_factory=list)
    tail: List[str] = field(default_factory=list)
    said: List[known_judge.Said] = field(default_factory=list)
    known: List[known_judge.Known] = field(default_factory=list)
    not_asked: List[str] = field(default_factory=list)      # known bugs without their own boot
    parsed: List[Any] = field(default_factory=list)     # kunit_parser.Test of each boot
    seconds: float = 0.0

    @property
    def exit_code(self) -> int:
        return _EXIT[self.verdict]

    def count(self, status: str) -> int:
        return sum(case.status == status for case in self.cases)

    @property
    def failed(self) -> List[ktap.Case]:
        return [case for case in self.cases
                if case.status not in (ktap.PASSED, ktap.SKIPPED)]

    def suites(self) -> Dict[str, List[ktap.Case]]:
        by_suite: Dict[str, List[ktap.Case]] = {}
        for case in self.cases:
            by_suite.setdefault(case.suite, []).append(case)
        return by_suite


def judge(src: Path, boots: Sequence[Boot], run: expected.Run,
          entries: Optional[List[expected.Entry]], bugs: Optional[Sequence[Bug]] = None,
          own_boots: Optional[Sequence[Tuple[Bug, str, Boot]]] = ()) -> Verdict:
    """Judge the boots of one run together.

    bugs: the table of known bugs; None leaves them alone. own_boots: the boots that were made for
    one bug and one case of it each; nothing but known_boot.py judges them. None: they were left
    out on purpose.
    """
    result = Verdict(seconds=sum(boot.seconds for boot in boots))
    timed_out = False
    for boot in boots:
        timed_out = timed_out or boot.timed_out
        _judge_boot(src, boot, result)
    names = [case.full for case in result.cases]
    if len(boots) > 1:
        result.errors += ["%s ran in more than one boot" % name
                          for name, count in sorted(Counter(names).items()) if count > 1]
    if bugs is not None:
        own = None if own_boots is None else [_own_boot(src, *made) for made in own_boots]
        known_judge.settle(result, bugs, own, run)
    if entries is not None:
        result.missing = expected.missing(entries, run, names)
        result.unexpected = expected.unexpected(entries, names)
    result.verdict = decide(result, timed_out)
    return result


def _own_boot(src: Path, bug: Bug, case: str, boot: Boot) -> known_judge.OwnBoot:
    alone = Verdict()
    _judge_boot(src, boot, alone)
    return known_boot.outcome(bug, case, boot, alone)


def decide(result: Verdict, timed_out: bool) -> str:
    """The one word for what was found: the worst thing wins."""
    if timed_out:
        return TIMEOUT
    if result.reasons:
        return CRASH
    if result.failed or result.splats or result.errors:
        return FAIL
    if not result.count(ktap.PASSED):
        return NOTHING
    return FAIL if result.missing else PASS


def _judge_boot(src: Path, boot: Boot, result: Verdict) -> None:
    lines = boot.lines()
    result.logs.append(boot.log)
    found = ktap.scan(lines)
    result.said += known_judge.read(lines, found)
    for splat in splats.find(lines):
        result.splats.append(OwnedSplat(ktap.owner(found, splat.line), splat.kind, splat.text,
                                        boot.log, splat.line + 1))
    reasons = how_it_ended(boot, lines, found)
    result.reasons += reasons
    if reasons and not result.running:
        result.running = ktap.full_name(found.last_open)
    if reasons or found.started is None:
        result.tail = [line for line in lines if line.strip()][-8:]
    if found.started is None:
        return
    parsed = ktap.parse(src, ktap.thinned(lines))
    took = ktap.durations(found, boot.times)
    tables = ledger.read(lines, found)
    for case in parsed.cases:
        case.seconds = took.get(case.full)
        case.tables = tables.get(case.full, [])
    result.cases += parsed.cases
    result.parsed.append(parsed.test)
    errors = parsed.errors + ktap.cross_check(found, parsed)
    if reasons:
        # The results that a crash swallowed are no finding of their own.
        errors = [error for error in errors if not error.endswith(_TRUNCATED)]
    elif not parsed.cases:
        # An empty run (`1..0`) has no results: told by the exit code, not as an error.
        errors = [error for error in errors if "0 tests run!" not in error]
    result.errors += errors


_TRUNCATED = ("missing expected subtest!", "missing subtest result line!",
              "No more test results!", "0 tests run!")


def how_it_ended(boot: Boot, lines: Sequence[str], found: ktap.Scan) -> List[str]:
    """Why this boot did not end as it should; empty if it did."""
    if boot.stopped:
        return ["stopped on purpose"]
    if boot.timed_out:
        return ["no end after %.0f s, killed" % boot.seconds]
    if boot.log_overflow:
        return ["more than %d MiB of log, killed" % (MAX_LOG_BYTES >> 20)]
    reasons = []
    panics = [line for line in lines if re.search(r"Kernel panic - not syncing", line)]
    if panics:
        reasons.append(panics[0].strip())
    if boot.returncode is not None and boot.returncode < 0:
        reasons.append("UML was killed by signal %d" % -boot.returncode)
    elif boot.returncode:
        reasons.append("UML ended with status %d" % boot.returncode)
    if found.started is not None and found.halted is None:
        reasons.append("the log ends without `%s`" % ktap.HALTED)
    return reasons
