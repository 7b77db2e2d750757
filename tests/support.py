# SPDX-License-Identifier: GPL-2.0
"""What several test modules share: where things are, and a kernel tree to borrow from."""

import os
import signal
import sys
import unittest
from pathlib import Path
from typing import Optional

PROJECT = Path(__file__).resolve().parent.parent
DATA = PROJECT / 'tests' / 'data'

sys.path.insert(0, str(PROJECT / 'tools'))

# What is tested is started as from a terminal, also below nohup, or a shell's `&`: umthp lets
# signals be ignored that its caller ignores.
for number in (signal.SIGHUP, signal.SIGINT, signal.SIGTERM):
    if signal.getsignal(number) == signal.SIG_IGN:
        signal.signal(number, signal.SIG_DFL)


def kernel_tree() -> Optional[Path]:
    """A kernel tree whose tools/testing/kunit can be used: UMTHP_TEST_TREE, or a prepared one.

    The verdict needs the kernel's own KTAP parser; no copy of it is kept here.
    """
    given = os.environ.get('UMTHP_TEST_TREE')
    if given:
        if not (Path(given) / 'tools/testing/kunit/kunit_parser.py').is_file():
            raise AssertionError(f'UMTHP_TEST_TREE={given} is not a kernel tree')
        return Path(given)
    cache = Path(os.environ.get('UMTHP_CACHE')
                 or Path(os.environ.get('XDG_CACHE_HOME') or Path.home() / '.cache') / 'umthp')
    for tree in sorted(cache.glob('trees/*/src')):
        if (tree / 'tools/testing/kunit/kunit_parser.py').is_file():
            return tree
    return None


TREE = kernel_tree()
needs_kernel_tree = unittest.skipUnless(
    TREE, 'no kernel tree: run `tools/umthp build` once, or set UMTHP_TEST_TREE')
