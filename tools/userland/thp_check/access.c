// SPDX-License-Identifier: GPL-2.0
/* The kernel's own accesses to a THP: read(), write(), futex(), signals... */
#include "thp_check.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRACED_OFFSET	(33 * PAGE_SIZE + 16)
#define TRACED_VALUE	0x123456789abcdefL

/* A file of the guest's tmpfs with HPAGE_SIZE bytes of pattern @seed. */
static int pattern_file(unsigned int seed)
{
	char *p = region_small(HPAGE_SIZE, seed);
	int fd;

	fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ASSERT(fd >= 0);
	ASSERT(write(fd, p, HPAGE_SIZE) == HPAGE_SIZE);
	region_free(p, HPAGE_SIZE);
	return fd;
}

static void read_is_the_first_touch(void)
{
	long alloc = vmstat("thp_fault_alloc");
	char *p = region_new(HPAGE_SIZE);
	int fd = pattern_file(1);

	ASSERT(pread(fd, p, HPAGE_SIZE, 0) == HPAGE_SIZE);
	EXPECT_EQ(alloc + 1, vmstat("thp_fault_alloc"));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

static void read_into_a_thp_and_back(void)
{
	long split = vmstat("thp_split_pmd");
	char *p = region_thp(2 * HPAGE_SIZE, 2), *out;
	int fd = pattern_file(1);

	/* Across the border of two THPs, not aligned to a page. */
	out = p + HPAGE_SIZE / 2 + 24;
	ASSERT(pread(fd, out, HPAGE_SIZE, 0) == HPAGE_SIZE);
	EXPECT_EQ(0, bad_words(out, HPAGE_SIZE, 1));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE / 2 + 24, 2));
	EXPECT_EQ(0, bad_words_at(p, out + HPAGE_SIZE, HPAGE_SIZE / 2 - 24, 2));
	EXPECT_EQ(2 * HPAGE_KB, ANON_HUGE_KB(p, 2 * HPAGE_SIZE));

	ASSERT(pwrite(fd, p, HPAGE_SIZE, 0) == HPAGE_SIZE);
	memset(out, 0, HPAGE_SIZE);
	ASSERT(pread(fd, out, HPAGE_SIZE, 0) == HPAGE_SIZE);
	EXPECT_EQ(0, bad_words(out, HPAGE_SIZE / 2 + 24, 2));
	EXPECT_EQ(split, vmstat("thp_split_pmd"));
}

static void read_replaces_the_huge_zero_folio(void)
{
	char *p = region_new(HPAGE_SIZE), *q = region_new(HPAGE_SIZE);
	int fd = pattern_file(1);

	EXPECT_EQ(0, p[0] | q[0]);
	ASSERT(pread(fd, p, HPAGE_SIZE, 0) == HPAGE_SIZE);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
	EXPECT_EQ(0, nonzero_words(q, HPAGE_SIZE));
}

static void read_into_protected_thp_fails(void)
{
	char *p = region_thp(HPAGE_SIZE, 2);
	int fd = pattern_file(1);

	ASSERT(!mprotect(p, HPAGE_SIZE, PROT_READ));
	EXPECT_EQ(-1, pread(fd, p, PAGE_SIZE, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(PAGE_SIZE, pwrite(fd, p, PAGE_SIZE, 0));
	ASSERT(!mprotect(p, HPAGE_SIZE, PROT_READ | PROT_WRITE));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
}

/* Neither direction, be the memory mapped by a leaf or by PTEs. */
static void kernel_access_to_prot_none_fails(void)
{
	char *leaf = region_thp(HPAGE_SIZE, 2), *small = region_small(HPAGE_SIZE, 2);
	int fd = pattern_file(1);

	ASSERT(!mprotect(leaf, HPAGE_SIZE, PROT_NONE));
	ASSERT(!mprotect(small, HPAGE_SIZE, PROT_NONE));
	errno = 0;
	EXPECT_EQ(-1, pread(fd, leaf, PAGE_SIZE, 0));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, pread(fd, small, PAGE_SIZE, 0));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, pwrite(fd, leaf, PAGE_SIZE, 0));
	EXPECT_EQ(EFAULT, errno);
	errno = 0;
	EXPECT_EQ(-1, pwrite(fd, small, PAGE_SIZE, 0));
	EXPECT_EQ(EFAULT, errno);
	ASSERT(!mprotect(leaf, HPAGE_SIZE, PROT_READ));
	EXPECT_EQ(0, bad_words(leaf, HPAGE_SIZE, 2));
}

/* Half of the THP is gone: the copy stops exactly there. */
static void read_stops_at_a_hole(void)
{
	char *p = region_thp(HPAGE_SIZE, 2);
	int fd = pattern_file(1);

	ASSERT(!munmap(p + HPAGE_SIZE / 2, HPAGE_SIZE / 2));
	EXPECT_EQ(HPAGE_SIZE / 2, pread(fd, p, HPAGE_SIZE, 0));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE / 2, 1));
}

static int cow_fd;

static void child_reads_over_it(char *p)
{
	ASSERT(pread(cow_fd, p, HPAGE_SIZE / 2, 0) == HPAGE_SIZE / 2);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE / 2, 1));
	EXPECT_EQ(0, bad_words_at(p, p + HPAGE_SIZE / 2, HPAGE_SIZE / 2, 2));
}

static void read_copies_on_write(void)
{
	char *p = region_thp(HPAGE_SIZE, 2);

	cow_fd = pattern_file(1);
	in_child(child_reads_over_it, p);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 2));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
}

static void dirty_through_the_kernel_survives_reclaim(void)
{
	char *p = region_thp(HPAGE_SIZE, 2);
	int fd = pattern_file(1);

	/* Lazily freed, then written by the kernel alone: must be kept. */
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_FREE));
	ASSERT(pread(fd, p, HPAGE_SIZE, 0) == HPAGE_SIZE);
	ASSERT(!madvise(p, HPAGE_SIZE, MADV_PAGEOUT));
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
}

static pid_t peer_pid;

static void child_serves_memory(char *p)
{
	fill(p, HPAGE_SIZE, 3);
	peer_yield();
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 4));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
}

static void process_vm_readv_and_writev(void)
{
	char *p = region_new(HPAGE_SIZE), *buffer = region_thp(HPAGE_SIZE, 1);
	struct iovec local = { buffer, HPAGE_SIZE };
	struct iovec remote = { p, HPAGE_SIZE };

	peer_pid = peer_start(child_serves_memory, p);
	ASSERT(process_vm_readv(peer_pid, &local, 1, &remote, 1, 0) ==
	       HPAGE_SIZE);
	EXPECT_EQ(0, bad_words(buffer, HPAGE_SIZE, 3));
	fill(buffer, HPAGE_SIZE, 4);
	ASSERT(process_vm_writev(peer_pid, &local, 1, &remote, 1, 0) ==
	       HPAGE_SIZE);
	peer_end();
	/* The parent never touched its own copy. */
	EXPECT_EQ(0, RSS_KB(p, HPAGE_SIZE));
}

static void child_is_traced(char *p)
{
	ASSERT(!mprotect(p, HPAGE_SIZE, PROT_READ));
	ASSERT(!ptrace(PTRACE_TRACEME, 0, NULL, NULL));
	ASSERT(!raise(SIGSTOP));
	/* The word is the tracer's now, on a page of the child's own. */
	EXPECT_EQ(0, bad_words(p, TRACED_OFFSET, 1));
	EXPECT_EQ(TRACED_VALUE, *(uint64_t *)(p + TRACED_OFFSET));
	EXPECT_EQ(0, bad_words_at(p, p + TRACED_OFFSET + 8,
				  HPAGE_SIZE - TRACED_OFFSET - 8, 1));
	EXPECT_EQ(true, write_faults(p + TRACED_OFFSET));
}

/* FOLL_FORCE: a debugger's write to a THP that is read-only and shared. */
static void ptrace_pokes_a_read_only_thp(void)
{
	char *p = region_thp(HPAGE_SIZE, 1), *word = p + TRACED_OFFSET;
	uint64_t before = *(uint64_t *)word;
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ASSERT(pid >= 0);
	if (!pid)
		child_main(child_is_traced, p);
	ASSERT(waitpid(pid, &status, 0) == pid && WIFSTOPPED(status));
	errno = 0;
	EXPECT_EQ(before, ptrace(PTRACE_PEEKDATA, pid, word, NULL));
	EXPECT_EQ(0, errno);
	ASSERT(!ptrace(PTRACE_POKEDATA, pid, word, TRACED_VALUE));
	EXPECT_EQ(TRACED_VALUE, ptrace(PTRACE_PEEKDATA, pid, word, NULL));
	ASSERT(!ptrace(PTRACE_DETACH, pid, NULL, NULL));
	child_reap(pid);
	EXPECT_EQ(0, bad_words(p, HPAGE_SIZE, 1));
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));
}

static long futex(uint32_t *word, int op, uint32_t val, uint32_t val2,
		  uint32_t *word2, uint32_t val3)
{
	return syscall(SYS_futex, word, op, val, (unsigned long)val2, word2,
		       val3);
}

static void *futex_waiter(void *arg)
{
	uint32_t *word = arg;

	/* 0 -> 1 tells the main thread that we are about to wait. */
	__atomic_store_n(word, 1, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 1)
		futex(word, FUTEX_WAIT_PRIVATE, 1, 0, NULL, 0);
	return NULL;
}

static void futex_in_a_thp(void)
{
	char *p = region_thp(HPAGE_SIZE, 1);
	uint32_t *word = (uint32_t *)(p + 200 * PAGE_SIZE);
	uint32_t *word2 = (uint32_t *)(p + 300 * PAGE_SIZE);
	pthread_t thread;

	*word = 5;
	*word2 = 40;
	EXPECT_EQ(-1, futex(word, FUTEX_WAIT_PRIVATE, 4, 0, NULL, 0));
	EXPECT_EQ(EAGAIN, errno);
	/* The kernel's own read-modify-write: word2 += 2. */
	EXPECT_EQ(0, futex(word, FUTEX_WAKE_OP_PRIVATE, 1, 1, word2,
			   FUTEX_OP(FUTEX_OP_ADD, 2, FUTEX_OP_CMP_EQ, 40)));
	EXPECT_EQ(42, *word2);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(p, HPAGE_SIZE));

	*word = 0;
	ASSERT(!pthread_create(&thread, NULL, futex_waiter, word));
	while (__atomic_load_n(word, __ATOMIC_SEQ_CST) != 1)
		sched_yield();
	/* The key must survive the split that comes between. */
	ASSERT(!mprotect(p, PAGE_SIZE, PROT_READ));
	__atomic_store_n(word, 2, __ATOMIC_SEQ_CST);
	ASSERT(futex(word, FUTEX_WAKE_PRIVATE, 1, 0, NULL, 0) >= 0);
	ASSERT(!pthread_join(thread, NULL));
	EXPECT_EQ(0, bad_words_at(p, p, 200 * PAGE_SIZE, 1));
}

static volatile sig_atomic_t on_stack;
static char *stack_start;

static void stack_handler(int sig)
{
	char here;

	(void)sig;
	on_stack = &here >= stack_start && &here < stack_start + HPAGE_SIZE;
}

/* The kernel writes the frame, the CPU runs on it, sigreturn reads it back. */
static void signal_stack_in_a_thp(void)
{
	struct sigaction action = {
		.sa_handler = stack_handler, .sa_flags = SA_ONSTACK,
	};
	stack_t stack = { .ss_size = HPAGE_SIZE };

	stack_start = region_thp(HPAGE_SIZE, 1);
	stack.ss_sp = stack_start;
	ASSERT(!sigaltstack(&stack, NULL));
	ASSERT(!sigaction(SIGUSR1, &action, NULL));
	ASSERT(!raise(SIGUSR1));
	EXPECT_EQ(1, on_stack);
	EXPECT_EQ(HPAGE_KB, ANON_HUGE_KB(stack_start, HPAGE_SIZE));

	/* And on the same memory mapped by PTEs. */
	ASSERT(!mprotect(stack_start, PAGE_SIZE, PROT_NONE));
	on_stack = 0;
	ASSERT(!raise(SIGUSR1));
	EXPECT_EQ(1, on_stack);
}

const struct check access_checks[] = {
	CHECK(read_is_the_first_touch),
	CHECK(read_into_a_thp_and_back),
	CHECK(read_replaces_the_huge_zero_folio),
	CHECK(read_into_protected_thp_fails),
	CHECK(kernel_access_to_prot_none_fails),
	CHECK(read_stops_at_a_hole),
	CHECK(read_copies_on_write),
	CHECK(dirty_through_the_kernel_survives_reclaim),
	CHECK(process_vm_readv_and_writev),
	CHECK(ptrace_pokes_a_read_only_thp),
	CHECK(futex_in_a_thp),
	CHECK(signal_stack_in_a_thp),
	{}
};
