# SPDX-License-Identifier: GPL-2.0
"""A directory of one run's own: gone after it, and at the next run if this one is killed."""
from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

_PREFIX = "umthp-run-"
# Younger than this it may be one that is just being made.
_STALE_SECONDS = 60


@contextmanager
def private_dir(parent: Path) -> Iterator[Path]:
    """A new directory that only this user can read, locked as long as the block runs."""
    _remove_stale(parent)
    directory = Path(tempfile.mkdtemp(dir=parent, prefix=_PREFIX))
    alive = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(alive, fcntl.LOCK_EX)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)
        os.close(alive)


def in_use(directory: Path) -> bool:
    """Does a run that is still alive hold this directory?"""
    handle = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(handle)
    return False


def _remove_stale(parent: Path) -> None:
    """Directories of runs that were killed before they could tidy up: nobody holds their lock."""
    for path in parent.glob(_PREFIX + "*"):
        try:
            info = path.lstat()
            if stat.S_ISDIR(info.st_mode) and info.st_uid == os.getuid() \
                    and time.time() - info.st_mtime >= _STALE_SECONDS and not in_use(path):
                shutil.rmtree(path, ignore_errors=True)
        except OSError:
            continue
