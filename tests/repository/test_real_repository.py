# SPDX-License-Identifier: GPL-2.0
"""In a git repository of a real kernel: an edit, the hook, a range, a bisection.

tests/test_*.py have every form of these on a tiny repository. Here are 90000 files, real compiles
and real boots: minutes, and 3 GiB in the cache for as long as it takes.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

from support import PROJECT, TREE

from umthp_tool.cache import read_json
from umthp_tool.console import Console
from umthp_tool.source import Directory

# What is edited, and lines of it that all splits go through, with the bugs that are planted. Folios
# with a wrong count are waited for when the device goes away, those with a wrong statistic are not.
FILE = 'mm/huge_memory.c'
COUNT = ('folio_ref_unfreeze(folio, folio_cache_ref_count(folio) + 1);',
         'folio_ref_unfreeze(folio, folio_cache_ref_count(folio) + 2);')
LINE = 'mod_mthp_stat(split_order, MTHP_STAT_NR_ANON, nr_new_folios);'
BUG = 'mod_mthp_stat(split_order, MTHP_STAT_NR_ANON, nr_new_folios + 1);'
# Lines that a patch of the series has around its own ones.
CONTEXT = '\tselect ARCH_HAS_CACHE_LINE_SIZE\n'
CONFLICT = '\tselect ARCH_HAS_CACHE_LINE_SIZE if 64BIT\n'
GLOB = 'device_private_thp_split_unmapped'
MINUTE = 60
GIT = ('git', '-c', 'user.name=t', '-c', 'user.email=t@example.org')

HOME = TREE.parent if TREE else Path()      # <cache>/trees/KEY
CACHE = HOME.parent.parent


def git(*arguments, cwd):
    return subprocess.run([*GIT, *map(str, arguments)], cwd=cwd, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, encoding='utf-8', timeout=10 * MINUTE,
                          check=True).stdout.strip()


def setUpModule():
    """One repository for all tests, so that its kernel is built once."""
    sources = [path for path in CACHE.glob(f'sources/{HOME.name}_*.git')
               if read_json(path / 'umthp.json').get('tree')]
    if not TREE or not sources:
        raise unittest.SkipTest('no kernel of a package: run `tools/umthp build` first')
    folder = tempfile.mkdtemp(prefix='umthp-repository-', dir=CACHE)
    unittest.addModuleCleanup(shutil.rmtree, folder)
    top = RepositoryCase.top = Path(folder, 'linux')
    # What umthp makes of it
    key = RepositoryCase.key = Directory(top.resolve(), Console()).key
    unittest.addModuleCleanup(shutil.rmtree, CACHE / 'trees' / key, ignore_errors=True)
    git('init', '-q', '-b', 'main', top, cwd=folder)
    (top / '.git/objects/info/alternates').write_text(f'{sources[-1] / "objects"}\n')
    tree = read_json(sources[-1] / 'umthp.json')['tree']
    base = RepositoryCase.base = git('commit-tree', '-m', 'base', tree, cwd=top)
    git('reset', '-q', '--hard', base, cwd=top)


class RepositoryCase(unittest.TestCase):
    top = Path()
    key = base = ''

    @classmethod
    def git(cls, *arguments):
        return git(*arguments, cwd=cls.top)

    def setUp(self):
        self.git('checkout', '-q', '-f', '-B', 'main', self.base)
        self.count = 0

    def umthp(self, exit_code, *arguments):
        done = subprocess.run(self.command(*arguments), cwd=self.top, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8',
                              timeout=40 * MINUTE, check=False)
        self.assertEqual(done.returncode, exit_code, done.stdout)
        return done.stdout

    @staticmethod
    def command(*arguments):
        return [sys.executable, str(PROJECT / 'tools/umthp'), *arguments]

    def edit(self, *changes, file=FILE):
        """Replace text of a file, and add a comment that it did not have before."""
        self.count += 1
        path = self.top / file
        text = path.read_text(encoding='utf-8')
        for old, new in changes:
            self.assertEqual(text.count(old), 1, old)
            text = text.replace(old, new)
        comment = f'# {self.count}' if path.name == 'Kconfig' else f'/* {self.count} */'
        path.write_text(f'{text}{comment}\n', encoding='utf-8')

    def commit(self, *changes, file=FILE):
        self.edit(*changes, file=file)
        self.git('commit', '-q', '-a', '-m', f'change {self.count}')
        return self.git('rev-parse', 'HEAD')


class EditTest(RepositoryCase):

    def compiled_since(self, start):
        """Objects of sources; those that any link makes are at the top."""
        build = CACHE / 'trees' / self.key / 'build/default'
        return {str(path.relative_to(build)) for path in build.rglob('*/*.o')
                if path.stat().st_mtime >= start} - {'init/version-timestamp.o'}

    def test_planted_bug_is_named_and_one_object_is_compiled(self):
        self.umthp(0, 'run', GLOB)
        self.edit(COUNT)
        before = self.git('status', '--porcelain')
        start = time.time()
        report = self.top.parent / 'report.json'
        output = self.umthp(1, 'run', GLOB, '--json', report)
        self.assertEqual(self.compiled_since(start), {'mm/huge_memory.o'})
        (suite,) = json.loads(report.read_text(encoding='utf-8'))['suites']
        failed = [test['name'] for test in suite['tests'] if test['status'] == 'failed']
        # Every order that has a split fails.
        self.assertEqual({int(order) for name in failed
                          for order in re.findall(r'\[order(\d)', name)}, set(range(2, 10)))
        self.assertIn('refcount is 2, expected 1', output)
        self.assertIn(f'reproduce: umthp run {GLOB}.', output)
        self.assertEqual(self.git('status', '--porcelain'), before)
        self.edit(COUNT[::-1])
        self.umthp(0, 'run', GLOB)


class HookTest(RepositoryCase):

    def setUp(self):
        super().setUp()
        self.umthp(0, 'hook', 'install')
        self.addCleanup(self.umthp, 0, 'hook', 'uninstall')

    def try_commit(self, *arguments):
        return subprocess.run([*GIT, 'commit', '-m', 'x', *arguments], cwd=self.top,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding='utf-8', timeout=40 * MINUTE,
                              check=False)

    def test_what_is_staged_decides(self):
        self.edit()
        self.git('add', '-u')
        self.edit((LINE, BUG))
        done = self.try_commit()
        self.assertEqual(done.returncode, 0, done.stdout)
        # The reverse: the bug is staged, and corrected in the work tree only.
        self.git('add', '-u')
        self.edit((BUG, LINE))
        head = self.git('rev-parse', 'HEAD')
        done = self.try_commit()
        self.assertNotEqual(done.returncode, 0, done.stdout)
        self.assertRegex(done.stdout, r'(?m)^FAIL ')
        self.assertEqual(self.git('rev-parse', 'HEAD'), head)

    def test_documentation_is_committed_at_once(self):
        self.edit(file='Documentation/mm/transhuge.rst')
        start = time.monotonic()
        done = self.try_commit('-a', '--no-verify')
        bare = time.monotonic() - start
        self.assertEqual(done.returncode, 0, done.stdout)
        self.edit(file='Documentation/mm/transhuge.rst')
        start = time.monotonic()
        done = self.try_commit('-a')
        took = time.monotonic() - start
        self.assertEqual(done.returncode, 0, done.stdout)
        # No boot, no compile, no walk over the tree: of a kind with the commit itself.
        self.assertLess(took, bare + 2, f'{bare:.2f} s without the hook')


class HistoryTest(RepositoryCase):

    def test_range_has_a_verdict_for_each_commit(self):
        good, bad, late = self.commit(), self.commit((LINE, BUG)), self.commit((BUG, LINE))
        output = self.umthp(1, 'run', GLOB, '--range', f'{self.base}..{late}', '--keep-going')
        verdicts = re.findall(r'^([0-9a-f]{12}) +(\w+)', output, re.M)
        self.assertEqual([(good[:12], 'pass'), (bad[:12], 'FAIL'), (late[:12], 'pass')],
                         verdicts, output)

    def test_bisection_finds_the_bug_among_commits_that_cannot_be_tested(self):
        """git looks in the middle first: at one that does not build, then at a conflict."""
        special = {
            7: (FILE, (LINE, LINE + ' (')), 8: (FILE, (LINE + ' (', LINE)),
            9: ('arch/um/Kconfig', (CONTEXT, CONFLICT)),
            11: ('arch/um/Kconfig', (CONFLICT, CONTEXT)), 12: (FILE, (LINE, BUG))}
        commits = [self.base]
        for number in range(1, 15):
            file, *changes = special.get(number, (FILE,))
            commits.append(self.commit(*changes, file=file))
        for good, skipped in ((0, 7), (4, 9)):
            with self.subTest(good=good):
                self.git('bisect', 'start', commits[-1], commits[good])
                log = self.git('bisect', 'run', *self.command('run', '--bisect', '-q', GLOB))
                self.assertIn(f'{commits[12]} is the first bad commit', log)
                self.assertIn(f'# skip: [{commits[skipped]}]', self.git('bisect', 'log'))
                self.git('bisect', 'reset')
                self.assertEqual(self.git('status', '--porcelain'), '')


if __name__ == '__main__':
    unittest.main()
