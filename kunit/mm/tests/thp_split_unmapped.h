/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites of folio_split_unmapped() share: which splits there are, a
 * folio to split, of a device or of system memory, and what must come of it.
 */
#ifndef _THP_SPLIT_UNMAPPED_H
#define _THP_SPLIT_UNMAPPED_H

#include "thp_fixture.h"
#include "thp_split_oracle.h"

/**
 * struct thp_split_pair - one split
 * @old_order: order before
 * @new_order: order after
 */
struct thp_split_pair {
	unsigned int old_order;
	unsigned int new_order;
};

/* Every split of an anonymous folio: there are none of order 1. */
extern const struct thp_split_pair thp_split_pairs[];
#define THP_NR_SPLIT_PAIRS	36

/* The row of those that split to order 0, which is the first one of each order */
#define THP_NR_SPLIT_ORDERS	8

int thp_split_pairs_init(struct kunit *test);
int thp_split_to_0_init(struct kunit *test);
void thp_split_pair_desc(struct kunit *test, const void *param, char *desc);

/**
 * enum thp_memory - whose pages a folio has
 * @THP_DEVICE: those of the device of the fixture
 * @THP_SYSTEM: those of the kernel
 */
enum thp_memory {
	THP_DEVICE,
	THP_SYSTEM,
};

struct folio *thp_unmapped_alloc(struct thp_fixture *f, enum thp_memory memory,
				 unsigned int order);
void thp_unmapped_want(const struct thp_fixture *f, struct thp_state *want,
		       enum thp_memory memory, unsigned int order);
void thp_unmapped_put(struct thp_fixture *f, enum thp_memory memory);
bool thp_unmapped_split(struct thp_fixture *f, enum thp_memory memory,
			const struct thp_split_pair *pair, struct thp_state *want,
			const char *step);

void thp_split_expect_layout(struct thp_fixture *f, const struct thp_split_layout *layout);
void thp_split_expect_calls(struct thp_fixture *f, const struct thp_split_layout *layout);
void thp_split_expect_no_calls(struct thp_fixture *f);

#endif /* _THP_SPLIT_UNMAPPED_H */
