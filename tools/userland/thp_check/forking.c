// SPDX-License-Identifier: GPL-2.0
/* fork() and copy on write of PMD-mapped and PTE-mapped THPs. */
#include "thp_check.h"

#include <sys/mman.h>

#define COW_OFFSET	(77 * PAGE_SIZE)

/* All of [p, p + HPAGE_SIZE) is pattern @seed but the page at COW_OFFSET. */
static void expect_one_page_differs(char *p, unsigned int seed,
				    unsigned int cow_seed)
{
	char *after = p + COW_OFFSET + PAGE_SIZE;

	EXPECT_EQ(0, bad_words(p, COW_OFFSET, seed));
	EXPECT_EQ(0, bad_words(p + COW_OFFSET, PAGE_SIZE, cow_seed));
	EXPECT_EQ(0, bad_words_at(p, after, p + HPAGE_SIZE - after, seed));
}

static void child_reads(char *p)
{
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 2));
}

static void fork_child_reads_the_same_thp(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	in_child(child_reads, p);
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 1));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
}

static void child_writes(char *p)
{
	long split = vmstat("thp_split_pmd");

	fill(p + COW_OFFSET, PAGE_SIZE, 9);
	EXPECT_EQ(split + 1, vmstat("thp_split_pmd"));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(1, page_mapcount(pfn_of(p + COW_OFFSET)));
	EXPECT_EQ(0, bad_mapcounts(p, COW_OFFSET, 2));
	expect_one_page_differs(p, 1, 9);
	peer_yield();
	expect_one_page_differs(p, 1, 9);
}

static void fork_child_write_splits_only_the_child(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);

	peer_start(child_writes, p);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(1, page_mapcount(pfn_of(p + COW_OFFSET)));
	peer_end();
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 1));
}

static void child_keeps(char *p)
{
	peer_yield();
	/* The parent has written now. */
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

static void fork_parent_write_splits_only_the_parent(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);
	long split;

	peer_start(child_keeps, p);
	split = vmstat("thp_split_pmd");
	fill(p + COW_OFFSET, PAGE_SIZE, 9);
	EXPECT_EQ(split + 1, vmstat("thp_split_pmd"));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	expect_one_page_differs(p, 1, 9);
	peer_end();
	expect_one_page_differs(p, 1, 9);
}

static void child_leaves(char *p)
{
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

static void fork_write_after_child_exit_reuses_the_thp(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);
	unsigned long pfn = pfn_of(p);

	in_child(child_leaves, p);
	fill(p + COW_OFFSET, PAGE_SIZE, 9);
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(pfn, pfn_of(p));
	expect_one_page_differs(p, 1, 9);
}

static void child_writes_every_other_page(char *p)
{
	unsigned long offset;

	for (offset = 0; offset < HPAGE_SIZE; offset += 2 * PAGE_SIZE) {
		fill(p + offset, PAGE_SIZE, 9);
		EXPECT_EQ(1, page_mapcount(pfn_of(p + offset)));
		EXPECT_EQ(2, page_mapcount(pfn_of(p + offset + PAGE_SIZE)));
	}
	peer_yield();
	for (offset = 0; offset < HPAGE_SIZE; offset += 2 * PAGE_SIZE) {
		EXPECT_EQ(0, bad_words(p + offset, PAGE_SIZE, 9));
		EXPECT_EQ(0, bad_words_at(p, p + offset + PAGE_SIZE, PAGE_SIZE,
					  1));
	}
}

/* The THP is mapped by PTEs in both processes from the start. */
static void fork_partial_cow_of_pte_mapped_thp(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);
	unsigned long offset;

	ASSERT(!mprotect(p, PAGE_SIZE, PROT_READ));
	ASSERT(!mprotect(p, PAGE_SIZE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));

	peer_start(child_writes_every_other_page, p);
	EXPECT_EQ(true, is_one_folio(p));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	/* Now the parent copies the pages that the child still shares. */
	for (offset = PAGE_SIZE; offset < HPAGE_SIZE; offset += 2 * PAGE_SIZE)
		fill(p + offset, PAGE_SIZE, 8);
	peer_end();
	for (offset = 0; offset < HPAGE_SIZE; offset += 2 * PAGE_SIZE) {
		EXPECT_EQ(0, bad_words_at(p, p + offset, PAGE_SIZE, 1));
		EXPECT_EQ(0, bad_words(p + offset + PAGE_SIZE, PAGE_SIZE, 8));
	}
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 1));
}

static void grandchild_writes(char *p)
{
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 3));
	fill(p, HPAGE_SIZE, 3);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 3));
}

static void child_forks(char *p)
{
	in_child(grandchild_writes, p);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
}

static void fork_grandchild_writes_all(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);

	in_child(child_forks, p);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 1));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
}

static void child_unmaps_half(char *p)
{
	ASSERT(!munmap(p, HPAGE_SIZE / 2));
	EXPECT_EQ(0, bad_words_at(p, p + HPAGE_SIZE / 2, HPAGE_SIZE / 2, 1));
}

static void fork_child_unmaps_half(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);

	in_child(child_unmaps_half, p);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 1));
}

const struct check fork_checks[] = {
	CHECK(fork_child_reads_the_same_thp),
	CHECK(fork_child_write_splits_only_the_child),
	CHECK(fork_parent_write_splits_only_the_parent),
	CHECK(fork_write_after_child_exit_reuses_the_thp),
	CHECK(fork_partial_cow_of_pte_mapped_thp),
	CHECK(fork_grandchild_writes_all),
	CHECK(fork_child_unmaps_half),
	{}
};
