# SPDX-License-Identifier: GPL-2.0
"""All suites as two boots that take the same time, one on each of two CPUs.

    <cache>/trees/KEY/logs/suites-VARIANT.json      what each suite took, of the last run of all

KUnit has one glob for a boot, so a suite belongs to the one or the other by the last letter of its
name: `*[abc]` and `*[!abc]` have each suite once, also those that nobody has timed yet.
"""
from __future__ import annotations

import re
from pathlib import Path
from typing import Dict, Iterable, List, Mapping, Tuple

from .boot_plan import Part
from .cache import read_json, write_json
from .ktap import Case

# A second boot costs the CPU half a second more; it must save more than it costs.
WORTH_SECONDS = 1.0
# Of the time of all suites: with more in one of the boots there is little to be won.
LARGEST_SHARE = 0.75


def times_path(logs: Path, variant: str) -> Path:
    return logs / ("suites-%s.json" % variant)


def load(path: Path) -> Dict[str, float]:
    """Seconds by suite; empty if nothing is known."""
    return {name: float(took) for name, took in read_json(path).items()
            if isinstance(took, (int, float)) and took >= 0}


def keep(path: Path, cases: Iterable[Case]) -> None:
    """What the suites took in a run of all of them."""
    seconds: Dict[str, float] = {}
    for case in cases:
        seconds[case.suite] = seconds.get(case.suite, 0.0) + (case.seconds or 0.0)
    write_json(path, {name: round(took, 4) for name, took in seconds.items()})


def parts(seconds: Mapping[str, float], slow: bool = False) -> Tuple[Part, ...]:
    """Two boots; or none, if one boot is as good.

    slow: there is more to run than was timed.
    """
    letters: Dict[str, float] = {}
    for name, took in seconds.items():
        letters[name[-1:]] = letters.get(name[-1:], 0.0) + took
    whole = sum(letters.values())
    halves: List[List[str]] = [[], []]
    took_by = [0.0, 0.0]
    for letter in sorted(letters, key=lambda one: (-letters[one], one)):
        lighter = took_by[1] < took_by[0]
        took_by[lighter] += letters[letter]
        halves[lighter].append(letter)
    if max(took_by) > LARGEST_SHARE * whole or whole < WORTH_SECONDS and not slow:
        return ()
    named = sorted(letter for letter in halves[1] if re.match("[a-z0-9_]$", letter, re.ASCII))
    if not named:
        return ()
    chosen = "".join(named)
    return (Part("*[!%s]" % chosen), Part("*[%s]" % chosen))
