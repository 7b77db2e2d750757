# SPDX-License-Identifier: GPL-2.0
"""Reports that the user asked for, in a file of theirs or on stdout."""
from __future__ import annotations

import os
import sys
from pathlib import Path

from .cache import write_text
from .errors import HostError


def write_report(text: str, where: str) -> None:
    """To a file, or to stdout for `-`."""
    if where == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
        return
    try:
        _write_file(Path(where), text)
    except OSError as error:
        raise HostError("cannot write %s: %s" % (where, error.strerror),
                        "give another file name") from error


def _write_file(path: Path, text: str) -> None:
    """A file that the user named: a device or a pipe is written to, not replaced."""
    if path.exists() and not path.is_file() or path.is_symlink():
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
    else:
        write_text(path, text)
        # mkstemp makes it private; a report is as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        path.chmod(0o666 & ~umask)
