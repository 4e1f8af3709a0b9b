/* SPDX-License-Identifier: MIT */
#include "blkdev/nvme_status.h"

#include <errno.h>
#include <stddef.h>

int nvme_status_error(uint16_t status)
{
	switch (NVME_STATUS_OF(status)) {
	case NVME_SUCCESS:
		return 0;
	case NVME_ABORT_REQUESTED:
		return -ETIMEDOUT;
	case NVME_WRITE_PROTECTED:
	case NVME_READ_ONLY_RANGE:
		return -EROFS;
	case NVME_CAPACITY_EXCEEDED:
		return -ENOSPC;
	default:
		return -EIO;
	}
}

bool nvme_status_may_retry(uint16_t status)
{
	return !(status & NVME_STATUS_DNR) && NVME_STATUS_OF(status) != NVME_SUCCESS &&
	       NVME_STATUS_OF(status) != NVME_ABORT_REQUESTED;
}

/* 4.6.1.2.1 to 4.6.1.2.3, as far as the commands that we use can end so. */
static const struct {
	uint32_t status;
	const char *text;
} texts[] = {
	{NVME_SUCCESS, "success"},
	{NVME_INVALID_OPCODE, "invalid opcode"},
	{NVME_INVALID_FIELD, "invalid field in the command"},
	{NVME_STATUS(0u, 0x04u), "data transfer error"},
	{NVME_STATUS(0u, 0x05u), "aborted as power was lost"},
	{NVME_STATUS(0u, 0x06u), "internal error"},
	{NVME_ABORT_REQUESTED, "aborted on request"},
	{NVME_STATUS(0u, 0x08u), "aborted with its queue"},
	{NVME_INVALID_NAMESPACE, "invalid namespace or format"},
	{NVME_STATUS(0u, 0x0cu), "commands in a wrong order"},
	{NVME_STATUS(0u, 0x0du), "invalid SGL descriptor"},
	{NVME_STATUS(0u, 0x0eu), "invalid number of SGL descriptors"},
	{NVME_STATUS(0u, 0x0fu), "invalid length of the data's SGL"},
	{NVME_STATUS(0u, 0x11u), "invalid type of SGL descriptor"},
	{NVME_STATUS(0u, 0x13u), "invalid offset of a PRP"},
	{NVME_STATUS(0u, 0x15u), "operation denied"},
	{NVME_STATUS(0u, 0x1cu), "sanitize failed"},
	{NVME_STATUS(0u, 0x1du), "sanitize in progress"},
	{NVME_WRITE_PROTECTED, "the namespace is write protected"},
	{NVME_LBA_RANGE, "blocks out of range"},
	{NVME_CAPACITY_EXCEEDED, "capacity exceeded"},
	{NVME_NAMESPACE_NOT_READY, "the namespace is not ready"},
	{NVME_STATUS(0u, 0x83u), "reservation of another host"},
	{NVME_STATUS(0u, 0x84u), "format in progress"},
	{NVME_STATUS(1u, 0x00u), "invalid completion queue"},
	{NVME_STATUS(1u, 0x01u), "invalid queue number"},
	{NVME_STATUS(1u, 0x02u), "invalid queue size"},
	{NVME_STATUS(1u, 0x05u), "too many asynchronous event requests"},
	{NVME_STATUS(1u, 0x80u), "conflicting attributes"},
	{NVME_READ_ONLY_RANGE, "write to a range that may only be read"},
	{NVME_WRITE_FAULT, "write fault of the medium"},
	{NVME_UNRECOVERED_READ, "the medium cannot be read"},
	{NVME_STATUS(2u, 0x85u), "compare failure"},
	{NVME_STATUS(2u, 0x86u), "access denied"},
	{NVME_STATUS(2u, 0x87u), "deallocated block"},
	{NVME_STATUS(3u, 0x00u), "internal path error"},
};

const char *nvme_status_text(uint16_t status)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (texts[i].status == NVME_STATUS_OF(status))
			return texts[i].text;
	}
	return "unknown";
}
