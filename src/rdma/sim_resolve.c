/* SPDX-License-Identifier: MIT */
/* Which device has an address, and the way there. */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "rdma/sim_id.h"

#define NS_PER_MS UINT64_C(1000000)

static struct sim_device *destination_of(const struct sim_id *id)
{
	union ibv_gid gid;

	rdma_sim_gid(&gid, &id->id.route.addr.dst_addr);
	return rdma_sim_device_with(id->device->network, &gid);
}

/* Gives an id the address that its device has for the destination, if it has none. */
static void take_source(struct sim_id *id)
{
	struct rdma_addr *address = &id->id.route.addr;

	if (rdma_sim_is_wildcard(&address->src_addr)) {
		uint16_t port = rdma_sim_port(&address->src_addr);
		int index = rdma_sim_address_of_family(id->device, address->dst_addr.sa_family);

		rdma_sim_sockaddr(&address->src_storage, id->device, index, port);
		rdma_sim_attach(id);
	}
	rdma_sim_gid(&address->addr.ibaddr.sgid, &address->src_addr);
	rdma_sim_gid(&address->addr.ibaddr.dgid, &address->dst_addr);
	address->addr.ibaddr.pkey = 0xffff;
}

static void not_resolved(struct sim_clock *clock, struct sim_due *due)
{
	struct sim_id *id = container_of(due, struct sim_id, timer);

	(void)clock;
	id->state = SIM_ID_BOUND;
	rdma_sim_event_add(id, RDMA_CM_EVENT_ADDR_ERROR, -ETIMEDOUT);
}

static void answered(struct sim_clock *clock, struct sim_due *due)
{
	struct sim_id *id = container_of(due, struct sim_id, timer);
	const struct sim_device *other = destination_of(id);

	if (clock->now_ns > id->give_up_ns || !other || rdma_sim_is_deaf(other) ||
	    rdma_sim_is_deaf(id->device)) {
		rdma_sim_clock_set(clock, due,
				   id->give_up_ns > clock->now_ns ? id->give_up_ns : clock->now_ns,
				   not_resolved);
		return;
	}
	take_source(id);
	id->state = SIM_ID_ADDRESS_RESOLVED;
	rdma_sim_event_add(id, RDMA_CM_EVENT_ADDR_RESOLVED, 0);
}

/* The address that the id gets if it has none: without @source the wildcard of its family. */
static int bind_source(struct sim_id *id, const struct sockaddr *source,
		       const struct sockaddr *destination)
{
	const struct sockaddr_storage any = {.ss_family = destination->sa_family};

	if (id->state != SIM_ID_IDLE)
		return 0;
	return rdma_sim_bind(id, source ? source : (const struct sockaddr *)&any);
}

static int resolve(struct sim_id *id, const struct sockaddr *source,
		   const struct sockaddr *destination, int timeout_ms)
{
	struct sim_network *network = id->device->network;
	union ibv_gid gid;
	int error;

	if (id->device->removed)
		return EIO;
	if (!rdma_sim_gid(&gid, destination))
		return EAFNOSUPPORT;
	if (timeout_ms < 0 || rdma_sim_is_wildcard(destination))
		return EINVAL;
	if (rdma_sim_address_of_family(id->device, destination->sa_family) < 0)
		return ENETUNREACH;
	error = bind_source(id, source, destination);
	if (error)
		return error;
	if (id->state != SIM_ID_BOUND ||
	    id->id.route.addr.src_addr.sa_family != destination->sa_family)
		return EINVAL;
	memcpy(&id->id.route.addr.dst_storage, destination,
	       destination->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						  : sizeof(struct sockaddr_in));
	id->state = SIM_ID_RESOLVING;
	id->give_up_ns = network->clock.now_ns + (uint64_t)timeout_ms * NS_PER_MS;
	if (rdma_sim_is_instant(network))
		answered(&network->clock, &id->timer);
	else
		rdma_sim_clock_set(&network->clock, &id->timer,
				   rdma_sim_arrival(network, &id->message_ns) +
					   network->options.delay_ns,
				   answered);
	return 0;
}

int rdma_sim_resolve_addr(struct rdma_cm_id *id, struct sockaddr *source,
			  struct sockaddr *destination, int timeout_ms)
{
	struct sim_network *network = rdma_sim_enter(sim_id_of(id)->device);
	int error = resolve(sim_id_of(id), source, destination, timeout_ms);

	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

int rdma_sim_resolve_route(struct rdma_cm_id *id_cm, int timeout_ms)
{
	struct sim_id *id = sim_id_of(id_cm);
	struct sim_network *network = rdma_sim_enter(id->device);
	int error = 0;

	(void)timeout_ms; /* over Ethernet nobody is asked */
	if (id->device->removed)
		error = EIO;
	else if (id->state != SIM_ID_ADDRESS_RESOLVED)
		error = EINVAL;
	if (!error) {
		id->state = SIM_ID_ROUTE_RESOLVED;
		rdma_sim_event_add(id, RDMA_CM_EVENT_ROUTE_RESOLVED, 0);
	}
	rdma_sim_leave(network);
	return rdma_sim_result(error);
}
