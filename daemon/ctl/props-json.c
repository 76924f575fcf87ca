// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * props-json.c - the daemon's properties as a JSON object
 *
 * In the order of the table of ctl-props.c. Leaves out what the daemon sent and
 * this program does not know.
 */
#include "ctl/props-json.h"

void props_json(struct json *j, const char *key, struct ctl_props *p)
{
	json_object_begin(j, key);
	for (size_t i = 0; i < ctl_prop_count; i++) {
		const struct ctl_prop *prop = &ctl_prop_table[i];

		if (prop->type == 's') {
			json_string(j, prop->json_key, *ctl_prop_string(p, prop));
		} else if (prop->type == 'a') {
			json_array_begin(j, prop->json_key);
			for (char **s = *ctl_prop_strings(p, prop); s && *s; s++)
				json_string(j, NULL, *s);
			json_array_end(j);
		} else if (*ctl_prop_number(p, prop) == CTL_NONE) {
			json_null(j, prop->json_key);
		} else {
			json_uint(j, prop->json_key, *ctl_prop_number(p, prop));
		}
	}
	json_object_end(j);
}
