// SPDX-License-Identifier: GPL-2.0-only
/*
 * Children: copies of the mm under test, made the way fork() makes them, but
 * without a process. The thread of the test works in whichever mm it likes.
 */
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/sched/mm.h>

#include "../internal.h"
#include "thp_fixture.h"
#include "thp_mm.h"

static void put_child(void *mm)
{
	mmput(mm);
}

/**
 * thp_fixture_fork() - fork the mm of the fixture
 * @f: fixture; has fewer than THP_FIXTURE_MAX_CHILDREN children
 *
 * dup_mmap() is what copies VMAs and page tables in fork(); what dup_mm() and
 * copy_mm() (kernel/fork.c) do around it concerns processes. The invariants
 * count all children along from here on.
 *
 * Context: the thread of the test, mmap lock not held.
 * Return: the child, which lives until thp_fixture_end_child(), or the end of
 * the test.
 */
struct mm_struct *thp_fixture_fork(struct thp_fixture *f)
{
	struct mm_struct *child;

	KUNIT_ASSERT_LT(f->test, f->nr_children, THP_FIXTURE_MAX_CHILDREN);
	child = mm_alloc();
	KUNIT_ASSERT_NOT_NULL(f->test, child);
	KUNIT_ASSERT_EQ(f->test, 0, kunit_add_action_or_reset(f->test, put_child, child));
	thp_mm_hide(child);
	KUNIT_ASSERT_EQ(f->test, 0, dup_mmap(child, f->mm));
	f->children[f->nr_children++] = child;
	return child;
}

/**
 * thp_fixture_end_child() - let a child exit
 * @f: fixture
 * @child: one of its children; all that it maps is unmapped on return
 *
 * Context: process context, mmap lock not held, nobody works in @child.
 */
void thp_fixture_end_child(struct thp_fixture *f, struct mm_struct *child)
{
	unsigned int i;

	if (f->seen == child)
		f->seen = f->mm;
	for (i = 0; i < f->nr_children; i++)
		if (f->children[i] == child)
			f->children[i] = f->children[--f->nr_children];
	kunit_release_action(f->test, put_child, child);
}

/**
 * thp_fixture_look_at() - choose the mm that the ledger reads
 * @f: fixture
 * @mm: @f->mm or one of @f->children
 *
 * The leaves, deposits and RSS of the ledger are those of @mm from now on. The
 * folio is the same, and so are the counters of the kernel.
 */
void thp_fixture_look_at(struct thp_fixture *f, struct mm_struct *mm)
{
	f->seen = mm;
}

/**
 * thp_fixture_switch_mm() - let the thread of the test work in another mm
 * @f: fixture
 * @from: the mm that it works in
 * @to: the mm that it is to work in
 *
 * User addresses, page faults and system calls concern @to afterwards. A test
 * must return to @f->mm before it ends, or before it asserts.
 *
 * Context: the thread of the test.
 */
void thp_fixture_switch_mm(struct thp_fixture *f, struct mm_struct *from,
			   struct mm_struct *to)
{
	KUNIT_EXPECT_PTR_EQ(f->test, current->mm, from);
	kthread_unuse_mm(from);
	kthread_use_mm(to);
}
