/* SPDX-License-Identifier: MIT */
#include "client.h"

#include <string.h>

#include "testing.h"

#define SECOND UINT64_C(1000000000)
#define SENT_MAX 16u

static struct txn_client client;
static struct message sent[SENT_MAX];
static size_t sent_count;
static enum outcome last_outcome;

static void send_message(void *context, uint16_t shard, uint32_t replica,
			 const struct message *message)
{
	(void)context;
	(void)shard;
	(void)replica;
	assert_true(sent_count < SENT_MAX);
	sent[sent_count++] = *message;
}

static void ended(void *context, struct transaction *transaction, enum outcome outcome)
{
	(void)context;
	(void)transaction;
	last_outcome = outcome;
}

static int setup_as(bool is_weak)
{
	const struct client_config config = {.id = 1,
					     .caller = {.shards = 1,
							.replicas = 3,
							.configuration = 4,
							.retry_ns = SECOND,
							.pause_ns = SECOND},
					     .timeout_ns = 10 * SECOND,
					     .is_weak = is_weak};

	txn_client_init(&client, &config, &testing_memory, send_message, NULL, 1);
	sent_count = 0;
	last_outcome = OUTCOME_NONE;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_as(false);
}

static int setup_weak(void **state)
{
	(void)state;
	return setup_as(true);
}

static int teardown(void **state)
{
	(void)state;
	txn_client_destroy(&client);
	return 0;
}

static void put(uint64_t now_ns)
{
	struct transaction *transaction = txn_begin(&client, now_ns);

	assert_int_equal(txn_put(transaction, "key", 3, "value", 5), 0);
	assert_int_equal(txn_commit(transaction, now_ns, ended, NULL), 0);
}

static void answer(const struct message *to, uint32_t from, enum message_type type,
		   enum result result, uint64_t configuration)
{
	struct message reply = {.type = (uint8_t)type,
				.result = (uint8_t)result,
				.from = from,
				.configuration = configuration,
				.nonce = to->nonce};

	txn_client_receive(&client, SECOND, &reply);
}

/* Machines that were started at other times have other clocks of this kind. */
static void stamp__is_of_the_clock_of_the_day(void **state)
{
	(void)state;

	client.day_ahead_ns = 1000 * SECOND;
	put(5 * SECOND);
	assert_true(sent[0].op >= 1005 * SECOND);
	/* A day that goes back makes no write older than the one before. */
	client.day_ahead_ns = 500 * SECOND;
	put(6 * SECOND);
	assert_true(sent[3].op > sent[0].op);
}

static void weak__is_full_when_a_majority_is(void **state)
{
	(void)state;

	put(SECOND);
	answer(&sent[0], 0, MESSAGE_QUORUM_PUT_REPLY, RESULT_DONE, 4);
	answer(&sent[1], 1, MESSAGE_QUORUM_PUT_REPLY, RESULT_FULL, 4);
	assert_int_equal(last_outcome, OUTCOME_NONE);
	answer(&sent[2], 2, MESSAGE_QUORUM_PUT_REPLY, RESULT_FULL, 4);
	assert_int_equal(last_outcome, OUTCOME_FULL);
}

static void client__knows_when_it_is_a_stranger_to_a_majority(void **state)
{
	(void)state;

	put(SECOND);
	answer(&sent[0], 0, MESSAGE_REPLY, RESULT_STRANGER, 5);
	assert_false(caller_is_stranger(&client.caller));
	for (uint64_t now_ns = SECOND; sent_count < 2; now_ns += SECOND)
		txn_client_tick(&client, now_ns);
	answer(&sent[1], 1, MESSAGE_REPLY, RESULT_STRANGER, 5);
	assert_true(caller_is_stranger(&client.caller));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(stamp__is_of_the_clock_of_the_day, setup_weak,
						teardown),
		cmocka_unit_test_setup_teardown(weak__is_full_when_a_majority_is, setup_weak,
						teardown),
		cmocka_unit_test_setup_teardown(client__knows_when_it_is_a_stranger_to_a_majority,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
