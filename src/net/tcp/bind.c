/* SPDX-License-Identifier: MIT */
/* Who has which port: sockets that were bound, listeners, and ports that connections are given. */
#include <errno.h>
#include <string.h>

#include "net/tcp/conn.h"

/* RFC 6056, section 3.2: as many as there can be, above those that need privileges. */
#define EPHEMERAL_FIRST 10000u
#define EPHEMERAL_COUNT (TCP_PORTS - EPHEMERAL_FIRST)

static struct tcp_conn **bucket_of(struct tcp_table *table, uint16_t port)
{
	return &table->bound[port % TCP_BOUND_BUCKETS];
}

static const struct tcp_conn *bucket_head(const struct tcp_table *table, uint16_t port)
{
	return table->bound[port % TCP_BOUND_BUCKETS];
}

static bool listens_at(const struct tcp_conn *conn, uint16_t port)
{
	return conn->local_port == port && conn->state == TCP_STATE_LISTEN;
}

/* Whether a socket takes connections of this version at its address. */
static bool takes_version(const struct tcp_conn *conn, bool is_v6)
{
	bool is_v4_local = ip_address_is_v4(&conn->local);

	if (is_v6)
		return conn->settings.is_v6 && !is_v4_local;
	return !conn->settings.is_v6 || is_v4_local ||
	       (!conn->settings.v6_only && ip_address_is_unspecified(&conn->local));
}

static bool overlap(const struct tcp_conn *a, const struct tcp_conn *b)
{
	bool a_is_any = ip_address_is_unspecified(&a->local);
	bool b_is_any = ip_address_is_unspecified(&b->local);

	if (!a_is_any && !b_is_any)
		return ip_address_equal(&a->local, &b->local);
	return (takes_version(a, false) && takes_version(b, false)) ||
	       (takes_version(a, true) && takes_version(b, true));
}

/* SO_REUSEADDR: as long as nobody listens there. SO_REUSEPORT: all who say so. */
static bool may_share(const struct tcp_conn *a, const struct tcp_conn *b)
{
	if (a->settings.reuse_port && b->settings.reuse_port)
		return true;
	return a->settings.reuse_address && b->settings.reuse_address &&
	       a->state != TCP_STATE_LISTEN && b->state != TCP_STATE_LISTEN;
}

static bool is_taken_by(const struct tcp_conn *conn, uint16_t port, const struct tcp_conn *other)
{
	return other != conn && other->local_port == port && overlap(conn, other) &&
	       !may_share(conn, other);
}

static bool is_taken(const struct tcp_conn *conn, uint16_t port)
{
	const struct tcp_conn *other = bucket_head(conn->table, port);

	while (other && !is_taken_by(conn, port, other))
		other = other->bound_next;
	return other != NULL;
}

/* By somebody who has asked for it: connections that were given a port share it with other peers'. */
static bool is_reserved(const struct tcp_conn *conn, uint16_t port)
{
	const struct tcp_conn *other = bucket_head(conn->table, port);

	while (other && (other->port_chosen || !is_taken_by(conn, port, other)))
		other = other->bound_next;
	return other != NULL;
}

bool conn_may_listen(const struct tcp_conn *conn)
{
	const struct tcp_conn *other = bucket_head(conn->table, conn->local_port);

	for (; other; other = other->bound_next) {
		if (other != conn && listens_at(other, conn->local_port) && overlap(conn, other) &&
		    !(conn->settings.reuse_port && other->settings.reuse_port))
			return false;
	}
	return true;
}

static bool conn_uses(const struct tcp_table *table, const struct tcp_conn *conn, uint16_t port)
{
	uint32_t left = table->port_connections[port];

	/* Rarely any: those of a listener that has gone, or in TIME_WAIT. */
	for (uint32_t i = 0; i <= table->bucket_mask && left; i++) {
		for (const struct tcp_conn *other = table->buckets[i]; other;
		     other = other->hash_next) {
			if (other->local_port != port)
				continue;
			if (other != conn && overlap(conn, other))
				return true;
			left--;
		}
	}
	return false;
}

static void enter(struct tcp_conn *conn, uint16_t port)
{
	struct tcp_conn **bucket = bucket_of(conn->table, port);

	conn->local_port = port;
	conn->bound_next = *bucket;
	*bucket = conn;
	conn->is_bound = true;
}

void conn_unbind(struct tcp_conn *conn)
{
	struct tcp_conn **link = bucket_of(conn->table, conn->local_port);

	if (!conn->is_bound)
		return;
	while (*link != conn)
		link = &(*link)->bound_next;
	*link = conn->bound_next;
	if (conn->is_claimed)
		spread_unbind(net_of(conn)->device, SPREAD_TCP, conn->local_port);
	conn->is_claimed = false;
	conn->bound_next = NULL;
	conn->is_bound = false;
	conn->port_chosen = false;
}

/* ---- Those who share the device ---- */

static bool others_have(const struct tcp_conn *conn, uint16_t port)
{
	const struct netdev *device = net_of(conn)->device;

	return device->share && spread_has_others(device, SPREAD_TCP, port);
}

/* 0 or -EADDRINUSE. */
static int claim(struct tcp_conn *conn, uint16_t port)
{
	struct netdev *device = net_of(conn)->device;
	int error;

	if (!device->share)
		return 0;
	error = spread_bind(device, SPREAD_TCP, port, conn->settings.reuse_port);
	conn->is_claimed = error == 0;
	return error;
}

/* Whether the answers would come to another one. */
static bool leads_elsewhere(const struct tcp_conn *conn, uint16_t port)
{
	const struct netdev *device = net_of(conn)->device;
	const struct spread_flow flow = {conn->local,       conn->remote, port,
					 conn->remote_port, SPREAD_TCP,   false};

	return device->share && !spread_is_at_home(device, &flow);
}

/* ---- Bind ---- */

static int check_local(const struct tcp_conn *conn, const struct ip_address *address)
{
	bool is_v4 = ip_address_is_v4(address);

	if (!conn->settings.is_v6 && !is_v4)
		return -EAFNOSUPPORT;
	if (is_v4 && conn->settings.is_v6 && conn->settings.v6_only)
		return -EINVAL;
	if (ip_address_is_unspecified(address) || ip_address_is_loopback(address) ||
	    net_has_address(net_of(conn), address))
		return 0;
	return -EADDRNOTAVAIL;
}

/* A port that nobody has in any way; 0: there is none. RFC 6056, 3.3.1 from a random start. */
static uint16_t find_free(const struct tcp_conn *conn)
{
	struct net *net = net_of(conn);
	uint32_t offset = (uint32_t)(net_random(net) % EPHEMERAL_COUNT);

	for (uint32_t i = 0; i < EPHEMERAL_COUNT; i++) {
		uint16_t port = (uint16_t)(EPHEMERAL_FIRST + (offset + i) % EPHEMERAL_COUNT);

		if (!conn->table->port_connections[port] && !is_taken(conn, port) &&
		    !others_have(conn, port))
			return port;
	}
	return 0;
}

int tcp_bind(struct tcp_conn *conn, const struct ip_address *address, uint16_t port)
{
	struct ip_address before = conn->local;
	bool reuses = conn->settings.reuse_address || conn->settings.reuse_port;
	int error;

	if (conn->is_bound || conn->state != TCP_STATE_CLOSED)
		return -EINVAL;
	error = check_local(conn, address);
	if (error)
		return error;
	conn->local = *address;
	if (port == 0)
		port = find_free(conn);
	else if (is_taken(conn, port) || (!reuses && conn_uses(conn->table, conn, port)))
		port = 0;
	if (port == 0 || claim(conn, port) < 0) {
		conn->local = before;
		return -EADDRINUSE;
	}
	enter(conn, port);
	conn->port_chosen = false;
	conn->address_chosen = false;
	return 0;
}

/* ---- Ports of connections ---- */

/* Where to begin: for each peer at a secret place of its own (RFC 6056, 3.3.3). */
static uint32_t place_of(const struct tcp_conn *conn)
{
	struct {
		struct ip_address local, remote;
		uint16_t port;
	} key;

	/* Padding is hashed too. */
	memset(&key, 0, sizeof(key));
	key.local = conn->local;
	key.remote = conn->remote;
	key.port = conn->remote_port;
	return (uint32_t)net_hash(net_of(conn), &key, sizeof(key));
}

int conn_autobind(struct tcp_conn *conn)
{
	struct tcp_table *table = conn->table;
	uint32_t place = place_of(conn);

	for (uint32_t i = 0; i < EPHEMERAL_COUNT; i++) {
		uint16_t port = (uint16_t)(EPHEMERAL_FIRST +
					   (place + table->port_counter++) % EPHEMERAL_COUNT);

		if (table->port_connections[port] &&
		    conn_find(table, &conn->local, port, &conn->remote, conn->remote_port))
			continue;
		if (is_reserved(conn, port) || others_have(conn, port) ||
		    leads_elsewhere(conn, port))
			continue;
		enter(conn, port);
		conn->port_chosen = true;
		return 0;
	}
	return -EADDRNOTAVAIL;
}

/* ---- Listeners ---- */

/* How well one fits; 0: not at all. An address counts most, then the domain. */
static unsigned int fit_of(const struct tcp_conn *listener, const struct ip_packet *packet)
{
	unsigned int fit = 1;

	if (ip_address_equal(&listener->local, &packet->destination))
		fit += 2;
	else if (!ip_address_is_unspecified(&listener->local) ||
		 !takes_version(listener, packet->is_v6))
		return 0;
	return fit + (listener->settings.is_v6 == packet->is_v6);
}

/* Among those that share the port (SO_REUSEPORT): each peer always to the same one. */
static struct tcp_conn *share(const struct tcp_table *table, struct tcp_conn *first,
			      const struct ip_packet *packet, uint16_t remote_port)
{
	unsigned int fit = fit_of(first, packet), count = 0, chosen;
	uint16_t port = first->local_port;
	struct {
		struct ip_address remote;
		uint64_t port;
	} key = {packet->source, remote_port};

	for (struct tcp_conn *conn = first; conn; conn = conn->bound_next)
		count += listens_at(conn, port) && fit_of(conn, packet) == fit;
	if (count < 2)
		return first;
	chosen = (unsigned int)(net_hash(table->net, &key, sizeof(key)) % count);
	for (struct tcp_conn *conn = first; conn; conn = conn->bound_next) {
		if (listens_at(conn, port) && fit_of(conn, packet) == fit && chosen-- == 0)
			return conn;
	}
	return first;
}

struct tcp_conn *listener_find(const struct tcp_table *table, const struct ip_packet *packet,
			       uint16_t local_port, uint16_t remote_port)
{
	struct tcp_conn *conn = table->bound[local_port % TCP_BOUND_BUCKETS], *best = NULL;
	unsigned int best_fit = 0;

	for (; conn; conn = conn->bound_next) {
		unsigned int fit;

		if (!listens_at(conn, local_port))
			continue;
		fit = fit_of(conn, packet);
		if (fit > best_fit) {
			best = conn;
			best_fit = fit;
		}
	}
	return best && best->settings.reuse_port ? share(table, best, packet, remote_port) : best;
}
