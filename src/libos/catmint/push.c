/* SPDX-License-Identifier: MIT */
/*
 * Pushes become messages: a short one is copied into its request; one that fits into the peer's receive
 * buffer is sent from where it lies; a longer one is cut into large messages, whose places are told.
 */
#include <errno.h>
#include <string.h>

#include "heap/fast.h"
#include "libos/catmint/connection.h"
#include "libos/catnip/foreign.h"
#include "queue/sga.h"

/* What no push can do here: 0, or -errno. */
static int check(const struct connection *connection, const struct sockaddr *address)
{
	if (address || connection->state == CONNECTION_LISTENING)
		return -EOPNOTSUPP;
	if (connection->state != CONNECTION_CONNECTED)
		return -ENOTCONN;
	return connection->write_shut ? -EPIPE : 0;
}

static unsigned char *copy_array(unsigned char *to, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		memcpy(to, sga->sga_segs[i].sgaseg_buf, sga->sga_segs[i].sgaseg_len);
		to += sga->sga_segs[i].sgaseg_len;
	}
	return to;
}

/* --- short --- */

static int push_short(struct connection *connection, struct op *op, const demi_sgarray_t *sga,
		      uint32_t bytes)
{
	struct send *send = send_take(connection->mint, connection);

	if (!send)
		return -ENOMEM;
	copy_array(send->data + MESSAGE_HEADER_BYTES, sga);
	connection->mint->counters.copied_bytes += bytes;
	send->kind = SEND_MESSAGE;
	send->message = MESSAGE_DATA;
	send->op = op;
	op->request = send;
	send->payload_bytes = bytes;
	send->pieces[0].length = MESSAGE_HEADER_BYTES + bytes;
	output_enqueue(connection, send);
	return 0;
}

/* --- from where it lies --- */

/* An object of the heap with the bytes of @sga, which only the send's hold keeps; NULL: no memory. */
static void *copy_to_heap(struct catmint *mint, const demi_sgarray_t *sga, size_t bytes)
{
	void *copy = heap_alloc_io(mint->context->heap, bytes);

	if (!copy)
		return NULL;
	copy_array(copy, sga);
	mint->counters.copied_bytes += bytes;
	return copy;
}

/* Segments as they are; memory of others is copied, all together when the device takes no more runs. */
struct source {
	demi_sgarray_t sga;
	void *copies[DEMI_SGARRAY_MAXSIZE];
	uint32_t copy_count;
};

static bool copy_foreign(struct catmint *mint, struct source *source, demi_sgaseg_t *segment)
{
	demi_sgarray_t one = {.sga_numsegs = 1, .sga_segs = {*segment}};
	void *copy;

	if (heap_owns(mint->context->heap, segment->sgaseg_buf))
		return true;
	copy = copy_to_heap(mint, &one, segment->sgaseg_len);
	if (!copy)
		return false;
	source->copies[source->copy_count++] = copy;
	segment->sgaseg_buf = copy;
	return true;
}

/* After the messages hold them. */
static void source_fini(struct catmint *mint, struct source *source)
{
	for (uint32_t i = 0; i < source->copy_count; i++)
		heap_free(mint->context->heap, source->copies[i]);
}

static int source_init(struct catmint *mint, struct source *source, const demi_sgarray_t *sga)
{
	source->sga.sga_numsegs = sga->sga_numsegs;
	source->copy_count = 0;
	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		source->sga.sga_segs[i] = sga->sga_segs[i];
		if (!copy_foreign(mint, source, &source->sga.sga_segs[i])) {
			source_fini(mint, source);
			return -ENOMEM;
		}
	}
	return 0;
}

/* false: more runs of memory than the device takes. */
static bool add_segments(const struct catmint *mint, struct send *send, const demi_sgarray_t *sga)
{
	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		if (!send_add_piece(mint, send, sga->sga_segs[i].sgaseg_buf,
				    sga->sga_segs[i].sgaseg_len))
			return false;
	for (uint32_t i = 0; i < sga->sga_numsegs; i++)
		send_hold(mint, send, sga->sga_segs[i].sgaseg_buf);
	return true;
}

/* Two pieces are the least that a device takes: the header, and one for all the rest. */
static bool add_copy(struct catmint *mint, struct send *send, const demi_sgarray_t *sga,
		     uint32_t bytes)
{
	void *copy = copy_to_heap(mint, sga, bytes);

	if (!copy)
		return false;
	send->request.num_sge = 1;
	send->pieces[1] = (struct ibv_sge){
		.addr = (uintptr_t)copy, .length = bytes, .lkey = catmint_lkey(mint, copy, NULL)};
	send->request.num_sge = 2;
	send_hold(mint, send, copy);
	heap_free(mint->context->heap, copy);
	return true;
}

static int push_in_place(struct connection *connection, struct op *op, const demi_sgarray_t *sga,
			 uint32_t bytes)
{
	struct catmint *mint = connection->mint;
	struct send *send = send_take(mint, connection);
	struct source source;

	if (!send)
		return -ENOMEM;
	if (source_init(mint, &source, sga) < 0) {
		send_put(mint, send);
		return -ENOMEM;
	}
	send->kind = SEND_MESSAGE;
	send->message = MESSAGE_DATA;
	send->pieces[0].length = MESSAGE_HEADER_BYTES;
	if (!add_segments(mint, send, &source.sga) && !add_copy(mint, send, &source.sga, bytes)) {
		source_fini(mint, &source);
		send_put(mint, send);
		return -ENOMEM;
	}
	source_fini(mint, &source);
	send->op = op;
	op->request = send;
	send->payload_bytes = bytes;
	output_enqueue(connection, send);
	return 0;
}

/* --- large --- */

/* How far the array has been told. */
struct progress {
	uint32_t segment;
	uint32_t offset;
};

/* The place of one run of memory, up to @room bytes of it; how long it is. */
static uint32_t add_place(const struct catmint *mint, struct send *send,
			  const demi_sgaseg_t *segment, uint32_t offset, uint32_t room)
{
	unsigned char *at = (unsigned char *)segment->sgaseg_buf + offset;
	unsigned char *to = send->data + MESSAGE_HEADER_BYTES + send->payload_bytes;
	uint32_t length = segment->sgaseg_len - offset;
	struct message_place place;
	const struct ibv_mr *mr;
	size_t region;

	mr = (const struct ibv_mr *)heap_handle(mint->context->heap, mint->registrar, at, &region);
	length = length < room ? length : room;
	length = length < region ? length : (uint32_t)region;
	place = (struct message_place){(uintptr_t)at, mr->rkey, length};
	message_place_store(to, &place);
	send->payload_bytes += MESSAGE_PLACE_BYTES;
	return length;
}

/* One message about as much as it may be about. */
static struct send *make_part(struct connection *connection, const demi_sgarray_t *sga,
			      struct progress *progress)
{
	struct catmint *mint = connection->mint;
	uint32_t limit = connection->peer.large_bytes < mint->limits.large_bytes
				 ? connection->peer.large_bytes
				 : mint->limits.large_bytes;
	uint32_t most = limit;
	struct send *send = send_take(mint, connection);
	const demi_sgaseg_t *held = NULL;

	if (!send)
		return NULL;
	send->kind = SEND_LARGE;
	send->message = MESSAGE_LARGE;
	while (progress->segment < sga->sga_numsegs && most > 0 &&
	       send->payload_bytes < MESSAGE_PLACES_MAX * MESSAGE_PLACE_BYTES) {
		const demi_sgaseg_t *segment = &sga->sga_segs[progress->segment];
		uint32_t length = add_place(mint, send, segment, progress->offset, most);

		if (held != segment)
			send_hold(mint, send, segment->sgaseg_buf);
		held = segment;
		most -= length;
		progress->offset += length;
		if (progress->offset == segment->sgaseg_len)
			*progress = (struct progress){progress->segment + 1, 0};
	}
	send->pieces[0].length = MESSAGE_HEADER_BYTES + send->payload_bytes;
	send->large_bytes = limit - most;
	return send;
}

static void free_parts(struct catmint *mint, struct send_list *parts)
{
	struct send *send;

	while ((send = send_list_take(parts)))
		send_put(mint, send);
}

static int make_parts(struct connection *connection, struct send_list *parts,
		      const demi_sgarray_t *sga)
{
	struct progress progress = {0, 0};
	uint32_t count = 0;

	while (progress.segment < sga->sga_numsegs) {
		struct send *send = make_part(connection, sga, &progress);

		if (!send) {
			free_parts(connection->mint, parts);
			return -ENOMEM;
		}
		send_list_append(parts, send);
		count++;
	}
	for (struct send *send = parts->head; send; send = send->next)
		send->last = parts->tail;
	parts->tail->parts = count;
	return 0;
}

static int push_large(struct connection *connection, struct op *op, const demi_sgarray_t *sga)
{
	struct catmint *mint = connection->mint;
	struct send_list parts = {NULL, NULL};
	struct source source;
	struct send *send;
	int error = source_init(mint, &source, sga);

	if (error)
		return error;
	error = make_parts(connection, &parts, &source.sga);
	source_fini(mint, &source);
	if (error)
		return error;
	parts.tail->op = op;
	op->request = parts.tail;
	while ((send = send_list_take(&parts)))
		output_enqueue(connection, send);
	return 0;
}

static bool is_of_heap(const struct catmint *mint, const void *memory)
{
	const struct heap *heap = mint->context->heap;

	return (uintptr_t)memory - (uintptr_t)heap->base < heap->bytes;
}

/* One short segment of the heap: nothing to check, nothing to hold. */
static bool push_fast(struct connection *connection, struct op *op, const demi_sgarray_t *sga)
{
	const struct catmint *mint = connection->mint;
	const demi_sgaseg_t *segment = &sga->sga_segs[0];

	if (sga->sga_numsegs != 1 || segment->sgaseg_len > connection->short_max ||
	    !connection->can_push || !is_of_heap(mint, segment->sgaseg_buf) ||
	    !output_short(connection, segment->sgaseg_buf, segment->sgaseg_len))
		return false;
	/* Not before: who completes something collects. */
	connection_complete(connection, op, connection->error);
	return true;
}

/* One segment of the heap that fits into the peer's buffer: from where it lies, nothing to check. */
static bool push_segment(struct connection *connection, struct op *op, const demi_sgarray_t *sga)
{
	const demi_sgaseg_t *segment = &sga->sga_segs[0];
	struct catmint *mint = connection->mint;
	struct send *send;

	if (sga->sga_numsegs != 1 || !connection->can_push ||
	    segment->sgaseg_len <= connection->short_max ||
	    segment->sgaseg_len > connection->peer.receive_bytes - MESSAGE_HEADER_BYTES ||
	    !is_of_heap(mint, segment->sgaseg_buf))
		return false;
	send = send_take(mint, connection);
	if (!send)
		return false;
	if (!send_add_piece(mint, send, segment->sgaseg_buf, segment->sgaseg_len)) {
		send_put(mint, send);
		return false;
	}
	send_hold(mint, send, segment->sgaseg_buf);
	send->kind = SEND_MESSAGE;
	send->message = MESSAGE_DATA;
	send->op = op;
	send->payload_bytes = segment->sgaseg_len;
	send->pieces[0].length = MESSAGE_HEADER_BYTES;
	op->request = send;
	output_enqueue(connection, send);
	return true;
}

static __attribute__((noinline)) int push_any(struct connection *connection, struct op *op,
					      const demi_sgarray_t *sga,
					      const struct sockaddr *address)
{
	const struct catmint *mint = connection->mint;
	size_t bytes = sga_length(sga), room;
	int error = check(connection, address);

	if (!error && !foreign_is_readable(mint->context->heap, sga))
		error = -EFAULT;
	if (unlikely(error))
		return error;
	if (unlikely(connection->error)) {
		connection_complete(connection, op, connection->error);
		return 0;
	}
	room = connection->peer.receive_bytes - MESSAGE_HEADER_BYTES;
	/* One that has to wait holds its memory, so that what waits is not ours to pay for. */
	if (bytes <= connection->short_max && output_is_free(connection))
		return push_short(connection, op, sga, (uint32_t)bytes);
	if (bytes <= room)
		return push_in_place(connection, op, sga, (uint32_t)bytes);
	return push_large(connection, op, sga);
}

int push_array(struct queue *queue, struct op *op, const demi_sgarray_t *sga,
	       const struct sockaddr *address, socklen_t length)
{
	struct connection *connection = connection_of(queue);

	(void)length;
	if (likely(!address) &&
	    (push_fast(connection, op, sga) || push_segment(connection, op, sga)))
		return 0;
	return push_any(connection, op, sga, address);
}

/* --- cancelled --- */

static uint32_t count_waiting(const struct connection *connection, const struct send *last)
{
	uint32_t count = 0;

	for (const struct send *send = connection->waiting.head; send; send = send->next)
		count += send->last == last;
	return count;
}

/* Whole or not at all: none of its messages may have gone. */
int push_cancel_one(struct connection *connection, struct op *op)
{
	const struct send *last = op->request;
	struct send_list all = connection->waiting;
	struct send *send;

	if (count_waiting(connection, last) < last->parts)
		return -EBUSY;
	connection->waiting = (struct send_list){NULL, NULL};
	while ((send = send_list_take(&all))) {
		if (send->last == last)
			send_put(connection->mint, send);
		else
			send_list_append(&connection->waiting, send);
	}
	connection_complete(connection, op, ECANCELED);
	return 0;
}
