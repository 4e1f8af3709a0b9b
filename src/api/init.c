/* SPDX-License-Identifier: MIT */
#include <demi/libos.h>

#include <stdlib.h>
#include <unistd.h>

#include "api/api.h"
#include "base/clock.h"
#include "base/log.h"

_Thread_local struct runtime *api_runtime;

int demi_init(const struct demi_args *args)
{
	API_KEEP_ERRNO;
	const char *path = getenv("CONFIG_PATH");
	struct config config;
	char message[512];
	int error;

	(void)args;
	if (api_runtime)
		return EEXIST;
	if (path && !*path) {
		log_error("CONFIG_PATH is empty: name a file, or unset it");
		return EINVAL;
	}
	error = config_load(&config, path, environ, message, sizeof(message));
	if (error) {
		log_error("%s", message);
		return -error;
	}
	log_set_level(config.log.level);
	return -runtime_create(&api_runtime, &config, clock_now_ns());
}

void demi_fini(void)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;

	if (!runtime)
		return;
	api_runtime = NULL;
	runtime_destroy(runtime);
}

int api_give_descriptor(struct runtime *runtime, struct queue *queue, int *qd_out)
{
	int error = queue_table_add(&runtime->context.queues, queue);

	if (error) {
		queue->ops->close(queue);
		return -error;
	}
	*qd_out = queue->qd;
	return 0;
}
