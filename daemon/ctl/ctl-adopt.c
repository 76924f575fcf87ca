// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * ctl-adopt.c - balloonctl adopt: take the balloon over from the kernel's own driver
 *
 * One device has one driver. What can fail without harm is done first (loading
 * the module that is to have the device, looking whether it serves such a host);
 * from the moment on that the old driver has let go, every failure leads back
 * to it. Nothing is remembered: who has the device is read from sysfs each time,
 * so that --undo works after a reboot, and twice does no harm.
 *
 * The drivers for virtio empty their balloon before they let go, so what the host
 * was given is the guest's again in between, and the new driver begins at nothing.
 * VMware's must be empty before it is asked to go.
 *
 * Root's work, done here and not in the daemon, which has no rights to it. The
 * service runs it with --if-configured before the daemon starts.
 *
 * Leaves out what comes at the next boot: modprobe.d(5) decides that. Xen's
 * driver stays where it is, uballoon works through it.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "basic/cleanup.h"
#include "basic/machine.h"
#include "basic/units.h"
#include "config/config.h"
#include "ctl/ctl.h"

#define OURS "uballoon"
/* VMware's host is asked by a worker after the module has been loaded, and may have a lot to reset. */
#define READY_TIMEOUT_MS 10000
#define READY_POLL_MS 50

enum {
	OPT_UNDO,
	OPT_DRY_RUN,
	OPT_IF_CONFIGURED,
};

static const struct ctl_option options[] = {
	[OPT_UNDO] = { "undo", NULL, "give the balloon back to the kernel's own driver" },
	[OPT_DRY_RUN] = { "dry-run", NULL, "say what would be done, and do nothing" },
	[OPT_IF_CONFIGURED] = { "if-configured", NULL,
				"do it only if balloond.conf says adopt = true" },
	{ 0 },
};

/* The way from one driver to the other. */
struct change {
	struct machine m;
	const char *from, *to;
	bool dry_run;
	bool quiet;
};

__attribute__((format(printf, 2, 3)))
static void step(const struct change *c, const char *format, ...)
{
	va_list ap;

	if (c->dry_run)
		fputs("would ", stdout);
	va_start(ap, format);
	vprintf(format, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

static int run_modprobe(const char *option, const char *module)
{
	/* Without its path: sudo has one, and so has a service. The rest is as the user has it. */
	char *argv[] = { (char *)"modprobe", (char *)option, (char *)module, NULL };
	char *environment[] = { (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL };
	const char *const programs[] = { "/sbin/modprobe", "/usr/sbin/modprobe", "/bin/modprobe" };
	int r = ENOENT, status;
	pid_t pid;

	for (size_t i = 0; r == ENOENT && i < sizeof(programs) / sizeof(programs[0]); i++)
		r = posix_spawn(&pid, programs[i], NULL, NULL, argv, environment);
	if (r != 0)
		return -r;
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -EIO;
}

/* The kernel's own driver itself: our line in modprobe.d would load uballoon in its place. */
static int load(const char *module)
{
	return run_modprobe(strcmp(module, OURS) == 0 ? "-q" : "-qi", module);
}

static int unload(const char *module)
{
	return run_modprobe("-r", module);
}

/* "unbind" and "bind" of a driver on the virtio bus. */
static int virtio_order(const char *driver, const char *order, const char *device)
{
	_cleanup_close_ int fd = -1;
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/%s/%s", driver, order);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	return write(fd, device, strlen(device)) < 0 ? -errno : 0;
}

static bool virtio_driver_there(const char *driver)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/bus/virtio/drivers/%s", driver);
	return access(path, F_OK) == 0;
}

static bool module_there(const char *module)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/module/%s", module);
	return access(path, F_OK) == 0;
}

/* A module that has been loaded has a use count, what is built into the kernel has none. */
static bool built_in(const char *module)
{
	char path[256];

	snprintf(path, sizeof(path), "/sys/module/%s/refcnt", module);
	return access(path, F_OK) < 0;
}

static bool has_it(const char *driver)
{
	struct machine m;

	machine_look("", &m);
	/* uballoon has it when there is a balloon, and not only a driver. */
	return strcmp(m.driver, driver) == 0 && (strcmp(driver, OURS) != 0 || m.ready);
}

static bool wait_for(const char *driver)
{
	const struct timespec pause = { .tv_nsec = READY_POLL_MS * 1000000L };

	for (int ms = 0; ms < READY_TIMEOUT_MS; ms += READY_POLL_MS) {
		if (has_it(driver))
			return true;
		nanosleep(&pause, NULL);
	}
	return has_it(driver);
}

/* What the kernel's own virtio driver holds, by its counters of pages: sysfs does not tell. */
static uint64_t stock_size(void)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/vmstat", "re");
	uint64_t value, inflated = 0, deflated = 0;
	char name[64];

	while (f && fscanf(f, "%63s %" SCNu64, name, &value) == 2) {
		if (strcmp(name, "balloon_inflate") == 0)
			inflated = value;
		else if (strcmp(name, "balloon_deflate") == 0)
			deflated = value;
	}
	return inflated > deflated ? (inflated - deflated) * (uint64_t)sysconf(_SC_PAGESIZE) : 0;
}

/*
 * vmw_balloon ends its session with the host before it frees its pages, and without a
 * session it knows of no 2 MiB pages: if it has some, unloading it never ends where the
 * host answers that last call with success. So it must hold nothing, and not be about to.
 */
static enum ctl_exit vmw_must_be_empty(void)
{
	_cleanup_fclose_ FILE *f = fopen("/sys/kernel/debug/vmmemctl", "re");
	bool target_known = false, size_known = false;
	uint64_t pages, target = 0, size = 0;
	char line[128], text[UNITS_MAX];

	while (f && fgets(line, sizeof(line), f)) {
		/* A command's counter of calls further down has the name "target", too. */
		if (!target_known && sscanf(line, "target : %" SCNu64, &pages) == 1) {
			target = pages;
			target_known = true;
		} else if (!size_known && sscanf(line, "current : %" SCNu64, &pages) == 1) {
			size = pages;
			size_known = true;
		}
	}
	if (!target_known || !size_known)
		return ctl_fail(CTL_FAILED, "what vmw_balloon holds cannot be read from "
				"/sys/kernel/debug/vmmemctl; nothing has changed. Mount debugfs, and be root");
	if (target > 0 || size > 0)
		return ctl_fail(CTL_FAILED, "vmw_balloon holds %s, or is asked for it, and cannot be unloaded "
				"safely before it is empty; nothing has changed. Let the host ask for "
				"nothing meanwhile (reserve all of the machine's memory there), or reboot "
				"with vmw_balloon in modprobe.d's blacklist",
				units_format_size(text, sizeof(text), (size > target ? size : target) * 4096));
	return CTL_OK;
}

/* After the old driver has let go, and the new one does not take it. */
static enum ctl_exit lead_back(const struct change *c, const char *why, int r)
{
	char reason[MACHINE_WHY_MAX];
	struct machine now;
	bool back;

	if (c->m.host == MACHINE_VIRTIO) {
		(void)virtio_order(c->to, "unbind", c->m.device);
		back = c->m.driver[0] == '\0' ||
		       (virtio_order(c->from, "bind", c->m.device) >= 0 && wait_for(c->from));
	} else {
		(void)unload(c->to);
		back = load(c->from) >= 0 && wait_for(c->from);
	}
	if (back && !c->m.driver[0]) {
		machine_look("", &now);
		if (machine_device(&now) == MACHINE_DEVICE_FAILED)
			return ctl_fail(CTL_FAILED, "%s (%s); nothing has changed: %s", why, strerror(-r),
					machine_why(&now, reason, sizeof(reason)));
	}
	if (back)
		return ctl_fail(CTL_FAILED, "%s (%s); %s", why, strerror(-r),
				c->m.driver[0] ? "the driver before has it again, nothing has changed"
					       : "it has no driver, as before");
	return ctl_fail(CTL_FAILED, "%s (%s), and %s cannot have it back; the guest has all of its "
			"memory and no balloon. See dmesg, then: modprobe -i %s", why, strerror(-r),
			c->from, c->from);
}

/* Why c->to cannot be loaded, as far as that can be seen. Returns buf. */
static const char *why_not_loaded(const struct change *c, char *buf, size_t n)
{
	if (strcmp(c->to, OURS) != 0 || machine_module(&c->m) == MACHINE_MODULE_NOT_LOADED ||
	    !machine_module_why(&c->m, buf, n)[0])
		snprintf(buf, n, "is it installed for this kernel? modprobe -v %s says more",
			 c->to);
	return buf;
}

static enum ctl_exit change_virtio(const struct change *c)
{
	bool held = c->m.driver[0] != '\0';
	char size[UNITS_MAX], why[MACHINE_WHY_MAX];
	uint64_t stock;
	int r;

	if (!module_there(c->to)) {
		step(c, "load %s", c->to);
		if (!c->dry_run && load(c->to) < 0)
			return ctl_fail(CTL_FAILED, "the module %s cannot be loaded; nothing has "
					"changed: %s", c->to, why_not_loaded(c, why, sizeof(why)));
	}
	if (!c->dry_run && !virtio_driver_there(c->to))
		return ctl_fail(CTL_FAILED, "%s is loaded, but not for virtio (its parameter host=); "
				"nothing has changed. Load it anew: modprobe -r %s", c->to, c->to);

	if (held) {
		stock = strcmp(c->from, OURS) != 0 ? stock_size() : 0;
		if (stock > 0)
			step(c, "unbind %s from %s, which gives its %s back to the guest first", c->from,
			     c->m.device, units_format_size(size, sizeof(size), stock));
		else
			step(c, "unbind %s from %s", c->from, c->m.device);
		r = c->dry_run ? 0 : virtio_order(c->from, "unbind", c->m.device);
		if (r < 0)
			return ctl_fail(CTL_FAILED, "%s does not let go of %s (%s); nothing has changed",
					c->from, c->m.device, strerror(-r));
	}
	step(c, "bind %s to %s", c->to, c->m.device);
	if (c->dry_run)
		return CTL_OK;
	/* A module that was loaded a moment ago has taken a device without a driver by itself. */
	r = has_it(c->to) ? 0 : virtio_order(c->to, "bind", c->m.device);
	if (r < 0)
		return lead_back(c, "the new driver does not take the device", r);
	if (!wait_for(c->to))
		return lead_back(c, "the new driver has the device, but no balloon", -ETIMEDOUT);
	return CTL_OK;
}

static enum ctl_exit change_module(const struct change *c)
{
	char why[MACHINE_WHY_MAX];
	enum ctl_exit code;
	int r;

	if (built_in(c->from))
		return ctl_fail(CTL_FAILED, "%s is built into this kernel and cannot be unloaded; nothing "
				"has changed", c->from);
	if (!c->dry_run && run_modprobe(strcmp(c->to, OURS) == 0 ? "-qn" : "-qni", c->to) < 0)
		return ctl_fail(CTL_FAILED, "the module %s is not there; nothing has changed: %s",
				c->to, why_not_loaded(c, why, sizeof(why)));
	if (strcmp(c->from, OURS) != 0 && !c->dry_run) {
		code = vmw_must_be_empty();
		if (code != CTL_OK)
			return code;
	}
	/* Both at once undo each other's work: START by one takes the pages of the other. */
	if (strcmp(c->to, OURS) == 0 && c->m.loaded) {
		step(c, "unload %s, which was loaded beside %s", OURS, c->from);
		if (!c->dry_run && unload(OURS) < 0)
			return ctl_fail(CTL_FAILED, "%s cannot be unloaded; nothing has changed. If "
					"balloond uses it: systemctl stop balloond", OURS);
	}
	step(c, "unload %s%s", c->from,
	     strcmp(c->from, OURS) == 0 ? ", which gives its balloon back to the guest first" : "");
	if (!c->dry_run && unload(c->from) < 0)
		return ctl_fail(CTL_FAILED, "%s cannot be unloaded; nothing has changed.%s", c->from,
				strcmp(c->from, OURS) == 0
					? " If balloond uses it: systemctl stop balloond" : "");
	step(c, "load %s", c->to);
	if (c->dry_run)
		return CTL_OK;
	r = load(c->to);
	if (r < 0)
		return lead_back(c, "the new driver cannot be loaded", r);
	if (!wait_for(c->to))
		return lead_back(c, "the hypervisor does not answer the new driver", -ETIMEDOUT);
	return CTL_OK;
}

/* "blacklist M", or our lines: "softdep M pre: uballoon", "install M ... uballoon ...". */
static bool says_ours_first(const char *folder, const char *file, const char *module)
{
	char path[512], line[512], word[2][64];
	_cleanup_fclose_ FILE *f = NULL;

	snprintf(path, sizeof(path), "%s/%s", folder, file);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "%63s %63s", word[0], word[1]) == 2 &&
		    strcmp(word[1], module) == 0 &&
		    (strcmp(word[0], "blacklist") == 0 ||
		     ((strcmp(word[0], "softdep") == 0 || strcmp(word[0], "install") == 0) &&
		      strstr(line, " " OURS))))
			return true;
	return false;
}

static bool ours_is_first(const char *module)
{
	const char *const folders[] = { "/etc/modprobe.d", "/run/modprobe.d", "/usr/lib/modprobe.d",
					"/lib/modprobe.d" };
	bool found = false;

	for (size_t i = 0; !found && i < sizeof(folders) / sizeof(folders[0]); i++) {
		const struct dirent *entry;
		DIR *dir = opendir(folders[i]);

		while (dir && !found && (entry = readdir(dir)))
			found = says_ours_first(folders[i], entry->d_name, module);
		if (dir)
			closedir(dir);
	}
	return found;
}

static void say_done(const struct change *c, bool undo)
{
	const char *stock = undo ? c->to : c->from;

	if (c->dry_run)
		return;
	printf("%s has the balloon now\n", c->to);
	if (c->quiet)
		return;
	if (undo)
		printf("balloond, if it runs, waits for the device to come back; to keep it from "
		       "starting: systemctl disable --now balloond\n");
	else if (c->m.stock_built_in || !ours_is_first(stock))
		printf("At the next boot %s comes first again, unless you set adopt = true; in "
		       CONFIG_PATH "%s\n", stock,
		       c->m.stock_built_in ? "" : ", or let modprobe.d(5) put uballoon first");
}

static enum ctl_exit nothing_to_do(const struct change *c, bool undo)
{
	char why[MACHINE_WHY_MAX];

	if (c->quiet)
		return CTL_OK;
	if (c->m.host == MACHINE_XEN && c->m.ready) {
		printf("nothing to do: on Xen, uballoon works through the kernel's own driver\n");
		return CTL_OK;
	}
	if (c->to && has_it(c->to)) {
		printf("nothing to do: %s has the balloon\n", c->to);
		return CTL_OK;
	}
	if (!undo && c->m.ready) {
		printf("nothing to do: %s has a balloon\n", OURS);
		return CTL_OK;
	}
	machine_why(&c->m, why, sizeof(why));
	return ctl_fail(CTL_FAILED, "there is no balloon device that could be handed over: %s", why);
}

static bool configured(void)
{
	_cleanup_(config_errors_done) struct config_errors errors = {};
	struct config config;

	/* A file that is wrong is the daemon's to complain about; without one, a drop-in may say it. */
	return config_load(CONFIG_PATH, &config, &errors) >= 0 && config.adopt;
}

static enum ctl_exit run(const struct ctl_args *args)
{
	bool undo = args->option[OPT_UNDO];
	struct change c = {
		.dry_run = args->option[OPT_DRY_RUN],
		.quiet = args->option[OPT_IF_CONFIGURED],
	};
	const char *stock;
	enum ctl_exit code;

	if (undo && c.quiet)
		return ctl_fail(CTL_USAGE, "--undo and --if-configured exclude each other");
	if (c.quiet && !configured())
		return CTL_OK;
	if (!c.dry_run && geteuid() != 0)
		return ctl_fail(CTL_DENIED, "only root may change drivers; try again with sudo, or look at "
				"what would be done with --dry-run");
	machine_look("", &c.m);
	stock = machine_stock_driver(c.m.host);
	c.from = undo ? OURS : stock;
	c.to = undo ? stock : OURS;
	if (!stock || (strcmp(c.m.driver, c.from) != 0 && c.m.driver[0] != '\0') ||
	    (c.m.host != MACHINE_VIRTIO && c.m.driver[0] == '\0'))
		return nothing_to_do(&c, undo);

	code = c.m.host == MACHINE_VIRTIO ? change_virtio(&c) : change_module(&c);
	if (code == CTL_OK)
		say_done(&c, undo);
	return code;
}

const struct ctl_verb ctl_verb_adopt = {
	.name = "adopt",
	.args = "",
	.summary = "take the balloon over from the kernel's driver",
	.help = "Take the balloon device from the kernel's own driver (virtio_balloon,\n"
		"vmw_balloon) and give it to uballoon, without a reboot. That driver gives back\n"
		"to the guest what it holds before it lets go, so the host must be able to give\n"
		"it; balloond then inflates anew. Says each step. If one fails, the driver\n"
		"before has the device again. To do it at each start of the service, set\n"
		"adopt = true; in balloond.conf. Only root may do this.\n",
	.options = options,
	.run = run,
};
