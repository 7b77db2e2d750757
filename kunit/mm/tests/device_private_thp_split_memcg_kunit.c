// SPDX-License-Identifier: GPL-2.0-only
/*
 * Splitting device-private folios that are charged to a memory cgroup other than
 * the root.
 *
 * The list of deferred splits is one per memory cgroup, which has none until
 * folio_memcg_alloc_deferred() makes it, before a THP is mapped. Each split looks
 * the list up, whether the folio can be in it or not.
 */
#include <kunit/test.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "fake_zone_device_migrate.h"
#include "thp_fixture_memcg.h"
#include "thp_known_bug.h"
#include "thp_split_parts.h"

/**
 * struct memcg_param - one split
 * @new_order: order of the parts
 * @unmapped: by folio_split_unmapped(), as migrate_vma_pages() does it, else by
 *	split_huge_page_to_order()
 */
struct memcg_param {
	unsigned int new_order;
	bool unmapped;
};

static const struct memcg_param memcg_params[] = {
	{ 0, false }, { 8, false }, { 0, true }, { 8, true },
};

static void memcg_desc(struct kunit *test, const void *param, char *desc)
{
	const struct memcg_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order9_to_%u_%s", p->new_order,
		 p->unmapped ? "unmapped" : "mapped");
}

static int memcg_params_init(struct kunit *test)
{
	kunit_register_params_array(test, memcg_params, ARRAY_SIZE(memcg_params), memcg_desc);
	return 0;
}

/*
 * Let the device fill the range, where nothing is yet, with a THP, as a driver
 * does with memory that the CPU has never touched.
 */
static struct folio *fill_hole(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	const struct mem_cgroup *charged_to;
	struct folio *folio;
	struct thp_state want;

	KUNIT_ASSERT_EQ(test, HPAGE_PMD_NR,
			fake_zdev_migrate_to_device(f->zdev, f->mm, f->addr,
						    f->addr + HPAGE_PMD_SIZE,
						    FAKE_ZDEV_DST_AS_SOURCE));
	folio = thp_fixture_folio_at(f, f->addr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	rcu_read_lock();
	charged_to = folio_memcg(folio);
	rcu_read_unlock();
	KUNIT_ASSERT_PTR_EQ(test, charged_to, f->charge_to);
	thp_fixture_track(f, &folio->page, HPAGE_PMD_ORDER, f->addr);
	thp_fixture_fill_device(f, folio);
#ifdef CONFIG_MEMCG
	f->memcg = folio->memcg_data;
#endif
	f->base.ev_fault_alloc++;
	thp_want(f, &want, HPAGE_PMD_ORDER, THP_PMD);
	thp_ledger_expect(f, folio, &want, "a hole filled");
	return folio;
}

/* Split as the row says; count the warnings. */
static int split_and_count(struct kunit *test, struct folio *folio, int *warnings)
{
	const struct memcg_param *p = test->param_value;
	int ret = 0;

	kunit_warning_suppress(test) {
		if (p->unmapped)
			ret = folio_split_unmapped(folio, p->new_order);
		else
			ret = split_huge_page_to_order(&folio->page, p->new_order);
		*warnings = KUNIT_SUPPRESSED_WARNING_COUNT();
	}
	return ret;
}

/* The folio is split, and mapped, in either case; @return: number of warnings */
static int split_and_check(struct kunit *test, struct folio *folio)
{
	const struct memcg_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_split_parts *parts = thp_split_parts_uniform(f, HPAGE_PMD_ORDER, p->new_order);
	unsigned int i;
	s64 css_refs;
	int warnings = 0;

	if (p->unmapped) {
		thp_fixture_unmap(f, folio, TTU_SPLIT_HUGE_PMD);
	} else {
		folio_get(folio);
		folio_lock(folio);
		thp_fixture_hold(f, folio);
	}
	css_refs = thp_memcg_css_refs(f);
	KUNIT_ASSERT_EQ(test, 0, split_and_count(test, folio, &warnings));
	/* A mapped split allocates for the cgroup of the folio, as long as it takes. */
	KUNIT_EXPECT_EQ_MSG(test, thp_memcg_css_refs(f), css_refs, "references of the cgroup");
#ifdef CONFIG_MEMCG
	KUNIT_EXPECT_PTR_EQ(test, current->active_memcg, NULL);
#endif
	parts->split_pmds = 1;
	parts->splits = !p->unmapped;
	if (p->unmapped) {
		for (i = 0; i < parts->layout.nr_parts; i++)
			thp_fixture_remap(f, page_folio(f->first + parts->layout.parts[i].offset));
	} else {
		thp_fixture_let_go(f, page_folio(f->first));
	}
	thp_split_parts_expect(f, parts, "split");
	return warnings;
}

/*
 * Test that the split of a device-private THP that migrate_vma_pages() has put
 * into a hole succeeds, and that it is charged as a whole and in parts.
 *
 * Known bug: migrate_vma_insert_huge_pmd_page() does not call
 * folio_memcg_alloc_deferred(). In a memory cgroup that has had no THP yet, the
 * lookup takes it for one that is dying, warns that it is not, and locks the list
 * of the parent.
 */
static void split_of_filled_hole_in_new_memcg(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio;
	int warnings;

	if (!IS_ENABLED(CONFIG_DEBUG_VM))
		kunit_skip(test, "VM_WARN_ON() says nothing");
	thp_fixture_own_memcg(f, THP_MEMCG_NO_LIST);
	thp_fixture_enter_memcg(f, THP_MEMCG_NO_LIST);
	folio = fill_hole(test);
	warnings = split_and_check(test, folio);
	thp_known_bug(test, "H5", warnings, 0, 1,
		      "number of warnings of lock_list_lru_of_memcg()");
	thp_fixture_leave_memcg(f);
}

/*
 * Test that there is no warning in a memory cgroup that has had a THP in system
 * memory before. This is what hides the above from most programs.
 */
static void split_of_filled_hole_in_used_memcg(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio;

	thp_fixture_own_memcg(f, THP_MEMCG_USUAL);
	thp_fixture_enter_memcg(f, THP_MEMCG_USUAL);
	thp_fixture_touch(f, HPAGE_PMD_ORDER);
	KUNIT_ASSERT_EQ(test, 0, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED));
	thp_fixture_restart(f);
	folio = fill_hole(test);
	KUNIT_EXPECT_EQ(test, split_and_check(test, folio), 0);
	thp_fixture_leave_memcg(f);
}

static struct kunit_case device_private_thp_split_memcg_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(split_of_filled_hole_in_new_memcg,
				   kunit_array_gen_params, memcg_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_of_filled_hole_in_used_memcg,
				   kunit_array_gen_params, memcg_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_memcg_suite = {
	.name = "device_private_thp_split_memcg",
	.suite_init = thp_memcg_suite_init,
	.suite_exit = thp_memcg_suite_exit,
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_memcg_cases,
};

kunit_test_suite(device_private_thp_split_memcg_suite);

MODULE_DESCRIPTION("KUnit tests: device-private folios in a memory cgroup, split");
MODULE_LICENSE("GPL");
