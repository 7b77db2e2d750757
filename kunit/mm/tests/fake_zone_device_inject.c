// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: failures on request. The device asks before each decision, and
 * every decision is counted, so that a test can first count the decisions of a
 * scenario and then make each of them fail in turn.
 */
#include "fake_zone_device_internal.h"

/*
 * Count a decision at @point.
 *
 * Return: whether it is to fail.
 */
bool fake_zdev_decide(struct fake_zdev *zdev, enum fake_zdev_point point)
{
	struct fake_zdev_decider *d = &zdev->deciders[point];
	bool fails;

	guard(raw_spinlock_irqsave)(&zdev->lock);
	d->decisions++;
	fails = d->fail_at && (d->and_on ? d->decisions >= d->fail_at :
					   d->decisions == d->fail_at);
	d->failures += fails;
	return fails;
}

static void fake_zdev_set_failure(struct fake_zdev *zdev, enum fake_zdev_point point,
				  unsigned long nth, bool and_on)
{
	struct fake_zdev_decider *d = &zdev->deciders[point];

	guard(raw_spinlock_irqsave)(&zdev->lock);
	d->fail_at = nth ? d->decisions + nth : 0;
	d->and_on = and_on;
}

/**
 * fake_zdev_fail_nth() - make one decision of a device fail
 * @zdev: device
 * @point: kind of decision
 * @nth: which one from now on fails, 1: the next; 0: none
 *
 * Takes the place of an earlier request at the same point.
 *
 * Context: any
 */
void fake_zdev_fail_nth(struct fake_zdev *zdev, enum fake_zdev_point point,
			unsigned long nth)
{
	fake_zdev_set_failure(zdev, point, nth, false);
}

/**
 * fake_zdev_fail_from() - make a decision of a device and all later ones fail
 * @zdev: device
 * @point: kind of decision
 * @nth: the first to fail from now on, 1: the next; 0: none
 *
 * Takes the place of an earlier request at the same point.
 *
 * Context: any
 */
void fake_zdev_fail_from(struct fake_zdev *zdev, enum fake_zdev_point point,
			 unsigned long nth)
{
	fake_zdev_set_failure(zdev, point, nth, true);
}

/**
 * fake_zdev_decisions() - number of decisions so far
 * @zdev: device
 * @point: kind of decision
 *
 * Context: any
 * Return: how often @zdev has come to a decision at @point since it was
 * created, whatever was decided.
 */
unsigned long fake_zdev_decisions(struct fake_zdev *zdev, enum fake_zdev_point point)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return zdev->deciders[point].decisions;
}

/**
 * fake_zdev_failures() - number of failures that were injected so far
 * @zdev: device
 * @point: kind of decision
 *
 * Context: any
 * Return: how many decisions at @point failed on request.
 */
unsigned long fake_zdev_failures(struct fake_zdev *zdev, enum fake_zdev_point point)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return zdev->deciders[point].failures;
}
