// SPDX-License-Identifier: GPL-2.0-only
/*
 * memremap_pages(): what it refuses, and that it leaves nothing behind then nor
 * when an allocation fails in it; two ranges in one pgmap; and the variants that
 * give the memory back along with a struct device.
 */
#include <kunit/device.h>
#include <kunit/test.h>
#include <linux/ioport.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/percpu-refcount.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

#include "fake_zone_device.h"
#include "thp_fail_alloc.h"
#include "thp_fixture.h"

/* Of each range; a sub-section is the least that memremap_pages() takes. */
#define SIZE	HPAGE_PMD_SIZE

static vm_fault_t never_to_ram(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

static void never_free(struct folio *folio)
{
}

static const struct dev_pagemap_ops ops_all = {
	.folio_free = never_free,
	.migrate_to_ram = never_to_ram,
};

static const struct dev_pagemap_ops ops_no_free = { .migrate_to_ram = never_to_ram };
static const struct dev_pagemap_ops ops_no_fault = { .folio_free = never_free };

/**
 * enum where - where the memory of a pgmap is
 * @FREE: where nothing else is
 * @DEVICE_FIRST: it starts in the memory of another device
 * @DEVICE_LAST: it ends there
 * @RAM: in system memory
 * @HALF_RAM: the first half of it is system memory
 * @BEYOND: further up than anything that can be mapped
 * @TWICE: two ranges, which are the same
 */
enum where { FREE, DEVICE_FIRST, DEVICE_LAST, RAM, HALF_RAM, BEYOND, TWICE };

/**
 * struct refused_row - a pgmap that nobody gets
 * @desc: description
 * @type: type
 * @ops: callbacks
 * @has_owner: whether it has an owner
 * @nr_range: number of ranges
 * @where: where they are
 * @vmemmap_shift: order of its folios
 * @warnings: number of warnings
 * @ret: error
 */
struct refused_row {
	const char *desc;
	int type;
	const struct dev_pagemap_ops *ops;
	bool has_owner;
	int nr_range;
	enum where where;
	unsigned long vmemmap_shift;
	int warnings;
	int ret;
};

#define PRIVATE		MEMORY_DEVICE_PRIVATE
#define COHERENT	MEMORY_DEVICE_COHERENT

/*
 * Memory that the CPU is to read needs a place in the direct map, which no free
 * region has on ARCH=um. On other architectures it may have.
 */
static const struct refused_row refused_rows[] = {
	{ "no_range", PRIVATE, &ops_all, true, 0, FREE, 0, 1, -EINVAL },
	{ "folio_too_large", PRIVATE, &ops_all, true, 1, FREE, MAX_FOLIO_ORDER + 1, 1, -EINVAL },
	{ "no_ops", PRIVATE, NULL, true, 1, FREE, 0, 1, -EINVAL },
	{ "no_migrate_to_ram", PRIVATE, &ops_no_fault, true, 1, FREE, 0, 1, -EINVAL },
	{ "no_folio_free", PRIVATE, &ops_no_free, true, 1, FREE, 0, 1, -EINVAL },
	{ "no_owner", PRIVATE, &ops_all, false, 1, FREE, 0, 1, -EINVAL },
	{ "starts_in_device", PRIVATE, &ops_all, true, 1, DEVICE_FIRST, 0, 1, -ENOMEM },
	{ "ends_in_device", PRIVATE, &ops_all, true, 1, DEVICE_LAST, 0, 1, -ENOMEM },
	{ "is_ram", PRIVATE, &ops_all, true, 1, RAM, 0, 1, -ENXIO },
	{ "is_ram_by_half", PRIVATE, &ops_all, true, 1, HALF_RAM, 0, 1, -ENXIO },
	{ "is_out_of_reach", PRIVATE, &ops_all, true, 1, BEYOND, 0, 0, -EINVAL },
	{ "second_range_is_first", PRIVATE, &ops_all, true, 2, TWICE, 0, 1, -ENOMEM },
	{ "coherent_no_folio_free", COHERENT, &ops_no_free, true, 1, FREE, 0, 1, -EINVAL },
	{ "coherent_no_owner", COHERENT, &ops_all, false, 1, FREE, 0, 1, -EINVAL },
	{ "coherent_not_mappable", COHERENT, &ops_all, true, 1, BEYOND, 0, 0, -EINVAL },
	{ "fs_dax_not_mappable", MEMORY_DEVICE_FS_DAX, NULL, false, 1, BEYOND, 0, 0, -EINVAL },
	{ "generic_not_mappable", MEMORY_DEVICE_GENERIC, NULL, false, 1, BEYOND, 0, 0, -EINVAL },
	{ "p2pdma_not_mappable", MEMORY_DEVICE_PCI_P2PDMA, NULL, false, 1, BEYOND, 0, 0, -EINVAL },
	{ "type_unknown", 99, NULL, false, 1, BEYOND, 0, 1, -EINVAL },
};

static void describe_refused(struct kunit *test, const void *param, char *desc)
{
	const struct refused_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_refused(struct kunit *test)
{
	kunit_register_params_array(test, refused_rows, ARRAY_SIZE(refused_rows),
				    describe_refused);
	return 0;
}

static void give_region_back(void *ptr)
{
	struct resource *res = ptr;

	release_mem_region(res->start, resource_size(res));
}

/* Room for two ranges of SIZE, next to each other */
static struct resource *make_region(struct kunit *test)
{
	struct resource *res = request_free_mem_region(&iomem_resource, 2 * SIZE, "pgmap test");

	KUNIT_ASSERT_FALSE(test, IS_ERR(res));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, give_region_back, res));
	return res;
}

/* A pgmap of @nr ranges in a region of their own */
static struct dev_pagemap *make_pgmap(struct kunit *test, int nr)
{
	struct resource *res = make_region(test);
	struct dev_pagemap *pgmap;
	int i;

	pgmap = kunit_kzalloc(test, struct_size(pgmap, ranges, 2), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, pgmap);
	pgmap->type = MEMORY_DEVICE_PRIVATE;
	pgmap->ops = &ops_all;
	pgmap->owner = test;
	pgmap->nr_range = nr;
	for (i = 0; i < 2; i++) {
		pgmap->ranges[i].start = res->start + i * SIZE;
		pgmap->ranges[i].end = res->start + (i + 1) * SIZE - 1;
	}
	return pgmap;
}

static bool is_mapped(u64 addr, const struct dev_pagemap *pgmap)
{
	struct dev_pagemap *found = get_dev_pagemap(PHYS_PFN(addr));

	if (found)
		put_dev_pagemap(found);
	return found == pgmap;
}

/* The first and the last page of each range belong to @owner. */
static void expect_mapped(struct kunit *test, const struct dev_pagemap *pgmap, int nr,
			  const struct dev_pagemap *owner, const char *step)
{
	int i;

	for (i = 0; i < nr; i++) {
		KUNIT_EXPECT_TRUE_MSG(test, is_mapped(pgmap->ranges[i].start, owner),
				      "%s: start of range %d", step, i);
		KUNIT_EXPECT_TRUE_MSG(test, is_mapped(pgmap->ranges[i].end, owner),
				      "%s: end of range %d", step, i);
	}
}

static void forget_ram(void *ptr)
{
	struct resource *res = ptr;

	res->flags &= ~IORESOURCE_SYSRAM;
}

/* As if there were system memory: region_intersects() looks at the resources. */
static void pretend_ram(struct kunit *test, struct dev_pagemap *pgmap)
{
	struct resource *res = make_region(test);

	res->flags |= IORESOURCE_SYSRAM;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, forget_ram, res));
	pgmap->range.start = res->start;
	pgmap->range.end = res->end;
}

static void place(struct kunit *test, struct dev_pagemap *pgmap, enum where where)
{
	struct fake_zdev *zdev;
	struct range taken;

	switch (where) {
	case FREE:
		break;
	case DEVICE_FIRST:
	case DEVICE_LAST:
		zdev = fake_zdev_create(test, NULL);
		taken = fake_zdev_pgmap(zdev, 0)->range;
		/* It gets no further than to look who has the ends. */
		pgmap->range.start = where == DEVICE_FIRST ? taken.end : 0;
		pgmap->range.end = where == DEVICE_FIRST ? U64_MAX : taken.start;
		break;
	case RAM:
		pretend_ram(test, pgmap);
		break;
	case HALF_RAM:
		pretend_ram(test, pgmap);
		pgmap->range.end += range_len(&pgmap->range);
		break;
	case BEYOND:
		pgmap->range.start = ALIGN(mhp_get_pluggable_range(false).end, SIZE);
		pgmap->range.end = pgmap->range.start + SIZE - 1;
		break;
	case TWICE:
		pgmap->ranges[1] = pgmap->ranges[0];
		break;
	}
}

/*
 * Test that memremap_pages() refuses what it cannot use, warns if it is a mistake
 * of the driver, and that nothing has changed: not the pgmap, and not who has the
 * memory.
 */
static void unusable_pgmap_is_refused(struct kunit *test)
{
	const struct refused_row *row = test->param_value;
	struct dev_pagemap *pgmap = make_pgmap(test, row->nr_range);
	const bool has_other = row->where == DEVICE_FIRST || row->where == DEVICE_LAST;
	int ret = 0, warnings = 0;

	pgmap->type = row->type;
	pgmap->ops = row->ops;
	pgmap->owner = row->has_owner ? test : NULL;
	pgmap->vmemmap_shift = row->vmemmap_shift;
	place(test, pgmap, row->where);

	thp_fixture_forget_warnings();
	kunit_warning_suppress(test) {
		ret = PTR_ERR_OR_ZERO(memremap_pages(pgmap, NUMA_NO_NODE));
		warnings = KUNIT_SUPPRESSED_WARNING_COUNT();
	}
	KUNIT_EXPECT_EQ(test, ret, row->ret);
	KUNIT_EXPECT_EQ(test, warnings, row->warnings);
	KUNIT_EXPECT_EQ(test, pgmap->nr_range, row->nr_range);
	if (!ret)
		memunmap_pages(pgmap);
	if (!has_other)
		expect_mapped(test, pgmap, row->nr_range, NULL, "refused");
}

static void expect_pages(struct kunit *test, struct dev_pagemap *pgmap, int nr)
{
	unsigned long wrong = 0, pfn;
	int i;

	for (i = 0; i < nr; i++) {
		for (pfn = PHYS_PFN(pgmap->ranges[i].start);
		     pfn <= PHYS_PFN(pgmap->ranges[i].end); pfn++) {
			struct page *page = pfn_to_page(pfn);

			wrong += page_ref_count(page) || !is_zone_device_page(page) ||
				 PageCompound(page) || page_pgmap(page) != pgmap ||
				 !pgmap_pfn_valid(pgmap, pfn);
		}
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "pages that are not as those of nobody");
	/* Those next to the ranges are of none. */
	KUNIT_EXPECT_FALSE(test, pgmap_pfn_valid(pgmap, PHYS_PFN(pgmap->range.start) - 1));
	KUNIT_EXPECT_FALSE(test, pgmap_pfn_valid(pgmap,
						 PHYS_PFN(pgmap->ranges[nr - 1].end) + 1));
}

static const int range_counts[] = { 1, 2 };

static void describe_ranges(struct kunit *test, const void *param, char *desc)
{
	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "ranges%d", *(const int *)param);
}

static int init_ranges(struct kunit *test)
{
	kunit_register_params_array(test, range_counts, ARRAY_SIZE(range_counts),
				    describe_ranges);
	return 0;
}

/*
 * Test that all pages of all ranges belong to the pgmap from memremap_pages() to
 * memunmap_pages(), and that the ranges can be used again.
 */
static void ranges_belong_to_pgmap_until_unmapped(struct kunit *test)
{
	const int nr = *(const int *)test->param_value;
	struct dev_pagemap *pgmap = make_pgmap(test, nr);
	int round;

	for (round = 0; round < 2; round++) {
		void *mapped = memremap_pages(pgmap, NUMA_NO_NODE);

		KUNIT_ASSERT_FALSE(test, IS_ERR(mapped));
		KUNIT_EXPECT_EQ(test, pgmap->nr_range, nr);
		expect_mapped(test, pgmap, nr, pgmap, "memremap_pages");
		expect_pages(test, pgmap, nr);
		memunmap_pages(pgmap);
		expect_mapped(test, pgmap, nr, NULL, "memunmap_pages");
	}
}

/* Test that the memory goes away with the device, and with devm_memunmap_pages(). */
static void memory_goes_with_its_device(struct kunit *test)
{
	const int nr = *(const int *)test->param_value;
	struct dev_pagemap *pgmap = make_pgmap(test, nr);
	struct device *dev = kunit_device_register(test, "device_private_pgmap");
	void *mapped;

	KUNIT_ASSERT_FALSE(test, IS_ERR(dev));
	mapped = devm_memremap_pages(dev, pgmap);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mapped));
	expect_mapped(test, pgmap, nr, pgmap, "devm_memremap_pages");
	devm_memunmap_pages(dev, pgmap);
	expect_mapped(test, pgmap, nr, NULL, "devm_memunmap_pages");

	mapped = devm_memremap_pages(dev, pgmap);
	KUNIT_ASSERT_FALSE(test, IS_ERR(mapped));
	expect_mapped(test, pgmap, nr, pgmap, "devm_memremap_pages");
	kunit_device_unregister(test, dev);
	expect_mapped(test, pgmap, nr, NULL, "device_unregister");
}

/**
 * struct fail_row - a pgmap whose allocations fail
 * @desc: description
 * @nr_range: number of ranges
 * @by_device: whether it belongs to a struct device
 */
struct fail_row {
	const char *desc;
	int nr_range;
	bool by_device;
};

static const struct fail_row fail_rows[] = {
	{ "ranges1", 1, false },
	{ "ranges2", 2, false },
	{ "ranges1_of_device", 1, true },
	{ "ranges2_of_device", 2, true },
};

static void describe_fail(struct kunit *test, const void *param, char *desc)
{
	const struct fail_row *row = param;

	strscpy(desc, row->desc, KUNIT_PARAM_DESC_SIZE);
}

static int init_fail(struct kunit *test)
{
	kunit_register_params_array(test, fail_rows, ARRAY_SIZE(fail_rows), describe_fail);
	return 0;
}

/*
 * Map it, with the @nth allocation failing. If that is one of the memmap, the page
 * allocator prints a stack trace (vmemmap_alloc_block()): that is not to be seen,
 * and a WARN() would be counted.
 */
static void *map_with_failure(struct kunit *test, struct device *dev,
			      struct dev_pagemap *pgmap, unsigned int nth, bool *failed)
{
	void *mapped = NULL;

	kunit_warning_suppress(test) {
		suppress_printk = 1;
		thp_fail_alloc_nth(nth);
		mapped = dev ? devm_memremap_pages(dev, pgmap) :
			       memremap_pages(pgmap, NUMA_NO_NODE);
		*failed = thp_fail_alloc_stop();
		suppress_printk = 0;
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, 0);
	}
	return mapped;
}

/* Test that each allocation on the way may fail, with nothing left mapped. */
static void each_allocation_fails_and_is_undone(struct kunit *test)
{
	const struct fail_row *row = test->param_value;
	struct dev_pagemap *pgmap = make_pgmap(test, row->nr_range);
	struct device *dev = NULL;
	unsigned int nth = 0;
	bool failed;

	if (row->by_device) {
		dev = kunit_device_register(test, "device_private_pgmap");
		KUNIT_ASSERT_FALSE(test, IS_ERR(dev));
	}
	thp_fail_alloc_enable(test);
	do {
		void *mapped = map_with_failure(test, dev, pgmap, ++nth, &failed);

		KUNIT_EXPECT_EQ_MSG(test, pgmap->nr_range, row->nr_range, "allocation %u", nth);
		if (IS_ERR(mapped)) {
			KUNIT_EXPECT_EQ_MSG(test, PTR_ERR(mapped), -ENOMEM, "allocation %u", nth);
			KUNIT_EXPECT_TRUE_MSG(test, failed, "error without a reason");
		} else {
			expect_mapped(test, pgmap, row->nr_range, pgmap, "memremap_pages");
			if (dev)
				devm_memunmap_pages(dev, pgmap);
			else
				memunmap_pages(pgmap);
		}
		expect_mapped(test, pgmap, row->nr_range, NULL, "memunmap_pages");
	} while (failed);
	/* The reference count of the pgmap, and a node of pgmap_array at least */
	KUNIT_EXPECT_GT(test, nth, 2);
}

/**
 * struct last_page - the page that memunmap_pages() waits for
 * @work: gives it back
 * @pgmap: whose page it is
 * @page: the page, with one reference
 * @found: what get_dev_pagemap() finds for it meanwhile
 */
struct last_page {
	struct work_struct work;
	struct dev_pagemap *pgmap;
	struct page *page;
	struct dev_pagemap *found;
};

static void look_and_give_back(struct work_struct *work)
{
	struct last_page *last = container_of(work, struct last_page, work);

	/* The first thing that memunmap_pages() does */
	while (!percpu_ref_is_dying(&last->pgmap->ref))
		cond_resched();
	last->found = get_dev_pagemap(page_to_pfn(last->page));
	put_dev_pagemap(last->found);
	put_page(last->page);
}

/*
 * Test that nobody gets a pgmap any more while memunmap_pages() waits for its last
 * page, although it is still the one of that page.
 */
static void dying_pgmap_is_not_found(struct kunit *test)
{
	struct dev_pagemap *pgmap = make_pgmap(test, 1);
	struct last_page last = { .pgmap = pgmap, .found = pgmap };
	void *mapped = memremap_pages(pgmap, NUMA_NO_NODE);

	KUNIT_ASSERT_FALSE(test, IS_ERR(mapped));
	last.page = pfn_to_page(PHYS_PFN(pgmap->range.start));
	zone_device_page_init(last.page, pgmap, 0);
	unlock_page(last.page);
	INIT_WORK_ONSTACK(&last.work, look_and_give_back);
	schedule_work(&last.work);
	memunmap_pages(pgmap);
	flush_work(&last.work);
	destroy_work_on_stack(&last.work);
	KUNIT_EXPECT_PTR_EQ(test, last.found, NULL);
	expect_mapped(test, pgmap, 1, NULL, "memunmap_pages");
}

/* Test that ranges that start and end at sub-sections are what memremap_pages() takes. */
static void alignment_is_a_sub_section(struct kunit *test)
{
	KUNIT_EXPECT_EQ(test, memremap_compat_align(), SUBSECTION_SIZE);
	KUNIT_EXPECT_EQ(test, SIZE % memremap_compat_align(), 0);
}

static struct kunit_case device_private_thp_pgmap_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(unusable_pgmap_is_refused, kunit_array_gen_params,
				   init_refused, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(ranges_belong_to_pgmap_until_unmapped,
				   kunit_array_gen_params, init_ranges, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(memory_goes_with_its_device, kunit_array_gen_params,
				   init_ranges, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(each_allocation_fails_and_is_undone,
				   kunit_array_gen_params, init_fail, NULL),
	KUNIT_CASE(dying_pgmap_is_not_found),
	KUNIT_CASE(alignment_is_a_sub_section),
	{}
};

static struct kunit_suite device_private_thp_pgmap_suite = {
	.name = "device_private_thp_pgmap",
	.test_cases = device_private_thp_pgmap_cases,
};

kunit_test_suite(device_private_thp_pgmap_suite);

MODULE_DESCRIPTION("KUnit tests: memremap_pages() for device-private memory");
MODULE_LICENSE("GPL");
