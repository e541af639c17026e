// SPDX-License-Identifier: Apache-2.0
/*
 * Memory rewritten all the time, page by page: each page holds one
 * generation as a whole, and the newest it was given.
 */
#include "zdtm.h"

#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 1500, WORDS = PAGE / 8 };

static uint64_t *memory;
static uint32_t generations[PAGES];       /* what the last complete write of each page was */

static uint64_t word(int page, uint32_t generation, int index)
{
	return ((uint64_t)generation << 32 | page) * 0x9e3779b97f4a7c15 + index;
}

static void fill(int page)
{
	uint32_t generation = generations[page] + 1;

	for (int i = 0; i < WORDS; i++)
		memory[page * WORDS + i] = word(page, generation, i);
	generations[page] = generation;
}

static int check(int page)
{
	for (int i = 0; i < WORDS; i++)
		if (memory[page * WORDS + i] != (generations[page] ? word(page, generations[page], i) : 0))
			return fail("page %d word %d is %lx in generation %u", page, i, memory[page * WORDS + i], generations[page]);
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t writes = 0;

	test_init(argc, argv);
	memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		err_die("mmap");
	test_ready();
	for (; test_running() || writes < PAGES; writes++) {
		fill(test_random() % PAGES);
		if (check(test_random() % PAGES))
			return 1;
	}
	for (int page = 0; page < PAGES; page++)
		if (check(page))
			return 1;
	note("%lu pages written", writes);
	return pass();
}
