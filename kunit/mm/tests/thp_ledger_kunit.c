// SPDX-License-Identifier: GPL-2.0-only
/*
 * Does the ledger notice? Everything that the other suites show rests on it: on
 * each field being compared, and on a report that says what is wrong.
 */
#include <kunit/test.h>
#include <linux/mm.h>

#include "../../lib/kunit/string-stream.h"
#include "thp_fixture.h"

/* Columns of a line of a mail, and of what KUnit puts in front of a line */
#define MAIL_COLUMNS	80
#define REPORT_PREFIX	"    # report: "

/**
 * struct ledger_param - one folio
 * @order: its order
 * @where: what maps it
 */
struct ledger_param {
	unsigned int order;
	enum thp_where where;
};

static const struct ledger_param ledger_params[] = {
	{ 0, THP_PTES },
	{ 2, THP_PTES },
	{ 3, THP_PTES },
	{ 4, THP_PTES },
	{ 5, THP_PTES },
	{ 6, THP_PTES },
	{ 7, THP_PTES },
	{ 8, THP_PTES },
	{ 9, THP_PMD },
};

static void ledger_desc(struct kunit *test, const void *param, char *desc)
{
	const struct ledger_param *p = param;

	snprintf(desc, KUNIT_PARAM_DESC_SIZE, "order%u", p->order);
}

static int ledger_params_init(struct kunit *test)
{
	kunit_register_params_array(test, ledger_params, ARRAY_SIZE(ledger_params), ledger_desc);
	return 0;
}

static struct folio *make_folio(struct thp_fixture *f, unsigned int order)
{
	struct folio *folio = thp_fixture_alloc(f, order);

	thp_fixture_insert(f, folio);
	return folio;
}

static s64 *field_of(struct thp_state *state, const struct thp_field *field)
{
	return (s64 *)((char *)state + field->offset);
}

/* Test that the ledger takes no field for granted that the folio has. */
static void field_that_differs_is_wrong(struct kunit *test)
{
	const struct ledger_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_folio(f, p->order);
	struct thp_state want;
	unsigned int i, nr = 0;

	thp_want(f, &want, p->order, p->where);
	KUNIT_ASSERT_TRUE(test, thp_ledger_matches(f, folio, &want));
	for (i = 0; i < thp_nr_fields; i++) {
		s64 *value = field_of(&want, &thp_fields[i]);
		s64 right = *value;

		if (thp_field_value(&f->after, &thp_fields[i]) == THP_NA)
			continue;
		nr++;
		*value = right + 1;
		KUNIT_EXPECT_FALSE_MSG(test, thp_ledger_matches(f, folio, &want),
				       "%s is not compared", thp_fields[i].name);
		*value = right;
	}
	KUNIT_EXPECT_EQ(test, thp_nr_fields, sizeof(struct thp_state) / sizeof(s64));
	KUNIT_EXPECT_GT(test, nr, thp_nr_fields / 2);
	KUNIT_EXPECT_TRUE(test, thp_ledger_matches(f, folio, &want));
}

/* Longest line of @report without what KUnit puts in front, and all of it but that */
static unsigned int longest_line(char *report)
{
	unsigned int longest = 0;
	char *line;

	while ((line = strsep(&report, "\n")))
		if (strstarts(line, REPORT_PREFIX))
			longest = max_t(unsigned int, longest,
					strlen(line) - strlen(REPORT_PREFIX));
	return longest;
}

/*
 * Test that a wrong refcount fails the test it is in, and that the report has
 * the step, the field, what was before, what is and what had to be, in lines
 * that survive a mail.
 */
static void wrong_refcount_is_reported(struct kunit *test)
{
	const struct ledger_param *p = test->param_value;
	struct thp_fixture *f = test->priv;
	struct folio *folio = make_folio(f, p->order);
	struct string_stream *log = kunit_alloc_string_stream(test, GFP_KERNEL);
	struct thp_state want;
	char row[MAIL_COLUMNS + 1];
	struct kunit reported;
	unsigned int wrong;
	char *report;

	KUNIT_ASSERT_NOT_ERR_OR_NULL(test, log);
	string_stream_set_append_newlines(log, true);
	thp_want(f, &want, p->order, p->where);
	KUNIT_ASSERT_TRUE(test, thp_ledger_matches(f, folio, &want));
	f->before = f->after;
	f->before.refcount = 3;
	want.refcount = f->after.refcount + 1;

	kunit_init_test(&reported, "report", log);
	f->test = &reported;
	wrong = thp_ledger_compare(f, &f->before, &want, &f->after, "pinned");
	f->test = test;

	KUNIT_EXPECT_EQ(test, wrong, 1);
	KUNIT_EXPECT_EQ(test, reported.status, KUNIT_FAILURE);
	report = string_stream_get_string(log);
	KUNIT_ASSERT_NOT_NULL(test, report);
	KUNIT_EXPECT_NOT_NULL(test, strstr(report, "ledger: pinned"));
	snprintf(row, sizeof(row), "%-19s %16d %16lld %16lld <-- wrong", "refcount", 3,
		 want.refcount, f->after.refcount);
	KUNIT_EXPECT_NOT_NULL_MSG(test, strstr(report, row), "no row `%s' in %s", row, report);
	KUNIT_EXPECT_LE(test, longest_line(report), MAIL_COLUMNS);
	kfree(report);
}

static struct kunit_case ledger_cases[] = {
	KUNIT_CASE_PARAM_WITH_INIT(field_that_differs_is_wrong, kunit_array_gen_params,
				   ledger_params_init, NULL),
	KUNIT_CASE_PARAM_WITH_INIT(wrong_refcount_is_reported, kunit_array_gen_params,
				   ledger_params_init, NULL),
	{}
};

static struct kunit_suite ledger_suite = {
	.name = "thp_ledger",
	.init = thp_fixture_init,
	.exit = thp_fixture_exit,
	.test_cases = ledger_cases,
};

kunit_test_suite(ledger_suite);
