# SPDX-License-Identifier: GPL-2.0
"""umthp hook run: what is tested is what is committed, whatever index git hands over."""

import subprocess
import unittest

from fake_kernel import differences, snapshot
from hook_case import BAD, GOOD, HookCase


class IndexTest(HookCase):
    """Each form of git commit has an index of its own."""

    def test_staged_good_and_unstaged_bad_passes_and_the_reverse_blocks(self):
        self.edit(GOOD)
        self.git('add', '-A')
        self.edit(BAD)
        self.passes('commit', '-q', '-m', 'good')
        self.git('add', '-A')
        self.edit(GOOD)
        self.blocks('commit', '-q', '-m', 'bad')

    def test_commit_all(self):
        self.edit(BAD)
        self.git('add', '-A')
        self.edit(GOOD)
        self.passes('commit', '-q', '-a', '-m', 'good')
        self.edit(GOOD)
        self.git('add', '-A')
        self.edit(BAD)
        self.blocks('commit', '-q', '-a', '-m', 'bad')

    def test_commit_of_paths_leaves_out_what_is_staged_besides(self):
        self.edit(GOOD)
        self.set_boot(BAD)
        self.git('add', 'linux.sh')
        self.passes('commit', '-q', '-m', 'good', 'mm/memory.c')
        self.assertEqual(self.git('diff', '--cached', '--name-only'), 'linux.sh\n')
        # The commit makes the kernel fail now; the index would not.
        self.git('commit', '-q', '--no-verify', '-m', 'bad')
        self.edit(GOOD)
        self.git('add', 'linux.sh')
        self.blocks('commit', '-q', '-m', 'bad', 'mm/memory.c')

    def test_commit_of_paths_and_of_the_index(self):
        self.edit(BAD)
        self.git('add', 'mm/memory.c')
        self.set_boot(GOOD)
        self.passes('commit', '-q', '-m', 'good', '-i', 'linux.sh')
        self.edit(BAD)
        self.git('add', 'mm/memory.c')
        self.blocks('commit', '-q', '-m', 'bad', '-i', 'linux.sh')

    def test_commit_of_chosen_hunks(self):
        self.edit(BAD)
        # linux.sh: no; mm/memory.c: yes.
        self.passes('commit', '-q', '-m', 'good', '-p', data='n\ny\n', silent=False)
        self.edit(BAD)
        self.blocks('commit', '-q', '-m', 'bad', '-p', data='y\ny\n')

    def test_index_of_the_users_own(self):
        """GIT_INDEX_FILE of the user, relative to the top and absolute."""
        other = self.top / 'other.index'
        for name in ('../other.index', other):
            with self.subTest(name=name):
                self.git('read-tree', f'--index-output={other}', 'HEAD')
                self.edit(BAD)
                self.git('add', '-A')
                self.edit(GOOD)
                self.try_git('add', '-A', GIT_INDEX_FILE=str(other))
                self.passes('commit', '-q', '-m', 'good', GIT_INDEX_FILE=str(name))
                self.git('add', '-A')
                self.edit(BAD)
                self.try_git('add', '-A', GIT_INDEX_FILE=str(other))
                self.blocks('commit', '-q', '-m', 'bad', GIT_INDEX_FILE=str(name))

    def test_below_the_top(self):
        self.edit(GOOD)
        done = self.try_git('commit', '-q', '-m', 'good', 'memory.c', cwd=self.kernel / 'mm')
        self.assertEqual((done.returncode, done.stdout), (0, ''))
        self.assert_tested()
        self.edit(BAD)
        self.blocks('commit', '-q', '-a', '-m', 'bad', cwd=self.kernel / 'mm')

    def test_split_index_and_objects_elsewhere(self):
        self.git('config', 'core.splitIndex', 'true')
        self.git('update-index', '--split-index')
        self.edit(GOOD)
        self.passes('commit', '-q', '-a', '-m', 'split')
        self.edit(BAD)
        self.blocks('commit', '-q', '-a', '-m', 'split')
        self.edit(GOOD)
        objects = self.top / 'objects'
        objects.mkdir()
        elsewhere = {'GIT_OBJECT_DIRECTORY': str(objects),
                     'GIT_ALTERNATE_OBJECT_DIRECTORIES': str(self.kernel / '.git/objects')}
        self.try_git('add', '-A', **elsewhere)
        done = self.try_git('commit', '-q', '-m', 'elsewhere', **elsewhere)
        self.assertEqual((done.returncode, done.stdout), (0, ''))
        self.assertIn(f'{GOOD} {self.count} ', (self.shadow_of() / 'mm/memory.c').read_text())

    def test_repository_named_by_variables(self):
        """git --git-dir --work-tree: there is no .git in the work tree."""
        where = self.top / 'apart.git'
        (self.kernel / '.git').rename(where)
        words = (f'--git-dir={where}', f'--work-tree={self.kernel}')
        self.edit(GOOD)
        done = self.try_git(*words, 'commit', '-q', '-a', '-m', 'good')
        self.assertEqual((done.returncode, done.stdout), (0, ''))
        self.edit(BAD)
        done = self.try_git(*words, 'commit', '-q', '-a', '-m', 'bad', cwd=self.top)
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn('the commit is not made', done.stdout)

    def test_first_commit_of_a_repository(self):
        for log, status in ((BAD, 1), (GOOD, 0)):
            self.edit(log)
            self.git('checkout', '-q', '--orphan', 'first-' + log)
            self.git('add', '-A', '-f')
            done = self.try_git('commit', '-q', '-m', 'first')
            self.assertEqual(done.returncode, status, done.stdout)
        self.assert_tested()

    def test_deleted_and_renamed_and_new_files(self):
        self.git('rm', '-q', 'mm/rmap.c')
        self.git('mv', 'mm/memory.c', 'mm/memory2.c')
        self.put('linux/mm/new.c', 'int new;\n')
        self.put('linux/mm/not_added.c', 'int not_added;\n')
        self.git('add', 'mm/new.c')
        self.git('add', '-N', 'mm/not_added.c')
        self.passes('commit', '-q', '-m', 'names')

    def test_nothing_of_the_repository_changes(self):
        """The hook itself, with each index that git may name; the whole of .git is compared."""
        self.edit(GOOD)
        self.git('add', '-A')
        self.put('linux/mm/rmap.c', 'int not_staged;\n')
        self.put('linux/mm/new.c', 'int untracked;\n')
        for name in ('index.lock', 'next-index-4711.lock'):
            (self.kernel / '.git' / name).write_bytes((self.kernel / '.git/index').read_bytes())
        before = snapshot(self.kernel)
        for name in ('.git/index', self.kernel / '.git/index.lock',
                     self.kernel / '.git/next-index-4711.lock'):
            with self.subTest(name=name):
                self.expect(0, 'hook', 'run', GIT_INDEX_FILE=str(name), GIT_PREFIX='')
                self.assertEqual(differences(before, snapshot(self.kernel)), [])
                self.assertEqual((self.shadow_of() / 'mm/rmap.c').read_text(), 'int rmap;\n')


class HistoryTest(HookCase):
    """Commits that other commands of git make, and other places to make them."""

    def branches(self, ours, theirs):
        """Two branches that conflict in mm/memory.c, whose kernels pass or fail; on ours."""
        self.git('checkout', '-q', '-B', 'theirs', 'main')
        self.edit(theirs)
        self.git('commit', '-q', '--no-verify', '-a', '-m', 'theirs')
        self.git('checkout', '-q', '-B', 'ours', 'main')
        self.edit(ours)
        self.git('commit', '-q', '--no-verify', '-a', '-m', 'ours')

    def test_merge(self):
        for log in (BAD, GOOD):
            with self.subTest(log=log):
                self.branches(GOOD, BAD)
                self.assertNotEqual(self.try_git('merge', 'theirs').returncode, 0)
                self.edit(log)
                self.git('add', '-A')
                (self.passes if log == GOOD else self.blocks)('commit', '-q', '-m', 'merge')
                self.try_git('merge', '--abort')
        self.assertEqual(len(self.git('rev-list', '--parents', '-1', 'HEAD').split()), 3)

    def test_merge_without_conflict_is_git_s_own_commit(self):
        self.branches(GOOD, BAD)
        self.git('checkout', '-q', '-B', 'ours', 'main')
        self.put('linux/mm/new.c', 'int new;\n')
        self.git('add', '-A')
        self.git('commit', '-q', '--no-verify', '-m', 'ours')
        done = self.try_git('merge', '-q', 'theirs')
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_amend(self):
        self.edit(GOOD)
        self.passes('commit', '-q', '-a', '-m', 'first')
        self.edit(BAD)
        self.git('add', '-A')
        self.blocks('commit', '-q', '--amend', '-m', 'second')
        self.edit(GOOD)
        self.git('add', '-A')
        self.passes('commit', '-q', '--amend', '-m', 'second')
        self.edit(BAD)
        # Only the message: what is in the work tree is not looked at.
        self.assertEqual(self.try_git('commit', '-q', '--amend', '-m', 'third').returncode, 0)

    def test_rebase_and_cherry_pick(self):
        self.branches(GOOD, GOOD)
        done = self.try_git('rebase', '-q', 'theirs')
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.edit(BAD)
        self.git('add', '-A')
        self.blocks('commit', '-q', '-m', 'by hand')
        self.edit(GOOD)
        self.git('add', '-A')
        self.passes('commit', '-q', '-m', 'by hand')
        done = self.try_git('rebase', '--continue')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.put('linux/mm/new.c', 'int new;\n')
        self.git('add', '-A')
        self.passes('commit', '-q', '-m', 'one more')
        self.git('checkout', '-q', 'main')
        self.assertEqual(self.try_git('cherry-pick', 'ours').returncode, 0)

    def test_rebase_that_stops_to_edit(self):
        self.edit(GOOD)
        self.passes('commit', '-q', '-a', '-m', 'first')
        self.put('linux/lib/Kconfig', 'config OTHER\n')
        self.git('commit', '-q', '-a', '-m', 'second')
        done = self.try_git('-c', 'sequence.editor=sed -i 1s/^pick/edit/', 'rebase', '-q', '-i',
                            'HEAD~2')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.edit(BAD)
        self.blocks('commit', '-q', '-a', '--amend', '--no-edit')
        self.edit(GOOD)
        self.passes('commit', '-q', '-a', '--amend', '--no-edit')
        done = self.try_git('rebase', '--continue')
        self.assertEqual(done.returncode, 0, done.stdout)

    def test_worktree(self):
        where = self.top / 'second'
        self.git('worktree', 'add', '-q', where)
        self.edit(BAD)
        self.git('add', '-A')
        self.edit(GOOD, where)
        self.passes('commit', '-q', '-a', '-m', 'good', cwd=where)
        self.edit(BAD, where)
        self.try_git('add', '-A', cwd=where)
        self.edit(GOOD, where)
        self.blocks('commit', '-q', '-m', 'bad', cwd=where)
        self.passes('commit', '-q', '-m', 'good', 'mm/memory.c', 'linux.sh', cwd=where)

    def test_submodule(self):
        outer = self.top / 'outer'
        subprocess.run(['git', 'init', '-q', str(outer)], check=True)
        done = self.try_git('-c', 'protocol.file.allow=always', 'submodule', '--quiet', 'add',
                            self.kernel, 'linux', cwd=outer)
        self.assertEqual(done.returncode, 0, done.stdout)
        where = outer / 'linux'
        self.expect(0, 'hook', 'install', cwd=where)
        self.assertTrue((outer / '.git/modules/linux/hooks/pre-commit').exists())
        self.edit(GOOD, where)
        self.passes('commit', '-q', '-a', '-m', 'good', cwd=where)
        self.edit(BAD, where)
        self.blocks('commit', '-q', '-m', 'bad', 'linux.sh', 'mm/memory.c', cwd=where)
        # The repository around it has no hook, and none of its commits meets one.
        done = self.try_git('commit', '-q', '-a', '-m', 'outer', cwd=outer)
        self.assertEqual((done.returncode, done.stdout), (0, ''))

    def test_no_verify_commits_anything(self):
        self.edit(BAD)
        done = self.try_git('commit', '-q', '-a', '--no-verify', '-m', 'bad')
        self.assertEqual((done.returncode, done.stdout), (0, ''))


if __name__ == '__main__':
    unittest.main()
