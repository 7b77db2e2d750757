// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares the kernel with the model, page by page: where it is, whether it is
 * writable, whom it is shared with, what is in it. What the model could not tell
 * it learns here.
 */
#include <linux/mm.h>
#include <linux/panic.h>

#include "thp_leaf.h"
#include "thp_world.h"

static const char *const place_names[] = { "nowhere", "in system memory", "on the device",
					   "on the peer" };

/**
 * thp_world_offset() - where in a page the words are that steps write
 * @which: 0..THP_WORLD_WORDS - 1
 *
 * Return: number of the word.
 */
unsigned int thp_world_offset(unsigned int which)
{
	static const unsigned int offsets[THP_WORLD_WORDS] = {
		0, 77, PAGE_SIZE / sizeof(u64) - 1
	};

	return offsets[which];
}

/**
 * thp_world_word() - what is in a page
 * @version: version of the data; 0: nothing was written
 * @which: 0..THP_WORLD_WORDS - 1
 *
 * Return: the word.
 */
u64 thp_world_word(u32 version, unsigned int which)
{
	return version ? (version * 4ull + which) * 0x9e3779b97f4a7c15ull : 0;
}

static u8 place_of(const struct thp_world *w, const struct thp_leaf *leaf)
{
	if (!leaf->page || leaf->zero)
		return THP_PLACE_NOWHERE;
	if (fake_zdev_contains(w->f.zdev, leaf->page))
		return THP_PLACE_DEVICE;
	if (fake_zdev_contains(w->f.peer, leaf->page))
		return THP_PLACE_PEER;
	return THP_PLACE_RAM;
}

static bool has_version(const void *data, void *arg)
{
	const u32 version = *(const u32 *)arg;
	const u64 *words = data;
	unsigned int which;

	for (which = 0; which < THP_WORLD_WORDS; which++)
		if (words[thp_world_offset(which)] != thp_world_word(version, which))
			return false;
	return true;
}

/* One page that nobody has touched: it may have become a page, but is full of zeroes. */
static void check_untouched(struct thp_world *w, unsigned int mm, unsigned int i,
			    const struct thp_leaf *leaf)
{
	struct thp_memory_page *page = &w->m.pages[mm][i];
	const u8 place = place_of(w, leaf);
	u32 version = 0;

	if (place == THP_PLACE_NOWHERE)
		return;
	if (!(place & page->appears)) {
		thp_world_wrong(w, "page %u of mm %u, which nobody has touched, is %s", i, mm,
				place_names[ilog2(place)]);
		return;
	}
	if (!thp_leaf_data(&w->f, leaf, has_version, &version))
		thp_world_wrong(w, "page %u of mm %u, which nobody has touched, is not zero",
				i, mm);
	page->frame = thp_memory_new_frame(&w->m, place, 0);
	w->m.frames[page->frame].page = leaf->page;
	w->m.frames[page->frame].pmds = leaf->by_pmd;
}

static void check_frame(struct thp_world *w, unsigned int mm, unsigned int i,
			const struct thp_leaf *leaf)
{
	struct thp_memory_page *page = &w->m.pages[mm][i];
	struct thp_memory_frame *frame = &w->m.frames[page->frame];
	const u8 place = place_of(w, leaf);

	/*
	 * A page full of zeroes in system memory becomes the zero page when its
	 * folio is split, see try_to_map_unused_to_zeropage().
	 */
	if (place == THP_PLACE_NOWHERE && !frame->version && frame->places & THP_PLACE_RAM) {
		thp_memory_forget(&w->m, mm, i);
		return;
	}
	if (frame->loose && frame->page && frame->page != leaf->page) {
		thp_memory_forget(&w->m, mm, i);
		page->appears = THP_PLACE_RAM | THP_PLACE_DEVICE | THP_PLACE_PEER;
		check_untouched(w, mm, i, leaf);
		return;
	}
	if (!(place & frame->places)) {
		thp_world_wrong(w, "page %u of mm %u is %s, should be %s", i, mm,
				place_names[ilog2(place)],
				place_names[ilog2(frame->places)]);
		return;
	}
	frame->places = place;
	if (!thp_leaf_data(&w->f, leaf, has_version, &frame->version))
		thp_world_wrong(w, "page %u of mm %u has lost its data", i, mm);
	if (frame->page && frame->page != leaf->page)
		thp_world_wrong(w, "page %u of mm %u is not shared any more", i, mm);
	frame->page = leaf->page;
	frame->pmds += leaf->by_pmd;
	if (leaf->write && frame->users > 1 && !frame->loose)
		thp_world_wrong(w, "page %u of mm %u is writable, and shared", i, mm);
}

static void check_page(struct thp_world *w, unsigned int mm, unsigned int i)
{
	struct thp_leaf leaf = thp_leaf_at(w->mms[mm], w->base + ((unsigned long)i << PAGE_SHIFT));
	struct thp_memory_page *page = &w->m.pages[mm][i];

	page->by_pmd = leaf.by_pmd && leaf.page && !leaf.zero;
	if (leaf.kind == THP_KIND_MIGRATION || leaf.kind == THP_KIND_OTHER)
		thp_world_wrong(w, "page %u of mm %u is a migration entry", i, mm);
	if (!page->vma && leaf.kind != THP_KIND_NONE)
		thp_world_wrong(w, "page %u of mm %u is mapped without a VMA", i, mm);
	if (leaf.write && !page->writable)
		thp_world_wrong(w, "page %u of mm %u is writable", i, mm);
	if (page->frame)
		check_frame(w, mm, i, &leaf);
	else
		check_untouched(w, mm, i, &leaf);
	if (leaf.page && !leaf.zero && !thp_leaf_is_settled(&leaf))
		thp_world_wrong(w, "page %u of mm %u: refcount %d mapcount %d%s%s", i, mm,
				folio_ref_count(page_folio(leaf.page)),
				folio_mapcount(page_folio(leaf.page)),
				folio_test_locked(page_folio(leaf.page)) ? " locked" : "",
				folio_test_lru(page_folio(leaf.page)) ? " lru" : "");
}

/**
 * thp_world_check() - compare the kernel with the model, and with itself
 * @w: world, after a step; its model learns
 *
 * Context: the thread of the test
 * Return: false if anything is wrong, which @w->why says.
 */
bool thp_world_check(struct thp_world *w)
{
	unsigned int mm, i;

	for (i = 1; i < THP_MEMORY_FRAMES; i++) {
		w->m.frames[i].page = NULL;
		w->m.frames[i].pmds = 0;
	}
	for (mm = 0; mm < THP_MEMORY_MMS && w->mms[mm]; mm++)
		for (i = 0; i < THP_MEMORY_PAGES && !*w->why; i++)
			check_page(w, mm, i);
	if (*w->why)
		return false;
	thp_ledger_capture_totals(&w->f, &w->f.before);
	thp_ledger_check_invariants(&w->f, "");
	if (w->f.before.irqs_off || w->f.before.preempt != w->f.base.preempt)
		thp_world_wrong(w, "irqs off %lld, preempt count %lld", w->f.before.irqs_off,
				w->f.before.preempt);
	if (w->f.before.taint)
		thp_world_wrong(w, "taint %#llx", w->f.before.taint);
	return !*w->why;
}
