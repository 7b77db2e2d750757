// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes up steps, and takes sequences of them.
 */
#include "fake_zone_device_migrate.h"
#include "thp_random.h"

/* How likely each operation is, compared with the others */
static const u8 weights[THP_NR_OPS] = {
	[THP_OP_WRITE]		= 16,
	[THP_OP_READ]		= 8,
	[THP_OP_RAM_TO_DEVICE]	= 14,
	[THP_OP_RAM_TO_PEER]	= 8,
	[THP_OP_DEVICE_TO_RAM]	= 7,
	[THP_OP_PEER_TO_RAM]	= 4,
	[THP_OP_DEVICE_TO_PEER]	= 6,
	[THP_OP_PEER_TO_DEVICE]	= 4,
	[THP_OP_EVICT_DEVICE]	= 2,
	[THP_OP_EVICT_PEER]	= 1,
	[THP_OP_SPLIT_FOLIO]	= 8,
	[THP_OP_SPLIT_PMD]	= 4,
	[THP_OP_FORK]		= 8,
	[THP_OP_EXIT]		= 4,
	[THP_OP_DONTNEED]	= 5,
	[THP_OP_MUNMAP]		= 4,
	[THP_OP_MMAP]		= 6,
	[THP_OP_PROTECT]	= 4,
	[THP_OP_UNPROTECT]	= 5,
	[THP_OP_MREMAP]		= 5,
};

static u32 below(struct rnd_state *rnd, u32 ceiling)
{
	return prandom_u32_state(rnd) % ceiling;
}

static enum thp_op random_op(struct rnd_state *rnd)
{
	unsigned int total = 0, op;
	u32 r;

	for (op = 0; op < THP_NR_OPS; op++)
		total += weights[op];
	r = below(rnd, total);
	for (op = 0; r >= weights[op]; op++)
		r -= weights[op];
	return op;
}

/* Whole PMDs most of the time, and all kinds of parts of them */
static void random_range(struct rnd_state *rnd, struct thp_step *step)
{
	unsigned int slot = below(rnd, THP_MEMORY_SLOTS) * HPAGE_PMD_NR;

	switch (below(rnd, 8)) {
	case 0:
		step->first = slot + below(rnd, HPAGE_PMD_NR);
		step->nr = 1;
		break;
	case 1:
		step->first = slot + below(rnd, 2) * HPAGE_PMD_NR / 2;
		step->nr = HPAGE_PMD_NR / 2;
		break;
	case 2:
		step->first = slot + below(rnd, HPAGE_PMD_NR - 32);
		step->nr = 1 + below(rnd, 32);
		break;
	case 3:
		/* The end of one and the beginning of the next */
		step->first = below(rnd, THP_MEMORY_PAGES - HPAGE_PMD_NR);
		step->nr = HPAGE_PMD_NR;
		break;
	case 4:
		step->first = 0;
		step->nr = 2 * HPAGE_PMD_NR;
		break;
	default:
		step->first = slot;
		step->nr = HPAGE_PMD_NR;
		break;
	}
}

/* A driver has what it is asked for most of the time. */
static u8 random_policy(struct rnd_state *rnd)
{
	static const u8 policies[] = {
		FAKE_ZDEV_DST_AS_SOURCE, FAKE_ZDEV_DST_AS_SOURCE, FAKE_ZDEV_DST_AS_SOURCE,
		FAKE_ZDEV_DST_AS_SOURCE_ONLY, FAKE_ZDEV_DST_AS_SOURCE_ONLY,
		FAKE_ZDEV_DST_ALL_SMALL, FAKE_ZDEV_DST_ALL_SMALL,
		FAKE_ZDEV_DST_FIRST_SMALL, FAKE_ZDEV_DST_SOME_MISSING, FAKE_ZDEV_DST_NONE,
	};

	return policies[below(rnd, ARRAY_SIZE(policies))];
}

static void random_failure(struct rnd_state *rnd, struct thp_step *step)
{
	static const u16 nths[] = { 1, 1, 1, 2, 3, 17, 256, 511, 512 };

	if (below(rnd, 5) || step->op == THP_OP_WRITE)
		return;
	step->fail = 1 + below(rnd, FAKE_ZDEV_NR_POINTS);
	step->nth = nths[below(rnd, ARRAY_SIZE(nths))];
}

/**
 * thp_random_next() - make up a step
 * @rnd: pseudo-random numbers
 * @m: model: only steps that it allows
 * @step: where to write
 *
 * The same numbers and the same model give the same step. None that is known to
 * bring down the kernel is among them.
 */
void thp_random_next(struct rnd_state *rnd, const struct thp_memory *m, struct thp_step *step)
{
	do {
		*step = (struct thp_step) { .op = random_op(rnd) };
		step->mm = m->has_child && !below(rnd, 3);
		random_range(rnd, step);
		step->to = (step->first + below(rnd, 2 * THP_MEMORY_SLOTS) * HPAGE_PMD_NR / 2) %
			   THP_MEMORY_PAGES;
		step->policy = random_policy(rnd);
		step->order = below(rnd, HPAGE_PMD_ORDER);
		random_failure(rnd, step);
	} while (!thp_memory_allows(m, step) || thp_memory_known_crash(m, step));
}

static void begin_attempt(struct thp_world *w, struct thp_attempt *attempt,
			  thp_sabotage_t sabotage, void *arg)
{
	memset(attempt, 0, sizeof(*attempt));
	w->sabotage = sabotage;
	w->sabotage_arg = arg;
}

static void end_attempt(struct thp_world *w, struct thp_attempt *attempt)
{
	attempt->failed = !thp_world_end(w, attempt->why);
}

/**
 * thp_random_try() - take a sequence that is made up on the way
 * @test: the test
 * @seed: seed
 * @nr_steps: how many steps to take, up to THP_RANDOM_MAX_STEPS
 * @seq: where to write what was taken
 * @attempt: where to write what came of it
 * @sabotage: NULL, or what is to break something after a step
 * @arg: its argument
 *
 * Context: the thread of the test, which has no mm
 */
void thp_random_try(struct kunit *test, u64 seed, unsigned int nr_steps,
		    struct thp_sequence *seq, struct thp_attempt *attempt,
		    thp_sabotage_t sabotage, void *arg)
{
	struct thp_world *w = thp_world_begin(test);
	struct rnd_state rnd;

	begin_attempt(w, attempt, sabotage, arg);
	prandom_seed_state(&rnd, seed);
	for (seq->nr = 0; seq->nr < nr_steps; ) {
		struct thp_step *step = &seq->steps[seq->nr++];

		thp_random_next(&rnd, &w->m, step);
		if (!thp_world_step(w, step))
			break;
	}
	attempt->nr_taken = seq->nr;
	end_attempt(w, attempt);
}

/**
 * thp_sequence_try() - take a given sequence
 * @test: the test
 * @steps: the steps
 * @nr: number of them
 * @attempt: where to write what came of it
 * @sabotage: NULL, or what is to break something after a step
 * @arg: its argument
 *
 * Steps that the model does not allow are left out.
 *
 * Context: the thread of the test, which has no mm
 */
void thp_sequence_try(struct kunit *test, const struct thp_step *steps, unsigned int nr,
		      struct thp_attempt *attempt, thp_sabotage_t sabotage, void *arg)
{
	struct thp_world *w = thp_world_begin(test);
	unsigned int i = 0;

	begin_attempt(w, attempt, sabotage, arg);
	while (i < nr && thp_world_step(w, &steps[i]))
		i++;
	attempt->nr_taken = min(nr, i + 1);
	end_attempt(w, attempt);
}
