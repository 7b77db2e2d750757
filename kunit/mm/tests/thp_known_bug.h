/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Known bugs of the kernel: a case that shows one asserts the bug as exactly as
 * any other case asserts what is right, and says whether it is still there.
 */
#ifndef _THP_KNOWN_BUG_H
#define _THP_KNOWN_BUG_H

#include <kunit/test.h>

void thp_known_bug_present(struct kunit *test, const char *id, const char *what);
void thp_known_bug_fixed(struct kunit *test, const char *id, const char *what);
void thp_known_bug(struct kunit *test, const char *id, s64 is, s64 right, s64 bug,
		   const char *what);
void thp_known_bug_own_boot(struct kunit *test, const char *id);

#endif /* _THP_KNOWN_BUG_H */
