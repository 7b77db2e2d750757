# SPDX-License-Identifier: GPL-2.0
"""The kernel's own complaints in a boot log: one is enough for the run to fail.

KUnit reports a test as passed although the kernel warned in the middle of it; only KASAN and
UBSAN tell KUnit. So the log is read as well.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from typing import List, Pattern, Sequence, Tuple


@dataclass(frozen=True)
class Pattern_:
    """A complaint, and the lines that look like it but are none."""

    name: str
    regex: Pattern[str]
    ignore: Tuple[Pattern[str], ...] = ()
    follows: bool = False   # usually the continuation of a report, seldom one by itself


@dataclass
class Splat:
    """One report of the kernel, however many of its lines look like a complaint."""

    line: int           # of its first complaint, an index into the log's lines
    kind: str
    text: str
    last: int           # line of its last complaint


def _entry(name: str, regex: str, *ignore: str, follows: bool = False) -> Pattern_:
    return Pattern_(name, re.compile(regex), tuple(re.compile(text) for text in ignore), follows)


# In this order: the first that matches names the complaint, and the report.
PATTERNS: Tuple[Pattern_, ...] = (
    _entry("panic", r"Kernel panic - not syncing", follows=True),
    _entry("BUG at", r"kernel BUG at "),
    _entry("KASAN", r"\bKASAN: ", r"KASAN: (?:stack|software|inline)\b.*\b(?:enabled|disabled)"),
    _entry("UBSAN", r"\bUBSAN: "),
    _entry("lockdep", r"possible (?:circular|irq lock inversion|recursive|deadlock)|"
           r"possible (?:irq )?lock(?:ing)? |inconsistent lock state|"
           r"bad unlock balance|held lock freed|lock held (?:when|at)|"
           r"INFO: trying to register non-static key|BUG: MAX_LOCK",
           r"INFO: lockdep is turned off"),
    _entry("RCU", r"suspicious RCU usage|\bINFO: rcu\S* .*(?:stall|expedited)|"
           r"Illegal context switch in RCU"),
    _entry("RCU", r"rcu_\w+ kthread starved", follows=True),
    _entry("refcount", r"\brefcount_t: "),
    _entry("list", r"\blist_(?:add|del)(?:_rcu)? corruption"),
    _entry("leak", r"\bunreferenced object\b|kmemleak: \d+ new suspected"),
    _entry("sleep", r"sleeping function called from invalid|scheduling while atomic"),
    _entry("hung task", r"\bINFO: task .* blocked for more"),
    _entry("stall", r"soft lockup|hard LOCKUP|workqueue lockup"),
    _entry("bad page", r"\bBUG: Bad (?:page|rss-counter)|"
           r"\bBad (?:page state|page map|rss-counter)"),
    _entry("page dump", r"\bpage dumped because:", follows=True),
    _entry("oops", r"\bOops\b|general protection fault|Kernel mode (?:fault|signal)|"
           r"Unable to handle kernel|Segfault with no mm"),
    _entry("BUG", r"\bBUG: "),
    _entry("WARNING", r"\bWARNING: ",),
    # arch/um and the generic helpers also dump a stack without any of the above.
    _entry("trace", r"^\s*Call Trace:\s*$", follows=True),
)
# VM_WARN_ON_FOLIO() and VM_BUG_ON_PAGE() dump the page before they complain.
_LEADS = re.compile(r"\bpage dumped because: VM_(?:WARN|BUG)_ON")
_RESULT = re.compile(r"^ *(?:not )?ok \d+\b")
# `[    1.234567][   T12]` in front of a message.
_PREFIX = re.compile(r"^(?:\[ *\d+\.\d+\](?:\[ *[CT]\d+\])? ?)?")


def is_diagnostic(text: str) -> bool:
    """A KTAP diagnostic: the words of a test, not of the kernel."""
    return text.lstrip().startswith("# ")


def source_paths(text: str) -> str:
    """Paths as in the kernel tree; the compiler saw them from the build directory (ccache)."""
    return re.sub(r"(?:\.\./)+src/", "", text)


def find(lines: Sequence[str]) -> List[Splat]:
    """Every report, one entry each, named by the line of it that says most."""
    reader = Reader()
    for line in lines:
        reader.read(line)
    return reader.found


class Reader:
    """Where in a report the log is: a line belongs to the open one, or begins another.

    A report ends with its `end trace`, with the next one or with the result of the test. No
    number of lines would do: lockdep and KASAN have much to tell before their last line.
    """

    def __init__(self) -> None:
        self.found: List[Splat] = []
        self._lines = 0
        self._open = False
        self._rank = 0          # of the pattern that named the open report
        self._leads = False     # its complaint is still to come
        self._cut = False       # between `cut here` and `end trace`

    def read(self, line: str) -> None:
        """The next line of the log."""
        number, text = self._lines, _PREFIX.sub("", line, count=1)
        self._lines += 1
        if "---[ end trace" in text:
            self._open = self._cut = False
        elif "---[ cut here ]---" in text:
            self._open = self._open and self._leads
            self._cut = True
        elif is_diagnostic(text):
            pass
        elif rank := _rank(text):
            if not (self._open and (self._cut or self._leads or PATTERNS[rank - 1].follows)):
                self.found.append(Splat(number, PATTERNS[rank - 1].name, text.strip(), number))
                self._open = True
                self._rank = rank
            self._add(number, rank, text)
        elif _RESULT.match(text) and not self._cut:
            self._open = False

    def _add(self, number: int, rank: int, text: str) -> None:
        """One more line of the open report; what is more exact than its name renames it."""
        splat, pattern, named = self.found[-1], PATTERNS[rank - 1], PATTERNS[self._rank - 1]
        splat.last = number
        self._leads = _LEADS.search(text) is not None
        if not pattern.follows and (named.follows or rank < self._rank):
            self._rank = rank
            splat.kind = pattern.name


def _rank(text: str) -> int:
    """The number of the first pattern that matches, from 1; 0: no complaint."""
    for number, pattern in enumerate(PATTERNS, 1):
        if pattern.regex.search(text) and not any(r.search(text) for r in pattern.ignore):
            return number
    return 0
