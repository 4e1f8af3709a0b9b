/* SPDX-License-Identifier: MIT */
/*
 * The provider "sim": a network in this process of RDMA devices, on the time that rdma_options gives.
 * For tests: whatever happens follows from the seed and the calls, so that a run can be repeated,
 * and each kind of mishap has its rate, its function and its counter.
 *
 * A device is made by name, "sim:NAME,ip=10.0.0.1,ip=fd00::1,key=number,...". Devices of this
 * process that give the same NAME, of any thread, are on one network, which goes with the last of
 * them. The first says what happens on it, with the keys of struct rdma_sim_options; the others
 * repeat that or leave it out. ip and the keys of struct rdma_sim_limits are the device's own.
 *
 * Whatever crosses the network takes the delay, and happens when its time has come and somebody
 * calls any function of any device there; without delay and jitter at once, within the call that
 * sends. The memory of a request that is not inline is read when it arrives, so that memory which
 * was given back too early shows. Of a completion with an error only those members are valid that
 * verbs.h names, and the others have noise.
 *
 * Where hardware may do either, it does what hides least: a request goes with its queue pair when
 * that is destroyed or in error before it has arrived; who arms a completion queue is told of later
 * completions alone; what was asked for is what is granted, and not more; the state in struct ibv_qp
 * is what the program has set, not what the queue pair has come to (query_qp tells that).
 *
 * A count of seven retries is one without end, as Soft-RoCE has it; of adapters it may be a count.
 *
 * A local error leaves the peer without an answer. Not simulated: atomics, memory windows, multicast,
 * paths and their migration, the limit of a shared receive queue.
 *
 * Connections are made as Linux does it, which is not always as the manual pages say:
 * - private data arrives with the room of its message, and zeroes behind what was given: 56 bytes of
 *   a connect, 196 of an accept, 148 of a reject; of datagrams 180 and 136;
 * - who connects is ready to receive when it has fetched ESTABLISHED; what comes earlier is repeated;
 * - who disconnects is told DISCONNECTED when the peer has called disconnect or destroy_id too, or
 *   has not for the time of the connection manager;
 * - a device that accepts a datagram's id gets no event; a refusal of one is UNREACHABLE with the
 *   status 1 (nobody listens) or 2 (rejected);
 * - an address that is bound is EADDRINUSE, or EADDRNOTAVAIL if one of both is the wildcard.
 */
#ifndef DEMI_RDMA_SIM_H
#define DEMI_RDMA_SIM_H

#include <stdbool.h>
#include <stdint.h>

#include "rdma/rdma.h"

#define RDMA_SIM_MILLION 1000000u
#define RDMA_SIM_TIME_MAX UINT64_C(3600000000000)
#define RDMA_SIM_ADDRESSES_MAX 8u
#define RDMA_SIM_QP_MAX 131070u /* of a device; the number of a queue pair has room for so many */

enum rdma_sim_kind {
	RDMA_SIM_REQUEST,  /* of a reliable connection: a message */
	RDMA_SIM_RESPONSE, /* and its acknowledgement, or data that was read */
	RDMA_SIM_DATAGRAM,
	RDMA_SIM_CONNECT, /* the connection manager's: from who connects, each time that it is sent */
	RDMA_SIM_ACCEPT,
	RDMA_SIM_REJECT,
	RDMA_SIM_READY, /* who connects has seen the accept */
	RDMA_SIM_DISCONNECT,
	RDMA_SIM_DISCONNECTED,
};

/** Something that crosses the network. */
struct rdma_sim_message {
	enum rdma_sim_kind kind;
	const struct rdma *from;
	uint64_t bytes; /* of data */
};

/** Told of each message that is about to arrive. Return: whether it does; false: it is lost. */
typedef bool rdma_sim_filter(void *context, const struct rdma_sim_message *message);

/** What happens on a network; all zero: nothing does, at once. Rates are per million packets. */
struct rdma_sim_options {
	uint64_t seed;
	uint64_t delay_ns;
	uint64_t jitter_ns; /* up to so much more; it changes no order */
	uint32_t loss;      /* of a connection: repeated after retransmit_ns */
	uint32_t duplicate; /* of datagrams */
	uint32_t reorder;   /* of datagrams: arrives reorder_ns later than it would, after others */
	uint64_t reorder_ns; /* 0: three times delay and jitter, and 10 us */
	/* 0: 2^17 * 4.096 us, as Linux has it for Ethernet; RDMA_OPTION_ID_ACK_TIMEOUT goes before */
	uint64_t retransmit_ns;
	uint64_t rnr_ns;        /* 0: as the receiver's min_rnr_timer says, 655.36 ms at first */
	uint64_t cm_timeout_ns; /* of each try of the connection manager; 0: 2^20 * 4.096 us */
	uint32_t cm_retries;    /* 0: 15 */
	rdma_sim_filter *filter;
	void *filter_context;
};

/** What a device has; zero is zero, in the words too. */
struct rdma_sim_limits {
	uint32_t mtu; /* 256, 512, 1024, 2048 or 4096, which is the default */
	uint32_t max_qp;
	uint32_t max_qp_wr;
	uint32_t max_sge;
	uint32_t max_cqe;
	uint32_t max_srq;
	uint32_t max_srq_wr;
	uint32_t max_inline;
	uint32_t max_rd_atom;
	uint32_t down; /* 1: its link is, at first */
	uint32_t
		down_fails; /* 1: a request while it is ends at once, as Soft-RoCE's; 0: by retries */
	uint64_t memlock;   /* bytes that can be registered */
};

/** Of one device; what is lost is the sender's. */
struct rdma_sim_counters {
	uint64_t
		messages; /* sent and, of connections, executed by the peer; without those repeated */
	uint64_t bytes;   /* of these */
	uint64_t datagrams;
	uint64_t completions;
	uint64_t rnr; /* that the peer had no buffer for, each time */
	uint64_t retransmissions;
	uint64_t lost; /* of all kinds, by rate, filter, or since there was nobody to get it */
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t no_buffer;  /* datagrams that this device had none for */
	uint64_t bad_key;    /* datagrams to this device with a wrong queue key, or number */
	uint64_t flushed;    /* requests of queue pairs in error */
	uint64_t errors;     /* other completions with an error */
	uint64_t overflowed; /* completion queues */
};

/** rdma_sim_options - what happens from now on; may be changed at any time, but for the seed */
struct rdma_sim_options *rdma_sim_options(struct rdma *rdma);

const struct rdma_sim_counters *rdma_sim_counters(const struct rdma *rdma);

/** rdma_sim_link - take the link of the device down, or bring it up again, with the event */
void rdma_sim_link(struct rdma *rdma, bool up);

/** rdma_sim_silence - nothing arrives from it or at it any more, and nobody is told */
void rdma_sim_silence(struct rdma *rdma);

/** rdma_sim_remove - the device is gone; calls fail with EIO, but for those that give back */
void rdma_sim_remove(struct rdma *rdma);

/**
 * rdma_sim_withdraw - the device is to go, of a driver that waits until nobody has it open any more
 *
 * As of Soft-RoCE: the ids that have the device are told, and nothing else tells of it or fails.
 */
void rdma_sim_withdraw(struct rdma *rdma);

/** rdma_sim_fail_qp - a queue pair gets a fatal error, with the event */
void rdma_sim_fail_qp(struct ibv_qp *qp);

#endif /* DEMI_RDMA_SIM_H */
