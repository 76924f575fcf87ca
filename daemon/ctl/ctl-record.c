// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-record.c - balloonctl record
 *
 * Writes one sample a line until it is told to stop (SIGINT, SIGTERM, the end
 * of --duration) or the disk is full. Every line goes out in one write(); if
 * it does not fit, the file is cut back to the last whole line. So the file is
 * a valid trace at any time, also after a crash of the machine's user.
 *
 * The balloon's columns come from balloond over D-Bus and stay empty while it
 * is not there; it may come and go during the recording.
 *
 * Leaves out: the format of a line (sim/recording.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "basic/units.h"
#include "ctl/ctl-bus.h"
#include "ctl/ctl.h"
#include "ctl/files.h"
#include "sense/sense.h"
#include "sim/recording.h"

enum {
	OPT_INTERVAL,
	OPT_DURATION,
};

static const struct ctl_option options[] = {
	[OPT_INTERVAL] = { "interval", "TIME", "time between two lines (default 1s)" },
	[OPT_DURATION] = { "duration", "TIME", "stop after so long (default: at Ctrl-C)" },
	{ 0 },
};

#define SECOND_US 1000000ULL
#define INTERVAL_MIN_US 10000ULL
#define INTERVAL_MAX_US (3600 * SECOND_US)

/* How often to look whether a daemon that is not there has come. */
#define DAEMON_RETRY_US (2 * SECOND_US)

struct recorder {
	const char *path;
	int fd;
	int signal_fd;
	uint64_t interval_us;
	uint64_t duration_us;	/* UINT64_MAX = until told to stop */
	off_t whole;		/* length of the file up to the last whole line */
	bool can_truncate;
	bool torn;		/* it was not, and the last line is a part of one */
	uint64_t lines;
	uint64_t missed;	/* intervals without a line, the machine was too slow */

	struct sense *sense;
	const struct ctl_where *where;
	struct ctl_bus bus;
	bool connected;
	uint64_t next_try_us;
	struct ctl_props props;
};

DEFINE_CLEANUP(struct sense *, sense_free);

static uint64_t clock_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_BOOTTIME, &ts);
	return ts.tv_sec * SECOND_US + ts.tv_nsec / 1000;
}

/* --- the file --- */

/* A new file, or something that is no file (a pipe): a recording is never overwritten. */
static enum ctl_exit open_output(struct recorder *r)
{
	struct stat st;

	/* Where its lines begin and end is known to whoever redirects it; a pipe has no length. */
	if (files_is_standard(r->path)) {
		r->path = "the standard output";
		r->fd = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3);
		if (r->fd < 0)
			return ctl_fail(CTL_FAILED, "%s: %s", r->path, strerror(errno));
		return CTL_OK;
	}
	r->fd = open(r->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (r->fd < 0 && errno == EEXIST && stat(r->path, &st) == 0 && !S_ISREG(st.st_mode))
		r->fd = open(r->path, O_WRONLY | O_CLOEXEC);
	if (r->fd < 0 && errno == EEXIST)
		return ctl_fail(CTL_FAILED, "%s is there already; name another file", r->path);
	if (r->fd < 0)
		return ctl_fail(CTL_FAILED, "%s: %s", r->path, strerror(errno));
	r->can_truncate = fstat(r->fd, &st) == 0 && S_ISREG(st.st_mode);
	return CTL_OK;
}

/* A whole line or none. 0 or a negative errno. */
static int write_line(struct recorder *r, const char *line, size_t n)
{
	size_t done = 0;
	int error = 0;

	while (done < n) {
		ssize_t w = write(r->fd, line + done, n - done);

		if (w > 0) {
			done += w;
			continue;
		}
		if (w < 0 && errno == EINTR)
			continue;
		error = w < 0 ? -errno : -EIO;
		break;
	}
	if (!error) {
		r->whole += n;
		return 0;
	}
	r->torn = done && !r->can_truncate;
	if (done && r->can_truncate && ftruncate(r->fd, r->whole) < 0)
		return -errno;
	return error;
}

static enum ctl_exit write_failed(const struct recorder *r, int error)
{
	bool full = error == -ENOSPC || error == -EDQUOT || error == -EFBIG;

	return ctl_fail(CTL_FAILED, "%s: %s; stopped after %" PRIu64 " lines, %s", r->path,
			full ? "no space left" : strerror(-error), r->lines,
			r->torn ? "and a part of another one" : "all of them whole");
}

static int write_header(struct recorder *r)
{
	char line[RECORDING_LINE_MAX], when[64];
	time_t now = time(NULL);
	struct tm tm;
	int n, res;

	strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &tm));
	n = snprintf(line, sizeof(line),
		     "# balloonctl " VERSION " record, started %s; an empty cell is a number that could not be read\n",
		     when);
	res = write_line(r, line, n);
	if (res < 0)
		return res;
	return write_line(r, line, recording_header(line, sizeof(line)));
}

/* --- the samples --- */

static void ask_daemon(struct recorder *r, uint64_t now_us)
{
	if (!r->connected) {
		if (now_us < r->next_try_us)
			return;
		r->next_try_us = now_us + DAEMON_RETRY_US;
		if (ctl_bus_open(&r->bus, r->where) != CTL_OK) {
			ctl_bus_done(&r->bus);
			return;
		}
		r->connected = true;
	}
	if (ctl_bus_read(&r->bus, &r->props) == CTL_OK)
		return;
	ctl_bus_done(&r->bus);
	r->connected = false;
	r->next_try_us = now_us + DAEMON_RETRY_US;
}

static void add_daemon(struct recorder *r, struct sample *s, struct recording_daemon *d)
{
	const struct ctl_props *p = &r->props;

	ask_daemon(r, s->time_us);
	*d = (struct recording_daemon){ 0 };
	if (!r->connected)
		return;
	if (p->ram != CTL_NONE)
		s->ram = p->ram;
	d->valid = p->target != CTL_NONE;
	d->target = p->target;
	d->reason = p->reason;
	if (!p->host || !*p->host || p->size == CTL_NONE)
		return;
	/* What is only claimed is free memory of the guest, and in the other figures already. */
	if (strcmp(p->host, "reporting") == 0)
		return;
	s->balloon = (struct sample_balloon){
		.valid = true,
		.size = p->size,
		.limit = p->limit,
		.host_target_valid = p->host_target != CTL_NONE,
		.host_target = p->host_target,
		.relief_events = p->relief_events == CTL_NONE ? 0 : p->relief_events,
	};
}

static int record_one(struct recorder *r, uint64_t start_us)
{
	char line[RECORDING_LINE_MAX];
	struct recording_daemon d;
	const char *news;
	struct sample s;
	int res;

	res = sense_read(r->sense, &s);
	if (res < 0 && res != -ENODATA)
		return res;
	while ((news = sense_news(r->sense)))
		fprintf(stderr, "balloonctl: %s\n", news);
	if (s.time_us < start_us)
		s.time_us = start_us;
	add_daemon(r, &s, &d);
	res = write_line(r, line, recording_line(line, sizeof(line), start_us, &s, &d));
	if (res >= 0)
		r->lines++;
	return res;
}

/* true: told to stop. */
static bool wait_until(const struct recorder *r, uint64_t until_us)
{
	for (;;) {
		struct pollfd p = { .fd = r->signal_fd, .events = POLLIN };
		uint64_t now = clock_us();
		struct timespec left;

		if (now >= until_us)
			return false;
		left.tv_sec = (until_us - now) / SECOND_US;
		left.tv_nsec = (until_us - now) % SECOND_US * 1000;
		if (ppoll(&p, 1, &left, NULL) > 0)
			return true;
	}
}

static enum ctl_exit record(struct recorder *r)
{
	uint64_t start_us, next_us, now;
	int res = write_header(r);

	start_us = next_us = clock_us();
	while (res >= 0) {
		res = record_one(r, start_us);
		if (res < 0)
			break;
		now = clock_us();
		next_us += r->interval_us;
		if (next_us <= now) {
			uint64_t late = (now - next_us) / r->interval_us + 1;

			r->missed += late;
			next_us += late * r->interval_us;
		}
		if (next_us - start_us > r->duration_us || wait_until(r, next_us))
			return CTL_OK;
	}
	return write_failed(r, res);
}

static void summary(const struct recorder *r)
{
	struct rusage u;
	uint64_t us;

	getrusage(RUSAGE_SELF, &u);
	us = (u.ru_utime.tv_sec + u.ru_stime.tv_sec) * SECOND_US + u.ru_utime.tv_usec +
	     u.ru_stime.tv_usec;
	fprintf(stderr, "%" PRIu64 " lines in %s, %" PRIu64 " us of CPU each", r->lines, r->path,
		r->lines ? us / r->lines : 0);
	if (r->missed)
		fprintf(stderr, ", %" PRIu64 " intervals missed", r->missed);
	fputc('\n', stderr);
}

static enum ctl_exit parse_interval(const char *option, const char *text, uint64_t *ret)
{
	const char *why = NULL;

	if (units_parse_time(text, ret, &why) < 0)
		return ctl_fail(CTL_USAGE, "--%s '%s': %s", option, text, why);
	return CTL_OK;
}

static enum ctl_exit parse(const struct ctl_args *args, struct recorder *r)
{
	enum ctl_exit code = CTL_OK;

	if (args->option[OPT_INTERVAL])
		code = parse_interval("interval", args->option[OPT_INTERVAL], &r->interval_us);
	if (code == CTL_OK && args->option[OPT_DURATION])
		code = parse_interval("duration", args->option[OPT_DURATION], &r->duration_us);
	if (code != CTL_OK)
		return code;
	if (r->interval_us < INTERVAL_MIN_US || r->interval_us > INTERVAL_MAX_US)
		return ctl_fail(CTL_USAGE, "--interval '%s': must be from 10ms to 1h",
				args->option[OPT_INTERVAL]);
	return CTL_OK;
}

static enum ctl_exit open_signals(struct recorder *r)
{
	sigset_t stop;

	sigemptyset(&stop);
	sigaddset(&stop, SIGINT);
	sigaddset(&stop, SIGTERM);
	sigaddset(&stop, SIGHUP);
	sigprocmask(SIG_BLOCK, &stop, NULL);
	/* A limit on the file's size is a full disk, and a reader that went away is an error. */
	signal(SIGXFSZ, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	r->signal_fd = signalfd(-1, &stop, SFD_CLOEXEC);
	if (r->signal_fd < 0)
		return ctl_fail(CTL_FAILED, "signalfd: %s", strerror(errno));
	return CTL_OK;
}

/* The daemon may come later, but what is no address will never be one. */
static enum ctl_exit judge_address(const struct ctl_where *where)
{
	enum ctl_exit code = CTL_OK;
	struct ctl_bus bus;

	if (!where->address)
		return CTL_OK;
	if (ctl_bus_open(&bus, where) == CTL_USAGE)
		code = ctl_fail(CTL_USAGE, "%s", ctl_bus_why(&bus));
	ctl_bus_done(&bus);
	return code;
}

static enum ctl_exit run(const struct ctl_args *args)
{
	_cleanup_(sense_freep) struct sense *sense = NULL;
	struct recorder r = {
		.path = args->argv[0],
		.fd = -1,
		.signal_fd = -1,
		.interval_us = SECOND_US,
		.duration_us = UINT64_MAX,
		.where = &args->where,
	};
	enum ctl_exit code = parse(args, &r);
	int res;

	if (code == CTL_OK)
		code = judge_address(&args->where);
	if (code != CTL_OK)
		return code;
	ctl_props_init(&r.props);
	res = sense_open(NULL, NULL, &sense);
	if (res < 0)
		return ctl_fail(CTL_FAILED, "cannot read /proc: %s", strerror(-res));
	r.sense = sense;
	code = open_signals(&r);
	if (code == CTL_OK)
		code = open_output(&r);
	if (code == CTL_OK) {
		code = record(&r);
		if (close(r.fd) < 0 && code == CTL_OK)
			code = ctl_fail(CTL_FAILED, "%s: %s", r.path, strerror(errno));
		summary(&r);
	}
	if (r.connected)
		ctl_bus_done(&r.bus);
	ctl_props_done(&r.props);
	if (r.signal_fd >= 0)
		close(r.signal_fd);
	return code;
}

const struct ctl_verb ctl_verb_record = {
	.name = "record",
	.args = "FILE",
	.summary = "write down what the policy can see",
	.help = "Write memory, events, stalls and the balloon to FILE, one line of CSV at each\n"
		"interval, until Ctrl-C or until the disk is full. The file ends with a whole\n"
		"line whatever happens; FILE must not exist yet. Columns: balloon-trace(5); judge\n"
		"the policy by it with 'balloonctl simulate FILE'. - is the standard output.\n"
		"Needs neither balloond nor root; without balloond the balloon's columns stay\n"
		"empty.\n",
	.min_args = 1,
	.max_args = 1,
	.traits = CTL_ASKS,
	.options = options,
	.run = run,
};
