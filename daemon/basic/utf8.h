/* SPDX-License-Identifier: GPL-2.0-or-later */
/* utf8.h - where a character ends in a text that may be anything */
#pragma once

#include <stddef.h>

/*
 * Length of the well-formed sequence at @s (RFC 3629: no overlong forms, no surrogates, nothing
 * beyond U+10FFFF), 0 if there is none. Does not read beyond the end of the string.
 */
static inline size_t utf8_sequence(const unsigned char *s)
{
	unsigned char low = 0x80, high = 0xbf;
	size_t n;

	if (s[0] < 0x80)
		return 1;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	n = s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
	/* The second byte is narrower where what is forbidden lies. */
	if (s[0] == 0xe0)
		low = 0xa0;
	else if (s[0] == 0xed)
		high = 0x9f;
	else if (s[0] == 0xf0)
		low = 0x90;
	else if (s[0] == 0xf4)
		high = 0x8f;
	if (s[1] < low || s[1] > high)
		return 0;
	for (size_t i = 2; i < n; i++)
		if (s[i] < 0x80 || s[i] > 0xbf)
			return 0;
	return n;
}
