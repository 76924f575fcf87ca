// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Drop-ins of balloond.conf: which files of which directory are read, in which order and what masks
 * what; that keys are merged one by one and know where they are from; and that whatever is wrong with
 * one of them is said and changes nothing.
 *
 * Directories of the test's own stand for those in /etc, /run and /usr/lib.
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

#include "config/config.h"

#define MIB (1ULL << 20)
#define S   1000000ULL

static char folder[64];
static char dir[3][80];
static const char *const dirs[] = {dir[0], dir[1], dir[2], NULL};

static struct config config;
static struct config_origins origins;
static struct config_errors errors;

static const char *at(const char *name)
{
	static char path[8][512];
	static unsigned next;

	next = (next + 1) % 8;
	snprintf(path[next], sizeof(path[next]), "%s/%s", folder, name);
	return path[next];
}

static int setup(void **state)
{
	static const char *const names[] = {"etc", "run", "lib"};

	(void)state;
	strcpy(folder, "/tmp/test-config-dropins-XXXXXX");
	if (!mkdtemp(folder) || chmod(folder, 0755) < 0)
		return -1;
	for (unsigned i = 0; i < 3; i++) {
		snprintf(dir[i], sizeof(dir[i]), "%s/%s", folder, names[i]);
		if (mkdir(dir[i], 0755) < 0)
			return -1;
	}
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	return system(command);
}

static void put(const char *name, const char *text)
{
	FILE *f = fopen(at(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void done(void)
{
	config_origins_done(&origins);
	config_errors_done(&errors);
}

static void load(int want)
{
	int r = config_load_from(at("main.conf"), dirs, &config, &origins, &errors);

	if (r != want)
		fail_msg("%d, not %d: %s", r, want, errors.n > 0 ? errors.lines[0] : "no error");
}

static void loads(int want)
{
	load(want);
	assert_int_equal(errors.n, 0);
}

/* The configuration is refused for just this; "NAME..." below the folder, and what comes behind. */
static void refused(size_t n, const char *const want[])
{
	struct config before;

	memset(&config, 0x5a, sizeof(config));
	before = config;
	load(-EINVAL);
	for (size_t i = 0; i < n; i++) {
		if (i >= errors.n)
			fail_msg("%zu errors, want \"%s\"", errors.n, want[i]);
		if (strncmp(errors.lines[i], at(want[i]), strlen(at(want[i]))) != 0)
			fail_msg("\"%s\", want \"%s\"", errors.lines[i], want[i]);
	}
	if (errors.n > n)
		fail_msg("one too many: \"%s\"", errors.lines[n]);
	assert_memory_equal(&config, &before, sizeof(config));
	done();
}

#define REFUSED(...)                                                                               \
	do {                                                                                       \
		const char *const want[] = {__VA_ARGS__};                                          \
		refused(sizeof(want) / sizeof(want[0]), want);                                     \
	} while (0)

/* "NAME:LINE" below the folder; NULL: the default. */
static void is_from(const char *key, const char *want)
{
	size_t n, i = 0;
	const struct config_key *keys = config_keys(&n);
	char text[512];

	while (strcmp(keys[i].name, key) != 0)
		i++;
	if (!want) {
		assert_int_equal(origins.of[i].line, 0);
		return;
	}
	snprintf(text, sizeof(text), "%s:%u", origins.files.paths[origins.of[i].file], origins.of[i].line);
	assert_string_equal(text, at(want));
}

static void keys_are_merged_one_by_one(void **state)
{
	(void)state;
	put("main.conf", "limit = \"25%\"; floor = \"512M\";\ntail: { stuck = \"5s\"; settle = \"3s\"; };");
	put("etc/10-a.conf", "\ntail: { stuck = \"6s\"; };\nlimit = \"1G\"; adopt = true;");
	put("etc/20-b.conf", "tail: {\n\n\tstuck = \"7s\"; start_wait = \"1s\"; }; floor = \"20%\";");
	loads(1);
	assert_int_equal(config.policy.stuck_us, 7 * S);
	assert_int_equal(config.policy.settle_us, 3 * S);
	assert_int_equal(config.policy.start_wait_us, 1 * S);
	/* A size in place of a share, and the other way round. */
	assert_int_equal(config.policy.limit, 1024 * MIB);
	assert_int_equal(config.ram_ppm[SIZE_LIMIT], 0);
	assert_int_equal(config.ram_ppm[SIZE_FLOOR], 200000);
	assert_true(config.adopt);
	is_from("tail.stuck", "etc/20-b.conf:3");
	is_from("tail.settle", "main.conf:2");
	is_from("limit", "etc/10-a.conf:3");
	is_from("floor", "etc/20-b.conf:3");
	is_from("mode", NULL);
	assert_int_equal(origins.files.n, 3);
	done();
}

static void names_decide_and_not_directories(void **state)
{
	(void)state;
	put("main.conf", "lease = \"10s\";");
	/* Bytewise: 10 is before 9, and B before a. */
	put("etc/10.conf", "lease = \"11s\"; interval = \"1s\"; log_level = \"err\"; limit = \"1M\";");
	put("run/9.conf", "lease = \"12s\"; interval = \"2s\"; log_level = \"notice\";");
	put("lib/B.conf", "lease = \"13s\"; interval = \"3s\";");
	put("etc/a.conf", "lease = \"14s\";");
	loads(1);
	assert_int_equal(config.lease_us, 14 * S);
	assert_int_equal(config.policy.interval_us, 3 * S);
	is_from("log_level", "run/9.conf:1");
	is_from("limit", "etc/10.conf:1");
	assert_int_equal(origins.files.n, 5);
	done();
}

static void the_first_directory_masks(void **state)
{
	(void)state;
	put("etc/1.conf", "lease = \"11s\";");
	put("run/1.conf", "lease = \"12s\"; limit = \"1G\"; nobody reads this");
	put("lib/1.conf", "nor this");
	put("run/2.conf", "interval = \"2s\";");
	put("lib/2.conf", "nor that");
	put("lib/3.conf", "idle_interval = \"4s\";");
	loads(0);
	assert_int_equal(config.lease_us, 11 * S);
	is_from("limit", NULL);
	is_from("interval", "run/2.conf:1");
	is_from("idle_interval", "lib/3.conf:1");
	assert_int_equal(origins.files.n, 3);
	done();
	/* Whatever it is: here, what cannot be read. */
	assert_int_equal(mkdir(at("etc/3.conf"), 0755), 0);
	REFUSED("etc/3.conf: is a directory, not a file");
}

static void nothing_masks_something(void **state)
{
	(void)state;
	put("lib/1.conf", "lease = \"11s\";");
	put("lib/2.conf", "limit = \"1G\";");
	put("run/3.conf", "interval = \"2s\";");
	assert_int_equal(symlink("/dev/null", at("etc/1.conf")), 0);
	put("run/2.conf", "");
	loads(0);
	is_from("lease", NULL);
	is_from("limit", NULL);
	is_from("interval", "run/3.conf:1");
	/* They are no files of the configuration. */
	assert_int_equal(origins.files.n, 1);
	done();
	/* Another device is none. */
	assert_int_equal(symlink("/dev/zero", at("etc/3.conf")), 0);
	REFUSED("etc/3.conf: is a device, pipe or socket, not a file");
}

static void what_is_no_dropin(void **state)
{
	static const char *const names[] = {"1.conf~", "1.conf.dpkg-new", ".1.conf", ".conf", "conf", "1.CONF",
					    "README"};
	char name[64];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(name, sizeof(name), "etc/%s", names[i]);
		put(name, "not a configuration");
	}
	put("etc/a.conf", "lease = \"11s\";");
	loads(0);
	assert_int_equal(origins.files.n, 1);
	done();
	/* None of the directories has to be there. */
	for (unsigned i = 0; i < 3; i++)
		snprintf(dir[i], sizeof(dir[i]), "%s", at("nowhere"));
	loads(0);
	assert_int_equal(origins.files.n, 0);
	done();
}

static void each_file_that_is_wrong_is_said(void **state)
{
	(void)state;
	put("main.conf", "lease = \"11\";\nlimit = \"1G\";");
	put("etc/1.conf", "\nmod = \"auto\"; tail: { stuck = \"5\"; };");
	put("run/2.conf", "lease = \"12s\";\nlease = \"13s\";");
	put("run/3.conf", "@include \"3.conf\"\n");
	put("lib/4.conf", "/* lease = \"12s\";");
	put("lib/5.conf", "lease = \"12s\";\nlimit 1G;");
	assert_int_equal(mkfifo(at("lib/6.conf"), 0600), 0);
	assert_int_equal(symlink("nowhere", at("etc/7.conf")), 0);
	assert_int_equal(symlink("8.conf", at("etc/8.conf")), 0);
	put("etc/9.conf", "lease = \"12s\"; x = 1;");
	REFUSED("main.conf:1: lease: needs a unit", "etc/1.conf:2: mod: unknown key",
		"etc/1.conf:2: tail.stuck: needs a unit", "run/2.conf:2: duplicate setting name",
		"run/3.conf:1: @include is not supported", "lib/4.conf:1: the comment that starts here",
		"lib/5.conf:2: syntax error", "lib/6.conf: is a device, pipe or socket",
		"etc/7.conf: cannot be opened: it is a link to a file that is not there",
		"etc/8.conf: cannot be opened: Too many levels of symbolic links", "etc/9.conf:1: x: unknown key");
}

static void directories_that_cannot_be_listed(void **state)
{
	(void)state;
	put("main.conf", "lease = \"11s\";");
	put("file", "");
	put("run/1.conf", "limit = \"1\";");
	assert_int_equal(symlink(at("nowhere"), at("link")), 0);
	snprintf(dir[0], sizeof(dir[0]), "%s", at("file"));
	snprintf(dir[2], sizeof(dir[2]), "%s", at("link"));
	REFUSED("file: cannot be listed: Not a directory",
		"link: cannot be listed: it is a link to a directory that is not there",
		"run/1.conf:1: limit: needs a unit");
}

static void permissions(void **state)
{
	uid_t own = geteuid();

	(void)state;
	put("main.conf", "lease = \"11s\";");
	put("etc/1.conf", "lease = \"12s\";");
	put("run/1.conf", "lease = \"13s\";");
	put("run/2.conf", "limit = \"1G\";");
	assert_int_equal(chmod(at("etc/1.conf"), 0), 0);
	assert_int_equal(chmod(dir[2], 0), 0);
	/* As the daemon, who is not root. */
	if (own == 0)
		assert_int_equal(seteuid(65534), 0);
	REFUSED("lib: cannot be listed: Permission denied", "etc/1.conf: cannot be opened: Permission denied");
	assert_int_equal(seteuid(own), 0);
	assert_int_equal(chmod(dir[2], 0700), 0);
}

static void keys_of_two_files_disagree(void **state)
{
	(void)state;
	put("main.conf", "\nidle_interval = \"2s\";");
	put("etc/1.conf", "\n\ninterval = \"3s\";");
	REFUSED("etc/1.conf:3: interval: is more than idle_interval (3s > 2s); the other one is in ");
	load(-EINVAL);
	assert_non_null(strstr(errors.lines[0], at("main.conf:2")));
	done();
	/* Blamed is the later file, whatever the lines. */
	put("etc/2.conf", "idle_interval = \"1s\";");
	REFUSED("etc/2.conf:1: interval: is more than idle_interval (3s > 1s); the other one is in ");
	/* The last one puts it right. */
	put("etc/3.conf", "idle_interval = \"3s\";");
	loads(1);
	done();
	/* What a file says that is not read might have put it right, too. */
	put("etc/3.conf", "idle_interval = 3s;");
	REFUSED("etc/3.conf:1: syntax error");
}

static void many_files(void **state)
{
	char name[64], text[64];

	(void)state;
	for (unsigned i = 0; i < 700; i++) {
		snprintf(name, sizeof(name), "%s/%03u.conf", (const char *[]){"etc", "run", "lib"}[i % 3], i);
		snprintf(text, sizeof(text), "lease = \"%us\";", i + 10);
		put(name, text);
	}
	loads(0);
	assert_int_equal(config.lease_us, 709 * S);
	assert_int_equal(origins.files.n, 700);
	is_from("lease", "etc/699.conf:1");
	done();
}

static void names_that_are_no_text(void **state)
{
	(void)state;
	put("etc/a\xff\n\x1b.conf", "lease = \"12s\";");
	loads(0);
	is_from("lease", "etc/a\xff\n\x1b.conf:1");
	done();
	/* Said in one line that a bus takes. */
	put("etc/a\xff\n\x1b.conf", "lease = \"12\";");
	put("etc/\xc3\xa9.conf", "lease = \"12\";");
	REFUSED("etc/a???.conf:1: lease: needs a unit", "etc/\xc3\xa9.conf:1: lease: needs a unit");
}

/* Without directories that are named: those beside the file. */
static void the_directory_beside_a_file(void **state)
{
	(void)state;
	assert_int_equal(mkdir(at("main.conf.d"), 0755), 0);
	put("main.conf", "lease = \"11s\";");
	put("main.conf.d/1.conf", "lease = \"12s\";");
	put("etc/1.conf", "lease = \"13s\";");
	assert_int_equal(config_load(at("main.conf"), &config, &errors), 1);
	assert_int_equal(config.lease_us, 12 * S);
	config_errors_done(&errors);
	/* Without the file they count all the same, and that it is not there is told. */
	assert_int_equal(unlink(at("main.conf")), 0);
	assert_int_equal(config_load(at("main.conf"), &config, &errors), 0);
	assert_int_equal(config.lease_us, 12 * S);
	config_errors_done(&errors);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(keys_are_merged_one_by_one), T(names_decide_and_not_directories), T(the_first_directory_masks),
		T(nothing_masks_something), T(what_is_no_dropin), T(each_file_that_is_wrong_is_said),
		T(directories_that_cannot_be_listed), T(permissions), T(keys_of_two_files_disagree),
		T(many_files), T(names_that_are_no_text), T(the_directory_beside_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
