// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: MMU notifiers that write what they are told into the event log.
 */
#include <linux/mmu_notifier.h>
#include <linux/sched/mm.h>
#include <linux/slab.h>

#include "fake_zone_device_internal.h"

struct fake_zdev_watcher {
	struct mmu_interval_notifier notifier;
	struct fake_zdev *zdev;
};

static bool fake_zdev_invalidate(struct mmu_interval_notifier *notifier,
				 const struct mmu_notifier_range *range,
				 unsigned long cur_seq)
{
	struct fake_zdev_watcher *w =
		container_of(notifier, struct fake_zdev_watcher, notifier);
	struct fake_zdev_event event = {
		.type = FAKE_ZDEV_INVALIDATE,
		.idx = FAKE_ZDEV_NO_PAGE,
		.tail_idx = FAKE_ZDEV_NO_PAGE,
		.irqs_disabled = irqs_disabled(),
		.addr = range->start,
		.end = range->end,
		.notify = range->event,
		.notify_owner = range->owner,
	};

	/* Nothing is cached, so there are no readers to lock against. */
	mmu_interval_set_seq(notifier, cur_seq);
	fake_zdev_log(w->zdev, &event);
	return true;
}

static const struct mmu_interval_notifier_ops fake_zdev_watcher_ops = {
	.invalidate = fake_zdev_invalidate,
};

static void fake_zdev_unwatch(void *ptr)
{
	struct fake_zdev_watcher *w = ptr;

	mmu_interval_notifier_remove(&w->notifier);
	kfree(w);
}

/**
 * fake_zdev_watch() - log the MMU notifications for a range
 * @test: test, which ends the watch; fails if there is no memory
 * @zdev: device whose log the FAKE_ZDEV_INVALIDATE events go to
 * @mm: address space
 * @start: first address
 * @end: end of the range
 *
 * As drivers do with mmu_interval_notifier_insert(). The end of @mm is an event
 * (MMU_NOTIFY_RELEASE), too.
 *
 * Context: process context, mmap lock of @mm not held
 */
void fake_zdev_watch(struct kunit *test, struct fake_zdev *zdev, struct mm_struct *mm,
		     unsigned long start, unsigned long end)
{
	struct fake_zdev_watcher *w = kzalloc_obj(*w);
	int ret;

	KUNIT_ASSERT_NOT_NULL(test, w);
	w->zdev = zdev;
	ret = mmu_interval_notifier_insert(&w->notifier, mm, start, end - start,
					   &fake_zdev_watcher_ops);
	if (ret)
		kfree(w);
	KUNIT_ASSERT_EQ_MSG(test, ret, 0, "mmu_interval_notifier_insert()");
	ret = kunit_add_action_or_reset(test, fake_zdev_unwatch, w);
	KUNIT_ASSERT_EQ(test, ret, 0);
}
