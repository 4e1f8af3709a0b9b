/* SPDX-License-Identifier: MIT */
/* Waiting for operations, and beside them for descriptors of the kernel. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "endpoint_table.h"

/* Results taken at one look. */
#define RESULTS_MAX 64
/* A wait of the library's own between two looks at the kernel's descriptors, each a system call. */
#define KERNEL_WAIT_NS INT64_C(50000)
/*
 * The same while something is to become durable. The kernel's threads may need a CPU for that, and it is
 * within one wait that the library learns to sleep where yielding does not give them one.
 */
#define HELD_WAIT_NS INT64_C(1000000)

/* Looks after one another: what has reached the machine may need several to get here. */
#define LOOKS_MAX 8u

#define NS_PER_S INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_US INT64_C(1000)

/* How `runtime.idle` and `runtime.idle_after_us` have it. */
static struct {
	bool is_known;
	bool sleeps;
	int64_t after_ns;
} idle;

static int64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * NS_PER_S + now.tv_nsec;
}

static void learn_idle(void)
{
	char value[32] = "";

	idle.sleeps = demi_config("runtime.idle", value, sizeof(value)) == 0 &&
		      strcmp(value, "sleep") == 0;
	idle.after_ns = demi_config("runtime.idle_after_us", value, sizeof(value)) == 0
				? strtoll(value, NULL, 10) * NS_PER_US
				: 0;
	idle.is_known = true;
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

/* Takes what has completed, waiting for it at most @timeout_ns. Return: 0 or a positive errno. */
static int take_results(int64_t timeout_ns)
{
	static demi_qresult_t results[RESULTS_MAX];
	const struct timespec wait = timespec_of(timeout_ns), look = {0};
	unsigned int looks = 0;
	int count, error;

	do {
		endpoint_more_comes = false;
		error = demi_wait_next_n(results, RESULTS_MAX, &count, looks == 0 ? &wait : &look);
		if (error != 0)
			return looks == 0 ? error : 0;
		for (int i = 0; i < count; i++)
			endpoint_completed(&results[i]);
	} while ((count == RESULTS_MAX || endpoint_more_comes) && ++looks < LOOKS_MAX);
	return 0;
}

void endpoint_look(void)
{
	for (unsigned int looks = 0; looks < LOOKS_MAX && take_results(0) != 0; looks++)
		;
}

/* Those of the list that are ready; who is not leaves it. */
static size_t collect(struct endpoint_ready *ready, size_t room)
{
	struct endpoint *endpoint = endpoint_listed;
	size_t count = 0;

	while (endpoint != NULL && count < room) {
		struct endpoint *next = endpoint->listed_next;
		bool readable = endpoint->wants_read && endpoint_is_readable(endpoint);
		bool writable = endpoint->wants_write && endpoint_is_writable(endpoint);

		endpoint_receive(endpoint);
		if (endpoint->fd >= 0 && (readable || writable)) {
			ready[count++] = (struct endpoint_ready){endpoint->fd, readable, writable};
		} else if (endpoint->pop != 0 || endpoint->kind != ENDPOINT_STREAM ||
			   endpoint_is_readable(endpoint)) {
			endpoint_unlist(endpoint);
		}
		endpoint = next;
	}
	return count;
}

static bool kernel_is_ready(int kernel_fd)
{
	struct pollfd wanted = {.fd = kernel_fd, .events = POLLIN};

	return kernel_fd >= 0 && poll(&wanted, 1, 0) > 0;
}

/* Sleeps until the device, the kernel's descriptors or a timer have something. */
static void sleep_once(int64_t timeout_ns, int kernel_fd)
{
	struct pollfd wakes[DEMI_IDLE_MAX + 1];
	struct timespec timeout;
	int count = 0;

	if (demi_idle(wakes, DEMI_IDLE_MAX, &count, &timeout) != 0)
		return;
	if (timeout.tv_sec < 0 || timeout.tv_sec > timeout_ns / NS_PER_S ||
	    timeout.tv_sec * NS_PER_S + timeout.tv_nsec > timeout_ns)
		timeout = timespec_of(timeout_ns);
	if (kernel_fd >= 0)
		wakes[count++] = (struct pollfd){.fd = kernel_fd, .events = POLLIN};
	ppoll(wakes, (nfds_t)count, &timeout, NULL);
}

/* Nothing is ready: wait for something. Return: false when it is time to return without. */
static bool wait_on(int64_t start_ns, int64_t until_ns, int kernel_fd)
{
	int64_t now = clock_ns();
	int64_t left = until_ns - now;
	int error;

	if (left <= 0)
		return false;
	if (idle.sleeps && now - start_ns >= idle.after_ns) {
		sleep_once(left, kernel_fd);
		error = take_results(0);
	} else {
		int64_t most = NS_PER_S;

		if (kernel_fd >= 0 || idle.sleeps)
			most = endpoint_is_held() ? HELD_WAIT_NS : KERNEL_WAIT_NS;
		error = take_results(left < most ? left : most);
	}
	return error != EINTR;
}

size_t endpoint_wait(struct endpoint_ready *ready, size_t room, int64_t timeout_ns, int kernel_fd)
{
	int64_t start, until;
	unsigned int looks = 0;
	size_t count;

	if (!idle.is_known)
		learn_idle();
	do {
		take_results(0);
		count = collect(ready, room);
	} while (count == 0 && timeout_ns == 0 && ++looks < LOOKS_MAX);
	if (count != 0 || timeout_ns == 0)
		return count;
	start = clock_ns();
	until = timeout_ns > INT64_MAX - start ? INT64_MAX : start + timeout_ns;
	while (!kernel_is_ready(kernel_fd) && wait_on(start, until, kernel_fd)) {
		count = collect(ready, room);
		if (count != 0)
			return count;
	}
	return collect(ready, room);
}

bool endpoint_want(int fd, bool readable, bool writable)
{
	struct endpoint *endpoint = endpoint_of(fd);

	if (endpoint == NULL)
		return false;
	endpoint->wants_read = readable;
	endpoint->wants_write = writable;
	endpoint_list(endpoint);
	return true;
}

int endpoint_await(demi_qtoken_t token, demi_qresult_t *result)
{
	int error;

	do {
		error = demi_wait(result, token, NULL);
	} while (error == EINTR);
	return error;
}

/* What poll(2) would say of it. */
static short events_of(const struct endpoint *endpoint, short wanted)
{
	short events = 0;

	if ((wanted & POLLIN) != 0 && endpoint_is_readable(endpoint))
		events |= POLLIN;
	if ((wanted & POLLOUT) != 0 && endpoint_is_writable(endpoint))
		events |= POLLOUT;
	return events;
}

int endpoint_poll(struct pollfd *wanted, nfds_t count, int timeout_ms)
{
	struct endpoint *endpoint = endpoint_of(wanted->fd);
	int64_t until, left;

	if (endpoint == NULL || count != 1)
		return poll(wanted, count, timeout_ms);
	until = timeout_ms < 0 ? INT64_MAX : clock_ns() + timeout_ms * NS_PER_MS;
	for (;;) {
		endpoint_receive(endpoint);
		take_results(0);
		wanted->revents = events_of(endpoint, wanted->events);
		left = until == INT64_MAX ? NS_PER_S : until - clock_ns();
		if (wanted->revents != 0 || left <= 0)
			return wanted->revents != 0;
		take_results(left < NS_PER_MS ? left : NS_PER_MS);
	}
}

void endpoint_finish(int64_t timeout_ns)
{
	int64_t until = clock_ns() + timeout_ns;

	while (endpoint_closing_count != 0 && clock_ns() < until)
		take_results(NS_PER_MS);
	demi_fini();
}
