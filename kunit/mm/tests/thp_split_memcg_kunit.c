// SPDX-License-Identifier: GPL-2.0-only
/*
 * folio_split_unmapped() on folios that are charged to a memory cgroup that
 * counts them. This is where invariant I10 is checked: charged pages.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "thp_fixture_memcg.h"
#include "thp_fixture_system.h"
#include "thp_known_bug.h"
#include "thp_split_unmapped.h"

/* A charged folio, ready for the deferred split list, as a page fault makes it */
static struct folio *charged_folio(struct thp_fixture *f, enum thp_memory memory,
				   unsigned int order, struct thp_state *want)
{
	struct folio *folio;

	thp_fixture_own_memcg(f, THP_MEMCG_USUAL);
	folio = thp_unmapped_alloc(f, memory, order);
	KUNIT_ASSERT_EQ(f->test, 0, folio_memcg_alloc_deferred(folio));
	thp_unmapped_want(f, want, memory, order);
	thp_ledger_expect(f, folio, want, "charged");
	return folio;
}

/* Let go of all parts; each gives back its own pages, and its reference. */
static void expect_uncharged(struct thp_fixture *f, enum thp_memory memory,
			     unsigned int order, s64 usage)
{
	thp_unmapped_put(f, memory);
	KUNIT_EXPECT_EQ_MSG(f->test, thp_memcg_usage(f), usage - (1LL << order),
			    "pages charged when all parts of order %u are free", order);
}

static void split_charged(struct kunit *test, enum thp_memory memory)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	struct folio *folio = charged_folio(f, memory, p->old_order, &want);
	s64 usage = thp_memcg_usage(f);
	s64 refs = thp_memcg_charge_refs(folio);

	KUNIT_EXPECT_GE(test, usage, 1LL << p->old_order);
	thp_unmapped_split(f, memory, p, &want, "folio_split_unmapped");
	KUNIT_EXPECT_EQ(test, thp_memcg_usage(f), usage);
	KUNIT_EXPECT_EQ_MSG(test, thp_memcg_charge_refs(folio) - refs,
			    (1LL << (p->old_order - p->new_order)) - 1,
			    "references for new folios");
	expect_uncharged(f, memory, p->old_order, usage);
}

/*
 * Test that a split charges and uncharges nothing, that each part has what the
 * whole was charged to, and a reference on it, and that all of it comes back
 * when the parts are freed.
 */
static void device_parts_stay_charged(struct kunit *test)
{
	split_charged(test, THP_DEVICE);
}

/* Test the same of system memory. */
static void system_parts_stay_charged(struct kunit *test)
{
	split_charged(test, THP_SYSTEM);
}

/* Test that it is the list of the folio's own cgroup that a split takes it from. */
static void system_leaves_deferred_list_of_its_cgroup(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	struct folio *folio = charged_folio(f, THP_SYSTEM, p->old_order, &want);
	s64 usage = thp_memcg_usage(f);

	deferred_split_folio(folio, true);
	want.split_deferred[p->old_order] = 1;
	want.ev_deferred = p->old_order == HPAGE_PMD_ORDER;
	want.deferred = 1;
	want.part_mapped = 1;
	want.nr_part[p->old_order] = 1;
	thp_ledger_expect(f, folio, &want, "deferred_split_folio");

	want.deferred = 0;
	want.part_mapped = 0;
	want.nr_part[p->old_order] = 0;
	thp_unmapped_split(f, THP_SYSTEM, p, &want, "folio_split_unmapped");
	expect_uncharged(f, THP_SYSTEM, p->old_order, usage);
}

/* Test that a split that fails charges and uncharges nothing. */
static void device_pinned_stays_charged(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	struct folio *folio = charged_folio(f, THP_DEVICE, p->old_order, &want);
	s64 usage = thp_memcg_usage(f);
	s64 refs = thp_memcg_charge_refs(folio);

	folio_get(folio);
	want.refcount++;
	KUNIT_EXPECT_EQ(test, folio_split_unmapped(folio, p->new_order), -EAGAIN);
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, pinned");
	KUNIT_EXPECT_EQ(test, thp_memcg_usage(f), usage);
	KUNIT_EXPECT_EQ(test, thp_memcg_charge_refs(folio), refs);
	folio_put(folio);
	expect_uncharged(f, THP_DEVICE, p->old_order, usage);
}

/*
 * Known bug: __folio_freeze_and_split_unmapped() locks the deferred split list of
 * the folio's cgroup, which device-private folios are never on, and for which
 * migrate_vma_insert_huge_pmd_page() does not call folio_memcg_alloc_deferred()
 * as all others do that make large anonymous folios. In a cgroup without such a
 * list, there is a warning each time, and the parent's is locked.
 */
static void device_without_list_lru_splits_in_silence(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	int warnings = 0;

	if (!IS_ENABLED(CONFIG_DEBUG_VM))
		kunit_skip(test, "CONFIG_DEBUG_VM is off: nothing would be said");
	thp_fixture_own_memcg(f, THP_MEMCG_NO_LIST);
	thp_unmapped_alloc(f, THP_DEVICE, p->old_order);
	thp_unmapped_want(f, &want, THP_DEVICE, p->old_order);
	kunit_warning_suppress(test) {
		thp_unmapped_split(f, THP_DEVICE, p, &want, "folio_split_unmapped");
		warnings = KUNIT_SUPPRESSED_WARNING_COUNT();
	}
	thp_known_bug(test, "H5", warnings, 0, 1, "number of warnings");
	thp_unmapped_put(f, THP_DEVICE);
}

static struct kunit_case thp_split_memcg_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(device_parts_stay_charged, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_parts_stay_charged, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_leaves_deferred_list_of_its_cgroup,
				   kunit_array_gen_params, thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_pinned_stays_charged, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_without_list_lru_splits_in_silence,
				   kunit_array_gen_params, thp_split_to_0_init, NULL),
	{}
};

static struct kunit_suite thp_split_memcg_suite = {
	.name = "thp_split_memcg",
	.suite_init = thp_memcg_suite_init,
	.suite_exit = thp_memcg_suite_exit,
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_memcg_cases,
};

kunit_test_suite(thp_split_memcg_suite);

MODULE_DESCRIPTION("KUnit tests: folio_split_unmapped() on charged folios");
MODULE_LICENSE("GPL");
