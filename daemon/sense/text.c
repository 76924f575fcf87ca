// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Walking over the text of a /proc file.
 *
 * The common ground of the parsers in this folder: lines, words, numbers.
 * Never reads at or behind `end`, never writes, never allocates.
 */
#include <string.h>

#include "sense/text.h"

bool text_line(struct text *t, struct text *ret_line)
{
	const char *nl = t->p == t->end ? NULL : memchr(t->p, '\n', t->end - t->p);

	if (!nl)
		return false;
	*ret_line = (struct text){t->p, nl};
	t->p = nl + 1;
	return true;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t';
}

bool text_word(struct text *t, struct text *ret_word)
{
	const char *p = t->p, *start;

	while (p < t->end && blank(*p))
		p++;
	start = p;
	while (p < t->end && !blank(*p))
		p++;
	t->p = p;
	if (p == start)
		return false;
	*ret_word = (struct text){start, p};
	return true;
}

bool text_equals(struct text t, const char *s)
{
	size_t n = strlen(s);

	return (size_t)(t.end - t.p) == n && memcmp(t.p, s, n) == 0;
}

bool text_skip(struct text *t, const char *s)
{
	size_t n = strlen(s);

	if ((size_t)(t->end - t->p) < n || memcmp(t->p, s, n) != 0)
		return false;
	t->p += n;
	return true;
}

bool text_u64(struct text t, uint64_t *ret)
{
	uint64_t v = 0;

	if (t.p == t.end)
		return false;
	for (; t.p < t.end; t.p++) {
		unsigned int digit = (unsigned char)*t.p - '0';

		if (digit > 9 || v > (UINT64_MAX - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = v;
	return true;
}
