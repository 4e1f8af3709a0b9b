/* SPDX-License-Identifier: MIT */
#include "turn_settings.h"

#define PORT_MIN 49152 /* RFC 8656, 7.2 */
#define PORT_MAX 65535
#define NONCE_S 600
#define LIFETIME_S 600      /* RFC 8656, 3.2 */
#define LIFETIME_MAX_S 3600 /* RFC 8656, 7.2 recommends it */
#define PERMISSION_S 300    /* RFC 8656, 9: neither more nor less */
#define CHANNEL_S 600       /* RFC 8656, 12: the same */
#define RESERVATION_S 30    /* RFC 8656, 7.2: at least */
#define ALLOCATIONS_MAX 16384
#define PERMISSIONS_MAX 64
#define CHANNELS_MAX 64
#define RESERVATIONS_MAX 256
#define CHALLENGES_PER_S 1000

void turn_settings_init(struct turn_settings *settings)
{
	*settings = (struct turn_settings){
		.software = "demi-relay",
		.port_min = PORT_MIN,
		.port_max = PORT_MAX,
		.nonce_s = NONCE_S,
		.lifetime_s = LIFETIME_S,
		.lifetime_max_s = LIFETIME_MAX_S,
		.permission_s = PERMISSION_S,
		.channel_s = CHANNEL_S,
		.reservation_s = RESERVATION_S,
		.allocations_max = ALLOCATIONS_MAX,
		.permissions_max = PERMISSIONS_MAX,
		.channels_max = CHANNELS_MAX,
		.reservations_max = RESERVATIONS_MAX,
		.challenges_per_s = CHALLENGES_PER_S,
	};
}
