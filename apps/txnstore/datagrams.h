/* SPDX-License-Identifier: MIT */
/*
 * Messages over UDP, one a datagram, for clusters that say so. Before each stand who sends it and its
 * number, so that one which comes twice is taken once; one that is lost is sent again by the protocol.
 */
#ifndef TXNSTORE_DATAGRAMS_H
#define TXNSTORE_DATAGRAMS_H

#include <demi/demi.h>

#include "echo/address.h"
#include "txnstore/core/message.h"

/** Larger messages go over streams: the more fragments, the likelier is it that one is lost. */
#define DATAGRAM_MESSAGE_MAX (16u << 10)

/** Magic, sender, number. */
#define DATAGRAM_HEADER_LEN 24u

#define DATAGRAM_SENDERS 4096u /* who of them was silent for longest makes room for others */
#define DATAGRAM_WAYS 8u
/* A number so far below the newest is of one that came before, or is late enough to be lost. */
#define DATAGRAM_WINDOW 64u
#define DATAGRAM_POPS 16u

struct datagram_sender {
	uint64_t id; /* 0: nobody */
	uint64_t newest;
	uint64_t seen;  /* bit i: newest - i */
	uint64_t heard; /* counts what comes */
	uint32_t generation;
	struct address address;
};

struct datagrams {
	int qd; /* -1: there are none */
	uint64_t id, number;
	uint64_t heard;
	demi_qtoken_t pops[DATAGRAM_POPS]; /* 0: to be begun */
	void (*received)(void *context, uint64_t peer, const struct message *message);
	void *context;
	struct datagram_sender *senders; /* [DATAGRAM_SENDERS], by id, in sets of DATAGRAM_WAYS */
	uint8_t *whole;                  /* of one that came in several segments */
	uint64_t dropped, twice, malformed; /* counted */
	bool is_other_version;              /* the last that was malformed */
	struct address bad_from;
};

/** Set in `peer`, for datagrams_answer. */
#define DATAGRAM_PEER (UINT64_C(1) << 63)

/**
 * datagrams_open - @id: not 0, and nobody else's
 * @at: where others find it; NULL: at any port, to send to addresses of @family
 *
 * Return: 0, an errno.
 */
int datagrams_open(struct datagrams *datagrams, const struct address *at, int family, uint64_t id);
/** datagrams_close - also of what was not opened, as long as qd is -1 */
void datagrams_close(struct datagrams *datagrams);

/** datagrams_take - Return: whether a message is small enough. */
static inline bool datagrams_take(const struct datagrams *datagrams, const struct message *message)
{
	return datagrams->qd >= 0 && message_size(message) <= DATAGRAM_MESSAGE_MAX;
}

void datagrams_send(struct datagrams *datagrams, const struct address *to,
		    const struct message *message);
/**
 * datagrams_answer - to where a message of @peer came from last, if that is still known
 *
 * One that is too large goes without its body as RESULT_LARGE.
 */
void datagrams_answer(struct datagrams *datagrams, uint64_t peer, const struct message *message);

/** datagrams_address - where a message of @peer came from last; NULL: that is not known any more */
const struct address *datagrams_address(const struct datagrams *datagrams, uint64_t peer);

/** datagrams_result - Return: whether @result was of these. */
bool datagrams_result(struct datagrams *datagrams, const demi_qresult_t *result);

/** datagrams_note - Return: whether @number of @sender comes for the first time; the sender is known then */
bool datagrams_note(struct datagrams *datagrams, uint64_t id, uint64_t number,
		    struct datagram_sender **sender_out);

#endif /* TXNSTORE_DATAGRAMS_H */
