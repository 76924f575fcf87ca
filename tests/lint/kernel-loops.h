/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * kernel-loops.h - the kernel's loops as cppcheck has to see them, which reads no header of the kernel's
 */
#define list_for_each_entry(p, head, member) for (p = first_of(head); p; p = next_of(p))
#define list_for_each_entry_safe(p, n, head, member) \
	for (p = first_of(head), n = next_of(p); p; p = n, n = next_of(n))
#define for_each_populated_zone(zone) for (zone = first_of(0); zone; zone = next_of(zone))
#define for_each_online_node(node) for (node = first_of(0); node < 9; node++)
#define for_each_node_state(node, state) for (node = first_of(0); node < 9; node++)
#define for_each_online_cpu(cpu) for (cpu = first_of(0); cpu < 9; cpu++)
#define LIST_HEAD(name) struct list_head name = first_of(0)
