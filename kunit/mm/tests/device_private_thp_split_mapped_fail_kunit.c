// SPDX-License-Identifier: GPL-2.0-only
/*
 * split_huge_page_to_order() and folio_split() on device-private folios, where
 * they must not split: what has changed, and what has not.
 */
#include <kunit/test.h>
#include <linux/list.h>
#include <linux/mm.h>

#include "thp_split_rows.h"

static void lock_and_get(struct thp_fixture *f, struct folio *folio)
{
	folio_get(folio);
	folio_lock(folio);
	thp_fixture_hold(f, folio);
}

/* The state of before, held by the test with @held references, and a failure counted */
static void want_refused(struct thp_state *want, unsigned int held)
{
	want->flags |= BIT(PG_locked);
	want->refcount += held;
	want->split_failed[want->order] = 1;
	want->ev_split_failed = want->order == HPAGE_PMD_ORDER;
}

static void expect_no_split_calls(struct kunit *test, const struct thp_fixture *f)
{
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT_DONE), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 0);
}

/* After one failure, what was in the way is gone: the test holds one reference. */
static void expect_split_now(struct kunit *test, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_split_parts *parts = thp_split_rows_parts(f, row, uniform);
	int ret;

	parts->failures = 1;
	ret = thp_split_rows_split(row, uniform, f->first, NULL);
	KUNIT_ASSERT_EQ(test, ret, 0);
	thp_split_parts_hold(f, parts);
	thp_split_parts_expect(f, parts, "split after the refusal");
	thp_split_parts_let_go(f, parts);
}

static void pin_before(struct kunit *test, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct thp_state want;

	lock_and_get(f, folio);
	folio_get(folio);
	KUNIT_EXPECT_EQ(test, thp_split_rows_split(row, uniform, f->first, NULL), -EAGAIN);
	thp_split_rows_want(f, row, &want);
	want_refused(&want, 2);
	thp_ledger_expect(f, folio, &want, "pinned");
	expect_no_split_calls(test, f);

	folio_put(folio);
	expect_split_now(test, uniform);
}

/*
 * Test that a reference too many is noticed before anything is unmapped: a PMD
 * is still a PMD. Once it is dropped the split succeeds.
 */
static void uniform_split_pinned_before_returns_eagain(struct kunit *test)
{
	pin_before(test, true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_pinned_before_returns_eagain(struct kunit *test)
{
	pin_before(test, false);
}

struct late_pin {
	struct folio *folio;
	unsigned int nr;
};

/*
 * An MMU notifier of try_to_migrate_one(): the check that comes first is over,
 * the folio is not frozen yet.
 */
static void pin_late(struct fake_zdev *zdev, const struct fake_zdev_event *event, void *arg)
{
	struct late_pin *pin = arg;

	if (event->type != FAKE_ZDEV_INVALIDATE || pin->nr)
		return;
	folio_get(pin->folio);
	pin->nr++;
}

static void pin_in_window(struct kunit *test, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct thp_split_parts *whole = thp_split_parts_whole(f, row->old_order);
	struct late_pin pin = { .folio = folio };
	int ret;

	fake_zdev_watch(test, f->zdev, f->mm, f->addr, f->addr + HPAGE_PMD_SIZE);
	lock_and_get(f, folio);
	fake_zdev_set_hook(f->zdev, pin_late, &pin);
	ret = thp_split_rows_split(row, uniform, f->first, NULL);
	fake_zdev_set_hook(f->zdev, NULL, NULL);
	KUNIT_EXPECT_EQ(test, ret, -EAGAIN);
	KUNIT_EXPECT_EQ(test, pin.nr, 1);

	whole->lock_at = 0;
	whole->held = 2;
	whole->failures = 1;
	whole->split_pmds = row->split_pmds;
	thp_split_parts_expect(f, whole, "pinned in the window");
	expect_no_split_calls(test, f);

	folio_put(folio);
	expect_split_now(test, uniform);
}

/*
 * Test that a reference that is taken once the folio is being unmapped makes the
 * split fail, with all pages mapped again as they were: by PTEs, though, and not
 * by the PMD that there may have been. Once it is dropped the split succeeds.
 */
static void uniform_split_pinned_in_window_remaps_by_ptes(struct kunit *test)
{
	pin_in_window(test, true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_pinned_in_window_remaps_by_ptes(struct kunit *test)
{
	pin_in_window(test, false);
}

static void under_migration(struct kunit *test, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct thp_state want;

	thp_fixture_unmap(f, folio, 0);
	KUNIT_EXPECT_EQ(test, thp_split_rows_split(row, uniform, f->first, NULL), -EBUSY);
	thp_want(f, &want, row->old_order, row->pmd ? THP_MIGRATION_PMD : THP_MIGRATION_PTES);
	want.ev_split_pmd = row->pmd ? 0 : row->split_pmds;
	want_refused(&want, 0);
	thp_ledger_expect(f, folio, &want, "under migration");
	expect_no_split_calls(test, f);

	thp_fixture_remap(f, folio);
	lock_and_get(f, folio);
	expect_split_now(test, uniform);
}

/*
 * Test that a folio that only migration entries stand for can't be split this
 * way: nothing but a mapping keeps its anon_vma, so it must not be looked at
 * (folio_get_anon_vma()). Mapped again, it can.
 */
static void uniform_split_under_migration_returns_ebusy(struct kunit *test)
{
	under_migration(test, true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_under_migration_returns_ebusy(struct kunit *test)
{
	under_migration(test, false);
}

static void split_to_list(struct kunit *test, bool uniform)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct thp_split_parts *parts = thp_split_rows_parts(f, row, uniform);
	LIST_HEAD(list);
	int ret;

	lock_and_get(f, folio);
	ret = thp_split_rows_split(row, uniform, f->first, &list);
	KUNIT_EXPECT_TRUE(test, list_empty(&list));
	KUNIT_ASSERT_EQ(test, ret, 0);
	thp_split_parts_hold(f, parts);
	thp_split_parts_expect(f, parts, "split to a list");
	thp_split_parts_let_go(f, parts);
}

/*
 * Test that no part gets into the list of a caller who has one, nor an additional
 * reference for being in it: where a folio of system memory has lru, a folio of
 * a device has pgmap (lru_add_split_folio()).
 */
static void uniform_split_leaves_list_empty(struct kunit *test)
{
	split_to_list(test, true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_leaves_list_empty(struct kunit *test)
{
	split_to_list(test, false);
}

/**
 * struct invalid_param - an impossible wish
 * @order: order of the folio
 * @pmd: it is mapped by a PMD
 * @split_pmds: PMDs split until it is mapped like that
 * @new_order: order asked for
 * @warnings: warnings
 */
struct invalid_param {
	unsigned int order;
	bool pmd;
	unsigned int split_pmds;
	unsigned int new_order;
	unsigned int warnings;
};

static const struct invalid_param invalid_params[] = {
	{ 2, false, 0, 1, 1 }, { 2, false, 0, 2, 0 }, { 2, false, 0, 3, 0 },
	{ 3, false, 0, 1, 1 }, { 3, false, 0, 3, 0 }, { 3, false, 0, 4, 0 },
	{ 4, false, 0, 1, 1 }, { 4, false, 0, 4, 0 }, { 4, false, 0, 5, 0 },
	{ 5, false, 0, 1, 1 }, { 5, false, 0, 5, 0 }, { 5, false, 0, 6, 0 },
	{ 6, false, 0, 1, 1 }, { 6, false, 0, 6, 0 }, { 6, false, 0, 7, 0 },
	{ 7, false, 0, 1, 1 }, { 7, false, 0, 7, 0 }, { 7, false, 0, 8, 0 },
	{ 8, false, 0, 1, 1 }, { 8, false, 0, 8, 0 }, { 8, false, 0, 9, 0 },
	{ 9, false, 1, 1, 1 }, { 9, false, 1, 9, 0 }, { 9, false, 1, 10, 0 },
	{ 9, true, 0, 1, 1 }, { 9, true, 0, 9, 0 }, { 9, true, 0, 10, 0 },
};

static void invalid_desc(struct kunit *test, const void *param, char *desc)
{
	const struct invalid_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u_%s", p->order, p->new_order,
		 p->pmd ? "pmd" : "ptes");
}

static int invalid_params_init(struct kunit *test)
{
	kunit_register_params_array(test, invalid_params, ARRAY_SIZE(invalid_params),
				    invalid_desc);
	return 0;
}

/* Warnings of __folio_split(): VM_WARN_ONCE() */
#define WARNINGS(_n)	(IS_ENABLED(CONFIG_DEBUG_VM) ? (_n) : 0)

/* The row as one that can be mapped and split */
static struct thp_split_row invalid_row(const struct invalid_param *p)
{
	return (struct thp_split_row) {
		.old_order = p->order,
		.new_order = p->new_order,
		.pmd = p->pmd,
		.split_pmds = p->split_pmds,
		.write = true,
		.exclusive = true,
	};
}

static void invalid_order(struct kunit *test, bool uniform)
{
	const struct invalid_param *p = test->param_value;
	struct thp_split_row row = invalid_row(p);
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, &row);
	struct thp_state want;
	int ret = 0;

	lock_and_get(f, folio);
	thp_fixture_forget_warnings();
	kunit_warning_suppress(test) {
		ret = thp_split_rows_split(&row, uniform, f->first, NULL);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, WARNINGS(p->warnings));
	}
	KUNIT_EXPECT_EQ(test, ret, -EINVAL);
	thp_split_rows_want(f, &row, &want);
	want_refused(&want, 1);
	thp_ledger_expect(f, folio, &want, "impossible order");
	expect_no_split_calls(test, f);
	thp_fixture_let_go(f, folio);
}

/*
 * Test that order 1, which no anonymous folio can have, is refused with a
 * warning, and that an order that is not smaller is refused without.
 */
static void uniform_split_to_impossible_order_returns_einval(struct kunit *test)
{
	invalid_order(test, true);
}

/* Test the same of a non-uniform split. */
static void non_uniform_split_to_impossible_order_returns_einval(struct kunit *test)
{
	invalid_order(test, false);
}

/* Test that a page of another folio is refused, without a warning. */
static void non_uniform_split_at_foreign_page_returns_einval(struct kunit *test)
{
	const struct thp_split_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_split_rows_map(f, row);
	struct page *foreign = f->first + (1UL << row->old_order);
	struct thp_state want;

	lock_and_get(f, folio);
	KUNIT_EXPECT_EQ(test, folio_split(folio, row->new_order, foreign, NULL), -EINVAL);
	thp_split_rows_want(f, row, &want);
	want_refused(&want, 1);
	thp_ledger_expect(f, folio, &want, "page of another folio");
	expect_no_split_calls(test, f);
	thp_fixture_let_go(f, folio);
}

static const unsigned int orders[] = { 2, 3, 4, 5, 6, 7, 8, 9 };

static void orders_desc(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u", *(const unsigned int *)param);
}

static int orders_init(struct kunit *test)
{
	kunit_register_params_array(test, orders, ARRAY_SIZE(orders), orders_desc);
	return 0;
}

/*
 * Test that a folio that no page table knows can't be split by either function:
 * this is what folio_split_unmapped() is there for.
 */
static void split_in_no_page_table_returns_ebusy(struct kunit *test)
{
	unsigned int order = *(const unsigned int *)test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, order);
	struct thp_state want;

	thp_fixture_make_anon(f, folio);
	KUNIT_EXPECT_EQ(test, split_huge_page_to_order(f->first + 1, 0), -EBUSY);
	thp_want(f, &want, order, THP_UNMAPPED);
	want_refused(&want, 0);
	thp_ledger_expect(f, folio, &want, "split_huge_page_to_order");
	KUNIT_EXPECT_EQ(test, folio_split(folio, 0, f->first + 1, NULL), -EBUSY);
	want.split_failed[order]++;
	want.ev_split_failed *= 2;
	thp_ledger_expect(f, folio, &want, "folio_split");
	expect_no_split_calls(test, f);
}

static struct kunit_case device_private_thp_split_mapped_fail_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_pinned_before_returns_eagain,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_pinned_before_returns_eagain,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_pinned_in_window_remaps_by_ptes,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_pinned_in_window_remaps_by_ptes,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_under_migration_returns_ebusy,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_under_migration_returns_ebusy,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_leaves_list_empty,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_leaves_list_empty,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_to_impossible_order_returns_einval,
				   kunit_array_gen_params, invalid_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_to_impossible_order_returns_einval,
				   kunit_array_gen_params, invalid_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(non_uniform_split_at_foreign_page_returns_einval,
				   kunit_array_gen_params, thp_split_rows_few, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_in_no_page_table_returns_ebusy,
				   kunit_array_gen_params, orders_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_mapped_fail_suite = {
	.name = "device_private_thp_split_mapped_fail",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_mapped_fail_cases,
};

kunit_test_suite(device_private_thp_split_mapped_fail_suite);

MODULE_DESCRIPTION("KUnit tests: mapped device-private folios that must not be split");
MODULE_LICENSE("GPL");
