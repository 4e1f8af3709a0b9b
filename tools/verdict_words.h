/* SPDX-License-Identifier: MIT */
/* How a verdict is put into words, for the files that judge. */
#ifndef TOOLS_VERDICT_WORDS_H
#define TOOLS_VERDICT_WORDS_H

#include "verdict.h"

/** lacks - it cannot run: what is missing */
__attribute__((format(printf, 2, 3))) void lacks(struct verdict *verdict, const char *format, ...);

/** with - the command that runs it, or makes it so that it can */
__attribute__((format(printf, 2, 3))) void with(struct verdict *verdict, const char *format, ...);

/** as_root - what stands before a command that only root may give: "sudo ", or nothing for root */
const char *as_root(const struct machine *machine);

/** has_no_wire - made by the kernel for other purposes: nothing comes in over it from outside */
bool has_no_wire(const struct interface *interface);

/** lacks_iommu - and the command that makes it so, where the machine itself can */
void lacks_iommu(struct verdict *verdict, const struct machine *machine);

/** judge_nvme - Cattree over an NVMe drive of ours alone */
void judge_nvme(struct verdict *verdict, const struct machine *machine);

/** judge_rdma - Catmint over an RDMA device */
void judge_rdma(struct verdict *verdict, const struct machine *machine);

#endif /* TOOLS_VERDICT_WORDS_H */
