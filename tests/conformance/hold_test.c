/* SPDX-License-Identifier: MIT */
/*
 * What is freed while an operation uses it: the operation still sees its bytes, and the memory is
 * used again only afterwards. And the counters of demi_heap_stats(3), which tell so.
 */
#include "common.h"

#include <fcntl.h>

#define FILLER (8 * MIB) /* more than two socket buffers take */

/* ---- Statistics ---- */

/* They must agree with each other whatever is going on. */
static demi_heap_stats_t stats_checked(void)
{
	uint64_t objects = 0, bytes = 0, held = 0, superblocks = 0;
	demi_heap_stats_t stats;

	memset(&stats, 0xee, sizeof(stats));
	check_call(demi_heap_stats(&stats), 0);
	assert_in_range(stats.class_count, 1, DEMI_HEAP_CLASSES_MAX);
	for (uint32_t i = 0; i < stats.class_count; i++) {
		assert_true(i == 0 ||
			    stats.classes[i].object_bytes > stats.classes[i - 1].object_bytes);
		assert_true(stats.classes[i].objects_held_only <= stats.classes[i].objects);
		assert_true(stats.classes[i].objects * stats.classes[i].object_bytes <=
			    stats.classes[i].superblocks * 256 * KIB);
		objects += stats.classes[i].objects;
		bytes += stats.classes[i].objects * stats.classes[i].object_bytes;
		held += stats.classes[i].objects_held_only * stats.classes[i].object_bytes;
		superblocks += stats.classes[i].superblocks;
	}
	assert_int_equal(objects + stats.objects_large, stats.objects);
	assert_true(bytes <= stats.bytes_in_use);
	assert_true(held <= stats.bytes_held_only);
	assert_true(superblocks * 256 * KIB <= stats.bytes_reserved);
	assert_true(stats.bytes_held_only <= stats.bytes_in_use);
	assert_true(stats.bytes_in_use <= stats.bytes_reserved);
	assert_true(stats.bytes_reserved <= stats.bytes_committed);
	assert_true(stats.bytes_reserved <= stats.bytes_max);
	assert_true(stats.bytes_locked <= stats.bytes_committed);
	assert_true(stats.bytes_huge <= stats.bytes_committed);
	assert_in_range(stats.fragmentation_permille, 0, 1000);
	return stats;
}

static void hold__statistics_follow_what_is_done(void **state)
{
	static const size_t sizes[] = {1, 100, 5000, 100000, 300000, 3000000};
	static void *objects[COUNT_OF(sizes)][50];
	demi_heap_stats_t start = stats_checked(), before, after;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (size_t k = 0; k < 50; k++) {
			before = stats_checked();
			objects[i][k] = demi_malloc(sizes[i]);
			assert_non_null(objects[i][k]);
			after = stats_checked();
			assert_int_equal(after.objects, before.objects + 1);
			assert_true(after.bytes_in_use >= before.bytes_in_use + sizes[i]);
		}
	}
	assert_true(stats_checked().objects_large >= start.objects_large + 100);
	for (size_t i = 0; i < COUNT_OF(sizes); i++) {
		for (size_t k = 0; k < 50; k++) {
			demi_free(objects[i][k]);
			stats_checked();
		}
	}
	after = stats_checked();
	assert_int_equal(after.objects, start.objects);
	assert_int_equal(after.bytes_in_use, start.bytes_in_use);
	assert_int_equal(after.remote_frees, start.remote_frees);
}

/* ---- A connection with a backlog in front of what is tested ---- */

struct backlog {
	struct pair pair;
	demi_qtoken_t filler;
	demi_heap_stats_t before;
};

static void backlog_open(struct backlog *backlog, const struct transport *transport)
{
	backlog->before = stats_checked();
	pair_open(&backlog->pair, transport);
	backlog->filler = push_pattern(backlog->pair.client, FILLER, 1, 0);
	check_pending(backlog->filler);
}

/* Acknowledgments may be under way yet: the libOS's own memory. */
static void backlog_check_over(const struct backlog *backlog)
{
	settle_until(stats_checked().objects == backlog->before.objects);
	settle_until(stats_checked().bytes_held_only == backlog->before.bytes_held_only);
}

/* Allocates the size again and again and overwrites what it gets, which must not be the object. */
static void overwrite_others(const void *object, size_t size)
{
	void *others[300];

	for (size_t i = 0; i < COUNT_OF(others); i++) {
		others[i] = demi_malloc(size);
		assert_non_null(others[i]);
		assert_ptr_not_equal(others[i], object);
		memset(others[i], 0xee, size);
	}
	for (size_t i = 0; i < COUNT_OF(others); i++)
		demi_free(others[i]);
	for (size_t i = 0; i < 20; i++) {
		void *one = demi_malloc(size);

		assert_ptr_not_equal(one, object);
		memset(one, 0xdd, size);
		demi_free(one);
	}
}

static const size_t held_sizes[] = {1, 64, 100, 5000, 60000, 114688, 300000};

/* ---- Free and completion in every order ---- */

static void hold__object_freed_before_completion(void **state)
{
	TRANSPORT(transport, state);

	for (size_t i = 0; i < COUNT_OF(held_sizes); i++) {
		size_t size = held_sizes[i];
		unsigned char *object;
		struct backlog backlog;
		demi_sgarray_t sga;
		demi_qtoken_t push;
		uint64_t held;

		backlog_open(&backlog, transport);
		object = demi_malloc(size);
		pattern_fill(object, size, 1, FILLER);
		sga = sga_of(object, size);
		push = push_sga(backlog.pair.client, &sga);
		held = stats_checked().bytes_held_only;
		demi_free(object);
		assert_true(stats_checked().bytes_held_only >= held + size);
		overwrite_others(object, size);
		check_pending(push);
		stream_expect(backlog.pair.server, FILLER + size, 1, 0);
		await_opcode(backlog.filler, DEMI_OPC_PUSH);
		await_opcode(push, DEMI_OPC_PUSH);
		check_call(demi_close(backlog.pair.client), 0);
		check_call(demi_close(backlog.pair.server), 0);
		check_call(demi_close(backlog.pair.listener), 0);
		backlog_check_over(&backlog);
	}
}

static void hold__object_freed_after_completion(void **state)
{
	struct backlog backlog;
	unsigned char *object;
	demi_sgarray_t sga;
	demi_qtoken_t push;
	TRANSPORT(transport, state);

	backlog_open(&backlog, transport);
	object = demi_malloc(5000);
	pattern_fill(object, 5000, 1, FILLER);
	sga = sga_of(object, 5000);
	push = push_sga(backlog.pair.client, &sga);
	stream_expect(backlog.pair.server, FILLER + 5000, 1, 0);
	await_opcode(push, DEMI_OPC_PUSH);
	await_opcode(backlog.filler, DEMI_OPC_PUSH);
	assert_true(demi_malloc_usable_size(object) >= 5000);
	overwrite_others(object, 5000);
	pattern_check(object, 5000, 1, FILLER);
	demi_free(object);
	backlog_check_over(&backlog);
}

/* Freed before or after its push is cancelled, or its descriptor closed. */
static void free_and_end(const struct transport *transport, bool free_first, bool cancels)
{
	struct backlog backlog;
	unsigned char *object;
	demi_sgarray_t sga, array;
	demi_qtoken_t pushes[2];

	backlog_open(&backlog, transport);
	object = demi_malloc(5000);
	array = demi_sgaalloc(5000);
	sga = sga_of(object, 5000);
	pushes[0] = push_sga(backlog.pair.client, &sga);
	pushes[1] = push_sga(backlog.pair.client, &array);
	if (free_first) {
		demi_free(object);
		check_call(demi_sgafree(&array), 0);
		overwrite_others(object, 5000);
	}
	for (size_t i = 0; cancels && i < 2; i++)
		check_call(demi_cancel(pushes[i]), 0);
	if (!cancels)
		check_call(demi_close(backlog.pair.client), 0);
	for (size_t i = 0; i < 2; i++)
		await_error(pushes[i], ECANCELED);
	assert_true(stats_checked().bytes_held_only <
		    (cancels || profile_get()->sends_on ? FILLER + 2 * MIB : 1));
	if (!free_first) {
		memset(object, 1, 5000);
		demi_free(object);
		check_call(demi_sgafree(&array), 0);
	}
	if (cancels) {
		/* The stream goes on without them. */
		pushes[0] = push_pattern(backlog.pair.client, 1000, 1, FILLER);
		stream_expect(backlog.pair.server, FILLER + 1000, 1, 0);
		await_opcode(pushes[0], DEMI_OPC_PUSH);
		await_opcode(backlog.filler, DEMI_OPC_PUSH);
	} else {
		await_error(backlog.filler, ECANCELED);
		stream_skip_cut(backlog.pair.server);
	}
	backlog_check_over(&backlog);
}

static void hold__object_freed_before_and_after_cancel_and_close(void **state)
{
	TRANSPORT(transport, state);

	for (int i = 0; i < 4; i++)
		free_and_end(transport, i & 1, i & 2);
}

static void hold__double_free_of_a_held_object_is_found(void **state)
{
	demi_sgarray_t array, copy;
	struct backlog backlog;
	demi_qtoken_t push;
	TRANSPORT(transport, state);

	backlog_open(&backlog, transport);
	array = sga_pattern(5000, 1, FILLER);
	copy = array;
	push = push_sga(backlog.pair.client, &array);
	check_call(demi_sgafree(&array), 0);
	array = copy;
	check_call(demi_sgafree(&array), EINVAL);
	stream_expect(backlog.pair.server, FILLER + 5000, 1, 0);
	await_opcode(push, DEMI_OPC_PUSH);
	array = copy;
	check_call(demi_sgafree(&array), EINVAL);
}

/* ---- One object, many segments and pushes ---- */

static void hold__one_object_in_many_segments_and_pushes(void **state)
{
	demi_qtoken_t pushes[50];
	struct backlog backlog;
	unsigned char *object;
	demi_sgarray_t sga;
	uint64_t offset = FILLER;
	TRANSPORT(transport, state);

	backlog_open(&backlog, transport);
	object = demi_malloc(300000);
	pattern_fill(object, 300000, 1, FILLER);
	for (size_t i = 0; i < COUNT_OF(pushes); i++) {
		/* Eight runs of it, each push a part of the whole. */
		sga.sga_buf = NULL;
		sga.sga_numsegs = DEMI_SGARRAY_MAXSIZE;
		for (size_t k = 0; k < DEMI_SGARRAY_MAXSIZE; k++) {
			sga.sga_segs[k].sgaseg_buf = object + (offset - FILLER);
			sga.sga_segs[k].sgaseg_len = 750;
			offset += 750;
		}
		pushes[i] = push_sga(backlog.pair.client, &sga);
	}
	demi_free(object);
	overwrite_others(object, 300000 - 100);
	stream_expect(backlog.pair.server, offset, 1, 0);
	for (size_t i = 0; i < COUNT_OF(pushes); i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	await_opcode(backlog.filler, DEMI_OPC_PUSH);
	backlog_check_over(&backlog);
}

/* After the backlog the same 2000 bytes again and again; returns how many there were. */
static size_t check_repeated(const demi_sgarray_t *sga, size_t offset)
{
	size_t start = offset;

	for (uint32_t i = 0; i < sga->sga_numsegs; i++) {
		const unsigned char *data = sga->sga_segs[i].sgaseg_buf;
		size_t bytes = sga->sga_segs[i].sgaseg_len, done = 0;

		if (offset < FILLER) {
			done = bytes < FILLER - offset ? bytes : FILLER - offset;
			pattern_check(data, done, 1, offset);
		}
		for (; done < bytes; done++)
			pattern_check(data + done, 1, 2, (offset + done - FILLER) % 2000);
		offset += bytes;
	}
	return offset - start;
}

static void hold__the_same_segment_twice(void **state)
{
	demi_qtoken_t pushes[4];
	struct backlog backlog;
	unsigned char *object;
	demi_sgarray_t sga;
	TRANSPORT(transport, state);

	backlog_open(&backlog, transport);
	object = demi_malloc(2000);
	pattern_fill(object, 2000, 2, 0);
	sga = sga_of(object, 2000);
	sga.sga_numsegs = 2;
	sga.sga_segs[1] = sga.sga_segs[0];
	for (size_t i = 0; i < COUNT_OF(pushes); i++)
		pushes[i] = push_sga(backlog.pair.client, &sga);
	/* One of them goes; the others hold it. */
	check_call(demi_cancel(pushes[1]), 0);
	await_error(pushes[1], ECANCELED);
	demi_free(object);
	check_call(demi_cancel(pushes[2]), 0);
	await_error(pushes[2], ECANCELED);
	overwrite_others(object, 2000);
	for (size_t done = 0; done < FILLER + 8000;) {
		demi_qresult_t qr = await_opcode(pop(backlog.pair.server), DEMI_OPC_POP);

		assert_true(sga_bytes(&qr.qr_value.sga) > 0);
		done += check_repeated(&qr.qr_value.sga, done);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	await_opcode(pushes[0], DEMI_OPC_PUSH);
	await_opcode(pushes[3], DEMI_OPC_PUSH);
	await_opcode(backlog.filler, DEMI_OPC_PUSH);
	backlog_check_over(&backlog);
}

/* ---- Echo: popped buffers are pushed on ---- */

static void hold__popped_buffers_are_pushed_on_and_freed(void **state)
{
	struct pair in, out;
	demi_heap_stats_t before;
	uint64_t offset = 0;
	TRANSPORT(transport, state);

	pair_open(&in, transport);
	pair_open(&out, transport);
	before = stats_checked();
	for (int round = 0; round < 200; round++) {
		size_t size = 1 + (size_t)round * 331 % 20000, done = 0;
		demi_qtoken_t sent = push_pattern(in.client, size, 1, offset);

		while (done < size) {
			demi_qresult_t qr = await_opcode(pop(in.server), DEMI_OPC_POP);
			demi_qtoken_t pushed = push_sga(out.client, &qr.qr_value.sga);

			done += sga_bytes(&qr.qr_value.sga);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
			await_opcode(pushed, DEMI_OPC_PUSH);
		}
		await_opcode(sent, DEMI_OPC_PUSH);
		stream_expect(out.server, size, 1, offset);
		offset += size;
	}
	assert_int_equal(stats_checked().objects, before.objects);
	assert_int_equal(stats_checked().bytes_held_only, 0);
}

/* Through in-memory queues without a copy: the same memory comes out at every end. */
static void hold__memory_queues_pass_the_same_memory(void **state)
{
	unsigned char *object = demi_malloc(10000);
	demi_sgarray_t sga = sga_of(object + 1000, 2000), array;
	demi_heap_stats_t before;
	int qds[5];

	(void)state;
	pattern_fill(object, 10000, 1, 0);
	for (size_t i = 0; i < COUNT_OF(qds); i++)
		check_call(demi_queue(&qds[i]), 0);
	before = stats_checked();
	await_opcode(push_sga(qds[0], &sga), DEMI_OPC_PUSH);
	demi_free(object);
	overwrite_others(object, 10000);
	for (size_t i = 0; i < COUNT_OF(qds); i++) {
		array = await_opcode(pop(qds[i]), DEMI_OPC_POP).qr_value.sga;
		assert_int_equal(array.sga_numsegs, 1);
		assert_ptr_equal(array.sga_segs[0].sgaseg_buf, object + 1000);
		assert_int_equal(sga_check(&array, 1, 1000), 2000);
		if (i + 1 < COUNT_OF(qds))
			await_opcode(push_sga(qds[i + 1], &array), DEMI_OPC_PUSH);
		assert_true(stats_checked().bytes_held_only >= 10000);
		check_call(demi_sgafree(&array), 0);
	}
	assert_int_equal(stats_checked().bytes_held_only, 0);
	assert_int_equal(stats_checked().objects, before.objects - 1);
}

/* ---- Files ---- */

static void hold__files_write_what_was_freed(void **state)
{
	demi_heap_stats_t before;
	demi_qtoken_t pushes[50];
	uint64_t offset = 0;
	char path[128];
	int qd;

	(void)state;
	skip_unless(profile_get()->files, "the libOS has no files");
	snprintf(path, sizeof(path), "%s/hold", directory());
	check_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	before = stats_checked();
	for (size_t i = 0; i < COUNT_OF(pushes); i++) {
		size_t size = 10 + i * 997;
		unsigned char *object = demi_malloc(size + 20);
		demi_sgarray_t sga = sga_of(object + 10, size);

		pattern_fill(object + 10, size, 1, offset);
		offset += size;
		pushes[i] = push_sga(qd, &sga);
		demi_free(object);
		if (i % 8 == 0)
			overwrite_others(object, size + 20);
	}
	for (size_t i = 0; i < COUNT_OF(pushes); i++)
		await_opcode(pushes[i], DEMI_OPC_PUSH);
	assert_int_equal(stats_checked().bytes_held_only, 0);
	assert_int_equal(stats_checked().objects, before.objects);
	stream_expect(qd, offset, 1, 0);
}

/* ---- The end ---- */

static void hold__fini_with_held_objects(void **state)
{
	struct backlog backlog;
	TRANSPORT(transport, state);

	for (int round = 0; round < 5; round++) {
		unsigned char *kept, *freed;
		demi_sgarray_t sga;

		backlog_open(&backlog, transport);
		kept = demi_malloc(100000);
		freed = demi_malloc(100000);
		pattern_fill(kept, 100000, 1, 0);
		sga = sga_of(kept, 100000);
		push_sga(backlog.pair.client, &sga);
		sga = sga_of(freed, 100000);
		push_sga(backlog.pair.client, &sga);
		demi_free(freed);
		demi_fini();
		/* What came from demi_malloc stays until it is freed. */
		pattern_check(kept, 100000, 1, 0);
		memset(kept, 1, 100000);
		demi_free(kept);
		check_call(demi_init(NULL), 0);
	}
	assert_int_equal(stats_checked().bytes_held_only, 0);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(hold__statistics_follow_what_is_done),
		TEST_OVER(ipv4, hold__object_freed_before_completion),
		TEST_OVER(unix, hold__object_freed_before_completion),
		TEST_OVER(ipv4, hold__object_freed_after_completion),
		TEST_OVER(ipv4, hold__object_freed_before_and_after_cancel_and_close),
		TEST_OVER(ipv4, hold__double_free_of_a_held_object_is_found),
		TEST_OVER(ipv4, hold__one_object_in_many_segments_and_pushes),
		TEST_OVER(ipv4, hold__the_same_segment_twice),
		TEST_OVER(ipv4, hold__popped_buffers_are_pushed_on_and_freed),
		TEST(hold__memory_queues_pass_the_same_memory),
		TEST(hold__files_write_what_was_freed),
		TEST_OVER(ipv4, hold__fini_with_held_objects),
		TEST_OVER(unix, hold__fini_with_held_objects),
	};

	return suite_main("hold", !profile_get() || profile_get()->tcp, "TCP", tests,
			  COUNT_OF(tests));
}
