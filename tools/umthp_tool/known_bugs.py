# SPDX-License-Identifier: GPL-2.0
"""The table of known bugs: those of the kernel that a case of the suites shows.

A row is the name of the bug at the start of a line, then indented lines `key value`:

    LB11
        claim       zone_device_page_init() leaves the flags of the last owner from bit 8 on
        case        fake_zone_device_reinit.reused_keeps_flags
        kernels     kernel>=7.2

claim       what is wrong, in words; more lines of it are joined
case        SUITE.TEST, * and ? may be in it; a line for each case that shows the bug
kernels     where the bug is said to be: conditions as in tests/expected_tests, but for `slow`
own-boot    the kernel may not survive: the case gets a boot of its own, with
            thp_known_bug.own_boot=NAME; a number of seconds for it may follow (30)
observable  what must be in the log of that boot when the bug is there: a text, or /a regular
            expression/; paths are those of the kernel tree. `hang` is a boot that does not end.
            A line for each thing that must be there; none if the case lives to tell
"""
from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List, Optional, Pattern, Sequence, Tuple

from . import expected
from .errors import IncompleteError, UsageError

OWN_BOOT_SECONDS = 30
HANG = "hang"
_ID = re.compile(r"^[A-Za-z0-9][A-Za-z0-9_.-]*$")
_CASE = re.compile(r"^[A-Za-z0-9_*?]+\.[A-Za-z0-9_*?]+$")
_KEYS = ("claim", "case", "kernels", "own-boot", "observable")
_ONCE = ("own-boot",)


@dataclass(frozen=True)
class Bug:
    id: str
    claim: str
    cases: Tuple[str, ...]              # globs of suite.test
    conditions: Tuple[str, ...]
    own_boot: Optional[int] = None      # seconds; None: shown in the boot of all tests
    observables: Tuple[str, ...] = ()

    def applies(self, run: expected.Run) -> bool:
        """Is the bug said to be in that kernel?"""
        return all(expected.holds(condition, run) for condition in self.conditions)

    def names(self, test: str) -> bool:
        """Is it one of the cases? Parameters do not count."""
        return any(is_case(case, test) for case in self.cases)


def is_case(case: str, test: str) -> bool:
    return fnmatchcase(test.split("[")[0], case)


def pattern(observable: str) -> Pattern[str]:
    """What to look for in a log."""
    if len(observable) > 2 and observable[0] == observable[-1] == "/":
        return re.compile(observable[1:-1])
    return re.compile(re.escape(observable))


def load(path: Path) -> List[Bug]:
    """The rows of a table; each mistake is named with its line."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise IncompleteError("%s is missing: what a case says of a known bug cannot be judged"
                              % path, "restore it: git checkout -- tests/%s" % path.name) from error
    return _Reader(path).read(text.splitlines())


class _Reader:

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bugs: Dict[str, Bug] = {}
        self.line = 0       # of the row that is being read
        self.id = ""
        self.values: Dict[str, List[str]] = {}

    def read(self, lines: Sequence[str]) -> List[Bug]:
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            if line[0] not in " \t":
                self._finish()
                self.line = number
                self.id = line.strip()
                self._check(number, _ID.match(self.id) is not None,
                            "%r is no name of a bug: one word, as in the source of the case"
                            % self.id)
                self._check(number, self.id not in self.bugs, "%s has a row already" % self.id)
                continue
            self._check(number, self.id != "", "a row begins with a name that is not indented")
            key, _, value = line.strip().partition(" ")
            self._value(number, key, value.strip())
        self._finish()
        return list(self.bugs.values())

    def _value(self, number: int, key: str, value: str) -> None:
        self._check(number, key in _KEYS, "%r is no key; there are %s" % (key, ", ".join(_KEYS)))
        self._check(number, key not in _ONCE or key not in self.values,
                    "%s twice in one row" % key)
        self._check(number, value != "" or key == "own-boot", "%s needs a value" % key)
        if key == "case":
            self._check(number, _CASE.match(value) is not None,
                        "%r is no SUITE.TEST; parameters are not given" % value)
        elif key == "kernels":
            bad = [word for word in value.split() if word == "slow"
                   or not expected.is_condition(word)]
            self._check(number, not bad, "%r is no condition like kernel>=7.2 or variant!=nothp"
                        % " ".join(bad))
        elif key == "own-boot":
            self._check(number, re.match(r"^([1-9][0-9]{0,2})?$", value) is not None,
                        "%r is no number of seconds from 1 to 999" % value)
        elif key == "observable":
            try:
                pattern(value)
            except re.error as error:
                self._check(number, False, "%s is no regular expression: %s" % (value, error))
        self.values.setdefault(key, []).append(value)

    def _finish(self) -> None:
        """Make the row whose lines have all been read."""
        if not self.id:
            return
        values = self.values
        lacks = [key for key in ("claim", "case", "kernels") if key not in values]
        self._check(self.line, not lacks, "%s has no %s" % (self.id, " and no ".join(lacks)))
        own = values.get("own-boot")
        if own:
            globs = [case for case in values["case"] if "*" in case or "?" in case]
            self._check(self.line, not globs,
                        "%s: a boot of its own is for one case, not for %s" % (
                            self.id, " ".join(globs)))
        else:
            self._check(self.line, "observable" not in values,
                        "%s: observable is of a boot of its own, and own-boot is missing" % self.id)
        self.bugs[self.id] = Bug(
            self.id, " ".join(values["claim"]), tuple(values["case"]),
            tuple(" ".join(values["kernels"]).split()),
            int(own[0] or OWN_BOOT_SECONDS) if own else None,
            tuple(values.get("observable", ())))
        self.id = ""
        self.values = {}

    def _check(self, number: int, good: bool, what: str) -> None:
        if not good:
            raise UsageError("%s line %d: %s" % (self.path, number, what),
                             "see the top of that file for the form of a row")


def to_boot(bugs: Sequence[Bug], run: expected.Run,
            entries: Sequence[expected.Entry]) -> List[Tuple[Bug, str]]:
    """The cases that this run must boot by themselves.

    Where a case exists at all is what the list of expected tests says; a case that it does not
    have yet is tried.
    """
    return [(bug, case) for bug in bugs if bug.own_boot and bug.applies(run)
            for case in bug.cases
            if run.asks_for(case) and _exists(case, run, entries)]


def _exists(case: str, run: expected.Run, entries: Sequence[expected.Entry]) -> bool:
    named = [entry for entry in entries if is_case(case, entry.name)]
    return not named or any(entry.applies(run) for entry in named)


def table(bugs: Sequence[Bug], width: int = 100) -> List[str]:
    """For people: name and claim, then the cases and where it is."""
    out: List[str] = []
    column = max([len(bug.id) for bug in bugs], default=0) + 2
    for bug in bugs:
        indent = " " * column
        out += textwrap.wrap(bug.claim, width, initial_indent=bug.id.ljust(column),
                             subsequent_indent=indent)
        where = " ".join(bug.conditions)
        out += ["%s%s  %s" % (indent, case, where) for case in bug.cases]
        if bug.own_boot:
            out += textwrap.wrap("boot of its own, at most %d s: %s" % (
                bug.own_boot, "; ".join(bug.observables) or "the case tells"), width,
                initial_indent=indent, subsequent_indent=indent + "    ",
                break_long_words=False, break_on_hyphens=False)
    return out
