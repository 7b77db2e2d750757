// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-private folios of every order, charged to a memory cgroup that is not
 * the root: the page counter, exact to the page, wherever the folio goes.
 */
#include <kunit/test.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_fixture_forms.h"
#include "thp_fixture_memcg.h"

/* What the test and its mm allocate is charged to a cgroup from here on. */
static s64 enter(struct thp_fixture *f)
{
	thp_fixture_own_memcg(f, THP_MEMCG_USUAL);
	thp_fixture_enter_memcg(f, THP_MEMCG_USUAL);
	return thp_memcg_drained_usage(f);
}

/*
 * The folio, with the list for deferred splits that folios of system memory bring
 * along. (Those that are inserted into a hole do not: known bug H5.)
 */
static struct folio *place(struct thp_fixture *f, const struct thp_form *form)
{
	struct folio *folio = thp_fixture_place(f, form);

	KUNIT_EXPECT_EQ(f->test, folio_memcg_alloc_deferred(folio), 0);
	return folio;
}

/*
 * Test that a folio of the device is charged with all of its pages while it is
 * mapped, that nothing is charged or uncharged when a fault moves it to system
 * memory, and that unmapping gives all of it back.
 */
static void fault_moves_charge(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	const s64 nr = 1L << form->order;
	s64 base;
	struct folio *folio;

	base = enter(f);
	folio = place(f, form);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	rcu_read_lock();
	KUNIT_EXPECT_PTR_EQ(test, folio_memcg(folio), f->charge_to);
	rcu_read_unlock();

	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	thp_expect_back(f, form, NULL, "fault");

	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED), 0);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base);
	thp_fixture_leave_memcg(f);
}

/* Test that unmapping a folio that is with the device uncharges it, all at once. */
static void zap_uncharges_folio(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	const s64 nr = 1L << form->order;
	s64 base;
	struct folio *folio;

	base = enter(f);
	folio = place(f, form);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base);
	KUNIT_EXPECT_EQ(test, folio->memcg_data, 0);
	thp_expect_gone(f, form, "unmapped");
	thp_fixture_leave_memcg(f);
}

/*
 * Test that a folio of which half is unmapped stays charged as a whole, as its
 * memory stays in use as a whole, until a fault splits it and frees that half.
 */
static void zap_of_half_keeps_charge_until_split(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	const s64 half = 1L << (form->order - 1);
	struct thp_fixture *f = test->priv;
	s64 base;

	base = enter(f);
	place(f, form);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + 2 * half);
	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr + half * PAGE_SIZE, half * PAGE_SIZE,
					 MADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + 2 * half);

	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + half);

	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED), 0);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base);
	thp_fixture_leave_memcg(f);
}

/* Test that a fault that can't be served changes no charge. */
static void fault_without_destination_keeps_charge(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	const s64 nr = 1L << form->order;
	s64 base;

	base = enter(f);
	place(f, form);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	fake_zdev_set_fault_order(f->zdev, form->order);
	fake_zdev_fail_from(f->zdev, FAKE_ZDEV_POINT_RAM_ALLOC, 1);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), VM_FAULT_SIGBUS);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base);
	thp_fixture_leave_memcg(f);
}

static const unsigned int orders[] = { 0, 2, 3, 4, 5, 6, 7, 8, 9 };

static void order_desc(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u", *(const unsigned int *)param);
}

static int order_params_init(struct kunit *test)
{
	kunit_register_params_array(test, orders, ARRAY_SIZE(orders), order_desc);
	return 0;
}

/*
 * Test that the charge of system memory goes to the device and back with it:
 * migration charges nothing and uncharges nothing.
 */
static void migration_moves_charge(struct kunit *test)
{
	const unsigned int order = *(const unsigned int *)test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long end_addr = f->addr + (PAGE_SIZE << order);
	const s64 nr = 1L << order;
	s64 base;

	base = enter(f);
	thp_fixture_touch(f, order);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_migrate_to_device(f->zdev, f->mm, f->addr, end_addr,
							  FAKE_ZDEV_DST_AS_SOURCE),
			nr);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_migrate_to_ram(f->zdev, f->mm, f->addr, end_addr,
						       FAKE_ZDEV_DST_AS_SOURCE),
			nr);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);

	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED), 0);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base);
	thp_fixture_leave_memcg(f);
}

/* Test that fork charges no page of the folio again, and that a copy is charged. */
static void copy_after_fork_charges_one_page(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	const s64 nr = 1L << form->order;
	s64 base;

	base = enter(f);
	place(f, form);
	thp_fixture_fork(f);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, FAULT_FLAG_WRITE), 0);
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr);
	/* Only now there is a present entry, and something to copy. */
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, FAULT_FLAG_WRITE), 0);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, thp_memcg_drained_usage(f), base + nr + 1);
	thp_fixture_leave_memcg(f);
}

/*
 * Test that a folio whose memory cgroup is removed meanwhile is charged to the
 * parent, and that it comes back, and is freed, as any other.
 */
static void folio_of_removed_cgroup_comes_back(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio;

	thp_fixture_own_memcg(f, THP_MEMCG_USUAL);
	folio = place(f, form);
	thp_memcg_disable();
	KUNIT_EXPECT_FALSE(test, mem_cgroup_online(f->charge_to));
	rcu_read_lock();
	KUNIT_EXPECT_PTR_EQ(test, folio_memcg(folio), root_mem_cgroup);
	rcu_read_unlock();

	fake_zdev_set_fault_order(f->zdev, form->order);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	thp_expect_back(f, form, NULL, "fault");
	rcu_read_lock();
	KUNIT_EXPECT_PTR_EQ(test, folio_memcg(thp_fixture_folio_at(f, f->addr)),
			    root_mem_cgroup);
	rcu_read_unlock();
	KUNIT_EXPECT_EQ(test, do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED), 0);
	KUNIT_EXPECT_EQ(test, thp_memcg_enable(), 0);
}

static struct kunit_case device_private_thp_memcg_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(fault_moves_charge,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(zap_uncharges_folio,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(zap_of_half_keeps_charge_until_split,
				   kunit_array_gen_params, thp_large_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_without_destination_keeps_charge,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(migration_moves_charge,
				   kunit_array_gen_params, order_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(copy_after_fork_charges_one_page,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(folio_of_removed_cgroup_comes_back,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_memcg_suite = {
	.name = "device_private_thp_memcg",
	.suite_init = thp_memcg_suite_init,
	.suite_exit = thp_memcg_suite_exit,
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_memcg_cases,
};

kunit_test_suite(device_private_thp_memcg_suite);

MODULE_DESCRIPTION("KUnit tests: charges of device-private THPs");
MODULE_LICENSE("GPL");
