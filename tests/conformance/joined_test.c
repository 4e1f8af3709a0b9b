/* SPDX-License-Identifier: MIT */
/* Queues that join two runtimes: names, elements, room. */
#include "joined.h"

static char one_byte[] = "a";

/* ---- Names and arguments ---- */

static void name__without_a_runtime_is_enosys(void **state)
{
	int qd;

	(void)state;
	check_call(demi_queue_create(&qd, "a"), ENOSYS);
	check_call(demi_queue_open(&qd, "a"), ENOSYS);
}

static void name__wrong_arguments(void **state)
{
	char longest[257];
	int qd;

	(void)state;
	memset(longest, 'n', sizeof(longest));
	longest[256] = '\0';
	check_call(demi_queue_create(null(), "a"), EFAULT);
	check_call(demi_queue_create(&qd, null()), EFAULT);
	check_call(demi_queue_create((int *)((uintptr_t)null() + 1), "a"), EFAULT);
	check_call(demi_queue_create(&qd, ""), EINVAL);
	check_call(demi_queue_create(&qd, longest), ENAMETOOLONG);
	check_call(demi_queue_open(null(), "a"), EFAULT);
	check_call(demi_queue_open(&qd, null()), EFAULT);
	check_call(demi_queue_open(&qd, ""), EINVAL);
	check_call(demi_queue_open(&qd, longest), ENAMETOOLONG);
	check_call(demi_queue_open(&qd, "a"), ENOENT);
	longest[255] = '\0';
	check_call(demi_queue_open(&qd, longest), ENOENT);
	check_call(demi_queue_create(&qd, longest), 0);
	check_call(demi_queue_open(&qd, longest), 0);
}

static void name__is_taken_until_it_is_opened(void **state)
{
	int first, second, third;

	(void)state;
	check_call(demi_queue_create(&first, "a"), 0);
	check_call(demi_queue_create(&second, "a"), EEXIST);
	check_call(demi_queue_create(&second, "b"), 0);
	check_call(demi_queue_open(&third, "a"), 0);
	check_call(demi_queue_open(&third, "a"), ENOENT);
	check_call(demi_queue_create(&third, "a"), 0);
	check_call(demi_queue_open(&third, "b"), 0);
}

static void name__is_free_when_its_maker_closes(void **state)
{
	int qd;

	(void)state;
	check_call(demi_queue_create(&qd, "a"), 0);
	await_opcode(push_pattern(qd, 5000, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_close(qd), 0);
	check_call(demi_queue_open(&qd, "a"), ENOENT);
	check_call(demi_queue_create(&qd, "a"), 0);
}

static void name__runs_out_of_descriptors(void **state)
{
	int qd, other_qd;

	(void)state;
	option_set("DEMI_RUNTIME_QUEUES_MAX", "1");
	option_set("LIBOS", "catmem");
	check_call(demi_init(NULL), 0);
	check_call(demi_queue_create(&qd, "a"), 0);
	check_call(demi_queue_create(&other_qd, "b"), EMFILE);
	check_call(demi_queue_open(&other_qd, "a"), EMFILE);
	/* Nobody was there. */
	check_pending(pop(qd));
	await_opcode(push_pattern(qd, 100, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_close(qd), 0);
	check_call(demi_queue_open(&qd, "b"), ENOENT);
}

static void ends__in_one_runtime(void **state)
{
	uint64_t before;
	int first, second;

	(void)state;
	check_call(demi_queue_create(&first, "a"), 0);
	check_call(demi_queue_open(&second, "a"), 0);
	before = objects();
	await_opcode(push_pattern(first, 3000, 1, 0), DEMI_OPC_PUSH);
	await_opcode(push_pattern(second, 10, 2, 0), DEMI_OPC_PUSH);
	expect(pop(second), 3000, 1);
	expect(pop(first), 10, 2);
	assert_int_equal(objects(), before);
	await_opcode(push_pattern(first, 3000, 3, 0), DEMI_OPC_PUSH);
	check_call(demi_close(second), 0);
	check_call(demi_close(first), 0);
	assert_int_equal(objects(), before);
}

/* ---- Elements ---- */

static void element__goes_to_the_other_end_and_not_back(void **state)
{
	demi_qtoken_t own, others;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	own = pop(ends.here);
	await_opcode(push_pattern(ends.here, 100, 1, 0), DEMI_OPC_PUSH);
	check_pending(own);
	swap();
	others = pop(ends.there);
	expect(others, 100, 1);
	await_opcode(push_pattern(ends.there, 200, 2, 0), DEMI_OPC_PUSH);
	swap();
	expect(own, 200, 2);
}

static void element__order_is_kept_when_pops_wait_and_when_they_do_not(void **state)
{
	demi_qtoken_t waiting[20];
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		waiting[i] = pop(ends.here);
	swap();
	for (unsigned int i = 0; i < 2 * COUNT_OF(waiting); i++)
		await_opcode(push_pattern(ends.there, 1 + i, i, 0), DEMI_OPC_PUSH);
	swap();
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		expect(waiting[i], 1 + i, i);
	for (unsigned int i = COUNT_OF(waiting); i < 2 * COUNT_OF(waiting); i++)
		expect(pop(ends.here), 1 + i, i);
}

static void element__is_there_before_the_other_end_is(void **state)
{
	int here, there;

	(void)state;
	skip_unless_two();
	check_call(demi_queue_create(&here, "a"), 0);
	await_opcode(push_pattern(here, 4000, 1, 0), DEMI_OPC_PUSH);
	swap();
	check_call(demi_queue_open(&there, "a"), 0);
	expect(pop(there), 4000, 1);
}

static void element__passes_by_reference(void **state)
{
	demi_sgarray_t pushed = {0}, popped;
	struct ends ends;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	pushed = sga_pattern(100000, 1, 0);
	await_opcode(push_sga(ends.here, &pushed), DEMI_OPC_PUSH);
	swap();
	popped = await_opcode(pop(ends.there), DEMI_OPC_POP).qr_value.sga;
	assert_ptr_equal(popped.sga_segs[0].sgaseg_buf, pushed.sga_segs[0].sgaseg_buf);
	swap();
	check_call(demi_sgafree(&pushed), 0);
	assert_true(objects() > before);
	swap();
	assert_int_equal(sga_check(&popped, 1, 0), 100000);
	check_call(demi_sgafree(&popped), 0);
	swap();
	assert_int_equal(objects(), before);
}

static void element__popper_frees_before_its_pusher(void **state)
{
	demi_sgarray_t pushed;
	struct ends ends;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	pushed = sga_pattern(2000, 1, 0);
	await_opcode(push_sga(ends.here, &pushed), DEMI_OPC_PUSH);
	await_opcode(push_sga(ends.here, &pushed), DEMI_OPC_PUSH);
	swap();
	expect(pop(ends.there), 2000, 1);
	expect(pop(ends.there), 2000, 1);
	swap();
	assert_int_equal(objects(), before + 1);
	assert_int_equal(sga_check(&pushed, 1, 0), 2000);
	check_call(demi_sgafree(&pushed), 0);
	assert_int_equal(objects(), before);
}

static void element__is_freed_once(void **state)
{
	demi_sgarray_t popped, copy;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	await_opcode(push_pattern(ends.here, 2000, 1, 0), DEMI_OPC_PUSH);
	swap();
	popped = await_opcode(pop(ends.there), DEMI_OPC_POP).qr_value.sga;
	copy = popped;
	check_call(demi_sgafree(&popped), 0);
	check_call(demi_sgafree(&copy), EINVAL);
}

static void element__of_several_segments(void **state)
{
	demi_sgarray_t pushed = {.sga_numsegs = DEMI_SGARRAY_MAXSIZE}, popped;
	char own[DEMI_SGARRAY_MAXSIZE][10];
	struct ends ends;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	for (unsigned int i = 0; i < DEMI_SGARRAY_MAXSIZE; i++) {
		void *memory = i % 2 ? own[i] : demi_malloc(10);

		pattern_fill(memory, 10, 7, 10 * i);
		pushed.sga_segs[i] = (demi_sgaseg_t){memory, 10};
	}
	await_opcode(push_sga(ends.here, &pushed), DEMI_OPC_PUSH);
	for (unsigned int i = 0; i < DEMI_SGARRAY_MAXSIZE; i++) {
		if (i % 2)
			memset(own[i], 0, 10);
		else
			demi_free(pushed.sga_segs[i].sgaseg_buf);
	}
	swap();
	popped = await_opcode(pop(ends.there), DEMI_OPC_POP).qr_value.sga;
	assert_int_equal(popped.sga_numsegs, DEMI_SGARRAY_MAXSIZE);
	assert_int_equal(sga_check(&popped, 7, 0), 10 * DEMI_SGARRAY_MAXSIZE);
	check_call(demi_sgafree(&popped), 0);
	swap();
	assert_int_equal(objects(), before);
}

/* It is another heap's: what it is pushed to has a copy. */
static void element__is_pushed_on(void **state)
{
	demi_sgarray_t popped;
	demi_qtoken_t on, back;
	struct ends ends;
	int plain;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	await_opcode(push_pattern(ends.here, 3000, 1, 0), DEMI_OPC_PUSH);
	swap();
	check_call(demi_queue(&plain), 0);
	popped = await_opcode(pop(ends.there), DEMI_OPC_POP).qr_value.sga;
	on = push_sga(plain, &popped);
	back = push_sga(ends.there, &popped);
	check_call(demi_sgafree(&popped), 0);
	await_opcode(on, DEMI_OPC_PUSH);
	await_opcode(back, DEMI_OPC_PUSH);
	expect(pop(plain), 3000, 1);
	swap();
	expect(pop(ends.here), 3000, 1);
}

/* ---- Room ---- */

static void room__pushes_wait_and_keep_their_order(void **state)
{
	demi_qtoken_t waiting[20];
	struct ends ends;
	uint64_t before;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	before = objects();
	for (unsigned int i = 0; i < LIMIT; i++)
		await_opcode(push_pattern(ends.here, 100 + i, i, 0), DEMI_OPC_PUSH);
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++)
		waiting[i] = push_pattern(ends.here, 200 + i, 50 + i, 0);
	check_pending(waiting[0]);
	swap();
	expect(pop(ends.there), 100, 0);
	swap();
	await_opcode(waiting[0], DEMI_OPC_PUSH);
	check_pending(waiting[1]);
	swap();
	for (unsigned int i = 1; i < LIMIT; i++)
		expect(pop(ends.there), 100 + i, i);
	swap();
	for (unsigned int i = 1; i < LIMIT; i++)
		await_opcode(waiting[i], DEMI_OPC_PUSH);
	check_pending(waiting[LIMIT]);
	for (unsigned int i = 0; i < COUNT_OF(waiting); i++) {
		swap();
		expect(pop(ends.there), 200 + i, 50 + i);
		swap();
		drive();
	}
	for (unsigned int i = LIMIT; i < COUNT_OF(waiting); i++)
		await_opcode(waiting[i], DEMI_OPC_PUSH);
	assert_int_equal(objects(), before);
}

static void room__a_cancelled_push_is_not_an_element(void **state)
{
	demi_qtoken_t waiting[3];
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	for (unsigned int i = 0; i < LIMIT; i++)
		await_opcode(push_pattern(ends.here, 100, i, 0), DEMI_OPC_PUSH);
	for (unsigned int i = 0; i < 3; i++)
		waiting[i] = push_pattern(ends.here, 200, 50 + i, 0);
	check_call(demi_cancel(waiting[1]), 0);
	await_error(waiting[1], ECANCELED);
	swap();
	for (unsigned int i = 0; i < LIMIT; i++)
		expect(pop(ends.there), 100, i);
	swap();
	await_opcode(waiting[0], DEMI_OPC_PUSH);
	await_opcode(waiting[2], DEMI_OPC_PUSH);
	swap();
	expect(pop(ends.there), 200, 50);
	expect(pop(ends.there), 200, 52);
	check_pending(pop(ends.there));
}

static void room__a_cancelled_pop_takes_nothing(void **state)
{
	demi_qtoken_t first, second;
	struct ends ends;

	(void)state;
	skip_unless_two();
	ends = ends_open("a");
	first = pop(ends.here);
	second = pop(ends.here);
	check_call(demi_cancel(first), 0);
	await_error(first, ECANCELED);
	swap();
	await_opcode(push_pattern(ends.there, 100, 1, 0), DEMI_OPC_PUSH);
	swap();
	expect(second, 100, 1);
}

/* ---- What else there is to call ---- */

static void call__those_of_sockets_and_files_are_refused(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	const struct sockaddr *any = (const struct sockaddr *)&address;
	demi_sgarray_t sga = sga_of(one_byte, 1);
	int64_t position;
	demi_qtoken_t qt;
	int qd;

	(void)state;
	check_call(demi_queue_create(&qd, "a"), 0);
	check_call(demi_bind(qd, any, sizeof(address)), EOPNOTSUPP);
	check_call(demi_listen(qd, 1), EOPNOTSUPP);
	check_call(demi_accept(&qt, qd), EOPNOTSUPP);
	check_call(demi_connect(&qt, qd, any, sizeof(address)), EOPNOTSUPP);
	check_call(demi_shutdown(qd, SHUT_WR), EOPNOTSUPP);
	check_call(demi_pushto(&qt, qd, &sga, any, sizeof(address)), EOPNOTSUPP);
	check_call(demi_seek(qd, 0, SEEK_SET, &position), EOPNOTSUPP);
	check_call(demi_truncate(qd, 0), EOPNOTSUPP);
}

static void call__wrong_arrays_are_refused(void **state)
{
	demi_sgarray_t sga = sga_of(one_byte, 0);
	demi_qtoken_t qt;
	int qd;

	(void)state;
	check_call(demi_queue_create(&qd, "a"), 0);
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga.sga_numsegs = 0;
	check_call(demi_push(&qt, qd, &sga), EINVAL);
	sga = sga_of(null(), 1);
	check_call(demi_push(&qt, qd, &sga), EFAULT);
	sga = sga_of(one_byte, 1);
	sga.sga_buf = &sga;
	check_call(demi_push(&qt, qd, &sga), EFAULT);
}

static void call__figures(void **state)
{
	struct ends ends;
	uint64_t value;

	(void)state;
	skip_unless_two();
	check_call(demi_stat(&value, "queue.joined.open"), 0);
	assert_int_equal(value, 0);
	ends = ends_open("a");
	await_opcode(push_pattern(ends.here, 1, 1, 0), DEMI_OPC_PUSH);
	await_opcode(push_pattern(ends.here, 1, 2, 0), DEMI_OPC_PUSH);
	check_call(demi_stat(&value, "queue.joined.open"), 0);
	assert_int_equal(value, 1);
	check_call(demi_stat(&value, "queue.joined.pushed"), 0);
	assert_int_equal(value, 2);
	check_call(demi_stat(&value, "queue.joined.popped"), 0);
	assert_int_equal(value, 0);
	swap();
	expect(pop(ends.there), 1, 1);
	check_call(demi_stat(&value, "queue.joined.popped"), 0);
	assert_int_equal(value, 1);
	check_call(demi_close(ends.there), 0);
	check_call(demi_stat(&value, "queue.joined.open"), 0);
	assert_int_equal(value, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_RAW(name__without_a_runtime_is_enosys),
		TEST(name__wrong_arguments),
		TEST(name__is_taken_until_it_is_opened),
		TEST(name__is_free_when_its_maker_closes),
		TEST_RAW(name__runs_out_of_descriptors),
		TEST(ends__in_one_runtime),
		TEST_TWO(element__goes_to_the_other_end_and_not_back),
		TEST_TWO(element__order_is_kept_when_pops_wait_and_when_they_do_not),
		TEST_TWO(element__is_there_before_the_other_end_is),
		TEST_TWO(element__passes_by_reference),
		TEST_TWO(element__popper_frees_before_its_pusher),
		TEST_TWO(element__is_freed_once),
		TEST_TWO(element__of_several_segments),
		TEST_TWO(element__is_pushed_on),
		TEST_SMALL(room__pushes_wait_and_keep_their_order),
		TEST_SMALL(room__a_cancelled_push_is_not_an_element),
		TEST_SMALL(room__a_cancelled_pop_takes_nothing),
		TEST(call__those_of_sockets_and_files_are_refused),
		TEST(call__wrong_arrays_are_refused),
		TEST_TWO(call__figures),
	};

	return suite_main("joined", !profile_get() || profile_get()->queues, "in-memory queues",
			  tests, COUNT_OF(tests));
}
