/* SPDX-License-Identifier: MIT */
/* What requests do where they arrive. */
#include "rdma/sim_queue.h"

static const struct sim_outcome done = {SIM_DONE, IBV_WC_SUCCESS};

static struct sim_outcome refused(enum ibv_wc_status status)
{
	return (struct sim_outcome){SIM_REFUSED, status};
}

/* ---- Receives ---- */

struct sim_completion *rdma_sim_receive(struct sim_qp *qp, const struct sim_buffer *buffer,
					enum ibv_wc_status status)
{
	struct sim_completion *completion = rdma_sim_complete(sim_cq_of(qp->qp.recv_cq), qp,
							      status);

	if (!completion)
		return NULL;
	completion->queue = buffer->queue;
	completion->wc.wr_id = buffer->receive->wr_id;
	return completion;
}

void rdma_sim_receive_fails(struct sim_qp *qp, const struct sim_buffer *buffer,
			    enum ibv_wc_status status)
{
	sim_device_of_qp(qp)->counters.errors++;
	if (rdma_sim_receive(qp, buffer, status))
		rdma_sim_notify(sim_cq_of(qp->qp.recv_cq), true);
	rdma_sim_qp_fail(qp);
}

static void deliver(struct sim_qp *peer, const struct sim_buffer *buffer,
		    const struct sim_send *send, enum ibv_wc_opcode opcode)
{
	struct sim_completion *completion = rdma_sim_receive(peer, buffer, IBV_WC_SUCCESS);

	if (!completion)
		return;
	completion->wc.opcode = opcode;
	completion->wc.byte_len = (uint32_t)send->bytes;
	if (send->opcode != IBV_WR_SEND) {
		completion->wc.wc_flags = IBV_WC_WITH_IMM;
		completion->wc.imm_data = send->immediate;
	}
	rdma_sim_notify(sim_cq_of(peer->qp.recv_cq), send->solicited);
}

/* ---- Each kind ---- */

static struct sim_outcome send_message(struct sim_qp *qp, struct sim_qp *peer,
				       const struct sim_send *send)
{
	struct sim_buffer buffer;

	if (!rdma_sim_take(peer, &buffer))
		return (struct sim_outcome){SIM_RNR, IBV_WC_SUCCESS};
	if (!rdma_sim_may_use(sim_device_of_qp(peer), buffer.pd, buffer.segments,
			      buffer.receive->count, IBV_ACCESS_LOCAL_WRITE)) {
		rdma_sim_receive_fails(peer, &buffer, IBV_WC_LOC_PROT_ERR);
		return refused(IBV_WC_REM_OP_ERR);
	}
	if (send->bytes > rdma_sim_bytes(buffer.segments, buffer.receive->count)) {
		rdma_sim_receive_fails(peer, &buffer, IBV_WC_LOC_LEN_ERR);
		return refused(IBV_WC_REM_INV_REQ_ERR);
	}
	rdma_sim_copy(buffer.segments, 0, sim_send_segments(qp, send->number), send->count);
	deliver(peer, &buffer, send, IBV_WC_RECV);
	return done;
}

static struct sim_outcome violation(struct sim_qp *peer, enum ibv_event_type event,
				    enum ibv_wc_status status)
{
	rdma_sim_tell_qp(&peer->qp, event);
	rdma_sim_qp_fail(peer);
	return refused(status);
}

/* Nobody has to allow nothing. */
static bool may_reach(const struct sim_qp *peer, const struct sim_send *send,
		      enum ibv_access_flags access)
{
	return send->bytes == 0 ||
	       ((peer->attributes.qp_access_flags & access) &&
		rdma_sim_may_reach(sim_device_of_qp(peer), peer->qp.pd, send->remote_address,
				   send->bytes, send->remote_key, (int)access));
}

static struct sim_outcome write_memory(struct sim_qp *qp, struct sim_qp *peer,
				       const struct sim_send *send)
{
	const struct ibv_sge to = {.addr = send->remote_address, .length = (uint32_t)send->bytes};
	bool with_immediate = send->opcode == IBV_WR_RDMA_WRITE_WITH_IMM;
	struct sim_buffer buffer;

	if (!may_reach(peer, send, IBV_ACCESS_REMOTE_WRITE))
		return violation(peer, IBV_EVENT_QP_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	if (with_immediate && !rdma_sim_take(peer, &buffer))
		return (struct sim_outcome){SIM_RNR, IBV_WC_SUCCESS};
	rdma_sim_copy(&to, 0, sim_send_segments(qp, send->number), send->count);
	if (with_immediate)
		deliver(peer, &buffer, send, IBV_WC_RECV_RDMA_WITH_IMM);
	return done;
}

static struct sim_outcome read_memory(struct sim_qp *qp, struct sim_qp *peer,
				      const struct sim_send *send)
{
	const struct ibv_sge from = {.addr = send->remote_address, .length = (uint32_t)send->bytes};

	if (qp->reads > peer->attributes.max_dest_rd_atomic)
		return violation(peer, IBV_EVENT_QP_REQ_ERR, IBV_WC_REM_INV_REQ_ERR);
	if (!may_reach(peer, send, IBV_ACCESS_REMOTE_READ))
		return violation(peer, IBV_EVENT_QP_ACCESS_ERR, IBV_WC_REM_ACCESS_ERR);
	rdma_sim_copy(sim_send_segments(qp, send->number), 0, &from, 1);
	return done;
}

/* Whether the sender's own device finds it in order. */
static enum ibv_wc_status check_own(const struct sim_qp *qp, const struct sim_send *send)
{
	bool reads = send->opcode == IBV_WR_RDMA_READ;

	if (send->bytes > SIM_MESSAGE_BYTES_MAX)
		return IBV_WC_LOC_LEN_ERR;
	if (reads && qp->attributes.max_rd_atomic == 0)
		return IBV_WC_LOC_QP_OP_ERR;
	if (!send->is_inline &&
	    !rdma_sim_may_use(sim_device_of_qp(qp), qp->qp.pd, sim_send_segments(qp, send->number),
			      send->count, reads ? IBV_ACCESS_LOCAL_WRITE : 0))
		return IBV_WC_LOC_PROT_ERR;
	return IBV_WC_SUCCESS;
}

static struct sim_outcome execute_one(struct sim_qp *qp, struct sim_qp *peer,
				      const struct sim_send *send)
{
	switch (send->opcode) {
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
		return send_message(qp, peer, send);
	case IBV_WR_RDMA_READ:
		return read_memory(qp, peer, send);
	default:
		return write_memory(qp, peer, send);
	}
}

struct sim_outcome rdma_sim_execute(struct sim_qp *qp, struct sim_qp *peer,
				    const struct sim_send *send)
{
	struct rdma_sim_counters *counters = &sim_device_of_qp(qp)->counters;
	enum ibv_wc_status status = check_own(qp, send);
	struct sim_outcome outcome;

	if (status != IBV_WC_SUCCESS)
		return (struct sim_outcome){SIM_FAILED, status};
	if ((peer->state != IBV_QPS_RTS && peer->state != IBV_QPS_RTR) || peer->peer != qp)
		return (struct sim_outcome){SIM_NO_ANSWER, IBV_WC_SUCCESS};
	outcome = execute_one(qp, peer, send);
	if (outcome.kind == SIM_DONE) {
		counters->messages++;
		counters->bytes += send->bytes;
	}
	return outcome;
}
