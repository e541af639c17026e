// SPDX-License-Identifier: Apache-2.0
/*
 * Memory whose pages are locked when they are touched (MLOCK_ONFAULT):
 * those that were not stay out of memory.
 */
#include "zdtm.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 1000, TOUCHED = 5 };

static int resident(char *start)
{
	unsigned char found[PAGES];
	int i, count = 0;

	if (mincore(start, PAGES * PAGE, found))
		err_die("mincore");
	for (i = 0; i < PAGES; i++)
		count += found[i] & 1;
	return count;
}

int main(int argc, char **argv)
{
	char *region;

	test_init(argc, argv);
	region = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED || madvise(region, PAGES * PAGE, MADV_NOHUGEPAGE) ||
	    mlock2(region, PAGES * PAGE, MLOCK_ONFAULT))
		err_die("mlock2");
	memset(region + 10 * PAGE, 1, TOUCHED * PAGE);

	test_ready();
	test_wait();

	if (resident(region) != TOUCHED)
		return fail("%d pages are in memory, not %d", resident(region), TOUCHED);
	return pass();
}
