/* SPDX-License-Identifier: MIT */
#include "net/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)
#define UNIX_NS UINT64_C(1700000000123456789) /* at zero */

static char folder[] = "/tmp/demi-capture-XXXXXX";
static char path[64];

static int folder_setup(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	snprintf(path, sizeof(path), "%s/c.pcapng", folder);
	return 0;
}

static int folder_teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

/* ---- What is expected, made by hand ---- */

struct bytes {
	unsigned char data[1 << 20];
	size_t length;
};

static struct bytes expected, found;

static void expect_u16(uint16_t value)
{
	memcpy(expected.data + expected.length, &value, sizeof(value));
	expected.length += sizeof(value);
}

static void expect_u32(uint32_t value)
{
	memcpy(expected.data + expected.length, &value, sizeof(value));
	expected.length += sizeof(value);
}

static void expect_padded(const void *data, size_t length)
{
	memcpy(expected.data + expected.length, data, length);
	memset(expected.data + expected.length + length, 0, 4);
	expected.length += (length + 3) / 4 * 4;
}

/* Section header and one interface named "sim:a", Ethernet, 65536 bytes at most, 10^-9 s. */
static void expect_start(void)
{
	expected.length = 0;
	expect_u32(0x0a0d0d0a);
	expect_u32(28);
	expect_u32(0x1a2b3c4d);
	expect_u16(1);
	expect_u16(0);
	expect_u32(0xffffffff);
	expect_u32(0xffffffff);
	expect_u32(28);

	expect_u32(1);
	expect_u32(44);
	expect_u16(1);
	expect_u16(0);
	expect_u32(65536);
	expect_u16(2); /* if_name */
	expect_u16(5);
	expect_padded("sim:a", 5);
	expect_u16(9); /* if_tsresol */
	expect_u16(1);
	expect_padded("\x09", 1);
	expect_u32(0);
	expect_u32(44);
}

static void expect_packet(uint64_t time_ns, const void *data, uint32_t captured, uint32_t wire,
			  uint32_t direction, const char *comment)
{
	uint32_t padded = (captured + 3) / 4 * 4;
	uint32_t length = 32 + padded + 8 + 4;

	if (comment)
		length += 4 + ((uint32_t)strlen(comment) + 3) / 4 * 4;
	expect_u32(6);
	expect_u32(length);
	expect_u32(0);
	expect_u32((uint32_t)(time_ns >> 32));
	expect_u32((uint32_t)time_ns);
	expect_u32(captured);
	expect_u32(wire);
	expect_padded(data, captured);
	expect_u16(2); /* epb_flags */
	expect_u16(4);
	expect_u32(direction);
	if (comment) {
		expect_u16(1);
		expect_u16((uint16_t)strlen(comment));
		expect_padded(comment, strlen(comment));
	}
	expect_u32(0);
	expect_u32(length);
}

static void assert_file_as_expected(void)
{
	FILE *file = fopen(path, "rb");

	assert_non_null(file);
	found.length = fread(found.data, 1, sizeof(found.data), file);
	fclose(file);
	assert_int_equal(found.length, expected.length);
	assert_memory_equal(found.data, expected.data, expected.length);
}

static struct capture *capture(void)
{
	struct capture *capture = NULL;

	assert_int_equal(capture_open(&capture, path, "sim:a", UNIX_NS), 0);
	assert_non_null(capture);
	expect_start();
	return capture;
}

static struct buf buf_of(const void *data, size_t length)
{
	return (struct buf){.data = (unsigned char *)(uintptr_t)data, .length = (uint32_t)length};
}

/* ---- Tests ---- */

static void capture_open__starts_the_file_at_once(void **state)
{
	struct capture *it;
	struct stat status;

	(void)state;
	it = capture();
	assert_file_as_expected();
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	capture_close(it);
	assert_file_as_expected();
	capture_close(NULL);
}

static void capture_open__says_what_fails(void **state)
{
	struct capture *it = NULL;
	char other[80];
	int reader;

	(void)state;
	snprintf(other, sizeof(other), "%s/none/c.pcapng", folder);
	assert_int_equal(capture_open(&it, other, "x", 0), -ENOENT);
	assert_int_equal(capture_open(&it, folder, "x", 0), -EISDIR);
	assert_int_equal(capture_open(&it, "/dev/full", "x", 0), -ENOSPC);
	snprintf(other, sizeof(other), "%s/pipe", folder);
	assert_int_equal(mkfifo(other, 0600), 0);
	assert_int_equal(capture_open(&it, other, "x", 0), -ENXIO);
	reader = open(other, O_RDONLY | O_NONBLOCK);
	assert_true(reader >= 0);
	assert_int_equal(capture_open(&it, other, "x", 0), -EINVAL);
	close(reader);
	unlink(other);
	assert_null(it);
}

static void capture_received__writes_what_was_kept(void **state)
{
	unsigned char frame[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0xaa};
	static const unsigned char before[] = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 6, 0xaa};
	struct buf buf = buf_of(frame, sizeof(frame)), reply = buf_of("reply", 5);
	struct capture *it = capture();

	(void)state;
	capture_received(it, 0, NULL); /* nothing was kept */
	capture_keep(it, &buf);
	memset(frame, 0xff, sizeof(frame));
	/* The answer to it goes out before its fate is known. */
	capture_sent(it, 5, &reply, NULL);
	capture_received(it, 7, "arp: truncated");
	capture_received(it, 8, NULL);
	expect_packet(UNIX_NS + 5, "reply", 5, 5, 2, NULL);
	expect_packet(UNIX_NS + 7, before, sizeof(before), sizeof(before), 1, "arp: truncated");
	capture_close(it);
	assert_file_as_expected();
}

static void capture_sent__joins_the_pieces(void **state)
{
	struct buf third = buf_of("payload", 7), second = buf_of("", 0), first = buf_of("head ", 5);
	struct capture *it = capture();

	(void)state;
	first.next = &second;
	second.next = &third;
	capture_sent(it, 1000, &first, "link: full");
	expect_packet(UNIX_NS + 1000, "head payload", 12, 12, 2, "link: full");
	capture_keep(it, &first);
	capture_received(it, 1001, NULL);
	expect_packet(UNIX_NS + 1001, "head payload", 12, 12, 1, NULL);
	capture_close(it);
	assert_file_as_expected();
}

static void capture_keep__cuts_what_is_longer(void **state)
{
	static unsigned char data[CAPTURE_FRAME_BYTES_MAX];
	struct buf first = buf_of(data, 40000), second = buf_of(data + 1, 40000);
	struct capture *it = capture();
	static unsigned char whole[80000];

	(void)state;
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (unsigned char)(i * 7 + i / 256);
	first.next = &second;
	memcpy(whole, data, 40000);
	memcpy(whole + 40000, data + 1, 40000);
	capture_keep(it, &first);
	capture_received(it, 1, NULL);
	expect_packet(UNIX_NS + 1, whole, 65536, 80000, 1, NULL);
	capture_sent(it, 2, &first, NULL);
	expect_packet(UNIX_NS + 2, whole, 65536, 80000, 2, NULL);
	capture_close(it);
	assert_file_as_expected();
}

static void capture__writes_when_its_buffer_is_full(void **state)
{
	static unsigned char data[1514];
	struct buf buf = buf_of(data, sizeof(data));
	struct capture *it = capture();
	struct stat status;

	(void)state;
	for (unsigned int i = 0; i < 500; i++) {
		memset(data, (int)i, sizeof(data));
		capture_sent(it, i, &buf, i % 3 ? NULL : "why not");
		expect_packet(UNIX_NS + i, data, 1514, 1514, 2, i % 3 ? NULL : "why not");
	}
	assert_int_equal(stat(path, &status), 0);
	assert_true(status.st_size >= 2 * 200000);
	capture_close(it);
	assert_file_as_expected();
}

static void capture_flush__waits_a_tenth_of_a_second(void **state)
{
	struct buf buf = buf_of("frame", 5);
	struct capture *it = capture();

	(void)state;
	capture_flush(it, 500 * MS);
	capture_sent(it, 1000 * MS, &buf, NULL);
	capture_sent(it, 1099 * MS, &buf, NULL);
	capture_flush(it, 1100 * MS - 1);
	assert_file_as_expected();
	capture_flush(it, 1100 * MS);
	expect_packet(UNIX_NS + 1000 * MS, "frame", 5, 5, 2, NULL);
	expect_packet(UNIX_NS + 1099 * MS, "frame", 5, 5, 2, NULL);
	assert_file_as_expected();
	/* Before a sleep: without a wait. */
	capture_sent(it, 1100 * MS, &buf, NULL);
	capture_flush(it, 1100 * MS);
	assert_file_as_expected();
	capture_flush(it, UINT64_MAX);
	expect_packet(UNIX_NS + 1100 * MS, "frame", 5, 5, 2, NULL);
	assert_file_as_expected();
	capture_close(it);
	assert_file_as_expected();
}

static void capture_forget__writes_nothing(void **state)
{
	struct buf buf = buf_of("frame", 5);
	struct capture *it = capture();

	(void)state;
	capture_sent(it, 1, &buf, NULL);
	capture_forget(it);
	assert_file_as_expected();
}

/* The file may not grow further: the blocks that were written before stay readable. */
static void capture__ends_at_an_error(void **state)
{
	static unsigned char data[1000];
	struct buf buf = buf_of(data, sizeof(data));
	struct capture *it = capture();
	struct rlimit before, small = {0};

	(void)state;
	capture_sent(it, 1, &buf, NULL);
	expect_packet(UNIX_NS + 1, data, 1000, 1000, 2, NULL);
	capture_flush(it, UINT64_MAX);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	small.rlim_cur = expected.length + 700;
	small.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
	capture_sent(it, 2, &buf, NULL);
	capture_flush(it, UINT64_MAX);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	/* Nothing starts again. */
	for (uint64_t i = 0; i < 1000; i++) {
		capture_keep(it, &buf);
		capture_received(it, i, "x");
		capture_sent(it, i, &buf, NULL);
		capture_flush(it, UINT64_MAX);
	}
	capture_close(it);
	assert_file_as_expected();
}

static void assert_tshark_says(const char *arguments, const char *answer)
{
	char command[512], line[256] = "";
	FILE *output;

	snprintf(command, sizeof(command), "tshark -r %s %s 2>/dev/null", path, arguments);
	output = popen(command, "r");
	assert_non_null(output);
	for (size_t used = 0;
	     used < sizeof(line) - 1 && fgets(line + used, (int)(sizeof(line) - used), output);)
		used = strlen(line);
	assert_int_equal(pclose(output), 0);
	assert_string_equal(line, answer);
}

static void capture__is_read_by_tshark(void **state)
{
	/* Who has 10.0.0.2? Tell 10.0.0.1. */
	static const unsigned char arp[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0,  0, 0, 0, 1, 8, 6, 0, 1, 8, 0,  6, 4, 0,
		1,    2,    0,    0,    0,    0,    1, 10, 0, 0, 1, 0, 0, 0, 0, 0, 0, 10, 0, 0, 2};
	struct buf buf = buf_of(arp, sizeof(arp));
	struct capture *it = capture();

	(void)state;
	capture_keep(it, &buf);
	capture_received(it, 1000000000, "arp: not for us");
	capture_sent(it, 1000000001, &buf, NULL);
	capture_close(it);
	if (system("command -v tshark >/dev/null 2>&1") != 0) {
		print_message("skipped: no tshark (package tshark)\n");
		skip();
	}
	assert_tshark_says(
		"-T fields -E separator=, -e frame.comment -e frame.packet_flags_direction "
		"-e arp.dst.proto_ipv4 -e frame.interface_name",
		"arp: not for us,0x00000001,10.0.0.2,sim:a\n"
		",0x00000002,10.0.0.2,sim:a\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capture_open__starts_the_file_at_once),
		cmocka_unit_test(capture_open__says_what_fails),
		cmocka_unit_test(capture_received__writes_what_was_kept),
		cmocka_unit_test(capture_sent__joins_the_pieces),
		cmocka_unit_test(capture_keep__cuts_what_is_longer),
		cmocka_unit_test(capture__writes_when_its_buffer_is_full),
		cmocka_unit_test(capture_flush__waits_a_tenth_of_a_second),
		cmocka_unit_test(capture_forget__writes_nothing),
		cmocka_unit_test(capture__ends_at_an_error),
		cmocka_unit_test(capture__is_read_by_tshark),
	};

	return cmocka_run_group_tests(tests, folder_setup, folder_teardown);
}
