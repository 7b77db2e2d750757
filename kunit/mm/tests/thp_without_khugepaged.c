// SPDX-License-Identifier: GPL-2.0-only
/*
 * THPs for the suites, but no khugepaged: whether and when it finds the memory of
 * a test, and fills a hole in it with a THP, depends on how busy the machine is.
 *
 * Its thread is started at boot if THPs are on then (hugepage_init()), and when
 * somebody writes to their sysfs files, but not by this. So with
 * CONFIG_TRANSPARENT_HUGEPAGE_NEVER there is none. transparent_hugepage=always on the
 * command line brings it back.
 */
#include <linux/init.h>
#include <linux/mm.h>

static int __init allow_thps(void)
{
	set_bit(TRANSPARENT_HUGEPAGE_FLAG, &transparent_hugepage_flags);
	return 0;
}
late_initcall(allow_thps);
