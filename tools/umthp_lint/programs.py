# SPDX-License-Identifier: GPL-2.0
"""Rules kept by other programs: shellcheck, pyflakes, pycodestyle, checkpatch."""

import hashlib
import os
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Callable, Iterable, Iterator, List, Optional

from .series import FOLDER
from .source import Problem, Source

# FILE_PATH_CHANGES asks for a MAINTAINERS entry, and arch/um/ has one.
PATCH_IGNORE = ('FILE_PATH_CHANGES',)
# Plain C programs: no kernel types, attribute macros, printk or ARRAY_SIZE() there.
USERLAND_IGNORE = ('PREFER_DEFINED_ATTRIBUTE_MACRO', 'ARRAY_SIZE', 'EMBEDDED_FUNCTION_NAME',
                   'PREFER_KERNEL_TYPES', 'BIT_MACRO', 'PREFER_PR_LEVEL', 'SYMBOLIC_PERMS',
                   'VOLATILE', 'AVOID_EXTERNS', 'STRCPY', 'STRNCPY', 'STRLCPY')


class LintError(Exception):
    """A program that a rule needs cannot be run."""


def _run(command: List[str], cwd: Optional[Path] = None,
         text: str = '') -> 'subprocess.CompletedProcess[str]':
    try:
        return subprocess.run(command, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              input=text, encoding='utf-8', errors='replace',
                              check=False)
    except OSError as error:
        raise LintError(f'{command[0]} cannot be run: {error.strerror}\n'
                        'To install what is missing: tools/install-deps check') from error


def _findings(command: List[str], root: Path) -> Iterator[Problem]:
    """Run a program that prints `file:line[:column]: text` for each problem."""
    result = _run(command)
    found = False
    # pyflakes tells of syntax errors on stderr.
    for line in (result.stdout + result.stderr).splitlines():
        match = re.match(r'(.+?):(\d+):(?:\d+:)? ?(.+)', line)
        if match:
            found = True
            yield Problem(os.path.relpath(match.group(1), root), int(match.group(2)),
                          match.group(3))
    if result.returncode and not found:
        raise LintError(f'{command[0]} failed with status {result.returncode}: '
                        + (result.stderr or result.stdout).strip()[-500:])


def shell(sources: Iterable[Source]) -> Iterator[Problem]:
    """shellcheck says nothing about any shell script."""
    for source in sources:
        if source.is_shell:
            yield from _findings(['shellcheck', '--format=gcc', str(source.file)], source.root)


def python_names(sources: Iterable[Source]) -> Iterator[Problem]:
    """pyflakes says nothing about any Python file."""
    files = [source for source in sources if source.is_python]
    if files:
        yield from _findings(['pyflakes3', *(str(s.file) for s in files)], files[0].root)


def python_style(sources: Iterable[Source]) -> Iterator[Problem]:
    """PEP 8 with 100 columns; line breaks on either side of an operator."""
    files = [source for source in sources if source.is_python]
    if files:
        yield from _findings(['pycodestyle', '--max-line-length=100',
                              '--ignore=E121,E123,E126,E133,W503,W504',
                              *(str(s.file) for s in files)], files[0].root)


class Checkpatch:
    """The kernel's own judge of its style, from the tree under test.

    A file that it found clean is not judged again: `cache` (a directory) holds
    an empty file for each (script, options, file content) that was.
    """

    def __init__(self, tree: Path, cache: Optional[Path]):
        self.tree = tree
        self.script = tree / 'scripts' / 'checkpatch.pl'
        self.cache = cache
        if not self.script.is_file():
            raise LintError(f'{self.script} does not exist: not a kernel tree')

    def rule(self, name: str) -> Callable[[Iterable[Source]], Iterator[Problem]]:
        """One of the three rules: patches, kernel, userland."""
        select, options = {
            'patches': (lambda s: s.is_patch and s.path.startswith(FOLDER),
                        ['--ignore', ','.join(PATCH_IGNORE)]),
            'kernel': (lambda s: s.path.startswith('kunit/')
                       and (s.is_c or s.name in ('Kconfig', 'Makefile')), ['--file']),
            'userland': (lambda s: s.is_c and not s.path.startswith('kunit/'),
                         ['--file', '--ignore', ','.join(USERLAND_IGNORE)]),
        }[name]

        def check(sources: Iterable[Source]) -> Iterator[Problem]:
            chosen = [source for source in sources if select(source)]
            with ThreadPoolExecutor(os.cpu_count()) as pool:
                for problems in pool.map(lambda s: self._judge(s, options), chosen):
                    yield from problems
        check.__doc__ = f'checkpatch --strict says nothing ({name}).'
        return check

    def _judge(self, source: Source, options: List[str]) -> List[Problem]:
        stamp = self._stamp(source, options)
        if stamp and stamp.exists():
            return []
        # A file of kunit/ is judged under the path that it has in the kernel.
        in_kernel = source.path.startswith('kunit/')
        folder = source.root / 'kunit' if in_kernel else source.root
        # A patch goes in on stdin: checkpatch takes a file that is in git for source code.
        name, text = ('-', '\n'.join(source.lines())) if source.is_patch \
            else (os.path.relpath(source.file, folder), '')
        result = _run(['perl', str(self.script), '--strict', '--show-types', '--terse',
                       '--no-summary', '--quiet', f'--root={self.tree}', *options, name],
                      folder, text)
        problems = []
        for line in result.stdout.splitlines():
            match = re.match(r'(?:.*?:)?(\d*): ((?:ERROR|WARNING|CHECK):.*)', line)
            if match:
                problems.append(Problem(source.path, int(match.group(1) or 0), match.group(2)))
        if result.returncode and not problems:
            raise LintError(f'checkpatch failed on {source.path}: '
                            + (result.stderr or result.stdout).strip()[-500:])
        if stamp and not problems:
            stamp.parent.mkdir(parents=True, exist_ok=True)
            stamp.touch()
        return problems

    def _stamp(self, source: Source, options: List[str]) -> Optional[Path]:
        if not self.cache:
            return None
        key = hashlib.sha256()
        for part in (self.script.read_bytes(), '\0'.join(options).encode(),
                     source.path.encode(), source.data()):
            key.update(len(part).to_bytes(8, 'big') + part)
        return self.cache / key.hexdigest()
