# SPDX-License-Identifier: GPL-2.0
"""What umthp export makes sure of before it hands its patches over."""
from __future__ import annotations

import os
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Dict, List, Sequence

from . import series
from .context import Context
from .errors import UmthpError
from .export_repository import Repository
from .git import clean_env
from .process import run
from .shadow import Prepared

# As tools/lint has it: MAINTAINERS has F: patterns for all of the directories.
IGNORE = "FILE_PATH_CHANGES"
PROJECT = "umthp"


def names(out: Path, left_out: Sequence[str]) -> None:
    """No patch names this project, or a file that stays at home."""
    unwanted = re.compile("|".join(map(re.escape, [PROJECT, *left_out])), re.I)
    for path in sorted(out.glob("*/*.patch")):
        text = path.read_text(encoding="utf-8", errors="replace")
        for number, line in enumerate(text.splitlines(), 1):
            match = unwanted.search(line)
            if match:
                raise UmthpError("%s line %d names %s, which nobody has upstream: %s" % (
                    path.relative_to(out), number, match.group(), line.strip()),
                    "say it in other words where that line comes from")


def same_tree(repository: Repository, prepared: Prepared, um_config: Path,
              lists: Sequence[Dict[str, Any]]) -> None:
    """All patches together give the tree that is tested, but for what stays at home."""
    allowed = {name for patch in series.Series(um_config, prepared.version).patches
               if not patch.upstream for name in patch.files}
    for table in lists:
        for header in table.get("not_upstream", ()):
            allowed.add("%s/%s" % (table["files"], header))
    found = repository.git("diff-tree", "-r", "--no-renames", "-z", "--numstat", prepared.tree,
                           repository.tip).decode("utf-8", "surrogateescape").split("\0")
    wrong = []
    for record in filter(None, found):
        added, removed, path = record.split("\t", 2)
        # Of the files that included it, only that line is gone.
        including = (added, removed) == ("0", "1") and any(
            path.startswith(table.get("files", "\0") + "/") for table in lists)
        if path not in allowed and not including:
            wrong.append(path)
    if wrong:
        raise UmthpError("the patches do not give the tree that is tested: %s" % ", ".join(wrong),
                         "a mistake of umthp export, or the tree has files of its own there")


def checkpatch(out: Path, prepared: Prepared, context: Context) -> int:
    """Say what checkpatch --strict finds; the number of complaints."""
    script = prepared.src / "scripts" / "checkpatch.pl"
    if not script.is_file():
        context.console.warning("not checked: this kernel has no scripts/checkpatch.pl")
        return 0
    env = clean_env()
    # Not with somebody's .checkpatch.conf.
    env["HOME"] = str(out)

    def judge(path: Path) -> List[str]:
        name = os.path.relpath(path, out)
        context.console.status("export", "checkpatch: %s" % name)
        # On stdin: checkpatch takes a file that is in git for source code.
        done = run(["perl", script, "--strict", "--show-types", "--terse", "--no-summary",
                    "--quiet", "--root=%s" % prepared.src, "--ignore", IGNORE, "-"],
                   cwd=prepared.src, env=env, data=path.read_bytes())
        lines = [re.sub(r"^[^:]*:", name + ":", line)
                 for line in done.stdout.decode("utf-8", "replace").splitlines()]
        if done.returncode and not lines:
            lines = ["%s: checkpatch failed: %s" % (
                name, done.stderr.decode("utf-8", "replace").strip()[-500:])]
        return lines

    patches = [path for path in sorted(out.glob("*/*.patch")) if not path.name.startswith("0000-")]
    with ThreadPoolExecutor(context.builder().jobs) as pool:
        found = [line for lines in pool.map(judge, patches) for line in lines]
    for line in found:
        context.console.say(line)
    return len(found)
