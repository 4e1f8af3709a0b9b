/* SPDX-License-Identifier: MIT */
/*
 * Pushes become datagrams: a short one is copied into its request, a longer one is sent from where it
 * lies, in parts if one packet does not take it.
 */
#include <errno.h>
#include <string.h>

#include "heap/fast.h"
#include "libos/catmint/datagram.h"
#include "libos/catnip/foreign.h"
#include "libos/catnip/sockaddr.h"
#include "queue/sga.h"

/* --- the destination --- */

/* A group or everybody: a queue pair has no place for them. */
static int check_group(const struct dgram_socket *socket, const struct ip_address *ip)
{
	if (ip_address_is_multicast(ip))
		return -EOPNOTSUPP;
	if (ip_address_is_broadcast(ip))
		return socket->broadcast ? -EOPNOTSUPP : -EACCES;
	return 0;
}

int dgram_load_peer(const struct dgram_socket *socket, const struct sockaddr *address,
		    socklen_t length, struct ip_address *ip, uint16_t *port)
{
	int error = sockaddr_load(address, length, socket->is_v6, ip, port);

	if (error)
		return error;
	if (*port == 0)
		return -EINVAL;
	if (socket->is_v6 && socket->v6_only && ip_address_is_v4(ip))
		return -ENETUNREACH;
	/* No address at all means ourselves. */
	if (ip_address_is_unspecified(ip)) {
		if (!ip_address_is_unspecified(&socket->bound))
			*ip = socket->bound;
		else if (!dgram_own_address(socket->dgrams, ip, ip))
			return -ENETUNREACH;
	}
	return check_group(socket, ip);
}

/* --- requests --- */

static void fill_header(const struct destination *destination, struct send *send, uint32_t number,
			uint32_t offset, uint32_t total)
{
	const struct message_datagram header = {
		.source = destination->source,
		.port = send->pair->port,
		.takes = (uint16_t)destination->dgrams->takes,
		.number = number,
		.offset = (uint16_t)offset,
		.total = (uint16_t)total,
	};

	message_datagram_store(send->data, &header);
	send->handle = handle_hold(destination->handle);
	send->request.wr.ud.ah = destination->handle->ah;
	send->request.wr.ud.remote_qpn = destination->qpn;
	send->request.wr.ud.remote_qkey = destination->qkey;
}

static struct send *take(struct dgram_pair *pair)
{
	struct send *send = send_take(pair->dgrams->mint, NULL);

	if (!send)
		return NULL;
	send->pair = pair;
	send->kind = SEND_DATAGRAM;
	send->handle = NULL;
	send->pieces[0].length = MESSAGE_DATAGRAM_BYTES;
	return send;
}

static unsigned char *copy_array(unsigned char *to, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		if (sga->sga_segs[i].sgaseg_len == 0)
			continue;
		memcpy(to, sga->sga_segs[i].sgaseg_buf, sga->sga_segs[i].sgaseg_len);
		to += sga->sga_segs[i].sgaseg_len;
	}
	return to;
}

/* false: memory that is not the heap's, or more runs of it than the device takes. */
static bool add_segments(const struct catmint *mint, struct send *send, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		if (!heap_owns(mint->context->heap, sga->sga_segs[i].sgaseg_buf))
			return false;
	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		if (!send_add_piece(mint, send, sga->sga_segs[i].sgaseg_buf,
				    sga->sga_segs[i].sgaseg_len))
			return false;
	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		send_hold(mint, send, sga->sga_segs[i].sgaseg_buf);
	return true;
}

static bool add_copy(struct catmint *mint, struct send *send, const demi_sgarray_t *sga,
		     uint32_t bytes)
{
	void *copy = heap_alloc_io(mint->context->heap, bytes);
	bool is_added;

	if (!copy)
		return false;
	copy_array(copy, sga);
	mint->counters.copied_bytes += bytes;
	send->request.num_sge = 1;
	is_added = send_add_piece(mint, send, copy, bytes);
	if (is_added)
		send_hold(mint, send, copy);
	heap_free(mint->context->heap, copy);
	return is_added;
}

/* A whole datagram from where it lies; NULL: out of memory. */
static struct send *make_whole(struct dgram_pair *pair, const demi_sgarray_t *sga, uint32_t bytes)
{
	struct catmint *mint = pair->dgrams->mint;
	struct send *send = take(pair);

	if (!send)
		return NULL;
	send->payload_bytes = bytes;
	if (bytes > 0 && !add_segments(mint, send, sga) && !add_copy(mint, send, sga, bytes)) {
		send_put(mint, send);
		return NULL;
	}
	return send;
}

static struct send *make_short(struct dgram_pair *pair, const demi_sgarray_t *sga, uint32_t bytes)
{
	struct send *send = take(pair);

	if (!send)
		return NULL;
	copy_array(send->data + MESSAGE_DATAGRAM_BYTES, sga);
	pair->dgrams->mint->counters.copied_bytes += bytes;
	send->payload_bytes = bytes;
	send->pieces[0].length = MESSAGE_DATAGRAM_BYTES + bytes;
	return send;
}

/* --- in parts --- */

/* How far the whole has been cut up. */
struct progress {
	int piece;
	uint32_t offset;
};

/* The next @bytes of the whole. */
static struct send *make_part(const struct send *whole, struct progress *progress, uint32_t bytes)
{
	const struct catmint *mint = whole->pair->dgrams->mint;
	struct send *part = take(whole->pair);

	if (!part)
		return NULL;
	part->payload_bytes = bytes;
	while (bytes > 0) {
		const struct ibv_sge *from = &whole->pieces[progress->piece];
		struct ibv_sge *to = &part->pieces[part->request.num_sge++];
		uint32_t rest = from->length - progress->offset;

		*to = (struct ibv_sge){.addr = from->addr + progress->offset,
				       .length = rest < bytes ? rest : bytes,
				       .lkey = from->lkey};
		send_hold(mint, part, (void *)(uintptr_t)to->addr);
		bytes -= to->length;
		progress->offset += to->length;
		if (progress->offset == from->length)
			*progress = (struct progress){progress->piece + 1, 0};
	}
	return part;
}

/* All parts or none. */
static bool cut(const struct destination *destination, const struct send *whole,
		struct send_list *parts)
{
	uint32_t most = destination_room(destination) / MESSAGE_UNIT_BYTES * MESSAGE_UNIT_BYTES;
	uint32_t number = whole->pair->number++;
	struct progress progress = {1, 0};

	for (uint32_t offset = 0; offset < whole->payload_bytes; offset += most) {
		uint32_t rest = whole->payload_bytes - offset;
		struct send *part = make_part(whole, &progress, rest < most ? rest : most);

		if (!part)
			return false;
		send_list_append(parts, part);
		fill_header(destination, part, number, offset, whole->payload_bytes);
	}
	return true;
}

static void send_parts(const struct destination *destination, struct send *whole)
{
	struct catmint *mint = destination->dgrams->mint;
	struct send_list parts = {NULL, NULL};
	bool is_cut = cut(destination, whole, &parts);
	struct send *part;

	if (is_cut) {
		parts.tail->op = whole->op;
		whole->op = NULL;
		if (parts.tail->op)
			parts.tail->op->request = parts.tail;
	} else {
		mint->counters.datagrams_dropped++;
	}
	while ((part = send_list_take(&parts))) {
		if (!is_cut) {
			dgram_pair_drop(part, 0);
			continue;
		}
		mint->counters.datagram_parts_sent++;
		dgram_pair_send(part->pair, part);
	}
	dgram_pair_drop(whole, ENOBUFS);
}

void dgram_dispatch(struct destination *destination, struct send *send)
{
	destination->dgrams->mint->counters.datagrams_sent++;
	if (unlikely(send->payload_bytes > destination_room(destination))) {
		send_parts(destination, send);
		return;
	}
	fill_header(destination, send, 0, 0, send->payload_bytes);
	dgram_pair_send(send->pair, send);
}

/* --- the queue's push --- */

/* What would stop any push: 0, or -errno. */
static int check_push(const struct dgram_socket *socket, const demi_sgarray_t *sga,
		      const struct ip_address *ip)
{
	if (sga_length(sga) > (ip_address_is_v4(ip) ? DGRAM_BYTES_MAX : DGRAM_BYTES_MAX_V6))
		return -EMSGSIZE;
	if (!foreign_is_readable(socket->dgrams->mint->context->heap, sga))
		return -EFAULT;
	return 0;
}

static int push_to(struct dgram_socket *socket, struct op *op, const demi_sgarray_t *sga,
		   struct destination *destination)
{
	const struct catmint *mint = socket->dgrams->mint;
	uint32_t bytes = (uint32_t)sga_length(sga);
	bool collects = catmint_collects(mint), is_known = destination->handle != NULL;
	uint32_t room = is_known ? destination_room(destination)
				 : MESSAGE_TAKES_MIN - MESSAGE_DATAGRAM_BYTES;
	struct dgram_pair *pair = socket->pair;
	struct send *send;

	if (bytes <= mint->limits.copy_bytes && bytes <= room)
		send = make_short(pair, sga, bytes);
	else
		send = make_whole(pair, sga, bytes);
	if (unlikely(!send))
		return -ENOMEM;
	send->op = op;
	op->request = send;
	socket->users++;
	if (unlikely(!is_known)) {
		/* A longer one that has to wait holds its memory: what waits is not ours to pay for. */
		if (send->held_count == 0) {
			send->op = NULL;
			dgram_pushed(socket, op, 0);
		}
		destination_wait(destination, send);
		return 0;
	}
	dgram_dispatch(destination, send);
	if (collects)
		dgram_pair_add_work(pair);
	else
		dgram_pair_flush(pair);
	return 0;
}

int dgram_push(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
	       const struct sockaddr *address, socklen_t length)
{
	struct dgram_socket *socket = dgram_socket_of(queue);
	struct destination *destination = NULL;
	struct ip_address ip = socket->peer;
	uint16_t port = socket->peer_port;
	int error = 0;

	if (address)
		error = dgram_load_peer(socket, address, length, &ip, &port);
	else if (!port)
		error = -EDESTADDRREQ;
	if (!error)
		error = check_push(socket, sga, &ip);
	if (unlikely(error))
		return error;
	error = -dgram_take_error(socket);
	if (!error)
		error = dgram_ready(socket);
	if (!error)
		error = destination_get(socket, &ip, port, &destination);
	if (unlikely(error)) {
		dgram_complete(socket, op, -error);
		return 0;
	}
	return push_to(socket, op, sga, destination);
}

int dgram_cancel_push(struct dgram_socket *socket, struct op *op)
{
	struct send *send = op->request;
	struct destination *destination = socket->dgrams->seeking;

	for (; destination; destination = destination->seeking_next)
		if (destination_cancel(destination, send))
			return 0;
	return -EBUSY;
}
