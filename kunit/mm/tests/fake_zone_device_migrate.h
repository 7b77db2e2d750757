/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Migration to, from and between fake devices, the way a driver does it with
 * migrate_vma_setup(), migrate_vma_pages() and migrate_vma_finalize() - one
 * phase at a time, or as a whole.
 */
#ifndef _FAKE_ZONE_DEVICE_MIGRATE_H
#define _FAKE_ZONE_DEVICE_MIGRATE_H

#include "fake_zone_device.h"

/**
 * enum fake_zdev_policy - which destinations the driver provides
 * @FAKE_ZDEV_DST_AS_SOURCE: a large folio for a large source; if it can't be
 *	had, small ones
 * @FAKE_ZDEV_DST_AS_SOURCE_ONLY: a large folio for a large source, or nothing
 * @FAKE_ZDEV_DST_ALL_SMALL: order-0 folios for everything
 * @FAKE_ZDEV_DST_FIRST_SMALL: for a large source one order-0 folio, for its
 *	first page only; order-0 folios for small sources
 * @FAKE_ZDEV_DST_SOME_MISSING: order-0 folios, except for each entry of src
 *	whose index is 3 modulo 4. (In 7.2 and 7.3 migrate_vma_pages() uses the
 *	missing ones if the source is a hole of a whole PMD, and crashes.)
 * @FAKE_ZDEV_DST_NONE: nothing for anything
 */
enum fake_zdev_policy {
	FAKE_ZDEV_DST_AS_SOURCE,
	FAKE_ZDEV_DST_AS_SOURCE_ONLY,
	FAKE_ZDEV_DST_ALL_SMALL,
	FAKE_ZDEV_DST_FIRST_SMALL,
	FAKE_ZDEV_DST_SOME_MISSING,
	FAKE_ZDEV_DST_NONE,
};

/**
 * enum fake_zdev_phase - how far a migration has come
 * @FAKE_ZDEV_PHASE_INIT: arrays allocated
 * @FAKE_ZDEV_PHASE_SETUP: sources locked, and unmapped
 * @FAKE_ZDEV_PHASE_COPY: destinations allocated, and filled
 * @FAKE_ZDEV_PHASE_PAGES: metadata moved
 * @FAKE_ZDEV_PHASE_FINAL: page tables restored, nothing held any more
 */
enum fake_zdev_phase {
	FAKE_ZDEV_PHASE_INIT,
	FAKE_ZDEV_PHASE_SETUP,
	FAKE_ZDEV_PHASE_COPY,
	FAKE_ZDEV_PHASE_PAGES,
	FAKE_ZDEV_PHASE_FINAL,
};

/**
 * struct fake_zdev_migration - a migration under way
 * @from: device that the pages come from, or NULL: system memory
 * @to: device that they go to, or NULL: system memory
 * @args: the argument of the migrate_vma functions
 * @src: args.src: of nr_entries, whatever setup makes of args.npages
 * @dst: args.dst
 * @pinned: source folios that FAKE_ZDEV_POINT_PIN took a reference on, by entry
 * @nr_entries: size of the arrays, the pages of the range
 * @phase: how far it has come
 */
struct fake_zdev_migration {
	struct fake_zdev *from;
	struct fake_zdev *to;
	struct migrate_vma args;
	unsigned long *src;
	unsigned long *dst;
	struct folio **pinned;
	unsigned long nr_entries;
	enum fake_zdev_phase phase;
};

/*
 * The phases. Context for all: process context, mmap lock of the mm of the VMA
 * held for reading from before setup until after finalize.
 */
struct fake_zdev_migration *
fake_zdev_migration_init(struct kunit *test,
			 struct fake_zdev *from, struct fake_zdev *to,
			 struct vm_area_struct *vma,
			 unsigned long start, unsigned long end,
			 unsigned long flags);
int fake_zdev_migration_setup(struct fake_zdev_migration *m);
void fake_zdev_migration_copy(struct fake_zdev_migration *m,
			      enum fake_zdev_policy policy);
void fake_zdev_migration_pages(struct fake_zdev_migration *m);
unsigned long fake_zdev_migration_migrated(const struct fake_zdev_migration *m);
void fake_zdev_migration_finalize(struct fake_zdev_migration *m);

/*
 * Whole trips. Context: process context, mmap lock not held. The range must
 * lie in one VMA. Return the number of pages that moved, or the error of
 * migrate_vma_setup(), or -ENOMEM.
 */
long fake_zdev_migrate_to_device(struct fake_zdev *zdev, struct mm_struct *mm,
				 unsigned long start, unsigned long end,
				 enum fake_zdev_policy policy);
long fake_zdev_migrate_to_ram(struct fake_zdev *zdev, struct mm_struct *mm,
			      unsigned long start, unsigned long end,
			      enum fake_zdev_policy policy);
long fake_zdev_migrate_to_peer(struct fake_zdev *from, struct fake_zdev *to,
			       struct mm_struct *mm,
			       unsigned long start, unsigned long end,
			       enum fake_zdev_policy policy);

/*
 * Without an mm: fake_zone_device_evict.c
 */
long fake_zdev_evict(struct fake_zdev *zdev, unsigned long first, unsigned long nr);

/*
 * What ->migrate_to_ram() does on a CPU fault
 */
void fake_zdev_set_fault_policy(struct fake_zdev *zdev, enum fake_zdev_policy policy);
void fake_zdev_set_fault_flags(struct fake_zdev *zdev, unsigned long flags);
void fake_zdev_set_fault_order(struct fake_zdev *zdev, unsigned int order);

#endif /* _FAKE_ZONE_DEVICE_MIGRATE_H */
