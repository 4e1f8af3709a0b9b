/* SPDX-License-Identifier: MIT */
/* A request of a client while it is being answered. For turn*.c. */
#ifndef RELAY_TURN_REQUEST_H
#define RELAY_TURN_REQUEST_H

#include "turn_state.h"

/* Numbers of families in REQUESTED-ADDRESS-FAMILY and the like (RFC 8656, 18.6). */
#define TURN_NUMBER_V4 1
#define TURN_NUMBER_V6 2

/** What covers the answer: the same that covered the request. */
enum turn_integrity { TURN_INTEGRITY_NONE, TURN_INTEGRITY_SHA1, TURN_INTEGRITY_SHA256 };

struct turn_request {
	struct turn *turn;
	uint64_t now_ns;
	const struct turn_client *client;
	struct stun_message message;
	struct turn_allocation *allocation; /* the client's; NULL: it has none */
	struct stun_text name, person;      /* in the message, or below */
	struct stun_key key;
	enum turn_integrity integrity;
	bool is_trusted; /* the client has shown who it is, or need not */
	struct stun_writer writer;
	char person_text[NET_ADDRESS_TEXT_MAX]; /* who it is when nobody needs a name */
};

/**
 * turn_authenticate - who sent this request (RFC 8489, 9.2.4)
 *
 * Sets name, person, key, integrity and is_trusted. Return: 0, or the code of the error.
 */
unsigned int turn_authenticate(struct turn_request *request);

/** turn_answer_begin - an answer of this class to the request, with nothing in it yet */
void turn_answer_begin(struct turn_request *request, enum stun_class class);

/** turn_answer_error - an error with all that it needs */
void turn_answer_error(struct turn_request *request, unsigned int code);

/**
 * turn_answer_end - software, integrity and fingerprint
 *
 * Who has not shown who he is gets no byte more than he sent unless the RFC wants it, and such answers
 * are counted by address. Return: bytes of the answer; 0: it is not to be sent.
 */
size_t turn_answer_end(struct turn_request *request);

/* What is done by each method; an answer is begun when they return. */
void turn_do_allocate(struct turn_request *request);
void turn_do_refresh(struct turn_request *request);
void turn_do_create_permission(struct turn_request *request);
void turn_do_channel_bind(struct turn_request *request);

/**
 * turn_family_asked - REQUESTED-ADDRESS-FAMILY or the like
 *
 * Return: NET_V4, NET_V6; 0: another one.
 */
uint8_t turn_family_asked(const struct turn_request *request, enum stun_attribute attribute);

/** turn_lifetime_asked - seconds that an allocation gets, from LIFETIME and the settings */
uint32_t turn_lifetime_asked(const struct turn_request *request);

/** turn_after - so many seconds from now */
uint64_t turn_after(const struct turn_request *request, uint32_t seconds);

#endif /* RELAY_TURN_REQUEST_H */
