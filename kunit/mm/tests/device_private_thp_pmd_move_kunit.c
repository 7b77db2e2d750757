// SPDX-License-Identifier: GPL-2.0-only
/*
 * move_huge_pmd() on PMDs of every kind: mremap() to another place in the same
 * table of PMDs, and in another one.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "../internal.h"
#include "thp_pmd_entry.h"
#include "thp_syscall.h"

/**
 * struct entry_param - one PMD, moved
 * @entry: what the PMD is, before and after
 * @bits: its bits, before and after
 */
struct entry_param {
	enum thp_entry entry;
	const char *bits;
};

/* Soft-dirty would be set, but ARCH=um has none. */
static const struct entry_param entry_params[] = {
	{ THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_SYSTEM, "wxyd" },
	{ THP_ENTRY_SYSTEM, "-x--" },
	{ THP_ENTRY_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "wx-d" },
	{ THP_ENTRY_MIG_DEVICE, "-xy-" },
	{ THP_ENTRY_MIG_DEVICE, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd" },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d" },
	{ THP_ENTRY_MIG_SYSTEM, "--y-" },
	{ THP_ENTRY_SYSTEM, "wx--" },
	{ THP_ENTRY_SYSTEM, "wxy-" },
	{ THP_ENTRY_SYSTEM, "wx-d" },
	{ THP_ENTRY_SYSTEM, "-xy-" },
	{ THP_ENTRY_SYSTEM, "-x-d" },
	{ THP_ENTRY_SYSTEM, "-xyd" },
	{ THP_ENTRY_SYSTEM, "----" },
	{ THP_ENTRY_SYSTEM, "---d" },
	{ THP_ENTRY_SYSTEM, "--yd" },
	{ THP_ENTRY_MIG_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wxy-" },
	{ THP_ENTRY_MIG_DEVICE, "wxyd" },
	{ THP_ENTRY_MIG_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-x-d" },
	{ THP_ENTRY_MIG_DEVICE, "-xyd" },
	{ THP_ENTRY_MIG_DEVICE, "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "---d" },
	{ THP_ENTRY_MIG_DEVICE, "--yd" },
	{ THP_ENTRY_MIG_SYSTEM, "wx--" },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-" },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d" },
	{ THP_ENTRY_MIG_SYSTEM, "-x--" },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-" },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd" },
	{ THP_ENTRY_MIG_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--yd" },
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

/* Rows that differ in more than a bit come first. */
#define NR_FEW_ENTRY	12

static int few_entry_params_init(struct kunit *test)
{
	kunit_register_params_array(test, entry_params, NR_FEW_ENTRY, entry_desc);
	return 0;
}

/* An address whose PMD is in the table that has that of the range, outside the VMA */
static unsigned long same_table(const struct thp_fixture *f)
{
	unsigned long first = ALIGN_DOWN(f->addr, PUD_SIZE);

	return first + PMD_SIZE <= f->start ? first : f->addr + 4 * PMD_SIZE;
}

/* An address at the same place of the table before */
static unsigned long other_table(const struct thp_fixture *f)
{
	return f->addr - PUD_SIZE;
}

static void move_and_check(struct kunit *test, unsigned long to)
{
	const struct entry_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->entry, p->bits);
	unsigned long from = f->addr;
	struct thp_state want;
	pmd_t *pmdp;

	KUNIT_ASSERT_EQ(test, to, thp_mremap(test, from, HPAGE_PMD_SIZE, to));
	/* Now in a VMA of its own */
	f->vma = vma_lookup(f->mm, to);
	pmdp = mm_find_pmd(f->mm, from);
	KUNIT_EXPECT_TRUE(test, !pmdp || pmd_none(pmdp_get(pmdp)));

	f->addr = to;
	thp_fixture_track(f, f->first, HPAGE_PMD_ORDER, to);
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->bits), true);
	/* A VMA takes its page offsets with it. */
	want.index = from >> PAGE_SHIFT;
	thp_ledger_expect(f, folio, &want, "mremap");
	thp_entry_end(f, folio);
}

/*
 * Test that the PMD is in its new place bit by bit, with its deposited table, and
 * that the folio does not notice.
 */
static void mremap_within_table_keeps_all_bits(struct kunit *test)
{
	struct thp_fixture *f = test->priv;

	move_and_check(test, same_table(f));
}

/*
 * Test the same where the PMD gets into another table. The deposited tables are
 * in one list for the whole mm, or, with USE_SPLIT_PMD_PTLOCKS, in one for each
 * table, in which case they have to move along.
 */
static void mremap_to_other_table_keeps_all_bits(struct kunit *test)
{
	struct thp_fixture *f = test->priv;

	move_and_check(test, other_table(f));
}

/*
 * Test that a migration that has begun before the move ends where the PMD is
 * then, and that a process can read the data there.
 */
static void mremap_then_remap_and_read(struct kunit *test)
{
	const struct entry_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make(f, p->entry, thp_entry_bits(p->bits));
	unsigned long to = other_table(f);

	KUNIT_ASSERT_EQ(test, to, thp_mremap(test, f->addr, HPAGE_PMD_SIZE, to));
	f->addr = to;
	thp_fixture_track(f, f->first, HPAGE_PMD_ORDER, to);
	thp_entry_end(f, folio);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 1);
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "read after the move");
}

static struct kunit_case device_private_thp_pmd_move_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(mremap_within_table_keeps_all_bits,
				   kunit_array_gen_params, few_entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_to_other_table_keeps_all_bits,
				   kunit_array_gen_params, few_entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_then_remap_and_read,
				   kunit_array_gen_params, few_entry_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_move_suite = {
	.name = "device_private_thp_pmd_move",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_move_cases,
};

/* The same with all rows of the table */
static struct kunit_case device_private_thp_pmd_move_all_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(mremap_within_table_keeps_all_bits,
				   kunit_array_gen_params, entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_to_other_table_keeps_all_bits,
				   kunit_array_gen_params, entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_then_remap_and_read,
				   kunit_array_gen_params, entry_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_move_all_suite = {
	.name = "device_private_thp_pmd_move_all",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_move_all_cases,
	.attr.speed = KUNIT_SPEED_SLOW,
};

kunit_test_suites(&device_private_thp_pmd_move_suite, &device_private_thp_pmd_move_all_suite);

MODULE_DESCRIPTION("KUnit tests: mremap of PMDs of every kind");
MODULE_LICENSE("GPL");
