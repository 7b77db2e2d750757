# SPDX-License-Identifier: GPL-2.0
"""The arch/um series on top of a tree, in a private index that holds only the touched files.

The result is a list of index entries to be laid over the source tree. It depends on nothing but
the series and the blobs that the series touches, so it is remembered: after an edit of mm/ there
is nothing to apply.
"""
from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from .cache import read_json, write_json
from .console import Console
from .errors import SeriesError, UsageError
from .git import Git, GitFailed
from .kernels import Support, parse_version
from .process import run

# path -> (mode, blob); None: the file is removed
Entries = Dict[str, Optional[Tuple[str, str]]]

NOT_UPSTREAM = "not-upstream"
_GUARD = re.compile(r"(>=|<|<=|>|==)\s*([0-9][0-9.]*)$")
_BASE = re.compile(rb"^index ([0-9a-f]{40,64})\.\.", re.M)
_TOUCHED = re.compile(rb"^(?:---|\+\+\+) (?:a|b)/(.+?)\t?$", re.M)


@dataclass(frozen=True)
class Patch:
    path: Path
    subject: str
    files: Tuple[str, ...]
    bases: Tuple[str, ...]      # the blobs that it was made from
    upstream: bool = True       # umthp export takes it


class Series:
    """um_config/series: file names of um_config/patches in order, with an optional guard each,
    and a mark for those that `umthp export` leaves out.

        0003-um-add-vmemmap.patch            # >=7.3
        0004-um-select-an-old-name.patch     # <7.3 not-upstream
    """

    def __init__(self, um_config: Path, version: str) -> None:
        self.um_config = um_config
        self.patches: List[Patch] = []
        series = _series_file(um_config)
        number = parse_version(version)
        for count, line in enumerate(series.read_text(encoding="utf-8").splitlines(), 1):
            name, _, comment = line.partition("#")
            name = name.strip()
            words = comment.split()
            upstream = NOT_UPSTREAM not in words
            guard = " ".join(word for word in words if word != NOT_UPSTREAM)
            if not name or not guard_holds(guard, number):
                continue
            path = um_config / "patches" / name
            try:
                content = path.read_bytes()
            except OSError as error:
                raise UsageError("%s line %d: %s: %s" % (series, count, name, error.strerror),
                                 "restore the file, or take it out of the series") from error
            self.patches.append(Patch(path, _subject(content), _touched(content),
                                      _bases(content), upstream))

    def digest(self) -> str:
        """Names what is applied; changes with any patch."""
        digest = hashlib.sha256()
        for patch in self.patches:
            digest.update(patch.path.name.encode() + b"\0" + patch.path.read_bytes() + b"\0")
        return digest.hexdigest()

    def files(self) -> List[str]:
        return sorted({name for patch in self.patches for name in patch.files})


def present(support: Support, git: Git, tree: str) -> bool:
    """Does the tree have the series already (a prepared tree, or the day it is merged)?"""
    content = git.blob(tree, support.present_file)
    return content is not None and support.present_symbol.encode() in content


def apply_series(series: Series, git: Git, tree: str, console: Console,
                 base: Optional[str] = None) -> Entries:
    """The entries that the series changes in this tree; SeriesError tells where it conflicts.

    base: the commit that the tree is an edit of; says whether a conflict is the user's own.
    """
    files = series.files()
    before = tree_entries(git, tree, files)
    key = hashlib.sha256(json.dumps([series.digest(), sorted(before.items())]).encode()).hexdigest()
    memo = git.dir / "series.json"
    known = read_json(memo)
    if known.get("key") == key:
        entries: Entries = {path: (entry[0], entry[1]) if entry else None
                            for path, entry in known["entries"].items()}
        if _blobs_exist(git, entries):
            return entries
    with tempfile.TemporaryDirectory(dir=git.dir, prefix="series-") as work:
        index = Path(work, "index")
        fill_index(git, index, before)
        writer = git.bring([*(blob for _mode, blob in before.values()), *(
            blob for patch in series.patches for blob in patch.bases)])
        edited = _edited(git, base, files, before)
        for patch in series.patches:
            _apply(writer, index, patch, edited, console)
        after = index_entries(git("ls-files", "-s", "-z", index=index))
    entries = {path: after.get(path) for path in files if after.get(path) != before.get(path)}
    write_json(memo, {"key": key, "entries": entries})
    return entries


def tree_entries(git: Git, tree: str, paths: List[str]) -> Dict[str, Tuple[str, str]]:
    """The files of a tree among `paths`, as path -> (mode, blob)."""
    found: Dict[str, Tuple[str, str]] = {}
    if not paths:
        return found
    out = git("--literal-pathspecs", "ls-tree", "-z", tree, "--", *paths)
    for record in out.split(b"\0"):
        if record:
            meta, name = record.split(b"\t", 1)
            mode, kind, blob = meta.decode().split()
            if kind == "blob":
                found[name.decode("utf-8", "surrogateescape")] = (mode, blob)
    return found


def index_lines(entries: Entries) -> bytes:
    """Entries in the form that update-index -z --index-info takes."""
    lines = []
    for path, entry in entries.items():
        mode, blob = entry or ("0", "0" * 40)
        lines.append(("%s %s 0\t%s" % (mode, blob, path)).encode("utf-8", "surrogateescape"))
    return b"".join(line + b"\0" for line in lines)


def _series_file(um_config: Path) -> Path:
    for candidate in (um_config / "series", um_config / "patches" / "series"):
        if candidate.is_file():
            return candidate
    raise UsageError("%s has no series file" % um_config, "restore it from git")


def guard_holds(comment: str, version: Tuple[int, ...]) -> bool:
    """Is a kernel of this version meant? `>=7.3` and the like; other words mean every kernel."""
    match = _GUARD.match(comment)
    if not match:
        return True
    bound = parse_version(match.group(2))
    short = version[:len(bound)]
    return {">=": short >= bound, "<": short < bound, "<=": short <= bound, ">": short > bound,
            "==": short == bound}[match.group(1)]


def _subject(content: bytes) -> str:
    match = re.search(rb"^Subject: (.*(?:\n[ \t].*)*)", content, re.M)
    text = match.group(1).decode("utf-8", "replace") if match else "no subject"
    return re.sub(r"^\[[^]]*\]\s*", "", " ".join(text.split()))


def _touched(content: bytes) -> Tuple[str, ...]:
    return tuple(sorted({name.decode("utf-8", "surrogateescape")
                         for name in _TOUCHED.findall(content)}))


def _bases(content: bytes) -> Tuple[str, ...]:
    return tuple(blob.decode() for blob in _BASE.findall(content) if blob.strip(b"0"))


def index_entries(listing: bytes) -> Dict[str, Tuple[str, str]]:
    """Parse ls-files -s -z."""
    found = {}
    for record in listing.split(b"\0"):
        if record:
            meta, name = record.split(b"\t", 1)
            mode, blob, _stage = meta.decode().split()
            found[name.decode("utf-8", "surrogateescape")] = (mode, blob)
    return found


def fill_index(git: Git, index: Path, entries: Dict[str, Tuple[str, str]]) -> None:
    """A new index that holds these entries only."""
    index.unlink(missing_ok=True)
    git("update-index", "-z", "--index-info", index=index, data=index_lines(dict(entries)))


def _blobs_exist(git: Git, entries: Entries) -> bool:
    names = "\n".join(entry[1] for entry in entries.values() if entry)
    return b"missing" not in git("cat-file", "--batch-check", data=names.encode() + b"\n")


def _edited(git: Git, base: Optional[str], files: List[str],
            now: Dict[str, Tuple[str, str]]) -> Optional[List[str]]:
    """Which of the files the user has changed since `base`; None if that is not known."""
    if base is None:
        return None
    committed = tree_entries(git, base, files)
    return [name for name in files if committed.get(name) != now.get(name)]


def _apply(git: Git, index: Path, patch: Patch, edited: Optional[List[str]],
           console: Console) -> None:
    saved = index.read_bytes()
    try:
        git("apply", "--cached", "--whitespace=nowarn", patch.path, index=index)
        return
    except GitFailed:
        index.write_bytes(saved)
    try:
        git("apply", "--cached", "--3way", "--whitespace=nowarn", patch.path, index=index)
        return
    except GitFailed as error:
        failure = error
    unmerged = git("ls-files", "-u", "-z", index=index) if index.exists() else b""
    hunks = _conflicts(git, unmerged)
    index.write_bytes(saved)
    if applied(git, index, patch):
        console.note("already in this tree: %s" % patch.subject)
        return
    own = [name for name in patch.files if edited and name in edited]
    if own:
        fix = "your own uncommitted edit of %s is in the way: undo or move it" % ", ".join(own)
    elif edited is not None:
        fix = "the kernel's own code has moved on (these files have no edit of yours): this " \
            "kernel needs a newer series (git pull in umthp)"
    else:
        fix = "this kernel needs a newer series (git pull in umthp), or has been changed there"
    raise SeriesError(_conflict_report(patch, hunks, failure.stderr), fix)


def applied(git: Git, index: Path, patch: Patch) -> bool:
    """Can the patch be taken off again?"""
    try:
        git("apply", "--cached", "--reverse", "--check", patch.path, index=index)
    except GitFailed:
        return False
    return True


def _conflicts(git: Git, unmerged: bytes) -> List[Tuple[str, int, str]]:
    """(path, line, text) of each conflicting hunk that a three-way merge left."""
    stages: Dict[str, Dict[str, str]] = {}
    for record in unmerged.split(b"\0"):
        if record:
            meta, name = record.split(b"\t", 1)
            _mode, blob, stage = meta.decode().split()
            stages.setdefault(name.decode("utf-8", "surrogateescape"), {})[stage] = blob
    found = []
    for path, blobs in stages.items():
        if set(blobs) != {"1", "2", "3"}:
            found.append((path, 0, "the file is missing, or added on both sides"))
            continue
        with tempfile.TemporaryDirectory(dir=git.dir) as work:
            names = []
            for stage in ("2", "1", "3"):
                name = Path(work, stage)
                name.write_bytes(git("cat-file", "blob", blobs[stage]))
                names.append(name)
            # The exit status is the number of conflicts: not a failure here.
            merged = run(["git", "merge-file", "-p", *names], env=git.env()).stdout
        for number, line in enumerate(merged.splitlines(), 1):
            if line.startswith(b"<<<<<<< "):
                ours = merged.splitlines()[number:number + 1]
                found.append((path, number, ours[0].decode("utf-8", "replace") if ours else ""))
    return found


def _conflict_report(patch: Patch, hunks: List[Tuple[str, int, str]], stderr: str) -> str:
    lines = ["the series does not apply: %s (%s)" % (patch.subject, patch.path.name)]
    lines += ["%s:%d: conflicts at: %s" % (path, line, text.strip())
              for path, line, text in hunks]
    if not hunks:
        lines += [line[len("error: "):] for line in stderr.splitlines()
                  if line.startswith("error: ")][:8]
    return "\n".join(lines)
