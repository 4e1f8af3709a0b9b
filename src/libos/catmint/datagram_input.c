/* SPDX-License-Identifier: MIT */
/* Datagrams that come in: checked, put together, handed to pops or kept for them. */
#include <errno.h>
#include <string.h>

#include "heap/fast.h"
#include "libos/catmint/datagram.h"
#include "wire/checksum.h"

#define BATCH 16u
/* Of the GRH: where the header of IPv4 stands that came instead (InfiniBand annex A17, 17.4.4). */
#define V4_AT 20u
#define V4_HEADER_BYTES 20u
/* Of a buf that has arrived: it is no frame of the pool, and the application's already. */
#define BUF_OWN 64u

/* --- buffers --- */

static void put(const struct dgrams *dgrams, struct buf *buf)
{
	if (buf->flags & BUF_OWN)
		buf_free(dgrams->mint->context->heap, buf);
	else
		pool_put(&dgrams->mint->pool, buf);
}

static void drop(const struct dgrams *dgrams, struct buf *buf)
{
	dgrams->mint->counters.datagrams_dropped++;
	put(dgrams, buf);
}

static void give(const struct dgram_socket *socket, struct op *op, struct buf *buf)
{
	if (buf->flags & BUF_OWN)
		buf->flags = 0;
	else
		pool_give(buf);
	op->result.buf = buf;
	dgram_complete(socket, op, 0);
}

/* --- pops --- */

static bool keep(struct dgram_socket *socket, struct buf *buf)
{
	/* Small ones keep a whole frame each. */
	uint32_t count_max = 2 * socket->dgrams->mint->limits.datagram_buffers;

	if (socket->arrived_count >= count_max ||
	    socket->arrived_bytes + buf->length > socket->arrived_bytes_max)
		return false;
	buf->next = NULL;
	if (socket->arrived_tail)
		socket->arrived_tail->next = buf;
	else
		socket->arrived = buf;
	socket->arrived_tail = buf;
	socket->arrived_count++;
	socket->arrived_bytes += buf->length;
	return true;
}

static struct buf *take(struct dgram_socket *socket)
{
	struct buf *buf = socket->arrived;

	if (!buf)
		return NULL;
	socket->arrived = buf->next;
	if (!socket->arrived)
		socket->arrived_tail = NULL;
	buf->next = NULL;
	socket->arrived_count--;
	socket->arrived_bytes -= buf->length;
	return buf;
}

int dgram_pop(struct queue *queue, struct op *op)
{
	struct dgram_socket *socket = dgram_socket_of(queue);
	int error = dgram_take_error(socket);
	struct buf *buf;

	if (unlikely(error)) {
		dgram_complete(socket, op, error);
		return 0;
	}
	buf = take(socket);
	if (buf)
		give(socket, op, buf);
	else if (unlikely(socket->dgrams->mint->failure))
		dgram_complete(socket, op, -socket->dgrams->mint->failure);
	else
		op_list_append(&socket->pops, op);
	return 0;
}

void dgram_discard(struct dgram_socket *socket)
{
	struct buf *buf;

	while ((buf = take(socket)))
		put(socket->dgrams, buf);
}

static void set_source(const struct dgram_socket *socket, struct buf *buf,
		       const struct message_datagram *header)
{
	if (socket->is_v6)
		buf->source.ipv6 = (struct sockaddr_in6){
			.sin6_family = AF_INET6,
			.sin6_port = htobe16(header->port),
			.sin6_addr = ip_address_to_in6(&header->source),
		};
	else
		buf->source.ipv4 = (struct sockaddr_in){
			.sin_family = AF_INET,
			.sin_port = htobe16(header->port),
			.sin_addr = ip_address_to_in(&header->source),
		};
}

static void deliver(struct dgram_socket *socket, struct buf *buf,
		    const struct message_datagram *header)
{
	struct op *op;

	socket->dgrams->mint->counters.datagrams_received++;
	socket->dgrams->mint->counters.bytes_received += buf->length;
	set_source(socket, buf, header);
	if (likely(!socket->arrived && (op = op_list_take(&socket->pops)) != NULL))
		give(socket, op, buf);
	else if (!keep(socket, buf))
		drop(socket->dgrams, buf);
}

/* --- who sent it --- */

static bool is_v4_header(const unsigned char *grh)
{
	/* Where the first bytes are noise they may look like a GRH's. */
	return grh[V4_AT] == 0x45 &&
	       (grh[0] >> 4 != 6 ||
		checksum_is_valid(checksum_add(0, grh + V4_AT, V4_HEADER_BYTES)));
}

/*
 * Nobody sends in the name of another host: the address in our header is that of the packet. *@local:
 * the address of ours that it came to; all zero where packets have none.
 */
static bool check_packet(const struct dgrams *dgrams, const struct ibv_wc *wc,
			 const unsigned char *grh, const struct ip_address *source,
			 struct ip_address *local)
{
	struct ip_address from;

	*local = (struct ip_address){{0}};
	if (!dgrams->has_ip_header || !(wc->wc_flags & IBV_WC_GRH))
		return !dgrams->has_ip_header;
	if (ip_address_is_v4(source) && is_v4_header(grh)) {
		*local = ip_address_v4(load_be32(grh + 36));
		return ip_address_low32(source) == load_be32(grh + 32);
	}
	from = ip_address_v6(grh + 8);
	*local = ip_address_v6(grh + 24);
	return grh[0] >> 4 == 6 && ip_address_equal(&from, source);
}

static bool is_for(const struct dgram_socket *socket, const struct message_datagram *header,
		   const struct ip_address *local)
{
	bool is_v4 = ip_address_is_v4(&header->source);

	if (socket->is_v6 ? socket->v6_only && is_v4 : !is_v4)
		return false;
	if (!ip_address_is_unspecified(&socket->bound) && !ip_address_is_unspecified(local) &&
	    !ip_address_equal(&socket->bound, local))
		return false;
	return !socket->peer_port || (socket->peer_port == header->port &&
				      ip_address_equal(&socket->peer, &header->source));
}

/* --- in --- */

static void receive_part(struct dgram_socket *socket, const struct ibv_wc *wc, struct buf *buf,
			 const struct message_datagram *header, uint32_t bytes)
{
	struct dgrams *dgrams = socket->dgrams;
	const struct parts_key key = {
		.source = header->source,
		.qpn = wc->src_qp,
		.own_qpn = wc->qp_num,
		.number = header->number,
		.port = header->port,
		.total = header->total,
	};
	struct buf *whole;

	dgrams->mint->counters.datagram_parts_received++;
	whole = parts_add(dgrams->parts, &key, header->offset,
			  (unsigned char *)(buf + 1) + DGRAM_GRH_BYTES + MESSAGE_DATAGRAM_BYTES,
			  bytes, dgrams->mint->context->now_ns);
	put(dgrams, buf);
	dgrams_watch_parts(dgrams);
	if (!whole)
		return;
	dgrams->mint->counters.copied_bytes += whole->length;
	whole->flags = BUF_OWN;
	deliver(socket, whole, header);
}

static void receive(struct dgram_socket *socket, struct ibv_wc *wc, struct buf *buf)
{
	struct dgrams *dgrams = socket->dgrams;
	unsigned char *grh = (unsigned char *)(buf + 1);
	uint32_t bytes = wc->byte_len - DGRAM_GRH_BYTES;
	struct message_datagram header;
	struct ip_address local;

	if (unlikely(wc->byte_len < DGRAM_GRH_BYTES ||
		     !message_datagram_load(&header, grh + DGRAM_GRH_BYTES, bytes) ||
		     !check_packet(dgrams, wc, grh, &header.source, &local))) {
		dgrams->mint->counters.datagrams_strange++;
		put(dgrams, buf);
		return;
	}
	if (!is_for(socket, &header, &local)) {
		drop(dgrams, buf);
		return;
	}
	if (!ip_address_is_unspecified(&local))
		destination_learn(socket, &local, &header, wc, (struct ibv_grh *)grh);
	bytes -= MESSAGE_DATAGRAM_BYTES;
	if (unlikely(bytes != header.total)) {
		receive_part(socket, wc, buf, &header, bytes);
		return;
	}
	buf->data = grh + DGRAM_GRH_BYTES + MESSAGE_DATAGRAM_BYTES;
	buf->length = bytes;
	deliver(socket, buf, &header);
}

static struct dgram_pair *find(struct dgrams *dgrams, uint32_t number)
{
	struct dgram_pair *recent = dgrams->recent;

	if (likely(recent && recent->qp->qp_num == number))
		return recent;
	recent = pair_table_find(&dgrams->table, number);
	if (recent && recent->socket)
		dgrams->recent = recent;
	return recent;
}

void dgram_received(struct dgrams *dgrams, const struct ibv_wc *wc)
{
	struct buf *buf = (struct buf *)(uintptr_t)(wc->wr_id & ~(uint64_t)(1 | DGRAM_WR_ID));
	struct dgram_pair *pair = find(dgrams, wc->qp_num);
	struct dgram_socket *socket;
	struct ibv_wc copy = *wc;

	if (unlikely(!pair))
		return;
	pair->receives--;
	dgrams->mint->receives--;
	buf->flags = 0;
	buf->next = NULL;
	socket = pair->socket;
	if (unlikely(!socket || wc->status != IBV_WC_SUCCESS)) {
		put(dgrams, buf);
		if (socket)
			dgram_broke(socket);
		return;
	}
	if (unlikely(socket->close_op))
		put(dgrams, buf);
	else
		receive(socket, &copy, buf);
	if (pair->socket && pair->buffers - pair->receives >= BATCH)
		dgram_pair_fill(pair);
}
