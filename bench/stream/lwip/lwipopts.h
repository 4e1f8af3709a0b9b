/* SPDX-License-Identifier: MIT */
/*
 * lwIP as it is quickest at what is measured: one thread that owns it, no system below it, no checks of
 * its own code, pools instead of malloc(3) with room for all, IPv4 alone. Debian's library is built for
 * threads, with malloc(3) and locks, and takes 1.46 times the instructions for a request and its answer.
 * Checksums are computed and verified in software, as Demi's are over the same device.
 */
#ifndef BENCH_STREAM_LWIP_LWIPOPTS_H
#define BENCH_STREAM_LWIP_LWIPOPTS_H

#define NO_SYS 1
#define LWIP_SOCKET 0
#define LWIP_NETCONN 0
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NOASSERT 1
#define LWIP_STATS 0

#define MEM_ALIGNMENT 8
#define MEM_SIZE (8 * 1024 * 1024)
#define MEMP_NUM_TCP_PCB 1024
#define MEMP_NUM_TCP_SEG 8192
#define MEMP_NUM_PBUF 8192
#define PBUF_POOL_SIZE 4096
#define LWIP_SUPPORT_CUSTOM_PBUF 1

#define LWIP_IPV6 0
#define LWIP_UDP 0
#define LWIP_RAW 0
#define LWIP_DNS 0
#define LWIP_DHCP 0

#define TCP_MSS 1460
#define TCP_WND 65535
#define TCP_SND_BUF 65535
#define TCP_SND_QUEUELEN 256
/* Sums are taken while bytes are copied, and frames are sent in one piece. */
#define LWIP_CHECKSUM_ON_COPY 1
#define LWIP_NETIF_TX_SINGLE_PBUF 1

#endif /* BENCH_STREAM_LWIP_LWIPOPTS_H */
