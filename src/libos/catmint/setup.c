/* SPDX-License-Identifier: MIT */
/*
 * How connections come to be and end on the network: by the connection manager, which resolves IP
 * addresses and exchanges what the two queue pairs have to know, our hello with it.
 *
 * A connection that is asked for is accepted at once, up to the backlog, as a TCP of a kernel does:
 * the application's accept only takes it.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "libos/catmint/address.h"
#include "libos/catmint/setup.h"

#define PRIVATE_BYTES_MAX 56u /* of a request for a reliable connection, by IP address */
/* Of the device's, of packets that are not acknowledged. Not 7, by which Soft-RoCE never gives up. */
#define RETRIES 6u
#define RETRIES_FOREVER 7u /* while the peer has no buffer, which credits make sure that it has */

_Static_assert(MESSAGE_HELLO_BYTES <= PRIVATE_BYTES_MAX, "a hello fits into a request");

/* --- addresses --- */

int setup_local_address(const struct connection *connection, struct ip_address *ip, uint16_t *port)
{
	const struct sockaddr *address = connection->id
						 ? rdma_get_local_addr(connection->id)
						 : (const struct sockaddr *)&connection->local;

	return from_sockaddr(address, ip, port) ? 0 : -ENOTCONN;
}

int setup_peer_address(const struct connection *connection, struct ip_address *ip, uint16_t *port)
{
	if (!connection->id)
		return -ENOTCONN;
	return from_sockaddr(rdma_get_peer_addr(connection->id), ip, port) ? 0 : -ENOTCONN;
}

/* --- id and queue pair --- */

void setup_count_opening(struct connection *connection, bool is_opening)
{
	struct catmint *mint = connection->mint;

	if (connection->is_opening == is_opening)
		return;
	connection->is_opening = is_opening;
	mint->opening += is_opening ? 1 : -1u;
	mint->events_at_ns = 0;
}

int setup_create_id(struct connection *connection)
{
	struct catmint *mint = connection->mint;
	int on = 1;

	if (mint->calls->create_id(mint->events, &connection->id, &connection->target,
				   RDMA_PS_TCP) < 0) {
		connection->id = NULL;
		return -errno;
	}
	if (connection->reuse_address)
		mint->calls->set_option(connection->id, RDMA_OPTION_ID, RDMA_OPTION_ID_REUSEADDR,
					&on, sizeof(on));
	if (connection->v6_only)
		mint->calls->set_option(connection->id, RDMA_OPTION_ID, RDMA_OPTION_ID_AFONLY, &on,
					sizeof(on));
	return 0;
}

static int try_bind(void *socket, struct sockaddr_storage *address)
{
	struct connection *connection = socket;
	const struct catmint *mint = connection->mint;
	int error = setup_create_id(connection);

	if (!connection->id)
		return error;
	if (mint->calls->bind_addr(connection->id, (struct sockaddr *)address) < 0)
		error = errno == ENODEV ? -EADDRNOTAVAIL : -errno;
	else if (connection->id->verbs && connection->id->verbs != mint->verbs)
		error = -EADDRNOTAVAIL;
	if (error)
		setup_abandon(connection);
	return error;
}

static void drop_bound(void *socket)
{
	setup_abandon(socket);
}

int setup_bind_id(struct connection *connection, struct sockaddr_storage *address)
{
	static const struct address_binder binder = {try_bind, drop_bound};

	return address_bind(&binder, connection, address);
}

int setup_bind(struct connection *connection, const struct ip_address *ip, uint16_t port)
{
	struct sockaddr_storage address;
	int error;

	to_sockaddr(&address, ip, port);
	error = setup_bind_id(connection, &address);
	if (error)
		return error;
	memcpy(&connection->local, rdma_get_local_addr(connection->id), sizeof(connection->local));
	connection->is_bound = true;
	return 0;
}

static void destroy_qp(struct connection *connection)
{
	struct catmint *mint = connection->mint;
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};

	if (!connection->qp)
		return;
	/* Its completions are forgotten with it, and would give buffers back. */
	mint->calls->modify_qp(connection->qp, &attributes, IBV_QP_STATE);
	catmint_drain(mint);
	pair_table_remove(&mint->table, connection->qp->qp_num);
	mint->calls->destroy_qp(connection->id);
	connection->qp = NULL;
	connection->doom = 0;
	connection_list_remove(connection, LIST_DOOMED);
	credit_end(connection);
	mint->words[connection->word] = 0;
	mint->free_words[mint->free_word_count++] = connection->word;
}

void setup_abandon(struct connection *connection)
{
	struct catmint *mint = connection->mint;

	setup_count_opening(connection, false);
	timer_cancel(&mint->context->sched.timers, &connection->timer);
	destroy_qp(connection);
	if (connection->id)
		mint->calls->destroy_id(connection->id);
	connection->id = NULL;
}

/* Devices say only whether they can what is asked for: ask for less. */
static int create_qp(struct connection *connection)
{
	struct catmint *mint = connection->mint;
	struct ibv_qp_init_attr attributes = {
		.send_cq = mint->cq,
		.recv_cq = mint->cq,
		.srq = mint->srq,
		.cap = {.max_send_wr = mint->limits.send_depth + 1, /* one to find its end by */
			.max_recv_wr = mint->srq ? 0 : mint->limits.credits_max,
			.max_send_sge = mint->limits.pieces_max,
			.max_recv_sge = 1,
			.max_inline_data = mint->limits.inline_bytes},
		.qp_type = IBV_QPT_RC,
	};

	uint32_t inline_bytes = mint->limits.inline_bytes;

	while (mint->calls->create_qp(connection->id, mint->pd, &attributes) < 0) {
		if ((errno != EINVAL && errno != ENOMEM) || inline_bytes == 0)
			return -errno;
		inline_bytes /= 2;
		attributes.cap.max_inline_data = inline_bytes;
	}
	if (inline_bytes == 0 && mint->limits.inline_bytes > 0)
		log_info("catmint: %s copies nothing into requests", mint->verbs->device->name);
	/* When it was something else that was missing, no less helped. */
	mint->limits.inline_bytes = inline_bytes;
	connection->qp = connection->id->qp;
	mint->short_flags = mint->limits.inline_bytes >=
					    mint->limits.copy_bytes + MESSAGE_HEADER_BYTES
				    ? IBV_SEND_INLINE
				    : 0;
	return 0;
}

int setup_prepare(struct connection *connection)
{
	struct catmint *mint = connection->mint;
	int error;

	if (mint->free_word_count == 0)
		return -ENOBUFS;
	error = create_qp(connection);
	if (error)
		return error;
	error = pair_table_add(&mint->table, connection->qp->qp_num, connection);
	if (error) {
		mint->calls->destroy_qp(connection->id);
		connection->qp = NULL;
		return error;
	}
	connection->word = mint->free_words[--mint->free_word_count];
	return credit_start(connection);
}

void setup_make_hello(const struct connection *connection, unsigned char *hello)
{
	const struct catmint *mint = connection->mint;
	struct message_hello ours = {
		.receive_bytes = mint->limits.receive_bytes,
		.granted = connection->granted,
		.counters = (uintptr_t)&mint->words[connection->word],
		.counters_rkey = mint->words_mr->rkey,
		.large_bytes = mint->limits.large_bytes,
	};

	message_hello_store(hello, &ours);
}

struct rdma_conn_param setup_parameters(const struct connection *connection,
					const unsigned char *hello)
{
	return (struct rdma_conn_param){
		.private_data = hello,
		.private_data_len = MESSAGE_HELLO_BYTES,
		.responder_resources = (uint8_t)connection->mint->limits.reads_max,
		.initiator_depth = (uint8_t)connection->mint->limits.reads_max,
		.retry_count = RETRIES,
		.rnr_retry_count = RETRIES_FOREVER,
	};
}

/* What goes before the first message. The word of counters may be written from now on. */
void setup_meet(struct connection *connection, const struct message_hello *peer)
{
	connection->peer = *peer;
	connection->short_max = peer->receive_bytes - MESSAGE_HEADER_BYTES;
	if (connection->short_max > connection->mint->limits.copy_bytes)
		connection->short_max = connection->mint->limits.copy_bytes;
	connection->allowed = peer->granted;
	connection->word_seen = message_counters_pack(
		(struct message_counters){.granted = peer->granted, .read = 0});
	connection->mint->words[connection->word] = connection->word_seen;
	connection->heard_ns = connection->mint->context->now_ns;
}
