# SPDX-License-Identifier: GPL-2.0
"""The last verdict of each kernel and variant, beside its log: what `umthp report` shows.

    <cache>/trees/KEY/logs/verdict-VARIANT.json     of the last run of all suites
    <cache>/trees/KEY/logs/coverage.json            of the last `umthp coverage`

A run of some suites only leaves it alone.
"""
from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Dict, List

from .cache import write_text
from .errors import UsageError

Document = Dict[str, Any]
# What a document must have to be shown, and the type of it.
_VERDICT = {"verdict": str, "kernel": str, "variant": str, "suites": list, "splats": list,
            "seconds": dict, "missing": list, "errors": list, "known_bugs": list}


def verdict_path(logs: Path, variant: str) -> Path:
    return logs / ("verdict-%s.json" % variant)


def coverage_path(logs: Path) -> Path:
    return logs / "coverage.json"


def keep(path: Path, document: Document) -> None:
    # Without an indent, json is ten times as fast.
    write_text(path, json.dumps(document) + "\n")


def find(cache: Path) -> List[Path]:
    """All that is kept in a cache, by kernel and variant."""
    return sorted([*cache.glob("trees/*/logs/verdict-*.json"),
                   *cache.glob("trees/*/logs/coverage.json")])


def load(path: Path) -> Document:
    """A verdict (--json of `umthp run`) or a coverage (--json of `umthp coverage`)."""
    fix = "give files that `umthp run --json` or `umthp coverage --json` wrote"
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError("cannot read %s: %s" % (path, error.strerror), fix) from error
    except (ValueError, RecursionError) as error:
        raise UsageError("%s is not JSON: %s" % (path, error), fix) from error
    reason = _wrong(value)
    if reason:
        raise UsageError("%s is neither a verdict nor a coverage: %s" % (path, reason), fix)
    return dict(value)


def is_coverage(document: Document) -> bool:
    return "functions" in document


def _wrong(value: Any) -> str:
    """Why a document cannot be shown; empty if it can."""
    if not isinstance(value, dict):
        return "no object"
    if is_coverage(value):
        return _wrong_functions(value["functions"])
    for key, kind in _VERDICT.items():
        if not isinstance(value.get(key), kind):
            return "no %r, or it is no %s" % (key, kind.__name__)
    for suite in value["suites"]:
        if not isinstance(suite, dict) or not isinstance(suite.get("tests"), list) \
                or not isinstance(suite.get("name"), str):
            return "a suite without a name or without tests"
        for test in suite["tests"]:
            if not isinstance(test, dict) or not isinstance(test.get("name"), str) \
                    or not isinstance(test.get("status"), str):
                return "a test of %r without a name or a status" % suite["name"]
            reason = _wrong_test(test)
            if reason:
                return "%s.%s: %s" % (suite["name"], test["name"], reason)
    for key, of_one in (("splats", "test"), ("known_bugs", "id")):
        if not all(isinstance(one, dict) and isinstance(one.get(of_one), str)
                   for one in value[key]):
            return "%r has an entry without %r" % (key, of_one)
    if not all(isinstance(said, dict) for bug in value["known_bugs"]
               for said in _list(bug.get("reports"))):
        return "a report of a known bug is no object"
    if not isinstance(value.get("error", {}), dict):
        return "'error' is no object"
    return ""


def _list(value: Any) -> List[Any]:
    return value if isinstance(value, list) else [value]


def _wrong_test(test: Document) -> str:
    if not isinstance(test.get("log", []), list):
        return "its log is no list"
    for table in _list(test.get("ledger", [])):
        if not isinstance(table, dict) or not isinstance(table.get("rows"), list) \
                or "step" not in table \
                or not all(isinstance(row, list) and len(row) >= 4 for row in table["rows"]):
            return "its ledger is not [{\"step\", \"rows\": [[field, before, expected, after]]}]"
    return ""


def _wrong_functions(functions: Any) -> str:
    if not isinstance(functions, dict):
        return "`functions` is no object"
    for name, counts in functions.items():
        pairs = [counts.get(key) for key in ("lines", "branches")] \
            if isinstance(counts, dict) else [None]
        if not all(isinstance(pair, list) and len(pair) == 2
                   and all(isinstance(number, int) for number in pair) for pair in pairs):
            return "%r is not {\"lines\": [hit, total], \"branches\": [hit, total]}" % name
    return ""
