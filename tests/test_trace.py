# SPDX-License-Identifier: GPL-2.0
"""The table of what must be shown, and by which case."""

import tempfile
import unittest
from pathlib import Path

from support import PROJECT

from umthp_tool import expected, known_bugs, trace
from umthp_tool.errors import IncompleteError, UsageError

ENTRIES = [expected.Entry(name, ()) for name in (
    's.split[order2_to_0]', 's.split[order9_to_0]', 's.plain', 'other.plain')]


class TraceCase(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-trace-')
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, 'trace')

    def load(self, text):
        self.path.write_text(text, encoding='utf-8')
        return trace.load(self.path)

    def problems(self, text):
        """Of the rows that the text is about."""
        rows = self.load(text)
        named = {key: row for key, row in rows.items() if row.title or row.cases}
        return trace.problems(named, ENTRIES)


class FormTest(TraceCase):

    def test_title_cases_and_notes(self):
        rows = self.load('# comment\n\nop 8 = split of a PMD\nop 8  s.split[order9*]\n'
                         'op 8  s.plain   without freeze\nissue 3.1 = more\n')
        self.assertEqual(rows['op', '8'], trace.Row(
            'split of a PMD', [('s.split[order9*]', ''), ('s.plain', 'without freeze')]))
        self.assertEqual(rows['issue', '3.1'].title, 'more')

    def test_required_rows_are_there_without_a_line(self):
        rows = self.load('')
        wanted = [f'seed {n}' for n in range(1, 27)] + [f'op {n}' for n in range(21)]
        self.assertEqual([' '.join(key) for key in rows], wanted)
        self.assertEqual(len([problem for problem in trace.problems(rows, ENTRIES)
                              if problem.endswith('has no case')]), 47)

    def test_mistakes_are_named_with_their_line(self):
        rows = (('seed', 'neither'), ('seed x  s.t', 'neither'), ('seed 27  s.t', 'no seed 27'),
                ('seed 0 = x', 'no seed 0'), ('op 21 = x', 'no op 21'), ('seed 1  st', "'st' is"),
                ('seed 1  s.t[a', "'s.t[a' is"), ('seed 1  s.t.u', "'s.t.u' is"),
                ('seed 1 =', 'no title'), ('op 2a  s.t', 'neither'))
        for line, words in rows:
            with self.subTest(line=line):
                with self.assertRaises(UsageError) as caught:
                    self.load('# first\n' + line + '\n')
                self.assertIn('line 2: ', caught.exception.cause)
                self.assertIn(words, caught.exception.cause)
        for text, words in (('op 1 = a\nop 1 = b\n', 'second title'),
                            ('op 1  s.t\nop 1  s.t  again\n', 's.t twice')):
            with self.assertRaises(UsageError) as caught:
                self.load(text)
            self.assertIn(words, caught.exception.cause)

    def test_table_that_is_gone_is_an_error(self):
        with self.assertRaises(IncompleteError):
            trace.load(self.path)


class ProblemTest(TraceCase):

    def test_complete_row_has_none(self):
        self.assertEqual(self.problems('op 1 = x\nop 1  s.split[order9_to_*]\nop 1  *.plain\n'), [])

    def test_row_without_case_or_title(self):
        self.assertEqual(self.problems('op 1 = x\n'), ['op 1 has no case'])
        self.assertEqual(self.problems('op 1  s.plain\n'), ['op 1 has no title'])
        self.assertEqual(self.problems('issue 3.1 = x\n'), ['issue 3.1 has no case'])

    def test_case_that_is_no_expected_test(self):
        for case in ('s.gone', 's.split[order3*]', 's.plain[x]', 's.spli', 't*.plain'):
            with self.subTest(case=case):
                self.assertEqual(self.problems(f'op 1 = x\nop 1  {case}\n'),
                                 [f'op 1: {case} is not in the list of expected tests'])

    def test_brackets_are_no_set_of_characters(self):
        self.assertTrue(trace.is_of('s.split', 's.split[order2_to_0]'))
        self.assertTrue(trace.is_of('s.split[order2_to_0]', 's.split[order2_to_0]'))
        self.assertFalse(trace.is_of('s.split[order2_to_0]', 's.splito'))
        self.assertFalse(trace.is_of('s.split[*]', 's.split'))


class ListTest(TraceCase):

    def test_table_marks_what_is_missing(self):
        rows = self.load('op 0 = zero\nop 8 = split of a PMD\nop 8  s.plain   without freeze\n'
                         'op 8  s.gone\nissue 3.1 = more\nissue 3.1  other.plain\n')
        lines = trace.table(rows, ENTRIES)
        text = '\n'.join(lines)
        self.assertIn('op 0       zero\n           ! no case\n', text)
        self.assertIn('op 8       split of a PMD\n           - s.plain   without freeze\n'
                      '           ! s.gone   not in tests/expected_tests\n', text)
        self.assertIn('issue 3.1  more\n           - other.plain\n', text)
        self.assertEqual(lines[-1], '48 rows, 46 without a case; 1 case that is not in '
                                    'tests/expected_tests')

    def test_table_is_no_wider_than_100_columns(self):
        rows = trace.load(PROJECT / 'tests/trace')
        entries = expected.load(PROJECT / 'tests/expected_tests')
        self.assertLessEqual(max(map(len, trace.table(rows, entries))), 100)

    def test_every_row_of_this_project_has_a_title(self):
        rows = trace.load(PROJECT / 'tests/trace')
        self.assertEqual([key for key, row in rows.items() if not row.title], [])


class CompleteTest(unittest.TestCase):
    """The tables of this project against each other."""

    def setUp(self):
        self.entries = expected.load(PROJECT / 'tests/expected_tests')

    def test_each_row_has_a_case_and_each_case_is_expected(self):
        rows = trace.load(PROJECT / 'tests/trace')
        self.assertLessEqual({('seed', str(n)) for n in range(1, 27)}, set(rows))
        self.assertLessEqual({('op', str(n)) for n in range(21)}, set(rows))
        self.assertEqual(trace.problems(rows, self.entries), [])

    def test_each_case_of_a_known_bug_is_expected(self):
        for bug in known_bugs.load(PROJECT / 'tests/known_bugs'):
            for case in bug.cases:
                with self.subTest(bug=bug.id, case=case):
                    self.assertTrue(any(known_bugs.is_case(case, entry.name)
                                        for entry in self.entries))


if __name__ == '__main__':
    unittest.main()
