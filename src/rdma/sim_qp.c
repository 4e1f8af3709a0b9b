/* SPDX-License-Identifier: MIT */
/* Queue pairs: birth, states, death. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rdma/sim_queue.h"

/* A number is the index of the pair in its table, and above that a variant. */
#define INDEX_BITS 17
#define VARIANTS 128u
#define RETRY_COUNT_MAX 7
#define RNR_TIMER_MAX 31

static struct sim_pd *pd_of(struct ibv_pd *pd)
{
	return container_of(pd, struct sim_pd, pd);
}

/* ---- Birth ---- */

static int check(const struct sim_device *device, const struct ibv_qp_init_attr *attributes)
{
	const struct rdma_sim_limits *limits = &device->limits;
	const struct ibv_qp_cap *cap = &attributes->cap;

	if (device->removed)
		return EIO;
	if (!attributes->send_cq || !attributes->recv_cq ||
	    (attributes->qp_type != IBV_QPT_RC && attributes->qp_type != IBV_QPT_UD))
		return EINVAL;
	if (cap->max_send_wr > limits->max_qp_wr || cap->max_recv_wr > limits->max_qp_wr ||
	    cap->max_send_sge > limits->max_sge || cap->max_recv_sge > limits->max_sge ||
	    cap->max_inline_data > limits->max_inline)
		return EINVAL;
	return device->counts[SIM_QP] >= limits->max_qp ? ENOMEM : 0;
}

static bool alloc_sends(struct sim_qp *qp)
{
	const struct ibv_qp_cap *cap = &qp->cap;
	size_t room = 1;

	while (room < cap->max_send_wr)
		room *= 2;
	qp->send_mask = (uint32_t)room - 1;
	qp->sends = calloc(room, sizeof(qp->sends[0]));
	/* One more: what is inline is one segment. */
	qp->segments = calloc(room * (cap->max_send_sge + 1), sizeof(qp->segments[0]));
	qp->inline_data = malloc(room * cap->max_inline_data + 1);
	return qp->sends && qp->segments && qp->inline_data;
}

static void qp_free(struct sim_qp *qp)
{
	rdma_sim_receive_queue_fini(&qp->receive);
	free(qp->sends);
	free(qp->segments);
	free(qp->inline_data);
	free(qp);
}

static struct sim_qp *qp_alloc(const struct ibv_qp_init_attr *attributes)
{
	struct sim_qp *qp = calloc(1, sizeof(*qp));

	if (!qp)
		return NULL;
	qp->cap = attributes->cap;
	if (attributes->srq)
		qp->cap.max_recv_wr = qp->cap.max_recv_sge = 0;
	if (alloc_sends(qp) &&
	    rdma_sim_receive_queue_init(&qp->receive, qp->cap.max_recv_wr, qp->cap.max_recv_sge))
		return qp;
	qp_free(qp);
	return NULL;
}

static void qp_init(struct sim_qp *qp, struct ibv_pd *pd, const struct ibv_qp_init_attr *attributes)
{
	qp->qp = (struct ibv_qp){
		.context = pd->context,
		.qp_context = attributes->qp_context,
		.pd = pd,
		.send_cq = attributes->send_cq,
		.recv_cq = attributes->recv_cq,
		.srq = attributes->srq,
		.state = IBV_QPS_INIT,
		.qp_type = attributes->qp_type,
	};
	qp->state = IBV_QPS_INIT;
	qp->is_datagram = attributes->qp_type == IBV_QPT_UD;
	qp->signal_all = attributes->sq_sig_all != 0;
	qp->attributes.retry_cnt = RETRY_COUNT_MAX;
	qp->attributes.rnr_retry = RETRY_COUNT_MAX;
	qp->attributes.port_num = 1;
	qp->attributes.qkey = RDMA_UDP_QKEY;
	qp->attributes.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
}

static bool qp_add(struct sim_device *device, struct sim_qp *qp)
{
	uint32_t index = rdma_sim_table_add(&device->qps, qp, RDMA_SIM_QP_MAX);

	if (index == 0)
		return false;
	qp->qp.qp_num = device->variant++ % VARIANTS << INDEX_BITS | index;
	qp->qp.handle = index;
	device->counts[SIM_QP]++;
	pd_of(qp->qp.pd)->users++;
	sim_cq_of(qp->qp.send_cq)->users++;
	sim_cq_of(qp->qp.recv_cq)->users++;
	if (qp->qp.srq)
		sim_srq_of(qp->qp.srq)->users++;
	return true;
}

struct sim_qp *rdma_sim_qp_create(struct sim_device *device, struct ibv_pd *pd,
				  struct ibv_qp_init_attr *attributes)
{
	struct sim_qp *qp;
	int error = check(device, attributes);

	if (error) {
		errno = error;
		return NULL;
	}
	qp = qp_alloc(attributes);
	if (!qp)
		return NULL;
	qp_init(qp, pd, attributes);
	if (!qp_add(device, qp)) {
		qp_free(qp);
		errno = ENOMEM;
		return NULL;
	}
	attributes->cap = qp->cap;
	if (qp->is_datagram)
		rdma_sim_qp_ready(qp);
	return qp;
}

struct sim_qp *rdma_sim_qp_by_number(const struct sim_device *device, uint32_t number)
{
	struct sim_qp *qp = rdma_sim_table_get(&device->qps,
					       number & ((UINT32_C(1) << INDEX_BITS) - 1));

	return qp && qp->qp.qp_num == number ? qp : NULL;
}

/* ---- States ---- */

static void remove_sender(struct sim_qp *peer, const struct sim_qp *qp)
{
	struct sim_qp **place = &peer->senders;

	while (*place != qp)
		place = &(*place)->sender_next;
	*place = qp->sender_next;
}

void rdma_sim_qp_aim(struct sim_qp *qp, struct sim_qp *peer)
{
	if (qp->peer)
		remove_sender(qp->peer, qp);
	qp->peer = peer;
	if (!peer)
		return;
	qp->sender_next = peer->senders;
	peer->senders = qp;
	qp->attributes.dest_qp_num = peer->qp.qp_num;
}

void rdma_sim_qp_ready(struct sim_qp *qp)
{
	if (qp->state == IBV_QPS_INIT)
		qp->state = qp->qp.state = IBV_QPS_RTS;
}

void rdma_sim_qp_fail(struct sim_qp *qp)
{
	if (qp->state == IBV_QPS_ERR || qp->state == IBV_QPS_RESET)
		return;
	qp->state = IBV_QPS_ERR;
	rdma_sim_stop(qp);
	while (qp->ended != qp->posted)
		rdma_sim_end_send(qp, IBV_WC_WR_FLUSH_ERR);
	rdma_sim_flush_receives(qp);
	if (qp->qp.srq)
		rdma_sim_tell_qp(&qp->qp, IBV_EVENT_QP_LAST_WQE_REACHED);
}

/* Forgets what it had to do; completions too. */
static void qp_reset(struct sim_qp *qp)
{
	rdma_sim_stop(qp);
	rdma_sim_qp_aim(qp, NULL);
	rdma_sim_cq_forget(sim_cq_of(qp->qp.send_cq), qp);
	rdma_sim_cq_forget(sim_cq_of(qp->qp.recv_cq), qp);
	qp->state = IBV_QPS_RESET;
	qp->posted = qp->sent = qp->executed = qp->ended = qp->polled = 0;
	qp->receive.posted = qp->receive.taken = qp->receive.polled = 0;
	qp->failing = false;
}

void rdma_sim_qp_destroy(struct sim_qp *qp)
{
	struct sim_device *device = sim_device_of_qp(qp);

	while (qp->senders)
		rdma_sim_qp_aim(qp->senders, NULL);
	qp_reset(qp);
	rdma_sim_async_forget(device, &qp->qp);
	if (qp->async_fetched != qp->qp.events_completed) {
		log_error("sim: a queue pair is destroyed before its events have been "
			  "acknowledged; the library would wait for that");
		assert(false);
	}
	device->qps.entries[qp->qp.handle] = NULL;
	device->counts[SIM_QP]--;
	pd_of(qp->qp.pd)->users--;
	sim_cq_of(qp->qp.send_cq)->users--;
	sim_cq_of(qp->qp.recv_cq)->users--;
	if (qp->qp.srq)
		sim_srq_of(qp->qp.srq)->users--;
	qp_free(qp);
}

/* ---- By the program ---- */

struct ibv_qp *rdma_sim_create_verbs_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attributes)
{
	struct sim_device *device = sim_device_of_context(pd->context);
	struct sim_network *network = rdma_sim_enter(device);
	struct sim_qp *qp = rdma_sim_qp_create(device, pd, attributes);

	if (qp) {
		qp->state = qp->qp.state = IBV_QPS_RESET;
		qp->attributes.qkey = 0;
	}
	rdma_sim_leave(network);
	return qp ? &qp->qp : NULL;
}

int rdma_sim_destroy_verbs_qp(struct ibv_qp *qp)
{
	struct sim_network *network = rdma_sim_enter(sim_device_of_context(qp->context));

	rdma_sim_qp_destroy(sim_qp_of(qp));
	rdma_sim_leave(network);
	return 0;
}

/* Into which states it may go from the one it has: IBTA volume 1, 10.3.1. */
static bool may_become(const struct sim_qp *qp, enum ibv_qp_state state)
{
	switch (state) {
	case IBV_QPS_RESET:
	case IBV_QPS_ERR:
		return true;
	case IBV_QPS_INIT:
		return qp->state == IBV_QPS_RESET || qp->state == IBV_QPS_INIT;
	case IBV_QPS_RTR:
		return qp->state == IBV_QPS_INIT;
	case IBV_QPS_RTS:
		return qp->state == IBV_QPS_RTR || qp->state == IBV_QPS_RTS;
	default:
		return false;
	}
}

static void become(struct sim_qp *qp, enum ibv_qp_state state)
{
	if (state == IBV_QPS_RESET)
		qp_reset(qp);
	else if (state == IBV_QPS_ERR)
		rdma_sim_qp_fail(qp);
	else
		qp->state = state;
	qp->qp.state = state;
}

static bool are_valid(const struct sim_qp *qp, const struct ibv_qp_attr *attributes, int mask)
{
	const struct sim_device *device = sim_device_of_qp(qp);
	const int known = IBV_QP_STATE | IBV_QP_ACCESS_FLAGS | IBV_QP_QKEY | IBV_QP_RETRY_CNT |
			  IBV_QP_RNR_RETRY | IBV_QP_TIMEOUT | IBV_QP_MIN_RNR_TIMER |
			  IBV_QP_MAX_QP_RD_ATOMIC | IBV_QP_MAX_DEST_RD_ATOMIC | IBV_QP_DEST_QPN |
			  IBV_QP_PKEY_INDEX | IBV_QP_PORT | IBV_QP_AV | IBV_QP_PATH_MTU |
			  IBV_QP_RQ_PSN | IBV_QP_SQ_PSN | IBV_QP_CUR_STATE;

	return !(mask & ~known) &&
	       (!(mask & IBV_QP_STATE) || may_become(qp, attributes->qp_state)) &&
	       (!(mask & IBV_QP_RETRY_CNT) || attributes->retry_cnt <= RETRY_COUNT_MAX) &&
	       (!(mask & IBV_QP_RNR_RETRY) || attributes->rnr_retry <= RETRY_COUNT_MAX) &&
	       (!(mask & IBV_QP_MIN_RNR_TIMER) || attributes->min_rnr_timer <= RNR_TIMER_MAX) &&
	       (!(mask & IBV_QP_TIMEOUT) || attributes->timeout <= RNR_TIMER_MAX) &&
	       (!(mask & IBV_QP_MAX_QP_RD_ATOMIC) ||
		attributes->max_rd_atomic <= device->limits.max_rd_atom) &&
	       (!(mask & IBV_QP_MAX_DEST_RD_ATOMIC) ||
		attributes->max_dest_rd_atomic <= device->limits.max_rd_atom);
}

/* Whoever has that number, of the devices of the network. */
static struct sim_qp *find_peer(const struct sim_qp *qp, const struct ibv_qp_attr *attributes)
{
	const struct sim_device *device = sim_device_of_qp(qp);
	const struct sim_device *other = rdma_sim_device_with(device->network,
							      &attributes->ah_attr.grh.dgid);

	return other ? rdma_sim_qp_by_number(other, attributes->dest_qp_num) : NULL;
}

static void take_attributes(struct sim_qp *qp, const struct ibv_qp_attr *from, int mask)
{
	struct ibv_qp_attr *to = &qp->attributes;

	if (mask & IBV_QP_ACCESS_FLAGS)
		to->qp_access_flags = from->qp_access_flags;
	if (mask & IBV_QP_QKEY)
		to->qkey = from->qkey;
	if (mask & IBV_QP_RETRY_CNT)
		to->retry_cnt = from->retry_cnt;
	if (mask & IBV_QP_RNR_RETRY)
		to->rnr_retry = from->rnr_retry;
	if (mask & IBV_QP_MIN_RNR_TIMER)
		to->min_rnr_timer = from->min_rnr_timer;
	if (mask & IBV_QP_MAX_QP_RD_ATOMIC)
		to->max_rd_atomic = from->max_rd_atomic;
	if (mask & IBV_QP_MAX_DEST_RD_ATOMIC)
		to->max_dest_rd_atomic = from->max_dest_rd_atomic;
	if (mask & IBV_QP_AV)
		to->ah_attr = from->ah_attr;
	if (mask & IBV_QP_TIMEOUT) {
		to->timeout = from->timeout;
		qp->timeout_ns = from->timeout ? UINT64_C(4096) << from->timeout : 0;
	}
	if (mask & IBV_QP_DEST_QPN && !qp->is_datagram)
		rdma_sim_qp_aim(qp, find_peer(qp, from));
}

int rdma_sim_modify_qp(struct ibv_qp *qp_verbs, struct ibv_qp_attr *attributes, int mask)
{
	struct sim_qp *qp = sim_qp_of(qp_verbs);
	struct sim_device *device = sim_device_of_qp(qp);
	struct sim_network *network = rdma_sim_enter(device);
	int error = 0;

	if (device->removed)
		error = EIO;
	else if (!are_valid(qp, attributes, mask))
		error = EINVAL;
	if (!error) {
		take_attributes(qp, attributes, mask);
		if (mask & IBV_QP_STATE)
			become(qp, attributes->qp_state);
	}
	rdma_sim_leave(network);
	return error;
}

int rdma_sim_query_qp(struct ibv_qp *qp_verbs, struct ibv_qp_attr *attributes, int mask,
		      struct ibv_qp_init_attr *init)
{
	struct sim_qp *qp = sim_qp_of(qp_verbs);
	struct sim_device *device = sim_device_of_qp(qp);
	struct sim_network *network = rdma_sim_enter(device);
	int error = device->removed ? EIO : 0;

	(void)mask;
	*attributes = qp->attributes;
	attributes->qp_state = attributes->cur_qp_state = qp->state;
	attributes->cap = qp->cap;
	*init = (struct ibv_qp_init_attr){
		.qp_context = qp_verbs->qp_context,
		.send_cq = qp_verbs->send_cq,
		.recv_cq = qp_verbs->recv_cq,
		.srq = qp_verbs->srq,
		.cap = qp->cap,
		.qp_type = qp_verbs->qp_type,
		.sq_sig_all = qp->signal_all,
	};
	rdma_sim_leave(network);
	return error;
}
