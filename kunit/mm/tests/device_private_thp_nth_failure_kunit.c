// SPDX-License-Identifier: GPL-2.0-only
/*
 * Each decision that a driver takes on the way of a page fails in turn: the
 * first, the second, and so on until none is left. What it concerns is done
 * afterwards, or undone, and never anything between.
 */
#include <kunit/test.h>

#include "../internal.h"
#include "thp_leaf.h"
#include "thp_nth.h"

/**
 * enum nth_lost - which pages stay where they were if a decision fails
 * @LOSES_NONE: none: there was another way
 * @LOSES_ONE: the page that the decision is about: as many as decisions
 * @LOSES_ALL: all
 */
enum nth_lost {
	LOSES_NONE,
	LOSES_ONE,
	LOSES_ALL,
};

/**
 * struct nth_outcome - what comes of an operation of which one decision fails
 * @lost: pages that stay
 * @split: the folios of those that stay are of order 0, not what they were
 * @by_pmd: they are still mapped by a PMD
 * @errors: accesses, or migrations as a whole, that failed
 */
struct nth_outcome {
	enum nth_lost lost;
	bool split;
	bool by_pmd;
	unsigned int errors;
};

/**
 * struct nth_row - one operation, and one kind of decision on its way
 * @desc: description
 * @op: operation
 * @order: order of the source; 0: THP_NTH_NR_SMALL folios of order 0
 * @policy: destinations that the driver offers
 * @point: the kind of decision
 * @decisions: how many there are if none fails
 * @first: outcome if the first one fails
 * @others: outcome if any other one fails
 */
struct nth_row {
	const char *desc;
	enum thp_nth_op op;
	unsigned int order;
	enum fake_zdev_policy policy;
	enum fake_zdev_point point;
	unsigned long decisions;
	struct nth_outcome first, others;
};

#define AS_SOURCE	FAKE_ZDEV_DST_AS_SOURCE
#define LARGE_ONLY	FAKE_ZDEV_DST_AS_SOURCE_ONLY
#define ALL_SMALL	FAKE_ZDEV_DST_ALL_SMALL

#define P_ALLOC		FAKE_ZDEV_POINT_ALLOC
#define P_ALLOC_LARGE	FAKE_ZDEV_POINT_ALLOC_LARGE
#define P_COPY		FAKE_ZDEV_POINT_COPY
#define P_LOCK		FAKE_ZDEV_POINT_LOCK
#define P_PIN		FAKE_ZDEV_POINT_PIN
#define P_RAM		FAKE_ZDEV_POINT_RAM_ALLOC
#define P_RAM_LARGE	FAKE_ZDEV_POINT_RAM_ALLOC_LARGE

#define TO_DEVICE	THP_NTH_TO_DEVICE
#define HOLE		THP_NTH_HOLE
#define TO_RAM		THP_NTH_TO_RAM
#define TO_PEER		THP_NTH_TO_PEER
#define FAULT		THP_NTH_FAULT
#define EVICT		THP_NTH_EVICT

/* Page by page: what fails concerns one page, of a folio that is split by then. */
#define EACH(_desc, _op, _order, _point, _n)					\
	{ _desc, _op, _order, AS_SOURCE, _point, _n,				\
	  { LOSES_ONE, true, false, 0 }, { LOSES_ONE, true, false, 0 } }

/* The same in CPU faults, one each: the access fails. */
#define EACH_FAULT(_desc, _order, _point, _n)					\
	{ _desc, FAULT, _order, AS_SOURCE, _point, _n,				\
	  { LOSES_ONE, true, false, 1 }, { LOSES_ONE, true, false, 1 } }

/* Who is disturbed in a CPU fault takes it again, and is not disturbed then. */
#define AGAIN(_desc, _order, _policy, _point, _n)				\
	{ _desc, FAULT, _order, _policy, _point, _n,				\
	  { LOSES_NONE }, { LOSES_NONE } }

/* One decision for one folio, which stays as it is */
#define STAYS(_desc, _op, _order, _policy, _point, _by_pmd)			\
	{ _desc, _op, _order, _policy, _point, 1,				\
	  { LOSES_ALL, false, _by_pmd, 0 }, {} }

/* One decision for one folio, and small folios instead if it fails */
#define SMALLER(_desc, _op, _point)						\
	{ _desc, _op, 9, AS_SOURCE, _point, 1, { LOSES_NONE }, {} }

static const struct nth_row nth_rows[] = {
	EACH("to_device_small_alloc", TO_DEVICE, 0, P_ALLOC, 16),
	EACH("to_device_small_copy", TO_DEVICE, 0, P_COPY, 16),
	EACH("to_device_small_pin", TO_DEVICE, 0, P_PIN, 16),
	EACH("to_device_order2_alloc", TO_DEVICE, 2, P_ALLOC, 4),
	EACH("to_device_order2_pin", TO_DEVICE, 2, P_PIN, 4),
	EACH("to_device_order3_copy", TO_DEVICE, 3, P_COPY, 8),
	EACH("to_device_order4_alloc", TO_DEVICE, 4, P_ALLOC, 16),
	EACH("to_device_order4_pin", TO_DEVICE, 4, P_PIN, 16),
	SMALLER("to_device_order9_alloc", TO_DEVICE, P_ALLOC),
	SMALLER("to_device_order9_alloc_large", TO_DEVICE, P_ALLOC_LARGE),
	SMALLER("to_device_order9_copy", TO_DEVICE, P_COPY),
	STAYS("to_device_order9_pin", TO_DEVICE, 9, AS_SOURCE, P_PIN, true),
	STAYS("to_device_order9_only_alloc", TO_DEVICE, 9, LARGE_ONLY, P_ALLOC, true),
	STAYS("to_device_order9_only_alloc_large", TO_DEVICE, 9, LARGE_ONLY, P_ALLOC_LARGE, true),
	STAYS("to_device_order9_only_copy", TO_DEVICE, 9, LARGE_ONLY, P_COPY, true),
	STAYS("to_device_order9_only_pin", TO_DEVICE, 9, LARGE_ONLY, P_PIN, true),
	/* The split is refused when the PMD is PTEs already. */
	STAYS("to_device_order9_split_pin", TO_DEVICE, 9, ALL_SMALL, P_PIN, false),

	EACH("hole_small_alloc", HOLE, 0, P_ALLOC, 16),
	EACH("hole_small_copy", HOLE, 0, P_COPY, 16),
	EACH("hole_order4_alloc", HOLE, 4, P_ALLOC, 16),
	SMALLER("hole_order9_alloc", HOLE, P_ALLOC),
	SMALLER("hole_order9_alloc_large", HOLE, P_ALLOC_LARGE),
	SMALLER("hole_order9_copy", HOLE, P_COPY),
	STAYS("hole_order9_only_alloc", HOLE, 9, LARGE_ONLY, P_ALLOC, false),
	STAYS("hole_order9_only_alloc_large", HOLE, 9, LARGE_ONLY, P_ALLOC_LARGE, false),
	STAYS("hole_order9_only_copy", HOLE, 9, LARGE_ONLY, P_COPY, false),

	EACH("to_ram_small_alloc", TO_RAM, 0, P_RAM, 16),
	EACH("to_ram_small_lock", TO_RAM, 0, P_LOCK, 16),
	EACH("to_ram_small_copy", TO_RAM, 0, P_COPY, 16),
	EACH("to_ram_small_pin", TO_RAM, 0, P_PIN, 16),
	EACH("to_ram_order2_alloc", TO_RAM, 2, P_RAM, 4),
	EACH("to_ram_order2_pin", TO_RAM, 2, P_PIN, 4),
	EACH("to_ram_order3_lock", TO_RAM, 3, P_LOCK, 8),
	EACH("to_ram_order4_alloc", TO_RAM, 4, P_RAM, 16),
	EACH("to_ram_order4_copy", TO_RAM, 4, P_COPY, 16),
	EACH("to_ram_order4_pin", TO_RAM, 4, P_PIN, 16),
	SMALLER("to_ram_order9_alloc", TO_RAM, P_RAM),
	SMALLER("to_ram_order9_alloc_large", TO_RAM, P_RAM_LARGE),
	SMALLER("to_ram_order9_lock", TO_RAM, P_LOCK),
	SMALLER("to_ram_order9_copy", TO_RAM, P_COPY),
	STAYS("to_ram_order9_pin", TO_RAM, 9, AS_SOURCE, P_PIN, true),
	STAYS("to_ram_order9_only_alloc", TO_RAM, 9, LARGE_ONLY, P_RAM, true),
	STAYS("to_ram_order9_only_alloc_large", TO_RAM, 9, LARGE_ONLY, P_RAM_LARGE, true),
	STAYS("to_ram_order9_only_lock", TO_RAM, 9, LARGE_ONLY, P_LOCK, true),
	STAYS("to_ram_order9_only_copy", TO_RAM, 9, LARGE_ONLY, P_COPY, true),
	STAYS("to_ram_order9_only_pin", TO_RAM, 9, LARGE_ONLY, P_PIN, true),
	STAYS("to_ram_order9_split_pin", TO_RAM, 9, ALL_SMALL, P_PIN, false),

	EACH("to_peer_small_alloc", TO_PEER, 0, P_ALLOC, 16),
	EACH("to_peer_small_copy", TO_PEER, 0, P_COPY, 16),
	EACH("to_peer_small_pin", TO_PEER, 0, P_PIN, 16),
	EACH("to_peer_order2_alloc", TO_PEER, 2, P_ALLOC, 4),
	EACH("to_peer_order3_pin", TO_PEER, 3, P_PIN, 8),
	EACH("to_peer_order4_copy", TO_PEER, 4, P_COPY, 16),
	SMALLER("to_peer_order9_alloc", TO_PEER, P_ALLOC),
	SMALLER("to_peer_order9_alloc_large", TO_PEER, P_ALLOC_LARGE),
	SMALLER("to_peer_order9_copy", TO_PEER, P_COPY),
	STAYS("to_peer_order9_pin", TO_PEER, 9, AS_SOURCE, P_PIN, true),
	STAYS("to_peer_order9_only_alloc", TO_PEER, 9, LARGE_ONLY, P_ALLOC, true),
	STAYS("to_peer_order9_only_copy", TO_PEER, 9, LARGE_ONLY, P_COPY, true),
	STAYS("to_peer_order9_split_pin", TO_PEER, 9, ALL_SMALL, P_PIN, false),

	EACH_FAULT("fault_small_alloc", 0, P_RAM, 16),
	EACH_FAULT("fault_small_lock", 0, P_LOCK, 16),
	EACH_FAULT("fault_small_copy", 0, P_COPY, 16),
	AGAIN("fault_small_pin", 0, AS_SOURCE, P_PIN, 16),
	EACH_FAULT("fault_order2_alloc", 2, P_RAM, 4),
	EACH_FAULT("fault_order3_lock", 3, P_LOCK, 8),
	EACH_FAULT("fault_order4_alloc", 4, P_RAM, 16),
	EACH_FAULT("fault_order4_copy", 4, P_COPY, 16),
	AGAIN("fault_order4_pin", 4, AS_SOURCE, P_PIN, 16),
	/* Small folios for a PMD: page by page after all, see LB8 */
	AGAIN("fault_order9_alloc", 9, AS_SOURCE, P_RAM, 1),
	AGAIN("fault_order9_alloc_large", 9, AS_SOURCE, P_RAM_LARGE, 1),
	AGAIN("fault_order9_lock", 9, AS_SOURCE, P_LOCK, 1),
	AGAIN("fault_order9_copy", 9, AS_SOURCE, P_COPY, 1),
	AGAIN("fault_order9_pin", 9, AS_SOURCE, P_PIN, 1),
	/* The access to the first page fails, that to the second brings all of them. */
	{ "fault_order9_only_alloc", FAULT, 9, LARGE_ONLY, P_RAM, 1,
	  { LOSES_NONE, false, false, 1 }, {} },
	{ "fault_order9_only_lock", FAULT, 9, LARGE_ONLY, P_LOCK, 1,
	  { LOSES_NONE, false, false, 1 }, {} },
	{ "fault_order9_only_copy", FAULT, 9, LARGE_ONLY, P_COPY, 1,
	  { LOSES_NONE, false, false, 1 }, {} },

	EACH("evict_small_alloc", EVICT, 0, P_RAM, 16),
	EACH("evict_small_lock", EVICT, 0, P_LOCK, 16),
	EACH("evict_small_copy", EVICT, 0, P_COPY, 16),
	EACH("evict_small_pin", EVICT, 0, P_PIN, 16),
	STAYS("evict_order2_alloc", EVICT, 2, AS_SOURCE, P_RAM, false),
	STAYS("evict_order3_lock", EVICT, 3, AS_SOURCE, P_LOCK, false),
	STAYS("evict_order4_copy", EVICT, 4, AS_SOURCE, P_COPY, false),
	STAYS("evict_order5_pin", EVICT, 5, AS_SOURCE, P_PIN, false),
	STAYS("evict_order6_alloc_large", EVICT, 6, AS_SOURCE, P_RAM_LARGE, false),
	STAYS("evict_order7_alloc", EVICT, 7, AS_SOURCE, P_RAM, false),
	STAYS("evict_order8_pin", EVICT, 8, AS_SOURCE, P_PIN, false),
	STAYS("evict_order9_alloc", EVICT, 9, AS_SOURCE, P_RAM, true),
	STAYS("evict_order9_alloc_large", EVICT, 9, AS_SOURCE, P_RAM_LARGE, true),
	STAYS("evict_order9_lock", EVICT, 9, AS_SOURCE, P_LOCK, true),
	STAYS("evict_order9_copy", EVICT, 9, AS_SOURCE, P_COPY, true),
	STAYS("evict_order9_pin", EVICT, 9, AS_SOURCE, P_PIN, true),
};

/*
 * A folio of 512 pages to 512 small ones. Without a destination for its first
 * page it is not even split; any other page stays alone.
 */
#define SPLIT(_desc, _op, _point)						\
	{ _desc, _op, 9, ALL_SMALL, _point, HPAGE_PMD_NR,			\
	  { LOSES_ALL, false, true, 0 }, { LOSES_ONE, true, false, 0 } }

static const struct nth_row split_rows[] = {
	SPLIT("to_device_alloc", TO_DEVICE, P_ALLOC),
	SPLIT("to_device_copy", TO_DEVICE, P_COPY),
	SPLIT("to_ram_alloc", TO_RAM, P_RAM),
	SPLIT("to_ram_lock", TO_RAM, P_LOCK),
	SPLIT("to_ram_copy", TO_RAM, P_COPY),
	SPLIT("to_peer_alloc", TO_PEER, P_ALLOC),
	SPLIT("to_peer_copy", TO_PEER, P_COPY),
	/* A PTE-mapped folio of order 8 is split before. */
	EACH("to_ram_order8_alloc", TO_RAM, 8, P_RAM, 256),
	EACH("to_ram_order8_pin", TO_RAM, 8, P_PIN, 256),
	EACH_FAULT("fault_order8_alloc", 8, P_RAM, 256),
	EACH("to_device_order8_alloc", TO_DEVICE, 8, P_ALLOC, 256),
};

static void describe_nth(struct kunit *test, const void *param, char *desc)
{
	const struct nth_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_nth(struct kunit *test)
{
	kunit_register_params_array(test, nth_rows, ARRAY_SIZE(nth_rows), describe_nth);
	return 0;
}

static int init_split(struct kunit *test)
{
	kunit_register_params_array(test, split_rows, ARRAY_SIZE(split_rows), describe_nth);
	return 0;
}

/* The device that decides: the destination, or the source if that is system memory */
static struct fake_zdev *decider(const struct thp_fixture *f, enum thp_nth_op op)
{
	return op == THP_NTH_TO_PEER ? f->peer : f->zdev;
}

static bool is_lost(enum nth_lost lost, unsigned long page_nr, unsigned long nth)
{
	return lost == LOSES_ALL || (lost == LOSES_ONE && page_nr == nth - 1);
}

/* Each page is where the outcome says, and those that stayed are as they were. */
static void expect_outcome(struct thp_fixture *f, const struct nth_outcome *outcome,
			   unsigned long nth)
{
	const struct nth_row *row = f->test->param_value;
	const unsigned int order = outcome->split ? 0 : row->order;
	unsigned long nr = thp_nth_nr_pages(row->order), i;
	unsigned long displaced = 0, changed = 0;

	for (i = 0; i < nr; i++) {
		const bool lost = is_lost(outcome->lost, i, nth);
		struct thp_leaf leaf = thp_leaf_at(f->mm, f->addr + (i << PAGE_SHIFT));

		displaced += thp_nth_place_of(f, i) !=
			     (lost ? thp_nth_from(row->op) : thp_nth_to(row->op));
		if (lost && leaf.page)
			changed += folio_order(page_folio(leaf.page)) != order ||
				   leaf.by_pmd != outcome->by_pmd;
	}
	KUNIT_EXPECT_EQ_MSG(f->test, displaced, 0, "decision %lu failed: pages out of place", nth);
	KUNIT_EXPECT_EQ_MSG(f->test, changed, 0, "decision %lu failed: pages that changed", nth);
}

/*
 * Let decision @nth fail. If there is no such decision, everything must be done.
 *
 * Return: whether there was one.
 */
static bool fail_one(struct thp_fixture *f, unsigned long nth)
{
	static const struct nth_outcome done = { LOSES_NONE };
	const struct nth_row *row = f->test->param_value;
	struct fake_zdev *zdev = decider(f, row->op);
	const struct nth_outcome *outcome = nth == 1 ? &row->first : &row->others;
	unsigned long decisions, failures;
	struct kunit *test = f->test;
	unsigned int errors;
	char step[32];

	snprintf(step, sizeof(step), "decision %lu", nth);
	thp_nth_prepare(f, row->op, row->order);
	decisions = fake_zdev_decisions(zdev, row->point);
	failures = fake_zdev_failures(zdev, row->point);
	fake_zdev_fail_nth(zdev, row->point, nth);
	errors = thp_nth_run(f, row->op, row->order, row->policy);
	fake_zdev_fail_nth(zdev, row->point, 0);
	decisions = fake_zdev_decisions(zdev, row->point) - decisions;
	failures = fake_zdev_failures(zdev, row->point) - failures;

	if (!failures) {
		outcome = &done;
		KUNIT_EXPECT_EQ_MSG(test, decisions, row->decisions, "without a failure");
	}
	KUNIT_EXPECT_EQ_MSG(test, errors, outcome->errors, "%s: errors", step);
	expect_outcome(f, outcome, nth);
	thp_nth_expect_whole(f, row->op, row->order, step);
	thp_nth_clean_up(f);
	return failures;
}

/*
 * Test that whichever decision fails, what it is about stays as it was, all else
 * is done, and nothing is left of either when it is unmapped; and that there is
 * no decision that the table does not know of.
 */
static void each_decision_fails_and_is_undone(struct kunit *test)
{
	const struct nth_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long nth = 1;

	thp_fixture_anon_orders(test, 0);
	thp_nth_add_devices(f, row->op);
	while (fail_one(f, nth))
		nth++;
	KUNIT_EXPECT_EQ_MSG(test, nth, row->decisions + 1, "decisions, and one that is none");
}

/* Test the same of hundreds of decisions: here the first and the last ones. */
static void outer_decisions_fail_and_are_undone(struct kunit *test)
{
	const struct nth_row *row = test->param_value;
	const unsigned long tried[] = { 1, 2, row->decisions - 1, row->decisions };
	struct thp_fixture *f = test->priv;
	unsigned int i;

	thp_fixture_anon_orders(test, 0);
	thp_nth_add_devices(f, row->op);
	for (i = 0; i < ARRAY_SIZE(tried); i++)
		KUNIT_EXPECT_TRUE_MSG(test, fail_one(f, tried[i]), "decision %lu", tried[i]);
	KUNIT_EXPECT_FALSE(test, fail_one(f, row->decisions + 1));
}

static struct kunit_case device_private_thp_nth_failure_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(each_decision_fails_and_is_undone, kunit_array_gen_params,
				   init_nth, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(outer_decisions_fail_and_are_undone, kunit_array_gen_params,
				   init_split, NULL),
	{}
};

static struct kunit_suite device_private_thp_nth_failure_suite = {
	.name = "device_private_thp_nth_failure",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_nth_failure_cases,
};

/* All of the hundreds of decisions, each with a range of up to 2 MiB of its own */
static struct kunit_case device_private_thp_nth_failure_all_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(each_decision_fails_and_is_undone, kunit_array_gen_params,
				   init_split, NULL),
	{}
};

static struct kunit_suite device_private_thp_nth_failure_all_suite = {
	.name = "device_private_thp_nth_failure_all",
	.attr.speed = KUNIT_SPEED_SLOW,
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_nth_failure_all_cases,
};

kunit_test_suites(&device_private_thp_nth_failure_suite,
		  &device_private_thp_nth_failure_all_suite);

MODULE_DESCRIPTION("KUnit tests: device-private THPs when the n-th decision fails");
MODULE_LICENSE("GPL");
