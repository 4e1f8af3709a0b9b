/* SPDX-License-Identifier: MIT */
/* What the operator decides about STUN and TURN. Each number has its default in turn_settings.c. */
#ifndef RELAY_TURN_SETTINGS_H
#define RELAY_TURN_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "net_address.h"
#include "peer_filter.h"

/* Of the two families of addresses: where their place is in an array. */
#define TURN_FAMILIES 2
#define TURN_FAMILY_INDEX(family) ((family) == NET_V6 ? 1 : 0)

#define TURN_REALM_BYTES_MAX 127u
#define TURN_SOFTWARE_BYTES_MAX 63u

struct turn_settings {
	char realm[TURN_REALM_BYTES_MAX + 1];
	char software[TURN_SOFTWARE_BYTES_MAX + 1]; /* empty: it is not told */
	bool no_auth;                               /* anybody may use the relay */
	bool stun_only;                             /* Binding is all that is served */
	bool no_sha256;                             /* MD5 keys are all that is offered */

	/* Where relayed addresses are: bound to, and told to clients. family 0: none of it. */
	struct net_address relay_ip[TURN_FAMILIES], external_ip[TURN_FAMILIES];
	uint16_t port_min, port_max;

	/* Seconds. */
	uint32_t nonce_s;    /* 0: a nonce does not grow old */
	uint32_t lifetime_s; /* of an allocation for which no other is asked */
	uint32_t lifetime_max_s;
	uint32_t permission_s;
	uint32_t channel_s;
	uint32_t reservation_s; /* of the second port of a pair */

	/* How many there may be. */
	uint32_t allocations_max;
	uint32_t user_allocations_max; /* of one user; 0: no limit of its own */
	uint32_t permissions_max;      /* of one allocation */
	uint32_t channels_max;         /* of one allocation */
	uint32_t reservations_max;

	/* A second. */
	uint64_t bytes_per_s; /* of one allocation, each way; 0: no limit */
	uint32_t
		challenges_per_s; /* answers to one address that has not shown who it is; 0: no limit */

	struct peer_filter filter;
};

/** turn_settings_init - the defaults */
void turn_settings_init(struct turn_settings *settings);

#endif /* RELAY_TURN_SETTINGS_H */
