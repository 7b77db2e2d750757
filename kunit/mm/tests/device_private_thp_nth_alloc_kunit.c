// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each allocation of the kernel on the way of a page fails in turn: page tables,
 * arrays, folios, VMAs, anon_vmas, whatever there is, until none is left. How
 * many there are depends on what the slab caches have left, so that is not in
 * the table; what has to come of it is the same each time: no page is anywhere
 * between.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/syscalls.h>

#include "../internal.h"
#include "thp_fail_alloc.h"
#include "thp_mm.h"
#include "thp_nth.h"

/**
 * struct alloc_row - one operation
 * @desc: description
 * @op: operation
 * @order: order of the source; 0: THP_NTH_NR_SMALL folios of order 0
 * @policy: destinations that the driver offers
 * @minimum: allocations that there must be
 */
struct alloc_row {
	const char *desc;
	enum thp_nth_op op;
	unsigned int order;
	enum fake_zdev_policy policy;
	unsigned int minimum;
};

#define AS_SOURCE	FAKE_ZDEV_DST_AS_SOURCE
#define LARGE_ONLY	FAKE_ZDEV_DST_AS_SOURCE_ONLY
#define ALL_SMALL	FAKE_ZDEV_DST_ALL_SMALL

/*
 * At least: the three arrays of the driver; for a hole a page table; in system
 * memory the folios that are the destinations.
 */
static const struct alloc_row alloc_rows[] = {
	{ "to_device_small", THP_NTH_TO_DEVICE, 0, AS_SOURCE, 3 },
	{ "to_device_order2", THP_NTH_TO_DEVICE, 2, AS_SOURCE, 3 },
	{ "to_device_order4", THP_NTH_TO_DEVICE, 4, AS_SOURCE, 3 },
	{ "to_device_order9", THP_NTH_TO_DEVICE, 9, AS_SOURCE, 3 },
	{ "to_device_order9_split", THP_NTH_TO_DEVICE, 9, ALL_SMALL, 3 },
	{ "hole_small", THP_NTH_HOLE, 0, AS_SOURCE, 4 },
	{ "hole_order9", THP_NTH_HOLE, 9, AS_SOURCE, 4 },
	{ "to_ram_small", THP_NTH_TO_RAM, 0, AS_SOURCE, 19 },
	{ "to_ram_order2", THP_NTH_TO_RAM, 2, AS_SOURCE, 7 },
	{ "to_ram_order4", THP_NTH_TO_RAM, 4, AS_SOURCE, 19 },
	{ "to_ram_order9", THP_NTH_TO_RAM, 9, AS_SOURCE, 4 },
	{ "to_ram_order9_only", THP_NTH_TO_RAM, 9, LARGE_ONLY, 4 },
	{ "to_peer_small", THP_NTH_TO_PEER, 0, AS_SOURCE, 3 },
	{ "to_peer_order4", THP_NTH_TO_PEER, 4, AS_SOURCE, 3 },
	{ "to_peer_order9", THP_NTH_TO_PEER, 9, AS_SOURCE, 3 },
	{ "fault_small", THP_NTH_FAULT, 0, AS_SOURCE, 64 },
	{ "fault_order2", THP_NTH_FAULT, 2, AS_SOURCE, 16 },
	{ "fault_order4", THP_NTH_FAULT, 4, AS_SOURCE, 64 },
	{ "fault_order9", THP_NTH_FAULT, 9, AS_SOURCE, 4 },
	{ "evict_small", THP_NTH_EVICT, 0, AS_SOURCE, 19 },
	{ "evict_order2", THP_NTH_EVICT, 2, AS_SOURCE, 4 },
	{ "evict_order5", THP_NTH_EVICT, 5, AS_SOURCE, 4 },
	{ "evict_order8", THP_NTH_EVICT, 8, AS_SOURCE, 4 },
	{ "evict_order9", THP_NTH_EVICT, 9, AS_SOURCE, 4 },
};

static void describe_alloc(struct kunit *test, const void *param, char *desc)
{
	const struct alloc_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_alloc(struct kunit *test)
{
	kunit_register_params_array(test, alloc_rows, ARRAY_SIZE(alloc_rows), describe_alloc);
	return 0;
}

/* Pages that are where neither they were nor they were to go; and those that moved */
static void expect_at_either_end(struct thp_fixture *f, bool all_moved, const char *step)
{
	const struct alloc_row *row = f->test->param_value;
	unsigned long nr = thp_nth_nr_pages(row->order), i, between = 0, moved = 0;

	for (i = 0; i < nr; i++) {
		enum thp_nth_place place = thp_nth_place_of(f, i);

		moved += place == thp_nth_to(row->op);
		between += place != thp_nth_to(row->op) && place != thp_nth_from(row->op);
	}
	KUNIT_EXPECT_EQ_MSG(f->test, between, 0, "%s: pages between", step);
	if (all_moved)
		KUNIT_EXPECT_EQ_MSG(f->test, moved, nr, "%s: pages that moved", step);
}

/* Return: whether there was an @nth allocation to fail. */
static bool fail_one(struct thp_fixture *f, unsigned int nth)
{
	const struct alloc_row *row = f->test->param_value;
	unsigned int errors;
	char step[32];
	bool failed;

	snprintf(step, sizeof(step), "allocation %u", nth);
	thp_nth_prepare(f, row->op, row->order);
	thp_fail_alloc_nth(nth);
	errors = thp_nth_run(f, row->op, row->order, row->policy);
	failed = thp_fail_alloc_stop();
	KUNIT_EXPECT_LE_MSG(f->test, errors, failed, "%s: errors", step);
	expect_at_either_end(f, !failed, step);
	thp_nth_expect_whole(f, row->op, row->order, step);
	thp_nth_clean_up(f);
	return failed;
}

/*
 * Test that whichever allocation fails, each page has moved or has not, has its
 * data, and nothing is left of it when it is unmapped.
 */
static void each_allocation_fails_and_is_undone(struct kunit *test)
{
	const struct alloc_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int nth = 1;

	thp_fixture_anon_orders(test, 0);
	thp_nth_add_devices(f, row->op);
	thp_fail_alloc_enable(test);
	while (fail_one(f, nth))
		nth++;
	KUNIT_EXPECT_GE(test, nth - 1, row->minimum);
}

/**
 * enum mm_op - what the mm does to pages of the device
 * @MM_FORK: all of it is copied to a child
 * @MM_MPROTECT: the second half becomes read-only
 * @MM_MUNMAP: the second half is unmapped
 * @MM_MREMAP: all of it goes to another place
 */
enum mm_op {
	MM_FORK,
	MM_MPROTECT,
	MM_MUNMAP,
	MM_MREMAP,
};

/**
 * struct mm_row - one operation of the mm on pages of the device
 * @desc: description
 * @op: operation
 * @order: order of the folio; 0: THP_NTH_NR_SMALL folios of order 0
 * @minimum: allocations that there must be: VMAs, page tables
 */
struct mm_row {
	const char *desc;
	enum mm_op op;
	unsigned int order;
	unsigned int minimum;
};

static const struct mm_row mm_rows[] = {
	{ "fork_small", MM_FORK, 0, 2 },
	{ "fork_order4", MM_FORK, 4, 2 },
	{ "fork_order9", MM_FORK, 9, 2 },
	{ "mprotect_half_of_small", MM_MPROTECT, 0, 1 },
	{ "mprotect_half_of_order4", MM_MPROTECT, 4, 1 },
	{ "mprotect_half_of_order9", MM_MPROTECT, 9, 1 },
	{ "munmap_half_of_small", MM_MUNMAP, 0, 1 },
	{ "munmap_half_of_order4", MM_MUNMAP, 4, 1 },
	{ "munmap_half_of_order9", MM_MUNMAP, 9, 1 },
	{ "mremap_small", MM_MREMAP, 0, 1 },
	{ "mremap_order4", MM_MREMAP, 4, 1 },
	{ "mremap_order9", MM_MREMAP, 9, 1 },
};

static void describe_mm(struct kunit *test, const void *param, char *desc)
{
	const struct mm_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_mm_rows(struct kunit *test)
{
	kunit_register_params_array(test, mm_rows, ARRAY_SIZE(mm_rows), describe_mm);
	return 0;
}

/* What fork() does of it; a child that did not come to be is put as it is. */
static int fork_and_exit(struct thp_fixture *f)
{
	struct mm_struct *child = mm_alloc();
	int ret;

	if (!child)
		return -ENOMEM;
	thp_mm_hide(child);
	ret = dup_mmap(child, f->mm);
	mmput(child);
	return ret;
}

static int do_mm_op(struct thp_fixture *f, const struct mm_row *row, unsigned long to)
{
	unsigned long size = thp_nth_nr_pages(row->order) << PAGE_SHIFT;
	long ret;

	switch (row->op) {
	case MM_FORK:
		return fork_and_exit(f);
	case MM_MPROTECT:
		return sys_mprotect(f->addr + size / 2, size / 2, PROT_READ);
	case MM_MUNMAP:
		return vm_munmap(f->addr + size / 2, size / 2);
	case MM_MREMAP:
		ret = sys_mremap(f->addr, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		return ret == to ? 0 : ret;
	}
	return -EINVAL;
}

/* As many pages in places as there must be if the operation was done, or undone */
static void expect_pages(struct thp_fixture *f, unsigned long start, unsigned long nr,
			 unsigned long mapped, unsigned long protected, const char *step)
{
	struct thp_nth_survey survey;

	thp_nth_survey(f, start, nr, false, &survey);
	KUNIT_EXPECT_EQ_MSG(f->test, survey.nowhere, nr - mapped, "%s: pages not mapped", step);
	KUNIT_EXPECT_EQ_MSG(f->test, survey.lost, 0, "%s: pages without their data", step);
	KUNIT_EXPECT_EQ_MSG(f->test, survey.held, 0, "%s: pages that somebody holds", step);
	KUNIT_EXPECT_EQ_MSG(f->test, survey.protected, protected, "%s: pages not writable", step);
}

/* Return: whether there was an @nth allocation to fail. */
static bool fail_one_mm_op(struct thp_fixture *f, unsigned int nth)
{
	const struct mm_row *row = f->test->param_value;
	unsigned long nr = thp_nth_nr_pages(row->order), to = f->end + HPAGE_PMD_SIZE;
	struct kunit *test = f->test;
	struct thp_nth_survey survey;
	char step[32];
	bool failed;
	int ret;

	snprintf(step, sizeof(step), "allocation %u", nth);
	thp_nth_prepare(f, THP_NTH_TO_RAM, row->order);
	thp_fail_alloc_nth(nth);
	ret = do_mm_op(f, row, to);
	failed = thp_fail_alloc_stop();
	KUNIT_EXPECT_TRUE_MSG(test, !ret || (failed && ret == -ENOMEM), "%s: returns %d",
			      step, ret);

	switch (row->op) {
	case MM_FORK:
		/* The child has left its mark: how far it came does not matter. */
		thp_nth_survey(f, f->addr, nr, false, &survey);
		expect_pages(f, f->addr, nr, nr, survey.protected, step);
		break;
	case MM_MPROTECT:
		expect_pages(f, f->addr, nr, nr, ret ? 0 : nr / 2, step);
		break;
	case MM_MUNMAP:
		expect_pages(f, f->addr, nr, ret ? nr : nr / 2, 0, step);
		break;
	case MM_MREMAP:
		expect_pages(f, f->addr, nr, ret ? nr : 0, 0, step);
		expect_pages(f, to, nr, ret ? 0 : nr, 0, step);
		break;
	}
	thp_fixture_track(f, fake_zdev_page(f->zdev, 0), 0, f->addr);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, step);
	KUNIT_EXPECT_EQ(test, vm_munmap(to, HPAGE_PMD_SIZE), 0);
	thp_nth_clean_up(f);
	return failed;
}

/*
 * Test that an operation of the mm of which an allocation fails is done or is
 * refused, and in neither case is there a page without its data.
 */
static void mm_operation_without_memory_keeps_pages(struct kunit *test)
{
	const struct mm_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int nth = 1;

	thp_fixture_anon_orders(test, 0);
	thp_nth_add_devices(f, THP_NTH_TO_RAM);
	thp_fail_alloc_enable(test);
	while (fail_one_mm_op(f, nth))
		nth++;
	KUNIT_EXPECT_GE(test, nth - 1, row->minimum);
}

static struct kunit_case device_private_thp_nth_alloc_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(each_allocation_fails_and_is_undone, kunit_array_gen_params,
				   init_alloc, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mm_operation_without_memory_keeps_pages,
				   kunit_array_gen_params, init_mm_rows, NULL),
	{}
};

static struct kunit_suite device_private_thp_nth_alloc_suite = {
	.name = "device_private_thp_nth_alloc",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_nth_alloc_cases,
};

kunit_test_suite(device_private_thp_nth_alloc_suite);

MODULE_DESCRIPTION("KUnit tests: device-private THPs when the n-th allocation fails");
MODULE_LICENSE("GPL");
