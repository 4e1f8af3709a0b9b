/* SPDX-License-Identifier: MIT */
/* What lwIP asks of the compiler and its library. */
#ifndef BENCH_STREAM_LWIP_ARCH_CC_H
#define BENCH_STREAM_LWIP_ARCH_CC_H

#include <stdio.h>
#include <stdlib.h>

#define LWIP_RAND() ((u32_t)rand())

#endif /* BENCH_STREAM_LWIP_ARCH_CC_H */
