# SPDX-License-Identifier: GPL-2.0
"""A static busybox for the guest: the machine's own, or Debian's busybox-static package."""
from __future__ import annotations

import os
import shutil
import struct
from pathlib import Path
from typing import List

from .apt_source import AptSource
from .cache import locked, make_dir
from .console import Console
from .errors import HostError
from .importer import packaged_file
from .process import run

PACKAGE = "busybox-static"
OTHER_WAY = "install a static busybox yourself: apt install %s" % PACKAGE
# Where the package has it, before and after the move to /usr.
_NAMES = ("bin/busybox", "usr/bin/busybox")
_PT_INTERP = 3


def find(cache: Path, console: Console) -> Path:
    """An installed one needs no network; else the package is fetched, once."""
    installed = shutil.which("busybox")
    if installed and is_static(Path(installed)):
        return Path(installed)
    directory = cache / "apt" / PACKAGE
    with locked(directory, console):
        kept = directory / "busybox"
        if not is_static(kept):
            _fetch(directory, kept, console)
        return kept


def _fetch(directory: Path, target: Path, console: Console) -> None:
    console.status("source", "fetching %s, 1 MB, once" % PACKAGE)
    apt = AptSource(make_dir(directory), console, OTHER_WAY)
    deb = apt.download(apt.of_this_release(PACKAGE))
    partial = target.with_suffix(".partial")
    try:
        partial.write_bytes(packaged_file(deb, _NAMES))
    finally:
        deb.unlink()
    partial.chmod(0o755)
    if not is_static(partial):
        raise HostError("the busybox of %s is not a static x86_64 program" % PACKAGE, OTHER_WAY)
    os.replace(partial, target)


def is_static(path: Path) -> bool:
    """Is it an x86_64 program that asks for no dynamic loader?"""
    try:
        with open(path, "rb") as stream:
            header = stream.read(64)
            # ELF, 64 bits, little endian; machine 62 is x86_64.
            if len(header) < 64 or header[:6] != b"\x7fELF\x02\x01" \
                    or struct.unpack_from("<H", header, 18)[0] != 62:
                return False
            offset, = struct.unpack_from("<Q", header, 32)
            size, count = struct.unpack_from("<HH", header, 54)
            stream.seek(offset)
            table = stream.read(size * count)
            return all(struct.unpack_from("<I", table, at)[0] != _PT_INTERP
                       for at in range(0, size * count, size))
    except (OSError, struct.error, ValueError):
        return False


def applets(busybox: Path) -> List[str]:
    """The names that it answers to."""
    done = run([busybox, "--list"])
    names = done.stdout.decode("ascii", "replace").split()
    if done.returncode or "sh" not in names:
        raise HostError("%s does not work: it names no applet sh" % busybox, OTHER_WAY)
    return [name for name in names if "/" not in name]
