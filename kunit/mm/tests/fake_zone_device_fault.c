// SPDX-License-Identifier: GPL-2.0-only
/*
 * Fake device: CPU faults on its pages. The whole work is that of a migration
 * to system memory, see fake_zone_device_migrate.c.
 */
#include "fake_zone_device_internal.h"

/*
 * A fault that migrates nothing is taken again. In real life somebody else will
 * let go of the page some day; in a test there is nobody else, so that the
 * fault would be taken for ever.
 */
#define FAKE_ZDEV_MAX_IDLE_FAULTS	16

/**
 * fake_zdev_set_fault_policy() - set what CPU faults migrate pages to
 * @zdev: device
 * @policy: destinations; FAKE_ZDEV_DST_AS_SOURCE unless set
 *
 * Context: any; not during a fault
 */
void fake_zdev_set_fault_policy(struct fake_zdev *zdev, enum fake_zdev_policy policy)
{
	zdev->fault_policy = policy;
}

/**
 * fake_zdev_set_fault_flags() - set the flags for the migration in CPU faults
 * @zdev: device
 * @flags: mask of enum migrate_vma_direction; MIGRATE_VMA_SELECT_DEVICE_PRIVATE
 *	| MIGRATE_VMA_SELECT_COMPOUND unless set
 *
 * Context: any; not during a fault
 */
void fake_zdev_set_fault_flags(struct fake_zdev *zdev, unsigned long flags)
{
	zdev->fault_flags = flags;
}

/**
 * fake_zdev_set_fault_order() - set how much a CPU fault migrates at least
 * @zdev: device
 * @order: naturally aligned pages around the faulting address, cut off at the
 *	ends of the VMA; 0 unless set
 *
 * A fault on a PMD migrates the whole PMD in any case.
 *
 * Context: any; not during a fault
 */
void fake_zdev_set_fault_order(struct fake_zdev *zdev, unsigned int order)
{
	zdev->fault_order = order;
}

/* Entry of the faulting page in the arrays of @m */
static unsigned long fake_zdev_fault_entry(const struct fake_zdev_migration *m,
					   const struct vm_fault *vmf)
{
	/* A PMD is one entry, for all of its pages. */
	unsigned long addr = vmf->pte ? vmf->address & PAGE_MASK :
					vmf->address & HPAGE_PMD_MASK;

	return (addr - m->args.start) >> PAGE_SHIFT;
}

/*
 * migrate_vma_setup() tells what to return: if the driver can't migrate a page
 * that could be migrated, VM_FAULT_SIGBUS. If somebody else holds the page, 0:
 * the fault is taken again.
 */
static vm_fault_t fake_zdev_fault_migrate(struct fake_zdev *zdev,
					  struct fake_zdev_migration *m,
					  struct vm_fault *vmf)
{
	unsigned long i = fake_zdev_fault_entry(m, vmf);
	bool is_mine, has_dst, is_done;

	if (fake_zdev_migration_setup(m))
		return VM_FAULT_SIGBUS;
	is_mine = m->src[i] & MIGRATE_PFN_MIGRATE;
	fake_zdev_migration_copy(m, zdev->fault_policy);
	has_dst = m->dst[i] & MIGRATE_PFN_VALID;
	fake_zdev_migration_pages(m);
	is_done = fake_zdev_migration_migrated(m);
	fake_zdev_migration_finalize(m);

	if (is_mine && !has_dst)
		return VM_FAULT_SIGBUS;
	zdev->nr_idle_faults = is_done ? 0 : zdev->nr_idle_faults + 1;
	return zdev->nr_idle_faults < FAKE_ZDEV_MAX_IDLE_FAULTS ? 0 : VM_FAULT_SIGBUS;
}

/* ->migrate_to_ram() */
vm_fault_t fake_zdev_ram_fault(struct vm_fault *vmf)
{
	struct folio *folio = page_folio(vmf->page);
	struct fake_zdev *zdev = fake_zdev_folio_chunk(folio)->zdev;
	unsigned int order = max(zdev->fault_order, vmf->pte ? 0 : HPAGE_PMD_ORDER);
	unsigned long start = ALIGN_DOWN(vmf->address, PAGE_SIZE << order);
	unsigned long end = start + (PAGE_SIZE << order);
	struct fake_zdev_migration m;
	struct fake_zdev_event event;
	vm_fault_t ret;

	fake_zdev_event_folio(&event, zdev, FAKE_ZDEV_MIGRATE_TO_RAM, folio);
	event.idx = fake_zdev_index(zdev, vmf->page);
	event.addr = vmf->address;
	event.pmd_fault = !vmf->pte;
	fake_zdev_log(zdev, &event);

	if (__fake_zdev_migration_init(&m, zdev, NULL, vmf->vma,
				       max(start, vmf->vma->vm_start),
				       min(end, vmf->vma->vm_end), zdev->fault_flags))
		return VM_FAULT_OOM;
	m.args.fault_page = vmf->page;
	ret = fake_zdev_fault_migrate(zdev, &m, vmf);
	__fake_zdev_migration_exit(&m);
	return ret;
}
