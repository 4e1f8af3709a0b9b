/* SPDX-License-Identifier: MIT */
/*
 * The client's work without its I/O: which message goes out next on which connection, whether what
 * comes back is right, and what is measured on the way. Both programs share it, so that they
 * differ in their I/O alone.
 *
 * Sequence numbers count per connection. A message occupies one of `inflight` slots until its echo
 * is complete; its sequence number is round x inflight + slot. On a stream echoes come in order and
 * are verified by their position. A datagram is found by the sequence number in it; one that is
 * not back after a second counts as lost, and a new message takes its slot.
 */
#ifndef ECHO_WORKLOAD_H
#define ECHO_WORKLOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "latency.h"
#include "options.h"
#include "pattern.h"

#define WORKLOAD_LOSS_NS UINT64_C(1000000000)     /* a datagram counts as lost */
#define WORKLOAD_SILENCE_NS UINT64_C(10000000000) /* the server counts as gone */
#define WORKLOAD_DRAIN_NS UINT64_C(1000000000)    /* wait for echoes at the end */

struct workload_slot {
	uint64_t sequence; /* of the message that is or was last here */
	uint64_t sent_ns;
	bool used; /* sequence is valid */
	bool outstanding;
};

struct workload_connection {
	uint32_t index;
	uint32_t outstanding;        /* messages sent and not answered */
	uint64_t answered;           /* echoes that came back whole and right */
	uint64_t next_sequence;      /* stream only */
	uint64_t position;           /* stream only: bytes of echo that came and were right */
	struct workload_slot *slots; /* [inflight] */
	uint32_t *free_slots;        /* datagrams only: [inflight - outstanding], a stack */
};

/* The workloads of several threads, which run at the same time. */
struct workload_group {
	struct workload *members;
	uint32_t count;
	pthread_barrier_t connected; /* all begin when each has its connections, or has failed */
	_Atomic bool is_over;        /* one has failed: the others end */
};

struct workload {
	const struct options *options;
	struct workload_group *group; /* NULL: it is the only one */
	struct pattern pattern;
	struct latency latency; /* of the messages after the warm-up */
	struct workload_connection *connections;
	struct workload_slot *slots; /* memory of all connections' slots, and free slots */
	uint32_t *free_slots;

	uint64_t now_ns; /* the clock at the last workload_tick */
	uint64_t started_ns;
	uint64_t measured_from_ns; /* end of the warm-up; 0 while it lasts */
	uint64_t last_answer_ns;   /* any byte of an echo */
	uint64_t expiry_ns;        /* next look for lost datagrams */
	uint64_t drain_until_ns;   /* 0: not ending yet */

	uint64_t sent;
	uint64_t verified; /* echoes that came back whole and right, warm-up included */
	uint64_t lost;
	uint64_t duplicates; /* datagrams that came twice, or after they counted as lost */
	uint64_t outstanding;

	/* As of the last tick, for the thread that prints progress. */
	_Atomic uint64_t told_verified;
	_Atomic uint64_t told_lost;

	bool interrupted;  /* by a signal */
	char failure[256]; /* why the run ended early; "": it did not */
};

/** workload_init - Return: 0, or ENOMEM. */
int workload_init(struct workload *workload, const struct options *options);
void workload_fini(struct workload *workload);

/** workload_start - connections are up, the clock runs. */
void workload_start(struct workload *workload, uint64_t now_ns);

/**
 * workload_tick - take the time, once for each wait that returned
 *
 * Notices signals, the end of the duration, lost datagrams and a silent server. Return: true when
 * slots have become free, so that connections may send that wait for no event.
 */
bool workload_tick(struct workload *workload, uint64_t now_ns);

/** workload_may_send - whether one more message is to go out on @connection now. */
bool workload_may_send(const struct workload *workload, uint32_t connection);

/** workload_send - write the next message of @connection to @message, `size` bytes. */
void workload_send(struct workload *workload, uint32_t connection, uint8_t *message);

/** workload_rx_stream - the next bytes of a stream's echo, split or merged as they may be. */
void workload_rx_stream(struct workload *workload, uint32_t connection, const uint8_t *data,
			size_t length);

/** workload_rx_datagram - one datagram. */
void workload_rx_datagram(struct workload *workload, uint32_t connection, const uint8_t *data,
			  size_t length);

/** workload_fail - end the run; the first failure is kept. */
__attribute__((format(printf, 2, 3))) void workload_fail(struct workload *workload,
							 const char *format, ...);

bool workload_done(const struct workload *workload);

/** workload_add - add to @total, which begins as all zeroes and latency_init, what a thread's has done */
void workload_add(struct workload *total, const struct workload *workload);

/** workload_seconds - from the end of the warm-up to the last answer. */
double workload_seconds(const struct workload *workload);

#endif /* ECHO_WORKLOAD_H */
