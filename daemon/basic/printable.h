/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * printable.h - texts of others, for a terminal
 *
 * What controls a terminal becomes question marks: a text that came over the bus or out of a
 * file may be anybody's. UTF-8 stays as it is, and so do the ends of lines.
 */
#pragma once

/* In place; the bytes of C0, DEL, and the two of C1 in UTF-8. Returns text. */
static inline char *printable_make(char *text)
{
	for (unsigned char *s = (unsigned char *)text; *s; s++) {
		if (s[0] == 0xc2 && s[1] >= 0x80 && s[1] < 0xa0)
			s[0] = s[1] = '?';
		else if ((*s < 0x20 && *s != '\n') || *s == 0x7f)
			*s = '?';
	}
	return text;
}
