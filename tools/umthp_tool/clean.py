# SPDX-License-Identifier: GPL-2.0
"""umthp clean: give disk space back."""
from __future__ import annotations

import argparse
import fcntl
import os
import shutil
from pathlib import Path
from typing import List

from .cache import cache_root
from .context import Context
from .errors import EXIT_PASS, HostError
from .private_dir import in_use

# Nothing but these is ever removed: UMTHP_CACHE may be set to a directory with other things.
TREES = ("trees", "mutants", "userland", "bench", "shell", "gdb", "export")
ALL = TREES + ("sources", "apt", "ccache")


def main(args: argparse.Namespace, context: Context) -> int:
    root = cache_root()
    freed = 0
    for name in ALL if args.all else TREES:
        directory = root / name
        if not directory.is_dir() or directory.is_symlink():
            continue
        for path in sorted(directory.iterdir()):
            if path.name == "lock":
                continue
            if args.dry_run:
                context.console.say("would remove %s" % path)
                continue
            freed += _remove(path)
    if not args.dry_run:
        context.console.say("freed %d MiB in %s%s" % (
            freed >> 20, root, "" if args.all else
            " (sources and ccache are kept; --all removes them too)"))
    return EXIT_PASS


def _remove(path: Path) -> int:
    """Remove one entry; a tree that another umthp uses stays, with a message."""
    lock = path / "lock"
    handle = None
    if path.is_dir() and not path.is_symlink() and in_use(path):
        raise _used(path)
    if lock.exists():
        handle = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise _used(path) from error
    try:
        size = _size(path)
        if path.is_dir() and not path.is_symlink():
            # The lock file goes last: whoever waits for it finds a cleaned tree.
            for inner in [entry for entry in path.iterdir() if entry.name != "lock"]:
                _delete(inner)
            if handle is None:
                shutil.rmtree(path)
        else:
            path.unlink()
        return size
    except OSError as error:
        raise HostError("cannot remove %s: %s" % (error.filename or path, error.strerror),
                        "check its owner and permissions") from error
    finally:
        if handle is not None:
            os.close(handle)


def _used(path: Path) -> HostError:
    return HostError("%s is in use by another umthp" % path,
                     "wait for it to end, then clean again")


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _size(path: Path) -> int:
    if not path.is_dir():
        return path.lstat().st_size
    total = 0
    pending: List[str] = [str(path)]
    while pending:
        with os.scandir(pending.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_blocks * 512
    return total
