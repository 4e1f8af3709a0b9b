/* SPDX-License-Identifier: MIT */
/*
 * Replies of a Redis server, RESP2, cut out of a stream that arrives in pieces of any size. Nothing is
 * gathered but the lines that are split between pieces: the bytes of a bulk string are told of where
 * they lie, run by run, so that who wants them looks at them there.
 */
#ifndef REDIS_LOAD_RESP_H
#define REDIS_LOAD_RESP_H

#include <stddef.h>
#include <stdint.h>

#define RESP_LINE_MAX 1024                 /* bytes of a line, its end not counted */
#define RESP_BULK_MAX (UINT32_C(1) << 29)  /* bytes of a bulk string: Redis's own limit */
#define RESP_ARRAY_MAX (UINT32_C(1) << 20) /* elements: Redis's own limit for requests */

enum resp_kind {
	RESP_SIMPLE,  /* +text */
	RESP_ERROR,   /* -text */
	RESP_INTEGER, /* :integer */
	RESP_NIL,     /* a bulk string or an array that is not there */
	RESP_ARRAY,   /* *integer: so many replies follow, which are told of as any other */
	RESP_BULK,    /* $integer: so many bytes follow */
	RESP_BYTES,   /* text: the next run of them, never empty */
	RESP_END,     /* of the bulk string, also of one without bytes */
};

struct resp_event {
	enum resp_kind kind;
	int64_t integer;
	/* Not terminated; valid until the next call, or as long as the piece that it may lie in. */
	const uint8_t *text;
	size_t length;
};

struct resp_parser {
	enum { RESP_AT_LINE, RESP_IN_BULK, RESP_AT_CR, RESP_AT_LF, RESP_WRONG } state;
	uint32_t bulk_max;   /* bytes */
	uint32_t bulk_left;  /* bytes of the bulk string that have not come */
	uint32_t line_bytes; /* of the line so far */
	const char *wrong;   /* in state RESP_WRONG: what is, in words */
	uint8_t line[RESP_LINE_MAX + 2];
};

/** resp_init - @bulk_max: bytes of a bulk string that are taken, at most RESP_BULK_MAX */
void resp_init(struct resp_parser *parser, uint32_t bulk_max);

/**
 * resp_next - the next event in a piece of the stream
 * @data, @length: the piece; moved on behind what was taken
 *
 * Return: 1 with an event; 0 when the piece is used up; -EPROTO when this is no RESP2, or more than is
 * taken, which parser->wrong says: from then on every call returns it.
 */
int resp_next(struct resp_parser *parser, const uint8_t **data, size_t *length,
	      struct resp_event *event);

#endif /* REDIS_LOAD_RESP_H */
