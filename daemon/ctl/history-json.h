/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history-json.h - records of the history as JSON
 */
#pragma once

#include "ctl/history-data.h"
#include "ctl/json.h"

/* Into an object that the caller has begun, and may add to. */
void history_json_members(struct json *j, const struct history_record *r);
/* An object of its own, in an array. */
void history_json_record(struct json *j, const struct history_record *r);
