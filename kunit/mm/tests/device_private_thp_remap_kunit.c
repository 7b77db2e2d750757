// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-private folios of every order under mprotect() and mremap(): the system
 * calls themselves, as a process makes them.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/swap.h>

#include "fake_zone_device_migrate.h"
#include "thp_fixture_forms.h"
#include "thp_syscall.h"

/*
 * Test that taking the permission to write away makes the entries read-only, and
 * that giving it back does not make them writable: that takes a write, which
 * migrates the folio, and then uses it again.
 */
static void mprotect_makes_read_only_for_good(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	unsigned long len = PAGE_SIZE << form->order;
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, thp_mprotect(test, f->addr, len, PROT_READ), 0);
	f->write = false;
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "read");

	KUNIT_EXPECT_EQ(test, thp_mprotect(test, f->addr, len, PROT_READ | PROT_WRITE), 0);
	thp_ledger_expect(f, folio, &want, "read and write");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);

	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, FAULT_FLAG_WRITE), 0);
	thp_expect_back(f, form, NULL, "first fault");
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, FAULT_FLAG_WRITE), 0);
	folio = thp_fixture_folio_at(f, f->addr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	thp_fixture_track(f, &folio->page, form->back_order, f->addr);
	thp_want_back(f, &want, form);
	want.leaf_write = 1;
	want.leaf_young = 1;
	want.leaf_dirty = 1;
	thp_ledger_expect(f, folio, &want, "second fault");
}

/* Test that PROT_NONE does to entries of the device what PROT_READ does. */
static void mprotect_none_makes_read_only(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	unsigned long len = PAGE_SIZE << form->order;
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, thp_mprotect(test, f->addr, len, PROT_NONE), 0);
	f->write = false;
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "none");
	KUNIT_EXPECT_EQ(test, thp_mprotect(test, f->addr, len, PROT_READ | PROT_WRITE), 0);
	thp_ledger_expect(f, folio, &want, "read and write");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
	thp_fixture_read_back(f, form->order, "read again");
}

static int part_params_init(struct kunit *test)
{
	return thp_cases_init(test, THP_LARGE_FORMS, NULL, 0, 0, THP_PARTS);
}

/* Test that mprotect() of a part changes the entries of that part only. */
static void mprotect_of_a_part_makes_that_read_only(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, &c->form);
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, thp_mprotect(test, f->addr + c->from * PAGE_SIZE, c->nr * PAGE_SIZE,
					   PROT_READ), 0);
	thp_want(f, &want, c->form.order, THP_PTES);
	want.ev_split_pmd = c->form.part_split_pmds;
	want.leaf_write -= c->nr;
	thp_ledger_expect(f, folio, &want, "a part is read-only");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

#define MOVE		(MREMAP_MAYMOVE | MREMAP_FIXED)

/**
 * struct move_variant - mremap() of a whole folio
 * @name: of the variant
 * @by: how far it moves
 * @flags: MREMAP_*
 */
struct move_variant {
	const char *name;
	long by;
	unsigned long flags;
};

static int move_params_init(struct kunit *test)
{
	static const struct move_variant variants[] = {
		{ "near", -16 * (long)PMD_SIZE, MOVE },
		/* To another table of PMDs: the page table deposited there moves, too. */
		{ "far", 2 * (long)PUD_SIZE, MOVE },
		{ "dontunmap", -16 * (long)PMD_SIZE, MOVE | MREMAP_DONTUNMAP },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/* Let the fixture look for the folio at @addr. */
static void follow(struct thp_fixture *f, unsigned long addr)
{
	f->vma = NULL;
	f->addr = addr;
	f->where = addr;
}

/*
 * Test that mremap() to an aligned place moves the entries as they are: a PMD
 * stays one, nothing is split, copied or told to the device.
 */
static void mremap_moves_entries(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct move_variant *v = c->variant;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, &c->form);
	unsigned long len = PAGE_SIZE << c->form.order, old = f->addr;
	unsigned long new = old + v->by;
	struct thp_state want;

	KUNIT_ASSERT_EQ(test, thp_mremap_flags(test, old, len, len, v->flags, new), new);
	KUNIT_EXPECT_NULL(test, thp_fixture_folio_at(f, old));
	follow(f, new);
	thp_want_form(f, &want, &c->form);
	/* An anonymous folio belongs where it was first (copy_vma()). */
	want.index = old >> PAGE_SHIFT;
	thp_ledger_expect(f, folio, &want, "mremap");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
	thp_fixture_read_back(f, c->form.order, "read at the new place");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

/* The folio, whole and mapped page by page, and each page at its place from @addr on */
static void expect_ptes_from(struct kunit *test, struct folio *folio, unsigned int order,
			     unsigned long addr, unsigned int split_pmds, const char *step)
{
	struct thp_fixture *f = test->priv;
	unsigned long i, found = 0, nr = 1UL << order;
	struct thp_state *is = &f->after, want;

	for (i = 0; i < nr; i++)
		found += thp_fixture_folio_at(f, addr + i * PAGE_SIZE) == folio;
	KUNIT_EXPECT_EQ_MSG(test, found, nr, "%s: pages at their place", step);
	thp_want(f, &want, order, THP_PTES);
	want.ev_split_pmd = split_pmds;
	thp_ledger_capture_folio(f, folio, is);
	thp_ledger_capture_totals(f, is);
	KUNIT_EXPECT_EQ_MSG(test, is->order, want.order, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, is->refcount, want.refcount, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, is->mapcount, want.mapcount, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, is->excl, want.excl, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, is->rss, want.rss, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, is->deposits, 0, "%s", step);
	KUNIT_EXPECT_EQ_MSG(test, is->ev_split_pmd, want.ev_split_pmd, "%s", step);
	f->before = *is;
	thp_ledger_check_invariants(f, step);
}

/*
 * Test that mremap() to a place that is not aligned splits a PMD, but not the
 * folio, whose pages are in two page tables then if it has that many.
 */
static void mremap_to_odd_place_splits_pmd(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	unsigned long len = PAGE_SIZE << form->order, old = f->addr;
	/* One page before the end of a PMD */
	unsigned long new = old - 15 * PMD_SIZE - PAGE_SIZE;

	KUNIT_ASSERT_EQ(test, thp_mremap(test, old, len, new), new);
	expect_ptes_from(test, folio, form->order, new, form->part_split_pmds, "mremap");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
	follow(f, new);
	thp_fixture_read_back(f, form->order, "read at the new place");
}

/*
 * Test that mremap() of a part moves that part, out of the PMD that is split for
 * it, and that both parts keep the folio.
 */
static void mremap_of_a_part_moves_that(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, &c->form);
	unsigned long from = f->addr + c->from * PAGE_SIZE, len = c->nr * PAGE_SIZE;
	unsigned long new = from - 16 * PMD_SIZE;
	struct thp_state want;

	KUNIT_ASSERT_EQ(test, thp_mremap(test, from, len, new), new);
	KUNIT_EXPECT_PTR_EQ(test, thp_fixture_folio_at(f, new), folio);
	KUNIT_EXPECT_PTR_EQ(test, thp_fixture_folio_at(f, new + len - PAGE_SIZE), folio);
	thp_want(f, &want, c->form.order, THP_PTES);
	want.ev_split_pmd = c->form.part_split_pmds;
	want.leaf = THP_MIXED;
	want.leaves -= c->nr;
	want.leaf_pfn -= c->nr;
	want.leaf_write -= c->nr;
	want.pmd_leaves -= c->nr;
	thp_ledger_expect(f, folio, &want, "mremap");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

/* Test that mremap() to a smaller size is munmap() of the rest. */
static void mremap_to_half_unmaps_the_rest(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	unsigned long len = PAGE_SIZE << form->order, half = 1UL << (form->order - 1);

	KUNIT_ASSERT_EQ(test, thp_mremap_flags(test, f->addr, len, len / 2, 0, 0), f->addr);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), half);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), half);
	thp_ledger_capture_totals(f, &f->before);
	KUNIT_EXPECT_EQ(test, f->before.rss, half);
	KUNIT_EXPECT_EQ(test, f->before.ev_split_pmd, form->part_split_pmds);
	thp_ledger_check_invariants(f, "mremap");
}

static struct kunit_case device_private_thp_remap_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(mprotect_makes_read_only_for_good,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mprotect_none_makes_read_only,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mprotect_of_a_part_makes_that_read_only,
				   kunit_array_gen_params, part_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_moves_entries,
				   kunit_array_gen_params, move_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_to_odd_place_splits_pmd,
				   kunit_array_gen_params, thp_large_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_of_a_part_moves_that,
				   kunit_array_gen_params, part_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mremap_to_half_unmaps_the_rest,
				   kunit_array_gen_params, thp_large_form_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_remap_suite = {
	.name = "device_private_thp_remap",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_remap_cases,
};

kunit_test_suite(device_private_thp_remap_suite);

MODULE_DESCRIPTION("KUnit tests: mprotect() and mremap() of device-private THPs");
MODULE_LICENSE("GPL");
