/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A model of migrate_vma_setup(), migrate_vma_pages() and migrate_vma_finalize()
 * over a few PMDs full of anything: what each entry of the arrays, each folio,
 * each page table entry and each counter must be after each phase.
 *
 * The model knows no struct page beyond its address: what it says comes from the
 * layout that a test asks for, and from what the kernel-doc of migrate_vma_setup()
 * promises. It never looks at the kernel's state.
 */
#ifndef _THP_MIGRATE_MODEL_H
#define _THP_MIGRATE_MODEL_H

#include <linux/migrate.h>

#include "fake_zone_device_migrate.h"
#include "thp_fixture.h"

/* The window of a test: that many PMDs */
#define THP_MODEL_PMDS	2
#define THP_MODEL_PAGES	(THP_MODEL_PMDS * HPAGE_PMD_NR)

/**
 * enum thp_what - what is at an address
 * @THP_HOLE: nothing
 * @THP_ZERO: the zero page
 * @THP_HUGE_ZERO: a part of the huge zero folio, which a PMD maps
 * @THP_SYSTEM: an anonymous folio of system memory
 * @THP_DEVICE: an anonymous folio of the fixture's device
 * @THP_PEER: an anonymous folio of its second device
 */
enum thp_what {
	THP_HOLE,
	THP_ZERO,
	THP_HUGE_ZERO,
	THP_SYSTEM,
	THP_DEVICE,
	THP_PEER,
};

/**
 * struct thp_piece - a folio, or zeroes, in a layout
 * @what: what it is; THP_HOLE ends a list of pieces
 * @order: its order, 0 or 2..HPAGE_PMD_ORDER
 * @place: number of its first page in the window, naturally aligned
 * @by_ptes: HPAGE_PMD_ORDER only: its PMD is split
 * @pins: references that others hold on it all the time
 */
struct thp_piece {
	enum thp_what what;
	unsigned int order;
	unsigned long place;
	bool by_ptes;
	unsigned int pins;
};

/* The most pieces that a layout has */
#define THP_MAX_PIECES	12

/**
 * struct thp_request - what migrate_vma_setup() is asked for
 * @start: first page of the range, by number in the window
 * @end: the page after the last one
 * @flags: mask of enum migrate_vma_direction
 * @owner: whose device folios: THP_DEVICE or THP_PEER; THP_HOLE: no owner (NULL);
 *	THP_ZERO: an owner that has no device
 * @to: where they go: THP_SYSTEM, THP_DEVICE or THP_PEER
 * @policy: destinations that the driver offers
 * @late_pin: FAKE_ZDEV_POINT_PIN: somebody takes a reference on each source
 *	between migrate_vma_setup() and migrate_vma_pages()
 */
struct thp_request {
	unsigned long start;
	unsigned long end;
	unsigned long flags;
	enum thp_what owner;
	enum thp_what to;
	enum fake_zdev_policy policy;
	bool late_pin;
};

/**
 * struct thp_model_page - a page of the window
 * @page: struct page that is mapped here, or that a migration entry stands for
 * @dst: page that it has been migrated to by migrate_vma_pages(), or NULL
 * @src: what the entry of migrate_vma.src must be
 * @head: number in the window of the first page of its folio
 * @what: what it is
 * @order: order of its folio
 * @by_pmd: a PMD maps its folio
 * @migrating: it has a migration entry
 * @young: its PTE or PMD is young
 * @written: its PTE or PMD is dirty
 * @dirty: its folio is PG_dirty
 * @deferred: its folio waits for deferred_split_scan()
 * @blank: its memory is zero, it does not have the pattern
 * @inserted: it has been put into a hole and is held until finalize
 * @pins: references that others have on its folio
 * @dst_order: order of the folio of @dst
 * @dst_what: what @dst is
 */
struct thp_model_page {
	struct page *page;
	struct page *dst;
	unsigned long src;
	u16 head;
	u8 what;
	u8 order;
	bool by_pmd;
	bool migrating;
	bool young;
	bool written;
	bool dirty;
	bool deferred;
	bool blank;
	bool inserted;
	u8 pins;
	u8 dst_order;
	u8 dst_what;
};

/**
 * struct thp_model - the window as it must be
 * @f: fixture; its @addr is the start of the window
 * @pages: the pages
 * @has_table: by PMD: it is a page table
 * @is_anon: the VMA is anonymous: holes can be filled
 * @is_writable: the VMA can be written to
 * @memcg: memcg_data of a folio that is charged to the mm
 * @cpages: what migrate_vma.cpages must be
 * @dst_pages: pages of devices that destinations have, used or not
 * @pinned: folios that others hold references on
 * @pins: number of them
 * @events: what was counted since the start of the test: fields of
 *	THP_GROUP_TOTALS that only grow
 */
struct thp_model {
	struct thp_fixture *f;
	struct thp_model_page *pages;
	bool has_table[THP_MODEL_PMDS];
	bool is_anon;
	bool is_writable;
	s64 memcg;
	unsigned long cpages;
	unsigned long dst_pages;
	struct folio *pinned[THP_MAX_PIECES];
	unsigned int pins[THP_MAX_PIECES];
	struct thp_state events;
};

/*
 * The window and its layout: thp_migrate_layout.c
 */
void thp_layout_map(struct thp_fixture *f, unsigned long prot, unsigned long flags);
struct thp_model *thp_layout_build(struct thp_fixture *f, const struct thp_piece *pieces);
void thp_layout_unpin(struct thp_model *model);
void thp_layout_read_back(struct thp_model *model);

/*
 * The model: thp_migrate_model.c
 */
void thp_model_setup(struct thp_model *model, const struct thp_request *req);
unsigned long thp_model_dst(const struct thp_model *model, const struct thp_request *req,
			    unsigned long place);
void thp_model_pages(struct thp_model *model, const struct thp_request *req,
		     const unsigned long *dst);
void thp_model_finalize(struct thp_model *model, const struct thp_request *req);

/*
 * Is the kernel's state that of the model?: thp_migrate_check.c
 */
void thp_model_expect(struct thp_model *model, const char *step);
void thp_model_run(struct thp_model *model, const struct thp_request *req,
		   enum fake_zdev_phase stop);
void thp_expect_none_migrates(struct thp_fixture *f, struct fake_zdev_migration *m);

#endif /* _THP_MIGRATE_MODEL_H */
