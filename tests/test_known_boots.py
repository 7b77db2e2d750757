# SPDX-License-Identifier: GPL-2.0
"""Runs with known bugs: the boots of their own that `umthp run` makes, and what it says."""

import json
import signal
import subprocess
import time
import xml.etree.ElementTree as ET

import unittest

from fake_kernel import FakeKernelCase
from support import DATA

OWN = ('LB6=known_bug_crash:134 PN1=known_bug_crash_of_a_parameter:134 LB9=known_bug_hang:hang '
       'H4=known_bug_fixed:0 LB2=known_bug_warning:0 OOPS=known_bug_oops:134')
NAMES = ('plain', 'reused_keeps_flags', 'per_order[order2]', 'per_order[order3]',
         'per_order[order9]', 'gone', 'crashes', 'crashes_per_order[order2]',
         'crashes_per_order[order3]', 'crashes_per_order[order9]', 'hangs', 'passes', 'warns',
         'oops', 'fails')
# Prints its log only after the boot of a known bug has begun.
WAITS = '''\
#!/bin/sh
case " $* " in
*own_boot=*) touch @TOP@/begun ;;
*) until [ -e @TOP@/begun ]; do sleep 0.05; done ;;
esac
'''


class KnownBugsCase(FakeKernelCase):

    def setUp(self):
        super().setUp()
        self.table = self.project / 'tests/known_bugs'
        self.table.write_text((DATA / 'fake_kernel/known_bugs').read_text())
        self.put('project/tests/expected_tests',
                 ''.join(f'trap_known.{name}\n' for name in NAMES))
        fixed = (DATA / 'known_bug_fixed.log').read_text()
        self.put('fixed.log', fixed.replace('passes', 'fails').replace('H4', 'BAD'))
        self.set_boot('known_bugs', own=f'{OWN} BAD={self.top}/fixed:0')


class RunTest(KnownBugsCase):

    def test_run_passes_and_names_the_bugs(self):
        report, junit = self.top / 'f.json', self.top / 'f.xml'
        result = self.expect(0, 'run', '--own-boots', '--json', report, '--junit', junit)
        self.assertRegex(result.stdout, r'\Aknown    7 bugs still there: LB11 LB1 LB6 PN1 LB9 LB2 '
                                        r'OOPS; 3 fixed in this tree: H3 H4 BAD\nPASS .*\n\Z')
        document = json.loads(report.read_text())
        self.assertEqual((document['verdict'], document['passed'], document['skipped'],
                          document['splats'], document['errors']), ('pass', 15, 0, [], []))
        self.assertEqual([entry['state'] for entry in document['known_bugs']
                          if entry['id'] == 'LB9'], ['still there'])
        self.assertEqual(ET.parse(junit).getroot().findall('.//skipped'), [])
        self.assert_no_child_is_left()
        self.expect(0, 'exec', '--own-boots')
        self.expect(0, 'run', '--own-boots', '--isolate', 'suite')

    def test_bugs_that_need_a_boot_are_left_out_unless_asked_for(self):
        result = self.expect(0, 'run', '-v')
        self.assertRegex(result.stdout, r'(?m)^known .*; 7 not asked, see --own-boots:'
                                        r'(\s+[A-Z0-9]+){7}$')
        self.assertNotIn('own_boot=', result.stderr)
        self.assertIn('thp_known_bug.own_boot=LB6',
                      self.expect(0, 'run', '-v', 'trap_*').stderr)
        self.assertIn('thp_known_bug.own_boot=LB6', self.expect(0, 'run', '-v', '--slow').stderr)

    def test_changed_bug_fails_with_its_log(self):
        self.set_boot('known_bugs', own=f'{OWN} BAD=known_bug_failure:0')
        result = self.expect(1, 'run', '--own-boots')
        log = next(self.cache.glob('trees/*/logs/run-default-known-bugs/BAD-*.log'))
        self.assertIn('known bug BAD: changed: trap_known.fails failed', result.stdout)
        self.assertIn(f'log: {log}\n', result.stdout)

    def test_each_bug_has_its_boot_beside_that_of_all_tests(self):
        run = ('run', '--own-boots', '-v', '--kernel-args', 'a.b=1')
        lines = [line for line in self.expect(0, *run).stderr.splitlines()
                 if line.startswith('$ ') and 'kunit.filter=' in line]
        self.assertEqual(len(lines), 8, lines)
        for name, case in (('LB6', 'crashes'), ('LB9', 'hangs')):
            line, = (line for line in lines if f'own_boot={name} ' in line)
            self.assertRegex(line, rf'kunit\.filter_glob=trap_known\.{case} '
                                   rf"'kunit\.filter=\S+' thp_known_bug\.own_boot={name} a\.b=1$")

    def test_dry_run_shows_the_boots_that_it_would_make(self):
        for words, count in (((), 8), (('trap_known.crashes',), 2), (('trap_good',), 1)):
            with self.subTest(words=words):
                out = self.expect(0, 'run', '--own-boots', '--dry-run', *words).stdout
                self.assertEqual(out.count('kunit.filter='), count, out)
                self.assertEqual(out.count('thp_known_bug.own_boot=LB6    # known bug LB6: kernel'),
                                 count > 1)

    def test_boots_of_their_own_do_not_wait_for_the_others(self):
        path = self.kernel / 'linux.sh'
        text = path.read_text()
        path.write_text(text.replace('#!/bin/sh\n', WAITS.replace('@TOP@', str(self.top))))
        self.expect(0, 'run', '--own-boots', '--jobs', '2', '--timeout', '60')
        (self.top / 'begun').unlink()
        result = self.expect(8, 'run', '--own-boots', '--jobs', '1', '--timeout', '3')
        self.assertIn('no end after 3 s', result.stdout)

    def test_interrupted_run_leaves_no_boot_behind(self):
        self.table.write_text(self.table.read_text().replace('own-boot    2', 'own-boot    600'))
        self.expect(0, 'build')
        run = subprocess.Popen(self.command('run', '--own-boots'), cwd=self.kernel,
                               env=self.environment(), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding='utf-8')
        while not any(self.cache.glob('trees/*/logs/run-default-known-bugs/LB9-*.log')):
            self.assertIsNone(run.poll())
            time.sleep(0.01)
        run.send_signal(signal.SIGTERM)
        output, _ = run.communicate(timeout=60)
        self.assertEqual(run.returncode, 128 + signal.SIGTERM, output)
        self.assertNotIn('Traceback', output)
        self.assert_no_child_is_left()


class TablesTest(KnownBugsCase):

    def test_list_prints_the_table_without_a_kernel(self):
        out = self.expect(0, 'list', '--known-bugs', cwd=self.top).stdout
        self.assertIn('LB11  the flags of the last owner are still there\n'
                      '      trap_known.reused_keeps_flags  kernel>=7.2\n', out)
        self.assertFalse(self.cache.exists())

    def test_list_prints_what_must_be_shown_without_a_kernel(self):
        self.put('project/tests/trace', 'op 1 = init\nop 1  trap_known.plain\n')
        out = self.expect(0, 'list', '--trace', cwd=self.top).stdout
        self.assertIn('op 1     init\n         - trap_known.plain\n', out)
        self.assertIn('47 rows, 46 without a case; 0 cases that are not in', out)
        (self.project / 'tests/trace').unlink()
        self.assertIn('git checkout -- tests/trace', self.expect(4, 'list', '--trace').stderr)

    def test_table_that_is_gone_or_wrong_is_told_before_the_build(self):
        self.table.write_text('LB6\n\tclaim x\n')
        self.assertIn('line 1: LB6 has no case', self.expect(2, 'run').stderr)
        self.table.unlink()
        self.assertIn('git checkout -- tests/known_bugs', self.expect(4, 'run').stderr)
        self.assertFalse(self.cache.exists())


class MutantsTest(KnownBugsCase):

    def test_cases_that_wait_for_a_boot_of_their_own_kill_no_mutant(self):
        self.put('mutants/survives.patch', '--- a/mm/rmap.c\n+++ b/mm/rmap.c\n@@ -1 +1 @@\n'
                 '-int rmap;\n+int wrong;\n')
        report = self.top / 'f.json'
        self.expect(1, 'mutants', self.top / 'mutants', '--json', report)
        row, = json.loads(report.read_text())
        self.assertEqual((row['result'], row['killed_by']), ('survived', []))


if __name__ == '__main__':
    unittest.main()
