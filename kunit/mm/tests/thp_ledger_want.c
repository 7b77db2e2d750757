// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model: what the ledger must find of a device-private folio, by its order
 * and where it is in its life.
 *
 * This is the specification that the suites test, written down as numbers. It
 * must not call the code under test.
 */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "../internal.h"
#include "thp_fixture.h"

/* A folio as zone_device_folio_init() (mm/memremap.c) makes it */
static void want_fresh(const struct thp_fixture *f, struct thp_state *w, unsigned int order)
{
	unsigned long nr = 1UL << order;
	struct fake_zdev *zdev = thp_fixture_zdev_of(f, f->first);
	unsigned long idx = zdev ? fake_zdev_index(zdev, f->first) : 0;

	*w = (struct thp_state) {
		.order = order,
		.refcount = 1,
		.flags = BIT(PG_locked) | (order ? BIT(PG_head) : 0),
		.pgmap = zdev ? (s64)fake_zdev_pgmap(zdev, idx) : 0,
		.zdd = zdev ? (s64)fake_zdev_data(zdev, f->first) : 0,
		.page_mapcount = -1,
		.tails = nr - 1,
		.tail_marks = order > 1 ? nr - 3 : 0,
		.data = nr,
		.preempt = f->base.preempt,
		.pgmap_refs = nr,
		.dev_free = -(s64)nr,
		/* second page: nobody has mapped it, see prep_compound_head() */
		.mm_id_mapcount = { -1, -1 },
		.nr_pages = nr,
		.rmappable = 1,
	};
}

/* An anonymous folio that no page table knows, like one under migration */
static void want_anon(const struct thp_fixture *f, struct thp_state *w)
{
	w->flags |= BIT(PG_uptodate) | BIT(PG_swapbacked) | f->flags;
	/* The VMA was never moved, so the index is that of its address. */
	w->mapping = (s64)f->anon_vma | FOLIO_MAPPING_ANON;
	w->index = f->where >> PAGE_SHIFT;
	w->memcg = f->memcg;
	w->nr_anon[w->order] = w->order ? 1 : 0;
}

/*
 * Page table entries of the folio: @nr of them, with what they count for. Any
 * kind of entry counts for RSS: try_to_migrate() and set_pmd_migration_entry()
 * leave MM_ANONPAGES alone.
 */
static void want_leaves(const struct thp_fixture *f, struct thp_state *w,
			enum thp_kind kind, unsigned long nr)
{
	const bool by_pmd = nr == 1 && w->order == HPAGE_PMD_ORDER;

	w->pmd = by_pmd ? kind : THP_KIND_TABLE;
	w->leaf = kind;
	w->leaves = nr;
	w->leaf_pfn = nr;
	w->leaf_write = f->write ? nr : 0;
	if (kind == THP_KIND_MIGRATION && f->exclusive && !f->write)
		w->leaf_excl = nr;
	w->pmd_leaves = nr;
	w->deposits = by_pmd;
	w->rss = 1UL << w->order;
}

/* Mapped: one reference a mapping, the lock is released */
static void want_mapped(const struct thp_fixture *f, struct thp_state *w, unsigned long nr)
{
	const bool by_pmd = nr == 1 && w->order == HPAGE_PMD_ORDER;

	w->flags &= ~BIT(PG_locked);
	w->refcount = nr;
	w->mapcount = nr;
	w->mm_id[0] = 1;
	w->mm_id_mapcount[0] = nr - 1;
	w->entire = by_pmd;
	w->nr_mapped = by_pmd ? ENTIRELY_MAPPED : nr;
	/* CONFIG_NO_PAGE_MAPCOUNT: only small folios count their own page */
	if (!by_pmd && (!w->order || IS_ENABLED(CONFIG_PAGE_MAPCOUNT)))
		w->page_mapcount = 0;
	w->excl = f->exclusive ? nr : 0;
	w->excl_head = f->exclusive;
	w->anon_mapped = 1UL << w->order;
	w->anon_thps = by_pmd ? HPAGE_PMD_NR : 0;
}

/**
 * thp_want() - what the ledger must find of a device-private folio
 * @f: fixture; thp_fixture_track() has been called for the folio. Its @flags,
 *	@write, @exclusive and @memcg enter the expectation.
 * @want: where to write. Counters of events are 0: the caller adds what the
 *	steps before it have counted.
 * @order: order of the folio, the only one alive
 * @where: where it is in its life
 *
 * Sources: zone_device_page_init(), prep_compound_head(), prep_compound_tail(),
 * folio_add_new_anon_rmap(), __folio_add_rmap(), set_pmd_migration_entry(),
 * try_to_migrate_one(), remove_migration_pmd(), remove_migration_pte().
 */
void thp_want(const struct thp_fixture *f, struct thp_state *want,
	      unsigned int order, enum thp_where where)
{
	unsigned long nr = 1UL << order;

	want_fresh(f, want, order);
	if (where == THP_FRESH)
		return;
	want_anon(f, want);
	switch (where) {
	case THP_PTES:
		want_leaves(f, want, THP_KIND_DEVICE, nr);
		want_mapped(f, want, nr);
		break;
	case THP_PMD:
		want_leaves(f, want, THP_KIND_DEVICE, 1);
		want_mapped(f, want, 1);
		break;
	case THP_MIGRATION_PTES:
		want_leaves(f, want, THP_KIND_MIGRATION, nr);
		break;
	case THP_MIGRATION_PMD:
		want_leaves(f, want, THP_KIND_MIGRATION, 1);
		break;
	default:
		break;
	}
}

/**
 * thp_want_split() - turn the expectation for a folio into that for its parts
 * @want: of a folio of @old_order, unmapped; becomes that of the first part
 * @old_order: order before
 * @new_order: order after, 0 or 2..@old_order - 1
 *
 * Everything that a part does not have of its own it has from the whole
 * (__split_folio_to_order()). folio_split_unmapped() counts no THP_SPLIT_PAGE
 * and no MTHP_STAT_SPLIT, unlike __folio_split().
 */
void thp_want_split(struct thp_state *want, unsigned int old_order,
		    unsigned int new_order)
{
	unsigned long nr = 1UL << new_order;

	want->order = new_order;
	if (!new_order)
		want->flags &= ~BIT(PG_head);
	want->nr_pages = nr;
	want->tails = nr - 1;
	want->tail_marks = new_order > 1 ? nr - 3 : 0;
	want->data = nr;
	if (want->leaves) {
		want->leaves = nr;
		want->leaf_pfn = nr;
		want->leaf_write = want->leaf_write ? nr : 0;
		want->leaf_excl = want->leaf_excl ? nr : 0;
	}
	want->nr_anon[old_order]--;
	if (new_order)
		want->nr_anon[new_order] += 1L << (old_order - new_order);
}

/**
 * thp_want_row() - turn the expectation for one folio into that for many alike
 * @want: of one folio below HPAGE_PMD_ORDER; its counters become those of the row
 * @nr: number of folios, side by side
 */
void thp_want_row(struct thp_state *want, unsigned long nr)
{
	want->nr_anon[want->order] *= nr;
	want->pmd_leaves *= nr;
	want->rss *= nr;
	want->rss_shmem *= nr;
	want->shmem *= nr;
	want->anon_mapped *= nr;
	want->file_mapped *= nr;
	want->pgmap_refs *= nr;
	want->dev_free *= nr;
}

/**
 * thp_want_system() - turn the expectation for a device folio into that for one
 *	of system memory
 * @want: the expectation. What is left of the lru.next and lru.prev that share
 *	their words with pgmap and zone_device_data, the ledger reads as 0.
 */
void thp_want_system(struct thp_state *want)
{
	if (want->leaf == THP_KIND_DEVICE)
		want->leaf = THP_KIND_PRESENT;
	if (want->pmd == THP_KIND_DEVICE)
		want->pmd = THP_KIND_PRESENT;
	want->pgmap = 0;
	want->zdd = 0;
	want->pgmap_refs = 0;
	want->dev_free = 0;
}

/**
 * thp_want_forked() - turn the expectation for one mm into that for two, after fork
 * @want: of a folio of an order above 0, mapped by PTEs or by a PMD, or under
 *	migration; becomes that of the folio seen from either of the mms. What fork
 *	takes from the entries, write and exclusive, is for the caller to say.
 *
 * Sources: folio_try_dup_anon_rmap_pmd(), folio_try_dup_anon_rmap_pte(). They add
 * a map count and a reference for each that was there; copy_huge_non_present_pmd()
 * and copy_nonpresent_pte() add neither for a migration entry.
 */
void thp_want_forked(struct thp_state *want)
{
	if (!want->mapcount)
		return;
	want->refcount += want->mapcount;
	want->mapcount *= 2;
	want->entire *= 2;
	want->mm_id[1] = 2;
	want->mm_id_mapcount[1] = want->mm_id_mapcount[0];
	want->mm_shared = 1;
	if (want->page_mapcount >= 0)
		want->page_mapcount++;
}
