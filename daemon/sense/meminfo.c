// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * /proc/meminfo by libproc2. The only file that includes it.
 *
 * The library substitutes: MemFree for a MemAvailable that is missing, 0 for
 * any other field. So the names in the file are looked at once, and a field
 * that is not there is absent from the sample, whatever the library says. It
 * always reads /proc/meminfo, wherever the names came from.
 *
 * Only select() is used: get() answers from a cache for a wall-clock second.
 * The result is read as head[i].result, because the macros that hide it took
 * other arguments in later releases.
 *
 * Leaves out /proc/vmstat (see vmstat.c) and everything else libproc2 can do.
 */
#include <errno.h>
#include <libproc2/meminfo.h>

#include "sense/meminfo.h"
#include "sense/text.h"

/* In the order of items[]. */
enum {
	I_TOTAL,
	I_FREE,
	I_AVAILABLE,
	I_CACHED,
	I_BUFFERS,
	I_SHMEM,
	I_ANON,
	I_ACTIVE_FILE,
	I_INACTIVE_FILE,
	I_DIRTY,
	I_WRITEBACK,
	I_UNEVICTABLE,
	I_MLOCKED,
	I_SLAB_UNRECLAIMABLE,
	I_KERNEL_STACK,
	I_PAGE_TABLES,
	I_COMMITTED_AS,
	I_SWAP_TOTAL,
	I_SWAP_FREE,
	_I_MAX,
};

static enum meminfo_item items[_I_MAX] = {
	[I_TOTAL] = MEMINFO_MEM_TOTAL,
	[I_FREE] = MEMINFO_MEM_FREE,
	[I_AVAILABLE] = MEMINFO_MEM_AVAILABLE,
	[I_CACHED] = MEMINFO_MEM_CACHED,
	[I_BUFFERS] = MEMINFO_MEM_BUFFERS,
	[I_SHMEM] = MEMINFO_MEM_SHARED,
	[I_ANON] = MEMINFO_MEM_ANON,
	[I_ACTIVE_FILE] = MEMINFO_MEM_ACTIVE_FILE,
	[I_INACTIVE_FILE] = MEMINFO_MEM_INACTIVE_FILE,
	[I_DIRTY] = MEMINFO_MEM_DIRTY,
	[I_WRITEBACK] = MEMINFO_MEM_WRITEBACK,
	[I_UNEVICTABLE] = MEMINFO_MEM_UNEVICTABLE,
	[I_MLOCKED] = MEMINFO_MEM_LOCKED,
	[I_SLAB_UNRECLAIMABLE] = MEMINFO_MEM_SLAB_UNRECLAIM,
	[I_KERNEL_STACK] = MEMINFO_MEM_KERNEL_STACK,
	[I_PAGE_TABLES] = MEMINFO_MEM_PAGE_TABLES,
	[I_COMMITTED_AS] = MEMINFO_MEM_COMMITTED_AS,
	[I_SWAP_TOTAL] = MEMINFO_SWAP_TOTAL,
	[I_SWAP_FREE] = MEMINFO_SWAP_FREE,
};

static const char *const names[_I_MAX] = {
	[I_TOTAL] = "MemTotal:",
	[I_FREE] = "MemFree:",
	[I_AVAILABLE] = "MemAvailable:",
	[I_CACHED] = "Cached:",
	[I_BUFFERS] = "Buffers:",
	[I_SHMEM] = "Shmem:",
	[I_ANON] = "AnonPages:",
	[I_ACTIVE_FILE] = "Active(file):",
	[I_INACTIVE_FILE] = "Inactive(file):",
	[I_DIRTY] = "Dirty:",
	[I_WRITEBACK] = "Writeback:",
	[I_UNEVICTABLE] = "Unevictable:",
	[I_MLOCKED] = "Mlocked:",
	[I_SLAB_UNRECLAIMABLE] = "SUnreclaim:",
	[I_KERNEL_STACK] = "KernelStack:",
	[I_PAGE_TABLES] = "PageTables:",
	[I_COMMITTED_AS] = "Committed_AS:",
	[I_SWAP_TOTAL] = "SwapTotal:",
	[I_SWAP_FREE] = "SwapFree:",
};

/* A field of the sample: a sum of items, less one. */
static const struct {
	uint32_t plus;
	uint32_t minus;
} fields[_MEM_FIELD_MAX] = {
	[MEM_TOTAL] = {1U << I_TOTAL, 0},
	[MEM_FREE] = {1U << I_FREE, 0},
	[MEM_AVAILABLE] = {1U << I_AVAILABLE, 0},
	[MEM_CACHED] = {1U << I_CACHED | 1U << I_BUFFERS, 1U << I_SHMEM},
	[MEM_SHMEM] = {1U << I_SHMEM, 0},
	[MEM_ANON] = {1U << I_ANON, 0},
	[MEM_ACTIVE_FILE] = {1U << I_ACTIVE_FILE, 0},
	[MEM_INACTIVE_FILE] = {1U << I_INACTIVE_FILE, 0},
	[MEM_DIRTY] = {1U << I_DIRTY | 1U << I_WRITEBACK, 0},
	[MEM_UNEVICTABLE] = {1U << I_UNEVICTABLE, 0},
	[MEM_MLOCKED] = {1U << I_MLOCKED, 0},
	[MEM_SLAB_UNRECLAIMABLE] = {1U << I_SLAB_UNRECLAIMABLE, 0},
	[MEM_KERNEL] = {1U << I_KERNEL_STACK | 1U << I_PAGE_TABLES, 0},
	[MEM_COMMITTED_AS] = {1U << I_COMMITTED_AS, 0},
	[MEM_SWAP_TOTAL] = {1U << I_SWAP_TOTAL, 0},
	[MEM_SWAP_FREE] = {1U << I_SWAP_FREE, 0},
};

uint32_t meminfo_present(const char *text, size_t len)
{
	struct text t = {text, text + len}, line, name, number;
	uint32_t have = 0, r = 0;
	uint64_t v;

	while (text_line(&t, &line)) {
		if (!text_word(&line, &name) || !text_word(&line, &number) || !text_u64(number, &v))
			continue;
		for (int i = 0; i < _I_MAX; i++)
			if (text_equals(name, names[i]))
				have |= 1U << i;
	}
	for (int f = 0; f < _MEM_FIELD_MAX; f++) {
		uint32_t need = fields[f].plus | fields[f].minus;

		if (need && (have & need) == need)
			r |= 1U << f;
	}
	return r;
}

int meminfo_init(struct meminfo *m, const char *text, size_t len)
{
	*m = (struct meminfo){.present = meminfo_present(text, len)};
	return procps_meminfo_new(&m->info);
}

void meminfo_done(struct meminfo *m)
{
	if (m->info)
		procps_meminfo_unref(&m->info);
}

static uint64_t sum(const struct meminfo_stack *stack, uint32_t mask)
{
	uint64_t kib = 0;

	for (int i = 0; i < _I_MAX; i++)
		if (mask & (1U << i))
			kib += stack->head[i].result.ul_int;
	return kib * 1024;
}

int meminfo_read(struct meminfo *m, struct sample *ret)
{
	struct meminfo_stack *stack;

	ret->mem_have = 0;
	if (!m->info)
		return -ENODATA;
	stack = procps_meminfo_select(m->info, items, _I_MAX);
	if (!stack)
		return errno ? -errno : -EIO;
	for (int f = 0; f < _MEM_FIELD_MAX; f++) {
		uint64_t plus, minus;

		if (!(m->present & (1U << f)))
			continue;
		plus = sum(stack, fields[f].plus);
		minus = sum(stack, fields[f].minus);
		/* The lines are not read at one instant. */
		ret->mem[f] = plus > minus ? plus - minus : 0;
	}
	ret->mem_have = m->present;
	return 0;
}
