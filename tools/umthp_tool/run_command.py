# SPDX-License-Identifier: GPL-2.0
"""umthp run, build, exec and list."""
from __future__ import annotations

import argparse
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Optional, Sequence

from . import config, doctor, expected, report, report_json, report_junit, verdict
from .boot import NEED_BYTES, Boot, Launcher
from .build import Kernel
from .context import Context
from .errors import EXIT_PASS, HostError, UmthpError, bisect_code
from .process import quoted

NO_SLOW = "kunit.filter=speed>slow"
# Very slow is what measures instead of testing.
NO_BENCH = "kunit.filter=speed>very_slow"


def filters(glob: Optional[str], slow: bool) -> List[str]:
    """Kernel command line for what is to run."""
    args = ["kunit.filter_glob=" + glob] if glob else []
    return args + [NO_BENCH if slow else NO_SLOW]


def _asked(args: argparse.Namespace, glob: Optional[str] = None) -> List[str]:
    """The same for a run, with what the user adds; `glob` in the place of the user's."""
    return filters(glob or args.glob, args.slow) + [
        word for words in args.kernel_args for word in words.split()]


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
          watch: Optional[Callable[[str], object]] = None) -> List[Boot]:
    """One boot, or one for each suite or test.

    watch: gets each line of the log of a single boot, and may end it (boot.STOP).
    """
    jobs = (args.jobs or len(os.sched_getaffinity(0))) if args.isolate else 1
    launcher = context.launcher(need=NEED_BYTES * jobs)
    logs = context.log_dir(kernel.prepared)
    name = "run-" + kernel.variant
    if not args.isolate:
        log = logs / (name + ".log")
        started = time.monotonic()

        def on_line(line: str) -> object:
            if "# Subtest: " in line:
                context.console.status("run", "%s (%ds)" % (
                    line.split("# Subtest: ")[1], time.monotonic() - started))
            return watch(line) if watch else None
        return [launcher.boot(kernel.binary, launcher.arguments(_asked(args)),
                              log, on_line=on_line)]
    names = list_tests(kernel, launcher, logs / (name + "-list.log"), _asked(args))
    globs = names if args.isolate == "test" else list(dict.fromkeys(
        test.split(".")[0] for test in names))
    directory = logs / (name + "-isolated")
    directory.mkdir(exist_ok=True)
    for old in directory.glob("*.log"):
        old.unlink()
    launcher.place()

    def one(glob: str) -> Boot:
        context.console.status("run", glob)
        return launcher.boot(kernel.binary, launcher.arguments(_asked(args, glob)),
                             directory / (glob + ".log"))
    pool = ThreadPoolExecutor(jobs)
    try:
        return list(pool.map(one, globs))
    except BaseException:
        launcher.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def show_commands(kernel: Kernel, context: Context, args: argparse.Namespace) -> None:
    launcher = context.launcher()
    context.console.say("$ " + quoted([kernel.binary, *launcher.arguments(_asked(args))]))


def _check_arguments(args: argparse.Namespace, context: Context) -> None:
    if args.glob:
        expected.check_glob(args.glob)
    if "-" in (args.json, args.junit):
        # Nothing but the document may be in it.
        context.console.out = context.console.err


def run(args: argparse.Namespace, context: Context) -> int:
    """umthp run: prepare, build, boot, judge, report."""
    return _run_one_of(context.kernel(), args, context)


def execute(args: argparse.Namespace, context: Context) -> int:
    """umthp exec: like run, with the kernel that was built last."""
    return _run_one_of(_last_kernel(args, context), args, context)


@contextmanager
def _last_kernel(args: argparse.Namespace, context: Context) -> Iterator[Kernel]:
    with context.last_tree() as prepared:
        kernel = context.builder().last(prepared, args.variant)
        context.prepared = kernel.prepared
        yield kernel


def _run_one_of(opened: ContextManager[Kernel], args: argparse.Namespace,
                context: Context) -> int:
    """Run the kernel that `opened` gives; an error on the way to it is reported as well."""
    _check_arguments(args, context)
    try:
        # Before the minutes that a build takes.
        entries = (expected.load if args.write_expected else expected.required)(
            context.layout.expected) or []
        with opened as kernel:
            if args.dry_run:
                show_commands(kernel, context, args)
                return EXIT_PASS
            return _run_kernel(kernel, context, args, entries)
    except UmthpError as error:
        _write_reports(args, context, None, error, error.exit_code)
        raise


def build(args: argparse.Namespace, context: Context) -> int:
    with context.kernel() as kernel:
        if not args.dry_run:
            context.console.say(str(kernel.binary))
    return EXIT_PASS


def list_command(args: argparse.Namespace, context: Context) -> int:
    """umthp list: the tests that a glob selects, or the suites, variants, kernels."""
    if args.what == "variants":
        for name in config.variants(context.layout):
            context.console.say(name)
        return EXIT_PASS
    if args.what == "kernels":
        for entry in context.support.kernels:
            context.console.say("%s  (>= %s, < %s)" % (entry.package, entry.min, entry.below))
        return EXIT_PASS
    if args.glob:
        expected.check_glob(args.glob)
    with context.kernel() as kernel:
        log = context.log_dir(kernel.prepared) / ("list-%s.log" % kernel.variant)
        names = list_tests(kernel, context.launcher(), log, filters(args.glob, args.slow))
    if args.what == "suites":
        names = list(dict.fromkeys(name.split(".")[0] for name in names))
    for name in names:
        context.console.say(name)
    return EXIT_PASS


def judged(kernel: Kernel, context: Context, args: argparse.Namespace,
           entries: List[expected.Entry],
           watch: Optional[Callable[[str], object]] = None,
           ) -> "tuple[List[Boot], verdict.Verdict]":
    """Boot what args ask for, and judge it: what a run of a kernel is, for every command."""
    made = boots(kernel, context, args, watch)
    asked = expected.Run(kernel.prepared.version, kernel.variant, args.glob, args.slow)
    return made, verdict.judge(kernel.prepared.src, made, asked, entries)


def _run_kernel(kernel: Kernel, context: Context, args: argparse.Namespace,
                entries: List[expected.Entry]) -> int:
    console = context.console
    start = time.monotonic()
    made, result = judged(kernel, context, args, entries)
    context.seconds["run"] = time.monotonic() - start
    result.seconds = context.seconds["run"]
    console.step("run", report.summary(result), context.seconds["run"])
    for name in result.unexpected if console.verbose else []:
        console.detail("not in the list of expected tests: %s" % name)
    never_ran = any(boot_.returncode for boot_ in made) and not result.cases
    if never_ran:
        _explain_dead_boot(made)
    report.show(result, console, _command(args), "(%s, %s, %.1fs)" % (
        kernel.prepared.version, kernel.variant, sum(context.seconds.values())))
    if args.write_expected:
        _write_expected(result, kernel, context, args)
    _write_reports(args, context, result, None, result.exit_code)
    return bisect_code(result.exit_code) if args.bisect else result.exit_code


def _explain_dead_boot(made: Sequence[Boot]) -> None:
    """No test ran and UML ended badly: its own words or a failing host check are the reason."""
    found = doctor.explain(made[0].lines()) or doctor.first_problem(running=True)
    tail = report.boot_failure_tail(made[0])
    if found is not None:
        raise HostError("UML cannot run here: %s\nlast lines of its log:\n%s" % (
            found.cause, "\n".join(tail)), found.fix, made[0].log)


def _command(args: argparse.Namespace) -> List[str]:
    """The command line that repeats this run, without its GLOB."""
    words = ["umthp", "run"]
    for name in ("kernel", "rev", "variant", "seccomp"):
        value = getattr(args, name, None)
        if value and not (name == "variant" and value == config.DEFAULT):
            words += ["--" + name, value]
    words += ["--staged"] if getattr(args, "staged", False) else []
    words += [word for text in getattr(args, "kernel_args", [])
              for word in ("--kernel-args", text)]
    return words + (["--slow"] if args.slow else [])


def _write_expected(result: verdict.Verdict, kernel: Kernel, context: Context,
                    args: argparse.Namespace) -> None:
    if args.glob or not args.slow:
        raise HostError("--write-expected needs all tests", "use it with --slow and no GLOB")
    if result.reasons or result.errors or not result.cases:
        raise HostError("the list of expected tests stays as it is: this run lost results",
                        "correct what is reported above, then try again", result.logs[0])
    logs = context.log_dir(kernel.prepared)
    normal = set(list_tests(kernel, context.launcher(), logs / "list-normal.log", [NO_SLOW]))
    seen = [case.full for case in result.cases]
    slow = {name.split("[")[0] for name in seen} - normal
    expected.write(context.layout.expected, seen, slow, expected.Run(
        kernel.prepared.version, kernel.variant, args.glob, args.slow))
    context.console.note("wrote %s" % context.layout.expected)


def _write_reports(args: argparse.Namespace, context: Context,
                   result: Optional[verdict.Verdict], error: Optional[UmthpError],
                   exit_code: int) -> None:
    if args.json:
        prepared = context.prepared
        document: Dict[str, Any] = report_json.document(
            kernel=prepared.version if prepared else "", tree=prepared.tree if prepared else "",
            variant=args.variant, seconds=context.seconds, result=result, error=error,
            exit_code=exit_code)
        document["source"] = prepared.described if prepared else ""
        report_json.write(document, args.json)
    if args.junit:
        tree = report_junit.tree(result) if result else report_junit.error_tree(error) \
            if error else None
        if tree is not None:
            report_junit.write(tree, args.junit)
