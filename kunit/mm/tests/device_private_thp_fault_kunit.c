// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU faults on device-private folios of every order, mapped by a PMD
 * (do_huge_pmd_device_private()) or by PTEs (do_swap_page()): what the driver is
 * told, what comes back, and what is left.
 *
 * Each fault is one call of handle_mm_fault(), so that its number is exact.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_fixture_forms.h"
#include "thp_known_bug.h"

/**
 * struct fault_variant - one fault
 * @name: of the variant
 * @page: page that faults
 * @flags: FAULT_FLAG_*
 */
struct fault_variant {
	const char *name;
	unsigned long page;
	unsigned int flags;
};

static int whole_params_init(struct kunit *test)
{
	static const struct fault_variant variants[] = {
		{ "read", 0, 0 },
		{ "write", 0, FAULT_FLAG_WRITE },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

static int pmd_params_init(struct kunit *test)
{
	static const struct fault_variant variants[] = {
		{ "read_second", 1, 0 },
		{ "read_middle", 255, 0 },
		{ "read_last", 511, 0 },
		{ "write_second", 1, FAULT_FLAG_WRITE },
		{ "write_middle", 255, FAULT_FLAG_WRITE },
		{ "write_last", 511, FAULT_FLAG_WRITE },
	};

	return thp_cases_init(test, THP_PMD_FORM, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/*
 * What migrate_to_ram() has seen: vmf->page, vmf->address, no vmf->pte if it was
 * the PMD, and the folio locked, with the reference of the fault.
 */
static void expect_told(struct kunit *test, const struct thp_fixture *f,
			const struct thp_form *form, unsigned long page,
			unsigned long told)
{
	const struct fake_zdev_event *event =
		fake_zdev_nth_event(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM, 0);

	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	KUNIT_EXPECT_NOT_NULL(test, event);
	if (!event)
		return;
	KUNIT_EXPECT_EQ(test, event->idx, fake_zdev_index(f->zdev, f->first) + told);
	KUNIT_EXPECT_EQ(test, event->addr, f->addr + page * PAGE_SIZE);
	KUNIT_EXPECT_EQ(test, event->pmd_fault, form->where == THP_PMD);
	KUNIT_EXPECT_EQ(test, event->order, form->order);
	KUNIT_EXPECT_EQ(test, event->refcount, form->leaves + 1);
	KUNIT_EXPECT_EQ(test, event->locked, true);
	KUNIT_EXPECT_EQ(test, event->irqs_disabled, false);
}

static void expect_all_back(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct fault_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	const struct fake_zdev_event *event;
	struct thp_state want;

	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "placed");
	fake_zdev_set_fault_order(f->zdev, form->order);

	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr + v->page * PAGE_SIZE, v->flags), 0);
	/* The head is told of if the PMD faults, whichever page it was. */
	expect_told(test, f, form, v->page, 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT_DONE), form->splits);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT), form->back_folios - 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_COPY_TO_RAM),
			form->back_folios);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), form->back_folios);
	event = fake_zdev_nth_event(f->zdev, FAKE_ZDEV_FREE, 0);
	KUNIT_EXPECT_NOT_NULL(test, event);
	if (event)
		KUNIT_EXPECT_EQ(test, event->order, form->back_order);
	thp_expect_back(f, form, NULL, "fault");
	thp_fixture_read_back(f, form->order, "read after the fault");
}

/*
 * Test that one fault brings all of a folio back if the driver migrates all of
 * it: the callback is told the right page, each folio is copied and freed once,
 * and system memory has the exact state of a mapped, exclusive folio.
 */
static void fault_on_whole_folio_brings_all_back(struct kunit *test)
{
	expect_all_back(test);
}

/* Test the same of a fault on any page of a PMD. */
static void fault_on_any_page_of_pmd_brings_all_back(struct kunit *test)
{
	expect_all_back(test);
}

/**
 * struct cow_variant - a write to a folio whose entries are read-only
 * @name: of the variant
 * @exclusive: its pages are AnonExclusive
 */
struct cow_variant {
	const char *name;
	bool exclusive;
};

static int cow_params_init(struct kunit *test)
{
	static const struct cow_variant variants[] = {
		{ "exclusive", true },
		{ "not_exclusive", false },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/*
 * Test that a write to a read-only entry takes two faults: the first one only
 * migrates, to a leaf that is read-only still, the second one is that of any
 * folio with one user: do_wp_page() and do_huge_pmd_wp_page() use it again.
 */
static void write_to_read_only_entry_migrates_then_reuses(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct cow_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	struct folio *folio;

	f->write = false;
	f->exclusive = v->exclusive;
	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);

	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, FAULT_FLAG_WRITE), 0);
	thp_expect_back(f, form, NULL, "first fault");

	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, FAULT_FLAG_WRITE), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	folio = thp_fixture_folio_at(f, f->addr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	thp_fixture_track(f, &folio->page, form->back_order, f->addr);
	/* Nothing is written by this: handle_mm_fault() makes it possible to. */
	f->exclusive = true;
	thp_want_back(f, &want, form);
	want.leaf_write = 1;
	want.leaf_young = 1;
	want.leaf_dirty = 1;
	thp_ledger_expect(f, folio, &want, "second fault");
}

/* The folio of system memory at page @at, and small folios of the device around it */
static void expect_one_page_back(struct thp_fixture *f, const struct thp_form *form,
				 struct page *first, unsigned long at, const char *step)
{
	unsigned long nr = 1UL << form->order;
	struct folio *folio;
	struct thp_state want;

	lru_add_drain();
	folio = thp_fixture_folio_at(f, f->addr + at * PAGE_SIZE);
	KUNIT_EXPECT_NOT_NULL(f->test, folio);
	if (!folio)
		return;
	thp_fixture_track(f, &folio->page, 0, f->addr + at * PAGE_SIZE);
	thp_want_back(f, &want, form);
	want.pgmap_refs = nr - 1;
	want.dev_free = -(s64)(nr - 1);
	thp_ledger_expect(f, folio, &want, step);

	thp_fixture_track(f, first, form->order, f->addr);
	thp_want_small_device(f, &want, form);
	want.pgmap_refs = nr - 1;
	want.dev_free = -(s64)(nr - 1);
	if (at)
		thp_ledger_expect_each(f, first, at, &want, step);
	if (at == nr - 1)
		return;
	thp_fixture_track(f, first + at + 1, 0, f->addr + (at + 1) * PAGE_SIZE);
	thp_want_small_device(f, &want, form);
	want.pgmap_refs = nr - 1;
	want.dev_free = -(s64)(nr - 1);
	thp_ledger_expect_each(f, first + at + 1, nr - 1 - at, &want, step);
}

/*
 * Test that a driver that migrates only the page that has faulted splits a
 * PTE-mapped folio, once, that one page comes back, and that the others follow
 * one by one.
 */
static void fault_on_first_page_splits_and_moves_one(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct page *first = &thp_fixture_place(f, form)->page;
	unsigned long i, nr = 1UL << form->order;
	unsigned int failed = 0;

	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	expect_told(test, f, form, 0, 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT), nr - 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT_DONE), 1);
	expect_one_page_back(f, form, first, 0, "first fault");

	for (i = 1; i < nr; i++)
		failed += !!thp_fixture_fault(f, f->addr + i * PAGE_SIZE, 0);
	KUNIT_EXPECT_EQ(test, failed, 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), nr);
	thp_expect_back(f, form, NULL, "as many faults as pages");
	thp_fixture_read_back(f, form->order, "read after the faults");
}

static int tail_params_init(struct kunit *test)
{
	return thp_cases_init(test, THP_LARGE_PTE_FORMS, NULL, 0, 0, THP_TAIL_PAGES);
}

/*
 * Test how many faults it takes to get back a page that is not the first of a
 * PTE-mapped folio. It should be one. migrate_vma_collect_pmd() remembers the
 * folio of the fault from before it has split it, so it takes the page that
 * faulted for one that somebody else has locked, and skips it (known bug LB3).
 */
static void fault_on_tail_page_takes_one_fault(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	struct thp_fixture *f = test->priv;
	struct page *first = &thp_fixture_place(f, &c->form)->page;
	unsigned long addr = f->addr + c->from * PAGE_SIZE;
	unsigned int faults = 0;

	do {
		KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, addr, 0), 0);
		faults++;
	} while (faults < 3 && folio_is_zone_device(thp_fixture_folio_at(f, addr)));
	thp_known_bug(test, "LB3", faults, 1, 2, "faults for one page");
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), faults);
	expect_one_page_back(f, &c->form, first, c->from, "faults");
	thp_fixture_track(f, first, c->form.order, f->addr);
	thp_fixture_read_back(f, c->form.order, "read after the faults");
}

/*
 * Test that a fault on the last page brings all of a PTE-mapped folio back if
 * the driver migrates all of it. One order is enough to see that, as it is the
 * last thing that is seen: for the same reason as above the first page is
 * taken for locked, and unlocked in the end although it was not: that is the end
 * of a kernel with CONFIG_DEBUG_VM (known bug LB3_BUG).
 */
static void fault_on_tail_page_brings_all_back(struct kunit *test)
{
	const struct thp_form *form = thp_form_of(2, THP_PTES);
	struct thp_fixture *f = test->priv;

	thp_known_bug_own_boot(test, "LB3_BUG");
	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr + 3 * PAGE_SIZE, 0), 0);
	thp_expect_back(f, form, NULL, "fault");
	thp_known_bug_fixed(test, "LB3_BUG", "one fault has brought all pages back");
}

static struct kunit_case device_private_thp_fault_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(fault_on_whole_folio_brings_all_back,
				   kunit_array_gen_params, whole_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_on_any_page_of_pmd_brings_all_back,
				   kunit_array_gen_params, pmd_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(write_to_read_only_entry_migrates_then_reuses,
				   kunit_array_gen_params, cow_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_on_first_page_splits_and_moves_one,
				   kunit_array_gen_params, thp_large_pte_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_on_tail_page_takes_one_fault,
				   kunit_array_gen_params, tail_params_init, NULL),
	KUNIT_CASE(fault_on_tail_page_brings_all_back),
	{}
};

static struct kunit_suite device_private_thp_fault_suite = {
	.name = "device_private_thp_fault",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_fault_cases,
};

kunit_test_suite(device_private_thp_fault_suite);

MODULE_DESCRIPTION("KUnit tests: CPU faults on device-private THPs");
MODULE_LICENSE("GPL");
