/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that has the mm of a test, and a reader of its files in /proc.
 */
#ifndef _THP_FIXTURE_PROCESS_H
#define _THP_FIXTURE_PROCESS_H

#include "thp_fixture.h"

struct thp_process;

struct thp_process *thp_process_start(struct thp_fixture *f);
void thp_process_stop(struct thp_process *process);
ssize_t thp_process_read(struct thp_process *process, const char *name, loff_t pos,
			 void *buf, size_t size);
ssize_t thp_process_write(struct thp_process *process, const char *name, const char *text);

#endif /* _THP_FIXTURE_PROCESS_H */
