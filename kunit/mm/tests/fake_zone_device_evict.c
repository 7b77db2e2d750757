// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: getting rid of memory, whoever has it mapped, as a driver does
 * when it is unbound: migrate_device_range(), migrate_device_pages() and
 * migrate_device_finalize(). There is no mm, no VMA and no mmap lock.
 */
#include <linux/highmem.h>
#include <linux/slab.h>

#include "fake_zone_device_internal.h"

/* A locked folio of system memory for the folio at the head of which @spage is */
static struct folio *fake_zdev_new_ram(struct fake_zdev *zdev, unsigned int order)
{
	struct folio *folio;
	bool fails = fake_zdev_decide(zdev, FAKE_ZDEV_POINT_RAM_ALLOC);

	if (order)
		fails |= fake_zdev_decide(zdev, FAKE_ZDEV_POINT_RAM_ALLOC_LARGE);
	if (fails)
		return NULL;
	folio = folio_alloc(order ? GFP_TRANSHUGE_LIGHT : GFP_HIGHUSER_MOVABLE, order);
	if (!folio)
		return NULL;
	if (fake_zdev_decide(zdev, FAKE_ZDEV_POINT_LOCK)) {
		folio_put(folio);
		return NULL;
	}
	folio_lock(folio);
	return folio;
}

/* A destination for the folio of @spage with its data in it. Return: its dst entry, or 0 */
static unsigned long fake_zdev_evict_folio(struct fake_zdev *zdev, struct page *spage)
{
	struct folio *src = page_folio(spage), *dst;
	unsigned int order = folio_order(src);
	struct fake_zdev_event event;
	unsigned long i;

	dst = fake_zdev_new_ram(zdev, order);
	if (!dst)
		return 0;
	if (fake_zdev_decide(zdev, FAKE_ZDEV_POINT_COPY)) {
		fake_zdev_release(dst);
		return 0;
	}
	for (i = 0; i < 1UL << order; i++)
		memcpy_to_page(folio_page(dst, i), 0,
			       fake_zdev_data(zdev, folio_page(src, i)), PAGE_SIZE);
	fake_zdev_event_folio(&event, zdev, FAKE_ZDEV_COPY_TO_RAM, src);
	fake_zdev_log(zdev, &event);
	return migrate_pfn(folio_pfn(dst)) | (order ? MIGRATE_PFN_COMPOUND : 0);
}

/* Between the phases, with @pinned for the sources that somebody holds */
static long fake_zdev_evict_range(struct fake_zdev *zdev, unsigned long *src,
				  unsigned long *dst, struct folio **pinned, unsigned long nr)
{
	unsigned long i;
	long moved = 0;

	for (i = 0; i < nr; i++) {
		struct page *spage = migrate_pfn_to_page(src[i]);

		if (!spage || !(src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		if (fake_zdev_decide(zdev, FAKE_ZDEV_POINT_PIN)) {
			pinned[i] = page_folio(spage);
			folio_get(pinned[i]);
		}
		dst[i] = fake_zdev_evict_folio(zdev, spage);
	}
	migrate_device_pages(src, dst, nr);
	for (i = 0; i < nr; i++) {
		if (pinned[i])
			folio_put(pinned[i]);
		if ((src[i] & MIGRATE_PFN_MIGRATE) && (dst[i] & MIGRATE_PFN_VALID))
			moved += folio_nr_pages(page_folio(migrate_pfn_to_page(dst[i])));
	}
	migrate_device_finalize(src, dst, nr);
	return moved;
}

/**
 * fake_zdev_evict() - migrate pages of a device to system memory, whoever has them
 * @zdev: device
 * @first: index of the first page
 * @nr: number of pages, all in one chunk
 *
 * Each folio goes to a folio of its own order, or stays: migrate_device_pages()
 * splits none. What can fail is what can fail on the way of
 * fake_zdev_migrate_to_ram(), see enum fake_zdev_point.
 *
 * Context: process context, no mmap lock and no page lock held
 * Return: number of pages that moved, or -ENOMEM.
 */
long fake_zdev_evict(struct fake_zdev *zdev, unsigned long first, unsigned long nr)
{
	unsigned long *src = kvcalloc(nr, sizeof(*src), GFP_KERNEL);
	unsigned long *dst = kvcalloc(nr, sizeof(*dst), GFP_KERNEL);
	struct folio **pinned = kvcalloc(nr, sizeof(*pinned), GFP_KERNEL);
	long ret = -ENOMEM;

	if (src && dst && pinned) {
		migrate_device_range(src, page_to_pfn(fake_zdev_page(zdev, first)), nr);
		ret = fake_zdev_evict_range(zdev, src, dst, pinned, nr);
	}
	kvfree(src);
	kvfree(dst);
	kvfree(pinned);
	return ret;
}
