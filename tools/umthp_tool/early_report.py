# SPDX-License-Identifier: GPL-2.0
"""What fails in the suites that a change concerns, while the others still run: one line each."""
from __future__ import annotations

import re

from . import ktap, splats
from .console import Console

MAX_LINES = 5
_SUITE = re.compile(r"^    # Subtest: (\S+)$")
_FAILED = re.compile(r"^    not ok \d+ (\S+)")


class EarlyReport:
    """Reads the log of their boot as it comes."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.suite = ""
        self.said = 0
        self.splats = splats.Reader()

    def __call__(self, line: str) -> None:
        before = len(self.splats.found)
        self.splats.read(line)
        text = ktap.without_time(line)
        if match := _SUITE.match(text):
            self.suite = match.group(1)
        elif match := _FAILED.match(text):
            self._say("FAIL %s.%s" % (self.suite, match.group(1)))
        elif len(self.splats.found) > before:
            self._say("SPLAT %s in %s" % (self.splats.found[-1].text, self.suite or "the boot"))

    def _say(self, text: str) -> None:
        self.said += 1
        if self.said <= MAX_LINES:
            self.console.note("%s (your change; the other suites still run)" % text)
