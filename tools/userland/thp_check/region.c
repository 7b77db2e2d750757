// SPDX-License-Identifier: GPL-2.0
/* Memory of the checks: regions, patterns, probing with a signal handler. */
#include "thp_check.h"

#include <setjmp.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>

/* Reserve @size bytes, aligned, with a PROT_NONE guard of 2 MiB around. */
char *region_hole(size_t size)
{
	size_t total = size + 3 * HPAGE_SIZE;
	uintptr_t start;
	char *p;

	p = mmap(NULL, total, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	ASSERT(p != MAP_FAILED);
	start = ((uintptr_t)p + 2 * HPAGE_SIZE - 1) & ~(HPAGE_SIZE - 1);
	return (char *)start;
}

char *region_new(size_t size)
{
	char *p = region_hole(size);

	ASSERT(mmap(p, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == p);
	return p;
}

char *region_thp(size_t size, unsigned int seed)
{
	char *p = region_new(size);

	fill(p, size, seed);
	ASSERT(ANON_HUGE_KB(p, size) == (long)(size / 1024));
	return p;
}

char *region_small(size_t size, unsigned int seed)
{
	char *p = region_new(size);

	ASSERT(!madvise(p, size, MADV_NOHUGEPAGE));
	fill(p, size, seed);
	ASSERT(ANON_HUGE_KB(p, size) == 0);
	ASSERT(RSS_KB(p, size) == (long)(size / 1024));
	return p;
}

void region_free(char *p, size_t size)
{
	ASSERT(!munmap(p, size));
}

/* The word at @offset of a region: no two words of a 64 GiB region agree. */
static uint64_t word(size_t offset, unsigned int seed)
{
	return (uint64_t)(seed + 1) << 36 | offset;
}

void fill(char *p, size_t size, unsigned int seed)
{
	uint64_t *w = (uint64_t *)p;
	size_t i;

	for (i = 0; i < size / sizeof(*w); i++)
		w[i] = word(i * sizeof(*w), seed);
}

size_t bad_words_at(const char *base, const char *p, size_t size,
		    unsigned int seed)
{
	const uint64_t *w = (const uint64_t *)p;
	size_t i, bad = 0;

	for (i = 0; i < size / sizeof(*w); i++)
		bad += w[i] != word(p - base + i * sizeof(*w), seed);
	return bad;
}

size_t bad_words(const char *p, size_t size, unsigned int seed)
{
	return bad_words_at(p, p, size, seed);
}

size_t nonzero_words(const char *p, size_t size)
{
	const uint64_t *w = (const uint64_t *)p;
	size_t i, bad = 0;

	for (i = 0; i < size / sizeof(*w); i++)
		bad += !!w[i];
	return bad;
}

static sigjmp_buf probe_env;

static void probe_handler(int sig)
{
	siglongjmp(probe_env, sig);
}

static bool faults(char *p, bool write)
{
	struct sigaction new = { .sa_handler = probe_handler }, old;
	volatile char *byte = p;
	volatile bool result = true;

	ASSERT(!sigaction(SIGSEGV, &new, &old));
	if (!sigsetjmp(probe_env, 1)) {
		char value = *byte;

		if (write)
			*byte = value;
		result = false;
	}
	ASSERT(!sigaction(SIGSEGV, &old, NULL));
	return result;
}

bool write_faults(char *p)
{
	return faults(p, true);
}

bool read_faults(const char *p)
{
	return faults((char *)p, false);
}
