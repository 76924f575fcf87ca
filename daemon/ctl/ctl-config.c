// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-config.c - balloonctl config, balloonctl check-config
 *
 * Both run the daemon's own reader over a file and its drop-ins. What it found
 * wrong is printed, all of it, one "FILE:LINE: KEY: reason" a line on standard
 * output (for check-config they are the answer, and editors parse them). Needs no
 * daemon, no bus and no root.
 *
 * Leaves out what a running daemon has in force, which is in the dump: its files
 * may have changed since it read them.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "basic/printable.h"
#include "config/config.h"
#include "ctl/ctl.h"
#include "ctl/files.h"
#include "ctl/json.h"
#include "ctl/pager.h"

#define NO_SUCH_FILE "there is no such file"

struct loaded {
	const char *path;
	bool main_file;		/* there is one */
	struct config config;
	struct config_origins origins;
	struct config_errors errors;
};

static void loaded_done(struct loaded *l)
{
	config_origins_done(&l->origins);
	config_errors_done(&l->errors);
}

/* Reads what args name. Lists the errors on errors_to, which may be NULL. */
static enum ctl_exit load(const struct ctl_args *args, struct loaded *l, FILE *errors_to)
{
	size_t n;
	int r;

	l->path = args->argc > 0 ? args->argv[0] : CONFIG_PATH;
	if (files_is_standard(l->path)) {
		l->path = FILES_STDIN;
		r = config_load_fd(STDIN_FILENO, l->path, &l->config, &l->origins, &l->errors);
	} else {
		r = config_load_from(l->path, NULL, &l->config, &l->origins, &l->errors);
	}
	n = l->errors.n;
	for (size_t i = 0; i < n && errors_to; i++)
		fprintf(errors_to, "%s\n", l->errors.lines[i]);
	if (r < 0)
		return ctl_fail(CTL_CONFIG, "%s is not valid: %zu error%s; balloond would refuse it%s",
				l->path, n, n == 1 ? "" : "s", files_config_advice(l->path));
	/* The daemon is content without its own file; whoever names a file means it. */
	if (r == 0 && args->argc > 0)
		return ctl_fail(CTL_CONFIG, "%s: " NO_SUCH_FILE, l->path);
	l->main_file = r > 0;
	return CTL_OK;
}

static void json_files(struct json *j, const struct loaded *l)
{
	json_array_begin(j, "files");
	for (size_t i = 0; i < l->origins.files.n; i++)
		json_string(j, NULL, printable_line(l->origins.files.paths[i]));
	json_array_end(j);
}

static void show_verdict(const struct loaded *l, bool valid, enum json_form form)
{
	_cleanup_free_ char *missing = NULL;
	struct json j;

	if (!valid && l->errors.n == 0 && asprintf(&missing, "%s: " NO_SUCH_FILE, l->path) < 0)
		missing = NULL;
	json_init(&j, stdout, form);
	json_object_begin(&j, NULL);
	json_bool(&j, "valid", valid);
	json_files(&j, l);
	json_array_begin(&j, "errors");
	if (missing)
		json_string(&j, NULL, missing);
	for (size_t i = 0; i < l->errors.n; i++)
		json_string(&j, NULL, l->errors.lines[i]);
	json_array_end(&j);
	json_object_end(&j);
}

static enum ctl_exit run_check(const struct ctl_args *args)
{
	_cleanup_(loaded_done) struct loaded l = {};
	enum ctl_exit code = load(args, &l, args->json ? NULL : stdout);
	char dropins[64] = "";
	size_t n;

	if (args->json)
		show_verdict(&l, code == CTL_OK, args->json);
	if (args->json || code != CTL_OK)
		return code;
	n = l.origins.files.n - l.main_file;
	if (n > 0)
		snprintf(dropins, sizeof(dropins), "%s %zu drop-in%s", l.main_file ? ", with" : " and",
			 n, n == 1 ? "" : "s");
	if (l.main_file)
		printf("%s: valid%s\n", l.path, dropins);
	else
		printf("%s: " NO_SUCH_FILE ", the defaults%s are in force\n", l.path, dropins);
	return CTL_OK;
}

/* "FILE:LINE" or "default", for the caller to free; NULL without memory. */
static char *origin_of(const struct config_origins *origins, size_t key)
{
	const struct config_origin *o = &origins->of[key];
	char *text;

	if (o->line == 0)
		return strdup("default");
	if (asprintf(&text, "%s:%u", origins->files.paths[o->file], o->line) < 0)
		return NULL;
	return printable_line(text);
}

typedef void (*show_fn)(void *ctx, const char *key, const char *value, const char *origin);

static void show_keys(const struct loaded *l, show_fn show, void *ctx)
{
	size_t n;
	const struct config_key *keys = config_keys(&n);

	for (size_t i = 0; i < n; i++) {
		_cleanup_free_ char *origin = origin_of(&l->origins, i);
		char value[CONFIG_PATH_MAX];

		config_format(&l->config, &keys[i], value, sizeof(value));
		show(ctx, keys[i].name, printable_line(value), origin ?: "?");
	}
}

static void show_line(void *ctx, const char *key, const char *value, const char *origin)
{
	(void)ctx;
	printf("%-28s  %-12s  %s\n", key, value, origin);
}

static void show_member(void *ctx, const char *key, const char *value, const char *origin)
{
	json_object_begin(ctx, key);
	json_string(ctx, "value", value);
	json_string(ctx, "origin", origin);
	json_object_end(ctx);
}

static void show_json(const struct loaded *l, enum json_form form)
{
	struct json j;

	json_init(&j, stdout, form);
	json_object_begin(&j, NULL);
	json_files(&j, l);
	json_object_begin(&j, "keys");
	show_keys(l, show_member, &j);
	json_object_end(&j);
	json_object_end(&j);
}

static enum ctl_exit run_config(const struct ctl_args *args)
{
	_cleanup_(loaded_done) struct loaded l = {};
	enum ctl_exit code = load(args, &l, stderr);

	if (code != CTL_OK)
		return code;
	pager_open();
	if (args->json) {
		show_json(&l, args->json);
		return CTL_OK;
	}
	for (size_t i = 0; i < l.origins.files.n && !args->no_legend; i++)
		printf("# %s\n", printable_line(l.origins.files.paths[i]));
	show_keys(&l, show_line, NULL);
	return CTL_OK;
}

const struct ctl_verb ctl_verb_config = {
	.name = "config",
	.args = "[FILE]",
	.summary = "show each setting, and which file it is from",
	.help = "Read a configuration file and its drop-ins as balloond would, and print each\n"
		"key, its value, and where that is from: FILE:LINE, or default. The files stand\n"
		"above, in the order in which they are read. Without FILE: " CONFIG_PATH ".\n"
		"A running balloond has what it read last, see balloonctl dump. - is the standard\n"
		"input, without drop-ins. Needs neither balloond nor root.\n",
	.max_args = 1,
	.traits = CTL_SHOWS | CTL_LONG | CTL_TITLES,
	.run = run_config,
};

const struct ctl_verb ctl_verb_check_config = {
	.name = "check-config",
	.args = "[FILE]",
	.summary = "check a configuration file and its drop-ins",
	.help = "Read a configuration file and its drop-ins as balloond would, and print each\n"
		"error as FILE:LINE: KEY: reason. Without FILE: " CONFIG_PATH " and the\n"
		"drop-ins in balloond.conf.d of /etc, /run and /usr/lib; with FILE, those in\n"
		"FILE.d. - is the standard input, without drop-ins. Needs neither balloond nor\n"
		"root.\n",
	.max_args = 1,
	.traits = CTL_SHOWS,
	.run = run_check,
};
