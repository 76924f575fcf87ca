/* SPDX-License-Identifier: GPL-2.0-only */
/* reclaim.h - see reclaim.c */
#ifndef _UBALLOON_RECLAIM_H
#define _UBALLOON_RECLAIM_H

struct uballoon;

int uballoon_reclaim_init(struct uballoon *ub);
void uballoon_reclaim_exit(struct uballoon *ub);

#endif /* _UBALLOON_RECLAIM_H */
