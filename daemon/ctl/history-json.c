// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * history-json.c - records of the history as JSON
 *
 * The keys are those of the status where there is one for the same thing, so
 * that a program can read both. A note has a time and a text and nothing else;
 * null is what is not known.
 */
#include "ctl/history-json.h"

static void add_number(struct json *j, const char *key, uint64_t v)
{
	if (v == UINT64_MAX)
		json_null(j, key);
	else
		json_uint(j, key, v);
}

static void add_word(struct json *j, const char *key, const char *word)
{
	json_string(j, key, *word ? word : NULL);
}

void history_json_members(struct json *j, const struct history_record *r)
{
	const struct history_numbers *n = &r->n;

	json_uint(j, "time_us", r->time_us);
	if (r->kind == HISTORY_NOTE) {
		json_string(j, "note", r->text);
		return;
	}
	json_string(j, "reason", n->reason);
	json_string(j, "mode", n->mode);
	json_string(j, "law", n->law);
	json_bool(j, "changed", r->flags & HISTORY_CHANGED);
	add_word(j, "move", history_data_move(r));
	add_word(j, "trigger", history_data_trigger(r));
	json_uint(j, "ram", n->ram);
	add_number(j, "size", r->flags & HISTORY_NO_BALLOON ? UINT64_MAX : n->size);
	json_uint(j, "target", n->target);
	json_uint(j, "goal", n->goal);
	add_number(j, "host_target", n->host_target);
	add_number(j, "available", n->available);
	add_number(j, "available_min", n->available_min);
	add_number(j, "free", n->free);
	add_number(j, "cached", n->cached);
	json_uint(j, "headroom", n->headroom);
	json_uint(j, "floor", n->floor);
	json_uint(j, "hold_off_left", n->hold_off_left_us);
	json_uint(j, "refault_rate", n->refault_rate);
	json_uint(j, "pressure_some_permille", n->mem_some_permille);
	json_uint(j, "pressure_full_permille", n->mem_full_permille);
	json_uint(j, "pressure_io_permille", n->io_some_permille);
	json_uint(j, "relieved", (uint64_t)n->relieved_kib << 10);
}

void history_json_record(struct json *j, const struct history_record *r)
{
	json_object_begin(j, NULL);
	history_json_members(j, r);
	json_object_end(j);
}
