# SPDX-License-Identifier: GPL-2.0
"""git, with an environment that cannot leak into or out of the user's repository.

Two kinds of calls exist. `user_git` reads the user's repository and may never write there: no
optional locks, no lazy fetch, objects into a private directory. `Git` is a repository of umthp's
own in the cache: no configuration of the user or of the system applies to it, because a filter,
a hook or an fsmonitor program configured elsewhere must not decide what is tested.
"""
from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path
from typing import Callable, Dict, Iterable, List, Optional, Sequence

from .errors import HostError, UmthpError, UsageError
from .process import disk_full, no_space, quoted, run

EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"


class GitFailed(UmthpError):
    """git said no; `stderr` has its own words. Callers turn it into their stage's error."""

    exit_code = HostError.exit_code
    verdict = HostError.verdict

    def __init__(self, argv: Sequence[object], stderr: str) -> None:
        last = stderr.strip().splitlines()
        super().__init__("git failed: %s" % (last[-1] if last else "no message"),
                         "if the cache is damaged, `umthp clean --all` starts it again; "
                         "the command was: %s" % quoted(argv))
        self.stderr = stderr


def clean_env() -> Dict[str, str]:
    """The environment without any GIT_* variable (a hook's would point git at the user's index)."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env.update(GIT_OPTIONAL_LOCKS="0", GIT_NO_LAZY_FETCH="1", GIT_TERMINAL_PROMPT="0",
               GIT_ADVICE="0", LC_ALL="C")
    return env


def _checked(argv: List[object], env: Dict[str, str], cwd: Optional[Path],
             data: Optional[bytes]) -> bytes:
    done = run(argv, env=env, cwd=cwd, data=data)
    if done.returncode == 0:
        return done.stdout
    stderr = done.stderr.decode("utf-8", "backslashreplace")
    where = env.get("GIT_DIR", cwd)
    if no_space(stderr, where):
        raise disk_full(where)
    if "dubious ownership" in stderr:
        where = stderr.split("'")[1] if "'" in stderr else str(cwd)
        raise UsageError("git refuses to read %s: it belongs to another user" % where,
                         "git config --global --add safe.directory %s" % quoted([where]))
    raise GitFailed(argv, stderr)


def user_git(tree: Path, *args: object, env: Optional[Dict[str, str]] = None,
             data: Optional[bytes] = None) -> bytes:
    """Ask the user's repository; with `env` for a private index or object directory."""
    full = clean_env()
    full.update(env or {})
    return _checked(["git", "-C", tree, "-c", "core.fsmonitor=false", *args], full, None, data)


def answers(ask: Callable[..., str], *questions: Sequence[str]) -> List[str]:
    """What git rev-parse answers to each of them: in one call, or, since it has no -z, one by one
    if an answer has line ends in it."""
    lines = ask(*(word for question in questions for word in question)).split("\n")
    return lines if len(lines) == len(questions) else [ask(*question) for question in questions]


class Git:
    """A bare repository of umthp's own.

    alternates: object directories of the cache. foreign: the user's, which may only be read. git
    touches an object that it would write and finds there, so what writes objects goes through
    `writer`, which does not know them.
    """

    def __init__(self, directory: Path, alternates: Sequence[Path] = (),
                 foreign: Sequence[Path] = ()) -> None:
        self.dir = directory
        self.alternates = list(alternates)
        self.foreign = list(foreign)

    @property
    def writer(self) -> "Git":
        """The same repository without the user's objects: write-tree needs --missing-ok there."""
        return Git(self.dir, self.alternates) if self.foreign else self

    def bring(self, blobs: Iterable[str]) -> "Git":
        """The writer, with copies of these blobs; one that is nowhere is passed over."""
        names = "".join(blob + "\n" for blob in dict.fromkeys(blobs))
        if not self.foreign or not names:
            return self.writer
        there = "".join(line.split()[0] + "\n" for line in self.text(
            "cat-file", "--batch-check", data=names.encode()).splitlines()
            if not line.endswith(" missing"))
        pack = self("pack-objects", "--stdout", "-q", data=there.encode())
        self.writer("unpack-objects", "-q", data=pack)
        return self.writer

    def init(self, object_format: str = "sha1") -> None:
        """Create the repository unless it is there and whole."""
        if (self.dir / "HEAD").is_file() and (self.dir / "objects").is_dir():
            return
        self.dir.mkdir(parents=True, exist_ok=True)
        _checked(["git", "init", "-q", "--bare", "--template=",
                  "--object-format=" + object_format, self.dir], self.env(bare=False), None, None)

    def env(self, index: Optional[Path] = None, work_tree: Optional[Path] = None,
            bare: bool = True) -> Dict[str, str]:
        env = clean_env()
        env.update(GIT_CONFIG_NOSYSTEM="1", GIT_CONFIG_GLOBAL=os.devnull,
                   GIT_ATTR_NOSYSTEM="1", XDG_CONFIG_HOME=os.devnull)
        if bare:
            env["GIT_DIR"] = str(self.dir)
        if self.alternates or self.foreign:
            env["GIT_ALTERNATE_OBJECT_DIRECTORIES"] = os.pathsep.join(
                _quote_alternate(path) for path in [*self.alternates, *self.foreign])
        if index is not None:
            env["GIT_INDEX_FILE"] = str(index)
        if work_tree is not None:
            env["GIT_WORK_TREE"] = str(work_tree)
        return env

    def __call__(self, *args: object, index: Optional[Path] = None,
                 work_tree: Optional[Path] = None, data: Optional[bytes] = None) -> bytes:
        argv: List[object] = ["git", "-c", "core.compression=1", "-c", "gc.auto=0",
                              "-c", "core.autocrlf=false", "-c", "core.fsmonitor=false",
                              "-c", "core.untrackedCache=false", "-c", "core.splitIndex=false",
                              "-c", "index.threads=0", "-c", "checkout.workers=0", *args]
        return _checked(argv, self.env(index, work_tree), work_tree, data)

    def text(self, *args: object, index: Optional[Path] = None,
             work_tree: Optional[Path] = None, data: Optional[bytes] = None) -> str:
        return self(*args, index=index, work_tree=work_tree,
                    data=data).decode("utf-8", "surrogateescape").strip()

    def blob(self, treeish: str, path: str) -> Optional[bytes]:
        """A file of a tree, or None if it is not there."""
        return self.blobs(treeish, [path]).get(path)

    def blobs(self, treeish: str, paths: Iterable[str]) -> Dict[str, bytes]:
        """Those of some files that a tree has, in one call. No line ends in their names."""
        asked = {"%s:%s" % (treeish, path): path for path in paths}
        return {asked[name]: content for name, content in self.objects(asked).items()}

    def objects(self, names: Iterable[str]) -> Dict[str, bytes]:
        """The blobs among the objects that these names stand for, in one call."""
        asked = list(names)
        out = self("cat-file", "--batch", data="".join(
            name + "\n" for name in asked).encode("utf-8", "surrogateescape"))
        found: Dict[str, bytes] = {}
        at = 0
        for name in asked:
            end = out.index(b"\n", at)
            # `ID TYPE SIZE`, or `NAME missing`, whatever is in the name.
            words = out[at:end].split()
            at = end + 1
            if words[-1] == b"missing":
                continue
            size = int(words[2])
            if words[1] == b"blob":
                found[name] = out[at:at + size]
            at += size + 1
        return found

    def write_blobs(self, contents: Iterable[bytes], like: str) -> List[str]:
        """The ids of these contents, which are in the repository afterwards; one call if they
        are there already, else two. like: an id of this repository, for the kind of hash."""
        kind = hashlib.sha256 if len(like) == 64 else hashlib.sha1
        written = list(contents)
        ids = [kind(b"blob %d\0" % len(content) + content).hexdigest() for content in written]
        known = dict(zip(ids, written))
        writer = self.writer
        answer = writer.text("cat-file", "--batch-check",
                             data="".join(blob + "\n" for blob in known).encode())
        missing = [line.split()[0] for line in answer.splitlines()
                   if line.endswith(" missing")]
        if missing:
            with tempfile.TemporaryDirectory(prefix="blobs-", dir=self.dir) as folder:
                for blob in missing:
                    Path(folder, blob).write_bytes(known[blob])
                writer("hash-object", "-w", "--no-filters", "--stdin-paths",
                       work_tree=Path(folder), data="".join(
                           blob + "\n" for blob in missing).encode())
        return ids

    def has_tree(self, tree: str) -> bool:
        try:
            self("cat-file", "-e", tree + "^{tree}")
        except GitFailed:
            return False
        return True


def _quote_alternate(path: Path) -> str:
    """GIT_ALTERNATE_OBJECT_DIRECTORIES takes C-style quotes around odd names."""
    text = str(path)
    if os.pathsep in text or text.startswith('"'):
        return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')
    return text
