/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the parts of the fake device share with each other, and with nobody
 * else. Its own suites may look.
 */
#ifndef _FAKE_ZONE_DEVICE_INTERNAL_H
#define _FAKE_ZONE_DEVICE_INTERNAL_H

#include <linux/spinlock.h>
#include <linux/wait.h>

#include "fake_zone_device.h"
#include "fake_zone_device_migrate.h"

#define FAKE_ZDEV_MAX_CHUNKS	16

/**
 * struct fake_zdev_chunk - pages of a device that were added in one go
 * @zdev: the device
 * @res: the physical address range, which is larger than what is used of it
 * @first_pfn: pfn of the first page
 * @first_idx: index in the device of the first page
 * @nr_pages: number of pages
 * @nr_free: number of those that are free
 * @free: per order: which of the naturally aligned blocks are free blocks
 * @used: per page: has been allocated since the device was made
 * @live: per page: order of the allocated block that starts there, or -1
 * @data: per HPAGE_PMD_NR pages: their memory, NULL until one is allocated
 * @is_mapped: memremap_pages() was done
 * @memmap: what its struct pages were like then
 * @pgmap: pgmap of the pages
 *
 * Blocks do not cross chunks, so each chunk has a pool of its own.
 */
struct fake_zdev_chunk {
	struct fake_zdev *zdev;
	struct resource *res;
	unsigned long first_pfn;
	unsigned long first_idx;
	unsigned long nr_pages;
	unsigned long nr_free;
	unsigned long *free[FAKE_ZDEV_NR_ORDERS];
	unsigned long *used;
	s8 *live;
	void **data;
	bool is_mapped;
	void *memmap;
	struct dev_pagemap pgmap;
};

/**
 * struct fake_zdev_decider - one point where failures can be injected
 * @decisions: decisions made so far
 * @failures: failures injected so far
 * @fail_at: number of the decision that fails next, 0: none
 * @and_on: all that follow fail, too
 */
struct fake_zdev_decider {
	unsigned long decisions;
	unsigned long failures;
	unsigned long fail_at;
	bool and_on;
};

/**
 * struct fake_zdev - a fake device
 * @test: the test that it belongs to
 * @params: what it was created with, without defaults any more
 * @chunks: its memory
 * @nr_chunks: number of @chunks
 * @lock: protects the pools of the chunks, the event log, the deciders and
 *	@bad_calls. Raw, and taken with interrupts disabled: callbacks run under
 *	page table locks, and with interrupts disabled.
 * @all_free: woken when the last page of the device becomes free
 * @leak_timeout: how long destruction waits for that, in jiffies
 * @bad_calls: callbacks that contradict the pool
 * @first_bad_call: the first of them, for the message
 * @events: the event log
 * @nr_events: number of entries in use
 * @nr_lost_events: events that found the log full
 * @event_counts: number of events by type, including lost ones
 * @hook: called after each event
 * @hook_arg: its argument
 * @deciders: where failures are injected
 * @fault_policy: destinations for ->migrate_to_ram()
 * @fault_flags: flags for ->migrate_to_ram()
 * @fault_order: least order of the window of ->migrate_to_ram()
 * @nr_idle_faults: faults in a row that migrated nothing
 */
struct fake_zdev {
	struct kunit *test;
	struct fake_zdev_params params;
	struct fake_zdev_chunk *chunks[FAKE_ZDEV_MAX_CHUNKS];
	unsigned int nr_chunks;

	raw_spinlock_t lock;
	wait_queue_head_t all_free;
	unsigned long leak_timeout;
	unsigned int bad_calls;
	char first_bad_call[96];

	struct fake_zdev_event *events;
	unsigned long nr_events;
	unsigned long nr_lost_events;
	unsigned long event_counts[FAKE_ZDEV_NR_EVENT_TYPES];
	fake_zdev_hook_t hook;
	void *hook_arg;

	struct fake_zdev_decider deciders[FAKE_ZDEV_NR_POINTS];

	enum fake_zdev_policy fault_policy;
	unsigned long fault_flags;
	unsigned int fault_order;
	unsigned int nr_idle_faults;
};

/* fake_zone_device.c */
struct fake_zdev_chunk *fake_zdev_page_chunk(const struct fake_zdev *zdev,
					     const struct page *page);
struct fake_zdev_chunk *fake_zdev_folio_chunk(const struct folio *folio);
unsigned long fake_zdev_destroy_or_leak(struct fake_zdev *zdev);
void fake_zdev_unmake_chunk(struct fake_zdev_chunk *chunk);

/* fake_zone_device_spare.c */
int fake_zdev_save_memmap(struct fake_zdev_chunk *chunk);
struct fake_zdev_chunk *fake_zdev_take_spare_chunk(unsigned long nr_pages);
bool fake_zdev_keep_chunk(struct fake_zdev_chunk *chunk);
bool fake_zdev_drop_spare_chunks(void);
void *fake_zdev_get_block(void);
void fake_zdev_put_block(void *block);

/* fake_zone_device_pool.c */
int fake_zdev_pool_init(struct fake_zdev_chunk *chunk);
void fake_zdev_pool_destroy(struct fake_zdev_chunk *chunk);
bool fake_zdev_pool_free(struct fake_zdev_chunk *chunk, struct folio *folio);
void fake_zdev_pool_split(struct fake_zdev_chunk *chunk, struct folio *folio,
			  struct folio *tail);
void fake_zdev_pool_split_done(struct fake_zdev_chunk *chunk, struct folio *folio);
void fake_zdev_report_leaks(struct fake_zdev *zdev);

/* fake_zone_device_poison.c */
void fake_zdev_poison_page(struct page *page, unsigned long mask);

/* fake_zone_device_event.c */
int fake_zdev_log_init(struct fake_zdev *zdev, unsigned long capacity);
void fake_zdev_log_destroy(struct fake_zdev *zdev);
void fake_zdev_event_folio(struct fake_zdev_event *event, const struct fake_zdev *zdev,
			   enum fake_zdev_event_type type, const struct folio *folio);
void fake_zdev_log(struct fake_zdev *zdev, struct fake_zdev_event *event);
void fake_zdev_log_folio(struct fake_zdev *zdev, enum fake_zdev_event_type type,
			 const struct folio *folio);

/* fake_zone_device_inject.c */
bool fake_zdev_decide(struct fake_zdev *zdev, enum fake_zdev_point point);

/* fake_zone_device_fault.c */
vm_fault_t fake_zdev_ram_fault(struct vm_fault *vmf);

/* fake_zone_device_migrate.c */
int __fake_zdev_migration_init(struct fake_zdev_migration *m,
			       struct fake_zdev *from, struct fake_zdev *to,
			       struct vm_area_struct *vma,
			       unsigned long start, unsigned long end,
			       unsigned long flags);
void __fake_zdev_migration_exit(struct fake_zdev_migration *m);

#endif /* _FAKE_ZONE_DEVICE_INTERNAL_H */
