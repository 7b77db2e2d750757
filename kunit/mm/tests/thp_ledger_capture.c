// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads a folio, its place in the mm, and the counters into struct thp_state.
 *
 * Nothing here judges: a value that makes no sense is a value. The fields are
 * read as they lie in struct page wherever an accessor would rather warn.
 */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/irqflags.h>
#include <linux/memcontrol.h>
#include <linux/mm_inline.h>
#include <linux/panic.h>
#include <linux/pgtable.h>
#include <linux/preempt.h>
#include <linux/userfaultfd_k.h>
#include <linux/vmstat.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_fixture.h"

/* Pages to look at: a folio of a broken order must not lead out of the range. */
static unsigned long pages_in_reach(const struct thp_fixture *f, struct folio *folio)
{
	unsigned long nr = folio_nr_pages(folio);
	unsigned long offset = page_to_pfn(&folio->page) - page_to_pfn(f->first);

	if (offset < f->nr_tracked)
		nr = min(nr, f->nr_tracked - offset);
	return nr;
}

/* Number of the 2 MiB range's page that the head of @folio belongs at */
static unsigned long place_of(const struct thp_fixture *f, struct folio *folio)
{
	return ((f->where - f->addr) >> PAGE_SHIFT) +
		(page_to_pfn(&folio->page) - page_to_pfn(f->first));
}

static s64 relative_mm_id(const struct thp_fixture *f, unsigned int mm_id)
{
	if (mm_id == MM_ID_DUMMY)
		return 0;
	return mm_id == f->mm->mm_id ? 1 : 2;
}

static void capture_large(const struct thp_fixture *f, struct folio *folio,
			  struct thp_state *s)
{
	unsigned int i;

	s->entire = atomic_read(&folio->_entire_mapcount) + 1;
	s->nr_mapped = IS_ENABLED(CONFIG_NO_PAGE_MAPCOUNT) ? THP_NA :
		       atomic_read(&folio->_nr_pages_mapped);
	for (i = 0; i < 2; i++) {
		s->mm_id[i] = relative_mm_id(f, folio->_mm_id[i] & MM_ID_MASK);
		s->mm_id_mapcount[i] = folio->_mm_id_mapcount[i];
	}
	s->mm_shared = !!(folio->_mm_ids & FOLIO_MM_IDS_SHARED_BIT);
	s->pincount = atomic_read(&folio->_pincount);
#ifdef NR_PAGES_IN_LARGE_FOLIO
	s->nr_pages = folio->_nr_pages;
#else
	s->nr_pages = THP_NA;
#endif
	s->rmappable = folio_test_large_rmappable(folio);
	s->part_mapped = folio_test_partially_mapped(folio);
	s->hwpoisoned = folio_test_has_hwpoisoned(folio);
	s->deferred = s->order > 1 ? !list_empty(&folio->_deferred_list) : THP_NA;
}

static void capture_pages(const struct thp_fixture *f, struct folio *folio,
			  struct thp_state *s)
{
	struct fake_zdev *zdev = thp_fixture_zdev_of(f, &folio->page);
	unsigned long nr = pages_in_reach(f, folio), i;

	s->page_mapcount = atomic_read(&folio->page._mapcount);
	for (i = 0; i < nr; i++) {
		struct page *page = &folio->page + i;
		const void *data = zdev ? fake_zdev_data(zdev, page) : page_address(page);

		if (atomic_read(&page->_mapcount) != s->page_mapcount)
			s->page_mapcount = THP_MIXED;
		if (test_bit(PG_anon_exclusive, &page->flags.f))
			s->excl++;
		if (thp_data_check(data, place_of(f, folio) + i))
			s->data++;
		if (!i)
			continue;
		if (PageTail(page) && page_folio(page) == folio)
			s->tails++;
		s->tail_refs += page_ref_count(page);
		/* page->mapping of the second and third page is put to other uses */
		if (i > 2 && page->mapping == TAIL_MAPPING)
			s->tail_marks++;
	}
}

/**
 * thp_ledger_capture_folio() - read the fields of struct folio
 * @f: fixture; decides which mm is 1 in thp_state.mm_id
 * @folio: folio to read; need not be a sane one
 * @s: where to write; only the fields of THP_GROUP_FOLIO
 *
 * Context: any; the folio must not change under the reader.
 */
void thp_ledger_capture_folio(const struct thp_fixture *f, struct folio *folio,
			      struct thp_state *s)
{
	s->order = folio_order(folio);
	s->refcount = folio_ref_count(folio);
	s->flags = folio->flags.f & THP_HEAD_FLAGS;
	s->pgmap = 0;
	s->zdd = 0;
	if (folio_is_zone_device(folio)) {
		s->pgmap = (s64)folio->pgmap;
		s->zdd = (s64)folio->page.zone_device_data;
	}
	s->mapping = (s64)folio->mapping;
	s->index = folio->index;
	s->private = (s64)folio->private;
#ifdef CONFIG_MEMCG
	s->memcg = folio->memcg_data;
#else
	s->memcg = THP_NA;
#endif
	s->excl = 0;
	s->excl_head = test_bit(PG_anon_exclusive, &folio->flags.f);
	s->tails = 0;
	s->tail_refs = 0;
	s->tail_marks = 0;
	s->data = 0;
	capture_pages(f, folio, s);

	s->entire = THP_NA;
	s->nr_mapped = THP_NA;
	s->mm_id[0] = THP_NA;
	s->mm_id[1] = THP_NA;
	s->mm_id_mapcount[0] = THP_NA;
	s->mm_id_mapcount[1] = THP_NA;
	s->mm_shared = THP_NA;
	s->pincount = THP_NA;
	s->nr_pages = THP_NA;
	s->rmappable = THP_NA;
	s->part_mapped = THP_NA;
	s->hwpoisoned = THP_NA;
	s->deferred = THP_NA;
	if (s->order) {
		s->mapcount = atomic_read(&folio->_large_mapcount) + 1;
		capture_large(f, folio, s);
	} else {
		s->mapcount = atomic_read(&folio->_mapcount) + 1;
	}
}

/**
 * thp_pte_kind() - classify a PTE
 * @pte: value of the entry
 *
 * Return: what it is, never THP_KIND_TABLE.
 */
enum thp_kind thp_pte_kind(pte_t pte)
{
	softleaf_t entry;

	if (pte_none(pte))
		return THP_KIND_NONE;
	if (pte_present(pte))
		return THP_KIND_PRESENT;
	entry = softleaf_from_pte(pte);
	if (softleaf_is_device_private(entry))
		return THP_KIND_DEVICE;
	return softleaf_is_migration(entry) ? THP_KIND_MIGRATION : THP_KIND_OTHER;
}

/**
 * thp_pmd_kind() - classify a PMD
 * @pmd: value of the entry
 *
 * Return: what it is.
 */
enum thp_kind thp_pmd_kind(pmd_t pmd)
{
	if (pmd_none(pmd))
		return THP_KIND_NONE;
	if (pmd_is_device_private_entry(pmd))
		return THP_KIND_DEVICE;
	if (pmd_is_migration_entry(pmd))
		return THP_KIND_MIGRATION;
	if (!pmd_present(pmd))
		return THP_KIND_OTHER;
	return pmd_trans_huge(pmd) ? THP_KIND_PRESENT : THP_KIND_TABLE;
}

static void add_kind(struct thp_state *s, enum thp_kind kind, bool first)
{
	if (first)
		s->leaf = kind;
	else if (s->leaf != kind)
		s->leaf = THP_MIXED;
	if (kind != THP_KIND_NONE)
		s->leaves++;
}

static void add_softleaf(struct thp_state *s, softleaf_t entry, unsigned long pfn)
{
	if (softleaf_has_pfn(entry) && softleaf_to_pfn(entry) == pfn)
		s->leaf_pfn++;
	if (softleaf_is_migration_write(entry) || softleaf_is_device_private_write(entry))
		s->leaf_write++;
	if (softleaf_is_migration_read_exclusive(entry))
		s->leaf_excl++;
	if (softleaf_is_migration(entry)) {
		s->leaf_young += softleaf_is_migration_young(entry);
		s->leaf_dirty += softleaf_is_migration_dirty(entry);
	}
}

static void add_pte(struct thp_state *s, pte_t pte, unsigned long pfn, bool first)
{
	enum thp_kind kind = thp_pte_kind(pte);

	add_kind(s, kind, first);
	if (kind == THP_KIND_NONE)
		return;
	if (kind != THP_KIND_PRESENT) {
		add_softleaf(s, softleaf_from_pte(pte), pfn);
		s->leaf_soft += pte_swp_soft_dirty(pte);
		s->leaf_uffd += pte_swp_uffd(pte);
		return;
	}
	s->leaf_pfn += pte_pfn(pte) == pfn;
	s->leaf_write += !!pte_write(pte);
	s->leaf_young += !!pte_young(pte);
	s->leaf_dirty += !!pte_dirty(pte);
	s->leaf_soft += pte_soft_dirty(pte);
	s->leaf_uffd += pte_uffd(pte);
}

static void add_pmd(struct thp_state *s, pmd_t pmd, unsigned long pfn)
{
	enum thp_kind kind = thp_pmd_kind(pmd);

	add_kind(s, kind, true);
	if (kind == THP_KIND_NONE)
		return;
	if (kind != THP_KIND_PRESENT) {
		add_softleaf(s, softleaf_from_pmd(pmd), pfn);
		s->leaf_soft += pmd_swp_soft_dirty(pmd);
		s->leaf_uffd += pmd_swp_uffd(pmd);
		return;
	}
	s->leaf_pfn += pmd_pfn(pmd) == pfn;
	s->leaf_write += !!pmd_write(pmd);
	s->leaf_young += !!pmd_young(pmd);
	s->leaf_dirty += !!pmd_dirty(pmd);
	s->leaf_soft += pmd_soft_dirty(pmd);
	s->leaf_uffd += pmd_uffd(pmd);
}

/**
 * thp_ledger_capture_leaves() - read the page table at the place of a folio
 * @f: fixture; thp_fixture_track() has said where the folio belongs
 * @folio: the folio
 * @s: where to write; only the fields of THP_GROUP_LEAVES
 *
 * Context: process context, nobody else uses the mm.
 */
void thp_ledger_capture_leaves(const struct thp_fixture *f, struct folio *folio,
			       struct thp_state *s)
{
	unsigned long pfn = page_to_pfn(&folio->page);
	unsigned long nr = pages_in_reach(f, folio), i;
	unsigned long addr = f->addr + (place_of(f, folio) << PAGE_SHIFT);
	pmd_t *pmdp = mm_find_pmd(f->seen, addr);
	pmd_t pmd = pmdp ? pmdp_get(pmdp) : __pmd(0);
	pte_t *ptep = NULL;

	s->leaves = 0;
	s->leaf_pfn = 0;
	s->leaf_write = 0;
	s->leaf_excl = 0;
	s->leaf_young = 0;
	s->leaf_dirty = 0;
	s->leaf_soft = 0;
	s->leaf_uffd = 0;
	s->leaf = THP_KIND_NONE;
	s->pmd = thp_pmd_kind(pmd);
	if (s->pmd == THP_KIND_TABLE)
		ptep = pte_offset_map(pmdp, addr);
	if (ptep) {
		for (i = 0; i < nr; i++)
			add_pte(s, ptep_get(ptep + i), pfn + i, !i);
		pte_unmap(ptep);
	} else {
		add_pmd(s, pmd, pfn);
	}
	if (!pgtable_supports_soft_dirty())
		s->leaf_soft = THP_NA;
	if (!IS_ENABLED(CONFIG_HAVE_ARCH_USERFAULTFD_WP))
		s->leaf_uffd = THP_NA;
}

static s64 mthp_stat(unsigned int order, enum mthp_stat_item item)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += (s64)per_cpu(mthp_stats, cpu).stats[order][item];
	return sum;
}

/**
 * thp_ledger_node_stat() - read a counter of the nodes
 * @item: which
 *
 * Return: the sum over all nodes, exact: with what the CPUs have not yet folded
 * into the node's counter.
 */
s64 thp_ledger_node_stat(enum node_stat_item item)
{
	struct pglist_data *pgdat;
	s64 sum = 0;
	int cpu;

	for_each_online_pgdat(pgdat) {
		sum += atomic_long_read(&pgdat->vm_stat[item]);
		for_each_possible_cpu(cpu)
			sum += per_cpu_ptr(pgdat->per_cpu_nodestats, cpu)->vm_node_stat_diff[item];
	}
	return sum;
}

static unsigned int list_length(pgtable_t table)
{
	return table ? 1 + list_count_nodes(&table->lru) : 0;
}

static void capture_mm(const struct thp_fixture *f, struct thp_state *s)
{
	pmd_t *pmdp = mm_find_pmd(f->seen, f->addr);
	enum thp_kind kind = pmdp ? thp_pmd_kind(pmdp_get(pmdp)) : THP_KIND_NONE;
	unsigned int i;
	pte_t *ptep;

	s->rss = percpu_counter_sum(&f->seen->rss_stat[MM_ANONPAGES]);
	s->rss_shmem = percpu_counter_sum(&f->seen->rss_stat[MM_SHMEMPAGES]);
	s->deposits = pmdp ? list_length(pmd_huge_pte(f->seen, pmdp)) : 0;
	s->pmd_leaves = kind != THP_KIND_NONE;
	if (kind != THP_KIND_TABLE)
		return;
	s->pmd_leaves = 0;
	ptep = pte_offset_map(pmdp, f->addr);
	for (i = 0; ptep && i < PTRS_PER_PTE; i++)
		s->pmd_leaves += !pte_none(ptep_get(ptep + i));
	if (ptep)
		pte_unmap(ptep);
}

/**
 * thp_ledger_capture_totals() - read the counters
 * @f: fixture; its @base is subtracted, its @seen is the mm
 * @s: where to write; only the fields of THP_GROUP_TOTALS
 *
 * Context: process context, nobody else uses the mm.
 */
void thp_ledger_capture_totals(const struct thp_fixture *f, struct thp_state *s)
{
	const struct thp_state *base = &f->base;
	unsigned long events[NR_VM_EVENT_ITEMS];
	unsigned int i;

	s->irqs_off = irqs_disabled();
	s->preempt = preempt_count();
	capture_mm(f, s);
	s->anon_mapped = thp_ledger_node_stat(NR_ANON_MAPPED) - base->anon_mapped;
	s->anon_thps = thp_ledger_node_stat(NR_ANON_THPS) - base->anon_thps;
	s->file_mapped = thp_ledger_node_stat(NR_FILE_MAPPED) - base->file_mapped;
	s->shmem = thp_ledger_node_stat(NR_SHMEM) - base->shmem;
	s->shmem_thps = thp_ledger_node_stat(NR_SHMEM_THPS) - base->shmem_thps;
	s->shmem_pmds = thp_ledger_node_stat(NR_SHMEM_PMDMAPPED) - base->shmem_pmds;
	for (i = 0; i < THP_NR_ORDERS; i++) {
		s->nr_anon[i] = mthp_stat(i, MTHP_STAT_NR_ANON) - base->nr_anon[i];
		s->nr_part[i] = mthp_stat(i, MTHP_STAT_NR_ANON_PARTIALLY_MAPPED) -
				base->nr_part[i];
		s->split[i] = mthp_stat(i, MTHP_STAT_SPLIT) - base->split[i];
		s->split_failed[i] = mthp_stat(i, MTHP_STAT_SPLIT_FAILED) -
				     base->split_failed[i];
		s->split_deferred[i] = mthp_stat(i, MTHP_STAT_SPLIT_DEFERRED) -
				       base->split_deferred[i];
	}
	all_vm_events(events);
	s->ev_split_pmd = events[THP_SPLIT_PMD] - base->ev_split_pmd;
	s->ev_split_page = events[THP_SPLIT_PAGE] - base->ev_split_page;
	s->ev_split_failed = events[THP_SPLIT_PAGE_FAILED] - base->ev_split_failed;
	s->ev_deferred = events[THP_DEFERRED_SPLIT_PAGE] - base->ev_deferred;
	s->ev_fault_alloc = events[THP_FAULT_ALLOC] - base->ev_fault_alloc;
	s->pgmap_refs = fake_zdev_pgmap_refs(f->zdev) - base->pgmap_refs;
	s->dev_free = fake_zdev_nr_free(f->zdev) - base->dev_free;
	if (f->peer) {
		s->pgmap_refs += fake_zdev_pgmap_refs(f->peer);
		s->dev_free += fake_zdev_nr_free(f->peer);
	}
	s->taint = get_taint() & ~f->taint;
}

/**
 * thp_ledger_capture() - read everything
 * @f: fixture
 * @folio: the folio under test
 * @state: where to write
 *
 * Context: process context, nobody else uses the mm or the folio.
 */
void thp_ledger_capture(const struct thp_fixture *f, struct folio *folio,
			struct thp_state *state)
{
	thp_ledger_capture_folio(f, folio, state);
	thp_ledger_capture_leaves(f, folio, state);
	thp_ledger_capture_totals(f, state);
}
