// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control group, what only file systems have that are not shmem: pages that
 * are to be written back, of which those beyond the end of the file need not be;
 * a say in whether a folio is split; and a least order.
 */
#include <kunit/test.h>
#include <linux/backing-dev.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/swap.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "thp_file.h"
#include "thp_fixture.h"
#include "thp_split_oracle.h"

/**
 * struct file_param - one split
 * @old_order: order of the folio
 * @new_order: order asked for
 * @split_at: page of the folio that is to be in a part of that order, of a split
 *	that is not uniform
 * @size: size of the file in pages
 * @uniform: every part is of @new_order
 * @dirty: the folio is dirty
 */
struct file_param {
	unsigned int old_order;
	unsigned int new_order;
	unsigned int split_at;
	unsigned int size;
	bool uniform;
	bool dirty;
};

#define MAX_PARAMS	(2 * 9 * 12)

static void describe(struct kunit *test, const void *param, char *desc)
{
	const struct file_param *p = param;
	char at[16] = "";

	if (!p->uniform)
		snprintf(at, sizeof(at), "_at%u", p->split_at);
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u%s_size%u_%s", p->old_order,
		 p->new_order, at, p->size, p->dirty ? "dirty" : "clean");
}

/* Of every order, to 0 and to 1, in a file that is all there */
static int init_whole(struct kunit *test)
{
	struct file_param *params = kunit_kcalloc(test, MAX_PARAMS, sizeof(*params), GFP_KERNEL);
	unsigned int old, new, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (old = 1; old <= HPAGE_PMD_ORDER; old++)
		for (new = 0; new < min(old, 2U); new++) {
			const unsigned int size = 1U << old;

			params[nr++] = (struct file_param) { old, new, 0, size, true, true };
			params[nr++] = (struct file_param) { old, new, 0, size, false, true };
			params[nr++] = (struct file_param) {
				old, new, size - 1, size, false, false
			};
		}
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

/* Of every order, to 0 and to 1, in a file that ends after its first page, or half */
static int init_beyond(struct kunit *test)
{
	struct file_param *params = kunit_kcalloc(test, MAX_PARAMS, sizeof(*params), GFP_KERNEL);
	unsigned int old, new, i, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (old = 1; old <= HPAGE_PMD_ORDER; old++)
		for (new = 0; new < min(old, 2U); new++)
			for (i = 0; i < min(old, 2U); i++) {
				const unsigned int size = i ? 1U << (old - 1) : 1;

				params[nr++] = (struct file_param) {
					old, new, 0, size, true, true
				};
				params[nr++] = (struct file_param) {
					old, new, 0, size, false, true
				};
				params[nr++] = (struct file_param) {
					old, new, 0, size, true, false
				};
			}
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

/* Counters that have to do with files, as they are */
struct counters {
	s64 pages, thps, lru, dirty, shmem_thps, reclaimable;
};

static struct counters read_counters(const struct thp_file *file)
{
	lru_add_drain();
	return (struct counters) {
		.pages = thp_ledger_node_stat(NR_FILE_PAGES),
		.thps = thp_ledger_node_stat(NR_FILE_THPS),
		.lru = thp_ledger_node_stat(NR_INACTIVE_FILE) +
		       thp_ledger_node_stat(NR_ACTIVE_FILE),
		.dirty = thp_ledger_node_stat(NR_FILE_DIRTY),
		.shmem_thps = thp_ledger_node_stat(NR_SHMEM_THPS),
		.reclaimable = wb_stat_sum(&inode_to_bdi(file->inode)->wb, WB_RECLAIMABLE),
	};
}

/* @base and what a folio of @order, or its parts, of @nr pages are counted for */
static void expect_counters(struct kunit *test, const struct thp_file *file,
			    const struct counters *base, long nr, bool pmd_order, bool dirty,
			    const char *when)
{
	const struct counters is = read_counters(file);

	KUNIT_EXPECT_EQ_MSG(test, is.pages - base->pages, nr, "NR_FILE_PAGES, %s", when);
	KUNIT_EXPECT_EQ_MSG(test, is.thps - base->thps, pmd_order ? HPAGE_PMD_NR : 0,
			    "NR_FILE_THPS, %s", when);
	KUNIT_EXPECT_EQ_MSG(test, is.lru - base->lru, nr, "pages for reclaim, %s", when);
	KUNIT_EXPECT_EQ_MSG(test, is.shmem_thps, base->shmem_thps, "NR_SHMEM_THPS, %s", when);
	KUNIT_EXPECT_EQ_MSG(test, is.dirty - base->dirty, dirty ? nr : 0,
			    "NR_FILE_DIRTY, %s", when);
	KUNIT_EXPECT_EQ_MSG(test, is.reclaimable - base->reclaimable, dirty ? nr : 0,
			    "WB_RECLAIMABLE, %s", when);
}

static int split_file(struct thp_fixture *f, struct folio *folio, const struct file_param *p)
{
	if (p->uniform)
		return split_huge_page_to_list_to_order(&folio->page, NULL, p->new_order);
	return folio_split(folio, p->new_order, f->first + p->split_at, NULL);
}

/* Every part is in its place, or dropped if it starts beyond the end. */
static unsigned long expect_parts(struct kunit *test, struct address_space *mapping,
				  const struct thp_split_layout *layout)
{
	const struct file_param *p = test->param_value;
	const unsigned long flags = BIT(PG_uptodate) | BIT(PG_lru) |
				    (p->dirty ? BIT(PG_dirty) : 0);

	return thp_file_expect_parts(test->priv, mapping, layout, p->size, flags);
}

static void split_and_check(struct kunit *test)
{
	const struct file_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_split_layout *layout = kunit_kzalloc(test, sizeof(*layout), GFP_KERNEL);
	struct thp_file *file = thp_file_new(test);
	const struct counters base = read_counters(file);
	struct folio *folio = thp_file_add(f, file, p->old_order);
	unsigned long kept;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, layout);
	thp_split_oracle_file(layout, p->uniform, p->old_order, p->new_order, p->split_at);
	folio_get(folio);
	folio_lock(folio);
	if (p->dirty)
		folio_mark_dirty(folio);
	i_size_write(file->inode, (loff_t)p->size << PAGE_SHIFT);
	expect_counters(test, file, &base, 1L << p->old_order, p->old_order == HPAGE_PMD_ORDER,
			p->dirty, "before");
	ret = split_file(f, folio, p);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_locked(folio), "first part");
	folio_unlock(folio);
	folio_put(folio);
	if (ret)
		return;
	lru_add_drain();
	kept = expect_parts(test, file->inode->i_mapping, layout);
	expect_counters(test, file, &base, kept, false, p->dirty, "after");
	KUNIT_EXPECT_EQ_MSG(test, file->nr_asked, 0, "it has nothing to release");
}

/*
 * Test that each part is in the page cache, in its place, as dirty as the whole
 * was, and that none of them is counted as huge.
 */
static void split_keeps_the_file(struct kunit *test)
{
	split_and_check(test);
}

/*
 * Test that a part that starts beyond the end of the file is dropped, and that
 * nobody waits for it to be written.
 */
static void part_beyond_the_end_of_file_is_dropped(struct kunit *test)
{
	split_and_check(test);
}

/* Of every order, to 0, both kinds of split */
static int init_to_0(struct kunit *test)
{
	struct file_param *params = kunit_kcalloc(test, MAX_PARAMS, sizeof(*params), GFP_KERNEL);
	unsigned int old, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (old = 1; old <= HPAGE_PMD_ORDER; old++) {
		params[nr++] = (struct file_param) { old, 0, 0, 1U << old, true, true };
		params[nr++] = (struct file_param) { old, 0, 0, 1U << old, false, true };
	}
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

/* The folio is one of @order still, locked, with a reference of the test. */
static void expect_refused(struct kunit *test, struct thp_file *file, struct folio *folio)
{
	const struct file_param *p = test->param_value;
	struct thp_fixture *f = test->priv;

	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), (1 << p->old_order) + 1);
	folio_put(folio);
	thp_file_expect_kept(f, file->inode->i_mapping, 0, p->old_order,
			     BIT(PG_locked) | BIT(PG_uptodate) | BIT(PG_dirty) | BIT(PG_lru));
	folio_get(folio);
}

/* A dirty folio in a file, locked, with a reference of the test */
static struct folio *make_locked(struct kunit *test, struct thp_file *file)
{
	const struct file_param *p = test->param_value;
	struct folio *folio = thp_file_add(test->priv, file, p->old_order);

	folio_get(folio);
	folio_lock(folio);
	folio_mark_dirty(folio);
	return folio;
}

/* It can be split after all. Lets go of it. */
static void expect_split(struct kunit *test, struct thp_file *file, struct folio *folio)
{
	const struct file_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_split_layout *layout = kunit_kzalloc(test, sizeof(*layout), GFP_KERNEL);

	KUNIT_EXPECT_EQ(test, split_file(f, folio, p), 0);
	folio_unlock(folio);
	folio_put(folio);
	if (!layout) {
		KUNIT_FAIL(test, "no memory");
		return;
	}
	lru_add_drain();
	thp_split_oracle_file(layout, p->uniform, p->old_order, p->new_order, p->split_at);
	expect_parts(test, file->inode->i_mapping, layout);
}

/*
 * Test that a file system is asked to release what it has to do with the folio,
 * once for each try; that nothing happens if it does not; and that the folio is
 * split when it does.
 */
static void split_waits_for_file_system_to_release(struct kunit *test)
{
	const struct file_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_file *file = thp_file_new(test);
	struct folio *folio = make_locked(test, file);

	mapping_set_release_always(file->inode->i_mapping);
	file->refuses = true;
	KUNIT_EXPECT_EQ(test, split_file(f, folio, p), -EBUSY);
	KUNIT_EXPECT_EQ(test, file->nr_asked, 1);
	expect_refused(test, file, folio);

	file->refuses = false;
	expect_split(test, file, folio);
	KUNIT_EXPECT_EQ(test, file->nr_asked, 2);
}

/* Of every order, to each lower one, both kinds of split */
static int init_min_order(struct kunit *test)
{
	struct file_param *params = kunit_kcalloc(test, MAX_PARAMS, sizeof(*params), GFP_KERNEL);
	unsigned int old, new, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (old = 2; old <= HPAGE_PMD_ORDER; old++)
		for (new = 1; new < old; new++) {
			const unsigned int size = 1U << old;

			params[nr++] = (struct file_param) { old, new, 0, size, true, true };
			params[nr++] = (struct file_param) { old, new, 0, size, false, true };
		}
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

/*
 * Test that no part can be smaller than the least order of the file, that
 * nothing happens if it would have to be, and that this order itself is right.
 */
static void split_below_least_order_returns_einval(struct kunit *test)
{
	const struct file_param *p = test->param_value;
	struct file_param below = *p;
	struct thp_fixture *f = test->priv;
	struct thp_file *file = thp_file_new(test);
	struct folio *folio;

	mapping_set_folio_min_order(file->inode->i_mapping, p->new_order);
	folio = make_locked(test, file);
	for (below.new_order = 0; below.new_order < p->new_order; below.new_order++) {
		KUNIT_EXPECT_EQ_MSG(test, split_file(f, folio, &below), -EINVAL, "to order %u",
				    below.new_order);
		expect_refused(test, file, folio);
	}
	expect_split(test, file, folio);
}

static struct kunit_case thp_split_file_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(split_keeps_the_file,
				   kunit_array_gen_params, init_whole, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(part_beyond_the_end_of_file_is_dropped,
				   kunit_array_gen_params, init_beyond, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_waits_for_file_system_to_release,
				   kunit_array_gen_params, init_to_0, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_below_least_order_returns_einval,
				   kunit_array_gen_params, init_min_order, NULL),
	{}
};

static struct kunit_suite thp_split_file_suite = {
	.name = "thp_split_file",
	.suite_init = thp_file_suite_init,
	.suite_exit = thp_file_suite_exit,
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_file_cases,
};

kunit_test_suite(thp_split_file_suite);

MODULE_DESCRIPTION("KUnit tests: splits of folios of a file system");
MODULE_LICENSE("GPL");
