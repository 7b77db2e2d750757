/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Sequences of steps: made up from a seed, taken in a world, and made as short as
 * can be if something is wrong.
 */
#ifndef _THP_RANDOM_H
#define _THP_RANDOM_H

#include <linux/prandom.h>

#include "thp_world.h"

#define THP_RANDOM_MAX_STEPS	256

/**
 * struct thp_sequence - steps, one after another
 * @nr: number of them
 * @steps: the steps
 */
struct thp_sequence {
	unsigned int nr;
	struct thp_step steps[THP_RANDOM_MAX_STEPS];
};

/**
 * struct thp_attempt - a sequence that was taken in a world of its own
 * @failed: something was wrong
 * @nr_taken: steps that were taken; the last of them is what @why is about
 * @why: what was wrong
 */
struct thp_attempt {
	bool failed;
	unsigned int nr_taken;
	char why[THP_WORLD_WHY];
};

typedef void (*thp_sabotage_t)(struct thp_world *w, const struct thp_step *step, void *arg);

/* thp_random_generate.c */
void thp_random_next(struct rnd_state *rnd, const struct thp_memory *m, struct thp_step *step);
void thp_random_try(struct kunit *test, u64 seed, unsigned int nr_steps,
		    struct thp_sequence *seq, struct thp_attempt *attempt,
		    thp_sabotage_t sabotage, void *arg);
void thp_sequence_try(struct kunit *test, const struct thp_step *steps, unsigned int nr,
		      struct thp_attempt *attempt, thp_sabotage_t sabotage, void *arg);

/* thp_random_shrink.c */
unsigned int thp_sequence_shrink(struct kunit *test, struct thp_sequence *seq,
				 struct thp_attempt *attempt, thp_sabotage_t sabotage,
				 void *arg);

/* thp_random_print.c */
void thp_sequence_print(struct kunit *test, const struct thp_sequence *seq, u64 seed,
			const char *why);

#endif /* _THP_RANDOM_H */
