/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * props-json.h - the daemon's properties as a JSON object
 */
#pragma once

#include "ctl/ctl-props.h"
#include "ctl/json.h"

/* Every property under its documented key; null where there is no value. */
void props_json(struct json *j, const char *key, struct ctl_props *p);
