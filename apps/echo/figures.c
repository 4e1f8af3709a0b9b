/* SPDX-License-Identifier: MIT */
#include "figures.h"

#include <demi/stats.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "process.h"

/* What stands before this thread's figures. */
static _Thread_local char title[32];

void figures_name_runtime(uint32_t number)
{
	snprintf(title, sizeof(title), "runtime %" PRIu32 ": ", number);
}

/* As many as there are; the caller frees them. NULL: it has been said why. */
static demi_stat_t *read_figures(const char *program, int *count)
{
	demi_stat_t *figures = NULL;
	int room = 0;

	int error = demi_stats(NULL, 0, &room);
	if (!error) {
		figures = calloc((size_t)room + 1, sizeof(*figures));
		error = figures ? demi_stats(figures, room, count) : ENOMEM;
	}
	if (!error)
		return figures;
	fprintf(stderr, "%s: statistics: %s\n", program, strerror(error));
	free(figures);
	return NULL;
}

void figures_print(const char *program)
{
	int count = 0;
	int counted = 0;
	int width = 0;
	demi_stat_t *figures = read_figures(program, &count);

	if (!figures)
		return;
	for (int i = 0; i < count; i++) {
		int length = (int)strlen(figures[i].stat_name);
		if (!figures[i].stat_value)
			continue;
		counted++;
		if (length > width)
			width = length;
	}
	flockfile(stderr);
	fprintf(stderr, "%sstatistics: %d of %d figures are not 0\n", title, counted, count);
	for (int i = 0; i < count; i++) {
		if (figures[i].stat_value)
			fprintf(stderr, "  %-*s %12" PRIu64 "\n", width, figures[i].stat_name,
				figures[i].stat_value);
	}
	funlockfile(stderr);
	free(figures);
}

void figures_print_if_requested(const char *program)
{
	if (process_report_requested())
		figures_print(program);
}
