// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ranges that are not one folio: a part of a PMD, two PMDs, and folios of system
 * memory and of two devices mixed with zero pages and holes. Each range over each
 * layout that it makes sense for, in each direction.
 */
#include <kunit/test.h>
#include <linux/mman.h>

#include "thp_migrate_model.h"

#define NR	HPAGE_PMD_NR

/**
 * struct range_layout - what the window holds
 * @name: for the description
 * @pieces: as for thp_layout_build()
 */
struct range_layout {
	const char *name;
	struct thp_piece pieces[THP_MAX_PIECES];
};

enum {
	HOLES, SYSTEM_THP, DEVICE_THP, HUGE_ZERO_THP, SYSTEM_MTHPS, DEVICE_MTHPS, MIXED,
	SYSTEM_PINNED, DEVICE_PINNED,
};

static const struct range_layout range_layouts[] = {
	[HOLES] = { "holes" },
	[SYSTEM_THP] = { "system_thps", {
		{ THP_SYSTEM, 9, 0 }, { THP_SYSTEM, 9, NR },
	} },
	[DEVICE_THP] = { "device_thps", {
		{ THP_DEVICE, 9, 0 }, { THP_DEVICE, 9, NR },
	} },
	[HUGE_ZERO_THP] = { "huge_zero_and_device_thp", {
		{ THP_HUGE_ZERO, 9, 0 }, { THP_DEVICE, 9, NR },
	} },
	[SYSTEM_MTHPS] = { "system_mthps", {
		{ THP_SYSTEM, 4, 0 }, { THP_SYSTEM, 0, 16 }, { THP_ZERO, 0, 17 },
		{ THP_SYSTEM, 3, 24 }, { THP_SYSTEM, 2, 32 }, { THP_SYSTEM, 0, 37 },
		{ THP_SYSTEM, 5, 480 }, { THP_SYSTEM, 2, NR }, { THP_SYSTEM, 0, NR + 9 },
	} },
	[DEVICE_MTHPS] = { "device_mthps", {
		{ THP_DEVICE, 4, 0 }, { THP_DEVICE, 0, 16 }, { THP_ZERO, 0, 17 },
		{ THP_DEVICE, 3, 24 }, { THP_DEVICE, 2, 32 }, { THP_DEVICE, 0, 37 },
		{ THP_DEVICE, 5, 480 }, { THP_DEVICE, 2, NR }, { THP_DEVICE, 0, NR + 9 },
	} },
	[MIXED] = { "mixed", {
		{ THP_DEVICE, 3, 0 }, { THP_SYSTEM, 3, 8 }, { THP_PEER, 3, 16 },
		{ THP_ZERO, 0, 24 }, { THP_DEVICE, 0, 25 }, { THP_SYSTEM, 0, 26 },
		{ THP_PEER, 0, 27 }, { THP_SYSTEM, 2, 32 }, { THP_DEVICE, 4, 48 },
		{ THP_PEER, 9, NR },
	} },
	[SYSTEM_PINNED] = { "system_pinned", {
		{ THP_SYSTEM, 0, 0 }, { THP_SYSTEM, 0, 1, false, 1 }, { THP_SYSTEM, 2, 4 },
		{ THP_SYSTEM, 3, 8, false, 1 }, { THP_SYSTEM, 0, 16 }, { THP_SYSTEM, 2, 20 },
		{ THP_SYSTEM, 9, NR, false, 1 },
	} },
	[DEVICE_PINNED] = { "device_pinned", {
		{ THP_DEVICE, 0, 0 }, { THP_DEVICE, 0, 1, false, 1 }, { THP_DEVICE, 2, 4 },
		{ THP_DEVICE, 0, 8, false, 2 }, { THP_DEVICE, 3, 16, false, 1 },
		{ THP_DEVICE, 0, 24 }, { THP_DEVICE, 9, NR, false, 1 },
	} },
};

/**
 * struct range_part - a part of the window
 * @name: for the description
 * @start: first page
 * @end: the page after the last one
 */
struct range_part {
	const char *name;
	unsigned long start;
	unsigned long end;
};

enum {
	WHOLE, TWO, FIRST, LAST, ALL_BUT_FIRST, ALL_BUT_LAST, MIDDLE, ACROSS, SEAM, LOW, ODD,
};

static const struct range_part range_parts[] = {
	[WHOLE] = { "one_pmd", 0, NR },
	[TWO] = { "two_pmds", 0, 2 * NR },
	[FIRST] = { "first_page", 0, 1 },
	[LAST] = { "last_page", NR - 1, NR },
	[ALL_BUT_FIRST] = { "all_but_first_page", 1, NR },
	[ALL_BUT_LAST] = { "all_but_last_page", 0, NR - 1 },
	[MIDDLE] = { "middle", 100, 200 },
	[ACROSS] = { "one_pmd_and_a_half", 0, NR + NR / 2 },
	[SEAM] = { "end_of_one_pmd_start_of_next", NR - 1, NR + 1 },
	[LOW] = { "first_64_pages", 0, 64 },
	[ODD] = { "pages_5_to_35", 5, 35 },
};

/**
 * struct range_way - how, and where to
 * @name: for the description
 * @flags: for migrate_vma_setup()
 * @owner: as in struct thp_request
 * @to: as in struct thp_request
 * @policy: destinations
 */
struct range_way {
	const char *name;
	unsigned long flags;
	enum thp_what owner;
	enum thp_what to;
	enum fake_zdev_policy policy;
};

enum {
	OUT, OUT_SMALL, OUT_PAGES, OUT_MISSING, OUT_NONE, BACK, BACK_SMALL, BACK_PAGES,
	BACK_MISSING, OVER, OVER_SMALL, OVER_FROM_PEER,
};

static const struct range_way range_ways[] = {
	[OUT] = { "to_device", MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND,
		  THP_DEVICE, THP_DEVICE, FAKE_ZDEV_DST_AS_SOURCE },
	[OUT_SMALL] = { "to_device_all_small",
			MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND,
			THP_DEVICE, THP_DEVICE, FAKE_ZDEV_DST_ALL_SMALL },
	[OUT_PAGES] = { "to_device_no_compound", MIGRATE_VMA_SELECT_SYSTEM,
			THP_DEVICE, THP_DEVICE, FAKE_ZDEV_DST_AS_SOURCE },
	[OUT_MISSING] = { "to_device_some_missing",
			  MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND,
			  THP_DEVICE, THP_DEVICE, FAKE_ZDEV_DST_SOME_MISSING },
	[OUT_NONE] = { "to_device_no_destination",
		       MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND,
		       THP_DEVICE, THP_DEVICE, FAKE_ZDEV_DST_NONE },
	[BACK] = { "to_system", MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND,
		   THP_DEVICE, THP_SYSTEM, FAKE_ZDEV_DST_AS_SOURCE },
	[BACK_SMALL] = { "to_system_all_small",
			 MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND,
			 THP_DEVICE, THP_SYSTEM, FAKE_ZDEV_DST_ALL_SMALL },
	[BACK_PAGES] = { "to_system_no_compound", MIGRATE_VMA_SELECT_DEVICE_PRIVATE,
			 THP_DEVICE, THP_SYSTEM, FAKE_ZDEV_DST_AS_SOURCE },
	[BACK_MISSING] = { "to_system_some_missing",
			   MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND,
			   THP_DEVICE, THP_SYSTEM, FAKE_ZDEV_DST_SOME_MISSING },
	[OVER] = { "all_to_peer", MIGRATE_VMA_SELECT_SYSTEM |
		   MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND,
		   THP_DEVICE, THP_PEER, FAKE_ZDEV_DST_AS_SOURCE },
	[OVER_SMALL] = { "all_to_peer_all_small", MIGRATE_VMA_SELECT_SYSTEM |
			 MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND,
			 THP_DEVICE, THP_PEER, FAKE_ZDEV_DST_ALL_SMALL },
	[OVER_FROM_PEER] = { "of_peer_to_device",
			     MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND,
			     THP_PEER, THP_DEVICE, FAKE_ZDEV_DST_AS_SOURCE },
};

/**
 * struct range_group - layouts x parts x ways: all combinations of those set
 * @layouts: mask of layouts
 * @parts: mask of parts
 * @ways: mask of ways
 * @has_peer: they need a second device
 */
struct range_group {
	unsigned long layouts;
	unsigned long parts;
	unsigned long ways;
	bool has_peer;
};

/* Parts of a PMD, and more than one */
#define PMD_PARTS	(BIT(WHOLE) | BIT(TWO) | BIT(FIRST) | BIT(LAST) | BIT(ALL_BUT_FIRST) |	\
			 BIT(ALL_BUT_LAST) | BIT(MIDDLE) | BIT(ACROSS) | BIT(SEAM))
/* Parts that are of interest if there are small folios */
#define MTHP_PARTS	(BIT(WHOLE) | BIT(TWO) | BIT(LOW) | BIT(ODD) | BIT(FIRST) | BIT(SEAM))

static const struct range_group range_groups[] = {
	{
		.layouts = BIT(SYSTEM_THP) | BIT(HOLES),
		.parts = PMD_PARTS,
		/* A hole of a PMD, and some of its destinations missing: a known bug */
		.ways = BIT(OUT) | BIT(OUT_SMALL) | BIT(OUT_PAGES) | BIT(OUT_NONE),
	}, {
		.layouts = BIT(SYSTEM_THP),
		.parts = BIT(TWO) | BIT(MIDDLE) | BIT(ACROSS),
		.ways = BIT(OUT_MISSING) | BIT(BACK),
	}, {
		.layouts = BIT(DEVICE_THP),
		.parts = PMD_PARTS,
		.ways = BIT(BACK) | BIT(BACK_SMALL) | BIT(BACK_PAGES),
	}, {
		.layouts = BIT(DEVICE_THP),
		.parts = BIT(TWO) | BIT(MIDDLE) | BIT(ACROSS),
		.ways = BIT(BACK_MISSING) | BIT(OUT),
	}, {
		.layouts = BIT(DEVICE_THP),
		.parts = BIT(TWO) | BIT(MIDDLE) | BIT(ACROSS),
		.ways = BIT(OVER) | BIT(OVER_SMALL) | BIT(OVER_FROM_PEER),
		.has_peer = true,
	}, {
		.layouts = BIT(HUGE_ZERO_THP),
		.parts = BIT(WHOLE) | BIT(TWO) | BIT(MIDDLE) | BIT(SEAM),
		.ways = BIT(OUT) | BIT(OUT_SMALL) | BIT(OUT_PAGES) | BIT(BACK),
	}, {
		.layouts = BIT(HUGE_ZERO_THP),
		.parts = BIT(TWO) | BIT(SEAM),
		.ways = BIT(OVER),
		.has_peer = true,
	}, {
		.layouts = BIT(SYSTEM_MTHPS) | BIT(SYSTEM_PINNED),
		.parts = MTHP_PARTS,
		.ways = BIT(OUT) | BIT(OUT_MISSING) | BIT(OUT_PAGES) | BIT(OUT_NONE),
	}, {
		.layouts = BIT(DEVICE_MTHPS) | BIT(DEVICE_PINNED),
		.parts = MTHP_PARTS,
		.ways = BIT(BACK) | BIT(BACK_MISSING) | BIT(BACK_PAGES),
	}, {
		.layouts = BIT(DEVICE_MTHPS) | BIT(DEVICE_PINNED),
		.parts = BIT(TWO) | BIT(ODD),
		.ways = BIT(OVER),
		.has_peer = true,
	}, {
		.layouts = BIT(MIXED),
		.parts = BIT(TWO) | BIT(LOW) | BIT(ODD) | BIT(ACROSS),
		.ways = BIT(OUT) | BIT(OUT_PAGES) | BIT(BACK) | BIT(OVER) | BIT(OVER_SMALL) |
			BIT(OVER_FROM_PEER),
		.has_peer = true,
	},
};

/**
 * struct range_param - a layout, a part of it, and what becomes of it
 */
struct range_param {
	const struct range_layout *layout;
	const struct range_part *part;
	const struct range_way *way;
	bool has_peer;
};

static void range_desc(struct kunit *test, const void *param, char *desc)
{
	const struct range_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_%s_%s", p->layout->name, p->part->name,
		 p->way->name);
}

static int range_params_init(struct kunit *test)
{
	unsigned long layout, part, way;
	struct range_param *params;
	unsigned int i, nr = 0;

	for (i = 0; i < ARRAY_SIZE(range_groups); i++)
		nr += hweight_long(range_groups[i].layouts) *
		      hweight_long(range_groups[i].parts) * hweight_long(range_groups[i].ways);
	params = kunit_kcalloc(test, nr, sizeof(*params), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, params);
	nr = 0;
	for (i = 0; i < ARRAY_SIZE(range_groups); i++) {
		const struct range_group *g = &range_groups[i];

		for_each_set_bit(layout, &g->layouts, BITS_PER_LONG)
			for_each_set_bit(part, &g->parts, BITS_PER_LONG)
				for_each_set_bit(way, &g->ways, BITS_PER_LONG)
					params[nr++] = (struct range_param) {
						&range_layouts[layout], &range_parts[part],
						&range_ways[way], g->has_peer,
					};
	}
	kunit_register_params_array(test, params, nr, range_desc);
	return 0;
}

/*
 * Test that any range over any memory migrates what it selects, PMD by PMD or page
 * by page, splits what is in the way, and leaves the rest alone; with everything
 * in the window as it must be after each phase.
 */
static void each_phase_of_a_range_is_exact(struct kunit *test)
{
	const struct range_param *p = test->param_value;
	const struct thp_request req = {
		.start = p->part->start,
		.end = p->part->end,
		.flags = p->way->flags,
		.owner = p->way->owner,
		.to = p->way->to,
		.policy = p->way->policy,
	};
	struct thp_fixture *f = test->priv;
	struct thp_model *model;

	if (p->has_peer)
		thp_fixture_add_peer(f);
	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, p->layout->pieces);
	thp_model_run(model, &req, FAKE_ZDEV_PHASE_FINAL);
	thp_layout_unpin(model);
	thp_layout_read_back(model);
}

static struct kunit_case device_private_thp_migrate_range_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(each_phase_of_a_range_is_exact, kunit_array_gen_params,
				   range_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_range_suite = {
	.name = "device_private_thp_migrate_range",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_range_cases,
};

kunit_test_suite(device_private_thp_migrate_range_suite);

MODULE_DESCRIPTION("KUnit tests: ranges of mixed memory through migrate_vma");
MODULE_LICENSE("GPL");
