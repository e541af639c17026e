// SPDX-License-Identifier: Apache-2.0
/*
 * Shared anonymous memory in three generations: one maps all of it, one a part, one at another address; a second
 * region is mapped by the child alone.  Contents stay, and what one writes the others see.
 */
#include "zdtm.h"

#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES = 50, PROCESSES = 3, NEWS = 45 };       /* NEWS: an empty page that all map */

static char *shared, *inherited;
static uint32_t inherited_sum;
static stage_t *started;
static int number;

static char *map(int pages, int protection)
{
	char *start = mmap(NULL, pages * PAGE, protection, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (start == MAP_FAILED)
		err_die("mmap");
	return start;
}

/* The child lets go of the first twenty pages; the grandchild moves the last ten elsewhere and protects the rest. */
static void rearrange(void)
{
	if (number == 1 && munmap(shared, 20 * PAGE))
		err_die("munmap");
	if (number == 2) {
		char *place = map(10, PROT_NONE);
		char *moved = mremap(shared + 40 * PAGE, 10 * PAGE, 10 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place);

		if (moved != place || mprotect(shared + 20 * PAGE, 20 * PAGE, PROT_READ))
			err_die("mremap or mprotect");
		shared = moved - 40 * PAGE;
	}
}

static int check(void)
{
	char wanted[PAGE];

	for (int page = number == 2 ? 40 : number == 1 ? 20 : 0; page < PAGES; page++) {
		memset(wanted, 0, PAGE);
		if (page % 3)
			data_fill(wanted, PAGE, page);
		if (page != NEWS && memcmp(shared + page * PAGE, wanted, PAGE))
			return fail("process %d: page %d changed", number, page);
	}
	if (number && !data_check(inherited, 5 * PAGE, inherited_sum))
		return fail("process %d: the second region changed", number);
	return 0;
}

/* Ends after SIGTERM, which comes from the parent when that has checked and written its letter. */
static int live(void *unused)
{
	pid_t child = 0;
	int bad;

	(void)unused;
	number++;
	rearrange();
	if (number == 1)
		inherited_sum = data_fill(inherited = map(5, PROT_READ | PROT_WRITE), 5 * PAGE, 99);
	if (number + 1 < PROCESSES)
		child = test_fork(live, NULL);
	stage_step(started);
	test_wait();
	bad = check();
	if (strncmp(shared + NEWS * PAGE, "abc", number))
		bad = fail("process %d: the others wrote \"%.3s\"", number, shared + NEWS * PAGE);
	shared[NEWS * PAGE + number] = 'a' + number;
	return bad | (child ? test_finish(child) : 0);
}

int main(int argc, char **argv)
{
	pid_t child;
	int bad;

	test_init(argc, argv);
	started = stage_new();
	shared = map(PAGES, PROT_READ | PROT_WRITE);
	for (int page = 0; page < PAGES; page++)
		if (page % 3)
			data_fill(shared + page * PAGE, PAGE, page);
	child = test_fork(live, NULL);
	stage_wait(started, PROCESSES - 1);

	test_ready();
	test_wait();

	bad = check();
	shared[NEWS * PAGE] = 'a';
	bad |= test_finish(child);
	if (strcmp(shared + NEWS * PAGE, "abc"))
		bad = fail("all wrote \"%.3s\", not \"abc\"", shared + NEWS * PAGE);
	return bad ? 1 : pass();
}
