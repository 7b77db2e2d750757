// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-coherent memory, which the CPU can access: migrate_vma_*() knows it, too,
 * and migrate_device_coherent_folio() moves it out of the way of a long-term pin.
 *
 * There is none on ARCH=um. The memory of the fake device is declared to be of that
 * type once it is there: its struct pages are mapped, and nobody looks at the data.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/swap.h>

#include "../internal.h"
#include "thp_fail_alloc.h"
#include "thp_known_bug.h"
#include "thp_leaf.h"
#include "thp_migrate_model.h"

#define NR		HPAGE_PMD_NR
#define SYSTEM		MIGRATE_VMA_SELECT_SYSTEM
#define PRIVATE		MIGRATE_VMA_SELECT_DEVICE_PRIVATE
#define COHERENT	MIGRATE_VMA_SELECT_DEVICE_COHERENT
#define COMPOUND	MIGRATE_VMA_SELECT_COMPOUND

#define RW	(PROT_READ | PROT_WRITE)

#define SMALL	(MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE | MIGRATE_PFN_WRITE)
#define LARGE	(SMALL | MIGRATE_PFN_COMPOUND)

static void make_private(void *context)
{
	struct thp_fixture *f = context;

	fake_zdev_pgmap(f->zdev, 0)->type = MEMORY_DEVICE_PRIVATE;
}

/* The device must be of its own type again before it goes away: memunmap_pages(). */
static int coherent_init(struct kunit *test)
{
	int ret = thp_fixture_init(test);
	struct thp_fixture *f = test->priv;

	return ret ?: kunit_add_action_or_reset(test, make_private, f);
}

/*
 * Let a driver put a folio into a hole: a new VMA with protection @prot. From the
 * allocation of the folio on, all memory of the device is coherent.
 */
static struct folio *fill_hole(struct thp_fixture *f, unsigned long prot, unsigned int order)
{
	const unsigned long flags = MIGRATE_PFN_MIGRATE | (order ? MIGRATE_PFN_COMPOUND : 0);
	struct fake_zdev_migration *m;
	struct kunit *test = f->test;
	struct folio *folio;

	thp_layout_map(f, prot, MAP_ANONYMOUS | MAP_PRIVATE);
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + (PAGE_SIZE << order), SYSTEM | COMPOUND);
	folio = fake_zdev_alloc(f->zdev, order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_pgmap(f->zdev, 0)->type = MEMORY_DEVICE_COHERENT;
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->src[0], flags);
	m->dst[0] = migrate_pfn(folio_pfn(folio)) | (order ? MIGRATE_PFN_COMPOUND : 0);
	fake_zdev_migration_pages(m);
	KUNIT_EXPECT_EQ(test, m->src[0], flags);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	return folio;
}

/* Mapped, present, by one entry; @refs references besides that of the mapping */
static void expect_mapped(struct thp_fixture *f, struct folio *folio, bool write, int refs,
			  const char *step)
{
	const struct thp_leaf leaf = thp_leaf_at(f->mm, f->addr);
	struct kunit *test = f->test;

	KUNIT_EXPECT_EQ_MSG(test, leaf.kind, THP_KIND_PRESENT, "%s", step);
	KUNIT_EXPECT_PTR_EQ_MSG(test, leaf.page, &folio->page, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, leaf.by_pmd, folio_test_large(folio), "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, leaf.write, write, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, folio_mapcount(folio), 1, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(folio), 1 + refs, "%s", step);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_anon(folio), "%s", step);
	KUNIT_EXPECT_TRUE_MSG(test, PageAnonExclusive(&folio->page), "%s", step);
	KUNIT_EXPECT_FALSE_MSG(test, folio_test_locked(folio), "%s", step);
	KUNIT_EXPECT_FALSE_MSG(test, folio_test_lru(folio), "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, percpu_counter_sum(&f->mm->rss_stat[MM_ANONPAGES]),
			    folio_nr_pages(folio), "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, fake_zdev_count_leaks(f->zdev), folio_nr_pages(folio),
			    "%s", step);
}

/**
 * struct fill_param - a hole
 * @order: of the hole, and of the folio
 * @prot: protection of the VMA
 */
struct fill_param {
	unsigned int order;
	unsigned long prot;
};

static const struct fill_param fill_params[] = {
	{ 0, RW }, { 0, PROT_READ }, { 9, RW }, { 9, PROT_READ },
};

static void fill_desc(struct kunit *test, const void *param, char *desc)
{
	const struct fill_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_%s", p->order,
		 p->prot & PROT_WRITE ? "rw" : "readonly");
}

static int fill_params_init(struct kunit *test)
{
	kunit_register_params_array(test, fill_params, ARRAY_SIZE(fill_params), fill_desc);
	return 0;
}

/* Test that a hole gets coherent memory as a present entry, and what that maps is freed. */
static void hole_is_filled_with_coherent_memory(struct kunit *test)
{
	const struct fill_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = fill_hole(f, p->prot, p->order);

	expect_mapped(f, folio, p->prot & PROT_WRITE, 0, "filled");
	KUNIT_EXPECT_EQ(test, vm_munmap(f->start, f->end - f->start), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 1);
}

/**
 * struct select_param - a request that coherent memory is in the range of
 * @name: description
 * @flags: for migrate_vma_setup()
 * @stranger: the pgmap_owner is not that of the device
 * @collected: the page is to be migrated
 */
struct select_param {
	const char *name;
	unsigned long flags;
	bool stranger;
	bool collected;
};

static const struct select_param select_params[] = {
	{ "coherent", COHERENT, false, true },
	{ "coherent_of_stranger", COHERENT, true, false },
	{ "system", SYSTEM, false, false },
	{ "private", PRIVATE, false, false },
	{ "system_and_private", SYSTEM | PRIVATE, false, false },
	{ "system_and_coherent", SYSTEM | COHERENT, false, true },
	{ "system_and_coherent_of_stranger", SYSTEM | COHERENT, true, false },
	{ "all", SYSTEM | PRIVATE | COHERENT, false, true },
};

static void select_desc(struct kunit *test, const void *param, char *desc)
{
	const struct select_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int select_params_init(struct kunit *test)
{
	kunit_register_params_array(test, select_params, ARRAY_SIZE(select_params), select_desc);
	return 0;
}

static struct fake_zdev_migration *migration_of(struct thp_fixture *f, unsigned int order,
						const struct select_param *p, unsigned long flags)
{
	struct fake_zdev_migration *m;

	m = fake_zdev_migration_init(f->test, f->zdev, NULL, f->vma, f->addr,
				     f->addr + (PAGE_SIZE << order), flags);
	if (p->stranger)
		m->args.pgmap_owner = f;
	return m;
}

/*
 * Test that coherent memory is collected if it is asked for and belongs to who asks,
 * as device-private memory is, and that it is mapped again if it does not migrate.
 */
static void coherent_page_is_collected_for_its_owner(struct kunit *test)
{
	const struct select_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = fill_hole(f, RW, 0);
	struct fake_zdev_migration *m = migration_of(f, 0, p, p->flags);

	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, 1);
	KUNIT_EXPECT_EQ(test, m->args.cpages, p->collected);
	KUNIT_EXPECT_EQ(test, m->src[0],
			p->collected ? SMALL | migrate_pfn(folio_pfn(folio)) : 0);
	KUNIT_EXPECT_EQ(test, folio_test_locked(folio), p->collected);
	KUNIT_EXPECT_EQ(test, folio_mapped(folio), !p->collected);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	expect_mapped(f, folio, true, 0, "finalize");
}

/*
 * Test that the same is true of a coherent THP.
 *
 * LB10: migrate_vma_collect_huge_pmd() takes whatever is present for system memory:
 * a THP of any device, whose owner has not been asked; and not the owner's own.
 */
static void coherent_thp_is_collected_for_its_owner(struct kunit *test)
{
	const struct select_param *p = test->param_value;
	const bool bug = p->flags & SYSTEM;
	struct thp_fixture *f = test->priv;
	struct folio *folio = fill_hole(f, RW, HPAGE_PMD_ORDER);
	const unsigned long src = LARGE | migrate_pfn(folio_pfn(folio));
	struct fake_zdev_migration *m = migration_of(f, HPAGE_PMD_ORDER, p, p->flags | COMPOUND);
	unsigned long i;

	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, NR);
	if (bug == p->collected) {
		KUNIT_EXPECT_EQ(test, m->args.cpages, p->collected);
		KUNIT_EXPECT_EQ(test, m->src[0], p->collected ? src : 0);
	} else {
		thp_known_bug(test, "LB10", m->args.cpages, p->collected, bug,
			      "number of entries to migrate");
		thp_known_bug(test, "LB10", m->src[0], p->collected ? src : 0, bug ? src : 0,
			      "src[0]");
	}
	for (i = 1; i < NR; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], 0, "src[%lu]", i);
	KUNIT_EXPECT_EQ(test, folio_test_locked(folio), m->args.cpages);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	expect_mapped(f, folio, true, 0, "finalize");
}

/* Test that a coherent page migrates to system memory, which is mapped in its place. */
static void coherent_page_migrates_to_system_memory(struct kunit *test)
{
	static const struct select_param own = { "", COHERENT };
	struct thp_fixture *f = test->priv;
	struct folio *folio = fill_hole(f, RW, 0);
	struct fake_zdev_migration *m = migration_of(f, 0, &own, own.flags);
	struct folio *dst = folio_alloc(GFP_HIGHUSER_MOVABLE | __GFP_ZERO, 0);
	struct thp_leaf leaf;

	KUNIT_ASSERT_NOT_NULL(test, dst);
	folio_lock(dst);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	m->dst[0] = migrate_pfn(folio_pfn(dst));
	fake_zdev_migration_pages(m);
	KUNIT_EXPECT_EQ(test, m->src[0], SMALL | migrate_pfn(folio_pfn(folio)));
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), 0);
	leaf = thp_leaf_at(f->mm, f->addr);
	KUNIT_EXPECT_PTR_EQ(test, leaf.page, &dst->page);
	KUNIT_EXPECT_TRUE(test, leaf.write);
	KUNIT_EXPECT_TRUE(test, thp_leaf_is_settled(&leaf));
}

/**
 * struct busy_param - a coherent page that migrate_device_coherent_folio() can't move
 * @name: description
 * @pins: references of others. The kernel does not mind the first of them until it
 *	has unmapped the page (migrate_vma_check_page()), and then it does.
 * @no_memory: there is no destination for it
 */
struct busy_param {
	const char *name;
	unsigned int pins;
	bool no_memory;
};

static const struct busy_param busy_params[] = {
	{ "pinned_once", 1, false }, { "pinned_twice", 2, false }, { "no_memory", 0, true },
};

static void busy_desc(struct kunit *test, const void *param, char *desc)
{
	const struct busy_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int busy_params_init(struct kunit *test)
{
	kunit_register_params_array(test, busy_params, ARRAY_SIZE(busy_params), busy_desc);
	return 0;
}

/*
 * Test that a coherent page that can't be moved is mapped as before, and that the
 * reference of the caller is gone. (One that can be moved is copied by the CPU, to
 * which the memory of the fake device is not accessible.)
 */
static void coherent_folio_that_is_busy_stays(struct kunit *test)
{
	const struct busy_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = fill_hole(f, RW, 0);

	if (p->no_memory)
		thp_fail_alloc_enable(test);
	folio_ref_add(folio, p->pins);
	folio_get(folio);
	if (p->no_memory)
		thp_fail_alloc_nth(1);
	KUNIT_EXPECT_EQ(test, migrate_device_coherent_folio(folio), -EBUSY);
	if (p->no_memory)
		KUNIT_EXPECT_TRUE(test, thp_fail_alloc_stop());
	expect_mapped(f, folio, true, p->pins, "busy");
	if (p->pins)
		folio_put_refs(folio, p->pins);
}

static struct kunit_case device_private_thp_migrate_coherent_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(hole_is_filled_with_coherent_memory, kunit_array_gen_params,
				   fill_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(coherent_page_is_collected_for_its_owner,
				   kunit_array_gen_params, select_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(coherent_thp_is_collected_for_its_owner,
				   kunit_array_gen_params, select_params_init, NULL),
	KUNIT_CASE(coherent_page_migrates_to_system_memory),
	KUNIT_CASE_PARAM_WITH_INIT(coherent_folio_that_is_busy_stays, kunit_array_gen_params,
				   busy_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_coherent_suite = {
	.name = "device_private_thp_migrate_coherent",
	.init = coherent_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_coherent_cases,
};

kunit_test_suite(device_private_thp_migrate_coherent_suite);

MODULE_DESCRIPTION("KUnit tests: device-coherent memory through migrate_vma");
MODULE_LICENSE("GPL");
