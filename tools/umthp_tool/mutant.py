# SPDX-License-Identifier: GPL-2.0
"""One mutant: a patch that puts a fault into the kernel, as a tree beside the control's.

A patch file starts with what it does, in words for people:

    skip the callback for the tail folios
    Breaks: the driver never hears of the new folios
    Equivalent: nobody can tell, because ...        (only if it is so)
    Kernels: >=7.3                                  (only if others have no such line)

    --- a/mm/huge_memory.c
    ...

The words are optional; a patch comes from anywhere, so that the paths in it are checked: it may
change regular files of the tree and add some, nothing else.
"""
from __future__ import annotations

import hashlib
import re
import tempfile
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from .errors import UsageError
from .git import Git, GitFailed
from .kernels import parse_version
from .series import (Entries, fill_index, guard_holds, index_entries, index_lines,
                     tree_entries)

_DIFF = re.compile(rb"^(?:diff |--- |Index: )", re.M)
_FILE = re.compile(r"^\d+\t\d+\t(.*)$|^-\t-\t(.*)$", re.S)
# What its own header says of a patch.
_FIELDS = ("Breaks", "Equivalent", "Kernels")


class DoesNotApply(Exception):
    """The patch cannot be laid over this tree; the text says why."""


@dataclass(frozen=True)
class Mutant:
    name: str                   # of the file, without .patch
    path: Path
    subject: str
    breaks: str
    equivalent: str             # the argument; empty: it is not said to be equivalent
    kernels: str                # `>=7.3`; empty: for every kernel
    diff: bytes
    files: Tuple[str, ...]      # sorted; empty if git cannot read the patch

    @property
    def digest(self) -> str:
        """Names what it does to the kernel, whatever its words and its name."""
        return hashlib.sha256(self.diff).hexdigest()


def load(directory: Path, only: Optional[str], git: Git, version: str) -> List[Mutant]:
    """The mutants of a directory for a kernel, those of one file next to each other."""
    if not directory.is_dir():
        raise UsageError("%s is not a directory" % directory, "umthp mutants DIR, with *.patch "
                         "files in it")
    found = []
    for path in sorted(directory.glob("*.patch")):
        if path.is_file() and (only is None or fnmatchcase(path.stem, only)):
            mutant = _read(path, git)
            if guard_holds(mutant.kernels, parse_version(version)):
                found.append(mutant)
    if not found:
        raise UsageError("%s holds no %s" % (
            directory, "*.patch" if only is None else "patch whose name matches %s" % only),
            "ls %s" % directory)
    # What includes a changed header is made again, and once more for the mutant after it.
    return sorted(found, key=lambda m: (any(name.endswith(".h") for name in m.files), m.files,
                                        m.name))


def changes(mutant: Mutant, git: Git, control: str) -> Entries:
    """What the patch makes of the control's tree; DoesNotApply if it cannot be applied."""
    _check_paths(mutant)
    before = tree_entries(git, control, list(mutant.files))
    with tempfile.TemporaryDirectory(dir=git.dir, prefix="mutant-") as work:
        index = Path(work, "index")
        fill_index(git, index, before)
        writer = git.bring(blob for _mode, blob in before.values())
        _apply(mutant, writer, index)
        return _changed(before, index_entries(git("ls-files", "-s", "-z", index=index)))


def tree_with(changed: Entries, git: Git, control: str) -> str:
    """The id of the control's tree with these entries."""
    index = git.dir / "mutant.index"
    # It lacks nothing but the last mutant's change, so that most of its trees are known.
    Path(str(index) + ".lock").unlink(missing_ok=True)
    git("read-tree", control, index=index)
    git("update-index", "-z", "--index-info", index=index, data=index_lines(changed))
    return git.writer.text("write-tree", "--missing-ok", index=index)


def _read(path: Path, git: Git) -> Mutant:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError("cannot read %s: %s" % (path, error.strerror),
                         "check its permissions") from error
    match = _DIFF.search(content)
    at = match.start() if match else len(content)
    head = content[:at].decode("utf-8", "replace")
    fields = _fields(head)
    return Mutant(path.stem, path, _subject(head), fields["Breaks"], fields["Equivalent"],
                  fields["Kernels"], content[at:], _files(content[at:], git))


def _subject(head: str) -> str:
    """The first line that says something; of a mail, its subject."""
    mail = re.search(r"^Subject: (?:\[[^]]*\] *)?(.*)$", head, re.M)
    if mail:
        return mail.group(1).strip()
    return next((line.strip() for line in head.splitlines() if line.strip()), "")


def _fields(head: str) -> Dict[str, str]:
    """`Name: words`, going on in lines that are indented."""
    found = dict.fromkeys(_FIELDS, "")
    name = ""
    for line in head.splitlines():
        match = re.match(r"(\w+): *(.*)$", line)
        if match and match.group(1) in found:
            name = match.group(1)
            found[name] = match.group(2).strip()
        elif name and line[:1].isspace() and line.strip():
            found[name] += " " + line.strip()
        else:
            name = ""
    return found


def _files(diff: bytes, git: Git) -> Tuple[str, ...]:
    """The paths that the patch is about, as git reads it."""
    try:
        listing = git("apply", "--numstat", "-z", "-", data=diff)
    except GitFailed:
        return ()
    names = set()
    for record in listing.decode("utf-8", "surrogateescape").split("\0"):
        match = _FILE.match(record)
        # After an empty name come the two of a rename, each a record of its own.
        name = (match.group(1) or match.group(2)) if match else record
        if name:
            names.add(name)
    return tuple(sorted(names))


def _check_paths(mutant: Mutant) -> None:
    if not mutant.files:
        raise DoesNotApply("it is not a patch that git can read")
    for name in mutant.files:
        parts = name.split("/")
        if name.startswith("/") or ".." in parts or ".git" in (p.lower() for p in parts):
            raise DoesNotApply("it leaves the kernel tree: %s" % name)


def _apply(mutant: Mutant, git: Git, index: Path) -> None:
    saved = index.read_bytes() if index.exists() else None
    try:
        git("apply", "--cached", "--whitespace=nowarn", "-", index=index, data=mutant.diff)
        return
    except GitFailed as error:
        words = [line[len("error: "):] for line in error.stderr.splitlines()
                 if line.startswith("error: ")]
    if saved is not None:
        index.write_bytes(saved)
    try:
        # Made by hand, or without context (diff -U0).
        git("apply", "--cached", "--whitespace=nowarn", "--recount", "--unidiff-zero", "-",
            index=index, data=mutant.diff)
    except GitFailed:
        raise DoesNotApply(words[0] if words else "git apply fails") from None


def _changed(before: Dict[str, Tuple[str, str]], after: Dict[str, Tuple[str, str]]) -> Entries:
    """The entries that differ; none but regular files, and no file's mode."""
    changed: Entries = {}
    for path in sorted({*before, *after}):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        for entry in filter(None, (old, new)):
            if entry[0] not in ("100644", "100755"):
                raise DoesNotApply("%s is not a regular file" % path)
        if old and new and old[0] != new[0]:
            raise DoesNotApply("it changes the mode of %s" % path)
        changed[path] = new
    if not changed:
        raise DoesNotApply("it changes nothing")
    return changed
