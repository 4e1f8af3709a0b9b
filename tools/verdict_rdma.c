/* SPDX-License-Identifier: MIT */
/* Whether Catmint can run, over which port of which RDMA device. */
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>

#include "verdict_words.h"

/* catmint.receive_buffers of catmint.receive_bytes, and as much again for what is sent. */
#define LOCKED_BYTES INT64_C(33554432)

static bool is_ethernet(const struct rdma_port *port)
{
	return strcmp(port->link_layer, "InfiniBand") != 0;
}

static bool is_active(const struct rdma_port *port)
{
	return strcmp(port->state, "ACTIVE") == 0;
}

/* Over InfiniBand addresses are those of interfaces of the kernel's, and no GIDs. */
static bool has_address(const struct rdma_port *port)
{
	bool has = !is_ethernet(port);

	for (unsigned int i = 0; i < port->gid_count; i++)
		has |= port->gids[i].is_address;
	return has;
}

/* The less, the better it is to take this one; 0: it will do. */
static unsigned int drawbacks(const struct rdma_port *port)
{
	return (port->verbs != DOOR_OPEN) * 4u + !is_active(port) * 2u + !has_address(port);
}

static const struct rdma_port *best_port(const struct machine *machine)
{
	const struct rdma_port *best = NULL;

	for (unsigned int i = 0; i < machine->rdma_port_count; i++) {
		const struct rdma_port *here = &machine->rdma_ports[i];

		if (!best || drawbacks(here) < drawbacks(best))
			best = here;
	}
	return best;
}

/* ---- What is missing ---- */

static const struct interface *interface_for_rxe(const struct machine *machine)
{
	const struct interface *best = NULL;

	for (unsigned int i = 0; i < machine->interface_count; i++) {
		const struct interface *here = &machine->interfaces[i];

		if (!has_no_wire(here) && (!best || here->is_up > best->is_up))
			best = here;
	}
	return best;
}

static void lacks_device(struct verdict *verdict, const struct machine *machine)
{
	const struct interface *interface = interface_for_rxe(machine);

	if (!machine->knows_rxe) {
		lacks(verdict, "an RDMA device; and this kernel has not got Soft-RoCE (rdma_rxe), "
			       "which makes one");
		with(verdict, "%sapt-get install linux-image-amd64", as_root(machine));
	} else if (!interface) {
		lacks(verdict, "an RDMA device, and an Ethernet interface, which Soft-RoCE makes "
			       "one of");
	} else {
		lacks(verdict, "an RDMA device; Soft-RoCE makes one of an Ethernet interface");
		with(verdict,
		     "%ssh -c 'modprobe rdma_rxe && rdma link add rxe0 type rxe netdev %s'",
		     as_root(machine), interface->name);
	}
}

/* @name: of the file in /dev/infiniband; @module: that makes it. Return: whether it may be opened. */
static bool check_door(struct verdict *verdict, const struct machine *machine, enum door door,
		       const char *name, const char *module)
{
	switch (door) {
	case DOOR_OPEN:
		return true;
	case DOOR_NONE:
		lacks(verdict, "/dev/infiniband/%s", name);
		with(verdict, "%smodprobe %s", as_root(machine), module);
		return false;
	case DOOR_NOT_SHOWN:
		lacks(verdict,
		      "/dev/infiniband/%s, which the kernel has and this system does not show; who "
		      "starts the container gives it",
		      name);
		with(verdict, "docker run --device=/dev/infiniband --ulimit memlock=-1 ...");
		return false;
	case DOOR_CLOSED:
		break;
	}
	lacks(verdict, "to be allowed to open /dev/infiniband/%s", name);
	with(verdict, "%schmod 666 /dev/infiniband/%s", as_root(machine), name);
	return false;
}

static void lacks_active_port(struct verdict *verdict, const struct machine *machine,
			      const struct rdma_port *port)
{
	const char *state = port->state[0] ? port->state : "not known";

	lacks(verdict, "an active port: port %u of %s is %s", port->number, port->device, state);
	if (is_ethernet(port) && port->interface[0])
		with(verdict, "%sip link set dev %s up", as_root(machine), port->interface);
	else if (strcmp(port->state, "INIT") == 0) /* which waits for a subnet manager */
		with(verdict, "%sopensm -B", as_root(machine));
}

static void lacks_address(struct verdict *verdict, const struct machine *machine,
			  const struct rdma_port *port)
{
	lacks(verdict, "an address of IP at %s, and so a GID that has one at %s",
	      port->interface[0] ? port->interface : "its interface", port->device);
	if (port->interface[0])
		with(verdict, "%sip address add 10.0.0.1/24 dev %s", as_root(machine),
		     port->interface);
}

/* Without a limit, or with a right that is above it. */
static bool may_lock(const struct machine *machine)
{
	return machine->memlock_bytes < 0 || machine->memlock_bytes >= LOCKED_BYTES ||
	       machine_has_capability(machine, CAP_IPC_LOCK);
}

/* ---- What can run ---- */

/* The first active port of the first device is taken by itself. */
static void runs(struct verdict *verdict, const struct machine *machine,
		 const struct rdma_port *port)
{
	if (strcmp(port->device, machine->rdma[0]) == 0)
		with(verdict, "LIBOS=catmint PROGRAM");
	else
		with(verdict, "LIBOS=catmint DEMI_CATMINT_DEVICE=%s PROGRAM", port->device);
}

void judge_rdma(struct verdict *verdict, const struct machine *machine)
{
	const struct rdma_port *best = best_port(machine);

	if (!best) {
		lacks_device(verdict, machine);
		return;
	}
	if (!check_door(verdict, machine, machine->rdma_cm, "rdma_cm", "rdma_ucm") ||
	    !check_door(verdict, machine, best->verbs,
			best->verbs_name[0] ? best->verbs_name : "uverbs0", "ib_uverbs"))
		return;
	if (!is_active(best)) {
		lacks_active_port(verdict, machine, best);
	} else if (!has_address(best)) {
		lacks_address(verdict, machine, best);
	} else if (!may_lock(machine)) {
		lacks(verdict, "memory that may be locked: %lld KiB, and it takes %lld",
		      (long long)machine->memlock_bytes / 1024, (long long)LOCKED_BYTES / 1024);
		/* ulimit cannot go above the hard limit, which as a rule is the same. */
		with(verdict, "%sprlimit --pid $$ --memlock=unlimited", as_root(machine));
	} else {
		runs(verdict, machine, best);
	}
}
