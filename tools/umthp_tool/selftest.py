# SPDX-License-Identifier: GPL-2.0
"""umthp selftest: plain programs as processes in the UML that was built."""
from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import List, Optional

from . import config, expected, report, report_json, report_junit
from .build import Kernel
from .context import ROOT, Context
from .errors import EXIT_PASS, UmthpError, UsageError
from .guest import Guest
from .guest import run as run_guest
from .selftest_bench import bench_migrate
from .selftest_judge import judge
from .selftest_plans import PLANS, BootPlan, Plan, select, skips_of
from .selftest_split import bench_split
from .userland import Userland
from .verdict import Verdict

# A SMP guest under KASAN on a loaded machine, with upstream's benchmark.
TIMEOUT = 900
BENCHES = {"bench-migrate": bench_migrate, "bench-split": bench_split}


def register(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser of cli.py."""
    from .cli import kernel_arguments   # cli imports us
    parser = commands.add_parser(
        "selftest", description="Run a selftest as a process in UML: upstream's hmm-tests, "
        "unmodified; or thp, which checks that a plain process gets THPs that work. Or measure: "
        "bench-migrate, upstream's migration benchmark; bench-split, what a split costs.")
    kernel_arguments(parser)
    parser.add_argument("name", choices=(*PLANS, *BENCHES), metavar="NAME",
                        help="hmm-tests, thp, bench-migrate or bench-split")
    parser.add_argument("glob", nargs="?", metavar="GLOB",
                        help="SUITE, TEST or SUITE.TEST, with * and ?")
    parser.add_argument("--list", action="store_true", help="show the names of the tests")
    parser.add_argument("--timeout", type=int, metavar="S",
                        help="of one boot (default %d)" % TIMEOUT)
    parser.add_argument("--seccomp", choices=("on", "off", "auto"),
                        help="UML's userspace mode (default: the kernel's, ptrace)")
    parser.add_argument("--json", metavar="F", help="verdict as JSON, - for stdout")
    parser.add_argument("--junit", metavar="F", help="results as JUnit XML, - for stdout")
    parser.set_defaults(main=main)


def main(args: argparse.Namespace, context: Context) -> int:
    """umthp selftest: prepare, build, boot, judge, report."""
    if args.name in BENCHES:
        if args.glob or args.list or args.junit:
            raise UsageError("%s takes neither a GLOB nor --list nor --junit" % args.name)
        return BENCHES[args.name](args, context)
    plan = PLANS[args.name]
    entries = expected.load(ROOT / "tests" / plan.expected)
    if entries is None:
        raise UsageError("%s is missing" % (ROOT / "tests" / plan.expected),
                         "restore it: git checkout -- tests")
    if args.list:
        for entry in entries:
            context.console.say(" ".join([entry.name, *entry.conditions]))
        return EXIT_PASS
    try:
        with context.kernel() as kernel:
            if args.dry_run:
                return EXIT_PASS
            return _run(plan, entries, kernel, args, context)
    except UmthpError as error:
        _write_reports(args, context, None, error, error.exit_code)
        raise


def _run(plan: Plan, entries: List[expected.Entry], kernel: Kernel, args: argparse.Namespace,
         context: Context) -> int:
    asked = expected.Run(kernel.prepared.version, kernel.variant, args.glob, False)
    skips = skips_of(plan)
    chosen = select(plan, entries, asked)
    boots = plan.boots(chosen.entries, skips, chosen.whole)
    guests = run_boots(plan, boots, kernel, args, context)
    result = judge(plan, guests, chosen.entries, entries, skips)
    context.seconds["run"] = result.seconds
    context.console.step("run", "%s, %d tests" % (plan.name, len(result.cases)), result.seconds)
    report.show(result, context.console, _command(args))
    if args.verbose:
        for name in result.unexpected:
            context.console.note("%s is not in tests/%s" % (name, plan.expected))
    _write_reports(args, context, result, None, result.exit_code)
    return result.exit_code


def run_boots(plan: Plan, boots: List[BootPlan], kernel: Kernel, args: argparse.Namespace,
              context: Context) -> List[Guest]:
    """Build the programs and run every boot; each has a log of its own."""
    jobs = args.jobs or len(os.sched_getaffinity(0))
    userland = Userland(kernel.prepared, context.console, jobs)
    program = plan.build(userland)
    launcher = context.launcher(TIMEOUT, plan.need)
    guests = []
    for boot in boots:
        context.console.status("run", "%s: %s" % (plan.name, boot.label))
        log = _log(kernel, plan.name, boot.label, context)
        guests.append(run_guest(userland, launcher, kernel.binary, [program], [boot.command],
                                log, mem=boot.mem, extra=boot.extra))
    return guests


def _log(kernel: Kernel, name: str, label: str, context: Context) -> Path:
    return context.log_dir(kernel.prepared) / ("selftest-%s-%s-%s.log"
                                               % (name, label, kernel.variant))


def _command(args: argparse.Namespace) -> List[str]:
    """The command line that repeats this run, without its GLOB."""
    words = ["umthp", "selftest", args.name]
    for name in ("kernel", "rev", "variant", "seccomp"):
        value = getattr(args, name, None)
        if value and not (name == "variant" and value == config.DEFAULT):
            words += ["--" + name, value]
    return words + (["--staged"] if args.staged else [])


def _write_reports(args: argparse.Namespace, context: Context, result: Optional[Verdict],
                   error: Optional[UmthpError], exit_code: int) -> None:
    if args.json:
        prepared = context.prepared
        document = report_json.document(
            kernel=prepared.version if prepared else "", tree=prepared.tree if prepared else "",
            variant=args.variant, seconds=context.seconds, result=result, error=error,
            exit_code=exit_code)
        document["source"] = prepared.described if prepared else ""
        document["selftest"] = args.name
        report_json.write(document, args.json)
    if args.junit:
        tree = report_junit.tree(result) if result else report_junit.error_tree(error) \
            if error else None
        if tree is not None:
            report_junit.write(tree, args.junit)
