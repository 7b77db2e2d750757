// SPDX-License-Identifier: GPL-2.0-only
/*
 * The data pattern: what each 4 KiB of the range must hold, wherever it is.
 */
#include <linux/uaccess.h>

#include "thp_fixture.h"

#define WORDS	(PAGE_SIZE / sizeof(u64))

/* Different for each word of each page, and never what freed memory is filled with */
static u64 pattern(unsigned long page_nr, unsigned int word)
{
	return (page_nr * WORDS + word + 1) * 0x9e3779b97f4a7c15ull;
}

/**
 * thp_data_word() - a word of the pattern of a page
 * @page_nr: number of the page in the 2 MiB range
 * @word: number of the word in the page
 *
 * For who writes only the words that thp_data_check() looks at: the first, the
 * last, and word @page_nr modulo the words of a page.
 *
 * Return: what it has to be.
 */
u64 thp_data_word(unsigned long page_nr, unsigned int word)
{
	return pattern(page_nr, word);
}

/**
 * thp_data_fill() - write the pattern of a page
 * @data: memory of the page
 * @page_nr: number of the page in the 2 MiB range
 */
void thp_data_fill(void *data, unsigned long page_nr)
{
	u64 *word = data;
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		word[i] = pattern(page_nr, i);
}

/**
 * thp_data_mark() - write no more of the pattern of a page than thp_data_check() reads
 * @data: memory of the page
 * @page_nr: number of the page in the 2 MiB range
 *
 * For tests that look at the data of every page, but are too many to write all
 * of it. The rest of the page stays as it was.
 */
void thp_data_mark(void *data, unsigned long page_nr)
{
	unsigned int other = page_nr % WORDS;
	u64 *word = data;

	word[0] = pattern(page_nr, 0);
	word[other] = pattern(page_nr, other);
	word[WORDS - 1] = pattern(page_nr, WORDS - 1);
}

/**
 * thp_data_check() - look at a few words of a page
 * @data: memory of the page
 * @page_nr: number of the page in the 2 MiB range
 *
 * The ledger does this for every page after every step;
 * thp_fixture_read_back() looks at every word at the end.
 *
 * Return: true if the first, the last and one other word are right.
 */
bool thp_data_check(const void *data, unsigned long page_nr)
{
	const u64 *word = data;
	unsigned int other = page_nr % WORDS;

	return data && word[0] == pattern(page_nr, 0) &&
	       word[other] == pattern(page_nr, other) &&
	       word[WORDS - 1] == pattern(page_nr, WORDS - 1);
}

static bool whole_page_right(const void *data, unsigned long page_nr)
{
	const u64 *word = data;
	unsigned int i;

	for (i = 0; i < WORDS; i++)
		if (word[i] != pattern(page_nr, i))
			return false;
	return true;
}

/**
 * thp_fixture_fill_device() - write the pattern to the memory of a device folio
 * @f: fixture; @folio is the one under test
 * @folio: folio of the device
 */
void thp_fixture_fill_device(struct thp_fixture *f, struct folio *folio)
{
	struct fake_zdev *zdev = thp_fixture_zdev_of(f, &folio->page);
	unsigned long place = (f->where - f->addr) >> PAGE_SHIFT, i;

	for (i = 0; i < folio_nr_pages(folio); i++)
		thp_data_fill(fake_zdev_data(zdev, folio_page(folio, i)), place + i);
}

/**
 * thp_fixture_read_back() - read the tracked pages as a process would
 * @f: fixture
 * @order: order of the folio that was tracked: how many pages to read
 * @step: name of the step, for the report
 *
 * Every word is compared. Device-private entries make the CPU fault, and bring
 * the data back to system memory; so this is at the end of a test.
 *
 * Context: the thread of the test.
 */
void thp_fixture_read_back(struct thp_fixture *f, unsigned int order, const char *step)
{
	void *page = kunit_kmalloc(f->test, PAGE_SIZE, GFP_KERNEL);
	unsigned long place = (f->where - f->addr) >> PAGE_SHIFT;
	unsigned long i, wrong = 0, first = 0;

	KUNIT_ASSERT_NOT_NULL(f->test, page);
	for (i = 0; i < 1UL << order; i++) {
		const void __user *from = (void __user *)(f->where + i * PAGE_SIZE);

		if (copy_from_user(page, from, PAGE_SIZE) ||
		    !whole_page_right(page, place + i)) {
			first = wrong++ ? first : i;
		}
	}
	KUNIT_EXPECT_EQ_MSG(f->test, wrong, 0, "%s: data of page %lu of order %u lost",
			    step, first, order);
}
