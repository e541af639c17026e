// SPDX-License-Identifier: Apache-2.0
/* A task that never leaves user space goes on computing: the registers hold a sequence that must not skip a beat. */
#include "zdtm.h"

static uint64_t step(uint64_t state)
{
	return state * 6364136223846793005u + 1442695040888963407u;
}

int main(int argc, char **argv)
{
	uint64_t forward = 1, count = 0, again = 1;

	test_init(argc, argv);
	test_ready();
	for (; test_running() || count < 1000; count++)
		forward = step(forward);
	note("%lu steps", count);
	for (uint64_t i = 0; i < count; i++)
		again = step(again);
	if (forward != again)
		return fail("after %lu steps the state is %lx, not %lx", count, forward, again);
	return pass();
}
