// SPDX-License-Identifier: GPL-2.0-only
/*
 * Phase interleaving: a migration of device-private memory, stopped at each
 * point where others can get in between, one operation of the mm there, and
 * then the rest of the migration.
 *
 * What must come of it is what a model says that knows folios, page tables and
 * phases, and nothing of the kernel's code (thp_interleave_model.c). After each
 * phase all page tables, folios, devices and data are compared with it.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "thp_interleave.h"

/* What the matrix has at most of one test's cases */
#define MAX_ROWS	2048

static void ileave_desc(struct kunit *test, const void *param, char *desc)
{
	ileave_describe(param, desc, KUNIT_PARAM_DESC_SIZE);
}

static int register_rows(struct kunit *test, struct ileave_row *rows, u8 way, bool slow)
{
	const struct ileave_choice choice = { .way = way, .slow = slow };
	unsigned int nr = ileave_collect(&choice, rows, MAX_ROWS);

	KUNIT_ASSERT_LE(test, nr, MAX_ROWS);
	kunit_register_params_array(test, rows, nr, ileave_desc);
	return 0;
}

static int vma_rows_init(struct kunit *test)
{
	static struct ileave_row rows[MAX_ROWS];

	return register_rows(test, rows, ILEAVE_VMA, false);
}

static int vma_rest_init(struct kunit *test)
{
	static struct ileave_row rows[MAX_ROWS];

	return register_rows(test, rows, ILEAVE_VMA, true);
}

static int range_rows_init(struct kunit *test)
{
	static struct ileave_row rows[MAX_ROWS];

	return register_rows(test, rows, ILEAVE_RANGE, false);
}

static int range_rest_init(struct kunit *test)
{
	static struct ileave_row rows[MAX_ROWS];

	return register_rows(test, rows, ILEAVE_RANGE, true);
}

/* Whether the operation got what it should have, see enum ileave_op. */
static void check_op(struct ileave_run *run)
{
	bool is_there = run->row->point == ILEAVE_IN_COLLECT &&
			run->row->route == ILEAVE_TO_DEVICE;

	KUNIT_EXPECT_EQ(run->test, run->happened, 1);
	if (run->other)
		KUNIT_EXPECT_EQ_MSG(run->test, run->other_collected,
				    run->model->other.collected,
				    "sources of the second migration");
	if (run->row->op == ILEAVE_GUP)
		KUNIT_EXPECT_EQ(run->test, run->found, is_there ? 1 : -EFAULT);
}

/*
 * All phases, and the operation at its point. There must be no assertion in
 * here: the thread may hold the mmap lock.
 */
static void run_phases(struct ileave_run *run)
{
	struct kunit *test = run->test;

	ileave_setup(run);
	KUNIT_EXPECT_EQ_MSG(test, run->collected, run->model->trip.collected, "sources");
	ileave_check(run, "setup");
	if (ileave_interleave(run, ILEAVE_SETUP))
		ileave_check(run, "operation after setup");
	ileave_copy(run);
	if (ileave_interleave(run, ILEAVE_COPY))
		ileave_check(run, "operation after copy");
	ileave_pages(run);
	KUNIT_EXPECT_EQ_MSG(test, ileave_moved(run), run->model->trip.moved, "pages that moved");
	ileave_check(run, "pages");
	if (ileave_interleave(run, ILEAVE_PAGES))
		ileave_check(run, "operation after pages");
	ileave_finalize(run);
	ileave_check(run, "finalize");
	if (ileave_let_go(run))
		ileave_check(run, "references dropped");
}

/*
 * Test that one operation between, or in, the phases of migrate_vma_setup() ..
 * migrate_vma_finalize() leaves exactly the pages mapped, in exactly the place,
 * that the model says, at each step; and nothing behind.
 */
static void vma_phases_with_operation_end_as_modelled(struct kunit *test)
{
	struct ileave_run *run = ileave_new_run(test, test->param_value);

	mmap_read_lock(run->f->mm);
	run_phases(run);
	mmap_read_unlock(run->f->mm);
	check_op(run);
	ileave_read_back(run);
}

/* Test the same for migrate_device_range() .. migrate_device_finalize(). */
static void range_phases_with_operation_end_as_modelled(struct kunit *test)
{
	struct ileave_run *run = ileave_new_run(test, test->param_value);

	run_phases(run);
	check_op(run);
	ileave_read_back(run);
}

/* Test the cases that the default run leaves out. */
static void vma_phases_rest_end_as_modelled(struct kunit *test)
{
	vma_phases_with_operation_end_as_modelled(test);
}

/* Test the cases that the default run leaves out. */
static void range_phases_rest_end_as_modelled(struct kunit *test)
{
	range_phases_with_operation_end_as_modelled(test);
}

static void count_reason(const struct ileave_row *row, enum ileave_reason reason, void *arg)
{
	unsigned int *counts = arg;

	counts[reason]++;
}

/* Test that the matrix has lost no case, and that each that it lacks has its reason. */
static void matrix_is_complete(struct kunit *test)
{
	unsigned int counts[ILEAVE_NR_REASONS] = {}, i, sum = 0, run = 0, way, slow;
	unsigned int total = ileave_for_each(count_reason, counts);

	for (i = 0; i < ILEAVE_NR_REASONS; i++) {
		KUNIT_EXPECT_EQ_MSG(test, counts[i], ileave_reason_counts[i], "reason %u", i);
		sum += counts[i];
	}
	KUNIT_EXPECT_EQ(test, sum, total);
	for (way = 0; way < ILEAVE_NR_WAYS; way++) {
		for (slow = 0; slow < 2; slow++) {
			const struct ileave_choice choice = { .way = way, .slow = slow };
			unsigned int nr = ileave_collect(&choice, NULL, 0);

			kunit_info(test, "way %u slow %u: %u\n", way, slow, nr);
			run += nr;
		}
	}
	KUNIT_EXPECT_EQ(test, run, counts[ILEAVE_RUN]);
}

#define SLOW_PARAM_CASE(test_name, init)					\
	{ .run_case = test_name, .name = #test_name,				\
	  .generate_params = kunit_array_gen_params, .param_init = init,	\
	  .attr = { .speed = KUNIT_SPEED_SLOW }, .module_name = KBUILD_MODNAME }

static struct kunit_case device_private_thp_interleave_cases[] = {
	KUNIT_CASE(matrix_is_complete),
	KUNIT_CASE_PARAM_WITH_INIT(vma_phases_with_operation_end_as_modelled,
				   kunit_array_gen_params, vma_rows_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(range_phases_with_operation_end_as_modelled,
				   kunit_array_gen_params, range_rows_init, NULL),
	SLOW_PARAM_CASE(vma_phases_rest_end_as_modelled, vma_rest_init),
	SLOW_PARAM_CASE(range_phases_rest_end_as_modelled, range_rest_init),
	{}
};

static struct kunit_suite device_private_thp_interleave_suite = {
	.name = "device_private_thp_interleave",
	.init = ileave_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_interleave_cases,
};

kunit_test_suite(device_private_thp_interleave_suite);

MODULE_DESCRIPTION("KUnit tests: operations between the phases of a migration");
MODULE_LICENSE("GPL");
