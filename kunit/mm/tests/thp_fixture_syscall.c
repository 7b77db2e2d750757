// SPDX-License-Identifier: GPL-2.0-only
/*
 * Some of what user space can do, the rest of the kernel can't: swapon(2) has no
 * counterpart inside. Those system calls are called as they are, by a thread with
 * an mm to have their strings in, and with the root directory of init.
 */
#include <kunit/test.h>
#include <linux/completion.h>
#include <linux/err.h>
#include <linux/fs_struct.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/sched/mm.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "kunit_mm_compat.h"
#include "thp_fixture_syscall.h"
#include "thp_mm.h"

struct string_call {
	const char *string;
	int (*fn)(const char __user *string);
	int ret;
	struct completion done;
};

static int call(const struct string_call *call, void __user *to)
{
	if (copy_to_user(to, call->string, strlen(call->string) + 1))
		return -EFAULT;
	scoped_with_init_fs()
		return call->fn(to);
	return 0;
}

/* Nothing is mapped any more when it says that it is done. */
static int string_thread(void *context)
{
	struct string_call *c = context;
	struct mm_struct *mm = thp_mm_new();
	unsigned long addr;

	if (mm) {
		kthread_use_mm(mm);
		addr = vm_mmap(NULL, 0, PAGE_SIZE, PROT_READ | PROT_WRITE,
			       MAP_ANONYMOUS | MAP_PRIVATE, 0);
		c->ret = IS_ERR_VALUE(addr) ? (int)addr : call(c, (void __user *)addr);
		kthread_unuse_mm(mm);
		mmput(mm);
	} else {
		c->ret = -ENOMEM;
	}
	complete(&c->done);
	return 0;
}

/**
 * thp_call_with_string() - call a function with a string in user memory
 * @string: the string, shorter than a page
 * @fn: makes system calls with it
 *
 * Context: process context; @fn runs in a thread of its own, as root
 * Return: what @fn returns, or a negative error.
 */
int thp_call_with_string(const char *string, int (*fn)(const char __user *string))
{
	struct string_call call = {
		.string = string,
		.fn = fn,
		.done = COMPLETION_INITIALIZER_ONSTACK(call.done),
	};
	struct task_struct *task = kthread_run(string_thread, &call, "thp_syscall");

	if (IS_ERR(task))
		return PTR_ERR(task);
	wait_for_completion(&call.done);
	return call.ret;
}
