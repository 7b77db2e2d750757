/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A swap area on a RAM disk, for suites that need the swap cache.
 */
#ifndef _THP_FIXTURE_SWAP_H
#define _THP_FIXTURE_SWAP_H

#include "thp_fixture.h"

int thp_swap_on(void);
void thp_swap_off(void);
void thp_fixture_add_to_swap(struct thp_fixture *f, struct folio *folio);
void thp_fixture_del_from_swap(struct thp_fixture *f);
unsigned long thp_swap_strays(const struct thp_fixture *f);

#endif /* _THP_FIXTURE_SWAP_H */
