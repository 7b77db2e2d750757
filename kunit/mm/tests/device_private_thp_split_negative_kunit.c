// SPDX-License-Identifier: GPL-2.0-only
/*
 * folio_split_unmapped() where it must not split: nothing may change.
 */
#include <kunit/test.h>
#include <linux/file.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/printk.h>
#include <linux/rmap.h>
#include <linux/shmem_fs.h>

#include "thp_fixture.h"

/**
 * struct negative_param - one folio
 * @order: its order
 * @new_order: order to split it to
 * @split_pmds: PMDs to split until PTEs stand for it
 */
struct negative_param {
	unsigned int order;
	unsigned int new_order;
	unsigned int split_pmds;
};

static const struct negative_param negative_params[] = {
	{ 2, 0 },
	{ 3, 0 }, { 3, 2 },
	{ 4, 0 }, { 4, 3 },
	{ 5, 0 }, { 5, 4 },
	{ 6, 0 }, { 6, 5 },
	{ 7, 0 }, { 7, 6 },
	{ 8, 0 }, { 8, 7 },
	{ 9, 0, 1 }, { 9, 8, 1 },
};

static void negative_desc(struct kunit *test, const void *param, char *desc)
{
	const struct negative_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u", p->order, p->new_order);
}

static int negative_params_init(struct kunit *test)
{
	kunit_register_params_array(test, negative_params, ARRAY_SIZE(negative_params),
				    negative_desc);
	return 0;
}

static int negative_pmd_params_init(struct kunit *test)
{
	kunit_register_params_array(test, negative_params + ARRAY_SIZE(negative_params) - 2,
				    2, negative_desc);
	return 0;
}

static const struct negative_param small_params[] = { { 0, 0 } };

static int small_params_init(struct kunit *test)
{
	kunit_register_params_array(test, small_params, ARRAY_SIZE(small_params),
				    negative_desc);
	return 0;
}

/* Warnings of folio_split_unmapped(): VM_WARN_ON_ONCE_FOLIO() */
#define WARNINGS(_n)	(IS_ENABLED(CONFIG_DEBUG_VM) ? (_n) : 0)

/*
 * Call folio_split_unmapped() where it warns, and expect exactly that.
 *
 * VM_WARN_ON_ONCE_FOLIO() fires once in the life of a kernel, so each row makes
 * the kernel forget. It also dumps the page, which kunit_warning_suppress() does
 * not suppress. suppress_printk does, when the text would be stored; lowering
 * console_loglevel would act when it is shown, which may be later, and would
 * take lines of other tests along. Nothing that matters is hidden by it: the
 * number of warnings is exact, and the ledger knows about taints.
 */
static void expect_refused(struct kunit *test, struct folio *folio,
			   unsigned int new_order, int warnings)
{
	int ret = 0;

	thp_fixture_forget_warnings();
	kunit_warning_suppress(test) {
		suppress_printk = 1;
		ret = folio_split_unmapped(folio, new_order);
		suppress_printk = 0;
		KUNIT_EXPECT_SUPPRESSED_WARNING_COUNT(test, warnings);
	}
	KUNIT_EXPECT_EQ(test, ret, -EAGAIN);
}

static void expect_no_calls(struct kunit *test, const struct thp_fixture *f)
{
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT), 0);
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_SPLIT_DONE), 0);
}

/* Refused because of one reference too many, and done once it is dropped */
static void expect_pin_decides(struct kunit *test, struct folio *folio, struct thp_state *want)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned int nr = 1U << (p->order - p->new_order), i;
	int ret;

	folio_get(folio);
	want->refcount++;
	thp_ledger_expect(f, folio, want, "pinned");
	expect_refused(test, folio, p->new_order, 0);
	thp_ledger_expect(f, folio, want, "folio_split_unmapped, pinned");
	expect_no_calls(test, f);

	folio_put(folio);
	want->refcount--;
	ret = folio_split_unmapped(folio, p->new_order);
	KUNIT_EXPECT_EQ(test, ret, 0);
	if (ret)
		return;
	for (i = 0; i < nr; i++)
		thp_fixture_hold(f, page_folio(f->first + ((unsigned long)i << p->new_order)));
	thp_want_split(want, p->order, p->new_order);
	thp_ledger_expect_each(f, f->first, nr, want, "folio_split_unmapped, not pinned");
}

/* Test that a reference too many makes it fail, with nothing changed. */
static void pinned_returns_eagain(struct kunit *test)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct thp_state want;

	thp_fixture_make_anon(f, folio);
	thp_want(f, &want, p->order, THP_UNMAPPED);
	expect_pin_decides(test, folio, &want);
}

/* Test the same of a folio that migration entries stand for. */
static void pinned_under_pte_entries_returns_eagain(struct kunit *test)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct thp_state want;

	thp_fixture_insert(f, folio);
	thp_fixture_unmap(f, folio, TTU_SPLIT_HUGE_PMD);
	thp_want(f, &want, p->order, THP_MIGRATION_PTES);
	want.ev_split_pmd = p->split_pmds;
	expect_pin_decides(test, folio, &want);
}

/*
 * Test that a refused split leaves a PMD migration entry as it is, so that it
 * maps the folio by a PMD again.
 */
static void pinned_under_pmd_entry_returns_eagain(struct kunit *test)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct thp_state want;

	thp_fixture_insert(f, folio);
	thp_fixture_unmap(f, folio, 0);
	folio_get(folio);
	thp_want(f, &want, p->order, THP_MIGRATION_PMD);
	want.refcount++;
	expect_refused(test, folio, p->new_order, 0);
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, pinned");
	expect_no_calls(test, f);

	folio_put(folio);
	thp_fixture_remap(f, folio);
	thp_want(f, &want, p->order, THP_PMD);
	thp_ledger_expect(f, folio, &want, "remapped");
	thp_fixture_read_back(f, p->order, "read after the refusal");
}

/*
 * Test that a mapped folio is warned about and refused, both with the
 * references of its mappings only and with one more, which is what the caller
 * of a legal split has.
 */
static void mapped_warns_and_changes_nothing(struct kunit *test)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct thp_state want;

	thp_fixture_insert(f, folio);
	/* Does nothing where there is no PMD to split */
	thp_fixture_split_pmd(f, false);
	thp_want(f, &want, p->order, THP_PTES);
	want.ev_split_pmd = p->split_pmds;
	folio_lock(folio);
	want.flags |= BIT(PG_locked);

	expect_refused(test, folio, p->new_order, WARNINGS(1));
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, mapped");
	folio_get(folio);
	want.refcount++;
	expect_refused(test, folio, p->new_order, WARNINGS(1));
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, mapped and held");
	expect_no_calls(test, f);
	folio_unlock(folio);
	folio_put(folio);
}

/*
 * Test that an unlocked folio is warned about. The kernel warns and goes on; the
 * second reference is what makes it stop before it splits a folio that anybody
 * might lock.
 */
static void unlocked_warns_and_changes_nothing(struct kunit *test)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct thp_state want;

	thp_fixture_make_anon(f, folio);
	thp_want(f, &want, p->order, THP_UNMAPPED);
	folio_unlock(folio);
	folio_get(folio);
	want.flags &= ~BIT(PG_locked);
	want.refcount++;

	expect_refused(test, folio, p->new_order, WARNINGS(1));
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, unlocked");
	expect_no_calls(test, f);
	folio_lock(folio);
	folio_put(folio);
}

/* Test that order 0 is warned about; a second reference stops the split here, too. */
static void small_warns_and_changes_nothing(struct kunit *test)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct thp_state want;

	thp_fixture_make_anon(f, folio);
	folio_get(folio);
	thp_want(f, &want, p->order, THP_UNMAPPED);
	want.refcount++;
	expect_refused(test, folio, p->new_order, WARNINGS(1));
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, order 0");
	expect_no_calls(test, f);
	folio_put(folio);
}

/* Test that a folio that is not anonymous yet, as initialised, is warned about. */
static void fresh_warns_and_changes_nothing(struct kunit *test)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_alloc(f, p->order);
	struct thp_state want;

	folio_get(folio);
	thp_want(f, &want, p->order, THP_FRESH);
	want.refcount++;
	expect_refused(test, folio, p->new_order, WARNINGS(1));
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, not anonymous");
	expect_no_calls(test, f);
	folio_put(folio);
}

static void put_file(void *file)
{
	fput(file);
}

/*
 * Test that a folio of the page cache is warned about. No device-private folio
 * is ever one, so this is system memory. The references of the page cache are
 * expected ones; the second one of the test is what stops the split.
 */
static void file_warns_and_changes_nothing(struct kunit *test)
{
	const struct negative_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio;
	struct file *file;
	struct thp_state want;

	file = shmem_kernel_file_setup("device_private_thp", HPAGE_PMD_SIZE, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_file, file));
	folio = folio_alloc(GFP_KERNEL, p->order);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	/* Comes back locked, on the LRU, with references of the page cache */
	KUNIT_ASSERT_EQ(test, 0, filemap_add_folio(file->f_mapping, folio, 0, GFP_KERNEL));
	folio_get(folio);

	thp_fixture_track(f, &folio->page, p->order, f->addr);
	thp_ledger_capture(f, folio, &want);
	KUNIT_EXPECT_EQ(test, want.refcount, (1 << p->order) + 2);
	KUNIT_EXPECT_EQ(test, want.order, p->order);
	f->before = want;
	expect_refused(test, folio, p->new_order, WARNINGS(1));
	thp_ledger_expect(f, folio, &want, "folio_split_unmapped, page cache");
	expect_no_calls(test, f);

	filemap_remove_folio(folio);
	folio_unlock(folio);
	folio_put_refs(folio, 2);
}

static struct kunit_case device_private_thp_split_negative_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(pinned_returns_eagain, kunit_array_gen_params,
				   negative_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pinned_under_pte_entries_returns_eagain,
				   kunit_array_gen_params, negative_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pinned_under_pmd_entry_returns_eagain,
				   kunit_array_gen_params, negative_pmd_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mapped_warns_and_changes_nothing, kunit_array_gen_params,
				   negative_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(unlocked_warns_and_changes_nothing, kunit_array_gen_params,
				   negative_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(small_warns_and_changes_nothing, kunit_array_gen_params,
				   small_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fresh_warns_and_changes_nothing, kunit_array_gen_params,
				   negative_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(file_warns_and_changes_nothing, kunit_array_gen_params,
				   negative_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_split_negative_suite = {
	.name = "device_private_thp_split_negative",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_split_negative_cases,
};

kunit_test_suite(device_private_thp_split_negative_suite);

MODULE_DESCRIPTION("KUnit tests: folio_split_unmapped() where it must not split");
MODULE_LICENSE("GPL");
