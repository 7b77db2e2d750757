// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a split makes of the flags of a folio: which ones every part has from the
 * whole, and which ones it must not have; and what the driver can rely on when it
 * is told of a part.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/page-flags.h>

#include "thp_fixture_system.h"
#include "thp_split_unmapped.h"

#ifdef CONFIG_PAGE_IDLE_FLAG
#define IDLE_FLAGS	(BIT(PG_young) | BIT(PG_idle))
#else
#define IDLE_FLAGS	0
#endif

/*
 * Flags that say something of the memory, or of how it is used: what is true of
 * the whole is true of every part. PG_swapcache, too; but it takes a swap entry.
 */
#define CLONED		(BIT(PG_referenced) | BIT(PG_uptodate) | BIT(PG_dirty) |	\
			 BIT(PG_active) | BIT(PG_workingset) | BIT(PG_swapbacked) |	\
			 BIT(PG_unevictable) | BIT(PG_dropbehind) | BIT(PG_mlocked) |	\
			 IDLE_FLAGS)

/*
 * Flags of the head page alone: somebody who waits for this folio, a field that
 * only it has, or the state of an operation on it.
 */
#define NOT_CLONED	(BIT(PG_waiters) | BIT(PG_owner_2) | BIT(PG_arch_1) |		\
			 BIT(PG_private_2) | BIT(PG_reclaim))

/**
 * struct flags_round - flags of a folio before it is split
 * @name: for messages
 * @flags: those of CLONED and NOT_CLONED that it has
 *
 * Together the rounds tell any two flags apart: one that is handed on in place
 * of another shows in the second or third.
 */
static const struct flags_round {
	const char *name;
	unsigned long flags;
} flags_rounds[] = {
	{ "none", 0 },
	{ "all", CLONED | NOT_CLONED },
	{ "even", (CLONED | NOT_CLONED) & 0x5555555555555555UL },
	{ "odd", (CLONED | NOT_CLONED) & 0xaaaaaaaaaaaaaaaaUL },
	{ "cloned", CLONED },
	{ "not cloned", NOT_CLONED },
};

/* Flags that struct page has besides those of enum pageflags: node, zone, ... */
static unsigned long place_flags(const struct page *page)
{
	return page->flags.f & ~PAGEFLAGS_MASK;
}

static void split_with_flags(struct kunit *test, enum thp_memory memory,
			     const struct flags_round *round)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct folio *folio = thp_unmapped_alloc(f, memory, p->old_order);
	unsigned long nr = 1UL << p->old_order, step = 1UL << p->new_order, i;
	unsigned long order_flag = p->new_order ? BIT(PG_head) : 0;
	unsigned long kept = folio->flags.f & PAGEFLAGS_MASK &
			     ~(CLONED | NOT_CLONED | BIT(PG_head));

	folio->flags.f &= ~(CLONED | NOT_CLONED);
	folio->flags.f |= round->flags;
	/* As zapping leaves it in pages that are not mapped any more */
	for (i = 3; i < nr; i++)
		__set_bit(PG_anon_exclusive, &f->first[i].flags.f);

	KUNIT_EXPECT_EQ(test, folio_split_unmapped(folio, p->new_order), 0);
	for (i = 0; i < nr; i += step) {
		struct page *page = f->first + i;
		unsigned long want = place_flags(page) | order_flag;

		if (i)
			want |= (round->flags & CLONED) | BIT(PG_locked);
		else
			want |= round->flags | kept;
		KUNIT_EXPECT_EQ_MSG(test, page->flags.f, want, "%s: part at page %lu",
				    round->name, i);
		/* Whoever frees a page may not leave these. */
		page->flags.f &= ~(CLONED | NOT_CLONED);
	}
	for (i = 3; i < nr; i++)
		__clear_bit(PG_anon_exclusive, &f->first[i].flags.f);
	thp_unmapped_put(f, memory);
}

/* Test that every part has exactly the flags that it must have from the whole. */
static void device_parts_have_flags_of_whole(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags_rounds); i++)
		split_with_flags(test, THP_DEVICE, &flags_rounds[i]);
}

/* Test the same of system memory. */
static void system_parts_have_flags_of_whole(struct kunit *test)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags_rounds); i++)
		split_with_flags(test, THP_SYSTEM, &flags_rounds[i]);
}

/**
 * struct witness - what ->folio_split() found
 * @f: fixture
 * @pair: the split
 * @flags: flags that each part must have
 * @calls: number of calls
 * @wrong: number of things that were not as they have to be
 * @first: the first one of them
 */
struct witness {
	struct thp_fixture *f;
	const struct thp_split_pair *pair;
	unsigned long flags;
	unsigned int calls;
	unsigned int wrong;
	char first[96];
};

static void testify(struct witness *w, unsigned long offset, const char *what, s64 is, s64 want)
{
	if (is == want)
		return;
	if (!w->wrong++)
		snprintf(w->first, sizeof(w->first),
			 "call %u: part at page %lu: %s is %#llx, not %#llx",
			 w->calls, offset, what, is, want);
}

/* What each part has by the time that the driver is told of the first one */
static void look_at_part(struct witness *w, unsigned long offset)
{
	struct folio *folio = (struct folio *)(w->f->first + offset);
	struct folio *head = (struct folio *)w->f->first;

	testify(w, offset, "PageTail", PageTail(&folio->page), 0);
	testify(w, offset, "order", folio_order(folio), w->pair->new_order);
	testify(w, offset, "flags", folio->flags.f & CLONED, w->flags);
	testify(w, offset, "mapping", (s64)folio->mapping, (s64)head->mapping);
	testify(w, offset, "index", folio->index, head->index + offset);
#ifdef CONFIG_MEMCG
	testify(w, offset, "memcg_data", folio->memcg_data, w->f->memcg);
#endif
}

/*
 * Runs in ->folio_split() of the fake device, after it has set pgmap and
 * zone_device_data. Parts become usable one by one: those that the driver has
 * been told of before this one have a reference by now, all others are frozen,
 * and the head, which everybody finds through them, is frozen to the end.
 */
static void witness_split(struct fake_zdev *zdev, const struct fake_zdev_event *event, void *arg)
{
	struct witness *w = arg;
	unsigned long step = 1UL << w->pair->new_order;
	unsigned long end = 1UL << w->pair->old_order;
	unsigned long offset;

	if (event->type != FAKE_ZDEV_SPLIT && event->type != FAKE_ZDEV_SPLIT_DONE)
		return;
	offset = event->type == FAKE_ZDEV_SPLIT ? ++w->calls << w->pair->new_order : end;
	testify(w, 0, "refcount", page_ref_count(w->f->first), 0);
	testify(w, 0, "irqs_disabled", irqs_disabled(), 1);
	if (offset > step)
		testify(w, offset - step, "refcount",
			page_ref_count(w->f->first + offset - step), 1);
	if (offset < end) {
		testify(w, offset, "refcount", page_ref_count(w->f->first + offset), 0);
		look_at_part(w, offset);
	}
	if (offset + step < end) {
		testify(w, offset + step, "refcount",
			page_ref_count(w->f->first + offset + step), 0);
		look_at_part(w, offset + step);
	}
}

/*
 * Test that a driver that is told of a part finds it complete, frozen and
 * locked, the parts before it in use, and those behind it complete and frozen.
 */
static void device_callback_finds_parts_complete(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	const struct thp_split_pair *p = test->param_value;
	struct folio *folio = thp_unmapped_alloc(f, THP_DEVICE, p->old_order);
	struct witness w = { .f = f, .pair = p };
	struct thp_state want;

	f->flags = BIT(PG_dirty) | BIT(PG_workingset);
	folio->flags.f |= f->flags;
	thp_unmapped_want(f, &want, THP_DEVICE, p->old_order);
	w.flags = want.flags & CLONED;
	fake_zdev_set_hook(f->zdev, witness_split, &w);
	thp_unmapped_split(f, THP_DEVICE, p, &want, "folio_split_unmapped");
	fake_zdev_set_hook(f->zdev, NULL, NULL);
	KUNIT_EXPECT_EQ(test, w.calls, (1U << (p->old_order - p->new_order)) - 1);
	KUNIT_EXPECT_EQ_MSG(test, w.wrong, 0, "%s", w.first);
	thp_unmapped_put(f, THP_DEVICE);
}

static struct kunit_case thp_split_flags_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(device_parts_have_flags_of_whole, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(system_parts_have_flags_of_whole, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_callback_finds_parts_complete, kunit_array_gen_params,
				   thp_split_pairs_init, NULL),
	{}
};

static struct kunit_suite thp_split_flags_suite = {
	.name = "thp_split_flags",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_split_flags_cases,
};

kunit_test_suite(thp_split_flags_suite);

MODULE_DESCRIPTION("KUnit tests: flags of a folio that is split");
MODULE_LICENSE("GPL");
