/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * options.h - the options of the command line: those of a verb, and those that verbs share
 */
#pragma once

#include "ctl/ctl.h"

enum options_shared {
	SHARED_HELP,
	SHARED_VERSION,
	SHARED_HOST,
	SHARED_MACHINE,
	SHARED_BUS_ADDRESS,
	SHARED_JSON,
	SHARED_NO_PAGER,
	SHARED_NO_LEGEND,
	_SHARED_MAX,
};

struct options {
	struct ctl_args args;			/* for the verb */
	const char *shared[_SHARED_MAX];	/* NULL not given, "" given without an argument */
};

/*
 * Parses up to the first word that is no option (@verb NULL), or all of argv. What is parsed
 * first is not forgotten. optind is behind it. Prints its own failure.
 */
enum ctl_exit options_parse(int argc, char **argv, const struct ctl_verb *verb, struct options *o);

/* Whether @verb takes the shared ones that were given, and what they mean. Prints its failure. */
enum ctl_exit options_settle(struct options *o, const struct ctl_verb *verb);

/* A line for each option of @verb, its own and shared ones; verb NULL: for all that are shared. */
void options_print(const struct ctl_verb *verb);
