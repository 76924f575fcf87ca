/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * printable.h - texts of others, for a terminal and for the bus
 *
 * What controls a terminal becomes question marks, and what is not UTF-8, for which D-Bus cuts
 * off whoever sends it: a text that came over the bus or out of a file may be anybody's.
 */
#pragma once

#include <stdbool.h>

#include "basic/utf8.h"

/* A character that stays: neither C0, DEL nor C1. */
static inline bool printable_is(const unsigned char *s)
{
	return *s >= 0x20 && *s != 0x7f && !(s[0] == 0xc2 && s[1] < 0xa0);
}

/* In place; the ends of lines stay. Returns text. */
static inline char *printable_make(char *text)
{
	size_t n;

	for (unsigned char *s = (unsigned char *)text; *s; s += n ? n : 1) {
		n = utf8_sequence(s);
		if (n && (*s == '\n' || printable_is(s)))
			continue;
		for (size_t i = 0; i < (n ? n : 1); i++)
			s[i] = '?';
	}
	return text;
}

/* The same, of what has to stay one line. */
static inline char *printable_line(char *text)
{
	for (char *c = printable_make(text); *c; c++)
		if (*c == '\n')
			*c = '?';
	return text;
}
