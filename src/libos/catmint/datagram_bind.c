/* SPDX-License-Identifier: MIT */
/* The address of a datagram socket: an id that listens, so that peers find the queue pair. */
#include <errno.h>
#include <string.h>

#include "libos/catmint/address.h"
#include "libos/catmint/datagram.h"

#define BACKLOG 1024

/* --- who asks for the queue pair --- */

static bool may_answer(const struct dgram_socket *socket, const struct rdma_cm_event *event)
{
	const struct rdma_ud_param *ud = &event->param.ud;
	uint32_t takes;

	return socket->pair && event->id->verbs == socket->dgrams->mint->verbs &&
	       message_seek_load(&takes, ud->private_data, ud->private_data_len) == HELLO_GOOD;
}

static void requested(const struct dgram_socket *socket, const struct rdma_cm_event *event)
{
	const struct rdma_ops *calls = socket->dgrams->mint->calls;
	unsigned char answer[MESSAGE_SEEK_BYTES];
	struct rdma_conn_param parameters = {
		.private_data = answer,
		.private_data_len = sizeof(answer),
	};

	message_seek_store(answer, socket->dgrams->takes);
	if (may_answer(socket, event)) {
		parameters.qp_num = socket->pair->qp->qp_num;
		calls->accept(event->id, &parameters);
	} else {
		calls->reject(event->id, NULL, 0);
	}
	calls->destroy_id(event->id);
}

static void handle_event(struct cm_target *target, const struct rdma_cm_event *event)
{
	struct dgram_socket *socket = container_of(target, struct dgram_socket, target);

	if (event->event == RDMA_CM_EVENT_CONNECT_REQUEST)
		requested(socket, event);
}

/* --- the id --- */

static void drop_id(void *socket_void)
{
	struct dgram_socket *socket = socket_void;

	socket->dgrams->mint->calls->destroy_id(socket->id);
	socket->id = NULL;
}

static int create_id(struct dgram_socket *socket)
{
	const struct catmint *mint = socket->dgrams->mint;
	int on = 1;

	socket->target.handle = handle_event;
	if (mint->calls->create_id(mint->events, &socket->id, &socket->target, RDMA_PS_UDP) < 0) {
		socket->id = NULL;
		return -errno;
	}
	if (socket->reuse_address)
		mint->calls->set_option(socket->id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR, &on,
					sizeof(on));
	if (socket->v6_only)
		mint->calls->set_option(socket->id, RDMA_OPTION_ID, RDMA_OPTION_ID_AFONLY, &on,
					sizeof(on));
	return 0;
}

static int try_bind(void *socket_void, struct sockaddr_storage *address)
{
	struct dgram_socket *socket = socket_void;
	const struct catmint *mint = socket->dgrams->mint;
	int error = create_id(socket);

	if (!socket->id)
		return error;
	if (mint->calls->bind_addr(socket->id, (struct sockaddr *)address) < 0)
		error = errno == ENODEV ? -EADDRNOTAVAIL : -errno;
	else if (socket->id->verbs && socket->id->verbs != mint->verbs)
		error = -EADDRNOTAVAIL;
	if (error)
		drop_id(socket);
	return error;
}

static int bind_id(struct dgram_socket *socket, const struct ip_address *ip, uint16_t port)
{
	static const struct address_binder binder = {try_bind, drop_id};
	struct sockaddr_storage address;

	to_sockaddr(&address, ip, port);
	return address_bind(&binder, socket, &address);
}

/* --- bind --- */

static int listen_id(struct dgram_socket *socket)
{
	if (socket->dgrams->mint->calls->listen(socket->id, BACKLOG) == 0)
		return 0;
	/* Two that share a port cannot both be found. */
	return errno == EADDRNOTAVAIL ? -EADDRINUSE : -errno;
}

int dgram_bind_to(struct dgram_socket *socket, const struct ip_address *ip, uint16_t port)
{
	struct ip_address bound = {{0}};
	int error = bind_id(socket, ip, port);

	if (error)
		return error;
	from_sockaddr(rdma_get_local_addr(socket->id), &bound, &port);
	error = dgram_pair_create(socket, port, &socket->pair);
	if (!error)
		error = listen_id(socket);
	if (error) {
		dgram_unbind(socket);
		return error;
	}
	socket->port = port;
	socket->bound = socket->local = (struct ip_address){{0}};
	if (!ip_address_is_unspecified(&bound))
		socket->bound = socket->local = bound;
	socket->dgrams->mint->listeners++;
	return 0;
}

int dgram_ready(struct dgram_socket *socket)
{
	const struct catmint *mint = socket->dgrams->mint;
	struct ip_address any = socket->is_v6 ? ip_address_v6_halves(0, 0)
					      : ip_address_v4(INADDR_ANY);

	if (likely(socket->pair && !mint->failure))
		return 0;
	if (mint->failure)
		return mint->failure;
	if (socket->id)
		return dgram_pair_create(socket, socket->port, &socket->pair);
	return dgram_bind_to(socket, &any, 0);
}

void dgram_unlisten(struct dgram_socket *socket)
{
	if (socket->id)
		drop_id(socket);
}

void dgram_unbind(struct dgram_socket *socket)
{
	struct dgram_pair *pair = socket->pair;

	dgram_unlisten(socket);
	if (socket->port)
		socket->dgrams->mint->listeners--;
	socket->port = 0;
	socket->pair = NULL;
	if (pair)
		dgram_pair_bury(pair, ECANCELED, false);
}

/* Of Ethernet, where GIDs are addresses. */
bool dgram_own_address(const struct dgrams *dgrams, const struct ip_address *like,
		       struct ip_address *ip_out)
{
	const struct catmint *mint = dgrams->mint;
	bool is_v4 = ip_address_is_v4(like);
	struct ibv_port_attr port;
	union ibv_gid gid;

	if (!dgrams->has_ip_header || mint->calls->query_port(mint->verbs, mint->port, &port))
		return false;
	for (int i = 0; i < port.gid_tbl_len; i++) {
		struct ip_address ip;

		if (mint->calls->query_gid(mint->verbs, mint->port, i, &gid))
			continue;
		ip = ip_address_v6(gid.raw);
		if (ip_address_is_v4(&ip) != is_v4 || ip_address_is_unspecified(&ip) ||
		    ip_address_is_link_local(&ip))
			continue;
		*ip_out = ip;
		return true;
	}
	return false;
}
