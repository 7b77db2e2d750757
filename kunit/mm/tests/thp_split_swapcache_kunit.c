// SPDX-License-Identifier: GPL-2.0-only
/*
 * folio_split_unmapped() on folios that are in the swap cache, with a swap area
 * that really is one.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/swap.h>

#include "thp_fixture_swap.h"
#include "thp_fixture_system.h"
#include "thp_known_bug.h"
#include "thp_split_unmapped.h"

/* A folio in the swap cache, and what there is of it */
static struct folio *swapcache_folio(struct thp_fixture *f, enum thp_memory memory,
				     unsigned int order, struct thp_state *want)
{
	struct folio *folio = thp_unmapped_alloc(f, memory, order);

	thp_fixture_add_to_swap(f, folio);
	thp_unmapped_want(f, want, memory, order);
	want->flags |= BIT(PG_swapcache);
	want->refcount += 1LL << order;
	want->private = f->swapped.val;
	thp_ledger_expect(f, folio, want, "folio_alloc_swap");
	KUNIT_EXPECT_EQ(f->test, thp_swap_strays(f), 0);
	return folio;
}

static void put_swapcache(struct thp_fixture *f, enum thp_memory memory)
{
	thp_fixture_del_from_swap(f);
	thp_unmapped_put(f, memory);
}

static void split_in_swapcache(struct kunit *test, enum thp_memory memory)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	swapcache_folio(f, memory, p->old_order, &want);
	if (thp_unmapped_split(f, memory, p, &want, "folio_split_unmapped"))
		KUNIT_EXPECT_EQ(test, thp_swap_strays(f), 0);
	put_swapcache(f, memory);
	thp_fixture_restart(f);
}

/*
 * Test that each part takes over the swap entry, the references and the place in
 * the swap cache of its page.
 */
static void device_splits_to_0(struct kunit *test)
{
	split_in_swapcache(test, THP_DEVICE);
}

/* Test the same of system memory. */
static void system_splits_to_0(struct kunit *test)
{
	split_in_swapcache(test, THP_SYSTEM);
}

/* Test that a reference too many is one too many in the swap cache, too. */
static void split_pinned(struct kunit *test, enum thp_memory memory)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	struct folio *folio = swapcache_folio(f, memory, p->old_order, &want);

	folio_get(folio);
	want.refcount++;
	KUNIT_EXPECT_EQ(test, folio_split_unmapped(folio, p->new_order), -EAGAIN);
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, pinned");
	KUNIT_EXPECT_EQ(test, thp_swap_strays(f), 0);
	thp_split_expect_no_calls(f);
	folio_put(folio);
	put_swapcache(f, memory);
}

static void device_pinned_returns_eagain(struct kunit *test)
{
	split_pinned(test, THP_DEVICE);
}

static void system_pinned_returns_eagain(struct kunit *test)
{
	split_pinned(test, THP_SYSTEM);
}

static const struct thp_split_pair large_pairs[] = {
	{ 3, 2 },
	{ 4, 2 }, { 4, 3 },
	{ 5, 2 }, { 5, 3 }, { 5, 4 },
	{ 6, 2 }, { 6, 3 }, { 6, 4 }, { 6, 5 },
	{ 7, 2 }, { 7, 3 }, { 7, 4 }, { 7, 5 }, { 7, 6 },
	{ 8, 2 }, { 8, 3 }, { 8, 4 }, { 8, 5 }, { 8, 6 }, { 8, 7 },
	{ 9, 2 }, { 9, 3 }, { 9, 4 }, { 9, 5 }, { 9, 6 }, { 9, 7 }, { 9, 8 },
};

static int large_init(struct kunit *test)
{
	kunit_register_params_array(test, large_pairs, ARRAY_SIZE(large_pairs),
				    thp_split_pair_desc);
	return 0;
}

/*
 * Known bug: folio_check_splittable() says that a folio in the swap cache can
 * only become small ones, and folio_split_unmapped() makes large ones of it. They
 * are in order as far as the ledger can see, and in the swap cache at all of
 * their entries.
 */
static void split_to_large(struct kunit *test, enum thp_memory memory)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state right, bug;
	struct folio *folio = swapcache_folio(f, memory, p->old_order, &right);
	unsigned int nr = 1U << (p->old_order - p->new_order), i;
	int ret;

	KUNIT_EXPECT_EQ(test, folio_check_splittable(folio, p->new_order, SPLIT_TYPE_UNIFORM),
			-EINVAL);
	ret = folio_split_unmapped(folio, p->new_order);
	thp_known_bug(test, "LB13", ret, -EINVAL, 0, "folio_split_unmapped() in the swap cache");
	if (ret) {
		thp_ledger_expect(f, folio, &right, "folio_split_unmapped");
	} else {
		for (i = 0; memory == THP_DEVICE && i < nr; i++)
			thp_fixture_hold(f, page_folio(f->first + ((unsigned long)i <<
								   p->new_order)));
		bug = right;
		thp_want_split(&bug, p->old_order, p->new_order);
		bug.refcount = 1 + (1LL << p->new_order);
		thp_ledger_expect_each(f, f->first, nr, &bug, "folio_split_unmapped");
	}
	KUNIT_EXPECT_EQ(test, thp_swap_strays(f), 0);
	put_swapcache(f, memory);
}

static void device_to_large_is_refused(struct kunit *test)
{
	split_to_large(test, THP_DEVICE);
}

static void system_to_large_is_refused(struct kunit *test)
{
	split_to_large(test, THP_SYSTEM);
}

static const struct thp_split_pair shmem_pairs[] = {
	{ 1, 0 }, { 2, 0 }, { 3, 0 }, { 4, 0 }, { 5, 0 }, { 6, 0 }, { 7, 0 }, { 8, 0 }, { 9, 0 },
};

static int shmem_init(struct kunit *test)
{
	kunit_register_params_array(test, shmem_pairs, ARRAY_SIZE(shmem_pairs),
				    thp_split_pair_desc);
	return 0;
}

/*
 * Test that a folio of shmem that is in the page cache and in the swap cache, as
 * shmem_writeout() has it for a moment, is not split: the references of the one
 * or of the other are too many to be frozen. Nothing changes. (Before that, rmap
 * warns: folio_mapping() of a folio in the swap cache is not the file's.)
 */
static void shmem_in_both_caches_returns_eagain(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_touch_shmem(f, p->old_order);
	struct thp_state want;
	int ret = 0;

	thp_fixture_zap_shmem(f);
	folio_get(folio);
	folio_lock(folio);
	thp_fixture_add_to_swap(f, folio);
	thp_want_shmem(f, &want, p->old_order, THP_UNMAPPED);
	want.flags |= BIT(PG_locked) | BIT(PG_swapcache);
	want.refcount += 1 + (1LL << p->old_order);
	want.private = f->swapped.val;
	thp_ledger_expect(f, folio, &want, "folio_alloc_swap");

	kunit_warning_suppress(test) {
		suppress_printk = 1;
		ret = split_huge_page_to_list_to_order(&folio->page, NULL, p->new_order);
		suppress_printk = 0;
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, IS_ENABLED(CONFIG_DEBUG_VM));
	}
	KUNIT_EXPECT_EQ(test, ret, -EAGAIN);
	want.split_failed[p->old_order] = 1;
	want.ev_split_failed = p->old_order == HPAGE_PMD_ORDER;
	thp_ledger_expect(f, folio, &want, "__folio_split");
	KUNIT_EXPECT_EQ(test, thp_swap_strays(f), 0);
	thp_fixture_del_from_swap(f);
	folio_unlock(folio);
	folio_put(folio);
}

static struct kunit_case thp_split_swapcache_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(device_splits_to_0, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_splits_to_0, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_pinned_returns_eagain, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_pinned_returns_eagain, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_to_large_is_refused, kunit_array_gen_params,
				   large_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_to_large_is_refused, kunit_array_gen_params,
				   large_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(shmem_in_both_caches_returns_eagain, kunit_array_gen_params,
				   shmem_init, NULL),
	{}
};

static int swap_suite_init(struct kunit_suite *suite)
{
	return thp_swap_on();
}

static void swap_suite_exit(struct kunit_suite *suite)
{
	if (!suite->suite_init_err)
		thp_swap_off();
}

static struct kunit_suite thp_split_swapcache_suite = {
	.name = "thp_split_swapcache",
	.suite_init = swap_suite_init,
	.suite_exit = swap_suite_exit,
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_swapcache_cases,
};

kunit_test_suite(thp_split_swapcache_suite);

MODULE_DESCRIPTION("KUnit tests: folio_split_unmapped() in the swap cache");
MODULE_LICENSE("GPL");
