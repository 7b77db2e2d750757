# SPDX-License-Identifier: GPL-2.0
"""What connects the ttys of the guest of `umthp shell` to this process.

tty1 is the user's terminal through a pty of our own, so that UML never touches the terminal
itself; or, for a command, a pipe to stdout, and tty2 one to stderr. tty3 is a pipe on which init
says how it goes. A thread copies, while the main thread runs the guest and takes signals.
"""
from __future__ import annotations

import fcntl
import os
import selectors
import signal
import sys
import termios
import threading
import tty
from typing import Callable, Dict, List, Optional

from .console import printable

# Ctrl-], as telnet has it.
ESCAPE = b"\x1d"
_BLOCK = 1 << 16


class Ttys:
    """Use as a context; `arguments` and `fds` are for the boot, the rest tells what happened."""

    def __init__(self, interactive: bool, kill: Callable[[], None]) -> None:
        """kill: ends the guest; called in the thread."""
        self.interactive = interactive
        self.kill = kill
        self.started = False
        self.status: Optional[int] = None       # how the shell or the command ended
        self.error: Optional[str] = None        # what init could not do
        self.killed = False                     # by the user, with ESCAPE
        self.broken: Optional[OSError] = None   # who reads our output has gone
        self.arguments: List[str] = []
        self.fds: List[int] = []                # for the guest
        self._own: List[int] = []
        self._sinks: Dict[int, int] = {}        # what the guest writes -> where it goes
        self._saved: Optional[List[object]] = None
        self._old_winch: object = None
        self._report = b""
        self._output = threading.Lock()
        self._thread = threading.Thread(target=self._copy, daemon=True)
        self._master = -1
        self._reports = -1

    def __enter__(self) -> "Ttys":
        try:
            if self.interactive:
                self._make_terminal()
            else:
                self._make_pipe(1, 1)
                self._make_pipe(2, 2)
            self._reports = self._make_pipe(3, -1)
            self._start_thread()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self._close_guest_side()
        if self._saved is not None:
            termios.tcsetattr(0, termios.TCSANOW, self._saved)  # type: ignore[arg-type]
            self._saved = None
        if self._old_winch is not None:
            signal.signal(signal.SIGWINCH, self._old_winch)  # type: ignore[arg-type]
            self._old_winch = None
        # The thread may be writing to somebody who does not read: it ends with the process.
        if not self._thread.is_alive():
            while self._own:
                os.close(self._own.pop())

    def finish(self) -> None:
        """The guest has ended: take what is still on its way, all of it."""
        self._close_guest_side()
        self._thread.join()

    def kernel_line(self, line: str) -> None:
        """A message of the kernel: on the terminal, as on the console of a machine."""
        if self.interactive and self.started:
            self._write(1, ("\r\n%s\r\n" % printable(line)).encode("utf-8", "replace"))

    def _start_thread(self) -> None:
        """Without signals: process.start() holds them back in the main thread only."""
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    def _make_pipe(self, number: int, sink: int) -> int:
        """ttyN of the guest writes to a pipe. It reads from one that nobody writes to: /dev/null
        would hang up."""
        quiet, keep_open = os.pipe()
        reader, writer = os.pipe()
        self.fds += [quiet, writer]
        self._own += [keep_open, reader]
        self._sinks[reader] = sink
        self.arguments.append("con%d=fd:%d,fd:%d" % (number, quiet, writer))
        return reader

    def _make_terminal(self) -> None:
        self._master, slave = os.openpty()
        # Nothing is to be echoed before UML has set it up.
        tty.setraw(slave)
        self.fds.append(slave)
        self._own.append(self._master)
        self._sinks[self._master] = 1
        self.arguments.append("con1=fd:%d" % slave)
        self._resize()
        self._old_winch = signal.signal(signal.SIGWINCH, lambda *_: self._resize())

    def _resize(self) -> None:
        try:
            size = fcntl.ioctl(0, termios.TIOCGWINSZ, bytes(8))
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, size)
        except OSError:
            pass

    def _close_guest_side(self) -> None:
        while self.fds:
            os.close(self.fds.pop())

    def _copy(self) -> None:
        """The thread: until the guest's side of everything is closed."""
        open_ = set(self._sinks)
        with selectors.DefaultSelector() as selector:
            for handle in open_:
                selector.register(handle, selectors.EVENT_READ)
            while open_:
                for key, _events in selector.select():
                    if key.fd == 0:
                        if not self._typed():
                            selector.unregister(0)
                        continue
                    data = _read(key.fd)
                    if not data:
                        selector.unregister(key.fd)
                        open_.discard(key.fd)
                    elif key.fd != self._reports:
                        self._write(self._sinks[key.fd], data)
                    elif self._heard(data) and self.interactive:
                        # Only now: until here Ctrl-C is ours.
                        self._saved = termios.tcgetattr(0)
                        tty.setraw(0)
                        selector.register(0, selectors.EVENT_READ)

    def _typed(self) -> bool:
        """What the user types goes to the guest; false: nothing more will come."""
        data = _read(0)
        if not data or ESCAPE in data:
            self.killed = True
            self.kill()
            return False
        try:
            os.write(self._master, data)
        except OSError:
            return False
        return True

    def _heard(self, data: bytes) -> bool:
        """Lines of init's; true if one of them is `start`."""
        *lines, self._report = (self._report + data).split(b"\n")
        began = False
        for line in lines:
            word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            if word == "start" and not self.started:
                self.started = began = True
            elif word == "exit" and rest.isdigit() and self.status is None:
                self.status = int(rest)
            elif word == "error":
                self.error = rest
        return began

    def _write(self, handle: int, data: bytes) -> None:
        if self.broken:
            return
        try:
            with self._output:
                while data:
                    data = data[os.write(handle, data):]
        except OSError as error:
            self.broken = error
            self.kill()


def _read(handle: int) -> bytes:
    try:
        return os.read(handle, _BLOCK)
    except OSError:
        # The other side of a pty was closed.
        return b""


def is_terminal() -> bool:
    """Can an interactive shell have the user's terminal?"""
    try:
        return sys.stdin.isatty() and sys.stdout.isatty() and sys.stdin.fileno() == 0 \
            and sys.stdout.fileno() == 1
    except (ValueError, OSError, AttributeError):
        return False
