/* SPDX-License-Identifier: MIT */
#include <demi/log.h>

#include "api/api.h"

int demi_log_each(demi_log_fn_t visit, void *context)
{
	API_KEEP_ERRNO;
	struct libos *libos;
	int outcome;

	if (!api_runtime)
		return ENOSYS;
	if (!visit)
		return EFAULT;
	libos = api_runtime->libos;
	if (!libos->ops->each_log)
		return EOPNOTSUPP;
	outcome = libos->ops->each_log(libos, visit, context);
	return outcome < 0 ? -outcome : outcome;
}

int demi_log_check(demi_log_problem_fn_t tell, void *context, uint64_t *problems_out)
{
	API_KEEP_ERRNO;
	struct libos *libos;
	int64_t problems;

	if (!api_runtime)
		return ENOSYS;
	if (!tell || (problems_out && !API_POINTER_OK(problems_out)))
		return EFAULT;
	libos = api_runtime->libos;
	if (!libos->ops->check_logs)
		return EOPNOTSUPP;
	problems = libos->ops->check_logs(libos, tell, context);
	if (problems < 0)
		return (int)-problems;
	if (problems_out)
		*problems_out = (uint64_t)problems;
	return 0;
}
