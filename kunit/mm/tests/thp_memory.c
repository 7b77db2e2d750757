// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model: what each step makes of each page. Where the model can't tell, for
 * example which pages a driver without memory leaves behind, it says where a
 * page may be, and learns where it is from who compares it with the kernel.
 */
#include <linux/string.h>

#include "fake_zone_device_migrate.h"
#include "thp_memory.h"

#define ON_DEVICES	(THP_PLACE_DEVICE | THP_PLACE_PEER)

/**
 * thp_memory_init() - an address space in which nothing was touched yet
 * @m: model
 */
void thp_memory_init(struct thp_memory *m)
{
	unsigned int i;

	memset(m, 0, sizeof(*m));
	for (i = 0; i < THP_MEMORY_PAGES - HPAGE_PMD_NR; i++) {
		m->pages[0][i].vma = true;
		m->pages[0][i].writable = true;
	}
}

/**
 * thp_memory_new_frame() - take a free frame
 * @m: model
 * @places: where it may be
 * @version: its data
 *
 * There are as many frames as pages of address space, so there always is one.
 *
 * Return: the frame, with one user.
 */
u16 thp_memory_new_frame(struct thp_memory *m, u8 places, u32 version)
{
	u16 i = m->last_frame;

	do {
		i = i % (THP_MEMORY_FRAMES - 1) + 1;
	} while (m->frames[i].users && i != m->last_frame);
	m->frames[i] = (struct thp_memory_frame) {
		.users = 1, .places = places, .version = version,
	};
	m->last_frame = i;
	return i;
}

static void drop(struct thp_memory *m, struct thp_memory_page *page)
{
	if (page->frame)
		m->frames[page->frame].users--;
	page->frame = 0;
}

/**
 * thp_memory_forget() - a page is as if nobody had touched it
 * @m: model
 * @mm: whose page
 * @i: number of the page
 */
void thp_memory_forget(struct thp_memory *m, unsigned int mm, unsigned int i)
{
	drop(m, &m->pages[mm][i]);
}

static bool is_to_device(const struct thp_step *step)
{
	switch (step->op) {
	case THP_OP_RAM_TO_DEVICE:
	case THP_OP_RAM_TO_PEER:
	case THP_OP_DEVICE_TO_PEER:
	case THP_OP_PEER_TO_DEVICE:
		return true;
	default:
		return false;
	}
}

static bool is_migration(const struct thp_step *step)
{
	return is_to_device(step) || step->op == THP_OP_DEVICE_TO_RAM ||
	       step->op == THP_OP_PEER_TO_RAM;
}

/* Is there room on the device for all pages of the range? */
static bool fits(const struct thp_memory *m, const struct thp_step *step)
{
	const u8 place = step->op == THP_OP_RAM_TO_DEVICE ||
			 step->op == THP_OP_PEER_TO_DEVICE ? THP_PLACE_DEVICE : THP_PLACE_PEER;
	unsigned int i, nr = step->nr;

	for (i = 1; i < THP_MEMORY_FRAMES; i++)
		nr += m->frames[i].users && m->frames[i].places == place;
	return nr <= THP_MEMORY_CAPACITY;
}

/* Do all pages of a range have a VMA, or none? */
static bool all_mapped(const struct thp_memory *m, unsigned int mm, unsigned int first,
		       unsigned int nr, bool mapped)
{
	unsigned int i;

	for (i = first; i < first + nr; i++)
		if (m->pages[mm][i].vma != mapped)
			return false;
	return true;
}

/**
 * thp_memory_allows() - is it a step that can be taken?
 * @m: model
 * @step: step
 *
 * What the kernel would only refuse is no step: there are tests for that.
 *
 * Return: whether it is.
 */
bool thp_memory_allows(const struct thp_memory *m, const struct thp_step *step)
{
	unsigned int end = step->first + step->nr;

	if (step->op == THP_OP_FORK)
		return !m->has_child;
	if (step->op == THP_OP_EXIT)
		return m->has_child;
	if (step->op == THP_OP_EVICT_DEVICE || step->op == THP_OP_EVICT_PEER)
		return true;
	if ((step->mm && !m->has_child) || !step->nr || end > THP_MEMORY_PAGES)
		return false;

	switch (step->op) {
	case THP_OP_MMAP:
		return all_mapped(m, step->mm, step->first, step->nr, false);
	case THP_OP_MREMAP:
		return step->to + step->nr <= THP_MEMORY_PAGES &&
		       (step->to >= end || step->to + step->nr <= step->first) &&
		       all_mapped(m, step->mm, step->first, step->nr, true) &&
		       all_mapped(m, step->mm, step->to, step->nr, false);
	case THP_OP_SPLIT_FOLIO:
		return step->order != 1 && step->order < HPAGE_PMD_ORDER &&
		       m->pages[step->mm][step->first].frame;
	case THP_OP_SPLIT_PMD:
		return m->pages[step->mm][step->first].vma;
	case THP_OP_WRITE:
	case THP_OP_READ:
		return true;
	default:
		return all_mapped(m, step->mm, step->first, step->nr, true) &&
		       (!is_to_device(step) || fits(m, step));
	}
}

/* Can it be that a large source, or a hole, gets small destinations? */
static bool may_get_small(const struct thp_step *step)
{
	return step->policy != FAKE_ZDEV_DST_AS_SOURCE_ONLY &&
	       step->policy != FAKE_ZDEV_DST_NONE;
}

/* ... and not even one for each page? */
static bool may_miss_some(const struct thp_step *step)
{
	return step->fail || step->policy == FAKE_ZDEV_DST_FIRST_SMALL ||
	       step->policy == FAKE_ZDEV_DST_SOME_MISSING;
}

/*
 * A THP that a child has mapped by a PMD, too, gets small destinations: only one
 * of the PMDs is split. (A THP of which the range has only a part is split in
 * all address spaces, before anything else is done to it.)
 */
static bool splits_shared_thp(const struct thp_memory *m, const struct thp_step *step)
{
	const struct thp_memory_page *pages = m->pages[step->mm];
	unsigned int end = step->first + step->nr, i;

	if (!is_migration(step) || !may_get_small(step))
		return false;
	for (i = round_up(step->first, HPAGE_PMD_NR); i + HPAGE_PMD_NR <= end; i += HPAGE_PMD_NR)
		if (pages[i].by_pmd && m->frames[pages[i].frame].pmds > 1)
			return true;
	return false;
}

/* A hole of a whole PMD gets small destinations, and not one for each page. */
static bool fills_hole_with_missing(const struct thp_memory *m, const struct thp_step *step)
{
	unsigned int i;

	if (!is_to_device(step) || !may_get_small(step) || !may_miss_some(step))
		return false;
	for (i = step->first; i < step->first + step->nr; i++)
		if (!m->pages[step->mm][i].frame)
			return true;
	return false;
}

/* Steps that bring down a kernel with the bug, and that have cases of their own */
static const struct {
	const char *bug;
	bool (*hits)(const struct thp_memory *m, const struct thp_step *step);
} known_crashes[] = {
	{ "PNA", splits_shared_thp },
	{ "LB6", fills_hole_with_missing },
};

/**
 * thp_memory_known_crash() - would the step hit a known bug that nobody survives?
 * @m: model
 * @step: step that the model allows
 *
 * Return: name of the bug, or NULL.
 */
const char *thp_memory_known_crash(const struct thp_memory *m, const struct thp_step *step)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(known_crashes); i++)
		if (known_crashes[i].hits(m, step))
			return known_crashes[i].bug;
	return NULL;
}

/**
 * thp_memory_begin() - forget what the step before was allowed to do
 * @m: model; each frame is known to be in one place
 */
void thp_memory_begin(struct thp_memory *m)
{
	unsigned int mm, i;

	for (mm = 0; mm < THP_MEMORY_MMS; mm++)
		for (i = 0; i < THP_MEMORY_PAGES; i++)
			m->pages[mm][i].appears = 0;
	for (i = 0; i < THP_MEMORY_FRAMES; i++)
		m->frames[i].loose = false;
}

/* The CPU touches a page of a device: it comes back, and with it its whole PMD. */
static void fault_in(struct thp_memory *m, unsigned int mm, unsigned int i, u8 also)
{
	struct thp_memory_page *pages = m->pages[mm];
	unsigned int first = i, nr = 1, n;

	if (!(m->frames[pages[i].frame].places & ON_DEVICES))
		return;
	if (pages[i].by_pmd) {
		first = round_down(i, HPAGE_PMD_NR);
		nr = HPAGE_PMD_NR;
	}
	for (n = first; n < first + nr; n++) {
		struct thp_memory_frame *frame = &m->frames[pages[n].frame];

		if (pages[n].frame && frame->places & ON_DEVICES)
			frame->places = THP_PLACE_RAM | (also & frame->places);
		/* Until it is looked at again: one fault is enough for all. */
		pages[n].by_pmd = false;
	}
}

/* The CPU touches a page that is nowhere: a THP is there for its neighbours, too. */
static void populate(struct thp_memory *m, unsigned int mm, unsigned int i)
{
	unsigned int first = round_down(i, HPAGE_PMD_NR), n;

	for (n = first; n < first + HPAGE_PMD_NR; n++)
		m->pages[mm][n].appears |= THP_PLACE_RAM;
}

/* Return: number of pages that can't be written to */
static unsigned int apply_write(struct thp_memory *m, const struct thp_step *step)
{
	struct thp_memory_page *pages = m->pages[step->mm];
	unsigned int i, errors = 0;

	for (i = step->first; i < step->first + step->nr; i++) {
		struct thp_memory_page *page = &pages[i];

		if (!page->vma || !page->writable) {
			errors++;
			continue;
		}
		if (page->frame)
			fault_in(m, step->mm, i, 0);
		else if (!(page->appears & THP_PLACE_RAM))
			populate(m, step->mm, i);
		if (!page->frame || m->frames[page->frame].users > 1) {
			drop(m, page);
			page->frame = thp_memory_new_frame(m, THP_PLACE_RAM, 0);
		}
		m->frames[page->frame].version = ++m->versions;
	}
	return errors;
}

/* Return: number of pages that can't be read, if no failure is injected */
static unsigned int apply_read(struct thp_memory *m, const struct thp_step *step)
{
	unsigned int i, errors = 0;

	for (i = step->first; i < step->first + step->nr; i++) {
		const struct thp_memory_page *page = &m->pages[step->mm][i];

		errors += !page->vma;
		if (page->frame)
			fault_in(m, step->mm, i, step->fail ? ON_DEVICES : 0);
	}
	return errors;
}

/* Does the driver offer a destination for each page that comes from @page's place? */
static bool moves_for_sure(const struct thp_step *step, const struct thp_memory_page *page)
{
	if (step->fail)
		return false;
	switch (step->policy) {
	case FAKE_ZDEV_DST_AS_SOURCE:
	case FAKE_ZDEV_DST_ALL_SMALL:
		return true;
	case FAKE_ZDEV_DST_AS_SOURCE_ONLY:
		/* There may be no large folio left. */
		return page->frame && !page->by_pmd;
	default:
		return false;
	}
}

/*
 * A page full of zeroes in system memory may become the zero page on the way, when
 * its folio is split, and be taken for a hole then. Who shares it may end up with a
 * page of his own.
 */
static bool is_loose(const struct thp_memory_frame *frame)
{
	return frame->places & THP_PLACE_RAM && !frame->version && frame->users > 1;
}

static void apply_migration(struct thp_memory *m, const struct thp_step *step, u8 from, u8 to)
{
	const bool fills_holes = to & ON_DEVICES;
	unsigned int i;

	for (i = step->first; i < step->first + step->nr; i++) {
		struct thp_memory_page *page = &m->pages[step->mm][i];
		struct thp_memory_frame *frame = &m->frames[page->frame];
		const bool sure = moves_for_sure(step, page);

		if (step->policy == FAKE_ZDEV_DST_NONE)
			continue;
		if (page->frame) {
			frame->loose = is_loose(frame);
			if (frame->places == from)
				frame->places = sure && !frame->loose ? to : from | to;
			continue;
		}
		if (!fills_holes)
			continue;
		/*
		 * The zero page is taken for a hole only on the way from system
		 * memory, and of a hole of several PMDs only the first one is
		 * filled: known bug LB17.
		 */
		if (sure && from == THP_PLACE_RAM && step->nr <= HPAGE_PMD_NR)
			page->frame = thp_memory_new_frame(m, to, 0);
		else
			page->appears |= to;
	}
}

/*
 * Folios stay if there is no folio of their order, and if a dead one hides them:
 * known bug LB12.
 */
static void apply_evict(struct thp_memory *m, u8 from)
{
	unsigned int i;

	for (i = 1; i < THP_MEMORY_FRAMES; i++)
		if (m->frames[i].users && m->frames[i].places == from)
			m->frames[i].places |= THP_PLACE_RAM;
}

static void apply_fork(struct thp_memory *m)
{
	unsigned int i;

	memcpy(m->pages[1], m->pages[0], sizeof(m->pages[0]));
	for (i = 0; i < THP_MEMORY_PAGES; i++)
		if (m->pages[1][i].frame)
			m->frames[m->pages[1][i].frame].users++;
	m->has_child = true;
}

static void apply_to_range(struct thp_memory *m, const struct thp_step *step)
{
	unsigned int i;

	for (i = step->first; i < step->first + step->nr; i++) {
		struct thp_memory_page *page = &m->pages[step->mm][i];

		switch (step->op) {
		case THP_OP_DONTNEED:
			drop(m, page);
			break;
		case THP_OP_MUNMAP:
			drop(m, page);
			memset(page, 0, sizeof(*page));
			break;
		case THP_OP_MMAP:
			page->vma = true;
			page->writable = true;
			break;
		case THP_OP_PROTECT:
			page->writable = false;
			break;
		case THP_OP_UNPROTECT:
			page->writable = true;
			break;
		case THP_OP_MREMAP:
			m->pages[step->mm][step->to + i - step->first] = *page;
			memset(page, 0, sizeof(*page));
			break;
		default:
			break;
		}
	}
}

static void apply_exit(struct thp_memory *m)
{
	unsigned int i;

	for (i = 0; i < THP_MEMORY_PAGES; i++) {
		drop(m, &m->pages[1][i]);
		memset(&m->pages[1][i], 0, sizeof(m->pages[1][i]));
	}
	m->has_child = false;
}

/**
 * thp_memory_apply() - take a step
 * @m: model, after thp_memory_begin()
 * @step: step that the model allows
 * @done: what can be refused was done: MREMAP, where it concerns several VMAs
 *
 * Return: number of accesses that have to fail.
 */
unsigned int thp_memory_apply(struct thp_memory *m, const struct thp_step *step, bool done)
{
	switch (step->op) {
	case THP_OP_WRITE:
		return apply_write(m, step);
	case THP_OP_READ:
		return apply_read(m, step);
	case THP_OP_RAM_TO_DEVICE:
		apply_migration(m, step, THP_PLACE_RAM, THP_PLACE_DEVICE);
		break;
	case THP_OP_RAM_TO_PEER:
		apply_migration(m, step, THP_PLACE_RAM, THP_PLACE_PEER);
		break;
	case THP_OP_DEVICE_TO_RAM:
		apply_migration(m, step, THP_PLACE_DEVICE, THP_PLACE_RAM);
		break;
	case THP_OP_PEER_TO_RAM:
		apply_migration(m, step, THP_PLACE_PEER, THP_PLACE_RAM);
		break;
	case THP_OP_DEVICE_TO_PEER:
		apply_migration(m, step, THP_PLACE_DEVICE, THP_PLACE_PEER);
		break;
	case THP_OP_PEER_TO_DEVICE:
		apply_migration(m, step, THP_PLACE_PEER, THP_PLACE_DEVICE);
		break;
	case THP_OP_EVICT_DEVICE:
		apply_evict(m, THP_PLACE_DEVICE);
		break;
	case THP_OP_EVICT_PEER:
		apply_evict(m, THP_PLACE_PEER);
		break;
	case THP_OP_FORK:
		apply_fork(m);
		break;
	case THP_OP_EXIT:
		apply_exit(m);
		break;
	default:
		if (done)
			apply_to_range(m, step);
		break;
	}
	return 0;
}
