/* SPDX-License-Identifier: MIT */
/* The RDMA devices of a machine, their ports and GIDs, and the files that programs reach them by. */
#include <arpa/inet.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "files.h"
#include "machine.h"

#define CLASS "/sys/class/infiniband"
#define VERBS_CLASS "/sys/class/infiniband_verbs"

/*
 * What the kernel takes for the headers and the check of a RoCE packet when it chooses the size of the
 * packets of a connection (iboe_get_mtu in <rdma/ib_addr.h>): GRH 40, UDP 8, BTH 12, extended headers
 * 4 and 28, ICRC 4.
 */
#define ROCE_BYTES 96
#define PACKET_BYTES_MIN 256
#define PACKET_BYTES_MAX 4096

/* ---- Doors ---- */

static enum door door_of(bool is_known, const char *name)
{
	char path[PATH_MAX];

	snprintf(path, sizeof(path), "/dev/infiniband/%s", name);
	if (files_allowed(path))
		return DOOR_OPEN;
	if (files_exist("%s", path))
		return DOOR_CLOSED;
	return is_known ? DOOR_NOT_SHOWN : DOOR_NONE;
}

/* uverbs0 in its class names the device that it is of. */
static void look_at_verbs(void *context, const char *name)
{
	struct rdma_port *port = context;
	char line[LINE_BYTES];

	files_line(line, VERBS_CLASS "/%s/ibdev", name);
	if (strcmp(line, port->device) != 0)
		return;
	snprintf(port->verbs_name, sizeof(port->verbs_name), "%.15s", name);
	port->verbs = door_of(true, name);
}

/* ---- Ports ---- */

/* "4: ACTIVE" */
static void look_at_state(struct rdma_port *port, const char *folder)
{
	char line[LINE_BYTES];
	const char *blank;

	files_line(line, "%s/state", folder);
	blank = strchr(line, ' ');
	snprintf(port->state, sizeof(port->state), "%.15s", blank ? blank + 1 : line);
	files_line(line, "%s/link_layer", folder);
	snprintf(port->link_layer, sizeof(port->link_layer), "%.15s", line);
}

static bool is_zero(const struct in6_addr *address)
{
	static const struct in6_addr zero;

	return memcmp(address, &zero, sizeof(zero)) == 0;
}

static void add_gid(struct rdma_port *port, const char *folder, const char *name)
{
	struct rdma_gid *gid = &port->gids[port->gid_count];
	struct in6_addr address;
	char line[LINE_BYTES];

	files_line(line, "%s/gids/%s", folder, name);
	if (port->gid_count == RDMA_GIDS_MAX || inet_pton(AF_INET6, line, &address) != 1 ||
	    is_zero(&address))
		return;
	port->gid_count++;
	gid->index = (unsigned int)strtoul(name, NULL, 10);
	gid->is_address = !IN6_IS_ADDR_LINKLOCAL(&address);
	if (IN6_IS_ADDR_V4MAPPED(&address))
		inet_ntop(AF_INET, &address.s6_addr[12], gid->address, sizeof(gid->address));
	else
		inet_ntop(AF_INET6, &address, gid->address, sizeof(gid->address));
	files_line(line, "%s/gid_attrs/types/%s", folder, name);
	snprintf(gid->type, sizeof(gid->type), "%.23s", line);
	if (files_line(line, "%s/gid_attrs/ndevs/%s", folder, name) && !port->interface[0])
		snprintf(port->interface, sizeof(port->interface), "%.15s", line);
}

struct folder {
	struct rdma_port *port;
	const char *path;
};

static void look_at_gid(void *context, const char *name)
{
	struct folder *folder = context;

	add_gid(folder->port, folder->path, name);
}

/* Of Ethernet; of InfiniBand the files do not tell it. */
static void find_active_mtu(struct rdma_port *port)
{
	int64_t mtu = files_number("/sys/class/net/%s/mtu", port->interface);
	unsigned int bytes = PACKET_BYTES_MAX;

	if (!port->interface[0] || strcmp(port->link_layer, "Ethernet") != 0)
		return;
	while (bytes >= PACKET_BYTES_MIN && bytes + ROCE_BYTES > mtu)
		bytes /= 2;
	port->active_mtu = bytes >= PACKET_BYTES_MIN ? bytes : 0;
}

struct device {
	struct machine *machine;
	const char *name;
};

static void add_port(void *context, const char *number)
{
	struct device *device = context;
	struct machine *machine = device->machine;
	struct rdma_port *port = &machine->rdma_ports[machine->rdma_port_count];
	char path[PATH_MAX];
	char gids[PATH_MAX];

	if (machine->rdma_port_count == RDMA_PORTS_MAX)
		return;
	machine->rdma_port_count++;
	snprintf(path, sizeof(path), CLASS "/%s/ports/%s", device->name, number);
	snprintf(gids, sizeof(gids), CLASS "/%s/ports/%s/gids", device->name, number);
	snprintf(port->device, sizeof(port->device), "%.31s", device->name);
	port->number = (unsigned int)strtoul(number, NULL, 10);
	look_at_state(port, path);
	files_each(gids, look_at_gid, &(struct folder){port, path});
	if (!port->interface[0]) { /* without a GID; Soft-RoCE names it here too */
		char line[LINE_BYTES];

		files_line(line, CLASS "/%s/parent", device->name);
		snprintf(port->interface, sizeof(port->interface), "%.15s", line);
	}
	find_active_mtu(port);
	files_each(VERBS_CLASS, look_at_verbs, port);
}

static void add_device(void *context, const char *name)
{
	struct machine *machine = context;
	char ports[PATH_MAX];

	if (machine->rdma_count == RDMA_MAX)
		return;
	snprintf(machine->rdma[machine->rdma_count++], sizeof(machine->rdma[0]), "%.31s", name);
	snprintf(ports, sizeof(ports), CLASS "/%s/ports", name);
	files_each(ports, add_port, &(struct device){machine, name});
}

void machine_look_at_rdma(struct machine *machine)
{
	files_each(CLASS, add_device, machine);
	machine->rdma_cm = door_of(files_exist("/sys/class/misc/rdma_cm"), "rdma_cm");
	machine->knows_rxe = files_exist("/sys/module/rdma_rxe") ||
			     machine_can_load(machine, "/rdma_rxe.ko");
}
