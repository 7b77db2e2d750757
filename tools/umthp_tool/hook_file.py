# SPDX-License-Identifier: GPL-2.0
"""The pre-commit hook in a repository: put there, looked at, taken away.

A hook that is there already is moved aside and called first; uninstall moves it back, the same
file with the same times. Where hooks are is git's own answer, core.hooksPath and worktrees
included.
"""
from __future__ import annotations

import os
import shlex
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import List, Optional, Sequence

from .context import ROOT
from .errors import HostError, UsageError
from .git import GitFailed, user_git
from .source_tree import is_kernel_tree

NAME = "pre-commit"
SAVED = NAME + ".before-umthp"
MARK = "# umthp: the pre-commit hook of `umthp hook install`."
_MADE = "# umthp: directories made for it: "
TOOLS = ROOT / "tools"

# The hook that was there may be a link, a script or a program: it gets what git gives this one,
# and if it fails the commit is stopped, as without umthp.
_TEXT = """\
#!/bin/sh
{mark}
{made}{count}
# `umthp hook uninstall` takes it away, and puts back what was here before.
saved=${{0%/*}}/{saved}
if [ -x "$saved" ]; then
    "$saved" "$@" || exit
fi
umthp_tools={tools}
set -- {options}
if [ -r "$umthp_tools/hooks/pre-commit" ]; then
    . "$umthp_tools/hooks/pre-commit"
    exit
fi
echo "warning: umthp is not in $umthp_tools any more: this commit is not tested" >&2
echo "fix:   umthp hook install, from where it is now; or remove ${{0}}" >&2
exit {without}
"""


@dataclass(frozen=True)
class HookPlace:
    """Where the hooks of a repository are."""

    top: Path
    hooks: Path
    shared: bool        # outside of the repository and its work tree

    @property
    def hook(self) -> Path:
        return self.hooks / NAME

    @property
    def saved(self) -> Path:
        return self.hooks / SAVED

    @classmethod
    def find(cls, where: Path) -> "HookPlace":
        def path(*question: str) -> Path:
            out = user_git(where, "rev-parse", "--path-format=absolute", *question)
            return Path(os.fsdecode(out).removesuffix("\n"))
        try:
            top = path("--show-toplevel")
            # A relative core.hooksPath starts where hooks are run: at the top.
            where = top
            hooks = path("--git-path", "hooks")
            common = path("--git-common-dir")
        except GitFailed as error:
            raise UsageError("%s is not in the work tree of a git repository" % where,
                             "cd to a kernel tree under git") from error
        if not is_kernel_tree(top):
            raise UsageError("%s is not a Linux source tree (no Kbuild, mm/huge_memory.c)" % top,
                             "cd to a kernel tree under git")
        real = hooks.resolve()
        own = [common.resolve(), top.resolve()]
        return cls(top, hooks, not any(base == real or base in real.parents for base in own))


def is_ours(hook: Path) -> bool:
    """Is this the hook of an `umthp hook install`, of whatever version?"""
    return MARK in _text(hook)


def _text(hook: Path) -> str:
    try:
        if not stat.S_ISREG(hook.lstat().st_mode):
            return ""
        return hook.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError:
        return ""


def made_text(options: Sequence[str], made: int) -> str:
    """The hook with these options of `umthp hook run`."""
    return _TEXT.format(mark=MARK, made=_MADE, count=made, saved=SAVED,
                        tools=shlex.quote(str(TOOLS)),
                        options=" ".join(shlex.quote(word) for word in options),
                        without=1 if "--strict" in options else 0)


def options_of(hook: Path) -> str:
    """What an installed hook gives to `umthp hook run`, quoted."""
    for line in _text(hook).splitlines():
        if line.startswith("set -- "):
            return line[len("set -- "):]
    return ""


def tools_of(hook: Path) -> Optional[Path]:
    """The tools/ that an installed hook calls; a path may have line ends in it."""
    _before, _name, rest = _text(hook).partition("\numthp_tools=")
    try:
        words = shlex.split(rest.partition("\nset -- ")[0])
    except ValueError:
        return None
    return Path(words[0]) if words else None


def renamed(place: HookPlace) -> List[Path]:
    """umthp's hook under another name: a tool that was installed later has moved it aside."""
    if not place.hooks.is_dir():
        return []
    return [path for path in sorted(place.hooks.glob(NAME + "*"))
            if path not in (place.hook, place.saved) and is_ours(path)]


def install(place: HookPlace, options: Sequence[str]) -> bool:
    """Put the hook there; True if another one was there and is called first from now on."""
    moved = renamed(place)
    if moved:
        raise UsageError("umthp's hook is already there as %s, called by another tool's hook"
                         % moved[0], "leave it; or take the other tool's away first")
    exists = os.path.lexists(place.hook)
    ours = exists and is_ours(place.hook)
    if exists and not ours and os.path.lexists(place.saved):
        raise UsageError("%s has replaced umthp's hook, and what was there before it is %s"
                         % (place.hook, place.saved),
                         "remove or rename one of the two, then install again")
    try:
        made = _made(place.hook) if ours else _make_dirs(place.hooks)
        _replace(place, made_text(options, made), keep=exists and not ours)
    except OSError as error:
        raise HostError("cannot write %s: %s" % (place.hook, error.strerror or error),
                        "make the directory writable, or call `umthp hook run` from your own "
                        "hook") from error
    return os.path.lexists(place.saved)


def _make_dirs(hooks: Path) -> int:
    """Make the directory; returns how many it took."""
    missing = [path for path in [hooks, *hooks.parents] if not path.exists()]
    hooks.mkdir(parents=True, exist_ok=True)
    return len(missing)


def _made(hook: Path) -> int:
    for line in _text(hook).splitlines():
        if line.startswith(_MADE) and line[len(_MADE):].isdigit():
            return int(line[len(_MADE):])
    return 0


def _replace(place: HookPlace, text: str, keep: bool) -> None:
    """At each moment there is one whole hook, the old one or the new one."""
    handle, name = tempfile.mkstemp(dir=place.hooks, prefix=".umthp-")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="surrogateescape") as stream:
            stream.write(text)
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(name, 0o777 & ~umask)
        if keep:
            try:
                os.link(place.hook, place.saved, follow_symlinks=False)
            except OSError:
                # No hard links on this file system: for a moment there is no hook.
                os.rename(place.hook, place.saved)
        os.replace(name, place.hook)
    except BaseException:
        os.unlink(name)
        raise


def uninstall(place: HookPlace) -> bool:
    """Take the hook away; False if there is none. What was there before is put back."""
    if not is_ours(place.hook):
        moved = renamed(place)
        if moved:
            raise UsageError("another tool's %s calls umthp's hook, %s" % (place.hook, moved[0]),
                             "take that one away with its own tool first, or remove %s" % moved[0])
        if os.path.lexists(place.hook) and os.path.lexists(place.saved):
            raise UsageError("%s is not umthp's any more; what was there before umthp is %s"
                             % (place.hook, place.saved),
                             "put together by hand what you want to keep")
        if not os.path.lexists(place.saved):
            return False
    try:
        if os.path.lexists(place.saved):
            os.replace(place.saved, place.hook)
            return True
        made = _made(place.hook)
        place.hook.unlink()
        _remove_dirs(place.hooks, made)
    except OSError as error:
        raise HostError("cannot change %s: %s" % (place.hooks, error.strerror or error),
                        "make the directory writable") from error
    return True


def _remove_dirs(hooks: Path, made: int) -> None:
    for path in [hooks, *hooks.parents][:made]:
        try:
            path.rmdir()
        except OSError:
            # Somebody else has put something there.
            return
