// SPDX-License-Identifier: GPL-2.0-only
/*
 * One folio of each order in each direction, with each kind of destinations: the
 * complete state after each of the three phases.
 */
#include <kunit/test.h>
#include <linux/mman.h>

#include "thp_migrate_model.h"

/**
 * struct trip_source - the folio that goes on a trip
 * @name: for the description
 * @order: its order
 * @by_ptes: HPAGE_PMD_ORDER: its PMD is split
 */
struct trip_source {
	const char *name;
	unsigned int order;
	bool by_ptes;
};

static const struct trip_source trip_sources[] = {
	{ "order0", 0 }, { "order2", 2 }, { "order3", 3 }, { "order4", 4 }, { "order5", 5 },
	{ "order6", 6 }, { "order7", 7 }, { "order8", 8 }, { "order9", 9 },
	{ "order9_by_ptes", 9, true },
};

/**
 * struct trip_direction - where it goes
 * @name: for the description
 * @from: where the folio is
 * @to: where it goes
 * @flags: for migrate_vma_setup()
 */
struct trip_direction {
	const char *name;
	enum thp_what from;
	enum thp_what to;
	unsigned long flags;
};

static const struct trip_direction trip_directions[] = {
	{ "system_to_device", THP_SYSTEM, THP_DEVICE,
	  MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND },
	{ "device_to_system", THP_DEVICE, THP_SYSTEM,
	  MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND },
	{ "device_to_peer", THP_DEVICE, THP_PEER,
	  MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND },
};

/**
 * struct trip_destination - what the driver offers
 * @name: for the description
 * @policy: the destinations
 * @late_pin: somebody takes a reference between the phases
 */
struct trip_destination {
	const char *name;
	enum fake_zdev_policy policy;
	bool late_pin;
};

static const struct trip_destination trip_destinations[] = {
	{ "as_source", FAKE_ZDEV_DST_AS_SOURCE },
	{ "all_small", FAKE_ZDEV_DST_ALL_SMALL },
	{ "first_small", FAKE_ZDEV_DST_FIRST_SMALL },
	{ "some_missing", FAKE_ZDEV_DST_SOME_MISSING },
	{ "none", FAKE_ZDEV_DST_NONE },
	{ "as_source_pinned", FAKE_ZDEV_DST_AS_SOURCE, true },
	{ "all_small_pinned", FAKE_ZDEV_DST_ALL_SMALL, true },
};

/**
 * struct trip_param - a trip
 */
struct trip_param {
	const struct trip_source *source;
	const struct trip_direction *direction;
	const struct trip_destination *destination;
};

static void trip_desc(struct kunit *test, const void *param, char *desc)
{
	const struct trip_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_%s_%s", p->source->name, p->direction->name,
		 p->destination->name);
}

static int trip_params_init(struct kunit *test)
{
	const unsigned int nr_directions = ARRAY_SIZE(trip_directions);
	const unsigned int nr_destinations = ARRAY_SIZE(trip_destinations);
	const unsigned int nr = ARRAY_SIZE(trip_sources) * nr_directions * nr_destinations;
	struct trip_param *params = kunit_kcalloc(test, nr, sizeof(*params), GFP_KERNEL);
	unsigned int i;

	KUNIT_ASSERT_NOT_NULL(test, params);
	for (i = 0; i < nr; i++)
		params[i] = (struct trip_param) {
			&trip_sources[i / nr_destinations / nr_directions],
			&trip_directions[i / nr_destinations % nr_directions],
			&trip_destinations[i % nr_destinations],
		};
	kunit_register_params_array(test, params, nr, trip_desc);
	return 0;
}

/*
 * Test that a folio of any order arrives in any direction, as a whole or in small
 * pieces, or stays where it is for want of a destination or because of somebody
 * else's reference; with everything as it must be after each phase, and its data.
 */
static void each_phase_of_a_trip_is_exact(struct kunit *test)
{
	const struct trip_param *p = test->param_value;
	const struct thp_piece pieces[] = {
		{ p->direction->from, p->source->order, 0, p->source->by_ptes }, {}
	};
	const struct thp_request req = {
		.end = 1UL << p->source->order,
		.flags = p->direction->flags,
		.owner = THP_DEVICE,
		.to = p->direction->to,
		.policy = p->destination->policy,
		.late_pin = p->destination->late_pin,
	};
	struct thp_fixture *f = test->priv;
	struct thp_model *model;

	if (req.to == THP_PEER)
		thp_fixture_add_peer(f);
	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	thp_model_run(model, &req, FAKE_ZDEV_PHASE_FINAL);
	thp_layout_read_back(model);
}

static struct kunit_case device_private_thp_migrate_trip_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(each_phase_of_a_trip_is_exact, kunit_array_gen_params,
				   trip_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_trip_suite = {
	.name = "device_private_thp_migrate_trip",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_trip_cases,
};

kunit_test_suite(device_private_thp_migrate_trip_suite);

MODULE_DESCRIPTION("KUnit tests: folios of all orders through migrate_vma, in all directions");
MODULE_LICENSE("GPL");
