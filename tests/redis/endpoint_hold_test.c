/* SPDX-License-Identifier: MIT */
/* The native Redis's sockets: what is kept back until something else is durable. */
#include "endpoint_testing.h"

#define TEXT_BYTES 5u
#define TEXTS_MAX 16u
#define LOOKS 200

/* Texts that were pushed are freed when they are let go, and then counted. */
static unsigned int let_go;
static unsigned int settled;
static uint64_t held_last;

static void sent(void *held)
{
	demi_free(held);
	let_go++;
}

static void settle(void)
{
	settled++;
	endpoint_release(held_last);
}

static void hold(void)
{
	uint64_t number = endpoint_hold();

	assert_int_equal(number, held_last + 1);
	held_last = number;
}

static void push_text(const struct pair *pair, const char *text)
{
	demi_sgarray_t sga = {.sga_numsegs = 1};
	void *memory = demi_malloc(TEXT_BYTES);

	assert_int_equal(strlen(text), TEXT_BYTES);
	memcpy(memory, text, TEXT_BYTES);
	sga.sga_segs[0].sgaseg_buf = memory;
	sga.sga_segs[0].sgaseg_len = TEXT_BYTES;
	assert_int_equal(endpoint_push(pair->endpoint, &sga, &memory, 1), 0);
}

/* All that the peer hears while we look many times. */
static void peer_hears(const struct pair *pair, const char *text)
{
	char heard[TEXTS_MAX * TEXT_BYTES + 1];
	size_t bytes = 0;

	for (int i = 0; i < LOOKS; i++) {
		ssize_t got;

		endpoint_look();
		got = recv(pair->peer, heard + bytes, sizeof(heard) - 1 - bytes, MSG_DONTWAIT);
		bytes += got > 0 ? (size_t)got : 0;
	}
	heard[bytes] = '\0';
	assert_string_equal(heard, text);
}

static void endpoint_hold__keeps_back_in_order(void **state)
{
	struct pair one = make_pair(), two = make_pair();

	(void)state;
	let_go = 0;
	push_text(&one, "free.");
	hold();
	assert_true(endpoint_is_held());
	push_text(&one, "one1.");
	push_text(&two, "two1.");
	hold();
	push_text(&one, "one2.");
	assert_int_equal(endpoint_write(two.fd, "two2.", TEXT_BYTES), TEXT_BYTES);
	peer_hears(&one, "free.");
	peer_hears(&two, "");
	assert_int_equal(let_go, 1);
	assert_int_equal(two.endpoint->unsent, 2 * TEXT_BYTES);
	endpoint_release(held_last - 1);
	assert_true(endpoint_is_held());
	peer_hears(&one, "one1.");
	peer_hears(&two, "two1.");
	/* The first hold has ended, but this comes behind what the second keeps. */
	push_text(&one, "one3.");
	peer_hears(&one, "");
	endpoint_release(held_last);
	assert_false(endpoint_is_held());
	push_text(&one, "one4.");
	peer_hears(&one, "one2.one3.one4.");
	peer_hears(&two, "two2.");
	assert_int_equal(let_go, 6);
	assert_int_equal(one.endpoint->unsent + two.endpoint->unsent, 0);
	close_pair(&one);
	close_pair(&two);
}

static void endpoint_hold__a_later_release_ends_all_before(void **state)
{
	struct pair pair = make_pair();

	(void)state;
	for (int i = 0; i < 3; i++) {
		hold();
		push_text(&pair, "text.");
	}
	endpoint_release(held_last);
	endpoint_release(held_last - 1);
	assert_false(endpoint_is_held());
	peer_hears(&pair, "text.text.text.");
	close_pair(&pair);
}

static void endpoint_hold__counts_as_unsent(void **state)
{
	struct pair pair = make_pair();
	static char text[VALUE_BYTES];
	size_t bytes = 0;

	(void)state;
	hold();
	while (endpoint_room(pair.endpoint)) {
		assert_int_equal(endpoint_write(pair.fd, text, sizeof(text)), sizeof(text));
		bytes += sizeof(text);
	}
	assert_int_equal(bytes, ENDPOINT_UNSENT_MAX);
	assert_int_equal(endpoint_write(pair.fd, text, 1), -1);
	assert_int_equal(errno, EAGAIN);
	endpoint_release(held_last);
	peer_reads(&pair, bytes);
	close_pair(&pair);
}

static void endpoint_close__settles_first(void **state)
{
	struct pair pair = make_pair();

	(void)state;
	let_go = settled = 0;
	hold();
	push_text(&pair, "last.");
	assert_int_equal(endpoint_close(pair.fd), 0);
	pair.fd = -1;
	assert_int_equal(settled, 1);
	peer_hears(&pair, "last.");
	close_pair(&pair);
	assert_int_equal(let_go, 1);
}

/* Where nothing can be settled, nobody hears of it. */
static void endpoint_close__drops_what_stays_held(void **state)
{
	struct pair pair = make_pair();

	(void)state;
	let_go = 0;
	endpoint_on_settle(NULL);
	hold();
	push_text(&pair, "gone.");
	assert_int_equal(endpoint_write(pair.fd, "gone.", TEXT_BYTES), TEXT_BYTES);
	assert_int_equal(endpoint_close(pair.fd), 0);
	pair.fd = -1;
	peer_hears(&pair, "");
	close_pair(&pair);
	assert_int_equal(let_go, 1);
	endpoint_release(held_last);
	endpoint_on_settle(settle);
}

static void endpoint_hold__lets_go_where_the_peer_has_gone(void **state)
{
	struct pair pair = make_pair();

	(void)state;
	let_go = 0;
	hold();
	push_text(&pair, "lost.");
	reset(&pair);
	for (int i = 0; i < LOOKS && pair.endpoint->error == 0; i++)
		endpoint_look();
	assert_int_not_equal(pair.endpoint->error, 0);
	endpoint_release(held_last);
	assert_int_equal(let_go, 1);
	assert_null(pair.endpoint->sending);
	close_pair(&pair);
	assert_int_equal(let_go, 1);
}

static void endpoint_write__to_the_kernel_settles_first(void **state)
{
	struct pair pair = make_pair();
	int fds[2];
	char byte;

	(void)state;
	settled = 0;
	assert_int_equal(pipe(fds), 0);
	hold();
	assert_int_equal(endpoint_write(fds[1], "x", 1), 1);
	assert_int_equal(settled, 1);
	assert_int_equal(read(fds[0], &byte, 1), 1);
	close(fds[0]);
	close(fds[1]);
	close_pair(&pair);
}

static int setup(void **state)
{
	endpoint_on_sent(sent);
	endpoint_on_settle(settle);
	return listener_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoint_hold__keeps_back_in_order),
		cmocka_unit_test(endpoint_hold__a_later_release_ends_all_before),
		cmocka_unit_test(endpoint_hold__counts_as_unsent),
		cmocka_unit_test(endpoint_close__settles_first),
		cmocka_unit_test(endpoint_close__drops_what_stays_held),
		cmocka_unit_test(endpoint_hold__lets_go_where_the_peer_has_gone),
		cmocka_unit_test(endpoint_write__to_the_kernel_settles_first),
	};

	return cmocka_run_group_tests(tests, setup, listener_teardown);
}
