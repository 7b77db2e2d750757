# SPDX-License-Identifier: GPL-2.0
"""A set of suites as a few boots.

KUnit has one glob for a boot, and attribute filters that must all hold; `module` is the source
file that a suite is in. So a boot runs what a glob matches without the suites of some files. The
kernel refuses a parameter of more than 1024 characters: that is some twenty files.
"""
from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase
from os.path import commonprefix
from typing import AbstractSet, FrozenSet, Iterator, List, Mapping, Optional, Sequence, Tuple

MAX_WITHOUT = 980
# How many places of a name, at its beginning and at its end, a glob may look at.
_PLACES = ((1, 0), (2, 0), (4, 0), (1, 1), (2, 4), (4, 4), (1, 10), (10, 1), (8, 8), (1, 30),
           (30, 0), (0, 30))


@dataclass(frozen=True)
class Part:
    """The suites of one boot."""

    glob: Optional[str]
    without: Tuple[str, ...] = ()       # modules
    first: bool = False                 # what the change reaches, of a run of all suites

    def suites(self, modules: Mapping[str, str]) -> List[str]:
        return [suite for suite, module in modules.items() if module not in self.without
                and (self.glob is None or fnmatchcase(suite, self.glob))]


@dataclass(frozen=True)
class Plan:
    """The boots of a run."""

    parts: Tuple[Part, ...]
    only: Optional[FrozenSet[str]] = None       # no other suites; None: all
    early: FrozenSet[str] = frozenset()         # the suites to begin with


ALL = Plan((Part(None),))


def fits(modules: Sequence[str]) -> bool:
    return sum(len(",module!=") + len(module) for module in modules) <= MAX_WITHOUT


def whole_files(wanted: AbstractSet[str], modules: Mapping[str, str]) -> "frozenset[str]":
    """wanted, and what is in the same files: one suite of a file cannot be left out alone."""
    files = {modules[suite] for suite in wanted}
    return frozenset(suite for suite, module in modules.items() if module in files)


def cover(wanted: AbstractSet[str], modules: Mapping[str, str]) -> List[Part]:
    """Boots that run each of the wanted suites (of whole files) once, and no other."""
    return _cover(sorted(wanted), wanted, modules)


def _cover(names: List[str], wanted: AbstractSet[str], modules: Mapping[str, str]) -> List[Part]:
    """names: all of the wanted that begin with what these have in common and one of the letters
    that follow in them."""
    if not names:
        return []
    if len(names) == 1:
        return [Part(names[0])]
    prefix = commonprefix(names)
    letters = sorted({name[len(prefix):len(prefix) + 1] for name in names})
    for glob in _globs(names, prefix):
        without = sorted({modules[suite] for suite in modules
                          if fnmatchcase(suite, glob) and suite not in wanted})
        if fits(without):
            return [Part(glob, tuple(without))]
    middle = letters[len(letters) // 2]
    halves: Tuple[List[str], List[str]] = ([], [])
    for name in names:
        halves[name[len(prefix):len(prefix) + 1] >= middle].append(name)
    return _cover(halves[0], wanted, modules) + _cover(halves[1], wanted, modules)


def _globs(names: Sequence[str], prefix: str) -> Iterator[str]:
    """Globs that match all of these, simple ones first: the letters that each of the first and of
    the last places may have."""
    shortest = min(map(len, names))
    if shortest == len(prefix):
        # What is one of them, and others begin with.
        yield prefix + "*"
        return
    if not all(re.match(r"\w+$", name, re.ASCII) for name in names):
        return
    room = shortest - len(prefix)
    seen = set()
    for front, back in _PLACES:
        front = min(front, room)
        back = min(back, room - front)
        glob = prefix + "".join(_letters(names, at) for at in range(len(prefix),
                                                                    len(prefix) + front))
        glob += "*" + "".join(_letters(names, -at) for at in range(back, 0, -1))
        if glob not in seen:
            yield glob
        seen.add(glob)


def _letters(names: Sequence[str], place: int) -> str:
    letters = sorted({name[place] for name in names})
    return "[%s]" % "".join(letters) if letters[1:] else letters[0]


def first_and_rest(wanted: AbstractSet[str], modules: Mapping[str, str]) -> List[Part]:
    """Two boots: the wanted suites in the first, if need be with some others, all that are left
    in the second, also what `modules` does not know. Empty if two are not enough.
    """
    names = sorted(wanted)
    found: List[Tuple[int, Part]] = []
    for glob in names if len(names) == 1 else _globs(names, commonprefix(names)):
        without: List[str] = []
        others = {modules[suite] for suite in modules
                  if fnmatchcase(suite, glob) and suite not in wanted}
        for module in sorted(others):
            if fits([*without, module]):
                without.append(module)
        part = Part(glob, tuple(without), True)
        run = {modules[suite] for suite in part.suites(modules)}
        # The second boot leaves out whole files.
        if fits(sorted(run)) and whole_files(set(part.suites(modules)), modules) \
                == set(part.suites(modules)):
            found.append((len(run), part))
    if not found:
        return []
    best = min(found, key=lambda one: one[0])[1]
    left_out = sorted({modules[suite] for suite in best.suites(modules)})
    return [best, Part(None, tuple(left_out))]
