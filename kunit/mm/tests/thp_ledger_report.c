// SPDX-License-Identifier: GPL-2.0-only
/*
 * Compares what the ledger has read with what a test expects, and prints the
 * table: before, expected, after.
 */
#include <linux/ctype.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/seq_buf.h>
#include <linux/string.h>

#include "thp_fixture.h"
#include "thp_known_bug.h"

/*
 * Each row is one record of the log. KUnit puts the name of the test in front
 * of it, so this is well below the limits of printk() and of KUnit's own log.
 */
#define ROW_SIZE	160
#define COLUMN		16

#undef MODULE_PARAM_PREFIX
#define MODULE_PARAM_PREFIX	"thp_ledger."
static bool verbose;
module_param(verbose, bool, 0444);
MODULE_PARM_DESC(verbose, "Print the table of every step, not only of wrong ones");
static unsigned int show;
module_param(show, uint, 0444);
MODULE_PARM_DESC(show, "Print what changes in so many steps of each case");

#define FIELD(_name, _group, _format)					\
	{								\
		.name = #_name,						\
		.offset = offsetof(struct thp_state, _name),		\
		.group = THP_GROUP_##_group,				\
		.format = THP_FORMAT_##_format,				\
	}

const struct thp_field thp_fields[] = {
	FIELD(order, FOLIO, DEC),
	FIELD(refcount, FOLIO, DEC),
	FIELD(mapcount, FOLIO, DEC),
	FIELD(entire, FOLIO, DEC),
	FIELD(nr_mapped, FOLIO, HEX),
	FIELD(mm_id[0], FOLIO, DEC),
	FIELD(mm_id[1], FOLIO, DEC),
	FIELD(mm_id_mapcount[0], FOLIO, DEC),
	FIELD(mm_id_mapcount[1], FOLIO, DEC),
	FIELD(mm_shared, FOLIO, DEC),
	FIELD(pincount, FOLIO, DEC),
	FIELD(nr_pages, FOLIO, DEC),
	FIELD(flags, FOLIO, FLAGS),
	FIELD(rmappable, FOLIO, DEC),
	FIELD(part_mapped, FOLIO, DEC),
	FIELD(hwpoisoned, FOLIO, DEC),
	FIELD(deferred, FOLIO, DEC),
	FIELD(pgmap, FOLIO, HEX),
	FIELD(zdd, FOLIO, HEX),
	FIELD(mapping, FOLIO, HEX),
	FIELD(index, FOLIO, HEX),
	FIELD(private, FOLIO, HEX),
	FIELD(memcg, FOLIO, HEX),
	FIELD(page_mapcount, FOLIO, DEC),
	FIELD(excl, FOLIO, DEC),
	FIELD(excl_head, FOLIO, DEC),
	FIELD(tails, FOLIO, DEC),
	FIELD(tail_refs, FOLIO, DEC),
	FIELD(tail_marks, FOLIO, DEC),
	FIELD(data, FOLIO, DEC),
	FIELD(pmd, LEAVES, KIND),
	FIELD(leaf, LEAVES, KIND),
	FIELD(leaves, LEAVES, DEC),
	FIELD(leaf_pfn, LEAVES, DEC),
	FIELD(leaf_write, LEAVES, DEC),
	FIELD(leaf_excl, LEAVES, DEC),
	FIELD(leaf_young, LEAVES, DEC),
	FIELD(leaf_dirty, LEAVES, DEC),
	FIELD(leaf_soft, LEAVES, DEC),
	FIELD(leaf_uffd, LEAVES, DEC),
	FIELD(pmd_leaves, TOTALS, DEC),
	FIELD(deposits, TOTALS, DEC),
	FIELD(rss, TOTALS, DEC),
	FIELD(anon_mapped, TOTALS, DEC),
	FIELD(anon_thps, TOTALS, DEC),
	FIELD(rss_shmem, TOTALS, DEC),
	FIELD(file_mapped, TOTALS, DEC),
	FIELD(shmem, TOTALS, DEC),
	FIELD(shmem_thps, TOTALS, DEC),
	FIELD(shmem_pmds, TOTALS, DEC),
	FIELD(nr_anon[0], TOTALS, DEC), FIELD(nr_anon[1], TOTALS, DEC),
	FIELD(nr_anon[2], TOTALS, DEC), FIELD(nr_anon[3], TOTALS, DEC),
	FIELD(nr_anon[4], TOTALS, DEC), FIELD(nr_anon[5], TOTALS, DEC),
	FIELD(nr_anon[6], TOTALS, DEC), FIELD(nr_anon[7], TOTALS, DEC),
	FIELD(nr_anon[8], TOTALS, DEC), FIELD(nr_anon[9], TOTALS, DEC),
	FIELD(nr_part[0], TOTALS, DEC), FIELD(nr_part[1], TOTALS, DEC),
	FIELD(nr_part[2], TOTALS, DEC), FIELD(nr_part[3], TOTALS, DEC),
	FIELD(nr_part[4], TOTALS, DEC), FIELD(nr_part[5], TOTALS, DEC),
	FIELD(nr_part[6], TOTALS, DEC), FIELD(nr_part[7], TOTALS, DEC),
	FIELD(nr_part[8], TOTALS, DEC), FIELD(nr_part[9], TOTALS, DEC),
	FIELD(split[0], TOTALS, DEC), FIELD(split[1], TOTALS, DEC),
	FIELD(split[2], TOTALS, DEC), FIELD(split[3], TOTALS, DEC),
	FIELD(split[4], TOTALS, DEC), FIELD(split[5], TOTALS, DEC),
	FIELD(split[6], TOTALS, DEC), FIELD(split[7], TOTALS, DEC),
	FIELD(split[8], TOTALS, DEC), FIELD(split[9], TOTALS, DEC),
	FIELD(split_failed[0], TOTALS, DEC), FIELD(split_failed[1], TOTALS, DEC),
	FIELD(split_failed[2], TOTALS, DEC), FIELD(split_failed[3], TOTALS, DEC),
	FIELD(split_failed[4], TOTALS, DEC), FIELD(split_failed[5], TOTALS, DEC),
	FIELD(split_failed[6], TOTALS, DEC), FIELD(split_failed[7], TOTALS, DEC),
	FIELD(split_failed[8], TOTALS, DEC), FIELD(split_failed[9], TOTALS, DEC),
	FIELD(split_deferred[0], TOTALS, DEC), FIELD(split_deferred[1], TOTALS, DEC),
	FIELD(split_deferred[2], TOTALS, DEC), FIELD(split_deferred[3], TOTALS, DEC),
	FIELD(split_deferred[4], TOTALS, DEC), FIELD(split_deferred[5], TOTALS, DEC),
	FIELD(split_deferred[6], TOTALS, DEC), FIELD(split_deferred[7], TOTALS, DEC),
	FIELD(split_deferred[8], TOTALS, DEC), FIELD(split_deferred[9], TOTALS, DEC),
	FIELD(ev_split_pmd, TOTALS, DEC),
	FIELD(ev_split_page, TOTALS, DEC),
	FIELD(ev_split_failed, TOTALS, DEC),
	FIELD(ev_deferred, TOTALS, DEC),
	FIELD(ev_fault_alloc, TOTALS, DEC),
	FIELD(pgmap_refs, TOTALS, DEC),
	FIELD(dev_free, TOTALS, DEC),
	FIELD(irqs_off, TOTALS, DEC),
	FIELD(preempt, TOTALS, HEX),
	FIELD(taint, TOTALS, HEX),
};

const unsigned int thp_nr_fields = ARRAY_SIZE(thp_fields);

static_assert(THP_NR_ORDERS == 10, "the orders are listed one by one");
static_assert(ARRAY_SIZE(thp_fields) * sizeof(s64) == sizeof(struct thp_state),
	      "every field of struct thp_state is compared");

static const char * const kind_names[] = {
	[THP_KIND_NONE]		= "none",
	[THP_KIND_TABLE]	= "table",
	[THP_KIND_PRESENT]	= "present",
	[THP_KIND_DEVICE]	= "device-private",
	[THP_KIND_MIGRATION]	= "migration",
	[THP_KIND_OTHER]	= "other",
};

/* Short enough for a column; the kernel's own names come with %pGp below. */
static const struct {
	unsigned int bit;
	const char *name;
} flag_names[] = {
	{ PG_locked, "lock" }, { PG_referenced, "ref" }, { PG_uptodate, "upt" },
	{ PG_dirty, "dir" }, { PG_lru, "lru" }, { PG_head, "head" },
	{ PG_waiters, "wait" }, { PG_active, "act" }, { PG_workingset, "wset" },
	{ PG_owner_priv_1, "swpc" }, { PG_private, "priv" }, { PG_private_2, "priv2" },
	{ PG_writeback, "wb" }, { PG_reclaim, "recl" }, { PG_swapbacked, "swpb" },
	{ PG_unevictable, "unev" }, { PG_mlocked, "mlock" },
};

static void format_flags(struct seq_buf *s, s64 value)
{
	const char *separator = "";
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flag_names); i++) {
		if (!(value & BIT(flag_names[i].bit)))
			continue;
		seq_buf_printf(s, "%s%s", separator, flag_names[i].name);
		separator = "|";
	}
	if (!*separator)
		seq_buf_puts(s, "-");
}

static void format_value(char *buf, size_t size, const struct thp_field *field, s64 value)
{
	struct seq_buf s;

	seq_buf_init(&s, buf, size);
	if (value == THP_NA)
		seq_buf_puts(&s, "n/a");
	else if (value == THP_MIXED)
		seq_buf_puts(&s, "mixed");
	else if (field->format == THP_FORMAT_FLAGS)
		format_flags(&s, value);
	else if (field->format == THP_FORMAT_HEX)
		seq_buf_printf(&s, "%#llx", value);
	else if (field->format == THP_FORMAT_KIND && value >= 0 &&
		 value < ARRAY_SIZE(kind_names))
		seq_buf_puts(&s, kind_names[value]);
	else
		seq_buf_printf(&s, "%lld", value);
	seq_buf_str(&s);
}

/*
 * A field that the kernel or the folio does not have can't be wrong: another
 * order, which would make it so, is a wrong field of its own.
 */
static bool is_wrong(const struct thp_field *field, const struct thp_state *want,
		     const struct thp_state *after)
{
	s64 value = thp_field_value(after, field);

	return value != THP_NA && value != thp_field_value(want, field);
}

static bool is_total(const struct thp_field *field)
{
	return field->group == THP_GROUP_TOTALS;
}

static unsigned int count_wrong(const struct thp_state *want, const struct thp_state *after,
				bool totals)
{
	unsigned int i, wrong = 0;

	for (i = 0; i < thp_nr_fields; i++)
		if (is_total(&thp_fields[i]) == totals)
			wrong += is_wrong(&thp_fields[i], want, after);
	return wrong;
}

/* Rows of the 50 counters by order that are 0 in all columns say nothing. */
static bool is_boring(const struct thp_field *field, const struct thp_state *before,
		      const struct thp_state *want, const struct thp_state *after)
{
	return is_total(field) && !thp_field_value(before, field) &&
	       !thp_field_value(want, field) && !thp_field_value(after, field);
}

static void print_row(struct kunit *test, const struct thp_field *field,
		      const struct thp_state *before, const struct thp_state *want,
		      const struct thp_state *after)
{
	const bool has_field = thp_field_value(after, field) != THP_NA;
	char column[3][ROW_SIZE / 2];

	format_value(column[0], sizeof(column[0]), field, thp_field_value(before, field));
	format_value(column[1], sizeof(column[1]), field,
		     has_field ? thp_field_value(want, field) : THP_NA);
	format_value(column[2], sizeof(column[2]), field, thp_field_value(after, field));
	kunit_info(test, "%-19s %*s %*s %*s%s\n", field->name, COLUMN, column[0],
		   COLUMN, column[1], COLUMN, column[2],
		   is_wrong(field, want, after) ? " <-- wrong" : "");
}

static void print_table(struct kunit *test, const struct thp_state *before,
			const struct thp_state *want, const struct thp_state *after)
{
	unsigned int i;

	kunit_info(test, "%-19s %*s %*s %*s\n", "field", COLUMN, "before",
		   COLUMN, "expected", COLUMN, "after");
	for (i = 0; i < thp_nr_fields; i++)
		if (!is_boring(&thp_fields[i], before, want, after))
			print_row(test, &thp_fields[i], before, want, after);
}

/* What every step is asked for first, changed or not */
static bool is_key(const struct thp_field *field)
{
	return field->offset == offsetof(struct thp_state, order) ||
	       field->offset == offsetof(struct thp_state, refcount) ||
	       field->offset == offsetof(struct thp_state, mapcount);
}

/* "part 7 of 512" after "part 6 of 512" */
static bool differs_in_numbers_only(const char *a, const char *b)
{
	for (;; a++, b++) {
		while (isdigit(*a))
			a++;
		while (isdigit(*b))
			b++;
		if (*a != *b)
			return false;
		if (!*a)
			return true;
	}
}

/* With thp_ledger.show: the table of a right step without what stays as it is */
static void show_changes(struct thp_fixture *f, const struct thp_state *before,
			 const struct thp_state *after, const char *step)
{
	unsigned int i;

	if (f->nr_shown >= show || differs_in_numbers_only(f->shown_step, step))
		return;
	f->nr_shown++;
	strscpy(f->shown_step, step);
	kunit_info(f->test, "ledger: %s\n", step);
	for (i = 0; i < thp_nr_fields; i++)
		if (is_key(&thp_fields[i]) || thp_field_value(before, &thp_fields[i]) !=
					      thp_field_value(after, &thp_fields[i]))
			print_row(f->test, &thp_fields[i], before, after, after);
}

static const struct thp_field *first_wrong(const struct thp_state *want,
					   const struct thp_state *after)
{
	unsigned int i;

	for (i = 0; i < thp_nr_fields; i++)
		if (is_wrong(&thp_fields[i], want, after))
			return &thp_fields[i];
	return NULL;
}

/* The first tail page that is not like those around it, or the head */
static struct page *odd_page(struct folio *folio, const struct thp_state *want)
{
	const bool all_exclusive = want->excl > 1;
	unsigned long i, nr = folio_nr_pages(folio);

	for (i = 1; i < nr; i++) {
		struct page *page = &folio->page + i;

		if (!PageTail(page) || page_folio(page) != folio || page_ref_count(page) ||
		    atomic_read(&page->_mapcount) != want->page_mapcount ||
		    test_bit(PG_anon_exclusive, &page->flags.f) != all_exclusive)
			return page;
	}
	return &folio->page;
}

/* struct page word by word, as mm_types.h has it, like dump_page() but one line */
static void print_page(struct kunit *test, struct folio *folio, struct page *page)
{
	const unsigned long *word = (const unsigned long *)page;

	kunit_info(test, "page %lu of the folio, pfn %#lx: %pGp\n",
		   page_to_pfn(page) - page_to_pfn(&folio->page), page_to_pfn(page),
		   &page->flags);
	kunit_info(test, "words: %016lx %016lx %016lx %016lx\n",
		   word[0], word[1], word[2], word[3]);
	kunit_info(test, "       %016lx %016lx %016lx %016lx\n",
		   word[4], word[5], word[6],
		   sizeof(*page) > 7 * sizeof(long) ? word[7] : 0);
}

/**
 * thp_ledger_compare() - compare two states field by field, report if they differ
 * @f: fixture
 * @before: the state before the step, for the table
 * @want: what the state must be
 * @after: what it is
 * @step: name of the step
 *
 * Fails the test, once, if any field is wrong. The table is printed then, or
 * always with thp_ledger.verbose=1. With thp_ledger.show=N, the first N steps of
 * a case print what changes in them.
 *
 * Return: number of wrong fields.
 */
unsigned int thp_ledger_compare(struct thp_fixture *f, const struct thp_state *before,
				const struct thp_state *want,
				const struct thp_state *after, const char *step)
{
	unsigned int wrong = count_wrong(want, after, false) +
			     count_wrong(want, after, true);
	const struct thp_field *field = first_wrong(want, after);
	char is[ROW_SIZE / 2], expected[ROW_SIZE / 2];

	if (!wrong && !verbose) {
		show_changes(f, before, after, step);
		return 0;
	}
	kunit_info(f->test, "ledger: %s\n", step);
	print_table(f->test, before, want, after);
	if (!wrong)
		return 0;
	format_value(is, sizeof(is), field, thp_field_value(after, field));
	format_value(expected, sizeof(expected), field, thp_field_value(want, field));
	KUNIT_FAIL(f->test, "%s: %u field%s wrong, see the table above; %s is %s, expected %s",
		   step, wrong, wrong > 1 ? "s" : "", field->name, is, expected);
	return wrong;
}

/**
 * thp_ledger_expect() - check a folio, its place and all counters
 * @f: fixture
 * @folio: the folio under test
 * @want: what must be found
 * @step: name of the step, for the report
 *
 * Reads the state, compares it with @want, checks the invariants, and keeps
 * what it has read as the "before" of the next call.
 *
 * Context: process context, nobody else uses the mm or the folio.
 */
void thp_ledger_expect(struct thp_fixture *f, struct folio *folio,
		       const struct thp_state *want, const char *step)
{
	thp_ledger_capture(f, folio, &f->after);
	if (thp_ledger_compare(f, &f->before, want, &f->after, step))
		print_page(f->test, folio, odd_page(folio, want));
	f->before = f->after;
	thp_ledger_check_invariants(f, step);
}

/**
 * thp_ledger_matches() - compare without a word
 * @f: fixture
 * @folio: the folio under test
 * @want: what may be found
 *
 * Context: process context, nobody else uses the mm or the folio.
 * Return: whether thp_ledger_expect() would find every field right.
 */
bool thp_ledger_matches(struct thp_fixture *f, struct folio *folio,
			const struct thp_state *want)
{
	thp_ledger_capture(f, folio, &f->after);
	return !count_wrong(want, &f->after, false) && !count_wrong(want, &f->after, true);
}

/**
 * thp_ledger_expect_known_bug() - check a state that a known bug makes wrong
 * @f: fixture
 * @folio: the folio under test
 * @right: what has to be found
 * @bug: what a kernel with the bug makes of it
 * @id: name of the bug in the table of known bugs
 * @step: name of the step, for the report
 *
 * As thp_ledger_expect(), but either is good, and the log says which it was.
 * The invariants are checked only if the state is right.
 *
 * Context: process context, nobody else uses the mm or the folio.
 */
void thp_ledger_expect_known_bug(struct thp_fixture *f, struct folio *folio,
				 const struct thp_state *right,
				 const struct thp_state *bug, const char *id,
				 const char *step)
{
	if (thp_ledger_matches(f, folio, right)) {
		thp_known_bug_fixed(f->test, id, step);
		thp_ledger_expect(f, folio, right, step);
		return;
	}
	if (!thp_ledger_compare(f, &f->before, bug, &f->after, step))
		thp_known_bug_present(f->test, id, step);
	f->before = f->after;
}

/* What the @i-th folio of a row differs in from the first one */
static void advance_want(struct thp_state *want, unsigned int i)
{
	unsigned long nr = (unsigned long)i << want->order;

	want->index += nr;
	if (want->zdd)
		want->zdd += nr << PAGE_SHIFT;
	if (want->flags & BIT(PG_swapcache))
		want->private += nr;
}

/**
 * thp_ledger_expect_each() - check a row of folios of one order
 * @f: fixture
 * @first: first page of the first folio
 * @nr_folios: number of folios, each of the order of @want
 * @want: what must be found of the first; the others differ in index,
 *	zone_device_data and swap entry, which advance
 * @step: name of the step, for the report
 *
 * As thp_ledger_expect(). If some are wrong, the table is that of the first
 * wrong one, and the message says how many there are.
 */
void thp_ledger_expect_each(struct thp_fixture *f, struct page *first,
			    unsigned int nr_folios, const struct thp_state *want,
			    const char *step)
{
	struct folio *shown = (struct folio *)first;
	unsigned int i, wrong_folios = 0;
	char row[ROW_SIZE];

	thp_ledger_capture(f, shown, &f->after);
	f->shown = *want;
	for (i = 0; i < nr_folios; i++) {
		struct folio *folio = (struct folio *)(first + ((unsigned long)i << want->order));

		f->expected = *want;
		advance_want(&f->expected, i);
		/* Once one is wrong, only count. */
		if (wrong_folios) {
			struct thp_state *after = &f->scratch;

			thp_ledger_capture_folio(f, folio, after);
			thp_ledger_capture_leaves(f, folio, after);
			wrong_folios += !!count_wrong(&f->expected, after, false);
			continue;
		}
		thp_ledger_capture_folio(f, folio, &f->after);
		thp_ledger_capture_leaves(f, folio, &f->after);
		if (!count_wrong(&f->expected, &f->after, false))
			continue;
		wrong_folios = 1;
		shown = folio;
		f->shown = f->expected;
	}
	if (!wrong_folios) {
		thp_ledger_capture_folio(f, shown, &f->after);
		thp_ledger_capture_leaves(f, shown, &f->after);
	}
	snprintf(row, sizeof(row), "%s: folio %lu of %u, %u wrong", step,
		 (page_to_pfn(&shown->page) - page_to_pfn(first)) >> want->order,
		 nr_folios, wrong_folios);
	if (thp_ledger_compare(f, &f->before, &f->shown, &f->after, row))
		print_page(f->test, shown, odd_page(shown, &f->shown));
	f->before = f->after;
	thp_ledger_check_invariants(f, step);
}
