# SPDX-License-Identifier: GPL-2.0
"""umthp bench: the budgets of the design, as ratios within one run on this machine.

Absolute times say more about the machine than about umthp, so the work of umthp is compared with
the same work done by hand right next to it: bare `make ARCH=um linux` and bare `./linux`.
"""
from __future__ import annotations

import argparse
import os
import resource
import shutil
import statistics
import sys
import tempfile
import time
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Callable, Dict, Iterator, List, Optional, Sequence, Tuple

from . import bench_tree, expected, ktap, report_json, verdict
from .build import Kernel
from .cache import make_dir
from .context import ROOT, Context
from .errors import EXIT_FAIL, EXIT_PASS, BuildError, HostError
from .process import run, run_logged
from .run_boots import filters

NULL_BUDGET = 3.0           # seconds, nothing changed -> verdict
BOOT_BUDGET = 3.0           # seconds, all core suites in one boot
EDIT_BUDGET = 1.25          # x (bare make + bare run)
FIRST_BUDGET = 1.25         # x kunit.py build
RSS_BUDGET = 256            # MiB
HOOK_BUDGET = 0.1           # seconds, nothing relevant staged


@dataclass
class Row:
    name: str
    value: Optional[float]
    unit: str
    budget: Optional[float]
    detail: str

    @property
    def ok(self) -> bool:
        return self.value is not None and (self.budget is None or self.value <= self.budget)


@dataclass(frozen=True)
class Took:
    wall: float
    cpu: float


DESCRIPTION = "Measure the budgets."


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3, metavar="N",
                        help="measure each N times, take the median (default 3)")
    parser.add_argument("--boots", type=int, default=0, metavar="N",
                        help="also N boots with a busy process on every core: all identical?")
    parser.add_argument("--first-build", action="store_true",
                        help="also a first build against plain kunit.py build (slow)")
    parser.add_argument("--no-edit", action="store_true",
                        help="leave out edit -> verdict (needs 2 GiB for a tree to edit)")
    parser.add_argument("--json", metavar="F", help="the rows as JSON, - for stdout")


def main(args: argparse.Namespace, context: Context) -> int:
    rows: List[Row] = []
    with context.kernel() as kernel:
        if args.dry_run:
            return EXIT_PASS
        rows += _boot_rows(kernel, context, args)
        if args.boots:
            rows.append(_boots_row(kernel, context, args.boots))
        if args.first_build:
            rows.append(_first_build_row(kernel, context))
        tree = None if args.no_edit else bench_tree.make(
            kernel.prepared, make_dir(context.cache / "bench"), context.console)
    rows.append(_null_row(args))
    if tree is not None:
        rows += [_hook_row(tree, args), _edit_row(tree, context, args)]
    _show(rows, context)
    if args.json:
        report_json.write({"load": os.getloadavg()[0], "cpus": os.cpu_count(),
                           "rows": [{**asdict(row), "ok": row.ok} for row in rows]}, args.json)
    return EXIT_PASS if all(row.ok for row in rows) else EXIT_FAIL


def _show(rows: Sequence[Row], context: Context) -> None:
    say = context.console.say
    say("%-34s %10s %10s      %s" % ("what", "measured", "budget", "how"))
    for row in rows:
        value = "-" if row.value is None else "%.2f %s" % (row.value, row.unit)
        budget = "-" if row.budget is None else "%.2f %s" % (row.budget, row.unit)
        mark = context.console.colour("green" if row.ok else "red", "ok  " if row.ok else "MISS")
        say("%-34s %10s %10s %s %s" % (row.name, value, budget, mark, row.detail))


def timed(work: Callable[[], object]) -> Took:
    """Wall time, and CPU time of the children, of one piece of work."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    start = time.monotonic()
    work()
    wall = time.monotonic() - start
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _median(took: Sequence[Took]) -> Took:
    return Took(statistics.median(t.wall for t in took), statistics.median(t.cpu for t in took))


def _umthp(*words: str) -> Callable[[], object]:
    """The command itself, as a user runs it; its verdict must be a pass."""
    argv = [sys.executable, str(ROOT / "tools" / "umthp"), "run", "-q", *words]

    def work() -> None:
        done = run(argv)
        if done.returncode:
            raise HostError("umthp run failed while being measured (exit %d):\n%s" % (
                done.returncode, (done.stdout + done.stderr).decode("utf-8", "replace").strip()),
                "correct that first: umthp run")
    return work


def _same_kernel(args: argparse.Namespace) -> List[str]:
    words = ["--variant", args.variant]
    for name in ("kernel", "rev"):
        if getattr(args, name, None):
            words += ["--" + name, getattr(args, name)]
    return words + (["--staged"] if args.staged else [])


def _boot_rows(kernel: Kernel, context: Context, args: argparse.Namespace) -> List[Row]:
    """One boot with all core suites: time and memory of bare ./linux."""
    launcher = context.launcher()
    log = context.log_dir(kernel.prepared) / "bench.log"
    boots = [launcher.boot(kernel.binary, launcher.arguments(filters(None, False)), log)
             for _ in range(args.rounds)]
    cases = len(ktap.parse(kernel.prepared.src, boots[-1].lines()).cases)
    return [Row("all core suites, one boot", statistics.median(b.seconds for b in boots), "s",
                BOOT_BUDGET, "%d cases" % cases),
            Row("host memory", max(b.max_rss_kib for b in boots) / 1024, "MiB", RSS_BUDGET,
                "peak RSS of ./linux at mem=1G")]


def _null_row(args: argparse.Namespace) -> Row:
    work = _umthp(*_same_kernel(args))
    work()
    took = _median([timed(work) for _ in range(args.rounds)])
    return Row("nothing changed -> verdict", took.wall, "s", NULL_BUDGET, "umthp run")


def _edit_row(tree: Path, context: Context, args: argparse.Namespace) -> Row:
    """Edit one line: umthp on the user's tree against bare make + bare run of the same edit."""
    umthp = _umthp("--kernel", str(tree), "--variant", args.variant)
    context.console.status("bench", "building the tree that will be edited")
    umthp()
    ours: List[Took] = []
    bare: List[Took] = []
    context.args.kernel, context.args.rev, context.args.staged = str(tree), None, False
    for number in range(args.rounds):
        context.console.status("bench", "edit -> verdict, round %d of %d" % (
            number + 1, args.rounds))
        bench_tree.edit(tree / bench_tree.EDITED)
        ours.append(timed(umthp))
        with context.tree() as prepared:
            builder = context.builder()
            build = prepared.home / "build" / args.variant
            launcher = context.launcher()
            launcher.place()
            log = context.log_dir(prepared) / "bench-make.log"
            edited = prepared.src / bench_tree.EDITED
            saved = edited.read_bytes()
            bench_tree.edit(edited)

            def by_hand() -> None:
                if run_logged(builder.command(prepared, build, "linux"), log,
                              env=builder.environment(prepared)):
                    raise BuildError("bare make failed", "see its log", log)
                launcher.boot(build / "linux", launcher.arguments(filters(None, False)), log)
            try:
                bare.append(timed(by_hand))
            finally:
                edited.write_bytes(saved)
            # What was built by hand is not the tree that umthp knows.
            (build / "umthp-build.json").unlink(missing_ok=True)
    mine, theirs = _median(ours), _median(bare)
    return Row("edit mm/huge_memory.c -> verdict", mine.wall / theirs.wall, "x", EDIT_BUDGET,
               "%.1f s against %.1f s bare make + run (CPU %.1f s against %.1f s)"
               % (mine.wall, theirs.wall, mine.cpu, theirs.cpu))


def _hook_row(tree: Path, args: argparse.Namespace) -> Row:
    """The pre-commit hook, called as git does, with a change staged that no suite can notice."""
    hook = ROOT / "tools" / "hooks" / "pre-commit"
    env = {**os.environ, "GIT_INDEX_FILE": ".git/index"}

    def work() -> None:
        done = run([hook], cwd=tree, env=env)
        if done.returncode or done.stdout or done.stderr:
            raise HostError("the hook did more than to look:\n%s" % (
                done.stdout + done.stderr).decode("utf-8", "replace").strip(),
                "umthp hook status, in %s" % tree)
    with bench_tree.irrelevant_change_staged(tree):
        work()
        took = _median([timed(work) for _ in range(args.rounds)])
    return Row("hook, nothing relevant staged", took.wall, "s", HOOK_BUDGET,
               "the kernel's whole index")


@contextmanager
def busy_cores() -> Iterator[None]:
    """One process on every core that does nothing but run."""
    pids = []
    try:
        for _ in range(os.cpu_count() or 1):
            pid = os.fork()
            if pid == 0:
                while os.getppid() != 1:
                    sum(range(10000))
                os._exit(0)
            pids.append(pid)
        yield
    finally:
        for pid in pids:
            os.kill(pid, 9)
            os.waitpid(pid, 0)


def normalised(lines: Sequence[str]) -> Tuple[str, ...]:
    """Plans and results of a log, without what may differ between two good boots."""
    return tuple(line for line in lines
                 if ktap.is_result(line) or ktap.is_plan(line))


def _boots_row(kernel: Kernel, context: Context, count: int) -> Row:
    launcher = context.launcher()
    logs = make_dir(context.log_dir(kernel.prepared) / "bench-boots")
    asked = expected.Run(kernel.prepared.version, kernel.variant, None, False)
    entries = expected.required(context.layout.expected)
    seen: Dict[Tuple[str, ...], int] = {}
    bad = 0
    with busy_cores():
        for number in range(count):
            context.console.status("bench", "boot %d of %d" % (number + 1, count))
            log = logs / ("%04d.log" % number)
            boot = launcher.boot(kernel.binary, launcher.arguments(filters(None, False)), log)
            result = verdict.judge(kernel.prepared.src, [boot], asked, entries)
            key = normalised(boot.lines())
            new = key not in seen
            seen[key] = seen.get(key, 0) + 1
            if result.verdict != verdict.PASS:
                bad += 1
            elif not new:
                log.unlink()
    return Row("boots that differ, of %d" % count, float(count - max(seen.values()) + bad), "",
               0.0, "%s, cores loaded: %d outcomes, %d not a pass; logs in %s"
               % (kernel.variant, len(seen), bad, logs))


def _first_build_row(kernel: Kernel, context: Context) -> Row:
    """A build from nothing, without any compiler cache, against kunit.py build of the same."""
    prepared = kernel.prepared
    builder = context.builder()
    work = Path(tempfile.mkdtemp(dir=prepared.home, prefix="bench-"))
    log = context.log_dir(prepared) / "bench-first-build.log"
    env = builder.environment(prepared)
    try:
        ours, theirs = work / "umthp", work / "kunit"
        env["CCACHE_DIR"] = str(work / "ccache")
        ours.mkdir()
        theirs.mkdir()
        shutil.copy(kernel.build / ".config", ours)

        def mine() -> None:
            for target in ("olddefconfig", "linux"):
                _must(builder.command(prepared, ours, target), log, env, None)

        def kunit() -> None:
            _must([sys.executable, "tools/testing/kunit/kunit.py", "build", "--build_dir",
                   str(theirs), "--kunitconfig", "mm/tests", "--jobs", str(builder.jobs)],
                  log, env, prepared.src)
        context.console.status("bench", "first build, by umthp's way")
        first = timed(mine)
        context.console.status("bench", "first build, by kunit.py build")
        plain = timed(kunit)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return Row("first build", first.wall / plain.wall, "x", FIRST_BUDGET,
               "%.0f s against %.0f s kunit.py build (CPU %.0f s against %.0f s)"
               % (first.wall, plain.wall, first.cpu, plain.cpu))


def _must(argv: Sequence[str], log: Path, env: Dict[str, str], cwd: Optional[Path]) -> None:
    if run_logged(argv, log, env=env, cwd=cwd):
        raise BuildError("%s failed" % argv[0], "see its log", log)
