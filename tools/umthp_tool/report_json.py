# SPDX-License-Identifier: GPL-2.0
"""--json: the verdict for programs. Keys are only ever added."""
from __future__ import annotations

import json
from typing import Any, Dict, Optional

from . import ktap
from .errors import UmthpError
from .known_judge import Known
from .output import write_report
from .verdict import Verdict


def document(*, kernel: str, tree: str, variant: str, seconds: Dict[str, float],
             result: Optional[Verdict] = None, error: Optional[UmthpError] = None,
             exit_code: int = 0) -> Dict[str, Any]:
    """Of a finished run, or of one that an error ended before."""
    made: Dict[str, Any] = {
        "verdict": result.verdict if result else error.verdict if error else "built",
        "exit_code": exit_code, "kernel": kernel, "tree": tree, "variant": variant,
        "seconds": {name: round(seconds.get(name, 0.0), 3) for name in ("sync", "build", "run")},
        "passed": 0, "failed": 0, "skipped": 0, "suites": [], "splats": [],
        "missing": [], "unexpected": [], "errors": [], "logs": [], "known_bugs": []}
    if error is not None:
        made["error"] = {"cause": error.cause, "fix": error.fix,
                         "log": str(error.log) if error.log else None}
    if result is None:
        return made
    made.update(
        passed=result.count(ktap.PASSED), failed=len(result.failed),
        skipped=result.count(ktap.SKIPPED),
        suites=[{"name": name, "passed": sum(c.status == ktap.PASSED for c in cases),
                 "failed": sum(c.status in (ktap.FAILED, ktap.CRASHED) for c in cases),
                 "skipped": sum(c.status == ktap.SKIPPED for c in cases),
                 "tests": [_case(case) for case in cases]}
                for name, cases in result.suites().items()],
        splats=[{"test": s.test, "kind": s.kind, "text": s.text, "log": str(s.log),
                 "line": s.line, "trace": s.trace} for s in result.splats],
        missing=result.missing, unexpected=result.unexpected,
        errors=result.reasons + result.errors, running=result.running,
        logs=[str(log) for log in result.logs],
        known_bugs=[_known(entry) for entry in result.known])
    return made


def _known(entry: Known) -> Dict[str, Any]:
    first = entry.first
    return {"id": first.id, "state": first.state, "test": first.test, "text": first.text,
            "claim": entry.bug.claim,
            "reports": [{"test": said.test, "state": said.state, "text": said.text}
                        for said in entry.said]}


def _case(case: ktap.Case) -> Dict[str, Any]:
    made: Dict[str, Any] = {"name": case.name, "status": case.status}
    if case.seconds is not None:
        made["seconds"] = round(case.seconds, 4)
    if case.reason:
        made["reason"] = case.reason
    if case.status not in (ktap.PASSED, ktap.SKIPPED):
        made["log"] = case.log
    if case.tables:
        made["ledger"] = [table.as_json() for table in case.tables]
    return made


def write(value: Any, where: str) -> None:
    """To a file, or to stdout for `-`."""
    text = json.dumps(value, indent=1) + "\n"
    write_report(text, where)
