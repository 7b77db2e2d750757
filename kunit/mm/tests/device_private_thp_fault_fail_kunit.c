// SPDX-License-Identifier: GPL-2.0-only
/*
 * CPU faults on device-private folios that can't be served: no memory, a folio
 * that somebody holds, a lock that the fault may not hold. Nothing may be lost.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>

#include "fake_zone_device_migrate.h"
#include "thp_fixture_forms.h"
#include "thp_known_bug.h"

/**
 * struct fail_variant - one decision of the driver that fails
 * @name: of the variant
 * @point: the decision, each time it is taken
 */
struct fail_variant {
	const char *name;
	enum fake_zdev_point point;
};

static int fail_params_init(struct kunit *test)
{
	static const struct fail_variant variants[] = {
		{ "no_memory", FAKE_ZDEV_POINT_RAM_ALLOC },
		{ "no_lock", FAKE_ZDEV_POINT_LOCK },
		{ "no_copy", FAKE_ZDEV_POINT_COPY },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/*
 * Test that a fault for which the driver has no destination is SIGBUS, that it
 * loses nothing, that another one is no different, and that one with a
 * destination brings all back. A PMD is as it was before; a folio mapped by PTEs
 * is small folios afterwards, once.
 */
static void fault_without_destination_returns_sigbus(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct fail_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	struct page *first = &thp_fixture_place(f, form)->page;
	unsigned int i;
	struct thp_state want;

	fake_zdev_set_fault_order(f->zdev, form->order);
	fake_zdev_fail_from(f->zdev, v->point, 1);
	thp_want_small_device(f, &want, form);
	for (i = 1; i <= 2; i++) {
		KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), VM_FAULT_SIGBUS);
		KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), i);
		thp_ledger_expect_each(f, first, form->back_folios, &want, "SIGBUS");
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT), form->back_folios - 1);

	fake_zdev_fail_from(f->zdev, v->point, 0);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	thp_expect_back(f, form, NULL, "with a destination");
	thp_fixture_read_back(f, form->order, "read after the fault");
}

/*
 * Test that a fault on a folio on which somebody holds a reference returns 0, to
 * be taken again, with everything as it was, and succeeds once that is dropped.
 */
static void fault_on_pinned_folio_changes_nothing(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	struct thp_state want;

	fake_zdev_set_fault_order(f->zdev, form->order);
	folio_get(folio);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	thp_want_form(f, &want, form);
	want.refcount++;
	/* It is setup that wants to split what PTEs map. */
	want.split_failed[form->order] = form->splits;
	want.ev_split_failed = form->split_pages;
	thp_ledger_expect(f, folio, &want, "pinned");

	folio_put(folio);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	thp_want_back(f, &want, form);
	want.split_failed[form->order] = form->splits;
	want.ev_split_failed = form->split_pages;
	thp_fixture_track(f, f->first, form->order, f->addr);
	thp_expect_back(f, form, &want, "not pinned");
	thp_fixture_read_back(f, form->order, "read after the fault");
}

/*
 * Test that a fault under the lock of the VMA, which migrate_to_ram() is not
 * ready for, is refused before anything is done, to be taken again under the
 * mmap lock.
 */
static void fault_under_vma_lock_returns_retry(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	struct thp_state want;

	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, FAULT_FLAG_VMA_LOCK),
			VM_FAULT_RETRY);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "refused");

	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	thp_expect_back(f, form, NULL, "under the mmap lock");
	thp_fixture_read_back(f, form->order, "read after the fault");
}

/**
 * struct small_param - a PMD fault for which there are only small folios
 * @fault_order: what the driver migrates on a PTE fault
 * @faults: number of faults until all of the range is back, as things are
 * @name: description
 */
struct small_param {
	unsigned int fault_order;
	unsigned int faults;
	const char *name;
};

static const struct small_param small_params[] = {
	{ 0, 513, "then_one_by_one" },
	{ 9, 2, "then_all_at_once" },
};

static void small_desc(struct kunit *test, const void *param, char *desc)
{
	const struct small_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int small_params_init(struct kunit *test)
{
	kunit_register_params_array(test, small_params, ARRAY_SIZE(small_params), small_desc);
	return 0;
}

/* Fault until each page of the range is back; returns the number of faults. */
static unsigned int fault_all_in(struct thp_fixture *f, unsigned int max)
{
	unsigned long addr = f->addr;
	unsigned int faults = 0;

	while (addr < f->addr + HPAGE_PMD_SIZE && faults < max) {
		if (!folio_is_zone_device(thp_fixture_folio_at(f, addr))) {
			addr += PAGE_SIZE;
			continue;
		}
		KUNIT_EXPECT_EQ(f->test, thp_fixture_fault(f, addr, 0), 0);
		faults++;
	}
	return faults;
}

/*
 * Test how many faults it takes to bring a PMD back to small folios. It should
 * be one: migrate_vma_pages() splits the folio. But folio_split_unmapped() knows
 * nothing of the reference that the fault holds, so it never splits: the first
 * fault only splits the PMD (known bug LB8).
 */
static void pmd_fault_with_small_destinations_takes_one_fault(struct kunit *test)
{
	const struct small_param *p = test->param_value;
	const struct thp_form *pmd = thp_form_of(HPAGE_PMD_ORDER, THP_PMD);
	const struct thp_form *ptes = thp_form_of(HPAGE_PMD_ORDER, THP_PTES);
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, pmd);
	struct page *first = f->first;
	unsigned int faults = 1;
	struct thp_state want;

	fake_zdev_set_fault_order(f->zdev, p->fault_order);
	fake_zdev_set_fault_policy(f->zdev, FAKE_ZDEV_DST_ALL_SMALL);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	if (folio_is_zone_device(thp_fixture_folio_at(f, f->addr))) {
		/* The bug: still one folio, now mapped by PTEs */
		thp_want_form(f, &want, ptes);
		thp_ledger_expect(f, folio, &want, "first fault");
		faults += fault_all_in(f, p->faults + 1);
	}
	thp_known_bug(test, "LB8", faults, 1, p->faults, "faults for one PMD");
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), faults);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_fixture_track(f, first, HPAGE_PMD_ORDER, f->addr);
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "read after the faults");
}

/**
 * struct faulter - a thread that takes one fault
 * @f: fixture
 * @ret: what handle_mm_fault() has returned
 * @done: it has returned
 */
struct faulter {
	struct thp_fixture *f;
	unsigned int ret;
	struct completion done;
};

static int fault_once(void *arg)
{
	struct faulter *faulter = arg;

	kthread_use_mm(faulter->f->mm);
	faulter->ret = thp_fixture_fault(faulter->f, faulter->f->addr, 0);
	kthread_unuse_mm(faulter->f->mm);
	complete(&faulter->done);
	return 0;
}

/*
 * Take a fault in another thread, on a folio that the caller has locked. Wait
 * until it has returned, or is about to sleep until the lock is free:
 * softleaf_entry_wait_on_locked() sets PG_waiters before it does.
 *
 * Return: number of faults that have returned before the lock was free.
 */
static unsigned int fault_on_locked(struct kunit *test, struct folio *folio)
{
	struct faulter faulter = { .f = test->priv };
	struct task_struct *task;
	unsigned int returned;

	init_completion(&faulter.done);
	task = kthread_run(fault_once, &faulter, "thp_faulter");
	KUNIT_EXPECT_FALSE(test, IS_ERR(task));
	if (IS_ERR(task)) {
		folio_unlock(folio);
		return UINT_MAX;
	}
	while (!completion_done(&faulter.done) && !folio_test_waiters(folio))
		schedule();
	returned = completion_done(&faulter.done);
	folio_unlock(folio);
	wait_for_completion(&faulter.done);
	KUNIT_EXPECT_EQ(test, faulter.ret, 0);
	return returned;
}

/* No fault has got through to the driver, and the next one will. */
static void expect_fault_again(struct kunit *test, const struct thp_form *form)
{
	struct thp_fixture *f = test->priv;
	struct thp_state want;

	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, page_folio(f->first), &want, "unlocked again");
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	thp_expect_back(f, form, NULL, "fault on the unlocked folio");
	thp_fixture_read_back(f, form->order, "read after the fault");
}

/*
 * Test that a fault on a PTE whose folio is locked waits for the lock, and then
 * returns 0, to be taken again: it holds no reference while it waits, so the
 * folio may be another one by then.
 */
static void pte_fault_on_locked_folio_waits(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);

	fake_zdev_set_fault_order(f->zdev, form->order);
	folio_lock(folio);
	KUNIT_EXPECT_EQ(test, fault_on_locked(test, folio), 0);
	expect_fault_again(test, form);
}

/*
 * Test that a fault on a PMD whose folio is locked waits, too. But
 * do_huge_pmd_device_private() returns 0 at once, so the thread takes the fault
 * again and again, for as long as the lock is held (known bug LB9). On one CPU
 * nobody who is not scheduled can unlock it.
 */
static void pmd_fault_on_locked_folio_waits(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);

	folio_lock(folio);
	thp_known_bug(test, "LB9", fault_on_locked(test, folio), 0, 1,
		      "faults that have returned before the lock was free");
	expect_fault_again(test, form);
}

static struct kunit_case device_private_thp_fault_fail_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(fault_without_destination_returns_sigbus,
				   kunit_array_gen_params, fail_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_on_pinned_folio_changes_nothing,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_under_vma_lock_returns_retry,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pmd_fault_with_small_destinations_takes_one_fault,
				   kunit_array_gen_params, small_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pte_fault_on_locked_folio_waits,
				   kunit_array_gen_params, thp_pte_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pmd_fault_on_locked_folio_waits,
				   kunit_array_gen_params, thp_pmd_form_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_fault_fail_suite = {
	.name = "device_private_thp_fault_fail",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_fault_fail_cases,
};

kunit_test_suite(device_private_thp_fault_fail_suite);

MODULE_DESCRIPTION("KUnit tests: CPU faults on device-private THPs that fail");
MODULE_LICENSE("GPL");
