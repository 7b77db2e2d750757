# SPDX-License-Identifier: GPL-2.0
"""One boot of ./linux: own session, no stdin, time-out, log; nothing is left running after it."""
from __future__ import annotations

import ctypes
import os
import resource
import selectors
import shutil
import signal
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Callable, List, Optional, Sequence

from . import host_memory
from .cache import make_dir
from .console import Console
from .errors import HostError
from .process import kill_group, kill_session, quoted

DEFAULT_TIMEOUT = 300
DEFAULT_MEM = "1G"
# What a boot of the core suites touches, with room: its RAM file is sparse.
NEED_BYTES = 256 << 20
# A test that prints without end must not fill the disk.
MAX_LOG_BYTES = 256 << 20
_PR_SET_PDEATHSIG = 1


@dataclass
class Boot:
    """What came of one boot."""

    argv: List[str]
    log: Path
    returncode: Optional[int] = None    # None: killed by us
    timed_out: bool = False
    log_overflow: bool = False
    seconds: float = 0.0
    max_rss_kib: int = 0
    leftovers: List[int] = field(default_factory=list)

    def lines(self) -> List[str]:
        """The log as text; bytes that are not UTF-8 are spelt out, line ends are LF only."""
        text = self.log.read_bytes().decode("utf-8", "backslashreplace")
        return [line.rstrip("\r") for line in text.split("\n")]


class Launcher:
    """Knows how to start UML on this host."""

    def __init__(self, console: Console, timeout: float = DEFAULT_TIMEOUT,
                 seccomp: Optional[str] = None, need: int = NEED_BYTES) -> None:
        self.console = console
        self.timeout = timeout
        self.seccomp = seccomp
        self.need = need
        self._place: Optional[host_memory.Place] = None

    def arguments(self, extra: Sequence[str] = (), mem: str = DEFAULT_MEM) -> List[str]:
        """The kernel command line; kunit.py's own, then what was asked for."""
        args = ["mem=" + mem, "console=tty", "kunit_shutdown=halt"]
        if self.seccomp:
            args.append("seccomp=" + self.seccomp)
        return args + list(extra)

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
             on_line: Optional[Callable[[str], None]] = None,
             pass_fds: Sequence[int] = ()) -> Boot:
        """Run the kernel to its end, or to the time-out. pass_fds stay open in it (con1=fd:N)."""
        make_dir(log.parent)
        private = Path(tempfile.mkdtemp(dir=self.place().directory, prefix="umthp-"))
        argv = [str(binary), *args]
        # umid directories go to ~/.uml unless told otherwise.
        full = [*argv, "uml_dir=%s/" % private]
        env = {name: value for name, value in os.environ.items()
               if name in ("PATH", "LANG", "HOME", "USER", "LOGNAME")}
        env.update(TMPDIR=str(private), TMP=str(private), TEMP=str(private))
        self.console.command(quoted(argv))
        result = Boot(argv, log)
        try:
            self._run(full, env, result, timeout or self.timeout, on_line, pass_fds)
        finally:
            shutil.rmtree(private, ignore_errors=True)
        return result

    def _run(self, argv: List[str], env: "dict[str, str]", result: Boot, timeout: float,
             on_line: Optional[Callable[[str], None]], pass_fds: Sequence[int]) -> None:
        start = time.monotonic()
        before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        with open(result.log, "wb") as sink:
            try:
                process = subprocess.Popen(argv, env=env, stdin=subprocess.DEVNULL,
                                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                           start_new_session=True, preexec_fn=_die_with_parent,
                                           pass_fds=pass_fds)
            except OSError as error:
                raise HostError("cannot run %s: %s" % (argv[0], error.strerror),
                                "is the cache on a file system mounted noexec? Set UMTHP_CACHE "
                                "to another directory") from error
            try:
                self._tee(process, sink, result, start + timeout, on_line)
                if not result.timed_out and not result.log_overflow:
                    try:
                        result.returncode = process.wait(max(0.1, start + timeout
                                                             - time.monotonic()))
                    except subprocess.TimeoutExpired:
                        result.timed_out = True
            finally:
                if process.poll() is None:
                    kill_group(process)
                result.leftovers = kill_session(process.pid)
                if process.stdout:
                    process.stdout.close()
        result.seconds = time.monotonic() - start
        after = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        result.max_rss_kib = after if after > before else 0

    @staticmethod
    def _tee(process: "subprocess.Popen[bytes]", sink: "object", result: Boot, deadline: float,
             on_line: Optional[Callable[[str], None]]) -> None:
        """Copy output to the log until it ends, the deadline passes or the log is too large."""
        assert process.stdout is not None
        handle = process.stdout.fileno()
        os.set_blocking(handle, False)
        pending = b""
        written = 0
        with selectors.DefaultSelector() as selector:
            selector.register(handle, selectors.EVENT_READ)
            while True:
                left = deadline - time.monotonic()
                if left <= 0:
                    result.timed_out = True
                    return
                if not selector.select(min(left, 1.0)):
                    # A child of UML that holds the pipe must not keep us waiting for ever.
                    if process.poll() is not None:
                        return
                    continue
                block = os.read(handle, 1 << 16)
                if not block:
                    return
                written += len(block)
                if written > MAX_LOG_BYTES:
                    result.log_overflow = True
                    return
                sink.write(block)  # type: ignore[attr-defined]
                if on_line:
                    *lines, pending = (pending + block).split(b"\n")
                    for line in lines:
                        on_line(line.decode("utf-8", "backslashreplace").rstrip("\r"))


def _die_with_parent() -> None:
    """If umthp itself is killed, UML goes with it. Runs in the child, between fork and exec."""
    try:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    except (OSError, AttributeError):
        pass
