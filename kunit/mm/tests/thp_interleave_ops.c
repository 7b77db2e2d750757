// SPDX-License-Identifier: GPL-2.0-only
/*
 * Phase interleaving: the operations, as system calls make them. Those that take
 * the mmap lock for reading take it even if the driver holds it, as another
 * thread would.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/swap.h>
#include <linux/syscalls.h>

#include "../internal.h"
#include "thp_interleave.h"

static int dontneed(struct mm_struct *mm, unsigned long start, unsigned long nr)
{
	return do_madvise(mm, start, nr << PAGE_SHIFT, MADV_DONTNEED);
}

static int cpu_fault(struct mm_struct *mm, unsigned long addr, unsigned int flags)
{
	struct vm_area_struct *vma;
	vm_fault_t ret = VM_FAULT_SIGSEGV;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma)
		ret = handle_mm_fault(vma, addr, flags, NULL);
	mmap_read_unlock(mm);
	return ret & VM_FAULT_ERROR ? -EFAULT : 0;
}

static int split_pmd(struct mm_struct *mm, unsigned long addr)
{
	struct vm_area_struct *vma;

	mmap_read_lock(mm);
	vma = vma_lookup(mm, addr);
	if (vma)
		split_huge_pmd_address(vma, addr, false);
	mmap_read_unlock(mm);
	return vma ? 0 : -EFAULT;
}

static int pin(struct ileave_run *run)
{
	run->pinned = page_folio(run->first);
	folio_get(run->pinned);
	return 0;
}

static int gup(struct ileave_run *run, struct mm_struct *mm, unsigned long addr)
{
	struct page *page;

	mmap_read_lock(mm);
	run->found = get_user_pages_remote(mm, addr, 1, FOLL_NOFAULT, &page, NULL);
	mmap_read_unlock(mm);
	if (run->found == 1)
		put_page(page);
	return 0;
}

/* A migration from the beginning to the end, whether there is anything or not */
static int setup_again(struct ileave_run *run, struct mm_struct *mm)
{
	struct fake_zdev_migration *m = run->other;
	int ret;

	mmap_read_lock(mm);
	ret = fake_zdev_migration_setup(m);
	run->other_collected = m->args.cpages;
	if (!ret) {
		fake_zdev_migration_copy(m, run->model->trip.small ?
					 FAKE_ZDEV_DST_ALL_SMALL : FAKE_ZDEV_DST_AS_SOURCE);
		fake_zdev_migration_pages(m);
		fake_zdev_migration_finalize(m);
	}
	mmap_read_unlock(mm);
	return ret;
}

/* Of the source, or of the memory that the destinations are taken from first */
static int evict(struct ileave_run *run)
{
	struct thp_fixture *f = run->f;
	struct page *first = run->row->route == ILEAVE_TO_DEVICE ?
			     fake_zdev_page(f->zdev, 0) : run->first;

	run->other_collected = ileave_range_setup(run->other, first);
	fake_zdev_migration_copy(run->other, FAKE_ZDEV_DST_AS_SOURCE);
	ileave_range_pages(run->other);
	ileave_range_finalize(run->other);
	return 0;
}

static int change_vma(struct ileave_run *run, unsigned long addr, unsigned long size)
{
	int ret;

	switch (run->row->op) {
	case ILEAVE_MUNMAP_WHOLE:
		return vm_munmap(addr, size);
	case ILEAVE_MUNMAP_HALF:
		return vm_munmap(addr, size / 2);
	case ILEAVE_MUNMAP_PAGE:
		return vm_munmap(addr + ILEAVE_PAGE * PAGE_SIZE, PAGE_SIZE);
	case ILEAVE_MPROTECT_RO:
		return sys_mprotect(addr, size, PROT_READ);
	case ILEAVE_MPROTECT_BACK:
		ret = sys_mprotect(addr, size, PROT_READ);
		return ret ?: sys_mprotect(addr, size, PROT_READ | PROT_WRITE);
	case ILEAVE_MREMAP:
		return sys_mremap(addr, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
				  addr + ILEAVE_SHIFT) == addr + ILEAVE_SHIFT ? 0 : -EFAULT;
	case ILEAVE_MREMAP_UNALIGNED:
		return sys_mremap(addr, size, size, MREMAP_MAYMOVE | MREMAP_FIXED,
				  addr + ILEAVE_SHIFT_UNALIGNED) ==
		       addr + ILEAVE_SHIFT_UNALIGNED ? 0 : -EFAULT;
	default:
		return -EINVAL;
	}
}

static int do_op(struct ileave_run *run, struct mm_struct *mm)
{
	const unsigned long addr = run->f->addr, nr = 1UL << run->row->order;
	const unsigned long page = addr + ILEAVE_PAGE * PAGE_SIZE;
	int ret;

	switch (run->row->op) {
	case ILEAVE_DONTNEED_WHOLE:
		return dontneed(mm, addr, nr);
	case ILEAVE_DONTNEED_HALF:
		return dontneed(mm, addr, nr / 2);
	case ILEAVE_DONTNEED_PAGE:
		return dontneed(mm, page, 1);
	case ILEAVE_REFAULT:
		ret = dontneed(mm, addr, nr);
		return ret ?: cpu_fault(mm, page, FAULT_FLAG_WRITE);
	case ILEAVE_SPLIT_PMD:
		return split_pmd(mm, addr);
	case ILEAVE_PIN:
		return pin(run);
	case ILEAVE_GUP:
		return gup(run, mm, page);
	case ILEAVE_SETUP_AGAIN:
		return setup_again(run, mm);
	case ILEAVE_EVICT:
		return evict(run);
	case ILEAVE_FAULT_READ:
		return cpu_fault(mm, addr, 0);
	case ILEAVE_FAULT_WRITE:
		return cpu_fault(mm, addr, FAULT_FLAG_WRITE);
	case ILEAVE_FORK:
		run->model->mms[ILEAVE_MAX_MMS - 1].mm = thp_fixture_fork(run->f);
		return 0;
	case ILEAVE_EXIT:
		thp_fixture_end_child(run->f, mm);
		return 0;
	default:
		return change_vma(run, addr, nr << PAGE_SHIFT);
	}
}

/**
 * ileave_op() - do the operation of a row
 * @run: run; the model is not told
 *
 * Works in the mm of the operation, as its process would.
 *
 * Context: the thread of the test, which may hold the mmap lock of @run->f->mm
 * for reading, and be in an MMU notifier that may sleep.
 */
void ileave_op(struct ileave_run *run)
{
	struct mm_struct *mm = ileave_target_mm(run->model, run->row)->mm;
	/* An mm that nobody works in can exit. */
	bool switches = mm != run->f->mm && run->row->op != ILEAVE_EXIT;

	if (switches)
		thp_fixture_switch_mm(run->f, run->f->mm, mm);
	KUNIT_EXPECT_EQ(run->test, do_op(run, mm), 0);
	if (switches)
		thp_fixture_switch_mm(run->f, mm, run->f->mm);
}
