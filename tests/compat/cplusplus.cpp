// SPDX-License-Identifier: MIT
// The headers in C++: every call through a table of function pointers, whose types are spelt out
// here, so that a prototype which changes does not compile.

#include <demi/cc.h>
#include <demi/file.h>
#include <demi/heap.h>
#include <demi/libos.h>
#include <demi/queue.h>
#include <demi/sga.h>
#include <demi/types.h>
#include <demi/wait.h>

#include <demi/demi.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <type_traits>
#include <unistd.h>

namespace
{

const struct {
	int (*init)(const struct demi_args *);
	void (*fini)();
	int (*socket)(int *, int, int, int);
	int (*bind)(int, const struct sockaddr *, socklen_t);
	int (*listen)(int, int);
	int (*accept)(demi_qtoken_t *, int);
	int (*connect)(demi_qtoken_t *, int, const struct sockaddr *, socklen_t);
	int (*close)(int);
	int (*aclose)(demi_qtoken_t *, int);
	int (*shutdown)(int, int);
	int (*push)(demi_qtoken_t *, int, const demi_sgarray_t *);
	int (*pushto)(demi_qtoken_t *, int, const demi_sgarray_t *, const struct sockaddr *,
		      socklen_t);
	int (*pop)(demi_qtoken_t *, int);
	int (*cancel)(demi_qtoken_t);
	int (*setsockopt)(int, int, int, const void *, socklen_t);
	int (*getsockopt)(int, int, int, void *, socklen_t *);
	int (*getpeername)(int, struct sockaddr *, socklen_t *);
	int (*getsockname)(int, struct sockaddr *, socklen_t *);
	demi_sgarray_t (*sgaalloc)(size_t);
	int (*sgafree)(demi_sgarray_t *);
	int (*sgaaddr)(const demi_sgarray_t *, struct sockaddr *, socklen_t *);
	int (*wait)(demi_qresult_t *, demi_qtoken_t, const struct timespec *);
	int (*wait_any)(demi_qresult_t *, int *, const demi_qtoken_t *, int,
			const struct timespec *);
	int (*wait_all)(demi_qresult_t *, const demi_qtoken_t *, int, const struct timespec *);
	int (*wait_next_n)(demi_qresult_t *, int, int *, const struct timespec *);
	int (*queue)(int *);
	int (*open)(int *, const char *, int, mode_t);
	int (*creat)(int *, const char *, mode_t);
	int (*seek)(int, int64_t, int, int64_t *);
	int (*truncate)(int, int64_t);
	int (*rename)(const char *, const char *);
	int (*unlink)(const char *);
	void *(*malloc)(size_t);
	void *(*calloc)(size_t, size_t);
	void *(*realloc)(void *, size_t);
	void *(*memalign)(size_t, size_t);
	void (*free)(void *);
} demi = {
	demi_init,       demi_fini,        demi_socket,      demi_bind,     demi_listen,
	demi_accept,     demi_connect,     demi_close,       demi_aclose,   demi_shutdown,
	demi_push,       demi_pushto,      demi_pop,         demi_cancel,   demi_setsockopt,
	demi_getsockopt, demi_getpeername, demi_getsockname, demi_sgaalloc, demi_sgafree,
	demi_sgaaddr,    demi_wait,        demi_wait_any,    demi_wait_all, demi_wait_next_n,
	demi_queue,      demi_open,        demi_creat,       demi_seek,     demi_truncate,
	demi_rename,     demi_unlink,      demi_malloc,      demi_calloc,   demi_realloc,
	demi_memalign,   demi_free,
};

static_assert(std::is_trivially_copyable<demi_qresult_t>::value, "results are copied");
static_assert(sizeof(demi_sgarray_t) == sizeof(void *) + 4 + 8 * sizeof(demi_sgaseg_t) + 16,
	      "the same layout as in C");

int failures;

void expect(bool condition, const char *what)
{
	if (condition)
		return;
	std::fprintf(stderr, "FAIL %s\n", what);
	failures++;
}

#define EXPECT(condition) expect((condition), #condition)

const struct timespec ten_seconds = {10, 0};
const struct timespec no_time = {0, 0};

void sockets()
{
	struct sockaddr_in address = {};
	socklen_t size = sizeof(address);
	demi_qtoken_t tokens[2] = {};
	demi_qresult_t results[2] = {};
	int listener = -1, client = -1, server, value = 1;
	auto *any = reinterpret_cast<struct sockaddr *>(&address);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	EXPECT(demi.socket(&listener, AF_INET, SOCK_STREAM, 0) == 0);
	EXPECT(demi.setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)) == 0);
	EXPECT(demi.bind(listener, any, sizeof(address)) == 0);
	EXPECT(demi.getsockname(listener, any, &size) == 0);
	EXPECT(demi.listen(listener, 4) == 0);
	EXPECT(demi.socket(&client, AF_INET, SOCK_STREAM, 0) == 0);
	EXPECT(demi.accept(&tokens[0], listener) == 0);
	EXPECT(demi.connect(&tokens[1], client, any, sizeof(address)) == 0);
	EXPECT(demi.wait_all(results, tokens, 2, &ten_seconds) == 0);
	EXPECT(results[0].qr_opcode == DEMI_OPC_ACCEPT);
	EXPECT(results[1].qr_opcode == DEMI_OPC_CONNECT);
	server = results[0].qr_value.ares.qd;

	demi_sgarray_t sga = demi.sgaalloc(5);
	EXPECT(sga.sga_numsegs == 1);
	std::memcpy(sga.sga_segs[0].sgaseg_buf, "hello", 5);
	EXPECT(demi.push(&tokens[0], client, &sga) == 0);
	EXPECT(demi.sgafree(&sga) == 0);
	EXPECT(demi.pop(&tokens[1], server) == 0);
	EXPECT(demi.wait(&results[0], tokens[0], &ten_seconds) == 0);
	EXPECT(results[0].qr_opcode == DEMI_OPC_PUSH);
	int offset = -1;
	EXPECT(demi.wait_any(&results[1], &offset, &tokens[1], 1, &ten_seconds) == 0);
	EXPECT(offset == 0 && results[1].qr_opcode == DEMI_OPC_POP);
	EXPECT(demi.sgafree(&results[1].qr_value.sga) == 0);

	size = sizeof(value);
	EXPECT(demi.getsockopt(client, SOL_SOCKET, SO_TYPE, &value, &size) == 0);
	EXPECT(value == SOCK_STREAM);
	size = sizeof(address);
	EXPECT(demi.getpeername(client, any, &size) == 0);
	EXPECT(demi.shutdown(client, SHUT_WR) == 0);
	EXPECT(demi.pop(&tokens[0], client) == 0);
	EXPECT(demi.cancel(tokens[0]) == 0);
	int count = -1;
	EXPECT(demi.wait_next_n(results, 2, &count, &ten_seconds) == 0);
	EXPECT(count == 1 && results[0].qr_opcode == DEMI_OPC_FAILED);
	EXPECT(results[0].qr_ret == ECANCELED);
	EXPECT(demi.aclose(&tokens[0], client) == 0);
	EXPECT(demi.wait(&results[0], tokens[0], &ten_seconds) == 0);
	EXPECT(demi.close(server) == 0);
	EXPECT(demi.close(listener) == 0);
}

void datagrams()
{
	struct sockaddr_in address = {};
	struct sockaddr_storage source = {};
	socklen_t size = sizeof(address);
	demi_qtoken_t token = 0;
	demi_qresult_t result = {};
	int socket = -1;
	auto *any = reinterpret_cast<struct sockaddr *>(&address);

	address.sin_family = AF_INET;
	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	EXPECT(demi.socket(&socket, AF_INET, SOCK_DGRAM, 0) == 0);
	EXPECT(demi.bind(socket, any, sizeof(address)) == 0);
	EXPECT(demi.getsockname(socket, any, &size) == 0);
	demi_sgarray_t sga = demi.sgaalloc(5);
	EXPECT(demi.pushto(&token, socket, &sga, any, sizeof(address)) == 0);
	EXPECT(demi.wait(&result, token, &ten_seconds) == 0);
	EXPECT(demi.sgafree(&sga) == 0);
	EXPECT(demi.pop(&token, socket) == 0);
	EXPECT(demi.wait(&result, token, &ten_seconds) == 0);
	size = sizeof(source);
	EXPECT(demi.sgaaddr(&result.qr_value.sga, reinterpret_cast<struct sockaddr *>(&source),
			    &size) == 0);
	EXPECT(size == sizeof(address) && std::memcmp(&source, &address, 8) == 0);
	EXPECT(demi.sgafree(&result.qr_value.sga) == 0);
}

void queues_and_heap()
{
	demi_qtoken_t token = 0;
	demi_qresult_t result = {};
	int queue = -1;

	EXPECT(demi.queue(&queue) == 0);
	EXPECT(demi.pop(&token, queue) == 0);
	EXPECT(demi.wait(&result, token, &no_time) == ETIMEDOUT);
	EXPECT(demi.close(queue) == 0);
	void *object = demi.malloc(10);
	EXPECT(object != nullptr);
	object = demi.realloc(object, 1000);
	EXPECT(object != nullptr);
	demi.free(object);
	object = demi.calloc(10, 10);
	EXPECT(object != nullptr);
	demi.free(object);
	object = demi.memalign(64, 10);
	EXPECT(object != nullptr);
	demi.free(object);
}

void files()
{
	char path[] = "/tmp/demi-cplusplus.XXXXXX";
	int kernel = mkstemp(path), file = -1;
	int64_t position = -1;

	EXPECT(kernel >= 0);
	close(kernel);
	int error = demi.open(&file, path, O_RDWR, 0);
	if (error == 0) {
		EXPECT(demi.seek(file, 0, SEEK_END, &position) == 0 && position == 0);
		EXPECT(demi.truncate(file, 0) == 0);
		EXPECT(demi.close(file) == 0);
		EXPECT(demi.creat(&file, path, 0600) == 0);
		EXPECT(demi.close(file) == 0);
	} else {
		EXPECT(error == EOPNOTSUPP);
		EXPECT(demi.creat(&file, path, 0600) == EOPNOTSUPP);
		EXPECT(demi.seek(-1, 0, SEEK_END, &position) != 0);
		EXPECT(demi.truncate(-1, 0) != 0);
	}
	unlink(path);
}

} // namespace

int main(int argc, char **argv)
{
	struct demi_args args = {argc, argv, nullptr};

	EXPECT(demi.init(&args) == 0);
	sockets();
	datagrams();
	queues_and_heap();
	files();
	demi.fini();
	return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
