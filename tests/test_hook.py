# SPDX-License-Identifier: GPL-2.0
"""umthp hook: the commit that is made is the tree that was tested, whatever index git hands over."""

import os
import subprocess
import unittest

from fake_kernel import FakeKernelCase, differences, snapshot

GOOD, BAD = 'good', 'test_failed'


class HookCase(FakeKernelCase):
    """A repository with the hook. Its kernel passes or fails by the recorded log in linux.sh.

    linux.sh is none of the paths that matter, so each test edits mm/memory.c along with it, as a
    commit of an mm developer does.
    """

    def setUp(self):
        super().setUp()
        self.expect(0, 'hook', 'install')
        self.count = 0

    def edit(self, log=GOOD, where=None):
        """An edit of mm/ that makes the kernel pass or fail."""
        self.count += 1
        where = where or self.kernel
        self.set_boot(log, where=where)
        self.put(where / 'mm/memory.c', f'int memory; /* {log} {self.count} */\n')

    def try_git(self, *arguments, cwd=None, **env):
        """git as the user types it, with the output that he sees."""
        return subprocess.run(
            ['git', '-c', 'user.name=t', '-c', 'user.email=t@example.org', *map(str, arguments)],
            cwd=cwd or self.kernel, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, encoding='utf-8', errors='surrogateescape', timeout=300,
            env=self.environment(GIT_EDITOR='true', **env), check=False)

    def passes(self, *arguments, silent=True, **options):
        """The command makes a commit, and the hook has tested that tree and says nothing."""
        done = self.try_git(*arguments, **options)
        self.assertEqual(done.returncode, 0, done.stdout)
        if silent:
            self.assertEqual(done.stdout, '')
        cwd = options.get('cwd') or self.kernel
        tree = subprocess.run(['git', 'rev-parse', 'HEAD^{tree}'], cwd=cwd, check=True,
                              stdout=subprocess.PIPE, encoding='utf-8',
                              env=self.environment()).stdout.strip()
        self.assertEqual(self.tested(cwd), tree)

    def blocks(self, *arguments, **options):
        """The command makes no commit, and says which test fails."""
        cwd = options.get('cwd') or self.kernel
        before = self.try_git('rev-parse', 'HEAD', cwd=cwd).stdout
        done = self.try_git(*arguments, **options)
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertNotIn('Traceback', done.stdout)
        self.assertIn('FAIL  trap_bad', done.stdout)
        self.assertIn('the commit is not made', done.stdout)
        self.assertEqual(self.try_git('rev-parse', 'HEAD', cwd=cwd).stdout, before)
        return done.stdout
