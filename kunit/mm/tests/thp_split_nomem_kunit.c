// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control group, what only files need memory for: the page cache gets a node
 * for each 64 pages that one entry stood for. Anonymous folios, of the device or
 * not, are in no xarray.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/slab.h>
#include <linux/swap.h>
#include <linux/xarray.h>

#include "../../lib/radix-tree.h"
#include "../internal.h"
#include "thp_fail_alloc.h"
#include "thp_file.h"
#include "thp_fixture_system.h"
#include "thp_split_oracle.h"

/* Nodes that a split needs at most */
#define MAX_NODES	(1 << (HPAGE_PMD_ORDER % XA_CHUNK_SHIFT))

/* Orders of the entries of the lowest node: 0 to XA_CHUNK_SHIFT - 1 */
#define NODE_ORDER	XA_CHUNK_SHIFT

/**
 * struct nomem_param - one split, for which there is no memory
 * @old_order: order of the folio, NODE_ORDER or more
 * @new_order: order asked for, less than that
 * @nth: which node there is no memory for, of a uniform split
 * @split_at: page of the folio that is to be in a part of @new_order, of a split
 *	that is not uniform
 */
struct nomem_param {
	unsigned int old_order;
	unsigned int new_order;
	unsigned int nth;
	unsigned int split_at;
};

#define MAX_PARAMS	(4 * 3 * MAX_NODES)

static void describe(struct kunit *test, const void *param, char *desc)
{
	const struct nomem_param *p = param;

	if (p->nth)
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u_nth%u", p->old_order,
			 p->new_order, p->nth);
	else
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u_at%u", p->old_order,
			 p->new_order, p->split_at);
}

static const unsigned int new_orders[] = { 0, 1, NODE_ORDER - 1 };

/* One allocation for each node: as many as the folio has entries of NODE_ORDER */
static int init_uniform(struct kunit *test)
{
	struct nomem_param *params = kunit_kcalloc(test, MAX_PARAMS, sizeof(*params), GFP_KERNEL);
	unsigned int old, i, nth, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (old = NODE_ORDER; old <= HPAGE_PMD_ORDER; old++)
		for (i = 0; i < ARRAY_SIZE(new_orders); i++)
			for (nth = 1; nth <= 1U << (old - NODE_ORDER); nth++)
				params[nr++] = (struct nomem_param) { old, new_orders[i], nth, 0 };
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

static int init_not_uniform(struct kunit *test)
{
	struct nomem_param *params = kunit_kcalloc(test, MAX_PARAMS, sizeof(*params), GFP_KERNEL);
	unsigned int old, i, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (old = NODE_ORDER; old <= HPAGE_PMD_ORDER; old++)
		for (i = 0; i < ARRAY_SIZE(new_orders); i++) {
			const unsigned int new = new_orders[i], last = (1U << old) - 1;

			params[nr++] = (struct nomem_param) { old, new, 0, 0 };
			params[nr++] = (struct nomem_param) { old, new, 0, last / 2 };
			params[nr++] = (struct nomem_param) { old, new, 0, last };
		}
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

static struct folio *make_locked(struct kunit *test)
{
	const struct nomem_param *p = test->param_value;
	struct folio *folio;

	thp_fail_alloc_enable_cache(test, radix_tree_node_cachep);
	folio = thp_fixture_touch_shmem(test->priv, p->old_order);
	folio_get(folio);
	folio_lock(folio);
	return folio;
}

/*
 * Test that a uniform split allocates all that it needs before it does anything:
 * whichever allocation fails, the folio is mapped as it was, with nothing but the
 * failure counted; and that it is split when there is memory.
 */
static void uniform_split_without_memory_changes_nothing(struct kunit *test)
{
	const struct nomem_param *p = test->param_value;
	const bool by_pmd = p->old_order == HPAGE_PMD_ORDER;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_locked(test);
	struct thp_state want;
	bool failed;
	int ret;

	thp_fail_alloc_nth(p->nth);
	ret = split_huge_page_to_list_to_order(&folio->page, NULL, p->new_order);
	failed = thp_fail_alloc_stop();
	KUNIT_EXPECT_TRUE(test, failed);
	KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	thp_want_shmem(f, &want, p->old_order, by_pmd ? THP_PMD : THP_PTES);
	want.flags |= BIT(PG_locked);
	want.refcount++;
	want.split_failed[p->old_order] = 1;
	want.ev_split_failed = by_pmd;
	thp_ledger_expect(f, folio, &want, "split without memory");

	ret = split_huge_page_to_list_to_order(&folio->page, NULL, p->new_order);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, folio_order(folio), p->new_order);
	folio_unlock(folio);
	folio_put(folio);
	thp_fixture_read_back(f, p->old_order, "read after the split");
}

/*
 * Test that a split that is not uniform goes as far as it can: to NODE_ORDER, below
 * which it needs a node; what it has split by then stays split, and in its place
 * in the page cache, and the failure is what is counted.
 */
static void split_without_memory_stops_at_node(struct kunit *test)
{
	const unsigned long kept = BIT(PG_uptodate) | BIT(PG_dirty) | BIT(PG_lru) |
				   BIT(PG_swapbacked);
	const struct nomem_param *p = test->param_value;
	const bool by_pmd = p->old_order == HPAGE_PMD_ORDER;
	struct thp_fixture *f = test->priv;
	struct thp_split_layout *layout = kunit_kzalloc(test, sizeof(*layout), GFP_KERNEL);
	struct folio *folio = make_locked(test);
	struct address_space *mapping = folio->mapping;
	struct thp_state *is = &f->after;
	unsigned int i;
	bool failed;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, layout);
	thp_split_oracle_non_uniform_file(layout, p->old_order, NODE_ORDER, p->split_at);
	thp_fail_alloc_nth(1);
	ret = folio_split(folio, p->new_order, f->first + p->split_at, NULL);
	failed = thp_fail_alloc_stop();
	KUNIT_EXPECT_TRUE(test, failed);
	KUNIT_EXPECT_EQ(test, ret, -ENOMEM);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_locked(folio), "first part");
	folio_unlock(folio);
	folio_put(folio);
	lru_add_drain();
	for (i = 0; i < layout->nr_parts; i++)
		thp_file_expect_kept(f, mapping, layout->parts[i].offset,
				     layout->parts[i].order, kept);
	KUNIT_EXPECT_EQ(test, mapping->nrpages, 1UL << p->old_order);
	KUNIT_EXPECT_EQ(test, SHMEM_I(mapping->host)->alloced, 1UL << p->old_order);

	thp_ledger_capture_totals(f, is);
	KUNIT_EXPECT_EQ(test, is->split_failed[p->old_order], 1);
	KUNIT_EXPECT_EQ(test, is->split[p->old_order], 0);
	KUNIT_EXPECT_EQ(test, is->ev_split_failed, by_pmd);
	KUNIT_EXPECT_EQ(test, is->ev_split_page, 0);
	KUNIT_EXPECT_EQ(test, is->shmem, 1L << p->old_order);
	KUNIT_EXPECT_EQ(test, is->shmem_thps, 0);
	KUNIT_EXPECT_EQ(test, is->rss_shmem, 0);
	KUNIT_EXPECT_EQ(test, is->file_mapped, 0);
	KUNIT_EXPECT_EQ(test, is->irqs_off, 0);
	thp_fixture_read_back(f, p->old_order, "read after the split");
}

static struct kunit_case thp_split_nomem_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(uniform_split_without_memory_changes_nothing,
				   kunit_array_gen_params, init_uniform, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_without_memory_stops_at_node,
				   kunit_array_gen_params, init_not_uniform, NULL),
	{}
};

static struct kunit_suite thp_split_nomem_suite = {
	.name = "thp_split_nomem",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_nomem_cases,
};

kunit_test_suite(thp_split_nomem_suite);

MODULE_DESCRIPTION("KUnit tests: splits for which there is no memory");
MODULE_LICENSE("GPL");
