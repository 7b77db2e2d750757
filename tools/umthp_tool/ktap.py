# SPDX-License-Identifier: GPL-2.0
"""KTAP read twice: by the kernel's own parser, and line by line with positions.

The kernel's parser decides what a result means. Reading the lines again finds what it loses
without a word (a result with a `#` in its name, one after a fake end of the log), and gives every
line of the log the test that it belongs to.
"""
from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Dict, Iterable, Iterator, List, Optional, Sequence, Set, Tuple

from .kunit_modules import kunit_module

PASSED, FAILED, SKIPPED, CRASHED = "passed", "failed", "skipped", "crashed"

_TIME = re.compile(r"^(\[ *\d+\.\d+\](?:\[ *[CT]\d+\])? ?)")
_VERSION = re.compile(r"^( *)KTAP version \d+$")
_SUBTEST = re.compile(r"^( *)# Subtest: (.*)$")
_RESULT = re.compile(r"^( *)(ok|not ok) (\d+)(?: -)? ?(.*?)(?: # SKIP ?(.*))?$")
_PLAN = re.compile(r"^( *)1\.\.(\d+)$")
_STATS = re.compile(r"^ *# (\S+): pass:(\d+) fail:(\d+) skip:(\d+) total:(\d+)$")
HALTED = "reboot: System halted"
# Whatever the kernel's parser may look for; what has none of it is a diagnostic.
_STRUCTURE = re.compile(r"\bok \d|# Subtest:|TAP version|1\.\.\d|reboot:|Kernel panic|"
                        r"List of all partitions|kunit executor")
# Diagnostics of one test that are kept: the first table of the ledger, and some of the second.
MAX_DIAGNOSTICS = 120


@dataclass
class Case:
    """One test, or one parameter of a test: what is counted."""

    suite: str
    name: str           # test, or test[parameter]
    status: str
    log: List[str] = field(default_factory=list)
    reason: str = ""    # of a skip
    seconds: Optional[float] = None
    tables: List[Any] = field(default_factory=list)     # ledger.Table

    @property
    def full(self) -> str:
        return "%s.%s" % (self.suite, self.name)


@dataclass
class Line:
    """A result line of the log."""

    number: int
    indent: int
    ok: bool
    index: int
    name: str
    skipped: bool
    path: Tuple[str, ...]    # names of the enclosing subtests, the result's own name last


@dataclass
class Scan:
    """The log, line by line."""

    results: List[Line] = field(default_factory=list)
    errors: List[str] = field(default_factory=list)
    started: Optional[int] = None       # line of the first KTAP version
    halted: Optional[int] = None        # line of `System halted`
    stats_failed: int = 0               # by KUnit's own statistics lines
    last_open: Tuple[str, ...] = ()     # the subtest that ran when the log ended
    plans: Set[Tuple[str, ...]] = field(default_factory=set)    # subtests with a plan; (): the run

    @cached_property
    def result_numbers(self) -> List[int]:
        """Lines of the results; of a whole scan only."""
        return [line.number for line in self.results]


def without_time(line: str) -> str:
    """The line without what printk.time=1 puts in front of it."""
    return _TIME.sub("", line, count=1)


def is_result(line: str) -> bool:
    return _RESULT.match(line) is not None


def is_plan(line: str) -> bool:
    return _PLAN.match(line) is not None


def full_name(path: Sequence[str]) -> str:
    """suite, suite.test or suite.test[parameter]."""
    if len(path) < 3:
        return ".".join(path)
    return "%s.%s[%s]" % (path[0], path[1], ".".join(path[2:]))


def scan(lines: Sequence[str]) -> Scan:
    """Read result lines and their nesting; complain about what cannot be of one KUnit run."""
    result = Scan()
    stack: List[Tuple[int, str]] = []       # (indent of the results inside, name)
    prefixed = False
    for number, raw in enumerate(lines):
        line = raw
        if prefixed or result.started is None:
            stripped = without_time(raw)
            if result.started is None and _VERSION.match(stripped) and stripped != raw:
                prefixed = True
            line = stripped if prefixed or result.started is None else raw
        if result.started is None:
            if _VERSION.match(line):
                result.started = number
            continue
        if result.halted is not None:
            if line.strip() and (_RESULT.match(line) or _VERSION.match(line)):
                result.errors.append("line %d: results after `%s`" % (number + 1, HALTED))
            continue
        if line.strip() == HALTED:
            result.halted = number
        elif match := _SUBTEST.match(line):
            indent = len(match.group(1))
            while stack and stack[-1][0] >= indent:
                stack.pop()
            stack.append((indent, match.group(2)))
        elif match := _PLAN.match(line):
            indent = len(match.group(1))
            result.plans.add(tuple(name for inside, name in stack if inside <= indent))
        elif match := _STATS.match(line):
            result.stats_failed += int(match.group(3))
        elif match := _RESULT.match(line):
            indent = len(match.group(1))
            while stack and stack[-1][0] > indent:
                stack.pop()
            path = tuple(name for _indent, name in stack) + (match.group(4),)
            result.results.append(Line(number, indent, match.group(2) == "ok",
                                       int(match.group(3)), match.group(4),
                                       match.group(5) is not None, path))
    result.last_open = tuple(name for _indent, name in stack)
    return result


def owner(found: Scan, number: int) -> str:
    """The test that line `number` of the log belongs to: the result that follows it."""
    if found.started is None or number < found.started:
        return "boot"
    following = bisect_right(found.result_numbers, number)
    if following < len(found.results):
        return full_name(found.results[following].path)
    return full_name(found.last_open) or "after the last test"


def durations(found: Scan, times: Sequence[float]) -> Dict[str, float]:
    """How long each case took: from the line before its first one to its result line.

    Lines come through a pipe, so short tests next to each other may share one moment: 0.0.
    """
    made: Dict[str, float] = {}
    if found.started is None or len(times) <= found.started:
        return made
    before = times[found.started]
    for line in found.results:
        if line.number < len(times):
            made[full_name(line.path)] = times[line.number] - before
            before = times[line.number]
    return made


def thinned(lines: Sequence[str], keep: int = MAX_DIAGNOSTICS) -> Iterator[str]:
    """The log without what a test prints over and over; no result is lost.

    A broken kernel prints tables without end. The parser and the reports would take minutes and
    gigabytes for what nobody reads.
    """
    in_a_row = 0
    for line in lines:
        in_a_row = 0 if _STRUCTURE.search(line) else in_a_row + 1
        if in_a_row <= keep:
            yield line
        elif in_a_row == keep + 1:
            yield "# (more lines of this test are in the log)"


class _Silent:
    """A printer for the kernel's parser that prints nothing and keeps the errors."""

    def __init__(self) -> None:
        self.errors: List[str] = []

    def print(self, message: str) -> None:
        pass

    def print_with_timestamp(self, message: str) -> None:
        if "[ERROR]" in message:
            self.errors.append(message.split("[ERROR]", 1)[1].strip())

    def _plain(self, text: str) -> str:
        return text

    red = yellow = green = _plain

    def color_len(self) -> int:
        return 0


@dataclass
class Parsed:
    """What the kernel's parser says."""

    cases: List[Case]
    errors: List[str]
    test: Any           # kunit_parser.Test, for kunit_junit


def parse(src: Path, lines: Iterable[str]) -> Parsed:
    """Parse with the kunit_parser of a kernel tree."""
    parser = kunit_module(src, "kunit_parser")
    printer = _Silent()
    try:
        test = parser.parse_run_tests(iter(lines), printer)
    except (ValueError, IndexError, RecursionError) as error:
        # A log cut off in the middle can run the parser off its end.
        return Parsed([], ["kunit_parser gave up: %s" % error], None)
    statuses = {parser.TestStatus.SUCCESS: PASSED, parser.TestStatus.SKIPPED: SKIPPED,
                parser.TestStatus.FAILURE: FAILED}
    cases: List[Case] = []
    for suite in _real(test.subtests, statuses):
        _collect(suite, statuses, cases)
    errors = list(printer.errors)
    if test.counts.errors and not errors:
        errors.append("kunit_parser counted %d errors" % test.counts.errors)
    return Parsed(cases, errors, test)


def _real(tests: Sequence[Any], statuses: Dict[Any, str]) -> List[Any]:
    """Without the nameless tests that the parser puts where results are missing; it counts an
    error for them as well."""
    return [test for test in tests if test.name or test.subtests or test.status in statuses]


def _collect(suite: Any, statuses: Dict[Any, str], cases: List[Case]) -> None:
    name = suite.name
    if not suite.subtests:
        status = statuses.get(suite.status, CRASHED)
        cases.append(Case(name, "(suite)", status, list(suite.log), suite.skip_reason))
        return
    for test in _real(suite.subtests, statuses):
        parameters = _real(test.subtests, statuses)
        for parameter in parameters:
            cases.append(_case(name, "%s[%s]" % (test.name, parameter.name), parameter, statuses))
        # A test with parameters counts itself only if it failed and none of them did.
        if not test.subtests or statuses.get(test.status) not in (PASSED, SKIPPED) and all(
                statuses.get(p.status) in (PASSED, SKIPPED) for p in parameters):
            cases.append(_case(name, test.name, test, statuses))
    inner = {statuses.get(test.status) for test in _real(suite.subtests, statuses)}
    if statuses.get(suite.status) not in (PASSED, SKIPPED) and inner <= {PASSED, SKIPPED}:
        # The suite's own init or exit failed.
        cases.append(Case(name, "(suite)", statuses.get(suite.status, CRASHED), list(suite.log)))


def _case(suite: str, name: str, test: Any, statuses: Dict[Any, str]) -> Case:
    return Case(suite, name, statuses.get(test.status, CRASHED), list(test.log),
                test.skip_reason)


def cross_check(found: Scan, parsed: Parsed) -> List[str]:
    """Differences between the two readings: each means that a result was lost or made up."""
    errors = list(found.errors)
    failed = [line for line in found.results if not line.ok]
    bad = [case for case in parsed.cases if case.status not in (PASSED, SKIPPED)]
    if failed and not bad:
        errors.append("line %d says `not ok %s`, but no test counts as failed"
                      % (failed[0].number + 1, full_name(failed[0].path)))
    if found.stats_failed and not failed:
        errors.append("KUnit's statistics count %d failures, but there is no `not ok` line"
                      % found.stats_failed)
    # KUnit prints both whatever it runs; only parameters may come without a plan. Without them
    # kunit_parser takes what it finds for everything that there was.
    for path in dict.fromkeys([(), *(line.path[:1] for line in found.results
                                     if len(line.path) > 1)]):
        if found.results and path not in found.plans:
            errors.append("%s has no plan line" % (full_name(path) or "the run"))
    duplicates = [name for name, count in Counter(
        (line.path) for line in found.results).items() if count > 1]
    errors += ["%s has more than one result" % full_name(path) for path in duplicates]
    leaves = Counter(full_name(line.path) for line in leaf_lines(found))
    counted = Counter(case.full for case in parsed.cases if case.name != "(suite)")
    for name in leaves - counted:
        errors.append("the result of %s is in the log, but kunit_parser lost it" % name)
    for name, case in ((case.full, case) for case in parsed.cases):
        if name in counted and name not in leaves and case.status == PASSED:
            errors.append("%s counts as passed, but has no result line of its own" % name)
    return errors


def leaf_lines(found: Scan) -> Iterator[Line]:
    """Result lines of cases: those that no deeper result belongs to, below suite level."""
    parents = {line.path[:-1] for line in found.results}
    for line in found.results:
        if len(line.path) > 1 and line.path not in parents:
            yield line
