# SPDX-License-Identifier: GPL-2.0
"""umthp mutants: which faults in the kernel do the suites notice?

Each patch of a directory is laid over the kernel, built and run, in a checkout and a build of
their own. What came of it is kept in the cache by what went into it, so that an interrupted call
goes on where it was and a second one only does what is new.
"""
from __future__ import annotations

import argparse
import hashlib
import resource
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from . import config, ktap, report, report_json, splats, verdict
from .boot import STOP, Boot
from .build import Kernel, compiler
from .cache import read_json, write_json
from .console import printable
from .context import ROOT, Context
from .errors import (EXIT_FAIL, EXIT_PASS, BuildError, ConfigError, ToolchainError, UmthpError,
                     UsageError)
from .mutant import DoesNotApply, Mutant, changes, load, tree_with
from .run_command import judged, tables
from .series import Entries
from .shadow import Prepared, move

DESCRIPTION = (
    "Lay each patch of DIR over the kernel in turn, build it, run the default suites, and say "
    "whether they notice: killed (by which test), survived, or does not build. The kernel without "
    "a patch must pass first. A boot that hangs, panics or only splats is noticed as well. Results "
    "are kept: an interrupted call goes on where it was. Exit code 0 if all are killed but those "
    "whose patch has a line `Equivalent: why`.")
DIRECTORY = ROOT / "tests" / "mutants"
KILLED, SURVIVED = "killed", "survived"
NO_BUILD, NO_APPLY = "does not build", "does not apply"
EQUIVALENT, NOT_EQUIVALENT = "equivalent", "not equivalent"
GOOD = (KILLED, EQUIVALENT)

# A boot has failed for good after this many findings; the rest of it is not waited for.
ENOUGH = 3
# After these a kernel does not go on, or hangs.
_FATAL = ("panic", "BUG at", "oops", "KASAN")
# The time limit of a boot, from the control's: seconds at least, and times as long.
LIMIT_SECONDS = 20
LIMIT_TIMES = 10


@dataclass
class Outcome:
    """What came of one mutant."""

    result: str
    killed_by: List[str]
    seconds: float
    cpu: float
    detail: str = ""        # why it does not build or apply
    known: bool = False     # from an earlier call

    def shown(self, mutant: Mutant) -> str:
        """The result, in view of what the mutant says of itself."""
        if mutant.equivalent:
            return {SURVIVED: EQUIVALENT, KILLED: NOT_EQUIVALENT}.get(self.result, self.result)
        return self.result


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("directory", nargs="?", metavar="DIR", type=Path, default=DIRECTORY,
                        help="with *.patch files (default: tests/mutants of umthp)")
    parser.add_argument("--only", metavar="GLOB", help="names of patches, with * and ?")
    parser.add_argument("--json", metavar="F", help='[{"name", "result", "killed_by", "seconds"}] '
                        "- for stdout. result: killed, survived, does not build, does not apply, "
                        "equivalent, not equivalent (it says so, but is killed)")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--resume", action="store_true",
                       help="keep the results of earlier calls for the same kernel, suites and "
                       "patches (the default)")
    which.add_argument("--fresh", action="store_true", help="forget them")
    # What umthp run has as options: the default run is what must kill.
    parser.set_defaults(glob=None, slow=False, isolate=None, timeout=None, kernel_args=[])


def main(args: argparse.Namespace, context: Context) -> int:
    if args.json == "-":
        # Nothing but the document may be in it.
        context.console.out = context.console.err
    with context.tree("mutants") as prepared:
        if args.dry_run:
            _show_plan(args, context)
            return EXIT_PASS
        return _Session(args, context, prepared).run()


def _show_plan(args: argparse.Namespace, context: Context) -> None:
    if not args.directory.is_dir():
        raise UsageError("%s is not a directory" % args.directory, "umthp mutants DIR")
    names = [path.stem for path in sorted(args.directory.glob("*.patch"))]
    context.console.say("control, then each of: %s" % printable(" ".join(names)))


class _Session:
    """All mutants of one call."""

    def __init__(self, args: argparse.Namespace, context: Context, prepared: Prepared) -> None:
        self.args = args
        self.context = context
        self.console = context.console
        self.control = prepared
        self.state_file = prepared.home / "results.json"
        self.state: Dict[str, Any] = {} if args.fresh else read_json(self.state_file)
        self.conditions = _conditions(context, prepared, args.variant)
        self.tables = tables(context)
        self.count = (0, 0)

    def run(self) -> int:
        mutants = load(self.args.directory, self.args.only, self.control.git,
                       self.control.version)
        changed: Dict[str, Entries] = {}
        outcomes: Dict[str, Outcome] = {}
        for mutant in mutants:
            known = self._known(mutant)
            try:
                if known is None:
                    changed[mutant.name] = changes(mutant, self.control.git, self.control.tree)
            except DoesNotApply as error:
                known = Outcome(NO_APPLY, [], 0.0, 0.0, str(error))
            if known is not None:
                outcomes[mutant.name] = known
        left = [mutant for mutant in mutants if mutant.name not in outcomes]
        for mutant in mutants:
            if mutant.name in outcomes:
                self._say(mutant, outcomes[mutant.name])
        if left:
            self._run_control(len(left))
        for number, mutant in enumerate(left, 1):
            self.count = (number, len(left))
            outcome = self._run_one(mutant, changed[mutant.name])
            outcomes[mutant.name] = outcome
            self._keep(self._key(mutant), {
                "name": mutant.name, "result": outcome.result, "killed_by": outcome.killed_by,
                "seconds": outcome.seconds, "cpu": outcome.cpu, "detail": outcome.detail})
            self._say(mutant, outcome)
        if left:
            move(self.control.git, self.control.src, self.control.tree, self.console)
        return self._finish(mutants, outcomes)

    def _key(self, mutant: Mutant) -> str:
        return hashlib.sha256(("%s\0%s" % (mutant.digest, self.conditions)).encode()).hexdigest()

    def _known(self, mutant: Mutant) -> Optional[Outcome]:
        found = self.state.get(self._key(mutant))
        if not isinstance(found, dict):
            return None
        return Outcome(found["result"], list(found["killed_by"]), found["seconds"], found["cpu"],
                       found["detail"], True)

    def _run_control(self, count: int) -> None:
        """The kernel without a fault must pass, else nothing that follows means anything."""
        known = self.state.get(self.conditions)
        if not isinstance(known, dict):
            self.console.status("mutants", "the control")
            kernel = self._build(self.control)
            watch = _Watch(ends=False)
            made, result = judged(kernel, self.context, self.args, self.tables, watch)
            if result.verdict != verdict.PASS:
                report.show(result, self.console, ["umthp", "run"])
                raise UmthpError("the kernel does not pass without a mutant: %s" % result.verdict,
                                 "correct that first: umthp run", made[0].log)
            if watch.ended:
                raise UmthpError("the kernel passes, but as a mutant it would have been killed",
                                 "tell the authors of umthp, with the log", made[0].log)
            self.console.step("control", report.summary(result), result.seconds)
            known = {"name": "(control)", "seconds": max(boot.seconds for boot in made)}
            self._keep(self.conditions, known)
        self.args.timeout = max(LIMIT_SECONDS, LIMIT_TIMES * known["seconds"])
        self.console.note("%d mutants to build and run, time limit of a boot %d s" % (
            count, self.args.timeout))

    def _keep(self, key: str, value: Dict[str, Any]) -> None:
        self.state[key] = value
        write_json(self.state_file, self.state)

    def _run_one(self, mutant: Mutant, changed: Entries) -> Outcome:
        start, used = time.monotonic(), _cpu()
        killed_by: List[str] = []
        detail = ""
        result = NO_BUILD
        self._status(mutant, "build")
        tree = tree_with(changed, self.control.git, self.control.tree)
        moved = move(self.control.git, self.control.src, tree, self.console)
        try:
            kernel = self._build(replace(self.control, tree=tree, moved=moved))
        except ToolchainError:
            raise
        except (BuildError, ConfigError) as error:
            detail = error.cause
        else:
            self._status(mutant, "run")
            killed_by = _killers(*judged(kernel, self.context, self.args, self.tables,
                                         _Watch()))
            result = KILLED if killed_by else SURVIVED
        return Outcome(result, killed_by, round(time.monotonic() - start, 2),
                       round(_cpu() - used, 2), detail)

    def _build(self, prepared: Prepared) -> Kernel:
        return self.context.builder().build(prepared, self.args.variant)

    def _status(self, mutant: Mutant, doing: str) -> None:
        self.console.status("mutants", "%d/%d %s: %s" % (*self.count, mutant.name, doing))

    def _say(self, mutant: Mutant, outcome: Outcome) -> None:
        result = outcome.shown(mutant)
        good = result in GOOD
        if good and self.console.quiet:
            return
        what = ""
        if outcome.killed_by:
            more = len(outcome.killed_by) - 1
            what = "by " + outcome.killed_by[0] + (" and %d more" % more if more > 0 else "")
        elif outcome.detail:
            what = outcome.detail.splitlines()[-1]
        line = "%s %6.1fs %-60s %s" % (
            self.console.colour("green" if good else "red", "%-14s" % result), outcome.seconds,
            printable(mutant.name), printable(what))
        self.console.say(line.rstrip())
        if result == SURVIVED and mutant.breaks:
            self.console.say("                       breaks: " + printable(mutant.breaks))
        if result == NOT_EQUIVALENT:
            self.console.say("                       it says: " + printable(mutant.equivalent))

    def _finish(self, mutants: Sequence[Mutant], outcomes: Dict[str, Outcome]) -> int:
        results = [outcomes[mutant.name].shown(mutant) for mutant in mutants]
        if self.args.json:
            report_json.write([
                {"name": mutant.name, "result": result,
                 "killed_by": outcomes[mutant.name].killed_by,
                 "seconds": outcomes[mutant.name].seconds}
                for mutant, result in zip(mutants, results)], self.args.json)
        counted = ["%d %s" % (results.count(name), name) for name in (
            KILLED, SURVIVED, EQUIVALENT, NOT_EQUIVALENT, NO_BUILD, NO_APPLY)
            if results.count(name)]
        real = len(results) - results.count(EQUIVALENT)
        share = "; %.1f %% of what is not equivalent" % (
            100.0 * results.count(KILLED) / real) if real else ""
        self.console.say("%d mutants: %s%s" % (len(mutants), ", ".join(counted), share))
        ran = [outcome for outcome in outcomes.values() if outcome.cpu and not outcome.known]
        if ran:
            self.console.step("mutants", "%d run, %.1f s CPU each" % (
                len(ran), sum(outcome.cpu for outcome in ran) / len(ran)),
                sum(outcome.seconds for outcome in ran))
        return EXIT_PASS if all(result in GOOD for result in results) else EXIT_FAIL


class _Watch:
    """Reads a log as it comes, and ends the boot when it has failed often enough.

    ends: else it only remembers that it would have.
    """

    def __init__(self, ends: bool = True) -> None:
        self.ends = ends
        self.ended = False
        self.failed = 0
        self.splats = splats.Reader()

    def __call__(self, line: str) -> object:
        self.ended = self.ended or self._enough(line)
        return STOP if self.ended and self.ends else None

    def _enough(self, line: str) -> bool:
        self.splats.read(line)
        is_failure = ktap.is_result(line) and line.lstrip().startswith("not ok ")
        # A suite's own result, in column 0, says nothing new.
        self.failed += is_failure and line[0] == " "
        found = self.splats.found
        findings = self.failed + len(found)
        return findings >= ENOUGH or (is_failure and line[0] != " " and findings > 0) \
            or (bool(found) and found[-1].kind in _FATAL)


def _killers(made: Sequence[Boot], result: verdict.Verdict) -> List[str]:
    """Who noticed, the first ones first; empty if the verdict is a pass."""
    if result.verdict == verdict.PASS:
        return []
    stopped = any(boot.stopped for boot in made)
    found = [case.full for case in result.cases if case.status == ktap.FAILED]
    found += ["splat %s in %s" % (splat.kind, splat.test) if splat.kind != "panic"
              else "panic in %s" % splat.test for splat in result.splats]
    where = result.running or "boot"
    if any(boot.timed_out for boot in made):
        found.append("time-out in %s" % where)
    elif result.reasons and not stopped:
        panic = any("panic" in reason for reason in result.reasons)
        if not (panic and any(name.startswith("panic in ") for name in found)):
            found.append("%s in %s" % ("panic" if panic else "crash", where))
    if not found:
        found = ["missing %s" % name for name in result.missing] + result.errors
    return list(dict.fromkeys(found)) or ["verdict %s" % result.verdict]


def _conditions(context: Context, prepared: Prepared, variant: str) -> str:
    """All that a result depends on besides the patch: kernel, suites, configuration, lists,
    compiler."""
    digest = hashlib.sha256("\0".join((prepared.tree, variant, *compiler())).encode())
    tests = context.layout.expected.parent
    paths: Tuple[Path, ...] = config.variant(context.layout, variant).files
    for path in (*paths, context.layout.um_config / "kernels.toml", context.layout.expected,
                 tests / "known_bugs"):
        digest.update(b"\0" + (path.read_bytes() if path.is_file() else b""))
    return digest.hexdigest()


def _cpu() -> float:
    """CPU seconds of this process and of its children so far."""
    return sum(usage.ru_utime + usage.ru_stime for usage in (
        resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)))
