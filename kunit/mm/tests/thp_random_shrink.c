// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes a sequence that goes wrong shorter, and its steps simpler, as long as it
 * goes wrong: delta debugging. Each attempt begins in a world of its own. What
 * goes wrong may change on the way.
 */
#include <linux/slab.h>

#include "fake_zone_device_migrate.h"
#include "thp_random.h"

/* A kernel that is broken enough may make each attempt slow. */
#define MAX_ATTEMPTS	400

/**
 * struct shrinking - a sequence on its way to a shorter one
 * @test: the test
 * @best: the shortest sequence so far that goes wrong
 * @trial: the next one to try
 * @attempt: what went wrong with @best
 * @scratch: what came of @trial
 * @attempts: attempts made
 * @sabotage: see thp_sequence_try()
 * @arg: its argument
 */
struct shrinking {
	struct kunit *test;
	struct thp_sequence *best;
	struct thp_sequence *trial;
	struct thp_attempt *attempt;
	struct thp_attempt scratch;
	unsigned int attempts;
	thp_sabotage_t sabotage;
	void *arg;
};

/* Does @trial go wrong, too? Then it is the best one, up to where it goes wrong. */
static bool is_better(struct shrinking *s)
{
	if (s->attempts++ >= MAX_ATTEMPTS)
		return false;
	thp_sequence_try(s->test, s->trial->steps, s->trial->nr, &s->scratch, s->sabotage, s->arg);
	if (!s->scratch.failed)
		return false;
	s->trial->nr = s->scratch.nr_taken;
	*s->best = *s->trial;
	*s->attempt = s->scratch;
	return true;
}

/* The best sequence without @nr steps from @first on */
static void leave_out(struct shrinking *s, unsigned int first, unsigned int nr)
{
	unsigned int i;

	s->trial->nr = 0;
	for (i = 0; i < s->best->nr; i++)
		if (i - first >= nr)
			s->trial->steps[s->trial->nr++] = s->best->steps[i];
}

/* Leave out halves, quarters and so on, down to single steps, until none can be. */
static void leave_out_what_can_be(struct shrinking *s)
{
	unsigned int nr = s->best->nr / 2;

	while (nr) {
		unsigned int first = 0;
		bool shorter = false;

		while (first < s->best->nr && s->best->nr > 1) {
			leave_out(s, first, min(nr, s->best->nr - first));
			if (is_better(s))
				shorter = true;
			else
				first += nr;
		}
		if (!shorter || nr > 1)
			nr /= 2;
	}
}

/* Make step @i simpler in the way that has number @how. Return: false if it is already. */
static bool simplify(struct thp_step *step, unsigned int how)
{
	const struct thp_step old = *step;

	switch (how) {
	case 0:
		step->fail = 0;
		step->nth = 0;
		break;
	case 1:
		step->policy = FAKE_ZDEV_DST_AS_SOURCE;
		break;
	case 2:
		step->first = round_down(step->first, HPAGE_PMD_NR);
		step->nr = HPAGE_PMD_NR;
		break;
	case 3:
		step->nr = 1;
		break;
	case 4:
		step->mm = 0;
		break;
	}
	return memcmp(&old, step, sizeof(old));
}

static void simplify_what_can_be(struct shrinking *s)
{
	unsigned int i, how;

	for (i = 0; i < s->best->nr; i++) {
		for (how = 0; how < 5; how++) {
			*s->trial = *s->best;
			/* A single page is simpler than a whole PMD, not the other way. */
			if (how == 2 && s->best->steps[i].nr == 1)
				continue;
			if (i < s->trial->nr && simplify(&s->trial->steps[i], how))
				is_better(s);
		}
	}
}

/**
 * thp_sequence_shrink() - make a sequence as short as can be
 * @test: the test
 * @seq: sequence that goes wrong; replaced by a shorter one that does
 * @attempt: what went wrong; replaced by what goes wrong with the shorter one
 * @sabotage: as it was when @seq went wrong
 * @arg: its argument
 *
 * If @seq does not go wrong when it is taken again, it stays as it is.
 *
 * Context: the thread of the test, which has no mm
 * Return: number of attempts that it took; 0 if @seq goes wrong only sometimes.
 */
unsigned int thp_sequence_shrink(struct kunit *test, struct thp_sequence *seq,
				 struct thp_attempt *attempt, thp_sabotage_t sabotage,
				 void *arg)
{
	struct shrinking s = {
		.test = test, .best = seq, .attempt = attempt,
		.sabotage = sabotage, .arg = arg,
	};
	unsigned int nr;

	s.trial = kunit_kzalloc(test, sizeof(*s.trial), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, s.trial);
	*s.trial = *seq;
	if (!is_better(&s))
		return 0;
	do {
		nr = seq->nr;
		leave_out_what_can_be(&s);
		simplify_what_can_be(&s);
	} while (seq->nr < nr);
	return s.attempts;
}
