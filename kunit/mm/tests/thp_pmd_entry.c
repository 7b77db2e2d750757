// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes PMDs of every kind, and says what the ledger must find of them.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/rmap.h>
#include <linux/swap.h>
#include <linux/swapops.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_pmd_entry.h"

static const char * const entry_names[] = {
	[THP_ENTRY_DEVICE]		= "device",
	[THP_ENTRY_SYSTEM]		= "system",
	[THP_ENTRY_MIG_DEVICE]	= "migration_device",
	[THP_ENTRY_MIG_SYSTEM]	= "migration_system",
};

static const char * const bits_names[] = {
	[0]				= "shared",
	[THP_Y]				= "shared_young",
	[THP_D]				= "shared_dirty",
	[THP_Y | THP_D]			= "shared_young_dirty",
	[THP_X]				= "exclusive",
	[THP_X | THP_Y]			= "exclusive_young",
	[THP_X | THP_D]			= "exclusive_dirty",
	[THP_X | THP_Y | THP_D]		= "exclusive_young_dirty",
	[THP_W | THP_X]			= "write",
	[THP_W | THP_X | THP_Y]		= "write_young",
	[THP_W | THP_X | THP_D]		= "write_dirty",
	[THP_W | THP_X | THP_Y | THP_D]	= "write_young_dirty",
};

/**
 * thp_entry_bits() - read the bits of an entry from a table
 * @bits: four characters, see thp_pmd_entry.h
 *
 * Return: mask of THP_W, THP_X, THP_Y and THP_D.
 */
unsigned int thp_entry_bits(const char *bits)
{
	return (bits[0] == 'w' ? THP_W : 0) | (bits[1] == 'x' ? THP_X : 0) |
	       (bits[2] == 'y' ? THP_Y : 0) | (bits[3] == 'd' ? THP_D : 0);
}

/**
 * thp_entry_desc() - describe a parameter by its entry
 * @desc: where to write, KUNIT_PARAM_DESC_SIZE bytes
 * @entry: kind of the entry
 * @bits: its bits, as written in a table
 */
void thp_entry_desc(char *desc, enum thp_entry entry, const char *bits)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_%s", entry_names[entry],
		 bits_names[thp_entry_bits(bits)]);
}

static void unlock_and_put(void *folio)
{
	folio_unlock(folio);
	folio_put(folio);
}

static bool is_device(const struct thp_fixture *f, struct folio *folio)
{
	return thp_fixture_zdev_of(f, &folio->page);
}

/**
 * thp_entry_hold() - get a reference and the lock of a folio
 * @f: fixture
 * @folio: folio of the device, or of system memory. Until thp_entry_let_go(), the
 *	end of the test does it.
 */
void thp_entry_hold(struct thp_fixture *f, struct folio *folio)
{
	folio_get(folio);
	folio_lock(folio);
	if (is_device(f, folio))
		thp_fixture_hold(f, folio);
	else
		KUNIT_ASSERT_EQ(f->test, 0, kunit_add_action_or_reset(f->test,
								      unlock_and_put, folio));
}

/**
 * thp_entry_let_go() - unlock a folio and drop the reference
 * @f: fixture
 * @folio: held folio
 */
void thp_entry_let_go(struct thp_fixture *f, struct folio *folio)
{
	if (is_device(f, folio))
		thp_fixture_let_go(f, folio);
	else
		kunit_release_action(f->test, unlock_and_put, folio);
}

/**
 * thp_entry_remap() - replace the migration entries of a folio, let it go
 * @f: fixture
 * @folio: held folio with migration entries, in whichever mm
 *
 * Context: process context, mmap lock not held.
 */
void thp_entry_remap(struct thp_fixture *f, struct folio *folio)
{
	mmap_read_lock(f->mm);
	remove_migration_ptes(folio, folio, 0);
	mmap_read_unlock(f->mm);
	thp_entry_let_go(f, folio);
}

/**
 * thp_entry_end() - let a folio go, if it is held
 * @f: fixture
 * @folio: folio that is mapped, or held with migration entries
 *
 * What a test ends with that has left migration entries.
 */
void thp_entry_end(struct thp_fixture *f, struct folio *folio)
{
	if (folio_test_locked(folio))
		thp_entry_remap(f, folio);
}

/**
 * thp_entry_set_bits() - take bits from the PMD of system memory that was written to
 * @f: fixture
 * @bits: those of THP_W, THP_Y and THP_D that it keeps
 *
 * There is nothing to flush: nobody runs in this mm.
 *
 * Context: process context, mmap lock not held.
 */
void thp_entry_set_bits(struct thp_fixture *f, unsigned int bits)
{
	pmd_t *pmdp = mm_find_pmd(f->mm, f->addr);
	spinlock_t *ptl = pmd_lock(f->mm, pmdp);
	pmd_t pmd = pmdp_get(pmdp);

	if (!(bits & THP_W))
		pmd = pmd_wrprotect(pmd);
	if (!(bits & THP_Y))
		pmd = pmd_mkold(pmd);
	if (!(bits & THP_D))
		pmd = pmd_mkclean(pmd);
	set_pmd_at(f->mm, f->addr, pmdp, pmd);
	spin_unlock(ptl);
}

/*
 * A migration entry has the bits of the source, which may be system memory, when
 * the folio of the device is the destination.
 */
static void set_migration_bits(struct thp_fixture *f, unsigned int bits)
{
	pmd_t *pmdp = mm_find_pmd(f->mm, f->addr);
	spinlock_t *ptl = pmd_lock(f->mm, pmdp);
	softleaf_t entry = softleaf_from_pmd(pmdp_get(pmdp));

	if (bits & THP_Y)
		entry = make_migration_entry_young(entry);
	if (bits & THP_D)
		entry = make_migration_entry_dirty(entry);
	set_pmd_at(f->mm, f->addr, pmdp, softleaf_to_pmd(entry));
	spin_unlock(ptl);
}

/**
 * thp_entry_unmap() - replace the PMD of a folio by a migration entry
 * @f: fixture
 * @folio: mapped folio; it is held afterwards, with one reference
 *
 * Context: process context, mmap lock not held.
 */
void thp_entry_unmap(struct thp_fixture *f, struct folio *folio)
{
	thp_entry_hold(f, folio);
	mmap_read_lock(f->mm);
	try_to_migrate(folio, 0);
	mmap_read_unlock(f->mm);
}

/**
 * thp_entry_make() - put a folio of HPAGE_PMD_ORDER into the PMD of the range
 * @f: fixture; nothing is in the range
 * @entry: kind of the PMD
 * @bits: its bits
 *
 * Context: the thread of the test, mmap lock not held.
 * Return: the folio. With a migration entry it is held, with one reference.
 */
struct folio *thp_entry_make(struct thp_fixture *f, enum thp_entry entry,
			     unsigned int bits)
{
	const bool device = entry == THP_ENTRY_DEVICE || entry == THP_ENTRY_MIG_DEVICE;
	const bool migration = entry == THP_ENTRY_MIG_DEVICE || entry == THP_ENTRY_MIG_SYSTEM;
	struct folio *folio;

	f->write = bits & THP_W;
	f->exclusive = bits & THP_X;
	if (device) {
		folio = thp_fixture_alloc(f, HPAGE_PMD_ORDER);
		thp_fixture_insert(f, folio);
	} else {
		folio = thp_fixture_touch(f, HPAGE_PMD_ORDER);
		thp_entry_set_bits(f, bits);
		if (!(bits & THP_X))
			ClearPageAnonExclusive(&folio->page);
	}
	if (!migration)
		return folio;
	thp_entry_unmap(f, folio);
	if (device)
		set_migration_bits(f, bits);
	else if (bits & THP_D)
		f->flags |= BIT(PG_dirty);
	return folio;
}

/**
 * thp_entry_want() - what the ledger must find of such a folio
 * @f: fixture; its @write and @exclusive are set to those of @bits
 * @want: where to write
 * @entry: kind of the entries
 * @bits: their bits
 * @by_pmd: there is one PMD, else HPAGE_PMD_NR PTEs
 *
 * Of system memory: it was faulted in, waits for deferred_split_scan() since, and
 * is on the LRU. With migration entries, the test holds it.
 */
void thp_entry_want(struct thp_fixture *f, struct thp_state *want, enum thp_entry entry,
		    unsigned int bits, bool by_pmd)
{
	const bool device = entry == THP_ENTRY_DEVICE || entry == THP_ENTRY_MIG_DEVICE;
	const bool migration = entry == THP_ENTRY_MIG_DEVICE || entry == THP_ENTRY_MIG_SYSTEM;

	f->write = bits & THP_W;
	f->exclusive = bits & THP_X;
	if (migration)
		thp_want(f, want, HPAGE_PMD_ORDER,
			 by_pmd ? THP_MIGRATION_PMD : THP_MIGRATION_PTES);
	else
		thp_want(f, want, HPAGE_PMD_ORDER, by_pmd ? THP_PMD : THP_PTES);
	want->leaf_young = bits & THP_Y ? want->leaves : 0;
	want->leaf_dirty = bits & THP_D ? want->leaves : 0;
	if (device)
		return;
	thp_want_system(want);
	want->flags |= BIT(PG_lru);
	want->deferred = 1;
	want->ev_fault_alloc = 1;
}

/**
 * thp_entry_make_checked() - thp_entry_make(), and see that it is there
 * @f: fixture; nothing is in the range
 * @entry: kind of the PMD
 * @bits: its bits, as in tables
 *
 * Context: the thread of the test, mmap lock not held.
 * Return: the folio. With a migration entry it is held, with one reference.
 */
struct folio *thp_entry_make_checked(struct thp_fixture *f, enum thp_entry entry,
				     const char *bits)
{
	unsigned int mask = thp_entry_bits(bits);
	struct folio *folio = thp_entry_make(f, entry, mask);
	struct thp_state want;

	thp_entry_want(f, &want, entry, mask, true);
	thp_ledger_expect(f, folio, &want, "one PMD");
	return folio;
}
