// SPDX-License-Identifier: Apache-2.0
/*
 * A group whose leader is a sibling, a group that its leader left,
 * and signals sent to a group reach just its members.
 */
#include "zdtm.h"

#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHILDREN = 6 };

static _Atomic int *handled;          /* shared, one for each child */
static stage_t *started;
static int number;

static void on_signal(int signo)
{
	(void)signo;
	handled[number]++;
}

static int live(void *argument)
{
	number = (intptr_t)argument;
	stage_step(started);
	test_wait();
	return 0;
}

static void join(pid_t pid, pid_t group)
{
	if (setpgid(pid, group))
		err_die("setpgid(%d, %d)", pid, group);
}

int main(int argc, char **argv)
{
	static const int leaders[CHILDREN] = { 0, 0, 0, 3, 0, 3 };      /* at last: child 4 left its own group for that of 0 */
	static const int wanted[CHILDREN] = { 1, 1, 1, 0, 1, 0 };
	pid_t children[CHILDREN];
	int bad = 0;

	test_init(argc, argv);
	started = stage_new();
	handled = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	signal(SIGUSR1, on_signal);
	for (intptr_t i = 0; i < CHILDREN; i++)
		children[i] = test_fork(live, (void *)i);
	join(children[4], children[4]);
	for (int i = 0; i < CHILDREN; i++)
		if (leaders[i] == i)
			join(children[i], children[i]);
	for (int i = 0; i < CHILDREN; i++)
		join(children[i], children[leaders[i]]);
	stage_wait(started, CHILDREN);

	test_ready();
	test_wait();

	for (int i = 0; i < CHILDREN; i++)
		if (getpgid(children[i]) != children[leaders[i]])
			bad = fail("child %d is in group %d, not in %d", i, getpgid(children[i]), children[leaders[i]]);
	if (kill(-children[0], SIGUSR1))
		bad = fail("no signal can be sent to the group");
	for (int tries = 0; tries < 2000 && !(handled[0] && handled[1] && handled[2] && handled[4]); tries++)
		usleep(1000);
	for (int i = 0; i < CHILDREN; i++)
		bad |= test_finish(children[i]);
	for (int i = 0; i < CHILDREN; i++)
		if (handled[i] != wanted[i])
			bad = fail("child %d got the signal %d times, not %d", i, handled[i], wanted[i]);
	return bad ? 1 : pass();
}
