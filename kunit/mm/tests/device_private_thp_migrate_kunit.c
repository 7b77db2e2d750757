// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of every order through migrate_vma_setup(), migrate_vma_pages() and
 * migrate_vma_finalize(), to the device and back: the exact state after each.
 *
 * migrate_vma_*() moves PMDs as a whole, and everything else page by page: mTHPs
 * are split on the way in, so what arrives is either of HPAGE_PMD_ORDER or of
 * order 0.
 */
#include <kunit/test.h>
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mm.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_fixture.h"

#define SMALL	(MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE | MIGRATE_PFN_WRITE)
#define LARGE	(SMALL | MIGRATE_PFN_COMPOUND)

/**
 * struct migrate_param - one migration of 1 << @order pages
 * @order: order of the source folio
 * @policy: destinations that the driver offers
 * @name: description
 * @src_setup: flags in src[0] after migrate_vma_setup()
 * @rest_setup: flags in each further entry; 0: the entry is 0
 * @cpages: migrate_vma.cpages after migrate_vma_setup(): folios, not pages
 * @src_pages: flags in src[0] after migrate_vma_pages()
 * @rest_pages: flags in each further entry; 0: the entry is 0
 * @order_setup: order of the source folios after migrate_vma_setup()
 * @order_pages: order of the folios that arrive, and of their sources, too
 * @leaf_setup: what stands for the source after migrate_vma_setup()
 * @leaf_pages: what stands for it after migrate_vma_pages()
 * @leaf_final: what maps the folios that arrive
 * @splits: MTHP_STAT_SPLIT of @order
 * @split_pages: THP_SPLIT_PAGE events
 * @split_pmds: THP_SPLIT_PMD events
 * @system: what counts only if the source is system memory
 * @system.split_deferred: MTHP_STAT_SPLIT_DEFERRED of @order: try_to_migrate()
 *	unmaps an mTHP page by page, which deferred_split_folio() takes for a
 *	partial unmap until the last page is gone
 * @system.deferred: a PMD-mapped source waits for deferred_split_scan() since
 *	it was faulted in
 * @system.fault_allocs: THP_FAULT_ALLOC events
 */
struct migrate_param {
	unsigned int order;
	enum fake_zdev_policy policy;
	const char *name;
	unsigned long src_setup, rest_setup, cpages, src_pages, rest_pages;
	unsigned int order_setup, order_pages;
	enum thp_where leaf_setup, leaf_pages, leaf_final;
	unsigned int splits, split_pages, split_pmds;
	struct {
		unsigned int split_deferred, deferred, fault_allocs;
	} system;
};

/* A source that is not mapped by a PMD: split into small folios by setup */
#define MTHP(_order, _cpages, _splits, _deferred)					\
	{ _order, FAKE_ZDEV_DST_AS_SOURCE, "order" #_order,				\
	  SMALL, SMALL, _cpages, SMALL, SMALL, 0, 0,				\
	  THP_MIGRATION_PTES, THP_MIGRATION_PTES, THP_PTES, _splits, 0, 0, { _deferred, 0, 0 } }

static const struct migrate_param to_device_params[] = {
	MTHP(0, 1, 0, 0),
	MTHP(2, 4, 1, 1),
	MTHP(3, 8, 1, 1),
	MTHP(4, 16, 1, 1),
	MTHP(5, 32, 1, 1),
	MTHP(6, 64, 1, 1),
	MTHP(7, 128, 1, 1),
	MTHP(8, 256, 1, 1),
	{ 9, FAKE_ZDEV_DST_AS_SOURCE, "order9",
	  LARGE, 0, 1, LARGE, 0, 9, 9,
	  THP_MIGRATION_PMD, THP_MIGRATION_PMD, THP_PMD, 0, 0, 0, { 0, 1, 1 } },
	/* Split by migrate_vma_pages(), with folio_split_unmapped(): not counted */
	{ 9, FAKE_ZDEV_DST_ALL_SMALL, "order9_to_small",
	  LARGE, 0, 1, SMALL, SMALL, 9, 0,
	  THP_MIGRATION_PMD, THP_MIGRATION_PTES, THP_PTES, 0, 0, 1, { 0, 1, 1 } },
};

static void migrate_desc(struct kunit *test, const void *param, char *desc)
{
	const struct migrate_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int to_device_params_init(struct kunit *test)
{
	kunit_register_params_array(test, to_device_params, ARRAY_SIZE(to_device_params),
				    migrate_desc);
	return 0;
}

static int to_ram_params_init(struct kunit *test)
{
	return to_device_params_init(test);
}

/* Check src[]: the pfns of pages side by side, with the flags of the row */
static void expect_src(struct kunit *test, const struct fake_zdev_migration *m,
		       unsigned long pfn, unsigned long flags, unsigned long rest,
		       const char *step)
{
	unsigned long i;

	KUNIT_EXPECT_EQ_MSG(test, m->src[0], migrate_pfn(pfn) | flags, "%s: src[0]", step);
	for (i = 1; i < m->nr_entries; i++) {
		unsigned long expected = rest ? migrate_pfn(pfn + i) | rest : 0;

		KUNIT_EXPECT_EQ_MSG(test, m->src[i], expected, "%s: src[%lu]", step, i);
	}
}

/* What a folio, or a row of small ones, is to look like on the way @to_device */
static void want_folios(const struct thp_fixture *f, struct thp_state *want,
			unsigned int order, unsigned int whole, enum thp_where where,
			bool to_device)
{
	const struct migrate_param *p = f->test->param_value;

	thp_want(f, want, order, where);
	if (order != whole)
		thp_want_row(want, 1UL << whole);
	want->split[p->order] = p->splits;
	want->ev_split_page = p->split_pages;
	if (!to_device)
		return;
	want->split_deferred[p->order] = p->system.split_deferred;
	want->ev_fault_alloc = p->system.fault_allocs;
}

/*
 * Sources after setup: locked, isolated, in no page table but as migration
 * entries that have the bits of the PTEs and PMDs that they replace.
 */
static void expect_sources(struct kunit *test, struct page *first, bool device)
{
	const struct migrate_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	thp_fixture_track(f, first, p->order, f->addr);
	want_folios(f, &want, p->order_setup, p->order, p->leaf_setup, !device);
	if (!device) {
		thp_want_system(&want);
		want.deferred = p->system.deferred;
		want.leaf_young = want.leaves;
		want.leaf_dirty = want.leaves;
	}
	thp_ledger_expect_each(f, first, 1U << (p->order - p->order_setup), &want, "setup");
}

/*
 * Destinations after migrate_vma_pages(): anonymous, of the place of their
 * source, charged in its stead, and not yet known to any page table: the
 * migration entries are those of the sources, which are all still there.
 */
static void expect_destinations(struct kunit *test, struct page *first, bool device)
{
	const struct migrate_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want, leaves;

	thp_fixture_track(f, first, p->order, f->addr);
	want_folios(f, &want, p->order_pages, p->order, THP_UNMAPPED, device);
	want_folios(f, &leaves, p->order_pages, p->order, p->leaf_pages, device);
	want.pmd = leaves.pmd;
	want.leaf = leaves.leaf;
	want.leaves = leaves.leaves;
	want.leaf_write = leaves.leaf_write;
	want.pmd_leaves = leaves.pmd_leaves;
	want.deposits = leaves.deposits;
	want.rss = leaves.rss;
	want.nr_anon[p->order_pages] *= 2;
	want.ev_split_pmd = p->split_pmds;
	if (device) {
		want.leaf_young = want.leaves;
		want.leaf_dirty = want.leaves;
	} else {
		thp_want_system(&want);
		want.pgmap_refs = 1UL << p->order;
		want.dev_free = -(1L << p->order);
	}
	thp_ledger_expect_each(f, first, 1U << (p->order - p->order_pages), &want, "pages");
}

/* Destinations after finalize: mapped; nothing is left of the sources. */
static void expect_arrived(struct kunit *test, struct page *first, bool device)
{
	const struct migrate_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	thp_fixture_track(f, first, p->order, f->addr);
	want_folios(f, &want, p->order_pages, p->order, p->leaf_final, device);
	want.ev_split_pmd = p->split_pmds;
	if (!device) {
		thp_want_system(&want);
		want.flags |= BIT(PG_lru);
	}
	thp_ledger_expect_each(f, first, 1U << (p->order - p->order_pages), &want, "finalize");
}

/*
 * All three phases with the mmap lock held, as a driver has to. There must be no
 * assertion in here: the thread would end with the lock held.
 */
static void migrate_and_check(struct kunit *test, struct fake_zdev_migration *m,
			      struct page *first)
{
	const struct migrate_param *p = test->param_value;
	const bool to_device = m->to;
	struct page *dst;

	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, 1UL << p->order);
	KUNIT_EXPECT_EQ(test, m->args.cpages, p->cpages);
	expect_src(test, m, page_to_pfn(first), p->src_setup, p->rest_setup, "setup");
	expect_sources(test, first, !to_device);

	fake_zdev_migration_copy(m, p->policy);
	dst = migrate_pfn_to_page(m->dst[0]);
	KUNIT_EXPECT_NOT_NULL(test, dst);

	fake_zdev_migration_pages(m);
	expect_src(test, m, page_to_pfn(first), p->src_pages, p->rest_pages, "pages");
	/* Small pages of system memory need not be side by side. */
	if (dst && (to_device || p->order_pages == p->order))
		expect_destinations(test, dst, to_device);

	fake_zdev_migration_finalize(m);
	lru_add_drain();
	if (dst && (to_device || p->order_pages == p->order))
		expect_arrived(test, dst, to_device);
}

/*
 * Test that anonymous memory of any order goes to the device, with every field
 * of source and destination as it must be after each phase; and that a process
 * that reads it gets all of it back.
 */
static void to_device_each_phase_is_exact(struct kunit *test)
{
	const struct migrate_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_touch(f, p->order);
	struct page *first = &folio->page;
	struct fake_zdev_migration *m;

	/* Written to: PTEs or PMD are dirty, which setup moves to the folio. */
	f->flags = BIT(PG_dirty);
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + (PAGE_SIZE << p->order),
				     MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND);
	mmap_read_lock(f->mm);
	migrate_and_check(test, m, first);
	mmap_read_unlock(f->mm);

	thp_fixture_read_back(f, p->order, "read from the device");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

/*
 * Test that device-private folios of any order, those that migrate_vma_*() does
 * not make among them, come back to system memory in the same way.
 */
static void to_ram_each_phase_is_exact(struct kunit *test)
{
	const struct migrate_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct page *first = &folio->page;
	struct fake_zdev_migration *m;

	thp_fixture_insert(f, folio);
	m = fake_zdev_migration_init(test, f->zdev, NULL, f->vma, f->addr,
				     f->addr + (PAGE_SIZE << p->order),
				     MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
				     MIGRATE_VMA_SELECT_COMPOUND);
	mmap_read_lock(f->mm);
	migrate_and_check(test, m, first);
	mmap_read_unlock(f->mm);

	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_fixture_read_back(f, p->order, "read from system memory");
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
}

/**
 * struct hole_param - memory that nobody has touched
 * @order: of the range
 * @policy: destinations that the driver offers
 * @name: description
 * @src_setup: src[0] after migrate_vma_setup()
 * @cpages: migrate_vma.cpages after migrate_vma_setup()
 * @order_final: order of the folios that are put there
 * @where: what maps them
 * @fault_allocs: THP_FAULT_ALLOC events
 */
struct hole_param {
	unsigned int order;
	enum fake_zdev_policy policy;
	const char *name;
	unsigned long src_setup, cpages;
	unsigned int order_final;
	enum thp_where where;
	unsigned int fault_allocs;
};

static const struct hole_param hole_params[] = {
	{ 0, FAKE_ZDEV_DST_AS_SOURCE, "order0", MIGRATE_PFN_MIGRATE, 1, 0, THP_PTES, 0 },
	{ 9, FAKE_ZDEV_DST_AS_SOURCE, "order9",
	  MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND, 1, 9, THP_PMD, 1 },
	{ 9, FAKE_ZDEV_DST_ALL_SMALL, "order9_to_small",
	  MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND, 1, 0, THP_PTES, 0 },
};

static void hole_desc(struct kunit *test, const void *param, char *desc)
{
	const struct hole_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int hole_params_init(struct kunit *test)
{
	kunit_register_params_array(test, hole_params, ARRAY_SIZE(hole_params), hole_desc);
	return 0;
}

/* Before finalize, the caller holds the lock and a reference besides the mapping's. */
static void expect_hole_filled(struct kunit *test, struct page *first, bool final)
{
	const struct hole_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	thp_fixture_track(f, first, p->order, f->addr);
#ifdef CONFIG_MEMCG
	f->memcg = page_folio(first)->memcg_data;
	if (!mem_cgroup_disabled())
		KUNIT_EXPECT_NE(test, f->memcg, 0);
#endif
	thp_want(f, &want, p->order_final, p->where);
	if (p->order != p->order_final)
		thp_want_row(&want, 1UL << p->order);
	want.data = 0;
	want.ev_fault_alloc = p->fault_allocs;
	if (!final) {
		want.refcount++;
		want.flags |= BIT(PG_locked);
	}
	thp_ledger_expect_each(f, first, 1U << (p->order - p->order_final), &want,
			       final ? "finalize" : "pages");
}

/* Test that migrating a hole puts new, exclusive folios there at once. */
static void hole_each_phase_is_exact(struct kunit *test)
{
	const struct hole_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct page *dst;

	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + (PAGE_SIZE << p->order),
				     MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, p->cpages);
	KUNIT_EXPECT_EQ(test, m->src[0], p->src_setup);
	KUNIT_EXPECT_EQ(test, m->src[m->nr_entries - 1], p->order ? 0 : p->src_setup);

	fake_zdev_migration_copy(m, p->policy);
	dst = migrate_pfn_to_page(m->dst[0]);
	KUNIT_EXPECT_NOT_NULL(test, dst);
	fake_zdev_migration_pages(m);
	if (dst)
		expect_hole_filled(test, dst, false);
	fake_zdev_migration_finalize(m);
	if (dst)
		expect_hole_filled(test, dst, true);
	mmap_read_unlock(f->mm);
}

static struct kunit_case device_private_thp_migrate_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(to_device_each_phase_is_exact, kunit_array_gen_params,
				   to_device_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(to_ram_each_phase_is_exact, kunit_array_gen_params,
				   to_ram_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(hole_each_phase_is_exact, kunit_array_gen_params,
				   hole_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_suite = {
	.name = "device_private_thp_migrate",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_cases,
};

kunit_test_suite(device_private_thp_migrate_suite);

MODULE_DESCRIPTION("KUnit tests: device-private THPs through migrate_vma");
MODULE_LICENSE("GPL");
