# SPDX-License-Identifier: GPL-2.0
"""Running other programs: never through a shell, own process group, no child left behind."""
from __future__ import annotations

import ctypes
import os
import re
import shlex
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Sequence

from .errors import HostError, ToolchainError

_PR_SET_PDEATHSIG = 1
_NO_SPACE = ("No space left on device", "Disk quota exceeded")


def quoted(argv: Iterable[object]) -> str:
    """A command line that can be pasted into a shell."""
    return " ".join(shlex.quote(str(arg)) for arg in argv)


# git does not always say why it could not write.
_CANNOT_WRITE = re.compile(r"unable to (?:write|create)|(?:failed to|could not) write|write error",
                           re.I)
_NEARLY_FULL = 16 << 20


def no_space(text: str, where: object = None) -> bool:
    """Does a program's message say that the disk is full, or is the one at `where`?"""
    if any(message in text for message in _NO_SPACE):
        return True
    if where is None or not _CANNOT_WRITE.search(text):
        return False
    try:
        return shutil.disk_usage(str(where)).free < _NEARLY_FULL
    except OSError:
        return False


def disk_full(where: object) -> HostError:
    return HostError("no space left on the disk that holds %s" % where,
                     "free some space there (a kernel tree and its build need about 4 GiB), "
                     "or set UMTHP_CACHE to a directory on another disk; "
                     "`umthp clean` frees what umthp keeps")


def signal_group(process: "subprocess.Popen[bytes]") -> None:
    """SIGKILL to the group of a process started with start_new_session; does not wait."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def kill_group(process: "subprocess.Popen[bytes]") -> None:
    """Kill a process started with start_new_session and everything in its session."""
    signal_group(process)
    kill_session(process.pid)
    process.wait()


def end_group(process: "subprocess.Popen[bytes]", grace: float = 10.0) -> None:
    """Ask first: make removes the objects that it was writing, which SIGKILL would leave torn
    and newer than their sources."""
    try:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(grace)
    except (ProcessLookupError, PermissionError, subprocess.TimeoutExpired):
        pass
    kill_group(process)


_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def start(argv: Sequence[str], death: int, *, env: Optional[Dict[str, str]] = None,
          cwd: Optional[Path] = None, pass_fds: Sequence[int] = ()) -> "subprocess.Popen[bytes]":
    """Start a long command in a session of its own, output in one pipe.

    It gets the signal `death` if umthp itself is killed. Interrupts wait until it is started: one
    that came during the fork would be lost (Python runs hooks there and ignores what they raise)
    or would leave a child that nobody knows.
    """
    parent = os.getpid()
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)

    def in_child() -> None:
        try:
            ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, death)
        except (OSError, AttributeError):
            pass
        if os.getppid() != parent:
            os.kill(os.getpid(), death)
        for number in _INTERRUPTS:
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)

    process = None
    try:
        process = subprocess.Popen(argv, env=env, cwd=cwd, start_new_session=True,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, pass_fds=pass_fds,
                                   preexec_fn=in_child)
    finally:
        try:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        except BaseException:
            if process is not None:
                kill_group(process)
            raise
    return process


def kill_session(session: int) -> List[int]:
    """Kill what is left of a session: UML's helpers may have made process groups of their own."""
    killed = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = Path("/proc", entry, "stat").read_bytes()
            fields = stat[stat.rindex(b")") + 2:].split()
            if fields[0] != b"Z" and int(fields[3]) == session:
                os.kill(int(entry), signal.SIGKILL)
                killed.append(int(entry))
        except (OSError, ValueError):
            continue
    return killed


def run(argv: Sequence[object], *, env: Optional[Dict[str, str]] = None,
        cwd: Optional[Path] = None, data: Optional[bytes] = None,
        ) -> "subprocess.CompletedProcess[bytes]":
    """Run a short command, captured; an interrupt kills it. The caller judges the return code."""
    command = [os.fspath(arg) if isinstance(arg, os.PathLike) else str(arg) for arg in argv]
    try:
        process = subprocess.Popen(
            command, env=env, cwd=cwd, start_new_session=True,
            stdin=subprocess.DEVNULL if data is None else subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    except FileNotFoundError as error:
        if cwd is not None and not Path(cwd).is_dir():
            raise HostError("directory %s is gone" % cwd) from error
        raise ToolchainError("%s is not installed" % command[0],
                             "Debian: apt install %s" % command[0]) from error
    try:
        out, err = process.communicate(data)
    except BaseException:
        kill_group(process)
        raise
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def run_logged(argv: Sequence[object], log: Path, *, env: Optional[Dict[str, str]] = None,
               cwd: Optional[Path] = None,
               on_line: Optional[Callable[[str], None]] = None) -> int:
    """Run a long command: every line goes to the log and to on_line; returns its status."""
    command = [os.fspath(arg) if isinstance(arg, os.PathLike) else str(arg) for arg in argv]
    with open(log, "ab", buffering=0) as sink:
        sink.write(("$ %s\n" % quoted(command)).encode())
        sink.flush()
        try:
            process = start(command, signal.SIGTERM, env=env, cwd=cwd)
        except FileNotFoundError as error:
            raise ToolchainError("%s is not installed" % command[0],
                                 "Debian: apt install %s" % command[0]) from error
        assert process.stdout is not None
        try:
            for raw in process.stdout:
                sink.write(raw)
                if on_line:
                    on_line(raw.decode("utf-8", "backslashreplace").rstrip("\n"))
            return process.wait()
        except BaseException:
            end_group(process)
            raise
        finally:
            process.stdout.close()
