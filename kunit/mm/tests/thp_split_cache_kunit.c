// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control group, what only files have: __folio_split() of shmem that is in the
 * page cache only, not uniform, and beyond the end of the file, where parts are
 * dropped.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>

#include "../internal.h"
#include "thp_file.h"
#include "thp_fixture_system.h"
#include "thp_split_oracle.h"

/**
 * struct cache_param - one split
 * @old_order: order of the folio
 * @new_order: order asked for
 * @split_at: page of the folio that is to be in a part of that order, of a split
 *	that is not uniform
 * @size: size of the file in pages; as many pages as the folio has: nothing of it
 *	is beyond
 * @uniform: every part is of @new_order
 */
struct cache_param {
	unsigned int old_order;
	unsigned int new_order;
	unsigned int split_at;
	unsigned int size;
	bool uniform;
};

/* At most: page and size in three classes each, to order 0 and 1 */
#define MAX_PARAMS	(2 * 9 * 9)

static void describe(struct kunit *test, const void *param, char *desc)
{
	const struct cache_param *p = param;

	if (p->uniform)
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u_size%u", p->old_order,
			 p->new_order, p->size);
	else
		snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u_at%u_size%u", p->old_order,
			 p->new_order, p->split_at, p->size);
}

/* The first page, one in the middle, the last one; and all of a folio of two pages */
static unsigned int nr_classes(unsigned int order)
{
	return order == 1 ? 2 : 3;
}

static unsigned int class_of(unsigned int order, unsigned int i)
{
	const unsigned int last = (1U << order) - 1;

	return i == 0 ? 0 : i == nr_classes(order) - 1 ? last : last / 2;
}

/* Of every order, to 0 and to 1, at each class of pages, in a file that is all there */
static int init_not_uniform(struct kunit *test)
{
	struct cache_param *params = kunit_kcalloc(test, MAX_PARAMS, sizeof(*params), GFP_KERNEL);
	unsigned int old, new, i, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (old = 1; old <= HPAGE_PMD_ORDER; old++)
		for (new = 0; new < min(old, 2U); new++)
			for (i = 0; i < nr_classes(old); i++)
				params[nr++] = (struct cache_param) {
					old, new, class_of(old, i), 1U << old, false
				};
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

/* Of every order, to 0 and to 1, in a file that ends after each class of pages */
static int init_beyond(struct kunit *test)
{
	struct cache_param *params = kunit_kcalloc(test, MAX_PARAMS, sizeof(*params), GFP_KERNEL);
	unsigned int old, new, i, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (old = 1; old <= HPAGE_PMD_ORDER; old++)
		for (new = 0; new < min(old, 2U); new++)
			for (i = 0; i < nr_classes(old) - 1; i++) {
				const unsigned int size = class_of(old, i) + 1;

				params[nr++] = (struct cache_param) { old, new, 0, size, true };
				params[nr++] = (struct cache_param) { old, new, 0, size, false };
			}
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

/* A part that is in the file: it was written to. */
#define KEPT	(BIT(PG_uptodate) | BIT(PG_dirty) | BIT(PG_lru) | BIT(PG_swapbacked))

/* Split the folio and look at every part: those that start in the file are kept. */
static void split_and_check(struct kunit *test)
{
	const struct cache_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_split_layout *layout = kunit_kzalloc(test, sizeof(*layout), GFP_KERNEL);
	struct folio *folio = thp_fixture_touch_shmem(f, p->old_order);
	struct address_space *mapping = folio->mapping;
	struct inode *inode = mapping->host;
	unsigned long kept;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, layout);
	thp_split_oracle_file(layout, p->uniform, p->old_order, p->new_order, p->split_at);
	thp_fixture_zap_shmem(f);
	KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->alloced, 1UL << p->old_order);
	if (p->size < 1U << p->old_order)
		i_size_write(inode, (loff_t)p->size << PAGE_SHIFT);

	folio_get(folio);
	folio_lock(folio);
	if (p->uniform)
		ret = split_huge_page_to_list_to_order(&folio->page, NULL, p->new_order);
	else
		ret = folio_split(folio, p->new_order, f->first + p->split_at, NULL);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_TRUE_MSG(test, folio_test_locked(folio), "first part");
	folio_unlock(folio);
	folio_put(folio);
	if (ret)
		return;
	lru_add_drain();
	kept = thp_file_expect_parts(f, mapping, layout, p->size, KEPT);
	KUNIT_EXPECT_EQ(test, SHMEM_I(inode)->alloced, kept);
}

/* Test that each part of a split that is not uniform is in the page cache, in its place. */
static void not_uniform_split_keeps_the_file(struct kunit *test)
{
	split_and_check(test);
}

/*
 * Test that a part that starts beyond the end of the file is dropped, and nobody
 * pays for it any more, whatever the kind of split.
 */
static void part_beyond_the_end_of_file_is_dropped(struct kunit *test)
{
	split_and_check(test);
}

static struct kunit_case thp_split_cache_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(not_uniform_split_keeps_the_file,
				   kunit_array_gen_params, init_not_uniform, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(part_beyond_the_end_of_file_is_dropped,
				   kunit_array_gen_params, init_beyond, NULL),
	{}
};

static struct kunit_suite thp_split_cache_suite = {
	.name = "thp_split_cache",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_cache_cases,
};

kunit_test_suite(thp_split_cache_suite);

MODULE_DESCRIPTION("KUnit tests: splits of folios in the page cache");
MODULE_LICENSE("GPL");
