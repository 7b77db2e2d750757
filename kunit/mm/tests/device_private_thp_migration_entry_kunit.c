// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-private folios of every order, unmapped to migration entries and
 * mapped again: nothing may be lost on the way there or back.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/rmap.h>

#include "thp_fixture.h"

/**
 * struct entry_param - one folio, one way to unmap it
 * @order: its order
 * @form: what maps it, and what try_to_migrate() makes of that
 * @form.split_pmd: split the PMD first
 * @form.flags: flags for try_to_migrate()
 * @form.mapped: what maps it before
 * @form.unmapped: what stands for that under migration
 * @form.remapped: what maps it after
 * @form.ev_split_pmd: THP_SPLIT_PMD events until it is unmapped
 * @mode: how it is mapped
 * @faults: CPU faults that reading all of it takes, remapped. A PMD comes back
 *	as a whole; the pages of a PTE-mapped folio come back one by one, the
 *	first one after migrate_vma_split_folio() has split the folio.
 */
struct entry_param {
	unsigned int order;
	struct {
		bool split_pmd;
		enum ttu_flags flags;
		enum thp_where mapped, unmapped, remapped;
		unsigned int ev_split_pmd;
		const char *name;
	} form;
	struct {
		bool write, exclusive;
		const char *name;
	} mode;
	unsigned int faults;
};

#define BY_PTES		{ false, 0, THP_PTES, THP_MIGRATION_PTES, THP_PTES, 0, "ptes" }
#define BY_PMD		{ false, 0, THP_PMD, THP_MIGRATION_PMD, THP_PMD, 0, "pmd" }
#define BY_PMD_SPLIT	{ true, 0, THP_PTES, THP_MIGRATION_PTES, THP_PTES, 1, "pmd_split_before" }
#define BY_TTU_SPLIT	{ false, TTU_SPLIT_HUGE_PMD, THP_PMD, THP_MIGRATION_PTES,	\
			  THP_PTES, 1, "pmd_split_by_ttu" }

#define WRITABLE	{ true, true, "write" }
#define READ_EXCLUSIVE	{ false, true, "read_exclusive" }
#define READ_SHARED	{ false, false, "read_shared" }

static const struct entry_param entry_params[] = {
	{ 0, BY_PTES, WRITABLE, 1 },
	{ 0, BY_PTES, READ_EXCLUSIVE, 1 },
	{ 0, BY_PTES, READ_SHARED, 1 },
	{ 2, BY_PTES, WRITABLE, 4 },
	{ 2, BY_PTES, READ_EXCLUSIVE, 4 },
	{ 2, BY_PTES, READ_SHARED, 4 },
	{ 3, BY_PTES, WRITABLE, 8 },
	{ 3, BY_PTES, READ_EXCLUSIVE, 8 },
	{ 3, BY_PTES, READ_SHARED, 8 },
	{ 4, BY_PTES, WRITABLE, 16 },
	{ 4, BY_PTES, READ_EXCLUSIVE, 16 },
	{ 4, BY_PTES, READ_SHARED, 16 },
	{ 5, BY_PTES, WRITABLE, 32 },
	{ 5, BY_PTES, READ_EXCLUSIVE, 32 },
	{ 5, BY_PTES, READ_SHARED, 32 },
	{ 6, BY_PTES, WRITABLE, 64 },
	{ 6, BY_PTES, READ_EXCLUSIVE, 64 },
	{ 6, BY_PTES, READ_SHARED, 64 },
	{ 7, BY_PTES, WRITABLE, 128 },
	{ 7, BY_PTES, READ_EXCLUSIVE, 128 },
	{ 7, BY_PTES, READ_SHARED, 128 },
	{ 8, BY_PTES, WRITABLE, 256 },
	{ 8, BY_PTES, READ_EXCLUSIVE, 256 },
	{ 8, BY_PTES, READ_SHARED, 256 },
	{ 9, BY_PMD_SPLIT, WRITABLE, 512 },
	{ 9, BY_PMD_SPLIT, READ_EXCLUSIVE, 512 },
	{ 9, BY_PMD_SPLIT, READ_SHARED, 512 },
	{ 9, BY_TTU_SPLIT, WRITABLE, 512 },
	{ 9, BY_TTU_SPLIT, READ_EXCLUSIVE, 512 },
	{ 9, BY_TTU_SPLIT, READ_SHARED, 512 },
	{ 9, BY_PMD, WRITABLE, 1 },
	{ 9, BY_PMD, READ_EXCLUSIVE, 1 },
	{ 9, BY_PMD, READ_SHARED, 1 },
};

static void entry_desc(struct kunit *test, const void *param, char *desc)
{
	const struct entry_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_%s_%s", p->order,
		 p->form.name, p->mode.name);
}

static int entry_params_init(struct kunit *test)
{
	kunit_register_params_array(test, entry_params, ARRAY_SIZE(entry_params), entry_desc);
	return 0;
}

/* A mapped folio as the parameter says */
static struct folio *entry_folio(struct kunit *test, struct thp_fixture *f)
{
	const struct entry_param *p = test->param_value;
	struct folio *folio;

	f->write = p->mode.write;
	f->exclusive = p->mode.exclusive;
	folio = thp_fixture_alloc(f, p->order);
	thp_fixture_insert(f, folio);
	if (p->form.split_pmd)
		thp_fixture_split_pmd(f, false);
	return folio;
}

/*
 * Test that unmapping takes every map count and every reference but the
 * caller's, leaves RSS alone, and keeps write and exclusive in the entries;
 * and that remapping brings all of it back, with the data.
 */
static void unmap_remap_restores_all(struct kunit *test)
{
	const struct entry_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = entry_folio(test, f);
	struct thp_state want;

	thp_want(f, &want, p->order, p->form.mapped);
	want.ev_split_pmd = p->form.split_pmd;
	thp_ledger_expect(f, folio, &want, "mapped");

	thp_fixture_unmap(f, folio, p->form.flags);
	thp_want(f, &want, p->order, p->form.unmapped);
	want.ev_split_pmd = p->form.ev_split_pmd;
	thp_ledger_expect(f, folio, &want, "try_to_migrate");

	thp_fixture_remap(f, folio);
	thp_want(f, &want, p->order, p->form.remapped);
	want.ev_split_pmd = p->form.ev_split_pmd;
	thp_ledger_expect(f, folio, &want, "remove_migration_ptes");

	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT_DONE), 0);
	thp_fixture_read_back(f, p->order, "read after remapping");
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), p->faults);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

/*
 * Test that a reference that someone else holds stays, through unmapping and
 * remapping, and delays freeing until it is dropped.
 */
static void unmap_remap_keeps_foreign_reference(struct kunit *test)
{
	const struct entry_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = entry_folio(test, f);
	struct thp_state want, mapped;

	folio_get(folio);
	thp_fixture_unmap(f, folio, p->form.flags);
	thp_want(f, &want, p->order, p->form.unmapped);
	want.ev_split_pmd = p->form.ev_split_pmd;
	want.refcount++;
	thp_ledger_expect(f, folio, &want, "try_to_migrate");

	thp_fixture_remap(f, folio);
	thp_want(f, &want, p->order, p->form.remapped);
	want.ev_split_pmd = p->form.ev_split_pmd;
	want.refcount++;
	thp_ledger_expect(f, folio, &want, "remove_migration_ptes");

	/* Zapping does not clear AnonExclusive, only freeing does. */
	mapped = want;
	thp_fixture_munmap(f);
	thp_want(f, &want, p->order, THP_UNMAPPED);
	want.flags &= ~BIT(PG_locked);
	want.ev_split_pmd = p->form.ev_split_pmd;
	want.excl = mapped.excl;
	want.excl_head = mapped.excl_head;
	thp_ledger_expect(f, folio, &want, "munmap");
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 0);
	folio_put(folio);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 1);
}

static struct kunit_case device_private_thp_migration_entry_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(unmap_remap_restores_all, kunit_array_gen_params,
				   entry_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(unmap_remap_keeps_foreign_reference,
				   kunit_array_gen_params, entry_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migration_entry_suite = {
	.name = "device_private_thp_migration_entry",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migration_entry_cases,
};

kunit_test_suite(device_private_thp_migration_entry_suite);

MODULE_DESCRIPTION("KUnit tests: device-private folios and migration entries");
MODULE_LICENSE("GPL");
