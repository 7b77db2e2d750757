// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-private folios of every order and what madvise(), mlock(), reclaim and
 * compaction do to memory: they must leave folios of a device alone, except for
 * what faults them in or drops them.
 */
#include <kunit/test.h>
#include <linux/memory_hotplug.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/swap.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_fixture_forms.h"
#include "thp_syscall.h"

/**
 * struct advice_variant - an advice that is not for folios of a device
 * @name: of the variant
 * @advice: MADV_*
 */
struct advice_variant {
	const char *name;
	int advice;
};

static int advice_params_init(struct kunit *test)
{
	static const struct advice_variant variants[] = {
		{ "free", MADV_FREE },
		{ "cold", MADV_COLD },
		{ "pageout", MADV_PAGEOUT },
		{ "hugepage", MADV_HUGEPAGE },
		{ "nohugepage", MADV_NOHUGEPAGE },
		{ "dontfork", MADV_DONTFORK },
#ifdef CONFIG_KSM
		{ "mergeable", MADV_MERGEABLE },
		{ "unmergeable", MADV_UNMERGEABLE },
#endif
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

static int part_advice_params_init(struct kunit *test)
{
	static const struct advice_variant variants[] = {
		{ "free", MADV_FREE },
		{ "cold", MADV_COLD },
		{ "pageout", MADV_PAGEOUT },
	};

	return thp_cases_init(test, THP_LARGE_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_TAIL_PARTS);
}

static void expect_left_alone(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct advice_variant *v = c->variant;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, &c->form);
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr + c->from * PAGE_SIZE,
					 c->nr * PAGE_SIZE, v->advice), 0);
	thp_want_form(f, &want, &c->form);
	thp_ledger_expect(f, folio, &want, "madvise");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
	thp_fixture_read_back(f, c->form.order, "read after madvise");
}

/* Test that advice on memory that is with a device does nothing to it. */
static void advice_leaves_folio_alone(struct kunit *test)
{
	expect_left_alone(test);
}

/* Test that advice on a part of it does nothing either, not even split a PMD. */
static void advice_on_a_part_leaves_folio_alone(struct kunit *test)
{
	expect_left_alone(test);
}

/* Test that a guard region replaces the folio, which is freed as a whole. */
static void guard_install_frees_folio(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;

	thp_fixture_place(f, form);
	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, PAGE_SIZE << form->order,
					 MADV_GUARD_INSTALL), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), VM_FAULT_SIGSEGV);
	thp_expect_gone(f, form, "guard region");
}

/*
 * Test that mlock() on fault and munlock() do not touch what is with a device:
 * its folios are on no list that they could leave.
 */
static void mlock_on_fault_leaves_folio_alone(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	unsigned long len = PAGE_SIZE << form->order;
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, thp_mlock2(test, f->addr, len, MLOCK_ONFAULT), 0);
	lru_add_drain();
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "mlock2");
	KUNIT_EXPECT_EQ(test, thp_munlock(test, f->addr, len), 0);
	lru_add_drain();
	thp_ledger_expect(f, folio, &want, "munlock");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

/*
 * Test that splitting the PMD of a folio of the device in a locked VMA, as a
 * munmap() of a part does, leaves no page mlocked: nothing could undo it.
 */
static void unmapping_a_part_of_locked_vma_leaves_nothing_mlocked(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long len = PAGE_SIZE << form->order;

	thp_fixture_place(f, form);
	KUNIT_EXPECT_EQ(test, thp_mlock2(test, f->addr, len, MLOCK_ONFAULT), 0);
	KUNIT_EXPECT_EQ(test, vm_munmap(f->addr, len / 2), 0);
	lru_add_drain();
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "a part unmapped");
	KUNIT_EXPECT_EQ(test, vm_munmap(f->addr + len / 2, len / 2), 0);
	thp_expect_gone(f, form, "the rest unmapped");
}

/* What mlock() has faulted in, and touched to write (populate_vma_page_range()) */
static void lock_memory(struct kunit *test, const struct thp_form *form)
{
	struct thp_fixture *f = test->priv;

	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, thp_mlock2(test, f->addr, PAGE_SIZE << form->order, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	f->flags = BIT(PG_mlocked) | BIT(PG_unevictable);
}

/*
 * Test that mlock(), which faults all of its range in, brings the folio back, and
 * locks what has come. FOLL_TOUCH marks folios that PTEs map.
 */
static void mlock_of_ptes_brings_folio_back(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	lock_memory(test, form);
	f->flags |= BIT(PG_referenced) | BIT(PG_dirty);
	thp_want_back(f, &want, form);
	thp_expect_back(f, form, &want, "mlock");
	thp_fixture_read_back(f, form->order, "read after mlock");
}

/* Test the same of a PMD, which FOLL_TOUCH marks itself (touch_pmd()). */
static void mlock_of_pmd_brings_folio_back(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	lock_memory(test, form);
	thp_want_back(f, &want, form);
	want.leaf_young = 1;
	want.leaf_dirty = 1;
	thp_expect_back(f, form, &want, "mlock");
	thp_fixture_read_back(f, form->order, "read after mlock");
}

/*
 * Test that MADV_COLLAPSE takes pages of a device for swapped out ones, so that
 * it faults them in (__collapse_huge_page_swapin()) and collapses those.
 */
static void collapse_of_ptes_brings_folio_back(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio;
	struct thp_state want;

	thp_fixture_place(f, form);
	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_COLLAPSE), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	lru_add_drain();
	folio = thp_fixture_folio_at(f, f->addr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	thp_fixture_track(f, &folio->page, HPAGE_PMD_ORDER, f->addr);
#ifdef CONFIG_MEMCG
	f->memcg = folio->memcg_data;
#endif
	thp_want(f, &want, HPAGE_PMD_ORDER, THP_PMD);
	thp_want_system(&want);
	want.flags |= BIT(PG_lru);
	want.deferred = 1;
	want.leaf_young = 1;
	want.leaf_dirty = 1;
	want.data = 1UL << form->order;
	want.ev_split_pmd = form->split_pmds;
	want.split[form->order] = form->splits;
	want.ev_split_page = form->split_pages;
	thp_ledger_expect(f, folio, &want, "collapse");
	thp_fixture_read_back(f, form->order, "read after collapse");
}

/* Test that a fault that can't be served ends MADV_COLLAPSE, and loses nothing. */
static void collapse_without_destination_fails(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct page *first = &thp_fixture_place(f, form)->page;
	struct thp_state want;

	fake_zdev_set_fault_order(f->zdev, form->order);
	fake_zdev_fail_from(f->zdev, FAKE_ZDEV_POINT_RAM_ALLOC, 1);
	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_COLLAPSE),
			-EINVAL);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	thp_want_small_device(f, &want, form);
	thp_ledger_expect_each(f, first, form->back_folios, &want, "SIGBUS");
}

/* Test that there is nothing to collapse in a PMD of a device. */
static void collapse_of_pmd_leaves_folio_alone(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_COLLAPSE),
			-EINVAL);
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "collapse");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

/*
 * Test that nobody who looks for memory to reclaim, compact or offline finds or
 * isolates a folio of a device: it is on no LRU list, and its pfns are not online.
 */
static void folio_can_not_be_isolated(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	struct thp_state want;
	LIST_HEAD(list);

	KUNIT_EXPECT_FALSE(test, isolate_folio_to_list(folio, &list));
	KUNIT_EXPECT_TRUE(test, list_empty(&list));
	KUNIT_EXPECT_FALSE(test, folio_isolate_lru(folio));
	KUNIT_EXPECT_NULL(test, pfn_to_online_page(folio_pfn(folio)));
	lru_add_drain_all();
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "isolation");
}

static struct kunit_case device_private_thp_advice_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(advice_leaves_folio_alone,
				   kunit_array_gen_params, advice_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(advice_on_a_part_leaves_folio_alone,
				   kunit_array_gen_params, part_advice_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(guard_install_frees_folio,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mlock_on_fault_leaves_folio_alone,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(unmapping_a_part_of_locked_vma_leaves_nothing_mlocked,
				   kunit_array_gen_params, thp_large_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mlock_of_ptes_brings_folio_back,
				   kunit_array_gen_params, thp_pte_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mlock_of_pmd_brings_folio_back,
				   kunit_array_gen_params, thp_pmd_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(collapse_of_ptes_brings_folio_back,
				   kunit_array_gen_params, thp_pte_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(collapse_without_destination_fails,
				   kunit_array_gen_params, thp_pte_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(collapse_of_pmd_leaves_folio_alone,
				   kunit_array_gen_params, thp_pmd_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(folio_can_not_be_isolated,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_advice_suite = {
	.name = "device_private_thp_advice",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_advice_cases,
};

kunit_test_suite(device_private_thp_advice_suite);

MODULE_DESCRIPTION("KUnit tests: madvise() and mlock() on device-private THPs");
MODULE_LICENSE("GPL");
