# SPDX-License-Identifier: GPL-2.0
"""What every command needs: the cache, the console, a prepared tree, a built kernel, a boot.

For a module that adds a command (selftest.py): give it `register(subparsers)` and
`main(args, context)`, and use

    with context.kernel(args) as kernel:      # prepared, built, tree locked
        boot = context.launcher(args).boot(kernel.binary, [...], log)
"""
from __future__ import annotations

import argparse
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Dict, Iterator, Optional

from . import source as sources
from .boot import DEFAULT_TIMEOUT, NEED_BYTES, Launcher
from .build import Builder, Kernel
from .cache import cache_root, locked, make_dir
from .console import Console
from .errors import BuildError
from .git import Git
from .kernels import Support, load_support
from .shadow import ALREADY_THERE, Layout, Prepared, last, prepare

ROOT = Path(__file__).resolve().parent.parent.parent


class Context:
    """One invocation of the command."""

    def __init__(self, args: argparse.Namespace, console: Console) -> None:
        self.args = args
        self.console = console
        um_config = Path(getattr(args, "um_config", None) or ROOT / "um_config").absolute()
        self.layout = Layout(um_config=um_config, kunit=ROOT / "kunit",
                             kunitconfig=ROOT / "kunitconfig",
                             expected=ROOT / "tests" / "expected_tests")
        self.known_bugs = ROOT / "tests" / "known_bugs"
        self.trace = ROOT / "tests" / "trace"
        self.seconds: Dict[str, float] = {"sync": 0.0, "build": 0.0, "run": 0.0}
        self.prepared: Optional[Prepared] = None
        self.affected: Dict[str, Any] = {}      # what --json says of it
        self._support: Optional[Support] = None
        self._cache: Optional[Path] = None

    @property
    def cache(self) -> Path:
        """The cache directory, created on first use."""
        if getattr(self.args, "dry_run", False):
            return cache_root()
        if self._cache is None:
            self._cache = make_dir(cache_root())
        return self._cache

    @property
    def support(self) -> Support:
        if self._support is None:
            self._support = load_support(self.layout.um_config)
        return self._support

    def source(self) -> sources.Source:
        """The kernel source that the command line means, or git in a hook."""
        handed = getattr(self.args, "handed", None)
        if handed is not None:
            return sources.Directory(handed.top.resolve(), self.console, handed=handed)
        return sources.choose(
            self.args.kernel, self.support, self.cache, self.console,
            rev=getattr(self.args, "rev", None), staged=getattr(self.args, "staged", False),
            update=getattr(self.args, "update", False), since=getattr(self.args, "since", None))

    @contextmanager
    def tree(self, below: str = "trees") -> Iterator[Prepared]:
        """The prepared tree, locked for as long as the block runs.

        below: the directory of the cache for it; another than `trees` is another checkout.
        """
        source = self.source()
        if getattr(self.args, "dry_run", False):
            home = cache_root() / below / source.key
            self.console.say("source %s" % source.described)
            yield Prepared(home, home / "src", "", "", "", source.described, "",
                           Git(home / "git"))
            return
        home = make_dir(self.cache / below) / source.key
        with locked(home, self.console):
            start = time.monotonic()
            prepared = prepare(source, home, self.support, self.layout, self.console)
            self.prepared = prepared
            self.seconds["sync"] = time.monotonic() - start
            self.console.step("tree", "%s  (%s)" % (prepared.described, prepared.version))
            self.console.step("series", prepared.note, self.seconds["sync"])
            if prepared.note == ALREADY_THERE:
                self.console.note(prepared.note)
            yield prepared

    @contextmanager
    def last_tree(self) -> Iterator[Prepared]:
        """The tree as the last command left it, locked; nothing is read or moved."""
        source = self.source()
        home = self.cache / "trees" / source.key
        if not home.is_dir():
            raise BuildError("no kernel was built from %s yet" % source.described,
                             "umthp build, with the same --kernel")
        with locked(home, self.console):
            yield last(home, source)

    @contextmanager
    def kernel(self, variant: Optional[str] = None) -> Iterator[Kernel]:
        """A kernel built from that tree, still locked."""
        with self.tree() as prepared:
            kernel = self.builder().build(prepared, variant or self.args.variant)
            if getattr(self.args, "dry_run", False):
                yield kernel
                return
            self.seconds["build"] = kernel.seconds
            self.console.step("build", "%s: %s" % (kernel.variant, "up to date" if not kernel.made
                                                   else "%d objects" % kernel.made),
                              kernel.seconds)
            yield kernel

    def builder(self) -> Builder:
        return Builder(self.layout, self.cache, self.console, getattr(self.args, "jobs", None),
                       getattr(self.args, "dry_run", False), self.support.make)

    def launcher(self, timeout: int = DEFAULT_TIMEOUT, need: int = NEED_BYTES) -> Launcher:
        """Starts UML as the command line and its variant want it; the arguments are defaults."""
        variant = getattr(self.args, "variant", "")
        return Launcher(self.console, getattr(self.args, "timeout", None) or timeout,
                        getattr(self.args, "seccomp", None), need,
                        self.support.arguments.get(variant, ()))

    def log_dir(self, prepared: Prepared) -> Path:
        return make_dir(prepared.home / "logs")
