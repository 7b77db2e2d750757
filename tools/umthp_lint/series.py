# SPDX-License-Identifier: GPL-2.0
"""Rules on the patches of um_config/ and on the list of them."""

import re
from typing import Iterable, Iterator, List

from .source import Problem, Source

FOLDER = 'um_config/patches/'
# um_config/series and um_config/patches/series are both common places.
LISTS = ('um_config/series', 'um_config/patches/series')
# The code under test is the kernel's own: a patch extends the architecture only.
ARCH = ('arch/um/', 'arch/x86/um/')


def listed(sources: Iterable[Source]) -> Iterator[Problem]:
    """The series lists each patch file once, in order, and no other file."""
    sources = list(sources)
    present = [s.path[len(FOLDER):] for s in sources
               if s.is_patch and s.path.startswith(FOLDER)]
    lists = [s for s in sources if s.path in LISTS]
    if len(lists) != 1:
        if present:
            yield Problem(LISTS[0], 0, 'there must be exactly one list of the patches')
        return
    names: List[str] = []
    for number, line in enumerate(lists[0].lines(), 1):
        name = line.split('#', 1)[0].strip()
        if not name:
            continue
        if name in names:
            yield Problem(lists[0].path, number, f'{name} is listed twice')
        elif name not in present:
            yield Problem(lists[0].path, number, f'{FOLDER}{name} does not exist')
        elif names and name < names[-1]:
            yield Problem(lists[0].path, number, f'{name} comes after {names[-1]}')
        names.append(name)
    for name in present:
        if name not in names:
            yield Problem(FOLDER + name, 0, f'not listed in {lists[0].path}')


def form(sources: Iterable[Source]) -> Iterator[Problem]:
    """A patch is `git format-patch --zero-commit --full-index` output and stays in arch."""
    for source in sources:
        if not (source.is_patch and source.path.startswith(FOLDER)):
            continue
        lines = source.lines()
        if not re.fullmatch(r'From 0{40} Mon Sep 17 00:00:00 2001', lines[0]):
            yield Problem(source.path, 1, 'not made by git format-patch --zero-commit')
        header = '\n'.join(lines[:lines.index('')] if '' in lines else lines)
        if not re.search(r'^Subject: \[PATCH\] \S', header, re.M):
            yield Problem(source.path, 1, "the subject does not start with '[PATCH] ' (-N)")
        for number, line in enumerate(lines, 1):
            if line.startswith('diff --git '):
                path = line.rsplit(' b/', 1)[-1]
                if not path.startswith(ARCH):
                    yield Problem(source.path, number, f'touches {path}: only '
                                  + ' and '.join(ARCH) + ' are extended')
            elif (re.match(r'index [0-9a-f]+\.\.[0-9a-f]+', line)
                  and not re.match(r'index [0-9a-f]{40}\.\.[0-9a-f]{40}\b', line)):
                yield Problem(source.path, number, 'short blob id: use --full-index')
