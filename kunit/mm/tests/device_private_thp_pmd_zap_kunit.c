// SPDX-License-Identifier: GPL-2.0-only
/*
 * zap_huge_pmd() on PMDs of every kind, whole ones and parts, by munmap() and by
 * MADV_DONTNEED.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "../internal.h"
#include "thp_pmd_entry.h"

/**
 * struct entry_param - one PMD, unmapped
 * @entry: what the PMD is
 * @bits: its bits
 * @exclusive: pages that are AnonExclusive afterwards: zapping does not care
 * @frees: calls of ->folio_free() once the last reference is gone
 */
struct entry_param {
	enum thp_entry entry;
	const char *bits;
	unsigned int exclusive;
	unsigned int frees;
};

/*
 * Not among them: migration entries of device memory, which zap_huge_pmd_folio()
 * takes for mappings.
 */
static const struct entry_param entry_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", 1, 1 },
	{ THP_ENTRY_DEVICE, "-x--", 1, 1 },
	{ THP_ENTRY_DEVICE, "----", 0, 1 },
	{ THP_ENTRY_SYSTEM, "wxyd", 1, 0 },
	{ THP_ENTRY_SYSTEM, "-x--", 1, 0 },
	{ THP_ENTRY_SYSTEM, "--y-", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "-x-d", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", 0, 0 },
	{ THP_ENTRY_SYSTEM, "wx--", 1, 0 },
	{ THP_ENTRY_SYSTEM, "wxy-", 1, 0 },
	{ THP_ENTRY_SYSTEM, "wx-d", 1, 0 },
	{ THP_ENTRY_SYSTEM, "-xy-", 1, 0 },
	{ THP_ENTRY_SYSTEM, "-x-d", 1, 0 },
	{ THP_ENTRY_SYSTEM, "-xyd", 1, 0 },
	{ THP_ENTRY_SYSTEM, "----", 0, 0 },
	{ THP_ENTRY_SYSTEM, "---d", 0, 0 },
	{ THP_ENTRY_SYSTEM, "--yd", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wx--", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wxy-", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wx-d", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "-x--", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "-xy-", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "-xyd", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "----", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "---d", 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "--yd", 0, 0 },
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
#define NR_FEW_ENTRY	9

static int few_entry_params_init(struct kunit *test)
{
	kunit_register_params_array(test, entry_params, NR_FEW_ENTRY, entry_desc);
	return 0;
}

static void zap_by_munmap(struct thp_fixture *f)
{
	thp_fixture_munmap(f);
}

static void zap_by_madvise(struct thp_fixture *f)
{
	KUNIT_EXPECT_EQ(f->test, 0, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED));
}

/* Unmap while the test has a reference, look at what is left, drop it. */
static void zap_and_check(struct kunit *test, void (*zap)(struct thp_fixture *f))
{
	const struct entry_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->entry, p->bits);
	struct thp_state want;

	if (p->entry != THP_ENTRY_MIG_SYSTEM)
		thp_entry_hold(f, folio);
	zap(f);
	lru_add_drain();
	thp_want(f, &want, HPAGE_PMD_ORDER, THP_UNMAPPED);
	if (p->entry != THP_ENTRY_DEVICE) {
		thp_want_system(&want);
		want.flags |= BIT(PG_lru);
		want.deferred = 1;
		want.ev_fault_alloc = 1;
	}
	want.excl = p->exclusive;
	want.excl_head = p->exclusive;
	thp_ledger_expect(f, folio, &want, "zapped");

	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 0);
	thp_entry_let_go(f, folio);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), p->frees);
	thp_fixture_restart(f);
}

/*
 * Test that munmap() takes the mapping with its reference, RSS and the deposited
 * table, that a migration entry has only the latter two, and that the folio is
 * free when the last reference is gone.
 */
static void munmap_drops_mapping(struct kunit *test)
{
	zap_and_check(test, zap_by_munmap);
}

/* Test the same of MADV_DONTNEED, which does not write-lock the mm. */
static void dontneed_drops_mapping(struct kunit *test)
{
	zap_and_check(test, zap_by_madvise);
}

/**
 * struct part_param - a part of a PMD, unmapped
 * @entry: what the PMD is
 * @bits: its bits
 * @first: first page of the part
 * @nr: number of pages
 * @marks: flags that the folio gets by the split of the PMD
 * @partial: the folio waits for deferred_split_scan() because it is not whole
 */
struct part_param {
	enum thp_entry entry;
	const char *bits;
	unsigned int first;
	unsigned int nr;
	unsigned long marks;
	unsigned int partial;
};

static const struct part_param part_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", 0, 1, 0, 0 },
	{ THP_ENTRY_DEVICE, "wx--", 511, 1, 0, 0 },
	{ THP_ENTRY_DEVICE, "wx--", 128, 256, 0, 0 },
	{ THP_ENTRY_DEVICE, "wx--", 1, 511, 0, 0 },
	{ THP_ENTRY_SYSTEM, "wxyd", 0, 1, BIT(PG_dirty), 1 },
	{ THP_ENTRY_SYSTEM, "wxyd", 511, 1, BIT(PG_dirty), 1 },
	{ THP_ENTRY_SYSTEM, "wxyd", 128, 256, BIT(PG_dirty), 1 },
	{ THP_ENTRY_SYSTEM, "wxyd", 1, 511, BIT(PG_dirty), 1 },
	{ THP_ENTRY_MIG_DEVICE, "wx--", 0, 1, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "wx--", 511, 1, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "wx--", 128, 256, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "wx--", 1, 511, 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", 0, 1, 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", 511, 1, 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", 128, 256, 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", 1, 511, 0, 0 },
	{ THP_ENTRY_DEVICE, "-x--", 0, 1, 0, 0 },
	{ THP_ENTRY_DEVICE, "-x--", 511, 1, 0, 0 },
	{ THP_ENTRY_DEVICE, "-x--", 128, 256, 0, 0 },
	{ THP_ENTRY_DEVICE, "-x--", 1, 511, 0, 0 },
	{ THP_ENTRY_DEVICE, "----", 0, 1, 0, 0 },
	{ THP_ENTRY_DEVICE, "----", 511, 1, 0, 0 },
	{ THP_ENTRY_DEVICE, "----", 128, 256, 0, 0 },
	{ THP_ENTRY_DEVICE, "----", 1, 511, 0, 0 },
	{ THP_ENTRY_SYSTEM, "----", 0, 1, 0, 1 },
	{ THP_ENTRY_SYSTEM, "----", 511, 1, 0, 1 },
	{ THP_ENTRY_SYSTEM, "----", 128, 256, 0, 1 },
	{ THP_ENTRY_SYSTEM, "----", 1, 511, 0, 1 },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", 0, 1, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", 511, 1, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", 128, 256, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "-xyd", 1, 511, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "----", 0, 1, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "----", 511, 1, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "----", 128, 256, 0, 0 },
	{ THP_ENTRY_MIG_DEVICE, "----", 1, 511, 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "----", 0, 1, 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "----", 511, 1, 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "----", 128, 256, 0, 0 },
	{ THP_ENTRY_MIG_SYSTEM, "----", 1, 511, 0, 0 },
};

static void part_desc(struct kunit *test, const void *param, char *desc)
{
	const struct part_param *p = param;
	size_t len;

	thp_entry_desc(desc, p->entry, p->bits);
	len = strlen(desc);
	snprintf(desc + len, KUNIT_PARAM_DESC_SIZE - len, "_page%u_nr%u", p->first, p->nr);
}

static int part_params_init(struct kunit *test)
{
	kunit_register_params_array(test, part_params, ARRAY_SIZE(part_params), part_desc);
	return 0;
}

/* One row of each kind and part come first. */
#define NR_FEW_PART	16

static int few_part_params_init(struct kunit *test)
{
	kunit_register_params_array(test, part_params, NR_FEW_PART, part_desc);
	return 0;
}

/* What is left of an expectation for HPAGE_PMD_NR PTEs if there are only @nr */
static void want_rest(struct thp_state *want, unsigned int nr)
{
	want->leaf = THP_MIXED;
	want->leaves = nr;
	want->leaf_pfn = nr;
	want->leaf_write = min_t(s64, want->leaf_write, nr);
	want->leaf_excl = min_t(s64, want->leaf_excl, nr);
	want->leaf_young = min_t(s64, want->leaf_young, nr);
	want->leaf_dirty = min_t(s64, want->leaf_dirty, nr);
	want->pmd_leaves = nr;
	want->rss = nr;
	if (!want->mapcount)
		return;
	want->refcount = nr;
	want->mapcount = nr;
	want->nr_mapped = nr;
	want->mm_id_mapcount[0] = nr - 1;
	want->anon_mapped = nr;
	if (IS_ENABLED(CONFIG_PAGE_MAPCOUNT))
		want->page_mapcount = THP_MIXED;
}

/*
 * Test that munmap() of a part splits the PMD, takes the mappings of the part and
 * leaves the others as they were. Device memory waits in no list for what is
 * left of it to be split. Pages of a migration are not mapped anyway.
 */
static void munmap_of_part_leaves_rest(struct kunit *test)
{
	const struct part_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int bits = thp_entry_bits(p->bits);
	struct folio *folio = thp_entry_make(f, p->entry, bits);
	struct thp_state want;

	KUNIT_ASSERT_EQ(test, 0, vm_munmap(f->addr + p->first * PAGE_SIZE, p->nr * PAGE_SIZE));
	f->vma = NULL;
	lru_add_drain();
	f->flags |= p->marks;
	thp_entry_want(f, &want, p->entry, bits, false);
	want_rest(&want, HPAGE_PMD_NR - p->nr);
	want.ev_split_pmd = 1;
	want.part_mapped = p->partial;
	want.nr_part[HPAGE_PMD_ORDER] = p->partial;
	want.split_deferred[HPAGE_PMD_ORDER] = p->partial;
	want.ev_deferred = p->partial;
	thp_ledger_expect(f, folio, &want, "munmap of a part");
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 0);
	thp_entry_end(f, folio);
}

static struct kunit_case device_private_thp_pmd_zap_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(munmap_drops_mapping,
				   kunit_array_gen_params, entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(dontneed_drops_mapping,
				   kunit_array_gen_params, few_entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(munmap_of_part_leaves_rest,
				   kunit_array_gen_params, few_part_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_zap_suite = {
	.name = "device_private_thp_pmd_zap",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_zap_cases,
};

/* The same with all rows of the tables */
static struct kunit_case device_private_thp_pmd_zap_all_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(dontneed_drops_mapping,
				   kunit_array_gen_params, entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(munmap_of_part_leaves_rest,
				   kunit_array_gen_params, part_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_pmd_zap_all_suite = {
	.name = "device_private_thp_pmd_zap_all",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_pmd_zap_all_cases,
	.attr.speed = KUNIT_SPEED_SLOW,
};

kunit_test_suites(&device_private_thp_pmd_zap_suite, &device_private_thp_pmd_zap_all_suite);

MODULE_DESCRIPTION("KUnit tests: unmapping PMDs of every kind");
MODULE_LICENSE("GPL");
