/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ledger: everything that the kernel keeps about a large folio and about
 * its place in an mm, as one structure of numbers.
 *
 * A test says what each number must be after a step; thp_ledger_expect() reads
 * all of them, compares all of them, and prints one table if any is wrong. The
 * invariants, which hold whatever the test expects, are checked along with it.
 *
 * Counters of the whole kernel are relative to the start of the test (struct
 * thp_fixture.base), so that every expected value is exact.
 */
#ifndef _THP_LEDGER_H
#define _THP_LEDGER_H

#include <kunit/test.h>
#include <linux/mm.h>

struct thp_fixture;

#define THP_NR_ORDERS	(HPAGE_PMD_ORDER + 1)

/* A field that this kernel does not have, or a folio of this order does not. */
#define THP_NA		S64_MIN
/* Pages or leaves that ought to be alike, and are not */
#define THP_MIXED	(S64_MIN + 1)

/**
 * enum thp_kind - what a page table entry is
 * @THP_KIND_NONE: nothing
 * @THP_KIND_TABLE: at PMD level: a table of PTEs
 * @THP_KIND_PRESENT: maps memory
 * @THP_KIND_DEVICE: device-private entry
 * @THP_KIND_MIGRATION: migration entry
 * @THP_KIND_OTHER: anything else
 */
enum thp_kind {
	THP_KIND_NONE,
	THP_KIND_TABLE,
	THP_KIND_PRESENT,
	THP_KIND_DEVICE,
	THP_KIND_MIGRATION,
	THP_KIND_OTHER,
};

/**
 * struct thp_state - a folio, its place in the mm, and the counters
 *
 * The folio, as include/linux/mm_types.h lays it out. Second-page fields are
 * THP_NA in a folio of order 0.
 * @order: folio_order()
 * @refcount: of the head
 * @mapcount: folio_mapcount(), large or not
 * @entire: folio_entire_mapcount()
 * @nr_mapped: _nr_pages_mapped, THP_NA with CONFIG_NO_PAGE_MAPCOUNT
 * @mm_id: _mm_id[]: 0: none, 1: the mm of the fixture, 2: another one
 * @mm_id_mapcount: _mm_id_mapcount[]
 * @mm_shared: FOLIO_MM_IDS_SHARED_BIT
 * @pincount: _pincount
 * @nr_pages: _nr_pages, THP_NA without NR_PAGES_IN_LARGE_FOLIO
 * @flags: THP_HEAD_FLAGS of the head
 * @rmappable: PG_large_rmappable
 * @part_mapped: PG_partially_mapped
 * @hwpoisoned: PG_has_hwpoisoned
 * @deferred: is on a list of deferred splits, THP_NA below order 2
 * @pgmap: dev_pagemap, 0 for system memory
 * @zdd: zone_device_data of the head, 0 for system memory
 * @mapping: raw, with its low bits
 * @index: page offset of the head
 * @private: of the head
 * @memcg: memcg_data of the head
 * @page_mapcount: _mapcount of each page; THP_MIXED if they differ
 * @excl: number of pages with AnonExclusive set
 * @excl_head: the head is one of them
 * @tails: tail pages whose compound_info leads to the head
 * @tail_refs: sum of the refcounts of the tail pages
 * @tail_marks: tail pages from the fourth on whose mapping is TAIL_MAPPING
 * @data: pages whose memory (shadow memory for a device page) holds the pattern
 *	of their place
 *
 * Its leaves: the entries of the page table at the address of the folio.
 * @pmd: enum thp_kind of the PMD that covers the folio
 * @leaf: enum thp_kind of the entries; THP_MIXED if they differ
 * @leaves: entries that are not empty; 1 for a PMD
 * @leaf_pfn: those whose pfn is that of the page that belongs there
 * @leaf_write: writable: PTE or PMD, device-private or migration entry
 * @leaf_excl: readable_exclusive migration entries
 * @leaf_young: young
 * @leaf_dirty: dirty
 * @leaf_soft: soft-dirty; THP_NA where the architecture does not have it
 * @leaf_uffd: uffd-wp; THP_NA where the architecture does not have it
 *
 * The mm that is looked at, the kernel, the devices
 * @pmd_leaves: entries that are not empty in the whole 2 MiB
 * @deposits: page tables deposited for the PMD
 * @rss: MM_ANONPAGES
 * @anon_mapped: NR_ANON_MAPPED of all nodes
 * @anon_thps: NR_ANON_THPS of all nodes
 * @rss_shmem: MM_SHMEMPAGES
 * @file_mapped: NR_FILE_MAPPED of all nodes
 * @shmem: NR_SHMEM of all nodes
 * @shmem_thps: NR_SHMEM_THPS of all nodes
 * @shmem_pmds: NR_SHMEM_PMDMAPPED of all nodes
 * @nr_anon: MTHP_STAT_NR_ANON by order
 * @nr_part: MTHP_STAT_NR_ANON_PARTIALLY_MAPPED by order
 * @split: MTHP_STAT_SPLIT by order
 * @split_failed: MTHP_STAT_SPLIT_FAILED by order
 * @split_deferred: MTHP_STAT_SPLIT_DEFERRED by order
 * @ev_split_pmd: THP_SPLIT_PMD
 * @ev_split_page: THP_SPLIT_PAGE
 * @ev_split_failed: THP_SPLIT_PAGE_FAILED
 * @ev_deferred: THP_DEFERRED_SPLIT_PAGE
 * @ev_fault_alloc: THP_FAULT_ALLOC
 * @pgmap_refs: references of all dev_pagemaps of the devices
 * @dev_free: free pages of the devices, less those at the start: 0 or negative
 * @irqs_off: interrupts are disabled
 * @preempt: preempt_count()
 * @taint: taints added since the start
 */
struct thp_state {
	s64 order, refcount, mapcount, entire, nr_mapped;
	s64 mm_id[2], mm_id_mapcount[2], mm_shared;
	s64 pincount, nr_pages, flags, rmappable, part_mapped, hwpoisoned;
	s64 deferred, pgmap, zdd, mapping, index, private, memcg;
	s64 page_mapcount, excl, excl_head, tails, tail_refs, tail_marks, data;

	s64 pmd, leaf, leaves, leaf_pfn, leaf_write, leaf_excl;
	s64 leaf_young, leaf_dirty, leaf_soft, leaf_uffd;

	s64 pmd_leaves, deposits, rss, anon_mapped, anon_thps;
	s64 rss_shmem, file_mapped, shmem, shmem_thps, shmem_pmds;
	s64 nr_anon[THP_NR_ORDERS], nr_part[THP_NR_ORDERS];
	s64 split[THP_NR_ORDERS], split_failed[THP_NR_ORDERS];
	s64 split_deferred[THP_NR_ORDERS];
	s64 ev_split_pmd, ev_split_page, ev_split_failed, ev_deferred;
	s64 ev_fault_alloc;
	s64 pgmap_refs, dev_free, irqs_off, preempt, taint;
};

/*
 * Flags of a head page that the ledger compares. Not among them: PG_reserved,
 * which a device page has until the first split takes it from the tails only
 * (PAGE_FLAGS_CHECK_AT_PREP); PG_anon_exclusive (PG_owner_2), which has fields
 * of its own; zone, node, section and last_cpupid.
 */
#define THP_HEAD_FLAGS	(BIT(PG_locked) | BIT(PG_referenced) | BIT(PG_uptodate) |	\
			 BIT(PG_dirty) | BIT(PG_lru) | BIT(PG_head) | BIT(PG_waiters) |	\
			 BIT(PG_active) | BIT(PG_workingset) | BIT(PG_owner_priv_1) |	\
			 BIT(PG_private) | BIT(PG_private_2) | BIT(PG_writeback) |	\
			 BIT(PG_reclaim) | BIT(PG_swapbacked) | BIT(PG_unevictable) |	\
			 BIT(PG_mlocked))

/**
 * struct thp_field - how a field of struct thp_state is called and printed
 * @name: name
 * @offset: its place in struct thp_state
 * @group: compared for each folio (THP_GROUP_FOLIO, THP_GROUP_LEAVES), or once
 *	for a step (THP_GROUP_TOTALS)
 * @format: as a number, in hexadecimal, as a list of flags, or as a kind
 */
struct thp_field {
	const char *name;
	size_t offset;
	enum { THP_GROUP_FOLIO, THP_GROUP_LEAVES, THP_GROUP_TOTALS } group;
	enum { THP_FORMAT_DEC, THP_FORMAT_HEX, THP_FORMAT_FLAGS, THP_FORMAT_KIND } format;
};

extern const struct thp_field thp_fields[];
extern const unsigned int thp_nr_fields;

static inline s64 thp_field_value(const struct thp_state *state,
				  const struct thp_field *field)
{
	return *(const s64 *)((const char *)state + field->offset);
}

/*
 * Reading: thp_ledger_capture.c
 */
void thp_ledger_capture(const struct thp_fixture *f, struct folio *folio,
			struct thp_state *state);
void thp_ledger_capture_folio(const struct thp_fixture *f, struct folio *folio,
			      struct thp_state *state);
void thp_ledger_capture_leaves(const struct thp_fixture *f, struct folio *folio,
			       struct thp_state *state);
void thp_ledger_capture_totals(const struct thp_fixture *f, struct thp_state *state);
s64 thp_ledger_node_stat(enum node_stat_item item);
enum thp_kind thp_pmd_kind(pmd_t pmd);
enum thp_kind thp_pte_kind(pte_t pte);

/*
 * Comparing: thp_ledger_report.c
 */
unsigned int thp_ledger_compare(struct thp_fixture *f, const struct thp_state *before,
				const struct thp_state *want,
				const struct thp_state *after, const char *step);
void thp_ledger_expect(struct thp_fixture *f, struct folio *folio,
		       const struct thp_state *want, const char *step);
bool thp_ledger_matches(struct thp_fixture *f, struct folio *folio,
			const struct thp_state *want);
void thp_ledger_expect_known_bug(struct thp_fixture *f, struct folio *folio,
				 const struct thp_state *right,
				 const struct thp_state *bug, const char *id,
				 const char *step);
void thp_ledger_expect_each(struct thp_fixture *f, struct page *first,
			    unsigned int nr_folios, const struct thp_state *want,
			    const char *step);

/*
 * What must hold whatever a test expects: thp_ledger_invariants.c
 */
void thp_ledger_check_invariants(struct thp_fixture *f, const char *step);
void thp_ledger_check_exit(struct thp_fixture *f);

/*
 * The model that expected values come from: thp_ledger_want.c
 */

/**
 * enum thp_where - where a folio is in its life
 * @THP_FRESH: from zone_device_folio_init(): locked, not yet anybody's
 * @THP_UNMAPPED: an anonymous folio that no page table knows: locked
 * @THP_PTES: mapped, each page by a PTE
 * @THP_PMD: mapped by a PMD
 * @THP_MIGRATION_PTES: each page has a PTE migration entry: locked
 * @THP_MIGRATION_PMD: it has a PMD migration entry: locked
 */
enum thp_where {
	THP_FRESH,
	THP_UNMAPPED,
	THP_PTES,
	THP_PMD,
	THP_MIGRATION_PTES,
	THP_MIGRATION_PMD,
};

void thp_want(const struct thp_fixture *f, struct thp_state *want,
	      unsigned int order, enum thp_where where);
void thp_want_split(struct thp_state *want, unsigned int old_order,
		    unsigned int new_order);
void thp_want_row(struct thp_state *want, unsigned long nr);
void thp_want_system(struct thp_state *want);
void thp_want_forked(struct thp_state *want);

#endif /* _THP_LEDGER_H */
