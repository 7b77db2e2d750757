# SPDX-License-Identifier: GPL-2.0
"""Boot a guest that runs programs, and keep apart what they print and what the kernel prints.

The programs write to the guest's /dev/tty1, which is a regular file here; init marks where each
program starts and how it ends (tools/userland/init.c).
"""
from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import List, Optional, Sequence

from . import rootfs
from .boot import Boot, Launcher
from .userland import Userland

# KUnit's own suites are not wanted in such a boot.
_ARGUMENTS = ("console=tty", "kunit.enable=0", "transparent_hugepage=always")
_MARK = re.compile(r"^umthp-init: (start|exit|signal|error|done)\b:? ?(.*)$")


@dataclass
class Program:
    """One program's run inside the guest."""

    path: str
    lines: List[str] = field(default_factory=list)
    status: Optional[int] = None        # exit status
    signal: Optional[int] = None        # what killed it
    # Neither: it was running when the guest died.


@dataclass
class Output:
    """What came out of the guest's tty, cut at init's marks."""

    programs: List[Program] = field(default_factory=list)
    errors: List[str] = field(default_factory=list)
    done: bool = False                  # init reached its end


@dataclass
class Guest:
    """One boot and what ran in it."""

    boot: Boot
    path: Path                          # of the programs' output
    output: Output


def run(userland: Userland, launcher: Launcher, binary: Path, programs: Sequence[Path],
        commands: Sequence[Sequence[str]], log: Path, *, mem: str,
        extra: Sequence[str] = ()) -> Guest:
    """Run commands (absolute paths in the guest) one after the other in one boot.

    log: of the kernel; what the programs print goes to the same name with .out.
    """
    path = log.with_suffix(".out")
    init = userland.init()
    # The tty's input must be something that never has any: a pipe that nobody writes to.
    quiet, keep_open = os.pipe()
    try:
        with rootfs.rootfs(userland.home, init, programs, commands) as root, \
                open(path, "wb") as sink:
            tty = "con1=fd:%d,fd:%d" % (quiet, sink.fileno())
            args = ["mem=" + mem, *_ARGUMENTS, *rootfs.arguments(root), tty,
                    *launcher.host_arguments(), *extra]
            boot = launcher.boot(binary, args, log, pass_fds=(quiet, sink.fileno()))
    finally:
        os.close(quiet)
        os.close(keep_open)
    text = path.read_bytes().decode("utf-8", "backslashreplace")
    return Guest(boot, path, parse(text.split("\n")))


def parse(lines: Sequence[str]) -> Output:
    """Cut the output at init's marks."""
    result = Output()
    current: Optional[Program] = None
    for line in lines:
        line = line.rstrip("\r")
        mark = _MARK.match(line)
        if mark is None:
            if current is not None:
                current.lines.append(line)
            elif line.strip():
                result.errors.append("output outside of any program: %s" % line)
            continue
        kind, rest = mark.groups()
        if kind == "error":
            result.errors.append("guest init: " + rest)
        elif kind == "done":
            result.done = True
        elif kind == "start":
            current = Program(rest)
            result.programs.append(current)
        elif current is None or not rest.startswith(current.path + " "):
            result.errors.append("guest init lost count at: %s" % line)
        else:
            number = int(rest[len(current.path):])
            if kind == "exit":
                current.status = number
            else:
                current.signal = number
            current = None
    return result
