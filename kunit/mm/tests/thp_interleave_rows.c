// SPDX-License-Identifier: GPL-2.0-only
/*
 * The matrix of phase interleaving: all combinations, and why some of them are
 * no cases.
 */
#include <linux/kernel.h>

#include "thp_interleave.h"

/*
 * How many combinations there are no cases of, by reason, and of which there
 * are: the suite counts them.
 *
 * ILEAVE_NO_SOURCE: migrate_device_range() takes memory of a device, so it
 *	can't be what migrates to the device.
 * ILEAVE_NO_TARGET: there is no child, or the operation has no child's variant:
 *	references and evictions belong to no mm, the fixture forks its own mm,
 *	and does not exit; migrate_vma_setup() on the mm that maps nothing does
 *	nothing. A source that only a child maps is there for its exit.
 * ILEAVE_NO_POINT: this way of migrating does not come by that point with this
 *	source: migrate_vma_setup() takes what it finds without try_to_migrate(),
 *	migrate_device_range() looks at no page table, and only small destinations
 *	for a PMD make migrate_vma_pages() split it.
 * ILEAVE_NO_PMD: no PMD to split.
 * ILEAVE_MMAP_LOCK: the operation takes the mmap lock for writing, which the
 *	driver holds for reading: it waits until after migrate_vma_finalize().
 * ILEAVE_RMAP_LOCK: the operation changes VMAs, for which it takes the lock of
 *	the anon_vma for writing, which try_to_migrate() holds for reading.
 * ILEAVE_BLOCKS: the fault meets a migration entry, or a locked folio that is
 *	mapped by PTEs, and sleeps until finalize (migration_entry_wait(),
 *	softleaf_entry_wait_on_locked()); so does migrate_vma_split_folio().
 * ILEAVE_FORK_SMALL: a PMD-mapped folio that is shared with a child, and small
 *	destinations: migrate_vma_finalize() crashes with any operation, and
 *	without; this is a case of device_private_thp_migrate.
 * ILEAVE_BUG_H1: zapping a PMD migration entry for device-private memory frees
 *	the folio under the migration: no kernel with the bug survives these.
 *	zap_of_migrating_device_pmd_is_exact shows it. They become cases when the
 *	last supported kernel has the fix.
 */
const unsigned int ileave_reason_counts[ILEAVE_NR_REASONS] = {
	[ILEAVE_RUN]		= 2427,
	[ILEAVE_NO_SOURCE]	= 2880,
	[ILEAVE_NO_TARGET]	= 7752,
	[ILEAVE_NO_POINT]	= 2246,
	[ILEAVE_NO_PMD]		= 116,
	[ILEAVE_FORK_SMALL]	= 489,
	[ILEAVE_MMAP_LOCK]	= 696,
	[ILEAVE_RMAP_LOCK]	= 128,
	[ILEAVE_BLOCKS]		= 354,
	[ILEAVE_BUG_H1]		= 192,
};

static bool zaps_all(enum ileave_op op)
{
	return op == ILEAVE_DONTNEED_WHOLE || op == ILEAVE_REFAULT ||
	       op == ILEAVE_MUNMAP_WHOLE || op == ILEAVE_EXIT;
}

static bool is_fault(enum ileave_op op)
{
	return op == ILEAVE_FAULT_READ || op == ILEAVE_FAULT_WRITE;
}

static bool by_pmd(const struct ileave_row *row)
{
	return row->shape == ILEAVE_PMD || row->shape == ILEAVE_PMD_SMALL;
}

/* Everything is locked and unmapped. */
static bool is_under_way(const struct ileave_row *row)
{
	return row->point >= ILEAVE_IN_SPLIT;
}

static bool has_target(const struct ileave_row *row)
{
	if (row->share == ILEAVE_CHILD)
		return row->way == ILEAVE_RANGE && row->target == ILEAVE_OTHER &&
		       row->op == ILEAVE_EXIT;
	if (row->target == ILEAVE_PARENT)
		return row->op != ILEAVE_EXIT;
	return row->share == ILEAVE_SHARED && row->op != ILEAVE_PIN &&
	       row->op != ILEAVE_EVICT && row->op != ILEAVE_FORK;
}

static bool has_point(const struct ileave_row *row)
{
	switch (row->point) {
	case ILEAVE_IN_COLLECT:
		return row->way == ILEAVE_VMA;
	case ILEAVE_IN_UNMAP:
		return row->way == ILEAVE_RANGE && row->target == ILEAVE_PARENT;
	case ILEAVE_IN_SPLIT:
		return row->way == ILEAVE_VMA && row->shape == ILEAVE_PMD_SMALL &&
		       row->target == ILEAVE_PARENT;
	default:
		return true;
	}
}

static bool blocks(const struct ileave_row *row)
{
	if (row->point == ILEAVE_IN_UNMAP && !by_pmd(row))
		return is_fault(row->op) || row->op == ILEAVE_SETUP_AGAIN;
	return is_under_way(row) && is_fault(row->op);
}

/* The PMD migration entry of the target is still there, and is zapped as one. */
static bool is_h1(const struct ileave_row *row)
{
	if (!by_pmd(row) || row->route == ILEAVE_TO_DEVICE || !zaps_all(row->op))
		return false;
	if (row->point == ILEAVE_PAGES && row->shape == ILEAVE_PMD_SMALL &&
	    row->way == ILEAVE_VMA)
		return false;
	return is_under_way(row);
}

/**
 * ileave_reason_of() - whether a combination is a case
 * @row: the combination
 *
 * Return: ILEAVE_RUN, or the first of the reasons why not.
 */
enum ileave_reason ileave_reason_of(const struct ileave_row *row)
{
	if (row->way == ILEAVE_RANGE && row->route == ILEAVE_TO_DEVICE)
		return ILEAVE_NO_SOURCE;
	if (!has_target(row))
		return ILEAVE_NO_TARGET;
	if (!has_point(row))
		return ILEAVE_NO_POINT;
	if (row->op == ILEAVE_SPLIT_PMD && !by_pmd(row))
		return ILEAVE_NO_PMD;
	if (row->way == ILEAVE_VMA && row->shape == ILEAVE_PMD_SMALL &&
	    row->share == ILEAVE_SHARED)
		return ILEAVE_FORK_SMALL;
	if (row->way == ILEAVE_VMA && row->target == ILEAVE_PARENT &&
	    row->op >= ILEAVE_FIRST_WRITER)
		return ILEAVE_MMAP_LOCK;
	if (row->point == ILEAVE_IN_UNMAP && row->op >= ILEAVE_FIRST_WRITER)
		return ILEAVE_RMAP_LOCK;
	if (blocks(row))
		return ILEAVE_BLOCKS;
	if (is_h1(row))
		return ILEAVE_BUG_H1;
	return ILEAVE_RUN;
}

/**
 * ileave_shows_lb5() - whether a case meets the reference leak LB5
 * @row: the case
 *
 * The PMD migration entry is gone when migrate_vma_split_unmapped_folio() looks
 * for it.
 *
 * Return: whether it does.
 */
bool ileave_shows_lb5(const struct ileave_row *row)
{
	if (row->way != ILEAVE_VMA || row->shape != ILEAVE_PMD_SMALL ||
	    !(row->point == ILEAVE_IN_SPLIT || row->point == ILEAVE_SETUP ||
	      row->point == ILEAVE_COPY))
		return false;
	return row->op == ILEAVE_DONTNEED_WHOLE || row->op == ILEAVE_DONTNEED_HALF ||
	       row->op == ILEAVE_DONTNEED_PAGE || row->op == ILEAVE_REFAULT ||
	       row->op == ILEAVE_SPLIT_PMD;
}

/* mTHPs take turns: there is one for each combination of the rest. */
static unsigned int order_of(const struct ileave_row *row, unsigned int *mthps)
{
	if (row->shape != ILEAVE_MTHP)
		return HPAGE_PMD_ORDER;
	return 2 + (*mthps)++ % (HPAGE_PMD_ORDER - 2);
}

/**
 * ileave_for_each() - visit all combinations
 * @fn: called with each, with the reason why it is no case, and with @arg
 * @arg: for @fn
 *
 * Return: number of combinations.
 */
unsigned int ileave_for_each(void (*fn)(const struct ileave_row *row,
					enum ileave_reason reason, void *arg), void *arg)
{
	static const u8 base[] = {
		ILEAVE_NR_WAYS, ILEAVE_NR_ROUTES, ILEAVE_NR_SHAPES, ILEAVE_NR_SHARES,
		ILEAVE_NR_POINTS, ILEAVE_NR_OPS, ILEAVE_NR_TARGETS,
	};
	unsigned int total = 1, mthps = 0, n, i;

	for (i = 0; i < ARRAY_SIZE(base); i++)
		total *= base[i];
	for (n = 0; n < total; n++) {
		u8 digit[ARRAY_SIZE(base)];
		unsigned int rest = n;
		enum ileave_reason reason;
		struct ileave_row row;

		for (i = ARRAY_SIZE(base); i--; rest /= base[i])
			digit[i] = rest % base[i];
		row = (struct ileave_row) {
			.way = digit[0], .route = digit[1], .shape = digit[2],
			.share = digit[3], .point = digit[4], .op = digit[5],
			.target = digit[6],
		};
		reason = ileave_reason_of(&row);
		if (reason == ILEAVE_RUN)
			row.order = order_of(&row, &mthps);
		fn(&row, reason, arg);
	}
	return total;
}

struct collection {
	const struct ileave_choice *choice;
	struct ileave_row *rows;
	unsigned int nr, size;
};

/*
 * The default run has all of a private PMD, what a private folio that PTEs map
 * meets as migration entries, and every tenth of the rest: which tenth depends on
 * everything, so that each two of the dimensions meet in all ways.
 */
static bool is_slow(const struct ileave_row *row)
{
	if (row->share == ILEAVE_PRIVATE && (by_pmd(row) || row->point == ILEAVE_SETUP))
		return false;
	return (row->op + row->point + row->route + row->shape + row->share +
		row->target + row->way) % 10;
}

static void collect(const struct ileave_row *row, enum ileave_reason reason, void *arg)
{
	struct collection *c = arg;

	if (reason != ILEAVE_RUN || row->way != c->choice->way ||
	    is_slow(row) != c->choice->slow)
		return;
	if (c->nr < c->size)
		c->rows[c->nr] = *row;
	c->nr++;
}

/**
 * ileave_collect() - the cases of one test
 * @choice: which
 * @rows: where to write them
 * @size: size of @rows
 *
 * Return: number of cases, even if it is more than @size.
 */
unsigned int ileave_collect(const struct ileave_choice *choice, struct ileave_row *rows,
			    unsigned int size)
{
	struct collection c = { .choice = choice, .rows = rows, .size = size };

	ileave_for_each(collect, &c);
	return c.nr;
}

static const char * const route_names[] = { "to_device", "to_ram", "to_peer" };
static const char * const shape_names[] = { "pmd", "pmd_small", "ptes", "order" };
static const char * const share_names[] = { "", "_shared", "_child_only" };
static const char * const point_names[] = { "in_collect", "in_unmap", "in_split",
					    "setup", "copy", "pages" };
static const char * const op_names[] = {
	"dontneed_whole", "dontneed_half", "dontneed_page", "refault", "split_pmd",
	"pin", "gup", "setup_again", "evict", "fault_read", "fault_write",
	"munmap_whole", "munmap_half", "munmap_page", "mprotect_ro", "mprotect_back",
	"mremap", "mremap_unaligned", "fork", "exit",
};

static_assert(ARRAY_SIZE(route_names) == ILEAVE_NR_ROUTES);
static_assert(ARRAY_SIZE(shape_names) == ILEAVE_NR_SHAPES);
static_assert(ARRAY_SIZE(share_names) == ILEAVE_NR_SHARES);
static_assert(ARRAY_SIZE(point_names) == ILEAVE_NR_POINTS);
static_assert(ARRAY_SIZE(op_names) == ILEAVE_NR_OPS);

/**
 * ileave_describe() - name of a case
 * @row: the case
 * @desc: where to write it
 * @size: size of @desc
 */
void ileave_describe(const struct ileave_row *row, char *desc, size_t size)
{
	char order[4] = "";

	if (row->shape == ILEAVE_MTHP)
		snprintf(order, sizeof(order), "%u", row->order);
	snprintf(desc, size, "%s_%s%s_%s_%s%s%s", point_names[row->point],
		 row->target == ILEAVE_OTHER ? "child_" : "", op_names[row->op],
		 route_names[row->route], shape_names[row->shape], order,
		 share_names[row->share]);
}
