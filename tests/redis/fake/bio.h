/* SPDX-License-Identifier: MIT */
/* In place of Redis's: server.h has it. */
