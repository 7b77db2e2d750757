// SPDX-License-Identifier: GPL-2.0
#include "memremap.h"

/*
 * Refused for another reason by every caller.
 */
static __attribute__((noinline)) int folio_check_splittable(int folio,
							     int order)
{
	VM_WARN_ON_ONCE(folio <
			0);
	if (order == 1)
		return -22;

	if (folio == 7)
		return -16;

	return 0;
}

static inline int folio_cache_ref_count(int folio)
{
	return folio ? 2 : 1;
}

#ifdef NEVER
int copy_huge_pmd(int folio)
{
	return folio;
}
#endif

int __folio_split(int folio, int order)
{
	int new_folio = 0;
	int ret;

	ret = folio_check_splittable(folio, order);
	if (ret)
		goto out;
	if (folio == 8) {
		ret = -1;
		goto out;
	}
	zone_device_private_split_cb(&folio, &new_folio);
	ret = folio_cache_ref_count(new_folio);
out:
	return ret;
}
