// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a pool with buddies live again at another order. zone_device_folio_init()
 * must make of them what it makes of pages that were never used, for every
 * order before and after, and at every place: compared word by word, with
 * garbage in everything that a free page does not own.
 */
#include "fake_zone_device_kunit.h"

#define WORDS_PER_PAGE	(sizeof(struct page) / sizeof(unsigned long))

/* Words of struct page that this suite has to treat in a special way */
#define WORD_OF(member)	(offsetof(struct page, member) / sizeof(unsigned long))
#define WORD_OF_NR_PAGES \
	(offsetof(struct folio, _nr_pages) / sizeof(unsigned long) - WORDS_PER_PAGE)

static const struct fake_zdev_params one_block = { .nr_pages = HPAGE_PMD_NR };

struct reinit_row {
	unsigned int old_order;
	unsigned int new_order;
};

static struct reinit_row reinit_rows[FAKE_ZDEV_NR_ORDERS * FAKE_ZDEV_NR_ORDERS];

static void describe_reinit(struct kunit *test, const void *param, char *desc)
{
	const struct reinit_row *row = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order_%u_as_%u", row->old_order, row->new_order);
}

static int init_reinits(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(reinit_rows); i++)
		reinit_rows[i] = (struct reinit_row) {
			.old_order = i / FAKE_ZDEV_NR_ORDERS,
			.new_order = i % FAKE_ZDEV_NR_ORDERS,
		};
	kunit_register_params_array(test, reinit_rows, ARRAY_SIZE(reinit_rows), describe_reinit);
	return 0;
}

/*
 * A word of a struct page, made independent of where the device is: pointers to
 * struct pages, to the pgmap and to data become offsets.
 */
static unsigned long place_free_word(struct fake_zdev *zdev, unsigned long word)
{
	unsigned long map = (unsigned long)fake_zdev_page(zdev, 0);
	unsigned long data = (unsigned long)fake_zdev_data(zdev, fake_zdev_page(zdev, 0));

	if (word - map < HPAGE_PMD_NR * sizeof(struct page))
		return 0x1000000000 + word - map;
	if (word == (unsigned long)fake_zdev_pgmap(zdev, 0))
		return 0x2000000000;
	if (word - data < HPAGE_PMD_SIZE)
		return 0x3000000000 + word - data;
	return word;
}

/*
 * A bit that is not promised to be clear: PG_workingset. It is the
 * large_rmappable of a former second page, free_zone_device_folio() leaves it
 * there, and zone_device_page_init() clears no more than bits 0-7. In the second
 * page of a new folio it must be set.
 */
static unsigned long promised_bits(unsigned long page, unsigned int word)
{
	return word == WORD_OF(flags) && page != 1 ? ~BIT(PG_workingset) : ~0UL;
}

/*
 * zone_device_data is for the driver to set, in the first page of a folio. In
 * the others it is not used, except that the first two tail pages have state of
 * the folio there.
 */
static bool is_nobodys_word(unsigned long page, unsigned int word)
{
	return page > 2 && word == WORD_OF(zone_device_data);
}

/* Expect @folio of @zdev to be like @model, the same folio of an unused device. */
static void expect_same(struct kunit *test, struct fake_zdev *zdev, struct folio *folio,
			struct fake_zdev *unused, struct folio *model)
{
	unsigned long i, nr_bad = 0;
	unsigned int w;

	for (i = 0; i < folio_nr_pages(model); i++) {
		unsigned long *have = (unsigned long *)(&folio->page + i);
		unsigned long *want = (unsigned long *)(&model->page + i);

		for (w = 0; w < WORDS_PER_PAGE; w++) {
			unsigned long h = place_free_word(zdev, have[w]);
			unsigned long v = place_free_word(unused, want[w]);

			if (!((h ^ v) & promised_bits(i, w)) || is_nobodys_word(i, w))
				continue;
			if (!nr_bad++)
				KUNIT_FAIL(test,
					   "folio at %lu, page %lu, word %u is 0x%lx, on an unused device 0x%lx",
					   fake_zdev_index(zdev, &folio->page), i, w, h, v);
		}
	}
	KUNIT_EXPECT_EQ_MSG(test, nr_bad, 0, "words that differ, folio at %lu",
			    fake_zdev_index(zdev, &folio->page));
}

/* Leave traces of all kinds of use, as far as free_zone_device_folio() allows. */
static void use_folio(struct folio *folio)
{
	unsigned long i;

	fake_zdev_make_anon(folio, 0x123450);
	folio_mark_uptodate(folio);
	folio_set_dirty(folio);
	folio_set_referenced(folio);
	for (i = 0; i < folio_nr_pages(folio); i++)
		SetPageAnonExclusive(folio_page(folio, i));
}

/*
 * Fill a region of the larger of both orders with folios of the old one, free
 * them, and allocate folios of the new one in their place: every offset of the
 * one in the other is there.
 */
static void reinit_region(struct kunit *test, struct fake_zdev *zdev)
{
	const struct reinit_row *row = test->param_value;
	unsigned long nr = 1UL << max(row->old_order, row->new_order), idx;
	struct fake_zdev *unused = fake_zdev_create(test, &one_block);
	struct folio *folio, *model;

	for (idx = 0; idx < nr; idx += 1UL << row->old_order) {
		folio = fake_zdev_alloc_at(zdev, idx, row->old_order);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		use_folio(folio);
	}
	for (idx = 0; idx < nr; idx += 1UL << row->old_order)
		fake_zdev_release((struct folio *)fake_zdev_page(zdev, idx));

	for (idx = 0; idx < nr; idx += 1UL << row->new_order) {
		folio = fake_zdev_alloc_at(zdev, idx, row->new_order);
		model = fake_zdev_alloc_at(unused, idx, row->new_order);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_ASSERT_NOT_NULL(test, model);
		expect_same(test, zdev, folio, unused, model);
	}
	fake_zdev_check_pool(test, zdev);
	for (idx = 0; idx < nr; idx += 1UL << row->new_order) {
		fake_zdev_release((struct folio *)fake_zdev_page(zdev, idx));
		fake_zdev_release((struct folio *)fake_zdev_page(unused, idx));
	}
}

/* Test that nothing of what a used page leaves behind is in a new folio. */
static void reused_pages_make_pristine_folio(struct kunit *test)
{
	reinit_region(test, fake_zdev_create(test, &one_block));
}

/* Test that nothing of anything that a page could leave behind is, either. */
static void poisoned_pages_make_pristine_folio(struct kunit *test)
{
	const struct fake_zdev_params params = {
		.nr_pages = HPAGE_PMD_NR,
		.poison = FAKE_ZDEV_POISON_ALL,
	};

	reinit_region(test, fake_zdev_create(test, &params));
}

/* Test that the initialisation of a folio does not touch the pages around it. */
static void init_leaves_neighbours_alone(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	unsigned int order = fake_zdev_order_of(test);
	struct page *first = fake_zdev_page(zdev, HPAGE_PMD_NR);
	struct page *around[] = { first - 1, first + (1UL << order) };
	struct page before[ARRAY_SIZE(around)];
	struct folio *folio;
	unsigned int i;

	fake_zdev_poison_free(zdev, FAKE_ZDEV_POISON_ALL | FAKE_ZDEV_POISON_STALE_FLAGS);
	for (i = 0; i < ARRAY_SIZE(around); i++)
		before[i] = *around[i];
	folio = fake_zdev_alloc_at(zdev, HPAGE_PMD_NR, order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	for (i = 0; i < ARRAY_SIZE(around); i++)
		KUNIT_EXPECT_MEMEQ(test, around[i], &before[i], sizeof(struct page));
	fake_zdev_release(folio);
}

struct poison_row {
	const char *desc;
	unsigned long mask;
	unsigned int word;
	unsigned long want_bits;	/* the bits of the word that may differ */
};

static const struct poison_row poison_rows[] = {
	{ "low_flags",	FAKE_ZDEV_POISON_LOW_FLAGS,	WORD_OF(flags), 0xff },
	{ "head",	FAKE_ZDEV_POISON_HEAD,		WORD_OF(compound_info), ~0UL },
	{ "mapping",	FAKE_ZDEV_POISON_MAPPING,	WORD_OF(mapping), ~0UL },
	{ "index",	FAKE_ZDEV_POISON_INDEX,		WORD_OF(__folio_index), ~0UL },
#ifdef NR_PAGES_IN_LARGE_FOLIO
	{ "nr_pages",	FAKE_ZDEV_POISON_NR_PAGES,	WORD_OF_NR_PAGES, U32_MAX },
#endif
	{ "data",	FAKE_ZDEV_POISON_DATA,		WORD_OF(zone_device_data), ~0UL },
	{ "stale_flags", FAKE_ZDEV_POISON_STALE_FLAGS,	WORD_OF(flags),
	  BIT(PG_active) | BIT(PG_workingset) | BIT(PG_reclaim) | BIT(PG_swapbacked) |
	  BIT(PG_unevictable) },
};

static void describe_poison(struct kunit *test, const void *param, char *desc)
{
	const struct poison_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_poisons(struct kunit *test)
{
	kunit_register_params_array(test, poison_rows, ARRAY_SIZE(poison_rows),
				    describe_poison);
	return 0;
}

/* Test that poison goes where its name says: in free pages, nowhere else in them. */
static void poison_changes_named_part_of_free_pages(struct kunit *test)
{
	const struct poison_row *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, &one_block);
	struct folio *folio = fake_zdev_alloc_at(zdev, 64, 4);
	unsigned long i, nr_bad = 0, nr_changed = 0;
	unsigned int w;
	struct page *before;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	before = kunit_kmalloc_array(test, HPAGE_PMD_NR, sizeof(*before), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, before);
	memcpy(before, fake_zdev_page(zdev, 0), HPAGE_PMD_NR * sizeof(*before));
	fake_zdev_poison_free(zdev, row->mask);

	for (i = 0; i < HPAGE_PMD_NR; i++) {
		bool in_use = i - 64 < 16;
		unsigned long *old = (unsigned long *)&before[i];
		unsigned long *new = (unsigned long *)fake_zdev_page(zdev, i);

		for (w = 0; w < WORDS_PER_PAGE; w++) {
			unsigned long may = in_use || w != row->word ? 0 : row->want_bits;

			nr_changed += old[w] != new[w];
			nr_bad += !!((old[w] ^ new[w]) & ~may);
		}
	}
	KUNIT_EXPECT_EQ(test, nr_bad, 0);
	KUNIT_EXPECT_EQ(test, nr_changed, HPAGE_PMD_NR - 16);
	fake_zdev_release(folio);
}

static struct kunit_case fake_zone_device_reinit_cases[] = {
	FAKE_ZDEV_CASE_ROWS(reused_pages_make_pristine_folio, init_reinits),
	FAKE_ZDEV_CASE_ROWS(poisoned_pages_make_pristine_folio, init_reinits),
	FAKE_ZDEV_CASE_ORDERS(init_leaves_neighbours_alone),
	FAKE_ZDEV_CASE_ROWS(poison_changes_named_part_of_free_pages, init_poisons),
	{}
};

static struct kunit_suite fake_zone_device_reinit_suite = {
	.name = "fake_zone_device_reinit",
	.test_cases = fake_zone_device_reinit_cases,
};

kunit_test_suite(fake_zone_device_reinit_suite);

MODULE_DESCRIPTION("KUnit tests of the fake device: pages used again at another order");
MODULE_LICENSE("GPL");
