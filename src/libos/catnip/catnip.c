/* SPDX-License-Identifier: MIT */
/* Start and stop of Catnip, its fast path, and its sleep. */
#include "libos/catnip/catnip.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"
#include "libos/catnip/options.h"
#include "libos/catnip/ping.h"
#include "libos/catnip/push.h"
#include "libos/catnip/stream.h"
#include "netdev/spread.h"

/* Where nothing wakes us: sleep so long, and look again. */
#define NAP_NS (50 * NS_PER_US)
/* While pushes wait for the device each nap is twice as long as the one before, up to this. */
#define NAP_NS_MAX (1000 * NS_PER_US)
#define NAPS_MAX 5u
/*
 * Where a look costs a few nanoseconds, the clock and the scheduler around it cost more: so often
 * do we look before we let them have their turn.
 */
#define LOOKS_MAX 32u

/* The device is gone for good. */
static __attribute__((noinline)) void fail(struct catnip *catnip)
{
	net_fail(catnip->net, catnip->device->failure);
	ping_fail_all(catnip, -catnip->device->failure);
}

static enum coroutine_step catnip_poll(struct coroutine *self, uint64_t now_ns)
{
	struct catnip *catnip = container_of(self, struct catnip, fast_path);
	struct netdev *device = catnip->device;

	for (unsigned int looks = catnip->looks; net_poll(catnip->net, now_ns) == 0 && --looks > 0;)
		;
	if (unlikely(device->failure != catnip->net->failure))
		fail(catnip);
	if (unlikely(catnip->pushes_waiting != 0) && device->ops->tx_reclaim)
		device->ops->tx_reclaim(device);
	if (unlikely(catnip->starved != NULL))
		stream_retry_accepts(catnip);
	return COROUTINE_STEP_YIELD;
}

/* --- start and stop --- */

/* Nothing below reads a clock or a random device: what comes from there is read here, once. */
static int read_seed(void *seed, size_t bytes)
{
	if (getrandom(seed, bytes, 0) == (ssize_t)bytes)
		return 0;
	log_error("catnip: the system gives no random bytes: %s", strerror(errno));
	return -EIO;
}

static uint64_t unix_ns_at_zero(uint64_t now_ns)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec - now_ns;
}

static int open_device(struct catnip *catnip, const struct config *config,
		       const struct catnip_options *options)
{
	struct netdev_options device_options = {
		.heap = catnip->context->heap,
		.config = config,
		.mac = options->mac,
	};
	int error = read_seed(&device_options.seed, sizeof(device_options.seed));

	if (!error)
		error = netdev_open(&catnip->device, config->net.dev, &device_options);
	return error;
}

static int open_capture(struct catnip *catnip, const struct config *config)
{
	char path[sizeof(config->net.pcap) + 16];

	if (!config->net.pcap[0])
		return 0;
	snprintf(path, sizeof(path), "%s", config->net.pcap);
	/* Of those who share a device each has a file of its own. */
	if (catnip->device->share)
		snprintf(path, sizeof(path), "%s.%u", config->net.pcap,
			 spread_slot(catnip->device));
	return capture_open(&catnip->capture, path, catnip->device->name,
			    unix_ns_at_zero(catnip->context->now_ns));
}

static int create_net(struct catnip *catnip, const struct config *config,
		      const struct catnip_options *options)
{
	struct net_options net_options = {
		.device = catnip->device,
		.heap = catnip->context->heap,
		.sched = &catnip->context->sched,
		.now_ns = catnip->context->now_ns,
		.capture = catnip->capture,
	};
	int error = read_seed(net_options.seed, sizeof(net_options.seed));

	if (error)
		return error;
	catnip_options_fill(&net_options, options, config);
	return net_create(&catnip->net, &net_options);
}

static int start_parts(struct catnip *catnip, const struct config *config,
		       const struct catnip_options *options)
{
	int error = open_device(catnip, config, options);

	if (!error)
		error = open_capture(catnip, config);
	if (!error)
		error = create_net(catnip, config, options);
	if (!error)
		/* As many as frames and shells: see push.h. */
		error = push_pool_create(catnip, 2 * config->net.frames);
	if (!error)
		error = sched_add_fast_path(&catnip->context->sched, &catnip->fast_path,
					    catnip_poll);
	return error;
}

/* The stack drops what it has, the device what it was given: only then are no pushes under way. */
static void catnip_free(struct catnip *catnip)
{
	if (catnip->net)
		net_destroy(catnip->net);
	netdev_close(catnip->device);
	capture_close(catnip->capture);
	push_pool_destroy(catnip);
	stream_pool_destroy(catnip);
	free(catnip);
}

static int catnip_start(struct libos **libos_out, struct queue_context *context,
			const struct config *config)
{
	struct catnip_options options;
	struct catnip *catnip;
	char message[320];
	int error = catnip_options_parse(&options, config, message, sizeof(message));

	if (error) {
		log_error("%s", message);
		return error;
	}
	catnip = calloc(1, sizeof(*catnip));
	if (!catnip)
		return -ENOMEM;
	catnip->libos.ops = &catnip_ops;
	catnip->context = context;
	error = start_parts(catnip, config, &options);
	if (error) {
		catnip_free(catnip);
		return error;
	}
	catnip->looks = catnip->device->caps.polls_memory ? LOOKS_MAX : 1;
	log_info("catnip over %s, packets of up to %u bytes", catnip->device->name,
		 catnip->net->mtu);
	*libos_out = &catnip->libos;
	return 0;
}

static void catnip_tell_figures(struct libos *libos, figure_fn *tell, void *context)
{
	struct catnip *catnip = catnip_of(libos);

	netdev_tell(catnip->device, tell, context);
	net_counters_tell(&catnip->net->counters, tell, context);
}

static void catnip_stop(struct libos *libos)
{
	struct catnip *catnip = catnip_of(libos);

	netdev_log(catnip->device);
	net_counters_log(&catnip->net->counters);
	sched_remove_fast_path(&catnip->context->sched, &catnip->fast_path);
	catnip_free(catnip);
}

static void catnip_forget(struct libos *libos)
{
	struct catnip *catnip = catnip_of(libos);

	catnip->device->ops->forget(catnip->device);
	if (catnip->capture)
		capture_forget(catnip->capture);
}

/* --- sleep --- */

/* Frames that the device has no room for, or sent and not yet given back, wake nobody. */
static uint64_t limit_for_device(struct catnip *catnip, uint64_t timeout_ns)
{
	uint64_t nap_ns;

	if (catnip->net->tx_count == 0 && catnip->pushes_waiting == 0)
		return timeout_ns;
	nap_ns = NAP_NS << (catnip->naps < NAPS_MAX ? catnip->naps++ : NAPS_MAX);
	if (nap_ns > NAP_NS_MAX)
		nap_ns = NAP_NS_MAX;
	return nap_ns < timeout_ns ? nap_ns : timeout_ns;
}

static uint64_t limit_for_link(const struct catnip *catnip, uint64_t timeout_ns)
{
	const struct netdev *device = catnip->device;
	uint64_t now_ns = catnip->context->now_ns;
	uint64_t next_ns = device->ops->next_ns ? device->ops->next_ns(device) : UINT64_MAX;

	if (next_ns == UINT64_MAX)
		return timeout_ns;
	if (next_ns <= now_ns)
		return 0;
	return next_ns - now_ns < timeout_ns ? next_ns - now_ns : timeout_ns;
}

static int catnip_idle(struct libos *libos, struct pollfd *wakes, uint64_t *timeout_ns)
{
	struct catnip *catnip = catnip_of(libos);
	struct netdev *device = catnip->device;
	int fds[LIBOS_WAKES_OF_ONE] = {-ENOENT, -ENOENT};
	bool sleeps = true;
	int count = 0;

	/* Timers have sent since the last poll of the device. */
	net_flush(catnip->net);
	if (catnip->net->loopback_count || catnip->starved)
		return -EAGAIN;
	fds[0] = device->ops->idle_fd ? device->ops->idle_fd(device, &sleeps) : -ENOTSUP;
	if (device->ops->device_fd && sleeps)
		fds[1] = device->ops->device_fd(device, &sleeps);
	if (!sleeps)
		return -EAGAIN;
	for (unsigned int i = 0; i < LIBOS_WAKES_OF_ONE; i++) {
		if (fds[i] >= 0)
			wakes[count++] = (struct pollfd){.fd = fds[i], .events = POLLIN};
		else if (fds[i] != -ENOENT && *timeout_ns > NAP_NS)
			*timeout_ns = NAP_NS;
	}
	*timeout_ns = limit_for_link(catnip, limit_for_device(catnip, *timeout_ns));
	return count;
}

const struct libos_ops catnip_ops = {
	.name = "catnip",
	.start = catnip_start,
	.stop = catnip_stop,
	.forget = catnip_forget,
	.socket = catnip_socket,
	.tell_figures = catnip_tell_figures,
	.sleep = libos_sleep_idle,
	.idle = catnip_idle,
};
