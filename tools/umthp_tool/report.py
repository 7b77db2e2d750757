# SPDX-License-Identifier: GPL-2.0
"""The verdict for people: one line when all is well, else a block for each thing that is not."""
from __future__ import annotations

import re
import shlex
import textwrap
from collections import Counter
from typing import List, Sequence

from . import known_judge, ktap, verdict as verdicts
from .boot import Boot
from .console import Console, printable
from .splats import source_paths
from .verdict import Verdict

MAX_FAILURES = 20
# So many of them with all that their first failure says, the others in a few lines.
MAX_TABLES = 5
MAX_LOG_LINES = 90
MAX_MESSAGE_LINES = 4
MAX_NAMES = 10
WIDTH = 100
_FAILED = re.compile(r"# .*: (?:EXPECTATION|ASSERTION) FAILED at ")
_TABLE = re.compile(r"# .*: ledger: ")


def show(result: Verdict, console: Console, command: List[str], context: str = "") -> None:
    """Print the verdict. `command` is the umthp command line without a GLOB; `context` says in a
    few words what was tested."""
    if result.verdict == verdicts.PASS:
        if not console.quiet:
            _known_bugs(result, console)
            console.say("  ".join(filter(None, (console.colour("green", "PASS"),
                                                summary(result), printable(context)))))
        if console.verbose:
            _list_cases(result, console)
        return
    console.show_steps()
    for line in findings(result, console, command):
        console.say(line)
    _known_bugs(result, console)
    word = {verdicts.NOTHING: "NOTHING RAN", verdicts.TIMEOUT: "TIME-OUT",
            verdicts.CRASH: "CRASH"}.get(result.verdict, "FAIL")
    console.say("%s  %s" % (console.colour("red", word), summary(result)))


def summary(result: Verdict) -> str:
    parts = ["%d suites" % len(result.suites()), "%d passed" % result.count(ktap.PASSED)]
    if result.failed:
        parts.append("%d failed" % len(result.failed))
    if result.count(ktap.SKIPPED):
        parts.append("%d skipped" % result.count(ktap.SKIPPED))
    if result.splats:
        parts.append("%d splat%s" % (len(result.splats), "s" * (len(result.splats) > 1)))
    if result.missing:
        parts.append("%d missing" % len(result.missing))
    return ", ".join(parts)


def _known_bugs(result: Verdict, console: Console) -> None:
    """One line for all of them; with -v one for each case that has to do with one."""
    if not result.known and not result.not_asked:
        return
    parts = []
    for state, ids in known_judge.counts(result.known):
        what = "%d bug%s %s" % (len(ids), "s" * (len(ids) > 1), state) if not parts \
            else "%d %s" % (len(ids), state)
        parts.append("%s: %s" % (what, " ".join(ids)))
    if result.not_asked:
        parts.append("%d not asked, see --own-boots: %s" % (len(result.not_asked),
                                                            " ".join(result.not_asked)))
    for line in textwrap.wrap("; ".join(parts), WIDTH, initial_indent="%-8s " % "known",
                              subsequent_indent=" " * 9):
        console.say(line)
    if console.verbose and result.known:
        width = max(len(entry.bug.id) for entry in result.known)
        for entry in result.known:
            for said in entry.said:
                console.say("  %-18s %-*s  %s: %s" % (said.state, width, said.id,
                                                      printable(said.test), printable(said.text)))


def _list_cases(result: Verdict, console: Console) -> None:
    for case in result.cases:
        reason = " (%s)" % case.reason if case.reason else ""
        console.say("  %-7s %s%s" % (case.status, printable(case.full), printable(reason)))


def findings(result: Verdict, console: Console, command: List[str]) -> List[str]:
    """A block for each thing that is wrong."""
    out: List[str] = []
    for reason in result.reasons:
        out.append("%s %s" % (console.colour("red", "CRASH"), printable(reason)))
    if result.reasons and result.running:
        out += ["      in %s" % printable(result.running), _reproduce(command, result.running)]
    if result.tail:
        out.append("      last lines of the log:")
        out += ["      | " + printable(line) for line in result.tail]
    if result.verdict == verdicts.NOTHING and not result.cases and not result.tail:
        out.append("      no test matches; `umthp list` shows the names")
    for number, case in enumerate(result.failed[:MAX_FAILURES]):
        out.append("%s  %s" % (console.colour("red", "FAIL"), printable(case.full)))
        log = [line for line in case.log if line.strip()]
        shown = first_failure(log) if number < MAX_TABLES else first_message(log)
        out += ["      " + printable(source_paths(line).replace("\t", "    ")).rstrip()
                for line in shown]
        if len(log) > len(shown):
            out.append("      (more lines in the log)")
        out.append(_reproduce(command, case.full))
    if len(result.failed) > MAX_FAILURES:
        out.append("      and %d more failed tests" % (len(result.failed) - MAX_FAILURES))
    for splat in result.splats[:MAX_FAILURES]:
        out.append("%s %s" % (console.colour("red", "SPLAT"), printable(source_paths(splat.text))))
        out.append("      in %s   %s:%d" % (printable(splat.test), splat.log, splat.line))
        out += ["        " + printable(frame) for frame in splat.trace]
        if "." in splat.test:
            out.append(_reproduce(command, splat.test))
            if command[1:2] == ["run"]:
                # gdb runs a test whatever its speed.
                words = ["gdb" if word == "run" else word for word in command if word != "--slow"]
                out.append(_reproduce(words, splat.test, "in gdb:   "))
    if len(result.splats) > MAX_FAILURES:
        out.append("      and %d more splats" % (len(result.splats) - MAX_FAILURES))
    for error, count in list(Counter(result.errors).items())[:MAX_FAILURES]:
        out.append("%s %s%s" % (console.colour("red", "ERROR"), printable(error),
                                " (%d times)" % count if count > 1 else ""))
    if result.missing:
        out.append("%s %d expected tests gave no result:" % (
            console.colour("red", "MISSING"), len(result.missing)))
        out += ["      " + printable(name) for name in result.missing[:MAX_NAMES]]
        if len(result.missing) > MAX_NAMES:
            out.append("      and %d more" % (len(result.missing) - MAX_NAMES))
    if result.logs and out:
        out.append("      log: %s" % result.logs[-1 if len(result.logs) == 1 else 0].parent
                   if len(result.logs) > 1 else "      log: %s" % result.logs[0])
    return out


def first_failure(log: Sequence[str]) -> Sequence[str]:
    """What a test says up to its first failed check: the later ones are often its consequences."""
    failures = 0
    for number, line in enumerate(log):
        failed = _FAILED.search(line) is not None
        # The table comes before the check that fails because of it.
        if failures and (failed or _TABLE.search(line)):
            return log[:min(number, MAX_LOG_LINES)]
        failures += failed
    return log[:MAX_LOG_LINES]


def first_message(log: Sequence[str]) -> Sequence[str]:
    """The first failed check of a test without the table before it."""
    start = next((number for number, line in enumerate(log) if _FAILED.search(line)), 0)
    end = next((number for number in range(start + 1, len(log))
                if log[number].lstrip().startswith("# ")), len(log))
    return log[start:min(end, start + MAX_MESSAGE_LINES)]


def _reproduce(command: List[str], name: str, label: str = "reproduce:") -> str:
    glob = name.split("[")[0].replace(".(suite)", "")
    # A GLOB comes after the words of the command, before its options.
    at = next((i for i, word in enumerate(command) if word.startswith("-")), len(command))
    words = [*command[:at], glob, *command[at:]]
    return "      %s %s" % (label, printable(" ".join(shlex.quote(word) for word in words)))


def boot_failure_tail(boot: Boot, count: int = 5) -> List[str]:
    """The last words of a boot that gave no KTAP at all."""
    return [line for line in boot.lines() if line.strip()][-count:]
