// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holes on whose way to be filled something fails late: there is no memory for the
 * anon_vma or for the page table, another migration was faster, or the driver asks
 * for what cannot be. And holes in VMAs that are not writable.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/swap.h>

#include "../internal.h"
#include "thp_fail_alloc.h"
#include "thp_leaf.h"
#include "thp_migrate_model.h"

#define NR		HPAGE_PMD_NR
#define SYSTEM		MIGRATE_VMA_SELECT_SYSTEM
#define PRIVATE		MIGRATE_VMA_SELECT_DEVICE_PRIVATE
#define COMPOUND	MIGRATE_VMA_SELECT_COMPOUND

#define RW	(PROT_READ | PROT_WRITE)
#define HOLE	MIGRATE_PFN_MIGRATE
#define THP	(MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND)

static const struct thp_piece nothing[] = { {} };

/* Whatever the model is not asked for: counters and page tables tell the same story. */
static void check_invariants(struct thp_fixture *f, const char *step)
{
	thp_fixture_track(f, fake_zdev_page(f->zdev, 0), 0, f->addr);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, step);
}

/* Nothing but the first entry of src is ever set in these tests. */
static void expect_src(struct kunit *test, const struct fake_zdev_migration *m,
		       unsigned long first, unsigned long rest, const char *step)
{
	unsigned long i;

	KUNIT_EXPECT_EQ_MSG(test, m->src[0], first, "%s: src[0]", step);
	for (i = 1; i < m->nr_entries; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], rest, "%s: src[%lu]", step, i);
}

/**
 * struct memory_param - a hole in a VMA that has no anon_vma yet
 * @order: of the hole, and of the folio
 * @table_first: a page table is needed before the anon_vma, not after it
 */
struct memory_param {
	unsigned int order;
	bool table_first;
};

/* A small page needs its table at once; a THP has one deposited in the end. */
static const struct memory_param memory_params[] = { { 0, true }, { 9, false } };

static void memory_desc(struct kunit *test, const void *param, char *desc)
{
	const struct memory_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u", p->order);
}

static int memory_params_init(struct kunit *test)
{
	kunit_register_params_array(test, memory_params, ARRAY_SIZE(memory_params), memory_desc);
	return 0;
}

/**
 * struct failures - allocations of each kind that have failed
 * @table: of a page table
 * @anon_vma: of an anon_vma, and of what links it to the VMA
 */
struct failures {
	unsigned int table, anon_vma;
};

/* What comes second has failed if there is what comes first. */
static void note_failure(struct thp_fixture *f, const struct memory_param *p,
			 struct failures *failures)
{
	pmd_t *pmdp = mm_find_pmd(f->mm, f->addr);
	bool table = p->table_first ? !pmdp || pmd_none(pmdp_get(pmdp)) : f->vma->anon_vma;

	KUNIT_EXPECT_TRUE(f->test, table || !f->vma->anon_vma);
	if (table)
		failures->table++;
	else
		failures->anon_vma++;
}

/* Return: whether there was an @nth allocation to fail. */
static bool fail_one(struct thp_fixture *f, unsigned int nth, struct failures *failures)
{
	const struct memory_param *p = f->test->param_value;
	const unsigned long flags = p->order ? THP : HOLE;
	struct fake_zdev_migration *m;
	struct kunit *test = f->test;
	bool failed, filled;
	char step[32];

	snprintf(step, sizeof(step), "allocation %u", nth);
	thp_layout_map(f, RW, MAP_ANONYMOUS | MAP_PRIVATE);
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + (PAGE_SIZE << p->order), SYSTEM | COMPOUND);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ_MSG(test, fake_zdev_migration_setup(m), 0, "%s", step);
	expect_src(test, m, flags, 0, step);
	fake_zdev_migration_copy(m, FAKE_ZDEV_DST_AS_SOURCE);
	thp_fail_alloc_nth(nth);
	fake_zdev_migration_pages(m);
	failed = thp_fail_alloc_stop();
	/* The slab allocator has other ways if it gets no page. */
	filled = thp_leaf_at(f->mm, f->addr).kind == THP_KIND_DEVICE;
	KUNIT_EXPECT_TRUE_MSG(test, filled || failed, "%s: nothing failed", step);
	expect_src(test, m, filled ? flags : flags & ~MIGRATE_PFN_MIGRATE, 0, step);
	if (!filled)
		note_failure(f, p, failures);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	KUNIT_EXPECT_EQ_MSG(test, fake_zdev_count_leaks(f->zdev), filled ? 1UL << p->order : 0,
			    "%s", step);
	check_invariants(f, step);
	return failed;
}

/*
 * Test that a hole stays one, and the destination is given back, whichever of the
 * allocations that it needs fails: page table, anon_vma, and what links that.
 */
static void hole_without_memory_stays_a_hole(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct failures failures = {};
	unsigned int nth = 1;

	thp_fail_alloc_enable(test);
	while (fail_one(f, nth, &failures))
		nth++;
	/* Twice the same, if the slab allocator has needed a page more the second time. */
	KUNIT_EXPECT_GE_MSG(test, failures.table, 1, "page tables");
	KUNIT_EXPECT_GE_MSG(test, failures.anon_vma, 2, "anon_vma, and anon_vma_chain");
}

/**
 * struct raced_param - a hole that another migration has filled meanwhile
 * @name: description
 * @order: order of the folio that it has put there
 * @migrating: which is on its way to somewhere else already
 * @nr: size of the hole
 * @policy: destinations
 * @first: src[0] after migrate_vma_pages()
 * @rest: all other entries
 */
struct raced_param {
	const char *name;
	unsigned int order;
	bool migrating;
	unsigned long nr;
	enum fake_zdev_policy policy;
	unsigned long first, rest;
};

static const struct raced_param raced_params[] = {
	{ "page_by_page", 0, false, 1, FAKE_ZDEV_DST_AS_SOURCE, 0, 0 },
	{ "page_by_migrating_page", 0, true, 1, FAKE_ZDEV_DST_AS_SOURCE, 0, 0 },
	{ "page_by_thp", 9, false, 1, FAKE_ZDEV_DST_AS_SOURCE, 0, 0 },
	{ "page_by_migrating_thp", 9, true, 1, FAKE_ZDEV_DST_AS_SOURCE, 0, 0 },
	{ "pmd_by_page", 0, false, NR, FAKE_ZDEV_DST_AS_SOURCE, MIGRATE_PFN_COMPOUND, 0 },
	{ "pmd_by_migrating_page", 0, true, NR, FAKE_ZDEV_DST_AS_SOURCE, MIGRATE_PFN_COMPOUND, 0 },
	{ "pmd_by_thp", 9, false, NR, FAKE_ZDEV_DST_AS_SOURCE, MIGRATE_PFN_COMPOUND, 0 },
	{ "pmd_by_migrating_thp", 9, true, NR, FAKE_ZDEV_DST_AS_SOURCE, MIGRATE_PFN_COMPOUND, 0 },
	{ "pmd_small_by_page", 0, false, NR, FAKE_ZDEV_DST_ALL_SMALL, 0, HOLE },
	{ "pmd_small_by_migrating_page", 0, true, NR, FAKE_ZDEV_DST_ALL_SMALL, 0, HOLE },
	{ "pmd_small_by_thp", 9, false, NR, FAKE_ZDEV_DST_ALL_SMALL, 0, 0 },
	{ "pmd_small_by_migrating_thp", 9, true, NR, FAKE_ZDEV_DST_ALL_SMALL, 0, 0 },
};

static void raced_desc(struct kunit *test, const void *param, char *desc)
{
	const struct raced_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int raced_params_init(struct kunit *test)
{
	kunit_register_params_array(test, raced_params, ARRAY_SIZE(raced_params), raced_desc);
	return 0;
}

/* The pages from @first on, in page @start of the window and after it: zeroes */
static void model_device_folio(struct thp_model *model, unsigned long start, struct page *first,
			       unsigned int order)
{
	unsigned long i;

	if (!first)
		return;
	for (i = 0; i < 1UL << order; i++)
		model->pages[start + i] = (struct thp_model_page) {
			.page = first + i,
			.head = start,
			.what = THP_DEVICE,
			.order = order,
			.by_pmd = order,
			.blank = true,
		};
	model->has_table[0] = !order;
	model->events.ev_fault_alloc += !!order;
}

/* A migration of the same hole, from start to end while another one is under way */
static void fill(struct kunit *test, struct fake_zdev_migration *m)
{
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	fake_zdev_migration_copy(m, FAKE_ZDEV_DST_AS_SOURCE);
	fake_zdev_migration_pages(m);
	fake_zdev_migration_finalize(m);
}

/*
 * Test that a hole that two drivers, or two threads of one, have seen is filled by
 * the first of them only, whatever the second has for it; and that it does not
 * matter whether that folio has begun to migrate again.
 */
static void hole_filled_by_another_migration_is_left_alone(struct kunit *test)
{
	const struct raced_param *p = test->param_value;
	const unsigned long end = PAGE_SIZE << p->order;
	struct fake_zdev_migration *m, *first, *mover;
	struct thp_fixture *f = test->priv;
	struct thp_model *model;
	struct page *page;
	unsigned long i;

	thp_layout_map(f, RW, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, nothing);
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + p->nr * PAGE_SIZE, SYSTEM | COMPOUND);
	first = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr, f->addr + end,
					 SYSTEM | COMPOUND);
	mover = fake_zdev_migration_init(test, f->zdev, NULL, f->vma, f->addr, f->addr + end,
					 PRIVATE | COMPOUND);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	expect_src(test, m, p->nr == NR ? THP : HOLE, 0, "setup");
	fake_zdev_migration_copy(m, p->policy);
	fill(test, first);
	page = migrate_pfn_to_page(first->dst[0]);
	if (p->migrating) {
		KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(mover), 0);
		KUNIT_EXPECT_EQ(test, mover->args.cpages, 1);
		KUNIT_EXPECT_EQ(test, thp_leaf_at(f->mm, f->addr).kind, THP_KIND_MIGRATION);
	}

	fake_zdev_migration_pages(m);
	expect_src(test, m, p->first, p->rest, "pages");
	KUNIT_EXPECT_EQ(test, thp_leaf_at(f->mm, f->addr).kind,
			p->migrating ? THP_KIND_MIGRATION : THP_KIND_DEVICE);
	KUNIT_EXPECT_PTR_EQ(test, thp_leaf_at(f->mm, f->addr).page, page);
	fake_zdev_migration_finalize(m);
	if (p->migrating)
		fake_zdev_migration_finalize(mover);
	mmap_read_unlock(f->mm);

	model_device_folio(model, 0, page, p->order);
	for (i = 1; p->rest && i < p->nr; i++)
		model_device_folio(model, i, migrate_pfn_to_page(m->dst[i]), 0);
	thp_model_expect(model, "finalize");
}

/**
 * struct unsuitable_param - a VMA that is too small for a THP
 * @name: description
 * @start: page of its PMD that it starts at
 */
struct unsuitable_param {
	const char *name;
	unsigned long start;
};

#define SMALL_VMA	4UL

static const struct unsuitable_param unsuitable_params[] = {
	{ "start_of_pmd", 0 }, { "middle_of_pmd", NR / 2 }, { "end_of_pmd", NR - SMALL_VMA },
};

static void unsuitable_desc(struct kunit *test, const void *param, char *desc)
{
	const struct unsuitable_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int unsuitable_params_init(struct kunit *test)
{
	kunit_register_params_array(test, unsuitable_params, ARRAY_SIZE(unsuitable_params),
				    unsuitable_desc);
	return 0;
}

/*
 * Test that a driver that has a THP for a hole of one page, in a VMA without room
 * for it, is told so, and that the VMA does not even get an anon_vma.
 */
static void thp_for_a_vma_that_is_too_small_is_refused(struct kunit *test)
{
	const struct unsuitable_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	const unsigned long start = ALIGN(f->end, HPAGE_PMD_SIZE) + HPAGE_PMD_SIZE +
				    p->start * PAGE_SIZE;
	struct fake_zdev_migration *m;
	struct vm_area_struct *vma;
	struct folio *dst;

	KUNIT_ASSERT_EQ(test, start,
			kunit_vm_mmap(test, NULL, start, SMALL_VMA * PAGE_SIZE, RW,
				      MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED_NOREPLACE, 0));
	vma = vma_lookup(f->mm, start);
	KUNIT_ASSERT_NOT_NULL(test, vma);
	KUNIT_ASSERT_EQ(test, vma_pages(vma), SMALL_VMA);
	m = fake_zdev_migration_init(test, NULL, f->zdev, vma, start, start + PAGE_SIZE,
				     SYSTEM | COMPOUND);
	dst = fake_zdev_alloc(f->zdev, HPAGE_PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, dst);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	expect_src(test, m, HOLE, 0, "setup");
	m->dst[0] = migrate_pfn(folio_pfn(dst)) | MIGRATE_PFN_COMPOUND;
	fake_zdev_migration_pages(m);
	expect_src(test, m, 0, 0, "pages");
	KUNIT_EXPECT_EQ(test, folio_ref_count(dst), 1);
	KUNIT_EXPECT_FALSE(test, folio_test_anon(dst));
	KUNIT_EXPECT_NULL(test, vma->anon_vma);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), 0);
	KUNIT_EXPECT_EQ(test, thp_leaf_at(f->mm, start).kind, THP_KIND_NONE);
	check_invariants(f, "finalize");
}

/**
 * struct order_param - a hole, and the folio for it
 * @order: of both
 */
struct order_param {
	unsigned int order;
};

static const struct order_param order_params[] = { { 0 }, { 9 } };

static void order_desc(struct kunit *test, const void *param, char *desc)
{
	const struct order_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u", p->order);
}

static int order_params_init(struct kunit *test)
{
	kunit_register_params_array(test, order_params, ARRAY_SIZE(order_params), order_desc);
	return 0;
}

/*
 * Test that a hole of a file stays one even if the driver says that it is to be
 * migrated, which migrate_vma_setup() has not.
 */
static void hole_of_a_file_that_the_driver_marks_is_refused(struct kunit *test)
{
	const struct order_param *p = test->param_value;
	const unsigned long nr = 1UL << p->order;
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct folio *dst;

	thp_layout_map(f, RW, MAP_ANONYMOUS | MAP_SHARED);
	KUNIT_ASSERT_FALSE(test, vma_is_anonymous(f->vma));
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + nr * PAGE_SIZE, SYSTEM | COMPOUND);
	dst = fake_zdev_alloc(f->zdev, p->order);
	KUNIT_ASSERT_NOT_NULL(test, dst);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, 0);
	expect_src(test, m, 0, 0, "setup");
	m->src[0] = p->order ? THP : HOLE;
	m->dst[0] = migrate_pfn(folio_pfn(dst)) | (p->order ? MIGRATE_PFN_COMPOUND : 0);
	fake_zdev_migration_pages(m);
	expect_src(test, m, p->order ? MIGRATE_PFN_COMPOUND : 0, 0, "pages");
	KUNIT_EXPECT_EQ(test, folio_ref_count(dst), 1);
	KUNIT_EXPECT_FALSE(test, folio_test_anon(dst));
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), 0);
	KUNIT_EXPECT_EQ(test, thp_leaf_at(f->mm, f->addr).kind, THP_KIND_NONE);
	check_invariants(f, "finalize");
}

/*
 * Test that system memory that a driver puts into a hole of a read-only VMA is not
 * writable, and not dirty.
 */
static void read_only_hole_is_filled_with_read_only_system_memory(struct kunit *test)
{
	const struct order_param *p = test->param_value;
	const unsigned long flags = p->order ? THP : HOLE;
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct thp_model *model;
	struct folio *folio;
	unsigned long i;

	thp_layout_map(f, PROT_READ, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, nothing);
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + (PAGE_SIZE << p->order), SYSTEM | COMPOUND);
	folio = vma_alloc_folio(GFP_HIGHUSER_MOVABLE | __GFP_ZERO | (p->order ? __GFP_COMP : 0),
				p->order, f->vma, f->addr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	folio_lock(folio);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	expect_src(test, m, flags, 0, "setup");
	m->dst[0] = migrate_pfn(folio_pfn(folio)) | (p->order ? MIGRATE_PFN_COMPOUND : 0);
	fake_zdev_migration_pages(m);
	expect_src(test, m, flags, 0, "pages");
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	model_device_folio(model, 0, &folio->page, p->order);
	for (i = 0; i < 1UL << p->order; i++) {
		model->pages[i].what = THP_SYSTEM;
		model->pages[i].young = true;
	}
	thp_model_expect(model, "finalize");
}

static struct kunit_case device_private_thp_migrate_hole_fail_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(hole_without_memory_stays_a_hole, kunit_array_gen_params,
				   memory_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(hole_filled_by_another_migration_is_left_alone,
				   kunit_array_gen_params, raced_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(thp_for_a_vma_that_is_too_small_is_refused,
				   kunit_array_gen_params, unsuitable_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(hole_of_a_file_that_the_driver_marks_is_refused,
				   kunit_array_gen_params, order_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(read_only_hole_is_filled_with_read_only_system_memory,
				   kunit_array_gen_params, order_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_hole_fail_suite = {
	.name = "device_private_thp_migrate_hole_fail",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_hole_fail_cases,
};

kunit_test_suite(device_private_thp_migrate_hole_fail_suite);

MODULE_DESCRIPTION("KUnit tests: holes through migrate_vma, when something fails late");
MODULE_LICENSE("GPL");
