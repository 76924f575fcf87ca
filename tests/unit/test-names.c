// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What the reasons say in words, by mode.
 *
 * Leaves out: that each has a name and a sentence (test-policy.c).
 */
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <setjmp.h>
#include <cmocka.h>

#include "decide/policy.h"

/* What only who moves something may say; a new reason that begins so has another in observe. */
static const char *const claims[] = {"Inflating", "Deflating", "Giving", "Moving", "Taking",
				     "Not ", "Waiting", "decides", "forbids", "moves "};

static void nothing_is_claimed_in_observe(void **state)
{
	(void)state;
	for (int i = 0; i < _REASON_MAX; i++) {
		const char *text = policy_reason_text_in(MODE_OBSERVE, i);

		assert_non_null(text);
		/* The operator's target has no say in this mode. */
		for (size_t k = 0; k < sizeof(claims) / sizeof(claims[0]); k++)
			if (i != REASON_MANUAL && strstr(text, claims[k]))
				fail_msg("%s, in mode observe: %s", policy_reason_name(i), text);
		/* It fits into what the daemon serves. */
		assert_true(strlen(text) < 128);
	}
	assert_string_equal(policy_reason_text_in(MODE_OBSERVE, REASON_FREE),
			    "Would inflate: the guest has free memory beyond its headroom.");
	assert_null(policy_reason_text_in(MODE_OBSERVE, _REASON_MAX));
}

static void the_other_modes_say_what_is(void **state)
{
	static const enum policy_mode modes[] = {MODE_AUTO, MODE_HOST, MODE_MANUAL, _MODE_MAX};

	(void)state;
	for (size_t k = 0; k < sizeof(modes) / sizeof(modes[0]); k++)
		for (int i = 0; i < _REASON_MAX; i++)
			assert_string_equal(policy_reason_text_in(modes[k], i),
					    policy_reason_text(i));
	assert_null(policy_reason_text_in(MODE_AUTO, _REASON_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_claimed_in_observe),
		cmocka_unit_test(the_other_modes_say_what_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
