# SPDX-License-Identifier: GPL-2.0
"""Rules on the text of the files, whatever their language."""

import re
from typing import Iterable, Iterator

from .source import Problem, Source

MAX_LINES = 800
# Length says nothing about these.
LONG_BY_NATURE = re.compile(r'LICENSE|tests/expected_\w+')

# A path of one machine, or the host of an archive: neither exists elsewhere.
# The mirror comes from the machine's own apt sources.
MACHINE = re.compile(
    r'(?<![\w.$}])/(?:work|farm|root|home/\w+|var/tmp)/'
    r'|\b(?:deb|ftp|security|snapshot|archive|cdn-fastly)\.debian\.org'
    r'|\b(?:cdn|mirrors?)\.(?:edge\.)?kernel\.org'
    r'|\barchive\.ubuntu\.com')

SPDX = 'SPDX-License-Identifier: GPL-2.0'


def encoding(sources: Iterable[Source]) -> Iterator[Problem]:
    """UTF-8 without control characters, lines end in LF, the last one too."""
    for source in sources:
        data = source.data()
        try:
            data.decode('utf-8')
        except UnicodeDecodeError as error:
            yield Problem(source.path, data.count(b'\n', 0, error.start) + 1, 'not UTF-8')
            continue
        for match in re.finditer(rb'[\x00-\x08\x0b-\x1f\x7f]', data):
            yield Problem(source.path, data.count(b'\n', 0, match.start()) + 1,
                          f'control character {match.group().hex()}')
            break
        if data and not data.endswith(b'\n'):
            yield Problem(source.path, data.count(b'\n') + 1, 'no newline at end of file')


def trailing_blanks(sources: Iterable[Source]) -> Iterator[Problem]:
    """No blanks at line ends (a patch has them by its format)."""
    for source in sources:
        if source.is_patch:
            continue
        lines = source.lines()
        for number, line in enumerate(lines, 1):
            if line != line.rstrip():
                yield Problem(source.path, number, 'trailing blanks')
        if len(lines) > 2 and lines[-1] == '' and lines[-2].strip() == '':
            yield Problem(source.path, len(lines) - 1, 'empty line at end of file')


def length(sources: Iterable[Source]) -> Iterator[Problem]:
    """A file of 800 lines has more than one job."""
    for source in sources:
        if LONG_BY_NATURE.fullmatch(source.path) or source.is_patch:
            continue
        count = source.data().count(b'\n')
        if count >= MAX_LINES:
            yield Problem(source.path, 0, f'{count} lines; split it before {MAX_LINES}')


def licence(sources: Iterable[Source]) -> Iterator[Problem]:
    """Code says its license in its first line (the second after `#!`)."""
    for source in sources:
        if source.path.endswith('.c'):
            wanted = f'// {SPDX}'
        elif source.path.endswith('.h'):
            wanted = f'/* {SPDX}'
        elif (source.is_python or source.is_shell
              or source.name in ('Makefile', 'Kconfig', 'Kbuild')):
            wanted = f'# {SPDX}'
        else:
            continue
        number = 2 if source.interpreter else 1
        lines = source.lines()
        if len(lines) < number or not lines[number - 1].startswith(wanted):
            yield Problem(source.path, number, f"expected '{wanted}'")


def machine(sources: Iterable[Source]) -> Iterator[Problem]:
    """No file names a path of the author's machine or an archive host."""
    for source in sources:
        for number, line in enumerate(source.lines(), 1):
            match = MACHINE.search(line)
            if match:
                yield Problem(source.path, number, f"names '{match.group()}', "
                              'which other machines do not have')


def executable(sources: Iterable[Source]) -> Iterator[Problem]:
    """What starts with `#!` can be executed, and nothing else."""
    for source in sources:
        runs = bool(source.file.stat().st_mode & 0o111)
        if runs and not source.interpreter:
            yield Problem(source.path, 0, "executable without '#!'")
        elif source.interpreter and not runs:
            yield Problem(source.path, 0, "'#!' but not executable")
