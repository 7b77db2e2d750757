// SPDX-License-Identifier: GPL-2.0
/* First touch: a write, a read, the kernel itself, too small a VMA. */
#include "thp_check.h"

#include <sys/mman.h>

static void touch_write_maps_one_thp(void)
{
	long before = vmstat("thp_fault_alloc");
	char *p = region_new(HPAGE_SIZE);

	EXPECT_EQ(0, RSS_KB(p, HPAGE_SIZE));
	p[HPAGE_SIZE / 2 + 123] = 1;
	EXPECT_EQ(before + 1, vmstat("thp_fault_alloc"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 1));
	EXPECT_EQ(1, nonzero_words(p, HPAGE_SIZE));
	fill(p, HPAGE_SIZE, 1);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(before + 1, vmstat("thp_fault_alloc"));
}

static void touch_write_many(void)
{
	const size_t size = 64 * HPAGE_SIZE;
	long before = vmstat("thp_fault_alloc");
	char *p = region_thp(size, 2);
	size_t i;

	EXPECT_EQ(before + 64, vmstat("thp_fault_alloc"));
	EXPECT_EQ(size / 1024, RSS_KB(p, size));
	for (i = 0; i < 64; i++)
		EXPECT_EQ(true, is_one_folio(p + i * HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, size, 2));
}

static void touch_read_maps_huge_zero_folio(void)
{
	long before = vmstat("thp_fault_alloc");
	char *p = region_new(HPAGE_SIZE);
	unsigned long pfn, last;

	EXPECT_EQ(0, nonzero_words(p, HPAGE_SIZE));
	EXPECT_EQ(before, vmstat("thp_fault_alloc"));
	EXPECT_EQ(0, RSS_KB(p, HPAGE_SIZE));
	pfn = pfn_of(p);
	last = pfn_of(p + HPAGE_SIZE - PAGE_SIZE);
	ASSERT(pfn);
	EXPECT_EQ(0, pfn % HPAGE_NR);
	EXPECT_EQ(pfn + HPAGE_NR - 1, last);
	EXPECT_EQ(true, has_flag(pfn, KPF_THP_BIT));
	EXPECT_EQ(true, has_flag(pfn, KPF_ZERO_PAGE_BIT));
}

static void touch_write_replaces_huge_zero_folio(void)
{
	long before = vmstat("thp_fault_alloc");
	char *p = region_new(HPAGE_SIZE), *q = region_new(HPAGE_SIZE);
	unsigned long zero;

	EXPECT_EQ(0, p[0] | q[0]);
	zero = pfn_of(p);
	EXPECT_EQ(zero, pfn_of(q));
	p[5 * PAGE_SIZE] = 1;
	EXPECT_EQ(before + 1, vmstat("thp_fault_alloc"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));
	EXPECT_EQ(1, nonzero_words(p, HPAGE_SIZE));
	/* The other mapping of the zero folio saw nothing of it. */
	EXPECT_EQ(zero, pfn_of(q));
	EXPECT_EQ(0, nonzero_words(q, HPAGE_SIZE));
}

static void touch_partial_unmap_of_huge_zero_folio(void)
{
	char *p = region_new(HPAGE_SIZE);

	EXPECT_EQ(0, p[0]);
	ASSERT(!munmap(p + 8 * PAGE_SIZE, PAGE_SIZE));
	EXPECT_EQ(true, read_faults(p + 8 * PAGE_SIZE));
	p[7 * PAGE_SIZE] = 1;
	p[9 * PAGE_SIZE] = 1;
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(2 * PAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(1, nonzero_words(p, 8 * PAGE_SIZE));
	EXPECT_EQ(1, nonzero_words(p + 9 * PAGE_SIZE,
				   HPAGE_SIZE - 9 * PAGE_SIZE));
}

/* 2 MiB that no aligned 2 MiB fits into. */
static void touch_unaligned_vma_gets_small_pages(void)
{
	long before = vmstat("thp_fault_alloc");
	char *p = region_new(2 * HPAGE_SIZE);

	ASSERT(!munmap(p, PAGE_SIZE));
	ASSERT(!munmap(p + HPAGE_SIZE + PAGE_SIZE, HPAGE_SIZE - PAGE_SIZE));
	p += PAGE_SIZE;
	fill(p, HPAGE_SIZE, 3);
	EXPECT_EQ(before, vmstat("thp_fault_alloc"));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 3));
}

static void touch_unmap_frees_everything(void)
{
	long pages = vmstat("nr_anon_transparent_hugepages");
	char *p = region_thp(8 * HPAGE_SIZE, 4);

	EXPECT_EQ(pages + 8, vmstat("nr_anon_transparent_hugepages"));
	region_free(p, 8 * HPAGE_SIZE);
	EXPECT_EQ(pages, vmstat("nr_anon_transparent_hugepages"));
	EXPECT_EQ(true, read_faults(p));
}

const struct check touch_checks[] = {
	CHECK(touch_write_maps_one_thp),
	CHECK(touch_write_many),
	CHECK(touch_read_maps_huge_zero_folio),
	CHECK(touch_write_replaces_huge_zero_folio),
	CHECK(touch_partial_unmap_of_huge_zero_folio),
	CHECK(touch_unaligned_vma_gets_small_pages),
	CHECK(touch_unmap_frees_everything),
	{}
};
