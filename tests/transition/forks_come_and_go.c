// SPDX-License-Identifier: Apache-2.0
/*
 * Children and grandchildren that are born, work a little and die,
 * all the time; every one with its right exit status.
 */
#include "zdtm.h"

#include <sys/wait.h>

enum { WIDTH = 5 };

static uint32_t memory[2000], sum;

static int grandchild(void *number)
{
	return ((uintptr_t)number * 7) & 127;
}

static int child(void *argument)
{
	uintptr_t number = (uintptr_t)argument;
	pid_t pid;

	if (!data_check(memory, sizeof(memory), sum))
		return fail("the memory of child %lu changed", number);
	if (number % 3)
		return number & 127;
	pid = test_fork(grandchild, argument);
	if (test_reap(pid) != (int)((number * 7) & 127))
		return fail("the grandchild of child %lu ended with another status", number);
	return number & 127;
}

static int reap(pid_t pid, uintptr_t number)
{
	int status = test_reap(pid);

	return status == (int)(number & 127) ? 0 : fail("child %lu ended with %d, not %lu", number, status, number & 127);
}

int main(int argc, char **argv)
{
	uintptr_t number = 0;
	pid_t pids[WIDTH];

	test_init(argc, argv);
	sum = data_fill(memory, sizeof(memory), test_random());
	test_ready();
	for (; test_running() || number < 50; number++) {
		if (number >= WIDTH && reap(pids[number % WIDTH], number - WIDTH))
			return 1;
		pids[number % WIDTH] = test_fork(child, (void *)number);
	}
	for (uintptr_t last = number - WIDTH; last < number; last++)
		if (reap(pids[last % WIDTH], last))
			return 1;
	if (wait(NULL) != -1)
		return fail("there is a child too many");
	note("%lu children", number);
	return pass();
}
