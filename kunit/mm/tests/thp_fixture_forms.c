// SPDX-License-Identifier: GPL-2.0-only
/*
 * Puts a folio of the device into page tables in any form, and checks what has
 * become of it: still the same, back in system memory, or gone.
 */
#include <linux/mm.h>

#include "../internal.h"
#include "thp_fixture_forms.h"

static const struct thp_form thp_forms[] = {
	{ 0, THP_PTES, 1, 0, 0, 0, THP_PTES, 1, 0, 0, "order0" },
	{ 2, THP_PTES, 4, 0, 0, 0, THP_PTES, 4, 1, 0, "order2" },
	{ 3, THP_PTES, 8, 0, 0, 0, THP_PTES, 8, 1, 0, "order3" },
	{ 4, THP_PTES, 16, 0, 0, 0, THP_PTES, 16, 1, 0, "order4" },
	{ 5, THP_PTES, 32, 0, 0, 0, THP_PTES, 32, 1, 0, "order5" },
	{ 6, THP_PTES, 64, 0, 0, 0, THP_PTES, 64, 1, 0, "order6" },
	{ 7, THP_PTES, 128, 0, 0, 0, THP_PTES, 128, 1, 0, "order7" },
	{ 8, THP_PTES, 256, 0, 0, 0, THP_PTES, 256, 1, 0, "order8" },
	{ 9, THP_PTES, 512, 1, 1, 0, THP_PTES, 512, 1, 1, "order9" },
	{ 9, THP_PMD, 1, 0, 1, 9, THP_PMD, 1, 0, 0, "order9_pmd" },
};

#define NR_FORMS	ARRAY_SIZE(thp_forms)

/* Order 0 is the first one, the PMD is the last one. */
static const struct {
	unsigned int first, nr;
} form_sets[] = {
	[THP_ALL_FORMS] = { 0, NR_FORMS },
	[THP_LARGE_FORMS] = { 1, NR_FORMS - 1 },
	[THP_PTE_FORMS] = { 0, NR_FORMS - 1 },
	[THP_LARGE_PTE_FORMS] = { 1, NR_FORMS - 2 },
	[THP_PMD_FORM] = { NR_FORMS - 1, 1 },
};

/**
 * thp_form_of() - look a form up
 * @order: order of the folio
 * @where: what maps it
 *
 * Return: the form, NULL if there is none.
 */
const struct thp_form *thp_form_of(unsigned int order, enum thp_where where)
{
	unsigned int i;

	for (i = 0; i < NR_FORMS; i++)
		if (thp_forms[i].order == order && thp_forms[i].where == where)
			return &thp_forms[i];
	return NULL;
}

static void form_desc(struct kunit *test, const void *param, char *desc)
{
	const struct thp_form *form = param;

	strscpy(desc, form->name, KUNIT_PARAM_DESC_SIZE);
}

static int register_forms(struct kunit *test, enum thp_form_set set)
{
	kunit_register_params_array(test, thp_forms + form_sets[set].first, form_sets[set].nr,
				    form_desc);
	return 0;
}

/**
 * thp_form_params_init() - let a test run once for each form
 * @test: its parameters are struct thp_form
 *
 * Return: 0
 */
int thp_form_params_init(struct kunit *test)
{
	return register_forms(test, THP_ALL_FORMS);
}

/**
 * thp_large_form_params_init() - the same for THP_LARGE_FORMS
 * @test: its parameters are struct thp_form
 *
 * Return: 0
 */
int thp_large_form_params_init(struct kunit *test)
{
	return register_forms(test, THP_LARGE_FORMS);
}

/**
 * thp_pte_form_params_init() - the same for THP_PTE_FORMS
 * @test: its parameters are struct thp_form
 *
 * Return: 0
 */
int thp_pte_form_params_init(struct kunit *test)
{
	return register_forms(test, THP_PTE_FORMS);
}

/**
 * thp_large_pte_form_params_init() - the same for THP_LARGE_PTE_FORMS
 * @test: its parameters are struct thp_form
 *
 * Return: 0
 */
int thp_large_pte_form_params_init(struct kunit *test)
{
	return register_forms(test, THP_LARGE_PTE_FORMS);
}

/**
 * thp_pmd_form_params_init() - the same for THP_PMD_FORM
 * @test: its parameters are struct thp_form
 *
 * Return: 0
 */
int thp_pmd_form_params_init(struct kunit *test)
{
	return register_forms(test, THP_PMD_FORM);
}

/* A part: so many halves of the folio, and so many pages more or, negative, less */
struct part {
	int from_halves, from_pages;
	int halves, pages;
	const char *name;
};

static const struct part whole[] = {
	{ 0, 0, 2, 0, NULL },
};

static const struct part tail_parts[] = {
	{ 1, 0, 0, 1, "middle" },
	{ 2, -1, 0, 1, "last" },
	{ 1, 0, 1, 0, "upper_half" },
	{ 0, 1, 2, -1, "all_but_first" },
};

static const struct part parts[] = {
	{ 0, 0, 0, 1, "first" },
	{ 1, 0, 0, 1, "middle" },
	{ 2, -1, 0, 1, "last" },
	{ 0, 0, 1, 0, "lower_half" },
	{ 1, 0, 1, 0, "upper_half" },
	{ 0, 1, 2, -1, "all_but_first" },
	{ 0, 0, 2, -1, "all_but_last" },
};

static const struct part tail_pages[] = {
	{ 0, 1, 0, 1, "second" },
	{ 1, 0, 0, 1, "middle" },
	{ 2, -1, 0, 1, "last" },
};

static const struct {
	const struct part *parts;
	unsigned int nr;
} part_sets[] = {
	[THP_WHOLE] = { whole, ARRAY_SIZE(whole) },
	[THP_PARTS] = { parts, ARRAY_SIZE(parts) },
	[THP_TAIL_PARTS] = { tail_parts, ARRAY_SIZE(tail_parts) },
	[THP_TAIL_PAGES] = { tail_pages, ARRAY_SIZE(tail_pages) },
};

static void fill_case(struct thp_case *c, const struct thp_form *form, const void *variant,
		      const struct part *part)
{
	/* The only thing that is known of a variant */
	const char *variant_name = variant ? *(const char * const *)variant : NULL;
	const long half = form->order ? 1L << (form->order - 1) : 0;

	c->form = *form;
	c->variant = variant;
	c->from = part->from_halves * half + part->from_pages;
	c->nr = form->order ? part->halves * half + part->pages : 1;
	snprintf(c->name, sizeof(c->name), "%s%s%s%s%s", form->name,
		 variant_name ? "_" : "", variant_name ?: "",
		 part->name ? "_" : "", part->name ?: "");
}

static void case_desc(struct kunit *test, const void *param, char *desc)
{
	const struct thp_case *c = param;

	strscpy(desc, c->name, KUNIT_PARAM_DESC_SIZE);
}

/**
 * thp_cases_init() - let a test run for each form, in each variant, for each part
 * @test: its parameters are struct thp_case
 * @forms: which forms; none of order 0 if there are parts
 * @variants: table of the test, whose entries begin with their name, a const char
 *	pointer; NULL: there is one variant, which has no name
 * @size: size of @variants
 * @variant_size: size of an entry of it
 * @parts: which parts
 *
 * Return: 0, or -ENOMEM
 */
int thp_cases_init(struct kunit *test, enum thp_form_set forms, const void *variants,
		   size_t size, size_t variant_size, enum thp_part_set parts)
{
	const unsigned int nr_variants = variants ? size / variant_size : 1;
	const unsigned int nr_forms = form_sets[forms].nr, nr_parts = part_sets[parts].nr;
	const unsigned int nr = nr_forms * nr_variants * nr_parts;
	struct thp_case *cases = kunit_kcalloc(test, nr, sizeof(*cases), GFP_KERNEL);
	unsigned int i;

	if (!cases)
		return -ENOMEM;
	for (i = 0; i < nr; i++) {
		const unsigned int form = form_sets[forms].first + i / nr_parts % nr_forms;
		const void *variant = variants;

		if (variants)
			variant += i / nr_parts / nr_forms * variant_size;
		fill_case(&cases[i], &thp_forms[form], variant,
			  &part_sets[parts].parts[i % nr_parts]);
	}
	kunit_register_params_array(test, cases, nr, case_desc);
	return 0;
}

/**
 * thp_fixture_place() - map a new folio of the device in a given form
 * @f: fixture; its @write and @exclusive say how
 * @form: the form
 *
 * Context: the thread of the test, mmap lock not held.
 * Return: the folio, at the start of the range, mapped and unlocked.
 */
struct folio *thp_fixture_place(struct thp_fixture *f, const struct thp_form *form)
{
	struct folio *folio = thp_fixture_alloc(f, form->order);

	thp_fixture_insert(f, folio);
	if (form->split_pmds)
		thp_fixture_split_pmd(f, false);
	return folio;
}

/**
 * thp_fixture_fault() - take one page fault
 * @f: fixture
 * @addr: faulting address
 * @flags: FAULT_FLAG_*; with FAULT_FLAG_VMA_LOCK in a kernel that has per-VMA
 *	locks, the fault is taken under that, else under the mmap lock
 *
 * One call of handle_mm_fault(), however it ends: no retry, no signal, and no
 * access afterwards. Flags that let the handler drop the lock are not for here.
 *
 * Context: the thread of the test, mmap lock not held; in current->mm.
 * Return: VM_FAULT_*, or VM_FAULT_SIGSEGV if there is no VMA.
 */
unsigned int thp_fixture_fault(struct thp_fixture *f, unsigned long addr,
			       unsigned int flags)
{
	const bool per_vma = IS_ENABLED(CONFIG_PER_VMA_LOCK) && (flags & FAULT_FLAG_VMA_LOCK);
	struct vm_area_struct *vma;
	vm_fault_t ret = VM_FAULT_SIGSEGV;

	if (per_vma) {
		vma = lock_vma_under_rcu(current->mm, addr);
		if (!vma)
			return (__force unsigned int)ret;
		ret = handle_mm_fault(vma, addr, flags, NULL);
		if (!(ret & (VM_FAULT_RETRY | VM_FAULT_COMPLETED)))
			vma_end_read(vma);
		return (__force unsigned int)ret;
	}
	mmap_read_lock(current->mm);
	vma = vma_lookup(current->mm, addr);
	if (vma)
		ret = handle_mm_fault(vma, addr, flags, NULL);
	mmap_read_unlock(current->mm);
	return (__force unsigned int)ret;
}

/**
 * thp_want_form() - what the ledger must find after thp_fixture_place()
 * @f: fixture
 * @want: where to write
 * @form: the form
 */
void thp_want_form(const struct thp_fixture *f, struct thp_state *want,
		   const struct thp_form *form)
{
	thp_want(f, want, form->order, form->where);
	want->ev_split_pmd = form->split_pmds;
}

/**
 * thp_want_back() - what the ledger must find once all of a folio was migrated
 * @f: fixture; the first folio of system memory is tracked
 * @want: where to write: the first of @form->back_folios folios, and totals
 * @form: the form that the folio of the device had
 *
 * What setup has split on the way is counted. The leaves are neither young nor
 * dirty, as the entries of the device were not (remove_migration_pte(),
 * remove_migration_pmd()): the access that faulted is still to come.
 */
void thp_want_back(const struct thp_fixture *f, struct thp_state *want,
		   const struct thp_form *form)
{
	thp_want(f, want, form->back_order, form->back_where);
	if (form->back_folios > 1)
		thp_want_row(want, form->back_folios);
	thp_want_system(want);
	want->flags |= BIT(PG_lru);
	want->ev_split_pmd = form->split_pmds;
	want->split[form->order] = form->splits;
	want->ev_split_page = form->split_pages;
}

/**
 * thp_want_small_device() - what a migration leaves that gets no destination
 * @f: fixture; the first page of what was the folio is tracked
 * @want: where to write: the first of @form->back_folios folios, and totals
 * @form: the form that the folio had
 *
 * A large folio that no PMD maps is split by migrate_vma_setup()
 * (migrate_vma_collect_pmd()), whatever comes of the migration.
 */
void thp_want_small_device(const struct thp_fixture *f, struct thp_state *want,
			   const struct thp_form *form)
{
	thp_want(f, want, form->back_order, form->back_where);
	if (form->back_folios > 1)
		thp_want_row(want, form->back_folios);
	want->ev_split_pmd = form->split_pmds;
	want->split[form->order] = form->splits;
	want->ev_split_page = form->split_pages;
}

/**
 * thp_want_shared() - turn the expectation for a folio into that of one with two users
 * @want: of a folio that one mm maps, all of it; becomes that of one that a child
 *	maps in the same way
 *
 * As thp_want_forked(), with entries as fork leaves them: nothing is exclusive or
 * writable any more (copy_huge_non_present_pmd(), copy_nonpresent_pte()).
 */
void thp_want_shared(struct thp_state *want)
{
	thp_want_forked(want);
	want->excl = 0;
	want->excl_head = 0;
	want->leaf_write = 0;
}

/**
 * thp_expect_back() - check that all of a folio is in system memory now
 * @f: fixture
 * @form: the form that the folio of the device had
 * @want: from thp_want_back(), with what the test adds; NULL: nothing
 * @step: name of the step, for the report
 *
 * Small folios of system memory need not be side by side, so each is found
 * through its page table entry; counters and invariants are checked once.
 *
 * Context: process context, nobody else uses the mm.
 */
void thp_expect_back(struct thp_fixture *f, const struct thp_form *form,
		     const struct thp_state *want, const char *step)
{
	unsigned long size = PAGE_SIZE << form->back_order;
	struct thp_state *is = &f->shown, *expected = &f->expected;
	struct folio *folio;
	unsigned int i;

	lru_add_drain();
	for (i = 0; i < form->back_folios; i++) {
		folio = thp_fixture_folio_at(f, f->addr + i * size);
		KUNIT_EXPECT_NOT_NULL_MSG(f->test, folio, "%s: page %u is gone", step, i);
		if (!folio)
			return;
		thp_fixture_track(f, &folio->page, form->back_order, f->addr + i * size);
		if (i) {
			thp_ledger_capture_folio(f, folio, is);
			thp_ledger_capture_leaves(f, folio, is);
			expected->index += 1UL << form->back_order;
			if (thp_ledger_compare(f, &f->before, expected, is, step))
				return;
			continue;
		}
		if (want)
			*expected = *want;
		else
			thp_want_back(f, expected, form);
		thp_ledger_expect(f, folio, expected, step);
		*is = f->after;
	}
	/* For thp_fixture_read_back() */
	f->where = f->addr;
}

/**
 * thp_expect_gone() - check that a folio of the device is freed, and nothing is left
 * @f: fixture; the range maps nothing any more
 * @form: the form that the folio had
 * @step: name of the step, for the report
 *
 * The folio is freed as the one folio that it was; see free_zone_device_folio().
 *
 * Context: process context, nobody else uses the mm.
 */
void thp_expect_gone(struct thp_fixture *f, const struct thp_form *form, const char *step)
{
	const struct fake_zdev_event *event = fake_zdev_nth_event(f->zdev, FAKE_ZDEV_FREE, 0);
	struct kunit *test = f->test;
	unsigned long i;

	KUNIT_EXPECT_EQ_MSG(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 1, "%s", step);
	KUNIT_EXPECT_NOT_NULL_MSG(test, event, "%s: not freed", step);
	if (event) {
		KUNIT_EXPECT_EQ_MSG(test, event->order, form->order, "%s: freed order", step);
		KUNIT_EXPECT_EQ_MSG(test, event->refcount, 0, "%s: freed refcount", step);
		KUNIT_EXPECT_PTR_EQ_MSG(test, event->mapping, NULL, "%s: freed mapping", step);
	}
	for (i = 0; i < f->nr_tracked; i++) {
		KUNIT_EXPECT_EQ_MSG(test, page_ref_count(f->first + i), 0,
				    "%s: refcount of page %lu", step, i);
		KUNIT_EXPECT_FALSE_MSG(test, test_bit(PG_anon_exclusive, &f->first[i].flags.f),
				       "%s: page %lu is AnonExclusive", step, i);
	}
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, step);
	thp_ledger_check_exit(f);
}
