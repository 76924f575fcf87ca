// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * json.c - a small JSON writer (RFC 8259)
 *
 * Always valid UTF-8 and valid JSON, whatever bytes come in: controls, quotes
 * and backslashes are escaped, and each byte that is not part of a well-formed
 * UTF-8 sequence (overlong forms and surrogates are not) becomes U+FFFD.
 *
 * Leaves out reading, floating point and any check that the caller nests
 * begin and end correctly.
 */
#include <math.h>
#include <string.h>

#include "ctl/json.h"

#include <inttypes.h>
#include <stddef.h>

#include "basic/utf8.h"

void json_init(struct json *j, FILE *stream, enum json_form form)
{
	*j = (struct json){ .stream = stream, .form = form, .open_empty = true };
}

static void put_string(FILE *f, const char *text)
{
	const unsigned char *s = (const unsigned char *)text;

	putc('"', f);
	while (*s) {
		size_t n = utf8_sequence(s);

		if (n == 0) {
			fputs("\xef\xbf\xbd", f);
			s++;
			continue;
		}
		if (*s == '"' || *s == '\\')
			fprintf(f, "\\%c", *s);
		else if (*s == '\n')
			fputs("\\n", f);
		else if (*s == '\t')
			fputs("\\t", f);
		else if (*s < 0x20 || *s == 0x7f)
			fprintf(f, "\\u%04x", *s);
		else if (s[0] == 0xc2 && s[1] < 0xa0)
			fprintf(f, "\\u%04x", s[1]);
		else
			fwrite(s, 1, n, f);
		s += n;
	}
	putc('"', f);
}

static void indent(const struct json *j)
{
	if (j->form == JSON_SHORT)
		return;
	putc('\n', j->stream);
	for (unsigned int i = 0; i < j->depth; i++)
		fputs("  ", j->stream);
}

/* What stands before a value: comma, line, key. */
static void member(struct json *j, const char *key)
{
	if (!j->open_empty)
		putc(',', j->stream);
	if (j->depth > 0)
		indent(j);
	if (key) {
		put_string(j->stream, key);
		fputs(j->form == JSON_SHORT ? ":" : ": ", j->stream);
	}
	j->open_empty = false;
}

static void begin(struct json *j, const char *key, char bracket)
{
	member(j, key);
	putc(bracket, j->stream);
	j->depth++;
	j->open_empty = true;
}

static void end(struct json *j, char bracket)
{
	j->depth--;
	if (!j->open_empty)
		indent(j);
	putc(bracket, j->stream);
	j->open_empty = false;
	if (j->depth == 0)
		putc('\n', j->stream);
}

void json_object_begin(struct json *j, const char *key)
{
	begin(j, key, '{');
}

void json_object_end(struct json *j)
{
	end(j, '}');
}

void json_array_begin(struct json *j, const char *key)
{
	begin(j, key, '[');
}

void json_array_end(struct json *j)
{
	end(j, ']');
}

void json_string(struct json *j, const char *key, const char *value)
{
	if (!value) {
		json_null(j, key);
		return;
	}
	member(j, key);
	put_string(j->stream, value);
}

void json_uint(struct json *j, const char *key, uint64_t value)
{
	member(j, key);
	fprintf(j->stream, "%" PRIu64, value);
}

void json_bool(struct json *j, const char *key, bool value)
{
	member(j, key);
	fputs(value ? "true" : "false", j->stream);
}

void json_null(struct json *j, const char *key)
{
	member(j, key);
	fputs("null", j->stream);
}

void json_real(struct json *j, const char *key, double value)
{
	char text[64];
	char *end;

	if (!isfinite(value)) {
		json_null(j, key);
		return;
	}
	snprintf(text, sizeof(text), "%.6f", value);
	for (end = text + strlen(text); end[-1] == '0'; end--)
		;
	end[end[-1] == '.' ? -1 : 0] = '\0';
	member(j, key);
	fputs(text, j->stream);
}
