// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: the pool. A buddy allocator per chunk, over naturally aligned
 * blocks of the orders 0..HPAGE_PMD_ORDER, that always takes the smallest block
 * that will do, and of these the first one: tests can tell where they will be.
 *
 * The pool keeps its own idea of which blocks are allocated, at which order,
 * and does not look at struct pages for it. ->folio_split() and ->folio_free()
 * are checked against it.
 */
#include <linux/bitmap.h>
#include <linux/slab.h>

#include "fake_zone_device_internal.h"

/* Not the order of an allocated block: free, or inside of an allocated block */
#define FAKE_ZDEV_NOT_LIVE	(-1)

/* How many leaked folios to describe */
#define FAKE_ZDEV_LEAKS_SHOWN	8

int fake_zdev_pool_init(struct fake_zdev_chunk *chunk)
{
	unsigned long nr_blocks = chunk->nr_pages >> HPAGE_PMD_ORDER;
	unsigned int order;

	for (order = 0; order < FAKE_ZDEV_NR_ORDERS; order++) {
		chunk->free[order] = bitmap_zalloc(chunk->nr_pages >> order, GFP_KERNEL);
		if (!chunk->free[order])
			return -ENOMEM;
	}
	chunk->used = bitmap_zalloc(chunk->nr_pages, GFP_KERNEL);
	chunk->live = kvmalloc(chunk->nr_pages, GFP_KERNEL);
	chunk->data = kvcalloc(nr_blocks, sizeof(*chunk->data), GFP_KERNEL);
	if (!chunk->used || !chunk->live || !chunk->data)
		return -ENOMEM;

	memset(chunk->live, FAKE_ZDEV_NOT_LIVE, chunk->nr_pages);
	bitmap_fill(chunk->free[HPAGE_PMD_ORDER], nr_blocks);
	chunk->nr_free = chunk->nr_pages;
	return 0;
}

void fake_zdev_pool_destroy(struct fake_zdev_chunk *chunk)
{
	unsigned int order;
	unsigned long i;

	for (i = 0; chunk->data && i < chunk->nr_pages >> HPAGE_PMD_ORDER; i++)
		kvfree(chunk->data[i]);
	kvfree(chunk->data);
	kvfree(chunk->live);
	bitmap_free(chunk->used);
	for (order = 0; order < FAKE_ZDEV_NR_ORDERS; order++)
		bitmap_free(chunk->free[order]);
}

/* A callback does not fit the state of the pool: remember it for the test. */
static __printf(2, 3) void fake_zdev_bad_call(struct fake_zdev *zdev, const char *fmt, ...)
{
	va_list args;

	lockdep_assert_held(&zdev->lock);
	if (zdev->bad_calls++)
		return;
	va_start(args, fmt);
	vsnprintf(zdev->first_bad_call, sizeof(zdev->first_bad_call), fmt, args);
	va_end(args);
}

/*
 * Make the block of @order at page @i of @chunk an allocated one, splitting the
 * free block that contains it.
 *
 * Return: false if it isn't part of a free block.
 */
static bool fake_zdev_take(struct fake_zdev_chunk *chunk, unsigned long i,
			   unsigned int order)
{
	unsigned int from = order;

	lockdep_assert_held(&chunk->zdev->lock);
	while (!test_bit(i >> from, chunk->free[from]))
		if (++from == FAKE_ZDEV_NR_ORDERS)
			return false;
	__clear_bit(i >> from, chunk->free[from]);
	while (from > order) {
		from--;
		__set_bit((i >> from) ^ 1, chunk->free[from]);
	}
	chunk->live[i] = order;
	chunk->nr_free -= 1UL << order;
	bitmap_set(chunk->used, i, 1UL << order);
	return true;
}

/* Take any block of @order. Return: false if there is none. */
static bool fake_zdev_take_any(struct fake_zdev_chunk *chunk, unsigned int order,
			       unsigned long *i)
{
	unsigned int from;

	for (from = order; from < FAKE_ZDEV_NR_ORDERS; from++) {
		unsigned long nr = chunk->nr_pages >> from;
		unsigned long block = find_first_bit(chunk->free[from], nr);

		if (block < nr) {
			*i = block << from;
			return fake_zdev_take(chunk, *i, order);
		}
	}
	return false;
}

/* Make an allocated block a free one, and merge it with its buddies. */
static void fake_zdev_put(struct fake_zdev_chunk *chunk, unsigned long i,
			  unsigned int order)
{
	unsigned long block = i >> order;

	lockdep_assert_held(&chunk->zdev->lock);
	chunk->live[i] = FAKE_ZDEV_NOT_LIVE;
	chunk->nr_free += 1UL << order;
	while (order < HPAGE_PMD_ORDER &&
	       __test_and_clear_bit(block ^ 1, chunk->free[order])) {
		block >>= 1;
		order++;
	}
	__set_bit(block, chunk->free[order]);
}

/*
 * Make the block of @order at page @i an allocated block of its own, out of the
 * allocated one that contains it. The rest of that becomes the largest aligned
 * blocks that it can be made of.
 *
 * Return: false if it isn't part of an allocated block of at least that order.
 */
static bool fake_zdev_carve(struct fake_zdev_chunk *chunk, unsigned long i,
			    unsigned int order)
{
	unsigned int from = order;

	lockdep_assert_held(&chunk->zdev->lock);
	while (chunk->live[round_down(i, 1UL << from)] != from)
		if (++from == FAKE_ZDEV_NR_ORDERS)
			return false;
	while (from > order) {
		unsigned long start = round_down(i, 1UL << from);

		from--;
		chunk->live[start] = from;
		chunk->live[start + (1UL << from)] = from;
	}
	return true;
}

/* Memory for the block of HPAGE_PMD_NR pages around page @i. May sleep. */
static bool fake_zdev_populate(struct fake_zdev_chunk *chunk, unsigned long i)
{
	void **slot = &chunk->data[i / HPAGE_PMD_NR];
	void *block;

	if (READ_ONCE(*slot))
		return true;
	block = fake_zdev_get_block();
	if (!block)
		return false;
	if (cmpxchg(slot, NULL, block))
		fake_zdev_put_block(block);
	return true;
}

static struct folio *fake_zdev_new_folio(struct fake_zdev_chunk *chunk,
					 unsigned long i, unsigned int order)
{
	struct fake_zdev *zdev = chunk->zdev;
	struct page *page = pfn_to_page(chunk->first_pfn + i);
	/* page_folio() of a free page may find the head of a previous life. */
	struct folio *folio = (struct folio *)page;

	if (!fake_zdev_populate(chunk, i)) {
		guard(raw_spinlock_irqsave)(&zdev->lock);
		fake_zdev_put(chunk, i, order);
		return NULL;
	}
	zone_device_folio_init(folio, &chunk->pgmap, order);
	folio_set_zone_device_data(folio, fake_zdev_data(zdev, page));
	fake_zdev_log_folio(zdev, FAKE_ZDEV_ALLOC, folio);
	return folio;
}

/* Both points are asked, so that their counts do not depend on each other. */
static bool fake_zdev_may_alloc(struct fake_zdev *zdev, unsigned int order)
{
	bool fails = fake_zdev_decide(zdev, FAKE_ZDEV_POINT_ALLOC);

	if (order)
		fails |= fake_zdev_decide(zdev, FAKE_ZDEV_POINT_ALLOC_LARGE);
	return !fails;
}

/**
 * fake_zdev_alloc() - allocate a folio of a device
 * @zdev: device
 * @order: order of the folio, 0..HPAGE_PMD_ORDER
 *
 * The folio is fresh from zone_device_folio_init(): locked, with one reference,
 * on no list and in no mapping. Its zone_device_data is fake_zdev_data(). The
 * caller gives it away, or back with fake_zdev_release().
 *
 * Of the free blocks the smallest that is large enough is used, of these the
 * one with the lowest index.
 *
 * Context: process context, may sleep
 * Return: the folio, or NULL if there is no block, or on request.
 */
struct folio *fake_zdev_alloc(struct fake_zdev *zdev, unsigned int order)
{
	struct fake_zdev_chunk *chunk = NULL;
	unsigned long i;
	unsigned int c;

	if (order > HPAGE_PMD_ORDER || !fake_zdev_may_alloc(zdev, order))
		return NULL;

	scoped_guard(raw_spinlock_irqsave, &zdev->lock)
		for (c = 0; c < zdev->nr_chunks && !chunk; c++)
			if (fake_zdev_take_any(zdev->chunks[c], order, &i))
				chunk = zdev->chunks[c];
	return chunk ? fake_zdev_new_folio(chunk, i, order) : NULL;
}

/**
 * fake_zdev_alloc_at() - allocate a folio of a device at a given place
 * @zdev: device
 * @idx: index of its first page, a multiple of its number of pages
 * @order: order of the folio, 0..HPAGE_PMD_ORDER
 *
 * As fake_zdev_alloc(), but exactly there.
 *
 * Context: process context, may sleep
 * Return: the folio, or NULL if @idx is not aligned, not all of the pages are
 * free, or on request.
 */
struct folio *fake_zdev_alloc_at(struct fake_zdev *zdev, unsigned long idx,
				 unsigned int order)
{
	struct fake_zdev_chunk *chunk;
	unsigned long i;

	if (order > HPAGE_PMD_ORDER || !IS_ALIGNED(idx, 1UL << order) ||
	    idx >= fake_zdev_nr_pages(zdev) || !fake_zdev_may_alloc(zdev, order))
		return NULL;

	chunk = zdev->chunks[idx / zdev->params.nr_pages];
	i = idx - chunk->first_idx;
	scoped_guard(raw_spinlock_irqsave, &zdev->lock)
		if (!fake_zdev_take(chunk, i, order))
			return NULL;
	return fake_zdev_new_folio(chunk, i, order);
}

/**
 * fake_zdev_release() - unlock a folio and drop a reference
 * @folio: locked folio of a device
 *
 * What frees a folio of fake_zdev_alloc() that nobody else has got.
 *
 * Context: process context
 */
void fake_zdev_release(struct folio *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

/* Number of pages in use. Context: any, lock held. */
static unsigned long fake_zdev_nr_live(const struct fake_zdev *zdev)
{
	unsigned long nr = 0;
	unsigned int c;

	lockdep_assert_held(&zdev->lock);
	for (c = 0; c < zdev->nr_chunks; c++)
		nr += zdev->chunks[c]->nr_pages - zdev->chunks[c]->nr_free;
	return nr;
}

/*
 * For ->folio_free(): take the pages of @folio back, as garbage.
 *
 * Return: whether the device has no page in use any more.
 */
bool fake_zdev_pool_free(struct fake_zdev_chunk *chunk, struct folio *folio)
{
	struct fake_zdev *zdev = chunk->zdev;
	unsigned long i = folio_pfn(folio) - chunk->first_pfn;
	unsigned int order = folio_order(folio);
	struct page *page = &folio->page;
	unsigned long n;

	/* Without the callback the pool has not been told of splits. */
	scoped_guard(raw_spinlock_irqsave, &zdev->lock) {
		if (zdev->params.no_folio_split)
			fake_zdev_carve(chunk, i, order);
		if (chunk->live[i] != (s8)order) {
			fake_zdev_bad_call(zdev,
					   "folio_free(page %lu, order %u): order is %d here",
					   chunk->first_idx + i, order, chunk->live[i]);
			return false;
		}
	}

	if (!zdev->params.keep_data)
		memset(fake_zdev_data(zdev, page), FAKE_ZDEV_FREED_DATA, PAGE_SIZE << order);
	if (zdev->params.poison)
		for (n = 0; n < 1UL << order; n++)
			fake_zdev_poison_page(page + n, zdev->params.poison);

	guard(raw_spinlock_irqsave)(&zdev->lock);
	fake_zdev_put(chunk, i, order);
	return !fake_zdev_nr_live(zdev);
}

/* For ->folio_split(): @tail was part of @folio, and is a folio of its own now. */
void fake_zdev_pool_split(struct fake_zdev_chunk *chunk, struct folio *folio,
			  struct folio *tail)
{
	unsigned long i = folio_pfn(folio) - chunk->first_pfn;
	unsigned long tail_i = folio_pfn(tail) - chunk->first_pfn;
	unsigned int order = folio_order(tail);
	struct fake_zdev *zdev = chunk->zdev;

	guard(raw_spinlock_irqsave)(&zdev->lock);
	if (tail_i >= chunk->nr_pages || !IS_ALIGNED(tail_i, 1UL << order) ||
	    !fake_zdev_carve(chunk, tail_i, order))
		fake_zdev_bad_call(zdev,
				   "folio_split(page %lu, page %lu of order %u): not part of a block",
				   chunk->first_idx + i, chunk->first_idx + tail_i, order);
}

/* For ->folio_split(): what is left of @folio must be what nobody was told of. */
void fake_zdev_pool_split_done(struct fake_zdev_chunk *chunk, struct folio *folio)
{
	unsigned long i = folio_pfn(folio) - chunk->first_pfn;
	struct fake_zdev *zdev = chunk->zdev;

	guard(raw_spinlock_irqsave)(&zdev->lock);
	if (chunk->live[i] != (s8)folio_order(folio))
		fake_zdev_bad_call(zdev,
				   "folio_split(page %lu of order %u, NULL): order is %d here",
				   chunk->first_idx + i, folio_order(folio), chunk->live[i]);
}

/**
 * fake_zdev_nr_free() - number of free pages
 * @zdev: device
 *
 * Context: any
 * Return: number of pages in all free blocks.
 */
unsigned long fake_zdev_nr_free(struct fake_zdev *zdev)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return fake_zdev_nr_pages(zdev) - fake_zdev_nr_live(zdev);
}

/**
 * fake_zdev_nr_free_blocks() - number of free blocks of an order
 * @zdev: device
 * @order: order, 0..HPAGE_PMD_ORDER
 *
 * Context: any
 * Return: number of free blocks of exactly @order, buddies being merged.
 */
unsigned long fake_zdev_nr_free_blocks(struct fake_zdev *zdev, unsigned int order)
{
	unsigned long nr = 0;
	unsigned int c;

	guard(raw_spinlock_irqsave)(&zdev->lock);
	for (c = 0; c < zdev->nr_chunks; c++)
		nr += bitmap_weight(zdev->chunks[c]->free[order],
				    zdev->chunks[c]->nr_pages >> order);
	return nr;
}

/**
 * fake_zdev_live_order() - what the pool knows of a page
 * @zdev: device
 * @idx: index of the page
 *
 * Context: any
 * Return: order of the allocated block that starts with page @idx, or -1 if
 * none does.
 */
int fake_zdev_live_order(struct fake_zdev *zdev, unsigned long idx)
{
	if (idx >= fake_zdev_nr_pages(zdev))
		return FAKE_ZDEV_NOT_LIVE;
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return zdev->chunks[idx / zdev->params.nr_pages]->live[idx % zdev->params.nr_pages];
}

/**
 * fake_zdev_next_live() - find an allocated block
 * @zdev: device
 * @idx: index of the page to start from
 *
 * Context: any
 * Return: index of the first page from @idx on with which an allocated block
 * starts, or fake_zdev_nr_pages().
 */
unsigned long fake_zdev_next_live(struct fake_zdev *zdev, unsigned long idx)
{
	const unsigned long end = fake_zdev_nr_pages(zdev);

	guard(raw_spinlock_irqsave)(&zdev->lock);
	while (idx < end) {
		struct fake_zdev_chunk *chunk = zdev->chunks[idx / zdev->params.nr_pages];
		const s8 *from = chunk->live + (idx - chunk->first_idx);
		const s8 *to = chunk->live + chunk->nr_pages;
		const s8 *found = memchr_inv(from, FAKE_ZDEV_NOT_LIVE, to - from);

		if (found)
			return chunk->first_idx + (found - chunk->live);
		idx = chunk->first_idx + chunk->nr_pages;
	}
	return end;
}

/**
 * fake_zdev_count_leaks() - number of pages in use
 * @zdev: device
 *
 * What the destruction of @zdev takes for leaks if it stays that way.
 *
 * Context: any
 * Return: number of pages that are not free.
 */
unsigned long fake_zdev_count_leaks(struct fake_zdev *zdev)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return fake_zdev_nr_live(zdev);
}

/* Describe the first folios that are in use. Context: no folio goes away. */
void fake_zdev_report_leaks(struct fake_zdev *zdev)
{
	unsigned int shown = 0;
	unsigned long idx;

	for (idx = 0; idx < fake_zdev_nr_pages(zdev) && shown < FAKE_ZDEV_LEAKS_SHOWN; idx++) {
		const struct folio *folio = (struct folio *)fake_zdev_page(zdev, idx);
		int order = fake_zdev_live_order(zdev, idx);

		if (order < 0)
			continue;
		kunit_err(zdev->test,
			  "leaked: page %lu order %d refcount %d%s mapping %p index 0x%lx\n",
			  idx, order, folio_ref_count(folio),
			  folio_test_locked(folio) ? " locked" : "",
			  folio->mapping, folio->index);
		shown++;
	}
}
