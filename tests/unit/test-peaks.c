// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Memory of peaks: what is learned of an hour, weakened, forgotten; when it is worth to have
 * memory ready; and that the clock on the wall may do what it likes.
 */
#include <string.h>

#include "sample-maker.h"

#define HOUR_S 3600U
#define DAY_S  86400U
#define WEEK_S (7 * DAY_S)

static struct policy_config config;
static struct peaks peaks;
static struct view view;

static int fresh(void **unused)
{
	(void)unused;
	policy_config_default(&config);
	memset(&peaks, 0, sizeof(peaks));
	view = (struct view){
		.now_us = 1000 * SEC,
		.dt_us = 10 * SEC,
		.has_week = true,
		.ram = 8 * GIB,
		.usable = 8 * GIB,
		.need = 1 * GIB,
	};
	return 0;
}

/* Time passes, with this need, and so many permille of it lost. */
static void pass(uint32_t seconds, uint64_t need, uint32_t full)
{
	view.need = need;
	view.mem_full = full;
	for (uint32_t s = 0; s < seconds; s += 10) {
		view.now_us += view.dt_us;
		view.week_s = (view.week_s + 10) % WEEK_S;
		peaks_note(&config, &peaks, &view);
	}
}

static void at(uint32_t day, uint32_t hour)
{
	view.week_s = day * DAY_S + hour * HOUR_S;
}

/* The hour from its beginning, with a peak of a minute that loses so many seconds. */
static void live(uint32_t hour, uint64_t need, uint32_t lost_s)
{
	view.week_s = hour * HOUR_S;
	peaks_note(&config, &peaks, &view);
	pass(1200, 1 * GIB, 0);
	pass(100, need, lost_s * 10);
	pass(2290, 1 * GIB, 0);
	/* The next hour ends it. */
	pass(10, 1 * GIB, 0);
}

static const struct peaks_slot *slot(uint32_t hour)
{
	return &peaks.memory.slot[hour];
}

static struct peaks_forecast forecast(uint32_t week_s)
{
	struct peaks_forecast f;
	struct view v = view;

	v.week_s = week_s;
	v.need = 1 * GIB;
	peaks_forecast(&config, &peaks, &v, &f);
	return f;
}

static uint64_t keep(uint32_t week_s)
{
	struct view v = view;

	v.week_s = week_s;
	v.need = 1 * GIB;
	return peaks_keep(&config, &peaks, &v);
}

static void an_hour_is_learned(void **unused)
{
	(void)unused;
	live(3, 4 * GIB, 20);
	assert_int_equal(slot(3)->need, 4 * GIB);
	assert_int_equal(slot(3)->lost_us, 20 * SEC);
	assert_int_equal(slot(3)->weeks, 1);
	assert_int_equal(slot(3)->stamp, 1);
	/* And nothing else. */
	for (uint32_t i = 0; i < PEAKS_SLOTS; i++)
		assert_true(i == 3 || !slot(i)->stamp);
}

static void own_reclaim_is_no_loss(void **unused)
{
	(void)unused;
	view.own_reclaim = true;
	live(3, 4 * GIB, 20);
	assert_int_equal(slot(3)->need, 4 * GIB);
	assert_int_equal(slot(3)->lost_us, 0);
}

/* A large inflate makes the need look larger than it is. */
static void settling_is_no_need(void **unused)
{
	(void)unused;
	view.week_s = 3 * HOUR_S;
	pass(1800, 1 * GIB, 0);
	view.settling = true;
	pass(600, 6 * GIB, 0);
	view.settling = false;
	pass(1200, 2 * GIB, 0);
	assert_int_equal(slot(3)->need, 2 * GIB);
}

static void need_and_loss_decay(void **unused)
{
	(void)unused;
	view.usable = 2 * GIB;
	live(3, 5 * GIB, 20);
	live(3, 3 * GIB, 0);
	assert_int_equal(slot(3)->need, 4 * GIB);
	assert_int_equal(slot(3)->lost_us, 10 * SEC);
	live(3, 6 * GIB, 30);
	assert_int_equal(slot(3)->need, 6 * GIB);
	assert_int_equal(slot(3)->lost_us, 20 * SEC);
	assert_int_equal(slot(3)->weeks, 3);
	for (int i = 0; i < 20; i++)
		live(3, 6 * GIB, 30);
	assert_int_equal(slot(3)->weeks, PEAKS_WEEKS_MAX);
}

/* That nobody stalled where memory was ready says nothing against the memory. */
static void success_is_no_disproof(void **unused)
{
	(void)unused;
	live(3, 4 * GIB, 32);
	for (int i = 0; i < 4; i++)
		live(3, 4 * GIB, 0);
	assert_true(slot(3)->lost_us > 16 * SEC);
	assert_int_equal(keep(3 * HOUR_S), 4 * GIB);
	/* For ever it is not: some day it is tried again. */
	for (int i = 0; i < 40; i++)
		live(3, 4 * GIB, 0);
	assert_int_equal(keep(3 * HOUR_S), 0);
}

/* Where it was not ready, the relief line has served it: that is a reason to stop. */
static void served_without_is_a_disproof(void **unused)
{
	(void)unused;
	live(3, 4 * GIB, 32);
	view.usable = 2 * GIB;
	live(3, 4 * GIB, 0);
	assert_int_equal(slot(3)->lost_us, 16 * SEC);
}

static void wrong_twice_is_forgotten(void **unused)
{
	(void)unused;
	live(3, 5 * GIB, 64);
	live(3, 2 * GIB, 0);
	assert_true(slot(3)->need > 3 * GIB && slot(3)->missed);
	live(3, 2 * GIB, 0);
	assert_int_equal(slot(3)->need, 2 * GIB);
	assert_int_equal(slot(3)->lost_us, 0);
	assert_int_equal(slot(3)->weeks, 1);

	/* Twice, but not in a row. */
	live(4, 5 * GIB, 64);
	live(4, 2 * GIB, 0);
	live(4, 5 * GIB, 64);
	live(4, 2 * GIB, 0);
	assert_true(slot(4)->need > 3 * GIB && slot(4)->lost_us > 0);
	/* A need that is always there is no peak that fails to come. */
	for (int i = 0; i < 3; i++) {
		view.week_s = 5 * HOUR_S;
		pass(HOUR_S + 10, (400 - 5 * i) * (GIB / 100), i ? 0 : 5);
	}
	assert_true(slot(5)->weeks == 3 && !slot(5)->missed);
}

static void a_part_only_raises(void **unused)
{
	(void)unused;
	live(3, 4 * GIB, 20);
	/* Started at 03:50: nothing was needed. */
	view.week_s = 3 * HOUR_S + 3000;
	peaks.filling = false;
	pass(610, 1 * GIB, 0);
	assert_int_equal(slot(3)->need, 4 * GIB);
	assert_int_equal(slot(3)->lost_us, 20 * SEC);
	assert_false(slot(3)->missed);
	view.week_s = 3 * HOUR_S + 3000;
	peaks.filling = false;
	pass(610, 5 * GIB, 100);
	assert_int_equal(slot(3)->need, 5 * GIB);
	assert_true(slot(3)->lost_us > 40 * SEC);
	assert_int_equal(slot(3)->weeks, 1);

	/* What slept through the hour has not seen it. */
	live(3, 5 * GIB, 64);
	view.week_s = 3 * HOUR_S;
	pass(600, 1 * GIB, 0);
	view.dt_us = 3000 * SEC;
	view.week_s = 4 * HOUR_S - 10;
	peaks_note(&config, &peaks, &view);
	view.dt_us = 10 * SEC;
	pass(20, 1 * GIB, 0);
	assert_int_equal(slot(3)->need, 5 * GIB);
	assert_false(slot(3)->missed);

	/* A glimpse of an idle hour does not hide what other days say. */
	at(1, 3);
	view.week_s += 3000;
	peaks.filling = false;
	pass(610, 1 * GIB, 0);
	assert_int_equal(slot(27)->stamp, 0);
}

static void another_day_is_a_guess(void **unused)
{
	struct peaks_forecast f;

	(void)unused;
	assert_int_equal(forecast(3 * HOUR_S).need, 0);
	live(3, 4 * GIB, 20);
	f = forecast(DAY_S + 3 * HOUR_S);
	assert_true(f.worth && f.need == 4 * GIB && f.lost_us == 10 * SEC && f.weeks == 0);
	assert_int_equal(f.left_us, HOUR_S * SEC);
	assert_int_equal(forecast(DAY_S + 5 * HOUR_S).need, 0);
	/* The newest is asked, wherever it lies in the week. */
	live(5 * 24 + 3, 2 * GIB, 16);
	assert_int_equal(forecast(DAY_S + 3 * HOUR_S).need, 2 * GIB);
	live(3, 4 * GIB, 20);
	assert_int_equal(forecast(DAY_S + 3 * HOUR_S).need, 4 * GIB);
	/* What the day itself says goes first. */
	f = forecast(5 * DAY_S + 3 * HOUR_S);
	assert_true(f.need == 2 * GIB && f.lost_us == 16 * SEC && f.weeks == 1);
}

static void the_price_decides(void **unused)
{
	(void)unused;
	/* Three GiB for an hour, against 1 GiB for each second. */
	live(3, 4 * GIB, 4);
	assert_int_equal(keep(3 * HOUR_S), 4 * GIB);
	config.stall_price = GIB / 2;
	assert_int_equal(keep(3 * HOUR_S), 0);
	assert_int_equal(forecast(3 * HOUR_S).need, 4 * GIB);
	/* For two thirds of an hour it costs two thirds. */
	assert_int_equal(keep(3 * HOUR_S + 1200), 0);
	assert_int_equal(keep(3 * HOUR_S + 1201), 4 * GIB);
	config.stall_price = 0;
	assert_int_equal(keep(3 * HOUR_S + 3599), 0);
	config.stall_price = UINT64_MAX;
	assert_int_equal(keep(3 * HOUR_S), 4 * GIB);
	/* What was served without a stall is worth nothing. */
	live(5, 4 * GIB, 0);
	assert_int_equal(keep(5 * HOUR_S), 0);
	/* Not for less RAM than there is now. */
	view.ram = 2 * GIB;
	assert_int_equal(keep(3 * HOUR_S), 2 * GIB);
}

static void minutes_before(void **unused)
{
	struct peaks_forecast f;

	(void)unused;
	live(0, 4 * GIB, 20);
	assert_int_equal(keep(WEEK_S - 301), 0);
	assert_int_equal(keep(WEEK_S - 300), 4 * GIB);
	f = forecast(WEEK_S - 100);
	assert_true(f.ahead && f.left_us == (HOUR_S + 100) * SEC);
	assert_false(forecast(0).ahead);
	/* The larger of the two. */
	live(PEAKS_SLOTS - 1, 6 * GIB, 20);
	assert_int_equal(keep(WEEK_S - 100), 6 * GIB);
	assert_false(forecast(WEEK_S - 100).ahead);
	assert_int_equal(keep(HOUR_S), 0);
}

static void time_unknown(void **unused)
{
	struct peaks before;

	(void)unused;
	live(3, 4 * GIB, 20);
	view.has_week = false;
	before = peaks;
	pass(2 * HOUR_S, 6 * GIB, 100);
	assert_memory_equal(&before, &peaks, sizeof(peaks));
	assert_int_equal(keep(3 * HOUR_S), 0);
	assert_int_equal(forecast(3 * HOUR_S).need, 0);
}

/* An hour counts for time that has passed, not for what the clock says. */
static void clock_steps(void **unused)
{
	(void)unused;
	live(3, 4 * GIB, 20);
	/* To and fro each minute, all day long: no hour is ever seen as a whole. */
	for (int i = 0; i < 1440; i++) {
		view.week_s = (i % 2 ? 3 : 9) * HOUR_S + 600;
		pass(60, 1 * GIB, 0);
	}
	assert_int_equal(slot(3)->need, 4 * GIB);
	assert_int_equal(slot(3)->lost_us, 20 * SEC);
	assert_false(slot(3)->missed);
	assert_int_equal(slot(9)->stamp, 0);
	/* Back within the hour, as often as it wants: that is one hour. */
	for (int i = 0; i < 10; i++) {
		view.week_s = 7 * HOUR_S;
		pass(3000, 2 * GIB, 0);
	}
	pass(1200, 2 * GIB, 0);
	assert_true(slot(7)->need == 2 * GIB && slot(7)->weeks == 1);
}

/* In spring 02:00 does not exist, in autumn it is there twice. */
static void summer_time(void **unused)
{
	const uint32_t sunday = 6 * 24;

	(void)unused;
	live(sunday + 2, 4 * GIB, 20);
	view.week_s = (sunday + 1) * HOUR_S;
	pass(3590, 1 * GIB, 0);
	view.week_s += HOUR_S;
	pass(3600, 1 * GIB, 0);
	pass(20, 1 * GIB, 0);
	assert_int_equal(slot(sunday + 2)->weeks, 1);
	assert_int_equal(slot(sunday + 2)->lost_us, 20 * SEC);
	assert_int_equal(slot(sunday + 1)->weeks, 1);
	assert_int_equal(slot(sunday + 3)->weeks, 1);

	view.week_s = (sunday + 2) * HOUR_S;
	peaks_note(&config, &peaks, &view);
	pass(3590, 1 * GIB, 0);
	view.week_s -= HOUR_S;
	pass(1800, 4 * GIB, 10);
	pass(1830, 1 * GIB, 0);
	assert_int_equal(slot(sunday + 2)->weeks, 2);
	assert_int_equal(slot(sunday + 2)->need, 4 * GIB);
}

static void what_is_exported_comes_back(void **unused)
{
	struct peaks_memory out, again;

	(void)unused;
	live(3, 4 * GIB, 20);
	/* The hour under way is in it, as far as it raises something, however often it is asked. */
	pass(600, 5 * GIB, 50);
	peaks_export(&peaks, &out);
	peaks_export(&peaks, &again);
	assert_memory_equal(&out, &again, sizeof(out));
	assert_int_equal(out.slot[3].need, 4 * GIB);
	assert_int_equal(out.slot[4].need, 5 * GIB);
	assert_int_equal(out.hours, 2);
	assert_int_equal(slot(4)->stamp, 0);

	memset(&peaks, 0xff, sizeof(peaks));
	peaks_import(&peaks, &out);
	assert_false(peaks.filling);
	assert_int_equal(keep(3 * HOUR_S), 4 * GIB);
	live(3, 4 * GIB, 20);
	assert_int_equal(slot(3)->weeks, 2);
	assert_int_equal(slot(3)->stamp, 3);
}

/* --- the policy ------------------------------------------------------------ */

static struct policy_state state;
static struct sample sample;
static struct policy_decision decision;

static void tick(uint64_t us, uint32_t day, uint32_t second)
{
	sample.time_us += us;
	sample.has_week = true;
	sample.week_s = day * DAY_S + second;
	policy_decide(&config, &state, &sample, &decision);
	sample.balloon.asked = sample.balloon.moved = decision.step;
	/* The transport is slow enough for it to hurt. */
	if (decision.step < -(int64_t)(us / SEC * 32 * MIB))
		sample.balloon.moved = -(int64_t)(us / SEC * 32 * MIB);
	set_balloon(&sample, sample.balloon.size + sample.balloon.moved);
}

static void need(uint64_t bytes)
{
	uint64_t usable = sample.ram - sample.balloon.size;

	sample.mem[MEM_AVAILABLE] = usable > bytes ? usable - bytes : 0;
	sample.mem[MEM_FREE] = sample.mem[MEM_AVAILABLE];
	sample.mem[MEM_CACHED] = 0;
	sample.mem[MEM_ANON] = bytes / 2;
}

/* From @from to @to, seconds of the day, at rest. */
static void idle(uint32_t day, uint32_t from, uint32_t to)
{
	for (uint32_t s = from; s < to; s += 5) {
		need(1 * GIB);
		tick(5 * SEC, day, s);
	}
}

/* At 03:10 a job wants 4 GiB; half of the time that it has to wait is lost. */
static uint32_t night(uint32_t day)
{
	uint32_t lost = 0;

	for (uint32_t s = 0; s < 120; s++) {
		need(4 * GIB);
		if (sample.ram - sample.balloon.size < 4 * GIB) {
			press(&sample, SEC, 600, 500, 1000);
			lost++;
		}
		tick(SEC, day, 3 * HOUR_S + 600 + s);
	}
	return lost;
}

/* Seconds that the job waits on the second night. Stores what is there when it begins. */
static uint32_t second_night(uint64_t price, uint64_t *ret_usable)
{
	policy_config_default(&config);
	config.stall_price = price;
	policy_init(&state);
	sample = healthy(SEC);
	idle(0, HOUR_S, 3 * HOUR_S + 600);
	assert_true(sample.balloon.size > 5 * GIB);
	assert_true(night(0) > 40);
	idle(0, 3 * HOUR_S + 720, DAY_S);
	assert_true(state.peaks.memory.slot[3].lost_us > 20 * SEC);
	idle(1, 0, 3 * HOUR_S - 310);
	assert_true(sample.balloon.size > 5 * GIB);
	idle(1, 3 * HOUR_S - 310, 3 * HOUR_S + 600);
	*ret_usable = sample.ram - sample.balloon.size;
	return night(1);
}

static void a_nightly_job_finds_its_memory(void **unused)
{
	uint64_t usable;
	uint32_t lost;

	(void)unused;
	lost = second_night(1024 * MIB, &usable);
	assert_true(usable >= 4 * GIB);
	assert_int_equal(lost, 0);
	assert_int_equal(decision.n.forecast.need, state.peaks.memory.slot[3].need);
	assert_true(decision.n.forecast.worth);
}

static void it_does_not_where_stalls_are_cheap(void **unused)
{
	uint64_t usable;
	uint32_t lost;

	(void)unused;
	lost = second_night(MIB, &usable);
	assert_true(usable < 3 * GIB);
	assert_true(lost > 0);
	assert_true(decision.n.forecast.need >= 4 * GIB - 64 * MIB);
}

/* Making room is the law's: an order is not overruled by it. */
static void only_the_law_makes_room(void **unused)
{
	struct peaks_memory m = {.hours = 1};

	(void)unused;
	m.slot[3] = (struct peaks_slot){
		.need = 4 * GIB, .lost_us = 60 * SEC, .stamp = 1, .weeks = 1};
	policy_config_default(&config);
	policy_init(&state);
	policy_peaks_import(&state, &m);
	assert_int_equal(policy_peaks_stamp(&state), 1);
	sample = healthy(SEC);
	config.mode = MODE_MANUAL;
	config.manual_target = 6 * GIB;
	idle(0, 2 * HOUR_S, 3 * HOUR_S);
	assert_int_equal(sample.balloon.size, 6 * GIB);
	config.mode = MODE_AUTO;
	idle(0, 3 * HOUR_S - 200, 3 * HOUR_S);
	assert_true(decision.n.forecast.ahead && decision.n.forecast.worth);
	assert_true(sample.ram - sample.balloon.size >= 4 * GIB);
	assert_true(sample.balloon.size > 3 * GIB);
	/* While the hour lasts the balloon does not grow into it; then it does. */
	idle(0, 3 * HOUR_S, 4 * HOUR_S - 1);
	assert_true(sample.ram - sample.balloon.size >= 4 * GIB);
	policy_peaks_export(&state, &m);
	assert_int_equal(m.slot[3].weeks, 1);
	idle(0, 4 * HOUR_S, 5 * HOUR_S);
	assert_true(sample.balloon.size > 5 * GIB);
}

/* An hour that has begun is left as it is: only minutes before it the balloon makes room. */
static void not_in_the_midst_of_it(void **unused)
{
	struct peaks_memory m = {.hours = 1};

	(void)unused;
	m.slot[3] = (struct peaks_slot){
		.need = 4 * GIB, .lost_us = 60 * SEC, .stamp = 1, .weeks = 1};
	policy_config_default(&config);
	policy_init(&state);
	sample = healthy(SEC);
	idle(0, 2 * HOUR_S, 3 * HOUR_S);
	assert_true(sample.balloon.size > 5 * GIB);
	policy_peaks_import(&state, &m);
	for (uint32_t s = 3 * HOUR_S + 600; s < 4 * HOUR_S; s += 5) {
		need(1 * GIB);
		tick(5 * SEC, 0, s);
		assert_true(decision.n.forecast.worth && decision.step == 0);
	}
}

/* A second that no week has is no time. */
static void nonsense_is_unknown(void **unused)
{
	(void)unused;
	policy_config_default(&config);
	policy_init(&state);
	sample = healthy(SEC);
	tick(SEC, 7, 0);
	tick(SEC, UINT32_MAX / DAY_S, 0);
	assert_false(state.peaks.filling);
	assert_int_equal(decision.n.forecast.left_us, 0);
	tick(SEC, 6, DAY_S - 1);
	assert_true(state.peaks.filling);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup(name, fresh)
		T(an_hour_is_learned),
		T(own_reclaim_is_no_loss),
		T(settling_is_no_need),
		T(need_and_loss_decay),
		T(success_is_no_disproof),
		T(served_without_is_a_disproof),
		T(wrong_twice_is_forgotten),
		T(a_part_only_raises),
		T(another_day_is_a_guess),
		T(the_price_decides),
		T(minutes_before),
		T(time_unknown),
		T(clock_steps),
		T(summer_time),
		T(what_is_exported_comes_back),
		T(a_nightly_job_finds_its_memory),
		T(it_does_not_where_stalls_are_cheap),
		T(only_the_law_makes_room),
		T(not_in_the_midst_of_it),
		T(nonsense_is_unknown),
#undef T
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
