/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Allocations of the kernel that fail on request: fault injection, as
 * /proc/PID/fail-nth does it, for the thread of a test.
 */
#ifndef _THP_FAIL_ALLOC_H
#define _THP_FAIL_ALLOC_H

#include <kunit/test.h>

struct kmem_cache;

void thp_fail_alloc_enable(struct kunit *test);
void thp_fail_alloc_enable_cache(struct kunit *test, struct kmem_cache *cache);
void thp_fail_alloc_nth(unsigned int nth);
bool thp_fail_alloc_stop(void);

#endif /* _THP_FAIL_ALLOC_H */
