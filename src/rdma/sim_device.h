/* SPDX-License-Identifier: MIT */
/*
 * What the files of the provider "sim" share: the network, its devices and their objects as they
 * are. All but rdma_sim_enter are called with the network's mutex.
 */
#ifndef DEMI_RDMA_SIM_DEVICE_H
#define DEMI_RDMA_SIM_DEVICE_H

#include <pthread.h>
#include <stddef.h>

#include "base/container.h"
#include "rdma/sim.h"
#include "rdma/sim_clock.h"

#define SIM_GRH_BYTES 40u
#define SIM_MESSAGE_BYTES_MAX (1u << 30)
#define SIM_PORT_BUCKETS 256u

struct sim_id;

/* Kinds of what a device has made, for the count of what is left when it is closed. */
enum sim_object {
	SIM_PD,
	SIM_MR,
	SIM_CQ,
	SIM_COMP_CHANNEL,
	SIM_SRQ,
	SIM_QP,
	SIM_AH,
	SIM_EVENT_CHANNEL,
	SIM_ID,
	SIM_OBJECTS,
};

struct sim_network {
	pthread_mutex_t mutex;
	struct rdma_sim_options options;
	struct rdma_sim_options made_with;
	struct sim_clock clock;
	uint64_t random_state;
	struct sim_device *devices;
	struct sim_network *next; /* of all */
	char name[64];
};

struct sim_address {
	union ibv_gid gid; /* IPv4: ::ffff:a.b.c.d */
	int family;
};

/* An event of the device that has not been fetched, or acknowledged. */
struct sim_async_event {
	struct ibv_async_event event;
	struct sim_async_event *next;
};

/* Numbers and what has them. */
struct sim_table {
	void **entries;
	uint32_t room;
	uint32_t next; /* where to look for a free one */
};

struct sim_device {
	struct rdma rdma;
	struct ibv_context context;
	struct ibv_device device;
	struct sim_network *network;
	struct sim_device *next;
	const uint64_t *now_ns;
	struct rdma_sim_limits limits;
	struct rdma_sim_counters counters;
	struct sim_address addresses[RDMA_SIM_ADDRESSES_MAX];
	unsigned int address_count;
	bool link_down;
	bool silent;
	bool removed;
	struct sim_table qps; /* by the low bits of their numbers */
	struct sim_table mrs; /* by the high bits of their keys */
	uint32_t variant;     /* of numbers and keys, so that old ones are not taken for new ones */
	uint64_t registered;  /* bytes */
	uint32_t counts[SIM_OBJECTS];
	struct sim_async_event *async_first, **async_last;
	struct sim_pd *pd; /* of ids that were given none */
	struct sim_id *ids;
	struct sim_id *bound[SIM_PORT_BUCKETS]; /* those that have a port, by its low bits */
	uint16_t port_next;
};

struct sim_pd {
	struct ibv_pd pd;
	uint32_t users;
};

struct sim_mr {
	struct ibv_mr mr;
	int access;
};

struct sim_ah {
	struct ibv_ah ah;
	struct ibv_ah_attr attributes;
};

static inline struct sim_device *sim_device_of(const struct rdma *rdma)
{
	return container_of(rdma, struct sim_device, rdma);
}

static inline struct sim_device *sim_device_of_context(const struct ibv_context *context)
{
	return container_of(context, struct sim_device, context);
}

/* Takes the mutex, and lets happen what is due. */
static inline struct sim_network *rdma_sim_enter(struct sim_device *device)
{
	struct sim_network *network = device->network;

	pthread_mutex_lock(&network->mutex);
	if (*device->now_ns > network->clock.now_ns)
		network->clock.now_ns = *device->now_ns;
	if (network->clock.next_ns <= network->clock.now_ns)
		rdma_sim_clock_run(&network->clock);
	return network;
}

static inline void rdma_sim_leave(struct sim_network *network)
{
	pthread_mutex_unlock(&network->mutex);
}

static inline bool rdma_sim_is_instant(const struct sim_network *network)
{
	return !(network->options.delay_ns | network->options.jitter_ns);
}

/* ---- sim_chance.c ---- */

/** rdma_sim_arrival - when what leaves now arrives, not before @last_ns, which is set to it */
uint64_t rdma_sim_arrival(struct sim_network *network, uint64_t *last_ns);

/** rdma_sim_happens - whether what happens @rate times of a million does now */
bool rdma_sim_happens(struct sim_network *network, uint32_t rate);

/** rdma_sim_is_deaf - whether nothing arrives there or leaves */
bool rdma_sim_is_deaf(const struct sim_device *device);

/**
 * rdma_sim_loses - whether a message does not arrive, which is counted
 * @to: NULL: nobody is there
 */
bool rdma_sim_loses(struct sim_device *from, struct sim_device *to, enum rdma_sim_kind kind,
		    uint64_t bytes);

/* ---- sim_address.c ---- */

/** rdma_sim_gid - the address as the devices have it; false: not of the internet */
bool rdma_sim_gid(union ibv_gid *gid, const struct sockaddr *address);
bool rdma_sim_gid_is_v4(const union ibv_gid *gid);
bool rdma_sim_gid_equal(const union ibv_gid *a, const union ibv_gid *b);
bool rdma_sim_is_wildcard(const struct sockaddr *address);
uint16_t rdma_sim_port(const struct sockaddr *address);
void rdma_sim_set_port(struct sockaddr *address, uint16_t port);

/** rdma_sim_address - the address of @device with that GID, by index; -1: it has none such */
int rdma_sim_address(const struct sim_device *device, const union ibv_gid *gid);

/** rdma_sim_address_of_family - its first one; -1 */
int rdma_sim_address_of_family(const struct sim_device *device, int family);

/** rdma_sim_sockaddr - address @index of @device with @port */
void rdma_sim_sockaddr(struct sockaddr_storage *address, const struct sim_device *device, int index,
		       uint16_t port);

/** rdma_sim_device_with - the device of the network with that address; NULL */
struct sim_device *rdma_sim_device_with(const struct sim_network *network,
					const union ibv_gid *gid);

/* ---- sim_table.c ---- */

/** rdma_sim_table_add - the index of @entry; 0: no memory, or @limit are in it */
uint32_t rdma_sim_table_add(struct sim_table *table, void *entry, uint32_t limit);

static inline void *rdma_sim_table_get(const struct sim_table *table, uint32_t index)
{
	return index < table->room ? table->entries[index] : NULL;
}

/* ---- sim_memory.c ---- */

struct ibv_pd *rdma_sim_alloc_pd(struct ibv_context *context);
int rdma_sim_dealloc_pd(struct ibv_pd *pd);
struct ibv_mr *rdma_sim_reg_mr(struct ibv_pd *pd, void *start, size_t bytes, int access);
int rdma_sim_dereg_mr(struct ibv_mr *mr);

/** rdma_sim_may_use - whether all segments lie in memory of @pd with @access, by their lkeys */
bool rdma_sim_may_use(const struct sim_device *device, const struct ibv_pd *pd,
		      const struct ibv_sge *segments, uint32_t count, int access);

/** rdma_sim_may_reach - whether a peer may do @access there, by the rkey */
bool rdma_sim_may_reach(const struct sim_device *device, const struct ibv_pd *pd, uint64_t address,
			uint64_t bytes, uint32_t rkey, int access);

uint64_t rdma_sim_bytes(const struct ibv_sge *segments, uint32_t count);

/** rdma_sim_copy - all of @from to @to, which has room, from its byte @offset on */
void rdma_sim_copy(const struct ibv_sge *to, uint64_t offset, const struct ibv_sge *from,
		   uint32_t from_count);

/* ---- sim_async.c ---- */

int rdma_sim_get_async_event(struct ibv_context *context, struct ibv_async_event *event);
void rdma_sim_ack_async_event(struct ibv_async_event *event);

/** rdma_sim_tell_* - an event of the device, which a program may fetch */
void rdma_sim_tell_cq(struct ibv_cq *cq, enum ibv_event_type type);
void rdma_sim_tell_qp(struct ibv_qp *qp, enum ibv_event_type type);
void rdma_sim_tell_device(struct sim_device *device, enum ibv_event_type type);

/** rdma_sim_async_forget - drop the events of a queue (pair) that goes */
void rdma_sim_async_forget(struct sim_device *device, const void *element);

/** rdma_sim_signal, rdma_sim_unsignal - make a descriptor readable, and no more so */
void rdma_sim_signal(int fd);
void rdma_sim_unsignal(int fd);

/* ---- sim_datagram.c ---- */

struct ibv_ah *rdma_sim_create_ah(struct ibv_pd *pd, struct ibv_ah_attr *attributes);
struct ibv_ah *rdma_sim_create_ah_from_wc(struct ibv_pd *pd, struct ibv_wc *wc, struct ibv_grh *grh,
					  uint8_t port);
int rdma_sim_destroy_ah(struct ibv_ah *ah);

#endif /* DEMI_RDMA_SIM_DEVICE_H */
