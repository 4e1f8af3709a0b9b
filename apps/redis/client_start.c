/* SPDX-License-Identifier: MIT */
#include <server.h>

#include "client_io.h"
#include "endpoint.h"

/*
 * Redis's own handler reports at length, which takes memory: where there is none at all, and here there is
 * none beyond the heap, it calls itself until the stack is full, and meanwhile serves nobody.
 */
static void out_of_memory(size_t bytes)
{
	serverLog(LL_WARNING,
		  "Out of memory: Demi's heap has no room for %zu bytes. Set maxmemory, or "
		  "heap.max_bytes (DEMI_HEAP_MAX_BYTES) to more. Exiting...",
		  bytes);
	/* Clients hear of it, but what is the main thread's no other one, and no child, may end. */
	if (endpoint_is_child() || !pthread_equal(pthread_self(), server.main_thread_id))
		_exit(1);
	exit(1);
}

/* What is asked for and cannot be had is said when the server starts. */
void client_io_start(void)
{
	demi_heap_stats_t heap;

	if (server.io_threads_num > 1)
		serverLog(LL_WARNING, "Demi serves all clients on one thread: io-threads is 1.");
	server.io_threads_num = 1;
	zmalloc_set_oom_handler(out_of_memory);
	if (demi_heap_stats(&heap) == 0 && server.maxmemory > heap.bytes_max)
		serverLog(LL_WARNING,
			  "maxmemory is %llu bytes, but Demi's heap has %llu: set heap.max_bytes "
			  "(DEMI_HEAP_MAX_BYTES) to more than maxmemory.",
			  server.maxmemory, (unsigned long long)heap.bytes_max);
}
