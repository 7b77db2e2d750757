// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: is the pool what it must be, and do the struct pages agree?
 */
#include <linux/bitmap.h>
#include <linux/page-flags.h>

#include "fake_zone_device_internal.h"

/* Errors found so far, and the place for a description of the first one */
struct fake_zdev_findings {
	unsigned long nr;
	char *why;
	size_t size;
};

static __printf(2, 3) void fake_zdev_found(struct fake_zdev_findings *found,
					   const char *fmt, ...)
{
	va_list args;

	if (found->nr++ || !found->why)
		return;
	va_start(args, fmt);
	vsnprintf(found->why, found->size, fmt, args);
	va_end(args);
}

/* Order of the free block that starts with page @i, or -1 */
static int fake_zdev_free_order(const struct fake_zdev_chunk *chunk, unsigned long i)
{
	int order;

	for (order = HPAGE_PMD_ORDER; order >= 0; order--)
		if (IS_ALIGNED(i, 1UL << order) && test_bit(i >> order, chunk->free[order]))
			return order;
	return -1;
}

static void fake_zdev_check_free_block(const struct fake_zdev_chunk *chunk, unsigned long i,
				       int order, struct fake_zdev_findings *found)
{
	unsigned long n;

	if (order < HPAGE_PMD_ORDER && test_bit((i >> order) ^ 1, chunk->free[order]))
		fake_zdev_found(found, "page %lu: free block of order %d is not merged",
				chunk->first_idx + i, order);
	for (n = i; n < i + (1UL << order); n++) {
		int refs = page_ref_count(pfn_to_page(chunk->first_pfn + n));

		if (refs)
			fake_zdev_found(found, "page %lu: free, but refcount is %d",
					chunk->first_idx + n, refs);
	}
}

static void fake_zdev_check_live_block(const struct fake_zdev_chunk *chunk, unsigned long i,
				       int order, struct fake_zdev_findings *found)
{
	const struct folio *folio = (struct folio *)pfn_to_page(chunk->first_pfn + i);

	if (!folio_ref_count(folio))
		fake_zdev_found(found, "page %lu: in use, but refcount is 0",
				chunk->first_idx + i);
	/* A page that is not the first one of a folio has no order to look at. */
	if (PageTail(&folio->page))
		fake_zdev_found(found, "page %lu: in use, but not the head of a folio",
				chunk->first_idx + i);
	/* Without the callback the pool has not been told of splits. */
	else if (!chunk->zdev->params.no_folio_split && folio_order(folio) != order)
		fake_zdev_found(found, "page %lu: folio of order %u in a block of order %d",
				chunk->first_idx + i, folio_order(folio), order);
}

/*
 * Every page is in exactly one block, free or in use: step from block to block,
 * and count, so that blocks inside of other blocks show as a difference to the
 * number of all that are marked.
 */
static void fake_zdev_check_chunk(const struct fake_zdev_chunk *chunk,
				  struct fake_zdev_findings *found)
{
	unsigned long nr_free_blocks = 0, nr_live_blocks = 0, nr_free = 0;
	unsigned long i = 0, marked = 0;
	unsigned int order;

	while (i < chunk->nr_pages) {
		int free = fake_zdev_free_order(chunk, i);
		int live = chunk->live[i];

		if (free < 0 && live < 0) {
			fake_zdev_found(found, "page %lu: in no block", chunk->first_idx + i);
			i++;
		} else if (free >= 0 && live >= 0) {
			fake_zdev_found(found, "page %lu: free and in use", chunk->first_idx + i);
			i++;
		} else if (free >= 0) {
			fake_zdev_check_free_block(chunk, i, free, found);
			nr_free_blocks++;
			nr_free += 1UL << free;
			i += 1UL << free;
		} else {
			fake_zdev_check_live_block(chunk, i, live, found);
			nr_live_blocks++;
			i += 1UL << live;
		}
	}

	for (order = 0; order < FAKE_ZDEV_NR_ORDERS; order++)
		marked += bitmap_weight(chunk->free[order], chunk->nr_pages >> order);
	if (marked != nr_free_blocks)
		fake_zdev_found(found, "%lu free blocks are marked, %lu found",
				marked, nr_free_blocks);
	for (i = 0, marked = 0; i < chunk->nr_pages; i++)
		marked += chunk->live[i] >= 0;
	if (marked != nr_live_blocks)
		fake_zdev_found(found, "%lu blocks in use are marked, %lu found",
				marked, nr_live_blocks);
	if (nr_free != chunk->nr_free)
		fake_zdev_found(found, "%lu pages counted as free, %lu found",
				chunk->nr_free, nr_free);
}

/**
 * fake_zdev_count_pool_errors() - count what is wrong with the pool of a device
 * @zdev: device
 * @why: where to describe the first error, or NULL; "" if there is none
 * @size: size of @why
 *
 * Each page is in exactly one block, free or in use; buddies are merged; a page
 * of a free block has no reference, the folio of a block in use has one, and is
 * of the order of the block; the pgmaps have one reference per page in use; no
 * callback has contradicted the pool; no event was lost.
 *
 * Context: any; no folio of @zdev may be allocated, split or freed meanwhile
 * Return: number of errors, 0 if everything is fine.
 */
unsigned long fake_zdev_count_pool_errors(struct fake_zdev *zdev, char *why, size_t size)
{
	struct fake_zdev_findings found = { .why = why, .size = size };
	unsigned long refs = fake_zdev_pgmap_refs(zdev);
	unsigned long live = fake_zdev_count_leaks(zdev);
	unsigned int c;

	if (why)
		why[0] = '\0';
	for (c = 0; c < zdev->nr_chunks; c++)
		fake_zdev_check_chunk(zdev->chunks[c], &found);
	if (refs != live)
		fake_zdev_found(&found, "%lu references on the pgmaps for %lu pages in use",
				refs, live);
	if (zdev->bad_calls)
		fake_zdev_found(&found, "%s", zdev->first_bad_call);
	if (zdev->nr_lost_events)
		fake_zdev_found(&found, "%lu events lost", zdev->nr_lost_events);
	return found.nr;
}

/**
 * fake_zdev_check_pool() - expect the pool of a device to be right
 * @test: test, which fails if it is not
 * @zdev: device
 *
 * See fake_zdev_count_pool_errors().
 *
 * Context: process context; no folio of @zdev may be allocated, split or freed
 * meanwhile
 */
void fake_zdev_check_pool(struct kunit *test, struct fake_zdev *zdev)
{
	char why[128];
	unsigned long nr = fake_zdev_count_pool_errors(zdev, why, sizeof(why));

	KUNIT_EXPECT_EQ_MSG(test, nr, 0, "pool of the fake device: %s", why);
}
