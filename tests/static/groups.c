// SPDX-License-Identifier: Apache-2.0
/* Supplementary groups: none, one, some odd ones, and many (--many=NUMBER). */
#include "zdtm.h"

#include <grp.h>
#include <stdlib.h>
#include <unistd.h>

enum { MOST = 65536, COUNT = 4 };

static int counts[COUNT] = { 0, 1, 33 };

static stage_t *started;

static int live(void *argument)
{
	static gid_t wanted[MOST], now[MOST];
	int count = counts[(intptr_t)argument], found;

	for (int i = 0; i < count; i++)
		wanted[i] = 48244 + i * 60013u;
	if (setgroups(count, wanted) || getgroups(MOST, wanted) != count)     /* the kernel sorts them */
		err_die("setgroups");
	stage_step(started);
	test_wait();

	found = getgroups(MOST, now);
	if (found != count)
		return fail("there are %d groups, not %d", found, count);
	for (int i = 0; i < count; i++)
		if (now[i] != wanted[i])
			return fail("group %d of %d is %u, not %u", i, count, now[i], wanted[i]);
	return 0;
}

int main(int argc, char **argv)
{
	pid_t children[COUNT];
	int bad = 0;

	test_init(argc, argv);
	counts[3] = atoi(test_option("many", "100"));
	started = stage_new();
	for (intptr_t i = 0; i < COUNT; i++)
		children[i] = test_fork(live, (void *)i);
	stage_wait(started, COUNT);

	test_ready();
	test_wait();

	for (int i = 0; i < COUNT; i++)
		bad |= test_finish(children[i]);
	return bad ? 1 : pass();
}
