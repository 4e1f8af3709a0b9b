/* SPDX-License-Identifier: MIT */
#include "serving.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "process.h"

void serving_init(struct serving *serving, const struct options *options)
{
	*serving = (struct serving){.options = options};
	if (options->duration_ns)
		serving->ends_ns = process_now_ns() + options->duration_ns;
}

void serving_listening(const struct sockaddr *address)
{
	char text[ADDRESS_TEXT_MAX];

	address_format(address, text);
	printf("listening on %s\n", text);
	fflush(stdout);
}

static bool count_is_reached(const struct serving *serving)
{
	return serving->options->count && serving->messages >= serving->options->count;
}

void serving_received(struct serving *serving, uint64_t bytes)
{
	serving->messages++;
	serving->bytes += bytes;
}

void serving_complain(struct serving *serving, const char *what, int error)
{
	uint64_t now_ns = process_now_ns();

	if (serving->options->quiet)
		return;
	if (serving->complaint_ns && now_ns - serving->complaint_ns < NS_PER_S) {
		serving->swallowed++;
		return;
	}
	fprintf(stderr, "%s: %s: %s", serving->options->program, what, strerror(error));
	if (serving->swallowed)
		fprintf(stderr, " (and %" PRIu64 " more troubles before)", serving->swallowed);
	fputc('\n', stderr);
	serving->complaint_ns = now_ns;
	serving->swallowed = 0;
}

bool serving_is_stopping(const struct serving *serving)
{
	return serving->stopping_ns != 0 || count_is_reached(serving);
}

bool serving_is_over(struct serving *serving, uint64_t now_ns, uint64_t unanswered)
{
	int stop_requests = process_stop_requests();

	if (serving->stopping_ns == 0) {
		if (!stop_requests && !count_is_reached(serving) &&
		    !(serving->ends_ns && now_ns >= serving->ends_ns))
			return false;
		serving->stopping_ns = now_ns;
	}
	return unanswered == 0 || stop_requests > 1 || now_ns - serving->stopping_ns >= NS_PER_S;
}

void serving_summary(const struct serving *serving)
{
	printf("served %" PRIu64 " connections, %" PRIu64 " messages, %" PRIu64 " bytes\n",
	       serving->connections, serving->messages, serving->bytes);
	fflush(stdout);
}
