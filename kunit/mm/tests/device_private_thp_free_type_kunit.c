// SPDX-License-Identifier: GPL-2.0-only
/*
 * The last reference to a folio is dropped: what free_zone_device_folio() does by
 * the type of the pgmap, next to device-private, and if the driver has forgotten
 * to say what is to be called.
 *
 * The memory is device-private in any case; only what the pgmap says is another.
 */
#include <kunit/test.h>
#include <linux/memremap.h>
#include <linux/mm.h>
#include <linux/wait_bit.h>

#include "fake_zone_device_kunit.h"
#include "thp_fixture.h"

static vm_fault_t never_to_ram(struct vm_fault *vmf)
{
	return VM_FAULT_SIGBUS;
}

static const struct dev_pagemap_ops ops_no_free = { .migrate_to_ram = never_to_ram };

/* What the driver has told the kernel */
enum told {
	ALL,
	NO_FREE,
	NO_OPS,
	NO_PGMAP,
};

/**
 * struct type_row - a type of memory
 * @name: for the description
 * @type: type of the pgmap
 * @told: what of the driver the kernel knows
 * @callbacks: number of calls of folio_free()
 * @has_refs: whether the pgmap keeps the references of the folio
 * @refcount: of the folio, afterwards
 * @has_mapping: whether the folio keeps its mapping
 * @woken: number of those who wait for the pages of a file and are woken
 * @warnings: number of warnings
 */
struct type_row {
	const char *name;
	enum memory_type type;
	enum told told;
	int callbacks;
	bool has_refs;
	int refcount;
	bool has_mapping;
	int woken;
	int warnings;
};

static const struct type_row type_rows[] = {
	{ "private",	MEMORY_DEVICE_PRIVATE,	   ALL,	     1, false, 0, false, 0, 0 },
	{ "coherent",	MEMORY_DEVICE_COHERENT,	   ALL,	     1, false, 0, false, 0, 0 },
	{ "generic",	MEMORY_DEVICE_GENERIC,	   ALL,	     0, true,  1, true,  0, 0 },
	{ "fs_dax",	MEMORY_DEVICE_FS_DAX,	   ALL,	     0, true,  0, true,  1, 0 },
	{ "p2pdma",	MEMORY_DEVICE_PCI_P2PDMA,  ALL,	     1, true,  0, false, 0, 0 },
	{ "private_no_free",  MEMORY_DEVICE_PRIVATE,    NO_FREE,  0, true, 0, false, 0, 1 },
	{ "private_no_ops",   MEMORY_DEVICE_PRIVATE,    NO_OPS,   0, true, 0, false, 0, 1 },
	{ "coherent_no_free", MEMORY_DEVICE_COHERENT,   NO_FREE,  0, true, 0, false, 0, 1 },
	{ "p2pdma_no_free",   MEMORY_DEVICE_PCI_P2PDMA, NO_FREE,  0, true, 0, false, 0, 1 },
	{ "p2pdma_no_ops",    MEMORY_DEVICE_PCI_P2PDMA, NO_OPS,   0, true, 0, false, 0, 1 },
	{ "no_pgmap",	MEMORY_DEVICE_PRIVATE,	   NO_PGMAP, 0, true,  0, true,  0, 1 },
};

struct type_param {
	const struct type_row *row;
	unsigned int order;
};

static const unsigned int orders[] = { 0, 2, 3, 4, 5, 6, 7, 8, 9 };

static void describe(struct kunit *test, const void *param, char *desc)
{
	const struct type_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_%s", p->order, p->row->name);
}

static int init_types(struct kunit *test)
{
	struct type_param *params;
	unsigned int i, k, nr = 0;

	params = kunit_kcalloc(test, ARRAY_SIZE(orders) * ARRAY_SIZE(type_rows),
			       sizeof(*params), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, params);
	for (i = 0; i < ARRAY_SIZE(orders); i++)
		for (k = 0; k < ARRAY_SIZE(type_rows); k++)
			params[nr++] = (struct type_param) { &type_rows[k], orders[i] };
	kunit_register_params_array(test, params, nr, describe);
	return 0;
}

/**
 * struct waiter - somebody who waits for a page of a file to be free
 * @wait: as dax_break_layout() has it
 * @woken: number of times that he was woken
 */
struct waiter {
	struct wait_bit_queue_entry wait;
	int woken;
};

static int count_wake(struct wait_queue_entry *entry, unsigned int mode, int sync, void *key)
{
	struct waiter *waiter = container_of(entry, struct waiter, wait.wq_entry);
	const struct wait_bit_key *woken = key;

	waiter->woken += woken->flags == waiter->wait.key.flags && woken->bit_nr == -1;
	return 0;
}

/*
 * Test that the last put of a folio tells whom the type of the pgmap names, and drops
 * the references on the pgmap and the mapping if they are the kernel's to drop; and
 * that nothing is called that is not there.
 */
static void last_put_does_what_the_type_says(struct kunit *test)
{
	const struct type_param *p = test->param_value;
	const struct type_row *row = p->row;
	const unsigned long nr = 1UL << p->order;
	struct fake_zdev *zdev = fake_zdev_create(test, NULL);
	struct dev_pagemap *pgmap = fake_zdev_pgmap(zdev, 0);
	const struct dev_pagemap_ops *ops = pgmap->ops;
	struct address_space mapping;
	struct waiter waiter = {};
	struct folio *folio;
	int warnings = 0;

	folio = fake_zdev_alloc(zdev, p->order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	/* No assertion from here on: the device must get its pgmap back. */
	folio_unlock(folio);
	folio->mapping = &mapping;
	pgmap->type = row->type;
	if (row->told == NO_FREE)
		pgmap->ops = &ops_no_free;
	if (row->told == NO_OPS)
		pgmap->ops = NULL;
	if (row->told == NO_PGMAP)
		folio->pgmap = NULL;
	init_wait_var_entry(&waiter.wait, &folio->page, 0);
	waiter.wait.wq_entry.func = count_wake;
	add_wait_queue(__var_waitqueue(&folio->page), &waiter.wait.wq_entry);
	fake_zdev_clear_events(zdev);

	thp_fixture_forget_warnings();
	kunit_warning_suppress(test) {
		folio_put(folio);
		warnings = KUNIT_SUPPRESSED_WARNING_COUNT();
	}
	remove_wait_queue(__var_waitqueue(&folio->page), &waiter.wait.wq_entry);

	KUNIT_EXPECT_EQ(test, warnings, row->warnings);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(zdev, FAKE_ZDEV_FREE), row->callbacks);
	KUNIT_EXPECT_EQ(test, fake_zdev_pgmap_refs(zdev), row->has_refs ? nr : 0);
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), row->refcount);
	KUNIT_EXPECT_PTR_EQ(test, folio->mapping, row->has_mapping ? &mapping : NULL);
	KUNIT_EXPECT_EQ(test, waiter.woken, row->woken);

	/* What the kernel has left to others is done as for device-private memory. */
	pgmap->type = MEMORY_DEVICE_PRIVATE;
	pgmap->ops = ops;
	folio->pgmap = pgmap;
	if (!row->callbacks) {
		folio_set_count(folio, 1);
		folio_put(folio);
	} else if (row->has_refs) {
		percpu_ref_put_many(&pgmap->ref, nr);
	}
	fake_zdev_check_pool(test, zdev);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(zdev), 0);
}

static struct kunit_case device_private_thp_free_type_cases[] = {
	FAKE_ZDEV_CASE_ROWS(last_put_does_what_the_type_says, init_types),
	{}
};

static struct kunit_suite device_private_thp_free_type_suite = {
	.name = "device_private_thp_free_type",
	.test_cases = device_private_thp_free_type_cases,
};

kunit_test_suite(device_private_thp_free_type_suite);

MODULE_DESCRIPTION("KUnit tests: the last put of a folio, by the type of its pgmap");
MODULE_LICENSE("GPL");
