// SPDX-License-Identifier: GPL-2.0-only
/*
 * split_huge_page_to_order() and folio_split() on device-private folios that one
 * mm maps, by a PMD or by PTEs: every order, to every order, at every kind of
 * page.
 *
 * __folio_split() was made for system memory; it turns the mappings into
 * migration entries, splits, and turns these into mappings again. For device
 * memory each step has a branch of its own, and the parts must be device-private
 * in every respect.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "thp_split_rows.h"

/* Split the mapped folio of the row, check the parts; they are unlocked then. */
static struct thp_split_parts *split_and_check(struct kunit *test, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct thp_split_parts *parts = thp_split_rows_parts(f, row, uniform);
	struct thp_state want;
	int ret;

	thp_split_rows_want(f, row, &want);
	thp_ledger_expect(f, folio, &want, "mapped");

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
	return parts;
}

/*
 * Test that a uniform split maps each part by device-private PTEs with the write
 * and exclusive bits of before, and leaves the folio of the page that was asked
 * for locked, with the reference of the caller.
 */
static void uniform_split_leaves_equal_parts_mapped(struct kunit *test)
{
	split_and_check(test, true);
}

/*
 * Test the same of a non-uniform split: only the part around the page gets the
 * new order, everything else stays as large as it can, and the first part is
 * the one that stays locked.
 */
static void non_uniform_split_leaves_largest_parts_mapped(struct kunit *test)
{
	split_and_check(test, false);
}

/* The pages are used again at every order, with garbage in what free pages do not own. */
static void reuse_at_every_order(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	unsigned long idx = fake_zdev_index(f->zdev, f->first);
	unsigned int order;

	for (order = 0; order <= HPAGE_PMD_ORDER; order++) {
		unsigned long stale = f->first->flags.f & ~0xffUL & THP_HEAD_FLAGS;
		struct folio *folio;
		struct thp_state want;
		char step[32];

		fake_zdev_poison_free(f->zdev, FAKE_ZDEV_POISON_ALL);
		folio = fake_zdev_alloc_at(f->zdev, idx, order);
		KUNIT_ASSERT_NOT_NULL_MSG(test, folio, "order %u", order);
		thp_fixture_hold(f, folio);
		thp_fixture_track(f, &folio->page, order, f->addr);
		thp_fixture_fill_device(f, folio);
		thp_want(f, &want, order, THP_FRESH);
		/* Known bug LB11: what the last life has left of the upper flags */
		want.flags |= folio->flags.f & stale;
		snprintf(step, sizeof(step), "reused at order %u", order);
		thp_ledger_expect(f, folio, &want, step);
		thp_fixture_let_go(f, folio);
	}
}

static void read_back_and_reuse(struct kunit *test, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;

	split_and_check(test, uniform);
	thp_fixture_read_back(f, row->old_order, "read after the split");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_fixture_munmap(f);
	thp_fixture_restart(f);
	reuse_at_every_order(test);
}

/*
 * Test that reading all of it gives the data back, page by page; that all pages
 * are free then, and as good as new at any order.
 */
static void uniform_split_then_read_brings_data_back(struct kunit *test)
{
	read_back_and_reuse(test, true);
}

/* Test the same of the parts of different orders that a non-uniform split leaves. */
static void non_uniform_split_then_read_brings_data_back(struct kunit *test)
{
	read_back_and_reuse(test, false);
}

static void unmap_and_free(struct kunit *test, bool uniform)
{
	struct thp_fixture *f = test->priv;
	struct thp_split_parts *parts = split_and_check(test, uniform);
	unsigned long base = fake_zdev_index(f->zdev, f->first);
	unsigned int i;

	fake_zdev_clear_events(f->zdev);
	thp_fixture_munmap(f);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), parts->layout.nr_parts);
	for (i = 0; i < parts->layout.nr_parts; i++) {
		const struct fake_zdev_event *event = fake_zdev_event(f->zdev, i);

		KUNIT_ASSERT_NOT_NULL(test, event);
		KUNIT_EXPECT_EQ_MSG(test, event->type, FAKE_ZDEV_FREE, "part %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->idx, base + parts->layout.parts[i].offset,
				    "part %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->order, parts->layout.parts[i].order,
				    "part %u", i);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

/* Test that munmap() frees each part on its own, once, at its order. */
static void uniform_split_then_munmap_frees_each_part(struct kunit *test)
{
	unmap_and_free(test, true);
}

/* Test the same of parts of different orders. */
static void non_uniform_split_then_munmap_frees_each_part(struct kunit *test)
{
	unmap_and_free(test, false);
}

/*
 * Test that a split during a migration, of what try_to_migrate() has unmapped,
 * comes to the same parts, mapped in the same way, as one of the mapped folio
 * before it. Only the statistics differ: folio_split_unmapped() has none.
 */
static void split_during_migration_leaves_same_parts(struct kunit *test)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct thp_split_parts *parts = thp_split_rows_parts(f, row, true);
	unsigned int i;

	thp_fixture_unmap(f, folio, TTU_SPLIT_HUGE_PMD);
	KUNIT_ASSERT_EQ(test, 0, folio_split_unmapped(folio, row->new_order));
	for (i = 0; i < parts->layout.nr_parts; i++)
		thp_fixture_hold(f, page_folio(f->first + parts->layout.parts[i].offset));
	for (i = 0; i < parts->layout.nr_parts; i++)
		thp_fixture_remap(f, page_folio(f->first + parts->layout.parts[i].offset));
	parts->lock_at = THP_SPLIT_NONE_LOCKED;
	parts->splits = 0;
	thp_split_parts_expect(f, parts, "split during a migration");
}

static struct kunit_case device_private_thp_split_mapped_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_leaves_equal_parts_mapped,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_leaves_largest_parts_mapped,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_then_read_brings_data_back,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_then_read_brings_data_back,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_then_munmap_frees_each_part,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_then_munmap_frees_each_part,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_during_migration_leaves_same_parts,
				   kunit_array_gen_params, thp_split_rows_each_order, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_mapped_suite = {
	.name = "device_private_thp_split_mapped",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_mapped_cases,
};

/* The same with each page and each kind of entry for each pair of orders */
static struct kunit_case device_private_thp_split_mapped_all_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_leaves_equal_parts_mapped,
				   kunit_array_gen_params, thp_split_rows_all, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_leaves_largest_parts_mapped,
				   kunit_array_gen_params, thp_split_rows_all, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_mapped_all_suite = {
	.name = "device_private_thp_split_mapped_all",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_mapped_all_cases,
	.attr.speed = KUNIT_SPEED_SLOW,
};

kunit_test_suites(&device_private_thp_split_mapped_suite,
		  &device_private_thp_split_mapped_all_suite);

MODULE_DESCRIPTION("KUnit tests: splitting mapped device-private folios");
MODULE_LICENSE("GPL");
