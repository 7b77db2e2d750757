// SPDX-License-Identifier: GPL-2.0-only
/*
 * Takes steps: each is done to the kernel, and to the model, and then the two are
 * compared.
 */
#include <linux/kthread.h>
#include <linux/mman.h>
#include <linux/pagemap.h>
#include <linux/sched/mm.h>
#include <linux/swap.h>
#include <linux/syscalls.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "fake_zone_device_migrate.h"
#include "thp_leaf.h"
#include "thp_mm.h"
#include "thp_world.h"

/* Where page 0 is, in an address space in which nothing else is */
#define WORLD_BASE	(16 * HPAGE_PMD_SIZE)

/* Most of what a single step can log: each page allocated, copied, split off, freed */
#define WORLD_EVENTS	(4 * THP_MEMORY_PAGES + 64)

/**
 * thp_world_wrong() - say what is wrong, unless something was wrong before
 * @w: world
 * @fmt: format, without newline
 *
 * Return: false
 */
bool thp_world_wrong(struct thp_world *w, const char *fmt, ...)
{
	va_list args;

	if (*w->why)
		return false;
	va_start(args, fmt);
	vsnprintf(w->why, sizeof(w->why), fmt, args);
	va_end(args);
	return false;
}

static unsigned long addr_of(const struct thp_world *w, unsigned int page)
{
	return w->base + ((unsigned long)page << PAGE_SHIFT);
}

/* Steps of the child are taken in its address space. */
static void enter(struct thp_world *w, unsigned int mm)
{
	if (!mm)
		return;
	kthread_unuse_mm(w->mms[0]);
	kthread_use_mm(w->mms[mm]);
}

static void leave(struct thp_world *w, unsigned int mm)
{
	if (!mm)
		return;
	kthread_unuse_mm(w->mms[mm]);
	kthread_use_mm(w->mms[0]);
}

static int map(struct thp_world *w, unsigned int first, unsigned int nr)
{
	unsigned long addr = addr_of(w, first);

	return vm_mmap(NULL, addr, (unsigned long)nr << PAGE_SHIFT, PROT_READ | PROT_WRITE,
		       MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED_NOREPLACE, 0) == addr ? 0 : -ENOMEM;
}

/**
 * thp_world_begin() - make a world
 * @test: the test; fails if there is no memory. Its thread has no mm.
 *
 * Context: the thread of the test, which works in the new address space from
 * here on, until thp_world_end(). It must not assert anything until then.
 * Return: the world.
 */
struct thp_world *thp_world_begin(struct kunit *test)
{
	const struct fake_zdev_params params = { .nr_events = WORLD_EVENTS };
	struct thp_world *w = kunit_kzalloc(test, sizeof(*w), GFP_KERNEL);
	struct thp_fixture *f;

	KUNIT_ASSERT_NOT_NULL(test, w);
	thp_fixture_stay_on_cpu();
	w->test = test;
	w->base = WORLD_BASE;
	f = &w->f;
	f->test = test;
	f->taint = get_taint();
	f->zdev = fake_zdev_create(test, &params);
	f->peer = fake_zdev_create(test, &params);
	KUNIT_ASSERT_EQ(test, fake_zdev_nr_pages(f->zdev), THP_MEMORY_CAPACITY);
	thp_fixture_alloc_scratch(f);
	w->mms[0] = thp_mm_new();
	KUNIT_ASSERT_NOT_NULL(test, w->mms[0]);
	f->mm = w->mms[0];
	f->seen = f->mm;
	f->addr = w->base;
	thp_fixture_track(f, fake_zdev_page(f->zdev, 0), 0, f->addr);
	thp_fixture_rebase(f);
	f->why = w->why;
	f->why_size = sizeof(w->why);
	thp_memory_init(&w->m);

	kthread_use_mm(w->mms[0]);
	if (map(w, 0, THP_MEMORY_PAGES - HPAGE_PMD_NR))
		thp_world_wrong(w, "no memory for a VMA");
	return w;
}

static unsigned int do_write(struct thp_world *w, const struct thp_step *step)
{
	unsigned int i, which, errors = 0;
	u32 version = w->m.versions;

	for (i = step->first; i < step->first + step->nr; i++) {
		const struct thp_memory_page *page = &w->m.pages[step->mm][i];
		u64 __user *at = (u64 __user *)addr_of(w, i);
		bool failed = false;

		/* The model numbers the pages that can be written to, one after another. */
		version += page->vma && page->writable;
		for (which = 0; which < THP_WORLD_WORDS && !failed; which++)
			failed = put_user(thp_world_word(version, which),
					  at + thp_world_offset(which));
		errors += failed;
	}
	return errors;
}

static unsigned int do_read(struct thp_world *w, const struct thp_step *step)
{
	unsigned int i, errors = 0;

	for (i = step->first; i < step->first + step->nr; i++) {
		const struct thp_memory_page *page = &w->m.pages[step->mm][i];
		const u32 version = page->frame ? w->m.frames[page->frame].version : 0;
		u64 __user *at = (u64 __user *)addr_of(w, i);
		u64 word;

		if (get_user(word, at))
			errors++;
		else if (word != thp_world_word(version, 0))
			thp_world_wrong(w, "mm %u reads %#llx from page %u, should be %#llx",
					step->mm, word, i, thp_world_word(version, 0));
	}
	return errors;
}

/* A range as the driver sees it: one VMA after another */
static long migrate_range(struct thp_world *w, const struct thp_step *step,
			  struct fake_zdev *from, struct fake_zdev *to)
{
	unsigned long addr = addr_of(w, step->first), end = addr_of(w, step->first + step->nr);
	struct mm_struct *mm = w->mms[step->mm];
	long ret = 0;

	while (addr < end && ret >= 0) {
		struct vm_area_struct *vma;
		unsigned long part_end = end;

		mmap_read_lock(mm);
		vma = vma_lookup(mm, addr);
		if (vma)
			part_end = min(end, vma->vm_end);
		mmap_read_unlock(mm);
		if (!vma)
			return -ENOENT;
		if (!to)
			ret = fake_zdev_migrate_to_ram(from, mm, addr, part_end, step->policy);
		else if (!from)
			ret = fake_zdev_migrate_to_device(to, mm, addr, part_end, step->policy);
		else
			ret = fake_zdev_migrate_to_peer(from, to, mm, addr, part_end,
							step->policy);
		addr = part_end;
	}
	return min(ret, 0L);
}

static long split_folio_at(struct thp_world *w, const struct thp_step *step)
{
	struct thp_leaf leaf = thp_leaf_at(w->mms[step->mm], addr_of(w, step->first));
	struct folio *folio;
	int ret = 0;

	if (!leaf.page)
		return thp_world_wrong(w, "page %u of mm %u is nowhere", step->first, step->mm);
	folio = page_folio(leaf.page);
	if (folio_order(folio) <= step->order)
		return 0;
	folio_get(folio);
	folio_lock(folio);
	ret = split_huge_page_to_order(leaf.page, step->order);
	folio = page_folio(leaf.page);
	if (!ret && folio_order(folio) != step->order)
		thp_world_wrong(w, "page %u of mm %u: order %u after a split to order %u",
				step->first, step->mm, folio_order(folio), step->order);
	folio_unlock(folio);
	folio_put(folio);
	return ret;
}

static long split_pmd_at(struct thp_world *w, const struct thp_step *step)
{
	struct mm_struct *mm = w->mms[step->mm];
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr_of(w, step->first));
	if (vma)
		split_huge_pmd_address(vma, addr_of(w, step->first), false);
	mmap_read_unlock(mm);
	return vma ? 0 : -ENOENT;
}

static long fork_mm(struct thp_world *w)
{
	struct mm_struct *child = thp_mm_new();
	int ret;

	if (!child)
		return -ENOMEM;
	ret = dup_mmap(child, w->mms[0]);
	if (ret) {
		mmput(child);
		return ret;
	}
	w->mms[1] = child;
	w->f.children[w->f.nr_children++] = child;
	return 0;
}

static void end_child(struct thp_world *w)
{
	if (!w->mms[1])
		return;
	w->f.nr_children = 0;
	mmput(w->mms[1]);
	w->mms[1] = NULL;
}

/* System calls; they concern the mm that the thread works in. */
static long do_syscall(struct thp_world *w, const struct thp_step *step)
{
	unsigned long addr = addr_of(w, step->first), to = addr_of(w, step->to);
	unsigned long size = (unsigned long)step->nr << PAGE_SHIFT;
	long ret;

	switch (step->op) {
	case THP_OP_DONTNEED:
		return do_madvise(w->mms[step->mm], addr, size, MADV_DONTNEED);
	case THP_OP_MUNMAP:
		return vm_munmap(addr, size);
	case THP_OP_MMAP:
		return map(w, step->first, step->nr);
	case THP_OP_PROTECT:
		return sys_mprotect(addr, size, PROT_READ);
	case THP_OP_UNPROTECT:
		return sys_mprotect(addr, size, PROT_READ | PROT_WRITE);
	case THP_OP_MREMAP:
		ret = sys_mremap(addr, size, size, MREMAP_MAYMOVE | MREMAP_FIXED, to);
		return ret == to ? 0 : ret;
	default:
		return -EINVAL;
	}
}

/* Do it to the kernel. Return: 0, a number of errors, or a negative errno. */
static long perform(struct thp_world *w, const struct thp_step *step)
{
	struct fake_zdev *dev = w->f.zdev, *peer = w->f.peer;
	long ret;

	switch (step->op) {
	case THP_OP_RAM_TO_DEVICE:
		return migrate_range(w, step, NULL, dev);
	case THP_OP_RAM_TO_PEER:
		return migrate_range(w, step, NULL, peer);
	case THP_OP_DEVICE_TO_RAM:
		return migrate_range(w, step, dev, NULL);
	case THP_OP_PEER_TO_RAM:
		return migrate_range(w, step, peer, NULL);
	case THP_OP_DEVICE_TO_PEER:
		return migrate_range(w, step, dev, peer);
	case THP_OP_PEER_TO_DEVICE:
		return migrate_range(w, step, peer, dev);
	case THP_OP_EVICT_DEVICE:
		return min(fake_zdev_evict(dev, 0, THP_MEMORY_CAPACITY), 0L);
	case THP_OP_EVICT_PEER:
		return min(fake_zdev_evict(peer, 0, THP_MEMORY_CAPACITY), 0L);
	case THP_OP_SPLIT_FOLIO:
		return split_folio_at(w, step);
	case THP_OP_SPLIT_PMD:
		return split_pmd_at(w, step);
	case THP_OP_FORK:
		return fork_mm(w);
	case THP_OP_EXIT:
		end_child(w);
		return 0;
	default:
		break;
	}
	enter(w, step->mm);
	if (step->op == THP_OP_WRITE)
		ret = do_write(w, step);
	else if (step->op == THP_OP_READ)
		ret = do_read(w, step);
	else
		ret = do_syscall(w, step);
	leave(w, step->mm);
	return ret;
}

static void set_failure(struct thp_world *w, const struct thp_step *step, bool on)
{
	enum fake_zdev_point point = step->fail - 1;

	if (!step->fail)
		return;
	fake_zdev_fail_nth(w->f.zdev, point, on ? step->nth : 0);
	fake_zdev_fail_nth(w->f.peer, point, on ? step->nth : 0);
}

/* Does what the kernel has said fit what the model says? */
static bool expect_result(struct thp_world *w, const struct thp_step *step, long ret,
			  unsigned int errors)
{
	switch (step->op) {
	case THP_OP_READ:
		/* A failure on the way of a fault is an error for one page of each device. */
		if (ret >= errors && ret <= errors + (step->fail ? 2 : 0))
			return true;
		break;
	case THP_OP_SPLIT_FOLIO:
		/* Refused for orders and references that the model does not know. */
		return true;
	case THP_OP_MREMAP:
		/* May be refused where there are several VMAs. */
		if (!ret || ret == -EFAULT)
			return true;
		break;
	default:
		if (ret == errors)
			return true;
	}
	return thp_world_wrong(w, "step returns %ld, should be %u", ret, errors);
}

/**
 * thp_world_step() - take a step
 * @w: world
 * @step: step; left out if the model does not allow it, or if it would hit a known
 *	bug that nobody survives
 *
 * Context: the thread of the test
 * Return: false if anything is wrong, which @w->why says.
 */
bool thp_world_step(struct thp_world *w, const struct thp_step *step)
{
	unsigned int errors;
	long ret;

	if (*w->why)
		return false;
	if (!thp_memory_allows(&w->m, step) || thp_memory_known_crash(&w->m, step))
		return true;
	w->steps++;
	thp_memory_begin(&w->m);
	set_failure(w, step, true);
	ret = perform(w, step);
	set_failure(w, step, false);
	lru_add_drain();
	errors = thp_memory_apply(&w->m, step, !ret);
	expect_result(w, step, ret, errors);
	if (w->sabotage)
		w->sabotage(w, step, w->sabotage_arg);
	thp_world_check(w);
	fake_zdev_clear_events(w->f.zdev);
	fake_zdev_clear_events(w->f.peer);
	return !*w->why;
}

/* Whatever the kernel counts is what it was when the world began. */
static void check_nothing_left(struct thp_world *w)
{
	struct thp_state *s = &w->f.after;
	unsigned int order;

	thp_ledger_capture_totals(&w->f, s);
	if (s->anon_mapped || s->anon_thps)
		thp_world_wrong(w, "end: NR_ANON_MAPPED %lld, NR_ANON_THPS %lld",
				s->anon_mapped, s->anon_thps);
	for (order = 1; order < THP_NR_ORDERS; order++)
		if (s->nr_anon[order] || s->nr_part[order])
			thp_world_wrong(w, "end: order %u: nr_anon %lld, partially mapped %lld",
					order, s->nr_anon[order], s->nr_part[order]);
	if (s->dev_free || s->pgmap_refs)
		thp_world_wrong(w, "end: %lld pages of the devices in use, %lld references",
				-s->dev_free, s->pgmap_refs);
	if (s->taint)
		thp_world_wrong(w, "end: taint %#llx", s->taint);
}

/**
 * thp_world_end() - let everybody exit, and see that nothing is left
 * @w: world, which is no more on return. Its devices stay until the test ends if
 *	anything was wrong.
 * @why: THP_WORLD_WHY bytes, for what was wrong first
 *
 * Context: the thread of the test, which has no mm afterwards
 * Return: false if anything was wrong, now or before.
 */
bool thp_world_end(struct thp_world *w, char *why)
{
	struct kunit *test = w->test;
	bool good;

	end_child(w);
	if (vm_munmap(w->base, (unsigned long)THP_MEMORY_PAGES << PAGE_SHIFT))
		thp_world_wrong(w, "end: munmap() fails");
	lru_add_drain();
	check_nothing_left(w);
	kthread_unuse_mm(w->mms[0]);
	mmput(w->mms[0]);
	good = !*w->why;
	if (good) {
		fake_zdev_destroy(test, w->f.zdev);
		fake_zdev_destroy(test, w->f.peer);
	}
	strscpy(why, w->why, THP_WORLD_WHY);
	/* A test may have thousands of worlds, one after another. */
	kunit_kfree(test, w->f.held);
	kunit_kfree(test, w->f.counts);
	kunit_kfree(test, w->f.folios);
	kunit_kfree(test, w->f.mapped);
	kunit_kfree(test, w);
	return good;
}
