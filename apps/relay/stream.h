/* SPDX-License-Identifier: MIT */
/*
 * Messages in a stream of a client (RFC 8656, 12.5 and RFC 8489, 6.2.2): they are cut out of what
 * arrives, where it lies. A message that came in several parts is handed on in several pieces.
 */
#ifndef RELAY_STREAM_H
#define RELAY_STREAM_H

#include <demi/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Parts that are held: two arrays of the most segments. More are gathered into one, by copying. */
#define STREAM_PARTS_MAX (2u * DEMI_SGARRAY_MAXSIZE)
/* Pieces of a message, which have to go into one array; of more it is made one, likewise. */
#define STREAM_PIECES_MAX DEMI_SGARRAY_MAXSIZE

struct stream_part {
	void *owner; /* sga_buf of the array that it is the last of, or an object of demi_malloc */
	const uint8_t *bytes; /* of it, what was not taken yet */
	uint32_t length;
	bool is_gathered;
};

struct stream {
	struct stream_part parts[STREAM_PARTS_MAX];
	uint32_t count;
	uint32_t length; /* of all parts, bytes */
};

/** One message, as it lies. */
struct stream_message {
	demi_sgaseg_t pieces[STREAM_PIECES_MAX];
	uint32_t count;
	uint32_t length; /* without the padding of ChannelData */
	uint32_t taken;  /* with it */
};

/** stream_add - what was popped; it is the stream's now. Return: 0, -ENOMEM. */
int stream_add(struct stream *stream, demi_sgarray_t *array);

/**
 * stream_next - the next message
 *
 * Return: 1; 0: it is not there as a whole; -EBADMSG: what follows is no message; -ENOMEM.
 */
int stream_next(struct stream *stream, struct stream_message *message);

/** stream_take - the message is done with: it and what held it alone are freed */
void stream_take(struct stream *stream, const struct stream_message *message);

/** stream_fini - free what is left */
void stream_fini(struct stream *stream);

#endif /* RELAY_STREAM_H */
