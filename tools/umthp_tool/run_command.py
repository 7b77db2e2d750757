# SPDX-License-Identifier: GPL-2.0
"""umthp run, build and exec."""
from __future__ import annotations

import argparse
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Callable, ContextManager, Dict, Iterator, List, Optional, Sequence

from . import (affected, commit_range, config, doctor, expected, halves, host_memory, kept,
               known_bugs, report, report_json, run_boots, stack_trace, verdict)
from .boot import NEED_BYTES, Boot
from .boot_plan import ALL, Plan
from .build import Kernel
from .context import Context
from .errors import EXIT_PASS, HostError, UmthpError, bisect_code


@dataclass(frozen=True)
class Tables:
    """What a run is judged by, besides its log."""

    entries: List[expected.Entry]
    bugs: List[known_bugs.Bug]


def _tables(args: argparse.Namespace, context: Context) -> Tables:
    if args.write_expected:
        return Tables(expected.load(context.layout.expected) or [],
                      known_bugs.load(context.known_bugs))
    return tables(context)


def tables(context: Context) -> Tables:
    """The tables of this project; a list of expected tests that is empty verifies nothing."""
    return Tables(expected.required(context.layout.expected), known_bugs.load(context.known_bugs))


def _check_arguments(args: argparse.Namespace, context: Context) -> None:
    if args.glob:
        expected.check_glob(args.glob)
    if "-" in (args.json, args.junit):
        # Nothing but the document may be in it.
        context.console.out = context.console.err


def run(args: argparse.Namespace, context: Context) -> int:
    """umthp run: prepare, build, boot, judge, report."""
    if hasattr(args, "affected"):
        affected.check_arguments(args)
    if getattr(args, "range", None):
        _check_arguments(args, context)
        tables = _tables(args, context)
        return commit_range.run(args, context, lambda *tested: _alive(*tested, tables)[1])
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
        tables = _tables(args, context)
        with opened as kernel:
            if args.dry_run:
                if getattr(args, "affected", False):
                    context.console.note("what is affected is known when the tree has been read; "
                                         "these are the commands for all suites")
                run_boots.show_commands(kernel, context, args,
                                        _own_boots(_asked(kernel, args), args, tables) or [],
                                        _quickest(kernel, args, ALL))
                return EXIT_PASS
            return _run_kernel(kernel, context, args, tables)
    except UmthpError as error:
        _write_reports(args, context, None, error, error.exit_code)
        raise


def build(args: argparse.Namespace, context: Context) -> int:
    with context.kernel() as kernel:
        if not args.dry_run:
            context.console.say(str(kernel.binary))
    return EXIT_PASS


def _asked(kernel: Kernel, args: argparse.Namespace) -> expected.Run:
    return expected.Run(kernel.prepared.version, kernel.variant, args.glob, args.slow)


def _own_boots(asked: expected.Run, args: argparse.Namespace,
               by: Tables) -> "Optional[List[tuple[known_bugs.Bug, str]]]":
    """The bugs that get a boot of their own, and their cases; None if nobody wants to wait."""
    if not (args.own_boots or args.slow or args.glob):
        return None
    return known_bugs.to_boot(by.bugs, asked, by.entries)


def judged(kernel: Kernel, context: Context, args: argparse.Namespace, by: Tables,
           watch: Optional[Callable[[str], object]] = None, plan: Plan = ALL,
           ) -> "tuple[List[Boot], verdict.Verdict]":
    """Boot what args ask for, and judge it: what a run of a kernel is, for every command.

    watch: as of run_boots.boots(). Nothing is asked of known bugs that need a boot of their own
    then: who ends a boot early wants to know of the first failure only.
    """
    asked = replace(_asked(kernel, args), suites=plan.only)
    own = None if watch else _own_boots(asked, args, by)
    made = run_boots.boots(kernel, context, args, own or [], watch, plan)
    return made.boots, verdict.judge(kernel.prepared.src, made.boots, asked,
                                     by.entries, by.bugs, None if own is None else made.own)


def _run_kernel(kernel: Kernel, context: Context, args: argparse.Namespace,
                by: Tables) -> int:
    console = context.console
    start = time.monotonic()
    made, result = _alive(kernel, context, args, by, _plan(kernel, context, args, by))
    context.seconds["run"] = time.monotonic() - start
    result.seconds = context.seconds["run"]
    console.step("run", report.summary(result), context.seconds["run"])
    for name in result.unexpected if console.verbose else []:
        console.detail("not in the list of expected tests: %s" % name)
    if result.splats:
        stack_trace.attach(result, kernel, context.builder())
    report.show(result, console, _command(args), "(%s, %s%s, %.1fs)" % (
        kernel.prepared.version, kernel.variant,
        ", only what is affected" if context.affected.get("only") else "",
        sum(context.seconds.values())))
    if args.write_expected:
        _write_expected(result, kernel, context, args)
    _write_reports(args, context, result, None, result.exit_code)
    return bisect_code(result.exit_code) if args.bisect else result.exit_code


def _plan(kernel: Kernel, context: Context, args: argparse.Namespace, by: Tables) -> Plan:
    """What runs, and what of it first. NothingError, if --affected has nothing to run."""
    if not hasattr(args, "since") or args.glob or args.write_expected or args.bisect:
        return ALL
    choice = affected.choose(kernel, context, args.slow, by.entries, args.since, args.rev)
    if choice.map is not None or args.affected:
        context.affected = choice.document(args.affected)
    if args.affected:
        affected.show(choice, context.console)
        affected.check_anything(choice)
    elif choice.suites and not choice.all_suites:
        context.console.step("order", "%d of %d suites reach what has changed against %s: first"
                             % (len(choice.suites), len(choice.modules), choice.against))
    return affected.plan(choice, args.affected, run_boots.at_most(args), _room_for_two,
                         args.slow)


def _room_for_two() -> bool:
    """Would two boots at once go where one would?"""
    try:
        places = [host_memory.choose(count * NEED_BYTES)[0].directory for count in (1, 2)]
    except HostError:
        return False
    return places[0] == places[1]


def _alive(kernel: Kernel, context: Context, args: argparse.Namespace, by: Tables,
           plan: Plan = ALL) -> "tuple[List[Boot], verdict.Verdict]":
    """judged(), of a host that can run UML."""
    made, result = judged(kernel, context, args, by, plan=_quickest(kernel, args, plan))
    if _whole(args, plan) and not args.slow and result.verdict == verdict.PASS:
        halves.keep(halves.times_path(context.log_dir(kernel.prepared), kernel.variant),
                    result.cases)
    if any(boot.returncode for boot in made) and not result.cases:
        _explain_dead_boot(made)
    return made, result


def _whole(args: argparse.Namespace, plan: Plan) -> bool:
    return not args.glob and plan.only is None


def _quickest(kernel: Kernel, args: argparse.Namespace, plan: Plan) -> Plan:
    """One boot of all suites as two at once, if they end sooner."""
    if not _whole(args, plan) or len(plan.parts) > 1 or args.isolate or args.write_expected \
            or run_boots.at_most(args) < 2:
        return plan
    times = halves.times_path(kernel.prepared.home / "logs", kernel.variant)
    parts = halves.parts(halves.load(times), args.slow)
    return replace(plan, parts=parts) if parts and _room_for_two() else plan


def _explain_dead_boot(made: Sequence[Boot]) -> None:
    """No test ran and UML ended badly: its own words or a failing host check are the reason."""
    found = doctor.explain(made[0].lines()) or doctor.first_problem(running=True)
    tail = report.boot_failure_tail(made[0])
    if found is not None:
        raise HostError("UML cannot run here: %s\nlast lines of its log:\n%s" % (
            found.cause, "\n".join(tail)), found.fix, made[0].log)


def _command(args: argparse.Namespace) -> List[str]:
    """The command line that repeats this run, without its GLOB."""
    words = list(getattr(args, "again", ("umthp", "run")))
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
    normal = set(run_boots.list_tests(kernel, context.launcher(), logs / "list-normal.log",
                                      [run_boots.NO_SLOW]))
    seen = [case.full for case in result.cases]
    slow = {name.split("[")[0] for name in seen} - normal
    expected.write(context.layout.expected, seen, slow, expected.Run(
        kernel.prepared.version, kernel.variant, args.glob, args.slow))
    context.console.note("wrote %s" % context.layout.expected)


def _document(args: argparse.Namespace, context: Context, result: Optional[verdict.Verdict],
              error: Optional[UmthpError], exit_code: int) -> Dict[str, Any]:
    prepared = context.prepared
    document: Dict[str, Any] = report_json.document(
        kernel=prepared.version if prepared else "", tree=prepared.tree if prepared else "",
        variant=args.variant, seconds=context.seconds, result=result, error=error,
        exit_code=exit_code)
    document.update(source=prepared.described if prepared else "", glob=args.glob or "",
                    slow=bool(args.slow), kernel_args=args.kernel_args,
                    ended=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
    if context.affected:
        document["affected"] = context.affected
    return document


def _write_reports(args: argparse.Namespace, context: Context,
                   result: Optional[verdict.Verdict], error: Optional[UmthpError],
                   exit_code: int) -> None:
    document = _document(args, context, result, error, exit_code)
    if args.json:
        report_json.write(document, args.json)
    whole = not args.glob and not args.write_expected and (
        not getattr(args, "affected", False) or context.affected.get("all"))
    if context.prepared and whole:
        kept.keep(kept.verdict_path(context.log_dir(context.prepared), args.variant), document)
    if args.junit:
        from . import report_junit
        tree = report_junit.tree(result) if result else report_junit.error_tree(error) \
            if error else None
        if tree is not None:
            report_junit.write(tree, args.junit)
