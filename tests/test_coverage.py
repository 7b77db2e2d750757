# SPDX-License-Identifier: GPL-2.0
"""Coverage: gcov's recorded output to functions, the list of unreached lines, the command."""

import json
import tempfile
import unittest
from pathlib import Path

from fake_kernel import FakeKernelCase
from support import DATA, PROJECT

from umthp_tool import coverage_table, expected, gcov, unreached
from umthp_tool.c_functions import functions
from umthp_tool.errors import HostError, UsageError

RECORDED = DATA / 'coverage'
RUN = expected.Run(version='7.3.4', variant='coverage', glob=None, slow=False)
HUGE = 'mm/huge_memory.c'
# By hand from the sources of tests/data/coverage: lines, branches, branches of conditions.
SUMS = {
    HUGE + ':folio_check_splittable': ((4, 5), (3, 6), (2, 4)),
    HUGE + ':folio_cache_ref_count': ((1, 1), (0, 0), (0, 0)),
    HUGE + ':__folio_split': ((8, 10), (3, 6), (2, 4)),
    'include/linux/memremap.h:zone_device_private_split_cb': ((3, 3), (1, 2), (1, 2)),
    'mm/memremap.c:memremap_pages': ((2, 2), (1, 2), (0, 0)),
    'mm/memremap.c:never_called': ((0, 2), (0, 0), (0, 0))}


def counts(build='/nowhere/build', top='/nowhere/src'):
    text = (RECORDED / 'gcov.json').read_text().replace('@BUILD@', build)
    return gcov.parse(text, Path(top))


def found():
    return coverage_table.table(counts(), RECORDED / 'src')


class FunctionsTest(unittest.TestCase):

    def names(self, text):
        return [(extent.name, extent.first, extent.last) for extent in functions(text)]

    def test_forms_of_a_definition(self):
        self.assertEqual(self.names('int x;\n\nint f(void)\n{\n}\n'), [('f', 3, 5)])
        self.assertEqual(self.names('static int\n\tf(int a,\n\t  int b)\n{\n\tx();\n}\n'),
                         [('f', 1, 6)])
        self.assertEqual(self.names('static __attribute__((noinline)) int f(void)\n{\n}\n'),
                         [('f', 1, 3)])
        self.assertEqual(self.names('SYSCALL_DEFINE3(mremap, int, a)\n{\n}\n'),
                         [('mremap', 1, 3)])
        self.assertEqual(self.names('/* f(x) */\nint g(void) __must_hold(&l)\n{\n}\n'),
                         [('g', 2, 4)])

    def test_what_is_no_function(self):
        for text in ('struct x\n{\n\tint a;\n};\n', 'enum x\n{\n\tA,\n};\n',
                     'int f(void);\n', 'static const struct ops ops =\n{\n};\n'):
            self.assertEqual(self.names(text), [], text)

    def test_both_sides_of_an_ifdef(self):
        text = '#ifdef A\nint f(void)\n{\n}\n#else\nint f(void)\n{\n}\n#endif\n'
        self.assertEqual(self.names(text), [('f', 2, 4), ('f', 6, 8)])


class TableTest(unittest.TestCase):

    def test_sums_of_each_function(self):
        made = {key: (sums.lines, sums.branches, sums.own) for key, sums in
                ((key, coverage_table.total(function)) for key, function in found().items())}
        self.assertEqual(made, SUMS)

    def test_document_has_lines_and_branches_only(self):
        made = coverage_table.document(found())
        self.assertEqual(made, {'functions': {
            key: {'lines': list(lines), 'branches': list(branches)}
            for key, (lines, branches, _) in SUMS.items()}})

    def test_inline_function_of_a_header_adds_up_over_objects(self):
        lines = counts()['include/linux/memremap.h']
        self.assertEqual({number: (line.count, line.branches) for number, line in lines.items()},
                         {10: (2, [2, 0]), 12: (1, []), 14: (1, [])})

    def test_files_outside_the_tree_do_not_count(self):
        self.assertEqual(counts(top='/elsewhere'), {})

    def test_reached_and_missed_lines(self):
        function = found()[HUGE + ':__folio_split']
        self.assertEqual([(number, function.text[number]) for number in function.missed()],
                         [(40, 'goto out;'), (43, 'goto out;')])
        self.assertEqual(function.half_taken(), [39, 41])
        self.assertTrue(function.reached)
        self.assertFalse(found()['mm/memremap.c:never_called'].reached)

    def test_assertion_is_one_over_all_its_lines(self):
        text = ('VM_WARN_ON_ONCE(a <\n  (b));\nx();\nif (WARN_ON(a))\nBUG_ON(x); \n'
                'lockdep_assert_held(&l);\nmmap_assert_locked(mm);\nWARNING(x);\n').split('\n')
        self.assertEqual(coverage_table.assertion_lines(text), {1, 2, 5, 6, 7})

    def test_condition_is_that_of_a_whole_statement(self):
        text = ('int f(struct a *b, int c)\n{\n\tint d = b->c << 2;\n\tif (c)\n\t\td = 1;\n'
                '\telse if (g(b,\n\t\t   c))\n\t\treturn d; /* && */\n'
                '\tfor (d = 0; d < c; d++)\n\t\tx("a ? b");\n\td = b->c &&\n\t\tc;\n'
                '\td = c ? d :\n\t\tb->c;\n\txas_for_each_marked(b) {\n\t\tg(b, c); }\n'
                '\tswitch (c) {\n\tcase 1:\n\t\tg(b, d);\n\t\tg(b, c == d);\n'
                '\t\treturn b->c >> 1;\n\t}\n}\n')
        self.assertEqual(coverage_table.condition_lines(text),
                         {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 17, 18, 19, 20})

    def test_output_that_is_no_json_is_an_error(self):
        for text in ('gcov: broken\n', '{"files": 1}\n', '[]\n'):
            with self.assertRaises(HostError):
                gcov.parse(text, Path('/nowhere/src'))

    def test_instrumented_objects_are_those_of_the_make_variables(self):
        self.assertEqual(gcov.instrumented(['CONFIG_GCOV=y', 'CFLAGS_a-b.o=$(CFLAGS_GCOV)',
                                            'CFLAGS_c.o=x']), {'a-b', 'c'})


GOOD_TABLE = '''\
# comment
mm/huge_memory.c:folio_check_splittable
    return -16;
    branch: if (order == 1)
    because: every caller
      has asked before

mm/huge_memory.c:__folio_split  kernel>=7.3
    #1 goto out;
    /^goto \\w+;$/
    because: no error
mm/huge_memory.c:__folio_split  kernel<7.3
    no such line
    because: another kernel
mm/memremap.c:never_called
    *
    because: never called
'''


class UnreachedTest(unittest.TestCase):

    TARGETS = (HUGE + ':folio_check_splittable', HUGE + ':__folio_split',
               'mm/memremap.c:never_called')

    def load(self, text):
        with tempfile.TemporaryDirectory(prefix='umthp-unreached-') as folder:
            path = Path(folder, 'coverage_unreached')
            path.write_text(text)
            return unreached.load(path)

    def check(self, text):
        return unreached.check(self.load(text), found(), self.TARGETS, RUN)

    def test_complete_table_is_right(self):
        made = self.check(GOOD_TABLE)
        self.assertEqual((made.stale, made.unlisted), ([], []))
        self.assertTrue(made.right)
        self.assertEqual(self.load(GOOD_TABLE)[0].reason, 'every caller has asked before')
        # What does not count: a line that is not reached, and one that is not left in all ways.
        self.assertEqual(made.without(HUGE + ':folio_check_splittable'), {12, 16})

    def test_unreached_line_that_is_not_listed(self):
        made = self.check(GOOD_TABLE.replace('mm/memremap.c:never_called\n    *',
                                             'mm/memremap.c:never_called\n    }'))
        self.assertEqual(made.unlisted, [('mm/memremap.c:never_called', 14)])
        self.assertFalse(made.right)
        self.assertEqual(len(self.check('').unlisted), 5)

    def test_listed_line_that_is_reached_now(self):
        made = self.check(GOOD_TABLE + 'mm/huge_memory.c:__folio_split\n    return ret;\n'
                          '    because: wrong\n')
        self.assertEqual(len(made.stale), 1)
        self.assertRegex(made.stale[0], r'__folio_split: line 48 is reached now: return ret;$')
        self.assertFalse(made.right)

    def test_branch_that_is_taken_now(self):
        made = self.check(GOOD_TABLE + 'mm/huge_memory.c:__folio_split\n    branch: return ret;\n'
                          '    because: wrong\n')
        self.assertRegex(made.stale[0], r'line 48 is left in all ways now')

    def test_line_or_function_that_is_not_there(self):
        for row in ('mm/huge_memory.c:__folio_split\n    int gone;\n',
                    'mm/huge_memory.c:__folio_split\n    #3 goto out;\n',
                    'mm/huge_memory.c:__folio_split\n    /gone$/\n',
                    'mm/huge_memory.c:gone\n    *\n'):
            with self.subTest(row=row):
                made = self.check(GOOD_TABLE + row + '    because: gone\n')
                self.assertEqual(len(made.stale), 1, made.stale)

    def test_row_of_another_kernel_is_not_looked_at(self):
        made = self.check(GOOD_TABLE.replace('kernel<7.3', 'kernel<7.4'))
        self.assertRegex(made.stale[0], 'no instrumented line `no such line`')

    def test_form(self):
        rows = (('    orphan\n', 'without a FILE:FUNCTION'),
                ('huge_memory\n', 'neither'), (HUGE + ':f  kernel=7\n    x;\n', 'neither'),
                (HUGE + ':f\n    x;\n', 'no `because:`'),
                (HUGE + ':f\n    because: x\n', 'lines that it is for'),
                (HUGE + ':f\n    x;\n    because:\n', 'a reason needs words'),
                (HUGE + ':f\n    x;\n' + HUGE + ':g\n    x;\n    because: y\n', 'row before it'),
                (HUGE + ':f\n    /(/\n    because: y\n', 'regular expression'))
        for text, words in rows:
            with self.subTest(text=text):
                with self.assertRaisesRegex(UsageError, words):
                    self.load(text)

    def test_own_table_is_well_formed(self):
        unreached.load(PROJECT / 'tests/coverage_unreached')


class CommandTest(FakeKernelCase):

    def setUp(self):
        super().setUp()
        for name in (HUGE, 'mm/memremap.c', 'include/linux/memremap.h'):
            path = self.kernel / name
            path.write_text((RECORDED / 'src' / name).read_text() + '\n'.join(
                f'/* {line} */' for line in path.read_text().replace('*/', '').split('\n')) + '\n')
        self.bin = self.top / 'bin'
        for name in ('gcov', 'gcovr'):
            self.put(f'bin/{name}', (RECORDED / 'gcov.sh').read_text().replace(
                '@DATA@', str(RECORDED)))
            (self.bin / name).chmod(0o755)
        # The fake has not got the functions of the real split path.
        module = self.project / 'tools/umthp_tool/coverage.py'
        module.write_text(module.read_text()
                          + f'\nSPLIT_PATH = ("{HUGE}:folio_check_splittable", '
                          f'"{HUGE}:__folio_split")\n')
        self.table = self.project / 'tests/coverage_unreached'
        self.table.write_text(GOOD_TABLE)

    def coverage(self, exit_code, *arguments, **env):
        path = f'{self.bin}:{self.environment()["PATH"]}'
        return self.expect(exit_code, 'coverage', *arguments, PATH=path, **env)

    def test_table_and_json(self):
        report = self.top / 'f.json'
        done = self.coverage(0, '--json', report)
        self.assertEqual(json.loads(report.read_text()), coverage_table.document(found()))
        self.assertRegex(done.stdout, r'(?m)^  \S+:__folio_split +8/10 +3/6 +2/4$')
        self.assertRegex(done.stdout, r'(?m)^the split path +12/15  80% +6/12  50% +4/8  50%$')
        self.assertRegex(done.stdout, r'(?m)^  never_called +0/2 +0/0 +0/0$')
        self.assertNotIn('UNREACHED', done.stdout)
        self.assertEqual(json.loads(self.coverage(0, '--json', '-').stdout),
                         coverage_table.document(found()))

    def test_what_the_list_lacks_and_what_is_wrong_in_it_fails(self):
        self.table.write_text('mm/huge_memory.c:__folio_split\n    return ret;\n'
                              '    because: wrong\n')
        done = self.coverage(1)
        self.assertRegex(done.stdout, r'UNREACHED mm/huge_memory\.c:__folio_split: .*\n'
                         r' +40  goto out;\n +43  goto out;\n')
        self.assertRegex(done.stdout, r'WRONG .* line 48 is reached now: return ret;')
        # Of a part of the suites it says nothing.
        self.assertNotIn('UNREACHED', self.coverage(0, 'trap*').stdout)

    def test_function_that_is_gone_fails(self):
        module = self.project / 'tools/umthp_tool/coverage.py'
        module.write_text(module.read_text().replace(':__folio_split")', ':renamed")'))
        self.assertRegex(self.coverage(1).stderr, r'huge_memory\.c:renamed is not in this kernel')

    def test_run_that_fails_is_no_pass(self):
        self.set_boot('test_failed')
        self.assertIn('trap_fail.split_fails', self.coverage(1).stdout)
        self.set_boot('panic_in_the_middle', 134)
        self.coverage(8)

    def test_kernel_that_writes_no_counts_is_an_error(self):
        path = self.kernel / 'linux.sh'
        path.write_text(path.read_text().replace('GCOV_PREFIX', 'NO_SUCH'))
        self.assertIn('without writing its counts', self.coverage(7).stderr)

    def test_per_suite(self):
        report = self.top / 'f.json'
        self.coverage(0, '--per-suite', '--json', report)
        self.assertEqual(json.loads(report.read_text()), {'suites': {'trap_good': sorted(
            key for key, (lines, _, _) in SUMS.items() if lines[0])}})

    def test_html(self):
        self.coverage(0, '--html', self.top / 'new/html')
        self.assertEqual((self.top / 'new/html/index.html').read_text(), 'made\n')
        self.coverage(7, '--html', self.top / 'html', GCOVR_STATUS='1')
        (self.bin / 'gcovr').unlink()
        done = self.umthp('coverage', '--html', self.top / 'html', PATH=str(self.bin))
        self.assertEqual(done.returncode, 5, done.stderr)
        self.assertIn('apt install gcovr', done.stderr)

    def test_usage(self):
        self.coverage(2, '--variant', 'smp')
        self.coverage(2, '--per-suite', '--html', self.top / 'html')
        self.coverage(2, 'a b')
        self.assertIn('kunit.filter_glob=trap*', self.coverage(0, '--dry-run', 'trap*').stdout)

    def test_counts_are_not_left_behind(self):
        self.coverage(0)
        self.assertEqual(list(self.cache.rglob('*.gcda')), [])


if __name__ == '__main__':
    unittest.main()
