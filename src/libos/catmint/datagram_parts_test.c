/* SPDX-License-Identifier: MIT */
#include "libos/catmint/datagram_parts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <string.h>

#define PART 224u

static struct heap *heap;
static struct parts *parts;
static unsigned char bytes[65536];

static int setup(void **state)
{
	const struct heap_options options = {.bytes_max = 16u << 20,
					     .huge_pages = HEAP_HUGE_PAGES_OFF};

	(void)state;
	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i ^ i >> 8);
	return heap_create(&heap, &options) || parts_create(&parts, heap);
}

static int teardown(void **state)
{
	bool is_empty;

	(void)state;
	parts_destroy(parts);
	is_empty = heap_is_empty(heap);
	heap_destroy(heap);
	return is_empty ? 0 : -1;
}

static struct parts_key key_of(uint32_t number, uint16_t total)
{
	return (struct parts_key){.source = ip_address_v4(0x0a000001),
				  .qpn = 7,
				  .own_qpn = 9,
				  .number = number,
				  .port = 5,
				  .total = total};
}

static uint32_t count_parts(uint32_t total)
{
	return (total + PART - 1) / PART;
}

static struct buf *add(const struct parts_key *key, uint32_t index, uint64_t now_ns)
{
	uint32_t offset = index * PART;
	uint32_t rest = key->total - offset;

	return parts_add(parts, key, offset, bytes + offset, rest < PART ? rest : PART, now_ns);
}

static void check_whole(struct buf *buf, uint32_t total)
{
	assert_non_null(buf);
	assert_int_equal(buf->length, total);
	assert_memory_equal(buf->data, bytes, total);
	assert_null(buf->next);
	assert_int_equal(buf_free(heap, buf), 0);
}

static void parts__in_any_order_make_a_whole(void **state)
{
	static const uint16_t totals[] = {225, 448, 449, 5000, 65507, 65527, 65535};

	(void)state;
	for (uint32_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++) {
		const struct parts_key key = key_of(i, totals[i]);
		uint32_t count = count_parts(totals[i]), step = 1;

		for (uint32_t at = 0; at < count - 1; at++)
			assert_null(add(&key, at, 0));
		check_whole(add(&key, count - 1, 0), totals[i]);
		/* Backwards, and then by steps that have no divisor in common with their number. */
		for (uint32_t at = count; at > 1; at--)
			assert_null(add(&key, at - 1, 0));
		check_whole(add(&key, 0, 0), totals[i]);
		while (count % 7 == 0)
			count--;
		step = count_parts(totals[i]) % 7 ? 7 : 11;
		count = count_parts(totals[i]);
		for (uint32_t at = 1; at < count; at++)
			assert_null(add(&key, at * step % count, 0));
		check_whole(add(&key, 0, 0), totals[i]);
	}
	assert_int_equal(parts_take_dropped(parts), 0);
}

static void parts__that_come_twice_count_once(void **state)
{
	const struct parts_key key = key_of(1, 1000);

	(void)state;
	for (uint32_t at = 0; at < 4; at++) {
		assert_null(add(&key, at, 0));
		assert_null(add(&key, at, 0));
		assert_null(add(&key, 0, 0));
	}
	/* One that overlaps is none of ours. */
	assert_null(parts_add(parts, &key, 3 * PART, bytes, 1000 - 3 * PART, 0));
	check_whole(add(&key, 4, 0), 1000);
}

static void parts__of_different_datagrams_stay_apart(void **state)
{
	struct parts_key keys[7];

	(void)state;
	for (uint32_t i = 0; i < 7; i++)
		keys[i] = key_of(1, 300);
	keys[1].number++;
	keys[2].qpn++;
	keys[3].own_qpn++;
	keys[4].port++;
	keys[5].total++;
	keys[6].source.bytes[15]++;
	for (uint32_t i = 0; i < 7; i++)
		assert_null(add(&keys[i], 0, 0));
	for (uint32_t i = 0; i < 7; i++)
		check_whole(add(&keys[i], 1, 0), keys[i].total);
}

static void parts__are_dropped_when_their_time_is_up(void **state)
{
	const struct parts_key first = key_of(1, 300), second = key_of(2, 300);

	(void)state;
	assert_int_equal(parts_expire(parts, 0), UINT64_MAX);
	assert_null(add(&first, 0, 1000));
	assert_null(add(&second, 0, 2000));
	assert_int_equal(parts_expire(parts, PARTS_TIMEOUT_NS), PARTS_TIMEOUT_NS + 1000);
	assert_int_equal(parts_expire(parts, PARTS_TIMEOUT_NS + 1000), PARTS_TIMEOUT_NS + 2000);
	assert_int_equal(parts_take_dropped(parts), 1);
	assert_int_equal(parts_take_dropped(parts), 0);
	/* Its rest is the beginning of another one, that never ends. */
	assert_null(add(&first, 1, PARTS_TIMEOUT_NS + 1000));
	check_whole(add(&second, 1, PARTS_TIMEOUT_NS + 1000), 300);
}

static void parts__are_bounded_in_number(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < PARTS_DATAGRAMS_MAX + 3; i++) {
		const struct parts_key key = key_of(i, 300);

		assert_null(add(&key, 0, i));
	}
	assert_int_equal(parts_take_dropped(parts), 3);
	for (uint32_t i = 3; i < PARTS_DATAGRAMS_MAX + 3; i++) {
		const struct parts_key key = key_of(i, 300);

		check_whole(add(&key, 1, 100), 300);
	}
}

static void parts__are_bounded_in_bytes(void **state)
{
	const uint32_t most = PARTS_BYTES_MAX / 65507;

	(void)state;
	for (uint32_t i = 0; i < most + 2; i++) {
		const struct parts_key key = key_of(i, 65507);

		assert_null(add(&key, 0, i));
	}
	assert_int_equal(parts_take_dropped(parts), 2);
}

static void parts__for_a_queue_pair_that_is_gone_are_dropped(void **state)
{
	struct parts_key first = key_of(1, 300), second = key_of(2, 300);

	(void)state;
	second.own_qpn = 10;
	assert_null(add(&first, 0, 0));
	assert_null(add(&second, 0, 0));
	parts_forget(parts, 9);
	assert_int_equal(parts_take_dropped(parts), 1);
	check_whole(add(&second, 1, 0), 300);
}

static void parts__without_memory_are_dropped(void **state)
{
	const struct parts_key key = key_of(1, 300);

	(void)state;
	heap_fail_after(heap, 0);
	assert_null(add(&key, 0, 0));
	heap_fail_after(heap, UINT64_MAX);
	assert_int_equal(parts_take_dropped(parts), 1);
}

int main(void)
{
#define PARTS_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		PARTS_TEST(parts__in_any_order_make_a_whole),
		PARTS_TEST(parts__that_come_twice_count_once),
		PARTS_TEST(parts__of_different_datagrams_stay_apart),
		PARTS_TEST(parts__are_dropped_when_their_time_is_up),
		PARTS_TEST(parts__are_bounded_in_number),
		PARTS_TEST(parts__are_bounded_in_bytes),
		PARTS_TEST(parts__for_a_queue_pair_that_is_gone_are_dropped),
		PARTS_TEST(parts__without_memory_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
