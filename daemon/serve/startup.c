// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * startup.c - whether the guest boots, or starts services
 *
 * The guest boots until the service manager says that it has finished, which is
 * when it has nothing to do for the first time. Later it starts services while
 * there is a job that starts or restarts one. Not those of type oneshot: their
 * job lasts as long as their work does (a backup, a timer's task each minute),
 * and there is no service afterwards that would have sized itself. Nor any other
 * kind of unit: mounts, sockets and targets have no memory of their own. Of a
 * service of type simple the manager only knows that it was executed: how long
 * that takes is all the wait there is.
 *
 * The jobs are not counted but looked at as a whole whenever one comes or goes:
 * nothing is lost with a signal that is. A connection of its own, since the one
 * of bus.c is closed again and again where another daemon has the name.
 *
 * Where nobody tells (no bus, no manager) the guest counts as booting for two
 * minutes after its boot. A manager that is there but slow to answer leaves what
 * is known as it is. Leaves out: how long a start is waited for (decide/start.c),
 * the managers of users, and containers.
 */
#include "serve/startup.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "serve/sdbus.h"

#define MANAGER	  "org.freedesktop.systemd1"
#define PATH	  "/org/freedesktop/systemd1"
#define INTERFACE MANAGER ".Manager"

#define SIGNAL(member)                                                                             \
	"type='signal',sender='" MANAGER "',path='" PATH "',interface='" INTERFACE                 \
	"',member='" member "'"

/* Where nobody tells, a boot takes so long. */
#define BOOT_US (120 * 1000 * 1000)
/*
 * Between two attempts to reach a bus or a manager that is not there; and as long as something
 * starts, the manager is asked that often in case that a signal was lost.
 */
#define AGAIN_US (10 * 1000 * 1000)
/* A manager that reads its units again does not answer meanwhile. */
#define ANSWER_US (25 * 1000 * 1000)

struct startup {
	sd_event *event;
	const char *address;
	void (*began)(void *ctx);
	void *ctx;

	sd_bus *bus;		/* NULL = not connected */
	bool told;		/* the manager has said what follows */
	enum sample_start what;
	bool finished;		/* it has said that the boot is over ... */
	bool watching;		/* ... and this connection is told of jobs */
	bool heard;		/* somebody answered, or nobody is there, at least once */
	bool asking;		/* an answer is under way ... */
	bool again;		/* ... and has been overtaken */
	sd_bus_message *jobs;	/* those that have not been looked at */
	uint64_t again_us;	/* the next attempt */
};

static void look(struct startup *s);

/* Whatever was asked has been answered. */
static void answered(struct startup *s)
{
	s->jobs = sd_bus_message_unref(s->jobs);
	s->asking = false;
	if (s->again)
		look(s);
}

static void settle(struct startup *s, enum sample_start what)
{
	bool begins = what != SAMPLE_START_NONE && (!s->told || s->what == SAMPLE_START_NONE);

	s->told = s->heard = true;
	s->what = what;
	answered(s);
	if (begins)
		s->began(s->ctx);
}

/* No answer: what is known stays if there is somebody who only takes his time. */
static void fail(struct startup *s, bool slow)
{
	if (!slow)
		s->told = false;
	s->heard = true;
	s->again = false;
	answered(s);
}

static bool is_slow(sd_bus_message *m)
{
	return sd_bus_message_is_method_error(m, SD_BUS_ERROR_NO_REPLY) ||
	       sd_bus_message_is_method_error(m, SD_BUS_ERROR_TIMEOUT);
}

static bool is_service(const char *unit)
{
	const char *dot = strrchr(unit, '.');

	return dot && strcmp(dot, ".service") == 0;
}

static void look_at_jobs(struct startup *s);

static int on_type(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct startup *s = userdata;
	const char *type = "oneshot";

	(void)error;
	/* A unit that has gone does not start. */
	if (!sd_bus_message_is_method_error(m, NULL))
		(void)sd_bus_message_read(m, "v", "s", &type);
	if (strcmp(type, "oneshot") == 0)
		look_at_jobs(s);
	else
		settle(s, SAMPLE_START_SERVICES);
	return 0;
}

/* Go through s->jobs up to the first that counts. */
static void look_at_jobs(struct startup *s)
{
	const char *unit, *type, *state, *job_path, *unit_path;
	uint32_t id;
	int r;

	while ((r = sd_bus_message_read(s->jobs, "(usssoo)", &id, &unit, &type, &state, &job_path,
					&unit_path)) > 0) {
		if (!is_service(unit) ||
		    (strcmp(type, "start") != 0 && strcmp(type, "restart") != 0))
			continue;
		r = sdbus_manager_get(s->bus, unit_path, MANAGER ".Service", "Type", on_type, s,
				      ANSWER_US);
		if (r < 0)
			fail(s, false);
		return;
	}
	if (r < 0)
		fail(s, false);
	else
		settle(s, SAMPLE_START_NONE);
}

static int on_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct startup *s = userdata;

	(void)error;
	if (sd_bus_message_is_method_error(m, NULL) ||
	    sd_bus_message_enter_container(m, 'a', "(usssoo)") < 0) {
		fail(s, is_slow(m));
		return 0;
	}
	s->jobs = sd_bus_message_ref(m);
	look_at_jobs(s);
	return 0;
}

static int ask_jobs(struct startup *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sdbus_manager_call(s->bus, PATH, INTERFACE, "ListJobs", &m);
	if (r >= 0)
		r = sd_bus_call_async(s->bus, NULL, m, on_jobs, s, ANSWER_US);
	return r;
}

static int on_change(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)m, (void)error;
	look(userdata);
	return 0;
}

/* Not before the boot is over: there are hundreds of them. */
static int watch_jobs(struct startup *s)
{
	int r;

	if (s->watching)
		return 0;
	r = sd_bus_add_match_async(s->bus, NULL, SIGNAL("JobNew"), on_change, NULL, s);
	if (r >= 0)
		r = sd_bus_add_match_async(s->bus, NULL, SIGNAL("JobRemoved"), on_change, NULL, s);
	s->watching = r >= 0;
	return r;
}

static int on_finish(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct startup *s = userdata;
	uint64_t finished_us = 0;

	(void)error;
	if (sd_bus_message_is_method_error(m, NULL) ||
	    sd_bus_message_read(m, "v", "t", &finished_us) < 0)
		fail(s, is_slow(m));
	else if (finished_us == 0)
		settle(s, SAMPLE_START_BOOT);
	else if (watch_jobs(s) < 0 || ask_jobs(s) < 0)
		fail(s, false);
	else
		s->finished = true;
	return 0;
}

/* Ask anew; if an answer is under way, once more behind it. */
static void look(struct startup *s)
{
	int r;

	s->again = s->asking;
	if (s->asking)
		return;
	s->asking = true;
	if (s->finished)
		r = ask_jobs(s);
	else
		r = sdbus_manager_get(s->bus, PATH, INTERFACE, "FinishTimestampMonotonic",
				      on_finish, s, ANSWER_US);
	if (r < 0)
		fail(s, false);
}

/* Only who has subscribed is sent signals. Who has already is refused, which is just as well. */
static void subscribe(struct startup *s)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

	if (sdbus_manager_call(s->bus, PATH, INTERFACE, "Subscribe", &m) >= 0 &&
	    sd_bus_message_set_expect_reply(m, false) >= 0)
		(void)sd_bus_send(s->bus, m, NULL);
}

static int on_reloading(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)m, (void)error;
	/* Some releases forget at this who has subscribed; what is said meanwhile comes after. */
	subscribe(userdata);
	look(userdata);
	return 0;
}

/* The manager has come, or gone; when it executes itself anew, one after the other. */
static int on_owner(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *name, *before, *after;
	struct startup *s = userdata;

	(void)error;
	if (sd_bus_message_read(m, "sss", &name, &before, &after) < 0)
		return 0;
	if (!*after) {
		s->told = s->finished = false;
		return 0;
	}
	subscribe(s);
	look(s);
	return 0;
}

static void disconnect(struct startup *s)
{
	s->jobs = sd_bus_message_unref(s->jobs);
	s->bus = sd_bus_close_unref(s->bus);
	s->told = s->finished = s->watching = s->asking = s->again = false;
}

static int connect_to(struct startup *s)
{
	int r;

	r = sdbus_connect(s->event, s->address, "balloond-startup", &s->bus);
	if (r >= 0)
		r = sd_bus_add_match_async(s->bus, NULL,
					   "type='signal',sender='org.freedesktop.DBus',"
					   "interface='org.freedesktop.DBus',"
					   "member='NameOwnerChanged',arg0='" MANAGER "'",
					   on_owner, NULL, s);
	if (r >= 0)
		r = sd_bus_add_match_async(s->bus, NULL, SIGNAL("StartupFinished"), on_change, NULL,
					   s);
	if (r >= 0)
		r = sd_bus_add_match_async(s->bus, NULL, SIGNAL("Reloading"), on_reloading, NULL,
					   s);
	return r;
}

static void maintain(struct startup *s, uint64_t now_us)
{
	if (s->bus && sd_bus_is_open(s->bus) <= 0)
		disconnect(s);
	if (now_us < s->again_us)
		return;
	if (!s->bus) {
		s->again_us = now_us + AGAIN_US;
		if (connect_to(s) < 0) {
			disconnect(s);
			return;
		}
		subscribe(s);
		look(s);
	} else if (!s->told || s->what != SAMPLE_START_NONE) {
		s->again_us = now_us + AGAIN_US;
		look(s);
	}
}

enum sample_start startup_look(struct startup *s, uint64_t now_us)
{
	if (s)
		maintain(s, now_us);
	if (s && s->told)
		return s->what;
	/* While the bus itself comes up. */
	if (s && s->asking && !s->heard)
		return SAMPLE_START_BOOT;
	return now_us < BOOT_US ? SAMPLE_START_BOOT : SAMPLE_START_NONE;
}

int startup_new(sd_event *event, const char *address, void (*began)(void *ctx), void *ctx,
		struct startup **ret)
{
	struct startup *s = calloc(1, sizeof(*s));

	if (!s)
		return -ENOMEM;
	s->event = event;
	s->address = address;
	s->began = began;
	s->ctx = ctx;
	*ret = s;
	return 0;
}

void startup_free(struct startup *s)
{
	if (!s)
		return;
	disconnect(s);
	free(s);
}
