// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the first suite is about: it has a comment that is longer than a
 * line.
 *
 *	like this
 */
#include "thp_fixture.h"
#include "thp_helper.h"

static int use(void)
{
	return fake_zdev_create();
}
