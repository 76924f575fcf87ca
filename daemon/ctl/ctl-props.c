// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-props.c - the daemon's properties as plain data
 *
 * The table's order is the order of the JSON output. A property that is added
 * to the daemon is one member and one row here; balloonctl ignores properties
 * that it does not know, so that old and new may meet.
 */
#include "ctl/ctl-props.h"

#include <stdlib.h>
#include <string.h>

#define ROW(name, member, t) { name, #member, t, offsetof(struct ctl_props, member) }

const struct ctl_prop ctl_prop_table[] = {
	ROW("Version", version, 's'),
	ROW("Mode", mode, 's'),
	ROW("Law", law, 's'),
	ROW("Host", host, 's'),
	ROW("Capabilities", capabilities, 'a'),
	ROW("RAM", ram, 't'),
	ROW("Size", size, 't'),
	ROW("Target", target, 't'),
	ROW("Goal", goal, 't'),
	ROW("HostTarget", host_target, 't'),
	ROW("ManualTarget", manual_target, 't'),
	ROW("Limit", limit, 't'),
	ROW("Floor", floor, 't'),
	ROW("Headroom", headroom, 't'),
	ROW("Available", available, 't'),
	ROW("Free", free, 't'),
	ROW("Cached", cached, 't'),
	ROW("Reason", reason, 's'),
	ROW("ReasonText", reason_text, 's'),
	ROW("PressureSome", pressure_some_permille, 'u'),
	ROW("PressureFull", pressure_full_permille, 'u'),
	ROW("PressureIO", pressure_io_permille, 'u'),
	ROW("RefaultRate", refault_rate, 't'),
	ROW("LeaseLeft", lease_left, 't'),
	ROW("HoldOffLeft", hold_off_left, 't'),
	ROW("Account", account, 's'),
	ROW("AccountText", account_text, 's'),
	ROW("AccountAvailable", account_available, 't'),
	ROW("AccountGone", account_gone, 't'),
	ROW("AccountHost", account_host, 't'),
	ROW("ReliefLine", relief_line, 't'),
	ROW("Relieved", relieved, 't'),
	ROW("RelievedDirect", relieved_direct, 't'),
	ROW("HostTakes", host_takes, 's'),
	ROW("ProofsTaken", proofs_taken, 't'),
	ROW("ProofsKept", proofs_kept, 't'),
	ROW("Expected", expected, 't'),
	ROW("ExpectedLost", expected_lost, 't'),
	ROW("ExpectedLeft", expected_left, 't'),
	ROW("ExpectedWeeks", expected_weeks, 't'),
	ROW("ExpectedKept", expected_kept, 't'),
	ROW("Held", held, 's'),
	ROW("HeldLeft", held_left, 't'),
	ROW("InflatedTotal", inflated_total, 't'),
	ROW("DeflatedTotal", deflated_total, 't'),
	ROW("ReliefEvents", relief_events, 't'),
	ROW("RescueEvents", rescue_events, 't'),
	ROW("Rescued", rescued, 't'),
	ROW("Emergencies", emergencies, 't'),
	ROW("ConfigFile", config_file, 's'),
	ROW("ConfigError", config_error, 's'),
	ROW("Problem", problem, 's'),
	ROW("Ticks", ticks, 't'),
};

const size_t ctl_prop_count = sizeof(ctl_prop_table) / sizeof(ctl_prop_table[0]);

const struct ctl_prop *ctl_prop_find(const char *property)
{
	for (size_t i = 0; i < ctl_prop_count; i++)
		if (strcmp(ctl_prop_table[i].property, property) == 0)
			return &ctl_prop_table[i];
	return NULL;
}

const char *ctl_props_move(const struct ctl_props *p)
{
	if (p->mode && strcmp(p->mode, "observe") == 0)
		return p->target > p->size ? "would inflate" : "would deflate";
	return p->target > p->size ? "inflating" : "deflating";
}

void ctl_props_init(struct ctl_props *p)
{
	*p = (struct ctl_props){ 0 };
	for (size_t i = 0; i < ctl_prop_count; i++)
		if (ctl_prop_table[i].type == 't' || ctl_prop_table[i].type == 'u')
			*ctl_prop_number(p, &ctl_prop_table[i]) = CTL_NONE;
}

void ctl_props_done(struct ctl_props *p)
{
	for (size_t i = 0; i < ctl_prop_count; i++) {
		const struct ctl_prop *prop = &ctl_prop_table[i];

		if (prop->type == 's') {
			free(*ctl_prop_string(p, prop));
		} else if (prop->type == 'a') {
			char **list = *ctl_prop_strings(p, prop);

			for (char **s = list; s && *s; s++)
				free(*s);
			free(list);
		}
	}
	ctl_props_init(p);
}
