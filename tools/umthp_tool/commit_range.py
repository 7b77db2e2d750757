# SPDX-License-Identifier: GPL-2.0
"""umthp run --range A..B: each commit built and run, the oldest first, one row a commit.

A commit that cannot be tested (it does not build, the series does not apply to it) gets a row that
says so and is passed over. The first one whose tests fail ends the walk, unless --keep-going. What
is no fault of any commit (usage, host, compiler) ends it at once.
"""
from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional

from . import ktap, report, report_json, source as sources, verdict as verdicts
from .build import Kernel
from .config import DEFAULT
from .console import Console, printable
from .context import Context
from .errors import (EXIT_BUILD, EXIT_CONFIG, EXIT_CRASH, EXIT_FAIL, EXIT_NOTHING, EXIT_PASS,
                     EXIT_SERIES, BuildError, ConfigError, IncompleteError, SeriesError,
                     ToolchainError, UmthpError, UsageError)
from .git import GitFailed, user_git
from .verdict import Verdict

NOT_RUN = "not-run"
# The exit code of the whole is the first of these that a commit has.
_WORST = (EXIT_FAIL, EXIT_CRASH, EXIT_NOTHING, EXIT_BUILD, EXIT_CONFIG, EXIT_SERIES)
# verdict -> in the row of a commit, and counted in the last line
_WORDS = {
    verdicts.PASS: ("pass", "passed"), verdicts.FAIL: ("FAIL", "failed"),
    verdicts.CRASH: ("CRASH", "crashed"), verdicts.TIMEOUT: ("TIME-OUT", "timed out"),
    verdicts.NOTHING: ("nothing ran", "ran nothing"), BuildError.verdict: ("no build", "not built"),
    ConfigError.verdict: ("no config", "not configured"),
    SeriesError.verdict: ("no series", "without the series"), NOT_RUN: ("", "not run")}
_ROW = "%-12s  %-11s %7s %7s %8s  %s"
MAX_ERROR_LINES = 12

Judge = Callable[[Kernel, Context, argparse.Namespace], Verdict]


class NoCommit(UmthpError):
    """The range is empty."""

    exit_code = EXIT_NOTHING
    verdict = verdicts.NOTHING


@dataclass
class Row:
    """One commit, and what came of it."""

    commit: str
    subject: str
    verdict: str = NOT_RUN
    exit_code: Optional[int] = None
    seconds: float = 0.0
    result: Optional[Verdict] = None
    error: Optional[UmthpError] = None
    document: Dict[str, Any] = field(default_factory=dict)

    @property
    def failed(self) -> bool:
        """Did a kernel run, and not pass?"""
        return self.exit_code in (EXIT_FAIL, EXIT_CRASH, EXIT_NOTHING)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--range", metavar="A..B", help="each commit of it, the oldest first, up "
                        "to the first one that fails")
    parser.add_argument("--keep-going", "-k", action="store_true",
                        help="with --range: up to the last one")


def run(args: argparse.Namespace, context: Context, judge: Judge) -> int:
    """judge: boots a kernel, and judges what it did."""
    _check_arguments(args)
    source = context.source()
    if not isinstance(source, sources.Directory):
        raise UsageError("--range needs a git tree of the kernel",
                         "cd to one, or name it with --kernel PATH")
    rows = commits(source.path, args.range)
    if args.dry_run:
        for row in rows:
            context.console.say(printable("umthp run --rev %s    # %s" % (row.commit[:12],
                                                                          row.subject)))
        return EXIT_PASS
    try:
        _walk(args, context.console, judge, rows)
    except UmthpError as error:
        _write_json(args, rows, error.exit_code, error)
        raise
    code = exit_code(rows)
    _write_json(args, rows, code)
    _last_line(context.console, rows, code)
    return code


def _check_arguments(args: argparse.Namespace) -> None:
    for name in ("rev", "staged", "junit", "bisect", "write_expected"):
        if getattr(args, name, None):
            raise UsageError("--%s and --range do not go together" % name.replace("_", "-"),
                             "leave one of them out" + (
                                 "; --json has all commits" if name == "junit" else ""))
    if ".." not in args.range:
        raise UsageError("--range %s is not a range of commits" % args.range,
                         "A..B are the commits of B that A does not have: --range %s..HEAD"
                         % args.range)


def commits(top: Path, words: str) -> List[Row]:
    """The commits of a range, parents before children."""
    try:
        out = user_git(top, "rev-list", "--reverse", "--topo-order", "--format=%H%x00%s",
                       "--end-of-options", words, "--")
    except GitFailed as error:
        raise UsageError("--range %s: git finds no such commits in %s" % (words, top),
                         "git -C %s log --oneline shows some" % top) from error
    # Between them rev-list puts lines of its own, `commit ID`.
    rows = [Row(*line.split("\0", 1)) for line in out.decode("utf-8", "replace").split("\n")
            if "\0" in line]
    if not rows:
        raise NoCommit("there is no commit in %s" % words,
                       "A..B are the commits of B that A does not have; git log --oneline A..B "
                       "shows them")
    return rows


def _walk(args: argparse.Namespace, console: Console, judge: Judge, rows: List[Row]) -> None:
    shown = False
    for row in rows:
        _test(args, console, judge, row)
        if not console.quiet or row.exit_code != EXIT_PASS:
            if not shown:
                console.say(_ROW % ("commit", "verdict", "passed", "failed", "seconds", "subject"))
            shown = True
            _print(args, console, row)
        if row.failed and not args.keep_going:
            return


def _test(args: argparse.Namespace, console: Console, judge: Judge, row: Row) -> None:
    """Fill the row. Raises what is no fault of the commit."""
    mine = argparse.Namespace(**{**vars(args), "rev": row.commit, "json": None})
    context = Context(mine, console)
    start = time.monotonic()
    try:
        with context.kernel() as kernel:
            began = time.monotonic()
            row.result = judge(kernel, context, mine)
            context.seconds["run"] = row.result.seconds = time.monotonic() - began
            row.verdict, row.exit_code = row.result.verdict, row.result.exit_code
    except (BuildError, ConfigError, SeriesError) as error:
        if isinstance(error, (ToolchainError, IncompleteError)):
            raise
        row.error = error
        row.verdict, row.exit_code = error.verdict, error.exit_code
    row.seconds = time.monotonic() - start
    prepared = context.prepared
    row.document = report_json.document(
        kernel=prepared.version if prepared else "", tree=prepared.tree if prepared else "",
        variant=args.variant, seconds=context.seconds, result=row.result, error=row.error,
        exit_code=row.exit_code)
    # The rows are what is shown of it.
    console.forget_steps()


def _print(args: argparse.Namespace, console: Console, row: Row) -> None:
    word = "%-11s" % _WORDS[row.verdict][0]
    colour = "green" if row.exit_code == EXIT_PASS else "red" if row.failed else "yellow"
    counts = ("-", "-") if row.result is None else (
        row.result.count(ktap.PASSED), len(row.result.failed))
    console.say(_ROW % (row.commit[:12], console.colour(colour, word), *counts,
                        "%.1f" % row.seconds, printable(row.subject)))
    lines: List[str] = []
    if row.failed and row.result is not None:
        lines = report.findings(row.result, console, [*_command(args), "--rev", row.commit[:12]])
    elif row.error is not None:
        lines = [printable(line) for line in row.error.cause.splitlines()[:MAX_ERROR_LINES]]
        lines += ["log: %s" % printable(str(row.error.log))] if row.error.log else []
    for line in lines:
        console.say("    " + line)


def _command(args: argparse.Namespace) -> List[str]:
    words = ["umthp", "run"]
    for name, plain in (("kernel", None), ("variant", DEFAULT), ("seccomp", None)):
        value = getattr(args, name)
        if value != plain:
            words += ["--" + name, value]
    return words + (["--slow"] if args.slow else [])


def exit_code(rows: List[Row]) -> int:
    """The worst of all commits."""
    found = {row.exit_code for row in rows}
    return next((code for code in _WORST if code in found), EXIT_PASS)


def _last_line(console: Console, rows: List[Row], code: int) -> None:
    if console.quiet and code == EXIT_PASS:
        return
    counts = Counter(row.verdict for row in rows)
    parts = ["%d %s" % (counts[verdict], words[1]) for verdict, words in _WORDS.items()
             if counts[verdict]]
    word = console.colour("green", "PASS") if code == EXIT_PASS else console.colour("red", "FAIL")
    console.say("%s  %d commit%s: %s%s" % (
        word, len(rows), "s" * (len(rows) > 1), ", ".join(parts),
        " (--keep-going goes on)" if counts[NOT_RUN] else ""))


def _write_json(args: argparse.Namespace, rows: List[Row], code: int,
                error: Optional[UmthpError] = None) -> None:
    """--json: what a run says of a commit, for each of them."""
    if not args.json:
        return
    made: Dict[str, Any] = {
        "verdict": error.verdict if error else next(
            (row.verdict for row in rows if row.exit_code == code), verdicts.PASS),
        "exit_code": code, "range": args.range, "variant": args.variant,
        "commits": [{"commit": row.commit, "subject": row.subject, "verdict": row.verdict,
                     **row.document} for row in rows]}
    if error is not None:
        made["error"] = {"cause": error.cause, "fix": error.fix,
                         "log": str(error.log) if error.log else None}
    report_json.write(made, args.json)
