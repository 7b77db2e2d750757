# SPDX-License-Identifier: GPL-2.0
"""Where things are kept, and who may touch them now.

    <cache>/apt/PACKAGE               private apt state, and the .deb until it is imported
    <cache>/sources/NAME.git          imported packages and tarballs, one repository each
    <cache>/sources/NAME.lock         held while that one is imported
    <cache>/trees/KEY/git             prepared trees of one kernel: objects and indexes
    <cache>/trees/KEY/src             the shadow checkout that is built
    <cache>/trees/KEY/build/VARIANT   one build directory per variant
    <cache>/trees/KEY/logs            logs of the last builds and runs
    <cache>/mutants/KEY               the same once more for `umthp mutants`, and its results
    <cache>/export                    drafts of umthp export, for as long as it runs
    <cache>/ccache                    compiler cache of all of them
"""
from __future__ import annotations

import errno
import fcntl
import json
import os
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator

from .console import Console
from .errors import HostError


def cache_root() -> Path:
    """UMTHP_CACHE, or umthp below the XDG cache directory. Not created here."""
    override = os.environ.get("UMTHP_CACHE")
    if override:
        return Path(override).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification: a relative path is invalid and to be ignored.
    if not os.path.isabs(base):
        home = os.path.expanduser("~")
        if home == "~":
            raise HostError("neither UMTHP_CACHE nor HOME is set: no place for the cache",
                            "export UMTHP_CACHE=/some/directory")
        base = os.path.join(home, ".cache")
    return Path(base, "umthp")


def make_dir(path: Path) -> Path:
    """Create a directory of the cache, or say why it cannot be."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        if not os.access(path, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, "not writable", str(path))
    except (PermissionError, FileExistsError, NotADirectoryError) as error:
        raise HostError("cannot write to the cache %s: %s" % (path, error.strerror or error),
                        "set UMTHP_CACHE to a directory that you own") from error
    except OSError as error:
        if error.errno == errno.EROFS:
            raise HostError("the cache %s is on a read-only file system" % path,
                            "set UMTHP_CACHE to a directory that you own") from error
        raise
    return path


def read_json(path: Path) -> Dict[str, Any]:
    """State written by write_json; anything else (absent, torn, foreign) is no state."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


def write_json(path: Path, value: Dict[str, Any]) -> None:
    """Replace in one step: an interrupt leaves the old state or the new one, never half."""
    write_text(path, json.dumps(value, indent=1, sort_keys=True) + "\n")


def write_text(path: Path, text: str) -> None:
    handle, name = tempfile.mkstemp(dir=path.parent, prefix="." + path.name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise


@contextmanager
def locked(directory: Path, console: Console) -> Iterator[None]:
    """Hold the directory's lock; says whom it waits for. The kernel drops it if we die."""
    make_dir(directory)
    handle = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.pread(handle, 32, 0).decode("ascii", "replace").strip()
            console.note("waiting for another umthp (pid %s) that uses %s"
                         % (owner if owner.isdigit() else "unknown", directory))
            fcntl.flock(handle, fcntl.LOCK_EX)
        os.ftruncate(handle, 0)
        os.pwrite(handle, b"%d\n" % os.getpid(), 0)
        yield
        os.ftruncate(handle, 0)
    finally:
        os.close(handle)
