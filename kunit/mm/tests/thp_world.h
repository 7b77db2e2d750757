/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A world to take steps in: an address space, two devices, and the model of what
 * must come of it. Nothing here fails a test; who takes a step is told what is
 * wrong, so that a sequence can be tried again in another world.
 */
#ifndef _THP_WORLD_H
#define _THP_WORLD_H

#include "thp_fixture.h"
#include "thp_memory.h"

#define THP_WORLD_WHY	160

/**
 * struct thp_world - an address space, perhaps a child of it, and two devices
 * @test: the test
 * @f: for the ledger: the same, as a fixture
 * @mms: the address spaces; mms[1] is NULL if there is no child
 * @base: address of page 0
 * @m: the model
 * @sabotage: for tests of the tests: called after each step with @sabotage_arg,
 *	to break something
 * @sabotage_arg: its argument
 * @steps: steps taken
 * @why: what was wrong first
 */
struct thp_world {
	struct kunit *test;
	struct thp_fixture f;
	struct mm_struct *mms[THP_MEMORY_MMS];
	unsigned long base;
	struct thp_memory m;
	void (*sabotage)(struct thp_world *w, const struct thp_step *step, void *arg);
	void *sabotage_arg;
	unsigned int steps;
	char why[THP_WORLD_WHY];
};

struct thp_world *thp_world_begin(struct kunit *test);
bool thp_world_step(struct thp_world *w, const struct thp_step *step);
bool thp_world_end(struct thp_world *w, char *why);

/* thp_world_check.c */
bool thp_world_check(struct thp_world *w);
u64 thp_world_word(u32 version, unsigned int which);
unsigned int thp_world_offset(unsigned int which);
__printf(2, 3) bool thp_world_wrong(struct thp_world *w, const char *fmt, ...);

/* Words of a page that steps write to and look at */
#define THP_WORLD_WORDS	3

#endif /* _THP_WORLD_H */
