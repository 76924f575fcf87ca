/* SPDX-License-Identifier: GPL-2.0-only */
/* offline.h - see offline.c */
#ifndef _UBALLOON_OFFLINE_H
#define _UBALLOON_OFFLINE_H

#include <linux/notifier.h>

struct uballoon;

struct uballoon_offline {
	struct uballoon *ub;
	struct notifier_block nb;
};

int uballoon_offline_init(struct uballoon_offline *o, struct uballoon *ub);
void uballoon_offline_exit(struct uballoon_offline *o);

#endif /* _UBALLOON_OFFLINE_H */
