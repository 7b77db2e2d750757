// SPDX-License-Identifier: GPL-2.0-only
#include "thp_fixture.h"

int thp_fixture_init(void)
{
	return 0;
}
