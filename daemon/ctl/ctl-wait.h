/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * ctl-wait.h - wait until the balloon is as large as it was told to be
 */
#pragma once

#include <stdint.h>

#include "ctl/ctl-bus.h"

/*
 * Show progress until the balloon is within a 2 MiB page of @balloon.
 * @timeout_us 0: for as long as it takes. Prints its own failure:
 * CTL_TIMEOUT if the time is over or Ctrl-C came (the target stays),
 * CTL_FAILED if nothing can move or someone set another target meanwhile,
 * and what ctl_bus_read() returns if the daemon goes away.
 */
enum ctl_exit ctl_wait_for_balloon(struct ctl_bus *b, uint64_t balloon, uint64_t timeout_us);
