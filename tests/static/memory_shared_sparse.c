// SPDX-License-Identifier: Apache-2.0
/*
 * A shared segment of a gigabyte with a few pages in use, of which each of three processes has touched others, and one
 * maps it unreadable: all pages are there for all.
 */
#include "zdtm.h"

#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096, PROCESSES = 3, EACH = 20, SEGMENT = 1 << 30 };

static char *segment;
static stage_t *started;

/* Page number `index` that `process` touches: far from each other, the first and the last among them. */
static char *page_of(int process, int index)
{
	uint64_t number = (uint64_t)(process * EACH + index) * 0x9e3779b1 % (SEGMENT / PAGE);

	if (process == 0 && index < 2)
		number = index ? SEGMENT / PAGE - 1 : 0;
	return segment + number * PAGE;
}

static int check(int process)
{
	char wanted[PAGE];

	for (int other = 0; other < PROCESSES; other++)
		for (int i = 0; i < EACH; i++) {
			data_fill(wanted, PAGE, other * 1000 + i);
			if (memcmp(page_of(other, i), wanted, PAGE))
				return fail("process %d: page %d of process %d changed", process, i, other);
		}
	return 0;
}

static int live(void *argument)
{
	int process = (intptr_t)argument;

	for (int i = 0; i < EACH; i++)
		data_fill(page_of(process, i), PAGE, process * 1000 + i);
	if (process == 1 && mprotect(segment, SEGMENT, PROT_NONE))
		err_die("mprotect");
	stage_step(started);
	if (process)
		test_wait();
	if (process == 1 && mprotect(segment, SEGMENT, PROT_READ))
		return fail("mprotect");
	return process ? check(process) : 0;
}

int main(int argc, char **argv)
{
	pid_t children[PROCESSES];
	int bad;

	test_init(argc, argv);
	started = stage_new();
	segment = mmap(NULL, SEGMENT, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (segment == MAP_FAILED)
		err_die("mmap");
	for (intptr_t i = 1; i < PROCESSES; i++)
		children[i] = test_fork(live, (void *)i);
	live((void *)0);
	stage_wait(started, PROCESSES);

	test_ready();
	test_wait();

	bad = check(0);
	for (int i = 1; i < PROCESSES; i++)
		bad |= test_finish(children[i]);
	return bad ? 1 : pass();
}
