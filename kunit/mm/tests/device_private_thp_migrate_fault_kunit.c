// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration for a CPU fault: migrate_vma.fault_page, by real faults and by hand,
 * at PMD and at PTE level.
 *
 * do_huge_pmd_device_private() and do_swap_page() call the driver with the folio
 * of the faulting page locked, and with a reference on it. migrate_vma_setup()
 * must take both into account.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "thp_known_bug.h"
#include "thp_migrate_model.h"

#define NR		HPAGE_PMD_NR
#define PRIVATE		MIGRATE_VMA_SELECT_DEVICE_PRIVATE
#define COMPOUND	MIGRATE_VMA_SELECT_COMPOUND

/**
 * struct fault_param - a read of one page of a device folio
 * @order: of the folio
 * @by_ptes: HPAGE_PMD_ORDER: its PMD is split
 * @page: number of the page that is read
 * @moves: order of what comes back: the whole folio, or the page
 * @faults: calls of ->migrate_to_ram() that it takes
 * @bug: id of the bug that makes it take more, or NULL
 * @faults_bug: calls with the bug
 */
struct fault_param {
	unsigned int order;
	bool by_ptes;
	unsigned long page;
	unsigned int moves;
	unsigned long faults;
	const char *bug;
	unsigned long faults_bug;
};

/*
 * LB3: migrate_vma_collect_pmd() splits the folio that faults, and goes on with
 * the old head for the folio that the fault has locked: it can't lock the page
 * that it wants, and migrates nothing. The second fault finds a small folio.
 */
static const struct fault_param fault_params[] = {
	{ 0, false, 0, 0, 1 },
	{ 2, false, 0, 0, 1 },
	{ 2, false, 1, 0, 1, "LB3", 2 },
	{ 2, false, 3, 0, 1, "LB3", 2 },
	{ 3, false, 0, 0, 1 },
	{ 3, false, 1, 0, 1, "LB3", 2 },
	{ 3, false, 7, 0, 1, "LB3", 2 },
	{ 4, false, 0, 0, 1 },
	{ 4, false, 1, 0, 1, "LB3", 2 },
	{ 4, false, 15, 0, 1, "LB3", 2 },
	{ 5, false, 0, 0, 1 },
	{ 5, false, 1, 0, 1, "LB3", 2 },
	{ 5, false, 31, 0, 1, "LB3", 2 },
	{ 6, false, 0, 0, 1 },
	{ 6, false, 1, 0, 1, "LB3", 2 },
	{ 6, false, 63, 0, 1, "LB3", 2 },
	{ 7, false, 0, 0, 1 },
	{ 7, false, 1, 0, 1, "LB3", 2 },
	{ 7, false, 127, 0, 1, "LB3", 2 },
	{ 8, false, 0, 0, 1 },
	{ 8, false, 1, 0, 1, "LB3", 2 },
	{ 8, false, 255, 0, 1, "LB3", 2 },
	{ 9, true, 0, 0, 1 },
	{ 9, true, 1, 0, 1, "LB3", 2 },
	{ 9, true, 511, 0, 1, "LB3", 2 },
	{ 9, false, 0, 9, 1 },
	{ 9, false, 1, 9, 1 },
	{ 9, false, 511, 9, 1 },
};

static void fault_desc(struct kunit *test, const void *param, char *desc)
{
	const struct fault_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u%s_page%lu", p->order,
		 p->by_ptes ? "_by_ptes" : "", p->page);
}

static int fault_params_init(struct kunit *test)
{
	kunit_register_params_array(test, fault_params, ARRAY_SIZE(fault_params), fault_desc);
	return 0;
}

static int read_page(const struct thp_fixture *f, unsigned long page)
{
	unsigned long word;

	return get_user(word, (unsigned long __user *)(f->addr + page * PAGE_SIZE));
}

/* What the model says of a migration of @req that has gone well */
static void model_fault(struct thp_model *model, const struct thp_request *req)
{
	struct thp_fixture *f = model->f;
	unsigned long *dst = kunit_kcalloc(f->test, NR, sizeof(*dst), GFP_KERNEL);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(f->test, dst);
	thp_model_setup(model, req);
	for (i = req->start; i < req->end; i++) {
		struct folio *folio = thp_fixture_folio_at(f, f->addr + i * PAGE_SIZE);
		unsigned long flags = thp_model_dst(model, req, i);

		/* Small folios need not be side by side. */
		if (flags && folio)
			dst[i - req->start] = migrate_pfn(folio_pfn(folio)) | flags;
	}
	thp_model_pages(model, req, dst);
	thp_model_finalize(model, req);
}

/*
 * Test that a read of a page in device memory brings the whole folio back if a PMD
 * maps it, and just this page if PTEs do, in one fault.
 */
static void read_of_one_page_brings_back_its_pmd_or_pte(struct kunit *test)
{
	const struct fault_param *p = test->param_value;
	const struct thp_piece pieces[] = { { THP_DEVICE, p->order, 0, p->by_ptes }, {} };
	const struct thp_request req = {
		.start = ALIGN_DOWN(p->page, 1UL << p->moves),
		.end = ALIGN_DOWN(p->page, 1UL << p->moves) + (1UL << p->moves),
		.flags = PRIVATE | COMPOUND,
		.owner = THP_DEVICE,
		.to = THP_SYSTEM,
	};
	struct thp_fixture *f = test->priv;
	struct thp_model *model;
	unsigned long faults;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	KUNIT_EXPECT_EQ(test, read_page(f, p->page), 0);
	lru_add_drain();
	faults = fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM);
	if (p->bug)
		thp_known_bug(test, p->bug, faults, p->faults, p->faults_bug, "faults");
	else
		KUNIT_EXPECT_EQ(test, faults, p->faults);

	model_fault(model, &req);
	model->pages[p->page].young = true;
	if (p->moves)
		for (faults = 0; faults < NR; faults++)
			model->pages[faults].young = true;
	thp_model_expect(model, "after the fault");
	thp_layout_read_back(model);
}

/**
 * struct refused_param - a fault for which the driver does less than it could
 * @name: description
 * @policy: destinations that it offers
 * @flags: for migrate_vma_setup()
 * @first: page that is read first; then all others
 * @want_error: what the first read has to return
 * @bug_error: what it returns in a kernel with the bug
 * @first_faults: calls of ->migrate_to_ram() for the first read
 * @first_faults_bug: the same in a kernel with the bug
 * @faults: calls of ->migrate_to_ram() for all pages
 * @faults_bug: the same in a kernel with the bug
 */
struct refused_param {
	const char *name;
	enum fake_zdev_policy policy;
	unsigned long flags;
	unsigned long first;
	int want_error, bug_error;
	unsigned long first_faults, first_faults_bug;
	unsigned long faults, faults_bug;
};

/*
 * LB8: the split that is needed expects one reference on a folio for which the
 * fault and migrate_vma_setup() have one each.
 *
 * With small destinations the first fault leaves nothing but a split PMD; then
 * each page takes a fault of its own, and the first of them two if it isn't the
 * head (LB3). Without MIGRATE_VMA_SELECT_COMPOUND not even that: the same fault
 * again and again, until the device gives up after the 16th.
 */
static const struct refused_param refused_params[] = {
	{ "small_destinations_head_first", FAKE_ZDEV_DST_ALL_SMALL, PRIVATE | COMPOUND, 0,
	  0, 0, 1, 2, 1, 513 },
	{ "small_destinations_tail_first", FAKE_ZDEV_DST_ALL_SMALL, PRIVATE | COMPOUND, 7,
	  0, 0, 1, 3, 1, 514 },
	{ "without_compound_head_first", FAKE_ZDEV_DST_AS_SOURCE, PRIVATE, 0,
	  0, -EFAULT, 1, 16, 1, 16 + 1 },
	{ "without_compound_tail_first", FAKE_ZDEV_DST_AS_SOURCE, PRIVATE, 7,
	  0, -EFAULT, 1, 16, 1, 16 + 1 },
};

static void refused_desc(struct kunit *test, const void *param, char *desc)
{
	const struct refused_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int refused_params_init(struct kunit *test)
{
	kunit_register_params_array(test, refused_params, ARRAY_SIZE(refused_params),
				    refused_desc);
	return 0;
}

/* What the bug changes, or not */
static void expect_or_known_bug(struct kunit *test, s64 is, s64 right, s64 bug,
				const char *what)
{
	if (right == bug)
		KUNIT_EXPECT_EQ_MSG(test, is, right, "%s", what);
	else
		thp_known_bug(test, "LB8", is, right, bug, what);
}

/*
 * Test that a PMD fault is served in small pages if the driver has no large one, or
 * does not know of large ones.
 */
static void pmd_fault_for_small_pages_makes_progress(struct kunit *test)
{
	static const struct thp_piece pieces[] = { { THP_DEVICE, 9 }, {} };
	const struct refused_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_model *model;
	unsigned long i;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	fake_zdev_set_fault_policy(f->zdev, p->policy);
	fake_zdev_set_fault_flags(f->zdev, p->flags);

	expect_or_known_bug(test, read_page(f, p->first), p->want_error, p->bug_error,
			    "result of the first read");
	expect_or_known_bug(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM),
			    p->first_faults, p->first_faults_bug, "faults of the first read");
	if (p->bug_error) {
		/* Nothing has changed. A driver that knows large folios gets it. */
		fake_zdev_set_fault_flags(f->zdev, PRIVATE | COMPOUND);
		if (fake_zdev_nr_free(f->zdev) < fake_zdev_nr_pages(f->zdev)) {
			model->events.split_failed[9] = p->first_faults_bug;
			model->events.ev_split_failed = p->first_faults_bug;
			thp_model_expect(model, "after the first read");
		}
	}
	for (i = 0; i < NR; i++)
		KUNIT_EXPECT_EQ_MSG(test, read_page(f, i), 0, "page %lu", i);
	expect_or_known_bug(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM),
			    p->faults, p->faults_bug, "faults for all pages");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_layout_read_back(model);
}

/**
 * struct hand_param - fault_page by hand
 * @name: description
 * @piece: the folio that faults
 * @others: more folios, small ones, in the places after it
 * @end: end of the range, which starts at the start of the window
 * @policy: destinations that the driver offers
 * @pins: references besides those of the fault and of the mapping
 * @cpages: migrate_vma.cpages
 * @src: flags in src[0] after migrate_vma_setup()
 * @src_pages: the same after migrate_vma_pages()
 * @split: migrate_vma_pages() splits the PMD
 */
struct hand_param {
	const char *name;
	struct thp_piece piece;
	unsigned int others;
	unsigned long end;
	enum fake_zdev_policy policy;
	unsigned int pins;
	unsigned long cpages;
	unsigned long src, src_pages;
	bool split;
};

#define SMALL	(MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE | MIGRATE_PFN_WRITE)
#define LARGE	(SMALL | MIGRATE_PFN_COMPOUND)
#define LOST	(MIGRATE_PFN_VALID | MIGRATE_PFN_WRITE)

static const struct hand_param hand_params[] = {
	{ "order0", { THP_DEVICE, 0 }, 0, 1, FAKE_ZDEV_DST_AS_SOURCE, 0, 1, SMALL, SMALL },
	{ "order0_no_destination", { THP_DEVICE, 0 }, 0, 1, FAKE_ZDEV_DST_NONE, 0,
	  1, SMALL, LOST },
	{ "order0_and_others", { THP_DEVICE, 0 }, 3, 4, FAKE_ZDEV_DST_AS_SOURCE, 0,
	  4, SMALL, SMALL },
	{ "order0_pinned", { THP_DEVICE, 0 }, 0, 1, FAKE_ZDEV_DST_AS_SOURCE, 1,
	  1, SMALL, LOST },
	{ "order0_pinned_twice", { THP_DEVICE, 0 }, 0, 1, FAKE_ZDEV_DST_AS_SOURCE, 2, 0, 0, 0 },
	{ "order9", { THP_DEVICE, 9 }, 0, NR, FAKE_ZDEV_DST_AS_SOURCE, 0, 1, LARGE, LARGE },
	{ "order9_no_destination", { THP_DEVICE, 9 }, 0, NR, FAKE_ZDEV_DST_NONE, 0,
	  1, LARGE, LARGE & ~MIGRATE_PFN_MIGRATE },
	{ "order9_pinned", { THP_DEVICE, 9 }, 0, NR, FAKE_ZDEV_DST_AS_SOURCE, 1,
	  1, LARGE, LARGE & ~MIGRATE_PFN_MIGRATE },
	{ "order9_pinned_twice", { THP_DEVICE, 9 }, 0, NR, FAKE_ZDEV_DST_AS_SOURCE, 2, 0, 0, 0 },
	/* LB8: should be SMALL, without a pin */
	{ "order9_small_destinations_pinned", { THP_DEVICE, 9 }, 0, NR, FAKE_ZDEV_DST_ALL_SMALL,
	  1, 1, LARGE, LOST, true },
};

static void hand_desc(struct kunit *test, const void *param, char *desc)
{
	const struct hand_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int hand_params_init(struct kunit *test)
{
	kunit_register_params_array(test, hand_params, ARRAY_SIZE(hand_params), hand_desc);
	return 0;
}

/* The source with the references of the fault and of others besides its own */
static void expect_faulting(struct thp_model *model, struct page *page, enum thp_where where,
			    unsigned int refs, bool charged, const char *step)
{
	const struct hand_param *p = model->f->test->param_value;
	struct thp_fixture *f = model->f;
	struct thp_state *want = &f->expected;
	s64 memcg = f->memcg;

	thp_fixture_track(f, page, p->piece.order, f->addr);
	if (!charged && memcg != THP_NA)
		f->memcg = 0;
	thp_want(f, want, p->piece.order, where);
	f->memcg = memcg;
	want->refcount += refs;
	want->flags |= BIT(PG_locked);
	thp_ledger_capture_folio(f, (struct folio *)page, &f->after);
	KUNIT_EXPECT_EQ_MSG(f->test, f->after.refcount, want->refcount, "%s", step);
	KUNIT_EXPECT_EQ_MSG(f->test, f->after.mapcount, want->mapcount, "%s", step);
	KUNIT_EXPECT_EQ_MSG(f->test, f->after.flags, want->flags, "%s", step);
	KUNIT_EXPECT_EQ_MSG(f->test, f->after.memcg, want->memcg, "%s", step);
	KUNIT_EXPECT_EQ_MSG(f->test, f->after.order, want->order, "%s", step);
}

/*
 * Test that the lock and the reference of the fault are neither taken for somebody
 * else's nor given away: the folio that faults migrates, stays locked throughout,
 * and has the fault's reference left at the end, migrated or not.
 */
static void fault_page_keeps_lock_and_reference_of_the_fault(struct kunit *test)
{
	const struct hand_param *p = test->param_value;
	const bool pmd = p->piece.order;
	const enum thp_where gone = pmd ? p->split ? THP_MIGRATION_PTES : THP_MIGRATION_PMD :
					  THP_MIGRATION_PTES;
	const bool migrates = p->src_pages & MIGRATE_PFN_MIGRATE;
	struct thp_piece pieces[THP_MAX_PIECES] = { p->piece };
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct thp_model *model;
	struct folio *folio;
	struct page *page;
	unsigned long i;

	for (i = 1; i <= p->others; i++)
		pieces[i] = (struct thp_piece){ THP_DEVICE, 0, i };
	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	page = model->pages[0].page;
	folio = page_folio(page);
	m = fake_zdev_migration_init(test, f->zdev, NULL, f->vma, f->addr,
				     f->addr + p->end * PAGE_SIZE, PRIVATE | COMPOUND);
	m->args.fault_page = page;

	/* As the fault does */
	folio_lock(folio);
	folio_get(folio);
	folio_ref_add(folio, p->pins);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, p->cpages);
	KUNIT_EXPECT_EQ(test, m->src[0], p->src ? p->src | migrate_pfn(page_to_pfn(page)) : 0);
	for (i = 1; i < p->end; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i],
				    p->others ? SMALL | migrate_pfn(page_to_pfn(page + i)) : 0,
				    "src[%lu]", i);
	if (p->src)
		expect_faulting(model, page, pmd ? THP_MIGRATION_PMD : THP_MIGRATION_PTES,
				1 + p->pins, true, "setup");
	fake_zdev_migration_copy(m, p->policy);
	fake_zdev_migration_pages(m);
	KUNIT_EXPECT_EQ(test, m->src[0],
			p->src ? p->src_pages | migrate_pfn(page_to_pfn(page)) : 0);
	if (p->src)
		expect_faulting(model, page, gone, 1 + p->pins, !migrates, "pages");
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio),
			migrates ? 1 + p->pins : folio_mapcount(folio) + 1 + p->pins);
	KUNIT_EXPECT_EQ(test, folio_mapped(folio), !migrates);
	folio_unlock(folio);
	folio_put_refs(folio, 1 + p->pins);
	/* Freed if it has migrated, and mapped as before otherwise */
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev),
			migrates ? 0 : p->end);
	thp_layout_read_back(model);
}

static struct kunit_case device_private_thp_migrate_fault_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(read_of_one_page_brings_back_its_pmd_or_pte,
				   kunit_array_gen_params, fault_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pmd_fault_for_small_pages_makes_progress,
				   kunit_array_gen_params, refused_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_page_keeps_lock_and_reference_of_the_fault,
				   kunit_array_gen_params, hand_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_fault_suite = {
	.name = "device_private_thp_migrate_fault",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_fault_cases,
};

kunit_test_suite(device_private_thp_migrate_fault_suite);

MODULE_DESCRIPTION("KUnit tests: migration for CPU faults");
MODULE_LICENSE("GPL");
