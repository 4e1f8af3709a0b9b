/* SPDX-License-Identifier: MIT */
/* Start and stop of Catnap, and its fast path. */
#include "libos/catnap/catnap.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "libos/catnap/batch.h"
#include "libos/catnap/socket.h"

/* From so many streams with input on, one io_uring call beats as many recvs. */
#define BATCH_RECEIVES_MIN 3u
/* After so many datagrams in a round what is pushed waits for the next, and for others like it. */
#define DATAGRAMS_MIN 2u
/* How long another may sleep before the sockets are looked at again. */
#define NAP_NS (50 * NS_PER_US)

static bool has_stream_input(const struct socket *socket)
{
	return socket->type == SOCK_STREAM && socket->state == SOCKET_CONNECTED &&
	       socket->pops.head && (socket->ready_events & (POLLIN | POLLHUP | POLLERR));
}

/* Move the streams that have input to the front; returns how many. */
static uint32_t sort_ready(struct poller *poller)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < poller->ready_count; i++) {
		struct socket *socket = poller->ready[i];

		if (!has_stream_input(socket))
			continue;
		poller->ready[i] = poller->ready[count];
		poller->ready[count++] = socket;
	}
	return count;
}

static void serve_ready(struct catnap *catnap)
{
	struct poller *poller = &catnap->poller;
	uint32_t streams = sort_ready(poller);
	bool batched = catnap->batch && streams >= BATCH_RECEIVES_MIN;

	if (batched)
		batch_receive(catnap->batch, poller->ready, streams);
	catnap->collects = batched && catnap->context->ops.fresh.head;
	catnap->datagrams = 0;
	for (uint32_t i = 0; i < poller->ready_count; i++) {
		struct socket *socket = poller->ready[i];

		if (socket->state != SOCKET_LISTENING && !(batched && i < streams))
			transfer_receive(socket);
		if (i >= streams || (socket->ready_events & POLLOUT))
			socket_ready(socket);
		else if (!batched)
			socket_update(socket);
	}
	catnap->collects = catnap->collects || catnap->datagrams >= DATAGRAMS_MIN;
}

static enum coroutine_step catnap_poll(struct coroutine *self, uint64_t now_ns)
{
	struct catnap *catnap = container_of(self, struct catnap, fast_path);

	(void)now_ns;
	if (catnap->batch) {
		batch_flush(catnap->batch);
		batch_poll(catnap->batch);
	}
	catnap->collects = false;
	poller_collect(&catnap->poller);
	if (catnap->poller.ready_count)
		serve_ready(catnap);
	return COROUTINE_STEP_YIELD;
}

/* Get the ring that the configuration asks for; 0, or -errno having said what to do. */
static int start_engine(struct catnap *catnap, const struct config *config)
{
	int error;

	if (config->catnap.engine == CONFIG_ENGINE_EPOLL) {
		log_info("catnap over epoll");
		return 0;
	}
	error = batch_create(&catnap->batch, config->catnap.uring_entries);
	if (!error) {
		log_info("catnap over io_uring");
		return 0;
	}
	if (config->catnap.engine != CONFIG_ENGINE_URING) {
		log_info("catnap over epoll, since io_uring cannot start: %s", strerror(-error));
		return 0;
	}
	if (error == -ENOTSUP)
		log_error("%s: this build was made without liburing; set auto or epoll",
			  config->origin.engine);
	else
		log_error("%s: io_uring cannot start: %s; it needs Linux 6.1, and the kernel to "
			  "allow it (kernel.io_uring_disabled); set auto or epoll",
			  config->origin.engine, strerror(-error));
	return error == -ENOSYS ? -ENOTSUP : error;
}

static void catnap_free(struct catnap *catnap)
{
	poller_fini(&catnap->poller);
	if (catnap->batch)
		batch_destroy(catnap->batch);
	free(catnap->scratch);
	free(catnap);
}

static int catnap_start(struct libos **libos_out, struct queue_context *context,
			const struct config *config)
{
	struct catnap *catnap = calloc(1, sizeof(*catnap));
	int error;

	if (!catnap)
		return -ENOMEM;
	catnap->libos.ops = &catnap_ops;
	catnap->context = context;
	catnap->receive_bytes_max = config->catnap.receive_bytes_max;
	catnap->poller.epoll_fd = -1;
	/* The kernel gives no memory to what is not written to, which is nearly all of it. */
	catnap->scratch = malloc(CATNAP_BURST_MAX * sizeof(*catnap->scratch));
	error = catnap->scratch ? start_engine(catnap, config) : -ENOMEM;
	if (!error)
		/* Every descriptor, and sockets that have none any more but an aclose pending. */
		error = poller_init(&catnap->poller,
				    config->runtime.queues_max + config->runtime.operations_max);
	if (!error)
		error = sched_add_fast_path(&context->sched, &catnap->fast_path, catnap_poll);
	if (error) {
		catnap_free(catnap);
		return error;
	}
	*libos_out = &catnap->libos;
	return 0;
}

static void catnap_stop(struct libos *libos)
{
	struct catnap *catnap = catnap_of(libos);

	sched_remove_fast_path(&catnap->context->sched, &catnap->fast_path);
	catnap_free(catnap);
}

static void catnap_forget(struct libos *libos)
{
	struct catnap *catnap = catnap_of(libos);

	if (catnap->poller.epoll_fd >= 0)
		close(catnap->poller.epoll_fd);
	if (catnap->batch)
		batch_disown(catnap->batch);
}

static int catnap_sleep(struct libos *libos, uint64_t timeout_ns, const sigset_t *signals,
			const struct pollfd *others, int other_count)
{
	struct catnap *catnap = catnap_of(libos);
	int outcome = 0;

	poller_watch_others(&catnap->poller, others, other_count);
	if (!catnap->batch)
		return poller_sleep(&catnap->poller, timeout_ns, signals);
	if (batch_before_sleep(catnap->batch))
		outcome = poller_sleep(&catnap->poller, timeout_ns, signals);
	batch_after_sleep(catnap->batch);
	return outcome;
}

static int catnap_idle(struct libos *libos, struct pollfd *wakes, uint64_t *timeout_ns)
{
	struct catnap *catnap = catnap_of(libos);
	int count = 0;

	/* What a ring has done is announced only while the library itself sleeps. */
	if (!catnap->batch || (!batch_has_sends(catnap->batch) && !batch_has_files(catnap->batch)))
		count = poller_idle(&catnap->poller, wakes);
	if (count == 0 && *timeout_ns > NAP_NS)
		*timeout_ns = NAP_NS;
	return count;
}

/* The kernel binds a ring to the thread that made it. */
static bool catnap_stays_in_thread(const struct libos *libos)
{
	return ((const struct catnap *)libos)->batch != NULL;
}

static bool catnap_kernel_works(const struct libos *libos)
{
	const struct catnap *catnap = (const struct catnap *)libos;

	return catnap->batch && batch_has_files(catnap->batch);
}

const struct libos_ops catnap_ops = {
	.name = "catnap",
	.start = catnap_start,
	.stop = catnap_stop,
	.forget = catnap_forget,
	.socket = catnap_socket,
	.open = catnap_open,
	.rename = catnap_rename,
	.unlink = catnap_unlink,
	.kernel_works = catnap_kernel_works,
	.sleep = catnap_sleep,
	.idle = catnap_idle,
	.stays_in_thread = catnap_stays_in_thread,
};
