/* SPDX-License-Identifier: MIT */
/* Buffers for what arrives: of a queue pair, or shared by several. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rdma/sim_queue.h"

bool rdma_sim_receive_queue_init(struct sim_receive_queue *queue, uint32_t limit, uint32_t max_sge)
{
	uint32_t room = 1;

	while (room < limit)
		room *= 2;
	*queue = (struct sim_receive_queue){.limit = limit, .max_sge = max_sge, .mask = room - 1};
	queue->receives = calloc(room, sizeof(queue->receives[0]));
	queue->segments = calloc((size_t)room * max_sge + 1, sizeof(queue->segments[0]));
	if (queue->receives && queue->segments)
		return true;
	rdma_sim_receive_queue_fini(queue);
	return false;
}

void rdma_sim_receive_queue_fini(struct sim_receive_queue *queue)
{
	free(queue->receives);
	free(queue->segments);
}

static struct ibv_sge *segments_at(const struct sim_receive_queue *queue, uint64_t number)
{
	return &queue->segments[(number & queue->mask) * queue->max_sge];
}

static int post_one(struct sim_receive_queue *queue, const struct ibv_recv_wr *wr)
{
	struct sim_receive *receive = &queue->receives[queue->posted & queue->mask];

	if (wr->num_sge < 0 || (uint32_t)wr->num_sge > queue->max_sge)
		return EINVAL;
	if (queue->posted - queue->polled >= queue->limit)
		return ENOMEM;
	receive->wr_id = wr->wr_id;
	receive->count = (uint32_t)wr->num_sge;
	if (wr->num_sge > 0)
		memcpy(segments_at(queue, queue->posted), wr->sg_list,
		       receive->count * sizeof(*wr->sg_list));
	queue->posted++;
	return 0;
}

static int post_all(struct sim_receive_queue *queue, struct ibv_recv_wr *wr,
		    struct ibv_recv_wr **bad)
{
	int error = 0;

	for (; wr; wr = wr->next) {
		error = post_one(queue, wr);
		if (error)
			break;
	}
	if (error)
		*bad = wr;
	return error;
}

int rdma_sim_post_recv(struct ibv_qp *qp_verbs, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct sim_qp *qp = sim_qp_of(qp_verbs);
	struct sim_device *device = sim_device_of_qp(qp);
	struct sim_network *network = rdma_sim_enter(device);
	int error;

	if (device->removed || qp_verbs->srq || qp->state == IBV_QPS_RESET) {
		error = device->removed ? EIO : EINVAL;
		*bad = wr;
	} else {
		error = post_all(&qp->receive, wr, bad);
	}
	if (qp->state == IBV_QPS_ERR)
		rdma_sim_flush_receives(qp);
	rdma_sim_leave(network);
	return error;
}

int rdma_sim_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad)
{
	struct sim_device *device = sim_device_of_context(srq->context);
	struct sim_network *network = rdma_sim_enter(device);
	int error = EIO;

	if (device->removed)
		*bad = wr;
	else
		error = post_all(&sim_srq_of(srq)->queue, wr, bad);
	rdma_sim_leave(network);
	return error;
}

bool rdma_sim_take(struct sim_qp *qp, struct sim_buffer *buffer)
{
	struct sim_receive_queue *queue = &qp->receive;
	uint64_t number;

	buffer->pd = qp->qp.pd;
	if (qp->qp.srq) {
		queue = &sim_srq_of(qp->qp.srq)->queue;
		buffer->pd = qp->qp.srq->pd;
	}
	if (queue->taken == queue->posted)
		return false;
	number = queue->taken++;
	buffer->queue = queue;
	buffer->receive = &queue->receives[number & queue->mask];
	buffer->segments = segments_at(queue, number);
	return true;
}

void rdma_sim_flush_receives(struct sim_qp *qp)
{
	struct sim_receive_queue *queue = &qp->receive;
	struct sim_cq *cq = sim_cq_of(qp->qp.recv_cq);

	while (queue->taken != queue->posted) {
		uint64_t wr_id = queue->receives[queue->taken++ & queue->mask].wr_id;
		struct sim_completion *completion = rdma_sim_complete(cq, qp, IBV_WC_WR_FLUSH_ERR);

		sim_device_of_qp(qp)->counters.flushed++;
		if (!completion)
			continue;
		completion->queue = queue;
		completion->wc.wr_id = wr_id;
		rdma_sim_notify(cq, true);
	}
}

/* ---- Shared queues ---- */

static int srq_add(struct sim_device *device, struct sim_srq *srq, struct ibv_srq_attr *attributes)
{
	if (device->removed)
		return EIO;
	if (device->counts[SIM_SRQ] >= device->limits.max_srq)
		return device->limits.max_srq ? ENOMEM : EOPNOTSUPP;
	if (attributes->max_wr < 1 || attributes->max_wr > device->limits.max_srq_wr ||
	    attributes->max_sge > device->limits.max_sge)
		return EINVAL;
	if (!rdma_sim_receive_queue_init(&srq->queue, attributes->max_wr, attributes->max_sge))
		return ENOMEM;
	srq->srq.handle = ++device->counts[SIM_SRQ];
	container_of(srq->srq.pd, struct sim_pd, pd)->users++;
	return 0;
}

struct ibv_srq *rdma_sim_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attributes)
{
	struct sim_device *device = sim_device_of_context(pd->context);
	struct sim_srq *srq = calloc(1, sizeof(*srq));
	struct sim_network *network;
	int error;

	if (!srq)
		return NULL;
	srq->srq.context = pd->context;
	srq->srq.pd = pd;
	srq->srq.srq_context = attributes->srq_context;
	network = rdma_sim_enter(device);
	error = srq_add(device, srq, &attributes->attr);
	rdma_sim_leave(network);
	if (!error)
		return &srq->srq;
	free(srq);
	errno = error;
	return NULL;
}

int rdma_sim_destroy_srq(struct ibv_srq *srq_verbs)
{
	struct sim_srq *srq = sim_srq_of(srq_verbs);
	struct sim_device *device = sim_device_of_context(srq_verbs->context);
	struct sim_network *network = rdma_sim_enter(device);
	bool is_used = srq->users > 0;

	if (!is_used) {
		device->counts[SIM_SRQ]--;
		container_of(srq_verbs->pd, struct sim_pd, pd)->users--;
	}
	rdma_sim_leave(network);
	if (is_used)
		return EBUSY;
	rdma_sim_receive_queue_fini(&srq->queue);
	free(srq);
	return 0;
}
