/* SPDX-License-Identifier: MIT */
/* Queues of completions, and who waits for them. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "rdma/sim_queue.h"

static struct sim_comp_channel *channel_of(struct ibv_comp_channel *channel)
{
	return container_of(channel, struct sim_comp_channel, channel);
}

/* ---- Channels ---- */

struct ibv_comp_channel *rdma_sim_create_comp_channel(struct ibv_context *context)
{
	struct sim_device *device = sim_device_of_context(context);
	struct sim_comp_channel *channel = calloc(1, sizeof(*channel));
	struct sim_network *network;

	if (!channel)
		return NULL;
	channel->channel.context = context;
	channel->channel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (channel->channel.fd < 0) {
		free(channel);
		return NULL;
	}
	channel->last = &channel->first;
	network = rdma_sim_enter(device);
	device->counts[SIM_COMP_CHANNEL]++;
	rdma_sim_leave(network);
	return &channel->channel;
}

int rdma_sim_destroy_comp_channel(struct ibv_comp_channel *channel)
{
	struct sim_device *device = sim_device_of_context(channel->context);
	struct sim_network *network = rdma_sim_enter(device);
	bool is_used = channel->refcnt > 0;

	device->counts[SIM_COMP_CHANNEL] -= !is_used;
	rdma_sim_leave(network);
	if (is_used)
		return EBUSY;
	close(channel->fd);
	free(channel_of(channel));
	return 0;
}

/* Removes @cq from those with an event. */
static void event_remove(struct sim_comp_channel *channel, const struct sim_cq *cq)
{
	struct sim_cq **place = &channel->first;

	while (*place != cq)
		place = &(*place)->event_next;
	*place = cq->event_next;
	if (!*place)
		channel->last = place;
	if (!channel->first)
		rdma_sim_unsignal(channel->channel.fd);
}

static void event_add(struct sim_cq *cq)
{
	struct sim_comp_channel *channel = channel_of(cq->cq.channel);

	if (cq->events++ > 0)
		return;
	cq->event_next = NULL;
	*channel->last = cq;
	channel->last = &cq->event_next;
	if (channel->first == cq)
		rdma_sim_signal(channel->channel.fd);
}

int rdma_sim_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context)
{
	struct sim_network *network = rdma_sim_enter(sim_device_of_context(channel->context));
	struct sim_cq *first = channel_of(channel)->first;

	if (first) {
		first->fetched++;
		if (--first->events == 0)
			event_remove(channel_of(channel), first);
	}
	rdma_sim_leave(network);
	if (!first) {
		errno = EAGAIN;
		return -1;
	}
	*cq = &first->cq;
	*cq_context = first->cq.cq_context;
	return 0;
}

void rdma_sim_ack_cq_events(struct ibv_cq *cq, unsigned int count)
{
	struct sim_network *network = rdma_sim_enter(sim_device_of_context(cq->context));

	cq->comp_events_completed += count;
	assert(cq->comp_events_completed <= sim_cq_of(cq)->fetched);
	rdma_sim_leave(network);
}

int rdma_sim_req_notify_cq(struct ibv_cq *cq, int solicited_only)
{
	struct sim_device *device = sim_device_of_context(cq->context);
	struct sim_network *network = rdma_sim_enter(device);

	sim_cq_of(cq)->armed = true;
	sim_cq_of(cq)->armed_solicited = solicited_only != 0;
	rdma_sim_leave(network);
	return 0;
}

/* ---- Queues ---- */

static struct sim_cq *cq_alloc(uint32_t entries)
{
	struct sim_cq *cq = calloc(1, sizeof(*cq));
	uint32_t room = 1;

	while (room < entries)
		room *= 2;
	if (cq)
		cq->ring = calloc(room, sizeof(cq->ring[0]));
	if (!cq || !cq->ring) {
		free(cq);
		return NULL;
	}
	cq->mask = room - 1;
	cq->limit = entries;
	return cq;
}

struct ibv_cq *rdma_sim_create_cq(struct ibv_context *context, int entries, void *cq_context,
				  struct ibv_comp_channel *channel, int vector)
{
	struct sim_device *device = sim_device_of_context(context);
	struct sim_network *network;
	struct sim_cq *cq;

	if (entries < 1 || (uint32_t)entries > device->limits.max_cqe || vector < 0 ||
	    vector >= context->num_comp_vectors) {
		errno = EINVAL;
		return NULL;
	}
	cq = cq_alloc((uint32_t)entries);
	if (!cq)
		return NULL;
	cq->cq.context = context;
	cq->cq.channel = channel;
	cq->cq.cq_context = cq_context;
	cq->cq.cqe = entries;
	network = rdma_sim_enter(device);
	if (device->removed) {
		rdma_sim_leave(network);
		free(cq->ring);
		free(cq);
		errno = EIO;
		return NULL;
	}
	cq->cq.handle = ++device->counts[SIM_CQ];
	if (channel)
		channel->refcnt++;
	rdma_sim_leave(network);
	return &cq->cq;
}

static void cq_forget_events(struct sim_cq *cq)
{
	if (cq->events > 0)
		event_remove(channel_of(cq->cq.channel), cq);
	if (cq->cq.channel)
		cq->cq.channel->refcnt--;
	rdma_sim_async_forget(sim_device_of_context(cq->cq.context), &cq->cq);
	if (cq->fetched == cq->cq.comp_events_completed &&
	    cq->async_fetched == cq->cq.async_events_completed)
		return;
	log_error("sim: a completion queue is destroyed before its events have been acknowledged; "
		  "the library would wait for that");
	assert(false);
}

int rdma_sim_destroy_cq(struct ibv_cq *cq_verbs)
{
	struct sim_cq *cq = sim_cq_of(cq_verbs);
	struct sim_device *device = sim_device_of_context(cq_verbs->context);
	struct sim_network *network = rdma_sim_enter(device);
	bool is_used = cq->users > 0;

	if (!is_used) {
		cq_forget_events(cq);
		device->counts[SIM_CQ]--;
	}
	rdma_sim_leave(network);
	if (is_used)
		return EBUSY;
	free(cq->ring);
	free(cq);
	return 0;
}

/* ---- Completions ---- */

/* No further one fits: the queue is of no use any more, nor are the pairs that complete there. */
static void overflow(struct sim_cq *cq)
{
	struct sim_device *device = sim_device_of_context(cq->cq.context);

	cq->broken = true;
	device->counters.overflowed++;
	rdma_sim_tell_cq(&cq->cq, IBV_EVENT_CQ_ERR);
	for (uint32_t i = 0; i < device->qps.room; i++) {
		struct sim_qp *qp = device->qps.entries[i];

		if (qp && (qp->qp.send_cq == &cq->cq || qp->qp.recv_cq == &cq->cq)) {
			rdma_sim_tell_qp(&qp->qp, IBV_EVENT_QP_FATAL);
			rdma_sim_qp_fail(qp);
		}
	}
}

struct sim_completion *rdma_sim_complete(struct sim_cq *cq, struct sim_qp *qp,
					 enum ibv_wc_status status)
{
	struct sim_completion *completion = &cq->ring[cq->added & cq->mask];

	if (cq->broken)
		return NULL;
	if (cq->added - cq->polled >= cq->limit) {
		overflow(cq);
		return NULL;
	}
	cq->added++;
	completion->qp = qp;
	completion->wc.status = status;
	completion->wc.qp_num = qp->qp.qp_num;
	completion->wc.vendor_err = 0;
	completion->wc.wc_flags = 0;
	if (status != IBV_WC_SUCCESS) {
		completion->wc.vendor_err = (uint32_t)status;
		/* What an error does not have. */
		completion->wc.opcode = (enum ibv_wc_opcode)0x7ead;
		completion->wc.byte_len = 0xdeaddead;
		completion->wc.imm_data = 0xdeaddead;
		completion->wc.src_qp = 0xdeaddead;
		completion->wc.wc_flags = 0xdeaddead;
	}
	return completion;
}

void rdma_sim_notify(struct sim_cq *cq, bool solicited)
{
	sim_device_of_context(cq->cq.context)->counters.completions++;
	if (!cq->armed || (cq->armed_solicited && !solicited))
		return;
	cq->armed = false;
	if (cq->cq.channel)
		event_add(cq);
}

static void free_place(const struct sim_completion *completion)
{
	if (completion->queue)
		completion->queue->polled++;
	else
		completion->qp->polled = completion->number;
}

int rdma_sim_poll_cq(struct ibv_cq *cq_verbs, int room, struct ibv_wc *wc)
{
	struct sim_cq *cq = sim_cq_of(cq_verbs);
	struct sim_network *network = rdma_sim_enter(sim_device_of_context(cq_verbs->context));
	int count = 0;

	while (count < room && cq->polled != cq->added) {
		const struct sim_completion *completion = &cq->ring[cq->polled++ & cq->mask];

		wc[count++] = completion->wc;
		free_place(completion);
	}
	rdma_sim_leave(network);
	return count;
}

void rdma_sim_cq_forget(struct sim_cq *cq, const struct sim_qp *qp)
{
	uint64_t kept = cq->polled;

	for (uint64_t i = cq->polled; i != cq->added; i++) {
		struct sim_completion *completion = &cq->ring[i & cq->mask];

		if (completion->qp == qp)
			free_place(completion);
		else
			cq->ring[kept++ & cq->mask] = *completion;
	}
	cq->added = kept;
}
