// SPDX-License-Identifier: GPL-2.0-only
/*
 * Phase interleaving: the smallest cases of what the matrix has found, or can't
 * survive. Each is a known bug.
 */
#include <kunit/test.h>
#include <linux/lockdep.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/printk.h>
#include <linux/rmap.h>

#include "../internal.h"
#include "thp_interleave.h"

/* MADV_DONTNEED of the range, by another thread: the mmap lock may be held. */
static int dontneed_range(struct thp_fixture *f)
{
	int ret;

	lockdep_off();
	ret = do_madvise(f->mm, f->addr, HPAGE_PMD_SIZE, MADV_DONTNEED);
	lockdep_on();
	return ret;
}

/* A folio of the device at @where, filled, mapped, unlocked */
static struct folio *map_device_folio(struct thp_fixture *f, unsigned int order,
				      unsigned long where)
{
	struct folio *folio = fake_zdev_alloc(f->zdev, order);

	KUNIT_ASSERT_NOT_NULL(f->test, folio);
	thp_fixture_hold(f, folio);
	thp_fixture_track(f, &folio->page, order, where);
	thp_fixture_fill_device(f, folio);
	thp_fixture_insert(f, folio);
	return folio;
}

/* The counts of a zapped folio, with the reference of the migration and the test's */
static bool check_zapped(struct kunit *test, struct folio *folio)
{
	const int refs = folio_ref_count(folio), maps = folio_mapcount(folio);

	thp_known_bug(test, "H1", refs, 2, 1, "refcount of a folio under migration");
	thp_known_bug(test, "H1", maps, 0, -1, "mapcount of a folio under migration");
	return refs == 2;
}

/*
 * Test that MADV_DONTNEED of a PMD migration entry for a device-private folio
 * leaves the folio to its migration. zap_huge_pmd_folio() asks what the folio
 * is, not what the entry is, so it removes a mapping that is gone already, and
 * drops the reference of the migration: the folio is free while it is locked and
 * migrating, unless somebody else has a reference, as this test does. NR_ANON_MAPPED
 * and NR_ANON_THPS stay wrong until the next boot.
 */
static void zap_of_migrating_device_pmd_is_exact(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct folio *folio;
	bool is_right;
	int ret = -1;

	thp_known_bug_own_boot(test, "H1");
	folio = map_device_folio(f, HPAGE_PMD_ORDER, f->addr);
	m = fake_zdev_migration_init(test, f->zdev, NULL, f->vma, f->addr,
				     f->addr + HPAGE_PMD_SIZE,
				     MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
				     MIGRATE_VMA_SELECT_COMPOUND);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, 1);
	folio_get(folio);
	kunit_warning_suppress(test) {
		suppress_printk = 1;
		ret = dontneed_range(f);
		suppress_printk = 0;
	}
	KUNIT_EXPECT_EQ(test, ret, 0);
	is_right = check_zapped(test, folio);
	/* What finalize drops, and what the counters are from here on */
	if (!is_right)
		folio_get(folio);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	folio_put(folio);
	if (!is_right)
		thp_fixture_rebase(f);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

/*
 * Test that the same of a system folio leaves it to its migration: its entry is
 * not taken for a mapping.
 */
static void zap_of_migrating_system_pmd_is_exact(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_touch(f, HPAGE_PMD_ORDER);
	struct fake_zdev_migration *m;

	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + HPAGE_PMD_SIZE,
				     MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, 1);
	KUNIT_EXPECT_EQ(test, dontneed_range(f), 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_EQ(test, folio_mapcount(folio), 0);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
}

/* MADV_DONTNEED of the range as soon as the second folio is unmapped to be split */
static void dontneed_hook(struct fake_zdev *zdev, const struct fake_zdev_event *event,
			  void *arg)
{
	struct thp_fixture *f = arg;

	/* The first one is split without an event for its second half. */
	if (event->type != FAKE_ZDEV_INVALIDATE || event->notify != MMU_NOTIFY_CLEAR ||
	    event->addr != f->addr + HPAGE_PMD_SIZE / 2)
		return;
	fake_zdev_set_hook(zdev, NULL, NULL);
	KUNIT_EXPECT_EQ(f->test, dontneed_range(f), 0);
}

/*
 * Test that migrate_vma_setup() fills in as many entries as the range has pages,
 * if the page table goes away while it splits a folio in the middle of it.
 * migrate_vma_collect_pmd() starts anew then, and takes all of the PMD for a
 * hole, behind the entries that it has made already. The arrays of this test
 * are large enough for them. It takes CONFIG_PT_RECLAIM for an empty table to go.
 */
static void table_freed_in_split_adds_no_entries(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	unsigned long half = HPAGE_PMD_SIZE / 2, npages;

	if (!IS_ENABLED(CONFIG_PT_RECLAIM))
		kunit_skip(test, "empty page tables are not freed");
	map_device_folio(f, HPAGE_PMD_ORDER - 1, f->addr);
	map_device_folio(f, HPAGE_PMD_ORDER - 1, f->addr + half);
	m = fake_zdev_migration_init(test, f->zdev, NULL, f->vma, f->addr,
				     f->addr + 2 * HPAGE_PMD_SIZE,
				     MIGRATE_VMA_SELECT_DEVICE_PRIVATE |
				     MIGRATE_VMA_SELECT_COMPOUND);
	m->args.end = f->addr + HPAGE_PMD_SIZE;
	fake_zdev_watch(test, f->zdev, f->mm, f->start, f->end);
	fake_zdev_set_hook(f->zdev, dontneed_hook, f);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	npages = m->args.npages;
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	thp_known_bug(test, "LB4", npages, HPAGE_PMD_NR, HPAGE_PMD_NR + HPAGE_PMD_NR / 2,
		      "number of entries for 512 pages");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

static void put_test_anon_vma(void *anon_vma)
{
	put_anon_vma(anon_vma);
}

/*
 * Test that eviction keeps the anon_vma of what it evicts until it has put the
 * pages back. All of the mm may go away meanwhile: no lock is held. The comment
 * in rmap_walk_anon_lock() wants a reference of remove_migration_ptes() callers
 * that don't hold the mmap lock, and migrate_device_finalize() has none: it
 * takes the lock of an anon_vma that may be free. The reference of this test
 * keeps it from being.
 */
static void eviction_keeps_anon_vma(struct kunit *test)
{
	const unsigned int order = 4;
	struct thp_fixture *f = test->priv;
	struct anon_vma *anon_vma = f->anon_vma;
	struct folio *folio = map_device_folio(f, order, f->addr);
	struct fake_zdev_migration *m;

	get_anon_vma(anon_vma);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_test_anon_vma, anon_vma));
	m = fake_zdev_migration_init(test, f->zdev, NULL, NULL, f->addr,
				     f->addr + (PAGE_SIZE << order), 0);
	KUNIT_EXPECT_EQ(test, ileave_range_setup(m, &folio->page), 1);
	fake_zdev_migration_copy(m, FAKE_ZDEV_DST_AS_SOURCE);
	ileave_range_pages(m);
	KUNIT_EXPECT_TRUE(test, m->src[0] & MIGRATE_PFN_MIGRATE);

	KUNIT_EXPECT_EQ(test, 0, vm_munmap(0, TASK_SIZE));
	f->vma = NULL;
	thp_known_bug(test, "NB1", atomic_read(&anon_vma->refcount) - 1, 1, 0,
		      "references of an eviction on the anon_vma");
	ileave_range_finalize(m);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

static struct kunit_case device_private_thp_interleave_bugs_cases[] = {
	KUNIT_CASE(zap_of_migrating_device_pmd_is_exact),
	KUNIT_CASE(zap_of_migrating_system_pmd_is_exact),
	KUNIT_CASE(table_freed_in_split_adds_no_entries),
	KUNIT_CASE(eviction_keeps_anon_vma),
	{}
};

static struct kunit_suite device_private_thp_interleave_bugs_suite = {
	.name = "device_private_thp_interleave_bugs",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_interleave_bugs_cases,
};

kunit_test_suite(device_private_thp_interleave_bugs_suite);

MODULE_DESCRIPTION("KUnit tests: what goes wrong between the phases of a migration");
MODULE_LICENSE("GPL");
