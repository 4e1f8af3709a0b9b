/* SPDX-License-Identifier: MIT */
#include "net/group_testing.h"

#define GROUP V4(239, 1, 2, 3)

static struct group_query query_of(bool is_v6, struct ip_address group, uint32_t response_max_ms)
{
	return (struct group_query){.group = group,
				    .response_max_ms = response_max_ms,
				    .version = is_v6 ? 2 : 3,
				    .is_v6 = is_v6};
}

static void ask_all(uint32_t response_max_ms)
{
	struct group_query query = query_of(false, ip_address_v4(0), response_max_ms);

	group_query(&rig.net, &query);
}

static void ask_all_old(uint8_t version, uint32_t response_max_ms)
{
	struct group_query query = query_of(false, ip_address_v4(0), response_max_ms);

	query.version = version;
	group_query(&rig.net, &query);
}

/* Of IGMPv3: the type of the only record, or of the first. */
static unsigned int record_of(const struct sent *sent)
{
	assert_int_equal(sent->bytes[0], 0x22);
	return sent->bytes[8];
}

static unsigned int records_of(const struct sent *sent)
{
	return (unsigned int)(sent->bytes[6] << 8 | sent->bytes[7]);
}

/* ---- Membership ---- */

static void group_join__is_counted(void **state)
{
	const struct ip_address group = GROUP;

	(void)state;
	assert_false(group_is_member(&rig.net, &group));
	rig_join(GROUP);
	rig_join(GROUP);
	assert_true(group_is_member(&rig.net, &group));
	assert_int_equal(rig.sent_count, 1);
	rig_leave(GROUP);
	assert_true(group_is_member(&rig.net, &group));
	assert_int_equal(rig.sent_count, 1);
	rig_leave(GROUP);
	assert_false(group_is_member(&rig.net, &group));
	assert_int_equal(rig.sent_count, 2);
	assert_int_equal(group_leave(&rig.net, &group), -ENOENT);
}

static void group_is_member__of_all_hosts_always(void **state)
{
	const struct ip_address hosts = V4(224, 0, 0, 1), nodes = IPV6_ALL_NODES,
				unicast = V4(10, 0, 0, 2), none = V4(0, 0, 0, 0);

	(void)state;
	assert_true(group_is_member(&rig.net, &hosts));
	assert_true(group_is_member(&rig.net, &nodes));
	assert_false(group_is_member(&rig.net, &unicast));
	/* A place that is free is no group. */
	assert_false(group_is_member(&rig.net, &none));
	assert_int_equal(group_join(&rig.net, &unicast), -EINVAL);
}

static void group_join__64_of_them(void **state)
{
	const struct ip_address one_more = V4(239, 9, 9, 9);

	(void)state;
	for (unsigned int i = 0; i < GROUPS_MAX; i++)
		rig_join(V4(239, 1, 0, i));
	assert_int_equal(group_join(&rig.net, &one_more), -ENOSPC);
	assert_false(group_is_member(&rig.net, &one_more));
	/* That of a group that we are still leaving is free enough. */
	rig_leave(V4(239, 1, 0, 7));
	rig_join(one_more);
	assert_true(group_is_member(&rig.net, &one_more));
	for (unsigned int i = 0; i < GROUPS_MAX; i++) {
		const struct ip_address group = V4(239, 1, 0, i);

		assert_int_equal(group_is_member(&rig.net, &group), i != 7);
	}
}

/* ---- Ethernet addresses ---- */

static void group_has_link__of_members_alone(void **state)
{
	const struct eth_address hosts = {{1, 0, 0x5e, 0, 0, 1}},
				 nodes = {{0x33, 0x33, 0, 0, 0, 1}}, link = {{1, 0, 0x5e, 1, 2, 3}},
				 /* The same bit of the filter. */
		other = {{1, 0, 0x5e, 1, 3, 3}}, broadcast = eth_address_broadcast();

	(void)state;
	assert_true(group_has_link(&rig.net, &hosts));
	assert_true(group_has_link(&rig.net, &nodes));
	assert_false(group_has_link(&rig.net, &link));
	rig_join(GROUP);
	assert_true(group_has_link(&rig.net, &link));
	assert_false(group_has_link(&rig.net, &other));
	assert_false(group_has_link(&rig.net, &broadcast));
	rig_leave(GROUP);
	assert_false(group_has_link(&rig.net, &link));
	assert_true(group_has_link(&rig.net, &hosts));
}

/* 32 groups of IPv4 have the same one: RFC 1112, 6.4. */
static void group_join__tells_the_device_each_address_once(void **state)
{
	const struct eth_address link = {{1, 0, 0x5e, 1, 2, 3}};

	(void)state;
	assert_int_equal(rig.filter_count, 2);
	assert_true(filter_has((struct eth_address){{1, 0, 0x5e, 0, 0, 1}}));
	assert_true(filter_has((struct eth_address){{0x33, 0x33, 0, 0, 0, 1}}));
	rig_join(V4(239, 1, 2, 3));
	rig_join(V4(238, 129, 2, 3));
	assert_int_equal(rig.filter_count, 3);
	assert_true(filter_has(link));
	rig_leave(V4(239, 1, 2, 3));
	assert_true(filter_has(link));
	rig_leave(V4(238, 129, 2, 3));
	assert_false(filter_has(link));
	/* That of all hosts stays, whoever has it too. */
	rig_join(V4(239, 128, 0, 1));
	rig_leave(V4(239, 128, 0, 1));
	assert_int_equal(rig.filter_count, 2);
}

static void group_join__the_device_refuses(void **state)
{
	const struct ip_address group = GROUP;

	(void)state;
	rig.device_error = -EIO;
	assert_int_equal(group_join(&rig.net, &group), -EIO);
	assert_false(group_is_member(&rig.net, &group));
	assert_int_equal(rig.sent_count, 0);
	rig.device_error = 0;
	rig_join(GROUP);
}

static void group_join__a_device_that_does_not_filter(void **state)
{
	const struct netdev_ops plain = {.kind = "plain"};
	const struct ip_address group = GROUP;

	(void)state;
	rig.device.ops = &plain;
	rig_join(GROUP);
	assert_true(group_is_member(&rig.net, &group));
	rig_leave(GROUP);
	rig.device.ops = &rig_ops;
}

/* ---- What is told: RFC 3376, 5.1; RFC 3810, 6.1 ---- */

static void group_join__is_told_twice_within_a_second(void **state)
{
	(void)state;
	rig_join(GROUP);
	assert_int_equal(rig.sent_count, 1);
	rig_advance(SECOND + 10 * MS);
	assert_int_equal(rig.sent_count, 2);
	rig_advance(10 * SECOND);
	assert_int_equal(rig.sent_count, 2);
	for (unsigned int i = 0; i < 2; i++) {
		assert_int_equal(record_of(&rig.sent[i]), 4);
		assert_int_equal(records_of(&rig.sent[i]), 1);
	}
	rig_leave(GROUP);
	rig_advance(10 * SECOND);
	assert_int_equal(rig.sent_count, 4);
	assert_int_equal(record_of(&rig.sent[2]), 3);
	assert_int_equal(record_of(&rig.sent[3]), 3);
}

/* Only the last change is repeated. */
static void group_join__while_the_leave_is_repeated(void **state)
{
	(void)state;
	rig_join(GROUP);
	rig_leave(GROUP);
	rig_join(GROUP);
	assert_int_equal(rig.sent_count, 3);
	rig_advance(10 * SECOND);
	assert_int_equal(rig.sent_count, 4);
	assert_int_equal(record_of(&rig.sent[1]), 3);
	assert_int_equal(record_of(&rig.sent[3]), 4);
}

/* As long as there are other places, that of a group that we are leaving is not taken. */
static void group_leave__is_repeated_whatever_is_joined(void **state)
{
	(void)state;
	rig_join(V4(239, 1, 0, 1));
	rig_settle();
	rig_leave(V4(239, 1, 0, 1));
	rig_join(V4(239, 1, 0, 2));
	rig_advance(2 * SECOND);
	assert_int_equal(rig.sent_count, 4);
	assert_int_equal((record_of(&rig.sent[2]) == 3) + (record_of(&rig.sent[3]) == 3), 1);
}

static void group_join__at_a_random_time(void **state)
{
	unsigned int early = 0;

	(void)state;
	for (unsigned int i = 0; i < GROUPS_MAX; i++)
		rig_join(V4(239, 1, 0, i));
	rig.sent_count = 0;
	rig_advance(SECOND / 2);
	early = rig.sent_count;
	/* 32 of 64 expected, standard deviation 4. */
	assert_in_range(early, 16, 48);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, GROUPS_MAX);
}

/* RFC 3376, 5; RFC 3810, 6: all hosts never, nor less than a link's scope. */
static void group_join__of_some_nobody_is_told(void **state)
{
	(void)state;
	rig_join(V4(224, 0, 0, 1));
	rig_join(IPV6_ALL_NODES);
	rig_join(ip_address_v6_halves(0xff01000000000000, 0xfb));
	rig_join(ip_address_v6_halves(0xff00000000000000, 0xfb));
	ask_all(10);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 0);
	/* Solicited-node groups are. */
	rig_join(ip_address_v6_halves(0xff02000000000000, 0x1ff000002));
	rig_join(V4(224, 0, 0, 251));
	assert_int_equal(rig.sent_count, 2);
}

/* ---- Questions: RFC 3376, 5.2; RFC 3810, 6.2 ---- */

static void group_query__one_answer_for_all(void **state)
{
	(void)state;
	rig_join(V4(239, 1, 0, 1));
	rig_join(V4(239, 1, 0, 2));
	rig_join(GROUP6(3));
	rig_settle();
	ask_all(5000);
	assert_int_equal(rig.sent_count, 0);
	rig_advance(5 * SECOND + 10 * MS);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(record_of(&rig.sent[0]), 2);
	assert_int_equal(records_of(&rig.sent[0]), 2);
	rig_advance(20 * SECOND);
	assert_int_equal(rig.sent_count, 1);
}

static void group_query__answers_at_random_times(void **state)
{
	uint64_t sum_ns = 0;

	(void)state;
	rig_join(GROUP);
	rig_settle();
	for (unsigned int i = 0; i < 100; i++) {
		uint64_t start_ns = rig.net.now_ns;

		ask_all(10000);
		rig_advance(11 * SECOND);
		assert_int_equal(rig.sent_count, i + 1);
		sum_ns += rig.sent[i].now_ns - start_ns;
	}
	/* 5 s expected, standard deviation of the mean 0.29. */
	assert_in_range(sum_ns / 100 / MS, 3800, 6200);
}

static void group_query__for_one_group(void **state)
{
	struct group_query query = query_of(false, GROUP, 1000);

	(void)state;
	rig_join(GROUP);
	rig_join(V4(239, 1, 0, 2));
	rig_settle();
	group_query(&rig.net, &query);
	query.group = V4(239, 7, 7, 7);
	group_query(&rig.net, &query);
	rig_advance(2 * SECOND);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(record_of(&rig.sent[0]), 2);
	assert_int_equal(records_of(&rig.sent[0]), 1);
	assert_memory_equal(rig.sent[0].bytes + 12, "\xef\1\2\3", 4);
	/* IGMP cannot ask for a group of IPv6. */
	rig_join(GROUP6(3));
	rig_settle();
	query.group = GROUP6(3);
	group_query(&rig.net, &query);
	rig_advance(2 * SECOND);
	assert_int_equal(rig.sent_count, 0);
}

/* RFC 3376, 5.2, rule 1: what is planned sooner stands, what is asked for sooner replaces it. */
static void group_query__the_earlier_answer_counts(void **state)
{
	(void)state;
	rig_join(GROUP);
	rig_settle();
	ask_all(3600 * 1000);
	ask_all(1000);
	rig_advance(SECOND + 10 * MS);
	assert_int_equal(rig.sent_count, 1);
	rig_advance(3600 * SECOND);
	assert_int_equal(rig.sent_count, 1);
}

static void group_query__a_storm_makes_few_answers(void **state)
{
	struct group_query query = query_of(false, GROUP, 0);

	(void)state;
	rig_join(GROUP);
	rig_settle();
	for (unsigned int i = 0; i < 1000; i++) {
		ask_all(0);
		group_query(&rig.net, &query);
		rig_advance(10 * MS);
	}
	/* In 10 s each four times a second. */
	assert_in_range(rig.sent_count, 60, 82);
}

static void group_query__who_is_no_member_says_nothing(void **state)
{
	struct group_query query = query_of(false, GROUP, 100);

	(void)state;
	ask_all(100);
	group_query(&rig.net, &query);
	rig_join(GROUP);
	rig_settle();
	rig_leave(GROUP);
	rig_settle();
	ask_all(100);
	group_query(&rig.net, &query);
	rig_advance(10 * SECOND);
	assert_int_equal(rig.sent_count, 0);
}

static void group_query__the_answer_is_that_of_then(void **state)
{
	(void)state;
	rig_join(GROUP);
	rig_settle();
	ask_all(10000);
	rig_leave(GROUP);
	rig_advance(20 * SECOND);
	/* Twice that we have left, and nothing else. */
	assert_int_equal(rig.sent_count, 2);
	assert_int_equal(record_of(&rig.sent[1]), 3);
}

/* ---- Older routers: RFC 3376, 7.2; RFC 3810, 8.2 ---- */

static void group_query__an_old_router_is_answered_in_its_words(void **state)
{
	(void)state;
	rig_join(V4(239, 1, 0, 1));
	rig_join(V4(239, 1, 0, 2));
	rig_settle();
	ask_all_old(2, 1000);
	rig_advance(2 * SECOND);
	assert_int_equal(rig.sent_count, 2);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(rig.sent[i].bytes[0], 0x16);
	/* Joins and leaves too, while it may be there: 260 s. */
	rig.sent_count = 0;
	rig_join(GROUP);
	assert_int_equal(rig.sent[0].bytes[0], 0x16);
	rig_settle();
	rig_advance(250 * SECOND);
	ask_all(100);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 3);
	assert_int_equal(rig.sent[0].bytes[0], 0x16);
	rig.sent_count = 0;
	rig_advance(10 * SECOND);
	ask_all(100);
	rig_advance(SECOND);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(records_of(&rig.sent[0]), 3);
}

/* RFC 3376, 7.2.1: what was planned in other words is cancelled. */
static void group_query__a_change_of_version_cancels(void **state)
{
	(void)state;
	rig_join(GROUP);
	rig_settle();
	ask_all(5000);
	ask_all_old(2, 1000);
	rig_advance(10 * SECOND);
	assert_int_equal(rig.sent_count, 1);
	assert_int_equal(rig.sent[0].bytes[0], 0x16);
	/* The oldest counts. */
	ask_all_old(1, 1000);
	ask_all_old(2, 1000);
	rig_advance(10 * SECOND);
	assert_int_equal(rig.sent_count, 2);
	assert_int_equal(rig.sent[1].bytes[0], 0x12);
}

static void group_query__versions_of_ip_do_not_mix(void **state)
{
	struct group_query query = query_of(true, ip_address_v6_halves(0, 0), 1000);

	(void)state;
	rig_join(GROUP);
	rig_join(GROUP6(3));
	rig_settle();
	query.version = 1;
	group_query(&rig.net, &query);
	ask_all(1000);
	rig_advance(2 * SECOND);
	assert_int_equal(rig.sent_count, 2);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(rig.sent[i].bytes[0],
				 rig.sent[i].send.protocol == IPPROTO_IGMP ? 0x22 : 131);
	assert_int_not_equal(rig.sent[0].bytes[0], rig.sent[1].bytes[0]);
}

/* ---- The end ---- */

static void group_destroy__leaves_them_all(void **state)
{
	(void)state;
	rig_join(V4(239, 1, 0, 1));
	rig_join(V4(239, 1, 0, 2));
	rig_join(GROUP6(3));
	rig_join(V4(224, 0, 0, 1));
	rig_settle();
	rig_leave(V4(239, 1, 0, 2));
	ask_all(1000);
	rig.sent_count = 0;
	group_destroy(&rig.net);
	assert_null(rig.net.groups);
	assert_int_equal(rig.sent_count, 2);
	assert_int_equal(record_of(&rig.sent[0]), 3);
	assert_int_equal(records_of(&rig.sent[0]), 1);
	assert_int_equal(rig.sent[1].bytes[0], 143);
	assert_int_equal(rig.sent[1].bytes[8], 3);
	assert_int_equal(rig.filter_count, 0);
}

static void group_destroy__with_none_says_nothing(void **state)
{
	(void)state;
	rig_join(V4(224, 0, 0, 1));
	group_destroy(&rig.net);
	assert_int_equal(rig.sent_count, 0);
}

static void group_tx__no_frame(void **state)
{
	struct buf *frames[RIG_FRAMES];

	(void)state;
	for (unsigned int i = 0; i < RIG_FRAMES; i++)
		frames[i] = netdev_alloc(&rig.device);
	rig_join(GROUP);
	rig_join(GROUP6(1));
	assert_int_equal(rig.sent_count, 0);
	assert_int_equal(rig_drops(NET_DROP_NO_FRAME), 2);
	for (unsigned int i = 0; i < RIG_FRAMES; i++)
		netdev_release(&rig.device, frames[i]);
	/* It is repeated. */
	rig_advance(2 * SECOND);
	assert_int_equal(rig.sent_count, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		rig_test(group_join__is_counted),
		rig_test(group_is_member__of_all_hosts_always),
		rig_test(group_join__64_of_them),
		rig_test(group_has_link__of_members_alone),
		rig_test(group_join__tells_the_device_each_address_once),
		rig_test(group_join__the_device_refuses),
		rig_test(group_join__a_device_that_does_not_filter),
		rig_test(group_join__is_told_twice_within_a_second),
		rig_test(group_join__while_the_leave_is_repeated),
		rig_test(group_leave__is_repeated_whatever_is_joined),
		rig_test(group_join__at_a_random_time),
		rig_test(group_join__of_some_nobody_is_told),
		rig_test(group_query__one_answer_for_all),
		rig_test(group_query__answers_at_random_times),
		rig_test(group_query__for_one_group),
		rig_test(group_query__the_earlier_answer_counts),
		rig_test(group_query__a_storm_makes_few_answers),
		rig_test(group_query__who_is_no_member_says_nothing),
		rig_test(group_query__the_answer_is_that_of_then),
		rig_test(group_query__an_old_router_is_answered_in_its_words),
		rig_test(group_query__a_change_of_version_cancels),
		rig_test(group_query__versions_of_ip_do_not_mix),
		rig_test(group_destroy__leaves_them_all),
		rig_test(group_destroy__with_none_says_nothing),
		rig_test(group_tx__no_frame),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
