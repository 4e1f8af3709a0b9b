/* SPDX-License-Identifier: MIT */
#include "libos/catmem/catmem.h"

#include <errno.h>
#include <stdlib.h>

static int catmem_start(struct libos **libos_out, struct queue_context *context,
			const struct config *config)
{
	struct libos *libos = calloc(1, sizeof(*libos));

	(void)context;
	(void)config;
	if (!libos)
		return -ENOMEM;
	libos->ops = &catmem_ops;
	*libos_out = libos;
	return 0;
}

static void catmem_stop(struct libos *libos)
{
	free(libos);
}

static void catmem_forget(struct libos *libos)
{
	(void)libos; /* it has no descriptor, and nothing is shared */
}

/* Nothing but other runtimes and timers wakes it. */
static int catmem_idle(struct libos *libos, struct pollfd *wakes, uint64_t *timeout_ns)
{
	(void)libos;
	(void)wakes;
	(void)timeout_ns;
	return 0;
}

const struct libos_ops catmem_ops = {
	.name = "catmem",
	.start = catmem_start,
	.stop = catmem_stop,
	.forget = catmem_forget,
	.sleep = libos_sleep_idle,
	.idle = catmem_idle,
};
