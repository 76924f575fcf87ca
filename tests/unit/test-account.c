// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The account in a word and a sentence: what is in force, and why.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "serve/account.h"

#define MIB (1ULL << 20)

static void words(void **state)
{
	static const struct {
		struct sample_balloon b;
		const char *word;
		const char *says;
	} rows[] = {
		{ { .valid = false }, "", "" },
		{ { .valid = true, .may_undercut_host = true }, "available", "do not change" },
		{ { .valid = true, .may_undercut_host = true, .available = 600 * MIB,
		    .host_target_valid = true, .host_target = 600 * MIB }, "available",
		  "memory that they can have" },
		{ { .valid = true, .host_target_valid = true, .host_target = 600 * MIB,
		    .gone = 600 * MIB }, "gone", "the host does not let go" },
		{ { .valid = true, .host_target_valid = true, .host_target = 600 * MIB }, "gone",
		  "the host does not let go" },
		{ { .valid = true, .host_target_valid = true, .host_target = 200 * MIB,
		    .gone = 200 * MIB, .available = 400 * MIB }, "mixed", "200 MiB" },
		{ { .valid = true, .may_undercut_host = true, .gone = 600 * MIB,
		    .account = SAMPLE_ACCOUNT_GONE }, "gone", "missing from MemTotal, because" },
		{ { .valid = true, .may_undercut_host = true, .account = SAMPLE_ACCOUNT_GONE }, "gone",
		  "account = \"gone\"" },
		{ { .valid = true, .may_undercut_host = true, .available = 600 * MIB,
		    .account = SAMPLE_ACCOUNT_AVAILABLE }, "available", "account = \"available\"" },
		{ { .valid = true, .host_target_valid = true, .host_target = 300 * MIB,
		    .available = 600 * MIB, .firm = 300 * MIB, .account = SAMPLE_ACCOUNT_AVAILABLE },
		  "available", "does not let go of 300 MiB" },
		{ { .valid = true, .host_target_valid = true, .host_target = 300 * MIB,
		    .account = SAMPLE_ACCOUNT_AVAILABLE }, "available", "account = \"available\"" },
		{ { .valid = true, .books_elsewhere = true, .elsewhere = 5 * MIB }, "host",
		  "own driver" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct status s = {};

		account_describe(&rows[i].b, &s);
		assert_string_equal(s.account, rows[i].word);
		assert_non_null(strstr(s.account_text, rows[i].says));
		assert_true(strlen(s.account_text) < sizeof(s.account_text) - 1);
		assert_int_equal(s.account_available, rows[i].b.available);
		assert_int_equal(s.account_gone, rows[i].b.gone);
		assert_int_equal(s.account_host, rows[i].b.elsewhere);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
