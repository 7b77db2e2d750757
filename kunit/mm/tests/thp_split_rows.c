// SPDX-License-Identifier: GPL-2.0-only
/*
 * Makes the rows, and the folios that they ask for. Rows hold what goes in; what
 * has to come out is the oracle's answer to that, see thp_split_parts.c.
 */
#include <linux/mm.h>

#include "thp_split_rows.h"

struct mode {
	bool write, exclusive;
	const char *name;
};

static const struct mode modes[] = {
	{ true, true, "write" },
	{ false, true, "read_exclusive" },
	{ false, false, "read_shared" },
};

/*
 * Pages of a folio of 1 << order pages: the ends, the first one of the second
 * half, and one that is in the other half each time that its block is halved.
 */
static unsigned int first_page(unsigned int nr)
{
	return 0;
}

static unsigned int zigzag_page(unsigned int nr)
{
	return nr / 3;
}

static unsigned int middle_page(unsigned int nr)
{
	return nr / 2;
}

static unsigned int last_page(unsigned int nr)
{
	return nr - 1;
}

/* Pages to unmap, of a folio of @nr pages: which, and how many */
static unsigned int zap_none(unsigned int nr, unsigned int *first)
{
	*first = 0;
	return 0;
}

static unsigned int zap_head(unsigned int nr, unsigned int *first)
{
	*first = 0;
	return 1;
}

static unsigned int zap_inner(unsigned int nr, unsigned int *first)
{
	*first = nr / 4;
	return nr / 2;
}

static unsigned int zap_second_half(unsigned int nr, unsigned int *first)
{
	*first = nr / 2;
	return nr / 2;
}

static unsigned int zap_all_but_last(unsigned int nr, unsigned int *first)
{
	*first = 0;
	return nr - 1;
}

/**
 * struct variant - what differs between the rows of two orders
 * @at: page that is asked for
 * @at_name: its name
 * @mode: index into modes[]
 * @zap: pages to unmap
 * @zap_name: which ones these are
 */
struct variant {
	unsigned int (*at)(unsigned int nr);
	const char *at_name;
	unsigned int mode;
	unsigned int (*zap)(unsigned int nr, unsigned int *first);
	const char *zap_name;
};

static const struct variant all_variants[] = {
	{ first_page, "first", 0, zap_none, "" },
	{ zigzag_page, "zigzag", 0, zap_none, "" },
	{ middle_page, "middle", 0, zap_none, "" },
	{ last_page, "last", 0, zap_none, "" },
	{ zigzag_page, "zigzag", 1, zap_none, "" },
	{ zigzag_page, "zigzag", 2, zap_none, "" },
};

static const struct variant zap_variants[] = {
	{ zigzag_page, "zigzag", 0, zap_head, "_without_first" },
	{ zigzag_page, "zigzag", 1, zap_inner, "_without_inner_half" },
	{ zigzag_page, "zigzag", 0, zap_second_half, "_without_second_half" },
	{ zigzag_page, "zigzag", 2, zap_all_but_last, "_without_all_but_last" },
};

static void describe(struct kunit *test, const void *param, char *desc)
{
	const struct thp_split_row *row = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u_to_%u_%s_%s%s_at_%s", row->old_order,
		 row->new_order, row->pmd ? "pmd" : "ptes", row->mode_name, row->zap_name,
		 row->at_name);
}

static void fill_row(struct thp_split_row *row, unsigned int old_order,
		     unsigned int new_order, bool pmd, const struct variant *v)
{
	*row = (struct thp_split_row) {
		.old_order = old_order,
		.new_order = new_order,
		.pmd = pmd,
		.split_pmds = old_order == HPAGE_PMD_ORDER ? 1 : 0,
		.split_pmds_shared = pmd ? 2 : old_order == HPAGE_PMD_ORDER,
		.at = v->at(1U << old_order),
		.at_name = v->at_name,
		.write = modes[v->mode].write,
		.exclusive = modes[v->mode].exclusive,
		.mode_name = modes[v->mode].name,
		.zap_name = v->zap_name,
	};
	row->zap_nr = v->zap(1U << old_order, &row->zap_first);
}

/**
 * struct choice - which rows to make
 * @variants: what there is besides the orders
 * @nr_variants: number of those
 * @each: a row for each variant; else the variants take turns
 * @ends: only the lowest and the highest new order
 * @pmd_only: only what is mapped by a PMD
 * @nr: number of rows that come of it
 */
struct choice {
	const struct variant *variants;
	unsigned int nr_variants;
	bool each, ends, pmd_only;
	unsigned int nr;
};

static bool is_chosen(const struct choice *c, unsigned int old_order,
		      unsigned int new_order, bool pmd)
{
	/* There are no anonymous folios of order 1. */
	if (new_order == 1 || (pmd && old_order != HPAGE_PMD_ORDER))
		return false;
	if (c->ends && new_order && new_order != old_order - 1)
		return false;
	return pmd || !c->pmd_only;
}

static unsigned int add_rows(const struct choice *c, struct thp_split_row *rows,
			     unsigned int n, unsigned int old_order,
			     unsigned int new_order, bool pmd)
{
	unsigned int i, nr = c->each ? c->nr_variants : 1;

	if (!is_chosen(c, old_order, new_order, pmd))
		return n;
	for (i = 0; i < nr && n < c->nr; i++, n++)
		fill_row(&rows[n], old_order, new_order, pmd,
			 &c->variants[n % c->nr_variants]);
	return n;
}

static int register_rows(struct kunit *test, const struct choice *c)
{
	struct thp_split_row *rows = kunit_kcalloc(test, c->nr, sizeof(*rows), GFP_KERNEL);
	unsigned int old_order, new_order, n = 0;

	KUNIT_ASSERT_NOT_NULL(test, rows);
	for (old_order = 2; old_order <= HPAGE_PMD_ORDER; old_order++) {
		for (new_order = 0; new_order < old_order; new_order++) {
			n = add_rows(c, rows, n, old_order, new_order, false);
			n = add_rows(c, rows, n, old_order, new_order, true);
		}
	}
	KUNIT_ASSERT_EQ(test, n, c->nr);
	kunit_register_params_array(test, rows, n, describe);
	return 0;
}

/* There are 28 pairs of orders below HPAGE_PMD_ORDER, and 8 from it, mapped either way. */
#define NR_PAIRS	(28 + 2 * 8)

/**
 * thp_split_rows_all() - parameters: all orders, all pages, all kinds of entries
 * @test: the parametrised test
 *
 * Return: 0
 */
int thp_split_rows_all(struct kunit *test)
{
	static const struct choice c = {
		.variants = all_variants,
		.nr_variants = ARRAY_SIZE(all_variants),
		.each = true,
		.nr = NR_PAIRS * ARRAY_SIZE(all_variants),
	};

	return register_rows(test, &c);
}

/**
 * thp_split_rows_each_order() - parameters: all orders, pages and kinds by turns
 * @test: the parametrised test
 *
 * Return: 0
 */
int thp_split_rows_each_order(struct kunit *test)
{
	static const struct choice c = {
		.variants = all_variants,
		.nr_variants = ARRAY_SIZE(all_variants),
		.nr = NR_PAIRS,
	};

	return register_rows(test, &c);
}

/**
 * thp_split_rows_few() - parameters: all old orders, to the lowest and the highest
 *	new one, pages and kinds by turns
 * @test: the parametrised test
 *
 * Return: 0
 */
int thp_split_rows_few(struct kunit *test)
{
	static const struct choice c = {
		.variants = all_variants,
		.nr_variants = ARRAY_SIZE(all_variants),
		.ends = true,
		.nr = 1 + 2 * 6 + 2 * 2,
	};

	return register_rows(test, &c);
}

/**
 * thp_split_rows_pmd() - parameters: mapped by a PMD, to the lowest and the highest
 *	new order
 * @test: the parametrised test
 *
 * Return: 0
 */
int thp_split_rows_pmd(struct kunit *test)
{
	static const struct choice c = {
		.variants = all_variants,
		.nr_variants = ARRAY_SIZE(all_variants),
		.ends = true,
		.pmd_only = true,
		.nr = 2,
	};

	return register_rows(test, &c);
}

/**
 * thp_split_rows_all_zaps() - parameters: all orders, each partly unmapped in each way
 * @test: the parametrised test
 *
 * Return: 0
 */
int thp_split_rows_all_zaps(struct kunit *test)
{
	static const struct choice c = {
		.variants = zap_variants,
		.nr_variants = ARRAY_SIZE(zap_variants),
		.each = true,
		.nr = NR_PAIRS * ARRAY_SIZE(zap_variants),
	};

	return register_rows(test, &c);
}

/**
 * thp_split_rows_each_zap() - parameters: all orders, partly unmapped, ways by turns
 * @test: the parametrised test
 *
 * Return: 0
 */
int thp_split_rows_each_zap(struct kunit *test)
{
	static const struct choice c = {
		.variants = zap_variants,
		.nr_variants = ARRAY_SIZE(zap_variants),
		.nr = NR_PAIRS,
	};

	return register_rows(test, &c);
}

/**
 * thp_split_rows_map() - make the folio of a row, and map it
 * @f: fixture; its @write and @exclusive are those of the row afterwards
 * @row: the row
 *
 * Context: the thread of the test, mmap lock not held.
 * Return: the folio, unlocked, with the references of its mappings.
 */
struct folio *thp_split_rows_map(struct thp_fixture *f, const struct thp_split_row *row)
{
	struct folio *folio;

	f->write = row->write;
	f->exclusive = row->exclusive;
	folio = thp_fixture_alloc(f, row->old_order);
	thp_fixture_insert(f, folio);
	if (!row->pmd)
		thp_fixture_split_pmd(f, false);
	return folio;
}

/**
 * thp_split_rows_want() - what the ledger must find of it, before the split
 * @f: fixture; thp_split_rows_map() has been called
 * @row: the row
 * @want: where to write
 */
void thp_split_rows_want(const struct thp_fixture *f, const struct thp_split_row *row,
			 struct thp_state *want)
{
	thp_want(f, want, row->old_order, row->pmd ? THP_PMD : THP_PTES);
	want->ev_split_pmd = row->pmd ? 0 : row->split_pmds;
}

/**
 * thp_split_rows_split() - split
 * @row: the row
 * @uniform: split_huge_page_to_order(), which leaves the folio of the page that
 *	is asked for locked; else folio_split(), which leaves that of the first
 *	page locked
 * @first: first page of the folio; the caller holds a reference and the lock
 * @list: for the parts, or NULL
 *
 * Return: what the function has returned.
 */
int thp_split_rows_split(const struct thp_split_row *row, bool uniform, struct page *first,
			 struct list_head *list)
{
	if (uniform)
		return split_huge_page_to_list_to_order(first + row->at, list,
							row->new_order);
	return folio_split(page_folio(first), row->new_order, first + row->at, list);
}

/**
 * thp_split_rows_parts() - what must come of it
 * @f: fixture; thp_split_rows_map() has been called
 * @row: the row
 * @uniform: as for thp_split_rows_split()
 *
 * Return: the parts.
 */
struct thp_split_parts *thp_split_rows_parts(struct thp_fixture *f,
					     const struct thp_split_row *row, bool uniform)
{
	struct thp_split_parts *parts;

	if (uniform)
		parts = thp_split_parts_uniform(f, row->old_order, row->new_order);
	else
		parts = thp_split_parts_non_uniform(f, row->old_order, row->new_order,
						    row->at);
	parts->lock_at = uniform ? row->at : 0;
	parts->split_pmds = row->split_pmds;
	return parts;
}
