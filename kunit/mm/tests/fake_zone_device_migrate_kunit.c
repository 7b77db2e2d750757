// SPDX-License-Identifier: GPL-2.0-only
/*
 * The fake device and migration: whole trips between system memory and devices,
 * each destination policy, and each failure that can be asked for.
 */
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include "fake_zone_device_kunit.h"
#include "thp_mm.h"

/* Pages of a range that is not a THP */
#define NR_SMALL	16

/**
 * struct mapped - pages of the test's own mm, with a mark in each
 * @start: first address, aligned to HPAGE_PMD_SIZE
 * @end: end
 * @nr: number of pages
 */
struct mapped {
	unsigned long start;
	unsigned long end;
	unsigned long nr;
};

static unsigned long __user *mark_of(const struct mapped *r, unsigned long i)
{
	/* Not at the same offset in all pages */
	return (unsigned long __user *)(r->start + i * PAGE_SIZE + i % 512 * sizeof(long));
}

KUNIT_DEFINE_ACTION_WRAPPER(put_mm, mmput, struct mm_struct *);

/* Map a range and touch all of it: one THP, or NR_SMALL small pages. */
static struct mapped map_range(struct kunit *test, bool thp)
{
	struct mapped r = { .nr = thp ? HPAGE_PMD_NR : NR_SMALL };
	unsigned long i, addr;
	bool is_huge;

	thp_mm_attach(test);
	addr = kunit_vm_mmap(test, NULL, 0, 2 * HPAGE_PMD_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	mmget(current->mm);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_mm, current->mm), 0);
	test->priv = current->mm;
	r.start = ALIGN(addr, HPAGE_PMD_SIZE);
	r.end = r.start + r.nr * PAGE_SIZE;
	KUNIT_ASSERT_EQ(test, do_madvise(current->mm, r.start, HPAGE_PMD_SIZE,
					 thp ? MADV_HUGEPAGE : MADV_NOHUGEPAGE), 0);
	for (i = 0; i < r.nr; i++)
		KUNIT_ASSERT_EQ(test, put_user(0xda7a0000 + i, mark_of(&r, i)), 0);
	is_huge = pmd_trans_huge(pmdp_get(pmd_off(current->mm, r.start)));
	KUNIT_ASSERT_EQ(test, is_huge, thp);
	return r;
}

/* Number of pages of @r that can't be read, or have another page's mark */
static unsigned long count_bad(const struct mapped *r)
{
	unsigned long i, mark, bad = 0;

	for (i = 0; i < r->nr; i++)
		bad += get_user(mark, mark_of(r, i)) || mark != 0xda7a0000 + i;
	return bad;
}

static long to_device(struct fake_zdev *zdev, const struct mapped *r,
		      enum fake_zdev_policy policy)
{
	return fake_zdev_migrate_to_device(zdev, current->mm, r->start, r->end, policy);
}

static long to_ram(struct fake_zdev *zdev, const struct mapped *r, enum fake_zdev_policy policy)
{
	return fake_zdev_migrate_to_ram(zdev, current->mm, r->start, r->end, policy);
}

enum way { BY_DRIVER, BY_FAULT };

struct trip_row {
	const char *desc;
	bool thp;
	enum fake_zdev_policy out;	/* to the first device ... */
	long want_out;
	unsigned long want_allocs;
	bool has_peer;			/* ... from there to a second one ... */
	enum fake_zdev_policy peer;
	long want_peer;
	unsigned long want_peer_allocs;
	enum way way;			/* ... and back */
	enum fake_zdev_policy back;
	unsigned long want_faults;
	unsigned long want_splits;	/* new folios, on both devices together */
	unsigned long want_copies;	/* to system memory */
};

#define AS_SOURCE	FAKE_ZDEV_DST_AS_SOURCE
#define AS_SOURCE_ONLY	FAKE_ZDEV_DST_AS_SOURCE_ONLY
#define ALL_SMALL	FAKE_ZDEV_DST_ALL_SMALL
#define FIRST_SMALL	FAKE_ZDEV_DST_FIRST_SMALL
#define SOME_MISSING	FAKE_ZDEV_DST_SOME_MISSING
#define NO_DST		FAKE_ZDEV_DST_NONE

static const struct trip_row trip_rows[] = {
	{
		.desc = "small_and_back", .out = AS_SOURCE, .want_out = 16, .want_allocs = 16,
		.way = BY_DRIVER, .back = AS_SOURCE, .want_copies = 16,
	}, {
		.desc = "small_and_fault", .out = AS_SOURCE, .want_out = 16, .want_allocs = 16,
		.way = BY_FAULT, .back = AS_SOURCE, .want_faults = 16, .want_copies = 16,
	}, {
		.desc = "small_some_missing", .out = SOME_MISSING, .want_out = 12,
		.want_allocs = 12, .way = BY_DRIVER, .back = AS_SOURCE, .want_copies = 12,
	}, {
		.desc = "small_without_destination", .out = NO_DST, .want_out = 0,
		.way = BY_DRIVER, .back = AS_SOURCE,
	}, {
		.desc = "small_via_peer", .out = AS_SOURCE, .want_out = 16, .want_allocs = 16,
		.has_peer = true, .peer = AS_SOURCE, .want_peer = 16, .want_peer_allocs = 16,
		.way = BY_DRIVER, .back = AS_SOURCE, .want_copies = 16,
	}, {
		.desc = "small_via_peer_and_fault", .out = AS_SOURCE, .want_out = 16,
		.want_allocs = 16, .has_peer = true, .peer = AS_SOURCE, .want_peer = 16,
		.want_peer_allocs = 16, .way = BY_FAULT, .back = AS_SOURCE,
		.want_faults = 16, .want_copies = 16,
	}, {
		.desc = "thp_and_back", .thp = true, .out = AS_SOURCE, .want_out = 512,
		.want_allocs = 1, .way = BY_DRIVER, .back = AS_SOURCE, .want_copies = 1,
	}, {
		.desc = "thp_and_fault", .thp = true, .out = AS_SOURCE, .want_out = 512,
		.want_allocs = 1, .way = BY_FAULT, .back = AS_SOURCE, .want_faults = 1,
		.want_copies = 1,
	}, {
		.desc = "thp_as_small_and_back", .thp = true, .out = ALL_SMALL, .want_out = 512,
		.want_allocs = 512, .way = BY_DRIVER, .back = AS_SOURCE, .want_copies = 512,
	}, {
		.desc = "thp_as_small_and_fault", .thp = true, .out = ALL_SMALL,
		.want_out = 512, .want_allocs = 512, .way = BY_FAULT, .back = AS_SOURCE,
		.want_faults = 512, .want_copies = 512,
	}, {
		.desc = "thp_and_back_as_small", .thp = true, .out = AS_SOURCE, .want_out = 512,
		.want_allocs = 1, .way = BY_DRIVER, .back = ALL_SMALL, .want_splits = 511,
		.want_copies = 512,
	}, {
		.desc = "thp_first_small", .thp = true, .out = FIRST_SMALL, .want_out = 1,
		.want_allocs = 1, .way = BY_DRIVER, .back = AS_SOURCE, .want_copies = 1,
	}, {
		.desc = "thp_some_missing", .thp = true, .out = SOME_MISSING, .want_out = 384,
		.want_allocs = 384, .way = BY_DRIVER, .back = AS_SOURCE, .want_copies = 384,
	}, {
		.desc = "thp_without_destination", .thp = true, .out = NO_DST, .want_out = 0,
		.way = BY_DRIVER, .back = AS_SOURCE,
	}, {
		.desc = "thp_via_peer", .thp = true, .out = AS_SOURCE, .want_out = 512,
		.want_allocs = 1, .has_peer = true, .peer = AS_SOURCE, .want_peer = 512,
		.want_peer_allocs = 1, .way = BY_DRIVER, .back = AS_SOURCE, .want_copies = 1,
	}, {
		.desc = "thp_via_peer_as_small", .thp = true, .out = AS_SOURCE, .want_out = 512,
		.want_allocs = 1, .has_peer = true, .peer = ALL_SMALL, .want_peer = 512,
		.want_peer_allocs = 512, .way = BY_DRIVER, .back = AS_SOURCE,
		.want_splits = 511, .want_copies = 512,
	}, {
		.desc = "thp_via_peer_and_fault", .thp = true, .out = AS_SOURCE,
		.want_out = 512, .want_allocs = 1, .has_peer = true, .peer = AS_SOURCE,
		.want_peer = 512, .want_peer_allocs = 1, .way = BY_FAULT, .back = AS_SOURCE,
		.want_faults = 1, .want_copies = 1,
	},
};

static void describe_trip(struct kunit *test, const void *param, char *desc)
{
	const struct trip_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_trips(struct kunit *test)
{
	kunit_register_params_array(test, trip_rows, ARRAY_SIZE(trip_rows), describe_trip);
	return 0;
}

/*
 * Test that pages make the trip that they should, one by one or together, with
 * their data, and that the devices are empty at the end.
 */
static void round_trip_keeps_data(struct kunit *test)
{
	const struct trip_row *row = test->param_value;
	struct fake_zdev *dev = fake_zdev_create(test, NULL);
	struct fake_zdev *peer = fake_zdev_create(test, NULL);
	struct fake_zdev *last = row->has_peer ? peer : dev;
	struct mapped r = map_range(test, row->thp);

	KUNIT_EXPECT_EQ(test, to_device(dev, &r, row->out), row->want_out);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(dev), row->want_out);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(dev, FAKE_ZDEV_ALLOC), row->want_allocs);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(dev, FAKE_ZDEV_COPY_TO_DEV), row->want_allocs);
	fake_zdev_check_pool(test, dev);

	if (row->has_peer) {
		KUNIT_EXPECT_EQ(test, fake_zdev_migrate_to_peer(dev, peer, current->mm, r.start,
								r.end, row->peer),
				row->want_peer);
		KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(dev), 0);
		KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(peer), row->want_peer);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_count(peer, FAKE_ZDEV_ALLOC), row->want_peer_allocs);

	if (row->way == BY_DRIVER)
		KUNIT_EXPECT_EQ(test, to_ram(last, &r, row->back), row->want_out);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);

	KUNIT_EXPECT_EQ(test, fake_zdev_count(last, FAKE_ZDEV_MIGRATE_TO_RAM),
			row->want_faults);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(last, FAKE_ZDEV_COPY_TO_RAM), row->want_copies);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(dev, FAKE_ZDEV_SPLIT) +
			      fake_zdev_count(peer, FAKE_ZDEV_SPLIT), row->want_splits);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(dev), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(peer), 0);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), r.nr);
	fake_zdev_check_pool(test, dev);
	fake_zdev_check_pool(test, peer);
}

struct failure_row {
	const char *desc;
	bool thp;
	bool on_way_back;		/* fails then, not on the way out */
	enum fake_zdev_policy policy;	/* of the trip that fails */
	enum fake_zdev_point point;
	unsigned long nth;
	long want_moved;		/* by the trip that fails */
};

static const struct failure_row failure_rows[] = {
	{ "large_alloc", true, false, AS_SOURCE, FAKE_ZDEV_POINT_ALLOC_LARGE, 1, 512 },
	{ "large_alloc_only", true, false, AS_SOURCE_ONLY, FAKE_ZDEV_POINT_ALLOC_LARGE, 1, 0 },
	{ "large_copy", true, false, AS_SOURCE, FAKE_ZDEV_POINT_COPY, 1, 512 },
	{ "large_copy_only", true, false, AS_SOURCE_ONLY, FAKE_ZDEV_POINT_COPY, 1, 0 },
	{ "large_pin", true, false, AS_SOURCE, FAKE_ZDEV_POINT_PIN, 1, 0 },
	{ "split_pin", true, false, ALL_SMALL, FAKE_ZDEV_POINT_PIN, 1, 0 },
	/* Without a destination for its first page a THP is not even split. */
	{ "split_alloc_first", true, false, ALL_SMALL, FAKE_ZDEV_POINT_ALLOC, 1, 0 },
	{ "split_alloc_second", true, false, ALL_SMALL, FAKE_ZDEV_POINT_ALLOC, 2, 511 },
	{ "split_alloc_last", true, false, ALL_SMALL, FAKE_ZDEV_POINT_ALLOC, 512, 511 },
	{ "split_copy_last", true, false, ALL_SMALL, FAKE_ZDEV_POINT_COPY, 512, 511 },
	{ "back_large_alloc", true, true, AS_SOURCE, FAKE_ZDEV_POINT_RAM_ALLOC_LARGE, 1, 512 },
	{ "back_large_alloc_only", true, true, AS_SOURCE_ONLY,
	  FAKE_ZDEV_POINT_RAM_ALLOC_LARGE, 1, 0 },
	{ "back_large_lock", true, true, AS_SOURCE, FAKE_ZDEV_POINT_LOCK, 1, 512 },
	{ "back_large_copy_only", true, true, AS_SOURCE_ONLY, FAKE_ZDEV_POINT_COPY, 1, 0 },
	{ "back_large_pin", true, true, AS_SOURCE, FAKE_ZDEV_POINT_PIN, 1, 0 },
	{ "back_split_pin", true, true, ALL_SMALL, FAKE_ZDEV_POINT_PIN, 1, 0 },
	{ "back_split_alloc_first", true, true, ALL_SMALL, FAKE_ZDEV_POINT_RAM_ALLOC, 1, 0 },
	{ "back_split_alloc_second", true, true, ALL_SMALL, FAKE_ZDEV_POINT_RAM_ALLOC, 2, 511 },
	{ "back_split_lock_last", true, true, ALL_SMALL, FAKE_ZDEV_POINT_LOCK, 512, 511 },
};

static void describe_failure(struct kunit *test, const void *param, char *desc)
{
	const struct failure_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_failures(struct kunit *test)
{
	kunit_register_params_array(test, failure_rows, ARRAY_SIZE(failure_rows),
				    describe_failure);
	return 0;
}

/*
 * Test that a failure keeps exactly the pages that it concerns where they are,
 * and that they can make the trip when nothing fails any more.
 */
static void injected_failure_keeps_its_pages_back(struct kunit *test)
{
	const struct failure_row *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct mapped r = map_range(test, row->thp);
	long moved;

	if (row->on_way_back)
		KUNIT_ASSERT_EQ(test, to_device(zdev, &r, AS_SOURCE), r.nr);
	fake_zdev_fail_nth(zdev, row->point, row->nth);
	moved = row->on_way_back ? to_ram(zdev, &r, row->policy) :
				   to_device(zdev, &r, row->policy);
	KUNIT_EXPECT_EQ(test, moved, row->want_moved);
	KUNIT_EXPECT_EQ(test, fake_zdev_failures(zdev, row->point), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev),
			row->on_way_back ? r.nr - moved : moved);
	fake_zdev_check_pool(test, zdev);

	/* What is left out there comes back, and nothing else. */
	KUNIT_EXPECT_EQ(test, to_ram(zdev, &r, AS_SOURCE),
			row->on_way_back ? r.nr - moved : moved);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), 0);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
	KUNIT_EXPECT_EQ(test, get_mm_counter_sum(current->mm, MM_ANONPAGES), r.nr);
	fake_zdev_check_pool(test, zdev);
}

struct every_row {
	const char *desc;
	enum fake_zdev_point point;
	bool on_way_back;
};

/* Each of these is decided once for each page. */
static const struct every_row every_rows[] = {
	{ "alloc", FAKE_ZDEV_POINT_ALLOC, false },
	{ "copy_to_device", FAKE_ZDEV_POINT_COPY, false },
	{ "pin_in_system_memory", FAKE_ZDEV_POINT_PIN, false },
	{ "ram_alloc", FAKE_ZDEV_POINT_RAM_ALLOC, true },
	{ "lock", FAKE_ZDEV_POINT_LOCK, true },
	{ "copy_to_ram", FAKE_ZDEV_POINT_COPY, true },
	{ "pin_on_device", FAKE_ZDEV_POINT_PIN, true },
};

static void describe_every(struct kunit *test, const void *param, char *desc)
{
	const struct every_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_every(struct kunit *test)
{
	kunit_register_params_array(test, every_rows, ARRAY_SIZE(every_rows), describe_every);
	return 0;
}

/*
 * Test that whichever page of a range fails, it is the only one, and the device
 * is as it was afterwards; until there is no decision left to fail.
 */
static void each_failure_in_turn_is_undone(struct kunit *test)
{
	const struct every_row *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct mapped r = map_range(test, false);
	unsigned long n;

	for (n = 1; ; n++) {
		unsigned long failures = fake_zdev_failures(zdev, row->point);
		long moved;

		if (row->on_way_back) {
			KUNIT_ASSERT_EQ(test, to_device(zdev, &r, AS_SOURCE), r.nr);
			fake_zdev_fail_nth(zdev, row->point, n);
			moved = to_ram(zdev, &r, AS_SOURCE);
		} else {
			fake_zdev_fail_nth(zdev, row->point, n);
			moved = to_device(zdev, &r, AS_SOURCE);
		}
		fake_zdev_fail_nth(zdev, row->point, 0);
		failures = fake_zdev_failures(zdev, row->point) - failures;
		KUNIT_EXPECT_EQ_MSG(test, moved, r.nr - failures, "failure %lu", n);

		to_ram(zdev, &r, AS_SOURCE);
		KUNIT_EXPECT_EQ_MSG(test, fake_zdev_count_leaks(zdev), 0, "failure %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, fake_zdev_pgmap_refs(zdev), 0, "failure %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, count_bad(&r), 0, "failure %lu", n);
		if (!failures)
			break;
	}
	/* All decisions failed once, and then there was one that did not exist. */
	KUNIT_EXPECT_EQ(test, n, NR_SMALL + 1);
	fake_zdev_check_pool(test, zdev);
}

/*
 * Test that a CPU fault that can't get memory gives SIGBUS, as the kernel-doc of
 * migrate_vma_setup() says, and that the page stays where it is.
 */
static void fault_without_memory_is_an_error(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct mapped r = map_range(test, false);

	KUNIT_ASSERT_EQ(test, to_device(zdev, &r, AS_SOURCE), NR_SMALL);
	fake_zdev_fail_nth(zdev, FAKE_ZDEV_POINT_RAM_ALLOC, 5);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), 1);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_MIGRATE_TO_RAM), NR_SMALL + 1);
}

/* Test that the fault window takes pages around the faulting one along. */
static void fault_order_takes_neighbours_along(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct mapped r = map_range(test, false);
	const struct fake_zdev_event *event;
	unsigned long mark;

	fake_zdev_set_fault_order(zdev, 2);
	KUNIT_ASSERT_EQ(test, to_device(zdev, &r, AS_SOURCE), NR_SMALL);
	KUNIT_EXPECT_EQ(test, get_user(mark, mark_of(&r, 6)), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), NR_SMALL - 4);
	event = fake_zdev_nth_event(zdev, FAKE_ZDEV_MIGRATE_TO_RAM, 0);
	KUNIT_ASSERT_NOT_NULL(test, event);
	KUNIT_EXPECT_EQ(test, event->addr & PAGE_MASK, r.start + 6 * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, event->refcount, 2);
	KUNIT_EXPECT_TRUE(test, event->locked);
	KUNIT_EXPECT_FALSE(test, event->pmd_fault);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 4);
}

/* Spread a range of small pages over two devices. */
static void spread(struct kunit *test, struct fake_zdev *devs[2], const struct mapped *r)
{
	unsigned long mid = r->start + NR_SMALL / 2 * PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, fake_zdev_migrate_to_device(devs[0], current->mm, r->start, mid,
							  AS_SOURCE), NR_SMALL / 2);
	KUNIT_ASSERT_EQ(test, fake_zdev_migrate_to_device(devs[1], current->mm, mid, r->end,
							  AS_SOURCE), NR_SMALL / 2);
}

/* Test that a migration from a device takes its own pages, and no others. */
static void other_owner_keeps_its_pages(struct kunit *test)
{
	struct fake_zdev *devs[] = {
		fake_zdev_create(test, NULL), fake_zdev_create(test, NULL),
	};
	struct mapped r = map_range(test, false);

	spread(test, devs, &r);
	KUNIT_EXPECT_EQ(test, to_ram(devs[1], &r, AS_SOURCE), NR_SMALL / 2);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(devs[0]), NR_SMALL / 2);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(devs[1]), 0);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);
}

/* Test that a migration takes the pages of all devices with the same owner. */
static void same_owner_migrates_pages_of_both(struct kunit *test)
{
	const struct fake_zdev_params params = { .owner = test };
	struct fake_zdev *devs[] = {
		fake_zdev_create(test, &params), fake_zdev_create(test, &params),
	};
	struct mapped r = map_range(test, false);

	spread(test, devs, &r);
	KUNIT_EXPECT_EQ(test, to_ram(devs[1], &r, AS_SOURCE), NR_SMALL);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(devs[0]), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(devs[1]), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(devs[0], FAKE_ZDEV_COPY_TO_RAM), NR_SMALL / 2);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(devs[1], FAKE_ZDEV_COPY_TO_RAM), NR_SMALL / 2);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);
}

/* Migrate a range to the device, which then gets rid of everything: @nr_folios. */
static void expect_evicted(struct kunit *test, bool thp, unsigned long nr_folios)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct mapped r = map_range(test, thp);

	KUNIT_ASSERT_EQ(test, to_device(zdev, &r, AS_SOURCE), r.nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_evict(zdev, 0, fake_zdev_nr_pages(zdev)), r.nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_COPY_TO_RAM), nr_folios);
	KUNIT_EXPECT_EQ(test, fake_zdev_decisions(zdev, FAKE_ZDEV_POINT_RAM_ALLOC), nr_folios);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
	fake_zdev_check_pool(test, zdev);
}

/* Test that a device can get rid of small pages without knowing who has them. */
static void evict_brings_small_pages_back(struct kunit *test)
{
	expect_evicted(test, false, NR_SMALL);
}

/* Test the same of a THP, which comes back as one. */
static void evict_brings_thp_back(struct kunit *test)
{
	expect_evicted(test, true, 1);
}

/* Test that the log has the notification of a migration, with its owner. */
static void watched_range_logs_migration(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct mapped r = map_range(test, true);
	const struct fake_zdev_event *event;

	fake_zdev_watch(test, zdev, current->mm, r.start, r.end);
	KUNIT_ASSERT_EQ(test, to_device(zdev, &r, AS_SOURCE), HPAGE_PMD_NR);
	event = fake_zdev_nth_event(zdev, FAKE_ZDEV_INVALIDATE, 0);
	KUNIT_ASSERT_NOT_NULL(test, event);
	KUNIT_EXPECT_EQ(test, event->addr, r.start);
	KUNIT_EXPECT_EQ(test, event->end, r.end);
	KUNIT_EXPECT_EQ(test, event->notify, MMU_NOTIFY_MIGRATE);
	KUNIT_EXPECT_PTR_EQ(test, event->notify_owner, fake_zdev_owner(zdev));
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);
}

/*
 * Test that the phases can be called one by one, and that a migration that ends
 * after any of them can be finalized: nothing has moved then.
 */
static void migration_undone_before_pages_moves_nothing(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct mapped r = map_range(test, true);
	struct fake_zdev_migration *m;

	mmap_read_lock(current->mm);
	m = fake_zdev_migration_init(test, NULL, zdev, vma_lookup(current->mm, r.start),
				     r.start, r.end,
				     MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND);
	KUNIT_EXPECT_EQ(test, m->phase, FAKE_ZDEV_PHASE_INIT);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->phase, FAKE_ZDEV_PHASE_SETUP);
	KUNIT_EXPECT_EQ(test, m->args.npages, HPAGE_PMD_NR);
	KUNIT_EXPECT_TRUE(test, m->src[0] & MIGRATE_PFN_COMPOUND);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_ALLOC), 0);
	fake_zdev_migration_finalize(m);
	KUNIT_EXPECT_EQ(test, m->phase, FAKE_ZDEV_PHASE_FINAL);
	mmap_read_unlock(current->mm);

	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), 0);
	KUNIT_EXPECT_EQ(test, count_bad(&r), 0);
	KUNIT_EXPECT_EQ(test, to_device(zdev, &r, AS_SOURCE), HPAGE_PMD_NR);
}

/*
 * Test that a test that stops between the phases leaves no page behind: that of
 * the device would fail this test when the device goes away.
 */
static void abandoned_migration_leaks_nothing(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct mapped r = map_range(test, false);
	struct fake_zdev_migration *m;

	mmap_read_lock(current->mm);
	m = fake_zdev_migration_init(test, NULL, zdev, vma_lookup(current->mm, r.start),
				     r.start, r.end, MIGRATE_VMA_SELECT_SYSTEM);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	fake_zdev_fail_nth(zdev, FAKE_ZDEV_POINT_PIN, 3);
	fake_zdev_migration_copy(m, AS_SOURCE);
	mmap_read_unlock(current->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), NR_SMALL);

	/*
	 * The mm exits at the same time as the migration is abandoned, and
	 * expects the folio of a migration entry to be locked.
	 */
	KUNIT_EXPECT_EQ(test, vm_munmap(r.start, r.end - r.start), 0);
}

/*
 * Nobody waits for the thread of a test to give up its mm, and the next test counts
 * what is mapped: unmap everything here.
 */
static void empty_mm(struct kunit *test)
{
	struct mm_struct *mm = test->priv;

	if (!mm)
		return;
	kthread_use_mm(mm);
	KUNIT_EXPECT_EQ(test, vm_munmap(0, TASK_SIZE), 0);
	kthread_unuse_mm(mm);
}

static struct kunit_case fake_zone_device_migrate_cases[] = {
	FAKE_ZDEV_CASE_ROWS(round_trip_keeps_data, init_trips),
	FAKE_ZDEV_CASE_ROWS(injected_failure_keeps_its_pages_back, init_failures),
	FAKE_ZDEV_CASE_ROWS(each_failure_in_turn_is_undone, init_every),
	KUNIT_CASE(fault_without_memory_is_an_error),
	KUNIT_CASE(fault_order_takes_neighbours_along),
	KUNIT_CASE(other_owner_keeps_its_pages),
	KUNIT_CASE(same_owner_migrates_pages_of_both),
	KUNIT_CASE(evict_brings_small_pages_back),
	KUNIT_CASE(evict_brings_thp_back),
	KUNIT_CASE(watched_range_logs_migration),
	KUNIT_CASE(migration_undone_before_pages_moves_nothing),
	KUNIT_CASE(abandoned_migration_leaks_nothing),
	{}
};

static struct kunit_suite fake_zone_device_migrate_suite = {
	.name = "fake_zone_device_migrate",
	.exit = empty_mm,
	.test_cases = fake_zone_device_migrate_cases,
};

kunit_test_suite(fake_zone_device_migrate_suite);

MODULE_DESCRIPTION("KUnit tests of the fake device: migration");
MODULE_LICENSE("GPL");
