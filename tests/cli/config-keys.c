// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * config-keys.c - the table of configuration keys as the program has it
 *
 * One key a line, fields separated by tabs: name, default, least, most, the
 * words that are allowed (separated by blanks), all as a user would write
 * them. The test of the manual pages compares balloond.conf(5) and the default
 * file with it.
 *
 * Leaves out whether the table is right; the unit tests of config.c do that.
 */
#include <inttypes.h>
#include <stdio.h>
#include <syslog.h>

#include "basic/units.h"
#include "config/config.h"

static void print_amount(const struct config_key *key, uint64_t value)
{
	char buf[UNITS_MAX];

	switch (key->type) {
	case CONFIG_SIZE:
		printf("\t%s", units_format_size(buf, sizeof(buf), value));
		return;
	case CONFIG_RATE:
		printf("\t%s/s", units_format_size(buf, sizeof(buf), value));
		return;
	case CONFIG_TIME:
	case CONFIG_TRIGGER:
		printf("\t%s", units_format_time(buf, sizeof(buf), value));
		return;
	case CONFIG_PERMILLE:
		if (value % 10)
			printf("\t%" PRIu64 ".%" PRIu64 "%%", value / 10, value % 10);
		else
			printf("\t%" PRIu64 "%%", value / 10);
		return;
	case CONFIG_COUNT:
		printf("\t%" PRIu64, value);
		return;
	case CONFIG_ENUM:
	case CONFIG_BOOL:
	case CONFIG_FILE:
		printf("\t");
		return;
	}
}

int main(void)
{
	const struct config_key *keys;
	struct config config;
	size_t n;

	config_default(&config);
	keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		const struct config_key *key = &keys[i];
		const char *word;
		char buf[CONFIG_PATH_MAX];

		printf("%s\t%s", key->name, config_format(&config, key, buf, sizeof(buf)));
		print_amount(key, key->min);
		print_amount(key, key->max);
		printf("\t%s", key->word ?: "");
		for (int j = key->enum_first; key->enum_name && (word = key->enum_name(j)); j++)
			printf(" %s", word);
		if (key->type == CONFIG_BOOL)
			printf(" true false");
		if (key->type == CONFIG_FILE)
			printf(" /PATH");
		printf("\n");
	}
	return 0;
}
