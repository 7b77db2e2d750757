// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control group, PMDs that map files: shmem. What is anonymous, of whichever
 * memory, keeps all that a PMD says of it, in PTEs or in a migration entry; a file
 * is in its page cache, so the PMD itself may go, but not what it knows.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/swap.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_fixture_system.h"
#include "thp_pmd_entry.h"
#include "thp_syscall.h"

/* Flags of a folio that a PMD has something to do with */
#define DIRTY	BIT(PG_dirty)
#define REF	BIT(PG_referenced)
#define ACTIVE	BIT(PG_active)

/*
 * Give the PMD and its folio the bits and flags of choice. Nobody but the test
 * writes back.
 */
static void set_bits(struct thp_fixture *f, struct folio *folio, unsigned int bits,
		     unsigned long flags)
{
	thp_entry_set_bits(f, bits);
	folio_clear_dirty(folio);
	if (flags & DIRTY)
		folio_set_dirty(folio);
	if (flags & REF)
		folio_set_referenced(folio);
}

/* What the ledger must find: thp_want_shmem() with these bits and flags */
static void want_file(struct thp_fixture *f, struct thp_state *want, enum thp_where where,
		      unsigned int bits, unsigned long flags)
{
	f->write = bits & THP_W;
	f->exclusive = false;
	thp_want_shmem(f, want, HPAGE_PMD_ORDER, where);
	want->flags &= ~(DIRTY | REF);
	want->flags |= flags;
	want->leaf_young = bits & THP_Y ? want->leaves : 0;
	want->leaf_dirty = bits & THP_D ? want->leaves : 0;
	if (where != THP_MIGRATION_PMD)
		return;
	/* The test has the reference that the PMD had, and the lock. */
	want->flags |= BIT(PG_locked);
	want->file_mapped = 0;
	want->leaf_excl = 0;
}

/* A folio of shmem, mapped by a PMD with these bits */
static struct folio *make_checked(struct thp_fixture *f, unsigned int bits, unsigned long flags)
{
	struct folio *folio = thp_fixture_touch_shmem(f, HPAGE_PMD_ORDER);
	struct thp_state want;

	set_bits(f, folio, bits, flags);
	want_file(f, &want, THP_PMD, bits, flags);
	thp_ledger_expect(f, folio, &want, "one PMD");
	return folio;
}

static void describe(char *desc, const char *bits, unsigned long flags)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "pmd%s%s%s_folio%s%s%s",
		 bits[0] == 'w' ? "_write" : "_read", bits[2] == 'y' ? "_young" : "",
		 bits[3] == 'd' ? "_dirty" : "", flags & DIRTY ? "_dirty" : "",
		 flags & REF ? "_referenced" : "", flags & (DIRTY | REF) ? "" : "_clean");
}

/**
 * struct file_param - one PMD that maps a file
 * @bits: its bits; nothing is exclusive
 * @before: flags of the folio before
 * @after: its flags after
 */
struct file_param {
	const char *bits;
	unsigned long before;
	unsigned long after;
};

/* The folio is dirty, or referenced, if either of the two was. */
static const struct file_param split_params[] = {
	{ "w---", 0, 0 },
	{ "w-y-", 0, REF },
	{ "w--d", 0, DIRTY },
	{ "w-yd", 0, DIRTY | REF },
	{ "w---", DIRTY, DIRTY },
	{ "w-y-", DIRTY, DIRTY | REF },
	{ "w--d", DIRTY, DIRTY },
	{ "w-yd", DIRTY, DIRTY | REF },
	{ "w---", REF, REF },
	{ "w-y-", REF, REF },
	{ "w--d", REF, DIRTY | REF },
	{ "w-yd", REF, DIRTY | REF },
	{ "w---", DIRTY | REF, DIRTY | REF },
	{ "w-y-", DIRTY | REF, DIRTY | REF },
	{ "w--d", DIRTY | REF, DIRTY | REF },
	{ "w-yd", DIRTY | REF, DIRTY | REF },
	{ "----", 0, 0 },
	{ "--y-", 0, REF },
	{ "---d", 0, DIRTY },
	{ "--yd", 0, DIRTY | REF },
};

static void file_desc(struct kunit *test, const void *param, char *desc)
{
	const struct file_param *p = param;

	describe(desc, p->bits, p->before);
}

static int split_params_init(struct kunit *test)
{
	kunit_register_params_array(test, split_params, ARRAY_SIZE(split_params), file_desc);
	return 0;
}

static void split_and_check(struct kunit *test, bool freeze)
{
	const struct file_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_checked(f, thp_entry_bits(p->bits), p->before);
	struct thp_state want;

	thp_fixture_split_pmd(f, freeze);
	want_file(f, &want, THP_UNMAPPED, 0, p->after);
	want.ev_split_pmd = 1;
	thp_ledger_expect(f, folio, &want, "__split_huge_pmd");
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "read after the split");
}

/*
 * Test that no PTEs take the place of the PMD: the mapping is gone, with its
 * reference and RSS, the folio has what the PMD knew, and whoever accesses the
 * memory finds it in the page cache.
 */
static void split_takes_the_mapping(struct kunit *test)
{
	split_and_check(test, false);
}

/* Test that freeze makes no difference: there is nothing to leave an entry in. */
static void split_with_freeze_takes_the_mapping(struct kunit *test)
{
	split_and_check(test, true);
}

/**
 * struct migration_param - one PMD that maps a file, replaced by a migration entry
 * @bits: its bits, and those of the entry
 * @before: flags of the folio before
 * @after: its flags under migration: it is dirty if the PMD is
 * @protected_bits: bits of the entry once writing is not allowed, and of the PMD
 *	that it becomes
 * @back_bits: bits of the PMD after the migration
 * @clean_bits: its bits if the folio was written back meanwhile
 */
struct migration_param {
	const char *bits;
	unsigned long before;
	unsigned long after;
	const char *protected_bits;
	const char *back_bits;
	const char *clean_bits;
};

/* Shmem need not know of the first write, so vm_page_prot makes each PMD writable. */
static const struct migration_param migration_params[] = {
	{ "w---", 0, 0, "----", "w---", "w---" },
	{ "w-y-", 0, 0, "--y-", "w-y-", "w-y-" },
	{ "w--d", 0, DIRTY, "---d", "w--d", "w---" },
	{ "w-yd", 0, DIRTY, "--yd", "w-yd", "w-y-" },
	{ "----", 0, 0, "----", "w---", "w---" },
	{ "--y-", 0, 0, "--y-", "w-y-", "w-y-" },
	{ "---d", 0, DIRTY, "---d", "w--d", "w---" },
	{ "--yd", 0, DIRTY, "--yd", "w-yd", "w-y-" },
	{ "w-yd", DIRTY | REF, DIRTY | REF, "--yd", "w-yd", "w-y-" },
	{ "----", DIRTY | REF, DIRTY | REF, "----", "w---", "w---" },
};

static void migration_desc(struct kunit *test, const void *param, char *desc)
{
	const struct migration_param *p = param;

	describe(desc, p->bits, p->before);
}

static int migration_params_init(struct kunit *test)
{
	kunit_register_params_array(test, migration_params, ARRAY_SIZE(migration_params),
				    migration_desc);
	return 0;
}

/* The same, unmapped: a migration entry, and a folio that the test holds */
static struct folio *make_migrating(struct kunit *test)
{
	const struct migration_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_checked(f, thp_entry_bits(p->bits), p->before);
	struct thp_state want;

	thp_entry_unmap(f, folio);
	want_file(f, &want, THP_MIGRATION_PMD, thp_entry_bits(p->bits), p->after);
	thp_ledger_expect(f, folio, &want, "try_to_migrate");
	return folio;
}

/*
 * Test that the entry has all bits of the PMD, but is never one of exclusive
 * memory; that RSS stays and the mapping goes; and that the end of the migration
 * brings all of it back.
 */
static void migration_entry_keeps_bits(struct kunit *test)
{
	const struct migration_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_migrating(test);
	struct thp_state want;

	thp_entry_remap(f, folio);
	want_file(f, &want, THP_PMD, thp_entry_bits(p->back_bits), p->after);
	thp_ledger_expect(f, folio, &want, "remove_migration_ptes");
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "read after the migration");
}

/* Test that the PMD of a folio that is clean by the end of the migration is clean. */
static void migration_of_clean_folio_ends_clean(struct kunit *test)
{
	const struct migration_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_migrating(test);
	struct thp_state want;

	folio_clear_dirty(folio);
	thp_entry_remap(f, folio);
	want_file(f, &want, THP_PMD, thp_entry_bits(p->clean_bits), p->after & ~DIRTY);
	thp_ledger_expect(f, folio, &want, "remove_migration_ptes, clean");
}

/*
 * Test that mprotect() makes a writable entry one that is readable, not exclusive
 * as one of anonymous memory would be, and keeps the others.
 */
static void mprotect_takes_write_of_migration_entry(struct kunit *test)
{
	const struct migration_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_migrating(test);
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, 0, thp_mprotect(test, f->addr, HPAGE_PMD_SIZE, PROT_READ));
	want_file(f, &want, THP_MIGRATION_PMD, thp_entry_bits(p->protected_bits), p->after);
	thp_ledger_expect(f, folio, &want, "mprotect");
	thp_entry_remap(f, folio);
	want_file(f, &want, THP_PMD, thp_entry_bits(p->protected_bits), p->after);
	thp_ledger_expect(f, folio, &want, "remove_migration_ptes");
}

/*
 * Test that splitting a migration entry leaves nothing either, and takes RSS but
 * no reference: the migration has that of the mapping. It knows nothing that the
 * folio does not.
 */
static void split_takes_migration_entry(struct kunit *test)
{
	const struct migration_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_migrating(test);
	struct thp_state want;

	thp_fixture_split_pmd(f, false);
	want_file(f, &want, THP_UNMAPPED, 0, p->after);
	want.flags |= BIT(PG_locked);
	want.refcount++;
	want.ev_split_pmd = 1;
	thp_ledger_expect(f, folio, &want, "__split_huge_pmd");

	thp_entry_remap(f, folio);
	want.flags &= ~BIT(PG_locked);
	want.refcount--;
	thp_ledger_expect(f, folio, &want, "remove_migration_ptes");
}

/* Test the same of unmapping it. */
static void zap_takes_migration_entry(struct kunit *test)
{
	const struct migration_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_migrating(test);
	struct thp_state want;

	unmap_mapping_range(folio->mapping, 0, 0, false);
	want_file(f, &want, THP_UNMAPPED, 0, p->after);
	want.flags |= BIT(PG_locked);
	want.refcount++;
	thp_ledger_expect(f, folio, &want, "unmap_mapping_range");
	thp_entry_remap(f, folio);
}

/**
 * struct zap_param - one PMD that maps a file, unmapped
 * @advice: what the process has said of the mapping
 * @bits: its bits
 * @before: flags of the folio before
 * @after: its flags after
 */
struct zap_param {
	enum { NORMAL, RANDOM, SEQUENTIAL } advice;
	const char *bits;
	unsigned long before;
	unsigned long after;
};

/*
 * Being accessed twice makes a folio active, unless it is known that accesses tell
 * nothing of the ones to come (vma_has_recency()). The dirty bit always counts.
 */
static const struct zap_param zap_params[] = {
	{ NORMAL, "w---", 0, 0 },
	{ NORMAL, "w-y-", 0, REF },
	{ NORMAL, "w--d", 0, DIRTY },
	{ NORMAL, "w-yd", 0, DIRTY | REF },
	{ NORMAL, "w---", DIRTY | REF, DIRTY | REF },
	{ NORMAL, "w-y-", REF, ACTIVE },
	{ NORMAL, "w-yd", DIRTY | REF, DIRTY | ACTIVE },
	{ NORMAL, "----", 0, 0 },
	{ NORMAL, "--yd", 0, DIRTY | REF },
	{ RANDOM, "w---", 0, 0 },
	{ RANDOM, "w-yd", 0, DIRTY },
	{ RANDOM, "w-yd", DIRTY | REF, DIRTY | REF },
	{ SEQUENTIAL, "w---", 0, 0 },
	{ SEQUENTIAL, "w-yd", 0, DIRTY },
	{ SEQUENTIAL, "w-yd", DIRTY | REF, DIRTY | REF },
};

static void zap_desc(struct kunit *test, const void *param, char *desc)
{
	static const char * const names[] = { "normal", "random", "sequential" };
	const struct zap_param *p = param;
	size_t len;

	describe(desc, p->bits, p->before);
	len = strlen(desc);
	snprintf(desc + len, KUNIT_PARAM_DESC_SIZE - len, "_%s", names[p->advice]);
}

static int zap_params_init(struct kunit *test)
{
	kunit_register_params_array(test, zap_params, ARRAY_SIZE(zap_params), zap_desc);
	return 0;
}

static void advise(struct thp_fixture *f, const struct zap_param *p)
{
	if (p->advice != NORMAL)
		KUNIT_ASSERT_EQ(f->test, 0,
				do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE,
					   p->advice == RANDOM ? MADV_RANDOM : MADV_SEQUENTIAL));
}

/*
 * Test that unmapping tells the folio what its PMD knew, as far as that says
 * something of its future.
 */
static void zap_tells_folio_what_pmd_knew(struct kunit *test)
{
	const struct zap_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_checked(f, thp_entry_bits(p->bits), p->before);
	struct thp_state want;

	advise(f, p);
	unmap_mapping_range(folio->mapping, 0, 0, false);
	lru_add_drain();
	want_file(f, &want, THP_UNMAPPED, 0, p->after);
	thp_ledger_expect(f, folio, &want, "unmap_mapping_range");
}

static const struct file_param move_params[] = {
	{ "w---", 0, 0 },
	{ "w-yd", DIRTY, DIRTY },
	{ "--y-", REF, REF },
};

static int move_params_init(struct kunit *test)
{
	kunit_register_params_array(test, move_params, ARRAY_SIZE(move_params), file_desc);
	return 0;
}

/* Test that mremap() moves the PMD, bit by bit, although no table is deposited for it. */
static void mremap_keeps_all_bits(struct kunit *test)
{
	const struct file_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int bits = thp_entry_bits(p->bits);
	struct folio *folio = make_checked(f, bits, p->before);
	unsigned long from = f->addr, to = from - PUD_SIZE;
	struct thp_state want;

	KUNIT_ASSERT_EQ(test, to, thp_mremap(test, from, HPAGE_PMD_SIZE, to));
	f->vma = vma_lookup(f->mm, to);
	f->addr = to;
	thp_fixture_track(f, f->first, HPAGE_PMD_ORDER, to);
	want_file(f, &want, THP_PMD, bits, p->after);
	thp_ledger_expect(f, folio, &want, "mremap");
}

static struct kunit_case thp_pmd_file_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(split_takes_the_mapping,
				   kunit_array_gen_params, split_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_with_freeze_takes_the_mapping,
				   kunit_array_gen_params, split_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(migration_entry_keeps_bits,
				   kunit_array_gen_params, migration_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(migration_of_clean_folio_ends_clean,
				   kunit_array_gen_params, migration_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mprotect_takes_write_of_migration_entry,
				   kunit_array_gen_params, migration_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_takes_migration_entry,
				   kunit_array_gen_params, migration_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(zap_takes_migration_entry,
				   kunit_array_gen_params, migration_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(zap_tells_folio_what_pmd_knew,
				   kunit_array_gen_params, zap_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_keeps_all_bits,
				   kunit_array_gen_params, move_params_init, NULL),
	{}
};

static struct kunit_suite thp_pmd_file_suite = {
	.name = "thp_pmd_file",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_pmd_file_cases,
};

kunit_test_suite(thp_pmd_file_suite);

MODULE_DESCRIPTION("KUnit tests: PMDs that map files");
MODULE_LICENSE("GPL");
