// SPDX-License-Identifier: GPL-2.0
/*
 * init - first process of a guest that runs plain programs
 *
 * The root file system is a directory of the host, mounted read-only through
 * hostfs. /job in it holds the commands to run: one argument a line, an empty
 * line after each command. What the programs print goes to RESULT_TTY, which
 * the host connects to a regular file, so that kernel messages on the console
 * never land inside a line of test output. Around every command init prints
 *
 *	umthp-init: start PROGRAM
 *	umthp-init: exit PROGRAM STATUS		or
 *	umthp-init: signal PROGRAM NUMBER
 *
 * and "umthp-init: done" at the very end, then halts. Without the last line
 * the reader knows that the guest died.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define RESULT_TTY	"/dev/tty1"
#define JOB_FILE	"/job"
#define MAX_ARGS	1024

static const struct {
	const char *type, *dir;
} mounts[] = {
	{ "devtmpfs", "/dev" },
	{ "proc", "/proc" },
	{ "sysfs", "/sys" },
	{ "debugfs", "/sys/kernel/debug" },
	{ "tmpfs", "/tmp" },
};

static void __attribute__((noreturn)) halt(void)
{
	sync();
	reboot(RB_POWER_OFF);
	_exit(1);
}

static void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
	va_list args;

	fputs("umthp-init: error: ", stdout);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	printf(": %s\n", strerror(errno));
	fflush(stdout);
	halt();
}

/* Standard output and error become the result tty, with no translation. */
static void open_result_tty(void)
{
	struct termios tio;
	int fd;

	fd = open(RESULT_TTY, O_RDWR | O_NOCTTY);
	if (fd < 0)
		die("open %s", RESULT_TTY);
	if (tcgetattr(fd, &tio))
		die("tcgetattr %s", RESULT_TTY);
	cfmakeraw(&tio);
	if (tcsetattr(fd, TCSANOW, &tio))
		die("tcsetattr %s", RESULT_TTY);
	if (dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0)
		die("dup2 %s", RESULT_TTY);
	if (fd > STDERR_FILENO)
		close(fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
}

/* Run one command to its end and report how it ended. */
static void run(char **argv)
{
	pid_t child, pid;
	int status;

	printf("umthp-init: start %s\n", argv[0]);
	child = fork();
	if (child < 0)
		die("fork");
	if (!child) {
		execv(argv[0], argv);
		printf("umthp-init: error: exec %s: %s\n", argv[0],
		       strerror(errno));
		_exit(127);
	}
	/* Orphans of the command are ours to reap too. */
	do {
		pid = wait(&status);
		if (pid < 0 && errno != EINTR)
			die("wait");
	} while (pid != child);

	if (WIFEXITED(status))
		printf("umthp-init: exit %s %d\n", argv[0], WEXITSTATUS(status));
	else
		printf("umthp-init: signal %s %d\n", argv[0], WTERMSIG(status));
}

static void run_job(FILE *job)
{
	char *argv[MAX_ARGS + 1];
	size_t argc = 0, size = 0;
	char *line = NULL;
	ssize_t len;

	while ((len = getline(&line, &size, job)) >= 0) {
		if (len && line[len - 1] == '\n')
			line[--len] = '\0';
		if (len) {
			if (argc == MAX_ARGS) {
				errno = E2BIG;
				die("%s", JOB_FILE);
			}
			argv[argc] = strdup(line);
			if (!argv[argc++])
				die("strdup");
			continue;
		}
		argv[argc] = NULL;
		if (argc)
			run(argv);
		while (argc)
			free(argv[--argc]);
	}
	if (argc) {
		errno = EINVAL;
		die("%s: no empty line after the last command", JOB_FILE);
	}
	free(line);
}

int main(void)
{
	FILE *job;
	size_t i;

	for (i = 0; i < sizeof(mounts) / sizeof(mounts[0]); i++)
		if (mount("none", mounts[i].dir, mounts[i].type, 0, NULL))
			die("mount %s on %s", mounts[i].type, mounts[i].dir);
	open_result_tty();

	job = fopen(JOB_FILE, "re");
	if (!job)
		die("open %s", JOB_FILE);
	run_job(job);
	printf("umthp-init: done\n");
	fflush(stdout);
	tcdrain(STDOUT_FILENO);
	halt();
}
