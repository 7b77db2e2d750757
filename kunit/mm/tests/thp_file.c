// SPDX-License-Identifier: GPL-2.0-only
/*
 * The least that a file system needs for large folios in its page cache that can
 * be dirty: a superblock with a backing device of its own, inodes, and address
 * space operations.
 */
#include <linux/backing-dev.h>
#include <linux/fs_context.h>
#include <linux/mm.h>
#include <linux/mount.h>
#include <linux/pagemap.h>
#include <linux/pseudo_fs.h>
#include <linux/swap.h>

#include "../internal.h"
#include "thp_file.h"
#include "thp_fixture.h"
#include "thp_split_oracle.h"

static struct vfsmount *thp_file_mount;

static int init_fs_context(struct fs_context *fc)
{
	return init_pseudo(fc, 0x746870) ? 0 : -ENOMEM;
}

static struct file_system_type thp_file_system = {
	.name = "thp_file",
	.init_fs_context = init_fs_context,
	.kill_sb = kill_anon_super,
};

static bool release_folio(struct folio *folio, gfp_t gfp)
{
	struct thp_file *file = folio->mapping->host->i_private;

	file->nr_asked++;
	return !file->refuses;
}

static const struct address_space_operations thp_file_aops = {
	.dirty_folio = filemap_dirty_folio,
	.release_folio = release_folio,
};

/**
 * thp_file_suite_init() - suite callback: mount the file system
 * @suite: the suite
 *
 * Return: 0, or an error
 */
int thp_file_suite_init(struct kunit_suite *suite)
{
	struct vfsmount *mount = kern_mount(&thp_file_system);
	int ret;

	if (IS_ERR(mount))
		return PTR_ERR(mount);
	/* Else it is noop_backing_dev_info, and nothing is ever accounted as dirty. */
	ret = super_setup_bdi(mount->mnt_sb);
	if (ret) {
		kern_unmount(mount);
		return ret;
	}
	thp_file_mount = mount;
	return 0;
}

/**
 * thp_file_suite_exit() - suite callback: unmount it
 * @suite: the suite
 */
void thp_file_suite_exit(struct kunit_suite *suite)
{
	if (thp_file_mount)
		kern_unmount(thp_file_mount);
	thp_file_mount = NULL;
}

KUNIT_DEFINE_ACTION_WRAPPER(put_inode, iput, struct inode *);

/**
 * thp_file_new() - make a file
 * @test: the test; what is left of the file when it ends is dropped
 *
 * Return: an empty file
 */
struct thp_file *thp_file_new(struct kunit *test)
{
	struct thp_file *file = kunit_kzalloc(test, sizeof(*file), GFP_KERNEL);
	struct inode *inode;

	KUNIT_ASSERT_NOT_NULL(test, file);
	KUNIT_ASSERT_NOT_NULL(test, thp_file_mount);
	inode = alloc_anon_inode(thp_file_mount->mnt_sb);
	KUNIT_ASSERT_FALSE(test, IS_ERR(inode));
	KUNIT_ASSERT_EQ(test, 0, kunit_add_action_or_reset(test, put_inode, inode));
	inode->i_private = file;
	inode->i_mapping->a_ops = &thp_file_aops;
	mapping_set_large_folios(inode->i_mapping);
	file->inode = inode;
	return file;
}

/**
 * thp_file_add() - put a folio with the pattern at the start of a file
 * @f: fixture; the folio is tracked
 * @file: empty file, which becomes as large as the folio
 * @order: order of the folio, 0..HPAGE_PMD_ORDER
 *
 * Context: process context
 * Return: the folio, clean, uptodate, unlocked, on the LRU. The page cache has the
 * only references.
 */
struct folio *thp_file_add(struct thp_fixture *f, struct thp_file *file, unsigned int order)
{
	struct folio *folio = folio_alloc(GFP_HIGHUSER_MOVABLE, order);
	unsigned long i;
	int ret;

	KUNIT_ASSERT_NOT_NULL_MSG(f->test, folio, "order %u", order);
	for (i = 0; i < 1UL << order; i++)
		thp_data_fill(page_address(folio_page(folio, i)), i);
	ret = filemap_add_folio(file->inode->i_mapping, folio, 0, GFP_KERNEL);
	if (!ret) {
		folio_mark_uptodate(folio);
		folio_unlock(folio);
	}
	folio_put(folio);
	KUNIT_ASSERT_EQ(f->test, ret, 0);
	lru_add_drain();
	i_size_write(file->inode, (loff_t)PAGE_SIZE << order);
	thp_fixture_track(f, &folio->page, order, f->addr);
	return folio;
}

/**
 * thp_file_expect_kept() - check that a part is in the page cache
 * @f: fixture; the folio that was split is tracked, and was at the start of the file
 * @mapping: the file
 * @offset: first page of the part
 * @order: its order
 * @flags: which of PG_locked, PG_uptodate, PG_dirty, PG_lru and PG_swapbacked it has
 *
 * It must be in its place, with its data, and with no references but those of the
 * page cache.
 *
 * Context: process context; lru_add_drain() was called.
 */
void thp_file_expect_kept(struct thp_fixture *f, struct address_space *mapping,
			  unsigned int offset, unsigned int order, unsigned long flags)
{
	const unsigned long mask = BIT(PG_locked) | BIT(PG_uptodate) | BIT(PG_dirty) |
				   BIT(PG_lru) | BIT(PG_swapbacked);
	const unsigned int nr = 1U << order;
	struct folio *part = page_folio(f->first + offset);
	unsigned int i, lost = 0, absent = 0;

	KUNIT_EXPECT_PTR_EQ_MSG(f->test, &part->page, f->first + offset, "page %u", offset);
	KUNIT_EXPECT_EQ_MSG(f->test, folio_order(part), order, "page %u", offset);
	KUNIT_EXPECT_EQ_MSG(f->test, folio_ref_count(part), nr, "page %u", offset);
	KUNIT_EXPECT_EQ_MSG(f->test, part->index, offset, "page %u", offset);
	KUNIT_EXPECT_PTR_EQ_MSG(f->test, part->mapping, mapping, "page %u", offset);
	KUNIT_EXPECT_EQ_MSG(f->test, part->flags.f & mask, flags, "page %u", offset);
	for (i = 0; i < nr; i++) {
		absent += xa_load(&mapping->i_pages, offset + i) != part;
		lost += !thp_data_check(page_address(f->first + offset + i), offset + i);
	}
	KUNIT_EXPECT_EQ_MSG(f->test, absent, 0, "pages from %u on: not in the cache", offset);
	KUNIT_EXPECT_EQ_MSG(f->test, lost, 0, "pages from %u on: without their data", offset);
}

/* Check that a part is not in the page cache. */
static void expect_dropped(struct thp_fixture *f, struct address_space *mapping,
			   unsigned int offset, unsigned int order)
{
	unsigned int i, left = 0;

	for (i = 0; i < 1U << order; i++) {
		left += !!xa_load(&mapping->i_pages, offset + i);
		left += f->first[offset + i].mapping == mapping;
	}
	KUNIT_EXPECT_EQ_MSG(f->test, left, 0, "pages from %u on: beyond the end", offset);
}

/**
 * thp_file_expect_parts() - check all parts of a folio that was split
 * @f: fixture, as for thp_file_expect_kept()
 * @mapping: the file
 * @layout: what the folio was split into
 * @size: size of the file, in pages
 * @flags: of the parts that start in the file, as for thp_file_expect_kept(). Those
 *	beyond its end must be dropped.
 *
 * Context: process context; lru_add_drain() was called.
 * Return: number of pages that the page cache must have of it, which is checked, too
 */
unsigned long thp_file_expect_parts(struct thp_fixture *f, struct address_space *mapping,
				    const struct thp_split_layout *layout, unsigned int size,
				    unsigned long flags)
{
	unsigned long kept = 0;
	unsigned int i;

	for (i = 0; i < layout->nr_parts; i++) {
		const unsigned int offset = layout->parts[i].offset;
		const unsigned int order = layout->parts[i].order;

		if (offset < size) {
			thp_file_expect_kept(f, mapping, offset, order, flags);
			kept += 1UL << order;
		} else {
			expect_dropped(f, mapping, offset, order);
		}
	}
	KUNIT_EXPECT_EQ(f->test, mapping->nrpages, kept);
	return kept;
}
