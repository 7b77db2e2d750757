// SPDX-License-Identifier: GPL-2.0-only
/*
 * change_huge_pmd() on PMDs of every kind: what mprotect() takes, and what it
 * gives back.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "thp_pmd_entry.h"
#include "thp_syscall.h"

/**
 * struct entry_param - one PMD, protected
 * @entry: what the PMD is, before and after
 * @bits: its bits before
 * @protected_bits: its bits once writing is not allowed
 * @writable_bits: its bits when it is allowed again
 */
struct entry_param {
	enum thp_entry entry;
	const char *bits;
	const char *protected_bits;
	const char *writable_bits;
};

/*
 * No entry becomes writable again but one that maps exclusive system memory
 * (can_change_pmd_writable()). All others wait for a fault. The protections of
 * ARCH=um have the accessed bit in them, which makes what is mapped young.
 */
static const struct entry_param entry_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", "-x--", "-x--" },
	{ THP_ENTRY_DEVICE, "-x--", "-x--", "-x--" },
	{ THP_ENTRY_DEVICE, "----", "----", "----" },
	{ THP_ENTRY_SYSTEM, "wxyd", "-xyd", "wxyd" },
	{ THP_ENTRY_SYSTEM, "-x--", "-xy-", "wxy-" },
	{ THP_ENTRY_SYSTEM, "--y-", "--y-", "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", "-x-d", "-x-d" },
	{ THP_ENTRY_MIG_DEVICE, "-xy-", "-xy-", "-xy-" },
	{ THP_ENTRY_MIG_DEVICE, "----", "----", "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", "-xyd", "-xyd" },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d", "-x-d", "-x-d" },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", "--y-", "--y-" },
	{ THP_ENTRY_SYSTEM, "wx--", "-xy-", "wxy-" },
	{ THP_ENTRY_SYSTEM, "wxy-", "-xy-", "wxy-" },
	{ THP_ENTRY_SYSTEM, "wx-d", "-xyd", "wxyd" },
	{ THP_ENTRY_SYSTEM, "-xy-", "-xy-", "wxy-" },
	{ THP_ENTRY_SYSTEM, "-x-d", "-xyd", "wxyd" },
	{ THP_ENTRY_SYSTEM, "-xyd", "-xyd", "wxyd" },
	{ THP_ENTRY_SYSTEM, "----", "--y-", "--y-" },
	{ THP_ENTRY_SYSTEM, "---d", "--yd", "--yd" },
	{ THP_ENTRY_SYSTEM, "--yd", "--yd", "--yd" },
	{ THP_ENTRY_MIG_DEVICE, "wx--", "-x--", "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "wxy-", "-xy-", "-xy-" },
	{ THP_ENTRY_MIG_DEVICE, "wxyd", "-xyd", "-xyd" },
	{ THP_ENTRY_MIG_DEVICE, "-x--", "-x--", "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-x-d", "-x-d", "-x-d" },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", "-xyd", "-xyd" },
	{ THP_ENTRY_MIG_DEVICE, "--y-", "--y-", "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "---d", "---d", "---d" },
	{ THP_ENTRY_MIG_DEVICE, "--yd", "--yd", "--yd" },
	{ THP_ENTRY_MIG_SYSTEM, "wx--", "-x--", "-x--" },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-", "-xy-", "-xy-" },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d", "-x-d", "-x-d" },
	{ THP_ENTRY_MIG_SYSTEM, "-x--", "-x--", "-x--" },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-", "-xy-", "-xy-" },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd", "-xyd", "-xyd" },
	{ THP_ENTRY_MIG_SYSTEM, "----", "----", "----" },
	{ THP_ENTRY_MIG_SYSTEM, "---d", "---d", "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--yd", "--yd", "--yd" },
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

static void protect_and_unprotect(struct kunit *test, unsigned long prot)
{
	const struct entry_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->entry, p->bits);
	unsigned long len = f->end - f->start;
	struct thp_state want;

	KUNIT_ASSERT_EQ(test, 0, thp_mprotect(test, f->start, len, prot));
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->protected_bits), true);
	thp_ledger_expect(f, folio, &want, "protected");

	KUNIT_ASSERT_EQ(test, 0, thp_mprotect(test, f->start, len, PROT_READ | PROT_WRITE));
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->writable_bits), true);
	thp_ledger_expect(f, folio, &want, "writable");
	thp_entry_end(f, folio);
}

/*
 * Test that what was writable is not, but still exclusive, and that nothing else
 * changes: neither map count nor references nor RSS.
 */
static void mprotect_to_read_takes_write_only(struct kunit *test)
{
	protect_and_unprotect(test, PROT_READ);
}

/* Test that PROT_NONE does no more than that to an entry that maps nothing. */
static void mprotect_to_none_takes_write_only(struct kunit *test)
{
	protect_and_unprotect(test, PROT_NONE);
}

static struct kunit_case device_private_thp_pmd_protect_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(mprotect_to_read_takes_write_only,
				   kunit_array_gen_params, entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mprotect_to_none_takes_write_only,
				   kunit_array_gen_params, few_entry_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_protect_suite = {
	.name = "device_private_thp_pmd_protect",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_protect_cases,
};

/* The same with all rows of the table */
static struct kunit_case device_private_thp_pmd_protect_all_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(mprotect_to_none_takes_write_only,
				   kunit_array_gen_params, entry_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_protect_all_suite = {
	.name = "device_private_thp_pmd_protect_all",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_protect_all_cases,
	.attr.speed = KUNIT_SPEED_SLOW,
};

kunit_test_suites(&device_private_thp_pmd_protect_suite, &device_private_thp_pmd_protect_all_suite);

MODULE_DESCRIPTION("KUnit tests: mprotect of PMDs of every kind");
MODULE_LICENSE("GPL");
