# SPDX-License-Identifier: GPL-2.0
"""A directory of the user's as a git tree id. The directory and its .git are only read.

Everything goes through a private copy of the index and a private object directory. The copy keeps
the index's mtime: git's racy-clean check compares it with the files' times, and with a newer one
edits of the same second and size are lost.
"""
from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path
from typing import Dict, List, Optional, Tuple

from .console import Console
from .errors import UsageError
from .git import Git, GitFailed, answers, user_git
from .handed_index import HandedIndex

# What a build leaves in a source tree; it must not come along, `make O=` refuses such a tree.
BUILD_PRODUCTS = """\
*.o
*.a
*.ko
*.mod
*.mod.c
*.cmd
*.order
*.symvers
*.so.dbg
.git
.tmp_*
/.config
/.config.old
/vmlinux*
/System.map
/linux
/include/config/
/include/generated/
/arch/*/include/generated/
/debian/
"""

UNTRACKED_MANY = 1000


def is_kernel_tree(path: Path) -> bool:
    return all((path / name).is_file() for name in ("Kbuild", "Makefile", "mm/huge_memory.c"))


class GitWorkTree:
    """A git tree of the user's."""

    def __init__(self, top: Path, git_dir: Path, console: Console, index: Path,
                 objects: List[Path], object_format: str, shared: Optional[Path] = None,
                 env: Optional[Dict[str, str]] = None) -> None:
        """shared: where the shared part of a split index is. env: leads git to the repository."""
        self.top = top
        self.console = console
        self.user_index = index
        self.shared = shared or index.parent
        self.env = env or {}
        self.git = Git(git_dir, foreign=objects)
        self.git.init(object_format)
        self.index = git_dir / "work.index"
        self._head: List[Optional[str]] = []

    @classmethod
    def find(cls, path: Path, git_dir: Path, console: Console) -> "Optional[GitWorkTree]":
        """The repository whose top is `path`; None for a plain tree."""
        if not os.path.lexists(path / ".git"):
            return None

        def ask(*question: str) -> str:
            out = user_git(path, "rev-parse", "--path-format=absolute", *question)
            return out.decode("utf-8", "surrogateescape").removesuffix("\n")

        try:
            top, index, objects, object_format = answers(
                ask, ["--show-toplevel"], ["--git-path", "index"], ["--git-path", "objects"],
                ["--show-object-format"])
        except GitFailed as error:
            raise UsageError("%s has a .git that git cannot read: %s" % (
                path, error.stderr.strip().splitlines()[-1:]),
                "repair it, or use a tarball or a plain copy of the tree") from error
        return cls(Path(top), git_dir, console, Path(index), [Path(objects)], object_format)

    @classmethod
    def of_hook(cls, handed: HandedIndex, git_dir: Path, console: Console) -> "GitWorkTree":
        """The repository of a hook, with the index that git hands to it."""
        return cls(handed.top, git_dir, console, handed.index, handed.objects,
                   handed.object_format, handed.git_dir, handed.env)

    def ask(self, *args: object, env: Optional[Dict[str, str]] = None) -> bytes:
        """Ask the user's repository."""
        return user_git(self.top, *args, env={**self.env, **(env or {})})

    def snapshot(self) -> Tuple[str, str]:
        """The work tree as it is now: edits, deletions and untracked files included."""
        self._copy_index()
        head = self.head()
        self._git("add", "-u", ".")
        untracked = self._untracked()
        if untracked:
            self._git("update-index", "--add", "-z", "--stdin", data=b"\0".join(untracked) + b"\0")
        tree = self._write_tree()
        return tree, "%s  %s%s" % (self.top, self._name(head), self._edits(head, tree, untracked))

    def staged(self) -> Tuple[str, str]:
        """The index as `git commit` would take it."""
        self._copy_index()
        try:
            tree = self._write_tree()
        except GitFailed as error:
            raise UsageError("the index of %s has unmerged files" % self.top,
                             "resolve the conflict and `git add` them first") from error
        return tree, "%s  staged on %s" % (self.top, self._name(self.head()))

    def resolved(self, rev: str) -> str:
        try:
            return self.ask("rev-parse", "--verify", "--quiet", "--end-of-options",
                            rev + "^{commit}").decode().strip()
        except GitFailed as error:
            raise UsageError("%s is not a commit of %s" % (rev, self.top),
                             "git -C %s log --oneline shows some" % self.top) from error

    def parent(self, rev: str) -> Optional[str]:
        """The first one; None of a commit without any."""
        try:
            return self.ask("rev-parse", "--verify", "--quiet", "--end-of-options",
                            rev + "^{commit}^1").decode().strip()
        except GitFailed:
            return None

    def commit(self, rev: str) -> Tuple[str, str]:
        commit = self.resolved(rev)
        tree = self.ask("rev-parse", commit + "^{tree}").decode().strip()
        return tree, "%s  %s" % (self.top, self._name(commit))

    def _git(self, *args: object, data: Optional[bytes] = None) -> bytes:
        try:
            return self.git.writer(*args, index=self.index, work_tree=self.top, data=data)
        except GitFailed:
            # A sparse index, for one, is opened up with the user's tree objects.
            return self.git(*args, index=self.index, work_tree=self.top, data=data)

    def _write_tree(self) -> str:
        # --missing-ok: the blobs of unchanged files are the user's.
        return self._git("write-tree", "--missing-ok").decode().strip()

    def _copy_index(self) -> None:
        """Copy index and, with a split index, the shared part that it names."""
        self.index.unlink(missing_ok=True)
        (self.index.parent / "work.index.lock").unlink(missing_ok=True)
        if self.user_index.exists():
            shutil.copy2(self.user_index, self.index)
        for shared in self.shared.glob("sharedindex.*"):
            shutil.copy2(shared, self.git.dir / shared.name)

    def _untracked(self) -> List[bytes]:
        """Files that git does not know yet, by the user's own ignore rules if they can be right.

        A .gitignore that ignores a new file of mm/ (Debian's ends in `/*`) is no help: then
        everything counts but what a build leaves behind.
        """
        env: Dict[str, str] = {"GIT_INDEX_FILE": str(self.index)}
        rules: List[str] = ["--exclude-standard"]
        try:
            self.ask("check-ignore", "-q", "--no-index", "mm/umthp_probe.c", env=env)
            rules = ["--exclude-from=" + str(write_build_products(self.git.dir))]
            self.console.detail(".gitignore ignores new files of mm/: only build products are "
                                "left out")
        except GitFailed:
            pass
        names = self.ask("ls-files", "-o", "-z", *rules, env=env).split(b"\0")
        names = [name for name in names if name and _can_be_added(self.top, name)]
        if len(names) > UNTRACKED_MANY:
            self.console.warning("%d untracked files are tested too; are they build products? "
                                 "(git -C %s status)" % (len(names), self.top))
        return names

    def head(self) -> Optional[str]:
        """The commit that the work tree was based on when this was asked first; None before the
        first one."""
        if not self._head:
            try:
                self._head = [self.ask("rev-parse", "--verify", "--quiet",
                                       "HEAD^{commit}").decode().strip()]
            except GitFailed:
                self._head = [None]
        return self._head[0]

    def _name(self, commit: Optional[str]) -> str:
        if commit is None:
            return "no commit yet"
        if self.env:
            # A hook is waited for, and git describe can take a second.
            return commit[:12]
        try:
            return self.ask("describe", "--tags", "--always", commit).decode().strip()
        except GitFailed:
            return commit[:12]

    def _edits(self, head: Optional[str], tree: str, untracked: List[bytes]) -> str:
        if head is None:
            return ""
        changed = self.git("diff-tree", "-r", "--name-only", "-z", head, tree).count(b"\0")
        modified = changed - len(untracked)
        parts = (["%d modified" % modified] if modified > 0 else []) \
            + (["%d untracked" % len(untracked)] if untracked else [])
        return " + " + ", ".join(parts) if parts else ""


class PlainTree:
    """A directory without git; an index of its own remembers what was hashed last time."""

    def __init__(self, top: Path, git_dir: Path, console: Console) -> None:
        self.top = top
        self.console = console
        self.git = Git(git_dir)
        self.git.init()
        self.index = git_dir / "work.index"

    def snapshot(self) -> str:
        (self.index.parent / "work.index.lock").unlink(missing_ok=True)
        try:
            return self._snapshot()
        except GitFailed:
            # A damaged index is only a memo of file times: start it again.
            self.index.unlink(missing_ok=True)
            return self._snapshot()

    def _snapshot(self) -> str:
        if not self.index.exists():
            self.console.status("source", "reading %s, once" % self.top)
        self._git("add", "-u", ".")
        names = self._git("ls-files", "-o", "-z",
                          "--exclude-from=" + str(write_build_products(self.git.dir)))
        known = [name for name in names.split(b"\0") if name and _can_be_added(self.top, name)]
        if known:
            self._git("update-index", "--add", "-z", "--stdin", data=b"\0".join(known) + b"\0")
        return self._git("write-tree").decode().strip()

    def _git(self, *args: object, data: Optional[bytes] = None) -> bytes:
        return self.git(*args, index=self.index, work_tree=self.top, data=data)


def write_build_products(directory: Path) -> Path:
    path = directory / "build-products"
    path.write_text(BUILD_PRODUCTS, encoding="ascii")
    return path


def _can_be_added(top: Path, name: bytes) -> bool:
    """Regular files and symlinks; not a nested repository, a socket or a fifo."""
    if name.endswith(b"/"):
        return False
    try:
        mode = os.lstat(os.path.join(os.fsencode(top), name)).st_mode
    except OSError:
        return False
    return stat.S_ISREG(mode) or stat.S_ISLNK(mode)
