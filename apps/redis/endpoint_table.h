/* SPDX-License-Identifier: MIT */
/* What the files of endpoint.h know of each other. */
#ifndef DEMI_REDIS_ENDPOINT_TABLE_H
#define DEMI_REDIS_ENDPOINT_TABLE_H

#include "endpoint.h"

/* Accepts under way for each listener: connections that one look at the loop can take. */
#define ENDPOINT_ACCEPTS 16u
/*
 * What a connection may have sent to us that Redis has not read, and as how many arrays: a command with a
 * value of 64 KiB. Redis does not count it as its memory.
 */
#define ENDPOINT_INPUT_BYTES_MAX (72u << 10)
#define ENDPOINT_INPUT_ARRAYS_MAX 1024u
/* Who has said so much at once is likely to have said more. */
#define ENDPOINT_MUCH_BYTES (8u << 10)
/* What a connection may have been given to send that has not left. One push may go beyond it. */
#define ENDPOINT_UNSENT_MAX (1u << 20)

enum endpoint_kind {
	ENDPOINT_NEW, /* a socket of both worlds, until its address tells whose it is */
	ENDPOINT_LISTENER,
	ENDPOINT_CONNECTING,
	ENDPOINT_STREAM,
	ENDPOINT_CLOSING, /* has no descriptor any more */
};

struct endpoint_deferred;

/** One push that is under way, or waits for a hold to end. */
struct endpoint_sending {
	struct endpoint_sending *next;
	demi_qtoken_t token;                /* 0: deferred */
	struct endpoint_deferred *deferred; /* NULL: under way */
	size_t bytes;
	size_t held_count;
	void *held[];
};

struct endpoint {
	enum endpoint_kind kind;
	int fd; /* -1: closing */
	int qd;
	bool is_nonblocking;
	bool is_at_end; /* the peer sends no more */
	bool wants_read;
	bool wants_write;
	bool is_listed;
	int error; /* of the connection, positive; told once by SO_ERROR, always by read and write */
	int64_t receive_timeout_ms; /* of a blocking descriptor; 0: none */

	demi_qtoken_t pop;     /* under way, or 0 */
	demi_qtoken_t connect; /* under way, or 0 */
	demi_qtoken_t close;   /* under way, or 0 */

	/* Listener: accepts under way, and connections accepted and not taken; both together ENDPOINT_ACCEPTS. */
	demi_qtoken_t accepting[ENDPOINT_ACCEPTS];
	unsigned int accepts;
	int accepted[ENDPOINT_ACCEPTS];
	unsigned int accepted_count;

	/* Arrays that have arrived, a ring; of the first one, @piece_at and @byte_at tell what is next. */
	demi_sgarray_t *input;
	size_t input_room; /* a power of two, or 0 */
	size_t input_head;
	size_t input_count;
	size_t input_bytes;
	size_t input_expected; /* before this many bytes it is not readable */
	uint32_t piece_at;
	uint32_t byte_at;

	/* Pushes under way, oldest first. */
	struct endpoint_sending *sending;
	struct endpoint_sending **sending_end;
	size_t unsent;

	/* Who had the queue's number before, and is closing: the library gives it to the next one at once. */
	struct endpoint *before;

	/* Those that may be ready. */
	struct endpoint *listed_next;
	struct endpoint *listed_prev;
};

/** endpoint_new - an endpoint for a queue; @fd: to be closed by endpoint_close. NULL and errno. */
struct endpoint *endpoint_new(int fd, int qd, enum endpoint_kind kind);

/** endpoint_drop - forget an endpoint without closing its descriptor or its queue */
void endpoint_drop(struct endpoint *endpoint);

/** endpoint_detach - its descriptor is its no more */
void endpoint_detach(struct endpoint *endpoint);

/** endpoint_by_qd - whose a queue is, and was before; or NULL */
struct endpoint *endpoint_by_qd(int qd);

/** endpoint_list - look at it at the next wait, after those that were listed before */
void endpoint_list(struct endpoint *endpoint);

/** endpoint_unlist - do not */
void endpoint_unlist(struct endpoint *endpoint);

/** endpoint_receive - have a pop or accepts under way, if more may arrive */
void endpoint_receive(struct endpoint *endpoint);

/** endpoint_completed - note the result of an operation */
void endpoint_completed(demi_qresult_t *result);

/** endpoint_look - note what has completed */
void endpoint_look(void);

/**
 * endpoint_defer - push @sga when the last hold has ended, behind all that was deferred before
 * @is_array: free it with demi_sgafree then
 * Return: false: no memory, and nothing is changed.
 */
bool endpoint_defer(struct endpoint *endpoint, struct endpoint_sending *sending,
		    const demi_sgarray_t *sga, bool is_array);

/** endpoint_forget_deferred - do not push it, if it was deferred */
void endpoint_forget_deferred(struct endpoint_sending *sending);

/** endpoint_sending_failed - the connection has failed with a push that was deferred */
void endpoint_sending_failed(struct endpoint *endpoint, struct endpoint_sending *sending,
			     int error);

bool endpoint_is_readable(const struct endpoint *endpoint);
bool endpoint_is_writable(const struct endpoint *endpoint);

/** endpoint_forget_input - free what has arrived */
void endpoint_forget_input(struct endpoint *endpoint);

/** endpoint_fail - set errno to @error, a positive one. Return: -1. */
int endpoint_fail(int error);

/** endpoint_shares_addresses - true: the libOS is Catnap, whose addresses are the kernel's, loopback ones too */
bool endpoint_shares_addresses(void);

/* Those that may be ready, in the order in which they became it. */
extern struct endpoint *endpoint_listed;
/* Closed, and not gone yet. */
extern size_t endpoint_closing_count;
/* Somebody's next pop is likely to complete at the next look; who looks sets it back. */
extern bool endpoint_more_comes;

#endif
