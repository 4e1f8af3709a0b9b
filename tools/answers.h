/* SPDX-License-Identifier: MIT */
/*
 * What only a call to the kernel tells: by ethtool, netlink, and by trying. Nothing is changed or
 * attached. Of another machine (files.h) the file answers.json in its root has the answers:
 *
 *   {"af_xdp": ERRNO, "io_uring": ERRNO, "addresses": {"10.0.0.5": "eth0"},
 *    "interfaces": {"eth0": {"driver": "ice", "xdp_features": 13, "xdp_program": 7}}}
 */
#ifndef TOOLS_ANSWERS_H
#define TOOLS_ANSWERS_H

#include <net/if.h>
#include <netinet/in.h>
#include <stdint.h>

#define XDP_FEATURE_NATIVE 1u    /* NETDEV_XDP_ACT_BASIC */
#define XDP_FEATURE_ZERO_COPY 8u /* NETDEV_XDP_ACT_XSK_ZEROCOPY */

/** answers_open - before the others; answers_close after them */
void answers_open(void);
void answers_close(void);

int answers_af_xdp(void);   /* 0: a socket can be made, else an errno */
int answers_io_uring(void); /* 0: a ring can be made, else an errno */

/** answers_driver - of an interface, by ethtool; empty: unknown */
void answers_driver(char driver[32], const char *interface);

/** answers_xdp_features - a set of XDP_FEATURE_*; -1: the kernel does not tell (before 6.3) */
int64_t answers_xdp_features(const char *interface);

/** answers_xdp_program - the number of the XDP program that is attached; 0: none */
uint32_t answers_xdp_program(const char *interface);

/** answers_interface_of - which has this address, IPv4 as ::ffff:0:0/96; empty: none */
void answers_interface_of(char interface[IF_NAMESIZE], const struct in6_addr *address);

#endif /* TOOLS_ANSWERS_H */
