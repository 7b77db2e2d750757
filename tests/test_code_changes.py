# SPDX-License-Identifier: GPL-2.0
"""Lines that changed, to the suites that reach them: three texts of a file and a map."""

import unittest

from support import DATA

from umthp_tool import code_changes

SPLIT = (DATA / 'affected/huge_memory.c').read_text()
# A mark at the end of a line names the suites that execute it: thp_a is `a`, - is none.
REMAP = (DATA / 'affected/memremap.c').read_text()


def reached(text):
    """What the marks in a text say: line -> suites."""
    made = {}
    for number, line in enumerate(text.splitlines(), 1):
        if line.endswith(' */') and line.split()[-2].strip('abcx-') == '':
            made[number] = frozenset(line.split()[-2].strip('-'))
    return made


class LinesTest(unittest.TestCase):
    def compare(self, old, new, before=SPLIT, mapped=SPLIT):
        self.assertIn(old, before)
        return code_changes.compare('x.c', before, before.replace(old, new, 1), mapped,
                                    reached(mapped))

    def check(self, old, new, suites, lines=None, **texts):
        made = self.compare(old, new, **texts)
        self.assertEqual(made.everywhere, [])
        found = frozenset().union(*(change.suites for change in made.changes))
        self.assertEqual(''.join(sorted(found)), suites)
        if lines is not None:
            self.assertEqual([number for change in made.changes for number in change.lines], lines)
        return made.changes

    def test_changed_line_has_the_suites_that_executed_it(self):
        self.check('ret = -22;', 'ret = -11;', 'a', [9])
        self.check('drop(folio);', 'drop(0);', 'b', [17])
        self.check('ret = unmap(folio);', 'ret = 0;', 'ab', [20])
        self.check('next(folio);', 'next(0);', '', [18])

    def test_each_line_of_a_changed_block_has_its_own(self):
        changes = self.check('drop(folio); /* b */\n\t\tnext(folio);',
                             'drop(0); /* b */\n\t\tnext(0);', 'b', [17, 18])
        self.assertEqual([sorted(change.suites) for change in changes], [['b'], []])

    def test_new_line_has_those_of_its_block(self):
        self.check('\t\tgoto out;', '\t\tlog();\n\t\tgoto out;', 'a', [10])
        self.check('\t\tnext(folio);', '\t\tlog();\n\t\tnext(folio);', 'ab', [18])
        self.check('\t\t\tdrop(', '\t\t\tlog();\n\t\t\tdrop(', 'b', [17])

    def test_new_line_at_the_end_of_a_loop_is_reached_without_the_line_before_it(self):
        self.check('\t\tnext(folio); /* - */\n', '\t\tnext(folio); /* - */\n\t\tlog();\n', 'ab')

    def test_new_line_outside_of_blocks_has_those_of_the_function(self):
        self.check('\tret = unmap', '\tlog();\n\tret = unmap', 'abx', [20])
        self.check('\tint ret;', '\tint ret, more;', 'abx', [7])
        self.check('int order)\n', 'long order)\n', 'abx', [5])

    def test_later_line_of_a_statement_has_those_of_the_statement(self):
        self.check('\t\t\t order))', '\t\t\t order + 1))', 'b', [16])

    def test_line_that_is_gone(self):
        changes = self.check('\t\tret = -22; /* a */\n', '', 'a', [])
        self.assertEqual(changes[0].old, [9])

    def test_line_that_left_its_block(self):
        """The new line is in the place of one that only some execute, but all come to it."""
        self.check('\t\tret = -22; /* a */\n\t\tgoto out; /* a */\n',
                   '\t}\n\tif (order) {\n', 'abx')
        self.check('\t\tret = -22; /* a */\n', '\tlog();\n', 'abx')

    def test_brace_has_those_of_what_it_closes(self):
        self.check('\t\tgoto out; /* a */\n\t}\n', '\t\tgoto out; /* a */\n', 'abx')
        self.check('drop(folio); /* b */\n', 'drop(folio); /* b */\n\t\t}\n', 'b')

    def test_preprocessor_line_and_label_have_those_of_the_function(self):
        self.check('\t\tgoto out;', '#ifdef X\n\t\tgoto out;', 'abx')
        self.check('\t\tgoto out;', 'again:\n\t\tgoto out;', 'abx')

    def test_comments_blank_lines_and_indentation_are_no_change(self):
        for old, new in (('/* Splits. */', '/* Splits it. */'), ('\tint ret;', '\n\tint ret;'),
                         ('\tint ret;', '\t/* "x */\n\tint ret; // y'),
                         ('\t\t\t order))', '\t\t    order))'), (' /* ab */', '')):
            with self.subTest(new=new):
                made = self.compare(old, new)
                self.assertEqual((made.changes, made.everywhere), ([], []))
        self.assertTrue(self.compare('\tint ret;', '\tint ret = "/*"[0]; /* */').changes)

    def test_function_that_only_moved_is_no_change(self):
        function = SPLIT[SPLIT.index('static int never'):SPLIT.index('#ifdef')]
        moved = SPLIT.replace(function, '').replace('/* Splits. */', function + '/* Splits. */')
        made = code_changes.compare('x.c', SPLIT, moved, SPLIT, reached(SPLIT))
        self.assertEqual((made.changes, made.everywhere), ([], []))

    def test_moved_and_changed_function(self):
        function = SPLIT[SPLIT.index('/* Splits'):SPLIT.index('static int never')]
        moved = SPLIT.replace(function, '') + function.replace('-22', '-11')
        made = code_changes.compare('x.c', SPLIT, moved, SPLIT, reached(SPLIT))
        self.assertEqual([sorted(change.suites) for change in made.changes], [['a']])
        self.assertEqual(moved.splitlines()[made.changes[0].lines[0] - 1].strip(),
                         'ret = -11; /* a */')

    def test_new_function_is_reached_by_nobody_yet(self):
        changes = self.check('/* Splits. */', 'int more(void)\n{\n\treturn 1;\n}\n', '')
        self.assertEqual([(change.kind, change.lines) for change in changes],
                         [(code_changes.NEW, [4, 5, 6, 7])])

    def test_deleted_function_has_all_that_reached_it(self):
        changes = self.check(SPLIT[SPLIT.index('static int __'):SPLIT.index('static int never')],
                             '', 'abx', [])
        self.assertEqual([change.kind for change in changes], [code_changes.DELETED])

    def test_function_that_is_not_compiled(self):
        text = SPLIT[:SPLIT.index('NEVER')] + SPLIT[SPLIT.index('NEVER'):].replace(
            'return folio', 'return 0')
        made = code_changes.compare('x.c', SPLIT, text, SPLIT, reached(SPLIT))
        self.assertEqual([(change.function, change.compiled, sorted(change.suites))
                          for change in made.changes], [('not_compiled', False, [])])

    def test_what_is_outside_of_functions_concerns_all(self):
        self.assertEqual(self.compare('int gap', 'int gap, more').everywhere,
                         ['x.c:2 is outside of functions'])
        self.assertEqual(self.compare('#endif\n', '#endif\nint last;\n').everywhere,
                         ['x.c:36 is outside of functions'])

    def test_kernel_has_moved_on_since_the_map(self):
        """Line numbers and other lines differ, the changed lines are found by what is around."""
        now = 'int a, b;\n\n' + SPLIT.replace('goto out;', 'log();\n\t\tgoto out;')
        self.check('ret = -22;', 'ret = -11;', 'a', [11], before=now)
        self.check('drop(folio)', 'drop(0)', 'b', [20], before=now)
        # A line that the map does not have, or that is new between such: the function counts.
        self.check('log()', 'gol()', 'abx', before=now)
        self.check('\t\tlog();', '\t\tgol();\n\t\tlog();', 'abx', before=now)
        # Or where the map has one that is gone since.
        now = SPLIT.replace('\t\tgoto out; /* a */\n', '')
        self.check('-22; /* a */\n', '-22; /* a */\n\t\tlog();\n', 'abx', before=now)
        made = self.compare('folio + 1', 'folio', before=REMAP)
        self.assertEqual(made.everywhere, ['x.c:memremap_pages() is not in the map'])


if __name__ == '__main__':
    unittest.main()
