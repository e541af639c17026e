// SPDX-License-Identifier: Apache-2.0
/* Advice of madvise(2) that stays with a mapping, one mapping each; a child shows what is copied and what is wiped. */
#include "zdtm.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PAGES = 4, KINDS = 8 };

static const struct {
	const char *flag; /* in VmFlags of smaps */
	int advice;
} kinds[KINDS] = {
	{ "sr", MADV_SEQUENTIAL }, { "rr", MADV_RANDOM }, { "dc", MADV_DONTFORK }, { "dd", MADV_DONTDUMP },
	{ "mg", MADV_MERGEABLE }, { "hg", MADV_HUGEPAGE }, { "nh", MADV_NOHUGEPAGE }, { "wf", MADV_WIPEONFORK },
};

static char *start[KINDS];

/* Whether smaps has the flag for the mapping at `address`. */
static bool has_flag(const char *address, const char *flag)
{
	FILE *file = fopen("/proc/self/smaps", "r");
	char line[1024];
	bool here = false, found = false;
	unsigned long from, to;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%lx-%lx ", &from, &to) == 2)
			here = from <= (uintptr_t)address && (uintptr_t)address < to;
		if (here && !strncmp(line, "VmFlags:", 8))
			for (char *word = strtok(line, " \n"); word; word = strtok(NULL, " \n"))
				found |= !strcmp(word, flag);
	}
	fclose(file);
	return found;
}

/* Born after the checkpoint: it must lack one mapping, and find another one empty. */
static int child(void *unused)
{
	unsigned char resident[PAGES];

	(void)unused;
	for (int i = 0; i < KINDS; i++) {
		bool wanted = kinds[i].advice != MADV_DONTFORK;

		if ((mincore(start[i], PAGES * PAGE, resident) == 0) != wanted)
			return fail("a child has %s the mapping with %s", wanted ? "not" : "", kinds[i].flag);
		if (wanted && start[i][PAGE] != (kinds[i].advice == MADV_WIPEONFORK ? 0 : i + 1))
			return fail("in a child the mapping with %s begins with %d", kinds[i].flag, start[i][PAGE]);
	}
	return 0;
}

int main(int argc, char **argv)
{
	char *region;
	bool known[KINDS];
	int bad = 0;

	test_init(argc, argv);
	region = mmap(NULL, 2 * KINDS * PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (region == MAP_FAILED)
		err_die("mmap");
	for (int i = 0; i < KINDS; i++) {
		start[i] = region + 2 * i * PAGES * PAGE;
		if (mprotect(start[i], PAGES * PAGE, PROT_READ | PROT_WRITE))
			err_die("mprotect");
		known[i] = madvise(start[i], PAGES * PAGE, kinds[i].advice) == 0; /* kernels may lack huge pages or KSM */
		if (!known[i] && errno != EINVAL)
			err_die("madvise for %s", kinds[i].flag);
		start[i][PAGE] = i + 1;
	}

	test_ready();
	test_wait();

	for (int i = 0; i < KINDS; i++) {
		if (has_flag(start[i], kinds[i].flag) != known[i])
			bad |= fail("%s is %s", kinds[i].flag, known[i] ? "lost" : "new");
		if (start[i][PAGE] != i + 1)
			bad |= fail("the contents of the mapping with %s changed", kinds[i].flag);
	}
	bad |= test_reap(test_fork(child, 0));
	return bad ? 1 : pass();
}
