/* SPDX-License-Identifier: GPL-2.0-only */
/* stats.h - see stats.c */
#ifndef _UBALLOON_STATS_H
#define _UBALLOON_STATS_H

#include <linux/types.h>

struct uballoon;

void uballoon_count_host_stats(struct uballoon *ub);
void uballoon_count_reported(struct uballoon *ub, u64 pages);

#ifdef CONFIG_DEBUG_FS
void uballoon_stats_init(struct uballoon *ub);
void uballoon_stats_exit(struct uballoon *ub);
#else
static inline void uballoon_stats_init(struct uballoon *ub)
{
}

static inline void uballoon_stats_exit(struct uballoon *ub)
{
}
#endif

#endif /* _UBALLOON_STATS_H */
