// SPDX-License-Identifier: GPL-2.0-only
/*
 * split_huge_page_to_order() and folio_split() on device-private folios that two
 * mms share after a fork, by PMDs, by PTEs, or by one of each.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "../internal.h"
#include "thp_split_rows.h"

/* Map the folio of the row, fork. The copy makes everything read-only and shared. */
static struct mm_struct *map_and_fork(struct kunit *test)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct mm_struct *child = thp_fixture_fork(f);
	struct thp_state want;

	f->write = false;
	f->exclusive = false;
	thp_split_rows_want(f, row, &want);
	thp_want_forked(&want);
	thp_ledger_expect(f, folio, &want, "forked, in the parent");
	thp_fixture_look_at(f, child);
	thp_ledger_expect(f, folio, &want, "forked, in the child");
	thp_fixture_look_at(f, f->mm);
	return child;
}

/* Split, look at the parts in both mms, then in the parent alone. */
static void split_in_two_mms(struct kunit *test, struct mm_struct *child, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_split_parts *parts = thp_split_rows_parts(f, row, uniform);
	struct folio *folio = page_folio(f->first);
	int ret;

	parts->nr_mms = 2;
	parts->split_pmds = row->split_pmds_shared;
	folio_get(folio);
	folio_lock(folio);
	thp_fixture_hold(f, folio);
	fake_zdev_clear_events(f->zdev);
	ret = thp_split_rows_split(row, uniform, f->first, NULL);
	KUNIT_ASSERT_EQ(test, ret, 0);
	thp_split_parts_hold(f, parts);
	thp_split_parts_expect(f, parts, "split, in the parent");
	thp_split_parts_expect_calls(f, parts);
	thp_fixture_look_at(f, child);
	thp_split_parts_expect(f, parts, "split, in the child");

	thp_split_parts_let_go(f, parts);
	thp_fixture_end_child(f, child);
	parts->nr_mms = 1;
	thp_split_parts_expect(f, parts, "the child is gone");
}

/*
 * Test that both mms map each part afterwards, as they have mapped the whole: no
 * page is exclusive or writable, and each has two references. The exit of the
 * child takes its half, and nothing becomes exclusive by that.
 */
static void uniform_split_keeps_both_mms_mapped(struct kunit *test)
{
	split_in_two_mms(test, map_and_fork(test), true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_keeps_both_mms_mapped(struct kunit *test)
{
	split_in_two_mms(test, map_and_fork(test), false);
}

static void split_pmd_of(struct thp_fixture *f, struct mm_struct *mm)
{
	mmap_read_lock(mm);
	split_huge_pmd_address(vma_lookup(mm, f->addr), f->addr, false);
	mmap_read_unlock(mm);
}

/*
 * Of the parent's or of the child's PMD PTEs have been made: the folio is mapped
 * once as a whole, and once page by page. @pte_slot: _mm_id of the mm with PTEs
 */
static void want_mixed(struct thp_state *want, unsigned int pte_slot)
{
	want->refcount = HPAGE_PMD_NR + 1;
	want->mapcount = HPAGE_PMD_NR + 1;
	want->entire = 1;
	want->nr_mapped = ENTIRELY_MAPPED + HPAGE_PMD_NR;
	want->page_mapcount = IS_ENABLED(CONFIG_PAGE_MAPCOUNT) ? 0 : -1;
	want->mm_id[1] = 2;
	want->mm_id_mapcount[pte_slot] = HPAGE_PMD_NR - 1;
	want->mm_id_mapcount[!pte_slot] = 0;
	want->mm_shared = 1;
	want->anon_thps = HPAGE_PMD_NR;
	want->ev_split_pmd = 1;
}

static void split_mixed(struct kunit *test, bool child_has_ptes, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct mm_struct *child = map_and_fork(test);
	struct mm_struct *by_ptes = child_has_ptes ? child : f->mm;
	struct mm_struct *by_pmd = child_has_ptes ? f->mm : child;
	struct folio *folio = page_folio(f->first);
	struct thp_state want;

	split_pmd_of(f, by_ptes);
	thp_want(f, &want, row->old_order, THP_PTES);
	want_mixed(&want, child_has_ptes);
	thp_fixture_look_at(f, by_ptes);
	thp_ledger_expect(f, folio, &want, "mixed, where there are PTEs");
	thp_want(f, &want, row->old_order, THP_PMD);
	want_mixed(&want, child_has_ptes);
	thp_fixture_look_at(f, by_pmd);
	thp_ledger_expect(f, folio, &want, "mixed, where there is a PMD");
	thp_fixture_look_at(f, f->mm);

	split_in_two_mms(test, child, uniform);
}

/* Test that a PMD in the parent and PTEs in the child come to the same result. */
static void uniform_split_of_pmd_and_childs_ptes(struct kunit *test)
{
	split_mixed(test, true, true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_of_pmd_and_childs_ptes(struct kunit *test)
{
	split_mixed(test, true, false);
}

/* Test that PTEs in the parent and a PMD in the child come to the same result. */
static void uniform_split_of_ptes_and_childs_pmd(struct kunit *test)
{
	split_mixed(test, false, true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_of_ptes_and_childs_pmd(struct kunit *test)
{
	split_mixed(test, false, false);
}

static struct kunit_case device_private_thp_split_shared_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_keeps_both_mms_mapped,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_keeps_both_mms_mapped,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_of_pmd_and_childs_ptes,
				   kunit_array_gen_params, thp_split_rows_pmd, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_of_pmd_and_childs_ptes,
				   kunit_array_gen_params, thp_split_rows_pmd, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_of_ptes_and_childs_pmd,
				   kunit_array_gen_params, thp_split_rows_pmd, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_of_ptes_and_childs_pmd,
				   kunit_array_gen_params, thp_split_rows_pmd, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_shared_suite = {
	.name = "device_private_thp_split_shared",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_shared_cases,
};

kunit_test_suite(device_private_thp_split_shared_suite);

MODULE_DESCRIPTION("KUnit tests: splitting device-private folios that two mms share");
MODULE_LICENSE("GPL");
