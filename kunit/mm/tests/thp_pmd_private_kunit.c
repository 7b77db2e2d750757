// SPDX-License-Identifier: GPL-2.0-only
/*
 * The control group, PMDs of a private mapping of a file: shmem that is mapped to
 * be read. There are anonymous pages beside it, or there will be, but the PMD is
 * none of them.
 */
#include <kunit/test.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/swap.h>

#include "../internal.h"
#include "thp_fixture_forms.h"
#include "thp_fixture_system.h"

/* What the ledger must find: read by this mm, and written before, by whoever it was */
static void want_file(struct thp_fixture *f, struct thp_state *want, enum thp_where where)
{
	f->write = false;
	f->exclusive = false;
	thp_want_shmem(f, want, HPAGE_PMD_ORDER, where);
	want->flags |= BIT(PG_referenced);
	want->leaf_dirty = 0;
}

/*
 * A file with the pattern in one folio, which the range maps privately, by a PMD.
 * Elsewhere in the VMA there may be anonymous pages: it has an anon_vma.
 */
static struct folio *make_private(struct thp_fixture *f)
{
	struct folio *folio = thp_fixture_touch_shmem(f, HPAGE_PMD_ORDER);
	struct file *file = get_file(f->vma->vm_file);
	unsigned long addr;
	struct thp_state want;
	int ret;

	addr = vm_mmap(file, f->addr, HPAGE_PMD_SIZE, PROT_READ | PROT_WRITE,
		       MAP_FIXED | MAP_PRIVATE, 0);
	fput(file);
	KUNIT_ASSERT_EQ(f->test, f->addr, addr);
	mmap_read_lock(f->mm);
	f->vma = vma_lookup(f->mm, f->addr);
	ret = f->vma ? anon_vma_prepare(f->vma) : -ENOENT;
	mmap_read_unlock(f->mm);
	KUNIT_ASSERT_EQ(f->test, 0, ret);
	KUNIT_ASSERT_EQ(f->test, 0, thp_fixture_fault(f, f->addr, 0) & VM_FAULT_ERROR);
	lru_add_drain();
	want_file(f, &want, THP_PMD);
	thp_ledger_expect(f, folio, &want, "one PMD, private");
	return folio;
}

/*
 * Test that fork() leaves the PMD to be found again by a fault: the child has
 * neither a mapping nor a table in reserve, and can read the file.
 */
static void fork_does_not_copy(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_private(f);
	struct mm_struct *child = thp_fixture_fork(f);
	struct thp_state want;

	want_file(f, &want, THP_PMD);
	thp_ledger_expect(f, folio, &want, "forked, in the parent");
	want.pmd = THP_KIND_NONE;
	want.leaf = THP_KIND_NONE;
	want.leaves = 0;
	want.leaf_pfn = 0;
	want.leaf_young = 0;
	want.pmd_leaves = 0;
	want.rss_shmem = 0;
	thp_fixture_look_at(f, child);
	thp_ledger_expect(f, folio, &want, "forked, in the child");

	thp_fixture_switch_mm(f, f->mm, child);
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "read in the child");
	thp_fixture_switch_mm(f, child, f->mm);
	KUNIT_EXPECT_EQ(test, folio_entire_mapcount(folio), 2);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 2);
	thp_fixture_end_child(f, child);
	lru_add_drain();
	/* It has been accessed twice. */
	want_file(f, &want, THP_PMD);
	want.flags &= ~BIT(PG_referenced);
	want.flags |= BIT(PG_active);
	thp_ledger_expect(f, folio, &want, "the child is gone");
}

static const unsigned int pages[] = { 0, 255, 511 };

static void page_desc(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "page%u", *(const unsigned int *)param);
}

static int pages_init(struct kunit *test)
{
	kunit_register_params_array(test, pages, ARRAY_SIZE(pages), page_desc);
	return 0;
}

/*
 * Test that the first write takes the PMD and maps a copy of that page, and only
 * that one; the file is as it was, and so is what is read of all other pages.
 */
static void write_takes_the_pmd_and_copies_one_page(struct kunit *test)
{
	const unsigned int page = *(const unsigned int *)test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_private(f);
	unsigned long addr = f->addr + page * PAGE_SIZE;
	u64 word = ~thp_data_word(page, 0), right = thp_data_word(page, 0);
	struct folio *copy;
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, 0, copy_to_user((void __user *)addr, &word, sizeof(word)));
	lru_add_drain();
	want_file(f, &want, THP_UNMAPPED);
	want.pmd = THP_KIND_TABLE;
	want.leaf = THP_MIXED;
	want.leaves = 1;
	want.leaf_write = 1;
	want.leaf_young = 1;
	want.leaf_dirty = 1;
	want.pmd_leaves = 1;
	want.rss = 1;
	want.anon_mapped = 1;
	want.ev_split_pmd = 1;
	thp_ledger_expect(f, folio, &want, "written to");

	copy = thp_fixture_folio_at(f, addr);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_EXPECT_PTR_NE(test, copy, folio);
	KUNIT_EXPECT_TRUE(test, folio_test_anon(copy));
	KUNIT_EXPECT_TRUE(test, PageAnonExclusive(&copy->page));
	KUNIT_EXPECT_EQ(test, folio_order(copy), 0);
	KUNIT_EXPECT_EQ(test, *(u64 *)page_address(&copy->page), word);
	KUNIT_EXPECT_EQ(test, 0, copy_to_user((void __user *)addr, &right, sizeof(right)));
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "read after the write");
}

static struct kunit_case thp_pmd_private_cases[] = {
	KUNIT_CASE(fork_does_not_copy),
	KUNIT_CASE_PARAM_WITH_INIT(write_takes_the_pmd_and_copies_one_page,
				   kunit_array_gen_params, pages_init, NULL),
	{}
};

static struct kunit_suite thp_pmd_private_suite = {
	.name = "thp_pmd_private",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_pmd_private_cases,
};

kunit_test_suite(thp_pmd_private_suite);

MODULE_DESCRIPTION("KUnit tests: PMDs of private mappings of files");
MODULE_LICENSE("GPL");
