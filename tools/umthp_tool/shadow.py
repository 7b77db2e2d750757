# SPDX-License-Identifier: GPL-2.0
"""The prepared tree: source + series + new files as a tree id, checked out in one directory.

The directory is moved from the last tree to the new one by git read-tree, which writes only the
files that differ: everything else keeps its mtime, and make rebuilds what changed. An interrupted
move leaves a note behind; the next one starts by comparing every file.
"""
from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional

from . import overlay, series
from .cache import make_dir, read_json, write_json
from .console import Console
from .git import Git, GitFailed
from .kernels import Support, check_supported, files_read
from .source import Source, SourceTree


ALREADY_THERE = "series already in tree, using it"


@dataclass(frozen=True)
class Layout:
    """The parts of this project that go into a tree."""

    um_config: Path
    kunit: Path
    kunitconfig: Path
    expected: Path


@dataclass(frozen=True)
class Prepared:
    """A tree ready to be built."""

    home: Path          # <cache>/trees/KEY
    src: Path
    tree: str           # tree id of the prepared tree
    source_tree: str    # tree id of what the user has
    version: str        # from the Makefile
    described: str
    note: str           # what became of the series
    git: Git
    moved: bool = False     # the shadow was compared with the tree and moved just now
    before: Optional[str] = None    # the commit that the source is a change of


def prepare(source: Source, home: Path, support: Support, layout: Layout,
            console: Console) -> Prepared:
    """Bring <home>/src to the source's current state. The caller holds the lock of <home>."""
    git_dir = home / "git"
    src = make_dir(home / "src")
    peek = source.peek()
    if peek is not None:
        # An unsupported tree is refused before the minute that its import takes.
        check_supported(support, peek, source.described, lambda text: None)
    console.status("source", "reading %s" % source.described)
    found = source.read(git_dir)
    git = Git(git_dir, [found.git.dir / "objects", *found.git.alternates], found.git.foreign)
    git.init()
    key = _key(found.tree, layout)
    memo = read_json(git.dir / "prepared.json")
    if memo.get("key") == key and git.has_tree(memo["tree"]):
        version, tree, note = memo["version"], memo["tree"], memo["note"]
    else:
        files = git.blobs(found.tree, files_read(support))
        version = check_supported(support, files.get, found.described, console.warning)
        tree, note = _prepared_tree(git, found, version, support, layout, console)
        write_json(git.dir / "prepared.json",
                   {"key": key, "version": version, "tree": tree, "note": note})
    moved = move(git, src, tree, console)
    return Prepared(home, src, tree, found.tree, version, found.described, note, git, moved,
                    found.before)


def last(home: Path, source: Source) -> Prepared:
    """What prepare() made of this tree last time."""
    git = Git(home / "git")
    memo = read_json(git.dir / "prepared.json")
    return Prepared(home, home / "src", memo.get("tree", ""), "", memo.get("version", ""),
                    source.described, memo.get("note", ""), git)


def _key(source: str, layout: Layout) -> str:
    """Everything that the prepared tree is made from."""
    digest = hashlib.sha256(source.encode())
    for path in sorted(layout.um_config.rglob("*")):
        if path.is_file():
            digest.update(b"\0%s\0%s" % (str(path).encode("utf-8", "surrogateescape"),
                                         path.read_bytes()))
    for name, content in overlay.new_files(layout.kunit).items():
        digest.update(b"\0%s\0%d\0%s" % (name.encode(), len(content), content))
    return digest.hexdigest()


def _prepared_tree(git: Git, found: SourceTree, version: str, support: Support, layout: Layout,
                   console: Console) -> "tuple[str, str]":
    """Lay the series, the new files and the hooks over the source tree."""
    source = found.tree
    patches = series.Series(layout.um_config, version)
    if series.present(support, git, source):
        entries: series.Entries = {}
        note = ALREADY_THERE
    else:
        entries = series.apply_series(patches, git, source, console, found.base)
        note = "%d patches applied, 0 fuzz" % len(patches.patches)
    overlay.add_hooks(git, source, support.hooks, entries)
    entries.update(overlay.add_files(git, source, overlay.new_files(layout.kunit), console))
    index = git.dir / "prepared.index"
    index.unlink(missing_ok=True)
    Path(str(index) + ".lock").unlink(missing_ok=True)
    git("read-tree", source, index=index)
    git("update-index", "-z", "--index-info", index=index, data=series.index_lines(entries))
    # --missing-ok: most of its blobs are the user's.
    tree = git.writer.text("write-tree", "--missing-ok", index=index)
    overlay.verify(git, source, tree, support)
    return tree, note


def move(git: Git, src: Path, tree: str, console: Console) -> bool:
    """Make src the tree. True if there was anything to do: every file was compared then."""
    state_file = git.dir / "shadow.json"
    state = read_json(state_file)
    index = git.dir / "shadow.index"
    if state.get("tree") == tree and not state.get("moving") and index.exists() \
            and (src / "Makefile").exists():
        return False
    interrupted = bool(state.get("moving"))
    write_json(state_file, {"tree": state.get("tree"), "moving": tree})
    Path(str(index) + ".lock").unlink(missing_ok=True)
    console.status("source", "updating %s" % src)
    command: List[str] = ["read-tree", "--reset", "-u", tree]
    try:
        git(*command, index=index, work_tree=src)
    except GitFailed:
        if not index.exists():
            raise
        # A damaged index: without it every file is compared with the tree by content.
        console.note("the cache's index of %s is damaged, comparing every file" % src)
        index.unlink()
        git(*command, index=index, work_tree=src)
        interrupted = True
    if interrupted:
        # Files that only the interrupted move knew.
        git("clean", "-ffdxq", index=index, work_tree=src)
    write_json(state_file, {"tree": tree, "moving": None})
    return True


def repair(prepared: Prepared, console: Console) -> bool:
    """Put back files of the shadow that differ from its tree; True if there were any."""
    index = prepared.git.dir / "shadow.index"
    changed = prepared.git("diff-files", "--name-only", "-z", index=index,
                           work_tree=prepared.src).count(b"\0")
    if changed:
        # diff-files goes by file times first: refresh tells touched from changed.
        prepared.git("read-tree", "--reset", "-u", prepared.tree, index=index,
                     work_tree=prepared.src)
        console.note("%d files of %s had been changed there, put back" % (changed, prepared.src))
    return bool(changed)
