/* SPDX-License-Identifier: MIT */
/* Which provider a name means. */
#include "rdma/rdma.h"

#include <string.h>

#define SIM_PREFIX "sim:"

int rdma_open(struct rdma **rdma_out, const char *name, const struct rdma_options *options)
{
	size_t prefix = strlen(SIM_PREFIX);

	if (strncmp(name, SIM_PREFIX, prefix) == 0)
		return rdma_sim_open(rdma_out, name + prefix, options);
	return rdma_verbs_open(rdma_out, options);
}

void rdma_close(struct rdma *rdma)
{
	if (rdma)
		rdma->ops->close(rdma);
}
