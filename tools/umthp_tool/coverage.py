# SPDX-License-Identifier: GPL-2.0
"""umthp coverage: what of the code under test the suites execute, by gcov.

The variant `coverage` is the default configuration with gcov in the files that um_config/
kernels.toml lists. Its counts come from one boot, or from one boot for each suite.
"""
from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Dict, Iterator, List, Sequence, Set, Tuple

from . import (coverage_report, expected, gcov, kept, ktap, report, report_json, suite_map,
               unreached, verdict)
from .boot import NEED_BYTES, Boot, Launcher
from .build import Kernel
from .cache import make_dir
from .context import ROOT, Context
from .coverage_table import Function, document, table
from .errors import EXIT_FAIL, EXIT_PASS, HostError, ToolchainError, UsageError
from .gcov import Counts
from .process import run
from .run_boots import filters, list_tests, show_commands

DESCRIPTION = (
    "Run the suites in a kernel with gcov, and say what of the split path, mm/migrate_device.c and "
    "mm/memremap.c they execute. Lines that no test can reach are listed in "
    "tests/coverage_unreached with the reason; a line that is not reached and not listed, or "
    "listed and reached, makes the exit code 1. Branches are gcov's raw arcs: two for each "
    "condition of an `if`, and those inside every macro and inline function. The last column "
    "leaves out lines that are one assertion, which are not taken as long as the kernel is right, "
    "and statements without a condition. -v also lists the lines that are not left in all ways.")
VARIANT = "coverage"
TABLE = ROOT / "tests" / "coverage_unreached"

HUGE = "mm/huge_memory.c"
# The functions that a split goes through.
SPLIT_PATH = tuple("%s:%s" % (file, name) for file, names in (
    (HUGE, ("__split_folio_to_order", "__split_unmapped_folio", "folio_check_splittable",
            "__folio_freeze_and_split_unmapped", "__folio_split", "folio_split_unmapped",
            "unmap_folio", "remap_page", "__split_huge_pmd_locked", "set_pmd_migration_entry",
            "remove_migration_pmd", "do_huge_pmd_device_private", "copy_huge_pmd",
            "copy_huge_non_present_pmd", "change_huge_pmd", "change_non_present_huge_pmd",
            "zap_huge_pmd", "zap_huge_pmd_folio", "move_huge_pmd")),
    ("include/linux/memremap.h", ("zone_device_private_split_cb",)),
    ("mm/memremap.c", ("zone_device_page_init", "free_zone_device_folio")),
    ("mm/migrate_device.c", ("migrate_vma_split_folio", "migrate_vma_split_unmapped_folio")),
) for name in names)
# Files that are covered as a whole.
FILES = ("mm/migrate_device.c", "mm/memremap.c")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("glob", nargs="?", metavar="GLOB",
                        help="SUITE or SUITE.TEST, with * and ?; the table of what cannot be "
                        "reached is then not checked")
    parser.add_argument("--slow", action="store_true", help="slow tests too")
    parser.add_argument("--timeout", type=int, metavar="S", help="of one boot (default 300)")
    parser.add_argument("--json", metavar="F",
                        help='{"functions": {"mm/x.c:function": {"lines": [hit, total], '
                        '"branches": [hit, total]}}} for every function of an instrumented file; '
                        "- for stdout")
    parser.add_argument("--html", metavar="DIR", help="the sources, coloured, by gcovr")
    parser.add_argument("--per-suite", action="store_true",
                        help="one boot for each suite instead: which functions each one reaches; "
                        '--json is then {"suites": {"suite": ["mm/x.c:function", ...]}}. Without '
                        "a GLOB, `umthp run` knows from then on which suites a change concerns")
    parser.set_defaults(variant=VARIANT, kernel_args=[])


def main(args: argparse.Namespace, context: Context) -> int:
    if args.glob:
        expected.check_glob(args.glob)
    if args.variant != VARIANT:
        raise UsageError("umthp coverage needs the variant %s" % VARIANT, "leave --variant out")
    if args.per_suite and args.html:
        raise UsageError("--html is for all suites together", "leave out --per-suite or --html")
    if args.html and not args.dry_run and not shutil.which("gcovr"):
        raise ToolchainError("gcovr is not installed, and makes the HTML report",
                             "Debian: apt install gcovr")
    if args.json == "-":
        # Nothing but the document may be in it.
        context.console.out = context.console.err
    rows = unreached.load(TABLE)
    with context.kernel() as kernel:
        if args.dry_run:
            show_commands(kernel, context, args, ())
            return EXIT_PASS
        if args.per_suite:
            return _suites(kernel, context, args)
        return _whole(kernel, context, args, rows)


@dataclass
class Suites:
    """What each suite executes: suite -> file -> lines."""

    lines: Dict[str, Dict[str, Set[int]]] = field(default_factory=dict)
    counted: Dict[str, Set[int]] = field(default_factory=dict)     # lines that have a count
    failed: Dict[str, str] = field(default_factory=dict)           # suite: why it is not known

    def functions(self, src: Path) -> Dict[str, List[str]]:
        """Which functions each suite reaches, as file:function."""
        every = table({file: {number: gcov.Line() for number in numbers}
                       for file, numbers in self.counted.items()}, src)
        return {suite: sorted(key for key, function in every.items()
                              if not hits.get(function.file, set()).isdisjoint(function.lines))
                for suite, hits in self.lines.items()}


def of_suites(kernel: Kernel, context: Context, suites: Sequence[str], slow: bool,
              jobs: int) -> Suites:
    """One boot for each of the suites.

    What the boot itself goes through is in every one of them: it is reached by every suite.
    """
    launcher = context.launcher(need=NEED_BYTES * jobs)
    launcher.place()
    made = Suites()
    src = kernel.prepared.src
    objects = _objects(context)

    def one(suite: str) -> Tuple[str, str, Counts]:
        with _boot(kernel, context, launcher, suite, slow, "coverage-%s" % suite) as (boot, data):
            why = _failed(boot)
            return suite, why, {} if why else gcov.read(src, kernel.build, data, objects, boot.log,
                                                        branches=False)
    pool = ThreadPoolExecutor(jobs)
    try:
        for number, (suite, why, counts) in enumerate(pool.map(one, suites), 1):
            context.console.status("coverage", "%d/%d %s" % (number, len(suites), suite))
            if why:
                made.failed[suite] = why
                continue
            made.lines[suite] = suite_map.hit(counts)
            for file, lines in counts.items():
                made.counted.setdefault(file, set()).update(lines)
    except BaseException:
        launcher.stop()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    return made


def _failed(boot: Boot) -> str:
    """Why the counts of a boot are not all that its suite would execute; empty if they are."""
    lines = boot.lines()
    found = ktap.scan(lines)
    reasons = verdict.how_it_ended(boot, lines, found)
    reasons += ["%s failed" % ktap.full_name(line.path) for line in found.results if not line.ok]
    return reasons[0] if reasons else ""


def _objects(context: Context) -> Set[str]:
    return gcov.instrumented(context.support.make.get(VARIANT, ()))


@contextmanager
def _boot(kernel: Kernel, context: Context, launcher: Launcher, glob: "str | None", slow: bool,
          name: str) -> "Iterator[tuple[Boot, Path]]":
    """One boot, and the directory that its counts went to; it goes when the block ends."""
    log = context.log_dir(kernel.prepared) / (name + ".log")
    with tempfile.TemporaryDirectory(dir=make_dir(kernel.prepared.home / "coverage"),
                                     prefix="boot-") as data:
        boot = launcher.boot(kernel.binary, launcher.arguments(filters(glob, slow)), log,
                             more_env=gcov.environment(Path(data), kernel.build))
        yield boot, Path(data)


def _functions(kernel: Kernel, context: Context, data: Path, log: Path) -> Dict[str, Function]:
    src = kernel.prepared.src
    return table(gcov.read(src, kernel.build, data, _objects(context), log), src)


def _suites(kernel: Kernel, context: Context, args: argparse.Namespace) -> int:
    log = context.log_dir(kernel.prepared) / "coverage-list.log"
    names = list_tests(kernel, context.launcher(), log, filters(args.glob, args.slow))
    suites = list(dict.fromkeys(name.split(".")[0] for name in names))
    made = of_suites(kernel, context, suites, args.slow, context.builder().jobs)
    found = made.functions(kernel.prepared.src)
    coverage_report.suites(found, SPLIT_PATH, FILES, context.console)
    for suite, why in made.failed.items():
        context.console.warning("%s is left out, it does not pass: %s" % (suite, why))
    if args.json:
        report_json.write({"suites": found}, args.json)
    if not args.glob and made.lines:
        _keep_map(made, kernel, context, args.slow)
    return EXIT_FAIL if made.failed else EXIT_PASS


def _keep_map(made: Suites, kernel: Kernel, context: Context, slow: bool) -> None:
    """For umthp run, which looks up there who reaches a changed line."""
    prepared = kernel.prepared
    ours, series = suite_map.digests(context.layout)
    objects = _objects(context)
    texts = {file: (prepared.src / file).read_text(encoding="utf-8", errors="replace")
             for file in sorted(made.counted) if file.endswith(".c") and Path(file).stem in objects}
    git = prepared.git
    suite_map.save(suite_map.path(prepared.home), suite_map.SuiteMap(
        prepared.version, prepared.described, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        slow, prepared.source_tree,
        [str(directory) for directory in (git.dir / "objects", *git.alternates, *git.foreign)],
        ours, series, sorted(made.lines), suite_map.body(made.lines, made.counted, texts)))
    context.console.note("kept for `umthp run` and its --affected")


def _whole(kernel: Kernel, context: Context, args: argparse.Namespace,
           rows: List[unreached.Row]) -> int:
    console = context.console
    start = time.monotonic()
    launcher = context.launcher()
    asked = expected.Run(kernel.prepared.version, kernel.variant, args.glob, args.slow)
    console.status("coverage", "booting")
    with _boot(kernel, context, launcher, args.glob, args.slow, "coverage") as (boot, data):
        result = verdict.judge(kernel.prepared.src, [boot], asked,
                               expected.load(context.layout.expected))
        context.seconds["run"] = time.monotonic() - start
        words = ["umthp", "run"] + ["--variant", VARIANT] + (["--slow"] if args.slow else [])
        if result.exit_code:
            report.show(result, console, words)
        console.status("coverage", "gcov")
        found = _functions(kernel, context, data, boot.log)
        if args.html:
            _html(kernel, data, Path(args.html), context)
    targets = coverage_report.targets(found, SPLIT_PATH, FILES)
    missing = [key for key in SPLIT_PATH if key not in found]
    check = unreached.check(rows, found, targets, asked)
    coverage_report.show(found, SPLIT_PATH, FILES, check, console, whole=not args.glob)
    for key in missing:
        console.warning("%s is not in this kernel, or was never compiled" % key)
    made = document(found)
    if not args.glob:
        kept.keep(kept.coverage_path(context.log_dir(kernel.prepared)), {
            **made, "kernel": kernel.prepared.version})
    if args.json:
        report_json.write(made, args.json)
    if result.exit_code:
        return result.exit_code
    return EXIT_PASS if args.glob or check.right and not missing else EXIT_FAIL


def _html(kernel: Kernel, data: Path, directory: Path, context: Context) -> None:
    """gcovr's report of the instrumented files, into a directory of the user's."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HostError("cannot write to %s: %s" % (directory, error.strerror),
                        "give another directory") from error
    src = kernel.prepared.src
    argv: List[object] = ["gcovr", "--root", src, "--filter", "%s/mm/[^/]*$" % src,
                          "--filter", "%s/include/linux/memremap.h" % src,
                          "--object-directory", data,
                          "--html-details", directory.absolute() / "index.html",
                          "--html-self-contained", "--html-title",
                          "%s, %s" % (kernel.prepared.described, kernel.prepared.version), data]
    context.console.status("coverage", "gcovr")
    context.console.detail("$ " + " ".join(map(str, argv)))
    done = run(argv, cwd=kernel.build)
    if done.returncode:
        raise HostError("gcovr failed: %s" % done.stderr.decode("utf-8", "replace").strip()[-2000:],
                        "apt install --reinstall gcovr")
    context.console.note("wrote %s" % (directory / "index.html"))
