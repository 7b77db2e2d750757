# SPDX-License-Identifier: GPL-2.0
"""All suites as two boots at once: by the letters of their names, and as one verdict."""

import json
import random
import unittest
from fnmatch import fnmatchcase

from support import PROJECT
from test_affected import AffectedCase

from umthp_tool import halves


class LettersTest(unittest.TestCase):

    NAMES = sorted({line.split('.')[0] for line in (PROJECT / 'tests/expected_tests').read_text()
                    .splitlines() if line and line[0] != '#'})

    def took(self, parts, seconds):
        return [sum(took for name, took in seconds.items() if fnmatchcase(name, part.glob))
                for part in parts]

    def test_each_suite_runs_once_known_or_not(self):
        source = random.Random(11)
        strange = ['kunit', 'Upper', 'ends_in_9', 'minus-', 'a]', 'b^', 'c!', '\xe9']
        for _ in range(50):
            seconds = {name: source.uniform(0.01, 0.2)
                       for name in source.sample(self.NAMES, 40) + source.sample(strange, 3)}
            parts = halves.parts(seconds)
            self.assertEqual(len(parts), 2)
            for name in self.NAMES + strange:
                self.assertEqual(sum(fnmatchcase(name, part.glob) for part in parts), 1, name)
            for part in parts:
                # What KUnit's glob_match() takes for more than letters.
                self.assertRegex(part.glob, r'^\*\[!?[a-z0-9_]+\]$')

    def test_both_take_about_the_same_time(self):
        parts = halves.parts({name: 0.05 for name in self.NAMES})
        first, second = self.took(parts, {name: 0.05 for name in self.NAMES})
        self.assertLess(abs(first - second), 0.1 * (first + second))

    def test_no_second_boot_that_does_not_pay(self):
        rows = (({}, False), ({'a': 0.4, 'b': 0.4}, False), ({'a': 9.0, 'b': 1.0}, False),
                ({'one_a': 2.0, 'two_a': 2.0}, False), ({'a-': 2.0, 'b!': 2.0}, False),
                ({'a': 0.4, 'b': 0.4}, True), ({'a': 2.0, 'b': 2.0}, False))
        self.assertEqual([len(halves.parts(*row)) for row in rows], [0] * 5 + [2, 2])


class TwoBootsTest(AffectedCase):

    TIMES = {'thp_a': 0.5, 'thp_b': 0.4, 'thp_c': 0.9, 'thp_d': 0.3, 'thp_e': 0.4}

    def setUp(self):
        super().setUp()
        self.run_json(0)
        self.times, = self.logs('suites-default.json')
        self.measured = self.times.read_text()
        self.times.write_text(json.dumps(self.TIMES))

    def parts(self):
        return [[name for name in self.NAMES if f'Subtest: {name}\n' in path.read_text()]
                for path in self.logs('run-default-parts/*.log')]

    def test_verdict_is_that_of_one_boot(self):
        two = self.run_json(0)
        self.assertEqual(self.parts(), [['thp_c', 'thp_e'], ['thp_a', 'thp_b', 'thp_d']])
        self.assertEqual(two[1], self.NAMES)
        self.assertIn('PASS  5 suites, 5 passed', two[2].stdout)
        self.assertEqual(self.told(two[2]), '')
        kept = json.loads(self.logs('verdict-default.json')[0].read_text())
        self.assertEqual(len(kept['suites']), 5)
        # What they took is known again: nothing.
        self.assertEqual(json.loads(self.times.read_text()).keys(), self.TIMES.keys())
        one = self.run_json(0)
        self.assertEqual(self.parts(), [])
        self.assertEqual(len(one[0]['logs']), 1)
        for key in ('passed', 'failed', 'skipped', 'missing', 'unexpected', 'errors', 'verdict'):
            self.assertEqual(one[0][key], two[0][key], key)

    def test_each_half_is_judged(self):
        for suite in ('thp_b', 'thp_e'):
            self.set_suites(fail=suite)
            document, ran, done = self.run_json(1)
            self.assertEqual((document['failed'], ran), (1, self.NAMES))
            self.assertEqual(done.stdout.count(f'FAIL  {suite}.works'), 1)
            self.assertEqual(len(document['logs']), 2)
            # A run that failed tells nothing about the time.
            self.assertEqual(json.loads(self.times.read_text()), self.TIMES)
        self.set_suites(hang='thp_c')
        document, ran, _ = self.run_json(8, '--timeout', '2')
        self.assertEqual(document['running'], 'thp_c')

    def test_lost_test_of_either_half_is_missed(self):
        with open(self.project / 'tests/expected_tests', 'a', encoding='utf-8') as file:
            file.write('thp_c.vanished\nthp_d.vanished\n')
        self.assertEqual(self.run_json(1)[0]['missing'], ['thp_c.vanished', 'thp_d.vanished'])

    def test_one_boot_where_it_is_asked_for_or_as_good(self):
        for words, logs in ((('-j', '1'), 1), (('thp_*',), 1), (('--isolate', 'suite'), 5)):
            self.times.write_text(json.dumps(self.TIMES))
            self.assertEqual(len(self.run_json(0, *words)[0]['logs']), logs, words)
        for text in (self.measured, '', '[]', '{"thp_a": "x", "thp_b": -7, "thp_c": null}'):
            self.times.write_text(text)
            self.assertEqual(len(self.run_json(0)[0]['logs']), 1, text)
        self.times.write_text(json.dumps(self.TIMES))
        self.expect(0, 'run', '--slow', '--write-expected')
        self.assertEqual(self.logs('run-default-parts/*'), [])

    def test_bisection_uses_both(self):
        self.expect(0, 'run', '--bisect', '-j', '2')
        self.assertEqual(len(self.parts()), 2)

    def test_dry_run_shows_both(self):
        shown = self.expect(0, 'run', '--dry-run', '-j', '2').stdout
        self.assertIn("'kunit.filter_glob=*[!abd]'", shown)
        self.assertIn("'kunit.filter_glob=*[abd]'", shown)


if __name__ == '__main__':
    unittest.main()
