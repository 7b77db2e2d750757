/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * An mm, a device and a 2 MiB range of anonymous memory for a test of
 * device-private folios, and the ways to get a folio of any order into it.
 */
#ifndef _THP_FIXTURE_H
#define _THP_FIXTURE_H

#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/rmap.h>

#include "fake_zone_device.h"
#include "thp_ledger.h"

/* thp_fixture_fork() can be called that often */
#define THP_FIXTURE_MAX_CHILDREN	2

/* Leaves that all mms of a test may have: each PTE of the VMA, twice */
#define THP_FIXTURE_MAX_LEAVES		((1 + THP_FIXTURE_MAX_CHILDREN) * 4 * HPAGE_PMD_NR)

/* Anonymous folios of system memory that no page table has yet */
#define THP_FIXTURE_MAX_LOOSE		16

/**
 * struct thp_fixture - what a test of these suites works on
 * @test: the test
 * @params: what its devices are like
 * @zdev: its device
 * @peer: a second device, NULL unless thp_fixture_add_peer() has been called
 * @mm: the mm attached to the thread of the test, with nothing but the range
 * @children: mms that thp_fixture_fork() has made
 * @nr_children: number of them
 * @seen: the mm whose page tables, RSS and deposits the ledger reads: @mm, or a
 *	child that thp_fixture_look_at() was told to look at
 * @vma: the VMA around the range; NULL once thp_fixture_munmap() has split it
 * @anon_vma: its anon_vma
 * @start: start of the VMA, which is all there is in @mm
 * @end: end of the VMA
 * @addr: start of the range, aligned to and of HPAGE_PMD_SIZE
 * @taint: taints before the test
 * @base: the counters at the start; only their fields are filled in
 * @before: what the last thp_ledger_expect() has read, for its report
 * @first: first page of the folio under test, see thp_fixture_track()
 * @where: address that @first belongs at
 * @nr_tracked: pages from @first on
 * @memcg: memcg_data that anonymous folios of the range have
 * @charge_to: memcg that new folios are charged to; NULL: that of the mm
 * @flags: flags beyond those of the model that the folio has: PG_dirty for one
 *	that was written to before it was migrated
 * @write: whether the leaves are, or are to become, writable
 * @exclusive: whether its pages are AnonExclusive when mapped
 * @held: pages of the device whose folio the test holds locked, with one
 *	reference, by thp_fixture_page_nr()
 * @loose: large folios of system memory that are in no page table, besides that
 *	of @first: first pages. Those that migrate_vma_pages() has migrated to.
 * @nr_loose: number of them, up to THP_FIXTURE_MAX_LOOSE
 * @system: first page of what thp_fixture_alloc_system() has made
 * @nr_system: number of its pages; 0: nothing is held
 * @swapped: first entry that thp_fixture_add_to_swap() has taken
 * @nr_swapped: number of entries
 * @why: where thp_ledger_check_invariants() is to write the first violation,
 *	if nothing is there yet; NULL: it fails the test
 * @why_size: size of @why
 * @counts: scratch of thp_ledger_check_invariants()
 * @folios: scratch of thp_ledger_check_invariants()
 * @mapped: scratch of thp_ledger_check_invariants()
 * @after: scratch of thp_ledger_expect()
 * @shown: scratch of thp_ledger_expect_each()
 * @expected: scratch of thp_ledger_expect_each()
 * @scratch: scratch of thp_ledger_expect_each()
 * @nr_shown: steps that thp_ledger.show has printed
 * @shown_step: name of the last of them
 */
struct thp_fixture {
	struct kunit *test;
	const struct fake_zdev_params *params;
	struct fake_zdev *zdev;
	struct fake_zdev *peer;
	struct mm_struct *mm;
	struct mm_struct *children[THP_FIXTURE_MAX_CHILDREN];
	unsigned int nr_children;
	struct mm_struct *seen;
	struct vm_area_struct *vma;
	struct anon_vma *anon_vma;
	unsigned long start;
	unsigned long end;
	unsigned long addr;
	unsigned long taint;
	struct thp_state base;
	struct thp_state before;
	struct page *first;
	unsigned long where;
	unsigned long nr_tracked;
	s64 memcg;
	struct mem_cgroup *charge_to;
	unsigned long flags;
	bool write;
	bool exclusive;
	unsigned long *held;
	struct page *loose[THP_FIXTURE_MAX_LOOSE];
	unsigned int nr_loose;
	struct page *system;
	unsigned long nr_system;
	swp_entry_t swapped;
	unsigned long nr_swapped;
	char *why;
	size_t why_size;
	u16 *counts;
	struct folio **folios;
	unsigned long *mapped;
	struct thp_state after;
	struct thp_state shown;
	struct thp_state expected;
	struct thp_state scratch;
	unsigned int nr_shown;
	char shown_step[64];
};

/*
 * Suite callbacks and system memory: thp_fixture.c
 */
int thp_fixture_init(struct kunit *test);
int thp_fixture_init_with(struct kunit *test, const struct fake_zdev_params *params);
void thp_fixture_alloc_scratch(struct thp_fixture *f);
void thp_fixture_prepare_anon_vma(struct thp_fixture *f);
void thp_fixture_exit(struct kunit *test);
void thp_fixture_track(struct thp_fixture *f, struct page *first,
		       unsigned int order, unsigned long addr);
void thp_fixture_munmap(struct thp_fixture *f);
void thp_fixture_rebase(struct thp_fixture *f);
void thp_fixture_restart(struct thp_fixture *f);
void thp_fixture_anon_orders(struct kunit *test, unsigned long orders);
struct folio *thp_fixture_write(struct thp_fixture *f, unsigned int order);
struct folio *thp_fixture_touch(struct thp_fixture *f, unsigned int order);
struct folio *thp_fixture_folio_at(struct thp_fixture *f, unsigned long addr);
void thp_fixture_forget_warnings(void);
void thp_fixture_stay_on_cpu(void);

/*
 * Children: thp_fixture_fork.c
 */
struct mm_struct *thp_fixture_fork(struct thp_fixture *f);
void thp_fixture_end_child(struct thp_fixture *f, struct mm_struct *child);
void thp_fixture_look_at(struct thp_fixture *f, struct mm_struct *mm);
void thp_fixture_switch_mm(struct thp_fixture *f, struct mm_struct *from,
			   struct mm_struct *to);

/*
 * The pattern: thp_fixture_data.c
 */
bool thp_data_check(const void *data, unsigned long page_nr);
u64 thp_data_word(unsigned long page_nr, unsigned int word);
void thp_data_fill(void *data, unsigned long page_nr);
void thp_data_mark(void *data, unsigned long page_nr);
void thp_fixture_fill_device(struct thp_fixture *f, struct folio *folio);
void thp_fixture_read_back(struct thp_fixture *f, unsigned int order, const char *step);

/*
 * Folios of the device: thp_fixture_device.c
 */
void thp_fixture_add_peer(struct thp_fixture *f);
struct fake_zdev *thp_fixture_zdev_of(const struct thp_fixture *f, const struct page *page);
unsigned long thp_fixture_nr_pages(const struct thp_fixture *f);
unsigned long thp_fixture_page_nr(const struct thp_fixture *f, const struct page *page);
struct page *thp_fixture_nth_page(const struct thp_fixture *f, unsigned long nr);
struct folio *thp_fixture_alloc(struct thp_fixture *f, unsigned int order);
struct folio *thp_fixture_alloc_from(struct thp_fixture *f, struct fake_zdev *zdev,
				     unsigned int order);
void thp_fixture_make_anon(struct thp_fixture *f, struct folio *folio);
void thp_fixture_insert(struct thp_fixture *f, struct folio *folio);
void thp_fixture_split_pmd(struct thp_fixture *f, bool freeze);
void thp_fixture_unmap(struct thp_fixture *f, struct folio *folio, enum ttu_flags flags);
void thp_fixture_remap(struct thp_fixture *f, struct folio *folio);
void thp_fixture_hold(struct thp_fixture *f, struct folio *folio);
void thp_fixture_let_go(struct thp_fixture *f, struct folio *folio);

#endif /* _THP_FIXTURE_H */
