// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migrations that a kernel with a known bug does not survive: each needs a boot of
 * its own, with thp_known_bug.own_boot=ID, and is skipped in all others.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "thp_known_bug.h"
#include "thp_migrate_model.h"

#define NR	HPAGE_PMD_NR

/* A window with @pieces in it, if this is the boot for bug @id */
static struct thp_model *window_for(struct kunit *test, const char *id,
				    const struct thp_piece *pieces)
{
	thp_known_bug_own_boot(test, id);
	thp_fixture_init(test);
	thp_layout_map(test->priv, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	return thp_layout_build(test->priv, pieces);
}

/*
 * Test that a driver may have destinations for some pages only of a hole of a PMD,
 * as the kernel-doc of migrate_vma_setup() says it may for anything.
 *
 * LB6: __migrate_device_pages() takes all of them for granted: NULL dereference.
 */
static void hole_of_pmd_with_some_destinations_missing_is_filled_in_part(struct kunit *test)
{
	static const struct thp_piece nothing[] = { {} };
	const struct thp_request req = {
		.end = NR,
		.flags = MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND,
		.owner = THP_DEVICE,
		.to = THP_DEVICE,
		.policy = FAKE_ZDEV_DST_SOME_MISSING,
	};
	struct thp_model *model = window_for(test, "LB6", nothing);

	thp_model_run(model, &req, FAKE_ZDEV_PHASE_FINAL);
	thp_layout_read_back(model);
	thp_known_bug_fixed(test, "LB6", "pages without a destination stay holes");
}

/*
 * Test that the fork of a THP does not see small pages that its parent's THP is
 * migrated to, whatever the driver makes of the THP.
 *
 * PNA: migrate_vma_split_unmapped_folio() splits the PMD migration entry of the VMA
 * that is migrated, and then the folio; the one of the child is still there when
 * remove_migration_ptes() gets to it with a folio of order 0: VM_BUG_ON_FOLIO(), or
 * without CONFIG_DEBUG_VM a PMD that maps 2 MiB from a small page on.
 */
static void forked_thp_to_small_destinations_leaves_child_intact(struct kunit *test)
{
	static const struct thp_piece pieces[] = { { THP_SYSTEM, 9 }, {} };
	struct thp_model *model = window_for(test, "PNA", pieces);
	struct thp_fixture *f = model->f;
	struct mm_struct *child = thp_fixture_fork(f);
	long moved;

	moved = fake_zdev_migrate_to_device(f->zdev, f->mm, f->addr, f->addr + HPAGE_PMD_SIZE,
					    FAKE_ZDEV_DST_ALL_SMALL);
	KUNIT_EXPECT_TRUE(test, moved == 0 || moved == NR);
	thp_layout_read_back(model);
	thp_fixture_switch_mm(f, f->mm, child);
	thp_layout_read_back(model);
	thp_fixture_switch_mm(f, child, f->mm);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, "after the migration");
	thp_known_bug_fixed(test, "PNA", "parent and child have their data");
}

/*
 * Test that a large destination for a small source is refused, and changes nothing.
 *
 * LB15: it is refused in src only; __migrate_device_pages() goes on and moves
 * the metadata. mem_cgroup_migrate() finds that the sizes differ
 * (VM_BUG_ON_FOLIO()); without CONFIG_DEBUG_VM the source loses its charge.
 */
static void large_destination_for_small_source_is_refused(struct kunit *test)
{
	static const struct thp_piece pieces[] = { { THP_SYSTEM, 0 }, {} };
	struct thp_model *model = window_for(test, "LB15", pieces);
	struct thp_fixture *f = model->f;
	struct fake_zdev_migration *m;
	struct folio *dst;

	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + PAGE_SIZE,
				     MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND);
	dst = fake_zdev_alloc(f->zdev, HPAGE_PMD_ORDER);
	KUNIT_ASSERT_NOT_NULL(test, dst);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	m->dst[0] = migrate_pfn(folio_pfn(dst)) | MIGRATE_PFN_COMPOUND;
	fake_zdev_migration_pages(m);
	KUNIT_EXPECT_EQ(test, m->src[0] & MIGRATE_PFN_MIGRATE, 0);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	model->pages[0].dirty = true;
	thp_model_expect(model, "finalize");
	thp_layout_read_back(model);
	thp_known_bug_fixed(test, "LB15", "the source keeps its metadata");
}

/*
 * Test that a fault window around a page of a PTE-mapped large folio, with the head
 * of the folio in it, migrates all of it.
 *
 * LB3_BUG: migrate_vma_collect_pmd() takes the old head for the folio that the fault
 * has locked, even after that folio is split and the lock has gone to the part
 * with the faulting page: the head is migrated, and unlocked, without a lock.
 */
static void fault_window_with_the_old_head_is_migrated(struct kunit *test)
{
	static const struct thp_piece pieces[] = { { THP_DEVICE, 4 }, {} };
	struct thp_model *model = window_for(test, "LB3_BUG", pieces);
	struct thp_fixture *f = model->f;
	unsigned long word;

	fake_zdev_set_fault_order(f->zdev, 4);
	KUNIT_EXPECT_EQ(test, 0,
			get_user(word, (unsigned long __user *)(f->addr + 5 * PAGE_SIZE)));
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	thp_layout_read_back(model);
	thp_known_bug_fixed(test, "LB3_BUG", "the old head is locked when it is migrated");
}

/*
 * Test that migrate_vma_setup() refuses a range that ends before it starts.
 *
 * MIG1: it means to, with "nr_pages <= 0"; but the difference is unsigned when it is
 * shifted, so that nr_pages is 2^52 - 1, and src is cleared that far.
 */
static void range_that_ends_before_it_starts_is_refused(struct kunit *test)
{
	static const struct thp_piece pieces[] = { { THP_SYSTEM, 0 }, {} };
	struct thp_model *model = window_for(test, "MIG1", pieces);
	struct thp_fixture *f = model->f;
	struct fake_zdev_migration *m;

	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + 2 * PAGE_SIZE, MIGRATE_VMA_SELECT_SYSTEM);
	m->args.start = f->addr + 2 * PAGE_SIZE;
	m->args.end = f->addr + PAGE_SIZE;
	/* Nothing is there: the first of all those stores is the last. */
	m->args.src = (unsigned long *)PAGE_SIZE;
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), -EINVAL);
	mmap_read_unlock(f->mm);
	thp_model_expect(model, "after setup");
	thp_known_bug_fixed(test, "MIG1", "a range that ends before it starts is refused");
}

static struct kunit_case device_private_thp_migrate_bugs_cases[] = {
	KUNIT_CASE(hole_of_pmd_with_some_destinations_missing_is_filled_in_part),
	KUNIT_CASE(forked_thp_to_small_destinations_leaves_child_intact),
	KUNIT_CASE(large_destination_for_small_source_is_refused),
	KUNIT_CASE(fault_window_with_the_old_head_is_migrated),
	KUNIT_CASE(range_that_ends_before_it_starts_is_refused),
	{}
};

static struct kunit_suite device_private_thp_migrate_bugs_suite = {
	.name = "device_private_thp_migrate_bugs",
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_bugs_cases,
};

kunit_test_suite(device_private_thp_migrate_bugs_suite);

MODULE_DESCRIPTION("KUnit tests: migrations that known bugs turn into a crash");
MODULE_LICENSE("GPL");
