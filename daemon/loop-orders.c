// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * loop-orders.c - what others ask for: mode, law, target, hold, reload
 *
 * An order changes what the policy is asked to do and lets a tick follow at
 * once; it never moves memory by itself, so that floor and pressure relief hold
 * for operators, too. Mode and law of the running daemon survive a reload unless the file's
 * have changed.
 *
 * A hold stops everything that the policy or an order would move. What it does
 * not stop is what keeps the guest alive: relief under pressure, the bounds (floor, limits), the
 * module's own relief and the lease. It is the one order that survives
 * a restart, since whoever gave it counts on it.
 *
 * A reload is all or nothing: the file is read and checked first.
 */
#include "loop-internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "basic/clock.h"
#include "basic/log.h"
#include "basic/units.h"

__attribute__((format(printf, 3, 4)))
static void refuse(struct bus_answer *a, enum bus_refusal refusal, const char *format, ...)
{
	va_list ap;

	a->refusal = refusal;
	va_start(ap, format);
	vsnprintf(a->why, sizeof(a->why), format, ap);
	va_end(ap);
}

static void set_mode(struct loop *l, enum policy_mode mode)
{
	struct balloon_view view;

	if (l->mode == mode)
		return;
	log_notice("mode %s, was %s", policy_mode_name(mode), policy_mode_name(l->mode));
	keep_note(l->keep, "mode %s, was %s", policy_mode_name(mode), policy_mode_name(l->mode));
	l->mode = mode;
	/* Until a size is named, manual means: as it is now. */
	if (mode == MODE_MANUAL && l->tick.sample.balloon.valid) {
		l->manual_target = l->tick.sample.balloon.size;
		balloon_view(l->balloon, &view);
		l->manual_set = !view.reporting;
	}
}

static void order_given(struct loop *l)
{
	loop_resolve(l);
	loop_publish(l);
	loop_tick_soon(l);
}

static void on_set_target(void *ctx, uint64_t balloon, struct bus_answer *ret)
{
	char a[UNITS_MAX], b[UNITS_MAX], c[UNITS_MAX];
	struct loop *l = ctx;
	uint64_t floor = l->tick.decision.n.floor, ram = l->tick.sample.ram, limit = l->tick.limit;

	*ret = (struct bus_answer){};
	if (ram == 0) {
		refuse(ret, BUS_INVALID, "the size of the machine is not known yet; try again");
		return;
	}
	if (l->hold.held) {
		refuse(ret, BUS_HELD, "the balloon is held (%s); balloonctl release lets it move again",
		       l->hold.reason);
		return;
	}
	if (balloon > ram || ram - balloon < floor) {
		refuse(ret, BUS_BELOW_FLOOR,
		       "a balloon of %s would leave less than the %s that this guest keeps; at most "
		       "%s are possible",
		       units_format_size(a, sizeof(a), balloon),
		       units_format_size(b, sizeof(b), floor),
		       units_format_size(c, sizeof(c), ram > floor ? ram - floor : 0));
		return;
	}
	if (balloon > limit) {
		refuse(ret, BUS_OVER_LIMIT, "a balloon of %s is over the limit of %s",
		       units_format_size(a, sizeof(a), balloon),
		       units_format_size(b, sizeof(b), limit));
		return;
	}
	set_mode(l, MODE_MANUAL);
	keep_note(l->keep, "target %s by order", units_format_size(a, sizeof(a), balloon));
	l->manual_target = balloon;
	l->manual_set = true;
	order_given(l);
}

static void on_set_mode(void *ctx, const char *name, struct bus_answer *ret)
{
	struct loop *l = ctx;
	enum policy_mode mode;

	*ret = (struct bus_answer){};
	if (policy_mode_parse(name, &mode) < 0) {
		refuse(ret, BUS_INVALID, "there is no mode \"%.32s\"; auto, host, manual and "
		       "observe exist", name);
		return;
	}
	set_mode(l, mode);
	order_given(l);
}

static void set_law(struct loop *l, enum policy_law law)
{
	if (l->law == law)
		return;
	log_notice("law %s, was %s", policy_law_name(law), policy_law_name(l->law));
	keep_note(l->keep, "law %s, was %s", policy_law_name(law), policy_law_name(l->law));
	l->law = law;
}

static void on_set_law(void *ctx, const char *name, struct bus_answer *ret)
{
	struct loop *l = ctx;
	enum policy_law law;
	char names[64] = "";

	*ret = (struct bus_answer){};
	if (policy_law_parse(name, &law) < 0) {
		for (int i = 0; i < _LAW_MAX; i++)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				 i > 0 ? ", " : "", policy_law_name((enum policy_law)i));
		refuse(ret, BUS_INVALID, "there is no law \"%.32s\"; there are %s", name, names);
		return;
	}
	set_law(l, law);
	order_given(l);
}

static void on_hold(void *ctx, const char *reason, uint64_t for_us, bool *ret_kept,
		    struct bus_answer *ret)
{
	struct loop *l = ctx;
	uint64_t now = clock_wall_us();
	const char *why = hold_reason_check(reason);
	char limit[UNITS_MAX + 8] = "", time[UNITS_MAX];

	*ret = (struct bus_answer){};
	if (why) {
		refuse(ret, BUS_INVALID, "%s", why);
		return;
	}
	if (for_us > HOLD_MAX_US) {
		refuse(ret, BUS_INVALID, "a hold may last 366 days at most; without a time it lasts "
		       "until it is released");
		return;
	}
	l->hold = (struct hold){.held = true, .since_us = now, .until_us = for_us ? now + for_us : 0};
	snprintf(l->hold.reason, sizeof(l->hold.reason), "%s", reason);
	l->hold_until_us = for_us ? clock_boot_us() + for_us : UINT64_MAX;
	*ret_kept = keep_hold(l->keep, &l->hold);
	if (for_us)
		snprintf(limit, sizeof(limit), "for %s: ", units_format_time(time, sizeof(time), for_us));
	log_notice("held %s%s", limit, reason);
	keep_note(l->keep, "held %s%s", limit, reason);
	order_given(l);
}

static void release(struct loop *l, const char *how)
{
	l->hold = (struct hold){};
	(void)keep_hold(l->keep, &l->hold);
	log_notice("%s", how);
	keep_note(l->keep, "%s", how);
	loop_resolve(l);
}

static void on_release(void *ctx, bool *ret_was, struct bus_answer *ret)
{
	struct loop *l = ctx;

	*ret = (struct bus_answer){};
	*ret_was = l->hold.held;
	if (!l->hold.held)
		return;
	release(l, "released");
	order_given(l);
}

void order_expire(struct loop *l)
{
	if (l->hold.held && clock_boot_us() >= l->hold_until_us)
		release(l, "released: the time of the hold is over");
}

static int on_open_history(void *ctx)
{
	struct loop *l = ctx;

	return keep_open_history(l->keep);
}

static const char *on_config_value(void *ctx, size_t i, char *buf, size_t n)
{
	struct loop *l = ctx;
	const struct config_key *keys;
	size_t n_keys;

	keys = config_keys(&n_keys);
	if (i >= n_keys)
		return NULL;
	config_format(&l->config, &keys[i], buf, n);
	return keys[i].name;
}

static void on_reload(void *ctx, struct bus_answer *ret)
{
	order_reload(ctx, ret);
}

static void log_changes(struct loop *l, const struct config *old, const struct config *new)
{
	char before[CONFIG_PATH_MAX], after[CONFIG_PATH_MAX];
	const struct config_key *keys;
	unsigned changed = 0;
	size_t n;

	keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		config_format(old, &keys[i], before, sizeof(before));
		config_format(new, &keys[i], after, sizeof(after));
		if (strcmp(before, after) == 0)
			continue;
		log_info("%s: %s, was %s", keys[i].name, after, before);
		changed++;
	}
	log_notice("configuration reloaded, %u changed", changed);
	keep_note(l->keep, "configuration reloaded, %u changed", changed);
}

static void apply(struct loop *l, const struct config *new)
{
	struct config old = l->config;

	log_changes(l, &old, new);
	l->config = *new;
	if (new->policy.mode != old.policy.mode && l->options.mode < 0)
		set_mode(l, new->policy.mode);
	if (new->policy.law != old.policy.law)
		set_law(l, new->policy.law);
	if (l->options.log_level < 0)
		log_set_level(new->log_level);
	loop_resolve(l);
	/* Also after a trigger was lost: a reload is what its message asks for. */
	if (memcmp(&new->psi_early, &old.psi_early, sizeof(old.psi_early)) != 0 ||
	    memcmp(&new->psi_emergency, &old.psi_emergency, sizeof(old.psi_emergency)) != 0 ||
	    l->problems.text[PROBLEM_PSI][0] != '\0')
		loop_arm(l);
	if (new->lease_us != old.lease_us)
		balloon_lease_changed(l->balloon);
}

void order_reload(struct loop *l, struct bus_answer *ret)
{
	_cleanup_(config_errors_done) struct config_errors errors = {};
	struct config config;
	int r;

	*ret = (struct bus_answer){};
	if (l->stopping) {
		refuse(ret, BUS_BAD_CONFIG, "the daemon is about to exit");
		return;
	}
	notify_reloading(&l->notify);
	r = config_load(l->options.config_path, &config, &errors);
	if (r == 0 && l->options.config_required)
		refuse(ret, BUS_BAD_CONFIG, "%s: there is no such file", l->options.config_path);
	else if (r < 0 && errors.n > 1)
		refuse(ret, BUS_BAD_CONFIG, "%s (and %zu more)", errors.lines[0], errors.n - 1);
	else if (r < 0)
		refuse(ret, BUS_BAD_CONFIG, "%s", errors.n > 0 ? errors.lines[0] : strerror(-r));

	if (ret->refusal == BUS_DONE) {
		(void)problem_clear(&l->problems, PROBLEM_CONFIG, "the configuration is valid again");
		apply(l, &config);
	} else {
		for (size_t i = 0; i < errors.n; i++)
			log_error("%s", errors.lines[i]);
		problem_set(&l->problems, PROBLEM_CONFIG, LOG_ERR,
			    "not reloaded, the old configuration stays in force: %.150s", ret->why);
	}
	snprintf(l->config_error, sizeof(l->config_error), "%s", ret->why);
	order_given(l);
	notify_ready(&l->notify, &l->show.status);
}

const struct bus_methods order_methods = {
	.set_target = on_set_target,
	.set_mode = on_set_mode,
	.set_law = on_set_law,
	.hold = on_hold,
	.release = on_release,
	.reload = on_reload,
	.open_history = on_open_history,
	.config_value = on_config_value,
};
