// SPDX-License-Identifier: GPL-2.0
/* mprotect() of a THP, whole and in part, and mlock(). */
#include "thp_check.h"

#include <sys/mman.h>

#define RW	(PROT_READ | PROT_WRITE)

static void protect_read_only_and_back(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!mprotect(p, HPAGE_SIZE, PROT_READ));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(true, write_faults(p));
	EXPECT_EQ(true, write_faults(p + HPAGE_SIZE - 1));
	EXPECT_EQ(false, read_faults(p));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));

	ASSERT(!mprotect(p, HPAGE_SIZE, RW));
	EXPECT_EQ(false, write_faults(p));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
}

static void protect_none_and_back(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!mprotect(p, HPAGE_SIZE, PROT_NONE));
	EXPECT_EQ(true, read_faults(p));
	EXPECT_EQ(true, write_faults(p + HPAGE_SIZE - 1));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));

	ASSERT(!mprotect(p, HPAGE_SIZE, PROT_READ));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(true, write_faults(p));
	ASSERT(!mprotect(p, HPAGE_SIZE, RW));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
}

/* Every page of [p + from, p + to) takes @prot, every other one stays RW. */
static void protect_part(int prot, unsigned long from, unsigned long to)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);
	unsigned long offset;

	step("protection %d, pages %lu to %lu", prot, from / PAGE_SIZE,
	     to / PAGE_SIZE);
	ASSERT(!mprotect(p + from, to - from, prot));
	EXPECT_EQ(split + 1, vmstat("thp_split_pmd"));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));
	for (offset = 0; offset < HPAGE_SIZE; offset += PAGE_SIZE) {
		bool inside = offset >= from && offset < to;

		EXPECT_EQ(inside, write_faults(p + offset));
		EXPECT_EQ(inside && prot == PROT_NONE, read_faults(p + offset));
	}
	ASSERT(!mprotect(p + from, to - from, RW));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
	region_free(p, HPAGE_SIZE);
}

static void protect_parts_read_only(void)
{
	protect_part(PROT_READ, 0, PAGE_SIZE);
	protect_part(PROT_READ, HPAGE_SIZE / 4, HPAGE_SIZE / 2);
	protect_part(PROT_READ, HPAGE_SIZE - PAGE_SIZE, HPAGE_SIZE);
}

static void protect_parts_none(void)
{
	protect_part(PROT_NONE, 0, HPAGE_SIZE / 2);
	protect_part(PROT_NONE, 100 * PAGE_SIZE, 101 * PAGE_SIZE);
	protect_part(PROT_NONE, PAGE_SIZE, HPAGE_SIZE);
}

/* The huge zero folio under mprotect(): still copy on write afterwards. */
static void protect_huge_zero_folio(void)
{
	char *p = region_new(HPAGE_SIZE);

	EXPECT_EQ(0, p[0]);
	ASSERT(!mprotect(p, HPAGE_SIZE, PROT_READ));
	EXPECT_EQ(true, write_faults(p));
	ASSERT(!mprotect(p, HPAGE_SIZE, RW));
	EXPECT_EQ(0, nonzero_words(p, HPAGE_SIZE));
	p[0] = 1;
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(1, nonzero_words(p, HPAGE_SIZE));
}

static void mlock_keeps_the_leaf(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!mlock(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, smaps_kb(p, HPAGE_SIZE, "Locked"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	ASSERT(!munlock(p, HPAGE_SIZE));
	EXPECT_EQ(0, smaps_kb(p, HPAGE_SIZE, "Locked"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

static void mlock_of_half_splits_the_leaf(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(!mlock(p, HPAGE_SIZE / 2));
	EXPECT_EQ(split + 1, vmstat("thp_split_pmd"));
	EXPECT_EQ(HPAGE_KB / 2, smaps_kb(p, HPAGE_SIZE, "Locked"));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
}

static void mlock_populates_with_a_thp(void)
{
	char *p = region_new(HPAGE_SIZE);

	ASSERT(!mlock(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, smaps_kb(p, HPAGE_SIZE, "Locked"));
	EXPECT_EQ(0, nonzero_words(p, HPAGE_SIZE));
}

const struct check protect_checks[] = {
	CHECK(protect_read_only_and_back),
	CHECK(protect_none_and_back),
	CHECK(protect_parts_read_only),
	CHECK(protect_parts_none),
	CHECK(protect_huge_zero_folio),
	CHECK(mlock_keeps_the_leaf),
	CHECK(mlock_of_half_splits_the_leaf),
	CHECK(mlock_populates_with_a_thp),
	{}
};
