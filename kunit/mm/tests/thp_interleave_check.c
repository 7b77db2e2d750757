// SPDX-License-Identifier: GPL-2.0-only
/*
 * Phase interleaving: compares page tables, folios, devices and data with the
 * model, page by page.
 */
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_interleave.h"

/* An entry of a page table of the kernel, and what the model says it is */
struct entry {
	enum thp_kind kind;
	bool write, excl;
	struct page *page;
};

/* One message a step: the first that is wrong */
struct findings {
	struct ileave_run *run;
	const char *step;
	unsigned int nr;
};

static __printf(2, 3) void found(struct findings *fs, const char *fmt, ...)
{
	char text[160];
	va_list args;

	if (fs->nr++)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	KUNIT_FAIL(fs->run->test, "%s: %s", fs->step, text);
}

static const char *kind_name(enum thp_kind kind)
{
	static const char * const names[] = {
		[THP_KIND_NONE] = "none", [THP_KIND_TABLE] = "table",
		[THP_KIND_PRESENT] = "present", [THP_KIND_DEVICE] = "device",
		[THP_KIND_MIGRATION] = "migration", [THP_KIND_OTHER] = "other",
	};

	return names[kind];
}

static void read_softleaf(struct entry *e, softleaf_t leaf)
{
	e->page = softleaf_to_page(leaf);
	if (e->kind == THP_KIND_DEVICE) {
		e->write = softleaf_is_device_private_write(leaf);
		e->excl = PageAnonExclusive(e->page);
	} else {
		e->write = softleaf_is_migration_write(leaf);
		e->excl = !softleaf_is_migration_read(leaf);
	}
}

static void read_pte(struct entry *e, pte_t pte)
{
	e->kind = thp_pte_kind(pte);
	if (e->kind == THP_KIND_PRESENT) {
		e->page = pfn_to_page(pte_pfn(pte));
		e->write = pte_write(pte);
		e->excl = PageAnonExclusive(e->page);
	} else if (e->kind == THP_KIND_DEVICE || e->kind == THP_KIND_MIGRATION) {
		read_softleaf(e, softleaf_from_pte(pte));
	}
}

/* @e stays empty if there is a table; returns whether there is not. */
static bool read_pmd(struct entry *e, pmd_t *pmdp)
{
	pmd_t pmd = pmdp ? pmdp_get(pmdp) : __pmd(0);

	e->kind = thp_pmd_kind(pmd);
	if (e->kind == THP_KIND_TABLE)
		return false;
	if (e->kind == THP_KIND_PRESENT) {
		e->page = pmd_page(pmd);
		e->write = pmd_write(pmd);
		e->excl = PageAnonExclusive(e->page);
	} else if (e->kind == THP_KIND_DEVICE || e->kind == THP_KIND_MIGRATION) {
		read_softleaf(e, softleaf_from_pmd(pmd));
	}
	return true;
}

static enum thp_kind wanted_kind(const struct ileave_cell *cell)
{
	if (!cell->folio)
		return THP_KIND_NONE;
	if (cell->entry)
		return THP_KIND_MIGRATION;
	return cell->folio->loc == ILEAVE_RAM ? THP_KIND_PRESENT : THP_KIND_DEVICE;
}

static enum ileave_loc loc_of(const struct thp_fixture *f, const struct page *page)
{
	if (fake_zdev_contains(f->zdev, page))
		return ILEAVE_ZDEV;
	return f->peer && fake_zdev_contains(f->peer, page) ? ILEAVE_PEER : ILEAVE_RAM;
}

static bool data_is_right(const struct thp_fixture *f, const struct ileave_folio *folio,
			  struct page *page, unsigned int i)
{
	struct fake_zdev *zdev = thp_fixture_zdev_of(f, page);
	const u64 *data = zdev ? fake_zdev_data(zdev, page) : page_address(page);

	if (folio->data == ILEAVE_PATTERN)
		return thp_data_check(data, i);
	return !data[0] && !data[PAGE_SIZE / sizeof(*data) - 1];
}

/* Page @i of the range in mm number @k */
static void check_cell(struct findings *fs, unsigned int k, unsigned int i,
		       const struct entry *e)
{
	const struct thp_fixture *f = fs->run->f;
	const struct ileave_cell *cell = &fs->run->model->mms[k].cells[i];
	struct ileave_folio *folio = cell->folio;
	struct page *page;

	if (e->kind != wanted_kind(cell)) {
		found(fs, "mm %u, page %u: %s, should be %s", k, i, kind_name(e->kind),
		      kind_name(wanted_kind(cell)));
		return;
	}
	if (!folio)
		return;
	if (e->write != cell->write || e->excl != cell->excl)
		found(fs, "mm %u, page %u: write %d exclusive %d, should be %d and %d", k, i,
		      e->write, e->excl, cell->write, cell->excl);
	/* The folios of a second migration and of faults show here first. */
	if (!folio->real)
		folio->real = page_folio(e->page);
	page = &folio->real->page + (i - folio->first);
	if (e->page != page || loc_of(f, page) != folio->loc)
		found(fs, "mm %u, page %u: leads to another page than it should", k, i);
	else if (!data_is_right(f, folio, page, i))
		found(fs, "mm %u, page %u: data lost", k, i);
}

/* A PMD is one cell: page tables and AnonExclusive say nothing of the others. */
static void check_pmd_cells(struct findings *fs, unsigned int k, const struct entry *e)
{
	const struct thp_fixture *f = fs->run->f;
	const struct ileave_cell *cells = fs->run->model->mms[k].cells;
	struct ileave_folio *folio = cells[0].folio;
	unsigned int i;

	check_cell(fs, k, 0, e);
	for (i = 1; folio && folio->real && i < fs->run->model->nr; i++)
		if (!data_is_right(f, folio, &folio->real->page + i, i))
			found(fs, "mm %u, page %u: data lost", k, i);
}

/* A page whose address has a table of PTEs, or nothing at all */
static void check_page(struct findings *fs, unsigned int k, unsigned int i, pmd_t *pmdp,
		       unsigned long addr)
{
	struct entry e = {};
	pte_t *ptep;

	if (read_pmd(&e, pmdp)) {
		if (e.kind != THP_KIND_NONE)
			found(fs, "mm %u, page %u: PMD leaf, should be a table", k, i);
		else
			check_cell(fs, k, i, &e);
		return;
	}
	e.kind = THP_KIND_NONE;
	ptep = pte_offset_map(pmdp, addr);
	if (ptep) {
		read_pte(&e, ptep_get(ptep));
		pte_unmap(ptep);
	}
	check_cell(fs, k, i, &e);
}

static void check_mm(struct findings *fs, unsigned int k)
{
	const struct ileave_mm *mm = &fs->run->model->mms[k];
	unsigned long addr = fs->run->f->addr + mm->shift;
	struct entry e = {};
	unsigned int i;

	if (mm->pmd && read_pmd(&e, mm_find_pmd(mm->mm, addr))) {
		check_pmd_cells(fs, k, &e);
		return;
	}
	if (mm->pmd)
		found(fs, "mm %u: table, should be a PMD leaf", k);
	for (i = 0; i < fs->run->model->nr; i++, addr += PAGE_SIZE)
		check_page(fs, k, i, mm_find_pmd(mm->mm, addr), addr);
}

static void check_folio(struct findings *fs, const struct ileave_folio *folio)
{
	struct folio *real = folio->real;

	if (!real) {
		found(fs, "page %u: a folio is nowhere", folio->first);
		return;
	}
	if (folio_order(real) != folio->order)
		found(fs, "page %u: order %u, should be %u", folio->first,
		      folio_order(real), folio->order);
	else if (folio_ref_count(real) != folio->refs)
		found(fs, "page %u, order %u: refcount %d, should be %u", folio->first,
		      folio->order, folio_ref_count(real), folio->refs);
	else if (folio_mapcount(real) != folio->maps)
		found(fs, "page %u, order %u: mapcount %d, should be %u", folio->first,
		      folio->order, folio_mapcount(real), folio->maps);
	else if (folio_test_locked(real) != folio->moving)
		found(fs, "page %u, order %u: locked %d, should be %d", folio->first,
		      folio->order, folio_test_locked(real), folio->moving);
}

static void check_device(struct findings *fs, struct fake_zdev *zdev, enum ileave_loc loc)
{
	const struct ileave_model *model = fs->run->model;
	unsigned long used = fake_zdev_count_leaks(zdev);
	unsigned long wanted = 0;
	unsigned int i;

	for (i = 0; i < model->nr_folios; i++)
		if (model->folios[i].loc == loc && model->folios[i].refs)
			wanted += 1UL << model->folios[i].order;
	if (used != wanted)
		found(fs, "%s: %lu pages in use, should be %lu",
		      loc == ILEAVE_ZDEV ? "device" : "peer", used, wanted);
}

/* The invariants are to know of a large folio of system memory without a mapping. */
static void track_loose_folio(struct ileave_run *run)
{
	const struct ileave_model *model = run->model;
	struct thp_fixture *f = run->f;
	unsigned int i;

	f->first = fake_zdev_page(f->zdev, 0);
	for (i = 0; i < model->nr_folios; i++) {
		const struct ileave_folio *folio = &model->folios[i];

		if (folio->loc == ILEAVE_RAM && folio->order && folio->real && folio->refs)
			f->first = &folio->real->page;
	}
}

/**
 * ileave_check() - compare the kernel with the model, and check the invariants
 * @run: run
 * @step: name of the step, for the report
 *
 * Context: the thread of the test; nobody else uses the mms.
 */
void ileave_check(struct ileave_run *run, const char *step)
{
	struct findings fs = { .run = run, .step = step };
	struct ileave_model *model = run->model;
	struct thp_fixture *f = run->f;
	unsigned int i;

	/* Folios that are new to the LRU have a reference of the batch. */
	lru_add_drain();
	ileave_count(model);
	for (i = 0; i < ILEAVE_MAX_MMS; i++)
		if (model->mms[i].mm)
			check_mm(&fs, i);
	for (i = 0; i < model->nr_folios; i++)
		if (model->folios[i].refs)
			check_folio(&fs, &model->folios[i]);
	check_device(&fs, f->zdev, ILEAVE_ZDEV);
	if (f->peer)
		check_device(&fs, f->peer, ILEAVE_PEER);
	track_loose_folio(run);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, step);
}

/* A few pages are enough: ileave_check() has seen all of them. */
static void read_mm(struct ileave_run *run, unsigned int k)
{
	const struct ileave_mm *mm = &run->model->mms[k];
	const unsigned int nr = run->model->nr;
	const unsigned int pages[] = { 0, ILEAVE_PAGE, nr / 2, nr - 1 };
	unsigned int n;

	for (n = 0; n < ARRAY_SIZE(pages); n++) {
		unsigned long addr = run->f->addr + mm->shift + pages[n] * PAGE_SIZE;
		const struct ileave_folio *folio = mm->cells[pages[n]].folio;
		u64 *data = run->buffer;

		if (!folio)
			continue;
		KUNIT_EXPECT_EQ(run->test, 0, copy_from_user(data, (void __user *)addr,
							     PAGE_SIZE));
		if (folio->data == ILEAVE_PATTERN)
			KUNIT_EXPECT_TRUE_MSG(run->test, thp_data_check(data, pages[n]),
					      "mm %u reads something else from page %u",
					      k, pages[n]);
		else
			KUNIT_EXPECT_NULL_MSG(run->test, memchr_inv(data, 0, PAGE_SIZE),
					      "mm %u reads no zeroes from page %u",
					      k, pages[n]);
	}
}

/**
 * ileave_read_back() - read pages as the processes would
 * @run: finished run
 *
 * What is on a device comes back by that.
 *
 * Context: the thread of the test, no locks held.
 */
void ileave_read_back(struct ileave_run *run)
{
	struct thp_fixture *f = run->f;
	unsigned int k;

	for (k = 0; k < ILEAVE_MAX_MMS; k++) {
		struct mm_struct *mm = run->model->mms[k].mm;

		if (mm && mm != f->mm)
			thp_fixture_switch_mm(f, f->mm, mm);
		if (mm)
			read_mm(run, k);
		if (mm && mm != f->mm)
			thp_fixture_switch_mm(f, mm, f->mm);
	}
}
