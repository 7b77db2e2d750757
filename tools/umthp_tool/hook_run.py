# SPDX-License-Identifier: GPL-2.0
"""umthp hook run: the index that git hands over is tested; the exit code says commit or not.

A commit is stopped by what it brings: a test that fails, a crash, a kernel that does not build.
What is no fault of the commit (the host, the compiler, a kernel that umthp does not support,
umthp itself) is a warning, unless --strict asks for more.
"""
from __future__ import annotations

import argparse
import traceback
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Optional

from . import run_command
from .console import Console
from .context import ROOT, Context
from .errors import (EXIT_FAIL, EXIT_PASS, BuildError, ConfigError, IncompleteError, ToolchainError,
                     UmthpError)
from .git import GitFailed, user_git
from .handed_index import HandedIndex
from .source_tree import is_kernel_tree

PATHS = ROOT / "tools" / "hooks" / "paths"


class HookConsole(Console):
    """Silent as long as all is well; on a terminal, what is going on is seen while it does."""

    def __init__(self, verbose: bool) -> None:
        super().__init__(verbose, quiet=not verbose)

    def status(self, label: str, text: str) -> None:
        if not self._is_tty(self.err):
            return
        quiet, self.quiet = self.quiet, False
        try:
            super().status(label, text)
        finally:
            self.quiet = quiet

    def note(self, text: str) -> None:
        if self.verbose:
            super().note(text)
        else:
            self.status("note", text)


def main(args: argparse.Namespace, context: Context) -> int:
    """Exit code 0: the commit may be made."""
    context.console = console = HookConsole(args.verbose)
    try:
        code = _tested(args, context)
    except UmthpError as error:
        console.clear_status()
        console.error(error.cause, error.fix, error.log)
        if _of_the_commit(error):
            return _stopped(console, error.exit_code)
        return _not_tested(args, console, error.exit_code)
    except Exception:
        # A mistake of umthp itself says nothing about the commit.
        console.clear_status()
        traceback.print_exc()
        return _not_tested(args, console, EXIT_FAIL)
    console.clear_status()
    return code if code == EXIT_PASS else _stopped(console, code)


def _tested(args: argparse.Namespace, context: Context) -> int:
    handed = HandedIndex.take()
    if not is_kernel_tree(handed.top):
        # A hooks directory that several repositories share.
        context.console.detail("%s is no kernel tree: nothing to test" % handed.top)
        return EXIT_PASS
    if not matters(handed, PATHS):
        context.console.detail("nothing is staged that %s names" % PATHS)
        return EXIT_PASS
    args.handed = handed
    # The index may be gone with the commit that is stopped; the kernel stays.
    args.again = ("umthp", "exec")
    return run_command.run(args, context)


def matters(handed: HandedIndex, paths: Path) -> bool:
    """Does the commit change anything that `paths` names? As tools/hooks/pre-commit says."""
    patterns = [line for line in paths.read_text(encoding="utf-8").splitlines()
                if line and not line.startswith("#")]
    changed = user_git(handed.top, "diff-index", "--cached", "--name-only", "--no-renames", "-z",
                       _head_or_empty(handed), "--",
                       env={**handed.env, "GIT_INDEX_FILE": str(handed.index)})
    names = [name for name in changed.decode("utf-8", "surrogateescape").split("\0") if name]
    return any(fnmatchcase(name, pattern) or fnmatchcase(name, pattern + "/*")
               for name in names for pattern in patterns)


def _head_or_empty(handed: HandedIndex) -> str:
    head = _maybe(handed, "rev-parse", "--verify", "--quiet", "HEAD^{commit}")
    # The empty tree, which git knows without having it.
    return head or user_git(handed.top, "hash-object", "-t", "tree", "--stdin", env=handed.env,
                            data=b"").decode().strip()


def _maybe(handed: HandedIndex, *question: str) -> Optional[str]:
    try:
        return user_git(handed.top, *question, env=handed.env).decode().strip()
    except GitFailed:
        return None


def _of_the_commit(error: UmthpError) -> bool:
    return isinstance(error, (BuildError, ConfigError)) \
        and not isinstance(error, (ToolchainError, IncompleteError))


def _stopped(console: Console, code: int) -> int:
    console.error("umthp: the staged kernel fails, the commit is not made",
                  "correct it and stage the correction; `git commit --no-verify` commits it as it "
                  "is")
    return code


def _not_tested(args: argparse.Namespace, console: Console, code: int) -> int:
    if args.strict:
        console.error("umthp: the staged kernel could not be tested, the commit is not made "
                      "(--strict)", "`git commit --no-verify` commits it as it is")
        return code or EXIT_FAIL
    console.warning("umthp: this commit is not tested, for the reason above")
    return EXIT_PASS
