/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rows of the suites that split mapped device-private folios: every old and
 * new order that there is, how the folio is mapped, and which page is asked for.
 */
#ifndef _THP_SPLIT_ROWS_H
#define _THP_SPLIT_ROWS_H

#include "thp_split_parts.h"

/**
 * struct thp_split_row - one split
 * @old_order: order before: 2..HPAGE_PMD_ORDER
 * @new_order: order after: 0 or 2..@old_order - 1
 * @pmd: mapped by a PMD when it is split, else by PTEs
 * @split_pmds: THP_SPLIT_PMD events by the time that it is split
 * @split_pmds_shared: the same if mapping it is followed by a fork
 * @at: page that is asked for
 * @at_name: which one that is
 * @write: the entries are writable
 * @exclusive: the pages are AnonExclusive
 * @mode_name: what the entries are
 * @zap_first: first page of those to be unmapped before the split
 * @zap_nr: number of them
 * @zap_name: which ones these are
 */
struct thp_split_row {
	unsigned int old_order;
	unsigned int new_order;
	bool pmd;
	unsigned int split_pmds;
	unsigned int split_pmds_shared;
	unsigned int at;
	const char *at_name;
	bool write;
	bool exclusive;
	const char *mode_name;
	unsigned int zap_first;
	unsigned int zap_nr;
	const char *zap_name;
};

int thp_split_rows_all(struct kunit *test);
int thp_split_rows_each_order(struct kunit *test);
int thp_split_rows_few(struct kunit *test);
int thp_split_rows_pmd(struct kunit *test);
int thp_split_rows_all_zaps(struct kunit *test);
int thp_split_rows_each_zap(struct kunit *test);
struct folio *thp_split_rows_map(struct thp_fixture *f, const struct thp_split_row *row);
void thp_split_rows_want(const struct thp_fixture *f, const struct thp_split_row *row,
			 struct thp_state *want);
int thp_split_rows_split(const struct thp_split_row *row, bool uniform, struct page *first,
			 struct list_head *list);
struct thp_split_parts *thp_split_rows_parts(struct thp_fixture *f,
					     const struct thp_split_row *row, bool uniform);

#endif /* _THP_SPLIT_ROWS_H */
