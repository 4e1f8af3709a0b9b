/* SPDX-License-Identifier: MIT */
/* Logs as queues: what they have beyond files. Records, their numbers, and the cursor among them. */
#include "common.h"
#include "log.h"

#include <fcntl.h>

/* ---- Records ---- */

static const size_t sizes[] = {1,     63,    64,     100,    511,     512,    513,
			       1024,  1025,  4000,   4095,   4096,    4097,   8192,
			       65535, 65536, 131072, 131073, MIB + 3, 2 * MIB};

static void log__records_keep_their_boundaries(void **state)
{
	int qd = log_open("records", O_RDWR | O_CREAT);

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		await_opcode(push_pattern(qd, sizes[i], 1, i), DEMI_OPC_PUSH);
	for (size_t i = 0; i < COUNT_OF(sizes); i++)
		record_expect(qd, sizes[i], 1, i);
	stream_expect_end(qd);
	stream_expect_end(qd);
	/* What is appended after the end was seen comes next. */
	await_opcode(push_pattern(qd, 77, 2, 0), DEMI_OPC_PUSH);
	record_expect(qd, 77, 2, 0);
	stream_expect_end(qd);
}

static void log__new_log_is_empty(void **state)
{
	int qd = log_open("empty", O_RDONLY | O_CREAT);

	(void)state;
	stream_expect_end(qd);
	seek_to(qd, 0, SEEK_CUR, 0);
	seek_to(qd, 0, SEEK_END, 0);
}

static void log__empty_record_is_told_from_the_end_by_the_cursor(void **state)
{
	uint8_t nothing = 0;
	demi_sgarray_t sga = sga_of(&nothing, 0);
	int qd = log_open("gaps", O_RDWR | O_CREAT);

	(void)state;
	await_opcode(push_sga(qd, &sga), DEMI_OPC_PUSH);
	await_opcode(push_pattern(qd, 5, 3, 0), DEMI_OPC_PUSH);
	await_opcode(push_sga(qd, &sga), DEMI_OPC_PUSH);
	seek_to(qd, 0, SEEK_CUR, 0);
	stream_expect_end(qd);
	seek_to(qd, 0, SEEK_CUR, 1);
	record_expect(qd, 5, 3, 0);
	stream_expect_end(qd);
	seek_to(qd, 0, SEEK_CUR, 3);
	stream_expect_end(qd);
	seek_to(qd, 0, SEEK_CUR, 3);
}

/* Of the library's memory and of the application's, in one record. */
static void log__segments_of_a_record_are_one_when_it_is_read(void **state)
{
	int qd = log_open("segments", O_RDWR | O_CREAT);
	size_t total[DEMI_SGARRAY_MAXSIZE + 1] = {0};

	(void)state;
	for (uint32_t count = 1; count <= DEMI_SGARRAY_MAXSIZE; count++) {
		demi_sgarray_t sga = {.sga_numsegs = count};

		for (uint32_t i = 0; i < count; i++) {
			uint32_t size = 1 + i * 1733;

			sga.sga_segs[i].sgaseg_buf = i % 2 ? demi_malloc(size) : malloc(size);
			sga.sga_segs[i].sgaseg_len = size;
			assert_non_null(sga.sga_segs[i].sgaseg_buf);
			pattern_fill(sga.sga_segs[i].sgaseg_buf, size, 4, total[count]);
			total[count] += size;
		}
		await_opcode(push_sga(qd, &sga), DEMI_OPC_PUSH);
		for (uint32_t i = 0; i < count; i++) {
			if (i % 2)
				demi_free(sga.sga_segs[i].sgaseg_buf);
			else
				free(sga.sga_segs[i].sgaseg_buf);
		}
	}
	for (uint32_t count = 1; count <= DEMI_SGARRAY_MAXSIZE; count++)
		record_expect(qd, total[count], 4, 0);
	stream_expect_end(qd);
}

static void log__memory_of_the_application_is_copied_at_the_push(void **state)
{
	int qd = log_open("foreign", O_RDWR | O_CREAT);
	uint8_t *bytes = malloc(30000);
	demi_sgarray_t sga = sga_of(bytes, 30000);
	demi_qtoken_t qt;

	(void)state;
	pattern_fill(bytes, 30000, 5, 0);
	qt = push_sga(qd, &sga);
	memset(bytes, 0, 30000);
	free(bytes);
	await_opcode(qt, DEMI_OPC_PUSH);
	record_expect(qd, 30000, 5, 0);
}

static void log__largest_record(void **state)
{
	int qd = log_open("large", O_RDWR | O_CREAT);
	demi_sgarray_t sga = sga_pattern(DEMI_LOG_RECORD_BYTES_MAX + 1, 6, 0);
	demi_qtoken_t qt;

	(void)state;
	check_call(demi_push(&qt, qd, &sga), EMSGSIZE);
	check_call(demi_sgafree(&sga), 0);
	await_opcode(push_pattern(qd, DEMI_LOG_RECORD_BYTES_MAX, 6, 0), DEMI_OPC_PUSH);
	await_opcode(push_pattern(qd, 3, 6, 0), DEMI_OPC_PUSH);
	record_expect(qd, DEMI_LOG_RECORD_BYTES_MAX, 6, 0);
	record_expect(qd, 3, 6, 0);
	stream_expect_end(qd);
}

static void log__many_pushes_and_pops_in_flight_keep_their_order(void **state)
{
	enum { COUNT = 500 };
	static demi_qtoken_t pushes[COUNT], pops[COUNT + 1];
	demi_qresult_t qr;
	int qd = log_open("many", O_RDWR | O_CREAT);

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(qd, 1 + i * 97 % 5000, 7, i);
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	for (int i = 0; i <= COUNT; i++)
		pops[i] = pop(qd);
	for (unsigned int i = 0; i < COUNT; i++)
		record_await(pops[i], 1 + i * 97 % 5000, 7, i);
	qr = await_opcode(pops[COUNT], DEMI_OPC_POP);
	check_end(&qr.qr_value.sga);
}

static void log__queues_of_one_log_have_cursors_of_their_own(void **state)
{
	int writer = log_open("shared", O_WRONLY | O_CREAT);
	int readers[2];

	(void)state;
	readers[0] = log_open("shared", O_RDONLY);
	readers[1] = log_open("shared", O_RDWR);
	for (uint64_t i = 0; i < 20; i++) {
		await_opcode(push_pattern(i % 2 ? readers[1] : writer, 700, 8, i), DEMI_OPC_PUSH);
		record_expect(readers[0], 700, 8, i);
		stream_expect_end(readers[0]);
	}
	for (uint64_t i = 0; i < 20; i++)
		record_expect(readers[1], 700, 8, i);
	stream_expect_end(readers[1]);
}

static void log__many_logs_at_a_time(void **state)
{
	enum { LOGS = 60, RECORDS = 5 };
	demi_qtoken_t pushes[LOGS];
	int qds[LOGS];

	(void)state;
	for (unsigned int i = 0; i < LOGS; i++)
		qds[i] = log_open(log_name("many", i), O_RDWR | O_CREAT);
	for (unsigned int record = 0; record < RECORDS; record++) {
		for (unsigned int i = 0; i < LOGS; i++)
			pushes[i] = push_pattern(qds[i], 300 + i, i, record);
		for (unsigned int i = 0; i < LOGS; i++)
			await_opcode(pushes[i], DEMI_OPC_PUSH);
	}
	for (unsigned int i = 0; i < LOGS; i++) {
		for (unsigned int record = 0; record < RECORDS; record++)
			record_expect(qds[i], 300 + i, i, record);
		stream_expect_end(qds[i]);
		check_call(demi_close(qds[i]), 0);
	}
}

/* ---- Seek ---- */

static void push_records(int qd, unsigned int count, unsigned int seed)
{
	for (unsigned int i = 0; i < count; i++)
		await_opcode(push_pattern(qd, 100 + i, seed, i), DEMI_OPC_PUSH);
}

static void log__seek_counts_records(void **state)
{
	int qd = log_open("seek", O_RDWR | O_CREAT);

	(void)state;
	push_records(qd, 10, 9);
	seek_to(qd, 9, SEEK_SET, 9);
	record_expect(qd, 109, 9, 9);
	seek_to(qd, -5, SEEK_CUR, 5);
	record_expect(qd, 105, 9, 5);
	seek_to(qd, 0, SEEK_CUR, 6);
	seek_to(qd, -1, SEEK_END, 9);
	record_expect(qd, 109, 9, 9);
	stream_expect_end(qd);
	check_call(demi_seek(qd, 0, SEEK_SET, NULL), 0);
	record_expect(qd, 100, 9, 0);
	seek_to(qd, 0, SEEK_END, 10);
	stream_expect_end(qd);
	/* A push does not move it. */
	seek_to(qd, 3, SEEK_SET, 3);
	push_records(qd, 1, 9);
	record_expect(qd, 103, 9, 3);
}

static void log__seek_errors(void **state)
{
	int64_t position = 77;
	int qd = log_open("seek", O_RDWR | O_CREAT);

	(void)state;
	push_records(qd, 4, 10);
	seek_to(qd, 2, SEEK_SET, 2);
	check_call(demi_seek(qd, -1, SEEK_SET, &position), EINVAL);
	check_call(demi_seek(qd, 5, SEEK_SET, &position), EINVAL);
	check_call(demi_seek(qd, -3, SEEK_CUR, &position), EINVAL);
	check_call(demi_seek(qd, 3, SEEK_CUR, &position), EINVAL);
	check_call(demi_seek(qd, 1, SEEK_END, &position), EINVAL);
	check_call(demi_seek(qd, -5, SEEK_END, &position), EINVAL);
	check_call(demi_seek(qd, INT64_MAX, SEEK_CUR, &position), EINVAL);
	check_call(demi_seek(qd, INT64_MIN, SEEK_END, &position), EINVAL);
	check_call(demi_seek(qd, 0, 99, &position), EINVAL);
	assert_int_equal(position, 77);
	record_expect(qd, 102, 10, 2);
}

static void log__seek_with_a_pending_pop_is_ebusy(void **state)
{
	int qd = log_open("busy", O_RDWR | O_CREAT);
	demi_qtoken_t qt;

	(void)state;
	push_records(qd, 3, 11);
	qt = pop(qd);
	check_call(demi_seek(qd, 2, SEEK_SET, NULL), EBUSY);
	check_call(demi_truncate(qd, 1), EBUSY);
	record_await(qt, 100, 11, 0);
	seek_to(qd, 2, SEEK_SET, 2);
	record_expect(qd, 102, 11, 2);
}

/* ---- Truncate ---- */

static void log__truncate_drops_what_is_before(void **state)
{
	int qd = log_open("cut", O_RDWR | O_CREAT), other;

	(void)state;
	push_records(qd, 10, 12);
	other = log_open("cut", O_RDONLY);
	check_call(demi_truncate(qd, 4), 0);
	seek_to(qd, 0, SEEK_CUR, 4);
	seek_to(other, 0, SEEK_CUR, 4);
	check_call(demi_seek(qd, 3, SEEK_SET, NULL), EINVAL);
	record_expect(qd, 104, 12, 4);
	record_expect(other, 104, 12, 4);
	check_call(demi_truncate(qd, 4), 0);
	/* A cursor that stands behind stays. */
	check_call(demi_truncate(qd, 5), 0);
	record_expect(other, 105, 12, 5);
	check_call(demi_truncate(qd, 10), 0);
	stream_expect_end(qd);
	seek_to(qd, 0, SEEK_CUR, 10);
	await_opcode(push_pattern(qd, 50, 13, 0), DEMI_OPC_PUSH);
	record_expect(qd, 50, 13, 0);
	seek_to(qd, 0, SEEK_CUR, 11);
	/* A new queue begins at what is left. */
	other = log_open("cut", O_RDONLY);
	seek_to(other, 0, SEEK_CUR, 10);
	record_expect(other, 50, 13, 0);
}

static void log__truncate_errors(void **state)
{
	int qd = log_open("cut", O_RDWR | O_CREAT);

	(void)state;
	push_records(qd, 5, 14);
	check_call(demi_truncate(qd, -1), EINVAL);
	check_call(demi_truncate(qd, 6), EINVAL);
	check_call(demi_truncate(qd, INT64_MAX), EINVAL);
	check_call(demi_truncate(qd, INT64_MIN), EINVAL);
	check_call(demi_truncate(log_open("cut", O_RDONLY), 2), EINVAL);
	check_call(demi_truncate(qd, 3), 0);
	check_call(demi_truncate(qd, 2), EINVAL);
	record_expect(qd, 103, 14, 3);
}

static void log__truncate_while_pushes_are_pending(void **state)
{
	enum { COUNT = 50 };
	int qd = log_open("cut", O_RDWR | O_CREAT);
	demi_qtoken_t pushes[COUNT];

	(void)state;
	push_records(qd, 5, 15);
	for (unsigned int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(qd, 5000, 16, i);
	check_call(demi_truncate(qd, 5), 0);
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	for (unsigned int i = 0; i < COUNT; i++)
		record_expect(qd, 5000, 16, i);
	stream_expect_end(qd);
}

static void log__trunc_flag_drops_all_and_numbers_go_on(void **state)
{
	int qd = log_open("trunc", O_RDWR | O_CREAT);

	(void)state;
	push_records(qd, 3, 17);
	check_call(demi_close(qd), 0);
	qd = log_open("trunc", O_RDWR | O_TRUNC);
	seek_to(qd, 0, SEEK_CUR, 3);
	stream_expect_end(qd);
	push_records(qd, 1, 17);
	record_expect(qd, 100, 17, 0);
	check_call(demi_close(qd), 0);
	check_call(demi_creat(&qd, "trunc", 0600), 0);
	seek_to(qd, 0, SEEK_END, 4);
}

/* ---- Ends ---- */

static void log__cancelled_pop_leaves_the_record_to_the_next(void **state)
{
	int qd = log_open("cancel", O_RDWR | O_CREAT);
	demi_qtoken_t qts[2];

	(void)state;
	push_records(qd, 4, 18);
	for (unsigned int i = 0; i < 2; i++) {
		/* Once before it is under way, once after. */
		qts[0] = pop(qd);
		qts[1] = pop(qd);
		if (i == 1)
			drive();
		check_either(demi_cancel(qts[0]), 0, EALREADY);
		if (await(qts[0]).qr_opcode == DEMI_OPC_FAILED)
			record_await(qts[1], 100, 18, 0);
		else
			record_await(qts[1], 101, 18, 1);
		seek_to(qd, 0, SEEK_SET, 0);
	}
	qts[0] = pop(qd);
	check_call(demi_cancel(qts[0]), 0);
	await_error(qts[0], ECANCELED);
	seek_to(qd, 0, SEEK_CUR, 0);
	record_expect(qd, 100, 18, 0);
	/* And a place that is chosen while nobody waits any more for the read. */
	qts[0] = pop(qd);
	check_call(demi_cancel(qts[0]), 0);
	seek_to(qd, 3, SEEK_SET, 3);
	await_error(qts[0], ECANCELED);
	record_expect(qd, 103, 18, 3);
}

static void log__cancelled_push_is_there_or_not(void **state)
{
	enum { COUNT = 20 };
	int qd = log_open("cancel", O_RDWR | O_CREAT);
	demi_qtoken_t pushes[COUNT];
	bool there[COUNT];

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(qd, 3000 + i, 19, i);
	for (int i = 1; i < COUNT; i += 2)
		check_either(demi_cancel(pushes[i]), 0, EBUSY);
	for (int i = 0; i < COUNT; i++) {
		demi_qresult_t qr = await(pushes[i]);

		there[i] = qr.qr_opcode == DEMI_OPC_PUSH;
		if (!there[i])
			assert_int_equal(qr.qr_ret, ECANCELED);
		assert_true(there[i] || i % 2);
	}
	for (unsigned int i = 0; i < COUNT; i++) {
		if (there[i])
			record_expect(qd, 3000 + i, 19, i);
	}
	stream_expect_end(qd);
}

static void log__close_completes_everything_that_is_pending(void **state)
{
	enum { COUNT = 32 };
	demi_qtoken_t pushes[COUNT], pops[COUNT];
	int qd = log_open("close", O_RDWR | O_CREAT);
	unsigned int kept = 0;

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++) {
		pushes[i] = push_pattern(qd, 10000, 20, i);
		pops[i] = pop(qd);
	}
	drive();
	check_call(demi_close(qd), 0);
	for (unsigned int i = 0; i < COUNT; i++) {
		demi_qresult_t qr = await(pushes[i]);

		if (qr.qr_opcode == DEMI_OPC_PUSH)
			kept = i + 1;
		qr = await(pops[i]);
		if (qr.qr_opcode == DEMI_OPC_POP)
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
		else
			assert_int_equal(qr.qr_ret, ECANCELED);
	}
	/* What was durable is there, and what follows is whole. */
	qd = log_open("close", O_RDONLY);
	for (unsigned int i = 0; i < kept; i++)
		record_expect(qd, 10000, 20, i);
}

static void log__aclose_completes_when_all_is_durable(void **state)
{
	enum { COUNT = 100 };
	demi_qtoken_t pushes[COUNT], closing;
	int qd = log_open("aclose", O_WRONLY | O_CREAT);

	(void)state;
	for (unsigned int i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(qd, 10000, 21, i);
	check_call(demi_aclose(&closing, qd), 0);
	assert_int_equal(await_opcode(closing, DEMI_OPC_CLOSE).qr_qd, qd);
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	check_call(demi_close(qd), EBADF);
	qd = log_open("aclose", O_RDONLY);
	for (unsigned int i = 0; i < COUNT; i++)
		record_expect(qd, 10000, 21, i);
}

static void log__fini_with_everything_open(void **state)
{
	int qd = log_open("fini", O_RDWR | O_CREAT);

	(void)state;
	for (unsigned int i = 0; i < 50; i++) {
		push_pattern(qd, 100000, 22, i);
		pop(qd);
	}
	drive();
	demi_fini();
	check_call(demi_init(NULL), 0);
	/* Each is whole or not there. */
	qd = log_open("fini", O_RDONLY);
	for (unsigned int i = 0;; i++) {
		demi_qresult_t qr = await_opcode(pop(qd), DEMI_OPC_POP);

		if (sga_bytes(&qr.qr_value.sga) == 0) {
			check_end(&qr.qr_value.sga);
			break;
		}
		record_check(&qr.qr_value.sga, 100000, 22, i);
	}
}

static void log__sleeping_waits_are_woken(void **state)
{
	int qd;

	(void)state;
	demi_fini();
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_RUNTIME_IDLE_AFTER_US", "0");
	check_call(demi_init(NULL), 0);
	qd = log_open("sleep", O_RDWR | O_CREAT);
	for (unsigned int i = 0; i < 200; i++) {
		await_opcode(push_pattern(qd, 20000, 23, i), DEMI_OPC_PUSH);
		record_expect(qd, 20000, 23, i);
	}
}

static void log__figures(void **state)
{
	uint64_t appends, bytes, writes, reads, copied;
	int qd = log_open("figures", O_RDWR | O_CREAT);

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		await_opcode(push_pattern(qd, 20000, 24, i), DEMI_OPC_PUSH);
	record_expect(qd, 20000, 24, 0);
	check_call(demi_stat(&appends, "log.appends"), 0);
	check_call(demi_stat(&bytes, "log.append_bytes"), 0);
	check_call(demi_stat(&writes, "blkdev.writes"), 0);
	check_call(demi_stat(&reads, "log.reads"), 0);
	check_call(demi_stat(&copied, "blkdev.copied_bytes"), 0);
	/* The store's own are among them. */
	assert_true(appends >= 10);
	assert_true(bytes >= 200000);
	assert_true(writes >= 10);
	assert_int_equal(reads, 1);
	assert_int_equal(copied, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_LOGS(log__records_keep_their_boundaries),
		TEST_LOGS(log__new_log_is_empty),
		TEST_LOGS(log__empty_record_is_told_from_the_end_by_the_cursor),
		TEST_LOGS(log__segments_of_a_record_are_one_when_it_is_read),
		TEST_LOGS(log__memory_of_the_application_is_copied_at_the_push),
		TEST_LOGS(log__largest_record),
		TEST_LOGS(log__many_pushes_and_pops_in_flight_keep_their_order),
		TEST_LOGS(log__queues_of_one_log_have_cursors_of_their_own),
		TEST_LOGS(log__many_logs_at_a_time),
		TEST_LOGS(log__seek_counts_records),
		TEST_LOGS(log__seek_errors),
		TEST_LOGS(log__seek_with_a_pending_pop_is_ebusy),
		TEST_LOGS(log__truncate_drops_what_is_before),
		TEST_LOGS(log__truncate_errors),
		TEST_LOGS(log__truncate_while_pushes_are_pending),
		TEST_LOGS(log__trunc_flag_drops_all_and_numbers_go_on),
		TEST_LOGS(log__cancelled_pop_leaves_the_record_to_the_next),
		TEST_LOGS(log__cancelled_push_is_there_or_not),
		TEST_LOGS(log__close_completes_everything_that_is_pending),
		TEST_LOGS(log__aclose_completes_when_all_is_durable),
		TEST_LOGS(log__fini_with_everything_open),
		TEST_LOGS(log__sleeping_waits_are_woken),
		TEST_LOGS(log__figures),
	};

	return suite_main("log", !profile_get() || profile_get()->logs, "logs", tests,
			  COUNT_OF(tests));
}
