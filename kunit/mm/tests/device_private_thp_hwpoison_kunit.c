// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory errors of the host, reported on pages of a device: the kernel can do
 * nothing about them, and has to say so and to leave everything as it is.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "thp_fixture.h"
#include "thp_known_bug.h"

/**
 * struct hwpoison_param - one page of a mapped folio
 * @order: order of the folio
 * @where: what maps it
 * @page: number of the page in the folio
 * @name: which that is
 */
struct hwpoison_param {
	unsigned int order;
	enum thp_where where;
	unsigned long page;
	const char *name;
};

static const struct hwpoison_param hwpoison_params[] = {
	{ 0, THP_PTES, 0, "only" },
	{ 2, THP_PTES, 0, "first" },
	{ 2, THP_PTES, 3, "last" },
	{ 3, THP_PTES, 0, "first" },
	{ 3, THP_PTES, 7, "last" },
	{ 4, THP_PTES, 0, "first" },
	{ 4, THP_PTES, 15, "last" },
	{ 5, THP_PTES, 0, "first" },
	{ 5, THP_PTES, 31, "last" },
	{ 6, THP_PTES, 0, "first" },
	{ 6, THP_PTES, 63, "last" },
	{ 7, THP_PTES, 0, "first" },
	{ 7, THP_PTES, 127, "last" },
	{ 8, THP_PTES, 0, "first" },
	{ 8, THP_PTES, 255, "last" },
	{ 9, THP_PMD, 0, "first" },
	{ 9, THP_PMD, 511, "last" },
};

static void hwpoison_desc(struct kunit *test, const void *param, char *desc)
{
	const struct hwpoison_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_%s_page", p->order, p->name);
}

static int hwpoison_params_init(struct kunit *test)
{
	kunit_register_params_array(test, hwpoison_params, ARRAY_SIZE(hwpoison_params),
				    hwpoison_desc);
	return 0;
}

#ifdef CONFIG_MEMORY_FAILURE
/*
 * Test that memory_failure() refuses a device-private page, mapped or free, and
 * neither marks nor unmaps it. mf_generic_kill_procs() has -ENXIO for it, but
 * asks dax_lock_folio() first, to which it isn't a page of a DAX file.
 */
static void memory_failure_leaves_device_folio_alone(struct kunit *test)
{
	const struct hwpoison_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct page *page = folio_page(folio, p->page);
	struct thp_state want;

	thp_fixture_insert(f, folio);
	thp_known_bug(test, "MF1", memory_failure(page_to_pfn(page), MF_SW_SIMULATED),
		      -ENXIO, -EBUSY, "memory_failure() of a mapped page");
	thp_want(f, &want, p->order, p->where);
	thp_ledger_expect(f, folio, &want, "memory_failure");
	KUNIT_EXPECT_FALSE(test, PageHWPoison(page));

	thp_fixture_munmap(f);
	thp_known_bug(test, "MF1", memory_failure(page_to_pfn(page), MF_SW_SIMULATED),
		      -ENXIO, -EBUSY, "memory_failure() of a free page");
	KUNIT_EXPECT_FALSE(test, PageHWPoison(page));
	KUNIT_EXPECT_EQ(test, page_ref_count(page), 0);
	thp_ledger_check_exit(f);
}
#else
static void memory_failure_leaves_device_folio_alone(struct kunit *test)
{
	kunit_skip(test, "CONFIG_MEMORY_FAILURE is not set");
}
#endif

static struct kunit_case hwpoison_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(memory_failure_leaves_device_folio_alone,
				   kunit_array_gen_params, hwpoison_params_init, NULL),
	{}
};

static struct kunit_suite hwpoison_suite = {
	.name = "device_private_thp_hwpoison",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = hwpoison_cases,
};

kunit_test_suite(hwpoison_suite);
