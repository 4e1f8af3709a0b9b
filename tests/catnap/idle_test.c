/* SPDX-License-Identifier: MIT */
/*
 * Waits that sleep: whatever completes an operation wakes them, and meanwhile they use little of
 * the processor. Another thread plays the peers, since this one sleeps.
 */
#include "catnap.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>

#define SOON_MS 3000    /* what a wake-up may take, generously */
#define DELAY_MS 60     /* until the other thread acts: the wait sleeps by then */
#define CPU_PERCENT 20L /* of the time */

static int64_t cpu_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* ---- The other thread ---- */

struct deed {
	void (*act)(struct deed *deed);
	int fd;
	struct address address;
	int result; /* a descriptor */
	pthread_t thread;
	pthread_t waiter;
};

static void *deed_main(void *argument)
{
	struct deed *deed = argument;
	struct timespec delay = milliseconds(DELAY_MS);

	nanosleep(&delay, NULL);
	deed->act(deed);
	return NULL;
}

static void deed_start(struct deed *deed)
{
	deed->waiter = pthread_self();
	assert_int_equal(pthread_create(&deed->thread, NULL, deed_main, deed), 0);
}

static void deed_join(struct deed *deed)
{
	assert_int_equal(pthread_join(deed->thread, NULL), 0);
}

static void act_send(struct deed *deed)
{
	deed->result = (int)send(deed->fd, "x", 1, MSG_NOSIGNAL);
}

static void act_connect(struct deed *deed)
{
	deed->result = socket(deed->address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (connect(deed->result, &deed->address.any, deed->address.size) < 0)
		perror("connect");
}

static void act_read_all(struct deed *deed)
{
	static char bytes[65536];

	fcntl(deed->fd, F_SETFL, 0);
	while (recv(deed->fd, bytes, sizeof(bytes), 0) > 0)
		;
}

static void act_signal(struct deed *deed)
{
	pthread_kill(deed->waiter, SIGUSR1);
}

/* ---- Waits ---- */

/* Sleep at once, and after a millisecond. */
static const char *const idle_after_us[] = {"0", "1000"};

static void restart_sleeping(const char *after_us)
{
	options_restore();
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_RUNTIME_IDLE_AFTER_US", after_us);
	catnap_restart();
}

/* Wait for any, without a timeout that would hide a lost wake-up. */
static demi_qresult_t wake(const demi_qtoken_t qts[], int count, bool slept)
{
	int64_t began_ms = now_ms(), began_cpu_us = cpu_us();
	demi_qresult_t qr;

	check_call(demi_wait_any(&qr, NULL, qts, count, &wait_long), 0);
	assert_true(now_ms() - began_ms < SOON_MS);
	if (slept)
		assert_true(cpu_us() - began_cpu_us < DELAY_MS * 1000 / 2);
	return qr;
}

static void idle__uses_little_of_the_processor(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(idle_after_us); i++) {
		struct timespec period = milliseconds(300);
		int listener, server, fd;
		int64_t began_ms, began_cpu_us;
		demi_qtoken_t qts[2];
		demi_qresult_t qr;

		restart_sleeping(idle_after_us[i]);
		fd = peer_pair(&transport_ipv4, &listener, &server);
		qts[0] = pop(server);
		check_call(demi_accept(&qts[1], listener), 0);
		began_ms = now_ms();
		began_cpu_us = cpu_us();
		check_call(demi_wait_any(&qr, NULL, qts, 2, &period), ETIMEDOUT);
		assert_true(now_ms() - began_ms >= 299);
		assert_true(now_ms() - began_ms < SOON_MS);
		assert_true(cpu_us() - began_cpu_us < 300 * 1000 * CPU_PERCENT / 100);
		close(fd);
	}
}

/* In each mode of the poller: few sockets, some, and many. */
static void idle__wakes_for_data(void **state)
{
	static const size_t counts[] = {1, 4, 5, 20, 200};
	static struct connection connections[200];
	static demi_qtoken_t qts[200];

	(void)state;
	skip_unless(files_allowed(600), "too few descriptors are allowed");
	for (size_t i = 0; i < COUNT_OF(idle_after_us) * COUNT_OF(counts); i++) {
		size_t count = counts[i / COUNT_OF(idle_after_us)];
		struct address address;
		int listener;

		restart_sleeping(idle_after_us[i % COUNT_OF(idle_after_us)]);
		listener = socket_listen(&transport_ipv4, &address);
		connections_open(listener, &address, connections, count);
		for (size_t j = 0; j < count; j++)
			qts[j] = pop(connections[j].qd);
		for (size_t j = 0; j < 3; j++) {
			size_t chosen = j * 67 % count;
			struct deed deed = {.act = act_send, .fd = connections[chosen].fd};
			demi_qresult_t qr;

			deed_start(&deed);
			qr = wake(qts, (int)count, true);
			deed_join(&deed);
			assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
			assert_int_equal(qr.qr_qd, connections[chosen].qd);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
			qts[chosen] = pop(connections[chosen].qd);
		}
		connections_close(connections, count);
	}
}

static void idle__wakes_for_a_connection(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(idle_after_us); i++) {
		struct deed deed = {.act = act_connect};
		demi_qtoken_t qt;
		int listener;

		restart_sleeping(idle_after_us[i]);
		listener = socket_listen(&transport_ipv4, &deed.address);
		check_call(demi_accept(&qt, listener), 0);
		deed_start(&deed);
		assert_int_equal(wake(&qt, 1, true).qr_opcode, DEMI_OPC_ACCEPT);
		deed_join(&deed);
		close(deed.result);
	}
}

static void idle__wakes_for_room(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(idle_after_us); i++) {
		struct deed deed = {.act = act_read_all};
		int listener, server;
		demi_qtoken_t qt;

		restart_sleeping(idle_after_us[i]);
		deed.fd = peer_pair(&transport_ipv4, &listener, &server);
		qt = push_pattern(server, 16 * MIB, 1, 0);
		check_pending(qt);
		deed_start(&deed);
		assert_int_equal(wake(&qt, 1, false).qr_opcode, DEMI_OPC_PUSH);
		check_call(demi_close(server), 0);
		deed_join(&deed);
		close(deed.fd);
	}
}

/* The end of an aclose is seen by a timer only. */
static void idle__wakes_for_timers(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT_OF(idle_after_us); i++) {
		struct deed deed = {.act = act_read_all};
		int listener, server;
		demi_qtoken_t push, closing;

		restart_sleeping(idle_after_us[i]);
		deed.fd = peer_pair(&transport_ipv4, &listener, &server);
		push = push_pattern(server, 8 * MIB, 1, 0);
		check_call(demi_aclose(&closing, server), 0);
		check_pending(closing);
		deed_start(&deed);
		assert_int_equal(wake(&closing, 1, false).qr_opcode, DEMI_OPC_CLOSE);
		await_opcode(push, DEMI_OPC_PUSH);
		deed_join(&deed);
		close(deed.fd);
	}
}

static void idle__sleeps_between_the_looks_of_a_timer(void **state)
{
	struct timespec period = milliseconds(300);
	int listener, server, fd;
	int64_t began_cpu_us;
	demi_qtoken_t push, closing;
	demi_qresult_t qr;

	(void)state;
	restart_sleeping("0");
	fd = peer_pair(&transport_ipv4, &listener, &server);
	/* The kernel takes all of it, the peer's kernel not. */
	send_buffer(server, 4 * MIB);
	push = push_pattern(server, 8 * MIB, 1, 0);
	check_call(demi_aclose(&closing, server), 0);
	began_cpu_us = cpu_us();
	check_call(demi_wait(&qr, closing, &period), ETIMEDOUT);
	assert_true(cpu_us() - began_cpu_us < 300 * 1000 * CPU_PERCENT / 100);
	check_call(demi_cancel(closing), 0);
	await_error(closing, ECANCELED);
	await(push);
	close(fd);
}

static void idle__wakes_for_files(void **state)
{
	char path[128];

	(void)state;
	snprintf(path, sizeof(path), "%s/idle", directory());
	for (size_t i = 0; i < COUNT_OF(idle_after_us); i++) {
		demi_qtoken_t qt;
		demi_qresult_t qr;
		int qd;

		restart_sleeping(idle_after_us[i]);
		check_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
		for (unsigned int j = 0; j < 30; j++) {
			qt = push_pattern(qd, 10000, 1, j * 10000);
			assert_int_equal(wake(&qt, 1, false).qr_opcode, DEMI_OPC_PUSH);
			qt = pop(qd);
			qr = wake(&qt, 1, false);
			assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
			assert_int_equal(sga_check(&qr.qr_value.sga, 1, j * 10000), 10000);
			check_call(demi_sgafree(&qr.qr_value.sga), 0);
		}
		check_call(demi_aclose(&qt, qd), 0);
		assert_int_equal(wake(&qt, 1, false).qr_opcode, DEMI_OPC_CLOSE);
	}
}

/* What files have signalled does not keep later waits awake. */
static void idle__sleeps_again_after_files_and_batches(void **state)
{
	static struct connection connections[20];
	struct timespec period = milliseconds(300);
	demi_qtoken_t qts[20], qt;
	int64_t began_cpu_us;
	struct address address;
	char path[128];
	demi_qresult_t qr;
	int listener, qd;

	(void)state;
	snprintf(path, sizeof(path), "%s/idle", directory());
	restart_sleeping("0");
	check_call(demi_open(&qd, path, O_RDWR | O_CREAT | O_TRUNC, 0600), 0);
	for (unsigned int i = 0; i < 10; i++)
		await_opcode(push_pattern(qd, 10000, 1, i * 10000), DEMI_OPC_PUSH);
	listener = socket_listen(&transport_ipv4, &address);
	connections_open(listener, &address, connections, 20);
	for (size_t i = 0; i < 20; i++) {
		qts[i] = pop(connections[i].qd);
		peer_send(connections[i].fd, "x", 1);
	}
	for (size_t i = 0; i < 20; i++) {
		qr = await_opcode(qts[i], DEMI_OPC_POP);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		qts[i] = pop(connections[i].qd);
	}
	began_cpu_us = cpu_us();
	check_call(demi_wait_any(&qr, NULL, qts, 20, &period), ETIMEDOUT);
	assert_true(cpu_us() - began_cpu_us < 300 * 1000 * CPU_PERCENT / 100);
	/* And a file still wakes it. */
	qt = push_pattern(qd, 10, 1, 0);
	assert_int_equal(wake(&qt, 1, false).qr_opcode, DEMI_OPC_PUSH);
	connections_close(connections, 20);
}

static volatile sig_atomic_t handled;

static void handle(int number)
{
	(void)number;
	handled++;
}

static void idle__wakes_for_signals(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * COUNT_OF(idle_after_us); i++) {
		/* SA_RESTART makes no difference to a wait. */
		struct sigaction action = {.sa_handler = handle,
					   .sa_flags = i % 2 ? SA_RESTART : 0};
		struct deed deed = {.act = act_signal};
		int64_t began_ms = now_ms();
		demi_qtoken_t qt;
		demi_qresult_t qr;
		int qd;

		restart_sleeping(idle_after_us[i / 2]);
		assert_int_equal(sigaction(SIGUSR1, &action, NULL), 0);
		check_call(demi_queue(&qd), 0);
		qt = pop(qd);
		handled = 0;
		deed_start(&deed);
		check_call(demi_wait(&qr, qt, &wait_long), EINTR);
		assert_true(now_ms() - began_ms < SOON_MS);
		assert_int_equal(handled, 1);
		deed_join(&deed);
		/* The operation is still there. */
		await_opcode(push_pattern(qd, 1, 1, 0), DEMI_OPC_PUSH);
		qr = await_opcode(qt, DEMI_OPC_POP);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
		signal(SIGUSR1, SIG_DFL);
	}
}

static void idle__ignored_signals_do_not_wake(void **state)
{
	struct deed deed = {.act = act_signal};
	struct timespec period = milliseconds(2 * DELAY_MS);
	demi_qtoken_t qt;
	demi_qresult_t qr;
	int qd;

	(void)state;
	restart_sleeping("0");
	signal(SIGUSR1, SIG_IGN);
	check_call(demi_queue(&qd), 0);
	qt = pop(qd);
	deed_start(&deed);
	check_call(demi_wait(&qr, qt, &period), ETIMEDOUT);
	deed_join(&deed);
	signal(SIGUSR1, SIG_DFL);
}

#define LONG_ARRAY 500

/* Fill @qts with pops that never complete; returns the queue of the first. */
static int never(demi_qtoken_t qts[], int count)
{
	int first = -1, qd;

	for (int i = 0; i < count; i++) {
		check_call(demi_queue(&qd), 0);
		qts[i] = pop(qd);
		if (i == 0)
			first = qd;
	}
	return first;
}

/* A token that completed while another array was waited for, put in the middle of this one. */
static void idle__does_not_sleep_over_a_complete_operation(void **state)
{
	demi_qtoken_t qts[LONG_ARRAY], early;
	demi_qresult_t qr;
	int first, qd;

	(void)state;
	restart_sleeping("0");
	first = never(qts, LONG_ARRAY);
	check_call(demi_queue(&qd), 0);
	early = push_pattern(qd, 1, 1, 0);
	/* A wait passes over it. */
	await_opcode(push_pattern(first, 1, 1, 0), DEMI_OPC_PUSH);
	check_call(demi_wait_any(&qr, NULL, qts, LONG_ARRAY, &wait_long), 0);
	assert_int_equal(qr.qr_qd, first);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	qts[0] = pop(first);
	qts[LONG_ARRAY / 2] = early;
	assert_true(wake(qts, LONG_ARRAY, false).qr_qt == early);
}

static void idle__does_not_sleep_over_an_unknown_token(void **state)
{
	demi_qtoken_t qts[LONG_ARRAY];
	int64_t began_ms;
	demi_qresult_t qr;

	(void)state;
	restart_sleeping("0");
	never(qts, LONG_ARRAY);
	qts[LONG_ARRAY / 2] = UINT64_MAX;
	began_ms = now_ms();
	check_call(demi_wait_any(&qr, NULL, qts, LONG_ARRAY, &wait_long), EINVAL);
	assert_true(now_ms() - began_ms < SOON_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CATNAP_TEST(idle__uses_little_of_the_processor),
		CATNAP_TEST(idle__wakes_for_data),
		CATNAP_TEST(idle__wakes_for_a_connection),
		CATNAP_TEST(idle__wakes_for_room),
		CATNAP_TEST(idle__wakes_for_timers),
		CATNAP_TEST(idle__sleeps_between_the_looks_of_a_timer),
		CATNAP_TEST(idle__wakes_for_files),
		CATNAP_TEST(idle__sleeps_again_after_files_and_batches),
		CATNAP_TEST(idle__wakes_for_signals),
		CATNAP_TEST(idle__ignored_signals_do_not_wake),
		CATNAP_TEST(idle__does_not_sleep_over_a_complete_operation),
		CATNAP_TEST(idle__does_not_sleep_over_an_unknown_token),
	};

	return suite_main("catnap/idle", true, "waits", tests, COUNT_OF(tests));
}
