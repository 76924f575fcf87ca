// SPDX-License-Identifier: GPL-2.0-only
/*
 * stats.c - counters, and /sys/kernel/debug/uballoon/state
 *
 * One "name value" a line: first what GET_STATE says, under the names of the
 * header, then what only a developer wants to know, then the host's own lines.
 * Names are never reused for something else; new ones may appear.
 */
#include <linux/debugfs.h>
#include <linux/module.h>
#include <linux/seq_file.h>

#include "core.h"
#include "stats.h"

/* The host has asked for the guest's statistics. */
void uballoon_count_host_stats(struct uballoon *ub)
{
	spin_lock(&ub->lock);
	ub->counters.host_stats_events++;
	spin_unlock(&ub->lock);
}

/* So many of the guest's own free pages have been reported. */
void uballoon_count_reported(struct uballoon *ub, u64 pages)
{
	spin_lock(&ub->lock);
	ub->counters.reported_pages += pages;
	spin_unlock(&ub->lock);
}

#ifdef CONFIG_DEBUG_FS

static struct dentry *debugfs_dir;	/* there is one balloon */

#define SHOW(s, field)	seq_printf(m, #field " %llu\n", (unsigned long long)(s).field)

static void show_counters(struct seq_file *m, const struct uballoon_counters *c)
{
	SHOW(*c, lock_calls);
	SHOW(*c, unlock_calls);
	SHOW(*c, locked_4k_pages);
	SHOW(*c, locked_2m_pages);
	SHOW(*c, unlocked_4k_pages);
	SHOW(*c, unlocked_2m_pages);
	SHOW(*c, refused_pages);
	SHOW(*c, alloc_fail_4k_events);
	SHOW(*c, alloc_fail_2m_events);
	SHOW(*c, floor_events);
	SHOW(*c, oom_events);
	SHOW(*c, oom_pages);
	SHOW(*c, shrink_events);
	SHOW(*c, shrink_pages);
	SHOW(*c, lease_events);
	SHOW(*c, lease_pages);
	SHOW(*c, pop_events);
	SHOW(*c, pop_pages);
	SHOW(*c, migrated_pages);
	SHOW(*c, host_target_events);
	SHOW(*c, host_timeout_events);
	SHOW(*c, host_stats_events);
	SHOW(*c, reported_pages);
	SHOW(*c, direct_events);
	SHOW(*c, direct_pages);
	SHOW(*c, proofs_taken);
	SHOW(*c, proofs_kept);
}

static void show_internals(struct seq_file *m, const struct uballoon_internals *in)
{
	seq_printf(m, "quiet_4k_batches %llu\n", in->batches[UBALLOON_HOLD_QUIET][UBALLOON_4K]);
	seq_printf(m, "quiet_2m_batches %llu\n", in->batches[UBALLOON_HOLD_QUIET][UBALLOON_2M]);
	seq_printf(m, "told_4k_batches %llu\n", in->batches[UBALLOON_HOLD_TOLD][UBALLOON_4K]);
	seq_printf(m, "told_2m_batches %llu\n", in->batches[UBALLOON_HOLD_TOLD][UBALLOON_2M]);
	SHOW(*in, unlock_batches);
	SHOW(*in, migrate_busy_events);
	SHOW(*in, drain_events);
	SHOW(*in, reap_work_events);
	SHOW(*in, wake_events);
	SHOW(*in, offline_events);
	seq_printf(m, "offline_pages %llu\n", uballoon_units(in->offline_pages));
	seq_printf(m, "offline_replaced_pages %llu\n", uballoon_units(in->offline_replaced_pages));
	seq_printf(m, "untold_lost_pages %llu\n", uballoon_units(in->untold_lost_pages));
}

static int state_show(struct seq_file *m, void *unused)
{
	struct uballoon *ub = m->private;
	struct uballoon_internals in;
	u64 host_gen, relief_gen, inflight, untold;
	struct uballoon_state st;
	unsigned int busy, old;

	if (!uballoon_core_enter(ub))
		return -ENODEV;
	uballoon_core_state(ub, &st, &host_gen, &relief_gen);
	spin_lock(&ub->lock);
	in = ub->internals;
	inflight = ub->inflight_pages;
	untold = ub->untold_pages;
	old = ub->old_count + ub->old_away;
	busy = UBALLOON_BATCHES - ub->free_count;
	spin_unlock(&ub->lock);

	seq_printf(m, "host %s\n", ub->host->ops->name);
	seq_printf(m, "capabilities 0x%llx\n", ub->host->caps);
	SHOW(st, ram_pages);
	SHOW(st, module_floor_pages);
	SHOW(st, mem_available_pages);
	seq_printf(m, "flags 0x%x\n", st.flags);
	seq_printf(m, "size_pages %llu\n", st.size_4k_pages + st.size_2m_pages);
	SHOW(st, size_4k_pages);
	SHOW(st, size_2m_pages);
	SHOW(st, available_pages);
	SHOW(st, gone_pages);
	SHOW(st, host_pages);
	SHOW(st, account);
	SHOW(st, firm_pages);
	SHOW(st, relief_pages);
	SHOW(st, ceiling_pages);
	SHOW(st, floor_pages);
	SHOW(st, host_target_pages);
	SHOW(st, limit_pages);
	SHOW(st, generation);
	SHOW(st, lease_ms);
	SHOW(st, lease_left_ms);
	SHOW(st, holdoff_left_ms);
	SHOW(st, last_stop);
	show_counters(m, &st.counters);
	seq_printf(m, "host_generation %llu\n", host_gen);
	seq_printf(m, "relief_generation %llu\n", relief_gen);
	seq_printf(m, "inflight_pages %llu\n", uballoon_units(inflight));
	seq_printf(m, "inflight_batches %u\n", busy);
	seq_printf(m, "untold_pages %llu\n", uballoon_units(untold));
	seq_printf(m, "old_pages %llu\n", uballoon_units(old));
	show_internals(m, &in);
	if (ub->host->ops->show)
		ub->host->ops->show(ub->host, m);
	uballoon_core_leave(ub);
	return 0;
}

static int state_open(struct inode *inode, struct file *filp)
{
	struct uballoon *ub = inode->i_private;
	int r = single_open(filp, state_show, ub);

	if (!r)
		uballoon_core_get(ub);
	return r;
}

static int state_release(struct inode *inode, struct file *filp)
{
	uballoon_core_put(inode->i_private);
	return single_release(inode, filp);
}

static const struct file_operations state_fops = {
	.owner		= THIS_MODULE,
	.open		= state_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= state_release,
};

/**
 * uballoon_stats_init - make the debugfs file appear
 * @ub:	balloon
 *
 * Nothing depends on its success.
 */
void uballoon_stats_init(struct uballoon *ub)
{
	debugfs_dir = debugfs_create_dir("uballoon", NULL);
	/* As with the calls: a reader whose buffer never comes must not hold up the device. */
	debugfs_create_file_unsafe("state", 0400, debugfs_dir, ub, &state_fops);
}

/* And go. Files that are open stay open, and answer ENODEV. */
void uballoon_stats_exit(struct uballoon *ub)
{
	debugfs_remove_recursive(debugfs_dir);
	debugfs_dir = NULL;
}

#endif /* CONFIG_DEBUG_FS */
