/* SPDX-License-Identifier: MIT */
/*
 * Pushes of memory that is not of this runtime's heap: it is the application's again as soon as
 * demi_push has returned; or is refused, with heap.foreign: refuse.
 */
#include "common.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>

#define FILLER (8 * MIB) /* more than two socket buffers take */
#define BYTES 150000

/* ---- Kinds of foreign memory: each is made, and then overwritten and given back ---- */

struct memory {
	unsigned char *data;
	size_t size;
	pthread_t thread;
	pthread_barrier_t barrier;
};

static void map_take(struct memory *memory)
{
	memory->data = mmap(NULL, memory->size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);
	assert_true(memory->data != MAP_FAILED);
}

static void map_give(struct memory *memory)
{
	munmap(memory->data, memory->size);
}

static void malloc_take(struct memory *memory)
{
	memory->data = malloc(memory->size);
}

static void malloc_give(struct memory *memory)
{
	free(memory->data);
}

static void fixed_take(struct memory *memory)
{
	static unsigned char fixed[BYTES];

	assert_true(memory->size <= sizeof(fixed));
	memory->data = fixed;
}

static void fixed_give(struct memory *memory)
{
	(void)memory;
}

/* Another thread's, with a runtime of its own, or from the heap of threads without one. */
static void *owner_run(void *argument)
{
	struct memory *memory = argument;

	memory->data = demi_malloc(memory->size);
	pthread_barrier_wait(&memory->barrier);
	pthread_barrier_wait(&memory->barrier);
	demi_free(memory->data);
	demi_fini();
	return NULL;
}

static void *owner_run_with_runtime(void *argument)
{
	if (demi_init(NULL) != 0)
		return NULL;
	return owner_run(argument);
}

static void owner_start(struct memory *memory, void *(*run)(void *))
{
	assert_int_equal(pthread_barrier_init(&memory->barrier, NULL, 2), 0);
	assert_int_equal(pthread_create(&memory->thread, NULL, run, memory), 0);
	pthread_barrier_wait(&memory->barrier);
	assert_non_null(memory->data);
}

static void shared_take(struct memory *memory)
{
	owner_start(memory, owner_run);
}

static void other_take(struct memory *memory)
{
	owner_start(memory, owner_run_with_runtime);
}

static void owner_give(struct memory *memory)
{
	pthread_barrier_wait(&memory->barrier);
	assert_int_equal(pthread_join(memory->thread, NULL), 0);
	pthread_barrier_destroy(&memory->barrier);
}

static const struct kind {
	const char *name;
	void (*take)(struct memory *memory);
	void (*give)(struct memory *memory);
} kinds[] = {
	{"mapped", map_take, map_give},         {"malloc", malloc_take, malloc_give},
	{"static", fixed_take, fixed_give},     {"of no runtime", shared_take, owner_give},
	{"of another", other_take, owner_give},
};

static void memory_take(const struct kind *kind, struct memory *memory, size_t size,
			unsigned int seed, uint64_t offset)
{
	print_message("%s, %zu bytes\n", kind->name, size);
	memory->size = size;
	kind->take(memory);
	pattern_fill(memory->data, size, seed, offset);
}

static void memory_give(const struct kind *kind, struct memory *memory)
{
	memset(memory->data, 0xee, memory->size);
	kind->give(memory);
}

static demi_qtoken_t push_foreign(const struct kind *kind, int qd, size_t size, unsigned int seed,
				  uint64_t offset)
{
	struct memory memory;
	demi_sgarray_t sga;
	demi_qtoken_t qt;

	memory_take(kind, &memory, size, seed, offset);
	sga = sga_of(memory.data, size);
	qt = push_sga(qd, &sga);
	memory_give(kind, &memory);
	return qt;
}

/* Not inlined, so that its frame is gone when it has returned. */
static __attribute__((noinline)) demi_qtoken_t push_stack(int qd, unsigned int seed,
							  uint64_t offset)
{
	unsigned char stack[3000];
	demi_sgarray_t sga = sga_of(stack, sizeof(stack));
	demi_qtoken_t qt;

	pattern_fill(stack, sizeof(stack), seed, offset);
	qt = push_sga(qd, &sga);
	memset(stack, 0xee, sizeof(stack));
	__asm__ volatile("" ::"r"(stack) : "memory");
	return qt;
}

/* ---- Streams ---- */

static void foreign__stream_sends_what_was_there_at_the_push(void **state)
{
	demi_qtoken_t filler, pushes[2 * COUNT_OF(kinds) + 1];
	uint64_t offset = FILLER;
	struct pair pair;
	size_t count = 0;
	TRANSPORT(transport, state);

	pair_open(&pair, transport);
	filler = push_pattern(pair.client, FILLER, 1, 0);
	check_pending(filler);
	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		pushes[count++] = push_foreign(&kinds[i], pair.client, BYTES, 1, offset);
		offset += BYTES;
		pushes[count++] = push_foreign(&kinds[i], pair.client, 100, 1, offset);
		offset += 100;
	}
	pushes[count++] = push_stack(pair.client, 1, offset);
	offset += 3000;
	for (size_t i = 0; i < count; i++)
		check_pending(pushes[i]);
	stream_expect(pair.server, offset, 1, 0);
	await_opcode(filler, DEMI_OPC_PUSH);
	for (size_t i = 0; i < count; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
}

/* Half of one foreign push fits into the socket buffer. */
static void foreign__stream_sends_the_rest_of_a_half_sent_push(void **state)
{
	struct memory memory = {.size = FILLER};
	demi_sgarray_t sga;
	struct pair pair;
	demi_qtoken_t qt;
	TRANSPORT(transport, state);

	pair_open(&pair, transport);
	map_take(&memory);
	pattern_fill(memory.data, FILLER, 1, 0);
	sga = sga_of(memory.data, FILLER / 3);
	sga.sga_numsegs = 3;
	for (size_t i = 1; i < 3; i++) {
		sga.sga_segs[i].sgaseg_buf = memory.data + i * (FILLER / 3);
		sga.sga_segs[i].sgaseg_len = FILLER / 3;
	}
	qt = push_sga(pair.client, &sga);
	memory_give(&kinds[0], &memory);
	check_pending(qt);
	stream_expect(pair.server, FILLER / 3 * 3, 1, 0);
	await_opcode(qt, DEMI_OPC_PUSH);
}

static void foreign__stream_mixes_own_and_foreign_segments(void **state)
{
	demi_qtoken_t filler, mixed;
	unsigned char *own = demi_malloc(5000);
	struct memory memory = {.size = 7000};
	demi_sgarray_t sga;
	struct pair pair;
	TRANSPORT(transport, state);

	pair_open(&pair, transport);
	filler = push_pattern(pair.client, FILLER, 1, 0);
	map_take(&memory);
	pattern_fill(memory.data, 3000, 1, FILLER);
	pattern_fill(own, 5000, 1, FILLER + 3000);
	pattern_fill(memory.data + 3000, 4000, 1, FILLER + 8000);
	sga = sga_of(memory.data, 3000);
	sga.sga_numsegs = 3;
	sga.sga_segs[1] = (demi_sgaseg_t){own, 5000};
	sga.sga_segs[2] = (demi_sgaseg_t){memory.data + 3000, 4000};
	mixed = push_sga(pair.client, &sga);
	memory_give(&kinds[0], &memory);
	demi_free(own);
	check_pending(mixed);
	stream_expect(pair.server, FILLER + 12000, 1, 0);
	await_opcode(filler, DEMI_OPC_PUSH);
	await_opcode(mixed, DEMI_OPC_PUSH);
}

/* The copy is given back when the push is cancelled, and when the descriptor is closed. */
static void foreign__copies_go_with_their_push(void **state)
{
	demi_heap_stats_t before, after;
	demi_qtoken_t filler, pushes[20];
	struct pair pair;
	TRANSPORT(transport, state);

	pair_open(&pair, transport);
	check_call(demi_heap_stats(&before), 0);
	filler = push_pattern(pair.client, FILLER, 1, 0);
	for (size_t i = 0; i < COUNT_OF(pushes); i++)
		pushes[i] = push_foreign(&kinds[0], pair.client, BYTES, 1, 0);
	check_call(demi_heap_stats(&after), 0);
	assert_true(after.bytes_held_only >= COUNT_OF(pushes) * BYTES);
	for (size_t i = 0; i < COUNT_OF(pushes) / 2; i++) {
		check_call(demi_cancel(pushes[i]), 0);
		await_error(pushes[i], ECANCELED);
	}
	check_call(demi_close(pair.client), 0);
	for (size_t i = COUNT_OF(pushes) / 2; i < COUNT_OF(pushes); i++)
		await_error(pushes[i], ECANCELED);
	await_error(filler, ECANCELED);
	/* A libOS may send on what it has kept. */
	stream_skip_cut(pair.server);
	settle_until(demi_heap_stats(&after) == 0 && after.bytes_held_only == 0 &&
		     after.objects == before.objects);
}

/* ---- Other queues ---- */

static void foreign__datagrams(void **state)
{
	const struct transport *transport = &transport_ipv4;
	struct address from, to;
	int sender = socket_datagram(transport, &from), receiver = socket_datagram(transport, &to);
	demi_qtoken_t connecting;

	(void)state;
	check_call(demi_connect(&connecting, sender, &to.any, to.size), 0);
	await_opcode(connecting, DEMI_OPC_CONNECT);
	for (size_t i = 0; i <= COUNT_OF(kinds); i++) {
		demi_qtoken_t push, popping = pop(receiver);
		demi_qresult_t qr;

		push = i < COUNT_OF(kinds) ? push_foreign(&kinds[i], sender, 3000, 2, i)
					   : push_stack(sender, 2, i);
		qr = await_opcode(popping, DEMI_OPC_POP);
		assert_int_equal(sga_check(&qr.qr_value.sga, 2, i), 3000);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		await_opcode(push, DEMI_OPC_PUSH);
	}
}

static int file_open(void)
{
	char path[128];
	int qd = -1;

	snprintf(path, sizeof(path), "%s/foreign", directory());
	check_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	return qd;
}

static void foreign__files(void **state)
{
	demi_qtoken_t pushes[COUNT_OF(kinds) + 1];
	int qd;

	(void)state;
	skip_unless(profile_get()->files, "the libOS has no files");
	qd = file_open();
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		pushes[i] = push_foreign(&kinds[i], qd, BYTES, 3, i * BYTES);
	pushes[COUNT_OF(kinds)] = push_stack(qd, 3, COUNT_OF(kinds) * BYTES);
	for (size_t i = 0; i < COUNT_OF(pushes); i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	stream_expect(qd, COUNT_OF(kinds) * BYTES + 3000, 3, 0);
}

static void foreign__memory_queues_full_and_not(void **state)
{
	demi_qtoken_t pushes[COUNT_OF(kinds) + 1];
	int qd;

	(void)state;
	option_set("DEMI_QUEUE_ELEMENTS_MAX", "1");
	check_call(demi_init(NULL), 0);
	check_call(demi_queue(&qd), 0);
	for (size_t i = 0; i < COUNT_OF(kinds); i++)
		pushes[i] = push_foreign(&kinds[i], qd, BYTES, 4, i);
	pushes[COUNT_OF(kinds)] = push_stack(qd, 4, COUNT_OF(kinds));
	await_opcode(pushes[0], DEMI_OPC_PUSH);
	for (size_t i = 0; i < COUNT_OF(pushes); i++) {
		demi_qresult_t qr = await_opcode(pop(qd), DEMI_OPC_POP);

		assert_int_equal(sga_check(&qr.qr_value.sga, 4, i),
				 i < COUNT_OF(kinds) ? BYTES : 3000);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		if (i > 0)
			await_opcode(pushes[i], DEMI_OPC_PUSH);
	}
}

/* ---- heap.foreign: refuse ---- */

/* A queue to push to, and one that pops what was pushed. */
struct channel {
	const char *name;
	int push_qd;
	int pop_qd;
	struct address to; /* of a datagram; size 0: none */
};

static void refuse_one(const struct channel *channel, const demi_sgarray_t *sga)
{
	demi_qtoken_t qt = 12345;

	check_call(demi_push(&qt, channel->push_qd, sga), EFAULT);
	assert_int_equal(qt, 12345);
	if (channel->to.size)
		check_call(
			demi_pushto(&qt, channel->push_qd, sga, &channel->to.any, channel->to.size),
			EFAULT);
}

static void refuse_all(const struct channel *channel)
{
	unsigned char *own = demi_malloc(100);
	demi_sgarray_t sga;

	for (size_t i = 0; i < COUNT_OF(kinds); i++) {
		struct memory memory;

		memory_take(&kinds[i], &memory, 5000, 9, 0);
		sga = sga_of(memory.data, 5000);
		refuse_one(channel, &sga);
		/* One segment of many is enough. */
		sga = sga_of(own, 100);
		sga.sga_numsegs = 2;
		sga.sga_segs[1] = (demi_sgaseg_t){memory.data, 1};
		refuse_one(channel, &sga);
		memory_give(&kinds[i], &memory);
	}
	demi_free(own);
}

/* What is pushed now is the first thing that arrives. */
static void accepts_own(const struct channel *channel)
{
	unsigned char *own = demi_malloc(700);
	demi_qtoken_t push, popping;
	demi_sgarray_t sga;
	demi_qresult_t qr;

	for (int round = 0; round < 2; round++) {
		pattern_fill(own, 700, 5, 0);
		if (round == 0)
			sga = sga_of(own + 100, 600);
		else
			sga = sga_pattern(600, 5, 100);
		push = push_sga(channel->push_qd, &sga);
		if (round == 1)
			check_call(demi_sgafree(&sga), 0);
		await_opcode(push, DEMI_OPC_PUSH);
		popping = pop(channel->pop_qd);
		qr = await_opcode(popping, DEMI_OPC_POP);
		assert_int_equal(sga_check(&qr.qr_value.sga, 5, 100), 600);
		/* What was popped is of this heap too. */
		push = push_sga(channel->push_qd, &qr.qr_value.sga);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		await_opcode(push, DEMI_OPC_PUSH);
		qr = await_opcode(pop(channel->pop_qd), DEMI_OPC_POP);
		assert_int_equal(sga_check(&qr.qr_value.sga, 5, 100), 600);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	demi_free(own);
}

static void check_refusal(const struct channel *channel)
{
	print_message("-- %s\n", channel->name);
	refuse_all(channel);
	accepts_own(channel);
	refuse_all(channel);
	accepts_own(channel);
}

static void stream_channel(struct channel *channel, const struct transport *transport)
{
	struct pair pair;

	pair_open(&pair, transport);
	*channel = (struct channel){
		.name = transport->name, .push_qd = pair.client, .pop_qd = pair.server};
}

static void datagram_channel(struct channel *channel)
{
	struct address from;
	demi_qtoken_t qt;

	*channel = (struct channel){.name = "datagrams"};
	channel->push_qd = socket_datagram(&transport_ipv4, &from);
	channel->pop_qd = socket_datagram(&transport_ipv4, &channel->to);
	check_call(demi_connect(&qt, channel->push_qd, &channel->to.any, channel->to.size), 0);
	await_opcode(qt, DEMI_OPC_CONNECT);
}

static void foreign__refuse_is_efault_on_every_kind_of_queue(void **state)
{
	const struct profile *profile = profile_get();
	struct channel channel;
	int qd;

	(void)state;
	option_set("DEMI_HEAP_FOREIGN", "refuse");
	check_call(demi_init(NULL), 0);
	if (profile->tcp) {
		stream_channel(&channel, &transport_ipv4);
		check_refusal(&channel);
	}
	if (profile->unix_stream) {
		stream_channel(&channel, &transport_unix);
		check_refusal(&channel);
	}
	if (profile->udp) {
		datagram_channel(&channel);
		check_refusal(&channel);
	}
	if (profile->files) {
		qd = file_open();
		channel = (struct channel){.name = "file", .push_qd = qd, .pop_qd = qd};
		check_refusal(&channel);
	}
	check_call(demi_queue(&qd), 0);
	channel = (struct channel){.name = "memory queue", .push_qd = qd, .pop_qd = qd};
	check_refusal(&channel);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_OVER(ipv4, foreign__stream_sends_what_was_there_at_the_push),
		TEST_OVER(unix, foreign__stream_sends_what_was_there_at_the_push),
		TEST_OVER(ipv4, foreign__stream_sends_the_rest_of_a_half_sent_push),
		TEST_OVER(unix, foreign__stream_sends_the_rest_of_a_half_sent_push),
		TEST_OVER(ipv4, foreign__stream_mixes_own_and_foreign_segments),
		TEST_OVER(ipv4, foreign__copies_go_with_their_push),
		TEST(foreign__datagrams),
		TEST(foreign__files),
		TEST_RAW(foreign__memory_queues_full_and_not),
		TEST_RAW(foreign__refuse_is_efault_on_every_kind_of_queue),
	};

	return suite_main("foreign", !profile_get() || profile_get()->tcp, "TCP", tests,
			  COUNT_OF(tests));
}
