// SPDX-License-Identifier: MIT
/*
 * push-records - appends records to a log of the block device, past the shim: what a program leaves that
 * ends in the middle of something, or one that is not of the shim's kind.
 *
 * usage: push-records NAME RECORD...
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include <demi/demi.h>

static int push(int qd, char *record)
{
	demi_sgarray_t sga = {.sga_numsegs = 1, .sga_segs = {{record, (uint32_t)strlen(record)}}};
	demi_qtoken_t qt;
	demi_qresult_t result;
	int error = demi_push(&qt, qd, &sga);

	if (!error)
		error = demi_wait(&result, qt, NULL);
	return error ? error : (int)result.qr_ret;
}

int main(int count, char **words)
{
	int error = count < 3 ? EINVAL : demi_init(NULL), qd = -1;

	if (!error)
		error = demi_open(&qd, words[1], O_WRONLY | O_CREAT, 0);
	for (int i = 2; i < count && !error; i++)
		error = push(qd, words[i]);
	if (error)
		fprintf(stderr, "push-records: %s\n", strerror(error));
	else
		error = demi_close(qd);
	demi_fini();
	return error != 0;
}
