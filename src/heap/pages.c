/* SPDX-License-Identifier: MIT */
#include "heap/pages.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "base/log.h"

/* 2 MiB pages, whatever the system's default size is: log2 of the size, from <linux/mman.h>. */
#define HUGE_2_MIB (21 << 26)

int pages_reserve(struct pages *pages, size_t bytes, enum heap_huge_pages huge, bool lock)
{
	unsigned char *mapped = mmap(NULL, bytes + HEAP_RANGE_ALIGNMENT, PROT_NONE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t before;

	if (mapped == MAP_FAILED)
		return -ENOMEM;
	before = -(uintptr_t)mapped & (HEAP_RANGE_ALIGNMENT - 1);
	if (before)
		munmap(mapped, before);
	munmap(mapped + before + bytes, HEAP_RANGE_ALIGNMENT - before);
	*pages = (struct pages){
		.base = mapped + before, .bytes = bytes, .huge = huge, .lock = lock, .purge = true};
	/* Only advice: without huge pages everything works, more slowly. */
	if (huge != HEAP_HUGE_PAGES_OFF)
		madvise(pages->base, bytes, MADV_HUGEPAGE);
	return 0;
}

void pages_release(struct pages *pages)
{
	munmap(pages->base, pages->bytes);
}

/*
 * Reserved huge pages are mapped elsewhere first and then moved: a failed mapping on top of the
 * range would leave a hole in it for another thread's mapping to fall into.
 */
static bool commit_reserved(struct pages *pages, size_t bytes)
{
	unsigned char *at = pages->base + pages->committed;
	void *mapped = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | HUGE_2_MIB, -1, 0);

	if (mapped == MAP_FAILED)
		return false;
	if (mremap(mapped, bytes, bytes, MREMAP_MAYMOVE | MREMAP_FIXED, at) == MAP_FAILED) {
		munmap(mapped, bytes);
		return false;
	}
	pages->reserved_huge_bytes += bytes;
	return true;
}

static void commit_lock(struct pages *pages, size_t bytes)
{
	struct rlimit limit = {0};

	/* As they are touched: locking must not make memory resident that nobody uses. */
	if (mlock2(pages->base + pages->committed, bytes, MLOCK_ONFAULT) == 0) {
		pages->locked_bytes += bytes;
		return;
	}
	pages->lock = false;
	getrlimit(RLIMIT_MEMLOCK, &limit);
	log_info("heap: %zu MiB are locked in memory, the rest is not (the limit is %llu KiB): "
		 "raise it with ulimit -l, or set heap.lock: off",
		 pages->locked_bytes >> 20, (unsigned long long)limit.rlim_cur >> 10);
}

/* As much of the preferred as there is, in reserved huge pages; 0: not even the needed. */
static size_t commit_reserved_some(struct pages *pages, size_t needed, size_t preferred)
{
	for (size_t bytes = preferred;; bytes = (bytes / 2) & ~(PAGES_CHUNK_BYTES - 1)) {
		if (bytes < needed)
			bytes = needed;
		if (commit_reserved(pages, bytes))
			return bytes;
		if (bytes == needed)
			return 0;
	}
}

static size_t commit_ordinary(struct pages *pages, size_t needed, size_t preferred)
{
	unsigned char *at = pages->base + pages->committed;

	if (mprotect(at, preferred, PROT_READ | PROT_WRITE) == 0)
		return preferred;
	return mprotect(at, needed, PROT_READ | PROT_WRITE) == 0 ? needed : 0;
}

size_t pages_commit(struct pages *pages, size_t needed, size_t preferred)
{
	size_t bytes = 0;

	if (pages->huge != HEAP_HUGE_PAGES_OFF) {
		bytes = commit_reserved_some(pages, needed, preferred);
		/* They are never swapped: nothing to lock. */
		pages->locked_bytes += bytes;
	}
	if (!bytes && pages->huge != HEAP_HUGE_PAGES_RESERVED) {
		bytes = commit_ordinary(pages, needed, preferred);
		if (bytes && pages->lock)
			commit_lock(pages, bytes);
	}
	pages->committed += bytes;
	return bytes;
}

void pages_uncommit(struct pages *pages, const struct pages *before)
{
	unsigned char *at = before->base + before->committed;
	size_t bytes = pages->committed - before->committed;

	/* A new mapping in place of the old one, whatever its pages are. */
	void *fresh = mmap(at, bytes, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	if (fresh != MAP_FAILED && pages->huge != HEAP_HUGE_PAGES_OFF)
		madvise(fresh, bytes, MADV_HUGEPAGE);
	*pages = *before;
}

bool pages_purge(struct pages *pages, size_t offset, size_t bytes)
{
	unsigned char *start = pages->base + offset;
	/* Locked is what was committed first, up to where it failed. */
	size_t locked = pages->locked_bytes > offset ? pages->locked_bytes - offset : 0;

	/* Reserved huge pages stay: they were taken to be had. */
	if (!pages->purge || pages->reserved_huge_bytes > 0)
		return false;
	if (locked > bytes)
		locked = bytes;
	/* Locked pages cannot be given back. */
	if (locked)
		munlock(start, locked);
	if (madvise(start, bytes, MADV_DONTNEED) != 0)
		pages->purge = false;
	if (locked)
		mlock2(start, locked, MLOCK_ONFAULT);
	return pages->purge;
}
