/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics-json.h - OpenMetrics text as JSON
 */
#pragma once

#include "ctl/json.h"

/* An array with an object for each sample of @text, which is used up. */
void metrics_json(struct json *j, char *text);
