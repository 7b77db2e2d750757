// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device itself.
 */
#include "fake_zone_device.h"
