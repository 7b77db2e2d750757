// SPDX-License-Identifier: GPL-2.0-only
/*
 * get_user_pages() and its relatives on device-private folios of every order:
 * whoever wants the page gets it in system memory, where it can be held.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_fixture_forms.h"
#include "thp_known_bug.h"

/**
 * struct gup_variant - one way to get a page
 * @name: of the variant
 * @page: page that is wanted
 * @pin: pin_user_pages_remote() rather than get_user_pages_remote()
 * @flags: FOLL_*
 * @small_refs: references that this takes on a folio of order 0
 * @large_refs: references that this takes on a large folio
 * @pins: what it adds to _pincount of a large folio
 */
struct gup_variant {
	const char *name;
	unsigned long page;
	bool pin;
	unsigned int flags;
	unsigned int small_refs, large_refs;
	unsigned int pins;
};

static int gup_params_init(struct kunit *test)
{
	static const struct gup_variant variants[] = {
		{ "get_read", 0, false, 0, 1, 1, 0 },
		{ "get_write", 0, false, FOLL_WRITE, 1, 1, 0 },
		{ "pin_read", 0, true, 0, GUP_PIN_COUNTING_BIAS, 1, 1 },
		{ "pin_write_longterm", 0, true, FOLL_WRITE | FOLL_LONGTERM,
		  GUP_PIN_COUNTING_BIAS, 1, 1 },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

static int pmd_gup_params_init(struct kunit *test)
{
	static const struct gup_variant variants[] = {
		{ "get_second", 1, false, 0, 1, 1, 0 },
		{ "get_last", 511, false, 0, 1, 1, 0 },
		{ "pin_last", 511, true, FOLL_WRITE | FOLL_LONGTERM,
		  GUP_PIN_COUNTING_BIAS, 1, 1 },
	};

	return thp_cases_init(test, THP_PMD_FORM, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

static long gup(struct thp_fixture *f, unsigned long addr, bool pin, unsigned int flags,
		struct page **page)
{
	long ret;

	mmap_read_lock(f->mm);
	ret = pin ? pin_user_pages_remote(f->mm, addr, 1, flags, page, NULL) :
		    get_user_pages_remote(f->mm, addr, 1, flags, page, NULL);
	mmap_read_unlock(f->mm);
	return ret;
}

static void expect_page_taken(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct gup_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	unsigned long addr = f->addr + v->page * PAGE_SIZE;
	struct page *page = NULL;
	struct folio *folio;
	struct thp_state want;
	long ret;

	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	ret = gup(f, addr, v->pin, v->flags, &page);
	KUNIT_ASSERT_EQ(test, ret, 1);
	KUNIT_ASSERT_NOT_NULL(test, page);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	folio = thp_fixture_folio_at(f, addr);
	KUNIT_EXPECT_PTR_EQ(test, page_folio(page), folio);
	KUNIT_EXPECT_FALSE(test, folio_is_zone_device(page_folio(page)));
	KUNIT_EXPECT_TRUE(test, thp_data_check(page_address(page), v->page));
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, folio_ref_count(page_folio(page)),
			1 + (form->back_order ? v->large_refs : v->small_refs));
	if (form->back_order)
		KUNIT_EXPECT_EQ(test, atomic_read(&folio->_pincount), v->pins);

	if (v->pin)
		unpin_user_page(page);
	else
		put_page(page);
	/* FOLL_TOUCH, which both have, made the leaf or the folio young. */
	KUNIT_EXPECT_EQ(test, folio_ref_count(page_folio(page)), 1);
	thp_want_back(f, &want, form);
	thp_ledger_capture_totals(f, &f->before);
	KUNIT_EXPECT_EQ(test, f->before.rss, want.rss);
	KUNIT_EXPECT_EQ(test, f->before.dev_free, 0);
	thp_ledger_check_invariants(f, "taken");
	thp_fixture_track(f, f->first, form->order, f->addr);
	thp_fixture_read_back(f, form->order, "read after it was taken");
}

/*
 * Test that getting or pinning a page of a device folio faults the folio back,
 * and yields the page of system memory that is mapped at the address, with
 * exactly the references that it takes, and the data.
 */
static void page_is_taken_in_system_memory(struct kunit *test)
{
	expect_page_taken(test);
}

/* Test the same of any page of a PMD. */
static void page_of_pmd_is_taken_in_system_memory(struct kunit *test)
{
	expect_page_taken(test);
}

/* Test that who must not fault gets an error, and nothing changes. */
static void page_is_not_taken_without_fault(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	struct page *page = NULL;
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, gup(f, f->addr, false, FOLL_NOFAULT, &page), -EFAULT);
	KUNIT_EXPECT_EQ(test, get_user_pages_fast_only(f->addr, 1, 0, &page), 0);
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "FOLL_NOFAULT");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

/* Test that a fault that can't be served is -EFAULT, and loses nothing. */
static void page_without_destination_returns_efault(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct page *first = &thp_fixture_place(f, form)->page, *page = NULL;
	struct thp_state want;

	fake_zdev_set_fault_order(f->zdev, form->order);
	fake_zdev_fail_from(f->zdev, FAKE_ZDEV_POINT_RAM_ALLOC, 1);
	KUNIT_EXPECT_EQ(test, gup(f, f->addr, true, FOLL_WRITE, &page), -EFAULT);
	thp_want_small_device(f, &want, form);
	thp_ledger_expect_each(f, first, form->back_folios, &want, "EFAULT");
}

/**
 * struct populate_variant - MADV_POPULATE_*
 * @name: of the variant
 * @advice: which
 */
struct populate_variant {
	const char *name;
	int advice;
};

static int populate_params_init(struct kunit *test)
{
	static const struct populate_variant variants[] = {
		{ "read", MADV_POPULATE_READ },
		{ "write", MADV_POPULATE_WRITE },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/* Test that populating page tables brings back what is with a device. */
static void populate_brings_folio_back(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct populate_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;

	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, PAGE_SIZE << form->order, v->advice),
			0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	lru_add_drain();
	thp_ledger_capture_totals(f, &f->before);
	KUNIT_EXPECT_EQ(test, f->before.rss, 1L << form->order);
	thp_ledger_check_invariants(f, "populate");
	thp_fixture_track(f, f->first, form->order, f->addr);
	thp_fixture_read_back(f, form->order, "read after populate");
}

/**
 * struct remote_variant - access_remote_vm()
 * @name: of the variant
 * @write: the page is written to
 */
struct remote_variant {
	const char *name;
	bool write;
};

static const struct remote_variant remote_variants[] = {
	{ "read", false },
	{ "write", true },
};

static int remote_params_init(struct kunit *test)
{
	return thp_cases_init(test, THP_ALL_FORMS, remote_variants, sizeof(remote_variants),
			      sizeof(*remote_variants), THP_WHOLE);
}

static int pmd_remote_params_init(struct kunit *test)
{
	return thp_cases_init(test, THP_PMD_FORM, remote_variants, sizeof(remote_variants),
			      sizeof(*remote_variants), THP_TAIL_PAGES);
}

static void expect_remote_access(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct remote_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	unsigned long addr = f->addr + c->from * PAGE_SIZE;
	u8 *data = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, data);
	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	if (v->write) {
		/* Zeroes, and then the pattern again */
		KUNIT_EXPECT_EQ(test, access_remote_vm(f->mm, addr, data, PAGE_SIZE,
						       FOLL_WRITE), PAGE_SIZE);
		data[0] = 1;
		KUNIT_EXPECT_EQ(test, access_remote_vm(f->mm, addr, data, PAGE_SIZE, 0),
				PAGE_SIZE);
		KUNIT_EXPECT_EQ(test, data[0], 0);
		thp_data_fill(data, c->from);
		KUNIT_EXPECT_EQ(test, access_remote_vm(f->mm, addr, data, PAGE_SIZE,
						       FOLL_WRITE), PAGE_SIZE);
		memset(data, 0, PAGE_SIZE);
	}
	KUNIT_EXPECT_EQ(test, access_remote_vm(f->mm, addr, data, PAGE_SIZE, 0), PAGE_SIZE);
	KUNIT_EXPECT_TRUE(test, thp_data_check(data, c->from));
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_fixture_read_back(f, form->order, "read after the access");
}

/* Test that a debugger reads and writes what is with a device. */
static void remote_access_sees_and_changes_data(struct kunit *test)
{
	expect_remote_access(test);
}

/* Test the same of any page of a PMD. */
static void remote_access_to_pmd_sees_and_changes_data(struct kunit *test)
{
	expect_remote_access(test);
}

#ifdef CONFIG_ELF_CORE
/* Pages that a core dump would have, with the pattern in them */
static unsigned long dump(struct thp_fixture *f, unsigned int order)
{
	unsigned long i, good = 0;
	int locked = 0;

	for (i = 0; i < 1UL << order; i++) {
		struct page *page = get_dump_page(f->addr + i * PAGE_SIZE, &locked);

		if (!page)
			continue;
		good += !is_zone_device_page(page) && thp_data_check(page_address(page), i);
		put_page(page);
	}
	return good;
}

/* Test that a core dump has what is with a device, and no hole in its place. */
static void core_dump_of_ptes_has_data(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;

	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, dump(f, form->order), 1UL << form->order);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	lru_add_drain();
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "core dump");
}

/*
 * Test the same of a PMD. follow_pmd_mask() takes what is not present for an empty
 * page table (no_page_table()), which is a hole for FOLL_DUMP, where
 * follow_page_pte() makes sure that there is nothing: the data is not in the dump
 * (known bug LB25).
 */
static void core_dump_of_pmd_has_data(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;

	thp_fixture_place(f, form);
	thp_known_bug(test, "LB25", dump(f, form->order), HPAGE_PMD_NR, 0,
		      "pages that are in the dump");
	lru_add_drain();
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "core dump");
	thp_fixture_read_back(f, form->order, "read after the dump");
}
#endif

static struct kunit_case device_private_thp_gup_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(page_is_taken_in_system_memory,
				   kunit_array_gen_params, gup_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(page_of_pmd_is_taken_in_system_memory,
				   kunit_array_gen_params, pmd_gup_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(page_is_not_taken_without_fault,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(page_without_destination_returns_efault,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(populate_brings_folio_back,
				   kunit_array_gen_params, populate_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(remote_access_sees_and_changes_data,
				   kunit_array_gen_params, remote_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(remote_access_to_pmd_sees_and_changes_data,
				   kunit_array_gen_params, pmd_remote_params_init, NULL),
#ifdef CONFIG_ELF_CORE
	KUNIT_CASE_PARAM_WITH_INIT(core_dump_of_ptes_has_data,
				   kunit_array_gen_params, thp_pte_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(core_dump_of_pmd_has_data,
				   kunit_array_gen_params, thp_pmd_form_params_init, NULL),
#endif
	{}
};

static struct kunit_suite device_private_thp_gup_suite = {
	.name = "device_private_thp_gup",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_gup_cases,
};

kunit_test_suite(device_private_thp_gup_suite);

MODULE_DESCRIPTION("KUnit tests: get_user_pages() on device-private THPs");
MODULE_LICENSE("GPL");
