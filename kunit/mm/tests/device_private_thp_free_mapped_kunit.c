// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device folios that are freed out of an address space: by munmap(), page by
 * page after a split; and what a dead one does to the living around it.
 */
#include <linux/memcontrol.h>
#include <linux/migrate.h>
#include <linux/mman.h>
#include <linux/mm_inline.h>
#include <linux/swap.h>
#include <linux/syscalls.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_fixture.h"
#include "thp_known_bug.h"

/**
 * struct freed_row - folios to free
 * @order: order of the folio
 * @new_order: order that it is split to before
 */
struct freed_row {
	unsigned int order;
	unsigned int new_order;
};

static const struct freed_row whole_rows[] = {
	{ 0, 0 }, { 1, 1 }, { 2, 2 }, { 3, 3 }, { 4, 4 },
	{ 5, 5 }, { 6, 6 }, { 7, 7 }, { 8, 8 }, { 9, 9 },
};

static const struct freed_row split_rows[] = {
	{ 2, 0 },
	{ 3, 0 }, { 3, 2 },
	{ 4, 0 }, { 4, 2 }, { 4, 3 },
	{ 5, 0 }, { 5, 2 }, { 5, 3 }, { 5, 4 },
	{ 6, 0 }, { 6, 2 }, { 6, 3 }, { 6, 4 }, { 6, 5 },
	{ 7, 0 }, { 7, 2 }, { 7, 3 }, { 7, 4 }, { 7, 5 }, { 7, 6 },
	{ 8, 0 }, { 8, 2 }, { 8, 3 }, { 8, 4 }, { 8, 5 }, { 8, 6 }, { 8, 7 },
	{ 9, 0 }, { 9, 2 }, { 9, 3 }, { 9, 4 }, { 9, 5 }, { 9, 6 }, { 9, 7 }, { 9, 8 },
};

static void describe_freed(struct kunit *test, const void *param, char *desc)
{
	const struct freed_row *row = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order_%u_as_%u", row->order, row->new_order);
}

static int init_whole(struct kunit *test)
{
	kunit_register_params_array(test, whole_rows, ARRAY_SIZE(whole_rows), describe_freed);
	return 0;
}

static int init_split(struct kunit *test)
{
	kunit_register_params_array(test, split_rows, ARRAY_SIZE(split_rows), describe_freed);
	return 0;
}

/* Pages of the row that are AnonExclusive, or belong to a memcg */
static unsigned long count_owned(struct thp_fixture *f)
{
	const struct freed_row *row = f->test->param_value;
	unsigned long i, nr = 0;

	for (i = 0; i < 1UL << row->order; i++) {
		struct page *page = fake_zdev_page(f->zdev, i);

		nr += test_bit(PG_anon_exclusive, &page->flags.f);
#ifdef CONFIG_MEMCG
		/* In the second page of a large folio that is where _nr_pages is. */
		nr += page->memcg_data && i % (1UL << row->new_order) != 1;
#endif
	}
	return nr;
}

static void expect_nothing_counted(struct thp_fixture *f, unsigned int order, const char *step)
{
	struct kunit *test = f->test;
	struct thp_state *s = &f->after;

	thp_ledger_capture_totals(f, s);
	KUNIT_EXPECT_EQ_MSG(test, s->nr_anon[order], 0, "%s: nr_anon of order %u", step, order);
	KUNIT_EXPECT_EQ_MSG(test, s->pgmap_refs, 0, "%s: order %u", step, order);
	KUNIT_EXPECT_EQ_MSG(test, s->dev_free, 0, "%s: order %u", step, order);
	KUNIT_EXPECT_EQ_MSG(test, s->rss, 0, "%s: order %u", step, order);
	KUNIT_EXPECT_EQ_MSG(test, s->anon_mapped, 0, "%s: order %u", step, order);
}

/*
 * Test that munmap() of a folio of any order frees it at once, as one folio, and
 * that its pages belong to nobody any more: not to a memcg, to no anon_vma, none
 * is AnonExclusive.
 */
static void munmap_frees_whole_folio(struct kunit *test)
{
	const struct freed_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, row->order);
	const struct fake_zdev_event *event;
	struct thp_state want;

	thp_fixture_insert(f, folio);
	thp_want(f, &want, row->order, row->order == HPAGE_PMD_ORDER ? THP_PMD : THP_PTES);
	thp_ledger_expect(f, folio, &want, "mapped");
	KUNIT_EXPECT_NE(test, count_owned(f), 0);

	thp_fixture_munmap(f);
	KUNIT_ASSERT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 1);
	event = fake_zdev_nth_event(f->zdev, FAKE_ZDEV_FREE, 0);
	KUNIT_EXPECT_EQ(test, event->idx, 0);
	KUNIT_EXPECT_EQ(test, event->order, row->order);
	KUNIT_EXPECT_PTR_EQ(test, event->mapping, NULL);
	KUNIT_EXPECT_EQ(test, count_owned(f), 0);
	expect_nothing_counted(f, row->order, "munmap");
}

static struct folio *nth_part(struct thp_fixture *f, unsigned long n)
{
	const struct freed_row *row = f->test->param_value;

	return (struct folio *)fake_zdev_page(f->zdev, n << row->new_order);
}

/*
 * Free every second part from @first on, and use each again at once, at its own
 * order and at order 0: those around it must not notice.
 */
static void free_every_second(struct thp_fixture *f, unsigned long nr, unsigned long first)
{
	const struct freed_row *row = f->test->param_value;
	struct kunit *test = f->test;
	unsigned long n;

	for (n = first; n < nr; n += 2) {
		unsigned long idx = n << row->new_order;
		struct folio *again;

		thp_fixture_let_go(f, nth_part(f, n));
		KUNIT_EXPECT_EQ_MSG(test, fake_zdev_live_order(f->zdev, idx), -1,
				    "part %lu", n);
		again = fake_zdev_alloc_at(f->zdev, idx, row->new_order);
		KUNIT_ASSERT_NOT_NULL_MSG(test, again, "part %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, folio_order(again), row->new_order, "part %lu", n);
		fake_zdev_release(again);
		again = fake_zdev_alloc_at(f->zdev, idx, 0);
		KUNIT_ASSERT_NOT_NULL_MSG(test, again, "part %lu", n);
		KUNIT_EXPECT_EQ_MSG(test, folio_order(again), 0, "part %lu", n);
		fake_zdev_release(again);
	}
}

/* The parts from the second on, every second: still what they were */
static void expect_others_alive(struct thp_fixture *f, unsigned long nr)
{
	const struct freed_row *row = f->test->param_value;
	unsigned long n, i, nr_bad = 0, nr_lost = 0;

	for (n = 1; n < nr; n += 2) {
		struct folio *folio = nth_part(f, n);

		nr_bad += folio_order(folio) != row->new_order || folio_ref_count(folio) != 1 ||
			  !folio_test_locked(folio) || !folio_test_anon(folio) ||
			  folio->index != (f->addr >> PAGE_SHIFT) + (n << row->new_order);
		for (i = 0; i < 1UL << row->new_order; i++)
			nr_lost += !thp_data_check(fake_zdev_data(f->zdev, folio_page(folio, i)),
						   (n << row->new_order) + i);
	}
	KUNIT_EXPECT_EQ_MSG(f->test, nr_bad, 0, "parts of order %u that changed", row->new_order);
	KUNIT_EXPECT_EQ_MSG(f->test, nr_lost, 0, "pages that lost their data");
}

/*
 * Test that the parts of a split folio are free one by one, at the order that
 * they have then, and the pages of a free one can be used again while its
 * neighbours live.
 */
static void parts_are_freed_at_their_order(struct kunit *test)
{
	const struct freed_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long nr = 1UL << (row->order - row->new_order), n;
	struct folio *folio = thp_fixture_alloc(f, row->order);
	struct thp_state *s = &f->after;

	thp_fixture_make_anon(f, folio);
	KUNIT_ASSERT_EQ(test, folio_split_unmapped(folio, row->new_order), 0);
	for (n = 0; n < nr; n++)
		thp_fixture_hold(f, nth_part(f, n));

	free_every_second(f, nr, 0);
	expect_others_alive(f, nr);
	thp_ledger_capture_totals(f, s);
	KUNIT_EXPECT_EQ(test, s->pgmap_refs, 1UL << (row->order - 1));
	KUNIT_EXPECT_EQ(test, s->dev_free, -(1L << (row->order - 1)));
	KUNIT_EXPECT_EQ(test, s->nr_anon[row->order], 0);
	if (row->new_order)
		KUNIT_EXPECT_EQ(test, s->nr_anon[row->new_order], nr / 2);

	free_every_second(f, nr, 1);
	KUNIT_EXPECT_EQ(test, count_owned(f), 0);
	expect_nothing_counted(f, row->order, "all freed");
	/* Each part, and twice its pages in another life */
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), 3 * nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free_blocks(f->zdev, HPAGE_PMD_ORDER),
			fake_zdev_nr_pages(f->zdev) >> HPAGE_PMD_ORDER);
}

/**
 * struct evict_row - a small folio alive among the pages of a dead folio
 * @order: order of the dead folio, which began at the first page
 * @live: page of the small folio
 */
struct evict_row {
	unsigned int order;
	unsigned int live;
};

static const struct evict_row evict_rows[] = {
	{ 2, 2 }, { 2, 3 },
	{ 3, 2 }, { 3, 7 },
	{ 4, 2 }, { 4, 15 },
	{ 5, 2 }, { 5, 31 },
	{ 6, 2 }, { 6, 63 },
	{ 7, 2 }, { 7, 127 },
	{ 8, 2 }, { 8, 255 },
	{ 9, 2 }, { 9, 256 }, { 9, 511 },
};

static void describe_evict(struct kunit *test, const void *param, char *desc)
{
	const struct evict_row *row = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order_%u_page_%u", row->order, row->live);
}

static int init_evict(struct kunit *test)
{
	kunit_register_params_array(test, evict_rows, ARRAY_SIZE(evict_rows), describe_evict);
	return 0;
}

static void live_and_die(struct kunit *test, struct fake_zdev *zdev, unsigned int order)
{
	struct folio *folio = fake_zdev_alloc_at(zdev, 0, order);

	KUNIT_ASSERT_NOT_NULL(test, folio);
	fake_zdev_release(folio);
}

/* Map a folio of order 0, page @idx of the device, at the start of the range. */
static struct folio *map_small_folio(struct thp_fixture *f, unsigned long idx)
{
	struct folio *folio = fake_zdev_alloc_at(f->zdev, idx, 0);

	KUNIT_ASSERT_NOT_NULL(f->test, folio);
	thp_fixture_hold(f, folio);
	thp_fixture_track(f, &folio->page, 0, f->addr);
	thp_fixture_fill_device(f, folio);
	thp_fixture_insert(f, folio);
	return folio;
}

/*
 * Let migrate_device_range() look at all pages of the dead folio, and do nothing
 * with what it finds. Only the small folio may be found.
 *
 * Return: whether it was.
 */
static bool device_range_finds(struct thp_fixture *f, struct folio *folio)
{
	const struct evict_row *row = f->test->param_value;
	unsigned long nr = 1UL << row->order, i, others = 0, *src, *dst;
	struct kunit *test = f->test;
	bool found;

	src = kunit_kcalloc(test, nr, sizeof(*src), GFP_KERNEL);
	dst = kunit_kcalloc(test, nr, sizeof(*dst), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, src);
	KUNIT_ASSERT_NOT_NULL(test, dst);
	KUNIT_EXPECT_EQ(test, 0, migrate_device_range(src,
						      page_to_pfn(fake_zdev_page(f->zdev, 0)),
						      nr));
	found = src[row->live] == (migrate_pfn(folio_pfn(folio)) | MIGRATE_PFN_MIGRATE);
	for (i = 0; i < nr; i++)
		others += i != row->live && migrate_pfn_to_page(src[i]);
	migrate_device_pages(src, dst, nr);
	migrate_device_finalize(src, dst, nr);
	KUNIT_EXPECT_EQ_MSG(test, others, 0, "free pages that were found");

	/* It had no destination, so it is where it was. */
	KUNIT_EXPECT_EQ(test, folio_ref_count(folio), 1);
	KUNIT_EXPECT_FALSE(test, folio_test_locked(folio));
	thp_fixture_read_back(f, 0, "after migrate_device_range");
	return found;
}

/*
 * Test that migrate_device_range() finds every folio of the range, wherever a
 * larger one was before. Known bug LB12: it trusts the order of the dead head,
 * which it could not even lock, and skips what is behind it: a driver that wants
 * to get rid of its memory does not get rid of these pages.
 */
static void device_range_finds_folio_behind_dead_head(struct kunit *test)
{
	const struct evict_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio;

	live_and_die(test, f->zdev, row->order);
	folio = map_small_folio(f, row->live);
	thp_known_bug(test, "LB12", device_range_finds(f, folio), 1, 0,
		      "folios found behind a dead head");
}

/* Test that it finds the folio if the head has had another life of order 0 since. */
static void device_range_finds_folio_behind_renewed_head(struct kunit *test)
{
	const struct evict_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio;

	live_and_die(test, f->zdev, row->order);
	live_and_die(test, f->zdev, 0);
	folio = map_small_folio(f, row->live);
	KUNIT_EXPECT_TRUE(test, device_range_finds(f, folio));
}

/*
 * Test that a page that was the second one of a large folio comes to system
 * memory as what it is. Known bug LB11: as one of the workingset, which it never
 * was part of, so that its next refault counts as thrashing.
 */
static void page_of_dead_folio_migrates_without_workingset(struct kunit *test)
{
	const struct freed_row *row = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio;

	live_and_die(test, f->zdev, row->order);
	map_small_folio(f, 1);
	thp_fixture_read_back(f, 0, "CPU fault");
	folio = thp_fixture_folio_at(f, f->addr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	KUNIT_ASSERT_FALSE(test, folio_is_zone_device(folio));
	thp_known_bug(test, "LB11", folio_test_workingset(folio), 0, 1,
		      "PG_workingset of the page in system memory");
}

static int init_large(struct kunit *test)
{
	kunit_register_params_array(test, whole_rows + 1, ARRAY_SIZE(whole_rows) - 1,
				    describe_freed);
	return 0;
}

static void migrate_out(struct thp_fixture *f)
{
	KUNIT_ASSERT_EQ(f->test,
			fake_zdev_migrate_to_device(f->zdev, f->mm, f->addr,
						    f->addr + PAGE_SIZE,
						    FAKE_ZDEV_DST_AS_SOURCE), 1);
}

/*
 * A page that a child has locked in memory goes to the device, and is unmapped
 * there. try_to_migrate() unlocks it while it is isolated, so that PG_unevictable
 * stays until it is put back, and moves to the page of the device instead.
 */
static void leave_unevictable_behind(struct thp_fixture *f)
{
	struct kunit *test = f->test;
	struct mm_struct *child;
	long ret;

	thp_fixture_touch(f, 0);
	child = thp_fixture_fork(f);
	thp_fixture_switch_mm(f, f->mm, child);
	/* mlock() of what can be written to would make a copy of the page. */
	ret = sys_mprotect(f->addr, PAGE_SIZE, PROT_READ);
	if (!ret)
		ret = sys_mlock(f->addr, PAGE_SIZE);
	thp_fixture_switch_mm(f, child, f->mm);
	KUNIT_ASSERT_EQ(test, ret, 0);
	lru_add_drain();
	KUNIT_ASSERT_TRUE(test, folio_test_unevictable(thp_fixture_folio_at(f, f->addr)));

	migrate_out(f);
	thp_fixture_end_child(f, child);
	KUNIT_ASSERT_EQ(test, do_madvise(f->mm, f->addr, PAGE_SIZE, MADV_DONTNEED), 0);
	/* mlock and munlock hold it until then. */
	lru_add_drain();
	KUNIT_ASSERT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
}

/*
 * Test that a page of the device does not know of the mlock() of a process that
 * has used it before. Known bug LB11: it does.
 */
static void page_of_locked_page_is_evictable(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio;

	leave_unevictable_behind(f);
	folio = fake_zdev_alloc_at(f->zdev, 0, 0);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	thp_known_bug(test, "LB11", folio_test_unevictable(folio), 0, 1,
		      "PG_unevictable of a page that was locked in memory once");
	fake_zdev_release(folio);
}

/*
 * Test that an active page can use a page of the device that an unevictable one
 * has used before. Known bug LB11: it is both then, and folio_migrate_flags()
 * has a VM_BUG_ON_FOLIO() against that on the way back.
 */
static void active_page_after_unevictable_one_comes_back(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	struct folio *folio;

	thp_known_bug_own_boot(test, "LB11_BUG");
	leave_unevictable_behind(f);
	folio = thp_fixture_touch(f, 0);
	folio_activate(folio);
	lru_add_drain();
	KUNIT_ASSERT_TRUE(test, folio_test_active(folio));
	migrate_out(f);
	thp_fixture_read_back(f, 0, "CPU fault");
	thp_known_bug_fixed(test, "LB11_BUG", "an active page after an unevictable one");
}

static struct kunit_case device_private_thp_free_mapped_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(munmap_frees_whole_folio, kunit_array_gen_params,
				   init_whole, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(parts_are_freed_at_their_order, kunit_array_gen_params,
				   init_split, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_range_finds_folio_behind_dead_head,
				   kunit_array_gen_params, init_evict, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(device_range_finds_folio_behind_renewed_head,
				   kunit_array_gen_params, init_evict, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(page_of_dead_folio_migrates_without_workingset,
				   kunit_array_gen_params, init_large, NULL),
	KUNIT_CASE(page_of_locked_page_is_evictable),
	KUNIT_CASE(active_page_after_unevictable_one_comes_back),
	{}
};

static struct kunit_suite device_private_thp_free_mapped_suite = {
	.name = "device_private_thp_free_mapped",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_free_mapped_cases,
};

kunit_test_suite(device_private_thp_free_mapped_suite);

MODULE_DESCRIPTION("KUnit tests: device folios freed out of an address space");
MODULE_LICENSE("GPL");
