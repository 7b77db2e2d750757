// SPDX-License-Identifier: GPL-2.0-only
/*
 * What user space is told of device-private folios of every order: the text of
 * /proc/PID/smaps, the entries of /proc/PID/pagemap, and mincore().
 */
#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/swapops.h>
#include <linux/uaccess.h>

#include "../internal.h"
#include "kunit_mm_compat.h"
#include "thp_fixture_forms.h"
#include "thp_fixture_process.h"
#include "thp_known_bug.h"
#include "thp_syscall.h"

/**
 * struct smaps - values of one VMA in /proc/PID/smaps, in kB
 * @rss: Rss
 * @pss: Pss
 * @pss_dirty: Pss_Dirty
 * @shared_clean: Shared_Clean
 * @shared_dirty: Shared_Dirty
 * @private_clean: Private_Clean
 * @private_dirty: Private_Dirty
 * @referenced: Referenced
 * @anonymous: Anonymous
 * @lazyfree: LazyFree
 * @anon_huge: AnonHugePages
 * @swap: Swap
 * @swap_pss: SwapPss
 * @locked: Locked
 */
struct smaps {
	s64 rss, pss, pss_dirty, shared_clean, shared_dirty, private_clean, private_dirty;
	s64 referenced, anonymous, lazyfree, anon_huge, swap, swap_pss, locked;
};

static const struct {
	const char *name;
	size_t offset;
} smaps_fields[] = {
	{ "Rss", offsetof(struct smaps, rss) },
	{ "Pss", offsetof(struct smaps, pss) },
	{ "Pss_Dirty", offsetof(struct smaps, pss_dirty) },
	{ "Shared_Clean", offsetof(struct smaps, shared_clean) },
	{ "Shared_Dirty", offsetof(struct smaps, shared_dirty) },
	{ "Private_Clean", offsetof(struct smaps, private_clean) },
	{ "Private_Dirty", offsetof(struct smaps, private_dirty) },
	{ "Referenced", offsetof(struct smaps, referenced) },
	{ "Anonymous", offsetof(struct smaps, anonymous) },
	{ "LazyFree", offsetof(struct smaps, lazyfree) },
	{ "AnonHugePages", offsetof(struct smaps, anon_huge) },
	{ "Swap", offsetof(struct smaps, swap) },
	{ "SwapPss", offsetof(struct smaps, swap_pss) },
	{ "Locked", offsetof(struct smaps, locked) },
};

static s64 *smaps_field(struct smaps *smaps, unsigned int i)
{
	return (s64 *)((char *)smaps + smaps_fields[i].offset);
}

/* The value of a line "@name:      123 kB"; -1: there is none */
static s64 smaps_value(const char *text, const char *name)
{
	unsigned long value;
	char line[32];
	const char *at;

	snprintf(line, sizeof(line), "\n%s:", name);
	at = strstr(text, line);
	return at && sscanf(at + strlen(line), "%lu kB", &value) == 1 ? value : -1;
}

/* Read the file, which has the one VMA of the mm in it. */
static void read_smaps(struct kunit *test, struct thp_process *process, struct smaps *smaps)
{
	char *text = kunit_kzalloc(test, SZ_4K, GFP_KERNEL);
	ssize_t ret = -ENOMEM;
	unsigned int i;

	if (text)
		ret = thp_process_read(process, "smaps", 0, text, SZ_4K);
	KUNIT_EXPECT_GT(test, ret, 0);
	for (i = 0; i < ARRAY_SIZE(smaps_fields); i++)
		*smaps_field(smaps, i) = ret > 0 ? smaps_value(text, smaps_fields[i].name) : -1;
}

/**
 * struct smaps_variant - who has the folio
 * @name: of the variant
 * @share: a child has it, too
 */
struct smaps_variant {
	const char *name;
	bool share;
};

static const struct smaps_variant smaps_variants[] = {
	{ "alone", false },
	{ "shared", true },
};

static int smaps_params_init(struct kunit *test)
{
	return thp_cases_init(test, THP_PTE_FORMS, smaps_variants, sizeof(smaps_variants),
			      sizeof(*smaps_variants), THP_WHOLE);
}

static int smaps_pmd_params_init(struct kunit *test)
{
	return thp_cases_init(test, THP_PMD_FORM, smaps_variants, sizeof(smaps_variants),
			      sizeof(*smaps_variants), THP_WHOLE);
}

/*
 * smaps_account() treats entries of a device as if the pages were present: mapped
 * once, they are private; mapped twice, they are shared, and each has its half.
 */
static void want_smaps(const struct thp_case *c, struct smaps *smaps)
{
	const struct smaps_variant *v = c->variant;
	const s64 kb = c->nr * (PAGE_SIZE / SZ_1K);

	*smaps = (struct smaps) {
		.rss = kb,
		.pss = v->share ? kb / 2 : kb,
		.shared_clean = v->share ? kb : 0,
		.private_clean = v->share ? 0 : kb,
		.anonymous = kb,
		.anon_huge = c->form.where == THP_PMD ? kb : 0,
	};
}

/* Place the folio, and read what smaps says. */
static void look_at_smaps(struct kunit *test, struct smaps *smaps)
{
	const struct thp_case *c = test->param_value;
	const struct smaps_variant *v = c->variant;
	struct thp_fixture *f = test->priv;
	struct thp_process *process;
	struct folio *folio;
	struct thp_state want;

	folio = thp_fixture_place(f, &c->form);
	if (v->share)
		thp_fixture_fork(f);
	process = thp_process_start(f);
	read_smaps(test, process, smaps);
	thp_process_stop(process);

	thp_want_form(f, &want, &c->form);
	if (v->share)
		thp_want_shared(&want);
	thp_ledger_expect(f, folio, &want, "smaps");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

/* Test every value of smaps for a folio of the device that PTEs map. */
static void smaps_of_ptes_says_what_is_mapped(struct kunit *test)
{
	struct smaps is, want;
	unsigned int i;

	want_smaps(test->param_value, &want);
	look_at_smaps(test, &is);
	for (i = 0; i < ARRAY_SIZE(smaps_fields); i++)
		KUNIT_EXPECT_EQ_MSG(test, *smaps_field(&is, i), *smaps_field(&want, i),
				    "%s", smaps_fields[i].name);
}

/*
 * What a kernel says whose smaps_pmd_entry() does not treat the entry as present:
 * all of it is shared, and all of it counts for each process. The bits for young
 * and dirty are taken from an entry that has none: what stands there is a part of
 * its type or of its pfn.
 */
static void smaps_with_bug(struct thp_fixture *f, struct smaps *smaps)
{
	pmd_t pmd = pmdp_get(mm_find_pmd(f->mm, f->addr));
	const s64 kb = HPAGE_PMD_SIZE / SZ_1K;

	*smaps = (struct smaps) {
		.rss = kb,
		.pss = kb,
		.pss_dirty = pmd_dirty(pmd) ? kb : 0,
		.shared_clean = pmd_dirty(pmd) ? 0 : kb,
		.shared_dirty = pmd_dirty(pmd) ? kb : 0,
		.referenced = pmd_young(pmd) ? kb : 0,
		.anonymous = kb,
		.anon_huge = kb,
	};
}

/*
 * Test the same of a PMD. smaps_pmd_entry() says of entries of a device that they
 * are not present, unlike smaps_pte_entry() and unlike the comment in
 * smaps_account() (known bug LB24).
 */
static void smaps_of_pmd_says_what_is_mapped(struct kunit *test)
{
	struct smaps is, want, bug;
	unsigned int i;

	want_smaps(test->param_value, &want);
	look_at_smaps(test, &is);
	smaps_with_bug(test->priv, &bug);
	for (i = 0; i < ARRAY_SIZE(smaps_fields); i++) {
		s64 right = *smaps_field(&want, i), wrong = *smaps_field(&bug, i);

		if (right == wrong)
			KUNIT_EXPECT_EQ_MSG(test, *smaps_field(&is, i), right,
					    "%s", smaps_fields[i].name);
		else
			thp_known_bug(test, "LB24", *smaps_field(&is, i), right, wrong,
				      smaps_fields[i].name);
	}
}

/* What mm/ and user space agree on, see Documentation/admin-guide/mm/pagemap.rst */
#define PAGEMAP_PFN_BITS	55
#define PAGEMAP_SWAP		BIT_ULL(62)

/**
 * struct pagemap_variant - a read from pagemap
 * @name: of the variant
 * @write: the entries of the folio are writable
 * @from: first page that is read
 */
struct pagemap_variant {
	const char *name;
	bool write;
	unsigned long from;
};

static int pagemap_params_init(struct kunit *test)
{
	static const struct pagemap_variant variants[] = {
		{ "writable", true, 0 },
		{ "readable", false, 0 },
		{ "from1", true, 1 },
		{ "from32", true, 32 },
		{ "from511", true, 511 },
	};

	return thp_cases_init(test, THP_ALL_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/* The entry of a page that is with the device: swapped, as far as anybody can tell */
static u64 pagemap_entry(bool write, unsigned long pfn)
{
	const u64 type = write ? SWP_DEVICE_WRITE : SWP_DEVICE_READ;

	return PAGEMAP_SWAP |
	       ((type | (u64)pfn << MAX_SWAPFILES_SHIFT) & (BIT_ULL(PAGEMAP_PFN_BITS) - 1));
}

/*
 * Test that pagemap says of each page of a folio that it is swapped out, to a
 * place that is the page of the device, whatever maps it and wherever the read
 * starts, and of the rest of the VMA that there is nothing.
 */
static void pagemap_says_swapped_with_pfn_of_each_page(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct pagemap_variant *v = c->variant;
	unsigned long i, wrong = 0, first = 0;
	struct thp_fixture *f = test->priv;
	u64 *entries = kunit_kcalloc(test, HPAGE_PMD_NR + 1, sizeof(*entries), GFP_KERNEL);
	const size_t size = (HPAGE_PMD_NR - v->from) * sizeof(*entries);
	struct thp_process *process;
	struct folio *folio;
	ssize_t ret;

	KUNIT_ASSERT_NOT_NULL(test, entries);
	f->write = v->write;
	folio = thp_fixture_place(f, &c->form);
	process = thp_process_start(f);
	ret = thp_process_read(process, "pagemap",
			       (f->addr / PAGE_SIZE + v->from) * sizeof(*entries),
			       entries + v->from, size + 1);
	thp_process_stop(process);
	KUNIT_EXPECT_EQ(test, ret, size);
	for (i = v->from; i < HPAGE_PMD_NR; i++) {
		u64 want = i < c->nr ? pagemap_entry(v->write, folio_pfn(folio) + i) : 0;

		if (entries[i] != want)
			first = wrong++ ? first : i;
	}
	KUNIT_EXPECT_EQ_MSG(test, wrong, 0, "entry %lu is %#llx, of pfn %#lx", first,
			    entries[first], folio_pfn(folio) + first);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

/*
 * Test that clearing the marks of accesses through clear_refs does nothing to a
 * folio that no CPU can access.
 */
static void clear_refs_leaves_folio_alone(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = thp_fixture_place(f, form);
	struct thp_process *process;
	struct thp_state want;

	process = thp_process_start(f);
	KUNIT_EXPECT_EQ(test, thp_process_write(process, "clear_refs", "1"), 1);
	thp_process_stop(process);
	thp_want_form(f, &want, form);
	thp_ledger_expect(f, folio, &want, "clear_refs");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

/* Test that mincore() takes pages of a device for resident, and holes for none. */
static void mincore_says_resident(struct kunit *test)
{
	const struct thp_form *form = test->param_value;
	struct thp_fixture *f = test->priv;
	u8 *vec = kunit_kzalloc(test, HPAGE_PMD_NR, GFP_KERNEL);
	unsigned char __user *uvec = (unsigned char __user *)f->addr + HPAGE_PMD_SIZE;
	unsigned long nr = 1UL << form->order, i, resident = 0, holes = 0;

	KUNIT_ASSERT_NOT_NULL(test, vec);
	/* One page of the VMA behind the range has the answer. */
	thp_fixture_anon_orders(test, 0);
	thp_fixture_place(f, form);
	KUNIT_EXPECT_EQ(test, thp_mincore(test, f->addr, HPAGE_PMD_SIZE, uvec), 0);
	KUNIT_EXPECT_EQ(test, copy_from_user(vec, uvec, HPAGE_PMD_NR), 0);
	for (i = 0; i < HPAGE_PMD_NR; i++) {
		if (i < nr)
			resident += vec[i];
		else
			holes += !vec[i];
	}
	KUNIT_EXPECT_EQ(test, resident, nr);
	KUNIT_EXPECT_EQ(test, holes, HPAGE_PMD_NR - nr);
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
}

static struct kunit_case device_private_thp_proc_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(smaps_of_ptes_says_what_is_mapped,
				   kunit_array_gen_params, smaps_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(smaps_of_pmd_says_what_is_mapped,
				   kunit_array_gen_params, smaps_pmd_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(pagemap_says_swapped_with_pfn_of_each_page,
				   kunit_array_gen_params, pagemap_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(clear_refs_leaves_folio_alone,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(mincore_says_resident,
				   kunit_array_gen_params, thp_form_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_proc_suite = {
	.name = "device_private_thp_proc",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_proc_cases,
};

kunit_test_suite(device_private_thp_proc_suite);

MODULE_DESCRIPTION("KUnit tests: what /proc says of device-private THPs");
MODULE_LICENSE("GPL");
