// SPDX-License-Identifier: GPL-2.0-only
#include "fake_zone_device.h"

int fake_zdev_create(void)
{
	return 0;
}
