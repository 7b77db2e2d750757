/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Address spaces of tests: thp_mm.c
 */
#ifndef _THP_MM_H
#define _THP_MM_H

#include <kunit/test.h>

void thp_mm_hide(struct mm_struct *mm);
struct mm_struct *thp_mm_new(void);
void thp_mm_attach(struct kunit *test);

#endif /* _THP_MM_H */
