/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A file system of the tests: files that are in the page cache only, but that one
 * could write back, other than shmem.
 */
#ifndef _THP_FILE_H
#define _THP_FILE_H

#include <kunit/test.h>
#include <linux/fs.h>
#include <linux/mm.h>

struct thp_fixture;
struct thp_split_layout;

/**
 * struct thp_file - a file
 * @inode: its inode
 * @refuses: the file system does not want to let go of its folios
 * @nr_asked: times that it was asked to
 */
struct thp_file {
	struct inode *inode;
	bool refuses;
	unsigned int nr_asked;
};

int thp_file_suite_init(struct kunit_suite *suite);
void thp_file_suite_exit(struct kunit_suite *suite);
struct thp_file *thp_file_new(struct kunit *test);
struct folio *thp_file_add(struct thp_fixture *f, struct thp_file *file, unsigned int order);

/*
 * Parts of a folio of the page cache, whichever file it is of
 */
void thp_file_expect_kept(struct thp_fixture *f, struct address_space *mapping,
			  unsigned int offset, unsigned int order, unsigned long flags);
unsigned long thp_file_expect_parts(struct thp_fixture *f, struct address_space *mapping,
				    const struct thp_split_layout *layout, unsigned int size,
				    unsigned long flags);

#endif /* _THP_FILE_H */
