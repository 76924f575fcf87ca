// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * reporting.c - the transport without a device of ours: push out, and let the kernel report
 *
 * Where the kernel's own driver reports free pages (virtio, VIRTIO_BALLOON_F_REPORTING), all that
 * is free is the host's already. What is missing is somebody who makes cold cache
 * free: memory.reclaim of control groups does (Linux, cgroup-v2.rst). Nothing is held, so
 * nothing need be given back; programs that want memory just take it.
 *
 * The balloon is a claim: so much of the free memory is what the policy has taken. It grows by
 * what is free anyway, and beyond that by what is pushed out for it; it shrinks when the
 * policy says so, and by itself when somebody uses the memory. What the kernel likes to keep
 * free is never claimed.
 *
 * The kernel spreads what is asked of the root over all groups by their size, and
 * leaves alone what memory.min protects. What memory.low protects it does not, with the
 * multi-generational LRU (mm/vmscan.c, shrink_one()): where a child of the root has such a
 * protection, the children are asked instead, each for its share of the page cache that is
 * not protected. Only the root's children matter: what is protected further down is part of what
 * is protected there. Nothing is asked for unless there is as much, for the kernel would
 * take the protected when it finds nothing else. Where it takes it, swappiness=0 is asked for:
 * cache is what is to go, and swapping out is memory lent, not given.
 *
 * Leaves out: holding memory against the guest's programs, the host's target, whether
 * anything is reported at all.
 */
#include "act/reporting.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sysinfo.h>
#include <time.h>

#include "basic/arith.h"
#include "basic/cleanup.h"
#include "uballoon.h"

/* One request: short, for the loop waits; long enough for the kernel to visit each group once. */
#define CHUNK (4ULL << 20)
/* Twice what the high watermarks of a large guest are, and enough for a small one. */
#define KEEP_FREE_DIVISOR 50
#define KEEP_FREE_MIN	  (16ULL << 20)
/* Unprotected cache that is left alone: the kernel counts in batches for each CPU. */
#define CACHE_MIN (16ULL << 20)
/* Children of the root; systemd has five or six. */
#define GROUPS_MAX 32
/* What the kernel reclaims at a time (SWAP_CLUSTER_MAX, 32 pages). */
#define SHARE_GRAIN (128ULL << 10)

DEFINE_CLEANUP(DIR *, closedir)

/* A child of the root, and what of its page cache nothing protects. */
struct group {
	char name[256];
	uint64_t unprotected;
};

struct groups {
	struct group group[GROUPS_MAX];
	size_t n;
	uint64_t ours; /* unprotected, of all that can be asked */
	uint64_t unprotected; /* of the root and all below it */
	bool low; /* one has memory.low */
};

struct reporting {
	struct transport transport;
	const struct reporting_kernel *kernel;
	int fd; /* memory.reclaim; -1 = only to look */
	bool swappiness; /* not known to be refused */
	uint64_t size; /* the claim */
	uint64_t relief_line;
	enum sample_account account;
	size_t turn; /* of the groups, where each has a share */
	size_t barren; /* so many of them in a row had nothing */
	struct groups groups; /* of the last look; here, for it is large */
};

static struct reporting *reporting_of(struct transport *t)
{
	return (struct reporting *)t;
}

static uint64_t monotonic_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void kernel_memory(uint64_t *ret_ram, uint64_t *ret_free)
{
	struct sysinfo i;

	/* It fails for bad pointers only. */
	(void)sysinfo(&i);
	*ret_ram = (uint64_t)i.totalram * i.mem_unit;
	*ret_free = (uint64_t)i.freeram * i.mem_unit;
}

static int kernel_reclaim(int fd, const char *text)
{
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

const struct reporting_kernel reporting_kernel = {
	.cgroup = "/sys/fs/cgroup",
	.memory = kernel_memory,
	.reclaim = kernel_reclaim,
};

/* What the kernel likes to have, whole pages of any size. */
static uint64_t kept_free(uint64_t ram)
{
	uint64_t kept = max_u64(ram / KEEP_FREE_DIVISOR, KEEP_FREE_MIN);

	return kept - kept % SHARE_GRAIN;
}

/* What may be claimed, and the RAM. */
static uint64_t claimable(const struct reporting *r, uint64_t *ret_ram)
{
	uint64_t ram, unused;

	r->kernel->memory(&ram, &unused);
	*ret_ram = ram;
	return sub_sat(unused, kept_free(ram));
}

static FILE *open_text(const char *cgroup, const char *group, const char *file)
{
	char path[512];

	snprintf(path, sizeof(path), "%.200s/%.255s/%s", cgroup, group, file);
	return fopen(path, "re");
}

/* The only number in a file of a group; 0 if there is none. */
static uint64_t group_number(const char *cgroup, const char *group, const char *file)
{
	_cleanup_fclose_ FILE *f = open_text(cgroup, group, file);
	char line[64];
	uint64_t v;

	if (!f || !fgets(line, sizeof(line), f))
		return 0;
	if (strcmp(line, "max\n") == 0)
		return UINT64_MAX;
	return sscanf(line, "%" SCNu64, &v) == 1 ? v : 0;
}

/* Bytes of page cache of a group, and of those below it, that need not be written first. */
static uint64_t group_cache(const char *cgroup, const char *group)
{
	_cleanup_fclose_ FILE *f = open_text(cgroup, group, "memory.stat");
	uint64_t v, clean = 0, dirty = 0;
	char line[128], name[64];

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%63s %" SCNu64, name, &v) != 2)
			continue;
		if (strcmp(name, "inactive_file") == 0 || strcmp(name, "active_file") == 0)
			clean = add_sat(clean, v);
		else if (strcmp(name, "file_dirty") == 0 || strcmp(name, "file_writeback") == 0)
			dirty = add_sat(dirty, v);
	}
	return sub_sat(clean, dirty);
}

static int open_file(const struct reporting_kernel *kernel, const char *group, int flags)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%.200s/%.255s/memory.reclaim", kernel->cgroup, group);
	fd = open(path, flags | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static void group_look(const struct reporting_kernel *kernel, const char *name, struct groups *all)
{
	uint64_t cache = group_cache(kernel->cgroup, name), unprotected;
	uint64_t low = group_number(kernel->cgroup, name, "memory.low");
	uint64_t keeps = max_u64(low, group_number(kernel->cgroup, name, "memory.min"));
	uint64_t current = group_number(kernel->cgroup, name, "memory.current");
	_cleanup_close_ int fd = -1;

	all->low |= low > 0;
	unprotected = min_u64(cache, sub_sat(current, keeps));
	all->unprotected = sub_sat(all->unprotected, cache - unprotected);
	if (!unprotected || all->n == GROUPS_MAX)
		return;
	/* One that has not been given to us cannot be asked. */
	fd = open_file(kernel, name, O_WRONLY);
	if (fd < 0)
		return;
	snprintf(all->group[all->n].name, sizeof(all->group[all->n].name), "%s", name);
	all->group[all->n++].unprotected = unprotected;
	all->ours = add_sat(all->ours, unprotected);
}

static void groups_look(const struct reporting_kernel *kernel, struct groups *ret)
{
	_cleanup_(closedirp) DIR *dir = opendir(kernel->cgroup);
	const struct dirent *entry;

	ret->n = 0;
	ret->ours = 0;
	ret->low = false;
	ret->unprotected = group_cache(kernel->cgroup, ".");
	while (dir && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.')
			group_look(kernel, entry->d_name, ret);
}

static int ask(struct reporting *r, int fd, uint64_t bytes)
{
	char text[64];
	int k;

	if (r->swappiness) {
		snprintf(text, sizeof(text), "%" PRIu64 " swappiness=0", bytes);
		k = r->kernel->reclaim(fd, text);
		/* Linux before 6.9. */
		if (k != -EINVAL)
			return k;
		r->swappiness = false;
	}
	snprintf(text, sizeof(text), "%" PRIu64, bytes);
	return r->kernel->reclaim(fd, text);
}

/*
 * Each child its share, beginning with another one each time: there may be no time for all.
 * -EAGAIN: all were asked in a row, if need be in the course of some calls, and none had anything.
 */
static int ask_each(struct reporting *r, const struct groups *groups, uint64_t bytes,
		    uint64_t end_us)
{
	int q;

	if (r->barren >= groups->n)
		r->barren = 0;
	for (size_t i = 0; i < groups->n && r->barren < groups->n; i++) {
		const struct group *g = &groups->group[r->turn % groups->n];
		_cleanup_close_ int fd = open_file(r->kernel, g->name, O_WRONLY);
		uint64_t share = scale(bytes, g->unprotected, groups->ours);

		if (i > 0 && monotonic_us() >= end_us)
			return 0;
		r->turn++;
		q = fd < 0 ? fd : ask(r, fd, share - share % SHARE_GRAIN + SHARE_GRAIN);
		if (q == -EINTR)
			return q;
		r->barren = q == 0 ? 0 : r->barren + 1;
	}
	return r->barren < groups->n ? 0 : -EAGAIN;
}

/* -EAGAIN: there is nothing (more) that may be pushed out. */
static int push_out(struct reporting *r, uint64_t bytes, uint64_t end_us)
{
	struct groups *groups = &r->groups;

	if (r->fd < 0)
		return -EAGAIN;
	bytes += SHARE_GRAIN - 1;
	bytes -= bytes % SHARE_GRAIN;
	groups_look(r->kernel, groups);
	if ((groups->low ? groups->ours : groups->unprotected) < add_sat(bytes, CACHE_MIN))
		return -EAGAIN;
	return groups->low ? ask_each(r, groups, bytes, end_us) : ask(r, r->fd, bytes);
}

static int reporting_info(struct transport *t, struct transport_info *ret)
{
	*ret = (struct transport_info){
		.host = "reporting",
		.capabilities = UBALLOON_CAP_REPORTING,
	};
	(void)claimable(reporting_of(t), &ret->ram);
	return 0;
}

static int reporting_state(struct transport *t, struct sample_balloon *ret)
{
	struct reporting *r = reporting_of(t);

	r->size = min_u64(r->size, claimable(r, &ret->ram));
	ret->valid = true;
	ret->may_exceed_host = true;
	ret->may_undercut_host = true;
	ret->size = r->size;
	ret->claim = true;
	ret->kept = kept_free(ret->ram);
	ret->page = (uint64_t)sysconf(_SC_PAGESIZE);
	ret->limit = ret->ram;
	ret->account = r->account;
	ret->relief_line = r->relief_line;
	return 0;
}

static int reporting_set_target(struct transport *t, const struct transport_target *to)
{
	struct reporting *r = reporting_of(t);

	/* No bounds: nothing is moved but by move(). No lease: nothing is held. */
	r->relief_line = to->relief_line;
	r->account = to->account;
	return 0;
}

/* Claim what is free, up to the goal. */
static bool claim(struct reporting *r, uint64_t goal)
{
	uint64_t ram;

	r->size = max_u64(r->size, min_u64(goal, claimable(r, &ram)));
	return r->size >= goal;
}

static uint32_t grow(struct reporting *r, uint64_t goal, bool may_reclaim, uint64_t end_us)
{
	int k = 0;

	for (;;) {
		if (claim(r, goal))
			return UBALLOON_STOP_DONE;
		if (!may_reclaim)
			return UBALLOON_STOP_NOMEM;
		if (k < 0)
			return k == -EINTR ? UBALLOON_STOP_INTERRUPTED : UBALLOON_STOP_FLOOR;
		if (monotonic_us() >= end_us)
			return UBALLOON_STOP_BUDGET;
		/* Also of a request that was not met in full something came. */
		k = push_out(r, min_u64(goal - r->size, CHUNK), end_us);
	}
}

static int reporting_move(struct transport *t, int64_t step, bool may_reclaim, uint64_t budget_us,
			  struct transport_result *ret)
{
	struct reporting *r = reporting_of(t);
	uint64_t before = r->size, start_us = monotonic_us();

	*ret = (struct transport_result){.stop = UBALLOON_STOP_DONE};
	if (step > 0)
		ret->stop = grow(r, add_sat(before, (uint64_t)step), may_reclaim,
				 start_us + budget_us);
	else
		r->size -= min_u64(0 - (uint64_t)step, before);
	ret->moved = (int64_t)(r->size - before);
	ret->took_us = monotonic_us() - start_us;
	return 0;
}

static int reporting_keepalive(struct transport *t)
{
	(void)t;
	return 0;
}

static int reporting_pop(struct transport *t)
{
	reporting_of(t)->size = 0;
	return 0;
}

static int reporting_fd(struct transport *t)
{
	(void)t;
	return -1;
}

static void reporting_free(struct transport *t)
{
	struct reporting *r = reporting_of(t);

	if (r->fd >= 0)
		close(r->fd);
	free(r);
}

static const struct transport_ops reporting_ops = {
	.info = reporting_info,
	.state = reporting_state,
	.set_target = reporting_set_target,
	.move = reporting_move,
	.keepalive = reporting_keepalive,
	.pop = reporting_pop,
	.fd = reporting_fd,
	.free = reporting_free,
};

int reporting_open(const struct reporting_kernel *kernel, bool read_only, struct transport **ret)
{
	_cleanup_close_ int fd = open_file(kernel, ".", read_only ? O_PATH : O_WRONLY);
	struct reporting *r;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? -EOPNOTSUPP :
		       fd == -EPERM || fd == -EROFS    ? -EACCES :
							 fd;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	*r = (struct reporting){
		.transport.ops = &reporting_ops,
		.kernel = kernel,
		.swappiness = true,
		.fd = read_only ? -1 : steal_fd(&fd),
	};
	*ret = &r->transport;
	return 0;
}
