// SPDX-License-Identifier: Apache-2.0
/*
 * Private anonymous memory of odd sizes and patterns: every page,
 * every second one, only the last, none; read only too.
 */
#include "zdtm.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, REGIONS = 24 };

static struct region {
	char *start;
	size_t pages, step, offset;    /* pages offset, offset + step, ... hold data, the others zeros */
	uint32_t seed;
} regions[REGIONS];

static void make(struct region *region, size_t number)
{
	static const size_t steps[] = { 1, 2, 3, 7, 1000000 };

	region->pages = number * number * 3 + 1;
	region->step = steps[number % 5];
	region->offset = number % 4 == 3 ? region->pages - 1 : number % region->pages;
	region->seed = test_random();
	region->start = mmap(NULL, region->pages * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region->start == MAP_FAILED)
		err_die("mmap of %zu pages", region->pages);
	for (size_t page = region->offset; page < region->pages; page += region->step)
		data_fill(region->start + page * PAGE, PAGE, region->seed + page);
	if (number % 6 == 5 && mprotect(region->start, region->pages * PAGE, PROT_READ))
		err_die("mprotect");
}

static int check(const struct region *region)
{
	char wanted[PAGE];

	for (size_t page = 0; page < region->pages; page++) {
		bool filled = page >= region->offset && (page - region->offset) % region->step == 0;

		memset(wanted, 0, PAGE);
		if (filled)
			data_fill(wanted, PAGE, region->seed + page);
		if (memcmp(region->start + page * PAGE, wanted, PAGE))
			return fail("page %zu of %zu at %p, %s, changed", page, region->pages, region->start, filled ? "filled" : "empty");
	}
	return 0;
}

int main(int argc, char **argv)
{
	int bad = 0;

	test_init(argc, argv);
	for (size_t i = 0; i < REGIONS; i++)
		make(&regions[i], i);

	test_ready();
	test_wait();

	for (size_t i = 0; i < REGIONS; i++)
		bad |= check(&regions[i]);
	return bad ? 1 : pass();
}
