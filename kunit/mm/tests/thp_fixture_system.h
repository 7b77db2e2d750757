/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Large folios of system memory, anonymous and of shmem, in the states that
 * device-private folios can be in: the control group of the suites.
 */
#ifndef _THP_FIXTURE_SYSTEM_H
#define _THP_FIXTURE_SYSTEM_H

#include "thp_fixture.h"

/*
 * Anonymous memory that no page table knows, and that is on no LRU list. Such
 * memory in a page table comes from thp_fixture_touch().
 */
struct folio *thp_fixture_alloc_system(struct thp_fixture *f, unsigned int order);
void thp_fixture_put_system(struct thp_fixture *f);

/*
 * Memory of shmem
 */
struct folio *thp_fixture_touch_shmem(struct thp_fixture *f, unsigned int order);
void thp_fixture_zap_shmem(struct thp_fixture *f);

/*
 * The model of both
 */
void thp_want_present(const struct thp_fixture *f, struct thp_state *want,
		      unsigned int order, enum thp_where where);
void thp_want_shmem(const struct thp_fixture *f, struct thp_state *want,
		    unsigned int order, enum thp_where where);

#endif /* _THP_FIXTURE_SYSTEM_H */
