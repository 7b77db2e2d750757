// SPDX-License-Identifier: GPL-2.0-only
/*
 * A process that has the mm of a test, and a reader of its files in /proc.
 *
 * The thread of a test works in the mm of the fixture, but it is a kernel thread,
 * and those have no files like /proc/PID/smaps (get_task_mm()). So a user thread
 * is made that shares the mm. It never gets to user mode: it sleeps in the kernel
 * until it is told to exit.
 *
 * The files are read as any process reads them, with a buffer in user memory.
 * That has an mm of its own, for not to change what is being looked at.
 */
#include <linux/completion.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kthread.h>
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/mount.h>
#include <linux/sched/mm.h>
#include <linux/sched/task.h>
#include <linux/signal.h>
#include <linux/uaccess.h>

#include "thp_fixture_process.h"
#include "thp_mm.h"

/* Space for what one file has to say */
#define BUFFER_SIZE	SZ_64K

/**
 * struct thp_process - a process, and who looks at it
 * @f: fixture, whose mm it has
 * @pid: its pid; 0 once it is gone
 * @stop: it is told to exit
 * @stopped: it is about to
 * @proc: /proc
 * @reader: mm of the reader
 * @buffer: address of BUFFER_SIZE bytes in @reader
 */
struct thp_process {
	struct thp_fixture *f;
	pid_t pid;
	struct completion stop, stopped;
	struct vfsmount *proc;
	struct mm_struct *reader;
	unsigned long buffer;
};

static int wait_for_stop(void *arg)
{
	struct thp_process *process = arg;

	wait_for_completion(&process->stop);
	complete(&process->stopped);
	do_exit(0);
}

/* A test has failed before it has stopped its process. */
static void stop_orphan(void *arg)
{
	struct thp_process *process = arg;

	if (!process->pid)
		return;
	complete(&process->stop);
	wait_for_completion(&process->stopped);
}

KUNIT_DEFINE_ACTION_WRAPPER(unmount_proc, kern_unmount, struct vfsmount *);
KUNIT_DEFINE_ACTION_WRAPPER(put_reader, mmput, struct mm_struct *);

static void make_reader(struct thp_process *process)
{
	struct thp_fixture *f = process->f;
	struct kunit *test = f->test;

	process->reader = thp_mm_new();
	KUNIT_ASSERT_NOT_NULL(test, process->reader);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, put_reader, process->reader), 0);
	thp_fixture_switch_mm(f, f->mm, process->reader);
	process->buffer = vm_mmap(NULL, 0, BUFFER_SIZE, PROT_READ | PROT_WRITE,
				  MAP_ANONYMOUS | MAP_PRIVATE, 0);
	/* What the reader touches must not count as THPs of the test. */
	if (!IS_ERR_VALUE(process->buffer))
		do_madvise(process->reader, process->buffer, BUFFER_SIZE, MADV_NOHUGEPAGE);
	thp_fixture_switch_mm(f, process->reader, f->mm);
	KUNIT_ASSERT_FALSE(test, IS_ERR_VALUE(process->buffer));
}

/**
 * thp_process_start() - make a process that has the mm of a fixture
 * @f: fixture
 *
 * Context: the thread of the test, which must also call thp_process_stop().
 * Return: the process
 */
struct thp_process *thp_process_start(struct thp_fixture *f)
{
	struct thp_process *process = kunit_kzalloc(f->test, sizeof(*process), GFP_KERNEL);
	struct file_system_type *type = get_fs_type("proc");
	struct kunit *test = f->test;

	KUNIT_ASSERT_NOT_NULL(test, process);
	KUNIT_ASSERT_NOT_NULL(test, type);
	process->f = f;
	init_completion(&process->stop);
	init_completion(&process->stopped);
	process->proc = kern_mount(type);
	put_filesystem(type);
	KUNIT_ASSERT_FALSE(test, IS_ERR(process->proc));
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, unmount_proc, process->proc), 0);
	make_reader(process);

	/* As call_usermodehelper_exec_sync() does it, for kernel_wait() to see it exit */
	kernel_sigaction(SIGCHLD, SIG_DFL);
	process->pid = user_mode_thread(wait_for_stop, process, SIGCHLD);
	KUNIT_ASSERT_GT(test, process->pid, 0);
	KUNIT_ASSERT_EQ(test, kunit_add_action_or_reset(test, stop_orphan, process), 0);
	return process;
}

/**
 * thp_process_stop() - let the process exit
 * @process: the process. Nothing of it is left, except for what it has read.
 *
 * Context: the thread that has called thp_process_start().
 */
void thp_process_stop(struct thp_process *process)
{
	int status = 0;

	complete(&process->stop);
	KUNIT_EXPECT_EQ(process->f->test, kernel_wait(process->pid, &status), process->pid);
	kernel_sigaction(SIGCHLD, SIG_IGN);
	process->pid = 0;
}

/* Nothing that the reader has touched may be there when the ledger is read. */
static void leave_reader(struct thp_process *process)
{
	struct thp_fixture *f = process->f;

	KUNIT_EXPECT_EQ(f->test, do_madvise(process->reader, process->buffer, BUFFER_SIZE,
					    MADV_DONTNEED), 0);
	thp_fixture_switch_mm(f, process->reader, f->mm);
}

static struct file *open_file(struct thp_process *process, const char *name, int flags)
{
	char path[32];

	snprintf(path, sizeof(path), "%d/%s", process->pid, name);
	return file_open_root_mnt(process->proc, path, flags, 0);
}

/* Read up to @size bytes, which may take several calls, to the buffer. */
static ssize_t read_all(struct thp_process *process, struct file *file, loff_t pos,
			size_t size)
{
	ssize_t ret, done = 0;

	do {
		ret = vfs_read(file, (char __user *)process->buffer + done, size - done, &pos);
		done += max(ret, 0);
	} while (ret > 0 && done < size);
	return ret < 0 ? ret : done;
}

/**
 * thp_process_read() - read a file of the process in /proc
 * @process: the process
 * @name: name of the file in /proc/PID
 * @pos: where to start
 * @buf: where to write; a NUL is added
 * @size: size of @buf, up to BUFFER_SIZE
 *
 * Context: the thread of the test, in the mm of the fixture.
 * Return: number of bytes read, less than @size, or an error.
 */
ssize_t thp_process_read(struct thp_process *process, const char *name, loff_t pos,
			 void *buf, size_t size)
{
	struct file *file = open_file(process, name, O_RDONLY);
	struct thp_fixture *f = process->f;
	ssize_t ret;

	if (IS_ERR(file))
		return PTR_ERR(file);
	thp_fixture_switch_mm(f, f->mm, process->reader);
	ret = read_all(process, file, pos, size - 1);
	if (ret >= 0 && copy_from_user(buf, (void __user *)process->buffer, ret))
		ret = -EFAULT;
	leave_reader(process);
	fput(file);
	if (ret >= 0)
		((char *)buf)[ret] = 0;
	return ret;
}

/**
 * thp_process_write() - write to a file of the process in /proc
 * @process: the process
 * @name: name of the file in /proc/PID
 * @text: what to write
 *
 * Context: the thread of the test, in the mm of the fixture.
 * Return: number of bytes written, or an error.
 */
ssize_t thp_process_write(struct thp_process *process, const char *name, const char *text)
{
	struct file *file = open_file(process, name, O_WRONLY);
	struct thp_fixture *f = process->f;
	ssize_t ret = -EFAULT;
	loff_t pos = 0;

	if (IS_ERR(file))
		return PTR_ERR(file);
	thp_fixture_switch_mm(f, f->mm, process->reader);
	if (!copy_to_user((void __user *)process->buffer, text, strlen(text)))
		ret = vfs_write(file, (char __user *)process->buffer, strlen(text), &pos);
	leave_reader(process);
	fput(file);
	return ret;
}
