# SPDX-License-Identifier: GPL-2.0
"""One report of the kernel is one splat, whatever its length; two are two."""

import unittest

from support import DATA

from umthp_tool import splats

CUT, END = '------------[ cut here ]------------', '---[ end trace 0000000000000000 ]---'
STACK = ['Call Trace:', *[f' [<600{n:05x}>] ? show_stack+0x0/0xa0' for n in range(18)]]
WARNING = [CUT, 'WARNING: mm/rmap.c:19 at f+0x7b/0x100, CPU#0: kunit_try_catch/22', *STACK, END]
DUMP = ['page: refcount:0 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x16fb',
        'page dumped because: VM_WARN_ON_FOLIO(folio_mapped(folio))']
OWNER = ['page_owner tracks the page as allocated',
         *[f' post_alloc_hook+0x{n:x}/0x100' for n in range(16)], 'page last free stack trace:',
         *[f' free_frozen_pages+0x{n:x}/0x100' for n in range(16)]]
BUG = ['BUG: failure at mm/migrate.c:370/remove_migration_pte()!',
       'Kernel panic - not syncing: BUG!', *STACK]
BAD_PAGE = ['BUG: Bad page state in process kunit_try_catch  pfn:016fb', DUMP[0],
            'page dumped because: non-NULL mapping', *STACK]
# Each link of the chain has a stack of its own, without a header.
LOCKDEP = ['======================================================',
           'WARNING: possible circular locking dependency detected',
           'the existing dependency chain (in reverse order) is:',
           *[f'       f{n}+0x0/0xa0' if n % 19 else f'-> #{n} (&lock{n}){{+.+.}}-{{3:3}}:'
             for n in range(6 * 19)],
           ' *** DEADLOCK ***', 'stack backtrace:', *STACK]
KASAN = ['==================================================================',
         'BUG: KASAN: slab-use-after-free in f+0x6f/0x80', *STACK,
         *[f'Allocated by task {n}:' if n % 20 == 0 else f' f{n}+0x0/0xa0' for n in range(60)],
         'The buggy address belongs to the physical page:', DUMP[0],
         'page dumped because: kasan: bad access detected', *OWNER,
         '==================================================================']
RCU = ['rcu: INFO: rcu_sched self-detected stall on CPU', 'rcu: \t0-....: (1 ticks this GP)',
       *STACK, 'rcu: rcu_sched kthread starved for 2500 jiffies!', *STACK]
OK = ['    ok 1 plain']


class ReportTest(unittest.TestCase):

    def check(self, lines, *wanted):
        self.assertEqual([(splat.kind, splat.line) for splat in splats.find(lines)], list(wanted))

    def test_report_of_each_kind_is_one_splat(self):
        for lines, kind, line in (
                (WARNING, 'WARNING', 1), (BUG, 'BUG', 0), (BAD_PAGE, 'bad page', 0),
                (LOCKDEP, 'lockdep', 1), (KASAN, 'KASAN', 1), (RCU, 'RCU', 0),
                (DUMP, 'page dump', 1), (STACK, 'trace', 0),
                (BUG[1:], 'panic', 0), ([CUT, *WARNING[1:-1], *BUG[1:]], 'WARNING', 1)):
            with self.subTest(kind=kind, first=lines[0]):
                self.check(lines, (kind, line))
                timed = [f'[    1.{n:06}][   T22] {text}' for n, text in enumerate(lines)]
                self.check(timed, (kind, line))

    def test_dump_belongs_to_the_complaint_that_it_leads_to(self):
        for owner in ([], OWNER):
            with self.subTest(owner=bool(owner)):
                self.check([*DUMP, *owner, *WARNING], ('WARNING', 1))
                self.check([*DUMP, *owner, *BUG], ('BUG', 1))
        self.check([*DUMP, *WARNING, *WARNING], ('WARNING', 1), ('WARNING', 25))

    def test_dump_for_another_reason_leads_to_nothing(self):
        dump = [DUMP[0], 'page dumped because: a test wants to see it']
        self.check([*dump, *WARNING], ('page dump', 1), ('WARNING', 3))

    def test_dump_leads_to_nothing_of_the_next_test(self):
        self.check([*DUMP, *OK, *WARNING], ('page dump', 1), ('WARNING', 4))

    def test_line_that_says_more_names_the_report(self):
        for text, kind in (('refcount_t: decrement hit 0; leaking memory.', 'refcount'),
                           ('list_add corruption. next->prev should be prev', 'list')):
            self.check([*WARNING[:2], text, *WARNING[2:]], (kind, 1))

    def test_two_reports_are_two_splats(self):
        for first, second, wanted in (
                (WARNING, WARNING, (('WARNING', 1), ('WARNING', 23))),
                (BAD_PAGE, BAD_PAGE, (('bad page', 0), ('bad page', 22))),
                (KASAN, WARNING, (('KASAN', 1), ('WARNING', len(KASAN) + 1))),
                (WARNING, STACK, (('WARNING', 1), ('trace', 22)))):
            with self.subTest(first=first[1], second=second[0]):
                self.check([*first, *second], *wanted)

    def test_stack_in_the_next_test_is_its_own_report(self):
        self.check([*BAD_PAGE[:3], *OK, *STACK], ('bad page', 0), ('trace', 4))

    def test_report_that_results_are_printed_into_stays_one(self):
        """Another CPU may go on while one complains: nothing but `end trace` ends that."""
        self.check([*WARNING[:2], *OK, *WARNING[2:]], ('WARNING', 1))

    def test_words_of_a_test_are_no_report(self):
        lines = (DATA / 'words_of_a_test.log').read_text().splitlines()
        self.check(lines)
        self.check(['    # a: BUG: x', '# a: WARNING: x'])


if __name__ == '__main__':
    unittest.main()
