// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * fake-balloond.c - a balloond on a private bus that says what it is told to say
 *
 * usage: fake-balloond ADDRESS
 *
 * Standard input, a line each:
 *
 *   prop NAME s TEXT | prop NAME t NUMBER | prop NAME u NUMBER | prop NAME as [WORD...]
 *                                (a vertical tab is a line feed in the text)
 *   unset NAME                   the property is not there any more
 *   clear                        no property is there, every method answers as at the start
 *   changed                      PropertiesChanged, with nothing in it
 *   answer METHOD nothing        an empty reply (as at the start)
 *   answer METHOD error NAME TEXT
 *   answer METHOD bool NUMBER | text TEXT | file PATH | config LIMIT
 *                                (a vertical tab is a line feed here, too)
 *   answer METHOD silence        no reply
 *   answer METHOD end            ends instead of replying
 *   answer METHOD props          the properties (GetAll, as at the start)
 *
 * Standard output: "ready", "ok" after each line, and "asked METHOD" for each call. Ends with its
 * standard input.
 *
 * Leaves out: what the real one would say. The tests of the daemon are for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>
#include <unistd.h>

#define PATH	   "/org/balloond1"
#define INTERFACE  "org.balloond1.Manager"
#define PROPERTIES "org.freedesktop.DBus.Properties"

#define ENTRIES 128
#define WORDS	32

static struct prop {
	char name[32], type[4], value[1024];
} props[ENTRIES];

static struct answer {
	char method[32], kind[16], text[1024];
} answers[ENTRIES];

static sd_bus *bus;

static void must(int r, const char *what)
{
	if (r >= 0)
		return;
	fprintf(stderr, "fake-balloond: %s: %s\n", what, strerror(-r));
	exit(1);
}

/* That of @name, or a free one. */
static struct prop *find_prop(const char *name)
{
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < ENTRIES; i++)
			if (strcmp(props[i].name, pass ? "" : name) == 0)
				return &props[i];
	must(-ENOSPC, "properties");
	return NULL;
}

static struct answer *find_answer(const char *method)
{
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < ENTRIES; i++)
			if (strcmp(answers[i].method, pass ? "" : method) == 0)
				return &answers[i];
	must(-ENOSPC, "answers");
	return NULL;
}

static void append_words(sd_bus_message *m, char *text)
{
	char *words[WORDS] = { NULL }, *rest;
	int n = 0;

	for (char *w = strtok_r(text, " ", &rest); w && n < WORDS - 1; w = strtok_r(NULL, " ", &rest))
		words[n++] = w;
	must(sd_bus_message_open_container(m, 'v', "as"), "reply");
	must(sd_bus_message_append_strv(m, words), "reply");
	must(sd_bus_message_close_container(m), "reply");
}

static void append_props(sd_bus_message *m)
{
	must(sd_bus_message_open_container(m, 'a', "{sv}"), "reply");
	for (int i = 0; i < ENTRIES; i++) {
		struct prop p = props[i];

		if (!*p.name)
			continue;
		must(sd_bus_message_open_container(m, 'e', "sv"), "reply");
		must(sd_bus_message_append(m, "s", p.name), "reply");
		if (strcmp(p.type, "as") == 0)
			append_words(m, p.value);
		else if (strcmp(p.type, "s") == 0)
			must(sd_bus_message_append(m, "v", "s", p.value), "reply");
		else if (strcmp(p.type, "u") == 0)
			must(sd_bus_message_append(m, "v", "u", (uint32_t)strtoul(p.value, NULL, 10)), "reply");
		else
			must(sd_bus_message_append(m, "v", "t", strtoull(p.value, NULL, 10)), "reply");
		must(sd_bus_message_close_container(m), "reply");
	}
	must(sd_bus_message_close_container(m), "reply");
}

static int on_call(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *method = sd_bus_message_get_member(m);
	const struct answer *a = find_answer(method);
	const char *kind = *a->method ? a->kind : strcmp(method, "GetAll") == 0 ? "props" : "nothing";
	sd_bus_message *reply;

	(void)userdata;
	printf("asked %s\n", method);
	if (strcmp(kind, "silence") == 0)
		return 1;
	if (strcmp(kind, "end") == 0)
		exit(0);
	if (strcmp(kind, "error") == 0) {
		char name[128] = "", text[512] = "";

		sscanf(a->text, "%127s %511[^\n]", name, text);
		return sd_bus_error_set(error, name, text);
	}
	must(sd_bus_message_new_method_return(m, &reply), "reply");
	if (strcmp(kind, "props") == 0)
		append_props(reply);
	else if (strcmp(kind, "bool") == 0)
		must(sd_bus_message_append(reply, "b", atoi(a->text)), "reply");
	else if (strcmp(kind, "text") == 0)
		must(sd_bus_message_append(reply, "s", a->text), "reply");
	else if (strcmp(kind, "config") == 0)
		must(sd_bus_message_append(reply, "a{ss}", 1, "limit", a->text), "reply");
	else if (strcmp(kind, "file") == 0)
		must(sd_bus_message_append(reply, "h", open(a->text, O_RDONLY | O_CLOEXEC)), "reply");
	must(sd_bus_send(NULL, reply, NULL), "reply");
	sd_bus_message_unref(reply);
	return 1;
}

static void break_lines(char *text)
{
	for (; *text; text++)
		*text = *text == '\v' ? '\n' : *text;
}

static void obey(const char *line)
{
	struct answer a = { 0 };
	struct prop p = { 0 };

	if (sscanf(line, "prop %31s %3s %1023[^\n]", p.name, p.type, p.value) >= 2) {
		break_lines(p.value);
		*find_prop(p.name) = p;
	} else if (sscanf(line, "unset %31s", p.name) == 1)
		memset(find_prop(p.name), 0, sizeof(p));
	else if (sscanf(line, "answer %31s %15s %1023[^\n]", a.method, a.kind, a.text) >= 2) {
		break_lines(a.text);
		*find_answer(a.method) = a;
	} else if (strcmp(line, "clear") == 0)
		memset(props, 0, sizeof(props)), memset(answers, 0, sizeof(answers));
	else if (strcmp(line, "changed") == 0)
		must(sd_bus_emit_signal(bus, PATH, PROPERTIES, "PropertiesChanged", "sa{sv}as", INTERFACE, 0, 0),
		     "signal");
	else
		must(-EINVAL, line);
}

static int on_input(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
	char line[2048];

	(void)source, (void)fd, (void)revents, (void)userdata;
	/* Unbuffered: what has come is seen by poll(), not by stdio. */
	if (!fgets(line, sizeof(line), stdin))
		return sd_event_exit(sd_bus_get_event(bus), 0);
	line[strcspn(line, "\n")] = '\0';
	obey(line);
	puts("ok");
	return 0;
}

int main(int argc, char **argv)
{
	sd_event *event;

	if (argc != 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stdin, NULL, _IONBF, 0);
	must(sd_event_new(&event), "event");
	must(sd_bus_new(&bus), "bus");
	must(sd_bus_set_address(bus, argv[1]), "address");
	must(sd_bus_set_bus_client(bus, true), "bus");
	must(sd_bus_negotiate_fds(bus, true), "bus");
	must(sd_bus_start(bus), "connect");
	must(sd_bus_attach_event(bus, event, 0), "event");
	must(sd_bus_add_object(bus, NULL, PATH, on_call, NULL), "object");
	must(sd_bus_request_name(bus, "org.balloond1", 0), "name");
	must(sd_event_add_io(event, NULL, 0, EPOLLIN, on_input, NULL), "input");
	puts("ready");
	return sd_event_loop(event) < 0;
}
