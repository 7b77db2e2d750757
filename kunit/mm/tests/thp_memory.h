/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of what processes and drivers do to memory: which page has which data,
 * whom it is shared with, and where it is. It knows nothing of page tables,
 * folios or reference counts, and calls nothing of mm/.
 */
#ifndef _THP_MEMORY_H
#define _THP_MEMORY_H

#include <linux/bits.h>
#include <linux/mm.h>

#include "thp_step.h"

/* The address space: that many PMDs, of which the last has no VMA at first */
#define THP_MEMORY_SLOTS		3
#define THP_MEMORY_PAGES		(THP_MEMORY_SLOTS * HPAGE_PMD_NR)

/* A parent, and at most one child */
#define THP_MEMORY_MMS		2

/* Pages that each device has */
#define THP_MEMORY_CAPACITY	(4 * HPAGE_PMD_NR)

/* Frame 0 is that of pages that nobody has touched. */
#define THP_MEMORY_FRAMES	(1 + THP_MEMORY_MMS * THP_MEMORY_PAGES)

/*
 * Where a page is, or may be, in a mask. Nowhere, too, is a page that the zero
 * page is mapped for.
 */
#define THP_PLACE_NOWHERE	BIT(0)
#define THP_PLACE_RAM		BIT(1)
#define THP_PLACE_DEVICE	BIT(2)
#define THP_PLACE_PEER		BIT(3)

/**
 * struct thp_memory_page - one page of the address space of one mm
 * @vma: it is mapped by a VMA
 * @writable: that VMA is writable
 * @by_pmd: as was seen after the last step: its entry is a PMD
 * @appears: for pages that nobody has touched: where the step may have put one
 * @frame: the frame that it has, 0: none, it is full of zeroes
 */
struct thp_memory_page {
	bool vma;
	bool writable;
	bool by_pmd;
	u8 appears;
	u16 frame;
};

/**
 * struct thp_memory_frame - a page of memory
 * @users: pages of an address space that have it; 0: the frame is free
 * @pmds: as was seen after the last step: those of them whose entry is a PMD
 * @places: where it may be after the step
 * @version: which data it has; 0: zeroes
 * @loose: after the step, users may each have a page of zeroes of their own
 * @page: scratch of who compares the model with the kernel
 */
struct thp_memory_frame {
	u8 users;
	u8 pmds;
	u8 places;
	u32 version;
	bool loose;
	const void *page;
};

/**
 * struct thp_memory - everything
 * @pages: the address spaces
 * @frames: the memory; frames[0] is not used
 * @has_child: the second address space is there
 * @versions: versions in use so far
 * @last_frame: the frame that was taken last
 */
struct thp_memory {
	struct thp_memory_page pages[THP_MEMORY_MMS][THP_MEMORY_PAGES];
	struct thp_memory_frame frames[THP_MEMORY_FRAMES];
	bool has_child;
	u32 versions;
	u16 last_frame;
};

void thp_memory_init(struct thp_memory *m);
bool thp_memory_allows(const struct thp_memory *m, const struct thp_step *step);
const char *thp_memory_known_crash(const struct thp_memory *m, const struct thp_step *step);
void thp_memory_begin(struct thp_memory *m);
unsigned int thp_memory_apply(struct thp_memory *m, const struct thp_step *step, bool done);
u16 thp_memory_new_frame(struct thp_memory *m, u8 places, u32 version);
void thp_memory_forget(struct thp_memory *m, unsigned int mm, unsigned int i);

#endif /* _THP_MEMORY_H */
