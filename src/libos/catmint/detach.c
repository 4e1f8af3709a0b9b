/* SPDX-License-Identifier: MIT */
/* At a close: what waits is sent from copies, and the application gets its memory back. */
#include <errno.h>
#include <string.h>

#include "libos/catmint/connection.h"

/* A copy of its own in the place of the application's memory. */
static bool make_independent(struct connection *connection, struct send *send)
{
	struct catmint *mint = connection->mint;
	unsigned char *copy, *to;

	if (send->held_count == 0)
		return true;
	copy = heap_alloc_io(mint->context->heap, send->payload_bytes);
	if (!copy)
		return false;
	to = copy;
	for (int i = 1; i < send->request.num_sge; i++) {
		memcpy(to, (const void *)(uintptr_t)send->pieces[i].addr, send->pieces[i].length);
		to += send->pieces[i].length;
	}
	mint->counters.copied_bytes += send->payload_bytes;
	send_let_go(mint, send);
	send->request.num_sge = 1;
	send_hold(mint, send, copy);
	heap_free(mint->context->heap, copy);
	return send_add_piece(mint, send, copy, send->payload_bytes);
}

/* What waits and can be copied: no large ones, and not too much. */
static bool may_copy(const struct connection *connection)
{
	uint32_t bytes = 0;

	if (connection->large)
		return false;
	for (const struct send *send = connection->waiting.head; send; send = send->next) {
		bytes += send->payload_bytes;
		if (send->kind == SEND_LARGE || bytes > connection->mint->limits.large_bytes)
			return false;
	}
	return true;
}

bool output_detach(struct connection *connection)
{
	struct send *send;

	if (!may_copy(connection))
		return false;
	for (send = connection->waiting.head; send; send = send->next)
		if (!make_independent(connection, send))
			return false;
	for (send = connection->waiting.head; send; send = send->next)
		output_complete(connection, send, ECANCELED);
	return true;
}
