/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * device.h - the transport over /dev/uballoon
 */
#pragma once

#include <stdbool.h>

#include "act/transport.h"

/*
 * Open node. read_only: only info() and state() work, and the one place for a
 * writer stays free for others.
 *
 * -ENODEV: no such device (any more). -EBUSY: another process has it open for
 * writing. -EACCES: no permission. -EPROTONOSUPPORT: the module speaks another
 * version of the interface, or this is not its device.
 */
int device_open(const char *node, bool read_only, struct transport **ret);

/*
 * Go on with a file that another process opened for writing; fd belongs to this
 * function whatever it returns. As above, and -EBADF: not open for writing.
 */
int device_adopt(int fd, struct transport **ret);
