// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The operator's reason is text for everybody's terminal: well-formed UTF-8 (RFC 3629, its table of
 * sequences), one line, no controls.
 *
 * Left out: where it is kept (test-hold.c).
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "serve/hold.h"

static void text(void **state)
{
	static const char *const good[] = {
		"a", "~", "\xc2\xa0", "\xdf\xbf", "\xe0\xa0\x80", "\xec\xbf\xbf", "\xed\x9f\xbf", "\xee\x80\x80",
		"\xef\xbf\xbd", "\xf0\x90\x80\x80", "\xf1\x80\x80\x80", "\xf4\x8f\xbf\xbf",
	}, *const bad[] = {
		/* Controls: C0, DEL, C1. */
		"\x1b[2J", "a\nb", "\t", "\x7f", "\xc2\x9b", "\xc2\x80",
		/* Overlong, surrogates, above the last character. */
		"\xc0\xaf", "\xc1\xbf", "\xe0\x9f\xbf", "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xed\xbf\xbf",
		"\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff",
		/* Cut off, and a rest without a beginning. */
		"\xc3", "\xe2\x82", "\xf0\x90\x80", "\xc3(", "\xe2(\xa1", "\xf0\x90\x80x", "\x80", "\xbf",
	};
	char whole[16];

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		snprintf(whole, sizeof(whole), "x%sy", good[i]);
		if (hold_reason_check(whole))
			fail_msg("good text %zu: %s", i, hold_reason_check(whole));
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(whole, sizeof(whole), "x%sy", bad[i]);
		if (!hold_reason_check(whole))
			fail_msg("bad text %zu", i);
		snprintf(whole, sizeof(whole), "x%s", bad[i]);
		if (!hold_reason_check(whole))
			fail_msg("bad text %zu at the end", i);
	}
}

static void lengths(void **state)
{
	char whole[HOLD_REASON_MAX + 2];

	(void)state;
	memset(whole, 'x', sizeof(whole));
	whole[HOLD_REASON_MAX] = '\0';
	assert_null(hold_reason_check(whole));
	whole[HOLD_REASON_MAX] = 'x';
	whole[HOLD_REASON_MAX + 1] = '\0';
	assert_non_null(strstr(hold_reason_check(whole), "too long"));
	assert_non_null(strstr(hold_reason_check(""), "needs a reason"));
	assert_non_null(strstr(hold_reason_check("   "), "needs a reason"));
	assert_null(hold_reason_check(" x "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(lengths),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
