/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * One step of a sequence: something that a process, or the driver of a device,
 * does to memory. Sequences are made up at random, or found once and kept.
 */
#ifndef _THP_STEP_H
#define _THP_STEP_H

#include <linux/types.h>

/**
 * enum thp_op - what is done
 * @THP_OP_WRITE: the CPU writes to each page
 * @THP_OP_READ: the CPU reads from each page
 * @THP_OP_RAM_TO_DEVICE: the driver migrates what is in system memory, and fills
 *	what is nowhere
 * @THP_OP_RAM_TO_PEER: the same to the second device
 * @THP_OP_DEVICE_TO_RAM: the driver migrates what is on the device
 * @THP_OP_PEER_TO_RAM: the same from the second device
 * @THP_OP_DEVICE_TO_PEER: from the device to the second one; fills holes, too
 * @THP_OP_PEER_TO_DEVICE: the other way round
 * @THP_OP_EVICT_DEVICE: the driver gets rid of all pages, whoever has them
 * @THP_OP_EVICT_PEER: the same of the second device
 * @THP_OP_SPLIT_FOLIO: split the folio of the first page to @order
 * @THP_OP_SPLIT_PMD: split the PMD that the first page is in
 * @THP_OP_FORK: the parent forks; only one child at a time
 * @THP_OP_EXIT: the child exits
 * @THP_OP_DONTNEED: madvise(MADV_DONTNEED)
 * @THP_OP_MUNMAP: munmap()
 * @THP_OP_MMAP: mmap() where nothing is mapped
 * @THP_OP_PROTECT: mprotect(PROT_READ)
 * @THP_OP_UNPROTECT: mprotect(PROT_READ | PROT_WRITE)
 * @THP_OP_MREMAP: mremap() to @to, where nothing is mapped
 * @THP_NR_OPS: number of operations
 */
enum thp_op {
	THP_OP_WRITE,
	THP_OP_READ,
	THP_OP_RAM_TO_DEVICE,
	THP_OP_RAM_TO_PEER,
	THP_OP_DEVICE_TO_RAM,
	THP_OP_PEER_TO_RAM,
	THP_OP_DEVICE_TO_PEER,
	THP_OP_PEER_TO_DEVICE,
	THP_OP_EVICT_DEVICE,
	THP_OP_EVICT_PEER,
	THP_OP_SPLIT_FOLIO,
	THP_OP_SPLIT_PMD,
	THP_OP_FORK,
	THP_OP_EXIT,
	THP_OP_DONTNEED,
	THP_OP_MUNMAP,
	THP_OP_MMAP,
	THP_OP_PROTECT,
	THP_OP_UNPROTECT,
	THP_OP_MREMAP,
	THP_NR_OPS
};

/**
 * struct thp_step - one step
 * @op: what is done
 * @mm: by whom: 0: the parent, 1: the child
 * @first: number of the first page, 0..THP_MEMORY_PAGES - 1
 * @nr: number of pages
 * @to: MREMAP: number of the first page of where they go
 * @policy: enum fake_zdev_policy: destinations in a migration by the driver
 * @order: SPLIT_FOLIO: order of the parts
 * @fail: 1 + enum fake_zdev_point of a decision that fails on the way; 0: none
 * @nth: which of them, 1: the first
 */
struct thp_step {
	enum thp_op op;
	u8 mm;
	u16 first;
	u16 nr;
	u16 to;
	u8 policy;
	u8 order;
	u8 fail;
	u16 nth;
};

#endif /* _THP_STEP_H */
