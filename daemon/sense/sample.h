/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sample.h - what the policy can know, as plain data
 *
 * One struct sample is one look at the machine. Memory is in bytes, time in
 * microseconds of a monotonic clock that counts suspend (CLOCK_BOOTTIME),
 * counters are cumulative since boot. Nothing here is smoothed or derived.
 *
 * Absence is explicit: a field is meaningful only if its bit is set in the
 * group's `have` mask. A source that could not be read leaves its mask 0; it
 * never leaves a zero that looks like a measurement.
 *
 * Leaves out: where the numbers come from (the sources in sense/) and what they mean for
 * the balloon (decide/).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* /proc/meminfo, bytes; the balloon is left out where the kernel counts it in. */
enum sample_mem_field {
	MEM_TOTAL, /* MemTotal without the balloon: shrinks as it grows */
	MEM_FREE,
	MEM_AVAILABLE, /* without the balloon, whether its pages are counted in it or not */
	MEM_CACHED, /* Cached + Buffers, without Shmem */
	MEM_SHMEM,
	MEM_ANON, /* AnonPages */
	MEM_ACTIVE_FILE,
	MEM_INACTIVE_FILE,
	MEM_DIRTY, /* Dirty + Writeback */
	MEM_UNEVICTABLE,
	MEM_MLOCKED,
	MEM_SLAB_UNRECLAIMABLE,
	MEM_KERNEL, /* KernelStack + PageTables */
	MEM_COMMITTED_AS,
	MEM_SWAP_TOTAL,
	MEM_SWAP_FREE,
	MEM_WATERMARK_HIGH, /* sum of the zones' high watermarks, /proc/zoneinfo */
	MEM_SWAP_ROOM, /* SwapFree as far as using it frees memory, /proc/swaps and zram */
	MEM_ZRAM, /* memory that zram devices hold what is in swap in */
	_MEM_FIELD_MAX,
};

/* The pages of a sample. Those of the kernel may be larger. */
#define SAMPLE_PAGE_BYTES 4096ULL

/* /proc/vmstat, events (pages where the name says so in the kernel). */
enum sample_vm_field {
	VM_PSWPIN,
	VM_PSWPOUT,
	VM_REFAULT_ANON,
	VM_REFAULT_FILE,
	VM_ACTIVATE_ANON,
	VM_ACTIVATE_FILE,
	VM_RESTORE_ANON,
	VM_RESTORE_FILE,
	VM_ALLOCSTALL, /* all zones */
	VM_PGSCAN_DIRECT,
	VM_PGSCAN_KSWAPD,
	VM_PGSTEAL_DIRECT,
	VM_PGSTEAL_KSWAPD,
	VM_OOM_KILL,
	VM_ZSWPIN,
	VM_ZSWPOUT,
	_VM_FIELD_MAX,
};

/* /proc/pressure, cumulative stall time in microseconds. */
enum sample_psi_field {
	PSI_MEM_SOME_US,
	PSI_MEM_FULL_US,
	PSI_IO_SOME_US,
	PSI_IO_FULL_US,
	_PSI_FIELD_MAX,
};

/* Which PSI trigger woke the loop, if one did. */
enum sample_trigger {
	TRIGGER_NONE,
	TRIGGER_EARLY, /* "some" over its threshold */
	TRIGGER_EMERGENCY, /* "full" over its threshold */
};

/* What starts just now. Always known: who has nobody to ask goes by the time since boot. */
enum sample_start {
	SAMPLE_START_NONE, /* nothing: what was to start has started */
	SAMPLE_START_BOOT, /* the guest boots */
	SAMPLE_START_SERVICES, /* it has booted, and starts services */
};

/* Which account the balloon's pages are to be in. */
enum sample_account {
	SAMPLE_ACCOUNT_AUTO, /* by what is true: what the host does not let go of is gone */
	SAMPLE_ACCOUNT_AVAILABLE, /* all of it memory that programs can have */
	SAMPLE_ACCOUNT_GONE, /* all of it off MemTotal */
};

/* Whether the host took the page that it was proven with. */
enum sample_proof {
	SAMPLE_PROOF_NONE, /* nobody asked, or nothing of the kind can be proven */
	SAMPLE_PROOF_UNKNOWN, /* this time nothing came out */
	SAMPLE_PROOF_TAKEN,
	SAMPLE_PROOF_KEPT, /* the guest finds in it what was there before */
};

/* What the transport says. Bytes. */
struct sample_balloon {
	bool valid; /* a device is there and answered */
	bool host_target_valid;
	bool may_exceed_host; /* may inflate beyond the host's target */
	bool may_undercut_host; /* may deflate below the host's target when memory is short */
	bool lease_expired; /* nobody has taken the balloon up since its lease ran out ... */
	uint64_t lease_us; /* ... which was of so long; 0 = none was set */
	bool draining; /* the module is giving memory back by itself */
	bool books_elsewhere; /* another driver of the kernel accounts for the pages */
	uint64_t page; /* the least that can be moved; 0 = 4 KiB */
	uint64_t size;
	uint64_t large; /* of the size: held in pages of 2 MiB, which go as a whole */
	uint64_t ram; /* the guest's, balloon included */
	/* The size by account: programs can have it; the host does not let go; another driver's. */
	uint64_t available;
	uint64_t gone;
	uint64_t elsewhere;
	bool claim; /* nobody holds it: it is part of MemFree, and shrinks when that is used */
	uint64_t kept; /* of MemFree: what a claim leaves to the kernel */
	uint64_t firm; /* of the size: what the host does not let go of as things are */
	enum sample_account account; /* as the module was told */
	uint64_t host_target;
	uint64_t limit; /* the largest balloon that host and module allow */
	uint64_t floor; /* MemAvailable that the module leaves alone; 0 = not known */
	uint64_t holdoff_us; /* LOCK answers NOMEM for that long */
	uint64_t relief_line; /* MemAvailable below which the module gives memory back by itself */
	uint64_t relief_events; /* times that the module gave memory back by itself, cumulative */
	uint64_t rescue_events; /* of these, by the OOM notifier or because the lease ran out */
	uint64_t lease_events; /* leases that ran out, cumulative as all that follows ... */
	uint64_t lease_given; /* ... and what was given back for it, bytes */
	uint64_t oom_events; /* the kernel was about to kill; so often ... */
	uint64_t oom_given; /* ... and got this instead, bytes: perhaps nothing */
	uint64_t relieved; /* bytes given to programs that asked, by the relief line; cumulative */
	uint64_t relieved_direct; /* ... while these waited; the rest was kswapd's */
	uint64_t proofs_taken; /* times that a page was proven to be taken by the host, cumulative */
	uint64_t proofs_kept; /* ... or not to be */
	enum sample_proof proof; /* since the last sample */

	/* Result of the last step that was asked for; zero if none was. */
	int64_t asked; /* bytes, > 0 inflate */
	int64_t moved; /* bytes, same sign */
	uint64_t took_us;
	uint32_t stop; /* enum uballoon_stop as a number */
};

struct sample {
	uint64_t time_us; /* when the sources were read */
	uint64_t ram; /* the guest's RAM, balloon included; 0 if unknown */
	bool has_week; /* the clock on the wall tells the time; the following is it */
	uint32_t week_s; /* seconds since Monday 00:00, local time; may jump, unlike time_us */

	uint32_t mem_have; /* 1U << enum sample_mem_field */
	uint32_t vm_have;
	uint32_t psi_have;
	uint64_t mem[_MEM_FIELD_MAX];
	uint64_t vm[_VM_FIELD_MAX];
	uint64_t psi[_PSI_FIELD_MAX];

	enum sample_start start;
	enum sample_trigger trigger;
	bool psi_armed; /* PSI triggers are open: stalls wake the loop between samples */
	struct sample_balloon balloon;
};

static inline bool sample_has_mem(const struct sample *s, enum sample_mem_field f)
{
	return s->mem_have & (1U << f);
}

static inline bool sample_has_vm(const struct sample *s, enum sample_vm_field f)
{
	return s->vm_have & (1U << f);
}

static inline bool sample_has_psi(const struct sample *s, enum sample_psi_field f)
{
	return s->psi_have & (1U << f);
}
