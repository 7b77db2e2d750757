# SPDX-License-Identifier: GPL-2.0
"""A repository with umthp's hook in it, and what a commit there must do."""

import hashlib
import subprocess
from pathlib import Path

from fake_kernel import FakeKernelCase

from umthp_tool.console import Console
from umthp_tool.source import Directory

GOOD, BAD = 'good', 'test_failed'
# What the fake project's series and hooks change, and what its kunit/ adds.
CHANGED = {'arch/um/kernel/mem.c', 'mm/Kconfig', 'mm/Makefile'}
ADDED = {'mm/tests/Kconfig', 'mm/tests/Makefile', 'mm/tests/x_kunit.c'}


def blob_id(content: bytes) -> str:
    return hashlib.sha1(b'blob %d\0' % len(content) + content).hexdigest()


class HookCase(FakeKernelCase):
    """Its kernel passes or fails by the recorded log that linux.sh names.

    linux.sh is none of the paths that matter, so an edit goes to mm/memory.c as well.
    """

    installed = True

    def setUp(self):
        super().setUp()
        if self.installed:
            self.expect(0, 'hook', 'install')
        self.count = 0

    def edit(self, log=GOOD, where=None):
        """An edit of mm/ that makes the kernel pass or fail."""
        self.count += 1
        where = where or self.kernel
        self.set_boot(log, where=where)
        self.put(where / 'mm/memory.c', f'int memory; /* {log} {self.count} */\n')

    def try_git(self, *arguments, cwd=None, data=None, **env):
        """git as the user types it, with the output that he sees."""
        return subprocess.run(
            ['git', '-c', 'user.name=t', '-c', 'user.email=t@example.org', *map(str, arguments)],
            cwd=cwd or self.kernel, input=data or '', stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding='utf-8', errors='surrogateescape', timeout=300,
            env=self.environment(GIT_EDITOR='true', **env), check=False)

    def shadow_of(self, top=None) -> Path:
        """The shadow of a work tree; its kernel is built from what is there."""
        key = Directory((top or self.kernel).resolve(), Console()).key
        return self.cache / 'trees' / key / 'src'

    def assert_tested(self, revision='HEAD', top=None):
        """The kernel that was run last is this commit with the series, byte by byte."""
        top = top or self.kernel
        shadow = self.shadow_of(top)
        listing = self.try_git('ls-tree', '-r', '-z', revision, cwd=top).stdout
        wanted = {}
        for entry in listing.split('\0')[:-1]:
            meta, name = entry.split('\t', 1)
            wanted[name] = meta.split()[2]
        found = {str(path.relative_to(shadow)): blob_id(path.read_bytes())
                 for path in shadow.rglob('*') if path.is_file()}
        self.assertEqual(set(found), set(wanted) | ADDED)
        self.assertEqual({name for name in wanted if found[name] != wanted[name]}, CHANGED)
        self.assertEqual((shadow.parent / 'build/default/linux').read_bytes(),
                         (shadow / 'linux.sh').read_bytes())

    def passes(self, *arguments, silent=True, **options):
        """The command makes a commit; the hook has tested that tree, and says nothing."""
        done = self.try_git(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stdout)
        if silent:
            self.assertEqual(done.stdout, '')
        self.assert_tested(top=options.get('cwd'))

    def blocks(self, *arguments, **options):
        """The command makes no commit, and the user learns which test fails."""
        cwd = options.get('cwd')
        before = self.try_git('rev-parse', 'HEAD', cwd=cwd).stdout
        done = self.try_git(*arguments, **options)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertNotIn('Traceback', done.stdout)
        self.assertIn('FAIL  trap_fail.split_fails[order3]', done.stdout)
        self.assertIn('reproduce: umthp exec trap_fail.split_fails', done.stdout)
        self.assertIn('the commit is not made', done.stdout)
        self.assertEqual(self.try_git('rev-parse', 'HEAD', cwd=cwd).stdout, before)
        return done.stdout
