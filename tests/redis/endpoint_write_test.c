/* SPDX-License-Identifier: MIT */
/* The native Redis's sockets: what is pushed, and what is held for that. */
#include "endpoint_testing.h"

#define HELD_MAX 64u

/* How often each value that was held has been let go. */
static unsigned int let_go[HELD_MAX];
static char *values[HELD_MAX];

static void sent(void *held)
{
	unsigned int number = (unsigned int)(uintptr_t)held - 1;

	if (let_go[number]++ == 0)
		demi_free(values[number]);
}

static void *held_of(unsigned int number)
{
	return (void *)(uintptr_t)(number + 1);
}

static void push_value(const struct pair *pair, unsigned int number)
{
	void *held = held_of(number);
	demi_sgarray_t sga = {.sga_numsegs = 2};
	char *value = demi_malloc(VALUE_BYTES);

	assert_non_null(value);
	memset(value, (int)number, VALUE_BYTES);
	sga.sga_segs[0].sgaseg_buf = value;
	sga.sga_segs[0].sgaseg_len = VALUE_BYTES - 2;
	sga.sga_segs[1].sgaseg_buf = value + VALUE_BYTES - 2;
	sga.sga_segs[1].sgaseg_len = 2;
	values[number] = value;
	assert_int_equal(endpoint_push(pair->endpoint, &sga, &held, 1), 0);
}

/* As many as are taken. */
static unsigned int push_until_full(const struct pair *pair)
{
	unsigned int count = 0;

	memset(let_go, 0, sizeof(let_go));
	for (; endpoint_room(pair->endpoint) && count < HELD_MAX; count++)
		push_value(pair, count);
	return count;
}

static void all_were_let_go(unsigned int count, unsigned int times)
{
	for (unsigned int i = 0; i < count; i++)
		assert_int_equal(let_go[i], times);
}

static void endpoint_push__stops_at_its_limit_and_goes_on(void **state)
{
	struct pair pair = make_pair();
	unsigned int count = push_until_full(&pair);

	(void)state;
	assert_int_equal(count, ENDPOINT_UNSENT_MAX / VALUE_BYTES);
	assert_false(endpoint_is_writable(pair.endpoint));
	all_were_let_go(count, 0);
	peer_reads(&pair, count * VALUE_BYTES);
	assert_true(wait_for(pair.fd, false, true, 5 * SECOND_NS).writable);
	for (int i = 0; i < 1000 && pair.endpoint->sending != NULL; i++)
		endpoint_look();
	all_were_let_go(count, 1);
	assert_int_equal(pair.endpoint->unsent, 0);
	/* And again. */
	count = push_until_full(&pair);
	assert_int_equal(count, ENDPOINT_UNSENT_MAX / VALUE_BYTES);
	peer_reads(&pair, count * VALUE_BYTES);
	close_pair(&pair);
	all_were_let_go(count, 1);
}

static void endpoint_push__lets_go_once_where_the_peer_has_gone(void **state)
{
	struct pair pair = make_pair();
	unsigned int count = push_until_full(&pair);

	(void)state;
	reset(&pair);
	for (int i = 0; i < 10000 && pair.endpoint->sending != NULL; i++)
		endpoint_look();
	all_were_let_go(count, 1);
	assert_int_equal(pair.endpoint->unsent, 0);
	close_pair(&pair);
	all_were_let_go(count, 1);
}

static void endpoint_close__lets_what_was_written_leave(void **state)
{
	struct pair pair = make_pair();
	unsigned int count = push_until_full(&pair);
	int fd = pair.fd;

	(void)state;
	assert_int_equal(endpoint_close(fd), 0);
	pair.fd = -1;
	assert_null(endpoint_of(fd));
	peer_reads(&pair, count * VALUE_BYTES);
	close_pair(&pair);
	all_were_let_go(count, 1);
}

/* The library gives a queue's number to the next one while what was written to the first still leaves. */
static void endpoint_close__its_number_is_anothers_meanwhile(void **state)
{
	struct pair old = make_pair(), new;
	unsigned int count = push_until_full(&old);
	int qd = old.endpoint->qd;

	(void)state;
	assert_int_equal(endpoint_close(old.fd), 0);
	old.fd = -1;
	new = make_pair();
	assert_int_equal(new.endpoint->qd, qd);
	peer_sends(&new, "question");
	arrive(&new, 8);
	peer_reads(&old, count * VALUE_BYTES);
	close_pair(&old);
	all_were_let_go(count, 1);
	assert_ptr_equal(endpoint_by_qd(qd), new.endpoint);
	assert_int_equal(endpoint_write(new.fd, "answer", 6), 6);
	peer_reads(&new, 6);
	close_pair(&new);
}

static void endpoint_listen__again_under_the_same_number(void **state)
{
	struct sockaddr_in any = {.sin_family = AF_INET};
	struct endpoint *endpoint;
	int qd = -1;

	(void)state;
	any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	for (int i = 0; i < 3; i++) {
		int fd = endpoint_socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

		assert_int_equal(endpoint_bind(fd, (struct sockaddr *)&any, sizeof(any)), 0);
		assert_int_equal(endpoint_listen(fd, 8), 0);
		endpoint = endpoint_of(fd);
		assert_true(qd < 0 || qd == endpoint->qd);
		qd = endpoint->qd;
		/* The accepts of the one before end now; they are not this one's. */
		all_close();
		assert_int_equal(endpoint->accepts, ENDPOINT_ACCEPTS);
		assert_int_equal(endpoint_close(fd), 0);
	}
	all_close();
	assert_null(endpoint_by_qd(qd));
}

/* Completions may come in any order: of the first, of one in the middle, of the last. */
static void endpoint_completed__in_any_order(void **state)
{
	static const unsigned int orders[][4] = {
		{0, 1, 2, 3}, {3, 2, 1, 0}, {1, 3, 0, 2}, {2, 0, 3, 1}};

	(void)state;
	for (unsigned int i = 0; i < 4; i++) {
		struct pair pair = make_pair();
		demi_qtoken_t tokens[4];
		struct endpoint_sending *sending;

		memset(let_go, 0, sizeof(let_go));
		for (unsigned int j = 0; j < 4; j++)
			push_value(&pair, j);
		sending = pair.endpoint->sending;
		for (unsigned int j = 0; j < 4; j++, sending = sending->next)
			tokens[j] = sending->token;
		/* As the waits would tell; what these tell afterwards is of no push any more. */
		for (unsigned int j = 0; j < 4; j++) {
			demi_qresult_t result = {.qr_opcode = DEMI_OPC_PUSH,
						 .qr_qd = pair.endpoint->qd,
						 .qr_qt = tokens[orders[i][j]]};

			endpoint_completed(&result);
			assert_int_equal(let_go[orders[i][j]], 1);
			assert_int_equal(pair.endpoint->unsent, (3 - j) * VALUE_BYTES);
		}
		assert_null(pair.endpoint->sending);
		assert_ptr_equal(pair.endpoint->sending_end, &pair.endpoint->sending);
		peer_reads(&pair, 4 * VALUE_BYTES);
		all_were_let_go(4, 1);
		/* The list is whole: another one goes to its end. */
		push_value(&pair, 4);
		peer_reads(&pair, VALUE_BYTES);
		close_pair(&pair);
		assert_int_equal(let_go[4], 1);
	}
}

static int setup(void **state)
{
	endpoint_on_sent(sent);
	return listener_setup(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endpoint_push__stops_at_its_limit_and_goes_on),
		cmocka_unit_test(endpoint_push__lets_go_once_where_the_peer_has_gone),
		cmocka_unit_test(endpoint_close__lets_what_was_written_leave),
		cmocka_unit_test(endpoint_close__its_number_is_anothers_meanwhile),
		cmocka_unit_test(endpoint_listen__again_under_the_same_number),
		cmocka_unit_test(endpoint_completed__in_any_order),
	};

	return cmocka_run_group_tests(tests, setup, listener_teardown);
}
