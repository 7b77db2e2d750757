# SPDX-License-Identifier: GPL-2.0
"""Signals in the middle, several runs at once, cleaning: the cache stays usable."""

import shutil
import signal
import subprocess
import time
import unittest

from fake_kernel import FakeKernelCase


class InterruptTest(FakeKernelCase):

    def test_interrupted_boot_and_build_go_on_later(self):
        stages = (
            ('boot', lambda: self.set_boot('hang'),
             lambda: any(self.cache.glob('trees/*/logs/run-default.log')),
             lambda: self.set_boot('good')),
            ('build', lambda: self.append('mm/huge_memory.c', 'SLOW\n'),
             lambda: 'CC      mm/huge_memory.o' in ''.join(
                 path.read_text() for path in self.cache.glob('trees/*/logs/build-default.log')),
             lambda: self.git('checkout', 'mm/huge_memory.c')))
        for number in (signal.SIGINT, signal.SIGTERM):
            for name, slow, reached, heal in stages:
                with self.subTest(stage=name, signal=number.name):
                    shutil.rmtree(self.cache, ignore_errors=True)
                    slow()
                    status, output = self.interrupted(number, reached, 'run')
                    self.assertEqual(status, 128 + number, output)
                    self.assertIn('interrupted by ' + number.name, output)
                    self.assert_no_child_is_left()
                    heal()
                    self.expect(0, 'run')

    def test_interrupted_sync_goes_on_later(self):
        """Kill without warning, at several moments of the move to another tree."""
        self.expect(0, 'run')
        state = next(self.cache.glob('trees/*/git/shadow.json'))
        for number in range(4):
            with self.subTest(number=number):
                for count in range(300):
                    self.put(f'linux/mm/f{count}.c', f'int v{number};\n')
                before = state.stat().st_mtime_ns
                self.interrupted(signal.SIGKILL,
                                 lambda: state.stat().st_mtime_ns != before, 'run')
                self.expect(0, 'run')
                got = {(self.shadow / f'mm/f{count}.c').read_text() for count in range(300)}
                self.assertEqual(got, {f'int v{number};\n'})

    def test_two_runs_at_once_both_pass(self):
        runs = [subprocess.Popen(self.command('run'), cwd=self.kernel, env=self.environment(),
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, encoding='utf-8') for _ in range(3)]
        outputs = [run.communicate(timeout=120) for run in runs]
        self.assertEqual([run.returncode for run in runs], [0, 0, 0], outputs)
        self.assertTrue(any('waiting for another umthp' in err for _, err in outputs), outputs)

    def test_clean_leaves_nothing_but_the_locks_and_a_foreign_file(self):
        self.expect(0, 'run')
        foreign = self.cache / 'my-thesis.txt'
        foreign.write_text('mine')
        self.expect(0, 'clean', '--all')
        self.assertEqual(foreign.read_text(), 'mine')
        left = [path for path in self.cache.rglob('*') if path.is_file() and path != foreign
                and path.name != 'lock']
        self.assertEqual(left, [])
        self.expect(0, 'run')

    def test_clean_of_a_tree_in_use_is_refused(self):
        self.set_boot('hang')
        run = subprocess.Popen(self.command('run'), cwd=self.kernel, env=self.environment(),
                               stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        try:
            while not any(self.cache.glob('trees/*/logs/run-default.log')):
                self.assertIsNone(run.poll())
                time.sleep(0.01)
            self.assertIn('in use', self.expect(7, 'clean').stderr)
        finally:
            run.send_signal(signal.SIGTERM)
            run.wait(60)


if __name__ == '__main__':
    unittest.main()
