/* SPDX-License-Identifier: MIT */
/* Lines for the operator, on standard error, and statistics, also as JSON. */
#include <demi/stats.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "server.h"

static void print_time(void)
{
	time_t now = time(NULL);
	struct tm parts;
	char text[32];

	if (gmtime_r(&now, &parts) && strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts))
		fprintf(stderr, "%s ", text);
}

static const char *protocol_of(const struct turn_client *client)
{
	return client->is_stream ? "tcp" : "udp";
}

static void print_relays(const struct server *server, const struct turn_allocation *allocation)
{
	char text[NET_ADDRESS_TEXT_MAX];

	for (size_t i = 0; i < TURN_FAMILIES; i++) {
		struct net_address address = server->options->turn.relay_ip[i];

		if (!allocation->relays[i])
			continue;
		address.port = allocation->relays[i]->port;
		fprintf(stderr, " relayed %s", net_address_format(&address, text));
	}
}

void report_event(void *context, enum turn_event event, const struct turn_allocation *allocation,
		  uint64_t now_ns)
{
	static const char *const words[] = {"made", "deleted", "expired", "disconnected"};
	const struct server *server = context;
	char text[NET_ADDRESS_TEXT_MAX];

	if (server->options->quiet)
		return;
	print_time();
	fprintf(stderr, "allocation %s: client %s %s user %s", words[event],
		protocol_of(&allocation->client),
		net_address_format(&allocation->client.address, text), allocation->quota->shown);
	print_relays(server, allocation);
	if (event == TURN_EVENT_MADE)
		fprintf(stderr, " lifetime %u s\n", allocation->lifetime_s);
	else
		fprintf(stderr,
			" after %" PRIu64 " s: to peers %" PRIu64 " packets %" PRIu64
			" bytes, to client %" PRIu64 " packets %" PRIu64 " bytes\n",
			(now_ns - allocation->made_ns) / 1000000000u, allocation->to_peer.packets,
			allocation->to_peer.bytes, allocation->to_client.packets,
			allocation->to_client.bytes);
}

static const char *method_name(enum stun_method method)
{
	switch (method) {
	case STUN_METHOD_ALLOCATE:
		return "allocate";
	case STUN_METHOD_REFRESH:
		return "refresh";
	case STUN_METHOD_CREATE_PERMISSION:
		return "create permission";
	case STUN_METHOD_CHANNEL_BIND:
		return "channel bind";
	default:
		return "binding";
	}
}

void report_refused(void *context, const struct turn_client *client, enum stun_method method,
		    unsigned int code, struct stun_text name)
{
	const struct server *server = context;
	char text[NET_ADDRESS_TEXT_MAX], shown[QUOTA_SHOWN_BYTES];

	if (!server->options->verbose)
		return;
	quota_show(shown, name);
	print_time();
	fprintf(stderr, "refused: client %s %s user %s: %s: %u\n", protocol_of(client),
		net_address_format(&client->address, text), shown[0] ? shown : "-",
		method_name(method), code);
}

/* --- statistics --- */

struct figure {
	const char *name;
	uint64_t value;
};

#define FIGURES_MAX 64

static size_t collect(const struct server *server, struct figure figures[FIGURES_MAX])
{
	const struct turn *turn = &server->turn;
	const struct counters *counters = &turn->counters;
	const struct figure all[] = {{"allocations", turn->allocations.count},
				     {"users", turn->quotas.count},
				     {"permissions", turn->permissions.count},
				     {"channels", turn->channels_by_number.count},
				     {"reservations", turn->reserved_count},
				     {"busy_ports", server->busy_ports},
				     {"connections", server->connection_count},
#define FIGURE(name) {#name, counters->name},
				     COUNTERS(FIGURE)
#undef FIGURE
	};

	_Static_assert(sizeof(all) / sizeof(all[0]) <= FIGURES_MAX, "room for all figures");
	memcpy(figures, all, sizeof(all));
	return sizeof(all) / sizeof(all[0]);
}

static void print_json(FILE *file, const struct figure figures[], size_t count)
{
	fprintf(file, "{\"program\": \"demi-relay\", \"time\": %" PRIu64, process_unix_s());
	for (size_t i = 0; i < count; i++)
		fprintf(file, ", \"%s\": %" PRIu64, figures[i].name, figures[i].value);
	fputs("}\n", file);
	fflush(file);
}

static void write_json(const char *path, const struct figure figures[], size_t count)
{
	bool to_stdout = strcmp(path, "-") == 0;
	FILE *file = to_stdout ? stdout : fopen(path, "ae");

	if (!file) {
		fprintf(stderr, "demi-relay: --json %s: %s\n", path, strerror(errno));
		return;
	}
	print_json(file, figures, count);
	if (!to_stdout)
		fclose(file);
}

void report_statistics(struct server *server)
{
	struct figure figures[FIGURES_MAX];
	size_t count = collect(server, figures);

	print_time();
	fputs("statistics:", stderr);
	for (size_t i = 0; i < count; i++) {
		if (figures[i].value || i == 0)
			fprintf(stderr, " %s %" PRIu64, figures[i].name, figures[i].value);
	}
	fputc('\n', stderr);
	if (server->options->json[0])
		write_json(server->options->json, figures, count);
}

bool report_json_place_ok(const struct options *options)
{
	FILE *file;

	if (options->json[0] == '\0' || strcmp(options->json, "-") == 0)
		return true;
	file = fopen(options->json, "ae");
	if (!file) {
		fprintf(stderr, "demi-relay: --json %s: %s\n", options->json, strerror(errno));
		return false;
	}
	fclose(file);
	return true;
}

void report_figures(void)
{
	demi_stat_t *figures = NULL;
	int room = 0, count = 0;
	int error = demi_stats(NULL, 0, &room);

	if (!error) {
		figures = calloc((size_t)room + 1, sizeof(*figures));
		error = figures ? demi_stats(figures, room, &count) : ENOMEM;
	}
	if (error)
		fprintf(stderr, "demi-relay: statistics: %s\n", strerror(error));
	for (int i = 0; !error && i < count; i++) {
		if (figures[i].stat_value)
			fprintf(stderr, "  %-40s %12" PRIu64 "\n", figures[i].stat_name,
				figures[i].stat_value);
	}
	free(figures);
}
