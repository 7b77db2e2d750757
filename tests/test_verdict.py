# SPDX-License-Identifier: GPL-2.0
"""The verdict on recorded boots: tests/data/*.log, and how UML ended in each."""

import dataclasses
import tempfile
import unittest
from pathlib import Path
from typing import List, Optional, Tuple

from support import DATA, TREE, needs_kernel_tree

from umthp_tool import expected, ktap, verdict
from umthp_tool.boot import Boot

ABORT = -6      # what a panic ends in: UML raises SIGABRT


@dataclasses.dataclass(frozen=True)
class Row:
    """One recorded boot and everything that the verdict must say of it."""

    log: str
    verdict: str
    exit_code: int
    counts: Tuple[int, int, int]                 # passed, failed, skipped
    splats: Tuple[Tuple[str, str], ...] = ()     # (kind, test that it belongs to)
    errors: Tuple[str, ...] = ()                 # a regular expression for each, in order
    reasons: Tuple[str, ...] = ()                # the same, for how the boot ended
    running: str = ''
    status: Optional[int] = 0                    # how UML ended
    timed_out: bool = False


ROWS = (
    # What may pass, and what fails by its own words.
    Row('good', 'pass', 0, (4, 0, 1)),
    Row('printk_time', 'pass', 0, (4, 0, 1)),
    Row('crlf', 'pass', 0, (4, 0, 1)),
    Row('words_of_a_test', 'pass', 0, (4, 0, 1)),
    Row('lockdep_turned_off', 'pass', 0, (4, 0, 1)),
    Row('parameters_without_plan', 'pass', 0, (3, 0, 0)),
    Row('test_failed', 'fail', 1, (2, 2, 0)),
    # Nothing ran.
    Row('all_skipped', 'nothing-ran', 3, (0, 0, 1)),
    Row('zero_tests', 'nothing-ran', 3, (0, 0, 0)),
    # The kernel complained while every test passed.
    Row('warning_in_passing_test', 'fail', 1, (2, 0, 0), (('WARNING', 'trap_warn.warns'),)),
    Row('printk_time_warning', 'fail', 1, (2, 0, 0), (('WARNING', 'trap_warn.warns'),)),
    Row('bad_page_in_passing_test', 'fail', 1, (2, 0, 0),
        (('bad page', 'trap_badpage.bad_page'),)),
    Row('refcount_in_passing_test', 'fail', 1, (2, 0, 0),
        (('refcount', 'trap_ref.ref_bad'),)),
    Row('list_corruption_in_passing_test', 'fail', 1, (2, 0, 0),
        (('list', 'trap_list.list_bad'),)),
    Row('warning_at_boot', 'fail', 1, (4, 0, 1), (('WARNING', 'boot'),)),
    Row('warning_after_last_test', 'fail', 1, (4, 0, 1), (('WARNING', 'after the last test'),)),
    Row('vm_warn_in_passing_test', 'fail', 1, (3, 0, 0), (
        ('WARNING', 'trap_vm.vm_warn'), ('WARNING', 'trap_vm.two'), ('WARNING', 'trap_vm.two'))),
    # Several suites, one of them fails.
    Row('several_suites', 'fail', 1, (9, 2, 1)),
    # A result got lost: KUnit or the console dropped a line.
    Row('parameter_with_pound_sign', 'fail', 1, (2, 1, 0), errors=(
        'Expected test number 2 but found 3', 'split_order: missing expected subtest',
        r'trap_hash\.split_order\[order#3\] is in the log, but kunit_parser lost it')),
    Row('lost_parameter', 'fail', 1, (3, 1, 1), errors=(
        'Expected test number 2 but found 3', 'split_order: missing expected subtest')),
    Row('lost_parameter_renumbered', 'fail', 1, (3, 1, 1), errors=(
        'split_order: missing expected subtest',)),
    Row('lost_test', 'fail', 1, (3, 1, 1), errors=(
        'Expected test number 1 but found 2', 'Expected test number 2 but found 3',
        'trap_good: missing expected subtest')),
    Row('lost_suite', 'fail', 1, (4, 0, 1), errors=('main: missing expected subtest',)),
    Row('lost_suite_result', 'fail', 1, (4, 1, 1), errors=(
        'trap_good: missing subtest result line',)),
    Row('lost_plan', 'fail', 1, (4, 0, 1), errors=('the run has no plan line',)),
    Row('lost_plan_of_suite', 'fail', 1, (4, 0, 1), errors=('trap_good has no plan line',)),
    Row('nul_bytes', 'fail', 1, (3, 1, 1), errors=(
        'Expected test number 1 but found 2', 'Expected test number 2 but found 3',
        'trap_good: missing expected subtest')),
    # A test prints what only KUnit should print.
    Row('test_with_two_results', 'fail', 1, (5, 1, 0), errors=(
        'Expected test number 2 but found 1', 'Expected test number 3 but found 2',
        'trap_good: missing subtest result line', r'trap_good\.plain has more than one result',
        r'trap_good\.skipped is in the log, but kunit_parser lost it')),
    Row('fake_pass_for_failure', 'fail', 1, (2, 0, 0), errors=(
        'Expected test number 2 but found 1', 'says `not ok hostile`, but no test counts as failed',
        'hostile has more than one result', 'trap_hostile has more than one result',
        'hostile counts as passed, but has no result line of its own')),
    Row('hostile', 'fail', 1, (2, 0, 0), errors=(
        'Expected test number 2 but found 1', 'says `not ok hostile`, but no test counts as failed',
        'hostile has more than one result', 'trap_hostile has more than one result',
        'hostile counts as passed, but has no result line of its own')),
    Row('hostile_message', 'fail', 1, (1, 1, 0)),
    Row('fake_suite', 'fail', 1, (0, 1, 0), errors=(
        *['trap_good: missing expected subtest'] * 3, 'trap_good has more than one result',
        *[r'split_order\.order\d is in the log, but kunit_parser lost it'] * 3)),
    Row('fake_results', 'fail', 1, (0, 1, 0), errors=(
        *['trap_good: missing expected subtest'] * 3,
        *['results after `reboot: System halted`'] * 8)),
    Row('fake_end_before_failure', 'fail', 1, (2, 1, 0), errors=(
        *['split_fails: missing expected subtest'] * 2,
        'split_fails: missing subtest result line', 'trap_fail: missing subtest result line',
        *['results after `reboot: System halted`'] * 4)),
    # The boot did not get to its end.
    Row('panic_in_the_middle', 'crash', 8, (1, 1, 0), (('panic', 'trap_panic'),), reasons=(
        'Kernel panic - not syncing: fatal exception', 'killed by signal 6', 'log ends without'),
        running='trap_panic', status=ABORT),
    Row('segfault_in_the_middle', 'crash', 8, (1, 1, 0), (('panic', 'trap_oops'),), reasons=(
        'Kernel panic - not syncing: Segfault with no mm', 'killed by signal 6',
        'log ends without'), running='trap_oops', status=ABORT),
    Row('bug_in_the_middle', 'crash', 8, (1, 1, 0), (('BUG', 'trap_bug'),), reasons=(
        'Kernel panic - not syncing: BUG!', 'killed by signal 6', 'log ends without'),
        running='trap_bug', status=ABORT),
    Row('vm_bug_in_the_middle', 'crash', 8, (1, 1, 0), (('BUG', 'trap_vmbug'),), reasons=(
        'Kernel panic - not syncing: BUG!', 'killed by signal 6', 'log ends without'),
        running='trap_vmbug', status=ABORT),
    # Known bugs, as if they were none: test_known_bugs.py judges them as such.
    Row('known_bugs', 'pass', 0, (6, 0, 9)),
    Row('known_bug_fixed', 'pass', 0, (1, 0, 0)),
    Row('known_bug_failure', 'fail', 1, (0, 1, 0)),
    Row('known_bug_warning', 'fail', 1, (1, 0, 0), (('WARNING', 'trap_known.warns'),)),
    Row('known_bug_crash', 'crash', 8, (0, 1, 0), (('BUG', 'trap_known'),), reasons=(
        'Kernel panic - not syncing: BUG!', 'killed by signal 6', 'log ends without'),
        running='trap_known', status=ABORT),
    Row('known_bug_crash_of_a_parameter', 'crash', 8, (1, 1, 0),
        (('BUG', 'trap_known.crashes_per_order'),), reasons=(
        'Kernel panic - not syncing: BUG!', 'killed by signal 6', 'log ends without'),
        running='trap_known.crashes_per_order', status=ABORT),
    Row('known_bug_oops', 'crash', 8, (0, 1, 0), (('panic', 'trap_known'),), reasons=(
        'Kernel panic - not syncing: Segfault', 'killed by signal 6', 'log ends without'),
        running='trap_known', status=ABORT),
    Row('known_bug_hang', 'timeout', 8, (0, 1, 0), reasons=('no end after 1 s, killed',),
        running='trap_known', status=None, timed_out=True),
    Row('truncated_line', 'crash', 8, (4, 1, 0), reasons=(
        'killed by signal 9', 'log ends without'), running='trap_good.split_order', status=-9),
    Row('lost_end', 'crash', 8, (4, 0, 1), reasons=('log ends without `reboot: System halted`',)),
    Row('two_failures_and_no_end', 'crash', 8, (2, 2, 0), reasons=(
        'killed by signal 9', 'log ends without'), running='trap_fail.split_fails', status=-9),
    Row('timeout', 'timeout', 8, (0, 1, 0), reasons=('no end after 1 s, killed',),
        running='trap_hang', status=None, timed_out=True),
    Row('host_refuses_memory', 'crash', 8, (0, 0, 0), reasons=('ended with status 1',), status=1),
    Row('empty', 'nothing-ran', 3, (0, 0, 0)),
)


@needs_kernel_tree
class RecordedBootsTest(unittest.TestCase):
    maxDiff = None

    @staticmethod
    def row(log: str) -> Row:
        return next(row for row in ROWS if row.log == log)

    @staticmethod
    def run_of(**change) -> expected.Run:
        run = expected.Run(version='7.3.4', variant='default', glob=None, slow=False)
        return dataclasses.replace(run, **change)

    def judge(self, row: Row, entries=None) -> verdict.Verdict:
        boot = Boot(argv=['linux'], log=DATA / f'{row.log}.log', returncode=row.status,
                    timed_out=row.timed_out, seconds=1.0)
        return verdict.judge(TREE, [boot], self.run_of(), entries)

    def check(self, row: Row) -> None:
        result = self.judge(row)
        got = (result.verdict, result.exit_code,
               (result.count('passed'), len(result.failed), result.count('skipped')),
               tuple((splat.kind, splat.test) for splat in result.splats), result.running)
        self.assertEqual(got, (row.verdict, row.exit_code, row.counts, row.splats, row.running),
                         (result.errors, result.reasons))
        self.assert_all_match(result.errors, row.errors)
        self.assert_all_match(result.reasons, row.reasons)

    def assert_all_match(self, texts: List[str], patterns: Tuple[str, ...]) -> None:
        self.assertEqual(len(texts), len(patterns), texts)
        for text, pattern in zip(texts, patterns):
            self.assertRegex(text, pattern)

    def test_recorded_boots(self):
        for row in ROWS:
            with self.subTest(log=row.log):
                self.check(row)

    def test_perfect_log_does_not_pass_if_uml_ended_badly(self):
        for change, reason in (({'status': 1}, 'ended with status 1'),
                               ({'status': -11}, 'killed by signal 11'),
                               ({'status': None, 'timed_out': True}, 'no end after')):
            with self.subTest(**change):
                row = dataclasses.replace(self.row('good'), verdict='', **change)
                result = self.judge(row)
                self.assertEqual(result.exit_code, 8)
                self.assertRegex(result.reasons[0], reason)

    def test_same_test_in_two_boots_is_an_error(self):
        boots = [Boot(['linux'], DATA / 'good.log', returncode=0) for _ in range(2)]
        result = verdict.judge(TREE, boots, self.run_of(), None)
        self.assertEqual(result.verdict, 'fail')
        self.assertIn('trap_good.plain ran in more than one boot', result.errors)

    def test_one_bad_boot_of_several_decides(self):
        for log, status, exit_code in (('warning_in_passing_test', 0, 1), ('all_skipped', 0, 0),
                                       ('panic_in_the_middle', ABORT, 8)):
            with self.subTest(log=log):
                boots = [Boot(['linux'], DATA / 'good.log', returncode=0),
                         Boot(['linux'], DATA / f'{log}.log', returncode=status)]
                result = verdict.judge(TREE, boots, self.run_of(), None)
                self.assertEqual(result.exit_code, exit_code)

    def test_line_of_many_mebibytes_is_judged_in_time(self):
        good = (DATA / 'words_of_a_test.log').read_bytes()
        head, tail = good.split(b'    ok 1 plain\n')
        with tempfile.TemporaryDirectory(prefix='umthp-verdict-') as folder:
            log = Path(folder, 'huge.log')
            log.write_bytes(head + b'x' * (8 << 20) + b'\n    ok 1 plain\n' + tail)
            result = verdict.judge(TREE, [Boot(['linux'], log, returncode=0)], self.run_of(), None)
        self.assertEqual((result.verdict, result.count('passed')), ('pass', 4))

    def test_thinned_log_has_the_same_results(self):
        """Also with nothing kept but what the kernel's parser looks for."""
        for log in sorted(DATA.glob('*.log')):
            lines = Boot(['linux'], log).lines()
            whole, thin = (ktap.parse(TREE, given)
                           for given in (lines, ktap.thinned(lines, keep=0)))
            with self.subTest(log=log.stem):
                self.assertEqual([(case.full, case.status, case.reason) for case in thin.cases],
                                 [(case.full, case.status, case.reason) for case in whole.cases])
                self.assertEqual(thin.errors, whole.errors)

    def test_log_of_many_mebibytes_is_judged_with_little_of_it_in_hand(self):
        """A broken kernel: each test prints tables without end."""
        row = '    # plain: refcount            1            2            1 <-- wrong\n'
        good = (DATA / 'good.log').read_text(encoding='utf-8')
        head, tail = good.split('    ok 1 plain\n')
        with tempfile.TemporaryDirectory(prefix='umthp-verdict-') as folder:
            log = Path(folder, 'tables.log')
            log.write_text(head + row * (16 * 1024 * 1024 // len(row))
                           + '    not ok 1 plain\n' + tail, encoding='utf-8')
            result = verdict.judge(TREE, [Boot(['linux'], log, returncode=0)], self.run_of(), None)
        self.assertEqual((result.verdict, result.count('passed'), len(result.failed)),
                         ('fail', 3, 1))
        self.assertLessEqual(len(result.failed[0].log), ktap.MAX_DIAGNOSTICS + 1)

    def test_every_recorded_log_is_in_the_table(self):
        recorded = sorted(path.stem for path in DATA.glob('*.log'))
        self.assertEqual(sorted({row.log for row in ROWS}), recorded)


if __name__ == '__main__':
    unittest.main()
