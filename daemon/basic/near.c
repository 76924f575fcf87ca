// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * near.c - what somebody meant who has mistyped a word
 *
 * The distance of two words is the least number of letters left out, too many,
 * wrong, or in the order of their neighbours (optimal string alignment). Near
 * is a mistake in three letters: what is further off is another word, and to
 * suggest it would only confuse.
 *
 * Leaves out words that are begun and not ended ("hist"), and letters that are
 * neighbours on the keyboard.
 */
#include "basic/near.h"

#include <string.h>

/* Longer than anything that is looked for. */
#define LENGTH_MAX 48

static unsigned int least(unsigned int a, unsigned int b)
{
	return a < b ? a : b;
}

/* Both at most LENGTH_MAX long. */
static unsigned int distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	unsigned int rows[3][LENGTH_MAX + 1];
	unsigned int *before = rows[0], *last = rows[1], *row = rows[2], *free_row;

	for (unsigned int k = 0; k <= b_length; k++)
		row[k] = before[k] = last[k] = k;
	for (unsigned int i = 1; i <= a_length; i++) {
		free_row = before;
		before = last;
		last = row;
		row = free_row;
		row[0] = i;
		for (unsigned int k = 1; k <= b_length; k++) {
			row[k] = least(last[k], row[k - 1]) + 1;
			row[k] = least(row[k], last[k - 1] + (a[i - 1] != b[k - 1]));
			if (i > 1 && k > 1 && a[i - 1] == b[k - 2] && a[i - 2] == b[k - 1])
				row[k] = least(row[k], before[k - 2] + 1);
		}
	}
	return row[b_length];
}

void near_init(struct near *n, const char *word, size_t length)
{
	*n = (struct near){ .word = word, .length = length };
	/* Of a word of two letters one may be wrong. */
	if (length > LENGTH_MAX)
		length = LENGTH_MAX;
	n->distance = length < 2 ? 1 : length < 6 ? 2 : (unsigned int)length / 3 + 1;
}

void near_try(struct near *n, const char *candidate)
{
	size_t length = strlen(candidate);
	unsigned int d;

	if (n->length > LENGTH_MAX || length > LENGTH_MAX)
		return;
	d = distance(n->word, n->length, candidate, length);
	if (d >= n->distance)
		return;
	n->distance = d;
	n->best = candidate;
}
