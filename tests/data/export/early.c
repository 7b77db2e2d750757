// SPDX-License-Identifier: GPL-2.0-only
static int early(void)
{
	return 0;
}
late_initcall(early);
