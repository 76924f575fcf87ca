// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * What is wanted (serve/orders.c): orders are made by hand and judged by a tick that is, with the
 * times that a case names.
 *
 * Not tested here: how an order comes in (the bus suites), and what the loop makes of it
 * (test-loop-orders.c).
 */
#include "sample-maker.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "serve/orders.h"

#define NOW (1000 * SEC)
#define WALL (1700000000 * SEC)

static char path[] = "/tmp/test-orders-XXXXXX";
static struct problems problems;
static struct keep *keep;
static struct config config;
static struct orders_options options;
static struct orders orders;
static struct tick last;
static struct order_answer answer;

static void begin(void)
{
	orders_init(&orders, &options, &config, keep, &problems, NOW);
}

/* As the defaults have it, on a guest of 8 GiB that keeps 1 GiB. */
static int setup(void **state)
{
	int fd;

	(void)state;
	log_set_level(LOG_EMERG);
	strcpy(path + strlen(path) - 6, "XXXXXX");
	fd = mkstemp(path);
	assert_true(fd >= 0);
	close(fd);
	problems = (struct problems){};
	assert_int_equal(keep_new(NULL, &problems, &keep), 0);
	config_default(&config);
	options = (struct orders_options){.config_path = path, .mode = -1, .log_level = LOG_EMERG};
	last = (struct tick){
		.sample = healthy(NOW),
		.decision.n.floor = 1 * GIB,
		.limit = 6 * GIB,
	};
	set_balloon(&last.sample, 2 * GIB);
	begin();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	keep_free(keep, NULL);
	return 0;
}

static unsigned take(enum order_kind kind, const char *text, uint64_t amount)
{
	const struct order order = {.kind = kind, .text = text, .amount = amount};

	/* Whatever was there: the answer is all of it. */
	memset(&answer, 0xff, sizeof(answer));
	return orders_take(&orders, &order, &last, NOW, WALL, &answer);
}

static void assert_refused(enum order_refusal refusal, const char *why)
{
	assert_int_equal(answer.refusal, refusal);
	if (!strstr(answer.why, why))
		fail_msg("\"%s\", want \"%s\"", answer.why, why);
}

static struct policy_config resolved(void)
{
	struct policy_config c;

	orders_resolve(&orders, 8 * GIB, &c);
	return c;
}

/* --- a size --- */

static void a_size_is_followed_within_floor_and_limit(void **state)
{
	(void)state;
	assert_int_equal(take(ORDER_SET_TARGET, NULL, 6 * GIB), ORDERS_CHANGED);
	assert_int_equal(answer.refusal, REFUSED_NOT);
	assert_string_equal(answer.why, "");
	assert_int_equal(resolved().mode, MODE_MANUAL);
	assert_int_equal(resolved().manual_target, 6 * GIB);

	assert_int_equal(take(ORDER_SET_TARGET, NULL, 6 * GIB + 1), 0);
	assert_refused(REFUSED_OVER_LIMIT, "over the limit of 6 GiB");
	last.limit = UINT64_MAX;
	assert_int_equal(take(ORDER_SET_TARGET, NULL, 7 * GIB), ORDERS_CHANGED);
	assert_int_equal(take(ORDER_SET_TARGET, NULL, 7 * GIB + 1), 0);
	assert_refused(REFUSED_BELOW_FLOOR,
		       "less than the 1 GiB that this guest keeps; at most 7 GiB");
	assert_int_equal(take(ORDER_SET_TARGET, NULL, UINT64_MAX), 0);
	assert_refused(REFUSED_BELOW_FLOOR, "at most 7 GiB");
	/* What is refused changes nothing. */
	assert_int_equal(resolved().manual_target, 7 * GIB);
}

static void a_size_needs_to_know_the_machine(void **state)
{
	(void)state;
	last.sample.ram = 0;
	assert_int_equal(take(ORDER_SET_TARGET, NULL, 0), 0);
	assert_refused(REFUSED_INVALID, "not known yet");
	assert_int_equal(orders.mode, MODE_AUTO);
}

static void without_a_size_manual_means_as_it_is(void **state)
{
	(void)state;
	/* Found before anybody said anything. */
	orders_found(&orders, 3 * GIB);
	assert_int_equal(resolved().manual_target, 3 * GIB);
	assert_int_equal(take(ORDER_SET_MODE, "manual", 0), ORDERS_CHANGED);
	assert_int_equal(resolved().manual_target, 2 * GIB);
	/* A device that comes back is no other order. */
	orders_found(&orders, 1 * GIB);
	assert_int_equal(resolved().manual_target, 2 * GIB);
	/* The same mode again is none, either. */
	set_balloon(&last.sample, 4 * GIB);
	assert_int_equal(take(ORDER_SET_MODE, "manual", 0), ORDERS_CHANGED);
	assert_int_equal(resolved().manual_target, 2 * GIB);
}

static void of_what_serves_meanwhile_no_size_is_taken(void **state)
{
	(void)state;
	last.reporting = true;
	(void)take(ORDER_SET_MODE, "manual", 0);
	assert_int_equal(resolved().manual_target, 2 * GIB);
	/* Ours comes. */
	orders_found(&orders, 1 * GIB);
	assert_int_equal(resolved().manual_target, 1 * GIB);
}

/* --- names --- */

static void names_are_checked(void **state)
{
	(void)state;
	assert_int_equal(take(ORDER_SET_MODE, "observe", 0), ORDERS_CHANGED);
	assert_int_equal(resolved().mode, MODE_OBSERVE);
	assert_int_equal(take(ORDER_SET_MODE, "autor", 0), 0);
	assert_refused(REFUSED_INVALID,
		       "there is no mode \"autor\"; auto, host, manual and observe exist");
	assert_int_equal(take(ORDER_SET_LAW, "committed", 0), ORDERS_CHANGED);
	assert_int_equal(resolved().law, LAW_COMMITTED);
	assert_int_equal(take(ORDER_SET_LAW, "x", 0), 0);
	assert_refused(REFUSED_INVALID, "there is no law \"x\"; there are adaptive, committed");
	assert_int_equal(resolved().mode, MODE_OBSERVE);
	assert_int_equal(resolved().law, LAW_COMMITTED);
}

/* --- the hold --- */

static void a_hold_lasts_until_it_is_over(void **state)
{
	(void)state;
	assert_int_equal(take(ORDER_HOLD, "backup", 60 * SEC), ORDERS_CHANGED);
	/* There is no state directory. */
	assert_false(answer.kept);
	assert_true(resolved().hold);
	assert_int_equal(orders.hold.since_us, WALL);
	assert_int_equal(orders.hold.until_us, WALL + 60 * SEC);
	assert_int_equal(take(ORDER_SET_TARGET, NULL, GIB), 0);
	assert_refused(REFUSED_HELD, "the balloon is held (backup)");
	assert_false(orders_expire(&orders, NOW + 60 * SEC - 1));
	assert_true(resolved().hold);
	assert_true(orders_expire(&orders, NOW + 60 * SEC));
	assert_false(resolved().hold);
	assert_false(orders_expire(&orders, NOW + 61 * SEC));
}

static void a_hold_without_a_time_is_released(void **state)
{
	(void)state;
	assert_int_equal(take(ORDER_RELEASE, NULL, 0), 0);
	assert_int_equal(answer.refusal, REFUSED_NOT);
	assert_false(answer.was_held);
	(void)take(ORDER_HOLD, "backup", 0);
	assert_int_equal(orders.hold.until_us, 0);
	assert_false(orders_expire(&orders, UINT64_MAX - 1));
	assert_int_equal(take(ORDER_RELEASE, NULL, 0), ORDERS_CHANGED);
	assert_true(answer.was_held);
	assert_false(resolved().hold);
}

static void a_hold_needs_a_reason_and_an_end_in_sight(void **state)
{
	(void)state;
	assert_int_equal(take(ORDER_HOLD, "", 0), 0);
	assert_int_equal(answer.refusal, REFUSED_INVALID);
	assert_int_equal(take(ORDER_HOLD, "x", HOLD_MAX_US), ORDERS_CHANGED);
	assert_int_equal(take(ORDER_HOLD, "y", HOLD_MAX_US + 1), 0);
	assert_refused(REFUSED_INVALID, "366 days at most");
	assert_string_equal(orders.hold.reason, "x");
}

static void a_hold_that_has_survived_is_in_force(void **state)
{
	const struct hold h = {.held = true, .since_us = clock_wall_us(), .reason = "backup",
			       .until_us = clock_wall_us() + 3600 * SEC};
	char dir[] = "/tmp/test-orders-dir-XXXXXX", file[64];
	struct keep *with;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(keep_new(dir, &problems, &with), 0);
	assert_true(keep_hold(with, &h));
	orders_init(&orders, &options, &config, with, &problems, NOW);
	assert_true(resolved().hold);
	assert_string_equal(orders.hold.reason, "backup");
	/* By the clock that counts sleep from now on. */
	assert_false(orders_expire(&orders, NOW));
	assert_true(orders_expire(&orders, NOW + 3600 * SEC));
	keep_free(with, NULL);
	snprintf(file, sizeof(file), "%s/history", dir);
	unlink(file);
	/* With the hold its file has gone. */
	assert_int_equal(rmdir(dir), 0);
}

/* --- a reload --- */

static unsigned reload(const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	return take(ORDER_RELOAD, NULL, 0);
}

static void a_reload_says_what_is_to_follow(void **state)
{
	(void)state;
	assert_int_equal(reload(""), ORDERS_CHANGED);
	assert_int_equal(reload("floor = \"25%\";"), ORDERS_CHANGED);
	assert_int_equal(resolved().floor, 2 * GIB);
	assert_int_equal(reload("lease = \"20s\";"), ORDERS_CHANGED | ORDERS_LEASE);
	assert_int_equal(orders.config.lease_us, 20 * SEC);
	assert_int_equal(reload("lease = \"20s\"; psi: { early = \"off\"; };"),
			 ORDERS_CHANGED | ORDERS_TRIGGERS);
	assert_int_equal(reload("lease = \"20s\"; psi: { early = \"off\"; };"), ORDERS_CHANGED);
	/* The kernel has withdrawn one: to have it again is what a reload is for. */
	problem_set(&problems, PROBLEM_PSI, LOG_DEBUG, "withdrawn");
	assert_int_equal(reload("lease = \"20s\"; psi: { early = \"off\"; };"),
			 ORDERS_CHANGED | ORDERS_TRIGGERS);
}

static void a_wrong_file_changes_nothing(void **state)
{
	(void)state;
	(void)reload("mode = \"host\";");
	assert_int_equal(reload("mode = \"observe\"; lease = \"20\";"), ORDERS_CHANGED);
	assert_refused(REFUSED_BAD_CONFIG, ":1: lease: needs a unit");
	assert_string_equal(orders.config_error, answer.why);
	assert_non_null(strstr(problems.text[PROBLEM_CONFIG],
			       "not reloaded, the old configuration"));
	assert_int_equal(orders.mode, MODE_HOST);
	assert_int_equal(orders.config.lease_us, 30 * SEC);
	(void)reload("mode = \"x\"; lease = \"20\";");
	assert_refused(REFUSED_BAD_CONFIG, "(and 1 more)");
	(void)reload("mode = \"host\";");
	assert_string_equal(orders.config_error, "");
	assert_string_equal(problems.text[PROBLEM_CONFIG], "");
}

static void a_file_that_is_missing_is_wrong_if_it_was_named(void **state)
{
	(void)state;
	unlink(path);
	(void)take(ORDER_RELOAD, NULL, 0);
	assert_int_equal(answer.refusal, REFUSED_NOT);
	options.config_required = true;
	begin();
	(void)take(ORDER_RELOAD, NULL, 0);
	assert_refused(REFUSED_BAD_CONFIG, "there is no such file");
}

static void what_was_changed_at_run_time_stays_unless_the_file_has_changed(void **state)
{
	(void)state;
	(void)take(ORDER_SET_MODE, "observe", 0);
	(void)take(ORDER_SET_LAW, "committed", 0);
	(void)reload("floor = \"25%\";");
	assert_int_equal(resolved().mode, MODE_OBSERVE);
	assert_int_equal(resolved().law, LAW_COMMITTED);
	(void)reload("mode = \"host\"; law = \"committed\";");
	assert_int_equal(resolved().mode, MODE_HOST);
	(void)reload("mode = \"manual\"; law = \"adaptive\";");
	assert_int_equal(resolved().law, LAW_ADAPTIVE);
	/* Nobody named a size. */
	assert_int_equal(resolved().manual_target, 2 * GIB);
	/* The command line's mode is over the file's. */
	options.mode = MODE_OBSERVE;
	begin();
	assert_int_equal(resolved().mode, MODE_OBSERVE);
	(void)reload("mode = \"host\";");
	assert_int_equal(resolved().mode, MODE_OBSERVE);
}

static void who_is_about_to_end_reloads_nothing(void **state)
{
	(void)state;
	last.stopping = true;
	assert_int_equal(reload("mode = \"host\";"), 0);
	assert_refused(REFUSED_BAD_CONFIG, "about to exit");
	assert_int_equal(orders.mode, MODE_AUTO);
}

static void each_value_in_force_can_be_asked_for(void **state)
{
	char value[300];
	const char *name;
	bool found = false;
	size_t n = 0;

	(void)state;
	(void)reload("lease = \"20s\";");
	while ((name = orders_config_value(&orders, n, value, sizeof(value)))) {
		found = found || (strcmp(name, "lease") == 0 && strcmp(value, "20s") == 0);
		n++;
	}
	assert_true(found && n > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(a_size_is_followed_within_floor_and_limit),
		T(a_size_needs_to_know_the_machine),
		T(without_a_size_manual_means_as_it_is),
		T(of_what_serves_meanwhile_no_size_is_taken),
		T(names_are_checked),
		T(a_hold_lasts_until_it_is_over),
		T(a_hold_without_a_time_is_released),
		T(a_hold_needs_a_reason_and_an_end_in_sight),
		T(a_hold_that_has_survived_is_in_force),
		T(a_reload_says_what_is_to_follow),
		T(a_wrong_file_changes_nothing),
		T(a_file_that_is_missing_is_wrong_if_it_was_named),
		T(what_was_changed_at_run_time_stays_unless_the_file_has_changed),
		T(who_is_about_to_end_reloads_nothing),
		T(each_value_in_force_can_be_asked_for),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
