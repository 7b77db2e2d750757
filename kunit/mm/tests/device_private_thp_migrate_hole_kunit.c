// SPDX-License-Identifier: GPL-2.0-only
/*
 * Holes: migrate_vma_pages() puts new folios where nothing is - or must not,
 * because something has happened to the hole, to the VMA or to the mm since
 * migrate_vma_setup() has seen it.
 */
#include <kunit/test.h>
#include <linux/mman.h>
#include <linux/oom.h>
#include <linux/shmem_fs.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "thp_known_bug.h"
#include "thp_migrate_model.h"

#define NR		HPAGE_PMD_NR
#define SYSTEM		MIGRATE_VMA_SELECT_SYSTEM
#define COMPOUND	MIGRATE_VMA_SELECT_COMPOUND

/**
 * struct hole_vma_param - a hole in a VMA of some kind
 * @name: description
 * @piece: zero page in the hole, or nothing
 * @end: end of the range, which starts at the start of the window
 * @prot: protection of the VMA
 * @policy: destinations
 */
struct hole_vma_param {
	const char *name;
	struct thp_piece piece;
	unsigned long end;
	unsigned long prot;
	enum fake_zdev_policy policy;
};

#define RW	(PROT_READ | PROT_WRITE)

static const struct hole_vma_param hole_vma_params[] = {
	{ "rw_page", {}, 1, RW, FAKE_ZDEV_DST_AS_SOURCE },
	{ "rw_pmd", {}, NR, RW, FAKE_ZDEV_DST_AS_SOURCE },
	{ "rw_pmd_small", {}, NR, RW, FAKE_ZDEV_DST_ALL_SMALL },
	{ "rw_zero_page", { THP_ZERO }, 1, RW, FAKE_ZDEV_DST_AS_SOURCE },
	{ "rw_huge_zero", { THP_HUGE_ZERO, 9 }, NR, RW, FAKE_ZDEV_DST_AS_SOURCE },
	{ "rw_huge_zero_small", { THP_HUGE_ZERO, 9 }, NR, RW, FAKE_ZDEV_DST_ALL_SMALL },
	{ "rw_huge_zero_part", { THP_HUGE_ZERO, 9 }, 3, RW, FAKE_ZDEV_DST_AS_SOURCE },
	{ "readonly_page", {}, 1, PROT_READ, FAKE_ZDEV_DST_AS_SOURCE },
	{ "readonly_pmd", {}, NR, PROT_READ, FAKE_ZDEV_DST_AS_SOURCE },
	{ "readonly_pmd_small", {}, NR, PROT_READ, FAKE_ZDEV_DST_ALL_SMALL },
	{ "readonly_zero_page", { THP_ZERO }, 1, PROT_READ, FAKE_ZDEV_DST_AS_SOURCE },
	{ "readonly_huge_zero", { THP_HUGE_ZERO, 9 }, NR, PROT_READ, FAKE_ZDEV_DST_AS_SOURCE },
	{ "prot_none_page", {}, 1, PROT_NONE, FAKE_ZDEV_DST_AS_SOURCE },
	{ "prot_none_pmd", {}, NR, PROT_NONE, FAKE_ZDEV_DST_AS_SOURCE },
};

static void hole_vma_desc(struct kunit *test, const void *param, char *desc)
{
	const struct hole_vma_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int hole_vma_params_init(struct kunit *test)
{
	kunit_register_params_array(test, hole_vma_params, ARRAY_SIZE(hole_vma_params),
				    hole_vma_desc);
	return 0;
}

/*
 * Test that a hole is filled with a folio that is writable if the VMA is, and
 * exclusive in any case, and that a VMA without an anon_vma gets one for it.
 */
static void hole_is_filled_as_the_vma_allows(struct kunit *test)
{
	const struct hole_vma_param *p = test->param_value;
	const struct thp_piece pieces[] = { p->piece, {} };
	const struct thp_request req = {
		.end = p->end,
		.flags = SYSTEM | COMPOUND,
		.owner = THP_DEVICE,
		.to = THP_DEVICE,
		.policy = p->policy,
	};
	struct thp_fixture *f = test->priv;
	struct thp_model *model;

	thp_layout_map(f, p->prot, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, pieces);
	if (p->piece.what == THP_HOLE)
		KUNIT_EXPECT_NULL(test, f->vma->anon_vma);
	thp_model_run(model, &req, FAKE_ZDEV_PHASE_FINAL);
	KUNIT_EXPECT_NOT_NULL(test, f->vma->anon_vma);
}

/* What happens between migrate_vma_setup() and migrate_vma_pages() */
static void arm_uffd_missing(struct thp_fixture *f, bool on)
{
	/* The lock is held for reading; nobody else looks at the VMA. */
	if (on)
		__vm_flags_mod(f->vma, VM_UFFD_MISSING, 0);
	else
		__vm_flags_mod(f->vma, 0, VM_UFFD_MISSING);
}

static void reap_mm(struct thp_fixture *f, bool on)
{
	if (on)
		mm_flags_set(MMF_UNSTABLE, f->mm);
	else
		mm_flags_clear(MMF_UNSTABLE, f->mm);
}

/* A write fault of another thread, without its data */
static void fault_in(struct thp_fixture *f, bool on)
{
	if (on)
		KUNIT_EXPECT_EQ(f->test, 0, VM_FAULT_ERROR &
				handle_mm_fault(f->vma, f->addr, FAULT_FLAG_WRITE, NULL));
}

/* Device memory of a kind that migrate_vma_*() does not know */
static void change_type(struct thp_fixture *f, bool on)
{
	fake_zdev_pgmap(f->zdev, 0)->type = on ? MEMORY_DEVICE_GENERIC : MEMORY_DEVICE_PRIVATE;
}

/**
 * struct spoiled_param - a hole that is none any more
 * @name: description
 * @spoil: what happens after setup, and how it is undone before finalize
 * @nr: size of the hole
 * @policy: destinations
 * @fault_order: order of the folio that @spoil faults in, -1: none
 * @src: src[0] after migrate_vma_pages(); all other entries are 0
 */
struct spoiled_param {
	const char *name;
	void (*spoil)(struct thp_fixture *f, bool on);
	unsigned long nr;
	enum fake_zdev_policy policy;
	int fault_order;
	unsigned long src;
};

static const struct spoiled_param spoiled_params[] = {
	{ "uffd_missing_page", arm_uffd_missing, 1, FAKE_ZDEV_DST_AS_SOURCE, -1, 0 },
	{ "uffd_missing_pmd", arm_uffd_missing, NR, FAKE_ZDEV_DST_AS_SOURCE, -1,
	  MIGRATE_PFN_COMPOUND },
	{ "uffd_missing_pmd_small", arm_uffd_missing, NR, FAKE_ZDEV_DST_ALL_SMALL, -1, 0 },
	{ "oom_reaped_page", reap_mm, 1, FAKE_ZDEV_DST_AS_SOURCE, -1, 0 },
	{ "oom_reaped_pmd", reap_mm, NR, FAKE_ZDEV_DST_AS_SOURCE, -1, MIGRATE_PFN_COMPOUND },
	{ "oom_reaped_pmd_small", reap_mm, NR, FAKE_ZDEV_DST_ALL_SMALL, -1, 0 },
	{ "unknown_type_page", change_type, 1, FAKE_ZDEV_DST_AS_SOURCE, -1, 0 },
	{ "unknown_type_pmd", change_type, NR, FAKE_ZDEV_DST_AS_SOURCE, -1,
	  MIGRATE_PFN_COMPOUND },
	{ "unknown_type_pmd_small", change_type, NR, FAKE_ZDEV_DST_ALL_SMALL, -1, 0 },
	{ "filled_page", fault_in, 1, FAKE_ZDEV_DST_AS_SOURCE, 0, 0 },
	{ "filled_page_by_thp", fault_in, 1, FAKE_ZDEV_DST_AS_SOURCE, 9, 0 },
	{ "filled_pmd", fault_in, NR, FAKE_ZDEV_DST_AS_SOURCE, 9, MIGRATE_PFN_COMPOUND },
	{ "filled_pmd_by_page", fault_in, NR, FAKE_ZDEV_DST_AS_SOURCE, 0, MIGRATE_PFN_COMPOUND },
	{ "filled_pmd_small", fault_in, NR, FAKE_ZDEV_DST_ALL_SMALL, 9, 0 },
};

static void spoiled_desc(struct kunit *test, const void *param, char *desc)
{
	const struct spoiled_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int spoiled_params_init(struct kunit *test)
{
	kunit_register_params_array(test, spoiled_params, ARRAY_SIZE(spoiled_params),
				    spoiled_desc);
	return 0;
}

/* The folio that fault_in() has put into the hole */
static void model_faulted(struct thp_model *model, unsigned int order)
{
	struct folio *folio = thp_fixture_folio_at(model->f, model->f->addr);
	unsigned long i;

	KUNIT_ASSERT_NOT_NULL(model->f->test, folio);
	for (i = 0; i < 1UL << order; i++)
		model->pages[i] = (struct thp_model_page) {
			.page = folio_page(folio, i),
			.what = THP_SYSTEM,
			.order = order,
			.by_pmd = order,
			.young = true,
			.written = true,
			.deferred = order,
			.blank = true,
		};
	model->has_table[0] = !order;
	model->events.ev_fault_alloc += !!order;
}

/*
 * Test that nothing is put into a hole that must be left alone: src says so, the
 * destinations are freed, and what is there now stays.
 */
static void spoiled_hole_is_left_alone(struct kunit *test)
{
	static const struct thp_piece nothing[] = { {} };
	const struct spoiled_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct thp_model *model;
	unsigned long i;

	thp_layout_map(f, RW, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, nothing);
	thp_fixture_anon_orders(test, p->fault_order > 0 ? BIT(p->fault_order) : 0);
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + p->nr * PAGE_SIZE, SYSTEM | COMPOUND);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.cpages, 1);
	fake_zdev_migration_copy(m, p->policy);
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), p->nr);
	p->spoil(f, true);
	fake_zdev_migration_pages(m);
	p->spoil(f, false);
	KUNIT_EXPECT_EQ(test, m->src[0], p->src);
	for (i = 1; i < p->nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i], 0, "src[%lu]", i);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), 0);
	if (p->fault_order >= 0)
		model_faulted(model, p->fault_order);
	thp_model_expect(model, "finalize");
}

/**
 * struct system_dst_param - a hole that gets system memory
 * @name: description
 * @order: of the hole, and of the folio
 */
struct system_dst_param {
	const char *name;
	unsigned int order;
};

static const struct system_dst_param system_dst_params[] = {
	{ "order0", 0 }, { "order9", 9 },
};

static void system_dst_desc(struct kunit *test, const void *param, char *desc)
{
	const struct system_dst_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int system_dst_params_init(struct kunit *test)
{
	kunit_register_params_array(test, system_dst_params, ARRAY_SIZE(system_dst_params),
				    system_dst_desc);
	return 0;
}

/*
 * Test that a driver may also put system memory into a hole: on the LRU, dirty and
 * writable, like that of a write fault.
 */
static void hole_is_filled_with_system_memory(struct kunit *test)
{
	static const struct thp_piece nothing[] = { {} };
	const struct system_dst_param *p = test->param_value;
	const unsigned long flags = MIGRATE_PFN_MIGRATE | (p->order ? MIGRATE_PFN_COMPOUND : 0);
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct thp_model *model;
	struct folio *folio;

	thp_layout_map(f, RW, MAP_ANONYMOUS | MAP_PRIVATE);
	model = thp_layout_build(f, nothing);
	m = fake_zdev_migration_init(test, NULL, f->zdev, f->vma, f->addr,
				     f->addr + (PAGE_SIZE << p->order), SYSTEM | COMPOUND);
	folio = vma_alloc_folio(GFP_HIGHUSER_MOVABLE | __GFP_ZERO | (p->order ? __GFP_COMP : 0),
				p->order, f->vma, f->addr);
	KUNIT_ASSERT_NOT_NULL(test, folio);
	folio_lock(folio);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->src[0], flags);
	m->dst[0] = migrate_pfn(folio_pfn(folio)) | (p->order ? MIGRATE_PFN_COMPOUND : 0);
	fake_zdev_migration_pages(m);
	KUNIT_EXPECT_EQ(test, m->src[0], flags);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	model_faulted(model, p->order);
	/* Not by a fault: not waiting for deferred_split_scan() */
	model->pages[0].deferred = false;
	thp_model_expect(model, "finalize");
}

/**
 * struct file_param - memory of a file
 * @name: description
 * @shared: the mapping is shared
 * @touch: pages that are written to before: the first ones
 * @nr: pages of the range
 * @src: flags of the entries of those pages after migrate_vma_setup()
 * @src_pages: the same after migrate_vma_pages()
 * @moves: pages that go to the device
 * @anon: MM_ANONPAGES, before and after
 * @shmem: MM_SHMEMPAGES, before and after
 */
struct file_param {
	const char *name;
	bool shared;
	unsigned long touch, nr;
	unsigned long src, src_pages;
	unsigned long moves;
	s64 anon, shmem;
};

#define SMALL	(MIGRATE_PFN_VALID | MIGRATE_PFN_MIGRATE | MIGRATE_PFN_WRITE)
#define LOST	(MIGRATE_PFN_VALID | MIGRATE_PFN_WRITE)

static const struct file_param file_params[] = {
	{ "shmem_holes", true, 0, 4, 0, 0, 0 },
	{ "shmem_hole_of_pmd", true, 0, NR, 0, 0, 0 },
	/* Not anonymous: src is collected, and refused by migrate_vma_pages() */
	{ "shmem_pages", true, 4, 4, SMALL, LOST, 0, .shmem = 4 },
	{ "private_holes", false, 0, 4, 0, 0, 0 },
	{ "private_hole_of_pmd", false, 0, NR, 0, 0, 0 },
	{ "private_copied_pages", false, 4, 4, SMALL, SMALL, 4, .anon = 4 },
	{ "private_copied_pages_and_holes", false, 2, 8, SMALL, SMALL, 2, .anon = 2 },
};

static void file_desc(struct kunit *test, const void *param, char *desc)
{
	const struct file_param *p = param;

	strscpy(desc, p->name, KUNIT_PARAM_DESC_SIZE);
}

static int file_params_init(struct kunit *test)
{
	kunit_register_params_array(test, file_params, ARRAY_SIZE(file_params), file_desc);
	return 0;
}

static void put_file(void *file)
{
	fput(file);
}

/*
 * Test that holes of a file mapping are not filled, that pages of the file stay
 * where they are, and that private copies of them, which are anonymous, migrate.
 */
static void only_private_copies_of_a_file_migrate(struct kunit *test)
{
	const struct file_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct fake_zdev_migration *m;
	struct vm_area_struct *vma;
	unsigned long addr, i;
	struct file *file;
	u64 word;

	file = shmem_kernel_file_setup("thp_migrate", 2 * HPAGE_PMD_SIZE, EMPTY_VMA_FLAGS);
	KUNIT_ASSERT_FALSE(test, IS_ERR(file));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_file, file));
	addr = kunit_vm_mmap(test, file, 0, 2 * HPAGE_PMD_SIZE, RW,
			     p->shared ? MAP_SHARED : MAP_PRIVATE, 0);
	KUNIT_ASSERT_NE(test, addr, 0);
	/* The mapping is the last user: what is unmapped at the end is gone then. */
	kunit_release_action(test, put_file, file);
	addr = ALIGN(addr, HPAGE_PMD_SIZE);
	vma = vma_lookup(f->mm, addr);
	KUNIT_ASSERT_NOT_NULL(test, vma);
	for (i = 0; i < p->touch; i++)
		KUNIT_ASSERT_EQ(test, put_user(~i, (u64 __user *)(addr + i * PAGE_SIZE)), 0);
	lru_add_drain();

	m = fake_zdev_migration_init(test, NULL, f->zdev, vma, addr, addr + p->nr * PAGE_SIZE,
				     SYSTEM | COMPOUND);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, p->nr);
	KUNIT_EXPECT_EQ(test, m->args.cpages, p->touch);
	for (i = 0; i < p->nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i] & ((1UL << MIGRATE_PFN_SHIFT) - 1),
				    i < p->touch ? p->src : 0, "src[%lu]", i);
	fake_zdev_migration_copy(m, FAKE_ZDEV_DST_AS_SOURCE);
	fake_zdev_migration_pages(m);
	for (i = 0; i < p->nr; i++)
		KUNIT_EXPECT_EQ_MSG(test, m->src[i] & ((1UL << MIGRATE_PFN_SHIFT) - 1),
				    i < p->touch ? p->src_pages : 0, "src[%lu]", i);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_migrated(m), p->moves);
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
	lru_add_drain();
	KUNIT_EXPECT_EQ(test, fake_zdev_count_leaks(f->zdev), p->moves);
	KUNIT_EXPECT_EQ(test, percpu_counter_sum(&f->mm->rss_stat[MM_ANONPAGES]), p->anon);
	KUNIT_EXPECT_EQ(test, percpu_counter_sum(&f->mm->rss_stat[MM_SHMEMPAGES]), p->shmem);
	for (i = 0; i < p->touch; i++) {
		KUNIT_EXPECT_EQ(test, get_user(word, (u64 __user *)(addr + i * PAGE_SIZE)), 0);
		KUNIT_EXPECT_EQ_MSG(test, word, ~i, "page %lu", i);
	}
	KUNIT_EXPECT_EQ(test, fake_zdev_count(f->zdev, FAKE_ZDEV_MIGRATE_TO_RAM), p->moves);
}

/*
 * Test that a hole of two PMDs without a page table above them is collected as two
 * holes of a PMD each.
 *
 * LB17: migrate_vma_collect_hole() makes one compound entry of whatever hole there
 * is, so that the rest of it can't be migrated.
 */
static void hole_above_pmds_is_one_entry_per_pmd(struct kunit *test)
{
	struct thp_fixture *f = test->priv;
	unsigned long start = ALIGN(f->end, PUD_SIZE) + PUD_SIZE;
	struct fake_zdev_migration *m;
	struct vm_area_struct *vma;
	unsigned long i;

	KUNIT_ASSERT_EQ(test, start,
			kunit_vm_mmap(test, NULL, start, 2 * HPAGE_PMD_SIZE, RW,
				      MAP_ANONYMOUS | MAP_PRIVATE | MAP_FIXED_NOREPLACE, 0));
	vma = vma_lookup(f->mm, start);
	KUNIT_ASSERT_NOT_NULL(test, vma);
	KUNIT_ASSERT_NULL(test, mm_find_pmd(f->mm, start));
	m = fake_zdev_migration_init(test, NULL, f->zdev, vma, start, start + 2 * HPAGE_PMD_SIZE,
				     SYSTEM | COMPOUND);
	mmap_read_lock(f->mm);
	KUNIT_EXPECT_EQ(test, fake_zdev_migration_setup(m), 0);
	KUNIT_EXPECT_EQ(test, m->args.npages, 2 * NR);
	KUNIT_EXPECT_EQ(test, m->src[0], MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND);
	for (i = 1; i < 2 * NR; i++)
		if (i != NR)
			KUNIT_EXPECT_EQ_MSG(test, m->src[i], 0, "src[%lu]", i);
	thp_known_bug(test, "LB17", m->args.cpages, 2, 1, "number of entries to migrate");
	thp_known_bug(test, "LB17", m->src[NR], MIGRATE_PFN_MIGRATE | MIGRATE_PFN_COMPOUND, 0,
		      "entry of the second PMD");
	fake_zdev_migration_finalize(m);
	mmap_read_unlock(f->mm);
}

static struct kunit_case device_private_thp_migrate_hole_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(hole_is_filled_as_the_vma_allows, kunit_array_gen_params,
				   hole_vma_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(spoiled_hole_is_left_alone, kunit_array_gen_params,
				   spoiled_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(hole_is_filled_with_system_memory, kunit_array_gen_params,
				   system_dst_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(only_private_copies_of_a_file_migrate, kunit_array_gen_params,
				   file_params_init, NULL),
	KUNIT_CASE(hole_above_pmds_is_one_entry_per_pmd),
	{}
};

static struct kunit_suite device_private_thp_migrate_hole_suite = {
	.name = "device_private_thp_migrate_hole",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_migrate_hole_cases,
};

kunit_test_suite(device_private_thp_migrate_hole_suite);

MODULE_DESCRIPTION("KUnit tests: holes through migrate_vma");
MODULE_LICENSE("GPL");
