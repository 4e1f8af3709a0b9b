/* SPDX-License-Identifier: MIT */
/* Requests, health and end, with a controller that works. */
#include <errno.h>
#include <stdio.h>

#include "blkdev/nvme_testing.h"

#define KIB128 (128u << 10)
#define PIECES_BYTES ((size_t)BLK_SEGMENTS_MAX * 4096)

/* ---- Requests ---- */

static void nvme_submit__what_is_written_is_read(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	unsigned char *memory = io_memory(bench, KIB128);
	unsigned char *copy = io_memory(bench, KIB128);
	struct io io = {0};

	for (size_t i = 0; i < KIB128; i++)
		memory[i] = (unsigned char)(i * 7 >> 3);
	assert_int_equal(io_start(bench, &io, BLK_WRITE, 5, 256, memory), 0);
	assert_int_equal(bench->device->under_way, 1);
	assert_int_equal(io.done, 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(bench->device->under_way, 0);
	assert_memory_equal(bench->fake->disk + (size_t)5 * 512, memory, KIB128);
	assert_int_equal(io_start(bench, &io, BLK_READ, 5, 256, copy), 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_memory_equal(copy, memory, KIB128);
	assert_int_equal(bench->device->counters.reads, 1);
	assert_int_equal(bench->device->counters.read_bytes, KIB128);
	assert_int_equal(bench->device->counters.write_bytes, KIB128);
	assert_int_equal(bench->device->counters.commands, 2);
}

static void nvme_submit__flush_trim_and_durable(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	struct io io = {0};

	assert_int_equal(io_start(bench, &io, BLK_FLUSH, 0, 0, NULL), 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(bench->fake->last.opcode, NVME_FLUSH);
	assert_int_equal(io_start(bench, &io, BLK_TRIM, 100, 3000, NULL), 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(bench->fake->last_range.first, 100);
	assert_int_equal(bench->fake->last_range.blocks, 3000);
	io.request.durable = true;
	assert_int_equal(io_start(bench, &io, BLK_WRITE, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_true(bench->fake->last.dword12 & NVME_RW_FUA);
	assert_int_equal(bench->device->counters.flushes, 1);
	assert_int_equal(bench->device->counters.trims, 1);
}

/* The queues' ends are passed many times, and the phase changes with them. */
static void nvme_poll__queues_wrap(void **state)
{
	struct bench *bench = bench_opened(state, 17);
	uint64_t *memory = io_memory(bench, (size_t)512 * 17);
	struct io ios[17] = {0};

	for (unsigned int round = 0; round < 200; round++) {
		unsigned int count = 1 + round % 17;

		for (unsigned int i = 0; i < count; i++) {
			memory[(size_t)i * 64] = round * 100 + i;
			assert_int_equal(
				io_start(bench, &ios[i], BLK_WRITE, i, 1, memory + (size_t)i * 64),
				0);
		}
		assert_int_equal(bench_step(bench), count);
		for (unsigned int i = 0; i < count; i++) {
			assert_int_equal(ios[i].done, 1);
			assert_int_equal(((uint64_t *)bench->fake->disk)[(size_t)i * 64],
					 round * 100 + i);
		}
		assert_int_equal(bench_step(bench), 0);
	}
}

static void nvme_submit__full(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	void *memory = io_memory(bench, 512);
	struct io ios[17] = {0};

	for (unsigned int i = 0; i < 16; i++)
		assert_int_equal(io_start(bench, &ios[i], BLK_READ, i, 1, memory), 0);
	assert_int_equal(io_start(bench, &ios[16], BLK_READ, 0, 1, memory), -EAGAIN);
	assert_int_equal(bench_step(bench), 16);
	assert_int_equal(io_start(bench, &ios[16], BLK_READ, 0, 1, memory), 0);
	assert_int_equal(io_wait(bench, &ios[16]), 0);
}

static void nvme_poll__any_order(void **state)
{
	static const uint32_t order[] = {3, 0, 1, 1, 0};
	static const uint32_t ended[] = {3, 0, 2, 4, 1};
	struct bench *bench = bench_opened(state, 16);
	void *memory = io_memory(bench, 512);
	struct io ios[5] = {0};

	bench->fake->hold = true;
	for (unsigned int i = 0; i < 5; i++)
		assert_int_equal(io_start(bench, &ios[i], BLK_READ, i, 1, memory), 0);
	nvme_fake_step(bench->fake);
	for (unsigned int i = 0; i < 5; i++) {
		nvme_fake_complete(bench->fake, order[i], 0);
		assert_int_equal(bench_step(bench), 1);
		assert_int_equal(ios[ended[i]].done, 1);
	}
}

static void nvme_poll__done_may_submit(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	void *memory = io_memory(bench, 512);
	struct io first = {0}, second = {0};

	assert_int_equal(io_start(bench, &second, BLK_READ, 1, 1, memory), 0);
	assert_int_equal(io_wait(bench, &second), 0);
	second.done = 0;
	first.again = &second;
	assert_int_equal(io_start(bench, &first, BLK_READ, 0, 1, memory), 0);
	assert_int_equal(io_wait(bench, &first), 0);
	assert_int_equal(first.again_result, 0);
	assert_int_equal(io_wait(bench, &second), 0);
}

/* 64 pieces, no two of which PRPs can have in one command. */
static void start_pieces(struct bench *bench, struct io *io, unsigned char *memory,
			 uint8_t operation)
{
	io->bench = bench;
	io->done = 0;
	for (unsigned int i = 0; i < BLK_SEGMENTS_MAX; i++) {
		io->segments[i] = (struct iovec){memory + (size_t)i * 4096 + 100, 512};
		if (operation == BLK_WRITE)
			memset(memory + (size_t)i * 4096 + 100, (int)i + 1, 512);
	}
	io->request = (struct blk_request){.operation = operation,
					   .segment_count = BLK_SEGMENTS_MAX,
					   .block_count = BLK_SEGMENTS_MAX,
					   .block = 10,
					   .segments = io->segments,
					   .done = io_done};
	assert_int_equal(blkdev_submit(bench->device, &io->request, bench->now_ns), 0);
}

static void pieces_are_on_disk(struct bench *bench)
{
	for (unsigned int i = 0; i < BLK_SEGMENTS_MAX; i++) {
		assert_int_equal(bench->fake->disk[(size_t)(10 + i) * 512], i + 1);
		assert_int_equal(bench->fake->disk[(size_t)(10 + i) * 512 + 511], i + 1);
	}
}

/* More commands than there are slots: the rest follows as they come free. */
static void nvme_submit__pieces_are_commands(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	unsigned char *memory = io_memory(bench, PIECES_BYTES);
	struct io io = {0}, behind = {0};

	start_pieces(bench, &io, memory, BLK_WRITE);
	assert_int_equal(io_start(bench, &behind, BLK_READ, 0, 1, io_memory(bench, 512)), 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(io_wait(bench, &behind), 0);
	assert_int_equal(bench->device->counters.commands, BLK_SEGMENTS_MAX + 1);
	pieces_are_on_disk(bench);
}

static void nvme_submit__pieces_are_one_list(void **state)
{
	struct bench *bench = *state;
	struct io io = {0};

	bench->fake->sgl = true;
	bench_opened(state, 16);
	start_pieces(bench, &io, io_memory(bench, PIECES_BYTES), BLK_WRITE);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(bench->device->counters.commands, 1);
	assert_int_equal(bench->fake->sgl_commands, 1);
	pieces_are_on_disk(bench);
}

static void nvme_submit__longer_than_a_command(void **state)
{
	struct bench *bench = *state;
	unsigned char *memory;
	struct io io = {0};

	bench->fake->mdts = 1;
	bench_opened(state, 16);
	memory = io_memory(bench, 1u << 20);
	memset(memory, 0x5a, 1u << 20);
	assert_int_equal(io_start(bench, &io, BLK_WRITE, 0, 2048, memory), 0);
	assert_int_equal(io_wait(bench, &io), 0);
	assert_int_equal(bench->device->counters.commands, 128);
	assert_memory_equal(bench->fake->disk, memory, 1u << 20);
}

static void nvme_submit__heap_that_grows(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	struct io io = {0};
	uint32_t mappings = bench->fake->mapping_count;
	void *memory = NULL;

	while (bench->fake->mapping_count < mappings + 3)
		memory = io_memory(bench, 1u << 20);
	assert_int_equal(io_start(bench, &io, BLK_READ, 0, 2048, memory), 0);
	assert_int_equal(io_wait(bench, &io), 0);
}

/* ---- End ---- */

static void nvme_close__shuts_down_cleanly(void **state)
{
	struct bench *bench = bench_opened(state, 16);

	bench_close(bench);
	assert_true(bench->fake->shut_down);
	assert_true(bench->fake->cut_off);
	assert_true(bench->fake->closed);
	assert_int_equal(bench->fake->mapping_count, 0);
}

/* As long as it says that it may take, 5 s at least; then it is stopped all the same. */
static void nvme_close__controller_that_does_not_shut_down(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	uint64_t waited_ns = bench->fake->waited_ns;

	bench->fake->never_shuts_down = true;
	bench_close(bench);
	assert_in_range(bench->fake->waited_ns - waited_ns, 5000000000u, 6000000000u);
	assert_false(bench->fake->is_enabled);
	assert_true(bench->fake->cut_off);
	assert_true(bench->fake->closed);
}

static void nvme_close__ends_what_is_under_way(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	unsigned char *memory = io_memory(bench, PIECES_BYTES);
	struct io io = {0};

	start_pieces(bench, &io, memory, BLK_WRITE);
	bench_close(bench);
	assert_int_equal(io.done, 1);
	assert_int_equal(io.error, 0);
	pieces_are_on_disk(bench);
}

static void nvme_forget__leaves_the_controller_alone(void **state)
{
	struct bench *bench = bench_opened(state, 16);

	bench->device->ops->forget(bench->device);
	assert_true(bench->fake->forgotten);
	nvme_fake_step(bench->fake);
	assert_true(bench->fake->is_enabled);
	assert_false(bench->fake->cut_off);
}

/* ---- Health ---- */

static void nvme_get_health__what_the_log_has(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	struct nvme_health health;

	bench->fake->critical_warning = NVME_WARNING_SPARE;
	assert_int_equal(nvme_get_health(bench->device, &health), 0);
	assert_true(health.spare_low);
	assert_false(health.read_only);
	assert_int_equal(health.temperature_c, 0x140 - 273);
	assert_int_equal(health.writes, 77);
	assert_string_equal(health.serial, "MEMORY");
}

struct told {
	char text[1024];
	size_t length;
};

static void note(const char *name, const char *value, void *context)
{
	struct told *told = context;

	told->length += (size_t)snprintf(told->text + told->length,
					 sizeof(told->text) - told->length, "%s: %s\n", name,
					 value);
	assert_true(told->length < sizeof(told->text));
}

static void told_has(const struct told *told, const char *line)
{
	if (!strstr(told->text, line))
		fail_msg("\"%s\" is not in\n%s", line, told->text);
}

static void nvme_tell_health__each_thing_in_words(void **state)
{
	static const char *const lines[] = {
		"model: ",      "firmware: ",         "spare: ",        "life used: ",    "read: ",
		"powered on: ", "unsafe shutdowns: ", "media errors: ", "errors logged: "};
	struct bench *bench = bench_opened(state, 16);
	struct told told = {.length = 0};

	assert_int_equal(bench->device->ops->tell_health(bench->device, note, &told), 0);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		told_has(&told, lines[i]);
	told_has(&told, "serial: MEMORY\n");
	told_has(&told, "warning: none\n");
	told_has(&told, "temperature: 47 C\n");
	told_has(&told, "written: 0 MB in 77 commands\n");
}

/* Each by itself, and nothing else in between. */
static void nvme_tell_health__each_warning(void **state)
{
	static const struct {
		uint8_t bit;
		const char *line;
	} warnings[] = {
		{NVME_WARNING_SPARE, "warning: spare blocks are running out\n"},
		{NVME_WARNING_TEMPERATURE, "warning: too hot, or too cold\n"},
		{NVME_WARNING_RELIABILITY, "warning: errors make it unreliable\n"},
		{NVME_WARNING_READ_ONLY, "warning: it can only be read any more\n"},
		{NVME_WARNING_BACKUP, "warning: the backup of its memory has failed\n"},
	};
	struct bench *bench = bench_opened(state, 16);
	struct told told;

	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++) {
		told = (struct told){.length = 0};
		bench->fake->critical_warning = warnings[i].bit;
		assert_int_equal(bench->device->ops->tell_health(bench->device, note, &told), 0);
		told_has(&told, warnings[i].line);
		assert_ptr_equal(strstr(strstr(told.text, "warning: ") + 1, "warning: "), NULL);
	}
	told = (struct told){.length = 0};
	bench->fake->critical_warning = 0x1f;
	assert_int_equal(bench->device->ops->tell_health(bench->device, note, &told), 0);
	for (size_t i = 0; i < sizeof(warnings) / sizeof(warnings[0]); i++)
		told_has(&told, warnings[i].line);
}

static void nvme_get_health__no_answer(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	struct nvme_health health;

	bench->fake->ignores_admin = true;
	assert_int_equal(nvme_get_health(bench->device, &health), -ETIMEDOUT);
	/* The queue has that command still: no other can be told from it. */
	assert_int_equal(nvme_get_health(bench->device, &health), -EAGAIN);
}

static void nvme_tend__event_is_read_and_asked_for_again(void **state)
{
	struct bench *bench = bench_opened(state, 16);
	uint32_t logs_read = bench->fake->logs_read;

	bench->fake->critical_warning = NVME_WARNING_TEMPERATURE;
	nvme_fake_step(bench->fake);
	nvme_fake_event(bench->fake, NVME_EVENT_SMART | 1 << 8 | NVME_LOG_SMART << 16);
	assert_int_equal(bench->fake->event_count, 3);
	for (unsigned int i = 0; i < 40; i++)
		bench_step(bench);
	assert_int_equal(bench->fake->event_count, 4);
	assert_int_equal(bench->fake->logs_read, logs_read + 1);
	/* What it warns of was taken from the log, and is not told another time. */
	assert_int_equal(nvme_of(bench->device)->warned, NVME_WARNING_TEMPERATURE);
}

/* They are told, and whatever they are, the next one is asked for. */
static void nvme_tend__events_of_every_kind(void **state)
{
	static const uint32_t results[] = {
		NVME_EVENT_ERROR | 3 << 8,     /* an internal one */
		NVME_EVENT_NOTICE | 0 << 8,    /* a namespace has changed */
		NVME_EVENT_NOTICE | 1 << 8,    /* firmware is activated */
		NVME_EVENT_NOTICE | 0xef << 8, /* none that we know */
		7,                             /* of the vendor's */
	};
	struct bench *bench = bench_opened(state, 16);
	uint32_t logs_read = bench->fake->logs_read;

	nvme_fake_step(bench->fake);
	for (unsigned int round = 0; round < 4; round++) {
		for (size_t i = 0; i < sizeof(results) / sizeof(results[0]); i++) {
			nvme_fake_event(bench->fake, results[i]);
			assert_int_equal(bench->fake->event_count, 3);
			for (unsigned int step = 0; step < 40; step++)
				bench_step(bench);
			assert_int_equal(bench->fake->event_count, 4);
		}
	}
	assert_int_equal(bench->fake->logs_read, logs_read);
	assert_int_equal(bench->device->failure, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_setup, bench_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nvme_submit__what_is_written_is_read),
		TEST(nvme_submit__flush_trim_and_durable),
		TEST(nvme_poll__queues_wrap),
		TEST(nvme_submit__full),
		TEST(nvme_poll__any_order),
		TEST(nvme_poll__done_may_submit),
		TEST(nvme_submit__pieces_are_commands),
		TEST(nvme_submit__pieces_are_one_list),
		TEST(nvme_submit__longer_than_a_command),
		TEST(nvme_submit__heap_that_grows),
		TEST(nvme_close__shuts_down_cleanly),
		TEST(nvme_close__controller_that_does_not_shut_down),
		TEST(nvme_close__ends_what_is_under_way),
		TEST(nvme_forget__leaves_the_controller_alone),
		TEST(nvme_get_health__what_the_log_has),
		TEST(nvme_tell_health__each_thing_in_words),
		TEST(nvme_tell_health__each_warning),
		TEST(nvme_get_health__no_answer),
		TEST(nvme_tend__event_is_read_and_asked_for_again),
		TEST(nvme_tend__events_of_every_kind),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
