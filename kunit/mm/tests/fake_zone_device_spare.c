// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: chunks, and memory of pages, that one test has done with and the
 * next one can have. Making and unmaking a chunk changes the memory map and,
 * in UML, thousands of mappings of the host, which takes longer than most
 * tests do.
 *
 * Nothing of the one test may be there in the other. So a chunk is only kept
 * if all of it is free, nothing refers to its pgmap, and the test has not failed;
 * and its struct pages are set to what memremap_pages() had made of them.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include <kunit/test.h>

#include "fake_zone_device_internal.h"

static struct fake_zdev_chunk *fake_zdev_spare_chunks[4];
static void *fake_zdev_spare_blocks[8];

static size_t fake_zdev_memmap_size(const struct fake_zdev_chunk *chunk)
{
	return chunk->nr_pages * sizeof(struct page);
}

/* Remember what the struct pages of a new chunk are like. Return: 0 or -ENOMEM */
int fake_zdev_save_memmap(struct fake_zdev_chunk *chunk)
{
	chunk->memmap = kvmalloc(fake_zdev_memmap_size(chunk), GFP_KERNEL);
	if (!chunk->memmap)
		return -ENOMEM;
	memcpy(chunk->memmap, pfn_to_page(chunk->first_pfn), fake_zdev_memmap_size(chunk));
	return 0;
}

/* A chunk of @nr_pages that is as good as new, or NULL. Others of them go. */
struct fake_zdev_chunk *fake_zdev_take_spare_chunk(unsigned long nr_pages)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fake_zdev_spare_chunks); i++) {
		struct fake_zdev_chunk *chunk = xchg(&fake_zdev_spare_chunks[i], NULL);

		if (chunk && chunk->nr_pages == nr_pages)
			return chunk;
		if (chunk)
			fake_zdev_unmake_chunk(chunk);
	}
	return NULL;
}

/* With fake_zdev_params.keep_data nobody has overwritten the memory of freed pages. */
static void fake_zdev_overwrite_used(struct fake_zdev_chunk *chunk)
{
	unsigned long i;

	for_each_set_bit(i, chunk->used, chunk->nr_pages) {
		void *block = chunk->data[i / HPAGE_PMD_NR];

		if (block)
			memset(block + (i % HPAGE_PMD_NR << PAGE_SHIFT),
			       FAKE_ZDEV_FREED_DATA, PAGE_SIZE);
	}
}

/*
 * Keep @chunk for another device. Context: nobody uses its device any more.
 *
 * Return: false if that cannot be, or there are enough.
 */
bool fake_zdev_keep_chunk(struct fake_zdev_chunk *chunk)
{
	unsigned long i;

	if (!chunk->memmap || chunk->nr_free != chunk->nr_pages ||
	    READ_ONCE(chunk->zdev->test->status) == KUNIT_FAILURE)
		return false;
	if (chunk->zdev->params.keep_data)
		fake_zdev_overwrite_used(chunk);
	bitmap_zero(chunk->used, chunk->nr_pages);
	for (i = 0; i < chunk->nr_pages >> HPAGE_PMD_ORDER; i++) {
		fake_zdev_put_block(chunk->data[i]);
		chunk->data[i] = NULL;
	}
	memcpy(pfn_to_page(chunk->first_pfn), chunk->memmap, fake_zdev_memmap_size(chunk));
	chunk->zdev = NULL;
	for (i = 0; i < ARRAY_SIZE(fake_zdev_spare_chunks); i++)
		if (!cmpxchg(&fake_zdev_spare_chunks[i], NULL, chunk))
			return true;
	return false;
}

/* Unmake the chunks that are kept. Return: whether there were any */
bool fake_zdev_drop_spare_chunks(void)
{
	bool any = false;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fake_zdev_spare_chunks); i++) {
		struct fake_zdev_chunk *chunk = xchg(&fake_zdev_spare_chunks[i], NULL);

		if (chunk)
			fake_zdev_unmake_chunk(chunk);
		any |= !!chunk;
	}
	return any;
}

/* HPAGE_PMD_SIZE bytes, all of them FAKE_ZDEV_FREED_DATA, or NULL. May sleep. */
void *fake_zdev_get_block(void)
{
	void *block;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fake_zdev_spare_blocks); i++) {
		block = xchg(&fake_zdev_spare_blocks[i], NULL);
		if (block)
			return block;
	}
	block = kvmalloc(HPAGE_PMD_SIZE, GFP_KERNEL);
	if (block)
		memset(block, FAKE_ZDEV_FREED_DATA, HPAGE_PMD_SIZE);
	return block;
}

/* Give back what fake_zdev_get_block() has given, in the same state, or NULL */
void fake_zdev_put_block(void *block)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fake_zdev_spare_blocks) && block; i++)
		if (!cmpxchg(&fake_zdev_spare_blocks[i], NULL, block))
			return;
	kvfree(block);
}
