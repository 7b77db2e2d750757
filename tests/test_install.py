# SPDX-License-Identifier: GPL-2.0
"""make install: the command works from where it was put, and uninstall takes nothing else."""

import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

from support import PROJECT


def files(top):
    return sorted(str(path.relative_to(top)) for path in top.rglob('*'))


class InstallTest(unittest.TestCase):

    def setUp(self):
        self.top = Path(tempfile.mkdtemp(prefix='umthp-test-'))
        self.addCleanup(shutil.rmtree, self.top)
        self.prefix = self.top / "it's a prefix"

    def make(self, target, code=0, *words, **env):
        done = subprocess.run(['make', '-s', '-C', str(PROJECT), target,
                               f'PREFIX={self.prefix}', *words],
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8',
                              env={**os.environ, **env}, check=False)
        self.assertEqual(done.returncode, code, done.stdout)
        return done.stdout

    def umthp(self, *words):
        done = subprocess.run([str(self.prefix / 'bin/umthp'), *words], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, encoding='utf-8', cwd=self.top,
                              env={**os.environ, 'UMTHP_CACHE': str(self.top / 'cache')},
                              check=False)
        self.assertEqual(done.returncode, 0, done.stdout)
        return done.stdout

    def test_installed_command_has_its_tables(self):
        self.assertIn('is not in your PATH', self.make('install'))
        self.assertIn('smp', self.umthp('list', '--variants'))
        self.assertIn('LB11', self.umthp('list', '--known-bugs'))
        self.assertIn('linux-source-7.3-smp', self.umthp('ci-matrix'))
        self.assertIn('seed 26', self.umthp('list', '--trace'))
        self.umthp('run', '--dry-run', '--kernel', 'linux-source-7.3')
        self.assertEqual(list(self.prefix.rglob('*.log')), [])

    def test_manual_and_completion_are_where_they_are_looked_for(self):
        self.make('install', PATH=f'{self.prefix}/bin:{os.environ["PATH"]}')
        share = self.prefix / 'share'
        self.assertTrue((share / 'man/man1/umthp.1').read_text().startswith('.\\"'))
        self.assertTrue((share / 'zsh/site-functions/_umthp').read_text().startswith('#compdef'))
        done = subprocess.run(
            ['bash', '-c', f'. "{share}/bash-completion/completions/umthp"\n'
             'COMP_WORDS=(umthp run --variant sm) COMP_CWORD=3; _umthp umthp\n'
             'echo "${COMPREPLY[@]}"'], stdout=subprocess.PIPE, encoding='utf-8', check=False,
            env={**os.environ, 'PATH': f'{self.prefix}/bin:{os.environ["PATH"]}'})
        self.assertEqual(done.stdout, 'smp\n')

    def test_uninstall_leaves_what_was_there_before(self):
        for name in ('bin/other', 'share/man/man1/other.1'):
            (self.prefix / name).parent.mkdir(parents=True)
            (self.prefix / name).touch()
        before = [path for path in files(self.prefix) if (self.prefix / path).is_file()]
        self.make('install')
        self.make('install')
        self.make('uninstall')
        self.assertEqual([path for path in files(self.prefix)
                          if (self.prefix / path).is_file() or (self.prefix / path).is_symlink()],
                         before)

    def test_does_not_replace_what_is_not_its_own(self):
        (self.prefix / 'bin').mkdir(parents=True)
        (self.prefix / 'bin/umthp').write_text('mine')
        self.assertIn('no link of ours', self.make('install', 2))
        self.assertEqual((self.prefix / 'bin/umthp').read_text(), 'mine')
        (self.prefix / 'bin/umthp').unlink()
        (self.prefix / 'share/umthp').mkdir(parents=True)
        (self.prefix / 'share/umthp/mine').touch()
        for target in ('install', 'uninstall'):
            self.assertIn('was not made by this command', self.make(target, 2))
        self.assertTrue((self.prefix / 'share/umthp/mine').exists())

    def test_destdir_and_relative_prefix(self):
        self.prefix = Path('/opt/umthp')
        self.make('install', 0, DESTDIR=str(self.top / 'pkg'))
        link = self.top / 'pkg/opt/umthp/bin/umthp'
        self.assertTrue(link.resolve().is_file())
        self.assertFalse(Path('/opt/umthp').exists())
        self.prefix = Path('relative')
        self.assertIn('no absolute path', self.make('install', 2))

    def test_says_where_it_cannot_write(self):
        # Nor can root.
        self.prefix = Path('/proc/umthp')
        self.assertIn('cannot write to /proc/umthp', self.make('install', 2))


if __name__ == '__main__':
    unittest.main()
