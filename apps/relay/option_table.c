/* SPDX-License-Identifier: MIT */
/* Every option: its name, what it sets and between which bounds, and what it means. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "options.h"

enum kind {
	KIND_FLAG,
	KIND_NUMBER, /* 32 bits */
	KIND_RATE,   /* 64 bits */
	KIND_TEXT,
	KIND_WORDS, /* one element more of a list with commas */
	KIND_LIST,  /* of struct option_text */
	KIND_OWN,   /* has a function */
};

struct entry {
	const char *name;
	enum kind kind;
	size_t offset, size;
	uint64_t least, most;
	const char *(*set)(struct options *options, const char *value); /* what is wrong, or NULL */
	const char *value, *help;
};

static const char *set_listen(struct options *options, const char *value)
{
	if (options->listener_count == OPTIONS_LISTENERS_MAX)
		return "there are 8 already, which is the most";
	return net_address_parse(&options->listeners[options->listener_count++], value);
}

static const char *set_relay_ip(struct options *options, const char *value)
{
	struct net_address address;
	const char *wrong = net_address_parse_ip(&address, value);

	if (!wrong)
		options->turn.relay_ip[TURN_FAMILY_INDEX(address.family)] = address;
	return wrong;
}

static const char *set_external_ip(struct options *options, const char *value)
{
	struct net_address address;
	const char *wrong = net_address_parse_ip(&address, value);

	if (!wrong)
		options->turn.external_ip[TURN_FAMILY_INDEX(address.family)] = address;
	return wrong;
}

static const char *set_ports(struct options *options, const char *value)
{
	const char *dash = strchr(value, '-');
	unsigned long least = strtoul(value, NULL, 10);
	unsigned long most = dash ? strtoul(dash + 1, NULL, 10) : 0;

	if (strspn(value, "0123456789-") != strlen(value) || !dash || strchr(dash + 1, '-') ||
	    least < 1 || least > most || most > UINT16_MAX)
		return "write MIN-MAX, from 1 to 65535";
	options->turn.port_min = (uint16_t)least;
	options->turn.port_max = (uint16_t)most;
	return NULL;
}

static const char *set_forward(struct options *options, const char *value)
{
	struct option_forward *forward = &options->forwards[options->forward_count];
	char from[NET_ADDRESS_TEXT_MAX];
	const char *equals = strchr(value, '=');
	const char *wrong;

	if (options->forward_count == OPTIONS_FORWARDS_MAX)
		return "there are 64 already, which is the most";
	if (!equals || (size_t)(equals - value) >= sizeof(from))
		return "write IP:PORT=IP:PORT";
	memcpy(from, value, (size_t)(equals - value));
	from[equals - value] = '\0';
	wrong = net_address_parse(&forward->from, from);
	if (!wrong)
		wrong = net_address_parse(&forward->to, equals + 1);
	if (!wrong && forward->to.port == 0)
		wrong = "port 0 cannot be sent to";
	if (!wrong)
		options->forward_count++;
	return wrong;
}

static const char *add_range(struct peer_range ranges[], uint32_t *count, const char *value)
{
	const char *wrong;

	if (*count == PEER_RANGES_MAX)
		return "there are 64 already, which is the most";
	wrong = peer_range_parse(&ranges[*count], value);
	if (!wrong)
		++*count;
	return wrong;
}

static const char *set_allow_peer(struct options *options, const char *value)
{
	struct peer_filter *filter = &options->turn.filter;

	return add_range(filter->allowed, &filter->allowed_count, value);
}

static const char *set_deny_peer(struct options *options, const char *value)
{
	struct peer_filter *filter = &options->turn.filter;

	return add_range(filter->denied, &filter->denied_count, value);
}

#define AT(field) offsetof(struct options, field), sizeof(((struct options *)0)->field)
#define OWN(name, set, value, help)                          \
	{                                                    \
		name, KIND_OWN, 0, 0, 0, 0, set, value, help \
	}
#define FLAG(name, field, help)                                    \
	{                                                          \
		name, KIND_FLAG, AT(field), 0, 0, NULL, NULL, help \
	}
#define NUMBER(name, field, least, most, value, help)                        \
	{                                                                    \
		name, KIND_NUMBER, AT(field), least, most, NULL, value, help \
	}
#define RATE(name, field, most, value, help)                           \
	{                                                              \
		name, KIND_RATE, AT(field), 0, most, NULL, value, help \
	}
#define TEXT(name, field, value, help)                              \
	{                                                           \
		name, KIND_TEXT, AT(field), 0, 0, NULL, value, help \
	}
#define WORDS(name, field, value, help)                              \
	{                                                            \
		name, KIND_WORDS, AT(field), 0, 0, NULL, value, help \
	}
#define LIST(name, field, value, help)                              \
	{                                                           \
		name, KIND_LIST, AT(field), 0, 0, NULL, value, help \
	}

#define SECONDS_MAX UINT64_C(86400)

/* clang-format off */
static const struct entry entries[] = {
	OWN("listen", set_listen, "IP:PORT", "where clients come, over UDP and TCP; may be repeated"),
	FLAG("no-udp", no_udp, "no clients over UDP"),
	FLAG("no-tcp", no_tcp, "no clients over TCP"),
	OWN("relay-ip", set_relay_ip, "IP", "the address of relayed ports; once for each version of IP"),
	OWN("external-ip", set_external_ip, "IP", "the same as others see it, behind a NAT that keeps ports"),
	OWN("ports", set_ports, "MIN-MAX", "relayed ports; default: 49152-65535"),
	LIST("user", users, "NAME:PASSWORD", "who may use it, or NAME:0xKEY; may be repeated"),
	TEXT("realm", turn.realm, "REALM", "of the credentials"),
	LIST("secret", secrets, "SECRET", "of credentials of limited time; may be repeated"),
	FLAG("no-auth", turn.no_auth, "anybody may use it"),
	FLAG("stun-only", turn.stun_only, "answer Binding requests alone"),
	FLAG("no-sha256", turn.no_sha256, "offer MD5 keys alone"),
	FLAG("allow-loopback-peers", turn.filter.allow_loopback, "relay to 127.0.0.0/8 and ::1"),
	FLAG("allow-private-peers", turn.filter.allow_private, "relay to private networks, such as 10.0.0.0/8"),
	OWN("allow-peer", set_allow_peer, "RANGE", "relay to IP, IP/BITS or IP-IP whatever else is said"),
	OWN("deny-peer", set_deny_peer, "RANGE", "do not relay to it; both may be repeated"),
	NUMBER("nonce-lifetime", turn.nonce_s, 0, SECONDS_MAX, "S", "0: for ever; default: 600"),
	NUMBER("lifetime", turn.lifetime_s, 1, SECONDS_MAX, "S", "of an allocation, the least; default: 600"),
	NUMBER("max-lifetime", turn.lifetime_max_s, 1, SECONDS_MAX, "S", "of an allocation, the most; default: 3600"),
	NUMBER("permission-lifetime", turn.permission_s, 1, SECONDS_MAX, "S", "default: 300"),
	NUMBER("channel-lifetime", turn.channel_s, 1, SECONDS_MAX, "S", "default: 600"),
	NUMBER("reservation-lifetime", turn.reservation_s, 1, SECONDS_MAX, "S", "default: 30"),
	NUMBER("max-allocations", turn.allocations_max, 1, 1000000, "N", "in all; default: 16384"),
	NUMBER("max-user-allocations", turn.user_allocations_max, 0, 1000000, "N", "of one user; 0: as many as in all; default: 0"),
	NUMBER("max-permissions", turn.permissions_max, 1, 65535, "N", "of one allocation; default: 64"),
	NUMBER("max-channels", turn.channels_max, 1, 4096, "N", "of one allocation; default: 64"),
	NUMBER("max-reservations", turn.reservations_max, 0, 65535, "N", "default: 256"),
	NUMBER("max-connections", connections_max, 1, 1000000, "N", "of TCP; default: 16384"),
	NUMBER("connection-idle", connection_idle_s, 1, SECONDS_MAX, "S", "close one without an allocation after; default: 60"),
	NUMBER("max-stream-bytes", stream_bytes_max, 65536, 1u << 30, "N", "that wait on one connection; default: 262144"),
	RATE("max-rate", turn.bytes_per_s, BUCKET_RATE_MAX, "BYTES", "a second, of one allocation, each way; 0: no limit; default: 0"),
	NUMBER("challenge-rate", turn.challenges_per_s, 0, 1000000000, "N", "answers a second to an address that has not shown who it is; 0: no limit; default: 1000"),
	TEXT("software", turn.software, "TEXT", "that clients are told; empty: nothing; default: demi-relay"),
	OWN("forward", set_forward, "IP:PORT=IP:PORT", "send each datagram on, and the answers back; may be repeated"),
	NUMBER("max-forward-clients", forward_clients_max, 1, 60000, "N", "of one --forward; default: 1024"),
	NUMBER("forward-idle", forward_idle_s, 1, SECONDS_MAX, "S", "forget a client of it after; default: 120"),
	NUMBER("interval", interval_s, 1, SECONDS_MAX, "S", "a line of statistics so often"),
	NUMBER("duration", duration_s, 1, 100 * SECONDS_MAX, "S", "end after it"),
	TEXT("json", json, "FILE", "statistics as JSON, a line each time; - is standard output"),
	FLAG("quiet", quiet, "no lines about what happens"),
	FLAG("verbose", verbose, "a line about each refusal too"),
	TEXT("libos", libos, "NAME", "library OS to run on: catnap or catnip"),
	TEXT("dev", dev, "KIND:NAME", "catnip's device, such as afxdp:eth1"),
	WORDS("ip", ip, "ADDRESS/BITS", "an address on it; may be repeated"),
	WORDS("gw", gw, "ADDRESS", "its gateway; may be repeated"),
	TEXT("mac", mac, "ADDRESS", "its Ethernet address"),
	FLAG("stats", stats, "what the library has counted, at the end"),
};
/* clang-format on */

#define ENTRY_COUNT (sizeof(entries) / sizeof(entries[0]))
#define HELP_COLUMN 30

static const struct entry *find(const char *name)
{
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		if (strcmp(entries[i].name, name) == 0)
			return &entries[i];
	}
	return NULL;
}

bool option_exists(const char *name)
{
	return find(name) != NULL;
}

bool option_is_flag(const char *name)
{
	const struct entry *entry = find(name);

	return entry && entry->kind == KIND_FLAG;
}

void options_help(void)
{
	for (size_t i = 0; i < ENTRY_COUNT; i++) {
		const struct entry *entry = &entries[i];
		int width = printf("  --%s%s%s", entry->name, entry->value ? " " : "",
				   entry->value ? entry->value : "");

		printf("%*s%s\n", width < HELP_COLUMN ? HELP_COLUMN - width : 1, "", entry->help);
	}
}

/* --- values --- */

static int wrong(char error[OPTIONS_ERROR_BYTES], const char *name, const char *value,
		 const char *why)
{
	snprintf(error, OPTIONS_ERROR_BYTES, "%s '%.80s': %s", name, value, why);
	return -EINVAL;
}

static int set_number(const struct entry *entry, void *at, const char *value,
		      char error[OPTIONS_ERROR_BYTES])
{
	size_t digits = strspn(value, "0123456789");
	uint64_t number;

	errno = 0;
	number = strtoull(value, NULL, 10);
	if (digits == 0 || value[digits] != '\0' || errno || number < entry->least ||
	    number > entry->most) {
		snprintf(error, OPTIONS_ERROR_BYTES,
			 "%s '%.80s' is not a whole number from %" PRIu64 " to %" PRIu64,
			 entry->name, value, entry->least, entry->most);
		return -EINVAL;
	}
	if (entry->kind == KIND_NUMBER)
		*(uint32_t *)at = (uint32_t)number;
	else
		*(uint64_t *)at = number;
	return 0;
}

static int set_flag(const struct entry *entry, bool *at, const char *value,
		    char error[OPTIONS_ERROR_BYTES])
{
	bool is_on = strcmp(value, "yes") == 0 || strcmp(value, "true") == 0;

	if (!is_on && strcmp(value, "no") != 0 && strcmp(value, "false") != 0)
		return wrong(error, entry->name, value, "allowed: yes, no");
	*at = is_on;
	return 0;
}

static int set_text(const struct entry *entry, char *at, const char *value, bool is_more,
		    char error[OPTIONS_ERROR_BYTES])
{
	size_t length = is_more ? strlen(at) : 0;

	if (length + (length ? 1 : 0) + strlen(value) >= entry->size)
		return wrong(error, entry->name, value, "it is too long");
	snprintf(at + length, entry->size - length, "%s%s", length ? "," : "", value);
	return 0;
}

static int add_text(struct option_text **list, const char *value)
{
	size_t bytes = strlen(value) + 1;
	struct option_text *text = malloc(sizeof(*text) + bytes);

	if (!text)
		return -ENOMEM;
	text->next = NULL;
	memcpy(text->text, value, bytes);
	while (*list)
		list = &(*list)->next;
	*list = text;
	return 0;
}

int option_set(struct options *options, const char *name, const char *value,
	       char error[OPTIONS_ERROR_BYTES])
{
	const struct entry *entry = find(name);
	const char *why;
	void *at;

	if (!entry)
		return -ENOENT;
	at = (char *)options + entry->offset;
	switch (entry->kind) {
	case KIND_FLAG:
		return set_flag(entry, at, value, error);
	case KIND_NUMBER:
	case KIND_RATE:
		return set_number(entry, at, value, error);
	case KIND_TEXT:
	case KIND_WORDS:
		return set_text(entry, at, value, entry->kind == KIND_WORDS, error);
	case KIND_LIST:
		return value[0] ? add_text(at, value)
				: wrong(error, name, value, "it needs a value");
	default:
		why = entry->set(options, value);
		return why ? wrong(error, name, value, why) : 0;
	}
}
