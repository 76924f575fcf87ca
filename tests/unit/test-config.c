// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloond.conf: every error is found, named with file, line and key, and
 * changes nothing; the installed default file says what the code does.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "basic/units.h"
#include "config/config.h"

static char path[64];

static int setup(void **state)
{
	int fd;

	(void)state;
	strcpy(path, "/tmp/test-config-XXXXXX");
	fd = mkstemp(path);
	return fd < 0 ? -1 : close(fd);
}

static int teardown(void **state)
{
	(void)state;
	return unlink(path);
}

static void write_file(const char *text, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static int load(const char *text, struct config *ret, struct config_errors *errors)
{
	write_file(text, strlen(text));
	return config_load(path, ret, errors);
}

/* Line i of the errors is "PATH<expected>", or begins so if expected ends in "*". */
static void expect_error(const struct config_errors *e, size_t i, const char *expected)
{
	size_t n = strlen(expected);
	const char *got;

	if (i >= e->n)
		fail_msg("only %zu errors, expected \"%s\"", e->n, expected);
	got = e->lines[i];
	assert_memory_equal(got, path, strlen(path));
	got += strlen(path);
	if (expected[n - 1] == '*' ? strncmp(got, expected, n - 1) != 0
				   : strcmp(got, expected) != 0)
		fail_msg("error \"%s\", expected \"%s\"", got, expected);
}

static void one_error(const char *text, const char *expected)
{
	struct config_errors errors;
	struct config c;
	struct config before;

	memset(&c, 0x5a, sizeof(c));
	before = c;
	assert_int_equal(load(text, &c, &errors), -EINVAL);
	expect_error(&errors, 0, expected);
	if (errors.n != 1)
		fail_msg("%zu errors for \"%s\"", errors.n, text);
	/* The old configuration of a reload must survive. */
	assert_memory_equal(&c, &before, sizeof(c));
	config_errors_done(&errors);
}

static void errors_one_by_one(void **state)
{
	(void)state;
	one_error("mod = \"auto\";", ":1: mod: unknown key; did you mean mode?");
	one_error("\n\nheadroom_min = \"1G\";",
		  ":3: headroom_min: unknown key; did you mean adaptive.headroom_min?");
	one_error("tail: { pressure = \"7%\"; };",
		  ":1: tail.pressure: unknown key; did you mean adaptive.pressure?");
	one_error("adaptive: { sub: { a = \"1\"; }; };", ":1: adaptive.sub: unknown key");
	one_error("mode = \"fast\";", ":1: mode: is none of auto, host, manual, observe: \"fast\"");
	one_error("mode = true;", ":1: mode: must be a string, e.g. *");
	one_error("limit = 512;", ":1: limit: must be a string with a unit, e.g. *");
	one_error("limit = \"512\";", ":1: limit: needs a unit, e.g. 512M or 2GiB: \"512\"");
	one_error("limit = \"-1G\";", ":1: limit: must not be negative: \"-1G\"");
	one_error("limit = \"1K\";", ":1: limit: is out of range: at least 1 MiB, at most 64 TiB, "
				     "or \"none\"");
	one_error("limit = \"101%\";", ":1: limit: is more than 100%: \"101%\"");
	one_error("limit = \"0%\";", ":1: limit: must be more than 0%");
	one_error("floor = \"0\";", ":1: floor: is out of range: *");
	one_error("lease = \"1s\";", ":1: lease: is out of range: at least 2s, at most 1h, or "
				     "\"off\"");
	one_error("lease = \"10%\";", ":1: lease: has an unknown unit*");
	one_error("adaptive: { probe_share = \"20%\"; };",
		  ":1: adaptive.probe_share: is out of range: at least 0.1%, at most 10%");
	one_error("tail: { inflate_rate = \"500M\"; };", ":1: tail.inflate_rate: is not a rate*");
	one_error("psi: { early = \"70ms\"; };", ":1: psi.early: is not STALL/WINDOW*");
	one_error("psi: { early = \"70/1s\"; };", ":1: psi.early: the stall needs a unit*");
	one_error("psi: { early = \"70ms/1\"; };", ":1: psi.early: the window needs a unit*");
	one_error("psi: { early = \"2s/1s\"; };", ":1: psi.early: the stall must be over 0*");
	one_error("psi: { early = \"70ms/11s\"; };", ":1: psi.early: the window is out of range*");
	one_error("psi = \"off\";", ":1: psi: is a group; write psi: { ... }");
	one_error("mode: { a = 1; };", ":1: mode: must be a string*");
	one_error("tail = [1, 2];", ":1: tail: is a group*");
	one_error("committed: { down = \"8\"; };", ":1: committed.down: must be a number*");
	one_error("committed: { down = 0; };", ":1: committed.down: is out of range*");
	one_error("committed: { down = -1; };", ":1: committed.down: is out of range*");
	one_error("committed: { without_swap = 1; };", ":1: committed.without_swap: must be true*");
	/* Two keys that disagree: the line of the later one. */
	one_error("interval = \"6s\";", ":1: interval: is more than idle_interval (6s > 5s)");
	one_error("idle_interval = \"2s\";\ninterval = \"3s\";",
		  ":2: interval: is more than idle_interval (3s > 2s)");
	one_error("adaptive: {\nheadroom_min = \"20%\";\nheadroom_max = \"10%\"; };",
		  ":3: adaptive.headroom_min: is more than adaptive.headroom_max (20% > 10%)");
}

static void errors_of_syntax(void **state)
{
	(void)state;
	one_error("mode = auto;", ":1: syntax error;*");
	one_error("mode = \"auto\";\nmode = \"host\";", ":2: duplicate setting name");
	one_error("mode = \"auto;\n\n", ":1: the string that starts here is never closed");
	one_error("# x\n/* mode = \"auto\";\n", ":2: the comment that starts here is never closed");
	one_error("@include \"/etc/passwd\"\n", ":1: @include is not supported*");
	one_error("mode = \"auto\"\n  @include \"x\"\n", ":2: @include is not supported*");
	/* Not in a comment or string, though. */
	one_error("# @include\n/* @ */ // @\nmode = \"@\";", ":3: mode: is none of *");
	/* A value is quoted, but cannot play tricks on a terminal. */
	one_error("mode = \"\\x1b[31m\";", ":1: mode: is none of auto, host, manual, observe: \"?[31m\"");
}

static void every_error_is_listed(void **state)
{
	struct config_errors errors;
	struct config c;

	(void)state;
	assert_int_equal(load("mod = \"auto\";\n"
			      "limit = 5;\n"
			      "interval = \"30s\";\n"
			      "tail: {\n"
			      "  stuck = \"5\";\n"
			      "  foo = 1;\n"
			      "};\n"
			      "log_level = \"loud\";\n", &c, &errors), -EINVAL);
	assert_int_equal(errors.n, 6);
	expect_error(&errors, 0, ":1: mod: *");
	expect_error(&errors, 1, ":2: limit: *");
	expect_error(&errors, 2, ":5: tail.stuck: needs a unit*");
	expect_error(&errors, 3, ":6: tail.foo: *");
	expect_error(&errors, 4, ":8: log_level: *");
	expect_error(&errors, 5, ":3: interval: is more than*");
	config_errors_done(&errors);
}

static void files_that_are_none(void **state)
{
	static const char nul[] = "mode = \"auto\";\n\0limit = \"1K\";";
	static char large[64 * 1024 + 1];
	struct config_errors errors;
	struct config c;
	char saved[sizeof(path)];

	(void)state;
	write_file(nul, sizeof(nul) - 1);
	assert_int_equal(config_load(path, &c, &errors), -EINVAL);
	expect_error(&errors, 0, ":2: NUL byte; this is not a text file");
	config_errors_done(&errors);

	memset(large, '\n', sizeof(large));
	write_file(large, sizeof(large));
	assert_int_equal(config_load(path, &c, &errors), -EINVAL);
	expect_error(&errors, 0, ": is larger than 64 KiB*");
	config_errors_done(&errors);

	write_file(large, sizeof(large) - 1);
	assert_int_equal(config_load(path, &c, &errors), 1);
	config_errors_done(&errors);

	strcpy(saved, path);
	strcpy(path, "/tmp");
	assert_int_equal(config_load(path, &c, &errors), -EINVAL);
	expect_error(&errors, 0, ": is a directory, not a file");
	config_errors_done(&errors);
	strcpy(path, "/dev/null");
	assert_int_equal(config_load(path, &c, &errors), -EINVAL);
	expect_error(&errors, 0, ": is a device, pipe or socket, not a file");
	config_errors_done(&errors);
	/* Nobody writes to it: must not wait. */
	strcpy(path, saved);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(config_load(path, &c, &errors), -EINVAL);
	config_errors_done(&errors);
	assert_int_equal(unlink(path), 0);
	strcpy(path, "/proc/self/mem");
	assert_true(config_load(path, &c, &errors) < 0);
	assert_int_equal(errors.n, 1);
	config_errors_done(&errors);
	strcpy(path, saved);
}

static void deep_nesting_is_refused(void **state)
{
	static char text[60000];
	struct config_errors errors;
	struct config c;

	(void)state;
	for (size_t i = 0; i < sizeof(text); i += 3)
		memcpy(text + i, "a:{", 3);
	write_file(text, sizeof(text));
	assert_int_equal(config_load(path, &c, &errors), -EINVAL);
	assert_int_equal(errors.n, 1);
	config_errors_done(&errors);
}

static void missing_file_means_defaults(void **state)
{
	struct config c, defaults;
	struct config_errors errors;

	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&defaults, 0, sizeof(defaults));
	config_default(&defaults);
	assert_int_equal(config_load("/nonexistent/balloond.conf", &c, &errors), 0);
	assert_int_equal(errors.n, 0);
	assert_memory_equal(&c, &defaults, sizeof(c));
	config_errors_done(&errors);
}

static void values(void **state)
{
	struct config_errors errors;
	struct policy_config p;
	struct config c;

	(void)state;
	assert_int_equal(load("mode = \"manual\"; law = \"committed\"; limit = \"25%\";\n"
			      "floor = \"1.5G\"; reserve = \"0\"; lease = \"0\";\n"
			      "on_stop = \"keep\"; log_level = \"debug\";\n"
			      "adaptive: { headroom_min = \"2G\"; headroom_max = \"10%\";\n"
			      "            probe_share = \"0.5%\"; };\n"
			      "committed: { down = 4; without_swap = true; };\n"
			      "tail: { inflate_rate = \"500MiB/s\"; deflate_rate = \"0\"; };\n"
			      "psi: { early = \"off\"; emergency = \"200ms/2s\"; };\n", &c,
			      &errors), 1);
	assert_int_equal(c.policy.mode, MODE_MANUAL);
	assert_int_equal(c.policy.law, LAW_COMMITTED);
	assert_int_equal(c.policy.floor, 3ULL << 29);
	assert_int_equal(c.policy.reserve, 0);
	assert_int_equal(c.lease_us, 0);
	assert_int_equal(c.on_stop, ON_STOP_KEEP);
	assert_int_equal(c.policy.probe_permille, 5);
	assert_int_equal(c.policy.committed_down, 4);
	assert_true(c.policy.committed_without_swap);
	assert_int_equal(c.policy.inflate_rate, 500ULL << 20);
	assert_int_equal(c.policy.deflate_rate, 0);
	assert_int_equal(c.psi_early.stall_us, 0);
	assert_int_equal(c.psi_emergency.stall_us, 200000);
	assert_int_equal(c.psi_emergency.window_us, 2000000);

	/* Shares become bytes where RAM is known ... */
	config_resolve(&c, 8ULL << 30, &p);
	assert_int_equal(p.limit, 2ULL << 30);
	assert_int_equal(p.floor, 3ULL << 29);
	/* ... and 10 % of 8 GiB is less than the minimum of 2 GiB. */
	assert_int_equal(p.headroom_min, 2ULL << 30);
	assert_int_equal(p.headroom_max, 2ULL << 30);
	config_resolve(&c, 40ULL << 30, &p);
	assert_int_equal(p.headroom_max, 4ULL << 30);
	config_errors_done(&errors);

	/* A word takes back a share, too. */
	assert_int_equal(load("limit = \"none\";", &c, &errors), 1);
	config_resolve(&c, 8ULL << 30, &p);
	assert_int_equal(p.limit, UINT64_MAX);
	config_errors_done(&errors);
}

/* Every value that can be shown can be read, and is the same then. */
static void shown_values_are_read_back(void **state)
{
	char text[8192] = "", value[128];
	struct config_errors errors;
	const struct config_key *keys;
	struct config c, defaults;
	size_t n;

	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&defaults, 0, sizeof(defaults));
	config_default(&defaults);
	keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		const char *dot = strchr(keys[i].name, '.');
		bool plain = keys[i].type == CONFIG_COUNT || keys[i].type == CONFIG_BOOL;
		size_t len = strlen(text);

		config_format(&defaults, &keys[i], value, sizeof(value));
		/* One group per file would do, but a group may be opened only once. */
		if (dot) {
			snprintf(text, sizeof(text), "%.*s: { %s = %s%s%s; };",
				 (int)(dot - keys[i].name), keys[i].name, dot + 1,
				 plain ? "" : "\"", value, plain ? "" : "\"");
			assert_int_equal(load(text, &c, &errors), 1);
			assert_memory_equal(&c, &defaults, sizeof(c));
			config_errors_done(&errors);
			text[0] = '\0';
			continue;
		}
		snprintf(text + len, sizeof(text) - len, "%s = %s%s%s;\n", keys[i].name,
			 plain ? "" : "\"", value, plain ? "" : "\"");
		assert_int_equal(load(text, &c, &errors), 1);
		assert_memory_equal(&c, &defaults, sizeof(c));
		config_errors_done(&errors);
	}
}

static char *read_all(const char *name)
{
	static char text[65536];
	FILE *f = fopen(name, "r");
	size_t n;

	assert_non_null(f);
	n = fread(text, 1, sizeof(text) - 1, f);
	fclose(f);
	text[n] = '\0';
	return text;
}

/* "#key = ...", "#group: {" and "#};" lose their mark; prose is "# ..." or indented. */
static void uncomment(char *text, char *ret, unsigned *ret_keys)
{
	unsigned n = 0;

	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
		char *p = line + strspn(line, "\t");

		if (p[0] == '#' && p[1] != ' ' && p[1] != '\0') {
			n += strchr(p, '=') != NULL;
			p++;
		}
		ret += sprintf(ret, "%s\n", p);
	}
	*ret_keys = n;
}

static void default_file(void **state)
{
	static char uncommented[65536];
	struct config c, defaults;
	struct config_errors errors;
	const struct config_key *keys;
	unsigned shown;
	char *text;
	size_t n;

	(void)state;
	memset(&c, 0, sizeof(c));
	memset(&defaults, 0, sizeof(defaults));
	config_default(&defaults);
	assert_int_equal(config_load(DEFAULT_FILE, &c, &errors), 1);
	assert_memory_equal(&c, &defaults, sizeof(c));
	config_errors_done(&errors);

	text = read_all(DEFAULT_FILE);
	keys = config_keys(&n);
	uncomment(text, uncommented, &shown);
	/* Each key once: a duplicate is a syntax error, an unknown one an error. */
	assert_int_equal(shown, n);
	for (size_t i = 0; i < n; i++) {
		const char *dot = strchr(keys[i].name, '.');
		char needle[64];

		snprintf(needle, sizeof(needle), "\n%s = ", dot ? dot + 1 : keys[i].name);
		if (!strstr(uncommented, needle))
			fail_msg("%s is not in the default file", keys[i].name);
	}

	if (load(uncommented, &c, &errors) != 1)
		fail_msg("%s", errors.n > 0 ? errors.lines[0] : "no reason");
	for (size_t i = 0; i < n; i++) {
		char a[128], b[128];

		config_format(&c, &keys[i], a, sizeof(a));
		config_format(&defaults, &keys[i], b, sizeof(b));
		if (strcmp(a, b) != 0)
			fail_msg("%s: the file says %s, the default is %s", keys[i].name, a, b);
	}
	assert_memory_equal(&c, &defaults, sizeof(c));
	config_errors_done(&errors);
}

static void table_is_sound(void **state)
{
	const struct config_key *keys;
	struct config defaults;
	size_t n;

	(void)state;
	config_default(&defaults);
	keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		char value[128];

		assert_true(strlen(keys[i].help) > 10 && strlen(keys[i].help) < 80);
		assert_true(strlen(keys[i].unit) > 0);
		assert_true(keys[i].offset < sizeof(struct config));
		assert_true(keys[i].min <= keys[i].max);
		assert_string_not_equal(config_format(&defaults, &keys[i], value, sizeof(value)), "?");
		for (size_t j = 0; j < i; j++) {
			assert_string_not_equal(keys[i].name, keys[j].name);
			assert_int_not_equal(keys[i].offset, keys[j].offset);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_one_by_one),
		cmocka_unit_test(errors_of_syntax),
		cmocka_unit_test(every_error_is_listed),
		cmocka_unit_test(files_that_are_none),
		cmocka_unit_test(deep_nesting_is_refused),
		cmocka_unit_test(missing_file_means_defaults),
		cmocka_unit_test(values),
		cmocka_unit_test(shown_values_are_read_back),
		cmocka_unit_test(default_file),
		cmocka_unit_test(table_is_sound),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
