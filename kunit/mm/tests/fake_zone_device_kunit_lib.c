// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the suites of the fake device have in common.
 */
#include "fake_zone_device_kunit.h"

static const unsigned int fake_zdev_orders[FAKE_ZDEV_NR_ORDERS] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9
};

/* Rows of all suites name orders up to this one. */
static_assert(HPAGE_PMD_ORDER == 9);

static void fake_zdev_describe_order(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order_%u", *(const unsigned int *)param);
}

int fake_zdev_init_orders(struct kunit *test)
{
	kunit_register_params_array(test, fake_zdev_orders, ARRAY_SIZE(fake_zdev_orders),
				    fake_zdev_describe_order);
	return 0;
}

/* Where a mark goes: not the same place in all pages, but where it was after a split */
static unsigned long *fake_zdev_stamp_at(void *data, unsigned long mark)
{
	return (unsigned long *)data + mark % (PAGE_SIZE / sizeof(unsigned long));
}

/**
 * fake_zdev_stamp() - mark the memory of all pages of a folio
 * @zdev: device
 * @folio: folio of the device
 * @tag: page n gets @tag + n
 *
 * Context: any
 */
void fake_zdev_stamp(struct fake_zdev *zdev, struct folio *folio, unsigned long tag)
{
	unsigned long i;

	for (i = 0; i < folio_nr_pages(folio); i++)
		*fake_zdev_stamp_at(fake_zdev_data(zdev, folio_page(folio, i)), tag + i) = tag + i;
}

/**
 * fake_zdev_bad_stamps() - count pages whose mark has changed
 * @zdev: device
 * @page: first page of what was the folio
 * @nr: number of pages
 * @tag: tag that fake_zdev_stamp() was called with
 *
 * Context: any
 * Return: number of pages that do not have the mark of fake_zdev_stamp().
 */
unsigned long fake_zdev_bad_stamps(struct fake_zdev *zdev, struct page *page,
				   unsigned long nr, unsigned long tag)
{
	unsigned long i, bad = 0;

	for (i = 0; i < nr; i++)
		bad += *fake_zdev_stamp_at(fake_zdev_data(zdev, page + i), tag + i) != tag + i;
	return bad;
}

/**
 * fake_zdev_make_anon() - make a folio look anonymous, and unmapped
 * @folio: folio fresh from the pool
 * @index: index of its first page
 *
 * Enough for folio_split_unmapped(), which looks at mapping only to see that it
 * is an anon_vma, and for free_zone_device_folio(), which takes the folio off
 * the statistics that folio_add_new_anon_rmap() would have put it on.
 *
 * Context: any
 */
void fake_zdev_make_anon(struct folio *folio, pgoff_t index)
{
	static struct anon_vma anon_vma;

	folio->mapping = (void *)((unsigned long)&anon_vma | FOLIO_MAPPING_ANON);
	folio->index = index;
	mod_mthp_stat(folio_order(folio), MTHP_STAT_NR_ANON, 1);
}
