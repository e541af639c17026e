// SPDX-License-Identifier: Apache-2.0
/* Sixty-four megabytes that cannot be compressed, in one mapping; each word is known from its place. */
#include "zdtm.h"

#include <sys/mman.h>

enum { WORDS = 64 << 17 };

static uint64_t word_at(uint64_t place, uint64_t seed)
{
	place = (place + seed) * 0x9e3779b97f4a7c15;
	return place ^ place >> 29;
}

int main(int argc, char **argv)
{
	uint64_t *words, seed;

	test_init(argc, argv);
	seed = test_random();
	words = mmap(NULL, WORDS * 8ul, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED)
		err_die("mmap");
	for (uint64_t i = 0; i < WORDS; i++)
		words[i] = word_at(i, seed);

	test_ready();
	test_wait();

	for (uint64_t i = 0; i < WORDS; i++)
		if (words[i] != word_at(i, seed))
			return fail("word %lu is %016lx, not %016lx", i, words[i], word_at(i, seed));
	return pass();
}
