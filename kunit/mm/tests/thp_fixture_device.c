// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-private folios of any order: in the page tables, out of them, and
 * under migration.
 *
 * migrate_vma_*() makes device-private folios of HPAGE_PMD_ORDER and of order 0
 * only. Those between are made here by zone_device_folio_init() and put into
 * the page tables with the helpers that the kernel itself uses to do that; what
 * comes of it is what the ledger says of the two orders that both ways make.
 */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/memcontrol.h>
#include <linux/pagemap.h>
#include <linux/pgalloc.h>
#include <linux/rmap.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_fixture.h"

/**
 * thp_fixture_hold() - remember that the test holds a folio locked
 * @f: fixture
 * @folio: folio of the device; the test holds its lock and one reference
 *
 * If the test fails before it lets go, thp_fixture_exit() does, and puts the
 * folio back into the page tables if they have migration entries for it.
 */
void thp_fixture_hold(struct thp_fixture *f, struct folio *folio)
{
	__set_bit(thp_fixture_page_nr(f, &folio->page), f->held);
}

/**
 * thp_fixture_let_go() - unlock a held folio and drop the reference
 * @f: fixture
 * @folio: the folio. If no page table has it, this frees it.
 */
void thp_fixture_let_go(struct thp_fixture *f, struct folio *folio)
{
	__clear_bit(thp_fixture_page_nr(f, &folio->page), f->held);
	folio_unlock(folio);
	folio_put(folio);
}

/**
 * thp_fixture_add_peer() - get a second device, with an owner of its own
 * @f: fixture; nothing is held, no folio is in use
 *
 * It is like the first one. The counters of the ledger are over both then.
 */
void thp_fixture_add_peer(struct thp_fixture *f)
{
	f->peer = fake_zdev_create(f->test, f->params);
	thp_fixture_alloc_scratch(f);
	thp_fixture_rebase(f);
}

/**
 * thp_fixture_zdev_of() - the device that a page belongs to
 * @f: fixture
 * @page: any page; nothing in it is looked at
 *
 * Return: one of the devices of the fixture, or NULL.
 */
struct fake_zdev *thp_fixture_zdev_of(const struct thp_fixture *f, const struct page *page)
{
	if (fake_zdev_contains(f->zdev, page))
		return f->zdev;
	return f->peer && fake_zdev_contains(f->peer, page) ? f->peer : NULL;
}

/**
 * thp_fixture_nr_pages() - pages of all devices
 * @f: fixture
 *
 * Return: number of pages.
 */
unsigned long thp_fixture_nr_pages(const struct thp_fixture *f)
{
	return fake_zdev_nr_pages(f->zdev) + (f->peer ? fake_zdev_nr_pages(f->peer) : 0);
}

/**
 * thp_fixture_page_nr() - number of a page among those of all devices
 * @f: fixture
 * @page: page of one of the devices
 *
 * Return: 0..thp_fixture_nr_pages() - 1, those of the first device first.
 */
unsigned long thp_fixture_page_nr(const struct thp_fixture *f, const struct page *page)
{
	if (fake_zdev_contains(f->zdev, page))
		return fake_zdev_index(f->zdev, page);
	return fake_zdev_nr_pages(f->zdev) + fake_zdev_index(f->peer, page);
}

/**
 * thp_fixture_nth_page() - the inverse of thp_fixture_page_nr()
 * @f: fixture
 * @nr: number of the page
 *
 * Return: the page.
 */
struct page *thp_fixture_nth_page(const struct thp_fixture *f, unsigned long nr)
{
	unsigned long first = fake_zdev_nr_pages(f->zdev);

	return nr < first ? fake_zdev_page(f->zdev, nr) : fake_zdev_page(f->peer, nr - first);
}

/**
 * thp_fixture_alloc() - allocate a folio of the device, fill it, track it
 * @f: fixture
 * @order: its order, 0..HPAGE_PMD_ORDER
 *
 * Return: the folio, as zone_device_folio_init() has made it, held by the
 * test; it belongs at the start of the range.
 */
struct folio *thp_fixture_alloc(struct thp_fixture *f, unsigned int order)
{
	return thp_fixture_alloc_from(f, f->zdev, order);
}

/**
 * thp_fixture_alloc_from() - as thp_fixture_alloc(), from the device of choice
 * @f: fixture
 * @zdev: one of its devices
 * @order: order of the folio, 0..HPAGE_PMD_ORDER
 *
 * Return: the folio, as zone_device_folio_init() has made it, held by the
 * test; it belongs at the start of the range.
 */
struct folio *thp_fixture_alloc_from(struct thp_fixture *f, struct fake_zdev *zdev,
				     unsigned int order)
{
	struct folio *folio = fake_zdev_alloc(zdev, order);

	KUNIT_ASSERT_NOT_NULL_MSG(f->test, folio, "order %u", order);
	thp_fixture_hold(f, folio);
	thp_fixture_track(f, &folio->page, order, f->addr);
	thp_fixture_fill_device(f, folio);
	return folio;
}

static void charge(struct thp_fixture *f, struct folio *folio)
{
	/* The active memcg decides if there is no mm to ask. */
	struct mem_cgroup *old = set_active_memcg(f->charge_to);
	int ret = mem_cgroup_charge(folio, f->charge_to ? NULL : f->mm, GFP_KERNEL);

	set_active_memcg(old);
	KUNIT_ASSERT_EQ(f->test, ret, 0);
	__folio_mark_uptodate(folio);
#ifdef CONFIG_MEMCG
	f->memcg = folio->memcg_data;
	if (!mem_cgroup_disabled())
		KUNIT_ASSERT_TRUE(f->test, folio_memcg_charged(folio));
#else
	f->memcg = THP_NA;
#endif
}

/**
 * thp_fixture_make_anon() - make a new folio anonymous, without mapping it
 * @f: fixture
 * @folio: held folio from thp_fixture_alloc()
 *
 * The result is what migrate_vma_pages() makes of a destination: charged,
 * with the mapping and index of its place, and in no page table yet
 * (__folio_migrate_mapping(), folio_migrate_flags()).
 */
void thp_fixture_make_anon(struct thp_fixture *f, struct folio *folio)
{
	charge(f, folio);
	folio->index = linear_page_index(f->vma, f->where);
	folio->mapping = (void *)((unsigned long)f->anon_vma | FOLIO_MAPPING_ANON);
	__folio_set_swapbacked(folio);
	if (folio_test_large(folio))
		mod_mthp_stat(folio_order(folio), MTHP_STAT_NR_ANON, 1);
}

static pmd_t *alloc_pmd(struct thp_fixture *f)
{
	p4d_t *p4dp = p4d_alloc(f->mm, pgd_offset(f->mm, f->where), f->where);
	pud_t *pudp = p4dp ? pud_alloc(f->mm, p4dp, f->where) : NULL;

	return pudp ? pmd_alloc(f->mm, pudp, f->where) : NULL;
}

static softleaf_t device_entry(const struct thp_fixture *f, struct page *page)
{
	return f->write ? make_writable_device_private_entry(page_to_pfn(page)) :
			  make_readable_device_private_entry(page_to_pfn(page));
}

/* As migrate_vma_insert_huge_pmd_page() does it */
static void insert_pmd(struct thp_fixture *f, struct folio *folio, pmd_t *pmdp)
{
	pgtable_t table = pte_alloc_one(f->mm);
	spinlock_t *ptl = pmd_lockptr(f->mm, pmdp);

	KUNIT_ASSERT_NOT_NULL(f->test, table);
	spin_lock(ptl);
	add_mm_counter(f->mm, MM_ANONPAGES, HPAGE_PMD_NR);
	folio_add_new_anon_rmap(folio, f->vma, f->where,
				f->exclusive ? RMAP_EXCLUSIVE : RMAP_NONE);
	pgtable_trans_huge_deposit(f->mm, pmdp, table);
	mm_inc_nr_ptes(f->mm);
	set_pmd_at(f->mm, f->where, pmdp,
		   softleaf_to_pmd(device_entry(f, &folio->page)));
	spin_unlock(ptl);
}

/* As migrate_vma_insert_page() and, for large folios, do_anonymous_page() do it */
static void insert_ptes(struct thp_fixture *f, struct folio *folio, pmd_t *pmdp)
{
	unsigned long nr = folio_nr_pages(folio), i;
	spinlock_t *ptl;	/* of the page table */
	pte_t *ptep;

	KUNIT_ASSERT_EQ(f->test, 0, pte_alloc(f->mm, pmdp));
	ptep = pte_offset_map_lock(f->mm, pmdp, f->where, &ptl);
	KUNIT_ASSERT_NOT_NULL(f->test, ptep);
	folio_ref_add(folio, nr - 1);
	add_mm_counter(f->mm, MM_ANONPAGES, nr);
	folio_add_new_anon_rmap(folio, f->vma, f->where,
				f->exclusive ? RMAP_EXCLUSIVE : RMAP_NONE);
	for (i = 0; i < nr; i++)
		set_pte_at(f->mm, f->where + i * PAGE_SIZE, ptep + i,
			   softleaf_to_pte(device_entry(f, folio_page(folio, i))));
	pte_unmap_unlock(ptep, ptl);
}

/**
 * thp_fixture_insert() - map a new folio of the device at its place
 * @f: fixture; @write and @exclusive say how
 * @folio: held folio from thp_fixture_alloc()
 *
 * A folio of HPAGE_PMD_ORDER gets a PMD, any other gets PTEs. The references
 * are those of the mappings afterwards, and the folio is unlocked: it is not
 * held any more.
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_fixture_insert(struct thp_fixture *f, struct folio *folio)
{
	pmd_t *pmdp;

	charge(f, folio);
	pmdp = alloc_pmd(f);
	KUNIT_ASSERT_NOT_NULL(f->test, pmdp);
	if (folio_test_pmd_mappable(folio))
		insert_pmd(f, folio, pmdp);
	else
		insert_ptes(f, folio, pmdp);
	__clear_bit(thp_fixture_page_nr(f, &folio->page), f->held);
	folio_unlock(folio);
}

/**
 * thp_fixture_split_pmd() - split the PMD of the range
 * @f: fixture
 * @freeze: as for split_huge_pmd_address(): into migration entries, and drop
 *	one reference
 *
 * Context: process context, mmap lock not held.
 */
void thp_fixture_split_pmd(struct thp_fixture *f, bool freeze)
{
	mmap_read_lock(f->mm);
	split_huge_pmd_address(f->vma, f->addr, freeze);
	mmap_read_unlock(f->mm);
}

/**
 * thp_fixture_unmap() - replace the mappings of a folio by migration entries
 * @f: fixture
 * @folio: mapped folio
 * @flags: flags for try_to_migrate(): 0, or TTU_SPLIT_HUGE_PMD for PTE entries
 *	instead of a PMD entry
 *
 * The folio is locked and held afterwards, with one reference.
 *
 * Context: process context, mmap lock not held.
 */
void thp_fixture_unmap(struct thp_fixture *f, struct folio *folio, enum ttu_flags flags)
{
	folio_get(folio);
	folio_lock(folio);
	thp_fixture_hold(f, folio);
	mmap_read_lock(f->mm);
	try_to_migrate(folio, flags);
	mmap_read_unlock(f->mm);
}

/**
 * thp_fixture_remap() - replace migration entries by mappings, let go
 * @f: fixture
 * @folio: held folio, with migration entries or without
 *
 * Context: process context, mmap lock not held.
 */
void thp_fixture_remap(struct thp_fixture *f, struct folio *folio)
{
	mmap_read_lock(f->mm);
	if (folio_test_anon(folio))
		remove_migration_ptes(folio, folio, 0);
	mmap_read_unlock(f->mm);
	thp_fixture_let_go(f, folio);
}
