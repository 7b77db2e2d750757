# SPDX-License-Identifier: GPL-2.0
"""The list of tests that must appear: a test that vanished is not a test that passed.

One line each, `suite.test` or `suite.test[parameter]`, then conditions that must all hold for the
test to be expected:

    slow                the test runs only with --slow
    kernel>=7.3         (also < <= > ==)
    variant!=nothp      (also variant=NAME), several may be given
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import FrozenSet, Iterable, List, Optional, Tuple

from .cache import write_text
from .errors import IncompleteError, UsageError
from .kernels import parse_version

_NAME = re.compile(r"^[A-Za-z0-9_-]+\.[A-Za-z0-9_]+(?:\[[^\]\s]*\])?$")
_KERNEL = re.compile(r"^kernel(>=|<=|==|<|>)([0-9][0-9.]*)$")
_VARIANT = re.compile(r"^variant(!=|=)([A-Za-z0-9_-]+)$")
_GLOB = re.compile(r"^[A-Za-z0-9_.*?\[\]!^-]+$")


@dataclass(frozen=True)
class Run:
    """What was asked for."""

    version: str
    variant: str
    glob: Optional[str]
    slow: bool
    suites: Optional[FrozenSet[str]] = None     # no others; None: all

    def asks_for(self, name: str) -> bool:
        """Is a test of this name to run, as far as its name says?"""
        return matches_glob(name, self.glob) and (
            self.suites is None or name.partition(".")[0] in self.suites)


@dataclass(frozen=True)
class Entry:
    name: str
    conditions: Tuple[str, ...]

    def applies(self, run: Run) -> bool:
        return run.asks_for(self.name) and all(
            holds(condition, run) for condition in self.conditions)


def is_condition(word: str) -> bool:
    return word == "slow" or bool(_KERNEL.match(word) or _VARIANT.match(word))


def holds(condition: str, run: Run) -> bool:
    if condition == "slow":
        return run.slow
    if match := _KERNEL.match(condition):
        if not run.version:
            # Not read yet (--dry-run): it may be any.
            return True
        bound = parse_version(match.group(2))
        version = parse_version(run.version)[:len(bound)]
        return {">=": version >= bound, "<=": version <= bound, "==": version == bound,
                "<": version < bound, ">": version > bound}[match.group(1)]
    match = _VARIANT.match(condition)
    assert match is not None
    return (run.variant == match.group(2)) is (match.group(1) == "=")


def matches_glob(name: str, glob: Optional[str]) -> bool:
    """KUnit's own rule: SUITE_GLOB, or SUITE_GLOB.TEST_GLOB; parameters do not count."""
    if not glob:
        return True
    suite, _, test = name.split("[")[0].partition(".")
    suite_glob, dot, test_glob = glob.partition(".")
    return fnmatchcase(suite, suite_glob) and (not dot or fnmatchcase(test, test_glob))


def check_glob(glob: str) -> str:
    """A glob goes onto the kernel command line: nothing but a glob may be in it."""
    if not _GLOB.match(glob) or glob.count(".") > 1:
        raise UsageError("%r is not a test glob" % glob,
                         "use SUITE or SUITE.TEST with * and ?, for example 'thp_split*.order9*'; "
                         "`umthp list` shows the names")
    return glob


def load(path: Path) -> Optional[List[Entry]]:
    """The entries of a list; None if there is no list."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None
    entries = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#", 1)[0].split()
        if not words:
            continue
        bad = [word for word in words[1:] if not is_condition(word)]
        if not _NAME.match(words[0]) or bad:
            raise UsageError("%s line %d is not valid: %s" % (path, number, line.strip()),
                             "see the top of that file for the form of a line")
        entries.append(Entry(words[0], tuple(words[1:])))
    return entries


def required(path: Path) -> List[Entry]:
    """The entries of a list that a verdict needs: without any, nothing would be verified."""
    entries = load(path)
    if not entries:
        raise IncompleteError(
            "%s %s: a test that vanished would not be noticed" % (
                path, "is missing" if entries is None else "names no test"),
            "restore it: git checkout -- tests/%s; or write a new one: make update-expected"
            % path.name)
    return entries


def missing(entries: Iterable[Entry], run: Run, seen: Iterable[str]) -> List[str]:
    """Expected, but without a result."""
    have = set(seen)
    return [entry.name for entry in entries if entry.applies(run) and entry.name not in have]


def unexpected(entries: Iterable[Entry], seen: Iterable[str]) -> List[str]:
    """With a result, but in no line of the list whatever its conditions."""
    known = {entry.name for entry in entries}
    return [name for name in seen if name not in known]


HEADER = """\
# SPDX-License-Identifier: GPL-2.0
# Every test that must give a result; checked after each run (tools/umthp_tool/expected.py).
# Form: suite.test or suite.test[parameter], then conditions: slow, kernel>=7.3, variant!=NAME.
# Written by: umthp run --slow --write-expected
"""


def write(path: Path, seen: Iterable[str], slow: Iterable[str], run: Run) -> None:
    """Replace the list by what ran; conditions stay, and entries of other kernels and variants."""
    entries = load(path) or []
    old = {entry.name: entry.conditions for entry in entries}
    elsewhere = {entry.name for entry in entries if not entry.applies(run)}
    slow_names = set(slow)
    lines = []
    for name in sorted({*seen, *elsewhere}):
        conditions = [c for c in old.get(name, ()) if c != "slow"]
        if name.split("[")[0] in slow_names:
            conditions.insert(0, "slow")
        lines.append(" ".join([name, *conditions]))
    write_text(path, HEADER + "".join(line + "\n" for line in lines))
