// SPDX-License-Identifier: GPL-2.0-only
/*
 * hmm_range_fault() over device-private folios of every order: the exact pfns
 * that a driver gets, for folios of its own and of others, with and without a
 * request to fault.
 */
#include <kunit/test.h>
#include <linux/hmm.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/rwsem.h>

#include "fake_zone_device_migrate.h"
#include "kunit_mm_compat.h"
#include "thp_fixture_forms.h"
#include "thp_known_bug.h"
#include "thp_migrate_model.h"

#define READABLE	HMM_PFN_VALID
#define WRITABLE	(HMM_PFN_VALID | HMM_PFN_WRITE)

/**
 * struct hmm_walk - a call of hmm_range_fault()
 * @range: its argument
 * @sub: the notifier that it needs
 * @pfns: range.hmm_pfns
 * @nr: number of @pfns
 * @calls: how often the last walk_range() has called hmm_range_fault()
 */
struct hmm_walk {
	struct hmm_range range;
	struct mmu_interval_notifier sub;
	unsigned long *pfns;
	unsigned long nr;
	unsigned int calls;
};

/* hmm_range_fault() may be called that often until nothing has changed meanwhile */
#define MAX_CALLS	8

/* A range that changes is looked at again; there is nobody to be stopped. */
static bool walk_invalidate(struct mmu_interval_notifier *sub,
			    const struct mmu_notifier_range *range, unsigned long seq)
{
	mmu_interval_set_seq(sub, seq);
	return true;
}

static const struct mmu_interval_notifier_ops walk_ops = {
	.invalidate = walk_invalidate,
};

static void walk_exit(void *ptr)
{
	struct hmm_walk *walk = ptr;

	mmu_interval_notifier_remove(&walk->sub);
}

/* A walk from @start to @end, on behalf of the owner of @zdev */
static struct hmm_walk *walk_init(struct kunit *test, struct fake_zdev *zdev,
				  unsigned long start, unsigned long end)
{
	struct hmm_walk *walk = kunit_kzalloc(test, sizeof(*walk), GFP_KERNEL);
	struct thp_fixture *f = test->priv;

	KUNIT_ASSERT_NOT_NULL(test, walk);
	walk->nr = (end - start) >> PAGE_SHIFT;
	walk->pfns = kunit_kcalloc(test, walk->nr, sizeof(*walk->pfns), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, walk->pfns);
	KUNIT_ASSERT_EQ(test, mmu_interval_notifier_insert(&walk->sub, f->mm, start,
							   end - start, &walk_ops), 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, walk_exit, walk), 0);
	walk->range = (struct hmm_range) {
		.notifier = &walk->sub,
		.start = start,
		.end = end,
		.hmm_pfns = walk->pfns,
		.dev_private_owner = fake_zdev_owner(zdev),
	};
	return walk;
}

/*
 * As Documentation/mm/hmm.rst has it: the migration of a fault invalidates the
 * range, which makes for -EBUSY, and another call.
 */
static int walk_range(struct kunit *test, struct hmm_walk *walk, unsigned long request)
{
	struct thp_fixture *f = test->priv;
	int ret;

	walk->range.default_flags = request;
	walk->calls = 0;
	do {
		walk->range.notifier_seq = mmu_interval_read_begin(&walk->sub);
		mmap_read_lock(f->mm);
		ret = hmm_range_fault(&walk->range);
		mmap_read_unlock(f->mm);
	} while (++walk->calls < MAX_CALLS && ret == -EBUSY);
	return ret;
}

/* The same in one call, which takes the lock, and calls again if it has to. */
static int walk_range_unlocked(struct kunit *test, struct hmm_walk *walk,
			       unsigned long request)
{
	struct thp_fixture *f = test->priv;
	int ret;

	if (!KUNIT_MM_HAS_HMM_UNLOCKED)
		kunit_skip(test, "no hmm_range_fault_unlocked_timeout()");
	walk->range.default_flags = request;
	walk->calls = 1;
	ret = hmm_range_fault_unlocked_timeout(&walk->range, 0);
	KUNIT_EXPECT_FALSE_MSG(test, rwsem_is_locked(&f->mm->mmap_lock), "the mmap lock is held");
	return ret;
}

/* Are entries @from to @to - 1 the pfns from @pfn on, with @flags? @pfn 0: no pfn */
static void expect_pfns(struct kunit *test, const struct hmm_walk *walk, unsigned long from,
			unsigned long to, unsigned long pfn, unsigned long flags)
{
	unsigned long i, wrong = 0, first = from;

	for (i = from; i < to; i++)
		if (walk->pfns[i] != (flags | (pfn ? pfn + i - from : 0)))
			first = wrong++ ? first : i;
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0,
			    "entries %lu to %lu, the first wrong one is %lu: %#lx, expected %#lx",
			    from, to - 1, first, walk->pfns[first],
			    flags | (pfn ? pfn + first - from : 0));
}

/**
 * struct hmm_variant - one walk over a folio
 * @name: of the variant
 * @write: its entries are writable
 * @request: HMM_PFN_REQ_*
 * @flags: what is to be said of each page, besides the order
 * @unlocked: by hmm_range_fault_unlocked_timeout()
 * @calls: number of calls until pages of another driver have been faulted back
 */
struct hmm_variant {
	const char *name;
	bool write;
	unsigned long request;
	unsigned long flags;
	bool unlocked;
	unsigned int calls;
};

/* The order is said if a PMD maps the page (hmm_pfn_flags_order()). */
static unsigned long order_flags(enum thp_where where)
{
	return where == THP_PMD ? (unsigned long)HPAGE_PMD_ORDER << HMM_PFN_ORDER_SHIFT : 0;
}

static int own_params_init(struct kunit *test)
{
	static const struct hmm_variant variants[] = {
		{ "writable_look", true, 0, WRITABLE },
		{ "writable_fault", true, HMM_PFN_REQ_FAULT, WRITABLE },
		{ "writable_write", true, HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE, WRITABLE },
		{ "readable_look", false, 0, READABLE },
		{ "readable_fault", false, HMM_PFN_REQ_FAULT, READABLE },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/*
 * Test that a driver gets its own pages as they are, without a fault, with their
 * order only if a PMD maps them; that holes around are empty, and what is no VMA
 * is an error; and that the flags that belong to the driver survive.
 */
static void own_folio_is_reported_without_a_fault(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct hmm_variant *v = c->variant;
	const unsigned long flags = v->flags | order_flags(c->form.where);
	struct thp_fixture *f = test->priv;
	unsigned long nr = c->nr;
	struct folio *folio;
	struct hmm_walk *walk;
	struct thp_state want;

	f->write = v->write;
	folio = thp_fixture_place(f, &c->form);
	walk = walk_init(test, f->zdev, f->addr, f->addr + HPAGE_PMD_SIZE);
	/* A request would fault holes in. */
	walk->range.end = f->addr + nr * PAGE_SIZE;
	walk->pfns[nr - 1] = HMM_PFN_DMA_MAPPED | HMM_PFN_P2PDMA;
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, v->request), 0);
	KUNIT_EXPECT_EQ(test, walk->calls, 1);
	expect_pfns(test, walk, 0, nr - 1, folio_pfn(folio), flags);
	expect_pfns(test, walk, nr - 1, nr, folio_pfn(folio) + nr - 1,
		    flags | HMM_PFN_DMA_MAPPED | HMM_PFN_P2PDMA);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);

	/* Only a look at the rest of the range */
	walk->range.end = f->addr + HPAGE_PMD_SIZE;
	memset(walk->pfns, 0xff, walk->nr * sizeof(*walk->pfns));
	walk->range.pfn_flags_mask = 0;
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, 0), 0);
	expect_pfns(test, walk, nr, walk->nr, 0,
		    HMM_PFN_DMA_MAPPED | HMM_PFN_P2PDMA | HMM_PFN_P2PDMA_BUS);

	thp_want_form(f, &want, &c->form);
	thp_ledger_expect(f, folio, &want, "hmm_range_fault");
}

static void expect_not_reported(struct kunit *test, unsigned long flags)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long nr = 1UL << form->order;
	struct folio *folio;
	struct hmm_walk *walk;
	struct thp_state want;

	thp_fixture_add_peer(f);
	folio = thp_fixture_place(f, form);
	walk = walk_init(test, f->peer, f->addr, f->addr + nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, 0), 0);
	KUNIT_EXPECT_EQ(test, walk->calls, 1);
	expect_pfns(test, walk, 0, nr, 0, flags);
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "hmm_range_fault");
}

/* Test that for one who only looks, pages of another driver are not there. */
static void foreign_folio_of_ptes_is_not_reported(struct kunit *test)
{
	expect_not_reported(test, 0);
}

/*
 * Test that behind a PMD they are an error, not a hole: unlike
 * hmm_vma_handle_pte(), hmm_vma_handle_absent_pmd() makes no difference between
 * what could be faulted in and what can never be.
 */
static void foreign_folio_of_pmd_is_an_error(struct kunit *test)
{
	expect_not_reported(test, HMM_PFN_ERROR);
}

static int foreign_fault_params_init(struct kunit *test)
{
	static const struct hmm_variant variants[] = {
		{ "read", true, HMM_PFN_REQ_FAULT, WRITABLE, false, 2 },
		{ "write", true, HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE, WRITABLE, false, 2 },
		{ "read_only", false, HMM_PFN_REQ_FAULT, READABLE, false, 2 },
		/* Faulted once more to be written to, nobody else has it. */
		{ "read_only_write", false, HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE, WRITABLE,
		  false, 2 },
		{ "read_unlocked", true, HMM_PFN_REQ_FAULT, WRITABLE, true, 1 },
		{ "write_unlocked", true, HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE, WRITABLE,
		  true, 1 },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/*
 * Test that a driver that requests a fault gets pages of another one back in
 * system memory first, and then the pfns of those.
 */
static void foreign_folio_is_faulted_back(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct hmm_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	const unsigned long flags = v->flags | order_flags(form->back_where);
	struct thp_fixture *f = test->priv;
	unsigned long i;
	struct hmm_walk *walk;

	thp_fixture_add_peer(f);
	f->write = v->write;
	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	walk = walk_init(test, f->peer, f->addr, f->addr + c->nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, 0, v->unlocked ? walk_range_unlocked(test, walk, v->request) :
			walk_range(test, walk, v->request));
	KUNIT_EXPECT_EQ(test, walk->calls, v->calls);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	for (i = 0; i < form->back_folios; i++) {
		unsigned long entry = i << form->back_order;
		struct folio *folio = thp_fixture_folio_at(f, f->addr + entry * PAGE_SIZE);

		KUNIT_EXPECT_NOT_NULL_MSG(test, folio, "page %lu", entry);
		if (!folio)
			break;
		KUNIT_EXPECT_FALSE_MSG(test, folio_is_zone_device(folio), "page %lu", entry);
		expect_pfns(test, walk, entry, entry + (1UL << form->back_order),
			    folio_pfn(folio), flags);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_fixture_track(f, f->first, form->order, f->addr);
	thp_fixture_read_back(f, form->order, "read after the fault");
}

/* Test that a fault that the device can't serve is an error, and loses nothing. */
static void foreign_folio_without_destination_returns_efault(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct page *first;
	struct hmm_walk *walk;
	struct thp_state want;

	thp_fixture_add_peer(f);
	first = &thp_fixture_place(f, form)->page;
	fake_zdev_set_fault_order(f->zdev, form->order);
	fake_zdev_fail_from(f->zdev, FAKE_ZDEV_POINT_RAM_ALLOC, 1);
	walk = walk_init(test, f->peer, f->addr, f->addr + (PAGE_SIZE << form->order));
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, HMM_PFN_REQ_FAULT), -EFAULT);
	thp_want_small_device(f, &want, form);
	thp_ledger_expect_each(f, first, form->back_folios, &want, "EFAULT");
}

static int inside_pte_params_init(struct kunit *test)
{
	return thp_cases_init(test, THP_LARGE_PTE_FORMS, NULL, 0, 0, THP_TAIL_PAGES);
}

/**
 * struct inside_variant - a walk that starts inside of a PMD
 * @name: of the variant
 * @from: first page of the walk
 */
struct inside_variant {
	const char *name;
	unsigned long from;
};

static int inside_pmd_params_init(struct kunit *test)
{
	static const struct inside_variant variants[] = {
		{ "from1", 1 },
		{ "from2", 2 },
		{ "from16", 16 },
		/* As far as lib/test_hmm.c walks at a time */
		{ "from32", 32 },
		{ "from255", 255 },
		{ "from256", 256 },
		{ "from511", 511 },
	};

	return thp_cases_init(test, THP_PMD_FORM, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/* Test that a walk that starts inside of a PTE-mapped folio gets its pages. */
static void walk_from_inside_of_ptes_reports_those_pages(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, &c->form);
	unsigned long nr = 1UL << c->form.order;
	struct hmm_walk *walk;

	walk = walk_init(test, f->zdev, f->addr + c->from * PAGE_SIZE,
			 f->addr + nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, 0), 0);
	expect_pfns(test, walk, 0, walk->nr, folio_pfn(folio) + c->from, WRITABLE);
}

/*
 * Test the same of a PMD. hmm_vma_handle_absent_pmd() starts with the pfn of the
 * head wherever the walk starts, so the driver gets pages that are not those of
 * its addresses (known bug LB1). hmm_vma_handle_pmd() does it right.
 */
static void walk_from_inside_of_pmd_reports_those_pages(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct inside_variant *v = c->variant;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, &c->form);
	struct hmm_walk *walk;
	unsigned long first;

	walk = walk_init(test, f->zdev, f->addr + v->from * PAGE_SIZE,
			 f->addr + HPAGE_PMD_SIZE);
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, 0), 0);
	first = (walk->pfns[0] & ~HMM_PFN_FLAGS) - folio_pfn(folio);
	thp_known_bug(test, "LB1", first, v->from, 0, "page of the folio at the first address");
	/* Whichever is the first, the others follow. */
	expect_pfns(test, walk, 0, walk->nr, folio_pfn(folio) + first,
		    WRITABLE | order_flags(THP_PMD));
}

/*
 * Test that a request to write makes own pages writable or fails, as it does for
 * any other page. But read-only entries of the own device are reported before
 * the request is looked at (known bug LB21): success, without HMM_PFN_WRITE.
 */
static void write_request_for_own_read_only_folio_gives_writable_pages(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long nr = 1UL << form->order, i, writable = 0;
	struct folio *folio;
	struct hmm_walk *walk;

	f->write = false;
	folio = thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	walk = walk_init(test, f->zdev, f->addr, f->addr + nr * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, HMM_PFN_REQ_FAULT | HMM_PFN_REQ_WRITE), 0);
	for (i = 0; i < nr; i++)
		writable += (walk->pfns[i] & WRITABLE) == WRITABLE;
	thp_known_bug(test, "LB21", writable, nr, 0, "pages reported as writable");
	if (!writable)
		expect_pfns(test, walk, 0, nr, folio_pfn(folio),
			    READABLE | order_flags(form->where));
}

/**
 * struct hole_variant - who asks for a fault behind a folio of the device
 * @name: of the variant
 * @asks: page of the second PMD, which is not there; -1: none does
 */
struct hole_variant {
	const char *name;
	int asks;
};

static int hole_params_init(struct kunit *test)
{
	static const struct hole_variant variants[] = {
		{ "nobody", -1 },
		{ "first", 0 },
		{ "inside", 77 },
		{ "last", HPAGE_PMD_NR - 1 },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/*
 * Test that a missing page table is filled, all of it, if one of its own entries
 * asks for a fault, and left alone if none does, whatever is mapped before it.
 */
static void hole_is_faulted_if_one_of_its_entries_asks(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct hole_variant *v = c->variant;
	struct thp_fixture *f = test->priv;
	unsigned long i, valid = 0;
	struct folio *folio;
	struct hmm_walk *walk;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	thp_fixture_prepare_anon_vma(f);
	folio = thp_fixture_place(f, &c->form);
	walk = walk_init(test, f->zdev, f->addr, f->addr + 2 * HPAGE_PMD_SIZE);
	walk->range.pfn_flags_mask = HMM_PFN_REQ_FAULT;
	if (v->asks >= 0)
		walk->pfns[HPAGE_PMD_NR + v->asks] = HMM_PFN_REQ_FAULT;
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, 0), 0);
	expect_pfns(test, walk, 0, c->nr, folio_pfn(folio),
		    WRITABLE | order_flags(c->form.where));
	expect_pfns(test, walk, c->nr, HPAGE_PMD_NR, 0, 0);
	for (i = HPAGE_PMD_NR; i < 2 * HPAGE_PMD_NR; i++)
		valid += !!(walk->pfns[i] & HMM_PFN_VALID);
	KUNIT_EXPECT_EQ(test, valid, v->asks < 0 ? 0 : HPAGE_PMD_NR);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
}

/* Test that pages under migration are not there for one who only looks. */
static void folio_under_migration_is_not_reported(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	unsigned long nr = 1UL << form->order;
	struct hmm_walk *walk;

	thp_fixture_unmap(f, folio, 0);
	walk = walk_init(test, f->zdev, f->addr, f->addr + nr * PAGE_SIZE);
	memset(walk->pfns, 0xff, walk->nr * sizeof(*walk->pfns));
	KUNIT_EXPECT_EQ(test, walk_range(test, walk, 0), 0);
	expect_pfns(test, walk, 0, nr, 0,
		    HMM_PFN_DMA_MAPPED | HMM_PFN_P2PDMA | HMM_PFN_P2PDMA_BUS);
	thp_fixture_remap(f, folio);
}

static struct kunit_case device_private_thp_hmm_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(own_folio_is_reported_without_a_fault,
				   kunit_array_gen_params, own_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(foreign_folio_of_ptes_is_not_reported,
				   kunit_array_gen_params, thp_pte_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(foreign_folio_of_pmd_is_an_error,
				   kunit_array_gen_params, thp_pmd_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(foreign_folio_is_faulted_back,
				   kunit_array_gen_params, foreign_fault_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(foreign_folio_without_destination_returns_efault,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(walk_from_inside_of_ptes_reports_those_pages,
				   kunit_array_gen_params, inside_pte_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(walk_from_inside_of_pmd_reports_those_pages,
				   kunit_array_gen_params, inside_pmd_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(write_request_for_own_read_only_folio_gives_writable_pages,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(folio_under_migration_is_not_reported,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(hole_is_faulted_if_one_of_its_entries_asks,
				   kunit_array_gen_params, hole_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_hmm_suite = {
	.name = "device_private_thp_hmm",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_hmm_cases,
};

kunit_test_suite(device_private_thp_hmm_suite);

MODULE_DESCRIPTION("KUnit tests: hmm_range_fault() over device-private THPs");
MODULE_LICENSE("GPL");
