# SPDX-License-Identifier: GPL-2.0
"""One boot of ./linux: own session, no stdin, time-out, log; nothing is left running after it."""
from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Callable, Dict, List, Mapping, Optional, Sequence

from . import host_memory
from .cache import make_dir
from .console import Console
from .errors import HostError
from .private_dir import private_dir
from .process import kill_group, kill_session, quoted, signal_group, start

DEFAULT_TIMEOUT = 300
DEFAULT_MEM = "1G"
# What a boot of the core suites touches, with room: its RAM file is sparse.
NEED_BYTES = 256 << 20
# A test that prints without end must fill neither the disk nor the memory of who reads it.
MAX_LOG_BYTES = 128 << 20
# After such a silence all is in the log: who looks while a test hangs sees which one it is.
QUIET_SECONDS = 0.2
# What on_line returns to end the boot there and then.
STOP = object()


@dataclass
class Boot:
    """What came of one boot."""

    argv: List[str]
    log: Path
    returncode: Optional[int] = None    # None: killed by us
    timed_out: bool = False
    log_overflow: bool = False
    stopped: bool = False               # by on_line
    seconds: float = 0.0
    max_rss_kib: int = 0
    # When each line of the log arrived, in seconds since the start.
    times: List[float] = field(default_factory=list)

    def lines(self) -> List[str]:
        """The log as text; bytes that are not UTF-8 are spelt out, line ends are LF only."""
        text = self.log.read_bytes().decode("utf-8", "backslashreplace")
        return [line.rstrip("\r") for line in text.split("\n")]


class Launcher:
    """Knows how to start UML on this host."""

    def __init__(self, console: Console, timeout: float = DEFAULT_TIMEOUT,
                 seccomp: Optional[str] = None, need: int = NEED_BYTES,
                 variant_arguments: Sequence[str] = ()) -> None:
        self.console = console
        self.timeout = timeout
        # Of the command line, else of the variant, else the kernel's own default.
        self.seccomp = seccomp or next((word.split("=", 1)[1] for word in variant_arguments
                                        if word.startswith("seccomp=")), None)
        self.variant_arguments = [word for word in variant_arguments
                                  if not word.startswith("seccomp=")]
        self.need = need
        self._place: Optional[host_memory.Place] = None
        self._live: Dict[int, "subprocess.Popen[bytes]"] = {}
        self._stopped = False

    def arguments(self, extra: Sequence[str] = (), mem: str = DEFAULT_MEM) -> List[str]:
        """The kernel command line; kunit.py's own, then what was asked for."""
        return ["mem=" + mem, "console=tty", "kunit_shutdown=halt", *self.host_arguments(), *extra]

    def host_arguments(self) -> List[str]:
        """What the variant and --seccomp add to every kernel command line."""
        return self.variant_arguments + (["seccomp=" + self.seccomp] if self.seccomp else [])

    def stop(self) -> None:
        """Kill every boot of this launcher, in whatever thread it runs, and start no other."""
        self._stopped = True
        for process in list(self._live.values()):
            signal_group(process)

    def place(self) -> host_memory.Place:
        if self._place is None:
            self._place, passed = host_memory.choose(self.need)
            for reason in passed:
                self.console.detail("UML's memory: %s" % reason)
            if passed:
                self.console.note("UML's memory is in %s (%s)" % (self._place.directory,
                                                                  "; ".join(passed)))
        return self._place

    def boot(self, binary: Path, args: Sequence[str], log: Path, *,
             timeout: Optional[float] = None,
             on_line: Optional[Callable[[str], object]] = None,
             pass_fds: Sequence[int] = (), more_env: Optional[Mapping[str, str]] = None) -> Boot:
        """Run the kernel to its end, or to the time-out. pass_fds stay open in it (con1=fd:N).

        on_line gets each line of the log; it ends the boot by returning STOP.
        """
        make_dir(log.parent)
        argv = [str(binary), *args]
        env = {name: value for name, value in os.environ.items()
               if name in ("PATH", "LANG", "HOME", "USER", "LOGNAME")}
        self.console.command(quoted(argv))
        result = Boot(argv, log)
        with private_dir(self.place().directory) as private:
            # umid directories go to ~/.uml unless told otherwise.
            full = [*argv, "uml_dir=%s/" % private]
            env.update(TMPDIR=str(private), TMP=str(private), TEMP=str(private),
                       **(more_env or {}))
            self._run(full, env, result, timeout or self.timeout, on_line, pass_fds)
        return result

    def _run(self, argv: List[str], env: "dict[str, str]", result: Boot, timeout: float,
             on_line: Optional[Callable[[str], object]], pass_fds: Sequence[int]) -> None:
        began = time.monotonic()
        with open(result.log, "wb") as sink:
            try:
                process = start(argv, signal.SIGKILL, env=env, pass_fds=pass_fds)
            except OSError as error:
                raise HostError("cannot run %s: %s" % (argv[0], error.strerror),
                                "is the cache on a file system mounted noexec? Set UMTHP_CACHE "
                                "to another directory") from error
            self._live[process.pid] = process
            try:
                if self._stopped:
                    signal_group(process)
                _tee(process, sink, result, began, timeout, on_line)
                if not (result.timed_out or result.log_overflow or result.stopped):
                    _reap(process, result, began + timeout)
            finally:
                self._live.pop(process.pid, None)
                if process.returncode is None:
                    kill_group(process)
                # The stubs of guest processes die with UML, but not at once.
                kill_session(process.pid)
                if process.stdout:
                    process.stdout.close()
        result.seconds = time.monotonic() - began


def _tee(process: "subprocess.Popen[bytes]", sink: IO[bytes], result: Boot, began: float,
         timeout: float, on_line: Optional[Callable[[str], object]]) -> None:
    """Copy output to the log until it ends, the time is up, the log too large, or STOP."""
    assert process.stdout is not None
    handle = process.stdout.fileno()
    os.set_blocking(handle, False)
    ended = os.pidfd_open(process.pid)
    pending = b""
    written = 0
    in_log = True
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)
            selector.register(ended, selectors.EVENT_READ)
            while True:
                left = began + timeout - time.monotonic()
                wait = left if in_log else min(left, QUIET_SECONDS)
                ready = {key.fd for key, _events in selector.select(wait)} if left > 0 else set()
                if not ready:
                    if left > wait:
                        sink.flush()
                        in_log = True
                        continue
                    result.timed_out = True
                    return
                if handle not in ready:
                    # UML has ended, and a child of it that still holds the pipe is no reason
                    # to wait: all that UML printed itself is read.
                    return
                block = os.read(handle, 1 << 16)
                if not block:
                    return
                written += len(block)
                if written > MAX_LOG_BYTES:
                    result.log_overflow = True
                    return
                sink.write(block)
                in_log = False
                *lines, pending = (pending + block).split(b"\n")
                result.times += [time.monotonic() - began] * len(lines)
                for line in lines if on_line else []:
                    if on_line(line.decode("utf-8", "backslashreplace").rstrip("\r")) is STOP:
                        result.stopped = True
                        return
    finally:
        os.close(ended)


def _reap(process: "subprocess.Popen[bytes]", result: Boot, deadline: float) -> None:
    """Wait for the end, and learn what it used."""
    handle = os.pidfd_open(process.pid)
    try:
        if not select.select([handle], [], [], max(0.1, deadline - time.monotonic()))[0]:
            result.timed_out = True
            return
    finally:
        os.close(handle)
    _pid, status, usage = os.wait4(process.pid, 0)
    process.returncode = result.returncode = os.waitstatus_to_exitcode(status)
    result.max_rss_kib = usage.ru_maxrss
