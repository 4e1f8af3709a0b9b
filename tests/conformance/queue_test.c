/* SPDX-License-Identifier: MIT */
/* In-memory queues. */
#include "common.h"

#define queue_open() queue_open_at(__FILE__, __LINE__)
static int queue_open_at(const char *file, int line)
{
	int qd = -1;

	check_call_at(demi_queue(&qd), 0, "demi_queue", file, line);
	_assert_true(qd >= 500, "descriptors start at 500", file, line);
	return qd;
}

#define expect(qt, size, seed) expect_at((qt), (size), (seed), __FILE__, __LINE__)
static void expect_at(demi_qtoken_t qt, size_t size, unsigned int seed, const char *file, int line)
{
	demi_qresult_t qr = await_opcode_at(qt, DEMI_OPC_POP, file, line);

	_assert_int_equal(sga_check_at(&qr.qr_value.sga, seed, 0, file, line), size, file, line);
	check_call_at(demi_sgafree(&qr.qr_value.sga), 0, "demi_sgafree", file, line);
}

static void queue__push_then_pop(void **state)
{
	int qd = queue_open();
	demi_qresult_t qr;

	(void)state;
	qr = await_opcode(push_pattern(qd, 100, 1, 0), DEMI_OPC_PUSH);
	assert_int_equal(qr.qr_qd, qd);
	qr = await_opcode(pop(qd), DEMI_OPC_POP);
	assert_int_equal(qr.qr_qd, qd);
	assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), 100);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	check_call(demi_close(qd), 0);
}

static void queue__pop_then_push(void **state)
{
	int qd = queue_open();
	demi_qtoken_t popping = pop(qd);

	(void)state;
	check_pending(popping);
	await_opcode(push_pattern(qd, 100, 2, 0), DEMI_OPC_PUSH);
	expect(popping, 100, 2);
}

static void queue__push_completes_at_once(void **state)
{
	int qd = queue_open();
	demi_qtoken_t pushing = push_pattern(qd, 100, 3, 0);
	demi_qresult_t qr;

	(void)state;
	check_call(demi_wait(&qr, pushing, &wait_none), 0);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
}

static void queue__elements_keep_their_order(void **state)
{
	int qd = queue_open();

	(void)state;
	for (unsigned int i = 0; i < 5000; i++)
		await_opcode(push_pattern(qd, 1 + i % 97, i, 0), DEMI_OPC_PUSH);
	for (unsigned int i = 0; i < 5000; i++)
		expect(pop(qd), 1 + i % 97, i);
	check_pending(pop(qd));
}

static void queue__waiting_pops_are_served_first_come_first_served(void **state)
{
	enum { COUNT = 50 };
	demi_qtoken_t pops[COUNT];
	int qd = queue_open();

	(void)state;
	for (int i = 0; i < COUNT; i++)
		pops[i] = pop(qd);
	for (unsigned int i = 0; i < COUNT; i++) {
		await_opcode(push_pattern(qd, 10, i, 0), DEMI_OPC_PUSH);
		if (i + 1 < COUNT)
			check_pending(pops[i + 1]);
	}
	/* Asked for from the last to the first, each has its own. */
	for (unsigned int i = COUNT; i-- > 0;)
		expect(pops[i], 10, i);
}

static void queue__queues_do_not_mix(void **state)
{
	enum { COUNT = 100 };
	int qds[COUNT];

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++) {
		qds[i] = queue_open();
		await_opcode(push_pattern(qds[i], 20, i, 0), DEMI_OPC_PUSH);
	}
	for (unsigned int i = COUNT; i-- > 0;)
		expect(pop(qds[i]), 20, i);
}

static void queue__close_cancels_pending_pops(void **state)
{
	demi_qtoken_t pops[5];
	int qd = queue_open();
	demi_qresult_t qr;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(pops); i++)
		pops[i] = pop(qd);
	check_call(demi_close(qd), 0);
	for (size_t i = 0; i < COUNT_OF(pops); i++) {
		qr = await(pops[i]);
		assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
		assert_int_equal(qr.qr_ret, ECANCELED);
		assert_int_equal(qr.qr_qd, qd);
		check_call(demi_wait(&qr, pops[i], &wait_none), EINVAL);
	}
	check_call(demi_close(qd), EBADF);
	check_call(demi_pop(&pops[0], qd), EBADF);
}

static void queue__close_drops_its_elements(void **state)
{
	demi_sgarray_t kept;
	int qd;

	(void)state;
	/* The elements of a closed queue must be free for others: far more than the memory. */
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	demi_fini();
	check_call(demi_init(NULL), 0);
	kept = sga_pattern(1000, 4, 0);
	for (int round = 0; round < 50; round++) {
		qd = queue_open();
		await_opcode(push_sga(qd, &kept), DEMI_OPC_PUSH);
		for (unsigned int i = 0; i < 32; i++)
			await_opcode(push_pattern(qd, 64 * KIB, i, 0), DEMI_OPC_PUSH);
		check_call(demi_close(qd), 0);
	}
	sga_check(&kept, 4, 0);
	check_call(demi_sgafree(&kept), 0);
}

static void queue__aclose_completes(void **state)
{
	demi_qtoken_t popping, closing;
	int qd = queue_open();
	demi_qresult_t qr;

	(void)state;
	popping = pop(qd);
	check_call(demi_aclose(&closing, qd), 0);
	await_error(popping, ECANCELED);
	qr = await_opcode(closing, DEMI_OPC_CLOSE);
	assert_int_equal(qr.qr_qd, qd);
	check_call(demi_close(qd), EBADF);
}

static void queue__library_memory_passes_by_reference(void **state)
{
	int qd = queue_open();
	demi_sgarray_t pushed = sga_pattern(5000, 5, 0);
	void *data = pushed.sga_segs[0].sgaseg_buf;
	demi_qresult_t qr;

	(void)state;
	await_opcode(push_sga(qd, &pushed), DEMI_OPC_PUSH);
	qr = await_opcode(pop(qd), DEMI_OPC_POP);
	assert_int_equal(qr.qr_value.sga.sga_numsegs, 1);
	assert_ptr_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, data);
	assert_int_equal(sga_check(&qr.qr_value.sga, 5, 0), 5000);
	/* Both hold it, and each frees its own array. */
	check_call(demi_sgafree(&pushed), 0);
	assert_int_equal(sga_check(&qr.qr_value.sga, 5, 0), 5000);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void queue__moved_and_shrunk_segment_passes_by_reference(void **state)
{
	int qd = queue_open();
	demi_sgarray_t pushed = sga_pattern(5000, 6, 0);
	uint8_t *data = pushed.sga_segs[0].sgaseg_buf;
	demi_qresult_t qr;

	(void)state;
	pushed.sga_segs[0].sgaseg_buf = data + 100;
	pushed.sga_segs[0].sgaseg_len = 200;
	await_opcode(push_sga(qd, &pushed), DEMI_OPC_PUSH);
	check_call(demi_sgafree(&pushed), 0);
	qr = await_opcode(pop(qd), DEMI_OPC_POP);
	assert_ptr_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, data + 100);
	assert_int_equal(sga_check(&qr.qr_value.sga, 6, 100), 200);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void queue__freed_by_its_pusher_before_the_pop(void **state)
{
	enum { COUNT = 100 };
	int qd = queue_open();

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++) {
		demi_sgarray_t other;

		await_opcode(push_pattern(qd, 2000, i, 0), DEMI_OPC_PUSH);
		/* This must not be the memory that has just been freed. */
		other = demi_sgaalloc(2000);
		assert_non_null(other.sga_buf);
		memset(other.sga_segs[0].sgaseg_buf, 0xee, 2000);
		check_call(demi_sgafree(&other), 0);
	}
	for (unsigned int i = 0; i < COUNT; i++)
		expect(pop(qd), 2000, i);
}

static void queue__popped_array_goes_through_a_second_queue(void **state)
{
	int first = queue_open(), second = queue_open();
	demi_sgarray_t pushed = sga_pattern(300, 7, 0);
	void *data = pushed.sga_segs[0].sgaseg_buf;
	demi_qresult_t qr;

	(void)state;
	await_opcode(push_sga(first, &pushed), DEMI_OPC_PUSH);
	check_call(demi_sgafree(&pushed), 0);
	qr = await_opcode(pop(first), DEMI_OPC_POP);
	await_opcode(push_sga(second, &qr.qr_value.sga), DEMI_OPC_PUSH);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	qr = await_opcode(pop(second), DEMI_OPC_POP);
	assert_ptr_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, data);
	assert_int_equal(sga_check(&qr.qr_value.sga, 7, 0), 300);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void queue__pushed_twice_is_two_elements(void **state)
{
	int qd = queue_open();
	demi_sgarray_t pushed = sga_pattern(300, 8, 0);

	(void)state;
	await_opcode(push_sga(qd, &pushed), DEMI_OPC_PUSH);
	await_opcode(push_sga(qd, &pushed), DEMI_OPC_PUSH);
	check_call(demi_sgafree(&pushed), 0);
	expect(pop(qd), 300, 8);
	expect(pop(qd), 300, 8);
}

static void queue__foreign_memory_is_copied(void **state)
{
	uint8_t bytes[700];
	demi_sgarray_t pushed = sga_of(bytes, sizeof(bytes));
	int qd = queue_open();
	demi_qresult_t qr;

	(void)state;
	pattern_fill(bytes, sizeof(bytes), 9, 0);
	await_opcode(push_sga(qd, &pushed), DEMI_OPC_PUSH);
	/* The push has completed: the memory is the application's again. */
	memset(bytes, 0xee, sizeof(bytes));
	qr = await_opcode(pop(qd), DEMI_OPC_POP);
	assert_ptr_not_equal(qr.qr_value.sga.sga_segs[0].sgaseg_buf, bytes);
	assert_int_equal(sga_check(&qr.qr_value.sga, 9, 0), sizeof(bytes));
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
}

static void queue__elements_of_several_segments(void **state)
{
	int qd = queue_open();

	(void)state;
	for (uint32_t count = 1; count <= DEMI_SGARRAY_MAXSIZE; count++) {
		demi_sgarray_t sga = {.sga_numsegs = count};
		static uint8_t foreign[DEMI_SGARRAY_MAXSIZE][400];
		void *own[DEMI_SGARRAY_MAXSIZE] = {NULL};
		uint64_t offset = 0;
		demi_qtoken_t pushing;

		for (uint32_t i = 0; i < count; i++) {
			uint32_t size = 1 + i * 50;

			/* In turns the library's memory and ours. */
			if (i % 2 == 0)
				own[i] = demi_malloc(size);
			sga.sga_segs[i].sgaseg_buf = i % 2 ? foreign[i] : own[i];
			sga.sga_segs[i].sgaseg_len = size;
			assert_non_null(sga.sga_segs[i].sgaseg_buf);
			pattern_fill(sga.sga_segs[i].sgaseg_buf, size, count, offset);
			offset += size;
		}
		pushing = push_sga(qd, &sga);
		for (uint32_t i = 0; i < count; i++)
			demi_free(own[i]);
		await_opcode(pushing, DEMI_OPC_PUSH);
		memset(foreign, 0xee, sizeof(foreign));
		expect(pop(qd), offset, count);
	}
}

static void queue__several_segments_of_one_buffer(void **state)
{
	demi_sgarray_t sga = sga_pattern(8000, 10, 0);
	uint8_t *bytes = sga.sga_segs[0].sgaseg_buf;
	int qd = queue_open();

	(void)state;
	sga.sga_numsegs = DEMI_SGARRAY_MAXSIZE;
	for (uint32_t i = 0; i < DEMI_SGARRAY_MAXSIZE; i++) {
		sga.sga_segs[i].sgaseg_buf = bytes + i * 1000;
		sga.sga_segs[i].sgaseg_len = 1000;
	}
	await_opcode(push_sga(qd, &sga), DEMI_OPC_PUSH);
	check_call(demi_sgafree(&sga), 0);
	expect(pop(qd), 8000, 10);
}

static void queue__large_element(void **state)
{
	int qd = queue_open();

	(void)state;
	await_opcode(push_pattern(qd, 20 * MIB, 11, 0), DEMI_OPC_PUSH);
	expect(pop(qd), 20 * MIB, 11);
}

static void queue__cancelled_pop_leaves_the_element_to_the_next(void **state)
{
	int qd = queue_open();
	demi_qtoken_t first = pop(qd), second = pop(qd), third = pop(qd);

	(void)state;
	check_call(demi_cancel(second), 0);
	check_call(demi_cancel(first), 0);
	await_opcode(push_pattern(qd, 10, 12, 0), DEMI_OPC_PUSH);
	expect(third, 10, 12);
	await_error(first, ECANCELED);
	await_error(second, ECANCELED);
}

static void queue__full_queue_makes_pushes_wait(void **state)
{
	enum { ROOM = 4, COUNT = 12 };
	demi_qtoken_t pushes[COUNT];
	int qd;

	(void)state;
	option_set("DEMI_QUEUE_ELEMENTS_MAX", "4");
	check_call(demi_init(NULL), 0);
	qd = queue_open();
	for (unsigned int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(qd, 10, i, 0);
	for (int i = 0; i < ROOM; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	check_pending(pushes[ROOM]);
	check_pending(pushes[COUNT - 1]);
	for (unsigned int i = 0; i < COUNT; i++) {
		expect(pop(qd), 10, i);
		if (i + ROOM < COUNT)
			await_opcode(pushes[i + ROOM], DEMI_OPC_PUSH);
		if (i + ROOM + 1 < COUNT)
			check_pending(pushes[i + ROOM + 1]);
	}
	check_pending(pop(qd));
}

static void queue__cancelled_push_is_not_an_element(void **state)
{
	demi_qtoken_t pushes[6];
	int qd;

	(void)state;
	option_set("DEMI_QUEUE_ELEMENTS_MAX", "2");
	check_call(demi_init(NULL), 0);
	qd = queue_open();
	for (unsigned int i = 0; i < COUNT_OF(pushes); i++)
		pushes[i] = push_pattern(qd, 10, i, 0);
	check_call(demi_cancel(pushes[3]), 0);
	await_error(pushes[3], ECANCELED);
	check_call(demi_cancel(pushes[0]), EALREADY);
	for (unsigned int i = 0; i < COUNT_OF(pushes); i++) {
		if (i == 3)
			continue;
		expect(pop(qd), 10, i);
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	}
	check_pending(pop(qd));
}

static void queue__close_cancels_pending_pushes(void **state)
{
	demi_qtoken_t pushes[6];
	int qd;

	(void)state;
	option_set("DEMI_QUEUE_ELEMENTS_MAX", "2");
	check_call(demi_init(NULL), 0);
	qd = queue_open();
	for (unsigned int i = 0; i < COUNT_OF(pushes); i++)
		pushes[i] = push_pattern(qd, 10, i, 0);
	check_call(demi_close(qd), 0);
	for (size_t i = 0; i < COUNT_OF(pushes); i++) {
		if (i < 2)
			await_opcode(pushes[i], DEMI_OPC_PUSH);
		else
			await_error(pushes[i], ECANCELED);
	}
}

static void queue__socket_calls_are_refused(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	int qd = queue_open(), value = 1;
	socklen_t size = sizeof(address);
	demi_sgarray_t sga = sga_pattern(10, 1, 0);
	const struct sockaddr *any = (const struct sockaddr *)&address;
	demi_qtoken_t qt;
	int64_t position;

	(void)state;
	check_fails(demi_bind(qd, any, sizeof(address)));
	check_call(demi_listen(qd, 1), EOPNOTSUPP);
	check_call(demi_accept(&qt, qd), EOPNOTSUPP);
	check_fails(demi_connect(&qt, qd, any, sizeof(address)));
	check_call(demi_shutdown(qd, SHUT_WR), EOPNOTSUPP);
	check_fails(demi_pushto(&qt, qd, &sga, any, sizeof(address)));
	check_fails(demi_setsockopt(qd, SOL_SOCKET, SO_KEEPALIVE, &value, sizeof(value)));
	check_fails(demi_getsockname(qd, (struct sockaddr *)&address, &size));
	check_fails(demi_getpeername(qd, (struct sockaddr *)&address, &size));
	check_call(demi_seek(qd, 0, SEEK_SET, &position), EOPNOTSUPP);
	check_call(demi_truncate(qd, 0), EOPNOTSUPP);
	await_opcode(push_sga(qd, &sga), DEMI_OPC_PUSH);
	expect(pop(qd), 10, 1);
	check_call(demi_sgafree(&sga), 0);
}

static void queue__random_pushes_and_pops_against_a_model(void **state)
{
	enum { QUEUES = 8, STEPS = 20000 };
	static struct {
		int qd;
		unsigned int pushed, popped; /* elements; their number is their seed */
		demi_qtoken_t waiting[64];   /* pops that wait, oldest first */
		int num_waiting;
	} queues[QUEUES];
	unsigned int random = 12345;

	(void)state;
	memset(queues, 0, sizeof(queues));
	for (int i = 0; i < QUEUES; i++)
		queues[i].qd = queue_open();
	for (int step = 0; step < STEPS; step++) {
		random = random * 1664525u + 1013904223u;
		int i = (int)(random >> 28) % QUEUES;
		bool push = (random >> 20) % 2;

		if (push) {
			unsigned int number = queues[i].pushed++;

			await_opcode(push_pattern(queues[i].qd, 1 + number % 300, number, 0),
				     DEMI_OPC_PUSH);
			if (queues[i].num_waiting == 0)
				continue;
			expect(queues[i].waiting[0], 1 + number % 300, number);
			queues[i].popped++;
			queues[i].num_waiting--;
			memmove(queues[i].waiting, queues[i].waiting + 1,
				(size_t)queues[i].num_waiting * sizeof(demi_qtoken_t));
		} else if (queues[i].popped < queues[i].pushed) {
			unsigned int number = queues[i].popped++;

			expect(pop(queues[i].qd), 1 + number % 300, number);
		} else if (queues[i].num_waiting < 64) {
			queues[i].waiting[queues[i].num_waiting++] = pop(queues[i].qd);
		}
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(queue__push_then_pop),
		TEST(queue__pop_then_push),
		TEST(queue__push_completes_at_once),
		TEST(queue__elements_keep_their_order),
		TEST(queue__waiting_pops_are_served_first_come_first_served),
		TEST(queue__queues_do_not_mix),
		TEST(queue__close_cancels_pending_pops),
		TEST(queue__close_drops_its_elements),
		TEST(queue__aclose_completes),
		TEST(queue__library_memory_passes_by_reference),
		TEST(queue__moved_and_shrunk_segment_passes_by_reference),
		TEST(queue__freed_by_its_pusher_before_the_pop),
		TEST(queue__popped_array_goes_through_a_second_queue),
		TEST(queue__pushed_twice_is_two_elements),
		TEST(queue__foreign_memory_is_copied),
		TEST(queue__elements_of_several_segments),
		TEST(queue__several_segments_of_one_buffer),
		TEST(queue__large_element),
		TEST(queue__cancelled_pop_leaves_the_element_to_the_next),
		TEST_RAW(queue__full_queue_makes_pushes_wait),
		TEST_RAW(queue__cancelled_push_is_not_an_element),
		TEST_RAW(queue__close_cancels_pending_pushes),
		TEST(queue__socket_calls_are_refused),
		TEST(queue__random_pushes_and_pops_against_a_model),
	};

	return suite_main("queue", !profile_get() || profile_get()->queues, "in-memory queues",
			  tests, COUNT_OF(tests));
}
