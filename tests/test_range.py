# SPDX-License-Identifier: GPL-2.0
"""umthp run --range and --bisect: commits one after the other, those that cannot be tested too."""

import json
import re
import unittest

from fake_kernel import FakeKernelCase, differences, snapshot

GOOD, BAD = 'good', 'test_failed'


class HistoryCase(FakeKernelCase):

    def history(self, *kinds):
        """One commit for each: what it does to the kernel, from there on. Their ids."""
        made = []
        for number, kind in enumerate(kinds, 1):
            if kind == 'no build':
                self.append('mm/huge_memory.c', 'BROKEN\n')
            elif kind == 'builds again':
                text = (self.kernel / 'mm/huge_memory.c').read_text(encoding='utf-8')
                self.put('linux/mm/huge_memory.c', text.replace('BROKEN\n', ''))
            elif kind == 'no series':
                self.put('linux/arch/um/kernel/mem.c', 'int um_memory;\n')
            elif kind == 'series again':
                self.put('linux/arch/um/kernel/mem.c', 'int um_mem;\n')
            elif kind in (GOOD, BAD, 'panic_in_the_middle', 'zero_tests'):
                self.set_boot(kind)
            self.append('mm/memory.c', f'int commit{number};\n')
            self.commit(f'mm: {number}: {kind}')
            made.append(self.git('rev-parse', 'HEAD').strip())
        return made


class RangeTest(HistoryCase):

    def rows(self, output):
        """(commit, verdict, passed, failed, subject) of each row of the table."""
        found = re.findall(r'^([0-9a-f]{12})  (.{11}) +(\d+|-) +(\d+|-) +[\d.]+  (.*)$', output,
                           re.M)
        return [(commit, word.strip(), passed, failed, subject)
                for commit, word, passed, failed, subject in found]

    def test_each_commit_gets_a_row_and_the_walk_ends_at_the_first_failure(self):
        commits = self.history('edit', 'no build', 'builds again', 'no series', 'series again',
                               BAD, 'edit')
        self.put('linux/mm/memory.c', 'int uncommitted;\n')
        before = snapshot(self.kernel)
        document = self.top / 'f.json'
        result = self.expect(1, 'run', '--range', 'HEAD~7..HEAD', '--json', document)
        self.assertEqual(differences(before, snapshot(self.kernel)), [])
        rows = self.rows(result.stdout)
        self.assertEqual([row[0] for row in rows], [commit[:12] for commit in commits[:6]])
        self.assertEqual([row[1:4] for row in rows], [
            ('pass', '4', '0'), ('no build', '-', '-'), ('pass', '4', '0'),
            ('no series', '-', '-'), ('pass', '4', '0'), ('FAIL', '2', '2')])
        self.assertEqual(rows[1][4], 'mm: 2: no build')
        lines = result.stdout.splitlines()
        self.assertEqual(lines[0].split()[:3], ['commit', 'verdict', 'passed'])
        self.assertRegex(result.stdout, r'(?m)^    \S*mm/huge_memory.o does not build:\n'
                         r'    mm/huge_memory.c:1:1: error: it is broken$')
        self.assertIn('    the series does not apply: um-more (0001-um-more.patch)', lines)
        self.assertIn(f'          reproduce: umthp run trap_fail.split_fails --rev {rows[5][0]}',
                      lines)
        self.assertEqual(lines[-1], 'FAIL  7 commits: 3 passed, 1 failed, 1 not built, 1 without '
                         'the series, 1 not run (--keep-going goes on)')
        found = json.loads(document.read_text())
        self.assertEqual([(entry['commit'], entry['verdict']) for entry in found['commits']],
                         list(zip(commits, ('pass', 'build-error', 'pass', 'series-error', 'pass',
                                            'fail', 'not-run'))))
        self.assertEqual((found['verdict'], found['exit_code']), ('fail', 1))
        self.assertIn('um-more', found['commits'][3]['error']['cause'])
        self.assertEqual(found['commits'][5]['failed'], 2)
        self.assertEqual(found['commits'][0]['passed'], 4)
        trees = [entry.get('tree') for entry in found['commits']]
        self.assertEqual(len({trees[0], trees[2], trees[4], trees[5]}), 4)

    def test_keep_going_and_the_worst_exit_code(self):
        self.history('no build', 'builds again', 'panic_in_the_middle', GOOD)
        result = self.expect(8, 'run', '--range', 'HEAD~4..', '--keep-going')
        self.assertEqual([row[1] for row in self.rows(result.stdout)],
                         ['no build', 'pass', 'CRASH', 'pass'])
        self.assertNotIn('not run', result.stdout)
        result = self.umthp('run', '--range', 'HEAD~4..HEAD~2', '-q')
        self.assertEqual(result.returncode, 5, result.stderr)
        self.assertEqual([row[1] for row in self.rows(result.stdout)], ['no build'])
        result = self.expect(0, 'run', '--range', 'HEAD~1..HEAD')
        self.assertTrue(result.stdout.endswith('PASS  1 commit: 1 passed\n'), result.stdout)
        self.assertEqual(self.expect(0, 'run', '--range', 'HEAD~1..HEAD', '-q').stdout, '')

    def test_host_ends_the_walk_and_no_commit_is_blamed(self):
        self.history('edit', 'edit')
        report = self.project / 'tools/umthp_tool/run_boots.py'
        text = report.read_text()
        report.write_text(text.replace(
            'def boots(', 'def boots(*words):\n    raise HostError("no ptrace", "buy one")\n\n\n'
            'def boots_(', 1))
        result = self.expect(7, 'run', '--range', 'HEAD~2..HEAD', '--json', self.top / 'f.json')
        self.assertEqual(self.rows(result.stdout), [])
        found = json.loads((self.top / 'f.json').read_text())
        self.assertEqual([entry['verdict'] for entry in found['commits']], ['not-run', 'not-run'])
        self.assertEqual((found['verdict'], found['error']['cause']), ('host-error', 'no ptrace'))

    def test_what_is_no_range_is_refused(self):
        self.history('edit')
        for words, text in ((('--range', 'HEAD'), '--range HEAD..HEAD'),
                            (('--range', 'HEAD..nosuch'), 'finds no such commits'),
                            (('--range', 'HEAD~1..HEAD', '--staged'), 'do not go together'),
                            (('--range', 'HEAD~1..HEAD', '--bisect'), None),
                            (('--range', 'HEAD~1..HEAD', '--junit', 'f.xml'), '--json has all')):
            with self.subTest(words=words):
                result = self.umthp('run', *words)
                self.assertEqual(result.returncode, 130 if '--bisect' in words else 2)
                self.assertIn(text or 'do not go together', result.stderr)
        self.assertIn('no commit in', self.expect(3, 'run', '--range', 'HEAD..HEAD').stderr)
        pwned = self.top / 'pwned'
        self.umthp('run', f'--range=--output={pwned}..')
        self.assertFalse(pwned.exists())

    def test_dry_run_names_the_commits(self):
        commits = self.history('edit', 'edit')
        out = self.expect(0, 'run', '--range', 'HEAD~2..HEAD', '--dry-run').stdout
        self.assertEqual([line.split()[3] for line in out.splitlines()],
                         [commit[:12] for commit in commits])


class BisectTest(HistoryCase):

    def test_bisect_finds_the_bug_among_commits_that_cannot_be_tested(self):
        """git looks in the middle first: at one that does not build, then at a conflict."""
        kinds = ['edit'] * 14
        kinds[6], kinds[7] = 'no build', 'builds again'
        kinds[8], kinds[10] = 'no series', 'series again'
        kinds[11] = BAD
        commits = self.history(*kinds)
        for good, first in (('HEAD~14', commits[6:7]), (commits[4], commits[8:10])):
            with self.subTest(good=good):
                self.git('bisect', 'start', 'HEAD', good)
                log = self.git('bisect', 'run', *self.command('run', '--bisect', '-q'))
                self.assertIn(f'{commits[11]} is the first bad commit', log)
                steps = self.git('bisect', 'log')
                self.assertRegex(steps, r'# skip: \[(%s)\]' % '|'.join(first))
                self.git('bisect', 'reset')
                self.assertEqual(self.git('status', '--porcelain'), '')


if __name__ == '__main__':
    unittest.main()
