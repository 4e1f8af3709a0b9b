/* SPDX-License-Identifier: MIT */
/* Linked statically: no loader, so nothing can be preloaded. */
int main(void)
{
	return 0;
}
