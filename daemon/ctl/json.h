/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * json.h - a small JSON writer
 *
 * Writes one value, usually an object, to a stream: indented by two spaces, or on
 * one line. The caller opens and closes what it opens; inside an object each member has
 * a key, inside an array key is NULL. Output errors stay in the stream
 * (ferror), nothing here looks at them.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What is written; by the argument of --json. */
enum json_form {
	JSON_OFF,	/* no JSON: text for people */
	JSON_SHORT,
	JSON_PRETTY,
};

struct json {
	FILE *stream;
	enum json_form form;
	unsigned int depth;
	bool open_empty;	/* the innermost object or array has no member yet */
};

/* @form JSON_SHORT or JSON_PRETTY. */
void json_init(struct json *j, FILE *stream, enum json_form form);

void json_object_begin(struct json *j, const char *key);
void json_object_end(struct json *j);
void json_array_begin(struct json *j, const char *key);
void json_array_end(struct json *j);

/* @value may be NULL (null). Bytes that are no UTF-8 become U+FFFD. */
void json_string(struct json *j, const char *key, const char *value);
void json_uint(struct json *j, const char *key, uint64_t value);
/* With six decimals at most; null if it is not finite. */
void json_real(struct json *j, const char *key, double value);
void json_bool(struct json *j, const char *key, bool value);
void json_null(struct json *j, const char *key);
