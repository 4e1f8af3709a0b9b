/* SPDX-License-Identifier: MIT */
/* Channels on which the connection manager tells its events. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "rdma/sim_id.h"

int rdma_sim_result(int error)
{
	if (!error)
		return 0;
	errno = error;
	return -1;
}

struct rdma_event_channel *rdma_sim_create_event_channel(struct rdma *rdma)
{
	struct sim_device *device = sim_device_of(rdma);
	struct sim_event_channel *channel = calloc(1, sizeof(*channel));
	struct sim_network *network;

	if (!channel)
		return NULL;
	channel->channel.fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (channel->channel.fd < 0) {
		free(channel);
		return NULL;
	}
	channel->device = device;
	channel->last = &channel->first;
	network = rdma_sim_enter(device);
	device->counts[SIM_EVENT_CHANNEL]++;
	rdma_sim_leave(network);
	return &channel->channel;
}

void rdma_sim_destroy_event_channel(struct rdma_event_channel *channel_cm)
{
	struct sim_event_channel *channel = sim_channel_of(channel_cm);
	struct sim_network *network = rdma_sim_enter(channel->device);
	uint32_t ids = channel->ids;

	channel->device->counts[SIM_EVENT_CHANNEL]--;
	rdma_sim_leave(network);
	if (ids > 0) {
		log_error("sim: an event channel is destroyed before its %u ids", ids);
		assert(false);
	}
	close(channel_cm->fd);
	free(channel);
}

struct sim_cm_event *rdma_sim_event_add(struct sim_id *id, enum rdma_cm_event_type type, int status)
{
	struct sim_event_channel *channel = sim_channel_of(id->id.channel);
	struct sim_cm_event *event = calloc(1, sizeof(*event));

	if (!event) {
		log_error("sim: no memory for an event of a connection");
		return NULL;
	}
	event->event.id = &id->id;
	event->event.event = type;
	event->event.status = status;
	event->owner = id;
	if (!channel->first)
		rdma_sim_signal(channel->channel.fd);
	*channel->last = event;
	channel->last = &event->next;
	return event;
}

/* Removes the one at @place. */
static struct sim_cm_event *remove_at(struct sim_event_channel *channel,
				      struct sim_cm_event **place)
{
	struct sim_cm_event *event = *place;

	*place = event->next;
	if (!event->next)
		channel->last = place;
	if (!channel->first)
		rdma_sim_unsignal(channel->channel.fd);
	event->owner->requests -= event->event.event == RDMA_CM_EVENT_CONNECT_REQUEST;
	return event;
}

void rdma_sim_event_forget(struct sim_id *id)
{
	struct sim_event_channel *channel = sim_channel_of(id->id.channel);
	struct sim_cm_event **place = &channel->first;

	while (*place) {
		struct sim_cm_event *event = *place;

		if (event->owner != id && event->event.id != &id->id) {
			place = &event->next;
			continue;
		}
		remove_at(channel, place);
		/* Who connects there is not known to the program yet. */
		if (event->event.id != &id->id) {
			rdma_sim_id_leave(sim_id_of(event->event.id));
			rdma_sim_id_free(sim_id_of(event->event.id));
			place = &channel->first;
		}
		free(event);
	}
}

/* What the library does of its own when a program fetches an event. */
static void process(struct sim_cm_event *event)
{
	struct sim_id *id = sim_id_of(event->event.id);

	if (!event->is_accept || rdma_sim_establish(id))
		return;
	event->event.event = RDMA_CM_EVENT_CONNECT_ERROR;
	event->event.status = -EINVAL;
}

int rdma_sim_get_cm_event(struct rdma_event_channel *channel_cm, struct rdma_cm_event **event_out)
{
	struct sim_event_channel *channel = sim_channel_of(channel_cm);
	struct sim_network *network = rdma_sim_enter(channel->device);
	struct sim_cm_event *event = channel->first;

	if (event) {
		remove_at(channel, &channel->first);
		event->owner->unacknowledged++;
		process(event);
		*event_out = &event->event;
	}
	rdma_sim_leave(network);
	return rdma_sim_result(event ? 0 : EAGAIN);
}

int rdma_sim_ack_cm_event(struct rdma_cm_event *event_cm)
{
	struct sim_cm_event *event = container_of(event_cm, struct sim_cm_event, event);
	struct sim_network *network = rdma_sim_enter(event->owner->device);

	event->owner->unacknowledged--;
	rdma_sim_leave(network);
	free(event);
	return 0;
}
