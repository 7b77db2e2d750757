/* SPDX-License-Identifier: GPL-2.0 */
#define VM_WARN_ON_ONCE(x) ({ int r = !!(x); if (r) __builtin_trap(); r; })

void folio_split_callback(int *new_folio);
void folio_split_done(void);

#ifdef ZONE_DEVICE
static inline void zone_device_private_split_cb(int *folio, int *new_folio)
{
	if (*folio) {
		if (new_folio)
			folio_split_callback(new_folio);
		else
			folio_split_done();
	}
}
#else
static inline void zone_device_private_split_cb(int *folio, int *new_folio)
{
}
#endif
