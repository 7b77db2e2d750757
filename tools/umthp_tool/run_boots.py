# SPDX-License-Identifier: GPL-2.0
"""Which boots a run makes: those of its plan, or one for each suite or test, and one for each
known bug that the kernel may not survive. As many at a time as there are CPUs."""
from __future__ import annotations

import argparse
import os
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Callable, List, Optional, Sequence, Tuple

from . import report
from .boot import NEED_BYTES, Boot, Launcher
from .boot_plan import ALL, Plan
from .build import Kernel
from .cache import make_dir
from .context import Context
from .early_report import EarlyReport
from .errors import HostError
from .known_bugs import OWN_BOOT_SECONDS, Bug
from .process import quoted

NO_SLOW = "kunit.filter=speed>slow"
# Very slow is what measures instead of testing.
NO_BENCH = "kunit.filter=speed>very_slow"


@dataclass
class Made:
    boots: List[Boot] = field(default_factory=list)
    own: List[Tuple[Bug, str, Boot]] = field(default_factory=list)     # for this bug and case


def filters(glob: Optional[str], slow: bool, without: Sequence[str] = ()) -> List[str]:
    """Kernel command line for what is to run; nothing of these modules."""
    args = ["kunit.filter_glob=" + glob] if glob else []
    return args + [",module!=".join([NO_BENCH if slow else NO_SLOW, *without])]


def _added(args: argparse.Namespace) -> List[str]:
    """What the user adds to the kernel command line."""
    return [word for words in args.kernel_args for word in words.split()]


def _asked(args: argparse.Namespace, glob: Optional[str] = None,
           without: Sequence[str] = ()) -> List[str]:
    """Kernel command line of a boot of this run; `glob` in the place of the user's."""
    return filters(glob or args.glob, args.slow, without) + _added(args)


def _asked_alone(args: argparse.Namespace, bug: Bug, case: str) -> List[str]:
    """The same for the boot of a known bug: whatever the speed of its case."""
    return filters(case, True) + ["thp_known_bug.own_boot=" + bug.id] + _added(args)


def list_tests(kernel: Kernel, launcher: Launcher, log: Path,
               extra: Sequence[str] = ()) -> List[str]:
    """suite.test of everything in the kernel that the filters let through."""
    boot = launcher.boot(kernel.binary, launcher.arguments([*extra, "kunit.action=list"]), log)
    names: List[str] = []
    started = False
    for line in boot.lines():
        text = line.strip()
        if not started:
            started = text.endswith("KTAP version 1")
        elif text == "reboot: System halted":
            return names
        elif "." in text and " " not in text:
            names.append(text)
    tail = report.boot_failure_tail(boot)
    raise HostError("the kernel did not list its tests:\n%s" % "\n".join(tail),
                    "run `umthp doctor`", log)


def boots(kernel: Kernel, context: Context, args: argparse.Namespace,
          own: Sequence[Tuple[Bug, str]],
          watch: Optional[Callable[[str], object]] = None, plan: Plan = ALL) -> Made:
    """Make all boots of a run.

    watch: gets each line of the log of a single boot, and may end it (boot.STOP).
    """
    jobs = at_most(args)
    at_once = min(jobs, (jobs if args.isolate else len(plan.parts)) + len(own))
    launcher = context.launcher(need=NEED_BYTES * at_once)
    logs = context.log_dir(kernel.prepared)
    name = "run-" + kernel.variant
    work: List[Callable[[], Boot]] = []
    if args.isolate:
        work += _isolated(kernel, context, args, launcher, logs / name, plan)
    else:
        work += _parts(kernel, context, args, launcher, logs / name, plan, watch)
    count = len(work)
    directory = _emptied(logs / (name + "-known-bugs"))
    for bug, case in own:
        work.append(_own_boot(kernel, launcher, args, bug, case, directory))
    launcher.place()
    made = _together(work, at_once, launcher) if at_once > 1 else [one() for one in work]
    return Made(made[:count], [(*which, boot) for which, boot in zip(own, made[count:])])


def _together(work: Sequence[Callable[[], Boot]], at_once: int, launcher: Launcher) -> List[Boot]:
    from concurrent.futures import ThreadPoolExecutor
    pool = ThreadPoolExecutor(at_once)
    try:
        return list(pool.map(lambda one: one(), work))
    except BaseException:
        launcher.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def at_most(args: argparse.Namespace) -> int:
    """How many boots may run at once."""
    return args.jobs or len(os.sched_getaffinity(0))


def _parts(kernel: Kernel, context: Context, args: argparse.Namespace, launcher: Launcher,
           base: Path, plan: Plan,
           watch: Optional[Callable[[str], object]]) -> List[Callable[[], Boot]]:
    """The boots of a plan, in its order."""
    several = _emptied(base.with_name(base.name + "-parts"))
    work: List[Callable[[], Boot]] = []
    for number, part in enumerate(plan.parts, 1):
        log = several / ("%d.log" % number) if len(plan.parts) > 1 \
            else base.with_name(base.name + ".log")
        on_line = _progress(context, EarlyReport(context.console) if part.first else watch)
        arguments = launcher.arguments(_asked(args, part.glob, part.without))
        work.append(partial(launcher.boot, kernel.binary, arguments, log, on_line=on_line))
    return work


def _progress(context: Context,
              watch: Optional[Callable[[str], object]]) -> Callable[[str], object]:
    started = time.monotonic()

    def on_line(line: str) -> object:
        if "# Subtest: " in line:
            context.console.status("run", "%s (%ds)" % (
                line.split("# Subtest: ")[1], time.monotonic() - started))
        return watch(line) if watch else None
    return on_line


def _isolated(kernel: Kernel, context: Context, args: argparse.Namespace, launcher: Launcher,
              base: Path, plan: Plan) -> List[Callable[[], Boot]]:
    """One boot for each suite or test that the filters and the plan let through."""
    names = list_tests(kernel, launcher, base.with_name(base.name + "-list.log"), _asked(args))
    names = [name for name in names if plan.only is None or name.split(".")[0] in plan.only]
    names.sort(key=lambda name: name.split(".")[0] not in plan.early)
    globs = names if args.isolate == "test" else list(dict.fromkeys(
        test.split(".")[0] for test in names))
    directory = _emptied(base.with_name(base.name + "-isolated"))

    def one(glob: str) -> Boot:
        context.console.status("run", glob)
        return launcher.boot(kernel.binary, launcher.arguments(_asked(args, glob)),
                             directory / (glob + ".log"))
    return [lambda glob=glob: one(glob) for glob in globs]  # type: ignore[misc]


def _own_boot(kernel: Kernel, launcher: Launcher, args: argparse.Namespace, bug: Bug, case: str,
              directory: Path) -> Callable[[], Boot]:
    timeout = min(bug.own_boot or OWN_BOOT_SECONDS, launcher.timeout)
    return lambda: launcher.boot(
        kernel.binary, launcher.arguments(_asked_alone(args, bug, case)),
        directory / ("%s-%s.log" % (bug.id, case)), timeout=timeout)


def _emptied(directory: Path) -> Path:
    """Without the logs of the last run, which may have had other boots."""
    for old in make_dir(directory).glob("*.log"):
        old.unlink()
    return directory


def show_commands(kernel: Kernel, context: Context, args: argparse.Namespace,
                  own: Sequence[Tuple[Bug, str]], plan: Plan = ALL) -> None:
    """What boots() would run, fit to paste."""
    launcher = context.launcher()
    commands = [(_asked(args, part.glob, part.without), "") for part in plan.parts]
    commands += [(_asked_alone(args, bug, case), "    # known bug %s: %s" % (
        bug.id, " ".join(bug.conditions))) for bug, case in own]
    for extra, note in commands:
        context.console.say("$ %s%s" % (quoted([kernel.binary, *launcher.arguments(extra)]), note))
