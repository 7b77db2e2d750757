// SPDX-License-Identifier: GPL-2.0-only
/*
 * Phase interleaving: the source, and the phases of its migration. The model is
 * told of each of them, too.
 */
#include <linux/lockdep.h>
#include <linux/migrate.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "thp_interleave.h"

/* By a write fault, and the pattern without further ones */
static struct folio *system_source(struct ileave_run *run)
{
	const unsigned int order = run->row->order;
	struct thp_fixture *f = run->f;
	struct folio *folio;
	unsigned long i;

	thp_fixture_anon_orders(run->test, BIT(order));
	KUNIT_ASSERT_EQ(run->test, 0, put_user(1UL, (unsigned long __user *)f->addr));
	lru_add_drain();
	folio = thp_fixture_folio_at(f, f->addr);
	KUNIT_ASSERT_NOT_NULL(run->test, folio);
	KUNIT_ASSERT_EQ_MSG(run->test, folio_order(folio), order,
			    "no folio of order %u to be had", order);
	for (i = 0; i < 1UL << order; i++)
		thp_data_mark(page_address(folio_page(folio, i)), i);
	return folio;
}

static struct folio *device_source(struct ileave_run *run)
{
	const unsigned int order = run->row->order;
	struct thp_fixture *f = run->f;
	struct folio *folio = fake_zdev_alloc(f->zdev, order);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(run->test, folio);
	thp_fixture_hold(f, folio);
	thp_fixture_track(f, &folio->page, order, f->addr);
	for (i = 0; i < 1UL << order; i++)
		thp_data_mark(fake_zdev_data(f->zdev, folio_page(folio, i)), i);
	thp_fixture_insert(f, folio);
	return folio;
}

/*
 * Memory as the row wants it, in the kernel and in the model. Anonymous faults
 * make no large folios from here on.
 */
static void make_source(struct ileave_run *run)
{
	struct ileave_model *model = run->model;
	const struct ileave_row *row = run->row;
	struct thp_fixture *f = run->f;
	struct folio *folio;

	if (row->route == ILEAVE_TO_PEER)
		thp_fixture_add_peer(f);
	folio = row->route == ILEAVE_TO_DEVICE ? system_source(run) : device_source(run);
	thp_fixture_anon_orders(run->test, 0);
	run->first = &folio->page;
	if (row->shape == ILEAVE_PTES)
		thp_fixture_split_pmd(f, false);

	model->mms[0].mm = f->mm;
	if (row->share != ILEAVE_PRIVATE)
		model->mms[1].mm = thp_fixture_fork(f);
	if (row->share == ILEAVE_CHILD)
		KUNIT_ASSERT_EQ(run->test, 0, do_madvise(f->mm, f->addr,
							 PAGE_SIZE << row->order,
							 MADV_DONTNEED));
	ileave_model_init(model, row);
	model->folios[0].real = folio;
}

static struct fake_zdev_migration *new_migration(struct ileave_run *run,
						 enum ileave_way way,
						 struct fake_zdev *from,
						 struct fake_zdev *to,
						 struct mm_struct *mm)
{
	struct thp_fixture *f = run->f;
	struct vm_area_struct *vma = way == ILEAVE_VMA ? vma_lookup(mm, f->addr) : NULL;

	return fake_zdev_migration_init(run->test, from, to, vma, f->addr,
					f->addr + (PAGE_SIZE << run->row->order),
					MIGRATE_VMA_SELECT_COMPOUND |
					(from ? MIGRATE_VMA_SELECT_DEVICE_PRIVATE :
						MIGRATE_VMA_SELECT_SYSTEM));
}

/* Whatever needs memory, or may fail */
static void start(struct ileave_run *run)
{
	const struct ileave_row *row = run->row;
	struct thp_fixture *f = run->f;
	struct fake_zdev *from = row->route == ILEAVE_TO_DEVICE ? NULL : f->zdev;
	struct fake_zdev *to = row->route == ILEAVE_TO_DEVICE ? f->zdev :
			       row->route == ILEAVE_TO_PEER ? f->peer : NULL;

	run->m = new_migration(run, row->way, from, to, f->mm);
	if (row->op == ILEAVE_SETUP_AGAIN)
		run->other = new_migration(run, ILEAVE_VMA, from, to,
					   ileave_target_mm(run->model, row)->mm);
	if (row->op == ILEAVE_EVICT)
		run->other = new_migration(run, ILEAVE_RANGE, f->zdev, NULL, NULL);
	if (row->point == ILEAVE_IN_COLLECT || row->point == ILEAVE_IN_UNMAP ||
	    row->point == ILEAVE_IN_SPLIT)
		fake_zdev_watch(run->test, f->zdev, f->mm, f->start, f->end);
}

/**
 * ileave_fixture_init() - suite callback: a fixture with the least that rows need
 * @test: the test
 *
 * No row has more than one folio of HPAGE_PMD_ORDER on a device, and there are
 * enough rows for the size of devices to matter.
 *
 * Return: 0
 */
int ileave_fixture_init(struct kunit *test)
{
	static const struct fake_zdev_params params = { .nr_pages = HPAGE_PMD_NR };

	return thp_fixture_init_with(test, &params);
}

/**
 * ileave_new_run() - get ready for a row
 * @test: the test; its fixture is that of thp_fixture_init()
 * @row: the row
 *
 * Context: the thread of the test, no locks held.
 * Return: the run, before its first phase. It lives until the test ends.
 */
struct ileave_run *ileave_new_run(struct kunit *test, const struct ileave_row *row)
{
	struct ileave_run *run = kunit_kzalloc(test, sizeof(*run), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, run);
	run->test = test;
	run->f = test->priv;
	run->row = row;
	run->model = kunit_kzalloc(test, sizeof(*run->model), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, run->model);
	run->buffer = kunit_kmalloc(test, PAGE_SIZE, GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, run->buffer);
	make_source(run);
	start(run);
	ileave_check(run, "start");
	return run;
}

/**
 * ileave_range_setup() - migrate_device_range() on a migration of the fake device
 * @m: migration of nr_entries pages
 * @first: first page of the device
 *
 * Return: number of sources.
 */
unsigned int ileave_range_setup(struct fake_zdev_migration *m, struct page *first)
{
	unsigned int i, nr = 0;

	migrate_device_range(m->src, page_to_pfn(first), m->nr_entries);
	m->args.npages = m->nr_entries;
	m->phase = FAKE_ZDEV_PHASE_SETUP;
	for (i = 0; i < m->nr_entries; i++)
		nr += !!(m->src[i] & MIGRATE_PFN_MIGRATE);
	return nr;
}

/**
 * ileave_range_pages() - migrate_device_pages()
 * @m: migration of ileave_range_setup() that has its destinations
 */
void ileave_range_pages(struct fake_zdev_migration *m)
{
	migrate_device_pages(m->src, m->dst, m->nr_entries);
	m->phase = FAKE_ZDEV_PHASE_PAGES;
}

/**
 * ileave_range_finalize() - migrate_device_finalize()
 * @m: migration of ileave_range_setup()
 */
void ileave_range_finalize(struct fake_zdev_migration *m)
{
	migrate_device_finalize(m->src, m->dst, m->nr_entries);
	m->phase = FAKE_ZDEV_PHASE_FINAL;
}

/*
 * The operation is that of another thread, which takes locks that this one has
 * already: nothing that lockdep could make sense of.
 */
static void op_of_another_thread(struct ileave_run *run)
{
	lockdep_off();
	ileave_op(run);
	lockdep_on();
	run->happened++;
}

static void hook(struct fake_zdev *zdev, const struct fake_zdev_event *event, void *arg)
{
	struct ileave_run *run = arg;
	int notify = run->row->point == ILEAVE_IN_COLLECT ? MMU_NOTIFY_MIGRATE :
							    MMU_NOTIFY_CLEAR;

	if (event->type != FAKE_ZDEV_INVALIDATE || event->notify != notify || !run->armed)
		return;
	run->armed = false;
	op_of_another_thread(run);
}

/* Before and after the phase that has the notifier of @point in it */
static void arm(struct ileave_run *run, enum ileave_point point)
{
	if (run->row->point != point)
		return;
	run->armed = true;
	fake_zdev_set_hook(run->f->zdev, hook, run);
}

static void disarm(struct ileave_run *run, enum ileave_point point)
{
	if (run->row->point != point)
		return;
	run->armed = false;
	fake_zdev_set_hook(run->f->zdev, NULL, NULL);
	ileave_model_op(run->model, run->row);
}

/**
 * ileave_setup() - first phase
 * @run: run that was started
 *
 * Context: as for all phases: the thread of the test; ILEAVE_VMA: mmap lock held
 * for reading.
 */
void ileave_setup(struct ileave_run *run)
{
	struct ileave_model *model = run->model;

	arm(run, ILEAVE_IN_COLLECT);
	arm(run, ILEAVE_IN_UNMAP);
	if (run->row->way == ILEAVE_VMA) {
		KUNIT_EXPECT_EQ(run->test, fake_zdev_migration_setup(run->m), 0);
		run->collected = run->m->args.cpages;
	} else {
		run->collected = ileave_range_setup(run->m, run->first);
	}
	disarm(run, ILEAVE_IN_COLLECT);
	/* Locked, but not unmapped yet */
	model->folios[0].moving = run->row->point == ILEAVE_IN_UNMAP;
	disarm(run, ILEAVE_IN_UNMAP);
	ileave_model_setup(model, &model->trip);
}

/* What the folios are that the kernel has for the destinations of the model */
static void learn_destinations(struct ileave_run *run)
{
	struct ileave_trip *t = &run->model->trip;
	unsigned int i;

	for (i = 0; i < run->m->nr_entries; i++) {
		struct page *page = migrate_pfn_to_page(run->m->dst[i]);

		KUNIT_EXPECT_EQ_MSG(run->test, !!page, !!t->dst[i],
				    "destination of page %u", i);
		if (page && t->dst[i])
			t->dst[i]->real = page_folio(page);
	}
}

/**
 * ileave_copy() - second phase
 * @run: run that is set up
 */
void ileave_copy(struct ileave_run *run)
{
	fake_zdev_migration_copy(run->m, run->model->trip.small ? FAKE_ZDEV_DST_ALL_SMALL :
								  FAKE_ZDEV_DST_AS_SOURCE);
	ileave_model_copy(run->model, &run->model->trip);
	learn_destinations(run);
}

/**
 * ileave_pages() - third phase
 * @run: run that has copied
 *
 * If the row meets LB5, the kernel decides whether the model has the bug, too.
 */
void ileave_pages(struct ileave_run *run)
{
	struct ileave_model *model = run->model;

	arm(run, ILEAVE_IN_SPLIT);
	if (run->row->way == ILEAVE_VMA)
		fake_zdev_migration_pages(run->m);
	else
		ileave_range_pages(run->m);
	disarm(run, ILEAVE_IN_SPLIT);
	if (ileave_shows_lb5(run->row)) {
		thp_known_bug(run->test, "LB5", ileave_moved(run), model->nr, 0,
			      "pages that moved");
		model->bug_lb5 = !ileave_moved(run);
	}
	ileave_model_pages(model, &model->trip);
}

/**
 * ileave_finalize() - fourth phase
 * @run: run of which the metadata has moved
 */
void ileave_finalize(struct ileave_run *run)
{
	if (run->row->way == ILEAVE_VMA)
		fake_zdev_migration_finalize(run->m);
	else
		ileave_range_finalize(run->m);
	ileave_model_finalize(run->model, &run->model->trip);
}

/**
 * ileave_moved() - count the pages that moved
 * @run: run in or after the third phase
 *
 * Return: number of pages.
 */
unsigned int ileave_moved(const struct ileave_run *run)
{
	const struct fake_zdev_migration *m = run->m;
	unsigned int i, nr = 0;

	for (i = 0; i < m->nr_entries; i++)
		if ((m->src[i] & MIGRATE_PFN_MIGRATE) && (m->dst[i] & MIGRATE_PFN_VALID))
			nr += m->dst[i] & MIGRATE_PFN_COMPOUND ? 1U << run->row->order : 1;
	return nr;
}

/**
 * ileave_interleave() - the operation, if this is its point
 * @run: run
 * @point: the point
 *
 * Return: whether it was.
 */
bool ileave_interleave(struct ileave_run *run, enum ileave_point point)
{
	if (run->row->point != point)
		return false;
	op_of_another_thread(run);
	ileave_model_op(run->model, run->row);
	return true;
}

static void let_go(struct ileave_run *run, struct folio *folio)
{
	folio_put(folio);
	ileave_model_pin(run->model, -1);
}

/**
 * ileave_let_go() - drop the references that are nobody's
 * @run: finished run
 *
 * Return: whether there were any.
 */
bool ileave_let_go(struct ileave_run *run)
{
	bool leaked = run->model->leaked;

	if (run->pinned)
		let_go(run, run->pinned);
	if (leaked)
		let_go(run, run->model->leaked->real);
	return run->pinned || leaked;
}
