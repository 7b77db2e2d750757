// SPDX-License-Identifier: GPL-2.0-only
/*
 * Struct pages of a device that is new, or passes for it: as memremap_pages()
 * leaves them, whatever another test has done with them.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "fake_zone_device_kunit.h"

/* A size of chunk that only these tests have, so that no other leaves one */
#define SPARE_NR_PAGES	(3 * HPAGE_PMD_NR)
/* A page in the middle, and one that is never used */
#define SPARE_IDX	HPAGE_PMD_NR

static const struct fake_zdev_params spare_params = { .nr_pages = SPARE_NR_PAGES };

/*
 * __init_zone_device_page(): reserved, not even referenced, and nothing's but
 * the pgmap's.
 */
static void expect_at_rest(struct kunit *test, struct fake_zdev *zdev)
{
	unsigned long i;

	for (i = 0; i < fake_zdev_nr_pages(zdev); i++) {
		const struct page *page = fake_zdev_page(zdev, i);

		KUNIT_EXPECT_EQ_MSG(test, page->flags.f & PAGEFLAGS_MASK, BIT(PG_reserved),
				    "page %lu: flags", i);
		KUNIT_EXPECT_EQ_MSG(test, page_zonenum(page), ZONE_DEVICE, "page %lu", i);
		KUNIT_EXPECT_EQ_MSG(test, page_ref_count(page), 0, "page %lu", i);
		KUNIT_EXPECT_EQ_MSG(test, atomic_read(&page->_mapcount), -1, "page %lu", i);
		KUNIT_EXPECT_PTR_EQ_MSG(test, ((const struct folio *)page)->pgmap,
					fake_zdev_pgmap(zdev, i), "page %lu: pgmap", i);
		KUNIT_EXPECT_NULL_MSG(test, page->zone_device_data, "page %lu", i);
		KUNIT_EXPECT_NULL_MSG(test, page->mapping, "page %lu: mapping", i);
		KUNIT_EXPECT_EQ_MSG(test, page->__folio_index, 0, "page %lu: index", i);
		KUNIT_EXPECT_NULL_MSG(test, fake_zdev_data(zdev, page), "page %lu: data", i);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_pgmap_refs(zdev), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(zdev), SPARE_NR_PAGES);
	fake_zdev_check_pool(test, zdev);
}

/* Test what __init_zone_device_page() makes of the pages of a device. */
static void new_pages_are_at_rest(struct kunit *test)
{
	struct fake_zdev *zdev = fake_zdev_create(test, &spare_params);

	expect_at_rest(test, zdev);
}

/*
 * Test that a folio of any order, and garbage in all pages, leave no trace in the
 * pages of the next device.
 */
static void pages_of_next_device_are_at_rest(struct kunit *test)
{
	unsigned int order = fake_zdev_order_of(test);
	struct fake_zdev *zdev = fake_zdev_create(test, &spare_params);
	struct folio *folio = fake_zdev_alloc_at(zdev, SPARE_IDX, order);
	unsigned long pfn = page_to_pfn(fake_zdev_page(zdev, 0));

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_make_anon(folio, 0x7000);
	fake_zdev_stamp(zdev, folio, 0x600d);
	fake_zdev_release(folio);
	fake_zdev_poison_free(zdev, FAKE_ZDEV_POISON_ALL);
	fake_zdev_destroy(test, zdev);

	zdev = fake_zdev_create(test, &spare_params);
	KUNIT_EXPECT_EQ_MSG(test, page_to_pfn(fake_zdev_page(zdev, 0)), pfn,
			    "the device has other pages: nothing is shown");
	expect_at_rest(test, zdev);
}

/*
 * Test that what was written to a folio of any order, and kept when it was freed,
 * is not to be found in the memory of the next device.
 */
static void memory_of_next_device_is_garbage(struct kunit *test)
{
	static const struct fake_zdev_params keep = {
		.nr_pages = SPARE_NR_PAGES, .keep_data = true,
	};
	unsigned int order = fake_zdev_order_of(test);
	struct fake_zdev *zdev = fake_zdev_create(test, &keep);
	struct folio *folio = fake_zdev_alloc_at(zdev, SPARE_IDX, order);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_stamp(zdev, folio, 0x600d);
	fake_zdev_release(folio);
	KUNIT_EXPECT_EQ_MSG(test, 0, fake_zdev_bad_stamps(zdev, fake_zdev_page(zdev, SPARE_IDX),
							  1UL << order, 0x600d),
			    "nothing was kept: nothing is shown");
	fake_zdev_destroy(test, zdev);

	zdev = fake_zdev_create(test, &spare_params);
	for (i = 0; i < SPARE_NR_PAGES; i += HPAGE_PMD_NR) {
		folio = fake_zdev_alloc_at(zdev, i, HPAGE_PMD_ORDER);
		KUNIT_ASSERT_NOT_NULL(test, folio);
		KUNIT_EXPECT_NULL_MSG(test, memchr_inv(fake_zdev_data(zdev, &folio->page),
						       FAKE_ZDEV_FREED_DATA, HPAGE_PMD_SIZE),
				      "the block of page %lu", i);
		fake_zdev_release(folio);
	}
}

/* Test that the pages of a device whose test has failed are not used again. */
static void device_of_failed_test_is_no_spare(struct kunit *test)
{
	struct kunit *other = kunit_kzalloc(test, sizeof(*other), GFP_KERNEL);
	struct fake_zdev *zdev;

	KUNIT_ASSERT_NOT_NULL(test, other);
	kunit_init_test(other, "a_test_that_fails", NULL);
	fake_zdev_drop_spare_chunks();
	zdev = fake_zdev_create(other, &spare_params);
	fake_zdev_destroy(other, zdev);
	KUNIT_EXPECT_TRUE(test, fake_zdev_drop_spare_chunks());

	zdev = fake_zdev_create(other, &spare_params);
	other->status = KUNIT_FAILURE;
	fake_zdev_destroy(other, zdev);
	KUNIT_EXPECT_FALSE(test, fake_zdev_drop_spare_chunks());
	kunit_cleanup(other);
}

static struct kunit_case fake_zone_device_spare_cases[] = {
	KUNIT_CASE(new_pages_are_at_rest),
	FAKE_ZDEV_CASE_ORDERS(pages_of_next_device_are_at_rest),
	FAKE_ZDEV_CASE_ORDERS(memory_of_next_device_is_garbage),
	KUNIT_CASE(device_of_failed_test_is_no_spare),
	{}
};

static struct kunit_suite fake_zone_device_spare_suite = {
	.name = "fake_zone_device_spare",
	.test_cases = fake_zone_device_spare_cases,
};

kunit_test_suite(fake_zone_device_spare_suite);
