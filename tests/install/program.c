/* SPDX-License-Identifier: MIT */
/* A user's program: one message through an in-memory queue. */
#include <stdio.h>
#include <string.h>

#include <demi/demi.h>

static int send_and_receive(int qd)
{
	demi_sgarray_t sga = demi_sgaalloc(5);
	demi_qresult_t qr;
	demi_qtoken_t qt;
	int err;

	if (!sga.sga_buf)
		return 1;
	memcpy(sga.sga_segs[0].sgaseg_buf, "hello", 5);

	err = demi_push(&qt, qd, &sga);
	if (!err)
		err = demi_wait(&qr, qt, NULL);
	if (!err)
		err = demi_pop(&qt, qd);
	if (!err)
		err = demi_wait(&qr, qt, NULL);
	if (!err && (qr.qr_opcode != DEMI_OPC_POP ||
		     memcmp(qr.qr_value.sga.sga_segs[0].sgaseg_buf, "hello", 5) != 0))
		err = 1;
	return err;
}

int main(void)
{
	int err, qd;

	err = demi_init(NULL);
	if (!err)
		err = demi_queue(&qd);
	if (!err)
		err = send_and_receive(qd);
	demi_fini();

	printf("%s\n", err ? strerror(err) : "hello");
	return err != 0;
}
