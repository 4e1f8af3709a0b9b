/* SPDX-License-Identifier: MIT */
/* Datagrams in: whose they are, and where they wait. */
#include "net/udp.h"

#include <time.h> /* before linux/errqueue.h, which needs it */

#include <errno.h>
#include <linux/errqueue.h>
#include <stdlib.h>
#include <string.h>

#include "net/icmp.h"
#include "net/udp_fast.h"
#include "wire/udp.h"

/* Received datagrams of all sockets may take this part of the heap: 1 in so many bytes. */
#define HEAP_PART 4u
/* Frames are queued as long as 1 in so many is free; after that copies are. */
#define FREE_PART 4u
/* A payload up to this is copied when it must wait, since it would keep a whole frame. */
#define SMALL_BYTES_MAX 256u

int udp_create(struct net *net)
{
	/* Its pages come when ports are used. */
	struct udp_table *table = calloc(1, sizeof(*table));

	if (!table)
		return -ENOMEM;
	table->queue_bytes_max = net->heap->bytes / HEAP_PART;
	table->port_counter = (uint16_t)net_random(net);
	net->udp = table;
	return 0;
}

void udp_fail(struct net *net, int error)
{
	for (uint32_t port = 0; port < UDP_PORTS; port++) {
		struct udp_socket *socket = net->udp->ports[port];

		for (; socket; socket = socket->next)
			socket->ops->failed(socket, error);
	}
}

void udp_destroy(struct net *net)
{
	free(net->udp);
	net->udp = NULL;
}

void udp_socket_init(struct udp_socket *socket, struct net *net, const struct udp_socket_ops *ops,
		     bool is_v6)
{
	/* RFC 1112, 6.1 */
	const struct udp_multicast initial = {.hop_limit = 1, .loop = true};

	*socket = (struct udp_socket){
		.ops = ops,
		.net = net,
		.is_v6 = is_v6,
		.multicast_v4 = initial,
		.multicast_v6 = initial,
		.mtu_discover = IP_PMTUDISC_WANT,
		.local = is_v6 ? ip_address_v6_halves(0, 0) : ip_address_v4(0),
		.queue_bytes_max = net->options.socket_bytes_max,
	};
	socket->peer = socket->local;
}

void udp_socket_fini(struct udp_socket *socket)
{
	struct buf *buf;

	while (socket->group_count > 0)
		udp_leave(socket, &socket->groups[socket->group_count - 1]);
	socket->peer_port = 0;
	udp_unbind(socket);
	while ((buf = udp_take(socket)))
		buf_free(socket->net->heap, buf);
}

/* ---- The queue ---- */

static uint32_t memory_of(const struct buf *buf)
{
	return (uint32_t)sizeof(*buf) + buf->capacity;
}

struct buf *udp_take(struct udp_socket *socket)
{
	struct buf *buf = socket->queue_head;

	if (!buf)
		return NULL;
	socket->queue_head = buf->next;
	if (!socket->queue_head)
		socket->queue_tail = NULL;
	buf->next = NULL;
	socket->queue_bytes -= memory_of(buf);
	socket->net->udp->queue_bytes -= memory_of(buf);
	return buf;
}

static struct buf *copy_of(struct net *net, const struct buf *buf)
{
	struct buf *copy = buf_alloc(net->heap, buf->length);

	if (!copy)
		return NULL;
	memcpy(copy->data, buf->data, buf->length);
	net_count_copy(net, buf->length);
	copy->length = buf->length;
	copy->source = buf->source;
	return copy;
}

static bool frames_are_scarce(const struct net *net)
{
	const struct heap_frames *frames = net->device->frames;

	return heap_frames_free(frames) < frames->count / FREE_PART;
}

/* Why a datagram that takes @memory cannot wait; 0: it can. */
static unsigned int check_room(const struct udp_socket *socket, uint32_t memory)
{
	const struct udp_table *table = socket->net->udp;

	if (socket->queue_bytes > socket->queue_bytes_max ||
	    memory > socket->queue_bytes_max - socket->queue_bytes ||
	    memory > table->queue_bytes_max - table->queue_bytes)
		return NET_DROP_QUEUE_FULL;
	return 0;
}

static void enqueue(struct udp_socket *socket, struct buf *buf)
{
	if (socket->queue_tail)
		socket->queue_tail->next = buf;
	else
		socket->queue_head = buf;
	socket->queue_tail = buf;
	socket->queue_bytes += memory_of(buf);
	socket->net->udp->queue_bytes += memory_of(buf);
}

/* Let a datagram, the application's already, wait until it is taken. */
static void wait_for_take(struct udp_socket *socket, struct buf *buf, bool is_frame)
{
	struct net *net = socket->net;
	bool scarce = is_frame && frames_are_scarce(net);
	bool copies = is_frame && (scarce || buf->length <= SMALL_BYTES_MAX);
	struct buf *kept = buf;
	unsigned int reason;

	reason = check_room(socket, copies ? (uint32_t)sizeof(*buf) + buf->length : memory_of(buf));
	if (!reason && copies) {
		kept = copy_of(net, buf);
		if (!kept)
			reason = NET_DROP_NO_MEMORY;
	}
	if (reason) {
		net_count_drop(net, NET_LAYER_UDP, reason);
		socket->queue_drops++;
		buf_free(net->heap, buf);
		return;
	}
	if (kept != buf)
		buf_free(net->heap, buf);
	enqueue(socket, kept);
}

/* ---- To a socket ---- */

static void set_source(const struct udp_socket *socket, struct buf *buf,
		       const struct ip_address *ip, uint16_t port)
{
	/* Whatever the device has left there; an IPv6 address is as long as both of IPv4. */
	if (socket->is_v6)
		buf->source.ipv6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6,
			.sin6_port = htobe16(port),
			.sin6_addr = ip_address_to_in6(ip),
		};
	else
		buf->source.ipv4 = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htobe16(port),
			.sin_addr = ip_address_to_in(ip),
		};
}

/* @buf is the application's, its payload and nothing else. */
static inline void deliver(struct udp_socket *socket, struct buf *buf, bool is_frame)
{
	/* Those who wait for a datagram have taken what was queued. */
	if (likely(!socket->queue_head) && likely(socket->ops->received(socket, buf)))
		return;
	wait_for_take(socket, buf, is_frame);
}

/* ---- Whose it is ---- */

/* A datagram on its way up. */
struct arrival {
	const struct ip_packet *packet;
	uint16_t source_port;
	uint16_t destination_port;
};

static inline bool is_from_peer(const struct udp_socket *socket, const struct arrival *arrival)
{
	return !socket->peer_port || (socket->peer_port == arrival->source_port &&
				      ip_address_equal(&socket->peer, &arrival->packet->source));
}

/* How well a socket fits; 0: not at all. A peer counts most, then an address, then the domain. */
static inline unsigned int fit_of(const struct udp_socket *socket, const struct arrival *arrival)
{
	const struct ip_packet *packet = arrival->packet;
	unsigned int fit = 1;

	if (ip_address_equal(&socket->local, &packet->destination))
		fit += 2;
	else if (!ip_address_is_unspecified(&socket->local) ||
		 !udp_takes_version(socket, packet->is_v6))
		return 0;
	if (!is_from_peer(socket, arrival))
		return 0;
	return fit + (socket->peer_port ? 4 : 0) + (socket->is_v6 == packet->is_v6);
}

/* Among sockets that fit alike and share the port: each source always to the same one. */
static __attribute__((noinline)) struct udp_socket *
share(const struct net *net, struct udp_socket *first, const struct arrival *arrival)
{
	unsigned int fit = fit_of(first, arrival), count = 0, chosen;
	struct {
		struct ip_address source, destination;
		uint16_t source_port, destination_port;
	} key = {arrival->packet->source, arrival->packet->destination, arrival->source_port,
		 arrival->destination_port};

	for (struct udp_socket *socket = first; socket; socket = socket->next)
		count += socket->reuse_port && fit_of(socket, arrival) == fit;
	if (count < 2)
		return first;
	chosen = (unsigned int)(net_hash(net, &key, sizeof(key)) % count);
	for (struct udp_socket *socket = first;; socket = socket->next) {
		if (socket->reuse_port && fit_of(socket, arrival) == fit && chosen-- == 0)
			return socket;
	}
}

static inline struct udp_socket *find(const struct net *net, const struct arrival *arrival)
{
	struct udp_socket *best = NULL;
	unsigned int best_fit = 0;

	for (struct udp_socket *socket = net->udp->ports[arrival->destination_port]; socket;
	     socket = socket->next) {
		unsigned int fit = fit_of(socket, arrival);

		if (fit > best_fit) {
			best = socket;
			best_fit = fit;
		}
	}
	if (best && unlikely(best->reuse_port))
		return share(net, best, arrival);
	return best;
}

static bool is_of_all_hosts(const struct ip_address *group)
{
	const struct ip_address hosts = ip_address_v4(0xe0000001), nodes = IPV6_ALL_NODES;

	return ip_address_equal(group, &hosts) || ip_address_equal(group, &nodes);
}

/* Of a group only who has joined it hears; all who are there hear a broadcast. */
static bool hears_group(const struct udp_socket *socket, const struct arrival *arrival)
{
	const struct ip_address *group = &arrival->packet->destination;

	if (!ip_address_equal(&socket->local, group) &&
	    (!ip_address_is_unspecified(&socket->local) ||
	     !udp_takes_version(socket, arrival->packet->is_v6)))
		return false;
	if (!is_from_peer(socket, arrival))
		return false;
	return !ip_address_is_multicast(group) || udp_has_joined(socket, group) ||
	       is_of_all_hosts(group);
}

/* ---- In ---- */

static void deliver_copy(struct udp_socket *socket, const struct buf *buf, uint16_t source_port,
			 const struct ip_packet *packet)
{
	struct buf *copy = copy_of(socket->net, buf);

	if (!copy) {
		net_count_drop(socket->net, NET_LAYER_UDP, NET_DROP_NO_MEMORY);
		socket->queue_drops++;
		return;
	}
	set_source(socket, copy, &packet->source, source_port);
	deliver(socket, copy, false);
}

static void give(struct udp_socket *socket, const struct arrival *arrival, struct buf *buf)
{
	const struct ip_packet *packet = arrival->packet;
	bool is_frame = packet->is_frame;

	set_source(socket, buf, &packet->source, arrival->source_port);
	ip_give(socket->net, packet, buf);
	deliver(socket, buf, is_frame);
}

void udp_give(struct udp_socket *socket, struct buf *buf)
{
	buf->next = NULL;
	frame_give(socket->net->heap, buf);
	deliver(socket, buf, true);
}

static struct udp_socket *next_hearer(struct udp_socket *socket, const struct arrival *arrival)
{
	while (socket && !hears_group(socket, arrival))
		socket = socket->next;
	return socket;
}

/* To every socket that hears it (RFC 1122, 4.1.3.5): copies, and the datagram itself to the last. */
static __attribute__((noinline)) void deliver_group(struct net *net, const struct arrival *arrival,
						    struct buf *buf)
{
	struct udp_socket *socket = next_hearer(net->udp->ports[arrival->destination_port],
						arrival);

	/* Nobody is told when there is none (RFC 1122, 3.2.2). */
	if (!socket) {
		net_drop(net, buf, NET_LAYER_UDP, NET_DROP_NO_PORT);
		return;
	}
	for (;;) {
		/* Before it is called: its owner may close it. */
		struct udp_socket *next = next_hearer(socket->next, arrival);

		if (!next)
			break;
		deliver_copy(socket, buf, arrival->source_port, arrival->packet);
		socket = next;
	}
	give(socket, arrival, buf);
}

static __attribute__((noinline)) void refuse(struct net *net, const struct ip_packet *packet,
					     struct buf *buf)
{
	enum spread_verdict verdict = SPREAD_ANSWER;

	if (net->device->share && !packet->is_local && !packet->to_group)
		verdict = spread_miss(net->device, buf);
	if (verdict == SPREAD_TAKEN)
		return;
	if (verdict == SPREAD_ANSWER && !packet->to_group)
		icmp_tx_error(net, packet, ICMP_PROBLEM_PORT_UNREACHABLE, 0, 0, false);
	net_drop(net, buf, NET_LAYER_UDP, NET_DROP_NO_PORT);
}

/* 0 or -(enum wire_error). */
static inline int check(const struct ip_packet *packet, const struct buf *buf,
			struct udp_header *header)
{
	int result = udp_parse(header, buf->data, buf->length, packet->is_v6);

	if (unlikely(result < 0))
		return result;
	if (likely(buf->flags & BUF_CHECKED) || packet->is_local)
		return 0;
	return udp_verify(header, &packet->source, &packet->destination, buf->data);
}

/* A frame to everybody may have brought a packet to us alone. */
static bool is_for_group(const struct net *net, const struct ip_packet *packet)
{
	return packet->to_group && !net_has_address(net, &packet->destination);
}

/* Of what came to all who share the device one takes it: who is connected to where it comes from, or the first. */
static __attribute__((noinline)) bool is_ours_of_all(const struct net *net,
						     const struct udp_socket *socket,
						     const struct arrival *arrival)
{
	const struct spread_flow flow = {arrival->packet->destination,
					 arrival->packet->source,
					 arrival->destination_port,
					 arrival->source_port,
					 SPREAD_UDP,
					 false};

	return socket->peer_port || spread_is_first(net->device, &flow);
}

void udp_rx(struct net *net, const struct ip_packet *packet, struct buf *buf)
{
	struct arrival arrival = {.packet = packet};
	struct udp_socket *socket;
	struct udp_header header;
	int error = check(packet, buf, &header);

	net_count_rx(net, NET_LAYER_UDP, buf->length);
	if (unlikely(error < 0)) {
		net_drop(net, buf, NET_LAYER_UDP, (unsigned int)-error);
		return;
	}
	arrival.source_port = header.source_port;
	arrival.destination_port = header.destination_port;
	/* Without the header, and what the link has padded. */
	buf->data += UDP_HEADER_BYTES;
	buf->length = header.total_bytes - UDP_HEADER_BYTES;
	buf->next = NULL;
	if (unlikely(packet->to_group) && is_for_group(net, packet)) {
		deliver_group(net, &arrival, buf);
		return;
	}
	socket = find(net, &arrival);
	if (unlikely(net->device->share) && !(buf->flags & BUF_STEERED) && !packet->is_local &&
	    socket && !is_ours_of_all(net, socket, &arrival)) {
		net_drop(net, buf, NET_LAYER_UDP, NET_DROP_NOT_FOR_US);
		return;
	}
	if (likely(socket != NULL))
		give(socket, &arrival, buf);
	else
		refuse(net, packet, buf);
}

/* ---- Errors ---- */

static bool can_have_sent(const struct udp_socket *socket, const struct quoted_packet *quoted)
{
	bool is_v6 = !ip_address_is_v4(&quoted->source);

	return ip_address_equal(&socket->local, &quoted->source) ||
	       ip_address_is_multicast(&socket->local) ||
	       (ip_address_is_unspecified(&socket->local) && udp_takes_version(socket, is_v6));
}

static bool concerns(const struct udp_socket *socket, const struct quoted_packet *quoted, int error)
{
	if (error == 0)
		return false;
	if (socket->peer_port ? socket->peer_port != quoted->destination_port ||
					!ip_address_equal(&socket->peer, &quoted->destination)
			      : !socket->receives_errors)
		return false;
	return error != EMSGSIZE || socket->mtu_discover == IP_PMTUDISC_DO;
}

/* What is told of an error, as Linux does; NULL: no memory. */
static struct buf *report_of(const struct udp_socket *socket, const struct quoted_packet *quoted,
			     int error, uint32_t mtu)
{
	const struct sock_extended_err report = {
		.ee_errno = (uint32_t)error,
		.ee_origin = ip_address_is_v4(&quoted->source) ? SO_EE_ORIGIN_ICMP
							       : SO_EE_ORIGIN_ICMP6,
		.ee_type = quoted->error_type,
		.ee_code = quoted->error_code,
		.ee_info = error == EMSGSIZE ? mtu : 0,
	};
	struct buf *buf = buf_alloc(socket->net->heap, sizeof(report));

	if (!buf)
		return NULL;
	memcpy(buf->data, &report, sizeof(report));
	buf->length = sizeof(report);
	set_source(socket, buf, &quoted->destination, quoted->destination_port);
	return buf;
}

static void tell(struct udp_socket *socket, const struct quoted_packet *quoted, int error,
		 uint32_t mtu)
{
	struct buf *report = NULL;

	if (socket->receives_errors)
		report = report_of(socket, quoted, error, mtu);
	if (report)
		socket->ops->reported(socket, error, report);
	else
		socket->ops->failed(socket, error);
}

bool udp_error(struct net *net, const struct quoted_packet *quoted, int error, uint32_t mtu)
{
	struct udp_socket *told = NULL;
	bool found = false;

	for (struct udp_socket *socket = net->udp->ports[quoted->source_port]; socket;
	     socket = socket->next) {
		if (!can_have_sent(socket, quoted))
			continue;
		found = true;
		if (!told && concerns(socket, quoted, error))
			told = socket;
	}
	/* Last, since its owner may close it. */
	if (told)
		tell(told, quoted, error, mtu);
	return found;
}
