# SPDX-License-Identifier: GPL-2.0
"""umthp list: the tests that a glob selects, or the suites, or a table of this project."""
from __future__ import annotations

import argparse

from . import config, expected, known_bugs, trace
from .context import Context
from .errors import EXIT_PASS
from .run_boots import filters, list_tests


def main(args: argparse.Namespace, context: Context) -> int:
    for line in _lines(args, context):
        context.console.say(line)
    return EXIT_PASS


def _lines(args: argparse.Namespace, context: Context) -> "list[str]":
    if args.what == "variants":
        return config.variants(context.layout)
    if args.what == "kernels":
        return ["%s  (>= %s, < %s)" % (entry.package, entry.min, entry.below)
                for entry in context.support.kernels]
    if args.what == "known-bugs":
        return known_bugs.table(known_bugs.load(context.known_bugs))
    if args.what == "trace":
        return trace.table(trace.load(context.trace),
                           expected.required(context.layout.expected))
    if args.glob:
        expected.check_glob(args.glob)
    with context.kernel() as kernel:
        log = context.log_dir(kernel.prepared) / ("list-%s.log" % kernel.variant)
        names = list_tests(kernel, context.launcher(), log, filters(args.glob, args.slow))
    if args.what == "suites":
        names = list(dict.fromkeys(name.split(".")[0] for name in names))
    return names
