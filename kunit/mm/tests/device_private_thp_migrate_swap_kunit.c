// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sources in the swap cache: memory of a device has no swap entries, so
 * migrate_vma_pages() must take them out of it first - or leave them where they
 * are, because somebody's page table still has the entry.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "../swap.h"
#include "thp_fixture_swap.h"
#include "thp_known_bug.h"
#include "thp_leaf.h"
#include "thp_migrate_model.h"

#define NR		HPAGE_PMD_NR
#define SYSTEM		MIGRATE_VMA_SELECT_SYSTEM
#define COMPOUND	MIGRATE_VMA_SELECT_COMPOUND

#define SMALL	(MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE | MIGRATE_PFN_WRITE)
#define LARGE	(SMALL | MIGRATE_PFN_COMPOUND)

/**
 * struct swap_param - a folio of system memory that gets swap entries
 * @order: its order
 * @by_ptes: HPAGE_PMD_ORDER: its PMD is split
 * @flags: for migrate_vma_setup()
 * @policy: destinations that the driver offers
 */
struct swap_param {
	unsigned int order;
	bool by_ptes;
	unsigned long flags;
	enum fake_zdev_policy policy;
};

static void swap_desc(struct kunit *test, const void *param, char *desc)
{
	const struct swap_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u%s%s", p->order,
		 p->by_ptes ? "_by_ptes" : p->flags & COMPOUND ? "" : "_without_compound",
		 p->policy == FAKE_ZDEV_DST_ALL_SMALL ? "_small" : "");
}

/* All but the THP that migrates as a whole: they are, or become, small folios. */
static const struct swap_param small_params[] = {
	{ 0, false, SYSTEM | COMPOUND }, { 2, false, SYSTEM | COMPOUND },
	{ 3, false, SYSTEM | COMPOUND }, { 4, false, SYSTEM | COMPOUND },
	{ 5, false, SYSTEM | COMPOUND }, { 6, false, SYSTEM | COMPOUND },
	{ 7, false, SYSTEM | COMPOUND }, { 8, false, SYSTEM | COMPOUND },
	{ 9, true, SYSTEM | COMPOUND }, { 9, false, SYSTEM },
};

static int small_params_init(struct kunit *test)
{
	kunit_register_params_array(test, small_params, ARRAY_SIZE(small_params), swap_desc);
	return 0;
}

static const struct swap_param pmd_params[] = {
	{ 9, false, SYSTEM | COMPOUND, FAKE_ZDEV_DST_AS_SOURCE },
	{ 9, false, SYSTEM | COMPOUND, FAKE_ZDEV_DST_ALL_SMALL },
};

static int pmd_params_init(struct kunit *test)
{
	kunit_register_params_array(test, pmd_params, ARRAY_SIZE(pmd_params), swap_desc);
	return 0;
}

static struct thp_request to_device(const struct swap_param *p)
{
	return (struct thp_request) {
		.end = 1UL << p->order,
		.flags = p->flags,
		.owner = THP_DEVICE,
		.to = THP_DEVICE,
		.policy = p->policy,
	};
}

/* A window that starts with the folio, which is in the swap cache, and mapped */
static struct thp_model *window_in_swap_cache(struct thp_fixture *f, const struct swap_param *p)
{
	const struct thp_piece pieces[] = { { THP_SYSTEM, p->order, 0, p->by_ptes }, {} };
	struct thp_model *model;
	struct folio *folio;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	folio = page_folio(model->pages[0].page);
	thp_fixture_track(f, &folio->page, p->order, f->addr);
	folio_lock(folio);
	thp_fixture_add_to_swap(f, folio);
	folio_unlock(folio);
	KUNIT_ASSERT_TRUE(f->test, folio_test_swapcache(folio));
	return model;
}

static struct fake_zdev_migration *migration_of(struct thp_fixture *f,
						const struct swap_param *p)
{
	return fake_zdev_migration_init(f->test, NULL, f->zdev, f->vma, f->addr,
					f->addr + (PAGE_SIZE << p->order), p->flags);
}

/* src and dst, entry by entry: each page of the range as @flags and @dst say */
static void expect_entries(struct kunit *test, const struct fake_zdev_migration *m,
			   const struct thp_model *model, unsigned long flags, bool has_dst,
			   const char *step)
{
	unsigned long i;

	for (i = 0; i < m->nr_entries; i++) {
		const struct page *page = model->pages[i].page;

		KUNIT_EXPECT_EQ_MSG(test, m->src[i], flags | migrate_pfn(page_to_pfn(page)),
				    "%s: src[%lu]", step, i);
		KUNIT_EXPECT_EQ_MSG(test, m->dst[i] & MIGRATE_PFN_VALID,
				    has_dst ? MIGRATE_PFN_VALID : 0, "%s: dst[%lu]", step, i);
	}
}

/* The pages whose folios, of order 0, are not in this state */
static unsigned long count_others(const struct thp_model *model, unsigned long nr,
				  int refcount, bool swapcache, bool locked)
{
	unsigned long others = 0, i;

	for (i = 0; i < nr; i++) {
		const struct folio *folio = page_folio(model->pages[i].page);

		others += folio_order(folio) || folio_ref_count(folio) != refcount ||
			  folio_test_swapcache(folio) != swapcache ||
			  folio_test_locked(folio) != locked;
	}
	return others;
}

/*
 * Test that pages go to the device if nobody needs their swap entries, which are
 * free afterwards: each page is taken out of the swap cache before its metadata
 * moves, so that the page of the device is not in there.
 */
static void page_leaves_the_swap_cache_for_the_device(struct kunit *test)
{
	const struct swap_param *p = test->param_value;
	const struct thp_request req = to_device(p);
	const long room = get_nr_swap_pages();
	struct thp_fixture *f = test->priv;
	struct thp_model *model = window_in_swap_cache(f, p);
	struct fake_zdev_migration *m = migration_of(f, p);
	unsigned long i, in_cache = 0;

	KUNIT_EXPECT_EQ(test, room - get_nr_swap_pages(), req.end);
	KUNIT_EXPECT_EQ(test, folio_ref_count(page_folio(f->first)),
			req.end + folio_mapcount(page_folio(f->first)));
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, req.end);
	KUNIT_EXPECT_EQ(test, m->args.cpages, req.end);
	expect_entries(test, m, model, SMALL, false, "setup");
	/* The swap cache, and migrate_vma_setup() */
	KUNIT_EXPECT_EQ(test, count_others(model, req.end, 2, true, true), 0);
	KUNIT_EXPECT_EQ(test, thp_swap_strays(f), 0);

	fake_zdev_migration_copy(m, p->policy);
	fake_zdev_migration_pages(m);
	expect_entries(test, m, model, SMALL, true, "pages");
	KUNIT_EXPECT_EQ(test, count_others(model, req.end, 1, false, true), 0);
	for (i = 0; i < req.end; i++) {
		struct page *dst = migrate_pfn_to_page(m->dst[i]);

		in_cache += dst && folio_test_swapcache(page_folio(dst));
	}
	KUNIT_EXPECT_EQ_MSG(test, in_cache, 0, "destinations in the swap cache");
	KUNIT_EXPECT_EQ(test, room, get_nr_swap_pages());
	KUNIT_EXPECT_EQ(test, thp_swap_strays(f), req.end);

	thp_model_setup(model, &req);
	thp_model_pages(model, &req, m->dst);
	/* deferred_split_folio() does not want what is in the swap cache. */
	model->events.split_deferred[p->order] = 0;
	model->events.ev_deferred = 0;
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	thp_model_finalize(model, &req);
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

/*
 * Let all mms have swap entries for the folio instead, as reclaim does, and then
 * the mm of the fixture map it again, without writing: only a child needs the
 * entries now.
 */
static void swap_out_for_child(struct thp_fixture *f, struct folio *folio, unsigned long nr)
{
	unsigned long i;
	u64 word;

	folio_lock(folio);
	try_to_unmap(folio, TTU_SPLIT_HUGE_PMD);
	folio_unlock(folio);
	KUNIT_ASSERT_FALSE(f->test, folio_mapped(folio));
	for (i = 0; i < nr; i++)
		KUNIT_ASSERT_EQ(f->test, 0,
				get_user(word, (u64 __user *)(f->addr + i * PAGE_SIZE)));
	KUNIT_ASSERT_PTR_EQ(f->test, thp_fixture_folio_at(f, f->addr), folio);
	KUNIT_ASSERT_EQ(f->test, folio_mapcount(folio), nr);
}

/* The pages that the page table has not, read-only, and nobody else but the swap cache */
static unsigned long count_unsettled(struct thp_fixture *f, const struct thp_model *model,
				     unsigned long nr)
{
	unsigned long others = count_others(model, nr, 2, true, false), i;

	for (i = 0; i < nr; i++) {
		const struct thp_leaf leaf = thp_leaf_at(f->mm, f->addr + i * PAGE_SIZE);

		others += leaf.kind != THP_KIND_PRESENT || leaf.by_pmd || leaf.write ||
			  leaf.page != model->pages[i].page ||
			  !folio_test_lru(page_folio(leaf.page));
	}
	return others;
}

/*
 * Test that a page stays in system memory if a page table has its swap entry: src
 * says so, the destination is given back, and both mms find their data.
 */
static void page_stays_if_a_child_needs_its_swap_entry(struct kunit *test)
{
	const struct swap_param *p = test->param_value;
	const unsigned long nr = 1UL << p->order;
	struct thp_fixture *f = test->priv;
	struct thp_model *model = window_in_swap_cache(f, p);
	struct mm_struct *child = thp_fixture_fork(f);
	struct fake_zdev_migration *m = migration_of(f, p);

	swap_out_for_child(f, page_folio(f->first), nr);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, nr);
	expect_entries(test, m, model, SMALL & ~MIGRATE_PFN_WRITE, false, "setup");
	fake_zdev_migration_copy(m, p->policy);
	fake_zdev_migration_pages(m);
	expect_entries(test, m, model, MIGRATE_PFN_VALID, true, "pages");
	KUNIT_EXPECT_EQ(test, count_others(model, nr, 2, true, true), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), nr);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), 0);
	KUNIT_EXPECT_EQ_MSG(test, count_unsettled(f, model, nr), 0, "pages that changed");
	KUNIT_EXPECT_EQ(test, thp_swap_strays(f), 0);
	KUNIT_EXPECT_EQ(test, percpu_counter_sum(&f->mm->rss_stat[MM_ANONPAGES]), nr);
	KUNIT_EXPECT_EQ(test, percpu_counter_sum(&child->rss_stat[MM_SWAPENTS]), nr);

	thp_layout_read_back(model);
	thp_fixture_switch_mm(f, f->mm, child);
	thp_layout_read_back(model);
	thp_fixture_switch_mm(f, child, f->mm);
	thp_fixture_end_child(f, child);
	thp_fixture_del_from_swap(f);
	thp_fixture_track(f, fake_zdev_page(f->zdev, 0), 0, f->addr);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "finalize");
}

/*
 * Test that a THP in the swap cache migrates like one that is not.
 *
 * LB7: migrate_vma_check_page() allows for one reference of the swap cache, and a
 * THP has one for each page: it is taken for pinned, and mapped again.
 */
static void thp_in_the_swap_cache_migrates(struct kunit *test)
{
	const struct swap_param *p = test->param_value;
	const struct thp_request req = to_device(p);
	struct thp_fixture *f = test->priv;
	struct thp_model *model = window_in_swap_cache(f, p);
	struct fake_zdev_migration *m = migration_of(f, p);
	const unsigned long src = LARGE | migrate_pfn(page_to_pfn(f->first));
	bool migrates;
	unsigned long i;

	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, NR);
	thp_known_bug(test, "LB7", m->args.cpages, 1, 0, "number of entries to migrate");
	thp_known_bug(test, "LB7", m->src[0], src, 0, "src[0]");
	for (i = 1; i < NR; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], 0, "src[%lu]", i);
	migrates = m->src[0];
	fake_zdev_migration_copy(m, p->policy);
	fake_zdev_migration_pages(m);
	thp_model_setup(model, &req);
	if (migrates)
		thp_model_pages(model, &req, m->dst);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	thp_model_finalize(model, &req);
	if (!migrates) {
		struct folio *folio = page_folio(f->first);

		KUNIT_EXPECT_TRUE(test, folio_test_swapcache(folio));
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), NR + 1);
		KUNIT_EXPECT_EQ(test, thp_swap_strays(f), 0);
		thp_fixture_del_from_swap(f);
	}
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

static struct kunit_case device_private_thp_migrate_swap_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(page_leaves_the_swap_cache_for_the_device,
				   kunit_array_gen_params, small_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(page_stays_if_a_child_needs_its_swap_entry,
				   kunit_array_gen_params, small_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(thp_in_the_swap_cache_migrates, kunit_array_gen_params,
				   pmd_params_init, NULL),
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

static struct kunit_suite device_private_thp_migrate_swap_suite = {
	.name = "device_private_thp_migrate_swap",
	.suite_init = swap_suite_init,
	.suite_exit = swap_suite_exit,
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_swap_cases,
};

kunit_test_suite(device_private_thp_migrate_swap_suite);

MODULE_DESCRIPTION("KUnit tests: sources in the swap cache through migrate_vma");
MODULE_LICENSE("GPL");
