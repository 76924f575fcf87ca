// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * sdbus.c - what all connections to a D-Bus have in common
 */
#include "serve/sdbus.h"

#include <stdbool.h>
#include <stdlib.h>

#include "basic/cleanup.h"

#define MANAGER "org.freedesktop.systemd1"

int sdbus_connect(sd_event *event, const char *address, const char *description, sd_bus **ret)
{
	int r;

	if (!address)
		address = getenv("DBUS_SYSTEM_BUS_ADDRESS");
	if (!address)
		address = "unix:path=/run/dbus/system_bus_socket";
	r = sd_bus_new(ret);
	if (r < 0)
		return r;
	r = sd_bus_set_description(*ret, description);
	if (r >= 0)
		r = sd_bus_set_address(*ret, address);
	if (r >= 0)
		r = sd_bus_set_bus_client(*ret, true);
	if (r >= 0)
		r = sd_bus_start(*ret);
	if (r >= 0)
		r = sd_bus_attach_event(*ret, event, SD_EVENT_PRIORITY_NORMAL);
	return r;
}

int sdbus_manager_call(sd_bus *bus, const char *path, const char *interface, const char *method,
		       sd_bus_message **ret)
{
	int r = sd_bus_message_new_method_call(bus, ret, MANAGER, path, interface, method);

	return r < 0 ? r : sd_bus_message_set_auto_start(*ret, false);
}

int sdbus_manager_get(sd_bus *bus, const char *path, const char *interface, const char *property,
		      sd_bus_message_handler_t handler, void *userdata, uint64_t timeout_us)
{
	_cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
	int r;

	r = sdbus_manager_call(bus, path, "org.freedesktop.DBus.Properties", "Get", &m);
	if (r >= 0)
		r = sd_bus_message_append(m, "ss", interface, property);
	if (r >= 0)
		r = sd_bus_call_async(bus, NULL, m, handler, userdata, timeout_us);
	return r;
}
