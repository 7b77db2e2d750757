# SPDX-License-Identifier: GPL-2.0
"""What umthp adds to a tree besides the series: new files and one-line hooks; and the proof.

Rule 1 of the design: the code under test is the kernel's own. verify() compares the source tree
with the prepared one on every preparation: outside arch/um and arch/x86/um there may be only new
files and the hook lines.
"""
from __future__ import annotations

from pathlib import Path
from typing import Dict, List, Tuple

from .console import Console
from .errors import SeriesError, UsageError
from .git import Git
from .kernels import Hook, Support
from .series import Entries, tree_entries

ARCH = ("arch/um/", "arch/x86/um/")
# If the tree's own mm/tests/Kconfig has this, it carries the suites itself.
SUITE_SYMBOL = b"config FAKE_ZONE_DEVICE_KUNIT_TEST"


def new_files(kunit: Path) -> Dict[str, bytes]:
    """The files under kunit/, by their path in the kernel tree; symlinks give their target."""
    found = {}
    for path in sorted(kunit.rglob("*")):
        name = path.relative_to(kunit).as_posix()
        if path.is_dir() or name.endswith(("~", ".orig", ".rej", ".o", ".swp")):
            continue
        try:
            found[name] = path.read_bytes()
        except OSError as error:
            raise UsageError("cannot read %s: %s" % (path, error.strerror),
                             "restore it from git") from error
    if not found:
        raise UsageError("%s holds no files: there are no suites to build" % kunit,
                         "restore it from git")
    return found


def add_files(git: Git, tree: str, files: Dict[str, bytes], console: Console) -> Entries:
    """Index entries for the new files; a tree that has the suites keeps its own."""
    have = tree_entries(git, tree, sorted(files))
    entries: Entries = {}
    kept: List[str] = []
    blobs = git.write_blobs(files.values(), tree)
    for path, blob in zip(files, blobs):
        if path not in have:
            entries[path] = ("100644", blob)
        elif have[path][1] != blob:
            if not kept and SUITE_SYMBOL not in (git.blob(tree, "mm/tests/Kconfig") or b""):
                raise SeriesError("the tree has a %s of its own" % path,
                                  "this kernel needs a newer umthp (git pull)")
            kept.append(path)
    if kept:
        console.note("the tree has its own version of %s: that is what is tested"
                     % ", ".join(kept))
    return entries


def add_hooks(git: Git, tree: str, hooks: Tuple[Hook, ...], entries: Entries) -> None:
    """Insert the hook lines, on top of what the series made of these files."""
    have = tree_entries(git, tree, [hook.file for hook in hooks])
    found: Dict[str, Tuple[str, str]] = {}
    for hook in hooks:
        entry = entries.get(hook.file) or have.get(hook.file)
        if entry is None:
            raise SeriesError("the tree has no %s to hook the suites into" % hook.file,
                              "this kernel needs a newer umthp (git pull)")
        found[hook.file] = entry
    contents = git.objects(blob for _mode, blob in found.values())
    hooked = {path: contents[blob] for path, (_mode, blob) in found.items()}
    for hook in hooks:
        hooked[hook.file] = insert_line(hooked[hook.file], hook)
    for path, blob in zip(hooked, git.write_blobs(hooked.values(), tree)):
        if blob != found[path][1]:
            entries[path] = (found[path][0], blob)


def insert_line(content: bytes, hook: Hook) -> bytes:
    """The file with the hook's line; unchanged if it is there already."""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    if hook.line in lines:
        return content
    if hook.place == "end":
        at = len(lines) - 1 if lines[-1] == "" else len(lines)
    else:
        matches = [number for number, line in enumerate(lines) if line == hook.anchor]
        if not matches:
            raise SeriesError("%s has no line `%s` to put the hook before"
                              % (hook.file, hook.anchor),
                              "this kernel needs a newer umthp (git pull)")
        at = matches[-1]
    lines.insert(at, hook.line)
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def verify(git: Git, source: str, prepared: str, support: Support) -> None:
    """Rule 1, checked: raise SeriesError if the kernel's own code was changed."""
    status: Dict[str, str] = {}
    counts: Dict[str, Tuple[str, str]] = {}
    # `:MODE MODE ID ID KIND`, PATH of each file, then `ADDED<tab>REMOVED<tab>PATH` of each.
    records = iter(git("diff-tree", "-r", "--no-renames", "--raw", "--numstat", "-z", source,
                       prepared).decode("utf-8", "surrogateescape").split("\0"))
    for record in records:
        if record.startswith(":"):
            status[next(records)] = record.split(" ")[4]
        elif record:
            added, removed, path = record.split("\t", 2)
            counts[path] = (added, removed)
    hooked = {hook.file for hook in support.hooks}
    wrong = []
    for path, kind in status.items():
        if path.startswith(ARCH) or kind == "A":
            continue
        allowed = sum(hook.file == path for hook in support.hooks)
        if path in hooked and kind == "M" and counts[path] == (str(allowed), "0"):
            continue
        wrong.append("%s (%s, +%s -%s)" % (path, kind, *counts.get(path, ("?", "?"))))
    if wrong:
        raise SeriesError("the series changes the kernel's own code, which must be tested as it "
                          "is:\n%s" % "\n".join(wrong),
                          "only arch/um, arch/x86/um, new files and the hook lines may differ")
