// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sources of a special kind: locked, isolated or pinned by somebody else, read-only
 * or shared once, mlocked, active; and a source whose PMD migration entry is split
 * by somebody else between the phases.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "thp_known_bug.h"
#include "thp_migrate_model.h"

#define NR		HPAGE_PMD_NR
#define SYSTEM		MIGRATE_VMA_SELECT_SYSTEM
#define PRIVATE		MIGRATE_VMA_SELECT_DEVICE_PRIVATE
#define COMPOUND	MIGRATE_VMA_SELECT_COMPOUND

/* From system memory to the device, or from the device to system memory */
static struct thp_request whole_folio(enum thp_what what, unsigned int order,
				      enum fake_zdev_policy policy)
{
	return (struct thp_request) {
		.end = 1UL << order,
		.flags = SYSTEM | PRIVATE | COMPOUND,
		.owner = THP_DEVICE,
		.to = what == THP_SYSTEM ? THP_DEVICE : THP_SYSTEM,
		.policy = policy,
	};
}

static struct thp_model *window_with(struct thp_fixture *f, enum thp_what what,
				     unsigned int order)
{
	const struct thp_piece pieces[] = { { what, order }, {} };

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	return thp_layout_build(f, pieces);
}

/**
 * struct special_param - a folio
 * @what: THP_SYSTEM or THP_DEVICE
 * @order: its order
 * @unmapped: whether it is unmapped before it is found to be isolated
 * @split: number of splits tried before
 */
struct special_param {
	enum thp_what what;
	unsigned int order;
	bool unmapped;
	unsigned int split;
};

static void special_desc(struct kunit *test, const void *param, char *desc)
{
	const struct special_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_order%u",
		 p->what == THP_SYSTEM ? "system" : "device", p->order);
}

/* Without those that migrate_vma_split_folio() waits for: large, not of a PMD */
static const struct special_param busy_params[] = {
	{ THP_SYSTEM, 0 }, { THP_SYSTEM, 9 }, { THP_DEVICE, 0 }, { THP_DEVICE, 9 },
};

static int busy_params_init(struct kunit *test)
{
	kunit_register_params_array(test, busy_params, ARRAY_SIZE(busy_params), special_desc);
	return 0;
}

/*
 * Test that a folio that somebody else has locked is left alone, without waiting,
 * which would be a deadlock of two migrations.
 */
static void locked_source_is_skipped(struct kunit *test)
{
	const struct special_param *p = test->param_value;
	const struct thp_request req = whole_folio(p->what, p->order, FAKE_ZDEV_DST_NONE);
	struct thp_fixture *f = test->priv;
	struct thp_model *model = window_with(f, p->what, p->order);
	struct folio *folio = page_folio(model->pages[0].page);
	struct fake_zdev_migration *m;

	m = fake_zdev_migration_init(test, f->zdev, NULL, f->vma, f->addr,
				     f->addr + req.end * PAGE_SIZE, req.flags);
	folio_lock(folio);
	thp_expect_none_migrates(f, m);
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	folio_unlock(folio);
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

/* System memory only: there is no pinning of device-private pages */
static const struct special_param pinned_params[] = {
	{ THP_SYSTEM, 0 }, { THP_SYSTEM, 2 }, { THP_SYSTEM, 4 }, { THP_SYSTEM, 9 },
};

static int pinned_params_init(struct kunit *test)
{
	kunit_register_params_array(test, pinned_params, ARRAY_SIZE(pinned_params),
				    special_desc);
	return 0;
}

/* Between order 0 and that of a PMD folios are split first, which nobody may hold. */
static const struct special_param isolated_params[] = {
	{ THP_SYSTEM, 0, true, 0 }, { THP_SYSTEM, 2, false, 1 },
	{ THP_SYSTEM, 4, false, 1 }, { THP_SYSTEM, 9, true, 0 },
};

static int isolated_params_init(struct kunit *test)
{
	kunit_register_params_array(test, isolated_params, ARRAY_SIZE(isolated_params),
				    special_desc);
	return 0;
}

/*
 * Test that a folio that somebody else has taken off the LRU, to reclaim it or to
 * migrate it, is left to him, wherever the batches are drained to.
 */
static void isolated_source_is_left_alone(struct kunit *test)
{
	const struct special_param *p = test->param_value;
	const struct thp_request req = whole_folio(p->what, p->order, FAKE_ZDEV_DST_NONE);
	struct thp_fixture *f = test->priv;
	struct thp_model *model = window_with(f, p->what, p->order);
	struct folio *folio = page_folio(model->pages[0].page);
	struct fake_zdev_migration *m;
	unsigned long i;

	m = fake_zdev_migration_init(test, f->zdev, NULL, f->vma, f->addr,
				     f->addr + req.end * PAGE_SIZE, req.flags);
	KUNIT_ASSERT_TRUE(test, folio_isolate_lru(folio));
	thp_expect_none_migrates(f, m);
	/* Unmapping has made PG_dirty of the bit in its entry. */
	for (i = 0; i < req.end; i++)
		model->pages[i].dirty = p->unmapped;
	model->events.split_failed[p->order] += p->split;
	KUNIT_EXPECT_FALSE(test, folio_test_lru(folio));
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	folio_putback_lru(folio);
	lru_add_drain();
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

/*
 * Test that an exclusive page that is pinned for DMA (FOLL_PIN) is not even unmapped:
 * the pin must go on to mean the page of this mm. A large folio is split instead,
 * which fails.
 */
static void dma_pinned_source_stays_mapped(struct kunit *test)
{
	const struct special_param *p = test->param_value;
	const struct thp_request req = whole_folio(p->what, p->order, FAKE_ZDEV_DST_NONE);
	struct thp_fixture *f = test->priv;
	struct thp_model *model = window_with(f, p->what, p->order);
	struct fake_zdev_migration *m;
	struct page *page;
	unsigned long i;

	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + req.end * PAGE_SIZE, req.flags);
	KUNIT_ASSERT_EQ(test, pin_user_pages_fast(f->addr, 1, FOLL_WRITE, &page), 1);
	KUNIT_EXPECT_PTR_EQ(test, page, model->pages[0].page);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, 0);
	for (i = 0; i < req.end; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], 0, "src[%lu]", i);
	KUNIT_EXPECT_TRUE(test, PageAnonExclusive(page));
	KUNIT_EXPECT_TRUE(test, folio_mapped(page_folio(page)));
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	unpin_user_page(page);
	/* PG_referenced comes from pinning a PTE, not from the migration. */
	folio_clear_referenced(page_folio(page));
	if (p->order) {
		model->events.split_failed[p->order] = 1;
		model->events.ev_split_failed = p->order == HPAGE_PMD_ORDER;
	}
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

/**
 * struct perm_param - a mapping without some of its bits
 * @what: THP_SYSTEM: by fork(), and the end of the child; THP_DEVICE: inserted so
 * @order: order of the folio
 * @exclusive: its pages are AnonExclusive all the same
 * @policy: destinations
 */
struct perm_param {
	enum thp_what what;
	unsigned int order;
	bool exclusive;
	enum fake_zdev_policy policy;
};

static const struct perm_param perm_params[] = {
	{ THP_SYSTEM, 0, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 0, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 0, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 2, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 2, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 2, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 3, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 3, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 3, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 4, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 4, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 4, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 5, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 5, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 5, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 6, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 6, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 6, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 7, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 7, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 7, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 8, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 8, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 8, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 9, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 9, false, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_DEVICE, 9, true, FAKE_ZDEV_DST_AS_SOURCE },
	{ THP_SYSTEM, 9, false, FAKE_ZDEV_DST_ALL_SMALL },
	{ THP_DEVICE, 9, false, FAKE_ZDEV_DST_ALL_SMALL },
	{ THP_DEVICE, 9, true, FAKE_ZDEV_DST_ALL_SMALL },
	{ THP_SYSTEM, 9, false, FAKE_ZDEV_DST_NONE },
	{ THP_DEVICE, 9, true, FAKE_ZDEV_DST_NONE },
};

static void perm_desc(struct kunit *test, const void *param, char *desc)
{
	const struct perm_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_order%u_%s%s",
		 p->what == THP_SYSTEM ? "system" : "device", p->order,
		 p->exclusive ? "exclusive" : "shared_once",
		 p->policy == FAKE_ZDEV_DST_NONE ? "_no_destination" :
		 p->policy == FAKE_ZDEV_DST_ALL_SMALL ? "_small" : "");
}

static int perm_params_init(struct kunit *test)
{
	kunit_register_params_array(test, perm_params, ARRAY_SIZE(perm_params), perm_desc);
	return 0;
}

/*
 * Test that a page that is mapped read-only has no MIGRATE_PFN_WRITE, and is mapped
 * read-only afterwards, exclusive or not as it was.
 */
static void read_only_source_stays_read_only(struct kunit *test)
{
	const struct perm_param *p = test->param_value;
	const struct thp_request req = whole_folio(p->what, p->order, p->policy);
	struct thp_fixture *f = test->priv;
	struct thp_model *model;

	f->write = false;
	f->exclusive = p->exclusive;
	model = window_with(f, p->what, p->order);
	if (p->what == THP_SYSTEM)
		thp_fixture_end_child(f, thp_fixture_fork(f));
	model->is_writable = false;
	thp_model_run(model, &req, FAKE_ZDEV_PHASE_FINAL);
	thp_layout_read_back(model);
}

static s64 nr_mlock(void)
{
	struct zone *zone;
	s64 sum = 0;

	for_each_zone(zone)
		sum += zone_page_state_snapshot(zone, NR_MLOCK);
	return sum;
}

static const struct special_param mlocked_params[] = {
	{ THP_SYSTEM, 0 }, { THP_SYSTEM, 4 }, { THP_SYSTEM, 9 },
};

static int mlocked_params_init(struct kunit *test)
{
	kunit_register_params_array(test, mlocked_params, ARRAY_SIZE(mlocked_params),
				    special_desc);
	return 0;
}

/*
 * Test that memory of a VM_LOCKED VMA goes to the device and back, that it counts as
 * mlocked wherever it is mapped, and no longer than that.
 */
static void mlocked_memory_counts_where_it_is_mapped(struct kunit *test)
{
	const struct special_param *p = test->param_value;
	const unsigned long nr = 1UL << p->order;
	struct thp_fixture *f = test->priv;
	const struct thp_piece pieces[] = { { p->what, p->order }, {} };
	const s64 before = nr_mlock();
	struct thp_model *model;
	struct folio *folio;
	unsigned long i;
	long moved;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	mmap_write_lock(f->mm);
	vm_flags_set(f->vma, VM_LOCKED);
	f->mm->locked_vm += vma_pages(f->vma);
	mmap_write_unlock(f->mm);
	model = thp_layout_build(f, pieces);
	KUNIT_EXPECT_EQ(test, nr_mlock() - before, nr);
	moved = fake_zdev_migrate_to_device(f->zdev, f->mm, f->addr, f->addr + nr * PAGE_SIZE,
					    FAKE_ZDEV_DST_AS_SOURCE);
	KUNIT_EXPECT_EQ(test, moved, nr);
	lru_add_drain();
	for (i = 0; i < nr; i += folio_nr_pages(folio)) {
		folio = thp_fixture_folio_at(f, f->addr + i * PAGE_SIZE);
		if (!folio)
			break;
		KUNIT_EXPECT_TRUE_MSG(test, folio_test_mlocked(folio), "page %lu", i);
		KUNIT_EXPECT_FALSE_MSG(test, folio_test_lru(folio), "page %lu", i);
		KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(folio), folio_mapcount(folio),
				    "page %lu", i);
	}
	KUNIT_EXPECT_EQ(test, i, nr);
	KUNIT_EXPECT_EQ(test, nr_mlock() - before, nr);
	thp_layout_read_back(model);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, nr_mlock() - before, nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	KUNIT_EXPECT_EQ(test, vm_munmap(f->start, f->end - f->start), 0);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, nr_mlock() - before, 0);
}

/**
 * struct flag_param - a flag of the source
 * @name: for the description
 * @flag: the flag
 * @stays: whether the source still has it after migrate_vma_pages()
 */
struct flag_param {
	const char *name;
	enum pageflags flag;
	bool stays;
};

static const struct flag_param flag_params[] = {
	{ "referenced", PG_referenced, true },
	{ "uptodate", PG_uptodate, true },
	{ "dirty", PG_dirty, true },
	{ "active", PG_active, false },
	{ "unevictable", PG_unevictable, false },
	{ "workingset", PG_workingset, true },
};

static void flag_desc(struct kunit *test, const void *param, char *desc)
{
	const struct flag_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int flag_params_init(struct kunit *test)
{
	kunit_register_params_array(test, flag_params, ARRAY_SIZE(flag_params), flag_desc);
	return 0;
}

static bool has_flag(const struct folio *folio, enum pageflags flag)
{
	return folio->flags.f & BIT(flag);
}

/* Test that each flag goes along, in either direction, and is copied or moved. */
static void flag_of_source_goes_along(struct kunit *test)
{
	static const unsigned int orders[] = { 0, 9 };
	static const enum thp_what whats[] = { THP_SYSTEM, THP_DEVICE };
	const struct flag_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		const struct thp_request req = whole_folio(whats[i / 2], orders[i % 2],
							   FAKE_ZDEV_DST_AS_SOURCE);
		struct thp_model *model = window_with(f, whats[i / 2], orders[i % 2]);
		struct folio *folio = page_folio(model->pages[0].page), *dst;
		struct fake_zdev_migration *m;

		m = fake_zdev_migration_init(test, req.to == THP_SYSTEM ? f->zdev : NULL,
					     req.to == THP_SYSTEM ? NULL : f->zdev, f->vma,
					     f->addr, f->addr + req.end * PAGE_SIZE, req.flags);
		mmap_read_lock(f->mm);
		KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
		fake_zdev_migration_copy(m, req.policy);
		folio->flags.f |= BIT(p->flag);
		fake_zdev_migration_pages(m);
		dst = page_folio(migrate_pfn_to_page(m->dst[0]));
		KUNIT_EXPECT_TRUE_MSG(test, has_flag(dst, p->flag), "trip %u", i);
		KUNIT_EXPECT_EQ_MSG(test, has_flag(folio, p->flag), p->stays, "trip %u", i);
		/* Not what a folio may have when it goes to the LRU, or is freed */
		dst->flags.f &= ~(BIT(PG_unevictable) | BIT(PG_active));
		fake_zdev_migration_finalize(m);
		mmap_read_unlock(f->mm);
		thp_layout_read_back(model);
	}
}

static const struct special_param split_params[] = {
	{ THP_SYSTEM, 9 }, { THP_DEVICE, 9 },
};

static int split_params_init(struct kunit *test)
{
	kunit_register_params_array(test, split_params, ARRAY_SIZE(split_params), special_desc);
	return 0;
}

/*
 * Test that a PMD migration entry that somebody else has split between the phases,
 * as MADV_DONTNEED of a part does with the mmap lock for reading, costs the folio
 * no reference when small destinations need that split, too.
 *
 * LB5: migrate_vma_split_unmapped_folio() takes a reference for
 * split_huge_pmd_address() to drop, which it only does if there is a PMD entry.
 */
static void migration_entry_split_by_others_leaks_no_reference(struct kunit *test)
{
	const struct special_param *p = test->param_value;
	const struct thp_request req = whole_folio(p->what, p->order, FAKE_ZDEV_DST_ALL_SMALL);
	struct thp_fixture *f = test->priv;
	struct thp_model *model = window_with(f, p->what, p->order);
	struct folio *folio = page_folio(model->pages[0].page);
	struct fake_zdev_migration *m;
	bool migrates;

	m = fake_zdev_migration_init(test, req.to == THP_SYSTEM ? f->zdev : NULL,
				     req.to == THP_SYSTEM ? NULL : f->zdev, f->vma,
				     f->addr, f->addr + req.end * PAGE_SIZE, req.flags);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	fake_zdev_migration_copy(m, req.policy);
	split_huge_pmd_address(f->vma, f->addr, false);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	fake_zdev_migration_pages(m);
	/* With the lock of the migration: 1, whether the folio was split or not */
	thp_known_bug(test, "LB5", folio_ref_count(folio), 1, 2, "refcount after pages");
	migrates = m->src[0] & MIGRATE_PFN_MIGRATE;
	if (!migrates && folio_ref_count(folio) == 2)
		folio_put(folio);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	thp_known_bug(test, "LB5", migrates, 1, 0, "the folio was split and has migrated");
	if (!migrates) {
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), NR);
		KUNIT_EXPECT_EQ(test, folio_mapcount(folio), NR);
	}
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "finalize");
	thp_layout_read_back(model);
}

static struct kunit_case device_private_thp_migrate_special_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(locked_source_is_skipped, kunit_array_gen_params,
				   busy_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(isolated_source_is_left_alone, kunit_array_gen_params,
				   isolated_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(dma_pinned_source_stays_mapped, kunit_array_gen_params,
				   pinned_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(read_only_source_stays_read_only, kunit_array_gen_params,
				   perm_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mlocked_memory_counts_where_it_is_mapped,
				   kunit_array_gen_params, mlocked_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(flag_of_source_goes_along, kunit_array_gen_params,
				   flag_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(migration_entry_split_by_others_leaks_no_reference,
				   kunit_array_gen_params, split_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_special_suite = {
	.name = "device_private_thp_migrate_special",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_special_cases,
};

kunit_test_suite(device_private_thp_migrate_special_suite);

MODULE_DESCRIPTION("KUnit tests: special sources through migrate_vma");
MODULE_LICENSE("GPL");
