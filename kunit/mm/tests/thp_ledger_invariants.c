// SPDX-License-Identifier: GPL-2.0-only
/*
 * What must hold after every step, whatever the step was: struct page, page
 * tables and counters tell the same story. Each check recounts from page tables
 * and from the device's pool and takes nothing from the expected values.
 *
 * Each has a number, by which a failure names it:
 *  I2  folio_mapcount(), _entire_mapcount and _mapcount are what page tables say
 *  I3  tail pages have no reference and lead to their head
 *  I4  an unmapped folio belongs to no mm
 *  I5  an AnonExclusive page is not mapped more than once
 *  I6  references of the dev_pagemap are the pages of live folios
 *  I7  RSS is what page tables hold, migration and device entries included
 *  I8  MTHP_STAT_NR_ANON is the number of anonymous folios of that order
 *  I9  NR_ANON_MAPPED, NR_ANON_THPS and their like for shmem are what is mapped,
 *      as pages and PMDs
 *  I11 the pool of the device is in order, and each live folio is of its order
 *  I12 a page table is deposited for each huge leaf; all tables are accounted
 *  I13 a folio of the device is on no list of reclaim
 *  I14 a large folio is naturally aligned
 *
 * Elsewhere: I1 (references have holders), I15 (data), I16 (no warning, no
 * taint) and I17 (interrupts, preemption) are fields of the ledger. I10 (charged
 * pages) needs a memcg other than the root, which charges no pages.
 */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/pgtable.h>
#include <linux/sort.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_fixture.h"

/* The numbers, recounted */
struct census {
	struct thp_fixture *f;
	const char *step;
	unsigned int failures;
	unsigned int nr_folios;
	unsigned int nr_mapped;
	s64 mapped, thps, file_mapped, shmem_pmds;
	s64 nr_anon[THP_NR_ORDERS];
	u16 *ptes;
	u16 *pmds;
};

/* Those of one mm */
struct mm_census {
	struct census *c;
	struct mm_struct *mm;
	s64 rss, rss_shmem, huge_leaves, tables, deposits;
};

/* One complaint, with numbers; the rest of a broken step is not worth reading */
#define MAX_COMPLAINTS	8

static void complain(struct census *c, const char *invariant, const char *what,
		     s64 is, s64 expected, unsigned long idx)
{
	if (c->f->why) {
		if (!*c->f->why)
			snprintf(c->f->why, c->f->why_size,
				 "%s: %s is %lld, should be %lld (device page %ld)",
				 invariant, what, is, expected, (long)idx);
		return;
	}
	if (c->failures++ >= MAX_COMPLAINTS)
		return;
	if (idx == FAKE_ZDEV_NO_PAGE)
		KUNIT_FAIL(c->f->test, "%s: %s: %s is %lld, should be %lld",
			   c->step, invariant, what, is, expected);
	else
		KUNIT_FAIL(c->f->test, "%s: %s: %s of device page %lu is %lld, should be %lld",
			   c->step, invariant, what, idx, is, expected);
}

static void check(struct census *c, const char *invariant, const char *what,
		  s64 is, s64 expected, unsigned long idx)
{
	if (is != expected)
		complain(c, invariant, what, is, expected, idx);
}

/* An anonymous folio of system memory: those of the devices are in their pools */
static void note_folio(struct census *c, struct page *page)
{
	struct folio *folio = page_folio(page);

	if (folio_is_zone_device(folio) || !folio_test_anon(folio))
		return;
	if (c->nr_folios && c->f->folios[c->nr_folios - 1] == folio)
		return;
	if (c->nr_folios == THP_FIXTURE_MAX_LEAVES)
		complain(c, "I8", "number of leaves", c->nr_folios + 1,
			 THP_FIXTURE_MAX_LEAVES, FAKE_ZDEV_NO_PAGE);
	else
		c->f->folios[c->nr_folios++] = folio;
}

static int compare_folios(const void *a, const void *b)
{
	const struct folio *x = *(struct folio * const *)a;
	const struct folio *y = *(struct folio * const *)b;

	return x < y ? -1 : x > y;
}

/* Once each, however many page tables have it */
static void count_folios(struct census *c)
{
	struct folio **folios = c->f->folios;
	unsigned int i;

	sort(folios, c->nr_folios, sizeof(*folios), compare_folios, NULL);
	for (i = 0; i < c->nr_folios; i++)
		if (!i || folios[i] != folios[i - 1])
			c->nr_anon[min(folio_order(folios[i]), HPAGE_PMD_ORDER)]++;
}

/*
 * A mapping. Those of children are not new ones for NR_ANON_MAPPED and NR_ANON_THPS
 * (__folio_add_rmap()), so they are sorted out later.
 */
static void note_mapping(struct census *c, struct page *page, bool pmd)
{
	if (c->nr_mapped == THP_FIXTURE_MAX_LEAVES)
		complain(c, "I9", "number of mappings", c->nr_mapped + 1,
			 THP_FIXTURE_MAX_LEAVES, FAKE_ZDEV_NO_PAGE);
	else
		c->f->mapped[c->nr_mapped++] = (unsigned long)page | !pmd;
}

static int compare_mappings(const void *a, const void *b)
{
	const unsigned long x = *(const unsigned long *)a;
	const unsigned long y = *(const unsigned long *)b;

	return x < y ? -1 : x > y;
}

/* Each page once, whoever maps it by whatever; a PMD comes before its pages. */
static void count_mappings(struct census *c)
{
	const unsigned long *mapped = c->f->mapped;
	const bool shared = c->f->nr_children;
	unsigned long end = 0;
	unsigned int i;

	if (shared)
		sort(c->f->mapped, c->nr_mapped, sizeof(*mapped), compare_mappings, NULL);
	for (i = 0; i < c->nr_mapped; i++) {
		const bool pmd = !(mapped[i] & 1);

		if (shared && mapped[i] < end)
			continue;
		end = (mapped[i] & ~1UL) + (pmd ? HPAGE_PMD_NR : 1) * sizeof(struct page);
		c->mapped += pmd ? HPAGE_PMD_NR : 1;
		c->thps += pmd ? HPAGE_PMD_NR : 0;
	}
}

static void count_leaf(struct mm_census *m, enum thp_kind kind, struct page *page, bool pmd)
{
	unsigned long nr = pmd ? HPAGE_PMD_NR : 1;
	struct census *c = m->c;

	/*
	 * Shmem, which no two mms share: there are no other files. Its PMDs need
	 * no table to be split into.
	 */
	if (kind != THP_KIND_DEVICE && !folio_test_anon(page_folio(page))) {
		m->rss_shmem += nr;
		if (kind == THP_KIND_MIGRATION)
			return;
		c->file_mapped += nr;
		c->shmem_pmds += pmd ? nr : 0;
		return;
	}
	m->rss += nr;
	m->huge_leaves += pmd;
	note_folio(c, page);
	if (kind == THP_KIND_MIGRATION)
		return;
	note_mapping(c, page, pmd);
	if (kind == THP_KIND_DEVICE && thp_fixture_zdev_of(c->f, page)) {
		u16 *counts = pmd ? c->pmds : c->ptes;

		counts[thp_fixture_page_nr(c->f, page)]++;
	}
}

static void walk_ptes(struct mm_census *m, pmd_t *pmdp, unsigned long addr)
{
	pte_t *ptep = pte_offset_map(pmdp, addr);
	unsigned int i;

	for (i = 0; ptep && i < PTRS_PER_PTE; i++) {
		pte_t pte = ptep_get(ptep + i);
		enum thp_kind kind = thp_pte_kind(pte);

		if (kind == THP_KIND_PRESENT && !is_zero_pfn(pte_pfn(pte)))
			count_leaf(m, kind, pfn_to_page(pte_pfn(pte)), false);
		else if (kind == THP_KIND_DEVICE || kind == THP_KIND_MIGRATION)
			count_leaf(m, kind, softleaf_to_page(softleaf_from_pte(pte)), false);
	}
	if (ptep)
		pte_unmap(ptep);
}

static void walk_pmd(struct mm_census *m, pmd_t *pmdp, unsigned long addr)
{
	pmd_t pmd = pmdp_get(pmdp);
	enum thp_kind kind = thp_pmd_kind(pmd);

	switch (kind) {
	case THP_KIND_TABLE:
		m->tables++;
		walk_ptes(m, pmdp, addr);
		break;
	case THP_KIND_PRESENT:
		/* The huge zero folio has a deposit, but counts for nobody's RSS. */
		if (is_huge_zero_pmd(pmd))
			m->huge_leaves++;
		else
			count_leaf(m, kind, pmd_page(pmd), true);
		break;
	case THP_KIND_DEVICE:
	case THP_KIND_MIGRATION:
		count_leaf(m, kind, softleaf_to_page(softleaf_from_pmd(pmd)), true);
		break;
	default:
		break;
	}
}

static s64 count_deposits(struct mm_struct *mm, pmd_t *pmdp)
{
	pgtable_t table = pmd_huge_pte(mm, pmdp);

	return table ? 1 + list_count_nodes(&table->lru) : 0;
}

/* Deposits are kept by PMD table, or all in one place, see pmd_huge_pte(). */
static void walk_pmds(struct mm_census *m, pud_t *pudp, unsigned long addr)
{
	unsigned long i;

	m->tables++;
	if (IS_ENABLED(CONFIG_SPLIT_PMD_PTLOCKS) || !m->deposits)
		m->deposits += count_deposits(m->mm, pmd_offset(pudp, addr));
	for (i = 0; i < PTRS_PER_PMD; i++, addr += PMD_SIZE)
		walk_pmd(m, pmd_offset(pudp, addr), addr);
}

static void walk_puds(struct mm_census *m, p4d_t *p4dp, unsigned long addr)
{
	unsigned long i;

	m->tables++;
	for (i = 0; i < PTRS_PER_PUD; i++, addr += PUD_SIZE) {
		pud_t *pudp = pud_offset(p4dp, addr);

		if (!pud_none(pudp_get(pudp)))
			walk_pmds(m, pudp, addr);
	}
}

/* All page tables that user space has, wherever its VMAs are. */
static void walk_mm(struct mm_census *m)
{
	unsigned long i;

	static_assert(PTRS_PER_P4D == 1, "a level between is not walked");
	for (i = 0; i < USER_PTRS_PER_PGD; i++) {
		unsigned long addr = i << PGDIR_SHIFT;
		p4d_t *p4dp = p4d_offset(pgd_offset(m->mm, addr), addr);

		if (!p4d_none(p4dp_get(p4dp)))
			walk_puds(m, p4dp, addr);
	}
}

static void check_mm_counts(struct census *c, struct mm_struct *mm)
{
	struct mm_census m = { .c = c, .mm = mm };
	const unsigned long none = FAKE_ZDEV_NO_PAGE;

	walk_mm(&m);
	check(c, "I7", "MM_ANONPAGES", percpu_counter_sum(&mm->rss_stat[MM_ANONPAGES]),
	      m.rss, none);
	check(c, "I7", "MM_SHMEMPAGES", percpu_counter_sum(&mm->rss_stat[MM_SHMEMPAGES]),
	      m.rss_shmem, none);
	check(c, "I12", "deposited page tables", m.deposits, m.huge_leaves, none);
	check(c, "I12", "bytes of page tables", mm_pgtables_bytes(mm),
	      (m.tables + m.deposits) * PAGE_SIZE, none);
}

static void check_tail(struct census *c, struct folio *folio, struct page *page,
		       unsigned long idx)
{
	check(c, "I3", "refcount of a tail", page_ref_count(page), 0, idx);
	check(c, "I3", "PageTail", PageTail(page), 1, idx);
	check(c, "I3", "compound_head offset",
	      page_to_pfn(page) - folio_pfn(page_folio(page)),
	      page_to_pfn(page) - folio_pfn(folio), idx);
}

/* _mapcount and AnonExclusive of one page against @ptes and the folio's PMD */
static void check_page_maps(struct census *c, struct page *page, bool large,
			    unsigned int entire, unsigned long idx)
{
	unsigned int maps = c->ptes[idx] + entire;

	if (!large || IS_ENABLED(CONFIG_PAGE_MAPCOUNT))
		check(c, "I2", "_mapcount", atomic_read(&page->_mapcount),
		      (s64)c->ptes[idx] - 1, idx);
	/* Zapping leaves AnonExclusive set, so there may be no mapping any more. */
	if (test_bit(PG_anon_exclusive, &page->flags.f) && maps > 1)
		complain(c, "I5", "mappings of an AnonExclusive page", maps, 1, idx);
}

static void check_live_folio(struct census *c, unsigned long idx, unsigned int order)
{
	struct page *page = thp_fixture_nth_page(c->f, idx);
	struct folio *folio = (struct folio *)page;
	unsigned long nr = 1UL << order, i;
	s64 maps = c->pmds[idx];

	check(c, "I11", "order", folio_order(folio), order, idx);
	if (folio_order(folio) != order)
		return;
	check(c, "I14", "offset from natural alignment", folio_pfn(folio) & (nr - 1), 0, idx);
	check(c, "I13", "PG_lru", folio_test_lru(folio), 0, idx);
	check(c, "I13", "PG_mlocked", folio_test_mlocked(folio), 0, idx);
	if (order > 1)
		check(c, "I13", "being on the deferred list",
		      !list_empty(&folio->_deferred_list), 0, idx);
	for (i = 0; i < nr; i++) {
		if (i)
			check_tail(c, folio, page + i, idx + i);
		check_page_maps(c, page + i, order, c->pmds[idx], idx + i);
		maps += c->ptes[idx + i];
	}
	check(c, "I2", "mapcount", folio_mapcount(folio), maps, idx);
	if (order) {
		check(c, "I2", "entire mapcount", folio_entire_mapcount(folio),
		      c->pmds[idx], idx);
		if (!maps) {
			check(c, "I4", "_mm_ids", folio->_mm_ids, 0, idx);
			check(c, "I4", "_mm_id_mapcount[0]", folio->_mm_id_mapcount[0], -1, idx);
			check(c, "I4", "_mm_id_mapcount[1]", folio->_mm_id_mapcount[1], -1, idx);
		}
	}
	if (folio_test_anon(folio))
		c->nr_anon[order]++;
}

/*
 * All folios of a device, whose pages have the numbers from @first on; returns
 * how many pages they have.
 */
static s64 check_device(struct census *c, struct fake_zdev *zdev, unsigned long first)
{
	unsigned long idx = 0, end = fake_zdev_nr_pages(zdev);
	s64 live = 0;

	while ((idx = fake_zdev_next_live(zdev, idx)) < end) {
		const unsigned int order = fake_zdev_live_order(zdev, idx);

		check_live_folio(c, first + idx, order);
		live += 1L << order;
		idx += 1UL << order;
	}
	check(c, "I6", "references of the pgmap", fake_zdev_pgmap_refs(zdev), live,
	      FAKE_ZDEV_NO_PAGE);
	check(c, "I11", "pages in use", end - fake_zdev_nr_free(zdev), live,
	      FAKE_ZDEV_NO_PAGE);
	return live;
}

static void check_totals(struct census *c)
{
	const struct thp_state *s = &c->f->before;
	const unsigned long none = FAKE_ZDEV_NO_PAGE;
	unsigned int order;

	for (order = 1; order < THP_NR_ORDERS; order++)
		if (s->nr_anon[order] != c->nr_anon[order])
			complain(c, "I8", "nr_anon", s->nr_anon[order],
				 c->nr_anon[order], none);
	check(c, "I9", "NR_ANON_MAPPED", s->anon_mapped, c->mapped, none);
	check(c, "I9", "NR_ANON_THPS", s->anon_thps, c->thps, none);
	check(c, "I9", "NR_FILE_MAPPED", s->file_mapped, c->file_mapped, none);
	check(c, "I9", "NR_SHMEM_PMDMAPPED", s->shmem_pmds, c->shmem_pmds, none);
}

/**
 * thp_ledger_check_invariants() - check the invariants
 * @f: fixture; @f->before holds the totals that were just read
 * @step: name of the step, for the report
 *
 * Over the mm, its children and all devices of the fixture. Fails the test with
 * one message for each violation, up to eight; with @f->why the first one is
 * written there instead.
 *
 * Context: process context, nobody else uses the mms or the devices.
 */
void thp_ledger_check_invariants(struct thp_fixture *f, const char *step)
{
	unsigned long nr = thp_fixture_nr_pages(f);
	struct census c = { .f = f, .step = step };
	unsigned long page;
	unsigned int i;

	memset(f->counts, 0, 2 * nr * sizeof(*f->counts));
	c.ptes = f->counts;
	c.pmds = f->counts + nr;
	check_mm_counts(&c, f->mm);
	for (i = 0; i < f->nr_children; i++)
		check_mm_counts(&c, f->children[i]);
	/* A destination in system memory may be in no page table yet. */
	note_folio(&c, f->first);
	for (i = 0; i < f->nr_loose; i++)
		note_folio(&c, f->loose[i]);
	for (page = 0; page < f->nr_system; page++)
		note_folio(&c, f->system + page);
	count_folios(&c);
	count_mappings(&c);
	check_device(&c, f->zdev, 0);
	if (f->peer)
		check_device(&c, f->peer, fake_zdev_nr_pages(f->zdev));
	check_totals(&c);
}

/**
 * thp_ledger_check_exit() - check that a test has left nothing behind
 * @f: fixture; the range is unmapped, no folio is held
 *
 * Every counter of the kernel must be what it was when the test began, except
 * for those of events.
 */
void thp_ledger_check_exit(struct thp_fixture *f)
{
	struct thp_state *s = &f->after;
	struct kunit *test = f->test;
	unsigned int order;
	char why[128] = "";

	thp_ledger_capture_totals(f, s);
	KUNIT_EXPECT_EQ_MSG(test, s->rss, 0, "exit: MM_ANONPAGES");
	KUNIT_EXPECT_EQ_MSG(test, s->anon_mapped, 0, "exit: NR_ANON_MAPPED");
	KUNIT_EXPECT_EQ_MSG(test, s->anon_thps, 0, "exit: NR_ANON_THPS");
	KUNIT_EXPECT_EQ_MSG(test, s->rss_shmem, 0, "exit: MM_SHMEMPAGES");
	KUNIT_EXPECT_EQ_MSG(test, s->file_mapped, 0, "exit: NR_FILE_MAPPED");
	KUNIT_EXPECT_EQ_MSG(test, s->shmem, 0, "exit: NR_SHMEM");
	KUNIT_EXPECT_EQ_MSG(test, s->shmem_thps, 0, "exit: NR_SHMEM_THPS");
	KUNIT_EXPECT_EQ_MSG(test, s->shmem_pmds, 0, "exit: NR_SHMEM_PMDMAPPED");
	KUNIT_EXPECT_EQ_MSG(test, s->deposits, 0, "exit: deposited page tables");
	for (order = 1; order < THP_NR_ORDERS; order++) {
		KUNIT_EXPECT_EQ_MSG(test, s->nr_anon[order], 0,
				    "exit: nr_anon of order %u", order);
		KUNIT_EXPECT_EQ_MSG(test, s->nr_part[order], 0,
				    "exit: nr_anon_partially_mapped of order %u", order);
	}
	KUNIT_EXPECT_EQ_MSG(test, s->dev_free, 0, "exit: pages of the device in use");
	KUNIT_EXPECT_EQ_MSG(test, s->pgmap_refs, 0, "exit: references of the pgmap");
	KUNIT_EXPECT_EQ_MSG(test, fake_zdev_count_pool_errors(f->zdev, why, sizeof(why)), 0,
			    "exit: pool: %s", why);
	if (f->peer)
		KUNIT_EXPECT_EQ_MSG(test,
				    fake_zdev_count_pool_errors(f->peer, why, sizeof(why)), 0,
				    "exit: pool of the peer: %s", why);
	KUNIT_EXPECT_EQ_MSG(test, s->taint, 0, "exit: taints added by this test");
}
