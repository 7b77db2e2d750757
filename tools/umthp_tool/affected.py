# SPDX-License-Identifier: GPL-2.0
"""Which suites a change concerns: who reaches the changed lines, by the map of suites.

The change is that of the tested tree against the commit that it is an edit of, or against the tree
that the map was taken from. Where the map cannot tell (a header, a file without counts, what all
suites share) every suite is concerned.
"""
from __future__ import annotations

import argparse
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Dict, FrozenSet, Iterator, List, Optional, Sequence, Tuple

from . import boot_plan, code_changes, expected, suite_list, suite_map
from .build import Kernel
from .code_changes import Change
from .config import DEFAULT
from .console import Console, printable
from .context import Context
from .errors import HostError, NothingError, UsageError
from .git import Git, GitFailed
from .shadow import Prepared
from .suite_map import SuiteMap

MAKE_ONE = ("`umthp coverage --per-suite` makes one: a build of its own, then a boot of each "
            "suite; minutes, once")
MAX_REASONS = 3
MAX_LINES = 20
# No kernel is made from these.
_NO_CODE = re.compile(r"(?:Documentation|LICENSES)/|(?:MAINTAINERS|CREDITS|COPYING|README)$"
                      r"|.*\.(?:rst|md)$|arch/(?!um/|x86/)[^/]+/")
# A new file of another kind is in a kernel only if one of these names it.
_SOURCE = re.compile(r".*\.(?:c|h|S|s|lds|tbl|sh|pl|py|awk|rs)$"
                     r"|(?:.*/)?(?:Kconfig|Kbuild|Makefile)[^/]*$")
_REGULAR = ("100644", "100755")
_ABSENT = "000000"


@dataclass
class Choice:
    """What is known of the change."""

    map: Optional[SuiteMap] = None
    against: str = ""               # what the tree is compared with
    changes: List[Change] = field(default_factory=list)
    everywhere: List[str] = field(default_factory=list)     # why every suite is concerned
    modules: Dict[str, str] = field(default_factory=dict)   # the suites of the kernel
    # Suites without a line of the map, or whose file has changed: they count as concerned.
    unknown: FrozenSet[str] = frozenset()
    suites: FrozenSet[str] = frozenset()                    # concerned

    @property
    def all_suites(self) -> bool:
        return self.map is None or bool(self.everywhere) \
            or bool(self.suites) and self.suites == frozenset(self.modules)

    @property
    def only(self) -> Optional[FrozenSet[str]]:
        """The suites of --affected; None for all."""
        return None if self.all_suites else self.suites

    @property
    def unreached(self) -> List[Change]:
        return [change for change in self.changes if not change.suites
                and change.kind != code_changes.DELETED]

    def document(self, only: bool) -> Dict[str, Any]:
        """For --json. only: nothing else has run."""
        return {"only": only and not self.all_suites, "all": self.all_suites,
                "suites": sorted(self.suites), "of": len(self.modules),
                "against": self.against, "why_all": self.everywhere,
                "map": {"kernel": self.map.kernel, "made": self.map.made} if self.map else None,
                "changes": [{"file": change.file, "function": change.function,
                             "kind": change.kind, "lines": change.lines, "was": change.old,
                             "suites": sorted(change.suites)} for change in self.changes]}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--affected", action="store_true",
                        help="only the suites that reach a changed line, by the map of `umthp "
                        "coverage --per-suite`; without it they go first")
    parser.add_argument("--since", metavar="REV",
                        help="what has changed since this commit (default: edits against HEAD; "
                        "of --rev against its parent; without git against the tree of the map)")


def check_arguments(args: argparse.Namespace) -> None:
    """What --affected does not go together with."""
    for name, why in (("range", "each commit of a range runs all suites"),
                      ("bisect", "a bisection needs all suites"),
                      ("write_expected", "the list is of all suites"),
                      ("glob", "it chooses the suites itself")):
        if args.affected and getattr(args, name, None):
            raise UsageError("--affected and %s do not go together: %s" % (
                "a GLOB" if name == "glob" else "--" + name.replace("_", "-"), why),
                "leave one of them out")
    if args.since and args.range:
        raise UsageError("--since and --range do not go together", "leave one of them out")


def choose(kernel: Kernel, context: Context, slow: bool,
           entries: Sequence[expected.Entry], since: Optional[str] = None,
           rev: Optional[str] = None) -> Choice:
    """Never fails: what cannot be found out concerns every suite."""
    prepared = kernel.prepared
    found = find_map(context.cache / "trees", prepared, context.console)
    if found is None:
        return Choice()
    choice = Choice(found, since or ("the parent of %s" % rev if rev else "HEAD")
                    if prepared.before else "the tree of the map (%s)" % found.described)
    try:
        _compare(choice, found, prepared)
    except GitFailed:
        choice.everywhere.append("%s cannot be read" % choice.against)
    ours = _compare_ours(choice, found, context)
    if kernel.variant not in (DEFAULT, "coverage"):
        choice.everywhere += ["%s:%s() is not in the default configuration, which the map is of"
                              % (change.file, change.function)
                              for change in choice.changes if not change.compiled]
    if choice.everywhere or not choice.changes and not ours:
        return choice
    try:
        choice.modules = suite_list.modules(kernel, context, slow)
    except HostError as error:
        choice.everywhere.append(error.cause.splitlines()[0])
        return choice
    for module, path in ours.items():
        if module not in choice.modules.values():
            choice.everywhere.append("%s has changed since the map was made" % path)
    unknown = {suite for suite, module in choice.modules.items()
               if suite not in found.suites or module in ours}
    if found.lacks_slow(slow):
        unknown |= {entry.name.split(".")[0] for entry in entries if "slow" in entry.conditions}
    choice.unknown = frozenset(unknown.intersection(choice.modules))
    reached = frozenset().union(*(change.suites for change in choice.changes))
    choice.suites = boot_plan.whole_files(
        (reached | choice.unknown).intersection(choice.modules), choice.modules)
    return choice


def find_map(trees: Path, prepared: Prepared, console: Console) -> Optional[SuiteMap]:
    """Of this tree, else of another one of the same kernel line."""
    for where in suite_map.candidates(trees, prepared.home):
        try:
            found = suite_map.load(where)
        except ValueError as error:
            console.warning("%s is removed: %s; %s" % (where, error, MAKE_ONE))
            where.unlink(missing_ok=True)
            continue
        if found and suite_map.line(found.kernel) == suite_map.line(prepared.version):
            return found
    return None


def _compare(choice: Choice, found: SuiteMap, prepared: Prepared) -> None:
    """What of the kernel's own files has changed."""
    git, before = prepared.git, prepared.before or found.source_tree
    if not prepared.before:
        git = Git(git.dir, [*git.alternates, *(Path(path) for path in found.objects)],
                  git.foreign)
        if not git.has_tree(before):
            choice.everywhere.append("the tree that the map was made from is gone")
            return
    mapped = []
    for path, modes in _changed(git, before, prepared.source_tree):
        if _NO_CODE.match(path) or modes[0] == _ABSENT and not _SOURCE.match(path):
            continue
        if path in found.files and all(mode in (*_REGULAR, _ABSENT) for mode in modes):
            mapped.append(path)
        else:
            choice.everywhere.append(
                "%s is %s" % (path, "a header" if path.endswith(".h") else "not in the map"))
    if choice.everywhere or not mapped:
        return
    old, new = git.blobs(before, mapped), git.blobs(prepared.source_tree, mapped)
    for path in mapped:
        known = found.file(path)
        # Gone, or there again: empty.
        texts = [blobs.get(path, b"").decode("utf-8", "replace") for blobs in (old, new)]
        made = code_changes.compare(path, *texts, known.text, known.reached)
        choice.changes += made.changes
        choice.everywhere += made.everywhere


def _changed(git: Git, before: str, after: str) -> "Iterator[Tuple[str, Tuple[str, str]]]":
    """Paths, with their modes before and after."""
    out = git("diff-tree", "-r", "-z", "--raw", "--no-renames", before, after)
    words = out.decode("utf-8", "surrogateescape").split("\0")
    for meta, path in zip(words[::2], words[1::2]):
        old, new = meta.lstrip(":").split()[:2]
        yield path, (old, new)


def _compare_ours(choice: Choice, found: SuiteMap, context: Context) -> Dict[str, str]:
    """The modules of suites whose own file has changed since the map was made, with its path."""
    ours, series = suite_map.digests(context.layout)
    if series != found.series:
        choice.everywhere.append("um_config or kunitconfig has changed since the map was made")
    changed = {}
    for path in sorted({*ours, *found.ours}):
        if ours.get(path) == found.ours.get(path):
            continue
        name = Path(path).name
        if path in ours and path in found.ours and name.endswith("_kunit.c"):
            changed[name[:-len(".c")].replace("-", "_")] = "kunit/" + path
        else:
            choice.everywhere.append("kunit/%s has changed since the map was made" % path)
    return changed


def check_anything(choice: Choice) -> None:
    """NothingError, if --affected has nothing to run."""
    if choice.all_suites or choice.suites:
        return
    raise NothingError(
        "no suite reaches what has changed against %s" % choice.against if choice.changes
        else "nothing that a suite could reach has changed against %s" % choice.against,
        "`umthp run` runs all suites; --since REV compares with another commit")


def show(choice: Choice, console: Console) -> None:
    """What --affected says before it runs anything."""
    if choice.map is None:
        console.note("there is no map of what the suites reach, so all of them run; " + MAKE_ONE)
        return
    if console.quiet:
        return
    for key, suites in _by_function(choice.changes).items():
        console.say("%-8s %-56s %s" % ("change", printable(key), suites))
    for change in choice.unreached:
        _show_unreached(change, console)
    if choice.everywhere:
        shown = choice.everywhere[:MAX_REASONS]
        more = len(choice.everywhere) - len(shown)
        console.say("all suites: %s%s" % (printable("; ".join(shown)),
                                          "; and %d more" % more if more else ""))
    elif choice.suites:
        left = len(choice.modules) - len(choice.suites)
        console.say("%d of %d suites are concerned; %d are not run: this is no full pass" % (
            len(choice.suites), len(choice.modules), left) if left else
            "all %d suites are concerned" % len(choice.modules))


def _by_function(changes: Sequence[Change]) -> Dict[str, str]:
    made: Dict[str, FrozenSet[str]] = {}
    new = {"%s:%s" % (change.file, change.function) for change in changes
           if change.kind == code_changes.NEW}
    for change in changes:
        key = "%s:%s" % (change.file, change.function)
        made[key] = made.get(key, frozenset()) | change.suites
    return {key: "new: those that reach its callers" if key in new else
            "%d suite%s" % (len(suites), "s" * (len(suites) != 1)) if suites else "no suite"
            for key, suites in made.items()}


def _show_unreached(change: Change, console: Console) -> None:
    if change.kind == code_changes.NEW:
        why = "is new, the map does not know it"
    elif not change.compiled:
        why = "is not compiled in the kernel of the map"
    else:
        why = "no suite reaches"
    console.say("%s %s:%s: %s:" % (console.colour("yellow", "UNREACHED"), printable(change.file),
                                   change.function, why))
    numbers = change.lines or change.old
    for number in numbers[:MAX_LINES]:
        console.say("    %5d  %s" % (number, printable(change.text.get(number, ""))))
    if len(numbers) > MAX_LINES:
        console.say("    and %d more lines" % (len(numbers) - MAX_LINES))


def plan(choice: Choice, only: bool, jobs: int, room_for_two: Callable[[], bool],
         slow: bool) -> boot_plan.Plan:
    """The boots of a run. only: of --affected; else all suites, those that are concerned first.

    A second boot costs half a second of CPU: it must have a CPU of its own, or slow tests must
    make it worth waiting for.
    """
    if choice.all_suites:
        return boot_plan.ALL
    if only:
        return boot_plan.Plan(tuple(boot_plan.cover(choice.suites, choice.modules)),
                              only=choice.suites)
    parts = boot_plan.first_and_rest(choice.suites, choice.modules) \
        if choice.suites and (jobs > 1 and room_for_two() or slow) else []
    return boot_plan.Plan(tuple(parts), early=choice.suites) if parts \
        else boot_plan.Plan(boot_plan.ALL.parts, early=choice.suites)
