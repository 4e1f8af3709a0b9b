/* SPDX-License-Identifier: MIT */
/*
 * Reliable connections: requests on their way to the peer and responses back, each in order; what
 * is lost is sent again from there on, as is what the peer has no buffer for.
 */
#include "rdma/sim_queue.h"

#define RETRANSMIT_NS_DEFAULT (UINT64_C(4096) << 17)
/*
 * As a count of tries: when the receiver is not ready by IBTA volume 1, 9.7.5.2.8; when there is no
 * answer as Linux's rxe has it (drivers/infiniband/sw/rxe/rxe_comp.c), where that is a count.
 */
#define FOR_EVER 7u

/* IBTA volume 1, table 45: of the receiver's min_rnr_timer, in 10 us. */
static const uint32_t rnr_times[32] = {
	65536, 1,    2,    3,    4,    6,     8,     12,    16,    24,    32,
	48,    64,   96,   128,  192,  256,   384,   512,   768,   1024,  1536,
	2048,  3072, 4096, 6144, 8192, 12288, 16384, 24576, 32768, 49152,
};

static struct sim_network *network_of(const struct sim_qp *qp)
{
	return sim_device_of_qp(qp)->network;
}

/* ---- Repetition ---- */

void rdma_sim_stop(struct sim_qp *qp)
{
	struct sim_clock *clock = &network_of(qp)->clock;

	qp->reads = 0;
	qp->gap = false;
	rdma_sim_clock_clear(clock, &qp->retry);
	for (uint64_t number = qp->ended; number != qp->posted; number++) {
		rdma_sim_clock_clear(clock, &sim_send_at(qp, number)->request);
		rdma_sim_clock_clear(clock, &sim_send_at(qp, number)->response);
	}
}

/* Sends all again that has not ended. */
static void go_back(struct sim_qp *qp)
{
	for (uint64_t number = qp->ended; number != qp->sent; number++)
		rdma_sim_clock_clear(&network_of(qp)->clock, &sim_send_at(qp, number)->request);
	qp->sent = qp->ended;
	qp->reads = 0;
	qp->gap = false;
	qp->request_ns = 0;
	rdma_sim_transmit(qp);
}

static void fail_first(struct sim_qp *qp, enum ibv_wc_status status)
{
	rdma_sim_end_send(qp, status);
	rdma_sim_qp_fail(qp);
}

static void retry(struct sim_clock *clock, struct sim_due *due)
{
	struct sim_qp *qp = container_of(due, struct sim_qp, retry);

	(void)clock;
	if (qp->attributes.retry_cnt != FOR_EVER) {
		if (qp->tries >= qp->attributes.retry_cnt) {
			fail_first(qp, IBV_WC_RETRY_EXC_ERR);
			return;
		}
		qp->tries++;
	}
	sim_device_of_qp(qp)->counters.retransmissions++;
	go_back(qp);
}

/* There was no answer: sends again when that should have come. */
static void wait_for_nothing(struct sim_qp *qp)
{
	struct sim_network *network = network_of(qp);
	uint64_t timeout_ns = qp->timeout_ns;

	if (timeout_ns == 0)
		timeout_ns = network->options.retransmit_ns;
	if (timeout_ns == 0)
		timeout_ns = RETRANSMIT_NS_DEFAULT;
	if (qp->retry.place == 0)
		rdma_sim_clock_set(&network->clock, &qp->retry, network->clock.now_ns + timeout_ns,
				   retry);
}

static void retry_rnr(struct sim_clock *clock, struct sim_due *due)
{
	(void)clock;
	go_back(container_of(due, struct sim_qp, retry));
}

/* Whether it may be tried again, which has been seen to then. */
static bool wait_for_receiver(struct sim_qp *qp, const struct sim_qp *peer)
{
	struct sim_network *network = network_of(qp);
	uint64_t rnr_ns = network->options.rnr_ns;
	uint64_t told_ns = network->clock.now_ns + network->options.delay_ns;

	sim_device_of_qp(qp)->counters.rnr++;
	if (qp->attributes.rnr_retry != FOR_EVER && qp->rnr_tries >= qp->attributes.rnr_retry)
		return false;
	if (rnr_ns == 0)
		rnr_ns = rnr_times[peer->attributes.min_rnr_timer] * UINT64_C(10000);
	qp->rnr_tries++;
	qp->gap = true;
	rdma_sim_clock_set(&network->clock, &qp->retry, told_ns + rnr_ns, retry_rnr);
	return true;
}

/* ---- Responses ---- */

static void end_first(struct sim_qp *qp, enum ibv_wc_status status)
{
	struct sim_clock *clock = &network_of(qp)->clock;
	struct sim_send *send = sim_send_at(qp, qp->ended);

	/* It may be on its way again, or be about to. */
	rdma_sim_clock_clear(clock, &send->request);
	rdma_sim_clock_clear(clock, &send->response);
	if (qp->sent == qp->ended)
		qp->sent++;
	else
		qp->reads -= send->opcode == IBV_WR_RDMA_READ;
	rdma_sim_end_send(qp, status);
}

/* All up to that one, which its response is about. */
static void end_up_to(struct sim_qp *qp, const struct sim_send *last)
{
	uint64_t number = last->number;
	enum ibv_wc_status status = last->status;

	if (!qp->gap)
		rdma_sim_clock_clear(&network_of(qp)->clock, &qp->retry);
	qp->tries = 0;
	/* Completions that overflow end all of them. */
	while (qp->ended < number && qp->state == IBV_QPS_RTS)
		end_first(qp, IBV_WC_SUCCESS);
	if (qp->state != IBV_QPS_RTS)
		return;
	end_first(qp, status);
	if (status != IBV_WC_SUCCESS)
		rdma_sim_qp_fail(qp);
}

static void response_arrives(struct sim_clock *clock, struct sim_due *due)
{
	struct sim_send *send = container_of(due, struct sim_send, response);
	struct sim_qp *qp = send->qp;

	(void)clock;
	if (send->response_lost || rdma_sim_is_deaf(sim_device_of_qp(qp))) {
		wait_for_nothing(qp);
		return;
	}
	end_up_to(qp, send);
	rdma_sim_transmit(qp);
}

static void respond_at(struct sim_qp *qp, struct sim_send *send, sim_happen *happen)
{
	struct sim_network *network = network_of(qp);

	if (rdma_sim_is_instant(network) && qp->ended == send->number)
		happen(&network->clock, &send->response);
	else
		rdma_sim_clock_set(&network->clock, &send->response,
				   rdma_sim_arrival(network, &qp->response_ns), happen);
}

static void respond(struct sim_qp *qp, struct sim_send *send)
{
	uint64_t bytes = send->opcode == IBV_WR_RDMA_READ ? send->bytes : 0;

	/* The peer may be gone when it arrives. */
	send->response_lost = rdma_sim_loses(sim_device_of_qp(qp->peer), sim_device_of_qp(qp),
					     RDMA_SIM_RESPONSE, bytes);
	respond_at(qp, send, response_arrives);
}

/* What the device finds wrong itself ends in order, behind what is under way. */
static void failure_shows(struct sim_clock *clock, struct sim_due *due)
{
	struct sim_send *send = container_of(due, struct sim_send, response);

	(void)clock;
	end_up_to(send->qp, send);
}

/* ---- Requests ---- */

static void refuse(struct sim_qp *qp, struct sim_send *send, enum ibv_wc_status status)
{
	send->status = status;
	qp->failing = true;
	respond(qp, send);
}

/* By the sender's own device. */
static void fail_locally(struct sim_qp *qp, struct sim_send *send, enum ibv_wc_status status)
{
	send->status = status;
	qp->failing = true;
	respond_at(qp, send, failure_shows);
}

static bool fails_with_link(const struct sim_qp *qp)
{
	const struct sim_device *device = sim_device_of_qp(qp);

	return device->link_down && device->limits.down_fails;
}

static void execute(struct sim_qp *qp, struct sim_qp *peer, struct sim_send *send)
{
	struct sim_outcome outcome = rdma_sim_execute(qp, peer, send);

	if (qp->state != IBV_QPS_RTS) /* since the peer was of the same device, and overflowed */
		return;
	switch (outcome.kind) {
	case SIM_DONE:
		qp->executed = send->number + 1;
		qp->rnr_tries = 0;
		respond(qp, send);
		break;
	case SIM_REFUSED:
		refuse(qp, send, outcome.status);
		break;
	case SIM_FAILED:
		fail_locally(qp, send, outcome.status);
		break;
	case SIM_RNR:
		if (!wait_for_receiver(qp, peer))
			refuse(qp, send, IBV_WC_RNR_RETRY_EXC_ERR);
		break;
	case SIM_NO_ANSWER:
		qp->gap = true;
		wait_for_nothing(qp);
		break;
	}
}

static void request_arrives(struct sim_clock *clock, struct sim_due *due)
{
	struct sim_send *send = container_of(due, struct sim_send, request);
	struct sim_qp *qp = send->qp, *peer = qp->peer;
	uint64_t bytes = send->opcode == IBV_WR_RDMA_READ ? 0 : send->bytes;

	(void)clock;
	/* What comes behind something that was lost is not looked at. */
	if (send->number > qp->executed || qp->failing)
		return;
	if (fails_with_link(qp)) {
		fail_locally(qp, send, IBV_WC_LOC_QP_OP_ERR);
		return;
	}
	if (rdma_sim_loses(sim_device_of_qp(qp), peer ? sim_device_of_qp(peer) : NULL,
			   RDMA_SIM_REQUEST, bytes) ||
	    !peer) {
		qp->gap = true;
		wait_for_nothing(qp);
	} else if (send->number < qp->executed) { /* the response was lost */
		respond(qp, send);
	} else {
		execute(qp, peer, send);
	}
}

/* Whether the next one has to wait for reads before it. */
static bool waits(const struct sim_qp *qp, const struct sim_send *send)
{
	if (qp->reads == 0)
		return false;
	return send->fenced ||
	       (send->opcode == IBV_WR_RDMA_READ && qp->reads >= qp->attributes.max_rd_atomic);
}

static void transmit_one(struct sim_qp *qp, struct sim_send *send)
{
	struct sim_network *network = network_of(qp);

	qp->sent++;
	qp->reads += send->opcode == IBV_WR_RDMA_READ;
	if (rdma_sim_is_instant(network) && send->number <= qp->executed)
		request_arrives(&network->clock, &send->request);
	else
		rdma_sim_clock_set(&network->clock, &send->request,
				   rdma_sim_arrival(network, &qp->request_ns), request_arrives);
}

void rdma_sim_transmit(struct sim_qp *qp)
{
	if (qp->transmitting)
		return;
	qp->transmitting = true;
	while (qp->sent != qp->posted && !qp->failing && !qp->gap && qp->state == IBV_QPS_RTS) {
		struct sim_send *send = sim_send_at(qp, qp->sent);

		if (waits(qp, send))
			break;
		transmit_one(qp, send);
	}
	qp->transmitting = false;
}
