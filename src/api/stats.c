/* SPDX-License-Identifier: MIT */
#include <demi/stats.h>

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "api/api.h"
#include "queue/joined_queue.h"

static void name_figure(char name[static DEMI_STAT_NAME_MAX], const char *part, const char *figure,
			const char *detail)
{
	snprintf(name, DEMI_STAT_NAME_MAX, "%s.%s%s%s", part, figure, detail ? "." : "",
		 detail ? detail : "");
	for (char *at = name; *at; at++)
		*at = (char)tolower((unsigned char)*at);
}

static void tell_all(struct runtime *runtime, figure_fn *tell, void *context)
{
	struct libos *libos = runtime->libos;

	if (libos->ops->tell_figures)
		libos->ops->tell_figures(libos, tell, context);
	joined_queues_tell(runtime->context.joined, tell, context);
}

struct listing {
	demi_stat_t *stats;
	int room;
	int count; /* those without room too */
};

static void list(void *context, const char *part, const char *figure, const char *detail,
		 uint64_t value)
{
	struct listing *listing = context;

	if (listing->count < listing->room) {
		demi_stat_t *stat = &listing->stats[listing->count];

		name_figure(stat->stat_name, part, figure, detail);
		stat->stat_value = value;
	}
	listing->count++;
}

int demi_stats(demi_stat_t stats[], int num_stats, int *num_stats_out)
{
	API_KEEP_ERRNO;
	struct listing listing = {.stats = stats, .room = num_stats};

	if (!api_runtime)
		return ENOSYS;
	if (!API_POINTER_OK(num_stats_out) || (num_stats > 0 && !API_POINTER_OK(stats)))
		return EFAULT;
	if (num_stats < 0)
		return EINVAL;
	tell_all(api_runtime, list, &listing);
	*num_stats_out = listing.count;
	return 0;
}

struct search {
	const char *name;
	uint64_t value;
	bool found;
};

static void seek(void *context, const char *part, const char *figure, const char *detail,
		 uint64_t value)
{
	struct search *search = context;
	char name[DEMI_STAT_NAME_MAX];

	if (search->found)
		return;
	name_figure(name, part, figure, detail);
	if (strcmp(name, search->name) != 0)
		return;
	search->found = true;
	search->value = value;
}

int demi_stat(uint64_t *value_out, const char *name)
{
	API_KEEP_ERRNO;
	struct search search = {.name = name};

	if (!api_runtime)
		return ENOSYS;
	if (!API_POINTER_OK(value_out) || !name)
		return EFAULT;
	tell_all(api_runtime, seek, &search);
	if (!search.found)
		return ENOENT;
	*value_out = search.value;
	return 0;
}
