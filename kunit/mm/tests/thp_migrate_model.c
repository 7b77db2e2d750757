// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model of a migration: see thp_migrate_model.h. It must not call the code
 * under test, nor look at what that has done.
 */
#include <linux/mm.h>

#include "../internal.h"
#include "thp_migrate_model.h"

#define NR	HPAGE_PMD_NR

static bool is_selected(const struct thp_request *req, enum thp_what what)
{
	if (what == THP_DEVICE || what == THP_PEER)
		return req->flags & MIGRATE_VMA_SELECT_DEVICE_PRIVATE && req->owner == what;
	return req->flags & MIGRATE_VMA_SELECT_SYSTEM;
}

/* References of others that migrate_vma_setup() does not mind, see rule (2d) */
static unsigned int tolerated_pins(enum thp_what what)
{
	return what == THP_SYSTEM ? 0 : 1;
}

/* src of a page that is to be migrated. All leaves of a writable VMA are writable. */
static unsigned long source_entry(const struct thp_model *model,
				  const struct thp_model_page *p)
{
	return migrate_pfn(page_to_pfn(p->page)) | MIGRATE_PFN_MIGRATE |
	       (model->is_writable ? MIGRATE_PFN_WRITE : 0);
}

/* Nothing mapped, or zeroes: MIGRATE without a pfn asks the driver to fill it. */
static void collect_hole(struct thp_model *model, unsigned long start, unsigned long end,
			 bool whole)
{
	unsigned long i;

	if (!model->is_anon)
		return;
	if (whole) {
		model->pages[start].src = MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND;
		model->cpages++;
		return;
	}
	for (i = start; i < end; i++) {
		model->pages[i].src = MIGRATE_PFN_MIGRATE;
		model->cpages++;
	}
}

/*
 * split_folio() of the folio that has the page at @place, mapped.
 *
 * A system folio that is mapped by PTEs is unmapped one page after the other,
 * which deferred_split_folio() takes for a partial unmap until the last is gone.
 *
 * Return: false if it can't be, because of somebody else's reference.
 */
static bool split_mapped(struct thp_model *model, unsigned long place)
{
	const struct thp_model_page old = model->pages[model->pages[place].head];
	const bool is_pmd_order = old.order == HPAGE_PMD_ORDER;
	unsigned long i;

	if (old.pins) {
		model->events.split_failed[old.order]++;
		model->events.ev_split_failed += is_pmd_order;
		return false;
	}
	model->events.split[old.order]++;
	model->events.ev_split_page += is_pmd_order;
	model->events.ev_split_pmd += old.by_pmd;
	if (old.what == THP_SYSTEM && !old.by_pmd) {
		model->events.split_deferred[old.order]++;
		model->events.ev_deferred += is_pmd_order;
	}
	for (i = old.head; i < old.head + (1UL << old.order); i++) {
		struct thp_model_page *p = &model->pages[i];

		p->head = i;
		p->order = 0;
		p->by_pmd = false;
		p->dirty |= p->written;
		p->deferred = false;
	}
	model->has_table[place / NR] = true;
	return true;
}

/* Lock, isolate, unmap the folio at @head; put it back if somebody has pinned it. */
static void unmap(struct thp_model *model, unsigned long head)
{
	struct thp_model_page *first = &model->pages[head];
	const bool goes = first->pins <= tolerated_pins(first->what);
	unsigned long i;

	for (i = head; i < head + (1UL << first->order); i++) {
		struct thp_model_page *p = &model->pages[i];

		p->migrating = goes;
		p->dirty |= p->written;
	}
	if (!goes)
		return;
	model->cpages++;
	first->src = source_entry(model, first);
	if (first->by_pmd)
		first->src |= MIGRATE_PFN_COMPOUND;
}

static void collect_ptes(struct thp_model *model, const struct thp_request *req,
			 unsigned long start, unsigned long end)
{
	unsigned long i;

	for (i = start; i < end; i++) {
		struct thp_model_page *p = &model->pages[i];

		switch (p->what) {
		case THP_HOLE:
			collect_hole(model, i, i + 1, false);
			break;
		case THP_ZERO:
			if (is_selected(req, THP_ZERO))
				collect_hole(model, i, i + 1, false);
			break;
		default:
			if (!is_selected(req, p->what))
				break;
			/* One that can't be split ends it for the whole PMD. */
			if (p->order && !split_mapped(model, i))
				return;
			unmap(model, i);
			break;
		}
	}
}

static void collect_pmd(struct thp_model *model, const struct thp_request *req,
			unsigned long start, unsigned long end)
{
	const struct thp_model_page *p = &model->pages[ALIGN_DOWN(start, NR)];
	const bool whole = req->flags & MIGRATE_VMA_SELECT_COMPOUND && end - start == NR;

	if (p->by_pmd && !is_selected(req, p->what))
		return;
	if (p->what == THP_HUGE_ZERO || (!p->by_pmd && !model->has_table[start / NR]))
		collect_hole(model, start, end, whole);
	else if (p->by_pmd && whole)
		unmap(model, start);
	else if (!p->by_pmd || split_mapped(model, start))
		collect_ptes(model, req, start, end);
}

/**
 * thp_model_setup() - what migrate_vma_setup() has to do
 * @model: the window; nothing is migrating
 * @req: the request
 *
 * Whole PMDs go as one with MIGRATE_VMA_SELECT_COMPOUND. Everything else goes
 * page by page; large folios in the way are split, all of them, even if the range
 * has only a part. Sources: kernel-doc of migrate_vma_setup(), migrate_vma_collect*()
 * and migrate_device_unmap() in mm/migrate_device.c.
 */
void thp_model_setup(struct thp_model *model, const struct thp_request *req)
{
	unsigned long start, end, i;

	model->cpages = 0;
	for (i = 0; i < THP_MODEL_PAGES; i++)
		model->pages[i].src = 0;
	for (start = req->start; start < req->end; start = end) {
		end = min(req->end, ALIGN_DOWN(start, NR) + NR);
		collect_pmd(model, req, start, end);
	}
}

/* Is there to be an order-0 folio for page @place, the @nth of its source? */
static bool has_small_dst(enum fake_zdev_policy policy, unsigned long entry, unsigned long nth)
{
	switch (policy) {
	case FAKE_ZDEV_DST_NONE:
		return false;
	case FAKE_ZDEV_DST_AS_SOURCE_ONLY:
	case FAKE_ZDEV_DST_FIRST_SMALL:
		return nth == 0;
	case FAKE_ZDEV_DST_SOME_MISSING:
		return entry % 4 != 3;
	default:
		return true;
	}
}

/**
 * thp_model_dst() - what the driver has to offer
 * @model: the window after thp_model_setup()
 * @req: the request
 * @place: number of the page in the window
 *
 * Return: flags that the entry of migrate_vma.dst must have, 0: it must be 0.
 */
unsigned long thp_model_dst(const struct thp_model *model, const struct thp_request *req,
			    unsigned long place)
{
	unsigned long first = max(ALIGN_DOWN(place, NR), req->start);
	bool large = model->pages[first].src & MIGRATE_PFN_COMPOUND;
	unsigned long src = large ? model->pages[first].src : model->pages[place].src;
	unsigned long nth = large ? place - first : 0;

	if (!(src & MIGRATE_PFN_MIGRATE))
		return 0;
	/* System memory is not for holes. */
	if (!(src & MIGRATE_PFN_VALID) && req->to == THP_SYSTEM)
		return 0;
	if (large && req->policy <= FAKE_ZDEV_DST_AS_SOURCE_ONLY)
		return nth ? 0 : MIGRATE_PFN_VALID | MIGRATE_PFN_COMPOUND;
	return has_small_dst(req->policy, place - req->start, nth) ? MIGRATE_PFN_VALID : 0;
}

/* A hole gets a folio at once, mapped, and held until finalize. */
static void insert(struct thp_model *model, const struct thp_request *req,
		   unsigned long place, unsigned long dst)
{
	const bool large = dst & MIGRATE_PFN_COMPOUND;
	struct page *page = migrate_pfn_to_page(dst);
	unsigned long i;

	for (i = 0; i < (large ? NR : 1); i++)
		model->pages[place + i] = (struct thp_model_page) {
			.page = page + i,
			.src = i ? 0 : model->pages[place].src,
			.head = place,
			.what = req->to,
			.order = large ? HPAGE_PMD_ORDER : 0,
			.by_pmd = large,
			.blank = true,
			.inserted = true,
		};
	if (large)
		model->events.ev_fault_alloc++;
	else
		model->has_table[place / NR] = true;
}

/* Small pages in the place of the huge zero folio: the rest is small zero pages. */
static void split_huge_zero(struct thp_model *model, unsigned long place)
{
	unsigned long base = ALIGN_DOWN(place, NR), i;

	if (model->pages[place].what != THP_HUGE_ZERO)
		return;
	model->events.ev_split_pmd++;
	model->has_table[base / NR] = true;
	for (i = base; i < base + NR; i++) {
		model->pages[i].what = THP_ZERO;
		model->pages[i].by_pmd = false;
		model->pages[i].head = i;
	}
}

static unsigned long pages_of_hole(struct thp_model *model, const struct thp_request *req,
				   unsigned long place, const unsigned long *dst)
{
	const bool large = model->pages[place].src & MIGRATE_PFN_COMPOUND;
	unsigned long i;

	if (dst[0] & MIGRATE_PFN_COMPOUND) {
		insert(model, req, place, dst[0]);
		return NR;
	}
	split_huge_zero(model, place);
	for (i = 0; i < (large ? NR : 1); i++) {
		model->pages[place + i].src = MIGRATE_PFN_MIGRATE;
		insert(model, req, place + i, dst[i]);
	}
	return i;
}

/* The PMD migration entry becomes 512 PTE migration entries in any case. */
static bool split_migrating(struct thp_model *model, unsigned long place, bool pinned)
{
	unsigned long flags = model->pages[place].src & MIGRATE_PFN_WRITE, i;

	model->events.ev_split_pmd++;
	model->has_table[place / NR] = true;
	for (i = place; i < place + NR; i++) {
		struct thp_model_page *p = &model->pages[i];

		p->by_pmd = false;
		if (pinned)
			continue;
		p->head = i;
		p->order = 0;
		p->deferred = false;
		p->src = source_entry(model, p) | flags;
	}
	if (pinned)
		model->pages[place].src &= ~(MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND);
	return !pinned;
}

/* A reference that nobody knows of: folio_migrate_mapping() finds it. */
static void move(struct thp_model *model, const struct thp_request *req,
		 unsigned long place, unsigned long dst, bool pinned)
{
	const bool large = dst & MIGRATE_PFN_COMPOUND;
	unsigned long i;

	if (pinned) {
		model->pages[place].src &= ~MIGRATE_PFN_MIGRATE;
		return;
	}
	for (i = 0; i < (large ? NR : 1); i++) {
		struct thp_model_page *p = &model->pages[place + i];

		p->dst = migrate_pfn_to_page(dst) + i;
		p->dst_order = large ? HPAGE_PMD_ORDER : 0;
		p->dst_what = req->to;
	}
}

static unsigned long pages_of_source(struct thp_model *model, const struct thp_request *req,
				     unsigned long place, const unsigned long *dst)
{
	struct thp_model_page *p = &model->pages[place];
	const bool large = p->src & MIGRATE_PFN_COMPOUND;
	const bool pinned = p->pins || req->late_pin;

	if (large && !(dst[0] & MIGRATE_PFN_COMPOUND) &&
	    !split_migrating(model, place, pinned))
		return NR;
	move(model, req, place, dst[0], pinned);
	return dst[0] & MIGRATE_PFN_COMPOUND ? NR : 1;
}

/* Pages of devices that stand in an entry of migrate_vma.dst */
static unsigned long nr_dst_pages(const struct thp_request *req, unsigned long dst)
{
	if (!dst || req->to == THP_SYSTEM)
		return 0;
	return dst & MIGRATE_PFN_COMPOUND ? NR : 1;
}

/**
 * thp_model_pages() - what migrate_vma_pages() has to do
 * @model: the window after thp_model_setup()
 * @req: the request
 * @dst: migrate_vma.dst, as thp_model_dst() has said it must be
 *
 * Sources: kernel-doc of migrate_vma_setup(); __migrate_device_pages().
 */
void thp_model_pages(struct thp_model *model, const struct thp_request *req,
		     const unsigned long *dst)
{
	unsigned long i, n, nr;

	for (i = req->start; i < req->end; i += nr) {
		const unsigned long *d = &dst[i - req->start];
		struct thp_model_page *p = &model->pages[i];

		nr = 1;
		model->dst_pages += nr_dst_pages(req, *d);
		if (!*d)
			p->src &= ~MIGRATE_PFN_MIGRATE;
		else if (!(p->src & MIGRATE_PFN_MIGRATE))
			continue;
		else if (p->src & MIGRATE_PFN_VALID)
			nr = pages_of_source(model, req, i, d);
		else
			nr = pages_of_hole(model, req, i, d);
		for (n = 1; n < nr; n++)
			model->dst_pages += nr_dst_pages(req, d[n]);
	}
}

/**
 * thp_model_finalize() - what migrate_vma_finalize() has to do
 * @model: the window
 * @req: the request
 *
 * Each page is mapped again, at the old or at the new place; nothing is held.
 */
void thp_model_finalize(struct thp_model *model, const struct thp_request *req)
{
	unsigned long i;

	for (i = req->start; i < req->end; i++) {
		struct thp_model_page *p = &model->pages[i];

		p->inserted = false;
		p->migrating = false;
		if (!p->dst)
			continue;
		p->page = p->dst;
		p->what = p->dst_what;
		p->order = p->dst_order;
		p->by_pmd = p->order == HPAGE_PMD_ORDER;
		p->head = ALIGN_DOWN(i, 1UL << p->order);
		p->young = false;
		p->written = false;
		p->deferred = false;
		p->dst = NULL;
	}
	model->dst_pages = 0;
}
