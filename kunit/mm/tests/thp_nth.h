/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations on a range of pages, for suites that let them fail at each point in
 * turn: put the pages where they come from, do it, see where each of them is.
 */
#ifndef _THP_NTH_H
#define _THP_NTH_H

#include "fake_zone_device_migrate.h"
#include "thp_fixture.h"

/* Pages of a range that is not one large folio */
#define THP_NTH_NR_SMALL	16

/**
 * enum thp_nth_op - what is done to the pages
 * @THP_NTH_TO_DEVICE: migrate from system memory to the device
 * @THP_NTH_HOLE: migrate memory that nobody has touched to the device
 * @THP_NTH_TO_RAM: the driver migrates from the device to system memory
 * @THP_NTH_TO_PEER: migrate from the device to its peer
 * @THP_NTH_FAULT: the CPU reads each page, which is on the device, once
 * @THP_NTH_EVICT: the driver gets rid of its pages, whoever has them
 */
enum thp_nth_op {
	THP_NTH_TO_DEVICE,
	THP_NTH_HOLE,
	THP_NTH_TO_RAM,
	THP_NTH_TO_PEER,
	THP_NTH_FAULT,
	THP_NTH_EVICT,
};

/**
 * enum thp_nth_place - where a page is
 * @THP_NTH_NOWHERE: not mapped
 * @THP_NTH_IN_RAM: in system memory
 * @THP_NTH_ON_DEVICE: on the device of the fixture
 * @THP_NTH_ON_PEER: on its peer
 */
enum thp_nth_place {
	THP_NTH_NOWHERE,
	THP_NTH_IN_RAM,
	THP_NTH_ON_DEVICE,
	THP_NTH_ON_PEER,
};

/**
 * struct thp_nth_survey - pages of the range that are not as they should be
 * @nowhere: not mapped
 * @lost: without their data
 * @held: whose folio somebody holds
 * @protected: mapped, and not writable
 * @shared: mapped, and not exclusive
 */
struct thp_nth_survey {
	unsigned long nowhere, lost, held, protected, shared;
};

unsigned long thp_nth_nr_pages(unsigned int order);
enum thp_nth_place thp_nth_from(enum thp_nth_op op);
enum thp_nth_place thp_nth_to(enum thp_nth_op op);
enum thp_nth_place thp_nth_place_of(struct thp_fixture *f, unsigned long page_nr);

void thp_nth_add_devices(struct thp_fixture *f, enum thp_nth_op op);
void thp_nth_prepare(struct thp_fixture *f, enum thp_nth_op op, unsigned int order);
unsigned int thp_nth_run(struct thp_fixture *f, enum thp_nth_op op, unsigned int order,
			 enum fake_zdev_policy policy);
void thp_nth_survey(struct thp_fixture *f, unsigned long start, unsigned long nr, bool zeroed,
		    struct thp_nth_survey *survey);
void thp_nth_expect_whole(struct thp_fixture *f, enum thp_nth_op op, unsigned int order,
			  const char *step);
void thp_nth_clean_up(struct thp_fixture *f);

#endif /* _THP_NTH_H */
