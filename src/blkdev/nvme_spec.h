/* SPDX-License-Identifier: MIT */
/*
 * What stands in the registers and in the memory that an NVMe controller shares with its host.
 * Sections are those of the NVM Express Base Specification, revision 1.4. Everything is little
 * endian, as are the machines that we run on.
 */
#ifndef DEMI_BLKDEV_NVME_SPEC_H
#define DEMI_BLKDEV_NVME_SPEC_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "structures are read as they lie");

/* ---- Registers: 3.1, offsets in BAR 0 ---- */

#define NVME_REG_CAP 0x00u  /* 64 bits: what the controller can do */
#define NVME_REG_VS 0x08u   /* the version */
#define NVME_REG_CC 0x14u   /* configuration */
#define NVME_REG_CSTS 0x1cu /* status */
#define NVME_REG_AQA 0x24u  /* entries of the admin queues */
#define NVME_REG_ASQ 0x28u  /* 64 bits: where the admin submission queue is */
#define NVME_REG_ACQ 0x30u  /* 64 bits: where the admin completion queue is */
#define NVME_REG_DOORBELLS 0x1000u
#define NVME_REGISTERS_BYTES 0x2000u /* that we need at least */

/* What is read of a device that is not there any more. */
#define NVME_REG_GONE UINT32_MAX

/* 3.1.1, CAP */
#define NVME_CAP_MQES(cap) ((uint32_t)((cap)&0xffff)) /* largest queue, less one */
#define NVME_CAP_TO(cap) ((uint32_t)((cap) >> 24 & 0xff))
#define NVME_CAP_TO_UNIT_NS 500000000ull
#define NVME_CAP_DSTRD(cap) ((uint32_t)((cap) >> 32 & 0xf))
#define NVME_CAP_CSS_NVM(cap) (((cap) >> 37 & 1) != 0)
#define NVME_CAP_MPSMIN(cap) ((uint32_t)((cap) >> 48 & 0xf))
#define NVME_PAGE_SHIFT_MIN 12u /* of MPS 0 */

/* 3.1.5, CC */
#define NVME_CC_EN (1u << 0)
#define NVME_CC_MPS(mps) ((uint32_t)(mps) << 7)
#define NVME_CC_SHN_MASK (3u << 14)
#define NVME_CC_SHN_NORMAL (1u << 14)
#define NVME_CC_IOSQES (6u << 16) /* entries of 2^6 bytes */
#define NVME_CC_IOCQES (4u << 20) /* and of 2^4 */

/* 3.1.6, CSTS */
#define NVME_CSTS_RDY (1u << 0)
#define NVME_CSTS_CFS (1u << 1) /* a fatal error: only a reset helps, if anything does */
#define NVME_CSTS_SHST_MASK (3u << 2)
#define NVME_CSTS_SHST_DONE (2u << 2)

/* ---- Queues: 4.2, 4.6 ---- */

/* The two halves of PSDT, in the flags of a command: where its memory is. */
#define NVME_PSDT_PRP 0u
#define NVME_PSDT_SGL (1u << 6)

/** An entry of a submission queue. */
struct nvme_sqe {
	uint8_t opcode;
	uint8_t flags;
	uint16_t id;
	uint32_t namespace;
	uint64_t reserved;
	uint64_t metadata;
	uint64_t data[2]; /* PRP entries 1 and 2, or an SGL descriptor */
	uint32_t dword10, dword11, dword12, dword13, dword14, dword15;
};

_Static_assert(sizeof(struct nvme_sqe) == 64, "4.2");

/** An entry of a completion queue. */
struct nvme_cqe {
	uint32_t result;
	uint32_t reserved;
	uint16_t sq_head;
	uint16_t sq_id;
	uint16_t id;
	uint16_t status; /* bit 0 is the phase; the rest: nvme_status.h */
};

_Static_assert(sizeof(struct nvme_cqe) == 16, "4.6");

#define NVME_CQE_PHASE 1u

/** 4.4: a descriptor of a scatter-gather list. */
struct nvme_sgl {
	uint64_t address;
	uint32_t bytes;
	uint8_t reserved[3];
	uint8_t type;
};

_Static_assert(sizeof(struct nvme_sgl) == 16, "4.4");

#define NVME_SGL_DATA 0x00u
#define NVME_SGL_LAST_SEGMENT 0x30u

/* ---- Commands ---- */

/* 5, admin */
#define NVME_ADMIN_DELETE_SQ 0x00u
#define NVME_ADMIN_CREATE_SQ 0x01u
#define NVME_ADMIN_GET_LOG 0x02u
#define NVME_ADMIN_DELETE_CQ 0x04u
#define NVME_ADMIN_CREATE_CQ 0x05u
#define NVME_ADMIN_IDENTIFY 0x06u
#define NVME_ADMIN_ABORT 0x08u
#define NVME_ADMIN_SET_FEATURES 0x09u
#define NVME_ADMIN_ASYNC_EVENT 0x0cu

/* 6, the NVM command set */
#define NVME_FLUSH 0x00u
#define NVME_WRITE 0x01u
#define NVME_READ 0x02u
#define NVME_DATASET_MANAGEMENT 0x09u

#define NVME_RW_FUA (1u << 30)        /* of dword 12: 6.15 */
#define NVME_RW_BLOCKS_MAX 65536u     /* 16 bits, less one */
#define NVME_DSM_DEALLOCATE (1u << 2) /* of dword 11: 6.7 */

/** 6.7: a range of dataset management. */
struct nvme_dsm_range {
	uint32_t attributes;
	uint32_t blocks;
	uint64_t first;
};

_Static_assert(sizeof(struct nvme_dsm_range) == 16, "6.7");

/* 5.15: Identify, dword 10 */
#define NVME_CNS_NAMESPACE 0x00u
#define NVME_CNS_CONTROLLER 0x01u
#define NVME_IDENTIFY_BYTES 4096u

/** 5.15.2.2: what a controller says of itself. */
struct nvme_identify_controller {
	uint16_t pci_vendor, pci_subsystem_vendor;
	char serial[20], model[40], firmware[8]; /* filled with spaces */
	uint8_t unused_72[5];
	uint8_t mdts; /* a power of two, in smallest pages; 0: no bound */
	uint8_t unused_78[2];
	uint32_t version;
	uint32_t rtd3_resume_us, rtd3_entry_us;
	uint32_t async_events;
	uint8_t unused_96[162];
	uint8_t abort_limit;       /* concurrent ones, less one */
	uint8_t async_event_limit; /* likewise */
	uint8_t unused_260[252];
	uint8_t sqes, cqes; /* entry sizes: the least in the low half */
	uint16_t commands_max;
	uint32_t namespaces;
	uint16_t oncs; /* optional commands */
	uint16_t fuses;
	uint8_t format;
	uint8_t vwc; /* bit 0: there is a volatile write cache */
	uint8_t unused_526[10];
	uint32_t sgls;
	uint8_t unused_540[3556];
};

_Static_assert(sizeof(struct nvme_identify_controller) == NVME_IDENTIFY_BYTES, "5.15.2.2");
_Static_assert(offsetof(struct nvme_identify_controller, mdts) == 77, "5.15.2.2");
_Static_assert(offsetof(struct nvme_identify_controller, abort_limit) == 258, "5.15.2.2");
_Static_assert(offsetof(struct nvme_identify_controller, namespaces) == 516, "5.15.2.2");
_Static_assert(offsetof(struct nvme_identify_controller, sgls) == 536, "5.15.2.2");

#define NVME_ONCS_DSM (1u << 2)
#define NVME_VWC_PRESENT (1u << 0)
#define NVME_SGLS_SUPPORT(sgls) ((sgls)&3u) /* 0: none; 1: any; 2: of whole dwords */

/** One of the formats that a namespace can have. */
struct nvme_lba_format {
	uint16_t metadata_bytes;
	uint8_t block_shift;
	uint8_t performance;
};

/** 5.15.2.1: what a controller says of a namespace. */
struct nvme_identify_namespace {
	uint64_t blocks; /* 0: it is not active */
	uint64_t capacity, in_use;
	uint8_t features, formats;
	uint8_t format; /* bits 3:0: which of them it has */
	uint8_t metadata_capabilities, protection_capabilities;
	uint8_t protection; /* bits 2:0: its type, 0: none */
	uint8_t unused_30[69];
	uint8_t attributes; /* bit 0: write protected */
	uint8_t unused_100[28];
	struct nvme_lba_format lba_formats[16];
	uint8_t unused_192[3904];
};

_Static_assert(sizeof(struct nvme_identify_namespace) == NVME_IDENTIFY_BYTES, "5.15.2.1");
_Static_assert(offsetof(struct nvme_identify_namespace, attributes) == 99, "5.15.2.1");
_Static_assert(offsetof(struct nvme_identify_namespace, lba_formats) == 128, "5.15.2.1");

#define NVME_NAMESPACE_PROTECTED (1u << 0)

/* 5.21.1: features */
#define NVME_FEATURE_QUEUES 0x07u
#define NVME_FEATURE_ASYNC_EVENTS 0x0bu
#define NVME_ASYNC_SMART_WARNINGS 0x1fu /* the critical warnings of 5.14.1.2, bits 4:0 */

/* 5.3, 5.4: creating queues */
#define NVME_QUEUE_CONTIGUOUS (1u << 0)

/* 5.2: asynchronous events, dword 0 of the completion */
#define NVME_EVENT_TYPE(result) ((result)&7u)
#define NVME_EVENT_INFO(result) ((result) >> 8 & 0xffu)
#define NVME_EVENT_LOG(result) ((result) >> 16 & 0xffu)
#define NVME_EVENT_ERROR 0u
#define NVME_EVENT_SMART 1u
#define NVME_EVENT_NOTICE 2u

/* 5.14.1: log pages */
#define NVME_LOG_SMART 0x02u
#define NVME_LOG_SMART_BYTES 512u
#define NVME_NAMESPACE_ALL UINT32_MAX

/** 5.14.1.2: health. The counts have 128 bits, of which we take the lower 64. */
struct nvme_log_smart {
	uint8_t critical_warning;
	uint8_t temperature_k[2];
	uint8_t spare_percent, spare_threshold_percent, used_percent;
	uint8_t unused_6[26];
	uint64_t data_units_read[2], data_units_written[2];
	uint64_t reads[2], writes[2];
	uint64_t busy_minutes[2], power_cycles[2], power_on_hours[2], unsafe_shutdowns[2];
	uint64_t media_errors[2], error_log_entries[2];
	uint8_t unused_192[320];
};

_Static_assert(sizeof(struct nvme_log_smart) == NVME_LOG_SMART_BYTES, "5.14.1.2");

#define NVME_WARNING_SPARE (1u << 0)
#define NVME_WARNING_TEMPERATURE (1u << 1)
#define NVME_WARNING_RELIABILITY (1u << 2)
#define NVME_WARNING_READ_ONLY (1u << 3)
#define NVME_WARNING_BACKUP (1u << 4)

#endif /* DEMI_BLKDEV_NVME_SPEC_H */
