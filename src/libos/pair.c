/* SPDX-License-Identifier: MIT */
#include "libos/pair.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct pair {
	struct libos libos;
	struct libos *network;
	struct libos *storage;
};

_Static_assert(2 * LIBOS_WAKES_OF_ONE <= LIBOS_WAKES_MAX, "what both wait for has room");

static struct pair *pair_of(struct libos *libos)
{
	return (struct pair *)libos;
}

static int pair_start(struct libos **libos_out, struct queue_context *context,
		      const struct config *config)
{
	const struct libos_ops *network, *storage;
	struct pair *pair;
	int error;

	if (!libos_find_pair(config->libos, &network, &storage))
		return -ENOTSUP;
	pair = calloc(1, sizeof(*pair));
	if (!pair)
		return -ENOMEM;
	pair->libos.ops = &pair_ops;
	error = network->start(&pair->network, context, config);
	if (!error) {
		error = storage->start(&pair->storage, context, config);
		if (error)
			network->stop(pair->network);
	}
	if (error) {
		free(pair);
		return error;
	}
	*libos_out = &pair->libos;
	return 0;
}

/* The storage first: what is being written may be what the network has received. */
static void pair_stop(struct libos *libos)
{
	struct pair *pair = pair_of(libos);

	pair->storage->ops->stop(pair->storage);
	pair->network->ops->stop(pair->network);
	free(pair);
}

static void pair_forget(struct libos *libos)
{
	struct pair *pair = pair_of(libos);

	pair->storage->ops->forget(pair->storage);
	pair->network->ops->forget(pair->network);
}

static int pair_socket(struct libos *libos, struct queue **queue_out, int domain, int type,
		       int protocol)
{
	struct libos *network = pair_of(libos)->network;

	return network->ops->socket(network, queue_out, domain, type, protocol);
}

static int pair_open(struct libos *libos, struct queue **queue_out, const char *path, int flags,
		     mode_t mode)
{
	struct libos *storage = pair_of(libos)->storage;

	return storage->ops->open(storage, queue_out, path, flags, mode);
}

static int pair_rename(struct libos *libos, const char *path, const char *new_path)
{
	struct libos *storage = pair_of(libos)->storage;

	return storage->ops->rename ? storage->ops->rename(storage, path, new_path) : -EOPNOTSUPP;
}

static int pair_unlink(struct libos *libos, const char *path)
{
	struct libos *storage = pair_of(libos)->storage;

	return storage->ops->unlink ? storage->ops->unlink(storage, path) : -EOPNOTSUPP;
}

static int pair_each_log(struct libos *libos, demi_log_fn_t visit, void *context)
{
	struct libos *storage = pair_of(libos)->storage;

	return storage->ops->each_log ? storage->ops->each_log(storage, visit, context)
				      : -EOPNOTSUPP;
}

static int64_t pair_check_logs(struct libos *libos, demi_log_problem_fn_t tell, void *context)
{
	struct libos *storage = pair_of(libos)->storage;

	return storage->ops->check_logs ? storage->ops->check_logs(storage, tell, context)
					: -EOPNOTSUPP;
}

static bool kernel_works(const struct libos *libos)
{
	return libos->ops->kernel_works && libos->ops->kernel_works(libos);
}

static bool pair_kernel_works(const struct libos *libos)
{
	const struct pair *pair = (const struct pair *)libos;

	return kernel_works(pair->network) || kernel_works(pair->storage);
}

static bool stays_in_thread(const struct libos *libos)
{
	return libos->ops->stays_in_thread && libos->ops->stays_in_thread(libos);
}

static bool pair_stays_in_thread(const struct libos *libos)
{
	const struct pair *pair = (const struct pair *)libos;

	return stays_in_thread(pair->network) || stays_in_thread(pair->storage);
}

static void tell_figures(struct libos *libos, figure_fn *tell, void *context)
{
	if (libos->ops->tell_figures)
		libos->ops->tell_figures(libos, tell, context);
}

static void pair_tell_figures(struct libos *libos, figure_fn *tell, void *context)
{
	struct pair *pair = pair_of(libos);

	tell_figures(pair->network, tell, context);
	tell_figures(pair->storage, tell, context);
}

/* The network's own way of sleeping, which knows its sockets; what the storage waits for ends it. */
static int pair_sleep(struct libos *libos, uint64_t timeout_ns, const sigset_t *signals,
		      const struct pollfd *others, int other_count)
{
	struct pair *pair = pair_of(libos);
	struct pollfd wakes[LIBOS_WAKES_MAX + LIBOS_OTHERS_MAX];
	int count = pair->storage->ops->idle(pair->storage, wakes, &timeout_ns);

	if (count < 0)
		return 0;
	/* Those of other runtimes: no second libOS stands beside a pair. */
	for (int i = 0; i < other_count; i++)
		wakes[count++] = others[i];
	return pair->network->ops->sleep(pair->network, timeout_ns, signals, wakes, count);
}

static int pair_idle(struct libos *libos, struct pollfd *wakes, uint64_t *timeout_ns)
{
	struct pair *pair = pair_of(libos);
	struct pollfd more[LIBOS_WAKES_MAX];
	int network = pair->network->ops->idle(pair->network, wakes, timeout_ns);
	int storage;

	if (network < 0)
		return network;
	storage = pair->storage->ops->idle(pair->storage, more, timeout_ns);
	if (storage < 0)
		return storage;
	memcpy(wakes + network, more, (size_t)storage * sizeof(more[0]));
	return network + storage;
}

const struct libos_ops pair_ops = {
	.name = "pair",
	.start = pair_start,
	.stop = pair_stop,
	.forget = pair_forget,
	.socket = pair_socket,
	.open = pair_open,
	.rename = pair_rename,
	.unlink = pair_unlink,
	.each_log = pair_each_log,
	.check_logs = pair_check_logs,
	.kernel_works = pair_kernel_works,
	.tell_figures = pair_tell_figures,
	.sleep = pair_sleep,
	.idle = pair_idle,
	.stays_in_thread = pair_stays_in_thread,
};
