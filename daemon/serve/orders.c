// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * orders.c - what is wanted: by the configuration, and by orders
 *
 * An order changes what the policy is asked to do, and is answered at once: whether it can be
 * followed is known from the last tick. It never moves memory by itself, so that floor and pressure
 * relief hold for operators, too. Mode and law of the running daemon survive a reload unless the
 * file's have changed.
 *
 * A hold stops everything that the policy or an order would move. What it does
 * not stop is what keeps the guest alive: relief under pressure, the bounds (floor, limits), the
 * module's own relief and the lease. It is the one order that survives
 * a restart, since whoever gave it counts on it.
 *
 * A reload is all or nothing: the file is read and checked first.
 *
 * Leaves out: how an order comes in (bus.c, a signal), and what follows from it (loop.c).
 */
#include "serve/orders.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "basic/arith.h"
#include "basic/log.h"
#include "basic/units.h"

__attribute__((format(printf, 3, 4)))
static void refuse(struct order_answer *a, enum order_refusal refusal, const char *format, ...)
{
	va_list ap;

	a->refusal = refusal;
	va_start(ap, format);
	vsnprintf(a->why, sizeof(a->why), format, ap);
	va_end(ap);
}

static void set_mode(struct orders *o, enum policy_mode mode, const struct tick *last)
{
	if (o->mode == mode)
		return;
	log_notice("mode %s, was %s", policy_mode_name(mode), policy_mode_name(o->mode));
	keep_note(o->keep, "mode %s, was %s", policy_mode_name(mode), policy_mode_name(o->mode));
	o->mode = mode;
	/* Until a size is named, manual means: as it is now. */
	if (mode == MODE_MANUAL && last->sample.balloon.valid) {
		o->manual_target = last->sample.balloon.size;
		o->manual_set = !last->reporting;
	}
}

static unsigned take_target(struct orders *o, const struct order *order, const struct tick *last,
			    struct order_answer *ret)
{
	uint64_t balloon = order->amount, floor = last->decision.n.floor, ram = last->sample.ram;
	char a[UNITS_MAX], b[UNITS_MAX], c[UNITS_MAX];

	if (ram == 0) {
		refuse(ret, REFUSED_INVALID, "the size of the machine is not known yet; try again");
		return 0;
	}
	if (o->hold.held) {
		refuse(ret, REFUSED_HELD,
		       "the balloon is held (%s); balloonctl release lets it move again",
		       o->hold.reason);
		return 0;
	}
	if (balloon > ram || ram - balloon < floor) {
		refuse(ret, REFUSED_BELOW_FLOOR,
		       "a balloon of %s would leave less than the %s that this guest keeps; at "
		       "most %s are possible",
		       units_format_size(a, sizeof(a), balloon),
		       units_format_size(b, sizeof(b), floor),
		       units_format_size(c, sizeof(c), ram > floor ? ram - floor : 0));
		return 0;
	}
	if (balloon > last->limit) {
		refuse(ret, REFUSED_OVER_LIMIT, "a balloon of %s is over the limit of %s",
		       units_format_size(a, sizeof(a), balloon),
		       units_format_size(b, sizeof(b), last->limit));
		return 0;
	}
	set_mode(o, MODE_MANUAL, last);
	keep_note(o->keep, "target %s by order", units_format_size(a, sizeof(a), balloon));
	o->manual_target = balloon;
	o->manual_set = true;
	return ORDERS_CHANGED;
}

static unsigned take_mode(struct orders *o, const struct order *order, const struct tick *last,
			  struct order_answer *ret)
{
	enum policy_mode mode;

	if (policy_mode_parse(order->text, &mode) < 0) {
		refuse(ret, REFUSED_INVALID, "there is no mode \"%.32s\"; auto, host, manual and "
		       "observe exist", order->text);
		return 0;
	}
	set_mode(o, mode, last);
	return ORDERS_CHANGED;
}

static void set_law(struct orders *o, enum policy_law law)
{
	if (o->law == law)
		return;
	log_notice("law %s, was %s", policy_law_name(law), policy_law_name(o->law));
	keep_note(o->keep, "law %s, was %s", policy_law_name(law), policy_law_name(o->law));
	o->law = law;
}

static unsigned take_law(struct orders *o, const struct order *order, struct order_answer *ret)
{
	enum policy_law law;
	char names[64] = "";

	if (policy_law_parse(order->text, &law) < 0) {
		for (int i = 0; i < _LAW_MAX; i++)
			snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s",
				 i > 0 ? ", " : "", policy_law_name((enum policy_law)i));
		refuse(ret, REFUSED_INVALID, "there is no law \"%.32s\"; there are %s",
		       order->text, names);
		return 0;
	}
	set_law(o, law);
	return ORDERS_CHANGED;
}

static unsigned take_hold(struct orders *o, const struct order *order, uint64_t now_us,
			  uint64_t wall_us, struct order_answer *ret)
{
	char limit[UNITS_MAX + 8] = "", time[UNITS_MAX];
	const char *why = hold_reason_check(order->text);
	uint64_t for_us = order->amount;

	if (why) {
		refuse(ret, REFUSED_INVALID, "%s", why);
		return 0;
	}
	if (for_us > HOLD_MAX_US) {
		refuse(ret, REFUSED_INVALID, "a hold may last 366 days at most; without a time it "
		       "lasts until it is released");
		return 0;
	}
	o->hold = (struct hold){
		.held = true,
		.since_us = wall_us,
		.until_us = for_us ? wall_us + for_us : 0,
	};
	snprintf(o->hold.reason, sizeof(o->hold.reason), "%s", order->text);
	o->hold_until_us = for_us ? now_us + for_us : UINT64_MAX;
	ret->kept = keep_hold(o->keep, &o->hold);
	if (for_us)
		snprintf(limit, sizeof(limit), "for %s: ",
			 units_format_time(time, sizeof(time), for_us));
	log_notice("held %s%s", limit, order->text);
	keep_note(o->keep, "held %s%s", limit, order->text);
	return ORDERS_CHANGED;
}

static void release(struct orders *o, const char *how)
{
	o->hold = (struct hold){};
	(void)keep_hold(o->keep, &o->hold);
	log_notice("%s", how);
	keep_note(o->keep, "%s", how);
}

static unsigned take_release(struct orders *o, struct order_answer *ret)
{
	ret->was_held = o->hold.held;
	if (!o->hold.held)
		return 0;
	release(o, "released");
	return ORDERS_CHANGED;
}

bool orders_expire(struct orders *o, uint64_t now_us)
{
	if (!o->hold.held || now_us < o->hold_until_us)
		return false;
	release(o, "released: the time of the hold is over");
	return true;
}

static void log_changes(struct orders *o, const struct config *new)
{
	char before[CONFIG_PATH_MAX], after[CONFIG_PATH_MAX];
	const struct config_key *keys;
	unsigned changed = 0;
	size_t n;

	keys = config_keys(&n);
	for (size_t i = 0; i < n; i++) {
		config_format(&o->config, &keys[i], before, sizeof(before));
		config_format(new, &keys[i], after, sizeof(after));
		if (strcmp(before, after) == 0)
			continue;
		log_info("%s: %s, was %s", keys[i].name, after, before);
		changed++;
	}
	log_notice("configuration reloaded, %u changed", changed);
	keep_note(o->keep, "configuration reloaded, %u changed", changed);
}

static unsigned apply(struct orders *o, const struct config *new, const struct tick *last)
{
	const struct config old = o->config;
	unsigned changed = ORDERS_CHANGED;

	log_changes(o, new);
	o->config = *new;
	if (new->policy.mode != old.policy.mode && o->options.mode < 0)
		set_mode(o, new->policy.mode, last);
	if (new->policy.law != old.policy.law)
		set_law(o, new->policy.law);
	if (o->options.log_level < 0)
		log_set_level(new->log_level);
	/* Also after a trigger was lost: a reload is what its message asks for. */
	if (memcmp(&new->psi_early, &old.psi_early, sizeof(old.psi_early)) != 0 ||
	    memcmp(&new->psi_emergency, &old.psi_emergency, sizeof(old.psi_emergency)) != 0 ||
	    o->problems->text[PROBLEM_PSI][0] != '\0')
		changed |= ORDERS_TRIGGERS;
	if (new->lease_us != old.lease_us)
		changed |= ORDERS_LEASE;
	return changed;
}

static unsigned take_reload(struct orders *o, const struct tick *last, struct order_answer *ret)
{
	_cleanup_(config_errors_done) struct config_errors errors = {};
	unsigned changed = ORDERS_CHANGED;
	struct config config;
	int r;

	if (last->stopping) {
		refuse(ret, REFUSED_BAD_CONFIG, "the daemon is about to exit");
		return 0;
	}
	r = config_load(o->options.config_path, &config, &errors);
	if (r == 0 && o->options.config_required)
		refuse(ret, REFUSED_BAD_CONFIG, "%s: there is no such file",
		       o->options.config_path);
	else if (r < 0 && errors.n > 1)
		refuse(ret, REFUSED_BAD_CONFIG, "%s (and %zu more)", errors.lines[0], errors.n - 1);
	else if (r < 0)
		refuse(ret, REFUSED_BAD_CONFIG, "%s",
		       errors.n > 0 ? errors.lines[0] : strerror(-r));

	if (ret->refusal == REFUSED_NOT) {
		(void)problem_clear(o->problems, PROBLEM_CONFIG,
				    "the configuration is valid again");
		changed = apply(o, &config, last);
	} else {
		for (size_t i = 0; i < errors.n; i++)
			log_error("%s", errors.lines[i]);
		problem_set(o->problems, PROBLEM_CONFIG, LOG_ERR,
			    "not reloaded, the old configuration stays in force: %.150s", ret->why);
	}
	snprintf(o->config_error, sizeof(o->config_error), "%s", ret->why);
	return changed;
}

unsigned orders_take(struct orders *o, const struct order *order, const struct tick *last,
		     uint64_t now_us, uint64_t wall_us, struct order_answer *ret)
{
	*ret = (struct order_answer){};
	switch (order->kind) {
	case ORDER_SET_TARGET:
		return take_target(o, order, last, ret);
	case ORDER_SET_MODE:
		return take_mode(o, order, last, ret);
	case ORDER_SET_LAW:
		return take_law(o, order, ret);
	case ORDER_HOLD:
		return take_hold(o, order, now_us, wall_us, ret);
	case ORDER_RELEASE:
		return take_release(o, ret);
	case ORDER_RELOAD:
		return take_reload(o, last, ret);
	}
	return 0;
}

void orders_found(struct orders *o, uint64_t size)
{
	if (!o->manual_set)
		o->manual_target = size;
}

void orders_resolve(const struct orders *o, uint64_t ram, struct policy_config *ret)
{
	config_resolve(&o->config, ram, ret);
	ret->mode = o->mode;
	ret->law = o->law;
	ret->hold = o->hold.held;
	ret->manual_target = o->manual_target;
}

void orders_write_down(const struct orders *o, struct tick *t)
{
	t->mode = o->mode;
	t->law = o->law;
	t->manual_target = o->manual_target;
	t->hold = o->hold;
	t->hold_left_us = o->hold_until_us == UINT64_MAX ? UINT64_MAX
							 : sub_sat(o->hold_until_us, t->now_us);
	t->lease_us = o->config.lease_us;
	t->metrics_file = o->config.metrics_file;
	t->config_file = o->options.config_path;
	t->config_error = o->config_error;
}

const char *orders_config_value(const struct orders *o, size_t i, char *buf, size_t n)
{
	const struct config_key *keys;
	size_t n_keys;

	keys = config_keys(&n_keys);
	if (i >= n_keys)
		return NULL;
	config_format(&o->config, &keys[i], buf, n);
	return keys[i].name;
}

void orders_init(struct orders *o, const struct orders_options *options,
		 const struct config *config, struct keep *keep, struct problems *problems,
		 uint64_t now_us)
{
	uint64_t left_us;

	*o = (struct orders){
		.options = *options,
		.problems = problems,
		.keep = keep,
		.config = *config,
		.mode = options->mode >= 0 ? (enum policy_mode)options->mode : config->policy.mode,
		.law = config->policy.law,
	};
	if (keep_load_hold(keep, &o->hold, &left_us))
		o->hold_until_us = left_us == UINT64_MAX ? left_us : now_us + left_us;
}
