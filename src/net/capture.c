/* SPDX-License-Identifier: MIT */
#include "net/capture.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "wire/pcapng.h"

#define BUFFER_BYTES ((size_t)256 << 10)
#define FLUSH_NS UINT64_C(100000000)

/* A frame in one piece. */
struct piece {
	const void *data;
	size_t captured_bytes;
	uint32_t wire_bytes;
};

struct capture {
	int file; /* -1 after an error: nothing is captured any more */
	size_t used;
	uint64_t written;   /* bytes of the file that are whole blocks */
	uint64_t oldest_ns; /* of what waits in the buffer, when there is something */
	uint64_t unix_ns_at_zero;
	struct piece kept; /* data NULL: none */
	char path[256];
	unsigned char buffer[BUFFER_BYTES];
	unsigned char kept_data[CAPTURE_FRAME_BYTES_MAX];
	unsigned char gathered[CAPTURE_FRAME_BYTES_MAX];
};

static int write_all(int file, const unsigned char *data, size_t length)
{
	while (length > 0) {
		ssize_t written = write(file, data, length);

		if (written < 0 && errno == EINTR)
			continue;
		if (written < 0)
			return -errno;
		data += written;
		length -= (size_t)written;
	}
	return 0;
}

/* Ends the capture; what was written in part is no block and goes, where the file lets it. */
static void capture_stop(struct capture *capture)
{
	int ignored = ftruncate(capture->file, (off_t)capture->written);

	(void)ignored;
	close(capture->file);
	capture->file = -1;
	capture->used = 0;
}

static int capture_write(struct capture *capture)
{
	int error;

	if (capture->file < 0 || capture->used == 0)
		return 0;
	error = write_all(capture->file, capture->buffer, capture->used);
	if (error) {
		log_error("net.pcap: writing %s: %s; the capture ends here, make room and start "
			  "again",
			  capture->path, strerror(-error));
		capture_stop(capture);
		return error;
	}
	capture->written += capture->used;
	capture->used = 0;
	return 0;
}

/* ---- Open and close ---- */

static int file_open(const char *path)
{
	/* Without blocking on a pipe that nobody reads. */
	int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NONBLOCK, 0600);
	struct stat status;

	if (file < 0) {
		int error = -errno;

		log_error("net.pcap: %s: %s; give a file that can be written", path,
			  strerror(-error));
		return error;
	}
	if (fstat(file, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode))) {
		log_error("net.pcap: %s is a pipe, whose reader could stop the stack; give a file, "
			  "which can be read while it grows",
			  path);
		close(file);
		return -EINVAL;
	}
	return file;
}

int capture_open(struct capture **capture_out, const char *path, const char *device_name,
		 uint64_t unix_ns_at_zero)
{
	struct capture *capture;
	int error, file = file_open(path);

	if (file < 0)
		return file;
	capture = malloc(sizeof(*capture));
	if (!capture) {
		log_error("net.pcap: no memory to capture to %s", path);
		close(file);
		return -ENOMEM;
	}
	capture->file = file;
	capture->written = 0;
	capture->unix_ns_at_zero = unix_ns_at_zero;
	capture->kept = (struct piece){0};
	snprintf(capture->path, sizeof(capture->path), "%s", path);
	capture->used = (size_t)pcapng_section(capture->buffer, BUFFER_BYTES);
	capture->used += (size_t)pcapng_interface(capture->buffer + capture->used,
						  BUFFER_BYTES - capture->used, device_name,
						  CAPTURE_FRAME_BYTES_MAX);
	/* So that a file that cannot be written is found now. */
	error = capture_write(capture);
	if (error) {
		free(capture);
		return error;
	}
	*capture_out = capture;
	return 0;
}

void capture_forget(struct capture *capture)
{
	if (capture->file >= 0)
		close(capture->file);
	free(capture);
}

void capture_close(struct capture *capture)
{
	if (!capture)
		return;
	capture_write(capture);
	capture_forget(capture);
}

/* ---- Frames ---- */

static void packet_add(struct capture *capture, uint64_t now_ns, const struct piece *piece,
		       const char *comment, enum pcapng_direction direction)
{
	struct pcapng_packet packet = {
		.wire_bytes = piece->wire_bytes,
		.time_ns = now_ns + capture->unix_ns_at_zero,
		.data = piece->data,
		.captured_bytes = piece->captured_bytes,
		.comment = comment,
		.direction = direction,
	};
	int length;

	if (BUFFER_BYTES - capture->used < piece->captured_bytes + PCAPNG_PACKET_OVERHEAD_BYTES)
		capture_write(capture);
	if (capture->file < 0)
		return;
	length = pcapng_packet(capture->buffer + capture->used, BUFFER_BYTES - capture->used,
			       &packet);
	if (length < 0)
		return;
	if (capture->used == 0)
		capture->oldest_ns = now_ns;
	capture->used += (size_t)length;
}

/* As much of a chain as there is room for, CAPTURE_FRAME_BYTES_MAX bytes; its length is the whole. */
static struct piece chain_copy(unsigned char *room, const struct buf *frame)
{
	struct piece piece = {.data = room};

	for (; frame; frame = frame->next) {
		size_t length = CAPTURE_FRAME_BYTES_MAX - piece.captured_bytes;

		if (length > frame->length)
			length = frame->length;
		if (length)
			memcpy(room + piece.captured_bytes, frame->data, length);
		piece.captured_bytes += length;
		piece.wire_bytes += frame->length;
	}
	return piece;
}

void capture_keep(struct capture *capture, const struct buf *frame)
{
	if (capture->file >= 0)
		capture->kept = chain_copy(capture->kept_data, frame);
}

void capture_received(struct capture *capture, uint64_t now_ns, const char *comment)
{
	if (capture->file < 0 || !capture->kept.data)
		return;
	packet_add(capture, now_ns, &capture->kept, comment, PCAPNG_INBOUND);
	capture->kept.data = NULL;
}

void capture_sent(struct capture *capture, uint64_t now_ns, const struct buf *frame,
		  const char *comment)
{
	struct piece piece;

	if (capture->file < 0)
		return;
	piece = chain_copy(capture->gathered, frame);
	packet_add(capture, now_ns, &piece, comment, PCAPNG_OUTBOUND);
}

void capture_flush(struct capture *capture, uint64_t now_ns)
{
	if (capture->used > 0 && (now_ns == UINT64_MAX || now_ns >= capture->oldest_ns + FLUSH_NS))
		capture_write(capture);
}
