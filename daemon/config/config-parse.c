// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config-parse.c - values as balloond.conf has them
 *
 * One value at a time, by the type and the range of its key; config-format.c is
 * the way back. A value that is refused leaves everything as it was, and the
 * reason quotes it or names the limits.
 *
 * Leaves out: where the value stood, whether it is a string or a number there,
 * and whether it fits the others (all config.c).
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "basic/cleanup.h"
#include "basic/units.h"
#include "config/config-value.h"

/* Longest value that is quoted; the rest is cut. */
#define QUOTE_MAX 40

/* In quotes, cut, nothing unprintable. */
static const char *quote(const char *value, char buf[static QUOTE_MAX + 8])
{
	size_t n = 0;

	buf[n++] = '"';
	for (; *value && n <= QUOTE_MAX; value++)
		buf[n++] = (unsigned char)*value < ' ' || *value == 127 ? '?' : *value;
	snprintf(buf + n, 8, "%s\"", *value ? "..." : "");
	return buf;
}

/* value: quoted behind the reason; may be NULL. Returns -EINVAL, or -ENOMEM without a reason. */
__attribute__((format(printf, 3, 4)))
static int refuse(char **ret_why, const char *value, const char *format, ...)
{
	_cleanup_free_ char *reason = NULL;
	char quoted[QUOTE_MAX + 8];
	va_list ap;
	char *why;
	int n;

	va_start(ap, format);
	n = vasprintf(&reason, format, ap);
	va_end(ap);
	if (n < 0) {
		reason = NULL;
		return -ENOMEM;
	}
	n = asprintf(&why, "%s%s%s", reason, value ? ": " : "", value ? quote(value, quoted) : "");
	if (n < 0)
		return -ENOMEM;
	*ret_why = why;
	return -EINVAL;
}

static int check_range(const struct config_key *key, uint64_t v, const char *what, char **ret_why)
{
	char low[UNITS_MAX], high[UNITS_MAX];

	if (v >= key->min && v <= key->max)
		return 0;
	return refuse(ret_why, NULL, "%sis out of range: at least %s, at most %s%s%s%s", what,
		      config_format_amount(key->type, key->min, low, sizeof(low)),
		      config_format_amount(key->type, key->max, high, sizeof(high)),
		      key->word ? ", or \"" : "", key->word ?: "", key->word ? "\"" : "");
}

static int parse_enum(struct config *c, const struct config_key *key, const char *value,
		      char **ret_why)
{
	char names[128] = "";
	const char *name;

	for (int i = key->enum_first; (name = key->enum_name(i)); i++) {
		size_t n = strlen(names);

		if (strcmp(name, value) == 0) {
			config_set_u32(c, key, (uint32_t)i);
			return 0;
		}
		snprintf(names + n, sizeof(names) - n, "%s%s", n > 0 ? ", " : "", name);
	}
	return refuse(ret_why, value, "is none of %s", names);
}

static int parse_size(struct config *c, const struct config_key *key, const char *value,
		      char **ret_why)
{
	bool percent = key->size_key >= 0 && strchr(value, '%');
	const char *why = "";
	uint64_t v;
	int r;

	if (units_parse_size(value, percent ? 1000000 : 0, &v, &why) < 0)
		return refuse(ret_why, value, "%s", why);
	if (percent) {
		if (v == 0)
			return refuse(ret_why, NULL, "must be more than 0%%");
		c->ram_ppm[key->size_key] = (uint32_t)v;
		return 0;
	}
	r = check_range(key, v, "", ret_why);
	if (r < 0)
		return r;
	if (key->size_key >= 0)
		c->ram_ppm[key->size_key] = 0;
	config_set_u64(c, key, v);
	return 0;
}

/* CONFIG_RATE and CONFIG_TIME. */
static int parse_amount(struct config *c, const struct config_key *key, const char *value,
			char **ret_why)
{
	const char *why = "";
	uint64_t v;
	int r;

	r = key->type == CONFIG_RATE ? units_parse_rate(value, &v, &why)
				     : units_parse_time(value, &v, &why);
	if (r < 0)
		return refuse(ret_why, value, "%s", why);
	/* "0" is the usual way to write "off" and "unlimited". */
	if (!key->word || v != 0 || key->word_value != 0) {
		r = check_range(key, v, "", ret_why);
		if (r < 0)
			return r;
	}
	config_set_u64(c, key, v);
	return 0;
}

static int parse_permille(struct config *c, const struct config_key *key, const char *value,
			  char **ret_why)
{
	const char *why = "";
	uint32_t v;

	if (units_parse_permille(value, &v, &why) < 0)
		return refuse(ret_why, value, "%s", why);
	return config_parse_number(c, key, v, ret_why);
}

static int parse_trigger(struct config *c, const struct config_key *key, const char *value,
			 char **ret_why)
{
	const char *slash = strchr(value, '/'), *why = "";
	_cleanup_free_ char *stall = NULL;
	struct config_trigger t;
	int r;

	if (!slash)
		return refuse(ret_why, value, "is not STALL/WINDOW, e.g. \"70ms/1s\", or \"off\"");
	stall = strndup(value, (size_t)(slash - value));
	if (!stall)
		return -ENOMEM;
	if (units_parse_time(stall, &t.stall_us, &why) < 0)
		return refuse(ret_why, value, "the stall %s", why);
	if (units_parse_time(slash + 1, &t.window_us, &why) < 0)
		return refuse(ret_why, value, "the window %s", why);
	r = check_range(key, t.window_us, "the window ", ret_why);
	if (r < 0)
		return r;
	if (t.stall_us == 0 || t.stall_us > t.window_us)
		return refuse(ret_why, value, "the stall must be over 0 and at most the window");
	memcpy((char *)c + key->offset, &t, sizeof(t));
	return 0;
}

static int parse_path(struct config *c, const struct config_key *key, const char *value,
		      char **ret_why)
{
	size_t n = strlen(value);

	if (value[0] != '/')
		return refuse(ret_why, value, "must be an absolute path or \"%s\"", key->word);
	if (n >= CONFIG_PATH_MAX)
		return refuse(ret_why, NULL, "is too long, at most %d bytes", CONFIG_PATH_MAX - 1);
	if (n < 6 || strcmp(value + n - 5, ".prom") != 0)
		return refuse(ret_why, value, "must end with .prom, or the collector ignores it");
	snprintf((char *)c + key->offset, CONFIG_PATH_MAX, "%s", value);
	return 0;
}

/* The word that stands for a value outside of the range. */
static void set_word(struct config *c, const struct config_key *key)
{
	if (key->type == CONFIG_FILE) {
		memset((char *)c + key->offset, 0, CONFIG_PATH_MAX);
		return;
	}
	if (key->type == CONFIG_TRIGGER) {
		memset((char *)c + key->offset, 0, sizeof(struct config_trigger));
		return;
	}
	if (key->size_key >= 0)
		c->ram_ppm[key->size_key] = 0;
	config_set_u64(c, key, key->word_value);
}

int config_parse(struct config *c, const struct config_key *key, const char *value, char **ret_why)
{
	if (key->word && strcmp(key->word, value) == 0) {
		set_word(c, key);
		return 0;
	}

	switch (key->type) {
	case CONFIG_ENUM:
		return parse_enum(c, key, value, ret_why);
	case CONFIG_SIZE:
		return parse_size(c, key, value, ret_why);
	case CONFIG_RATE:
	case CONFIG_TIME:
		return parse_amount(c, key, value, ret_why);
	case CONFIG_PERMILLE:
		return parse_permille(c, key, value, ret_why);
	case CONFIG_TRIGGER:
		return parse_trigger(c, key, value, ret_why);
	case CONFIG_FILE:
		return parse_path(c, key, value, ret_why);
	case CONFIG_COUNT:
	case CONFIG_BOOL:
		break;
	}
	return refuse(ret_why, value, "must not be in quotes");
}

int config_parse_number(struct config *c, const struct config_key *key, uint64_t v, char **ret_why)
{
	int r = check_range(key, v, "", ret_why);

	if (r < 0)
		return r;
	config_set_u32(c, key, (uint32_t)v);
	return 0;
}
