/* SPDX-License-Identifier: MIT */
#include "libos/catnip/ping.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "base/container.h"
#include "libos/catnip/foreign.h"
#include "libos/catnip/sockaddr.h"
#include "net/icmp.h"
#include "net/ip.h"
#include "queue/sga.h"
#include "wire/bytes.h"
#include "wire/icmp.h"
#include "wire/icmp6.h"

#define MESSAGE_BYTES_MAX 65515u /* over IPv4: 65,535 without its header */
/* An echo has one form in both versions: RFC 792, RFC 4443, 4.1. */
#define SEQUENCE_OFFSET 6u

struct ping {
	struct queue queue;
	struct catnip *catnip;
	struct ping *next; /* of catnip->pings */
	bool is_v6;
	bool connected;
	uint16_t identifier;     /* host byte order; 0: none yet */
	struct ip_address local; /* unspecified: any of ours */
	struct ip_address peer;  /* with connected */
	struct op_list pops;
	struct buf *queue_head, *queue_tail; /* replies that nobody has popped */
	uint32_t queue_bytes;
};

static struct ping *ping_of(struct queue *queue)
{
	return container_of(queue, struct ping, queue);
}

static struct op_table *ops_of(const struct ping *ping)
{
	return &ping->catnip->context->ops;
}

static struct ip_address unspecified(bool is_v6)
{
	return is_v6 ? ip_address_v6_halves(0, 0) : ip_address_v4(INADDR_ANY);
}

/* --- addresses --- */

static bool is_taken(const struct ping *ping, uint16_t identifier)
{
	for (const struct ping *other = ping->catnip->pings; other; other = other->next) {
		if (other != ping && other->is_v6 == ping->is_v6 && other->identifier == identifier)
			return true;
	}
	return false;
}

/* Any that is free; there are more than descriptors could be. */
static int take_identifier(struct ping *ping)
{
	uint16_t first = (uint16_t)net_random(ping->catnip->net);

	for (uint32_t i = 0; i <= UINT16_MAX; i++) {
		uint16_t identifier = (uint16_t)(first + i);

		if (identifier == 0 || is_taken(ping, identifier))
			continue;
		ping->identifier = identifier;
		return 0;
	}
	return -EADDRINUSE;
}

static int ping_bind(struct queue *queue, const struct sockaddr *address, socklen_t length)
{
	struct ping *ping = ping_of(queue);
	struct ip_address ip;
	uint16_t identifier;
	int error = sockaddr_load(address, length, ping->is_v6, &ip, &identifier);

	if (error)
		return error;
	if (ping->identifier)
		return -EINVAL;
	if (ip_address_is_v4(&ip) == ping->is_v6 ||
	    (!ip_address_is_unspecified(&ip) && !ip_is_ours(ping->catnip->net, &ip)))
		return -EADDRNOTAVAIL;
	if (identifier && is_taken(ping, identifier))
		return -EADDRINUSE;
	ping->identifier = identifier;
	error = identifier ? 0 : take_identifier(ping);
	if (!error)
		ping->local = ip;
	return error;
}

static int load_peer(const struct ping *ping, const struct sockaddr *address, socklen_t length,
		     struct ip_address *ip)
{
	uint16_t ignored;
	int error = sockaddr_load(address, length, ping->is_v6, ip, &ignored);

	if (error)
		return error;
	/* A mapped address would be one of the other version, with another protocol. */
	return ip_address_is_v4(ip) == ping->is_v6 ? -ENETUNREACH : 0;
}

static int ping_connect(struct queue *queue, struct op *op, const struct sockaddr *address,
			socklen_t length)
{
	struct ping *ping = ping_of(queue);
	struct ip_address ip;
	int error = load_peer(ping, address, length, &ip);

	if (!error && !ping->identifier)
		error = take_identifier(ping);
	if (error)
		return error;
	ping->peer = ip;
	ping->connected = true;
	op_complete(ops_of(ping), op, 0);
	return 0;
}

static int ping_local_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct ping *ping = ping_of(queue);

	sockaddr_store(address, length, ping->is_v6, &ping->local, ping->identifier);
	return 0;
}

static int ping_peer_address(struct queue *queue, struct sockaddr *address, socklen_t *length)
{
	const struct ping *ping = ping_of(queue);

	if (!ping->connected)
		return -ENOTCONN;
	sockaddr_store(address, length, ping->is_v6, &ping->peer, 0);
	return 0;
}

/* --- in --- */

static void set_source(struct buf *buf, const struct ip_address *ip)
{
	if (ip_address_is_v4(ip))
		buf->source.ipv4 = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_addr = ip_address_to_in(ip),
		};
	else
		buf->source.ipv6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6,
			.sin6_addr = ip_address_to_in6(ip),
		};
}

static struct ping *find(const struct catnip *catnip, const struct ip_packet *packet,
			 uint16_t identifier)
{
	struct ping *ping = catnip->pings;

	while (ping && (ping->is_v6 != packet->is_v6 || ping->identifier != identifier))
		ping = ping->next;
	if (!ping || (ping->connected && !ip_address_equal(&ping->peer, &packet->source)))
		return NULL;
	if (!ip_address_is_unspecified(&ping->local) &&
	    !ip_address_equal(&ping->local, &packet->destination))
		return NULL;
	return ping;
}

static void enqueue(struct ping *ping, struct buf *buf)
{
	buf->next = NULL;
	*(ping->queue_head ? &ping->queue_tail->next : &ping->queue_head) = buf;
	ping->queue_tail = buf;
	ping->queue_bytes += buf->length;
}

static struct buf *take(struct ping *ping)
{
	struct buf *buf = ping->queue_head;

	if (!buf)
		return NULL;
	ping->queue_head = buf->next;
	buf->next = NULL;
	ping->queue_bytes -= buf->length;
	return buf;
}

/* A reply: its message goes to its socket, as a copy. */
static void echoed(void *context, const struct ip_packet *packet, const struct icmp_echo *echo)
{
	struct catnip *catnip = context;
	struct net *net = catnip->net;
	struct ping *ping = find(catnip, packet, echo->identifier);
	enum net_layer layer = packet->is_v6 ? NET_LAYER_ICMP6 : NET_LAYER_ICMP;
	uint32_t bytes = ICMP_HEADER_BYTES + echo->payload_bytes;
	struct buf *buf;
	struct op *op;

	if (!ping) {
		net_count_drop(net, layer, NET_DROP_UNSOLICITED);
		return;
	}
	if (ping->queue_bytes + bytes > net->options.socket_bytes_max) {
		net_count_drop(net, layer, NET_DROP_QUEUE_FULL);
		return;
	}
	buf = buf_alloc(net->heap, bytes);
	if (!buf) {
		net_count_drop(net, layer, NET_DROP_NO_MEMORY);
		return;
	}
	/* The header stands in front of the payload. */
	memcpy(buf->data, echo->payload - ICMP_HEADER_BYTES, bytes);
	buf->length = bytes;
	set_source(buf, &packet->source);
	op = op_list_take(&ping->pops);
	if (!op) {
		enqueue(ping, buf);
		return;
	}
	op->result.buf = buf;
	op_complete(ops_of(ping), op, 0);
}

void ping_fail_all(struct catnip *catnip, int error)
{
	for (struct ping *ping = catnip->pings; ping; ping = ping->next) {
		struct op *op;

		while ((op = op_list_take(&ping->pops)))
			op_complete(&catnip->context->ops, op, error);
	}
}

static int ping_pop(struct queue *queue, struct op *op)
{
	struct ping *ping = ping_of(queue);
	struct buf *buf = take(ping);
	int failure = ping->catnip->net->failure;

	if (unlikely(!buf && failure)) {
		op_complete(ops_of(ping), op, -failure);
		return 0;
	}
	if (!buf) {
		op_list_append(&ping->pops, op);
		return 0;
	}
	op->result.buf = buf;
	op_complete(ops_of(ping), op, 0);
	return 0;
}

/* --- out --- */

static void gather(uint8_t *to, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		memcpy(to, sga->sga_segs[i].sgaseg_buf, sga->sga_segs[i].sgaseg_len);
		to += sga->sga_segs[i].sgaseg_len;
	}
}

static int send_request(struct ping *ping, const struct ip_address *destination,
			const uint8_t *message, uint32_t bytes)
{
	const struct icmp_echo_request request = {
		.destination = *destination,
		.source = ip_address_is_unspecified(&ping->local) ? NULL : &ping->local,
		.identifier = ping->identifier,
		.sequence = load_be16(message + SEQUENCE_OFFSET),
		.payload = message + ICMP_HEADER_BYTES,
		.payload_bytes = bytes - ICMP_HEADER_BYTES,
	};

	/* As on Linux: nothing but requests. */
	if (message[0] != (ping->is_v6 ? ICMP6_TYPE_ECHO_REQUEST : ICMP_TYPE_ECHO_REQUEST) ||
	    message[1] != 0)
		return -EINVAL;
	return icmp_echo_send(ping->catnip->net, &request);
}

static int ping_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
		     const struct sockaddr *address, socklen_t length)
{
	struct ping *ping = ping_of(queue);
	struct catnip *catnip = ping->catnip;
	struct ip_address destination = ping->peer;
	size_t bytes = sga_length(sga);
	struct buf *message;
	int error = 0;

	if (address)
		error = load_peer(ping, address, length, &destination);
	else if (!ping->connected)
		error = -EDESTADDRREQ;
	if (error)
		return error;
	if (bytes > MESSAGE_BYTES_MAX)
		return -EMSGSIZE;
	if (bytes < ICMP_HEADER_BYTES)
		return -EINVAL;
	if (!foreign_is_readable(catnip->context->heap, sga))
		return -EFAULT;
	error = ping->identifier ? 0 : take_identifier(ping);
	if (error)
		return error;
	message = buf_alloc(catnip->context->heap, (uint32_t)bytes);
	if (!message)
		return -ENOMEM;
	gather(message->data, sga);
	error = send_request(ping, &destination, message->data, (uint32_t)bytes);
	buf_free(catnip->context->heap, message);
	if (error == -EINVAL)
		return error;
	op_complete(ops_of(ping), op, -error);
	if (!error)
		net_flush(catnip->net);
	return 0;
}

static int ping_cancel(struct queue *queue, struct op *op)
{
	struct ping *ping = ping_of(queue);

	op_list_remove(&ping->pops, op);
	op_complete(ops_of(ping), op, ECANCELED);
	return 0;
}

/* --- birth and death --- */

static void ping_close(struct queue *queue)
{
	struct ping *ping = ping_of(queue), **link = &ping->catnip->pings;
	struct buf *buf;

	op_cancel_all(ops_of(ping), &ping->pops);
	while ((buf = take(ping)))
		buf_free(ping->catnip->context->heap, buf);
	while (*link != ping)
		link = &(*link)->next;
	*link = ping->next;
	/* What comes now was not asked for by anybody. */
	if (!ping->catnip->pings)
		icmp_set_echo_listener(ping->catnip->net, NULL, NULL);
	free(ping);
}

/* Nothing is under way that the peer should have. */
static void ping_aclose(struct queue *queue, struct op *op)
{
	struct op_table *ops = ops_of(ping_of(queue));

	ping_close(queue);
	op_complete(ops, op, 0);
}

static const struct queue_ops ping_ops = {
	.close = ping_close,
	.aclose = ping_aclose,
	.bind = ping_bind,
	.connect = ping_connect,
	.push = ping_push,
	.pop = ping_pop,
	.cancel = ping_cancel,
	.get_local_address = ping_local_address,
	.get_peer_address = ping_peer_address,
};

int ping_create(struct catnip *catnip, struct queue **queue_out, bool is_v6)
{
	struct ping *ping = calloc(1, sizeof(*ping));

	if (!ping)
		return -ENOMEM;
	ping->queue = (struct queue){.ops = &ping_ops, .qd = -1};
	ping->catnip = catnip;
	ping->is_v6 = is_v6;
	ping->local = unspecified(is_v6);
	ping->peer = ping->local;
	ping->next = catnip->pings;
	catnip->pings = ping;
	icmp_set_echo_listener(catnip->net, echoed, catnip);
	*queue_out = &ping->queue;
	return 0;
}
