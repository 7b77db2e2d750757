/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * System calls that take a string, for what the kernel has no other way to do.
 */
#ifndef _THP_FIXTURE_SYSCALL_H
#define _THP_FIXTURE_SYSCALL_H

#include <linux/compiler_types.h>

int thp_call_with_string(const char *string, int (*fn)(const char __user *string));

#endif /* _THP_FIXTURE_SYSCALL_H */
