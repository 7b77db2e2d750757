// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: migration, in phases or as a whole. This is what a driver does
 * around migrate_vma_setup(), migrate_vma_pages() and migrate_vma_finalize(),
 * between system memory and any number of devices.
 *
 * Each decision on the way can be made to fail (see enum fake_zdev_point). The
 * device that decides is the destination, or the source if that is system
 * memory.
 */
#include <linux/highmem.h>
#include <linux/mmap_lock.h>
#include <linux/slab.h>
#include <linux/string.h>

#include "fake_zone_device_internal.h"

static struct fake_zdev *fake_zdev_driver(const struct fake_zdev_migration *m)
{
	return m->to ?: m->from;
}

/* What src and dst hold before migrate_vma_setup(): no page, but not 0 either. */
#define FAKE_ZDEV_STALE_ENTRY	((u64)0x5a5a << MIGRATE_PFN_SHIFT)

static unsigned long fake_zdev_entry_addr(const struct fake_zdev_migration *m,
					  unsigned long entry)
{
	return m->args.start + (entry << PAGE_SHIFT);
}

static void fake_zdev_unpin(struct fake_zdev_migration *m)
{
	unsigned long i;

	for (i = 0; i < m->nr_entries; i++) {
		if (m->pinned[i])
			folio_put(m->pinned[i]);
		m->pinned[i] = NULL;
	}
}

/* Unlock and put the folio of an entry of src or dst, if it has one. */
static void fake_zdev_abandon_entry(unsigned long *mpfn)
{
	struct page *page = migrate_pfn_to_page(*mpfn);
	struct folio *folio;

	*mpfn = 0;
	if (!page)
		return;
	folio = page_folio(page);
	/* What went wrong before may have freed it already. */
	if (!folio_ref_count(folio))
		return;
	folio_unlock(folio);
	folio_put(folio);
}

/*
 * A test has failed between setup and finalize. Its mm is gone, and with it the
 * migration entries, so there is nothing to restore. What is left are the locks
 * and references on folios that nobody else knows of.
 */
static void fake_zdev_abandon(struct fake_zdev_migration *m)
{
	unsigned long i;

	fake_zdev_unpin(m);
	for (i = 0; i < m->args.npages; i++) {
		fake_zdev_abandon_entry(&m->src[i]);
		fake_zdev_abandon_entry(&m->dst[i]);
	}
	m->phase = FAKE_ZDEV_PHASE_FINAL;
}

/* As fake_zdev_migration_init(), for a caller that has no test, but will exit. */
int __fake_zdev_migration_init(struct fake_zdev_migration *m,
			       struct fake_zdev *from, struct fake_zdev *to,
			       struct vm_area_struct *vma,
			       unsigned long start, unsigned long end,
			       unsigned long flags)
{
	unsigned long nr = (end - start) >> PAGE_SHIFT;
	struct fake_zdev *owned = from ?: to;

	*m = (struct fake_zdev_migration) {
		.from = from,
		.to = to,
		.src = kvcalloc(nr, sizeof(*m->src), GFP_KERNEL),
		.dst = kvcalloc(nr, sizeof(*m->dst), GFP_KERNEL),
		.pinned = kvcalloc(nr, sizeof(*m->pinned), GFP_KERNEL),
		.nr_entries = nr,
		.phase = FAKE_ZDEV_PHASE_INIT,
	};
	m->args = (struct migrate_vma) {
		.vma = vma,
		.src = m->src,
		.dst = m->dst,
		.start = start,
		.end = end,
		.pgmap_owner = fake_zdev_owner(owned),
		.flags = flags,
	};
	if (m->src && m->dst && m->pinned)
		return 0;
	__fake_zdev_migration_exit(m);
	return -ENOMEM;
}

void __fake_zdev_migration_exit(struct fake_zdev_migration *m)
{
	if (m->phase != FAKE_ZDEV_PHASE_INIT && m->phase != FAKE_ZDEV_PHASE_FINAL)
		fake_zdev_abandon(m);
	kvfree(m->src);
	kvfree(m->dst);
	kvfree(m->pinned);
}

static void fake_zdev_migration_exit_action(void *ptr)
{
	struct fake_zdev_migration *m = ptr;

	__fake_zdev_migration_exit(m);
	kfree(m);
}

/**
 * fake_zdev_migration_init() - prepare a migration
 * @test: test that it is for; fails if there is no memory
 * @from: device that the pages come from, NULL: system memory
 * @to: device that they go to, NULL: system memory. Not both can be NULL.
 * @vma: the VMA; NULL for a caller of migrate_device_range(), for whom @start and
 *	@end only say how many pages there are
 * @start: first address
 * @end: end of the range, all of which is in @vma
 * @flags: for migrate_vma_setup(), a mask of enum migrate_vma_direction
 *
 * The pgmap_owner is that of @from, or of @to if pages come from system memory.
 * It and everything else in args may be changed before the setup.
 *
 * A migration that a failing test leaves unfinished gives back its locks and
 * references when the test ends.
 *
 * Context: process context
 * Return: the migration, which lives until the test ends.
 */
struct fake_zdev_migration *
fake_zdev_migration_init(struct kunit *test,
			 struct fake_zdev *from, struct fake_zdev *to,
			 struct vm_area_struct *vma,
			 unsigned long start, unsigned long end,
			 unsigned long flags)
{
	struct fake_zdev_migration *m = kmalloc_obj(*m);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, m);
	ret = __fake_zdev_migration_init(m, from, to, vma, start, end, flags);
	if (ret)
		kfree(m);
	KUNIT_ASSERT_EQ(test, ret, 0);
	ret = kunit_add_action_or_reset(test, fake_zdev_migration_exit_action, m);
	KUNIT_ASSERT_EQ(test, ret, 0);
	return m;
}

/**
 * fake_zdev_migration_setup() - migrate_vma_setup()
 * @m: migration in phase INIT
 *
 * On success the migration is in phase SETUP, and must be finalized, even if no
 * page can be migrated.
 *
 * Context: process context, mmap lock held for reading
 * Return: what migrate_vma_setup() returns.
 */
int fake_zdev_migration_setup(struct fake_zdev_migration *m)
{
	int ret;

	/* A driver may hand in what an earlier migration has left in its arrays. */
	memset64((u64 *)m->src, FAKE_ZDEV_STALE_ENTRY, m->nr_entries);
	memset64((u64 *)m->dst, FAKE_ZDEV_STALE_ENTRY, m->nr_entries);
	ret = migrate_vma_setup(&m->args);
	if (!ret)
		m->phase = FAKE_ZDEV_PHASE_SETUP;
	return ret;
}

/* A new, locked folio at the destination, or NULL */
static struct folio *fake_zdev_new_dst(struct fake_zdev_migration *m,
				       unsigned long entry, unsigned int order)
{
	struct fake_zdev *driver = fake_zdev_driver(m);
	struct folio *folio;
	bool fails;
	gfp_t gfp;

	if (m->to)
		return fake_zdev_alloc(m->to, order);

	fails = fake_zdev_decide(driver, FAKE_ZDEV_POINT_RAM_ALLOC);
	if (order)
		fails |= fake_zdev_decide(driver, FAKE_ZDEV_POINT_RAM_ALLOC_LARGE);
	if (fails)
		return NULL;
	gfp = order ? vma_thp_gfp_mask(m->args.vma) : GFP_HIGHUSER_MOVABLE;
	/* Eviction knows of no VMA, and there need not be one any more. */
	folio = m->args.vma ? vma_alloc_folio(gfp, order, m->args.vma,
					      fake_zdev_entry_addr(m, entry)) :
			      folio_alloc(gfp, order);
	if (!folio)
		return NULL;
	if (fake_zdev_decide(driver, FAKE_ZDEV_POINT_LOCK)) {
		folio_put(folio);
		return NULL;
	}
	folio_lock(folio);
	return folio;
}

/* The device of a page, NULL: system memory. With shared owners it may be any. */
static struct fake_zdev *fake_zdev_of_page(struct page *page)
{
	if (!is_device_private_page(page))
		return NULL;
	return fake_zdev_folio_chunk(page_folio(page))->zdev;
}

/* The memory of a page, until fake_zdev_unmap_data() */
static void *fake_zdev_map_data(struct page *page)
{
	struct fake_zdev *zdev = fake_zdev_of_page(page);

	return zdev ? fake_zdev_data(zdev, page) : kmap_local_page(page);
}

static void fake_zdev_unmap_data(struct page *page, void *data)
{
	if (!fake_zdev_of_page(page))
		kunmap_local(data);
}

/* Copy the pages of @dst from @spage on; NULL: there is nothing, clear them. */
static void fake_zdev_copy_folio(struct folio *dst, struct page *spage)
{
	unsigned long i;

	for (i = 0; i < folio_nr_pages(dst); i++) {
		void *to = fake_zdev_map_data(folio_page(dst, i));
		void *from;

		if (spage) {
			from = fake_zdev_map_data(spage + i);
			memcpy(to, from, PAGE_SIZE);
			fake_zdev_unmap_data(spage + i, from);
		} else {
			memset(to, 0, PAGE_SIZE);
		}
		fake_zdev_unmap_data(folio_page(dst, i), to);
	}
}

static void fake_zdev_log_copy(struct fake_zdev_migration *m, struct folio *dst,
			       struct page *spage)
{
	struct fake_zdev *from;
	struct fake_zdev_event event;

	if (m->to) {
		fake_zdev_log_folio(m->to, FAKE_ZDEV_COPY_TO_DEV, dst);
		return;
	}
	/* What is copied may be a part of a folio that is split later. */
	from = fake_zdev_of_page(spage);
	fake_zdev_event_folio(&event, from, FAKE_ZDEV_COPY_TO_RAM, page_folio(spage));
	event.idx = fake_zdev_index(from, spage);
	event.order = folio_order(dst);
	fake_zdev_log(from, &event);
}

/*
 * Give the entry a destination of @order, with the data of the pages from
 * @spage on in it.
 *
 * Return: false if it has none.
 */
static bool fake_zdev_fill_entry(struct fake_zdev_migration *m, unsigned long entry,
				 unsigned int order, struct page *spage)
{
	struct folio *dst = fake_zdev_new_dst(m, entry, order);

	if (!dst)
		return false;
	if (fake_zdev_decide(fake_zdev_driver(m), FAKE_ZDEV_POINT_COPY)) {
		fake_zdev_release(dst);
		return false;
	}
	fake_zdev_copy_folio(dst, spage);
	fake_zdev_log_copy(m, dst, spage);
	m->dst[entry] = migrate_pfn(folio_pfn(dst)) | (order ? MIGRATE_PFN_COMPOUND : 0);
	return true;
}

/* Is there to be an order-0 folio for entry @entry, page @nr of its source? */
static bool fake_zdev_wants_small(enum fake_zdev_policy policy, unsigned long entry,
				  unsigned long nr)
{
	switch (policy) {
	case FAKE_ZDEV_DST_AS_SOURCE:
	case FAKE_ZDEV_DST_ALL_SMALL:
		return true;
	case FAKE_ZDEV_DST_AS_SOURCE_ONLY:
	case FAKE_ZDEV_DST_FIRST_SMALL:
		return !nr;
	case FAKE_ZDEV_DST_SOME_MISSING:
		return entry % 4 != 3;
	case FAKE_ZDEV_DST_NONE:
		break;
	}
	return false;
}

static void fake_zdev_fill_source(struct fake_zdev_migration *m, unsigned long entry,
				  unsigned int order, enum fake_zdev_policy policy)
{
	struct page *spage = migrate_pfn_to_page(m->src[entry]);
	unsigned long i;

	if (order && (policy == FAKE_ZDEV_DST_AS_SOURCE ||
		      policy == FAKE_ZDEV_DST_AS_SOURCE_ONLY)) {
		if (fake_zdev_fill_entry(m, entry, order, spage) ||
		    policy == FAKE_ZDEV_DST_AS_SOURCE_ONLY)
			return;
	}
	for (i = 0; i < 1UL << order; i++)
		if (fake_zdev_wants_small(policy, entry + i, i))
			fake_zdev_fill_entry(m, entry + i, 0, spage ? spage + i : NULL);
}

/**
 * fake_zdev_migration_copy() - allocate destinations, and copy the data
 * @m: migration in phase SETUP
 * @policy: which destinations
 *
 * What a driver does between migrate_vma_setup() and migrate_vma_pages(). Holes
 * of the address space get memory full of zeroes on a device, and none in system
 * memory. Where something fails there is no destination, or small ones for a
 * large source if @policy says so.
 *
 * Context: process context, mmap lock held for reading
 */
void fake_zdev_migration_copy(struct fake_zdev_migration *m, enum fake_zdev_policy policy)
{
	struct fake_zdev *driver = fake_zdev_driver(m);
	unsigned long i, nr;

	for (i = 0; i < m->args.npages; i += nr) {
		struct page *spage = migrate_pfn_to_page(m->src[i]);
		unsigned int order = 0;

		if (m->src[i] & MIGRATE_PFN_COMPOUND)
			order = spage ? folio_order(page_folio(spage)) : HPAGE_PMD_ORDER;
		nr = 1UL << order;

		if (!(m->src[i] & MIGRATE_PFN_MIGRATE))
			continue;
		if (!spage && !m->to)
			continue;
		if (spage && fake_zdev_decide(driver, FAKE_ZDEV_POINT_PIN)) {
			m->pinned[i] = page_folio(spage);
			folio_get(m->pinned[i]);
		}
		fake_zdev_fill_source(m, i, order, policy);
	}
	m->phase = FAKE_ZDEV_PHASE_COPY;
}

/**
 * fake_zdev_migration_pages() - migrate_vma_pages()
 * @m: migration in phase COPY, or in phase SETUP if there is no destination
 *
 * Afterwards what FAKE_ZDEV_POINT_PIN has pinned is let go.
 *
 * Context: process context, mmap lock held for reading
 */
void fake_zdev_migration_pages(struct fake_zdev_migration *m)
{
	migrate_vma_pages(&m->args);
	fake_zdev_unpin(m);
	m->phase = FAKE_ZDEV_PHASE_PAGES;
}

/**
 * fake_zdev_migration_migrated() - count the pages that moved
 * @m: migration in phase PAGES or later
 *
 * Context: any
 * Return: number of pages for which migrate_vma_pages() has left
 * MIGRATE_PFN_MIGRATE in src, and that have a destination.
 */
unsigned long fake_zdev_migration_migrated(const struct fake_zdev_migration *m)
{
	unsigned long i, nr = 0;

	for (i = 0; i < m->args.npages; i++)
		if ((m->src[i] & MIGRATE_PFN_MIGRATE) && (m->dst[i] & MIGRATE_PFN_VALID))
			nr += m->dst[i] & MIGRATE_PFN_COMPOUND ? HPAGE_PMD_NR : 1;
	return nr;
}

/**
 * fake_zdev_migration_finalize() - migrate_vma_finalize()
 * @m: migration in phase PAGES, or earlier to undo it
 *
 * Context: process context, mmap lock held for reading
 */
void fake_zdev_migration_finalize(struct fake_zdev_migration *m)
{
	migrate_vma_finalize(&m->args);
	m->phase = FAKE_ZDEV_PHASE_FINAL;
}

static long fake_zdev_migrate_locked(struct fake_zdev_migration *m,
				     enum fake_zdev_policy policy)
{
	long ret = fake_zdev_migration_setup(m);

	if (ret)
		return ret;
	fake_zdev_migration_copy(m, policy);
	fake_zdev_migration_pages(m);
	ret = fake_zdev_migration_migrated(m);
	fake_zdev_migration_finalize(m);
	return ret;
}

static long fake_zdev_migrate(struct fake_zdev *from, struct fake_zdev *to,
			      struct mm_struct *mm, unsigned long start, unsigned long end,
			      enum fake_zdev_policy policy)
{
	unsigned long flags = MIGRATE_VMA_SELECT_COMPOUND |
			      (from ? MIGRATE_VMA_SELECT_DEVICE_PRIVATE :
				      MIGRATE_VMA_SELECT_SYSTEM);
	struct fake_zdev_migration m;
	long ret;

	mmap_read_lock(mm);
	ret = __fake_zdev_migration_init(&m, from, to, vma_lookup(mm, start),
					 start, end, flags);
	if (!ret) {
		ret = fake_zdev_migrate_locked(&m, policy);
		__fake_zdev_migration_exit(&m);
	}
	mmap_read_unlock(mm);
	return ret;
}

/**
 * fake_zdev_migrate_to_device() - migrate a range from system memory to a device
 * @zdev: device
 * @mm: address space
 * @start: first address
 * @end: end of the range, all of it in one VMA
 * @policy: which destinations
 *
 * Context: process context, mmap lock not held
 * Return: number of pages that moved, or -ENOMEM, or an error of
 * migrate_vma_setup().
 */
long fake_zdev_migrate_to_device(struct fake_zdev *zdev, struct mm_struct *mm,
				 unsigned long start, unsigned long end,
				 enum fake_zdev_policy policy)
{
	return fake_zdev_migrate(NULL, zdev, mm, start, end, policy);
}

/**
 * fake_zdev_migrate_to_ram() - migrate a range from a device to system memory
 * @zdev: device
 * @mm: address space
 * @start: first address
 * @end: end of the range, all of it in one VMA
 * @policy: which destinations
 *
 * On behalf of the driver, not of a CPU fault.
 *
 * Context: process context, mmap lock not held
 * Return: number of pages that moved, or -ENOMEM, or an error of
 * migrate_vma_setup().
 */
long fake_zdev_migrate_to_ram(struct fake_zdev *zdev, struct mm_struct *mm,
			      unsigned long start, unsigned long end,
			      enum fake_zdev_policy policy)
{
	return fake_zdev_migrate(zdev, NULL, mm, start, end, policy);
}

/**
 * fake_zdev_migrate_to_peer() - migrate a range from one device to another
 * @from: device that has the pages now
 * @to: device that they go to
 * @mm: address space
 * @start: first address
 * @end: end of the range, all of it in one VMA
 * @policy: which destinations
 *
 * Context: process context, mmap lock not held
 * Return: number of pages that moved, or -ENOMEM, or an error of
 * migrate_vma_setup().
 */
long fake_zdev_migrate_to_peer(struct fake_zdev *from, struct fake_zdev *to,
			       struct mm_struct *mm,
			       unsigned long start, unsigned long end,
			       enum fake_zdev_policy policy)
{
	return fake_zdev_migrate(from, to, mm, start, end, policy);
}
