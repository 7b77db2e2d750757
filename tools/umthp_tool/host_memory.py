# SPDX-License-Identifier: GPL-2.0
"""Where UML may put its memory: a directory whose files can be mapped executable.

UML keeps the guest's RAM in an unlinked file below TMPDIR and maps it PROT_EXEC. Containers mount
/dev/shm noexec, or small: both are probed here, before UML fails late or with SIGBUS.
"""
from __future__ import annotations

import mmap
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Tuple

from .errors import HostError


@dataclass(frozen=True)
class Place:
    directory: Path
    free: int           # bytes


def candidates() -> List[Path]:
    """In the order of preference: memory first; the user's own TMPDIR before everything."""
    names = [os.environ.get("TMPDIR"), "/dev/shm", os.environ.get("XDG_RUNTIME_DIR"), "/tmp",
             "/var/tmp"]
    return [Path(name) for name in dict.fromkeys(names) if name]


def probe(directory: Path) -> Optional[str]:
    """None if a file here can be mapped executable, else why not."""
    try:
        handle, name = tempfile.mkstemp(dir=directory, prefix="umthp-probe-")
    except OSError as error:
        return "cannot write (%s)" % error.strerror
    try:
        os.unlink(name)
        os.ftruncate(handle, mmap.PAGESIZE)
        try:
            mmap.mmap(handle, mmap.PAGESIZE, flags=mmap.MAP_SHARED,
                      prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
        except PermissionError:
            return "mounted noexec"
        except OSError as error:
            return "cannot map a file (%s)" % error.strerror
    except OSError as error:
        return str(error.strerror)
    finally:
        os.close(handle)
    return None


def choose(need: int, extra: Optional[Path] = None) -> Tuple[Place, List[str]]:
    """The first directory that is executable and large enough, and why others were not taken.

    need: bytes that the guest will really touch; its RAM file is sparse.
    """
    passed: List[str] = []
    for directory in candidates() + ([extra] if extra else []):
        reason = probe(directory)
        if reason is None:
            free = shutil.disk_usage(directory).free
            if free >= need:
                return Place(directory, free), passed
            reason = "has %d MiB free, UML needs %d MiB" % (free >> 20, need >> 20)
        passed.append("%s: %s" % (directory, reason))
    raise HostError("no directory for UML's memory:\n%s" % "\n".join(passed),
                    "in a container: docker run --tmpfs /dev/shm:exec,size=2g; else set TMPDIR "
                    "to a directory that is not mounted noexec and has %d MiB" % (need >> 20))
