/* SPDX-License-Identifier: MIT */
/* Events of devices and their queues, and the descriptors that tell of events of any kind. */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "rdma/sim_queue.h"

void rdma_sim_signal(int fd)
{
	const uint64_t one = 1;

	if (write(fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_error("sim: cannot signal an event: errno %d", errno);
}

void rdma_sim_unsignal(int fd)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("sim: cannot read of events: errno %d", errno);
}

static void tell(struct sim_device *device, const struct ibv_async_event *event)
{
	struct sim_async_event *entry = calloc(1, sizeof(*entry));

	if (!entry) {
		log_error("sim: no memory for an event of the device");
		return;
	}
	entry->event = *event;
	*device->async_last = entry;
	device->async_last = &entry->next;
	rdma_sim_signal(device->context.async_fd);
}

void rdma_sim_tell_cq(struct ibv_cq *cq, enum ibv_event_type type)
{
	tell(sim_device_of_context(cq->context),
	     &(struct ibv_async_event){.element.cq = cq, .event_type = type});
}

void rdma_sim_tell_qp(struct ibv_qp *qp, enum ibv_event_type type)
{
	tell(sim_device_of_context(qp->context),
	     &(struct ibv_async_event){.element.qp = qp, .event_type = type});
}

void rdma_sim_tell_device(struct sim_device *device, enum ibv_event_type type)
{
	tell(device, &(struct ibv_async_event){.element.port_num = 1, .event_type = type});
}

static struct sim_async_event *take_first(struct sim_device *device)
{
	struct sim_async_event *first = device->async_first;

	if (first) {
		device->async_first = first->next;
		if (!device->async_first)
			device->async_last = &device->async_first;
	}
	if (!device->async_first)
		rdma_sim_unsignal(device->context.async_fd);
	return first;
}

/* Counts events that were fetched, or have been acknowledged, of what they are about. */
static void count_event(const struct ibv_async_event *event, uint32_t fetched,
			uint32_t acknowledged)
{
	switch (event->event_type) {
	case IBV_EVENT_CQ_ERR:
		sim_cq_of(event->element.cq)->async_fetched += fetched;
		event->element.cq->async_events_completed += acknowledged;
		break;
	case IBV_EVENT_QP_FATAL:
	case IBV_EVENT_QP_REQ_ERR:
	case IBV_EVENT_QP_ACCESS_ERR:
	case IBV_EVENT_QP_LAST_WQE_REACHED:
		sim_qp_of(event->element.qp)->async_fetched += fetched;
		event->element.qp->events_completed += acknowledged;
		break;
	default: /* of the device, which does not go meanwhile */
		break;
	}
}

int rdma_sim_get_async_event(struct ibv_context *context, struct ibv_async_event *event)
{
	struct sim_network *network = rdma_sim_enter(sim_device_of_context(context));
	struct sim_async_event *first = take_first(sim_device_of_context(context));

	if (first)
		count_event(&first->event, 1, 0);
	rdma_sim_leave(network);
	if (!first) {
		errno = EAGAIN;
		return -1;
	}
	*event = first->event;
	free(first);
	return 0;
}

/* By who fetched it, and the queue does not go before; hence without the mutex. */
void rdma_sim_ack_async_event(struct ibv_async_event *event)
{
	count_event(event, 0, 1);
}

void rdma_sim_async_forget(struct sim_device *device, const void *element)
{
	struct sim_async_event **place = &device->async_first;

	while (*place) {
		struct sim_async_event *entry = *place;

		if (entry->event.element.qp != element) {
			place = &entry->next;
			continue;
		}
		*place = entry->next;
		free(entry);
	}
	device->async_last = place;
}
