// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is suggested for a word that was mistyped, and for which words nothing is.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "basic/near.h"

static const char *const words[] = {
	"status",  "watch",   "set-target", "mode",   "policy",	    "hold",
	"release", "history", "reload",	    "config", "check-config",
};

static const char *best(const char *word)
{
	struct near n;

	near_init(&n, word, strlen(word));
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		near_try(&n, words[i]);
	return n.best;
}

static void suggested(void **state)
{
	static const char *const rows[][2] = {
		{ "stauts", "status" },		{ "staus", "status" },
		{ "sstatus", "status" },	{ "statuz", "status" },
		{ "hlod", "hold" },		{ "old", "hold" },
		{ "histroy", "history" },	{ "hitsory", "history" },
		{ "settarget", "set-target" },	{ "set_target", "set-target" },
		{ "set-trgaet", "set-target" },	{ "check_confg", "check-config" },
		{ "polcy", "policy" },		{ "relaod", "reload" },
		{ "mdoe", "mode" },		{ "status", "status" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *got = best(rows[i][0]);

		if (!got || strcmp(got, rows[i][1]) != 0)
			fail_msg("\"%s\": %s, expected %s", rows[i][0], got ? got : "nothing",
				 rows[i][1]);
	}
}

static void another_word(void **state)
{
	static const char *const rows[] = {
		"", "x", "h", "frob", "start", "stop", "is-active", "hist", "hdlo.", "targetset",
	};
	char longest[200];

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (best(rows[i]))
			fail_msg("\"%s\": %s, expected nothing", rows[i], best(rows[i]));
	memset(longest, 's', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	assert_null(best(longest));
}

/* Not more than the letters that count, and of two the first. */
static void a_part_of_a_word(void **state)
{
	struct near n;

	(void)state;
	near_init(&n, "jsno=short", 4);
	near_try(&n, "json");
	assert_string_equal(n.best, "json");
	assert_int_equal(n.distance, 1);
	near_init(&n, "cvg", 3);
	near_try(&n, "svg");
	near_try(&n, "cvs");
	assert_string_equal(n.best, "svg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(suggested),
		cmocka_unit_test(another_word),
		cmocka_unit_test(a_part_of_a_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
