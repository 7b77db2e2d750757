# SPDX-License-Identifier: GPL-2.0
"""--junit: flat, one <testsuite> a suite, one <testcase classname name time> a case.

kunit_junit nests suites and has neither classname nor time; GitLab keys on classname + name, and
other readers show two levels at most.
"""
from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import Dict, List

from . import ktap
from .errors import UmthpError
from .known_bugs import is_case
from .output import write_report
from .verdict import Verdict

# XML 1.0 has no way to write these, not even escaped.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def _clean(text: str) -> str:
    return _FORBIDDEN.sub(lambda m: "\\x%02x" % ord(m.group()), text)


def tree(result: Verdict) -> ET.Element:
    root = ET.Element("testsuites", {"name": "umthp", "time": "%.3f" % result.seconds})
    known = _known(result)
    for name, cases in result.suites().items():
        suite = _suite(root, name, len(cases),
                       sum(case.status == ktap.FAILED for case in cases),
                       sum(case.status == ktap.CRASHED for case in cases),
                       sum(case.status == ktap.SKIPPED for case in cases),
                       sum(case.seconds or 0.0 for case in cases))
        for case in cases:
            element = ET.SubElement(suite, "testcase", {
                "classname": _clean(case.suite), "name": _clean(case.name),
                "time": "%.3f" % (case.seconds or 0.0)})
            log = _clean("\n".join(case.log))
            if case.status == ktap.SKIPPED:
                ET.SubElement(element, "skipped", {"message": _clean(case.reason)})
            elif case.status == ktap.FAILED:
                ET.SubElement(element, "failure", {"message": _first(case.log)}).text = log
            elif case.status == ktap.CRASHED:
                ET.SubElement(element, "error", {"message": "no result: crashed or lost"}
                              ).text = log
            if case.full in known:
                # In a form that every reader shows; a known bug is no failure.
                ET.SubElement(element, "system-out").text = _clean("\n".join(known[case.full]))
    _add_findings(root, result)
    return root


def _known(result: Verdict) -> Dict[str, List[str]]:
    """What each case says of known bugs."""
    lines: Dict[str, List[str]] = {}
    for entry in result.known:
        for said in entry.said:
            for case in result.cases:
                # A boot of its own tells of the case, whatever its parameters.
                if case.full == said.test or entry.bug.own_boot and is_case(said.test, case.full):
                    lines.setdefault(case.full, []).append("known bug %s: %s: %s" % (
                        said.id, said.state, said.text))
    return lines


def _suite(root: ET.Element, name: str, tests: int, failures: int, errors: int, skipped: int,
           seconds: float) -> ET.Element:
    return ET.SubElement(root, "testsuite", {
        "name": _clean(name), "tests": str(tests), "failures": str(failures),
        "errors": str(errors), "skipped": str(skipped), "time": "%.3f" % seconds})


def _first(log: List[str]) -> str:
    return _clean(next((line.strip() for line in log if line.strip()), "failed"))


def _add_findings(root: ET.Element, result: Verdict) -> None:
    """Splats, missing tests, crashes: a reader that knows only JUnit must see them fail."""
    found = [("splat in " + s.test, s.text) for s in result.splats] \
        + [("missing " + name, "expected, but gave no result") for name in result.missing] \
        + [("boot", reason) for reason in result.reasons] \
        + [("results", error) for error in result.errors]
    if not found and not result.cases:
        found = [("run", "no test ran")]
    if not found:
        return
    suite = _suite(root, "umthp", len(found), 0, len(found), 0, 0.0)
    for name, text in found:
        element = ET.SubElement(suite, "testcase", {"classname": "umthp", "name": _clean(name),
                                                    "time": "0.000"})
        ET.SubElement(element, "error", {"message": _clean(text)})


def error_tree(error: UmthpError) -> ET.Element:
    """A run that ended before any test: one case that says why."""
    root = ET.Element("testsuites", {"name": "umthp", "time": "0.000"})
    suite = _suite(root, "umthp", 1, 0, 1, 0, 0.0)
    element = ET.SubElement(suite, "testcase", {"classname": "umthp", "name": error.verdict,
                                                "time": "0.000"})
    ET.SubElement(element, "error", {"message": _clean(error.cause)}).text = _clean(error.fix)
    return root


def write(root: ET.Element, where: str) -> None:
    """To a file, or to stdout for `-`."""
    ET.indent(root)
    text = '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, "unicode") + "\n"
    write_report(text, where)
