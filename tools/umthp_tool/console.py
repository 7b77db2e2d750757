# SPDX-License-Identifier: GPL-2.0
"""What the user sees: plain lines, a status line on a terminal, colour when it is wanted."""
from __future__ import annotations

import os
import re
import shutil
import sys
import time
from typing import IO, List, Optional

_COLOURS = {"red": "31;1", "green": "32;1", "yellow": "33", "dim": "2"}
# Everything that a terminal could act upon: C0 but tab, DEL and the C1 range.
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def printable(text: str) -> str:
    """Text from a log, a path or a patch, fit for a terminal: control characters are spelt out."""
    return _CONTROL.sub(lambda m: "\\x%02x" % ord(m.group()), text)


class Console:
    """Progress goes to stderr, the verdict to stdout; quiet keeps only failures and errors."""

    # Without a terminal a running step says that it is alive this often (seconds).
    PLAIN_INTERVAL = 30.0

    def __init__(self, verbose: bool = False, quiet: bool = False,
                 out: Optional[IO[str]] = None, err: Optional[IO[str]] = None) -> None:
        self.verbose = verbose
        self.quiet = quiet
        self.out = out or sys.stdout
        self.err = err or sys.stderr
        for stream in (self.out, self.err):
            reconfigure = getattr(stream, "reconfigure", None)
            if reconfigure:
                reconfigure(errors="backslashreplace")
        self._steps: List[str] = []
        self._status_shown = False
        self._last_plain = 0.0
        self._label = ""

    @staticmethod
    def _is_tty(stream: IO[str]) -> bool:
        try:
            return stream.isatty() and os.environ.get("TERM") != "dumb"
        except ValueError:
            return False

    def colour(self, name: str, text: str, stream: Optional[IO[str]] = None) -> str:
        """Wrap text in a colour when the stream is a terminal and NO_COLOR is not set."""
        if os.environ.get("NO_COLOR") or not self._is_tty(stream or self.out):
            return text
        return "\033[%sm%s\033[0m" % (_COLOURS[name], text)

    def clear_status(self) -> None:
        if self._status_shown:
            self.err.write("\r\033[K")
            self.err.flush()
            self._status_shown = False

    def status(self, label: str, text: str) -> None:
        """Show what is going on: rewritten in place on a terminal, now and then elsewhere."""
        if self.quiet:
            return
        line = "%-8s %s" % (label, printable(text))
        if self._is_tty(self.err):
            width = shutil.get_terminal_size().columns - 1
            self.err.write("\r\033[K" + line[:width])
            self.err.flush()
            self._status_shown = True
            return
        now = time.monotonic()
        if label != self._label:
            self._label = label
            self._last_plain = now
        elif now - self._last_plain >= self.PLAIN_INTERVAL:
            self._last_plain = now
            self._write(self.err, line)

    def step(self, label: str, text: str, seconds: Optional[float] = None) -> None:
        """One finished step of the work, as in `build    42 objects, linked    5.9s`.

        Success is one line: the steps are shown with -v, or when something is wrong after all.
        """
        line = "%-8s %s" % (label, printable(text))
        if seconds is not None:
            line = "%-66s %7.1fs" % (line, seconds)
        if self.verbose:
            self._write(self.err, line)
        else:
            self._steps.append(line)

    def show_steps(self) -> None:
        """The steps so far, before the account of what is wrong."""
        for line in self._steps:
            self._write(self.err, line)
        self._steps.clear()

    def forget_steps(self) -> None:
        self._steps.clear()

    def note(self, text: str) -> None:
        if not self.quiet:
            self._write(self.err, "note: " + printable(text))

    def warning(self, text: str) -> None:
        self._write(self.err, self.colour("yellow", "warning: ", self.err) + printable(text))

    def detail(self, text: str) -> None:
        """Only with -v."""
        if self.verbose:
            self._write(self.err, printable(text))

    def command(self, shown: str) -> None:
        """The exact command line that is about to run, with -v."""
        self.detail("$ " + shown)

    def say(self, text: str) -> None:
        """A result, to stdout."""
        self._write(self.out, text)

    def error(self, cause: str, fix: str = "", log: object = None) -> None:
        """The steps so far, cause, fix, and the log as the last line."""
        self.show_steps()
        self._write(self.err, self.colour("red", "error: ", self.err) + printable_lines(cause))
        if fix:
            self._write(self.err, "fix:   " + printable_lines(fix))
        if log:
            self._write(self.err, "log:   " + printable(str(log)))

    def _write(self, stream: IO[str], text: str) -> None:
        self.clear_status()
        stream.write(text + "\n")
        stream.flush()


def printable_lines(text: str) -> str:
    """Like printable(), but the text's own line ends stay; later lines are indented."""
    return "\n       ".join(printable(line) for line in text.splitlines())
