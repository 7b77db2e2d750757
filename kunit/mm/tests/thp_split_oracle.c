// SPDX-License-Identifier: GPL-2.0-only
/*
 * __split_folio_to_order() strides over the pages of a folio. This halves it
 * until the halves have the order asked for, the way the buddy allocator would,
 * and so shares neither code nor method with it.
 */
#include <linux/string.h>

#include "thp_split_oracle.h"

static void halve(struct thp_split_layout *layout, unsigned int offset,
		  unsigned int order, unsigned int new_order)
{
	if (order == new_order) {
		layout->parts[layout->nr_parts].offset = offset;
		layout->parts[layout->nr_parts].order = order;
		layout->nr_parts++;
		return;
	}
	halve(layout, offset, order - 1, new_order);
	halve(layout, offset + (1U << (order - 1)), order - 1, new_order);
}

/**
 * thp_split_oracle_uniform() - the result of a uniform split
 * @layout: where to write
 * @old_order: order of the folio, up to HPAGE_PMD_ORDER
 * @new_order: order of every part, up to @old_order
 */
void thp_split_oracle_uniform(struct thp_split_layout *layout, unsigned int old_order,
			      unsigned int new_order)
{
	memset(layout, 0, sizeof(*layout));
	halve(layout, 0, old_order, new_order);
}
