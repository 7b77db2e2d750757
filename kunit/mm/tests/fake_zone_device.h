/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A device with memory of its own, for KUnit tests of ZONE_DEVICE folios.
 *
 * lib/test_hmm.c is the other fake device of the kernel. It is driven from
 * user space through a character device, lives as long as its module, and
 * knows order 0 and HPAGE_PMD_ORDER, in separate lists. This one is driven by
 * KUnit tests and differs in all of that:
 *
 *  - synchronous: nothing happens behind the back of the test. Everything that
 *    the kernel asks of a device is done in the caller's context, and every
 *    phase of a migration can be called, and inspected, on its own.
 *  - per test: a device belongs to one test and goes away with it, so that no
 *    test sees what another has left. A page that does not come back fails the
 *    test, by name.
 *  - any order: one buddy pool over the orders 0..HPAGE_PMD_ORDER. Pages freed
 *    at one order come back at every other order.
 *  - assertable: every callback is logged with the state that it saw, every
 *    decision of the device can be made to fail, and the parts of struct page
 *    that nobody promises anything about can be filled with garbage.
 *
 * The memory of the device is shadow memory of the kernel's: no struct page of
 * the device is ever mapped. struct fake_zdev is opaque; an index @idx counts
 * the pages of a device from 0, through all of its chunks.
 */
#ifndef _FAKE_ZONE_DEVICE_H
#define _FAKE_ZONE_DEVICE_H

#include <kunit/test.h>
#include <linux/bits.h>
#include <linux/memremap.h>
#include <linux/migrate.h>
#include <linux/mm.h>

/* Blocks of the pool have the orders 0..HPAGE_PMD_ORDER. */
#define FAKE_ZDEV_NR_ORDERS	(HPAGE_PMD_ORDER + 1)

/* "no such page" in event.tail_idx, and what fake_zdev_index() must not return */
#define FAKE_ZDEV_NO_PAGE	(~0UL)

/* Every byte of the memory of a free page, see fake_zdev_params.keep_data */
#define FAKE_ZDEV_FREED_DATA	0x6f

struct fake_zdev;

/**
 * enum fake_zdev_poison - parts of a free device page that it does not own
 *
 * Each bit names what zone_device_page_init() (mm/memremap.c) promises to set,
 * for each page of a new folio, whatever a previous life of the page has left
 * there - except for the last one, which it does not touch.
 *
 * Not poisoned, because free pages do own them: the zone, node and section
 * bits of flags, PG_reserved, private (prep_compound_tail() warns unless it is
 * 0), _mapcount (-1), _refcount (0), and the half of memcg_data that does not
 * alias _nr_pages (mem_cgroup_uncharge() leaves 0).
 *
 * @FAKE_ZDEV_POISON_LOW_FLAGS: bits 0-7 of flags: PG_locked .. PG_waiters and
 *	PG_head in a page, the order in the second page of a large folio
 * @FAKE_ZDEV_POISON_HEAD: pgmap, which a tail page has its head in: left as a
 *	tail page of a head at a wild address
 * @FAKE_ZDEV_POISON_MAPPING: mapping (TAIL_MAPPING in a former tail page,
 *	_entire_mapcount and _pincount in a former second page)
 * @FAKE_ZDEV_POISON_INDEX: index, share (_mm_id_mapcount in a former second page)
 * @FAKE_ZDEV_POISON_NR_PAGES: _nr_pages of a former second page: the low half
 *	of memcg_data
 * @FAKE_ZDEV_POISON_DATA: zone_device_data, which is the driver's to set
 * @FAKE_ZDEV_POISON_ALL: all of the above: a kernel must cope with it
 * @FAKE_ZDEV_POISON_STALE_FLAGS: PG_active, PG_workingset, PG_reclaim,
 *	PG_swapbacked and PG_unevictable: flags that a folio may have when it is
 *	freed, and that nobody clears then or later. What becomes of them is for
 *	a test to say, so this is not part of FAKE_ZDEV_POISON_ALL.
 */
enum fake_zdev_poison {
	FAKE_ZDEV_POISON_LOW_FLAGS	= BIT(0),
	FAKE_ZDEV_POISON_HEAD		= BIT(1),
	FAKE_ZDEV_POISON_MAPPING	= BIT(2),
	FAKE_ZDEV_POISON_INDEX		= BIT(3),
	FAKE_ZDEV_POISON_NR_PAGES	= BIT(4),
	FAKE_ZDEV_POISON_DATA		= BIT(5),
	FAKE_ZDEV_POISON_ALL		= BIT(6) - 1,
	FAKE_ZDEV_POISON_STALE_FLAGS	= BIT(6),
};

/**
 * struct fake_zdev_params - what a device is to be like
 * @nr_pages: pages of each chunk, a multiple of HPAGE_PMD_NR; 0: 4 * HPAGE_PMD_NR
 * @nr_chunks: chunks to begin with, each with a dev_pagemap of its own; 0: 1
 * @nr_events: size of the event log; 0: enough for every page of the first
 *	chunks to be allocated, copied, split off and freed twice
 * @poison: parts to poison in each page that is or becomes free, a mask of
 *	enum fake_zdev_poison; 0: none, leave what the last life left
 * @owner: owner of the pages as in dev_pagemap, shared between devices that
 *	have the same one; NULL: the device itself
 * @no_folio_split: leave the folio_split callback out of dev_pagemap_ops
 * @keep_data: leave the memory of pages alone when they become free
 */
struct fake_zdev_params {
	unsigned long nr_pages;
	unsigned int nr_chunks;
	unsigned int nr_events;
	unsigned long poison;
	void *owner;
	bool no_folio_split;
	bool keep_data;
};

/*
 * Devices: fake_zone_device.c
 */
struct fake_zdev *fake_zdev_create(struct kunit *test,
				   const struct fake_zdev_params *params);
void fake_zdev_grow(struct kunit *test, struct fake_zdev *zdev);
void fake_zdev_destroy(struct kunit *test, struct fake_zdev *zdev);

unsigned long fake_zdev_nr_pages(const struct fake_zdev *zdev);
void *fake_zdev_owner(const struct fake_zdev *zdev);
struct dev_pagemap *fake_zdev_pgmap(const struct fake_zdev *zdev, unsigned long idx);
unsigned long fake_zdev_pgmap_refs(const struct fake_zdev *zdev);

struct page *fake_zdev_page(const struct fake_zdev *zdev, unsigned long idx);
bool fake_zdev_contains(const struct fake_zdev *zdev, const struct page *page);
unsigned long fake_zdev_index(const struct fake_zdev *zdev, const struct page *page);
void *fake_zdev_data(const struct fake_zdev *zdev, const struct page *page);

/*
 * The pool: fake_zone_device_pool.c
 */
struct folio *fake_zdev_alloc(struct fake_zdev *zdev, unsigned int order);
struct folio *fake_zdev_alloc_at(struct fake_zdev *zdev, unsigned long idx,
				 unsigned int order);
void fake_zdev_release(struct folio *folio);

unsigned long fake_zdev_nr_free(struct fake_zdev *zdev);
unsigned long fake_zdev_nr_free_blocks(struct fake_zdev *zdev, unsigned int order);
int fake_zdev_live_order(struct fake_zdev *zdev, unsigned long idx);
unsigned long fake_zdev_next_live(struct fake_zdev *zdev, unsigned long idx);
unsigned long fake_zdev_count_leaks(struct fake_zdev *zdev);

/*
 * Is the pool what it must be?: fake_zone_device_check.c
 */
unsigned long fake_zdev_count_pool_errors(struct fake_zdev *zdev, char *why, size_t size);
void fake_zdev_check_pool(struct kunit *test, struct fake_zdev *zdev);

/*
 * Garbage in free pages: fake_zone_device_poison.c
 */
void fake_zdev_poison_free(struct fake_zdev *zdev, unsigned long mask);

/**
 * enum fake_zdev_event_type - what happened to, or was asked of, a device
 * @FAKE_ZDEV_ALLOC: a folio was allocated, and initialised
 * @FAKE_ZDEV_FREE: ->folio_free(folio)
 * @FAKE_ZDEV_SPLIT: ->folio_split(folio, tail): @tail was split off
 * @FAKE_ZDEV_SPLIT_DONE: ->folio_split(folio, NULL)
 * @FAKE_ZDEV_MIGRATE_TO_RAM: ->migrate_to_ram(vmf), on entry
 * @FAKE_ZDEV_COPY_TO_DEV: a folio of the device was filled
 * @FAKE_ZDEV_COPY_TO_RAM: a folio of the device, or a part of it, was copied to
 *	system memory
 * @FAKE_ZDEV_INVALIDATE: an MMU notifier of fake_zdev_watch() was called
 * @FAKE_ZDEV_NR_EVENT_TYPES: number of types
 */
enum fake_zdev_event_type {
	FAKE_ZDEV_ALLOC,
	FAKE_ZDEV_FREE,
	FAKE_ZDEV_SPLIT,
	FAKE_ZDEV_SPLIT_DONE,
	FAKE_ZDEV_MIGRATE_TO_RAM,
	FAKE_ZDEV_COPY_TO_DEV,
	FAKE_ZDEV_COPY_TO_RAM,
	FAKE_ZDEV_INVALIDATE,
	FAKE_ZDEV_NR_EVENT_TYPES
};

/**
 * struct fake_zdev_event - one entry of the event log
 * @seq: position in the order of the events of all devices
 * @type: what happened
 * @idx: the first page of the folio concerned; the faulting page for
 *	MIGRATE_TO_RAM, the first copied one for COPY_TO_RAM; FAKE_ZDEV_NO_PAGE
 *	for INVALIDATE
 * @order: order of that folio. In SPLIT and SPLIT_DONE: as it is inside the
 *	callback, after the split. In COPY_TO_RAM: of the copy.
 * @refcount: of that folio
 * @locked: that folio is locked
 * @mapping: mapping of that folio; NULL is promised to FREE
 * @tail_idx: SPLIT: first page of the new folio; else FAKE_ZDEV_NO_PAGE
 * @tail_order: SPLIT: order of the new folio
 * @tail_refcount: SPLIT: refcount of the new folio
 * @tail_locked: SPLIT: the new folio is locked
 * @tail_pgmap: SPLIT: pgmap of the new folio before the callback has set it
 * @irqs_disabled: the callback was called with interrupts disabled
 * @addr: MIGRATE_TO_RAM: address of the fault; INVALIDATE: start of the range
 * @end: INVALIDATE: end of the range
 * @pmd_fault: MIGRATE_TO_RAM: vmf->pte was NULL, the whole PMD faulted
 * @notify: INVALIDATE: enum mmu_notifier_event
 * @notify_owner: INVALIDATE: owner as told to the notifier
 */
struct fake_zdev_event {
	unsigned long seq;
	enum fake_zdev_event_type type;
	unsigned long idx;
	unsigned int order;
	int refcount;
	bool locked;
	const void *mapping;
	unsigned long tail_idx;
	unsigned int tail_order;
	int tail_refcount;
	bool tail_locked;
	struct dev_pagemap *tail_pgmap;
	bool irqs_disabled;
	unsigned long addr;
	unsigned long end;
	bool pmd_fault;
	int notify;
	void *notify_owner;
};

/**
 * typedef fake_zdev_hook_t - called on each event, once it is in the log
 * @zdev: device
 * @event: the event
 * @arg: what fake_zdev_set_hook() was told to pass
 *
 * Runs in the context of the event: under page table locks in FREE, with
 * interrupts disabled in SPLIT and SPLIT_DONE, in all of which it must not
 * sleep. No lock of the device is held.
 */
typedef void (*fake_zdev_hook_t)(struct fake_zdev *zdev,
				 const struct fake_zdev_event *event, void *arg);

/*
 * The event log: fake_zone_device_event.c
 */
unsigned long fake_zdev_nr_events(struct fake_zdev *zdev);
const struct fake_zdev_event *fake_zdev_event(struct fake_zdev *zdev, unsigned long n);
const struct fake_zdev_event *fake_zdev_nth_event(struct fake_zdev *zdev,
						  enum fake_zdev_event_type type,
						  unsigned long n);
unsigned long fake_zdev_count(struct fake_zdev *zdev, enum fake_zdev_event_type type);
unsigned long fake_zdev_nr_lost_events(struct fake_zdev *zdev);
void fake_zdev_clear_events(struct fake_zdev *zdev);
void fake_zdev_set_hook(struct fake_zdev *zdev, fake_zdev_hook_t hook, void *arg);

/*
 * MMU notifiers that log: fake_zone_device_watch.c
 */
void fake_zdev_watch(struct kunit *test, struct fake_zdev *zdev, struct mm_struct *mm,
		     unsigned long start, unsigned long end);

/**
 * enum fake_zdev_point - decisions of the device that can be made to fail
 * @FAKE_ZDEV_POINT_ALLOC: allocate a folio of the device, any order
 * @FAKE_ZDEV_POINT_ALLOC_LARGE: allocate one of an order above 0. Such an
 *	allocation is a decision at this point and at FAKE_ZDEV_POINT_ALLOC.
 * @FAKE_ZDEV_POINT_COPY: copy one folio from or to the device
 * @FAKE_ZDEV_POINT_LOCK: lock a new folio of system memory
 * @FAKE_ZDEV_POINT_PIN: not to be disturbed between the phases: "failing" takes
 *	a reference on the source folio, as a racing folio_try_get() would, from
 *	the copy phase until the end of the pages phase
 * @FAKE_ZDEV_POINT_RAM_ALLOC: allocate a folio of system memory, any order
 * @FAKE_ZDEV_POINT_RAM_ALLOC_LARGE: the same above order 0
 * @FAKE_ZDEV_NR_POINTS: number of points
 */
enum fake_zdev_point {
	FAKE_ZDEV_POINT_ALLOC,
	FAKE_ZDEV_POINT_ALLOC_LARGE,
	FAKE_ZDEV_POINT_COPY,
	FAKE_ZDEV_POINT_LOCK,
	FAKE_ZDEV_POINT_PIN,
	FAKE_ZDEV_POINT_RAM_ALLOC,
	FAKE_ZDEV_POINT_RAM_ALLOC_LARGE,
	FAKE_ZDEV_NR_POINTS
};

/*
 * Failures on request: fake_zone_device_inject.c
 */
void fake_zdev_fail_nth(struct fake_zdev *zdev, enum fake_zdev_point point,
			unsigned long nth);
void fake_zdev_fail_from(struct fake_zdev *zdev, enum fake_zdev_point point,
			 unsigned long nth);
unsigned long fake_zdev_decisions(struct fake_zdev *zdev, enum fake_zdev_point point);
unsigned long fake_zdev_failures(struct fake_zdev *zdev, enum fake_zdev_point point);

#endif /* _FAKE_ZONE_DEVICE_H */
