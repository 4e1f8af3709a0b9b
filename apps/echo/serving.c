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

void serving_listening(FILE *out, const struct sockaddr *address)
{
	char text[ADDRESS_TEXT_MAX];

	address_format(address, text);
	fprintf(out, "listening on %s\n", text);
	fflush(out);
}

static bool count_is_reached(const struct serving *serving)
{
	if (serving->group)
		return serving->is_enough;
	return serving->options->count && serving_messages(serving) >= serving->options->count;
}

/* Now and then, since it makes the others' cache lines move. */
static void count_group(struct serving *serving, uint64_t now_ns)
{
	const struct serving_group *group = serving->group;
	uint64_t messages = 0;

	if (!serving->options->count || now_ns - serving->looked_ns < NS_PER_MS)
		return;
	serving->looked_ns = now_ns;
	for (uint32_t i = 0; i < group->count; i++)
		messages += serving_messages(group->members[i]);
	serving->is_enough = messages >= serving->options->count;
}

void serving_received(struct serving *serving, uint64_t bytes)
{
	atomic_store_explicit(&serving->messages, serving_messages(serving) + 1,
			      memory_order_relaxed);
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
	struct serving_group *group = serving->group;
	int stop_requests = process_stop_requests();

	if (group)
		count_group(serving, now_ns);
	if (serving->stopping_ns == 0) {
		if (!stop_requests && !count_is_reached(serving) &&
		    !(serving->ends_ns && now_ns >= serving->ends_ns) &&
		    !(group && atomic_load_explicit(&group->is_ending, memory_order_relaxed)))
			return false;
		serving->stopping_ns = now_ns;
		if (group)
			atomic_store_explicit(&group->is_ending, true, memory_order_relaxed);
	}
	return unanswered == 0 || stop_requests > 1 || now_ns - serving->stopping_ns >= NS_PER_S;
}

void serving_summary(FILE *out, const struct serving *const members[], uint32_t count)
{
	uint64_t connections = 0, messages = 0, bytes = 0;

	for (uint32_t i = 0; i < count; i++) {
		connections += members[i]->connections;
		messages += serving_messages(members[i]);
		bytes += members[i]->bytes;
	}
	fprintf(out, "served %" PRIu64 " connections, %" PRIu64 " messages, %" PRIu64 " bytes\n",
		connections, messages, bytes);
	fflush(out);
}
