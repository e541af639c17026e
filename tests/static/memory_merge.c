// SPDX-License-Identifier: Apache-2.0
/* PR_SET_MEMORY_MERGE, and mappings whose advice differs from what it says; a child without it, one that has it back. */
#include "zdtm.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef PR_SET_MEMORY_MERGE
#define PR_SET_MEMORY_MERGE 67
#define PR_GET_MEMORY_MERGE 68
#endif

enum { SIZE = 16384 };

static stage_t *started;

static char *map(void)
{
	char *memory = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED || mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED)
		err_die("mmap");
	memset(memory, 'x', SIZE);
	return memory;
}

/* Whether the mapping at `memory` may be merged: "mg" in its VmFlags. */
static int may_be_merged(const char *memory)
{
	FILE *file = fopen("/proc/self/smaps", "re");
	unsigned long start, end;
	char line[4096];
	int here = 0, found = -1;

	while (file && found < 0 && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start <= (unsigned long)memory && (unsigned long)memory < end;
		else if (here && !strncmp(line, "VmFlags:", 8))
			found = strstr(line, " mg") != NULL;
	}
	if (found < 0)
		err_die("/proc/self/smaps");
	fclose(file);
	return found;
}

static int live(void *argument)
{
	bool all = argument != NULL;
	char *given = map(), *taken = map(), *plain = map();

	if (prctl(PR_SET_MEMORY_MERGE, (long)all, 0, 0, 0))
		err_die("PR_SET_MEMORY_MERGE");
	if (madvise(given, SIZE, MADV_MERGEABLE) || madvise(taken, SIZE, MADV_UNMERGEABLE))
		err_die("madvise");
	stage_step(started);
	test_wait();

	if (prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) != all)
		return fail("the mark is %d, not %d", prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0), all);
	if (!may_be_merged(given) || may_be_merged(taken) || may_be_merged(plain) != all)
		return fail("with the mark %d, these may be merged: %d %d %d", all, may_be_merged(given), may_be_merged(taken),
			    may_be_merged(plain));
	if (may_be_merged(map()) != all)
		return fail("new memory may%s be merged", all ? " not" : "");
	return 0;
}

int main(int argc, char **argv)
{
	pid_t children[2];
	int bad;

	test_init(argc, argv);
	if (prctl(PR_SET_MEMORY_MERGE, 1, 0, 0, 0))
		return skip("no PR_SET_MEMORY_MERGE here");
	started = stage_new();
	children[0] = test_fork(live, NULL);
	children[1] = test_fork(live, "");
	stage_wait(started, 2);

	test_ready();
	test_wait();

	bad = test_finish(children[0]) | test_finish(children[1]);
	if (prctl(PR_GET_MEMORY_MERGE, 0, 0, 0, 0) != 1)
		return fail("the parent's mark is gone");
	return bad ? 1 : pass();
}
