// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does fake_zdev_check_pool() notice? Each case breaks one thing of a pool, and
 * names what the check has to say to that.
 */
#include <linux/bitmap.h>
#include <linux/percpu-refcount.h>

#include "fake_zone_device_kunit.h"

/* The pool to spoil: two blocks, a folio of order 3 at page 8 of the first one */
#define SPOIL_IDX	8
#define SPOIL_ORDER	3

static void spoil_nothing(struct fake_zdev_chunk *chunk, bool undo)
{
}

static void spoil_merge(struct fake_zdev_chunk *chunk, bool undo)
{
	__change_bit(1, chunk->free[9]);
	__change_bit(2, chunk->free[8]);
	__change_bit(3, chunk->free[8]);
}

static void spoil_used_is_free(struct fake_zdev_chunk *chunk, bool undo)
{
	__change_bit(SPOIL_IDX >> SPOIL_ORDER, chunk->free[SPOIL_ORDER]);
}

static void spoil_lost_block(struct fake_zdev_chunk *chunk, bool undo)
{
	__change_bit(1, chunk->free[9]);
}

static void spoil_free_in_free(struct fake_zdev_chunk *chunk, bool undo)
{
	__change_bit(513, chunk->free[0]);
}

static void spoil_used_in_used(struct fake_zdev_chunk *chunk, bool undo)
{
	chunk->live[SPOIL_IDX + 1] = undo ? -1 : 0;
}

static void spoil_nr_free(struct fake_zdev_chunk *chunk, bool undo)
{
	chunk->nr_free += undo ? -1 : 1;
}

static void spoil_free_refcount(struct fake_zdev_chunk *chunk, bool undo)
{
	set_page_count(pfn_to_page(chunk->first_pfn + 600), undo ? 0 : 2);
}

static void spoil_used_refcount(struct fake_zdev_chunk *chunk, bool undo)
{
	set_page_count(pfn_to_page(chunk->first_pfn + SPOIL_IDX), undo ? 1 : 0);
}

static void spoil_order(struct fake_zdev_chunk *chunk, bool undo)
{
	chunk->live[SPOIL_IDX] = undo ? SPOIL_ORDER : SPOIL_ORDER - 1;
	chunk->live[SPOIL_IDX + 4] = undo ? -1 : SPOIL_ORDER - 1;
}

static void spoil_pgmap_ref(struct fake_zdev_chunk *chunk, bool undo)
{
	if (undo)
		percpu_ref_put(&chunk->pgmap.ref);
	else
		percpu_ref_get(&chunk->pgmap.ref);
}

/* Free a folio that the driver believes to have been split */
static void spoil_bad_free(struct fake_zdev_chunk *chunk, bool undo)
{
	struct folio *folio = (struct folio *)pfn_to_page(chunk->first_pfn + SPOIL_IDX);

	if (undo) {
		chunk->zdev->bad_calls = 0;
		return;
	}
	chunk->live[SPOIL_IDX] = SPOIL_ORDER - 1;
	fake_zdev_pool_free(chunk, folio);
	chunk->live[SPOIL_IDX] = SPOIL_ORDER;
}

/* Split off something that is somewhere else */
static void spoil_bad_split(struct fake_zdev_chunk *chunk, bool undo)
{
	struct page *page = pfn_to_page(chunk->first_pfn + SPOIL_IDX);

	if (undo)
		chunk->zdev->bad_calls = 0;
	else
		fake_zdev_pool_split(chunk, (struct folio *)page,
				     (struct folio *)(page - SPOIL_IDX));
}

/* Be told that the split is done, when the driver was not told of all of it */
static void spoil_bad_split_done(struct fake_zdev_chunk *chunk, bool undo)
{
	struct folio *folio = (struct folio *)pfn_to_page(chunk->first_pfn + SPOIL_IDX);

	if (undo) {
		chunk->zdev->bad_calls = 0;
		return;
	}
	chunk->live[SPOIL_IDX] = SPOIL_ORDER + 1;
	fake_zdev_pool_split_done(chunk, folio);
	chunk->live[SPOIL_IDX] = SPOIL_ORDER;
}

struct spoil_row {
	const char *desc;
	void (*spoil)(struct fake_zdev_chunk *chunk, bool undo);
	unsigned long want_errors;
	const char *want_why;
};

static const struct spoil_row spoil_rows[] = {
	{ "nothing",		spoil_nothing,		0, "" },
	{ "buddies_not_merged",	spoil_merge,		2,
	  "page 512: free block of order 8 is not merged" },
	{ "used_block_is_free",	spoil_used_is_free,	11,
	  "page 0: free block of order 3 is not merged" },
	{ "block_lost",		spoil_lost_block,	513, "page 512: in no block" },
	{ "free_inside_free",	spoil_free_in_free,	1,
	  "8 free blocks are marked, 7 found" },
	{ "used_inside_used",	spoil_used_in_used,	1,
	  "2 blocks in use are marked, 1 found" },
	{ "count_of_free_pages", spoil_nr_free,		2,
	  "1017 pages counted as free, 1016 found" },
	{ "free_page_referenced", spoil_free_refcount,	1,
	  "page 600: free, but refcount is 2" },
	{ "used_not_referenced", spoil_used_refcount,	1,
	  "page 8: in use, but refcount is 0" },
	{ "order_differs",	spoil_order,		3,
	  "page 8: folio of order 3 in a block of order 2" },
	{ "pgmap_referenced",	spoil_pgmap_ref,	1,
	  "9 references on the pgmaps for 8 pages in use" },
	{ "free_of_other_order",	spoil_bad_free,		1,
	  "folio_free(page 8, order 3): order is 2 here" },
	{ "split_of_another",	spoil_bad_split,	1,
	  "folio_split(page 8, page 0 of order 0): not part of a block" },
	{ "split_not_complete",	spoil_bad_split_done,	1,
	  "folio_split(page 8 of order 3, NULL): order is 4 here" },
};

static void describe_spoil(struct kunit *test, const void *param, char *desc)
{
	const struct spoil_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_spoil(struct kunit *test)
{
	kunit_register_params_array(test, spoil_rows, ARRAY_SIZE(spoil_rows), describe_spoil);
	return 0;
}

/* Test that the check counts and describes exactly what was done to the pool. */
static void spoiled_pool_is_described(struct kunit *test)
{
	const struct fake_zdev_params params = { .nr_pages = 2 * HPAGE_PMD_NR };
	struct fake_zdev *zdev = fake_zdev_create(test, &params);
	const struct spoil_row *row = test->param_value;
	struct folio *folio = fake_zdev_alloc_at(zdev, SPOIL_IDX, SPOIL_ORDER);
	char why[128];

	KUNIT_ASSERT_NOT_NULL(test, folio);
	row->spoil(zdev->chunks[0], false);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_pool_errors(zdev, why, sizeof(why)),
			row->want_errors);
	KUNIT_EXPECT_STREQ(test, why, row->want_why);

	row->spoil(zdev->chunks[0], true);
	fake_zdev_check_pool(test, zdev);
	fake_zdev_release(folio);
}

static struct kunit_case fake_zone_device_check_cases[] = {
	FAKE_ZDEV_CASE_ROWS(spoiled_pool_is_described, init_spoil),
	{}
};

static struct kunit_suite fake_zone_device_check_suite = {
	.name = "fake_zone_device_check",
	.test_cases = fake_zone_device_check_cases,
};

kunit_test_suite(fake_zone_device_check_suite);

MODULE_DESCRIPTION("KUnit tests of the checks of the fake device");
MODULE_LICENSE("GPL");
