# SPDX-License-Identifier: GPL-2.0
"""One exception type per stage. Each carries a cause, what to type next, and its exit code.

The exit codes are part of the interface (README, "Exit codes"):
0 pass, 1 a test failed or the log holds a splat, 2 usage, 3 nothing ran, 4 configuration,
5 build, 6 series does not apply or kernel unsupported, 7 host cannot run UML, 8 time-out or crash.
"""
from __future__ import annotations

from pathlib import Path
from typing import Optional

EXIT_PASS = 0
EXIT_FAIL = 1
EXIT_USAGE = 2
EXIT_NOTHING = 3
EXIT_CONFIG = 4
EXIT_BUILD = 5
EXIT_SERIES = 6
EXIT_HOST = 7
EXIT_CRASH = 8

# git bisect run: 125 skips the commit, 128 and above stop the bisection.
BISECT_SKIP = 125
BISECT_ABORT = 128


class UmthpError(Exception):
    """A condition of the user or of the host, told in one line each: cause and fix."""

    exit_code = EXIT_FAIL
    verdict = "error"
    # What `git bisect run` is told: None leaves the exit code as it is.
    bisect_code: Optional[int] = None

    def __init__(self, cause: str, fix: str = "", log: Optional[Path] = None) -> None:
        super().__init__(cause)
        self.cause = cause
        self.fix = fix
        self.log = log


class UsageError(UmthpError):
    """The command line asks for something that does not exist."""

    exit_code = EXIT_USAGE
    verdict = "usage-error"
    bisect_code = BISECT_ABORT + EXIT_USAGE


class ConfigError(UmthpError):
    """The kernel configuration cannot be made, or lost an option that was asked for."""

    exit_code = EXIT_CONFIG
    verdict = "config-error"
    bisect_code = BISECT_SKIP


class IncompleteError(ConfigError):
    """A table of umthp itself is missing: nothing can be judged, and no commit is to blame."""

    bisect_code = BISECT_ABORT + EXIT_CONFIG


class BuildError(UmthpError):
    """The kernel does not compile."""

    exit_code = EXIT_BUILD
    verdict = "build-error"
    bisect_code = BISECT_SKIP


class ToolchainError(BuildError):
    """A program that the build needs is missing: no commit is to blame, so bisection stops."""

    bisect_code = BISECT_ABORT + EXIT_BUILD


class SeriesError(UmthpError):
    """The kernel is not supported, or the arch/um series does not apply to it."""

    exit_code = EXIT_SERIES
    verdict = "series-error"
    bisect_code = BISECT_SKIP


class HostError(UmthpError):
    """The host cannot do it: no executable memory, no space, no network, no permission."""

    exit_code = EXIT_HOST
    verdict = "host-error"
    bisect_code = BISECT_ABORT + EXIT_HOST


class NothingError(UmthpError):
    """There is nothing to show."""

    exit_code = EXIT_NOTHING
    verdict = "nothing-ran"
    bisect_code = BISECT_SKIP


class GuestError(UmthpError):
    """The kernel died, or its time was up, before what ran in it came to an end."""

    exit_code = EXIT_CRASH
    verdict = "crash"


class Interrupted(BaseException):
    """A signal asked the command to end; children are gone when this reaches main()."""

    def __init__(self, signum: int) -> None:
        super().__init__(signum)
        self.signum = signum


def bisect_code(exit_code: int, error: Optional[UmthpError] = None) -> int:
    """Translate an exit code for `git bisect run`."""
    if error is not None and error.bisect_code is not None:
        return error.bisect_code
    if exit_code == EXIT_NOTHING:
        # No test ran: the commit is neither good nor bad.
        return BISECT_SKIP
    return exit_code
