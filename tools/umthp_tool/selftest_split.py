# SPDX-License-Identifier: GPL-2.0
"""umthp selftest bench-split: what a split costs per order, and migration by the fake device.

The KUnit suite device_private_thp_bench measures and prints; it is very slow by its attribute, so
no test run has it. A measurement, not a test: no bound is checked, but a splat or a failure means
that there are no numbers.
"""
from __future__ import annotations

import argparse
import re
from typing import Dict, List, Sequence, Tuple

from . import expected, report, report_json, verdict
from .context import Context
from .errors import EXIT_PASS, HostError

SUITE = "device_private_thp_bench"
# 256 MiB of system memory, as much again for the device, struct pages, and the kernel.
MEM = "2G"
NEED = 1024 << 20
TIMEOUT = 300
_LINE = re.compile(r"\bbench: (\w+) (\d+) (ns|MiB/s)$")
_SPLIT = re.compile(r"^split_unmapped_order(\d)_to_(\d)$")


def parse(lines: Sequence[str]) -> Dict[str, Tuple[int, str]]:
    """name -> (value, unit), in the order in which they were measured."""
    found: Dict[str, Tuple[int, str]] = {}
    for line in lines:
        if match := _LINE.search(line.rstrip()):
            found[match.group(1)] = (int(match.group(2)), match.group(3))
    return found


def bench_split(args: argparse.Namespace, context: Context) -> int:
    """Boot that one suite and print what it has measured."""
    with context.kernel() as kernel:
        if args.dry_run:
            return EXIT_PASS
        launcher = context.launcher(TIMEOUT, NEED)
        log = context.log_dir(kernel.prepared) / ("selftest-bench-split-%s.log" % kernel.variant)
        boot = launcher.boot(kernel.binary,
                             launcher.arguments(["kunit.filter_glob=" + SUITE], mem=MEM), log)
        asked = expected.Run(kernel.prepared.version, kernel.variant, SUITE, True)
        result = verdict.judge(kernel.prepared.src, [boot], asked, None)
        context.seconds["run"] = result.seconds
        if result.verdict != verdict.PASS:
            report.show(result, context.console, ["umthp", "selftest", args.name])
            return result.exit_code
        values = parse(boot.lines())
        if not values:
            raise HostError("%s printed no numbers" % SUITE, "see its log", log)
        for line in table(values):
            context.console.say(line)
        if args.json:
            prepared = kernel.prepared
            document = report_json.document(
                kernel=prepared.version, tree=prepared.tree, variant=args.variant,
                seconds=context.seconds, result=result, exit_code=EXIT_PASS)
            document["bench"] = {name: {"value": value, "unit": unit}
                                 for name, (value, unit) in values.items()}
            report_json.write(document, args.json)
    return EXIT_PASS


def table(values: Dict[str, Tuple[int, str]]) -> List[str]:
    """One row for each order, one column for each new order; then the migrations."""
    splits: Dict[Tuple[int, int], int] = {}
    others: List[str] = []
    for name, (value, unit) in values.items():
        match = _SPLIT.match(name)
        if match:
            splits[int(match.group(1)), int(match.group(2))] = value
        else:
            others.append("%-24s %8d %s" % (name.replace("_", " "), value, unit))
    to = sorted({new for _old, new in splits})
    out = ["folio_split_unmapped(), ns   "
           + "".join("%12s" % ("to order %d" % new) for new in to)]
    for old in sorted({old for old, _new in splits}):
        cells = ["%12s" % splits.get((old, new), "-") for new in to]
        out.append("  order %d                    %s" % (old, "".join(cells)))
    return out + others
