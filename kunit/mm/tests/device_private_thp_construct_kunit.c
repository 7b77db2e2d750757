// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-private folios of every order, put into the page tables of an mm by
 * hand: what the kernel must know of them after each step, until munmap().
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "thp_fixture.h"

/**
 * struct construct_param - one folio
 * @order: its order
 * @mode: how it is mapped
 * @mode.write: writable
 * @mode.exclusive: AnonExclusive
 * @where: what maps it
 * @leaves: page table entries that map it
 */
struct construct_param {
	unsigned int order;
	struct {
		bool write, exclusive;
		const char *name;
	} mode;
	enum thp_where where;
	unsigned long leaves;
};

#define WRITABLE	{ true, true, "write" }
#define READ_EXCLUSIVE	{ false, true, "read_exclusive" }
#define READ_SHARED	{ false, false, "read_shared" }

static const struct construct_param construct_params[] = {
	{ 0, WRITABLE, THP_PTES, 1 },
	{ 0, READ_EXCLUSIVE, THP_PTES, 1 },
	{ 0, READ_SHARED, THP_PTES, 1 },
	{ 2, WRITABLE, THP_PTES, 4 },
	{ 2, READ_EXCLUSIVE, THP_PTES, 4 },
	{ 2, READ_SHARED, THP_PTES, 4 },
	{ 3, WRITABLE, THP_PTES, 8 },
	{ 3, READ_EXCLUSIVE, THP_PTES, 8 },
	{ 3, READ_SHARED, THP_PTES, 8 },
	{ 4, WRITABLE, THP_PTES, 16 },
	{ 4, READ_EXCLUSIVE, THP_PTES, 16 },
	{ 4, READ_SHARED, THP_PTES, 16 },
	{ 5, WRITABLE, THP_PTES, 32 },
	{ 5, READ_EXCLUSIVE, THP_PTES, 32 },
	{ 5, READ_SHARED, THP_PTES, 32 },
	{ 6, WRITABLE, THP_PTES, 64 },
	{ 6, READ_EXCLUSIVE, THP_PTES, 64 },
	{ 6, READ_SHARED, THP_PTES, 64 },
	{ 7, WRITABLE, THP_PTES, 128 },
	{ 7, READ_EXCLUSIVE, THP_PTES, 128 },
	{ 7, READ_SHARED, THP_PTES, 128 },
	{ 8, WRITABLE, THP_PTES, 256 },
	{ 8, READ_EXCLUSIVE, THP_PTES, 256 },
	{ 8, READ_SHARED, THP_PTES, 256 },
	{ 9, WRITABLE, THP_PMD, 1 },
	{ 9, READ_EXCLUSIVE, THP_PMD, 1 },
	{ 9, READ_SHARED, THP_PMD, 1 },
};

static void construct_desc(struct kunit *test, const void *param, char *desc)
{
	const struct construct_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_%s", p->order, p->mode.name);
}

static int construct_params_init(struct kunit *test)
{
	kunit_register_params_array(test, construct_params, ARRAY_SIZE(construct_params),
				    construct_desc);
	return 0;
}

static struct thp_fixture *construct_fixture(struct kunit *test)
{
	const struct construct_param *p = test->param_value;
	struct thp_fixture *f = test->priv;

	f->write = p->mode.write;
	f->exclusive = p->mode.exclusive;
	return f;
}

/*
 * free_zone_device_folio() must take from each page what nobody would clear
 * later: zone_device_page_init() leaves PG_anon_exclusive alone.
 */
static void expect_freed_pages(struct kunit *test, const struct thp_fixture *f)
{
	unsigned long i;

	for (i = 0; i < f->nr_tracked; i++) {
		KUNIT_EXPECT_FALSE_MSG(test, test_bit(PG_anon_exclusive, &f->first[i].flags.f),
				       "page %lu is still AnonExclusive", i);
		KUNIT_EXPECT_EQ_MSG(test, page_ref_count(f->first + i), 0, "page %lu", i);
	}
	KUNIT_EXPECT_PTR_EQ(test, f->first->mapping, NULL);
}

/*
 * Test that a folio initialised at any order and mapped has the counts of its
 * mappings, and no more, and that munmap() frees it at that order, at once.
 */
static void insert_maps_exactly(struct kunit *test)
{
	const struct construct_param *p = test->param_value;
	struct thp_fixture *f = construct_fixture(test);
	const struct fake_zdev_event *event;
	struct folio *folio;
	struct thp_state want;

	folio = thp_fixture_alloc(f, p->order);
	thp_want(f, &want, p->order, THP_FRESH);
	thp_ledger_expect(f, folio, &want, "zone_device_folio_init");

	thp_fixture_insert(f, folio);
	thp_want(f, &want, p->order, p->where);
	KUNIT_EXPECT_EQ(test, want.leaves, p->leaves);
	thp_ledger_expect(f, folio, &want, "insert");

	thp_fixture_munmap(f);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 1);
	event = fake_zdev_nth_event(f->zdev, FAKE_ZDEV_FREE, 0);
	KUNIT_ASSERT_NOT_NULL(test, event);
	KUNIT_EXPECT_EQ(test, event->order, p->order);
	KUNIT_EXPECT_EQ(test, event->refcount, 0);
	KUNIT_EXPECT_EQ(test, event->idx, fake_zdev_index(f->zdev, f->first));
	expect_freed_pages(test, f);
	thp_ledger_check_exit(f);
}

/*
 * Test that a PMD-mapped folio, its PMD split, is mapped by as many PTEs as it
 * has pages, with a reference for each, and is still one folio.
 */
static void split_pmd_maps_by_ptes(struct kunit *test)
{
	const struct construct_param *p = test->param_value;
	struct thp_fixture *f = construct_fixture(test);
	struct folio *folio;
	struct thp_state want;

	folio = thp_fixture_alloc(f, p->order);
	thp_fixture_insert(f, folio);
	thp_want(f, &want, p->order, THP_PMD);
	thp_ledger_expect(f, folio, &want, "insert");

	thp_fixture_split_pmd(f, false);
	thp_want(f, &want, p->order, THP_PTES);
	want.ev_split_pmd = 1;
	thp_ledger_expect(f, folio, &want, "split_huge_pmd");
	KUNIT_EXPECT_EQ_MSG(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT), 0,
			    "splitting a PMD has split the folio");
}

static int split_pmd_params_init(struct kunit *test)
{
	const unsigned int modes = 3;

	/* Only the last order has a PMD to split. */
	kunit_register_params_array(test,
				    construct_params + ARRAY_SIZE(construct_params) - modes,
				    modes, construct_desc);
	return 0;
}

static struct kunit_case device_private_thp_construct_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(insert_maps_exactly, kunit_array_gen_params,
				   construct_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(split_pmd_maps_by_ptes, kunit_array_gen_params,
				   split_pmd_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_construct_suite = {
	.name = "device_private_thp_construct",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_construct_cases,
};

kunit_test_suite(device_private_thp_construct_suite);

MODULE_DESCRIPTION("KUnit tests: device-private folios, put into page tables");
MODULE_LICENSE("GPL");
