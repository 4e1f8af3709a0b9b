/* SPDX-License-Identifier: MIT */
/* Who has which port, peer and groups. */
#include <errno.h>

#include "net/group.h"
#include "net/udp.h"

/* RFC 6335, section 6: what nobody has registered. */
#define EPHEMERAL_FIRST 49152u
#define EPHEMERAL_COUNT 16384u

/* ---- Ports ---- */

static bool both_take(const struct udp_socket *a, const struct udp_socket *b, bool is_v6)
{
	return udp_takes_version(a, is_v6) && udp_takes_version(b, is_v6);
}

/* Whether there is an address at which both would receive. */
static bool overlap(const struct udp_socket *a, const struct udp_socket *b)
{
	bool a_is_any = ip_address_is_unspecified(&a->local);
	bool b_is_any = ip_address_is_unspecified(&b->local);

	if (!a_is_any && !b_is_any)
		return ip_address_equal(&a->local, &b->local);
	return both_take(a, b, false) || both_take(a, b, true);
}

/* A port that we choose is nobody else's, whatever both would allow. */
static bool is_taken(const struct udp_socket *socket, uint16_t port, bool may_share)
{
	const struct udp_socket *other = socket->net->udp->ports[port];

	for (; other; other = other->next) {
		if (!overlap(socket, other))
			continue;
		if (!may_share || !((socket->reuse_address && other->reuse_address) ||
				    (socket->reuse_port && other->reuse_port)))
			return true;
	}
	return false;
}

/* 0; -EADDRINUSE: another runtime that shares the device has it. */
static int enter(struct udp_socket *socket, uint16_t port, bool may_share)
{
	struct udp_socket **list = &socket->net->udp->ports[port];
	struct netdev *device = socket->net->device;

	if (device->share) {
		int error = spread_bind(device, SPREAD_UDP, port, may_share && socket->reuse_port);

		if (error)
			return error;
	}
	socket->local_port = port;
	socket->next = *list;
	*list = socket;
	return 0;
}

void udp_unbind(struct udp_socket *socket)
{
	struct udp_socket **link = &socket->net->udp->ports[socket->local_port];

	if (!socket->local_port)
		return;
	while (*link != socket)
		link = &(*link)->next;
	*link = socket->next;
	socket->next = NULL;
	if (socket->net->device->share)
		spread_unbind(socket->net->device, SPREAD_UDP, socket->local_port);
	socket->local_port = 0;
	socket->port_chosen = false;
	socket->headers.generation = 0;
}

/* Where to begin: for a peer at a secret place of its own, otherwise anywhere. */
static uint32_t ephemeral_offset(const struct udp_socket *socket, const struct ip_address *peer,
				 uint16_t peer_port)
{
	struct net *net = socket->net;
	struct {
		struct ip_address local, peer;
		uint16_t port;
	} key = {.local = socket->local, .port = peer_port};

	if (!peer)
		return (uint32_t)net_random(net) % EPHEMERAL_COUNT;
	key.peer = *peer;
	return (uint32_t)net_hash(net, &key, sizeof(key)) % EPHEMERAL_COUNT;
}

int udp_autobind(struct udp_socket *socket, const struct ip_address *peer, uint16_t peer_port)
{
	struct udp_table *table = socket->net->udp;
	uint32_t offset = ephemeral_offset(socket, peer, peer_port);

	for (uint32_t i = 0; i < EPHEMERAL_COUNT; i++) {
		uint32_t place = (offset + table->port_counter++) % EPHEMERAL_COUNT;
		uint16_t port = (uint16_t)(EPHEMERAL_FIRST + place);

		if (is_taken(socket, port, false) || enter(socket, port, false) < 0)
			continue;
		socket->port_chosen = true;
		return 0;
	}
	return -EADDRINUSE;
}

/* ---- Addresses ---- */

static struct ip_address any_of(const struct udp_socket *socket)
{
	return socket->is_v6 ? ip_address_v6_halves(0, 0) : ip_address_v4(0);
}

/* The headers that were made with the one before are wrong. */
static void set_local(struct udp_socket *socket, const struct ip_address *address)
{
	socket->local = *address;
	socket->headers.generation = 0;
}

static bool is_any_group(const struct net *net, const struct ip_address *ip)
{
	return ip_address_is_multicast(ip) || ip_address_is_broadcast(ip) ||
	       net_is_subnet_broadcast(net, ip);
}

static int check_local(const struct udp_socket *socket, const struct ip_address *address)
{
	bool is_v4 = ip_address_is_v4(address);

	if (!socket->is_v6 && !is_v4)
		return -EAFNOSUPPORT;
	if (is_v4 && socket->is_v6 && socket->v6_only)
		return -EINVAL;
	if (ip_address_is_unspecified(address) || ip_address_is_loopback(address) ||
	    net_has_address(socket->net, address) || is_any_group(socket->net, address))
		return 0;
	return -EADDRNOTAVAIL;
}

int udp_bind(struct udp_socket *socket, const struct ip_address *address, uint16_t port)
{
	const struct ip_address any = any_of(socket);
	int error = socket->local_port ? -EINVAL : check_local(socket, address);

	if (error)
		return error;
	set_local(socket, address);
	if (port == 0)
		error = udp_autobind(socket, NULL, 0);
	else if (is_taken(socket, port, true))
		error = -EADDRINUSE;
	else
		error = enter(socket, port, true);
	if (error)
		set_local(socket, &any);
	else
		socket->port_chosen = false;
	return error;
}

/* ---- Peers ---- */

int udp_find_path(struct udp_socket *socket, const struct ip_address *destination)
{
	struct path *path = &socket->path;
	bool is_v4;
	int error;

	if (unlikely(!path_is_valid(socket->net, path, destination))) {
		is_v4 = ip_address_is_v4(destination);
		if (!socket->is_v6 && !is_v4)
			return -EAFNOSUPPORT;
		if (socket->is_v6 && is_v4 && socket->v6_only)
			return -ENETUNREACH;
		socket->headers.generation = 0; /* they lead along the path that was */
		error = path_find(socket->net, path, destination);
		if (error)
			return error;
	}
	if (unlikely(path->to_group) && !socket->broadcast &&
	    !ip_address_is_multicast(&path->destination))
		return -EACCES;
	return 0;
}

const struct ip_address *udp_path_source(const struct udp_socket *socket)
{
	const struct path *path = &socket->path;
	const struct udp_multicast *multicast;

	if (likely(!path->to_group) || !ip_address_is_multicast(&path->destination))
		return &path->source;
	multicast = udp_multicast_of(socket, &path->destination);
	return net_has_address(socket->net, &multicast->source) ? &multicast->source
								: &path->source;
}

static struct ip_address loopback_like(const struct ip_address *ip)
{
	return ip_address_is_v4(ip) ? ip_address_v4(INADDR_LOOPBACK) : ip_address_v6_halves(0, 1);
}

/* The address that the socket has with this peer: its own, or that of the path to it. */
static int choose_local(const struct udp_socket *socket, const struct ip_address *peer,
			struct ip_address *local)
{
	const struct ip_address any = any_of(socket);

	*local = socket->local;
	if (socket->address_chosen || ip_address_equal(&socket->local, &any)) {
		*local = *udp_path_source(socket);
		return 0;
	}
	return ip_address_is_v4(local) == ip_address_is_v4(peer) ? 0 : -ENETUNREACH;
}

int udp_connect(struct udp_socket *socket, const struct ip_address *peer, uint16_t port)
{
	struct ip_address to = ip_address_is_unspecified(peer) ? loopback_like(peer) : *peer;
	struct ip_address before = socket->local, local;
	bool chosen;
	int error;

	if (port == 0)
		return -EINVAL;
	error = udp_find_path(socket, &to);
	if (!error)
		error = choose_local(socket, &to, &local);
	if (error)
		return error;
	chosen = socket->address_chosen || !ip_address_equal(&local, &before);
	set_local(socket, &local);
	if (!socket->local_port)
		error = udp_autobind(socket, &to, port);
	if (error) {
		set_local(socket, &before);
		return error;
	}
	socket->address_chosen = chosen;
	socket->peer = to;
	socket->peer_port = port;
	return 0;
}

void udp_disconnect(struct udp_socket *socket)
{
	const struct ip_address any = any_of(socket);

	socket->peer_port = 0;
	socket->peer = any;
	if (socket->port_chosen)
		udp_unbind(socket);
	if (socket->address_chosen)
		set_local(socket, &any);
	socket->address_chosen = false;
}

/* ---- Groups ---- */

int udp_join(struct udp_socket *socket, const struct ip_address *group)
{
	int error;

	if (!ip_address_is_multicast(group))
		return -EINVAL;
	if (udp_has_joined(socket, group))
		return -EADDRINUSE;
	if (socket->group_count == UDP_GROUPS_MAX)
		return -ENOBUFS;
	error = group_join(socket->net, group);
	if (error)
		return error == -ENOSPC ? -ENOBUFS : error;
	socket->groups[socket->group_count++] = *group;
	return 0;
}

int udp_leave(struct udp_socket *socket, const struct ip_address *group)
{
	for (uint32_t i = 0; i < socket->group_count; i++) {
		if (!ip_address_equal(&socket->groups[i], group))
			continue;
		/* Before the place, which @group may be, gets another. */
		group_leave(socket->net, group);
		socket->groups[i] = socket->groups[--socket->group_count];
		return 0;
	}
	return -EADDRNOTAVAIL;
}
