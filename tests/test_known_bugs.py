# SPDX-License-Identifier: GPL-2.0
"""Known bugs of the kernel: their table, and what a run makes of what its cases say."""

import dataclasses
import io
import tempfile
import unittest
from pathlib import Path

from support import DATA, TREE, needs_kernel_tree

from umthp_tool import expected, known_bugs, report, report_json, report_junit, verdict
from umthp_tool.boot import Boot
from umthp_tool.console import Console
from umthp_tool.errors import IncompleteError, UsageError

RUN = expected.Run(version='7.3.4', variant='default', glob=None, slow=False)
TABLE = DATA / 'fake_kernel/known_bugs'
ABORT = -6
# id -> recorded boot of its own, how UML ended, the state that it shows.
OWN = {'LB6': ('known_bug_crash', ABORT, 'still there'),
       'PN1': ('known_bug_crash_of_a_parameter', ABORT, 'still there'),
       'LB9': ('known_bug_hang', None, 'still there'),
       'H4': ('known_bug_fixed', 0, 'fixed in this tree'),
       'LB2': ('known_bug_warning', 0, 'still there'),
       'OOPS': ('known_bug_oops', ABORT, 'still there'),
       'BAD': ('known_bug_failure', 0, 'changed')}
ROW = 'X1\n  claim a claim\n  case s.t\n  kernels kernel>=7.2\n'
OWN_ROW = ROW + '  own-boot\n'


class FolderCase(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix='umthp-known-')
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def load(self, text):
        path = self.folder / 'known_bugs'
        path.write_text(text, encoding='utf-8')
        return known_bugs.load(path)

    def to_boot(self, text, entries=(), **change):
        run = dataclasses.replace(RUN, **change)
        return [case for _bug, case in known_bugs.to_boot(
            self.load(text), run, [expected.Entry(name, tuple(words)) for name, *words in entries])]


class TableTest(FolderCase):

    def test_row_with_everything(self):
        bug, = self.load('# comment\n\nLB6\n\tclaim one\n\tclaim two\n\tcase s.t\n\tcase s.u\n'
                         '\tkernels kernel>=7.2 variant!=nothp\n\tkernels kernel<8\n'
                         '\t# more\n\town-boot 7\n\tobservable BUG: at (x)\n\tobservable hang\n')
        self.assertEqual(bug, known_bugs.Bug(
            'LB6', 'one two', ('s.t', 's.u'), ('kernel>=7.2', 'variant!=nothp', 'kernel<8'), 7,
            ('BUG: at (x)', 'hang')))

    def test_own_boot_without_a_number_has_the_default(self):
        self.assertEqual([bug.own_boot for bug in self.load(ROW + OWN_ROW.replace('X1', 'X2'))],
                         [None, known_bugs.OWN_BOOT_SECONDS])

    def test_empty_table_is_one_and_no_table_is_none(self):
        self.assertEqual(self.load('# nothing\n'), [])
        with self.assertRaises(IncompleteError) as caught:
            known_bugs.load(self.folder / 'nosuch')
        self.assertIn('git checkout -- tests/nosuch', caught.exception.fix)

    def test_mistakes_are_named_with_their_line(self):
        rows = (
            ('  claim x\n', 1, 'not indented'), ('two words\n' + ROW, 1, "'two words' is no name"),
            (ROW + ROW, 5, 'X1 has a row already'), (ROW + '  clam x\n', 5, "'clam' is no key"),
            (ROW + '  case s\n', 5, "'s' is no SUITE.TEST"),
            (ROW + '  case s.t[x]\n', 5, 'parameters are not given'),
            (ROW + '  kernels 7.2\n', 5, "'7.2' is no condition"),
            (ROW + '  kernels kernel>=7.2 slow\n', 5, "'slow' is no condition"),
            (ROW + '  case\n', 5, 'case needs a value'),
            (ROW + '  observable x\n', 1, 'own-boot is missing'),
            (OWN_ROW + '  own-boot\n', 6, 'own-boot twice'),
            (ROW + '  own-boot soon\n', 5, "'soon' is no number of seconds"),
            (ROW + '  own-boot 0\n', 5, "'0' is no number of seconds"),
            (OWN_ROW + '  observable /(/\n', 6, 'no regular expression'),
            (OWN_ROW.replace('s.t', 's.*'), 1, 'for one case, not for s.*'),
            ('X1\n  claim x\n', 1, 'X1 has no case and no kernels'), ('X1\n' + ROW, 1, 'no claim'),
        )
        for text, line, words in rows:
            with self.subTest(text=text):
                with self.assertRaises(UsageError) as caught:
                    self.load(text)
                self.assertRegex(caught.exception.cause, rf'known_bugs line {line}: ')
                self.assertIn(words, caught.exception.cause)

    def test_observable_is_a_text_or_between_slashes_an_expression(self):
        for observable, line, found in (('a.c:1', 'a.c:1', True), ('a.c', 'abc', False),
                                        ('/a.c/', 'abc', True), ('/a.c', '/abc', False),
                                        ('f()!', 'in f()!', True)):
            with self.subTest(observable=observable):
                self.assertEqual(bool(known_bugs.pattern(observable).search(line)), found)

    def test_boots_are_made_for_what_applies_and_is_selected(self):
        self.assertEqual(self.to_boot(OWN_ROW), ['s.t'])
        self.assertEqual(self.to_boot(OWN_ROW + '  case s.u\n'), ['s.t', 's.u'])
        self.assertEqual(self.to_boot(ROW), [])
        for change, cases in (({'version': '7.1.9'}, []), ({'glob': 's'}, ['s.t']),
                              ({'glob': '*.t'}, ['s.t']), ({'glob': 's.u'}, []),
                              ({'version': ''}, ['s.t'])):
            with self.subTest(**change):
                self.assertEqual(self.to_boot(OWN_ROW, **change), cases)

    def test_boots_are_made_only_where_the_case_is_expected(self):
        for words, change, cases in (
                (['slow'], {}, []), (['slow'], {'slow': True}, ['s.t']),
                (['variant!=nothp'], {'variant': 'nothp'}, []), ([], {}, ['s.t'])):
            with self.subTest(words=words, **change):
                self.assertEqual(self.to_boot(OWN_ROW, [['s.t[x]', *words]], **change), cases)
        self.assertEqual(self.to_boot(OWN_ROW, [['s.other', 'slow']]), ['s.t'])

    def test_table_for_people_has_every_row(self):
        lines = known_bugs.table(self.load(TABLE.read_text(encoding='utf-8')))
        self.assertLessEqual(max(map(len, lines)), 100)
        text = '\n'.join(lines)
        self.assertIn('LB6   a destination that is missing is taken for one\n'
                      '      trap_known.crashes  kernel>=7.2 variant!=nothp\n'
                      '      boot of its own, at most 30 s: BUG: failure at', text)


class JudgeCase(FolderCase):
    """tests/data/known_bugs.log, and a boot of its own for each row that wants one."""

    maxDiff = None

    def setUp(self):
        super().setUp()
        self.bugs = {bug.id: bug for bug in known_bugs.load(TABLE)}
        self.own = {name: self.boot(log, status) for name, (log, status, _state) in OWN.items()}
        # All that is recorded but this one ends well.
        self.own['BAD'] = self.edited('known_bug_fixed', 0, ('passes', 'fails'), ('H4', 'BAD'))
        self.main = self.boot('known_bugs', 0)

    @staticmethod
    def boot(log, status):
        path = log if isinstance(log, Path) else DATA / f'{log}.log'
        return Boot(['linux'], path, returncode=status, timed_out=status is None, seconds=2.0)

    def edited(self, log, status, *changes):
        """A recorded boot with each (old, new) replaced."""
        text = (DATA / f'{log}.log').read_text(encoding='utf-8')
        for old, new in changes:
            self.assertIn(old, text)
            text = text.replace(old, new)
        path = self.folder / f'{len(list(self.folder.iterdir()))}.log'
        path.write_text(text, encoding='utf-8')
        return self.boot(path, status)

    def change(self, name, **change):
        self.bugs[name] = dataclasses.replace(self.bugs[name], **change)

    def judge(self, **change):
        run = dataclasses.replace(RUN, **change)
        own = [(bug, case, self.own[bug.id])
               for bug, case in known_bugs.to_boot(list(self.bugs.values()), run, [])
               if bug.id in self.own]
        return verdict.judge(TREE, [self.main], run, None, list(self.bugs.values()), own)

    def states(self, result):
        return {entry.bug.id: entry.state for entry in result.known}

    def fails(self, words, **change):
        """The verdict is a failure, and this is its only reason."""
        result = self.judge(**change)
        self.assertEqual(result.verdict, 'fail')
        self.assertEqual(len(result.errors), 1, result.errors)
        self.assertIn(words, result.errors[0])
        self.assertEqual(result.failed, [])
        return result

    def outcome(self, name, log, status, state, words):
        """What the verdict says if this is the boot of that bug."""
        self.own[name] = log if isinstance(log, Boot) else self.boot(log, status)
        result = self.judge()
        self.assertEqual(self.states(result)[name], state)
        said = next(entry.first for entry in result.known if entry.bug.id == name)
        self.assertRegex(said.text, words)
        self.assertEqual(result.verdict, 'fail' if state == 'changed' else 'pass', result.errors)
        self.assertEqual(bool(result.failed), state == 'changed')
        return result


@needs_kernel_tree
class VerdictTest(JudgeCase):

    def test_known_bugs_do_not_fail_the_verdict(self):
        result = self.judge()
        self.assertEqual((result.verdict, result.errors, result.splats, result.reasons),
                         ('pass', [], [], []))
        self.assertEqual(self.states(result), {
            'LB11': 'still there', 'LB1': 'still there', 'H3': 'fixed in this tree',
            **{name: state for name, (_log, _status, state) in OWN.items()},
            'BAD': 'fixed in this tree'})

    def test_boots_of_their_own_take_the_place_of_what_was_skipped(self):
        result = self.judge()
        self.assertEqual((result.count('passed'), result.count('skipped')), (15, 0))
        crash = next(case for case in result.cases if case.full == 'trap_known.crashes')
        self.assertEqual(crash.log, [
            'known bug LB6: still there: BUG: failure at mm/tests/trap_kunit.c:50/crashes()!'])

    def test_each_parameter_speaks_for_itself(self):
        entry = next(entry for entry in self.judge().known if entry.bug.id == 'LB1')
        self.assertEqual([(said.test[-8:], said.state) for said in entry.said], [
            ('[order2]', 'fixed in this tree'), ('[order3]', 'fixed in this tree'),
            ('[order9]', 'still there')])
        self.assertEqual(entry.first.test, 'trap_known.per_order[order9]')

    def test_time_stamps_of_printk_do_not_hide_a_report(self):
        lines = (DATA / 'known_bugs.log').read_text(encoding='utf-8').splitlines()
        path = self.folder / 'timed.log'
        path.write_text('\n'.join(f'[    1.{n:06}] {line}' for n, line in enumerate(lines)))
        self.main = self.boot(path, 0)
        self.assertEqual(self.states(self.judge())['LB11'], 'still there')

    def test_report_without_a_row_fails(self):
        del self.bugs['LB11']
        self.fails('trap_known.reused_keeps_flags reports known bug LB11, which has no row')

    def test_report_of_another_case_fails(self):
        self.change('LB11', cases=('trap_known.reused_keeps_flags_*', 'trap_known.p*'))
        result = self.judge()
        self.assertEqual(result.verdict, 'fail')
        self.assertIn('trap_known.reused_keeps_flags reports known bug LB11, whose row does not '
                      'name this case', result.errors)

    def test_report_on_a_kernel_that_has_it_not_fails(self):
        self.change('LB11', conditions=('kernel<7.3',))
        self.fails('known bug LB11 is still there in 7.3.4 (default), where its row says')
        self.change('H3', conditions=('kernel<7.3',))
        self.change('LB11', conditions=('kernel>=7.3',))
        self.assertEqual(self.judge().verdict, 'pass')

    def test_silent_case_fails(self):
        self.bugs['X1'] = known_bugs.Bug('X1', 'x', ('trap_known.plain',), ('kernel>=7.2',))
        self.fails('known bug X1 was neither shown nor refuted by trap_known.plain')
        self.change('X1', cases=('trap_known.pl*', 'trap_known.gone'))
        self.assertEqual(len(self.judge().errors), 2)

    def test_silence_on_another_kernel_of_another_case_or_of_none_is_no_failure(self):
        self.bugs['X1'] = known_bugs.Bug('X1', 'x', ('trap_known.plain',), ('kernel<7.2',))
        self.assertEqual(self.judge().verdict, 'pass')
        self.change('X1', conditions=('kernel>=7.2',), cases=('trap_unknown.plain',))
        self.assertEqual(self.judge().verdict, 'pass')

    def test_failed_case_is_told_once_and_skipped_case_is_told(self):
        self.main = self.edited('known_bugs', 0, ('ok 1 plain', 'not ok 1 plain'))
        self.bugs['X1'] = known_bugs.Bug('X1', 'x', ('trap_known.plain',), ('kernel>=7.2',))
        result = self.judge()
        self.assertEqual((self.states(result)['X1'], [case.full for case in result.failed]),
                         ('changed', ['trap_known.plain']))
        self.assertFalse([error for error in result.errors if 'X1' in error])
        self.main = self.edited('known_bugs', 0, ('ok 1 plain', 'ok 1 plain # SKIP needs SWAP'))
        result = self.judge()
        self.assertEqual((self.states(result)['X1'], result.verdict), ('skipped', 'pass'))

    def test_line_that_says_something_else_fails(self):
        self.main = self.edited('known_bugs', 0, (
            'LB11: still there: ', 'LB11: still here: '))
        result = self.judge()
        self.assertEqual(result.verdict, 'fail')
        self.assertIn('trap_known.reused_keeps_flags says of known bug LB11 what is neither '
                      '`still there` nor `fixed in this tree`: still here: PG_workingset is 1, '
                      'should be 0', result.errors)

    def test_without_a_table_nothing_is_judged(self):
        result = verdict.judge(TREE, [self.main], RUN, None)
        self.assertEqual((result.verdict, result.known), ('pass', []))


@needs_kernel_tree
class OwnBootTest(JudgeCase):
    """The boots of their own, and what nothing but an observable excuses."""

    def test_clean_pass_is_fixed(self):
        self.outcome('LB6', self.edited('known_bug_fixed', 0, ('passes', 'crashes'), ('H4', 'LB6')),
                     0, 'fixed in this tree', 'no warning')

    def test_crash_without_the_observable_is_changed(self):
        self.change('LB6', observables=('BUG: failure at mm/migrate.c',))
        result = self.outcome('LB6', 'known_bug_crash', ABORT, 'changed',
                              'panic - not syncing: BUG!, without `BUG: failure at mm/migrate.c`')
        self.assertEqual([case.full for case in result.failed], ['trap_known.crashes'])
        self.assertEqual(result.exit_code, 1)
        self.assertIn(f'log: {self.own["LB6"].log}', result.failed[0].log)

    def test_each_observable_must_be_there(self):
        observables = self.bugs['LB6'].observables
        self.change('LB6', observables=(*observables, '/panic - not syncing: BUG/'))
        self.outcome('LB6', 'known_bug_crash', ABORT, 'still there', 'crashes')
        self.change('LB6', observables=(*observables, 'WARNING: mm/'))
        self.outcome('LB6', 'known_bug_crash', ABORT, 'changed', 'without `WARNING: mm/`')

    def test_words_of_a_test_or_of_the_command_line_are_no_observable(self):
        for observable in ('thp_known_bug.own_boot=LB6', 'Linux version'):
            with self.subTest(observable=observable):
                self.change('LB6', observables=(observable,))
                self.outcome('LB6', 'known_bug_crash', ABORT, 'changed', 'without')
        self.setUp()
        self.change('H4', observables=('no warning',))
        self.outcome('H4', 'known_bug_fixed', 0, 'fixed in this tree', 'no warning')

    def test_splat_counts_only_as_observable(self):
        self.change('LB2', observables=('WARNING: mm/migrate.c',))
        self.outcome('LB2', 'known_bug_warning', 0, 'changed',
                     'WARNING: mm/tests/trap_kunit.c:76 .*, without `WARNING: mm/migrate.c`')
        self.change('LB2', observables=())
        self.outcome('LB2', 'known_bug_warning', 0, 'changed', 'WARNING')

    def test_crash_that_the_observable_is_no_part_of_is_worse(self):
        """It warned, as the row says; now it dies of something else afterwards."""
        warning = (DATA / 'known_bug_warning.log').read_text(encoding='utf-8')
        crash = (DATA / 'known_bug_oops.log').read_text(encoding='utf-8').replace('oops', 'warns')
        path = self.folder / 'worse.log'
        path.write_text(warning.split('    ok 1 warns\n')[0] + crash[crash.index('\nPid:'):])
        self.outcome('LB2', path, ABORT, 'changed', 'also: Kernel panic - not syncing: Segfault')
        self.change('LB2', observables=('WARNING: mm/tests/trap_kunit.c', 'RIP: 0033:warns+'))
        self.outcome('LB2', path, ABORT, 'still there', 'WARNING')

    def test_failed_check_besides_the_observable_is_worse(self):
        log = self.edited('known_bug_warning', 0, (
            '    ok 1 warns', '    # warns: EXPECTATION FAILED at mm/a.c:1\n    not ok 1 warns'),
            ('\nok 1 trap', '\nnot ok 1 trap'))
        self.outcome('LB2', log, 0, 'changed', 'also: trap_known.warns failed: # warns: EXPECT')

    def test_failed_case_is_changed(self):
        self.outcome('BAD', 'known_bug_failure', 0, 'changed', 'trap_known.fails failed: .*:88')

    def test_time_out_counts_only_if_the_row_says_hang(self):
        self.outcome('LB9', 'known_bug_hang', None, 'still there', 'no end after 2 s, killed')
        self.change('LB9', observables=())
        self.outcome('LB9', 'known_bug_hang', None, 'changed', 'no end after 2 s, killed')
        self.outcome('LB6', 'known_bug_crash', None, 'changed', 'also: no end after 2 s, killed')

    def test_hang_is_one_of_the_case_not_of_the_boot_before_or_after(self):
        text = (DATA / 'known_bug_hang.log').read_text(encoding='utf-8')
        early, late = self.folder / 'early.log', self.folder / 'late.log'
        early.write_text(text[:text.index('KTAP')])
        late.write_text(text + '    ok 1 hangs\n')
        for log in (early, late):
            with self.subTest(log=log.stem):
                self.outcome('LB9', log, None, 'changed', 'no end after 2 s.*, without `hang`')

    def test_end_in_time_is_no_hang(self):
        log = self.edited('known_bug_fixed', 0, ('passes', 'hangs'), ('H4', 'LB9'))
        self.outcome('LB9', log, 0, 'fixed in this tree', 'no warning')

    def test_log_without_end_is_changed(self):
        boot = self.boot('known_bug_crash', None)
        boot.timed_out, boot.log_overflow = False, True
        self.outcome('LB6', boot, None, 'changed', 'also: more than')

    def test_case_that_says_still_there_without_the_observable_is_changed(self):
        log = self.edited('known_bug_fixed', 0, ('fixed in this tree', 'still there'))
        self.outcome('H4', log, 0, 'changed', 'says that it is still there, without `WARNING: mm/`')
        self.change('H4', observables=())
        self.outcome('H4', log, 0, 'still there', 'no warning')

    def test_case_that_is_skipped_in_its_own_boot_too(self):
        result = '    ok 1 passes'
        for reason, state, words in (
                ('known bug H4: runs in a boot of its own', 'changed', 'was skipped in the boot'),
                ('needs CONFIG_SWAP', 'skipped', 'needs CONFIG_SWAP')):
            with self.subTest(reason=reason):
                log = self.edited('known_bug_fixed', 0, (result, f'{result} # SKIP {reason}'))
                self.outcome('H4', log, 0, state, words)

    def test_case_that_the_kernel_does_not_have_is_changed(self):
        self.outcome('H4', self.edited('known_bug_fixed', 0, ('1 passes', '1 other')), 0, 'changed',
                     'the kernel has no test trap_known.passes')

    def test_case_that_the_boot_of_all_tests_ran_fails(self):
        self.main = self.edited('known_bugs', 0, (
            'ok 5 crashes # SKIP known bug LB6: runs in a boot of its own', 'ok 5 crashes'),
            ('skip:7', 'skip:6'), ('skip:9', 'skip:8'), ('pass:4', 'pass:5'), ('pass:6', 'pass:7'))
        self.fails('known bug LB6 wants a boot of its own, but the boot of all tests ran '
                   'trap_known.crashes')

    def test_report_in_the_boot_of_all_tests_fails(self):
        result = '    ok 5 crashes #'
        self.main = self.edited('known_bugs', 0, (
            result, '    # crashes: known bug LB6: still there: x\n' + result))
        self.fails('trap_known.crashes reports known bug LB6 in the boot of all tests')

    def test_case_that_no_row_gives_a_boot_fails(self):
        del self.bugs['LB6']
        self.fails('trap_known.crashes leaves known bug LB6 to a boot of its own, which no row')
        self.bugs = {bug.id: bug for bug in known_bugs.load(TABLE)}
        self.change('LB6', own_boot=None, observables=())
        result = self.judge()
        self.assertIn('trap_known.crashes leaves known bug LB6 to a boot of its own, which no row '
                      'of tests/known_bugs asks for', result.errors)

    def test_case_of_a_bug_that_is_not_in_this_kernel_stays_skipped(self):
        self.change('LB6', conditions=('kernel<7.3',))
        result = self.judge()
        self.assertEqual((result.verdict, result.count('skipped')), ('pass', 1))

    def test_change_that_no_case_can_carry_is_an_error(self):
        self.main = self.boot('good', 0)
        self.bugs = {'LB6': self.bugs['LB6']}
        self.own['LB6'] = self.boot('known_bug_hang', None)
        self.fails('known bug LB6: changed: no end after 2 s')


@needs_kernel_tree
class ReportTest(JudgeCase):

    def shown(self, result, **options):
        out = io.StringIO()
        report.show(result, Console(out=out, err=out, **options), ['umthp', 'run'])
        return out.getvalue()

    def test_run_ends_in_one_line_for_all_bugs(self):
        self.assertEqual(
            self.shown(self.judge()),
            'known    7 bugs still there: LB11 LB1 LB6 PN1 LB9 LB2 OOPS; '
            '3 fixed in this tree: H3 H4 BAD\nPASS  1 suites, 15 passed\n')
        self.assertEqual(self.shown(self.judge(), quiet=True), '')

    def test_long_line_is_broken(self):
        for number in range(30):
            name = f'X{number}'
            self.bugs[name] = known_bugs.Bug(name, 'x', ('trap_known.skip*',), ('kernel>=7.2',))
        self.main = self.edited('known_bugs', 0, ('ok 1 plain', 'ok 1 skipped # SKIP no swap'))
        lines = self.shown(self.judge()).splitlines()
        self.assertLessEqual(max(map(len, lines)), 100)
        self.assertEqual([line[:9] for line in lines],
                         ['known    ', ' ' * 9, ' ' * 9, 'PASS  1 s'])

    def test_verbose_run_has_every_report(self):
        text = self.shown(self.judge(), verbose=True)
        for wanted in ('still there        LB11  trap_known.reused_keeps_flags: PG_working',
                       'fixed in this tree LB1   trap_known.per_order[order3]: pfn is 0x120',
                       'still there        LB9   trap_known.hangs: no end after 2 s'):
            self.assertIn(wanted, text)

    def test_changed_bug_is_a_failure_with_its_log(self):
        self.own['BAD'] = self.boot('known_bug_failure', 0)
        text = self.shown(self.judge())
        self.assertRegex(text, r'FAIL  trap_known\.fails\n +known bug BAD: changed: .*\n'
                               r' +log: \S+/known_bug_failure\.log\n'
                               r' +reproduce: umthp run trap_known\.fails\n')
        self.assertIn('1 changed: BAD', text)

    def test_json_has_one_entry_a_bug(self):
        document = report_json.document(kernel='7.3.4', tree='', variant='default', seconds={},
                                        result=self.judge())
        entries = {entry['id']: entry for entry in document['known_bugs']}
        self.assertEqual(sorted(entries), sorted(self.bugs))
        entry = entries['LB1']
        self.assertEqual((entry['state'], entry['test'], entry['text'], len(entry['reports'])), (
            'still there', 'trap_known.per_order[order9]', 'pfn is 0x100, should be 0x120', 3))
        self.assertEqual(report_json.document(kernel='', tree='', variant='', seconds={})
                         ['known_bugs'], [])

    def test_junit_has_passed_cases_that_tell_of_their_bug(self):
        root = report_junit.tree(self.judge())
        self.assertEqual([case for case in root.iter() if case.tag in ('error', 'failure')], [])
        told = {case.get('name'): case.find('system-out').text
                for case in root.iter('testcase') if case.find('system-out') is not None}
        self.assertEqual(told['per_order[order9]'],
                         'known bug LB1: still there: pfn is 0x100, should be 0x120')
        self.assertRegex(told['crashes_per_order[order2]'], 'known bug PN1: still there: BUG')
        self.assertNotIn('plain', told)
        self.assertEqual(len(told), 14)


if __name__ == '__main__':
    unittest.main()
