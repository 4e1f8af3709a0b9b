/* SPDX-License-Identifier: MIT */
/* What the relay has counted since its start. The names are those of the statistics. */
#ifndef RELAY_COUNTERS_H
#define RELAY_COUNTERS_H

#include <stdint.h>

#define COUNTERS(X)            \
	X(binding_requests)    \
	X(allocate_requests)   \
	X(refresh_requests)    \
	X(permission_requests) \
	X(channel_requests)    \
	X(refused_requests)    \
	X(challenges)          \
	X(allocations_made)    \
	X(allocations_ended)   \
	X(to_peer_packets)     \
	X(to_peer_bytes)       \
	X(to_client_packets)   \
	X(to_client_bytes)     \
	X(peer_errors)         \
	X(drop_malformed)      \
	X(drop_unexpected)     \
	X(drop_fingerprint)    \
	X(drop_challenge_rate) \
	X(drop_no_allocation)  \
	X(drop_no_permission)  \
	X(drop_no_channel)     \
	X(drop_rate)           \
	X(drop_too_large)      \
	X(drop_send_failed)    \
	X(drop_send_queue)     \
	X(forward_packets)     \
	X(forward_bytes)       \
	X(connections_made)    \
	X(connections_refused) \
	X(connections_ended)

struct counters {
#define COUNTERS_FIELD(name) uint64_t name;
	COUNTERS(COUNTERS_FIELD)
#undef COUNTERS_FIELD
};

#endif /* RELAY_COUNTERS_H */
