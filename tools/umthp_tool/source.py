# SPDX-License-Identifier: GPL-2.0
"""What is to be tested becomes a git tree id: package, tarball, plain tree, or git tree.

A git tree gives its work tree (uncommitted edits and untracked files included), its index
(--staged), or a commit (--rev). The user's tree is only ever read: its index is copied, objects
go to a private directory.
"""
from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional

from .cache import locked, make_dir, read_json, write_json
from .console import Console
from .errors import HostError, UsageError
from .git import Git, GitFailed
from .handed_index import HandedIndex
from .kernels import Kernel, Reader, Support, Version, parse_version
from .source_tree import GitWorkTree, PlainTree, is_kernel_tree


@dataclass(frozen=True)
class SourceTree:
    """The tested source, before the series."""

    tree: str           # git tree id
    described: str      # for people: package and version, or path and what is edited
    git: Git            # the repository that has the tree
    base: Optional[str] = None      # the commit that it is an edit of, if it is one
    before: Optional[str] = None    # the commit that it is a change of, if it is known


class Source:
    """Where a tree comes from. `key` names its directory in the cache."""

    key = ""
    described = ""

    def read(self, git_dir: Path) -> SourceTree:
        raise NotImplementedError

    def peek(self) -> Optional[Reader]:
        """Reads single files of the source without importing it, where that is possible."""
        return None


class Archive(Source):
    """A package or a tarball: imported once, then its tree id is known."""

    def __init__(self, cache: Path, console: Console) -> None:
        self.cache = cache
        self.console = console

    @contextmanager
    def _importing(self, name: str) -> Iterator[None]:
        """Nobody else imports this source; others may be imported meanwhile."""
        with locked(self.cache / "sources" / (name + ".lock"), self.console):
            yield

    def _imported(self, name: str) -> Optional[SourceTree]:
        """The tree of a finished import; a directory appears only when it is whole."""
        directory = self.cache / "sources" / (name + ".git")
        state = read_json(directory / "umthp.json")
        if not state.get("tree"):
            return None
        git = Git(directory)
        if not git.has_tree(state["tree"]):
            self.console.warning("the imported source %s is damaged, importing it again" % name)
            shutil.rmtree(directory)
            return None
        return SourceTree(state["tree"], state["described"], git)

    def _import(self, name: str, described: str, opened: object) -> SourceTree:
        from .importer import ImportFailed, import_tar
        final = self.cache / "sources" / (name + ".git")
        partial = final.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        _need_space(make_dir(final.parent), 1 << 30)
        git = Git(partial)
        git.init()
        try:
            with opened as stream:  # type: ignore[attr-defined]
                tree = import_tar(stream, git, lambda count: self.console.status(
                    "source", "importing %s: %d files" % (described, count)))
        except ImportFailed as error:
            raise ImportFailed("%s: %s" % (described, error.cause), error.fix) from error
        write_json(partial / "umthp.json", {"tree": tree, "described": described})
        shutil.rmtree(final, ignore_errors=True)
        partial.rename(final)
        self._drop_older(final)
        return SourceTree(tree, described, Git(final))

    def _drop_older(self, kept: Path) -> None:
        """Imports that this one replaces, if any."""


class Package(Archive):
    """A linux-source package. Once imported it is used until a newer one is asked for."""

    def __init__(self, kernel: Kernel, cache: Path, console: Console,
                 update: bool = False) -> None:
        super().__init__(cache, console)
        self.kernel = kernel
        self.update = update
        self.key = kernel.package
        self.described = kernel.package

    def _newest_imported(self) -> Optional[SourceTree]:
        prefix = self.kernel.package + "_"
        names = [path.name[:-len(".git")] for path in
                 (self.cache / "sources").glob(prefix + "*.git")]

        def version(name: str) -> Version:
            return parse_version(name[len(prefix):])
        for name in sorted(names, key=version, reverse=True):
            if self.kernel.holds(version(name)):
                found = self._imported(name)
                if found:
                    return found
        return None

    def _drop_older(self, kept: Path) -> None:
        for path in kept.parent.glob(self.kernel.package + "_*.git"):
            if path != kept:
                shutil.rmtree(path)

    def read(self, git_dir: Path) -> SourceTree:
        # Imports appear whole: what is there can be used while a newer one is imported.
        found = None if self.update else self._newest_imported()
        if found:
            return found
        with self._importing(self.kernel.package):
            found = None if self.update else self._newest_imported()
            if found:
                return found
            from .apt_source import AptSource
            from .importer import package_tarball
            self.console.note("fetching %s, about 170 MB, once" % self.kernel.package)
            apt = AptSource(make_dir(self.cache / "apt" / self.kernel.package), self.console)
            candidate = apt.newest(self.kernel)
            name = "%s_%s" % (candidate.package, candidate.version)
            found = self._imported(name)
            if found:
                return found
            self.console.status("source", "apt-get download %s" % name)
            deb = apt.download(candidate)
            described = "%s %s (%s)" % (candidate.package, candidate.version, candidate.suite)
            try:
                return self._import(name, described, package_tarball(deb))
            finally:
                deb.unlink()


class Tarball(Archive):
    """A kernel tarball, .tar.xz, .gz, .bz2, .zst or plain, known by its content."""

    def __init__(self, path: Path, cache: Path, console: Console) -> None:
        super().__init__(cache, console)
        self.path = path
        self.key = "tarball-%s" % _slug(path.name)
        self.described = str(path)

    def read(self, git_dir: Path) -> SourceTree:
        from .importer import decompressed
        name = "tarball-%s-%s" % (_slug(self.path.name), self._content_id())
        with self._importing(name):
            return self._imported(name) or self._import(
                name, self.described, decompressed(self.path))

    def _content_id(self) -> str:
        """Hash of the content, remembered for as long as size and times do not change.

        Not locked: what another umthp remembers at the same moment may be lost, and is made again.
        """
        info = self.path.stat()
        memo = make_dir(self.cache / "sources") / "tarballs.json"
        known = read_json(memo)
        stamp = [info.st_size, info.st_mtime_ns, info.st_ctime_ns, info.st_ino]
        entry = known.get(str(self.path))
        if isinstance(entry, dict) and entry.get("stamp") == stamp:
            return str(entry["id"])
        digest = hashlib.sha256()
        with open(self.path, "rb") as stream:
            for block in iter(lambda: stream.read(1 << 20), b""):
                digest.update(block)
        known[str(self.path)] = {"stamp": stamp, "id": digest.hexdigest()[:16]}
        write_json(memo, known)
        return digest.hexdigest()[:16]


class Directory(Source):
    """A kernel tree of the user's, under git or not."""

    def __init__(self, path: Path, console: Console, rev: Optional[str] = None,
                 staged: bool = False, handed: Optional[HandedIndex] = None,
                 since: Optional[str] = None) -> None:
        """since: a commit; what has changed since then counts as the change."""
        self.path = path
        self.handed = handed
        self.since = since
        self.console = console
        self.rev = rev
        self.staged = staged
        self.key = "%s-%s" % (_slug(path.name),
                              hashlib.sha256(os.fsencode(path)).hexdigest()[:10])
        self.described = str(path)

    def peek(self) -> Optional[Reader]:
        return None if self.rev or self.staged or self.handed else self._file

    def _file(self, name: str) -> Optional[bytes]:
        try:
            return (self.path / name).read_bytes()
        except OSError:
            return None

    def read(self, git_dir: Path) -> SourceTree:
        if self.handed:
            work = GitWorkTree.of_hook(self.handed, git_dir, self.console)
            head = work.head()
            return SourceTree(*work.staged(), work.git, head, head)
        work = GitWorkTree.find(self.path, git_dir, self.console)
        if work is None:
            if self.rev or self.staged or self.since:
                raise UsageError("%s is not a git tree: --rev, --staged and --since need one"
                                 % self.path,
                                 "leave the option out to test the files as they are")
            plain = PlainTree(self.path, git_dir, self.console)
            return SourceTree(plain.snapshot(), str(self.path), plain.git)
        since = work.resolved(self.since) if self.since else None
        if self.rev:
            return SourceTree(*work.commit(self.rev), work.git,
                              before=since or work.parent(self.rev))
        if self.staged:
            tree, described = work.staged()
        else:
            tree, described = work.snapshot()
        head = work.head()
        return SourceTree(tree, described, work.git, head, since or head)


def choose(kernel: Optional[str], support: Support, cache: Path, console: Console, *,
           rev: Optional[str] = None, staged: bool = False, update: bool = False,
           cwd: Optional[Path] = None, since: Optional[str] = None) -> Source:
    """The source that the command line means; `kernel` is the value of --kernel."""
    if kernel is None:
        here = enclosing_kernel_tree(cwd or Path.cwd())
        if here is not None:
            return Directory(here, console, rev, staged, since=since)
        if rev or staged or since:
            raise UsageError("--rev, --staged and --since need a git tree of the kernel",
                             "cd to one, or name it with --kernel PATH")
        return Package(support.kernels[0], cache, console, update)
    entry = support.package(kernel)
    if entry is not None and (os.sep not in kernel):
        if rev or staged or since:
            raise UsageError("--rev, --staged and --since need a git tree, not a package",
                             "use --kernel PATH")
        return Package(entry, cache, console, update)
    path = Path(kernel).expanduser()
    try:
        mode = path.stat().st_mode
    except OSError as error:
        packages = ", ".join(k.package for k in support.kernels)
        raise UsageError("--kernel %s: %s" % (kernel, error.strerror),
                         "use a path, or one of the supported packages: " + packages) from error
    path = path.resolve()
    if stat.S_ISDIR(mode):
        if not is_kernel_tree(path):
            raise UsageError("%s is not a Linux source tree (no Kbuild, mm/huge_memory.c)" % path,
                             "cd to one, or use --kernel %s" % support.kernels[0].package)
        return Directory(path, console, rev, staged, since=since)
    if stat.S_ISREG(mode):
        return Tarball(path, cache, console)
    raise UsageError("--kernel %s is neither a directory nor a tarball" % kernel,
                     "use a kernel tree, a tarball or a package name")


def enclosing_kernel_tree(start: Path) -> Optional[Path]:
    """The kernel tree that holds a directory, so that `cd mm && umthp run` works."""
    start = start.resolve()
    for path in [start, *start.parents]:
        if is_kernel_tree(path):
            return path
    return None


def _slug(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]", "_", name).lstrip(".-")[:60] or "tree"


def _need_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path).free
    if free < size:
        raise HostError("%s has %d MiB free, an import needs %d MiB" % (
            path, free >> 20, size >> 20),
            "free some space, or set UMTHP_CACHE to a directory on another disk")


__all__: List[str] = ["Source", "SourceTree", "choose", "enclosing_kernel_tree", "GitFailed"]
