// SPDX-License-Identifier: GPL-2.0-only
/*
 * The third one.
 */
#include "thp_helper.h"

static int use(void)
{
	return inlined();
}
