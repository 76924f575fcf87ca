// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake-manager.c - a service manager on a private bus, which does as it is told
 *
 * usage: fake-manager ADDRESS [finished] [ID UNIT JOB-TYPE SERVICE-TYPE]...
 *
 * Has of org.freedesktop.systemd1 what balloond asks for. Standard input, a line
 * each: "finish" (the boot is over), "job ID UNIT JOB-TYPE SERVICE-TYPE", "done
 * ID", "reload" (forgets who has subscribed), "mute" (sends no signals any more).
 * Standard output: "ready", then "asked WHAT" for each question. Ends with its
 * standard input. While it is asked for "race.service" a job for another service
 * comes. As the real one, it sends signals only if somebody has
 * subscribed.
 *
 * Leaves out: everything else, and who may ask.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#define PATH	  "/org/freedesktop/systemd1"
#define INTERFACE "org.freedesktop.systemd1.Manager"

#define JOBS 8

static struct job {
	uint32_t id; /* 0 = free */
	char unit[64], type[16], service_type[16];
} jobs[JOBS];

static sd_bus *bus;
static uint64_t finished;
static bool subscribed, mute, raced;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "fake-manager: %s: %s\n", what, strerror(-r));
	exit(1);
}

static void path_of(const char *unit, char *buf, size_t n)
{
	char *path;

	must(sd_bus_path_encode(PATH "/unit", unit, &path), "path");
	snprintf(buf, n, "%s", path);
	free(path);
}

static int get_finish(sd_bus *b, const char *path, const char *interface, const char *property,
		      sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)b, (void)path, (void)interface, (void)userdata, (void)error;
	printf("asked %s\n", property);
	return sd_bus_message_append(reply, "t", finished);
}

static void add_job(const char *text);

static int get_type(sd_bus *b, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	const struct job *j = userdata;

	(void)b, (void)path, (void)interface, (void)error;
	printf("asked %s %s\n", property, j->unit);
	if (!raced && strcmp(j->unit, "race.service") == 0) {
		raced = true;
		add_job("99 db.service start notify");
	}
	return sd_bus_message_append(reply, "s", j->service_type);
}

static int find_unit(sd_bus *b, const char *path, const char *interface, void *userdata,
		     void **ret, sd_bus_error *error)
{
	char own[128];

	(void)b, (void)interface, (void)userdata, (void)error;
	for (unsigned i = 0; i < JOBS; i++) {
		path_of(jobs[i].unit, own, sizeof(own));
		if (jobs[i].id && strcmp(own, path) == 0) {
			*ret = &jobs[i];
			return 1;
		}
	}
	return 0;
}

static int on_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata;
	printf("asked Subscribe\n");
	if (subscribed)
		return sd_bus_error_set(error, "org.freedesktop.systemd1.AlreadySubscribed",
					"Client is already subscribed.");
	subscribed = true;
	return sd_bus_reply_method_return(m, NULL);
}

static int on_list(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	sd_bus_message *reply;
	char unit[128], job[64];

	(void)userdata, (void)error;
	printf("asked ListJobs\n");
	must(sd_bus_message_new_method_return(m, &reply), "reply");
	must(sd_bus_message_open_container(reply, 'a', "(usssoo)"), "reply");
	for (unsigned i = 0; i < JOBS; i++) {
		if (!jobs[i].id)
			continue;
		path_of(jobs[i].unit, unit, sizeof(unit));
		snprintf(job, sizeof(job), PATH "/job/%u", jobs[i].id);
		must(sd_bus_message_append(reply, "(usssoo)", jobs[i].id, jobs[i].unit,
					   jobs[i].type, "running", job, unit), "reply");
	}
	must(sd_bus_message_close_container(reply), "reply");
	must(sd_bus_send(NULL, reply, NULL), "reply");
	sd_bus_message_unref(reply);
	return 1;
}

static const sd_bus_vtable manager[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("FinishTimestampMonotonic", "t", get_finish, 0, 0),
	SD_BUS_METHOD("Subscribe", "", "", on_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_METHOD("ListJobs", "", "a(usssoo)", on_list, SD_BUS_VTABLE_UNPRIVILEGED),
	SD_BUS_VTABLE_END,
};

static const sd_bus_vtable service[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Type", "s", get_type, 0, 0),
	SD_BUS_VTABLE_END,
};

#define TELL(member, ...)                                                                          \
	do {                                                                                       \
		if (subscribed && !mute)                                                           \
			must(sd_bus_emit_signal(bus, PATH, INTERFACE, member, __VA_ARGS__),        \
			     "signal");                                                            \
	} while (0)

static struct job *find_job(uint32_t id)
{
	for (unsigned i = 0; i < JOBS; i++)
		if (jobs[i].id == id)
			return &jobs[i];
	fprintf(stderr, "fake-manager: no such job, or too many\n");
	exit(1);
}

static void add_job(const char *text)
{
	struct job *j = find_job(0);
	char path[64];

	if (sscanf(text, "%u %63s %15s %15s", &j->id, j->unit, j->type, j->service_type) != 4)
		exit(1);
	snprintf(path, sizeof(path), PATH "/job/%u", j->id);
	TELL("JobNew", "uos", j->id, path, j->unit);
}

static void remove_job(uint32_t id)
{
	struct job *j = find_job(id);
	char path[64];

	snprintf(path, sizeof(path), PATH "/job/%u", id);
	j->id = 0;
	TELL("JobRemoved", "uoss", id, path, j->unit, "done");
}

static void obey(const char *line)
{
	if (strcmp(line, "finish") == 0) {
		finished = 1234567;
		TELL("StartupFinished", "tttttt", 1ULL, 1ULL, 1ULL, 1ULL, 1ULL, 1ULL);
	} else if (strncmp(line, "job ", 4) == 0) {
		add_job(line + 4);
	} else if (strncmp(line, "done ", 5) == 0) {
		remove_job(strtoul(line + 5, NULL, 10));
	} else if (strcmp(line, "reload") == 0) {
		TELL("Reloading", "b", 1);
		subscribed = false;
	} else if (strcmp(line, "mute") == 0) {
		mute = true;
	} else {
		exit(1);
	}
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	char line[256];

	(void)source, (void)fd, (void)revents, (void)userdata;
	/* Unbuffered: what has come is seen by poll(), not by stdio. */
	if (!fgets(line, sizeof(line), stdin))
		return sd_event_exit(sd_bus_get_event(bus), 0);
	line[strcspn(line, "\n")] = '\0';
	obey(line);
	return 0;
}

int main(int argc, char **argv)
{
	sd_event *event;

	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	for (int i = 2; i < argc; i++) {
		if (strcmp(argv[i], "finished") == 0)
			finished = 1234567;
		else
			add_job(argv[i]);
	}
	must(sd_event_new(&event), "event");
	must(sd_bus_new(&bus), "bus");
	must(sd_bus_set_address(bus, argv[1]), "address");
	must(sd_bus_set_bus_client(bus, true), "bus");
	must(sd_bus_start(bus), "connect");
	must(sd_bus_attach_event(bus, event, 0), "event");
	must(sd_bus_add_object_vtable(bus, NULL, PATH, INTERFACE, manager, NULL), "object");
	must(sd_bus_add_fallback_vtable(bus, NULL, PATH "/unit", "org.freedesktop.systemd1.Service",
					service, find_unit, NULL), "object");
	must(sd_bus_request_name(bus, "org.freedesktop.systemd1", 0), "name");
	must(sd_event_add_io(event, NULL, 0, EPOLLIN, on_input, NULL), "input");
	puts("ready");
	return sd_event_loop(event) < 0;
}
