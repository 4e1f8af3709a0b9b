/* SPDX-License-Identifier: MIT */
/* Credits and counters over long times, and what is sent from where it lies, with a raw peer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "libos/catmint/testing.h"

static struct raw peer;
static struct queue *queue;
static uint32_t credits = 8; /* that the peer's hello says */

static int begin_with(const char *words)
{
	struct message_hello hello;

	victim_start(words);
	raw_open(&peer, 2);
	hello = raw_hello(&peer);
	hello.granted = credits;
	assert_true(raw_connect_with(&peer, &hello));
	queue = victim_accept();
	return 0;
}

static int begin(void **state)
{
	(void)state;
	return begin_with("");
}

static int begin_with_own_queue(void **state)
{
	(void)state;
	return begin_with(",max_srq=0");
}

static int end(void **state)
{
	(void)state;
	victim_close(queue);
	raw_close(&peer);
	victim_stop();
	return 0;
}

static void pop_one(uint32_t bytes)
{
	struct op *op = victim_issue(queue, DEMI_OPC_POP);

	assert_int_equal(queue->ops->pop(queue, op), 0);
	assert_int_equal(victim_wait(op), 0);
	assert_int_equal(op->result.buf->length, bytes);
	assert_int_equal(buf_free(victim.context.heap, op->result.buf), 0);
	victim_done(op);
}

static struct op *push(void *memory, uint32_t bytes)
{
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{memory, bytes}}};
	struct op *op = victim_issue(queue, DEMI_OPC_PUSH);

	assert_int_equal(queue->ops->push(queue, op, &sga, NULL, 0), 0);
	return op;
}

static void say(uint32_t granted, uint32_t read)
{
	struct message_header header = {MESSAGE_DATA, 1, {granted, read}};

	raw_message(&peer, &header, "x", 1);
	pop_one(1);
	raw_poll(&peer);
}

static void write_word(uint32_t granted, uint32_t read)
{
	uint64_t word = message_counters_pack((struct message_counters){granted, read});

	raw_post(&peer, &word, sizeof(word), peer.peer.counters, peer.peer.counters_rkey);
	rig_run(10 * RIG_US);
}

/* As if so many messages had gone each way. */
static void age(uint32_t count)
{
	struct connection *connection = connection_of(queue);

	connection->sent += count;
	connection->allowed += count;
	connection->peer_read += count;
	connection->granted += count;
	connection->told += count;
	connection->received += count;
	connection->consumed += count;
	connection->read += count;
	connection->read_told += count;
	connection->word_seen = message_counters_pack(
		(struct message_counters){connection->allowed, connection->peer_read});
	victim.mint->words[connection->word] = connection->word_seen;
}

/* More than the numbers have room for goes in, each with its credit, and nothing else does. */
static void credits__go_on_when_their_numbers_go_round(void **state)
{
	const struct connection *connection = connection_of(queue);

	(void)state;
	age(0u - 4096);
	for (uint32_t i = 0; i < 9000; i++) {
		uint32_t window = connection->granted - connection->consumed;

		assert_true(window >= 1 && window <= victim.mint->limits.credits_max);
		assert_true(connection->granted - connection->received <= window);
		say(connection->allowed, connection->peer_read);
	}
	assert_int_equal(connection->received, 9000 - 4096);
	assert_int_equal(connection->error, 0);
}

static void pushes__go_on_when_their_numbers_go_round(void **state)
{
	const struct connection *connection = connection_of(queue);
	uint32_t received = 0, granted = 8 - 100;

	(void)state;
	age(0u - 100);
	for (uint32_t i = 0; i < 200; i++) {
		unsigned char byte = 1;
		struct op *op = push(&byte, 1);

		/* Now by a message, now by the word. */
		if (connection->sent == granted && i % 16 < 8)
			say(granted += 8, 0u - 100);
		else if (connection->sent == granted)
			write_word(granted += 8, 0u - 100);
		assert_int_equal(victim_wait(op), 0);
		victim_done(op);
		rig_run(10 * RIG_US);
		raw_poll(&peer);
		for (; received < peer.received; received++)
			raw_post_receive(&peer, received % RAW_BUFFERS);
	}
	assert_false(peer.is_broken);
	assert_int_equal(peer.received, 200);
	assert_int_equal(connection->sent, 100);
}

/* A word that was written long ago says nothing any more, seen or not. */
static void word__that_is_old_is_not_ahead(void **state)
{
	struct connection *connection = connection_of(queue);
	uint32_t granted = 0;

	(void)state;
	for (uint32_t i = 0; i < 64; i++) {
		granted = i << 27 | 100;
		if (i % 32 == 3)
			write_word(granted - 50, 0);
		say(granted, 0);
		connection_list_add(connection, LIST_WATCHING);
		if (i % 5 == 0)
			rig_run(20 * RIG_US);
		assert_int_equal(connection->allowed, granted);
	}
}

/* The same, when nobody ever looked while it was new. */
static void word__that_nobody_looked_at_is_not_ahead(void **state)
{
	struct connection *connection = connection_of(queue);

	(void)state;
	write_word(50, 0);
	for (uint32_t i = 0; i < 20; i++)
		say(i << 27 | 100, 0);
	connection_list_add(connection, LIST_WATCHING);
	rig_run(20 * RIG_US);
	assert_int_equal(connection->allowed, 19u << 27 | 100);
}

static void large__are_done_when_their_numbers_go_round(void **state)
{
	unsigned char *memory = heap_alloc_io(victim.context.heap, 5000);
	struct op *op;

	(void)state;
	age(0u - 2);
	for (uint32_t i = 1; i <= 5; i++) {
		op = push(memory, 5000);
		rig_run(50 * RIG_US);
		assert_false(op_is_complete(op));
		if (i % 2)
			write_word(6, i - 2);
		else
			say(6, i - 2);
		assert_int_equal(victim_wait(op), 0);
		victim_done(op);
	}
	heap_free(victim.context.heap, memory);
}

/* Each request that is under way completes when the link is gone, also those that nobody asks about. */
static void sends__of_all_fit_into_the_completion_queue(void **state)
{
	static struct raw peers[8];
	struct queue *queues[8];

	(void)state;
	for (unsigned int i = 0; i < 8; i++) {
		struct message_hello hello;

		raw_open(&peers[i], 10 + i);
		hello = raw_hello(&peers[i]);
		assert_true(raw_connect_with(&peers[i], &hello));
		queues[i] = victim_accept();
	}
	for (unsigned int i = 0; i < 8 * 16; i++) {
		unsigned char byte = 1;
		demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{&byte, 1}}};
		struct op *op = victim_issue(queues[i % 8], DEMI_OPC_PUSH);

		assert_int_equal(queues[i % 8]->ops->push(queues[i % 8], op, &sga, NULL, 0), 0);
	}
	rdma_sim_link(victim.mint->rdma, false);
	rig_run(20000 * RIG_US);
	assert_int_equal(rdma_sim_counters(victim.mint->rdma)->overflowed, 0);
	assert_int_equal(victim.mint->failure, 0);
	for (unsigned int i = 0; i < 8; i++) {
		assert_true(connection_of(queues[i])->error != 0);
		victim_close(queues[i]);
		raw_close(&peers[i]);
	}
	rdma_sim_link(victim.mint->rdma, true);
}

/* Of short ones a quarter of the queue's depth says nothing before one asks for a completion. */
static void sends__of_which_few_tell(void **state)
{
	const struct rdma_sim_counters *counters = rdma_sim_counters(victim.mint->rdma);
	uint64_t before = counters->completions;

	(void)state;
	for (uint32_t i = 0; i < RAW_BUFFERS; i++) {
		unsigned char byte = 1;
		struct op *op = push(&byte, 1);

		assert_int_equal(victim_wait(op), 0);
		victim_done(op);
		rig_step();
	}
	raw_poll(&peer);
	assert_int_equal(peer.received, RAW_BUFFERS);
	assert_int_equal(victim.mint->limits.signal_every, 4);
	assert_int_equal(counters->completions - before, RAW_BUFFERS / 4);
	assert_int_equal(victim.mint->sends, 0);
}

static int begin_with_many_credits(void **state)
{
	int error;

	(void)state;
	credits = RAW_BUFFERS;
	error = begin_with("");
	credits = 8;
	return error;
}

static int begin_with_few_completions(void **state)
{
	int error;

	(void)state;
	rig_completions = 64;
	error = begin_with(",delay_ns=50000");
	rig_completions = 256;
	return error;
}

/* Where an object of the heap lies in two regions, of which the device knows each by itself. */
static unsigned char *find_border(void **objects, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		size_t room, bytes = 3u << 20;

		objects[i] = heap_alloc_io(victim.context.heap, bytes);
		assert_non_null(objects[i]);
		catmint_lkey(victim.mint, objects[i], &room);
		if (room < bytes)
			return (unsigned char *)objects[i] + room;
	}
	return NULL;
}

static void push__across_regions_arrives(void **state)
{
	void *objects[16] = {NULL};
	unsigned char *border = find_border(objects, 16);
	struct op *op;

	(void)state;
	assert_non_null(border);
	for (int i = -350; i < 350; i++)
		border[i] = (unsigned char)(i * 3);
	op = push(border - 350, 700);
	rig_run(100 * RIG_US);
	raw_poll(&peer);
	assert_false(peer.is_broken);
	assert_int_equal(peer.received, 1);
	assert_int_equal(victim_wait(op), 0);
	victim_done(op);
	assert_memory_equal(peer.memory + MESSAGE_HEADER_BYTES, border - 350, 700);
	for (int i = 0; i < 16; i++)
		if (objects[i])
			heap_free(victim.context.heap, objects[i]);
}

static int begin_with_two_pieces(void **state)
{
	(void)state;
	return begin_with(",max_sge=2");
}

#define LONG_BYTES (6u << 20)

static int begin_with_long_messages(void **state)
{
	int error;

	(void)state;
	rig_large_bytes = LONG_BYTES;
	error = begin_with(",max_sge=2");
	rig_large_bytes = 64u << 10;
	return error;
}

/* The heap grows by 2 MiB for as long as it is small, each a region: what is free then lies in many. */
static void part_heap(void)
{
	void *objects[14];

	for (int i = 0; i < 14; i++) {
		objects[i] = heap_alloc_io(victim.context.heap, 1u << 20);
		assert_non_null(objects[i]);
	}
	for (int i = 0; i < 14; i++)
		heap_free(victim.context.heap, objects[i]);
}

static unsigned int count_regions(const unsigned char *at, size_t bytes)
{
	unsigned int count = 0;
	size_t room;

	for (size_t done = 0; done < bytes; done += room, count++)
		catmint_lkey(victim.mint, at + done, &room);
	return count;
}

static void large__into_many_regions_arrives(void **state)
{
	struct message_header header = {MESSAGE_LARGE, MESSAGE_PLACE_BYTES, {8, 0}};
	unsigned char *memory = malloc(LONG_BYTES), notice[MESSAGE_PLACE_BYTES];
	struct message_place place = {(uintptr_t)memory, 0, LONG_BYTES};
	struct op *op = victim_issue(queue, DEMI_OPC_POP);
	struct ibv_mr *mr;

	(void)state;
	assert_non_null(memory);
	for (uint32_t i = 0; i < LONG_BYTES; i++)
		memory[i] = (unsigned char)(i * 2654435761u >> 24);
	mr = peer.calls->reg_mr(peer.pd, memory, LONG_BYTES, IBV_ACCESS_REMOTE_READ);
	assert_non_null(mr);
	place.rkey = mr->rkey;
	message_place_store(notice, &place);
	part_heap();
	assert_int_equal(queue->ops->pop(queue, op), 0);
	raw_message(&peer, &header, notice, sizeof(notice));
	assert_int_equal(victim_wait(op), 0);
	assert_int_equal(op->result.buf->length, LONG_BYTES);
	assert_true(count_regions(op->result.buf->data, LONG_BYTES) > 2);
	assert_memory_equal(op->result.buf->data, memory, LONG_BYTES);
	assert_int_equal(buf_free(victim.context.heap, op->result.buf), 0);
	victim_done(op);
	peer.calls->dereg_mr(mr);
	free(memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
#define TEST_WITH(name, setup) cmocka_unit_test_setup_teardown(name, setup, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(credits__go_on_when_their_numbers_go_round),
		TEST_WITH(credits__go_on_when_their_numbers_go_round, begin_with_own_queue),
		TEST(pushes__go_on_when_their_numbers_go_round),
		TEST(word__that_is_old_is_not_ahead),
		TEST(word__that_nobody_looked_at_is_not_ahead),
		TEST(large__are_done_when_their_numbers_go_round),
		TEST_WITH(sends__of_all_fit_into_the_completion_queue, begin_with_few_completions),
		TEST_WITH(sends__of_which_few_tell, begin_with_many_credits),
		TEST(push__across_regions_arrives),
		TEST_WITH(push__across_regions_arrives, begin_with_two_pieces),
		TEST_WITH(large__into_many_regions_arrives, begin_with_long_messages),
	};

	return cmocka_run_group_tests_name("libos/catmint/credit", tests, NULL, NULL);
}
