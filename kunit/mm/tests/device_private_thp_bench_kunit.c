// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long do the operations take that the other suites check? Measurements,
 * not tests: no time is too long. Marked very slow, so that a filter keeps
 * them out of test runs; to have nothing else:
 *
 *	kunit.filter_glob=device_private_thp_bench
 *
 * Each result is a line "bench: WHAT VALUE UNIT".
 */
#include <kunit/test.h>
#include <linux/ktime.h>
#include <linux/math64.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/huge_mm.h>
#include <linux/rmap.h>

#include "fake_zone_device.h"
#include "fake_zone_device_migrate.h"
#include "thp_mm.h"

/* Splits that a time is the mean of */
#define BENCH_SPLITS		200
/* What is migrated, one PMD after the other like a driver does */
#define BENCH_PMDS		128UL
#define BENCH_SIZE		(BENCH_PMDS * HPAGE_PMD_SIZE)

/**
 * struct split_bench - a split to be timed
 * @old_order: order before
 * @new_order: order after
 */
struct split_bench {
	unsigned int old_order;
	unsigned int new_order;
};

static const struct split_bench split_benches[] = {
	{ 2, 0 }, { 3, 0 }, { 4, 0 }, { 5, 0 }, { 6, 0 }, { 7, 0 }, { 8, 0 }, { 9, 0 },
	{ 3, 2 }, { 4, 2 }, { 5, 2 }, { 6, 2 }, { 7, 2 }, { 8, 2 }, { 9, 2 },
};

static void split_desc(struct kunit *test, const void *param, char *desc)
{
	const struct split_bench *b = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u", b->old_order, b->new_order);
}

static int split_params_init(struct kunit *test)
{
	kunit_register_params_array(test, split_benches, ARRAY_SIZE(split_benches), split_desc);
	return 0;
}

/*
 * A device whose event log holds what one measurement may log; who measures
 * clears it, outside of the measured time.
 */
static struct fake_zdev *bench_device(struct kunit *test, unsigned long nr_pages)
{
	const struct fake_zdev_params params = {
		.nr_pages = nr_pages,
		.nr_events = 4 * HPAGE_PMD_NR,
	};

	return fake_zdev_create(test, &params);
}

/*
 * An anonymous folio as migrate_vma_pages() hands it to folio_split_unmapped():
 * locked, not mapped, one reference. Nothing follows its anon_vma, so any
 * aligned address will do. Small ones are not what MTHP_STAT_NR_ANON counts.
 */
static struct folio *unmapped_anon_folio(struct kunit *test, struct fake_zdev *zdev,
					 unsigned int order)
{
	struct folio *folio = fake_zdev_alloc(zdev, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	folio->index = 0;
	folio->mapping = (void *)((unsigned long)zdev | FOLIO_MAPPING_ANON);
	__folio_set_swapbacked(folio);
	mod_mthp_stat(order, MTHP_STAT_NR_ANON, 1);
	return folio;
}

/* One folio_split_unmapped(), ->folio_split() of the device included. */
static void split_unmapped(struct kunit *test)
{
	const struct split_bench *b = test->param_value;
	unsigned long nr = 1UL << b->old_order, step = 1UL << b->new_order, i;
	struct fake_zdev *zdev = bench_device(test, 0);
	unsigned int round;
	u64 total = 0;

	for (round = 0; round < BENCH_SPLITS; round++) {
		struct folio *folio = unmapped_anon_folio(test, zdev, b->old_order);
		struct page *first = folio_page(folio, 0);
		u64 start = ktime_get_ns();
		int ret = folio_split_unmapped(folio, b->new_order);

		total += ktime_get_ns() - start;
		KUNIT_EXPECT_EQ(test, ret, 0);
		for (i = 0; i < nr; i += ret ? nr : step)
			fake_zdev_release(page_folio(first + i));
		KUNIT_ASSERT_EQ(test, ret, 0);
		fake_zdev_clear_events(zdev);
	}
	kunit_info(test, "bench: split_unmapped_order%u_to_%u %llu ns\n", b->old_order,
		   b->new_order, div_u64(total, BENCH_SPLITS));
}

/**
 * struct migrate_bench - a migration to be timed
 * @name: description
 * @behavior: madvise() of the memory before it is touched
 */
struct migrate_bench {
	const char *name;
	int behavior;
};

static const struct migrate_bench migrate_benches[] = {
	{ "thp", MADV_HUGEPAGE },
	{ "small", MADV_NOHUGEPAGE },
};

static void migrate_desc(struct kunit *test, const void *param, char *desc)
{
	const struct migrate_bench *b = param;

	strscpy(desc, b->name, KUNIT_PARAM_DESC_SIZE);
}

static int migrate_params_init(struct kunit *test)
{
	kunit_register_params_array(test, migrate_benches, ARRAY_SIZE(migrate_benches),
				    migrate_desc);
	return 0;
}

typedef long (*migrate_fn)(struct fake_zdev *zdev, struct mm_struct *mm, unsigned long start,
			   unsigned long end, enum fake_zdev_policy policy);

static void time_migration(struct kunit *test, migrate_fn migrate, struct fake_zdev *zdev,
			   unsigned long addr, const char *direction)
{
	const struct migrate_bench *b = test->param_value;
	unsigned long end = addr + BENCH_SIZE;
	u64 total = 0, us;

	for (; addr < end; addr += HPAGE_PMD_SIZE) {
		u64 start = ktime_get_ns();
		long moved = migrate(zdev, current->mm, addr, addr + HPAGE_PMD_SIZE,
				     FAKE_ZDEV_DST_AS_SOURCE);

		total += ktime_get_ns() - start;
		KUNIT_ASSERT_EQ(test, moved, HPAGE_PMD_NR);
		fake_zdev_clear_events(zdev);
	}
	us = max(div_u64(total, NSEC_PER_USEC), 1);
	kunit_info(test, "bench: migrate_%s_%s %llu MiB/s\n", direction, b->name,
		   div64_u64((BENCH_SIZE >> 20) * USEC_PER_SEC, us));
}

/* To the device and back, the copies of the data included. */
static void migrate(struct kunit *test)
{
	const struct migrate_bench *b = test->param_value;
	struct fake_zdev *zdev = bench_device(test, BENCH_PMDS * HPAGE_PMD_NR);
	unsigned long addr;

	thp_mm_attach(test);
	addr = kunit_vm_mmap(test, NULL, 0, BENCH_SIZE + HPAGE_PMD_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	addr = ALIGN(addr, HPAGE_PMD_SIZE);
	KUNIT_ASSERT_EQ(test, do_madvise(current->mm, addr, BENCH_SIZE, b->behavior), 0);
	KUNIT_ASSERT_EQ(test, do_madvise(current->mm, addr, BENCH_SIZE, MADV_POPULATE_WRITE), 0);

	time_migration(test, fake_zdev_migrate_to_device, zdev, addr, "to_device");
	time_migration(test, fake_zdev_migrate_to_ram, zdev, addr, "to_ram");
}

static struct kunit_case device_private_thp_bench_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(split_unmapped, kunit_array_gen_params, split_params_init,
				   NULL),
	KUNIT_CASE_PARAM_WITH_INIT(migrate, kunit_array_gen_params, migrate_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_bench_suite = {
	.name = "device_private_thp_bench",
	.attr = { .speed = KUNIT_SPEED_VERY_SLOW },
	.test_cases = device_private_thp_bench_cases,
};

kunit_test_suite(device_private_thp_bench_suite);

MODULE_DESCRIPTION("Times of operations on device-private THPs");
MODULE_LICENSE("GPL");
