// SPDX-License-Identifier: GPL-2.0-only
/*
 * Says of a known bug of the kernel that it is still there, or that this tree
 * has it no more. Anything else than these two is a failure.
 *
 * The lines are read by the tool that judges the log; each id has a row in its
 * table, which says what the bug is.
 */
#include <linux/moduleparam.h>
#include <linux/string.h>

#include "thp_known_bug.h"

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX	"thp_known_bug."
static char *own_boot = "";
module_param(own_boot, charp, 0444);
MODULE_PARM_DESC(own_boot, "The bug whose case may bring this kernel down");

/**
 * thp_known_bug_present() - say that a known bug is still there
 * @test: the case that shows it; it has seen exactly what the bug does
 * @id: name of the bug in the table
 * @what: what was seen, and what should have been
 */
void thp_known_bug_present(struct kunit *test, const char *id, const char *what)
{
	kunit_info(test, "known bug %s: still there: %s\n", id, what);
}

/**
 * thp_known_bug_fixed() - say that this tree does not have a known bug any more
 * @test: the case; it has seen exactly what is right
 * @id: name of the bug in the table
 * @what: what was seen
 */
void thp_known_bug_fixed(struct kunit *test, const char *id, const char *what)
{
	kunit_info(test, "known bug %s: fixed in this tree: %s\n", id, what);
}

/**
 * thp_known_bug() - compare a value with the right and with the wrong one
 * @test: the case that shows the bug
 * @id: name of the bug in the table
 * @is: the value
 * @right: what it has to be; different from @bug
 * @bug: what it is in a kernel with the bug
 * @what: name of the value
 *
 * Fails the test if the value is neither: the bug has got worse, or it is not
 * this one.
 */
void thp_known_bug(struct kunit *test, const char *id, s64 is, s64 right, s64 bug,
		   const char *what)
{
	char text[128];

	if (is != right && is != bug) {
		KUNIT_FAIL(test, "known bug %s: %s is %lld, neither %lld (right) nor %lld (bug)",
			   id, what, is, right, bug);
		return;
	}
	if (is == right) {
		snprintf(text, sizeof(text), "%s is %lld", what, is);
		thp_known_bug_fixed(test, id, text);
		return;
	}
	snprintf(text, sizeof(text), "%s is %lld, should be %lld", what, is, right);
	thp_known_bug_present(test, id, text);
}

/**
 * thp_known_bug_own_boot() - skip the case unless this boot is for its bug
 * @test: the case; a kernel with the bug does not survive it
 * @id: name of the bug in the table
 *
 * Does not return if the case is skipped. Call it before anything is set up.
 */
void thp_known_bug_own_boot(struct kunit *test, const char *id)
{
	if (strcmp(own_boot, id))
		kunit_skip(test, "known bug %s: runs in a boot of its own", id);
}
