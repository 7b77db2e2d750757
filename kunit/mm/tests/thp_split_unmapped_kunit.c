// SPDX-License-Identifier: GPL-2.0-only
/*
 * folio_split_unmapped() on folios of system memory, which it is for as well,
 * and on device-private ones whose driver does not take part: every order to
 * every order, in every state that a folio can come in.
 *
 * device_private_thp_split_unmapped is the same of the plain device-private
 * folio, with what follows: remapping, freeing, and using the pages again.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/printk.h>

#include "../internal.h"
#include "thp_fixture_system.h"
#include "thp_known_bug.h"
#include "thp_split_unmapped.h"

/* Test that a folio of system memory is split into folios that differ in nothing. */
static void system_splits(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct folio *folio = thp_unmapped_alloc(f, THP_SYSTEM, p->old_order);
	struct thp_state want;

	thp_unmapped_want(f, &want, THP_SYSTEM, p->old_order);
	thp_ledger_expect(f, folio, &want, "unmapped");
	thp_unmapped_split(f, THP_SYSTEM, p, &want, "folio_split_unmapped");
	thp_unmapped_put(f, THP_SYSTEM);
	thp_fixture_restart(f);
}

/* A folio of system memory on the deferred split list, and what there is of it */
static struct folio *deferred_folio(struct thp_fixture *f, unsigned int order,
				    bool part_mapped, struct thp_state *want)
{
	struct folio *folio = thp_unmapped_alloc(f, THP_SYSTEM, order);

	KUNIT_ASSERT_EQ(f->test, 0, folio_memcg_alloc_deferred(folio));
	deferred_split_folio(folio, part_mapped);
	thp_unmapped_want(f, want, THP_SYSTEM, order);
	want->deferred = 1;
	want->part_mapped = part_mapped;
	want->nr_part[order] = part_mapped;
	want->split_deferred[order] = part_mapped;
	want->ev_deferred = part_mapped && order == HPAGE_PMD_ORDER;
	thp_ledger_expect(f, folio, want, "deferred_split_folio");
	return folio;
}

static void split_deferred_folio(struct kunit *test, bool part_mapped)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct thp_state want;

	deferred_folio(f, p->old_order, part_mapped, &want);
	want.deferred = 0;
	want.part_mapped = 0;
	want.nr_part[p->old_order] = 0;
	thp_unmapped_split(f, THP_SYSTEM, p, &want, "folio_split_unmapped");
	thp_unmapped_put(f, THP_SYSTEM);
}

/* Test that the split takes the folio from the deferred split list, and no part is there. */
static void system_on_deferred_list_leaves_it(struct kunit *test)
{
	split_deferred_folio(test, false);
}

/* Test the same of a partially mapped one, which is counted, and that no part is one. */
static void system_partially_mapped_leaves_deferred_list(struct kunit *test)
{
	split_deferred_folio(test, true);
}

/* Test that a folio with one reference too many stays on the deferred split list. */
static void system_pinned_stays_on_deferred_list(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct thp_state want;
	struct folio *folio = deferred_folio(f, p->old_order, true, &want);

	folio_get(folio);
	want.refcount++;
	KUNIT_EXPECT_EQ(test, folio_split_unmapped(folio, p->new_order), -EAGAIN);
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, pinned");
	folio_put(folio);
	thp_unmapped_put(f, THP_SYSTEM);
}

/*
 * Test that freezing that fails, which is where a mapped folio gets to, leaves
 * the folio on the deferred split list, and gives back the list's lock, RCU, and
 * interrupts.
 */
static void system_mapped_stays_on_deferred_list(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct folio *folio = thp_fixture_touch(f, p->old_order);
	unsigned long last = f->addr + (PAGE_SIZE << p->old_order) - PAGE_SIZE;
	struct thp_state want;
	int ret = 0;

	KUNIT_ASSERT_EQ(test, 0, do_madvise(f->mm, last, PAGE_SIZE, MADV_DONTNEED));
	folio_get(folio);
	folio_lock(folio);
	thp_ledger_capture(f, folio, &want);
	KUNIT_EXPECT_EQ(test, want.deferred, 1);
	KUNIT_EXPECT_EQ(test, want.part_mapped, 1);
	KUNIT_EXPECT_EQ(test, want.refcount, 1LL << p->old_order);
	f->before = want;

	thp_fixture_forget_warnings();
	kunit_warning_suppress(test) {
		suppress_printk = 1;
		ret = folio_split_unmapped(folio, p->new_order);
		suppress_printk = 0;
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, IS_ENABLED(CONFIG_DEBUG_VM));
	}
	KUNIT_EXPECT_EQ(test, ret, -EAGAIN);
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, mapped");
	folio_unlock(folio);
	folio_put(folio);
}

/*
 * zone_device_data of a part when no driver has set it: that of the page before
 * it became a tail page, which is nothing here, unless the second and third page
 * of the large folio used the word (_large_mapcount and _nr_pages_mapped of a
 * folio that is not mapped; _deferred_list, which is empty).
 */
static s64 left_over_data(const struct thp_fixture *f, unsigned long offset)
{
	if (!offset)
		return (s64)fake_zdev_data(f->zdev, f->first);
	if (offset == 1)
		return U32_MAX;
	if (offset == 2)
		return (s64)&((struct folio *)f->first)->_deferred_list;
	return 0;
}

/*
 * Test that a driver without ->folio_split() gets parts with the pgmap of the
 * whole, all fields right but for zone_device_data, which nobody has set: it is
 * whatever the word was before, so such a driver cannot find its memory.
 */
static void device_without_callback_loses_zone_device_data(struct kunit *test)
{
	const struct fake_zdev_params params = { .no_folio_split = true };
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct thp_state want;
	unsigned long offset;
	char step[32];

	fake_zdev_destroy(test, f->zdev);
	f->zdev = fake_zdev_create(test, &params);
	thp_fixture_alloc_scratch(f);
	thp_fixture_rebase(f);
	thp_unmapped_alloc(f, THP_DEVICE, p->old_order);
	thp_unmapped_want(f, &want, THP_DEVICE, p->old_order);
	fake_zdev_clear_events(f->zdev);
	KUNIT_ASSERT_EQ(test, folio_split_unmapped(page_folio(f->first), p->new_order), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 0);

	thp_want_split(&want, p->old_order, p->new_order);
	for (offset = 0; offset < 1UL << p->old_order; offset += 1UL << p->new_order) {
		struct folio *folio = (struct folio *)(f->first + offset);

		thp_fixture_hold(f, folio);
		want.zdd = left_over_data(f, offset);
		snprintf(step, sizeof(step), "part at page %lu", offset);
		thp_ledger_capture(f, folio, &f->after);
		thp_ledger_compare(f, &f->before, &want, &f->after, step);
		want.index += 1UL << p->new_order;
	}
	thp_unmapped_put(f, THP_DEVICE);
}

/**
 * struct poisoned - pages of a folio with PG_hwpoison
 * @name: which ones, for messages
 * @first: the first one
 * @second: another one, or the same
 */
struct poisoned {
	const char *name;
	unsigned long first, second;
};

static void split_with_poison(struct kunit *test, const struct poisoned *which)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct folio *folio = thp_unmapped_alloc(f, THP_SYSTEM, p->old_order);
	unsigned long offset, i;

	SetPageHWPoison(f->first + which->first);
	SetPageHWPoison(f->first + which->second);
	folio_set_has_hwpoisoned(folio);
	KUNIT_EXPECT_EQ(test, folio_split_unmapped(folio, p->new_order), 0);

	for (offset = 0; offset < 1UL << p->old_order; offset += 1UL << p->new_order) {
		struct folio *part = (struct folio *)(f->first + offset);
		bool has = which->first >> p->new_order == offset >> p->new_order ||
			   which->second >> p->new_order == offset >> p->new_order;

		/* A page of its own has PG_hwpoison to say so, and that only. */
		if (p->new_order)
			KUNIT_EXPECT_EQ_MSG(test, folio_test_has_hwpoisoned(part), has,
					    "%s: part at page %lu", which->name, offset);
		else
			KUNIT_EXPECT_FALSE_MSG(test, folio_test_active(part),
					       "%s: page %lu", which->name, offset);
	}
	for (i = 0; i < 1UL << p->old_order; i++) {
		bool is = i == which->first || i == which->second;

		KUNIT_EXPECT_EQ_MSG(test, PageHWPoison(f->first + i), is,
				    "%s: page %lu", which->name, i);
		ClearPageHWPoison(f->first + i);
		if (p->new_order && !(i & ((1UL << p->new_order) - 1)))
			folio_clear_has_hwpoisoned((struct folio *)(f->first + i));
	}
	thp_unmapped_put(f, THP_SYSTEM);
}

/*
 * Test that PG_hwpoison stays with its page, and that of the parts exactly those
 * with such a page say so, wherever it is.
 */
static void system_hwpoisoned_parts_say_so(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	unsigned long last = (1UL << p->old_order) - 1;
	const struct poisoned which[] = {
		{ "first page", 0, 0 },
		{ "second page", 1, 1 },
		{ "middle page", last / 2 + 1, last / 2 + 1 },
		{ "last page", last, last },
		{ "first and last page", 0, last },
	};
	unsigned int i;

	if (!IS_ENABLED(CONFIG_MEMORY_FAILURE))
		kunit_skip(test, "CONFIG_MEMORY_FAILURE is off");
	for (i = 0; i < ARRAY_SIZE(which); i++)
		split_with_poison(test, &which[i]);
}

/*
 * Test that __folio_split() refuses a folio that is not mapped, because it has
 * no anon_vma to find (folio_get_anon_vma()), and changes nothing: that is what
 * folio_split_unmapped() is there for, which then does split it.
 */
static void expect_ebusy(struct kunit *test, enum thp_memory memory)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct folio *folio = thp_unmapped_alloc(f, memory, p->old_order);
	struct thp_state want;

	thp_unmapped_want(f, &want, memory, p->old_order);
	KUNIT_EXPECT_EQ(test, split_huge_page_to_list_to_order(&folio->page, NULL, p->new_order),
			-EBUSY);
	want.split_failed[p->old_order] = 1;
	want.ev_split_failed = p->old_order == HPAGE_PMD_ORDER;
	thp_ledger_expect(f, folio, &want, "split_huge_page_to_list_to_order");
	KUNIT_EXPECT_EQ(test, folio_split(folio, p->new_order, &folio->page, NULL), -EBUSY);
	want.split_failed[p->old_order]++;
	want.ev_split_failed *= 2;
	thp_ledger_expect(f, folio, &want, "folio_split");
	thp_split_expect_no_calls(f);

	thp_unmapped_split(f, memory, p, &want, "folio_split_unmapped");
	thp_unmapped_put(f, memory);
}

static void device_folio_split_returns_ebusy(struct kunit *test)
{
	expect_ebusy(test, THP_DEVICE);
}

static void system_folio_split_returns_ebusy(struct kunit *test)
{
	expect_ebusy(test, THP_SYSTEM);
}

/*
 * Known bug: no statistics say that a folio was split, unlike __folio_split(),
 * which counts MTHP_STAT_SPLIT and, of PMD order, THP_SPLIT_PAGE.
 */
static void count_splits(struct kunit *test, enum thp_memory memory)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct folio *folio = thp_unmapped_alloc(f, memory, p->old_order);

	KUNIT_EXPECT_EQ(test, folio_split_unmapped(folio, p->new_order), 0);
	thp_ledger_capture_totals(f, &f->after);
	thp_known_bug(test, "LB19", f->after.split[p->old_order], 1, 0, "MTHP_STAT_SPLIT");
	if (p->old_order == HPAGE_PMD_ORDER)
		thp_known_bug(test, "LB19", f->after.ev_split_page, 1, 0, "THP_SPLIT_PAGE");
	thp_unmapped_put(f, memory);
}

static void device_split_is_counted(struct kunit *test)
{
	count_splits(test, THP_DEVICE);
}

static void system_split_is_counted(struct kunit *test)
{
	count_splits(test, THP_SYSTEM);
}

static struct kunit_case thp_split_unmapped_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(system_splits, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_on_deferred_list_leaves_it, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_partially_mapped_leaves_deferred_list,
				   kunit_array_gen_params, thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_pinned_stays_on_deferred_list,
				   kunit_array_gen_params, thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_mapped_stays_on_deferred_list,
				   kunit_array_gen_params, thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_without_callback_loses_zone_device_data,
				   kunit_array_gen_params, thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_hwpoisoned_parts_say_so, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_folio_split_returns_ebusy, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_folio_split_returns_ebusy, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_split_is_counted, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_split_is_counted, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	{}
};

static struct kunit_suite thp_split_unmapped_suite = {
	.name = "thp_split_unmapped",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_unmapped_cases,
};

kunit_test_suite(thp_split_unmapped_suite);

MODULE_DESCRIPTION("KUnit tests: folio_split_unmapped() in every state of a folio");
MODULE_LICENSE("GPL");
