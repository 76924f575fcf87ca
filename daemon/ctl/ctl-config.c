// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-config.c - balloonctl check-config
 *
 * Runs the daemon's own reader over a file and prints what it found wrong, all
 * of it, one "FILE:LINE: KEY: reason" a line on standard output (they are the
 * answer, and editors parse them). Needs no daemon, no bus and no root.
 */
#include <stdio.h>
#include <string.h>

#include "config.h"
#include "ctl/ctl.h"

static enum ctl_exit run(const struct ctl_args *args)
{
	const char *path = args->argc > 0 ? args->argv[0] : CONFIG_PATH;
	struct config_errors errors = { 0 };
	enum ctl_exit code = CTL_OK;
	struct config config;
	int r;

	r = config_load(path, &config, &errors);
	for (size_t i = 0; i < errors.n; i++)
		printf("%s\n", errors.lines[i]);
	if (r > 0) {
		printf("%s: valid\n", path);
	} else if (r == 0) {
		/* The daemon is content without its own file; whoever names a file means it. */
		if (args->argc > 0)
			code = ctl_fail(CTL_CONFIG, "%s: there is no such file", path);
		else
			printf("%s: there is no such file, the defaults are in force\n", path);
	} else {
		code = ctl_fail(CTL_CONFIG, "%s is not valid: %zu error%s; balloond would refuse it",
				path, errors.n, errors.n == 1 ? "" : "s");
	}
	config_errors_done(&errors);
	return code;
}

const struct ctl_verb ctl_verb_check_config = {
	.name = "check-config",
	.args = "[FILE]",
	.summary = "check a configuration file",
	.help = "Read a configuration file as balloond would, and print each error as\n"
		"FILE:LINE: KEY: reason. Without FILE: " CONFIG_PATH ".\n"
		"Needs neither balloond nor root.\n",
	.max_args = 1,
	.run = run,
};
