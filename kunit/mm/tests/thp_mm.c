// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces of tests.
 *
 * kunit_attach_mm() gives a test one, too, but nobody ever drops the reference that
 * kthread_use_mm() takes: after a few thousand tests, that many are left.
 */
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>

#include "thp_mm.h"

/**
 * thp_mm_hide() - keep khugepaged from an address space
 * @mm: address space that nothing is mapped in yet
 *
 * Whether it finds the memory of a test depends on how busy the machine is. There
 * may be one: every write to one of the sysfs files for THPs starts its thread
 * (start_stop_khugepaged()), and that is how shmem gets large folios. An mm with
 * this flag is taken for one that khugepaged has in its list
 * (__khugepaged_enter()), and one that isn't in the list is never looked at.
 */
void thp_mm_hide(struct mm_struct *mm)
{
	mm_flags_set(MMF_VM_HUGEPAGE, mm);
}

/**
 * thp_mm_new() - make an address space
 *
 * Context: process context
 * Return: an empty mm with one user, or NULL.
 */
struct mm_struct *thp_mm_new(void)
{
	struct mm_struct *mm = mm_alloc();

	if (!mm)
		return NULL;
	thp_mm_hide(mm);
	mm->task_size = TASK_SIZE;
	arch_pick_mmap_layout(mm, &current->signal->rlim[RLIMIT_STACK]);
	return mm;
}

KUNIT_DEFINE_ACTION_WRAPPER(drop_mm, mmdrop, struct mm_struct *);

/**
 * thp_mm_attach() - let the thread of a test work in an address space of its own
 * @test: the test; fails if there is no memory
 *
 * For the rest of the test; kunit_vm_mmap() uses it. The thread is the one user of
 * it, which exit_mm() drops. What kthread_use_mm() took is dropped when the test
 * ends; that may be before.
 *
 * Context: the thread of the test, which has no mm yet
 */
void thp_mm_attach(struct kunit *test)
{
	struct mm_struct *mm = thp_mm_new();

	KUNIT_ASSERT_NOT_NULL(test, mm);
	kthread_use_mm(mm);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, drop_mm, mm), 0);
}
