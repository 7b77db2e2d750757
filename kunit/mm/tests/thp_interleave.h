/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Phase interleaving: one operation of the mm at one point of one migration.
 *
 * Four parts: the rows (which combinations there are, and why others can't be),
 * the model (what must come of a row, without a look at the kernel), the driver
 * and the operations (which make the kernel do it), and the check (whether the
 * kernel has done what the model says).
 */
#ifndef _THP_INTERLEAVE_H
#define _THP_INTERLEAVE_H

#include <kunit/test.h>
#include <linux/mm.h>

#include "fake_zone_device_migrate.h"
#include "thp_fixture.h"
#include "thp_known_bug.h"

/**
 * enum ileave_way - how the driver migrates
 * @ILEAVE_VMA: migrate_vma_setup() .. migrate_vma_finalize(), with the mmap lock
 *	held for reading from before the first until after the last
 * @ILEAVE_RANGE: migrate_device_range() .. migrate_device_finalize(), as drivers
 *	evict memory of the device, without any lock of any mm
 */
enum ileave_way { ILEAVE_VMA, ILEAVE_RANGE, ILEAVE_NR_WAYS };

/**
 * enum ileave_route - from where to where
 * @ILEAVE_TO_DEVICE: from system memory to the device
 * @ILEAVE_TO_RAM: from the device to system memory
 * @ILEAVE_TO_PEER: from the device to another one
 */
enum ileave_route { ILEAVE_TO_DEVICE, ILEAVE_TO_RAM, ILEAVE_TO_PEER, ILEAVE_NR_ROUTES };

/**
 * enum ileave_shape - how the source is mapped, and what the driver has for it
 * @ILEAVE_PMD: a folio of HPAGE_PMD_ORDER, mapped by a PMD; a large destination
 * @ILEAVE_PMD_SMALL: the same; the driver has small destinations only
 * @ILEAVE_PTES: a folio of HPAGE_PMD_ORDER, mapped by PTEs
 * @ILEAVE_MTHP: a folio of an order between, mapped by PTEs
 */
enum ileave_shape { ILEAVE_PMD, ILEAVE_PMD_SMALL, ILEAVE_PTES, ILEAVE_MTHP,
		    ILEAVE_NR_SHAPES };

/**
 * enum ileave_share - who maps the source
 * @ILEAVE_PRIVATE: the mm of the test
 * @ILEAVE_SHARED: the mm of the test, and a child
 * @ILEAVE_CHILD: a child only; the mm of the test has unmapped it
 */
enum ileave_share { ILEAVE_PRIVATE, ILEAVE_SHARED, ILEAVE_CHILD, ILEAVE_NR_SHARES };

/**
 * enum ileave_point - when the operation happens
 * @ILEAVE_IN_COLLECT: in the MMU notifier of migrate_vma_setup(), before it
 *	looks at the page table
 * @ILEAVE_IN_UNMAP: in the MMU notifier of try_to_migrate(), inside of
 *	migrate_device_range(): the folio is locked, and still mapped
 * @ILEAVE_IN_SPLIT: in the MMU notifier of split_huge_pmd_address(), inside of
 *	migrate_vma_pages(), which is about to split the source
 * @ILEAVE_SETUP: after setup: the source is locked and unmapped
 * @ILEAVE_COPY: after the destination was filled
 * @ILEAVE_PAGES: after the metadata was moved
 */
enum ileave_point { ILEAVE_IN_COLLECT, ILEAVE_IN_UNMAP, ILEAVE_IN_SPLIT,
		    ILEAVE_SETUP, ILEAVE_COPY, ILEAVE_PAGES, ILEAVE_NR_POINTS };

/**
 * enum ileave_op - the operation
 * @ILEAVE_DONTNEED_WHOLE: MADV_DONTNEED of the range
 * @ILEAVE_DONTNEED_HALF: MADV_DONTNEED of its first half
 * @ILEAVE_DONTNEED_PAGE: MADV_DONTNEED of one page
 * @ILEAVE_REFAULT: MADV_DONTNEED of the range, and a write to one page of it
 * @ILEAVE_SPLIT_PMD: split_huge_pmd_address(), without freezing
 * @ILEAVE_PIN: take a reference on the folio of the first page, until the end
 * @ILEAVE_GUP: get_user_pages() that must not fault
 * @ILEAVE_SETUP_AGAIN: a second migrate_vma_setup() on the same range
 * @ILEAVE_EVICT: migrate_device_range() of the memory of the device concerned
 * @ILEAVE_FAULT_READ: a page fault of the CPU that reads
 * @ILEAVE_FAULT_WRITE: a page fault of the CPU that writes
 * @ILEAVE_MUNMAP_WHOLE: munmap() of the range
 * @ILEAVE_MUNMAP_HALF: munmap() of its first half
 * @ILEAVE_MUNMAP_PAGE: munmap() of one page
 * @ILEAVE_MPROTECT_RO: mprotect(PROT_READ)
 * @ILEAVE_MPROTECT_BACK: mprotect(PROT_READ), mprotect(PROT_READ | PROT_WRITE)
 * @ILEAVE_MREMAP: mremap() to another address, aligned to HPAGE_PMD_SIZE
 * @ILEAVE_MREMAP_UNALIGNED: mremap() to one that is not
 * @ILEAVE_FORK: fork()
 * @ILEAVE_EXIT: exit of the process
 */
enum ileave_op {
	ILEAVE_DONTNEED_WHOLE, ILEAVE_DONTNEED_HALF, ILEAVE_DONTNEED_PAGE,
	ILEAVE_REFAULT, ILEAVE_SPLIT_PMD, ILEAVE_PIN, ILEAVE_GUP, ILEAVE_SETUP_AGAIN,
	ILEAVE_EVICT, ILEAVE_FAULT_READ, ILEAVE_FAULT_WRITE,
	ILEAVE_MUNMAP_WHOLE, ILEAVE_MUNMAP_HALF, ILEAVE_MUNMAP_PAGE,
	ILEAVE_MPROTECT_RO, ILEAVE_MPROTECT_BACK, ILEAVE_MREMAP,
	ILEAVE_MREMAP_UNALIGNED, ILEAVE_FORK, ILEAVE_EXIT, ILEAVE_NR_OPS,
};

/* The first of those that take the mmap lock for writing; all after it do. */
#define ILEAVE_FIRST_WRITER	ILEAVE_MUNMAP_WHOLE

/**
 * enum ileave_target - whose operation it is
 * @ILEAVE_PARENT: that of the mm of the test
 * @ILEAVE_OTHER: that of the child
 */
enum ileave_target { ILEAVE_PARENT, ILEAVE_OTHER, ILEAVE_NR_TARGETS };

/**
 * struct ileave_row - one case
 * @way: enum ileave_way
 * @route: enum ileave_route
 * @shape: enum ileave_shape
 * @share: enum ileave_share
 * @point: enum ileave_point
 * @op: enum ileave_op
 * @target: enum ileave_target
 * @order: order of the source
 */
struct ileave_row {
	u8 way, route, shape, share, point, op, target, order;
};

/**
 * enum ileave_reason - why a combination is no case; the comments are in
 *	thp_interleave_rows.c, beside the numbers
 */
enum ileave_reason {
	ILEAVE_RUN,
	ILEAVE_NO_SOURCE,
	ILEAVE_NO_POINT,
	ILEAVE_NO_TARGET,
	ILEAVE_NO_PMD,
	ILEAVE_MMAP_LOCK,
	ILEAVE_RMAP_LOCK,
	ILEAVE_BLOCKS,
	ILEAVE_FORK_SMALL,
	ILEAVE_BUG_H1,
	ILEAVE_NR_REASONS,
};

/**
 * struct ileave_choice - which cases a test has
 * @way: enum ileave_way
 * @slow: those that are not in the default run
 */
struct ileave_choice {
	u8 way;
	bool slow;
};

extern const unsigned int ileave_reason_counts[ILEAVE_NR_REASONS];

/* thp_interleave_rows.c */
enum ileave_reason ileave_reason_of(const struct ileave_row *row);
unsigned int ileave_for_each(void (*fn)(const struct ileave_row *row,
					enum ileave_reason reason, void *arg), void *arg);
unsigned int ileave_collect(const struct ileave_choice *choice, struct ileave_row *rows,
			    unsigned int size);
void ileave_describe(const struct ileave_row *row, char *desc, size_t size);
bool ileave_shows_lb5(const struct ileave_row *row);

/*
 * The model: thp_interleave_model.c
 */

/* Where a folio of the model is */
enum ileave_loc { ILEAVE_RAM, ILEAVE_ZDEV, ILEAVE_PEER };

/* What the pages of a folio of the model hold */
enum ileave_data { ILEAVE_PATTERN, ILEAVE_ZEROES };

#define ILEAVE_MAX_MMS		3
/* Source, and destination, both split; and whatever an operation makes */
#define ILEAVE_MAX_FOLIOS	(4 * HPAGE_PMD_NR)

/**
 * struct ileave_folio - a folio of the model
 * @loc: where it is
 * @data: what its pages hold
 * @order: its order
 * @first: page of the range that its first page stands for
 * @pins: references of nobody in particular
 * @moving: locked and held by a migration
 * @real: the folio of the kernel, NULL as long as none is known
 * @refs: scratch of ileave_count()
 * @maps: scratch of ileave_count()
 */
struct ileave_folio {
	u8 loc, data, order;
	u16 first;
	s16 pins;
	bool moving;
	struct folio *real;
	unsigned int refs, maps;
};

/**
 * struct ileave_cell - an entry of a page table of the model
 * @folio: what it leads to, NULL: nothing
 * @entry: it is a migration entry
 * @write: writable, or to be writable
 * @excl: the page is AnonExclusive, or to be so
 */
struct ileave_cell {
	struct ileave_folio *folio;
	bool entry, write, excl;
};

/**
 * struct ileave_mm - an mm of the model
 * @mm: the mm of the kernel, NULL: there is none
 * @shift: where the range is now, less where it was
 * @pmd: all cells are one entry
 * @table: there is a table of PTEs, even if all are empty
 * @read_only: the VMA can't be written to
 * @cells: the pages of the range
 */
struct ileave_mm {
	struct mm_struct *mm;
	long shift;
	bool pmd, table, read_only;
	struct ileave_cell cells[HPAGE_PMD_NR];
};

/**
 * struct ileave_trip - a migration of the model
 * @way: how
 * @mm: ILEAVE_VMA: of this mm
 * @folio: ILEAVE_RANGE: of this folio
 * @from: where from
 * @to: where to
 * @small: only small destinations
 * @start: first page of the range
 * @end: page behind the range
 * @collected: what migrate_vma.cpages must be; ILEAVE_RANGE: sources
 * @moved: pages that have moved
 * @large_hole: nothing is there, for a whole PMD
 * @src: sources by entry
 * @dst: destinations by entry
 * @hole: entries where nothing was
 * @done: entries that have moved
 */
struct ileave_trip {
	enum ileave_way way;
	struct ileave_mm *mm;
	struct ileave_folio *folio;
	enum ileave_loc from, to;
	bool small, large_hole;
	unsigned int start, end, collected, moved;
	struct ileave_folio *src[HPAGE_PMD_NR], *dst[HPAGE_PMD_NR];
	bool hole[HPAGE_PMD_NR], done[HPAGE_PMD_NR];
};

/**
 * struct ileave_model - the model
 * @nr: pages of the range
 * @bug_lb5: the kernel leaks a reference, see ileave_shows_lb5()
 * @leaked: the folio that has it
 * @pinned_part: page that gets a reference of somebody as soon as it is a folio;
 *	0: none
 * @mms: the mm of the test, its child, and another child
 * @trip: the migration
 * @other: the migration that the operation is
 * @nr_folios: number of @folios
 * @folios: all folios there ever were
 */
struct ileave_model {
	unsigned int nr;
	bool bug_lb5;
	struct ileave_folio *leaked;
	unsigned int pinned_part;
	struct ileave_mm mms[ILEAVE_MAX_MMS];
	struct ileave_trip trip, other;
	unsigned int nr_folios;
	struct ileave_folio folios[ILEAVE_MAX_FOLIOS];
};

/* Page that the operations on one page are about */
#define ILEAVE_PAGE	1
/* How far mremap() moves the range: below the VMA, where nothing is */
#define ILEAVE_SHIFT		(-8L * HPAGE_PMD_SIZE)
#define ILEAVE_SHIFT_UNALIGNED	(ILEAVE_SHIFT - 3L * PAGE_SIZE)

void ileave_model_init(struct ileave_model *m, const struct ileave_row *row);
void ileave_model_setup(struct ileave_model *m, struct ileave_trip *t);
void ileave_model_copy(struct ileave_model *m, struct ileave_trip *t);
void ileave_model_pages(struct ileave_model *m, struct ileave_trip *t);
void ileave_model_finalize(struct ileave_model *m, struct ileave_trip *t);
void ileave_model_op(struct ileave_model *m, const struct ileave_row *row);
void ileave_model_pin(struct ileave_model *m, int pins);
void ileave_model_unpin_part(struct ileave_model *m);
void ileave_count(struct ileave_model *m);
struct ileave_mm *ileave_target_mm(struct ileave_model *m, const struct ileave_row *row);

/*
 * The kernel: thp_interleave_drive.c, thp_interleave_ops.c
 */

/**
 * struct ileave_run - a row that is being run
 * @test: the test
 * @f: its fixture
 * @row: the row
 * @model: the model
 * @m: the migration
 * @other: the migration that the operation is
 * @first: first page of the source
 * @pinned: folio that ILEAVE_PIN holds
 * @collected: sources and holes that the migration has got
 * @other_collected: those that @other has got
 * @armed: the operation is still to happen, in a notifier
 * @happened: number of times that the operation was done
 * @found: pages that ILEAVE_GUP has got, or an error
 * @buffer: a page, to read to
 */
struct ileave_run {
	struct kunit *test;
	struct thp_fixture *f;
	const struct ileave_row *row;
	struct ileave_model *model;
	struct fake_zdev_migration *m;
	struct fake_zdev_migration *other;
	struct page *first;
	struct folio *pinned;
	unsigned int collected;
	unsigned int other_collected;
	bool armed;
	unsigned int happened;
	long found;
	void *buffer;
};

int ileave_fixture_init(struct kunit *test);
struct ileave_run *ileave_new_run(struct kunit *test, const struct ileave_row *row);
void ileave_setup(struct ileave_run *run);
void ileave_copy(struct ileave_run *run);
void ileave_pages(struct ileave_run *run);
void ileave_finalize(struct ileave_run *run);
unsigned int ileave_moved(const struct ileave_run *run);
bool ileave_interleave(struct ileave_run *run, enum ileave_point point);
bool ileave_let_go(struct ileave_run *run);
unsigned int ileave_range_setup(struct fake_zdev_migration *m, struct page *first);
void ileave_range_pages(struct fake_zdev_migration *m);
void ileave_range_finalize(struct fake_zdev_migration *m);
void ileave_op(struct ileave_run *run);

/*
 * Whether the kernel has done it: thp_interleave_check.c
 */
void ileave_check(struct ileave_run *run, const char *step);
void ileave_read_back(struct ileave_run *run);

#endif /* _THP_INTERLEAVE_H */
