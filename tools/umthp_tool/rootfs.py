# SPDX-License-Identifier: GPL-2.0
"""The root file system of a guest that runs plain programs: a private directory of the host.

UML mounts it read-only through hostfs. It holds tools/userland's init, the programs and, in /job,
the commands to run: one argument a line, an empty line after each command.
"""
from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Sequence

# What init mounts on.
MOUNT_POINTS = ("dev", "proc", "sys", "tmp")
# hostfs takes one path, and a comma ends it.
_UNFIT = (",", " ")


@contextmanager
def rootfs(parent: Path, init: Path, programs: Sequence[Path],
           commands: Sequence[Sequence[str]]) -> Iterator[Path]:
    """A root with /init, /bin/NAME for each program and the job; gone after the block.

    parent: an existing directory of this user's; programs are static, or bring what they need.
    """
    directory = Path(tempfile.mkdtemp(prefix="rootfs-", dir=parent))
    try:
        for name in (*MOUNT_POINTS, "bin"):
            (directory / name).mkdir()
        _install(init, directory / "init")
        for program in programs:
            _install(program, directory / "bin" / program.name)
        (directory / "job").write_text(job(commands), encoding="utf-8")
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def job(commands: Sequence[Sequence[str]]) -> str:
    """The text of /job. An argument can be neither empty nor longer than a line."""
    for command in commands:
        for word in command:
            if not word or "\n" in word:
                raise ValueError("not an argument for a guest: %r" % word)
    return "".join("".join(word + "\n" for word in command) + "\n" for command in commands)


def arguments(root: Path) -> List[str]:
    """The kernel command line that makes a directory the root."""
    if any(char in str(root) for char in _UNFIT):
        raise ValueError("hostfs cannot take a path with a comma or a space: %s" % root)
    return ["root=/dev/root", "rootfstype=hostfs", "rootflags=%s" % root, "ro", "init=/init"]


def _install(source: Path, target: Path) -> None:
    """A hard link where the file system allows it, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
