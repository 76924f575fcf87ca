/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * history-export.h - the history as a file for other programs and as a picture
 */
#pragma once

#include <stdio.h>

#include "ctl/history-data.h"

/* One line a record under a header that names the units. Errors stay in the stream. */
void history_export_csv(FILE *f, const struct history_data *h);

/*
 * A picture of what lies between @from_us and @to_us (CLOCK_REALTIME). 0, -ENODATA if there are
 * less than two decisions to draw, or a negative errno.
 */
int history_export_svg(FILE *f, const struct history_data *h, uint64_t to_us);
