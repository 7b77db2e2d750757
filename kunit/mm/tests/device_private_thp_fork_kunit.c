// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-private folios of every order in an mm that forks: what parent and child
 * share, what a fault of either brings back for both, what a write copies, and
 * that the last one to go frees the folio.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_fixture_forms.h"

/**
 * struct share_variant - entries that fork copies
 * @name: of the variant
 * @write: they are writable
 * @exclusive: the pages are AnonExclusive
 */
struct share_variant {
	const char *name;
	bool write, exclusive;
};

static int share_params_init(struct kunit *test)
{
	static const struct share_variant variants[] = {
		{ "writable", true, true },
		{ "readable_exclusive", false, true },
		{ "readable", false, false },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/**
 * struct access_variant - an access after the fork
 * @name: of the variant
 * @in_child: it is one of the child
 */
struct access_variant {
	const char *name;
	bool in_child;
};

static int access_params_init(struct kunit *test)
{
	static const struct access_variant variants[] = {
		{ "parent", false },
		{ "child", true },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/* Check what parent and child see of the folio that they share. */
static void expect_shared(struct thp_fixture *f, struct mm_struct *child,
			  struct folio *folio, const struct thp_state *want)
{
	thp_ledger_expect(f, folio, want, "fork, parent");
	thp_fixture_look_at(f, child);
	thp_ledger_expect(f, folio, want, "fork, child");
	thp_fixture_look_at(f, f->mm);
}

/*
 * Test that fork gives the child the same entries, that they are read-only in
 * both afterwards, and that the exit of the child takes back its share, but
 * restores nothing: only a fault can tell that there is one user again.
 */
static void fork_shares_folio_read_only(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct share_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	struct mm_struct *child;
	struct folio *folio;
	struct thp_state want;

	f->write = v->write;
	f->exclusive = v->exclusive;
	folio = thp_fixture_place(f, form);
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "placed");

	child = thp_fixture_fork(f);
	thp_want_shared(&want);
	expect_shared(f, child, folio, &want);

	thp_fixture_end_child(f, child);
	f->write = false;
	f->exclusive = false;
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "exit of the child");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

/*
 * Test that a fault in either of two mms brings the folio back for both: there
 * is one copy, which they share as they have shared the folio of the device.
 */
static void fault_after_fork_brings_back_for_both(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct access_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	const struct fake_zdev_event *event;
	struct mm_struct *child, *mm;
	struct thp_state want;
	unsigned int ret;

	thp_fixture_place(f, form);
	child = thp_fixture_fork(f);
	mm = v->in_child ? child : f->mm;
	fake_zdev_set_fault_order(f->zdev, form->order);

	thp_fixture_switch_mm(f, f->mm, mm);
	ret = thp_fixture_fault(f, f->addr, 0);
	thp_fixture_switch_mm(f, mm, f->mm);
	KUNIT_EXPECT_EQ(test, ret, 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	event = fake_zdev_nth_event(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM, 0);
	KUNIT_ASSERT_NOT_NULL(test, event);
	KUNIT_EXPECT_EQ(test, event->refcount, 2 * form->leaves + 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_COPY_TO_RAM),
			form->back_folios);

	thp_want_back(f, &want, form);
	thp_want_shared(&want);
	thp_expect_back(f, form, &want, "fault, parent");
	thp_fixture_look_at(f, child);
	thp_expect_back(f, form, &want, "fault, child");
	thp_fixture_look_at(f, f->mm);
	thp_fixture_read_back(f, form->order, "read by the parent");
}

/*
 * Test that a fault that the device can't serve leaves parent and child with
 * what they shared, in small folios if PTEs map it.
 */
static void fault_after_fork_without_destination_returns_sigbus(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct access_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	struct page *first = &thp_fixture_place(f, form)->page;
	struct mm_struct *child, *mm;
	struct thp_state want;
	unsigned int ret;

	child = thp_fixture_fork(f);
	mm = v->in_child ? child : f->mm;
	fake_zdev_set_fault_order(f->zdev, form->order);
	fake_zdev_fail_from(f->zdev, FAKE_ZDEV_POINT_RAM_ALLOC, 1);

	thp_fixture_switch_mm(f, f->mm, mm);
	ret = thp_fixture_fault(f, f->addr, 0);
	thp_fixture_switch_mm(f, mm, f->mm);
	KUNIT_EXPECT_EQ(test, ret, VM_FAULT_SIGBUS);
	thp_want_small_device(f, &want, form);
	thp_want_shared(&want);
	thp_ledger_expect_each(f, first, form->back_folios, &want, "SIGBUS, parent");
	thp_fixture_look_at(f, child);
	thp_ledger_expect_each(f, first, form->back_folios, &want, "SIGBUS, child");
	thp_fixture_look_at(f, f->mm);
}

#define WRITTEN	0x77726974656e2e2eul

/* The first word of the range in the mm that the thread works in */
static unsigned long first_word(struct thp_fixture *f)
{
	unsigned long word = 0;

	KUNIT_EXPECT_EQ(f->test, 0, copy_from_user(&word, (void __user *)f->addr, sizeof(word)));
	return word;
}

/*
 * Test that a write in either mm copies one page, that the other one does not see
 * it, and that everything else is shared still.
 */
static void write_after_fork_copies_one_page(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct access_variant *v = c->variant;
	const struct thp_form *form = &c->form;
	struct thp_fixture *f = test->priv;
	const unsigned long word = WRITTEN;
	struct mm_struct *child, *mm, *other;
	struct folio *copy, *old;

	thp_fixture_place(f, form);
	child = thp_fixture_fork(f);
	mm = v->in_child ? child : f->mm;
	other = v->in_child ? f->mm : child;
	fake_zdev_set_fault_order(f->zdev, form->order);

	thp_fixture_switch_mm(f, f->mm, mm);
	KUNIT_EXPECT_EQ(test, 0, copy_to_user((void __user *)f->addr, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, first_word(f), word);
	thp_fixture_switch_mm(f, mm, other);
	thp_fixture_read_back(f, form->order, "read by the other");
	thp_fixture_switch_mm(f, other, f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));

	lru_add_drain();
	thp_fixture_look_at(f, mm);
	copy = thp_fixture_folio_at(f, f->addr);
	thp_fixture_look_at(f, other);
	old = thp_fixture_folio_at(f, f->addr);
	thp_fixture_look_at(f, f->mm);
	KUNIT_ASSERT_NOT_NULL(test, copy);
	KUNIT_ASSERT_NOT_NULL(test, old);
	KUNIT_EXPECT_PTR_NE(test, copy, old);
	KUNIT_EXPECT_EQ(test, folio_order(copy), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(copy), 1);
	KUNIT_EXPECT_EQ(test, folio_mapcount(copy), 1);
	KUNIT_EXPECT_TRUE(test, PageAnonExclusive(&copy->page));
	/* A PMD of the one, and what is left of the PTEs of the other */
	KUNIT_EXPECT_EQ(test, folio_order(old), form->back_order);
	KUNIT_EXPECT_EQ(test, folio_ref_count(old), 1L << form->back_order);
	KUNIT_EXPECT_EQ(test, folio_mapcount(old), 1L << form->back_order);
	KUNIT_EXPECT_FALSE(test, PageAnonExclusive(&old->page));
	thp_fixture_track(f, &old->page, 0, f->addr);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "write");
}

/* What a child has of a folio when the parent has unmapped it */
static void want_child_alone(const struct thp_fixture *f, struct thp_state *want,
			     const struct thp_form *form)
{
	thp_want_form(f, want, form);
	want->mm_id[1] = 2;
	want->mm_id_mapcount[1] = want->mm_id_mapcount[0];
	want->mm_id[0] = 0;
	want->mm_id_mapcount[0] = -1;
}

/*
 * Test that a folio whose first mm has unmapped it stays for the child, alone,
 * and that the exit of that child, the last user, frees it, as one folio.
 */
static void exit_of_last_user_frees_folio(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	struct mm_struct *child = thp_fixture_fork(f);
	struct thp_state want;

	f->write = false;
	f->exclusive = false;
	thp_fixture_munmap(f);
	want_child_alone(f, &want, form);
	thp_fixture_look_at(f, child);
	thp_ledger_expect(f, folio, &want, "munmap by the parent");
	thp_fixture_look_at(f, f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 0);

	thp_fixture_end_child(f, child);
	thp_expect_gone(f, form, "exit of the child");
}

/*
 * Test that a child that is alone with a folio gets it back, and that a write
 * then uses that page again instead of copying it.
 */
static void write_of_last_user_reuses_folio(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	const unsigned long word = WRITTEN;
	struct mm_struct *child;
	struct folio *before, *after;

	thp_fixture_place(f, form);
	child = thp_fixture_fork(f);
	thp_fixture_munmap(f);
	fake_zdev_set_fault_order(f->zdev, form->order);

	thp_fixture_switch_mm(f, f->mm, child);
	thp_fixture_look_at(f, child);
	thp_fixture_read_back(f, form->order, "read by the child");
	lru_add_drain();
	before = thp_fixture_folio_at(f, f->addr);
	KUNIT_EXPECT_EQ(test, 0, copy_to_user((void __user *)f->addr, &word, sizeof(word)));
	after = thp_fixture_folio_at(f, f->addr);
	KUNIT_EXPECT_PTR_EQ(test, before, after);
	KUNIT_EXPECT_EQ(test, first_word(f), word);
	thp_fixture_look_at(f, f->mm);
	thp_fixture_switch_mm(f, child, f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	KUNIT_ASSERT_NOT_NULL(test, after);
	KUNIT_EXPECT_EQ(test, folio_order(after), form->back_order);
	KUNIT_EXPECT_EQ(test, folio_ref_count(after), 1);
	KUNIT_EXPECT_TRUE(test, PageAnonExclusive(&after->page));
}

static struct kunit_case device_private_thp_fork_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(fork_shares_folio_read_only,
				   kunit_array_gen_params, share_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_after_fork_brings_back_for_both,
				   kunit_array_gen_params, access_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_after_fork_without_destination_returns_sigbus,
				   kunit_array_gen_params, access_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(write_after_fork_copies_one_page,
				   kunit_array_gen_params, access_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(exit_of_last_user_frees_folio,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(write_of_last_user_reuses_folio,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_fork_suite = {
	.name = "device_private_thp_fork",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_fork_cases,
};

kunit_test_suite(device_private_thp_fork_suite);

MODULE_DESCRIPTION("KUnit tests: fork with device-private THPs");
MODULE_LICENSE("GPL");
