// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory cgroups for folios of a test to be charged to, made and removed as user
 * space would do it, but for the mount point.
 */
#include <linux/cgroup.h>
#include <linux/cred.h>
#include <linux/err.h>
#include <linux/fcntl.h>
#include <linux/fdtable.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/memcontrol.h>
#include <linux/mount.h>
#include <linux/page_counter.h>
#include <linux/sched.h>
#include <linux/syscalls.h>
#include <linux/wait.h>

#include "../memcontrol-v1.h"
#include "percpu_refs.h"
#include "thp_fixture_memcg.h"
#include "thp_fixture_syscall.h"

#if defined(CONFIG_MEMCG) && !defined(CONFIG_ARCH_HAS_SYSCALL_WRAPPER)

/* cgroup2, mounted nowhere, as long as thp_memcg_enable() is in force */
static struct vfsmount *cgroup_mnt;

/* One for all tests; and one in which no list_lru is ever allocated */
static const char * const cgroup_names[] = {
	[THP_MEMCG_USUAL]	= "device_private_thp",
	[THP_MEMCG_NO_LIST]	= "device_private_thp_no_list",
};

/* echo $what > $name, below the root */
static int write_file(const char *name, const char *what)
{
	struct file *file = file_open_root_mnt(cgroup_mnt, name, O_WRONLY, 0);
	loff_t pos = 0;
	ssize_t ret;

	if (IS_ERR(file))
		return PTR_ERR(file);
	ret = kernel_write(file, what, strlen(what), &pos);
	fput(file);
	flush_delayed_fput();
	return ret < 0 ? ret : 0;
}

static int control_subtree(const char *what)
{
	return write_file("cgroup.subtree_control", what);
}

/* A descriptor of the root of cgroup2 */
static int open_root(void)
{
	const struct path path = { .mnt = cgroup_mnt, .dentry = cgroup_mnt->mnt_root };
	int fd = get_unused_fd_flags(O_CLOEXEC);
	struct file *file;

	if (fd < 0)
		return fd;
	file = dentry_open(&path, O_RDONLY | O_DIRECTORY, current_cred());
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	fd_install(fd, file);
	return fd;
}

static int make_cgroup(const char __user *name)
{
	int fd = open_root(), ret;

	if (fd < 0)
		return fd;
	ret = sys_mkdirat(fd, name, 0755);
	close_fd(fd);
	return ret;
}

static struct mem_cgroup *get_memcg(const char *name)
{
	struct cgroup_subsys_state *css;
	struct cgroup *cgroup;
	char path[64];

	snprintf(path, sizeof(path), "/%s", name);
	cgroup = cgroup_get_from_path(path);
	if (IS_ERR(cgroup))
		return ERR_CAST(cgroup);
	css = cgroup_get_e_css(cgroup, &memory_cgrp_subsys);
	cgroup_put(cgroup);
	return mem_cgroup_from_css(css);
}

static int unlink_cgroup(const char __user *name)
{
	int fd = open_root(), ret;

	if (fd < 0)
		return fd;
	ret = sys_unlinkat(fd, name, AT_REMOVEDIR);
	close_fd(fd);
	return ret;
}

/*
 * A cgroup goes offline, and its folios to the parent, in a work item after rmdir()
 * has returned (css_killed_work_fn()). What is left must not meet the next test.
 */
static int remove_cgroup(const char *name)
{
	struct mem_cgroup *memcg = get_memcg(name);
	int ret;

	if (IS_ERR(memcg))
		return PTR_ERR(memcg);
	ret = thp_call_with_string(name, unlink_cgroup);
	if (!ret)
		wait_event(memcg->css.cgroup->offline_waitq, !mem_cgroup_online(memcg));
	mem_cgroup_put(memcg);
	return ret;
}

static struct vfsmount *mount_cgroup2(void)
{
	struct file_system_type *type = get_fs_type("cgroup2");
	struct vfsmount *mnt;

	if (!type)
		return ERR_PTR(-ENODEV);
	mnt = vfs_kern_mount(type, 0, "cgroup2", NULL);
	put_filesystem(type);
	return mnt;
}

/**
 * thp_memcg_enable() - make memory cgroups below the root
 *
 * For tests that call thp_fixture_own_memcg().
 *
 * Context: process context; nobody else controls cgroups
 * Return: 0, or a negative error, after which thp_memcg_disable() is not needed.
 */
int thp_memcg_enable(void)
{
	unsigned int i;
	int ret;

	if (mem_cgroup_disabled())
		return 0;
	cgroup_mnt = mount_cgroup2();
	if (IS_ERR(cgroup_mnt))
		return PTR_ERR(cgroup_mnt);
	ret = control_subtree("+memory");
	for (i = 0; i < ARRAY_SIZE(cgroup_names) && !ret; i++)
		ret = thp_call_with_string(cgroup_names[i], make_cgroup);
	if (ret)
		kern_unmount(cgroup_mnt);
	return ret;
}

/**
 * thp_memcg_disable() - undo thp_memcg_enable()
 *
 * Waits until the memory cgroups are offline.
 *
 * Context: process context, may sleep
 */
void thp_memcg_disable(void)
{
	unsigned int i;

	if (mem_cgroup_disabled())
		return;
	for (i = 0; i < ARRAY_SIZE(cgroup_names); i++)
		WARN_ON(remove_cgroup(cgroup_names[i]));
	flush_delayed_fput();
	WARN_ON(control_subtree("-memory"));
	kern_unmount(cgroup_mnt);
}

/**
 * thp_memcg_suite_init() - thp_memcg_enable(), as the suite_init of a suite
 * @suite: the suite; thp_memcg_suite_exit() is its suite_exit
 *
 * Context: process context; nobody else controls cgroups
 * Return: as thp_memcg_enable()
 */
int thp_memcg_suite_init(struct kunit_suite *suite)
{
	return thp_memcg_enable();
}

/**
 * thp_memcg_suite_exit() - undo thp_memcg_suite_init()
 * @suite: the suite; KUnit calls its suite_exit after a failed suite_init, too
 *
 * Context: process context, may sleep
 */
void thp_memcg_suite_exit(struct kunit_suite *suite)
{
	if (!suite->suite_init_err)
		thp_memcg_disable();
}

static void put_memcg(void *context)
{
	mem_cgroup_put(context);
}

/**
 * thp_fixture_own_memcg() - charge folios to a memory cgroup other than the root
 * @f: fixture; no folio has been charged yet
 * @which: which one
 *
 * Skips the test if there are no memory cgroups. Folios that
 * thp_fixture_make_anon() and thp_fixture_insert() charge are charged there from
 * now on.
 *
 * Context: the thread of the test; thp_memcg_enable() was called.
 */
void thp_fixture_own_memcg(struct thp_fixture *f, enum thp_memcg which)
{
	if (mem_cgroup_disabled())
		kunit_skip(f->test, "memory cgroups are disabled");
	f->charge_to = get_memcg(cgroup_names[which]);
	KUNIT_ASSERT_FALSE(f->test, IS_ERR(f->charge_to));
	KUNIT_ASSERT_EQ(f->test, 0,
			kunit_add_action_or_reset(f->test, put_memcg, f->charge_to));
	KUNIT_ASSERT_FALSE(f->test, mem_cgroup_is_root(f->charge_to));
}

/**
 * thp_fixture_enter_memcg() - charge what the mm of the fixture faults in, too
 * @f: fixture, after thp_fixture_own_memcg()
 * @which: the same one
 *
 * The thread of the test, which owns the mm, moves to the cgroup. So what page
 * faults allocate and copy is charged there as well; page tables are not, as kernel
 * threads are not charged for kernel memory. The test has to move it back.
 *
 * The thread stays on its CPU from here on, for thp_memcg_drained_usage().
 *
 * Context: the thread of the test.
 */
void thp_fixture_enter_memcg(struct thp_fixture *f, enum thp_memcg which)
{
	char name[64];

	snprintf(name, sizeof(name), "%s/cgroup.procs", cgroup_names[which]);
	thp_fixture_stay_on_cpu();
	KUNIT_ASSERT_EQ(f->test, write_file(name, "0"), 0);
}

/**
 * thp_fixture_leave_memcg() - undo thp_fixture_enter_memcg()
 * @f: fixture; what is charged stays charged
 *
 * Context: the thread of the test.
 */
void thp_fixture_leave_memcg(struct thp_fixture *f)
{
	KUNIT_EXPECT_EQ(f->test, write_file("cgroup.procs", "0"), 0);
}

/**
 * thp_memcg_drained_usage() - pages that somebody in the cgroup really has
 * @f: fixture, after thp_fixture_own_memcg()
 *
 * As thp_memcg_usage(), less what this CPU keeps for the next time.
 *
 * Context: process context; nothing was charged to the cgroup on other CPUs.
 * Return: number of pages.
 */
s64 thp_memcg_drained_usage(const struct thp_fixture *f)
{
	drain_all_stock(f->charge_to);
	return thp_memcg_usage(f);
}

/**
 * thp_memcg_usage() - pages that are charged to the cgroup of the test
 * @f: fixture, after thp_fixture_own_memcg()
 *
 * Charging takes more than is asked for, and keeps it for the next time
 * (try_charge_memcg(), refill_stock()). Uncharging gives back what is uncharged.
 *
 * Return: memory.current, in pages.
 */
s64 thp_memcg_usage(const struct thp_fixture *f)
{
	return page_counter_read(&f->charge_to->memory);
}

/**
 * thp_memcg_charge_refs() - references on what a folio is charged to
 * @folio: charged folio
 *
 * Each charged folio has one (folio_split_memcg_refs()). As long as nobody kills
 * the reference count, only differences mean anything.
 *
 * Context: nobody else charges or uncharges
 * Return: number of references.
 */
s64 thp_memcg_charge_refs(struct folio *folio)
{
	return percpu_refs(&folio_objcg(folio)->refcnt);
}

/**
 * thp_memcg_css_refs() - references on the cgroup of the test itself
 * @f: fixture, after thp_fixture_own_memcg()
 *
 * Folios have none, they have one on what they are charged to. Only differences
 * mean anything.
 *
 * Context: nobody else uses the cgroup
 * Return: number of references.
 */
s64 thp_memcg_css_refs(const struct thp_fixture *f)
{
	return percpu_refs(&f->charge_to->css.refcnt);
}

#else

int thp_memcg_enable(void)
{
	return 0;
}

void thp_memcg_disable(void)
{
}

int thp_memcg_suite_init(struct kunit_suite *suite)
{
	return 0;
}

void thp_memcg_suite_exit(struct kunit_suite *suite)
{
}

void thp_fixture_own_memcg(struct thp_fixture *f, enum thp_memcg which)
{
	kunit_skip(f->test, "no memory cgroups, or no way to call mkdirat()");
}

void thp_fixture_enter_memcg(struct thp_fixture *f, enum thp_memcg which)
{
}

void thp_fixture_leave_memcg(struct thp_fixture *f)
{
}

s64 thp_memcg_usage(const struct thp_fixture *f)
{
	return 0;
}

s64 thp_memcg_drained_usage(const struct thp_fixture *f)
{
	return 0;
}

s64 thp_memcg_charge_refs(struct folio *folio)
{
	return 0;
}

s64 thp_memcg_css_refs(const struct thp_fixture *f)
{
	return 0;
}

#endif
