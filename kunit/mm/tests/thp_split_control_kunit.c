// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control group: __folio_split() does the same to a device-private folio, to
 * ordinary anonymous memory and to shmem, but for what the model of each says.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/page_ref.h>
#include <linux/printk.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "../internal.h"

#include "thp_fixture_system.h"
#include "thp_known_bug.h"
#include "thp_split_unmapped.h"

/**
 * struct control_kind - a kind of memory
 * @name: name
 * @make: maps a folio of the order given, by a PMD if it has that order
 * @want: what the ledger must find of it
 * @parts: where the parts are after the split: mapped as before, or, if they can
 *	be found in the page cache, in no page table at all
 * @split_deferred: MTHP_STAT_SPLIT_DEFERRED of the folio: try_to_migrate() unmaps
 *	it page by page, which looks like a partial unmap until the last one; but
 *	device folios are never deferred
 * @deferred_pmd: a PMD-mapped one waits for deferred_split_scan() from the start
 * @fault_allocs: THP_FAULT_ALLOC of a PMD-mapped one
 * @of_pmd: flags that splitting the PMD gives it: what the PMD knew of it
 *	(__split_huge_pmd_locked())
 * @of_ptes: flags that unmapping the PTEs gives it: what they knew of it
 * @zero_pages: pages that hold nothing but zeroes are replaced by the zero page
 * @listed: the parts but for the first are put on the list that was passed
 */
struct control_kind {
	const char *name;
	struct folio *(*make)(struct thp_fixture *f, unsigned int order);
	void (*want)(const struct thp_fixture *f, struct thp_state *want,
		     unsigned int order, enum thp_where where);
	enum thp_where parts;
	unsigned int split_deferred;
	unsigned int deferred_pmd;
	unsigned int fault_allocs;
	unsigned long of_pmd;
	unsigned long of_ptes;
	bool zero_pages;
	bool listed;
};

static struct folio *make_device(struct thp_fixture *f, unsigned int order)
{
	struct folio *folio = thp_fixture_alloc(f, order);

	thp_fixture_insert(f, folio);
	return folio;
}

static const struct control_kind
	device = {
		.name = "device",
		.make = make_device,
		.want = thp_want,
		.parts = THP_PTES,
	},
	anon = {
		.name = "anon",
		.make = thp_fixture_touch,
		.want = thp_want_present,
		.parts = THP_PTES,
		.split_deferred = 1,
		.deferred_pmd = 1,
		.fault_allocs = 1,
		.of_pmd = BIT(PG_dirty),
		.of_ptes = BIT(PG_dirty),
		.zero_pages = true,
		.listed = true,
	},
	shmem = {
		.name = "shmem",
		.make = thp_fixture_touch_shmem,
		.want = thp_want_shmem,
		.parts = THP_UNMAPPED,
		.of_pmd = BIT(PG_dirty) | BIT(PG_referenced),
		.of_ptes = BIT(PG_dirty),
		.listed = true,
	};

/**
 * struct control_param - one split of one kind of folio
 * @kind: the kind
 * @pair: the orders
 */
struct control_param {
	const struct control_kind *kind;
	struct thp_split_pair pair;
};

/* Files can have folios of order 1, and be split to it. The last row is of a PMD. */
static const struct thp_split_pair order_1_pairs[] = {
	{ 1, 0 },
	{ 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 }, { 6, 1 }, { 7, 1 }, { 8, 1 },
	{ 9, 1 },
};

/**
 * struct control_rows - rows of a test: one kind of folio, some splits
 * @kind: the kind
 * @pairs: the splits
 * @nr_pairs: number of them
 */
struct control_rows {
	const struct control_kind *kind;
	const struct thp_split_pair *pairs;
	unsigned int nr_pairs;
};

/* In thp_split_pairs, those of the order that has a PMD are the last ones. */
#define NR_PMD_PAIRS	8
#define NR_PTE_PAIRS	(THP_NR_SPLIT_PAIRS - NR_PMD_PAIRS)
#define PMD_PAIRS	(thp_split_pairs + NR_PTE_PAIRS)

static const struct control_rows pte_rows[] = {
	{ &device, thp_split_pairs, NR_PTE_PAIRS },
	{ &anon, thp_split_pairs, NR_PTE_PAIRS },
	{ &shmem, thp_split_pairs, NR_PTE_PAIRS },
	{ &shmem, order_1_pairs, ARRAY_SIZE(order_1_pairs) - 1 },
};

static const struct control_rows pmd_rows[] = {
	{ &device, PMD_PAIRS, NR_PMD_PAIRS },
	{ &anon, PMD_PAIRS, NR_PMD_PAIRS },
	{ &shmem, PMD_PAIRS, NR_PMD_PAIRS },
	{ &shmem, order_1_pairs + ARRAY_SIZE(order_1_pairs) - 1, 1 },
};

/* A file mapping loses its PMD rather than splitting it into PTEs. */
static const struct control_rows pte_of_pmd_rows[] = {
	{ &device, PMD_PAIRS, NR_PMD_PAIRS },
	{ &anon, PMD_PAIRS, NR_PMD_PAIRS },
};

static const struct thp_split_pair to_0_pairs[] = {
	{ 1, 0 }, { 2, 0 }, { 3, 0 }, { 4, 0 }, { 5, 0 }, { 6, 0 }, { 7, 0 }, { 8, 0 }, { 9, 0 },
};

static const struct control_rows zeroes_rows[] = {
	{ &device, to_0_pairs + 1, ARRAY_SIZE(to_0_pairs) - 1 },
	{ &anon, to_0_pairs + 1, ARRAY_SIZE(to_0_pairs) - 1 },
};

static const struct control_rows cache_rows[] = {
	{ &shmem, thp_split_pairs, THP_NR_SPLIT_PAIRS },
	{ &shmem, order_1_pairs, ARRAY_SIZE(order_1_pairs) },
};

static void control_desc(struct kunit *test, const void *param, char *desc)
{
	const struct control_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_order%u_to_%u", p->kind->name,
		 p->pair.old_order, p->pair.new_order);
}

/* Parameters of a test: all of @rows, one by one. @test is that of all of them. */
static int register_rows(struct kunit *test, const struct control_rows *rows,
			 unsigned int nr_rows)
{
	struct control_param *params;
	unsigned int nr = 0, i, j;

	for (i = 0; i < nr_rows; i++)
		nr += rows[i].nr_pairs;
	params = kunit_kcalloc(test, nr, sizeof(*params), GFP_KERNEL);
	if (!params)
		return -ENOMEM;
	kunit_register_params_array(test, params, nr, control_desc);
	for (i = 0; i < nr_rows; i++)
		for (j = 0; j < rows[i].nr_pairs; j++)
			*params++ = (struct control_param) { rows[i].kind, rows[i].pairs[j] };
	return 0;
}

static int by_ptes_init(struct kunit *test)
{
	return register_rows(test, pte_rows, ARRAY_SIZE(pte_rows));
}

static int by_pmd_init(struct kunit *test)
{
	return register_rows(test, pmd_rows, ARRAY_SIZE(pmd_rows));
}

static int by_ptes_of_pmd_init(struct kunit *test)
{
	return register_rows(test, pte_of_pmd_rows, ARRAY_SIZE(pte_of_pmd_rows));
}

static int zeroes_init(struct kunit *test)
{
	return register_rows(test, zeroes_rows, ARRAY_SIZE(zeroes_rows));
}

static int in_cache_init(struct kunit *test)
{
	return register_rows(test, cache_rows, ARRAY_SIZE(cache_rows));
}

/* Counters of events that a row of folios has, whatever it is a row of */
static void copy_events(struct thp_state *to, const struct thp_state *from)
{
	memcpy(to->split, from->split, sizeof(to->split));
	memcpy(to->split_failed, from->split_failed, sizeof(to->split_failed));
	memcpy(to->split_deferred, from->split_deferred, sizeof(to->split_deferred));
	to->ev_split_pmd = from->ev_split_pmd;
	to->ev_split_page = from->ev_split_page;
	to->ev_split_failed = from->ev_split_failed;
	to->ev_deferred = from->ev_deferred;
	to->ev_fault_alloc = from->ev_fault_alloc;
}

/*
 * Split the tracked folio with the caller's reference and lock, which stay with
 * the first part, let go of that, and look at all parts.
 */
static void split_and_check(struct kunit *test, struct thp_state *want)
{
	const struct control_param *p = test->param_value;
	const struct control_kind *kind = p->kind;
	unsigned int old = p->pair.old_order, new = p->pair.new_order;
	struct thp_fixture *f = test->priv;
	struct thp_split_layout *layout = kunit_kzalloc(test, sizeof(*layout), GFP_KERNEL);
	struct folio *folio = page_folio(f->first);
	struct thp_state part;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, layout);
	thp_split_oracle_uniform(layout, old, new);
	folio_get(folio);
	folio_lock(folio);
	fake_zdev_clear_events(f->zdev);
	ret = split_huge_page_to_list_to_order(&folio->page, NULL, new);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_locked(folio), "first part");

	f->flags |= kind->of_ptes;
	kind->want(f, &part, new, kind->parts);
	KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(folio), part.refcount + 1, "first part");
	folio_unlock(folio);
	folio_put(folio);
	if (ret)
		return;

	thp_want_row(&part, layout->nr_parts);
	copy_events(&part, want);
	part.split[old]++;
	part.ev_split_page += old == HPAGE_PMD_ORDER;
	*want = part;
	thp_ledger_expect_each(f, f->first, layout->nr_parts, want, "__folio_split");
	thp_split_expect_layout(f, layout);
	if (kind == &device)
		thp_split_expect_calls(f, layout);
	else
		thp_split_expect_no_calls(f);
}

/* The folio as @kind->make() has it, which is either by PTEs or by a PMD */
static void make_and_check(struct kunit *test, struct thp_state *want, enum thp_where where)
{
	const struct control_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = p->kind->make(f, p->pair.old_order);

	p->kind->want(f, want, p->pair.old_order, where);
	if (where == THP_PMD) {
		want->deferred = p->kind->deferred_pmd;
		want->ev_fault_alloc = p->kind->fault_allocs;
	}
	thp_ledger_expect(f, folio, want, "mapped");
}

/* Test that a folio mapped by PTEs is split, and what becomes of the PTEs. */
static void mapped_by_ptes_splits(struct kunit *test)
{
	const struct control_param *p = test->param_value;
	struct thp_state want;

	make_and_check(test, &want, THP_PTES);
	want.split_deferred[p->pair.old_order] = p->kind->split_deferred;
	split_and_check(test, &want);
}

/* Test that a folio mapped by a PMD is split, with no mapping left out. */
static void mapped_by_pmd_splits(struct kunit *test)
{
	const struct control_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	make_and_check(test, &want, THP_PMD);
	want.ev_split_pmd++;
	f->flags |= p->kind->of_pmd;
	split_and_check(test, &want);
}

/* Test the same when the PMD was split before, and all PTEs are there. */
static void mapped_by_ptes_of_pmd_splits(struct kunit *test)
{
	const struct control_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want, ptes;

	make_and_check(test, &want, THP_PMD);
	thp_fixture_split_pmd(f, false);
	want.ev_split_pmd++;
	f->flags |= p->kind->of_pmd;
	p->kind->want(f, &ptes, p->pair.old_order, THP_PTES);
	ptes.deferred = want.deferred;
	copy_events(&ptes, &want);
	thp_ledger_expect(f, page_folio(f->first), &ptes, "split_huge_pmd_address");

	ptes.split_deferred[p->pair.old_order] = p->kind->split_deferred;
	ptes.ev_deferred = p->kind->split_deferred;
	split_and_check(test, &ptes);
}

/* How many of the parts, from the second on, are on @list, in their order */
static unsigned int count_listed(struct thp_fixture *f, struct list_head *list,
				 unsigned int new_order)
{
	unsigned int nr = 0;
	struct folio *folio;

	list_for_each_entry(folio, list, lru)
		if (&folio->page == f->first + ((nr + 1UL) << new_order))
			nr++;
	return nr;
}

/*
 * Test that parts of a folio that reclaim has isolated go to reclaim's list, and
 * not to the LRU, with a reference for it; and that device folios, whose lru is
 * their pgmap, go nowhere.
 */
static void parts_go_to_list(struct kunit *test)
{
	const struct control_param *p = test->param_value;
	unsigned int nr = 1U << (p->pair.old_order - p->pair.new_order);
	struct thp_fixture *f = test->priv;
	struct thp_state want, part;
	struct folio *folio, *next;
	LIST_HEAD(list);

	make_and_check(test, &want, THP_PTES);
	folio = page_folio(f->first);
	if (p->kind->listed)
		KUNIT_EXPECT_TRUE(test, folio_isolate_lru(folio));
	else
		folio_get(folio);
	folio_lock(folio);
	KUNIT_EXPECT_EQ(test, 0, split_huge_page_to_list_to_order(&folio->page, &list,
								  p->pair.new_order));
	folio_unlock(folio);
	KUNIT_EXPECT_EQ(test, count_listed(f, &list, p->pair.new_order),
			p->kind->listed ? nr - 1 : 0);
	KUNIT_EXPECT_EQ(test, list_count_nodes(&list), p->kind->listed ? nr - 1 : 0);

	f->flags |= p->kind->of_ptes;
	p->kind->want(f, &part, p->pair.new_order, p->kind->parts);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), part.refcount + 1);
	list_for_each_entry_safe(folio, next, &list, lru) {
		KUNIT_EXPECT_FALSE(test, folio_test_lru(folio));
		KUNIT_EXPECT_EQ(test, folio_ref_count(folio), part.refcount + 1);
		list_del(&folio->lru);
		folio_putback_lru(folio);
	}
	if (p->kind->listed)
		folio_putback_lru(page_folio(f->first));
	else
		folio_put(page_folio(f->first));
	lru_add_drain();

	thp_want_row(&part, nr);
	part.split[p->pair.old_order] = 1;
	part.split_deferred[p->pair.old_order] = p->kind->split_deferred;
	thp_ledger_expect_each(f, f->first, nr, &part, "all put back");
}

/*
 * Test that pages of anonymous memory that hold nothing but zeroes are given
 * back, and the zero page is mapped in their place; and that a device keeps what
 * it has: the kernel cannot look at it.
 */
static void zeroes_are_given_back(struct kunit *test)
{
	const struct control_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long nr = 1UL << p->pair.old_order, last = nr - 1;
	const unsigned long given = p->kind->zero_pages;
	struct folio *folio = p->kind->make(f, p->pair.old_order);
	struct page *page = f->first + last;
	struct folio *found;

	memset(folio_is_zone_device(folio) ? fake_zdev_data(f->zdev, page) : page_address(page),
	       0, PAGE_SIZE);
	folio_get(folio);
	folio_lock(folio);
	KUNIT_EXPECT_EQ(test, 0, split_huge_page_to_list_to_order(&folio->page, NULL,
								  p->pair.new_order));
	folio_unlock(folio);
	folio_put(folio);

	thp_ledger_capture_totals(f, &f->after);
	KUNIT_EXPECT_EQ(test, f->after.rss, nr - given);
	KUNIT_EXPECT_EQ(test, f->after.anon_mapped, nr - given);
	KUNIT_EXPECT_EQ(test, f->after.pmd_leaves, nr);
	found = thp_fixture_folio_at(f, f->addr + last * PAGE_SIZE);
	KUNIT_EXPECT_PTR_EQ(test, found, given ? page_folio(ZERO_PAGE(0)) : page_folio(page));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 1 - given);
	found = thp_fixture_folio_at(f, f->addr);
	KUNIT_EXPECT_PTR_EQ(test, found, page_folio(f->first));
}

/* Test that a folio that only the page cache knows is split there. */
static void in_page_cache_splits(struct kunit *test)
{
	const struct control_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = p->kind->make(f, p->pair.old_order);
	struct address_space *mapping = folio->mapping;
	unsigned long nr = 1UL << p->pair.old_order, i;
	struct thp_state want;

	thp_fixture_zap_shmem(f);
	p->kind->want(f, &want, p->pair.old_order, THP_UNMAPPED);
	thp_ledger_expect(f, folio, &want, "unmap_mapping_range");
	split_and_check(test, &want);
	for (i = 0; i < nr; i++) {
		struct folio *found = filemap_get_folio(mapping, i);

		KUNIT_EXPECT_PTR_EQ_MSG(test, found, page_folio(f->first + i), "index %lu", i);
		if (!IS_ERR(found))
			folio_put(found);
	}
	KUNIT_EXPECT_EQ(test, mapping->nrpages, nr);
}

/* Orders that are none to split to, and order 1, which is none for these two */
static const struct thp_split_pair impossible_pairs[] = {
	{ 2, 2 }, { 2, 3 }, { 5, 5 }, { 5, 6 }, { 8, 8 }, { 8, 9 },
};

static const struct control_rows refused_rows[] = {
	{ &device, order_1_pairs + 1, ARRAY_SIZE(order_1_pairs) - 2 },
	{ &anon, order_1_pairs + 1, ARRAY_SIZE(order_1_pairs) - 2 },
	{ &device, impossible_pairs, ARRAY_SIZE(impossible_pairs) },
	{ &anon, impossible_pairs, ARRAY_SIZE(impossible_pairs) },
	{ &shmem, impossible_pairs, ARRAY_SIZE(impossible_pairs) },
};

static int refused_init(struct kunit *test)
{
	return register_rows(test, refused_rows, ARRAY_SIZE(refused_rows));
}

/*
 * Test that orders that cannot be are refused before anything is touched, and
 * with a warning if it is the folio that cannot have them.
 */
static void impossible_order_returns_einval(struct kunit *test)
{
	const struct control_param *p = test->param_value;
	unsigned int old = p->pair.old_order, new = p->pair.new_order;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	struct folio *folio;
	int ret = 0;

	make_and_check(test, &want, THP_PTES);
	folio = page_folio(f->first);
	folio_get(folio);
	folio_lock(folio);
	want.refcount++;
	want.flags |= BIT(PG_locked);
	want.split_failed[old]++;
	thp_fixture_forget_warnings();
	kunit_warning_suppress(test) {
		ret = split_huge_page_to_list_to_order(&folio->page, NULL, new);
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, IS_ENABLED(CONFIG_DEBUG_VM) &&
						      new < old);
	}
	KUNIT_EXPECT_EQ(test, ret, -EINVAL);
	thp_ledger_expect(f, folio, &want, "__folio_split");
	thp_split_expect_no_calls(f);
	folio_unlock(folio);
	folio_put(folio);
}

static const struct control_rows shmem_to_0_rows[] = {
	{ &shmem, to_0_pairs, ARRAY_SIZE(to_0_pairs) },
};

static int shmem_to_0_init(struct kunit *test)
{
	return register_rows(test, shmem_to_0_rows, ARRAY_SIZE(shmem_to_0_rows));
}

/* The flag that nobody but the holder of the folio lock may set */
static void set_swapcache(struct fake_zdev *zdev, const struct fake_zdev_event *event, void *folio)
{
	if (event->type == FAKE_ZDEV_INVALIDATE)
		folio_set_swapcache(folio);
}

/*
 * Known bug, latent: that a folio is in the page cache and in the swap cache at
 * once makes __folio_freeze_and_split_unmapped() fail after it has frozen the
 * references and stopped to count it as a THP, and both stay so. No folio comes
 * there: with the references of both, freezing fails. So the flag alone appears,
 * in the window between __folio_split() counting references and freezing them.
 */
static void swapcache_in_window_is_refused(struct kunit *test)
{
	const struct control_param *p = test->param_value;
	unsigned int old = p->pair.old_order;
	struct thp_fixture *f = test->priv;
	struct folio *folio = p->kind->make(f, old);
	struct thp_state right, bug;
	int ret = 0;

	fake_zdev_watch(test, f->zdev, f->mm, f->addr, f->addr + HPAGE_PMD_SIZE);
	fake_zdev_set_hook(f->zdev, set_swapcache, folio);
	folio_get(folio);
	folio_lock(folio);
	thp_fixture_forget_warnings();
	kunit_warning_suppress(test) {
		suppress_printk = 1;
		ret = split_huge_page_to_list_to_order(&folio->page, NULL, p->pair.new_order);
		suppress_printk = 0;
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, IS_ENABLED(CONFIG_DEBUG_VM));
	}
	fake_zdev_set_hook(f->zdev, NULL, NULL);
	KUNIT_EXPECT_EQ(test, ret, -EINVAL);

	f->flags |= old == HPAGE_PMD_ORDER ? p->kind->of_pmd : p->kind->of_ptes;
	p->kind->want(f, &right, old, THP_UNMAPPED);
	right.flags |= BIT(PG_locked) | BIT(PG_swapcache);
	right.refcount++;
	right.split_failed[old] = 1;
	right.ev_split_failed = old == HPAGE_PMD_ORDER;
	right.ev_split_pmd = old == HPAGE_PMD_ORDER;
	bug = right;
	bug.refcount = 0;
	bug.shmem_thps = 0;
	thp_ledger_expect_known_bug(f, folio, &right, &bug, "LB14", "__folio_split");

	/* Without this, nothing could ever free it. */
	if (!folio_ref_count(folio)) {
		lruvec_stat_mod_folio(folio, NR_SHMEM_THPS, right.shmem_thps);
		folio_ref_unfreeze(folio, right.refcount);
	}
	folio_clear_swapcache(folio);
	folio_unlock(folio);
	folio_put(folio);
}

static struct kunit_case thp_split_control_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(mapped_by_ptes_splits, kunit_array_gen_params,
				   by_ptes_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mapped_by_pmd_splits, kunit_array_gen_params,
				   by_pmd_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mapped_by_ptes_of_pmd_splits, kunit_array_gen_params,
				   by_ptes_of_pmd_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(parts_go_to_list, kunit_array_gen_params,
				   by_ptes_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(zeroes_are_given_back, kunit_array_gen_params,
				   zeroes_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(in_page_cache_splits, kunit_array_gen_params,
				   in_cache_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(impossible_order_returns_einval, kunit_array_gen_params,
				   refused_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(swapcache_in_window_is_refused, kunit_array_gen_params,
				   shmem_to_0_init, NULL),
	{}
};

static struct kunit_suite thp_split_control_suite = {
	.name = "thp_split_control",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_control_cases,
};

kunit_test_suite(thp_split_control_suite);

MODULE_DESCRIPTION("KUnit tests: splits of device-private and of other large folios");
MODULE_LICENSE("GPL");
