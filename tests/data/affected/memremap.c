// SPDX-License-Identifier: GPL-2.0
int memremap_pages(int folio)
{ /* c */
	return folio + 1; /* c */
}
