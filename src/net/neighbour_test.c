/* SPDX-License-Identifier: MIT */
#include "net/link_testing.h"

#include "net/autoconf.h"
#include "net/icmp.h"

/* ---- What neighbour.c calls ---- */

static struct asked {
	unsigned int all, one; /* questions */
	unsigned int v4, v6;
	struct eth_address last;
	unsigned int failed;
	unsigned int refused; /* packets whose sockets were told */
} asked;

static void ask(const struct eth_address *to)
{
	if (to)
		asked.last = *to;
	*(to ? &asked.one : &asked.all) += 1;
}

void arp_ask(struct net *net, const struct ip_address *ip, const struct eth_address *to)
{
	(void)net;
	assert_true(ip_address_is_v4(ip));
	asked.v4++;
	ask(to);
}

void ndp_ask(struct net *net, const struct ip_address *ip, const struct eth_address *to)
{
	(void)net;
	assert_false(ip_address_is_v4(ip));
	asked.v6++;
	ask(to);
}

void autoconf_router_failed(struct net *net, const struct ip_address *ip)
{
	(void)net;
	assert_false(ip_address_is_v4(ip));
	asked.failed++;
}

void icmp_tell_unreachable(struct net *net, const struct buf *buf, bool is_v6)
{
	(void)net;
	(void)is_v6;
	assert_true(buf->length > 0);
	asked.refused++;
}

static int setup(void **state)
{
	link_setup(state);
	memset(&asked, 0, sizeof(asked));
	return neighbour_table_create(&at.net);
}

static int teardown(void **state)
{
	neighbour_table_destroy(&at.net);
	assert_int_equal(timer_wheel_next_ns(&at.sched.timers), TIMER_NEVER);
	return link_teardown(state);
}

static struct neighbour *get(unsigned int host)
{
	struct ip_address ip = V4(10, (uint8_t)(host >> 16), (uint8_t)(host >> 8), (uint8_t)host);

	return neighbour_get(&at.net, &ip);
}

static int push(struct neighbour *neighbour, uint8_t mark)
{
	return neighbour_tx(&at.net, neighbour, link_frame(&mark, 1));
}

static struct neighbour_news news(const struct neighbour *neighbour, struct eth_address link)
{
	return (struct neighbour_news){
		.ip = neighbour->ip,
		.link = link,
		.has_link = true,
		.overrides = true,
	};
}

static bool tell(const struct neighbour *neighbour, struct eth_address link)
{
	struct neighbour_news heard = news(neighbour, link);

	return neighbour_learn(&at.net, &heard);
}

static bool reply(const struct neighbour *neighbour, struct eth_address link)
{
	struct neighbour_news heard = news(neighbour, link);

	heard.is_answer = true;
	return neighbour_learn(&at.net, &heard);
}

static struct neighbour *reachable(unsigned int host, struct eth_address link)
{
	struct neighbour *neighbour = get(host);

	assert_int_equal(push(neighbour, 0), 0);
	assert_true(reply(neighbour, link));
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	at.sent_count = 0;
	memset(&asked, 0, sizeof(asked));
	return neighbour;
}

static struct neighbour *stale(unsigned int host, struct eth_address link)
{
	struct neighbour *neighbour = reachable(host, link);

	link_pass(46 * SECOND);
	assert_int_equal(neighbour->state, NEIGHBOUR_STALE);
	return neighbour;
}

static bool is_link(const struct neighbour *neighbour, struct eth_address link)
{
	return eth_address_equal(&neighbour->link, &link);
}

/* ---- Packets and states ---- */

/* RFC 4861, 7.2.2: asked at once, sent in order when answered. */
static void neighbour_tx__waits_for_the_answer(void **state)
{
	struct neighbour *neighbour = get(7);

	(void)state;
	assert_int_equal(neighbour->state, NEIGHBOUR_NEW);
	assert_int_equal(asked.all, 0);
	for (uint8_t i = 1; i <= 3; i++)
		assert_int_equal(push(neighbour, i), 0);
	assert_int_equal(neighbour->state, NEIGHBOUR_INCOMPLETE);
	assert_int_equal(asked.all, 1);
	assert_int_equal(at.sent_count, 0);
	assert_true(reply(neighbour, MAC(7)));
	assert_int_equal(at.sent_count, 3);
	for (uint8_t i = 0; i < 3; i++) {
		assert_int_equal(at.sent[i].bytes[0], i + 1);
		assert_int_equal(at.sent[i].to.bytes[5], 7);
		assert_int_equal(at.sent[i].type, 0x0800);
	}
	assert_int_equal(push(neighbour, 4), 0);
	assert_int_equal(at.sent_count, 4);
	assert_int_equal(asked.all + asked.one, 1);
}

static void neighbour_tx__serves_both_versions(void **state)
{
	struct ip_address ip = ip_address_v6_halves(0xfe80000000000000, 7);
	struct neighbour *neighbour = neighbour_get(&at.net, &ip);

	(void)state;
	assert_int_equal(push(neighbour, 1), 0);
	assert_int_equal(asked.v6, 1);
	assert_int_equal(asked.v4, 0);
	assert_true(reply(neighbour, MAC(7)));
	assert_int_equal(at.sent[0].type, 0x86dd);
}

/* RFC 4861, 10: three questions, a second apart; then packets are refused for a while. */
static void neighbour_tx__gives_up_and_tries_again(void **state)
{
	struct neighbour *neighbour = get(7);

	(void)state;
	push(neighbour, 1);
	link_pass(SECOND / 2);
	assert_int_equal(asked.all, 1);
	link_pass(SECOND);
	assert_int_equal(asked.all, 2);
	link_pass(SECOND);
	assert_int_equal(asked.all, 3);
	assert_int_equal(neighbour->state, NEIGHBOUR_INCOMPLETE);
	link_pass(SECOND);
	assert_int_equal(asked.all, 3);
	assert_int_equal(neighbour->state, NEIGHBOUR_FAILED);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_NO_NEIGHBOUR), 1);
	assert_int_equal(asked.refused, 1);
	assert_int_equal(push(neighbour, 2), -EHOSTUNREACH);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_NO_NEIGHBOUR), 2);
	/* A late answer is to no question any more. */
	assert_false(reply(neighbour, MAC(7)));
	link_pass(SECOND);
	assert_int_equal(push(neighbour, 3), 0);
	assert_int_equal(asked.all, 4);
	assert_true(reply(neighbour, MAC(7)));
	assert_int_equal(at.sent[0].bytes[0], 3);
}

/* RFC 4861, 6.3.6: so that another router is used. */
static void neighbour_tx__tells_of_a_silent_router(void **state)
{
	struct ip_address ip = ip_address_v6_halves(0xfe80000000000000, 7);

	(void)state;
	push(neighbour_get(&at.net, &ip), 1);
	link_pass(4 * SECOND);
	assert_int_equal(asked.failed, 1);
	assert_int_equal(link_drops(NET_LAYER_NDP, NET_DROP_NO_NEIGHBOUR), 1);
}

/* RFC 1122, 2.3.2.2 and RFC 4861, 7.2.2: the newest are kept. */
static void neighbour_tx__bounds_what_waits(void **state)
{
	struct neighbour *neighbour = get(7);

	(void)state;
	for (uint8_t i = 0; i < 100; i++)
		assert_int_equal(push(neighbour, i), 0);
	assert_int_equal(neighbour->pending_count, 4);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_QUEUE_FULL), 96);
	assert_int_equal(heap_frames_free(at.device.frames), FRAMES - 4);
	reply(neighbour, MAC(7));
	assert_int_equal(at.sent_count, 4);
	for (uint32_t i = 0; i < 4; i++)
		assert_int_equal(at.sent[i].bytes[0], 96 + i);
}

/* All together leave most frames of the device to others, and the oldest of all goes first. */
static void neighbour_tx__bounds_what_waits_in_all(void **state)
{
	uint32_t waiting = 0;

	(void)state;
	neighbour_table_destroy(&at.net);
	at.net.options.neighbours_max = 1024;
	assert_int_equal(neighbour_table_create(&at.net), 0);
	for (unsigned int host = 1; host <= 500; host++)
		assert_int_equal(push(get(host), 1), 0);
	for (unsigned int host = 1; host <= 500; host++)
		waiting += get(host)->pending_count;
	assert_int_equal(waiting, FRAMES / 4);
	assert_int_equal(heap_frames_free(at.device.frames), FRAMES - FRAMES / 4);
	assert_int_equal(get(500 - FRAMES / 4)->pending_count, 0);
	assert_int_equal(get(501 - FRAMES / 4)->pending_count, 1);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_QUEUE_FULL), 500 - FRAMES / 4);
}

static void neighbour_tx__drops_when_nothing_may_wait(void **state)
{
	(void)state;
	neighbour_table_destroy(&at.net);
	at.net.options.neighbour_pending_max = 0;
	assert_int_equal(neighbour_table_create(&at.net), 0);
	assert_int_equal(push(get(7), 1), -ENOBUFS);
	assert_int_equal(asked.all, 1);
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_QUEUE_FULL), 1);
}

/* RFC 4861, 7.3.3: stale, delay, probe, and reachable by the answer. */
static void neighbour_tx__confirms_what_is_used(void **state)
{
	struct neighbour *neighbour = stale(7, MAC(7));

	(void)state;
	assert_int_equal(push(neighbour, 1), 0);
	assert_int_equal(at.sent_count, 1);
	assert_int_equal(neighbour->state, NEIGHBOUR_DELAY);
	assert_int_equal(neighbour->used_ns, at.net.now_ns);
	link_pass(4 * SECOND);
	assert_int_equal(asked.one, 0);
	link_pass(SECOND + SECOND / 10);
	assert_int_equal(neighbour->state, NEIGHBOUR_PROBE);
	assert_int_equal(asked.one, 1);
	assert_int_equal(asked.last.bytes[5], 7);
	/* It is being asked already; a claim does not make it start again. */
	assert_false(tell(neighbour, MAC(66)));
	assert_int_equal(neighbour->state, NEIGHBOUR_PROBE);
	assert_int_equal(push(neighbour, 2), 0);
	assert_int_equal(at.sent_count, 2);
	assert_true(reply(neighbour, MAC(7)));
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	link_pass(10 * SECOND);
	assert_int_equal(asked.one, 1);
}

/* RFC 4861, 6.3.2: between 0.5 and 1.5 times 30 s. */
static void neighbour_tx__believes_for_the_reachable_time(void **state)
{
	uint64_t least = UINT64_MAX, most = 0;

	(void)state;
	for (unsigned int i = 0; i < 40; i++) {
		struct neighbour *neighbour = reachable(7 + i, MAC(7));
		uint64_t time_ns = neighbour->confirmed_until_ns - at.net.now_ns;

		least = time_ns < least ? time_ns : least;
		most = time_ns > most ? time_ns : most;
		link_pass(7200 * SECOND);
	}
	assert_true(least >= 15 * SECOND && least < 25 * SECOND);
	assert_true(most <= 45 * SECOND && most > 35 * SECOND);
}

/* RFC 4861, 7.3.1: nothing is asked while the upper layer makes progress. */
static void neighbour_confirm__saves_the_question(void **state)
{
	struct neighbour *neighbour = stale(7, MAC(7));

	(void)state;
	push(neighbour, 1);
	link_pass(2 * SECOND);
	neighbour_confirm(&at.net, neighbour);
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	for (unsigned int i = 0; i < 20; i++) {
		link_pass(10 * SECOND);
		assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
		neighbour_confirm(&at.net, neighbour);
	}
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	assert_int_equal(asked.one + asked.all, 0);
	neighbour = get(8);
	neighbour_confirm(&at.net, neighbour);
	assert_int_equal(neighbour->state, NEIGHBOUR_NEW);
}

/* RFC 4861, 6.3.4, within bounds. */
static void neighbour_set_times__keeps_within_bounds(void **state)
{
	struct neighbour *neighbour;

	(void)state;
	neighbour_set_times(&at.net, 1, 1);
	neighbour = get(7);
	push(neighbour, 1);
	link_pass(SECOND / 5);
	assert_int_equal(asked.all, 1);
	link_pass(SECOND / 10);
	assert_int_equal(asked.all, 2);
	reply(neighbour, MAC(7));
	assert_true(neighbour->confirmed_until_ns - at.net.now_ns >= 5 * SECOND / 2);
	neighbour_set_times(&at.net, UINT32_MAX, UINT32_MAX);
	neighbour_confirm(&at.net, neighbour);
	assert_true(neighbour->confirmed_until_ns - at.net.now_ns >= 1800 * SECOND);
	assert_true(neighbour->confirmed_until_ns - at.net.now_ns <= 5400 * SECOND);
	memset(&asked, 0, sizeof(asked));
	push(get(8), 1);
	link_pass(9 * SECOND);
	assert_int_equal(asked.all, 1);
	link_pass(2 * SECOND);
	assert_int_equal(asked.all, 2);
}

/* ---- Poisoning ---- */

static void neighbour_learn__unsolicited_makes_no_entry(void **state)
{
	struct neighbour_news heard = {
		.ip = V4(10, 0, 0, 9), .link = MAC(9), .has_link = true, .overrides = true};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		heard.is_answer = i & 1;
		heard.asks_us = i & 2;
		assert_false(neighbour_learn(&at.net, &heard));
		assert_null(neighbour_find(&at.net, &heard.ip));
	}
}

/* Who was not asked is not believed, even before the first packet. */
static void neighbour_learn__answer_before_the_question_counts_not(void **state)
{
	struct neighbour *neighbour = get(7);

	(void)state;
	assert_false(reply(neighbour, MAC(66)));
	assert_int_equal(neighbour->state, NEIGHBOUR_NEW);
	push(neighbour, 1);
	assert_false(tell(neighbour, MAC(66)));
	assert_int_equal(neighbour->state, NEIGHBOUR_INCOMPLETE);
	assert_true(reply(neighbour, MAC(7)));
	assert_true(is_link(neighbour, MAC(7)));
}

/* RFC 4861, 7.2.5: without a link address there is nothing to learn. */
static void neighbour_learn__answer_needs_a_link_address(void **state)
{
	struct neighbour *neighbour = get(7);
	struct neighbour_news heard;

	(void)state;
	push(neighbour, 1);
	heard = news(neighbour, MAC(0));
	heard.is_answer = true;
	heard.has_link = false;
	assert_false(neighbour_learn(&at.net, &heard));
	assert_int_equal(neighbour->state, NEIGHBOUR_INCOMPLETE);
}

static void neighbour_learn__first_answer_wins(void **state)
{
	struct neighbour *neighbour = reachable(7, MAC(7));

	(void)state;
	assert_false(reply(neighbour, MAC(66)));
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	assert_true(is_link(neighbour, MAC(7)));
	push(neighbour, 1);
	assert_int_equal(at.sent[0].to.bytes[5], 7);
}

/* A gratuitous change is asked about, of the old one; it answers, and nothing has changed. */
static void neighbour_learn__change_is_refused_while_the_old_answers(void **state)
{
	struct neighbour *neighbour = reachable(7, MAC(7));

	(void)state;
	link_pass(2 * SECOND);
	assert_true(tell(neighbour, MAC(66)));
	assert_int_equal(neighbour->state, NEIGHBOUR_STALE);
	assert_int_equal(asked.one, 0);
	push(neighbour, 1);
	assert_int_equal(at.sent[0].to.bytes[5], 7);
	assert_int_equal(neighbour->state, NEIGHBOUR_PROBE);
	assert_int_equal(asked.one, 1);
	assert_int_equal(asked.last.bytes[5], 7);
	/* The liar's answer is not that of whom we have asked. */
	assert_false(reply(neighbour, MAC(66)));
	assert_true(is_link(neighbour, MAC(7)));
	assert_true(reply(neighbour, MAC(7)));
	assert_int_equal(neighbour->state, NEIGHBOUR_REACHABLE);
	assert_int_equal(asked.all, 0);
}

/* The same, when the interface has really changed: three questions, then everybody is asked. */
static void neighbour_learn__change_is_taken_when_the_old_is_silent(void **state)
{
	struct neighbour *neighbour = reachable(7, MAC(7));

	(void)state;
	link_pass(2 * SECOND);
	assert_true(tell(neighbour, MAC(8)));
	push(neighbour, 1);
	link_pass(3 * SECOND + SECOND / 10);
	assert_int_equal(asked.one, 3);
	assert_int_equal(asked.all, 1);
	assert_int_equal(neighbour->state, NEIGHBOUR_INCOMPLETE);
	push(neighbour, 2);
	assert_int_equal(at.sent_count, 1);
	assert_true(reply(neighbour, MAC(8)));
	assert_true(is_link(neighbour, MAC(8)));
	assert_int_equal(at.sent_count, 2);
	assert_int_equal(at.sent[1].to.bytes[5], 8);
}

/* Without any announcement too: RFC 4861, 7.3.3. */
static void neighbour_tx__finds_a_neighbour_that_has_moved(void **state)
{
	struct neighbour *neighbour = stale(7, MAC(7));

	(void)state;
	push(neighbour, 1);
	link_pass(8 * SECOND + SECOND / 10);
	assert_int_equal(asked.one, 3);
	assert_int_equal(asked.all, 1);
	assert_true(reply(neighbour, MAC(8)));
	assert_true(is_link(neighbour, MAC(8)));
}

/* A storm of claims costs at most a question a second. */
static void neighbour_learn__storm_of_claims_is_bounded(void **state)
{
	struct neighbour *neighbour = reachable(7, MAC(7));

	(void)state;
	for (unsigned int i = 0; i < 10000; i++) {
		link_pass(SECOND / 1000);
		tell(neighbour, MAC((uint8_t)(66 + i % 100)));
		push(neighbour, 1);
		at.sent_count = 0;
		if (neighbour->state == NEIGHBOUR_PROBE)
			assert_true(reply(neighbour, MAC(7)));
	}
	assert_true(is_link(neighbour, MAC(7)));
	assert_in_range(asked.one, 8, 11);
	assert_int_equal(asked.all, 0);
}

/* RFC 4861, 7.2.5, I: without the flag a reachable entry becomes stale, no other changes. */
static void neighbour_learn__heeds_the_override_flag(void **state)
{
	struct neighbour *neighbour = reachable(7, MAC(7));
	struct neighbour_news heard = news(neighbour, MAC(8));

	(void)state;
	link_pass(2 * SECOND);
	heard.overrides = false;
	assert_true(neighbour_learn(&at.net, &heard));
	assert_int_equal(neighbour->state, NEIGHBOUR_STALE);
	neighbour = stale(9, MAC(9));
	heard = news(neighbour, MAC(8));
	heard.overrides = false;
	assert_false(neighbour_learn(&at.net, &heard));
	assert_true(tell(neighbour, MAC(8)));
	assert_true(is_link(neighbour, MAC(9)));
}

static void neighbour_learn__request_refreshes_its_own_link_only(void **state)
{
	struct neighbour *neighbour = stale(7, MAC(7));
	struct neighbour_news heard = news(neighbour, MAC(7));

	(void)state;
	heard.asks_us = true;
	assert_true(neighbour_learn(&at.net, &heard));
	assert_int_equal(neighbour->state, NEIGHBOUR_STALE);
	assert_int_equal(neighbour->used_ns, at.net.now_ns);
	heard.asks_us = false;
	assert_false(neighbour_learn(&at.net, &heard));
	/* And who asks before he has answered has not answered. */
	neighbour = get(8);
	push(neighbour, 1);
	heard = news(neighbour, MAC(8));
	heard.asks_us = true;
	assert_false(neighbour_learn(&at.net, &heard));
	assert_int_equal(neighbour->state, NEIGHBOUR_INCOMPLETE);
}

static void neighbour_learn__router_flag_is_of_answers(void **state)
{
	struct neighbour *neighbour = get(7);
	struct neighbour_news heard = news(neighbour, MAC(7));

	(void)state;
	push(neighbour, 1);
	heard.is_answer = true;
	heard.is_router = true;
	assert_true(neighbour_learn(&at.net, &heard));
	assert_true(neighbour->is_router);
	heard.is_router = false;
	assert_false(neighbour_learn(&at.net, &heard));
	assert_true(neighbour->is_router);
}

/* ---- The table ---- */

static void count_entry(void *context, const struct neighbour *neighbour)
{
	assert_int_not_equal(neighbour->state, NEIGHBOUR_FREE);
	++*(unsigned int *)context;
}

static unsigned int entries(void)
{
	unsigned int count = 0;

	neighbour_each(&at.net, count_entry, &count);
	return count;
}

static void neighbour_get__finds_what_it_has_made(void **state)
{
	struct neighbour *neighbour = get(7);
	uint32_t generation = at.net.generation;

	(void)state;
	assert_ptr_equal(get(7), neighbour);
	assert_ptr_equal(neighbour_find(&at.net, &neighbour->ip), neighbour);
	assert_ptr_not_equal(get(8), neighbour);
	assert_int_equal(entries(), 2);
	assert_int_equal(at.net.generation, generation);
	assert_int_equal((uintptr_t)neighbour % 64, 0);
}

/* RFC 6583, section 7: a scan does not push out who answers, nor does it hold more than half. */
static void neighbour_get__flood_leaves_those_who_answer(void **state)
{
	struct neighbour *known[32];

	(void)state;
	for (unsigned int i = 0; i < 32; i++)
		known[i] = reachable(1 + i, MAC((uint8_t)(1 + i)));
	for (unsigned int host = 1000; host < 101000; host++) {
		struct neighbour *neighbour = get(host);

		assert_non_null(neighbour);
		assert_int_equal(push(neighbour, 1), 0);
	}
	assert_int_equal(entries(), 64);
	assert_true(heap_frames_free(at.device.frames) >= FRAMES - 32 * 4);
	for (unsigned int i = 0; i < 32; i++) {
		assert_ptr_equal(get(1 + i), known[i]);
		assert_int_equal(known[i]->state, NEIGHBOUR_REACHABLE);
	}
	assert_int_equal(link_drops(NET_LAYER_ARP, NET_DROP_NO_NEIGHBOUR), 100000 - 32);
}

static bool is_known(unsigned int host)
{
	struct ip_address ip = V4(10, 0, 0, host);

	return neighbour_find(&at.net, &ip) != NULL;
}

/* Of those who answer the one used long ago goes, and paths are told. */
static void neighbour_get__evicts_what_was_not_used(void **state)
{
	uint32_t generation;

	(void)state;
	for (unsigned int i = 1; i <= 64; i++) {
		reachable(i, MAC((uint8_t)i));
		link_pass(SECOND / 100);
	}
	for (unsigned int i = 1; i <= 64; i++) {
		if (i != 6)
			assert_int_equal(push(get(i), 0), 0);
		link_pass(SECOND / 100);
	}
	generation = at.net.generation;
	reachable(100, MAC(100));
	assert_int_equal(at.net.generation, generation + 1);
	assert_false(is_known(6));
	/* Now all were used since: of the few that are looked at the one used first. */
	reachable(101, MAC(101));
	assert_false(is_known(7));
	assert_int_equal(entries(), 64);
	for (unsigned int i = 1; i <= 64; i++)
		assert_int_equal(is_known(i), i != 6 && i != 7);
}

/* With all of them in use each new one costs another its place, and no more. */
static void neighbour_get__is_bounded_when_all_are_used(void **state)
{
	(void)state;
	for (unsigned int round = 0; round < 1000; round++) {
		reachable(1 + round, MAC(3));
		link_pass(100000);
		for (unsigned int i = round < 63 ? 0 : round - 63; i <= round; i++) {
			struct ip_address ip = V4(10, 0, (uint8_t)((1 + i) >> 8), (uint8_t)(1 + i));
			struct neighbour *neighbour = neighbour_find(&at.net, &ip);

			if (neighbour)
				push(neighbour, 0);
		}
		at.sent_count = 0;
		assert_true(entries() <= 64);
	}
	assert_int_equal(entries(), 64);
}

static void neighbour_get__unused_entries_expire(void **state)
{
	struct ip_address ip = V4(10, 0, 0, 7), silent = V4(10, 0, 0, 9), fresh = V4(10, 0, 0, 8);
	uint32_t generation;

	(void)state;
	stale(7, MAC(7));
	push(get(9), 1);
	get(8);
	generation = at.net.generation;
	link_pass(500 * SECOND);
	assert_non_null(neighbour_find(&at.net, &ip));
	link_pass(101 * SECOND);
	assert_null(neighbour_find(&at.net, &ip));
	assert_null(neighbour_find(&at.net, &fresh));
	assert_null(neighbour_find(&at.net, &silent));
	assert_int_equal(entries(), 0);
	assert_int_equal(at.net.generation, generation + 3);
	assert_int_equal(timer_wheel_next_ns(&at.sched.timers), TIMER_NEVER);
}

/* Those who are used stay; the timer does not take them for idle. */
static void neighbour_get__used_entries_stay(void **state)
{
	struct neighbour *neighbour = reachable(7, MAC(7));

	(void)state;
	for (unsigned int i = 0; i < 300; i++) {
		link_pass(5 * SECOND);
		push(neighbour, 0);
		if (neighbour->state == NEIGHBOUR_PROBE)
			reply(neighbour, MAC(7));
	}
	assert_ptr_equal(get(7), neighbour);
	assert_int_equal(entries(), 1);
}

static void neighbour_table__smallest_works(void **state)
{
	(void)state;
	neighbour_table_destroy(&at.net);
	at.net.options.neighbours_max = 0;
	assert_int_equal(neighbour_table_create(&at.net), 0);
	for (unsigned int i = 1; i <= 100; i++) {
		struct neighbour *neighbour = get(i);

		assert_int_equal(push(neighbour, 0), 0);
		if (i % 3)
			reply(neighbour, MAC(9));
	}
	assert_int_equal(entries(), 4);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(neighbour_tx__waits_for_the_answer),
		TEST(neighbour_tx__serves_both_versions),
		TEST(neighbour_tx__gives_up_and_tries_again),
		TEST(neighbour_tx__tells_of_a_silent_router),
		TEST(neighbour_tx__bounds_what_waits),
		TEST(neighbour_tx__bounds_what_waits_in_all),
		TEST(neighbour_tx__drops_when_nothing_may_wait),
		TEST(neighbour_tx__confirms_what_is_used),
		TEST(neighbour_tx__believes_for_the_reachable_time),
		TEST(neighbour_confirm__saves_the_question),
		TEST(neighbour_set_times__keeps_within_bounds),
		TEST(neighbour_learn__unsolicited_makes_no_entry),
		TEST(neighbour_learn__answer_before_the_question_counts_not),
		TEST(neighbour_learn__answer_needs_a_link_address),
		TEST(neighbour_learn__first_answer_wins),
		TEST(neighbour_learn__change_is_refused_while_the_old_answers),
		TEST(neighbour_learn__change_is_taken_when_the_old_is_silent),
		TEST(neighbour_tx__finds_a_neighbour_that_has_moved),
		TEST(neighbour_learn__storm_of_claims_is_bounded),
		TEST(neighbour_learn__heeds_the_override_flag),
		TEST(neighbour_learn__request_refreshes_its_own_link_only),
		TEST(neighbour_learn__router_flag_is_of_answers),
		TEST(neighbour_get__finds_what_it_has_made),
		TEST(neighbour_get__flood_leaves_those_who_answer),
		TEST(neighbour_get__evicts_what_was_not_used),
		TEST(neighbour_get__is_bounded_when_all_are_used),
		TEST(neighbour_get__unused_entries_expire),
		TEST(neighbour_get__used_entries_stay),
		TEST(neighbour_table__smallest_works),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
