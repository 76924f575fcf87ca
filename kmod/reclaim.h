/* SPDX-License-Identifier: GPL-2.0-only */
/* reclaim.h - see reclaim.c and wake.c */
#ifndef _UBALLOON_RECLAIM_H
#define _UBALLOON_RECLAIM_H

struct uballoon;

int uballoon_reclaim_init(struct uballoon *ub);
void uballoon_reclaim_exit(struct uballoon *ub);

/* wake.c */
struct uballoon_wake;

struct uballoon_wake *uballoon_wake_init(struct uballoon *ub);
void uballoon_wake_exit(struct uballoon_wake *w);

#endif /* _UBALLOON_RECLAIM_H */
