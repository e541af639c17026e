// SPDX-License-Identifier: Apache-2.0
/*
 * mlockall(2) locks everything, also mappings whose pages nobody may
 * touch and those that reach beyond the end of their file.
 */
#include "zdtm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };

/* Whether VmFlags of the mapping at `address` has "lo". */
static bool is_locked(const char *address)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	char line[1024];
	bool here = false, locked = false;
	unsigned long start, end;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (uintptr_t)address && (uintptr_t)address < end;
		if (here && !strncmp(line, "VmFlags:", 8))
			locked = strstr(line, " lo") != NULL;
	}
	fclose(file);
	return locked;
}

int main(int argc, char **argv)
{
	char *closed, *beyond;
	int variable;

	test_init(argc, argv);
	closed = mmap(NULL, 5 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	beyond = mmap(NULL, 7 * PAGE, PROT_READ, MAP_SHARED, test_file("short", PAGE, 1), 0);
	if (closed == MAP_FAILED || beyond == MAP_FAILED || mlockall(MCL_CURRENT))
		err_die("mlockall");

	test_ready();
	test_wait();

	if (!is_locked(closed))
		return fail("the mapping without permissions is not locked");
	if (!is_locked(beyond))
		return fail("the mapping beyond the end of its file is not locked");
	if (!is_locked((char *)&variable))
		return fail("the stack is not locked");
	return pass();
}
