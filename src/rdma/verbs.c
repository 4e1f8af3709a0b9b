/* SPDX-License-Identifier: MIT */
/* The system's libraries. Some of their calls are macros or inline, hence functions around them. */
#include <errno.h>
#include <unistd.h>

#include "base/log.h"
#include "rdma/rdma.h"

static struct ibv_context **get_devices(struct rdma *rdma, int *count)
{
	(void)rdma;
	return rdma_get_devices(count);
}

static struct rdma_event_channel *create_event_channel(struct rdma *rdma)
{
	(void)rdma;
	return rdma_create_event_channel();
}

static int query_port(struct ibv_context *context, uint8_t port, struct ibv_port_attr *attributes)
{
	return ibv_query_port(context, port, attributes);
}

static struct ibv_mr *reg_mr(struct ibv_pd *pd, void *start, size_t bytes, int access)
{
	return ibv_reg_mr(pd, start, bytes, access);
}

static void verbs_close(struct rdma *rdma)
{
	(void)rdma;
}

static const struct rdma_ops verbs_ops = {
	.name = "verbs",
	.close = verbs_close,
	.get_devices = get_devices,
	.free_devices = rdma_free_devices,
	.create_event_channel = create_event_channel,
	.query_device = ibv_query_device,
	.query_port = query_port,
	.query_gid = ibv_query_gid,
	.get_async_event = ibv_get_async_event,
	.ack_async_event = ibv_ack_async_event,
	.alloc_pd = ibv_alloc_pd,
	.dealloc_pd = ibv_dealloc_pd,
	.reg_mr = reg_mr,
	.dereg_mr = ibv_dereg_mr,
	.create_comp_channel = ibv_create_comp_channel,
	.destroy_comp_channel = ibv_destroy_comp_channel,
	.create_cq = ibv_create_cq,
	.destroy_cq = ibv_destroy_cq,
	.get_cq_event = ibv_get_cq_event,
	.ack_cq_events = ibv_ack_cq_events,
	.create_srq = ibv_create_srq,
	.destroy_srq = ibv_destroy_srq,
	.create_verbs_qp = ibv_create_qp,
	.destroy_verbs_qp = ibv_destroy_qp,
	.modify_qp = ibv_modify_qp,
	.query_qp = ibv_query_qp,
	.create_ah = ibv_create_ah,
	.create_ah_from_wc = ibv_create_ah_from_wc,
	.destroy_ah = ibv_destroy_ah,
	.destroy_event_channel = rdma_destroy_event_channel,
	.get_cm_event = rdma_get_cm_event,
	.ack_cm_event = rdma_ack_cm_event,
	.create_id = rdma_create_id,
	.destroy_id = rdma_destroy_id,
	.set_option = rdma_set_option,
	.bind_addr = rdma_bind_addr,
	.resolve_addr = rdma_resolve_addr,
	.resolve_route = rdma_resolve_route,
	.create_qp = rdma_create_qp,
	.destroy_qp = rdma_destroy_qp,
	.listen = rdma_listen,
	.connect = rdma_connect,
	.accept = rdma_accept,
	.reject = rdma_reject,
	.disconnect = rdma_disconnect,
};

int rdma_verbs_open(struct rdma **rdma_out, const struct rdma_options *options)
{
	/* There is nothing of its own in it. */
	static struct rdma verbs = {.ops = &verbs_ops};
	static pid_t opened_by;

	(void)options;
	/* They have opened the devices once for all; the kernel serves the process that did. */
	if (opened_by && opened_by != getpid()) {
		log_error(
			"catmint: the process that this one was forked from has opened RDMA's devices, "
			"and the libraries do not open them again: start another program (execve(2)), "
			"or fork before the first demi_init");
		return -ENOTSUP;
	}
	opened_by = getpid();
	*rdma_out = &verbs;
	return 0;
}
