// SPDX-License-Identifier: GPL-2.0
/* A child that takes turns with its parent; two pipes carry the turn. */
#include "thp_check.h"

#include <stdio.h>
#include <unistd.h>

static struct {
	pid_t pid;
	/* The ends that this side reads and writes. */
	int in, out;
} peer;

static void pass_turn(void)
{
	ASSERT(write(peer.out, "", 1) == 1);
}

/* False: the other side is gone. */
static bool await_turn(void)
{
	char byte;

	return read(peer.in, &byte, 1) == 1;
}

pid_t peer_start(void (*fn)(char *), char *arg)
{
	int down[2], up[2];

	ASSERT(!pipe(down) && !pipe(up));
	fflush(stdout);
	peer.pid = fork();
	ASSERT(peer.pid >= 0);
	if (!peer.pid) {
		close(down[1]);
		close(up[0]);
		peer.in = down[0];
		peer.out = up[1];
		child_main(fn, arg);
	}
	close(down[0]);
	close(up[1]);
	peer.in = up[0];
	peer.out = down[1];
	ASSERT(await_turn());
	return peer.pid;
}

void peer_step(void)
{
	pass_turn();
	ASSERT(await_turn());
}

void peer_end(void)
{
	pass_turn();
	/* End of file: the child has left, not yielded once more. */
	ASSERT(!await_turn());
	child_reap(peer.pid);
	close(peer.in);
	close(peer.out);
}

void peer_yield(void)
{
	pass_turn();
	ASSERT(await_turn());
}
