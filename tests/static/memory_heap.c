// SPDX-License-Identifier: Apache-2.0
/* The heap: the program break where it was, its contents, and malloc, brk up and brk down going on from there. */
#include "zdtm.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { BLOCKS = 1000 };

static struct block {
	char *memory;
	size_t size;
	uint32_t sum;
} blocks[BLOCKS];

int main(int argc, char **argv)
{
	char *end, *start;
	uint32_t sum;
	int bad = 0;

	test_init(argc, argv);
	for (int i = 0; i < BLOCKS; i++) {
		blocks[i].size = i * 13 % 4099 + 1;
		blocks[i].memory = malloc(blocks[i].size);
		blocks[i].sum = data_fill(blocks[i].memory, blocks[i].size, i);
	}
	for (int i = 0; i < BLOCKS; i += 3) {
		free(blocks[i].memory);
		blocks[i].memory = NULL;
	}
	start = sbrk(123457);                      /* the break is now inside a page */
	sum = data_fill(start, 123457, test_random());
	end = sbrk(0);

	test_ready();
	test_wait();

	if (sbrk(0) != end)
		bad = fail("the break is at %p, not at %p", sbrk(0), end);
	if (!data_check(start, 123457, sum))
		bad = fail("the memory below the break changed");
	if (sbrk(1 << 20) != end || memset(end, 1, 1 << 20) != end || sbrk(-(1 << 20)) != end + (1 << 20))
		bad = fail("the break cannot be moved");
	for (int i = 0; i < BLOCKS; i++) {
		if (blocks[i].memory && !data_check(blocks[i].memory, blocks[i].size, blocks[i].sum))
			bad = fail("block %d of %zu bytes changed", i, blocks[i].size);
		blocks[i].memory = realloc(blocks[i].memory, blocks[i].size * 2);
		memset(blocks[i].memory, 0, blocks[i].size * 2);
	}
	return bad ? 1 : pass();
}
