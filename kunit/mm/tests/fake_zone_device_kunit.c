// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fake device itself: pool, data, splits, event log, injected failures, and
 * the checks that other suites rely on.
 */
#include <kunit/test.h>
#include <linux/moduleparam.h>
#include <linux/prandom.h>

#include "fake_zone_device_kunit.h"

static unsigned int seed = 0x5eed;
module_param(seed, uint, 0444);
MODULE_PARM_DESC(seed, "Seed for the pseudo-random sequences");

/*
 * Test that a new folio is what zone_device_folio_init() and the driver make of
 * it, that it is where it should be, and that the log says so.
 */
static void alloc_gives_locked_folio_of_order(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned long nr = fake_zdev_nr_pages(zdev);
	unsigned int order = fake_zdev_order_of(test), o;
	const struct fake_zdev_event *event;
	struct folio *folio;

	folio = fake_zdev_alloc(zdev, order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, fake_zdev_index(zdev, &folio->page), 0);
	KUNIT_EXPECT_EQ(test, folio_order(folio), order);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_TRUE(test, folio_test_locked(folio));
	KUNIT_EXPECT_TRUE(test, folio_is_device_private(folio));
	KUNIT_EXPECT_PTR_EQ(test, folio->pgmap, fake_zdev_pgmap(zdev, 0));
	KUNIT_EXPECT_PTR_EQ(test, folio->pgmap->owner, fake_zdev_owner(zdev));
	KUNIT_EXPECT_PTR_EQ(test, folio_zone_device_data(folio),
			    fake_zdev_data(zdev, &folio->page));
	KUNIT_EXPECT_EQ(test, fake_zdev_pgmap_refs(zdev), 1UL << order);

	/* The rest of the block of HPAGE_PMD_ORDER is one free block per order. */
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(zdev), nr - (1UL << order));
	for (o = 0; o < HPAGE_PMD_ORDER; o++)
		KUNIT_EXPECT_EQ_MSG(test, fake_zdev_nr_free_blocks(zdev, o), o >= order,
				    "free blocks of order %u", o);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free_blocks(zdev, HPAGE_PMD_ORDER),
			nr / HPAGE_PMD_NR - 1);
	fake_zdev_check_pool(test, zdev);

	KUNIT_ASSERT_EQ(test, fake_zdev_nr_events(zdev), 1);
	event = fake_zdev_event(zdev, 0);
	KUNIT_EXPECT_EQ(test, event->type, FAKE_ZDEV_ALLOC);
	KUNIT_EXPECT_EQ(test, event->idx, 0);
	KUNIT_EXPECT_EQ(test, event->order, order);
	KUNIT_EXPECT_EQ(test, event->refcount, 1);
	KUNIT_EXPECT_TRUE(test, event->locked);

	fake_zdev_release(folio);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free_blocks(zdev, HPAGE_PMD_ORDER),
			nr / HPAGE_PMD_NR);
	KUNIT_EXPECT_EQ(test, fake_zdev_pgmap_refs(zdev), 0);
	fake_zdev_check_pool(test, zdev);
}

/* Test that ->folio_free() is called once, for what and how the kernel says. */
static void last_put_calls_folio_free_once(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned int order = fake_zdev_order_of(test);
	struct folio *folio = fake_zdev_alloc_at(zdev, HPAGE_PMD_NR, order);
	const struct fake_zdev_event *event;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_make_anon(folio, 0x7000);
	folio_get(folio);
	fake_zdev_clear_events(zdev);
	fake_zdev_release(folio);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(zdev), 0);

	folio_put(folio);
	KUNIT_ASSERT_EQ(test, fake_zdev_nr_events(zdev), 1);
	event = fake_zdev_event(zdev, 0);
	KUNIT_EXPECT_EQ(test, event->type, FAKE_ZDEV_FREE);
	KUNIT_EXPECT_EQ(test, event->idx, HPAGE_PMD_NR);
	KUNIT_EXPECT_EQ(test, event->order, order);
	KUNIT_EXPECT_EQ(test, event->refcount, 0);
	KUNIT_EXPECT_FALSE(test, event->locked);
	KUNIT_EXPECT_PTR_EQ(test, event->mapping, NULL);
	fake_zdev_check_pool(test, zdev);
}

/*
 * Test that all of a device can be had at one order, each page once, and comes
 * back as what it was, whatever the order of the frees.
 */
static void exhausted_pool_returns_null_and_recovers(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned int order = fake_zdev_order_of(test);
	unsigned long nr = fake_zdev_nr_pages(zdev) >> order, i, odd;
	struct folio *folio;

	for (i = 0; i < nr; i++) {
		folio = fake_zdev_alloc(zdev, order);
		KUNIT_ASSERT_NOT_NULL_MSG(test, folio, "folio %lu", i);
		KUNIT_ASSERT_EQ(test, fake_zdev_index(zdev, &folio->page), i << order);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(zdev), 0);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_alloc(zdev, order), NULL);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_alloc(zdev, 0), NULL);
	fake_zdev_check_pool(test, zdev);

	/* First the odd ones: no buddies meet, nothing may merge. */
	for (odd = 2; odd--; ) {
		for (i = odd; i < nr; i += 2)
			fake_zdev_release(page_folio(fake_zdev_page(zdev, i << order)));
		if (order < HPAGE_PMD_ORDER && odd)
			KUNIT_EXPECT_EQ(test, fake_zdev_nr_free_blocks(zdev, order), nr / 2);
		fake_zdev_check_pool(test, zdev);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free_blocks(zdev, HPAGE_PMD_ORDER),
			fake_zdev_nr_pages(zdev) / HPAGE_PMD_NR);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_FREE), nr);
}

/* Test that one missing page keeps exactly its own buddies from merging. */
static void one_page_in_use_keeps_one_block_per_order(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned int order = fake_zdev_order_of(test), o;
	struct folio *large, *small;

	/* The first page of a block of @order, all of which was one folio before */
	large = fake_zdev_alloc_at(zdev, HPAGE_PMD_NR, order);
	KUNIT_ASSERT_NOT_NULL(test, large);
	fake_zdev_release(large);
	small = fake_zdev_alloc_at(zdev, HPAGE_PMD_NR + (1UL << order) - 1, 0);
	KUNIT_ASSERT_NOT_NULL(test, small);

	for (o = 0; o < HPAGE_PMD_ORDER; o++)
		KUNIT_EXPECT_EQ_MSG(test, fake_zdev_nr_free_blocks(zdev, o), 1,
				    "free blocks of order %u", o);
	fake_zdev_check_pool(test, zdev);
	fake_zdev_release(small);
	fake_zdev_check_pool(test, zdev);
}

struct alloc_at_row {
	const char *desc;
	unsigned long used_idx;		/* a folio is there */
	unsigned int used_order;
	unsigned long idx;		/* another one is wanted there */
	unsigned int order;
	bool want_folio;
};

static const struct alloc_at_row alloc_at_rows[] = {
	{ "buddy_of_used",		0, 3,	8, 3,		true },
	{ "same_block",			0, 3,	0, 3,		false },
	{ "inside_of_used",		0, 3,	4, 2,		false },
	{ "around_used",		16, 2,	0, 6,		false },
	{ "last_page_of_used",		0, 9,	511, 0,		false },
	{ "first_page_behind_used",	0, 9,	512, 0,		true },
	{ "last_page_of_device",	0, 0,	2047, 0,	true },
	{ "last_block_of_device",	0, 0,	1536, 9,	true },
	{ "behind_device",		0, 0,	2048, 0,	false },
	{ "index_not_aligned",		0, 0,	12, 3,		false },
	{ "order_too_large",		0, 0,	1024, 10,	false },
};

static void describe_alloc_at(struct kunit *test, const void *param, char *desc)
{
	const struct alloc_at_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_alloc_at(struct kunit *test)
{
	kunit_register_params_array(test, alloc_at_rows, ARRAY_SIZE(alloc_at_rows),
				    describe_alloc_at);
	return 0;
}

/* Test that alloc_at gives the wanted place if it is there and free, only then. */
static void alloc_at_gives_wanted_place_or_null(struct kunit *test)
{
	const struct alloc_at_row *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct folio *used, *folio;
	unsigned long nr_free;

	used = fake_zdev_alloc_at(zdev, row->used_idx, row->used_order);
	KUNIT_ASSERT_NOT_NULL(test, used);
	nr_free = fake_zdev_nr_free(zdev);

	folio = fake_zdev_alloc_at(zdev, row->idx, row->order);
	KUNIT_EXPECT_EQ(test, !!folio, row->want_folio);
	if (folio) {
		KUNIT_EXPECT_EQ(test, fake_zdev_index(zdev, &folio->page), row->idx);
		KUNIT_EXPECT_EQ(test, folio_order(folio), row->order);
		fake_zdev_check_pool(test, zdev);
		fake_zdev_release(folio);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(zdev), nr_free);
	fake_zdev_check_pool(test, zdev);
	fake_zdev_release(used);
}

/* What a pseudo-random sequence knows of a folio that it has */
struct holding {
	struct folio *folio;
	unsigned long tag;
};

static void drop_holding(struct kunit *test, struct fake_zdev *zdev,
			 struct holding *have, unsigned int *nr, unsigned int which)
{
	struct folio *folio = have[which].folio;

	KUNIT_EXPECT_EQ_MSG(test,
			    fake_zdev_bad_stamps(zdev, &folio->page, folio_nr_pages(folio),
						 have[which].tag), 0,
			    "page %lu, order %u", fake_zdev_index(zdev, &folio->page),
			    folio_order(folio));
	fake_zdev_release(folio);
	have[which] = have[--*nr];
}

/*
 * Test that a long sequence of allocations and frees of orders up to a limit
 * neither loses nor doubles a page, nor mixes up whose data is whose.
 */
static void random_sequence_conserves_pool(struct kunit *test)
{
	const struct fake_zdev_params params = {
		.nr_pages = 2 * HPAGE_PMD_NR,
		.nr_chunks = 2,
		.poison = FAKE_ZDEV_POISON_ALL,
	};
	struct fake_zdev *zdev = fake_zdev_create(test, &params);
	const unsigned int max_order = fake_zdev_order_of(test), nr_steps = 600, max_nr = 256;
	unsigned long used = 0, allocs = 0, frees = 0;
	struct holding *have;
	struct rnd_state rnd;
	unsigned int nr = 0, step;

	kunit_info(test, "seed 0x%x, set with fake_zone_device_kunit.seed=", seed);
	prandom_seed_state(&rnd, seed + max_order);
	have = kunit_kcalloc(test, max_nr, sizeof(*have), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, have);

	for (step = 0; step < nr_steps; step++) {
		unsigned int order = prandom_u32_state(&rnd) % (max_order + 1);

		/* Two of three steps allocate, until nothing is left. */
		if (nr < max_nr && prandom_u32_state(&rnd) % 3) {
			have[nr].folio = fake_zdev_alloc(zdev, order);
			have[nr].tag = step << 16;
			if (have[nr].folio) {
				fake_zdev_stamp(zdev, have[nr].folio, have[nr].tag);
				used += 1UL << order;
				allocs++;
				nr++;
			}
		} else if (nr) {
			unsigned int which = prandom_u32_state(&rnd) % nr;

			used -= folio_nr_pages(have[which].folio);
			drop_holding(test, zdev, have, &nr, which);
			frees++;
		}
		KUNIT_ASSERT_EQ(test, fake_zdev_nr_free(zdev), fake_zdev_nr_pages(zdev) - used);
		if (step % 50 == 0)
			fake_zdev_check_pool(test, zdev);
	}
	KUNIT_EXPECT_GT(test, allocs, nr_steps / 4);
	KUNIT_EXPECT_GT(test, frees, nr_steps / 6);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_ALLOC), allocs);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_FREE), frees);

	while (nr)
		drop_holding(test, zdev, have, &nr, nr - 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free_blocks(zdev, HPAGE_PMD_ORDER), 4);
	fake_zdev_check_pool(test, zdev);
}

/* Test that the memory of a free page holds nothing of what it had. */
static void freed_memory_is_overwritten(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned int order = fake_zdev_order_of(test);
	struct folio *folio = fake_zdev_alloc(zdev, order);
	u8 *data;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	data = fake_zdev_data(zdev, &folio->page);
	memset(data, 0x11, PAGE_SIZE << order);
	fake_zdev_release(folio);
	KUNIT_EXPECT_PTR_EQ(test, memchr_inv(data, FAKE_ZDEV_FREED_DATA, PAGE_SIZE << order),
			    NULL);
}

/* Test that a failing allocation takes nothing, and the next one succeeds. */
static void injected_alloc_failure_leaves_pool_alone(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned int order = fake_zdev_order_of(test);
	struct folio *first, *third;

	fake_zdev_fail_nth(zdev, FAKE_ZDEV_POINT_ALLOC, 2);
	first = fake_zdev_alloc(zdev, order);
	KUNIT_ASSERT_NOT_NULL(test, first);
	fake_zdev_clear_events(zdev);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_alloc(zdev, order), NULL);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(zdev), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_pgmap_refs(zdev), 1UL << order);
	fake_zdev_check_pool(test, zdev);
	third = fake_zdev_alloc(zdev, order);
	KUNIT_ASSERT_NOT_NULL(test, third);

	KUNIT_EXPECT_EQ(test, fake_zdev_decisions(zdev, FAKE_ZDEV_POINT_ALLOC), 3);
	KUNIT_EXPECT_EQ(test, fake_zdev_failures(zdev, FAKE_ZDEV_POINT_ALLOC), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_decisions(zdev, FAKE_ZDEV_POINT_ALLOC_LARGE),
			order ? 3 : 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_failures(zdev, FAKE_ZDEV_POINT_ALLOC_LARGE), 0);
	fake_zdev_release(first);
	fake_zdev_release(third);
	fake_zdev_check_pool(test, zdev);
}

/* Test that failing all large allocations from the second on fails just these. */
static void failing_large_allocs_spares_small_ones(struct kunit *test)
{
	static const unsigned int wanted[] = { 9, 0, 4, 0, 9, 2, 0 };
	static const bool want[] = { true, true, false, true, false, false, true };
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct folio *folios[ARRAY_SIZE(wanted)];
	unsigned int i;

	fake_zdev_fail_from(zdev, FAKE_ZDEV_POINT_ALLOC_LARGE, 2);
	for (i = 0; i < ARRAY_SIZE(wanted); i++) {
		folios[i] = fake_zdev_alloc(zdev, wanted[i]);
		KUNIT_EXPECT_EQ_MSG(test, !!folios[i], want[i], "allocation %u", i);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_failures(zdev, FAKE_ZDEV_POINT_ALLOC_LARGE), 3);

	fake_zdev_fail_from(zdev, FAKE_ZDEV_POINT_ALLOC_LARGE, 0);
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		if (folios[i])
			fake_zdev_release(folios[i]);
	folios[0] = fake_zdev_alloc(zdev, 9);
	KUNIT_ASSERT_NOT_NULL(test, folios[0]);
	fake_zdev_release(folios[0]);
	fake_zdev_check_pool(test, zdev);
}

/* Test that devices share nothing but what they are told to: the owner. */
static void devices_are_independent(struct kunit *test)
{
	int owner;
	const struct fake_zdev_params shared = { .owner = &owner };
	struct fake_zdev *devs[] = {
		fake_zdev_create(test, NULL),
		fake_zdev_create(test, &shared),
		fake_zdev_create(test, &shared),
	};
	struct folio *folio = fake_zdev_alloc(devs[1], 5);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_owner(devs[0]), (void *)devs[0]);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_owner(devs[1]), (void *)&owner);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_owner(devs[2]), (void *)&owner);
	KUNIT_EXPECT_PTR_NE(test, fake_zdev_pgmap(devs[1], 0), fake_zdev_pgmap(devs[2], 0));
	for (i = 0; i < ARRAY_SIZE(devs); i++) {
		KUNIT_EXPECT_EQ(test, fake_zdev_contains(devs[i], &folio->page), i == 1);
		KUNIT_EXPECT_EQ(test, fake_zdev_count(devs[i], FAKE_ZDEV_ALLOC), i == 1);
		KUNIT_EXPECT_EQ(test, fake_zdev_pgmap_refs(devs[i]), i == 1 ? 32 : 0);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_index(devs[0], &folio->page), FAKE_ZDEV_NO_PAGE);
	fake_zdev_release(folio);
}

/* Test that a device goes on in a chunk that was added when it was full. */
static void grown_device_allocates_from_new_chunk(struct kunit *test)
{
	const struct fake_zdev_params params = { .nr_pages = HPAGE_PMD_NR };
	struct fake_zdev *zdev = fake_zdev_create(test, &params);
	struct folio *first = fake_zdev_alloc(zdev, HPAGE_PMD_ORDER), *second;

	KUNIT_ASSERT_NOT_NULL(test, first);
	KUNIT_ASSERT_PTR_EQ(test, fake_zdev_alloc(zdev, 0), NULL);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_page(zdev, HPAGE_PMD_NR), NULL);

	fake_zdev_grow(test, zdev);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_pages(zdev), 2 * HPAGE_PMD_NR);
	second = fake_zdev_alloc(zdev, 0);
	KUNIT_ASSERT_NOT_NULL(test, second);
	KUNIT_EXPECT_EQ(test, fake_zdev_index(zdev, &second->page), HPAGE_PMD_NR);
	KUNIT_EXPECT_PTR_EQ(test, &second->page, fake_zdev_page(zdev, HPAGE_PMD_NR));
	KUNIT_EXPECT_PTR_EQ(test, second->pgmap, fake_zdev_pgmap(zdev, HPAGE_PMD_NR));
	KUNIT_EXPECT_PTR_NE(test, second->pgmap, first->pgmap);
	fake_zdev_check_pool(test, zdev);
	fake_zdev_release(first);
	fake_zdev_release(second);
	fake_zdev_check_pool(test, zdev);
}

/* Test that a full log says so, and that its end is not forgotten. */
static void full_event_log_counts_lost_events(struct kunit *test)
{
	const struct fake_zdev_params params = { .nr_events = 3 };
	struct fake_zdev *zdev = fake_zdev_create(test, &params);
	unsigned int i;
	char why[64];

	for (i = 0; i < 2; i++)
		fake_zdev_release(fake_zdev_alloc(zdev, 0));
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(zdev), 3);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_lost_events(zdev), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_FREE), 2);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_event(zdev, 3), NULL);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_pool_errors(zdev, why, sizeof(why)), 1);
	KUNIT_EXPECT_STREQ(test, why, "1 events lost");

	fake_zdev_clear_events(zdev);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_lost_events(zdev), 1);
	/* It was on purpose: the test is not to fail for it. */
	zdev->nr_lost_events = 0;
}

static void note_event(struct fake_zdev *zdev, const struct fake_zdev_event *event, void *arg)
{
	enum fake_zdev_event_type *types = arg;

	types[fake_zdev_nr_events(zdev) - 1] = event->type;
}

/* Test that the hook sees each event when it is in the log, with no lock held. */
static void hook_is_called_on_each_event(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	enum fake_zdev_event_type *types;
	unsigned int i;

	types = kunit_kcalloc(test, 4, sizeof(*types), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, types);
	fake_zdev_set_hook(zdev, note_event, types);
	for (i = 0; i < 2; i++)
		fake_zdev_release(fake_zdev_alloc(zdev, i));
	for (i = 0; i < 4; i++)
		KUNIT_EXPECT_EQ(test, types[i], i % 2 ? FAKE_ZDEV_FREE : FAKE_ZDEV_ALLOC);
	fake_zdev_set_hook(zdev, NULL, NULL);
	fake_zdev_release(fake_zdev_alloc(zdev, 0));
	KUNIT_EXPECT_EQ(test, fake_zdev_event(zdev, 5)->type, FAKE_ZDEV_FREE);
	KUNIT_EXPECT_GT(test, fake_zdev_event(zdev, 5)->seq, fake_zdev_event(zdev, 4)->seq);
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_nth_event(zdev, FAKE_ZDEV_FREE, 2),
			    fake_zdev_event(zdev, 5));
	KUNIT_EXPECT_PTR_EQ(test, fake_zdev_nth_event(zdev, FAKE_ZDEV_FREE, 3), NULL);
}

/*
 * Test that a page that is still in use when its device is destroyed fails the
 * test that owns the device, and that the device stays behind.
 */
static void leaked_folio_fails_its_test(struct kunit *test)
{
	struct fake_zdev *zdev;
	struct folio *folio;
	struct kunit *other;

	other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, other);
	kunit_init_test(other, "a_test_that_leaks", NULL);
	zdev = fake_zdev_create(other, NULL);
	/* Nobody is going to give it back. */
	zdev->leak_timeout = 0;
	folio = fake_zdev_alloc(zdev, 4);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), 16);

	KUNIT_ASSERT_EQ(test, other->status, KUNIT_SUCCESS);
	kunit_info(test, "the failure that follows is wanted");
	kunit_cleanup(other);
	KUNIT_EXPECT_EQ(test, other->status, KUNIT_FAILURE);

	/* Still there, and whole: it can be destroyed for good. */
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	fake_zdev_release(folio);
	KUNIT_EXPECT_EQ(test, fake_zdev_destroy_or_leak(zdev), 0);
}

/* Test that a device without leaks does not fail its test. */
static void device_without_leaks_is_destroyed_in_silence(struct kunit *test)
{
	struct kunit *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	struct fake_zdev *zdev;

	KUNIT_ASSERT_NOT_NULL(test, other);
	kunit_init_test(other, "a_test_that_is_right", NULL);
	zdev = fake_zdev_create(other, NULL);
	fake_zdev_release(fake_zdev_alloc(zdev, 4));
	fake_zdev_destroy(other, zdev);
	KUNIT_EXPECT_EQ(test, other->status, KUNIT_SUCCESS);
	kunit_cleanup(other);
}

static struct kunit_case fake_zone_device_cases[] = {
	FAKE_ZDEV_CASE_ORDERS(alloc_gives_locked_folio_of_order),
	FAKE_ZDEV_CASE_ORDERS(last_put_calls_folio_free_once),
	FAKE_ZDEV_CASE_ORDERS(exhausted_pool_returns_null_and_recovers),
	FAKE_ZDEV_CASE_ORDERS(one_page_in_use_keeps_one_block_per_order),
	FAKE_ZDEV_CASE_ROWS(alloc_at_gives_wanted_place_or_null, init_alloc_at),
	FAKE_ZDEV_CASE_ORDERS(random_sequence_conserves_pool),
	FAKE_ZDEV_CASE_ORDERS(freed_memory_is_overwritten),
	FAKE_ZDEV_CASE_ORDERS(injected_alloc_failure_leaves_pool_alone),
	KUNIT_CASE(failing_large_allocs_spares_small_ones),
	KUNIT_CASE(devices_are_independent),
	KUNIT_CASE(grown_device_allocates_from_new_chunk),
	KUNIT_CASE(full_event_log_counts_lost_events),
	KUNIT_CASE(hook_is_called_on_each_event),
	KUNIT_CASE(leaked_folio_fails_its_test),
	KUNIT_CASE(device_without_leaks_is_destroyed_in_silence),
	{}
};

static struct kunit_suite fake_zone_device_suite = {
	.name = "fake_zone_device",
	.test_cases = fake_zone_device_cases,
};

kunit_test_suite(fake_zone_device_suite);

MODULE_DESCRIPTION("KUnit tests of the fake device");
MODULE_LICENSE("GPL");
