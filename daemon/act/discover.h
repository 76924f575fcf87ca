/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * discover.h - where the device is, and when that changes
 */
#pragma once

#include "basic/cleanup.h"

struct discover;

/*
 * Returns 1 if changes are announced through discover_fd(), 0 if there is
 * nobody to announce them and the caller has to look again now and then.
 */
int discover_new(struct discover **ret);
void discover_free(struct discover *d);
DEFINE_CLEANUP(struct discover *, discover_free)

/* *ret_node is allocated. -ENODEV if there is no device. */
int discover_find(struct discover *d, char **ret_node);

/* Readable when something happened; -1 if changes are not announced. */
int discover_fd(struct discover *d);

/* Take all that happened. Returns 1 if the device may have come or gone, else 0. */
int discover_dispatch(struct discover *d);
