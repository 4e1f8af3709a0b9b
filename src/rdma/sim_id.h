/* SPDX-License-Identifier: MIT */
/* What the files of the provider "sim" share of the connection manager: ids, events, messages. */
#ifndef DEMI_RDMA_SIM_ID_H
#define DEMI_RDMA_SIM_ID_H

#include "rdma/sim_queue.h"

/* Room for the private data of each message, besides what the connection manager has in it: IBTA
 * volume 1, 12.6, and annex A11 for the header of a connect. */
#define SIM_CONNECT_BYTES 56u
#define SIM_ACCEPT_BYTES 196u
#define SIM_REJECT_BYTES 148u
#define SIM_SEEK_BYTES 180u /* of datagrams */
#define SIM_FOUND_BYTES 136u
#define SIM_PRIVATE_BYTES SIM_ACCEPT_BYTES

/* Why a connection was rejected: IBTA volume 1, 12.6.7.2. */
#define SIM_REJECT_TIMEOUT 4
#define SIM_REJECT_NO_SERVICE 8
#define SIM_REJECT_CONSUMER 28
/* And for datagrams: 12.11.2.1. */
#define SIM_SEEK_NO_SERVICE 1
#define SIM_SEEK_REJECTED 2

enum sim_id_state {
	SIM_ID_IDLE,
	SIM_ID_BOUND,
	SIM_ID_RESOLVING,
	SIM_ID_ADDRESS_RESOLVED,
	SIM_ID_ROUTE_RESOLVED,
	SIM_ID_LISTENING,
	SIM_ID_CONNECTING, /* the active side: has sent its connect */
	SIM_ID_RESPONDED,  /* and got the accept, which has not been fetched */
	SIM_ID_REQUESTED,  /* the passive side */
	SIM_ID_ACCEPTED,   /* and does not know whether the accept has arrived */
	SIM_ID_CONNECTED,
	SIM_ID_DISCONNECTING,
	SIM_ID_DISCONNECT_RECEIVED, /* but not confirmed */
	SIM_ID_OVER,
};

/* An event that has not been acknowledged. */
struct sim_cm_event {
	struct rdma_cm_event event;
	struct sim_id *owner; /* who waits for that: of a connect the listening id */
	struct sim_cm_event *next;
	bool is_accept; /* with which the library has something to do when it is fetched */
	unsigned char private_data[SIM_PRIVATE_BYTES];
};

struct sim_event_channel {
	struct rdma_event_channel channel;
	struct sim_device *device;
	struct sim_cm_event *first, **last;
	uint32_t ids;
};

/* What goes along with a connect, an accept or a reject. */
struct sim_letter {
	int status;
	uint32_t qpn;
	struct rdma_conn_param parameters;
	uint8_t bytes;
	unsigned char private_data[SIM_PRIVATE_BYTES];
};

struct sim_id {
	struct rdma_cm_id id;
	struct sim_device *device;
	enum sim_id_state state;
	bool reuses_address;
	bool family_only;
	bool family_only_set;
	bool has_port;
	uint8_t ack_timeout; /* 0: as it is by default */
	uint8_t traffic_class;
	uint32_t backlog;
	uint32_t requests;       /* connects that have not been fetched */
	uint32_t unacknowledged; /* events */
	struct sim_id *peer;     /* the other end; NULL: unknown, or gone */
	struct sim_letter own;   /* that it has sent: connect or accept */
	struct sim_letter other; /* and that it got */
	uint32_t messages;       /* that go with it when it goes */
	uint64_t message_ns;     /* when the last one that it sent arrives */
	uint32_t tries;
	uint64_t give_up_ns; /* of a resolution */
	struct sim_due timer;
	struct sim_id *next, **place; /* of the device */
	struct sim_id *bound_next;
};

static inline struct sim_id *sim_id_of(const struct rdma_cm_id *id)
{
	return container_of(id, struct sim_id, id);
}

static inline struct sim_event_channel *sim_channel_of(const struct rdma_event_channel *channel)
{
	return container_of(channel, struct sim_event_channel, channel);
}

static inline bool sim_id_is_datagram(const struct sim_id *id)
{
	return id->id.ps == RDMA_PS_UDP;
}

/** sim_result - as the functions of the connection manager return: -1 and errno */
int rdma_sim_result(int error);

/* ---- sim_channel.c ---- */

struct rdma_event_channel *rdma_sim_create_event_channel(struct rdma *rdma);
void rdma_sim_destroy_event_channel(struct rdma_event_channel *channel);
int rdma_sim_get_cm_event(struct rdma_event_channel *channel, struct rdma_cm_event **event);
int rdma_sim_ack_cm_event(struct rdma_cm_event *event);

/** rdma_sim_event_add - a further event of @id; NULL: no memory. The caller fills the rest. */
struct sim_cm_event *rdma_sim_event_add(struct sim_id *id, enum rdma_cm_event_type type,
					int status);

/** rdma_sim_event_forget - drop those that have not been fetched of an id that goes */
void rdma_sim_event_forget(struct sim_id *id);

/* ---- sim_id.c ---- */

int rdma_sim_create_id(struct rdma_event_channel *channel, struct rdma_cm_id **id, void *context,
		       enum rdma_port_space space);
int rdma_sim_destroy_id(struct rdma_cm_id *id);
int rdma_sim_set_option(struct rdma_cm_id *id, int level, int name, void *value, size_t bytes);
int rdma_sim_create_qp(struct rdma_cm_id *id, struct ibv_pd *pd,
		       struct ibv_qp_init_attr *attributes);
void rdma_sim_destroy_qp(struct rdma_cm_id *id);

/** rdma_sim_id_alloc - with the mutex; NULL: no memory */
struct sim_id *rdma_sim_id_alloc(struct sim_event_channel *channel, void *context,
				 enum rdma_port_space space);
void rdma_sim_id_free(struct sim_id *id);

/* ---- sim_bind.c ---- */

int rdma_sim_bind_addr(struct rdma_cm_id *id, struct sockaddr *address);
int rdma_sim_listen(struct rdma_cm_id *id, int backlog);

/** rdma_sim_bind - Return: 0 or an errno */
int rdma_sim_bind(struct sim_id *id, const struct sockaddr *address);
void rdma_sim_unbind(struct sim_id *id);

/** rdma_sim_attach - the id is of its device from now on */
void rdma_sim_attach(struct sim_id *id);

/** rdma_sim_listener - who listens there; NULL */
struct sim_id *rdma_sim_listener(struct sim_device *device, enum rdma_port_space space,
				 const struct sockaddr *address);

/* ---- sim_resolve.c ---- */

int rdma_sim_resolve_addr(struct rdma_cm_id *id, struct sockaddr *source,
			  struct sockaddr *destination, int timeout_ms);
int rdma_sim_resolve_route(struct rdma_cm_id *id, int timeout_ms);

/* ---- sim_connect.c ---- */

int rdma_sim_connect(struct rdma_cm_id *id, struct rdma_conn_param *parameters);
int rdma_sim_accept(struct rdma_cm_id *id, struct rdma_conn_param *parameters);
int rdma_sim_reject(struct rdma_cm_id *id, const void *private_data, uint8_t bytes);
int rdma_sim_disconnect(struct rdma_cm_id *id);

/** rdma_sim_establish - the accept is fetched. Return: false: the connection is gone already */
bool rdma_sim_establish(struct sim_id *id);

/** rdma_sim_id_leave - an id goes: tell its peer */
void rdma_sim_id_leave(struct sim_id *id);

/* ---- sim_message.c ---- */

/**
 * rdma_sim_message - send @letter, or NULL
 * @to: NULL: to the host that has the address, whoever there it is for
 */
void rdma_sim_message(struct sim_id *from, struct sim_id *to, enum rdma_sim_kind kind,
		      const struct sim_letter *letter);

/** rdma_sim_reply - likewise, by a host that has no id for it */
void rdma_sim_reply(struct sim_device *host, struct sim_id *to, enum rdma_sim_kind kind,
		    int status);

/** rdma_sim_message_forget - drop those that are under way to an id that goes */
void rdma_sim_message_forget(struct sim_id *id);

/** rdma_sim_wait_for_answer - send again if there is none, and at last give up */
void rdma_sim_wait_for_answer(struct sim_id *id);
void rdma_sim_is_answered(struct sim_id *id);

/* ---- sim_answer.c ---- */

/** rdma_sim_message_arrives - at @to, or at @host for an id that the sender does not know */
void rdma_sim_message_arrives(struct sim_id *to, enum rdma_sim_kind kind,
			      const struct sim_letter *letter);
void rdma_sim_message_arrives_at_host(struct sim_device *host, struct sim_id *from,
				      enum rdma_sim_kind kind);

#endif /* DEMI_RDMA_SIM_ID_H */
