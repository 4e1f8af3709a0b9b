/* SPDX-License-Identifier: MIT */
/* What goes out: requests on their way through waiting, chain and posted. */
#include <errno.h>
#include <string.h>

#include "heap/fast.h"
#include "libos/catmint/connection.h"
#include "libos/catmint/device.h"

/* --- to the device --- */

void output_complete(struct connection *connection, struct send *send, int error)
{
	if (send->op) {
		connection_complete(connection, send->op, error);
		send->op = NULL;
	}
}

void output_chain(struct connection *connection, struct send *send)
{
	if (connection->chain.tail)
		connection->chain.tail->request.next = &send->request;
	send_list_append(&connection->chain, send);
	connection->in_chain++;
	connection->mint->sends++;
	send->is_posted = true;
	/* Somebody waits for its end. That of a large message the peer tells. */
	if (send->kind == SEND_READ || send->message == MESSAGE_END ||
	    (send->kind == SEND_MESSAGE && send->held_count))
		connection->chain_signals = true;
}

/* It will not be done; the chain or the device had it. */
static void drop(struct connection *connection, struct send *send, int error)
{
	connection->mint->sends--;
	connection->mint->lasts -= send->kind == SEND_LAST;
	output_complete(connection, send, error);
	if (send->kind == SEND_READ)
		large_done(connection, send, false);
	if (send->kind == SEND_LARGE)
		output_forget_large(connection, send);
	send_put(connection->mint, send);
}

/* What the device has before @bad it will give back, and the connection cannot go on. */
static void refused(struct connection *connection, const struct ibv_send_wr *bad, int error)
{
	struct send_list list = connection->chain;
	int failure = device_look(connection->mint);
	struct send *send;

	if (failure)
		error = -failure;
	connection->chain = (struct send_list){NULL, NULL};
	connection->in_chain = 0;
	while (list.head && &list.head->request != bad) {
		send_list_append(&connection->posted, send_list_take(&list));
		connection->posted_count++;
	}
	while ((send = send_list_take(&list)))
		drop(connection, send, error);
	connection_fail(connection, error);
}

static bool is_time_to_ask(const struct connection *connection)
{
	const struct catmint *mint = connection->mint;

	return connection->unsignalled >= mint->limits.signal_every ||
	       mint->sends > mint->limits.sends_quiet;
}

/* A completion, which ends all that was posted since the last one that asked. */
static void ask(struct connection *connection, struct send *send)
{
	send->request.send_flags |= IBV_SEND_SIGNALED;
	send->shorts = connection->other_posted ? 0 : connection->unsignalled;
	connection->unsignalled = 0;
	connection->other_posted = false;
}

void output_flush(struct connection *connection)
{
	struct send_list *chain = &connection->chain;
	struct ibv_send_wr *bad = NULL;
	int error;

	if (!chain->head)
		return;
	connection->unsignalled += connection->in_chain;
	connection->other_posted = true;
	if (connection->chain_signals || is_time_to_ask(connection)) {
		ask(connection, chain->tail);
		connection->chain_signals = false;
	}
	error = ibv_post_send(connection->qp, &chain->head->request, &bad);
	if (unlikely(error)) {
		refused(connection, bad, error);
		return;
	}
	if (connection->posted.tail)
		connection->posted.tail->next = chain->head;
	else
		connection->posted.head = chain->head;
	connection->posted.tail = chain->tail;
	connection->posted_count += connection->in_chain;
	connection->in_chain = 0;
	*chain = (struct send_list){NULL, NULL};
}

void output_flush_all(struct catmint *mint)
{
	struct connection *connection = connection_list_take(mint, LIST_FLUSHING), *next;

	for (; connection; connection = next) {
		next = connection_list_next(connection, LIST_FLUSHING);
		output_flush(connection);
	}
}

/* --- messages --- */

static void add_large(struct connection *connection, struct send *send)
{
	send->large_next = NULL;
	if (connection->large)
		connection->large_tail->large_next = send;
	else
		connection->large = send;
	connection->large_tail = send;
	connection->large_bytes += send->large_bytes;
	connection_list_add(connection, LIST_WATCHING);
}

/* Its turn has come: it gets its header, with the newest counters, and its credit is used. */
static void chain_message(struct connection *connection, struct send *send)
{
	struct catmint *mint = connection->mint;
	struct message_header header = {
		.kind = send->message,
		.length = send->payload_bytes,
		.counters = {connection->granted, connection->read},
	};

	message_header_store(send->data, &header);
	connection->told = connection->granted;
	connection->read_told = connection->read;
	connection->sent++;
	if (send->request.num_sge == 1 && send->pieces[0].length <= mint->limits.inline_bytes)
		send->request.send_flags = IBV_SEND_INLINE;
	mint->counters.messages_sent++;
	mint->counters.bytes_sent += send->payload_bytes;
	if (send->kind == SEND_LARGE) {
		mint->counters.large_sent++;
		add_large(connection, send);
	} else if (send->op && send->held_count == 0) {
		/* All of it was copied. */
		connection_complete(connection, send->op, 0);
		send->op = NULL;
	}
	output_chain(connection, send);
}

void output_go_on(struct connection *connection)
{
	bool collects = catmint_collects(connection->mint);

	if (connection->error)
		return;
	while (connection->waiting.head && output_has_credit(connection) &&
	       output_may_post(connection))
		chain_message(connection, send_list_take(&connection->waiting));
	if (connection->waiting.head)
		connection_list_add(connection, LIST_WATCHING);
	if (!connection->chain.head)
		return;
	if (collects)
		connection_list_add(connection, LIST_FLUSHING);
	else
		output_flush(connection);
}

static void post_failed(struct connection *connection, struct send *send, int error)
{
	connection->chain = (struct send_list){send, send};
	refused(connection, &send->request, error);
}

bool output_short(struct connection *connection, const void *data, uint32_t bytes)
{
	struct catmint *mint = connection->mint;
	struct send *send = mint->free_sends;
	struct message_header header = {
		MESSAGE_DATA, bytes, {connection->granted, connection->read}};
	struct ibv_send_wr *bad = NULL;
	bool asks = mint->sends > mint->limits.sends_quiet;
	int error;

	if (!send || connection->chain.head || catmint_collects(mint) || connection->waiting.head ||
	    !output_has_credit(connection) || connection->posted_count >= mint->limits.send_depth ||
	    (unlikely(asks) && mint->sends >= mint->limits.sends_max))
		return false;
	mint->free_sends = send->next;
	message_header_store(send->data, &header);
	memcpy(send->data + MESSAGE_HEADER_BYTES, data, bytes);
	send->connection = connection;
	send->pieces[0].length = MESSAGE_HEADER_BYTES + bytes;
	send->request.send_flags = mint->short_flags;
	connection->told = connection->granted;
	connection->read_told = connection->read;
	connection->sent++;
	mint->counters.messages_sent++;
	mint->counters.bytes_sent += bytes;
	mint->counters.copied_bytes += bytes;
	mint->sends++;
	if (unlikely(++connection->unsignalled >= mint->limits.signal_every || asks))
		ask(connection, send);
	error = ibv_post_send(connection->qp, &send->request, &bad);
	if (unlikely(error)) {
		post_failed(connection, send, error);
		return true;
	}
	send_list_append(&connection->posted, send);
	connection->posted_count++;
	return true;
}

void output_enqueue(struct connection *connection, struct send *send)
{
	bool collects = catmint_collects(connection->mint);

	/* It may have come with a message before it, of the same push. */
	if (unlikely(connection->error)) {
		output_complete(connection, send, connection->error);
		send_put(connection->mint, send);
		return;
	}
	if (unlikely(!output_is_free(connection))) {
		connection->mint->counters.credit_waits++;
		send_list_append(&connection->waiting, send);
		output_go_on(connection);
		return;
	}
	chain_message(connection, send);
	if (collects)
		connection_list_add(connection, LIST_FLUSHING);
	else
		output_flush(connection);
}

bool output_end(struct connection *connection)
{
	struct send *send = send_take(connection->mint, connection);

	if (!send)
		return false;
	send->kind = SEND_MESSAGE;
	send->message = MESSAGE_END;
	send->pieces[0].length = MESSAGE_HEADER_BYTES;
	connection->end_sent = true;
	output_enqueue(connection, send);
	return true;
}

/* --- done --- */

static void retire(struct connection *connection, struct send *send, bool is_good)
{
	connection->posted_count--;
	connection->mint->sends--;
	connection->mint->lasts -= send->kind == SEND_LAST;
	send->is_posted = false;
	switch (send->kind) {
	case SEND_LARGE:
		/* Held until the peer has read it. */
		if (!send->is_read && is_good && !connection->error)
			return;
		if (!send->is_read)
			output_forget_large(connection, send);
		break;
	case SEND_READ:
		large_done(connection, send, is_good);
		break;
	default:
		if (is_good)
			output_complete(connection, send, 0);
		if (send->message == MESSAGE_END)
			connection->end_done = true;
		break;
	}
	send_put(connection->mint, send);
}

/* It was not the request that failed. The device, or the queue pair by itself? */
static int reason_of_flush(const struct connection *connection)
{
	int error = device_look(connection->mint);

	if (error)
		return -error;
	return connection->doom ? connection->doom : ECONNRESET;
}

/* Soft-RoCE cannot send while its link is down, and does not try again: it is what a link's silence is. */
static int reason_of_local_failure(const struct connection *connection)
{
	int error = device_look(connection->mint);

	if (error)
		return -error;
	return connection->mint->is_port_down ? ETIMEDOUT : EIO;
}

static int errno_of(const struct connection *connection, enum ibv_wc_status status)
{
	switch (status) {
	case IBV_WC_RETRY_EXC_ERR:
	case IBV_WC_RNR_RETRY_EXC_ERR:
	case IBV_WC_RESP_TIMEOUT_ERR:
		return ETIMEDOUT;
	case IBV_WC_WR_FLUSH_ERR:
		return reason_of_flush(connection);
	case IBV_WC_LOC_QP_OP_ERR:
		return reason_of_local_failure(connection);
	case IBV_WC_REM_OP_ERR:
	case IBV_WC_REM_ABORT_ERR:
		return ECONNRESET;
	case IBV_WC_REM_ACCESS_ERR:
	case IBV_WC_REM_INV_REQ_ERR:
		return EPROTO;
	default:
		return EIO;
	}
}

/* In order: what was posted before it is done too. */
static void retire_up_to(struct connection *connection, const struct send *last, bool is_good)
{
	struct send *send;

	do {
		send = send_list_take(&connection->posted);
		if (likely(send_is_short(send))) {
			connection->posted_count--;
			connection->mint->sends--;
			send_put_short(connection->mint, send);
		} else {
			retire(connection, send, is_good || send != last);
		}
	} while (send != last);
}

/* As retire_up_to, of short ones: nothing is to be done for each. */
static void retire_shorts(struct connection *connection, struct send *last)
{
	struct catmint *mint = connection->mint;
	struct send *first = connection->posted.head;

	connection->posted.head = last->next;
	if (!last->next)
		connection->posted.tail = NULL;
	connection->posted_count -= last->shorts;
	mint->sends -= last->shorts;
	last->next = mint->free_sends;
	mint->free_sends = first;
}

void output_done(struct send *send, enum ibv_wc_status status)
{
	struct connection *connection = send->connection;
	bool is_good = status == IBV_WC_SUCCESS;

	if (unlikely(!is_good && !connection->error))
		connection_fail(connection, errno_of(connection, status));
	if (likely(is_good && send->shorts > 0))
		retire_shorts(connection, send);
	else
		retire_up_to(connection, send, is_good);
	if (unlikely(connection->state == CONNECTION_DYING))
		return;
	if (connection->waiting.head)
		output_go_on(connection);
	if (unlikely(connection->unread != NULL))
		large_begin(connection);
	if (unlikely(connection->state == CONNECTION_CLOSING))
		connection_advance_close(connection);
}

/* --- counters of the peer's --- */

static uint64_t word_of(const struct connection *connection)
{
	return __atomic_load_n(&connection->mint->words[connection->word], __ATOMIC_ACQUIRE);
}

bool output_farewell(const struct connection *connection)
{
	return connection->end_sent && !connection->waiting.head &&
	       message_counters_unpack(word_of(connection)).granted ==
		       connection->sent + MESSAGE_FAREWELL;
}

static void read_by_peer(struct connection *connection)
{
	struct send *send = connection->large;

	connection->large = send->large_next;
	connection->large_bytes -= send->large_bytes;
	send->is_read = true;
	send_let_go(connection->mint, send);
	output_complete(connection, send, 0);
	if (!send->is_posted)
		send_put(connection->mint, send);
}

/* From two ways, of which one may be late. */
static void take_counters(struct connection *connection, struct message_counters counters)
{
	if ((int32_t)(counters.granted - connection->allowed) > 0)
		connection->allowed = counters.granted;
	while ((int32_t)(counters.read - connection->peer_read) > 0 && connection->large) {
		connection->peer_read++;
		read_by_peer(connection);
	}
}

/* Once: what was written long ago would seem to be ahead when the numbers have gone halfway round. */
static void look_at_word(struct connection *connection)
{
	uint64_t word = word_of(connection);

	if (word == connection->word_seen)
		return;
	connection->word_seen = word;
	take_counters(connection, message_counters_unpack(word));
}

void output_all_counters(struct connection *connection, struct message_counters counters)
{
	if ((counters.granted ^ connection->allowed) >> OUTPUT_LOOK_SHIFT)
		look_at_word(connection);
	take_counters(connection, counters);
}

void output_finish(struct connection *connection)
{
	look_at_word(connection);
	for (struct send *send = connection->posted.head; send; send = send->next)
		output_complete(connection, send, 0);
	connection->end_done = true;
}

void output_watch(struct catmint *mint)
{
	struct connection *connection = connection_list_take(mint, LIST_WATCHING), *next;

	for (; connection; connection = next) {
		next = connection_list_next(connection, LIST_WATCHING);
		if (connection->error || !connection->qp)
			continue;
		look_at_word(connection);
		output_go_on(connection);
		if (connection->large)
			connection_list_add(connection, LIST_WATCHING);
		if (connection->state == CONNECTION_CLOSING)
			connection_advance_close(connection);
	}
}

bool output_is_idle(const struct connection *connection)
{
	return connection->end_done && !connection->large;
}

/* --- the end --- */

void output_forget_large(struct connection *connection, const struct send *send)
{
	struct send **link = &connection->large, *before = NULL;

	while (*link && *link != send) {
		before = *link;
		link = &(*link)->large_next;
	}
	if (!*link)
		return;
	*link = send->large_next;
	connection->large_bytes -= send->large_bytes;
	if (connection->large_tail == send)
		connection->large_tail = before;
}

void output_fail(struct connection *connection, int error)
{
	struct send *send, *next;

	/* What is posted comes back flushed; its pushes need not wait for that. */
	for (send = connection->posted.head; send; send = send->next)
		output_complete(connection, send, error);
	while ((send = send_list_take(&connection->chain)))
		drop(connection, send, error);
	connection->in_chain = 0;
	connection->chain_signals = false;
	for (send = connection->large; send; send = next) {
		next = send->large_next;
		output_complete(connection, send, error);
		if (!send->is_posted)
			send_put(connection->mint, send);
	}
	connection->large = NULL;
	connection->large_bytes = 0;
	while ((send = send_list_take(&connection->waiting))) {
		output_complete(connection, send, error);
		send_put(connection->mint, send);
	}
}

void output_drop_posted(struct connection *connection)
{
	struct send *send;

	while ((send = send_list_take(&connection->posted)))
		drop(connection, send, ECONNRESET);
	connection->posted_count = 0;
}
