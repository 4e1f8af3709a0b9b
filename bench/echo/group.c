/* SPDX-License-Identifier: MIT */
/* The echo group: every implementation in turns, for each size and number of connections. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#ifdef BENCH_HAVE_URING
#include <liburing.h>
#endif

#include "bench.h"
#include "echo/cell.h"

#define RTT_RATIO_MAX 1.05
#define MESSAGES_RATIO_MIN 0.97

static const struct combination {
	size_t bytes;
	unsigned int nconns;
	const char *section;
} combinations[] = {
	{64, 1, "64 B, 1 connection"},
	{64, 64, "64 B, 64 connections"},
	{4096, 1, "4 KiB, 1 connection"},
	{4096, 64, "4 KiB, 64 connections"},
};
#define COMBINATIONS (sizeof(combinations) / sizeof(combinations[0]))

/* The ones by hand come first. */
static const struct contestant {
	const struct echo_impl *impl;
	bool by_hand;
	bool needs_uring;
} contestants[] = {
	{&echo_epoll, true, false},
#ifdef BENCH_HAVE_URING
	{&echo_uring, true, true},
#endif
	{&echo_demi_epoll, false, false},
#ifdef BENCH_HAVE_URING
	{&echo_demi_uring, false, true},
#endif
};
#define CONTESTANTS (sizeof(contestants) / sizeof(contestants[0]))

struct echo_figures {
	struct figure *rtt;
	struct figure *messages;
};

static void name_of(const struct combination *combination, char *name, size_t size)
{
	snprintf(name, size, "echo/%zu/%u", combination->bytes, combination->nconns);
}

static struct figure *add_figure(struct report *report, unsigned int rounds,
				 const struct combination *combination,
				 const struct contestant *contestant, bool messages)
{
	struct figure *figure = report_add(report, messages ? "thousand/s" : "us", rounds);
	char name[32];

	if (!figure)
		return NULL;
	name_of(combination, name, sizeof(name));
	snprintf(figure->name, sizeof(figure->name), "%s/%s/%s", name, contestant->impl->name,
		 messages ? "messages" : "round-trip");
	snprintf(figure->label, sizeof(figure->label), "%s, %s", contestant->impl->name,
		 messages ? "messages" : "round trip");
	snprintf(figure->section, sizeof(figure->section), "%s", combination->section);
	figure->higher_is_better = messages;
	if (!contestant->by_hand) {
		figure->goal_kind = GOAL_RATIO;
		figure->goal = messages ? MESSAGES_RATIO_MIN : RTT_RATIO_MAX;
	}
	return figure;
}

/* Whether this kernel lets us have a ring as the uring contestants want it. */
static bool uring_works(void)
{
#ifdef BENCH_HAVE_URING
	struct io_uring ring;

	if (io_uring_queue_init(8, &ring, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN))
		return false;
	io_uring_queue_exit(&ring);
	return true;
#else
	return false;
#endif
}

static int run_round(const struct combination *combination, unsigned int time_ms,
		     struct echo_figures *figures, unsigned int round, struct echo_result *result)
{
	struct echo_params params = {.msg_bytes = combination->bytes,
				     .nconns = combination->nconns,
				     .run_ns = time_ms * 1000000ull};

	for (unsigned int i = 0; i < CONTESTANTS; i++) {
		struct echo_cell cell;
		int rc;

		if (!figures[i].rtt)
			continue;
		rc = echo_run_cell(contestants[i].impl, params, result, &cell);
		if (rc) {
			fprintf(stderr, "echo: %s failed: %s\n", contestants[i].impl->name,
				strerror(-rc));
			return rc;
		}
		figures[i].rtt->values[round] = cell.rtt_us;
		if (round == 0 || cell.rtt_min_us < figures[i].rtt->minimum)
			figures[i].rtt->minimum = cell.rtt_min_us;
		figures[i].messages->values[round] = cell.msgs_per_s / 1e3;
		if (round == 0 || cell.msgs_per_s / 1e3 < figures[i].messages->minimum)
			figures[i].messages->minimum = cell.msgs_per_s / 1e3;
	}
	return 0;
}

/* Compare Demi with the better of those by hand. */
static void compare(struct echo_figures *figures)
{
	const struct figure *rtt = figures[0].rtt, *messages = figures[0].messages;

	for (unsigned int i = 1; i < CONTESTANTS; i++) {
		if (!figures[i].rtt)
			continue;
		if (!contestants[i].by_hand) {
			figures[i].rtt->against = rtt;
			figures[i].messages->against = messages;
			continue;
		}
		if (figure_median(figures[i].rtt) < figure_median(rtt))
			rtt = figures[i].rtt;
		if (figure_median(figures[i].messages) > figure_median(messages))
			messages = figures[i].messages;
	}
}

static int run_combination(const struct combination *combination,
			   const struct bench_options *options, struct report *report,
			   struct echo_result *result)
{
	struct echo_figures figures[CONTESTANTS] = {{NULL, NULL}};
	bool uring = uring_works();

	for (unsigned int i = 0; i < CONTESTANTS; i++) {
		if (contestants[i].needs_uring && !uring)
			continue;
		figures[i].rtt = add_figure(report, options->rounds, combination, &contestants[i],
					    false);
		figures[i].messages = add_figure(report, options->rounds, combination,
						 &contestants[i], true);
		if (!figures[i].rtt || !figures[i].messages)
			return -ENOMEM;
	}
	for (unsigned int round = 0; round < options->rounds; round++) {
		int rc = run_round(combination, options->time_ms, figures, round, result);

		if (rc)
			return rc;
	}
	compare(figures);
	return 0;
}

static int run(const struct bench_options *options, struct report *report)
{
	struct echo_result *result = NULL;
	int rc = 0;

	for (unsigned int i = 0; !rc && i < COMBINATIONS; i++) {
		char name[32];

		name_of(&combinations[i], name, sizeof(name));
		if (!bench_wants(options, name))
			continue;
		if (!bench_has_two_cpus()) {
			puts("\necho: not measured, both ends spin and need CPU 0 and CPU 1");
			return 0;
		}
		if (!result)
			result = mmap(NULL, sizeof(*result), PROT_READ | PROT_WRITE,
				      MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
		if (result == MAP_FAILED)
			return -errno;
		rc = run_combination(&combinations[i], options, report, result);
	}
	if (result)
		munmap(result, sizeof(*result));
	return rc;
}

static void list(void)
{
	for (unsigned int i = 0; i < COMBINATIONS; i++) {
		char name[32];

		name_of(&combinations[i], name, sizeof(name));
		printf("  %-28s %s\n", name, combinations[i].section);
	}
}

const struct bench_group echo_group = {
	.name = "echo",
	.title = "TCP echo over loopback, each end a process that spins on its own CPU",
	.help = "  Demi with its two engines beside the same echo by hand over epoll and over\n"
		"  io_uring; both ends are the same implementation, each connection has one message in\n"
		"  flight. Round trip: median of a round, as the client sees it. Messages: echoed in a\n"
		"  second. Ratios are to the better of the two by hand. The minimum of messages is\n"
		"  the slowest round.",
	.run = run,
	.list = list,
};
