# SPDX-License-Identifier: GPL-2.0
"""umthp report: the last verdicts of all kernels and variants, as a table or as a page."""
from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path
from typing import List, Optional, Tuple

from . import expected, kept, page_data, page_libraries
from .cache import cache_root
from .console import printable
from .context import Context
from .errors import EXIT_PASS, HostError, NothingError, ToolchainError, UsageError
from .output import write_report

DESCRIPTION = (
    "Show the last verdict of each kernel and variant: those that runs of all suites left in the "
    "cache, and FILEs. With --html as one page: the order x new-order matrix of each scenario, "
    "before and after of each case, coverage, timing.")
PAGE = "index.html"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="*", metavar="FILE",
                        help="of `umthp run --json` or `umthp coverage --json`, of this or of "
                        "another machine; the first verdict is the one that is shown first")
    parser.add_argument("--html", metavar="DIR", help="write the page %s there" % PAGE)
    parser.add_argument("--only-files", action="store_true", help="leave out what the cache has")


def main(args: argparse.Namespace, context: Context) -> int:
    if args.html:
        _find_libraries()
    documents, covered = _load(args)
    if not documents:
        raise NothingError("no verdict is kept in %s, and no FILE has one" % cache_root(),
                           "umthp run, or name files that `umthp run --json` wrote")
    data = page_data.collect(documents, expected.load(context.layout.expected) or [])
    if not args.html or not context.console.quiet:
        _table(data, context)
    if args.html:
        _write_page(args, context, data, covered)
    return EXIT_PASS


def _load(args: argparse.Namespace) -> "Tuple[List[kept.Document], Optional[kept.Document]]":
    """The verdicts, the one to show first; and a coverage, if there is one."""
    named = [kept.load(Path(name)) for name in args.files]
    found = [] if args.only_files else [kept.load(path) for path in kept.find(cache_root())]
    verdicts = [document for document in named if not kept.is_coverage(document)]
    first = [(document["kernel"], document["variant"]) for document in verdicts[:1]]
    for document in found:
        # What was named on the command line is meant, whatever came after it.
        if not kept.is_coverage(document) and (document["kernel"], document["variant"]) not in [
                (one["kernel"], one["variant"]) for one in verdicts]:
            verdicts.append(document)
    latest = page_data.latest(verdicts)
    latest.sort(key=lambda document: (document["kernel"], document["variant"]) not in first)
    coverages = [document for document in named + found if kept.is_coverage(document)]
    return latest, coverages[0] if coverages else None


def _find_libraries() -> None:
    """Without the libraries, hand over to the Python that has them, or say what to install."""
    missing = page_libraries.missing()
    if not missing:
        return
    there = page_libraries.missing_in_debian()
    if "jinja2" not in there and len(there) < len(missing):
        sys.stdout.flush()
        python = page_libraries.DEBIAN_PYTHON
        os.execv(python, [python, *sys.argv])
    if "jinja2" in missing:
        raise ToolchainError("the page needs jinja2, which %s does not have" % sys.executable,
                             "Debian: apt install " + page_libraries.packages(missing))


def _table(data: page_data.Data, context: Context) -> None:
    console = context.console
    width = max(len(printable(one.title)) for one in data.runs)
    for one in data.runs:
        verdict = printable(str(one.document["verdict"]))
        bad = one.count(page_data.FAIL) + one.count(page_data.MISSING)
        words = ["%d passed" % (one.count(page_data.PASS) + one.count(page_data.KNOWN)),
                 "%d known bug cases" % one.count(page_data.KNOWN), "%d failed" % bad,
                 "%d not run" % one.count(page_data.NOT_RUN)]
        console.say("%-*s  %s  %s  %s" % (
            width, printable(one.title),
            console.colour("green" if verdict == "pass" else "red", "%-6s" % verdict),
            ", ".join(words), printable(str(one.document.get("ended") or ""))))


def _write_page(args: argparse.Namespace, context: Context, data: page_data.Data,
                covered: Optional[kept.Document]) -> None:
    from . import page, page_plots
    plots = "matplotlib" not in page_libraries.missing()
    if not plots:
        context.console.warning(page_plots.MISSING)
    directory = Path(args.html)
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise UsageError("%s is no directory" % directory, "--html takes a directory") from error
    except OSError as error:
        raise HostError("cannot write to %s: %s" % (directory, error.strerror),
                        "give another directory") from error
    context.console.status("report", "drawing")
    write_report(page.render(data, covered, plots), str(directory / PAGE))
    context.console.clear_status()
    context.console.say("wrote %s" % (directory / PAGE))
