// SPDX-License-Identifier: GPL-2.0-only
/*
 * What free_zone_device_folio() leaves in the struct pages of a device folio,
 * word by word and bit by bit, and what of it the next folio gets to see.
 */
#include "fake_zone_device_kunit.h"
#include "thp_fixture.h"
#include "thp_known_bug.h"

#define WORDS_PER_PAGE	(sizeof(struct page) / sizeof(unsigned long))

/* Where the folio is: so that neither index nor offset is 0 */
#define FREE_IDX	HPAGE_PMD_NR

/* What somebody has written into index and private */
#define MARK		0xfee1900dUL

/*
 * Flags that survive, and that nobody clears when the page is used again either:
 * known bug LB11, below. A kernel may clear them in either place.
 */
#define LB11_FLAGS	(BIT(PG_active) | BIT(PG_workingset) | BIT(PG_reclaim) | \
			 BIT(PG_swapbacked) | BIT(PG_unevictable))

#define LOW_FLAGS	0xffUL
#define ANON_EXCLUSIVE	BIT(PG_anon_exclusive)

/* A word of struct page after the folio was freed */
enum word {
	W_0,		/* 0 */
	W_PGMAP,	/* the pgmap of the device */
	W_DATA,		/* zone_device_data as the driver has set it */
	W_MARK,		/* MARK */
	W_HEAD,		/* compound_info of a tail: the dead head */
	W_TAIL,		/* TAIL_MAPPING */
	W_LIST,		/* a list head that is its own only entry: next or prev */
	W_FREE,		/* _mapcount -1, _refcount 0 */
	W_MINUS_1_0,	/* two counters of four bytes: -1 and 0 */
	W_MINUS_1_1,	/* two of them, both -1 */
	W_NR,		/* _nr_pages */
};

/**
 * struct survivors - one page of a folio that was freed
 * @order: order of the folio
 * @page: number of the page in it
 * @anon: the folio was anonymous
 * @desc: description
 * @set: flags that are set in the page before
 * @clear: those of them that are clear afterwards: none but these
 * @words: the words of the page from the second on
 */
struct survivors {
	unsigned int order;
	unsigned int page;
	bool anon;
	const char *desc;
	unsigned long set, clear;
	enum word words[7];
};

/* All flags but PG_head, which makes a page of order 0 look like a large folio. */
#define EVERY_FLAG	(PAGEFLAGS_MASK & ~BIT(PG_head))

/* The first page: its mapping is gone, the rest stays. */
#define HEAD(_order)								\
	{ _order, 0, true, "order_" #_order "_head",				\
	  EVERY_FLAG, ANON_EXCLUSIVE,						\
	  { W_PGMAP, W_DATA, W_0, W_MARK, W_MARK, W_FREE, W_0 } }

/* The same of a folio that never became anonymous: nobody looks at its pages. */
#define HEAD_NOT_ANON(_order)							\
	{ _order, 0, false, "order_" #_order "_head_not_anon",			\
	  EVERY_FLAG, 0,							\
	  { W_PGMAP, W_DATA, W_0, W_MARK, W_MARK, W_FREE, W_0 } }

/* The second page: flags 0-7 are the order, which stays; the map counts are none. */
#define SECOND(_order)								\
	{ _order, 1, true, "order_" #_order "_second",				\
	  PAGEFLAGS_MASK & ~LOW_FLAGS, ANON_EXCLUSIVE,				\
	  { W_HEAD, W_MINUS_1_0, W_MINUS_1_0, W_MINUS_1_1, W_0, W_FREE, W_NR } }

/* The third page has the entry of the list of deferred splits. */
#define THIRD(_order)								\
	{ _order, 2, true, "order_" #_order "_third",				\
	  PAGEFLAGS_MASK, ANON_EXCLUSIVE,					\
	  { W_HEAD, W_LIST, W_LIST, W_0, W_0, W_FREE, W_0 } }

#define LAST(_order, _page)							\
	{ _order, _page, true, "order_" #_order "_last",			\
	  PAGEFLAGS_MASK, ANON_EXCLUSIVE,					\
	  { W_HEAD, W_0, W_TAIL, W_0, W_0, W_FREE, W_0 } }

static const struct survivors survivors[] = {
	HEAD(0), HEAD_NOT_ANON(0),
	HEAD(1), HEAD_NOT_ANON(1), SECOND(1),
	HEAD(2), HEAD_NOT_ANON(2), SECOND(2), THIRD(2), LAST(2, 3),
	HEAD(3), HEAD_NOT_ANON(3), SECOND(3), THIRD(3), LAST(3, 7),
	HEAD(4), HEAD_NOT_ANON(4), SECOND(4), THIRD(4), LAST(4, 15),
	HEAD(5), HEAD_NOT_ANON(5), SECOND(5), THIRD(5), LAST(5, 31),
	HEAD(6), HEAD_NOT_ANON(6), SECOND(6), THIRD(6), LAST(6, 63),
	HEAD(7), HEAD_NOT_ANON(7), SECOND(7), THIRD(7), LAST(7, 127),
	HEAD(8), HEAD_NOT_ANON(8), SECOND(8), THIRD(8), LAST(8, 255),
	HEAD(9), HEAD_NOT_ANON(9), SECOND(9), THIRD(9), LAST(9, 511),
};

static void describe_survivors(struct kunit *test, const void *param, char *desc)
{
	const struct survivors *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_survivors(struct kunit *test)
{
	kunit_register_params_array(test, survivors, ARRAY_SIZE(survivors), describe_survivors);
	return 0;
}

static unsigned long value_of(const struct survivors *row, struct fake_zdev *zdev,
			      struct page *page, unsigned int w)
{
	struct page *head = fake_zdev_page(zdev, FREE_IDX);

	switch (row->words[w - 1]) {
	case W_PGMAP:
		return (unsigned long)fake_zdev_pgmap(zdev, FREE_IDX);
	case W_DATA:
		return (unsigned long)fake_zdev_data(zdev, head);
	case W_MARK:
		return MARK;
	case W_HEAD:
		return (unsigned long)head | 1;
	case W_TAIL:
		return (unsigned long)TAIL_MAPPING;
	case W_LIST:
		return (unsigned long)page + 2 * sizeof(long);
	case W_FREE:
	case W_MINUS_1_0:
		return U32_MAX;
	case W_MINUS_1_1:
		return ~0UL;
	case W_NR:
		return 1UL << row->order;
	default:
		return 0;
	}
}

/*
 * Test that of a folio that is freed, exactly those bits survive that the table
 * has: neither more, which the next user of the page would have to cope with,
 * nor fewer, in which case it is the table that has to shrink.
 */
static void free_leaves_exactly_the_bits_of_the_table(struct kunit *test)
{
	const struct survivors *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct folio *folio = fake_zdev_alloc_at(zdev, FREE_IDX, row->order);
	unsigned long before, after;
	struct page *page;
	unsigned int w;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	page = folio_page(folio, row->page);
	if (row->anon)
		fake_zdev_make_anon(folio, MARK);
	else
		folio->index = MARK;
	folio->private = (void *)MARK;
	folio_unlock(folio);
	page->flags.f |= row->set;
	before = page->flags.f;
	folio_put(folio);

	after = page->flags.f;
	KUNIT_EXPECT_EQ_MSG(test, before & ~after & ~LB11_FLAGS, row->clear,
			    "flags that do not survive");
	KUNIT_EXPECT_EQ_MSG(test, ~before & after, 0, "flags that were not there");
	for (w = 1; w < min(WORDS_PER_PAGE, 1 + ARRAY_SIZE(row->words)); w++)
		KUNIT_EXPECT_EQ_MSG(test, ((unsigned long *)page)[w],
				    value_of(row, zdev, page, w), "word %u", w);
	/* The pool poisons nothing here; no page must be left with such a state. */
	page->flags.f &= ~row->set | BIT(PG_reserved);
}

/**
 * struct stale_row - a flag of a page that is freed and used again
 * @flag: the flag
 * @page: number of the page in the new folio
 * @order: order of the new folio
 * @desc: what the flag means there
 */
struct stale_row {
	unsigned int flag;
	unsigned int page;
	unsigned int order;
	const char *desc;
};

/*
 * In the second page of a large folio three of the flags are flags of the folio.
 * PG_workingset, which is large_rmappable there, has to be set then.
 */
static const struct stale_row stale_rows[] = {
	{ PG_active,		0, 0, "active_in_order_0" },
	{ PG_workingset,	0, 0, "workingset_in_order_0" },
	{ PG_reclaim,		0, 0, "reclaim_in_order_0" },
	{ PG_swapbacked,	0, 0, "swapbacked_in_order_0" },
	{ PG_unevictable,	0, 0, "unevictable_in_order_0" },
	{ PG_active,		0, 9, "active_in_order_9" },
	{ PG_workingset,	0, 9, "workingset_in_order_9" },
	{ PG_reclaim,		0, 9, "reclaim_in_order_9" },
	{ PG_swapbacked,	0, 9, "swapbacked_in_order_9" },
	{ PG_unevictable,	0, 9, "unevictable_in_order_9" },
	{ PG_has_hwpoisoned,	1, 9, "has_hwpoisoned_in_order_9" },
	{ PG_partially_mapped,	1, 9, "partially_mapped_in_order_9" },
	{ PG_has_hwpoisoned,	1, 2, "has_hwpoisoned_in_order_2" },
	{ PG_partially_mapped,	1, 2, "partially_mapped_in_order_2" },
};

static void describe_stale(struct kunit *test, const void *param, char *desc)
{
	const struct stale_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_stale(struct kunit *test)
{
	kunit_register_params_array(test, stale_rows, ARRAY_SIZE(stale_rows), describe_stale);
	return 0;
}

/*
 * Test that no flag of a previous life is in a new folio. Known bug LB11:
 * free_zone_device_folio() clears no flags, and zone_device_page_init() only
 * the bits 0-7.
 */
static void stale_flag_is_not_in_next_folio(struct kunit *test)
{
	const struct stale_row *row = test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct folio *folio = fake_zdev_alloc_at(zdev, FREE_IDX + row->page, 0);
	struct page *page = fake_zdev_page(zdev, FREE_IDX + row->page);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	set_bit(row->flag, &page->flags.f);
	fake_zdev_release(folio);

	folio = fake_zdev_alloc_at(zdev, FREE_IDX, row->order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	thp_known_bug(test, "LB11", test_bit(row->flag, &page->flags.f), 0, 1, row->desc);
	clear_bit(row->flag, &page->flags.f);
	fake_zdev_release(folio);
}

/*
 * Test that a page that was the second one of a large folio is not taken for one
 * of the workingset. Known bug LB11: it is.
 */
static void second_page_of_dead_folio_is_not_workingset(struct kunit *test)
{
	const unsigned int order = *(const unsigned int *)test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct folio *folio = fake_zdev_alloc_at(zdev, FREE_IDX, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_release(folio);
	folio = fake_zdev_alloc_at(zdev, FREE_IDX + 1, 0);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	thp_known_bug(test, "LB11", folio_test_workingset(folio), 0, 1,
		      "PG_workingset of a former second page");
	fake_zdev_release(folio);
}

static const unsigned int large_orders[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };

static void describe_large(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order_%u", *(const unsigned int *)param);
}

static int init_large(struct kunit *test)
{
	kunit_register_params_array(test, large_orders, ARRAY_SIZE(large_orders), describe_large);
	return 0;
}

/*
 * Test why split_page() is not the way to split a free device folio: it is still
 * compound, and its reference count is 0, both of which split_page() has a
 * VM_BUG_ON_PAGE() against; and its tails still lead to it.
 */
static void freed_folio_is_compound_without_reference(struct kunit *test)
{
	const unsigned int order = *(const unsigned int *)test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct folio *folio = fake_zdev_alloc_at(zdev, FREE_IDX, order);
	struct page *head = fake_zdev_page(zdev, FREE_IDX);
	unsigned long i, led_astray = 0, referenced = 0;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_make_anon(folio, MARK);
	fake_zdev_release(folio);

	KUNIT_EXPECT_EQ(test, PageHead(head), 1);
	KUNIT_EXPECT_EQ(test, PageCompound(head), 1);
	KUNIT_EXPECT_EQ(test, compound_order(head), order);
	for (i = 0; i < 1UL << order; i++) {
		referenced += page_ref_count(head + i) != 0;
		led_astray += i && (!PageTail(head + i) || compound_head(head + i) != head);
	}
	KUNIT_EXPECT_EQ_MSG(test, referenced, 0, "pages with a reference, order %u", order);
	KUNIT_EXPECT_EQ_MSG(test, led_astray, 0, "tails without the head, order %u", order);
}

/* What is counted for a folio, by order */
static s64 nr_anon(unsigned int order)
{
	s64 sum = 0;
	int cpu;

	for_each_possible_cpu(cpu)
		sum += (s64)per_cpu(mthp_stats, cpu).stats[order][MTHP_STAT_NR_ANON];
	return sum;
}

/*
 * Test that init takes a reference of the pgmap for each page, and free drops
 * them; and that nobody but an anonymous large folio is taken off nr_anon.
 */
static void free_gives_back_what_init_took(struct kunit *test)
{
	unsigned int order = fake_zdev_order_of(test);
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct folio *folio;
	s64 base = nr_anon(order);
	bool anon;

	for (anon = false; ; anon = true) {
		const struct fake_zdev_event *event;

		folio = fake_zdev_alloc_at(zdev, FREE_IDX, order);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_EQ(test, fake_zdev_pgmap_refs(zdev), 1UL << order);
		if (anon)
			fake_zdev_make_anon(folio, MARK);
		/* Folios of order 0 are not counted, see mod_mthp_stat(). */
		KUNIT_EXPECT_EQ(test, nr_anon(order), base + (anon && order));
		fake_zdev_release(folio);
		KUNIT_EXPECT_EQ(test, fake_zdev_pgmap_refs(zdev), 0);
		KUNIT_EXPECT_EQ(test, nr_anon(order), base);
		event = fake_zdev_nth_event(zdev, FAKE_ZDEV_FREE, anon);
		KUNIT_ASSERT_NOT_NULL(test, event);
		KUNIT_EXPECT_EQ(test, event->idx, FREE_IDX);
		KUNIT_EXPECT_EQ(test, event->order, order);
		KUNIT_EXPECT_EQ(test, event->refcount, 0);
		KUNIT_EXPECT_PTR_EQ(test, event->mapping, NULL);
		if (anon)
			break;
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_FREE), 2);
}

static unsigned long count_reserved(struct page *page, unsigned int order)
{
	unsigned long i, nr = 0;

	for (i = 0; i < 1UL << order; i++)
		nr += PageReserved(page + i);
	return nr;
}

/*
 * Test that PG_reserved, which the memmap of a device begins with, is in all
 * pages until a folio is split, which takes it from the tails for good.
 */
static void reserved_is_lost_by_split_only(struct kunit *test)
{
	const unsigned int order = *(const unsigned int *)test->param_value;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct page *head = fake_zdev_page(zdev, FREE_IDX);
	struct folio *folio = fake_zdev_alloc_at(zdev, FREE_IDX, order);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, count_reserved(head, order), 1UL << order);
	fake_zdev_make_anon(folio, MARK);
	KUNIT_ASSERT_EQ(test, folio_split_unmapped(folio, 0), 0);
	KUNIT_EXPECT_EQ(test, count_reserved(head, order), 1);
	KUNIT_EXPECT_EQ(test, PageReserved(head), 1);
	for (i = 0; i < 1UL << order; i++)
		fake_zdev_release((struct folio *)(head + i));

	folio = fake_zdev_alloc_at(zdev, FREE_IDX, order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_EXPECT_EQ(test, count_reserved(head, order), 1);
	fake_zdev_release(folio);
}

/* Anonymous folios have no order 1, so it can't be split. */
static int init_splittable(struct kunit *test)
{
	kunit_register_params_array(test, large_orders + 1, ARRAY_SIZE(large_orders) - 1,
				    describe_large);
	return 0;
}

/*
 * Test that an order that no folio can have is warned of. Known bug LB20:
 * zone_device_page_init() compares it with a number of pages, so that the only
 * one to warn is folio_set_order(), once the pages have been initialised.
 */
static void init_warns_of_impossible_order(struct kunit *test)
{
	const unsigned int order = MAX_FOLIO_ORDER + 1;
	const struct fake_zdev_params params = { .nr_pages = 1UL << order };
	struct fake_zdev *zdev = fake_zdev_create(test, &params);
	struct page *page = fake_zdev_page(zdev, 0), *before;
	size_t size = sizeof(*page) << order;
	int warnings = 0;

	if (!IS_ENABLED(CONFIG_DEBUG_VM))
		kunit_skip(test, "needs CONFIG_DEBUG_VM");
	before = kunit_kmalloc(test, size, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, before);
	memcpy(before, page, size);

	thp_fixture_forget_warnings();
	kunit_warning_suppress(test) {
		zone_device_page_init(page, fake_zdev_pgmap(zdev, 0), order);
		warnings = KUNIT_SUPPRESSED_WARNING_COUNT();
	}
	thp_known_bug(test, "LB20", warnings, 2, 1, "warnings for an impossible order");

	/* The pool knows nothing of it, so the pages are put back by hand. */
	percpu_ref_put_many(&fake_zdev_pgmap(zdev, 0)->ref, 1UL << order);
	memcpy(page, before, size);
}

static struct kunit_case device_private_thp_free_cases[] = {
	FAKE_ZDEV_CASE_ROWS(free_leaves_exactly_the_bits_of_the_table, init_survivors),
	FAKE_ZDEV_CASE_ROWS(stale_flag_is_not_in_next_folio, init_stale),
	FAKE_ZDEV_CASE_ROWS(second_page_of_dead_folio_is_not_workingset, init_large),
	FAKE_ZDEV_CASE_ROWS(freed_folio_is_compound_without_reference, init_large),
	FAKE_ZDEV_CASE_ORDERS(free_gives_back_what_init_took),
	FAKE_ZDEV_CASE_ROWS(reserved_is_lost_by_split_only, init_splittable),
	KUNIT_CASE(init_warns_of_impossible_order),
	{}
};

static struct kunit_suite device_private_thp_free_suite = {
	.name = "device_private_thp_free",
	.test_cases = device_private_thp_free_cases,
};

kunit_test_suite(device_private_thp_free_suite);

MODULE_DESCRIPTION("KUnit tests: what a freed device folio leaves in its struct pages");
MODULE_LICENSE("GPL");
