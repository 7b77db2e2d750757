/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a split of a mapped device-private folio must leave behind, and the check
 * that it did: each part in turn, with all that the ledger knows of it.
 */
#ifndef _THP_SPLIT_PARTS_H
#define _THP_SPLIT_PARTS_H

#include <linux/bitmap.h>

#include "thp_fixture.h"
#include "thp_split_oracle.h"

/* thp_split_parts.lock_at: no folio is locked */
#define THP_SPLIT_NONE_LOCKED	(~0U)

/**
 * struct thp_split_parts - the parts of a folio, and who has them
 * @layout: the parts, from the oracle
 * @old_order: order of the folio that was split, the tracked one
 * @lock_at: page of the folio whose part the test holds locked, or
 *	THP_SPLIT_NONE_LOCKED
 * @held: references of the test to that part
 * @nr_mms: mms that map the folio, all in the same way: 1 or 2
 * @splits: splits so far, of a folio of @old_order
 * @failures: failed ones
 * @split_pmds: THP_SPLIT_PMD events so far
 * @zapped: pages of the folio that no mm maps any more
 * @live: pages of parts that are still in use
 * @mapped: pages that are mapped
 * @nr_anon: parts in use, by order
 */
struct thp_split_parts {
	struct thp_split_layout layout;
	unsigned int old_order;
	unsigned int lock_at;
	unsigned int held;
	unsigned int nr_mms;
	unsigned int splits;
	unsigned int failures;
	unsigned int split_pmds;
	DECLARE_BITMAP(zapped, HPAGE_PMD_NR);
	unsigned int live;
	unsigned int mapped;
	unsigned int nr_anon[THP_NR_ORDERS];
};

struct thp_split_parts *thp_split_parts_whole(struct thp_fixture *f, unsigned int order);
struct thp_split_parts *thp_split_parts_uniform(struct thp_fixture *f,
						unsigned int old_order,
						unsigned int new_order);
struct thp_split_parts *thp_split_parts_non_uniform(struct thp_fixture *f,
						    unsigned int old_order,
						    unsigned int new_order,
						    unsigned int split_at);
void thp_split_parts_want(const struct thp_fixture *f, const struct thp_split_parts *parts,
			  unsigned int i, struct thp_state *want);
bool thp_split_part_is_live(const struct thp_split_parts *parts, unsigned int i);
void thp_split_parts_expect(struct thp_fixture *f, struct thp_split_parts *parts,
			    const char *step);
void thp_split_parts_expect_calls(struct thp_fixture *f,
				  const struct thp_split_parts *parts);
void thp_split_parts_hold(struct thp_fixture *f, const struct thp_split_parts *parts);
void thp_split_parts_let_go(struct thp_fixture *f, struct thp_split_parts *parts);

#endif /* _THP_SPLIT_PARTS_H */
