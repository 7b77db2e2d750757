// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sources that stay where they are, or that others in their range make wait: large
 * folios that can't be split, files, memory that an exec() has not finished with,
 * destinations that the kernel does not know.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/swap.h>

#include "../internal.h"
#include "thp_fixture_system.h"
#include "thp_known_bug.h"
#include "thp_leaf.h"
#include "thp_migrate_model.h"

#define NR		HPAGE_PMD_NR
#define SYSTEM		MIGRATE_VMA_SELECT_SYSTEM
#define PRIVATE		MIGRATE_VMA_SELECT_DEVICE_PRIVATE
#define COMPOUND	MIGRATE_VMA_SELECT_COMPOUND

#define RW	(PROT_READ | PROT_WRITE)

#define SMALL	(MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE | MIGRATE_PFN_WRITE)
#define LARGE	(SMALL | MIGRATE_PFN_COMPOUND)

/**
 * struct stay_param - a folio
 * @what: THP_SYSTEM or THP_DEVICE
 * @order: its order
 * @policy: destinations that the driver offers
 */
struct stay_param {
	enum thp_what what;
	unsigned int order;
	enum fake_zdev_policy policy;
};

static void stay_desc(struct kunit *test, const void *param, char *desc)
{
	const struct stay_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_order%u%s",
		 p->what == THP_SYSTEM ? "system" : "device", p->order,
		 p->policy == FAKE_ZDEV_DST_ALL_SMALL ? "_small" : "");
}

/* Those that share a PMD with small pages */
static const struct stay_param middle_params[] = {
	{ THP_SYSTEM, 2 }, { THP_SYSTEM, 3 }, { THP_SYSTEM, 4 }, { THP_SYSTEM, 5 },
	{ THP_SYSTEM, 6 }, { THP_SYSTEM, 7 }, { THP_SYSTEM, 8 },
	{ THP_DEVICE, 2 }, { THP_DEVICE, 3 }, { THP_DEVICE, 4 }, { THP_DEVICE, 5 },
	{ THP_DEVICE, 6 }, { THP_DEVICE, 7 }, { THP_DEVICE, 8 },
};

static int middle_params_init(struct kunit *test)
{
	kunit_register_params_array(test, middle_params, ARRAY_SIZE(middle_params), stay_desc);
	return 0;
}

static const struct stay_param system_params[] = {
	{ THP_SYSTEM, 0 }, { THP_SYSTEM, 2 }, { THP_SYSTEM, 3 }, { THP_SYSTEM, 4 },
	{ THP_SYSTEM, 5 }, { THP_SYSTEM, 6 }, { THP_SYSTEM, 7 }, { THP_SYSTEM, 8 },
	{ THP_SYSTEM, 9 },
};

static int system_params_init(struct kunit *test)
{
	kunit_register_params_array(test, system_params, ARRAY_SIZE(system_params), stay_desc);
	return 0;
}

static const struct stay_param unknown_params[] = {
	{ THP_SYSTEM, 0 }, { THP_SYSTEM, 2 }, { THP_SYSTEM, 3 }, { THP_SYSTEM, 4 },
	{ THP_SYSTEM, 5 }, { THP_SYSTEM, 6 }, { THP_SYSTEM, 7 }, { THP_SYSTEM, 8 },
	{ THP_SYSTEM, 9 }, { THP_SYSTEM, 9, FAKE_ZDEV_DST_ALL_SMALL },
};

static int unknown_params_init(struct kunit *test)
{
	kunit_register_params_array(test, unknown_params, ARRAY_SIZE(unknown_params), stay_desc);
	return 0;
}

/* A small page, and after some holes the folio, naturally aligned */
static struct thp_model *small_page_and_folio(struct thp_fixture *f, enum thp_what small,
					      unsigned int pins)
{
	const struct stay_param *p = f->test->param_value;
	const struct thp_piece pieces[] = {
		{ small, 0, 0 }, { p->what, p->order, 1UL << p->order, false, pins }, {}
	};

	thp_layout_map(f, RW, MAP_ANONYMOUS | MAP_PRIVATE);
	return thp_layout_build(f, pieces);
}

static struct thp_model *folio_alone(struct thp_fixture *f)
{
	const struct stay_param *p = f->test->param_value;
	const struct thp_piece pieces[] = { { p->what, p->order }, {} };

	thp_layout_map(f, RW, MAP_ANONYMOUS | MAP_PRIVATE);
	return thp_layout_build(f, pieces);
}

/*
 * Test that a large folio that can't be split ends the range, and that what has
 * been collected of it before, a page that is mapped and holes, is as it should be.
 */
static void folio_that_is_not_split_ends_the_range(struct kunit *test)
{
	const struct stay_param *p = test->param_value;
	const struct thp_request req = {
		.end = 3UL << p->order,
		.flags = SYSTEM | PRIVATE | COMPOUND,
		.owner = THP_DEVICE,
		.to = THP_DEVICE,
	};
	struct thp_fixture *f = test->priv;
	struct thp_model *model = small_page_and_folio(f, THP_SYSTEM, 1);

	thp_model_run(model, &req, FAKE_ZDEV_PHASE_SETUP);
	thp_layout_unpin(model);
	thp_layout_read_back(model);
}

/*
 * Test that a fault on a small page whose driver migrates a large folio, too, splits
 * that: the lock and the reference of the fault stay with the page that faults,
 * and the parts have those of the migration.
 */
static void folio_in_the_range_of_a_fault_is_split(struct kunit *test)
{
	const struct stay_param *p = test->param_value;
	const unsigned long nr = 1UL << p->order;
	struct thp_fixture *f = test->priv;
	struct thp_model *model = small_page_and_folio(f, THP_DEVICE, 0);
	struct page *page = model->pages[0].page;
	struct folio *folio = page_folio(page);
	struct fake_zdev_migration *m;
	unsigned long i;

	m = fake_zdev_migration_init(test, f->zdev, NULL, f->vma, f->addr,
				     f->addr + 2 * nr * PAGE_SIZE, SYSTEM | PRIVATE | COMPOUND);
	m->args.fault_page = page;
	/* As the fault does */
	folio_lock(folio);
	folio_get(folio);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, 2 * nr);
	KUNIT_EXPECT_EQ(test, m->src[0], SMALL | migrate_pfn(page_to_pfn(page)));
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	for (i = 1; i < nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], MIGRATE_PFN_MIGRATE, "src[%lu]", i);
	for (i = nr; i < 2 * nr; i++) {
		struct page *part = model->pages[i].page;

		KUNIT_EXPECT_EQ_MSG(test, m->src[i], SMALL | migrate_pfn(page_to_pfn(part)),
				    "src[%lu]", i);
		KUNIT_EXPECT_EQ_MSG(test, folio_order(page_folio(part)), 0, "page %lu", i);
		KUNIT_EXPECT_TRUE_MSG(test, folio_test_locked(page_folio(part)), "page %lu", i);
		KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(page_folio(part)), 1, "page %lu", i);
	}
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 1);
	for (i = nr; i < 2 * nr; i++) {
		struct folio *part = page_folio(model->pages[i].page);

		KUNIT_EXPECT_FALSE_MSG(test, folio_test_locked(part), "page %lu", i);
		KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(part), 1, "page %lu", i);
		KUNIT_EXPECT_EQ_MSG(test, folio_mapcount(part), 1, "page %lu", i);
	}
	folio_unlock(folio);
	folio_put(folio);
	thp_layout_read_back(model);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), 0);
}

static void change_type(struct thp_fixture *f, enum memory_type type)
{
	fake_zdev_pgmap(f->zdev, 0)->type = type;
}

/* What migrate_vma_pages() splits for small destinations is split, and no more. */
static void model_nothing_moves(struct thp_model *model, const struct thp_request *req,
				const unsigned long *dst)
{
	unsigned long i;

	thp_model_pages(model, req, dst);
	for (i = 0; i < req->end; i++) {
		model->pages[i].src &= ~MIGRATE_PFN_MIGRATE;
		model->pages[i].dst = NULL;
	}
}

/*
 * Test that a destination in device memory of a kind that migration does not know
 * is not used: src says so, it is given back, and the source is mapped again.
 */
static void unknown_type_of_destination_is_refused(struct kunit *test)
{
	const struct stay_param *p = test->param_value;
	const struct thp_request req = {
		.end = 1UL << p->order,
		.flags = SYSTEM | COMPOUND,
		.owner = THP_DEVICE,
		.to = THP_DEVICE,
		.policy = p->policy,
	};
	struct thp_fixture *f = test->priv;
	struct thp_model *model = folio_alone(f);
	struct fake_zdev_migration *m;
	unsigned long i;

	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + req.end * PAGE_SIZE, req.flags);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	thp_model_setup(model, &req);
	KUNIT_EXPECT_EQ(test, m->args.cpages, model->cpages);
	fake_zdev_migration_copy(m, req.policy);
	change_type(f, MEMORY_DEVICE_GENERIC);
	fake_zdev_migration_pages(m);
	change_type(f, MEMORY_DEVICE_PRIVATE);
	model_nothing_moves(model, &req, m->dst);
	for (i = 0; i < req.end; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], model->pages[i].src, "src[%lu]", i);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), req.end);
	for (i = 0; i < req.end; i++) {
		struct page *dst = migrate_pfn_to_page(m->dst[i]);

		if (dst)
			KUNIT_EXPECT_FALSE_MSG(test, folio_test_anon(page_folio(dst)),
					       "dst[%lu]", i);
	}
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	thp_model_finalize(model, &req);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), 0);
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

static const struct stay_param small_source_params[] = {
	{ THP_SYSTEM, 0 }, { THP_DEVICE, 0 },
};

static int small_source_params_init(struct kunit *test)
{
	kunit_register_params_array(test, small_source_params,
				    ARRAY_SIZE(small_source_params), stay_desc);
	return 0;
}

/*
 * Test that a large destination for a small source that somebody has a reference on
 * is refused, and changes nothing. (Without that reference: known bug LB15.)
 */
static void large_destination_for_pinned_small_source_is_refused(struct kunit *test)
{
	const struct stay_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_model *model;
	struct fake_zdev_migration *m;
	struct folio *folio, *dst;

	thp_fixture_add_peer(f);
	model = folio_alone(f);
	folio = page_folio(model->pages[0].page);
	m = fake_zdev_migration_init(test, p->what == THP_SYSTEM ? NULL : f->zdev, f->peer,
				     f->vma, f->addr, f->addr + PAGE_SIZE,
				     SYSTEM | PRIVATE | COMPOUND);
	dst = fake_zdev_alloc(f->peer, HPAGE_PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, dst);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->src[0], SMALL | migrate_pfn(folio_pfn(folio)));
	m->dst[0] = migrate_pfn(folio_pfn(dst)) | MIGRATE_PFN_COMPOUND;
	folio_get(folio);
	fake_zdev_migration_pages(m);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, m->src[0],
			(SMALL & ~MIGRATE_PFN_MIGRATE) | migrate_pfn(folio_pfn(folio)));
	KUNIT_EXPECT_FALSE(test, folio_test_anon(dst));
	KUNIT_EXPECT_EQ(test, folio_ref_count(dst), 1);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->peer), 0);
	model->pages[0].dirty = p->what == THP_SYSTEM;
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

/* The stack of a process in exec(), which is to be moved by shift_arg_pages() */
static void temporary_stack(struct mm_struct *mm, unsigned long addr, bool on)
{
	struct vm_area_struct *vma;

	mmap_write_lock(mm);
	vma = vma_lookup(mm, addr);
	if (on)
		vm_flags_set(vma, VM_GROWSDOWN | VM_STACK_INCOMPLETE_SETUP);
	else
		vm_flags_clear(vma, VM_GROWSDOWN | VM_STACK_INCOMPLETE_SETUP);
	mmap_write_unlock(mm);
}

/* The pages that @mm has not, read-only, by one entry each or by a PMD, as before */
static unsigned long count_changed(struct mm_struct *mm, const struct thp_model *model,
				   unsigned int order)
{
	unsigned long changed = 0, i;

	for (i = 0; i < 1UL << order; i++) {
		const struct thp_leaf leaf = thp_leaf_at(mm, model->f->addr + i * PAGE_SIZE);

		changed += leaf.kind != THP_KIND_PRESENT || leaf.write ||
			   leaf.by_pmd != (order == HPAGE_PMD_ORDER) ||
			   leaf.page != model->pages[i].page;
	}
	return changed;
}

/*
 * Test that memory that is on the stack of an exec(), too, stays: rmap leaves such a
 * VMA alone, so the folio is still mapped after all. Small folios and PMDs are put
 * back, what is between can't be split.
 */
static void folio_on_a_temporary_stack_stays(struct kunit *test)
{
	const struct stay_param *p = test->param_value;
	const bool by_pmd = p->order == HPAGE_PMD_ORDER, split = p->order && !by_pmd;
	const unsigned long nr = 1UL << p->order, leaves = by_pmd ? 1 : nr;
	struct thp_fixture *f = test->priv;
	struct thp_model *model = folio_alone(f);
	struct folio *folio = page_folio(model->pages[0].page);
	struct mm_struct *child = thp_fixture_fork(f);
	struct fake_zdev_migration *m;

	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + nr * PAGE_SIZE, SYSTEM | COMPOUND);
	temporary_stack(child, f->addr, true);
	thp_expect_none_migrates(f, m);
	temporary_stack(child, f->addr, false);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, folio_order(folio), p->order);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 2 * leaves);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 2 * leaves);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	KUNIT_EXPECT_TRUE(test, folio_test_lru(folio));
	KUNIT_EXPECT_EQ_MSG(test, count_changed(f->mm, model, p->order), 0, "the mm");
	KUNIT_EXPECT_EQ_MSG(test, count_changed(child, model, p->order), 0, "the child");
	thp_fixture_track(f, f->first, 0, f->addr);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "finalize");
	KUNIT_EXPECT_EQ(test, f->before.split_failed[p->order], split);
	KUNIT_EXPECT_EQ(test, f->before.split[p->order], 0);
	thp_layout_read_back(model);
}

/* Test that two isolated folios in a range are both left alone. */
static void isolated_folios_are_left_alone(struct kunit *test)
{
	static const struct thp_piece pieces[] = {
		{ THP_SYSTEM, 0, NR - 2 }, { THP_SYSTEM, 0, NR - 1 }, { THP_SYSTEM, 9, NR }, {}
	};
	static const unsigned long places[] = { NR - 2, NR - 1, NR };
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct thp_model *model;
	unsigned long i;

	thp_layout_map(f, RW, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma,
				     f->addr + (NR - 2) * PAGE_SIZE,
				     f->addr + 2 * NR * PAGE_SIZE, SYSTEM | COMPOUND);
	for (i = 0; i < ARRAY_SIZE(places); i++)
		KUNIT_ASSERT_TRUE(test,
				  folio_isolate_lru(page_folio(model->pages[places[i]].page)));
	thp_expect_none_migrates(f, m);
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		struct folio *folio = page_folio(model->pages[places[i]].page);

		KUNIT_EXPECT_FALSE_MSG(test, folio_test_lru(folio), "page %lu", places[i]);
		folio_putback_lru(folio);
	}
	lru_add_drain();
	for (i = NR - 2; i < 2 * NR; i++)
		model->pages[i].dirty = true;
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

/**
 * struct shmem_param - a folio of shmem, which no device can have
 * @order: its order
 * @first: first page of the range, which ends with the folio
 * @flags: for migrate_vma_setup()
 */
struct shmem_param {
	unsigned int order;
	unsigned long first;
	unsigned long flags;
};

static const struct shmem_param shmem_params[] = {
	{ 2, 0, SYSTEM | COMPOUND }, { 3, 0, SYSTEM | COMPOUND }, { 4, 0, SYSTEM | COMPOUND },
	{ 5, 0, SYSTEM | COMPOUND }, { 6, 0, SYSTEM | COMPOUND }, { 7, 0, SYSTEM | COMPOUND },
	{ 8, 0, SYSTEM | COMPOUND }, { 9, 0, SYSTEM }, { 9, 3, SYSTEM | COMPOUND },
};

static void shmem_desc(struct kunit *test, const void *param, char *desc)
{
	const struct shmem_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u%s%s", p->order, p->first ? "_part" : "",
		 p->flags & COMPOUND ? "" : "_without_compound");
}

static int shmem_params_init(struct kunit *test)
{
	kunit_register_params_array(test, shmem_params, ARRAY_SIZE(shmem_params), shmem_desc);
	return 0;
}

/* Small folios that only the page cache has, and no entries for them */
static void expect_split_shmem(struct thp_fixture *f)
{
	const struct shmem_param *p = f->test->param_value;
	const bool by_pmd = p->order == HPAGE_PMD_ORDER;
	unsigned long wrong = 0, i;

	for (i = 0; i < 1UL << p->order; i++) {
		const struct folio *folio = page_folio(f->first + i);

		wrong += folio_order(folio) || folio_ref_count(folio) != 1 ||
			 folio_mapped(folio) || folio_test_locked(folio) ||
			 folio->index != i || !folio_test_lru(folio) ||
			 thp_leaf_at(f->mm, f->addr + i * PAGE_SIZE).kind != THP_KIND_NONE;
	}
	KUNIT_EXPECT_EQ_MSG(f->test, wrong, 0, "pages that are not as split off");
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "finalize");
	KUNIT_EXPECT_EQ(f->test, f->before.split[p->order], 1);
	KUNIT_EXPECT_EQ(f->test, f->before.ev_split_pmd, by_pmd);
	KUNIT_EXPECT_EQ(f->test, f->before.ev_split_page, by_pmd);
	KUNIT_EXPECT_EQ(f->test, f->before.rss_shmem, 0);
	KUNIT_EXPECT_EQ(f->test, f->before.shmem, 1UL << p->order);
}

/* Shmem of @order from the start of the range on, and the migration of a part of it */
static struct fake_zdev_migration *migration_of_shmem(struct thp_fixture *f, unsigned int order,
						      unsigned long first, unsigned long flags,
						      struct thp_state *want)
{
	struct folio *folio = thp_fixture_touch_shmem(f, order);

	thp_want_shmem(f, want, order, order == HPAGE_PMD_ORDER ? THP_PMD : THP_PTES);
	thp_ledger_expect(f, folio, want, "before");
	return fake_zdev_migration_init(f->test, NULL, f->zdev, f->vma,
					f->addr + first * PAGE_SIZE,
					f->addr + (PAGE_SIZE << order), flags);
}

/*
 * Test that a large folio of shmem in the way is split, that no page table has it any
 * more, as always when memory of a file is split, and that none of it is collected.
 */
static void large_folio_of_shmem_is_split_and_not_collected(struct kunit *test)
{
	const struct shmem_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct thp_state want;

	m = migration_of_shmem(f, p->order, p->first, p->flags, &want);
	thp_expect_none_migrates(f, m);
	lru_add_drain();
	expect_split_shmem(f);
	thp_fixture_read_back(f, p->order, "finalize");
}

/*
 * Test that a THP of shmem is collected as small pages of it are, refused as those are
 * because a device only takes anonymous memory, and mapped again by its PMD.
 *
 * LB7: it has a reference of the page cache for each page, and is taken for pinned.
 */
static void thp_of_shmem_is_mapped_again(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct thp_state want;
	unsigned long i, src;

	m = migration_of_shmem(f, HPAGE_PMD_ORDER, 0, SYSTEM | COMPOUND, &want);
	src = LARGE | migrate_pfn(page_to_pfn(f->first));
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, NR);
	thp_known_bug(test, "LB7", m->args.cpages, 1, 0, "number of entries to migrate");
	thp_known_bug(test, "LB7", m->src[0], src, 0, "src[0]");
	for (i = 1; i < NR; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], 0, "src[%lu]", i);
	fake_zdev_migration_copy(m, FAKE_ZDEV_DST_AS_SOURCE);
	fake_zdev_migration_pages(m);
	KUNIT_EXPECT_EQ(test, m->src[0] & MIGRATE_PFN_MIGRATE, 0);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	thp_ledger_expect(f, page_folio(f->first), &want, "finalize");
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "finalize");
}

static struct kunit_case device_private_thp_migrate_stay_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(folio_that_is_not_split_ends_the_range,
				   kunit_array_gen_params, middle_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(folio_in_the_range_of_a_fault_is_split,
				   kunit_array_gen_params, middle_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(unknown_type_of_destination_is_refused,
				   kunit_array_gen_params, unknown_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(large_destination_for_pinned_small_source_is_refused,
				   kunit_array_gen_params, small_source_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(folio_on_a_temporary_stack_stays, kunit_array_gen_params,
				   system_params_init, NULL),
	KUNIT_CASE(isolated_folios_are_left_alone),
	KUNIT_CASE_PARAM_WITH_INIT(large_folio_of_shmem_is_split_and_not_collected,
				   kunit_array_gen_params, shmem_params_init, NULL),
	KUNIT_CASE(thp_of_shmem_is_mapped_again),
	{}
};

static struct kunit_suite device_private_thp_migrate_stay_suite = {
	.name = "device_private_thp_migrate_stay",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_stay_cases,
};

kunit_test_suite(device_private_thp_migrate_stay_suite);

MODULE_DESCRIPTION("KUnit tests: sources that stay through migrate_vma");
MODULE_LICENSE("GPL");
