// SPDX-License-Identifier: GPL-2.0-only
/*
 * __split_folio_to_order() strides over the pages of a folio. This halves it
 * until the halves have the order asked for, the way the buddy allocator would,
 * and so shares neither code nor method with it.
 *
 * For the non-uniform split __split_unmapped_folio() splits off one half after
 * the other. Here each page says by its address alone which part it is in.
 */
#include <linux/bitops.h>
#include <linux/minmax.h>
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

/*
 * Two pages are in different halves of the smallest block that has them both, so
 * the order of a half is the highest bit in which their addresses differ: that
 * is the part of @page, unless it is in the part of @split_at.
 */
static unsigned int order_by_address(unsigned int page, unsigned int split_at,
				     unsigned int new_order)
{
	unsigned int order = max_t(unsigned int, fls(page ^ split_at), 1) - 1;

	return page >> new_order == split_at >> new_order ? new_order : order;
}

static void split_by_address(struct thp_split_layout *layout, unsigned int old_order,
			     unsigned int new_order, unsigned int split_at, bool has_order_1)
{
	unsigned int page = 0;

	memset(layout, 0, sizeof(*layout));
	while (page < 1U << old_order) {
		unsigned int order = order_by_address(page, split_at, new_order);

		if (order == 1 && !has_order_1)
			order = 0;
		layout->parts[layout->nr_parts].offset = page;
		layout->parts[layout->nr_parts].order = order;
		layout->nr_parts++;
		page += 1U << order;
	}
}

/**
 * thp_split_oracle_non_uniform() - the result of a non-uniform split
 * @layout: where to write
 * @old_order: order of the anonymous folio, up to HPAGE_PMD_ORDER
 * @new_order: order of the part that has @split_at; 0, or 2..@old_order - 1
 * @split_at: a page, counted from the first one of the folio
 *
 * Everything else is left as large as it can be (folio_split()). There are no
 * anonymous folios of order 1.
 */
void thp_split_oracle_non_uniform(struct thp_split_layout *layout, unsigned int old_order,
				  unsigned int new_order, unsigned int split_at)
{
	split_by_address(layout, old_order, new_order, split_at, false);
}

/**
 * thp_split_oracle_non_uniform_file() - the same of a folio in the page cache
 * @layout: where to write
 * @old_order: order of the folio, up to HPAGE_PMD_ORDER
 * @new_order: order of the part that has @split_at, up to @old_order - 1
 * @split_at: a page, counted from the first one of the folio
 *
 * Files have folios of order 1.
 */
void thp_split_oracle_non_uniform_file(struct thp_split_layout *layout,
				       unsigned int old_order, unsigned int new_order,
				       unsigned int split_at)
{
	split_by_address(layout, old_order, new_order, split_at, true);
}

/**
 * thp_split_oracle_file() - the result of a split of either kind, of the page cache
 * @layout: where to write
 * @uniform: every part is of @new_order
 * @old_order: order of the folio, up to HPAGE_PMD_ORDER
 * @new_order: order asked for
 * @split_at: as for thp_split_oracle_non_uniform_file(), if it is not uniform
 */
void thp_split_oracle_file(struct thp_split_layout *layout, bool uniform,
			   unsigned int old_order, unsigned int new_order,
			   unsigned int split_at)
{
	if (uniform)
		thp_split_oracle_uniform(layout, old_order, new_order);
	else
		thp_split_oracle_non_uniform_file(layout, old_order, new_order, split_at);
}
