// SPDX-License-Identifier: GPL-2.0-only
/*
 * A folio for folio_split_unmapped(), and what must come of the split: the state
 * of each part, the calls of the driver's callback, and nothing else.
 */
#include <linux/mm.h>

#include "thp_fixture_system.h"
#include "thp_split_unmapped.h"

const struct thp_split_pair thp_split_pairs[] = {
	{ 2, 0 },
	{ 3, 0 }, { 3, 2 },
	{ 4, 0 }, { 4, 2 }, { 4, 3 },
	{ 5, 0 }, { 5, 2 }, { 5, 3 }, { 5, 4 },
	{ 6, 0 }, { 6, 2 }, { 6, 3 }, { 6, 4 }, { 6, 5 },
	{ 7, 0 }, { 7, 2 }, { 7, 3 }, { 7, 4 }, { 7, 5 }, { 7, 6 },
	{ 8, 0 }, { 8, 2 }, { 8, 3 }, { 8, 4 }, { 8, 5 }, { 8, 6 }, { 8, 7 },
	{ 9, 0 }, { 9, 2 }, { 9, 3 }, { 9, 4 }, { 9, 5 }, { 9, 6 }, { 9, 7 }, { 9, 8 },
};

static_assert(ARRAY_SIZE(thp_split_pairs) == THP_NR_SPLIT_PAIRS);

static const struct thp_split_pair to_0_pairs[] = {
	{ 2, 0 }, { 3, 0 }, { 4, 0 }, { 5, 0 }, { 6, 0 }, { 7, 0 }, { 8, 0 }, { 9, 0 },
};

/**
 * thp_split_pair_desc() - describe a struct thp_split_pair
 * @test: the test
 * @param: the pair
 * @desc: where to write
 */
void thp_split_pair_desc(struct kunit *test, const void *param, char *desc)
{
	const struct thp_split_pair *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u", p->old_order, p->new_order);
}

/**
 * thp_split_pairs_init() - parameters of a test: all of thp_split_pairs
 * @test: the test
 *
 * Return: 0
 */
int thp_split_pairs_init(struct kunit *test)
{
	kunit_register_params_array(test, thp_split_pairs, THP_NR_SPLIT_PAIRS,
				    thp_split_pair_desc);
	return 0;
}

/**
 * thp_split_to_0_init() - parameters of a test: the splits to order 0
 * @test: the test
 *
 * Return: 0
 */
int thp_split_to_0_init(struct kunit *test)
{
	kunit_register_params_array(test, to_0_pairs, ARRAY_SIZE(to_0_pairs),
				    thp_split_pair_desc);
	return 0;
}

/**
 * thp_unmapped_alloc() - a folio in the state that folio_split_unmapped() is for
 * @f: fixture
 * @memory: whose pages
 * @order: order of the folio
 *
 * See thp_fixture_make_anon() and thp_fixture_alloc_system().
 *
 * Context: process context
 * Return: the folio, held and tracked.
 */
struct folio *thp_unmapped_alloc(struct thp_fixture *f, enum thp_memory memory,
				 unsigned int order)
{
	struct folio *folio;

	if (memory == THP_SYSTEM)
		return thp_fixture_alloc_system(f, order);
	folio = thp_fixture_alloc(f, order);
	thp_fixture_make_anon(f, folio);
	return folio;
}

/**
 * thp_unmapped_want() - what the ledger must find of it
 * @f: fixture
 * @want: where to write
 * @memory: whose pages
 * @order: order of the folio
 */
void thp_unmapped_want(const struct thp_fixture *f, struct thp_state *want,
		       enum thp_memory memory, unsigned int order)
{
	thp_want(f, want, order, THP_UNMAPPED);
	if (memory == THP_SYSTEM)
		thp_want_system(want);
}

/**
 * thp_unmapped_put() - let go of what thp_unmapped_alloc() has made
 * @f: fixture
 * @memory: whose pages
 *
 * Unlocks every folio that the pages are in by now, and drops its reference.
 *
 * Context: process context
 */
void thp_unmapped_put(struct thp_fixture *f, enum thp_memory memory)
{
	unsigned long i, nr;

	if (memory == THP_SYSTEM) {
		thp_fixture_put_system(f);
		return;
	}
	for (i = 0; i < f->nr_tracked; i += nr) {
		struct folio *folio = page_folio(f->first + i);

		nr = folio_nr_pages(folio);
		thp_fixture_let_go(f, folio);
	}
}

/*
 * One call of ->folio_split() from __folio_freeze_and_split_unmapped(): both
 * folios are frozen and locked, both have their new order, and the new folio
 * has no pgmap yet. @part 0 stands for the last call, which has no new folio.
 */
static void expect_call(struct thp_fixture *f, const struct fake_zdev_event *event,
			const struct thp_split_layout *layout, unsigned int part)
{
	unsigned long base = fake_zdev_index(f->zdev, f->first);
	struct kunit *test = f->test;

	KUNIT_EXPECT_EQ_MSG(test, event->type, part ? FAKE_ZDEV_SPLIT : FAKE_ZDEV_SPLIT_DONE,
			    "call for part %u", part);
	KUNIT_EXPECT_EQ_MSG(test, event->idx, base, "call for part %u", part);
	KUNIT_EXPECT_EQ_MSG(test, event->order, layout->parts[0].order, "part %u", part);
	KUNIT_EXPECT_EQ_MSG(test, event->refcount, 0, "part %u: head not frozen", part);
	KUNIT_EXPECT_TRUE_MSG(test, event->locked, "part %u: head not locked", part);
	KUNIT_EXPECT_TRUE_MSG(test, event->irqs_disabled, "part %u", part);
	if (!part) {
		KUNIT_EXPECT_EQ(test, event->tail_idx, FAKE_ZDEV_NO_PAGE);
		return;
	}
	KUNIT_EXPECT_EQ_MSG(test, event->tail_idx, base + layout->parts[part].offset,
			    "part %u out of order", part);
	KUNIT_EXPECT_EQ_MSG(test, event->tail_order, layout->parts[part].order,
			    "part %u", part);
	KUNIT_EXPECT_EQ_MSG(test, event->tail_refcount, 0, "part %u not frozen", part);
	KUNIT_EXPECT_TRUE_MSG(test, event->tail_locked, "part %u not locked", part);
	KUNIT_EXPECT_PTR_EQ_MSG(test, event->tail_pgmap, NULL, "part %u", part);
}

/**
 * thp_split_expect_calls() - check the callbacks of one split
 * @f: fixture; fake_zdev_clear_events() was called before the split
 * @layout: what the split has made of the tracked folio
 *
 * One for each new folio, by ascending pfn, then one without. Nothing else has
 * happened to the device.
 */
void thp_split_expect_calls(struct thp_fixture *f, const struct thp_split_layout *layout)
{
	unsigned long nr = fake_zdev_nr_events(f->zdev), i;

	KUNIT_EXPECT_EQ(f->test, fake_zdev_nr_lost_events(f->zdev), 0);
	KUNIT_EXPECT_EQ(f->test, nr, layout->nr_parts);
	for (i = 0; i < min_t(unsigned long, layout->nr_parts, nr); i++)
		expect_call(f, fake_zdev_event(f->zdev, i), layout, (i + 1) % layout->nr_parts);
}

/**
 * thp_split_expect_no_calls() - check that the driver was told of no split
 * @f: fixture
 */
void thp_split_expect_no_calls(struct thp_fixture *f)
{
	KUNIT_EXPECT_EQ(f->test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT), 0);
	KUNIT_EXPECT_EQ(f->test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT_DONE), 0);
}

/**
 * thp_split_expect_layout() - check which folios there are
 * @f: fixture
 * @layout: what has become of the tracked folio
 */
void thp_split_expect_layout(struct thp_fixture *f, const struct thp_split_layout *layout)
{
	unsigned int i;

	for (i = 0; i < layout->nr_parts; i++) {
		struct page *page = f->first + layout->parts[i].offset;

		KUNIT_EXPECT_FALSE_MSG(f->test, PageTail(page), "part %u", i);
		KUNIT_EXPECT_EQ_MSG(f->test, folio_order(page_folio(page)),
				    layout->parts[i].order, "part %u", i);
	}
}

/**
 * thp_unmapped_split() - split the tracked folio, check all that comes of it
 * @f: fixture, after thp_unmapped_alloc()
 * @memory: whose pages
 * @pair: the split
 * @want: expectation for the folio before the split; becomes that of a part. The
 *	references of the swap cache are the parts' own afterwards.
 * @step: name of the step, for the report
 *
 * The parts are held afterwards.
 *
 * Context: process context
 * Return: whether it was split at all; else the test has failed.
 */
bool thp_unmapped_split(struct thp_fixture *f, enum thp_memory memory,
			const struct thp_split_pair *pair, struct thp_state *want,
			const char *step)
{
	struct thp_split_layout *layout = kunit_kzalloc(f->test, sizeof(*layout), GFP_KERNEL);
	unsigned int i;
	int ret;

	KUNIT_ASSERT_NOT_NULL(f->test, layout);
	thp_split_oracle_uniform(layout, pair->old_order, pair->new_order);
	fake_zdev_clear_events(f->zdev);

	ret = folio_split_unmapped(page_folio(f->first), pair->new_order);
	KUNIT_EXPECT_EQ_MSG(f->test, ret, 0, "%s", step);
	if (ret)
		return false;
	for (i = 0; memory == THP_DEVICE && i < layout->nr_parts; i++)
		thp_fixture_hold(f, (struct folio *)(f->first + layout->parts[i].offset));

	thp_want_split(want, pair->old_order, pair->new_order);
	if (want->flags & BIT(PG_swapcache))
		want->refcount = 1 + (1L << pair->new_order);
	thp_ledger_expect_each(f, f->first, layout->nr_parts, want, step);
	thp_split_expect_layout(f, layout);
	if (memory == THP_DEVICE)
		thp_split_expect_calls(f, layout);
	else
		thp_split_expect_no_calls(f);
	return true;
}
