/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for replies of a Redis server: what they come to is the same however the stream is
 * split, nothing is told of that is not in it, and what is wrong stays so. The first bytes of an input
 * say where the stream is split, and how long a value may be.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "resp.h"

#define HEAD_BYTES 4
#define BULK_MAX 300

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define must(condition) ((condition) ? (void)0 : fail(#condition, __LINE__))

static _Noreturn void fail(const char *condition, int line)
{
	fprintf(stderr, "resp_fuzz.c:%d: not so: %s\n", line, condition);
	abort();
}

/* All that was told, with the runs of a value put together. */
struct transcript {
	uint8_t *bytes;
	size_t length, room;
	uint64_t bulk_left; /* bytes of the value that are still to be told of */
	int in_bulk;
	int result; /* of the last call */
};

static void add(struct transcript *transcript, const void *bytes, size_t length)
{
	must(length <= transcript->room - transcript->length);
	if (length)
		memcpy(transcript->bytes + transcript->length, bytes, length);
	transcript->length += length;
}

static void add_event(struct transcript *transcript, const struct resp_event *event)
{
	uint8_t kind = (uint8_t)event->kind;

	if (event->kind == RESP_BYTES) {
		must(transcript->in_bulk && event->length > 0);
		must(event->length <= transcript->bulk_left);
		transcript->bulk_left -= event->length;
		add(transcript, event->text, event->length);
		return;
	}
	add(transcript, &kind, 1);
	must(transcript->in_bulk == (event->kind == RESP_END));
	must(transcript->bulk_left == 0);
	transcript->in_bulk = event->kind == RESP_BULK;
	if (event->kind == RESP_END)
		return;
	must(event->length <= RESP_LINE_MAX);
	if (event->kind == RESP_BULK) {
		must(event->integer >= 0 && event->integer <= BULK_MAX);
		transcript->bulk_left = (uint64_t)event->integer;
	}
	add(transcript, &event->integer, sizeof(event->integer));
	add(transcript, event->text, event->length);
}

/* One piece, in a block of its own, so that a byte too far is seen. */
static void feed(struct transcript *transcript, struct resp_parser *parser, const uint8_t *bytes,
		 size_t length)
{
	uint8_t *copy = malloc(length ? length : 1);
	const uint8_t *data = copy;
	struct resp_event event;

	must(copy);
	if (length)
		memcpy(copy, bytes, length);
	while ((transcript->result = resp_next(parser, &data, &length, &event)) > 0)
		add_event(transcript, &event);
	must(transcript->result == -EPROTO || (transcript->result == 0 && length == 0));
	must((transcript->result == 0) == (parser->wrong == NULL));
	free(copy);
}

/* Pieces are as long as the steps say, in turn; 0 stands for all that is left. */
static void run(struct transcript *transcript, const uint8_t *steps, size_t num_steps,
		const uint8_t *stream, size_t length)
{
	struct resp_parser parser;
	size_t done = 0;

	transcript->room = 16 * length + 64;
	transcript->bytes = malloc(transcript->room);
	must(transcript->bytes);
	resp_init(&parser, BULK_MAX);
	for (size_t i = 0; done < length && transcript->result == 0; i++) {
		size_t step = steps[i % num_steps];

		if (step == 0 || step > length - done)
			step = length - done;
		feed(transcript, &parser, stream + done, step);
		done += step;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t whole[] = {0}, bytes[] = {1};
	struct transcript first = {0}, second = {0}, third = {0};

	if (size < HEAD_BYTES)
		return 0;
	run(&first, whole, 1, data + HEAD_BYTES, size - HEAD_BYTES);
	run(&second, bytes, 1, data + HEAD_BYTES, size - HEAD_BYTES);
	run(&third, data, HEAD_BYTES, data + HEAD_BYTES, size - HEAD_BYTES);
	must(first.result == second.result && first.result == third.result);
	/* Of what is wrong, the part before may be told of as far as it came. */
	must(first.length == second.length && first.length == third.length);
	must(memcmp(first.bytes, second.bytes, first.length) == 0);
	must(memcmp(first.bytes, third.bytes, first.length) == 0);
	free(first.bytes);
	free(second.bytes);
	free(third.bytes);
	return 0;
}
