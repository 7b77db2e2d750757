// SPDX-License-Identifier: GPL-2.0
/*
 * Threads of one mm write to a THP while its mapping changes under them. Each
 * thread owns one word of every page and counts in it; in the end every count
 * must be exact. A thread that keeps writing through a mapping which is gone
 * loses counts.
 */
#include "thp_check.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define NR_THREADS	3
/* Rounds of the mapping's changes; the threads count all the time. */
#define NR_ROUNDS	60
/* glibc's default stacks are large enough to get THPs of their own. */
#define STACK_SIZE	(64 * 1024)

static struct {
	char *p;
	bool stop;
	pthread_barrier_t start;
} shared;

struct counter {
	pthread_t thread;
	unsigned int index;
	/* What each page's word must hold in the end. */
	uint64_t count[HPAGE_NR];
	uint64_t lost;
	/* Stores so far; the main thread reads it. */
	uint64_t progress;
};

static uint64_t *slot(const struct counter *c, size_t page)
{
	return (uint64_t *)(shared.p + page * PAGE_SIZE) + 1 + c->index;
}

static void *count_up(void *arg)
{
	struct counter *c = arg;
	size_t page = c->index * 97;

	pthread_barrier_wait(&shared.start);
	while (!__atomic_load_n(&shared.stop, __ATOMIC_RELAXED)) {
		volatile uint64_t *word = slot(c, page);

		/* A plain load and store: nobody else writes this word. */
		c->lost += *word != c->count[page];
		*word = ++c->count[page];
		__atomic_fetch_add(&c->progress, 1, __ATOMIC_RELAXED);
		page = (page + 31) % HPAGE_NR;
	}
	return NULL;
}

static void start_threads(struct counter *counters)
{
	pthread_attr_t attr;
	unsigned int i;

	ASSERT(!pthread_attr_init(&attr));
	ASSERT(!pthread_attr_setstacksize(&attr, STACK_SIZE));
	ASSERT(!pthread_barrier_init(&shared.start, NULL, NR_THREADS + 1));
	shared.stop = false;
	for (i = 0; i < NR_THREADS; i++) {
		memset(&counters[i], 0, sizeof(counters[i]));
		counters[i].index = i;
		ASSERT(!pthread_create(&counters[i].thread, &attr, count_up,
				       &counters[i]));
	}
	pthread_barrier_wait(&shared.start);
}

static void stop_threads(struct counter *counters)
{
	unsigned int i;
	size_t page;

	__atomic_store_n(&shared.stop, true, __ATOMIC_RELAXED);
	for (i = 0; i < NR_THREADS; i++)
		ASSERT(!pthread_join(counters[i].thread, NULL));
	for (i = 0; i < NR_THREADS; i++) {
		uint64_t total = 0, wrong = 0;

		for (page = 0; page < HPAGE_NR; page++) {
			total += counters[i].count[page];
			wrong += *slot(&counters[i], page) !=
				 counters[i].count[page];
		}
		step("thread %u", i);
		ASSERT(total);
		EXPECT_EQ(0, counters[i].lost);
		EXPECT_EQ(0, wrong);
	}
}

/* Every round meets threads that are at work: each has stored since the last. */
static void await_progress(struct counter *counters)
{
	static uint64_t seen[NR_THREADS];
	unsigned int i;

	for (i = 0; i < NR_THREADS; i++) {
		uint64_t now;

		do {
			sched_yield();
			now = __atomic_load_n(&counters[i].progress, __ATOMIC_RELAXED);
		} while (now == seen[i]);
		seen[i] = now;
	}
}

static void run_rounds(void (*change)(unsigned int round))
{
	static struct counter counters[NR_THREADS];
	unsigned int round;

	shared.p = region_new(HPAGE_SIZE);
	memset(shared.p, 0, HPAGE_SIZE);
	ASSERT(ANON_HUGE_KB(shared.p, HPAGE_SIZE) == HPAGE_KB);
	start_threads(counters);
	for (round = 0; round < NR_ROUNDS; round++) {
		await_progress(counters);
		change(round);
	}
	stop_threads(counters);
}

/*
 * A page that a thread has just copied has one reference more until its CPU's
 * LRU batch is drained: EAGAIN. It ends when all pages have been copied, and
 * the check's time limit is there should it not.
 */
static void collapse_while_written(void)
{
	while (madvise(shared.p, HPAGE_SIZE, MADV_COLLAPSE))
		ASSERT(errno == EAGAIN);
}

/* A leaf becomes PTEs, the PTEs a leaf on another folio. */
static void split_and_collapse(unsigned int round)
{
	char *page = shared.p + (round * 37 % HPAGE_NR) * PAGE_SIZE;

	/* PROT_EXEC is a change that never makes a counter fault for good. */
	ASSERT(!mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC));
	ASSERT(!mprotect(page, PAGE_SIZE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, ANON_HUGE_KB(shared.p, HPAGE_SIZE));
	collapse_while_written();
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(shared.p, HPAGE_SIZE));
}

static void threads_write_during_split_and_collapse(void)
{
	run_rounds(split_and_collapse);
}

static void child_reads_all(char *p)
{
	volatile char byte = *p;

	(void)byte;
}

/* fork() makes the leaf read-only for threads that are writing to it. */
static void fork_and_collapse(unsigned int round)
{
	(void)round;
	in_child(child_reads_all, shared.p);
	collapse_while_written();
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(shared.p, HPAGE_SIZE));
}

static void threads_write_during_fork(void)
{
	run_rounds(fork_and_collapse);
}

/* The child's copy must not change, whatever the parent's threads write. */
static void child_watches(char *p)
{
	uint64_t sum[2] = { 0, 0 };
	unsigned int pass, i;
	size_t page;

	for (pass = 0; pass < 2; pass++) {
		for (page = 0; page < HPAGE_NR; page++)
			for (i = 0; i < NR_THREADS; i++)
				sum[pass] += *((volatile uint64_t *)
					       (p + page * PAGE_SIZE) + 1 + i);
		peer_yield();
	}
	EXPECT_EQ(sum[0], sum[1]);
}

static void fork_and_watch(unsigned int round)
{
	(void)round;
	peer_start(child_watches, shared.p);
	ASSERT(!madvise(shared.p, PAGE_SIZE, MADV_POPULATE_WRITE));
	peer_step();
	peer_end();
	collapse_while_written();
}

static void threads_write_while_a_child_watches(void)
{
	run_rounds(fork_and_watch);
}

/*
 * What a thread writes to a page between its unmapping and its copy to the
 * device must be in the copy, and what it writes later must bring it back.
 */
static void swap_out(unsigned int round)
{
	(void)round;
	ASSERT(!madvise(shared.p, HPAGE_SIZE, MADV_PAGEOUT));
}

static void threads_write_during_swap(void)
{
	long before = vmstat("pswpout");

	swap_on();
	run_rounds(swap_out);
	/* That pages were really written out, and more than once. */
	ASSERT(vmstat("pswpout") > before + (long)HPAGE_NR);
	ASSERT(!munmap(shared.p, HPAGE_SIZE));
	swap_off();
}

/* Every thread touches the same untouched 2 MiB at the same moment. */
static void *touch_first(void *arg)
{
	struct counter *c = arg;

	pthread_barrier_wait(&shared.start);
	*slot(c, c->index) = c->index + 1;
	return NULL;
}

static void threads_fault_the_same_thp(void)
{
	static struct counter counters[NR_THREADS];
	unsigned int round, i;
	pthread_attr_t attr;

	ASSERT(!pthread_attr_init(&attr));
	ASSERT(!pthread_attr_setstacksize(&attr, STACK_SIZE));
	ASSERT(!pthread_barrier_init(&shared.start, NULL, NR_THREADS));
	for (round = 0; round < NR_ROUNDS; round++) {
		step("round %u", round);
		shared.p = region_new(HPAGE_SIZE);
		for (i = 0; i < NR_THREADS; i++) {
			counters[i].index = i;
			ASSERT(!pthread_create(&counters[i].thread, &attr,
					       touch_first, &counters[i]));
		}
		for (i = 0; i < NR_THREADS; i++)
			ASSERT(!pthread_join(counters[i].thread, NULL));
		EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(shared.p, HPAGE_SIZE));
		for (i = 0; i < NR_THREADS; i++)
			EXPECT_EQ(i + 1, *slot(&counters[i], i));
		EXPECT_EQ(NR_THREADS, nonzero_words(shared.p, HPAGE_SIZE));
		region_free(shared.p, HPAGE_SIZE);
	}
}

const struct check thread_checks[] = {
	CHECK(threads_write_during_split_and_collapse),
	CHECK(threads_write_during_fork),
	CHECK(threads_write_while_a_child_watches),
	CHECK(threads_write_during_swap),
	CHECK(threads_fault_the_same_thp),
	{}
};
