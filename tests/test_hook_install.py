# SPDX-License-Identifier: GPL-2.0
"""umthp hook install and uninstall: nobody's hook is lost; a broken host stops no commit."""

import os
import re
import shutil
import stat
import subprocess
import sys
import time
import unittest
from pathlib import Path
from resource import RUSAGE_CHILDREN, getrusage

from fake_kernel import FakeKernelCase, snapshot
from hook_case import BAD, GOOD, HookCase
from support import PROJECT

from umthp_tool.handed_index import HandedIndex
from umthp_tool.hook_run import PATHS, matters

# What the user had: says that it ran, and fails if there is a file `veto`.
OTHER = '#!/bin/sh\necho "other: $0 $# $GIT_INDEX_FILE"\n! [ -e veto ]\n'


def files(top):
    """All but the times of directories, and of links to a file: what uninstall must bring back."""
    return {path: entry if not stat.S_ISDIR(entry[0]) else entry[0]
            for path, (mode, mtime, _ctime, inode, content) in snapshot(top).items()
            for entry in [(mode, mtime, inode, content)]}


class InstallTest(HookCase):

    installed = False

    def setUp(self):
        super().setUp()
        self.hooks = self.kernel / '.git/hooks'

    def round_trip(self, hooks, *words, chained=True):
        """Install, commit well and badly, install again, uninstall: as before."""
        before = files(self.kernel)
        self.expect(0, 'hook', 'install', *words)
        self.expect(0, 'hook', 'install', *words)
        self.assertIn('runs then', self.expect(0, 'hook', 'status').stdout)
        self.assertTrue((hooks / 'pre-commit').is_file())
        self.edit(GOOD)
        done = self.try_git('commit', '-q', '-a', '-m', 'good')
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertEqual('other: ' in done.stdout, chained)
        self.assert_tested()
        self.edit(BAD)
        self.blocks('commit', '-q', '-a', '-m', 'bad')
        if chained:
            self.put('linux/veto', '')
            done = self.try_git('commit', '-q', '-a', '-m', 'bad')
            self.assertEqual(done.returncode, 1)
            self.assertRegex(done.stdout, r'^other: \S+ 0 \S+index.lock\n$')
            os.unlink(self.kernel / 'veto')
        self.git('reset', '-q', '--hard', 'HEAD~1')
        self.expect(0, 'hook', 'uninstall')
        self.expect(0, 'hook', 'uninstall')
        self.expect_not_installed()
        self.assertEqual({path: entry for path, entry in files(self.kernel).items()
                          if path.startswith('.git/hooks') or '.git/' not in path
                          and Path(path) not in (Path('mm/memory.c'), Path('linux.sh'))},
                         {path: entry for path, entry in before.items()
                          if path.startswith('.git/hooks') or '.git/' not in path
                          and Path(path) not in (Path('mm/memory.c'), Path('linux.sh'))})

    def expect_not_installed(self):
        result = self.umthp('hook', 'status')
        self.assertEqual(result.returncode, 1)
        self.assertIn('not installed', result.stdout)

    def other(self, path, mode=0o755):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(OTHER)
        path.chmod(mode)
        os.utime(path, ns=(10**18, 10**18))

    def test_no_hook_before(self):
        self.round_trip(self.hooks, chained=False)

    def test_no_hooks_directory_before(self):
        shutil.rmtree(self.hooks)
        self.round_trip(self.hooks, chained=False)
        self.assertFalse(self.hooks.exists())

    def test_hook_before_runs_first_and_comes_back(self):
        self.other(self.hooks / 'pre-commit', 0o750)
        self.round_trip(self.hooks)

    def test_link_before(self):
        self.other(self.top / 'elsewhere/hook')
        self.hooks.mkdir(exist_ok=True)
        (self.hooks / 'pre-commit').symlink_to('../../../elsewhere/hook')
        self.round_trip(self.hooks)

    def test_hook_that_is_switched_off_stays_so(self):
        self.other(self.hooks / 'pre-commit', 0o644)
        self.round_trip(self.hooks, chained=False)

    def test_hooks_path(self):
        for value, hooks in (('.githooks/a', self.kernel / '.githooks/a'),
                             (self.top / 'shared', self.top / 'shared')):
            for chained in (False, True):
                with self.subTest(value=value, chained=chained):
                    self.git('config', 'core.hooksPath', value)
                    if chained:
                        self.other(hooks / 'pre-commit')
                    outside = snapshot(hooks) if hooks.exists() else None
                    self.round_trip(hooks, chained=chained)
                    self.assertFalse(any(self.hooks.glob('pre-commit')))
                    if outside is None:
                        self.assertFalse(hooks.exists())
                    else:
                        self.assertEqual(list(snapshot(hooks)), list(outside))

    def test_shared_directory_is_said_and_harms_no_other_repository(self):
        shared = self.top / 'shared'
        self.put('home/.gitconfig', f'[core]\n\thooksPath = {shared}\n')
        self.assertIn('not of this repository alone', self.expect(0, 'hook', 'install').stderr)
        other = self.top / 'other'
        subprocess.run(['git', 'init', '-q', str(other)], check=True)
        self.put('other/mm/x.c', 'int x;\n')
        self.try_git('add', '-A', cwd=other)
        done = self.try_git('commit', '-q', '-m', 'x', cwd=other)
        self.assertEqual((done.returncode, done.stdout), (0, ''))
        self.assertFalse((self.cache / 'trees').exists())

    def test_hook_of_a_tool_that_came_later_is_left_alone(self):
        self.other(self.hooks / 'pre-commit')
        self.expect(0, 'hook', 'install')
        os.unlink(self.hooks / 'pre-commit')
        self.other(self.hooks / 'pre-commit')
        before = files(self.kernel)
        for action in ('install', 'uninstall'):
            self.assertIn('pre-commit.before-umthp', self.expect(2, 'hook', action).stderr)
        self.assertEqual(files(self.kernel), before)
        # The way of the pre-commit framework: ours under another name, called by theirs.
        os.unlink(self.hooks / 'pre-commit')
        (self.hooks / 'pre-commit.before-umthp').rename(self.hooks / 'pre-commit')
        self.expect(0, 'hook', 'install')
        (self.hooks / 'pre-commit').rename(self.hooks / 'pre-commit.legacy')
        self.put(self.hooks / 'pre-commit', '#!/bin/sh\nexec "$0.legacy"\n')
        (self.hooks / 'pre-commit').chmod(0o755)
        for action in ('install', 'uninstall'):
            self.assertIn('pre-commit.legacy', self.expect(2, 'hook', action).stderr)
        self.assertIn('pre-commit.legacy', self.expect(0, 'hook', 'status').stdout)
        self.edit(BAD)
        self.assertIn('other: ', self.blocks('commit', '-q', '-a', '-m', 'bad'))

    def test_options_and_hostile_paths_reach_the_run(self):
        hostile = self.top / "it's $(touch pwned) \"new\"\nline"
        hostile.mkdir()
        self.project = self.project.rename(hostile / 'project')
        self.expect(0, 'hook', 'install', '--strict', '--timeout', '7', '--jobs', '1', 'trap_*')
        self.edit(BAD)
        self.blocks('commit', '-q', '-a', '-m', 'bad')
        self.assertIn('--strict --jobs 1 --timeout 7',
                      self.expect(0, 'hook', 'status').stdout.replace('\\x0a', ''))
        self.assertIn("'trap_*'", (self.hooks / 'pre-commit').read_text())
        self.assertEqual(list(self.top.rglob('pwned')), [])
        for words in (('--variant', 'nosuch'), ('a b',), ('--jobs', '0')):
            self.assertEqual(self.umthp('hook', 'install', *words).returncode, 2)

    def test_elsewhere_is_refused(self):
        plain = self.top / 'plain'
        plain.mkdir()
        for action in ('install', 'uninstall', 'status'):
            self.assertIn('is not in the work tree', self.expect(
                2, 'hook', action, cwd=plain).stderr)
        subprocess.run(['git', 'init', '-q', str(plain)], check=True)
        self.assertIn('is not a Linux source tree', self.expect(
            2, 'hook', 'install', cwd=plain).stderr)


class HostTest(HookCase):
    """What is no fault of the commit is a warning; with --strict it stops the commit."""

    def passes_with(self, text, strict=True, **env):
        """The commit is made and the user is told, unless it is strict."""
        self.edit(GOOD)
        done = self.try_git('commit', '-q', '-a', '-m', 'x', **env)
        self.assertEqual(done.returncode, 0, done.stdout)
        self.assertIn(text, done.stdout)
        self.assertRegex(done.stdout, '(?m)^warning: .* not tested')
        if strict:
            self.expect(0, 'hook', 'install', '--strict')
            self.edit(GOOD)
            before = self.git('rev-parse', 'HEAD')
            done = self.try_git('commit', '-q', '-a', '-m', 'x', **env)
            self.assertNotEqual(done.returncode, 0, done.stdout)
            self.assertIn(text, done.stdout)
            self.assertEqual(self.git('rev-parse', 'HEAD'), before)

    def tools_without(self, *missing):
        """A PATH that has everything but these."""
        folder = self.top / 'bin'
        folder.mkdir()
        for name in ('sh', 'git', 'cat', 'cp', 'mv', 'mkdir', 'chmod', 'grep', 'make', 'gcc',
                     'ld', 'flex', 'bison', 'bc', 'perl', 'env', 'sed', 'true', 'uname'):
            path = shutil.which(name)
            if path and name not in missing:
                (folder / name).symlink_to(path)
        if 'python3' not in missing:
            (folder / 'python3').symlink_to(sys.executable)
        return str(folder)

    def test_no_compiler(self):
        self.passes_with('gcc', PATH=self.tools_without('gcc'))

    def test_no_python(self):
        self.passes_with('umthp cannot run here', PATH=self.tools_without('python3'))

    def test_cache_that_cannot_be_written(self):
        self.put('file', '')
        self.passes_with('cannot write to the cache', UMTHP_CACHE=str(self.top / 'file'))

    def test_umthp_is_gone(self):
        self.project.rename(self.top / 'moved')
        self.passes_with('umthp is not in', strict=False)
        self.project = self.top / 'moved'
        self.assertEqual(self.umthp('hook', 'status').returncode, 1)
        self.expect(0, 'hook', 'install')
        self.edit(GOOD)
        self.passes('commit', '-q', '-a', '-m', 'again')
        self.expect(0, 'hook', 'install', '--strict')
        self.project.rename(self.top / 'moved again')
        self.edit(GOOD)
        self.assertEqual(self.try_git('commit', '-q', '-a', '-m', 'x').returncode, 1)

    def test_host_that_cannot_run_uml(self):
        self.git('config', 'alias.x', 'commit')
        path = self.project / 'tools/umthp_tool/run_boots.py'
        path.write_text(path.read_text().replace(
            'def boots(', 'def boots(*words):\n    raise HostError("no ptrace", "buy one")\n\n\n'
            'def boots_(', 1))
        self.passes_with('no ptrace')

    def test_series_that_does_not_apply(self):
        self.put('linux/arch/um/kernel/mem.c', 'int um_memory;\n')
        self.passes_with('the series does not apply')

    def test_mistake_of_umthp(self):
        path = self.project / 'tools/umthp_tool/run_boots.py'
        path.write_text(path.read_text().replace('def boots(', 'def boots(*words):\n    1 / 0\n'
                                                 '\n\ndef boots_(', 1))
        self.passes_with('ZeroDivisionError')

    def test_what_the_commit_brings_stops_it(self):
        for log, text in (('panic_in_the_middle', 'CRASH'), ('zero_tests', 'NOTHING RAN'),
                          ('warning_in_passing_test', 'SPLAT')):
            with self.subTest(log=log):
                self.edit(log)
                done = self.try_git('commit', '-q', '-a', '-m', 'x')
                self.assertEqual(done.returncode, 1, done.stdout)
                self.assertIn(text, done.stdout)
        self.edit(GOOD)
        self.append('mm/huge_memory.c', 'BROKEN\n')
        done = self.try_git('commit', '-q', '-a', '-m', 'x')
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn('mm/huge_memory.c:1:1: error: it is broken', done.stdout)
        self.assertIn('the commit is not made', done.stdout)


class FastPathTest(HookCase):
    """Nothing staged that matters: one git, no Python, and no more time than that git takes."""

    def setUp(self):
        super().setUp()
        self.put('linux/lib/Kconfig', 'config OTHER\n')
        self.put('linux/drivers/net/mm/x.c', 'int x;\n')
        self.put('linux/mm/memory.c', 'int not_staged;\n')
        self.git('add', 'drivers')
        self.hook = self.kernel / '.git/hooks/pre-commit'

    def started(self, *arguments):
        """The programs that the command starts, by name."""
        folder = self.top / 'bin'
        log = self.top / 'started'
        folder.mkdir(exist_ok=True)
        log.write_text('')
        for name in ('git', 'python3', 'cat', 'grep', 'sed', 'env'):
            path = folder / name
            path.write_text(f'#!/bin/sh\necho {name} >>{log}\nexec {shutil.which(name)} "$@"\n')
            path.chmod(0o755)
        done = subprocess.run(arguments, cwd=self.kernel, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8',
                              env=self.environment(PATH=f'{folder}:{os.environ["PATH"]}'),
                              timeout=300, check=False)
        self.assertEqual((done.returncode, done.stdout), (0, ''))
        return log.read_text().split()

    def test_one_git_and_no_python(self):
        self.assertEqual(self.started(self.hook), ['git'])
        self.assertFalse((self.cache / 'trees').exists())
        self.git('reset', '-q')
        self.assertEqual(self.started(self.hook), ['git'])
        self.git('add', 'mm/memory.c')
        self.assertIn('python3', self.started(self.hook))
        self.assertTrue((self.cache / 'trees').exists())

    def test_shell_and_python_agree_about_what_matters(self):
        """Each line of tools/hooks/paths, met and just missed."""
        lines = [line for line in PATHS.read_text().splitlines()
                 if line and not line.startswith('#')]
        self.assertIn('mm', lines)
        names = {'mmx/a.c': False, 'drivers/mm/a.c': False, 'Documentation/mm/a.rst': False,
                 'include/linux/usb.h': False, 'arch/x86/mm/a.c': False, 'Makefiles': False,
                 'mm/tests/a b.c': True, 'mm/new\nline.c': True, 'mm/\u00e9.c': True,
                 'include/linux/mm/deep.h': True}
        for line in lines:
            names[line.replace('*', '') + ('' if '.' in line or '*' in line else '/x.c')] = True
        self.git('reset', '-q')
        for path in ('Makefile', 'Kbuild', 'Kconfig'):
            names.pop(path + '/x.c', None)
        self.put('linux/blob', 'x\n')
        blob = self.git('hash-object', '-w', 'blob').strip()
        probe = self.project / 'tools/umthp'
        probe.write_text('#!/bin/sh\nexit 42\n')
        for name, wanted in names.items():
            with self.subTest(name=name):
                self.git('read-tree', 'HEAD')
                self.git('update-index', '--add', '--cacheinfo', f'100644,{blob},{name}')
                done = self.try_hook()
                self.assertEqual(done.returncode, 42 if wanted else 0, done.stdout)
                self.assertEqual(matters(HandedIndex.take(self.kernel), PATHS), wanted)

    def try_hook(self):
        return subprocess.run([str(self.hook)], cwd=self.kernel, env=self.environment(),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding='utf-8', check=False)

    def best(self, argv, count):
        """The least that one of several calls takes: (seconds, seconds of CPU)."""
        wall, busy = [], []
        for _ in range(count):
            start, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
            subprocess.run(argv, cwd=self.kernel, env=self.environment(), check=True,
                           stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
            after = getrusage(RUSAGE_CHILDREN)
            wall.append(time.perf_counter() - start)
            busy.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        return min(wall), min(busy)

    def test_time_of_a_small_and_of_a_large_index(self):
        """On a quiet machine 0.1 s; on a busy one CPU time tells, in view of git's own."""
        diff = ['git', 'diff', '--cached', '--name-only']
        for size, count in ((0, 15), (90000, 7)):
            with self.subTest(size=size):
                self.grow(size)
                _wall, floor = self.best(diff, count)
                _wall, shell = self.best(['sh', '-c', ':'], count)
                wall, busy = self.best([str(self.hook)], count)
                self.assertLessEqual(busy, 1.5 * (floor + shell) + 0.01)
                if size == 0:
                    self.assertLessEqual(min(wall, busy), 0.1)
        self.assertFalse((self.cache / 'trees').exists())

    def grow(self, size):
        """So many files in HEAD and in the index, as many as a kernel has."""
        if not size:
            return
        self.put('linux/blob', 'x\n')
        blob = self.git('hash-object', '-w', 'blob').strip()
        lines = ''.join(f'100644 {blob}\tdrivers/d{number // 75}/f{number % 75}.c\n'
                        for number in range(size))
        subprocess.run(['git', 'update-index', '--index-info'], cwd=self.kernel, check=True,
                       env=self.environment(), input=lines, encoding='utf-8')
        self.git('commit', '-q', '--no-verify', '-m', 'many')
        self.git('update-index', '--cacheinfo', f'100644,{self.git("rev-parse", "HEAD:Makefile")}'
                 .strip() + ',drivers/d1/f1.c')


class FrameworkTest(FakeKernelCase):
    """.pre-commit-hooks.yaml: what the pre-commit framework would call."""

    def test_entry_is_the_hook_and_works_alone(self):
        text = (PROJECT / '.pre-commit-hooks.yaml').read_text()
        fields = dict(re.findall(r'^[- ] (\w+): (.*)$', text, re.M))
        self.assertEqual((fields['id'], fields['language'], fields['pass_filenames']),
                         ('umthp', 'script', 'false'))
        entry = self.project / fields['entry']
        self.assertTrue(os.access(PROJECT / fields['entry'], os.X_OK))
        for log, status in ((GOOD, 0), (BAD, 1)):
            self.set_boot(log)
            self.put('linux/mm/memory.c', f'int memory; /* {log} */\n')
            self.git('add', '-A')
            done = subprocess.run([str(entry)], cwd=self.kernel, env=self.environment(),
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, encoding='utf-8', check=False)
            self.assertEqual(done.returncode, status, done.stdout)
        self.assertIn('the commit is not made', done.stdout)


if __name__ == '__main__':
    unittest.main()
