/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl.h - what a verb of balloonctl is, and how it ends
 *
 * A verb is one constant table entry: its words, its options, its help and the
 * function that runs it. The same table parses the command line and prints
 * --help, so that the two cannot disagree. A new verb is one file with one
 * struct ctl_verb, and one line in balloonctl.c.
 */
#pragma once

#include <stdarg.h>
#include <stdbool.h>

#include "ctl/json.h"

/* Exit status of the program; documented in balloonctl(1). */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1,		/* anything that has no number of its own */
	CTL_USAGE = 2,		/* unknown verb or option, a size without a unit */
	CTL_NO_DAEMON = 3,	/* nobody owns the name, or there is no bus */
	CTL_DENIED = 4,		/* the bus or the daemon says that the caller may not */
	CTL_REFUSED = 5,	/* below the floor, above the limit */
	CTL_CONFIG = 6,		/* the configuration file is not valid */
	CTL_TIMEOUT = 7,	/* --wait ended before the target was reached */
};

struct ctl_option {
	const char *name;	/* long name without dashes; NULL ends a table */
	const char *arg;	/* NULL: none; "ADDR": needed; "[TIME]": may be left out */
	const char *help;
};

/*
 * Options that several verbs share stand in one table (options.c). A verb takes
 * those that mean something to it, by what it does.
 */
enum ctl_trait {
	CTL_ASKS = 1 << 0,	/* the daemon */
	CTL_SHOWS = 1 << 1,	/* what programs want to read, too */
	CTL_LONG = 1 << 2,	/* more than a screen, perhaps */
	CTL_TITLES = 1 << 3,	/* lines above or below a table */
	CTL_AFAR = 1 << 4,	/* the daemon of another machine will do */
};

/* Whose daemon; at most one is not NULL, without one it is that of this machine. */
struct ctl_where {
	const char *address;	/* of a bus */
	const char *host;	/* [USER@]HOST, by ssh */
	const char *machine;	/* [USER@]NAME, a container here */
};

/* What can be seen of this machine says nothing about the daemon's. */
static inline bool ctl_is_afar(const struct ctl_where *where)
{
	return where->host || where->machine;
}

#define CTL_OPTIONS_MAX 16

struct ctl_args {
	struct ctl_where where;
	enum json_form json;
	bool no_legend;
	int argc;			/* positional arguments after the verb */
	char **argv;
	/* By index into the verb's options: NULL not given, "" given without an argument. */
	const char *option[CTL_OPTIONS_MAX];
};

struct ctl_verb {
	const char *name;
	const char *args;		/* for the synopsis, "" if it takes none */
	const char *summary;		/* half a line, for the list of verbs */
	const char *help;		/* paragraphs for --help, lines under 80 columns */
	int min_args;
	int max_args;
	unsigned int traits;			/* of enum ctl_trait */
	const struct ctl_option *options;	/* its own; NULL if none */
	enum ctl_exit (*run)(const struct ctl_args *args);
};

extern const struct ctl_verb ctl_verb_status;
extern const struct ctl_verb ctl_verb_set_target;
extern const struct ctl_verb ctl_verb_mode;
extern const struct ctl_verb ctl_verb_policy;
extern const struct ctl_verb ctl_verb_watch;
extern const struct ctl_verb ctl_verb_explain;
extern const struct ctl_verb ctl_verb_history;
extern const struct ctl_verb ctl_verb_hold;
extern const struct ctl_verb ctl_verb_release;
extern const struct ctl_verb ctl_verb_metrics;
extern const struct ctl_verb ctl_verb_dump;
extern const struct ctl_verb ctl_verb_adopt;
extern const struct ctl_verb ctl_verb_reload;
extern const struct ctl_verb ctl_verb_config;
extern const struct ctl_verb ctl_verb_check_config;
extern const struct ctl_verb ctl_verb_record;
extern const struct ctl_verb ctl_verb_simulate;

/* "balloonctl: " and one sentence on stderr; returns @code, so that a verb can end with it. */
enum ctl_exit ctl_fail(enum ctl_exit code, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
