/* SPDX-License-Identifier: MIT */
/*
 * Two libOSes in one runtime: the sockets of one and the logs of the other, with one heap, one
 * scheduler and one set of descriptors, so that what one has received the other writes from where it
 * lies, and one wait serves both. Neither knows of the other; their fast paths take turns.
 *
 * Source: Zhang et al., "The Demikernel Datapath OS", SOSP 2021, section 5.5 (libOS integration).
 */
#ifndef DEMI_LIBOS_PAIR_H
#define DEMI_LIBOS_PAIR_H

#include "libos/libos.h"

/** The libOS of any name that libos_find_pair knows; start finds the two in the configuration. */
extern const struct libos_ops pair_ops;

#endif /* DEMI_LIBOS_PAIR_H */
