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


@dataclass(frozen=True)
class Splat:
    line: int           # index into the log's lines
    kind: str
    text: str


def _entry(name: str, regex: str, *ignore: str) -> Pattern_:
    return Pattern_(name, re.compile(regex), tuple(re.compile(text) for text in ignore))


# In this order: the first that matches names the complaint.
PATTERNS: Tuple[Pattern_, ...] = (
    _entry("panic", r"Kernel panic - not syncing"),
    _entry("BUG at", r"kernel BUG at "),
    _entry("KASAN", r"\bKASAN: ", r"KASAN: (?:stack|software|inline)\b.*\b(?:enabled|disabled)"),
    _entry("UBSAN", r"\bUBSAN: "),
    _entry("lockdep", r"possible (?:circular|irq lock inversion|recursive|deadlock)|"
           r"possible (?:irq )?lock(?:ing)? |inconsistent lock state|"
           r"bad unlock balance|held lock freed|lock held (?:when|at)|"
           r"INFO: trying to register non-static key|BUG: MAX_LOCK",
           r"INFO: lockdep is turned off"),
    _entry("RCU", r"suspicious RCU usage|\bINFO: rcu\S* .*(?:stall|expedited)|rcu_\w+ kthread "
           r"starved|Illegal context switch in RCU"),
    _entry("refcount", r"\brefcount_t: "),
    _entry("list", r"\blist_(?:add|del)(?:_rcu)? corruption"),
    _entry("leak", r"\bunreferenced object\b|kmemleak: \d+ new suspected"),
    _entry("sleep", r"sleeping function called from invalid|scheduling while atomic"),
    _entry("hung task", r"\bINFO: task .* blocked for more"),
    _entry("stall", r"soft lockup|hard LOCKUP|workqueue lockup"),
    _entry("bad page", r"\bBUG: Bad (?:page|rss-counter)|\bBad (?:page state|page map|rss-counter)"
           r"|page dumped because:"),
    _entry("oops", r"\bOops\b|general protection fault|Kernel mode (?:fault|signal)|"
           r"Unable to handle kernel|Segfault with no mm"),
    _entry("BUG", r"\bBUG: "),
    _entry("WARNING", r"\bWARNING: ",),
    # arch/um and the generic helpers also dump a stack without any of the above.
    _entry("trace", r"^\s*Call Trace:\s*$"),
)
# Follow-up lines of a complaint that was counted already.
_SECONDARY = ("trace", "bad page", "panic")
_BLOCK = 60
# `[    1.234567][   T12]` in front of a message.
_PREFIX = re.compile(r"^(?:\[ *\d+\.\d+\](?:\[ *[CT]\d+\])? ?)?")


def is_diagnostic(text: str) -> bool:
    """A KTAP diagnostic: the words of a test, not of the kernel."""
    return text.lstrip().startswith("# ")


def find(lines: Sequence[str]) -> List[Splat]:
    """Every complaint, one entry each: the lines that belong to it are not counted again."""
    found: List[Splat] = []
    end_of_block = -1
    for number, line in enumerate(lines):
        text = _PREFIX.sub("", line, count=1)
        if "---[ end trace" in text:
            end_of_block = -1
        if is_diagnostic(text):
            continue
        for pattern in PATTERNS:
            if pattern.regex.search(text) and not any(r.search(text) for r in pattern.ignore):
                if not (pattern.name in _SECONDARY and number <= end_of_block):
                    found.append(Splat(number, pattern.name, text.strip()))
                end_of_block = number + _BLOCK
                break
    return found
