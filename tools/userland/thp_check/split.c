// SPDX-License-Identifier: GPL-2.0
/* Splitting the folio itself, through the kernel's debugfs file. */
#include "thp_check.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SPLIT_FILE	"/sys/kernel/debug/split_huge_pages"

static void split_to(char *p, unsigned int order)
{
	char command[96];
	int fd, len;

	len = snprintf(command, sizeof(command), "%d,0x%lx,0x%lx,%u", getpid(),
		       (unsigned long)p, (unsigned long)p + HPAGE_SIZE, order);
	fd = open(SPLIT_FILE, O_WRONLY | O_CLOEXEC);
	ASSERT(fd >= 0);
	ASSERT(write(fd, command, len) == len);
	close(fd);
}

/* Pages that are not where a folio of @order puts a head or a tail. */
static size_t bad_pages(char *p, unsigned int order)
{
	size_t bad = 0, i;

	for (i = 0; i < HPAGE_NR; i++) {
		unsigned long pfn = pfn_of(p + i * PAGE_SIZE);
		bool first = !(i & ((1UL << order) - 1));

		bad += has_flag(pfn, KPF_COMPOUND_HEAD_BIT) != (order && first);
		bad += has_flag(pfn, KPF_COMPOUND_TAIL_BIT) != !first;
	}
	return bad;
}

static void child_keeps_old_data(char *p)
{
	peer_yield();
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

/* Split a THP that is mapped by a leaf, here and in a child. */
static void split_order(unsigned int order)
{
	long split = vmstat("thp_split_page");
	char *p = region_thp(HPAGE_SIZE, 1);
	unsigned long pfn = pfn_of(p);

	step("to order %u", order);
	peer_start(child_keeps_old_data, p);
	split_to(p, order);
	EXPECT_EQ(split + 1, vmstat("thp_split_page"));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	EXPECT_EQ(pfn, pfn_of(p));
	EXPECT_EQ(pfn + HPAGE_NR - 1, pfn_of(p + HPAGE_SIZE - PAGE_SIZE));
	EXPECT_EQ(0, bad_pages(p, order));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 2));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	fill(p, HPAGE_SIZE, 2);
	peer_end();
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
	EXPECT_EQ(0, bad_mapcounts(p, HPAGE_SIZE, 1));
	region_free(p, HPAGE_SIZE);
}

static void split_folio_to_every_order(void)
{
	unsigned int order;

	/* Anonymous folios of order 1 do not exist. */
	for (order = 0; order <= 8; order++)
		if (order != 1)
			split_order(order);
}

static void split_folio_again_and_collapse(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);

	split_to(p, 4);
	EXPECT_EQ(0, bad_pages(p, 4));
	split_to(p, 2);
	EXPECT_EQ(0, bad_pages(p, 2));
	split_to(p, 0);
	EXPECT_EQ(0, bad_pages(p, 0));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_COLLAPSE));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(true, is_one_folio(p));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

const struct check split_checks[] = {
	CHECK(split_folio_to_every_order),
	CHECK(split_folio_again_and_collapse),
	{}
};
