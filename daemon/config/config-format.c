// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config-format.c - values as balloond.conf writes them
 *
 * What is written here is read back as the same value by config-parse.c, except that
 * amounts are cut to the digits that people read (1.5 GiB and some pages are
 * 1.5 GiB).
 */
#include <inttypes.h>
#include <stdio.h>

#include "basic/units.h"
#include "config/config-value.h"

const char *config_format_amount(enum config_type type, uint64_t v, char *buf, size_t n)
{
	size_t len;

	switch (type) {
	case CONFIG_SIZE:
		return units_format_size(buf, n, v);
	case CONFIG_RATE:
		units_format_size(buf, n, v);
		len = strlen(buf);
		snprintf(buf + len, n - len, "/s");
		return buf;
	case CONFIG_TIME:
	case CONFIG_TRIGGER:
		return units_format_time(buf, n, v);
	case CONFIG_PERMILLE:
		if (v % 10)
			snprintf(buf, n, "%" PRIu64 ".%" PRIu64 "%%", v / 10, v % 10);
		else
			snprintf(buf, n, "%" PRIu64 "%%", v / 10);
		return buf;
	case CONFIG_ENUM:
	case CONFIG_COUNT:
	case CONFIG_BOOL:
	case CONFIG_FILE:
		break;
	}
	snprintf(buf, n, "%" PRIu64, v);
	return buf;
}

const char *config_format(const struct config *c, const struct config_key *key, char *buf, size_t n)
{
	char stall[UNITS_MAX], window[UNITS_MAX];
	struct config_trigger trigger;
	uint64_t v = 0;
	uint32_t ppm;

	switch (key->type) {
	case CONFIG_ENUM:
		snprintf(buf, n, "%s", key->enum_name((int)config_get_u32(c, key)) ?: "?");
		return buf;
	case CONFIG_TRIGGER:
		trigger = config_get_trigger(c, key);
		if (trigger.stall_us == 0)
			snprintf(buf, n, "%s", key->word);
		else
			snprintf(buf, n, "%s/%s",
				 units_format_time(stall, sizeof(stall), trigger.stall_us),
				 units_format_time(window, sizeof(window), trigger.window_us));
		return buf;
	case CONFIG_FILE:
		snprintf(buf, n, "%s", ((const char *)c + key->offset)[0] ? (const char *)c + key->offset
									  : key->word);
		return buf;
	case CONFIG_BOOL:
		snprintf(buf, n, "%s", *((const char *)c + key->offset) ? "true" : "false");
		return buf;
	case CONFIG_PERMILLE:
	case CONFIG_COUNT:
		v = config_get_u32(c, key);
		break;
	case CONFIG_SIZE:
		ppm = key->size_key >= 0 ? c->ram_ppm[key->size_key] : 0;
		if (ppm > 0) {
			/* At most four digits behind the point, without trailing zeros. */
			snprintf(buf, n, "%g%%", ppm / 10000.0);
			return buf;
		}
		v = config_get_u64(c, key);
		break;
	case CONFIG_RATE:
	case CONFIG_TIME:
		v = config_get_u64(c, key);
		break;
	}

	if (key->word && v == key->word_value) {
		snprintf(buf, n, "%s", key->word);
		return buf;
	}
	return config_format_amount(key->type, v, buf, n);
}
