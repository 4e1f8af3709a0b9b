/* SPDX-License-Identifier: MIT */
/*
 * Requests as they go out. Several of one connection make a batch, which is one push: text in one
 * object of Demi's heap, and between its parts the values that are sent by reference. Whoever pushes a
 * batch frees its text at once, since the library keeps it until the push completes.
 */
#ifndef REDIS_LOAD_REQUEST_H
#define REDIS_LOAD_REQUEST_H

#include <demi/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "options.h"
#include "value.h"

#define REQUEST_KEY_DIGITS 12
#define REQUEST_KEY_MAX (OPTIONS_PREFIX_MAX + REQUEST_KEY_DIGITS)
#define REQUEST_HEAD_MAX (REQUEST_KEY_MAX + 64) /* bytes before a value */

/* A command before a value, with room for the key's number. */
struct request_head {
	char bytes[REQUEST_HEAD_MAX];
	size_t length;
	size_t digits; /* where the number stands */
};

struct request_texts {
	const struct value_table *table;
	struct request_head get, set;
	size_t bytes_max; /* of a request, without what goes by reference */
	bool by_reference;
};

void request_texts_init(struct request_texts *texts, const struct options *options,
			const struct value_table *table);

/** request_key - a key as text, with an end */
void request_key(const struct options *options, uint64_t key, char text[REQUEST_KEY_MAX + 1]);

struct request_batch {
	demi_sgarray_t array; /* to push, when it is ended */
	uint8_t *text;        /* NULL: there is no batch */
	size_t used, room;    /* bytes of it */
	size_t segment;       /* where its segment begins that is not in the array yet */
};

/**
 * request_batch_begin - make room for some requests
 *
 * Return: 0, or ENOMEM.
 */
int request_batch_begin(struct request_batch *batch, const struct request_texts *texts,
			uint32_t requests);

/** request_batch_has_room - for one request more, of either kind */
bool request_batch_has_room(const struct request_batch *batch, const struct request_texts *texts);

void request_batch_get(struct request_batch *batch, const struct request_texts *texts,
		       uint64_t key);
void request_batch_set(struct request_batch *batch, const struct request_texts *texts,
		       const struct value_id *id);

/** request_batch_end - the array is as it is to be pushed */
void request_batch_end(struct request_batch *batch);

/** request_batch_free - it was pushed, or is given up */
void request_batch_free(struct request_batch *batch);

/**
 * request_batch_auth - a batch that is one AUTH, ended
 *
 * Return: 0, or ENOMEM.
 */
int request_batch_auth(struct request_batch *batch, const struct options *options);

#endif /* REDIS_LOAD_REQUEST_H */
