/* SPDX-License-Identifier: MIT */
/* What a card does about the checksums of UDP and TCP, for devices that play one. */
#ifndef DEMI_NETDEV_SIM_CHECKSUM_H
#define DEMI_NETDEV_SIM_CHECKSUM_H

#include <stdbool.h>
#include <stdint.h>

#include "heap/buf.h"

/**
 * sim_checksum_complete - turn the sum of the pseudo header in the field into the checksum
 * @data: the whole frame, @length bytes
 *
 * Return: false when what @transmit says does not fit the frame.
 */
bool sim_checksum_complete(unsigned char *data, uint32_t length,
			   const struct buf_transmit *transmit);

/** sim_checksum_verify - whether this is a UDP or TCP packet, in one piece, with a right checksum */
bool sim_checksum_verify(const unsigned char *data, uint32_t length);

#endif /* DEMI_NETDEV_SIM_CHECKSUM_H */
