/* SPDX-License-Identifier: MIT */
#include "wire/testing.h"

#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#include "wire/pcapng.h"

static uint32_t u32(const uint8_t *data)
{
	uint32_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

static uint16_t u16(const uint8_t *data)
{
	uint16_t value;

	memcpy(&value, data, sizeof(value));
	return value;
}

/* The value of an option of this block whose options begin at @at; NULL: it is not there. */
static const uint8_t *option(const uint8_t *block, size_t at, uint16_t code, uint16_t *length)
{
	size_t end = u32(block + 4) - 4;

	while (at + 4 <= end && u16(block + at)) {
		*length = u16(block + at + 2);
		if (u16(block + at) == code)
			return block + at + 4;
		at += 4 + (*length + 3u) / 4 * 4;
	}
	assert_int_equal(at + 4, end);
	return NULL;
}

static void check_block(const uint8_t *block, int length, uint32_t type)
{
	assert_true(length > 0 && length % 4 == 0);
	assert_int_equal(u32(block), type);
	assert_int_equal(u32(block + 4), length);
	assert_int_equal(u32(block + length - 4), length);
}

static void pcapng__has_sections_and_interfaces(void **state)
{
	const uint8_t *value;
	uint8_t block[512] = {0};
	uint16_t length;
	int bytes;

	(void)state;
	bytes = pcapng_section(block, sizeof(block));
	check_block(block, bytes, 0x0a0d0d0a);
	assert_int_equal(bytes, PCAPNG_SECTION_BYTES);
	assert_int_equal(u32(block + 8), 0x1a2b3c4d);
	assert_int_equal(u16(block + 12), 1);
	bytes = pcapng_interface(block, sizeof(block), "tap0", 96);
	check_block(block, bytes, 1);
	assert_int_equal(u16(block + 8), 1);
	assert_int_equal(u32(block + 12), 96);
	value = option(block, 16, 2, &length);
	assert_true(value && length == 4);
	assert_memory_equal(value, "tap0", 4);
	value = option(block, 16, 9, &length);
	assert_true(value && length == 1 && *value == 9);
}

static void pcapng__packets_carry_time_direction_and_comment(void **state)
{
	char comment[400];
	uint8_t block[1024] = {0}, data[100] = {0};
	const uint8_t *value;
	uint16_t length;

	(void)state;
	memset(comment, 'x', sizeof(comment));
	comment[sizeof(comment) - 1] = '\0';
	for (size_t captured = 0; captured <= sizeof(data); captured++) {
		for (size_t text = 0; text < sizeof(comment); text += 7) {
			struct pcapng_packet packet = {
				.interface = 3,
				.wire_bytes = 1500,
				.time_ns = 0x1122334455667788,
				.data = data,
				.captured_bytes = captured,
				.comment = comment + sizeof(comment) - 1 - text,
				.direction = PCAPNG_OUTBOUND,
			};
			size_t options = 28 + (captured + 3) / 4 * 4;

			check_block(block, pcapng_packet(block, sizeof(block), &packet), 6);
			assert_true(u32(block + 4) <= captured + PCAPNG_PACKET_OVERHEAD_BYTES);
			assert_int_equal(u32(block + 8), 3);
			assert_int_equal(u32(block + 12), 0x11223344);
			assert_int_equal(u32(block + 16), 0x55667788);
			assert_int_equal(u32(block + 20), captured);
			assert_int_equal(u32(block + 24), 1500);
			value = option(block, options, 2, &length);
			assert_true(value && length == 4 && u32(value) == 2);
			value = option(block, options, 1, &length);
			assert_true(text ? value != NULL : !value);
			if (text)
				assert_int_equal(length, text < 255 ? text : 255);
		}
	}
}

static void pcapng__writes_nothing_beyond_its_room(void **state)
{
	struct pcapng_packet packet = {
		.data = "abcde", .captured_bytes = 5, .comment = "truncated"};
	uint8_t block[128] = {0};
	int needed[3];

	(void)state;
	needed[0] = pcapng_section(block, sizeof(block));
	needed[1] = pcapng_interface(block, sizeof(block), "eth0", 0);
	needed[2] = pcapng_packet(block, sizeof(block), &packet);
	for (size_t room = 0; room < sizeof(block); room++) {
		uint8_t *exact = malloc(room);
		int result[3];

		assert_true(exact || !room);
		result[0] = pcapng_section(exact, room);
		result[1] = pcapng_interface(exact, room, "eth0", 0);
		result[2] = pcapng_packet(exact, room, &packet);
		for (size_t i = 0; i < 3; i++)
			assert_int_equal(result[i],
					 (int)room < needed[i] ? -WIRE_NO_ROOM : needed[i]);
		free(exact);
	}
	packet.captured_bytes = 1ul << 30;
	assert_int_equal(pcapng_packet(block, sizeof(block), &packet), -WIRE_NO_ROOM);
}

/* A file of one packet in @path, which is a template of mkstemp. */
static void write_file(char *path)
{
	static const uint8_t arp[42] = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0,  7, 8, 6,
					0,   1,   8,   0,   6,   4,   0, 1, 2, 0, 0,  0, 0, 7,
					10,  0,   0,   7,   0,   0,   0, 0, 0, 0, 10, 0, 0, 9};
	struct pcapng_packet packet = {
		.wire_bytes = 42,
		.time_ns = 1000000000000000007,
		.data = arp,
		.captured_bytes = 42,
		.comment = "bad checksum",
		.direction = PCAPNG_INBOUND,
	};
	uint8_t file[512];
	size_t at = 0;
	int fd = mkstemp(path);

	at += (size_t)pcapng_section(file, sizeof(file));
	at += (size_t)pcapng_interface(file + at, sizeof(file) - at, "tap0", 0);
	at += (size_t)pcapng_packet(file + at, sizeof(file) - at, &packet);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, file, at), at);
	close(fd);
}

static void pcapng__is_read_by_tshark(void **state)
{
	char path[] = "/tmp/demi-pcapng-XXXXXX", command[256], line[256] = "";
	FILE *output;

	(void)state;
	if (system("command -v tshark >/dev/null 2>&1") != 0) {
		print_message("skipped: no tshark (package tshark)\n");
		skip();
	}
	write_file(path);
	snprintf(command, sizeof(command),
		 "tshark -r %s -T fields -e frame.time_epoch -e frame.comment -e arp.opcode "
		 "-e frame.interface_name 2>/dev/null",
		 path);
	output = popen(command, "r");
	assert_non_null(output);
	assert_non_null(fgets(line, sizeof(line), output));
	assert_int_equal(pclose(output), 0);
	unlink(path);
	assert_string_equal(line, "1000000000.000000007\tbad checksum\t1\ttap0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pcapng__has_sections_and_interfaces),
		cmocka_unit_test(pcapng__packets_carry_time_direction_and_comment),
		cmocka_unit_test(pcapng__writes_nothing_beyond_its_room),
		cmocka_unit_test(pcapng__is_read_by_tshark),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
