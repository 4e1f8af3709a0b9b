/* SPDX-License-Identifier: MIT */
#include "file.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "engine.h"
#include "epoll.h"
#include "log.h"
#include "socket.h"

struct file **file_table;
_Thread_local bool shim_is_inside __attribute__((tls_model("initial-exec")));

/* No descriptor from here on stands for anything. */
static uint32_t table_end;

struct file *file_of(int fd)
{
	return file_table && (uint32_t)fd < FILES_MAX ? file_table[fd] : NULL;
}

struct file *file_enter(int fd)
{
	struct file *file;

	if (!file_is_ours(fd))
		return NULL;
	engine_lock();
	engine_refresh();
	file = file_table[fd];
	if (!file) {
		engine_unlock();
		return NULL;
	}
	file_hold(file);
	return file;
}

void file_leave(struct file *file)
{
	const int saved = errno;

	file_drop(file);
	engine_unlock();
	errno = saved;
}

static int table_make(void)
{
	void *memory;

	if (file_table)
		return 0;
	/* Pages that no descriptor needs are never touched. */
	memory = mmap(NULL, FILES_MAX * sizeof(*file_table), PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (memory == MAP_FAILED)
		return -ENOMEM;
	file_table = memory;
	return 0;
}

int file_add(int fd, struct file *file)
{
	int error = table_make();

	if (error)
		return error;
	if ((uint32_t)fd >= FILES_MAX)
		return -EMFILE;
	/* One that somebody closed where we do not see it. */
	if (file_table[fd])
		file_remove(fd);
	file_hold(file);
	file->descriptors++;
	__atomic_store_n(&file_table[fd], file, __ATOMIC_RELEASE);
	if ((uint32_t)fd >= table_end)
		table_end = (uint32_t)fd + 1;
	return 0;
}

void file_remove(int fd)
{
	struct file *file = file_of(fd);

	if (!file)
		return;
	__atomic_store_n(&file_table[fd], NULL, __ATOMIC_RELEASE);
	file->descriptors--;
	file_drop(file);
}

void file_drop(struct file *file)
{
	if (--file->references)
		return;
	/* As in the kernel, a set forgets a file that ends. */
	while (file->watches && file->watches->item)
		epoll_forget(file->watches->item);
	if (file->kind == FILE_SOCKET)
		socket_end(socket_of(file));
	else if (file->kind == FILE_LOG)
		log_file_end(log_file_of(file));
	else
		epoll_end(epoll_of(file));
}

void file_watch(struct watch *watch, struct file *file)
{
	watch->file = file;
	watch->next = file->watches;
	watch->link = &file->watches;
	if (watch->next)
		watch->next->link = &watch->next;
	file->watches = watch;
}

void file_unwatch(struct watch *watch)
{
	if (!watch->link)
		return;
	*watch->link = watch->next;
	if (watch->next)
		watch->next->link = watch->link;
	watch->link = NULL;
}

void file_notify(struct file *file, uint32_t events)
{
	struct watch *next;

	for (struct watch *watch = file->watches; watch; watch = next) {
		next = watch->next;
		if (watch->item)
			epoll_item_ready(watch->item, events);
		else
			waiter_wake(watch->waiter);
	}
}

uint32_t file_events(struct file *file)
{
	if (file->kind == FILE_SOCKET)
		return socket_events(socket_of(file));
	/* A log is ready at any time, as the kernel says of its descriptor. */
	return file->kind == FILE_EPOLL ? epoll_events(epoll_of(file)) : 0;
}

void file_for_each(void (*visit)(int fd, struct file *file))
{
	for (uint32_t fd = 0; fd < table_end; fd++)
		if (file_table[fd])
			visit((int)fd, file_table[fd]);
}
