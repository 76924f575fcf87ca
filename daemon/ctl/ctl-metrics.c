// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-metrics.c - balloonctl metrics
 *
 * The daemon makes the text, so that what is printed here and what it writes for a collector
 * cannot differ.
 */
#include <stdio.h>
#include <stdlib.h>

#include "ctl/ctl-bus.h"
#include "ctl/ctl.h"
#include "ctl/metrics-json.h"
#include "ctl/pager.h"

static void show(const struct ctl_args *args, char *text)
{
	struct json j;

	pager_open();
	if (!args->json) {
		fputs(text, stdout);
		return;
	}
	json_init(&j, stdout, args->json);
	metrics_json(&j, text);
}

static enum ctl_exit run(const struct ctl_args *args)
{
	enum ctl_exit code;
	struct ctl_bus bus;
	char *text = NULL;

	code = ctl_bus_open(&bus, &args->where);
	if (code == CTL_OK)
		code = ctl_bus_metrics(&bus, &text);
	if (code != CTL_OK)
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	else
		show(args, text);
	free(text);
	ctl_bus_done(&bus);
	return code;
}

const struct ctl_verb ctl_verb_metrics = {
	.name = "metrics",
	.args = "",
	.summary = "print the state as OpenMetrics text",
	.help = "Print the state in the text format of OpenMetrics, which Prometheus and others\n"
		"read. For a node_exporter on the machine set metrics_file in balloond.conf; see\n"
		"balloond.conf(5). Everyone may ask.\n",
	.traits = CTL_ASKS | CTL_AFAR | CTL_SHOWS | CTL_LONG,
	.run = run,
};
