/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for the arguments of devices: the lines of the input are net.dev and dpdk.args.
 * Devices in memory are opened and closed. The others come as far as the system, which is not
 * there: files, sockets and the EAL fail, so that only what was read of their arguments counts.
 * Linked with --wrap for these.
 */
#include "wire_fuzz.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>

#include "base/config.h"
#include "heap/heap.h"
#include "netdev/netdev.h"
#include "text_fuzz.h"

#define FRAMES 64u
#define EAL_WORDS_MAX 64 /* of netdev/dpdk.h, which wants DPDK's headers */

static struct config config;
static bool is_opening;

int __real_open64(const char *path, int flags, mode_t mode);
int __wrap_open64(const char *path, int flags, mode_t mode);
int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);
int __wrap_rte_eal_init(int count, char **words);

int __wrap_open64(const char *path, int flags, mode_t mode)
{
	if (!is_opening)
		return __real_open64(path, flags, mode);
	errno = ENOENT;
	return -1;
}

int __wrap_socket(int domain, int type, int protocol)
{
	if (!is_opening)
		return __real_socket(domain, type, protocol);
	errno = EPERM;
	return -1;
}

static bool has_word(int count, char **words, const char *word)
{
	for (int i = 0; i < count; i++) {
		if (!strncmp(words[i], word, strlen(word)))
			return true;
	}
	return false;
}

/* What DPDK would be started with: ours, then the operator's words as they are. */
int __wrap_rte_eal_init(int count, char **words)
{
	char text[sizeof(config.dpdk.args)], *rest = text, *word;
	unsigned int given = 0;

	must(count > 0 && count <= EAL_WORDS_MAX && !strcmp(words[0], "demi"));
	must(has_word(count, words, "-"));
	strcpy(text, config.dpdk.args);
	while ((word = strsep(&rest, " \t")))
		given += *word != '\0';
	must(given < (unsigned int)count);
	strcpy(text, config.dpdk.args);
	rest = text;
	while ((word = strsep(&rest, " \t"))) {
		if (*word)
			must(!strcmp(words[(unsigned int)count - given--], word));
	}
	return -1;
}

static void check_open(const struct netdev *device, const struct heap *heap)
{
	must(device->heap == heap && device->ops && memchr(device->name, 0, sizeof(device->name)));
	must(device->caps.mtu > 0 && device->caps.segments_max > 0);
	must(!eth_address_is_multicast(&device->caps.mac));
	must(heap_frames_free(device->frames) <= FRAMES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct heap *heap;
	struct netdev_options options = {.config = &config, .seed = 1};
	struct netdev *device = NULL;
	int error;

	if (!heap)
		must(heap_create(&heap, &(struct heap_options){.bytes_max = 64u << 20}) == 0);
	config_defaults(&config);
	config.net.frames = FRAMES;
	take_line(&data, &size, config.net.dev, sizeof(config.net.dev));
	take_line(&data, &size, config.dpdk.args, sizeof(config.dpdk.args));
	options.heap = heap;
	is_opening = true;
	error = netdev_open(&device, config.net.dev, &options);
	is_opening = false;
	must(error <= 0);
	if (!error) {
		check_open(device, heap);
		netdev_close(device);
	}
	must(heap_is_empty(heap));
	return 0;
}
