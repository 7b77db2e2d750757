# SPDX-License-Identifier: GPL-2.0
"""umthp selftest bench-migrate: upstream's benchmark_thp_migration, as MB/s.

A measurement, not a test: no bound is checked. But the benchmark must run to its end without a
splat, or there is no number.
"""
from __future__ import annotations

import argparse
import re
from dataclasses import asdict, dataclass
from typing import Any, Dict, List, Sequence

from . import expected, report, report_json
from .context import Context
from .errors import EXIT_PASS, HostError
from .selftest_judge import judge
from .selftest_plans import BENCHMARK, PLANS, skips_of
from .verdict import PASS

_SIZE = re.compile(r"^=== .* \(([0-9.]+) MB\) ===$")
_ROW = re.compile(r"^(Sys->Dev|Dev->Sys) Migration +\| ([0-9.]+) ms +\| ([0-9.]+) ms +\|")
_TEST = "hmm_device_private." + BENCHMARK


@dataclass
class Row:
    """One size: MiB per second as THPs and as small pages, in both directions."""

    mib: float
    to_device_thp: float = 0.0
    to_device_small: float = 0.0
    to_system_thp: float = 0.0
    to_system_small: float = 0.0


def parse(lines: Sequence[str]) -> List[Row]:
    """Read the benchmark's tables."""
    rows: List[Row] = []
    for line in lines:
        if match := _SIZE.match(line):
            rows.append(Row(float(match.group(1))))
        elif (match := _ROW.match(line)) and rows:
            rate = [rows[-1].mib * 1000 / float(ms) if float(ms) else 0.0
                    for ms in match.groups()[1:]]
            if match.group(1) == "Sys->Dev":
                rows[-1].to_device_thp, rows[-1].to_device_small = rate
            else:
                rows[-1].to_system_thp, rows[-1].to_system_small = rate
    return rows


def bench_migrate(args: argparse.Namespace, context: Context) -> int:
    """Run the benchmark in a boot of its own and print its last table, the largest size."""
    from .selftest import run_boots     # selftest imports us
    plan = PLANS["hmm-tests"]
    entries = [expected.Entry(_TEST, ())]
    with context.kernel() as kernel:
        if args.dry_run:
            return EXIT_PASS
        boots = plan.boots(entries, skips_of(plan), False)
        guests = run_boots(plan, boots, kernel, args, context)
        result = judge(plan, guests, entries, entries, [])
        context.seconds["run"] = result.seconds
        if result.verdict != PASS:
            report.show(result, context.console, ["umthp", "selftest", args.name])
            return result.exit_code
        rows = parse([line for guest in guests for program in guest.output.programs
                      for line in program.lines])
        if not rows or not all(asdict(row)[name] for row in rows for name in asdict(row)):
            raise HostError("%s printed no complete table" % BENCHMARK,
                            "see what it printed", guests[0].path)
        _show(rows, args, context)
    return EXIT_PASS


def _show(rows: Sequence[Row], args: argparse.Namespace, context: Context) -> None:
    say = context.console.say
    say("%8s  %21s  %21s" % ("", "to the device, MiB/s", "to the system, MiB/s"))
    say("%8s  %10s %10s  %10s %10s" % ("size", "THP", "4 KiB", "THP", "4 KiB"))
    for row in rows:
        say("%4g MiB  %10.0f %10.0f  %10.0f %10.0f"
            % (row.mib, row.to_device_thp, row.to_device_small, row.to_system_thp,
               row.to_system_small))
    if args.json:
        prepared = context.prepared
        document: Dict[str, Any] = report_json.document(
            kernel=prepared.version if prepared else "", tree=prepared.tree if prepared else "",
            variant=args.variant, seconds=context.seconds)
        document["verdict"] = PASS
        document["migration"] = [asdict(row) for row in rows]
        report_json.write(document, args.json)
