/* SPDX-License-Identifier: MIT */
/*
 * DPDK writes its messages to a stream. Ours takes them line by line: while a device is opened its
 * errors become part of the one message that we write if that fails, and are forgotten otherwise,
 * since drivers complain about much that is well. Later errors are written as warnings.
 */
#include <errno.h>
#include <rte_log.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "netdev/dpdk.h"
#ifdef DEMI_HAVE_XDP
#include "netdev/xdp_log.h"
#endif

/* There is one stream in a process. What it guards, its own lock does: drivers have threads. */
static struct {
	FILE *stream;
	bool collects;
	bool is_silent; /* what libraries of drivers write */
	char text[320];
} messages;

static void collect(const char *text, size_t bytes)
{
	size_t used = strlen(messages.text);
	const char *between = used > 0 ? "; " : "";

	snprintf(messages.text + used, sizeof(messages.text) - used, "%s%.*s", between, (int)bytes,
		 text);
}

static void write_line(const char *text, size_t bytes)
{
	bool is_error = rte_log_cur_msg_loglevel() <= (int)RTE_LOG_ERR;

	while (bytes > 0 && (text[bytes - 1] == '.' || text[bytes - 1] == ' '))
		bytes--;
	if (bytes == 0)
		return;
	if (is_error && messages.collects)
		collect(text, bytes);
	if (is_error && !messages.collects)
		log_warning("dpdk: %.*s", (int)bytes, text);
	else
		log_debug("dpdk: %.*s", (int)bytes, text);
}

static ssize_t write_lines(void *cookie, const char *text, size_t bytes)
{
	const char *end = text + bytes;

	(void)cookie;
	while (text < end) {
		const char *line_end = memchr(text, '\n', (size_t)(end - text));

		if (!line_end)
			line_end = end;
		write_line(text, (size_t)(line_end - text));
		text = line_end + 1;
	}
	return (ssize_t)bytes;
}

/* Those of net_af_xdp write by themselves. */
static void silence_libraries(bool silent)
{
#ifdef DEMI_HAVE_XDP
	if (silent == messages.is_silent)
		return;
	messages.is_silent = silent;
	if (silent)
		xdp_log_begin();
	else
		xdp_log_end();
#else
	(void)silent;
#endif
}

int dpdk_log_open(void)
{
	cookie_io_functions_t functions = {.write = write_lines};

	if (messages.stream)
		return 0;
	messages.stream = fopencookie(NULL, "w", functions);
	if (!messages.stream)
		return -ENOMEM;
	return rte_openlog_stream(messages.stream) < 0 ? -EINVAL : 0;
}

void dpdk_log_collect(void)
{
	if (!messages.stream)
		return;
	flockfile(messages.stream);
	messages.text[0] = '\0';
	messages.collects = true;
	silence_libraries(true);
	funlockfile(messages.stream);
}

const char *dpdk_log_collected(const char *otherwise)
{
	if (!messages.stream)
		return otherwise;
	flockfile(messages.stream);
	messages.collects = false;
	silence_libraries(false);
	funlockfile(messages.stream);
	return messages.text[0] ? messages.text : otherwise;
}

/* ---- What is printed past the log ---- */

/*
 * The streams while one thread is mute, which dpdk_eal_lock keeps to one at a time. Filters are made
 * once and stay: another thread may be writing to one.
 */
static struct {
	FILE *output, *errors; /* the program's; errors NULL: they are not touched */
	FILE *output_filter, *errors_filter;
} muted;

static _Thread_local bool is_mute;

/* Other threads print on. */
static ssize_t pass_on(void *cookie, const char *text, size_t bytes)
{
	if (!is_mute) {
		fwrite(text, 1, bytes, cookie);
		fflush(cookie);
	}
	return (ssize_t)bytes;
}

/* @filter: made for @stream when it is not there. Without memory nothing is kept back. */
static FILE *filter_of(FILE *stream, FILE **filter)
{
	if (!*filter) {
		*filter = fopencookie(stream, "w", (cookie_io_functions_t){.write = pass_on});
		if (*filter)
			setvbuf(*filter, NULL, _IONBF, 0);
	}
	return *filter ? *filter : stream;
}

void dpdk_log_mute(bool with_errors)
{
	is_mute = true;
	muted.output = stdout;
	muted.errors = with_errors ? stderr : NULL;
	stdout = filter_of(stdout, &muted.output_filter);
	if (with_errors)
		stderr = filter_of(stderr, &muted.errors_filter);
}

void dpdk_log_unmute(void)
{
	stdout = muted.output;
	if (muted.errors)
		stderr = muted.errors;
	is_mute = false;
}
