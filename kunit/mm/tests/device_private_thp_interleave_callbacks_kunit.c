// SPDX-License-Identifier: GPL-2.0-only
/*
 * Phase interleaving inside of ->folio_split() and ->folio_free(), where nobody
 * may sleep: others can still try to take references, and that is all.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "thp_interleave.h"

/**
 * enum callback_do - what is done in the callback
 * @TRY_HEAD: folio_try_get() on the folio that is split, or freed
 * @TRY_TAIL: folio_try_get() on the part that is being split off
 * @TRY_EARLIER: folio_try_get() on the part that was split off before
 * @GET_PUT_DST: a reference on the destination, for a moment
 */
enum callback_do { TRY_HEAD, TRY_TAIL, TRY_EARLIER, GET_PUT_DST };

/**
 * struct callback_row - one case
 * @row: the migration; its operation never happens
 * @event: the callback
 * @what: what is done there
 * @got: whether it gets the reference; it keeps it until the end
 */
struct callback_row {
	struct ileave_row row;
	enum fake_zdev_event_type event;
	enum callback_do what;
	bool got;
};

/*
 * The part that is the third page: the second is a folio already, with its
 * reference unfrozen; the third and the head are not yet.
 */
#define TAIL		2
#define EARLIER		1

#define MIGRATION(_way, _route, _shape, _order)				\
	{ .way = ILEAVE_##_way, .route = ILEAVE_##_route,		\
	  .shape = ILEAVE_##_shape, .order = _order, .point = ILEAVE_NR_POINTS }

static const struct callback_row callback_rows[] = {
	{ MIGRATION(VMA, TO_RAM, PMD_SMALL, 9), FAKE_ZDEV_SPLIT, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_RAM, PMD_SMALL, 9), FAKE_ZDEV_SPLIT, TRY_TAIL, false },
	{ MIGRATION(VMA, TO_RAM, PMD_SMALL, 9), FAKE_ZDEV_SPLIT, TRY_EARLIER, true },
	{ MIGRATION(VMA, TO_RAM, PMD_SMALL, 9), FAKE_ZDEV_SPLIT_DONE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_RAM, PMD_SMALL, 9), FAKE_ZDEV_SPLIT_DONE, TRY_EARLIER, true },
	{ MIGRATION(VMA, TO_RAM, PTES, 9), FAKE_ZDEV_SPLIT, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_RAM, PTES, 9), FAKE_ZDEV_SPLIT, TRY_TAIL, false },
	{ MIGRATION(VMA, TO_RAM, PTES, 9), FAKE_ZDEV_SPLIT, TRY_EARLIER, true },
	{ MIGRATION(VMA, TO_RAM, PTES, 9), FAKE_ZDEV_SPLIT_DONE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_RAM, PTES, 9), FAKE_ZDEV_SPLIT_DONE, TRY_EARLIER, true },
	{ MIGRATION(VMA, TO_PEER, PMD_SMALL, 9), FAKE_ZDEV_SPLIT, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_PEER, PMD_SMALL, 9), FAKE_ZDEV_SPLIT, TRY_TAIL, false },
	{ MIGRATION(VMA, TO_PEER, PMD_SMALL, 9), FAKE_ZDEV_SPLIT, TRY_EARLIER, true },
	{ MIGRATION(VMA, TO_PEER, PMD_SMALL, 9), FAKE_ZDEV_SPLIT_DONE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_PEER, PMD_SMALL, 9), FAKE_ZDEV_SPLIT_DONE, TRY_EARLIER, true },
	{ MIGRATION(VMA, TO_PEER, PTES, 9), FAKE_ZDEV_SPLIT, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_PEER, PTES, 9), FAKE_ZDEV_SPLIT, TRY_TAIL, false },
	{ MIGRATION(VMA, TO_PEER, PTES, 9), FAKE_ZDEV_SPLIT, TRY_EARLIER, true },
	{ MIGRATION(VMA, TO_PEER, PTES, 9), FAKE_ZDEV_SPLIT_DONE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_PEER, PTES, 9), FAKE_ZDEV_SPLIT_DONE, TRY_EARLIER, true },
	{ MIGRATION(VMA, TO_RAM, PMD, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_RAM, PMD, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(VMA, TO_RAM, PMD_SMALL, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_RAM, PMD_SMALL, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(VMA, TO_RAM, PTES, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_RAM, PTES, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(VMA, TO_RAM, MTHP, 4), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_RAM, MTHP, 4), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(VMA, TO_PEER, PMD, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_PEER, PMD, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(VMA, TO_PEER, PMD_SMALL, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_PEER, PMD_SMALL, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(VMA, TO_PEER, PTES, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_PEER, PTES, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(VMA, TO_PEER, MTHP, 5), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(VMA, TO_PEER, MTHP, 5), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_RAM, PMD, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_RAM, PMD, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_RAM, PTES, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_RAM, PTES, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_RAM, MTHP, 2), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_RAM, MTHP, 2), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_RAM, MTHP, 3), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_RAM, MTHP, 3), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_RAM, MTHP, 8), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_RAM, MTHP, 8), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_PEER, PMD, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_PEER, PMD, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_PEER, PTES, 9), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_PEER, PTES, 9), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_PEER, MTHP, 6), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_PEER, MTHP, 6), FAKE_ZDEV_FREE, GET_PUT_DST, true },
	{ MIGRATION(RANGE, TO_PEER, MTHP, 7), FAKE_ZDEV_FREE, TRY_HEAD, false },
	{ MIGRATION(RANGE, TO_PEER, MTHP, 7), FAKE_ZDEV_FREE, GET_PUT_DST, true },
};

static void callback_desc(struct kunit *test, const void *param, char *desc)
{
	static const char * const ways[] = { "vma", "range" };
	static const char * const routes[] = { "to_device", "to_ram", "to_peer" };
	static const char * const shapes[] = { "pmd", "pmd_small", "ptes", "order" };
	static const char * const whats[] = { "try_head", "try_tail", "try_earlier",
					      "get_put_dst" };
	const struct callback_row *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "%s_%s_%s_%s_%s_order%u",
		 p->event == FAKE_ZDEV_SPLIT ? "split" :
		 p->event == FAKE_ZDEV_SPLIT_DONE ? "split_done" : "free",
		 whats[p->what], ways[p->row.way], routes[p->row.route],
		 shapes[p->row.shape], p->row.order);
}

static int callback_rows_init(struct kunit *test)
{
	kunit_register_params_array(test, callback_rows, ARRAY_SIZE(callback_rows),
				    callback_desc);
	return 0;
}

/**
 * struct callback_run - a case that is being run
 * @run: the migration
 * @p: the case
 * @calls: callbacks that were the one
 * @got: what folio_try_get() has said
 * @held: folio that it has got
 */
struct callback_run {
	struct ileave_run *run;
	const struct callback_row *p;
	unsigned int calls;
	bool got;
	struct folio *held;
};

static bool is_it(const struct callback_run *c, struct fake_zdev *zdev,
		  const struct fake_zdev_event *event)
{
	unsigned long first = fake_zdev_index(zdev, c->run->first);

	if (event->type != c->p->event || event->idx != first)
		return false;
	return event->type != FAKE_ZDEV_SPLIT || event->tail_idx == first + TAIL;
}

static struct folio *folio_of(const struct callback_run *c)
{
	switch (c->p->what) {
	case TRY_TAIL:
		return (struct folio *)(c->run->first + TAIL);
	case TRY_EARLIER:
		return (struct folio *)(c->run->first + EARLIER);
	case GET_PUT_DST:
		return page_folio(migrate_pfn_to_page(c->run->m->dst[0]));
	default:
		return (struct folio *)c->run->first;
	}
}

static void callback_hook(struct fake_zdev *zdev, const struct fake_zdev_event *event,
			  void *arg)
{
	struct callback_run *c = arg;
	struct folio *folio;

	if (!is_it(c, zdev, event))
		return;
	c->calls++;
	folio = folio_of(c);
	c->got = folio_try_get(folio);
	if (!c->got)
		return;
	if (c->p->what == GET_PUT_DST)
		folio_put(folio);
	else
		c->held = folio;
}

/* The phases. No assertion: the mmap lock may be held. */
static void run_phases(struct ileave_run *run)
{
	ileave_setup(run);
	ileave_check(run, "setup");
	ileave_copy(run);
	ileave_pages(run);
	KUNIT_EXPECT_EQ_MSG(run->test, ileave_moved(run), run->model->trip.moved,
			    "pages that moved");
	ileave_check(run, "pages");
	ileave_finalize(run);
	ileave_check(run, "finalize");
}

/*
 * Test that a reference can be had of exactly those folios that exist, as seen
 * from the callbacks of the device, and that one that is had keeps exactly its
 * folio from moving.
 */
static void callback_with_reference_ends_as_modelled(struct kunit *test)
{
	const struct callback_row *p = test->param_value;
	struct ileave_run *run = ileave_new_run(test, &p->row);
	struct callback_run c = { .run = run, .p = p };
	struct thp_fixture *f = test->priv;

	run->model->pinned_part = p->what == TRY_EARLIER ? EARLIER : 0;
	fake_zdev_set_hook(f->zdev, callback_hook, &c);
	if (p->row.way == ILEAVE_VMA)
		mmap_read_lock(f->mm);
	run_phases(run);
	if (p->row.way == ILEAVE_VMA)
		mmap_read_unlock(f->mm);
	fake_zdev_set_hook(f->zdev, NULL, NULL);

	KUNIT_EXPECT_EQ(test, c.calls, 1);
	KUNIT_EXPECT_EQ(test, c.got, p->got);
	if (c.held) {
		folio_put(c.held);
		ileave_model_unpin_part(run->model);
		ileave_check(run, "reference dropped");
	}
	ileave_read_back(run);
}

static struct kunit_case device_private_thp_interleave_callbacks_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(callback_with_reference_ends_as_modelled,
				   kunit_array_gen_params, callback_rows_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_interleave_callbacks_suite = {
	.name = "device_private_thp_interleave_callbacks",
	.init = ileave_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_interleave_callbacks_cases,
};

kunit_test_suite(device_private_thp_interleave_callbacks_suite);

MODULE_DESCRIPTION("KUnit tests: references taken in the callbacks of a device");
MODULE_LICENSE("GPL");
