# SPDX-License-Identifier: GPL-2.0
"""umthp shell: a shell, or one command, in the kernel that was built."""
from __future__ import annotations

import argparse
import shutil
import signal
import tempfile
from pathlib import Path
from typing import List, Optional, Sequence, Tuple

from . import busybox as busyboxes
from . import doctor, report, rootfs, shell_root, splats
from .boot import Boot, Launcher
from .cache import make_dir
from .context import Context
from .errors import EXIT_FAIL, EXIT_PASS, BuildError, GuestError, HostError, UsageError
from .private_dir import private_dir
from .process import quoted
from .shell_ttys import Ttys, is_terminal
from .userland import COHERENT_ARGS, COHERENT_MEM, Userland

DESCRIPTION = (
    "A shell in the kernel that was built: busybox, upstream's hmm-tests and other selftests of "
    "mm in /bin, /dev/hmm_dmirror* ready. With -- CMD it runs that instead; stdout, stderr and "
    "the exit code are those of CMD, its stdin is empty. The exit code is 1 if CMD ends well but "
    "the kernel complained, and 8 if the kernel died. The guest's root is read-only, /tmp and "
    "/root are its own memory.")
# Programs of tools/testing/selftests/mm besides hmm-tests.
SELFTESTS = ("folio_split_race_test", "gup_test", "khugepaged", "split_huge_page_test",
             "transhuge-stress")
NEED = 512 << 20
# As long as a selector can wait.
FOREVER = 20 * 24 * 3600
# A disk to swap to: mkswap /dev/ram0.
_ARGUMENTS = ("console=tty", "kunit.enable=0", "brd.rd_size=131072")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.usage = "umthp shell [options] [-- CMD [ARG...]]"
    parser.add_argument("--mem", default=COHERENT_MEM, metavar="SIZE",
                        help="memory of the guest (default %s; with another size the coherent "
                        "devices of hmm-tests are left out)" % COHERENT_MEM)
    parser.add_argument("--share", metavar="DIR", help="have DIR of this machine at /mnt, to read")
    parser.add_argument("--timeout", type=int, metavar="S", help="kill the guest after S seconds")
    parser.add_argument("--seccomp", choices=("on", "off", "auto"),
                        help="UML's userspace mode (default: the kernel's, ptrace)")
    parser.add_argument("--kernel-args", metavar="ARGS", action="append", default=[],
                        help="added to the kernel command line")
    parser.set_defaults(guest_command=None)


def split_command(words: Sequence[str]) -> Tuple[List[str], Optional[List[str]]]:
    """The command line of umthp, and what comes after its first `--`."""
    words = list(words)
    if words[:1] != ["shell"] or "--" not in words:
        return words, None
    at = words.index("--")
    return words[:at], words[at + 1:]


def main(args: argparse.Namespace, context: Context) -> int:
    command: Optional[List[str]] = args.guest_command
    if command == []:
        raise UsageError("there is no command after --", "umthp shell -- CMD [ARG...]")
    if command is None and not is_terminal() and not args.dry_run:
        raise UsageError("an interactive shell needs a terminal, and this is none",
                         "umthp shell -- CMD runs one command")
    if args.share is not None:
        shell_root.share_path(args.share)
    if args.dry_run:
        with context.kernel() as kernel:
            words = [str(kernel.binary), *_arguments(args, context.launcher(need=NEED),
                                                     Path("ROOT"))]
            context.console.say("$ " + quoted(words))
        return EXIT_PASS
    busybox = busyboxes.find(context.cache, context.console)
    parent = make_dir(context.cache / "shell")
    with private_dir(Path(tempfile.gettempdir()) if rootfs.UNFIT.search(str(parent))
                     else parent) as home:
        root = home / "root"
        root.mkdir()
        # The lock of the tree is held until here only: a shell may last for hours.
        with context.kernel() as kernel:
            programs = _programs(Userland(kernel.prepared, context.console,
                                          context.builder().jobs), context)
            shell_root.copy_kernel(kernel.binary, home / "linux")
            about = {"version": kernel.prepared.version, "variant": kernel.variant}
            shell_root.make(root, busybox, programs, command, about, args.share)
        ttys, boot = _boot(args, context, home, command is None)
        log = parent / "kernel.log"
        shutil.copyfile(boot.log, log)
        return _result(command, ttys, boot, log, context)


def _programs(userland: Userland, context: Context) -> List[Path]:
    """What is put into /bin. A selftest that this tree has not, or that does not build, is left
    out, and that is said."""
    made = [userland.thp_check()]
    for name in ("hmm-tests", *SELFTESTS):
        try:
            made.append(userland.selftest(name))
        except BuildError as error:
            context.console.note("without %s: %s" % (name, error.cause))
    return made


def _arguments(args: argparse.Namespace, launcher: Launcher, root: Path) -> List[str]:
    """The kernel command line, without the ttys."""
    words = ["mem=" + args.mem, *_ARGUMENTS, *rootfs.arguments(root), *launcher.host_arguments()]
    if args.mem == COHERENT_MEM:
        words += COHERENT_ARGS
    return words + [word for text in args.kernel_args for word in text.split()]


def _boot(args: argparse.Namespace, context: Context, home: Path,
          interactive: bool) -> "Tuple[Ttys, Boot]":
    launcher = context.launcher(timeout=FOREVER, need=NEED)
    words = _arguments(args, launcher, home / "root")
    context.console.status("shell", "booting")
    with Ttys(interactive, launcher.stop) as ttys:
        def on_line(line: str) -> None:
            if ttys.started:
                context.console.clear_status()
            ttys.kernel_line(line)
        boot = launcher.boot(home / "linux", [*words, *ttys.arguments], home / "kernel.log",
                             on_line=on_line, pass_fds=ttys.fds)
        ttys.finish()
    context.console.clear_status()
    return ttys, boot


def _result(command: Optional[List[str]], ttys: Ttys, boot: Boot, log: Path,
            context: Context) -> int:
    """The exit code; GuestError or HostError if the command never came to its end."""
    what = "the shell" if command is None else command[0]
    if isinstance(ttys.broken, BrokenPipeError):
        raise ttys.broken
    if ttys.broken:
        raise HostError("cannot write the output of %s: %s" % (what, ttys.broken.strerror),
                        "give it another place to go")
    if ttys.killed:
        context.console.note("the guest was killed")
        return 128 + signal.SIGKILL
    if ttys.error:
        raise HostError("the guest cannot start: %s" % ttys.error,
                        "see the log; does the kernel have what kunitconfig asks for?", log)
    lines = boot.lines()
    found = splats.find(lines)
    if ttys.status is None:
        halted = boot.returncode == 0 and any(line.endswith("reboot: Power down") or
                                              line.endswith("reboot: System halted")
                                              for line in lines[-4:])
        if command is None and ttys.started and halted:
            return EXIT_PASS
        raise _death(what, ttys, boot, log)
    if command is not None:
        for splat in found:
            context.console.warning("the kernel complained: %s (line %d of the log)"
                                    % (splat.text, splat.line + 1))
        if found:
            context.console.note("log: %s" % log)
    return ttys.status or (EXIT_FAIL if found and command is not None else EXIT_PASS)


def _death(what: str, ttys: Ttys, boot: Boot, log: Path) -> Exception:
    """Why the guest ended before its shell or command did."""
    tail = "\n".join(report.boot_failure_tail(boot))
    if boot.timed_out:
        return GuestError("%s was still running when the time was up" % what,
                          "--timeout S gives it more", log)
    if not ttys.started:
        found = doctor.explain(boot.lines()) or doctor.first_problem(running=True)
        if found is not None:
            return HostError("UML cannot run here: %s\nlast lines of its log:\n%s"
                             % (found.cause, tail), found.fix, log)
    return GuestError("the kernel ended before %s did; last lines of its log:\n%s" % (what, tail),
                      "see the log", log)
