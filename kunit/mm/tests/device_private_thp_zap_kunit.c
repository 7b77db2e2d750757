// SPDX-License-Identifier: GPL-2.0-only
/*
 * Device-private folios of every order, unmapped as a whole or in part: freed at
 * once as the folio that they are, or kept until the last page goes.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/mman.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_fixture_forms.h"

/*
 * Ways to unmap @len bytes at @addr. None of them touches the rest of the VMA,
 * so they differ in nothing that the ledger sees.
 */
static void zap_munmap(struct thp_fixture *f, unsigned long addr, unsigned long len)
{
	KUNIT_EXPECT_EQ(f->test, vm_munmap(addr, len), 0);
	f->vma = NULL;
}

static void zap_dontneed(struct thp_fixture *f, unsigned long addr, unsigned long len)
{
	KUNIT_EXPECT_EQ(f->test, do_madvise(f->mm, addr, len, MADV_DONTNEED), 0);
}

/* mmap() over it */
static void zap_replace(struct thp_fixture *f, unsigned long addr, unsigned long len)
{
	KUNIT_EXPECT_EQ(f->test, vm_mmap(NULL, addr, len, PROT_READ | PROT_WRITE,
					 MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED, 0), addr);
	f->vma = NULL;
}

/* What the OOM reaper does to a VMA (__oom_reap_task_mm()) */
static void zap_reap(struct thp_fixture *f, unsigned long addr, unsigned long len)
{
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(f->test, zap_vma_for_reaping(f->vma), 0);
	mmap_read_unlock(f->mm);
}

/**
 * struct zap_variant - a way to unmap memory
 * @name: of the variant
 * @zap: the function
 */
struct zap_variant {
	const char *name;
	void (*zap)(struct thp_fixture *f, unsigned long addr, unsigned long len);
};

static int whole_params_init(struct kunit *test)
{
	static const struct zap_variant variants[] = {
		{ "munmap", zap_munmap },
		{ "dontneed", zap_dontneed },
		{ "mmap_fixed", zap_replace },
		{ "oom_reap", zap_reap },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/* Test that unmapping a whole folio frees it at once, at its order. */
static void unmapping_all_frees_folio(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct zap_variant *v = c->variant;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, &c->form);
	struct thp_state want;

	thp_want_form(f, &want, &c->form);
	thp_ledger_expect(f, folio, &want, "placed");
	v->zap(f, f->addr, PAGE_SIZE << c->form.order);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT_DONE), 0);
	thp_expect_gone(f, &c->form, "unmapped");
}

static int part_params_init(struct kunit *test)
{
	static const struct zap_variant variants[] = {
		{ "munmap", zap_munmap },
		{ "dontneed", zap_dontneed },
	};

	return thp_cases_init(test, THP_LARGE_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_PARTS);
}

/*
 * A folio mapped by PTEs, less those of a part. No deferred split: a device folio
 * is on no such list (__folio_remove_rmap()), so its memory stays with it until
 * the last page goes. Zapping leaves AnonExclusive set.
 */
static void want_rest(const struct thp_fixture *f, struct thp_state *want,
		      const struct thp_case *c)
{
	thp_want(f, want, c->form.order, THP_PTES);
	want->ev_split_pmd = c->form.part_split_pmds;
	want->refcount -= c->nr;
	want->mapcount -= c->nr;
	want->nr_mapped -= c->nr;
	want->mm_id_mapcount[0] -= c->nr;
	if (want->page_mapcount >= 0)
		want->page_mapcount = THP_MIXED;
	want->leaf = THP_MIXED;
	want->leaves -= c->nr;
	want->leaf_pfn -= c->nr;
	want->leaf_write -= c->nr;
	want->pmd_leaves -= c->nr;
	want->rss -= c->nr;
	want->anon_mapped -= c->nr;
}

/*
 * Test that unmapping a part of a folio takes the references and mappings of
 * that part only, and that unmapping the rest frees the folio, as a whole.
 */
static void unmapping_a_part_keeps_folio(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct zap_variant *v = c->variant;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, &c->form);
	struct thp_state want;

	v->zap(f, f->addr + c->from * PAGE_SIZE, c->nr * PAGE_SIZE);
	want_rest(f, &want, c);
	thp_ledger_expect(f, folio, &want, "a part unmapped");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);

	v->zap(f, f->addr, PAGE_SIZE << c->form.order);
	thp_expect_gone(f, &c->form, "the rest unmapped");
}

/* The first page stays, so that a fault on it is not the one of known bug LB3. */
static int tail_part_params_init(struct kunit *test)
{
	return thp_cases_init(test, THP_LARGE_FORMS, NULL, 0, 0, THP_TAIL_PARTS);
}

/* Pages of the range whose memory, in system memory, has the pattern */
static unsigned long count_good_pages(struct thp_fixture *f, unsigned int order)
{
	unsigned long i, good = 0;

	for (i = 0; i < 1UL << order; i++) {
		struct folio *folio = thp_fixture_folio_at(f, f->addr + i * PAGE_SIZE);

		good += folio && !folio_is_zone_device(folio) &&
			thp_data_check(folio_address(folio), i);
	}
	return good;
}

/*
 * Test that a fault brings back what is left of a folio, and that its split frees
 * the pages that nobody maps any more.
 */
static void fault_after_unmapping_a_part_frees_that_part(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const unsigned long nr = 1UL << c->form.order;
	struct thp_fixture *f = test->priv;

	thp_fixture_place(f, &c->form);
	zap_dontneed(f, f->addr + c->from * PAGE_SIZE, c->nr * PAGE_SIZE);
	fake_zdev_set_fault_order(f->zdev, c->form.order);
	KUNIT_EXPECT_EQ(test, thp_fixture_fault(f, f->addr, 0), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT), nr - 1);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_FREE), nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_COPY_TO_RAM), nr - c->nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_free(f->zdev), fake_zdev_nr_pages(f->zdev));
	KUNIT_EXPECT_EQ(test, count_good_pages(f, c->form.order), nr - c->nr);
	thp_ledger_capture_totals(f, &f->before);
	KUNIT_EXPECT_EQ(test, f->before.rss, nr - c->nr);
	thp_ledger_check_invariants(f, "fault");
}

static struct kunit_case device_private_thp_zap_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(unmapping_all_frees_folio,
				   kunit_array_gen_params, whole_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(unmapping_a_part_keeps_folio,
				   kunit_array_gen_params, part_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fault_after_unmapping_a_part_frees_that_part,
				   kunit_array_gen_params, tail_part_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_zap_suite = {
	.name = "device_private_thp_zap",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_zap_cases,
};

kunit_test_suite(device_private_thp_zap_suite);

MODULE_DESCRIPTION("KUnit tests: unmapping device-private THPs");
MODULE_LICENSE("GPL");
