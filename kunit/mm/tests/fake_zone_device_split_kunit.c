// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fake device and splits: what ->folio_split() is told, whether the pool
 * keeps up, and whether each page keeps its data.
 */
#include <linux/irqflags.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>

#include "fake_zone_device_kunit.h"

static unsigned int seed = 0x5eed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Seed for the pseudo-random sequences");

/* Where folios to be split are, so that neither index nor offset is 0 */
#define SPLIT_IDX	(2 * HPAGE_PMD_NR)

struct split_row {
	unsigned int order;
	unsigned int new_order;
};

/* All that anonymous folios can have: order 1 is not supported for them. */
static const struct split_row split_rows[] = {
	{ 2, 0 },
	{ 3, 0 }, { 3, 2 },
	{ 4, 0 }, { 4, 2 }, { 4, 3 },
	{ 5, 0 }, { 5, 2 }, { 5, 3 }, { 5, 4 },
	{ 6, 0 }, { 6, 2 }, { 6, 3 }, { 6, 4 }, { 6, 5 },
	{ 7, 0 }, { 7, 2 }, { 7, 3 }, { 7, 4 }, { 7, 5 }, { 7, 6 },
	{ 8, 0 }, { 8, 2 }, { 8, 3 }, { 8, 4 }, { 8, 5 }, { 8, 6 }, { 8, 7 },
	{ 9, 0 }, { 9, 2 }, { 9, 3 }, { 9, 4 }, { 9, 5 }, { 9, 6 }, { 9, 7 }, { 9, 8 },
};

static void describe_split(struct kunit *test, const void *param, char *desc)
{
	const struct split_row *row = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order_%u_to_%u", row->order, row->new_order);
}

static int init_splits(struct kunit *test)
{
	kunit_register_params_array(test, split_rows, ARRAY_SIZE(split_rows), describe_split);
	return 0;
}

static struct folio *split_a_folio(struct kunit *test, struct fake_zdev *zdev)
{
	const struct split_row *row = test->param_value;
	struct folio *folio = fake_zdev_alloc_at(zdev, SPLIT_IDX, row->order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_make_anon(folio, 0x7000);
	fake_zdev_stamp(zdev, folio, 0x5a5a0000);
	fake_zdev_clear_events(zdev);
	KUNIT_ASSERT_EQ(test, folio_split_unmapped(folio, row->new_order), 0);
	KUNIT_EXPECT_FALSE(test, irqs_disabled());
	return folio;
}

static struct folio *nth_part(const struct split_row *row, struct fake_zdev *zdev,
			      unsigned long n)
{
	return (struct folio *)fake_zdev_page(zdev, SPLIT_IDX + (n << row->new_order));
}

/*
 * Test that the driver is told of each new folio, from first to last, and that
 * it is done with the last one, always with both folios frozen and locked.
 */
static void split_is_told_to_driver_in_order(struct kunit *test)
{
	const struct split_row *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned long nr = 1UL << (row->order - row->new_order), n;

	split_a_folio(test, zdev);
	KUNIT_ASSERT_EQ(test, fake_zdev_nr_events(zdev), nr);
	for (n = 0; n < nr; n++) {
		const struct fake_zdev_event *event = fake_zdev_event(zdev, n);
		bool last = n == nr - 1;

		KUNIT_EXPECT_EQ_MSG(test, event->type,
				    last ? FAKE_ZDEV_SPLIT_DONE : FAKE_ZDEV_SPLIT, "event %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, event->idx, SPLIT_IDX, "event %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, event->order, row->new_order, "event %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, event->refcount, 0, "event %lu", n);
		KUNIT_EXPECT_TRUE_MSG(test, event->locked, "event %lu", n);
		KUNIT_EXPECT_TRUE_MSG(test, event->irqs_disabled, "event %lu", n);
		if (last)
			break;
		KUNIT_EXPECT_EQ_MSG(test, event->tail_idx,
				    SPLIT_IDX + ((n + 1) << row->new_order), "event %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, event->tail_order, row->new_order, "event %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, event->tail_refcount, 0, "event %lu", n);
		KUNIT_EXPECT_TRUE_MSG(test, event->tail_locked, "event %lu", n);
		KUNIT_EXPECT_PTR_EQ_MSG(test, event->tail_pgmap, NULL, "event %lu", n);
	}
	for (n = 0; n < nr; n++)
		fake_zdev_release(nth_part(row, zdev, n));
}

/*
 * Test that each new folio has the data of its pages, is a block of its own, and
 * that the blocks become what they were when all are free.
 */
static void split_keeps_data_and_parts_merge(struct kunit *test)
{
	const struct split_row *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned long nr = 1UL << (row->order - row->new_order), n;
	struct folio *folio;

	split_a_folio(test, zdev);
	fake_zdev_check_pool(test, zdev);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), 1UL << row->order);
	KUNIT_EXPECT_EQ(test, fake_zdev_bad_stamps(zdev, fake_zdev_page(zdev, SPLIT_IDX),
						   1UL << row->order, 0x5a5a0000), 0);
	for (n = 0; n < nr; n++) {
		folio = nth_part(row, zdev, n);
		KUNIT_EXPECT_EQ_MSG(test, folio_order(folio), row->new_order, "part %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, folio_ref_count(folio), 1, "part %lu", n);
		KUNIT_EXPECT_PTR_EQ_MSG(test, folio->pgmap, fake_zdev_pgmap(zdev, SPLIT_IDX),
					"part %lu", n);
		KUNIT_EXPECT_PTR_EQ_MSG(test, folio_zone_device_data(folio),
					fake_zdev_data(zdev, &folio->page), "part %lu", n);
		KUNIT_EXPECT_EQ_MSG(test,
				    fake_zdev_live_order(zdev, SPLIT_IDX + (n << row->new_order)),
				    row->new_order, "part %lu", n);
	}

	/* The last part, all others, then the whole again */
	fake_zdev_release(nth_part(row, zdev, nr - 1));
	fake_zdev_check_pool(test, zdev);
	for (n = 0; n < nr - 1; n++)
		fake_zdev_release(nth_part(row, zdev, n));
	fake_zdev_check_pool(test, zdev);
	folio = fake_zdev_alloc_at(zdev, SPLIT_IDX, row->order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_release(folio);
}

/*
 * Test that without ->folio_split() the parts are still the device's, and come
 * back one by one. (Their zone_device_data is anything: nobody has set it.)
 */
static void split_without_callback_parts_come_back(struct kunit *test)
{
	const struct fake_zdev_params params = { .no_folio_split = true };
	const struct split_row *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, &params);
	unsigned long nr = 1UL << (row->order - row->new_order), n;

	split_a_folio(test, zdev);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(zdev), 0);
	for (n = nr; n--; ) {
		struct folio *folio = nth_part(row, zdev, n);

		KUNIT_EXPECT_PTR_EQ_MSG(test, folio->pgmap, fake_zdev_pgmap(zdev, SPLIT_IDX),
					"part %lu", n);
		fake_zdev_release(folio);
		KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), n << row->new_order);
	}
	for (n = 0; n < nr; n++) {
		const struct fake_zdev_event *event = fake_zdev_event(zdev, n);

		KUNIT_ASSERT_NOT_NULL(test, event);
		KUNIT_EXPECT_EQ_MSG(test, event->type, FAKE_ZDEV_FREE, "event %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, event->order, row->new_order, "event %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, event->idx,
				    SPLIT_IDX + ((nr - 1 - n) << row->new_order), "event %lu", n);
	}
	fake_zdev_check_pool(test, zdev);
}

/* What a pseudo-random sequence knows of a folio that it has */
struct holding {
	struct folio *folio;
	unsigned long tag;
};

/* Split one of @have into equal parts if it can be; append all but the first. */
static bool split_holding(struct kunit *test, struct fake_zdev *zdev, struct holding *have,
			  unsigned int *nr, unsigned int max_nr, struct holding *which,
			  unsigned int new_order)
{
	struct page *page = &which->folio->page;
	unsigned int order = folio_order(which->folio);
	unsigned long i;

	if (order < 2 || new_order >= order || new_order == 1 ||
	    *nr + (1UL << (order - new_order)) > max_nr)
		return false;
	KUNIT_ASSERT_EQ(test, folio_split_unmapped(which->folio, new_order), 0);
	for (i = 1UL << new_order; i < 1UL << order; i += 1UL << new_order)
		have[(*nr)++] = (struct holding) { page_folio(page + i), which->tag + i };
	return true;
}

/* Test that a pool is still whole after any number of splits, at all orders. */
static void random_splits_conserve_pool(struct kunit *test)
{
	const struct fake_zdev_params params = {
		.nr_pages = 2 * HPAGE_PMD_NR,
		.nr_events = 32768,
		.poison = FAKE_ZDEV_POISON_ALL,
	};
	struct fake_zdev *zdev = fake_zdev_create(test, &params);
	const unsigned int max_order = fake_zdev_order_of(test), max_nr = 1024;
	unsigned int nr = 0, step, splits = 0;
	struct holding *have;
	struct rnd_state rnd;

	kunit_info(test, "seed 0x%x, set with fake_zone_device_split_kunit.seed=", seed);
	prandom_seed_state(&rnd, seed + max_order);
	have = kunit_kcalloc(test, max_nr, sizeof(*have), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, have);

	for (step = 0; step < 600 || nr; step++) {
		u32 r = prandom_u32_state(&rnd);
		unsigned int order = r % (max_order + 1);
		struct holding *which = nr ? &have[(r >> 8) % nr] : NULL;

		if (step < 600 && nr < max_nr && (r >> 24) % 3 == 0) {
			struct folio *folio = fake_zdev_alloc(zdev, order);

			if (!folio)
				continue;
			fake_zdev_make_anon(folio, step);
			fake_zdev_stamp(zdev, folio, step << 16);
			have[nr++] = (struct holding) { folio, step << 16 };
		} else if (which && (r >> 24) % 3 == 1) {
			splits += split_holding(test, zdev, have, &nr, max_nr, which, order);
		} else if (which) {
			KUNIT_EXPECT_EQ_MSG(test,
					    fake_zdev_bad_stamps(zdev, &which->folio->page,
								 folio_nr_pages(which->folio),
								 which->tag), 0,
					    "step %u", step);
			fake_zdev_release(which->folio);
			*which = have[--nr];
		}
		if (step % 100 == 0)
			fake_zdev_check_pool(test, zdev);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free_blocks(zdev, HPAGE_PMD_ORDER), 2);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_FREE),
			fake_zdev_count(zdev, FAKE_ZDEV_ALLOC) +
			fake_zdev_count(zdev, FAKE_ZDEV_SPLIT));
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_SPLIT_DONE), splits);
	/* Orders 0 and 1 can't be split; of all others some must have been. */
	KUNIT_EXPECT_EQ(test, splits > 0, max_order > 1);
	fake_zdev_check_pool(test, zdev);
}

static struct kunit_case fake_zone_device_split_cases[] = {
	FAKE_ZDEV_CASE_ROWS(split_is_told_to_driver_in_order, init_splits),
	FAKE_ZDEV_CASE_ROWS(split_keeps_data_and_parts_merge, init_splits),
	FAKE_ZDEV_CASE_ROWS(split_without_callback_parts_come_back, init_splits),
	FAKE_ZDEV_CASE_ORDERS(random_splits_conserve_pool),
	{}
};

static struct kunit_suite fake_zone_device_split_suite = {
	.name = "fake_zone_device_split",
	.test_cases = fake_zone_device_split_cases,
};

kunit_test_suite(fake_zone_device_split_suite);

MODULE_DESCRIPTION("KUnit tests of the fake device: splits");
MODULE_LICENSE("GPL");
