/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every form that a device-private folio has in page tables, by order: what the
 * suites on faults and on the life of an mm go through.
 */
#ifndef _THP_FIXTURE_FORMS_H
#define _THP_FIXTURE_FORMS_H

#include "thp_fixture.h"

/**
 * struct thp_form - a mapped folio of the device, and what migration makes of it
 * @order: its order
 * @where: what maps it: THP_PTES or THP_PMD
 * @leaves: page table entries that map it
 * @split_pmds: PMDs that thp_fixture_place() splits to get there
 * @part_split_pmds: PMDs that are split once something concerns only a part of it
 * @back_order: order of the folios of system memory that replace it once all of
 *	it is migrated: migrate_vma_*() moves PMDs as a whole, all else page by page
 * @back_where: what maps those
 * @back_folios: number of them
 * @splits: MTHP_STAT_SPLIT of @order that this counts
 * @split_pages: THP_SPLIT_PAGE events that this counts
 * @name: for parameter descriptions
 */
struct thp_form {
	unsigned int order;
	enum thp_where where;
	unsigned int leaves;
	unsigned int split_pmds;
	unsigned int part_split_pmds;
	unsigned int back_order;
	enum thp_where back_where;
	unsigned int back_folios;
	unsigned int splits;
	unsigned int split_pages;
	const char *name;
};

/**
 * enum thp_form_set - some of the forms
 * @THP_ALL_FORMS: order 0 and each order from 2 to HPAGE_PMD_ORDER mapped by PTEs,
 *	and a PMD
 * @THP_LARGE_FORMS: those above order 0
 * @THP_PTE_FORMS: those that PTEs map
 * @THP_LARGE_PTE_FORMS: those above order 0 that PTEs map
 * @THP_PMD_FORM: the PMD
 */
enum thp_form_set {
	THP_ALL_FORMS,
	THP_LARGE_FORMS,
	THP_PTE_FORMS,
	THP_LARGE_PTE_FORMS,
	THP_PMD_FORM,
};

const struct thp_form *thp_form_of(unsigned int order, enum thp_where where);

/* Parameters of tests that need no more than a form: struct thp_form */
int thp_form_params_init(struct kunit *test);
int thp_large_form_params_init(struct kunit *test);
int thp_pte_form_params_init(struct kunit *test);
int thp_large_pte_form_params_init(struct kunit *test);
int thp_pmd_form_params_init(struct kunit *test);

/**
 * enum thp_part_set - some of the parts of a folio that a test may concern
 * @THP_WHOLE: all pages
 * @THP_PARTS: the first, the middle and the last page, the halves, and all but the
 *	first or the last page
 * @THP_TAIL_PARTS: those of them that the first page does not belong to
 * @THP_TAIL_PAGES: the second, the middle and the last page
 */
enum thp_part_set {
	THP_WHOLE,
	THP_PARTS,
	THP_TAIL_PARTS,
	THP_TAIL_PAGES,
};

/**
 * struct thp_case - parameter: a form, a variant of the test, and a part of the folio
 * @form: the form
 * @variant: an entry of the table that thp_cases_init() was called with
 * @from: first page of the part
 * @nr: number of pages of the part
 * @name: description: of form, variant and part
 */
struct thp_case {
	struct thp_form form;
	const void *variant;
	unsigned long from, nr;
	char name[64];
};

int thp_cases_init(struct kunit *test, enum thp_form_set forms, const void *variants,
		   size_t size, size_t variant_size, enum thp_part_set parts);

struct folio *thp_fixture_place(struct thp_fixture *f, const struct thp_form *form);
unsigned int thp_fixture_fault(struct thp_fixture *f, unsigned long addr,
			       unsigned int flags);

void thp_want_form(const struct thp_fixture *f, struct thp_state *want,
		   const struct thp_form *form);
void thp_want_back(const struct thp_fixture *f, struct thp_state *want,
		   const struct thp_form *form);
void thp_want_small_device(const struct thp_fixture *f, struct thp_state *want,
			   const struct thp_form *form);
void thp_want_shared(struct thp_state *want);
void thp_expect_back(struct thp_fixture *f, const struct thp_form *form,
		     const struct thp_state *want, const char *step);
void thp_expect_gone(struct thp_fixture *f, const struct thp_form *form, const char *step);

#endif /* _THP_FIXTURE_FORMS_H */
