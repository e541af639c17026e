// SPDX-License-Identifier: Apache-2.0
/* A zombie of a child of a child, under a parent that ignores nothing: SIGCHLD was delivered once and is not again. */
#include "zdtm.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ZOMBIES = 20 };

static volatile sig_atomic_t ended;
static stage_t *started;

static void on_child(int number)
{
	(void)number;
	ended++;
}

static int die(void *status)
{
	_exit((intptr_t)status);
}

static int parent(void *unused)
{
	pid_t children[ZOMBIES];
	siginfo_t info;
	int before, bad = 0;

	(void)unused;
	signal(SIGCHLD, on_child);
	for (intptr_t i = 0; i < ZOMBIES; i++) {
		children[i] = test_fork(die, (void *)(100 + i));
		waitid(P_PID, children[i], &info, WEXITED | WNOWAIT);
	}
	before = ended;
	stage_step(started);
	test_wait();
	if (ended != before)
		bad = fail("SIGCHLD came %d times, then %d times more", before, ended - before);
	for (int i = 0; i < ZOMBIES; i++) {
		int status = test_reap(children[i]);

		if (status != 100 + i)
			bad = fail("zombie %d has the status %d, not %d", i, status, 100 + i);
	}
	if (wait(NULL) != -1 || errno != ECHILD)
		bad = fail("there is a child too many");
	errno = 0;
	return bad;
}

int main(int argc, char **argv)
{
	pid_t child;

	test_init(argc, argv);
	started = stage_new();
	child = test_fork(parent, NULL);
	stage_wait(started, 1);

	test_ready();
	test_wait();

	return test_finish(child) ? 1 : pass();
}
