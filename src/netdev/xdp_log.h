/* SPDX-License-Identifier: MIT */
/*
 * libbpf and libxdp write lines of their own on standard error. Between these two calls, which the
 * afxdp device and DPDK's net_af_xdp make around what may write, they go to our log, where they are
 * for debugging: what the operator must know our own messages say. Not longer, since the process
 * may use these libraries itself.
 */
#ifndef DEMI_NETDEV_XDP_LOG_H
#define DEMI_NETDEV_XDP_LOG_H

/** xdp_log_begin - from any thread; several may overlap */
void xdp_log_begin(void);

/** xdp_log_end - one for each xdp_log_begin; with the last they write as before */
void xdp_log_end(void);

#endif /* DEMI_NETDEV_XDP_LOG_H */
