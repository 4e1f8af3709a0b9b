/* SPDX-License-Identifier: MIT */
/*
 * What is in a log, for tests: log-records NAME writes each record to standard output, its length in
 * front, as 4 bytes, the lowest first. LIBOS and DEMI_BLK_DEV say where.
 */
#include <demi/demi.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int complain(const char *what, int error)
{
	fprintf(stderr, "log-records: %s: %s\n", what, strerror(error));
	return EXIT_FAILURE;
}

/* Return: a positive errno. */
static int write_record(int qd)
{
	const demi_sgaseg_t *segment;
	unsigned char length[4];
	demi_qresult_t result;
	demi_qtoken_t token;
	int error = demi_pop(&token, qd);

	if (!error)
		error = demi_wait(&result, token, NULL);
	if (!error)
		error = (int)result.qr_ret;
	if (error)
		return error;
	segment = &result.qr_value.sga.sga_segs[0];
	for (unsigned int i = 0; i < sizeof(length); i++)
		length[i] = (unsigned char)(segment->sgaseg_len >> (8 * i));
	fwrite(length, 1, sizeof(length), stdout);
	fwrite(segment->sgaseg_buf, 1, segment->sgaseg_len, stdout);
	return demi_sgafree(&result.qr_value.sga);
}

int main(int argc, char **argv)
{
	int64_t record = 0, end = 0;
	int qd = -1, error;

	if (argc != 2) {
		fprintf(stderr, "usage: log-records NAME\n");
		return 2;
	}
	error = demi_init(NULL);
	if (error)
		return complain("start", error);
	error = demi_open(&qd, argv[1], O_RDONLY, 0);
	if (!error)
		error = demi_seek(qd, 0, SEEK_CUR, &record);
	if (!error)
		error = demi_seek(qd, 0, SEEK_END, &end);
	if (!error)
		error = demi_seek(qd, record, SEEK_SET, NULL);
	for (; !error && record < end; record++)
		error = write_record(qd);
	demi_fini();
	if (error)
		return complain(argv[1], error);
	return fflush(stdout) ? complain("standard output", EIO) : EXIT_SUCCESS;
}
