/* SPDX-License-Identifier: MIT */
/*
 * A runtime apart from its thread: taken away, handed to another thread and back, and what to sleep
 * on for it; and the configuration as the library reads it.
 */
#include "common.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdint.h>

/* A runtime whose rings the kernel binds to their thread. */
static bool stays_in_thread(void)
{
	const char *engine = getenv("DEMI_CATNAP_ENGINE");

	return strcmp(profile_get()->libos, "catnap") == 0 && engine &&
	       strcmp(engine, "uring") == 0;
}

#define skip_unless_moves() \
	skip_unless(!stays_in_thread(), "over io_uring a runtime stays in its thread")

/* A pointer that no compiler sees through. */
static void *misaligned(void)
{
	return (void *)((uintptr_t)null() + 1);
}

static demi_runtime_t *detach_at(const char *file, int line)
{
	demi_runtime_t *runtime = NULL;

	check_call_at(demi_detach(&runtime), 0, "demi_detach", file, line);
	_assert_true(runtime != NULL, "a runtime", file, line);
	return runtime;
}
#define detach() detach_at(__FILE__, __LINE__)

/* ---- Arguments ---- */

static void detach__without_a_runtime_is_enosys(void **state)
{
	demi_runtime_t *runtime = NULL;

	(void)state;
	check_call(demi_detach(&runtime), ENOSYS);
	check_call(demi_detach(null()), ENOSYS);
	assert_null(runtime);
}

static void detach__null_is_efault_and_changes_nothing(void **state)
{
	int qd;

	(void)state;
	check_call(demi_detach(null()), EFAULT);
	check_call(demi_detach(misaligned()), EFAULT);
	check_call(demi_queue(&qd), 0);
}

static void detach__twice_is_enosys(void **state)
{
	demi_runtime_t *runtime, *again = NULL;

	(void)state;
	skip_unless_moves();
	runtime = detach();
	check_call(demi_detach(&again), ENOSYS);
	assert_null(again);
	check_call(demi_attach(runtime), 0);
}

static void detach__leaves_a_thread_without_a_runtime(void **state)
{
	struct pollfd wakes[DEMI_IDLE_MAX];
	demi_runtime_t *runtime;
	struct timespec timeout;
	int qd, count;

	(void)state;
	skip_unless_moves();
	runtime = detach();
	check_call(demi_queue(&qd), ENOSYS);
	check_call(demi_idle(wakes, DEMI_IDLE_MAX, &count, &timeout), ENOSYS);
	assert_null(demi_sgaalloc(10).sga_buf);
	demi_fini(); /* there is nothing to end */
	check_call(demi_attach(runtime), 0);
	check_call(demi_queue(&qd), 0);
}

static void attach__wrong_pointers_are_efault(void **state)
{
	int qd;

	(void)state;
	check_call(demi_attach(null()), EFAULT);
	check_call(demi_attach(misaligned()), EFAULT);
	check_call(demi_queue(&qd), ENOSYS);
}

static void attach__of_a_second_is_eexist(void **state)
{
	demi_runtime_t *first, *second;
	int qd, other;

	(void)state;
	skip_unless_moves();
	check_call(demi_queue(&qd), 0);
	first = detach();
	check_call(demi_init(NULL), 0);
	check_call(demi_attach(first), EEXIST);
	check_call(demi_queue(&other), 0);
	second = detach();
	check_call(demi_attach(first), 0);
	check_call(demi_attach(second), EEXIST);
	check_call(demi_attach(first), EEXIST);
	check_call(demi_close(qd), 0);
	demi_fini();
	check_call(demi_attach(second), 0);
	check_call(demi_close(other), 0);
}

static void detach__over_io_uring_is_eopnotsupp(void **state)
{
	demi_runtime_t *runtime = NULL;
	struct pair pair;

	(void)state;
	skip_unless(stays_in_thread(), "its runtimes may change threads");
	pair_open(&pair, &transport_ipv4);
	check_call(demi_detach(&runtime), EOPNOTSUPP);
	assert_null(runtime);
	/* And it goes on. */
	await_opcode(push_pattern(pair.client, 1000, 1, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 1000, 1, 0);
}

/* ---- From thread to thread ---- */

/* What goes from hand to hand with a runtime. */
struct work {
	demi_runtime_t *runtime;
	struct pair pair;
	int queue;
	demi_qtoken_t stream_pop, queue_pop;
	uint64_t sent, received; /* on the connection, client to server */
	unsigned char *object;
};

#define OBJECT_BYTES 5000

static void work_open(struct work *work)
{
	pair_open(&work->pair, &transport_ipv4);
	check_call(demi_queue(&work->queue), 0);
	work->sent = work->received = 0;
	work->stream_pop = pop(work->pair.server);
	work->queue_pop = pop(work->queue);
	check_pending(work->stream_pop);
	work->object = demi_malloc(OBJECT_BYTES);
	pattern_fill(work->object, OBJECT_BYTES, 9, 0);
}

/* What was pending when the last thread let go completes here, and the same is left pending again. */
static void work_go_on(struct work *work)
{
	demi_qtoken_t pushes[2];
	demi_qresult_t qr;

	pattern_check(work->object, OBJECT_BYTES, 9, 0);
	demi_free(work->object);
	pushes[0] = push_pattern(work->pair.client, 3000, 1, work->sent);
	pushes[1] = push_pattern(work->queue, 40, 2, 0);
	work->sent += 3000;
	qr = await_opcode(work->stream_pop, DEMI_OPC_POP);
	work->received += sga_check(&qr.qr_value.sga, 1, work->received);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	if (work->received < work->sent) {
		stream_expect(work->pair.server, work->sent - work->received, 1, work->received);
		work->received = work->sent;
	}
	qr = await_opcode(work->queue_pop, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 2, 0), 40);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	await_opcode(pushes[0], DEMI_OPC_PUSH);
	await_opcode(pushes[1], DEMI_OPC_PUSH);
	work->stream_pop = pop(work->pair.server);
	work->queue_pop = pop(work->queue);
	work->object = demi_malloc(OBJECT_BYTES);
	assert_non_null(work->object);
	pattern_fill(work->object, OBJECT_BYTES, 9, 0);
}

static void *work_in_thread(void *argument)
{
	struct work *work = argument;

	check_call(demi_attach(work->runtime), 0);
	work_go_on(work);
	work->runtime = detach();
	return NULL;
}

static void in_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, run, argument), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

static void runtime__goes_to_a_thread_and_back(void **state)
{
	struct work work;

	(void)state;
	skip_unless_moves();
	work_open(&work);
	for (int round = 0; round < 20; round++) {
		work.runtime = detach();
		in_thread(work_in_thread, &work);
		check_call(demi_attach(work.runtime), 0);
		work_go_on(&work);
	}
	/* Tokens of before name the same operations still, and those of ours no others. */
	check_pending(work.stream_pop);
	check_call(demi_cancel(work.queue_pop), 0);
	await_error(work.queue_pop, ECANCELED);
	demi_free(work.object);
}

/* A second runtime does not notice the first, in whichever thread. */
static void runtime__takes_turns_with_another_in_one_thread(void **state)
{
	struct work works[2];

	(void)state;
	skip_unless_moves();
	work_open(&works[0]);
	works[0].runtime = detach();
	check_call(demi_init(NULL), 0);
	work_open(&works[1]);
	works[1].runtime = detach();
	for (int round = 0; round < 20; round++) {
		struct work *work = &works[round % 2];

		check_call(demi_attach(work->runtime), 0);
		work_go_on(work);
		work->runtime = detach();
	}
	for (int i = 0; i < 2; i++) {
		check_call(demi_attach(works[i].runtime), 0);
		demi_free(works[i].object);
		demi_fini();
	}
}

static void *make_in_thread(void *argument)
{
	struct work *work = argument;

	check_call(demi_init(NULL), 0);
	work_open(work);
	work->runtime = detach();
	return NULL;
}

static void runtime__outlives_the_thread_that_made_it(void **state)
{
	struct work work;

	(void)state;
	skip_unless_moves();
	in_thread(make_in_thread, &work);
	check_call(demi_attach(work.runtime), 0);
	work_go_on(&work);
	demi_free(work.object);
}

/* ---- Its heap ---- */

#define OBJECTS 300

static size_t size_of(size_t i)
{
	static const size_t sizes[] = {1, 60, 1000, 30000, 300000};

	return sizes[i % COUNT_OF(sizes)];
}

struct heap_work {
	unsigned char *objects[OBJECTS];
	bool with_runtime;
};

static void *free_in_thread(void *argument)
{
	struct heap_work *work = argument;

	if (work->with_runtime)
		check_call(demi_init(NULL), 0);
	for (size_t i = 0; i < OBJECTS; i++) {
		pattern_check(work->objects[i], size_of(i), (unsigned int)i, 0);
		demi_free(work->objects[i]);
	}
	demi_fini();
	return NULL;
}

static uint64_t objects_now(uint64_t *remote_out)
{
	demi_heap_stats_t stats;

	check_call(demi_heap_stats(&stats), 0);
	*remote_out = stats.remote_frees;
	return stats.objects;
}

static void make_objects(struct heap_work *work)
{
	for (size_t i = 0; i < OBJECTS; i++) {
		work->objects[i] = demi_malloc(size_of(i));
		assert_non_null(work->objects[i]);
		pattern_fill(work->objects[i], size_of(i), (unsigned int)i, 0);
	}
}

/* @elsewhere: another thread frees; else this one does, whose runtime it is not at the moment. */
static void free_while_detached(bool elsewhere, bool with_runtime)
{
	struct heap_work work = {.with_runtime = with_runtime};
	uint64_t before, remote_before, remote;
	demi_runtime_t *runtime;

	before = objects_now(&remote_before);
	make_objects(&work);
	runtime = detach();
	if (elsewhere)
		in_thread(free_in_thread, &work);
	else
		free_in_thread(&work);
	check_call(demi_attach(runtime), 0);
	assert_int_equal(objects_now(&remote), before);
	assert_int_equal(remote - remote_before, OBJECTS);
}

static void heap__of_a_detached_runtime_is_freed_by_others(void **state)
{
	(void)state;
	skip_unless_moves();
	for (int elsewhere = 0; elsewhere < 2; elsewhere++)
		for (int with_runtime = 0; with_runtime < 2; with_runtime++)
			free_while_detached(elsewhere, with_runtime);
}

/* Who has the runtime owns its heap: that is no free by another thread. */
static void *free_as_owner(void *argument)
{
	struct work *work = argument;
	uint64_t remote_before, remote, before = 0, after = 0;
	void *objects[OBJECTS];

	check_call(demi_attach(work->runtime), 0);
	before = objects_now(&remote_before);
	demi_free(work->object);
	for (size_t i = 0; i < OBJECTS; i++)
		objects[i] = demi_malloc(size_of(i));
	for (size_t i = 0; i < OBJECTS; i++)
		demi_free(objects[i]);
	after = objects_now(&remote);
	assert_int_equal(after, before - 1);
	assert_int_equal(remote, remote_before);
	work->runtime = detach();
	return NULL;
}

static void heap__goes_with_its_runtime(void **state)
{
	struct work work;

	(void)state;
	skip_unless_moves();
	work.object = demi_malloc(OBJECT_BYTES);
	work.runtime = detach();
	in_thread(free_as_owner, &work);
	check_call(demi_attach(work.runtime), 0);
}

static void heap__without_the_runtime_is_the_shared_one(void **state)
{
	demi_runtime_t *runtime;
	uint64_t before, remote;
	unsigned char *object;

	(void)state;
	skip_unless_moves();
	before = objects_now(&remote);
	runtime = detach();
	object = demi_malloc(100);
	assert_non_null(object);
	pattern_fill(object, 100, 3, 0);
	check_call(demi_attach(runtime), 0);
	assert_int_equal(objects_now(&remote), before);
	pattern_check(object, 100, 3, 0);
	demi_free(object);
	assert_int_equal(objects_now(&remote), before);
}

/* ---- Forks ---- */

static void child_of_detached(void *argument)
{
	struct work *work = argument;
	struct pair pair;
	int qd;

	check_call(demi_queue(&qd), ENOSYS);
	/* It is the parent's. */
	check_call(demi_attach(work->runtime), EINVAL);
	check_call(demi_queue(&qd), ENOSYS);
	pattern_check(work->object, OBJECT_BYTES, 9, 0);
	memset(work->object, 0x55, OBJECT_BYTES);
	demi_free(work->object);
	check_call(demi_init(NULL), 0);
	check_call(demi_attach(work->runtime), EEXIST);
	pair_open(&pair, &transport_ipv4);
	await_opcode(push_pattern(pair.client, 1000, 1, 0), DEMI_OPC_PUSH);
	stream_expect(pair.server, 1000, 1, 0);
	work->runtime = detach();
	check_call(demi_attach(work->runtime), 0);
	demi_fini();
}

static void fork__leaves_a_detached_runtime_to_the_parent(void **state)
{
	static struct child child;
	struct work work;

	(void)state;
	skip_unless_moves();
	skip_unless(!profile_get()->keeps_forks_out, "a fork cannot have a runtime too");
	work_open(&work);
	work.runtime = detach();
	child_run(&child, child_of_detached, &work);
	child_check_exit(&child);
	assert_string_equal(child.errors, "");
	check_call(demi_attach(work.runtime), 0);
	work_go_on(&work);
	demi_free(work.object);
}

static struct child of_thread;

static void *fork_in_thread(void *argument)
{
	child_run(&of_thread, child_of_detached, argument);
	return NULL;
}

static void fork__by_another_thread_leaves_it_too(void **state)
{
	struct work work;

	(void)state;
	skip_unless_moves();
	skip_unless(!profile_get()->keeps_forks_out, "a fork cannot have a runtime too");
	work_open(&work);
	work.runtime = detach();
	in_thread(fork_in_thread, &work);
	child_check_exit(&of_thread);
	assert_string_equal(of_thread.errors, "");
	check_call(demi_attach(work.runtime), 0);
	work_go_on(&work);
	demi_free(work.object);
}

/* ---- Idle ---- */

static const struct timespec unset = {.tv_sec = -77, .tv_nsec = -77};

static void idle__without_a_runtime_is_enosys(void **state)
{
	struct pollfd wakes[DEMI_IDLE_MAX];
	struct timespec timeout;
	int count;

	(void)state;
	check_call(demi_idle(wakes, DEMI_IDLE_MAX, &count, &timeout), ENOSYS);
	check_call(demi_idle(null(), 0, null(), null()), ENOSYS);
}

static void idle__wrong_arguments(void **state)
{
	struct pollfd wakes[DEMI_IDLE_MAX];
	struct timespec timeout = unset;
	int count = -77;

	(void)state;
	check_call(demi_idle(null(), DEMI_IDLE_MAX, &count, &timeout), EFAULT);
	check_call(demi_idle(wakes, DEMI_IDLE_MAX, null(), &timeout), EFAULT);
	check_call(demi_idle(wakes, DEMI_IDLE_MAX, &count, null()), EFAULT);
	check_call(demi_idle(misaligned(), DEMI_IDLE_MAX, &count, &timeout), EFAULT);
	for (int room = -1; room < DEMI_IDLE_MAX; room++)
		check_call(demi_idle(wakes, room, &count, &timeout), EINVAL);
	check_call(demi_idle(wakes, INT32_MIN, &count, &timeout), EINVAL);
	assert_int_equal(count, -77);
	assert_int_equal(timeout.tv_sec, -77);
}

struct idle {
	struct pollfd wakes[DEMI_IDLE_MAX];
	int count;
	struct timespec timeout;
};

static int idle_ask(struct idle *idle)
{
	memset(idle, 0xa5, sizeof(*idle));
	return demi_idle(idle->wakes, DEMI_IDLE_MAX, &idle->count, &idle->timeout);
}

/* One round without a result, then what demi_idle says. */
static int idle_after_poll(struct idle *idle)
{
	demi_qresult_t qr;
	int count;

	check_call(demi_wait_next_n(&qr, 1, &count, &wait_none), ETIMEDOUT);
	return idle_ask(idle);
}

static void idle_check_at(const struct idle *idle, const char *file, int line)
{
	_assert_true(idle->count >= 0 && idle->count <= DEMI_IDLE_MAX, "a count", file, line);
	for (int i = 0; i < idle->count; i++) {
		_assert_true(idle->wakes[i].fd >= 0, "a descriptor", file, line);
		_assert_true(fcntl(idle->wakes[i].fd, F_GETFD) >= 0, "an open one", file, line);
		_assert_true(idle->wakes[i].events != 0, "events", file, line);
	}
	_assert_true(idle->timeout.tv_nsec >= 0 && idle->timeout.tv_nsec < 1000000000, "a time",
		     file, line);
	_assert_true(idle->timeout.tv_sec >= -1, "a time or none", file, line);
	if (idle->timeout.tv_sec == -1)
		_assert_int_equal(idle->timeout.tv_nsec, 0, file, line);
	/* Something has to wake it. */
	_assert_true(idle->count > 0 || idle->timeout.tv_sec >= 0, "a reason to wake up", file,
		     line);
}

/* Poll until there is nothing to do; what a start sends is over soon. */
static void idle_settle_at(struct idle *idle, const char *file, int line)
{
	int64_t end = now_ms() + 10000;
	int error;

	while ((error = idle_after_poll(idle)) == EAGAIN)
		_assert_true(now_ms() < end, "idle at last", file, line);
	check_call_at(error, 0, "demi_idle", file, line);
	idle_check_at(idle, file, line);
}
#define idle_settle(idle) idle_settle_at((idle), __FILE__, __LINE__)

static void idle__complete_operations_are_work(void **state)
{
	demi_qtoken_t push, others[2];
	struct idle idle;
	demi_qresult_t qr;
	int qd, other;

	(void)state;
	check_call(demi_queue(&qd), 0);
	check_call(demi_queue(&other), 0);
	others[0] = pop(other);
	idle_settle(&idle);
	push = push_pattern(qd, 10, 1, 0);
	check_call(idle_ask(&idle), EAGAIN);
	/* Waits for another that pass it over do not change that. */
	check_call(demi_wait(&qr, others[0], &wait_none), ETIMEDOUT);
	check_call(idle_ask(&idle), EAGAIN);
	check_call(demi_wait_any(&qr, NULL, others, 1, &wait_none), ETIMEDOUT);
	check_call(idle_ask(&idle), EAGAIN);
	others[1] = pop(other);
	check_call(demi_wait_all(&qr, others, 2, &wait_none), ETIMEDOUT);
	check_call(idle_ask(&idle), EAGAIN);
	await_opcode(push, DEMI_OPC_PUSH);
	idle_settle(&idle);
}

static void *free_object(void *object)
{
	demi_free(object);
	return NULL;
}

static void idle__frees_by_other_threads_are_work(void **state)
{
	struct idle idle;
	void *object;

	(void)state;
	object = demi_malloc(100);
	idle_settle(&idle);
	in_thread(free_object, object);
	check_call(idle_ask(&idle), EAGAIN);
	idle_settle(&idle);
}

static void idle__says_the_same_when_asked_again(void **state)
{
	struct idle first, second;

	(void)state;
	idle_settle(&first);
	check_call(idle_ask(&second), 0);
	idle_check_at(&second, __FILE__, __LINE__);
	assert_int_equal(second.count, first.count);
	for (int i = 0; i < first.count; i++)
		assert_int_equal(second.wakes[i].fd, first.wakes[i].fd);
}

static void idle__leaves_errno_alone(void **state)
{
	struct idle idle;

	(void)state;
	errno = 4711;
	check_either(idle_ask(&idle), 0, EAGAIN);
	assert_int_equal(errno, 4711);
}

/* ---- Two hosts ---- */

/* A runtime with a datagram socket, at one end of a link. */
struct host {
	demi_runtime_t *runtime;
	struct address address;
	int qd;
};

/* Where a libOS has no link of its own, both are on the kernel's, and these say nothing. */
static void host_start(const char *ip)
{
	const char *device = getenv("DEMI_CATMINT_DEVICE");
	char simulated[64];

	option_set("DEMI_NET_DEV", "loop:runtime");
	option_set("DEMI_NET_IP", ip);
	snprintf(simulated, sizeof(simulated), "sim:runtime,ip=%.*s", (int)strcspn(ip, "/"), ip);
	if (device && strncmp(device, "sim:", 4) == 0)
		option_set("DEMI_CATMINT_DEVICE", simulated);
	check_call(demi_init(NULL), 0);
	options_restore();
}

static void hosts_open(struct host *receiver, struct host *sender)
{
	host_start("10.0.0.1/24");
	receiver->qd = socket_datagram(&transport_ipv4, &receiver->address);
	receiver->runtime = detach();
	host_start("10.0.0.2/24");
	sender->qd = socket_open(&transport_ipv4, SOCK_DGRAM);
	sender->runtime = detach();
}

static void host_close(struct host *host)
{
	check_call(demi_attach(host->runtime), 0);
	demi_fini();
}

/* The sender's push goes out; @host is attached only meanwhile. */
static void host_send(struct host *host, const struct address *to, size_t size)
{
	demi_sgarray_t sga;
	demi_qtoken_t qt;

	check_call(demi_attach(host->runtime), 0);
	sga = sga_pattern(size, 1, 0);
	check_call(demi_pushto(&qt, host->qd, &sga, &to->any, to->size), 0);
	check_call(demi_sgafree(&sga), 0);
	await_opcode(qt, DEMI_OPC_PUSH);
	drive();
	host->runtime = detach();
}

/* Give a host its turn, until what it pops is there. */
static bool host_try(struct host *host, demi_qtoken_t qt, demi_qresult_t *qr)
{
	int error;

	check_call(demi_attach(host->runtime), 0);
	error = demi_wait(qr, qt, &wait_none);
	if (error)
		check_call(error, ETIMEDOUT);
	host->runtime = detach();
	return error == 0;
}

/* What is to be sent may wait for the next round. */
static void host_drive(struct host *host)
{
	check_call(demi_attach(host->runtime), 0);
	drive();
	host->runtime = detach();
}

/* Sleep as demi_idle says. Return: descriptors that are ready. */
static int idle_sleep(struct idle *idle)
{
	const struct timespec *timeout = idle->timeout.tv_sec < 0 ? NULL : &idle->timeout;

	return ppoll(idle->wakes, (nfds_t)idle->count, timeout, NULL);
}

/* After the first datagram both know where the other is. */
static void hosts_meet(struct host *receiver, struct host *sender)
{
	int64_t end = now_ms() + 10000;
	demi_qresult_t qr;
	demi_qtoken_t qt;

	check_call(demi_attach(receiver->runtime), 0);
	qt = pop(receiver->qd);
	receiver->runtime = detach();
	host_send(sender, &receiver->address, 10);
	while (!host_try(receiver, qt, &qr)) {
		assert_true(now_ms() < end);
		host_drive(sender);
	}
	assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
	check_call(demi_attach(receiver->runtime), 0);
	assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), 10);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	receiver->runtime = detach();
}

static void idle__descriptors_become_readable_when_a_datagram_comes(void **state)
{
	struct host receiver, sender;
	demi_qresult_t qr;
	struct idle idle;
	demi_qtoken_t qt;

	(void)state;
	skip_unless_moves();
	skip_unless(profile_get()->udp, "no datagrams");
	hosts_open(&receiver, &sender);
	hosts_meet(&receiver, &sender);
	check_call(demi_attach(receiver.runtime), 0);
	qt = pop(receiver.qd);
	idle_settle(&idle);
	assert_int_equal(idle.count > 0, profile_get()->wakes);
	receiver.runtime = detach();
	assert_int_equal(poll(idle.wakes, (nfds_t)idle.count, 0), 0);
	host_send(&sender, &receiver.address, 20);
	/* Where nothing can be slept on, the next look must not be far. */
	if (idle.count > 0)
		assert_true(poll(idle.wakes, (nfds_t)idle.count, 10000) > 0);
	else
		assert_true(idle.timeout.tv_sec == 0 && idle.timeout.tv_nsec <= 1000000);
	check_call(demi_attach(receiver.runtime), 0);
	qr = await_opcode(qt, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), 20);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	receiver.runtime = detach();
	host_close(&receiver);
	host_close(&sender);
}

/* The sender is another thread's, and the receiver an event loop. */
static void *send_many(void *argument)
{
	struct host **hosts = argument;
	const struct timespec nap = milliseconds(2);

	for (size_t i = 1; i <= 20; i++) {
		nanosleep(&nap, NULL);
		host_send(hosts[1], &hosts[0]->address, i);
	}
	return NULL;
}

static void idle__an_event_loop_misses_nothing(void **state)
{
	struct host receiver, sender, *hosts[] = {&receiver, &sender};
	int64_t end = now_ms() + 30000;
	pthread_t thread;

	(void)state;
	skip_unless_moves();
	skip_unless(profile_get()->udp, "no datagrams");
	hosts_open(&receiver, &sender);
	hosts_meet(&receiver, &sender);
	check_call(demi_attach(receiver.runtime), 0);
	assert_int_equal(pthread_create(&thread, NULL, send_many, hosts), 0);
	for (size_t i = 1; i <= 20;) {
		demi_qtoken_t qt = pop(receiver.qd);
		struct idle idle;
		demi_qresult_t qr;

		while (demi_wait(&qr, qt, &wait_none) != 0) {
			assert_true(now_ms() < end);
			if (idle_ask(&idle) == 0)
				idle_sleep(&idle);
		}
		assert_int_equal(qr.qr_opcode, DEMI_OPC_POP);
		assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), i++);
		check_call(demi_sgafree(&qr.qr_value.sga), 0);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	demi_fini();
	host_close(&sender);
}

/* A connection over the link, whose server's host then stands still. */
static void hosts_connect(struct host *server, struct host *client, int *accepted, int *connected)
{
	demi_qtoken_t accepting, connecting;
	struct address address;
	demi_qresult_t qr;
	int64_t end = now_ms() + 10000;
	bool is_accepted = false, is_connected = false;
	int listener;

	check_call(demi_attach(server->runtime), 0);
	listener = socket_listen(&transport_ipv4, &address);
	check_call(demi_accept(&accepting, listener), 0);
	server->runtime = detach();
	check_call(demi_attach(client->runtime), 0);
	*connected = socket_open(&transport_ipv4, SOCK_STREAM);
	check_call(demi_connect(&connecting, *connected, &address.any, address.size), 0);
	client->runtime = detach();
	while (!is_accepted || !is_connected) {
		assert_true(now_ms() < end);
		if (!is_connected)
			is_connected = host_try(client, connecting, &qr);
		else
			host_drive(client);
		if (!is_accepted && host_try(server, accepting, &qr)) {
			*accepted = qr.qr_value.ares.qd;
			is_accepted = true;
		}
	}
}

static void idle__wakes_for_the_timers_of_tcp(void **state)
{
	struct host server, client;
	int accepted = -1, connected = -1;
	demi_qtoken_t push, qt;
	demi_qresult_t qr;
	struct idle idle;

	(void)state;
	skip_unless_moves();
	skip_unless(profile_get()->tcp, "no TCP");
	skip_unless(!profile_get()->device_delivers, "the device acknowledges by itself");
	hosts_open(&server, &client);
	hosts_connect(&server, &client, &accepted, &connected);
	check_call(demi_attach(client.runtime), 0);
	/* Nobody acknowledges it, so it is sent again. */
	push = push_pattern(connected, 100, 1, 0);
	if (profile_get()->wakes) {
		check_pending(push);
		idle_settle(&idle);
		assert_true(idle.count > 0);
		assert_true(idle.timeout.tv_sec >= 0 && idle.timeout.tv_sec <= 1);
		/* And so it is, when that is heeded. */
		for (int64_t end = now_ms() + 1000; now_ms() < end;)
			if (idle_after_poll(&idle) == 0) {
				assert_true(idle.timeout.tv_sec >= 0);
				idle_sleep(&idle);
			}
		check_pending(push);
	}
	client.runtime = detach();
	check_call(demi_attach(server.runtime), 0);
	qt = pop(accepted);
	qr = await_opcode(qt, DEMI_OPC_POP);
	assert_int_equal(sga_check(&qr.qr_value.sga, 1, 0), 100);
	check_call(demi_sgafree(&qr.qr_value.sga), 0);
	server.runtime = detach();
	/* The acknowledgment may be on its way, or be sent with the next turn. */
	for (int64_t end = now_ms() + 10000; !host_try(&client, push, &qr);) {
		assert_true(now_ms() < end);
		host_drive(&server);
	}
	assert_int_equal(qr.qr_opcode, DEMI_OPC_PUSH);
	host_close(&server);
	host_close(&client);
}

static void idle__without_timers_nothing_bounds_it(void **state)
{
	int64_t end = now_ms() + 20000;
	struct idle idle;

	(void)state;
	skip_unless(profile_get()->wakes, "it must be looked at again and again");
	host_start("10.0.0.1/24");
	do {
		assert_true(now_ms() < end);
		idle_settle(&idle);
		if (idle.timeout.tv_sec >= 0)
			idle_sleep(&idle);
	} while (idle.timeout.tv_sec >= 0);
	assert_true(idle.count > 0);
}

/* ---- Configuration ---- */

static void config_check_at(const char *key, const char *expected, const char *file, int line)
{
	char value[1024];

	memset(value, 'x', sizeof(value));
	check_call_at(demi_config(key, value, sizeof(value)), 0, key, file, line);
	_assert_string_equal(value, expected, file, line);
}
#define config_check(key, expected) config_check_at((key), (expected), __FILE__, __LINE__)

static void config__wrong_arguments(void **state)
{
	char value[16] = "unchanged";

	(void)state;
	check_call(demi_config(null(), value, sizeof(value)), EFAULT);
	check_call(demi_config("libos", null(), sizeof(value)), EFAULT);
	check_call(demi_config("", value, sizeof(value)), ENOENT);
	check_call(demi_config("net", value, sizeof(value)), ENOENT);
	check_call(demi_config("net.", value, sizeof(value)), ENOENT);
	check_call(demi_config(".ip", value, sizeof(value)), ENOENT);
	check_call(demi_config("ip", value, sizeof(value)), ENOENT);
	check_call(demi_config(".libos", value, sizeof(value)), ENOENT);
	check_call(demi_config("net.ip.", value, sizeof(value)), ENOENT);
	check_call(demi_config("NET.IP", value, sizeof(value)), ENOENT);
	check_call(demi_config("net.colour", value, sizeof(value)), ENOENT);
	assert_string_equal(value, "unchanged");
}

static void config__tells_every_kind_of_value(void **state)
{
	(void)state;
	option_set("DEMI_HEAP_MAX_BYTES", "64M");
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	option_set("DEMI_NET_IP", "10.9.8.7/24,fd00::7/64");
	option_set("DEMI_SHIM_RULES", NULL);
	config_check("libos", profile_get()->libos);
	config_check("heap.max_bytes", "67108864");
	config_check("runtime.idle", "sleep");
	config_check("net.ip", "10.9.8.7/24,fd00::7/64");
	config_check("net.vlan", "0");
	config_check("shim.rules", "");
	/* As demi_init would read it now. */
	option_set("DEMI_RUNTIME_IDLE", "spin");
	config_check("runtime.idle", "spin");
}

static void config__is_the_same_with_a_runtime(void **state)
{
	(void)state;
	config_check("log.level", "warning");
	config_check("libos", profile_get()->libos);
}

static void config__too_little_room_is_enospc(void **state)
{
	char value[16];

	(void)state;
	option_set("DEMI_RUNTIME_IDLE", "sleep");
	for (size_t size = 0; size <= strlen("sleep"); size++) {
		memset(value, 'x', sizeof(value));
		check_call(demi_config("runtime.idle", value, size), ENOSPC);
		assert_int_equal(value[size], 'x');
	}
	check_call(demi_config("runtime.idle", value, strlen("sleep") + 1), 0);
	assert_string_equal(value, "sleep");
}

static void config__reads_the_file(void **state)
{
	static const char text[] = "net:\n  ip: [10.1.2.3/8, 'fd00::3/64']\nshim:\n  trace: 1\n";
	char path[128];
	int fd;

	(void)state;
	snprintf(path, sizeof(path), "%s/demi.yaml", directory());
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	option_set("CONFIG_PATH", path);
	option_set("DEMI_NET_IP", NULL);
	config_check("net.ip", "10.1.2.3/8,fd00::3/64");
	config_check("shim.trace", "1");
	option_set("DEMI_SHIM_TRACE", "0");
	config_check("shim.trace", "0");
}

struct wrong {
	const char *variable, *value;
	int error;
};

static void child_is_refused(void *argument)
{
	const struct wrong *wrong = argument;
	char value[64] = "unchanged";

	setenv(wrong->variable, wrong->value, 1);
	errno = 4711;
	check_call(demi_config("net.vlan", value, sizeof(value)), wrong->error);
	assert_int_equal(errno, 4711);
	assert_string_equal(value, "unchanged");
	check_call(demi_init(NULL), wrong->error);
}

/* Both say the same, and why. */
static void config__a_wrong_one_is_refused_as_by_init(void **state)
{
	static struct wrong wrongs[] = {
		{"DEMI_NET_VLAN", "4095", EINVAL},
		{"DEMI_LOG_LEVEL", "loud", EINVAL},
		{"DEMI_NET_COLOUR", "red", EINVAL},
		{"CONFIG_PATH", "", EINVAL},
		{"CONFIG_PATH", "/nonexistent/demi.yaml", ENOENT},
		{"CONFIG_PATH", "/", EISDIR},
	};
	static struct child child;

	(void)state;
	for (size_t i = 0; i < COUNT_OF(wrongs); i++) {
		child_run(&child, child_is_refused, &wrongs[i]);
		child_check_exit(&child);
		child_check_says(&child, wrongs[i].variable[0] == 'D' ? wrongs[i].variable
					 : wrongs[i].value[0]         ? wrongs[i].value
								      : "CONFIG_PATH");
		assert_int_equal(child_count(&child, "demi: error: "), 2);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST_RAW(detach__without_a_runtime_is_enosys),
		TEST(detach__null_is_efault_and_changes_nothing),
		TEST(detach__twice_is_enosys),
		TEST(detach__leaves_a_thread_without_a_runtime),
		TEST_RAW(attach__wrong_pointers_are_efault),
		TEST(attach__of_a_second_is_eexist),
		TEST(detach__over_io_uring_is_eopnotsupp),
		TEST(runtime__goes_to_a_thread_and_back),
		TEST(runtime__takes_turns_with_another_in_one_thread),
		TEST_RAW(runtime__outlives_the_thread_that_made_it),
		TEST(heap__of_a_detached_runtime_is_freed_by_others),
		TEST(heap__goes_with_its_runtime),
		TEST(heap__without_the_runtime_is_the_shared_one),
		TEST(fork__leaves_a_detached_runtime_to_the_parent),
		TEST(fork__by_another_thread_leaves_it_too),
		TEST_RAW(idle__without_a_runtime_is_enosys),
		TEST(idle__wrong_arguments),
		TEST(idle__complete_operations_are_work),
		TEST(idle__frees_by_other_threads_are_work),
		TEST(idle__says_the_same_when_asked_again),
		TEST(idle__leaves_errno_alone),
		TEST_RAW(idle__descriptors_become_readable_when_a_datagram_comes),
		TEST_RAW(idle__an_event_loop_misses_nothing),
		TEST_RAW(idle__wakes_for_the_timers_of_tcp),
		TEST_RAW(idle__without_timers_nothing_bounds_it),
		TEST_RAW(config__wrong_arguments),
		TEST_RAW(config__tells_every_kind_of_value),
		TEST(config__is_the_same_with_a_runtime),
		TEST_RAW(config__too_little_room_is_enospc),
		TEST_RAW(config__reads_the_file),
		TEST_RAW(config__a_wrong_one_is_refused_as_by_init),
	};

	return suite_main("runtime", true, "", tests, COUNT_OF(tests));
}
