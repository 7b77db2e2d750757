// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random sequences of what processes and drivers do to a few PMDs of memory, on
 * two devices, compared with a model after every step.
 *
 * A sequence comes from a seed, which is printed if it goes wrong:
 *
 *   thp_random.seed=0x... thp_random.sequences=1
 *
 * on the kernel command line takes it again, and only that one. It is made as
 * short as can be then, and printed as a case to be added below.
 */
#include <linux/jiffies.h>
#include <linux/moduleparam.h>

#include "fake_zone_device_migrate.h"
#include "thp_random.h"

/* Sequences, one a row, that each run takes; sequence n has the seed + n. */
#define NR_ROWS		24
#define NR_STEPS	12

/* Those of a slow run: in each row as many, and longer ones */
#define NR_SLOW_ROWS	16
#define NR_SLOW		16
#define NR_SLOW_STEPS	48

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX "thp_random."

static unsigned long seed = 0x7e57ab1e;
module_param(seed, ulong, 0444);
MODULE_PARM_DESC(seed, "Seed of the first sequence");

static unsigned int sequences = NR_ROWS;
module_param(sequences, uint, 0444);
MODULE_PARM_DESC(sequences, "Number of sequences that are not slow");

static unsigned int steps_each = NR_STEPS;
module_param_named(steps, steps_each, uint, 0444);
MODULE_PARM_DESC(steps, "Number of steps of each of them, up to 256");

static unsigned int minutes;
module_param(minutes, uint, 0444);
MODULE_PARM_DESC(minutes, "How long to take sequences with ever new seeds");

/* Take a sequence. If it goes wrong, find the shortest one that does, and fail. */
static void expect_seed_as_modelled(struct kunit *test, u64 seed_of_one, unsigned int nr_steps)
{
	struct thp_sequence *seq = kunit_kzalloc(test, sizeof(*seq), GFP_KERNEL);
	struct thp_attempt attempt;
	unsigned int attempts;

	KUNIT_ASSERT_NOT_NULL(test, seq);
	thp_random_try(test, seed_of_one, min(nr_steps, THP_RANDOM_MAX_STEPS), seq, &attempt,
		       NULL, NULL);
	if (attempt.failed) {
		kunit_info(test, "thp_random.seed=%#llx, step %u: %s\n", seed_of_one,
			   attempt.nr_taken, attempt.why);
		attempts = thp_sequence_shrink(test, seq, &attempt, NULL, NULL);
		kunit_info(test, "after %u attempts to shorten it:\n", attempts);
		thp_sequence_print(test, seq, seed_of_one, attempt.why);
		KUNIT_FAIL(test, "thp_random.seed=%#llx: %s after %u steps", seed_of_one,
			   attempt.why, seq->nr);
	}
	kunit_kfree(test, seq);
}

static unsigned int row_numbers[NR_ROWS];

static void describe_row(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "sequence_%u", *(const unsigned int *)param);
}

static void register_rows(struct kunit *test, unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < NR_ROWS; i++)
		row_numbers[i] = i;
	kunit_register_params_array(test, row_numbers, nr, describe_row);
}

static int init_rows(struct kunit *test)
{
	register_rows(test, NR_ROWS);
	return 0;
}

static int init_slow_rows(struct kunit *test)
{
	register_rows(test, NR_SLOW_ROWS);
	return 0;
}

static unsigned int row_of(const struct kunit *test)
{
	return *(const unsigned int *)test->param_value;
}

/* Test that random sequences do what the model says. */
static void random_sequence_is_as_modelled(struct kunit *test)
{
	unsigned int i;

	if (row_of(test) >= sequences)
		kunit_skip(test, "thp_random.sequences=%u", sequences);
	for (i = row_of(test); i < sequences; i += NR_ROWS)
		expect_seed_as_modelled(test, seed + i, steps_each);
}

/* Test the same of many long ones. */
static void long_random_sequence_is_as_modelled(struct kunit *test)
{
	u64 first = (u64)seed + 0x10000 + row_of(test) * NR_SLOW;
	unsigned int i;

	for (i = 0; i < NR_SLOW; i++)
		expect_seed_as_modelled(test, first + i, NR_SLOW_STEPS);
}

/* One row a minute: none takes so long that KUnit would take it for hung. */
static unsigned int soak_minutes[24 * 60];

static void describe_minute(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "minute_%u", *(const unsigned int *)param);
}

static int init_minutes(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(soak_minutes); i++)
		soak_minutes[i] = i + 1;
	kunit_register_params_array(test, soak_minutes,
				    clamp(minutes, 1, ARRAY_SIZE(soak_minutes)),
				    describe_minute);
	return 0;
}

/* Test the same for as long as asked for, with seeds of which no two are the same. */
static void soak_is_as_modelled(struct kunit *test)
{
	const unsigned int minute = *(const unsigned int *)test->param_value;
	unsigned long end = jiffies + 60 * HZ, taken = 0;

	if (!minutes)
		kunit_skip(test, "thp_random.minutes=0");
	while (time_before(jiffies, end) && test->status != KUNIT_FAILURE)
		expect_seed_as_modelled(test, (u64)seed + ((u64)minute << 32) + taken++,
					NR_SLOW_STEPS);
	kunit_info(test, "%lu sequences from thp_random.seed=%#llx on\n", taken,
		   (u64)seed + ((u64)minute << 32));
}

/* A given sequence: one that went wrong once, or that must not be left out */
static void expect_as_modelled(struct kunit *test, const struct thp_step *steps, unsigned int nr)
{
	struct thp_attempt attempt;

	thp_sequence_try(test, steps, nr, &attempt, NULL, NULL);
	KUNIT_EXPECT_FALSE_MSG(test, attempt.failed, "step %u: %s", attempt.nr_taken,
			       attempt.why);
	KUNIT_EXPECT_EQ(test, attempt.nr_taken, nr);
}

#define WHOLE(_op)	{ .op = THP_OP_##_op, .first = 0, .nr = HPAGE_PMD_NR }
#define HALF(_op)	{ .op = THP_OP_##_op, .first = HPAGE_PMD_NR / 2, .nr = HPAGE_PMD_NR / 2 }

/* Test that the model knows each operation, on a THP, in an order that makes sense. */
static void each_operation_once_is_as_modelled(struct kunit *test)
{
	static const struct thp_step steps[] = {
		WHOLE(WRITE),
		WHOLE(RAM_TO_DEVICE),
		WHOLE(FORK),
		{ .op = THP_OP_WRITE, .mm = 1, .first = 0, .nr = 1 },
		WHOLE(READ),
		{ .op = THP_OP_RAM_TO_PEER, .nr = HPAGE_PMD_NR,
		  .policy = FAKE_ZDEV_DST_AS_SOURCE_ONLY },
		WHOLE(EXIT),
		WHOLE(PEER_TO_DEVICE),
		{ .op = THP_OP_SPLIT_FOLIO, .first = 0, .nr = 1, .order = 4 },
		WHOLE(DEVICE_TO_PEER),
		HALF(PROTECT),
		HALF(UNPROTECT),
		WHOLE(EVICT_PEER),
		WHOLE(PEER_TO_RAM),
		WHOLE(SPLIT_PMD),
		{ .op = THP_OP_MREMAP, .nr = HPAGE_PMD_NR, .to = 2 * HPAGE_PMD_NR },
		WHOLE(MMAP),
		WHOLE(RAM_TO_DEVICE),
		HALF(MUNMAP),
		WHOLE(EVICT_DEVICE),
		HALF(MMAP),
		HALF(DONTNEED),
		WHOLE(DEVICE_TO_RAM),
		WHOLE(READ),
	};

	expect_as_modelled(test, steps, ARRAY_SIZE(steps));
}

/**
 * struct planted - a fault that is planted, and the shortest way to it
 * @desc: description
 * @ops: operations that must be seen, in this order, before it shows
 * @nr_ops: number of them
 */
struct planted {
	const char *desc;
	enum thp_op ops[3];
	unsigned int nr_ops;
};

/* Those that take few attempts come first. */
#define NR_QUICK	1

static const struct planted planted[] = {
	{ "write_then_ram_to_device", { THP_OP_WRITE, THP_OP_RAM_TO_DEVICE }, 2 },
	{ "fork_then_protect", { THP_OP_FORK, THP_OP_PROTECT }, 2 },
	{ "write_then_dontneed_then_read",
	  { THP_OP_WRITE, THP_OP_DONTNEED, THP_OP_READ }, 3 },
	{ "munmap_then_mmap_then_ram_to_device",
	  { THP_OP_MUNMAP, THP_OP_MMAP, THP_OP_RAM_TO_DEVICE }, 3 },
};

static void describe_planted(struct kunit *test, const void *param, char *desc)
{
	const struct planted *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_planted(struct kunit *test)
{
	kunit_register_params_array(test, planted, NR_QUICK, describe_planted);
	return 0;
}

static int init_slow_planted(struct kunit *test)
{
	kunit_register_params_array(test, planted + NR_QUICK, ARRAY_SIZE(planted) - NR_QUICK,
				    describe_planted);
	return 0;
}

/* Say that something is wrong once all operations of the row have been seen. */
static void plant(struct thp_world *w, const struct thp_step *step, void *arg)
{
	const struct planted *row = w->test->param_value;
	unsigned int *seen = arg;

	if (w->steps == 1)
		*seen = 0;
	if (*seen < row->nr_ops && step->op == row->ops[*seen])
		++*seen;
	if (*seen == row->nr_ops)
		thp_world_wrong(w, "planted");
}

/*
 * Test that a sequence that goes wrong is shortened to the steps that it takes
 * for that, and no others.
 */
static void planted_fault_is_shrunk_to_its_steps(struct kunit *test)
{
	struct thp_sequence *seq = kunit_kzalloc(test, sizeof(*seq), GFP_KERNEL);
	const struct planted *row = test->param_value;
	struct thp_attempt attempt;
	unsigned int seen = 0, i;
	u64 try_seed = 0x5eed;

	KUNIT_ASSERT_NOT_NULL(test, seq);
	/* The first seed of a sequence in which it happens at all */
	do {
		thp_random_try(test, try_seed++, NR_STEPS, seq, &attempt, plant, &seen);
	} while (!attempt.failed);
	KUNIT_EXPECT_STREQ(test, attempt.why, "planted");
	KUNIT_EXPECT_NE(test, thp_sequence_shrink(test, seq, &attempt, plant, &seen), 0);
	KUNIT_EXPECT_STREQ(test, attempt.why, "planted");
	KUNIT_ASSERT_EQ(test, seq->nr, row->nr_ops);
	for (i = 0; i < seq->nr; i++) {
		KUNIT_EXPECT_EQ_MSG(test, seq->steps[i].op, row->ops[i], "step %u", i);
		KUNIT_EXPECT_EQ_MSG(test, seq->steps[i].fail, 0, "step %u", i);
		KUNIT_EXPECT_EQ_MSG(test, seq->steps[i].policy, FAKE_ZDEV_DST_AS_SOURCE,
				    "step %u", i);
	}
}

/* Change a bit of the first page that is on the device. */
static void corrupt_device(struct thp_world *w, const struct thp_step *step, void *arg)
{
	u8 *data = fake_zdev_data(w->f.zdev, fake_zdev_page(w->f.zdev, 0));

	if (data && fake_zdev_live_order(w->f.zdev, 0) >= 0)
		data[77 * sizeof(u64)] ^= 1;
}

/* Test that one wrong bit on the device is noticed at once. */
static void corrupt_data_is_noticed(struct kunit *test)
{
	static const struct thp_step steps[] = {
		WHOLE(WRITE), WHOLE(RAM_TO_DEVICE), WHOLE(DEVICE_TO_RAM),
	};
	struct thp_attempt attempt;

	thp_sequence_try(test, steps, ARRAY_SIZE(steps), &attempt, corrupt_device, NULL);
	KUNIT_EXPECT_TRUE(test, attempt.failed);
	KUNIT_EXPECT_EQ(test, attempt.nr_taken, 2);
	KUNIT_EXPECT_STREQ(test, attempt.why, "page 0 of mm 0 has lost its data");
}

static int thp_random_init(struct kunit *test)
{
	thp_fixture_anon_orders(test, BIT(HPAGE_PMD_ORDER));
	return 0;
}

static struct kunit_case device_private_thp_random_cases[] = {
	KUNIT_CASE(each_operation_once_is_as_modelled),
	KUNIT_CASE_PARAM_WITH_INIT(random_sequence_is_as_modelled, kunit_array_gen_params,
				   init_rows, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(planted_fault_is_shrunk_to_its_steps, kunit_array_gen_params,
				   init_planted, NULL),
	KUNIT_CASE(corrupt_data_is_noticed),
	{}
};

static struct kunit_suite device_private_thp_random_suite = {
	.name = "device_private_thp_random",
	.init = thp_random_init,
	.test_cases = device_private_thp_random_cases,
};

static struct kunit_case device_private_thp_random_long_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(planted_fault_is_shrunk_to_its_steps, kunit_array_gen_params,
				   init_slow_planted, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(long_random_sequence_is_as_modelled, kunit_array_gen_params,
				   init_slow_rows, NULL),
	{}
};

static struct kunit_suite device_private_thp_random_long_suite = {
	.name = "device_private_thp_random_long",
	.attr.speed = KUNIT_SPEED_SLOW,
	.init = thp_random_init,
	.test_cases = device_private_thp_random_long_cases,
};

static struct kunit_case device_private_thp_soak_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(soak_is_as_modelled, kunit_array_gen_params,
				   init_minutes, NULL),
	{}
};

static struct kunit_suite device_private_thp_soak_suite = {
	.name = "device_private_thp_soak",
	.init = thp_random_init,
	.test_cases = device_private_thp_soak_cases,
};

kunit_test_suites(&device_private_thp_random_suite, &device_private_thp_random_long_suite,
		  &device_private_thp_soak_suite);

MODULE_DESCRIPTION("KUnit tests: device-private THPs in random sequences, and a model");
MODULE_LICENSE("GPL");
