# SPDX-License-Identifier: GPL-2.0
"""The throw-away repository in which umthp export commits what it then formats."""
from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import List, Mapping, Optional, Sequence, Tuple, Union

from . import series
from .git import Git
from .shadow import Prepared

# A file of a commit: its text, or mode and blob; None if it is removed.
Content = Union[bytes, Tuple[str, str], None]


@dataclass(frozen=True)
class Person:
    """Neither has line ends or angle brackets."""

    name: str
    mail: str

    def __str__(self) -> str:
        return "%s <%s>" % (self.name, self.mail)


class Repository:
    """Commits on top of a source tree. What it writes goes to a directory of its own."""

    def __init__(self, directory: Path, prepared: Prepared, sender: Person) -> None:
        self.directory = directory
        self.git = Git(directory / "git", [prepared.git.dir / "objects", *prepared.git.alternates],
                       prepared.git.foreign)
        self.git.init("sha256" if len(prepared.source_tree) == 64 else "sha1")
        self.sender = sender
        self.date = "%d +0000" % time.time()
        self.tip = ""

    def start(self, tree: str, commit: Optional[str]) -> None:
        """Begin at this tree, which is that of the commit if there is one."""
        if commit:
            # Nobody asks for its parents, and a shallow clone does not have them.
            (self.git.dir / "shallow").write_text(commit + "\n", encoding="ascii")
            self.tip = commit
        else:
            writer = self.git.bring([tree])
            self.tip = writer.text("-c", "user.name=base", "-c", "user.email=base", "commit-tree",
                                   tree, data=b"base\n")

    def commit(self, commits: "Sequence[Commit]", branch: str) -> None:
        """Put them on top of each other, on top of what is there."""
        if not commits:
            return
        stream = [b"feature done\n"]
        for number, one in enumerate(commits):
            stream.append(("commit refs/heads/%s\nauthor %s %s\ncommitter %s %s\n" % (
                branch, one.author or self.sender, self.date, self.sender, self.date)).encode())
            stream.append(_data(one.message.rstrip("\n") + "\n"))
            if number == 0:
                stream.append(b"from %s\n" % self.tip.encode())
            for path, content in one.files.items():
                name = _quoted(path)
                if content is None:
                    stream.append(b"D %s\n" % name)
                elif isinstance(content, bytes):
                    stream += [b"M 100644 inline %s\n" % name, _data(content)]
                else:
                    stream.append(b"M %s %s %s\n" % (content[0].encode(), content[1].encode(),
                                                     name))
        stream.append(b"done\n")
        # One pack: unpacked, objects that the user has as well would be touched there.
        self.git("-c", "fastimport.unpackLimit=0", "fast-import", "--quiet", "--done",
                 data=b"".join(stream))
        self.tip = self.git.text("rev-parse", "--verify", "refs/heads/" + branch)

    def format(self, start: str, folder: Path, options: Sequence[str]) -> List[Path]:
        """git format-patch of what came after `start`, with a cover letter; the files."""
        self.git("-c", "user.name=" + self.sender.name, "-c", "user.email=" + self.sender.mail,
                 "-c", "diff.renames=false", "format-patch", "-q", "--cover-letter", "--signoff",
                 "--signature=", "-o", folder, *options, "%s..%s" % (start, self.tip))
        return sorted(folder.glob("*.patch"))


@dataclass(frozen=True)
class Commit:
    """The signature of who sends it comes with git format-patch."""

    message: str
    files: Mapping[str, Content]
    author: Optional[Person] = None


class Patches:
    """Patch files, applied one after the other to an index that holds only what they touch."""

    def __init__(self, repository: Repository, tree: str,
                 patches: Sequence[series.Patch]) -> None:
        self.index = repository.directory / "index"
        self.now = series.tree_entries(repository.git, tree, sorted(
            {name for patch in patches for name in patch.files}))
        self.git = repository.git.bring([*(blob for _mode, blob in self.now.values()), *(
            blob for patch in patches for blob in patch.bases)])
        series.fill_index(self.git, self.index, self.now)

    def apply(self, patch: series.Patch) -> Mapping[str, Content]:
        """The files that it changes; GitFailed if it does not fit."""
        saved = self.index.read_bytes()
        try:
            self.git("apply", "--cached", "--3way", "--whitespace=nowarn", patch.path,
                     index=self.index)
        except BaseException:
            self.index.write_bytes(saved)
            raise
        before, self.now = self.now, series.index_entries(
            self.git("ls-files", "-s", "-z", index=self.index))
        return {path: self.now.get(path) for path in patch.files
                if self.now.get(path) != before.get(path)}

    def have(self, patch: series.Patch) -> bool:
        """Is it in the tree already?"""
        return series.applied(self.git, self.index, patch)


def _data(content: Union[bytes, str]) -> bytes:
    raw = content.encode("utf-8", "surrogateescape") if isinstance(content, str) else content
    return b"data %d\n%s\n" % (len(raw), raw)


def _quoted(path: str) -> bytes:
    """A path for git fast-import, in quotes as of C."""
    raw = path.encode("utf-8", "surrogateescape")
    return b'"%s"' % raw.replace(b"\\", b"\\\\").replace(b'"', b'\\"').replace(b"\n", b"\\n")
