// SPDX-License-Identifier: Apache-2.0
/*
 * Deep recursion, up and down all the time, and a leaf function that keeps values below the stack pointer, in the red
 * zone that nobody else may touch.
 */
#include "zdtm.h"

enum { DEPTH = 2000 };

/* Writes known words from 8 to 128 bytes below the stack pointer, waits a little, and adds up what differs. */
static __attribute__((noinline)) uint64_t use_red_zone(uint64_t seed)
{
	uint64_t differences = 0, count = 16;

	asm volatile("1: mov %[seed], %%rax\n add %[count], %%rax\n"
		     "neg %[count]\n mov %%rax, (%%rsp, %[count], 8)\n neg %[count]\n"
		     "dec %[count]\n jnz 1b\n"
		     "mov $1000, %%ecx\n 2: dec %%ecx\n jnz 2b\n"
		     "mov $16, %[count]\n"
		     "3: mov %[seed], %%rax\n add %[count], %%rax\n"
		     "neg %[count]\n xor (%%rsp, %[count], 8), %%rax\n neg %[count]\n"
		     "or %%rax, %[differences]\n"
		     "dec %[count]\n jnz 3b\n"
		     : [differences] "+r"(differences), [count] "+r"(count) : [seed] "r"(seed) : "rax", "rcx", "memory", "cc");
	return differences;
}

static __attribute__((noinline)) int descend(int depth, uint64_t seed)
{
	volatile uint64_t local[7];
	int bad = 0;

	for (int i = 0; i < 7; i++)
		local[i] = seed * (i + depth);
	if (depth < DEPTH)
		bad = descend(depth + 1, seed);
	else if (use_red_zone(seed))
		bad = fail("the red zone changed");
	for (int i = 0; i < 7; i++)
		if (local[i] != seed * (i + depth))
			bad = fail("a variable at depth %d is %lx, not %lx", depth, local[i], seed * (i + depth));
	return bad;
}

int main(int argc, char **argv)
{
	uint64_t rounds = 0;

	test_init(argc, argv);
	test_ready();
	for (; test_running() || rounds < 10; rounds++) {
		if (descend(0, test_random()))
			return 1;
		for (int i = 0; i < 100; i++)
			if (use_red_zone(test_random()))
				return fail("the red zone changed in round %lu", rounds);
	}
	note("%lu rounds", rounds);
	return pass();
}
