/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the suites need to compile on every supported kernel: the names of the
 * newest one, given to older ones. Nothing else belongs here, and a block goes
 * away with the kernel it names.
 */
#ifndef _KUNIT_MM_COMPAT_H
#define _KUNIT_MM_COMPAT_H

#include <linux/fs_struct.h>
#include <linux/swap.h>
#include <linux/leafops.h>
#include <linux/pgtable.h>
#include <linux/swapops.h>

/* Until 7.2 the symbol, and the functions below, had their old names. */
#if defined(CONFIG_ARCH_ENABLE_THP_MIGRATION)

#define CONFIG_ARCH_HAS_PMD_SOFTLEAVES 1

static inline pmd_t softleaf_to_pmd(softleaf_t entry)
{
	return swp_entry_to_pmd(entry);
}

#define pte_uffd(pte)		pte_uffd_wp(pte)
#define pte_mkuffd(pte)		pte_mkuffd_wp(pte)
#define pte_swp_uffd(pte)	pte_swp_uffd_wp(pte)
#define pte_swp_mkuffd(pte)	pte_swp_mkuffd_wp(pte)
#define pmd_uffd(pmd)		pmd_uffd_wp(pmd)
#define pmd_mkuffd(pmd)		pmd_mkuffd_wp(pmd)
#define pmd_swp_uffd(pmd)	pmd_swp_uffd_wp(pmd)
#define pmd_swp_mkuffd(pmd)	pmd_swp_mkuffd_wp(pmd)

/* It took the head page. */
#define remove_migration_pmd(pvmw, folio) \
	((remove_migration_pmd)(pvmw, folio_page(folio, 0)))

/* A later one. Nothing stands for it; who asks first skips. */
#define KUNIT_MM_HAS_HMM_UNLOCKED	false

struct hmm_range;

static inline int hmm_range_fault_unlocked_timeout(struct hmm_range *range,
						   unsigned long timeout)
{
	return -EOPNOTSUPP;
}

#else

#define KUNIT_MM_HAS_HMM_UNLOCKED	true

#endif /* CONFIG_ARCH_ENABLE_THP_MIGRATION */

/* Until 7.2, kernel threads have the root directory of init. */
#ifndef scoped_with_init_fs
#define scoped_with_init_fs()
#endif

#endif /* _KUNIT_MM_COMPAT_H */
