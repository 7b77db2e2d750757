// SPDX-License-Identifier: GPL-2.0-only
/*
 * The model of phase interleaving: folios, page tables and migrations as a few
 * small structures, and what each operation makes of them.
 *
 * It is the specification, so it calls nothing of the kernel's mm, and looks at
 * nothing that the kernel has done. What it leaves out: the bits of entries
 * other than write, statistics, the LRU.
 */
#include <linux/kernel.h>
#include <linux/string.h>

#include "thp_interleave.h"

static struct ileave_folio *new_folio(struct ileave_model *m, enum ileave_loc loc,
				      enum ileave_data data, unsigned int order,
				      unsigned int first)
{
	struct ileave_folio *folio;

	/* The last one is written to again and again: the check will tell. */
	if (m->nr_folios < ILEAVE_MAX_FOLIOS)
		m->nr_folios++;
	folio = &m->folios[m->nr_folios - 1];
	*folio = (struct ileave_folio) {
		.loc = loc,
		.data = data,
		.order = order,
		.first = first,
	};
	return folio;
}

/* As fork() does it: nothing is writable or exclusive any more, on either side. */
static void fork_mm(struct ileave_model *m, struct ileave_mm *from, struct ileave_mm *to)
{
	struct mm_struct *mm = to->mm;
	unsigned int i;

	for (i = 0; i < m->nr; i++) {
		from->cells[i].write = false;
		from->cells[i].excl = false;
	}
	*to = *from;
	to->mm = mm;
}

static void zap(struct ileave_model *m, struct ileave_mm *mm, unsigned int start,
		unsigned int end, bool reclaims_table)
{
	bool whole_table = end - start == HPAGE_PMD_NR;

	if (mm->pmd)
		mm->table = !whole_table;
	else if (whole_table && reclaims_table)
		mm->table = false;
	mm->pmd = false;
	memset(&mm->cells[start], 0, (end - start) * sizeof(*mm->cells));
}

static void split_pmd(struct ileave_mm *mm)
{
	mm->pmd = false;
	mm->table = true;
}

/* A page of memory that nobody else has */
static void give_page(struct ileave_model *m, struct ileave_mm *mm, unsigned int i,
		      enum ileave_data data)
{
	mm->cells[i] = (struct ileave_cell) {
		.folio = new_folio(m, ILEAVE_RAM, data, 0, i),
		.write = true,
		.excl = true,
	};
	mm->table = true;
}

/* Split a folio into pages, in all page tables; those that nobody has are no more. */
static void split_folio_in_model(struct ileave_model *m, struct ileave_folio *folio)
{
	unsigned int nr = 1U << folio->order, i, k;
	struct ileave_folio *part;

	for (k = 0; k < ILEAVE_MAX_MMS; k++)
		if (m->mms[k].pmd && m->mms[k].cells[0].folio == folio)
			split_pmd(&m->mms[k]);
	for (i = 1; i < nr; i++) {
		part = new_folio(m, folio->loc, folio->data, 0, folio->first + i);
		part->moving = folio->moving;
		part->pins = m->pinned_part == part->first;
		if (folio->real)
			part->real = (struct folio *)(&folio->real->page + i);
		for (k = 0; k < ILEAVE_MAX_MMS; k++) {
			struct ileave_cell *cell = &m->mms[k].cells[part->first];

			if (cell->folio == folio)
				cell->folio = part;
		}
	}
	folio->order = 0;
}

/* All entries for @folio, in all mms: turn those that are @was into its opposite */
static void turn_entries(struct ileave_model *m, struct ileave_folio *folio, bool was,
			 struct ileave_folio *becomes)
{
	unsigned int end = folio->first + (1U << folio->order), i, k;

	for (k = 0; k < ILEAVE_MAX_MMS; k++) {
		for (i = folio->first; i < end; i++) {
			struct ileave_cell *cell = &m->mms[k].cells[i];

			if (cell->folio != folio || cell->entry != was)
				continue;
			cell->folio = becomes;
			cell->entry = !was;
		}
	}
}

/*
 * Lock and unmap a source. A reference of somebody else is noticed here if it is
 * system memory, and by ileave_model_pages() if it is memory of a device
 * (migrate_vma_check_page()).
 */
static void take_source(struct ileave_model *m, struct ileave_trip *t,
			struct ileave_folio *folio, unsigned int i)
{
	const int allowed = folio->loc == ILEAVE_RAM ? 0 : 1;

	if (folio->pins > allowed)
		return;
	folio->moving = true;
	turn_entries(m, folio, false, folio);
	t->src[i] = folio;
	t->collected++;
}

static void setup_ptes(struct ileave_model *m, struct ileave_trip *t)
{
	unsigned int i;

	for (i = t->start; i < t->end; i++) {
		struct ileave_cell *cell = &t->mm->cells[i];

		if (!cell->folio) {
			t->hole[i] = true;
			t->collected++;
			continue;
		}
		if (cell->entry || cell->folio->loc != t->from || cell->folio->moving)
			continue;
		if (cell->folio->order) {
			/* The rest of the range is given up with it. */
			if (cell->folio->pins)
				return;
			split_folio_in_model(m, cell->folio);
		}
		take_source(m, t, cell->folio, i);
	}
}

/**
 * ileave_model_setup() - migrate_vma_setup() or migrate_device_range()
 * @m: model
 * @t: migration, with all that says where from and where to
 */
void ileave_model_setup(struct ileave_model *m, struct ileave_trip *t)
{
	struct ileave_folio *folio;
	unsigned int i;

	if (t->way == ILEAVE_RANGE) {
		take_source(m, t, t->folio, 0);
		return;
	}
	folio = t->mm->cells[t->start].folio;
	if (t->mm->pmd) {
		if (!t->mm->cells[0].entry && folio->loc == t->from && !folio->moving)
			take_source(m, t, folio, 0);
		return;
	}
	for (i = t->start; i < t->end && !t->mm->cells[i].folio; i++)
		;
	if (i == t->end && !t->mm->table && t->end - t->start == HPAGE_PMD_NR) {
		t->large_hole = true;
		t->hole[0] = true;
		t->collected = 1;
		return;
	}
	setup_ptes(m, t);
}

static void new_destination(struct ileave_model *m, struct ileave_trip *t, unsigned int i,
			    unsigned int order, enum ileave_data data)
{
	unsigned int step = t->small ? 1 : 1U << order, end = i + (1U << order);

	for (; i < end; i += step) {
		t->dst[i] = new_folio(m, t->to, data, t->small ? 0 : order, i);
		t->dst[i]->moving = true;
	}
}

/**
 * ileave_model_copy() - what the driver does: destinations for all sources
 * @m: model
 * @t: migration that is set up
 *
 * Holes are filled with zeroes on a device, and left alone in system memory.
 */
void ileave_model_copy(struct ileave_model *m, struct ileave_trip *t)
{
	unsigned int i;

	for (i = t->start; i < t->end; i++) {
		if (t->src[i])
			new_destination(m, t, i, t->src[i]->order, t->src[i]->data);
		else if (t->hole[i] && t->to != ILEAVE_RAM)
			new_destination(m, t, i, t->large_hole ? HPAGE_PMD_ORDER : 0,
					ILEAVE_ZEROES);
	}
}

/*
 * A large source for which there are small destinations is split first. Only
 * migrate_vma_pages() does that. The PMD is split in any case.
 */
static bool split_source(struct ileave_model *m, struct ileave_trip *t)
{
	struct ileave_folio *folio = t->src[0];
	bool has_pmd = t->way == ILEAVE_VMA && t->mm->pmd;
	unsigned int i, nr = 1U << folio->order, next = m->nr_folios;

	if (t->way == ILEAVE_RANGE)
		return false;
	if (has_pmd)
		split_pmd(t->mm);
	if (!has_pmd && m->bug_lb5) {
		folio->pins++;
		m->leaked = folio;
	}
	if (folio->pins)
		return false;
	split_folio_in_model(m, folio);
	for (i = 1; i < nr; i++)
		t->src[i] = &m->folios[next + i - 1];
	return true;
}

/* migrate_vma_pages() puts what fills a hole there at once. */
static void fill_hole(struct ileave_trip *t, unsigned int i)
{
	unsigned int end = i + (1U << t->dst[i]->order), k;

	for (k = i; k < end; k++)
		if (t->mm->cells[k].folio)
			return;
	for (k = i; k < end; k++)
		t->mm->cells[k] = (struct ileave_cell) {
			.folio = t->dst[i],
			.write = !t->mm->read_only,
			.excl = true,
		};
	if (t->dst[i]->order)
		t->mm->pmd = true;
	else
		t->mm->table = true;
	t->done[i] = true;
	t->moved += end - i;
}

/**
 * ileave_model_pages() - migrate_vma_pages() or migrate_device_pages()
 * @m: model
 * @t: migration that has its destinations
 */
void ileave_model_pages(struct ileave_model *m, struct ileave_trip *t)
{
	unsigned int i;

	if (t->src[0] && t->src[0]->order && t->small && !split_source(m, t))
		return;
	for (i = t->start; i < t->end; i++) {
		if (!t->dst[i])
			continue;
		if (!t->src[i]) {
			fill_hole(t, i);
		} else if (!t->src[i]->pins) {
			t->done[i] = true;
			t->moved += 1U << t->src[i]->order;
		}
	}
}

/**
 * ileave_model_finalize() - migrate_vma_finalize() or migrate_device_finalize()
 * @m: model
 * @t: migration
 */
void ileave_model_finalize(struct ileave_model *m, struct ileave_trip *t)
{
	unsigned int i;

	for (i = t->start; i < t->end; i++) {
		if (t->dst[i])
			t->dst[i]->moving = false;
		if (!t->src[i])
			continue;
		turn_entries(m, t->src[i], true, t->done[i] ? t->dst[i] : t->src[i]);
		t->src[i]->moving = false;
	}
}

static void whole_trip(struct ileave_model *m, struct ileave_trip *t)
{
	ileave_model_setup(m, t);
	ileave_model_copy(m, t);
	ileave_model_pages(m, t);
	ileave_model_finalize(m, t);
}

/* A second migration like the first one, but perhaps of the other mm */
static void setup_again(struct ileave_model *m, struct ileave_mm *mm)
{
	struct ileave_trip *t = &m->other;

	*t = (struct ileave_trip) {
		.way = ILEAVE_VMA,
		.mm = mm,
		.from = m->trip.from,
		.to = m->trip.to,
		.small = m->trip.small,
		.end = m->nr,
	};
	whole_trip(m, t);
}

/* Eviction of the memory that the source is in: nothing, if somebody has it locked */
static void evict(struct ileave_model *m)
{
	struct ileave_trip *t = &m->other;

	if (m->folios[0].loc == ILEAVE_RAM || m->folios[0].moving)
		return;
	*t = (struct ileave_trip) {
		.way = ILEAVE_RANGE,
		.folio = &m->folios[0],
		.from = m->folios[0].loc,
		.to = ILEAVE_RAM,
		.end = m->nr,
	};
	whole_trip(m, t);
}

/* A fault on the first page: it comes back, or it is copied on write, or nothing. */
static void fault(struct ileave_model *m, struct ileave_mm *mm, bool write)
{
	struct ileave_cell *cell = &mm->cells[0];
	struct ileave_trip *t = &m->other;

	if (cell->folio->moving)
		return;
	if (cell->folio->loc == ILEAVE_RAM) {
		if (!write || cell->write)
			return;
		split_pmd(mm);
		give_page(m, mm, 0, cell->folio->data);
		return;
	}
	*t = (struct ileave_trip) {
		.way = ILEAVE_VMA,
		.mm = mm,
		.from = cell->folio->loc,
		.to = ILEAVE_RAM,
		.end = mm->pmd ? m->nr : 1,
	};
	whole_trip(m, t);
}

static void protect(struct ileave_model *m, struct ileave_mm *mm)
{
	unsigned int i;

	/* Write access does not come back by itself: a fault has to ask for it. */
	for (i = 0; i < m->nr; i++)
		mm->cells[i].write = false;
}

/**
 * ileave_target_mm() - the mm of the model that the operation is for
 * @m: model
 * @row: the row
 *
 * Return: the mm.
 */
struct ileave_mm *ileave_target_mm(struct ileave_model *m, const struct ileave_row *row)
{
	return &m->mms[row->target == ILEAVE_OTHER];
}

/**
 * ileave_model_pin() - take or drop references on the source
 * @m: model
 * @pins: number of references, negative to drop
 *
 * When it is split they stay with the part that has the first page.
 */
void ileave_model_pin(struct ileave_model *m, int pins)
{
	m->folios[0].pins += pins;
}

/**
 * ileave_model_unpin_part() - drop the reference on the pinned part
 * @m: model, whose @pinned_part is split off
 */
void ileave_model_unpin_part(struct ileave_model *m)
{
	unsigned int i;

	/* No other folio has the number of a part and a reference. */
	for (i = 1; i < m->nr_folios; i++)
		if (m->folios[i].first == m->pinned_part && m->folios[i].pins)
			m->folios[i].pins = 0;
}

/**
 * ileave_model_op() - the operation of a row
 * @m: model
 * @row: the row
 */
void ileave_model_op(struct ileave_model *m, const struct ileave_row *row)
{
	struct ileave_mm *mm = ileave_target_mm(m, row);
	bool reclaims = IS_ENABLED(CONFIG_PT_RECLAIM);
	unsigned int nr = m->nr;

	switch (row->op) {
	case ILEAVE_DONTNEED_WHOLE:
		zap(m, mm, 0, nr, reclaims);
		break;
	case ILEAVE_DONTNEED_HALF:
		zap(m, mm, 0, nr / 2, reclaims);
		break;
	case ILEAVE_DONTNEED_PAGE:
		zap(m, mm, ILEAVE_PAGE, ILEAVE_PAGE + 1, reclaims);
		break;
	case ILEAVE_REFAULT:
		zap(m, mm, 0, nr, reclaims);
		give_page(m, mm, ILEAVE_PAGE, ILEAVE_ZEROES);
		break;
	case ILEAVE_SPLIT_PMD:
		split_pmd(mm);
		break;
	case ILEAVE_PIN:
		ileave_model_pin(m, 1);
		break;
	case ILEAVE_SETUP_AGAIN:
		setup_again(m, mm);
		break;
	case ILEAVE_EVICT:
		evict(m);
		break;
	case ILEAVE_FAULT_READ:
	case ILEAVE_FAULT_WRITE:
		fault(m, mm, row->op == ILEAVE_FAULT_WRITE);
		break;
	case ILEAVE_MUNMAP_WHOLE:
		zap(m, mm, 0, nr, true);
		break;
	case ILEAVE_MUNMAP_HALF:
		zap(m, mm, 0, nr / 2, false);
		break;
	case ILEAVE_MUNMAP_PAGE:
		zap(m, mm, ILEAVE_PAGE, ILEAVE_PAGE + 1, false);
		break;
	case ILEAVE_MPROTECT_RO:
		protect(m, mm);
		mm->read_only = true;
		break;
	case ILEAVE_MPROTECT_BACK:
		protect(m, mm);
		break;
	case ILEAVE_MREMAP:
		mm->shift = ILEAVE_SHIFT;
		break;
	case ILEAVE_MREMAP_UNALIGNED:
		mm->shift = ILEAVE_SHIFT_UNALIGNED;
		split_pmd(mm);
		break;
	case ILEAVE_FORK:
		fork_mm(m, mm, &m->mms[ILEAVE_MAX_MMS - 1]);
		break;
	case ILEAVE_EXIT:
		zap(m, mm, 0, nr, true);
		mm->mm = NULL;
		break;
	default:
		break;
	}
}

/**
 * ileave_count() - count references and mappings of all folios
 * @m: model; refs and maps of its folios are written
 *
 * A folio without references is free.
 */
void ileave_count(struct ileave_model *m)
{
	unsigned int i, k;

	for (i = 0; i < m->nr_folios; i++)
		m->folios[i].maps = 0;
	for (k = 0; k < ILEAVE_MAX_MMS; k++) {
		struct ileave_mm *mm = &m->mms[k];

		for (i = 0; mm->mm && i < (mm->pmd ? 1 : m->nr); i++)
			if (mm->cells[i].folio && !mm->cells[i].entry)
				mm->cells[i].folio->maps++;
	}
	for (i = 0; i < m->nr_folios; i++)
		m->folios[i].refs = m->folios[i].maps + m->folios[i].pins +
				    m->folios[i].moving;
}

/**
 * ileave_model_init() - the state before the migration
 * @m: model, all zeroes but for mms[].mm
 * @row: the row
 */
void ileave_model_init(struct ileave_model *m, const struct ileave_row *row)
{
	enum ileave_loc from = row->route == ILEAVE_TO_DEVICE ? ILEAVE_RAM : ILEAVE_ZDEV;
	struct ileave_mm *mm = &m->mms[0];
	struct ileave_folio *folio;
	unsigned int i;

	m->nr = 1U << row->order;
	folio = new_folio(m, from, ILEAVE_PATTERN, row->order, 0);
	mm->pmd = row->shape == ILEAVE_PMD || row->shape == ILEAVE_PMD_SMALL;
	mm->table = !mm->pmd;
	for (i = 0; i < m->nr; i++)
		mm->cells[i] = (struct ileave_cell) {
			.folio = folio,
			.write = true,
			.excl = true,
		};
	if (row->share != ILEAVE_PRIVATE)
		fork_mm(m, mm, &m->mms[1]);
	if (row->share == ILEAVE_CHILD)
		zap(m, mm, 0, m->nr, IS_ENABLED(CONFIG_PT_RECLAIM));
	m->trip = (struct ileave_trip) {
		.way = row->way,
		.mm = mm,
		.folio = folio,
		.from = from,
		.to = row->route == ILEAVE_TO_DEVICE ? ILEAVE_ZDEV :
		      row->route == ILEAVE_TO_PEER ? ILEAVE_PEER : ILEAVE_RAM,
		.small = row->shape == ILEAVE_PMD_SMALL,
		.end = m->nr,
	};
}
