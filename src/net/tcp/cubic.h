/* SPDX-License-Identifier: MIT */
/* CUBIC's arithmetic, apart from its windows: for cubic.c and its test. */
#ifndef DEMI_NET_TCP_CUBIC_H
#define DEMI_NET_TCP_CUBIC_H

#include <stdint.h>

/** tcp_cubic_root - the cube root, rounded down; @value is less than 2^96 */
uint32_t tcp_cubic_root(unsigned __int128 value);

#endif /* DEMI_NET_TCP_CUBIC_H */
