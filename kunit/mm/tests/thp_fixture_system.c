// SPDX-License-Identifier: GPL-2.0-only
/*
 * Large folios of system memory: anonymous ones as migrate_vma_setup() leaves
 * them, isolated, locked and in no page table; and those of shmem, through page
 * faults on a shared mapping.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/shmem_fs.h>
#include <linux/string.h>
#include <linux/swap.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "../swap.h"
#include "thp_fixture_system.h"

/**
 * thp_fixture_alloc_system() - make an anonymous folio of system memory
 * @f: fixture; holds none yet
 * @order: order of the folio, 0..HPAGE_PMD_ORDER
 *
 * It is filled with the pattern, tracked, and in the state of a folio between
 * migrate_vma_setup() and migrate_vma_pages(), which is the one that
 * folio_split_unmapped() is for: locked, with one reference, charged, anonymous,
 * isolated from the LRU, and in no page table. thp_want() of THP_UNMAPPED and
 * thp_want_system() say what the ledger finds.
 *
 * It may be split; the parts are held as the whole was.
 *
 * Context: process context
 * Return: the folio, held until thp_fixture_put_system() or the end of the test.
 */
struct folio *thp_fixture_alloc_system(struct thp_fixture *f, unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_HIGHUSER_MOVABLE, order);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL_MSG(f->test, folio, "order %u", order);
	__folio_set_locked(folio);
	f->system = &folio->page;
	f->nr_system = 1UL << order;
	thp_fixture_track(f, &folio->page, order, f->addr);
	for (i = 0; i < f->nr_system; i++)
		thp_data_fill(page_address(folio_page(folio, i)), i);
	thp_fixture_make_anon(f, folio);
	return folio;
}

/**
 * thp_fixture_put_system() - let go of what thp_fixture_alloc_system() has made
 * @f: fixture; may hold nothing
 *
 * Takes every folio that the pages are in by now out of the swap cache, unlocks
 * it and drops its reference. thp_fixture_exit() calls this, too.
 *
 * Context: process context
 */
void thp_fixture_put_system(struct thp_fixture *f)
{
	unsigned long i, nr;

	for (i = 0; i < f->nr_system; i += nr) {
		struct folio *folio = page_folio(f->system + i);

		nr = folio_nr_pages(folio);
		if (folio_test_swapcache(folio))
			swap_cache_del_folio(folio);
		folio_unlock(folio);
		folio_put(folio);
	}
	f->nr_system = 0;
}

/* /sys/kernel/mm/transparent_hugepage/hugepages-<size>kB/shmem_enabled */
struct shmem_order {
	struct thpsize size;
	char old[16];
};

static ssize_t set_shmem_order(struct shmem_order *order, const char *mode)
{
	struct kobj_attribute *attr = &thpsize_shmem_enabled_attr;

	return attr->store(&order->size.kobj, attr, mode, strlen(mode));
}

static void restore_shmem_order(void *context)
{
	struct shmem_order *order = context;

	set_shmem_order(order, order->old);
}

static void enable_shmem_order(struct kunit *test, unsigned int nr)
{
	struct shmem_order *order = kunit_kzalloc(test, sizeof(*order), GFP_KERNEL);
	char *modes = kunit_kzalloc(test, PAGE_SIZE, GFP_KERNEL);
	const char *mode;

	KUNIT_ASSERT_NOT_NULL(test, order);
	KUNIT_ASSERT_NOT_NULL(test, modes);
	order->size.order = nr;
	thpsize_shmem_enabled_attr.show(&order->size.kobj, &thpsize_shmem_enabled_attr, modes);
	/* The one in brackets is in force. */
	mode = strchr(modes, '[');
	KUNIT_ASSERT_NOT_NULL(test, mode);
	strscpy(order->old, mode + 1, min(sizeof(order->old), strcspn(mode + 1, "]") + 1));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, restore_shmem_order, order));
	KUNIT_ASSERT_EQ(test, set_shmem_order(order, "always"), strlen("always"));
}

/**
 * thp_fixture_touch_shmem() - write the pattern to a folio's worth of shmem
 * @f: fixture; nothing is mapped in its range, which becomes one of shared memory
 * @order: order that the folio is to have, 1..HPAGE_PMD_ORDER
 *
 * As thp_fixture_touch(), but the range is a MAP_SHARED | MAP_ANONYMOUS mapping
 * afterwards, and so are its VMA and its page cache.
 *
 * Context: the thread of the test, mmap lock not held.
 * Return: the folio, mapped and unlocked. No reference is taken.
 */
struct folio *thp_fixture_touch_shmem(struct thp_fixture *f, unsigned int order)
{
	enable_shmem_order(f->test, order);
	KUNIT_ASSERT_EQ(f->test, f->addr,
			vm_mmap(NULL, f->addr, HPAGE_PMD_SIZE, PROT_READ | PROT_WRITE,
				MAP_FIXED | MAP_SHARED | MAP_ANONYMOUS, 0));
	f->vma = vma_lookup(f->mm, f->addr);
	KUNIT_ASSERT_NOT_NULL(f->test, f->vma);
	return thp_fixture_write(f, order);
}

/**
 * thp_fixture_zap_shmem() - take shmem out of the page table
 * @f: fixture, after thp_fixture_touch_shmem()
 *
 * The folio stays in the page cache, which holds the only references then. It
 * was accessed, as the page table says (zap_present_folio_ptes(),
 * zap_huge_pmd_folio()): PG_referenced is added to @f->flags.
 *
 * Context: process context, mmap lock not held.
 */
void thp_fixture_zap_shmem(struct thp_fixture *f)
{
	f->flags |= BIT(PG_referenced);
	unmap_mapping_range(f->vma->vm_file->f_mapping, 0, 0, false);
}

/**
 * thp_want_present() - what the ledger must find of anonymous system memory
 * @f: fixture, after thp_fixture_touch()
 * @want: where to write, see thp_want()
 * @order: order of the folio, the only one alive
 * @where: THP_PTES or THP_PMD
 *
 * As thp_want(), but for memory that the CPU has written to, and that reclaim
 * knows (do_anonymous_page(), do_huge_pmd_anonymous_page(), folio_add_lru_vma()).
 */
void thp_want_present(const struct thp_fixture *f, struct thp_state *want,
		      unsigned int order, enum thp_where where)
{
	thp_want(f, want, order, where);
	thp_want_system(want);
	want->flags |= BIT(PG_lru);
	want->leaf_young = want->leaves;
	want->leaf_dirty = want->leaves;
}

/**
 * thp_want_shmem() - what the ledger must find of a folio of shmem
 * @f: fixture, after thp_fixture_touch_shmem()
 * @want: where to write, see thp_want()
 * @order: order of the folio, the only one alive
 * @where: THP_PTES, THP_PMD, or THP_UNMAPPED, which is unlocked here
 *
 * As thp_want_present(), but the page cache has a reference for each page, it
 * is the page cache's mapping and index that the folio has, nothing is exclusive
 * or anonymous, and no page table is deposited (shmem_add_to_page_cache(),
 * set_pte_range(), do_set_pmd()).
 */
void thp_want_shmem(const struct thp_fixture *f, struct thp_state *want,
		    unsigned int order, enum thp_where where)
{
	thp_want_present(f, want, order, where);
	want->flags &= ~BIT(PG_locked);
	want->flags |= BIT(PG_dirty);
	want->refcount = (1L << order) + (want->leaves ? want->refcount : 0);
	want->mapping = (s64)f->vma->vm_file->f_mapping;
	want->index = (f->where - f->addr) >> PAGE_SHIFT;
	want->excl = 0;
	want->excl_head = 0;
	want->nr_anon[order] = 0;
	want->deposits = 0;
	want->anon_mapped = 0;
	want->anon_thps = 0;
	want->rss = 0;
	want->shmem = 1L << order;
	want->shmem_thps = order == HPAGE_PMD_ORDER ? HPAGE_PMD_NR : 0;
	if (!want->leaves) {
		/* A table that PTEs were in is still there. */
		want->pmd = f->nr_tracked == HPAGE_PMD_NR ? THP_KIND_NONE : THP_KIND_TABLE;
		return;
	}
	want->rss_shmem = 1L << order;
	want->file_mapped = 1L << order;
	want->shmem_pmds = where == THP_PMD ? HPAGE_PMD_NR : 0;
}
