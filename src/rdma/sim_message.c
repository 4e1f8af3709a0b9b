/* SPDX-License-Identifier: MIT */
/* Messages of the connection manager on their way, and again when they have no answer. */
#include <errno.h>
#include <stdlib.h>

#include "base/log.h"
#include "rdma/sim_id.h"

#define MESSAGE_BYTES 256u /* IBTA volume 1, 13.4.3: each, whatever it says */
#define TIMEOUT_NS_DEFAULT (UINT64_C(4096) << 20)
#define RETRIES_DEFAULT 15u

struct message {
	struct sim_due due; /* first: what is in the clock when the network ends is freed */
	enum rdma_sim_kind kind;
	struct sim_id *from; /* of one that is for a host */
	struct sim_id *to;   /* NULL: for a host */
	struct sim_letter letter;
};

static struct sim_id *owner_of(const struct message *message)
{
	return message->to ? message->to : message->from;
}

static struct sim_device *host_of(const struct sim_id *id)
{
	union ibv_gid gid;

	rdma_sim_gid(&gid, &id->id.route.addr.dst_addr);
	return rdma_sim_device_with(id->device->network, &gid);
}

static void message_arrives(struct sim_clock *clock, struct sim_due *due)
{
	struct message *message = container_of(due, struct message, due);
	struct sim_device *host;

	(void)clock;
	owner_of(message)->messages--;
	host = message->to ? message->to->device : host_of(message->from);
	if (host && !rdma_sim_is_deaf(host)) {
		if (message->to)
			rdma_sim_message_arrives(message->to, message->kind, &message->letter);
		else
			rdma_sim_message_arrives_at_host(host, message->from, message->kind);
	}
	free(message);
}

static void post(struct sim_device *device, struct message *message, uint64_t *last_ns)
{
	struct sim_network *network = device->network;
	uint64_t when_ns = rdma_sim_arrival(network, last_ns);

	owner_of(message)->messages++;
	if (when_ns <= network->clock.now_ns)
		message_arrives(&network->clock, &message->due);
	else if (!rdma_sim_clock_set(&network->clock, &message->due, when_ns, message_arrives)) {
		owner_of(message)->messages--;
		free(message);
	}
}

static struct message *create(struct sim_id *from, struct sim_id *to, enum rdma_sim_kind kind)
{
	struct message *message = calloc(1, sizeof(*message));

	if (!message) {
		log_error("sim: no memory for a message of the connection manager, which is lost");
		return NULL;
	}
	message->kind = kind;
	message->from = from;
	message->to = to;
	return message;
}

void rdma_sim_message(struct sim_id *from, struct sim_id *to, enum rdma_sim_kind kind,
		      const struct sim_letter *letter)
{
	struct sim_device *host = to ? to->device : host_of(from);
	struct message *message;

	if (rdma_sim_loses(from->device, host, kind, MESSAGE_BYTES))
		return;
	message = create(from, to, kind);
	if (!message)
		return;
	if (letter)
		message->letter = *letter;
	post(from->device, message, &from->message_ns);
}

void rdma_sim_reply(struct sim_device *host, struct sim_id *to, enum rdma_sim_kind kind, int status)
{
	struct message *message;

	if (rdma_sim_loses(host, to->device, kind, MESSAGE_BYTES))
		return;
	message = create(NULL, to, kind);
	if (!message)
		return;
	message->letter.status = status;
	post(host, message, &(uint64_t){0});
}

/* The first that is under way and goes with @id. */
static struct message *find(const struct sim_id *id)
{
	const struct sim_clock *clock = &id->device->network->clock;

	for (uint32_t i = 1; i <= clock->count; i++) {
		struct message *message = container_of(clock->heap[i], struct message, due);

		if (clock->heap[i]->happen == message_arrives && owner_of(message) == id)
			return message;
	}
	return NULL;
}

void rdma_sim_message_forget(struct sim_id *id)
{
	while (id->messages > 0) {
		struct message *message = find(id);

		rdma_sim_clock_clear(&id->device->network->clock, &message->due);
		free(message);
		id->messages--;
	}
}

/* ---- Again ---- */

static void timeout(struct sim_clock *clock, struct sim_due *due);

static void set_timer(struct sim_id *id)
{
	struct sim_network *network = id->device->network;
	uint64_t timeout_ns = network->options.cm_timeout_ns;

	if (timeout_ns == 0)
		timeout_ns = TIMEOUT_NS_DEFAULT;
	rdma_sim_clock_set(&network->clock, &id->timer, network->clock.now_ns + timeout_ns,
			   timeout);
}

static void give_up(struct sim_id *id)
{
	enum rdma_cm_event_type type = id->state == SIM_ID_DISCONNECTING
					       ? RDMA_CM_EVENT_DISCONNECTED
					       : RDMA_CM_EVENT_UNREACHABLE;

	id->state = SIM_ID_OVER;
	rdma_sim_event_add(id, type, -ETIMEDOUT);
}

static void timeout(struct sim_clock *clock, struct sim_due *due)
{
	struct sim_id *id = container_of(due, struct sim_id, timer);
	uint32_t retries = id->device->network->options.cm_retries;

	(void)clock;
	if (id->tries++ >= (retries ? retries : RETRIES_DEFAULT)) {
		give_up(id);
		return;
	}
	set_timer(id);
	if (id->state == SIM_ID_CONNECTING)
		rdma_sim_message(id, NULL, RDMA_SIM_CONNECT, &id->own);
	else if (id->state == SIM_ID_ACCEPTED)
		rdma_sim_message(id, id->peer, RDMA_SIM_ACCEPT, &id->own);
	else
		rdma_sim_message(id, id->peer, RDMA_SIM_DISCONNECT, NULL);
}

void rdma_sim_wait_for_answer(struct sim_id *id)
{
	id->tries = 0;
	set_timer(id);
}

void rdma_sim_is_answered(struct sim_id *id)
{
	rdma_sim_clock_clear(&id->device->network->clock, &id->timer);
}
