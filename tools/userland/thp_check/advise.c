// SPDX-License-Identifier: GPL-2.0
/* madvise(): DONTNEED, FREE, COLLAPSE, HUGEPAGE, NOHUGEPAGE; khugepaged. */
#include "thp_check.h"

#include <sys/mman.h>
#include <time.h>

#define HALF	(HPAGE_SIZE / 2)

static void dontneed_whole_frees_the_thp(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!madvise(p, HPAGE_SIZE, MADV_DONTNEED));
	EXPECT_EQ(0, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
	EXPECT_EQ(0, nonzero_words(p, HPAGE_SIZE));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
}

static void dontneed_half_splits_the_leaf(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!madvise(p + HALF, HALF, MADV_DONTNEED));
	EXPECT_EQ(split + 1, vmstat("thp_split_pmd"));
	EXPECT_EQ(HPAGE_KB / 2, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HALF, 1));
	EXPECT_EQ(0, nonzero_words(p + HALF, HALF));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
}

static void free_then_write_keeps_the_new_data(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!madvise(p, HPAGE_SIZE, MADV_FREE));
	EXPECT_EQ(HPAGE_KB, smaps_kb(p, HPAGE_SIZE, "LazyFree"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	fill(p, HPAGE_SIZE, 2);
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_PAGEOUT));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
	EXPECT_EQ(true, is_one_folio(p));
}

static void free_then_reclaim_drops_the_data(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!madvise(p, HPAGE_SIZE, MADV_FREE));
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_PAGEOUT));
	EXPECT_EQ(0, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, nonzero_words(p, HPAGE_SIZE));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
}

static void free_of_half_splits_the_folio(void)
{
	long split = vmstat("thp_split_page");
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!madvise(p, HALF, MADV_FREE));
	EXPECT_EQ(split + 1, vmstat("thp_split_page"));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words_at(p, p + HALF, HALF, 1));
	fill(p, HALF, 2);
	EXPECT_EQ(0, bad_words(p, HALF, 2));
	EXPECT_EQ(0, bad_words_at(p, p + HALF, HALF, 1));
}

static void collapse_of_small_pages(void)
{
	long alloc = vmstat("thp_collapse_alloc");
	char *p = region_small(HPAGE_SIZE, 1);

	ASSERT(!madvise(p, HPAGE_SIZE, MADV_HUGEPAGE));
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_COLLAPSE));
	EXPECT_EQ(alloc + 1, vmstat("thp_collapse_alloc"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
}

static void collapse_fills_holes_with_zeroes(void)
{
	char *p = region_new(HPAGE_SIZE);

	ASSERT(!madvise(p, HPAGE_SIZE, MADV_NOHUGEPAGE));
	fill(p + 7 * PAGE_SIZE, PAGE_SIZE, 1);
	EXPECT_EQ(0, p[8 * PAGE_SIZE]);
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_HUGEPAGE));
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_COLLAPSE));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, nonzero_words(p, 7 * PAGE_SIZE));
	EXPECT_EQ(0, bad_words(p + 7 * PAGE_SIZE, PAGE_SIZE, 1));
	EXPECT_EQ(0, nonzero_words(p + 8 * PAGE_SIZE,
				   HPAGE_SIZE - 8 * PAGE_SIZE));
}

/* A PTE-mapped THP is mapped by a leaf again. */
static void collapse_of_a_pte_mapped_thp(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);
	unsigned int round;

	for (round = 0; round < 16; round++) {
		step("round %u", round);
		ASSERT(!mprotect(p + round * PAGE_SIZE, PAGE_SIZE, PROT_READ));
		EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
		ASSERT(!mprotect(p + round * PAGE_SIZE, PAGE_SIZE,
				 PROT_READ | PROT_WRITE));
		EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, round + 1));
		fill(p, HPAGE_SIZE, round + 2);
		ASSERT(!madvise(p, HPAGE_SIZE, MADV_COLLAPSE));
		EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
		EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, round + 2));
	}
}

static void child_collapses(char *p)
{
	fill(p, PAGE_SIZE, 2);
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_COLLAPSE));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, PAGE_SIZE, 2));
	EXPECT_EQ(0, bad_words_at(p, p + PAGE_SIZE, HPAGE_SIZE - PAGE_SIZE, 1));
}

/* The child's page table maps one page of its own and 511 of the parent's. */
static void collapse_after_copy_on_write(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);

	in_child(child_collapses, p);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 1));
}

static void nohugepage_gives_small_pages(void)
{
	long alloc = vmstat("thp_fault_alloc");
	char *p = region_new(HPAGE_SIZE);

	ASSERT(!madvise(p, HPAGE_SIZE, MADV_NOHUGEPAGE));
	p[0] = 1;
	p[HPAGE_SIZE - 1] = 1;
	EXPECT_EQ(2 * PAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(alloc, vmstat("thp_fault_alloc"));
}

/* An existing THP stays what it is. */
static void nohugepage_leaves_a_thp_alone(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!madvise(p, HPAGE_SIZE, MADV_NOHUGEPAGE));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

/* khugepaged finds the range by itself; 30 s is a deadline, not a delay. */
static void khugepaged_collapses(void)
{
	char *p = region_small(HPAGE_SIZE, 1);
	struct timespec poll = { .tv_nsec = 1000000 };
	time_t deadline = time(NULL) + 30;

	ASSERT(!madvise(p, HPAGE_SIZE, MADV_HUGEPAGE));
	write_file(THP_SYSFS "khugepaged/defrag", "1");
	write_file(THP_SYSFS "khugepaged/alloc_sleep_millisecs", "1");
	write_file(THP_SYSFS "khugepaged/scan_sleep_millisecs", "1");
	while (ANON_HUGE_KB(p, HPAGE_SIZE) != HPAGE_KB &&
	       time(NULL) < deadline) {
		EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
		nanosleep(&poll, NULL);
	}
	write_file(THP_SYSFS "khugepaged/scan_sleep_millisecs", "4294967295");
	write_file(THP_SYSFS "khugepaged/defrag", "0");
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
}

const struct check madvise_checks[] = {
	CHECK(dontneed_whole_frees_the_thp),
	CHECK(dontneed_half_splits_the_leaf),
	CHECK(free_then_write_keeps_the_new_data),
	CHECK(free_then_reclaim_drops_the_data),
	CHECK(free_of_half_splits_the_folio),
	CHECK(collapse_of_small_pages),
	CHECK(collapse_fills_holes_with_zeroes),
	CHECK(collapse_of_a_pte_mapped_thp),
	CHECK(collapse_after_copy_on_write),
	CHECK(nohugepage_gives_small_pages),
	CHECK(nohugepage_leaves_a_thp_alone),
	CHECK(khugepaged_collapses),
	{}
};
