/* SPDX-License-Identifier: MIT */
#include "resp.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

void resp_init(struct resp_parser *parser, uint32_t bulk_max)
{
	parser->state = RESP_AT_LINE;
	parser->bulk_max = bulk_max < RESP_BULK_MAX ? bulk_max : RESP_BULK_MAX;
	parser->bulk_left = 0;
	parser->line_bytes = 0;
	parser->wrong = NULL;
}

static int refuse(struct resp_parser *parser, const char *wrong)
{
	parser->state = RESP_WRONG;
	parser->wrong = wrong;
	return -EPROTO;
}

/* The whole of @text is one number of 64 bits. */
static bool read_integer(const uint8_t *text, size_t length, int64_t *integer)
{
	size_t i = length && text[0] == '-';
	int64_t sign = i ? -1 : 1;
	int64_t value = 0;

	if (i == length)
		return false;
	for (; i < length; i++) {
		if (text[i] < '0' || text[i] > '9' || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, sign * (text[i] - '0'), &value))
			return false;
	}
	*integer = value;
	return true;
}

/* What a line of a kind that begins with a number of bytes or replies comes to. */
static int read_size(struct resp_parser *parser, bool is_bulk, struct resp_event *event)
{
	int64_t max = is_bulk ? parser->bulk_max : RESP_ARRAY_MAX;

	if (event->integer == -1) {
		event->kind = RESP_NIL;
		return 1;
	}
	if (event->integer < 0)
		return refuse(parser, "a length below 0");
	if (event->integer > max)
		return refuse(parser, is_bulk ? "a longer value than is taken"
					      : "a longer array than is taken");
	event->kind = is_bulk ? RESP_BULK : RESP_ARRAY;
	if (is_bulk) {
		parser->bulk_left = (uint32_t)event->integer;
		parser->state = parser->bulk_left ? RESP_IN_BULK : RESP_AT_CR;
	}
	return 1;
}

/* A line without its end. */
static int read_line(struct resp_parser *parser, const uint8_t *line, size_t length,
		     struct resp_event *event)
{
	if (length == 0)
		return refuse(parser, "an empty line");
	if (memchr(line, '\r', length))
		return refuse(parser, "a carriage return inside a line");
	*event = (struct resp_event){.text = line + 1, .length = length - 1};
	switch (line[0]) {
	case '+':
		event->kind = RESP_SIMPLE;
		return 1;
	case '-':
		event->kind = RESP_ERROR;
		return 1;
	case ':':
	case '$':
	case '*':
		break;
	default:
		return refuse(parser, "a reply of unknown kind");
	}
	if (!read_integer(event->text, event->length, &event->integer))
		return refuse(parser, "a number that is none");
	event->kind = RESP_INTEGER;
	return line[0] == ':' ? 1 : read_size(parser, line[0] == '$', event);
}

/* Takes a line as far as it is there; one that lies in the piece as a whole is read in place. */
static int take_line(struct resp_parser *parser, const uint8_t **data, size_t *length,
		     struct resp_event *event)
{
	const uint8_t *line = *data;
	const uint8_t *end = memchr(line, '\n', *length);
	size_t taken = end ? (size_t)(end + 1 - line) : *length;
	size_t bytes = parser->line_bytes + taken;

	/* Of a line that is not at its end, the last byte may be the carriage return. */
	if (bytes > RESP_LINE_MAX + (end ? 2 : 1))
		return refuse(parser, "a longer line than is taken");
	if (parser->line_bytes || !end) {
		memcpy(parser->line + parser->line_bytes, line, taken);
		line = parser->line;
	}
	*data += taken;
	*length -= taken;
	parser->line_bytes = (uint32_t)bytes;
	if (!end)
		return 0;
	parser->line_bytes = 0;
	if (bytes < 2 || line[bytes - 2] != '\r')
		return refuse(parser, "a line that does not end in carriage return and line feed");
	return read_line(parser, line, bytes - 2, event);
}

static int take_bulk(struct resp_parser *parser, const uint8_t **data, size_t *length,
		     struct resp_event *event)
{
	size_t run = *length < parser->bulk_left ? *length : parser->bulk_left;

	*event = (struct resp_event){.kind = RESP_BYTES, .text = *data, .length = run};
	*data += run;
	*length -= run;
	parser->bulk_left -= (uint32_t)run;
	if (parser->bulk_left == 0)
		parser->state = RESP_AT_CR;
	return 1;
}

/* The two bytes behind a bulk string. */
static int take_end(struct resp_parser *parser, const uint8_t **data, size_t *length,
		    struct resp_event *event)
{
	while (*length) {
		bool is_cr = parser->state == RESP_AT_CR;

		if (**data != (is_cr ? '\r' : '\n'))
			return refuse(parser, "a value that goes on behind its length");
		++*data;
		--*length;
		if (is_cr) {
			parser->state = RESP_AT_LF;
			continue;
		}
		parser->state = RESP_AT_LINE;
		*event = (struct resp_event){.kind = RESP_END};
		return 1;
	}
	return 0;
}

int resp_next(struct resp_parser *parser, const uint8_t **data, size_t *length,
	      struct resp_event *event)
{
	if (parser->state == RESP_WRONG)
		return -EPROTO;
	if (*length == 0)
		return 0;
	switch (parser->state) {
	case RESP_AT_LINE:
		return take_line(parser, data, length, event);
	case RESP_IN_BULK:
		return take_bulk(parser, data, length, event);
	default:
		return take_end(parser, data, length, event);
	}
}
