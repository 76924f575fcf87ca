/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * metrics.h - the state as metrics for Prometheus and its kin
 */
#pragma once

#include <stddef.h>

#include "serve/status.h"

enum metrics_dialect {
	METRICS_OPENMETRICS,	/* OpenMetrics 1.0 */
	METRICS_PROMETHEUS,	/* text format 0.0.4, which node_exporter's textfile collector reads */
};

/* Enough for all metrics with every label at its longest. */
#define METRICS_MAX 8192

/* Write *s to buf. -ENOBUFS if it does not fit, which it does with METRICS_MAX. */
int metrics_format(const struct status *s, enum metrics_dialect dialect, char *buf, size_t n);
