# SPDX-License-Identifier: GPL-2.0
"""Static programs for the guest: tools/userland's own, and upstream's selftests from the tree.

The selftests are compiled as they stand in the prepared tree, against its own user headers.
"""
from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import List, Sequence

from .build import check_toolchain
from .cache import make_dir, read_json, write_json
from .console import Console
from .errors import BuildError
from .git import clean_env
from .process import run_logged
from .shadow import Prepared

SOURCES = Path(__file__).resolve().parent.parent / "userland"
SELFTESTS = "tools/testing/selftests"
# What `make headers` reads.
HEADER_INPUTS = ("include/uapi", "arch/x86/include/uapi", "arch/x86/entry/syscalls", "scripts",
                 "usr/include", "tools/include/uapi")
# What the selftests of mm are made of.
SELFTEST_INPUTS = (SELFTESTS + "/mm", SELFTESTS + "/kselftest.h",
                   SELFTESTS + "/kselftest_harness.h",
                   "lib/test_hmm_uapi.h", "mm/gup_test.h")
HELPERS = ("vm_util.c", "hugepage_settings.c", "thp_settings.c")
# hmm-tests on coherent devices: they take memory that exists only when it was set aside, two
# devices of one chunk (256 MiB, lib/test_hmm.c) each at the end of the memory.
COHERENT_MEM = "2560M"
COHERENT_ARGS = ("spm=512M@0x80000000", "test_hmm.spm_addr_dev0=0x80000000",
                 "test_hmm.spm_addr_dev1=0x90000000")
_FLAGS = ("-std=gnu11", "-O2", "-static", "-pthread", "-D_GNU_SOURCE")


class Userland:
    """Programs built for one prepared tree. The caller holds the lock of the tree."""

    def __init__(self, prepared: Prepared, console: Console, jobs: int) -> None:
        self.prepared = prepared
        self.console = console
        self.jobs = jobs
        self.home = make_dir(prepared.home / "userland")
        self.log = make_dir(prepared.home / "logs") / "userland.log"

    def init(self) -> Path:
        """The guest's first process."""
        return self._own("umthp-init", [SOURCES / "init.c"])

    def thp_check(self) -> Path:
        """The check program of `umthp selftest thp`."""
        return self._own("thp-check", sorted((SOURCES / "thp_check").glob("*.[ch]")))

    def hmm_tests(self) -> Path:
        """Upstream's hmm-tests, unmodified."""
        return self.selftest("hmm-tests")

    def selftest(self, name: str) -> Path:
        """A program of tools/testing/selftests/mm, unmodified."""
        headers = self._headers()
        src = self.prepared.src
        mm = src / SELFTESTS / "mm"
        if not (mm / (name + ".c")).exists():
            raise BuildError("the kernel has no %s/mm/%s.c" % (SELFTESTS, name),
                             "use a complete kernel tree")
        # The helpers that they are linked with changed their names over time.
        sources = [mm / file for file in (name + ".c", *HELPERS) if (mm / file).exists()]
        argv = ["gcc", *_FLAGS, "-U_FORTIFY_SOURCE", "-I", src, "-I", src / SELFTESTS,
                "-isystem", headers, "-isystem", src / "tools/include/uapi", *sources, "-lrt"]
        return self._make(name, argv, self._tree_ids(SELFTEST_INPUTS + HEADER_INPUTS), src)

    def _headers(self) -> Path:
        """`make headers` into our own directory: headers_install would need rsync."""
        out = self.home / "headers"
        key = self._tree_ids(HEADER_INPUTS)
        stamp = self.home / "headers.json"
        if read_json(stamp).get("key") != key:
            self.console.status("userland", "user headers of the kernel")
            stamp.unlink(missing_ok=True)
            self._run(["make", "-C", self.prepared.src, "ARCH=x86", "O=%s" % out,
                       "-j%d" % self.jobs, "-s", "headers"], self.home, "user headers")
            write_json(stamp, {"key": key})
        return out / "usr" / "include"

    def _own(self, name: str, files: Sequence[Path]) -> Path:
        """One of ours: file names in messages are relative to tools/userland."""
        digest = hashlib.sha256()
        for path in files:
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
        sources = [path.relative_to(SOURCES) for path in files if path.suffix == ".c"]
        argv = ["gcc", *_FLAGS, "-Wall", "-Wextra", "-Werror", *sources]
        return self._make(name, argv, digest.hexdigest(), SOURCES)

    def _make(self, name: str, argv: Sequence[object], key: str, cwd: Path) -> Path:
        binary = make_dir(self.home / "bin") / name
        stamp = self.home / (name + ".json")
        wanted = {"key": key, "argv": [str(word) for word in argv]}
        if binary.exists() and read_json(stamp) == wanted:
            return binary
        self.console.status("userland", name)
        stamp.unlink(missing_ok=True)
        # A new file, never the old one written over: a guest may be running it.
        temporary = binary.with_name(".%s.%d" % (name, os.getpid()))
        self._run([*argv, "-o", temporary], cwd, name)
        os.replace(temporary, binary)
        write_json(stamp, wanted)
        return binary

    def _run(self, argv: List[object], cwd: Path, what: str) -> None:
        check_toolchain()
        self.log.unlink(missing_ok=True)
        last: List[str] = []
        self.console.command(" ".join(str(word) for word in argv))
        status = run_logged(argv, self.log, env=clean_env(), cwd=cwd, on_line=last.append)
        if status:
            shown = [line for line in last if "error" in line or "cannot find" in line] or last
            no_libc = any("cannot find -l" in line or "stdio.h" in line for line in shown)
            raise BuildError("cannot build %s:\n%s" % (what, "\n".join(shown[-8:])),
                             "Debian: apt install libc6-dev (it has the static libraries)"
                             if no_libc else "see the log", self.log)

    def _tree_ids(self, paths: Sequence[str]) -> str:
        """What git calls the content of these paths in the prepared tree."""
        listing = self.prepared.git("ls-tree", self.prepared.tree, "--", *paths)
        return hashlib.sha256(listing).hexdigest()
