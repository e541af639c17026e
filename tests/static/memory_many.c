// SPDX-License-Identifier: Apache-2.0
/*
 * Three thousand mappings of one page each, with contents, neighbours
 * with different protection, every tenth unmapped.
 */
#include "zdtm.h"

#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 3000 };

static bool is_hole(int page)
{
	return page % 10 == 9;
}

static bool is_mapped(char *address)
{
	unsigned char resident;

	return mincore(address, PAGE, &resident) == 0;
}

int main(int argc, char **argv)
{
	static uint32_t numbers[PAGES];
	char *start;
	int bad = 0;

	test_init(argc, argv);
	start = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (int page = 0; page < PAGES; page++) {
		numbers[page] = test_random();
		*(uint32_t *)(start + page * PAGE + page % 1000 * 4) = numbers[page];
		if (is_hole(page) ? munmap(start + page * PAGE, PAGE)
				  : mprotect(start + page * PAGE, PAGE, page % 2 ? PROT_READ : PROT_READ | PROT_WRITE))
			err_die("munmap or mprotect of page %d", page);
	}

	test_ready();
	test_wait();

	for (int page = 0; page < PAGES && !bad; page++) {
		if (is_mapped(start + page * PAGE) == is_hole(page))
			bad = fail("page %d is%s mapped", page, is_hole(page) ? "" : " not");
		else if (!is_hole(page) && *(uint32_t *)(start + page * PAGE + page % 1000 * 4) != numbers[page])
			bad = fail("page %d changed", page);
		if (!is_hole(page) && page % 2 && !bad && pipe((int *)(start + page * PAGE)) == 0)
			bad = fail("page %d became writable", page);
	}
	return bad ? 1 : pass();
}
