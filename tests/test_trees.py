# SPDX-License-Identifier: GPL-2.0
"""What is tested: the user's tree as it is, read only, in a shadow that changes little."""

import contextlib
import fcntl
import os
import shutil
import subprocess
import tarfile
import unittest
from unittest import mock

from fake_kernel import FakeKernelCase, differences, snapshot

from umthp_tool.console import Console
from umthp_tool.errors import HostError
from umthp_tool.source import Package


class UserTreeTest(FakeKernelCase):

    def run_and_read(self, name, *arguments):
        """Run on the tree; the text that the shadow has for a file afterwards."""
        self.expect(0, 'run', *arguments)
        file = self.shadow / name
        return file.read_text(encoding='utf-8') if file.exists() else None

    def test_tree_and_its_git_are_bit_identical_after_a_run(self):
        self.put('linux/mm/memory.c', 'int edited;\n')
        self.put('linux/mm/new.c', 'int untracked;\n')
        self.put('linux/mm/rmap.c', 'int staged;\n')
        self.git('add', 'mm/rmap.c')
        # Out of date on purpose: `git status` would rewrite it.
        os.utime(self.kernel / 'mm/memremap.c')
        before = snapshot(self.kernel)
        for arguments in (('run',), ('run', '--staged'), ('run', '--rev', 'HEAD'), ('build',),
                          ('list',)):
            with self.subTest(arguments=arguments):
                self.expect(0, *arguments)
                self.assertEqual(differences(before, snapshot(self.kernel)), [])

    def test_edits_deletions_and_untracked_files_are_tested(self):
        self.put('linux/mm/memory.c', 'int edited;\n')
        self.put('linux/mm/new.c', 'int untracked;\n')
        os.unlink(self.kernel / 'lib/Kconfig')
        self.assertEqual(self.run_and_read('mm/memory.c'), 'int edited;\n')
        self.assertEqual((self.shadow / 'mm/new.c').read_text(), 'int untracked;\n')
        self.assertFalse((self.shadow / 'lib/Kconfig').exists())

    def test_restored_edits_leave_the_shadow_again(self):
        self.put('linux/mm/memory.c', 'int edited;\n')
        self.put('linux/mm/new.c', 'int untracked;\n')
        self.run_and_read('mm/memory.c')
        self.put('linux/mm/memory.c', 'int memory;\n')
        os.unlink(self.kernel / 'mm/new.c')
        self.assertEqual(self.run_and_read('mm/memory.c'), 'int memory;\n')
        self.assertFalse((self.shadow / 'mm/new.c').exists())

    def test_staged_tests_the_index_and_not_the_work_tree(self):
        self.put('linux/mm/memory.c', 'int staged;\n')
        self.git('add', 'mm/memory.c')
        self.put('linux/mm/memory.c', 'int not_staged;\n')
        self.assertEqual(self.run_and_read('mm/memory.c', '--staged'), 'int staged;\n')

    def test_rev_tests_the_commit(self):
        self.put('linux/mm/memory.c', 'int second;\n')
        self.commit('second')
        self.put('linux/mm/memory.c', 'int edited;\n')
        self.assertEqual(self.run_and_read('mm/memory.c', '--rev', 'HEAD~1'), 'int memory;\n')
        self.assertEqual(self.run_and_read('mm/memory.c', '--rev', 'HEAD'), 'int second;\n')

    def test_edit_of_same_size_in_the_same_second_is_seen(self):
        """The racy-git case: trap 10 of the copied index."""
        for number in range(8):
            with self.subTest(number=number):
                file = self.kernel / 'mm/memory.c'
                file.write_text(f'int a{number};\n')
                self.git('add', 'mm/memory.c')
                file.write_text(f'int b{number};\n')
                info = os.stat(self.kernel / '.git/index')
                os.utime(file, ns=(info.st_mtime_ns, info.st_mtime_ns))
                self.assertEqual(self.run_and_read('mm/memory.c'), f'int b{number};\n')

    def test_only_changed_files_get_a_new_mtime(self):
        self.expect(0, 'run')
        before = {path: path.stat().st_mtime_ns for path in self.shadow.rglob('*')
                  if path.is_file()}
        self.put('linux/mm/memory.c', 'int edited;\n')
        self.expect(0, 'run')
        changed = [str(path.relative_to(self.shadow)) for path, mtime in before.items()
                   if path.stat().st_mtime_ns != mtime]
        self.assertEqual(changed, ['mm/memory.c'])

    def test_nothing_changed_builds_nothing_and_one_edit_builds_one_object(self):
        # Three objects and the link.
        self.assertIn('4 objects', self.expect(0, 'run', '-v').stderr)
        self.assertIn('up to date', self.expect(0, 'run', '-v').stderr)
        with open(self.kernel / 'mm/huge_memory.c', 'a', encoding='utf-8') as file:
            file.write('int edited;\n')
        # The object and the link.
        self.assertIn('2 objects', self.expect(0, 'run', '-v').stderr)

    def test_shadow_that_somebody_changed_is_put_back_before_a_build(self):
        self.expect(0, 'run')
        path = self.shadow / 'mm/memory.c'
        text = path.read_text()
        path.write_text('int tampered_with;\n')
        next(self.cache.glob('trees/*/build/default/linux')).unlink()
        self.assertIn('put back', self.expect(0, 'run').stderr)
        self.assertEqual(path.read_text(), text)

    def test_command_works_below_the_top_of_the_tree(self):
        self.expect(0, 'run', cwd=self.kernel / 'mm')
        self.assertTrue((self.shadow / 'mm/memory.c').exists())

    def test_ignored_build_products_and_dot_config_are_left_out(self):
        self.put('linux/mm/memory.o', 'object')
        self.put('linux/.config', 'CONFIG_X86=y\n')
        self.expect(0, 'run')
        self.assertFalse((self.shadow / 'mm/memory.o').exists())
        self.assertFalse((self.shadow / '.config').exists())

    def test_debian_gitignore_that_ignores_everything_hides_no_new_file(self):
        self.put('linux/.gitignore', '/*\n!/debian/\n')
        self.put('linux/mm/new.c', 'int untracked;\n')
        self.put('linux/mm/memory.o', 'object')
        self.assertEqual(self.run_and_read('mm/new.c'), 'int untracked;\n')
        self.assertFalse((self.shadow / 'mm/memory.o').exists())

    def test_git_variables_of_a_hook_do_not_redirect_anything(self):
        other = self.top / 'other'
        subprocess.run(['git', 'init', '-q', str(other)], check=True)
        before = snapshot(other)
        self.expect(0, 'run', GIT_DIR=str(other / '.git'), GIT_WORK_TREE=str(other),
                    GIT_INDEX_FILE=str(other / '.git/index'))
        self.assertEqual(differences(before, snapshot(other)), [])

    def test_hostile_names_are_names(self):
        names = ['mm/$(touch pwned).c', 'mm/`touch pwned`.c', 'mm/a b\'c"d.c', 'mm/new\nline.c',
                 'mm/-rf.c', 'mm/\x1b[2J.c', 'mm/*?.c', ':(top)x.c']
        for name in names:
            self.put(f'linux/{name}', name)
        self.git('checkout', '-q', '-b', "x$(touch${IFS}pwned)'\"")
        result = self.expect(0, 'run')
        self.assertNotIn('\x1b', result.stdout + result.stderr)
        for name in names:
            self.assertEqual((self.shadow / name).read_text(), name)
        self.assertEqual(list(self.top.rglob('pwned')), [])

    def test_path_of_the_tree_may_be_hostile(self):
        for name in ("it's $(touch pwned)", 'new\nline', '-rf', 'a:b'):
            with self.subTest(name=name):
                where = self.top / name
                self.make_kernel(where)
                self.expect(0, 'run', '--kernel', where, cwd=self.top)
                before = snapshot(where)
                subprocess.run(['git', 'init', '-q', '.'], cwd=where, check=True)
                self.expect(0, 'run', '--kernel', where, cwd=self.top)
                self.assertEqual([path for path in differences(before, snapshot(where))
                                  if not path.startswith('.git/') and path != '.git'], [])
        self.assertEqual(list(self.top.rglob('pwned')), [])

    def test_symlinks_are_kept_as_links_and_never_written_through(self):
        outside = self.top / 'outside'
        self.put('outside/file', 'mine\n')
        (self.kernel / 'mm/out').symlink_to(outside / 'file')
        (self.kernel / 'lib/out').symlink_to(outside)
        before = snapshot(outside)
        self.expect(0, 'run')
        self.assertEqual(os.readlink(self.shadow / 'mm/out'), str(outside / 'file'))
        self.assertEqual(os.readlink(self.shadow / 'lib/out'), str(outside))
        os.unlink(self.kernel / 'mm/out')
        self.put('linux/mm/out', 'a file now\n')
        os.unlink(self.kernel / 'lib/out')
        self.put('linux/lib/out/file', 'a directory now\n')
        self.expect(0, 'run')
        self.assertEqual((self.shadow / 'mm/out').read_text(), 'a file now\n')
        self.assertEqual((self.shadow / 'lib/out/file').read_text(), 'a directory now\n')
        self.assertEqual(differences(before, snapshot(outside)), [])

    def test_overlay_through_a_symlinked_directory_is_refused(self):
        """mm/tests as a link to elsewhere: the new files must not land there."""
        outside = self.top / 'outside'
        outside.mkdir()
        (self.kernel / 'mm/tests').symlink_to(outside)
        self.umthp('run')
        self.assertEqual(list(outside.iterdir()), [])

    def test_edited_shadow_is_put_back_when_the_build_fails(self):
        self.expect(0, 'run')
        self.put(self.shadow / 'mm/huge_memory.c', 'BROKEN\n')
        self.put('linux/mm/memremap.c',
                 (self.kernel / 'mm/memremap.c').read_text() + 'int edited;\n')
        self.expect(0, 'run')
        self.assertNotIn('BROKEN', (self.shadow / 'mm/huge_memory.c').read_text())


class OtherSourcesTest(FakeKernelCase):

    def test_plain_tree_is_tested_and_not_written_to(self):
        plain = self.top / 'plain'
        self.make_kernel(plain)
        self.put('plain/mm/huge_memory.o', 'object')
        before = snapshot(plain)
        self.expect(0, 'run', '--kernel', plain, cwd=self.top)
        self.assertEqual(differences(before, snapshot(plain)), [])
        self.assertFalse((self.shadow / 'mm/huge_memory.o').exists())
        self.put('plain/mm/memory.c', 'int edited;\n')
        self.expect(0, 'run', '--kernel', plain, cwd=self.top)
        self.assertEqual((self.shadow / 'mm/memory.c').read_text(), 'int edited;\n')

    def test_tarball_is_imported_once_and_again_when_it_changes(self):
        plain = self.top / 'linux-7.3.4'
        self.make_kernel(plain)
        for kind in ('xz', 'gz'):
            with self.subTest(kind=kind):
                ball = self.top / f'linux-7.3.4.tar.{kind}'
                with tarfile.open(ball, f'w:{kind}') as archive:
                    archive.add(plain, 'linux-7.3.4')
                self.expect(0, 'run', '--kernel', ball, cwd=self.top)
                self.assertIn('up to date',
                              self.expect(0, 'run', '-v', '--kernel', ball, cwd=self.top).stderr)

    def test_import_waits_for_one_of_the_same_source_only(self):
        plain = self.top / 'linux-7.3.4'
        self.make_kernel(plain)
        for name in ('one', 'two'):
            (plain / 'name').write_text(name)
            with tarfile.open(self.top / f'{name}.tar', 'w') as archive:
                archive.add(plain, 'linux-7.3.4')
        self.expect(0, 'build', '--kernel', self.top / 'one.tar', cwd=self.top)
        lock = next(self.cache.glob('sources/tarball-one*.lock/lock'))
        shutil.rmtree(next(self.cache.glob('sources/tarball-one*.git')))
        with open(lock, 'w', encoding='ascii') as held:
            fcntl.flock(held, fcntl.LOCK_EX)
            other = self.expect(0, 'build', '--kernel', self.top / 'two.tar', cwd=self.top)
            self.assertNotIn('waiting for another', other.stderr)
            self.assertIn('in use', self.expect(7, 'clean', '--all').stderr)
            same = subprocess.Popen(
                self.command('build', '--kernel', self.top / 'one.tar'), cwd=self.top,
                env=self.environment(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE, encoding='utf-8')
            self.assertIn('waiting for another', same.stderr.readline())
            self.assertEqual(list(self.cache.glob('sources/tarball-one*.git')), [])
        same.communicate(timeout=60)
        self.assertEqual(same.returncode, 0)
        self.assertEqual(len(list(self.cache.glob('sources/tarball-one*.git'))), 1)

    def test_packages_share_neither_lock_nor_apt(self):
        """No package can be fetched here: apt is where its import ends."""
        seen = []

        def apt(directory, console):
            seen.append(str(directory))
            raise HostError('no apt')

        @contextlib.contextmanager
        def locked(directory, console):
            seen.append(str(directory))
            yield
        for kernel in self.support.kernels:
            with mock.patch('umthp_tool.apt_source.AptSource', apt), \
                    mock.patch('umthp_tool.source.locked', locked), \
                    self.assertRaises(HostError):
                Package(kernel, self.cache, Console(quiet=True)).read(self.top / 'git')
        self.assertEqual(len(seen), 2 * len(self.support.kernels))
        self.assertEqual(len(set(seen)), len(seen), seen)

    def test_tarball_that_reaches_outside_is_refused(self):
        plain = self.top / 'linux-7.3.4'
        self.make_kernel(plain)
        ball = self.top / 'evil.tar'
        with tarfile.open(ball, 'w') as archive:
            archive.add(plain, 'linux-7.3.4')
            archive.add(plain / 'Makefile', 'linux-7.3.4/../../../pwned')
        result = self.umthp('run', '--kernel', ball, cwd=self.top)
        self.assertNotIn('Traceback', result.stderr)
        self.assertEqual(list(self.top.rglob('pwned')), [])

    def test_file_that_is_no_tarball_is_refused(self):
        self.put('x.tar.xz', 'this is text')
        result = self.expect(2, 'run', '--kernel', self.top / 'x.tar.xz', cwd=self.top)
        self.assertIn('x.tar.xz', result.stderr)


if __name__ == '__main__':
    unittest.main()
