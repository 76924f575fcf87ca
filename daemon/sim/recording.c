// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * recording.c - samples as lines of text
 *
 * One table says which column holds which field in which unit, so that header
 * and lines cannot differ. Every line has as many cells as the header; a line
 * is complete in the buffer or the function says so by a length of 0.
 *
 * Leaves out: files (ctl-record.c writes them) and reading back (trace.c finds
 * the columns it needs by name).
 */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "sim/recording.h"

enum group { GROUP_MEM, GROUP_VM, GROUP_PSI };

struct column {
	const char *name;
	enum group group;
	unsigned int field;
};

/* Memory in KiB, as /proc/meminfo has it; events as /proc/vmstat; stalls in microseconds. */
static const struct column columns[] = {
	{ "mem_total_kib", GROUP_MEM, MEM_TOTAL },
	{ "mem_free_kib", GROUP_MEM, MEM_FREE },
	{ "mem_available_kib", GROUP_MEM, MEM_AVAILABLE },
	{ "cached_kib", GROUP_MEM, MEM_CACHED },
	{ "shmem_kib", GROUP_MEM, MEM_SHMEM },
	{ "anon_kib", GROUP_MEM, MEM_ANON },
	{ "active_file_kib", GROUP_MEM, MEM_ACTIVE_FILE },
	{ "inactive_file_kib", GROUP_MEM, MEM_INACTIVE_FILE },
	{ "dirty_kib", GROUP_MEM, MEM_DIRTY },
	{ "unevictable_kib", GROUP_MEM, MEM_UNEVICTABLE },
	{ "mlocked_kib", GROUP_MEM, MEM_MLOCKED },
	{ "slab_unreclaimable_kib", GROUP_MEM, MEM_SLAB_UNRECLAIMABLE },
	{ "kernel_kib", GROUP_MEM, MEM_KERNEL },
	{ "committed_kib", GROUP_MEM, MEM_COMMITTED_AS },
	{ "swap_total_kib", GROUP_MEM, MEM_SWAP_TOTAL },
	{ "swap_free_kib", GROUP_MEM, MEM_SWAP_FREE },
	{ "watermark_high_kib", GROUP_MEM, MEM_WATERMARK_HIGH },
	{ "swap_room_kib", GROUP_MEM, MEM_SWAP_ROOM },
	{ "zram_kib", GROUP_MEM, MEM_ZRAM },
	{ "pswpin_pages", GROUP_VM, VM_PSWPIN },
	{ "pswpout_pages", GROUP_VM, VM_PSWPOUT },
	{ "refault_anon_pages", GROUP_VM, VM_REFAULT_ANON },
	{ "refault_file_pages", GROUP_VM, VM_REFAULT_FILE },
	{ "activate_anon_pages", GROUP_VM, VM_ACTIVATE_ANON },
	{ "activate_file_pages", GROUP_VM, VM_ACTIVATE_FILE },
	{ "restore_anon_pages", GROUP_VM, VM_RESTORE_ANON },
	{ "restore_file_pages", GROUP_VM, VM_RESTORE_FILE },
	{ "allocstall_events", GROUP_VM, VM_ALLOCSTALL },
	{ "pgscan_direct_pages", GROUP_VM, VM_PGSCAN_DIRECT },
	{ "pgscan_kswapd_pages", GROUP_VM, VM_PGSCAN_KSWAPD },
	{ "pgsteal_direct_pages", GROUP_VM, VM_PGSTEAL_DIRECT },
	{ "pgsteal_kswapd_pages", GROUP_VM, VM_PGSTEAL_KSWAPD },
	{ "oom_kill_events", GROUP_VM, VM_OOM_KILL },
	{ "zswpin_pages", GROUP_VM, VM_ZSWPIN },
	{ "zswpout_pages", GROUP_VM, VM_ZSWPOUT },
	{ "mem_some_us", GROUP_PSI, PSI_MEM_SOME_US },
	{ "mem_full_us", GROUP_PSI, PSI_MEM_FULL_US },
	{ "io_some_us", GROUP_PSI, PSI_IO_SOME_US },
	{ "io_full_us", GROUP_PSI, PSI_IO_FULL_US },
};
#define N_COLUMNS (sizeof(columns) / sizeof(columns[0]))
_Static_assert(N_COLUMNS == _MEM_FIELD_MAX + _VM_FIELD_MAX + _PSI_FIELD_MAX,
	       "every field of a sample has a column");

struct text {
	char *buf;
	size_t n;
	size_t len;
};

__attribute__((format(printf, 2, 3)))
static void add(struct text *t, const char *format, ...)
{
	va_list ap;
	int r;

	if (t->len >= t->n)
		return;
	va_start(ap, format);
	r = vsnprintf(t->buf + t->len, t->n - t->len, format, ap);
	va_end(ap);
	t->len = r < 0 || (size_t)r >= t->n - t->len ? t->n : t->len + r;
}

static size_t finish(const struct text *t)
{
	return t->len < t->n ? t->len : 0;
}

size_t recording_header(char *buf, size_t n)
{
	struct text t = { buf, n, 0 };

	add(&t, "t_s,ram_kib");
	for (size_t i = 0; i < N_COLUMNS; i++)
		add(&t, ",%s", columns[i].name);
	add(&t, ",balloon_kib,balloon_limit_kib,host_target_kib,relief_events,target_kib,reason\n");
	return finish(&t);
}

static void add_kib(struct text *t, bool have, uint64_t bytes)
{
	if (have)
		add(t, ",%" PRIu64, bytes / 1024);
	else
		add(t, ",");
}

static void add_column(struct text *t, const struct column *c, const struct sample *s)
{
	switch (c->group) {
	case GROUP_MEM:
		add_kib(t, s->mem_have & (1U << c->field), s->mem[c->field]);
		return;
	case GROUP_VM:
		if (s->vm_have & (1U << c->field))
			add(t, ",%" PRIu64, s->vm[c->field]);
		else
			add(t, ",");
		return;
	case GROUP_PSI:
		if (s->psi_have & (1U << c->field))
			add(t, ",%" PRIu64, s->psi[c->field]);
		else
			add(t, ",");
		return;
	}
}

size_t recording_line(char *buf, size_t n, uint64_t start_us, const struct sample *s,
		      const struct recording_daemon *d)
{
	struct text t = { buf, n, 0 };
	uint64_t us = s->time_us - start_us;
	bool balloon = s->balloon.valid;

	add(&t, "%" PRIu64 ".%03" PRIu64, us / 1000000, us / 1000 % 1000);
	add_kib(&t, s->ram, s->ram);
	for (size_t i = 0; i < N_COLUMNS; i++)
		add_column(&t, &columns[i], s);
	add_kib(&t, balloon, s->balloon.size);
	add_kib(&t, balloon && s->balloon.limit != UINT64_MAX, s->balloon.limit);
	add_kib(&t, balloon && s->balloon.host_target_valid, s->balloon.host_target);
	if (balloon)
		add(&t, ",%" PRIu64, s->balloon.relief_events);
	else
		add(&t, ",");
	add_kib(&t, d->valid, d->target);
	add(&t, ",%s\n", d->valid && d->reason ? d->reason : "");
	return finish(&t);
}
