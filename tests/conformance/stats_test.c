/* SPDX-License-Identifier: MIT */
/* demi_stats and demi_stat: what they list and refuse. What is counted is the libOS's business. */
#include "common.h"

#define ROOM 2048

static demi_stat_t first[ROOM], second[ROOM];

static int count_of(demi_stat_t *stats)
{
	int count = -1;

	check_call(demi_stats(stats, ROOM, &count), 0);
	assert_in_range(count, 0, ROOM);
	return count;
}

static void stats__before_init_is_enosys(void **state)
{
	uint64_t value = 7;
	int count = 7;

	(void)state;
	check_call(demi_stats(first, ROOM, &count), ENOSYS);
	check_call(demi_stat(&value, "udp.rx_packets"), ENOSYS);
	assert_int_equal(count, 7);
	assert_int_equal(value, 7);
}

static void stats__names_are_those_of_their_layer_and_told_once(void **state)
{
	int count = count_of(first);

	(void)state;
	for (int i = 0; i < count; i++) {
		size_t length = strnlen(first[i].stat_name, sizeof(first[i].stat_name));

		assert_in_range(length, 3, sizeof(first[i].stat_name) - 1);
		assert_int_equal(
			strspn(first[i].stat_name, "abcdefghijklmnopqrstuvwxyz0123456789_."),
			length);
		assert_non_null(strchr(first[i].stat_name, '.'));
		for (int j = 0; j < i; j++)
			assert_string_not_equal(first[i].stat_name, first[j].stat_name);
	}
}

static void stats__order_stays_and_figures_only_grow(void **state)
{
	int count = count_of(first), again;
	int qd = -1;

	(void)state;
	skip_unless(profile_get()->udp, "the libOS has no UDP");
	check_call(demi_socket(&qd, AF_INET, SOCK_DGRAM, 0), 0);
	again = count_of(second);
	check_call(demi_close(qd), 0);
	assert_int_equal(count, again);
	for (int i = 0; i < count; i++) {
		assert_string_equal(first[i].stat_name, second[i].stat_name);
		assert_true(second[i].stat_value >= first[i].stat_value);
	}
}

static void stats__little_room_gets_the_first_ones(void **state)
{
	int count = count_of(first), told = -1;

	(void)state;
	if (count < 2)
		skip();
	memset(second, 0xa5, sizeof(second));
	check_call(demi_stats(second, 1, &told), 0);
	assert_int_equal(told, count);
	assert_string_equal(second[0].stat_name, first[0].stat_name);
	assert_int_equal((unsigned char)second[1].stat_name[0], 0xa5);
	told = -1;
	check_call(demi_stats(NULL, 0, &told), 0);
	assert_int_equal(told, count);
}

static void stat__each_name_is_found(void **state)
{
	int count = count_of(first);

	(void)state;
	for (int i = 0; i < count; i++) {
		uint64_t value = UINT64_MAX;

		check_call(demi_stat(&value, first[i].stat_name), 0);
		assert_true(value >= first[i].stat_value && value != UINT64_MAX);
	}
}

static void stat__unknown_names_are_enoent(void **state)
{
	static const char *const names[] = {
		"", "udp", "udp.", "udp.rx_packet", "udp.rx_packets.", "no.such_figure"};
	uint64_t value = 7;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(names); i++)
		check_call(demi_stat(&value, names[i]), ENOENT);
	assert_int_equal(value, 7);
}

static void stats__bad_arguments_are_refused(void **state)
{
	uint64_t value;
	int count = 7;

	(void)state;
	check_call(demi_stats(NULL, 1, &count), EFAULT);
	check_call(demi_stats(first, ROOM, null()), EFAULT);
	check_call(demi_stats(first, -1, &count), EINVAL);
	check_call(demi_stat(null(), "udp.rx_packets"), EFAULT);
	check_call(demi_stat(&value, null()), EFAULT);
	assert_int_equal(count, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(stats__before_init_is_enosys),
		TEST(stats__names_are_those_of_their_layer_and_told_once),
		TEST(stats__order_stays_and_figures_only_grow),
		TEST(stats__little_room_gets_the_first_ones),
		TEST(stat__each_name_is_found),
		TEST(stat__unknown_names_are_enoent),
		TEST(stats__bad_arguments_are_refused),
	};

	return cmocka_run_group_tests_name("stats", tests, NULL, NULL);
}
