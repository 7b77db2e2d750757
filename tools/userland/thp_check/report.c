// SPDX-License-Identifier: GPL-2.0
/* Runs the checks, each in a child of its own, and reports in TAP 13. */
#include "thp_check.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A check that takes longer hangs; the slowest takes a few seconds. */
#define CHECK_TIMEOUT	60

enum { STATUS_PASS, STATUS_FAIL, STATUS_SKIP = 4 };

static bool verbose;
static int failures;
/* Shared with the children: why the last check was skipped. */
static char *skip_reason;
#define SKIP_REASON_SIZE	256
static char step_text[256];

void step(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(step_text, sizeof(step_text), fmt, args);
	va_end(args);
	if (verbose)
		printf("# step: %s\n", step_text);
}

static void report(const char *file, int line, const char *what,
		   const char *verdict)
{
	printf("# %s:%d: %s%s%s: %s\n", file, line, step_text,
	       *step_text ? ": " : "", what, verdict);
}

void expect_eq(const char *file, int line, const char *what,
	       long long want, long long got)
{
	char verdict[96];

	if (want == got && !verbose)
		return;
	snprintf(verdict, sizeof(verdict), "expected %lld, got %lld%s", want,
		 got, want == got ? "" : "  <-- WRONG");
	report(file, line, what, verdict);
	failures += want != got;
}

void assert_true(const char *file, int line, const char *what, bool got)
{
	char verdict[96];

	if (got)
		return;
	snprintf(verdict, sizeof(verdict),
		 "expected true, got false (errno is %d)  <-- WRONG", errno);
	report(file, line, what, verdict);
	fflush(stdout);
	_exit(STATUS_FAIL);
}

void skip(const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(skip_reason, SKIP_REASON_SIZE, fmt, args);
	va_end(args);
	fflush(stdout);
	_exit(failures ? STATUS_FAIL : STATUS_SKIP);
}

void child_main(void (*fn)(char *), char *arg)
{
	failures = 0;
	fn(arg);
	fflush(stdout);
	_exit(failures ? STATUS_FAIL : STATUS_PASS);
}

void child_reap(pid_t pid)
{
	int status;

	ASSERT(waitpid(pid, &status, 0) == pid);
	EXPECT_EQ(0, status);
}

void in_child(void (*fn)(char *), char *arg)
{
	pid_t pid;

	fflush(stdout);
	pid = fork();
	ASSERT(pid >= 0);
	if (!pid)
		child_main(fn, arg);
	child_reap(pid);
}

static int run_one(const struct check *check)
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (pid < 0) {
		perror("# fork");
		return STATUS_FAIL;
	}
	if (!pid) {
		alarm(CHECK_TIMEOUT);
		check->fn();
		fflush(stdout);
		_exit(failures ? STATUS_FAIL : STATUS_PASS);
	}
	if (waitpid(pid, &status, 0) != pid) {
		perror("# waitpid");
		return STATUS_FAIL;
	}
	if (WIFSIGNALED(status)) {
		printf("# %s: killed by signal %d (%s)\n", check->name,
		       WTERMSIG(status), strsignal(WTERMSIG(status)));
		return STATUS_FAIL;
	}
	return WEXITSTATUS(status);
}

static bool wanted(const struct check *check, int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		if (!fnmatch(argv[i], check->name, 0))
			return true;
	return !argc;
}

static void print_result(int number, const char *name, int status)
{
	bool ok = status == STATUS_PASS || status == STATUS_SKIP;

	printf("%sok %d thp.%s", ok ? "" : "not ", number, name);
	if (status == STATUS_SKIP)
		printf(" # SKIP %s", skip_reason);
	putchar('\n');
}

int run_checks(const struct check *const *groups, int argc, char **argv)
{
	int total = 0, number = 0, failed = 0, pass, status;
	const struct check *const *group;
	const struct check *check;

	if (argc && !strcmp(argv[0], "-v")) {
		verbose = true;
		argc--;
		argv++;
	}
	setvbuf(stdout, NULL, _IOLBF, 0);
	skip_reason = mmap(NULL, SKIP_REASON_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT(skip_reason != MAP_FAILED);
	/* First count for the plan, then run. */
	for (pass = 0; pass < 2; pass++) {
		for (group = groups; *group; group++) {
			for (check = *group; check->name; check++) {
				if (!wanted(check, argc, argv))
					continue;
				if (!pass) {
					total++;
					continue;
				}
				status = run_one(check);
				failed += status != STATUS_PASS &&
					  status != STATUS_SKIP;
				print_result(++number, check->name, status);
			}
		}
		if (!pass)
			printf("TAP version 13\n1..%d\n", total);
	}
	return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
