# SPDX-License-Identifier: GPL-2.0
"""The kernel's own kunit_tool modules, imported from the tree under test."""
from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from .errors import SeriesError

_NAMES = ("kunit_printer", "kunit_config", "kunit_parser", "kunit_junit")


def kunit_module(src: Path, name: str) -> ModuleType:
    """Import tools/testing/kunit/NAME.py of a tree; no .pyc is written into it."""
    directory = str(src / "tools" / "testing" / "kunit")
    loaded = sys.modules.get(name)
    if loaded is not None and str(loaded.__file__).startswith(directory + "/"):
        return loaded
    for known in _NAMES:
        # Of another tree: its Test class would not be this parser's.
        sys.modules.pop(known, None)
    written = sys.dont_write_bytecode
    sys.dont_write_bytecode = True
    sys.path.insert(0, directory)
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except (ImportError, SyntaxError) as error:
        raise SeriesError("the tree's tools/testing/kunit/%s.py cannot be used: %s"
                          % (name, error), "use an unmodified tools/testing/kunit") from error
    finally:
        sys.path.remove(directory)
        sys.dont_write_bytecode = written
