// SPDX-License-Identifier: GPL-2.0
/* munmap() and mremap() of a THP, whole and in part. */
#include "thp_check.h"

#include <sys/mman.h>

struct range {
	unsigned long from, to;
};

/* Unmap a part: the rest keeps its data, the hole faults, then reads zero. */
static void unmap_part(struct range r)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	step("munmap pages %lu to %lu", r.from / PAGE_SIZE, r.to / PAGE_SIZE);
	ASSERT(!munmap(p + r.from, r.to - r.from));
	EXPECT_EQ(split + 1, vmstat("thp_split_pmd"));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ((HPAGE_SIZE - (r.to - r.from)) / 1024, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, read_faults(p + r.from));
	EXPECT_EQ(true, read_faults(p + r.to - 1));
	EXPECT_EQ(0, bad_words(p, r.from, 1));
	EXPECT_EQ(0, bad_words_at(p, p + r.to, HPAGE_SIZE - r.to, 1));
	EXPECT_EQ(0, bad_mapcounts(p, r.from, 1));
	EXPECT_EQ(0, bad_mapcounts(p + r.to, HPAGE_SIZE - r.to, 1));

	ASSERT(mmap(p + r.from, r.to - r.from, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) ==
	       p + r.from);
	EXPECT_EQ(0, nonzero_words(p + r.from, r.to - r.from));
	fill(p + r.from, r.to - r.from, 2);
	EXPECT_EQ(0, bad_words(p + r.from, r.to - r.from, 2));
	EXPECT_EQ(0, bad_words(p, r.from, 1));
	EXPECT_EQ(0, bad_words_at(p, p + r.to, HPAGE_SIZE - r.to, 1));
	region_free(p, HPAGE_SIZE);
}

static void munmap_parts(void)
{
	static const struct range ranges[] = {
		{ 0, PAGE_SIZE },
		{ 0, HPAGE_SIZE / 2 },
		{ HPAGE_SIZE / 4, HPAGE_SIZE / 2 },
		{ 100 * PAGE_SIZE, 101 * PAGE_SIZE },
		{ HPAGE_SIZE / 2, HPAGE_SIZE },
		{ HPAGE_SIZE - PAGE_SIZE, HPAGE_SIZE },
		{ PAGE_SIZE, HPAGE_SIZE },
		{ 0, HPAGE_SIZE - PAGE_SIZE },
	};
	unsigned int i;

	for (i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
		unmap_part(ranges[i]);
}

/* A whole THP goes at once, and takes no neighbour with it. */
static void munmap_middle_of_three(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(3 * HPAGE_SIZE, 1);

	ASSERT(!munmap(p + HPAGE_SIZE, HPAGE_SIZE));
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
	EXPECT_EQ(2 * HPAGE_KB, ANON_HUGE_KB(p, 3 * HPAGE_SIZE));
	EXPECT_EQ(true, read_faults(p + HPAGE_SIZE));
	EXPECT_EQ(true, read_faults(p + 2 * HPAGE_SIZE - 1));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(0, bad_words_at(p, p + 2 * HPAGE_SIZE, HPAGE_SIZE, 1));
}

/* From the middle of one THP to the middle of the next. */
static void munmap_across_two(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(2 * HPAGE_SIZE, 1);

	ASSERT(!munmap(p + HPAGE_SIZE / 2, HPAGE_SIZE));
	EXPECT_EQ(split + 2, vmstat("thp_split_pmd"));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, 2 * HPAGE_SIZE));
	EXPECT_EQ(true, read_faults(p + HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE / 2, 1));
	EXPECT_EQ(0, bad_words_at(p, p + HPAGE_SIZE + HPAGE_SIZE / 2,
				  HPAGE_SIZE / 2, 1));
}

/* Move to @to; the data must be there and the old place must be gone. */
static void move(char *p, char *to, size_t size)
{
	ASSERT(mremap(p, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to);
	EXPECT_EQ(true, read_faults(p));
	EXPECT_EQ(true, read_faults(p + size - 1));
	EXPECT_EQ(0, bad_words(to, size, 1));
}

static void mremap_aligned_moves_the_leaf(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1), *to = region_hole(HPAGE_SIZE);
	unsigned long pfn = pfn_of(p);

	move(p, to, HPAGE_SIZE);
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(to, HPAGE_SIZE));
	EXPECT_EQ(pfn, pfn_of(to));
	EXPECT_EQ(true, is_one_folio(to));
	fill(to, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(to, HPAGE_SIZE, 2));
}

static void mremap_unaligned_moves_ptes(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1), *to = region_hole(2 * HPAGE_SIZE);

	to += 3 * PAGE_SIZE;
	move(p, to, HPAGE_SIZE);
	EXPECT_EQ(split + 1, vmstat("thp_split_pmd"));
	EXPECT_EQ(0, ANON_HUGE_KB(to, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, RSS_KB(to, HPAGE_SIZE));
	fill(to, HPAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(to, HPAGE_SIZE, 2));
}

static void mremap_of_several(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(4 * HPAGE_SIZE, 1);
	char *to = region_hole(4 * HPAGE_SIZE);

	move(p, to, 4 * HPAGE_SIZE);
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
	EXPECT_EQ(4 * HPAGE_KB, ANON_HUGE_KB(to, 4 * HPAGE_SIZE));
}

static void mremap_of_the_middle(void)
{
	const unsigned long from = HPAGE_SIZE / 4, size = HPAGE_SIZE / 2;
	char *p = region_thp(HPAGE_SIZE, 1), *to = region_hole(HPAGE_SIZE);

	ASSERT(mremap(p + from, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
		      to) == to);
	EXPECT_EQ(0, bad_words_at(p, p, from, 1));
	EXPECT_EQ(true, read_faults(p + from));
	EXPECT_EQ(true, read_faults(p + from + size - 1));
	EXPECT_EQ(0, bad_words_at(p, p + from + size, HPAGE_SIZE - from - size,
				  1));
	EXPECT_EQ(0, bad_words_at(to - from, to, size, 1));
	EXPECT_EQ(HPAGE_KB / 2, RSS_KB(to, size));
	EXPECT_EQ(HPAGE_KB / 2, RSS_KB(p, HPAGE_SIZE));
}

static void mremap_dontunmap(void)
{
	char *p = region_thp(HPAGE_SIZE, 1), *to = region_hole(HPAGE_SIZE);

	ASSERT(mremap(p, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE |
		      MREMAP_FIXED | MREMAP_DONTUNMAP, to) == to);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(to, HPAGE_SIZE));
	EXPECT_EQ(0, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(to, HPAGE_SIZE, 1));
	/* The old place is mapped and empty. */
	EXPECT_EQ(0, nonzero_words(p, HPAGE_SIZE));
	fill(p, HPAGE_SIZE, 2);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
	EXPECT_EQ(0, bad_words(to, HPAGE_SIZE, 1));
}

static void mremap_shrinks(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(HPAGE_SIZE, 1);

	ASSERT(mremap(p, HPAGE_SIZE, HPAGE_SIZE / 2, 0) == p);
	EXPECT_EQ(split + 1, vmstat("thp_split_pmd"));
	EXPECT_EQ(HPAGE_KB / 2, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE / 2, 1));
	EXPECT_EQ(true, read_faults(p + HPAGE_SIZE / 2));
}

/* The same addresses, leaf and PTEs by turns: no stale mapping may stay. */
static void mremap_back_and_forth(void)
{
	char *p = region_thp(HPAGE_SIZE, 0), *to = region_hole(2 * HPAGE_SIZE);
	unsigned int i;

	for (i = 0; i < 32; i++) {
		char *dest = to + (i & 1) * PAGE_SIZE;

		step("round %u", i);
		ASSERT(mremap(p, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE |
			      MREMAP_FIXED, dest) == dest);
		EXPECT_EQ(0, bad_words(dest, HPAGE_SIZE, i));
		fill(dest, HPAGE_SIZE, i + 1);
		ASSERT(mremap(dest, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE |
			      MREMAP_FIXED, p) == p);
		EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, i + 1));
		EXPECT_EQ(true, read_faults(dest));
		ASSERT(!madvise(p, HPAGE_SIZE, MADV_COLLAPSE));
		EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	}
}

const struct check mapping_checks[] = {
	CHECK(munmap_parts),
	CHECK(munmap_middle_of_three),
	CHECK(munmap_across_two),
	CHECK(mremap_aligned_moves_the_leaf),
	CHECK(mremap_unaligned_moves_ptes),
	CHECK(mremap_of_several),
	CHECK(mremap_of_the_middle),
	CHECK(mremap_dontunmap),
	CHECK(mremap_shrinks),
	CHECK(mremap_back_and_forth),
	{}
};
