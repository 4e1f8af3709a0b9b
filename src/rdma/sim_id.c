/* SPDX-License-Identifier: MIT */
/* Ids of the connection manager: birth, options, queue pair, death. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "rdma/sim_id.h"

#define ACK_TIMEOUT_MAX 31 /* five bits */

struct sim_id *rdma_sim_id_alloc(struct sim_event_channel *channel, void *context,
				 enum rdma_port_space space)
{
	struct sim_device *device = channel->device;
	struct sim_id *id = calloc(1, sizeof(*id));

	if (!id)
		return NULL;
	id->id.channel = &channel->channel;
	id->id.context = context;
	id->id.ps = space;
	id->id.qp_type = space == RDMA_PS_UDP ? IBV_QPT_UD : IBV_QPT_RC;
	id->device = device;
	id->place = &device->ids;
	id->next = device->ids;
	if (id->next)
		id->next->place = &id->next;
	device->ids = id;
	device->counts[SIM_ID]++;
	channel->ids++;
	return id;
}

void rdma_sim_id_free(struct sim_id *id)
{
	if (id->peer)
		id->peer->peer = NULL;
	rdma_sim_clock_clear(&id->device->network->clock, &id->timer);
	rdma_sim_message_forget(id);
	rdma_sim_event_forget(id);
	rdma_sim_unbind(id);
	*id->place = id->next;
	if (id->next)
		id->next->place = id->place;
	id->device->counts[SIM_ID]--;
	sim_channel_of(id->id.channel)->ids--;
	free(id);
}

int rdma_sim_create_id(struct rdma_event_channel *channel_cm, struct rdma_cm_id **id_out,
		       void *context, enum rdma_port_space space)
{
	struct sim_event_channel *channel = sim_channel_of(channel_cm);
	struct sim_network *network = rdma_sim_enter(channel->device);
	struct sim_id *id = NULL;
	int error = channel->device->removed ? EIO : 0;

	if (!error && space != RDMA_PS_TCP && space != RDMA_PS_UDP)
		error = EPROTONOSUPPORT;
	if (!error) {
		id = rdma_sim_id_alloc(channel, context, space);
		error = id ? 0 : ENOMEM;
	}
	rdma_sim_leave(network);
	if (!error)
		*id_out = &id->id;
	return rdma_sim_result(error);
}

int rdma_sim_destroy_id(struct rdma_cm_id *id_cm)
{
	struct sim_id *id = sim_id_of(id_cm);
	struct sim_network *network = rdma_sim_enter(id->device);

	if (id->unacknowledged > 0) {
		log_error("sim: an id is destroyed before its events have been acknowledged; the "
			  "library would wait for that");
		assert(false);
	}
	if (id_cm->qp)
		log_error("sim: an id is destroyed before its queue pair");
	rdma_sim_id_leave(id);
	rdma_sim_id_free(id);
	rdma_sim_leave(network);
	return 0;
}

/* ---- Options ---- */

static int set_flag(bool *flag, const void *value, size_t bytes)
{
	int number;

	if (bytes != sizeof(number))
		return EINVAL;
	memcpy(&number, value, sizeof(number));
	*flag = number != 0;
	return 0;
}

static int set_byte(uint8_t *byte, const void *value, size_t bytes)
{
	if (bytes != sizeof(*byte))
		return EINVAL;
	memcpy(byte, value, sizeof(*byte));
	return 0;
}

static int set(struct sim_id *id, int level, int name, const void *value, size_t bytes)
{
	uint8_t timeout;
	int error;

	if (level != RDMA_OPTION_ID)
		return ENOSYS;
	switch (name) {
	case RDMA_OPTION_ID_TOS:
		return set_byte(&id->traffic_class, value, bytes);
	case RDMA_OPTION_ID_REUSEADDR:
		return id->state == SIM_ID_IDLE ? set_flag(&id->reuses_address, value, bytes)
						: EINVAL;
	case RDMA_OPTION_ID_AFONLY:
		if (id->state != SIM_ID_IDLE && id->state != SIM_ID_BOUND)
			return EINVAL;
		id->family_only_set = true;
		return set_flag(&id->family_only, value, bytes);
	case RDMA_OPTION_ID_ACK_TIMEOUT:
		error = set_byte(&timeout, value, bytes);
		if (!error && timeout > ACK_TIMEOUT_MAX)
			error = EINVAL;
		if (!error)
			id->ack_timeout = timeout;
		return error;
	default:
		return ENOSYS;
	}
}

int rdma_sim_set_option(struct rdma_cm_id *id, int level, int name, void *value, size_t bytes)
{
	struct sim_device *device = sim_id_of(id)->device;
	struct sim_network *network = rdma_sim_enter(device);
	int error = device->removed ? EIO : set(sim_id_of(id), level, name, value, bytes);

	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

/* ---- Queue pairs ---- */

static int create_qp(struct sim_id *id, struct ibv_pd *pd, struct ibv_qp_init_attr *attributes)
{
	struct sim_qp *qp;

	if (id->device->removed)
		return EIO;
	if (!id->id.verbs || id->id.qp || attributes->qp_type != id->id.qp_type)
		return EINVAL;
	if (!pd)
		pd = id->id.pd;
	if (pd->context != id->id.verbs)
		return EINVAL;
	qp = rdma_sim_qp_create(id->device, pd, attributes);
	if (!qp)
		return errno;
	if (id->ack_timeout)
		qp->timeout_ns = UINT64_C(4096) << id->ack_timeout;
	id->id.pd = pd;
	id->id.qp = &qp->qp;
	id->id.send_cq = attributes->send_cq;
	id->id.recv_cq = attributes->recv_cq;
	id->id.srq = attributes->srq;
	return 0;
}

int rdma_sim_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd,
		       struct ibv_qp_init_attr *attributes)
{
	struct sim_network *network = rdma_sim_enter(sim_id_of(id)->device);
	int error = create_qp(sim_id_of(id), pd, attributes);

	rdma_sim_leave(network);
	return rdma_sim_result(error);
}

void rdma_sim_destroy_qp(struct rdma_cm_id *id)
{
	struct sim_network *network = rdma_sim_enter(sim_id_of(id)->device);

	rdma_sim_qp_destroy(sim_qp_of(id->qp));
	id->qp = NULL;
	id->srq = NULL;
	id->send_cq = id->recv_cq = NULL;
	rdma_sim_leave(network);
}
