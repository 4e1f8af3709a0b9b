/* SPDX-License-Identifier: MIT */
/* What programs are told, and whether that can be. */
#include "catmint_judge.h"

#include "heap/buf.h"

struct judge judge;

/** An operation under way, by its place in the table. */
struct task {
	bool is_pending;
	struct end *end; /* NULL: an accept */
	struct push *push;
};

static struct task tasks[HOSTS][4096];

/* By the number of a push and the place: bytes of one that went elsewhere are wrong there. */
#define SHIFTS (1u << 16)
static unsigned char pattern[PUSH_BYTES_MAX + SHIFTS];

const unsigned char *judge_bytes(uint32_t number)
{
	return pattern + number * 4099u % SHIFTS;
}

void judge_begin(void)
{
	uint64_t state = 1;

	for (size_t at = 0; !pattern[sizeof(pattern) - 1] && at < sizeof(pattern); at++) {
		state = state * 6364136223846793005u + 1442695040888963407u;
		pattern[at] = (unsigned char)(state >> 56 | 1);
	}
	memset(&judge, 0, sizeof(judge));
	memset(tasks, 0, sizeof(tasks));
}

void judge_end(void)
{
	for (unsigned int i = 0; i < 2 * judge.channel_count; i++) {
		struct stream *stream = &judge.channels[i / 2].ends[i % 2].out;
		struct push *push;

		while ((push = stream->head)) {
			world_demand(!push->is_pending, "a push is pending at the end");
			stream->head = push->next;
			free(push);
		}
	}
}

/* ---- Streams ---- */

void judge_pushed(struct push *push)
{
	struct stream *stream = &push->end->out;

	push->next = NULL;
	if (stream->tail)
		stream->tail->next = push;
	else
		stream->head = push;
	stream->tail = push;
	stream->pushed += push->bytes;
	judge.pushed += push->bytes;
}

static void unlink_push(struct push *push)
{
	struct stream *stream = &push->end->out;
	struct push **link = &stream->head, *before = NULL;

	while (*link != push) {
		before = *link;
		link = &before->next;
	}
	*link = push->next;
	if (stream->tail == push)
		stream->tail = before;
}

void judge_unpushed(struct push *push)
{
	world_demand(push->received == 0, "a push was cancelled of which bytes have arrived");
	push->end->out.pushed -= push->bytes;
	unlink_push(push);
	push->is_withdrawn = true;
}

/* Nobody asks for it any more. */
static void maybe_forget(struct push *push)
{
	if (push->is_pending || (push->received < push->bytes && !push->is_withdrawn))
		return;
	if (!push->is_withdrawn)
		unlink_push(push);
	free(push);
}

static void take_bytes(const struct end *end, const unsigned char *data, uint32_t length)
{
	struct stream *stream = &judge_peer(end)->out;
	struct push *push = stream->head, *next;

	stream->received += length;
	judge.received += length;
	for (; length > 0; push = next) {
		uint32_t part;

		world_demand(push, "%u bytes arrived that nobody has pushed", length);
		next = push->next;
		part = push->bytes - push->received;
		part = part < length ? part : length;
		world_demand(memcmp(data, judge_bytes(push->number) + push->received, part) == 0,
			     "channel %u: bytes of push %u are wrong, from %u on of %u",
			     (unsigned int)(end->channel - judge.channels), push->number,
			     push->received, push->bytes);
		push->received += part;
		data += part;
		length -= part;
		maybe_forget(push);
	}
}

/* All that the sender was told has arrived was popped before the end, whatever that is. */
static void check_nothing_lost(const struct end *end)
{
	const struct stream *stream = &judge_peer(end)->out;

	if (end->is_aborted || end->is_deaf)
		return;
	for (const struct push *push = stream->head; push; push = push->next) {
		/* What is behind one that could not be read cannot be popped either. */
		if (push->is_pending || push->error)
			return;
		world_demand(push->is_copied || push->received == push->bytes,
			     "channel %u: %u of %u bytes of a push that was done were popped "
			     "before the end",
			     (unsigned int)(end->channel - judge.channels), push->received,
			     push->bytes);
	}
}

/* ---- Outcomes ---- */

static bool may_fail(const struct end *end, int error)
{
	switch (error) {
	case ECANCELED:
		return end->is_aborted;
	case ECONNRESET:
		return judge.has_faults || !judge.is_gentle;
	case ETIMEDOUT:
	case ENODEV:
	case EIO:
		return judge.has_faults;
	case ENOMEM:
		return judge.is_short;
	default:
		return false;
	}
}

static void check_outcome(struct end *end, const struct op *op)
{
	world_demand(op->error == 0 || may_fail(end, op->error),
		     "channel %u, end %u: an operation of kind %u completes with %s",
		     (unsigned int)(end->channel - judge.channels),
		     (unsigned int)(end - end->channel->ends), op->opcode, strerror(op->error));
	if (op->error && op->error != ECANCELED) {
		end->error = op->error;
		judge.failed++;
	}
}

static void push_done(const struct op *op, struct push *push)
{
	struct end *end = push->end;

	end->pushes--;
	check_outcome(end, op);
	push->is_pending = false;
	push->error = op->error;
	for (uint32_t i = 0; i < push->piece_count; i++) {
		/* Whoever still reads it is found out. */
		memset(push->pieces[i], 0, push->piece_bytes[i]);
		assert_int_equal(heap_free(end->host->context.heap, push->pieces[i]), 0);
	}
	maybe_forget(push);
}

static void pop_done(const struct op *op, struct end *end)
{
	struct buf *buf = op->result.buf;
	uint32_t bytes = 0;

	end->pops--;
	check_outcome(end, op);
	if (op->error) {
		if (op->error == ECANCELED || op->error == ENOMEM)
			return;
		end->has_ended = true;
		check_nothing_lost(end);
		return;
	}
	for (const struct buf *part = buf; part; part = part->next) {
		take_bytes(end, part->data, part->length);
		bytes += part->length;
	}
	assert_int_equal(buf_free(end->host->context.heap, buf), 0);
	if (bytes == 0) {
		end->has_ended = true;
		world_demand(end->is_deaf || judge_peer(end)->is_shut,
			     "an end was popped, and nobody has said it");
		check_nothing_lost(end);
	}
}

/* Listeners come and go; and devices with few buffers have none for many. */
static bool may_refuse(const struct end *end, int error)
{
	if (error == ENOBUFS)
		return end->host->config.catmint.completions < 100;
	return !judge.is_gentle && (error == ECONNREFUSED || error == ECONNRESET);
}

static void connect_done(const struct op *op, struct end *end)
{
	if (op->error) {
		world_demand(judge.has_faults || judge.is_short || end->is_aborted ||
				     may_refuse(end, op->error),
			     "a connect fails: %s", strerror(op->error));
		end->error = op->error;
		if (end->state == END_CONNECTING)
			end->state = END_OPEN;
		return;
	}
	judge.connected++;
	if (end->state == END_CONNECTING)
		end->state = END_OPEN;
}

/* Clients are bound to ports that tell which one they are. */
static void accept_done(struct host *host, const struct op *op)
{
	struct sockaddr_storage address;
	socklen_t length = sizeof(address);
	struct queue *queue;
	struct end *end;
	uint16_t port;

	judge.accepts[host->number - 1]--;
	if (op->error) {
		world_demand(op->error == ECANCELED || (op->error == ENODEV && judge.has_faults),
			     "an accept fails: %s", strerror(op->error));
		return;
	}
	/* Closed already, with all others. */
	if (!host->is_running)
		return;
	queue = queue_lookup(&host->context.queues, op->result.accepted_qd);
	assert_non_null(queue);
	assert_int_equal(queue->ops->get_peer_address(queue, (struct sockaddr *)&address, &length),
			 0);
	port = ntohs(((struct sockaddr_in *)&address)->sin_port);
	world_demand(port >= PORT_FIRST && port < PORT_FIRST + judge.channel_count,
		     "somebody was accepted from port %u", port);
	end = &judge.channels[port - PORT_FIRST].ends[1];
	world_demand(end->state == END_NONE && end->host == host, "accepted twice, or elsewhere");
	end->queue = queue;
	end->state = END_OPEN;
	if (world_chance(2) && judge_peer(end)->state == END_OPEN)
		world_age(connection_of(queue), connection_of(judge_peer(end)->queue));
}

/* ---- What has completed ---- */

void judge_issued(struct host *host, const struct op *op, struct end *end, struct push *push)
{
	struct task *task = &tasks[host->number - 1][op->index];

	assert_false(task->is_pending);
	*task = (struct task){.is_pending = true, .end = end, .push = push};
}

void judge_refused(struct host *host, struct op *op)
{
	tasks[host->number - 1][op->index].is_pending = false;
	op_free(&host->context.ops, op);
}

void judge_find(const struct host *host, const struct op *op, struct end **end_out,
		struct push **push_out)
{
	const struct task *task = &tasks[host->number - 1][op->index];

	*end_out = task->end;
	*push_out = task->push;
}

static void take_one(struct host *host, const struct op *op)
{
	struct task *task = &tasks[host->number - 1][op->index];

	world_demand(task->is_pending && op->state == OP_DONE, "an operation completes twice");
	task->is_pending = false;
	switch (op->opcode) {
	case DEMI_OPC_PUSH:
		push_done(op, task->push);
		break;
	case DEMI_OPC_POP:
		pop_done(op, task->end);
		break;
	case DEMI_OPC_CONNECT:
		connect_done(op, task->end);
		break;
	case DEMI_OPC_ACCEPT:
		accept_done(host, op);
		break;
	default:
		check_outcome(task->end, op);
	}
}

void judge_take(void)
{
	for (unsigned int i = 0; i < HOSTS; i++) {
		struct host *host = &world.hosts[i];
		struct op_table *ops = &host->context.ops;
		struct op *op;

		/* While some are left, what is pushed is collected. */
		while (!(world_chance(8) && !judge.is_over) && (op = op_list_take(&ops->fresh))) {
			take_one(host, op);
			op_free(ops, op);
		}
	}
}

void judge_expect_anything(void)
{
	judge.has_faults = judge.is_over = true;
	for (unsigned int i = 0; i < 2 * judge.channel_count; i++)
		judge.channels[i / 2].ends[i % 2].is_aborted =
			judge.channels[i / 2].ends[i % 2].is_shut = true;
}

void judge_assert_all_arrived(void)
{
	for (unsigned int i = 0; i < 2 * judge.channel_count; i++) {
		const struct end *end = &judge.channels[i / 2].ends[i % 2];

		if (end->error || judge_peer(end)->error || end->is_aborted ||
		    judge_peer(end)->is_aborted || judge_peer(end)->is_deaf)
			continue;
		world_demand(end->out.received == end->out.pushed,
			     "channel %u: %llu bytes of %llu from end %u have arrived", i / 2,
			     (unsigned long long)end->out.received,
			     (unsigned long long)end->out.pushed, i % 2);
	}
}
