/* SPDX-License-Identifier: MIT */
/*
 * Requests to a connection's send queue: messages, reads of the peer's memory, writes of counters.
 *
 * A message waits for credits and for room in the queue (waiting), is chained with others that go to
 * the device together (chain), and is the device's until a completion tells that it or a later one is
 * done (posted): few of them ask for a completion. A short one is copied into its request, and the push
 * is complete when it goes; a longer one holds the application's memory until the device, or for a
 * large one the peer, has read it.
 */
#ifndef DEMI_LIBOS_CATMINT_SEND_H
#define DEMI_LIBOS_CATMINT_SEND_H

#include "heap/fast.h"
#include "libos/catmint/catmint.h"
#include "libos/catmint/message.h"

/** The header, an array's segments, and some that lie in two regions of the heap. */
#define SEND_PIECES_MAX 11u
#define SEND_HELD_MAX SEND_PIECES_MAX
/** The header, and a copy of all the rest. */
#define SEND_PIECES_MIN 2u

enum send_kind {
	SEND_MESSAGE,  /* that is done with its completion */
	SEND_LARGE,    /* done when the peer has read it, too */
	SEND_READ,     /* of a peer's large message */
	SEND_COUNTERS, /* written to the peer's word */
	SEND_DATAGRAM, /* or a part of one; its owner is a dgram_pair */
	SEND_LAST,     /* of a queue pair that has failed; see end.c */
};

/** Of SEND_LAST so many are under way at a time; the completion queue has room for them. */
#define SEND_LASTS_MAX 8u

struct send {
	struct send *next; /* in the list that it is on */
	union {
		struct connection *connection;
		struct dgram_pair *pair;
	};
	struct op *op; /* completed with it; NULL: none */
	union {
		struct send *large_next;       /* of those that the peer has to read */
		struct address_handle *handle; /* of a datagram that the device has */
	};
	struct send *last; /* of the push that it is a part of */
	uint32_t parts;    /* in the last one: of the push */
	uint32_t lkey;     /* of data */
	uint8_t kind;      /* enum send_kind */
	uint8_t message;   /* enum message_kind */
	uint8_t held_count;
	bool is_posted; /* the chain or the device has it */
	bool is_read;   /* the peer has read it */
	uint32_t payload_bytes;
	uint32_t large_bytes; /* of SEND_LARGE: that the peer is to read */
	/* Of one that asks for a completion: it ends so many that are all short; 0: others too. */
	uint32_t shorts;
	struct buf *into; /* of a read */
	struct ibv_send_wr request;
	struct ibv_sge pieces[SEND_PIECES_MAX]; /* the first is the header and what is copied */
	void *held[SEND_HELD_MAX];              /* objects of the heap */
	unsigned char data[];                   /* the header and what is copied */
};

/*
 * A free one is as a short message needs it: of what stands above only connection, the first piece's
 * length, payload_bytes and send_flags are to be set.
 */

struct send_list {
	struct send *head;
	struct send *tail;
};

static inline void send_list_append(struct send_list *list, struct send *send)
{
	send->next = NULL;
	if (list->tail)
		list->tail->next = send;
	else
		list->head = send;
	list->tail = send;
}

static inline struct send *send_list_take(struct send_list *list)
{
	struct send *send = list->head;

	if (send) {
		list->head = send->next;
		if (!list->head)
			list->tail = NULL;
	}
	return send;
}

/** send_pool_create - some requests for a start; 0 or -ENOMEM */
int send_pool_create(struct catmint *mint);

/** send_pool_destroy - free the memory of all */
void send_pool_destroy(struct catmint *mint);

/** send_take - an empty request of a connection's; NULL: out of memory */
struct send *send_take(struct catmint *mint, struct connection *connection);

/** send_put - give it back, and let go of what it holds */
void send_put(struct catmint *mint, struct send *send);

/** send_is_short - a message that is all copied, and whose push is complete */
static inline bool send_is_short(const struct send *send)
{
	return send->kind == SEND_MESSAGE && send->message == MESSAGE_DATA &&
	       send->held_count == 0 && !send->op;
}

/** send_put_short - likewise, of a short one */
static inline void send_put_short(struct catmint *mint, struct send *send)
{
	send->request.next = NULL;
	send->is_posted = false;
	send->next = mint->free_sends;
	mint->free_sends = send;
}

/** send_hold - keep an object of the heap until send_put; @memory is anywhere in it */
void send_hold(const struct catmint *mint, struct send *send, void *memory);

/** send_let_go - nobody reads what it holds any more */
void send_let_go(const struct catmint *mint, struct send *send);

/**
 * send_add_piece - add a run of the heap's memory to what is sent
 *
 * Return: false: it would take more pieces than the device does.
 */
bool send_add_piece(const struct catmint *mint, struct send *send, const void *memory,
		    uint32_t bytes);

#endif /* DEMI_LIBOS_CATMINT_SEND_H */
