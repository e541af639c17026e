// SPDX-License-Identifier: Apache-2.0
/*
 * Memory that was only read costs nothing, and memory given back is empty: afterwards it is still zero, and still no
 * page of its own.  Pages that hold nothing but zeros stay zero too.
 */
#include "zdtm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 20000 };

static char *map(void)
{
	char *start = mmap(NULL, (PAGES + 1ul) * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED || mprotect(start + PAGES * PAGE, PAGE, PROT_NONE))     /* a fence to the next one */
		err_die("mmap or mprotect");
	madvise(start, PAGES * PAGE, MADV_NOHUGEPAGE);
	return start;
}

/* Kilobytes of anonymous pages that smaps counts for the mapping at `start`; -1 without such a mapping. */
static long anonymous_at(const char *start)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	unsigned long address, end;
	char line[1024];
	bool here = false;
	long kilobytes = -1;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &address, &end) == 2)
			here = address == (uintptr_t)start;
		if (here)
			sscanf(line, "Anonymous: %ld kB", &kilobytes);
	}
	fclose(file);
	return kilobytes;
}

static bool is_zero(const char *start)
{
	return start[0] == 0 && !memcmp(start, start + 1, PAGES * PAGE - 1);
}

int main(int argc, char **argv)
{
	char *read_only, *given_back, *zeros;
	int bad = 0;

	test_init(argc, argv);
	read_only = map();
	given_back = map();
	zeros = map();
	if (!is_zero(read_only))
		err_die("new memory is not zero");
	memset(given_back, 0xa5, PAGES * PAGE);
	memset(zeros, 0, PAGES * PAGE);
	if (madvise(given_back, PAGES * PAGE, MADV_DONTNEED))
		err_die("madvise");

	test_ready();
	test_wait();

	if (anonymous_at(given_back) != 0)
		bad = fail("memory given back takes %ld kB", anonymous_at(given_back));
	if (!is_zero(read_only) || !is_zero(given_back) || !is_zero(zeros))
		bad = fail("the memory is not zero");
	if (anonymous_at(read_only) != 0)
		bad = fail("memory that was only read takes %ld kB", anonymous_at(read_only));
	return bad ? 1 : pass();
}
