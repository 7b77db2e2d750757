# SPDX-License-Identifier: GPL-2.0
"""umthp doctor: one function for each thing that the host must give, with cause and fix."""
from __future__ import annotations

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Callable, List, Optional, Sequence

from . import host_memory, page_libraries
from .boot import NEED_BYTES
from .build import TOOLS
from .cache import cache_root
from .errors import EXIT_BUILD, EXIT_HOST, EXIT_PASS, HostError
from .process import run

if TYPE_CHECKING:
    import argparse

    from .context import Context

GIT_MIN = (2, 32)
# A kernel tree, its objects in git and one build, measured: 1.8 + 0.4 + 0.4 GB.
DISK_NEED = 4 << 30
# One host mapping per guest page at worst: the guest's RAM / 4 KiB (arch/um/kernel/physmem.c).
MAPS_NEED = 65530


@dataclass(frozen=True)
class Finding:
    """ok: fine; note: works, could be better; otherwise a problem."""

    ok: bool
    text: str
    cause: str = ""
    fix: str = ""
    optional: bool = False
    exit_code: int = EXIT_HOST


def _good(text: str) -> Finding:
    return Finding(True, text)


def check_machine() -> Finding:
    machine = os.uname()
    if machine.sysname != "Linux" or machine.machine != "x86_64":
        return Finding(False, "%s %s" % (machine.sysname, machine.machine),
                       "user-mode Linux with device memory runs on x86_64 Linux only",
                       "use an x86_64 Linux machine")
    return _good("Linux %s x86_64" % machine.release)


def check_python() -> Finding:
    return _good("python %d.%d" % sys.version_info[:2])


def check_toolchain() -> Finding:
    missing = [name for name in TOOLS if not shutil.which(name)]
    if missing:
        return Finding(False, "missing: " + ", ".join(missing),
                       "%s not installed, needed to build the kernel" % ", ".join(missing),
                       "apt install " + " ".join(TOOLS[name] for name in missing),
                       exit_code=EXIT_BUILD)
    return _good("make gcc ld flex bison bc perl")


def check_headers() -> Finding:
    """UML links with the host's C library."""
    done = run(["gcc", "-E", "-x", "c", "-"], data=b"#include <stdio.h>\n#include <pthread.h>\n") \
        if shutil.which("gcc") else None
    if done is not None and done.returncode:
        return Finding(False, "no C library headers", "stdio.h is missing, UML links with libc",
                       "apt install libc6-dev", exit_code=EXIT_BUILD)
    return _good("C library headers")


def check_git() -> Finding:
    if not shutil.which("git"):
        return Finding(False, "git is missing", "git is not installed", "apt install git",
                       exit_code=EXIT_BUILD)
    text = run(["git", "--version"]).stdout.decode("ascii", "replace").strip()
    match = re.search(r"(\d+)\.(\d+)", text)
    if match and (int(match.group(1)), int(match.group(2))) < GIT_MIN:
        return Finding(False, text, "%s is older than %d.%d" % (text, *GIT_MIN),
                       "install a newer git (git apply --cached --3way)", exit_code=EXIT_BUILD)
    return _good(text)


def check_ccache() -> Finding:
    if not shutil.which("ccache"):
        return Finding(True, "ccache is not installed",
                       "builds of a second variant or kernel take minutes instead of one",
                       "apt install ccache", optional=True)
    return _good("ccache")


def check_page() -> Finding:
    missing = page_libraries.lost()
    if missing:
        return Finding(True, "%s not installed" % " and ".join(missing),
                       "umthp report --html needs jinja2, and matplotlib for its plots",
                       "apt install " + page_libraries.packages(missing), optional=True)
    return _good("jinja2 and matplotlib, for umthp report --html")


def check_gdb() -> Finding:
    if not shutil.which("gdb"):
        return Finding(True, "gdb is not installed", "umthp gdb needs it",
                       "apt install gdb", optional=True)
    return _good("gdb")


def check_memory_place() -> Finding:
    try:
        place, passed = host_memory.choose(NEED_BYTES)
    except HostError as error:
        return Finding(False, "no place for UML's memory", error.cause, error.fix)
    text = "UML's memory: %s, %d MiB free" % (place.directory, place.free >> 20)
    if passed:
        return Finding(True, text, "; ".join(passed), "nothing to do, the next one is taken",
                       optional=True)
    return _good(text)


def check_ptrace() -> Finding:
    scope = _proc("kernel/yama/ptrace_scope")
    if scope is not None and scope >= 3:
        return Finding(False, "kernel.yama.ptrace_scope is %d" % scope,
                       "ptrace is switched off (kernel.yama.ptrace_scope=%d), UML needs it or "
                       "seccomp" % scope,
                       "use --seccomp on, or reboot with a lower ptrace_scope")
    if not _ptrace_works():
        return Finding(False, "ptrace is refused",
                       "ptrace is refused here, as in a container without SYS_PTRACE",
                       "docker run --cap-add SYS_PTRACE, or use --seccomp on")
    return _good("ptrace")


def _ptrace_works() -> bool:
    """A child asks to be traced, as UML's check_ptrace() does."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            import ctypes
            status = 0 if ctypes.CDLL(None).ptrace(0, 0, None, None) == 0 else 1
        finally:
            os._exit(status)
    return os.waitpid(pid, 0)[1] == 0


def check_max_map_count() -> Finding:
    value = _proc("vm/max_map_count")
    if value is not None and value < MAPS_NEED:
        return Finding(False, "vm.max_map_count is %d" % value,
                       "vm.max_map_count is %d, UML maps the guest's pages one by one and may "
                       "need %d" % (value, MAPS_NEED), "sysctl -w vm.max_map_count=262144")
    return _good("vm.max_map_count %s" % value)


def check_disk() -> Finding:
    path = cache_root()
    while not path.exists():
        path = path.parent
    free = shutil.disk_usage(path).free
    if free < DISK_NEED and not (cache_root() / "trees").exists():
        return Finding(False, "%s has %d MiB free" % (path, free >> 20),
                       "the cache on %s needs %d MiB, %d are free" % (
                           path, DISK_NEED >> 20, free >> 20),
                       "free some space, or set UMTHP_CACHE to a directory on another disk")
    return _good("cache: %s, %d MiB free" % (cache_root(), free >> 20))


def check_cache_writable() -> Finding:
    path = cache_root()
    while not path.exists():
        path = path.parent
    if not os.access(path, os.W_OK | os.X_OK):
        return Finding(False, "%s is not writable" % path, "cannot write to %s" % path,
                       "set UMTHP_CACHE to a directory that you own")
    return _good("cache is writable")


def check_apt() -> Finding:
    if not shutil.which("apt-get"):
        return Finding(True, "no apt: kernels cannot be fetched",
                       "only Debian's archive has linux-source packages",
                       "use --kernel PATH", optional=True)
    return _good("apt-get")


BUILD_CHECKS: List[Callable[[], Finding]] = [
    check_python, check_toolchain, check_headers, check_git, check_ccache, check_gdb,
    check_apt]
RUN_CHECKS: List[Callable[[], Finding]] = [
    check_machine, check_memory_place, check_ptrace, check_max_map_count,
    check_cache_writable, check_disk]


# What UML says when the host lets it down (arch/um/os-Linux), and what that means.
_UML_WORDS = (
    (r"must be not mounted noexec|PROT_EXEC mmap in \S+failed", "its memory cannot be executable",
     "in a container: docker run --tmpfs /dev/shm:exec,size=2g; else set TMPDIR"),
    (r"ptrace: Operation not permitted|check_ptrace : |ptrace.* failed, errno = 1\b",
     "ptrace is refused", "docker run --cap-add SYS_PTRACE, or use --seccomp on"),
    (r"SECCOMP userspace requested but not functional", "seccomp mode does not work on this host",
     "leave --seccomp on out"),
    (r"max_map_count", "vm.max_map_count is too low", "sysctl -w vm.max_map_count=262144"),
    (r"No space left on device", "the directory of UML's memory is full",
     "set TMPDIR to a directory with more space"))


def explain(lines: Sequence[str]) -> Optional[Finding]:
    """UML's own complaint about the host, in the log of a boot that came to nothing."""
    for line in lines:
        for regex, cause, fix in _UML_WORDS:
            if re.search(regex, line):
                return Finding(False, cause, cause, fix)
    return None


def first_problem(running: bool) -> Optional[Finding]:
    """The first failing check, of those that concern a boot or of all."""
    for check in RUN_CHECKS if running else BUILD_CHECKS + RUN_CHECKS:
        finding = check()
        if not finding.ok:
            return finding
    return None


def main(args: "argparse.Namespace", context: "Context") -> int:
    """umthp doctor: every check, then the worst exit code."""
    worst = EXIT_PASS
    for check in BUILD_CHECKS + RUN_CHECKS + [check_page]:
        finding = check()
        mark = "ok" if finding.ok and not finding.optional else "note" if finding.ok else "FAIL"
        colour = {"ok": "green", "note": "yellow", "FAIL": "red"}[mark]
        context.console.say("%s %s" % (context.console.colour(colour, "%-4s" % mark),
                                       finding.text))
        if mark != "ok":
            context.console.say("     %s" % finding.cause.replace("\n", "\n     "))
            context.console.say("     fix: %s" % finding.fix)
        if not finding.ok:
            worst = finding.exit_code if worst == EXIT_PASS else worst
    return worst


def _proc(name: str) -> Optional[int]:
    try:
        return int(Path("/proc/sys", name).read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
