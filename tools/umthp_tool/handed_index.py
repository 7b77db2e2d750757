# SPDX-License-Identifier: GPL-2.0
"""The index that git hands to a hook, and the repository that it belongs to.

`git commit` tests .git/index, `git commit -a` .git/index.lock, `git commit PATH` an index that is
made for that commit; GIT_INDEX_FILE names it, sometimes relative to the top of the work tree. It
is asked for once, in the environment that git made for the hook. After that no variable of that
environment may reach another git, which would read or write the user's index by it.
"""
from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Dict, List, Optional

from .errors import UsageError
from .git import answers
from .process import run

# Together with GIT_DIR they say where the objects of the commit are.
_OBJECTS = ("GIT_OBJECT_DIRECTORY", "GIT_ALTERNATE_OBJECT_DIRECTORIES")


@dataclass(frozen=True)
class HandedIndex:
    """All paths absolute."""

    top: Path
    git_dir: Path
    index: Path
    objects: List[Path]     # the directories that have its objects
    object_format: str
    env: Dict[str, str]     # what leads git to this repository, and to nothing else of the hook

    @classmethod
    def take(cls, cwd: Optional[Path] = None) -> "HandedIndex":
        """Read it from the environment, and take it out of there."""
        where = cwd or Path.cwd()

        def ask(*question: str) -> str:
            done = run(["git", "rev-parse", "--path-format=absolute", *question], cwd=where,
                       env=dict(os.environ, LC_ALL="C", GIT_OPTIONAL_LOCKS="0"))
            if done.returncode:
                lines = done.stderr.decode("utf-8", "backslashreplace").strip().splitlines()
                raise UsageError("%s is not in the work tree of a git repository: %s" % (
                    where, lines[-1] if lines else "git does not say why"),
                    "cd to a kernel tree under git")
            return done.stdout.decode("utf-8", "surrogateescape").removesuffix("\n")

        top, git_dir, index, objects, object_format = answers(
            ask, ["--show-toplevel"], ["--git-dir"], ["--git-path", "index"],
            ["--git-path", "objects"], ["--show-object-format"])
        env = {name: os.environ[name] for name in _OBJECTS if name in os.environ}
        more = [where / name for name in env.get(_OBJECTS[1], "").split(os.pathsep) if name]
        env.update(GIT_DIR=git_dir, GIT_WORK_TREE=top)
        found = cls(Path(top), Path(git_dir), Path(index), [Path(objects), *more], object_format,
                    env)
        _drop(ask("--local-env-vars").split())
        return found


def _drop(names: List[str]) -> None:
    for name in names:
        os.environ.pop(name, None)
