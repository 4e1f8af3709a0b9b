/* SPDX-License-Identifier: MIT */
/* Connections as a program makes and ends them. */
#include <errno.h>
#include <string.h>

#include "rdma/sim_id.h"

#define RETRY_COUNT_MAX 7

/* ---- Parameters ---- */

static bool is_allowed(const struct sim_id *id, uint8_t reads)
{
	return reads == RDMA_MAX_RESP_RES || reads <= id->device->limits.max_rd_atom;
}

static uint8_t reads_of(const struct sim_id *id, uint8_t asked, uint8_t offered)
{
	uint32_t most = id->device->limits.max_rd_atom;

	if (asked != RDMA_MAX_RESP_RES)
		return asked;
	return offered < most ? offered : (uint8_t)most;
}

/* @other: what the peer has asked for, which is the most that makes sense; NULL: not known. */
static void take_parameters(struct sim_id *id, const struct rdma_conn_param *from,
			    const struct rdma_conn_param *other)
{
	static const struct rdma_conn_param most = {
		.responder_resources = RDMA_MAX_RESP_RES,
		.initiator_depth = RDMA_MAX_INIT_DEPTH,
		.retry_count = RETRY_COUNT_MAX,
		.rnr_retry_count = RETRY_COUNT_MAX,
	};
	struct rdma_conn_param *to = &id->own.parameters;

	*to = from ? *from : most;
	to->private_data = NULL;
	to->responder_resources = reads_of(id, to->responder_resources,
					   other ? other->initiator_depth : RDMA_MAX_RESP_RES);
	to->initiator_depth = reads_of(id, to->initiator_depth,
				       other ? other->responder_resources : RDMA_MAX_INIT_DEPTH);
	if (to->retry_count > RETRY_COUNT_MAX)
		to->retry_count = RETRY_COUNT_MAX;
	if (to->rnr_retry_count > RETRY_COUNT_MAX)
		to->rnr_retry_count = RETRY_COUNT_MAX;
	to->srq = id->id.srq != NULL;
}

static void write_private(struct sim_letter *letter, const void *private_data, uint8_t bytes)
{
	letter->bytes = bytes;
	if (bytes > 0)
		memcpy(letter->private_data, private_data, bytes);
}

/* What the letter of a connect or accept says. */
static int write_letter(struct sim_id *id, const struct rdma_conn_param *parameters,
			const struct rdma_conn_param *other, uint8_t room)
{
	if (parameters && parameters->private_data_len > room)
		return EINVAL;
	if (parameters && !sim_id_is_datagram(id) &&
	    (!is_allowed(id, parameters->responder_resources) ||
	     !is_allowed(id, parameters->initiator_depth)))
		return EINVAL;
	take_parameters(id, parameters, other);
	if (parameters)
		write_private(&id->own, parameters->private_data, parameters->private_data_len);
	if (id->id.qp)
		id->own.qpn = id->id.qp->qp_num;
	else if (parameters)
		id->own.qpn = parameters->qp_num;
	return 0;
}

/* ---- Queue pairs ---- */

static void start_qp(struct sim_id *id, uint8_t reads, uint8_t reads_of_peer, uint8_t retry_count)
{
	struct sim_qp *qp = sim_qp_of(id->id.qp);
	struct sim_qp *peer = id->peer && id->peer->id.qp ? sim_qp_of(id->peer->id.qp) : NULL;
	uint32_t most = id->device->limits.max_rd_atom;

	qp->attributes.max_rd_atomic = reads < most ? reads : (uint8_t)most;
	qp->attributes.max_dest_rd_atomic = reads_of_peer < most ? reads_of_peer : (uint8_t)most;
	qp->attributes.qp_access_flags = IBV_ACCESS_REMOTE_WRITE;
	if (qp->attributes.max_dest_rd_atomic > 0)
		qp->attributes.qp_access_flags |= IBV_ACCESS_REMOTE_READ;
	qp->attributes.retry_cnt = retry_count;
	/* How long its senders are to wait each side says. */
	qp->attributes.rnr_retry = id->other.parameters.rnr_retry_count;
	rdma_sim_qp_aim(qp, peer);
	rdma_sim_qp_ready(qp);
}

/* As the library does it for the program. */
static void fail_qp(struct sim_id *id)
{
	if (!id->id.qp)
		return;
	rdma_sim_qp_fail(sim_qp_of(id->id.qp));
	id->id.qp->state = IBV_QPS_ERR;
}

bool rdma_sim_establish(struct sim_id *id)
{
	const struct rdma_conn_param *other = &id->other.parameters;

	if (id->state != SIM_ID_RESPONDED) {
		fail_qp(id);
		return false;
	}
	if (id->id.qp)
		start_qp(id, other->responder_resources, other->initiator_depth,
			 id->own.parameters.retry_count);
	id->state = SIM_ID_CONNECTED;
	if (id->peer)
		rdma_sim_message(id, id->peer, RDMA_SIM_READY, NULL);
	return true;
}

/* ---- Calls ---- */

static int start_connecting(struct sim_id *id, const struct rdma_conn_param *parameters)
{
	bool is_datagram = sim_id_is_datagram(id);
	int error;

	if (id->device->removed)
		return EIO;
	if (id->state != SIM_ID_ROUTE_RESOLVED || (!is_datagram && !id->id.qp))
		return EINVAL;
	error = write_letter(id, parameters, NULL,
			     is_datagram ? SIM_SEEK_BYTES : SIM_CONNECT_BYTES);
	if (error)
		return error;
	id->state = SIM_ID_CONNECTING;
	rdma_sim_wait_for_answer(id);
	rdma_sim_message(id, NULL, RDMA_SIM_CONNECT, &id->own);
	return 0;
}

int rdma_sim_connect(struct rdma_cm_id *id, struct rdma_conn_param *parameters)
{
	struct sim_network *network = rdma_sim_enter(sim_id_of(id)->device);
	int error = start_connecting(sim_id_of(id), parameters);

	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

static int accept_datagrams(struct sim_id *id, const struct rdma_conn_param *parameters)
{
	int error;

	if (!id->id.qp && !parameters)
		return EINVAL;
	error = write_letter(id, parameters, &id->other.parameters, SIM_FOUND_BYTES);
	if (error)
		return error;
	id->state = SIM_ID_CONNECTED;
	rdma_sim_message(id, id->peer, RDMA_SIM_ACCEPT, &id->own);
	return 0;
}

static int accept_connection(struct sim_id *id, const struct rdma_conn_param *parameters)
{
	int error;

	if (!id->id.qp)
		return EINVAL;
	error = write_letter(id, parameters, &id->other.parameters, SIM_ACCEPT_BYTES);
	if (error)
		return error;
	start_qp(id, id->own.parameters.initiator_depth, id->own.parameters.responder_resources,
		 id->other.parameters.retry_count);
	id->state = SIM_ID_ACCEPTED;
	rdma_sim_wait_for_answer(id);
	rdma_sim_message(id, id->peer, RDMA_SIM_ACCEPT, &id->own);
	return 0;
}

int rdma_sim_accept(struct rdma_cm_id *id_cm, struct rdma_conn_param *parameters)
{
	struct sim_id *id = sim_id_of(id_cm);
	struct sim_network *network = rdma_sim_enter(id->device);
	int error;

	if (id->device->removed)
		error = EIO;
	else if (id->state != SIM_ID_REQUESTED)
		error = EINVAL;
	else if (sim_id_is_datagram(id))
		error = accept_datagrams(id, parameters);
	else
		error = accept_connection(id, parameters);
	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

static void part(struct sim_id *id)
{
	if (id->peer)
		id->peer->peer = NULL;
	id->peer = NULL;
}

static void send_reject(struct sim_id *id, int status, const void *private_data, uint8_t bytes)
{
	struct sim_letter letter = {
		.status = sim_id_is_datagram(id) ? SIM_SEEK_REJECTED : status,
	};

	write_private(&letter, private_data, bytes);
	if (id->peer)
		rdma_sim_message(id, id->peer, RDMA_SIM_REJECT, &letter);
}

int rdma_sim_reject(struct rdma_cm_id *id_cm, const void *private_data, uint8_t bytes)
{
	struct sim_id *id = sim_id_of(id_cm);
	struct sim_network *network = rdma_sim_enter(id->device);
	int error = 0;

	if (id->device->removed)
		error = EIO;
	else if (id->state != SIM_ID_REQUESTED || bytes > SIM_REJECT_BYTES)
		error = EINVAL;
	if (!error) {
		send_reject(id, SIM_REJECT_CONSUMER, private_data, bytes);
		part(id);
		id->state = SIM_ID_OVER;
	}
	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

static int start_disconnecting(struct sim_id *id)
{
	if (id->device->removed)
		return EIO;
	if (id->state < SIM_ID_CONNECTING || sim_id_is_datagram(id))
		return EINVAL;
	fail_qp(id);
	if (id->state == SIM_ID_CONNECTED) {
		id->state = SIM_ID_DISCONNECTING;
		rdma_sim_wait_for_answer(id);
		rdma_sim_message(id, id->peer, RDMA_SIM_DISCONNECT, NULL);
	} else if (id->state == SIM_ID_DISCONNECT_RECEIVED) {
		id->state = SIM_ID_OVER;
		rdma_sim_message(id, id->peer, RDMA_SIM_DISCONNECTED, NULL);
	}
	return 0;
}

int rdma_sim_disconnect(struct rdma_cm_id *id)
{
	struct sim_network *network = rdma_sim_enter(sim_id_of(id)->device);
	int error = start_disconnecting(sim_id_of(id));

	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

void rdma_sim_id_leave(struct sim_id *id)
{
	switch (id->state) {
	case SIM_ID_CONNECTING:
		send_reject(id, SIM_REJECT_TIMEOUT, NULL, 0);
		break;
	case SIM_ID_RESPONDED:
	case SIM_ID_REQUESTED:
	case SIM_ID_ACCEPTED:
		send_reject(id, SIM_REJECT_CONSUMER, NULL, 0);
		break;
	case SIM_ID_CONNECTED:
		if (id->peer && !sim_id_is_datagram(id))
			rdma_sim_message(id, id->peer, RDMA_SIM_DISCONNECT, NULL);
		break;
	case SIM_ID_DISCONNECT_RECEIVED:
		if (id->peer)
			rdma_sim_message(id, id->peer, RDMA_SIM_DISCONNECTED, NULL);
		break;
	default:
		break;
	}
	part(id);
}
