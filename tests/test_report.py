# SPDX-License-Identifier: GPL-2.0
"""Reports of recorded boots: the terminal, JSON and JUnit, also of logs that attack them."""

import io
import json
import re
import tempfile
import unittest
import xml.etree.ElementTree as ET
from pathlib import Path

from support import DATA, TREE, needs_kernel_tree

from umthp_tool import expected, ktap, report, report_json, report_junit, verdict
from umthp_tool.boot import Boot
from umthp_tool.console import Console, printable
from umthp_tool.errors import HostError

RUN = expected.Run(version='7.3.4', variant='default', glob=None, slow=False)
CONTROL = re.compile('[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]')
COMMAND = ['umthp', 'run', '--kernel', "/tmp/it's a $(tree)"]


def judged(log, status=0, entries=None):
    return verdict.judge(TREE, [Boot(['linux'], DATA / f'{log}.log', returncode=status)], RUN,
                         entries)


def shown(result, **options):
    out = io.StringIO()
    report.show(result, Console(out=out, err=out, **options), COMMAND)
    return out.getvalue()


@needs_kernel_tree
class TerminalTest(unittest.TestCase):

    def test_pass_is_one_line(self):
        self.assertEqual(shown(judged('good')), 'PASS  1 suites, 4 passed, 1 skipped\n')

    def test_pass_is_silent_when_quiet(self):
        self.assertEqual(shown(judged('good'), quiet=True), '')

    def test_verbose_pass_lists_every_case_with_the_reason_of_a_skip(self):
        text = shown(judged('good'), verbose=True)
        self.assertIn('  passed  trap_good.split_order[order9]\n', text)
        self.assertIn('  skipped trap_good.skipped (needs CONFIG_SWAP)\n', text)

    def test_failure_shows_test_message_log_and_how_to_repeat_it(self):
        text = shown(judged('test_failed'), quiet=True)
        self.assertIn('FAIL  trap_fail.split_fails[order3]\n', text)
        self.assertIn('tail 7: refcount of order 3\n', text)
        self.assertIn("reproduce: umthp run trap_fail.split_fails --kernel "
                      "'/tmp/it'\"'\"'s a $(tree)'\n", text)
        self.assertIn(f'log: {DATA}/test_failed.log\n', text)
        self.assertTrue(text.endswith('FAIL  1 suites, 2 passed, 2 failed\n'), text)

    @staticmethod
    def broken(tests, tables):
        """A kernel in which all is wrong: each test fails with tables of the ledger."""
        result = verdict.Verdict(verdict='fail')
        for number in range(tests):
            log = []
            for table in range(tables):
                log += [f'# t: ledger: step {table}',
                        *[f'# t: field{row} 0 1 0 <-- wrong' for row in range(50)],
                        '# t: EXPECTATION FAILED at mm/tests/thp_ledger_report.c:320',
                        f'step {table}: 50 fields wrong', '# t: page 3 of the folio']
            result.cases.append(ktap.Case('suite', f'test{number}', 'failed', log))
        return result

    def test_broken_kernel_shows_the_first_table_of_the_first_tests(self):
        text = shown(self.broken(tests=700, tables=9))
        full, short = report.MAX_TABLES, report.MAX_FAILURES
        self.assertEqual(text.count('ledger: step 0'), full)
        self.assertEqual(text.count('field49 0 1 0 <-- wrong'), full)
        self.assertEqual(text.count('step 0: 50 fields wrong'), short)
        self.assertNotIn('step 1', text)
        self.assertEqual([line for line in text.splitlines() if line.startswith('FAIL  ')][:short],
                         [f'FAIL  suite.test{number}' for number in range(short)])
        self.assertIn(f'and {700 - short} more failed tests\n', text)
        self.assertLess(len(text.splitlines()), 500)

    def test_only_failure_of_a_test_is_shown_whole(self):
        text = shown(self.broken(tests=1, tables=1))
        for wanted in ('ledger: step 0', 'field49', 'EXPECTATION FAILED', '50 fields wrong',
                       'page 3 of the folio'):
            self.assertIn(wanted, text)
        self.assertNotIn('more lines in the log', text)
        self.assertIn('more lines in the log', shown(self.broken(tests=1, tables=2)))

    def test_splat_shows_its_text_test_and_line(self):
        text = shown(judged('warning_in_passing_test'))
        log = DATA / 'warning_in_passing_test.log'
        line = next(n for n, line in enumerate(log.read_text().splitlines(), 1)
                    if 'WARNING:' in line)
        self.assertIn('SPLAT WARNING: mm/trap_kunit.c:19', text)
        self.assertIn(f'in trap_warn.warns   {log}:{line}\n', text)

    def test_crash_shows_the_panic_and_the_last_lines(self):
        text = shown(judged('panic_in_the_middle', status=-6))
        self.assertIn('CRASH Kernel panic - not syncing: fatal exception in the middle\n', text)
        self.assertIn('in trap_panic\n', text)
        self.assertIn('| ', text)
        self.assertTrue(text.splitlines()[-1].startswith('CRASH  '), text)

    def test_no_tests_and_missing_tests_are_said(self):
        self.assertIn('no test matches; `umthp list` shows', shown(judged('zero_tests')))
        entries = [expected.Entry('trap_good.gone', ())]
        text = shown(judged('good', entries=entries))
        self.assertIn('MISSING 1 expected tests gave no result:\n      trap_good.gone\n', text)
        self.assertTrue(text.endswith('1 missing\n'), text)

    def test_no_log_can_act_on_the_terminal(self):
        for log in sorted(DATA.glob('*.log')):
            for status in (0, -6):
                with self.subTest(log=log.stem, status=status):
                    text = shown(judged(log.stem, status), verbose=True)
                    self.assertIsNone(CONTROL.search(text), text)

    def test_printable_spells_out_what_a_terminal_acts_upon(self):
        text = 'a\x1b[2J\r\x00\x7f\x9b\u202eb\n'
        self.assertIsNone(CONTROL.search(printable(text)))
        self.assertEqual(printable('tab\tand é stay'), 'tab\tand é stay')


@needs_kernel_tree
class MachineReadableTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-report-')
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def json(self, result):
        path = self.folder / 'f.json'
        report_json.write(report_json.document(
            kernel='7.3.4', tree='abc', variant='default', seconds={'run': 0.25}, result=result,
            exit_code=result.exit_code), str(path))
        return json.loads(path.read_text(encoding='utf-8'))

    def junit(self, result):
        path = self.folder / 'f.xml'
        report_junit.write(report_junit.tree(result), str(path))
        return ET.parse(path).getroot()

    def test_json_has_the_keys_that_the_design_names(self):
        document = self.json(judged('test_failed'))
        for key in ('verdict', 'kernel', 'tree', 'variant', 'seconds', 'passed', 'failed',
                    'skipped', 'suites', 'splats'):
            self.assertIn(key, document)
        self.assertEqual(sorted(document['seconds']), ['build', 'run', 'sync'])
        self.assertEqual((document['verdict'], document['passed'], document['failed'],
                          document['skipped']), ('fail', 2, 2, 0))

    def test_junit_is_flat_with_class_and_parameter(self):
        root = self.junit(judged('test_failed'))
        self.assertEqual([child.tag for child in root], ['testsuite'])
        cases = {(case.get('classname'), case.get('name')): [child.tag for child in case]
                 for case in root.iter('testcase')}
        self.assertEqual(cases, {('trap_fail', 'plain'): [],
                                 ('trap_fail', 'split_fails[order2]'): [],
                                 ('trap_fail', 'split_fails[order3]'): ['failure'],
                                 ('trap_fail', 'split_fails[order9]'): ['failure']})
        self.assertEqual((root[0].get('tests'), root[0].get('failures'), root[0].get('errors')),
                         ('4', '2', '0'))

    def test_junit_alone_shows_every_kind_of_failure(self):
        for log in ('warning_in_passing_test', 'lost_plan', 'zero_tests', 'lost_end'):
            with self.subTest(log=log):
                bad = [case for case in self.junit(judged(log)).iter('testcase')
                       if case.find('error') is not None or case.find('failure') is not None]
                self.assertTrue(bad)

    def test_passing_log_has_no_failure_in_junit(self):
        root = self.junit(judged('good'))
        self.assertEqual([case for case in root.iter() if case.tag in ('error', 'failure')], [])
        self.assertEqual(root.find('.//skipped').get('message'), 'needs CONFIG_SWAP')

    def test_both_are_well_formed_for_every_log_and_carry_the_verdict(self):
        for log in sorted(DATA.glob('*.log')):
            with self.subTest(log=log.stem):
                result = judged(log.stem)
                self.assertEqual(self.json(result)['verdict'], result.verdict)
                names = [case.get('name') for case in self.junit(result).iter('testcase')]
                self.assertNotIn('evil', names)

    def test_message_that_attacks_is_text_in_all_of_them(self):
        result = judged('hostile_message')
        root = self.junit(result)
        failure = root.find('.//failure')
        self.assertIn(']]></failure><script>alert(1)</script> \\x1b[2J', failure.text)
        self.assertIn('<testcase name="evil"/>', failure.text)
        self.assertEqual(len(root.findall('.//testcase')), 2)
        self.assertIn('\x1b[2J', self.json(result)['suites'][0]['tests'][1]['log'][0])
        self.assertIn('\\x1b]0;owned\\x07', shown(result))

    def test_unwritable_report_is_a_host_error_not_a_traceback(self):
        for write, value in ((report_json.write, {}), (report_junit.write, ET.Element('a'))):
            with self.assertRaises(HostError):
                write(value, str(self.folder / 'no' / 'such' / 'folder'))


if __name__ == '__main__':
    unittest.main()
