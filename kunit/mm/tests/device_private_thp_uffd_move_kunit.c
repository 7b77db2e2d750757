// SPDX-License-Identifier: GPL-2.0-only
/*
 * UFFDIO_MOVE of device-private folios of every order: refused, with nothing
 * lost, but not with the same error for a PMD and for PTEs.
 */
#include <kunit/test.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/uaccess.h>
#include <linux/userfaultfd.h>

#include "thp_fixture_forms.h"
#include "thp_syscall.h"

/**
 * struct move_variant - a move
 * @name: of the variant
 * @mode: UFFDIO_MOVE_MODE_*
 * @nr: pages to move; 0: all of the folio
 * @ret: result
 * @split_pmds: PMDs split on the way, although nothing is moved
 * @after: what maps the folio afterwards
 */
struct move_variant {
	const char *name;
	u64 mode;
	unsigned long nr;
	int ret;
	unsigned int split_pmds;
	enum thp_where after;
};

static int pte_params_init(struct kunit *test)
{
	static const struct move_variant variants[] = {
		{ "strict", 0, 0, -EFAULT, 0, THP_PTES },
		{ "allow_holes", UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES, 0, -EFAULT, 0, THP_PTES },
	};

	return thp_cases_init(test, THP_PTE_FORMS, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/* move_pages_huge_pmd() takes a whole PMD for a hole, move_pages_ptes() does not. */
static int pmd_params_init(struct kunit *test)
{
	static const struct move_variant variants[] = {
		{ "strict", 0, 0, -ENOENT, 0, THP_PMD },
		{ "allow_holes", UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES, 0, -ENOENT, 0, THP_PMD },
		{ "one_page", 0, 1, -EFAULT, 1, THP_PTES },
		{ "half", 0, 256, -EFAULT, 1, THP_PTES },
		{ "half_allow_holes", UFFDIO_MOVE_MODE_ALLOW_SRC_HOLES, 256, -EFAULT, 1,
		  THP_PTES },
	};

	return thp_cases_init(test, THP_PMD_FORM, variants, sizeof(variants),
			      sizeof(*variants), THP_WHOLE);
}

/**
 * struct uffd - a userfaultfd of the mm of the test
 * @file: the file
 * @dst: start of a range that is registered with it, aligned as a PMD
 * @args: address of a page for arguments
 */
struct uffd {
	struct file *file;
	unsigned long dst;
	unsigned long args;
};

/* An ioctl with its argument in user memory, as the kernel insists on */
static int uffd_ioctl(struct uffd *uffd, unsigned int cmd, void *args, size_t size)
{
	void __user *uargs = (void __user *)uffd->args;
	int ret;

	if (copy_to_user(uargs, args, size))
		return -EFAULT;
	ret = uffd->file->f_op->unlocked_ioctl(uffd->file, cmd, uffd->args);
	return copy_from_user(args, uargs, size) ? -EFAULT : ret;
}

KUNIT_DEFINE_ACTION_WRAPPER(put_uffd, fput, struct file *);

static unsigned long map_memory(struct kunit *test, unsigned long size)
{
	unsigned long addr = vm_mmap(NULL, 0, size, PROT_READ | PROT_WRITE,
				     MAP_ANONYMOUS | MAP_PRIVATE, 0);

	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(addr));
	return addr;
}

static void open_uffd(struct kunit *test, struct uffd *uffd)
{
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_MOVE };
	int fd = thp_userfaultfd(test, UFFD_USER_MODE_ONLY);
	struct uffdio_register reg;

	KUNIT_ASSERT_GE(test, fd, 0);
	uffd->file = fget(fd);
	close_fd(fd);
	KUNIT_ASSERT_NOT_NULL(test, uffd->file);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_uffd, uffd->file), 0);
	uffd->args = map_memory(test, PAGE_SIZE);
	uffd->dst = ALIGN(map_memory(test, 2 * HPAGE_PMD_SIZE), HPAGE_PMD_SIZE);
	KUNIT_ASSERT_EQ(test, uffd_ioctl(uffd, UFFDIO_API, &api, sizeof(api)), 0);
	reg = (struct uffdio_register) {
		.range = { .start = uffd->dst, .len = HPAGE_PMD_SIZE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	KUNIT_ASSERT_EQ(test, uffd_ioctl(uffd, UFFDIO_REGISTER, &reg, sizeof(reg)), 0);
}

static void expect_refused(struct kunit *test)
{
	const struct thp_case *c = test->param_value;
	const struct move_variant *v = c->variant;
	unsigned long nr = v->nr ?: c->nr;
	struct thp_fixture *f = test->priv;
	struct uffdio_move move;
	struct folio *folio;
	struct uffd uffd;
	struct thp_state want;

	thp_fixture_anon_orders(test, 0);
	folio = thp_fixture_place(f, &c->form);
	open_uffd(test, &uffd);
	move = (struct uffdio_move) {
		.dst = uffd.dst,
		.src = f->addr,
		.len = nr * PAGE_SIZE,
		.mode = v->mode,
	};
	KUNIT_EXPECT_EQ(test, uffd_ioctl(&uffd, UFFDIO_MOVE, &move, sizeof(move)), v->ret);
	KUNIT_EXPECT_EQ(test, move.move, v->ret);
	KUNIT_EXPECT_NULL(test, thp_fixture_folio_at(f, uffd.dst));

	thp_want(f, &want, c->form.order, v->after);
	want.ev_split_pmd = c->form.split_pmds + v->split_pmds;
	/* The page with the arguments */
	want.rss++;
	want.anon_mapped++;
	thp_ledger_expect(f, folio, &want, "UFFDIO_MOVE");
	KUNIT_EXPECT_EQ(test, fake_zdev_nr_events(f->zdev), 1);
	thp_fixture_read_back(f, c->form.order, "read after UFFDIO_MOVE");
}

/* Test that memory that is with a device can't be moved by UFFDIO_MOVE. */
static void uffd_move_of_ptes_is_refused(struct kunit *test)
{
	expect_refused(test);
}

/*
 * Test the same of a PMD: it stays where it is, except that it is split if only a
 * part was to be moved.
 */
static void uffd_move_of_pmd_is_refused(struct kunit *test)
{
	expect_refused(test);
}

static struct kunit_case device_private_thp_uffd_move_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(uffd_move_of_ptes_is_refused,
				   kunit_array_gen_params, pte_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(uffd_move_of_pmd_is_refused,
				   kunit_array_gen_params, pmd_params_init, NULL),
	{}
};

static struct kunit_suite device_private_thp_uffd_move_suite = {
	.name = "device_private_thp_uffd_move",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = device_private_thp_uffd_move_cases,
};

kunit_test_suite(device_private_thp_uffd_move_suite);

MODULE_DESCRIPTION("KUnit tests: UFFDIO_MOVE of device-private THPs");
MODULE_LICENSE("GPL");
