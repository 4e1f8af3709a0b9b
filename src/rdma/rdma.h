/* SPDX-License-Identifier: MIT */
/*
 * RDMA devices: verbs, and connections by IP address, behind one table of calls.
 *
 * The table has the calls that open, set up and take down, with the names and the meaning that they
 * have in libibverbs and librdmacm, and is either these libraries ("verbs") or a network in this
 * process ("sim"). The calls of the datapath are not in it: ibv_post_send, ibv_post_recv,
 * ibv_post_srq_recv, ibv_poll_cq and ibv_req_notify_cq are inline functions of <infiniband/verbs.h>
 * that go through the ops of the context, which a simulated device fills as a driver does.
 *
 * As in the libraries, a function that returns an int returns 0, or a positive errno when it is one
 * of verbs (ibv_), or -1 with errno set when it is one of connections (rdma_); one that returns a
 * pointer returns NULL with errno set.
 */
#ifndef DEMI_RDMA_RDMA_H
#define DEMI_RDMA_RDMA_H

#include <stdint.h>

#include <infiniband/verbs.h>
#include <rdma/rdma_cma.h>

#include "base/figure.h"

struct rdma;

struct rdma_ops {
	const char *name;

	/* Every object made through it is gone. Required, as all but the last two. */
	void (*close)(struct rdma *rdma);

	/* Contexts of all devices, opened; NULL-terminated, and the same objects in every call and in
	 * the verbs of a connection. Free the list, not the contexts. */
	struct ibv_context **(*get_devices)(struct rdma *rdma, int *count);
	void (*free_devices)(struct ibv_context **list);
	struct rdma_event_channel *(*create_event_channel)(struct rdma *rdma);

	/* --- verbs --- */
	int (*query_device)(struct ibv_context *context, struct ibv_device_attr *attributes);
	int (*query_port)(struct ibv_context *context, uint8_t port,
			  struct ibv_port_attr *attributes);
	int (*query_gid)(struct ibv_context *context, uint8_t port, int index, union ibv_gid *gid);
	int (*get_async_event)(struct ibv_context *context, struct ibv_async_event *event);
	void (*ack_async_event)(struct ibv_async_event *event);
	struct ibv_pd *(*alloc_pd)(struct ibv_context *context);
	int (*dealloc_pd)(struct ibv_pd *pd);
	struct ibv_mr *(*reg_mr)(struct ibv_pd *pd, void *start, size_t bytes, int access);
	int (*dereg_mr)(struct ibv_mr *mr);
	struct ibv_comp_channel *(*create_comp_channel)(struct ibv_context *context);
	int (*destroy_comp_channel)(struct ibv_comp_channel *channel);
	struct ibv_cq *(*create_cq)(struct ibv_context *context, int entries, void *cq_context,
				    struct ibv_comp_channel *channel, int vector);
	int (*destroy_cq)(struct ibv_cq *cq);
	int (*get_cq_event)(struct ibv_comp_channel *channel, struct ibv_cq **cq,
			    void **cq_context);
	void (*ack_cq_events)(struct ibv_cq *cq, unsigned int count);
	struct ibv_srq *(*create_srq)(struct ibv_pd *pd, struct ibv_srq_init_attr *attributes);
	int (*destroy_srq)(struct ibv_srq *srq);
	/* ibv_create_qp and ibv_destroy_qp: a queue pair that no id has, in the state RESET. */
	struct ibv_qp *(*create_verbs_qp)(struct ibv_pd *pd, struct ibv_qp_init_attr *attributes);
	int (*destroy_verbs_qp)(struct ibv_qp *qp);
	int (*modify_qp)(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask);
	int (*query_qp)(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask,
			struct ibv_qp_init_attr *init);
	struct ibv_ah *(*create_ah)(struct ibv_pd *pd, struct ibv_ah_attr *attributes);
	struct ibv_ah *(*create_ah_from_wc)(struct ibv_pd *pd, struct ibv_wc *wc,
					    struct ibv_grh *grh, uint8_t port);
	int (*destroy_ah)(struct ibv_ah *ah);

	/* --- connections --- */
	void (*destroy_event_channel)(struct rdma_event_channel *channel);
	int (*get_cm_event)(struct rdma_event_channel *channel, struct rdma_cm_event **event);
	int (*ack_cm_event)(struct rdma_cm_event *event);
	int (*create_id)(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *context,
			 enum rdma_port_space space);
	int (*destroy_id)(struct rdma_cm_id *id);
	int (*set_option)(struct rdma_cm_id *id, int level, int name, void *value, size_t bytes);
	int (*bind_addr)(struct rdma_cm_id *id, struct sockaddr *address);
	int (*resolve_addr)(struct rdma_cm_id *id, struct sockaddr *source,
			    struct sockaddr *destination, int timeout_ms);
	int (*resolve_route)(struct rdma_cm_id *id, int timeout_ms);
	int (*create_qp)(struct rdma_cm_id *id, struct ibv_pd *pd,
			 struct ibv_qp_init_attr *attributes);
	void (*destroy_qp)(struct rdma_cm_id *id);
	int (*listen)(struct rdma_cm_id *id, int backlog);
	int (*connect)(struct rdma_cm_id *id, struct rdma_conn_param *parameters);
	int (*accept)(struct rdma_cm_id *id, struct rdma_conn_param *parameters);
	int (*reject)(struct rdma_cm_id *id, const void *private_data, uint8_t bytes);
	int (*disconnect)(struct rdma_cm_id *id);

	/* When something will happen that wakes nobody who sleeps on a channel: the time in ns, as of
	 * rdma_options.now_ns; UINT64_MAX: never. NULL: all that happens wakes. */
	uint64_t (*next_ns)(const struct rdma *rdma);
	/* Everything that it counts. Optional. */
	void (*tell)(const struct rdma *rdma, figure_fn *tell, void *context);
};

struct rdma {
	const struct rdma_ops *ops;
};

struct rdma_options {
	const uint64_t *now_ns; /* the time of the poll round; read while it is open */
};

/**
 * rdma_open - open what a name says
 * @name: that of a device, as ibv_devices(1) lists it, or "" for any: the libraries; or
 *        "sim:ARGUMENTS", a simulated network (sim.h)
 *
 * Return: 0; -ENOTSUP (no such kind in this build), -EINVAL (arguments), -ENOMEM; each has been
 * logged.
 */
int rdma_open(struct rdma **rdma_out, const char *name, const struct rdma_options *options);

/** rdma_close - NULL is allowed */
void rdma_close(struct rdma *rdma);

/** rdma_verbs_open, rdma_sim_open - what rdma_open chooses from; @arguments: behind the colon */
int rdma_verbs_open(struct rdma **rdma_out, const struct rdma_options *options);
int rdma_sim_open(struct rdma **rdma_out, const char *arguments,
		  const struct rdma_options *options);

#endif /* DEMI_RDMA_RDMA_H */
