// SPDX-License-Identifier: GPL-2.0-only
/*
 * __split_huge_pmd(), with and without freeze, on PMDs of every kind: which bits
 * go from the PMD to the 512 PTEs, and what becomes of map counts and references.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "../internal.h"
#include "thp_pmd_entry.h"

/**
 * struct split_param - one PMD, split
 * @before: what the PMD is
 * @before_bits: its bits
 * @after: what each of the PTEs is
 * @after_bits: the bits of each
 * @marks: flags that the folio gets by it
 */
struct split_param {
	enum thp_entry before;
	const char *before_bits;
	enum thp_entry after;
	const char *after_bits;
	unsigned long marks;
};

/* Nothing changes but the size: young and dirty are not in device-private entries. */
static const struct split_param split_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_DEVICE, "-x--", THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_DEVICE, "----", THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_SYSTEM, "wx--", THP_ENTRY_SYSTEM, "wx--" },
	{ THP_ENTRY_SYSTEM, "wxy-", THP_ENTRY_SYSTEM, "wxy-" },
	{ THP_ENTRY_SYSTEM, "wx-d", THP_ENTRY_SYSTEM, "wx-d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "wxyd", THP_ENTRY_SYSTEM, "wxyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-x--", THP_ENTRY_SYSTEM, "-x--" },
	{ THP_ENTRY_SYSTEM, "-xy-", THP_ENTRY_SYSTEM, "-xy-" },
	{ THP_ENTRY_SYSTEM, "-x-d", THP_ENTRY_SYSTEM, "-x-d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-xyd", THP_ENTRY_SYSTEM, "-xyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "----", THP_ENTRY_SYSTEM, "----" },
	{ THP_ENTRY_SYSTEM, "--y-", THP_ENTRY_SYSTEM, "--y-" },
	{ THP_ENTRY_SYSTEM, "---d", THP_ENTRY_SYSTEM, "---d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "--yd", THP_ENTRY_SYSTEM, "--yd", BIT(PG_dirty) },
	{ THP_ENTRY_MIG_DEVICE, "wx--", THP_ENTRY_MIG_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wxy-", THP_ENTRY_MIG_DEVICE, "wxy-" },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", THP_ENTRY_MIG_DEVICE, "wx-d" },
	{ THP_ENTRY_MIG_DEVICE, "wxyd", THP_ENTRY_MIG_DEVICE, "wxyd" },
	{ THP_ENTRY_MIG_DEVICE, "-x--", THP_ENTRY_MIG_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-xy-", THP_ENTRY_MIG_DEVICE, "-xy-" },
	{ THP_ENTRY_MIG_DEVICE, "-x-d", THP_ENTRY_MIG_DEVICE, "-x-d" },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", THP_ENTRY_MIG_DEVICE, "-xyd" },
	{ THP_ENTRY_MIG_DEVICE, "----", THP_ENTRY_MIG_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "--y-", THP_ENTRY_MIG_DEVICE, "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "---d", THP_ENTRY_MIG_DEVICE, "---d" },
	{ THP_ENTRY_MIG_DEVICE, "--yd", THP_ENTRY_MIG_DEVICE, "--yd" },
	{ THP_ENTRY_MIG_SYSTEM, "wx--", THP_ENTRY_MIG_SYSTEM, "wx--" },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-", THP_ENTRY_MIG_SYSTEM, "wxy-" },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d", THP_ENTRY_MIG_SYSTEM, "wx-d" },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", THP_ENTRY_MIG_SYSTEM, "wxyd" },
	{ THP_ENTRY_MIG_SYSTEM, "-x--", THP_ENTRY_MIG_SYSTEM, "-x--" },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-", THP_ENTRY_MIG_SYSTEM, "-xy-" },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d", THP_ENTRY_MIG_SYSTEM, "-x-d" },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd", THP_ENTRY_MIG_SYSTEM, "-xyd" },
	{ THP_ENTRY_MIG_SYSTEM, "----", THP_ENTRY_MIG_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", THP_ENTRY_MIG_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_SYSTEM, "---d", THP_ENTRY_MIG_SYSTEM, "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--yd", THP_ENTRY_MIG_SYSTEM, "--yd" },
};

/* All become migration entries; only the bits of system memory include young and dirty. */
static const struct split_param freeze_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", THP_ENTRY_MIG_DEVICE, "wx--" },
	{ THP_ENTRY_DEVICE, "-x--", THP_ENTRY_MIG_DEVICE, "-x--" },
	{ THP_ENTRY_DEVICE, "----", THP_ENTRY_MIG_DEVICE, "----" },
	{ THP_ENTRY_SYSTEM, "wx--", THP_ENTRY_MIG_SYSTEM, "wx--" },
	{ THP_ENTRY_SYSTEM, "wxy-", THP_ENTRY_MIG_SYSTEM, "wxy-" },
	{ THP_ENTRY_SYSTEM, "wx-d", THP_ENTRY_MIG_SYSTEM, "wx-d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "wxyd", THP_ENTRY_MIG_SYSTEM, "wxyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-x--", THP_ENTRY_MIG_SYSTEM, "-x--" },
	{ THP_ENTRY_SYSTEM, "-xy-", THP_ENTRY_MIG_SYSTEM, "-xy-" },
	{ THP_ENTRY_SYSTEM, "-x-d", THP_ENTRY_MIG_SYSTEM, "-x-d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-xyd", THP_ENTRY_MIG_SYSTEM, "-xyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "----", THP_ENTRY_MIG_SYSTEM, "----" },
	{ THP_ENTRY_SYSTEM, "--y-", THP_ENTRY_MIG_SYSTEM, "--y-" },
	{ THP_ENTRY_SYSTEM, "---d", THP_ENTRY_MIG_SYSTEM, "---d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "--yd", THP_ENTRY_MIG_SYSTEM, "--yd", BIT(PG_dirty) },
	{ THP_ENTRY_MIG_DEVICE, "wx--", THP_ENTRY_MIG_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wxy-", THP_ENTRY_MIG_DEVICE, "wxy-" },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", THP_ENTRY_MIG_DEVICE, "wx-d" },
	{ THP_ENTRY_MIG_DEVICE, "wxyd", THP_ENTRY_MIG_DEVICE, "wxyd" },
	{ THP_ENTRY_MIG_DEVICE, "-x--", THP_ENTRY_MIG_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-xy-", THP_ENTRY_MIG_DEVICE, "-xy-" },
	{ THP_ENTRY_MIG_DEVICE, "-x-d", THP_ENTRY_MIG_DEVICE, "-x-d" },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", THP_ENTRY_MIG_DEVICE, "-xyd" },
	{ THP_ENTRY_MIG_DEVICE, "----", THP_ENTRY_MIG_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "--y-", THP_ENTRY_MIG_DEVICE, "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "---d", THP_ENTRY_MIG_DEVICE, "---d" },
	{ THP_ENTRY_MIG_DEVICE, "--yd", THP_ENTRY_MIG_DEVICE, "--yd" },
	{ THP_ENTRY_MIG_SYSTEM, "wx--", THP_ENTRY_MIG_SYSTEM, "wx--" },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-", THP_ENTRY_MIG_SYSTEM, "wxy-" },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d", THP_ENTRY_MIG_SYSTEM, "wx-d" },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", THP_ENTRY_MIG_SYSTEM, "wxyd" },
	{ THP_ENTRY_MIG_SYSTEM, "-x--", THP_ENTRY_MIG_SYSTEM, "-x--" },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-", THP_ENTRY_MIG_SYSTEM, "-xy-" },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d", THP_ENTRY_MIG_SYSTEM, "-x-d" },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd", THP_ENTRY_MIG_SYSTEM, "-xyd" },
	{ THP_ENTRY_MIG_SYSTEM, "----", THP_ENTRY_MIG_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", THP_ENTRY_MIG_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_SYSTEM, "---d", THP_ENTRY_MIG_SYSTEM, "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--yd", THP_ENTRY_MIG_SYSTEM, "--yd" },
};

/*
 * An exclusive page that may be pinned must stay as it is, so the PMD is split,
 * and that is all; what is not exclusive may become a migration entry.
 */
static const struct split_param freeze_pinned_params[] = {
	{ THP_ENTRY_SYSTEM, "wx--", THP_ENTRY_SYSTEM, "wx--" },
	{ THP_ENTRY_SYSTEM, "wxy-", THP_ENTRY_SYSTEM, "wxy-" },
	{ THP_ENTRY_SYSTEM, "wx-d", THP_ENTRY_SYSTEM, "wx-d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "wxyd", THP_ENTRY_SYSTEM, "wxyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-x--", THP_ENTRY_SYSTEM, "-x--" },
	{ THP_ENTRY_SYSTEM, "-xy-", THP_ENTRY_SYSTEM, "-xy-" },
	{ THP_ENTRY_SYSTEM, "-x-d", THP_ENTRY_SYSTEM, "-x-d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-xyd", THP_ENTRY_SYSTEM, "-xyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "----", THP_ENTRY_MIG_SYSTEM, "----" },
	{ THP_ENTRY_SYSTEM, "--y-", THP_ENTRY_MIG_SYSTEM, "--y-" },
	{ THP_ENTRY_SYSTEM, "---d", THP_ENTRY_MIG_SYSTEM, "---d", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "--yd", THP_ENTRY_MIG_SYSTEM, "--yd", BIT(PG_dirty) },
};

static void split_desc(struct kunit *test, const void *param, char *desc)
{
	const struct split_param *p = param;

	thp_entry_desc(desc, p->before, p->before_bits);
}

static int split_params_init(struct kunit *test)
{
	kunit_register_params_array(test, split_params, ARRAY_SIZE(split_params), split_desc);
	return 0;
}

static int freeze_params_init(struct kunit *test)
{
	kunit_register_params_array(test, freeze_params, ARRAY_SIZE(freeze_params), split_desc);
	return 0;
}

static int freeze_pinned_params_init(struct kunit *test)
{
	kunit_register_params_array(test, freeze_pinned_params,
				    ARRAY_SIZE(freeze_pinned_params), split_desc);
	return 0;
}

/* What the ledger must find after the split */
static void want_split(struct kunit *test, struct thp_state *want)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;

	f->flags |= p->marks;
	thp_entry_want(f, want, p->after, thp_entry_bits(p->after_bits), false);
	want->ev_split_pmd = 1;
}

/*
 * Test that 512 PTEs take the place of the PMD and carry its bits; that a folio
 * that is mapped is mapped 512 times then, with as many references, each page
 * exclusive if the folio was; and that a folio under migration is not touched.
 */
static void split_carries_all_bits(struct kunit *test)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->before, p->before_bits);
	struct thp_state want;

	thp_fixture_split_pmd(f, false);
	want_split(test, &want);
	thp_ledger_expect(f, folio, &want, "__split_huge_pmd");
	thp_entry_end(f, folio);
}

/*
 * Test that with freeze the PTEs are migration entries with the same bits, that
 * nothing maps the folio any more, no page is exclusive, and that the reference
 * of the mapping, or the one of the caller for a migration entry, is dropped.
 */
static void split_with_freeze_leaves_migration_entries(struct kunit *test)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->before, p->before_bits);
	struct thp_state want;

	if (p->before == p->after)
		folio_get(folio);
	else
		thp_entry_hold(f, folio);
	thp_fixture_split_pmd(f, true);
	want_split(test, &want);
	thp_ledger_expect(f, folio, &want, "__split_huge_pmd, freeze");
	thp_entry_remap(f, folio);
}

/*
 * Test that freezing system memory that may be pinned does not take the
 * exclusiveness of its pages: they stay mapped. Device memory can't be pinned.
 */
static void split_with_freeze_keeps_pinned_exclusive_pages_mapped(struct kunit *test)
{
	const struct split_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->before, p->before_bits);
	struct thp_state want;

	thp_entry_hold(f, folio);
	KUNIT_ASSERT_EQ(test, 0, try_grab_folio(folio, 1, FOLL_PIN));
	thp_fixture_split_pmd(f, true);
	want_split(test, &want);
	/* A mapped folio is expected to be unlocked and not held. */
	want.refcount += p->after == THP_ENTRY_SYSTEM ? 2 : 1;
	want.flags |= BIT(PG_locked);
	want.pincount = 1;
	thp_ledger_expect(f, folio, &want, "__split_huge_pmd, freeze, pinned");
	unpin_folio(folio);
	thp_entry_remap(f, folio);
}

static struct kunit_case device_private_thp_pmd_split_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(split_carries_all_bits, kunit_array_gen_params,
				   split_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_with_freeze_leaves_migration_entries,
				   kunit_array_gen_params, freeze_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_with_freeze_keeps_pinned_exclusive_pages_mapped,
				   kunit_array_gen_params, freeze_pinned_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_split_suite = {
	.name = "device_private_thp_pmd_split",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_split_cases,
};

kunit_test_suite(device_private_thp_pmd_split_suite);

MODULE_DESCRIPTION("KUnit tests: splitting PMDs of every kind");
MODULE_LICENSE("GPL");
