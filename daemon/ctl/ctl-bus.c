// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-bus.c - talk to balloond (sd-bus, the client's side)
 *
 * A thin synchronous client. Its one piece of judgement is say(): which exit
 * status and which advice a D-Bus error deserves. Names and types are those of
 * org.balloond1.Manager, balloond(8).
 *
 * No call starts the daemon: an administrator who has stopped it and asks for
 * the status wants to hear that it is stopped.
 *
 * Leaves out formatting (the verbs) and what the numbers mean.
 */
#include "ctl/ctl-bus.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "basic/printable.h"

#define BUS_NAME	"org.balloond1"
#define OBJECT_PATH	"/org/balloond1"
#define INTERFACE	"org.balloond1.Manager"

static const char no_memory[] = "out of memory";

__attribute__((format(printf, 3, 4)))
static enum ctl_exit why(struct ctl_bus *b, enum ctl_exit code, const char *format, ...)
{
	va_list ap;
	char *text;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		text = NULL;
	va_end(ap);
	free(b->why);
	b->why = text ? printable_make(text) : NULL;
	return code;
}

const char *ctl_bus_why(const struct ctl_bus *b)
{
	return b->why ?: no_memory;
}

/* @r and @e as sd_bus_call() left them; @e may be unset. */
static enum ctl_exit say(struct ctl_bus *b, int r, const sd_bus_error *e)
{
	const char *text = e->message ?: strerror(-r);

	b->refusal = CTL_REFUSAL_NONE;
	/* The bus says this of a peer that has gone; sd-bus has the number of a timeout for it. */
	if (sd_bus_error_has_name(e, SD_BUS_ERROR_NO_REPLY))
		return why(b, CTL_NO_DAEMON, "balloond ended before it answered; "
			   "see journalctl -u balloond for the reason");
	if (r == -ETIMEDOUT)
		return why(b, CTL_FAILED, "balloond does not answer; "
			   "see journalctl -u balloond, or restart it with systemctl restart balloond");
	if (sd_bus_error_has_names(e, SD_BUS_ERROR_SERVICE_UNKNOWN, SD_BUS_ERROR_NAME_HAS_NO_OWNER))
		return why(b, CTL_NO_DAEMON, "balloond is not running; "
			   "start it with systemctl start balloond");
	if (sd_bus_error_has_names(e, SD_BUS_ERROR_ACCESS_DENIED,
				   SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED))
		return why(b, CTL_DENIED, "only root may change what balloond does; "
			   "try again with sudo");
	if (sd_bus_error_has_name(e, "org.balloond1.Error.BelowFloor")) {
		b->refusal = CTL_REFUSAL_FLOOR;
		return why(b, CTL_REFUSED, "%s", text);
	}
	if (sd_bus_error_has_name(e, "org.balloond1.Error.Limit")) {
		b->refusal = CTL_REFUSAL_LIMIT;
		return why(b, CTL_REFUSED, "%s", text);
	}
	if (sd_bus_error_has_name(e, "org.balloond1.Error.Held")) {
		b->refusal = CTL_REFUSAL_HELD;
		return why(b, CTL_REFUSED, "%s", text);
	}
	if (sd_bus_error_has_name(e, "org.balloond1.Error.Config"))
		return why(b, CTL_CONFIG, "%s", text);
	if (sd_bus_error_has_name(e, SD_BUS_ERROR_INVALID_ARGS))
		return why(b, CTL_USAGE, "%s", text);
	if (sd_bus_error_has_names(e, SD_BUS_ERROR_UNKNOWN_METHOD, SD_BUS_ERROR_UNKNOWN_INTERFACE,
				   SD_BUS_ERROR_UNKNOWN_OBJECT))
		return why(b, CTL_FAILED, "balloond and balloonctl are of different versions (%s); "
			   "restart the daemon with systemctl restart balloond", text);
	if (r == -ECONNRESET || r == -ENOTCONN || r == -EPIPE)
		return why(b, CTL_NO_DAEMON, "the bus closed the connection; "
			   "check that the D-Bus daemon is running");
	return why(b, CTL_FAILED, "balloond could not do that: %s", text);
}

static int open_address(sd_bus **ret, const char *address)
{
	int r;

	/* sd-bus takes a word without a transport for an address that it cannot reach. */
	if (!strchr(address, ':'))
		return -EINVAL;
	r = sd_bus_new(ret);
	if (r >= 0)
		r = sd_bus_set_address(*ret, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(*ret, true);
	if (r >= 0)
		r = sd_bus_start(*ret);
	return r;
}

/* [USER@]HOST[:PORT][/CONTAINER]: no part of it may become an option of ssh, or another word. */
static bool is_host(const char *host)
{
	const char *at = strchr(host, '@'), *name = at ? at + 1 : host;

	return *host != '-' && *name && !strchr(":/-", *name) && !strpbrk(host, " \t\n");
}

static int open_remote(sd_bus **ret, const char *host)
{
	return is_host(host) ? sd_bus_open_system_remote(ret, host) : -EINVAL;
}

/* ssh itself has said on standard error what is wrong with the way there. */
static enum ctl_exit no_host(struct ctl_bus *b, int r, const char *host)
{
	if (r == -EINVAL)
		return why(b, CTL_USAGE, "'%s' is not a host; it is written as "
			   "[USER@]HOST[:PORT][/CONTAINER]", host);
	return why(b, CTL_NO_DAEMON, "cannot connect to the system bus of %s (%s); "
		   "it is reached by ssh, and needs systemd-stdio-bridge there", host,
		   strerror(-r));
}

static enum ctl_exit no_machine(struct ctl_bus *b, int r, const char *machine)
{
	if (r == -EINVAL)
		return why(b, CTL_USAGE, "'%s' is not a name of a machine; "
			   "machinectl lists those there are", machine);
	if (r == -EACCES || r == -EPERM)
		return why(b, CTL_DENIED, "only root may look into machine %s; "
			   "try again with sudo", machine);
	if (r == -EHOSTDOWN || r == -ENXIO || r == -ENOENT)
		return why(b, CTL_NO_DAEMON, "there is no machine %s, or no bus in it; "
			   "machinectl lists those there are", machine);
	return why(b, CTL_NO_DAEMON, "cannot connect to the system bus of machine %s (%s)", machine,
		   strerror(-r));
}

enum ctl_exit ctl_bus_open(struct ctl_bus *b, const struct ctl_where *where)
{
	const char *name = where->address ?: "the system bus";
	int r;

	*b = (struct ctl_bus){ .host = where->host };
	if (where->address)
		r = open_address(&b->bus, where->address);
	else if (where->host)
		r = open_remote(&b->bus, where->host);
	else if (where->machine)
		r = sd_bus_open_system_machine(&b->bus, where->machine);
	else
		r = sd_bus_open_system(&b->bus);
	/* The handshake happens in the first call; make it here, where its errors belong. */
	if (r >= 0)
		r = sd_bus_get_unique_name(b->bus, &(const char *){ NULL });
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(b->bus, CTL_BUS_TIMEOUT_US);
	if (r >= 0)
		return CTL_OK;

	if (r == -ENOMEM)
		return why(b, CTL_FAILED, "%s", no_memory);
	if (where->host)
		return no_host(b, r, where->host);
	if (where->machine)
		return no_machine(b, r, where->machine);
	if (where->address && r == -EINVAL)
		return why(b, CTL_USAGE, "'%s' is not a D-Bus address; "
			   "write it as unix:path=/run/dbus/system_bus_socket", name);
	if (r == -EACCES || r == -EPERM)
		return why(b, CTL_DENIED, "not allowed to connect to %s; try again with sudo",
			   name);
	return why(b, CTL_NO_DAEMON, "cannot connect to %s (%s); check that the D-Bus daemon is running",
		   name, strerror(-r));
}

void ctl_bus_set_timeout(struct ctl_bus *b, uint64_t timeout_us)
{
	(void)sd_bus_set_method_call_timeout(b->bus, timeout_us);
}

void ctl_bus_done(struct ctl_bus *b)
{
	sd_bus_close_unref(b->bus);
	free(b->why);
	*b = (struct ctl_bus){ 0 };
}

/* The variant at the message's cursor, into the member of @prop; its type is checked by sd-bus. */
static int read_value(sd_bus_message *m, const struct ctl_prop *prop, struct ctl_props *p)
{
	const char *text;
	uint32_t u32;
	int r;

	switch (prop->type) {
	case 's':
		r = sd_bus_message_read(m, "v", "s", &text);
		if (r < 0)
			return r;
		free(*ctl_prop_string(p, prop));
		*ctl_prop_string(p, prop) = strdup(text);
		if (!*ctl_prop_string(p, prop))
			return -ENOMEM;
		(void)printable_make(*ctl_prop_string(p, prop));
		return 0;
	case 't':
		return sd_bus_message_read(m, "v", "t", ctl_prop_number(p, prop));
	case 'u':
		r = sd_bus_message_read(m, "v", "u", &u32);
		if (r >= 0)
			*ctl_prop_number(p, prop) = u32;
		return r;
	case 'a':
		r = sd_bus_message_enter_container(m, 'v', "as");
		if (r < 0)
			return r;
		r = sd_bus_message_read_strv(m, ctl_prop_strings(p, prop));
		if (r < 0)
			return r;
		for (char **s = *ctl_prop_strings(p, prop); s && *s; s++)
			(void)printable_make(*s);
		return sd_bus_message_exit_container(m);
	}
	return -EINVAL;
}

static int read_properties(sd_bus_message *m, struct ctl_props *p)
{
	int r;

	r = sd_bus_message_enter_container(m, 'a', "{sv}");
	if (r < 0)
		return r;
	while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
		const struct ctl_prop *prop;
		const char *name;

		r = sd_bus_message_read(m, "s", &name);
		if (r < 0)
			return r;
		prop = ctl_prop_find(name);
		r = prop ? read_value(m, prop, p) : sd_bus_message_skip(m, "v");
		if (r < 0)
			return r;
		r = sd_bus_message_exit_container(m);
		if (r < 0)
			return r;
	}
	return r;
}

/* One call and its reply, which the caller unrefs (NULL on failure, or if not wanted). */
static enum ctl_exit call(struct ctl_bus *b, sd_bus_message **ret, const char *interface,
			  const char *method, const char *types, ...)
{
	sd_bus_error error = SD_BUS_ERROR_NULL;
	sd_bus_message *m = NULL;
	enum ctl_exit code = CTL_OK;
	va_list ap;
	int r;

	if (ret)
		*ret = NULL;
	r = sd_bus_message_new_method_call(b->bus, &m, BUS_NAME, OBJECT_PATH, interface, method);
	if (r >= 0)
		r = sd_bus_message_set_auto_start(m, false);
	if (r >= 0 && types) {
		va_start(ap, types);
		r = sd_bus_message_appendv(m, types, ap);
		va_end(ap);
	}
	if (r >= 0)
		r = sd_bus_call(b->bus, m, 0, &error, ret);
	if (r < 0)
		code = say(b, r, &error);
	sd_bus_message_unref(m);
	sd_bus_error_free(&error);
	return code;
}

enum ctl_exit ctl_bus_read(struct ctl_bus *b, struct ctl_props *ret)
{
	sd_bus_message *reply;
	enum ctl_exit code;
	struct ctl_props p;
	int r;

	code = call(b, &reply, "org.freedesktop.DBus.Properties", "GetAll", "s", INTERFACE);
	if (code != CTL_OK)
		return code;
	ctl_props_init(&p);
	r = read_properties(reply, &p);
	if (r < 0) {
		code = why(b, CTL_FAILED, "balloond's answer cannot be read (%s); are balloond "
			   "and balloonctl of the same version?", strerror(-r));
		goto out;
	}
	ctl_props_done(ret);
	*ret = p;
	ctl_props_init(&p);
out:
	ctl_props_done(&p);
	sd_bus_message_unref(reply);
	return code;
}

enum ctl_exit ctl_bus_ask(struct ctl_bus *b, const struct ctl_where *where, struct ctl_props *ret)
{
	enum ctl_exit code;

	ctl_props_init(ret);
	code = ctl_bus_open(b, where);
	if (code == CTL_OK)
		code = ctl_bus_read(b, ret);
	return code == CTL_OK ? CTL_OK : ctl_fail(code, "%s", ctl_bus_why(b));
}

enum ctl_exit ctl_bus_set_target(struct ctl_bus *b, uint64_t balloon)
{
	return call(b, NULL, INTERFACE, "SetTarget", "t", balloon);
}

enum ctl_exit ctl_bus_set_mode(struct ctl_bus *b, const char *mode)
{
	return call(b, NULL, INTERFACE, "SetMode", "s", mode);
}

enum ctl_exit ctl_bus_set_law(struct ctl_bus *b, const char *law)
{
	return call(b, NULL, INTERFACE, "SetLaw", "s", law);
}

/* What read() took from the reply of a call, which it has used up. */
static enum ctl_exit answered(struct ctl_bus *b, sd_bus_message *reply, int r)
{
	sd_bus_message_unref(reply);
	if (r >= 0)
		return CTL_OK;
	return why(b, CTL_FAILED, "balloond's answer cannot be read (%s); are balloond "
		   "and balloonctl of the same version?", strerror(-r));
}

static enum ctl_exit answered_bool(struct ctl_bus *b, sd_bus_message *reply, bool *ret)
{
	int value = 0, r;

	r = sd_bus_message_read(reply, "b", &value);
	if (r >= 0)
		*ret = value;
	return answered(b, reply, r);
}

enum ctl_exit ctl_bus_hold(struct ctl_bus *b, const char *reason, uint64_t for_us, bool *ret_kept)
{
	sd_bus_message *reply;
	enum ctl_exit code;

	code = call(b, &reply, INTERFACE, "Hold", "st", reason, for_us);
	return code == CTL_OK ? answered_bool(b, reply, ret_kept) : code;
}

enum ctl_exit ctl_bus_release(struct ctl_bus *b, bool *ret_was_held)
{
	sd_bus_message *reply;
	enum ctl_exit code;

	code = call(b, &reply, INTERFACE, "Release", NULL);
	return code == CTL_OK ? answered_bool(b, reply, ret_was_held) : code;
}

static enum ctl_exit no_file(struct ctl_bus *b)
{
	int n = (int)strcspn(b->host, ":/");
	const char *port = b->host[n] == ':' ? b->host + n + 1 : "";
	int digits = (int)strcspn(port, "/");

	return why(b, CTL_FAILED, "the history is a file, which ssh does not carry; "
		   "run balloonctl on that host, with ssh %s%.*s%s%.*s", digits ? "-p " : "", digits,
		   port, digits ? " " : "", n, b->host);
}

enum ctl_exit ctl_bus_open_history(struct ctl_bus *b, int *ret_fd)
{
	sd_bus_message *reply;
	enum ctl_exit code;
	int fd, r;

	if (b->host)
		return no_file(b);
	code = call(b, &reply, INTERFACE, "OpenHistory", NULL);
	if (code != CTL_OK)
		return code;
	r = sd_bus_message_read(reply, "h", &fd);
	if (r >= 0) {
		/* The message owns its own. */
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		r = fd < 0 ? -errno : 0;
	}
	if (r >= 0)
		*ret_fd = fd;
	return answered(b, reply, r);
}

enum ctl_exit ctl_bus_metrics(struct ctl_bus *b, char **ret)
{
	sd_bus_message *reply;
	enum ctl_exit code;
	const char *text;
	char *copy;
	int r;

	code = call(b, &reply, INTERFACE, "GetMetrics", NULL);
	if (code != CTL_OK)
		return code;
	r = sd_bus_message_read(reply, "s", &text);
	if (r >= 0) {
		copy = strdup(text);
		r = copy ? 0 : -ENOMEM;
		if (copy)
			*ret = printable_make(copy);
	}
	return answered(b, reply, r);
}

enum ctl_exit ctl_bus_config(struct ctl_bus *b,
			     void (*each)(void *ctx, const char *key, const char *value), void *ctx)
{
	const char *key, *value;
	sd_bus_message *reply;
	enum ctl_exit code;
	int r;

	code = call(b, &reply, INTERFACE, "GetConfig", NULL);
	if (code != CTL_OK)
		return code;
	r = sd_bus_message_enter_container(reply, 'a', "{ss}");
	while (r >= 0 && (r = sd_bus_message_read(reply, "{ss}", &key, &value)) > 0)
		each(ctx, key, value);
	return answered(b, reply, r);
}

enum ctl_exit ctl_bus_reload(struct ctl_bus *b)
{
	return call(b, NULL, INTERFACE, "Reload", NULL);
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct ctl_bus *b = userdata;

	(void)m;
	(void)error;
	b->changed = true;
	return 0;
}

enum ctl_exit ctl_bus_subscribe(struct ctl_bus *b)
{
	int r;

	r = sd_bus_match_signal(b->bus, NULL, BUS_NAME, OBJECT_PATH,
				"org.freedesktop.DBus.Properties", "PropertiesChanged", on_change, b);
	if (r >= 0)
		r = sd_bus_add_match(b->bus, NULL,
				     "type='signal',sender='org.freedesktop.DBus',"
				     "interface='org.freedesktop.DBus',member='NameOwnerChanged',"
				     "arg0='" BUS_NAME "'", on_change, b);
	if (r < 0)
		return say(b, r, &SD_BUS_ERROR_NULL);
	return CTL_OK;
}

/* Take up what has arrived. */
static int drain(struct ctl_bus *b)
{
	int r;

	do
		r = sd_bus_process(b->bus, NULL);
	while (r > 0);
	return r;
}

enum ctl_exit ctl_bus_wait(struct ctl_bus *b, uint64_t timeout_us)
{
	int r;

	b->changed = false;
	r = drain(b);
	if (r >= 0 && !b->changed) {
		r = sd_bus_wait(b->bus, timeout_us);
		if (r == -EINTR)
			return CTL_OK;
		if (r >= 0)
			r = drain(b);
	}
	return r < 0 ? say(b, r, &SD_BUS_ERROR_NULL) : CTL_OK;
}
