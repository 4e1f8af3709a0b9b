/* SPDX-License-Identifier: MIT */
/*
 * CRC32C (Castagnoli), the checksum of everything on the device. Source: RFC 3720, appendix B.4;
 * the instruction is SSE4.2's crc32.
 */
#ifndef DEMI_LOG_CRC32C_H
#define DEMI_LOG_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/**
 * crc32c - the checksum of @bytes more at @data
 * @crc: of what stands before them; 0 at the start
 */
uint32_t crc32c(uint32_t crc, const void *data, size_t bytes);

/** crc32c_by_table - the same without the instruction */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t bytes);

#endif /* DEMI_LOG_CRC32C_H */
