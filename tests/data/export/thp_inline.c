// SPDX-License-Identifier: GPL-2.0-only
#include "thp_helper.h"

int inline_helper(void)
{
	return 0;
}
