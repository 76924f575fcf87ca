/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl-props.h - the daemon's properties as plain data
 *
 * One table maps a D-Bus property to a member and to its key in JSON. What the
 * daemon did not send (an older one) stays NULL or CTL_NONE; UINT64_MAX on the
 * bus means "none", too. Bytes, microseconds, permille.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define CTL_NONE UINT64_MAX

struct ctl_props {
	char *version;
	char *mode;
	char *law;
	char *host;		/* "" = no device */
	char **capabilities;	/* NULL-terminated */
	uint64_t ram;
	uint64_t size;
	uint64_t target;
	uint64_t goal;
	uint64_t host_target;
	uint64_t manual_target;
	uint64_t limit;
	uint64_t floor;
	uint64_t headroom;
	uint64_t available;
	uint64_t free;
	uint64_t cached;
	char *reason;
	char *reason_text;
	uint64_t pressure_some_permille;
	uint64_t pressure_full_permille;
	uint64_t pressure_io_permille;
	uint64_t refault_rate;	/* pages a second */
	uint64_t lease_left;
	uint64_t hold_off_left;
	char *account;		/* "available", "gone", "mixed", "host"; "" = no device */
	char *account_text;	/* why */
	uint64_t account_available;
	uint64_t account_gone;
	uint64_t account_host;
	uint64_t relief_line;
	uint64_t relieved;
	uint64_t relieved_direct;
	char *host_takes;	/* "unknown", "yes", "in-doubt", "no" */
	uint64_t proofs_taken;
	uint64_t proofs_kept;
	uint64_t expected;	/* need that this hour is known for */
	uint64_t expected_lost;	/* time that tasks lost in it */
	uint64_t expected_left;	/* until it ends; over an hour: it has not begun */
	uint64_t expected_weeks;
	uint64_t expected_kept;
	char *held;		/* the operator's reason, "" = not held */
	uint64_t held_left;
	uint64_t inflated_total;
	uint64_t deflated_total;
	uint64_t relief_events;
	uint64_t rescue_events;
	uint64_t rescued;
	uint64_t emergencies;
	char *config_file;
	char *config_error;	/* "" = none */
	char *problem;		/* "" = none */
	uint64_t ticks;
};

struct ctl_prop {
	const char *property;
	const char *json_key;
	/* D-Bus type: 's' -> char *, 'a' (as) -> char **, 't' and 'u' -> uint64_t */
	char type;
	size_t offset;
};

extern const struct ctl_prop ctl_prop_table[];
extern const size_t ctl_prop_count;

/* NULL if balloonctl does not know it. */
const struct ctl_prop *ctl_prop_find(const char *property);

/* What happens to the balloon on its way to the target: "inflating", "would deflate". */
const char *ctl_props_move(const struct ctl_props *p);

void ctl_props_init(struct ctl_props *p);
void ctl_props_done(struct ctl_props *p);

static inline uint64_t *ctl_prop_number(struct ctl_props *p, const struct ctl_prop *prop)
{
	return (uint64_t *)((char *)p + prop->offset);
}

static inline char **ctl_prop_string(struct ctl_props *p, const struct ctl_prop *prop)
{
	return (char **)((char *)p + prop->offset);
}

static inline char ***ctl_prop_strings(struct ctl_props *p, const struct ctl_prop *prop)
{
	return (char ***)((char *)p + prop->offset);
}
