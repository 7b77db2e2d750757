// SPDX-License-Identifier: GPL-2.0-only
/*
 * Operations on a range of pages, at the start of the 2 MiB range of a fixture.
 */
#include <linux/mman.h>
#include <linux/rmap.h>
#include <linux/sched.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "thp_leaf.h"
#include "thp_nth.h"

/**
 * thp_nth_nr_pages() - number of pages of a range
 * @order: order of its folio; 0: it is a row of small folios
 *
 * Return: the number.
 */
unsigned long thp_nth_nr_pages(unsigned int order)
{
	return order ? 1UL << order : THP_NTH_NR_SMALL;
}

/**
 * thp_nth_from() - where the pages are before an operation
 * @op: operation
 *
 * Return: the place.
 */
enum thp_nth_place thp_nth_from(enum thp_nth_op op)
{
	switch (op) {
	case THP_NTH_TO_DEVICE:
		return THP_NTH_IN_RAM;
	case THP_NTH_HOLE:
		return THP_NTH_NOWHERE;
	default:
		return THP_NTH_ON_DEVICE;
	}
}

/**
 * thp_nth_to() - where the pages are afterwards if nothing fails
 * @op: operation
 *
 * Return: the place.
 */
enum thp_nth_place thp_nth_to(enum thp_nth_op op)
{
	switch (op) {
	case THP_NTH_TO_DEVICE:
	case THP_NTH_HOLE:
		return THP_NTH_ON_DEVICE;
	case THP_NTH_TO_PEER:
		return THP_NTH_ON_PEER;
	default:
		return THP_NTH_IN_RAM;
	}
}

static unsigned long addr_of(const struct thp_fixture *f, unsigned long page_nr)
{
	return f->addr + (page_nr << PAGE_SHIFT);
}

static enum thp_nth_place place_of_leaf(const struct thp_fixture *f,
					const struct thp_leaf *leaf)
{
	if (!leaf->page || leaf->zero)
		return THP_NTH_NOWHERE;
	if (fake_zdev_contains(f->zdev, leaf->page))
		return THP_NTH_ON_DEVICE;
	if (f->peer && fake_zdev_contains(f->peer, leaf->page))
		return THP_NTH_ON_PEER;
	return THP_NTH_IN_RAM;
}

/**
 * thp_nth_place_of() - where a page is
 * @f: fixture
 * @page_nr: number of the page in the range
 *
 * Context: process context, nobody else uses the mm.
 * Return: the place.
 */
enum thp_nth_place thp_nth_place_of(struct thp_fixture *f, unsigned long page_nr)
{
	struct thp_leaf leaf = thp_leaf_at(f->mm, addr_of(f, page_nr));

	return place_of_leaf(f, &leaf);
}

/* Of the pattern, the words that thp_data_check() looks at */
static void write_page(struct thp_fixture *f, unsigned long page_nr)
{
	const unsigned int words[] = {
		0, page_nr % (PAGE_SIZE / sizeof(u64)), PAGE_SIZE / sizeof(u64) - 1
	};
	u64 __user *to = (u64 __user *)addr_of(f, page_nr);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(words); i++)
		KUNIT_ASSERT_EQ(f->test, 0, put_user(thp_data_word(page_nr, words[i]),
						     to + words[i]));
}

/* System memory, as one folio of @order or as small ones */
static void prepare_ram(struct thp_fixture *f, unsigned int order)
{
	unsigned long nr = thp_nth_nr_pages(order), i;
	struct folio *folio;

	WRITE_ONCE(huge_anon_orders_always, order ? BIT(order) : 0);
	for (i = 0; i < nr; i++)
		write_page(f, i);
	lru_add_drain();
	folio = thp_fixture_folio_at(f, f->addr);
	KUNIT_ASSERT_NOT_NULL(f->test, folio);
	KUNIT_ASSERT_EQ(f->test, folio_order(folio), order);
}

/*
 * Memory of the device: migrate_vma_*() makes folios of HPAGE_PMD_ORDER and
 * order 0, all others are made for the test.
 */
static void prepare_device(struct thp_fixture *f, unsigned int order)
{
	unsigned long nr = thp_nth_nr_pages(order);
	struct folio *folio;

	if (order && order != HPAGE_PMD_ORDER) {
		folio = thp_fixture_alloc(f, order);
		thp_fixture_insert(f, folio);
		return;
	}
	prepare_ram(f, order);
	KUNIT_ASSERT_EQ(f->test, nr,
			fake_zdev_migrate_to_device(f->zdev, f->mm, f->addr, addr_of(f, nr),
						    FAKE_ZDEV_DST_AS_SOURCE));
}

/**
 * thp_nth_add_devices() - get the devices that an operation needs
 * @f: fixture
 * @op: operation
 *
 * Context: the thread of the test, which stays on its CPU from here on:
 * lru_add_drain() empties the batches of one CPU.
 */
void thp_nth_add_devices(struct thp_fixture *f, enum thp_nth_op op)
{
	thp_fixture_stay_on_cpu();
	if (thp_nth_to(op) == THP_NTH_ON_PEER)
		thp_fixture_add_peer(f);
}

/**
 * thp_nth_prepare() - put the pages where an operation takes them from
 * @f: fixture; nothing is mapped, and thp_fixture_anon_orders() was called
 * @op: operation
 * @order: order of the folio there; 0: small ones
 *
 * Asserts that they are there. They hold the pattern, unless they are nowhere.
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_nth_prepare(struct thp_fixture *f, enum thp_nth_op op, unsigned int order)
{
	switch (thp_nth_from(op)) {
	case THP_NTH_IN_RAM:
		prepare_ram(f, order);
		break;
	case THP_NTH_ON_DEVICE:
		prepare_device(f, order);
		break;
	default:
		break;
	}
	fake_zdev_clear_events(f->zdev);
	if (f->peer)
		fake_zdev_clear_events(f->peer);
}

static unsigned int read_each(struct thp_fixture *f, unsigned long nr)
{
	unsigned int errors = 0;
	unsigned long i;
	u64 word;

	for (i = 0; i < nr; i++)
		errors += !!get_user(word, (u64 __user *)addr_of(f, i));
	return errors;
}

/**
 * thp_nth_run() - do it
 * @f: fixture; its pages were prepared
 * @op: operation
 * @order: as for thp_nth_prepare()
 * @policy: destinations that the driver offers
 *
 * Context: the thread of the test, mmap lock not held.
 * Return: number of errors: of pages that could not be read, or 1 if a whole
 * migration was refused.
 */
unsigned int thp_nth_run(struct thp_fixture *f, enum thp_nth_op op, unsigned int order,
			 enum fake_zdev_policy policy)
{
	unsigned long nr = thp_nth_nr_pages(order), end = addr_of(f, nr);
	long ret = 0;

	switch (op) {
	case THP_NTH_TO_DEVICE:
	case THP_NTH_HOLE:
		ret = fake_zdev_migrate_to_device(f->zdev, f->mm, f->addr, end, policy);
		break;
	case THP_NTH_TO_RAM:
		ret = fake_zdev_migrate_to_ram(f->zdev, f->mm, f->addr, end, policy);
		break;
	case THP_NTH_TO_PEER:
		ret = fake_zdev_migrate_to_peer(f->zdev, f->peer, f->mm, f->addr, end, policy);
		break;
	case THP_NTH_FAULT:
		fake_zdev_set_fault_policy(f->zdev, policy);
		ret = -(long)read_each(f, nr);
		fake_zdev_set_fault_policy(f->zdev, FAKE_ZDEV_DST_AS_SOURCE);
		return -ret;
	case THP_NTH_EVICT:
		ret = fake_zdev_evict(f->zdev, 0, nr);
		break;
	}
	return ret < 0;
}

static bool is_pattern(const void *data, void *arg)
{
	return thp_data_check(data, *(unsigned long *)arg);
}

static bool is_zeroed(const void *data, void *arg)
{
	return !memchr_inv(data, 0, PAGE_SIZE);
}

/**
 * thp_nth_survey() - look at each page of a range, wherever it is
 * @f: fixture
 * @start: address of the page that has number 0
 * @nr: number of pages
 * @zeroed: they must be full of zeroes, not have the pattern
 * @survey: where to write
 *
 * Context: process context, nobody else uses the mm.
 */
void thp_nth_survey(struct thp_fixture *f, unsigned long start, unsigned long nr, bool zeroed,
		    struct thp_nth_survey *survey)
{
	unsigned long i;

	lru_add_drain();
	memset(survey, 0, sizeof(*survey));
	for (i = 0; i < nr; i++) {
		struct thp_leaf leaf = thp_leaf_at(f->mm, start + (i << PAGE_SHIFT));
		struct page *owner = leaf.page;

		if (place_of_leaf(f, &leaf) == THP_NTH_NOWHERE) {
			survey->nowhere++;
			continue;
		}
		/* A PMD has AnonExclusive in the head only. */
		if (leaf.by_pmd)
			owner = &page_folio(leaf.page)->page;
		survey->lost += !thp_leaf_data(f, &leaf, zeroed ? is_zeroed : is_pattern, &i);
		survey->held += !thp_leaf_is_settled(&leaf);
		survey->protected += !leaf.write;
		survey->shared += !test_bit(PG_anon_exclusive, &owner->flags.f);
	}
}

/**
 * thp_nth_expect_whole() - check that every page is in one piece, wherever it is
 * @f: fixture
 * @op: operation that was done
 * @order: as for thp_nth_prepare()
 * @step: name of the step, for the report
 *
 * Each page that is anywhere has its data, is writable and exclusive, and nobody
 * holds its folio; none is nowhere, unless it was there before. Everything that
 * the kernel counts is right.
 *
 * Context: process context, nobody else uses the mm.
 */
void thp_nth_expect_whole(struct thp_fixture *f, enum thp_nth_op op, unsigned int order,
			  const char *step)
{
	const bool hole = op == THP_NTH_HOLE;
	struct thp_nth_survey survey;

	thp_nth_survey(f, f->addr, thp_nth_nr_pages(order), hole, &survey);
	if (!hole)
		KUNIT_EXPECT_EQ_MSG(f->test, survey.nowhere, 0, "%s: pages not mapped", step);
	KUNIT_EXPECT_EQ_MSG(f->test, survey.lost, 0, "%s: pages without their data", step);
	KUNIT_EXPECT_EQ_MSG(f->test, survey.held, 0, "%s: pages that somebody holds", step);
	KUNIT_EXPECT_EQ_MSG(f->test, survey.protected, 0, "%s: pages not writable", step);
	KUNIT_EXPECT_EQ_MSG(f->test, survey.shared, 0, "%s: pages not exclusive", step);
	thp_fixture_track(f, fake_zdev_page(f->zdev, 0), 0, f->addr);
	thp_ledger_capture_totals(f, &f->before);
	thp_ledger_check_invariants(f, step);
}

/**
 * thp_nth_clean_up() - unmap everything, and begin again
 * @f: fixture; it has no children
 *
 * The VMA is another one afterwards, at the same place: only so there is no page
 * table left where the next THP is to be. Checks that nothing is left.
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_nth_clean_up(struct thp_fixture *f)
{
	unsigned long size = f->end - f->start;

	KUNIT_ASSERT_EQ(f->test, vm_munmap(f->start, size), 0);
	lru_add_drain();
	thp_fixture_restart(f);
	KUNIT_ASSERT_EQ(f->test, f->start,
			vm_mmap(NULL, f->start, size, PROT_READ | PROT_WRITE,
				MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0));
	f->vma = vma_lookup(f->mm, f->start);
	KUNIT_ASSERT_NOT_NULL(f->test, f->vma);
	thp_fixture_prepare_anon_vma(f);
}
