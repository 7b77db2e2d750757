// SPDX-License-Identifier: GPL-2.0-only
/*
 * Prints a sequence as a KUnit case: to be pasted into
 * device_private_thp_random_kunit.c, beside those that are there.
 */
#include "fake_zone_device_migrate.h"
#include "thp_random.h"

static const char *const op_names[THP_NR_OPS] = {
	[THP_OP_WRITE]		= "WRITE",
	[THP_OP_READ]		= "READ",
	[THP_OP_RAM_TO_DEVICE]	= "RAM_TO_DEVICE",
	[THP_OP_RAM_TO_PEER]	= "RAM_TO_PEER",
	[THP_OP_DEVICE_TO_RAM]	= "DEVICE_TO_RAM",
	[THP_OP_PEER_TO_RAM]	= "PEER_TO_RAM",
	[THP_OP_DEVICE_TO_PEER]	= "DEVICE_TO_PEER",
	[THP_OP_PEER_TO_DEVICE]	= "PEER_TO_DEVICE",
	[THP_OP_EVICT_DEVICE]	= "EVICT_DEVICE",
	[THP_OP_EVICT_PEER]	= "EVICT_PEER",
	[THP_OP_SPLIT_FOLIO]	= "SPLIT_FOLIO",
	[THP_OP_SPLIT_PMD]	= "SPLIT_PMD",
	[THP_OP_FORK]		= "FORK",
	[THP_OP_EXIT]		= "EXIT",
	[THP_OP_DONTNEED]	= "DONTNEED",
	[THP_OP_MUNMAP]		= "MUNMAP",
	[THP_OP_MMAP]		= "MMAP",
	[THP_OP_PROTECT]	= "PROTECT",
	[THP_OP_UNPROTECT]	= "UNPROTECT",
	[THP_OP_MREMAP]		= "MREMAP",
};

static const char *const policy_names[] = {
	[FAKE_ZDEV_DST_AS_SOURCE]	= "AS_SOURCE",
	[FAKE_ZDEV_DST_AS_SOURCE_ONLY]	= "AS_SOURCE_ONLY",
	[FAKE_ZDEV_DST_ALL_SMALL]	= "ALL_SMALL",
	[FAKE_ZDEV_DST_FIRST_SMALL]	= "FIRST_SMALL",
	[FAKE_ZDEV_DST_SOME_MISSING]	= "SOME_MISSING",
	[FAKE_ZDEV_DST_NONE]		= "NONE",
};

static const char *const point_names[FAKE_ZDEV_NR_POINTS] = {
	[FAKE_ZDEV_POINT_ALLOC]			= "ALLOC",
	[FAKE_ZDEV_POINT_ALLOC_LARGE]		= "ALLOC_LARGE",
	[FAKE_ZDEV_POINT_COPY]			= "COPY",
	[FAKE_ZDEV_POINT_LOCK]			= "LOCK",
	[FAKE_ZDEV_POINT_PIN]			= "PIN",
	[FAKE_ZDEV_POINT_RAM_ALLOC]		= "RAM_ALLOC",
	[FAKE_ZDEV_POINT_RAM_ALLOC_LARGE]	= "RAM_ALLOC_LARGE",
};

/* Only what the operation looks at */
static void print_step(struct kunit *test, const struct thp_step *step)
{
	char more[96] = "", fails[96] = "";

	switch (step->op) {
	case THP_OP_RAM_TO_DEVICE:
	case THP_OP_RAM_TO_PEER:
	case THP_OP_DEVICE_TO_RAM:
	case THP_OP_PEER_TO_RAM:
	case THP_OP_DEVICE_TO_PEER:
	case THP_OP_PEER_TO_DEVICE:
		snprintf(more, sizeof(more), ", .policy = FAKE_ZDEV_DST_%s",
			 policy_names[step->policy]);
		break;
	case THP_OP_SPLIT_FOLIO:
		snprintf(more, sizeof(more), ", .order = %u", step->order);
		break;
	case THP_OP_MREMAP:
		snprintf(more, sizeof(more), ", .to = %u", step->to);
		break;
	default:
		break;
	}
	if (step->fail)
		snprintf(fails, sizeof(fails), ", .fail = 1 + FAKE_ZDEV_POINT_%s, .nth = %u",
			 point_names[step->fail - 1], step->nth);
	kunit_log(KERN_INFO, test,
		  "\t\t{ .op = THP_OP_%s, .mm = %u, .first = %u, .nr = %u%s%s },",
		  op_names[step->op], step->mm, step->first, step->nr, more, fails);
}

/**
 * thp_sequence_print() - print a sequence as the source of a KUnit case
 * @test: the test
 * @seq: sequence
 * @seed: the seed that it came from
 * @why: what goes wrong
 */
void thp_sequence_print(struct kunit *test, const struct thp_sequence *seq, u64 seed,
			const char *why)
{
	unsigned int i;

	kunit_log(KERN_INFO, test, "/* Test that this does not happen: %s */", why);
	kunit_log(KERN_INFO, test, "static void random_%llx_is_as_modelled(struct kunit *test)",
		  seed);
	kunit_log(KERN_INFO, test, "{");
	kunit_log(KERN_INFO, test, "\tstatic const struct thp_step steps[] = {");
	for (i = 0; i < seq->nr; i++)
		print_step(test, &seq->steps[i]);
	kunit_log(KERN_INFO, test, "\t};");
	kunit_log(KERN_INFO, test, " ");
	kunit_log(KERN_INFO, test, "\texpect_as_modelled(test, steps, ARRAY_SIZE(steps));");
	kunit_log(KERN_INFO, test, "}");
}
