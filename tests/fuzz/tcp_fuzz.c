/* SPDX-License-Identifier: MIT */
/*
 * libFuzzer entry for TCP: header and options that are taken and emitted again are understood the
 * same way, but for blocks of SACK for which there is no room left.
 */
#include "wire_fuzz.h"

#include "wire/tcp.h"

static void check_options(const struct tcp_options *options, const struct tcp_header *header)
{
	uint8_t bytes[TCP_HEADER_BYTES_MAX];
	struct tcp_header header_again;
	struct tcp_options again;
	int length = tcp_emit(bytes, sizeof(bytes), header, options);

	must(options->sack_count <= TCP_SACK_BLOCKS_MAX);
	must(!options->has_window_shift || options->window_shift <= TCP_WINDOW_SHIFT_MAX);
	must(length == (int)(TCP_HEADER_BYTES + tcp_options_bytes(options)));
	must(tcp_parse(&header_again, bytes, (size_t)length) == length);
	must(!tcp_options_parse(&again, &header_again, bytes));
	must(again.has_mss == options->has_mss && again.sack_permitted == options->sack_permitted);
	must(again.has_window_shift == options->has_window_shift);
	must(again.has_timestamp == options->has_timestamp);
	must(!again.has_mss || again.mss == options->mss);
	must(!again.has_window_shift || again.window_shift == options->window_shift);
	must(!again.has_timestamp || (again.timestamp == options->timestamp &&
				      again.timestamp_echo == options->timestamp_echo));
	must(again.sack_count <= options->sack_count);
	must(!memcmp(again.sack, options->sack, again.sack_count * sizeof(again.sack[0])));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[TCP_HEADER_BYTES];
	struct tcp_header header;
	struct tcp_options options;
	int result;

	result = checked(tcp_parse(&header, data, size), size);
	if (result < 0)
		return 0;
	must(result == header.header_bytes && result >= TCP_HEADER_BYTES);
	must(tcp_emit(again, sizeof(again), &header, NULL) == TCP_HEADER_BYTES);
	/* Without its length and the reserved bits beside. */
	must(!memcmp(again, data, 12) && !memcmp(again + 13, data + 13, TCP_HEADER_BYTES - 13));
	if (checked(tcp_options_parse(&options, &header, data), size) == 0)
		check_options(&options, &header);
	return 0;
}
