// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which splits are refused: folio_check_splittable(), which __folio_split() asks
 * first, against a table; and folio_split_unmapped(), which does not ask it.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/printk.h>
#include <linux/shmem_fs.h>

#include "../internal.h"
#include "thp_fixture_system.h"
#include "thp_known_bug.h"
#include "thp_split_unmapped.h"

/* Ways to make a folio, locked, with a reference of the test */
static struct folio *make_device(struct thp_fixture *f, unsigned int order)
{
	return thp_unmapped_alloc(f, THP_DEVICE, order);
}

static struct folio *make_system(struct thp_fixture *f, unsigned int order)
{
	return thp_unmapped_alloc(f, THP_SYSTEM, order);
}

/* The flag is all that folio_check_splittable() looks at. */
static struct folio *make_swapcache(struct thp_fixture *f, unsigned int order)
{
	struct folio *folio = make_system(f, order);

	folio_set_swapcache(folio);
	return folio;
}

static struct folio *make_writeback(struct thp_fixture *f, unsigned int order)
{
	struct folio *folio = make_system(f, order);

	set_bit(PG_writeback, &folio->flags.f);
	return folio;
}

static struct folio *make_shmem(struct thp_fixture *f, unsigned int order)
{
	struct folio *folio = thp_fixture_touch_shmem(f, order);

	folio_get(folio);
	folio_lock(folio);
	return folio;
}

static struct folio *make_truncated(struct thp_fixture *f, unsigned int order)
{
	struct folio *folio = thp_fixture_touch_shmem(f, order);

	folio_get(folio);
	shmem_truncate_range(file_inode(f->vma->vm_file), 0, -1);
	folio_lock(folio);
	return folio;
}

static struct folio *make_huge_zero(struct thp_fixture *f, unsigned int order)
{
	struct folio *folio = mm_get_huge_zero_folio(f->mm);

	KUNIT_ASSERT_NOT_NULL(f->test, folio);
	folio_get(folio);
	folio_lock(folio);
	return folio;
}

static void end_device(struct thp_fixture *f, struct folio *folio)
{
	thp_unmapped_put(f, THP_DEVICE);
}

static void end_system(struct thp_fixture *f, struct folio *folio)
{
	folio_clear_swapcache(folio);
	clear_bit(PG_writeback, &folio->flags.f);
	thp_unmapped_put(f, THP_SYSTEM);
}

static void end_folio(struct thp_fixture *f, struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

/* Orders that a split may ask for, whatever that of the folio */
#define NR_NEW_ORDERS	THP_NR_ORDERS

/**
 * struct splittable_kind - a kind of folio, and what may become of it
 * @name: name
 * @first_order: its least order that is large
 * @make: makes one
 * @end: unlocks and drops it
 * @uniform: what folio_check_splittable() says of a uniform split, by new order
 * @non_uniform: the same of a non-uniform one
 */
struct splittable_kind {
	const char *name;
	unsigned int first_order;
	struct folio *(*make)(struct thp_fixture *f, unsigned int order);
	void (*end)(struct thp_fixture *f, struct folio *folio);
	int uniform[NR_NEW_ORDERS];
	int non_uniform[NR_NEW_ORDERS];
};

#define YES	0
#define INV	(-EINVAL)
#define BUSY	(-EBUSY)
#define ALL_YES		{ YES, YES, YES, YES, YES, YES, YES, YES, YES, YES }
#define ALL_INV		{ INV, INV, INV, INV, INV, INV, INV, INV, INV, INV }
#define ALL_BUSY	{ BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY }
/* There are no anonymous folios of order 1. */
#define NOT_1		{ YES, INV, YES, YES, YES, YES, YES, YES, YES, YES }
/* A large folio can't take the place of another one in the swap cache. */
#define ONLY_0		{ YES, INV, INV, INV, INV, INV, INV, INV, INV, INV }
/* What can never be done is not worth waiting for. */
#define BUSY_NOT_1	{ BUSY, INV, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY, BUSY }

static const struct splittable_kind
	device		= { "device", 2, make_device, end_device, NOT_1, NOT_1 },
	system		= { "system", 2, make_system, end_system, NOT_1, NOT_1 },
	swapcache	= { "swapcache", 2, make_swapcache, end_system, ONLY_0, ALL_INV },
	writeback	= { "writeback", 2, make_writeback, end_system, BUSY_NOT_1, BUSY_NOT_1 },
	shmem		= { "shmem", 1, make_shmem, end_folio, ALL_YES, ALL_YES },
	truncated	= { "truncated", 1, make_truncated, end_folio, ALL_BUSY, ALL_BUSY },
	/* It has no mapping, which is what is looked at first. */
	huge_zero	= { "huge_zero", 9, make_huge_zero, end_folio, ALL_BUSY, ALL_BUSY };

static const struct splittable_kind * const kinds[] = {
	&device, &system, &swapcache, &writeback, &shmem, &truncated, &huge_zero,
};

/**
 * struct splittable_param - a folio
 * @kind: its kind
 * @order: its order
 */
struct splittable_param {
	const struct splittable_kind *kind;
	unsigned int order;
};

static void splittable_desc(struct kunit *test, const void *param, char *desc)
{
	const struct splittable_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_order%u", p->kind->name, p->order);
}

/* Every kind, of every order that it can have */
static int splittable_init(struct kunit *test)
{
	struct splittable_param *params;
	unsigned int nr = 0, order, i;

	params = kunit_kcalloc(test, ARRAY_SIZE(kinds) * THP_NR_ORDERS, sizeof(*params),
			       GFP_KERNEL);
	if (!params)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (order = kinds[i]->first_order; order < THP_NR_ORDERS; order++)
			params[nr++] = (struct splittable_param) { kinds[i], order };
	kunit_register_params_array(test, params, nr, splittable_desc);
	return 0;
}

/*
 * Test that folio_check_splittable() decides by the kind of folio, the new order
 * and the way to split, as the table says. The order of the folio does not matter
 * to it; __folio_split() has looked at that before.
 */
static void check_splittable_says(struct kunit *test)
{
	const struct splittable_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = p->kind->make(f, p->order);
	unsigned int new_order;

	KUNIT_EXPECT_EQ(test, folio_order(folio), p->order);
	for (new_order = 0; new_order < NR_NEW_ORDERS; new_order++) {
		KUNIT_EXPECT_EQ_MSG(test, folio_check_splittable(folio, new_order,
								 SPLIT_TYPE_UNIFORM),
				    p->kind->uniform[new_order],
				    "uniform, to order %u", new_order);
		KUNIT_EXPECT_EQ_MSG(test, folio_check_splittable(folio, new_order,
								 SPLIT_TYPE_NON_UNIFORM),
				    p->kind->non_uniform[new_order],
				    "non-uniform, to order %u", new_order);
	}
	p->kind->end(f, folio);
}

/* Test that folio_check_splittable() warns of a folio that is not locked. */
static void check_splittable_warns_if_unlocked(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_system(f, p->old_order);

	folio_unlock(folio);
	kunit_warning_suppress(test) {
		suppress_printk = 1;
		folio_check_splittable(folio, p->new_order, SPLIT_TYPE_UNIFORM);
		suppress_printk = 0;
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, IS_ENABLED(CONFIG_DEBUG_VM));
	}
	folio_lock(folio);
	end_system(f, folio);
}

/* What folio_check_splittable(), or __folio_split() before it, would refuse */
static const struct thp_split_pair refused_pairs[] = {
	{ 2, 1 }, { 3, 1 }, { 4, 1 }, { 5, 1 }, { 6, 1 }, { 7, 1 }, { 8, 1 }, { 9, 1 },
	{ 2, 2 }, { 3, 3 }, { 4, 4 }, { 5, 5 }, { 6, 6 }, { 7, 7 }, { 8, 8 }, { 9, 9 },
};

static int refused_init(struct kunit *test)
{
	kunit_register_params_array(test, refused_pairs, ARRAY_SIZE(refused_pairs),
				    thp_split_pair_desc);
	return 0;
}

/*
 * Known bug: to order 1 or to the order it has, folio_split_unmapped() says that
 * it has split the folio, and has told the driver so, although it has not.
 */
static void split_to_no_use(struct kunit *test, enum thp_memory memory)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_unmapped_alloc(f, memory, p->old_order);
	struct thp_state want;

	thp_unmapped_want(f, &want, memory, p->old_order);
	fake_zdev_clear_events(f->zdev);
	thp_known_bug(test, "LB13", folio_split_unmapped(folio, p->new_order), -EINVAL, 0,
		      "folio_split_unmapped()");
	/* In either case, all is as it was. */
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped");
	if (memory == THP_DEVICE)
		thp_known_bug(test, "LB13", fake_zdev_nr_events(f->zdev), 0, 1,
			      "number of calls of ->folio_split()");
	thp_unmapped_put(f, memory);
}

static void device_to_order1_or_same_is_refused(struct kunit *test)
{
	split_to_no_use(test, THP_DEVICE);
}

static void system_to_order1_or_same_is_refused(struct kunit *test)
{
	split_to_no_use(test, THP_SYSTEM);
}

/* Known bug: the same takes the folio, which it does not split, from the deferred list. */
static void system_deferred_to_order1_or_same_is_refused(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_unmapped_alloc(f, THP_SYSTEM, p->old_order);
	struct thp_state right, bug;

	KUNIT_ASSERT_EQ(test, 0, folio_memcg_alloc_deferred(folio));
	deferred_split_folio(folio, true);
	thp_unmapped_want(f, &bug, THP_SYSTEM, p->old_order);
	bug.split_deferred[p->old_order] = 1;
	bug.ev_deferred = p->old_order == HPAGE_PMD_ORDER;
	right = bug;
	right.deferred = 1;
	right.part_mapped = 1;
	right.nr_part[p->old_order] = 1;
	thp_ledger_expect(f, folio, &right, "deferred_split_folio");

	folio_split_unmapped(folio, p->new_order);
	thp_ledger_expect_known_bug(f, folio, &right, &bug, "LB13", "folio_split_unmapped");
	thp_unmapped_put(f, THP_SYSTEM);
}

/* Known bug: a folio that is being written is split under the writer's hands. */
static void system_under_writeback_is_refused(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_writeback(f, p->old_order);

	KUNIT_EXPECT_EQ(test, folio_check_splittable(folio, p->new_order, SPLIT_TYPE_UNIFORM),
			-EBUSY);
	thp_known_bug(test, "LB13", folio_split_unmapped(folio, p->new_order), -EBUSY, 0,
		      "folio_split_unmapped() under writeback");
	clear_bit(PG_writeback, &folio->flags.f);
	thp_unmapped_put(f, THP_SYSTEM);
}

static const struct thp_split_pair growing_pairs[] = {
	{ 2, 3 },
};

static int growing_init(struct kunit *test)
{
	kunit_register_params_array(test, growing_pairs, ARRAY_SIZE(growing_pairs),
				    thp_split_pair_desc);
	return 0;
}

/*
 * Known bug: to a larger order, the folio grows over pages that are not its own
 * (folio_set_order()), and the walk over the parts never comes to its end.
 */
static void device_to_larger_order_is_refused(struct kunit *test)
{
	const struct thp_split_pair *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	struct folio *folio;

	thp_known_bug_own_boot(test, "H8");
	folio = thp_unmapped_alloc(f, THP_DEVICE, p->old_order);
	thp_unmapped_want(f, &want, THP_DEVICE, p->old_order);
	thp_known_bug(test, "H8", folio_split_unmapped(folio, p->new_order), -EINVAL, 0,
		      "folio_split_unmapped() to a larger order");
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped");
	thp_unmapped_put(f, THP_DEVICE);
}

static struct kunit_case thp_split_refused_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(check_splittable_says, kunit_array_gen_params,
				   splittable_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(check_splittable_warns_if_unlocked, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_to_order1_or_same_is_refused, kunit_array_gen_params,
				   refused_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_to_order1_or_same_is_refused, kunit_array_gen_params,
				   refused_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_deferred_to_order1_or_same_is_refused,
				   kunit_array_gen_params, refused_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_under_writeback_is_refused, kunit_array_gen_params,
				   thp_split_to_0_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_to_larger_order_is_refused, kunit_array_gen_params,
				   growing_init, NULL),
	{}
};

static struct kunit_suite thp_split_refused_suite = {
	.name = "thp_split_refused",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_refused_cases,
};

kunit_test_suite(thp_split_refused_suite);

MODULE_DESCRIPTION("KUnit tests: splits that are refused");
MODULE_LICENSE("GPL");
