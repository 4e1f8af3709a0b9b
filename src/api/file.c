/* SPDX-License-Identifier: MIT */
#include <demi/file.h>

#include <fcntl.h>
#include <unistd.h>

#include "api/api.h"

int demi_open(int *qd_out, const char *path, int flags, mode_t mode)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;
	struct queue *queue;
	int error;

	if (!runtime)
		return ENOSYS;
	if (!API_POINTER_OK(qd_out) || !path)
		return EFAULT;
	if (!runtime->libos->ops->open)
		return EOPNOTSUPP;
	if (queue_table_is_full(&runtime->context.queues))
		return EMFILE;
	error = runtime->libos->ops->open(runtime->libos, &queue, path, flags, mode);
	if (error)
		return -error;
	return api_give_descriptor(runtime, queue, qd_out);
}

int demi_creat(int *qd_out, const char *path, mode_t mode)
{
	return demi_open(qd_out, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

int demi_rename(const char *path, const char *new_path)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;

	if (!runtime)
		return ENOSYS;
	if (!path || !new_path)
		return EFAULT;
	if (!runtime->libos->ops->rename)
		return EOPNOTSUPP;
	return -runtime->libos->ops->rename(runtime->libos, path, new_path);
}

int demi_unlink(const char *path)
{
	API_KEEP_ERRNO;
	struct runtime *runtime = api_runtime;

	if (!runtime)
		return ENOSYS;
	if (!path)
		return EFAULT;
	if (!runtime->libos->ops->unlink)
		return EOPNOTSUPP;
	return -runtime->libos->ops->unlink(runtime->libos, path);
}

int demi_seek(int qd, int64_t offset, int whence, int64_t *position_out)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	int error = api_find(qd, &runtime, &queue);

	if (error)
		return error;
	if (position_out && !API_POINTER_OK(position_out))
		return EFAULT;
	if (!queue->ops->seek)
		return EOPNOTSUPP;
	if (whence != SEEK_SET && whence != SEEK_CUR && whence != SEEK_END)
		return EINVAL;
	return -queue->ops->seek(queue, offset, whence, position_out);
}

int demi_truncate(int qd, int64_t offset)
{
	API_KEEP_ERRNO;
	struct runtime *runtime;
	struct queue *queue;
	int error = api_find(qd, &runtime, &queue);

	if (error)
		return error;
	if (!queue->ops->truncate)
		return EOPNOTSUPP;
	if (offset < 0)
		return EINVAL;
	return -queue->ops->truncate(queue, offset);
}
