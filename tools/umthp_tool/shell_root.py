# SPDX-License-Identifier: GPL-2.0
"""The root file system of `umthp shell`: busybox, the selftests, and what init is to run."""
from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path
from typing import Dict, Optional, Sequence

from . import busybox as busyboxes
from .errors import HostError, UsageError
from .rootfs import UNFIT, install
from .userland import SOURCES

INIT = SOURCES / "shell_init"
MOUNT_POINTS = ("dev", "proc", "sys", "tmp", "root", "mnt")
_ENVIRONMENT = ("TERM", "COLORTERM", "NO_COLOR")
_PROFILE = """\
export PATH=/bin HOME=/root
PS1='umthp:\\w# '
alias ls='ls -C'
cd
cat /etc/motd
"""
_MOTD = """\
Linux %(version)s, %(variant)s.  Ready: %(programs)s.
exit or Ctrl-D ends it; Ctrl-] kills it.  The kernel's messages come to this terminal.
"""


def make(root: Path, busybox: Path, programs: Sequence[Path], command: Optional[Sequence[str]],
         about: Dict[str, str], share: Optional[str] = None) -> None:
    """Fill the directory `root`. command: instead of an interactive shell. about: version and
    variant of the kernel."""
    for name in (*MOUNT_POINTS, "bin", "etc"):
        (root / name).mkdir()
    install(INIT, root / "init")
    install(busybox, root / "bin/busybox")
    for name in busyboxes.applets(busybox):
        if name != "busybox":
            os.symlink("busybox", root / "bin" / name)
    for program in programs:
        (root / "bin" / program.name).unlink(missing_ok=True)
        install(program, root / "bin" / program.name)
    os.symlink("/proc/self/mounts", root / "etc/mtab")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    (root / "etc/group").write_text("root:x:0:\n")
    (root / "etc/hostname").write_text("umthp\n")
    exports = "".join("export %s=%s\n" % (name, shlex.quote(os.environ[name]))
                      for name in _ENVIRONMENT if name in os.environ)
    _write(root / "etc/profile", exports + _PROFILE)
    _write(root / "etc/motd", _MOTD % {
        **about, "programs": " ".join(sorted(program.name for program in programs))})
    if share is not None:
        _write(root / "etc/share", share_path(share) + "\n")
    if command is not None:
        # As a script it may hold any byte but NUL: quotes, line ends, empty words.
        _write(root / "etc/command", "%sexport PATH=/bin HOME=/root\ncd\nexec %s\n" % (
            exports, " ".join(shlex.quote(word) for word in command)))


def share_path(name: str) -> str:
    """The directory of the host that the guest has at /mnt."""
    path = Path(name).absolute()
    if not path.is_dir():
        raise UsageError("--share %s: not a directory" % name, "give a directory of this machine")
    if UNFIT.search(str(path)):
        raise UsageError("--share %s: UML cannot mount it, there is a space or a comma in the path"
                         % name, "give a directory without")
    return str(path)


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise HostError("cannot write %s: %s" % (path, error.strerror),
                        "free some space there, or set UMTHP_CACHE to another directory"
                        ) from error


def copy_kernel(binary: Path, target: Path) -> None:
    """A kernel of the shell's own: the tree may be built anew while the shell runs."""
    shutil.copy2(binary, target)
