// SPDX-License-Identifier: GPL-2.0-only
/*
 * Layouts: a window of THP_MODEL_PMDS PMDs with folios of system memory and of
 * devices, zero pages and holes at given places, and the model of it.
 */
#include <linux/memcontrol.h>
#include <linux/mman.h>
#include <linux/pgalloc.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_migrate_model.h"

static unsigned long addr_of(const struct thp_fixture *f, unsigned long place)
{
	return f->addr + place * PAGE_SIZE;
}

/**
 * thp_layout_map() - give the fixture a new VMA, with room for the window
 * @f: fixture; its VMA is unmapped, nothing in it is in use
 * @prot: protection, PROT_* bits
 * @flags: MAP_* bits
 *
 * The page tables of the window are there, down to empty PMDs: a hole above that
 * level is another matter. The VMA has no anon_vma yet.
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_layout_map(struct thp_fixture *f, unsigned long prot, unsigned long flags)
{
	unsigned long addr, i;

	KUNIT_ASSERT_EQ(f->test, 0, vm_munmap(f->start, f->end - f->start));
	addr = kunit_vm_mmap(f->test, NULL, 0, (THP_MODEL_PMDS + 1) * HPAGE_PMD_SIZE, prot,
			     flags, 0);
	KUNIT_ASSERT_NE(f->test, addr, 0);
	f->addr = ALIGN(addr, HPAGE_PMD_SIZE);
	f->vma = vma_lookup(f->mm, f->addr);
	KUNIT_ASSERT_NOT_NULL(f->test, f->vma);
	f->anon_vma = f->vma->anon_vma;
	f->start = f->vma->vm_start;
	f->end = f->vma->vm_end;
	for (i = 0; i < THP_MODEL_PAGES; i += HPAGE_PMD_NR) {
		addr = addr_of(f, i);
		p4d_t *p4dp = p4d_alloc(f->mm, pgd_offset(f->mm, addr), addr);
		pud_t *pudp = p4dp ? pud_alloc(f->mm, p4dp, addr) : NULL;

		KUNIT_ASSERT_TRUE(f->test, pudp && pmd_alloc(f->mm, pudp, addr));
	}
}

/* What mem_cgroup_charge() makes of a folio for this mm */
static s64 memcg_of(struct thp_fixture *f)
{
	s64 memcg = THP_NA;
#ifdef CONFIG_MEMCG
	struct folio *folio = folio_alloc(GFP_KERNEL, 0);

	KUNIT_ASSERT_NOT_NULL(f->test, folio);
	KUNIT_EXPECT_EQ(f->test, 0, mem_cgroup_charge(folio, f->mm, GFP_KERNEL));
	memcg = folio->memcg_data;
	folio_put(folio);
#endif
	return memcg;
}

/* Write the pattern as a process would, with folios of this order only */
static struct page *touch(struct thp_fixture *f, const struct thp_piece *piece)
{
	void *data = kunit_kmalloc(f->test, PAGE_SIZE, GFP_KERNEL);
	struct folio *folio;
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(f->test, data);
	thp_fixture_anon_orders(f->test, piece->order ? BIT(piece->order) : 0);
	for (i = 0; i < 1UL << piece->order; i++) {
		void __user *to = (void __user *)addr_of(f, piece->place + i);

		thp_data_fill(data, piece->place + i);
		KUNIT_ASSERT_EQ(f->test, 0, copy_to_user(to, data, PAGE_SIZE));
	}
	lru_add_drain();
	folio = thp_fixture_folio_at(f, addr_of(f, piece->place));
	KUNIT_ASSERT_NOT_NULL(f->test, folio);
	KUNIT_ASSERT_EQ_MSG(f->test, folio_order(folio), piece->order,
			    "no folio of order %u to be had", piece->order);
	return &folio->page;
}

static struct page *put_device_folio(struct thp_fixture *f, struct fake_zdev *zdev,
				     const struct thp_piece *piece)
{
	struct folio *folio = fake_zdev_alloc(zdev, piece->order);

	KUNIT_ASSERT_NOT_NULL_MSG(f->test, folio, "order %u", piece->order);
	thp_fixture_hold(f, folio);
	thp_fixture_track(f, &folio->page, piece->order, addr_of(f, piece->place));
	thp_fixture_fill_device(f, folio);
	thp_fixture_insert(f, folio);
	return &folio->page;
}

static void read_zero(struct thp_fixture *f, const struct thp_piece *piece)
{
	unsigned long word = 1;

	thp_fixture_anon_orders(f->test, piece->order ? BIT(piece->order) : 0);
	KUNIT_ASSERT_EQ(f->test, 0,
			get_user(word, (unsigned long __user *)addr_of(f, piece->place)));
	KUNIT_ASSERT_EQ(f->test, word, 0);
}

static struct page *build_piece(struct thp_fixture *f, const struct thp_piece *piece)
{
	switch (piece->what) {
	case THP_SYSTEM:
		return touch(f, piece);
	case THP_DEVICE:
		return put_device_folio(f, f->zdev, piece);
	case THP_PEER:
		return put_device_folio(f, f->peer, piece);
	default:
		read_zero(f, piece);
		return NULL;
	}
}

static void model_piece(struct thp_model *model, const struct thp_piece *piece,
			struct page *page)
{
	const bool by_pmd = piece->order == HPAGE_PMD_ORDER && !piece->by_ptes;
	const bool system = piece->what == THP_SYSTEM;
	const bool system_pmd = system && piece->order == HPAGE_PMD_ORDER;
	unsigned long i;

	for (i = 0; i < 1UL << piece->order; i++)
		model->pages[piece->place + i] = (struct thp_model_page) {
			.page = page ? page + i : NULL,
			.head = piece->place,
			.what = piece->what,
			.order = page ? piece->order : 0,
			.by_pmd = by_pmd,
			.young = system,
			.written = system,
			/* __split_huge_pmd_locked() moves the dirty bit */
			.dirty = system && piece->by_ptes,
			.deferred = system_pmd,
			.pins = piece->pins,
		};
	if (!by_pmd)
		model->has_table[piece->place / HPAGE_PMD_NR] = true;
	model->events.ev_fault_alloc += system_pmd;
	model->events.ev_split_pmd += piece->by_ptes;
}

static void pin(struct thp_model *model, unsigned int n, const struct thp_piece *piece,
		struct page *page)
{
	if (!piece->pins)
		return;
	model->pinned[n] = page_folio(page);
	model->pins[n] = piece->pins;
	folio_ref_add(model->pinned[n], piece->pins);
}

/**
 * thp_layout_build() - put folios and zeroes into the window
 * @f: fixture; the window is empty. Has a peer if a piece is of it.
 * @pieces: what to put there, up to THP_MAX_PIECES, ends with a THP_HOLE. No two
 *	pieces overlap.
 *
 * Context: the thread of the test, mmap lock not held.
 * Return: the model of the window.
 */
struct thp_model *thp_layout_build(struct thp_fixture *f, const struct thp_piece *pieces)
{
	struct thp_model *model = kunit_kzalloc(f->test, sizeof(*model), GFP_KERNEL);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(f->test, model);
	model->f = f;
	model->pages = kunit_kcalloc(f->test, THP_MODEL_PAGES, sizeof(*model->pages),
				     GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(f->test, model->pages);
	model->memcg = memcg_of(f);
	model->is_anon = vma_is_anonymous(f->vma);
	model->is_writable = f->vma->vm_flags & VM_WRITE;
	for (i = 0; i < THP_MODEL_PAGES; i++)
		model->pages[i].head = i;
	if (pieces->what != THP_HOLE)
		thp_fixture_prepare_anon_vma(f);
	for (i = 0; pieces[i].what != THP_HOLE; i++) {
		struct page *page = build_piece(f, &pieces[i]);

		if (pieces[i].by_ptes) {
			mmap_read_lock(f->mm);
			split_huge_pmd_address(f->vma, addr_of(f, pieces[i].place), false);
			mmap_read_unlock(f->mm);
		}
		model_piece(model, &pieces[i], page);
		pin(model, i, &pieces[i], page);
	}
	return model;
}

/**
 * thp_layout_unpin() - drop the references of the others
 * @model: the window
 *
 * A test must do this before it ends.
 */
void thp_layout_unpin(struct thp_model *model)
{
	unsigned long i;

	for (i = 0; i < THP_MAX_PIECES; i++) {
		if (model->pins[i])
			folio_put_refs(model->pinned[i], model->pins[i]);
		model->pins[i] = 0;
	}
	for (i = 0; i < THP_MODEL_PAGES; i++)
		model->pages[i].pins = 0;
}

/**
 * thp_layout_read_back() - read the folios of the window as a process would
 * @model: the window; nothing is migrating
 *
 * Each page must have its pattern, or zeroes if it was put into a hole. This
 * brings all of it back to system memory, so it is at the end of a test.
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_layout_read_back(struct thp_model *model)
{
	struct thp_fixture *f = model->f;
	void *data = kunit_kmalloc(f->test, PAGE_SIZE, GFP_KERNEL);
	unsigned long i, wrong = 0, first = 0;

	KUNIT_ASSERT_NOT_NULL(f->test, data);
	for (i = 0; i < THP_MODEL_PAGES; i++) {
		const struct thp_model_page *p = &model->pages[i];
		bool right;

		if (!p->page)
			continue;
		right = !copy_from_user(data, (void __user *)addr_of(f, i), PAGE_SIZE);
		right &= p->blank ? !memchr_inv(data, 0, PAGE_SIZE) : thp_data_check(data, i);
		if (!right && !wrong++)
			first = i;
	}
	KUNIT_EXPECT_EQ_MSG(f->test, wrong, 0, "data of page %lu of the window lost", first);
}
