/* SPDX-License-Identifier: MIT */
#include "netdev/xdp_log.h"

#include <bpf/libbpf.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <xdp/libxdp.h>

#include "base/log.h"

/* What they had before the first one began. */
static struct {
	pthread_mutex_t mutex;
	unsigned int begun;
	libbpf_print_fn_t libbpf;
	libxdp_print_fn_t libxdp;
} before = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static __attribute__((format(printf, 1, 0))) int write_line(const char *format, va_list arguments)
{
	char line[256];
	int length = vsnprintf(line, sizeof(line), format, arguments);

	line[strcspn(line, "\n")] = '\0';
	if (length > 0 && line[0])
		log_debug("%s", line);
	return length;
}

static int write_libbpf(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return level == LIBBPF_DEBUG ? 0 : write_line(format, arguments);
}

static int write_libxdp(enum libxdp_print_level level, const char *format, va_list arguments)
{
	return level == LIBXDP_DEBUG ? 0 : write_line(format, arguments);
}

void xdp_log_begin(void)
{
	pthread_mutex_lock(&before.mutex);
	if (before.begun++ == 0) {
		before.libbpf = libbpf_set_print(write_libbpf);
		before.libxdp = libxdp_set_print(write_libxdp);
	}
	pthread_mutex_unlock(&before.mutex);
}

void xdp_log_end(void)
{
	pthread_mutex_lock(&before.mutex);
	if (--before.begun == 0) {
		libbpf_set_print(before.libbpf);
		libxdp_set_print(before.libxdp);
	}
	pthread_mutex_unlock(&before.mutex);
}
