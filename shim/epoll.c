/* SPDX-License-Identifier: MIT */
#include "epoll.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/random.h>

#include "engine.h"
#include "guard.h"
#include "process.h"
#include "real.h"
#include "socket.h"
#include "trace.h"

#define EVENTS_ALWAYS (EPOLLERR | EPOLLHUP)
/* While ours are busy, the kernel's are asked so often all the same. */
#define KERNEL_LOOK_NS (50 * NS_PER_US)
/* A runtime that could not start is tried again so much later. */
#define START_AGAIN_NS (1100 * NS_PER_MS)
#define EVENTS_MAX (INT32_MAX / (int)sizeof(struct epoll_event))

_Static_assert(EPOLLIN == POLLIN && EPOLLOUT == POLLOUT && EPOLLERR == POLLERR &&
		       EPOLLHUP == POLLHUP && EPOLLRDHUP == POLLRDHUP,
	       "events of epoll are those of poll");

/* ---- The list of those that may be ready ---- */

static void ready_add(struct item *item)
{
	struct epoll *epoll = item->epoll;

	if (item->ready_link)
		return;
	item->ready_next = NULL;
	item->ready_link = epoll->ready_tail;
	*epoll->ready_tail = item;
	epoll->ready_tail = &item->ready_next;
}

static void ready_remove(struct item *item)
{
	struct epoll *epoll = item->epoll;

	if (!item->ready_link)
		return;
	*item->ready_link = item->ready_next;
	if (item->ready_next)
		item->ready_next->ready_link = item->ready_link;
	else
		epoll->ready_tail = item->ready_link;
	item->ready_link = NULL;
}

void epoll_item_ready(struct item *item, uint32_t events)
{
	if (item->is_spent || !(events & (item->event.events | EVENTS_ALWAYS)))
		return;
	ready_add(item);
	file_notify(&item->epoll->file, EPOLLIN);
}

/* Which of its events are so. */
static uint32_t item_events(const struct item *item)
{
	if (item->is_spent)
		return 0;
	return file_events(item->watch.file) & (item->event.events | EVENTS_ALWAYS);
}

uint32_t epoll_events(struct epoll *epoll)
{
	struct item *next;

	for (struct item *item = epoll->ready; item; item = next) {
		next = item->ready_next;
		if (item_events(item))
			return EPOLLIN | EPOLLRDNORM;
		ready_remove(item);
	}
	return 0;
}

/* ---- Sets ---- */

struct epoll *epoll_new(void)
{
	struct epoll *epoll = calloc(1, sizeof(*epoll));

	if (!epoll)
		return NULL;
	epoll->file.kind = FILE_EPOLL;
	epoll->ready_tail = &epoll->ready;
	return epoll;
}

void epoll_end(struct epoll *epoll)
{
	while (epoll->items)
		epoll_forget(epoll->items);
	free(epoll);
}

/* ---- Keys ---- */

/* From a place that no program's data is at; so that a key is known by its value. */
static uint64_t key_first;
static uint64_t key_count;

static void key_take(struct item *item)
{
	struct epoll *epoll = item->epoll;

	if (!key_first && getrandom(&key_first, sizeof(key_first), 0) != sizeof(key_first))
		key_first = clock_ns() << 20 ^ (uintptr_t)&key_first;
	/* Neither a pointer nor a small number. */
	key_first |= UINT64_C(0x5) << 60;
	item->key = key_first + key_count++;
	item->both_next = epoll->both;
	item->both_link = &epoll->both;
	if (item->both_next)
		item->both_next->both_link = &item->both_next;
	epoll->both = item;
}

static void key_drop(struct item *item)
{
	if (!item->key)
		return;
	*item->both_link = item->both_next;
	if (item->both_next)
		item->both_next->both_link = item->both_link;
	item->key = 0;
}

static struct item *key_find(const struct epoll *epoll, uint64_t key)
{
	struct item *item = epoll->both;

	if (key - key_first >= key_count)
		return NULL;
	while (item && item->key != key)
		item = item->both_next;
	return item;
}

/* As the kernel's half gets it. */
static struct epoll_event kernel_event(const struct item *item, const struct epoll_event *event)
{
	struct epoll_event copy = *event;

	if (item->key)
		copy.data.u64 = item->key;
	return copy;
}

void epoll_forget(struct item *item)
{
	ready_remove(item);
	key_drop(item);
	file_unwatch(&item->watch);
	*item->link = item->next;
	if (item->next)
		item->next->link = item->link;
	item->epoll->count--;
	free(item);
}

static struct item *item_find(const struct epoll *epoll, const struct file *file, int fd)
{
	for (struct watch *watch = file->watches; watch; watch = watch->next)
		if (watch->item && watch->item->epoll == epoll && watch->item->fd == fd)
			return watch->item;
	return NULL;
}

static void leave_kernel(struct item *item, int epoll_fd)
{
	if (item->in_kernel)
		real()->epoll_ctl(epoll_fd, EPOLL_CTL_DEL, item->fd, NULL);
	item->in_kernel = false;
	key_drop(item);
}

static struct epoll *sought;
static int sought_fd;

static void is_sought(int fd, struct file *file)
{
	if (file == &sought->file)
		sought_fd = fd;
}

/* A set does not know its descriptors, which dup may have made several. */
static int descriptor_of(struct epoll *epoll)
{
	sought = epoll;
	sought_fd = -1;
	file_for_each(is_sought);
	return sought_fd;
}

void epoll_leave_kernel(struct file *file)
{
	for (struct watch *watch = file->watches; watch; watch = watch->next)
		if (watch->item && watch->item->in_kernel)
			leave_kernel(watch->item, descriptor_of(watch->item->epoll));
}

/* EPOLLEXCLUSIVE cannot be changed, so it is added anew. */
static void be_both(struct item *item)
{
	int epoll_fd = descriptor_of(item->epoll);
	struct epoll_event event;

	key_take(item);
	event = kernel_event(item, &item->event);
	if (item->is_spent)
		event.events = EPOLLONESHOT;
	real()->epoll_ctl(epoll_fd, EPOLL_CTL_DEL, item->fd, NULL);
	real()->epoll_ctl(epoll_fd, EPOLL_CTL_ADD, item->fd, &event);
}

void epoll_be_both(struct file *file)
{
	for (struct watch *watch = file->watches; watch; watch = watch->next)
		if (watch->item && watch->item->in_kernel && !watch->item->key)
			be_both(watch->item);
}

/* ---- Adding and removing ---- */

static void note_once(const struct item *item)
{
	if (item->in_kernel && !item->key && (item->event.events & EPOLLONESHOT))
		item->epoll->has_once = true;
}

/* Whether the kernel's half has to know of it too. */
static bool is_of_both(const struct file *file)
{
	return file->kind == FILE_EPOLL || socket_of((struct file *)file)->side != SIDE_DEMI;
}

static int add_to_kernel(struct item *item, int epoll_fd, const struct file *file,
			 const struct epoll_event *event)
{
	bool tells = file->kind == FILE_EPOLL || socket_of((struct file *)file)->side == SIDE_BOTH;
	struct epoll_event kernels;
	int error = 0;

	if (tells)
		key_take(item);
	kernels = kernel_event(item, event);
	if (real()->epoll_ctl(epoll_fd, EPOLL_CTL_ADD, item->fd, &kernels) != 0)
		error = -errno;
	if (error)
		key_drop(item);
	item->in_kernel = !error;
	item->epoll->has_kernel |= !error;
	return error;
}

static int item_add(struct epoll *epoll, int epoll_fd, struct file *file, int fd,
		    const struct epoll_event *event)
{
	struct item *item;

	if (item_find(epoll, file, fd))
		return -EEXIST;
	item = calloc(1, sizeof(*item));
	if (!item)
		return -ENOMEM;
	item->epoll = epoll;
	item->fd = fd;
	if (is_of_both(file)) {
		int error = add_to_kernel(item, epoll_fd, file, event);

		if (error) {
			free(item);
			return error;
		}
	}
	item->event = *event;
	item->watch.item = item;
	item->next = epoll->items;
	item->link = &epoll->items;
	if (item->next)
		item->next->link = &item->next;
	epoll->items = item;
	epoll->count++;
	note_once(item);
	file_watch(&item->watch, file);
	ready_add(item);
	file_notify(&epoll->file, EPOLLIN);
	return 0;
}

static int item_change(struct epoll *epoll, int epoll_fd, struct file *file, int fd,
		       const struct epoll_event *event)
{
	struct item *item = item_find(epoll, file, fd);
	struct epoll_event kernels;

	if (!item)
		return -ENOENT;
	kernels = kernel_event(item, event);
	if (item->in_kernel && real()->epoll_ctl(epoll_fd, EPOLL_CTL_MOD, fd, &kernels) != 0)
		return -errno;
	item->event = *event;
	item->is_spent = false;
	note_once(item);
	ready_add(item);
	file_notify(&epoll->file, EPOLLIN);
	return 0;
}

static int item_delete(struct epoll *epoll, int epoll_fd, struct file *file, int fd)
{
	struct item *item = item_find(epoll, file, fd);

	if (!item)
		return -ENOENT;
	leave_kernel(item, epoll_fd);
	epoll_forget(item);
	return 0;
}

/* EPOLLEXCLUSIVE: epoll_ctl(2) says with what, and when. We wake all the same. */
static bool exclusive_is_right(const struct epoll *epoll, const struct file *file, int fd,
			       int operation, const struct epoll_event *event)
{
	const uint32_t with = EPOLLIN | EPOLLOUT | EPOLLERR | EPOLLHUP | EPOLLWAKEUP | EPOLLET |
			      EPOLLEXCLUSIVE;
	const struct item *item;

	if (operation == EPOLL_CTL_ADD)
		return !(event->events & EPOLLEXCLUSIVE) ||
		       (!(event->events & ~with) && file->kind != FILE_EPOLL);
	if (operation != EPOLL_CTL_MOD)
		return true;
	item = item_find(epoll, file, fd);
	return !(event->events & EPOLLEXCLUSIVE) &&
	       !(item && (item->event.events & EPOLLEXCLUSIVE));
}

/* Both halves of the call are under the lock: nobody reports an item that is half added. */
static int control(struct epoll *epoll, int epoll_fd, int operation, int fd,
		   const struct epoll_event *given)
{
	struct file *file = file_of(fd);
	struct epoll_event event = {.events = 0};

	if (operation != EPOLL_CTL_DEL && !guard_copy(&event, given, sizeof(event)))
		return -EFAULT;
	if (!file) {
		if (operation == EPOLL_CTL_ADD)
			epoll->has_kernel = true;
		return real()->epoll_ctl(epoll_fd, operation, fd, &event) == 0 ? 0 : -errno;
	}
	if (file->kind == FILE_LOG)
		return -EPERM;
	if (file == &epoll->file || !exclusive_is_right(epoll, file, fd, operation, &event))
		return -EINVAL;
	switch (operation) {
	case EPOLL_CTL_ADD:
		return item_add(epoll, epoll_fd, file, fd, &event);
	case EPOLL_CTL_MOD:
		return item_change(epoll, epoll_fd, file, fd, &event);
	case EPOLL_CTL_DEL:
		return item_delete(epoll, epoll_fd, file, fd);
	default:
		return -EINVAL;
	}
}

EXPORT int epoll_ctl(int epoll_fd, int operation, int fd, struct epoll_event *event)
{
	struct file *file = file_enter(epoll_fd);
	int outcome;

	if (!file)
		return real()->epoll_ctl(epoll_fd, operation, fd, event);
	if (file->kind == FILE_EPOLL)
		outcome = control(epoll_of(file), epoll_fd, operation, fd, event);
	else /* a socket: what is wrong is the kernel's to say */
		outcome = real()->epoll_ctl(epoll_fd, operation, fd, event) == 0 ? 0 : -errno;
	file_leave(file);
	if (outcome < 0) {
		errno = -outcome;
		return -1;
	}
	return 0;
}

/* ---- Waiting ---- */

struct epoll_call {
	struct epoll *epoll;
	int fd;
	struct epoll_event *events; /* of the program */
	int room, count;
	bool has_fault;
};

static bool report(struct epoll_call *call, struct item *item, uint32_t events)
{
	struct epoll_event event = {.events = events, .data = item->event.data};

	if (!guard_copy(&call->events[call->count], &event, sizeof(event))) {
		call->has_fault = true;
		return false;
	}
	item->told = call->epoll->calls;
	item->told_at = call->count++;
	if (item->event.events & EPOLLONESHOT) {
		item->is_spent = true;
		/* So that the kernel's half does not report it either. */
		if (item->in_kernel) {
			struct epoll_event none = kernel_event(item, &item->event);

			none.events = EPOLLONESHOT;
			real()->epoll_ctl(call->fd, EPOLL_CTL_MOD, item->fd, &none);
		}
	} else if (!(item->event.events & EPOLLET)) {
		ready_add(item);
	}
	return true;
}

/* As the kernel: what is level-triggered goes to the end of the list, to be looked at again. */
static void collect_ours(struct epoll_call *call)
{
	struct epoll *epoll = call->epoll;
	struct item *last = NULL, *item;

	if (!epoll->ready || call->count == call->room)
		return;
	last = (struct item *)((char *)epoll->ready_tail - offsetof(struct item, ready_next));
	do {
		uint32_t events;

		item = epoll->ready;
		events = item_events(item);
		ready_remove(item);
		/* The kernel's half has told of it: ours will the next time. */
		if (events && item->key && item->told == epoll->calls)
			ready_add(item);
		else if (events && !report(call, item, events)) {
			ready_add(item);
			return;
		}
	} while (item != last && call->count < call->room && epoll->ready);
}

/*
 * EPOLLONESHOT, and the kernel's half has told of it: ours must not tell of it too. The kernel says
 * no more of the item than its data, which others may have as well, so it has to be ready there.
 */
static void spend(const struct epoll *epoll, const struct epoll_event *told)
{
	for (struct item *item = epoll->items; item; item = item->next) {
		struct pollfd kernel = {.fd = item->fd, .events = (short)item->event.events};

		if (item->in_kernel && !item->key && (item->event.events & EPOLLONESHOT) &&
		    item->event.data.u64 == told->data.u64 && real()->poll(&kernel, 1, 0) > 0)
			item->is_spent = true;
	}
}

/*
 * What the kernel's half tells of items with a key becomes the program's; ours may have told of them
 * already.
 */
static void merge(struct epoll_call *call, int ours, int got)
{
	struct epoll *epoll = call->epoll;

	for (int i = 0; i < got; i++) {
		struct epoll_event event = call->events[ours + i];
		struct item *item = key_find(epoll, event.data.u64);

		if (item && item->told == epoll->calls) {
			call->events[item->told_at].events |= event.events;
			continue;
		}
		if (item) {
			event.data = item->event.data;
			item->told = epoll->calls;
			item->told_at = call->count;
			item->is_spent |= (item->event.events & EPOLLONESHOT) != 0;
		}
		call->events[call->count++] = event;
	}
}

static void collect_kernels(struct epoll_call *call)
{
	struct epoll *epoll = call->epoll;
	int ours = call->count;
	int got;

	if (!epoll->has_kernel || ours == call->room)
		return;
	epoll->look_ns = engine.now_ns;
	got = real()->epoll_wait(call->fd, call->events + ours, call->room - ours, 0);
	if (got < 0 && errno == EFAULT)
		call->has_fault = true;
	epoll->kernel_is_busy = got > 0;
	if (got <= 0)
		return;
	for (int i = 0; i < got && epoll->has_once; i++)
		spend(epoll, &call->events[ours + i]);
	if (epoll->both)
		merge(call, ours, got);
	else
		call->count = ours + got;
}

static bool has_any(void *context)
{
	struct epoll_call *call = context;

	collect_ours(call);
	return call->count > 0 || call->has_fault;
}

/* What is ready now. While ours are busy the kernel is asked only from time to time. */
static void collect_both(struct epoll_call *call, bool at_once)
{
	struct epoll *epoll = call->epoll;
	bool is_due = epoll->kernel_is_busy || engine.now_ns - epoll->look_ns >= KERNEL_LOOK_NS;
	bool kernel_first = is_due && epoll->kernel_first;

	if (kernel_first)
		collect_kernels(call);
	collect_ours(call);
	if (!kernel_first && (is_due || (at_once && !call->count)))
		collect_kernels(call);
	if (is_due)
		epoll->kernel_first = !kernel_first && call->count == call->room;
}

/*
 * The runtime starts with the first wait for a socket of ours. Return: whether it could not; another
 * process may have the device, and let it go.
 */
static bool start_for(struct epoll *epoll)
{
	const struct item *item;

	if (engine.state != ENGINE_OFF)
		return false;
	for (item = epoll->items; item; item = item->next)
		if (item->watch.file->kind == FILE_SOCKET &&
		    socket_of(item->watch.file)->side >= SIDE_DEMI)
			break;
	return item && engine_start() != 0;
}

static int wait_for(struct epoll_call *call, uint64_t deadline_ns, const sigset_t *signals)
{
	struct pollfd kernel[1 + WAIT_EXTRA] = {{.fd = call->fd, .events = POLLIN}};
	struct waiter *self;
	struct wait wait = {.is_ready = has_any,
			    .context = call,
			    .deadline_ns = deadline_ns,
			    .kernel = kernel,
			    .kernel_count = call->epoll->has_kernel,
			    .signals = signals};
	bool starts_later = start_for(call->epoll);
	int outcome;

	call->epoll->calls++;
	engine_poll();
	collect_both(call, deadline_ns == 0);
	if (call->count || call->has_fault || deadline_ns == 0)
		return 0;
	self = waiter_begin(1);
	if (!self)
		return -ENOMEM;
	waiter_watch(self, &call->epoll->file);
	do {
		/* One of the kernel's may have been added by another thread. */
		wait.kernel_count = call->epoll->has_kernel;
		wait.deadline_ns = deadline_ns;
		if (starts_later && deadline_ns - engine.now_ns > START_AGAIN_NS)
			wait.deadline_ns = engine.now_ns + START_AGAIN_NS;
		outcome = engine_wait(self, &wait);
		collect_kernels(call);
		if (starts_later && outcome == -ETIMEDOUT) {
			starts_later = start_for(call->epoll);
			outcome = 0;
		}
		/* Another thread may have taken what woke us. */
	} while (outcome == 0 && !call->count && !call->has_fault &&
		 (deadline_ns == NEVER_NS || engine.now_ns < deadline_ns));
	waiter_end(self);
	return outcome == -EINTR && !call->count ? -EINTR : 0;
}

static int epoll_wait_until(int fd, struct epoll_event *events, int room, uint64_t deadline_ns,
			    const sigset_t *signals, struct file *file)
{
	struct epoll_call call = {
		.epoll = epoll_of(file), .fd = fd, .events = events, .room = room};
	int error = 0;

	if (file->kind != FILE_EPOLL || room <= 0 || room > EVENTS_MAX)
		error = -EINVAL;
	else
		error = wait_for(&call, deadline_ns, signals);
	if (!error && !call.count && call.has_fault)
		error = -EFAULT;
	file_leave(file);
	if (error == -EINTR)
		engine_cancellation_point();
	if (error) {
		errno = -error;
		return -1;
	}
	return call.count;
}

static uint64_t deadline_ms(int timeout_ms)
{
	if (timeout_ms < 0)
		return NEVER_NS;
	return timeout_ms ? clock_ns() + (uint64_t)timeout_ms * NS_PER_MS : 0;
}

EXPORT int epoll_wait(int fd, struct epoll_event *events, int room, int timeout_ms)
{
	struct file *file;

	engine_cancellation_point();
	file = file_enter(fd);
	if (!file)
		return real()->epoll_wait(fd, events, room, timeout_ms);
	return epoll_wait_until(fd, events, room, deadline_ms(timeout_ms), NULL, file);
}

/* A wait that cannot begin. */
static int refuse(struct file *file, int error)
{
	file_leave(file);
	errno = error;
	return -1;
}

EXPORT int epoll_pwait(int fd, struct epoll_event *events, int room, int timeout_ms,
		       const sigset_t *signals)
{
	struct file *file;
	sigset_t mask;

	engine_cancellation_point();
	file = file_enter(fd);
	if (!file)
		return real()->epoll_pwait(fd, events, room, timeout_ms, signals);
	if (!guard_copy_signals(&mask, &signals))
		return refuse(file, EFAULT);
	return epoll_wait_until(fd, events, room, deadline_ms(timeout_ms), signals, file);
}

EXPORT int epoll_pwait2(int fd, struct epoll_event *events, int room,
			const struct timespec *timeout, const sigset_t *signals)
{
	struct file *file;
	uint64_t deadline_ns = NEVER_NS;
	struct timespec copy = {.tv_sec = 0};
	sigset_t mask;

	engine_cancellation_point();
	file = file_enter(fd);
	if (!file)
		return real()->epoll_pwait2(fd, events, room, timeout, signals);
	if ((timeout && !guard_copy(&copy, timeout, sizeof(copy))) ||
	    !guard_copy_signals(&mask, &signals))
		return refuse(file, EFAULT);
	if (copy.tv_sec < 0 || copy.tv_nsec < 0 || copy.tv_nsec >= (long)NS_PER_S)
		return refuse(file, EINVAL);
	if (timeout) {
		deadline_ns = copy.tv_sec || copy.tv_nsec
				      ? clock_ns() + (uint64_t)copy.tv_sec * NS_PER_S +
						(uint64_t)copy.tv_nsec
				      : 0;
	}
	return epoll_wait_until(fd, events, room, deadline_ns, signals, file);
}

/* ---- Making one ---- */

static int enter_set(int fd)
{
	struct epoll *epoll;
	int error = -ENOMEM;

	if (fd < 0 || shim_is_inside || !engine_is_configured())
		return fd;
	engine_lock();
	epoll = epoll_new();
	if (epoll)
		error = file_add(fd, &epoll->file);
	if (epoll && error)
		epoll_end(epoll);
	engine_unlock();
	if (error) {
		real()->close(fd);
		errno = -error;
		return -1;
	}
	return fd;
}

EXPORT int epoll_create1(int flags)
{
	return enter_set(real()->epoll_create1(flags));
}

EXPORT int epoll_create(int size)
{
	return enter_set(real()->epoll_create(size));
}
