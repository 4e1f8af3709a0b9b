/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for a runtime of Catmint whose peer sends anything. The input begins with a byte that says
 * whether a hello follows, which goes as it stands; then come steps: one byte of which kind, one of how much,
 * and bytes, as each kind has them. At the end both go, and nothing of it may be left.
 */
#include "wire_fuzz.h"

#include "libos/catmint/testing.h"

#define STEPS_MAX 200u
#define OWN_HELLO 1u /* of the first byte */

static struct raw raw;
static struct queue *queue; /* the victim's end; NULL: none, or closed */
static unsigned int pending;

struct input {
	const uint8_t *data;
	size_t size;
};

static uint8_t take_byte(struct input *input)
{
	if (input->size == 0)
		return 0;
	input->size--;
	return *input->data++;
}

/* What there is of so many; the rest are zeroes. */
static void take_bytes(struct input *input, void *to, size_t bytes)
{
	size_t part = bytes < input->size ? bytes : input->size;

	memset(to, 0, bytes);
	if (part > 0)
		memcpy(to, input->data, part);
	input->data += part;
	input->size -= part;
}

/* ---- The application ---- */

static void collect(void)
{
	struct op_table *ops = &victim.context.ops;
	struct op *op;

	while ((op = op_list_take(&ops->fresh))) {
		if (op->opcode == DEMI_OPC_POP && op->error == 0)
			must(buf_free(victim.context.heap, op->result.buf) == 0);
		op_free(ops, op);
		pending--;
	}
}

static void run(uint64_t ns)
{
	rig_run(ns);
	raw_poll(&raw);
	collect();
}

static void accept_one(void)
{
	struct op *op = victim_issue(victim.listener, DEMI_OPC_ACCEPT);

	must(victim.listener->ops->accept(victim.listener, op) == 0);
	if (victim_wait(op) == 0)
		queue = queue_lookup(&victim.context.queues, op->result.accepted_qd);
	victim_done(op);
}

static void pop_one(void)
{
	struct op *op = victim_issue(queue, DEMI_OPC_POP);

	pending++;
	must(queue->ops->pop(queue, op) == 0);
}

static void push_one(uint32_t bytes)
{
	void *memory = heap_alloc_io(victim.context.heap, bytes);
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{memory, bytes}}};
	struct op *op = victim_issue(queue, DEMI_OPC_PUSH);

	must(memory);
	memset(memory, 'x', bytes);
	pending++;
	if (queue->ops->push(queue, op, &sga, NULL, 0) < 0) {
		op_free(&victim.context.ops, op);
		pending--;
	}
	heap_free(victim.context.heap, memory);
}

static void act(uint8_t kind, uint8_t amount)
{
	if (!queue || pending > 100)
		return;
	switch (kind) {
	case 0:
		push_one(1 + amount * 40u);
		break;
	case 1:
		queue->ops->shutdown(queue, amount % 3);
		break;
	case 2:
		victim_close(queue);
		queue = NULL;
		break;
	default:
		pop_one();
	}
}

/* ---- The peer ---- */

static void send_bytes(struct input *input, uint8_t amount)
{
	unsigned char bytes[UINT8_MAX];

	take_bytes(input, bytes, amount);
	raw_post(&raw, bytes, amount, 0, 0);
}

/* With a length that is right. */
static void send_message(struct input *input, uint8_t amount)
{
	struct message_header header = {.kind = amount & 3, .length = amount >> 2};
	unsigned char bytes[UINT8_MAX], counters[8];

	take_bytes(input, counters, sizeof(counters));
	header.counters = (struct message_counters){load_be32(counters), load_be32(counters + 4)};
	take_bytes(input, bytes, header.length);
	raw_message(&raw, &header, bytes, header.length);
}

/* Of memory that is there, or not quite. */
static void send_places(struct input *input, uint8_t amount)
{
	unsigned char bytes[18 * MESSAGE_PLACE_BYTES];
	struct message_header header = {.kind = MESSAGE_LARGE,
					.length = amount % 18 * MESSAGE_PLACE_BYTES,
					.counters = {100, 0}};

	for (uint32_t i = 0; i < amount % 18; i++) {
		uint32_t which = take_byte(input);
		struct message_place place = {
			.address = (uintptr_t)raw.memory + (which & 1 ? RAW_MEMORY_BYTES : 0),
			.rkey = raw.mr->rkey + (which >> 1 & 1),
			.length = (which & 4 ? 0x01000001u : 1) * take_byte(input) * 257,
		};

		message_place_store(bytes + i * MESSAGE_PLACE_BYTES, &place);
	}
	raw_message(&raw, &header, bytes, header.length);
}

static void write_bytes(struct input *input, uint8_t amount)
{
	unsigned char bytes[16];

	take_bytes(input, bytes, sizeof(bytes));
	raw_post(&raw, bytes, amount % 17, raw.peer.counters + (amount & 0x80 ? 1 << 20 : 0),
		 raw.peer.counters_rkey);
}

static void step(struct input *input)
{
	uint8_t kind = take_byte(input), amount = take_byte(input);

	switch (kind % 8) {
	case 0:
		send_bytes(input, amount);
		break;
	case 1:
		send_message(input, amount);
		break;
	case 2:
		send_places(input, amount);
		break;
	case 3:
		write_bytes(input, amount);
		break;
	case 4:
		run(amount * RIG_US);
		break;
	default:
		act(kind >> 3 & 3, amount);
	}
}

/* ---- One input ---- */

static bool meet(struct input *input)
{
	unsigned char hello[MESSAGE_HELLO_BYTES];
	struct message_hello good = raw_hello(&raw);

	message_hello_store(hello, &good);
	if (take_byte(input) & OWN_HELLO)
		take_bytes(input, hello, sizeof(hello));
	if (!raw_connect(&raw, hello, sizeof(hello)))
		return false;
	accept_one();
	return queue != NULL;
}

static void part(void)
{
	struct heap_stats stats;

	run(50 * RIG_US);
	raw_leave(&raw);
	if (queue)
		victim_close(queue);
	queue = NULL;
	for (unsigned int steps = 0; victim.mint->connection_count > 1; steps++) {
		must(steps < RIG_STEPS_MAX);
		run(100 * RIG_US);
	}
	collect();
	must(pending == 0);
	heap_get_stats(victim.context.heap, &stats);
	must(stats.objects == victim.objects);
	must((int32_t)victim.mint->receives == victim.mint->spare);
	must(stats.frames_in_use == victim.mint->receives);
	must(victim.mint->sends == 0 && victim.mint->dry == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input input = {data, size};

	if (!raw.rdma) {
		victim_start(",max_inline=64");
		raw_open(&raw, 2);
	}
	if (meet(&input))
		for (unsigned int steps = 0; input.size > 0 && steps < STEPS_MAX; steps++)
			step(&input);
	part();
	return 0;
}
