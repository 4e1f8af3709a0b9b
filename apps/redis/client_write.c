/* SPDX-License-Identifier: MIT */
/*
 * Replies: large values and whole blocks of replies are pushed where they lie, what is small between
 * them is copied into one buffer for each push.
 *
 * A value pushed by reference is referred to, as Redis counts references, until it was sent: a command
 * that would write into it makes a copy of its own then, as for any shared value, and one that deletes
 * or replaces it only drops its reference. Blocks of replies and that buffer are freed when they were
 * sent.
 */
#include <server.h>

#include "client_io.h"
#include "endpoint.h"

/* From this many bytes on a value is sent by reference: see docs/performance.md. */
#define REFERENCE_BYTES_MIN 2048u
/* Room for small pieces in one push. */
#define GLUE_BYTES 4096u
/* A clientReplyBlock whose size has this bit holds a reply_reference. Its `used` equals its size. */
#define IS_REFERENCE (SIZE_MAX / 2 + 1)

/** A string among the replies, sent as "$LENGTH", it, and the end of a line. */
struct reply_reference {
	robj *object; /* NULL: handed over to a push */
	uint32_t header_bytes;
	char header[28];
};

static struct reply_reference *reference_of(clientReplyBlock *block)
{
	return block != NULL && (block->size & IS_REFERENCE) != 0
		       ? (struct reply_reference *)block->buf
		       : NULL;
}

void client_io_release(void *block)
{
	struct reply_reference *reference = reference_of(block);

	if (reference != NULL && reference->object != NULL)
		client_io_let_go(reference->object);
}

/* By hand: printf took ten times the instructions of client_io_reply_bulk. */
static uint32_t write_header(char *header, size_t room, size_t bytes)
{
	size_t count = 1;

	header[0] = '$';
	count += (size_t)ull2string(header + 1, room - 1, bytes);
	header[count++] = '\r';
	header[count++] = '\n';
	return (uint32_t)count;
}

int client_io_reply_bulk(client *c, robj *object)
{
	const size_t size = sizeof(struct reply_reference);
	struct reply_reference *reference;
	clientReplyBlock *block;
	size_t bytes;

	if (object->encoding != OBJ_ENCODING_RAW || object->refcount == OBJ_STATIC_REFCOUNT ||
	    c->conn == NULL || endpoint_of(c->conn->fd) == NULL ||
	    getClientType(c) == CLIENT_TYPE_SLAVE)
		return 0;
	bytes = sdslen(object->ptr);
	if (bytes < REFERENCE_BYTES_MIN)
		return 0;
	if (prepareClientToWrite(c) != C_OK || (c->flags & CLIENT_CLOSE_AFTER_REPLY) != 0)
		return 1;
	block = zmalloc(sizeof(*block) + size);
	block->size = block->used = IS_REFERENCE | size;
	reference = reference_of(block);
	reference->object = object;
	incrRefCount(object);
	reference->header_bytes = write_header(reference->header, sizeof(reference->header), bytes);
	listAddNodeTail(c->reply, block);
	c->reply_bytes += bytes;
	closeClientOnOutputBufferLimitReached(c, 1);
	return 1;
}

/* ---- Sending ---- */

/** A push that is being made, and what of the client's replies it has. */
struct batch {
	demi_sgarray_t sga;
	char *glue;
	size_t glue_room;
	size_t glue_bytes;
	void *held[ENDPOINT_HELD_MAX]; /* values, and memory as memory_held has it */
	size_t held_count;
	size_t bytes;
	int has_buffer; /* the client's own buffer, which comes first */
	size_t blocks;  /* of its list, from the first on */
};

/* Memory to be freed: what is held is aligned, so that the lowest bit can tell it from values. */
static void *memory_held(void *memory)
{
	return (char *)memory + 1;
}

static void sent(void *held)
{
	if (((uintptr_t)held & 1) != 0)
		zfree((char *)held - 1);
	else
		client_io_let_go(held);
}

/* Whether a block goes by reference, and is the push's own then. */
static int is_referred(clientReplyBlock *block)
{
	return reference_of(block) == NULL && block->used >= REFERENCE_BYTES_MIN;
}

static int has_room(const struct batch *batch, uint32_t segments, size_t glue)
{
	return batch->sga.sga_numsegs + segments <= DEMI_SGARRAY_MAXSIZE &&
	       batch->glue_bytes + glue <= batch->glue_room;
}

static void add_segment(struct batch *batch, void *from, size_t bytes)
{
	demi_sgaseg_t *segment = &batch->sga.sga_segs[batch->sga.sga_numsegs++];

	segment->sgaseg_buf = from;
	segment->sgaseg_len = (uint32_t)bytes;
	batch->bytes += bytes;
}

static void add_copy(struct batch *batch, const char *from, size_t bytes)
{
	uint32_t count = batch->sga.sga_numsegs;
	demi_sgaseg_t *last = count ? &batch->sga.sga_segs[count - 1] : NULL;
	char *to = batch->glue + batch->glue_bytes;

	memcpy(to, from, bytes);
	batch->glue_bytes += bytes;
	if (last != NULL && (char *)last->sgaseg_buf + last->sgaseg_len == to) {
		last->sgaseg_len += (uint32_t)bytes;
		batch->bytes += bytes;
	} else {
		add_segment(batch, to, bytes);
	}
}

/* Return: 0: the batch has no room for it. */
static int add_block(struct batch *batch, clientReplyBlock *block)
{
	struct reply_reference *reference = reference_of(block);

	if (reference != NULL) {
		if (!has_room(batch, 3, reference->header_bytes + 2))
			return 0;
		add_copy(batch, reference->header, reference->header_bytes);
		add_segment(batch, reference->object->ptr, sdslen(reference->object->ptr));
		batch->held[batch->held_count++] = reference->object;
		add_copy(batch, "\r\n", 2);
	} else if (is_referred(block)) {
		if (!has_room(batch, 1, 0))
			return 0;
		add_segment(batch, block->buf, block->used);
		batch->held[batch->held_count++] = memory_held(block);
	} else if (block->used != 0) {
		if (!has_room(batch, 1, block->used))
			return 0;
		add_copy(batch, block->buf, block->used);
	}
	batch->blocks++;
	return 1;
}

/* Bytes of the client's list that a batch copies, GLUE_BYTES at most. */
static size_t glue_needed(client *c)
{
	size_t bytes = 0, blocks = 0;
	listIter at;
	listNode *node;

	listRewind(c->reply, &at);
	while (bytes < GLUE_BYTES && blocks++ < DEMI_SGARRAY_MAXSIZE &&
	       (node = listNext(&at)) != NULL && listNodeValue(node) != NULL) {
		clientReplyBlock *block = listNodeValue(node);
		struct reply_reference *reference = reference_of(block);

		if (reference != NULL)
			bytes += reference->header_bytes + 2;
		else if (block->used < REFERENCE_BYTES_MIN)
			bytes += block->used;
	}
	return bytes < GLUE_BYTES ? bytes : GLUE_BYTES;
}

static void start_batch(struct batch *batch, client *c)
{
	size_t own = c->bufpos > 0 ? (size_t)c->bufpos - c->sentlen : 0;
	listIter at;
	listNode *node;

	memset(batch, 0, offsetof(struct batch, held));
	batch->held_count = batch->bytes = batch->blocks = 0;
	batch->glue_room = own + glue_needed(c);
	batch->glue = zmalloc(batch->glue_room);
	batch->has_buffer = own != 0;
	if (own != 0)
		add_copy(batch, c->buf + c->sentlen, own);
	listRewind(c->reply, &at);
	while ((node = listNext(&at)) != NULL && batch->bytes < NET_MAX_WRITES_PER_EVENT)
		if (listNodeValue(node) == NULL || !add_block(batch, listNodeValue(node)))
			break;
}

/* It was pushed: the client's replies are without it. */
static void end_batch(struct batch *batch, client *c)
{
	if (batch->has_buffer) {
		c->bufpos = 0;
		c->sentlen = 0;
	}
	for (size_t i = 0; i < batch->blocks; i++) {
		listNode *node = listFirst(c->reply);
		clientReplyBlock *block = listNodeValue(node);
		struct reply_reference *reference = reference_of(block);

		if (reference != NULL) {
			c->reply_bytes -= sdslen(reference->object->ptr);
			reference->object = NULL;
		} else {
			c->reply_bytes -= block->size;
		}
		if (is_referred(block))
			listNodeValue(node) = NULL;
		listDelNode(c->reply, node);
	}
}

static int push_batch(struct endpoint *endpoint, client *c, ssize_t *written)
{
	struct batch batch;

	start_batch(&batch, c);
	if (batch.bytes == 0) { /* Nothing but empty blocks, or one that waits for its length. */
		end_batch(&batch, c);
		zfree(batch.glue);
		return batch.blocks != 0 ? C_OK : C_ERR;
	}
	batch.held[batch.held_count++] = memory_held(batch.glue);
	if (endpoint_push(endpoint, &batch.sga, batch.held, batch.held_count) == 0) {
		end_batch(&batch, c);
		*written = (ssize_t)batch.bytes;
		return C_OK;
	}
	zfree(batch.glue);
	return C_ERR;
}

int client_io_write(client *c, ssize_t *written, int *status)
{
	struct endpoint *endpoint = endpoint_of(c->conn->fd);
	static int is_told;

	if (endpoint == NULL || getClientType(c) == CLIENT_TYPE_SLAVE)
		return 0;
	if (!is_told)
		endpoint_on_sent(sent);
	is_told = 1;
	client_io_let_go_kept();
	*written = 0;
	*status = C_ERR;
	if (!endpoint_room(endpoint)) {
		*written = -1;
		return 1;
	}
	errno = 0;
	*status = push_batch(endpoint, c, written);
	if (*status == C_ERR) {
		*written = -1;
		c->conn->last_errno = errno;
		if (errno != 0 && errno != EAGAIN && errno != ENOMEM &&
		    c->conn->state == CONN_STATE_CONNECTED)
			c->conn->state = CONN_STATE_ERROR;
	}
	return 1;
}
