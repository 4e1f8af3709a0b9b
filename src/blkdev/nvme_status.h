/* SPDX-License-Identifier: MIT */
/* How a command ended: NVM Express Base Specification 1.4, 4.6.1. */
#ifndef DEMI_BLKDEV_NVME_STATUS_H
#define DEMI_BLKDEV_NVME_STATUS_H

#include <stdbool.h>
#include <stdint.h>

/* The code with its type in front, as it stands in bits 11:1 of a completion's status. */
#define NVME_STATUS(type, code) ((type) << 8 | (code))
#define NVME_STATUS_OF(status) ((uint32_t)(status) >> 1 & 0x7ffu)
#define NVME_STATUS_DNR (1u << 15) /* do not retry: it would end the same way */

#define NVME_SUCCESS NVME_STATUS(0u, 0x00u)
#define NVME_INVALID_OPCODE NVME_STATUS(0u, 0x01u)
#define NVME_INVALID_FIELD NVME_STATUS(0u, 0x02u)
#define NVME_ABORT_REQUESTED NVME_STATUS(0u, 0x07u)
#define NVME_INVALID_NAMESPACE NVME_STATUS(0u, 0x0bu)
#define NVME_WRITE_PROTECTED NVME_STATUS(0u, 0x20u)
#define NVME_LBA_RANGE NVME_STATUS(0u, 0x80u)
#define NVME_CAPACITY_EXCEEDED NVME_STATUS(0u, 0x81u)
#define NVME_NAMESPACE_NOT_READY NVME_STATUS(0u, 0x82u)
#define NVME_READ_ONLY_RANGE NVME_STATUS(1u, 0x82u)
#define NVME_WRITE_FAULT NVME_STATUS(2u, 0x80u)
#define NVME_UNRECOVERED_READ NVME_STATUS(2u, 0x81u)

/**
 * nvme_status_error - what a request is told
 * @status: of a completion, the phase bit being anything
 *
 * Return: 0, -EROFS, -ENOSPC, -ETIMEDOUT (it was aborted, which only we ask for), -EIO otherwise.
 */
int nvme_status_error(uint16_t status);

/** nvme_status_may_retry - whether the same command might succeed another time */
bool nvme_status_may_retry(uint16_t status);

/** nvme_status_text - in words; "unknown" for what the specification does not name */
const char *nvme_status_text(uint16_t status);

#endif /* DEMI_BLKDEV_NVME_STATUS_H */
