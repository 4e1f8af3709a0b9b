/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for the configuration: the input is taken as a file, then, line by line, as an
 * environment. Nothing is written to disk.
 */
#include <stdlib.h>
#include <string.h>

#include "base/config.h"

#define VARIABLES_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What holds after every load, whatever was loaded. */
static void check(int result, const struct config *config, const struct config *before,
		  const char *error)
{
	if (result) {
		if (result > 0 || !error[0] || strchr(error, '\n') ||
		    memcmp(config, before, sizeof(*config)) != 0)
			abort();
		return;
	}
	if (!config->libos[0] || !memchr(config->libos, '\0', sizeof(config->libos)) ||
	    config->runtime.idle > CONFIG_IDLE_SLEEP || config->runtime.idle_after_us > 10000000 ||
	    config->runtime.give_way_after_us > 10000000 ||
	    config->runtime.give_way_us > 10000000 || config->runtime.operations_max < 64 ||
	    config->runtime.queues_max < 1 || config->heap.max_bytes < 16 << 20 ||
	    config->queue.elements_max < 1 || config->catnap.engine > CONFIG_ENGINE_EPOLL ||
	    config->catnap.receive_bytes_max < 512 ||
	    (config->catnap.uring_entries & (config->catnap.uring_entries - 1)) ||
	    config->log.level > CONFIG_LOG_DEBUG)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char error[128] = "", *environment[VARIABLES_MAX + 1] = {NULL};
	struct config before, config;
	char *text = malloc(size + 1), *rest = text;
	int result;

	if (!text)
		return 0;
	if (size)
		memcpy(text, data, size);
	text[size] = '\0';
	memset(&before, 0x5a, sizeof(before));
	memcpy(&config, &before, sizeof(config));
	result = config_load_memory(&config, "fuzz", text, size, error, sizeof(error));
	check(result, &config, &before, error);

	for (size_t i = 0; i < VARIABLES_MAX && rest; i++)
		environment[i] = strsep(&rest, "\n");
	memcpy(&config, &before, sizeof(config));
	error[0] = '\0';
	result = config_load(&config, NULL, environment, error, sizeof(error));
	check(result, &config, &before, error);
	free(text);
	return 0;
}
