/* SPDX-License-Identifier: MIT */
/* What tests do to devices. */
#include "rdma/sim_id.h"

struct rdma_sim_options *rdma_sim_options(struct rdma *rdma)
{
	return &sim_device_of(rdma)->network->options;
}

const struct rdma_sim_counters *rdma_sim_counters(const struct rdma *rdma)
{
	return &sim_device_of(rdma)->counters;
}

void rdma_sim_link(struct rdma *rdma, bool up)
{
	struct sim_device *device = sim_device_of(rdma);
	struct sim_network *network = rdma_sim_enter(device);

	if (device->link_down == up) {
		device->link_down = !up;
		rdma_sim_tell_device(device, up ? IBV_EVENT_PORT_ACTIVE : IBV_EVENT_PORT_ERR);
	}
	rdma_sim_leave(network);
}

void rdma_sim_silence(struct rdma *rdma)
{
	struct sim_network *network = rdma_sim_enter(sim_device_of(rdma));

	sim_device_of(rdma)->silent = true;
	rdma_sim_leave(network);
}

/* As Linux does it: an id that is bound to no device, since it has no address yet or any, is not told. */
static void tell_ids(struct sim_device *device)
{
	for (struct sim_id *id = device->ids; id; id = id->next)
		if (id->id.verbs)
			rdma_sim_event_add(id, RDMA_CM_EVENT_DEVICE_REMOVAL, 0);
}

void rdma_sim_withdraw(struct rdma *rdma)
{
	struct sim_device *device = sim_device_of(rdma);
	struct sim_network *network = rdma_sim_enter(device);

	tell_ids(device);
	rdma_sim_leave(network);
}

void rdma_sim_remove(struct rdma *rdma)
{
	struct sim_device *device = sim_device_of(rdma);
	struct sim_network *network = rdma_sim_enter(device);

	if (!device->removed) {
		device->removed = true;
		rdma_sim_tell_device(device, IBV_EVENT_DEVICE_FATAL);
		for (uint32_t i = 0; i < device->qps.room; i++) {
			if (device->qps.entries[i])
				rdma_sim_qp_fail(device->qps.entries[i]);
		}
		tell_ids(device);
	}
	rdma_sim_leave(network);
}

void rdma_sim_fail_qp(struct ibv_qp *qp)
{
	struct sim_network *network = rdma_sim_enter(sim_device_of_context(qp->context));

	rdma_sim_tell_qp(qp, IBV_EVENT_QP_FATAL);
	rdma_sim_qp_fail(sim_qp_of(qp));
	rdma_sim_leave(network);
}
