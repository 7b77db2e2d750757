// SPDX-License-Identifier: GPL-2.0-only
/*
 * Sets up and takes down what a test works on: a device, an mm with one VMA,
 * a range of 2 MiB in it; and system memory of any order in that range.
 */
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/bug.h>
#include <linux/cpumask.h>
#include <linux/file.h>
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/panic.h>
#include <linux/preempt.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/uaccess.h>

#include <asm/sections.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_fixture_system.h"
#include "thp_mm.h"

KUNIT_DEFINE_ACTION_WRAPPER(thp_mmput, mmput, struct mm_struct *);

/**
 * thp_fixture_alloc_scratch() - allocate what depends on the number of devices
 * @f: fixture; its devices have their final size
 *
 * What was there before stays allocated until the test ends; nothing may be held.
 */
void thp_fixture_alloc_scratch(struct thp_fixture *f)
{
	unsigned long nr = thp_fixture_nr_pages(f);

	f->held = kunit_kcalloc(f->test, BITS_TO_LONGS(nr), sizeof(long), GFP_KERNEL);
	f->counts = kunit_kcalloc(f->test, 2 * nr, sizeof(*f->counts), GFP_KERNEL);
	f->folios = kunit_kcalloc(f->test, THP_FIXTURE_MAX_LEAVES, sizeof(*f->folios),
				  GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(f->test, f->held);
	KUNIT_ASSERT_NOT_NULL(f->test, f->counts);
	KUNIT_ASSERT_NOT_NULL(f->test, f->folios);
	f->mapped = kunit_kcalloc(f->test, THP_FIXTURE_MAX_LEAVES, sizeof(*f->mapped), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(f->test, f->mapped);
}

/**
 * thp_fixture_prepare_anon_vma() - give the VMA of a fixture an anon_vma
 * @f: fixture, with its @vma; gets the @anon_vma
 *
 * As a page fault does, before anything is mapped there.
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_fixture_prepare_anon_vma(struct thp_fixture *f)
{
	int ret;

	mmap_read_lock(f->mm);
	ret = anon_vma_prepare(f->vma);
	mmap_read_unlock(f->mm);
	KUNIT_ASSERT_EQ(f->test, ret, 0);
	f->anon_vma = f->vma->anon_vma;
}

/**
 * thp_fixture_init_with() - make a struct thp_fixture, in test->priv
 * @test: the test
 * @params: what its devices are to be like, NULL: the default. Must outlive it.
 *
 * Runs in the thread of the test, to which it attaches an mm. Asserts, so it
 * only returns if there is a fixture.
 *
 * The extra user of the mm is for thp_fixture_exit(): the thread's own reference
 * goes away when the thread does, which may be while exit callbacks run.
 *
 * Return: 0
 */
int thp_fixture_init_with(struct kunit *test, const struct fake_zdev_params *params)
{
	struct thp_fixture *f = kunit_kzalloc(test, sizeof(*f), GFP_KERNEL);
	unsigned long addr;

	KUNIT_ASSERT_NOT_NULL(test, f);
	f->test = test;
	f->taint = get_taint();
	f->write = true;
	f->exclusive = true;
	f->params = params;
	f->zdev = fake_zdev_create(test, params);
	thp_fixture_alloc_scratch(f);

	thp_mm_attach(test);
	addr = kunit_vm_mmap(test, NULL, 0, 2 * HPAGE_PMD_SIZE, PROT_READ | PROT_WRITE,
			     MAP_ANONYMOUS | MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	mmget(current->mm);
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, thp_mmput, current->mm));
	f->mm = current->mm;
	f->seen = f->mm;
	f->addr = ALIGN(addr, HPAGE_PMD_SIZE);
	f->vma = vma_lookup(f->mm, f->addr);
	KUNIT_ASSERT_NOT_NULL(test, f->vma);
	thp_fixture_prepare_anon_vma(f);
	f->start = f->vma->vm_start;
	f->end = f->vma->vm_end;

	thp_fixture_track(f, fake_zdev_page(f->zdev, 0), HPAGE_PMD_ORDER, f->addr);
	thp_fixture_rebase(f);
	test->priv = f;
	return 0;
}

/**
 * thp_fixture_init() - suite callback: thp_fixture_init_with() the default
 * @test: the test
 *
 * Return: 0
 */
int thp_fixture_init(struct kunit *test)
{
	return thp_fixture_init_with(test, NULL);
}

/* Bring a folio that a failed test has left locked back to where it belongs. */
static void let_go_of_rest(struct thp_fixture *f)
{
	unsigned long idx;

	for_each_set_bit(idx, f->held, thp_fixture_nr_pages(f))
		thp_fixture_remap(f, page_folio(thp_fixture_nth_page(f, idx)));
}

/*
 * Whoever walks an rmap has given the anon_vma back: only its VMAs are left, who
 * share one reference, and those of a fork, which are gone.
 */
static void expect_anon_vmas_released(struct thp_fixture *f)
{
	VMA_ITERATOR(vmi, f->mm, 0);
	struct vm_area_struct *vma;

	mmap_read_lock(f->mm);
	for_each_vma(vmi, vma) {
		if (vma->anon_vma)
			KUNIT_EXPECT_EQ_MSG(f->test, atomic_read(&vma->anon_vma->refcount), 1,
					    "anon_vma of %#lx-%#lx", vma->vm_start, vma->vm_end);
	}
	mmap_read_unlock(f->mm);
}

/**
 * thp_fixture_exit() - suite callback: take down, and see that nothing is left
 * @test: the test
 *
 * Runs in another thread than the test, whether the test has failed or not, and
 * before the device goes away. The mm is still there (see thp_fixture_init()):
 * the range is unmapped here, so that everything it held is free by the time
 * thp_ledger_check_exit() looks.
 */
void thp_fixture_exit(struct kunit *test)
{
	struct thp_fixture *f = test->priv;

	if (!f)
		return;
	let_go_of_rest(f);
	thp_fixture_put_system(f);
	while (f->nr_children)
		thp_fixture_end_child(f, f->children[0]);
	expect_anon_vmas_released(f);
	/* Whatever mremap() has moved where */
	kthread_use_mm(f->mm);
	KUNIT_EXPECT_EQ(test, 0, vm_munmap(0, TASK_SIZE));
	kthread_unuse_mm(f->mm);
	/* In a kernel thread, the last reference on a mapped file goes later. */
	flush_delayed_fput();
	lru_add_drain();
	thp_ledger_check_exit(f);
}

/**
 * thp_fixture_track() - say which folio is under test, and where it belongs
 * @f: fixture
 * @first: its first page
 * @order: its order. When it is split, its parts need not be announced.
 * @addr: address of @first in the 2 MiB range
 */
void thp_fixture_track(struct thp_fixture *f, struct page *first,
		       unsigned int order, unsigned long addr)
{
	f->first = first;
	f->nr_tracked = 1UL << order;
	f->where = addr;
}

/**
 * thp_fixture_munmap() - munmap() the 2 MiB range
 * @f: fixture; its @vma is gone afterwards, what is left of it are other VMAs
 *
 * Context: the thread of the test, mmap lock not held.
 */
void thp_fixture_munmap(struct thp_fixture *f)
{
	KUNIT_EXPECT_EQ(f->test, 0, vm_munmap(f->addr, HPAGE_PMD_SIZE));
	f->vma = NULL;
}

/**
 * thp_fixture_rebase() - let the ledger count from here on
 * @f: fixture
 */
void thp_fixture_rebase(struct thp_fixture *f)
{
	memset(&f->base, 0, sizeof(f->base));
	thp_ledger_capture_totals(f, &f->base);
	f->base.taint = 0;
}

/**
 * thp_fixture_restart() - check that nothing is left, and count from here on
 * @f: fixture; nothing is mapped, no folio of the device is in use
 *
 * Checks that everything is as it was at the start of the test, except for the
 * counters of events, which are 0 again afterwards.
 */
void thp_fixture_restart(struct thp_fixture *f)
{
	thp_ledger_check_exit(f);
	thp_fixture_rebase(f);
}

/* /sys/kernel/mm/transparent_hugepage/hugepages-<size>kB/enabled, all sizes */
struct anon_orders {
	unsigned long always, madvise, inherit;
};

static void restore_anon_orders(void *context)
{
	const struct anon_orders *old = context;

	WRITE_ONCE(huge_anon_orders_always, old->always);
	WRITE_ONCE(huge_anon_orders_madvise, old->madvise);
	WRITE_ONCE(huge_anon_orders_inherit, old->inherit);
}

/**
 * thp_fixture_anon_orders() - choose the orders that anonymous faults may have
 * @test: the test, at whose end the old setting returns
 * @orders: mask of orders to set to "always"; all others are set to "never"
 */
void thp_fixture_anon_orders(struct kunit *test, unsigned long orders)
{
	struct anon_orders *old = kunit_kmalloc(test, sizeof(*old), GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, old);
	old->always = huge_anon_orders_always;
	old->madvise = huge_anon_orders_madvise;
	old->inherit = huge_anon_orders_inherit;
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, restore_anon_orders, old));
	WRITE_ONCE(huge_anon_orders_always, orders);
	WRITE_ONCE(huge_anon_orders_madvise, 0);
	WRITE_ONCE(huge_anon_orders_inherit, 0);
}

/**
 * thp_fixture_folio_at() - the folio that is mapped, or migrating, at an address
 * @f: fixture
 * @addr: address, in the mm that thp_fixture_look_at() has chosen
 *
 * Context: process context, nobody else uses the mm.
 * Return: the folio of the present, device-private or migration entry at @addr,
 * NULL if there is none. No reference is taken.
 */
struct folio *thp_fixture_folio_at(struct thp_fixture *f, unsigned long addr)
{
	pmd_t *pmdp = mm_find_pmd(f->seen, addr);
	struct folio *folio = NULL;
	enum thp_kind kind;
	pte_t *ptep, pte;
	pmd_t pmd;

	if (!pmdp)
		return NULL;
	pmd = pmdp_get(pmdp);
	kind = thp_pmd_kind(pmd);
	if (kind == THP_KIND_PRESENT)
		return page_folio(pmd_page(pmd));
	if (kind == THP_KIND_DEVICE || kind == THP_KIND_MIGRATION)
		return softleaf_to_folio(softleaf_from_pmd(pmd));
	if (kind != THP_KIND_TABLE)
		return NULL;

	ptep = pte_offset_map(pmdp, addr);
	if (!ptep)
		return NULL;
	pte = ptep_get(ptep);
	pte_unmap(ptep);
	kind = thp_pte_kind(pte);
	if (kind == THP_KIND_PRESENT)
		folio = page_folio(pfn_to_page(pte_pfn(pte)));
	else if (kind == THP_KIND_DEVICE || kind == THP_KIND_MIGRATION)
		folio = softleaf_to_folio(softleaf_from_pte(pte));
	return folio;
}

/**
 * thp_fixture_write() - write the pattern to a folio's worth of memory
 * @f: fixture
 * @order: order that the folio is to have
 *
 * Writes as a process would, through page faults, from the start of the range
 * on; asserts that one folio of @order is there afterwards, and tracks it. Which
 * orders may be faulted in, and of what memory, is for the caller to have set.
 *
 * Context: the thread of the test.
 * Return: the folio, mapped and unlocked. No reference is taken.
 */
struct folio *thp_fixture_write(struct thp_fixture *f, unsigned int order)
{
	void *page = kunit_kmalloc(f->test, PAGE_SIZE, GFP_KERNEL);
	struct folio *folio;
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(f->test, page);
	for (i = 0; i < 1UL << order; i++) {
		void __user *to = (void __user *)(f->addr + i * PAGE_SIZE);

		thp_data_fill(page, i);
		KUNIT_ASSERT_EQ(f->test, 0, copy_to_user(to, page, PAGE_SIZE));
	}
	lru_add_drain();
	folio = thp_fixture_folio_at(f, f->addr);
	KUNIT_ASSERT_NOT_NULL(f->test, folio);
	KUNIT_ASSERT_EQ_MSG(f->test, folio_order(folio), order,
			    "no folio of order %u to be had", order);
	thp_fixture_track(f, &folio->page, order, f->addr);
#ifdef CONFIG_MEMCG
	f->memcg = folio->memcg_data;
#else
	f->memcg = THP_NA;
#endif
	return folio;
}

/**
 * thp_fixture_touch() - write the pattern to a folio's worth of system memory
 * @f: fixture
 * @order: order that the folio is to have: 0, or 2..HPAGE_PMD_ORDER
 *
 * Writes as a process would, through page faults, from the start of the range
 * on, with mTHPs of this order only enabled; asserts that one folio of @order
 * is there afterwards, and tracks it. The folio is on the LRU.
 *
 * Context: the thread of the test.
 * Return: the folio, mapped and unlocked. No reference is taken.
 */
struct folio *thp_fixture_touch(struct thp_fixture *f, unsigned int order)
{
	thp_fixture_anon_orders(f->test, order ? BIT(order) : 0);
	return thp_fixture_write(f, order);
}

/**
 * thp_fixture_forget_warnings() - let every WARN_ON_ONCE() fire again
 *
 * The kernel's own /sys/kernel/debug/clear_warn_once (kernel/panic.c) does the
 * same. A row of a table may only expect a warning if it calls this first:
 * otherwise the row before it has used it up.
 */
void thp_fixture_forget_warnings(void)
{
	generic_bug_clear_once();
	memset(__start_once, 0, __end_once - __start_once);
}

/**
 * thp_fixture_stay_on_cpu() - keep the thread of the test on the CPU it is on
 *
 * lru_add_drain() empties the batches, and drain_all_stock() the charges kept for
 * later at once, of one CPU. It is never undone: the thread ends with its test.
 *
 * Context: the thread of the test
 */
void thp_fixture_stay_on_cpu(void)
{
	set_cpus_allowed_ptr(current, cpumask_of(raw_smp_processor_id()));
}
