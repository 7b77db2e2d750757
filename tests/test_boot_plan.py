# SPDX-License-Identifier: GPL-2.0
"""Sets of suites as boots, by the names of the suites that there are."""

import random
import unittest
from fnmatch import fnmatchcase

from support import PROJECT

from umthp_tool import boot_plan


class PlanTest(unittest.TestCase):
    """By KUnit's rule for globs and modules each suite runs as often as it
    should, and no parameter is longer than the kernel takes."""

    NAMES = [line.split('.')[0] for line in (PROJECT / 'tests/expected_tests').read_text()
             .splitlines() if line and line[0] != '#']

    def setUp(self):
        names = list(dict.fromkeys(self.NAMES))
        self.assertGreater(len(names), 60)
        self.modules = {name: name.replace('random_long', 'random') + '_kunit' for name in names}
        self.random = random.Random(4)

    def runs(self, parts):
        """suite -> how many of the boots run it."""
        for part in parts:
            words = 'speed>very_slow' + ''.join(',module!=' + name for name in part.without)
            self.assertLessEqual(len(words), 1024)
        return {suite: sum((part.glob is None or fnmatchcase(suite, part.glob))
                           and module not in part.without for part in parts)
                for suite, module in self.modules.items()}

    def subsets(self):
        for size in (1, 1, 2, 3, 4, 6, 9, 13, 19, 25, 33, 45, 60, len(self.modules)):
            for _ in range(12):
                yield boot_plan.whole_files(set(self.random.sample(sorted(self.modules), size)),
                                            self.modules)

    def test_cover_runs_each_wanted_suite_once_and_no_other(self):
        for wanted in self.subsets():
            parts = boot_plan.cover(wanted, self.modules)
            self.assertEqual(self.runs(parts), {suite: int(suite in wanted)
                                                for suite in self.modules})
            self.assertLessEqual(len(parts), 4)

    def test_first_and_rest_run_every_suite_once(self):
        two = 0
        for wanted in self.subsets():
            parts = boot_plan.first_and_rest(wanted, self.modules)
            if not parts:
                continue
            two += 1
            self.assertEqual(set(self.runs(parts).values()), {1})
            self.assertEqual([part.first for part in parts], [True, False])
            self.assertLessEqual(wanted, set(parts[0].suites(self.modules)))
            # Also what nobody knew of.
            self.assertIsNone(parts[1].glob)
        self.assertGreater(two, 90)

    def test_file_with_two_suites_stays_whole(self):
        names = {'device_private_thp_random'}
        self.assertEqual(boot_plan.whole_files(names, self.modules),
                         {'device_private_thp_random', 'device_private_thp_random_long'})


if __name__ == '__main__':
    unittest.main()
