// SPDX-License-Identifier: GPL-2.0-only
/*
 * What migrate_vma_setup() selects: each kind of memory, of each order, against
 * each combination of MIGRATE_VMA_SELECT_* and owner. The driver then changes its
 * mind, so that everything must be back in its place, which is the other half of
 * each case.
 */
#include <kunit/test.h>
#include <linux/mman.h>

#include "thp_migrate_model.h"

#define SYSTEM		MIGRATE_VMA_SELECT_SYSTEM
#define PRIVATE		MIGRATE_VMA_SELECT_DEVICE_PRIVATE
#define COHERENT	MIGRATE_VMA_SELECT_DEVICE_COHERENT
#define COMPOUND	MIGRATE_VMA_SELECT_COMPOUND

/**
 * struct select_source - what is at the start of the window
 * @name: for the description
 * @piece: the memory; a HOLE: nothing
 * @is_between: the same as the orders below and above it: not with all flags
 */
struct select_source {
	const char *name;
	struct thp_piece piece;
	bool is_between;
};

static const struct select_source select_sources[] = {
	{ "hole", { THP_HOLE, HPAGE_PMD_ORDER } },
	{ "zero_page", { THP_ZERO } },
	{ "huge_zero", { THP_HUGE_ZERO, HPAGE_PMD_ORDER } },
	{ "system_order0", { THP_SYSTEM, 0 } },
	{ "system_order2", { THP_SYSTEM, 2 } },
	{ "system_order3", { THP_SYSTEM, 3 }, true },
	{ "system_order4", { THP_SYSTEM, 4 } },
	{ "system_order5", { THP_SYSTEM, 5 }, true },
	{ "system_order6", { THP_SYSTEM, 6 }, true },
	{ "system_order7", { THP_SYSTEM, 7 }, true },
	{ "system_order8", { THP_SYSTEM, 8 } },
	{ "system_order9", { THP_SYSTEM, 9 } },
	{ "system_order9_by_ptes", { THP_SYSTEM, 9, 0, true } },
	{ "device_order0", { THP_DEVICE, 0 } },
	{ "device_order2", { THP_DEVICE, 2 } },
	{ "device_order3", { THP_DEVICE, 3 }, true },
	{ "device_order4", { THP_DEVICE, 4 } },
	{ "device_order5", { THP_DEVICE, 5 }, true },
	{ "device_order6", { THP_DEVICE, 6 }, true },
	{ "device_order7", { THP_DEVICE, 7 }, true },
	{ "device_order8", { THP_DEVICE, 8 } },
	{ "device_order9", { THP_DEVICE, 9 } },
	{ "device_order9_by_ptes", { THP_DEVICE, 9, 0, true } },
};

/**
 * struct select_flags - what is asked for
 * @name: for the description
 * @flags: MIGRATE_VMA_SELECT_*
 * @owner: as in struct thp_request
 * @for_all: for sources of all orders
 */
struct select_flags {
	const char *name;
	unsigned long flags;
	enum thp_what owner;
	bool for_all;
};

static const struct select_flags select_flags[] = {
	{ "nothing", 0, THP_DEVICE },
	{ "compound", COMPOUND, THP_DEVICE },
	{ "system", SYSTEM, THP_DEVICE },
	{ "system_compound", SYSTEM | COMPOUND, THP_DEVICE, true },
	{ "private", PRIVATE, THP_DEVICE },
	{ "private_compound", PRIVATE | COMPOUND, THP_DEVICE, true },
	{ "both", SYSTEM | PRIVATE, THP_DEVICE, true },
	{ "both_compound", SYSTEM | PRIVATE | COMPOUND, THP_DEVICE },
	{ "coherent_compound", COHERENT | COMPOUND, THP_DEVICE },
	{ "coherent_system", COHERENT | SYSTEM, THP_DEVICE },
	{ "private_of_peer", PRIVATE | COMPOUND, THP_PEER },
	{ "private_of_nobody", PRIVATE | COMPOUND, THP_HOLE },
	{ "private_of_a_stranger", PRIVATE, THP_ZERO },
};

/**
 * struct select_param - a source, and what is asked for
 */
struct select_param {
	const struct select_source *source;
	const struct select_flags *flags;
};

static void select_desc(struct kunit *test, const void *param, char *desc)
{
	const struct select_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_select_%s", p->source->name, p->flags->name);
}

static int select_params_init(struct kunit *test)
{
	const unsigned int max = ARRAY_SIZE(select_sources) * ARRAY_SIZE(select_flags);
	struct select_param *params = kunit_kcalloc(test, max, sizeof(*params), GFP_KERNEL);
	unsigned int i, n, nr = 0;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (i = 0; i < ARRAY_SIZE(select_sources); i++)
		for (n = 0; n < ARRAY_SIZE(select_flags); n++)
			if (!select_sources[i].is_between || select_flags[n].for_all)
				params[nr++] = (struct select_param) {
					&select_sources[i], &select_flags[n],
				};
	kunit_register_params_array(test, params, nr, select_desc);
	return 0;
}

/*
 * Test that migrate_vma_setup() takes what its flags and the owner select, and
 * nothing else, with src, cpages, every folio and every page table entry as they
 * must be; and that migrate_vma_finalize() without migrate_vma_pages() puts all of
 * it back as it was.
 */
static void setup_takes_what_is_selected_and_finalize_puts_it_back(struct kunit *test)
{
	const struct select_param *p = test->param_value;
	const struct thp_piece pieces[] = { p->source->piece, {} };
	const struct thp_request req = {
		.end = 1UL << p->source->piece.order,
		.flags = p->flags->flags,
		.owner = p->flags->owner,
		.to = THP_DEVICE,
	};
	struct thp_fixture *f = test->priv;
	struct thp_model *model;

	if (req.owner == THP_PEER)
		thp_fixture_add_peer(f);
	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	thp_model_run(model, &req, FAKE_ZDEV_PHASE_SETUP);
	thp_layout_read_back(model);
}

static struct kunit_case device_private_thp_migrate_select_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(setup_takes_what_is_selected_and_finalize_puts_it_back,
				   kunit_array_gen_params, select_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_select_suite = {
	.name = "device_private_thp_migrate_select",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_select_cases,
};

kunit_test_suite(device_private_thp_migrate_select_suite);

MODULE_DESCRIPTION("KUnit tests: what migrate_vma_setup() selects");
MODULE_LICENSE("GPL");
