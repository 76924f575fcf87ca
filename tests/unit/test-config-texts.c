// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloond.conf: what is said of a value that is wrong, for each key of the table; what stands in a
 * comment or a string; files that cannot be read; and values as they are shown.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/units.h"
#include "config/config-value.h"
#include "config/config.h"

static char path[64];

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/test-config-texts-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static int load(const char *text, struct config *ret, struct config_errors *errors)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return config_load(path, ret, errors);
}

/* The only error of the file @text has @want in it. */
static void complains(const char *text, const char *want)
{
	struct config_errors errors;
	struct config c;

	assert_int_equal(load(text, &c, &errors), -EINVAL);
	assert_int_equal(errors.n, 1);
	if (!strstr(errors.lines[0], want))
		fail_msg("\"%s\" for %s, want \"%s\"", errors.lines[0], text, want);
	config_errors_done(&errors);
}

/* Key = value, in its group. */
static const char *line(const struct config_key *key, const char *value)
{
	static char text[4096];
	const char *dot = strchr(key->name, '.');

	if (dot)
		snprintf(text, sizeof(text), "%.*s: { %s = %s; };", (int)(dot - key->name), key->name, dot + 1,
			 value);
	else
		snprintf(text, sizeof(text), "%s = %s;", key->name, value);
	return text;
}

static void each_key_has_an_example(void **state)
{
	static const char *const examples[] = {
		[CONFIG_ENUM] = "must be a string with a unit, e.g. \"NAME\"",
		[CONFIG_SIZE] = "must be a string with a unit, e.g. \"512M\" or \"2GiB\"",
		[CONFIG_RATE] = "must be a string with a unit, e.g. \"500MiB/s\"",
		[CONFIG_TIME] = "must be a string with a unit, e.g. \"500ms\", \"30s\" or \"10min\"",
		[CONFIG_PERMILLE] = "must be a string with a unit, e.g. \"1%\" or \"0.1%\"",
		[CONFIG_TRIGGER] = "must be a string with a unit, e.g. \"70ms/1s\"",
		[CONFIG_COUNT] = "must be a number, without quotes, e.g. 8",
		[CONFIG_BOOL] = "must be true or false, without quotes",
		[CONFIG_FILE] = "must be a string with a unit, e.g. \"/run/balloond/balloond.prom\"",
	};
	size_t n;
	const struct config_key *keys = config_keys(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		complains(line(&keys[i], "1.5"), examples[keys[i].type]);
		complains(line(&keys[i], "1.5"), keys[i].name);
	}
}

/* Where there is a word for a value it is shown as that, and read back. */
static void each_word_is_read_and_shown(void **state)
{
	char shown[CONFIG_PATH_MAX + 16], value[64];
	struct config_errors errors;
	unsigned words = 0;
	struct config c;
	size_t n;
	const struct config_key *keys = config_keys(&n);

	(void)state;
	for (size_t i = 0; i < n; i++) {
		if (!keys[i].word)
			continue;
		words++;
		snprintf(value, sizeof(value), "\"%s\"", keys[i].word);
		assert_int_equal(load(line(&keys[i], value), &c, &errors), 1);
		config_errors_done(&errors);
		assert_string_equal(config_format(&c, &keys[i], shown, sizeof(shown)), keys[i].word);
	}
	assert_true(words > 3);
}

static void amounts(void **state)
{
	static const struct {
		enum config_type type;
		uint64_t v;
		const char *text;
	} rows[] = {
		{CONFIG_SIZE, 512ULL << 20, "512 MiB"}, {CONFIG_RATE, 500ULL << 20, "500 MiB/s"},
		{CONFIG_TIME, 1500000, "1.5s"},		{CONFIG_TRIGGER, 70000, "70ms"},
		{CONFIG_PERMILLE, 10, "1%"},		{CONFIG_PERMILLE, 15, "1.5%"},
		{CONFIG_COUNT, 8, "8"},			{CONFIG_BOOL, 1, "1"},
	};
	char buf[UNITS_MAX + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_string_equal(config_format_amount(rows[i].type, rows[i].v, buf, sizeof(buf)),
				    rows[i].text);
}

static void what_is_quoted(void **state)
{
	(void)state;
	/* Cut, and without what a terminal would obey. */
	complains("mode = \"0123456789012345678901234567890123456789012345\";",
		  ": \"0123456789012345678901234567890123456789...\"");
	complains("mode = \"a\x7f\x01z\";", ": \"a??z\"");
	complains("psi: { early = \"0s/1s\"; };", "the stall must be over 0 and at most the window");
	complains("metrics_file = \".prom\";", "must be an absolute path");
	complains("metrics_file = \"/prom\";", "must end with .prom");
	complains("metrics_file = \"/a.txt\";", "must end with .prom, or the collector ignores it: \"/a.txt\"");
	complains("tail: { inflate_rate = \"1\"; };", "inflate_rate");
	complains("mode = ;", ":1: syntax error; a key is written as NAME = \"VALUE\";");
	complains("limit = \"0.00001%\";", "limit: ");
}

static void comments_and_strings(void **state)
{
	struct config_errors errors;
	struct config c;

	(void)state;
	assert_int_equal(load("/* a * b / c ** / */ // @include \"x\" /*\n# \"\nmode = \"manual\"; /**/ # */\n", &c,
			      &errors), 1);
	assert_int_equal(c.policy.mode, MODE_MANUAL);
	config_errors_done(&errors);
	/* A slash of its own is the parser's to refuse, not the end of a comment. */
	complains("mode / \"manual\";", ":1: ");
	complains("mode = \"a\\\"b@\";", "is none of");
	complains("mode = \"a\\", ":1: the string that starts here is never closed");
	complains("mode = \"a\\\n", ":1: the string that starts here is never closed");
	/* A line that ends within a string is counted, too. */
	complains("mode = \"a\\\n\"; @include", ":2: @include is not supported");
	complains("\n/* *", ":2: the comment that starts here is never closed");
	complains("mode = \"auto\"; /", ":1: ");
}

static void files_that_cannot_be_read(void **state)
{
	static char longer[PATH_MAX + 8];
	struct config_errors errors;
	struct config c;

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	assert_int_equal(config_load(longer, &c, &errors), -ENAMETOOLONG);
	assert_int_equal(errors.n, 1);
	assert_non_null(strstr(errors.lines[0], "cannot be opened: File name too long"));
	config_errors_done(&errors);
	assert_int_equal(config_load("/dev/null/balloond.conf", &c, &errors), -ENOTDIR);
	assert_non_null(strstr(errors.lines[0], "cannot be opened: Not a directory"));
	config_errors_done(&errors);
	assert_int_equal(config_load("/dev/null", &c, &errors), -EINVAL);
	assert_non_null(strstr(errors.lines[0], "is a device, pipe or socket, not a file"));
	config_errors_done(&errors);
	/* Opens, but address 0 of a process cannot be read. */
	assert_int_equal(config_load("/proc/self/mem", &c, &errors), -EIO);
	assert_non_null(strstr(errors.lines[0], "cannot be read: Input/output error"));
	config_errors_done(&errors);
}

static void names_of_no_value(void **state)
{
	(void)state;
	assert_null(config_on_stop_name(-1));
	assert_null(config_on_stop_name(_ON_STOP_MAX));
	assert_null(config_account_name(1000));
	assert_null(config_without_module_name(1000));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(each_key_has_an_example), T(each_word_is_read_and_shown), T(amounts),
		T(what_is_quoted), T(comments_and_strings), T(files_that_cannot_be_read),
		T(names_of_no_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
