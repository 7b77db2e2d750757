// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: garbage in the struct pages of free pages, in place of what a
 * previous life may have left there. Whoever makes a folio of them must not
 * depend on it: see enum fake_zdev_poison for which part is whose.
 */
#include <linux/poison.h>

#include "fake_zone_device_internal.h"

/* An address that faults, with bit 0 clear */
#define FAKE_ZDEV_POISON_ADDR	(0xfa4e + POISON_POINTER_DELTA)

/* What zone_device_page_init() clears of flags, and nobody else */
#define FAKE_ZDEV_LOW_FLAGS	0xffUL

#define FAKE_ZDEV_STALE_FLAGS	(BIT(PG_active) | BIT(PG_workingset) | \
				 BIT(PG_reclaim) | BIT(PG_swapbacked) | \
				 BIT(PG_unevictable))

/* Fill the parts @mask of a free page. Context: any. */
void fake_zdev_poison_page(struct page *page, unsigned long mask)
{
	if (mask & FAKE_ZDEV_POISON_LOW_FLAGS)
		page->flags.f |= FAKE_ZDEV_LOW_FLAGS;
	if (mask & FAKE_ZDEV_POISON_HEAD)
		page->compound_info = (unsigned long)FAKE_ZDEV_POISON_ADDR | 1;
	if (mask & FAKE_ZDEV_POISON_MAPPING)
		page->mapping = (void *)FAKE_ZDEV_POISON_ADDR;
	if (mask & FAKE_ZDEV_POISON_INDEX)
		page->__folio_index = (unsigned long)FAKE_ZDEV_POISON_ADDR;
#ifdef NR_PAGES_IN_LARGE_FOLIO
	/* The field of the second page is reached through the first one. */
	if (mask & FAKE_ZDEV_POISON_NR_PAGES)
		((struct folio *)(page - 1))->_nr_pages = 0xfa4efa4e;
#endif
	if (mask & FAKE_ZDEV_POISON_DATA)
		page->zone_device_data = (void *)FAKE_ZDEV_POISON_ADDR;
	if (mask & FAKE_ZDEV_POISON_STALE_FLAGS)
		page->flags.f |= FAKE_ZDEV_STALE_FLAGS;
}

/**
 * fake_zdev_poison_free() - fill parts of all free pages with garbage
 * @zdev: device
 * @mask: which parts, a mask of enum fake_zdev_poison
 *
 * Once; fake_zdev_params.poison does it to each page that becomes free.
 *
 * Context: any; no folio of @zdev may be allocated or freed at the same time
 */
void fake_zdev_poison_free(struct fake_zdev *zdev, unsigned long mask)
{
	unsigned int c, order;

	for (c = 0; c < zdev->nr_chunks; c++) {
		struct fake_zdev_chunk *chunk = zdev->chunks[c];

		for (order = 0; order < FAKE_ZDEV_NR_ORDERS; order++) {
			unsigned long block, i;

			for_each_set_bit(block, chunk->free[order],
					 chunk->nr_pages >> order)
				for (i = 0; i < 1UL << order; i++)
					fake_zdev_poison_page(pfn_to_page(chunk->first_pfn +
									  (block << order) + i),
							      mask);
		}
	}
}
