/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * PMDs of every kind that map, or stand for, a folio of HPAGE_PMD_ORDER, with
 * every combination of bits that an anonymous folio may have.
 */
#ifndef _THP_PMD_ENTRY_H
#define _THP_PMD_ENTRY_H

#include <linux/bits.h>

#include "thp_fixture.h"

/**
 * enum thp_entry - what the PMD, or each of the PTEs that are made of it, is
 * @THP_ENTRY_DEVICE: device-private entry
 * @THP_ENTRY_SYSTEM: maps system memory
 * @THP_ENTRY_MIG_DEVICE: migration entry for a folio of the device
 * @THP_ENTRY_MIG_SYSTEM: migration entry for a folio of system memory
 */
enum thp_entry {
	THP_ENTRY_DEVICE,
	THP_ENTRY_SYSTEM,
	THP_ENTRY_MIG_DEVICE,
	THP_ENTRY_MIG_SYSTEM,
};

/*
 * Bits of such an entry. Exclusive is PageAnonExclusive() of what is mapped, and
 * a kind of its own of a migration entry, see make_readable_exclusive_migration_
 * entry(); what is writable is exclusive. A device-private entry is neither
 * young nor dirty. Soft-dirty and uffd-wp, which entries of some architectures
 * have, are fields of the ledger, but ARCH=um has neither: there are no rows for
 * them.
 */
#define THP_W	BIT(0)	/* writable */
#define THP_X	BIT(1)	/* exclusive */
#define THP_Y	BIT(2)	/* young */
#define THP_D	BIT(3)	/* dirty */

/*
 * In tables, bits are written as in "wxyd", with a "-" in the place of each that
 * is not set.
 */
unsigned int thp_entry_bits(const char *bits);
void thp_entry_desc(char *desc, enum thp_entry entry, const char *bits);
struct folio *thp_entry_make(struct thp_fixture *f, enum thp_entry entry,
			     unsigned int bits);
struct folio *thp_entry_make_checked(struct thp_fixture *f, enum thp_entry entry,
				     const char *bits);
void thp_entry_hold(struct thp_fixture *f, struct folio *folio);
void thp_entry_let_go(struct thp_fixture *f, struct folio *folio);
void thp_entry_unmap(struct thp_fixture *f, struct folio *folio);
void thp_entry_remap(struct thp_fixture *f, struct folio *folio);
void thp_entry_set_bits(struct thp_fixture *f, unsigned int bits);
void thp_entry_end(struct thp_fixture *f, struct folio *folio);
void thp_entry_want(struct thp_fixture *f, struct thp_state *want, enum thp_entry entry,
		    unsigned int bits, bool by_pmd);

#endif /* _THP_PMD_ENTRY_H */
