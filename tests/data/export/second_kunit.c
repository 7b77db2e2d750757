// SPDX-License-Identifier: GPL-2.0-only
/*
 * The second one; inline_helper() is only in this comment.
 */
#include "thp_helper.h"

static int use(void)
{
	return helped();
}
