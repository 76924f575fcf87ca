/* SPDX-License-Identifier: GPL-2.0-only */
/* chardev.h - see chardev.c */
#ifndef _UBALLOON_CHARDEV_H
#define _UBALLOON_CHARDEV_H

struct uballoon;

int uballoon_chardev_init(struct uballoon *ub);
void uballoon_chardev_exit(struct uballoon *ub);

#endif /* _UBALLOON_CHARDEV_H */
