# SPDX-License-Identifier: GPL-2.0
"""A throw-away git tree of the kernel, as a developer has one, for `umthp bench` to edit."""
from __future__ import annotations

import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

from .cache import make_dir, read_json, write_json
from .console import Console
from .git import Git
from .shadow import Prepared

EDITED = "mm/huge_memory.c"
IRRELEVANT = "Documentation/mm/transhuge.rst"


def make(prepared: Prepared, directory: Path, console: Console) -> Path:
    """Check the source of a prepared tree out as a git repository with one commit."""
    top = directory / "linux"
    state = read_json(directory / "umthp.json")
    if state.get("tree") == prepared.source_tree and (top / EDITED).exists():
        restore(top)
        return top
    make_dir(top)
    console.status("bench", "checking out %s" % top)
    objects = [prepared.git.dir / "objects", *prepared.git.alternates, *prepared.git.foreign]
    git = Git(top / ".git")
    git.init()
    (top / ".git" / "objects" / "info").mkdir(exist_ok=True)
    (top / ".git" / "objects" / "info" / "alternates").write_text(
        "".join("%s\n" % path for path in objects), encoding="utf-8")
    git("config", "core.bare", "false")
    commit = git.text("-c", "user.name=umthp", "-c", "user.email=umthp@localhost",
                      "commit-tree", "-m", "bench", prepared.source_tree)
    git("update-ref", "HEAD", commit)
    git("read-tree", "--reset", "-u", commit, index=top / ".git" / "index", work_tree=top)
    write_json(directory / "umthp.json", {"tree": prepared.source_tree})
    return top


def restore(top: Path) -> None:
    Git(top / ".git")("checkout", "-q", "-f", "HEAD", "--", EDITED,
                      index=top / ".git" / "index", work_tree=top)


@contextmanager
def irrelevant_change_staged(top: Path) -> Iterator[None]:
    """A change of the documentation in the index, for as long as the block runs."""
    git, index = Git(top / ".git"), top / ".git" / "index"
    blob = git.text("hash-object", "-w", "--stdin", data=b"umthp bench\n")
    git("update-index", "--cacheinfo", "100644,%s,%s" % (blob, IRRELEVANT), index=index)
    try:
        yield
    finally:
        git("reset", "-q", "--", IRRELEVANT, index=index, work_tree=top)


def edit(path: Path) -> None:
    """Change one line that no compiler cache has seen: the object has to be made."""
    text = path.read_text(encoding="utf-8")
    marker = "/* umthp bench */"
    kept = [line for line in text.splitlines(True) if marker not in line]
    stamp = time.time_ns() % (1 << 31)
    path.write_text("".join(kept) + "static const int umthp_bench __used = %d; %s\n"
                    % (stamp, marker), encoding="utf-8")
