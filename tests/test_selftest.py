# SPDX-License-Identifier: GPL-2.0
"""umthp selftest: TAP, the guest's output, skips, the root directory; no way to a false pass."""

import tempfile
import unittest
from pathlib import Path

from support import PROJECT

from umthp_tool import expected, guest, ktap, rootfs, selftest_bench, selftest_judge, tap
from umthp_tool import selftest_plans as plans, selftest_split
from umthp_tool.boot import Boot
from umthp_tool.errors import UsageError

HMM = plans.PLANS['hmm-tests']
RUN = expected.Run(version='7.3.4', variant='default', glob=None, slow=False)
MIGRATE, HUGETLB = 'hmm_device_private.migrate', 'hmm_device_private.compound'
ENTRIES = [expected.Entry(MIGRATE, ()), expected.Entry(HUGETLB, ())]
GOOD = ['umthp-init: start /bin/hmm-tests',
        'TAP version 13',
        '1..2',
        '#  RUN           hmm.hmm_device_private.migrate ...',
        '#            OK  hmm.hmm_device_private.migrate',
        'ok 1 hmm.hmm_device_private.migrate',
        'ok 2 hmm.hmm_device_private.compound # SKIP Not enough huge pages',
        'umthp-init: exit /bin/hmm-tests 0',
        'umthp-init: done', '']
KERNEL_LOG = 'Linux version 7.3.4\nreboot: Power down\n'


class JudgeTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-selftest-')
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def judge(self, lines, log=KERNEL_LOG, entries=ENTRIES, **boot):
        path = self.folder / 'guest.log'
        path.write_text(log, encoding='utf-8')
        made = guest.Guest(Boot([], path, **{'returncode': 0, **boot}), path.with_suffix('.out'),
                           guest.parse(lines))
        return selftest_judge.judge(HMM, [made], entries, entries, plans.skips_of(HMM))

    def changed(self, old, new):
        self.assertIn(old, GOOD)
        return [new if line == old else line for line in GOOD]

    def assert_error(self, result, text, verdict='fail'):
        self.assertEqual(result.verdict, verdict)
        self.assertIn(text, '\n'.join(result.errors + result.reasons + result.missing))

    def test_good(self):
        result = self.judge(GOOD)
        self.assertEqual((result.verdict, result.errors, result.missing), ('pass', [], []))
        self.assertEqual((result.count(ktap.PASSED), result.count(ktap.SKIPPED)), (1, 1))

    def test_failed_test(self):
        lines = self.changed('ok 1 hmm.hmm_device_private.migrate',
                             'not ok 1 hmm.hmm_device_private.migrate')
        result = self.judge([line.replace('hmm-tests 0', 'hmm-tests 1') for line in lines])
        self.assertEqual((result.verdict, [case.full for case in result.failed], result.errors),
                         ('fail', [MIGRATE], []))

    def test_failed_test_but_status_0(self):
        lines = self.changed('ok 1 hmm.hmm_device_private.migrate',
                             'not ok 1 hmm.hmm_device_private.migrate')
        self.assert_error(self.judge(lines), 'ended with status 0 although a test failed')

    def test_status_without_a_failed_test(self):
        lines = self.changed('umthp-init: exit /bin/hmm-tests 0',
                             'umthp-init: exit /bin/hmm-tests 1')
        self.assert_error(self.judge(lines), 'but no result says why')

    def test_program_killed(self):
        lines = self.changed('umthp-init: exit /bin/hmm-tests 0',
                             'umthp-init: signal /bin/hmm-tests 11')
        self.assert_error(self.judge(lines), 'killed by signal 11')

    def test_plan_not_kept(self):
        self.assert_error(self.judge(self.changed('1..2', '1..3')), '3 tests were planned, 2 gave')

    def test_no_plan(self):
        self.assert_error(self.judge([line for line in GOOD if line != '1..2']), 'no plan line')

    def test_results_out_of_order(self):
        lines = self.changed('ok 1 hmm.hmm_device_private.migrate',
                             'ok 3 hmm.hmm_device_private.migrate')
        self.assert_error(self.judge(lines), 'result 3 comes where 1 is due')

    def test_result_twice(self):
        lines = self.changed('ok 2 hmm.hmm_device_private.compound # SKIP Not enough huge pages',
                             'ok 2 hmm.hmm_device_private.migrate')
        self.assert_error(self.judge(lines), 'more than one result')

    def test_broken_result_line(self):
        lines = self.changed('ok 1 hmm.hmm_device_private.migrate', 'ok hmm.migrate')
        self.assert_error(self.judge(lines), 'not a result line: ok hmm.migrate')

    def test_expected_test_is_missing(self):
        lines = [line for line in self.changed('1..2', '1..1') if not line.startswith('ok 2')]
        self.assert_error(self.judge(lines), HUGETLB)

    def test_skip_that_no_line_allows(self):
        lines = self.changed('ok 1 hmm.hmm_device_private.migrate',
                             'ok 1 hmm.hmm_device_private.migrate # SKIP Not enough huge pages')
        self.assert_error(self.judge(lines), MIGRATE + ' was skipped', 'fail')

    def test_allowed_skip_for_another_reason(self):
        lines = self.changed('ok 2 hmm.hmm_device_private.compound # SKIP Not enough huge pages',
                             'ok 2 hmm.hmm_device_private.compound # SKIP moon in the wrong phase')
        self.assert_error(self.judge(lines), 'moon in the wrong phase')

    def test_expected_failure_is_no_pass(self):
        lines = self.changed('ok 1 hmm.hmm_device_private.migrate',
                             'ok 1 hmm.hmm_device_private.migrate # XFAIL known')
        self.assertEqual(self.judge(lines).verdict, 'fail')

    def test_nothing_passed(self):
        lines = [line for line in GOOD if not line.startswith('ok 1')]
        lines = [line.replace('ok 2', 'ok 1').replace('1..2', '1..1') for line in lines]
        self.assertEqual(self.judge(lines, entries=ENTRIES[1:]).verdict, 'nothing-ran')

    def test_warning_in_the_kernel_log(self):
        result = self.judge(GOOD, 'WARNING: mm/rmap.c:1 at f+0x1/0x2, CPU#0: hmm-tests/12\n'
                            + KERNEL_LOG)
        self.assertEqual((result.verdict, len(result.splats)), ('fail', 1))

    def test_panic_names_the_running_test(self):
        result = self.judge(GOOD[:4], 'Kernel panic - not syncing: oh\n', returncode=-6)
        self.assertEqual((result.verdict, result.running),
                         ('crash', 'hmm.hmm_device_private.migrate'))

    def test_time_out(self):
        self.assertEqual(self.judge(GOOD[:4], timed_out=True, returncode=None).verdict, 'timeout')

    def test_guest_halts_in_the_middle(self):
        self.assert_error(self.judge(GOOD[:6]), 'before its init was done', 'crash')

    def test_guest_without_a_program(self):
        result = self.judge(['umthp-init: error: open /job: No such file', 'umthp-init: done'])
        self.assert_error(result, 'no program ran', 'crash')

    def test_test_that_is_left_out_is_a_skip_with_its_reason(self):
        entry = expected.Entry('hmm_device_coherent.migrate', ())
        result = self.judge(GOOD, entries=[*ENTRIES, entry])
        case = next(case for case in result.cases if case.full == entry.name)
        self.assertEqual((result.verdict, case.status), ('pass', ktap.SKIPPED))
        self.assertIn('test_hmm maps its chunk twice', case.reason)


class PlanTest(unittest.TestCase):

    def test_both_lists_can_be_read(self):
        for plan in plans.PLANS.values():
            entries = expected.load(PROJECT / 'tests' / plan.expected)
            self.assertGreater(len(entries), 60)
            self.assertEqual(len({entry.name for entry in entries}), len(entries))

    def test_thp_list_is_what_the_program_has(self):
        sources = (PROJECT / 'tools/userland/thp_check').glob('*.c')
        names = sorted('thp.' + line.split('CHECK(')[1].split(')')[0] for path in sources
                       for line in path.read_text(encoding='utf-8').splitlines()
                       if line.startswith('\tCHECK('))
        listed = expected.load(PROJECT / 'tests/expected_thp_check')
        self.assertEqual(sorted(entry.name for entry in listed), names)

    def test_every_line_of_the_skip_table_is_of_use(self):
        names = [entry.name for entry in expected.load(PROJECT / 'tests' / HMM.expected)]
        for skip in plans.skips_of(HMM):
            self.assertTrue(any(plans.fnmatchcase(name, skip.glob) for name in names), skip.glob)
            self.assertTrue(skip.kind == 'skip' or skip.glob.startswith('hmm_device_coherent.'),
                            'a DEVICE_PRIVATE test must run: ' + skip.glob)

    def test_glob(self):
        entries = expected.load(PROJECT / 'tests' / HMM.expected)

        def names(glob, **change):
            run = expected.Run(**{**RUN.__dict__, 'glob': glob, **change})
            return [entry.name for entry in plans.select(HMM, entries, run).entries]
        both = ['hmm_device_private.migrate', 'hmm_device_coherent.migrate']
        self.assertEqual(names('migrate'), both)
        self.assertEqual(names(both[0]), both[:1])
        self.assertEqual(names('hmm.' + both[0]), both[:1])
        self.assertEqual(names('hmm2_*private.*'), ['hmm2_device_private.migrate_mixed',
                                                    'hmm2_device_private.snapshot',
                                                    'hmm2_device_private.double_map'])
        self.assertEqual(len(names('userfaultfd_read')), 2)
        for glob, version in (('no_such', '7.3.4'), ('userfaultfd_read', '7.2.13')):
            with self.assertRaises(UsageError):
                names(glob, version=version)

    def test_left_out_tests_are_not_in_the_command(self):
        entries = expected.load(PROJECT / 'tests' / HMM.expected)
        private, coherent = HMM.boots(entries, plans.skips_of(HMM), True)
        self.assertEqual(private.command[1:], ['-v', 'hmm_device_private',
                                               '-v', 'hmm2_device_private'])
        self.assertIn('benchmark_thp_migration', coherent.command)
        self.assertEqual(coherent.command[coherent.command.index('benchmark_thp_migration') - 1],
                         '-T')


class PartsTest(unittest.TestCase):

    def test_job(self):
        self.assertEqual(rootfs.job([['/bin/a', '-x'], ['/bin/b']]), '/bin/a\n-x\n\n/bin/b\n\n')
        for word in ('', 'a\nb'):
            with self.assertRaises(ValueError):
                rootfs.job([['/bin/a', word]])

    def test_root_directory(self):
        with tempfile.TemporaryDirectory(prefix='umthp-selftest-') as folder:
            program = Path(folder, 'prog')
            program.write_bytes(b'x')
            unfit = Path(folder, 'a, b')
            unfit.mkdir()
            for parent in (Path(folder), unfit):
                with rootfs.rootfs(parent, program, [program], [['/bin/prog']]) as root:
                    self.assertEqual(sorted(path.name for path in root.iterdir()),
                                     ['bin', 'dev', 'init', 'job', 'proc', 'sys', 'tmp'])
                    self.assertTrue((root / 'bin/prog').exists())
                    self.assertIn('rootflags=%s' % root, rootfs.arguments(root))
                self.assertFalse(root.exists())

    def test_two_programs_in_one_guest(self):
        output = guest.parse(['umthp-init: start /a', 'x', 'umthp-init: exit /a 3',
                              'umthp-init: start /b', 'umthp-init: signal /b 9', 'stray',
                              'umthp-init: done'])
        first, second = output.programs
        self.assertEqual((first.lines, first.status, first.signal), (['x'], 3, None))
        self.assertEqual((second.lines, second.status, second.signal), ([], None, 9))
        self.assertEqual(output.errors, ['output outside of any program: stray'])

    def test_tap_needs_its_version(self):
        report = tap.read(['1..0'], HMM.split_name)
        self.assertEqual(report.errors, ['no `TAP version 13` line'])

    def test_benchmark_table(self):
        rows = selftest_bench.parse([
            '=== One THP (2.0 MB) ===',
            'Sys->Dev Migration   | 4.000 ms        | 8.000 ms        | 50.0%',
            'Dev->Sys Migration   | 1.000 ms        | 2.000 ms        | 50.0%',
            'S->D Throughput      | 0.13 GB/s      | 0.13 GB/s      | -1.4%'])
        self.assertEqual(rows, [selftest_bench.Row(2.0, 500.0, 250.0, 2000.0, 1000.0)])

    def test_split_table(self):
        values = selftest_split.parse([
            '    # split_unmapped: bench: split_unmapped_order9_to_0 91000 ns',
            '    # split_unmapped: bench: split_unmapped_order9_to_2 23000 ns',
            '    # split_unmapped: bench: split_unmapped_order2_to_0 900 ns',
            '    # migrate: bench: migrate_to_device_thp 4000 MiB/s', 'bench: half a line'])
        self.assertEqual(values['split_unmapped_order9_to_2'], (23000, 'ns'))
        lines = [line.split() for line in selftest_split.table(values)]
        self.assertEqual(lines[1:], [['order', '2', '900', '-'], ['order', '9', '91000', '23000'],
                                     ['migrate', 'to', 'device', 'thp', '4000', 'MiB/s']])


if __name__ == '__main__':
    unittest.main()
