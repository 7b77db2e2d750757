# SPDX-License-Identifier: GPL-2.0
"""The root file system of a guest that runs plain programs: a private directory of the host.

UML mounts it read-only through hostfs. It holds tools/userland's init, the programs and, in /job,
the commands to run: one argument a line, an empty line after each command.
"""
from __future__ import annotations

import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator, List, Sequence

from .errors import HostError

# What init mounts on.
MOUNT_POINTS = ("dev", "proc", "sys", "tmp")
# A space ends an argument of the kernel, a comma ends hostfs's path.
UNFIT = re.compile("[\\s,]")


@contextmanager
def rootfs(parent: Path, init: Path, programs: Sequence[Path],
           commands: Sequence[Sequence[str]]) -> Iterator[Path]:
    """A root with /init, /bin/NAME for each program and the job; gone after the block.

    parent: an existing directory of this user's; another is taken if its name is unfit.
    programs: static ones, or what brings all that it needs.
    """
    if UNFIT.search(str(parent)):
        parent = Path(tempfile.gettempdir())
    directory = Path(tempfile.mkdtemp(prefix="umthp-rootfs-", dir=parent))
    try:
        for name in (*MOUNT_POINTS, "bin"):
            (directory / name).mkdir()
        install(init, directory / "init")
        for program in programs:
            install(program, directory / "bin" / program.name)
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
    if UNFIT.search(str(root)):
        raise HostError("UML cannot mount %s: there is a space or a comma in the path" % root,
                        "set TMPDIR or UMTHP_CACHE to a directory without")
    return ["root=/dev/root", "rootfstype=hostfs", "rootflags=%s" % root, "ro", "init=/init"]


def install(source: Path, target: Path) -> None:
    """A hard link where the file system allows it, else a copy."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
