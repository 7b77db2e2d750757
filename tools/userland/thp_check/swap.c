// SPDX-License-Identifier: GPL-2.0
/* Swap-out and swap-in of THPs, on a RAM disk of the guest. */
#include "thp_check.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <unistd.h>

#define SWAP_DEVICE	"/dev/ram0"
/* Enough for what a check swaps out, with room to spare. */
#define SWAP_MIN_SIZE	(32 * HPAGE_SIZE)

/* The on-disk header; the kernel's copy is not exported to programs. */
struct swap_header {
	char bootbits[1024];
	uint32_t version;
	uint32_t last_page;
	uint32_t nr_badpages;
	char uuid[16];
	char label[16];
	char padding[PAGE_SIZE - 1024 - 3 * 4 - 32 - 10];
	char magic[10];
} __attribute__((packed));

static_assert(sizeof(struct swap_header) == PAGE_SIZE, "header is one page");

void swap_on(void)
{
	static struct swap_header header = { .version = 1 };
	uint64_t size;
	int fd;

	memcpy(header.magic, "SWAPSPACE2", sizeof(header.magic));
	fd = open(SWAP_DEVICE, O_RDWR | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		skip("no %s: CONFIG_BLK_DEV_RAM is off", SWAP_DEVICE);
	ASSERT(fd >= 0);
	ASSERT(!ioctl(fd, BLKGETSIZE64, &size));
	step("brd.rd_size= of the kernel command line is %llu bytes",
	     (unsigned long long)size);
	ASSERT(size >= SWAP_MIN_SIZE);
	header.last_page = size / PAGE_SIZE - 1;
	ASSERT(write(fd, &header, sizeof(header)) == sizeof(header));
	ASSERT(!fsync(fd));
	close(fd);
	ASSERT(!swapon(SWAP_DEVICE, 0));
	step("%s", "");
}

void swap_off(void)
{
	ASSERT(!swapoff(SWAP_DEVICE));
}

static void expect_all_swapped(char *p, size_t size)
{
	EXPECT_EQ(size / PAGE_SIZE, nr_swapped(p, size));
	EXPECT_EQ(size / 1024, SWAP_KB(p, size));
	EXPECT_EQ(0, RSS_KB(p, size));
}

/* Whole THPs, or split ones if the kernel can't write a THP in one go. */
static void swap_whole_and_read_back(void)
{
	const size_t size = 8 * HPAGE_SIZE;
	long split, whole;
	char *p;

	swap_on();
	p = region_thp(size, 1);
	split = vmstat("thp_split_page");
	whole = vmstat("thp_swpout");
	ASSERT(!madvise(p, size, MADV_PAGEOUT));
	expect_all_swapped(p, size);
	EXPECT_EQ(8, vmstat("thp_split_page") - split +
		     vmstat("thp_swpout") - whole);
	EXPECT_EQ(0, bad_words(p, size, 1));
	EXPECT_EQ(size / 1024, RSS_KB(p, size));
	fill(p, size, 2);
	EXPECT_EQ(0, bad_words(p, size, 2));
	EXPECT_EQ(0, SWAP_KB(p, size));
	swap_off();
	EXPECT_EQ(0, bad_words(p, size, 2));
}

static void swap_whole_and_write_back(void)
{
	char *p;

	swap_on();
	p = region_thp(HPAGE_SIZE, 1);
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_PAGEOUT));
	expect_all_swapped(p, HPAGE_SIZE);
	fill(p + 9 * PAGE_SIZE, PAGE_SIZE, 2);
	EXPECT_EQ(0, bad_words(p, 9 * PAGE_SIZE, 1));
	EXPECT_EQ(0, bad_words(p + 9 * PAGE_SIZE, PAGE_SIZE, 2));
	EXPECT_EQ(0, bad_words_at(p, p + 10 * PAGE_SIZE,
				  HPAGE_SIZE - 10 * PAGE_SIZE, 1));
	swap_off();
}

static void swap_half(void)
{
	char *p;

	swap_on();
	p = region_thp(HPAGE_SIZE, 1);
	ASSERT(!madvise(p + HPAGE_SIZE / 4, HPAGE_SIZE / 2, MADV_PAGEOUT));
	EXPECT_EQ(0, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_NR / 2, nr_swapped(p, HPAGE_SIZE));
	EXPECT_EQ(HPAGE_NR / 2, nr_swapped(p + HPAGE_SIZE / 4, HPAGE_SIZE / 2));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(HPAGE_KB, RSS_KB(p, HPAGE_SIZE));
	swap_off();
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

static void swapoff_brings_everything_back(void)
{
	char *p;

	swap_on();
	p = region_thp(2 * HPAGE_SIZE, 1);
	ASSERT(!madvise(p, 2 * HPAGE_SIZE, MADV_PAGEOUT));
	expect_all_swapped(p, 2 * HPAGE_SIZE);
	swap_off();
	EXPECT_EQ(0, nr_swapped(p, 2 * HPAGE_SIZE));
	EXPECT_EQ(2 * HPAGE_KB, RSS_KB(p, 2 * HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, 2 * HPAGE_SIZE, 1));
}

static void child_writes_swapped(char *p)
{
	fill(p, HPAGE_SIZE / 2, 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE / 2, 2));
	EXPECT_EQ(0, bad_words_at(p, p + HPAGE_SIZE / 2, HPAGE_SIZE / 2, 1));
}

static void swap_then_fork(void)
{
	char *p;

	swap_on();
	p = region_thp(HPAGE_SIZE, 1);
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_PAGEOUT));
	expect_all_swapped(p, HPAGE_SIZE);
	in_child(child_writes_swapped, p);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	swap_off();
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

/* mremap(), mprotect() and MADV_DONTNEED meet swap entries of a former THP. */
static void swap_then_move_protect_and_drop(void)
{
	char *p, *to = region_hole(HPAGE_SIZE);

	swap_on();
	p = region_thp(HPAGE_SIZE, 1);
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_PAGEOUT));
	ASSERT(mremap(p, HPAGE_SIZE, HPAGE_SIZE, MREMAP_MAYMOVE | MREMAP_FIXED,
		      to) == to);
	expect_all_swapped(to, HPAGE_SIZE);
	EXPECT_EQ(true, read_faults(p));
	ASSERT(!mprotect(to, HPAGE_SIZE, PROT_READ));
	EXPECT_EQ(true, write_faults(to));
	EXPECT_EQ(0, bad_words(to, HPAGE_SIZE / 2, 1));
	ASSERT(!madvise(to + HPAGE_SIZE / 2, HPAGE_SIZE / 2, MADV_DONTNEED));
	EXPECT_EQ(0, nonzero_words(to + HPAGE_SIZE / 2, HPAGE_SIZE / 2));
	swap_off();
	EXPECT_EQ(0, bad_words(to, HPAGE_SIZE / 2, 1));
}

static void mlocked_thp_is_not_swapped(void)
{
	char *p;

	swap_on();
	p = region_thp(HPAGE_SIZE, 1);
	ASSERT(!mlock(p, HPAGE_SIZE));
	EXPECT_EQ(-1, madvise(p, HPAGE_SIZE, MADV_PAGEOUT));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, nr_swapped(p, HPAGE_SIZE));
	swap_off();
}

/* Round after round at the same addresses: leaf, swap entries, PTEs, leaf. */
static void swap_and_collapse_rounds(void)
{
	unsigned int round;
	char *p;

	swap_on();
	p = region_thp(HPAGE_SIZE, 0);
	for (round = 0; round < 8; round++) {
		step("round %u", round);
		ASSERT(!madvise(p, HPAGE_SIZE, MADV_PAGEOUT));
		expect_all_swapped(p, HPAGE_SIZE);
		EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, round));
		fill(p, HPAGE_SIZE, round + 1);
		ASSERT(!madvise(p, HPAGE_SIZE, MADV_COLLAPSE));
		EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
		EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, round + 1));
	}
	swap_off();
}

const struct check swap_checks[] = {
	CHECK(swap_whole_and_read_back),
	CHECK(swap_whole_and_write_back),
	CHECK(swap_half),
	CHECK(swapoff_brings_everything_back),
	CHECK(swap_then_fork),
	CHECK(swap_then_move_protect_and_drop),
	CHECK(mlocked_thp_is_not_swapped),
	CHECK(swap_and_collapse_rounds),
	{}
};
