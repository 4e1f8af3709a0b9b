/* SPDX-License-Identifier: MIT */
/* Files as another descriptor of the kernel sees them. */
#include "catnap.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

static char path[128];

static int file_open(int flags)
{
	int qd = -1;

	snprintf(path, sizeof(path), "%s/file", directory());
	check_call(demi_open(&qd, path, flags, 0600), 0);
	return qd;
}

/* What stands at @offset, by another descriptor. */
static void file_expect(size_t offset, size_t size, unsigned int seed, uint64_t pattern_offset)
{
	uint8_t *bytes = malloc(size + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_non_null(bytes);
	assert_true(fd >= 0);
	assert_int_equal(pread(fd, bytes, size, (off_t)offset), size);
	pattern_check(bytes, size, seed, pattern_offset);
	close(fd);
	free(bytes);
}

static size_t file_size(void)
{
	struct stat status;

	assert_int_equal(stat(path, &status), 0);
	return (size_t)status.st_size;
}

/* ---- Pushes ---- */

static void push__has_landed_when_it_completes(void **state)
{
	int qd = file_open(O_WRONLY | O_CREAT | O_TRUNC);
	size_t written = 0;

	(void)state;
	for (uint32_t i = 0; i < 60; i++) {
		size_t size = 1 + i * i * 37;

		await_opcode(push_split(qd, size, 5, written, 1 + i % 8), DEMI_OPC_PUSH);
		assert_int_equal(file_size(), written + size);
		file_expect(written, size, 5, written);
		written += size;
	}
	check_call(demi_close(qd), 0);
}

#define PUSHES 1000

static void push__a_thousand_in_flight_land_in_order(void **state)
{
	static demi_qtoken_t qts[PUSHES];
	static demi_qresult_t qrs[PUSHES];
	int qd = file_open(O_RDWR | O_CREAT | O_TRUNC);
	size_t written = 0;

	(void)state;
	for (uint32_t i = 0; i < PUSHES; i++) {
		size_t size = 1 + i * 7919 % 3000;

		qts[i] = push_split(qd, size, 6, written, 1 + i % 8);
		written += size;
	}
	/* Each is there when it is reported. */
	for (uint32_t i = 0, done = 0; i < PUSHES;) {
		int count;

		check_call(demi_wait_next_n(qrs, PUSHES, &count, &wait_long), 0);
		for (int j = 0; j < count; j++, i++) {
			assert_int_equal(qrs[j].qr_opcode, DEMI_OPC_PUSH);
			assert_true(qrs[j].qr_qt == qts[i]);
			done += 1 + i * 7919 % 3000;
		}
		assert_true(file_size() >= done);
	}
	assert_int_equal(file_size(), written);
	file_expect(0, written, 6, 0);
	stream_expect(qd, written, 6, 0);
	check_call(demi_close(qd), 0);
}

static void push__several_files_at_once(void **state)
{
	demi_qtoken_t qts[20][20];
	char name[160];
	int qds[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "%s/many.%d", directory(), i);
		check_call(demi_open(&qds[i], name, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	}
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 20; i++)
			qts[round][i] = push_pattern(qds[i], 1000 + i, i, round * (1000 + i));
	}
	for (unsigned int round = 0; round < 20; round++) {
		for (unsigned int i = 0; i < 20; i++)
			await_opcode(qts[round][i], DEMI_OPC_PUSH);
	}
	for (unsigned int i = 0; i < 20; i++) {
		stream_expect(qds[i], 20 * (1000 + i), i, 0);
		check_call(demi_close(qds[i]), 0);
	}
}

/* What the kernel has taken is in the file, what was cancelled is not, and nothing stands twice. */
static void cancel__of_pushes_agrees_with_the_file(void **state)
{
	static demi_qtoken_t qts[PUSHES];
	static bool cancelled[PUSHES];
	int qd = file_open(O_WRONLY | O_CREAT | O_TRUNC);
	size_t offset = 0;

	(void)state;
	for (unsigned int i = 0; i < PUSHES; i++)
		qts[i] = push_split(qd, 100 + i, i, 0, 2);
	for (int i = 0; i < PUSHES; i++) {
		int error;

		/* Some before anything was started, the others while it goes on. */
		if (i == PUSHES / 2)
			poll_once();
		cancelled[i] = false;
		if (i % 3)
			continue;
		error = demi_cancel(qts[i]);
		if (error)
			check_either(error, EBUSY, EALREADY);
		cancelled[i] = error == 0;
	}
	for (int i = PUSHES - 1; i >= 0; i--) {
		int error = demi_cancel(qts[i]);

		if (cancelled[i])
			check_call(error, EALREADY);
		else if (error == 0)
			cancelled[i] = true;
		if (i % 5 == 0)
			i -= 50;
	}
	for (unsigned int i = 0; i < PUSHES; i++) {
		if (cancelled[i]) {
			await_error(qts[i], ECANCELED);
			continue;
		}
		await_opcode(qts[i], DEMI_OPC_PUSH);
		file_expect(offset, 100 + i, i, 0);
		offset += 100 + i;
	}
	assert_int_equal(file_size(), offset);
	/* The list is whole: the next one lands at its end. */
	await_opcode(push_pattern(qd, 10, 9, 0), DEMI_OPC_PUSH);
	file_expect(offset, 10, 9, 0);
	check_call(demi_close(qd), 0);
}

/* ---- Pops ---- */

static void cancel__of_a_pop_leaves_the_data_to_the_next(void **state)
{
	int qd = file_open(O_RDWR | O_CREAT | O_TRUNC);
	demi_qtoken_t qts[3];
	demi_qresult_t qr;

	(void)state;
	await_opcode(push_pattern(qd, 1000, 2, 0), DEMI_OPC_PUSH);
	for (int round = 0; round < 3; round++) {
		check_call(demi_seek(qd, 0, SEEK_SET, NULL), 0);
		for (int i = 0; i < 3; i++)
			qts[i] = pop(qd);
		if (round == 1)
			poll_once(); /* the read may be under way, or over */
		if (demi_cancel(qts[0]) == 0) {
			await_error(qts[0], ECANCELED);
			qr = await_opcode(qts[1], DEMI_OPC_POP);
		} else {
			qr = await_opcode(qts[0], DEMI_OPC_POP);
			await(qts[1]);
		}
		assert_int_equal(sga_check(&qr.qr_value.sga, 2, 0), 1000);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		await(qts[2]);
	}
	check_call(demi_close(qd), 0);
}

/* Without memory each of the waiting pops says so; none is forgotten. */
static void pop__several_without_memory_all_fail(void **state)
{
	void **list = NULL, **object;
	demi_qtoken_t qts[4];
	int qd;

	(void)state;
	option_set("DEMI_HEAP_MAX_BYTES", "16M");
	catnap_restart();
	qd = file_open(O_RDWR | O_CREAT | O_TRUNC);
	await_opcode(push_pattern(qd, 1000, 2, 0), DEMI_OPC_PUSH);
	for (size_t size = 16 * MIB; size >= 16; size /= 2) {
		while ((object = demi_malloc(size))) {
			*object = (void *)list;
			list = object;
		}
	}
	for (int i = 0; i < 4; i++)
		qts[i] = pop(qd);
	for (int i = 0; i < 4; i++)
		await_error(qts[i], ENOMEM);
	while (list) {
		object = list;
		list = *object;
		demi_free((void *)object);
	}
	stream_expect(qd, 1000, 2, 0);
	check_call(demi_close(qd), 0);
}

/* ---- The end ---- */

static void aclose__completes_when_all_has_landed(void **state)
{
	int qd = file_open(O_WRONLY | O_CREAT | O_TRUNC);
	demi_qtoken_t qts[200], closing;

	(void)state;
	for (unsigned int i = 0; i < 200; i++)
		qts[i] = push_pattern(qd, 500, 1, i * 500);
	check_call(demi_aclose(&closing, qd), 0);
	await_opcode(closing, DEMI_OPC_CLOSE);
	assert_int_equal(file_size(), 200 * 500);
	file_expect(0, 200 * 500, 1, 0);
	for (int i = 0; i < 200; i++)
		await_opcode(qts[i], DEMI_OPC_PUSH);
}

static void aclose__with_its_last_push_cancelled_completes(void **state)
{
	int qd = file_open(O_WRONLY | O_CREAT | O_TRUNC);
	demi_qtoken_t first = push_pattern(qd, 500, 1, 0), second, closing;

	(void)state;
	poll_once();
	second = push_pattern(qd, 500, 1, 500);
	check_call(demi_aclose(&closing, qd), 0);
	if (demi_cancel(second) == 0)
		await_error(second, ECANCELED);
	else
		await_opcode(second, DEMI_OPC_PUSH);
	await_opcode(closing, DEMI_OPC_CLOSE);
	await_opcode(first, DEMI_OPC_PUSH);
}

/* Whole pushes from the front, each that was reported as landed among them. */
static void close__in_flight_leaves_whole_pushes(void **state)
{
	(void)state;
	for (int polls = 0; polls < 4; polls++) {
		int qd = file_open(O_RDWR | O_CREAT | O_TRUNC);
		demi_qtoken_t qts[300], reading = pop(qd);
		size_t landed = 0, size;

		for (unsigned int i = 0; i < 300; i++)
			qts[i] = push_pattern(qd, 500, 1, i * 500);
		for (int i = 0; i < polls; i++)
			poll_once();
		check_call(demi_close(qd), 0);
		for (int i = 0; i < 300; i++) {
			demi_qresult_t qr = await(qts[i]);

			if (qr.qr_opcode == DEMI_OPC_PUSH)
				landed += 500;
			else
				check_call((int)qr.qr_ret, ECANCELED);
		}
		demi_qresult_t qr = await(reading);

		if (qr.qr_opcode == DEMI_OPC_POP)
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
		/* Ending the runtime waits for what the kernel has. */
		catnap_restart();
		size = file_size();
		assert_int_equal(size % 500, 0);
		assert_true(size >= landed);
		file_expect(0, size, 1, 0);
	}
}

static void fini__in_flight_leaves_whole_pushes(void **state)
{
	(void)state;
	for (int polls = 0; polls < 4; polls++) {
		int qd = file_open(O_RDWR | O_CREAT | O_TRUNC);

		for (unsigned int i = 0; i < 300; i++)
			push_pattern(qd, 500, 1, i * 500);
		pop(qd);
		for (int i = 0; i < polls; i++)
			poll_once();
		catnap_restart();
		assert_int_equal(file_size() % 500, 0);
		file_expect(0, file_size(), 1, 0);
	}
}

/* ---- Writes that the kernel cuts short, as on a full disk ---- */

static void limit_file_size(rlim_t bytes)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void push__beyond_a_limit_fails_and_those_before_have_landed(void **state)
{
	int qd = file_open(O_RDWR | O_CREAT | O_TRUNC);
	demi_qtoken_t qts[20], closing;
	demi_qresult_t qr;

	(void)state;
	limit_file_size(10000);
	for (unsigned int i = 0; i < 20; i++)
		qts[i] = push_split(qd, 1500, 1, i * 1500, 1 + i % 8);
	for (int i = 0; i < 20; i++) {
		if (i < 6)
			await_opcode(qts[i], DEMI_OPC_PUSH);
		else
			await_error(qts[i], EFBIG);
	}
	limit_file_size(RLIM_INFINITY);
	file_expect(0, 9000, 1, 0);
	check_call(demi_aclose(&closing, qd), 0);
	qr = await(closing);
	assert_int_equal(qr.qr_opcode, DEMI_OPC_FAILED);
	check_call((int)qr.qr_ret, EFBIG);
}

static void fini__in_the_middle_of_a_short_write_leaves_no_descriptor(void **state)
{
	int qd = file_open(O_RDWR | O_CREAT | O_TRUNC);

	(void)state;
	limit_file_size(10000);
	for (unsigned int i = 0; i < 20; i++)
		push_pattern(qd, 1500, 1, i * 1500);
	poll_once();
	demi_fini();
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(setup(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CATNAP_TEST(push__has_landed_when_it_completes),
		CATNAP_TEST(push__a_thousand_in_flight_land_in_order),
		CATNAP_TEST(push__several_files_at_once),
		CATNAP_TEST(cancel__of_pushes_agrees_with_the_file),
		CATNAP_TEST(cancel__of_a_pop_leaves_the_data_to_the_next),
		CATNAP_TEST(pop__several_without_memory_all_fail),
		CATNAP_TEST(aclose__completes_when_all_has_landed),
		CATNAP_TEST(aclose__with_its_last_push_cancelled_completes),
		CATNAP_TEST(close__in_flight_leaves_whole_pushes),
		CATNAP_TEST(fini__in_flight_leaves_whole_pushes),
		CATNAP_TEST(push__beyond_a_limit_fails_and_those_before_have_landed),
		CATNAP_TEST(fini__in_the_middle_of_a_short_write_leaves_no_descriptor),
	};

	return suite_main("catnap/file", true, "files", tests, COUNT_OF(tests));
}
