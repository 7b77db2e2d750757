// SPDX-License-Identifier: GPL-2.0-only
/*
 * The parts of a device-private folio that was split while it was mapped, as
 * __folio_split() (mm/huge_memory.c) must leave them: device-private again,
 * mapped by PTEs, with the bits that the entries of the whole had.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "../internal.h"
#include "thp_split_parts.h"

static struct thp_split_parts *alloc_parts(struct thp_fixture *f, unsigned int old_order)
{
	struct thp_split_parts *parts = kunit_kzalloc(f->test, sizeof(*parts), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(f->test, parts);
	parts->old_order = old_order;
	parts->lock_at = THP_SPLIT_NONE_LOCKED;
	parts->held = 1;
	parts->nr_mms = 1;
	parts->splits = 1;
	return parts;
}

/**
 * thp_split_parts_whole() - a folio mapped by PTEs that has not been split
 * @f: fixture
 * @order: order of the tracked folio
 *
 * Return: its only part, else as for thp_split_parts_uniform().
 */
struct thp_split_parts *thp_split_parts_whole(struct thp_fixture *f, unsigned int order)
{
	struct thp_split_parts *parts = alloc_parts(f, order);

	thp_split_oracle_uniform(&parts->layout, order, order);
	parts->splits = 0;
	return parts;
}

/**
 * thp_split_parts_uniform() - the parts of a uniform split
 * @f: fixture
 * @old_order: order of the tracked folio
 * @new_order: order of each part, 0 or 2..@old_order - 1
 *
 * Return: the parts, mapped by one mm as a whole, none locked: the caller
 * changes what is different. They live until the test ends.
 */
struct thp_split_parts *thp_split_parts_uniform(struct thp_fixture *f,
						unsigned int old_order,
						unsigned int new_order)
{
	struct thp_split_parts *parts = alloc_parts(f, old_order);

	thp_split_oracle_uniform(&parts->layout, old_order, new_order);
	return parts;
}

/**
 * thp_split_parts_non_uniform() - the parts of a non-uniform split
 * @f: fixture
 * @old_order: order of the tracked folio
 * @new_order: order of the part that has @split_at, 0 or 2..@old_order - 1
 * @split_at: page of the folio
 *
 * Return: as for thp_split_parts_uniform().
 */
struct thp_split_parts *thp_split_parts_non_uniform(struct thp_fixture *f,
						    unsigned int old_order,
						    unsigned int new_order,
						    unsigned int split_at)
{
	struct thp_split_parts *parts = alloc_parts(f, old_order);

	thp_split_oracle_non_uniform(&parts->layout, old_order, new_order, split_at);
	return parts;
}

static unsigned int nr_mapped(const struct thp_split_parts *parts, unsigned int i)
{
	unsigned int offset = parts->layout.parts[i].offset;
	unsigned int nr = 1U << parts->layout.parts[i].order, page, mapped = 0;

	for (page = offset; page < offset + nr; page++)
		mapped += !test_bit(page, parts->zapped);
	return mapped;
}

static bool is_locked(const struct thp_split_parts *parts, unsigned int i)
{
	unsigned int offset = parts->layout.parts[i].offset;

	return parts->lock_at >= offset &&
	       parts->lock_at - offset < 1U << parts->layout.parts[i].order;
}

/**
 * thp_split_part_is_live() - whether anybody still has a part
 * @parts: the parts
 * @i: number of one
 *
 * Return: false if it is free: __folio_split() drops the reference that each part
 * had while it was frozen, and nothing maps it.
 */
bool thp_split_part_is_live(const struct thp_split_parts *parts, unsigned int i)
{
	return is_locked(parts, i) || nr_mapped(parts, i);
}

static void sum_up(struct thp_split_parts *parts)
{
	unsigned int i;

	parts->live = 0;
	parts->mapped = 0;
	memset(parts->nr_anon, 0, sizeof(parts->nr_anon));
	for (i = 0; i < parts->layout.nr_parts; i++) {
		unsigned int order = parts->layout.parts[i].order;

		if (!thp_split_part_is_live(parts, i))
			continue;
		parts->live += 1U << order;
		parts->mapped += nr_mapped(parts, i);
		if (order)
			parts->nr_anon[order]++;
	}
}

static void want_totals(const struct thp_split_parts *parts, struct thp_state *w)
{
	const bool pmd_order = parts->old_order == HPAGE_PMD_ORDER;
	unsigned int order;

	for (order = 0; order < THP_NR_ORDERS; order++)
		w->nr_anon[order] = parts->nr_anon[order];
	w->pmd_leaves = parts->mapped;
	w->rss = parts->mapped;
	w->anon_mapped = parts->mapped;
	w->pgmap_refs = parts->live;
	w->dev_free = -(s64)parts->live;
	w->split[parts->old_order] = parts->splits;
	w->split_failed[parts->old_order] = parts->failures;
	w->ev_split_page = pmd_order ? parts->splits : 0;
	w->ev_split_failed = pmd_order ? parts->failures : 0;
	w->ev_split_pmd = parts->split_pmds;
}

/* Not all of the part is mapped; nothing, if only the test still has it. */
static void want_partial(struct thp_state *w, unsigned int mapped)
{
	const bool counts_pages = !w->order || IS_ENABLED(CONFIG_PAGE_MAPCOUNT);

	w->leaf = mapped ? THP_MIXED : THP_KIND_NONE;
	w->leaves = mapped;
	w->leaf_pfn = mapped;
	w->leaf_write = w->leaf_write ? mapped : 0;
	if (counts_pages)
		w->page_mapcount = mapped ? THP_MIXED : -1;
}

static void want_mms(struct thp_state *w, unsigned int nr_mms, unsigned int mapped)
{
	unsigned int i;

	w->mapcount = (s64)nr_mms * mapped;
	w->refcount = w->mapcount;
	w->nr_mapped = mapped;
	/* anon_vma_interval_tree: the parent's VMA comes before the child's copy */
	for (i = 0; i < 2; i++) {
		w->mm_id[i] = mapped && i < nr_mms ? i + 1 : 0;
		w->mm_id_mapcount[i] = mapped && i < nr_mms ? (s64)mapped - 1 : -1;
	}
	w->mm_shared = mapped && nr_mms > 1;
	if (w->page_mapcount == 0)
		w->page_mapcount = nr_mms - 1;
}

/*
 * Zapping leaves AnonExclusive set. __split_folio_to_order() clears all flags of
 * the new heads, which are the first pages of all parts but the first, and
 * nothing of the other pages.
 */
static void want_exclusive(const struct thp_split_parts *parts, unsigned int i,
			   struct thp_state *w)
{
	unsigned int offset = parts->layout.parts[i].offset;
	unsigned int nr = 1U << parts->layout.parts[i].order;

	w->excl_head = !i || !test_bit(offset, parts->zapped);
	w->excl = nr - !w->excl_head;
}

/**
 * thp_split_parts_want() - what the ledger must find of one part
 * @f: fixture; its @write and @exclusive are those of the entries
 * @parts: the parts; thp_split_parts_expect() has summed them up
 * @i: number of the part, which is live
 * @want: where to write
 *
 * Sources: __split_folio_to_order(), zone_device_private_split_cb(),
 * remove_migration_pte(), free_folio_and_swap_cache() as __folio_split() calls
 * them.
 */
void thp_split_parts_want(const struct thp_fixture *f, const struct thp_split_parts *parts,
			  unsigned int i, struct thp_state *want)
{
	unsigned int offset = parts->layout.parts[i].offset;
	unsigned int nr = 1U << parts->layout.parts[i].order;
	unsigned int mapped = nr_mapped(parts, i);

	thp_want(f, want, parts->layout.parts[i].order, THP_PTES);
	want->index += offset;
	want->zdd += (unsigned long)offset << PAGE_SHIFT;
	if (mapped != nr)
		want_partial(want, mapped);
	want_mms(want, parts->nr_mms, mapped);
	if (f->exclusive)
		want_exclusive(parts, i, want);
	if (is_locked(parts, i)) {
		want->flags |= BIT(PG_locked);
		want->refcount += parts->held;
	}
	want_totals(parts, want);
}

/**
 * thp_split_parts_expect() - check all parts that are in use, and all counters
 * @f: fixture
 * @parts: the parts
 * @step: name of the step, for the report
 *
 * As thp_ledger_expect() for each part, but what does not depend on the part is
 * read once. Stops at the first part that is wrong, and prints its table.
 *
 * Context: process context, nobody else uses the mms.
 */
void thp_split_parts_expect(struct thp_fixture *f, struct thp_split_parts *parts,
			    const char *step)
{
	char name[96];
	unsigned int i;

	sum_up(parts);
	thp_ledger_capture_totals(f, &f->after);
	for (i = 0; i < parts->layout.nr_parts; i++) {
		struct folio *folio = (struct folio *)(f->first + parts->layout.parts[i].offset);

		if (!thp_split_part_is_live(parts, i))
			continue;
		thp_split_parts_want(f, parts, i, &f->expected);
		thp_ledger_capture_folio(f, folio, &f->after);
		thp_ledger_capture_leaves(f, folio, &f->after);
		snprintf(name, sizeof(name), "%s: part %u of %u", step, i,
			 parts->layout.nr_parts);
		if (thp_ledger_compare(f, &f->before, &f->expected, &f->after, name))
			break;
	}
	f->before = f->after;
	thp_ledger_check_invariants(f, step);
}

/*
 * Inside ->folio_split(): both folios are frozen and locked, have their new
 * order, and the new one has no pgmap yet.
 */
static void expect_call(struct thp_fixture *f, const struct thp_split_layout *layout,
			unsigned int part)
{
	unsigned long base = fake_zdev_index(f->zdev, f->first);
	unsigned int n = part ? part - 1 : layout->nr_parts - 1;
	const struct fake_zdev_event *event = fake_zdev_event(f->zdev, n);
	struct kunit *test = f->test;

	KUNIT_ASSERT_NOT_NULL(test, event);
	KUNIT_EXPECT_EQ_MSG(test, event->type, part ? FAKE_ZDEV_SPLIT : FAKE_ZDEV_SPLIT_DONE,
			    "call for part %u", part);
	KUNIT_EXPECT_EQ_MSG(test, event->idx, base, "call for part %u", part);
	KUNIT_EXPECT_EQ_MSG(test, event->order, layout->parts[0].order, "part %u", part);
	KUNIT_EXPECT_EQ_MSG(test, event->refcount, 0, "part %u: head not frozen", part);
	KUNIT_EXPECT_TRUE_MSG(test, event->locked, "part %u: head not locked", part);
	KUNIT_EXPECT_TRUE_MSG(test, event->irqs_disabled, "part %u", part);
	if (!part)
		return;
	KUNIT_EXPECT_EQ_MSG(test, event->tail_idx, base + layout->parts[part].offset,
			    "part %u out of order", part);
	KUNIT_EXPECT_EQ_MSG(test, event->tail_order, layout->parts[part].order,
			    "part %u", part);
	KUNIT_EXPECT_EQ_MSG(test, event->tail_refcount, 0, "part %u not frozen", part);
	KUNIT_EXPECT_TRUE_MSG(test, event->tail_locked, "part %u not locked", part);
	KUNIT_EXPECT_PTR_EQ_MSG(test, event->tail_pgmap, NULL, "part %u", part);
}

/**
 * thp_split_parts_expect_calls() - check what the device was told of the split
 * @f: fixture; the event log was cleared right before the split
 * @parts: the parts, as of right after the split
 *
 * One call of ->folio_split() for each new folio, by ascending pfn, then one
 * without; then one of ->folio_free() for each part that nobody maps; nothing
 * else (__folio_freeze_and_split_unmapped(), __folio_split()).
 */
void thp_split_parts_expect_calls(struct thp_fixture *f,
				  const struct thp_split_parts *parts)
{
	unsigned long base = fake_zdev_index(f->zdev, f->first);
	unsigned int i, n = parts->layout.nr_parts;
	struct kunit *test = f->test;

	for (i = 0; i < parts->layout.nr_parts; i++)
		expect_call(f, &parts->layout, i);
	for (i = 0; i < parts->layout.nr_parts; i++) {
		const struct fake_zdev_event *event;

		if (thp_split_part_is_live(parts, i))
			continue;
		event = fake_zdev_event(f->zdev, n++);
		KUNIT_ASSERT_NOT_NULL_MSG(test, event, "part %u was not freed", i);
		KUNIT_EXPECT_EQ_MSG(test, event->type, FAKE_ZDEV_FREE, "part %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->idx, base + parts->layout.parts[i].offset,
				    "part %u", i);
		KUNIT_EXPECT_EQ_MSG(test, event->order, parts->layout.parts[i].order,
				    "part %u", i);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), n);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_lost_events(f->zdev), 0);
}

/**
 * thp_split_parts_hold() - what the test held as a whole, it holds as a part
 * @f: fixture; the test holds the tracked folio
 * @parts: the parts of that folio, one of them locked
 */
void thp_split_parts_hold(struct thp_fixture *f, const struct thp_split_parts *parts)
{
	__clear_bit(thp_fixture_page_nr(f, f->first), f->held);
	thp_fixture_hold(f, page_folio(f->first + parts->lock_at));
}

/**
 * thp_split_parts_let_go() - unlock the part that is locked, drop the reference
 * @f: fixture
 * @parts: the parts; none is locked afterwards
 */
void thp_split_parts_let_go(struct thp_fixture *f, struct thp_split_parts *parts)
{
	thp_fixture_let_go(f, page_folio(f->first + parts->lock_at));
	parts->lock_at = THP_SPLIT_NONE_LOCKED;
}
