// SPDX-License-Identifier: GPL-2.0
/*
 * thp-check [-v] [GLOB...]: run the checks whose name matches, all by default.
 * Runs as root in a guest of its own: it sets the system's THP policy, and its
 * counters are exact only while nothing else allocates THPs.
 */
#include "thp_check.h"

/* Every fault that can have a THP gets one; khugepaged stays out of the way. */
static void set_policy(void)
{
	write_file(THP_SYSFS "enabled", "always");
	write_file(THP_SYSFS "defrag", "always");
	write_file(THP_SYSFS "use_zero_page", "1");
	write_file(THP_SYSFS "hugepages-2048kB/enabled", "inherit");
	write_file(THP_SYSFS "khugepaged/defrag", "0");
	/* Never due, rather than slow: no check can meet it. */
	write_file(THP_SYSFS "khugepaged/scan_sleep_millisecs", "4294967295");
	write_file(THP_SYSFS "khugepaged/alloc_sleep_millisecs", "4294967295");
}

int main(int argc, char **argv)
{
	static const struct check *const groups[] = {
		touch_checks, fork_checks, mapping_checks, protect_checks,
		madvise_checks, split_checks, access_checks, swap_checks,
		thread_checks, NULL,
	};

	set_policy();
	return run_checks(groups, argc - 1, argv + 1);
}
