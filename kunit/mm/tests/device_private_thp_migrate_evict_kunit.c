// SPDX-License-Identifier: GPL-2.0-only
/*
 * Eviction: migrate_device_range() and migrate_device_pfns(), which know device
 * pages by pfn and no mm, with migrate_device_pages() and
 * migrate_device_finalize() after them. Unlike migrate_vma_*() they move folios
 * of any order as a whole.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/swap.h>

#include "../internal.h"
#include "thp_known_bug.h"
#include "thp_migrate_model.h"

#define NR	HPAGE_PMD_NR

/**
 * struct evict - an eviction under way
 * @pfn: of the first page
 * @nr: number of pages
 * @src: sources, by page
 * @dst: destinations, by page
 * @want: what @src must be
 */
struct evict {
	unsigned long pfn;
	unsigned long nr;
	unsigned long *src;
	unsigned long *dst;
	unsigned long *want;
};

static struct evict *evict_init(struct kunit *test, unsigned long pfn, unsigned long nr)
{
	struct evict *e = kunit_kzalloc(test, sizeof(*e), GFP_KERNEL);
	unsigned long *arrays = kunit_kcalloc(test, 3 * nr, sizeof(*arrays), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, e);
	KUNIT_ASSERT_NOT_NULL(test, arrays);
	e->pfn = pfn;
	e->nr = nr;
	e->src = arrays;
	e->dst = arrays + nr;
	e->want = arrays + 2 * nr;
	return e;
}

/* One of the two ways to say which pages */
static int evict_setup(struct evict *e, bool by_pfns)
{
	unsigned long i;

	if (!by_pfns)
		return migrate_device_range(e->src, e->pfn, e->nr);
	for (i = 0; i < e->nr; i++)
		e->src[i] = e->pfn + i;
	return migrate_device_pfns(e->src, e->nr);
}

static void expect_src(struct kunit *test, const struct evict *e, const char *step)
{
	unsigned long i;

	for (i = 0; i < e->nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, e->src[i], e->want[i], "%s: src[%lu]", step, i);
}

/* The page of the window that a device page is mapped at, or NULL */
static struct thp_model_page *place_of(struct thp_model *model, struct page *page)
{
	unsigned long i;

	for (i = 0; i < THP_MODEL_PAGES; i++)
		if (model->pages[i].page == page)
			return &model->pages[i];
	return NULL;
}

/* What setup must find: heads of folios that are whole in the range, and not pinned */
static void model_setup(struct thp_model *model, struct evict *e)
{
	unsigned long i, n;

	for (i = 0; i < e->nr; i++) {
		struct thp_model_page *p = place_of(model, pfn_to_page(e->pfn + i));

		if (!p || p->head != p - model->pages || i + (1UL << p->order) > e->nr)
			continue;
		if (p->pins > 1)
			continue;
		e->want[i] = migrate_pfn(e->pfn + i) | MIGRATE_PFN_MIGRATE |
			     (p->order ? MIGRATE_PFN_COMPOUND : 0);
		for (n = 0; n < 1UL << p->order; n++)
			p[n].migrating = true;
	}
}

/**
 * enum evict_policy - destinations
 * @AS_SOURCE: of the order of the source
 * @SMALL: of order 0: for a large source this is no destination, because there is
 *	no VMA whose PMD could be split
 * @NONE: nothing
 */
enum evict_policy { AS_SOURCE, SMALL, NONE };

/* Allocate destinations in system memory, and copy; say what becomes of them */
static void evict_copy(struct thp_model *model, struct evict *e, enum evict_policy policy)
{
	struct thp_fixture *f = model->f;
	unsigned long i, n;

	for (i = 0; i < e->nr; i++) {
		struct page *page = migrate_pfn_to_page(e->src[i]);
		unsigned int order = policy == AS_SOURCE && page ? compound_order(page) : 0;
		struct thp_model_page *p;
		struct folio *dst;

		if (!page)
			continue;
		p = place_of(model, page);
		if (policy == NONE || order != p->order || p->pins) {
			e->want[i] &= ~MIGRATE_PFN_MIGRATE;
			if (policy == SMALL && p->order)
				e->want[i] &= ~MIGRATE_PFN_COMPOUND;
		}
		if (policy == NONE)
			continue;
		dst = vma_alloc_folio(GFP_HIGHUSER_MOVABLE, order, f->vma, f->addr);
		if (!dst) {
			KUNIT_FAIL(f->test, "no folio of order %u", order);
			continue;
		}
		folio_lock(dst);
		e->dst[i] = migrate_pfn(folio_pfn(dst)) | (order ? MIGRATE_PFN_COMPOUND : 0);
		for (n = 0; n < 1UL << order; n++)
			memcpy(page_address(folio_page(dst, n)), fake_zdev_data(f->zdev, page + n),
			       PAGE_SIZE);
		if (!(e->want[i] & MIGRATE_PFN_MIGRATE))
			continue;
		for (n = 0; n < 1UL << order; n++) {
			p[n].dst = folio_page(dst, n);
			p[n].dst_what = THP_SYSTEM;
			p[n].dst_order = order;
		}
	}
}

/* Each folio is mapped as its source was: by a PMD or by PTEs. */
static void model_finalize(struct thp_model *model)
{
	unsigned long i;

	for (i = 0; i < THP_MODEL_PAGES; i++) {
		struct thp_model_page *p = &model->pages[i];

		p->migrating = false;
		if (!p->dst)
			continue;
		p->page = p->dst;
		p->what = THP_SYSTEM;
		p->dst = NULL;
	}
}

/**
 * struct evict_param - a device with some folios, and an eviction
 * @name: description, or NULL
 * @one: what it is a case of if it has no name
 * @pieces: folios, in the order in which they are allocated
 * @policy: destinations
 * @start: first page of the range: index in the device
 * @nr: number of pages
 * @nr_picked: number of folios that setup must pick
 */
struct evict_param {
	const char *name;
	const struct evict_one *one;
	struct thp_piece pieces[THP_MAX_PIECES];
	enum evict_policy policy;
	unsigned long start, nr;
	unsigned int nr_picked;
};

static const struct evict_param evict_params[] = {
	{ "order9_by_ptes", NULL, { { THP_DEVICE, 9, 0, true } }, AS_SOURCE, 0, NR, 1 },
	{ "order0_pinned", NULL, { { THP_DEVICE, 0, 0, false, 1 } }, AS_SOURCE, 0, 1, 1 },
	{ "order0_pinned_twice", NULL, { { THP_DEVICE, 0, 0, false, 2 } }, AS_SOURCE, 0, 1, 0 },
	{ "order4_pinned", NULL, { { THP_DEVICE, 4, 0, false, 1 } }, AS_SOURCE, 0, 16, 1 },
	{ "order4_pinned_twice", NULL, { { THP_DEVICE, 4, 0, false, 2 } }, AS_SOURCE, 0, 16, 0 },
	{ "order9_pinned", NULL, { { THP_DEVICE, 9, 0, false, 1 } }, AS_SOURCE, 0, NR, 1 },
	{ "order9_pinned_twice", NULL, { { THP_DEVICE, 9, 0, false, 2 } }, AS_SOURCE, 0, NR, 0 },
	{ "free_pages", NULL, {}, AS_SOURCE, 0, 2048, 0 },
	{ "whole_device", NULL, { { THP_DEVICE, 9, 0 }, { THP_DEVICE, 4, NR },
			    { THP_DEVICE, 0, NR + 16 }, { THP_DEVICE, 2, NR + 32 } },
	  AS_SOURCE, 0, 2048, 4 },
	{ "whole_device_small", NULL, { { THP_DEVICE, 9, 0 }, { THP_DEVICE, 4, NR },
				  { THP_DEVICE, 0, NR + 16 }, { THP_DEVICE, 2, NR + 32 } },
	  SMALL, 0, 2048, 4 },
	{ "row_of_pages", NULL, { { THP_DEVICE, 0, 0 }, { THP_DEVICE, 0, 7 }, { THP_DEVICE, 0, 3 },
			    { THP_DEVICE, 0, 2 } },
	  AS_SOURCE, 0, 8, 4 },
	/* The range ends inside of the second one. */
	{ "order0_cut_order4", NULL, { { THP_DEVICE, 0, 0 }, { THP_DEVICE, 4, 16 } },
	  AS_SOURCE, 0, 24, 1 },
	{ "order4_cut_order4", NULL, { { THP_DEVICE, 4, 0 }, { THP_DEVICE, 4, 16 } },
	  AS_SOURCE, 0, 31, 1 },
	{ "order4_cut_order9", NULL, { { THP_DEVICE, 4, 0 }, { THP_DEVICE, 9, NR } },
	  AS_SOURCE, 0, NR + 100, 1 },
};

/**
 * struct evict_one - how one folio at the start of the device is evicted, whatever
 *	its order
 * @name: for the description
 * @policy: destinations
 * @start: first page of the range
 * @cut: pages that are missing at its end. A range that does not have all of a
 *	folio does not get it.
 * @nr_picked: number of folios that setup must pick
 */
struct evict_one {
	const char *name;
	enum evict_policy policy;
	unsigned long start, cut;
	unsigned int nr_picked;
};

static const struct evict_one evict_ones[] = {
	{ "as_source", AS_SOURCE, 0, 0, 1 },
	{ "none", NONE, 0, 0, 1 },
	/* From here on: not for order 0 */
	{ "small", SMALL, 0, 0, 1 },
	{ "without_last_page", AS_SOURCE, 0, 1, 0 },
	{ "without_head", AS_SOURCE, 1, 0, 0 },
};

#define NR_ONES_OF_ORDER0	2

static void evict_desc(struct kunit *test, const void *param, char *desc)
{
	const struct evict_param *p = param;

	if (p->name)
		strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
	else
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_%s", p->pieces[0].order,
			 p->one->name);
}

static struct evict_param param_of(const struct evict_one *one, unsigned int order)
{
	return (struct evict_param) {
		.one = one,
		.pieces = { { THP_DEVICE, order } },
		.policy = one->policy,
		.start = one->start,
		.nr = (1UL << order) - one->cut - one->start,
		.nr_picked = one->nr_picked,
	};
}

static int evict_params_init(struct kunit *test)
{
	const unsigned int max = ARRAY_SIZE(evict_params) +
				 ARRAY_SIZE(evict_ones) * THP_NR_ORDERS;
	struct evict_param *params = kunit_kcalloc(test, max, sizeof(*params), GFP_KERNEL);
	unsigned int order, i, nr = ARRAY_SIZE(evict_params);

	KUNIT_ASSERT_NOT_NULL(test, params);
	memcpy(params, evict_params, sizeof(evict_params));
	for (i = 0; i < NR_ONES_OF_ORDER0; i++)
		params[nr++] = param_of(&evict_ones[i], 0);
	for (order = 2; order <= HPAGE_PMD_ORDER; order++)
		for (i = 0; i < ARRAY_SIZE(evict_ones); i++)
			params[nr++] = param_of(&evict_ones[i], order);
	kunit_register_params_array(test, params, nr, evict_desc);
	return 0;
}

static int evict_pfns_params_init(struct kunit *test)
{
	return evict_params_init(test);
}

static void evict_and_check(struct kunit *test, bool by_pfns)
{
	const struct evict_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_model *model;
	unsigned long i, picked = 0;
	struct evict *e;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, p->pieces);
	e = evict_init(test, page_to_pfn(fake_zdev_page(f->zdev, p->start)), p->nr);
	thp_model_expect(model, "before");
	KUNIT_EXPECT_EQ(test, evict_setup(e, by_pfns), 0);
	model_setup(model, e);
	expect_src(test, e, "setup");
	for (i = 0; i < e->nr; i++)
		picked += !!e->src[i];
	KUNIT_EXPECT_EQ(test, picked, p->nr_picked);
	thp_model_expect(model, "setup");

	evict_copy(model, e, p->policy);
	migrate_device_pages(e->src, e->dst, e->nr);
	expect_src(test, e, "pages");
	thp_model_expect(model, "pages");

	migrate_device_finalize(e->src, e->dst, e->nr);
	model_finalize(model);
	lru_add_drain();
	thp_model_expect(model, "finalize");
	thp_layout_unpin(model);
	thp_layout_read_back(model);
}

/*
 * Test that migrate_device_range() picks each folio of the device that is whole in
 * the range, of any order, and that it arrives in system memory if it gets a
 * destination of its own order, and stays mapped as it was if not.
 */
static void range_of_device_is_evicted_folio_by_folio(struct kunit *test)
{
	evict_and_check(test, false);
}

/* Test that migrate_device_pfns() does the same with a list of pfns. */
static void pfns_of_device_are_evicted_folio_by_folio(struct kunit *test)
{
	evict_and_check(test, true);
}

/**
 * struct locked_param - a folio that somebody has locked
 * @order: its order
 */
static const unsigned int locked_orders[] = { 0, 2, 4, 9 };

static void locked_desc(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u", *(const unsigned int *)param);
}

static int locked_params_init(struct kunit *test)
{
	kunit_register_params_array(test, locked_orders, ARRAY_SIZE(locked_orders), locked_desc);
	return 0;
}

/* Test that a folio that somebody else has locked is left alone. */
static void locked_folio_is_not_picked(struct kunit *test)
{
	const unsigned int order = *(const unsigned int *)test->param_value;
	const struct thp_piece pieces[] = { { THP_DEVICE, order }, {} };
	struct thp_fixture *f = test->priv;
	struct thp_model *model;
	struct folio *folio;
	struct evict *e;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	folio = page_folio(model->pages[0].page);
	e = evict_init(test, folio_pfn(folio), 1UL << order);
	folio_lock(folio);
	KUNIT_EXPECT_EQ(test, migrate_device_range(e->src, e->pfn, e->nr), 0);
	/* A large one is marked as such, without a pfn: nothing to migrate. */
	e->want[0] = order ? MIGRATE_PFN_COMPOUND : 0;
	expect_src(test, e, "setup");
	migrate_device_pages(e->src, e->dst, e->nr);
	migrate_device_finalize(e->src, e->dst, e->nr);
	folio_unlock(folio);
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
}

/* Test that a THP that two mms share goes to both of them. */
static void shared_thp_is_evicted_from_both_mms(struct kunit *test)
{
	static const struct thp_piece pieces[] = { { THP_DEVICE, 9 }, {} };
	struct thp_fixture *f = test->priv;
	struct thp_model *model;
	struct mm_struct *child;
	struct folio *dst;
	struct evict *e;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	child = thp_fixture_fork(f);
	e = evict_init(test, page_to_pfn(model->pages[0].page), NR);
	KUNIT_EXPECT_EQ(test, migrate_device_range(e->src, e->pfn, e->nr), 0);
	e->want[0] = migrate_pfn(e->pfn) | MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND;
	expect_src(test, e, "setup");
	evict_copy(model, e, AS_SOURCE);
	migrate_device_pages(e->src, e->dst, e->nr);
	expect_src(test, e, "pages");
	migrate_device_finalize(e->src, e->dst, e->nr);
	lru_add_drain();

	dst = page_folio(migrate_pfn_to_page(e->dst[0]));
	KUNIT_EXPECT_PTR_EQ(test, thp_fixture_folio_at(f, f->addr), dst);
	KUNIT_EXPECT_EQ(test, folio_ref_count(dst), 2);
	KUNIT_EXPECT_EQ(test, folio_mapcount(dst), 2);
	KUNIT_EXPECT_EQ(test, folio_entire_mapcount(dst), 2);
	KUNIT_EXPECT_FALSE(test, PageAnonExclusive(&dst->page));
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "finalize");
	thp_fixture_end_child(f, child);
	model_finalize(model);
	thp_layout_read_back(model);
}

/**
 * struct stale_param - a page behind pages that are no head of a folio in use
 * @name: description
 * @old_order: of a folio that was allocated at index 0, and freed; 0: none
 * @lead: order of a folio that is in use at index 0; 0: none
 * @idx: index of the page in use
 * @start: first page of the range: index in the device
 * @nr: number of pages
 * @is_hidden: LB12 hides it
 */
struct stale_param {
	const char *name;
	unsigned int old_order, lead;
	unsigned long idx, start, nr;
	bool is_hidden;
};

/*
 * LB12: the loops skip as many pages as the folio of a page has, even if they could
 * not lock it. If it is free, its order is that of its last life; and if the page
 * is a tail, they skip past the end of the folio.
 */
static const struct stale_param stale_params[] = {
	{ "free_order2", 2, 0, 1, 0, 4, true },
	{ "free_order4", 4, 0, 5, 0, 16, true },
	{ "free_order9", 9, 0, 5, 0, NR, true },
	{ "free_order9_last_page", 9, 0, NR - 1, 0, NR, true },
	{ "free_order9_short_range", 9, 0, 5, 0, 8, true },
	{ "behind_free_order9", 9, 0, NR, 0, 2 * NR, false },
	{ "order2_from_tail", 0, 2, 4, 1, 8, true },
	{ "order2_from_tail_next_page", 0, 2, 5, 1, 8, false },
	{ "order4_from_tail", 0, 4, 18, 3, 40, true },
	{ "order4_from_tail_next_page", 0, 4, 19, 3, 40, false },
	{ "order9_from_tail", 0, 9, NR + 99, 100, 2 * NR, true },
	{ "order9_from_tail_next_page", 0, 9, NR + 100, 100, 2 * NR, false },
	{ "order9_from_tail_short_range", 0, 9, NR, NR - 1, 2, true },
};

static void stale_desc(struct kunit *test, const void *param, char *desc)
{
	const struct stale_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int stale_params_init(struct kunit *test)
{
	kunit_register_params_array(test, stale_params, ARRAY_SIZE(stale_params), stale_desc);
	return 0;
}

static int stale_pfns_params_init(struct kunit *test)
{
	return stale_params_init(test);
}

/* A folio at index @idx of the device, mapped at page @place of the window */
static struct page *put_at(struct thp_fixture *f, unsigned long idx, unsigned int order,
			   unsigned long place)
{
	struct folio *folio = fake_zdev_alloc_at(f->zdev, idx, order);

	KUNIT_ASSERT_NOT_NULL(f->test, folio);
	thp_fixture_hold(f, folio);
	thp_fixture_track(f, &folio->page, order, f->addr + place * PAGE_SIZE);
	thp_fixture_fill_device(f, folio);
	thp_fixture_insert(f, folio);
	return &folio->page;
}

static void find_hidden_page(struct kunit *test, bool by_pfns)
{
	const struct stale_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *old;
	struct page *page;
	struct evict *e;
	s64 want;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	thp_fixture_prepare_anon_vma(f);
	if (p->old_order) {
		old = fake_zdev_alloc_at(f->zdev, 0, p->old_order);
		KUNIT_ASSERT_NOT_NULL(test, old);
		fake_zdev_release(old);
	}
	if (p->lead)
		put_at(f, 0, p->lead, 0);
	page = put_at(f, p->idx, 0, NR);
	want = migrate_pfn(page_to_pfn(page)) | MIGRATE_PFN_MIGRATE;

	e = evict_init(test, page_to_pfn(fake_zdev_page(f->zdev, p->start)), p->nr);
	KUNIT_EXPECT_EQ(test, evict_setup(e, by_pfns), 0);
	if (p->is_hidden)
		thp_known_bug(test, "LB12", e->src[p->idx - p->start], want, 0,
			      "entry of the page in use");
	else
		KUNIT_EXPECT_EQ(test, e->src[p->idx - p->start], want);
	migrate_device_pages(e->src, e->dst, e->nr);
	migrate_device_finalize(e->src, e->dst, e->nr);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "finalize");
}

/*
 * Test that migrate_device_range() finds a page in use behind pages that belong to
 * no folio any more, or behind the rest of a folio whose head is not in the range.
 */
static void range_finds_page_behind_stale_or_cut_folio(struct kunit *test)
{
	find_hidden_page(test, false);
}

/* Test that migrate_device_pfns() does, too. */
static void pfns_find_page_behind_stale_or_cut_folio(struct kunit *test)
{
	find_hidden_page(test, true);
}

static struct kunit_case device_private_thp_migrate_evict_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(range_of_device_is_evicted_folio_by_folio,
				   kunit_array_gen_params, evict_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pfns_of_device_are_evicted_folio_by_folio,
				   kunit_array_gen_params, evict_pfns_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(locked_folio_is_not_picked, kunit_array_gen_params,
				   locked_params_init, NULL),
	KUNIT_CASE(shared_thp_is_evicted_from_both_mms),
	KUNIT_CASE_PARAM_WITH_INIT(range_finds_page_behind_stale_or_cut_folio,
				   kunit_array_gen_params, stale_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pfns_find_page_behind_stale_or_cut_folio,
				   kunit_array_gen_params, stale_pfns_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_evict_suite = {
	.name = "device_private_thp_migrate_evict",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_evict_cases,
};

kunit_test_suite(device_private_thp_migrate_evict_suite);

MODULE_DESCRIPTION("KUnit tests: migrate_device_range() and migrate_device_pfns()");
MODULE_LICENSE("GPL");
