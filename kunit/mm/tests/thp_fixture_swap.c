// SPDX-License-Identifier: GPL-2.0-only
/*
 * Swap on a RAM disk: mknod, mkswap, swapon and swapoff, done by the kernel.
 */
#include <linux/fcntl.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/kdev_t.h>
#include <linux/major.h>
#include <linux/mm.h>
#include <linux/swap.h>
#include <linux/syscalls.h>

#include "../internal.h"
#include "../swap.h"
#include "thp_fixture_swap.h"
#include "thp_fixture_syscall.h"

/* The last one of brd: nobody else uses that. In the root of rootfs */
#define SWAP_DEVICE	MKDEV(RAMDISK_MAJOR, CONFIG_BLK_DEV_RAM_COUNT - 1)
#define SWAP_PATH	"/device_private_thp_swap"

#if defined(CONFIG_SWAP) && defined(CONFIG_BLK_DEV_RAM) && \
	!defined(CONFIG_ARCH_HAS_SYSCALL_WRAPPER)

/* mkswap: the header, over the whole device */
static int write_header(void)
{
	union swap_header *header = kzalloc_obj(*header);
	struct file *file;
	loff_t pos = 0;
	ssize_t ret;

	if (!header)
		return -ENOMEM;
	file = filp_open(SWAP_PATH, O_RDWR | O_LARGEFILE, 0);
	if (IS_ERR(file)) {
		kfree(header);
		return PTR_ERR(file);
	}
	header->info.version = 1;
	header->info.last_page = (i_size_read(file->f_mapping->host) >> PAGE_SHIFT) - 1;
	memcpy(header->magic.magic, "SWAPSPACE2", sizeof(header->magic.magic));
	ret = kernel_write(file, header, sizeof(*header), &pos);
	fput(file);
	flush_delayed_fput();
	kfree(header);
	return ret < 0 ? ret : 0;
}

static int swap_on(const char __user *path)
{
	int ret = sys_mknodat(AT_FDCWD, path, S_IFBLK | 0600, new_encode_dev(SWAP_DEVICE));

	if (ret)
		return ret;
	ret = write_header();
	if (!ret)
		ret = sys_swapon(path, 0);
	if (ret)
		sys_unlinkat(AT_FDCWD, path, 0);
	return ret;
}

static int swap_off(const char __user *path)
{
	int ret = sys_swapoff(path);

	return ret ?: sys_unlinkat(AT_FDCWD, path, 0);
}

/**
 * thp_swap_on() - activate a swap area of CONFIG_BLK_DEV_RAM_SIZE KiB
 *
 * For the suite_init of a suite whose tests call thp_fixture_add_to_swap(). It
 * is the only swap area; nothing but these tests puts anything there unless
 * memory runs out.
 *
 * Context: process context
 * Return: 0, or a negative error.
 */
int thp_swap_on(void)
{
	return thp_call_with_string(SWAP_PATH, swap_on);
}

/**
 * thp_swap_off() - undo thp_swap_on()
 */
void thp_swap_off(void)
{
	WARN_ON(thp_call_with_string(SWAP_PATH, swap_off));
}

/* Every folio that is left at the entries that thp_fixture_add_to_swap() took */
static void del_from_swap(void *context)
{
	struct thp_fixture *f = context;
	unsigned long i, nr;

	for (i = 0; i < f->nr_swapped; i += nr) {
		swp_entry_t entry = { .val = f->swapped.val + i };
		struct folio *folio = swap_cache_get_folio(entry);
		bool was_unlocked;

		nr = 1;
		if (!folio)
			continue;
		nr = folio_nr_pages(folio);
		/* Who holds the folio has locked it; unless the test has failed. */
		was_unlocked = folio_trylock(folio);
		swap_cache_del_folio(folio);
		if (was_unlocked)
			folio_unlock(folio);
		folio_put(folio);
	}
	f->nr_swapped = 0;
}

/**
 * thp_fixture_add_to_swap() - put a folio into the swap cache
 * @f: fixture; none of its folios is there yet
 * @folio: held folio, uptodate. It has one more reference for each page
 *	afterwards, and the first swap entry in @f->swapped.
 *
 * As reclaim does it (shrink_folio_list()), but nothing is written out, and no
 * page table gets swap entries. May be split; thp_fixture_del_from_swap(), or
 * the end of the test, takes every part out again.
 *
 * Context: process context
 */
void thp_fixture_add_to_swap(struct thp_fixture *f, struct folio *folio)
{
	KUNIT_ASSERT_EQ(f->test, 0, folio_alloc_swap(folio));
	f->swapped = folio->swap;
	f->nr_swapped = folio_nr_pages(folio);
	KUNIT_ASSERT_EQ(f->test, 0, kunit_add_action_or_reset(f->test, del_from_swap, f));
}

/**
 * thp_fixture_del_from_swap() - undo thp_fixture_add_to_swap()
 * @f: fixture; the test holds the folios that the pages are in by now
 */
void thp_fixture_del_from_swap(struct thp_fixture *f)
{
	kunit_release_action(f->test, del_from_swap, f);
}

/**
 * thp_swap_strays() - swap entries that lead to another folio than they should
 * @f: fixture, after thp_fixture_add_to_swap(); the pages are the tracked ones
 *
 * Return: number of swap entries that the swap cache doesn't have the folio for
 * that the page of that entry is in.
 */
unsigned long thp_swap_strays(const struct thp_fixture *f)
{
	unsigned long strays = 0, i;

	for (i = 0; i < f->nr_swapped; i++) {
		swp_entry_t entry = { .val = f->swapped.val + i };
		struct folio *folio = swap_cache_get_folio(entry);

		strays += folio != page_folio(f->first + i);
		if (folio)
			folio_put(folio);
	}
	return strays;
}

#else

int thp_swap_on(void)
{
	return 0;
}

void thp_swap_off(void)
{
}

void thp_fixture_add_to_swap(struct thp_fixture *f, struct folio *folio)
{
	kunit_skip(f->test, "no swap, no RAM disk, or no way to call swapon()");
}

void thp_fixture_del_from_swap(struct thp_fixture *f)
{
}

unsigned long thp_swap_strays(const struct thp_fixture *f)
{
	return 0;
}

#endif
