// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * balloond.c - argv, configuration, preflight, run
 *
 * Connects the loop with the real world (/proc, /dev, udev). Never forks: a
 * service manager, or a shell, is the parent. Nothing here decides anything.
 *
 * Exit status: 0 after SIGTERM or SIGINT, 1 on failure, 2 for a wrong command
 * line, 6 for a wrong configuration (the numbers of balloonctl; also those of
 * systemd's LSB scheme, where 6 is "not configured").
 */
#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <malloc.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "act/device.h"
#include "act/discover.h"
#include "act/reporting.h"
#include "basic/cleanup.h"
#include "basic/log.h"
#include "basic/machine.h"
#include "config/config.h"
#include "loop/loop.h"
#include "sense/psi.h"
#include "sense/sense.h"

DEFINE_CLEANUP(struct sense *, sense_free)

enum {
	EXIT_USAGE = 2,
	EXIT_CONFIG = 6,
};

struct world {
	struct sense *sense;
	struct discover *discover;
	char why[MACHINE_WHY_MAX];
};

static void help(void)
{
	printf("balloond [OPTIONS]\n\n"
	       "Gives memory that this machine does not need back to its hypervisor, and takes\n"
	       "it back before it is missed.\n\n"
	       "  -c, --config FILE       read FILE and FILE.d instead of " CONFIG_PATH "\n"
	       "  -m, --mode MODE         auto, host, manual or observe; overrides the file\n"
	       "  -f, --foreground        print one line per decision on standard output\n"
	       "      --bus-address ADDR  serve on this D-Bus instead of the system bus\n"
	       "      --no-bus            serve on no D-Bus at all\n"
	       "      --log-level LEVEL   err, warning, notice, info or debug; overrides the file\n"
	       "      --check-config      check the configuration and exit\n"
	       "  -h, --help              show this text and exit\n"
	       "      --version           show the version and exit\n\n"
	       "Try it without any risk, as any user: balloond --mode observe --foreground\n\n"
	       "See balloond(8), balloond.conf(5), balloonctl(1).\n");
}

static int world_read(void *ctx, struct sample *ret)
{
	struct world *w = ctx;

	return sense_read(w->sense, ret);
}

static const char *world_news(void *ctx)
{
	struct world *w = ctx;

	return sense_news(w->sense);
}

static int world_open(void *ctx, bool read_only, struct transport **ret)
{
	_cleanup_free_ char *node = NULL;
	struct world *w = ctx;
	int r;

	r = discover_find(w->discover, &node);
	if (r < 0)
		return r;
	return device_open(node, read_only, ret);
}

static int world_open_reporting(void *ctx, bool read_only, struct transport **ret)
{
	struct machine m;

	(void)ctx;
	machine_look("", &m);
	if (!m.reporting)
		return -ENODEV;
	return reporting_open(&reporting_kernel, read_only, ret);
}

static int world_adopt(void *ctx, int fd, struct transport **ret)
{
	(void)ctx;
	return device_adopt(fd, ret);
}

static const char *world_why_none(void *ctx)
{
	struct world *w = ctx;
	struct machine m;

	machine_look("", &m);
	return machine_why(&m, w->why, sizeof(w->why));
}

static int world_arm(void *ctx, enum sample_trigger which, const struct config_trigger *t)
{
	uint64_t window_us;
	int fd, r;

	(void)ctx;
	r = psi_trigger_open("/proc", "memory", which == TRIGGER_EMERGENCY, t->stall_us, t->window_us,
			     &fd, &window_us);
	if (r < 0)
		return r;
	if (window_us != t->window_us)
		log_info("%s memory pressure is watched over %llu ms instead of %llu ms",
			 which == TRIGGER_EMERGENCY ? "critical" : "early",
			 (unsigned long long)window_us / 1000,
			 (unsigned long long)t->window_us / 1000);
	return fd;
}

static int world_announce_fd(void *ctx)
{
	struct world *w = ctx;

	return discover_fd(w->discover);
}

static int world_announce_dispatch(void *ctx)
{
	struct world *w = ctx;

	return discover_dispatch(w->discover);
}

/*
 * What is as large as that is mapped, and unmapped when it is freed: a long message on the bus
 * does not leave its memory with the daemon. (glibc would raise the limit by itself.)
 */
#define LARGE_BYTES (256 * 1024)

/*
 * The daemon must run when everything else waits for memory. ONFAULT: what it
 * has used once stays, without pulling in whole libraries.
 */
static void lock_memory(void)
{
	if (mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) < 0)
		log_warning("the daemon's own memory cannot be locked (%s) and may be paged out when "
			    "it is needed most; raise LimitMEMLOCK= or ulimit -l", strerror(errno));
}

static int run(const struct loop_options *options, const struct config *config)
{
	/* Undone from the last to the first. */
	_cleanup_(sense_freep) struct sense *sense = NULL;
	_cleanup_(discover_freep) struct discover *discover = NULL;
	_cleanup_(loop_freep) struct loop *loop = NULL;
	struct world world;
	struct loop_world ops = {
		.ctx = &world,
		.read = world_read,
		.news = world_news,
		.transports = {
			.ctx = &world,
			.open = world_open,
			.open_reporting = world_open_reporting,
			.adopt = world_adopt,
			.why_none = world_why_none,
		},
		.arm = world_arm,
		.announce_fd = world_announce_fd,
		.announce_dispatch = world_announce_dispatch,
	};
	int r;

	r = sense_open(NULL, NULL, &sense);
	if (r < 0)
		return r;
	r = discover_new(&discover);
	if (r < 0)
		return r;
	if (r == 0)
		log_info("udev does not run; looking for the balloon device now and then");
	world = (struct world){.sense = sense, .discover = discover};
	r = loop_new(options, &ops, config, &loop);
	if (r < 0)
		return r;
	return loop_run(loop);
}

/* Returns a negative errno, 0 to go on, or the exit status + 1 to leave with. */
static int parse_argv(int argc, char **argv, struct loop_options *ret, bool *ret_check)
{
	enum { ARG_BUS_ADDRESS = 256, ARG_NO_BUS, ARG_LOG_LEVEL, ARG_CHECK_CONFIG, ARG_VERSION };
	static const struct option options[] = {
		{"config", required_argument, NULL, 'c'},
		{"mode", required_argument, NULL, 'm'},
		{"foreground", no_argument, NULL, 'f'},
		{"bus-address", required_argument, NULL, ARG_BUS_ADDRESS},
		{"no-bus", no_argument, NULL, ARG_NO_BUS},
		{"log-level", required_argument, NULL, ARG_LOG_LEVEL},
		{"check-config", no_argument, NULL, ARG_CHECK_CONFIG},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, ARG_VERSION},
		{},
	};
	enum policy_mode mode;
	int c;

	while ((c = getopt_long(argc, argv, "c:m:fh", options, NULL)) >= 0) {
		switch (c) {
		case 'c':
			ret->config_path = optarg;
			ret->config_required = true;
			break;
		case 'm':
			if (policy_mode_parse(optarg, &mode) < 0) {
				log_error("there is no mode \"%s\"; auto, host, manual and observe exist",
					  optarg);
				return -EINVAL;
			}
			ret->mode = (int)mode;
			break;
		case 'f':
			ret->foreground = true;
			break;
		case ARG_BUS_ADDRESS:
			ret->bus_address = optarg;
			break;
		case ARG_NO_BUS:
			ret->no_bus = true;
			break;
		case ARG_LOG_LEVEL:
			if (log_level_parse(optarg, &ret->log_level) < 0) {
				log_error("there is no log level \"%s\"; err, warning, notice, info and "
					  "debug exist", optarg);
				return -EINVAL;
			}
			break;
		case ARG_CHECK_CONFIG:
			*ret_check = true;
			break;
		case 'h':
			help();
			return 1;
		case ARG_VERSION:
			printf("balloond " VERSION "\n");
			return 1;
		default:
			/* getopt_long() said what is wrong. */
			return -EINVAL;
		}
	}
	if (optind < argc) {
		log_error("takes no arguments, only options: \"%s\"; see balloond --help",
			  argv[optind]);
		return -EINVAL;
	}
	return 0;
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	/* A reader of standard output that has gone is an EPIPE. */
	signal(SIGPIPE, SIG_IGN);
}

/* The first of those that the service manager made; NULL if there is none. */
static const char *state_directory(char *buf, size_t n)
{
	const char *dirs = getenv("STATE_DIRECTORY");
	size_t len = dirs ? strcspn(dirs, ":") : 0;

	if (len == 0 || len >= n)
		return NULL;
	snprintf(buf, n, "%.*s", (int)len, dirs);
	return buf;
}

int main(int argc, char **argv)
{
	_cleanup_(config_errors_done) struct config_errors errors = {};
	struct loop_options options = {.config_path = CONFIG_PATH, .mode = -1, .log_level = -1};
	char state_dir[PATH_MAX];
	struct config config;
	bool check = false;
	int r;

	log_open();
	r = parse_argv(argc, argv, &options, &check);
	if (r != 0)
		return r < 0 ? EXIT_USAGE : EXIT_SUCCESS;

	r = config_load(options.config_path, &config, &errors);
	for (size_t i = 0; i < errors.n; i++)
		log_error("%s", errors.lines[i]);
	if (r < 0)
		return EXIT_CONFIG;
	if (r == 0 && options.config_required) {
		log_error("%s: there is no such file", options.config_path);
		return EXIT_CONFIG;
	}
	if (check)
		return EXIT_SUCCESS;
	log_set_level(options.log_level >= 0 ? options.log_level : config.log_level);
	if (r == 0)
		log_debug("no %s; using the defaults and the drop-ins", options.config_path);

	options.state_dir = state_directory(state_dir, sizeof(state_dir));
	block_signals();
	(void)mallopt(M_MMAP_THRESHOLD, LARGE_BYTES);
	if ((options.mode >= 0 ? options.mode : (int)config.policy.mode) != MODE_OBSERVE)
		lock_memory();
	r = run(&options, &config);
	if (r < 0) {
		log_error("giving up: %s", strerror(-r));
		return EXIT_FAILURE;
	}
	return EXIT_SUCCESS;
}
