// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * When the host is asked for a proof, what a page that it keeps does to the balloon, and how many
 * of them it takes to say that it takes nothing. And what follows from one that it answers late:
 * nothing.
 *
 * Left out: how it is proven (tests/vm/suites/proof.py).
 */
#include "sample-maker.h"

#define MIN (60 * SEC)

static struct policy_config config;
static struct policy_state state;
static struct sample sample;
static struct policy_decision decision;
static enum sample_proof host; /* what it answers */
static unsigned asked;
static uint64_t last_hold_us;

/* A balloon that does as it is told, and a host that is asked when the decision says so. */
static void tick(uint64_t us)
{
	sample.time_us += us;
	policy_decide(&config, &state, &sample, &decision);
	set_balloon(&sample, sample.balloon.size + decision.step);
	sample.balloon.asked = sample.balloon.moved = decision.step;
	sample.balloon.proof = decision.prove ? host : SAMPLE_PROOF_NONE;
	if (!decision.prove)
		return;
	asked++;
	last_hold_us = decision.prove_hold_us;
}

static void seconds(unsigned n)
{
	while (n--)
		tick(SEC);
}

static void begin(uint64_t size, enum sample_proof answer)
{
	policy_config_default(&config);
	policy_init(&state);
	sample = healthy(1000 * SEC);
	set_balloon(&sample, size);
	host = answer;
	asked = 0;
	tick(0);
	asked = 0;
}

/* Until the host is held to take nothing; not before limit seconds are over it is a failure. */
static unsigned seconds_until_denied(unsigned limit)
{
	for (unsigned i = 1; i <= limit; i++) {
		tick(SEC);
		if (decision.taken == TAKEN_NOTHING)
			return i;
	}
	return limit + 1;
}

static void a_small_balloon_is_not_proven(void **unused)
{
	(void)unused;
	begin(0, SAMPLE_PROOF_TAKEN);
	config.limit = 31 * MIB;
	seconds(100);
	assert_true(sample.balloon.size > 16 * MIB);
	assert_int_equal(asked, 0);
	assert_int_equal(decision.taken, TAKEN_UNKNOWN);
	config.limit = 64 * MIB;
	seconds(20);
	assert_int_equal(asked, 1);
	assert_int_equal(last_hold_us, 0);
	assert_int_equal(decision.taken, TAKEN_PROVEN);
}

static void a_host_that_takes_is_asked_rarely(void **unused)
{
	uint64_t size;

	(void)unused;
	begin(GIB, SAMPLE_PROOF_TAKEN);
	seconds(10 * 60 - 10);
	assert_int_equal(asked, 1);
	size = sample.balloon.size;
	assert_true(size > 2 * GIB);
	seconds(60 * 60);
	assert_int_equal(asked, 7);
	assert_true(sample.balloon.size >= size);
}

static void a_doubt_stops_inflation(void **unused)
{
	uint64_t size;

	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	config.inflate_rate = 16 * MIB;
	seconds(2);
	assert_int_equal(asked, 1);
	tick(SEC);
	size = sample.balloon.size;
	assert_true(size > GIB);
	seconds(50);
	assert_int_equal(decision.reason, REASON_NOT_TAKEN);
	assert_int_equal(decision.taken, TAKEN_IN_DOUBT);
	assert_int_equal(sample.balloon.size, size);
	assert_int_equal(asked, 1);
	/* Asked again sooner, and the host gets time. */
	host = SAMPLE_PROOF_TAKEN;
	seconds(15);
	assert_int_equal(asked, 2);
	assert_int_equal(last_hold_us, 100000);
	assert_int_equal(decision.taken, TAKEN_PROVEN);
	seconds(60);
	assert_true(sample.balloon.size > size);
	assert_int_equal(asked, 2);
}

static void enough_doubts_deny_it(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	/* Not before half of the interval. */
	assert_in_range(seconds_until_denied(500), 5 * 60, 6 * 60 + 10);
	assert_int_equal(asked, 6);
	assert_int_equal(decision.reason, REASON_NOT_TAKEN);
	seconds(60);
	assert_int_equal(sample.balloon.size, 0);
	assert_int_equal(decision.reason, REASON_NOT_TAKEN);
	/* Then rarely, although there is no balloon. */
	asked = 0;
	seconds(60 * 60);
	assert_in_range(asked, 5, 6);
	assert_int_equal(sample.balloon.size, 0);
	host = SAMPLE_PROOF_TAKEN;
	seconds(11 * 60);
	assert_int_equal(decision.taken, TAKEN_PROVEN);
	assert_true(sample.balloon.size > 0);
	/* That is over: the next one is a doubt, as the first was. */
	host = SAMPLE_PROOF_KEPT;
	seconds(11 * 60);
	assert_int_equal(decision.taken, TAKEN_IN_DOUBT);
	assert_true(sample.balloon.size > 0);
}

static void five_are_no_denial(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	while (asked < 5)
		tick(SEC);
	/* However long the next one takes. */
	host = SAMPLE_PROOF_UNKNOWN;
	seconds(8 * 60);
	assert_int_equal(decision.taken, TAKEN_IN_DOUBT);
	assert_true(sample.balloon.size >= GIB);
	host = SAMPLE_PROOF_TAKEN;
	seconds(120);
	assert_int_equal(decision.taken, TAKEN_PROVEN);
	/* And do not count any more. */
	host = SAMPLE_PROOF_KEPT;
	assert_in_range(seconds_until_denied(2000), 14 * 60, 20 * 60);
}

static void no_answer_changes_nothing(void **unused)
{
	uint64_t size;

	(void)unused;
	begin(GIB, SAMPLE_PROOF_UNKNOWN);
	/* In the hope for better at first, and then as rarely as any. */
	seconds(40 * 60);
	assert_in_range(asked, 12, 15);
	assert_int_equal(decision.taken, TAKEN_UNKNOWN);
	size = sample.balloon.size;
	assert_true(size > GIB);
	/* Nor does it end a doubt, or make one larger. */
	host = SAMPLE_PROOF_KEPT;
	for (int i = 0; i < 601 && decision.taken != TAKEN_IN_DOUBT; i++)
		tick(SEC);
	host = SAMPLE_PROOF_UNKNOWN;
	seconds(8 * 60);
	assert_int_equal(decision.taken, TAKEN_IN_DOUBT);
	/* What cannot be proven at all is not asked for more often. */
	begin(GIB, SAMPLE_PROOF_NONE);
	seconds(60 * 60);
	assert_in_range(asked, 6, 7);
	assert_int_equal(decision.taken, TAKEN_UNKNOWN);
}

static void only_a_calm_guest_is_asked(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_TAKEN);
	sample.balloon.holdoff_us = SEC;
	seconds(5);
	assert_int_equal(asked, 0);
	sample.balloon.holdoff_us = 0;
	sample.balloon.draining = true;
	seconds(5);
	assert_int_equal(asked, 0);
	sample.balloon.draining = false;
	for (int i = 0; i < 20; i++) {
		press(&sample, SEC, 600, 300, 100000);
		tick(SEC);
	}
	assert_int_equal(asked, 0);
	seconds(60);
	assert_int_equal(asked, sample.balloon.size >= 32 * MIB);
	config.proof_interval_us = 0;
	asked = 0;
	seconds(2 * 60 * 60);
	assert_int_equal(asked, 0);
}

/* Nobody is blamed who is not asked any more. */
static void not_asked_is_not_denied(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	assert_true(seconds_until_denied(1000) < 1000);
	config.proof_interval_us = 0;
	seconds(1);
	assert_int_equal(decision.taken, TAKEN_UNKNOWN);
	seconds(120);
	assert_true(sample.balloon.size > GIB);
}

static void a_shorter_interval_counts_at_once(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_TAKEN);
	config.proof_interval_us = 60 * MIN;
	seconds(60);
	assert_int_equal(asked, 1);
	config.proof_interval_us = 2 * MIN;
	seconds(2 * 60);
	assert_in_range(asked, 2, 3);
}

/* A doubt that cannot be cleared up is let go; a denial is not. */
static void many_that_tell_nothing_are_no_doubt(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	seconds(60);
	assert_int_equal(decision.taken, TAKEN_IN_DOUBT);
	host = SAMPLE_PROOF_UNKNOWN;
	seconds(5 * 60);
	assert_int_equal(decision.taken, TAKEN_IN_DOUBT);
	seconds(10 * 60);
	assert_int_equal(decision.taken, TAKEN_UNKNOWN);
	assert_true(sample.balloon.size > GIB);

	begin(GIB, SAMPLE_PROOF_KEPT);
	assert_true(seconds_until_denied(1000) < 1000);
	host = SAMPLE_PROOF_UNKNOWN;
	seconds(60 * 60);
	assert_int_equal(decision.taken, TAKEN_NOTHING);
}

static void a_hold_keeps_what_is_denied(void **unused)
{
	uint64_t size;

	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	config.hold = true;
	size = sample.balloon.size;
	assert_true(seconds_until_denied(1000) < 1000);
	seconds(60);
	assert_int_equal(sample.balloon.size, size);
	config.hold = false;
	seconds(60);
	assert_int_equal(sample.balloon.size, 0);
}

static void observe_asks_nobody(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	config.mode = MODE_OBSERVE;
	seconds(60);
	assert_int_equal(asked, 0);
}

static void the_hosts_order_waits_the_operators_does_not(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	config.mode = MODE_HOST;
	sample.balloon.host_target_valid = true;
	sample.balloon.host_target = 2 * GIB;
	config.inflate_rate = 16 * MIB;
	seconds(50);
	assert_int_equal(decision.reason, REASON_NOT_TAKEN);
	assert_true(sample.balloon.size < 2 * GIB);
	config.mode = MODE_MANUAL;
	config.manual_target = 2 * GIB;
	seconds(150);
	assert_int_equal(sample.balloon.size, 2 * GIB);
	assert_true(seconds_until_denied(1000) < 1000);
	seconds(60);
	assert_int_equal(sample.balloon.size, 2 * GIB);
	/* What the host does not let go of stays. */
	config.mode = MODE_HOST;
	sample.balloon.may_undercut_host = false;
	sample.balloon.host_target = GIB;
	seconds(100);
	assert_int_equal(sample.balloon.size, GIB);
}

static void a_new_device_is_not_blamed(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	assert_true(seconds_until_denied(1000) < 1000);
	host = SAMPLE_PROOF_TAKEN;
	sample.balloon.valid = false;
	tick(SEC);
	assert_int_equal(decision.taken, TAKEN_UNKNOWN);
	sample.balloon.valid = true;
	sample.balloon.proof = SAMPLE_PROOF_NONE;
	asked = 0;
	seconds(60);
	assert_true(sample.balloon.size >= GIB);
	assert_int_equal(asked, 1);
}

static void a_stale_sample_forgets_nothing(void **unused)
{
	(void)unused;
	begin(GIB, SAMPLE_PROOF_KEPT);
	assert_true(seconds_until_denied(1000) < 1000);
	tick(0);
	assert_int_equal(decision.reason, REASON_NO_DATA);
	assert_int_equal(decision.taken, TAKEN_NOTHING);
	/* Nor does one in which something is missing. */
	sample.mem_have = 0;
	tick(SEC);
	assert_int_equal(decision.taken, TAKEN_NOTHING);
	assert_false(decision.prove);
}

/* The host answers a proof when nobody waits for it any more: its page joins the balloon. */
static void late_answer(void)
{
	set_balloon(&sample, sample.balloon.size + 2 * MIB);
	tick(SEC);
}

/* After an emergency that cost something: nothing is taken until that is paid for. */
static void begin_to_pay(enum policy_mode mode)
{
	begin(4 * GIB, SAMPLE_PROOF_UNKNOWN);
	config.mode = mode;
	config.manual_target = 4 * GIB;
	sample.mem[MEM_AVAILABLE] = 20 * MIB;
	sample.mem[MEM_FREE] = 60 * MIB;
	press(&sample, SEC, 500, 300, 10000);
	tick(SEC);
	assert_int_equal(decision.reason, REASON_EMERGENCY);
	assert_int_equal(sample.balloon.size, 0);
	sample.mem[MEM_AVAILABLE] = 7 * GIB;
	sample.mem[MEM_FREE] = 6 * GIB;
	seconds(60);
	assert_int_equal(decision.reason, REASON_PRICE);
}

static void a_late_page_is_no_turn(void **unused)
{
	static const enum policy_mode modes[] = {MODE_AUTO, MODE_MANUAL};

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		uint64_t left_us;

		begin_to_pay(modes[i]);
		left_us = decision.n.hold_off_left_us;
		late_answer();
		assert_int_equal(sample.balloon.size, 2 * MIB);
		assert_int_equal(decision.reason, REASON_PRICE);
		assert_in_range(decision.n.hold_off_left_us, left_us - 3 * SEC, left_us);
	}
}

/* Beside another driver, which follows the host, a balloon that has grown has grown. */
static void what_another_driver_takes_is_one(void **unused)
{
	(void)unused;
	begin_to_pay(MODE_MANUAL);
	sample.balloon.books_elsewhere = true;
	late_answer();
	assert_int_not_equal(decision.reason, REASON_PRICE);
}

static void nor_is_a_device_that_was_away(void **unused)
{
	uint64_t left_us;

	(void)unused;
	begin_to_pay(MODE_MANUAL);
	late_answer();
	left_us = decision.n.hold_off_left_us;
	sample.balloon.valid = false;
	seconds(2);
	sample.balloon.valid = true;
	tick(SEC);
	assert_int_equal(decision.reason, REASON_PRICE);
	assert_in_range(decision.n.hold_off_left_us, left_us - 5 * SEC, left_us);
	/* Nor has a balloon come down that is where it was. */
	begin(4 * GIB, SAMPLE_PROOF_UNKNOWN);
	sample.balloon.valid = false;
	seconds(2);
	sample.balloon.valid = true;
	tick(SEC);
	assert_true(decision.step > 0);
}

/* It makes no difference to where the balloon goes, and nothing has to settle. */
static void a_late_page_changes_no_move(void **unused)
{
	(void)unused;
	begin(2 * GIB, SAMPLE_PROOF_UNKNOWN);
	config.mode = MODE_MANUAL;
	config.manual_target = GIB;
	config.deflate_rate = 64 * MIB;
	for (int i = 0; i < 12; i++)
		late_answer();
	assert_true(decision.step < 0);
	seconds(10);
	assert_int_equal(sample.balloon.size, GIB);
	assert_false(state.settle.active);
	late_answer();
	assert_int_equal(decision.step, -(int64_t)(2 * MIB));
	seconds(1);
	assert_false(state.settle.active);
	/* On the way up it is there already. */
	config.manual_target = 2 * GIB;
	config.inflate_rate = 64 * MIB;
	for (int i = 0; i < 12; i++)
		late_answer();
	assert_true(decision.step > 0);
	seconds(10);
	assert_int_equal(sample.balloon.size, 2 * GIB);
	assert_int_equal(decision.reason, REASON_STEADY);
}

static void every_verdict_has_a_name(void **unused)
{
	(void)unused;
	for (int i = 0; i < _TAKEN_MAX; i++)
		assert_non_null(policy_taken_name((enum policy_taken)i));
	assert_null(policy_taken_name(_TAKEN_MAX));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_small_balloon_is_not_proven),
		cmocka_unit_test(a_host_that_takes_is_asked_rarely),
		cmocka_unit_test(a_doubt_stops_inflation),
		cmocka_unit_test(enough_doubts_deny_it),
		cmocka_unit_test(five_are_no_denial),
		cmocka_unit_test(no_answer_changes_nothing),
		cmocka_unit_test(only_a_calm_guest_is_asked),
		cmocka_unit_test(not_asked_is_not_denied),
		cmocka_unit_test(a_shorter_interval_counts_at_once),
		cmocka_unit_test(many_that_tell_nothing_are_no_doubt),
		cmocka_unit_test(a_hold_keeps_what_is_denied),
		cmocka_unit_test(observe_asks_nobody),
		cmocka_unit_test(the_hosts_order_waits_the_operators_does_not),
		cmocka_unit_test(a_new_device_is_not_blamed),
		cmocka_unit_test(a_stale_sample_forgets_nothing),
		cmocka_unit_test(a_late_page_is_no_turn),
		cmocka_unit_test(what_another_driver_takes_is_one),
		cmocka_unit_test(nor_is_a_device_that_was_away),
		cmocka_unit_test(a_late_page_changes_no_move),
		cmocka_unit_test(every_verdict_has_a_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
