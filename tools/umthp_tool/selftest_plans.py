# SPDX-License-Identifier: GPL-2.0
"""The selftests that `umthp selftest` knows: programs, boots, and what must come of them."""
from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Callable, Dict, List, Optional, Sequence, Tuple

from . import expected
from .errors import UsageError
from .userland import COHERENT_ARGS, COHERENT_MEM, SOURCES, Userland

_SKIP = re.compile(r"^(skip|not-run)\s+(\S+)\s*(?:\"([^\"]*)\"\s*)?: (\S.*)$")


@dataclass(frozen=True)
class BootPlan:
    """One boot: the command of the guest and the kernel's arguments."""

    label: str
    command: Sequence[str]
    mem: str
    extra: Sequence[str] = ()


@dataclass(frozen=True)
class Allowed:
    """A line of a skip table."""

    kind: str           # skip: the test may skip itself; not-run: we leave it out
    glob: str
    printed: str        # the reason that the test prints when it skips itself
    why: str


@dataclass(frozen=True)
class Plan:
    """A selftest."""

    name: str
    build: Callable[[Userland], Path]
    boots: Callable[[Sequence[expected.Entry], Sequence[Allowed], bool], List[BootPlan]]
    split_name: Callable[[str], Tuple[str, str]]
    expected: str                   # file in tests/
    skips: Optional[str] = None     # file in tools/userland
    need: int = 512 << 20           # bytes of RAM that the guest really touches


@dataclass
class Selection:
    """What a GLOB leaves of a plan."""

    entries: List[expected.Entry] = field(default_factory=list)
    whole: bool = True      # no GLOB: run everything that the program has


def select(plan: Plan, entries: Sequence[expected.Entry], run: expected.Run) -> Selection:
    """Tests by SUITE, TEST or SUITE.TEST, with * and ?; upstream's long names work too."""
    # KUnit's rule for a GLOB, which Entry.applies() knows, is not ours.
    applying = [entry for entry in entries if entry.applies(replace(run, glob=None))]
    if not run.glob:
        return Selection(applying)
    glob = run.glob
    chosen = [entry for entry in applying if _matches(entry.name, glob)]
    if not chosen:
        raise UsageError("no test of %s matches %s" % (plan.name, glob),
                         "umthp selftest %s --list shows the names" % plan.name)
    return Selection(chosen, whole=False)


def _matches(name: str, glob: str) -> bool:
    suite, _, test = name.partition(".")
    long_name = "%s.%s" % (suite.split("_")[0], name)
    return any(fnmatchcase(text, glob) for text in (name, suite, test, long_name))


def load_skips(path: Path) -> List[Allowed]:
    """The lines `skip GLOB "what it prints" : why` and `not-run GLOB : why`."""
    table = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = _SKIP.match(line)
        if match is None or (match.group(1) == "skip") != (match.group(3) is not None):
            raise UsageError("%s line %d is not valid: %s" % (path, number, line.strip()),
                             "see the top of that file for the form of a line")
        kind, glob, printed, why = match.groups()
        table.append(Allowed(kind, glob, printed or "", why))
    return table


def left_out(name: str, skips: Sequence[Allowed]) -> Optional[Allowed]:
    """The line that keeps us from running a test."""
    return next((skip for skip in skips if skip.kind == "not-run"
                 and fnmatchcase(name, skip.glob)), None)


# hmm-tests: DEVICE_PRIVATE and DEVICE_COHERENT in boots of their own.
_HMM_MEM = "2G"
_HMM_VARIANTS = {"device_private": (_HMM_MEM, ()),
                 "device_coherent": (COHERENT_MEM, COHERENT_ARGS)}
BENCHMARK = "benchmark_thp_migration"


def _hmm_split(name: str) -> Tuple[str, str]:
    """hmm.hmm_device_private.migrate: the fixture's name is in the variant's already."""
    _fixture, _, rest = name.partition(".")
    suite, _, test = rest.partition(".")
    return suite, test


def hmm_option(name: str) -> str:
    """A test's name as hmm-tests -r takes it."""
    return "%s.%s" % (name.split("_")[0], name)


def _hmm_boots(entries: Sequence[expected.Entry], skips: Sequence[Allowed],
               whole: bool) -> List[BootPlan]:
    boots = []
    for variant, (mem, extra) in _HMM_VARIANTS.items():
        mine = [entry.name for entry in entries
                if entry.name.partition(".")[0].endswith(variant)]
        names = [name for name in mine if left_out(name, skips) is None]
        if not names:
            continue
        command = ["/bin/hmm-tests"]
        if whole:
            # The first option that matches decides.
            for name in mine:
                if left_out(name, skips) is not None:
                    command += ["-T", name.partition(".")[2]]
            for prefix in ("hmm", "hmm2"):
                command += ["-v", "%s_%s" % (prefix, variant)]
        else:
            for name in names:
                command += ["-r", hmm_option(name)]
        boots.append(BootPlan(variant, command, mem, extra))
    return boots


def _thp_boots(entries: Sequence[expected.Entry], skips: Sequence[Allowed],
               whole: bool) -> List[BootPlan]:
    command = ["/bin/thp-check"]
    if not whole:
        command += [entry.name.partition(".")[2] for entry in entries]
    return [BootPlan("thp", command, "1G", ("brd.rd_size=131072",))]


def _thp_split(name: str) -> Tuple[str, str]:
    suite, _, test = name.partition(".")
    return suite, test


PLANS: Dict[str, Plan] = {plan.name: plan for plan in (
    Plan("hmm-tests", Userland.hmm_tests, _hmm_boots, _hmm_split, "expected_hmm_tests",
         skips="hmm_tests_skips", need=1024 << 20),
    Plan("thp", Userland.thp_check, _thp_boots, _thp_split, "expected_thp_check"),
)}


def skips_of(plan: Plan) -> List[Allowed]:
    return load_skips(SOURCES / plan.skips) if plan.skips else []
