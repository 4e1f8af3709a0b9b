/* SPDX-License-Identifier: MIT */
/* Addresses and ports of ids, as Linux gives them (drivers/infiniband/core/cma.c). */
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "rdma/sim_id.h"

#define PORT_FIRST 32768u /* of those that are given to who asks for none */
#define PORT_LAST 60999u
#define BACKLOG_MAX 1024

static struct sockaddr *source_of(struct sim_id *id)
{
	return &id->id.route.addr.src_addr;
}

static struct sim_id **bucket_of(struct sim_device *device, uint16_t port)
{
	return &device->bound[port % SIM_PORT_BUCKETS];
}

static bool is_same_address(const struct sockaddr *a, const struct sockaddr *b)
{
	union ibv_gid gid_a, gid_b;

	return a->sa_family == b->sa_family && rdma_sim_gid(&gid_a, a) && rdma_sim_gid(&gid_b, b) &&
	       rdma_sim_gid_equal(&gid_a, &gid_b);
}

/* Whether @id may have @address, besides those that have its port. */
static int check_port(struct sim_id *id, const struct sockaddr *address, bool reuses)
{
	uint16_t port = rdma_sim_port(address);

	for (struct sim_id *other = *bucket_of(id->device, port); other;
	     other = other->bound_next) {
		const struct sockaddr *taken = source_of(other);

		if (other == id || other->id.ps != id->id.ps || rdma_sim_port(taken) != port ||
		    (reuses && other->reuses_address) ||
		    (id->family_only && other->family_only &&
		     address->sa_family != taken->sa_family))
			continue;
		if (rdma_sim_is_wildcard(address) || rdma_sim_is_wildcard(taken))
			return EADDRNOTAVAIL;
		if (is_same_address(address, taken))
			return EADDRINUSE;
	}
	return 0;
}

static bool is_port_free(struct sim_id *id, uint16_t port)
{
	struct sim_id *other = *bucket_of(id->device, port);

	while (other && (other->id.ps != id->id.ps || rdma_sim_port(source_of(other)) != port))
		other = other->bound_next;
	return !other;
}

/* A port that nobody has; 0: there is none. */
static uint16_t choose_port(struct sim_id *id)
{
	struct sim_device *device = id->device;

	for (uint32_t tried = 0; tried <= PORT_LAST - PORT_FIRST; tried++) {
		if (device->port_next < PORT_FIRST || device->port_next > PORT_LAST)
			device->port_next = PORT_FIRST;
		if (is_port_free(id, device->port_next))
			return device->port_next++;
		device->port_next++;
	}
	return 0;
}

void rdma_sim_attach(struct sim_id *id)
{
	id->id.verbs = &id->device->context;
	id->id.port_num = 1;
	id->id.pd = &id->device->pd->pd;
}

static int take_port(struct sim_id *id, const struct sockaddr *address)
{
	size_t bytes = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
						      : sizeof(struct sockaddr_in);
	struct sockaddr_storage chosen = {0};
	struct sockaddr *own = (struct sockaddr *)&chosen;
	struct sim_id **bucket;
	int error;

	memcpy(&chosen, address, bytes);
	if (rdma_sim_port(own) == 0)
		rdma_sim_set_port(own, choose_port(id));
	if (rdma_sim_port(own) == 0)
		return EADDRNOTAVAIL;
	error = check_port(id, own, id->reuses_address);
	if (error)
		return error;
	id->id.route.addr.src_storage = chosen;
	bucket = bucket_of(id->device, rdma_sim_port(own));
	id->bound_next = *bucket;
	*bucket = id;
	id->has_port = true;
	return 0;
}

int rdma_sim_bind(struct sim_id *id, const struct sockaddr *address)
{
	union ibv_gid gid;
	int error;

	if (id->state != SIM_ID_IDLE)
		return EINVAL;
	if (!rdma_sim_gid(&gid, address))
		return EAFNOSUPPORT;
	if (!rdma_sim_is_wildcard(address) && rdma_sim_address(id->device, &gid) < 0)
		return EADDRNOTAVAIL;
	if (!id->family_only_set)
		id->family_only = address->sa_family == AF_INET;
	error = take_port(id, address);
	if (error)
		return error;
	if (!rdma_sim_is_wildcard(address))
		rdma_sim_attach(id);
	id->state = SIM_ID_BOUND;
	return 0;
}

void rdma_sim_unbind(struct sim_id *id)
{
	struct sim_id **place = bucket_of(id->device, rdma_sim_port(source_of(id)));

	if (!id->has_port)
		return;
	while (*place != id)
		place = &(*place)->bound_next;
	*place = id->bound_next;
	id->has_port = false;
}

int rdma_sim_bind_addr(struct rdma_cm_id *id, struct sockaddr *address)
{
	struct sim_device *device = sim_id_of(id)->device;
	struct sim_network *network = rdma_sim_enter(device);
	int error = device->removed ? EIO : rdma_sim_bind(sim_id_of(id), address);

	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

/* ---- Listening ---- */

static int start_listening(struct sim_id *id, int backlog)
{
	const struct sockaddr_in any = {.sin_family = AF_INET};
	int error = 0;

	if (id->device->removed)
		return EIO;
	if (id->state == SIM_ID_IDLE)
		error = rdma_sim_bind(id, (const struct sockaddr *)&any);
	if (!error && id->state != SIM_ID_BOUND)
		error = EINVAL;
	if (!error && id->reuses_address)
		error = check_port(id, source_of(id), false);
	if (error)
		return error;
	id->backlog = backlog > 0 && backlog <= BACKLOG_MAX ? (uint32_t)backlog : BACKLOG_MAX;
	id->state = SIM_ID_LISTENING;
	return 0;
}

int rdma_sim_listen(struct rdma_cm_id *id, int backlog)
{
	struct sim_network *network = rdma_sim_enter(sim_id_of(id)->device);
	int error = start_listening(sim_id_of(id), backlog);

	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

/* Whether an id listens there. There is one at most, by the rules above. */
static bool listens(struct sim_id *id, enum rdma_port_space space, const struct sockaddr *address)
{
	const struct sockaddr *own = source_of(id);

	if (id->state != SIM_ID_LISTENING || id->id.ps != space ||
	    rdma_sim_port(own) != rdma_sim_port(address))
		return false;
	if (!rdma_sim_is_wildcard(own))
		return is_same_address(own, address);
	return own->sa_family == address->sa_family ||
	       (own->sa_family == AF_INET6 && !id->family_only);
}

struct sim_id *rdma_sim_listener(struct sim_device *device, enum rdma_port_space space,
				 const struct sockaddr *address)
{
	struct sim_id *id = *bucket_of(device, rdma_sim_port(address));

	while (id && !listens(id, space, address))
		id = id->bound_next;
	return id;
}
