/* SPDX-License-Identifier: MIT */
/* Requests to send: how they are posted, and how they end. */
#include <errno.h>
#include <string.h>

#include "rdma/sim_queue.h"

static bool is_known(const struct sim_qp *qp, const struct ibv_send_wr *wr)
{
	switch (wr->opcode) {
	case IBV_WR_SEND:
	case IBV_WR_SEND_WITH_IMM:
		return true;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return !qp->is_datagram;
	case IBV_WR_RDMA_READ:
		return !qp->is_datagram && !(wr->send_flags & IBV_SEND_INLINE);
	default:
		return false;
	}
}

static int check(const struct sim_qp *qp, const struct ibv_send_wr *wr, uint64_t bytes)
{
	if (qp->state != IBV_QPS_RTS && qp->state != IBV_QPS_ERR)
		return EINVAL;
	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > qp->cap.max_send_sge || !is_known(qp, wr))
		return EINVAL;
	if (wr->send_flags & IBV_SEND_INLINE && bytes > qp->cap.max_inline_data)
		return EINVAL;
	if (qp->is_datagram && bytes > sim_device_of_qp(qp)->limits.mtu)
		return EMSGSIZE;
	if (qp->posted - qp->polled >= qp->cap.max_send_wr)
		return ENOMEM;
	return 0;
}

/* Copies the data into the place; what is sent then is one segment there. */
static void copy_inline(struct sim_qp *qp, struct sim_send *send, const struct ibv_send_wr *wr,
			struct ibv_sge *segments)
{
	size_t place = qp->posted & qp->send_mask;

	segments[0] = (struct ibv_sge){
		.addr = (uintptr_t)(qp->inline_data + place * qp->cap.max_inline_data),
		.length = (uint32_t)send->bytes,
	};
	send->count = 1;
	rdma_sim_copy(segments, 0, wr->sg_list, (uint32_t)wr->num_sge);
}

static struct sim_send *fill(struct sim_qp *qp, const struct ibv_send_wr *wr, uint64_t bytes)
{
	struct sim_send *send = sim_send_at(qp, qp->posted);
	struct ibv_sge *segments = sim_send_segments(qp, qp->posted);

	send->wr_id = wr->wr_id;
	send->opcode = wr->opcode;
	send->signaled = qp->signal_all || wr->send_flags & IBV_SEND_SIGNALED;
	send->solicited = wr->send_flags & IBV_SEND_SOLICITED;
	send->fenced = wr->send_flags & IBV_SEND_FENCE;
	send->is_inline = wr->send_flags & IBV_SEND_INLINE;
	send->status = IBV_WC_SUCCESS;
	send->bytes = bytes;
	send->immediate = wr->imm_data;
	send->remote_address = wr->wr.rdma.remote_addr;
	send->remote_key = wr->wr.rdma.rkey;
	send->qp = qp;
	send->number = qp->posted;
	send->count = (uint32_t)wr->num_sge;
	if (send->is_inline)
		copy_inline(qp, send, wr, segments);
	else if (send->count > 0)
		memcpy(segments, wr->sg_list, send->count * sizeof(segments[0]));
	qp->posted++;
	return send;
}

static int post_one(struct sim_qp *qp, const struct ibv_send_wr *wr)
{
	uint64_t bytes = rdma_sim_bytes(wr->sg_list, wr->num_sge > 0 ? (uint32_t)wr->num_sge : 0);
	int error = check(qp, wr, bytes);
	struct sim_send *send;

	if (error)
		return error;
	send = fill(qp, wr, bytes);
	if (qp->state == IBV_QPS_ERR)
		rdma_sim_end_send(qp, IBV_WC_WR_FLUSH_ERR);
	else if (qp->is_datagram)
		rdma_sim_send_datagram(qp, send, container_of(wr->wr.ud.ah, struct sim_ah, ah),
				       wr->wr.ud.remote_qpn, wr->wr.ud.remote_qkey);
	else
		rdma_sim_transmit(qp);
	return 0;
}

int rdma_sim_post_send(struct ibv_qp *qp_verbs, struct ibv_send_wr *wr, struct ibv_send_wr **bad)
{
	struct sim_qp *qp = sim_qp_of(qp_verbs);
	struct sim_device *device = sim_device_of_qp(qp);
	struct sim_network *network = rdma_sim_enter(device);
	int error = device->removed ? EIO : 0;

	for (; wr && !error; wr = wr->next) {
		error = post_one(qp, wr);
		if (error)
			break;
	}
	rdma_sim_leave(network);
	if (error)
		*bad = wr;
	return error;
}

static enum ibv_wc_opcode opcode_of(const struct sim_send *send)
{
	switch (send->opcode) {
	case IBV_WR_RDMA_READ:
		return IBV_WC_RDMA_READ;
	case IBV_WR_RDMA_WRITE:
	case IBV_WR_RDMA_WRITE_WITH_IMM:
		return IBV_WC_RDMA_WRITE;
	default:
		return IBV_WC_SEND;
	}
}

void rdma_sim_end_send(struct sim_qp *qp, enum ibv_wc_status status)
{
	struct rdma_sim_counters *counters = &sim_device_of_qp(qp)->counters;
	const struct sim_send *send = sim_send_at(qp, qp->ended++);
	struct sim_cq *cq = sim_cq_of(qp->qp.send_cq);
	struct sim_completion *completion;

	counters->flushed += status == IBV_WC_WR_FLUSH_ERR;
	counters->errors += status != IBV_WC_SUCCESS && status != IBV_WC_WR_FLUSH_ERR;
	if (status == IBV_WC_SUCCESS && !send->signaled)
		return;
	completion = rdma_sim_complete(cq, qp, status);
	if (!completion)
		return;
	completion->queue = NULL;
	completion->number = send->number + 1;
	completion->wc.wr_id = send->wr_id;
	if (status == IBV_WC_SUCCESS) {
		completion->wc.opcode = opcode_of(send);
		completion->wc.byte_len = (uint32_t)send->bytes;
	}
	rdma_sim_notify(cq, status != IBV_WC_SUCCESS);
}
