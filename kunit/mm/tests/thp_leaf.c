// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads page tables page by page. Nothing is faulted in, nothing is migrated.
 */
#include <linux/highmem.h>
#include <linux/pgtable.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_fixture.h"
#include "thp_leaf.h"

static bool softleaf_is_writable(softleaf_t entry)
{
	return softleaf_is_migration_write(entry) || softleaf_is_device_private_write(entry);
}

static void read_pmd(struct thp_leaf *leaf, pmd_t pmd, unsigned long addr)
{
	unsigned long nr = (addr & ~HPAGE_PMD_MASK) >> PAGE_SHIFT;
	softleaf_t entry;

	leaf->by_pmd = true;
	if (leaf->kind == THP_KIND_PRESENT) {
		leaf->page = pmd_page(pmd) + nr;
		leaf->zero = is_huge_zero_pmd(pmd);
		leaf->write = pmd_write(pmd);
	} else if (leaf->kind == THP_KIND_DEVICE || leaf->kind == THP_KIND_MIGRATION) {
		entry = softleaf_from_pmd(pmd);
		leaf->page = softleaf_to_page(entry) + nr;
		leaf->write = softleaf_is_writable(entry);
	}
}

static void read_pte(struct thp_leaf *leaf, pte_t pte)
{
	softleaf_t entry;

	leaf->kind = thp_pte_kind(pte);
	if (leaf->kind == THP_KIND_PRESENT) {
		leaf->page = pfn_to_page(pte_pfn(pte));
		leaf->zero = is_zero_pfn(pte_pfn(pte));
		leaf->write = pte_write(pte);
	} else if (leaf->kind == THP_KIND_DEVICE || leaf->kind == THP_KIND_MIGRATION) {
		entry = softleaf_from_pte(pte);
		leaf->page = softleaf_to_page(entry);
		leaf->write = softleaf_is_writable(entry);
	}
}

/**
 * thp_leaf_at() - read the entry for an address
 * @mm: address space
 * @addr: address
 *
 * Context: process context, nobody else uses @mm.
 * Return: the entry. No reference is taken.
 */
struct thp_leaf thp_leaf_at(struct mm_struct *mm, unsigned long addr)
{
	struct thp_leaf leaf = { .kind = THP_KIND_NONE };
	pmd_t *pmdp = mm_find_pmd(mm, addr);
	pte_t *ptep;
	pmd_t pmd;

	if (!pmdp)
		return leaf;
	pmd = pmdp_get(pmdp);
	leaf.kind = thp_pmd_kind(pmd);
	if (leaf.kind != THP_KIND_TABLE) {
		read_pmd(&leaf, pmd, addr);
		return leaf;
	}
	leaf.kind = THP_KIND_NONE;
	ptep = pte_offset_map(pmdp, addr);
	if (!ptep)
		return leaf;
	read_pte(&leaf, ptep_get(ptep));
	pte_unmap(ptep);
	return leaf;
}

/**
 * thp_leaf_is_settled() - has everybody let go of the folio of a page?
 * @leaf: entry with a page
 *
 * Context: process context, nobody else uses the folio; lru_add_drain() was
 * called.
 * Return: whether it is an anonymous folio that is unlocked, has the references
 * of its mappings and no others, and is on a list of reclaim if it is system
 * memory, and only then.
 */
bool thp_leaf_is_settled(const struct thp_leaf *leaf)
{
	struct folio *folio;

	if (!leaf->page)
		return false;
	folio = page_folio(leaf->page);
	return folio_test_anon(folio) && !folio_test_locked(folio) &&
	       folio_ref_count(folio) == folio_mapcount(folio) &&
	       folio_test_lru(folio) != folio_is_zone_device(folio);
}

/**
 * thp_leaf_data() - look at the memory of a page
 * @f: fixture
 * @leaf: entry with a page
 * @right: what looks at it
 * @arg: for @right
 *
 * Context: process context
 * Return: what @right returns; false if the page has no memory.
 */
bool thp_leaf_data(const struct thp_fixture *f, const struct thp_leaf *leaf,
		   bool (*right)(const void *data, void *arg), void *arg)
{
	struct fake_zdev *zdev;
	void *data;
	bool ret;

	if (!leaf->page)
		return false;
	zdev = thp_fixture_zdev_of(f, leaf->page);
	if (zdev) {
		data = fake_zdev_data(zdev, leaf->page);
		return data && right(data, arg);
	}
	data = kmap_local_page(leaf->page);
	ret = right(data, arg);
	kunmap_local(data);
	return ret;
}
