/* SPDX-License-Identifier: MIT */
/* Start and stop of Cattree, its fast path, its waits and its sleep. */
#include "libos/cattree/cattree.h"

#include <errno.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/container.h"
#include "base/log.h"

/* Where nothing wakes us: sleep so long, and look again. */
#define NAP_NS (50 * NS_PER_US)
/* A call that waits for the device sleeps so long at a time: a device that is silent is polled. */
#define WAIT_MS 10

static enum coroutine_step cattree_poll(struct coroutine *self, uint64_t now_ns)
{
	struct cattree *cattree = container_of(self, struct cattree, fast_path);

	blkdev_poll(cattree->device, now_ns);
	if (cattree->stirred)
		cattree_run_stirred(cattree);
	return COROUTINE_STEP_YIELD;
}

/* --- calls that wait --- */

void cattree_begin_call(struct cattree *cattree)
{
	cattree->context->now_ns = cattree->context->clock();
}

/* Until a thread of the kernel's has done something for us. */
static void sleep_for_kernel(const struct cattree *cattree)
{
	struct blkdev *device = cattree->device;
	struct pollfd wake = {.fd = -1, .events = POLLIN};
	bool sleeps = true;

	if (!device->ops->idle_fd)
		return;
	wake.fd = device->ops->idle_fd(device, &sleeps);
	if (sleeps && wake.fd >= 0)
		poll(&wake, 1, WAIT_MS);
}

/*
 * For a call that changes the store, and returns when that is durable: the device alone is polled.
 * No other gets its turn, and no coroutine, since the caller may stand anywhere. The kernel's threads
 * get a CPU as in other waits.
 */
static void cattree_wait(void *context)
{
	struct cattree *cattree = context;
	struct blkdev *device = cattree->device;
	uint64_t now_ns;

	cattree_begin_call(cattree);
	now_ns = cattree->context->now_ns;
	if (blkdev_poll(device, now_ns) > 0) {
		give_way_end(&cattree->give_way, &cattree->giving, now_ns);
		cattree->giving = (struct giving){0};
	} else if (device->caps.kernel_works && device->under_way > 0) {
		if (give_way_by(&cattree->give_way, &cattree->giving, now_ns) == GIVE_WAY_YIELD)
			sched_yield();
		else
			sleep_for_kernel(cattree);
	}
}

/* --- start and stop --- */

/* Nothing below reads a random device: what comes from there is read here, once. */
static int read_seed(uint64_t *seed)
{
	if (getrandom(seed, sizeof(*seed), 0) == (ssize_t)sizeof(*seed))
		return 0;
	log_error("cattree: the system gives no random bytes: %s", strerror(errno));
	return -EIO;
}

static int open_device(struct cattree *cattree, const struct config *config)
{
	struct blkdev_options options = {
		.heap = cattree->context->heap,
		.config = config,
		.now_ns = cattree->context->now_ns,
		.read_only = config->blk.read_only == CONFIG_ON,
	};
	int error = read_seed(&options.seed);

	return error ? error : blkdev_open(&cattree->device, config->blk.dev, &options);
}

static int format_store(const struct log_store_options *options, const struct config *config)
{
	struct log_format_options format = {
		.segment_bytes = (uint32_t)config->store.segment_bytes,
		.overwrite = config->store.format == CONFIG_FORMAT_OVERWRITE,
	};
	int error = read_seed(&format.seed);

	if (error)
		return error;
	log_info("%s gets a store of logs", options->device->name);
	return log_store_format(options, &format);
}

static int complain_blank(const struct blkdev *device)
{
	log_error("%s: it is blank, there is no store of logs; demi log format makes one, and so "
		  "does who opens it to write, with store.format: auto",
		  device->name);
	return -ENODATA;
}

static int open_store(struct cattree *cattree, const struct config *config)
{
	struct log_store_options options = {
		.device = cattree->device,
		.heap = cattree->context->heap,
		.sched = &cattree->context->sched,
		.now_ns = &cattree->context->now_ns,
		.wait = cattree_wait,
		.wait_context = cattree,
		.copy_max = (uint32_t)config->store.copy_max,
		.read_only = cattree->device->caps.read_only,
		.trim = config->store.trim == CONFIG_ON,
	};
	int error = read_seed(&options.seed);

	if (!error && config->store.format == CONFIG_FORMAT_OVERWRITE)
		error = format_store(&options, config);
	if (error)
		return error;
	error = log_store_open(&cattree->store, &options);
	if (error != -ENODATA)
		return error;
	if (config->store.format == CONFIG_FORMAT_NEVER || options.read_only)
		return complain_blank(cattree->device);
	/* An empty device becomes a store at the first start. */
	error = format_store(&options, config);
	return error ? error : log_store_open(&cattree->store, &options);
}

static void log_store(const struct cattree *cattree)
{
	struct log_store_status status;

	log_store_status(cattree->store, &status);
	log_info("cattree over %s: %u logs, %llu of %llu segments of %u KiB are free",
		 cattree->device->name, status.logs, (unsigned long long)status.segments_free,
		 (unsigned long long)status.segments, status.segment_bytes >> 10);
}

static void cattree_free(struct cattree *cattree)
{
	if (cattree->store)
		log_store_close(cattree->store);
	blkdev_close(cattree->device);
	free(cattree);
}

static int cattree_start(struct libos **libos_out, struct queue_context *context,
			 const struct config *config)
{
	struct cattree *cattree = calloc(1, sizeof(*cattree));
	int error;

	if (!cattree)
		return -ENOMEM;
	cattree->libos.ops = &cattree_ops;
	cattree->context = context;
	/* Who is to sleep does so at once. */
	if (config->runtime.idle == CONFIG_IDLE_SPIN)
		cattree->give_way.yields_ns_max = config->runtime.give_way_us * NS_PER_US;
	error = open_device(cattree, config);
	if (!error)
		error = open_store(cattree, config);
	if (!error)
		error = sched_add_fast_path(&context->sched, &cattree->fast_path, cattree_poll);
	if (error) {
		cattree_free(cattree);
		return error;
	}
	log_store(cattree);
	*libos_out = &cattree->libos;
	return 0;
}

/* Closed queues may still have records under way, which the log's coroutines bring to their end. */
static void end_queues(struct cattree *cattree)
{
	cattree_run_stirred(cattree);
	while (cattree->queues) {
		cattree_wait(cattree);
		sched_run_ready(&cattree->context->sched, cattree->context->now_ns);
		cattree_run_stirred(cattree);
	}
}

static void cattree_stop(struct libos *libos)
{
	struct cattree *cattree = cattree_of(libos);

	end_queues(cattree);
	sched_remove_fast_path(&cattree->context->sched, &cattree->fast_path);
	cattree_free(cattree);
}

static void cattree_forget(struct libos *libos)
{
	struct cattree *cattree = cattree_of(libos);

	cattree->device->ops->forget(cattree->device);
	log_store_forget(cattree->store);
}

static void cattree_tell_figures(struct libos *libos, figure_fn *tell, void *context)
{
	struct cattree *cattree = cattree_of(libos);

	blkdev_tell(cattree->device, tell, context);
	log_tell(cattree->store, tell, context);
}

static int cattree_rename(struct libos *libos, const char *path, const char *new_path)
{
	struct cattree *cattree = cattree_of(libos);

	cattree_begin_call(cattree);
	return log_rename(cattree->store, path, new_path);
}

static int cattree_unlink(struct libos *libos, const char *path)
{
	struct cattree *cattree = cattree_of(libos);

	cattree_begin_call(cattree);
	return log_remove(cattree->store, path);
}

/* --- all logs --- */

struct visit {
	struct cattree *cattree;
	demi_log_fn_t visit;
	demi_log_problem_fn_t tell;
	void *context;
};

static int visit_log(void *context, const struct log_status *status)
{
	const struct visit *visit = context;
	struct log_store_status store;
	demi_log_t log;

	log_store_status(visit->cattree->store, &store);
	log = (demi_log_t){
		.log_name = status->name,
		.log_first = status->first,
		.log_end = status->end,
		.log_bytes = status->segments * store.segment_bytes,
		.log_damaged = status->is_damaged,
	};
	return visit->visit(&log, visit->context);
}

static int cattree_each_log(struct libos *libos, demi_log_fn_t visit, void *context)
{
	struct visit visitor = {.cattree = cattree_of(libos), .visit = visit, .context = context};

	return log_each(visitor.cattree->store, visit_log, &visitor);
}

static void tell_problem(void *context, const char *log, uint64_t record, const char *problem)
{
	const struct visit *visit = context;

	visit->tell(log, record, problem, visit->context);
}

static int64_t cattree_check_logs(struct libos *libos, demi_log_problem_fn_t tell, void *context)
{
	struct visit visitor = {.cattree = cattree_of(libos), .tell = tell, .context = context};

	cattree_begin_call(visitor.cattree);
	return log_check(visitor.cattree->store, tell_problem, &visitor);
}

/* --- sleep --- */

/* A simulated device ends its requests at times that it knows. */
static uint64_t limit_for_device(const struct cattree *cattree, uint64_t timeout_ns)
{
	const struct blkdev *device = cattree->device;
	uint64_t now_ns = cattree->context->now_ns;
	uint64_t next_ns = device->ops->next_ns ? device->ops->next_ns(device) : UINT64_MAX;

	if (next_ns == UINT64_MAX)
		return timeout_ns;
	if (next_ns <= now_ns)
		return 0;
	return next_ns - now_ns < timeout_ns ? next_ns - now_ns : timeout_ns;
}

static int cattree_idle(struct libos *libos, struct pollfd *wakes, uint64_t *timeout_ns)
{
	struct cattree *cattree = cattree_of(libos);
	struct blkdev *device = cattree->device;
	bool sleeps = true;

	if (cattree->stirred)
		return -EAGAIN;
	*wakes = (struct pollfd){.fd = -1, .events = POLLIN};
	if (device->ops->idle_fd)
		wakes->fd = device->ops->idle_fd(device, &sleeps);
	if (!sleeps)
		return -EAGAIN;
	if (wakes->fd < 0 && device->under_way > 0 && *timeout_ns > NAP_NS)
		*timeout_ns = NAP_NS;
	*timeout_ns = limit_for_device(cattree, *timeout_ns);
	return wakes->fd >= 0;
}

static bool cattree_kernel_works(const struct libos *libos)
{
	const struct blkdev *device = ((const struct cattree *)libos)->device;

	return device->caps.kernel_works && device->under_way > 0;
}

static bool cattree_stays_in_thread(const struct libos *libos)
{
	return ((const struct cattree *)libos)->device->caps.stays_in_thread;
}

const struct libos_ops cattree_ops = {
	.name = "cattree",
	.start = cattree_start,
	.stop = cattree_stop,
	.forget = cattree_forget,
	.open = cattree_open,
	.rename = cattree_rename,
	.unlink = cattree_unlink,
	.each_log = cattree_each_log,
	.check_logs = cattree_check_logs,
	.kernel_works = cattree_kernel_works,
	.tell_figures = cattree_tell_figures,
	.sleep = libos_sleep_idle,
	.idle = cattree_idle,
	.stays_in_thread = cattree_stays_in_thread,
};
