// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * metrics-json.c - OpenMetrics text as JSON
 *
 * What the daemon says, sample by sample: name, value and labels from the
 * sample's line, type, unit and help from the lines with a # before it. So this
 * knows no metric by its name, and none can be missing here.
 *
 * Leaves out what the daemon never writes: escapes in labels, timestamps,
 * exemplars. A line that is no sample is left out; a value that is no finite
 * number is null.
 */
#include "ctl/metrics-json.h"

#include <stdlib.h>
#include <string.h>

/* What the lines with a # have said of the samples behind them. */
struct family {
	const char *type;
	const char *unit;
	const char *help;
};

/* "# TYPE NAME gauge": @word is TYPE, and *field what stands behind the name. */
static void take_about(char *line, struct family *f)
{
	char *rest, *word = strtok_r(line + 1, " ", &rest);
	const char *name = strtok_r(NULL, " ", &rest);

	if (!name)
		return;
	/* The first line of each family. */
	if (strcmp(word, "HELP") == 0)
		*f = (struct family){ .help = rest };
	else if (strcmp(word, "TYPE") == 0)
		f->type = rest;
	else if (strcmp(word, "UNIT") == 0)
		f->unit = rest;
}

/* 'a="x",b="y"' */
static void add_labels(struct json *j, char *labels)
{
	char *rest;

	json_object_begin(j, "labels");
	for (char *key = strtok_r(labels, "=", &rest); key; key = strtok_r(NULL, "=", &rest)) {
		char *value = *rest == '"' ? rest + 1 : NULL;
		char *end = value ? strchr(value, '"') : NULL;

		if (!end)
			break;
		*end = '\0';
		json_string(j, key + (*key == ','), value);
		rest = end + 1;
	}
	json_object_end(j);
}

static void add_value(struct json *j, const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits > 0 && !text[digits])
		json_uint(j, "value", strtoull(text, NULL, 10));
	else
		json_real(j, "value", strtod(text, NULL));
}

/* "NAME 1" or "NAME{LABELS} 1" */
static void add_sample(struct json *j, char *line, const struct family *f)
{
	char *value = strrchr(line, ' '), *labels = strchr(line, '{');
	char *end = labels ? strchr(labels, '}') : NULL;

	if (!value || !value[1] || (labels && !end))
		return;
	*value++ = '\0';
	if (labels) {
		*labels++ = '\0';
		*end = '\0';
	}
	json_object_begin(j, NULL);
	json_string(j, "name", line);
	json_string(j, "type", f->type);
	json_string(j, "unit", f->unit);
	json_string(j, "help", f->help);
	add_labels(j, labels ?: value + strlen(value));
	add_value(j, value);
	json_object_end(j);
}

void metrics_json(struct json *j, char *text)
{
	struct family f = {};
	char *rest;

	json_array_begin(j, NULL);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (*line == '#')
			take_about(line, &f);
		else
			add_sample(j, line, &f);
	}
	json_array_end(j);
}
