/* SPDX-License-Identifier: MIT */
/* Files as queues, against what the kernel says of the same file. */
#include "common.h"

#include <fcntl.h>
#include <sys/stat.h>

static char path[128];

/* A new name for each test. */
static void path_fresh(void)
{
	static unsigned int serial;

	snprintf(path, sizeof(path), "%s/file.%u", directory(), serial++);
}

#define file_open(flags) file_open_at((flags), __FILE__, __LINE__)
static int file_open_at(int flags, const char *file, int line)
{
	int qd = -1;

	check_call_at(demi_open(&qd, path, flags, 0600), 0, "demi_open", file, line);
	_assert_true(qd >= 500, "descriptors start at 500", file, line);
	return qd;
}

/* What open(2) and read(2) say: @size bytes of the pattern, and then the end. */
#define kernel_expect(size, seed) kernel_expect_at((size), (seed), __FILE__, __LINE__)
static void kernel_expect_at(size_t size, unsigned int seed, const char *file, int line)
{
	uint8_t *bytes = malloc(size + 1);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t done = 0;
	ssize_t got;

	_assert_true(bytes && fd >= 0, "the file is there", file, line);
	while ((got = read(fd, bytes + done, size + 1 - done)) > 0)
		done += (size_t)got;
	close(fd);
	_assert_int_equal(done, size, file, line);
	pattern_check_at(bytes, size, seed, 0, file, line);
	free(bytes);
}

static void kernel_write(size_t size, unsigned int seed)
{
	uint8_t *bytes = malloc(size);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_true(bytes && fd >= 0);
	pattern_fill(bytes, size, seed, 0);
	assert_int_equal(write(fd, bytes, size), size);
	close(fd);
	free(bytes);
}

#define seek_to(qd, offset, whence, expected)                                   \
	do {                                                                    \
		int64_t position_ = -1;                                         \
		check_call(demi_seek((qd), (offset), (whence), &position_), 0); \
		assert_int_equal(position_, (expected));                        \
	} while (0)

static void file__creat_push_and_what_read_sees(void **state)
{
	int qd = -1;
	demi_qresult_t qr;

	(void)state;
	path_fresh();
	check_call(demi_creat(&qd, path, 0600), 0);
	assert_true(qd >= 500);
	qr = await_opcode(push_pattern(qd, 10000, 1, 0), DEMI_OPC_PUSH);
	assert_int_equal(qr.qr_qd, qd);
	kernel_expect(10000, 1);
	await_opcode(push_pattern(qd, 5000, 1, 10000), DEMI_OPC_PUSH);
	kernel_expect(15000, 1);
	check_call(demi_close(qd), 0);
	kernel_expect(15000, 1);
	check_call(demi_close(qd), EBADF);
}

static void file__mode_is_that_of_open(void **state)
{
	struct stat status;
	mode_t mask = umask(022);
	int qd;

	(void)state;
	path_fresh();
	check_call(demi_creat(&qd, path, 0666), 0);
	umask(mask);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0644);
	assert_int_equal(status.st_size, 0);
}

static void file__creat_empties_a_file(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	kernel_write(5000, 1);
	check_call(demi_creat(&qd, path, 0600), 0);
	kernel_expect(0, 1);
	await_opcode(push_pattern(qd, 100, 2, 0), DEMI_OPC_PUSH);
	kernel_expect(100, 2);
}

static void file__pop_reads_what_the_kernel_wrote(void **state)
{
	static const size_t sizes[] = {1, 511, 4096, 65536, 65537, 1000003};

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		int qd;

		path_fresh();
		kernel_write(sizes[i], 3);
		qd = file_open(O_RDONLY);
		stream_expect(qd, sizes[i], 3, 0);
		for (int again = 0; again < 3; again++)
			stream_expect_end(qd);
		check_call(demi_close(qd), 0);
	}
}

static void file__end_of_an_empty_file(void **state)
{
	(void)state;
	path_fresh();
	stream_expect_end(file_open(O_RDWR | O_CREAT));
}

static void file__push_then_pop_on_one_descriptor(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	qd = file_open(O_RDWR | O_CREAT | O_EXCL);
	await_opcode(push_pattern(qd, 3000, 4, 0), DEMI_OPC_PUSH);
	stream_expect(qd, 3000, 4, 0);
	stream_expect_end(qd);
	/* What is appended after the end was seen comes next. */
	await_opcode(push_pattern(qd, 2000, 4, 3000), DEMI_OPC_PUSH);
	stream_expect(qd, 2000, 4, 3000);
	stream_expect_end(qd);
}

static void file__push_appends_wherever_the_cursor_is(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	kernel_write(1000, 5);
	qd = file_open(O_RDWR);
	await_opcode(push_pattern(qd, 500, 5, 1000), DEMI_OPC_PUSH);
	kernel_expect(1500, 5);
	stream_expect(qd, 1500, 5, 0);
	seek_to(qd, 10, SEEK_SET, 10);
	await_opcode(push_pattern(qd, 500, 5, 1500), DEMI_OPC_PUSH);
	kernel_expect(2000, 5);
	/* And the push has not moved the cursor. */
	stream_expect(qd, 1990, 5, 10);
}

static void file__two_descriptors_have_cursors_of_their_own(void **state)
{
	int writer, reader;

	(void)state;
	path_fresh();
	writer = file_open(O_WRONLY | O_CREAT);
	reader = file_open(O_RDONLY);
	for (uint64_t i = 0; i < 10; i++) {
		await_opcode(push_pattern(writer, 700, 6, i * 700), DEMI_OPC_PUSH);
		stream_expect(reader, 700, 6, i * 700);
		stream_expect_end(reader);
	}
}

static void file__segments_are_written_in_order(void **state)
{
	uint64_t offset = 0;
	int qd;

	(void)state;
	path_fresh();
	qd = file_open(O_WRONLY | O_CREAT);
	for (uint32_t count = 1; count <= DEMI_SGARRAY_MAXSIZE; count++) {
		demi_sgarray_t sga = {.sga_numsegs = count};

		for (uint32_t i = 0; i < count; i++) {
			uint32_t size = 1 + i * 333;

			/* The library's memory and the application's. */
			sga.sga_segs[i].sgaseg_buf = i % 2 ? demi_malloc(size) : malloc(size);
			sga.sga_segs[i].sgaseg_len = size;
			assert_non_null(sga.sga_segs[i].sgaseg_buf);
			pattern_fill(sga.sga_segs[i].sgaseg_buf, size, 7, offset);
			offset += size;
		}
		await_opcode(push_sga(qd, &sga), DEMI_OPC_PUSH);
		for (uint32_t i = 0; i < count; i++) {
			if (i % 2)
				demi_free(sga.sga_segs[i].sgaseg_buf);
			else
				free(sga.sga_segs[i].sgaseg_buf);
		}
	}
	kernel_expect(offset, 7);
}

static void file__many_pushes_in_flight_keep_their_order(void **state)
{
	enum { COUNT = 200 };
	demi_qtoken_t pushes[COUNT];
	uint64_t offset = 0;
	int qd;

	(void)state;
	path_fresh();
	qd = file_open(O_WRONLY | O_CREAT);
	for (unsigned int i = 0; i < COUNT; i++) {
		size_t size = 1 + i * 97 % 5000;

		pushes[i] = push_pattern(qd, size, 8, offset);
		offset += size;
	}
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	kernel_expect(offset, 8);
}

static void file__large_push(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	qd = file_open(O_RDWR | O_CREAT);
	await_opcode(push_pattern(qd, 8 * MIB, 9, 0), DEMI_OPC_PUSH);
	kernel_expect(8 * MIB, 9);
	stream_expect(qd, 8 * MIB, 9, 0);
	stream_expect_end(qd);
}

static void file__many_pops_in_flight_keep_their_order(void **state)
{
	enum { COUNT = 32 };
	demi_qtoken_t pops[COUNT];
	uint64_t offset = 0;
	int qd;

	(void)state;
	path_fresh();
	kernel_write(300000, 10);
	qd = file_open(O_RDONLY);
	for (int i = 0; i < COUNT; i++)
		pops[i] = pop(qd);
	for (int i = 0; i < COUNT; i++) {
		demi_qresult_t qr = await_opcode(pops[i], DEMI_OPC_POP);

		assert_int_equal(qr.qr_qd, qd);
		if (offset == 300000) {
			check_end(&qr.qr_value.sga);
			continue;
		}
		assert_true(sga_bytes(&qr.qr_value.sga) > 0);
		offset += sga_check(&qr.qr_value.sga, 10, offset);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	if (offset < 300000)
		stream_expect(qd, 300000 - offset, 10, offset);
	stream_expect_end(qd);
}

static void file__from_a_file_to_a_stream_and_back(void **state)
{
	TRANSPORT(transport, state);
	struct pair pair;
	uint64_t sent = 0, received = 0;
	demi_qtoken_t qt;
	demi_qresult_t qr;
	int source, target;

	skip_unless(profile_get()->tcp, "the libOS has no TCP");
	path_fresh();
	kernel_write(200000, 11);
	source = file_open(O_RDONLY);
	path_fresh();
	target = file_open(O_WRONLY | O_CREAT);
	pair_open(&pair, transport);
	/* The buffers go through as they are. */
	while (sent < 200000) {
		qr = await_opcode(pop(source), DEMI_OPC_POP);
		sent += sga_bytes(&qr.qr_value.sga);
		qt = push_sga(pair.client, &qr.qr_value.sga);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		while (received < sent) {
			qr = await_opcode(pop(pair.server), DEMI_OPC_POP);
			received += sga_bytes(&qr.qr_value.sga);
			await_opcode(push_sga(target, &qr.qr_value.sga), DEMI_OPC_PUSH);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
		}
		await_opcode(qt, DEMI_OPC_PUSH);
	}
	kernel_expect(200000, 11);
}

/* ---- Seek ---- */

static void file__seek_moves_the_cursor(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	kernel_write(10000, 12);
	qd = file_open(O_RDONLY);
	seek_to(qd, 9000, SEEK_SET, 9000);
	stream_expect(qd, 1000, 12, 9000);
	seek_to(qd, -500, SEEK_CUR, 9500);
	stream_expect(qd, 500, 12, 9500);
	seek_to(qd, -1, SEEK_END, 9999);
	stream_expect(qd, 1, 12, 9999);
	seek_to(qd, 0, SEEK_CUR, 10000);
	seek_to(qd, 0, SEEK_SET, 0);
	stream_expect(qd, 10000, 12, 0);
	seek_to(qd, 0, SEEK_END, 10000);
	stream_expect_end(qd);
	check_call(demi_seek(qd, 42, SEEK_SET, NULL), 0);
	stream_expect(qd, 9958, 12, 42);
}

static void file__seek_errors(void **state)
{
	int64_t position = 77;
	int qd;

	(void)state;
	path_fresh();
	kernel_write(100, 13);
	qd = file_open(O_RDONLY);
	seek_to(qd, 40, SEEK_SET, 40);
	check_call(demi_seek(qd, -1, SEEK_SET, &position), EINVAL);
	check_call(demi_seek(qd, -41, SEEK_CUR, &position), EINVAL);
	check_call(demi_seek(qd, -101, SEEK_END, &position), EINVAL);
	check_call(demi_seek(qd, 0, 99, &position), EINVAL);
	check_call(demi_seek(qd, 0, -1, &position), EINVAL);
	check_call(demi_seek(qd, INT64_MAX, SEEK_CUR, &position), EINVAL);
	check_call(demi_seek(qd, INT64_MIN, SEEK_CUR, &position), EINVAL);
	check_call(demi_seek(qd, INT64_MAX, SEEK_END, &position), EINVAL);
	/* The cursor is where it was. */
	stream_expect(qd, 60, 13, 40);
}

static void file__seek_with_a_pending_pop_is_ebusy(void **state)
{
	enum { COUNT = 16 };
	demi_qtoken_t pops[COUNT];
	int qd;

	(void)state;
	path_fresh();
	kernel_write(2 * MIB, 14);
	qd = file_open(O_RDONLY);
	for (int i = 0; i < COUNT; i++)
		pops[i] = pop(qd);
	/* Unless the libOS reads at once. */
	check_either(demi_seek(qd, 0, SEEK_CUR, NULL), 0, EBUSY);
	for (int i = 0; i < COUNT; i++) {
		demi_qresult_t qr = await_opcode(pops[i], DEMI_OPC_POP);

		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	seek_to(qd, 5, SEEK_SET, 5);
	stream_expect(qd, 2 * MIB - 5, 14, 5);
}

/* ---- Truncate ---- */

static void file__truncate_drops_what_is_behind(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	qd = file_open(O_RDWR | O_CREAT);
	await_opcode(push_pattern(qd, 10000, 15, 0), DEMI_OPC_PUSH);
	check_call(demi_truncate(qd, 4000), 0);
	kernel_expect(4000, 15);
	stream_expect(qd, 4000, 15, 0);
	stream_expect_end(qd);
	await_opcode(push_pattern(qd, 500, 15, 4000), DEMI_OPC_PUSH);
	kernel_expect(4500, 15);
	check_call(demi_truncate(qd, 4500), 0);
	kernel_expect(4500, 15);
	check_call(demi_truncate(qd, 0), 0);
	kernel_expect(0, 15);
	stream_expect_end(qd);
	await_opcode(push_pattern(qd, 100, 15, 0), DEMI_OPC_PUSH);
	kernel_expect(100, 15);
}

static void file__truncate_errors(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	kernel_write(1000, 16);
	qd = file_open(O_RDWR);
	check_call(demi_truncate(qd, -1), EINVAL);
	check_call(demi_truncate(qd, 1001), EINVAL);
	check_call(demi_truncate(qd, INT64_MAX), EINVAL);
	check_call(demi_truncate(qd, INT64_MIN), EINVAL);
	check_call(demi_truncate(file_open(O_RDONLY), 10), EINVAL);
	kernel_expect(1000, 16);
}

static void file__truncate_with_a_pending_push_is_ebusy(void **state)
{
	enum { COUNT = 64 };
	demi_qtoken_t pushes[COUNT];
	int qd, error;

	(void)state;
	path_fresh();
	qd = file_open(O_WRONLY | O_CREAT);
	await_opcode(push_pattern(qd, 10000, 17, 0), DEMI_OPC_PUSH);
	for (uint64_t i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(qd, 10000, 17, 10000 + i * 10000);
	error = demi_truncate(qd, 10000);
	check_either(error, 0, EBUSY);
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	/* It can succeed only where the libOS had written everything at once. */
	kernel_expect(error == 0 ? 10000 : 10000 + COUNT * 10000, 17);
	check_call(demi_truncate(qd, 10000), 0);
	kernel_expect(10000, 17);
}

/* ---- Names ---- */

static void file__rename_is_that_of_the_kernel(void **state)
{
	char old[128];
	int qd, reader;

	(void)state;
	path_fresh();
	kernel_write(500, 23);
	qd = file_open(O_RDWR);
	memcpy(old, path, sizeof(old));
	path_fresh();
	kernel_write(70, 24);
	reader = file_open(O_RDONLY);
	check_call(demi_rename(old, path), 0);
	kernel_expect(500, 23);
	assert_int_equal(access(old, F_OK), -1);
	/* Queues go on with what they have. */
	await_opcode(push_pattern(qd, 100, 23, 500), DEMI_OPC_PUSH);
	kernel_expect(600, 23);
	stream_expect(reader, 70, 24, 0);
	check_call(demi_rename(old, path), ENOENT);
	check_call(demi_rename(path, "/nonexistent/file"), ENOENT);
	check_call(demi_rename(path, ""), ENOENT);
	check_fails(demi_rename(path, directory()));
	kernel_expect(600, 23);
}

static void file__unlink_is_that_of_the_kernel(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	kernel_write(300, 25);
	qd = file_open(O_RDWR);
	check_call(demi_unlink(path), 0);
	assert_int_equal(access(path, F_OK), -1);
	check_call(demi_unlink(path), ENOENT);
	check_call(demi_unlink(""), ENOENT);
	check_either(demi_unlink(directory()), EISDIR, EPERM);
	await_opcode(push_pattern(qd, 100, 25, 300), DEMI_OPC_PUSH);
	stream_expect(qd, 400, 25, 0);
}

/* ---- Close ---- */

static void file__close_completes_everything_that_is_pending(void **state)
{
	enum { COUNT = 32 };
	demi_qtoken_t pushes[COUNT], pops[COUNT];
	int qd;

	(void)state;
	path_fresh();
	qd = file_open(O_RDWR | O_CREAT);
	for (uint64_t i = 0; i < COUNT; i++) {
		pushes[i] = push_pattern(qd, 10000, 18, i * 10000);
		pops[i] = pop(qd);
	}
	check_call(demi_close(qd), 0);
	for (int i = 0; i < COUNT; i++) {
		demi_qresult_t qr = await(pushes[i]);

		if (qr.qr_opcode == DEMI_OPC_FAILED)
			assert_int_equal(qr.qr_ret, ECANCELED);
		else
			assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
		qr = await(pops[i]);
		if (qr.qr_opcode == DEMI_OPC_FAILED) {
			assert_int_equal(qr.qr_ret, ECANCELED);
		} else {
			assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
		}
	}
	check_call(demi_close(qd), EBADF);
}

static void file__aclose_completes_when_all_is_written(void **state)
{
	enum { COUNT = 100 };
	demi_qtoken_t pushes[COUNT], closing;
	demi_qresult_t qr;
	int qd;

	(void)state;
	path_fresh();
	qd = file_open(O_WRONLY | O_CREAT);
	for (uint64_t i = 0; i < COUNT; i++)
		pushes[i] = push_pattern(qd, 10000, 19, i * 10000);
	check_call(demi_aclose(&closing, qd), 0);
	qr = await_opcode(closing, DEMI_OPC_CLOSE);
	assert_int_equal(qr.qr_qd, qd);
	kernel_expect(COUNT * 10000, 19);
	for (int i = 0; i < COUNT; i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	check_call(demi_close(qd), EBADF);
}

/* ---- Errors ---- */

static void file__open_errors(void **state)
{
	char below[160];
	int qd = -1;

	(void)state;
	path_fresh();
	check_call(demi_open(&qd, path, O_RDONLY, 0), ENOENT);
	check_call(demi_open(&qd, path, O_RDWR, 0), ENOENT);
	check_call(demi_open(&qd, "", O_RDONLY, 0), ENOENT);
	snprintf(below, sizeof(below), "%s/missing/file", directory());
	check_call(demi_creat(&qd, below, 0600), ENOENT);
	kernel_write(10, 20);
	check_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_EXCL, 0600), EEXIST);
	snprintf(below, sizeof(below), "%s/file", path);
	check_call(demi_open(&qd, below, O_RDONLY, 0), ENOTDIR);
	check_call(demi_open(&qd, directory(), O_WRONLY, 0), EISDIR);
	check_call(demi_open(&qd, directory(), O_RDWR, 0), EISDIR);
	kernel_expect(10, 20);
}

static void file__directory_is_not_read(void **state)
{
	demi_qtoken_t qt = 0;
	int qd = -1, error;

	(void)state;
	error = demi_open(&qd, directory(), O_RDONLY, 0);
	if (error == 0)
		error = outcome(demi_pop(&qt, qd), qt);
	check_call(error, EISDIR);
}

static void file__flags_that_are_not_served_are_einval(void **state)
{
	int qd;

	(void)state;
	path_fresh();
	kernel_write(10, 21);
	check_call(demi_open(&qd, path, O_RDONLY | O_PATH, 0), EINVAL);
	check_call(demi_open(&qd, path, O_RDONLY | O_ASYNC, 0), EINVAL);
	check_call(demi_open(&qd, directory(), O_RDONLY | O_DIRECTORY, 0), EINVAL);
	check_call(demi_open(&qd, directory(), O_RDWR | O_TMPFILE, 0600), EINVAL);
	check_call(demi_open(&qd, path, O_ACCMODE, 0), EINVAL);
	check_call(demi_open(&qd, path, -1, 0), EINVAL);
	check_call(demi_open(&qd, path, O_RDONLY | O_CLOEXEC, 0), 0);
	stream_expect(qd, 10, 21, 0);
}

static void file__direction_must_fit(void **state)
{
	demi_qtoken_t qt = 0;
	demi_sgarray_t sga;
	int reader, writer;

	(void)state;
	path_fresh();
	kernel_write(10, 22);
	reader = file_open(O_RDONLY);
	writer = file_open(O_WRONLY);
	sga = sga_pattern(10, 22, 0);
	check_either(outcome(demi_push(&qt, reader, &sga), qt), EBADF, EACCES);
	check_call(demi_sgafree(&sga), 0);
	check_either(outcome(demi_pop(&qt, writer), qt), EBADF, EACCES);
	kernel_expect(10, 22);
	stream_expect(reader, 10, 22, 0);
}

static void file__socket_calls_are_refused(void **state)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t size = sizeof(address);
	demi_qtoken_t qt;
	int qd;

	(void)state;
	path_fresh();
	qd = file_open(O_RDWR | O_CREAT);
	check_fails(demi_bind(qd, (struct sockaddr *)&address, sizeof(address)));
	check_call(demi_listen(qd, 1), EOPNOTSUPP);
	check_call(demi_accept(&qt, qd), EOPNOTSUPP);
	check_fails(demi_connect(&qt, qd, (struct sockaddr *)&address, sizeof(address)));
	check_call(demi_shutdown(qd, SHUT_WR), EOPNOTSUPP);
	check_fails(demi_getsockname(qd, (struct sockaddr *)&address, &size));
	await_opcode(push_pattern(qd, 10, 1, 0), DEMI_OPC_PUSH);
	kernel_expect(10, 1);
}

static void file__file_calls_on_a_socket_are_eopnotsupp(void **state)
{
	TRANSPORT(transport, state);
	int qd;

	skip_unless(profile_get()->tcp, "the libOS has no TCP");
	qd = socket_open(transport, SOCK_STREAM);
	check_call(demi_seek(qd, 0, SEEK_SET, NULL), EOPNOTSUPP);
	check_call(demi_truncate(qd, 0), EOPNOTSUPP);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(file__creat_push_and_what_read_sees),
		TEST(file__mode_is_that_of_open),
		TEST(file__creat_empties_a_file),
		TEST(file__pop_reads_what_the_kernel_wrote),
		TEST(file__end_of_an_empty_file),
		TEST(file__push_then_pop_on_one_descriptor),
		TEST(file__push_appends_wherever_the_cursor_is),
		TEST(file__two_descriptors_have_cursors_of_their_own),
		TEST(file__segments_are_written_in_order),
		TEST(file__many_pushes_in_flight_keep_their_order),
		TEST(file__large_push),
		TEST(file__many_pops_in_flight_keep_their_order),
		TEST_OVER(ipv4, file__from_a_file_to_a_stream_and_back),
		TEST(file__seek_moves_the_cursor),
		TEST(file__seek_errors),
		TEST(file__seek_with_a_pending_pop_is_ebusy),
		TEST(file__truncate_drops_what_is_behind),
		TEST(file__truncate_errors),
		TEST(file__truncate_with_a_pending_push_is_ebusy),
		TEST(file__rename_is_that_of_the_kernel),
		TEST(file__unlink_is_that_of_the_kernel),
		TEST(file__close_completes_everything_that_is_pending),
		TEST(file__aclose_completes_when_all_is_written),
		TEST(file__open_errors),
		TEST(file__directory_is_not_read),
		TEST(file__flags_that_are_not_served_are_einval),
		TEST(file__direction_must_fit),
		TEST(file__socket_calls_are_refused),
		TEST_OVER(ipv4, file__file_calls_on_a_socket_are_eopnotsupp),
	};

	return suite_main("file", !profile_get() || profile_get()->files, "files", tests,
			  COUNT_OF(tests));
}
