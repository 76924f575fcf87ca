/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * module.h - what uballoon.ko lets everybody know, in sysfs
 *
 * Where its pages count as memory that programs can have, MemTotal and MemAvailable contain
 * them. The module says what these would be without.
 */
#pragma once

#include "sense/sample.h"

/* Where the module's attributes are. */
#define MODULE_ROOT "/sys/class/misc/uballoon"

struct module {
	const char *root;
	int available_fd; /* -1 = not open, as is the next one */
	int counted_fd;
};

/* Opens nothing yet. root must live as long; NULL = MODULE_ROOT. */
void module_init(struct module *m, const char *root);
void module_done(struct module *m);

/*
 * Take the balloon out of MEM_TOTAL and MEM_AVAILABLE of *s, as far as it is in them.
 * Without the module nothing is changed. -ENODATA: it is there and cannot be read; MEM_AVAILABLE
 * is taken away then, because it would be too large.
 */
int module_leave_out(struct module *m, struct sample *s);
