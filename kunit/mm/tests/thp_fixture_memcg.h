/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Memory cgroups that count pages: the root does not.
 */
#ifndef _THP_FIXTURE_MEMCG_H
#define _THP_FIXTURE_MEMCG_H

#include "thp_fixture.h"

/**
 * enum thp_memcg - a memory cgroup below the root
 * @THP_MEMCG_USUAL: one for all purposes
 * @THP_MEMCG_NO_LIST: one in which nobody calls folio_memcg_alloc_deferred()
 */
enum thp_memcg {
	THP_MEMCG_USUAL,
	THP_MEMCG_NO_LIST,
};

int thp_memcg_enable(void);
void thp_memcg_disable(void);
int thp_memcg_suite_init(struct kunit_suite *suite);
void thp_memcg_suite_exit(struct kunit_suite *suite);
void thp_fixture_own_memcg(struct thp_fixture *f, enum thp_memcg which);
void thp_fixture_enter_memcg(struct thp_fixture *f, enum thp_memcg which);
void thp_fixture_leave_memcg(struct thp_fixture *f);
s64 thp_memcg_usage(const struct thp_fixture *f);
s64 thp_memcg_drained_usage(const struct thp_fixture *f);
s64 thp_memcg_charge_refs(struct folio *folio);
s64 thp_memcg_css_refs(const struct thp_fixture *f);

#endif /* _THP_FIXTURE_MEMCG_H */
