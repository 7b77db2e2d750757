// SPDX-License-Identifier: GPL-2.0-only
/*
 * What works on a huge PMD has seen it without the page table lock. Here it has
 * been split, or replaced, or its destination taken, before the lock is taken:
 * nothing may be done then, and the caller must be told.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rcupdate.h>
#include <linux/vmstat.h>

#include <asm/tlb.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_pmd_entry.h"
#include "thp_syscall.h"

/**
 * struct raced_param - one PMD
 * @entry: what it is, or each of the PTEs that it is split into
 * @bits: its bits, before and after
 * @marks: flags that the folio gets by the split
 */
struct raced_param {
	enum thp_entry entry;
	const char *bits;
	unsigned long marks;
};

static const struct raced_param raced_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", 0 },
	{ THP_ENTRY_DEVICE, "-x--", 0 },
	{ THP_ENTRY_DEVICE, "----", 0 },
	{ THP_ENTRY_SYSTEM, "wxyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "-x--", 0 },
	{ THP_ENTRY_SYSTEM, "--y-", 0 },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", 0 },
	{ THP_ENTRY_MIG_DEVICE, "-xy-", 0 },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", 0 },
	{ THP_ENTRY_MIG_SYSTEM, "--y-", 0 },
};

static void raced_desc(struct kunit *test, const void *param, char *desc)
{
	const struct raced_param *p = param;

	thp_entry_desc(desc, p->entry, p->bits);
}

static int raced_params_init(struct kunit *test)
{
	kunit_register_params_array(test, raced_params, ARRAY_SIZE(raced_params), raced_desc);
	return 0;
}

/* The PMD of @addr, in a table that is made if there is none; NULL without memory */
static pmd_t *alloc_pmd(struct mm_struct *mm, unsigned long addr)
{
	p4d_t *p4dp = p4d_alloc(mm, pgd_offset(mm, addr), addr);
	pud_t *pudp = p4dp ? pud_alloc(mm, p4dp, addr) : NULL;

	return pudp ? pmd_alloc(mm, pudp, addr) : NULL;
}

/* What the ledger must find of the PTEs */
static void want_ptes(struct thp_fixture *f, struct thp_state *want,
		      const struct raced_param *p)
{
	thp_entry_want(f, want, p->entry, thp_entry_bits(p->bits), false);
	want->ev_split_pmd = 1;
}

/* A PMD that somebody has split after we have looked at it */
static struct folio *make_split(struct kunit *test)
{
	const struct raced_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make(f, p->entry, thp_entry_bits(p->bits));
	struct thp_state want;

	thp_fixture_split_pmd(f, false);
	f->flags |= p->marks;
	want_ptes(f, &want, p);
	thp_ledger_expect(f, folio, &want, "split");
	return folio;
}

static void expect_ptes(struct kunit *test, struct folio *folio, const char *step)
{
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	want_ptes(f, &want, test->param_value);
	thp_ledger_expect(f, folio, &want, step);
	thp_entry_end(f, folio);
}

/* So many that the tables of what has exited before, freed late, do not hide a leak */
#define NR_COPIES	16

/*
 * Test that copy_huge_pmd() asks to be called again, for the PTEs, and frees the
 * table that it has allocated for the child: there are no more than before. There
 * may be fewer.
 */
static void copy_of_split_pmd_is_tried_again(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	/* Now, so that it has the VMA, but not the folio */
	struct mm_struct *child = thp_fixture_fork(f);
	struct folio *folio = make_split(test);
	struct vm_area_struct *vma;
	unsigned int i, again = 0;
	s64 tables, leaked;
	pmd_t *pmdp;

	rcu_barrier();
	mmap_write_lock(f->mm);
	mmap_write_lock_nested(child, SINGLE_DEPTH_NESTING);
	vma = vma_lookup(child, f->addr);
	pmdp = alloc_pmd(child, f->addr);
	tables = thp_ledger_node_stat(NR_PAGETABLE);
	for (i = 0; vma && pmdp && i < NR_COPIES; i++)
		again += copy_huge_pmd(child, f->mm, pmdp, mm_find_pmd(f->mm, f->addr),
				       f->addr, vma, f->vma) == -EAGAIN;
	leaked = thp_ledger_node_stat(NR_PAGETABLE) - tables;
	mmap_write_unlock(child);
	mmap_write_unlock(f->mm);
	KUNIT_EXPECT_EQ(test, again, NR_COPIES);
	KUNIT_EXPECT_TRUE(test, pmdp && pmd_none(pmdp_get(pmdp)));
	KUNIT_EXPECT_LE_MSG(test, leaked, 0, "page tables leaked");
	expect_ptes(test, folio, "copy_huge_pmd");
}

/* Test that zap_huge_pmd() says that there was nothing to zap. */
static void zap_of_split_pmd_does_nothing(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_split(test);
	struct mmu_gather tlb;
	bool zapped;

	mmap_read_lock(f->mm);
	tlb_gather_mmu(&tlb, f->mm);
	zapped = zap_huge_pmd(&tlb, f->vma, mm_find_pmd(f->mm, f->addr), f->addr);
	tlb_finish_mmu(&tlb);
	mmap_read_unlock(f->mm);
	KUNIT_EXPECT_FALSE(test, zapped);
	expect_ptes(test, folio, "zap_huge_pmd");
}

/* Test that change_huge_pmd() says that the PTEs are still to be changed. */
static void change_of_split_pmd_does_nothing(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_split(test);
	struct mmu_gather tlb;
	int ret;

	mmap_write_lock(f->mm);
	tlb_gather_mmu(&tlb, f->mm);
	ret = change_huge_pmd(&tlb, f->vma, mm_find_pmd(f->mm, f->addr), f->addr,
			      PAGE_READONLY, 0);
	tlb_finish_mmu(&tlb);
	mmap_write_unlock(f->mm);
	KUNIT_EXPECT_EQ(test, ret, 0);
	expect_ptes(test, folio, "change_huge_pmd");
}

/* An address whose PMD is in the table that has that of the range, outside the VMA */
static unsigned long free_place(const struct thp_fixture *f)
{
	unsigned long first = ALIGN_DOWN(f->addr, PUD_SIZE);

	return first + PMD_SIZE <= f->start ? first : f->addr + 4 * PMD_SIZE;
}

/* Test that move_huge_pmd() says that the PTEs are still to be moved. */
static void move_of_split_pmd_does_nothing(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_split(test);
	unsigned long to = free_place(f);
	bool moved = true;
	pmd_t *pmdp;

	mmap_write_lock(f->mm);
	pmdp = mm_find_pmd(f->mm, to);
	if (pmdp)
		moved = move_huge_pmd(f->vma, f->addr, to, mm_find_pmd(f->mm, f->addr), pmdp);
	mmap_write_unlock(f->mm);
	KUNIT_EXPECT_FALSE(test, moved);
	KUNIT_EXPECT_TRUE(test, pmdp && pmd_none(pmdp_get(pmdp)));
	expect_ptes(test, folio, "move_huge_pmd");
}

/*
 * Test that mremap() to where there is a page table already, as a collapse of a
 * file may leave one, splits the PMD and moves PTEs, each with all of its bits.
 */
static void move_onto_page_table_moves_ptes(struct kunit *test)
{
	const struct raced_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->entry, p->bits);
	unsigned long from = f->addr, to = free_place(f);
	struct thp_state want;
	int ret = -ENOMEM;
	pmd_t *pmdp;

	mmap_write_lock(f->mm);
	pmdp = alloc_pmd(f->mm, to);
	if (pmdp)
		ret = pte_alloc(f->mm, pmdp);
	mmap_write_unlock(f->mm);
	KUNIT_ASSERT_EQ(test, ret, 0);
	KUNIT_ASSERT_EQ(test, to, thp_mremap(test, from, HPAGE_PMD_SIZE, to));
	f->vma = vma_lookup(f->mm, to);
	f->addr = to;
	thp_fixture_track(f, f->first, HPAGE_PMD_ORDER, to);
	f->flags |= p->marks;
	want_ptes(f, &want, p);
	/* A VMA takes its page offsets with it. */
	want.index = from >> PAGE_SHIFT;
	thp_ledger_expect(f, folio, &want, "mremap");
	thp_entry_end(f, folio);
}

/**
 * struct fault_param - a device-private PMD, which is another one by now
 * @bits: its bits when the fault began
 * @now: what has become of it
 * @now_bits: its bits now
 * @by_pmd: it is still one PMD
 * @splits: THP_SPLIT_PMD events
 */
struct fault_param {
	const char *bits;
	enum thp_entry now;
	const char *now_bits;
	bool by_pmd;
	unsigned int splits;
};

static const struct fault_param fault_params[] = {
	{ "wx--", THP_ENTRY_DEVICE, "-x--", true, 0 },
	{ "wx--", THP_ENTRY_DEVICE, "wx--", false, 1 },
	{ "-x--", THP_ENTRY_DEVICE, "-x--", false, 1 },
	{ "----", THP_ENTRY_DEVICE, "----", false, 1 },
	{ "wx--", THP_ENTRY_MIG_DEVICE, "wx--", true, 0 },
	{ "-x--", THP_ENTRY_MIG_DEVICE, "-x--", true, 0 },
	{ "----", THP_ENTRY_MIG_DEVICE, "----", true, 0 },
};

static void fault_desc(struct kunit *test, const void *param, char *desc)
{
	const struct fault_param *p = param;
	char now[KUNIT_PARAM_DESC_SIZE];

	thp_entry_desc(now, p->now, p->now_bits);
	thp_entry_desc(desc, THP_ENTRY_DEVICE, p->bits);
	strlcat(desc, p->by_pmd ? "_now_" : "_now_ptes_", KUNIT_PARAM_DESC_SIZE);
	strlcat(desc, now, KUNIT_PARAM_DESC_SIZE);
}

static int fault_params_init(struct kunit *test)
{
	kunit_register_params_array(test, fault_params, ARRAY_SIZE(fault_params), fault_desc);
	return 0;
}

/* Somebody was faster than the fault. */
static void change(struct thp_fixture *f, struct folio *folio, const struct fault_param *p)
{
	if (p->now == THP_ENTRY_MIG_DEVICE)
		thp_fixture_unmap(f, folio, 0);
	else if (!p->by_pmd)
		thp_fixture_split_pmd(f, false);
	else
		KUNIT_ASSERT_EQ(f->test, 0, thp_mprotect(f->test, f->start, f->end - f->start,
							 PROT_READ));
}

/*
 * Test that a fault on a device-private PMD that is not the one it was finds out
 * before it asks the driver, and takes neither the lock nor a reference.
 */
static void fault_on_changed_pmd_does_nothing(struct kunit *test)
{
	const struct fault_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, THP_ENTRY_DEVICE, p->bits);
	pmd_t *pmdp = mm_find_pmd(f->mm, f->addr);
	struct vm_fault vmf = {
		.vma = f->vma,
		.address = f->addr,
		.real_address = f->addr,
		.pmd = pmdp,
		.orig_pmd = pmdp_get(pmdp),
	};
	struct thp_state want;
	vm_fault_t ret;

	change(f, folio, p);
	mmap_read_lock(f->mm);
	ret = do_huge_pmd_device_private(&vmf);
	mmap_read_unlock(f->mm);
	KUNIT_EXPECT_EQ(test, (__force unsigned int)ret, 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
	thp_entry_want(f, &want, p->now, thp_entry_bits(p->now_bits), p->by_pmd);
	want.ev_split_pmd = p->splits;
	thp_ledger_expect(f, folio, &want, "do_huge_pmd_device_private");
	thp_entry_end(f, folio);
}

/**
 * struct walk_param - a walk that has stopped at something that is no huge PMD
 * @entry: what the PMD is
 * @bits: its bits
 * @pte: the walk has found a PTE; else it has found nothing
 */
struct walk_param {
	enum thp_entry entry;
	const char *bits;
	bool pte;
};

static const struct walk_param walk_params[] = {
	{ THP_ENTRY_DEVICE, "wx--", true },
	{ THP_ENTRY_DEVICE, "wx--", false },
	{ THP_ENTRY_SYSTEM, "wxyd", true },
	{ THP_ENTRY_SYSTEM, "wxyd", false },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", true },
	{ THP_ENTRY_MIG_DEVICE, "wx-d", false },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", true },
	{ THP_ENTRY_MIG_SYSTEM, "wxyd", false },
};

static void walk_desc(struct kunit *test, const void *param, char *desc)
{
	const struct walk_param *p = param;

	thp_entry_desc(desc, p->entry, p->bits);
	strlcat(desc, p->pte ? "_pte" : "_nothing", KUNIT_PARAM_DESC_SIZE);
}

static int walk_params_init(struct kunit *test)
{
	kunit_register_params_array(test, walk_params, ARRAY_SIZE(walk_params), walk_desc);
	return 0;
}

/*
 * Test that set_pmd_migration_entry() and remove_migration_pmd() only touch the
 * PMD if it is what the walk over page tables has found.
 */
static void walk_without_pmd_changes_nothing(struct kunit *test)
{
	const struct walk_param *p = test->param_value;
	const bool migration = p->entry == THP_ENTRY_MIG_DEVICE ||
			       p->entry == THP_ENTRY_MIG_SYSTEM;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make(f, p->entry, thp_entry_bits(p->bits));
	pte_t pte = __pte(0);
	struct page_vma_mapped_walk pvmw = {
		.vma = f->vma,
		.address = f->addr,
		.pmd = p->pte ? mm_find_pmd(f->mm, f->addr) : NULL,
		.pte = p->pte ? &pte : NULL,
	};
	struct thp_state want;
	int ret = 0;

	mmap_read_lock(f->mm);
	if (migration)
		remove_migration_pmd(&pvmw, folio);
	else
		ret = set_pmd_migration_entry(&pvmw, &folio->page);
	mmap_read_unlock(f->mm);
	KUNIT_EXPECT_EQ(test, ret, 0);
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->bits), true);
	thp_ledger_expect(f, folio, &want, "not a PMD");
	thp_entry_end(f, folio);
}

static struct kunit_case thp_pmd_raced_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(copy_of_split_pmd_is_tried_again,
				   kunit_array_gen_params, raced_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(zap_of_split_pmd_does_nothing,
				   kunit_array_gen_params, raced_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(change_of_split_pmd_does_nothing,
				   kunit_array_gen_params, raced_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(move_of_split_pmd_does_nothing,
				   kunit_array_gen_params, raced_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(move_onto_page_table_moves_ptes,
				   kunit_array_gen_params, raced_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_on_changed_pmd_does_nothing,
				   kunit_array_gen_params, fault_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(walk_without_pmd_changes_nothing,
				   kunit_array_gen_params, walk_params_init, NULL),
	{}
};

static struct kunit_suite thp_pmd_raced_suite = {
	.name = "thp_pmd_raced",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_pmd_raced_cases,
};

kunit_test_suite(thp_pmd_raced_suite);

MODULE_DESCRIPTION("KUnit tests: PMDs that are not what they were");
MODULE_LICENSE("GPL");
