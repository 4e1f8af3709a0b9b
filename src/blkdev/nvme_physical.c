/* SPDX-License-Identifier: MIT */
#include "blkdev/nvme_physical.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/log.h"
#include "blkdev/nvme_bus.h"

#define PAGEMAP "/proc/self/pagemap"
#define PAGE_FLAGS "/proc/kpageflags"

/* Both files have 64 bits for each small page, of the process and of the machine. */
#define PAGE_SHIFT 12u
#define PAGEMAP_PRESENT (1ull << 63)
#define PAGEMAP_FRAME ((1ull << 55) - 1)
#define PAGE_FLAG_HUGE (1ull << 17) /* of the reserved ones */

struct tables {
	int pagemap, flags; /* descriptors, -1 */
};

static int say_no_tables(const char *name, const char *path, int error)
{
	log_error("%s: without an IOMMU the device is given physical addresses, which the kernel "
		  "does not tell this user (%s: %s): start the program as root",
		  name, path, strerror(error));
	return -EPERM;
}

static int open_table(const char *name, const char *path, int *fd_out)
{
	*fd_out = open(path, O_RDONLY | O_CLOEXEC);
	return *fd_out >= 0 ? 0 : say_no_tables(name, path, errno);
}

static uint64_t entry_of(int fd, uint64_t page)
{
	uint64_t entry;

	return pread(fd, &entry, sizeof(entry), (off_t)(page * sizeof(entry))) == sizeof(entry)
		       ? entry
		       : 0;
}

/* A write, as a page that is only read may be that of zeroes. */
static void make_resident(unsigned char *start)
{
	__atomic_fetch_or(start, 0, __ATOMIC_RELAXED);
}

static int find_one(const char *name, const struct tables *tables, unsigned char *start,
		    uint64_t *address_out)
{
	uint64_t entry, frame;

	make_resident(start);
	entry = entry_of(tables->pagemap, (uintptr_t)start >> PAGE_SHIFT);
	frame = entry & PAGEMAP_FRAME;
	/* Who lacks CAP_SYS_ADMIN reads zeroes. */
	if (!(entry & PAGEMAP_PRESENT) || frame == 0)
		return say_no_tables(name, PAGEMAP, EPERM);
	if (!(entry_of(tables->flags, frame) & PAGE_FLAG_HUGE) ||
	    (frame << PAGE_SHIFT) % NVME_CHUNK_BYTES != 0) {
		log_error("%s: without an IOMMU the device's memory has to be of reserved huge "
			  "pages: reserve more (sysctl vm.nr_hugepages, 2 MiB each), and set "
			  "heap.huge_pages: reserved (DEMI_HEAP_HUGE_PAGES)",
			  name);
		return -ENOTSUP;
	}
	*address_out = frame << PAGE_SHIFT;
	return 0;
}

static int find_all(const char *name, const struct tables *tables, unsigned char *start,
		    size_t bytes, uint64_t *addresses)
{
	for (size_t offset = 0; offset < bytes; offset += NVME_CHUNK_BYTES) {
		int error = find_one(name, tables, start + offset,
				     &addresses[offset >> NVME_CHUNK_SHIFT]);

		if (error)
			return error;
	}
	return 0;
}

int nvme_physical_find(const char *name, void *start, size_t bytes, uint64_t *addresses)
{
	struct tables tables = {.pagemap = -1, .flags = -1};
	int error = open_table(name, PAGEMAP, &tables.pagemap);

	if (!error)
		error = open_table(name, PAGE_FLAGS, &tables.flags);
	if (!error && madvise(start, bytes, MADV_DONTFORK) != 0)
		error = -errno;
	if (!error)
		error = find_all(name, &tables, start, bytes, addresses);
	if (tables.pagemap >= 0)
		close(tables.pagemap);
	if (tables.flags >= 0)
		close(tables.flags);
	return error;
}
