# SPDX-License-Identifier: GPL-2.0
"""What tools/check counts: nothing that went wrong may end in a green last line."""

import contextlib
import importlib.machinery
import importlib.util
import io
import json
import os
import subprocess
import tempfile
import unittest
from pathlib import Path
from unittest import mock

from support import PROJECT

_loader = importlib.machinery.SourceFileLoader('umthp_check', str(PROJECT / 'tools/check'))
_spec = importlib.util.spec_from_loader('umthp_check', _loader)
check = importlib.util.module_from_spec(_spec)
with mock.patch('sys.dont_write_bytecode', True):
    _loader.exec_module(check)

REPORT = {'passed': 5, 'failed': 0, 'skipped': 2, 'splats': [], 'missing': [], 'unexpected': [],
          'errors': []}


def counted(counts):
    return (counts.passed, counts.failed, counts.skipped)


class CountsTest(unittest.TestCase):

    def test_report_counts_everything_that_is_wrong(self):
        rows = (({}, 0), ({'failed': 3}, 3), ({'splats': [{}]}, 1), ({'missing': ['a', 'b']}, 2),
                ({'unexpected': ['a']}, 1), ({'errors': ['x']}, 1))
        for change, failed in rows:
            with self.subTest(**change), contextlib.redirect_stdout(io.StringIO()):
                self.assertEqual(counted(check.report_counts({**REPORT, **change})),
                                 (5, failed, 2))

    def test_unittest_output_is_counted(self):
        rows = (('Ran 9 tests in 1.0s\n\nOK\n', (9, 0, 0)),
                ('Ran 9 tests in 1.0s\n\nOK (skipped=2)\n', (7, 0, 2)),
                ('Ran 9 tests in 1.0s\n\nFAILED (failures=2, errors=1, skipped=1)\n', (5, 3, 1)),
                ('Ran 1 test in 1.0s\n\nFAILED (failures=4)\n', (0, 4, 0)),
                ('Ran 1 test in 1.0s\n\nFAILED (unexpected successes=1)\n', (0, 1, 0)),
                ('Segmentation fault\n', (0, 0, 0)))
        for output, counts in rows:
            with self.subTest(output=output):
                self.assertEqual(counted(check.unittest_counts(output)), counts)

    def test_phase_that_breaks_down_or_tests_nothing_is_a_failure(self):
        rows = ((5, 0, 0, 0), (5, 0, 1, 1), (5, 2, 1, 2), (0, 0, 0, 1), (0, 0, 1, 1))
        for passed, failed, status, wanted in rows:
            with self.subTest(passed=passed, failed=failed, status=status):
                self.assertEqual(
                    check.broken_down(check.Counts(passed, failed), status).failed, wanted)


class CommandTest(unittest.TestCase):
    """The whole command with a stand-in for umthp."""

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-check-test-')
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.umthp = self.folder / 'umthp'
        self.report = dict(REPORT)
        self.status = 0

    def check(self, *arguments):
        """Exit code and last line of `check ARGUMENTS`."""
        (self.folder / 'r.json').write_text(json.dumps(self.report))
        self.umthp.write_text(
            f'#!/bin/sh\necho "$@" >> {self.folder}/calls\n'
            'while [ $# -gt 1 ]; do [ "$1" = --json ] && out=$2; shift; done\n'
            f'[ -z "$out" ] || cp {self.folder}/r.json "$out"\nexit {self.status}\n')
        os.chmod(self.umthp, 0o755)
        out = io.StringIO()
        with mock.patch.object(check, 'UMTHP', str(self.umthp)), \
                mock.patch('sys.argv', ['check', *arguments]), contextlib.redirect_stdout(out):
            status = check.main()
        return status, out.getvalue().splitlines()[-1]

    def test_passing_phases_end_in_the_line_that_ci_reads(self):
        self.assertEqual(self.check('suites', 'hmm-tests', 'thp'), (0, '15 passed, 0 failed'))
        calls = (self.folder / 'calls').read_text().splitlines()
        self.assertEqual([call.split(' --json')[0] for call in calls],
                         ['run --own-boots', 'selftest hmm-tests', 'selftest thp'])

    def test_failure_in_one_phase_does_not_stop_the_others(self):
        self.report['failed'] = 1
        self.status = 1
        self.assertEqual(self.check('suites', 'thp'), (1, '10 passed, 2 failed'))

    def test_exit_code_alone_is_a_failure(self):
        self.status = 7
        self.assertEqual(self.check('suites'), (1, '5 passed, 1 failed'))

    def test_totals_add_up_over_invocations(self):
        totals = str(self.folder / 'totals')
        Path(totals).write_text('')     # as mktemp leaves it
        self.assertEqual(self.check('suites', '--totals', totals), (0, '5 passed, 0 failed'))
        self.status = 8
        self.assertEqual(self.check('suites', '--totals', totals), (1, '10 passed, 1 failed'))

    def test_kernel_and_jobs_are_passed_on(self):
        self.check('suites', '--kernel', 'a b', '--jobs', '3', '-v')
        self.assertIn('run --own-boots --kernel a b --jobs 3 -v --json',
                      (self.folder / 'calls').read_text())

    def test_unknown_phase_is_a_usage_error(self):
        with contextlib.redirect_stderr(io.StringIO()), self.assertRaises(SystemExit) as caught:
            self.check('everything')
        self.assertEqual(caught.exception.code, 2)


class MakefileTest(unittest.TestCase):

    def make(self, *arguments):
        return subprocess.run(['make', '-n', '-C', str(PROJECT), *arguments],
                              stdout=subprocess.PIPE, encoding='utf-8', check=True).stdout

    def test_help_is_the_default_and_names_the_two_commands(self):
        out = self.make()
        self.assertIn('make run ', out)
        self.assertIn('make check ', out)
        self.assertNotIn('tools/umthp', out)

    def test_variables_are_passed_as_one_word_each(self):
        for names in (('KERNEL', 'J', 'V'), ('K', 'J', 'V')):
            out = self.make('run', f"{names[0]}=it's $$(x)", 'J=3', 'V=1')
            self.assertIn("tools/umthp run --kernel 'it'\\''s $(x)'", out)
            self.assertIn("--jobs '3' -v", out)

    def test_each_command_sets_the_machine_up_first(self):
        for target, purpose in (('run', 'run'), ('check', 'check'), ('suites', 'check')):
            self.assertRegex(self.make(target), rf'(?m)^tools/install-deps {purpose}\ntools/')


if __name__ == '__main__':
    unittest.main()
