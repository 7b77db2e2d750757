/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a page table has for an address: one page at a time, for tests in which
 * the pages of a range go different ways.
 */
#ifndef _THP_LEAF_H
#define _THP_LEAF_H

#include <linux/mm.h>

#include "thp_ledger.h"

struct thp_fixture;

/**
 * struct thp_leaf - the entry for one page
 * @kind: what it is; THP_KIND_NONE if there is no page table
 * @by_pmd: it is a PMD, for all of the 2 MiB around the address
 * @zero: it is the zero page, or part of the huge zero folio: memory of nobody
 * @write: it is writable
 * @page: the page of the address, if there is one, zero page or not
 */
struct thp_leaf {
	enum thp_kind kind;
	bool by_pmd;
	bool zero;
	bool write;
	struct page *page;
};

struct thp_leaf thp_leaf_at(struct mm_struct *mm, unsigned long addr);
bool thp_leaf_is_settled(const struct thp_leaf *leaf);
bool thp_leaf_data(const struct thp_fixture *f, const struct thp_leaf *leaf,
		   bool (*right)(const void *data, void *arg), void *arg);

#endif /* _THP_LEAF_H */
