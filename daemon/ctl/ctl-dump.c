// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-dump.c - balloonctl dump
 *
 * Everything that someone who was not there needs to understand what happened: status,
 * configuration in force, the last decisions and events, and what the kernel
 * says about memory and the module. Files of the kernel are quoted line by line and not
 * interpreted.
 *
 * Nothing secret: amounts of memory, versions, the configuration, and what the operator wrote as the reason
 * of a hold. No host name, address, process, user or command line; the list of files below is all
 * that is read. A file that is not there or may not be read is null; of the daemon of another
 * machine all of them are.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl.h"
#include "ctl/history-json.h"
#include "ctl/pager.h"
#include "ctl/props-json.h"

/* Of the history: changes and events, and the records between them of the last minutes. */
#define CHANGES_MAX 500
#define RECORDS_MAX 60
/* Longer than any of the files. */
#define FILE_BYTES_MAX 65536

static const char *const files[] = {
	"/proc/meminfo",
	"/proc/pressure/memory",
	"/proc/pressure/io",
	"/proc/vmstat",
	"/proc/swaps",
	"/sys/module/uballoon/version",
	"/sys/module/uballoon/parameters/host",
	"/sys/module/uballoon/parameters/floor_mb",
	"/sys/module/uballoon/parameters/guest_driven",
	"/sys/module/uballoon/parameters/oom_holdoff_ms",
	"/sys/module/uballoon/parameters/refuse_2m",
	"/sys/class/misc/uballoon/mem_available_pages",
	"/sys/class/misc/uballoon/available_pages",
	"/sys/kernel/debug/uballoon/state",
};

static void add_lines(struct json *j, char *text)
{
	for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
		json_string(j, NULL, line);
}

static void add_file(struct json *j, const char *path)
{
	_cleanup_free_ char *text = malloc(FILE_BYTES_MAX + 1);
	_cleanup_close_ int fd = -1;
	size_t used = 0;
	ssize_t n = 0;

	fd = text ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK) : -1;
	while (fd >= 0 && used < FILE_BYTES_MAX &&
	       (n = read(fd, text + used, FILE_BYTES_MAX - used)) > 0)
		used += (size_t)n;
	if (fd < 0 || n < 0) {
		json_null(j, path);
		return;
	}
	text[used] = '\0';
	json_array_begin(j, path);
	add_lines(j, text);
	json_array_end(j);
}

static void add_system(struct json *j)
{
	struct utsname u;

	json_object_begin(j, "system");
	if (uname(&u) == 0) {
		json_string(j, "kernel", u.release);
		json_string(j, "machine", u.machine);
	}
	json_uint(j, "processors", (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	json_uint(j, "page_bytes", (uint64_t)sysconf(_SC_PAGESIZE));
	json_object_begin(j, "files");
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		add_file(j, files[i]);
	json_object_end(j);
	json_object_end(j);
}

static bool is_change(const struct history_record *r)
{
	return r->kind == HISTORY_NOTE || (r->flags & HISTORY_CHANGED);
}

static void add_history(struct json *j, const struct history_data *h)
{
	size_t first = h->n, changes = 0;

	while (first > 0 && changes < CHANGES_MAX)
		changes += is_change(&h->records[--first]);
	json_array_begin(j, "history");
	for (size_t i = first; i < h->n; i++)
		if (is_change(&h->records[i]) || h->n - i <= RECORDS_MAX)
			history_json_record(j, &h->records[i]);
	json_array_end(j);
}

static void add_config(void *ctx, const char *key, const char *value)
{
	json_string(ctx, key, value);
}

static enum ctl_exit run(const struct ctl_args *args)
{
	struct history_data h = { 0 };
	struct ctl_props props;
	enum ctl_exit code;
	struct ctl_bus bus;
	struct json j;

	code = ctl_bus_ask(&bus, &args->where, &props);
	if (code == CTL_OK)
		code = history_data_load(&bus, &h);
	if (code != CTL_OK)
		goto out;

	pager_open();
	json_init(&j, stdout, args->json ?: JSON_PRETTY);
	json_object_begin(&j, NULL);
	json_string(&j, "balloonctl", VERSION);
	json_uint(&j, "time_us", history_data_now());
	props_json(&j, "status", &props);
	json_object_begin(&j, "config");
	code = ctl_bus_config(&bus, add_config, &j);
	json_object_end(&j);
	if (code != CTL_OK)
		ctl_fail(code, "%s", ctl_bus_why(&bus));
	if (ctl_is_afar(&args->where))
		json_null(&j, "system");
	else
		add_system(&j);
	add_history(&j, &h);
	json_object_end(&j);
out:
	history_data_done(&h);
	ctl_props_done(&props);
	ctl_bus_done(&bus);
	return code;
}

const struct ctl_verb ctl_verb_dump = {
	.name = "dump",
	.args = "",
	.summary = "print everything for a bug report, as JSON",
	.help = "Print status, configuration, the last decisions and what the kernel says about\n"
		"memory as one JSON object, to be attached to a bug report. There is nothing\n"
		"secret in it: no names of hosts, users or programs. Read the reason of a hold,\n"
		"if there was one, before you send it: it is in there as it was written. Everyone\n"
		"may ask; root gets the module's counters, too.\n",
	.traits = CTL_ASKS | CTL_AFAR | CTL_SHOWS | CTL_LONG,
	.run = run,
};
