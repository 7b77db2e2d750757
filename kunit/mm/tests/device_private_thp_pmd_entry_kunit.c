// SPDX-License-Identifier: GPL-2.0-only
/*
 * set_pmd_migration_entry() and remove_migration_pmd(), called directly, on PMDs
 * of every kind.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_pmd_entry.h"

/**
 * struct set_param - one PMD, replaced by a migration entry
 * @before: what the PMD is
 * @before_bits: its bits
 * @after: what it becomes
 * @after_bits: its bits then
 * @ret: what set_pmd_migration_entry() returns
 * @marks: flags that the folio gets by it
 */
struct set_param {
	enum thp_entry before;
	const char *before_bits;
	enum thp_entry after;
	const char *after_bits;
	int ret;
	unsigned long marks;
};

static const struct set_param set_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", THP_ENTRY_MIG_DEVICE, "wx--", 0 },
	{ THP_ENTRY_DEVICE, "-x--", THP_ENTRY_MIG_DEVICE, "-x--", 0 },
	{ THP_ENTRY_DEVICE, "----", THP_ENTRY_MIG_DEVICE, "----", 0 },
	{ THP_ENTRY_SYSTEM, "wx--", THP_ENTRY_MIG_SYSTEM, "wx--", 0 },
	{ THP_ENTRY_SYSTEM, "wxy-", THP_ENTRY_MIG_SYSTEM, "wxy-", 0 },
	{ THP_ENTRY_SYSTEM, "wx-d", THP_ENTRY_MIG_SYSTEM, "wx-d", 0, BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "wxyd", THP_ENTRY_MIG_SYSTEM, "wxyd", 0, BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-x--", THP_ENTRY_MIG_SYSTEM, "-x--", 0 },
	{ THP_ENTRY_SYSTEM, "-xy-", THP_ENTRY_MIG_SYSTEM, "-xy-", 0 },
	{ THP_ENTRY_SYSTEM, "-x-d", THP_ENTRY_MIG_SYSTEM, "-x-d", 0, BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-xyd", THP_ENTRY_MIG_SYSTEM, "-xyd", 0, BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "----", THP_ENTRY_MIG_SYSTEM, "----", 0 },
	{ THP_ENTRY_SYSTEM, "--y-", THP_ENTRY_MIG_SYSTEM, "--y-", 0 },
	{ THP_ENTRY_SYSTEM, "---d", THP_ENTRY_MIG_SYSTEM, "---d", 0, BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "--yd", THP_ENTRY_MIG_SYSTEM, "--yd", 0, BIT(PG_dirty) },
};

/* An exclusive page that may be pinned must not lose that, the others have nothing to lose. */
static const struct set_param set_pinned_params[] = {
	{ THP_ENTRY_SYSTEM, "wx--", THP_ENTRY_SYSTEM, "wx--", -EBUSY },
	{ THP_ENTRY_SYSTEM, "wxy-", THP_ENTRY_SYSTEM, "wxy-", -EBUSY },
	{ THP_ENTRY_SYSTEM, "wx-d", THP_ENTRY_SYSTEM, "wx-d", -EBUSY },
	{ THP_ENTRY_SYSTEM, "wxyd", THP_ENTRY_SYSTEM, "wxyd", -EBUSY },
	{ THP_ENTRY_SYSTEM, "-x--", THP_ENTRY_SYSTEM, "-x--", -EBUSY },
	{ THP_ENTRY_SYSTEM, "-xy-", THP_ENTRY_SYSTEM, "-xy-", -EBUSY },
	{ THP_ENTRY_SYSTEM, "-x-d", THP_ENTRY_SYSTEM, "-x-d", -EBUSY },
	{ THP_ENTRY_SYSTEM, "-xyd", THP_ENTRY_SYSTEM, "-xyd", -EBUSY },
	{ THP_ENTRY_SYSTEM, "----", THP_ENTRY_MIG_SYSTEM, "----", 0 },
	{ THP_ENTRY_SYSTEM, "--y-", THP_ENTRY_MIG_SYSTEM, "--y-", 0 },
	{ THP_ENTRY_SYSTEM, "---d", THP_ENTRY_MIG_SYSTEM, "---d", 0, BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "--yd", THP_ENTRY_MIG_SYSTEM, "--yd", 0, BIT(PG_dirty) },
};

static void set_desc(struct kunit *test, const void *param, char *desc)
{
	const struct set_param *p = param;

	thp_entry_desc(desc, p->before, p->before_bits);
}

static int set_params_init(struct kunit *test)
{
	kunit_register_params_array(test, set_params, ARRAY_SIZE(set_params), set_desc);
	return 0;
}

static int set_pinned_params_init(struct kunit *test)
{
	kunit_register_params_array(test, set_pinned_params, ARRAY_SIZE(set_pinned_params),
				    set_desc);
	return 0;
}

/*
 * As try_to_migrate_one() calls it. The page table lock must be released before
 * anything is asserted.
 */
static int call_set(struct thp_fixture *f, struct folio *folio, bool *found)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, f->vma, f->addr, 0);
	int ret = 0;

	mmap_read_lock(f->mm);
	*found = page_vma_mapped_walk(&pvmw);
	if (*found) {
		ret = set_pmd_migration_entry(&pvmw, &folio->page);
		page_vma_mapped_walk_done(&pvmw);
	}
	mmap_read_unlock(f->mm);
	return ret;
}

static struct folio *make_held_pmd(struct kunit *test)
{
	const struct set_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->before, p->before_bits);

	thp_entry_hold(f, folio);
	return folio;
}

/*
 * Test that the entry carries what the PMD had, that the mapping is gone with its
 * reference and its exclusiveness, and that RSS and the deposited table stay.
 */
static void set_entry_carries_all_bits(struct kunit *test)
{
	const struct set_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_held_pmd(test);
	struct thp_state want;
	bool found;

	KUNIT_EXPECT_EQ(test, call_set(f, folio, &found), p->ret);
	KUNIT_EXPECT_TRUE(test, found);
	f->flags |= p->marks;
	thp_entry_want(f, &want, p->after, thp_entry_bits(p->after_bits), true);
	thp_ledger_expect(f, folio, &want, "set_pmd_migration_entry");
	thp_entry_remap(f, folio);
}

/*
 * Test that a page that may be pinned keeps its PMD, bit by bit, if it is
 * exclusive, and is unmapped otherwise, whoever holds references.
 */
static void set_entry_of_pinned_page_is_refused_if_exclusive(struct kunit *test)
{
	const struct set_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_held_pmd(test);
	struct thp_state want;
	bool found;

	KUNIT_ASSERT_EQ(test, 0, try_grab_folio(folio, 1, FOLL_PIN));
	KUNIT_EXPECT_EQ(test, call_set(f, folio, &found), p->ret);
	KUNIT_EXPECT_TRUE(test, found);
	f->flags |= p->marks;
	thp_entry_want(f, &want, p->after, thp_entry_bits(p->after_bits), true);
	/* A mapped folio is expected to be unlocked and not held. */
	want.refcount += p->ret ? 2 : 1;
	want.flags |= BIT(PG_locked);
	want.pincount = 1;
	thp_ledger_expect(f, folio, &want, "set_pmd_migration_entry, pinned");
	unpin_folio(folio);
	thp_entry_remap(f, folio);
}

/**
 * struct remove_param - one migration entry, replaced by what maps the folio
 * @before: kind of the migration entry
 * @before_bits: its bits
 * @flags: PG_dirty if the folio has it
 * @after: what it becomes
 * @after_bits: its bits then
 */
struct remove_param {
	enum thp_entry before;
	const char *before_bits;
	unsigned long flags;
	enum thp_entry after;
	const char *after_bits;
};

/*
 * A folio that is clean again has been written back meanwhile, so the PMD must not
 * become dirty; a device-private entry is neither young nor dirty.
 */
static const struct remove_param remove_params[] = {
	{ THP_ENTRY_MIG_DEVICE, "wx--", 0, THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wxy-", 0, THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", 0, THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wxyd", 0, THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "-x--", 0, THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-xy-", 0, THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-x-d", 0, THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", 0, THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "----", 0, THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "--y-", 0, THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "---d", 0, THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "--yd", 0, THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wx--", 0, THP_ENTRY_SYSTEM, "wx--" },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-", 0, THP_ENTRY_SYSTEM, "wxy-" },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d", 0, THP_ENTRY_SYSTEM, "wx--" },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", 0, THP_ENTRY_SYSTEM, "wxy-" },
	{ THP_ENTRY_MIG_SYSTEM, "-x--", 0, THP_ENTRY_SYSTEM, "-x--" },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-", 0, THP_ENTRY_SYSTEM, "-xy-" },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d", 0, THP_ENTRY_SYSTEM, "-x--" },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd", 0, THP_ENTRY_SYSTEM, "-xy-" },
	{ THP_ENTRY_MIG_SYSTEM, "----", 0, THP_ENTRY_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", 0, THP_ENTRY_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_SYSTEM, "---d", 0, THP_ENTRY_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "--yd", 0, THP_ENTRY_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_DEVICE, "wx--", BIT(PG_dirty), THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wxy-", BIT(PG_dirty), THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", BIT(PG_dirty), THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "wxyd", BIT(PG_dirty), THP_ENTRY_DEVICE, "wx--" },
	{ THP_ENTRY_MIG_DEVICE, "-x--", BIT(PG_dirty), THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-xy-", BIT(PG_dirty), THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-x-d", BIT(PG_dirty), THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", BIT(PG_dirty), THP_ENTRY_DEVICE, "-x--" },
	{ THP_ENTRY_MIG_DEVICE, "----", BIT(PG_dirty), THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "--y-", BIT(PG_dirty), THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "---d", BIT(PG_dirty), THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_DEVICE, "--yd", BIT(PG_dirty), THP_ENTRY_DEVICE, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "wx--", BIT(PG_dirty), THP_ENTRY_SYSTEM, "wx--" },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-", BIT(PG_dirty), THP_ENTRY_SYSTEM, "wxy-" },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d", BIT(PG_dirty), THP_ENTRY_SYSTEM, "wx-d" },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", BIT(PG_dirty), THP_ENTRY_SYSTEM, "wxyd" },
	{ THP_ENTRY_MIG_SYSTEM, "-x--", BIT(PG_dirty), THP_ENTRY_SYSTEM, "-x--" },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-", BIT(PG_dirty), THP_ENTRY_SYSTEM, "-xy-" },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d", BIT(PG_dirty), THP_ENTRY_SYSTEM, "-x-d" },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd", BIT(PG_dirty), THP_ENTRY_SYSTEM, "-xyd" },
	{ THP_ENTRY_MIG_SYSTEM, "----", BIT(PG_dirty), THP_ENTRY_SYSTEM, "----" },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", BIT(PG_dirty), THP_ENTRY_SYSTEM, "--y-" },
	{ THP_ENTRY_MIG_SYSTEM, "---d", BIT(PG_dirty), THP_ENTRY_SYSTEM, "---d" },
	{ THP_ENTRY_MIG_SYSTEM, "--yd", BIT(PG_dirty), THP_ENTRY_SYSTEM, "--yd" },
};

static void remove_desc(struct kunit *test, const void *param, char *desc)
{
	const struct remove_param *p = param;

	thp_entry_desc(desc, p->before, p->before_bits);
	strlcat(desc, p->flags ? "_of_dirty_folio" : "_of_clean_folio", KUNIT_PARAM_DESC_SIZE);
}

static int remove_params_init(struct kunit *test)
{
	kunit_register_params_array(test, remove_params, ARRAY_SIZE(remove_params),
				    remove_desc);
	return 0;
}

/* As remove_migration_pte() calls it */
static bool call_remove(struct thp_fixture *f, struct folio *folio)
{
	DEFINE_FOLIO_VMA_WALK(pvmw, folio, f->vma, f->addr, PVMW_SYNC | PVMW_MIGRATION);
	bool found;

	mmap_read_lock(f->mm);
	found = page_vma_mapped_walk(&pvmw);
	if (found) {
		remove_migration_pmd(&pvmw, folio);
		page_vma_mapped_walk_done(&pvmw);
	}
	mmap_read_unlock(f->mm);
	return found;
}

/*
 * Test that the PMD is what the migration entry says, and the folio what the PMD
 * says: mapped once, with a reference for that, exclusive unless the entry was
 * plainly readable. Device memory becomes a device-private entry again, system
 * memory is mapped.
 */
static void remove_entry_restores_mapping(struct kunit *test)
{
	const struct remove_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int bits = thp_entry_bits(p->before_bits);
	struct folio *folio = thp_entry_make(f, p->before, bits);
	struct thp_state want;

	folio_clear_dirty(folio);
	if (p->flags)
		folio_set_dirty(folio);
	f->flags = p->flags;
	thp_entry_want(f, &want, p->before, bits, true);
	thp_ledger_expect(f, folio, &want, "unmapped");

	KUNIT_EXPECT_TRUE(test, call_remove(f, folio));
	thp_entry_want(f, &want, p->after, thp_entry_bits(p->after_bits), true);
	want.refcount++;
	want.flags |= BIT(PG_locked);
	thp_ledger_expect(f, folio, &want, "remove_migration_pmd");
	thp_entry_let_go(f, folio);
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "read after remapping");
}

static struct kunit_case device_private_thp_pmd_entry_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(set_entry_carries_all_bits, kunit_array_gen_params,
				   set_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(set_entry_of_pinned_page_is_refused_if_exclusive,
				   kunit_array_gen_params, set_pinned_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(remove_entry_restores_mapping, kunit_array_gen_params,
				   remove_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_entry_suite = {
	.name = "device_private_thp_pmd_entry",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_entry_cases,
};

kunit_test_suite(device_private_thp_pmd_entry_suite);

MODULE_DESCRIPTION("KUnit tests: PMD migration entries, set and removed");
MODULE_LICENSE("GPL");
