/* SPDX-License-Identifier: MIT */
/* Queues that join the runtimes of several threads. */
#include "joined.h"

#include <pthread.h>

static char last_words[] = "last";

/* ---- Threads ---- */

#define MESSAGES 10000u
#define BYTES_MAX 3000u

/* The size of a message is a function of its number. */
static size_t bytes_of(unsigned int number)
{
	return 1 + (number * 2654435761u >> 7) % (number % 50 ? 200 : BYTES_MAX);
}

struct worker {
	pthread_t thread;
	const char *name;
	unsigned int seed;
	int failed; /* the line of the first failure */
};

static void worker_fail(struct worker *worker, int line)
{
	if (!worker->failed)
		worker->failed = line;
}
#define worker_check(worker, condition)                  \
	do {                                             \
		if (!(condition))                        \
			worker_fail((worker), __LINE__); \
	} while (0)

static bool holds_pattern(const demi_sgarray_t *sga, unsigned int seed, size_t size)
{
	unsigned char expected[BYTES_MAX];

	pattern_fill(expected, size, seed, 0);
	return sga->sga_numsegs == 1 && sga->sga_segs[0].sgaseg_len == size &&
	       memcmp(sga->sga_segs[0].sgaseg_buf, expected, size) == 0;
}

/* Sends back a fresh copy of each message until the end comes. */
static void answer_all(struct worker *worker, int qd)
{
	for (unsigned int i = 0;; i++) {
		demi_sgarray_t answer;
		demi_qtoken_t qt;
		demi_qresult_t qr;

		worker_check(worker, demi_pop(&qt, qd) == 0);
		worker_check(worker, demi_wait(&qr, qt, &wait_long) == 0);
		worker_check(worker, qr.qr_opcode == DEMI_OPC_POP);
		if (worker->failed)
			return;
		if (qr.qr_value.sga.sga_segs[0].sgaseg_len == 0) {
			demi_sgafree(&qr.qr_value.sga);
			return;
		}
		worker_check(worker,
			     holds_pattern(&qr.qr_value.sga, worker->seed + i, bytes_of(i)));
		answer = demi_sgaalloc(bytes_of(i));
		worker_check(worker, answer.sga_buf != NULL);
		if (worker->failed)
			return;
		memcpy(answer.sga_segs[0].sgaseg_buf, qr.qr_value.sga.sga_segs[0].sgaseg_buf,
		       bytes_of(i));
		worker_check(worker, demi_sgafree(&qr.qr_value.sga) == 0);
		worker_check(worker, demi_push(&qt, qd, &answer) == 0);
		worker_check(worker, demi_sgafree(&answer) == 0);
		worker_check(worker, demi_wait(&qr, qt, &wait_long) == 0);
		worker_check(worker, qr.qr_opcode == DEMI_OPC_PUSH);
	}
}

static void *work(void *argument)
{
	struct worker *worker = argument;
	int qd;

	worker_check(worker, demi_init(NULL) == 0);
	worker_check(worker, demi_queue_open(&qd, worker->name) == 0);
	if (!worker->failed)
		answer_all(worker, qd);
	demi_fini();
	return NULL;
}

static void worker_start(struct worker *worker)
{
	worker->failed = 0;
	assert_int_equal(pthread_create(&worker->thread, NULL, work, worker), 0);
}

static void worker_end(struct worker *worker)
{
	assert_int_equal(pthread_join(worker->thread, NULL), 0);
	assert_int_equal(worker->failed, 0);
}

/* @ahead messages are under way at a time. */
static void ask(int qd, unsigned int seed, unsigned int count, unsigned int ahead)
{
	unsigned int answered = 0;

	for (unsigned int i = 0; answered < count; i++) {
		if (i < count)
			await_opcode(push_pattern(qd, bytes_of(i), seed + i, 0), DEMI_OPC_PUSH);
		if (i < ahead - 1)
			continue;
		expect(pop(qd), bytes_of(answered), seed + answered);
		answered++;
	}
}

static void ask_a_worker(unsigned int count, unsigned int ahead)
{
	struct worker worker = {.name = "work", .seed = 1000};
	uint64_t before;
	int qd;

	option_set("LIBOS", "catmem");
	check_call(demi_queue_create(&qd, "work"), 0);
	before = objects();
	worker_start(&worker);
	ask(qd, worker.seed, count, ahead);
	check_call(demi_close(qd), 0);
	worker_end(&worker);
	assert_int_equal(objects(), before);
}

static void threads__one_message_at_a_time(void **state)
{
	(void)state;
	ask_a_worker(MESSAGES / 30, 1);
}

static void threads__many_messages_at_a_time(void **state)
{
	(void)state;
	ask_a_worker(MESSAGES, 200);
}

static void threads__that_sleep(void **state)
{
	(void)state;
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_RUNTIME_IDLE_AFTER_US", "0");
	option_set("DEMI_QUEUE_JOINED_ELEMENTS_MAX", "4");
	check_call(demi_init(NULL), 0);
	ask_a_worker(MESSAGES / 4, 1);
	ask_a_worker(MESSAGES / 4, 4);
}

#define WORKERS 6

static void threads__one_serves_many(void **state)
{
	struct worker workers[WORKERS];
	char names[WORKERS][16];
	int qds[WORKERS];

	(void)state;
	/* There are fewer CPUs than threads. */
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_RUNTIME_IDLE_AFTER_US", "0");
	check_call(demi_init(NULL), 0);
	option_set("LIBOS", "catmem");
	for (unsigned int i = 0; i < WORKERS; i++) {
		snprintf(names[i], sizeof(names[i]), "worker %u", i);
		workers[i] = (struct worker){.name = names[i], .seed = 100000 * i};
		check_call(demi_queue_create(&qds[i], names[i]), 0);
		worker_start(&workers[i]);
	}
	for (unsigned int number = 0; number < MESSAGES / 20; number++) {
		for (unsigned int i = 0; i < WORKERS; i++)
			await_opcode(
				push_pattern(qds[i], bytes_of(number), workers[i].seed + number, 0),
				DEMI_OPC_PUSH);
		for (unsigned int i = 0; i < WORKERS; i++)
			expect(pop(qds[i]), bytes_of(number), workers[i].seed + number);
	}
	for (unsigned int i = 0; i < WORKERS; i++)
		check_call(demi_close(qds[i]), 0);
	for (unsigned int i = 0; i < WORKERS; i++)
		worker_end(&workers[i]);
}

/* It pops one message, leaves another and a pop, and ends. */
static void *die(void *argument)
{
	struct worker *worker = argument;
	demi_qresult_t qr;
	demi_qtoken_t qt;
	int qd;

	worker_check(worker, demi_init(NULL) == 0);
	worker_check(worker, demi_queue_open(&qd, worker->name) == 0);
	worker_check(worker, demi_pop(&qt, qd) == 0);
	worker_check(worker, demi_wait(&qr, qt, &wait_long) == 0);
	worker_check(worker, demi_push(&qt, qd,
				       &(demi_sgarray_t){.sga_numsegs = 1,
							 .sga_segs = {{last_words, 4}}}) == 0);
	worker_check(worker, demi_pop(&qt, qd) == 0);
	worker_check(worker, demi_pop(&qt, qd) == 0);
	return NULL;
}

static void threads__that_end_with_a_runtime(void **state)
{
	struct worker worker = {.name = "dies"};
	demi_sgarray_t last;
	uint64_t before;
	int qd, files = open_files();

	(void)state;
	option_set("LIBOS", "catmem");
	check_call(demi_init(NULL), 0);
	check_call(demi_queue_create(&qd, "first"), 0);
	before = objects();
	for (int round = 0; round < 3; round++) {
		check_call(demi_queue_create(&qd, "dies"), 0);
		await_opcode(push_pattern(qd, 3000, 1, 0), DEMI_OPC_PUSH);
		await_opcode(push_pattern(qd, 3000, 2, 0), DEMI_OPC_PUSH);
		await_opcode(push_pattern(qd, 3000, 3, 0), DEMI_OPC_PUSH);
		assert_int_equal(pthread_create(&worker.thread, NULL, die, &worker), 0);
		worker_end(&worker);
		last = await_opcode(pop(qd), DEMI_OPC_POP).qr_value.sga;
		assert_int_equal(sga_bytes(&last), 4);
		check_call(demi_sgafree(&last), 0);
		expect_end(pop(qd));
		check_call(demi_close(qd), 0);
		assert_int_equal(objects(), before);
	}
	demi_fini();
	assert_int_equal(open_files(), files);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(threads__one_message_at_a_time),
		TEST(threads__many_messages_at_a_time),
		TEST_RAW(threads__that_sleep),
		TEST_RAW(threads__one_serves_many),
		TEST_RAW(threads__that_end_with_a_runtime),
	};

	return suite_main("joined_threads", !profile_get() || profile_get()->queues,
			  "in-memory queues", tests, COUNT_OF(tests));
}
