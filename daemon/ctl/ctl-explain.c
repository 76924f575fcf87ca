// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-explain.c - balloonctl explain
 *
 * The decision in force and the changes before it, each in words with the
 * numbers that led to it. Which numbers those are depends on the reason: a table says
 * so, so that a reason that is added has to say what it rests on.
 *
 * Decisions that only repeat the one before are not listed (balloonctl history
 * has them), what happened in between is.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "basic/units.h"
#include "basic/when.h"
#include "ctl/ctl.h"
#include "ctl/history-json.h"
#include "ctl/pager.h"
#include "ctl/props-json.h"
#include "ctl/term.h"
#include "decide/policy.h"

#define LAST_DEFAULT 10
#define LAST_MAX 100000

enum {
	OPT_LAST,
	OPT_SINCE,
};

static const struct ctl_option options[] = {
	[OPT_LAST] = { "last", "N", "how many changes of the decision to explain (10)" },
	[OPT_SINCE] = { "since", "WHEN", "all from then on: yesterday, -2h, \"2026-11-28 14:30\"" },
	{ 0 },
};

/* What a reason rests on. */
enum evidence {
	AVAILABLE = 1 << 0,	/* MemAvailable against the headroom */
	STALLS = 1 << 1,
	REFAULTS = 1 << 2,
	FLOOR = 1 << 3,
	HOLD_OFF = 1 << 4,
	HOST = 1 << 5,
};

static unsigned int evidence_of(enum policy_reason reason)
{
	switch (reason) {
	case REASON_STARTING:
	case REASON_NO_DATA:
	case REASON_NO_DEVICE:
	case REASON_NO_SWAP:
	case REASON_HELD:
	case REASON_MANUAL:
	case REASON_STUCK:
	case REASON_LIMIT:
	case REASON_NOT_TAKEN:
	case _REASON_MAX:
		return 0;
	case REASON_START_WAIT:
	case REASON_STEADY:
	case REASON_DEAD_BAND:
	case REASON_FREE:
	case REASON_COMMITTED:
	case REASON_HEADROOM:
		return AVAILABLE;
	case REASON_CACHE:
	case REASON_SETTLING:
	case REASON_PRESSURE:
	case REASON_EMERGENCY:
		return AVAILABLE | STALLS | REFAULTS;
	case REASON_STALLS:
		return AVAILABLE | STALLS | REFAULTS;
	case REASON_PRICE:
		return AVAILABLE | HOLD_OFF;
	case REASON_WORKING_SET:
		return AVAILABLE | REFAULTS;
	case REASON_HOST:
		return HOST;
	case REASON_FLOOR:
		return FLOOR | AVAILABLE;
	case REASON_HOLD_OFF:
		return HOLD_OFF | AVAILABLE;
	case REASON_RELIEF:
	case REASON_RESCUE:
		return AVAILABLE | HOLD_OFF;
	}
	return 0;
}

static enum policy_reason parse_reason(const char *name)
{
	int i = 0;

	while (i < _REASON_MAX && strcmp(policy_reason_name((enum policy_reason)i), name) != 0)
		i++;
	return (enum policy_reason)i;
}

#define SIZE(v) units_format_size((char[UNITS_MAX]){ 0 }, UNITS_MAX, (v))
#define TIME(v) units_format_time((char[UNITS_MAX]){ 0 }, UNITS_MAX, (v))
#define INDENT "    "

static bool known(uint64_t v)
{
	return v != UINT64_MAX;
}

static void print_balloon(const struct history_record *r)
{
	const struct history_numbers *n = &r->n;

	if (r->flags & HISTORY_NO_BALLOON) {
		printf(INDENT "No balloon; the law would make it %s of %s.\n", SIZE(n->goal), SIZE(n->ram));
		return;
	}
	printf(INDENT "The balloon holds %s of %s", SIZE(n->size), SIZE(n->ram));
	if (n->target != n->size)
		printf(" and %s led to %s", strcmp(n->mode, "observe") == 0 ? "would be" : "is",
		       SIZE(n->target));
	if (n->goal != n->target)
		printf("; the law wants %s", SIZE(n->goal));
	printf(".\n");
}

static void print_evidence(const struct history_numbers *n, unsigned int what)
{
	if ((what & AVAILABLE) && known(n->available)) {
		printf(INDENT "%s are available", SIZE(n->available));
		if (known(n->available_min) && n->available_min < n->available)
			printf(" (%s at the least)", SIZE(n->available_min));
		printf(", %s are to stay so; the guest keeps at least %s.\n", SIZE(n->headroom),
		       SIZE(n->floor));
	} else if (what & FLOOR) {
		printf(INDENT "The guest keeps at least %s.\n", SIZE(n->floor));
	}
	if (what & STALLS)
		printf(INDENT "Some task stalled for memory %u.%u%% of the time, all did %u.%u%%; for "
		       "input or output %u.%u%%.\n", n->mem_some_permille / 10, n->mem_some_permille % 10,
		       n->mem_full_permille / 10, n->mem_full_permille % 10, n->io_some_permille / 10,
		       n->io_some_permille % 10);
	if (what & REFAULTS)
		printf(INDENT "%" PRIu64 " pages of the working set were read again per second.\n",
		       n->refault_rate);
	if ((what & HOST) && known(n->host_target))
		printf(INDENT "The host asks for a balloon of %s.\n", SIZE(n->host_target));
	if ((what & HOLD_OFF) && n->hold_off_left_us > 0)
		printf(INDENT "No inflation for another %s.\n", TIME(n->hold_off_left_us));
}

/* @lasted_us 0: unknown. */
static void print_decision(const struct history_record *r, uint64_t lasted_us, const char *when)
{
	enum policy_reason reason = parse_reason(r->n.reason);

	printf("%s%s  %s%s", term_style(TERM_BOLD), when, r->n.reason, term_style(TERM_PLAIN));
	printf(" %s(mode %s, law %s", term_style(TERM_FAINT), r->n.mode, r->n.law);
	if (lasted_us > 0)
		printf(", for %s", TIME(lasted_us / 1000000 * 1000000 ?: lasted_us));
	printf(")%s\n", term_style(TERM_PLAIN));
	printf(INDENT "%s\n", history_data_reason(&r->n));
	if (r->flags & (HISTORY_EARLY | HISTORY_EMERGENCY))
		printf(INDENT "The kernel's %s pressure trigger had fired.\n",
		       r->flags & HISTORY_EMERGENCY ? "emergency" : "early");
	if (r->n.relieved_kib > 0)
		printf(INDENT "The module gave %s to programs that asked.\n",
		       SIZE((uint64_t)r->n.relieved_kib << 10));
	print_balloon(r);
	/* A reason that is newer than this program: all there is. */
	print_evidence(&r->n, reason == _REASON_MAX ? AVAILABLE | STALLS | REFAULTS | HOLD_OFF | HOST
						    : evidence_of(reason));
}

/* A change, or what happened beside the decisions. */
static bool is_shown(const struct history_record *r)
{
	return r->kind == HISTORY_NOTE || (r->flags & HISTORY_CHANGED);
}

/* Of the last @n changes and what lies between them, or of all. */
static size_t first_to_show(const struct history_data *h, uint64_t n)
{
	size_t i = h->n;

	while (i > 0 && n > 0) {
		i--;
		if (h->records[i].kind == HISTORY_DECISION && (h->records[i].flags & HISTORY_CHANGED))
			n--;
	}
	return i;
}

/* How long the decision at @i was in force. */
static uint64_t lasted(const struct history_data *h, size_t i, uint64_t now_us)
{
	uint64_t end = now_us;

	for (size_t k = i + 1; k < h->n; k++)
		if (h->records[k].kind == HISTORY_DECISION && (h->records[k].flags & HISTORY_CHANGED)) {
			end = h->records[k].time_us;
			break;
		}
	return end > h->records[i].time_us ? end - h->records[i].time_us : 0;
}

static void print_past(const struct history_data *h, uint64_t n)
{
	uint64_t now_us = history_data_now();

	for (size_t i = first_to_show(h, n); i < h->n; i++) {
		const struct history_record *r = &h->records[i];
		char when[32];

		history_data_time(when, sizeof(when), r->time_us);
		if (!is_shown(r))
			continue;
		if (r->kind == HISTORY_NOTE)
			printf("%s  %s\n", when, r->text);
		else
			print_decision(r, lasted(h, i, now_us), when);
	}
}

static void copy(char *to, size_t n, const char *from)
{
	snprintf(to, n, "%s", from ?: "");
}

static uint32_t permille(uint64_t v)
{
	return known(v) ? (uint32_t)v : 0;
}

/* "03:00" */
static const char *clock_time(uint64_t time_us, char buf[static 8])
{
	time_t s = (time_t)(time_us / 1000000);
	struct tm tm;

	if (!localtime_r(&s, &tm) || !strftime(buf, 8, "%H:%M", &tm))
		return "?";
	return buf;
}

/* What the hour is known for, and what follows from that. */
static void print_expected(const struct ctl_props *p)
{
	uint64_t end_us = history_data_now();
	char from[8], to[8];

	if (!known(p->expected) || !known(p->expected_lost) || !known(p->expected_left) ||
	    !known(p->expected_weeks) || !known(p->expected_kept))
		return;
	/* Seconds late, since the decision is as old. */
	end_us += p->expected_left;
	printf(INDENT "Expected from %s to %s: up to %s needed, %s lost to stalls",
	       clock_time(end_us - 3600ULL * 1000000, from), clock_time(end_us, to),
	       SIZE(p->expected), TIME(p->expected_lost / 1000 * 1000));
	if (p->expected_weeks > 0)
		printf(" (known from %s%" PRIu64 " week%s).\n",
		       p->expected_weeks < PEAKS_WEEKS_MAX ? "" : "at least ", p->expected_weeks,
		       p->expected_weeks == 1 ? "" : "s");
	else
		printf(" (known from another day, or in part).\n");
	if (p->expected_kept > 0)
		printf(INDENT "That much is kept until then.\n");
	else
		printf(INDENT "Nothing is kept for that: %s.\n",
		       p->expected_lost > 0 ? "it would cost more than the stalls did"
					    : "nobody had to wait for it");
}

/* The decision in force as a record, so that it is explained as the others are. */
static void print_present(const struct ctl_props *p)
{
	struct history_record r = {
		.flags = p->host && *p->host ? 0 : HISTORY_NO_BALLOON,
		.n = {
			.ram = p->ram,
			.size = p->size,
			.target = p->target,
			.goal = p->goal,
			.host_target = p->host_target,
			.available = p->available,
			.available_min = p->available,
			.headroom = p->headroom,
			.floor = p->floor,
			.hold_off_left_us = known(p->hold_off_left) ? p->hold_off_left : 0,
			.refault_rate = known(p->refault_rate) ? p->refault_rate : 0,
			.mem_some_permille = permille(p->pressure_some_permille),
			.mem_full_permille = permille(p->pressure_full_permille),
			.io_some_permille = permille(p->pressure_io_permille),
		},
	};

	copy(r.n.mode, sizeof(r.n.mode), p->mode);
	copy(r.n.law, sizeof(r.n.law), p->law);
	copy(r.n.reason, sizeof(r.n.reason), p->reason);
	print_decision(&r, 0, "Now");
	print_expected(p);
	if (p->held && *p->held)
		printf(INDENT "Held: %s\n", p->held);
	if (p->problem && *p->problem)
		printf(INDENT "%sProblem: %s%s\n", term_style(TERM_BAD), p->problem,
		       term_style(TERM_PLAIN));
}

/* The same for programs: what changed, and the status as it is. */
static void print_json(const struct history_data *h, uint64_t n, struct ctl_props *p,
		       enum json_form form)
{
	uint64_t now_us = history_data_now();
	struct json j;

	json_init(&j, stdout, form);
	json_object_begin(&j, NULL);
	json_array_begin(&j, "past");
	for (size_t i = first_to_show(h, n); i < h->n; i++) {
		const struct history_record *r = &h->records[i];

		if (!is_shown(r))
			continue;
		json_object_begin(&j, NULL);
		history_json_members(&j, r);
		if (r->kind == HISTORY_DECISION) {
			json_string(&j, "reason_text", history_data_reason(&r->n));
			json_uint(&j, "lasted", lasted(h, i, now_us));
		}
		json_object_end(&j);
	}
	json_array_end(&j);
	props_json(&j, "now", p);
	json_object_end(&j);
}

static enum ctl_exit parse_last(const char *text, uint64_t *ret)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (*text < '0' || *text > '9' || *end || n > LAST_MAX)
		return ctl_fail(CTL_USAGE, "--last: '%s' is not a number from 0 to %d", text, LAST_MAX);
	*ret = n;
	return CTL_OK;
}

static enum ctl_exit run(const struct ctl_args *args)
{
	const char *last = args->option[OPT_LAST], *since = args->option[OPT_SINCE];
	uint64_t n = LAST_DEFAULT, since_us = 0;
	struct history_data h = { 0 };
	struct ctl_props props;
	enum ctl_exit code;
	struct ctl_bus bus;

	if (last && parse_last(last, &n) != CTL_OK)
		return CTL_USAGE;
	if (history_data_when("since", since, &since_us) != CTL_OK)
		return CTL_USAGE;
	if (since && !last)
		n = UINT64_MAX;

	code = ctl_bus_ask(&bus, &args->where, &props);
	if (code == CTL_OK)
		code = history_data_load(&bus, &h);
	if (code == CTL_OK) {
		history_data_trim(&h, since_us, UINT64_MAX);
		pager_open();
		if (args->json) {
			print_json(&h, n, &props, args->json);
		} else {
			print_past(&h, n);
			print_present(&props);
		}
	}
	history_data_done(&h);
	ctl_props_done(&props);
	ctl_bus_done(&bus);
	return code;
}

const struct ctl_verb ctl_verb_explain = {
	.name = "explain",
	.args = "",
	.summary = "say why: the last decisions and their numbers",
	.help = "Explain the last changes of the decision and the one in force, oldest first,\n"
		"each with the numbers that led to it. Everyone may ask.\n\n"
		"WHEN is " WHEN_HELP ".\n",
	.traits = CTL_ASKS | CTL_AFAR | CTL_SHOWS | CTL_LONG,
	.options = options,
	.run = run,
};
