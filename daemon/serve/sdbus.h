/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * sdbus.h - what all connections to a D-Bus have in common
 *
 * Nothing here waits for anybody. Leaves out: what is said on the bus.
 */
#pragma once

#include <stdint.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

/*
 * Begin to connect. address NULL: the system bus. What is sent before the connection is there goes
 * out then; an end of the connection shows in sd_bus_is_open() only. *ret may be set on failure.
 */
int sdbus_connect(sd_event *event, const char *address, const char *description, sd_bus **ret);

/* A call of the service manager, which is not to be started for it. */
int sdbus_manager_call(sd_bus *bus, const char *path, const char *interface, const char *method,
		       sd_bus_message **ret);

/* Ask the service manager for a property. */
int sdbus_manager_get(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message_handler_t handler, void *userdata, uint64_t timeout_us);
