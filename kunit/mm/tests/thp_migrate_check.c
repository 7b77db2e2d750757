// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs a migration phase by phase and compares each entry of the arrays, each
 * folio, each page table entry and each counter with the model.
 */
#include <linux/mm.h>
#include <linux/swap.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_migrate_model.h"

static unsigned long addr_of(const struct thp_model *model, unsigned long place)
{
	return model->f->addr + place * PAGE_SIZE;
}

static s64 *value_of(struct thp_state *s, const struct thp_field *field)
{
	return (s64 *)((char *)s + field->offset);
}

/*
 * Compare the fields of @groups (a mask of BIT(THP_GROUP_*)) in @f->after with
 * @want, whose other fields don't matter.
 */
static void compare(struct thp_fixture *f, struct thp_state *want, unsigned int groups,
		    const char *step, unsigned long place)
{
	struct thp_state *is = &f->after;
	bool wrong = false;
	unsigned int i;
	char text[64];

	for (i = 0; i < thp_nr_fields; i++) {
		const struct thp_field *field = &thp_fields[i];
		s64 *value = value_of(is, field), *wanted = value_of(want, field);

		if (!(groups & BIT(field->group)))
			*value = *wanted;
		else if (*value != THP_NA && *value != *wanted)
			wrong = true;
	}
	if (!wrong)
		return;
	if (groups & BIT(THP_GROUP_TOTALS))
		snprintf(text, sizeof(text), "%s: totals", step);
	else
		snprintf(text, sizeof(text), "%s: page %lu of the window", step, place);
	thp_ledger_compare(f, &f->before, want, is, text);
}

static enum thp_where where_of(const struct thp_model_page *p)
{
	if (p->migrating)
		return p->by_pmd ? THP_MIGRATION_PMD : THP_MIGRATION_PTES;
	return p->by_pmd ? THP_PMD : THP_PTES;
}

static void track(struct thp_model *model, unsigned long place, struct page *page,
		  unsigned int order, bool dirty)
{
	struct thp_fixture *f = model->f;

	thp_fixture_track(f, page, order, addr_of(model, place));
	f->write = model->is_writable;
	f->memcg = model->memcg;
	f->flags = dirty ? BIT(PG_dirty) : 0;
}

/* The folio that page tables have at @place, or had before setup */
static void expect_folio(struct thp_model *model, unsigned long place, const char *step)
{
	const struct thp_model_page *p = &model->pages[place];
	struct folio *folio = (struct folio *)p->page;
	struct thp_fixture *f = model->f;
	struct thp_state *want = &f->expected;
	const bool has_moved = p->dst;

	/* What is charged, or waits to be split, is its destination now. */
	track(model, place, p->page, p->order, p->dirty);
	if (has_moved && f->memcg != THP_NA)
		f->memcg = 0;
	thp_want(f, want, p->order, where_of(p));
	if (p->what == THP_SYSTEM) {
		thp_want_system(want);
		want->flags |= p->migrating ? 0 : BIT(PG_lru);
	}
	want->deferred = p->deferred && !has_moved;
	want->refcount += p->pins;
	want->leaf_young = p->young ? want->leaves : 0;
	want->leaf_dirty = p->written ? want->leaves : 0;
	if (p->blank)
		want->data = 0;
	if (p->inserted) {
		want->refcount++;
		want->flags |= BIT(PG_locked);
	}
	thp_ledger_capture_folio(f, folio, &f->after);
	thp_ledger_capture_leaves(f, folio, &f->after);
	compare(f, want, BIT(THP_GROUP_FOLIO) | BIT(THP_GROUP_LEAVES), step, place);
}

/*
 * The folio that it has been migrated to: anonymous, charged, with its place and
 * its data, and not yet in any page table.
 */
static void expect_destination(struct thp_model *model, unsigned long place, const char *step)
{
	const struct thp_model_page *p = &model->pages[place];
	struct folio *folio = (struct folio *)p->dst;
	struct thp_fixture *f = model->f;
	struct thp_state *want = &f->expected;

	track(model, place, p->dst, p->dst_order, p->dirty);
	thp_want(f, want, p->dst_order, THP_UNMAPPED);
	if (p->dst_what == THP_SYSTEM)
		thp_want_system(want);
	thp_ledger_capture_folio(f, folio, &f->after);
	compare(f, want, BIT(THP_GROUP_FOLIO), step, place);
	if (p->dst_what == THP_SYSTEM && p->dst_order)
		f->loose[f->nr_loose++] = p->dst;
}

/* Nothing, or zeroes, where no folio is */
static bool is_empty(struct thp_model *model, unsigned long place)
{
	const struct thp_model_page *p = &model->pages[place];
	unsigned long addr = addr_of(model, place);
	pmd_t *pmdp = mm_find_pmd(model->f->mm, addr);
	pmd_t pmd = pmdp ? pmdp_get(pmdp) : __pmd(0);
	pte_t *ptep, pte;

	if (thp_pmd_kind(pmd) != THP_KIND_TABLE) {
		if (p->what == THP_HUGE_ZERO)
			return thp_pmd_kind(pmd) == THP_KIND_PRESENT && is_huge_zero_pmd(pmd);
		return p->what == THP_HOLE && thp_pmd_kind(pmd) == THP_KIND_NONE;
	}
	ptep = pte_offset_map(pmdp, addr);
	if (!ptep)
		return false;
	pte = ptep_get(ptep);
	pte_unmap(ptep);
	if (p->what == THP_ZERO)
		return pte_present(pte) && is_zero_pfn(pte_pfn(pte));
	return p->what == THP_HOLE && pte_none(pte);
}

static void add_to_totals(const struct thp_model_page *p, struct thp_state *want, bool head)
{
	if (!p->migrating) {
		want->anon_mapped++;
		want->anon_thps += p->by_pmd;
	}
	want->rss++;
	if (head && p->order)
		want->nr_anon[p->order]++;
	if (head && p->dst && p->dst_order)
		want->nr_anon[p->dst_order]++;
	if (p->what != THP_SYSTEM && !p->inserted)
		want->pgmap_refs++;
}

static void expect_totals(struct thp_model *model, const char *step)
{
	struct thp_fixture *f = model->f;
	struct thp_state *want = &f->expected;
	unsigned long i;

	*want = model->events;
	want->preempt = f->base.preempt;
	want->pgmap_refs = model->dst_pages;
	for (i = 0; i < THP_MODEL_PAGES; i++) {
		const struct thp_model_page *p = &model->pages[i];

		if (i < HPAGE_PMD_NR)
			want->pmd_leaves += p->by_pmd ? i == 0 : p->what != THP_HOLE;
		want->deposits += p->by_pmd && i % HPAGE_PMD_NR == 0;
		if (p->page)
			add_to_totals(p, want, p->head == i);
	}
	want->dev_free = -want->pgmap_refs;
	thp_ledger_capture_totals(f, &f->after);
	compare(f, want, BIT(THP_GROUP_TOTALS), step, 0);
	f->before = f->after;
}

/**
 * thp_model_expect() - compare all there is with the model
 * @model: the window
 * @step: name of the step, for the report
 *
 * Context: process context, nobody else uses the mm.
 */
void thp_model_expect(struct thp_model *model, const char *step)
{
	struct thp_fixture *f = model->f;
	unsigned long i, wrong = 0, first = 0;

	f->nr_loose = 0;
	f->anon_vma = f->vma->anon_vma;
	for (i = 0; i < THP_MODEL_PAGES; i++) {
		const struct thp_model_page *p = &model->pages[i];

		if (!p->page) {
			if (!is_empty(model, i) && !wrong++)
				first = i;
			continue;
		}
		if (p->head == i)
			expect_folio(model, i, step);
		if (p->dst && (!p->dst_order || p->head == i))
			expect_destination(model, i, step);
	}
	KUNIT_EXPECT_EQ_MSG(f->test, wrong, 0, "%s: page %lu of the window is not empty",
			    step, first);
	expect_totals(model, step);
	thp_ledger_check_invariants(f, step);
	f->nr_loose = 0;
}

static void expect_src(const struct thp_model *model, const struct thp_request *req,
		       const struct fake_zdev_migration *m, const char *step)
{
	unsigned long i;

	for (i = 0; i < m->nr_entries; i++)
		KUNIT_EXPECT_EQ_MSG(model->f->test, m->src[i], model->pages[req->start + i].src,
				    "%s: src[%lu]", step, i);
}

static void expect_dst(const struct thp_model *model, const struct thp_request *req,
		       const struct fake_zdev_migration *m, bool copied, const char *step)
{
	const unsigned long flags = MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE |
				    MIGRATE_PFN_WRITE | MIGRATE_PFN_COMPOUND;
	unsigned long i;

	for (i = 0; i < m->nr_entries; i++) {
		unsigned long want = copied ? thp_model_dst(model, req, req->start + i) : 0;

		KUNIT_EXPECT_EQ_MSG(model->f->test, want ? m->dst[i] & flags : m->dst[i], want,
				    "%s: dst[%lu]", step, i);
	}
}

static struct fake_zdev *zdev_of(const struct thp_fixture *f, enum thp_what what)
{
	if (what == THP_SYSTEM)
		return NULL;
	return what == THP_PEER ? f->peer : f->zdev;
}

static struct fake_zdev_migration *init(struct thp_fixture *f, const struct thp_request *req)
{
	struct fake_zdev_migration *m;

	m = fake_zdev_migration_init(f->test, zdev_of(f, req->owner), zdev_of(f, req->to),
				     f->vma, f->addr + req->start * PAGE_SIZE,
				     f->addr + req->end * PAGE_SIZE, req->flags);
	if (req->owner == THP_HOLE)
		m->args.pgmap_owner = NULL;
	else if (req->owner == THP_ZERO)
		m->args.pgmap_owner = f;
	return m;
}

static void setup(struct thp_model *model, const struct thp_request *req,
		  struct fake_zdev_migration *m)
{
	struct kunit *test = model->f->test;

	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	thp_model_setup(model, req);
	KUNIT_EXPECT_EQ(test, m->args.npages, req->end - req->start);
	KUNIT_EXPECT_EQ(test, m->args.end, addr_of(model, req->end));
	KUNIT_EXPECT_EQ(test, m->args.cpages, model->cpages);
	expect_src(model, req, m, "setup");
	expect_dst(model, req, m, false, "setup");
	lru_add_drain();
	thp_model_expect(model, "setup");
}

static void copy_and_pages(struct thp_model *model, const struct thp_request *req,
			   struct fake_zdev_migration *m)
{
	if (req->late_pin)
		fake_zdev_fail_from(m->to ?: m->from, FAKE_ZDEV_POINT_PIN, 1);
	fake_zdev_migration_copy(m, req->policy);
	expect_dst(model, req, m, true, "copy");

	fake_zdev_migration_pages(m);
	fake_zdev_fail_nth(m->to ?: m->from, FAKE_ZDEV_POINT_PIN, 0);
	thp_model_pages(model, req, m->dst);
	expect_src(model, req, m, "pages");
	thp_model_expect(model, "pages");
}

/**
 * thp_model_run() - migrate, and compare everything after each phase
 * @model: the window
 * @req: the request
 * @stop: FAKE_ZDEV_PHASE_SETUP: change one's mind after setup, as a driver may;
 *	FAKE_ZDEV_PHASE_FINAL: go all the way
 *
 * There is no assertion in here while the mmap lock is held: the thread would
 * end with it.
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_model_run(struct thp_model *model, const struct thp_request *req,
		   enum fake_zdev_phase stop)
{
	struct thp_fixture *f = model->f;
	struct fake_zdev_migration *m = init(f, req);

	thp_model_expect(model, "before");
	mmap_read_lock(f->mm);
	setup(model, req, m);
	if (stop == FAKE_ZDEV_PHASE_FINAL)
		copy_and_pages(model, req, m);
	fake_zdev_migration_finalize(m);
	thp_model_finalize(model, req);
	expect_src(model, req, m, "finalize");
	lru_add_drain();
	thp_model_expect(model, "finalize");
	mmap_read_unlock(f->mm);
}

/**
 * thp_expect_none_migrates() - migrate a range of which nothing can be migrated now
 * @f: fixture
 * @m: migration of it, before setup; it is finalized afterwards
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_expect_none_migrates(struct thp_fixture *f, struct fake_zdev_migration *m)
{
	struct kunit *test = f->test;
	unsigned long i;

	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, m->nr_entries);
	for (i = 0; i < m->nr_entries; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], 0, "src[%lu]", i);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
}
