// SPDX-License-Identifier: GPL-2.0-only
/*
 * What page_owner, allocation tags and others keep beside struct pages is not
 * there for pages of a device: their sections are never online. Whoever splits,
 * copies or frees a folio has to cope with that.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/page_ext.h>
#include <linux/page_owner.h>
#include <linux/pgalloc_tag.h>

#include "thp_fixture.h"

static const unsigned int page_ext_orders[] = { 0, 2, 3, 4, 5, 6, 7, 8, 9 };

static void page_ext_desc(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u", *(const unsigned int *)param);
}

static int page_ext_params_init(struct kunit *test)
{
	kunit_register_params_array(test, page_ext_orders, ARRAY_SIZE(page_ext_orders),
				    page_ext_desc);
	return 0;
}

#ifdef CONFIG_PAGE_EXTENSION
static bool has_page_ext(struct page *page)
{
	struct page_ext *page_ext = page_ext_get(page);

	if (page_ext)
		page_ext_put(page_ext);
	return page_ext;
}

/*
 * Test that no page of a folio of the device has a page_ext, where pages of system
 * memory have one, and that what a split calls for each folio leaves it at that.
 */
static void device_page_has_no_page_ext(struct kunit *test)
{
	const unsigned int order = *(const unsigned int *)test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_state want;
	struct folio *folio;
	unsigned long i;

	if (!has_page_ext(ZERO_PAGE(0)))
		kunit_skip(test, "nobody uses page_ext in this boot");
	folio = thp_fixture_alloc(f, order);
	for (i = 0; i < 1UL << order; i++)
		KUNIT_EXPECT_FALSE_MSG(test, has_page_ext(folio_page(folio, i)),
				       "page %lu of order %u", i, order);
	split_page_owner(&folio->page, order, 0);
	folio_copy_owner(folio, folio);
	pgalloc_tag_split(folio, order, 0);
	thp_want(f, &want, order, THP_FRESH);
	thp_ledger_expect(f, folio, &want, "split_page_owner, pgalloc_tag_split");
	thp_fixture_insert(f, folio);
}
#else
static void device_page_has_no_page_ext(struct kunit *test)
{
	kunit_skip(test, "CONFIG_PAGE_EXTENSION is not set");
}
#endif

static struct kunit_case page_ext_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(device_page_has_no_page_ext, kunit_array_gen_params,
				   page_ext_params_init, NULL),
	{}
};

static struct kunit_suite page_ext_suite = {
	.name = "device_private_thp_page_ext",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = page_ext_cases,
};

kunit_test_suite(page_ext_suite);
