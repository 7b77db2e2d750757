/* SPDX-License-Identifier: GPL-2.0 */
/*
 * thp-check: does a plain process of this kernel get real transparent huge
 * pages, and do they keep its data through everything a process can do?
 *
 * A check is a function that runs in a child of its own. EXPECT_*() record a
 * mismatch and go on, ASSERT_*() end the check; both print what was expected
 * and what was found. Sizes are in bytes unless a name says kB.
 */
#ifndef THP_CHECK_H
#define THP_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/types.h>

/* asm-generic/mman-common.h; the C library of Debian 12 is older. */
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE	25
#endif

#define PAGE_SIZE	4096UL
#define HPAGE_SIZE	(2UL << 20)
#define HPAGE_NR	(HPAGE_SIZE / PAGE_SIZE)
#define HPAGE_KB	((long)(HPAGE_SIZE / 1024))
#define PAGE_KB		(PAGE_SIZE / 1024)

/* report.c: results of the running check */
struct check {
	const char *name;
	void (*fn)(void);
};

#define CHECK(n)	{ .name = #n, .fn = n }

void expect_eq(const char *file, int line, const char *what,
	       long long want, long long got);
void assert_true(const char *file, int line, const char *what, bool got);
void __attribute__((noreturn, format(printf, 1, 2))) skip(const char *fmt, ...);
void __attribute__((format(printf, 1, 2))) step(const char *fmt, ...);
int run_checks(const struct check *const *groups, int argc, char **argv);

#define EXPECT_EQ(want, got) \
	expect_eq(__FILE__, __LINE__, #got, (long long)(want), (long long)(got))
#define ASSERT(cond)	assert_true(__FILE__, __LINE__, #cond, cond)

/* region.c: memory of the checks, and what must be in it */

/*
 * An aligned, private anonymous mapping of @size bytes that is a VMA of its
 * own (no neighbour to merge with), not yet touched.
 */
char *region_new(size_t size);
/* The same, with every page written with pattern @seed and THPs asserted. */
char *region_thp(size_t size, unsigned int seed);
/* The same again, but of small pages. The VMA is MADV_NOHUGEPAGE. */
char *region_small(size_t size, unsigned int seed);
void region_free(char *p, size_t size);
/* Reserved, aligned address space to move a mapping to; PROT_NONE. */
char *region_hole(size_t size);

void fill(char *p, size_t size, unsigned int seed);
/* Words that differ from pattern @seed, as if [p, p + size) was filled at p. */
size_t bad_words(const char *p, size_t size, unsigned int seed);
/* The same for a part of a region that was filled from @base. */
size_t bad_words_at(const char *base, const char *p, size_t size,
		    unsigned int seed);
size_t nonzero_words(const char *p, size_t size);

/* Does an access to the byte raise SIGSEGV? */
bool write_faults(char *p);
bool read_faults(const char *p);

/* Run @fn(@arg) in a forked child to its end; its mismatches count here. */
void in_child(void (*fn)(char *), char *arg);
/* The two halves of in_child(), for a parent that acts meanwhile. */
void __attribute__((noreturn)) child_main(void (*fn)(char *), char *arg);
void child_reap(pid_t pid);

/*
 * peer.c: a forked child that takes turns with its parent.
 * peer_start() returns at the child's first peer_yield(), peer_step()
 * lets it run to the next; peer_end() lets it run to its end and reaps it.
 */
pid_t peer_start(void (*fn)(char *), char *arg);
void peer_step(void);
void peer_end(void);
void peer_yield(void);

/* swap.c: swap on a RAM disk of the guest; skips the check if there is none. */
void swap_on(void);
void swap_off(void);

/* state.c: what the kernel says about the memory */

/* Sum of a smaps field in kB over the VMAs that lie in [p, p + size). */
long smaps_kb(const char *p, size_t size, const char *field);
#define ANON_HUGE_KB(p, size)	smaps_kb(p, size, "AnonHugePages")
#define RSS_KB(p, size)		smaps_kb(p, size, "Rss")
#define SWAP_KB(p, size)	smaps_kb(p, size, "Swap")

/* A counter of /proc/vmstat. */
long vmstat(const char *name);

/* pfn of a present page, 0 if none is present. */
unsigned long pfn_of(const char *p);
bool page_swapped(const char *p);
/* Pages of [p, p + size) whose entry is a swap entry. */
size_t nr_swapped(const char *p, size_t size);
uint64_t page_flags(unsigned long pfn);
uint64_t page_mapcount(unsigned long pfn);
/* Is the 2 MiB at p one folio: aligned, contiguous pfns, head and tails? */
bool is_one_folio(const char *p);
/* Pages of [p, p + size) whose mapcount is not @want. */
size_t bad_mapcounts(const char *p, size_t size, uint64_t want);

/* From linux/kernel-page-flags.h, which a host may lack. */
#define KPF_COMPOUND_HEAD_BIT	15
#define KPF_COMPOUND_TAIL_BIT	16
#define KPF_THP_BIT		22
#define KPF_ZERO_PAGE_BIT	24

bool has_flag(unsigned long pfn, int bit);

void write_file(const char *path, const char *text);
#define THP_SYSFS "/sys/kernel/mm/transparent_hugepage/"

/* The groups, one file each. */
extern const struct check touch_checks[], fork_checks[], mapping_checks[];
extern const struct check protect_checks[], madvise_checks[], swap_checks[];
extern const struct check access_checks[], thread_checks[], split_checks[];

#endif /* THP_CHECK_H */
