// SPDX-License-Identifier: Apache-2.0
/*
 * Locked memory: a region of its own, a locked part of another, a
 * locked file mapping; all resident, the rest not locked.
 */
#include "zdtm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

/* What smaps says of the mapping at `address`: whether VmFlags has "lo", and the kilobytes of "Locked:". */
static bool is_locked(const char *address, long *kilobytes)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	char line[1024];
	bool here = false, locked = false;
	unsigned long start, end;

	*kilobytes = -1;
	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)address && (uintptr_t)address < end;
		if (here)
			sscanf(line, "Locked: %ld kB", kilobytes);
		if (here && !strncmp(line, "VmFlags:", 8))
			locked = strstr(line, " lo") != NULL;
	}
	fclose(file);
	return locked;
}

static int check(const char *name, char *start, int pages, bool wanted)
{
	unsigned char resident[64];
	long kilobytes;

	if (is_locked(start, &kilobytes) != wanted)
		return fail("%s is%s locked", name, wanted ? " not" : "");
	if (kilobytes != (wanted ? pages * 4 : 0))
		return fail("%s: %ld of %d kB are locked", name, kilobytes, pages * 4);
	mincore(start, pages * PAGE, resident);
	for (int page = 0; wanted && page < pages; page++)
		if (!(resident[page] & 1))
			return fail("%s: page %d is not in memory", name, page);
	return 0;
}

int main(int argc, char **argv)
{
	char *region, *partly, *file;
	uint32_t sum;
	int bad = 0;

	test_init(argc, argv);
	region = mmap(NULL, 9 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0);
	partly = mmap(NULL, 30 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	sum = data_fill(partly, 30 * PAGE, test_random());
	file = mmap(NULL, 3 * PAGE, PROT_READ, MAP_PRIVATE, test_file("data", 3 * PAGE, 1), 0);
	if (region == MAP_FAILED || mlock(partly + 10 * PAGE, 5 * PAGE) || mlock(file, 3 * PAGE))
		err_die("mlock");

	test_ready();
	test_wait();

	bad |= check("the region", region, 9, true);
	bad |= check("before the locked part", partly, 10, false);
	bad |= check("the locked part", partly + 10 * PAGE, 5, true);
	bad |= check("after the locked part", partly + 15 * PAGE, 15, false);
	bad |= check("the file mapping", file, 3, true);
	if (!data_check(partly, 30 * PAGE, sum))
		bad = fail("the contents changed");
	return bad ? 1 : pass();
}
