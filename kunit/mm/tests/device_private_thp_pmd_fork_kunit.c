// SPDX-License-Identifier: GPL-2.0-only
/*
 * copy_huge_pmd() on PMDs of every kind: what fork() leaves in the parent, and
 * what it gives to the child.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "thp_pmd_entry.h"

/**
 * struct entry_param - one PMD, copied
 * @entry: what the PMD is, before and after, in the parent and in the child
 * @bits: its bits before
 * @parent_bits: its bits after the fork
 * @child_bits: those of the child's PMD
 */
struct entry_param {
	enum thp_entry entry;
	const char *bits;
	const char *parent_bits;
	const char *child_bits;
};

/*
 * Nothing is writable or exclusive after a fork. The child has not accessed the
 * memory yet; a migration entry, though, has its bits until it is removed.
 */
static const struct entry_param entry_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", "----", "----" },
	{ THP_ENTRY_DEVICE, "-x--", "----", "----" },
	{ THP_ENTRY_DEVICE, "----", "----", "----" },
	{ THP_ENTRY_SYSTEM, "wxyd", "--yd", "---d" },
	{ THP_ENTRY_SYSTEM, "-x--", "----", "----" },
	{ THP_ENTRY_SYSTEM, "--y-", "--y-", "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", "--yd", "--yd" },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d", "---d", "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", "--y-", "--y-" },
	{ THP_ENTRY_SYSTEM, "wx--", "----", "----" },
	{ THP_ENTRY_SYSTEM, "wxy-", "--y-", "----" },
	{ THP_ENTRY_SYSTEM, "wx-d", "---d", "---d" },
	{ THP_ENTRY_SYSTEM, "-xy-", "--y-", "----" },
	{ THP_ENTRY_SYSTEM, "-x-d", "---d", "---d" },
	{ THP_ENTRY_SYSTEM, "-xyd", "--yd", "---d" },
	{ THP_ENTRY_SYSTEM, "----", "----", "----" },
	{ THP_ENTRY_SYSTEM, "---d", "---d", "---d" },
	{ THP_ENTRY_SYSTEM, "--yd", "--yd", "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "wx--", "----", "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-", "--y-", "--y-" },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d", "---d", "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "-x--", "----", "----" },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-", "--y-", "--y-" },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd", "--yd", "--yd" },
	{ THP_ENTRY_MIG_SYSTEM, "----", "----", "----" },
	{ THP_ENTRY_MIG_SYSTEM, "---d", "---d", "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--yd", "--yd", "--yd" },
	{ THP_ENTRY_MIG_DEVICE, "wx--", "----", "----" },
	{ THP_ENTRY_MIG_DEVICE, "wxy-", "--y-", "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", "---d", "---d" },
	{ THP_ENTRY_MIG_DEVICE, "wxyd", "--yd", "--yd" },
	{ THP_ENTRY_MIG_DEVICE, "-x--", "----", "----" },
	{ THP_ENTRY_MIG_DEVICE, "-xy-", "--y-", "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "-x-d", "---d", "---d" },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", "--yd", "--yd" },
	{ THP_ENTRY_MIG_DEVICE, "----", "----", "----" },
	{ THP_ENTRY_MIG_DEVICE, "--y-", "--y-", "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "---d", "---d", "---d" },
	{ THP_ENTRY_MIG_DEVICE, "--yd", "--yd", "--yd" },
};

static void entry_desc(struct kunit *test, const void *param, char *desc)
{
	const struct entry_param *p = param;

	thp_entry_desc(desc, p->entry, p->bits);
}

static int entry_params_init(struct kunit *test)
{
	kunit_register_params_array(test, entry_params, ARRAY_SIZE(entry_params), entry_desc);
	return 0;
}

/*
 * The last rows are those of migration entries of device memory. A mm must not
 * exit while it has one: zap_huge_pmd_folio() takes it for a mapping.
 */
#define NR_MIG_DEVICE_PARAMS	12

static int exit_params_init(struct kunit *test)
{
	kunit_register_params_array(test, entry_params,
				    ARRAY_SIZE(entry_params) - NR_MIG_DEVICE_PARAMS,
				    entry_desc);
	return 0;
}

/* Rows that differ in more than a bit come first. */
#define NR_FEW_EXIT	9

static int few_exit_params_init(struct kunit *test)
{
	kunit_register_params_array(test, entry_params, NR_FEW_EXIT, entry_desc);
	return 0;
}

/*
 * Test that parent and child have the bits of the row, each with RSS and a page
 * table deposited; and that what maps a folio has a reference and a map count in
 * each, where a migration entry has neither.
 */
static void fork_copies_pmd(struct kunit *test)
{
	const struct entry_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->entry, p->bits);
	struct mm_struct *child = thp_fixture_fork(f);
	struct thp_state want;

	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->parent_bits), true);
	thp_want_forked(&want);
	thp_ledger_expect(f, folio, &want, "forked, in the parent");
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->child_bits), true);
	thp_want_forked(&want);
	thp_fixture_look_at(f, child);
	thp_ledger_expect(f, folio, &want, "forked, in the child");
	thp_entry_end(f, folio);
}

/*
 * Test that the exit of the child takes what it had been given, and nothing else:
 * in the parent nothing becomes writable or exclusive again.
 */
static void exit_of_child_leaves_parent(struct kunit *test)
{
	const struct entry_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->entry, p->bits);
	struct mm_struct *child = thp_fixture_fork(f);
	struct thp_state want;

	thp_fixture_end_child(f, child);
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->parent_bits), true);
	thp_ledger_expect(f, folio, &want, "the child is gone");
	thp_entry_end(f, folio);
}

/**
 * struct remap_param - one migration entry, copied, both removed
 * @entry: kind of the migration entry
 * @bits: its bits before the fork
 * @after: what the PMDs become
 * @after_bits: their bits then
 */
struct remap_param {
	enum thp_entry entry;
	const char *bits;
	enum thp_entry after;
	const char *after_bits;
};

static const struct remap_param remap_params[] = {
	{ THP_ENTRY_MIG_DEVICE, "wx-d", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "-xy-", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "----", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", THP_ENTRY_SYSTEM, "--yd" },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d", THP_ENTRY_SYSTEM, "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", THP_ENTRY_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "wx--", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "wxy-", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "wxyd", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "-x--", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "-x-d", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "--y-", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "---d", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "--yd", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wx--", THP_ENTRY_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-", THP_ENTRY_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d", THP_ENTRY_SYSTEM, "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "-x--", THP_ENTRY_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-", THP_ENTRY_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd", THP_ENTRY_SYSTEM, "--yd" },
	{ THP_ENTRY_MIG_SYSTEM, "----", THP_ENTRY_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "---d", THP_ENTRY_SYSTEM, "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--yd", THP_ENTRY_SYSTEM, "--yd" },
};

static void remap_desc(struct kunit *test, const void *param, char *desc)
{
	const struct remap_param *p = param;

	thp_entry_desc(desc, p->entry, p->bits);
}

static int remap_params_init(struct kunit *test)
{
	kunit_register_params_array(test, remap_params, ARRAY_SIZE(remap_params), remap_desc);
	return 0;
}

/* Rows that differ in more than a bit come first. */
#define NR_FEW_REMAP	6

static int few_remap_params_init(struct kunit *test)
{
	kunit_register_params_array(test, remap_params, NR_FEW_REMAP, remap_desc);
	return 0;
}

/*
 * Test that the end of the migration maps the folio in both mms alike, shared.
 */
static void fork_then_remap_maps_in_both(struct kunit *test)
{
	const struct remap_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make(f, p->entry, thp_entry_bits(p->bits));
	struct mm_struct *child = thp_fixture_fork(f);
	struct thp_state want;

	thp_entry_remap(f, folio);
	thp_entry_want(f, &want, p->after, thp_entry_bits(p->after_bits), true);
	thp_want_forked(&want);
	thp_ledger_expect(f, folio, &want, "remapped, in the parent");
	thp_fixture_look_at(f, child);
	thp_ledger_expect(f, folio, &want, "remapped, in the child");
}

static struct kunit_case device_private_thp_pmd_fork_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(fork_copies_pmd,
				   kunit_array_gen_params, entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(exit_of_child_leaves_parent,
				   kunit_array_gen_params, few_exit_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fork_then_remap_maps_in_both,
				   kunit_array_gen_params, few_remap_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_fork_suite = {
	.name = "device_private_thp_pmd_fork",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_fork_cases,
};

/* The same with all rows of the tables */
static struct kunit_case device_private_thp_pmd_fork_all_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(exit_of_child_leaves_parent,
				   kunit_array_gen_params, exit_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fork_then_remap_maps_in_both,
				   kunit_array_gen_params, remap_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_fork_all_suite = {
	.name = "device_private_thp_pmd_fork_all",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_fork_all_cases,
	.attr.speed = KUNIT_SPEED_SLOW,
};

kunit_test_suites(&device_private_thp_pmd_fork_suite, &device_private_thp_pmd_fork_all_suite);

MODULE_DESCRIPTION("KUnit tests: fork with PMDs of every kind");
MODULE_LICENSE("GPL");
