/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * text.h - walking over the text of a /proc file
 *
 * Works on (pointer, length); nothing needs to be NUL-terminated. A line that
 * does not end in a newline is not returned: it may have been cut, and half a
 * number looks like a whole one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct text {
	const char *p;
	const char *end;
};

/* Take the next whole line, without its newline, from *t. */
bool text_line(struct text *t, struct text *ret_line);
/* Take the next word, delimited by blanks, from *t. */
bool text_word(struct text *t, struct text *ret_word);
bool text_equals(struct text t, const char *s);
/* Take the prefix s from *t; if it is not there, *t is untouched. */
bool text_skip(struct text *t, const char *s);
/* The whole of t is a decimal number without sign that fits. */
bool text_u64(struct text t, uint64_t *ret);
