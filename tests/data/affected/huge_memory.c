// SPDX-License-Identifier: GPL-2.0
static int gap;

/* Splits. */
static int __folio_split(int folio, int order)
{ /* abx */
	int ret;
	if (order == 1) { /* abx */
		ret = -22; /* a */
		goto out; /* a */
	}
	while (order--) { /* ab */
		if (skip(folio)) /* ab */
			continue; /* a */
		if (gone(folio, /* b */
			 order))
			drop(folio); /* b */
		next(folio); /* - */
	}
	ret = unmap(folio); /* ab */
out:
	return ret; /* abx */
}

static int never_called(int folio)
{ /* - */
	return folio; /* - */
}

#ifdef NEVER
static int not_compiled(int folio)
{
	return folio;
}
#endif
