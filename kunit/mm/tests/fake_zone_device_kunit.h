/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites of the fake device have in common: the orders as parameters,
 * marks in the memory of pages, and folios that pass for anonymous ones.
 */
#ifndef _FAKE_ZONE_DEVICE_KUNIT_H
#define _FAKE_ZONE_DEVICE_KUNIT_H

#include <linux/rmap.h>

#include "fake_zone_device_internal.h"

/* A case for each order that the pool knows: test->param_value points to it */
#define FAKE_ZDEV_CASE_ORDERS(test_name) \
	KUNIT_CASE_PARAM_WITH_INIT(test_name, kunit_array_gen_params, \
				   fake_zdev_init_orders, NULL)

/* A case for each row of an array that init_rows registers */
#define FAKE_ZDEV_CASE_ROWS(test_name, init_rows) \
	KUNIT_CASE_PARAM_WITH_INIT(test_name, kunit_array_gen_params, init_rows, NULL)

int fake_zdev_init_orders(struct kunit *test);

static inline unsigned int fake_zdev_order_of(const struct kunit *test)
{
	return *(const unsigned int *)test->param_value;
}

void fake_zdev_stamp(struct fake_zdev *zdev, struct folio *folio, unsigned long tag);
unsigned long fake_zdev_bad_stamps(struct fake_zdev *zdev, struct page *page,
				   unsigned long nr, unsigned long tag);
void fake_zdev_make_anon(struct folio *folio, pgoff_t index);

#endif /* _FAKE_ZONE_DEVICE_KUNIT_H */
