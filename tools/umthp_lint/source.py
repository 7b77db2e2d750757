# SPDX-License-Identifier: GPL-2.0
"""The files that are linted, and what a rule says about them."""

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

# Kept byte for byte as they were recorded: hostile on purpose.
VERBATIM = ('tests/data/',)


@dataclass(frozen=True)
class Problem:
    """One finding of a rule; line 0 means the file as a whole."""

    path: str
    line: int
    text: str

    def __str__(self) -> str:
        place = f'{self.path}:{self.line}' if self.line else self.path
        return f'{place}: {self.text}'


@dataclass(frozen=True)
class Source:
    """A file of the project; `path` is relative to its root, with slashes."""

    root: Path
    path: str

    @property
    def file(self) -> Path:
        return self.root / self.path

    @property
    def name(self) -> str:
        return self.path.rsplit('/', 1)[-1]

    def data(self) -> bytes:
        return self.file.read_bytes()

    def lines(self) -> List[str]:
        """The lines without their ends; undecodable bytes become U+FFFD."""
        return self.data().decode('utf-8', 'replace').split('\n')

    @property
    def interpreter(self) -> Optional[str]:
        """The last word of the path in the `#!` line: sh, bash, python3, None."""
        first = self.data().split(b'\n', 1)[0]
        if not first.startswith(b'#!'):
            return None
        words = first[2:].decode('ascii', 'replace').split()
        if words and words[0].endswith('/env'):
            words = words[1:]
        return words[0].rsplit('/', 1)[-1] if words else None

    @property
    def is_python(self) -> bool:
        return self.path.endswith('.py') or (self.interpreter or '').startswith('python')

    @property
    def is_shell(self) -> bool:
        return self.path.endswith('.sh') or self.interpreter in ('sh', 'bash', 'dash')

    @property
    def is_c(self) -> bool:
        return self.path.endswith(('.c', '.h'))

    @property
    def is_patch(self) -> bool:
        return self.path.endswith('.patch')


def project_files(root: Path) -> List[Source]:
    """All files of the project below root that are not ignored, sorted.

    Files that are not yet added to git count too: they are what the next
    commit brings.  Without git (an unpacked archive) every file counts.
    """
    try:
        listing = subprocess.run(
            ['git', '-C', str(root), 'ls-files', '-z', '--cached', '--others',
             '--exclude-standard'],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        paths = {os.fsdecode(name) for name in listing.split(b'\0') if name}
    except (OSError, subprocess.CalledProcessError):
        paths = set(_walk(root))
    return [Source(root, path) for path in sorted(paths)
            if (root / path).is_file() and not path.startswith(VERBATIM)]


def _walk(root: Path):
    for folder, dirs, files in os.walk(root):
        dirs[:] = [name for name in dirs if name not in ('.git', '__pycache__')]
        for name in files:
            yield os.path.relpath(os.path.join(folder, name), root).replace(os.sep, '/')
