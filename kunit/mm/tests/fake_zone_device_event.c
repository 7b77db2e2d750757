// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: the event log. All of its memory is allocated beforehand, since
 * callbacks may neither sleep nor fail. An event that finds it full is counted,
 * and fails the test when the pool is checked or the device goes away.
 */
#include <linux/irqflags.h>
#include <linux/slab.h>

#include "fake_zone_device_internal.h"

static atomic_long_t fake_zdev_event_seq;

/* Memory of a log */
struct fake_zdev_log {
	unsigned long capacity;
	struct fake_zdev_event events[];
};

/*
 * Logs of devices that have gone away, for the next ones: a log has hundreds of
 * pages, and in UML to map and to unmap them takes longer than most tests do.
 */
static struct fake_zdev_log *fake_zdev_spare_logs[2];

static struct fake_zdev_log *fake_zdev_take_spare_log(unsigned long capacity)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fake_zdev_spare_logs); i++) {
		struct fake_zdev_log *log = xchg(&fake_zdev_spare_logs[i], NULL);

		if (log && log->capacity == capacity)
			return log;
		kvfree(log);
	}
	return NULL;
}

int fake_zdev_log_init(struct fake_zdev *zdev, unsigned long capacity)
{
	struct fake_zdev_log *log = fake_zdev_take_spare_log(capacity);

	if (!log)
		log = kvmalloc(struct_size(log, events, capacity), GFP_KERNEL);
	if (!log)
		return -ENOMEM;
	log->capacity = capacity;
	zdev->events = log->events;
	zdev->params.nr_events = capacity;
	return 0;
}

void fake_zdev_log_destroy(struct fake_zdev *zdev)
{
	struct fake_zdev_log *log;
	unsigned int i;

	if (!zdev->events)
		return;
	log = container_of(zdev->events, struct fake_zdev_log, events[0]);
	zdev->events = NULL;
	for (i = 0; i < ARRAY_SIZE(fake_zdev_spare_logs) && log; i++)
		log = xchg(&fake_zdev_spare_logs[i], log);
	kvfree(log);
}

/*
 * Fill in @event with what @folio of @zdev is like now. @folio may be frozen,
 * and its pgmap may not be set yet, so nothing here may look at either.
 */
void fake_zdev_event_folio(struct fake_zdev_event *event, const struct fake_zdev *zdev,
			   enum fake_zdev_event_type type, const struct folio *folio)
{
	*event = (struct fake_zdev_event) {
		.type = type,
		.idx = fake_zdev_index(zdev, &folio->page),
		.order = folio_order(folio),
		.refcount = folio_ref_count(folio),
		.locked = folio_test_locked(folio),
		.mapping = READ_ONCE(folio->mapping),
		.tail_idx = FAKE_ZDEV_NO_PAGE,
		.irqs_disabled = irqs_disabled(),
	};
}

/* Append @event, then tell the hook. Context: any but NMI. */
void fake_zdev_log(struct fake_zdev *zdev, struct fake_zdev_event *event)
{
	fake_zdev_hook_t hook;
	void *arg;

	scoped_guard(raw_spinlock_irqsave, &zdev->lock) {
		event->seq = atomic_long_inc_return(&fake_zdev_event_seq);
		zdev->event_counts[event->type]++;
		if (zdev->nr_events < zdev->params.nr_events)
			zdev->events[zdev->nr_events++] = *event;
		else
			zdev->nr_lost_events++;
		hook = zdev->hook;
		arg = zdev->hook_arg;
	}
	if (hook)
		hook(zdev, event, arg);
}

/* Log an event that says nothing but the state of @folio */
void fake_zdev_log_folio(struct fake_zdev *zdev, enum fake_zdev_event_type type,
			 const struct folio *folio)
{
	struct fake_zdev_event event;

	fake_zdev_event_folio(&event, zdev, type, folio);
	fake_zdev_log(zdev, &event);
}

/**
 * fake_zdev_nr_events() - number of events in the log
 * @zdev: device
 *
 * Context: any
 * Return: number of events logged since the device was created, or since
 * fake_zdev_clear_events(), without those that were lost.
 */
unsigned long fake_zdev_nr_events(struct fake_zdev *zdev)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return zdev->nr_events;
}

/**
 * fake_zdev_event() - an event of the log
 * @zdev: device
 * @n: which one, from 0
 *
 * Context: any
 * Return: the event, or NULL if there are not so many. Valid until
 * fake_zdev_clear_events().
 */
const struct fake_zdev_event *fake_zdev_event(struct fake_zdev *zdev, unsigned long n)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return n < zdev->nr_events ? &zdev->events[n] : NULL;
}

/**
 * fake_zdev_nth_event() - an event of the log by type
 * @zdev: device
 * @type: type of event
 * @n: which one of that type, from 0
 *
 * Context: any; walks the log
 * Return: the event, or NULL if there are not so many. Valid until
 * fake_zdev_clear_events().
 */
const struct fake_zdev_event *fake_zdev_nth_event(struct fake_zdev *zdev,
						  enum fake_zdev_event_type type,
						  unsigned long n)
{
	unsigned long i;

	guard(raw_spinlock_irqsave)(&zdev->lock);
	for (i = 0; i < zdev->nr_events; i++)
		if (zdev->events[i].type == type && !n--)
			return &zdev->events[i];
	return NULL;
}

/**
 * fake_zdev_count() - number of events of a type
 * @zdev: device
 * @type: type of event
 *
 * Context: any
 * Return: number of events of @type since the device was created, or since
 * fake_zdev_clear_events(), including those that did not fit into the log.
 */
unsigned long fake_zdev_count(struct fake_zdev *zdev, enum fake_zdev_event_type type)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return zdev->event_counts[type];
}

/**
 * fake_zdev_nr_lost_events() - number of events that did not fit into the log
 * @zdev: device
 *
 * Context: any
 * Return: number of lost events. Unless it is 0 the test fails when the pool is
 * checked, and at the latest when the device goes away.
 */
unsigned long fake_zdev_nr_lost_events(struct fake_zdev *zdev)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	return zdev->nr_lost_events;
}

/**
 * fake_zdev_clear_events() - empty the log
 * @zdev: device
 *
 * Starts all counts of events anew, except for the number of lost ones: no
 * event may ever be lost.
 *
 * Context: any
 */
void fake_zdev_clear_events(struct fake_zdev *zdev)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	zdev->nr_events = 0;
	memset(zdev->event_counts, 0, sizeof(zdev->event_counts));
}

/**
 * fake_zdev_set_hook() - have a function called on each event
 * @zdev: device
 * @hook: function, or NULL for none
 * @arg: its last argument
 *
 * Lets a test do something, or look, at a moment that it could not reach
 * otherwise. See fake_zdev_hook_t for what @hook may do.
 *
 * Context: any
 */
void fake_zdev_set_hook(struct fake_zdev *zdev, fake_zdev_hook_t hook, void *arg)
{
	guard(raw_spinlock_irqsave)(&zdev->lock);
	zdev->hook = hook;
	zdev->hook_arg = arg;
}
