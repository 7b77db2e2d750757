// SPDX-License-Identifier: GPL-2.0-only
/*
 * fork() with a PMD whose memory is pinned for DMA: the device must go on to see
 * the memory of the parent. What is exclusive is not shared then, so the PMD is
 * split (copy_huge_pmd()), and the child gets a copy of each page. Device-private
 * memory can't be pinned, and is shared whatever has been pinned besides.
 */
#include <kunit/test.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/swap.h>

#include "../internal.h"
#include "thp_leaf.h"
#include "thp_pmd_entry.h"

/**
 * struct pin_param - one PMD, and who holds its memory while the mm is forked
 * @entry: what the PMD is
 * @bits: its bits
 * @pin: page that is pinned
 * @flags: FOLL_* besides FOLL_PIN and FOLL_LONGTERM
 * @pinned_bits: bits of the PMD then, which are those of the parent's PTEs after
 *	the fork: who pins memory has accessed it
 * @marks: flags that the folio gets by the split of the PMD
 */
struct pin_param {
	enum thp_entry entry;
	const char *bits;
	unsigned int pin;
	unsigned int flags;
	const char *pinned_bits;
	unsigned long marks;
};

static const struct pin_param pin_params[] = {
	{ THP_ENTRY_SYSTEM, "wxyd", 0, FOLL_WRITE, "wxyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "wxyd", 255, FOLL_WRITE, "wxyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "wxyd", 511, FOLL_WRITE, "wxyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "wx--", 511, FOLL_WRITE, "wxyd", BIT(PG_dirty) },
	{ THP_ENTRY_SYSTEM, "wx--", 511, 0, "wxy-", 0 },
	{ THP_ENTRY_SYSTEM, "-x--", 0, 0, "-xy-", 0 },
	{ THP_ENTRY_SYSTEM, "-x-d", 255, 0, "-xyd", BIT(PG_dirty) },
};

static void pin_desc(struct kunit *test, const void *param, char *desc)
{
	const struct pin_param *p = param;
	size_t len;

	thp_entry_desc(desc, p->entry, p->bits);
	len = strlen(desc);
	snprintf(desc + len, KUNIT_PARAM_DESC_SIZE - len, "_page%u_%s", p->pin,
		 p->flags & FOLL_WRITE ? "to_write" : "to_read");
}

static int pin_params_init(struct kunit *test)
{
	kunit_register_params_array(test, pin_params, ARRAY_SIZE(pin_params), pin_desc);
	return 0;
}

static void unpin(void *folio)
{
	unpin_folio(folio);
}

/* As a driver pins memory for DMA. It is unpinned when the test ends, or before. */
static void pin(struct thp_fixture *f, struct folio *folio, const struct pin_param *p)
{
	struct page *page = NULL;
	long ret;

	mmap_read_lock(f->mm);
	ret = pin_user_pages_remote(f->mm, f->addr + p->pin * PAGE_SIZE, 1,
				    FOLL_LONGTERM | p->flags, &page, NULL);
	mmap_read_unlock(f->mm);
	KUNIT_ASSERT_EQ(f->test, 1, ret);
	KUNIT_ASSERT_EQ(f->test, 0, kunit_add_action_or_reset(f->test, unpin,
							      page_folio(page)));
	KUNIT_ASSERT_PTR_EQ(f->test, page, folio_page(folio, p->pin));
}

static void want_pinned(struct thp_state *want)
{
	want->refcount++;
	want->pincount = 1;
}

/* What the ledger must find in the parent; the child maps @copies pages of its own */
static void want_parent(struct thp_fixture *f, struct thp_state *want,
			const struct pin_param *p, unsigned long copies)
{
	thp_entry_want(f, want, p->entry, thp_entry_bits(p->pinned_bits), false);
	want->anon_mapped += copies;
	want->ev_split_pmd = 1;
	want_pinned(want);
}

/*
 * All that can be wrong about the child's page @nr: it is a small folio of its own
 * with the data, mapped by a writable PTE, exclusive, and nobody else has it.
 */
static bool is_copy(struct thp_fixture *f, struct mm_struct *child, struct folio *folio,
		    unsigned long nr)
{
	const struct thp_leaf leaf = thp_leaf_at(child, f->addr + nr * PAGE_SIZE);
	struct folio *copy = leaf.page ? page_folio(leaf.page) : NULL;

	return leaf.kind == THP_KIND_PRESENT && !leaf.by_pmd && !leaf.zero && leaf.write &&
	       copy && copy != folio && !folio_test_large(copy) &&
	       folio_ref_count(copy) == 1 && folio_mapcount(copy) == 1 &&
	       thp_leaf_is_settled(&leaf) && PageAnonExclusive(leaf.page) &&
	       copy->index == (f->addr >> PAGE_SHIFT) + nr &&
	       thp_data_check(page_address(leaf.page), nr);
}

static void expect_copies(struct thp_fixture *f, struct mm_struct *child, struct folio *folio)
{
	unsigned long i, first = 0, wrong = 0;

	lru_add_drain();
	for (i = 0; i < HPAGE_PMD_NR; i++)
		if (!is_copy(f, child, folio, i))
			first = wrong++ ? first : i;
	KUNIT_EXPECT_EQ_MSG(f->test, wrong, 0, "pages that are no copies, the first: %lu", first);
	KUNIT_EXPECT_EQ(f->test, HPAGE_PMD_NR,
			percpu_counter_sum(&child->rss_stat[MM_ANONPAGES]));
}

static struct folio *make_pinned(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->entry, p->bits);
	struct thp_state want;

	pin(f, folio, p);
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->pinned_bits), true);
	want_pinned(&want);
	thp_ledger_expect(f, folio, &want, "pinned");
	return folio;
}

/*
 * Test that the parent keeps the pinned memory, exclusive and as writable as it
 * was, by 512 PTEs; that the child has 512 copies; and that the exit of the child
 * takes these, and nothing else.
 */
static void fork_of_pinned_pmd_copies(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_pinned(test);
	struct mm_struct *child = thp_fixture_fork(f);
	struct thp_state want;

	f->flags |= p->marks;
	want_parent(f, &want, p, HPAGE_PMD_NR);
	thp_ledger_expect(f, folio, &want, "forked, in the parent");
	expect_copies(f, child, folio);

	thp_fixture_end_child(f, child);
	want_parent(f, &want, p, 0);
	thp_ledger_expect(f, folio, &want, "the child is gone");
	kunit_release_action(test, unpin, folio);
	thp_fixture_read_back(f, HPAGE_PMD_ORDER, "read in the parent");
}

/*
 * Test that what the parent writes after the fork, and what the device would, is
 * in the page that is pinned, and that the child doesn't see it.
 */
static void write_after_fork_reaches_the_pinned_page(struct kunit *test)
{
	const struct pin_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_pinned(test);
	struct mm_struct *child = thp_fixture_fork(f);
	unsigned long addr = f->addr + p->pin * PAGE_SIZE;
	struct thp_leaf leaf;
	u64 word = ~thp_data_word(p->pin, 0);

	KUNIT_EXPECT_EQ(test, 0, copy_to_user((void __user *)addr, &word, sizeof(word)));
	KUNIT_EXPECT_EQ(test, word, *(u64 *)page_address(folio_page(folio, p->pin)));
	leaf = thp_leaf_at(f->mm, addr);
	KUNIT_EXPECT_PTR_EQ(test, leaf.page, folio_page(folio, p->pin));
	expect_copies(f, child, folio);
	kunit_release_action(test, unpin, folio);
}

/**
 * struct shared_param - one PMD that is shared although there are pins
 * @entry: what the PMD is
 * @bits: its bits
 * @pins: pins that its folio has
 * @mm_pins: the mm has had something pinned (MMF_HAS_PINNED)
 * @name: why it is shared
 * @parent_bits: bits of the parent's PMD after the fork
 * @child_bits: bits of the child's PMD
 */
struct shared_param {
	enum thp_entry entry;
	const char *bits;
	unsigned int pins;
	bool mm_pins;
	const char *name;
	const char *parent_bits;
	const char *child_bits;
};

static const struct shared_param shared_params[] = {
	{ THP_ENTRY_SYSTEM, "wxyd", 0, true, "other_pins", "--yd", "---d" },
	{ THP_ENTRY_SYSTEM, "-x--", 0, true, "other_pins", "----", "----" },
	{ THP_ENTRY_SYSTEM, "----", 1, true, "not_exclusive", "----", "----" },
	{ THP_ENTRY_SYSTEM, "--yd", 1, true, "not_exclusive", "--yd", "---d" },
	{ THP_ENTRY_SYSTEM, "wxyd", 1, false, "pins_of_others", "--yd", "---d" },
	{ THP_ENTRY_DEVICE, "wx--", 0, true, "other_pins", "----", "----" },
	{ THP_ENTRY_DEVICE, "-x--", 0, true, "other_pins", "----", "----" },
	{ THP_ENTRY_DEVICE, "wx--", 1, true, "device", "----", "----" },
	{ THP_ENTRY_DEVICE, "-x--", 1, true, "device", "----", "----" },
	{ THP_ENTRY_DEVICE, "----", 1, true, "device", "----", "----" },
};

static void shared_desc(struct kunit *test, const void *param, char *desc)
{
	const struct shared_param *p = param;
	size_t len;

	thp_entry_desc(desc, p->entry, p->bits);
	len = strlen(desc);
	snprintf(desc + len, KUNIT_PARAM_DESC_SIZE - len, "_%s", p->name);
}

static int shared_params_init(struct kunit *test)
{
	kunit_register_params_array(test, shared_params, ARRAY_SIZE(shared_params), shared_desc);
	return 0;
}

/*
 * Test that the PMD is shared, not split, if this mm has never pinned anything,
 * if nothing of this folio is pinned, if the folio is shared already, and if it is
 * device-private, even with what would be a pin of other memory.
 */
static void fork_shares_what_is_not_pinned_by_this_mm(struct kunit *test)
{
	const struct shared_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_entry_make_checked(f, p->entry, p->bits);
	struct mm_struct *child;
	struct thp_state want;

	if (p->mm_pins)
		mm_flags_set(MMF_HAS_PINNED, f->mm);
	/* Not try_grab_folio(): what is device-private has no FOLL_PIN. */
	atomic_add(p->pins, &folio->_pincount);
	child = thp_fixture_fork(f);
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->parent_bits), true);
	thp_want_forked(&want);
	want.pincount = p->pins;
	thp_ledger_expect(f, folio, &want, "forked, in the parent");
	thp_entry_want(f, &want, p->entry, thp_entry_bits(p->child_bits), true);
	thp_want_forked(&want);
	want.pincount = p->pins;
	thp_fixture_look_at(f, child);
	thp_ledger_expect(f, folio, &want, "forked, in the child");
	atomic_sub(p->pins, &folio->_pincount);
}

static struct kunit_case thp_pmd_pinned_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(fork_of_pinned_pmd_copies,
				   kunit_array_gen_params, pin_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(write_after_fork_reaches_the_pinned_page,
				   kunit_array_gen_params, pin_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(fork_shares_what_is_not_pinned_by_this_mm,
				   kunit_array_gen_params, shared_params_init, NULL),
	{}
};

static struct kunit_suite thp_pmd_pinned_suite = {
	.name = "thp_pmd_pinned",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = thp_pmd_pinned_cases,
};

kunit_test_suite(thp_pmd_pinned_suite);

MODULE_DESCRIPTION("KUnit tests: fork with a PMD whose memory is pinned");
MODULE_LICENSE("GPL");
