# SPDX-License-Identifier: GPL-2.0
"""A hostile host for one command: mounts or a network of its own, nothing changed outside."""

import functools
import os
import shutil
import subprocess
import unittest
from typing import List


def unshare(*flags: str) -> List[str]:
    """The start of a command line that runs in namespaces of its own."""
    user = [] if os.geteuid() == 0 else ['--map-root-user']
    return ['unshare', *user, *flags]


@functools.lru_cache(maxsize=None)
def _works(flags, script) -> bool:
    if not shutil.which('unshare'):
        return False
    return subprocess.run([*unshare(*flags), 'sh', '-ec', script], stdin=subprocess.DEVNULL,
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                          check=False).returncode == 0


needs_mounts = unittest.skipUnless(
    _works(('--mount',), 'mount -t tmpfs tmpfs /mnt'),
    'mounts of its own need root, or user namespaces (kernel.unprivileged_userns_clone)')
needs_networks = unittest.skipUnless(
    _works(('--net',), 'true'), 'a network of its own needs root, or user namespaces')


def with_mounts(script: str, command: List[str]) -> List[str]:
    """A command line: run script (shell, as root of a private mount namespace), then command."""
    return [*unshare('--mount'), 'sh', '-ec', script + '\nexec "$@"', 'sh', *command]


def without_network(command: List[str]) -> List[str]:
    return [*unshare('--net'), *command]
