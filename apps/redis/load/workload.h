/* SPDX-License-Identifier: MIT */
/*
 * The work without its I/O: which request goes out next on which connection, whether what comes back
 * is right, and what is measured on the way. Replies of a connection come in the order of its requests.
 *
 * A run has phases: AUTH on every connection where there is a password; the prefill, a SET of every
 * key; the warm-up; the measurement; and its end, when no more goes out. From one to the next of the
 * first three it waits until every reply has come.
 */
#ifndef REDIS_LOAD_WORKLOAD_H
#define REDIS_LOAD_WORKLOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "echo/latency.h"
#include "options.h"
#include "order.h"
#include "resp.h"
#include "value.h"

#define WORKLOAD_SILENCE_NS UINT64_C(10000000000) /* the server counts as gone */

enum workload_phase { PHASE_AUTH, PHASE_PREFILL, PHASE_WARMUP, PHASE_MEASURE, PHASE_END };

enum request_kind { REQUEST_AUTH, REQUEST_GET, REQUEST_SET };

struct workload_request {
	enum request_kind kind;
	bool measured;
	uint64_t key;
	uint64_t version; /* SET: the value's; GET: none older may come, 0 for any */
	uint64_t sent_ns; /* when it was, or at a --rate, when it should have been */
};

struct workload_connection {
	uint32_t index;
	uint32_t head;        /* in requests: the one whose reply is next */
	uint32_t outstanding; /* requests without a whole reply */
	uint64_t answered;
	struct workload_request *requests; /* [pipeline], a ring */
	struct resp_parser parser;
	struct value_check check;
};

struct workload {
	const struct options *options;
	const struct value_table *table;
	uint32_t run; /* number of this run, which values tell */
	struct workload_connection *connections;
	struct workload_request *requests; /* memory of all connections' */
	struct order_key *order;           /* [keys]; NULL where nothing asks */
	struct latency latency;            /* of the measured requests */

	enum workload_phase phase;
	uint64_t random;      /* state of the generator */
	uint64_t version;     /* of the last SET */
	uint64_t prefilled;   /* keys whose SET has been handed out */
	uint64_t outstanding; /* on all connections */
	uint64_t handed_out;  /* measured requests */
	uint64_t due_ns;      /* at a --rate: when the next request is */

	uint64_t now_ns; /* the clock at the last workload_tick */
	uint64_t started_ns;
	uint64_t phase_ns;         /* when the phase began */
	uint64_t measured_from_ns; /* 0: not yet */
	uint64_t last_answer_ns;   /* any byte of a reply */
	uint64_t heard_ns;         /* that, or when the first request went out that waits for one */

	/* Of all phases but AUTH. */
	uint64_t gets, sets;    /* answered */
	uint64_t verified;      /* values whose every byte was compared */
	uint64_t nils;          /* keys that were not there */
	uint64_t error_replies; /* those that were allowed, or the one that ended the run */

	bool interrupted;  /* by a signal */
	char failure[512]; /* why the run ended early; "": it did not */
};

/** workload_init - @run: another number for each run. Return: 0, or ENOMEM. */
int workload_init(struct workload *workload, const struct options *options,
		  const struct value_table *table, uint32_t run);
void workload_fini(struct workload *workload);

/** workload_start - connections are up, the clock runs. */
void workload_start(struct workload *workload, uint64_t now_ns);

/**
 * workload_tick - take the time, once for each wait that returned
 *
 * Notices signals, ends of phases and a silent server. Return: true when connections may send that wait
 * for no event.
 */
bool workload_tick(struct workload *workload, uint64_t now_ns);

/** workload_paced - whether requests go out at a --rate now, and not as replies come */
bool workload_paced(const struct workload *workload);

/** workload_sleep_ns - until the next request is due, at most @max_ns */
uint64_t workload_sleep_ns(const struct workload *workload, uint64_t max_ns);

/** workload_may_send - requests that may go out on a connection now */
uint32_t workload_may_send(const struct workload *workload, uint32_t connection);

/**
 * workload_send - the next request, which goes out on @connection
 *
 * Only after workload_may_send was not 0. Return: what it is, valid until the next call.
 */
const struct workload_request *workload_send(struct workload *workload, uint32_t connection);

/** workload_rx - the next bytes of a connection's replies, split or merged as they may be. */
void workload_rx(struct workload *workload, uint32_t connection, const uint8_t *data,
		 size_t length);

/** workload_fail - end the run; the first failure is kept. */
__attribute__((format(printf, 2, 3))) void workload_fail(struct workload *workload,
							 const char *format, ...);

bool workload_done(const struct workload *workload);

/** workload_answered - requests of all phases but AUTH */
uint64_t workload_answered(const struct workload *workload);

/** workload_seconds - of the measurement, to the last answer. */
double workload_seconds(const struct workload *workload);

#endif /* REDIS_LOAD_WORKLOAD_H */
