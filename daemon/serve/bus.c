// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * bus.c - org.balloond1 on D-Bus
 *
 * The daemon's side of the bus. Properties are read from a copy of
 * the status, so that a slow reader never sees half a tick. Methods are
 * privileged twice: by the bus policy file and by sd-bus' own check of the caller
 * (root, or the daemon's own user), which also holds on a private bus.
 *
 * The bus must never hold up the policy: connecting and asking for the name do
 * not wait, the one blocking exchange that sd-bus needs (who is the caller of a
 * method?) has a short timeout, and signals are dropped while a stalled bus has
 * too many of them queued; the next one that goes out carries the latest
 * values.
 *
 * Leaves out: polkit (root decides), per-property history, object manager.
 */
#include "serve/bus.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <systemd/sd-bus.h>

#include "basic/printable.h"
#include "serve/metrics.h"
#include "serve/sdbus.h"
#include "uballoon.h"

#define NAME	  "org.balloond1"
#define PATH	  "/org/balloond1"
#define INTERFACE "org.balloond1.Manager"

/* Longest wait for the bus itself to answer, while it checks a caller. */
#define CALL_TIMEOUT_US (2 * 1000 * 1000)
/* Longest wait for the service manager, while the daemon stops; there are two questions. */
#define MANAGER_TIMEOUT_US (1000 * 1000)
/* Messages that may wait to be written. A healthy bus has none. */
#define QUEUE_MAX 32
/* MemAvailable always moves; only a change of more than RAM over this is announced. */
#define AVAILABLE_DIVISOR 100

/* No text of the status or of an answer is longer. */
#define TEXT_MAX 256

/* Longest name of an interface or a member on D-Bus, in bytes; nothing here has a longer path. */
#define NAME_LENGTH_MAX 255

/* Longest value of a configuration key. */
#define CONFIG_VALUE_MAX 300

struct bus {
	sd_event *event;
	const char *address;
	struct bus_owner owner;

	sd_bus *bus;		/* NULL = not connected */
	int name;		/* 1 = ours, 0 = asked for, negative errno = refused */
	struct status status;	/* what properties show */
	struct status announced; /* what the last signal said */

	void (*restart_answered)(void *ctx, bool restart);	/* NULL: nobody waits */
	void *restart_ctx;
};

/* What stands in a status may have come out of a file, or was cut to fit. */
static const char *printable(const char *text, char buf[static TEXT_MAX])
{
	snprintf(buf, TEXT_MAX, "%s", text);
	return printable_make(buf);
}

static int get_text(sd_bus *bus, const char *path, const char *interface, const char *property,
		    sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	char buf[TEXT_MAX];

	(void)bus, (void)path, (void)interface, (void)property, (void)error;
	return sd_bus_message_append(reply, "s", printable(userdata, buf));
}

static int get_version(sd_bus *bus, const char *path, const char *interface, const char *property,
		       sd_bus_message *reply, void *userdata, sd_bus_error *error)
{
	(void)bus, (void)path, (void)interface, (void)property, (void)userdata, (void)error;
	return sd_bus_message_append(reply, "s", VERSION);
}

static int get_capabilities(sd_bus *bus, const char *path, const char *interface,
			    const char *property, sd_bus_message *reply, void *userdata,
			    sd_bus_error *error)
{
	static const struct {
		uint64_t bit;
		const char *name;
	} names[] = {
		{UBALLOON_CAP_HOST_TARGET, "host-target"},
		{UBALLOON_CAP_DOORBELL, "doorbell"},
		{UBALLOON_CAP_2M, "2m-pages"},
		{UBALLOON_CAP_MUST_TELL, "must-tell"},
		{UBALLOON_CAP_DEFLATE_ON_OOM, "deflate-on-oom"},
		{UBALLOON_CAP_GUEST_DRIVEN, "guest-driven"},
		{UBALLOON_CAP_REPORTING, "reporting"},
		{UBALLOON_CAP_PROOF, "proof"},
	};
	const uint64_t *capabilities = userdata;
	int r;

	(void)bus, (void)path, (void)interface, (void)property, (void)error;
	r = sd_bus_message_open_container(reply, 'a', "s");
	if (r < 0)
		return r;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (!(*capabilities & names[i].bit))
			continue;
		r = sd_bus_message_append(reply, "s", names[i].name);
		if (r < 0)
			return r;
	}
	return sd_bus_message_close_container(reply);
}

static int reply_to(sd_bus_message *m, const struct order_answer *answer, sd_bus_error *error)
{
	const char *name = NULL;
	char buf[TEXT_MAX];

	switch (answer->refusal) {
	case REFUSED_NOT:
		return sd_bus_reply_method_return(m, NULL);
	case REFUSED_BELOW_FLOOR:
		name = NAME ".Error.BelowFloor";
		break;
	case REFUSED_OVER_LIMIT:
		name = NAME ".Error.Limit";
		break;
	case REFUSED_INVALID:
		name = SD_BUS_ERROR_INVALID_ARGS;
		break;
	case REFUSED_BAD_CONFIG:
		name = NAME ".Error.Config";
		break;
	case REFUSED_HELD:
		name = NAME ".Error.Held";
		break;
	}
	return sd_bus_error_set(error, name, printable(answer->why, buf));
}

/* Method handlers get &b->status, as the vtable's offsets are relative to it. */
static struct bus *bus_of(void *userdata)
{
	return (struct bus *)((char *)userdata - offsetof(struct bus, status));
}

static struct order_answer give(struct bus *b, const struct order *order)
{
	struct order_answer answer = {};

	b->owner.order(b->owner.ctx, order, &answer);
	return answer;
}

static int on_set_target(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct order order = {.kind = ORDER_SET_TARGET};
	struct order_answer answer;
	int r;

	r = sd_bus_message_read(m, "t", &order.amount);
	if (r < 0)
		return r;
	answer = give(bus_of(userdata), &order);
	return reply_to(m, &answer, error);
}

static int set_name(sd_bus_message *m, struct bus *b, sd_bus_error *error, enum order_kind kind)
{
	struct order order = {.kind = kind};
	struct order_answer answer;
	int r = sd_bus_message_read(m, "s", &order.text);

	if (r < 0)
		return r;
	answer = give(b, &order);
	return reply_to(m, &answer, error);
}

static int on_set_mode(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return set_name(m, bus_of(userdata), error, ORDER_SET_MODE);
}

static int on_set_law(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	return set_name(m, bus_of(userdata), error, ORDER_SET_LAW);
}

static int on_hold(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct order order = {.kind = ORDER_HOLD};
	struct order_answer answer;
	int r;

	r = sd_bus_message_read(m, "st", &order.text, &order.amount);
	if (r < 0)
		return r;
	answer = give(bus_of(userdata), &order);
	if (answer.refusal == REFUSED_NOT)
		return sd_bus_reply_method_return(m, "b", (int)answer.kept);
	return reply_to(m, &answer, error);
}

static int on_release(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const struct order order = {.kind = ORDER_RELEASE};
	struct order_answer answer = give(bus_of(userdata), &order);

	if (answer.refusal == REFUSED_NOT)
		return sd_bus_reply_method_return(m, "b", (int)answer.was_held);
	return reply_to(m, &answer, error);
}

static int on_open_history(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_close_ int fd = -1;
	struct bus *b = bus_of(userdata);

	fd = b->owner.open_history(b->owner.ctx);
	if (fd < 0)
		return sd_bus_error_setf(error, SD_BUS_ERROR_FAILED, "the history cannot be opened: %s",
					 strerror(-fd));
	/* The message keeps a copy of its own. */
	return sd_bus_reply_method_return(m, "h", fd);
}

static int on_get_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	char text[METRICS_MAX];
	struct bus *b = bus_of(userdata);

	if (metrics_format(&b->status, METRICS_OPENMETRICS, text, sizeof(text)) < 0)
		return sd_bus_error_set(error, SD_BUS_ERROR_FAILED, "the metrics do not fit");
	return sd_bus_reply_method_return(m, "s", text);
}

static int on_get_config(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
	struct bus *b = bus_of(userdata);
	char value[CONFIG_VALUE_MAX];
	const char *name;
	int r;

	(void)error;
	r = sd_bus_message_new_method_return(m, &reply);
	if (r >= 0)
		r = sd_bus_message_open_container(reply, 'a', "{ss}");
	for (size_t i = 0; r >= 0; i++) {
		name = b->owner.config_value(b->owner.ctx, i, value, sizeof(value));
		if (!name)
			break;
		r = sd_bus_message_append(reply, "{ss}", name, printable_make(value));
	}
	if (r >= 0)
		r = sd_bus_message_close_container(reply);
	return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int on_reload(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const struct order order = {.kind = ORDER_RELOAD};
	struct order_answer answer = give(bus_of(userdata), &order);

	return reply_to(m, &answer, error);
}

#define EVERYBODY SD_BUS_VTABLE_UNPRIVILEGED
#define CONSTANT SD_BUS_VTABLE_PROPERTY_CONST
#define CHANGES	 SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE
#define TEXT(name, field, flags)                                                                   \
	SD_BUS_PROPERTY(name, "s", get_text, offsetof(struct status, field), flags)
#define U64(name, field, flags)                                                                    \
	SD_BUS_PROPERTY(name, "t", NULL, offsetof(struct status, field), flags)
#define U32(name, field, flags)                                                                    \
	SD_BUS_PROPERTY(name, "u", NULL, offsetof(struct status, field), flags)

static const sd_bus_vtable vtable[] = {
	SD_BUS_VTABLE_START(0),
	SD_BUS_PROPERTY("Version", "s", get_version, 0, CONSTANT),
	TEXT("Mode", mode, CHANGES),
	TEXT("Law", law, CHANGES),
	TEXT("Host", host, CHANGES),
	SD_BUS_PROPERTY("Capabilities", "as", get_capabilities,
			offsetof(struct status, capabilities), CHANGES),
	U64("RAM", ram, CHANGES),
	U64("Size", size, CHANGES),
	U64("Target", target, CHANGES),
	U64("Goal", goal, CHANGES),
	U64("HostTarget", host_target, CHANGES),
	U64("ManualTarget", manual_target, CHANGES),
	U64("Limit", limit, CHANGES),
	U64("Floor", floor, CHANGES),
	U64("Headroom", headroom, CHANGES),
	U64("Available", available, CHANGES),
	U64("Free", free, 0),
	U64("Cached", cached, 0),
	TEXT("Reason", reason, CHANGES),
	TEXT("ReasonText", reason_text, CHANGES),
	U32("PressureSome", mem_some_permille, 0),
	U32("PressureFull", mem_full_permille, 0),
	U32("PressureIO", io_some_permille, 0),
	U64("RefaultRate", refault_rate, 0),
	U64("LeaseLeft", lease_left_us, 0),
	U64("HoldOffLeft", hold_off_left_us, 0),
	TEXT("Account", account, CHANGES),
	TEXT("AccountText", account_text, CHANGES),
	U64("AccountAvailable", account_available, 0),
	U64("AccountGone", account_gone, 0),
	U64("AccountHost", account_host, 0),
	U64("ReliefLine", relief_line, 0),
	U64("Relieved", relieved, 0),
	U64("RelievedDirect", relieved_direct, 0),
	TEXT("HostTakes", host_takes, CHANGES),
	U64("ProofsTaken", proofs_taken, 0),
	U64("ProofsKept", proofs_kept, 0),
	U64("Expected", expected, 0),
	U64("ExpectedLost", expected_lost_us, 0),
	U64("ExpectedLeft", expected_left_us, 0),
	U64("ExpectedWeeks", expected_weeks, 0),
	U64("ExpectedKept", expected_kept, 0),
	TEXT("Held", held, CHANGES),
	U64("HeldLeft", held_left_us, 0),
	U64("InflatedTotal", inflated_total, 0),
	U64("DeflatedTotal", deflated_total, 0),
	U64("ReliefEvents", relief_events, CHANGES),
	U64("RescueEvents", rescue_events, CHANGES),
	U64("Rescued", rescued, 0),
	U64("Emergencies", emergencies, CHANGES),
	TEXT("ConfigFile", config_file, CONSTANT),
	TEXT("ConfigError", config_error, CHANGES),
	TEXT("Problem", problem, CHANGES),
	U64("Ticks", ticks, 0),
	SD_BUS_METHOD_WITH_ARGS("SetTarget", SD_BUS_ARGS("t", balloon_bytes), SD_BUS_NO_RESULT,
				on_set_target, 0),
	SD_BUS_METHOD_WITH_ARGS("SetMode", SD_BUS_ARGS("s", mode), SD_BUS_NO_RESULT, on_set_mode,
				0),
	SD_BUS_METHOD_WITH_ARGS("SetLaw", SD_BUS_ARGS("s", law), SD_BUS_NO_RESULT, on_set_law, 0),
	SD_BUS_METHOD_WITH_ARGS("Hold", SD_BUS_ARGS("s", reason, "t", for_usec),
				SD_BUS_RESULT("b", survives_restart), on_hold, 0),
	SD_BUS_METHOD_WITH_ARGS("Release", SD_BUS_NO_ARGS, SD_BUS_RESULT("b", was_held), on_release,
				0),
	SD_BUS_METHOD_WITH_ARGS("OpenHistory", SD_BUS_NO_ARGS, SD_BUS_RESULT("h", file),
				on_open_history, EVERYBODY),
	SD_BUS_METHOD_WITH_ARGS("GetMetrics", SD_BUS_NO_ARGS, SD_BUS_RESULT("s", openmetrics),
				on_get_metrics, EVERYBODY),
	SD_BUS_METHOD_WITH_ARGS("GetConfig", SD_BUS_NO_ARGS, SD_BUS_RESULT("a{ss}", values),
				on_get_config, EVERYBODY),
	SD_BUS_METHOD_WITH_ARGS("Reload", SD_BUS_NO_ARGS, SD_BUS_NO_RESULT, on_reload, 0),
	SD_BUS_VTABLE_END,
};

#define N_ENTRIES (sizeof(vtable) / sizeof(vtable[0]))

/* Whether a property has to be announced: strings differ, or numbers (of 8 bytes, all that are). */
static bool has_changed(const sd_bus_vtable *entry, const struct status *a, const struct status *b)
{
	const char *pa, *pb;

	if (entry->type != _SD_BUS_VTABLE_PROPERTY || !(entry->flags & CHANGES))
		return false;
	pa = (const char *)a + entry->x.property.offset;
	pb = (const char *)b + entry->x.property.offset;
	/* It changes all the time. */
	if (entry->x.property.offset == offsetof(struct status, available))
		return false;
	return strcmp(entry->x.property.signature, "s") == 0 ? strcmp(pa, pb) != 0 :
							       memcmp(pa, pb, sizeof(uint64_t)) != 0;
}

void bus_publish(struct bus *b, const struct status *s)
{
	const char *names[N_ENTRIES + 1];
	uint64_t queued = 0, moved;
	unsigned n = 0;

	b->status = *s;
	if (!b->bus || sd_bus_is_ready(b->bus) <= 0)
		return;
	if (sd_bus_get_n_queued_write(b->bus, &queued) < 0 || queued > QUEUE_MAX)
		return;

	for (size_t i = 0; i < N_ENTRIES; i++)
		if (has_changed(&vtable[i], &b->announced, s))
			names[n++] = vtable[i].x.property.member;
	moved = s->available > b->announced.available ? s->available - b->announced.available
						      : b->announced.available - s->available;
	if (moved > s->ram / AVAILABLE_DIVISOR)
		names[n++] = "Available";
	if (n == 0)
		return;
	names[n] = NULL;
	if (sd_bus_emit_properties_changed_strv(b->bus, PATH, INTERFACE, (char **)names) < 0)
		return;

	moved = b->announced.available;
	b->announced = *s;
	if (strcmp(names[n - 1], "Available") != 0)
		b->announced.available = moved;
}

static int on_name(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus *b = userdata;
	uint32_t answer;

	(void)error;
	if (sd_bus_message_is_method_error(m, NULL))
		b->name = sd_bus_message_is_method_error(m, SD_BUS_ERROR_ACCESS_DENIED) ? -EACCES
											: -EPROTO;
	/* 1 and 4: ours; 3: somebody else's, and we did not ask to wait in line. */
	else if (sd_bus_message_read(m, "u", &answer) < 0)
		b->name = -EPROTO;
	else
		b->name = answer == 1 || answer == 4 ? 1 : -EEXIST;
	return 0;
}

static void disconnect(struct bus *b)
{
	b->bus = sd_bus_close_unref(b->bus);
	b->announced = (struct status){};
}

/* Whether one of the strings that @m begins with is longer than a name can be. */
static bool has_long_name(sd_bus_message *m)
{
	const char *text;
	bool found = false;
	char type;

	while (!found && sd_bus_message_peek_type(m, &type, NULL) > 0 && type == 's' &&
	       sd_bus_message_read(m, "s", &text) > 0)
		found = strlen(text) > NAME_LENGTH_MAX;
	(void)sd_bus_message_rewind(m, true);
	return found;
}

/*
 * sd-bus repeats the names of objects and properties that it does not know in its errors, and
 * with them anybody could have the daemon hold several times the longest message of the bus.
 */
static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	(void)userdata, (void)error;
	if (!sd_bus_message_is_method_call(m, NULL, NULL))
		return 0;
	if (strlen(sd_bus_message_get_path(m)) <= NAME_LENGTH_MAX &&
	    !(sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", NULL) &&
	      has_long_name(m)))
		return 0;
	return sd_bus_reply_method_errorf(m, SD_BUS_ERROR_INVALID_ARGS,
					  "a name of more than %d bytes is none", NAME_LENGTH_MAX);
}

static int connect_to(struct bus *b)
{
	int r;

	r = sdbus_connect(b->event, b->address, "balloond", &b->bus);
	if (r >= 0)
		r = sd_bus_set_method_call_timeout(b->bus, CALL_TIMEOUT_US);
	if (r >= 0)
		r = sd_bus_add_filter(b->bus, NULL, on_message, NULL);
	if (r >= 0)
		r = sd_bus_add_object_vtable(b->bus, NULL, PATH, INTERFACE, vtable, &b->status);
	if (r >= 0)
		r = sd_bus_request_name_async(b->bus, NULL, NAME, 0, on_name, b);
	return r;
}

int bus_maintain(struct bus *b)
{
	int r;

	if (b->bus && sd_bus_is_open(b->bus) <= 0)
		disconnect(b);
	/* A refused name is asked for again on a new connection. */
	if (b->bus && b->name < 0) {
		r = b->name;
		disconnect(b);
		return r;
	}
	if (b->bus)
		return b->name;

	b->name = 0;
	r = connect_to(b);
	if (r < 0)
		disconnect(b);
	return r < 0 ? r : 0;
}

static void answer_restart(struct bus *b, bool restart)
{
	void (*answered)(void *ctx, bool restart) = b->restart_answered;

	b->restart_answered = NULL;
	if (answered)
		answered(b->restart_ctx, restart);
}

static int on_job_type(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	const char *type = "";
	int r = -1;

	(void)error;
	if (!sd_bus_message_is_method_error(m, NULL))
		r = sd_bus_message_read(m, "v", "s", &type);
	/* The job that it becomes once the old process has ended is "start". */
	answer_restart(userdata, r >= 0 && strcmp(type, "restart") == 0);
	return 0;
}

static int on_job(sd_bus_message *m, void *userdata, sd_bus_error *error)
{
	struct bus *b = userdata;
	const char *path;
	uint32_t id = 0;
	int r = -1;

	(void)error;
	if (!sd_bus_message_is_method_error(m, NULL))
		r = sd_bus_message_read(m, "v", "(uo)", &id, &path);
	/* 0: the signal came from somebody else, and nobody will start the service again. */
	if (r >= 0 && id != 0)
		r = sdbus_manager_get(b->bus, path, "org.freedesktop.systemd1.Job", "JobType",
				      on_job_type, b, MANAGER_TIMEOUT_US);
	if (r < 0 || id == 0)
		answer_restart(userdata, false);
	return 0;
}

int bus_ask_restart(struct bus *b, void (*answered)(void *ctx, bool restart), void *ctx)
{
	int r;

	if (!b->bus || sd_bus_is_ready(b->bus) <= 0)
		return -ENOTCONN;
	r = sdbus_manager_get(b->bus, "/org/freedesktop/systemd1/unit/self",
			      "org.freedesktop.systemd1.Unit", "Job", on_job, b,
			      MANAGER_TIMEOUT_US);
	if (r < 0)
		return r;
	b->restart_answered = answered;
	b->restart_ctx = ctx;
	return 0;
}

int bus_new(sd_event *event, const char *address, const struct bus_owner *owner, struct bus **ret)
{
	struct bus *b = calloc(1, sizeof(*b));

	if (!b)
		return -ENOMEM;
	b->event = event;
	b->address = address;
	b->owner = *owner;
	*ret = b;
	return 0;
}

void bus_free(struct bus *b)
{
	if (!b)
		return;
	if (b->bus)
		sd_bus_flush_close_unref(b->bus);
	free(b);
}
