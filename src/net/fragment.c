/* SPDX-License-Identifier: MIT */
/*
 * A packet longer than the path's MTU, in fragments (RFC 791, section 3.2; RFC 8200, section 4.5).
 * Each has a frame of its own for its header; the payload behind it goes by reference when the
 * device takes chains and the piece is worth it, otherwise it is copied into that frame.
 */
#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "net/ip.h"
#include "wire/ipv4.h"
#include "wire/tcp.h"
#include "wire/udp.h"

#define FRAGMENTS_MAX REASSEMBLY_FRAGMENTS_MAX /* what we would not take, we do not send */
#define FRAGMENT_UNIT_BYTES 8u                 /* of a fragment's offset */
#define LEAD_BYTES_MAX 128u /* a transport's header: copied, rather than referred to */

/* What all fragments of one packet have in common. */
struct plan {
	struct net *net;
	const struct ip_send *send;
	bool is_v6;
	uint32_t header_bytes; /* of a fragment */
	uint32_t piece_bytes;  /* of payload in each but the last */
	uint32_t count;
	uint32_t identification;
	uint32_t shells; /* fragments that refer to the payload's memory */
};

/* Where in the payload the next fragment begins. */
struct cursor {
	const struct buf *buf;
	uint32_t offset;
};

/* The fragments are released in any order: the last of those that refer to the memory tells. */
struct fragment_done {
	struct buf_done base;
	struct buf_done *done;
	struct heap *heap;
	uint32_t left;
};

/* ---- The payload ---- */

struct piece {
	unsigned char *data;
	uint32_t length;
};

/* Up to @bytes that lie together, from the cursor on, which moves behind them. */
static struct piece take_piece(struct cursor *cursor, uint32_t bytes)
{
	struct piece piece;

	while (cursor->offset == cursor->buf->length) {
		cursor->buf = cursor->buf->next;
		cursor->offset = 0;
	}
	piece.data = cursor->buf->data + cursor->offset;
	piece.length = cursor->buf->length - cursor->offset;
	if (piece.length > bytes)
		piece.length = bytes;
	cursor->offset += piece.length;
	return piece;
}

static void append(struct buf *head, const struct piece *piece)
{
	memcpy(head->data + head->length, piece->data, piece->length);
	head->length += piece->length;
}

static void copy_payload(struct net *net, struct buf *head, struct cursor *cursor, uint32_t bytes)
{
	net_count_copy(net, bytes);
	while (bytes > 0) {
		struct piece piece = take_piece(cursor, bytes);

		append(head, &piece);
		bytes -= piece.length;
	}
}

/* Shells that refer_payload would take. */
static uint32_t count_shells(struct cursor cursor, uint32_t bytes)
{
	uint32_t count = 0;

	while (bytes > 0) {
		struct piece piece = take_piece(&cursor, bytes);

		if (count > 0 || piece.length > LEAD_BYTES_MAX)
			count++;
		bytes -= piece.length;
	}
	return count;
}

/* False when no shell is free; @head is as before then. */
static bool refer_payload(struct netdev *device, struct buf *head, struct cursor *cursor,
			  uint32_t bytes)
{
	struct cursor at = *cursor;
	struct buf *tail = head;

	while (bytes > 0) {
		struct piece piece = take_piece(&at, bytes);

		bytes -= piece.length;
		if (tail == head && piece.length <= LEAD_BYTES_MAX) {
			append(head, &piece);
			continue;
		}
		tail->next = netdev_reference(device, piece.data, piece.length);
		if (!tail->next) {
			netdev_release_chain(device, head->next);
			head->next = NULL;
			head->length = 0;
			return false;
		}
		tail = tail->next;
	}
	*cursor = at;
	return true;
}

static bool is_worth_shells(const struct net *net, const struct cursor *cursor, uint32_t bytes)
{
	return bytes > net->copy_max &&
	       count_shells(*cursor, bytes) < net->device->caps.segments_max;
}

/* ---- Headers ---- */

static void emit_v4(const struct plan *plan, uint8_t *room, uint32_t offset, uint32_t bytes,
		    bool more)
{
	const struct ip_send *send = plan->send;
	struct ipv4_header header = {
		.source = send->source,
		.destination = send->path->destination,
		.total_bytes = (uint16_t)(plan->header_bytes + bytes),
		.identification = (uint16_t)plan->identification,
		.fragment_offset_bytes = (uint16_t)offset,
		.traffic_class = send->traffic_class,
		.ttl = ip_hop_limit(send),
		.protocol = send->protocol,
		.more_fragments = more,
		.router_alert = send->router_alert,
	};

	ipv4_emit(room, plan->header_bytes, &header);
}

static void emit_v6(const struct plan *plan, uint8_t *room, uint32_t offset, uint32_t bytes,
		    bool more)
{
	const struct ip_send *send = plan->send;
	uint32_t before = plan->header_bytes - IPV6_FRAGMENT_BYTES;
	struct ipv6_header header = {
		.source = send->source,
		.destination = send->path->destination,
		.payload_bytes = (uint16_t)(plan->header_bytes - IPV6_HEADER_BYTES + bytes),
		.traffic_class = send->traffic_class,
		.next_header = send->router_alert ? IPPROTO_HOPOPTS : IPPROTO_FRAGMENT,
		.hop_limit = ip_hop_limit(send),
	};
	const struct ipv6_chain chain = {
		.fragment_next_header = send->protocol,
		.fragment_offset_bytes = (uint16_t)offset,
		.more_fragments = more,
		.fragment_identification = plan->identification,
	};

	ipv6_emit(room, IPV6_HEADER_BYTES, &header);
	if (send->router_alert)
		ipv6_router_alert_emit(room + IPV6_HEADER_BYTES, IPV6_ROUTER_ALERT_BYTES,
				       IPPROTO_FRAGMENT);
	ipv6_fragment_emit(room + before, IPV6_FRAGMENT_BYTES, &chain);
}

/* ---- Before ---- */

/* No device can do it once the payload is in several packets. */
static void complete_checksum(const struct ip_send *send, struct buf *chain)
{
	uint32_t at = send->protocol == IPPROTO_TCP ? TCP_CHECKSUM_OFFSET : UDP_CHECKSUM_OFFSET;
	struct checksum checksum = {0};

	if (!(chain->flags & BUF_CHECKSUM))
		return;
	/* The field has the sum of the pseudo header and takes part. */
	for (const struct buf *buf = chain; buf; buf = buf->next)
		checksum_append(&checksum, buf->data, buf->length);
	store_be16(chain->data + at, send->protocol == IPPROTO_TCP
					     ? checksum_finish(checksum.sum)
					     : checksum_finish_udp(checksum.sum));
	chain->flags &= ~BUF_CHECKSUM;
}

static struct plan plan_of(struct net *net, const struct ip_send *send, uint32_t payload_bytes)
{
	struct plan plan = {
		.net = net,
		.send = send,
		.is_v6 = !ip_address_is_v4(&send->path->destination),
		.header_bytes = ip_header_bytes(send),
	};

	/* A stranger cannot guess it (RFC 7739). */
	if (plan.is_v6) {
		plan.header_bytes += IPV6_FRAGMENT_BYTES;
		plan.identification = (uint32_t)net_random(net);
	} else {
		plan.identification = ip_identification(net);
	}
	if (send->path->mtu >= plan.header_bytes + FRAGMENT_UNIT_BYTES) {
		plan.piece_bytes = (send->path->mtu - plan.header_bytes) &
				   ~(FRAGMENT_UNIT_BYTES - 1);
		plan.count = (payload_bytes + plan.piece_bytes - 1) / plan.piece_bytes;
	}
	return plan;
}

/* ---- Who waits for the memory ---- */

static void fragment_done(struct buf_done *base)
{
	struct fragment_done *self = (struct fragment_done *)base;
	struct buf_done *done = self->done;

	if (--self->left > 0)
		return;
	heap_free(self->heap, self);
	done->done(done);
}

static struct buf *find_done(struct buf *chain)
{
	while (chain && !(chain->flags & BUF_DONE))
		chain = chain->next;
	return chain;
}

static void set_done(struct buf *fragment, struct buf_done *done)
{
	/* A frame alone has a copy of its payload. */
	if (!fragment->next)
		return;
	while (fragment->next)
		fragment = fragment->next;
	fragment->transmit.done = done;
	fragment->flags |= BUF_DONE;
}

/* What the payload's chain was to tell, the fragments tell. 0 or -ENOMEM. */
static int move_done(const struct plan *plan, struct buf *chain, struct buf **fragments)
{
	struct buf *from = find_done(chain);
	struct fragment_done *self;

	if (!from || plan->shells == 0)
		return 0;
	self = heap_alloc(plan->net->heap, sizeof(*self));
	if (!self)
		return -ENOMEM;
	*self = (struct fragment_done){
		.base.done = fragment_done,
		.done = from->transmit.done,
		.heap = plan->net->heap,
		.left = plan->shells,
	};
	from->flags &= ~BUF_DONE;
	for (uint32_t i = 0; i < plan->count; i++)
		set_done(fragments[i], &self->base);
	return 0;
}

/* ---- All of it ---- */

static struct buf *make_fragment(struct plan *plan, struct cursor *cursor, uint32_t offset,
				 uint32_t left)
{
	struct netdev *device = plan->net->device;
	bool more = left > plan->piece_bytes;
	uint32_t bytes = more ? plan->piece_bytes : left;
	struct buf *head = netdev_alloc(device);
	uint8_t *room;

	/* There are enough: the caller has counted them. */
	assert(head && sizeof(*head) + head->capacity >= device->data_offset + bytes);
	if (is_worth_shells(plan->net, cursor, bytes) && refer_payload(device, head, cursor, bytes))
		plan->shells++;
	else
		copy_payload(plan->net, head, cursor, bytes);
	room = buf_prepend(head, plan->header_bytes);
	if (plan->is_v6)
		emit_v6(plan, room, offset, bytes, more);
	else
		emit_v4(plan, room, offset, bytes, more);
	return head;
}

static void release_all(struct net *net, struct buf **fragments, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		netdev_release_chain(net->device, fragments[i]);
}

/* What would have become of the packet without these: it was dropped for the same reason. */
static void drop_all(struct net *net, struct buf **fragments, uint32_t count, enum net_layer layer,
		     int error)
{
	enum net_drop reason = error == -EHOSTUNREACH ? NET_DROP_NO_NEIGHBOUR : NET_DROP_QUEUE_FULL;

	for (uint32_t i = 0; i < count; i++)
		net_drop(net, fragments[i], layer, reason);
}

static int send_all(const struct plan *plan, struct buf **fragments)
{
	struct net *net = plan->net;
	enum net_layer layer = plan->is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4;

	for (uint32_t i = 0; i < plan->count; i++) {
		int error;

		net_count_tx(net, layer, buf_chain_length(fragments[i]));
		error = ip_tx_link(net, plan->send->path, fragments[i]);
		if (error) {
			drop_all(net, fragments + i + 1, plan->count - i - 1, layer, error);
			return error;
		}
	}
	return 0;
}

static int refuse(const struct plan *plan, struct buf *chain, enum net_drop reason, int error)
{
	net_drop(plan->net, chain, plan->is_v6 ? NET_LAYER_IPV6 : NET_LAYER_IPV4, reason);
	return error;
}

int ip_tx_fragments(struct net *net, const struct ip_send *send, struct buf *chain,
		    uint32_t payload_bytes)
{
	struct plan plan = plan_of(net, send, payload_bytes);
	struct cursor cursor = {.buf = chain};
	struct buf *fragments[FRAGMENTS_MAX];
	uint32_t offset = 0;

	if (plan.count == 0 || plan.count > FRAGMENTS_MAX)
		return refuse(&plan, chain, NET_DROP_TOO_BIG, -EMSGSIZE);
	if (heap_frames_free(net->device->frames) < plan.count)
		return refuse(&plan, chain, NET_DROP_NO_FRAME, -ENOBUFS);
	complete_checksum(send, chain);
	for (uint32_t i = 0; i < plan.count; i++) {
		fragments[i] = make_fragment(&plan, &cursor, offset, payload_bytes - offset);
		offset += plan.piece_bytes;
	}
	if (move_done(&plan, chain, fragments) < 0) {
		release_all(net, fragments, plan.count);
		return refuse(&plan, chain, NET_DROP_NO_MEMORY, -ENOBUFS);
	}
	/* The shells hold the memory by themselves. */
	netdev_release_chain(net->device, chain);
	return send_all(&plan, fragments);
}
