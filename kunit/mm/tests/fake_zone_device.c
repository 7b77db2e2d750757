// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: a device, its chunks of ZONE_DEVICE pages, and their pgmap.
 *
 * A device is destroyed by a KUnit action. By then the thread of the test has
 * exited, but kunit_try_catch_run() does not wait for its mm to be gone:
 * mm_release() completes vfork_done before exit_mm() drops the mm. So pages may
 * still be on their way back, and destruction waits for them.
 *
 * memunmap_pages() would wait for ever for a page that never comes back. So a
 * device with leaked pages fails the test, naming them, and then stays behind
 * with all its memory: it is better to leak than to hang, and the pages may
 * still be in use.
 */
#include <linux/ioport.h>
#include <linux/iopoll.h>
#include <linux/slab.h>

#include "fake_zone_device_internal.h"
#include "percpu_refs.h"

/*
 * How long to wait for pages that are still in use when a device is destroyed.
 * It takes that long only if pages are leaked; where they are leaked by many
 * tests, only the first has to be sure that it isn't the machine that is slow.
 */
#define FAKE_ZDEV_LEAK_TIMEOUT		(10 * HZ)
#define FAKE_ZDEV_NEXT_LEAK_TIMEOUT	(HZ / 10)

static bool fake_zdev_has_leaked;

static void fake_zdev_folio_free(struct folio *folio)
{
	struct fake_zdev_chunk *chunk = fake_zdev_folio_chunk(folio);
	struct fake_zdev *zdev = chunk->zdev;
	struct fake_zdev_event event;

	/* The folio is no more once the pool has it, and may be poisoned. */
	fake_zdev_event_folio(&event, zdev, FAKE_ZDEV_FREE, folio);
	if (fake_zdev_pool_free(chunk, folio))
		wake_up_all(&zdev->all_free);
	fake_zdev_log(zdev, &event);
}

/*
 * Called with the references of both folios frozen. For a tail this is the
 * only one who can say which pgmap it belongs to: clear_compound_head() in
 * __split_folio_to_order() has left it NULL.
 */
static void fake_zdev_folio_split(struct folio *folio, struct folio *tail)
{
	struct fake_zdev_chunk *chunk = fake_zdev_folio_chunk(folio);
	struct fake_zdev *zdev = chunk->zdev;
	struct fake_zdev_event event;

	fake_zdev_event_folio(&event, zdev,
			      tail ? FAKE_ZDEV_SPLIT : FAKE_ZDEV_SPLIT_DONE, folio);
	if (tail) {
		event.tail_idx = fake_zdev_index(zdev, &tail->page);
		event.tail_order = folio_order(tail);
		event.tail_refcount = folio_ref_count(tail);
		event.tail_locked = folio_test_locked(tail);
		event.tail_pgmap = tail->pgmap;
		tail->pgmap = folio->pgmap;
		folio_set_zone_device_data(tail, fake_zdev_data(zdev, &tail->page));
		fake_zdev_pool_split(chunk, folio, tail);
	} else {
		fake_zdev_pool_split_done(chunk, folio);
	}
	fake_zdev_log(zdev, &event);
}

static const struct dev_pagemap_ops fake_zdev_ops = {
	.folio_free = fake_zdev_folio_free,
	.migrate_to_ram = fake_zdev_ram_fault,
	.folio_split = fake_zdev_folio_split,
};

static const struct dev_pagemap_ops fake_zdev_ops_no_split = {
	.folio_free = fake_zdev_folio_free,
	.migrate_to_ram = fake_zdev_ram_fault,
};

/* Give back all that a chunk has. */
void fake_zdev_unmake_chunk(struct fake_zdev_chunk *chunk)
{
	if (chunk->is_mapped)
		memunmap_pages(&chunk->pgmap);
	if (chunk->res)
		release_mem_region(chunk->res->start, resource_size(chunk->res));
	fake_zdev_pool_destroy(chunk);
	kvfree(chunk->memmap);
	kfree(chunk);
}

/* Make @chunk the one after those that @zdev has. */
static void fake_zdev_own_chunk(struct fake_zdev *zdev, struct fake_zdev_chunk *chunk)
{
	chunk->zdev = zdev;
	chunk->first_idx = zdev->nr_chunks * zdev->params.nr_pages;
	chunk->pgmap.ops = zdev->params.no_folio_split ? &fake_zdev_ops_no_split :
							 &fake_zdev_ops;
	chunk->pgmap.owner = zdev->params.owner;
}

/* Return: a chunk for @zdev, or an ERR_PTR */
static struct fake_zdev_chunk *fake_zdev_make_chunk(struct fake_zdev *zdev)
{
	unsigned long size = zdev->params.nr_pages << PAGE_SHIFT;
	struct fake_zdev_chunk *chunk;
	struct resource *res;
	void *mapped;
	int ret;

	chunk = kzalloc_obj(*chunk);
	if (!chunk)
		return ERR_PTR(-ENOMEM);
	chunk->nr_pages = zdev->params.nr_pages;
	fake_zdev_own_chunk(zdev, chunk);

	/* Rounded up to sections, but sub-sections are enough for the pgmap. */
	res = request_free_mem_region(&iomem_resource, size, "fake_zone_device");
	if (IS_ERR(res)) {
		ret = PTR_ERR(res);
		goto err;
	}
	chunk->res = res;
	chunk->first_pfn = PHYS_PFN(res->start);

	chunk->pgmap.type = MEMORY_DEVICE_PRIVATE;
	chunk->pgmap.range.start = res->start;
	chunk->pgmap.range.end = res->start + size - 1;
	chunk->pgmap.nr_range = 1;
	mapped = memremap_pages(&chunk->pgmap, NUMA_NO_NODE);
	if (IS_ERR(mapped)) {
		ret = PTR_ERR(mapped);
		goto err;
	}
	chunk->is_mapped = true;

	ret = fake_zdev_save_memmap(chunk) ?: fake_zdev_pool_init(chunk);
	if (ret)
		goto err;
	return chunk;
err:
	fake_zdev_unmake_chunk(chunk);
	return ERR_PTR(ret);
}

static int fake_zdev_add_chunk(struct fake_zdev *zdev)
{
	unsigned long poison = zdev->params.poison;
	struct fake_zdev_chunk *chunk;
	unsigned long i;

	if (zdev->nr_chunks == FAKE_ZDEV_MAX_CHUNKS)
		return -ENOSPC;
	chunk = fake_zdev_take_spare_chunk(zdev->params.nr_pages);
	if (!chunk)
		chunk = fake_zdev_make_chunk(zdev);
	if (IS_ERR(chunk))
		return PTR_ERR(chunk);
	fake_zdev_own_chunk(zdev, chunk);
	for (i = 0; poison && i < chunk->nr_pages; i++)
		fake_zdev_poison_page(pfn_to_page(chunk->first_pfn + i), poison);
	zdev->chunks[zdev->nr_chunks++] = chunk;
	return 0;
}

/*
 * Give back everything, unless pages are leaked: then leave everything as it is.
 *
 * Return: number of leaked pages, and of references on the pgmap without one.
 */
unsigned long fake_zdev_destroy_or_leak(struct fake_zdev *zdev)
{
	unsigned long timeout = zdev->leak_timeout;
	unsigned long leaks, refs;

	if (fake_zdev_has_leaked)
		timeout = min(timeout, FAKE_ZDEV_NEXT_LEAK_TIMEOUT);
	wait_event_timeout(zdev->all_free, !fake_zdev_count_leaks(zdev), timeout);
	leaks = fake_zdev_count_leaks(zdev);
	if (leaks)
		return leaks;

	/*
	 * free_zone_device_folio() drops the references on the pgmap after it
	 * has called ->folio_free(), possibly on another CPU, and there is
	 * nothing to wait on.
	 */
	read_poll_timeout(fake_zdev_pgmap_refs, refs, !refs, 10,
			  jiffies_to_usecs(timeout), false, zdev);
	if (refs)
		return refs;

	while (zdev->nr_chunks) {
		struct fake_zdev_chunk *chunk = zdev->chunks[--zdev->nr_chunks];

		if (!fake_zdev_keep_chunk(chunk))
			fake_zdev_unmake_chunk(chunk);
	}
	fake_zdev_log_destroy(zdev);
	kfree(zdev);
	return 0;
}

static void fake_zdev_destroy_action(void *ptr)
{
	struct fake_zdev *zdev = ptr;
	struct kunit *test = zdev->test;
	unsigned int bad_calls = zdev->bad_calls;
	unsigned long lost = fake_zdev_nr_lost_events(zdev);
	unsigned long leaks;

	if (bad_calls)
		KUNIT_FAIL(test, "%u callbacks contradict the pool, first: %s\n",
			   bad_calls, zdev->first_bad_call);
	if (lost)
		KUNIT_FAIL(test, "%lu events lost, fake_zdev_params.nr_events is %u\n",
			   lost, zdev->params.nr_events);

	leaks = fake_zdev_destroy_or_leak(zdev);
	if (leaks) {
		fake_zdev_has_leaked |= zdev->leak_timeout > 0;
		KUNIT_FAIL(test, "%lu device pages leaked; the device stays behind\n",
			   leaks);
		fake_zdev_report_leaks(zdev);
	}
}

/**
 * fake_zdev_create() - create a device
 * @test: test that it is for, which destroys it; fails if there is no memory
 * @params: what it is to be like; NULL: the default for everything
 *
 * Memory and struct pages of the device are there at once, no folio is.
 *
 * Context: process context, no locks held
 * Return: the device, never NULL
 */
struct fake_zdev *fake_zdev_create(struct kunit *test,
				   const struct fake_zdev_params *params)
{
	struct fake_zdev *zdev = kzalloc_obj(*zdev);
	unsigned int i;
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, zdev);
	zdev->test = test;
	raw_spin_lock_init(&zdev->lock);
	init_waitqueue_head(&zdev->all_free);
	zdev->leak_timeout = FAKE_ZDEV_LEAK_TIMEOUT;
	zdev->fault_policy = FAKE_ZDEV_DST_AS_SOURCE;
	zdev->fault_flags = MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
			    MIGRATE_VMA_SELECT_COMPOUND;
	ret = kunit_add_action_or_reset(test, fake_zdev_destroy_action, zdev);
	KUNIT_ASSERT_EQ(test, ret, 0);

	if (params)
		zdev->params = *params;
	if (!zdev->params.nr_pages)
		zdev->params.nr_pages = 4 * HPAGE_PMD_NR;
	if (!zdev->params.nr_chunks)
		zdev->params.nr_chunks = 1;
	if (!zdev->params.owner)
		zdev->params.owner = zdev;
	KUNIT_ASSERT_TRUE_MSG(test, IS_ALIGNED(zdev->params.nr_pages, HPAGE_PMD_NR),
			      "a chunk of %lu pages is not made of blocks of %lu",
			      zdev->params.nr_pages, (unsigned long)HPAGE_PMD_NR);

	/* Each page allocated, copied, split off and freed, twice */
	ret = fake_zdev_log_init(zdev, zdev->params.nr_events ?:
				 8 * zdev->params.nr_chunks * zdev->params.nr_pages);
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "event log");
	for (i = 0; i < zdev->params.nr_chunks; i++) {
		ret = fake_zdev_add_chunk(zdev);
		KUNIT_ASSERT_EQ_MSG(test, ret, 0, "chunk %u", i);
	}
	return zdev;
}

/**
 * fake_zdev_grow() - add a chunk to a device
 * @test: test; fails if there is no memory, or 16 chunks already
 * @zdev: device
 *
 * The new pages have the indices from fake_zdev_nr_pages() up, and a pgmap of
 * their own.
 *
 * Context: process context, no locks held, nobody else uses @zdev
 */
void fake_zdev_grow(struct kunit *test, struct fake_zdev *zdev)
{
	KUNIT_ASSERT_EQ(test, fake_zdev_add_chunk(zdev), 0);
}

/**
 * fake_zdev_destroy() - destroy a device before the test ends
 * @test: test; fails if pages of the device are still in use
 * @zdev: device, gone on return
 *
 * Without this, a device is destroyed after the thread of the test has exited,
 * and with it the mm that kunit_vm_mmap() gave it.
 *
 * Context: process context, no locks held
 */
void fake_zdev_destroy(struct kunit *test, struct fake_zdev *zdev)
{
	kunit_release_action(test, fake_zdev_destroy_action, zdev);
}

/**
 * fake_zdev_nr_pages() - number of pages of a device
 * @zdev: device
 *
 * Context: any
 * Return: number of pages in all chunks, free or not.
 */
unsigned long fake_zdev_nr_pages(const struct fake_zdev *zdev)
{
	return zdev->nr_chunks * zdev->params.nr_pages;
}

/**
 * fake_zdev_owner() - owner of the pages of a device
 * @zdev: device
 *
 * Context: any
 * Return: dev_pagemap.owner, to be passed to migrate_vma_setup().
 */
void *fake_zdev_owner(const struct fake_zdev *zdev)
{
	return zdev->params.owner;
}

/**
 * fake_zdev_pgmap() - pgmap of a page
 * @zdev: device
 * @idx: index of the page
 *
 * Context: any
 * Return: the pgmap of the chunk that has page @idx, or NULL if none has.
 */
struct dev_pagemap *fake_zdev_pgmap(const struct fake_zdev *zdev, unsigned long idx)
{
	unsigned long c = idx / zdev->params.nr_pages;

	return c < zdev->nr_chunks ? &zdev->chunks[c]->pgmap : NULL;
}

/**
 * fake_zdev_pgmap_refs() - references on the pgmaps of a device
 * @zdev: device
 *
 * zone_device_page_init() takes one for each page of a new folio, and
 * free_zone_device_folio() drops it. memremap_pages() takes none for
 * device-private memory.
 *
 * Context: any; exact if no folio of @zdev is initialised or freed meanwhile
 * Return: sum over all chunks, without the initial references.
 */
unsigned long fake_zdev_pgmap_refs(const struct fake_zdev *zdev)
{
	unsigned long refs = 0;
	unsigned int c;

	/* No pgmap is killed before its pages are free: all count per CPU. */
	for (c = 0; c < zdev->nr_chunks; c++)
		refs += percpu_refs(&zdev->chunks[c]->pgmap.ref);
	return refs;
}

/**
 * fake_zdev_page() - page of a device by index
 * @zdev: device
 * @idx: index of the page
 *
 * Context: any
 * Return: the page, or NULL if the device has no page @idx.
 */
struct page *fake_zdev_page(const struct fake_zdev *zdev, unsigned long idx)
{
	unsigned long c = idx / zdev->params.nr_pages;

	if (c >= zdev->nr_chunks)
		return NULL;
	return pfn_to_page(zdev->chunks[c]->first_pfn + idx % zdev->params.nr_pages);
}

/* The chunk of @zdev that has @page, or NULL */
struct fake_zdev_chunk *fake_zdev_page_chunk(const struct fake_zdev *zdev,
					     const struct page *page)
{
	unsigned long pfn = page_to_pfn(page);
	unsigned int c;

	for (c = 0; c < zdev->nr_chunks; c++)
		if (pfn - zdev->chunks[c]->first_pfn < zdev->chunks[c]->nr_pages)
			return zdev->chunks[c];
	return NULL;
}

/* The chunk of a folio of any fake device. Needs a valid pgmap. */
struct fake_zdev_chunk *fake_zdev_folio_chunk(const struct folio *folio)
{
	return container_of(folio->pgmap, struct fake_zdev_chunk, pgmap);
}

/**
 * fake_zdev_contains() - does a page belong to a device?
 * @zdev: device
 * @page: any page
 *
 * Context: any; looks at nothing in @page
 * Return: whether @page is one of the pages of @zdev.
 */
bool fake_zdev_contains(const struct fake_zdev *zdev, const struct page *page)
{
	return fake_zdev_page_chunk(zdev, page);
}

/**
 * fake_zdev_index() - index of a page
 * @zdev: device
 * @page: any page
 *
 * Context: any; looks at nothing in @page
 * Return: the index of @page in @zdev, or FAKE_ZDEV_NO_PAGE if it is not one of
 * its pages.
 */
unsigned long fake_zdev_index(const struct fake_zdev *zdev, const struct page *page)
{
	struct fake_zdev_chunk *chunk = fake_zdev_page_chunk(zdev, page);

	if (!chunk)
		return FAKE_ZDEV_NO_PAGE;
	return chunk->first_idx + page_to_pfn(page) - chunk->first_pfn;
}

/**
 * fake_zdev_data() - memory of a page
 * @zdev: device
 * @page: page of the device
 *
 * The memory of consecutive pages is consecutive within HPAGE_PMD_NR pages. It
 * is also the zone_device_data of a folio that begins with @page. Memory of
 * free pages holds FAKE_ZDEV_FREED_DATA.
 *
 * Context: any; looks at nothing in @page
 * Return: PAGE_SIZE bytes, or NULL if @page is not one of @zdev, or none of its
 * naturally aligned block of HPAGE_PMD_NR pages was ever allocated.
 */
void *fake_zdev_data(const struct fake_zdev *zdev, const struct page *page)
{
	struct fake_zdev_chunk *chunk = fake_zdev_page_chunk(zdev, page);
	unsigned long i;
	void *block;

	if (!chunk)
		return NULL;
	i = page_to_pfn(page) - chunk->first_pfn;
	block = READ_ONCE(chunk->data[i / HPAGE_PMD_NR]);
	return block ? block + (i % HPAGE_PMD_NR << PAGE_SHIFT) : NULL;
}
