/* SPDX-License-Identifier: MIT */
/* What the program was called with, for check.c. */
#ifndef TESTS_SHIM_SEMANTICS_H
#define TESTS_SHIM_SEMANTICS_H

struct semantics {
	int control; /* the Unix socket to the peer */
	const char *ours[2];
	const char *theirs[2]; /* addresses, of IPv4 and IPv6 */
};

extern struct semantics semantics;

#endif
