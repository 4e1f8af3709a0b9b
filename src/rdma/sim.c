/* SPDX-License-Identifier: MIT */
#include "rdma/sim.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/log.h"
#include "rdma/sim_id.h"
#include "rdma/sim_open.h"

static const struct rdma_sim_limits limits_default = {
	.mtu = 4096,
	.max_qp = RDMA_SIM_QP_MAX,
	.max_qp_wr = 32768,
	.max_sge = 30,
	.max_cqe = (1u << 22) - 1,
	.max_srq = 1u << 16,
	.max_srq_wr = 32767,
	.max_inline = 1024,
	.max_rd_atom = 16,
	.memlock = UINT64_MAX,
};

static struct ibv_context **get_devices(struct rdma *rdma, int *count)
{
	struct ibv_context **list = calloc(2, sizeof(list[0]));

	if (!list)
		return NULL;
	list[0] = &sim_device_of(rdma)->context;
	if (count)
		*count = 1;
	return list;
}

static void free_devices(struct ibv_context **list)
{
	free(list);
}

/* ---- Queries ---- */

static void fill_attributes(const struct sim_device *device, struct ibv_device_attr *attributes)
{
	const struct rdma_sim_limits *limits = &device->limits;

	*attributes = (struct ibv_device_attr){
		.fw_ver = "sim",
		.max_mr_size = UINT64_MAX,
		.page_size_cap = 0xfffff000,
		.max_qp = (int)limits->max_qp,
		.max_qp_wr = (int)limits->max_qp_wr,
		.device_cap_flags = IBV_DEVICE_RC_RNR_NAK_GEN | IBV_DEVICE_PORT_ACTIVE_EVENT,
		.max_sge = (int)limits->max_sge,
		.max_sge_rd = (int)limits->max_sge,
		.max_cq = 1 << 20,
		.max_cqe = (int)limits->max_cqe,
		.max_mr = 1 << 20,
		.max_pd = 1 << 20,
		.max_qp_rd_atom = (int)limits->max_rd_atom,
		.max_res_rd_atom = (int)(limits->max_rd_atom * limits->max_qp),
		.max_qp_init_rd_atom = (int)limits->max_rd_atom,
		.max_ah = 1 << 20,
		.max_srq = (int)limits->max_srq,
		.max_srq_wr = (int)limits->max_srq_wr,
		.max_srq_sge = (int)limits->max_sge,
		.max_pkeys = 1,
		.phys_port_cnt = 1,
	};
}

static int query_device(struct ibv_context *context, struct ibv_device_attr *attributes)
{
	struct sim_device *device = sim_device_of_context(context);
	struct sim_network *network = rdma_sim_enter(device);
	int error = device->removed ? EIO : 0;

	fill_attributes(device, attributes);
	rdma_sim_leave(network);
	return error;
}

static enum ibv_mtu mtu_of(const struct sim_device *device)
{
	enum ibv_mtu mtu = IBV_MTU_256;

	for (uint32_t bytes = 256; bytes < device->limits.mtu; bytes *= 2)
		mtu++;
	return mtu;
}

static int query_port(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attributes)
{
	struct sim_device *device = sim_device_of_context(context);
	struct sim_network *network;
	int error;

	if (port != 1)
		return EINVAL;
	network = rdma_sim_enter(device);
	error = device->removed ? EIO : 0;
	*attributes = (struct ibv_port_attr){
		.state = device->link_down ? IBV_PORT_DOWN : IBV_PORT_ACTIVE,
		.max_mtu = IBV_MTU_4096,
		.active_mtu = mtu_of(device),
		.gid_tbl_len = (int)device->address_count,
		.port_cap_flags = IBV_PORT_CM_SUP | IBV_PORT_IP_BASED_GIDS,
		.max_msg_sz = SIM_MESSAGE_BYTES_MAX,
		.pkey_tbl_len = 1,
		.active_width = 2, /* four lanes */
		.active_speed = 32,
		.phys_state = device->link_down ? 3 : 5,
		.link_layer = IBV_LINK_LAYER_ETHERNET,
	};
	rdma_sim_leave(network);
	return error;
}

static int query_gid(struct ibv_context *context, uint8_t port, int index, union ibv_gid *gid)
{
	struct sim_device *device = sim_device_of_context(context);
	struct sim_network *network;
	int error;

	if (port != 1 || index < 0 || (unsigned int)index >= device->address_count)
		return EINVAL;
	network = rdma_sim_enter(device);
	error = device->removed ? EIO : 0;
	*gid = device->addresses[index].gid;
	rdma_sim_leave(network);
	return error;
}

static uint64_t next_ns(const struct rdma *rdma)
{
	struct sim_network *network = sim_device_of(rdma)->network;
	uint64_t next;

	pthread_mutex_lock(&network->mutex);
	next = network->clock.next_ns;
	pthread_mutex_unlock(&network->mutex);
	return next;
}

static void tell(const struct rdma *rdma, figure_fn *figure, void *context)
{
	const struct rdma_sim_counters *counters = rdma_sim_counters(rdma);

#define TELL(field) figure(context, "rdma", #field, NULL, counters->field)
	TELL(messages);
	TELL(bytes);
	TELL(datagrams);
	TELL(completions);
	TELL(rnr);
	TELL(retransmissions);
	TELL(lost);
	TELL(duplicated);
	TELL(reordered);
	TELL(no_buffer);
	TELL(bad_key);
	TELL(flushed);
	TELL(errors);
	TELL(overflowed);
#undef TELL
}

/* ---- Birth and death ---- */

static void complain_of_rest(const struct sim_device *device)
{
	static const char *const names[SIM_OBJECTS] = {
		[SIM_PD] = "protection domains",
		[SIM_MR] = "memory regions",
		[SIM_CQ] = "completion queues",
		[SIM_COMP_CHANNEL] = "completion channels",
		[SIM_SRQ] = "shared receive queues",
		[SIM_QP] = "queue pairs",
		[SIM_AH] = "address handles",
		[SIM_EVENT_CHANNEL] = "event channels",
		[SIM_ID] = "ids",
	};

	for (int i = 0; i < SIM_OBJECTS; i++) {
		if (device->counts[i] > 0)
			log_error("sim: %s: closed with %u %s that were not destroyed",
				  device->device.name, device->counts[i], names[i]);
	}
}

/* Takes away what other devices could meet, as the system does for a program that ends. */
static void end_rest(struct sim_device *device)
{
	while (device->ids) {
		rdma_sim_id_leave(device->ids);
		rdma_sim_id_free(device->ids);
	}
	for (uint32_t i = 0; i < device->qps.room; i++) {
		if (device->qps.entries[i])
			rdma_sim_qp_destroy(device->qps.entries[i]);
	}
}

static void device_free(struct sim_device *device)
{
	while (device->async_first) {
		struct sim_async_event *event = device->async_first;

		device->async_first = event->next;
		free(event);
	}
	if (device->context.async_fd >= 0)
		close(device->context.async_fd);
	free(device->qps.entries);
	free(device->mrs.entries);
	free(device->pd);
	free(device);
}

static void sim_close(struct rdma *rdma)
{
	struct sim_device *device = sim_device_of(rdma);
	struct sim_network *network = rdma_sim_enter(device);

	complain_of_rest(device);
	end_rest(device);
	rdma_sim_leave(network);
	rdma_sim_part(device);
	device_free(device);
}

static const struct rdma_ops sim_ops = {
	.name = "sim",
	.close = sim_close,
	.get_devices = get_devices,
	.free_devices = free_devices,
	.create_event_channel = rdma_sim_create_event_channel,
	.query_device = query_device,
	.query_port = query_port,
	.query_gid = query_gid,
	.get_async_event = rdma_sim_get_async_event,
	.ack_async_event = rdma_sim_ack_async_event,
	.alloc_pd = rdma_sim_alloc_pd,
	.dealloc_pd = rdma_sim_dealloc_pd,
	.reg_mr = rdma_sim_reg_mr,
	.dereg_mr = rdma_sim_dereg_mr,
	.create_comp_channel = rdma_sim_create_comp_channel,
	.destroy_comp_channel = rdma_sim_destroy_comp_channel,
	.create_cq = rdma_sim_create_cq,
	.destroy_cq = rdma_sim_destroy_cq,
	.get_cq_event = rdma_sim_get_cq_event,
	.ack_cq_events = rdma_sim_ack_cq_events,
	.create_srq = rdma_sim_create_srq,
	.destroy_srq = rdma_sim_destroy_srq,
	.create_verbs_qp = rdma_sim_create_verbs_qp,
	.destroy_verbs_qp = rdma_sim_destroy_verbs_qp,
	.modify_qp = rdma_sim_modify_qp,
	.query_qp = rdma_sim_query_qp,
	.create_ah = rdma_sim_create_ah,
	.create_ah_from_wc = rdma_sim_create_ah_from_wc,
	.destroy_ah = rdma_sim_destroy_ah,
	.destroy_event_channel = rdma_sim_destroy_event_channel,
	.get_cm_event = rdma_sim_get_cm_event,
	.ack_cm_event = rdma_sim_ack_cm_event,
	.create_id = rdma_sim_create_id,
	.destroy_id = rdma_sim_destroy_id,
	.set_option = rdma_sim_set_option,
	.bind_addr = rdma_sim_bind_addr,
	.resolve_addr = rdma_sim_resolve_addr,
	.resolve_route = rdma_sim_resolve_route,
	.create_qp = rdma_sim_create_qp,
	.destroy_qp = rdma_sim_destroy_qp,
	.listen = rdma_sim_listen,
	.connect = rdma_sim_connect,
	.accept = rdma_sim_accept,
	.reject = rdma_sim_reject,
	.disconnect = rdma_sim_disconnect,
	.next_ns = next_ns,
	.tell = tell,
};

static void init_context(struct sim_device *device)
{
	device->context = (struct ibv_context){
		.device = &device->device,
		.ops =
			{
				.poll_cq = rdma_sim_poll_cq,
				.req_notify_cq = rdma_sim_req_notify_cq,
				.post_srq_recv = rdma_sim_post_srq_recv,
				.post_send = rdma_sim_post_send,
				.post_recv = rdma_sim_post_recv,
			},
		.cmd_fd = -1,
		.async_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
		.num_comp_vectors = 1,
	};
	device->device.node_type = IBV_NODE_CA;
	device->device.transport_type = IBV_TRANSPORT_IB;
}

static struct sim_device *device_alloc(const struct sim_arguments *arguments,
				       const struct rdma_options *options)
{
	struct sim_device *device = calloc(1, sizeof(*device));

	if (!device)
		return NULL;
	device->rdma.ops = &sim_ops;
	device->now_ns = options->now_ns;
	device->limits = arguments->limits;
	device->link_down = arguments->limits.down == 1;
	memcpy(device->addresses, arguments->addresses, sizeof(device->addresses));
	device->address_count = arguments->address_count;
	device->async_last = &device->async_first;
	device->variant = 1;
	init_context(device);
	snprintf(device->device.name, sizeof(device->device.name), "sim_%.40s", arguments->name);
	device->pd = calloc(1, sizeof(*device->pd));
	if (device->pd && device->context.async_fd >= 0) {
		device->pd->pd.context = &device->context;
		return device;
	}
	device_free(device);
	return NULL;
}

int rdma_sim_open(struct rdma **rdma_out, const char *arguments_text,
		  const struct rdma_options *options)
{
	struct sim_arguments arguments = {.limits = limits_default};
	struct sim_device *device;
	int error = rdma_sim_parse(&arguments, arguments_text);

	if (error)
		return error;
	device = device_alloc(&arguments, options);
	if (device)
		error = rdma_sim_join(device, &arguments);
	if (!device || error == -ENOMEM) {
		log_error("catmint.device: sim:%s: no memory", arguments.name);
		error = -ENOMEM;
	}
	if (error) {
		if (device)
			device_free(device);
		return error;
	}
	*rdma_out = &device->rdma;
	return 0;
}
