/* SPDX-License-Identifier: MIT */
/* Whether values look as the library will want them (demi.conf(5)), to say so before it starts. */
#ifndef TOOLS_SETTINGS_H
#define TOOLS_SETTINGS_H

#define SETTINGS_AFXDP_MTU_MAX 1710 /* demi.conf(5): what a frame of AF_XDP has room for */

/*
 * Each takes one value as given. Return: NULL when it is good; else what is wrong, and what to do,
 * for the end of a message; the text is valid until the next call of the same function.
 */
const char *settings_check_device(const char *device);       /* afxdp:eth1 */
const char *settings_check_block_device(const char *device); /* uring:/var/lib/demi.img */
const char *settings_check_address(const char *text);        /* 10.0.0.2/24 */
const char *settings_check_pattern(const char *text);        /* /var/lib/app/, as of --log-files */
const char *settings_check_gateway(const char *text);        /* 10.0.0.1 */
const char *settings_check_rules(const char *text);          /* kernel tcp *:22, demi * */
const char *settings_check_mac(const char *text);            /* 02:00:00:00:00:01 */

/**
 * settings_check_way - a gateway that settings_check_gateway has found good
 * @before: those given before, with commas between them, or ""
 * @addresses: all of --ip, the same; or ""
 *
 * Return: as above
 */
const char *settings_check_way(const char *gateway, const char *before, const char *addresses);

#endif /* TOOLS_SETTINGS_H */
