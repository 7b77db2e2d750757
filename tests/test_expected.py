# SPDX-License-Identifier: GPL-2.0
"""The list of expected tests: its form, its conditions, and what a missing test does."""

import dataclasses
import tempfile
import unittest
from pathlib import Path

from support import DATA, PROJECT, TREE, needs_kernel_tree

from umthp_tool import expected, verdict
from umthp_tool.boot import Boot
from umthp_tool.errors import UsageError

RUN = expected.Run(version='7.3.4', variant='default', glob=None, slow=False)
SLOW = dataclasses.replace(RUN, slow=True)
# What tests/data/good.log has.
GOOD = ['trap_good.plain', 'trap_good.skipped', 'trap_good.split_order[order2]',
        'trap_good.split_order[order3]', 'trap_good.split_order[order9]']


class ListTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-expected-')
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, 'expected_tests')

    def load(self, text):
        self.path.write_text(text, encoding='utf-8')
        return expected.load(self.path)

    def missing(self, text, seen=(), **change):
        return expected.missing(self.load(text), dataclasses.replace(RUN, **change), seen)

    def test_no_file_is_no_list(self):
        self.assertIsNone(expected.load(self.path))

    def test_comments_and_empty_lines_are_no_entries(self):
        self.assertEqual(self.load('# a.b\n\n  # c\n'), [])

    def test_bad_lines_are_refused_with_their_number(self):
        for line in ('suite', 'suite.test fast', 'suite.test kernel=7.3', 'suite.test[a b]',
                     'suite.test variant<smp', 'a.b.c'):
            with self.subTest(line=line):
                with self.assertRaises(UsageError) as caught:
                    self.load('# first\n' + line + '\n')
                self.assertIn('line 2', caught.exception.cause)

    def test_missing_is_what_applies_and_was_not_seen(self):
        self.assertEqual(self.missing('s.a\ns.b[x]\n', ['s.a']), ['s.b[x]'])

    def test_parameter_is_not_its_test(self):
        self.assertEqual(self.missing('s.b[x]\n', ['s.b']), ['s.b[x]'])
        self.assertEqual(self.missing('s.b\n', ['s.b[x]']), ['s.b'])

    def test_conditions(self):
        rows = (
            ('slow', {}, False), ('slow', {'slow': True}, True),
            ('kernel>=7.3', {}, True), ('kernel>=7.3', {'version': '7.2.13'}, False),
            ('kernel<7.3', {'version': '7.2.13'}, True), ('kernel<7.3', {}, False),
            ('kernel<=7.3', {}, True), ('kernel>7.3', {}, False), ('kernel==7.3', {}, True),
            ('kernel>=7.10', {}, False), ('kernel>=7.3.10', {}, False),
            ('kernel>=7.3', {'version': '7.10.1'}, True), ('kernel>=7.3', {'version': '8.0'}, True),
            ('variant=smp', {}, False), ('variant=smp', {'variant': 'smp'}, True),
            ('variant!=smp', {}, True), ('variant!=smp', {'variant': 'smp'}, False),
            ('variant!=smp slow', {}, False), ('variant!=smp slow', {'slow': True}, True),
        )
        for conditions, change, applies in rows:
            with self.subTest(conditions=conditions, **change):
                self.assertEqual(bool(self.missing(f's.a {conditions}\n', **change)), applies)

    def test_glob_limits_what_is_missing(self):
        text = 'one.a\none.b[x]\ntwo.a\n'
        for glob, names in (('one', ['one.a', 'one.b[x]']), ('one.b', ['one.b[x]']),
                            ('*.a', ['one.a', 'two.a']), ('o*', ['one.a', 'one.b[x]']),
                            ('three', [])):
            with self.subTest(glob=glob):
                self.assertEqual(self.missing(text, glob=glob), names)

    def test_glob_that_is_none_is_refused(self):
        for glob in ('a b', "a'b", 'a$(id)', 'a.b.c', 'a\nb', 'kunit.action=list', ''):
            with self.subTest(glob=glob):
                with self.assertRaises(UsageError):
                    expected.check_glob(glob)

    def test_unexpected_is_what_no_line_names(self):
        self.assertEqual(expected.unexpected(self.load('s.a kernel<7.0\n'), ['s.a', 's.b']),
                         ['s.b'])

    def test_written_list_keeps_conditions_and_marks_slow_tests(self):
        self.load('s.a kernel>=7.3\ns.gone\ns.b slow variant!=nothp\n')
        expected.write(self.path, ['s.c[x]', 's.b', 's.a', 's.a'], ['s.c'], SLOW)
        entries = {entry.name: entry.conditions for entry in expected.load(self.path)}
        self.assertEqual(entries, {'s.a': ('kernel>=7.3',), 's.b': ('variant!=nothp',),
                                   's.c[x]': ('slow',)})

    def test_written_list_keeps_entries_of_other_kernels_and_variants(self):
        self.load('s.gone\ns.new kernel>=8.0\ns.smp variant=smp\ns.gone_too slow kernel>=7.3\n')
        expected.write(self.path, ['s.a'], [], SLOW)
        self.assertEqual([entry.name for entry in expected.load(self.path)],
                         ['s.a', 's.new', 's.smp'])

    def test_list_of_this_project_is_valid_and_sorted(self):
        entries = expected.load(PROJECT / 'tests/expected_tests')
        self.assertIsNotNone(entries, 'there is no tests/expected_tests')
        names = [entry.name for entry in entries]
        self.assertEqual(names, sorted(set(names)))
        self.assertGreaterEqual(len(names), 250)


@needs_kernel_tree
class VerdictTest(unittest.TestCase):
    """What a list does to the verdict on tests/data/good.log."""

    def judge(self, names, log='good', **change):
        boot = Boot(['linux'], DATA / f'{log}.log', returncode=0)
        return verdict.judge(TREE, [boot], dataclasses.replace(RUN, **change),
                             [expected.Entry(name, ()) for name in names])

    def test_complete_run_passes(self):
        result = self.judge(GOOD)
        self.assertEqual((result.exit_code, result.missing, result.unexpected), (0, [], []))

    def test_vanished_test_or_parameter_fails(self):
        for name in ('trap_good.gone', 'trap_good.split_order[order4]', 'gone.test'):
            with self.subTest(name=name):
                result = self.judge([*GOOD, name])
                self.assertEqual((result.verdict, result.exit_code, result.missing),
                                 ('fail', 1, [name]))

    def test_lost_parameter_is_named(self):
        result = self.judge(GOOD, log='lost_parameter_renumbered')
        self.assertEqual(result.missing, ['trap_good.split_order[order3]'])

    def test_parameter_lost_without_a_plan_is_noticed(self):
        names = [f'trap_noplan.split_order[order{n}]' for n in (2, 3, 4, 9)]
        self.assertEqual(self.judge(names, log='parameters_without_plan').missing,
                         ['trap_noplan.split_order[order4]'])

    def test_new_test_is_unexpected(self):
        self.assertEqual(self.judge(GOOD[1:]).unexpected, GOOD[:1])

    def test_skipped_test_is_there(self):
        self.assertEqual(self.judge(['trap_skips.skipped'], log='all_skipped').missing, [])

    def test_all_missing_and_nothing_ran_is_nothing_ran(self):
        self.assertEqual(self.judge(['s.a'], log='zero_tests').exit_code, 3)


if __name__ == '__main__':
    unittest.main()
