// SPDX-License-Identifier: Apache-2.0
/* What belongs to the memory of a process: which of it goes into core dumps. Each child has its own. */
#include "zdtm.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

static const unsigned filters[] = { 0, 0x33, 0x1ff, 0x7c };
enum { COUNT = sizeof(filters) / sizeof(filters[0]) };

static stage_t *started;

static unsigned filter(void)
{
	FILE *file = fopen("/proc/self/coredump_filter", "re");
	unsigned bits;

	if (!file || fscanf(file, "%x", &bits) != 1)
		err_die("/proc/self/coredump_filter");
	fclose(file);
	return bits;
}

static int live(void *argument)
{
	intptr_t number = (intptr_t)argument;
	FILE *file = fopen("/proc/self/coredump_filter", "we");

	if (!file || fprintf(file, "%#x", filters[number]) < 0 || fclose(file))
		err_die("write of /proc/self/coredump_filter");
	stage_step(started);
	test_wait();
	if (filter() != filters[number])
		return fail("process %ld: the filter of core dumps is %x, not %x", number, filter(), filters[number]);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t children[COUNT];
	unsigned before;
	int bad = 0;

	test_init(argc, argv);
	before = filter();
	started = stage_new();
	for (intptr_t i = 0; i < COUNT; i++)
		children[i] = test_fork(live, (void *)i);
	stage_wait(started, COUNT);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= test_finish(children[i]);
	if (filter() != before)
		return fail("the parent's filter of core dumps is %x, not %x", filter(), before);
	return bad ? 1 : pass();
}
