// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holes that are filled with memory of the device, in a memory cgroup that has no
 * room for all of it: the first charge fails, then the second, until none does.
 * (Nothing else on the way of a page to or from the device is charged: migration
 * moves the charge.)
 */
#include <kunit/test.h>
#include <linux/memcontrol.h>
#include <linux/printk.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "thp_fixture_memcg.h"
#include "thp_nth.h"

#ifdef CONFIG_MEMCG

/**
 * struct charge_row - a hole
 * @desc: description
 * @order: order of the hole; 0: THP_NTH_NR_SMALL pages, one by one
 * @policy: destinations that the driver offers
 * @charges: charges that it takes to fill it, each of as many pages as a folio has
 * @tables: pages that are charged with each of them: the deposited page table
 */
struct charge_row {
	const char *desc;
	unsigned int order;
	enum fake_zdev_policy policy;
	unsigned long charges;
	unsigned long tables;
};

/*
 * A large folio that can't be charged is given back, not replaced by small ones:
 * the driver has been asked for its destinations by then.
 */
static const struct charge_row charge_rows[] = {
	{ "small", 0, FAKE_ZDEV_DST_AS_SOURCE, THP_NTH_NR_SMALL, 0 },
	{ "order9", 9, FAKE_ZDEV_DST_AS_SOURCE, 1, 1 },
	{ "order9_only", 9, FAKE_ZDEV_DST_AS_SOURCE_ONLY, 1, 1 },
};

static void describe_charge(struct kunit *test, const void *param, char *desc)
{
	const struct charge_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_charge(struct kunit *test)
{
	kunit_register_params_array(test, charge_rows, ARRAY_SIZE(charge_rows), describe_charge);
	return 0;
}

/* As writing to memory.max does it, without the reclaim that follows there */
static void set_limit(struct thp_fixture *f, unsigned long pages)
{
	xchg(&f->charge_to->memory.max, pages);
}

/*
 * Page tables are charged, too. So there is a page beside the hole already: next
 * to the small pages, or in another PMD.
 */
static void touch_beside(struct thp_fixture *f)
{
	const struct charge_row *row = f->test->param_value;
	unsigned long addr = row->order ? f->end : f->addr + HPAGE_PMD_SIZE;

	KUNIT_ASSERT_EQ(f->test, 0, put_user(0, (char __user *)(addr - PAGE_SIZE)));
}

/*
 * Fill the hole, with room for @nth - 1 charges.
 *
 * For each charge of a small page that fails the kernel looks for somebody to
 * kill, and says that there is nobody. suppress_printk is for that: nothing that
 * matters is hidden by it, a warning would still taint the kernel.
 */
static void fill_with_room(struct thp_fixture *f, unsigned long nth)
{
	const struct charge_row *row = f->test->param_value;
	unsigned long room = (nth - 1) * ((1UL << row->order) + row->tables);

	set_limit(f, thp_memcg_drained_usage(f) + room);
	suppress_printk = 1;
	thp_nth_run(f, THP_NTH_HOLE, row->order, row->policy);
	suppress_printk = 0;
	set_limit(f, PAGE_COUNTER_MAX);
}

/* The first charges fill as many pages as they are for, the others none. */
static void expect_filled(struct thp_fixture *f, unsigned long nth, const char *step)
{
	const struct charge_row *row = f->test->param_value;
	unsigned long nr = thp_nth_nr_pages(row->order), i, displaced = 0;

	for (i = 0; i < nr; i++)
		displaced += thp_nth_place_of(f, i) !=
			     (i < (nth - 1) << row->order ? THP_NTH_ON_DEVICE : THP_NTH_NOWHERE);
	KUNIT_EXPECT_EQ_MSG(f->test, displaced, 0, "%s: pages out of place", step);
	KUNIT_EXPECT_EQ_MSG(f->test, fake_zdev_count_leaks(f->zdev), (nth - 1) << row->order,
			    "%s: pages of the device", step);
	thp_nth_expect_whole(f, THP_NTH_HOLE, row->order, step);
}

/*
 * Test that whichever charge fails, what was charged before is there, nothing is
 * after, and the cgroup has no page too many in the end.
 */
static void each_charge_fails_and_is_undone(struct kunit *test)
{
	const struct charge_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long nth;
	s64 usage;

	thp_fixture_own_memcg(f, THP_MEMCG_USUAL);
	thp_fixture_anon_orders(test, 0);
	thp_fixture_enter_memcg(f, THP_MEMCG_USUAL);
	usage = thp_memcg_drained_usage(f);
	for (nth = 1; nth <= row->charges + 1; nth++) {
		char step[32];

		snprintf(step, sizeof(step), "charge %lu", nth);
		touch_beside(f);
		fill_with_room(f, nth);
		expect_filled(f, nth, step);
		thp_nth_clean_up(f);
		KUNIT_EXPECT_EQ_MSG(test, thp_memcg_drained_usage(f), usage, "%s: usage", step);
	}
	thp_fixture_leave_memcg(f);
}

static struct kunit_case device_private_thp_nth_charge_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(each_charge_fails_and_is_undone, kunit_array_gen_params,
				   init_charge, NULL),
	{}
};

static struct kunit_suite device_private_thp_nth_charge_suite = {
	.name = "device_private_thp_nth_charge",
	.suite_init = thp_memcg_suite_init,
	.suite_exit = thp_memcg_suite_exit,
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_nth_charge_cases,
};

kunit_test_suite(device_private_thp_nth_charge_suite);

#endif /* CONFIG_MEMCG */

MODULE_DESCRIPTION("KUnit tests: device-private THPs when the n-th charge fails");
MODULE_LICENSE("GPL");
