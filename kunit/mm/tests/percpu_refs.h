/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The value of a percpu_ref that is in use: it has no such function, because it
 * needs that nobody changes it meanwhile.
 */
#ifndef _PERCPU_REFS_H
#define _PERCPU_REFS_H

#include <linux/percpu-refcount.h>

/**
 * percpu_refs() - references that somebody holds
 * @ref: reference count
 *
 * Context: any; exact if nobody takes or drops one meanwhile
 * Return: sum over all CPUs, without the initial reference; 0 once @ref is killed.
 */
static inline unsigned long percpu_refs(struct percpu_ref *ref)
{
	unsigned long __percpu *count;
	unsigned long refs = 0;
	int cpu;

	if (__ref_is_percpu(ref, &count))
		for_each_possible_cpu(cpu)
			refs += READ_ONCE(*per_cpu_ptr(count, cpu));
	return refs;
}

#endif /* _PERCPU_REFS_H */
