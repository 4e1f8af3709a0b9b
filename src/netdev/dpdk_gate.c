/* SPDX-License-Identifier: MIT */
#include "netdev/dpdk_gate.h"

#include <dirent.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <poll.h>
#include <pthread.h>
#include <rte_interrupts.h>
#include <sched.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"

#define GATES_MAX 64u
/* What a line of an epoll's in fdinfo begins with: proc(5). */
#define TARGET "tfd:"
/* Until what another processor has written is seen, where the kernel has no membarrier. */
#define SETTLE_US 1000u
/* A thread that is held up somewhere is not waited for any longer. */
#define SETTLE_S_MAX 2

atomic_bool dpdk_gate_is_closed;

static struct {
	pthread_mutex_t lock; /* of what is below */
	struct dpdk_gate *gates[GATES_MAX];
	bool is_started;
	int event; /* what calls the thread back; set but while it sleeps there */
	struct rte_intr_handle *handle; /* of it, for as long as the EAL is there */
} keeper = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Who waits for the thread to be through with what it knew before. */
static struct {
	bool is_started;
	int event;
	struct rte_intr_handle *handle;
	sem_t settled;
} settler;

/* ---- The EAL's thread ---- */

/* Whether it is the one that the thread sleeps on: our own descriptor is in it. */
static bool is_interrupt_epoll(const char *number)
{
	char path[64], line[128];
	bool found = false;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%.16s", number);
	file = fopen(path, "re");
	while (file && !found && fgets(line, sizeof(line), file))
		found = strncmp(line, TARGET, strlen(TARGET)) == 0 &&
			strtol(line + strlen(TARGET), NULL, 10) == keeper.event;
	if (file)
		fclose(file);
	return found;
}

/* The EAL makes it anew whenever it has another source. Return: -1: it is not found. */
static int interrupt_epoll(void)
{
	DIR *folder = opendir("/proc/self/fdinfo");
	struct dirent *entry;
	int found = -1;

	/* cppcheck-suppress readdirCalled; the stream is our own */
	while (folder && found < 0 && (entry = readdir(folder)) != NULL) {
		if (is_interrupt_epoll(entry->d_name))
			found = (int)strtol(entry->d_name, NULL, 10);
	}
	if (folder)
		closedir(folder);
	return found;
}

static bool anybody_inside(void)
{
	bool inside = false;

	pthread_mutex_lock(&keeper.lock);
	for (unsigned int i = 0; i < GATES_MAX; i++)
		inside |= keeper.gates[i] &&
			  atomic_load_explicit(&keeper.gates[i]->is_inside, memory_order_acquire);
	pthread_mutex_unlock(&keeper.lock);
	return inside;
}

static void close_gates(void)
{
	atomic_store(&dpdk_gate_is_closed, true);
	if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) != 0)
		usleep(SETTLE_US);
	while (anybody_inside())
		sched_yield();
}

/* It serves its sources one after the other: when there is nothing left, all is as it is to stay. */
static void keep(void *unused)
{
	struct pollfd sources = {.fd = interrupt_epoll(), .events = POLLIN};
	uint64_t count;

	(void)unused;
	if (read(keeper.event, &count, sizeof(count)) < 0)
		return;
	if (sources.fd >= 0 && poll(&sources, 1, 0) == 0) {
		atomic_store_explicit(&dpdk_gate_is_closed, false, memory_order_release);
		while (poll(&sources, 1, -1) < 0 && errno == EINTR)
			;
	}
	close_gates();
	count = 1;
	if (write(keeper.event, &count, sizeof(count)) < 0)
		atomic_store(&dpdk_gate_is_closed, false);
}

static void tell_settled(void *unused)
{
	uint64_t count;

	(void)unused;
	if (read(settler.event, &count, sizeof(count)) > 0)
		sem_post(&settler.settled);
}

void dpdk_gate_settle(void)
{
	const uint64_t once = 1;
	struct timespec limit;

	/* One that was not waited for to the end may have been told since. */
	while (settler.is_started && sem_trywait(&settler.settled) == 0)
		;
	if (!settler.is_started || write(settler.event, &once, sizeof(once)) < 0)
		return;
	clock_gettime(CLOCK_REALTIME, &limit);
	limit.tv_sec += SETTLE_S_MAX;
	while (sem_timedwait(&settler.settled, &limit) < 0 && errno == EINTR)
		;
}

/* ---- Devices ---- */

/* A source of the thread's that is ours: an eventfd that begins at @count. */
static bool add_source(int *event_out, struct rte_intr_handle **handle_out, unsigned int count,
		       rte_intr_callback_fn callback)
{
	struct rte_intr_handle *handle = rte_intr_instance_alloc(RTE_INTR_INSTANCE_F_PRIVATE);
	int event = eventfd(count, EFD_CLOEXEC | EFD_NONBLOCK);

	*event_out = event;
	*handle_out = handle;
	if (handle && event >= 0 && rte_intr_fd_set(handle, event) == 0 &&
	    rte_intr_type_set(handle, RTE_INTR_HANDLE_EXT) == 0 &&
	    rte_intr_callback_register(handle, callback, NULL) == 0)
		return true;
	rte_intr_instance_free(handle);
	if (event >= 0)
		close(event);
	return false;
}

static bool start(void)
{
	syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
	if (!settler.is_started && sem_init(&settler.settled, 0, 0) == 0)
		settler.is_started = add_source(&settler.event, &settler.handle, 0, tell_settled);
	if (add_source(&keeper.event, &keeper.handle, 1, keep))
		return true;
	log_warning("memif: the interrupts of DPDK cannot be kept from it while it is polled: a "
		    "peer that leaves may end this program");
	return false;
}

void dpdk_gate_open(struct dpdk_gate *gate)
{
	pthread_mutex_lock(&keeper.lock);
	for (unsigned int i = 0; i < GATES_MAX; i++) {
		if (!keeper.gates[i]) {
			keeper.gates[i] = gate;
			break;
		}
	}
	if (!keeper.is_started)
		keeper.is_started = start();
	pthread_mutex_unlock(&keeper.lock);
}

void dpdk_gate_remove(struct dpdk_gate *gate)
{
	pthread_mutex_lock(&keeper.lock);
	for (unsigned int i = 0; i < GATES_MAX; i++) {
		if (keeper.gates[i] == gate)
			keeper.gates[i] = NULL;
	}
	pthread_mutex_unlock(&keeper.lock);
}
