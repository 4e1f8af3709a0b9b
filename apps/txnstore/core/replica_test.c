/* SPDX-License-Identifier: MIT */
/* Three replicas, and a network that delivers what the test says: what seeds reach too seldom. */
#include "replica.h"

#include <errno.h>
#include <string.h>

#include "testing.h"

#define MS UINT64_C(1000000)
#define REPLICAS 3u
#define MESSAGES 256u

struct sent {
	uint32_t from, to;
	uint8_t type;
	size_t len;
	uint8_t bytes[600];
};

/* What a replica has written, in a test with logs; all of it is durable at once. */
#define RECORDS 64u
struct log {
	struct record {
		size_t len;
		uint8_t bytes[600];
	} records[RECORDS];
	size_t count;
};

static struct log logs[REPLICAS];
static struct replica replicas[REPLICAS];
static bool is_up[REPLICAS], is_refusing[REPLICAS]; /* that its link is full */
static struct sent queue[MESSAGES];
static size_t queued;
static enum result last_result;
static uint64_t now_ns;

static bool send_message(void *context, uint32_t to, const struct message *message, bool is_held)
{
	const struct replica *from = context;
	struct sent *sent = &queue[queued];
	(void)is_held;

	if (is_refusing[to])
		return false;
	queued++;

	assert_true(queued < MESSAGES && message_size(message) <= sizeof(sent->bytes));
	*sent = (struct sent){.from = from->config.index,
			      .to = to,
			      .type = message->type,
			      .len = message_size(message)};
	message_write(message, sent->bytes);
	return true;
}

static void answer(void *context, uint64_t peer, const struct message *message, struct blob *blob)
{
	(void)context;
	(void)peer;
	(void)blob;
	last_result = message->result;
}

static void in_doubt(void *context, const struct operation *operation)
{
	(void)context;
	(void)operation;
}

static void write_record(void *context, const void *bytes, size_t len)
{
	const struct replica *replica = context;
	struct log *log = &logs[replica->config.index];
	struct record *record = &log->records[log->count++];

	assert_true(log->count <= RECORDS && len <= sizeof(record->bytes));
	record->len = len;
	memcpy(record->bytes, bytes, len);
}

static const struct replica_ops ops = {send_message, answer, NULL, NULL, in_doubt};
static const struct replica_ops ops_with_log = {send_message, answer, write_record, NULL, in_doubt};
static bool has_logs;
static uint64_t starts;

/* Not yet started, so that a log can be read in. */
static void start_empty(uint32_t index)
{
	const struct replica_config config = {
		.index = index,
		.count = REPLICAS,
		.heartbeat_ns = 5 * MS,
		.election_ns = 30 * MS,
		.retry_ns = 10 * MS,
		.doubt_ns = 100 * MS,
		.batch_bytes = 1024,
		.window = 8,
		.log_keep = 8,
		.versions_keep = 4,
		.bytes_max = UINT64_MAX,
		.limits = {.clients_max = 4, .session_idle_ns = 10 * MS},
	};

	assert_int_equal(replica_init(&replicas[index], &config, has_logs ? &ops_with_log : &ops,
				      &replicas[index], &testing_memory, ++starts),
			 0);
	is_up[index] = true;
}

static void start(uint32_t index, enum replica_start how)
{
	start_empty(index);
	for (size_t i = 0; how == REPLICA_START_RESTORED && i < logs[index].count; i++)
		assert_int_equal(replica_restore(&replicas[index], logs[index].records[i].bytes,
						 logs[index].records[i].len),
				 0);
	replica_start(&replicas[index], now_ns, how);
}

static void stop(uint32_t index)
{
	replica_destroy(&replicas[index]);
	is_up[index] = false;
}

static void deliver(const struct sent *sent)
{
	struct sent copy = *sent;
	struct message message;

	assert_int_equal(message_parse(&message, copy.bytes, copy.len), 0);
	if (!is_up[copy.to])
		return;
	replica_receive(&replicas[copy.to], now_ns, 0, &message);
	if (has_logs)
		replica_written(&replicas[copy.to], now_ns, replicas[copy.to].written);
}

/* All that is under way, and what comes of it; but for what is between @a and @b. */
static void deliver_all_but(uint32_t a, uint32_t b)
{
	while (queued) {
		struct sent first = queue[0];

		memmove(queue, queue + 1, --queued * sizeof(*queue));
		if ((first.from != a || first.to != b) && (first.from != b || first.to != a))
			deliver(&first);
	}
}

static void deliver_all(void)
{
	deliver_all_but(REPLICAS, REPLICAS);
}

static void put(uint32_t primary, uint64_t number)
{
	const struct testing_access write = {.key = "key", .value = "value", .is_write = true};
	const uint16_t shard = 0;
	struct blob *blob = testing_operation(
		(struct operation){
			.kind = OPERATION_PREPARE, .client = 1, .number = number, .shards = 1},
		&shard, &write, 1);
	struct message message = {.type = MESSAGE_OPERATION,
				  .from = MESSAGE_NOT_A_REPLICA,
				  .nonce = number,
				  .body = blob->bytes,
				  .body_len = blob->len};

	last_result = RESULT_NONE;
	replica_receive(&replicas[primary], now_ns, 0, &message);
	if (has_logs)
		replica_written(&replicas[primary], now_ns, replicas[primary].written);
	blob_release(blob);
}

static enum result outcome(uint32_t index, uint64_t number)
{
	return shard_result(&replicas[index].shard, 1, number);
}

static int setup(void **state)
{
	(void)state;
	now_ns = MS;
	queued = 0;
	memset(is_refusing, 0, sizeof(is_refusing));
	memset(logs, 0, sizeof(logs));
	for (uint32_t i = 0; i < REPLICAS; i++)
		start(i, REPLICA_START_NEW);
	return 0;
}

static int setup_logs(void **state)
{
	has_logs = true;
	return setup(state);
}

static int teardown(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < REPLICAS; i++)
		if (is_up[i])
			stop(i);
	has_logs = false;
	return 0;
}

static void replica__commits_with_a_majority_and_no_less(void **state)
{
	(void)state;

	put(0, 1);
	assert_int_equal(last_result, RESULT_NONE);
	deliver_all_but(0, 1);
	assert_int_equal(last_result, RESULT_YES);
	stop(1);
	stop(2);
	put(0, 2);
	deliver_all();
	assert_int_equal(last_result, RESULT_NONE);
}

static uint64_t last_of(uint32_t index)
{
	return replicas[index].log.first + replicas[index].log.count - 1;
}

static size_t count_sent(uint32_t from, uint32_t to, enum message_type type)
{
	size_t count = 0;

	for (size_t i = 0; i < queued; i++)
		count += queue[i].from == from && queue[i].to == to && queue[i].type == type;
	return count;
}

/* A client that asks again too early must not make longer what it waits for. */
static void replica__proposes_once_what_is_asked_again(void **state)
{
	(void)state;

	put(0, 1);
	put(0, 1);
	assert_int_equal(last_of(0), 1);
	put(0, 2);
	assert_int_equal(last_of(0), 2);
	deliver_all();
	assert_int_equal(outcome(0, 2), RESULT_YES);
}

static void replica__pushes_later_what_a_full_link_has_refused(void **state)
{
	(void)state;

	is_refusing[1] = true;
	for (uint64_t number = 1; number <= 3; number++)
		put(0, number);
	deliver_all();
	is_refusing[1] = false;
	put(0, 4);
	assert_int_equal(count_sent(0, 1, MESSAGE_PREPARE), 0);
	now_ns += 5 * MS;
	replica_tick(&replicas[0], now_ns);
	deliver_all_but(0, 2);
	assert_int_equal(last_of(1), 4);
	assert_int_equal(replicas[1].is_asking, false);
}

static void drop_queue_to(uint32_t to)
{
	size_t left = 0;

	for (size_t i = 0; i < queued; i++)
		if (queue[i].to != to)
			queue[left++] = queue[i];
	queued = left;
}

/* Of many PREPAREs that are of no use to it, it answers but the first with a question. */
static void replica__asks_once_for_what_it_lacks(void **state)
{
	(void)state;

	put(0, 1);
	drop_queue_to(1);
	deliver_all();
	for (uint64_t number = 2; number <= 6; number++)
		put(0, number);
	while (queued && queue[0].type == MESSAGE_PREPARE) {
		struct sent first = queue[0];

		memmove(queue, queue + 1, --queued * sizeof(*queue));
		if (first.to == 1)
			deliver(&first);
	}
	assert_int_equal(count_sent(1, 0, MESSAGE_GET_STATE), 1);
	deliver_all();
	assert_int_equal(last_of(1), 6);
	/* All of it has come in answers; then it is pushed again. */
	put(0, 7);
	assert_int_equal(count_sent(0, 1, MESSAGE_PREPARE), 1);
	deliver_all();
	assert_int_equal(last_of(1), 7);
}

/* The answer was lost, or the question. */
static void replica__asks_again_with_a_heartbeat(void **state)
{
	(void)state;

	put(0, 1);
	drop_queue_to(1);
	put(0, 2);
	deliver_all_but(1, 2);
	drop_queue_to(1);
	for (unsigned i = 0; i < 3; i++) {
		now_ns += 5 * MS;
		replica_tick(&replicas[0], now_ns);
		deliver_all();
	}
	assert_int_equal(last_of(1), 2);
}

/* What the others could not be sent would stand in their way for ever. */
static void replica__refuses_what_does_not_go_to_the_others(void **state)
{
	struct message message = {.type = MESSAGE_OPERATION,
				  .from = MESSAGE_NOT_A_REPLICA,
				  .nonce = 1,
				  .body_len = OPERATION_MAX + 1};
	const uint16_t shard = 0;
	struct operation operation = {
		.kind = OPERATION_PREPARE, .client = 1, .number = 1, .shards = 1, .writes = 9};
	struct writer writer = {.bytes = malloc(message.body_len), .room = message.body_len};
	uint8_t *value = calloc(1, VALUE_MAX);
	(void)state;

	operation_write(&writer, &operation, &shard);
	for (uint32_t i = 0; i < operation.writes; i++) {
		uint32_t left = (uint32_t)(writer.room - writer.len) - 7;

		operation_write_write(&writer, &"abcdefghi"[i], 1, value,
				      i + 1 == operation.writes ? left : VALUE_MAX - 100);
	}
	assert_int_equal(writer.len, writer.room);
	message.body = writer.bytes;
	last_result = RESULT_NONE;
	replica_receive(&replicas[0], now_ns, 0, &message);
	assert_int_equal(last_result, RESULT_BAD);
	assert_int_equal(queued, 0);
	free(value);
	free(writer.bytes);
}

/* Nobody hears of the primary for long enough. */
static void time_out(uint32_t index)
{
	now_ns += 61 * MS;
	replica_tick(&replicas[index], now_ns);
}

static void replica__takes_over_with_all_that_was_committed(void **state)
{
	(void)state;

	put(0, 1);
	deliver_all_but(0, 2);
	assert_int_equal(last_result, RESULT_YES);
	stop(0);
	time_out(2);
	deliver_all();
	assert_true(replica_leads(&replicas[1]));
	assert_int_equal(replicas[1].shard.applied, 1);
	assert_int_equal(replicas[2].status, REPLICA_NORMAL);
	put(1, 2);
	deliver_all();
	assert_int_equal(last_result, RESULT_YES);
	assert_int_equal(replicas[2].shard.applied, 1);
}

/* Replicas 1 and 2 go on without 0, which knows nothing of it and is for itself the primary of view 0. */
static void leave_0_behind(void)
{
	is_up[0] = false;
	time_out(2);
	deliver_all();
	assert_true(replica_leads(&replicas[1]));
	assert_int_equal(replicas[1].view, 1);
	put(1, 9);
	deliver_all();
	assert_int_equal(last_result, RESULT_YES);
	is_up[0] = true;
}

/* The longest log is not the best: what is in it may be of a view that came to nothing. */
static void view_change__takes_the_log_of_the_latest_view(void **state)
{
	(void)state;

	for (uint64_t number = 1; number <= 3; number++)
		put(0, number);
	queued = 0;
	leave_0_behind();
	stop(1);
	time_out(2);
	deliver_all();
	assert_true(replica_leads(&replicas[2]));
	put(2, 10);
	deliver_all();
	assert_int_equal(last_result, RESULT_YES);
	assert_int_equal(outcome(2, 9), RESULT_YES);
	for (uint64_t number = 1; number <= 3; number++)
		assert_int_equal(outcome(2, number), RESULT_NONE);
	/* And the one that was left behind has thrown away what nobody had. */
	put(2, 11);
	deliver_all();
	assert_int_equal(outcome(0, 9), RESULT_YES);
	assert_int_equal(outcome(0, 1), RESULT_NONE);
}

/* One answer, be it of a primary, is not enough: it may be the one that was left behind. */
static void recovery__waits_for_a_quorum(void **state)
{
	(void)state;

	leave_0_behind();
	stop(2);
	start(2, REPLICA_START_LOST);
	is_up[1] = false;
	deliver_all();
	now_ns += 11 * MS;
	replica_tick(&replicas[2], now_ns);
	deliver_all();
	assert_int_equal(replicas[2].status, REPLICA_RECOVERING);
	put(0, 1);
	deliver_all();
	assert_int_equal(last_result, RESULT_NONE);
	is_up[1] = true;
	now_ns += 11 * MS;
	replica_tick(&replicas[2], now_ns);
	deliver_all();
	assert_int_equal(replicas[2].status, REPLICA_NORMAL);
	assert_true(replicas[2].view >= 1);
	assert_int_equal(outcome(2, 9), RESULT_YES);
}

/* A replica that has voted for a view takes part in none before it, whatever happens to it. */
static void view_change__is_not_forgotten_with_a_restart(void **state)
{
	struct message start_of_1 = {
		.type = MESSAGE_START_VIEW_CHANGE, .from = 1, .view = 1, .incarnation = 1};
	(void)state;

	put(0, 1);
	deliver_all();
	replica_receive(&replicas[2], now_ns, 0, &start_of_1);
	assert_int_equal(replicas[2].status, REPLICA_VIEW_CHANGE);
	stop(2);
	queued = 0;
	start(2, REPLICA_START_RESTORED);
	assert_true(replicas[2].view >= 1);
	assert_int_equal(replicas[2].status, REPLICA_VIEW_CHANGE);
	queued = 0;
	put(0, 2);
	deliver_all_but(0, 1);
	assert_int_equal(last_result, RESULT_NONE);
}

/* Lets replica 1 promise view 2 to replica 2. Return: the promise, which is late. */
static struct sent promise_of_view_2(void)
{
	struct sent promise = {.from = REPLICAS};
	struct message start_of_0 = {
		.type = MESSAGE_START_VIEW_CHANGE, .from = 0, .view = 2, .incarnation = 1};

	replica_receive(&replicas[1], now_ns, 0, &start_of_0);
	for (size_t i = 0; i < queued; i++)
		if (queue[i].type == MESSAGE_DO_VIEW_CHANGE && queue[i].to == 2)
			promise = queue[i];
	assert_int_equal(promise.from, 1);
	queued = 0;
	return promise;
}

static void recover_1_and_commit_with_0(void)
{
	stop(1);
	start(1, REPLICA_START_LOST);
	deliver_all();
	assert_int_equal(replicas[1].status, REPLICA_NORMAL);
	assert_int_equal(replicas[1].view, 0);
	put(0, 1);
	deliver_all_but(0, 2);
	assert_int_equal(last_result, RESULT_YES);
}

/* Replica 2 knows that replica 1 has started anew: it has asked it. */
static void recovery__voids_promises_of_before(void **state)
{
	struct sent promise = promise_of_view_2();
	(void)state;

	recover_1_and_commit_with_0();
	deliver(&promise);
	assert_false(replica_leads(&replicas[2]));
	deliver_all();
	for (uint32_t i = 0; i < REPLICAS; i++)
		if (replica_leads(&replicas[i]))
			assert_int_equal(replicas[i].log.first + replicas[i].log.count - 1, 1);
}

/* No clock says so: those who know of the last one do. */
static void recovery__is_a_later_start_each_time(void **state)
{
	(void)state;

	put(0, 1);
	deliver_all();
	for (uint64_t incarnation = 2; incarnation <= 4; incarnation++) {
		stop(1);
		start(1, REPLICA_START_LOST);
		deliver_all();
		assert_int_equal(replicas[1].status, REPLICA_NORMAL);
		assert_int_equal(replicas[1].incarnation, incarnation);
		assert_int_equal(replicas[0].incarnations[1], incarnation);
		assert_int_equal(outcome(1, 1), RESULT_YES);
	}
}

/* The question of a start that came to nothing comes late; what took part since is heard all the same. */
static void recovery__late_question_does_not_silence(void **state)
{
	struct message late = {.type = MESSAGE_RECOVERY, .from = 1, .incarnation = 7, .nonce = 5};
	(void)state;

	recover_1_and_commit_with_0();
	queued = 0;
	replica_receive(&replicas[0], now_ns, 0, &late);
	deliver_all();
	put(0, 2);
	deliver_all_but(0, 2);
	assert_int_equal(replicas[1].incarnation, 7);
	now_ns += 5 * MS;
	replica_tick(&replicas[0], now_ns);
	deliver_all_but(0, 2);
	assert_int_equal(last_result, RESULT_YES);
}

/* Who had voided a promise knows that after a restart, too. */
static void recovery__of_others_is_not_forgotten_with_a_restart(void **state)
{
	struct sent promise = promise_of_view_2();
	(void)state;

	recover_1_and_commit_with_0();
	deliver_all();
	assert_int_equal(replicas[2].incarnations[1], 2);
	stop(2);
	start(2, REPLICA_START_RESTORED);
	queued = 0;
	assert_int_equal(replicas[2].incarnation, 1);
	deliver(&promise);
	assert_false(replica_leads(&replicas[2]));
}

/* What is in the log of another, or of another version, is not this one's. */
static void restore__knows_whose_log_it_is(void **state)
{
	struct record *identity = &logs[0].records[0];
	(void)state;

	stop(0);
	stop(1);
	start(0, REPLICA_START_RESTORED);
	assert_int_equal(replicas[0].status, REPLICA_VIEW_CHANGE);
	start_empty(1);
	assert_int_equal(replica_restore(&replicas[1], identity->bytes, identity->len), -EXDEV);
	assert_int_equal(replicas[1].other.index, 0);
	assert_int_equal(replicas[1].other.count, REPLICAS);
	stop(1);
	start_empty(1);
	identity = &logs[1].records[0];
	identity->bytes[25 + 4]++; /* the version, behind a record's head and the magic number */
	assert_int_equal(replica_restore(&replicas[1], identity->bytes, identity->len),
			 -EPROTONOSUPPORT);
	assert_int_equal(
		replica_restore(&replicas[1], logs[0].records[1].bytes, logs[0].records[1].len),
		-EPROTONOSUPPORT);
}

static void recovery__waits_for_the_primary_of_the_latest_view(void **state)
{
	(void)state;

	put(0, 1);
	deliver_all();
	stop(1);
	start(1, REPLICA_START_LOST);
	deliver_all_but(0, 1);
	assert_int_equal(replicas[1].status, REPLICA_RECOVERING);
	now_ns += 11 * MS;
	replica_tick(&replicas[1], now_ns);
	deliver_all();
	assert_int_equal(replicas[1].status, REPLICA_NORMAL);
	assert_int_equal(replicas[1].shard.applied, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(replica__commits_with_a_majority_and_no_less, setup,
						teardown),
		cmocka_unit_test_setup_teardown(replica__refuses_what_does_not_go_to_the_others,
						setup, teardown),
		cmocka_unit_test_setup_teardown(replica__proposes_once_what_is_asked_again, setup,
						teardown),
		cmocka_unit_test_setup_teardown(replica__pushes_later_what_a_full_link_has_refused,
						setup, teardown),
		cmocka_unit_test_setup_teardown(replica__asks_once_for_what_it_lacks, setup,
						teardown),
		cmocka_unit_test_setup_teardown(replica__asks_again_with_a_heartbeat, setup,
						teardown),
		cmocka_unit_test_setup_teardown(replica__takes_over_with_all_that_was_committed,
						setup, teardown),
		cmocka_unit_test_setup_teardown(view_change__takes_the_log_of_the_latest_view,
						setup, teardown),
		cmocka_unit_test_setup_teardown(view_change__is_not_forgotten_with_a_restart,
						setup_logs, teardown),
		cmocka_unit_test_setup_teardown(recovery__waits_for_a_quorum, setup, teardown),
		cmocka_unit_test_setup_teardown(recovery__voids_promises_of_before, setup,
						teardown),
		cmocka_unit_test_setup_teardown(recovery__is_a_later_start_each_time, setup,
						teardown),
		cmocka_unit_test_setup_teardown(recovery__late_question_does_not_silence, setup,
						teardown),
		cmocka_unit_test_setup_teardown(recovery__of_others_is_not_forgotten_with_a_restart,
						setup_logs, teardown),
		cmocka_unit_test_setup_teardown(restore__knows_whose_log_it_is, setup_logs,
						teardown),
		cmocka_unit_test_setup_teardown(recovery__waits_for_the_primary_of_the_latest_view,
						setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
