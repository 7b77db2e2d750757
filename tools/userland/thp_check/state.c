// SPDX-License-Identifier: GPL-2.0
/* What the kernel says: smaps, vmstat, pagemap, kpageflags, kpagecount. */
#include "thp_check.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Documentation/admin-guide/mm/pagemap.rst */
#define PM_PRESENT	(1ULL << 63)
#define PM_SWAP		(1ULL << 62)
#define PM_PFN_MASK	((1ULL << 55) - 1)

long smaps_kb(const char *p, size_t size, const char *field)
{
	unsigned long start, end, from = (unsigned long)p;
	size_t len = strlen(field);
	bool inside = false;
	char line[512];
	long sum = 0;
	FILE *f;

	f = fopen("/proc/self/smaps", "re");
	ASSERT(f);
	while (fgets(line, sizeof(line), f)) {
		/* A field's name never looks like "hex-hex ". */
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			inside = start >= from && end <= from + size;
		else if (inside && !strncmp(line, field, len) &&
			 line[len] == ':')
			sum += strtol(line + len + 1, NULL, 10);
	}
	fclose(f);
	return sum;
}

long vmstat(const char *name)
{
	char line[128];
	long value = -1;
	size_t len = strlen(name);
	FILE *f;

	f = fopen("/proc/vmstat", "re");
	ASSERT(f);
	while (fgets(line, sizeof(line), f))
		if (!strncmp(line, name, len) && line[len] == ' ')
			value = strtol(line + len, NULL, 10);
	fclose(f);
	ASSERT(value >= 0);
	return value;
}

static uint64_t read_u64(const char *path, unsigned long index)
{
	uint64_t value;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT(fd >= 0);
	ASSERT(pread(fd, &value, sizeof(value),
		     index * sizeof(value)) == sizeof(value));
	close(fd);
	return value;
}

/* Read the pagemap entries of up to HPAGE_NR pages. */
static void read_pagemap(const char *p, uint64_t *entries, size_t nr)
{
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ASSERT(fd >= 0);
	ASSERT(pread(fd, entries, nr * sizeof(*entries),
		     (uintptr_t)p / PAGE_SIZE * sizeof(*entries)) ==
	       (ssize_t)(nr * sizeof(*entries)));
	close(fd);
}

unsigned long pfn_of(const char *p)
{
	uint64_t entry;

	read_pagemap(p, &entry, 1);
	return entry & PM_PRESENT ? entry & PM_PFN_MASK : 0;
}

bool page_swapped(const char *p)
{
	uint64_t entry;

	read_pagemap(p, &entry, 1);
	return entry & PM_SWAP;
}

size_t nr_swapped(const char *p, size_t size)
{
	uint64_t entries[HPAGE_NR];
	size_t i, nr, swapped = 0;

	for (; size; size -= nr * PAGE_SIZE, p += nr * PAGE_SIZE) {
		nr = size / PAGE_SIZE;
		if (nr > HPAGE_NR)
			nr = HPAGE_NR;
		read_pagemap(p, entries, nr);
		for (i = 0; i < nr; i++)
			swapped += !!(entries[i] & PM_SWAP);
	}
	return swapped;
}

uint64_t page_flags(unsigned long pfn)
{
	return read_u64("/proc/kpageflags", pfn);
}

uint64_t page_mapcount(unsigned long pfn)
{
	return read_u64("/proc/kpagecount", pfn);
}

bool has_flag(unsigned long pfn, int bit)
{
	return page_flags(pfn) & 1ULL << bit;
}

bool is_one_folio(const char *p)
{
	uint64_t entries[HPAGE_NR];
	unsigned long pfn;
	size_t i;

	read_pagemap(p, entries, HPAGE_NR);
	pfn = entries[0] & PM_PFN_MASK;
	if (!(entries[0] & PM_PRESENT) || pfn % HPAGE_NR)
		return false;
	for (i = 0; i < HPAGE_NR; i++) {
		if (!(entries[i] & PM_PRESENT) ||
		    (entries[i] & PM_PFN_MASK) != pfn + i ||
		    !has_flag(pfn + i, KPF_THP_BIT) ||
		    !has_flag(pfn + i, i ? KPF_COMPOUND_TAIL_BIT :
					   KPF_COMPOUND_HEAD_BIT))
			return false;
	}
	return true;
}

size_t bad_mapcounts(const char *p, size_t size, uint64_t want)
{
	uint64_t entries[HPAGE_NR];
	size_t i, nr, bad = 0;

	for (; size; size -= nr * PAGE_SIZE, p += nr * PAGE_SIZE) {
		nr = size / PAGE_SIZE;
		if (nr > HPAGE_NR)
			nr = HPAGE_NR;
		read_pagemap(p, entries, nr);
		for (i = 0; i < nr; i++)
			bad += !(entries[i] & PM_PRESENT) ||
			       page_mapcount(entries[i] & PM_PFN_MASK) != want;
	}
	return bad;
}

void write_file(const char *path, const char *text)
{
	int fd;

	step("write \"%s\" to %s", text, path);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT(fd >= 0);
	ASSERT(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
	close(fd);
	step("%s", "");
}
