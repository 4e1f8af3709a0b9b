/* SPDX-License-Identifier: MIT */
/* What the files of the provider "sim" share of queues: of completions, of receives, and pairs. */
#ifndef DEMI_RDMA_SIM_QUEUE_H
#define DEMI_RDMA_SIM_QUEUE_H

#include "rdma/sim_device.h"

/* ---- Receives: a queue pair's own, or shared ---- */

struct sim_receive {
	uint64_t wr_id;
	uint32_t count; /* of segments */
};

struct sim_receive_queue {
	uint32_t limit;
	uint32_t max_sge;
	uint32_t mask; /* of the places in receives */
	/* Requests that were posted, that a message has taken, and whose completion was polled, which
	 * is when their place is free again. They count on. */
	uint64_t posted, taken, polled;
	struct sim_receive *receives;
	struct ibv_sge *segments; /* max_sge for each place */
};

struct sim_srq {
	struct ibv_srq srq;
	struct sim_receive_queue queue;
	uint32_t users;
};

/* ---- Completions ---- */

struct sim_completion {
	struct ibv_wc wc;
	struct sim_qp *qp;
	struct sim_receive_queue *queue; /* of a receive: where its place is; NULL: of a send */
	uint64_t number;                 /* of a send: places up to it are free when it is polled */
};

struct sim_comp_channel {
	struct ibv_comp_channel channel;
	struct sim_cq *first, **last; /* with an event */
};

struct sim_cq {
	struct ibv_cq cq;
	struct sim_completion *ring;
	uint32_t mask;
	uint32_t limit;
	uint64_t added, polled;
	bool armed;
	bool armed_solicited; /* for solicited ones alone */
	bool broken;          /* it has overflowed */
	uint32_t users;
	uint32_t events;  /* not fetched */
	uint32_t fetched; /* events; cq.comp_events_completed of them have been acknowledged */
	uint32_t async_fetched;
	struct sim_cq *event_next;
};

/* ---- Pairs ---- */

struct sim_send {
	uint64_t wr_id;
	enum ibv_wr_opcode opcode;
	bool signaled;
	bool solicited;
	bool fenced;
	bool is_inline;
	bool response_lost;
	enum ibv_wc_status status; /* of its response, when there is one */
	uint32_t count;            /* of segments */
	uint64_t bytes;
	uint64_t remote_address;
	uint32_t remote_key;
	__be32 immediate;
	struct sim_qp *qp;
	uint64_t number;
	struct sim_due request;
	struct sim_due response;
};

struct sim_qp {
	struct ibv_qp qp;
	enum ibv_qp_state state; /* qp.state is what the program has made it, as in the library */
	bool is_datagram;
	bool signal_all;
	bool transmitting;
	bool failing; /* the response of an error is under way */
	bool gap; /* the peer has not got what it has to get next: what is sent now is in vain */
	struct ibv_qp_cap cap;
	struct sim_qp *peer;           /* whom it sends to; NULL: nobody */
	struct sim_qp *senders;        /* whose peer it is */
	struct sim_qp *sender_next;    /* of the same peer */
	struct ibv_qp_attr attributes; /* as modify_qp and the connection manager have set them */
	uint64_t timeout_ns;           /* 0: as the network has it */
	/* Sends that were posted, sent, executed by the peer, ended, and whose completion was polled,
	 * which is when the places up to it are free again. They count on. */
	uint64_t posted, sent, executed, ended, polled;
	uint32_t send_mask;
	struct sim_send *sends;
	struct ibv_sge *segments;   /* cap.max_send_sge for each place */
	unsigned char *inline_data; /* cap.max_inline_data for each place */
	uint32_t reads;             /* under way */
	unsigned int tries;         /* of the first that has not ended, besides the first one */
	unsigned int rnr_tries;
	struct sim_due retry;
	uint64_t request_ns, response_ns; /* when the last of them arrives */
	uint32_t async_fetched; /* events; qp.events_completed of them have been acknowledged */
	struct sim_receive_queue receive;
};

static inline struct sim_cq *sim_cq_of(const struct ibv_cq *cq)
{
	return container_of(cq, struct sim_cq, cq);
}

static inline struct sim_qp *sim_qp_of(const struct ibv_qp *qp)
{
	return container_of(qp, struct sim_qp, qp);
}

static inline struct sim_srq *sim_srq_of(const struct ibv_srq *srq)
{
	return container_of(srq, struct sim_srq, srq);
}

static inline struct sim_device *sim_device_of_qp(const struct sim_qp *qp)
{
	return sim_device_of_context(qp->qp.context);
}

static inline struct sim_send *sim_send_at(const struct sim_qp *qp, uint64_t number)
{
	return &qp->sends[number & qp->send_mask];
}

static inline struct ibv_sge *sim_send_segments(const struct sim_qp *qp, uint64_t number)
{
	return &qp->segments[(number & qp->send_mask) * (qp->cap.max_send_sge + 1)];
}

/* ---- sim_receive.c ---- */

/** rdma_sim_receive_queue_init - Return: false: no memory */
bool rdma_sim_receive_queue_init(struct sim_receive_queue *queue, uint32_t limit, uint32_t max_sge);
void rdma_sim_receive_queue_fini(struct sim_receive_queue *queue);
struct ibv_srq *rdma_sim_create_srq(struct ibv_pd *pd, struct ibv_srq_init_attr *attributes);
int rdma_sim_destroy_srq(struct ibv_srq *srq);
int rdma_sim_post_srq_recv(struct ibv_srq *srq, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);
int rdma_sim_post_recv(struct ibv_qp *qp, struct ibv_recv_wr *wr, struct ibv_recv_wr **bad);

/** What a message arrives in. */
struct sim_buffer {
	struct sim_receive_queue *queue;
	const struct sim_receive *receive;
	const struct ibv_sge *segments;
	const struct ibv_pd *pd; /* whose memory it has to be */
};

/** rdma_sim_take - the next buffer that @qp receives in; false: there is none */
bool rdma_sim_take(struct sim_qp *qp, struct sim_buffer *buffer);

/** rdma_sim_flush_receives - all of its own queue end with IBV_WC_WR_FLUSH_ERR */
void rdma_sim_flush_receives(struct sim_qp *qp);

/* ---- sim_cq.c ---- */

struct ibv_comp_channel *rdma_sim_create_comp_channel(struct ibv_context *context);
int rdma_sim_destroy_comp_channel(struct ibv_comp_channel *channel);
struct ibv_cq *rdma_sim_create_cq(struct ibv_context *context, int entries, void *cq_context,
				  struct ibv_comp_channel *channel, int vector);
int rdma_sim_destroy_cq(struct ibv_cq *cq);
int rdma_sim_get_cq_event(struct ibv_comp_channel *channel, struct ibv_cq **cq, void **cq_context);
void rdma_sim_ack_cq_events(struct ibv_cq *cq, unsigned int count);
int rdma_sim_poll_cq(struct ibv_cq *cq, int room, struct ibv_wc *wc);
int rdma_sim_req_notify_cq(struct ibv_cq *cq, int solicited_only);

/** rdma_sim_complete - a further completion, whose wr_id and so on the caller fills; NULL: none fits */
struct sim_completion *rdma_sim_complete(struct sim_cq *cq, struct sim_qp *qp,
					 enum ibv_wc_status status);

/** rdma_sim_notify - after it was filled: wake who waits for it */
void rdma_sim_notify(struct sim_cq *cq, bool solicited);

/** rdma_sim_cq_forget - drop completions of a queue pair that goes */
void rdma_sim_cq_forget(struct sim_cq *cq, const struct sim_qp *qp);

/* ---- sim_qp.c ---- */

/** rdma_sim_qp_create - for an id, in the state that the connection manager puts it in */
struct sim_qp *rdma_sim_qp_create(struct sim_device *device, struct ibv_pd *pd,
				  struct ibv_qp_init_attr *attributes);
void rdma_sim_qp_destroy(struct sim_qp *qp);

struct ibv_qp *rdma_sim_create_verbs_qp(struct ibv_pd *pd, struct ibv_qp_init_attr *attributes);
int rdma_sim_destroy_verbs_qp(struct ibv_qp *qp);

/** rdma_sim_qp_by_number - NULL: there is none */
struct sim_qp *rdma_sim_qp_by_number(const struct sim_device *device, uint32_t number);

/** rdma_sim_qp_aim - what @qp sends goes to @peer; NULL: to nobody */
void rdma_sim_qp_aim(struct sim_qp *qp, struct sim_qp *peer);

/** rdma_sim_qp_ready - it may receive and send */
void rdma_sim_qp_ready(struct sim_qp *qp);

/** rdma_sim_qp_fail - into the state of error, by itself; all that it has to do ends */
void rdma_sim_qp_fail(struct sim_qp *qp);
int rdma_sim_modify_qp(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask);
int rdma_sim_query_qp(struct ibv_qp *qp, struct ibv_qp_attr *attributes, int mask,
		      struct ibv_qp_init_attr *init);

/* ---- sim_send.c ---- */

int rdma_sim_post_send(struct ibv_qp *qp, struct ibv_send_wr *wr, struct ibv_send_wr **bad);

/** rdma_sim_end_send - the first send that has not ended does */
void rdma_sim_end_send(struct sim_qp *qp, enum ibv_wc_status status);

/* ---- sim_reliable.c ---- */

/** rdma_sim_transmit - send what was posted, as far as may be now */
void rdma_sim_transmit(struct sim_qp *qp);

/** rdma_sim_stop - nothing of its sends is under way any more */
void rdma_sim_stop(struct sim_qp *qp);

/* ---- sim_execute.c ---- */

/** What becomes of a request that has arrived. */
struct sim_outcome {
	enum {
		SIM_DONE,
		SIM_REFUSED, /* by the peer, with the status */
		SIM_FAILED,  /* at the sender itself, likewise */
		SIM_RNR,     /* the peer has no buffer */
		SIM_NO_ANSWER,
	} kind;
	enum ibv_wc_status status;
};

/** rdma_sim_execute - do what a request says that arrives at @peer */
struct sim_outcome rdma_sim_execute(struct sim_qp *qp, struct sim_qp *peer,
				    const struct sim_send *send);

/** rdma_sim_receive - the completion of what has arrived in @buffer, but for the wake-up; NULL: the
 * queue has overflowed */
struct sim_completion *rdma_sim_receive(struct sim_qp *qp, const struct sim_buffer *buffer,
					enum ibv_wc_status status);

/** rdma_sim_receive_fails - the buffer ends with an error, and so does its queue pair */
void rdma_sim_receive_fails(struct sim_qp *qp, const struct sim_buffer *buffer,
			    enum ibv_wc_status status);

/* ---- sim_datagram.c ---- */

/** rdma_sim_send_datagram - what was just posted at @qp */
void rdma_sim_send_datagram(struct sim_qp *qp, struct sim_send *send, const struct sim_ah *ah,
			    uint32_t remote_qpn, uint32_t remote_qkey);

#endif /* DEMI_RDMA_SIM_QUEUE_H */
