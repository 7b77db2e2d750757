# SPDX-License-Identifier: GPL-2.0
"""umthp mutants on the fake kernel: what each result looks like, what is kept, what is refused."""

import json
import os
import re
import signal
import sys
import unittest

from fake_kernel import FakeKernelCase, differences, snapshot
from support import PROJECT

HEADER = 'do something wrong\nBreaks: something\n'
ABORT = 134


def patch(path, before, after, header=HEADER, hunk='@@ -1 +1 @@'):
    """A patch of one line of one file."""
    return f'{header}\n--- a/{path}\n+++ b/{path}\n{hunk}\n-{before}\n+{after}\n'


SURVIVES = patch('mm/rmap.c', 'int rmap;', 'int wrong;')


class MutantsCase(FakeKernelCase):

    def setUp(self):
        super().setUp()
        # The time limit of a boot that hangs.
        module = self.project / 'tools/umthp_tool/mutants.py'
        text = module.read_text()
        self.assertIn('\nLIMIT_SECONDS = 20\n', text)
        module.write_text(text.replace('LIMIT_SECONDS = 20', 'LIMIT_SECONDS = 1'))

    def boots_to(self, log, status=0, header=HEADER):
        """A patch that makes the kernel print another recorded log."""
        lines = (self.kernel / 'linux.sh').read_text().splitlines()
        at = lines.index('log=good')
        self.assertEqual(lines[at + 1], 'status=0')
        return (f'{header}\n--- a/linux.sh\n+++ b/linux.sh\n@@ -{at + 1},2 +{at + 1},2 @@\n'
                f'-log=good\n-status=0\n+log={log}\n+status={status}\n')

    def put_mutants(self, **patches):
        for name, text in patches.items():
            self.put(f'mutants/{name}.patch', text)

    def mutants(self, exit_code, *options, **env):
        """Run the command; each name with its result and killers."""
        report = self.top / 'report.json'
        report.unlink(missing_ok=True)
        self.done = self.expect(exit_code, 'mutants', self.top / 'mutants', '--json', report,
                                *options, **env)
        rows = json.loads(report.read_text())
        for row in rows:
            self.assertEqual(list(row), ['name', 'result', 'killed_by', 'seconds'])
        return {row['name']: (row['result'], row['killed_by']) for row in rows}


class ResultTest(MutantsCase):

    def test_each_way_to_notice_kills_and_names_the_test(self):
        self.put_mutants(
            fails=self.boots_to('test_failed'), warns=self.boots_to('warning_in_passing_test'),
            panics=self.boots_to('panic_in_the_middle', ABORT), hangs=self.boots_to('hang'),
            lost=self.boots_to('lost_parameter'), dies=self.boots_to('segfault_in_the_middle', 139),
            nothing=self.boots_to('zero_tests'))
        found = self.mutants(0)
        self.assertEqual({result for result, _ in found.values()}, {'killed'})
        killers = {name: killed_by[0] for name, (_, killed_by) in found.items()}
        self.assertEqual(killers['fails'], 'trap_fail.split_fails[order3]')
        self.assertEqual(killers['warns'], 'splat WARNING in trap_warn.warns')
        self.assertRegex(killers['panics'], r'^panic in trap_panic$')
        self.assertEqual(killers['hangs'], 'time-out in boot')
        self.assertRegex(killers['dies'], r'^(panic|crash) in trap_oops')
        self.assertRegex(killers['lost'], r'^missing trap_good\.')
        self.assertRegex(self.done.stdout,
                         r'(?m)^killed +[0-9.]+s fails +by trap_fail\.split_fails')
        self.assertRegex(self.done.stdout, r'(?m)^7 mutants: 7 killed; 100\.0 % of what')

    def test_survivor_fails_and_is_shown_with_what_it_breaks(self):
        self.put_mutants(survives=SURVIVES, killed=self.boots_to('test_failed'))
        found = self.mutants(1)
        self.assertEqual(found['survives'], ('survived', []))
        self.assertRegex(self.done.stdout,
                         r'(?m)^survived +[0-9.]+s survives\n +breaks: something$')
        self.assertIn('50.0 % of what is not equivalent', self.done.stdout)

    def test_equivalent_one_must_build_and_survive(self):
        header = HEADER + 'Equivalent: nobody reads it,\n  for a reason\n'
        self.put_mutants(survives=SURVIVES.replace(HEADER, header))
        self.assertEqual(self.mutants(0), {'survives': ('equivalent', [])})
        self.put_mutants(killed=self.boots_to('test_failed', header=header),
                         broken=patch('mm/rmap.c', 'int rmap;', 'BROKEN', header))
        # Of the fake, only what is in `objects` is compiled.
        self.put('mutants/broken.patch', header + '\n--- a/mm/huge_memory.c\n'
                 '+++ b/mm/huge_memory.c\n@@ -1 +1,2 @@\n+BROKEN\n '
                 + (self.kernel / 'mm/huge_memory.c').read_text().splitlines()[0] + '\n')
        found = self.mutants(1)
        self.assertEqual(found['killed'][0], 'not equivalent')
        self.assertEqual(found['broken'], ('does not build', []))
        self.assertIn('it says: nobody reads it, for a reason', self.done.stdout)

    def test_one_that_does_not_apply_fails(self):
        self.put_mutants(stale=patch('mm/rmap.c', 'int other;', 'int wrong;'),
                         gone=patch('mm/gone.c', 'int rmap;', 'int wrong;'), words='just words\n',
                         nothing=patch('mm/rmap.c', 'int rmap;', 'int rmap;'))
        self.assertEqual({result for result, _ in self.mutants(1).values()}, {'does not apply'})

    def test_kernels_line_leaves_it_out_elsewhere(self):
        self.put_mutants(old=SURVIVES.replace(HEADER, HEADER + 'Kernels: <7.3\n'),
                         new=self.boots_to('test_failed', header=HEADER + 'Kernels: >=7.3\n'))
        self.assertEqual(list(self.mutants(0)), ['new'])

    def test_control_that_does_not_pass_is_an_error(self):
        self.set_boot('test_failed')
        self.put_mutants(survives=SURVIVES)
        done = self.umthp('mutants', self.top / 'mutants')
        self.assertEqual(done.returncode, 1, done.stdout + done.stderr)
        self.assertRegex(done.stderr, r'error: the kernel does not pass without a mutant: fail')
        self.assertIn('trap_fail.split_fails', done.stdout)
        self.assertNotIn('survived', done.stdout)
        # It is not taken for one that passed.
        self.assertEqual(self.umthp('mutants', self.top / 'mutants').returncode, 1)

    def test_usage_errors(self):
        self.expect(2, 'mutants', self.top / 'nosuch')
        self.put_mutants(survives=SURVIVES)
        self.expect(2, 'mutants', self.top / 'mutants', '--only', 'nosuch*')
        self.assertEqual(self.umthp('mutants', '--fresh', '--resume').returncode, 2)
        self.assertEqual(self.expect(0, 'mutants', self.top / 'mutants', '--dry-run').stdout
                         .splitlines()[-1], 'control, then each of: survives')

    def test_normal_build_is_not_touched(self):
        self.expect(0, 'run')
        before = snapshot(self.cache / 'trees')
        tree = snapshot(self.kernel)
        self.put_mutants(killed=self.boots_to('test_failed'))
        self.mutants(0)
        self.assertEqual(differences(before, snapshot(self.cache / 'trees')), [])
        self.assertEqual(differences(tree, snapshot(self.kernel)), [])


class KeepTest(MutantsCase):

    def links_of(self, *options, exit_code=0):
        """Run; how many kernels were built. Each build starts its log again."""
        verbose = self.umthp('mutants', self.top / 'mutants', '-v', *options)
        self.assertEqual(verbose.returncode, exit_code, verbose.stdout + verbose.stderr)
        return len(re.findall(r'(?m)^\$ make .* linux$', verbose.stderr))

    def test_second_call_does_only_what_is_new(self):
        self.put_mutants(a=self.boots_to('test_failed'))
        self.assertEqual(self.links_of(), 2)
        self.assertEqual(self.links_of(), 0)
        self.put_mutants(b=self.boots_to('warning_in_passing_test'))
        self.assertEqual(self.links_of(), 1)        # b
        # Other words are no other mutant; other code is.
        self.put_mutants(a=self.boots_to('test_failed', header='other words\n'))
        self.assertEqual(self.links_of(), 0)
        self.put_mutants(a=self.boots_to('all_skipped'))
        self.assertEqual(self.links_of(), 1)
        self.assertEqual(self.links_of('--fresh'), 3)

    def test_other_kernel_suites_or_list_is_another_result(self):
        self.put_mutants(a=self.boots_to('test_failed'))
        self.links_of()
        self.put('linux/mm/memory.c', 'int edited;\n')
        self.assertEqual(self.links_of(), 2)
        self.put('project/kunit/mm/tests/x_kunit.c', '// y\n')
        self.assertEqual(self.links_of(), 2)
        with open(self.project / 'tests/expected_tests', 'a', encoding='utf-8') as file:
            file.write('# another\n')
        self.assertEqual(self.links_of(), 2)
        self.assertEqual(self.links_of(), 0)

    def hangs(self):
        """Is the mutant run that prints one line and no more?"""
        return any(path.read_text() == 'KTAP version 1\n'
                   for path in self.cache.glob('mutants/*/logs/run-default.log'))

    def test_interrupt_loses_nothing(self):
        self.put_mutants(a=self.boots_to('test_failed'), b=self.boots_to('hang'),
                         c=self.boots_to('warning_in_passing_test'))
        module = self.project / 'tools/umthp_tool/mutants.py'
        module.write_text(module.read_text().replace('LIMIT_SECONDS = 1', 'LIMIT_SECONDS = 99'))
        for number in (signal.SIGINT, signal.SIGTERM):
            for path in self.cache.glob('mutants/*/logs/run-default.log'):
                path.unlink()
            status, output = self.interrupted(number, self.hangs, 'mutants', self.top / 'mutants')
            self.assertEqual(status, 128 + number, output)
            self.assertTrue(self.hangs())
            self.assert_no_child_is_left()
        module.write_text(module.read_text().replace('LIMIT_SECONDS = 99', 'LIMIT_SECONDS = 1'))
        self.assertEqual(self.links_of(), 1)        # c: b is built, and only to be run
        self.assertEqual({row[0] for row in self.mutants(0).values()}, {'killed'})


class HostileTest(MutantsCase):
    """A patch is somebody else's: nothing outside the tree may be read or written through it."""

    def test_path_that_leaves_the_tree_is_refused(self):
        outside = self.top / 'outside.c'
        outside.write_text('int rmap;\n')
        paths = ('../outside.c', 'mm/../../outside.c', str(outside), '.git/config',
                 'mm/../../../../outside.c')
        self.put_mutants(**{f'x{number}': patch(path, 'int rmap;', 'int wrong;')
                            for number, path in enumerate(paths)})
        found = self.mutants(1)
        self.assertEqual(found, {f'x{number}': ('does not apply', [])
                                 for number in range(len(paths))})
        self.assertEqual(outside.read_text(), 'int rmap;\n')

    def test_symlinks_modes_and_submodules_are_refused(self):
        target = self.top / 'target'
        target.write_text('int rmap;\n')
        rows = {
            'new_symlink': 'diff --git a/mm/link b/mm/link\nnew file mode 120000\n--- /dev/null\n'
                           f'+++ b/mm/link\n@@ -0,0 +1 @@\n+{target}\n'
                           '\\ No newline at end of file\n',
            'becomes_symlink': 'diff --git a/mm/rmap.c b/mm/rmap.c\ndeleted file mode 100644\n'
                               '--- a/mm/rmap.c\n+++ /dev/null\n@@ -1 +0,0 @@\n-int rmap;\n'
                               'diff --git a/mm/rmap.c b/mm/rmap.c\nnew file mode 120000\n'
                               f'--- /dev/null\n+++ b/mm/rmap.c\n@@ -0,0 +1 @@\n+{target}\n'
                               '\\ No newline at end of file\n',
            'mode': 'diff --git a/mm/rmap.c b/mm/rmap.c\nold mode 100644\nnew mode 100755\n',
            'submodule': 'diff --git a/mm/sub b/mm/sub\nnew file mode 160000\n--- /dev/null\n'
                         f'+++ b/mm/sub\n@@ -0,0 +1 @@\n+Subproject commit {"1" * 40}\n'}
        self.put_mutants(**{name: HEADER + '\n' + text for name, text in rows.items()})
        self.assertEqual(self.mutants(1), {name: ('does not apply', []) for name in rows})
        self.assertEqual(target.read_text(), 'int rmap;\n')

    def test_patch_through_a_symlink_of_the_tree_is_refused(self):
        """The kernel has symlinks to directories; git must not follow one out of the tree."""
        (self.top / 'elsewhere').mkdir()
        (self.top / 'elsewhere/x.c').write_text('int rmap;\n')
        os.symlink(self.top / 'elsewhere', self.kernel / 'mm/away')
        self.put_mutants(x=patch('mm/away/x.c', 'int rmap;', 'int wrong;'),
                         y=patch('mm/away', str(self.top / 'elsewhere'), '/etc'))
        self.assertEqual({result for result, _ in self.mutants(1).values()}, {'does not apply'})
        self.assertEqual((self.top / 'elsewhere/x.c').read_text(), 'int rmap;\n')

    def test_control_characters_do_not_reach_the_terminal(self):
        name = 'esc\x1b]0;title\x07'
        self.put(f'mutants/{name}.patch', SURVIVES.replace('something', 'x\x1b[31m'))
        self.mutants(1)
        self.assertNotRegex(self.done.stdout + self.done.stderr, '[\x1b\x07]')

    def test_fifo_and_directory_are_no_patches(self):
        self.put_mutants(a=self.boots_to('test_failed'))
        os.mkfifo(self.top / 'mutants/fifo.patch')
        (self.top / 'mutants/dir.patch').mkdir()
        self.assertEqual(list(self.mutants(0)), ['a'])


class OwnMutantsTest(unittest.TestCase):
    """The form of tests/mutants."""

    def test_each_says_what_it_is(self):
        paths = sorted((PROJECT / 'tests/mutants').iterdir())
        self.assertGreaterEqual(len(paths), 60)
        seen = {}
        for path in paths:
            with self.subTest(path=path.name):
                text = path.read_text(encoding='utf-8')
                head, diff = text.split('\n--- a/', 1)
                self.assertRegex(path.name, r'^[a-z_]+-\w+-[a-z0-9_]+\.patch$')
                self.assertRegex(head, r'\A[a-z][^\n]{9,71}\nBreaks: \S.{9,}')
                self.assertEqual(os.path.splitext(os.path.basename(diff.split('\n', 1)[0]))[0],
                                 path.name.split('-')[0])
                lines = re.findall(r'(?m)^[-+](?![-+]).*$', diff)
                self.assertLessEqual(len(lines), 4, 'one fault is one line')
                self.assertNotIn(diff, seen, seen.get(diff))
                seen[diff] = path.name


if __name__ == '__main__':
    sys.exit(unittest.main())
