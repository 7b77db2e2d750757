// SPDX-License-Identifier: GPL-2.0-only
/*
 * What migrate_vma_setup() refuses, and what it tells MMU notifiers.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/mmu_notifier.h>

#include "thp_migrate_model.h"

#define NR	HPAGE_PMD_NR

/**
 * enum args_fault - what stands in migrate_vma.fault_page
 * @NO_FAULT_PAGE: NULL
 * @SYSTEM_FAULT_PAGE: a page of system memory
 * @UNLOCKED_FAULT_PAGE: a page of the device that is not locked
 */
enum args_fault { NO_FAULT_PAGE, SYSTEM_FAULT_PAGE, UNLOCKED_FAULT_PAGE };

/**
 * struct args_param - arguments for migrate_vma_setup()
 * @name: description
 * @from_end: @start and @end are relative to the end of the VMA, not to its start
 * @start: first address, in bytes
 * @end: end of the range, in bytes
 * @no_vma: there is no VMA
 * @no_src: there is no array for sources
 * @no_dst: there is no array for destinations
 * @vm_flags: flags that the VMA has besides its own
 * @fault_page: what fault_page is
 * @ret: what must be returned
 * @npages: number of entries that must have been written
 */
struct args_param {
	const char *name;
	bool from_end;
	long start, end;
	bool no_vma, no_src, no_dst;
	vm_flags_t vm_flags;
	enum args_fault fault_page;
	int ret;
	unsigned long npages;
};

#define P	((long)PAGE_SIZE)

/*
 * Not here: a DAX file and hugetlb memory, which the configuration does not have; a
 * range that ends before the VMA starts, which can't be if it does not start before
 * the VMA either; and one that ends before it starts, which is a known bug that the
 * kernel does not survive.
 */
static const struct args_param args_params[] = {
	{ "no_vma", .end = P, .no_vma = true, .ret = -EINVAL },
	{ "vm_io", .end = P, .vm_flags = VM_IO, .ret = -EINVAL },
	{ "vm_pfnmap", .end = P, .vm_flags = VM_PFNMAP, .ret = -EINVAL },
	{ "vm_dontexpand", .end = P, .vm_flags = VM_DONTEXPAND, .ret = -EINVAL },
	{ "vm_mixedmap", .end = P, .vm_flags = VM_MIXEDMAP, .ret = -EINVAL },
	{ "empty", .start = P, .end = P, .ret = -EINVAL },
	{ "less_than_a_page", .start = 100, .end = P + 50, .ret = -EINVAL },
	{ "starts_before_vma", .start = -P, .end = P, .ret = -EINVAL },
	{ "before_vma", .start = -2 * P, .end = -P, .ret = -EINVAL },
	{ "starts_at_end_of_vma", .from_end = true, .start = 0, .end = P, .ret = -EINVAL },
	{ "behind_vma", .from_end = true, .start = P, .end = 2 * P, .ret = -EINVAL },
	{ "ends_behind_vma", .from_end = true, .start = -P, .end = P, .ret = -EINVAL },
	{ "no_src", .end = P, .no_src = true, .ret = -EINVAL },
	{ "no_dst", .end = P, .no_dst = true, .ret = -EINVAL },
	{ "fault_page_of_system_memory", .end = P, .fault_page = SYSTEM_FAULT_PAGE,
	  .ret = -EINVAL },
	{ "fault_page_unlocked", .end = P, .fault_page = UNLOCKED_FAULT_PAGE, .ret = -EINVAL },
	{ "first_page_of_vma", .end = P, .npages = 1 },
	{ "last_page_of_vma", .from_end = true, .start = -P, .npages = 1 },
	{ "unaligned_is_rounded_down", .start = 100, .end = 2 * P + 100, .npages = 2 },
	{ "unaligned_end_is_rounded_down", .start = 0, .end = 2 * P - 1, .npages = 1 },
};

static void args_desc(struct kunit *test, const void *param, char *desc)
{
	const struct args_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int args_params_init(struct kunit *test)
{
	kunit_register_params_array(test, args_params, ARRAY_SIZE(args_params), args_desc);
	return 0;
}

/* Not what any migrate_vma_setup() writes */
#define UNTOUCHED	0x5a5a5a5a5a5a5a5aul

/*
 * Test that migrate_vma_setup() refuses what it can't work on, before it has
 * written or unmapped anything, and rounds down what is not aligned.
 */
static void setup_refuses_bad_arguments_and_changes_nothing(struct kunit *test)
{
	static const struct thp_piece pieces[] = {
		{ THP_DEVICE, 0, 0 }, { THP_SYSTEM, 0, 1 }, {},
	};
	const struct args_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	unsigned long src[4], dst[4], i, base;
	struct migrate_vma args = { .flags = 0 };
	struct thp_model *model;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	memset64((u64 *)src, UNTOUCHED, ARRAY_SIZE(src));
	memset64((u64 *)dst, UNTOUCHED, ARRAY_SIZE(dst));
	base = p->from_end ? f->end : f->start;
	args.vma = p->no_vma ? NULL : f->vma;
	args.start = base + p->start;
	args.end = base + p->end;
	args.src = p->no_src ? NULL : src;
	args.dst = p->no_dst ? NULL : dst;
	/* Selects nothing but holes, of which nothing is held. */
	args.pgmap_owner = fake_zdev_owner(f->zdev);
	if (p->fault_page)
		args.fault_page = model->pages[p->fault_page == SYSTEM_FAULT_PAGE].page;

	mmap_write_lock(f->mm);
	vm_flags_set(f->vma, p->vm_flags);
	mmap_write_downgrade(f->mm);
	KUNIT_EXPECT_EQ(test, migrate_vma_setup(&args), p->ret);
	if (!p->ret) {
		KUNIT_EXPECT_EQ(test, args.npages, p->npages);
		KUNIT_EXPECT_EQ(test, args.start, ALIGN_DOWN(base + p->start, PAGE_SIZE));
		KUNIT_EXPECT_EQ(test, args.end, ALIGN_DOWN(base + p->end, PAGE_SIZE));
		migrate_vma_finalize(&args);
	}
	mmap_read_unlock(f->mm);
	mmap_write_lock(f->mm);
	vm_flags_clear(f->vma, p->vm_flags);
	mmap_write_unlock(f->mm);

	for (i = p->npages; i < ARRAY_SIZE(src); i++) {
		KUNIT_EXPECT_EQ_MSG(test, src[i], UNTOUCHED, "src[%lu]", i);
		KUNIT_EXPECT_EQ_MSG(test, dst[i], UNTOUCHED, "dst[%lu]", i);
	}
	thp_model_expect(model, "after setup");
	thp_layout_read_back(model);
}

/* The most that any row is told */
#define MAX_NOTES	3

/**
 * struct notify_param - a migration, and what an MMU notifier hears of it
 * @name: description
 * @pieces: the window
 * @req: the request
 * @notes: calls of ->invalidate(), in this order: event, and pages of the window.
 *	Those of migrate_vma_*() itself (MMU_NOTIFY_MIGRATE) name the owner, so that
 *	a driver can tell its own migrations; those of splits don't.
 */
struct notify_param {
	const char *name;
	struct thp_piece pieces[4];
	struct thp_request req;
	struct {
		enum mmu_notifier_event event;
		unsigned long start, end;
	} notes[MAX_NOTES];
	unsigned int nr_notes;
};

#define SYSTEM_WHOLE	(MIGRATE_VMA_SELECT_SYSTEM | MIGRATE_VMA_SELECT_COMPOUND)
#define DEVICE_WHOLE	(MIGRATE_VMA_SELECT_DEVICE_PRIVATE | MIGRATE_VMA_SELECT_COMPOUND)
#define OUT(_start, _end, _policy)							\
	{ _start, _end, SYSTEM_WHOLE, THP_DEVICE, THP_DEVICE, FAKE_ZDEV_DST_##_policy }
#define BACK(_start, _end, _policy)							\
	{ _start, _end, DEVICE_WHOLE, THP_DEVICE, THP_SYSTEM, FAKE_ZDEV_DST_##_policy }

static const struct notify_param notify_params[] = {
	{ "system_order9", { { THP_SYSTEM, 9 } }, OUT(0, NR, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, NR } }, 1 },
	{ "system_order9_small", { { THP_SYSTEM, 9 } }, OUT(0, NR, ALL_SMALL),
	  { { MMU_NOTIFY_MIGRATE, 0, NR }, { MMU_NOTIFY_CLEAR, 0, NR } }, 2 },
	{ "system_order9_part", { { THP_SYSTEM, 9 } }, OUT(100, 200, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 100, 200 }, { MMU_NOTIFY_CLEAR, 0, NR } }, 2 },
	{ "system_order9_pinned", { { THP_SYSTEM, 9, 0, false, 1 } }, OUT(0, NR, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, NR } }, 1 },
	{ "system_order4", { { THP_SYSTEM, 4 } }, OUT(0, 16, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, 16 }, { MMU_NOTIFY_CLEAR, 0, 16 } }, 2 },
	{ "system_order4_part", { { THP_SYSTEM, 4, 16 } }, OUT(20, 21, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 20, 21 }, { MMU_NOTIFY_CLEAR, 16, 32 } }, 2 },
	{ "system_order0", { { THP_SYSTEM, 0 } }, OUT(0, 1, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, 1 } }, 1 },
	{ "device_order9", { { THP_DEVICE, 9 } }, BACK(0, NR, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, NR } }, 1 },
	{ "device_order9_small", { { THP_DEVICE, 9 } }, BACK(0, NR, ALL_SMALL),
	  { { MMU_NOTIFY_MIGRATE, 0, NR }, { MMU_NOTIFY_CLEAR, 0, NR } }, 2 },
	{ "device_order9_part", { { THP_DEVICE, 9 } }, BACK(0, NR - 1, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, NR - 1 }, { MMU_NOTIFY_CLEAR, 0, NR } }, 2 },
	{ "device_order5", { { THP_DEVICE, 5 } }, BACK(0, 32, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, 32 }, { MMU_NOTIFY_CLEAR, 0, 32 } }, 2 },
	{ "device_order0", { { THP_DEVICE, 0 } }, BACK(0, 1, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, 1 } }, 1 },
	{ "not_selected", { { THP_DEVICE, 9 } }, OUT(0, NR, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, NR } }, 1 },
	{ "hole_of_pmd", {}, OUT(0, NR, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, NR }, { MMU_NOTIFY_MIGRATE, 0, NR } }, 2 },
	{ "hole_of_pmd_small", {}, OUT(0, NR, ALL_SMALL),
	  { { MMU_NOTIFY_MIGRATE, 0, NR }, { MMU_NOTIFY_MIGRATE, 0, NR } }, 2 },
	{ "hole_without_destination", {}, OUT(0, NR, NONE),
	  { { MMU_NOTIFY_MIGRATE, 0, NR } }, 1 },
	{ "holes_behind_a_page", { { THP_SYSTEM, 0 }, { THP_SYSTEM, 0, 1 } },
	  OUT(0, 8, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, 8 }, { MMU_NOTIFY_MIGRATE, 2, 8 } }, 2 },
	{ "huge_zero_small", { { THP_HUGE_ZERO, 9 } }, OUT(0, NR, ALL_SMALL),
	  { { MMU_NOTIFY_MIGRATE, 0, NR }, { MMU_NOTIFY_MIGRATE, 0, NR },
	    { MMU_NOTIFY_CLEAR, 0, NR } }, 3 },
	{ "two_mthps", { { THP_DEVICE, 2, 0 }, { THP_DEVICE, 3, 8 } },
	  BACK(0, 16, AS_SOURCE),
	  { { MMU_NOTIFY_MIGRATE, 0, 16 }, { MMU_NOTIFY_CLEAR, 0, 4 },
	    { MMU_NOTIFY_CLEAR, 8, 16 } }, 3 },
};

static void notify_desc(struct kunit *test, const void *param, char *desc)
{
	const struct notify_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int notify_params_init(struct kunit *test)
{
	kunit_register_params_array(test, notify_params, ARRAY_SIZE(notify_params),
				    notify_desc);
	return 0;
}

/*
 * Test that MMU notifiers hear of exactly the ranges that a migration changes, in
 * order, and who does it.
 */
static void notifiers_hear_of_each_range_with_the_owner(struct kunit *test)
{
	const struct notify_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct thp_model *model;
	unsigned int i, nr;

	thp_layout_map(f, PROT_READ | PROT_WRITE, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, p->pieces);
	fake_zdev_watch(test, f->zdev, f->mm, f->addr, f->addr + 2 * HPAGE_PMD_SIZE);
	thp_model_run(model, &p->req, FAKE_ZDEV_PHASE_FINAL);
	thp_layout_unpin(model);

	nr = fake_zdev_count(f->zdev, FAKE_ZDEV_INVALIDATE);
	KUNIT_EXPECT_EQ(test, nr, p->nr_notes);
	for (i = 0; i < min(nr, p->nr_notes); i++) {
		const struct fake_zdev_event *e =
			fake_zdev_nth_event(f->zdev, FAKE_ZDEV_INVALIDATE, i);

		KUNIT_EXPECT_EQ_MSG(test, e->notify, p->notes[i].event, "call %u", i);
		KUNIT_EXPECT_EQ_MSG(test, e->addr, f->addr + p->notes[i].start * PAGE_SIZE,
				    "call %u", i);
		KUNIT_EXPECT_EQ_MSG(test, e->end, f->addr + p->notes[i].end * PAGE_SIZE,
				    "call %u", i);
		KUNIT_EXPECT_PTR_EQ_MSG(test, e->notify_owner,
					p->notes[i].event == MMU_NOTIFY_MIGRATE ?
					fake_zdev_owner(f->zdev) : NULL, "call %u", i);
	}
}

static struct kunit_case device_private_thp_migrate_args_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(setup_refuses_bad_arguments_and_changes_nothing,
				   kunit_array_gen_params, args_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(notifiers_hear_of_each_range_with_the_owner,
				   kunit_array_gen_params, notify_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_migrate_args_suite = {
	.name = "device_private_thp_migrate_args",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_args_cases,
};

kunit_test_suite(device_private_thp_migrate_args_suite);

MODULE_DESCRIPTION("KUnit tests: arguments and notifications of migrate_vma_setup()");
MODULE_LICENSE("GPL");
