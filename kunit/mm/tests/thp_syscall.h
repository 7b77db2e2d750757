/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that the kernel has no other entry to, for the thread of a test.
 */
#ifndef _THP_SYSCALL_H
#define _THP_SYSCALL_H

#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/syscalls.h>

/*
 * Where system calls take struct pt_regs (CONFIG_ARCH_HAS_SYSCALL_WRAPPER), what
 * could be called has another name on each architecture. ARCH=um is not among
 * these; elsewhere the test is skipped.
 */
static inline long thp_mprotect(struct kunit *test, unsigned long start, size_t len,
				unsigned long prot)
{
#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	kunit_skip(test, "mprotect() can't be called here");
#else
	return sys_mprotect(start, len, prot);
#endif
}

static inline long thp_mlock2(struct kunit *test, unsigned long start, size_t len, int flags)
{
#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	kunit_skip(test, "mlock2() can't be called here");
#else
	return sys_mlock2(start, len, flags);
#endif
}

static inline long thp_munlock(struct kunit *test, unsigned long start, size_t len)
{
#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	kunit_skip(test, "munlock() can't be called here");
#else
	return sys_munlock(start, len);
#endif
}

static inline long thp_mincore(struct kunit *test, unsigned long start, size_t len,
			       unsigned char __user *vec)
{
#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	kunit_skip(test, "mincore() can't be called here");
#else
	return sys_mincore(start, len, vec);
#endif
}

static inline long thp_userfaultfd(struct kunit *test, int flags)
{
#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	kunit_skip(test, "userfaultfd() can't be called here");
#else
	return sys_userfaultfd(flags);
#endif
}

/* mremap() with all of its arguments */
static inline unsigned long thp_mremap_flags(struct kunit *test, unsigned long from,
					     size_t old_len, size_t new_len,
					     unsigned long flags, unsigned long to)
{
#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	kunit_skip(test, "mremap() can't be called here");
#else
	return sys_mremap(from, old_len, new_len, flags, to);
#endif
}

/* Move @len bytes from @from to @to, and return @to. */
static inline unsigned long thp_mremap(struct kunit *test, unsigned long from, size_t len,
				       unsigned long to)
{
#ifdef CONFIG_ARCH_HAS_SYSCALL_WRAPPER
	kunit_skip(test, "mremap() can't be called here");
#else
	return sys_mremap(from, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to);
#endif
}

#endif /* _THP_SYSCALL_H */
