// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lets the n-th allocation of the thread of a test fail, whether it is one of
 * pages or of slab memory, and wherever in the kernel it is.
 *
 * Of what may sleep, and of single pages, fault injection lets nothing fail
 * unless it is told so in debugfs. The files of debugfs there are variables.
 */
#include <linux/debugfs.h>
#include <linux/dcache.h>
#include <linux/sched.h>

#include "../slab.h"
#include "thp_fail_alloc.h"

#if defined(CONFIG_FAILSLAB) && defined(CONFIG_FAIL_PAGE_ALLOC) && \
	defined(CONFIG_FAULT_INJECTION_DEBUG_FS)

/* A file in debugfs, and what it is to be while the test runs: 0 */
struct knob {
	const char *dir;
	const char *file;
	size_t size;
	void *variable;
	u64 old;
};

enum {
	KNOB_CACHE_FILTER,
	KNOB_MIN_ORDER,
};

static struct knob knobs[] = {
	[KNOB_CACHE_FILTER] = { "failslab", "cache-filter", sizeof(bool) },
	[KNOB_MIN_ORDER] = { "fail_page_alloc", "min-order", sizeof(u32) },
	{ "failslab",		"ignore-gfp-wait",	sizeof(bool) },
	{ "failslab",		"verbose",		sizeof(long) },
	{ "fail_page_alloc",	"ignore-gfp-wait",	sizeof(bool) },
	{ "fail_page_alloc",	"ignore-gfp-highmem",	sizeof(bool) },
	{ "fail_page_alloc",	"verbose",		sizeof(long) },
};

/* The variable behind a file: debugfs_create_bool() and others keep its address there. */
static void *variable_of(struct kunit *test, const struct knob *knob)
{
	struct dentry *dir = debugfs_lookup(knob->dir, NULL);
	struct dentry *file;
	void *variable;

	KUNIT_ASSERT_NOT_NULL_MSG(test, dir, "debugfs: %s", knob->dir);
	file = debugfs_lookup(knob->file, dir);
	dput(dir);
	KUNIT_ASSERT_NOT_NULL_MSG(test, file, "debugfs: %s/%s", knob->dir, knob->file);
	variable = d_inode(file)->i_private;
	dput(file);
	return variable;
}

static void restore_knobs(void *unused)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		memcpy(knobs[i].variable, &knobs[i].old, knobs[i].size);
}

/**
 * thp_fail_alloc_enable() - let every allocation be one that can fail
 * @test: the test, at whose end that is over. It is skipped without the options.
 */
void thp_fail_alloc_enable(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		knobs[i].variable = variable_of(test, &knobs[i]);
		memcpy(&knobs[i].old, knobs[i].variable, knobs[i].size);
	}
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, restore_knobs, NULL));
	for (i = 0; i < ARRAY_SIZE(knobs); i++)
		memset(knobs[i].variable, 0, knobs[i].size);
}

static void unmark_cache(void *cache)
{
	struct kmem_cache *s = cache;

	WRITE_ONCE(s->flags, s->flags & ~SLAB_FAILSLAB);
}

/**
 * thp_fail_alloc_enable_cache() - let every allocation of one cache be one that can fail
 * @test: the test, at whose end that is over. It is skipped without the options.
 * @cache: the cache
 *
 * Whatever else is allocated meanwhile, pages for the cache among it, does not count:
 * how much that is depends on what the cache has in stock, and on who watches it (KASAN,
 * kmemleak).
 */
void thp_fail_alloc_enable_cache(struct kunit *test, struct kmem_cache *cache)
{
	thp_fail_alloc_enable(test);
	WRITE_ONCE(cache->flags, cache->flags | SLAB_FAILSLAB);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, unmark_cache, cache));
	*(bool *)knobs[KNOB_CACHE_FILTER].variable = true;
	*(u32 *)knobs[KNOB_MIN_ORDER].variable = U32_MAX;
}

/**
 * thp_fail_alloc_nth() - let one allocation of the current thread fail
 * @nth: which one from now on, 1: the next
 *
 * Those with __GFP_NOFAIL do not count.
 *
 * Context: process context, after thp_fail_alloc_enable()
 */
void thp_fail_alloc_nth(unsigned int nth)
{
	WRITE_ONCE(current->fail_nth, nth);
}

/**
 * thp_fail_alloc_stop() - let no allocation fail any more
 *
 * Context: process context, after thp_fail_alloc_nth()
 * Return: whether one has failed.
 */
bool thp_fail_alloc_stop(void)
{
	const bool failed = !READ_ONCE(current->fail_nth);

	WRITE_ONCE(current->fail_nth, 0);
	return failed;
}

#else

void thp_fail_alloc_enable(struct kunit *test)
{
	kunit_skip(test,
		   "needs CONFIG_FAILSLAB, FAIL_PAGE_ALLOC and FAULT_INJECTION_DEBUG_FS");
}

void thp_fail_alloc_enable_cache(struct kunit *test, struct kmem_cache *cache)
{
	thp_fail_alloc_enable(test);
}

void thp_fail_alloc_nth(unsigned int nth)
{
}

bool thp_fail_alloc_stop(void)
{
	return false;
}

#endif
