/* SPDX-License-Identifier: MIT */
/* The queue pair of a datagram socket: its buffers, its requests, its end. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "libos/catmint/datagram.h"
#include "libos/catmint/device.h"

#define BUFFERS_MIN 4u
/* When few are left, the last buffers are for many. */
#define BUFFERS_SHARE 16u

/* --- birth --- */

static int start_qp(const struct catmint *mint, struct ibv_qp *qp)
{
	struct ibv_qp_attr attributes = {
		.qp_state = IBV_QPS_INIT, .port_num = mint->port, .qkey = RDMA_UDP_QKEY};
	int error = mint->calls->modify_qp(
		qp, &attributes, IBV_QP_STATE | IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_QKEY);

	attributes.qp_state = IBV_QPS_RTR;
	if (!error)
		error = mint->calls->modify_qp(qp, &attributes, IBV_QP_STATE);
	attributes.qp_state = IBV_QPS_RTS;
	if (!error)
		error = mint->calls->modify_qp(qp, &attributes, IBV_QP_STATE | IBV_QP_SQ_PSN);
	return -error;
}

/* Devices say only whether they can what is asked for: ask for less. */
static int create_qp(struct dgram_pair *pair)
{
	struct dgrams *dgrams = pair->dgrams;
	struct catmint *mint = dgrams->mint;
	struct ibv_qp_init_attr attributes = {
		.send_cq = mint->cq,
		.recv_cq = mint->cq,
		.cap = {.max_send_wr = mint->limits.send_depth,
			.max_recv_wr = pair->buffers,
			.max_send_sge = mint->limits.pieces_max,
			.max_recv_sge = 1,
			.max_inline_data = dgrams->inline_bytes},
		.qp_type = IBV_QPT_UD,
	};
	uint32_t inline_bytes = dgrams->inline_bytes;
	int error;

	while (!(pair->qp = mint->calls->create_verbs_qp(mint->pd, &attributes))) {
		if ((errno != EINVAL && errno != ENOMEM) || inline_bytes == 0)
			return -errno;
		inline_bytes /= 2;
		attributes.cap.max_inline_data = inline_bytes;
	}
	/* When it was something else that was missing, no less helped. */
	dgrams->inline_bytes = inline_bytes;
	error = start_qp(mint, pair->qp);
	if (!error)
		error = pair_table_add(&dgrams->table, pair->qp->qp_num, pair);
	if (error)
		mint->calls->destroy_verbs_qp(pair->qp);
	return error;
}

/* One datagram of the largest kind has room, and a half more of it. */
static uint32_t count_buffers(const struct dgrams *dgrams)
{
	const struct catmint *mint = dgrams->mint;
	uint32_t parts = DGRAM_BYTES_MAX_V6 / (dgrams->takes - MESSAGE_DATAGRAM_BYTES) + 1;
	uint32_t wanted = mint->limits.datagram_buffers;
	uint32_t room = (mint->limits.receives_max - mint->receives) / BUFFERS_SHARE;

	if (wanted < parts + parts / 2)
		wanted = parts + parts / 2;
	if (wanted > dgrams->buffers_max)
		wanted = dgrams->buffers_max;
	return wanted < room ? wanted : room;
}

static void link_pair(struct dgrams *dgrams, struct dgram_pair *pair)
{
	pair->all_next = dgrams->pairs;
	pair->all_link = &dgrams->pairs;
	if (dgrams->pairs)
		dgrams->pairs->all_link = &pair->all_next;
	dgrams->pairs = pair;
}

int dgram_pair_create(struct dgram_socket *socket, uint16_t port, struct dgram_pair **pair_out)
{
	struct dgrams *dgrams = socket->dgrams;
	uint32_t buffers = count_buffers(dgrams);
	struct dgram_pair *pair;
	int error;

	if (buffers < BUFFERS_MIN)
		return -ENOBUFS;
	pair = calloc(1, sizeof(*pair));
	if (!pair)
		return -ENOMEM;
	pair->dgrams = dgrams;
	pair->socket = socket;
	pair->buffers = buffers;
	pair->port = port;
	error = create_qp(pair);
	if (error) {
		free(pair);
		return error;
	}
	link_pair(dgrams, pair);
	dgram_pair_fill(pair);
	*pair_out = pair;
	return 0;
}

/* --- requests --- */

static bool has_room(const struct dgram_pair *pair)
{
	const struct catmint_limits *limits = &pair->dgrams->mint->limits;

	return pair->posted_count + pair->in_chain < limits->send_depth &&
	       pair->dgrams->mint->sends < limits->sends_max;
}

static void finish(const struct dgram_pair *pair, struct send *send, int error)
{
	struct op *op = send->op;

	if (!op)
		return;
	send->op = NULL;
	if (pair->socket)
		dgram_pushed(pair->socket, op, error);
	else
		catmint_complete(pair->dgrams->mint, op, error);
}

static void put(struct dgram_pair *pair, struct send *send)
{
	if (send->handle)
		handle_release(pair->dgrams, send->handle);
	send_put(pair->dgrams->mint, send);
}

void dgram_pair_drop(struct send *send, int error)
{
	finish(send->pair, send, error);
	put(send->pair, send);
}

static void drop_all(struct send_list *list, int error)
{
	struct send *send;

	while ((send = send_list_take(list)))
		dgram_pair_drop(send, error);
}

/* The device's reason, if it has one, goes before that of the request. */
static int reason(const struct dgram_pair *pair, int error)
{
	int failure = device_look(pair->dgrams->mint);

	return failure ? -failure : error;
}

static void broke(const struct dgram_pair *pair)
{
	if (pair->socket && pair->socket->pair == pair)
		dgram_broke(pair->socket);
}

/* What the device has before @bad it will give back. */
static void refused(struct dgram_pair *pair, const struct ibv_send_wr *bad, int error)
{
	struct send_list list = pair->chain;

	pair->chain = (struct send_list){NULL, NULL};
	pair->in_chain = 0;
	while (list.head && &list.head->request != bad) {
		send_list_append(&pair->posted, send_list_take(&list));
		pair->posted_count++;
	}
	for (const struct send *send = list.head; send; send = send->next)
		pair->dgrams->mint->sends--;
	drop_all(&list, reason(pair, error));
	broke(pair);
}

/* Its last one always asks for a completion: so all come back by themselves. */
void dgram_pair_flush(struct dgram_pair *pair)
{
	struct send_list *chain = &pair->chain;
	struct ibv_send_wr *bad = NULL;
	int error;

	if (!chain->head)
		return;
	chain->tail->request.send_flags |= IBV_SEND_SIGNALED;
	error = ibv_post_send(pair->qp, &chain->head->request, &bad);
	if (unlikely(error)) {
		refused(pair, bad, error);
		return;
	}
	if (pair->posted.tail)
		pair->posted.tail->next = chain->head;
	else
		pair->posted.head = chain->head;
	pair->posted.tail = chain->tail;
	pair->posted_count += pair->in_chain;
	pair->in_chain = 0;
	*chain = (struct send_list){NULL, NULL};
}

static void chain(struct dgram_pair *pair, struct send *send)
{
	struct catmint_counters *counters = &pair->dgrams->mint->counters;

	if (send->request.num_sge == 1 && send->pieces[0].length <= pair->dgrams->inline_bytes)
		send->request.send_flags = IBV_SEND_INLINE;
	if (pair->chain.tail)
		pair->chain.tail->request.next = &send->request;
	send_list_append(&pair->chain, send);
	pair->in_chain++;
	/* When the queue pair fails, each comes back with a completion. */
	pair->dgrams->mint->sends++;
	send->is_posted = true;
	counters->bytes_sent += send->payload_bytes;
	/* All of it was copied. */
	if (send->op && send->held_count == 0)
		finish(pair, send, 0);
}

void dgram_pair_send(struct dgram_pair *pair, struct send *send)
{
	if (unlikely(pair->waiting.head || !has_room(pair))) {
		send_list_append(&pair->waiting, send);
		dgram_pair_add_work(pair);
		return;
	}
	chain(pair, send);
}

/* Room has come. */
static void go_on(struct dgram_pair *pair)
{
	while (pair->waiting.head && has_room(pair))
		chain(pair, send_list_take(&pair->waiting));
	dgram_pair_flush(pair);
}

void dgram_pair_done(struct send *last, enum ibv_wc_status status)
{
	struct dgram_pair *pair = last->pair;
	bool is_good = status == IBV_WC_SUCCESS;
	int error = is_good ? 0 : reason(pair, EIO);
	struct send *send;

	/* In order: what was posted before it is done too. */
	do {
		send = send_list_take(&pair->posted);
		pair->posted_count--;
		pair->dgrams->mint->sends--;
		dgram_pair_drop(send, send != last ? 0 : error);
	} while (send != last);
	if (pair->waiting.head)
		dgram_pair_add_work(pair);
	if (unlikely(!is_good))
		broke(pair);
}

/* --- the end --- */

void dgram_pair_bury(struct dgram_pair *pair, int error, bool is_broken)
{
	destination_drop_waiting(pair->dgrams, pair, error, is_broken);
	dgram_pair_flush(pair);
	drop_all(&pair->waiting, error);
	/* What the device has comes back; its pushes need not wait for that. */
	for (struct send *send = pair->posted.head; send; send = send->next)
		finish(pair, send, error);
	pair->socket = NULL;
	if (pair->dgrams->recent == pair)
		pair->dgrams->recent = NULL;
	parts_forget(pair->dgrams->parts, pair->qp->qp_num);
	dgram_pair_add_work(pair);
}

void dgram_pair_free(struct dgram_pair *pair)
{
	struct dgrams *dgrams = pair->dgrams;
	struct send *send;

	while ((send = send_list_take(&pair->posted))) {
		dgrams->mint->sends--;
		dgram_pair_drop(send, ECANCELED);
	}
	dgrams->mint->receives -= pair->receives;
	pair_table_remove(&dgrams->table, pair->qp->qp_num);
	dgrams->mint->calls->destroy_verbs_qp(pair->qp);
	*pair->all_link = pair->all_next;
	if (pair->all_next)
		pair->all_next->all_link = pair->all_link;
	free(pair);
}

/* What was sent goes out, then the buffers come back, then it can be destroyed. */
static bool end(struct dgram_pair *pair)
{
	struct ibv_qp_attr attributes = {.qp_state = IBV_QPS_ERR};
	const struct catmint *mint = pair->dgrams->mint;

	go_on(pair);
	if (!mint->failure && (pair->posted.head || pair->waiting.head || pair->sought_count > 0))
		return true;
	if (!mint->failure && !pair->is_stopped) {
		pair->is_stopped = true;
		mint->calls->modify_qp(pair->qp, &attributes, IBV_QP_STATE);
	}
	if (!mint->failure && pair->receives > 0)
		return true;
	dgram_pair_free(pair);
	return false;
}

bool dgram_pair_work(struct dgram_pair *pair)
{
	if (unlikely(pair->is_doomed)) {
		pair->is_doomed = false;
		/* What came before is received first. */
		catmint_drain(pair->dgrams->mint);
		broke(pair);
	}
	if (!pair->socket)
		return end(pair);
	go_on(pair);
	/* Which may have broken it. */
	if (pair->socket && pair->receives < pair->buffers)
		dgram_pair_fill(pair);
	return pair->waiting.head || !pair->socket;
}

void dgram_pair_add_work(struct dgram_pair *pair)
{
	if (pair->in_work)
		return;
	pair->in_work = true;
	pair->work_next = pair->dgrams->work;
	pair->dgrams->work = pair;
}
