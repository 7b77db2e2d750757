# SPDX-License-Identifier: GPL-2.0
"""umthp gdb: what gdb is started with, by a gdb that only says what it was given."""

import signal
import subprocess
import time
import unittest

from fake_kernel import FakeKernelCase

GDB = '''\
#!/bin/sh
echo "argv: $*"
while [ "$1" != -x ]; do shift; done
cat "$2"
echo "kernel: $(head -c 2 "$3")"
@MORE@
exit @STATUS@
'''


class GdbTest(FakeKernelCase):

    def setUp(self):
        super().setUp()
        self.set_gdb()

    def set_gdb(self, more='', status=0):
        self.put('bin/gdb', GDB.replace('@MORE@', more).replace('@STATUS@', str(status)))
        (self.top / 'bin/gdb').chmod(0o755)

    def environment(self, **change):
        env = super().environment(**change)
        env['PATH'] = f'{self.top / "bin"}:{env["PATH"]}'
        return env

    def give_scripts(self, recipe):
        self.append('Makefile', f'\nscripts_gdb:\n\t{recipe}\n')

    def assert_nothing_is_left(self):
        self.assert_no_child_is_left()
        self.assertEqual(list((self.cache / 'gdb').iterdir()), [])

    def test_breakpoint_on_each_test_and_signals_are_umls(self):
        self.give_scripts('touch $(O)/vmlinux-gdb.py')
        done = self.expect(0, 'gdb', 'trap_good', '--batch', '--ex', 'bt', '--ex', 'info locals')
        lines = done.stdout.splitlines()
        self.assertRegex(lines[0], r'^argv: -q -batch -x \S+/commands \S+/linux$')
        self.assertEqual(lines[-1], 'kernel: #!')
        self.assertLess(lines.index('handle SIGSEGV nostop noprint pass'), lines.index('run'))
        self.assertIn('handle SIGUSR1 nostop noprint pass', lines)
        self.assertEqual([line for line in lines if line.startswith('break ')],
                         ['break plain', 'break skipped', 'break split_order'])
        self.assertEqual(lines[-4:-1], ['run', 'bt', 'info locals'])
        args = next(line for line in lines if line.startswith('set args '))
        self.assertIn(' kunit.filter_glob=trap_good ', args)
        self.assertTrue(args.endswith(' </dev/null'), args)
        source = next(line for line in lines if line.startswith('source '))
        self.assertTrue(source.endswith('/build/gdb/vmlinux-gdb.py'), source)
        self.assert_nothing_is_left()

    def test_without_a_glob_it_stops_at_the_first_suite(self):
        done = self.expect(0, 'gdb', '--batch', '--variant', 'default')
        self.assertIn('break kunit_run_tests', done.stdout)
        self.assertNotIn('\nsource ', done.stdout)
        self.assertIn('without CONFIG_GDB_SCRIPTS', done.stderr)

    def test_scripts_that_cannot_be_made_are_left_out(self):
        self.give_scripts('exit 1')
        done = self.expect(0, 'gdb', '--batch')
        self.assertIn('no lx- commands: make scripts_gdb failed', done.stderr)
        self.assertNotIn('\nsource ', done.stdout)

    def test_words_are_quoted_for_the_shell(self):
        done = self.expect(0, 'gdb', '--batch', '--variant', 'default', '--kernel-args',
                           "a=$(touch${IFS}x) b='c")
        self.assertIn(""" 'a=$(touch${IFS}x)' 'b='"'"'c' """, done.stdout)
        self.assertIn('a line end in', self.expect(
            2, 'gdb', '--batch', '--variant', 'default', '--ex', 'a\nshell id').stderr)

    def test_exit_code_is_gdbs(self):
        self.set_gdb(status=5)
        self.assertEqual(self.umthp('gdb', '--batch', '--variant', 'default').returncode, 5)

    def test_no_gdb(self):
        # Nothing is needed before gdb is missed: an empty directory is enough of a PATH.
        (self.top / 'empty').mkdir()
        done = subprocess.run(self.command('gdb'), cwd=self.kernel, encoding='utf-8',
                              env={**self.environment(), 'PATH': str(self.top / 'empty')},
                              stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn('gdb is not installed', done.stderr)
        self.assertIn('apt install gdb', done.stderr)

    def test_interrupt_ends_gdb_and_the_kernel(self):
        # The kernel that gdb has started is a process as well.
        self.set_gdb(more=f'sh -c "sleep 1000; :" {self.top} & echo started >{self.top}/started; '
                     'exec sleep 1000')
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number.name):
                process = subprocess.Popen(
                    self.command('gdb', '--batch', '--variant', 'default'), cwd=self.kernel,
                    env=self.environment(), stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                deadline = time.monotonic() + 60
                while not (self.top / 'started').exists():
                    self.assertLess(time.monotonic(), deadline)
                process.send_signal(number)
                self.assertEqual(process.wait(60), 128 + number)
                (self.top / 'started').unlink()
                self.assert_nothing_is_left()


if __name__ == '__main__':
    unittest.main()
