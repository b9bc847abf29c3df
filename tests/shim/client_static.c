// SPDX-License-Identifier: MIT
/* A static program: nothing can be preloaded into it. */
int main(void)
{
	return 0;
}
