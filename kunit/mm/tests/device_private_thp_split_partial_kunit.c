// SPDX-License-Identifier: GPL-2.0-only
/*
 * split_huge_page_to_order() and folio_split() on device-private folios that are
 * mapped in part only.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "thp_split_rows.h"

/* Unmap the pages of the row. A folio of the device stays whole, and in no list. */
static void unmap_part(struct kunit *test, const struct thp_split_row *row)
{
	struct thp_fixture *f = test->priv;
	struct thp_split_parts *whole = thp_split_parts_whole(f, row->old_order);

	bitmap_set(whole->zapped, row->zap_first, row->zap_nr);
	whole->split_pmds = row->split_pmds;
	KUNIT_ASSERT_EQ(test, 0, vm_munmap(f->addr + row->zap_first * PAGE_SIZE,
					   row->zap_nr * PAGE_SIZE));
	f->vma = NULL;
	thp_split_parts_expect(f, whole, "partly unmapped");
}

static void split_partly_mapped(struct kunit *test, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct thp_split_parts *parts = thp_split_rows_parts(f, row, uniform);
	int ret;

	unmap_part(test, row);
	bitmap_set(parts->zapped, row->zap_first, row->zap_nr);

	folio_get(folio);
	folio_lock(folio);
	thp_fixture_hold(f, folio);
	fake_zdev_clear_events(f->zdev);
	ret = thp_split_rows_split(row, uniform, f->first, NULL);
	KUNIT_ASSERT_EQ(test, ret, 0);
	thp_split_parts_hold(f, parts);
	thp_split_parts_expect(f, parts, "split");
	thp_split_parts_expect_calls(f, parts);

	thp_split_parts_let_go(f, parts);
	thp_split_parts_expect(f, parts, "unlocked");
}

/*
 * Test that parts of which nothing is mapped are freed by the split, unless it is
 * the one that the caller has locked, which is freed when the caller lets go;
 * and that parts of which something is mapped have exactly that mapped again.
 */
static void uniform_split_frees_what_is_not_mapped(struct kunit *test)
{
	split_partly_mapped(test, true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_frees_what_is_not_mapped(struct kunit *test)
{
	split_partly_mapped(test, false);
}

static struct kunit_case device_private_thp_split_partial_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_frees_what_is_not_mapped,
				   kunit_array_gen_params, thp_split_rows_each_zap, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_frees_what_is_not_mapped,
				   kunit_array_gen_params, thp_split_rows_each_zap, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_partial_suite = {
	.name = "device_private_thp_split_partial",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_partial_cases,
};

/* The same with each way to unmap a part for each pair of orders */
static struct kunit_case device_private_thp_split_partial_all_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_frees_what_is_not_mapped,
				   kunit_array_gen_params, thp_split_rows_all_zaps, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_frees_what_is_not_mapped,
				   kunit_array_gen_params, thp_split_rows_all_zaps, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_partial_all_suite = {
	.name = "device_private_thp_split_partial_all",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_partial_all_cases,
	.attr.speed = KUNIT_SPEED_SLOW,
};

kunit_test_suites(&device_private_thp_split_partial_suite,
		  &device_private_thp_split_partial_all_suite);

MODULE_DESCRIPTION("KUnit tests: splitting partly unmapped device-private folios");
MODULE_LICENSE("GPL");
