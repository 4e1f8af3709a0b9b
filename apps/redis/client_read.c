/* SPDX-License-Identifier: MIT */
/* Commands parsed where they have arrived: the arguments are the first and only copy of their bytes. */
#include <server.h>

#include "client_io.h"
#include "endpoint.h"

/* Of networking.c; no header has it. */
int processCommandAndResetClient(client *c);

/* Runs of bytes that one command may be spread over; more, and Redis gathers them. */
#define PIECES_MAX 512u
/* As many are looked at first: nearly all commands end in the piece that they begin in. */
#define PIECES_FEW 4u
/* Not so where that much has arrived: a large value, or many commands, which are looked at often. */
#define BYTES_MANY (16u << 10)
/* Arguments of a command parsed here. */
#define ARGUMENTS_MAX 1024

/* What of the command is next. */
struct cursor {
	const struct endpoint_piece *pieces;
	size_t piece;
	size_t byte;
	size_t taken; /* since the command's first byte */
	size_t left;  /* bytes that have arrived behind it */
};

enum verdict {
	COMMAND_WHOLE,
	COMMAND_PART,   /* its end has not arrived */
	COMMAND_BEYOND, /* its end is not among the pieces that were looked at */
	COMMAND_UNUSUAL /* for Redis's own parser */
};

static void advance(struct cursor *cursor, size_t bytes)
{
	cursor->taken += bytes;
	cursor->left -= bytes;
	cursor->byte += bytes;
	while (cursor->left != 0 && cursor->byte >= cursor->pieces[cursor->piece].bytes)
		cursor->byte -= cursor->pieces[cursor->piece++].bytes;
}

static char next_byte(struct cursor *cursor)
{
	char byte = cursor->pieces[cursor->piece].from[cursor->byte];

	advance(cursor, 1);
	return byte;
}

/* Bytes of the longest line that is a number: its kind, nine digits, and the end of the line. */
#define NUMBER_BYTES_MAX 12u

/* A line of @kind and a number of at most nine digits. */
static enum verdict parse_number_slowly(struct cursor *cursor, char kind, long *number)
{
	char byte;
	int digits = 0;

	*number = 0;
	if (cursor->left == 0)
		return COMMAND_PART;
	if (next_byte(cursor) != kind)
		return COMMAND_UNUSUAL;
	for (;;) {
		if (cursor->left == 0)
			return COMMAND_PART;
		byte = next_byte(cursor);
		if (byte == '\r')
			break;
		if (byte < '0' || byte > '9' || ++digits > 9)
			return COMMAND_UNUSUAL;
		*number = *number * 10 + (byte - '0');
	}
	if (cursor->left == 0)
		return COMMAND_PART;
	return digits != 0 && next_byte(cursor) == '\n' ? COMMAND_WHOLE : COMMAND_UNUSUAL;
}

/* The same, of a line that lies in one run of bytes, as almost every one does. */
static enum verdict parse_number(struct cursor *cursor, char kind, long *number)
{
	const struct endpoint_piece *piece = &cursor->pieces[cursor->piece];
	const char *from, *at;
	long value = 0;

	if (cursor->left == 0 || piece->bytes - cursor->byte < NUMBER_BYTES_MAX)
		return parse_number_slowly(cursor, kind, number);
	from = piece->from + cursor->byte;
	if (*from != kind)
		return COMMAND_UNUSUAL;
	for (at = from + 1; *at >= '0' && *at <= '9' && at < from + NUMBER_BYTES_MAX - 2; at++)
		value = value * 10 + (*at - '0');
	if (at == from + 1 || at[0] != '\r' || at[1] != '\n')
		return COMMAND_UNUSUAL;
	*number = value;
	advance(cursor, (size_t)(at + 2 - from));
	return COMMAND_WHOLE;
}

/* That many have arrived. */
static void gather(struct cursor *cursor, char *to, size_t bytes)
{
	const struct endpoint_piece *piece = &cursor->pieces[cursor->piece];
	size_t here = piece->bytes - cursor->byte, left = bytes;

	while (here < left) {
		memcpy(to, piece->from + cursor->byte, here);
		to += here;
		left -= here;
		cursor->byte = 0;
		here = (++piece)->bytes;
	}
	memcpy(to, piece->from + cursor->byte, left);
	cursor->piece = (size_t)(piece - cursor->pieces);
	cursor->taken += bytes - left;
	cursor->left -= bytes - left;
	advance(cursor, left);
}

static robj *take_argument(struct cursor *cursor, size_t bytes)
{
	const struct endpoint_piece *piece = &cursor->pieces[cursor->piece];
	robj *argument;
	sds text;

	if (piece->bytes - cursor->byte >= bytes) {
		argument = createStringObject(piece->from + cursor->byte, bytes);
		advance(cursor, bytes);
	} else if (bytes <= 44) { /* Redis embeds such ones in their object. */
		char small[44];

		gather(cursor, small, bytes);
		argument = createStringObject(small, bytes);
	} else {
		text = sdsnewlen(SDS_NOINIT, bytes);
		gather(cursor, text, bytes);
		argument = createObject(OBJ_STRING, text);
	}
	advance(cursor, 2);
	return argument;
}

static void forget_arguments(client *c)
{
	for (int i = 0; i < c->argc; i++)
		decrRefCount(c->argv[i]);
	c->argc = 0;
	c->argv_len_sum = 0;
}

/* @needed: how many bytes must have arrived before another try is worth it. */
static enum verdict parse_command(client *c, struct cursor *cursor, size_t *needed)
{
	enum verdict verdict;
	long count, bytes;

	*needed = 0;
	verdict = parse_number(cursor, '*', &count);
	if (verdict != COMMAND_WHOLE)
		return verdict;
	if (count < 1 || count > ARGUMENTS_MAX)
		return COMMAND_UNUSUAL;
	if (c->argv_len < count) {
		zfree(c->argv);
		c->argv = zmalloc(sizeof(robj *) * (size_t)count);
		c->argv_len = (int)count;
	}
	c->argv_len_sum = 0;
	for (long i = 0; i < count; i++) {
		verdict = parse_number(cursor, '$', &bytes);
		if (verdict != COMMAND_WHOLE)
			return verdict;
		if (bytes > server.proto_max_bulk_len)
			return COMMAND_UNUSUAL;
		if (cursor->left < (size_t)bytes + 2) {
			*needed = cursor->taken + (size_t)bytes + 2;
			return COMMAND_PART;
		}
		c->argv[c->argc++] = take_argument(cursor, (size_t)bytes);
		c->argv_len_sum += (size_t)bytes;
	}
	return COMMAND_WHOLE;
}

static int is_ours(client *c)
{
	return !(c->flags & (CLIENT_MASTER | CLIENT_BLOCKED | CLIENT_PENDING_COMMAND |
			     CLIENT_CLOSE_AFTER_REPLY | CLIENT_CLOSE_ASAP)) &&
	       c->reqtype == 0 && c->multibulklen == 0 && c->argc == 0 &&
	       sdslen(c->querybuf) == 0 && !authRequired(c);
}

/* Whose command is executed, and how long it was. */
static struct {
	const client *client;
	size_t bytes;
} executed;

size_t client_io_input(const client *c)
{
	struct endpoint *endpoint = c->conn != NULL ? endpoint_of(c->conn->fd) : NULL;

	return (endpoint != NULL ? endpoint_input_bytes(endpoint) : 0) +
	       (c == executed.client ? executed.bytes : 0);
}

static int execute(client *c, size_t bytes)
{
	int status;

	executed.client = c;
	executed.bytes = bytes;
	c->reqtype = PROTO_REQ_MULTIBULK;
	status = processCommandAndResetClient(c);
	executed.client = NULL;
	return status;
}

/* What is not executed here is executed when there is more, or by Redis. */
static int leave(client *c, struct endpoint *endpoint, enum verdict verdict, size_t needed)
{
	size_t arrived = endpoint_input_bytes(endpoint);

	if (verdict != COMMAND_PART || endpoint_input_full(endpoint))
		return 0;
	endpoint_expect(endpoint, needed > arrived ? needed : arrived + 1);
	updateClientMemUsageAndBucket(c);
	return 1;
}

/* The next command among the first @room pieces of what has arrived. */
static enum verdict parse_pieces(client *c, const struct endpoint *endpoint, size_t room,
				 size_t *taken, size_t *needed)
{
	struct endpoint_piece pieces[PIECES_MAX];
	size_t count = endpoint_pieces(endpoint, pieces, room);
	struct cursor cursor = {.pieces = pieces};
	enum verdict verdict;
	size_t all;

	for (size_t i = 0; i < count; i++)
		cursor.left += pieces[i].bytes;
	all = cursor.left;
	verdict = parse_command(c, &cursor, needed);
	*taken = cursor.taken;
	if (verdict != COMMAND_WHOLE)
		forget_arguments(c);
	if (verdict == COMMAND_PART && all < endpoint_input_bytes(endpoint))
		return COMMAND_BEYOND;
	return verdict;
}

int client_io_read(client *c)
{
	struct endpoint *endpoint = endpoint_of(c->conn->fd);
	size_t taken, needed;
	enum verdict verdict;

	if (endpoint == NULL || !is_ours(c) || endpoint_input_bytes(endpoint) == 0)
		return 0;
	atomicIncr(server.stat_total_reads_processed, 1);
	c->lastinteraction = server.unixtime;
	do {
		if (endpoint_input_bytes(endpoint) == 0)
			return 1;
		verdict = endpoint_input_bytes(endpoint) < BYTES_MANY
				  ? parse_pieces(c, endpoint, PIECES_FEW, &taken, &needed)
				  : COMMAND_BEYOND;
		if (verdict == COMMAND_BEYOND)
			verdict = parse_pieces(c, endpoint, PIECES_MAX, &taken, &needed);
		if (verdict != COMMAND_WHOLE)
			return leave(c, endpoint, verdict, needed);
		endpoint_take(endpoint, taken);
		atomicIncr(server.stat_net_input_bytes, taken);
		if (execute(c, taken) == C_ERR)
			return 1;
	} while (is_ours(c));
	/* In the middle of something, such as a blocking command: the rest is Redis's to keep. */
	return (c->flags & CLIENT_BLOCKED) == 0;
}
