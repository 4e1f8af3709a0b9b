/* SPDX-License-Identifier: MIT */
#include "libos/libos.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#ifdef DEMI_HAVE_RDMA
#include "libos/catmint/catmint.h"
#endif
#include "libos/catmem/catmem.h"
#include "libos/catnap/catnap.h"
#include "libos/catnip/catnip.h"
#include "libos/cattree/cattree.h"
#include "libos/pair.h"

/* Every libOS of this build; meson.build says which there are. */
static const struct libos_ops *const libos_table[] = {
	&catnap_ops,  &catnip_ops,
#ifdef DEMI_HAVE_RDMA
	&catmint_ops,
#endif
	&cattree_ops, &catmem_ops,
};

static const struct libos_ops *find_one(const char *name, size_t length)
{
	for (size_t i = 0; i < sizeof(libos_table) / sizeof(libos_table[0]); i++) {
		const char *known = libos_table[i]->name;

		if (strlen(known) == length && memcmp(known, name, length) == 0)
			return libos_table[i];
	}
	return NULL;
}

bool libos_find_pair(const char *name, const struct libos_ops **first_out,
		     const struct libos_ops **second_out)
{
	size_t length = strcspn(name, "+");

	if (name[length] != '+')
		return false;
	*first_out = find_one(name, length);
	*second_out = find_one(name + length + 1, strlen(name + length + 1));
	return *first_out && *second_out && (*first_out)->socket && (*second_out)->open &&
	       !(*second_out)->socket;
}

const struct libos_ops *libos_find(const char *name)
{
	const struct libos_ops *first, *second;

	if (libos_find_pair(name, &first, &second))
		return &pair_ops;
	return find_one(name, strlen(name));
}

const char *libos_names(void)
{
#ifdef DEMI_HAVE_RDMA
	return "catnap, catnip, catmint, cattree, catmem, catnap+cattree, catnip+cattree, "
	       "catmint+cattree";
#else
	return "catnap, catnip, cattree, catmem, catnap+cattree, catnip+cattree";
#endif
}

int libos_sleep_idle(struct libos *libos, uint64_t timeout_ns, const sigset_t *signals,
		     const struct pollfd *others, int other_count)
{
	struct pollfd wakes[LIBOS_WAKES_MAX + LIBOS_OTHERS_MAX];
	struct timespec timeout;
	int count = libos->ops->idle(libos, wakes, &timeout_ns);

	if (count < 0)
		return 0;
	for (int i = 0; i < other_count; i++)
		wakes[count++] = others[i];
	timeout = (struct timespec){.tv_sec = (time_t)(timeout_ns / NS_PER_S),
				    .tv_nsec = (long)(timeout_ns % NS_PER_S)};
	if (ppoll(wakes, (nfds_t)count, timeout_ns == UINT64_MAX ? NULL : &timeout, signals) < 0)
		return errno == EINTR ? -EINTR : 0;
	return 0;
}
