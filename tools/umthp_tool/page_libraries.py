# SPDX-License-Identifier: GPL-2.0
"""The libraries of the page: which are missing, and which Python has them.

Debian's packages are for Debian's Python; another one in the PATH does not see them.
"""
from __future__ import annotations

import importlib.util
import os
import sys
from typing import List

from .process import run

LIBRARIES = ("jinja2", "matplotlib")
DEBIAN_PYTHON = "/usr/bin/python3"


def missing() -> List[str]:
    """Those that this Python does not have."""
    return [name for name in LIBRARIES if not importlib.util.find_spec(name)]


def missing_in_debian() -> List[str]:
    """Those that Debian's Python does not have; all of them if it is this one, or not there."""
    if os.path.realpath(sys.executable) == os.path.realpath(DEBIAN_PYTHON) \
            or not os.access(DEBIAN_PYTHON, os.X_OK):
        return list(LIBRARIES)
    return [name for name in LIBRARIES if run([DEBIAN_PYTHON, "-c", "import " + name]).returncode]


def lost() -> List[str]:
    """Those that neither has."""
    here = missing()
    return [name for name in missing_in_debian() if name in here] if here else []


def packages(names: List[str]) -> str:
    return " ".join("python3-" + name for name in names)
