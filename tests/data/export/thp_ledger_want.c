// SPDX-License-Identifier: GPL-2.0-only
#include "kunit_mm_compat.h"
#include "thp_ledger.h"

int thp_want(void)
{
	return NEW_NAME;
}
