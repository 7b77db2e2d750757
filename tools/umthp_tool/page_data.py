# SPDX-License-Identifier: GPL-2.0
"""From verdicts to what the page of `umthp report` shows.

All runs share one list of cases: that of tests/expected_tests, and whatever else has a result. A
run has one letter for each of them.
"""
from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Dict, Iterable, List, Optional, Sequence, Tuple

from . import expected, scenarios
from .kept import Document
from .known_bugs import is_case
from .known_judge import STILL

PASS, KNOWN, FAIL, MISSING, SKIP, NOT_RUN = "p", "k", "f", "m", "s", "n"
# The letter that a cell of several cases has is the first one here that one of them has.
WORST = FAIL + MISSING + KNOWN + PASS + SKIP + NOT_RUN
WORDS = {PASS: "pass", KNOWN: "known bug", FAIL: "fail", MISSING: "no result", SKIP: "skipped",
         NOT_RUN: "not run"}
MAX_LOG_LINES = 60
_ALL_RIGHT = re.compile(r", 0 wrong$")


@dataclass
class Run:
    """One verdict, case by case."""

    document: Document
    letters: str = ""
    # What a case has besides its letter, by its number.
    milliseconds: Dict[int, float] = field(default_factory=dict)
    notes: Dict[int, List[str]] = field(default_factory=dict)
    tables: Dict[int, List[int]] = field(default_factory=dict)
    logs: Dict[int, List[str]] = field(default_factory=dict)

    @property
    def kernel(self) -> str:
        return str(self.document["kernel"]) or "unknown kernel"

    @property
    def variant(self) -> str:
        return str(self.document["variant"])

    @property
    def title(self) -> str:
        return "%s, %s" % (self.kernel, self.variant)

    def count(self, letter: str) -> int:
        return self.letters.count(letter)

    @property
    def seconds(self) -> float:
        return float(sum(value for value in self.document["seconds"].values()
                         if isinstance(value, (int, float))))


class Pool:
    """Values that occur many times are kept once, and named by number."""

    def __init__(self) -> None:
        self.values: List[Any] = []
        self._numbers: Dict[Any, int] = {}

    def add(self, value: Any) -> int:
        number = self._numbers.setdefault(value, len(self.values))
        if number == len(self.values):
            self.values.append(value)
        return number


@dataclass
class Data:
    names: List[str] = field(default_factory=list)
    runs: List[Run] = field(default_factory=list)
    strings: Pool = field(default_factory=Pool)
    rows: Pool = field(default_factory=Pool)        # five strings each
    tables: Pool = field(default_factory=Pool)      # a string, then rows

    def suites(self) -> Dict[str, List[scenarios.Table]]:
        return scenarios.tables(self.names)

    def compact(self) -> Dict[str, Any]:
        """What the script of the page reads."""
        return {"names": self.names, "strings": self.strings.values, "rows": self.rows.values,
                "tables": self.tables.values, "runs": [_compact(run) for run in self.runs]}


def _compact(run: Run) -> Dict[str, Any]:
    return {"title": run.title, "verdict": run.document["verdict"], "letters": run.letters,
            "ms": run.milliseconds, "notes": run.notes, "ledger": run.tables, "logs": run.logs,
            "command": _command(run.document)}


def _command(document: Document) -> List[str]:
    """The words that run something on that kernel again; a GLOB comes after the second."""
    words = ["umthp", "run"]
    source = str(document.get("source", ""))
    if source.startswith("linux-source-"):
        words += ["--kernel", source.split()[0]]
    if document["variant"] != "default":
        words += ["--variant", str(document["variant"])]
    return words


def latest(documents: Iterable[Document]) -> List[Document]:
    """Of each kernel and variant the last one, newest first; those without a time come last."""
    made: Dict[Tuple[str, str], Document] = {}
    for document in documents:
        key = (document["kernel"], document["variant"])
        if key not in made or _ended(document) >= _ended(made[key]):
            made[key] = document
    return sorted(made.values(), key=_ended, reverse=True)


def _ended(document: Document) -> str:
    return str(document.get("ended") or "")


def collect(documents: Sequence[Document], entries: Sequence[expected.Entry]) -> Data:
    """documents: the one that is shown first comes first."""
    data = Data()
    conditions = {entry.name: entry.conditions for entry in entries}
    names = dict.fromkeys(conditions)
    for document in documents:
        for suite in document["suites"]:
            names.update(dict.fromkeys("%s.%s" % (suite["name"], test["name"])
                                       for test in suite["tests"]))
    # Suites one after the other, tests in the order of their names as in the list.
    data.names = sorted(names, key=lambda name: (name.partition(".")[0], name))
    for document in documents:
        data.runs.append(_run(document, data, conditions))
    return data


def _run(document: Document, data: Data, conditions: Dict[str, Tuple[str, ...]]) -> Run:
    run = Run(document)
    results = {"%s.%s" % (suite["name"], test["name"]): test
               for suite in document["suites"] for test in suite["tests"]}
    missing = set(map(str, document["missing"]))
    splats: Dict[str, List[str]] = {}
    for splat in document["splats"]:
        splats.setdefault(str(splat.get("test")), []).append(str(splat.get("text")))
    known = _known(document, results)
    letters = []
    for number, name in enumerate(data.names):
        test = results.get(name)
        notes = ["splat: " + text for text in splats.get(name, [])]
        notes += [text for _state, text in known.get(name, [])]
        if test is None:
            letters.append(MISSING if name in missing else NOT_RUN)
            notes.append(_why_not(document, conditions.get(name, ()))
                         if name not in missing else "expected, but gave no result")
        else:
            letters.append(_letter(test, name in splats, known.get(name, [])))
            _detail(run, data, number, test, notes)
        if notes:
            run.notes[number] = notes
    run.letters = "".join(letters)
    return run


def _letter(test: Dict[str, Any], splat: bool, known: Sequence[Tuple[str, str]]) -> str:
    if splat or test["status"] not in ("passed", "skipped"):
        return FAIL
    if any(state == STILL for state, _text in known):
        return KNOWN
    return PASS if test["status"] == "passed" else SKIP


def _why_not(document: Document, conditions: Tuple[str, ...]) -> str:
    if document.get("error"):
        return "nothing ran: %s" % document["error"].get("cause")
    if "slow" in conditions and not document.get("slow"):
        return "slow: runs with --slow"
    if document.get("glob"):
        return "this run was of %s only" % document["glob"]
    return "runs only where %s" % ", ".join(conditions) if conditions else "did not run"


def _detail(run: Run, data: Data, number: int, test: Dict[str, Any], notes: List[str]) -> None:
    if isinstance(test.get("seconds"), (int, float)):
        run.milliseconds[number] = round(test["seconds"] * 1000, 1)
    if test.get("reason"):
        notes.append(str(test["reason"]))
    if test.get("log"):
        run.logs[number] = [str(line) for line in test["log"][:MAX_LOG_LINES]]
        if len(test["log"]) > MAX_LOG_LINES:
            run.logs[number].append("(more lines in the log)")
    if test.get("ledger"):
        run.tables[number] = [_table(data, table) for table in test["ledger"]]


def _table(data: Data, table: Dict[str, Any]) -> int:
    rows = []
    for row in table["rows"]:
        words = [*map(str, row), ""][:5]
        rows.append(data.rows.add(tuple(map(data.strings.add, words))))
    step = _ALL_RIGHT.sub("", str(table["step"]))
    return data.tables.add((data.strings.add(step), *rows))


def _known(document: Document,
           results: Dict[str, Dict[str, Any]]) -> Dict[str, List[Tuple[str, str]]]:
    """State and words of the known bugs that each case has to do with."""
    by_test: Dict[str, List[str]] = {}
    for name in results:
        by_test.setdefault(name.split("[")[0], []).append(name)
    made: Dict[str, List[Tuple[str, str]]] = {}
    for bug in document["known_bugs"]:
        for said in bug.get("reports", []):
            test, state = str(said.get("test")), str(said.get("state"))
            text = "known bug %s: %s: %s" % (bug.get("id"), state, said.get("text"))
            # A boot of its own tells of the case, whatever its parameters.
            names = [test] if test in results else [
                name for base, of_test in by_test.items() if is_case(test, base)
                for name in of_test]
            for name in names:
                made.setdefault(name, []).append((state, text))
    return made


def worst(letters: Iterable[str]) -> str:
    return min(letters, key=WORST.index)


def ranges(numbers: Sequence[int]) -> str:
    """3,4,5,9 as 3-5 9: what the page keeps of the cases of a cell."""
    words: List[str] = []
    start: Optional[int] = None
    for at, number in enumerate(numbers):
        start = number if start is None else start
        if at + 1 == len(numbers) or numbers[at + 1] != number + 1:
            words.append(str(start) if start == number else "%d-%d" % (start, number))
            start = None
    return " ".join(words)
