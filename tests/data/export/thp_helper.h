/* SPDX-License-Identifier: GPL-2.0-only */
#define helped() (macro_helper() + 1)

int macro_helper(void);
int inline_helper(void);

static inline int inlined(void)
{
	return inline_helper();
}
