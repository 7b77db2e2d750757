/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Which folios a split must leave behind: an answer of its own, by brute force.
 */
#ifndef _THP_SPLIT_ORACLE_H
#define _THP_SPLIT_ORACLE_H

#include <linux/mm.h>

/**
 * struct thp_split_layout - folios after a split, in ascending order of pfn
 * @nr_parts: number of folios
 * @parts: the folios
 * @parts.offset: first page, counted from the first page of the folio split
 * @parts.order: order
 */
struct thp_split_layout {
	unsigned int nr_parts;
	struct {
		unsigned int offset;
		unsigned int order;
	} parts[HPAGE_PMD_NR];
};

void thp_split_oracle_uniform(struct thp_split_layout *layout, unsigned int old_order,
			      unsigned int new_order);
void thp_split_oracle_non_uniform(struct thp_split_layout *layout, unsigned int old_order,
				  unsigned int new_order, unsigned int split_at);
void thp_split_oracle_non_uniform_file(struct thp_split_layout *layout,
				       unsigned int old_order, unsigned int new_order,
				       unsigned int split_at);
void thp_split_oracle_file(struct thp_split_layout *layout, bool uniform,
			   unsigned int old_order, unsigned int new_order,
			   unsigned int split_at);

#endif /* _THP_SPLIT_ORACLE_H */
