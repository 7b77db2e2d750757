# SPDX-License-Identifier: GPL-2.0
"""The page of `umthp report --html`: one file, no network, nothing from a log that can act.

Everything that comes from a log, a tree or a file is escaped by jinja2 or is JSON that the script
shows as text. A Content-Security-Policy lets the one script run that is meant to, by its hash.
"""
from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

from . import __version__, coverage, ledger, page_data, page_plots, scenarios
from .kept import Document
from .page_data import Data, Run

FOLDER = Path(__file__).resolve().parent / "page"
MAX_FINDINGS = 30
_PREFIXES = ("device_private_thp", "thp", "fake_zone_device")
SLOWEST = 20
_SIGNS = {page_data.KNOWN: "▲", page_data.FAIL: "✕", page_data.MISSING: "?", page_data.SKIP: "–"}


def render(data: Data, covered: Optional[Document], plots: bool) -> str:
    """The whole page; the first run of `data` is the one that is shown."""
    import jinja2
    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(str(FOLDER)), autoescape=True,
                                     undefined=jinja2.StrictUndefined)
    safe = jinja2.utils.markupsafe.Markup
    shown = data.runs[0]
    script = (FOLDER / "page.js").read_text(encoding="utf-8")
    suites = _arranged(data.suites())
    findings = _findings(data, shown)
    groups = coverage_groups(covered) if covered else []
    drawn = {name: safe(text) for name, text in
             (page_plots.draw(shown, data.names, groups) if plots else {}).items()}

    def breakable(text: str) -> Any:
        return safe("_<wbr>").join(jinja2.utils.markupsafe.escape(part)
                                   for part in str(text).split("_"))
    return environment.get_template("page.html").render(
        data=data, shown=shown, suites=suites, groups=_groups(suites), words=page_data.WORDS,
        letters=lambda cases: "".join(shown.letters[case] for case in cases),
        worst=page_data.worst,
        ranges=page_data.ranges, glyph=glyph, spaced=lambda text: str(text).replace("_", " "),
        breakable=breakable, verdict_class=lambda word: "p" if word == "pass" else "f",
        kernels=_unique(run.kernel for run in data.runs),
        variants=_unique(run.variant for run in data.runs),
        run_of=lambda kernel, variant: next(
            (number for number, run in enumerate(data.runs)
             if (run.kernel, run.variant) == (kernel, variant)), None),
        findings=findings[:MAX_FINDINGS], more_findings=max(0, len(findings) - MAX_FINDINGS),
        bugs=_bugs(data, shown), coverage=groups, slowest=_slowest(data, shown), plots={
            "suites": "", "cases": "", "coverage": "", **drawn},
        plots_missing="" if plots else page_plots.MISSING,
        seconds={name: float(shown.document["seconds"].get(name) or 0)
                 for name in ("sync", "build", "run")},
        any_tables=any(run.tables for run in data.runs), show_argument=ledger.SHOW,
        version=__version__, style=safe((FOLDER / "page.css").read_text(encoding="utf-8")),
        script=safe(script), script_hash=_hash(script), json=safe(embedded(data.compact())))


def glyph(letter: str, letters: str = "") -> str:
    """The sign in a cell; if it passes and has several cases, how many of them pass."""
    if letter == page_data.PASS:
        return str(letters.count(letter)) if len(letters) > 1 else ""
    return _SIGNS.get(letter, "")


def embedded(value: Any) -> str:
    """JSON that can neither end its <script> nor open a comment in it."""
    text = json.dumps(value, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, "\\u%04x" % ord(character))
    return text


def _hash(script: str) -> str:
    # Browsers hash what is between the tags, with line ends as LF.
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _arranged(suites: Dict[str, List[scenarios.Table]]) -> Dict[str, List[scenarios.Table]]:
    """The suites on splits, order by order, come first: they are what the project is about."""
    forms = (scenarios.PAIR, scenarios.ORDER, scenarios.PHASE, scenarios.PLAIN)

    def rank(suite: str) -> Tuple[int, bool, str]:
        first = min(forms.index(table.form) for table in suites[suite])
        return (first, all(table.as_order for table in suites[suite]
                           if table.form == forms[first]) and first == 0, suite)
    return {suite: suites[suite] for suite in sorted(suites, key=rank)}


def _groups(suites: Dict[str, List[scenarios.Table]]) -> Dict[str, List[Tuple[int, str]]]:
    """The suites by the start of their name: number on the page, and the rest of the name."""
    made: Dict[str, List[Tuple[int, str]]] = {}
    for number, suite in enumerate(suites):
        prefix = next((prefix for prefix in _PREFIXES if (suite + "_").startswith(prefix + "_")),
                      "")
        made.setdefault(prefix or "others", []).append(
            (number, suite[len(prefix) + 1:] or suite if prefix else suite))
    return {prefix: made[prefix] for prefix in (*_PREFIXES, "others") if prefix in made}


def _unique(values: Any) -> List[str]:
    return list(dict.fromkeys(values))


def _findings(data: Data, run: Run) -> List[Tuple[str, str, str]]:
    """What is wrong, the worst first: kind, text, the cases it can be seen at."""
    numbers = {name: number for number, name in enumerate(data.names)}
    document = run.document
    found: List[Tuple[str, str, str]] = []
    error = document.get("error")
    if error:
        found.append((str(document["verdict"]), "%s (%s)" % (error.get("cause"), error.get("fix")),
                      ""))
    found += [("error", str(text), "") for text in document["errors"]]
    found += [("splat", "%s: %s" % (splat.get("test"), splat.get("text")),
               str(numbers.get(str(splat.get("test")), ""))) for splat in document["splats"]]
    for letter, kind in ((page_data.FAIL, "fail"), (page_data.MISSING, "no result")):
        tests: Dict[str, List[int]] = {}
        for number, is_letter in enumerate(run.letters):
            if is_letter == letter:
                tests.setdefault(data.names[number].split("[")[0], []).append(number)
        found += [(kind, data.names[cases[0]] if len(cases) == 1 else
                   "%s: %d cases" % (test, len(cases)), page_data.ranges(cases))
                  for test, cases in tests.items()]
    return found


def _bugs(data: Data, run: Run) -> List[Dict[str, Any]]:
    by_test: Dict[str, List[int]] = {}
    for number, name in enumerate(data.names):
        by_test.setdefault(name.split("[")[0], []).append(number)
    made = []
    for bug in run.document["known_bugs"]:
        tests = {str(said.get("test")).split("[")[0] for said in bug.get("reports", [])}
        made.append({"id": str(bug.get("id")), "state": str(bug.get("state")),
                     "claim": str(bug.get("claim")),
                     "cases": [(test, page_data.ranges(by_test.get(test, [])))
                               for test in sorted(tests)]})
    return made


def _slowest(data: Data, run: Run) -> List[Tuple[str, int, float]]:
    order = sorted(run.milliseconds.items(), key=lambda item: -item[1])[:SLOWEST]
    return [(data.names[number], number, took) for number, took in order]


def coverage_groups(covered: Document) -> List[Dict[str, Any]]:
    """The split path, then file by file; those that umthp coverage is about are open."""
    functions = covered["functions"]
    groups = [("the split path", [key for key in coverage.SPLIT_PATH if key in functions])]
    files = sorted({key.partition(":")[0] for key in functions},
                   key=lambda name: (name not in coverage.FILES, name))
    groups += [(name, [key for key in sorted(functions) if key.partition(":")[0] == name])
               for name in files]
    made = []
    for title, keys in groups:
        counts = [functions[key]["lines"] for key in keys]
        hit, total = sum(pair[0] for pair in counts), sum(pair[1] for pair in counts)
        if total:
            made.append({"title": title, "open": title == "the split path", "hit": hit,
                         "total": total, "percent": 100 * hit // total, "rows": [
                             {"name": key.replace(title + ":", ""), **functions[key]}
                             for key in keys]})
    return made
